//! What crashes leave behind: core files, shared memory, zombies. The system indicators of the documented instance
//! monitoring page that are Campaign's own.

use super::{Theme, define_metrics};
use crate::catalog::modules::TRACKINGLOGD;
use crate::catalog::{CheckDef, Module, Text, alerts};

define_metrics! {
    CORE_FILES: Gauge "campaign_core_files" []
        "Core files of Campaign's processes: core and core.<number> below the installation, and where kernel.core_pattern puts those of nlserver.";
    CORE_NEWEST: Gauge "campaign_core_newest_timestamp_seconds" []
        "When the newest core file was written, in seconds since 1970-01-01 UTC. Absent when there is none.";
    CORE_LAST_SCAN: Gauge "campaign_core_last_scan_timestamp_seconds" []
        "When core files were last looked for, in seconds since 1970-01-01 UTC: in the background, less often the longer a scan takes.";
    CORE_PIPED: Gauge "campaign_core_pattern_piped" []
        "1 when kernel.core_pattern gives core files to a program, so that a crash leaves no file that campaign_core_files could count; else 0.";
    SHARED_MEMORY_SEGMENTS: Gauge "campaign_shared_memory_segments" []
        "Shared memory segments (System V) of the user that Campaign runs as. trackinglogd uses one.";
    SHARED_MEMORY_USED: Gauge "campaign_shared_memory_used_segments" []
        "Shared memory segments (System V) that Campaign's processes are attached to, made, or used last, whoever owns them. Absent where that can't be told.";
    SHARED_MEMORY_UNATTACHED: Gauge "campaign_shared_memory_unattached_segments" []
        "Shared memory segments (System V) of the user that Campaign runs as to which no process is attached.";
    SHARED_MEMORY_BYTES: Gauge "campaign_shared_memory_bytes" []
        "Size of the shared memory segments (System V) of the user that Campaign runs as, in bytes.";
}

/// The module that uses a shared memory segment.
pub static SHARED_MEMORY_USER: &Module = &TRACKINGLOGD;

/// Where tracking entries wait to be written.
pub static SHARED_MEMORY: CheckDef = CheckDef {
    name: "shared_memory",
    title: Text { en: "shared memory", pt_br: "memória compartilhada" },
    passes_when: Text {
        en: "There is a shared memory segment, Campaign's own or one that it uses, from which the module takes its entries.",
        pt_br: "Há um segmento de memória compartilhada, do próprio Campaign ou usado por ele, do qual o módulo obtém os \
                registros.",
    },
    next_steps: Text {
        en: "List the segments: ipcs -m\nRead the end of {log}.\nStop the web server and nlserver; start nlserver, then the web server.",
        pt_br: "Liste os segmentos: ipcs -m\nLeia o final de {log}.\nPare o servidor web e o nlserver; inicie o nlserver e depois o servidor web.",
    },
};

/// The checks of this theme.
pub static CHECKS: &[&CheckDef] = &[&SHARED_MEMORY];

/// This theme.
pub const THEME: Theme = Theme {
    title: "Crashes",
    group: "campaign_crashes",
    metrics: METRICS,
    checks: CHECKS,
    alerts: alerts::crash::ALERTS,
    records: &[],
    panel: ("campaign-evidence", 6),
};
