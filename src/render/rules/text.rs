//! The catalog's texts as Prometheus's templates, and as sentences of a page.

use super::options::Options;
use crate::catalog::alerts::{AlertDef, THRESHOLDS};
use crate::catalog::modules::MODULES;
use crate::catalog::signals::{THEMES, metrics};
use crate::catalog::{Lang, Text};

/// What a description says when the value is not known now.
pub(super) const SILENT: Text = Text {
    en: "This was so when the exporter on {host} last answered; the value is not known now.",
    pt_br: "Era assim quando o exportador em {host} respondeu pela última vez; o valor atual é desconhecido.",
};

/// What to do first then.
pub(super) const SILENT_STEPS: Text = Text {
    en: "On {host}: systemctl status campaign_exporter",
    pt_br: "Em {host}: systemctl status campaign_exporter",
};

/// What a text is written for.
pub(super) enum Form<'a> {
    /// An annotation of a rule.
    Template {
        /// The alert.
        alert: &'a AlertDef,
        /// What the rules are rendered with.
        options: &'a Options,
    },
    /// A page, which is read without an alert.
    Page {
        /// Its language.
        lang: Lang,
    },
}

/// A text that may show the value: what stands for it while that is unknown.
pub(super) fn of_value(text: Text, form: &Form, silent: Text) -> String {
    let (Form::Template { alert, options }, true) = (form, text.en.contains("{value")) else {
        return write(text.get(lang_of(form)), form);
    };
    let written = write(text.get(options.lang), form);
    if alert.told.is_empty() {
        return written;
    }
    let silent = write(silent.get(options.lang), form);
    format!("{{{{ if eq (printf \"%.0f\" $value) \"-Inf\" }}}}{silent}{{{{ else }}}}{written}{{{{ end }}}}")
}

fn lang_of(form: &Form) -> Lang {
    match form {
        Form::Template { options, .. } => options.lang,
        Form::Page { lang } => *lang,
    }
}

/// `text` with its placeholders replaced. A brace that opens none stays.
pub(super) fn write(text: &str, form: &Form) -> String {
    let mut written = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        written.push_str(before);
        let is_inside = |c: char| c.is_ascii_alphanumeric() || "_:|".contains(c);
        match after.split_once('}') {
            Some((inside, after)) if !inside.is_empty() && inside.chars().all(is_inside) => {
                written.push_str(&placeholder(inside, form));
                rest = after;
            }
            _ => {
                written.push('{');
                rest = after;
            }
        }
    }
    written + rest
}

fn placeholder(inside: &str, form: &Form) -> String {
    let (what, format) = inside.split_once('|').map_or((inside, ""), |(what, format)| (what, format));
    if let Some(name) = what.strip_prefix("limit:") {
        return limit(name, format, form);
    }
    match form {
        Form::Template { alert, options } => match what.strip_prefix("query:") {
            Some(metric) => query(metric, format, alert, options),
            None if what == "value" => formatted("$value", format, options.lang),
            None => label(what, format, options),
        },
        Form::Page { lang } if format == "aside" => format!(" ({})", named(what, *lang)),
        Form::Page { lang } => named(what, *lang),
    }
}

/// A threshold, in the form that the value beside it has.
fn limit(name: &str, format: &str, form: &Form) -> String {
    let changed = match form {
        Form::Template { options, .. } => options.thresholds.get(name).cloned(),
        Form::Page { .. } => None,
    };
    let default = THRESHOLDS.iter().find(|threshold| threshold.name == name).map_or("", |threshold| threshold.default);
    let number = changed.unwrap_or_else(|| default.to_owned());
    let number = match (format, number.parse::<f64>()) {
        ("duration", Ok(seconds)) => duration(seconds),
        ("percent", Ok(ratio)) => format!("{}%", (ratio * 1e4).round() / 1e2),
        _ => number,
    };
    if lang_of(form) == Lang::PtBr { number.replace('.', ",") } else { number }
}

/// As Prometheus's `humanizeDuration` writes it, without the units of which there are none.
fn duration(seconds: f64) -> String {
    if seconds < 60.0 || seconds.fract() != 0.0 {
        return format!("{seconds}s");
    }
    let mut rest = seconds;
    let mut parts = Vec::new();
    for (unit, length) in [("d", 86_400.0), ("h", 3600.0), ("m", 60.0), ("s", 1.0)] {
        let count = (rest / length).floor();
        rest -= count * length;
        if count > 0.0 {
            parts.push(format!("{count}{unit}"));
        }
    }
    parts.join(" ")
}

fn label(name: &str, format: &str, options: &Options) -> String {
    match (name, format) {
        // The label of the target has the exporter's port.
        ("host", "name") => return "{{ reReplaceAll \":[^:]*$\" \"\" $labels.instance }}".to_owned(),
        (_, "aside") => return format!("{{{{ if $labels.{name} }}}} ({{{{ $labels.{name} }}}}){{{{ end }}}}"),
        _ => {}
    }
    if let Some(other) = format.strip_prefix("or:") {
        return format!("{{{{ if $labels.{name} }}}}{{{{ $labels.{name} }}}}{{{{ else }}}}{other}{{{{ end }}}}");
    }
    match (name, &options.cluster_label) {
        ("host", None) => "{{ $labels.instance }}".to_owned(),
        ("host", Some(cluster)) => format!("{{{{ $labels.instance }}}} ({{{{ $labels.{cluster} }}}})"),
        ("parent", _) => parent(),
        _ => format!("{{{{ $labels.{name} }}}}"),
    }
}

/// The module that commands name: of a child, the one that starts it.
fn parent() -> String {
    let pairs = MODULES.iter().flat_map(|module| module.children.iter().map(|child| (*child, module.name)));
    let choices: String =
        pairs.map(|(child, parent)| format!("if eq $labels.module \"{child}\" }}}}{parent}{{{{ else ")).collect();
    format!("{{{{ {} }}}}{{{{ $labels.module }}}}{{{{ end }}}}", choices.trim_end())
}

fn formatted(value: &str, format: &str, lang: Lang) -> String {
    let comma = if lang == Lang::PtBr { " | reReplaceAll \"[.]\" \",\"" } else { "" };
    match format {
        "int" => format!("{{{{ {value} | printf \"%.0f\" }}}}"),
        "duration" => format!("{{{{ {value} | humanizeDuration{comma} }}}}"),
        "bytes" => format!("{{{{ {value} | humanize1024{comma} }}}}B"),
        "percent" => format!("{{{{ {value} | humanizePercentage{comma} }}}}"),
        "time" => format!("{{{{ {value} | humanizeTimestamp }}}}"),
        _ => format!("{{{{ {value} | humanize{comma} }}}}"),
    }
}

/// Another metric's value with the alert's labels, as far as it has them.
fn query(metric: &str, format: &str, alert: &AlertDef, options: &Options) -> String {
    let of_target: &[&str] = if alert.labels.contains(&"job") { &[] } else { &["job", "instance"] };
    let has = labels_of(metric);
    let own = alert.labels.iter().copied().filter(|label| has.contains(label));
    let cluster = options.cluster_label.as_deref();
    let labels: Vec<_> = of_target.iter().copied().chain(own).chain(cluster).collect();
    let matchers = labels.iter().map(|label| format!("{label}=%q")).collect::<Vec<_>>().join(",");
    let values = labels.iter().map(|label| format!(" $labels.{label}")).collect::<String>();
    format!(
        "{{{{ with printf \"{metric}{{{matchers}}}\"{values} | query }}}}{}{{{{ else }}}}?{{{{ end }}}}",
        formatted(". | first | value", format, options.lang)
    )
}

/// The labels of a metric or of a recorded series.
fn labels_of(name: &str) -> &'static [&'static str] {
    let recorded = THEMES.iter().flat_map(|theme| theme.records).find(|record| record.name == name);
    let metric = metrics().find(|metric| metric.name == name);
    recorded.map(|record| record.labels).or_else(|| metric.map(|metric| metric.labels)).unwrap_or_default()
}

/// What stands for a placeholder on a page.
fn named(what: &str, lang: Lang) -> String {
    let name = |en: &str, pt: &str| if lang == Lang::En { en } else { pt }.to_owned();
    match what {
        "host" => name("HOST", "SERVIDOR"),
        "module" | "parent" => name("MODULE", "MÓDULO"),
        "campaign_instance" => name("INSTANCE", "INSTÂNCIA"),
        "target" => name("TARGET", "ALVO"),
        "value" => name("VALUE", "VALOR"),
        other => match other.strip_prefix("query:") {
            Some(metric) => format!("`{metric}`"),
            None => other.to_uppercase(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::signals::alerts;

    fn template(text: &str, name: &str, options: &Options) -> String {
        let alert = alerts().find(|alert| alert.name == name).unwrap();
        write(text, &Form::Template { alert, options })
    }

    #[test]
    fn placeholders_become_templates() {
        let options = Options::default();
        let write = |text| template(text, "CampaignModuleMemoryAlert", &options);
        assert_eq!(
            write("{module}@{campaign_instance} on {host}"),
            "{{ $labels.module }}@{{ $labels.campaign_instance }} on {{ $labels.instance }}"
        );
        assert_eq!(write("{value|int}, {limit:restarts}"), "{{ $value | printf \"%.0f\" }}, 3");
        assert_eq!(write("a{b=\"{module}\"} {"), "a{b=\"{{ $labels.module }}\"} {");
        assert_eq!(
            write("{query:campaign_module_memory_alert_bytes|bytes}"),
            "{{ with printf \"campaign_module_memory_alert_bytes{job=%q,instance=%q,module=%q,campaign_instance=%q}\" \
             $labels.job $labels.instance $labels.module $labels.campaign_instance | query }}\
             {{ . | first | value | humanize1024 }}B{{ else }}?{{ end }}"
        );
        assert_eq!(
            write("{parent}"),
            "{{ if eq $labels.module \"mtachild\" }}mta{{ else if eq $labels.module \"runwf\" }}wfserver\
             {{ else }}{{ $labels.module }}{{ end }}"
        );
    }

    #[test]
    fn a_limit_has_the_form_of_the_value_beside_it() {
        let mut options = Options { lang: Lang::PtBr, ..Options::default() };
        options.thresholds.insert("queue_ratio".to_owned(), "0.075".to_owned());
        let write = |text| template(text, "CampaignTrackingLate", &options);
        assert_eq!(write("{limit:tracking_late_seconds|duration}, {limit:clock_seconds|duration}"), "2h, 2m");
        assert_eq!(write("{limit:unparsed_ratio|percent}, {limit:queue_ratio|percent}"), "5%, 7,5%");
        for (seconds, text) in [(90_061.0, "1d 1h 1m 1s"), (86_400.0, "1d"), (59.0, "59s"), (0.0, "0s"), (0.5, "0.5s")]
        {
            assert_eq!(duration(seconds), text);
        }
    }

    #[test]
    fn what_is_empty_leaves_no_brackets_and_a_host_no_port() {
        let write = |text| template(text, "CampaignIndicatorAlert", &Options::default());
        assert_eq!(
            write("{indicator}{label|aside}"),
            "{{ $labels.indicator }}{{ if $labels.label }} ({{ $labels.label }}){{ end }}"
        );
        assert_eq!(write("ssh {host|name}"), "ssh {{ reReplaceAll \":[^:]*$\" \"\" $labels.instance }}");
        assert_eq!(super::write("{indicator}{label|aside}", &Form::Page { lang: Lang::En }), "INDICATOR (LABEL)");
    }

    #[test]
    fn a_page_has_names_in_their_place() {
        let page =
            |lang| write("{module}@{campaign_instance}: {value|int} of {query:campaign_x|int}", &Form::Page { lang });
        assert_eq!(page(Lang::En), "MODULE@INSTANCE: VALUE of `campaign_x`");
        assert_eq!(page(Lang::PtBr), "MÓDULO@INSTÂNCIA: VALOR of `campaign_x`");
    }
}
