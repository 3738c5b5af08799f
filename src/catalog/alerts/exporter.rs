//! Alerts: the installation and the exporter itself.

use crate::catalog::modules::MONITORING_PROCESSES;
use crate::catalog::{AlertDef, Severity, Subject, Text};

const EXPORTER_SCOPE: Text = Text {
    en: "Watches the Campaign modules of the host and answers Prometheus.",
    pt_br: "Observa os módulos do Campaign no servidor e responde ao Prometheus.",
};

const CONFIGURATION_SCOPE: Text = Text {
    en: "Campaign's configuration: which modules have to run, and their thresholds.",
    pt_br: "Configuração do Campaign: quais módulos devem estar em execução e os seus limites.",
};

/// The alerts of this theme: whatever would leave the operator blind.
pub static ALERTS: &[AlertDef] = &[
    AlertDef {
        // Three minutes outlast a restart of the exporter or of its host's network; alerts on modules stand meanwhile.
        name: "CampaignExporterDown",
        expr: "up{job} == 0",
        hold: "3m",
        severity: Severity::Critical,
        subject: Subject::Own {
            scope: EXPORTER_SCOPE,
            troubleshooting: Text {
                en: "Check that the host is up, that the service campaign_exporter runs on it, and that Prometheus \
                     reaches its port. Until then nothing new is known of the Campaign modules of this host.",
                pt_br: "Verifique se o servidor está ligado, se o serviço campaign_exporter está em execução nele e se \
                        o Prometheus alcança a sua porta. Até lá, nada de novo se sabe dos módulos do Campaign nesse \
                        servidor.",
            },
            page: MONITORING_PROCESSES,
        },
        summary: Text {
            en: "The Campaign exporter does not answer.", pt_br: "O exportador do Campaign não responde."
        },
        description: Text {
            en: "Prometheus has not been able to scrape the Campaign exporter on {{$labels.instance}} for 3 minutes.",
            pt_br: "O Prometheus não consegue coletar as métricas do exportador do Campaign em {{$labels.instance}} \
                    há 3 minutos.",
        },
    },
    AlertDef {
        // Five minutes: a Prometheus that has just started has no sample yet.
        name: "CampaignExporterAbsent",
        expr: "absent(up{job})",
        hold: "5m",
        severity: Severity::Critical,
        subject: Subject::Own {
            scope: EXPORTER_SCOPE,
            troubleshooting: Text {
                en: "Check scrape_configs and the service discovery of Prometheus. If the job has another name there, \
                     render the rules for it: campaign_exporter rules --job NAME.",
                pt_br: "Verifique o scrape_configs e a descoberta de serviços do Prometheus. Se o job tiver outro nome \
                        lá, gere as regras para ele: campaign_exporter rules --job NOME.",
            },
            page: MONITORING_PROCESSES,
        },
        summary: Text {
            en: "Prometheus scrapes no Campaign exporter.",
            pt_br: "O Prometheus não coleta métricas de nenhum exportador do Campaign.",
        },
        description: Text {
            en: "Prometheus has had no target in the job {{$labels.job}} for 5 minutes.",
            pt_br: "O Prometheus não tem nenhum alvo no job {{$labels.job}} há 5 minutos.",
        },
    },
    AlertDef {
        // An exporter that found nothing to watch has no failing check either.
        name: "CampaignInstallationMissing",
        expr: "up{job} == 1\nunless on (job, instance) campaign_installation_info",
        hold: "10m",
        severity: Severity::Critical,
        subject: Subject::Own {
            scope: CONFIGURATION_SCOPE,
            troubleshooting: Text {
                en: "Name the installation's folder with --campaign.home, and let the exporter's user read its folder \
                     conf. Until then no module is known to be missing.",
                pt_br: "Informe a pasta da instalação com --campaign.home e permita que o usuário do exportador leia a \
                        pasta conf. Até lá, não se sabe se falta algum módulo.",
            },
            page: MONITORING_PROCESSES,
        },
        summary: Text {
            en: "The Campaign exporter finds no Campaign installation.",
            pt_br: "O exportador do Campaign não encontra a instalação do Campaign.",
        },
        description: Text {
            en: "The Campaign exporter on {{$labels.instance}} has not found the Campaign installation for \
                 10 minutes.",
            pt_br: "O exportador do Campaign em {{$labels.instance}} não encontra a instalação do Campaign há \
                    10 minutos.",
        },
    },
    AlertDef {
        // Longer than it takes to write a file.
        name: "CampaignConfigurationUnreadable",
        expr: "campaign_configuration_last_reload_successful == 0",
        hold: "5m",
        severity: Severity::Warning,
        subject: Subject::Own {
            scope: CONFIGURATION_SCOPE,
            troubleshooting: Text {
                en: "Read the exporter's log: it names the file, the line and the remedy. Campaign itself may not be \
                     able to read the file either when it restarts.",
                pt_br: "Leia o log do exportador: ele indica o arquivo, a linha e a solução. O próprio Campaign talvez \
                        também não consiga ler o arquivo ao reiniciar.",
            },
            page: MONITORING_PROCESSES,
        },
        summary: Text {
            en: "A Campaign configuration file can't be read.",
            pt_br: "Um arquivo de configuração do Campaign não pode ser lido.",
        },
        description: Text {
            en: "On {{$labels.instance}}, the Campaign configuration file {{$labels.file}} can't be read as it is \
                 now. Its last good content stays in force.",
            pt_br: "Em {{$labels.instance}}, o arquivo de configuração {{$labels.file}} do Campaign não pode ser \
                    lido como está agora. O último conteúdo válido continua em vigor.",
        },
    },
    AlertDef {
        name: "CampaignCollectorFailing",
        expr: "campaign_scrape_collector_success == 0",
        hold: "15m",
        severity: Severity::Warning,
        subject: Subject::Own {
            scope: EXPORTER_SCOPE,
            troubleshooting: Text {
                en: "See in campaign_scrape_collector_errors_total which kind of error it is, and read the exporter's \
                     log. For permission, let the exporter's user read what the log names, or switch the collector \
                     off with --no-collector.NAME.",
                pt_br: "Veja em campaign_scrape_collector_errors_total qual é o tipo de erro e leia o log do \
                        exportador. Se for permission, permita que o usuário do exportador leia o que o log indica, ou \
                        desligue o coletor com --no-collector.NOME.",
            },
            page: MONITORING_PROCESSES,
        },
        summary: Text {
            en: "A part of the Campaign exporter can't read everything.",
            pt_br: "Uma parte do exportador do Campaign não consegue ler tudo.",
        },
        description: Text {
            en: "On {{$labels.instance}}, the collector {{$labels.collector}} of the Campaign exporter has been \
                 failing for 15 minutes.",
            pt_br: "Em {{$labels.instance}}, o coletor {{$labels.collector}} do exportador do Campaign falha há \
                    15 minutos.",
        },
    },
    AlertDef {
        // The counts are right until the exporter restarts; fifteen minutes are time enough to make room on a full disk.
        name: "CampaignStorageFailing",
        expr: "campaign_exporter_storage_successful == 0",
        hold: "15m",
        severity: Severity::Warning,
        subject: Subject::Own {
            scope: EXPORTER_SCOPE,
            troubleshooting: Text {
                en: "Read the exporter's log: it names the file and the reason. Make room on the disk, or give the \
                     folder of --storage.path to the exporter's user. Do not restart the exporter before: it would \
                     not know what it has read and counted.",
                pt_br: "Leia o log do exportador: ele indica o arquivo e o motivo. Libere espaço em disco, ou torne o \
                        usuário do exportador dono da pasta de --storage.path. Não reinicie o exportador antes: ele \
                        não saberia o que já leu e contou.",
            },
            page: MONITORING_PROCESSES,
        },
        summary: Text {
            en: "The Campaign exporter can't store what it has read.",
            pt_br: "O exportador do Campaign não consegue armazenar o que leu.",
        },
        description: Text {
            en: "On {{$labels.instance}}, the collector {{$labels.collector}} of the Campaign exporter has not been \
                 able to store its positions and counters for 15 minutes: a restart would lose them.",
            pt_br: "Em {{$labels.instance}}, o coletor {{$labels.collector}} do exportador do Campaign não consegue \
                    armazenar as suas posições e os seus contadores há 15 minutos: uma reinicialização os perderia.",
        },
    },
    AlertDef {
        name: "CampaignProcessesHidden",
        expr: "campaign_processes_hidden == 1",
        hold: "15m",
        severity: Severity::Warning,
        subject: Subject::Own {
            scope: EXPORTER_SCOPE,
            troubleshooting: Text {
                en: "/proc is mounted with hidepid. Run the exporter as the Campaign user, or put its user into the \
                     group that the mount option gid names.",
                pt_br: "O /proc está montado com hidepid. Execute o exportador com o usuário do Campaign, ou inclua o \
                        usuário dele no grupo indicado na opção de montagem gid.",
            },
            page: MONITORING_PROCESSES,
        },
        summary: Text {
            en: "The Campaign exporter can't see the processes of other users.",
            pt_br: "O exportador do Campaign não consegue ver os processos de outros usuários.",
        },
        description: Text {
            en: "On {{$labels.instance}}, /proc has hidden the processes of other users from the Campaign exporter \
                 for 15 minutes: a module that is down would go unnoticed.",
            pt_br: "Em {{$labels.instance}}, o /proc oculta do exportador do Campaign os processos de outros \
                    usuários há 15 minutos: um módulo fora do ar passaria despercebido.",
        },
    },
];
