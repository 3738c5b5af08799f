//! Alerts: the mails that wait to be delivered.

use crate::catalog::modules::MTA;
use crate::catalog::{AlertDef, Severity, Subject, Text};

/// The alerts of this theme.
pub static ALERTS: &[AlertDef] = &[
    AlertDef {
        // The mta starts a child when work comes, and the folder may be a large one: ten minutes are neither.
        name: "CampaignMtaBacklog",
        expr: "campaign_mta_spool_files\n\
               and on (job, instance, campaign_instance) campaign_module_check{module=\"mta\",check=\"children\"} == 0",
        hold: "10m",
        severity: Severity::Critical,
        subject: Subject::Module(&MTA),
        summary: Text {
            en: "Mails wait, and no process delivers them.",
            pt_br: "Há emails à espera e nenhum processo os entrega.",
        },
        description: Text {
            en: "On {{$labels.instance}}, {{$value | printf \"%.0f\"}} files wait in the workingPath of the Campaign \
                 instance {{$labels.campaign_instance}}, and no mtachild has been running for 10 minutes.",
            pt_br: "Em {{$labels.instance}}, {{$value | printf \"%.0f\"}} arquivos esperam no workingPath da \
                    instância {{$labels.campaign_instance}} do Campaign, e nenhum mtachild está em execução há 10 \
                    minutos.",
        },
    },
    AlertDef {
        // A large delivery fills the folder and empties it again: only one that still grows while its oldest file has
        // been waiting for an hour is more than the mta can do. A file that stays for good makes nothing grow.
        name: "CampaignMtaBacklogGrowing",
        expr: "time() - campaign_mta_spool_oldest_timestamp_seconds > 3600\n\
               and deriv(campaign_mta_spool_files[30m]) > 0",
        hold: "30m",
        severity: Severity::Warning,
        subject: Subject::Module(&MTA),
        summary: Text {
            en: "Mails come in faster than Campaign delivers them.",
            pt_br: "Os emails chegam mais rápido do que o Campaign os entrega.",
        },
        description: Text {
            en: "On {{$labels.instance}}, the number of files in the workingPath of the mta of the Campaign instance \
                 {{$labels.campaign_instance}} keeps rising; the oldest has been waiting for \
                 {{$value | humanizeDuration}}.",
            pt_br: "Em {{$labels.instance}}, o número de arquivos no workingPath do mta da instância \
                    {{$labels.campaign_instance}} do Campaign não para de subir; o mais antigo espera há \
                    {{$value | humanizeDuration}}.",
        },
    },
];
