//! The tracking logs that a redirection server keeps until the tracking job collects them.

use super::{Theme, define_metrics};
use crate::catalog::modules::{TRACKING, TRACKINGLOGD};
use crate::catalog::{CheckDef, Module, Text, alerts};

define_metrics! {
    TRACKING_LOG_FILES: Gauge "campaign_tracking_log_files" [campaign_instance]
        "Tracking logs (redir/log/0x*.log) on the disk. Absent on a host that is not a redirection server.";
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
        "Tracking logs and their directories that can't be read now, by reason: permission, not_a_file (a FIFO, a directory or a link to nothing in its place), limit (more than 5,000 files, or no descriptor left), failure.";
}

/// The name of the collector, and of what it keeps across restarts: the job that needs these files.
pub const COLLECTOR: &str = TRACKING.name;

/// The module that writes the files.
pub static WRITER: &Module = &TRACKINGLOGD;

/// Every line is one that the tracking job can read.
pub static LOG_INTEGRITY: CheckDef = CheckDef {
    name: "log_integrity",
    title: Text { en: "log integrity", pt_br: "integridade dos logs" },
    passes_when: Text {
        en: "Every line of the tracking logs matches the pattern that the page \"About message tracking\" documents.",
        pt_br: "Todas as linhas dos logs de rastreamento correspondem ao padrão documentado na página \"Sobre o rastreamento de mensagens\".",
    },
    next_steps: Text {
        en: "Stop the Tracking workflow.\nDelete the corrupt line, or move its file out of redir/log and keep it: see the page about-message-tracking.\nStart the workflow again.",
        pt_br: "Pare o fluxo de trabalho de rastreamento.\nExclua a linha corrompida, ou mova o arquivo para fora de redir/log e guarde-o: veja a página about-message-tracking.\nReinicie o fluxo de trabalho.",
    },
};

/// What the page says of a corrupt line; its place follows.
pub const CORRUPT_LINE: Text =
    Text { en: "a tracking line is corrupt", pt_br: "há uma linha de rastreamento corrompida" };

/// The page that documents the pattern of a good line, and how to list the corrupt ones.
pub const ABOUT_MESSAGE_TRACKING: &str = "https://experienceleague.adobe.com/docs/campaign-classic/using/sending-messages/tracking-messages/about-message-tracking.html";

/// The checks of this theme.
pub static CHECKS: &[&CheckDef] = &[&LOG_INTEGRITY];

/// This theme.
pub const THEME: Theme = Theme {
    title: "Tracking logs",
    group: "campaign_tracking_logs",
    metrics: METRICS,
    checks: CHECKS,
    alerts: alerts::tracking::ALERTS,
    records: &[],
    panel: ("campaign-evidence", 19),
};
