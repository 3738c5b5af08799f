//! The installation as the exporter reads it, and the exporter itself.

use super::{Theme, define_metrics};
use crate::catalog::{CheckDef, alerts};

define_metrics! {
    INSTALLATION_INFO: Gauge "campaign_installation_info" [home]
        "Always 1: the folder of the Campaign installation that the exporter reads. Absent while none is found.";
    CONFIGURATION_LAST_RELOAD_SUCCESSFUL: Gauge "campaign_configuration_last_reload_successful" [file]
        "1 when the Campaign configuration file as it is now is in force, 0 when it can't be read: the last good content stays in force.";
    CONFIGURATION_LAST_RELOAD_TIMESTAMP: Gauge "campaign_configuration_last_reload_timestamp_seconds" [file]
        "When the content of the Campaign configuration file that is in force was read, in seconds since 1970-01-01 UTC.";
    CONFIGURATION_INVALID_VALUES: Gauge "campaign_configuration_invalid_values" [file]
        "Values of the Campaign configuration file that can't be read (text in place of a number, a size with its unit): the value of serverConf.xml or the default applies instead. Also elements that occur twice: of an attribute that both set, the later one applies. The exporter's log names file and line.";
    CONFIGURATION_BACKUP_COPY: Gauge "campaign_configuration_backup_copy" [file]
        "Always 1: the file of the folder conf is taken for a backup copy and not read. Its name is that of another instance's file with a backup mark (bak, old, orig, copy, a date, ~), no process of such an instance was seen, and no log of it was written within seven days. At most 100 files.";
    CONFIGURATION_NOT_LOADED: Gauge "campaign_configuration_not_loaded" [campaign_instance]
        "Always 1: the instance's configuration file is newer than the running watchdog, and no process and no log of the instance was ever seen. It is unknown whether its modules have to run until the watchdog starts again: campaign_module_expected is absent.";
    PROCESSES_HIDDEN: Gauge "campaign_processes_hidden" []
        "1 when Campaign's processes may be hidden from the exporter and none was ever seen, so that a module that is not seen may still run: /proc is mounted with hidepid, or the exporter is alone in a container; else 0.";
    PROCESSES_IGNORED: Gauge "campaign_processes_ignored" [reason]
        "Processes called nlserver that are not counted, by reason: other_user (not the user that the installation belongs to), other_installation (another executable), other_namespace (a container or another root directory), undecided (what the exporter may read does not tell whose they are).";
    HEALTH_UNKNOWN: Gauge "campaign_health_unknown" [reason]
        "How many things keep the exporter from telling whether the modules are well, by reason: no_installation, installation_unreadable, configuration_unreadable, environments_differ, processes_hidden, processes_unlisted, processes_undecided, evidence_unreadable, collector_failed. What is unknown is absent from campaign_module_check.";
    EXPORTER_BUILD_INFO: Gauge "campaign_exporter_build_info" [version, revision, rustc]
        "Always 1: the exporter's version, the revision it was built from and the compiler.";
    HOST_TIME: Gauge "campaign_host_time_seconds" []
        "The host's clock at the moment of the scrape, in seconds since 1970-01-01 UTC. Compare the host's other times with it, not with Prometheus' clock.";
    HOST_BOOT_TIME: Gauge "campaign_host_boot_time_seconds" []
        "When the host started, in seconds since 1970-01-01 UTC by its own clock.";
    EXPORTER_FIRST_START: Gauge "campaign_exporter_first_start_timestamp_seconds" []
        "When the exporter first started with this storage, in seconds since 1970-01-01 UTC: what is older was there before it. Absent without storage.";
    EXPORTER_REJECTED_SAMPLES: Counter "campaign_exporter_rejected_samples_total" []
        "Samples that were left out because they broke the metrics contract: a defect of the exporter, please report it.";
    EXPORTER_LOG_LINES_DROPPED: Counter "campaign_exporter_log_lines_dropped_total" []
        "Lines of the exporter's own log that were dropped, because standard error did not take them.";
    SCRAPE_COLLECTOR_SUCCESS: Gauge "campaign_scrape_collector_success" [collector]
        "1 when the collector read everything there is, or this host has no such thing; 0 when something is missing.";
    SCRAPE_COLLECTOR_DURATION: Gauge "campaign_scrape_collector_duration_seconds" [collector]
        "How long the collector took, in seconds.";
    SCRAPE_COLLECTOR_ERRORS: Counter "campaign_scrape_collector_errors_total" [collector, kind]
        "What the collector could not read, by kind: permission, gone, parse, timeout, panic, busy, system.";
    PROCESS_CPU: Counter "process_cpu_seconds_total" []
        "CPU time of the exporter itself, in seconds.";
    PROCESS_RESIDENT_MEMORY: Gauge "process_resident_memory_bytes" []
        "Resident memory of the exporter itself, in bytes.";
    PROCESS_VIRTUAL_MEMORY: Gauge "process_virtual_memory_bytes" []
        "Virtual memory of the exporter itself, in bytes.";
    PROCESS_START_TIME: Gauge "process_start_time_seconds" []
        "When the exporter itself started, in seconds since 1970-01-01 UTC.";
    PROCESS_OPEN_FDS: Gauge "process_open_fds" []
        "Open file descriptors of the exporter itself.";
    PROCESS_MAX_FDS: Gauge "process_max_fds" []
        "The exporter's own limit of open file descriptors.";
    PROCESS_THREADS: Gauge "process_threads" []
        "Threads of the exporter itself.";
}

/// Why the exporter can't tell whether the modules are well: the label `reason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DoubtReason {
    /// No Campaign installation is found.
    NoInstallation,
    /// There may be one, and its folders can't be read.
    InstallationUnreadable,
    /// A configuration file as it is now is not in force.
    ConfigurationUnreadable,
    /// Running modules have folders of logs that the exporter does not read.
    EnvironmentsDiffer,
    /// `/proc` hides other users' processes, and shows none of Campaign's.
    ProcessesHidden,
    /// The processes can't be listed.
    ProcessesUnlisted,
    /// It is unknown whose some processes are, or of which module, and whether their modules run.
    ProcessesUndecided,
    /// Files that modules are judged by can't be read.
    EvidenceUnreadable,
    /// A collector failed.
    CollectorFailed,
}

impl DoubtReason {
    /// Every reason, in the order of the documentation.
    pub const ALL: [DoubtReason; 9] = [
        DoubtReason::NoInstallation,
        DoubtReason::InstallationUnreadable,
        DoubtReason::ConfigurationUnreadable,
        DoubtReason::EnvironmentsDiffer,
        DoubtReason::ProcessesHidden,
        DoubtReason::ProcessesUnlisted,
        DoubtReason::ProcessesUndecided,
        DoubtReason::EvidenceUnreadable,
        DoubtReason::CollectorFailed,
    ];

    /// The label value.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            DoubtReason::NoInstallation => "no_installation",
            DoubtReason::InstallationUnreadable => "installation_unreadable",
            DoubtReason::ConfigurationUnreadable => "configuration_unreadable",
            DoubtReason::EnvironmentsDiffer => "environments_differ",
            DoubtReason::ProcessesHidden => "processes_hidden",
            DoubtReason::ProcessesUnlisted => "processes_unlisted",
            DoubtReason::ProcessesUndecided => "processes_undecided",
            DoubtReason::EvidenceUnreadable => "evidence_unreadable",
            DoubtReason::CollectorFailed => "collector_failed",
        }
    }

    /// Whether nothing can be judged while it holds.
    #[must_use]
    pub const fn is_of_everything(self) -> bool {
        matches!(self, DoubtReason::NoInstallation | DoubtReason::InstallationUnreadable)
    }
}

/// The checks of this theme.
pub static CHECKS: &[&CheckDef] = &[];

/// This theme.
pub(super) const THEME: Theme = Theme {
    title: "The installation and the exporter",
    group: "campaign_exporter",
    interval: "",
    metrics: METRICS,
    checks: CHECKS,
    alerts: alerts::exporter::ALERTS,
    records: &[],
    panel: ("campaign-overview", 32),
};
