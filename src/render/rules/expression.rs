//! PromQL out of the catalog's expressions: placeholders, the grace after a start, what goes on while the exporter is
//! silent, and the matchers of `--selector`.

use super::options::{Matcher, Options, escaped};
use crate::catalog::alerts::{AlertDef, JUST_STARTED, NOTHING_RUNS, THRESHOLDS};
use crate::catalog::signals::THEMES;

/// The exporter does not answer, or has just started.
const SILENT: &str = "(up == 0 or campaign_host_time_seconds - process_start_time_seconds < 300)";

/// The expression of `alert`.
///
/// While the exporter is silent, an alert that fires goes on and none begins: `told` is missing, and the alert that
/// already fires is used in its place. Its value is then `-Inf`, where texts show one.
#[must_use]
pub fn of(alert: &AlertDef, options: &Options) -> String {
    let own = alert.labels.join(", ");
    let apart = if own.is_empty() { String::new() } else { format!("ignoring ({own}) ") };
    let mut text = alert.expr.to_owned();
    if alert.grace {
        let condition = indented(alert.expr);
        let quiet = if alert.expr == NOTHING_RUNS {
            format!("(\n{}\n)", indented(JUST_STARTED))
        } else {
            format!("instance:{}:quiet", group(alert))
        };
        text = format!("(\n{condition}\n) unless {apart}{quiet}");
        if !alert.told.is_empty() {
            text = format!("({text})\nor\n(\n{condition}\n) and {{firing}}");
        }
    }
    if !alert.told.is_empty() {
        let shows_value = alert.description.en.contains("{value") || alert.next_steps.en.contains("{value");
        let held = if shows_value { "{firing} * -Inf" } else { "{firing}" };
        let told = indented(&indented(alert.told));
        if !alert.grace {
            text = format!("(\n{}\n)", indented(&text));
        }
        text = format!("{text}\nor\n(\n  ({held}) unless\n{told}\n) and {apart}{SILENT}");
    }
    plain(&text, alert.labels, alert.name, options)
}

/// `expr` with its placeholders replaced and the selector's matchers in it.
#[must_use]
pub fn plain(expr: &str, own: &[&str], alert: &str, options: &Options) -> String {
    let mut text = expr.replace("{own}", &own.join(", ")).replace("{firing}", &firing(alert, options));
    for threshold in THRESHOLDS {
        let value = options.thresholds.get(threshold.name).map_or(threshold.default, String::as_str);
        text = text.replace(&format!("{{limit:{}}}", threshold.name), value);
    }
    let cluster = options.cluster_label.as_ref().map_or_else(String::new, |label| format!(", {label}"));
    text = text.replace("{cluster}", &cluster);
    let names_job = options.selector.iter().any(|matcher| matcher.label == "job");
    let job = if names_job { String::new() } else { format!("{{job=\"{}\"}}", escaped(&options.job)) };
    selected(&text.replace("{job}", &job), &options.selector)
}

/// The group that the alert stands in.
fn group(alert: &AlertDef) -> &'static str {
    let is_in = |alerts: &[AlertDef]| alerts.iter().any(|one| one.name == alert.name);
    THEMES.iter().find(|theme| is_in(theme.alerts)).map_or("", |theme| theme.group)
}

/// The alert as it fires already: with its own labels, without those that the rule gives it.
fn firing(alert: &str, options: &Options) -> String {
    let extra: String = options.labels.keys().map(|label| format!(", {label}")).collect();
    format!(
        "max without (alertname, alertstate, alertgroup, severity{extra}) (ALERTS{{alertname=\"{alert}\",alertstate=\"firing\"}})"
    )
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

/// `expr` with `matchers` in every selector but those of recording rules, whose sources have them.
fn selected(expr: &str, matchers: &[Matcher]) -> String {
    if matchers.is_empty() {
        return expr.to_owned();
    }
    let matchers = matchers.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let mut text = String::new();
    let mut rest = expr;
    while let Some(c) = rest.chars().next() {
        let end = match c {
            '"' => end_of_string(rest),
            c if is_word(c) => rest.find(|c: char| !is_word(c)).unwrap_or(rest.len()),
            c => c.len_utf8(),
        };
        let (word, after) = rest.split_at(end);
        text.push_str(word);
        rest = after;
        if is_metric(word) {
            match rest.strip_prefix('{') {
                Some(inside) => {
                    text.push_str(&format!("{{{matchers},"));
                    rest = inside;
                }
                None => text.push_str(&format!("{{{matchers}}}")),
            }
        }
    }
    text
}

/// Where the string that `text` starts with ends.
fn end_of_string(text: &str) -> usize {
    let mut is_escaped = false;
    let end = text.char_indices().skip(1).find(|(_, c)| {
        let ends = *c == '"' && !is_escaped;
        is_escaped = *c == '\\' && !is_escaped;
        ends
    });
    end.map_or(text.len(), |(at, _)| at + 1)
}

/// Whether a word of the catalog's expressions is a metric that is scraped, or `ALERTS`.
fn is_metric(word: &str) -> bool {
    let ours = word.starts_with("campaign_") && word != "campaign_instance";
    (ours || word.starts_with("process_start") || word == "up" || word == "ALERTS") && !word.contains(':')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::rules::options::selector;

    #[test]
    fn the_job_is_matched_exactly() {
        let with = |job: &str| Options { job: job.to_owned(), ..Options::default() };
        assert_eq!(plain("up{job} == 0", &[], "", &with("campaign")), "up{job=\"campaign\"} == 0");
        assert_eq!(plain("absent(up{job})", &[], "", &with("a\"b\\c|d")), r#"absent(up{job="a\"b\\c|d"})"#);
    }

    #[test]
    fn the_selector_reaches_every_selector_and_stands_for_the_job() {
        let options = Options { selector: selector("job=~\"a|b\",env=\"p\"").unwrap(), ..Options::default() };
        let expr = "max without (campaign_instance) (campaign_x{check=\"up\"}[5m]) + up{job} > ignoring (module) m:campaign_y:max";
        assert_eq!(
            plain(expr, &[], "", &options),
            "max without (campaign_instance) (campaign_x{job=~\"a|b\",env=\"p\",check=\"up\"}[5m]) + \
             up{job=~\"a|b\",env=\"p\"} > ignoring (module) m:campaign_y:max"
        );
    }

    #[test]
    fn thresholds_and_clusters_are_put_in() {
        let mut options = Options { cluster_label: Some("k".to_owned()), ..Options::default() };
        options.thresholds.insert("restarts".to_owned(), "7".to_owned());
        assert_eq!(
            plain("count by (job{cluster}) (a) >= {limit:restarts}", &[], "", &options),
            "count by (job, k) (a) >= 7"
        );
        assert_eq!(plain("a >= {limit:errors}", &[], "", &options), "a >= 120");
    }
}
