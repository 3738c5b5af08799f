//! Every alert there is, a file a theme: what is worth telling a person, and what the notification says.
//!
//! `render` writes rule files and pages from them.
//!
//! Expressions and texts hold placeholders in single braces. In an expression: `{job}` is the matcher of the exporter's
//! scrape job, `{own}` the alert's own labels, `{firing}` the alert as it fires already, `{limit:NAME}` a threshold of
//! [`THRESHOLDS`], `{cluster}` the label of the cluster, if there is one. In a text: `{host}`, the name of a label,
//! `{value|FORMAT}`, `{query:METRIC|FORMAT}` (the metric that has the alert's own labels), `{limit:NAME}`.

pub mod advice;
pub mod exporter;
pub mod fleet;
pub mod log_files;
pub mod logs;
pub mod modules;
pub mod probes;

use super::{Module, Text};

/// How urgent an alert is: the label `severity`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Emails, links or workflows stop, or nothing would be known: the person on call is woken.
    Critical,
    /// To be looked at in working hours.
    Warning,
    /// Good to know.
    Info,
}

impl Severity {
    /// Every severity.
    pub const ALL: [Severity; 3] = [Severity::Critical, Severity::Warning, Severity::Info];

    /// The label value.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Severity::Critical => "critical",
            Severity::Warning => "warning",
            Severity::Info => "info",
        }
    }
}

/// Whose documented text an alert carries.
#[derive(Clone, Copy, Debug)]
pub enum Subject {
    /// One module: its text is in the rule as it is.
    Module(&'static Module),
    /// Whichever module the label `module` names. The alert's own advice comes first, the module's text second.
    AnyModule,
    /// Not a module with a row: a text of our own on what it does, and the page of the documentation (relative to
    /// [`super::modules::DOCUMENTATION`]) that comes closest. Its advice stands for the documented text.
    Own {
        /// What the thing does.
        scope: Text,
        /// The page.
        page: &'static str,
    },
}

/// An alert: the one definition that rule files, runbook pages, documentation and tests refer to.
#[derive(Clone, Copy, Debug)]
pub struct AlertDef {
    /// The alert's name.
    pub name: &'static str,
    /// The PromQL expression, with placeholders.
    pub expr: &'static str,
    /// What must be there, with the alert's labels, for anything to be known. While it is missing and the exporter is
    /// silent, an alert that fires goes on. Empty: the alert is about that silence, or nothing is lost when it ends.
    pub told: &'static str,
    /// Whether it may not begin just after the host's or the exporter's start, and while nothing runs.
    pub grace: bool,
    /// The labels that it has beside those of the target.
    pub labels: &'static [&'static str],
    /// How long it must hold (`for:`), as Prometheus writes durations; empty for at once.
    pub hold: &'static str,
    /// How urgent.
    pub severity: Severity,
    /// Whose documented text it carries.
    pub subject: Subject,
    /// One sentence that names what, whose and where.
    pub summary: Text,
    /// The values with their limits.
    pub description: Text,
    /// What to do first: at most three lines.
    pub next_steps: Text,
    /// What helps, in a few sentences.
    pub advice: Text,
    /// What it means for the people who use Campaign. Empty: that of the module.
    pub impact: Text,
}

/// What an alert has unless it says otherwise.
pub(super) const USUAL: AlertDef = AlertDef {
    name: "",
    expr: "",
    told: "",
    grace: false,
    labels: &[],
    hold: "",
    severity: Severity::Warning,
    subject: Subject::AnyModule,
    summary: t("", ""),
    description: t("", ""),
    next_steps: t("", ""),
    advice: t("", ""),
    impact: t("", ""),
};

macro_rules! nothing_runs {
    () => {
        "max without (module, campaign_instance, check) (campaign_module_check{check=\"running\"}) == 0"
    };
}

macro_rules! just_started {
    () => {
        "campaign_host_time_seconds - campaign_host_boot_time_seconds < {limit:boot_grace_seconds}\nor\n\
         campaign_host_time_seconds - process_start_time_seconds < {limit:start_grace_seconds}"
    };
}

/// No module runs that should. While it is so, no alert with a grace begins on what follows from it: modules that are
/// stopped one after another are one notification.
pub const NOTHING_RUNS: &str = nothing_runs!();

/// Just after the host's or the exporter's start.
pub const JUST_STARTED: &str = just_started!();

/// One of both: the value is always 1.
pub(super) const QUIET: &str = concat!("(\n", just_started!(), "\nor\n", nothing_runs!(), "\n) ^ 0");

/// The recording rule of a group in which alerts have a grace: 1 while none of them begins.
macro_rules! quiet {
    ($group:literal) => {
        RecordingRule {
            name: concat!("instance:", $group, ":quiet"),
            labels: &[],
            expr: $crate::catalog::alerts::QUIET,
        }
    };
}
pub(super) use quiet;

/// The labels of a module's alert.
pub(super) const OF_MODULE: &[&str] = &["module", "campaign_instance"];

/// The labels of a Campaign instance's alert.
pub(super) const OF_INSTANCE: &[&str] = &["campaign_instance"];

pub(super) const fn t(en: &'static str, pt_br: &'static str) -> Text {
    Text { en, pt_br }
}

/// A number that `rules --threshold NAME=VALUE` changes.
#[derive(Clone, Copy, Debug)]
pub struct Threshold {
    /// Its name.
    pub name: &'static str,
    /// What holds without the flag.
    pub default: &'static str,
    /// What it limits.
    pub help: &'static str,
}

const fn threshold(name: &'static str, default: &'static str, help: &'static str) -> Threshold {
    Threshold { name, default, help }
}

/// Every threshold; those that Campaign's own configuration gives are not among them.
pub static THRESHOLDS: &[Threshold] = &[
    threshold("boot_grace_seconds", "600", "How long after a boot no module is reported as down"),
    threshold("start_grace_seconds", "120", "The same after the exporter's start"),
    threshold("restarts", "3", "Starts of a module in 30 minutes"),
    threshold("errors", "120", "Errors in a module's logs in 20 minutes"),
    threshold("session_errors", "3", "xtk:session errors of web in 10 minutes"),
    threshold("rotations", "3", "Rotations of a log in 20 minutes"),
    threshold("unparsed_ratio", "0.05", "Share of a log's lines that can't be read"),
    threshold("tracking_lines", "100", "Tracking log lines in 2 hours that make silence a fault"),
    threshold("tracking_full_ratio", "0.9", "Size of the tracking logs against maxLogsSizeOnDiskMb"),
    threshold("tracking_late_seconds", "7200", "Age of the last message of the tracking job"),
    threshold("spool_age_seconds", "3600", "Age of the oldest file in the mta's workingPath"),
    threshold("queue_ratio", "0.8", "Fill of the Message Center queue"),
    threshold("unattached_segments", "1", "Shared memory segments that no process is attached to"),
    threshold("probe_changes", "6", "Changes between success and failure of a probe in an hour"),
    threshold("exporter_restarts", "3", "Restarts of the exporter in 30 minutes"),
    threshold("clock_seconds", "120", "Difference between the host's clock and that of Prometheus"),
    threshold("fleet_ratio", "0.1", "Share of the hosts on which a module is down"),
    threshold("fleet_hosts", "3", "Hosts on which a module is down, at least"),
];

/// A recording rule.
#[derive(Clone, Copy, Debug)]
pub struct RecordingRule {
    /// `level:metric:operation`.
    pub name: &'static str,
    /// The labels of the result, beside those of the target where the level is one.
    pub labels: &'static [&'static str],
    /// The PromQL expression, with the placeholders of alerts.
    pub expr: &'static str,
}

/// One alert that keeps another from being sent: what the first reports is the cause of the second.
#[derive(Clone, Copy, Debug)]
pub struct Inhibition {
    /// Alerts that say the cause.
    pub sources: &'static [&'static str],
    /// Alerts that are its consequence. Empty: every alert of the exporter but the sources.
    pub targets: &'static [&'static str],
    /// Labels that must be equal.
    pub equal: &'static [&'static str],
    /// Why.
    pub reason: Text,
}

/// The alerts that say that a module is down, and others.
macro_rules! modules_down {
    ($($other:literal),* $(,)?) => {
        &[
            "CampaignInMailDown",
            "CampaignMtaDown",
            "CampaignStatDown",
            "CampaignSyslogdDown",
            "CampaignTrackinglogdDown",
            "CampaignWatchdogDown",
            "CampaignWebDown",
            "CampaignWfserverDown",
            "CampaignModuleDown",
            $($other),*
        ]
    };
}

/// The documented dependencies, as Alertmanager's `inhibit_rules`.
pub static INHIBITIONS: &[Inhibition] = &[
    Inhibition {
        sources: &["CampaignExporterDown"],
        targets: &[],
        equal: &["job", "instance"],
        reason: t(
            "Nothing is known of a host while its exporter does not answer.",
            "Nada se sabe de um servidor enquanto o exportador dele não responde.",
        ),
    },
    Inhibition {
        sources: &["CampaignNoProcessStarts"],
        targets: modules_down![
            "CampaignStatPort",
            "CampaignSyslogdPort",
            "CampaignWebPort",
            "CampaignRedirectionDown",
            "CampaignPingFailed",
            "CampaignMtaBacklog",
            "CampaignLogsMissing",
            "CampaignTrackingLate",
            "CampaignInMailSilent",
            "CampaignMessageCenterPingFailed",
            "CampaignPipelinedNotAnswering",
        ],
        equal: &["job", "instance"],
        reason: t("The watchdog starts all the others.", "O watchdog inicia todos os outros."),
    },
    Inhibition {
        sources: &["CampaignModuleDownOnManyHosts"],
        targets: modules_down![],
        equal: &["job", "module", "campaign_instance"],
        reason: t("One fault on many hosts is one notification.", "Uma falha em muitos servidores é uma notificação."),
    },
    Inhibition {
        sources: &["CampaignWebDown", "CampaignWebPort"],
        targets: &[
            "CampaignRedirectionDown",
            "CampaignPingFailed",
            "CampaignMessageCenterPingFailed",
            "CampaignPipelinedNotAnswering",
            "CampaignWebSessionErrors",
            "CampaignProbeFlapping",
        ],
        equal: &["job", "instance"],
        reason: t("web serves the pages that the probes ask for.", "O web serve as páginas que as sondas consultam."),
    },
    Inhibition {
        sources: &["CampaignPingFailed", "CampaignRedirectionDown"],
        targets: &["CampaignMessageCenterPingFailed", "CampaignProbeFlapping"],
        equal: &["job", "instance", "target"],
        reason: t("The same server answers both.", "O mesmo servidor responde aos dois."),
    },
    Inhibition {
        sources: &["CampaignSyslogdDown", "CampaignSyslogdPort"],
        targets: &["CampaignLogsMissing", "CampaignTrackinglogdSilent", "CampaignTrackingLate", "CampaignInMailSilent"],
        equal: &["job", "instance"],
        reason: t("syslogd writes the logs of all modules.", "O syslogd grava os logs de todos os módulos."),
    },
    Inhibition {
        sources: &["CampaignMtaDown"],
        targets: &["CampaignMtaBacklog", "CampaignMtaBacklogGrowing", "CampaignMtaChildrenStuck"],
        equal: &["job", "instance", "campaign_instance"],
        reason: t("Emails queue up while the mta is down.", "Os emails se acumulam enquanto o mta está fora do ar."),
    },
    Inhibition {
        sources: &["CampaignModuleUnresponsive", "CampaignModuleRestarting"],
        targets: &["CampaignModuleErrors", "CampaignMtaBacklog", "CampaignMtaBacklogGrowing"],
        equal: &["job", "instance", "module", "campaign_instance"],
        reason: t(
            "A module that hangs or keeps dying explains its own errors.",
            "Um módulo travado ou que reinicia o tempo todo explica os próprios erros.",
        ),
    },
];

/// Metrics that no alert and no panel asks for, and why.
pub static UNUSED: &[(&str, &str)] = &[
    ("campaign_configuration_backup_copy", "the status page and check name the file: a copy is no trouble"),
    (
        "campaign_configuration_not_loaded",
        "the status page and check name the instance: it waits for the watchdog's start",
    ),
    (
        "campaign_shared_memory_segments",
        "campaign_shared_memory_bytes and campaign_shared_memory_unattached_segments, which are asked for, tell more",
    ),
    ("campaign_probe_failure_info", "the next steps of the alerts on probes name it: it tells why one failed"),
    ("campaign_module_last_seen_timestamp_seconds", "the status page and check say it of a module that is down"),
    ("campaign_log_continuation_lines_total", "how many lines a message takes tells nothing of health"),
    (
        "campaign_inmail_pop_period_seconds",
        "for a site's own rule on how long inMail may be silent; no document has one",
    ),
    ("campaign_mta_spool_last_scan_timestamp_seconds", "how old campaign_mta_spool_files is, which panels show"),
    ("campaign_core_last_scan_timestamp_seconds", "how old campaign_core_files is, which a panel shows"),
    ("campaign_shared_memory_used_segments", "the check shared_memory judges it, and an alert asks for the check"),
    (
        "campaign_probe_last_run_timestamp_seconds",
        "how old campaign_probe_success is, which goes away when it is too old",
    ),
    ("campaign_probe_http_status_code", "a detail of campaign_probe_failure_info, which the alerts name"),
    ("campaign_probe_runs_total", "the number that campaign_probe_failures_total, which a panel shows, is a part of"),
    ("campaign_pipelined_read_bytes_total", "the triggers received, which a panel shows, tell the same in messages"),
    ("campaign_indicator_max", "the end of an indicator's scale, no threshold"),
    ("campaign_configuration_last_reload_timestamp_seconds", "a file that never changes is read once, and well"),
    (
        "process_virtual_memory_bytes",
        "every client library has it; resident memory, which a panel shows, is what counts",
    ),
    ("process_threads", "their number is fixed from the exporter's start on"),
];
