//! The modules' processes: what they use, whether they live, and what the documentation asks of them.

use super::{Theme, define_metrics};
use crate::catalog::{AlertDef, CheckDef};

define_metrics! {
    MODULE_EXPECTED: Gauge "campaign_module_expected" [module, campaign_instance]
        "Resident modules: 1 when the configuration starts the module automatically, else 0. The watchdog is expected wherever anything is.";
    MODULE_UP: Gauge "campaign_module_up" [module, campaign_instance]
        "Resident modules that are expected or seen: 1 when a live process (not a zombie) exists, else 0.";
    MODULE_PROCESSES: Gauge "campaign_module_processes" [module, campaign_instance]
        "Processes of the module now, zombies included.";
    MODULE_STARTS: Counter "campaign_module_starts_total" [module, campaign_instance]
        "Process starts that the exporter saw, short-lived ones included. Processes that ran before the exporter did are not counted.";
    MODULE_START_TIME: Gauge "campaign_module_start_time_seconds" [module, campaign_instance]
        "When the module's oldest live process started, in seconds since 1970-01-01 UTC.";
    MODULE_CPU: Counter "campaign_module_cpu_seconds_total" [module, campaign_instance, mode]
        "CPU time of the module's processes by mode (user, system), in seconds. Never falls when a process ends.";
    MODULE_RESIDENT_MEMORY: Gauge "campaign_module_resident_memory_bytes" [module, campaign_instance]
        "Resident memory, summed over the module's processes, in bytes. Pages that processes share count for each.";
    MODULE_VIRTUAL_MEMORY: Gauge "campaign_module_virtual_memory_bytes" [module, campaign_instance]
        "Virtual memory, summed over the module's processes, in bytes.";
    MODULE_RESIDENT_MEMORY_MAX: Gauge "campaign_module_process_resident_memory_max_bytes" [module, campaign_instance]
        "Resident memory of the module's largest process, in bytes: what the configured thresholds are meant for.";
    MODULE_MEMORY_WARNING: Gauge "campaign_module_memory_warning_bytes" [module, campaign_instance]
        "The configured maxProcessMemoryWarningMb of the module, in bytes.";
    MODULE_MEMORY_ALERT: Gauge "campaign_module_memory_alert_bytes" [module, campaign_instance]
        "The configured maxProcessMemoryAlertMb of the module, in bytes.";
    MODULE_THREADS: Gauge "campaign_module_threads" [module, campaign_instance]
        "Threads, summed over the module's processes.";
    MODULE_OPEN_FDS: Gauge "campaign_module_open_fds" [module, campaign_instance]
        "Open file descriptors, summed over the processes whose descriptors the exporter may read.";
    MODULE_OPEN_FDS_RATIO: Gauge "campaign_module_open_fds_ratio" [module, campaign_instance]
        "Open file descriptors divided by the soft limit, of the process where that is worst (0 to 1).";
    MODULE_READ_BYTES: Counter "campaign_module_read_bytes_total" [module, campaign_instance]
        "Bytes that the module's processes had fetched from storage. Never falls when a process ends.";
    MODULE_WRITTEN_BYTES: Counter "campaign_module_written_bytes_total" [module, campaign_instance]
        "Bytes that the module's processes had sent to storage. Never falls when a process ends.";
    MODULE_STATES: Gauge "campaign_module_states" [module, campaign_instance, state]
        "Processes of the module by state: running, sleeping, waiting (uninterruptible), stopped, zombie, other.";
    MODULE_WAITING: Gauge "campaign_module_waiting_seconds" [module, campaign_instance]
        "How long the exporter has seen a process of the module wait uninterruptibly without using the CPU, in seconds; the longest of them, 0 when none waits.";
    MODULE_VERBOSE: Gauge "campaign_module_verbose" [module, campaign_instance]
        "1 when a process of the module runs with -verbose or -tracefilter beyond what its configured args ask for, else 0.";
    MODULE_CHECK: Gauge "campaign_module_check" [module, campaign_instance, check]
        "The checks that the documentation asks the operator to make: 1 passes, 0 fails, absent when there is nothing to judge by.";
    MODULE_HEALTHY: Gauge "campaign_module_healthy" [module, campaign_instance]
        "0 when one of the module's checks fails, else 1.";
}

/// The checks of this theme.
pub static CHECKS: &[&CheckDef] = &[];

/// The alerts of this theme.
pub static ALERTS: &[AlertDef] = &[];

/// This theme.
pub const THEME: Theme = Theme { title: "Modules", metrics: METRICS, checks: CHECKS, alerts: ALERTS };
