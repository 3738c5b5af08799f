//! Alerts: custom indicators.

use crate::catalog::modules::MONITORING_PROCESSES;
use crate::catalog::{AlertDef, Severity, Subject, Text};

const INDICATOR: Subject = Subject::Own {
    scope: Text {
        en: "A custom indicator of this site, with thresholds of its own.",
        pt_br: "Um indicador personalizado deste ambiente, com limites próprios.",
    },
    troubleshooting: Text {
        en: "Do what your site foresees for this indicator; it comes from cust_indicators.sh or nlserver monitor.",
        pt_br: "Siga o procedimento do seu ambiente para este indicador; ele vem do cust_indicators.sh ou do nlserver monitor.",
    },
    page: MONITORING_PROCESSES,
};

const INDICATOR_FILES: Subject = Subject::Own {
    scope: Text {
        en: "Files with custom indicators are dropped for the exporter by a scheduled job.",
        pt_br: "Os arquivos com indicadores personalizados são entregues ao exportador por uma tarefa agendada.",
    },
    troubleshooting: Text {
        en: "Check the scheduled job that writes the file: it should write to a temporary name and rename it to *.xml. The exporter's log names the file and the line.",
        pt_br: "Verifique a tarefa agendada que grava o arquivo: ela deve gravar com um nome temporário e renomeá-lo para *.xml. O log do exportador informa o arquivo e a linha.",
    },
    page: MONITORING_PROCESSES,
};

/// The alerts of this theme.
pub static ALERTS: &[AlertDef] = &[
    AlertDef {
        name: "CampaignIndicatorAlert",
        expr: "campaign_indicator_value\n\
               >= on (job, instance, indicator) group_left campaign_indicator_alert_threshold",
        hold: "5m",
        severity: Severity::Critical,
        subject: INDICATOR,
        summary: Text {
            en: "A custom indicator has reached its alert threshold.",
            pt_br: "Um indicador personalizado atingiu o limite de alerta.",
        },
        description: Text {
            en: "The indicator {{$labels.indicator}} ({{$labels.label}}) on {{$labels.instance}} is at {{$value | humanize}}, which its alert threshold does not allow.",
            pt_br: "O indicador {{$labels.indicator}} ({{$labels.label}}) em {{$labels.instance}} está em {{$value | humanize}}, o que o limite de alerta não permite.",
        },
    },
    AlertDef {
        name: "CampaignIndicatorWarning",
        expr: "campaign_indicator_value\n\
               >= on (job, instance, indicator) group_left campaign_indicator_warning_threshold\n\
               unless\n\
               campaign_indicator_value\n\
               >= on (job, instance, indicator) group_left campaign_indicator_alert_threshold",
        hold: "5m",
        severity: Severity::Warning,
        subject: INDICATOR,
        summary: Text {
            en: "A custom indicator has reached its warning threshold.",
            pt_br: "Um indicador personalizado atingiu o limite de aviso.",
        },
        description: Text {
            en: "The indicator {{$labels.indicator}} ({{$labels.label}}) on {{$labels.instance}} is at {{$value | humanize}}, which its warning threshold does not allow.",
            pt_br: "O indicador {{$labels.indicator}} ({{$labels.label}}) em {{$labels.instance}} está em {{$value | humanize}}, o que o limite de aviso não permite.",
        },
    },
    AlertDef {
        name: "CampaignIndicatorFileStale",
        expr: "time() - campaign_indicator_file_modified_timestamp_seconds > 3600",
        hold: "5m",
        severity: Severity::Warning,
        subject: INDICATOR_FILES,
        summary: Text {
            en: "A file of custom indicators is no longer written.",
            pt_br: "Um arquivo de indicadores personalizados não é mais gravado.",
        },
        description: Text {
            en: "The indicator file {{$labels.file}} on {{$labels.instance}} was last written {{$value | humanizeDuration}} ago: its values no longer tell how things are.",
            pt_br: "O arquivo de indicadores {{$labels.file}} em {{$labels.instance}} foi gravado pela última vez há {{$value | humanizeDuration}}: seus valores já não refletem a situação.",
        },
    },
    AlertDef {
        name: "CampaignIndicatorFileBroken",
        expr: "campaign_indicator_file_valid == 0",
        hold: "10m",
        severity: Severity::Warning,
        subject: INDICATOR_FILES,
        summary: Text {
            en: "A file of custom indicators can't be read or understood.",
            pt_br: "Um arquivo de indicadores personalizados não pode ser lido ou compreendido.",
        },
        description: Text {
            en: "The indicator file {{$labels.file}} on {{$labels.instance}} can't be read or is not in the documented format.",
            pt_br: "O arquivo de indicadores {{$labels.file}} em {{$labels.instance}} não pode ser lido ou não está no formato documentado.",
        },
    },
];
