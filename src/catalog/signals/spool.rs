//! The emails that are queued for delivery.

use super::{Theme, define_metrics};
use crate::catalog::modules::MTA;
use crate::catalog::{CheckDef, Module, Text, alerts};

define_metrics! {
    MTA_SPOOL_FILES: Gauge "campaign_mta_spool_files" [campaign_instance]
        "Files queued in the mta's workingPath, two folders deep. Absent while that folder does not exist or can't be read.";
    MTA_SPOOL_OLDEST: Gauge "campaign_mta_spool_oldest_timestamp_seconds" [campaign_instance]
        "When the oldest file in the mta's workingPath was last written, in seconds since 1970-01-01 UTC. Absent when there is none.";
    MTA_SPOOL_LAST_SCAN: Gauge "campaign_mta_spool_last_scan_timestamp_seconds" [campaign_instance]
        "When the mta's workingPath was last read to its end, in seconds since 1970-01-01 UTC: in the background, less often the longer a scan takes.";
    MTA_CHILD_MAX_AGE: Gauge "campaign_mta_child_max_age_seconds" [campaign_instance]
        "The configured maxAgeSec of the mta's children (mtachild), in seconds: how long one is meant to live.";
    MTA_CHILDREN_MAX: Gauge "campaign_mta_spare_servers_max" [campaign_instance]
        "The configured maxSpareServers of the mta: how many spare children (mtachild) it keeps.";
}

/// The module whose folder it is.
pub static OWNER: &Module = &MTA;

/// The variable that stands for the installation.
pub const INSTALLATION_VARIABLE: &str = "XTK_INSTALL_DIR";

/// The variable that stands for the Campaign instance.
pub const INSTANCE_VARIABLE: &str = "INSTANCE_NAME";

/// Work waits => somebody does it.
pub static CHILDREN: CheckDef = CheckDef {
    name: "children",
    title: Text { en: "children", pt_br: "processos filhos" },
    passes_when: Text {
        en: "No file is queued in the workingPath, or a child process (mtachild) runs that delivers it.",
        pt_br: "Não há arquivos na fila do workingPath, ou há um processo filho (mtachild) ativo que o entrega.",
    },
    next_steps: Text {
        en: "Read the end of var/{campaign_instance}/log/mtachild.log and of {log}.\nSee what is queued: ls -lt var/{campaign_instance}/mta\nRestart it: {restart}",
        pt_br: "Leia o final de var/{campaign_instance}/log/mtachild.log e de {log}.\nVeja o que está na fila: ls -lt var/{campaign_instance}/mta\nReinicie-o: {restart}",
    },
};

/// The checks of this theme.
pub static CHECKS: &[&CheckDef] = &[&CHILDREN];

/// This theme.
pub const THEME: Theme = Theme {
    title: "Spool",
    group: "campaign_spool",
    metrics: METRICS,
    checks: CHECKS,
    alerts: alerts::spool::ALERTS,
    records: &[],
    panel: ("campaign-evidence", 25),
};
