//! Custom indicators: what `cust_indicators.sh` and `nlserver monitor` print, dropped as files for the exporter.
//!
//! The format is that of the page "Monitoring processes" of the product documentation.

use super::{Theme, define_metrics};
use crate::catalog::alerts::{AlertDef, Subject, USUAL, t};
use crate::catalog::modules::MONITORING_PROCESSES;
use crate::catalog::{CheckDef, Text};

define_metrics! {
    INDICATOR_VALUE: Gauge "campaign_indicator_value" [indicator, label]
        "A current value of a custom indicator, in the indicator's own unit.";
    INDICATOR_WARNING_THRESHOLD: Gauge "campaign_indicator_warning_threshold" [indicator]
        "The indicator's own warning threshold. Absent when it has none.";
    INDICATOR_ALERT_THRESHOLD: Gauge "campaign_indicator_alert_threshold" [indicator]
        "The indicator's own alert threshold. Absent when it has none.";
    INDICATOR_MAX: Gauge "campaign_indicator_max" [indicator]
        "The maximum of the indicator's values. Absent when it names none.";
    INDICATOR_FILE_MODIFIED: Gauge "campaign_indicator_file_modified_timestamp_seconds" [file]
        "When the indicator file was last written, in seconds since 1970-01-01 UTC.";
    INDICATOR_FILE_VALID: Gauge "campaign_indicator_file_valid" [file]
        "1 when the indicator file was read and everything in it was understood, else 0; the exporter's log says what is wrong.";
}

/// The checks of this theme.
pub static CHECKS: &[&CheckDef] = &[];

const INDICATOR: &[&str] = &["indicator", "label"];

const OWN: Subject = Subject::Own {
    scope: t(
        "A custom indicator of this site, with thresholds of its own.",
        "Um indicador personalizado deste ambiente, com limites próprios.",
    ),
    page: MONITORING_PROCESSES,
};

const FILES: Subject = Subject::Own {
    scope: t(
        "Files with custom indicators, which a scheduled job writes for the exporter.",
        "Arquivos com indicadores personalizados, gravados por uma tarefa agendada para o exportador.",
    ),
    page: MONITORING_PROCESSES,
};

const ADVICE: Text = t(
    "Follow your site's procedure for this indicator; it comes from cust_indicators.sh or nlserver monitor.",
    "Siga o procedimento do seu ambiente para este indicador; ele vem do cust_indicators.sh ou do nlserver monitor.",
);

const STEPS: Text = t(
    "Follow your site's procedure for {indicator}\nOn {host}: read what cust_indicators.sh measures",
    "Siga o procedimento do seu ambiente para {indicator}\nEm {host}: leia o que o cust_indicators.sh mede",
);

const IMPACT: Text = t("Your site defined it.", "Foi definido pelo seu ambiente.");

const FILE_ADVICE: Text = t(
    "Check the scheduled job that writes the file: it should write to a temporary name and rename it to *.xml. The exporter's log names the file and the line.",
    "Verifique a tarefa agendada que grava o arquivo: ela deve gravar com um nome temporário e renomeá-lo para *.xml. O log do exportador informa o arquivo e a linha.",
);

const FILE_STEPS: Text = t(
    "On {host}: check the cron job that writes {file}\nThe exporter's log names file and line: journalctl -u campaign_exporter",
    "Em {host}: verifique a tarefa do cron que grava {file}\nO log do exportador informa o arquivo e a linha: journalctl -u campaign_exporter",
);

const FILE_IMPACT: Text =
    t("The indicators of this file are not watched.", "Os indicadores deste arquivo não são monitorados.");

/// Values beyond a threshold, in the direction that the order of the two thresholds gives: the alert threshold below the
/// warning threshold means that less is worse.
macro_rules! beyond {
    ($threshold:literal) => {
        concat!(
            "campaign_indicator_value >= ignoring (label) group_left () (campaign_indicator_",
            $threshold,
            "_threshold\n",
            "  unless campaign_indicator_alert_threshold < campaign_indicator_warning_threshold)\n",
            "or\n",
            "campaign_indicator_value <= ignoring (label) group_left () (campaign_indicator_",
            $threshold,
            "_threshold\n",
            "  and campaign_indicator_alert_threshold < campaign_indicator_warning_threshold)",
        )
    };
}

/// The alerts of this theme.
pub static ALERTS: &[AlertDef] = &[
    AlertDef {
        name: "CampaignIndicatorAlert",
        expr: beyond!("alert"),
        told: "campaign_indicator_value",
        labels: INDICATOR,
        hold: "5m",
        subject: OWN,
        summary: t(
            "The indicator {indicator} on {host} has reached its alert threshold.",
            "O indicador {indicator} em {host} atingiu o limite de alerta.",
        ),
        description: t(
            "The indicator {indicator}{label|aside} on {host} is at {value|number} and has reached its alert threshold, {query:campaign_indicator_alert_threshold|number}.",
            "O indicador {indicator}{label|aside} em {host} está em {value|number} e atingiu o limite de alerta, {query:campaign_indicator_alert_threshold|number}.",
        ),
        next_steps: STEPS,
        advice: ADVICE,
        impact: IMPACT,
        ..USUAL
    },
    AlertDef {
        name: "CampaignIndicatorWarning",
        expr: concat!("(\n", beyond!("warning"), "\n)\nunless\n(\n", beyond!("alert"), "\n)"),
        told: "campaign_indicator_value",
        labels: INDICATOR,
        hold: "5m",
        subject: OWN,
        summary: t(
            "The indicator {indicator} on {host} has reached its warning threshold.",
            "O indicador {indicator} em {host} atingiu o limite de aviso.",
        ),
        description: t(
            "The indicator {indicator}{label|aside} on {host} is at {value|number} and has reached its warning threshold, {query:campaign_indicator_warning_threshold|number}.",
            "O indicador {indicator}{label|aside} em {host} está em {value|number} e atingiu o limite de aviso, {query:campaign_indicator_warning_threshold|number}.",
        ),
        next_steps: STEPS,
        advice: ADVICE,
        impact: IMPACT,
        ..USUAL
    },
    AlertDef {
        // By the file's own period, as the last week shows it; and still while it stays so, for its period seems longer
        // the longer it is late.
        name: "CampaignIndicatorFileStale",
        expr: "campaign_host_time_seconds - ignoring ({own}) group_right () campaign_indicator_file_modified_timestamp_seconds\n\
               \x20 > 3600 + 2.5 * 604800 / clamp_min(changes(campaign_indicator_file_modified_timestamp_seconds[7d]), 1)\n\
               or\n\
               campaign_host_time_seconds - ignoring ({own}) group_right () campaign_indicator_file_modified_timestamp_seconds > 3600\n\
               and {firing}",
        told: "campaign_indicator_file_modified_timestamp_seconds",
        labels: &["file"],
        hold: "5m",
        subject: FILES,
        summary: t(
            "The indicator file {file} on {host} is no longer written.",
            "O arquivo de indicadores {file} em {host} não é mais gravado.",
        ),
        description: t(
            "The indicator file {file} on {host} was last written {value|duration} ago; in the last week it was written more often. Its values are out of date.",
            "O arquivo de indicadores {file} em {host} foi gravado pela última vez há {value|duration}; na última semana, ele era gravado com mais frequência. Os valores estão desatualizados.",
        ),
        next_steps: FILE_STEPS,
        advice: FILE_ADVICE,
        impact: FILE_IMPACT,
        ..USUAL
    },
    AlertDef {
        name: "CampaignIndicatorFileBroken",
        expr: "campaign_indicator_file_valid == 0",
        told: "campaign_indicator_file_valid",
        labels: &["file"],
        hold: "10m",
        subject: FILES,
        summary: t(
            "The indicator file {file} on {host} can't be read or understood.",
            "O arquivo de indicadores {file} em {host} não pode ser lido ou compreendido.",
        ),
        description: t(
            "For more than 10 minutes, the indicator file {file} on {host} has been unreadable or not in the documented format.",
            "Há mais de 10 minutos, o arquivo de indicadores {file} em {host} não pode ser lido ou não está no formato documentado.",
        ),
        next_steps: FILE_STEPS,
        advice: FILE_ADVICE,
        impact: FILE_IMPACT,
        ..USUAL
    },
];

/// This theme.
pub(super) const THEME: Theme = Theme {
    title: "Custom indicators",
    group: "campaign_indicators",
    interval: "",
    metrics: METRICS,
    checks: CHECKS,
    alerts: ALERTS,
    records: &[],
    panel: ("campaign-evidence", 41),
};
