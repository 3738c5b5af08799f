//! Alerts: the installation as the exporter reads it, and the exporter itself: whatever would leave the operator blind.

use super::{AlertDef, Severity, Subject, USUAL, t};
use crate::catalog::modules::MONITORING_PROCESSES;

const EXPORTER: Subject = Subject::Own {
    scope: t(
        "Watches the Campaign modules of the host and answers Prometheus.",
        "Observa os módulos do Campaign no servidor e responde ao Prometheus.",
    ),
    page: MONITORING_PROCESSES,
};

const CONFIGURATION: Subject = Subject::Own {
    scope: t(
        "Campaign's configuration: which modules have to run, and their thresholds.",
        "Configuração do Campaign: quais módulos devem estar em execução e os seus limites.",
    ),
    page: MONITORING_PROCESSES,
};

const BLIND: super::Text = t(
    "The state of the Campaign modules of this host is unknown: a module that is down goes unnoticed.",
    "O estado dos módulos do Campaign neste servidor é desconhecido: um módulo fora do ar passa despercebido.",
);

const PARTLY_BLIND: super::Text =
    t("A part of what the exporter watches is not seen.", "Parte do que o exportador monitora não é vista.");

/// Where to read the exporter's own log.
const LOG_STEPS: super::Text = t(
    "On {host}: journalctl -u campaign_exporter (it names the reason and the remedy)\nThen campaign_exporter check",
    "Em {host}: journalctl -u campaign_exporter (informa o motivo e a solução)\nDepois campaign_exporter check",
);

/// The alerts of this theme.
pub static ALERTS: &[AlertDef] = &[
    AlertDef {
        // Five minutes outlast two missed scrapes at an interval of two minutes; alerts on modules stand meanwhile.
        name: "CampaignExporterDown",
        expr: "up{job} == 0",
        hold: "5m",
        severity: Severity::Critical,
        subject: EXPORTER,
        summary: t(
            "The Campaign exporter on {host} does not answer: the state of its modules is unknown.",
            "O exportador do Campaign em {host} não responde: o estado dos módulos é desconhecido.",
        ),
        description: t(
            "Prometheus has not been able to scrape the Campaign exporter on {host} for more than 5 minutes. Alerts of this host that were firing stay active; no new ones can fire.",
            "O Prometheus não consegue coletar as métricas do exportador do Campaign em {host} há mais de 5 minutos. Os alertas deste servidor que já estavam ativos permanecem ativos; novos alertas não podem disparar.",
        ),
        next_steps: t(
            "Is the host up? ping, ssh {host|name}\nOn it: systemctl status campaign_exporter, journalctl -u campaign_exporter\nFrom Prometheus: curl http://{host}/-/ready (a firewall?)",
            "O servidor está ligado? ping, ssh {host|name}\nNele: systemctl status campaign_exporter, journalctl -u campaign_exporter\nA partir do Prometheus: curl http://{host}/-/ready (um firewall?)",
        ),
        advice: t(
            "Check that the host is up, that the service campaign_exporter runs on it, and that Prometheus reaches its port. Until then the state of the Campaign modules of this host is unknown: log on and run nlserver pdump.",
            "Verifique se o servidor está ligado, se o serviço campaign_exporter está em execução nele e se o Prometheus alcança a porta. Até lá, o estado dos módulos do Campaign nesse servidor é desconhecido: conecte-se a ele e execute nlserver pdump.",
        ),
        impact: BLIND,
        ..USUAL
    },
    AlertDef {
        // Ten minutes: a Prometheus that has just started has no sample yet.
        name: "CampaignExporterAbsent",
        expr: "absent(up{job})",
        hold: "10m",
        subject: EXPORTER,
        summary: t(
            "Prometheus scrapes no Campaign exporter on any host.",
            "O Prometheus não coleta métricas de nenhum exportador do Campaign em nenhum servidor.",
        ),
        description: t(
            "Prometheus has had no target of the Campaign exporter for more than 10 minutes.",
            "O Prometheus não tem nenhum alvo do exportador do Campaign há mais de 10 minutos.",
        ),
        next_steps: t(
            "Check scrape_configs and the service discovery of Prometheus (page Status > Targets)\nIf the job has another name there: campaign_exporter rules --job NAME",
            "Verifique o scrape_configs e a descoberta de serviços do Prometheus (página Status > Targets)\nSe o job tiver outro nome lá: campaign_exporter rules --job NOME",
        ),
        advice: t(
            "Check scrape_configs and the service discovery of Prometheus. If the job has another name there, render the rules for it: campaign_exporter rules --job NAME.",
            "Verifique o scrape_configs e a descoberta de serviços do Prometheus. Se o job tiver outro nome lá, gere as regras para ele: campaign_exporter rules --job NOME.",
        ),
        impact: BLIND,
        ..USUAL
    },
    AlertDef {
        name: "CampaignExporterRestarting",
        expr: "changes(process_start_time_seconds{job}[30m]) >= {limit:exporter_restarts}",
        told: "process_start_time_seconds{job}",
        subject: EXPORTER,
        summary: t(
            "The Campaign exporter on {host} keeps exiting and being restarted.",
            "O exportador do Campaign em {host} para e é reiniciado repetidamente.",
        ),
        description: t(
            "The Campaign exporter on {host} was started {value|int} times within 30 minutes; the limit is {limit:exporter_restarts}.",
            "O exportador do Campaign em {host} foi iniciado {value|int} vezes em 30 minutos; o limite é {limit:exporter_restarts}.",
        ),
        next_steps: LOG_STEPS,
        advice: t(
            "Read why it ends: systemctl status campaign_exporter shows the exit code, its journal the last lines. MemoryMax of the unit may be too low.",
            "Descubra por que ele para: systemctl status campaign_exporter mostra o código de saída, e o journal, as últimas linhas. O MemoryMax da unidade pode estar baixo demais.",
        ),
        impact: PARTLY_BLIND,
        ..USUAL
    },
    AlertDef {
        // An exporter that found nothing to watch has no failing check either.
        name: "CampaignInstallationMissing",
        expr: "up{job} == 1\nunless max without (home) (campaign_installation_info)",
        hold: "5m",
        subject: CONFIGURATION,
        summary: t(
            "The Campaign exporter on {host} finds no Campaign installation.",
            "O exportador do Campaign em {host} não encontra a instalação do Campaign.",
        ),
        description: t(
            "The Campaign exporter on {host} has not found the Campaign installation for more than 5 minutes.",
            "O exportador do Campaign em {host} não encontra a instalação do Campaign há mais de 5 minutos.",
        ),
        next_steps: t(
            "On {host}: campaign_exporter check (its first line says why)\nName the folder with --campaign.home in /etc/default/campaign_exporter\nLet the exporter's user read its folder conf",
            "Em {host}: campaign_exporter check (a primeira linha informa o motivo)\nInforme a pasta com --campaign.home em /etc/default/campaign_exporter\nPermita que o usuário do exportador leia a pasta conf dela",
        ),
        advice: t(
            "Name the installation's folder with --campaign.home, and let the exporter's user read its folder conf. Until then no module is known to be missing.",
            "Informe a pasta da instalação com --campaign.home e permita que o usuário do exportador leia a pasta conf. Até lá, não se sabe se falta algum módulo.",
        ),
        impact: BLIND,
        ..USUAL
    },
    AlertDef {
        // Longer than it takes to write a file.
        name: "CampaignConfigurationUnreadable",
        expr: "campaign_configuration_last_reload_successful == 0",
        told: "campaign_configuration_last_reload_successful",
        labels: &["file"],
        hold: "5m",
        subject: CONFIGURATION,
        summary: t(
            "The Campaign configuration file {file} on {host} can't be read.",
            "O arquivo de configuração {file} do Campaign em {host} não pode ser lido.",
        ),
        description: t(
            "For more than 5 minutes, the Campaign configuration file {file} on {host} could not be read as it is now. Its last good content stays in force.",
            "Há mais de 5 minutos, o arquivo de configuração {file} do Campaign em {host} não pode ser lido como está. O último conteúdo válido continua em vigor.",
        ),
        next_steps: LOG_STEPS,
        advice: t(
            "Read the exporter's log: it names the file, the line and the remedy. Campaign itself may not be able to read the file either when it restarts.",
            "Leia o log do exportador: ele indica o arquivo, a linha e a solução. O próprio Campaign talvez também não consiga ler o arquivo ao reiniciar.",
        ),
        impact: PARTLY_BLIND,
        ..USUAL
    },
    AlertDef {
        name: "CampaignConfigurationInvalid",
        expr: "campaign_configuration_invalid_values > 0",
        told: "campaign_configuration_invalid_values",
        labels: &["file"],
        hold: "5m",
        subject: CONFIGURATION,
        summary: t(
            "The Campaign configuration file {file} on {host} has values that can't be read.",
            "O arquivo de configuração {file} do Campaign em {host} tem valores que não podem ser lidos.",
        ),
        description: t(
            "The number of values in {file} on {host} that are not what their attribute takes has been {value|int} for more than 5 minutes.",
            "O número de valores em {file} em {host} que não são aceitos pelo atributo é {value|int} há mais de 5 minutos.",
        ),
        next_steps: LOG_STEPS,
        advice: t(
            "The exporter's log names the file, the line and the attribute. Correct the value; until then that of serverConf.xml, or else the documented default, applies (autoStart: it is unknown whether the module has to run).",
            "O log do exportador indica o arquivo, a linha e o atributo. Corrija o valor; até lá, vale o do serverConf.xml ou, na falta dele, o padrão documentado (autoStart: não se sabe se o módulo deve estar em execução).",
        ),
        impact: t(
            "A threshold or a port may be judged wrongly; with autoStart, a module that is down may go unnoticed.",
            "Um limite ou uma porta podem ser avaliados incorretamente; no caso do autoStart, um módulo fora do ar pode passar despercebido.",
        ),
        ..USUAL
    },
    AlertDef {
        name: "CampaignProcessCollectorFailing",
        expr: "max without (collector) (campaign_scrape_collector_success{collector=\"process\"}) == 0",
        told: "max without (collector) (campaign_scrape_collector_success{collector=\"process\"})",
        hold: "5m",
        severity: Severity::Critical,
        subject: EXPORTER,
        summary: t(
            "The Campaign exporter on {host} can't read the processes: the state of the modules is unknown.",
            "O exportador do Campaign em {host} não consegue ler os processos: o estado dos módulos é desconhecido.",
        ),
        description: t(
            "The collector \"process\" of the Campaign exporter on {host} has been failing for more than 5 minutes.",
            "O coletor \"process\" do exportador do Campaign em {host} falha há mais de 5 minutos.",
        ),
        next_steps: LOG_STEPS,
        advice: t(
            "The exporter's log names the reason: /proc mounted with hidepid, a limit of the system, or a permission. Log on and run nlserver pdump meanwhile.",
            "O log do exportador informa o motivo: /proc montado com hidepid, um limite do sistema ou uma permissão. Enquanto isso, conecte-se ao servidor e execute nlserver pdump.",
        ),
        impact: BLIND,
        ..USUAL
    },
    AlertDef {
        name: "CampaignCollectorFailing",
        expr: "campaign_scrape_collector_success{collector!=\"process\"} == 0",
        told: "campaign_scrape_collector_success{collector!=\"process\"}",
        labels: &["collector"],
        hold: "15m",
        subject: EXPORTER,
        summary: t(
            "The collector {collector} of the Campaign exporter on {host} can't read everything.",
            "O coletor {collector} do exportador do Campaign em {host} não consegue ler tudo.",
        ),
        description: t(
            "The collector {collector} of the Campaign exporter on {host} has been failing for more than 15 minutes.",
            "O coletor {collector} do exportador do Campaign em {host} falha há mais de 15 minutos.",
        ),
        next_steps: LOG_STEPS,
        advice: t(
            "See in campaign_scrape_collector_errors_total which kind of error it is, and read the exporter's log. For permission, let the exporter's user read what the log names, or switch the collector off with --no-collector.NAME.",
            "Veja em campaign_scrape_collector_errors_total qual é o tipo de erro e leia o log do exportador. Se for permission, permita que o usuário do exportador leia o que o log indica, ou desative o coletor com --no-collector.NOME.",
        ),
        impact: PARTLY_BLIND,
        ..USUAL
    },
    AlertDef {
        // The counts are right until the exporter restarts; fifteen minutes are time enough to make room on a full disk.
        name: "CampaignStorageFailing",
        expr: "campaign_exporter_storage_successful == 0",
        told: "campaign_exporter_storage_successful",
        labels: &["collector"],
        hold: "15m",
        subject: EXPORTER,
        summary: t(
            "The Campaign exporter on {host} can't store what the collector {collector} has read.",
            "O exportador do Campaign em {host} não consegue armazenar o que o coletor {collector} leu.",
        ),
        description: t(
            "The collector {collector} of the Campaign exporter on {host} has not been able to store its positions and counters for more than 15 minutes: a restart would lose them.",
            "O coletor {collector} do exportador do Campaign em {host} não consegue armazenar as suas posições e os seus contadores há mais de 15 minutos: uma reinicialização os perderia.",
        ),
        next_steps: t(
            "On {host}: journalctl -u campaign_exporter (it names the file and the reason), df -h\nMake room, or give the folder of --storage.path to the exporter's user\nDo not restart the exporter before that",
            "Em {host}: journalctl -u campaign_exporter (informa o arquivo e o motivo), df -h\nLibere espaço ou torne o usuário do exportador dono da pasta de --storage.path\nNão reinicie o exportador antes disso",
        ),
        advice: t(
            "Make room on the disk, or give the folder of --storage.path to the exporter's user. Do not restart the exporter before: it would not know what it has read and counted.",
            "Libere espaço em disco, ou torne o usuário do exportador dono da pasta de --storage.path. Não reinicie o exportador antes: ele não saberia o que já leu e contou.",
        ),
        impact: t(
            "Counters and positions are lost at the next restart.",
            "Os contadores e as posições se perdem na próxima reinicialização.",
        ),
        ..USUAL
    },
    AlertDef {
        name: "CampaignProcessesHidden",
        expr: "campaign_processes_hidden == 1",
        told: "campaign_processes_hidden",
        hold: "5m",
        subject: EXPORTER,
        summary: t(
            "The Campaign exporter on {host} can't see the processes of other users.",
            "O exportador do Campaign em {host} não consegue ver os processos de outros usuários.",
        ),
        description: t(
            "On {host}, /proc has hidden the processes of other users from the Campaign exporter for more than 5 minutes: a module that is down would go unnoticed.",
            "Em {host}, o /proc oculta do exportador do Campaign os processos de outros usuários há mais de 5 minutos: um módulo fora do ar passaria despercebido.",
        ),
        next_steps: t(
            "On {host}: grep ' /proc ' /proc/mounts shows hidepid and gid\nRun the exporter as the Campaign user, or put its user into the group of gid\nThen systemctl restart campaign_exporter",
            "Em {host}: grep ' /proc ' /proc/mounts mostra hidepid e gid\nExecute o exportador com o usuário do Campaign, ou inclua o usuário dele no grupo de gid\nDepois systemctl restart campaign_exporter",
        ),
        advice: t(
            "/proc is mounted with hidepid. Run the exporter as the Campaign user, or put its user into the group that the mount option gid names.",
            "O /proc está montado com hidepid. Execute o exportador com o usuário do Campaign, ou inclua o usuário dele no grupo indicado na opção de montagem gid.",
        ),
        impact: BLIND,
        ..USUAL
    },
    AlertDef {
        name: "CampaignProcessesIgnored",
        expr: "max without (reason) (campaign_processes_ignored{reason=\"undecided\"}) > 0",
        told: "max without (reason) (campaign_processes_ignored{reason=\"undecided\"})",
        hold: "15m",
        subject: EXPORTER,
        summary: t(
            "The Campaign exporter on {host} can't tell to which installation some nlserver processes belong.",
            "O exportador do Campaign em {host} não consegue identificar a que instalação pertencem alguns processos nlserver.",
        ),
        description: t(
            "For more than 15 minutes, the exporter has not been able to tell to which installation some nlserver processes on {host} belong (number: {value|int}); they count for no module.",
            "O número de processos nlserver em {host} cuja origem não pode ser determinada há mais de 15 minutos é {value|int}: eles não contam para nenhum módulo.",
        ),
        next_steps: t(
            "On {host}: ps -o user,pid,args -C nlserver: whose are they?\nIf they are Campaign's, run the exporter as their user",
            "Em {host}: ps -o user,pid,args -C nlserver: de quem são?\nSe forem do Campaign, execute o exportador com o usuário deles",
        ),
        advice: t(
            "To attribute a process, the exporter needs its executable and namespaces, which it may not read here. Run it as the user of the installation.",
            "Para saber a que instalação pertence um processo, o exportador precisa do executável e dos namespaces dele, que aqui não pode ler. Execute o exportador com o usuário da instalação.",
        ),
        impact: PARTLY_BLIND,
        ..USUAL
    },
    AlertDef {
        name: "CampaignExporterDefect",
        expr: "round(increase(campaign_exporter_rejected_samples_total[15m])) > 0",
        severity: Severity::Info,
        subject: EXPORTER,
        summary: t(
            "The Campaign exporter on {host} left samples out: a defect of the exporter.",
            "O exportador do Campaign em {host} omitiu amostras: um defeito do exportador.",
        ),
        description: t(
            "Within 15 minutes the number of samples that the Campaign exporter on {host} left out was {value|int}; it should stay 0.",
            "Em 15 minutos, o número de amostras que o exportador do Campaign em {host} omitiu foi {value|int}; deveria ser sempre 0.",
        ),
        next_steps: t(
            "On {host}: journalctl -u campaign_exporter names the metric; please report it",
            "Em {host}: journalctl -u campaign_exporter indica a métrica; por favor, relate o defeito",
        ),
        advice: t(
            "Report it with the line of the log that names the metric.",
            "Relate o defeito com a linha do log que indica a métrica.",
        ),
        impact: PARTLY_BLIND,
        ..USUAL
    },
    AlertDef {
        name: "CampaignExporterLogBlocked",
        expr: "round(increase(campaign_exporter_log_lines_dropped_total[15m])) > 0",
        severity: Severity::Info,
        subject: EXPORTER,
        summary: t(
            "The log of the Campaign exporter on {host} is blocked.",
            "O log do exportador do Campaign em {host} está bloqueado.",
        ),
        description: t(
            "Within 15 minutes the number of lines that the Campaign exporter on {host} could not write to its own log was {value|int}.",
            "Em 15 minutos, o número de linhas que o exportador do Campaign em {host} não conseguiu gravar no próprio log foi {value|int}.",
        ),
        next_steps: t(
            "On {host}: systemctl status systemd-journald, df -h /var/log",
            "Em {host}: systemctl status systemd-journald, df -h /var/log",
        ),
        advice: t(
            "The journal is stalled or the disk is full. The exporter goes on; only its own log has a gap.",
            "O journal está parado ou o disco está cheio. O exportador continua; apenas o log dele fica com uma lacuna.",
        ),
        impact: t(
            "Reasons of other alerts may be missing from its log.",
            "Motivos de outros alertas podem faltar no log dele.",
        ),
        ..USUAL
    },
    AlertDef {
        name: "CampaignHostClockOff",
        expr: "abs(campaign_host_time_seconds - timestamp(campaign_host_time_seconds)) > {limit:clock_seconds}",
        told: "campaign_host_time_seconds",
        hold: "15m",
        severity: Severity::Info,
        subject: EXPORTER,
        summary: t(
            "The clock of {host} differs from that of Prometheus.",
            "O relógio de {host} difere do relógio do Prometheus.",
        ),
        description: t(
            "The clock of {host} has differed from that of Prometheus by {value|duration} for more than 15 minutes; the limit is {limit:clock_seconds|duration}. Ages in these alerts follow the host's clock.",
            "O relógio de {host} difere do relógio do Prometheus em {value|duration} há mais de 15 minutos; o limite é de {limit:clock_seconds|duration}. As idades nestes alertas seguem o relógio do servidor.",
        ),
        next_steps: t(
            "On {host}: timedatectl, then chronyc tracking",
            "Em {host}: timedatectl e depois chronyc tracking",
        ),
        advice: t(
            "Let the host and Prometheus follow the same time servers.",
            "Faça o servidor e o Prometheus seguirem os mesmos servidores de tempo.",
        ),
        impact: t("Times in logs and dashboards do not match.", "Os horários nos logs e nos painéis não coincidem."),
        ..USUAL
    },
];
