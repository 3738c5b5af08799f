//! Alerts: the tracking logs.

use crate::catalog::modules::TRACKINGLOGD;
use crate::catalog::{AlertDef, Severity, Subject, Text};

/// The page about tracking logs.
const TRACKING_LOGS_ISSUES: &str = TRACKINGLOGD.links[0].page;

const SCOPE: Text = Text {
    en: "The files in which a redirection server keeps what recipients did until the tracking job collects it.",
    pt_br: "Os arquivos nos quais um servidor de redirecionamento guarda o que os destinatários fizeram até que a tarefa de \
            rastreamento os colete.",
};

/// The alerts of this theme.
pub static ALERTS: &[AlertDef] = &[
    AlertDef {
        // A corrupt line stops the job until somebody deletes it: there is nothing to wait for.
        name: "CampaignTrackingLogsCorrupt",
        expr: "campaign_tracking_log_corrupt_files > 0",
        hold: "",
        severity: Severity::Critical,
        subject: Subject::Own {
            scope: SCOPE,
            troubleshooting: Text {
                en: "Stop the Tracking workflow, delete the corrupt lines from their files below redir/log, and start the \
                     workflow again. The exporter's log and its status page tell the file and the number of the first \
                     ones; the page \"Tracking logs issues\" has a sed command that lists all.",
                pt_br: "Pare o workflow de rastreamento, exclua as linhas corrompidas dos arquivos em redir/log e reinicie o \
                        workflow. O log do exportador e a página de status dele informam o arquivo e o número das \
                        primeiras; a página \"Problemas de logs de rastreamento\" traz um comando sed que lista todas.",
            },
            page: TRACKING_LOGS_ISSUES,
        },
        summary: Text {
            en: "A corrupt line stops the Tracking workflow of Campaign.",
            pt_br: "Uma linha corrompida interrompe o workflow de rastreamento do Campaign.",
        },
        description: Text {
            en: "On {{$labels.instance}}, {{$value | printf \"%.0f\"}} tracking logs of the Campaign instance \
                 {{$labels.campaign_instance}} have a line that the tracking job can't read.",
            pt_br: "Em {{$labels.instance}}, {{$value | printf \"%.0f\"}} logs de rastreamento da instância \
                    {{$labels.campaign_instance}} do Campaign têm uma linha que a tarefa de rastreamento não consegue ler.",
        },
    },
    AlertDef {
        // How many redirections there are nobody tells. That there are some is taken from the day before: where lines came
        // then, at the same time of day, two hours without any are no quiet time. Where this host's redirection server
        // does not answer, another alert says so.
        name: "CampaignTrackingLogsMissing",
        expr: "increase(campaign_tracking_log_lines_total[2h] offset 1d) > 100\n\
               and increase(campaign_tracking_log_lines_total[2h]) == 0\n\
               unless on (job, instance) campaign_module_check{check=\"redirection\"} == 0",
        hold: "15m",
        severity: Severity::Warning,
        subject: Subject::Module(&TRACKINGLOGD),
        summary: Text {
            en: "Campaign writes no tracking logs any more.",
            pt_br: "O Campaign não grava mais logs de rastreamento.",
        },
        description: Text {
            en: "On {{$labels.instance}}, no line was written to the tracking logs of the Campaign instance \
                 {{$labels.campaign_instance}} for two hours; at the same time yesterday it was about \
                 {{$value | printf \"%.0f\"}}.",
            pt_br: "Em {{$labels.instance}}, nenhuma linha foi gravada nos logs de rastreamento da instância \
                    {{$labels.campaign_instance}} do Campaign em duas horas; ontem, no mesmo horário, foram cerca de \
                    {{$value | printf \"%.0f\"}}.",
        },
    },
    AlertDef {
        name: "CampaignTrackingLogsFull",
        expr: "campaign_tracking_log_bytes / campaign_tracking_log_size_limit_bytes > 0.9",
        hold: "15m",
        severity: Severity::Warning,
        subject: Subject::Own {
            scope: SCOPE,
            troubleshooting: Text {
                en: "Check that the tracking job collects the logs: that the Tracking workflow runs, and what \
                     tracking.log says. If it does, and the files are wanted for longer, raise maxLogsSizeOnDiskMb of \
                     trackinglogd in serverConf.xml.",
                pt_br: "Verifique se a tarefa de rastreamento coleta os logs: se o workflow de rastreamento está em execução \
                        e o que diz o tracking.log. Se ela os coleta e os arquivos são necessários por mais tempo, aumente o \
                        maxLogsSizeOnDiskMb do trackinglogd no serverConf.xml.",
            },
            page: TRACKING_LOGS_ISSUES,
        },
        summary: Text {
            en: "The tracking logs of Campaign are about to reach their limit.",
            pt_br: "Os logs de rastreamento do Campaign estão prestes a atingir o limite.",
        },
        description: Text {
            en: "On {{$labels.instance}}, the tracking logs of the Campaign instance {{$labels.campaign_instance}} take \
                 {{$value | humanizePercentage}} of maxLogsSizeOnDiskMb.",
            pt_br: "Em {{$labels.instance}}, os logs de rastreamento da instância {{$labels.campaign_instance}} do \
                    Campaign ocupam {{$value | humanizePercentage}} do maxLogsSizeOnDiskMb.",
        },
    },
];
