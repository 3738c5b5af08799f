//! The tracking logs that a redirection server keeps until the tracking job collects them.

use super::{Theme, define_metrics};
use crate::catalog::modules::{TRACKING, TRACKINGLOGD};
use crate::catalog::{AlertDef, CheckDef, Module, Severity, Subject, Text};

define_metrics! {
    TRACKING_LOG_FILES: Gauge "campaign_tracking_log_files" [campaign_instance]
        "Tracking logs (redir/log/0x*.log) that are there. Absent on a host that is no redirection server.";
    TRACKING_LOG_BYTES: Gauge "campaign_tracking_log_bytes" [campaign_instance]
        "Size of the tracking logs together, in bytes.";
    TRACKING_LOG_SIZE_LIMIT: Gauge "campaign_tracking_log_size_limit_bytes" [campaign_instance]
        "The configured maxLogsSizeOnDiskMb of trackinglogd, in bytes.";
    TRACKING_LOG_NEWEST: Gauge "campaign_tracking_log_newest_timestamp_seconds" [campaign_instance]
        "When the newest tracking log was last written, in seconds since 1970-01-01 UTC. Absent when there is none.";
    TRACKING_LOG_LINES: Counter "campaign_tracking_log_lines_total" [campaign_instance]
        "Lines of the tracking logs, corrupt ones included. Files that were there before the exporter count from their first line on, and a file that was replaced counts again.";
    TRACKING_LOG_CORRUPT_LINES: Counter "campaign_tracking_log_corrupt_lines_total" [campaign_instance]
        "Lines of the tracking logs that the documented pattern does not match.";
    TRACKING_LOG_CORRUPT_FILES: Gauge "campaign_tracking_log_corrupt_files" [campaign_instance]
        "Tracking logs that have a corrupt line now.";
    TRACKING_LOG_SKIPPED_BYTES: Counter "campaign_tracking_log_skipped_bytes_total" [campaign_instance]
        "Bytes of the tracking logs in no line that could be judged whole: what lines have beyond 64 KiB, NUL bytes, and what was deleted before it could be read, as far as that is known.";
    TRACKING_LOG_FILES_NOT_FOLLOWED: Gauge "campaign_tracking_log_files_not_followed" [campaign_instance, reason]
        "Tracking logs and their directories that can't be read now, by reason: permission, not_a_file (a FIFO or a directory in its place), limit (more than 5,000 files, or no descriptor left), failure.";
}

/// The name of the collector, and of what it keeps across restarts: the job that needs these files.
pub const COLLECTOR: &str = TRACKING.name;

/// The module that writes the files.
pub static WRITER: &Module = &TRACKINGLOGD;

/// The attribute of its element that limits them, in mebibytes.
pub const SIZE_LIMIT: &str = "maxLogsSizeOnDiskMb";

/// The documented default of [`SIZE_LIMIT`], in bytes.
pub const DEFAULT_SIZE_LIMIT_BYTES: u64 = 500 * 1024 * 1024;

/// Every line is one that the tracking job can read.
pub static LOG_INTEGRITY: CheckDef = CheckDef {
    name: "log_integrity",
    passes_when: Text {
        en: "Every line of the tracking logs matches the documented pattern.",
        pt_br: "Todas as linhas dos logs de rastreamento correspondem ao padrão documentado.",
    },
};

/// What the page says of a corrupt line; its place follows.
pub const CORRUPT_LINE: Text =
    Text { en: "a tracking line is corrupt", pt_br: "há uma linha de rastreamento corrompida" };

/// The checks of this theme.
pub static CHECKS: &[&CheckDef] = &[&LOG_INTEGRITY];

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

/// This theme.
pub const THEME: Theme =
    Theme { title: "Tracking logs", group: "campaign_tracking_logs", metrics: METRICS, checks: CHECKS, alerts: ALERTS };
