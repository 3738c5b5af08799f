//! Alerts: the emails that are queued.

use super::{AlertDef, OF_INSTANCE, Severity, Subject, USUAL, t};
use crate::catalog::modules::MTA;

const STEPS: super::Text = t(
    "On {host}: nlserver pdump shows whether mta@{campaign_instance} has children (mtachild)\nRead the end of var/{campaign_instance}/log/mta.log and mtachild.log\nRestart it: nlserver restart mta@{campaign_instance}",
    "Em {host}: o nlserver pdump mostra se o mta@{campaign_instance} tem processos filhos (mtachild)\nLeia o final de var/{campaign_instance}/log/mta.log e de mtachild.log\nReinicie-o: nlserver restart mta@{campaign_instance}",
);

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
            "The workingPath of mta@{campaign_instance} on {host} has been growing for more than 30 minutes, and its oldest file has been waiting for {value|duration}; the limit is {limit:spool_age_seconds} seconds.",
            "O workingPath do mta@{campaign_instance} em {host} cresce há mais de 30 minutos, e o arquivo mais antigo espera há {value|duration}; o limite é {limit:spool_age_seconds} segundos.",
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
            "Processos de entrega do mta@{campaign_instance} em {host} estão presos enquanto há emails na fila.",
        ),
        description: t(
            "For more than 15 minutes, emails have been queued for mta@{campaign_instance} on {host} while its mtachild processes (maxSpareServers or more) use no CPU, or one of them is over six times older than maxAgeSec ({query:campaign_mta_child_max_age_seconds|duration}).",
            "Há mais de 15 minutos há emails na fila do mta@{campaign_instance} em {host} enquanto os processos mtachild (maxSpareServers ou mais) não usam CPU, ou um deles tem mais de seis vezes o maxAgeSec ({query:campaign_mta_child_max_age_seconds|duration}).",
        ),
        next_steps: STEPS,
        ..USUAL
    },
];
