//! Custom indicators: what `cust_indicators.sh` and `nlserver monitor` print, dropped as files for the exporter.
//!
//! The format is that of the page "Monitoring processes" of the product documentation.

use super::{Theme, define_metrics};
use crate::catalog::{CheckDef, alerts};

define_metrics! {
    INDICATOR_VALUE: Gauge "campaign_indicator_value" [indicator, label]
        "A current value of a custom indicator, in the indicator's own unit.";
    INDICATOR_WARNING_THRESHOLD: Gauge "campaign_indicator_warning_threshold" [indicator]
        "The indicator's own warning threshold. Absent when it has none.";
    INDICATOR_ALERT_THRESHOLD: Gauge "campaign_indicator_alert_threshold" [indicator]
        "The indicator's own alert threshold. Absent when it has none.";
    INDICATOR_MAX: Gauge "campaign_indicator_max" [indicator]
        "The most that the indicator's values can be. Absent when it says nothing.";
    INDICATOR_FILE_MODIFIED: Gauge "campaign_indicator_file_modified_timestamp_seconds" [file]
        "When the indicator file was last written, in seconds since 1970-01-01 UTC.";
    INDICATOR_FILE_VALID: Gauge "campaign_indicator_file_valid" [file]
        "1 when the indicator file was read and everything in it was understood, else 0; the exporter's log says what is wrong.";
}

/// The checks of this theme.
pub static CHECKS: &[&CheckDef] = &[];

/// This theme.
pub const THEME: Theme = Theme {
    title: "Custom indicators",
    group: "campaign_indicators",
    metrics: METRICS,
    checks: CHECKS,
    alerts: alerts::indicators::ALERTS,
    records: &[],
    panel: ("campaign-evidence", 41),
};
