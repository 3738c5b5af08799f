//! The catalog as runbook pages: one an alert, in both languages, and a list of them.
//!
//! Only the Markdown and the headings are made here; the content is in the catalog.

use std::collections::BTreeSet;

use super::rules::expression;
use super::rules::options::Options;
use super::rules::page_text;
use crate::catalog::alerts::{AlertDef, INHIBITIONS, Inhibition, Subject, advice};
use crate::catalog::modules::{LOG_FILES, MODULES, RUNBOOK, url};
use crate::catalog::signals::{THEMES, metrics};
use crate::catalog::{Lang, Module, Text};

/// The headings of a page, and what stands around them.
struct PageWords {
    opening: &'static str,
    meaning: &'static str,
    impact: &'static str,
    diagnosis: &'static str,
    remedy: &'static str,
    silence: &'static str,
    links: &'static str,
    documented: &'static str,
    of_module: &'static str,
    metrics: &'static str,
    expression: &'static str,
    at_once: &'static str,
    after: &'static str,
    ends: &'static str,
    ends_event: &'static str,
    held: &'static str,
    grace: &'static str,
    inhibited: &'static str,
    planned: &'static str,
    list: &'static str,
}

const ENGLISH: PageWords = PageWords {
    opening: "Generated from the catalog by `make generate`; changes made here are lost.",
    meaning: "Meaning",
    impact: "Impact",
    diagnosis: "Diagnosis",
    remedy: "Remedy",
    silence: "What silences it",
    links: "Links",
    documented: "The documentation says:",
    of_module: "Depends on the module:",
    metrics: "Metrics to look at",
    expression: "The expression",
    at_once: "Fires at once.",
    after: "Fires after",
    ends: "It ends by itself when the expression no longer holds.",
    ends_event: "It is about an event, and ends by itself some minutes later.",
    held: "While the exporter is silent it stays as it was.",
    grace: "It does not begin within the first minutes after the host's or the exporter's start, nor while no module runs at all.",
    inhibited: "Not sent while one of these fires",
    planned: "Planned work",
    list: "Alerts",
};

const PORTUGUESE: PageWords = PageWords {
    opening: "Página gerada a partir do catálogo por `make generate`; alterações feitas aqui se perdem.",
    meaning: "Significado",
    impact: "Impacto",
    diagnosis: "Diagnóstico",
    remedy: "Solução",
    silence: "O que o silencia",
    links: "Links",
    documented: "A documentação diz:",
    of_module: "Depende do módulo:",
    metrics: "Métricas a consultar",
    expression: "A expressão",
    at_once: "Dispara imediatamente.",
    after: "Dispara após",
    ends: "Ele se encerra sozinho quando a expressão deixa de valer.",
    ends_event: "Trata-se de um evento: ele se encerra sozinho alguns minutos depois.",
    held: "Enquanto o exportador não responde, ele permanece como estava.",
    grace: "Ele não começa nos primeiros minutos após o início do servidor ou do exportador, nem enquanto nenhum módulo está em execução.",
    inhibited: "Não é enviado enquanto um destes estiver ativo",
    planned: "Manutenção planejada",
    list: "Alertas",
};

const fn words(lang: Lang) -> &'static PageWords {
    match lang {
        Lang::En => &ENGLISH,
        Lang::PtBr => &PORTUGUESE,
    }
}

/// The page of `alert` in `lang`.
#[must_use]
pub fn page(alert: &AlertDef, lang: Lang) -> String {
    let words = words(lang);
    let text = |text: Text| page_text(text, lang);
    let mut page = format!("# {}\n\n{}\n", alert.name, words.opening);
    let mut part = |heading: &str, body: &str| page.push_str(&format!("\n## {heading}\n\n{}\n", body.trim_end()));
    let timing =
        if alert.hold.is_empty() { words.at_once.to_owned() } else { format!("{} {}.", words.after, alert.hold) };
    part(
        words.meaning,
        &format!(
            "**{}** {}\n\n{} `severity=\"{}\"`",
            text(alert.summary),
            text(alert.description),
            timing,
            alert.severity.label()
        ),
    );
    part(words.impact, &impact(alert, lang));
    part(words.diagnosis, &diagnosis(alert, lang));
    part(words.remedy, &remedy(alert, lang));
    part(words.silence, &silence(alert, lang));
    part(words.links, &links(alert, lang));
    page
}

/// The list of the pages in `lang`.
#[must_use]
pub fn index(lang: Lang) -> String {
    let words = words(lang);
    let mut page = format!("# {}\n\n{}\n", words.list, words.opening);
    for theme in THEMES {
        page.push('\n');
        for alert in theme.alerts {
            let summary = page_text(alert.summary, lang);
            page.push_str(&format!("- [{0}]({0}.md) ({1}): {summary}\n", alert.name, alert.severity.label()));
        }
    }
    page
}

fn impact(alert: &AlertDef, lang: Lang) -> String {
    let own = page_text(alert.impact, lang);
    match alert.subject {
        _ if !own.is_empty() => own,
        Subject::Module(module) => {
            advice::of(module.name).map_or_else(String::new, |advice| page_text(advice.impact, lang))
        }
        _ => of_modules(lang, |module| advice::of(module.name).map(|advice| advice.impact.get(lang))),
    }
}

fn diagnosis(alert: &AlertDef, lang: Lang) -> String {
    let words = words(lang);
    let mut body: String = page_text(alert.next_steps, lang)
        .lines()
        .enumerate()
        .map(|(at, line)| format!("{}. {line}\n", at + 1))
        .collect();
    let mentioned: BTreeSet<_> = metrics().map(|metric| metric.name).filter(|name| names(alert, name)).collect();
    if !mentioned.is_empty() {
        let list: Vec<_> = mentioned.iter().map(|name| format!("`{name}`")).collect();
        body.push_str(&format!("\n{}: {}\n", words.metrics, list.join(", ")));
    }
    let options = Options::default();
    let expr = expression::plain(condition(alert), alert.labels, alert.name, &options);
    body + &format!("\n{}:\n\n```promql\n{expr}\n```\n", words.expression)
}

/// The expression of `alert`; where that is a series recorded for it alone, the expression of that rule.
fn condition(alert: &AlertDef) -> &'static str {
    let recorded = THEMES.iter().flat_map(|theme| theme.records).find(|record| record.name == alert.expr);
    recorded.map_or(alert.expr, |record| record.expr)
}

/// Whether the expression of `alert` uses the metric `name`, and not only one that starts with that name.
fn names(alert: &AlertDef, name: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let both = [condition(alert), alert.told].join(" ");
    both.match_indices(name).any(|(at, _)| !both[at + name.len()..].starts_with(is_word))
}

fn remedy(alert: &AlertDef, lang: Lang) -> String {
    let words = words(lang);
    let advice_text = page_text(alert.advice, lang);
    match alert.subject {
        Subject::Module(module) => {
            let documented = format!("{}\n\n{}", words.documented, quoted(module.troubleshooting.get(lang)));
            let of = advice::of(module.name);
            let texts = of.map(|advice| (advice.note.get(lang), advice.remedy.get(lang)));
            let (note, ours) = texts.unwrap_or_default();
            [documented.as_str(), note, advice_text.as_str(), ours]
                .into_iter()
                .filter(|text| !text.is_empty())
                .collect::<Vec<_>>()
                .join("\n\n")
        }
        Subject::AnyModule => {
            let documented = of_modules(lang, |module| Some(module.troubleshooting.get(lang)));
            let notes: String = advice::ADVICE
                .iter()
                .filter(|advice| !advice.note.get(lang).is_empty())
                .map(|advice| format!("- {}: {}\n", advice.module.name, advice.note.get(lang)))
                .collect();
            format!("{advice_text}\n\n{}\n\n{documented}\n{notes}", words.documented)
        }
        Subject::Own { .. } => advice_text,
    }
}

fn quoted(text: &str) -> String {
    format!("> {text}")
}

fn of_modules<'a>(lang: Lang, text: impl Fn(&Module) -> Option<&'a str>) -> String {
    let rows = MODULES.iter().filter_map(|module| Some(format!("- {}: {}\n", module.name, text(module)?)));
    format!("{}\n\n{}", words(lang).of_module, rows.collect::<String>())
}

fn silence(alert: &AlertDef, lang: Lang) -> String {
    let words = words(lang);
    let is_event = alert.told.is_empty() && alert.expr.contains("increase(");
    let mut body = if is_event { words.ends_event } else { words.ends }.to_owned();
    for (holds, sentence) in [(!alert.told.is_empty(), words.held), (alert.grace, words.grace)] {
        if holds {
            body.push_str(&format!(" {sentence}"));
        }
    }
    body.push('\n');
    let causes: Vec<_> = INHIBITIONS.iter().filter(|inhibition| is_target(inhibition, alert)).collect();
    if !causes.is_empty() {
        body.push_str(&format!("\n{}:\n\n", words.inhibited));
        for cause in causes {
            let sources: Vec<_> = cause.sources.iter().map(|name| format!("[{name}]({name}.md)")).collect();
            body.push_str(&format!("- {}: {}\n", sources.join(", "), cause.reason.get(lang)));
        }
    }
    body + &format!(
        "\n{}: `amtool silence add alertname={} instance=\"{}\" -d 2h -c \"…\" --alertmanager.url=http://localhost:9093`\n",
        words.planned,
        alert.name,
        page_text(Text { en: "{host}", pt_br: "{host}" }, lang)
    )
}

fn is_target(inhibition: &Inhibition, alert: &AlertDef) -> bool {
    let is_source = inhibition.sources.contains(&alert.name);
    !is_source && (inhibition.targets.is_empty() || inhibition.targets.contains(&alert.name))
}

fn links(alert: &AlertDef, lang: Lang) -> String {
    let mut pages = vec![RUNBOOK];
    match alert.subject {
        Subject::Module(module) => pages.extend(module.links.iter().map(|link| link.page)),
        Subject::AnyModule => pages.push(LOG_FILES),
        Subject::Own { page, .. } => pages.push(page),
    }
    pages.iter().map(|page| format!("- <{}>\n", url(page, lang))).collect()
}
