//! The emails that are queued for delivery.

use super::{Theme, define_metrics};
use crate::catalog::alerts::{AlertDef, OF_INSTANCE, RecordingRule, Severity, Subject, USUAL, quiet, t};
use crate::catalog::modules::MTA;
use crate::catalog::{CheckDef, Module, Text};

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
        "The configured maxSpareServers of the mta: how many spare children (mtachild) it keeps at most.";
}

/// The module whose folder it is.
pub static OWNER: &Module = &MTA;

/// The variable that stands for the installation.
pub const INSTALLATION_VARIABLE: &str = "XTK_INSTALL_DIR";

/// The variable that stands for the Campaign instance.
pub const INSTANCE_VARIABLE: &str = "INSTANCE_NAME";

/// Emails are queued => a child runs.
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

const STEPS: Text = t(
    "On {host}: nlserver pdump shows whether mta@{campaign_instance} has children (mtachild)\nRead the end of var/{campaign_instance}/log/mta.log and mtachild.log\nRestart it: nlserver restart mta@{campaign_instance}",
    "Em {host}: o nlserver pdump mostra se o mta@{campaign_instance} tem processos filhos (mtachild)\nLeia o final de var/{campaign_instance}/log/mta.log e de mtachild.log\nReinicie-o: nlserver restart mta@{campaign_instance}",
);

/// The recording rules of this theme.
pub static RECORDS: &[RecordingRule] = &[quiet!("campaign_spool")];

/// The alerts of this theme.
pub static ALERTS: &[AlertDef] = &[
    AlertDef {
        // The mta starts a child when work comes, and the folder may be a large one: ten minutes are neither.
        name: "CampaignMtaBacklog",
        expr: "campaign_mta_spool_files\nand max without (module, check) (campaign_module_check{module=\"mta\",check=\"children\"}) == 0",
        told: "max without (module, check) (campaign_module_check{module=\"mta\",check=\"children\"})",
        grace: true,
        labels: OF_INSTANCE,
        hold: "10m",
        severity: Severity::Critical,
        subject: Subject::Module(&MTA),
        summary: t(
            "Emails are queued in mta@{campaign_instance} on {host}, and no process delivers them.",
            "Há emails na fila do mta@{campaign_instance} em {host} e nenhum processo os entrega.",
        ),
        description: t(
            "The number of files in the workingPath of mta@{campaign_instance} on {host} is {value|int}, and no mtachild has been running for more than 10 minutes.",
            "O número de arquivos no workingPath do mta@{campaign_instance} em {host} é {value|int}, e nenhum mtachild está em execução há mais de 10 minutos.",
        ),
        next_steps: STEPS,
        ..USUAL
    },
    AlertDef {
        // A large delivery fills the folder and empties it again: only one that still grows while its oldest file has
        // been waiting for an hour is more than the mta can do. A file that stays for good makes nothing grow.
        name: "CampaignMtaBacklogGrowing",
        expr: "campaign_host_time_seconds - ignoring ({own}) group_right () campaign_mta_spool_oldest_timestamp_seconds > {limit:spool_age_seconds}\n\
               and deriv(campaign_mta_spool_files[30m]) > 0",
        told: "campaign_mta_spool_files",
        labels: OF_INSTANCE,
        hold: "30m",
        subject: Subject::Module(&MTA),
        summary: t(
            "Emails reach mta@{campaign_instance} on {host} faster than it delivers them.",
            "Os emails chegam ao mta@{campaign_instance} em {host} mais rápido do que ele os entrega.",
        ),
        description: t(
            "The workingPath of mta@{campaign_instance} on {host} has been growing for more than 30 minutes, and its oldest file has been waiting for {value|duration}; the limit is {limit:spool_age_seconds|duration}.",
            "O workingPath do mta@{campaign_instance} em {host} cresce há mais de 30 minutos, e o arquivo mais antigo espera há {value|duration}; o limite é de {limit:spool_age_seconds|duration}.",
        ),
        next_steps: STEPS,
        ..USUAL
    },
    AlertDef {
        // A child works through its mails and ends by maxAgeSec. One that uses no CPU while emails are queued, or is many
        // times older, holds a place that a working one should have.
        name: "CampaignMtaChildrenStuck",
        expr: "(\n\
               \x20 sum without (module, mode) (rate(campaign_module_cpu_seconds_total{module=\"mtachild\"}[15m])) == 0\n\
               \x20 and max without (module) (campaign_module_processes{module=\"mtachild\"}) >= (campaign_mta_spare_servers_max > 0)\n\
               \x20 or\n\
               \x20 max without (module) (campaign_host_time_seconds - ignoring (module, campaign_instance) group_right () campaign_module_start_time_seconds{module=\"mtachild\"}) > 6 * campaign_mta_child_max_age_seconds\n\
               )\n\
               and campaign_mta_spool_files > 0",
        told: "campaign_mta_spool_files",
        labels: OF_INSTANCE,
        hold: "15m",
        subject: Subject::Module(&MTA),
        summary: t(
            "Delivery processes of mta@{campaign_instance} on {host} are stuck while emails are queued.",
            "Processos de entrega do mta@{campaign_instance} em {host} estão travados enquanto há emails na fila.",
        ),
        description: t(
            "For more than 15 minutes, emails have been queued for mta@{campaign_instance} on {host} while its mtachild processes (maxSpareServers or more) use no CPU, or one of them is over six times older than maxAgeSec ({query:campaign_mta_child_max_age_seconds|duration}).",
            "Há mais de 15 minutos há emails na fila do mta@{campaign_instance} em {host} enquanto os processos mtachild (maxSpareServers ou mais) não usam CPU, ou um deles tem mais de seis vezes o maxAgeSec ({query:campaign_mta_child_max_age_seconds|duration}).",
        ),
        next_steps: STEPS,
        ..USUAL
    },
];

/// This theme.
pub(super) const THEME: Theme = Theme {
    title: "Spool",
    group: "campaign_spool",
    interval: "",
    metrics: METRICS,
    checks: CHECKS,
    alerts: ALERTS,
    records: RECORDS,
    panel: ("campaign-evidence", 25),
};
