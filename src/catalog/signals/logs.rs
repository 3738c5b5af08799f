//! The modules' logs: what they say, and how well they are read.

use super::{Theme, define_metrics};
use crate::catalog::{CheckDef, Text, alerts};

define_metrics! {
    LOG_MESSAGES: Counter "campaign_log_messages_total" [log, module, campaign_instance, level]
        "Messages in the log by level; lines that continue a message do not count. Of the levels that the documentation does not name, the first ten get their own label; the rest are level=\"other\".";
    LOG_ERROR_CODES: Counter "campaign_log_error_codes_total" [log, module, campaign_instance, code]
        "Messages that start with an error code (three capitals, a dash, six digits). After 100 codes of a log, or 20,000 of all logs together, the rest are code=\"other\".";
    LOG_PROBLEMS: Counter "campaign_log_problems_total" [log, module, campaign_instance, problem]
        "Messages that show a documented problem: xtk_session (an xtk:session error that does not come with a refused login), cross_device_link (a file can't be renamed because TMPDIR is on another device than var), login_refused (one user's session has expired, password is wrong or address not allowed: XSV-350008, XSV-350012, XSV-350013), database (XSV-350063, ODB-, PGS-, WDB-2).";
    LOG_LAST_MESSAGE: Gauge "campaign_log_last_message_timestamp_seconds" [log, module, campaign_instance]
        "When the last message was written, by its own time, in seconds since 1970-01-01 UTC. Absent while none was seen.";
    LOG_LAST_ERROR: Gauge "campaign_log_last_error_timestamp_seconds" [log, module, campaign_instance]
        "When the last error was written, by its own time, in seconds since 1970-01-01 UTC. Absent while none was seen.";
    LOG_LAST_RUN_ERRORS: Gauge "campaign_log_last_run_errors" [log, module, campaign_instance]
        "Errors of the process that wrote the last messages: for a module that starts when needed, those of its last run, and where several ran at the same time, of all these. Absent while no message was seen.";
    LOG_RUNS: Counter "campaign_log_runs_total" [log, module, campaign_instance, outcome]
        "Runs of a module that starts when needed, by outcome: failure (it wrote an error) and success (it ended without one). A run is what one process writes.";
    LOG_LAST_FAILED_RUN: Gauge "campaign_log_last_failed_run_timestamp_seconds" [log, module, campaign_instance, code]
        "When the last run that failed wrote its first error, in seconds since 1970-01-01 UTC, with that error's code, which is empty where it has none. Absent while none has failed.";
    LOG_SIZE: Gauge "campaign_log_size_bytes" [log, module, campaign_instance]
        "Size of the log file that is being written, in bytes.";
    LOG_LAG: Gauge "campaign_log_lag_bytes" [log, module, campaign_instance]
        "Bytes written to the log but not read yet, an unfinished last line included.";
    LOG_READ_BYTES: Counter "campaign_log_read_bytes_total" [log, module, campaign_instance]
        "Bytes of the log that were read, line by line.";
    LOG_ROTATIONS: Counter "campaign_log_rotations_total" [log, module, campaign_instance]
        "How often a new log file was begun: the file was moved away, truncated or replaced.";
    LOG_GENERATIONS_MISSED: Counter "campaign_log_generations_missed_total" [log, module, campaign_instance]
        "How often a file of the log was gone before its end could be seen, so that it is unknown how much of it was lost.";
    LOG_CONTINUATION_LINES: Counter "campaign_log_continuation_lines_total" [log, module, campaign_instance]
        "Lines that don't start with a time and so continue the message before.";
    LOG_UNPARSED_LINES: Counter "campaign_log_unparsed_lines_total" [log, module, campaign_instance]
        "Lines that could not be read: they start with a time but do not have the documented fields, or there is no message that they could continue.";
    LOG_SKIPPED_BYTES: Counter "campaign_log_skipped_bytes_total" [log, module, campaign_instance]
        "Bytes of the log that were not counted in any line: the part of a line beyond 64 KiB, NUL bytes, and what was deleted before it could be read, as far as that is known.";
    LOG_FILES_FOLLOWED: Gauge "campaign_log_files_followed" []
        "Logs that are followed: 0 where no log was found.";
    LOG_FILES_NOT_FOLLOWED: Gauge "campaign_log_files_not_followed" [campaign_instance, reason]
        "Log files and log directories that can't be followed now, by reason: permission, not_a_file (a FIFO, a directory or a link to nothing in its place), limit (more than 5,000 logs, or no descriptor left), failure.";
    IN_MAIL_POP_PERIOD: Gauge "campaign_inmail_pop_period_seconds" [campaign_instance]
        "The configured popMailPeriodSec of inMail: how often it reads the bounce mailbox, in seconds.";
    LOG_ROTATION_SIZE: Gauge "campaign_log_rotation_size_bytes" []
        "The configured maxFileSizeMb of syslogd, in bytes: a log that reaches it is moved away, and the one before it deleted.";
    STORAGE_SUCCESSFUL: Gauge "campaign_exporter_storage_successful" [collector]
        "1 when the collector's positions and counters (logs, tracking) were stored the last time, 0 when a restart would lose them. Absent when they are not to be stored.";
}

/// Modules that start when needed have no process to watch: their log shows how it went.
pub static LAST_RUN: CheckDef = CheckDef {
    name: "last_run",
    title: Text { en: "last run", pt_br: "última execução" },
    passes_when: Text {
        en: "The module's last run wrote no error to its log.",
        pt_br: "A última execução do módulo não gravou nenhum erro no log.",
    },
    next_steps: Text {
        en: "Read the errors of the run in {log}.\nAsk the operator who scheduled this {module} to start it again.",
        pt_br: "Leia os erros da execução em {log}.\nPeça ao operador que agendou a execução de {module} que a inicie novamente.",
    },
};

/// The checks of this theme.
pub static CHECKS: &[&CheckDef] = &[&LAST_RUN];

/// This theme.
pub(super) const THEME: Theme = Theme {
    title: "Logs",
    group: "campaign_logs",
    interval: "",
    metrics: METRICS,
    checks: CHECKS,
    alerts: alerts::logs::ALERTS,
    records: alerts::logs::RECORDS,
    panel: ("campaign-evidence", 8),
};
