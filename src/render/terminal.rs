//! The health of a host in a terminal: what `campaign_exporter check` prints. A report in, lines out; the same as on the
//! page, in the same order.

use std::fmt::Write;

use super::format;
use super::page::sentence;
use super::report::{HostReport, ModuleHealth, ModuleReport};
use crate::catalog::{Lang, Text};

const FAILS: Text = Text { en: "FAILS", pt_br: "FALHA" };
const CHECK: Text = Text { en: "check", pt_br: "verificação" };
const DOCUMENTED: Text = Text { en: "Documentation:", pt_br: "Documentação:" };
const ATTENTION: &str = "!";
const MODULE: Text = Text { en: "module", pt_br: "módulo" };
const STATE: Text = Text { en: "state", pt_br: "estado" };
const UP_SINCE: Text = Text { en: "up since", pt_br: "ativo desde" };
const MEMORY: Text = Text { en: "memory", pt_br: "memória" };
const LAST_ERROR: Text = Text { en: "last error", pt_br: "último erro" };
const LAST_RUN: Text = Text { en: "last run", pt_br: "última execução" };

/// What makes a piece of text stand out.
#[derive(Clone, Copy)]
enum Tone {
    Bad,
    Doubtful,
    Good,
    Soft,
}

/// Whether to colour, by the escape sequences of ECMA-48.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Colour(pub bool);

impl Colour {
    fn paint(self, text: &str, tone: Tone) -> String {
        let code = match tone {
            Tone::Bad => "1;31",
            Tone::Doubtful => "1;33",
            Tone::Good => "32",
            Tone::Soft => "2",
        };
        if self.0 { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// The report as lines. The first one is the answer; what is unknown comes before what fails, and that before the rest.
#[must_use]
pub fn terminal(report: &HostReport, colour: Colour) -> String {
    let lang = report.lang;
    let mut out = String::new();
    let tone = match report.verdict.exit_code() {
        0 => Tone::Good,
        1 | 2 => Tone::Bad,
        _ => Tone::Doubtful,
    };
    let look = report.look;
    let home = report.home.map(|home| format!("  {home}")).unwrap_or_default();
    let time = format::full_moment(look.time, lang);
    let place = format!("{}{home}  {time}  campaign_exporter {}", look.host, look.version);
    let _ = writeln!(out, "{}\n{}", colour.paint(&report.headline, tone), colour.paint(&place, Tone::Soft));
    for doubt in &report.doubts {
        let mark = colour.paint("?", Tone::Doubtful);
        let _ = if report.headline.ends_with(&doubt.clause) {
            writeln!(out, "{mark} {}", doubt.remedy)
        } else {
            writeln!(out, "{mark} {} {}", sentence(&doubt.clause), doubt.remedy)
        };
    }
    for module in report.in_state(ModuleHealth::Failing) {
        failing(&mut out, module, lang, colour);
    }
    let rest = |state| report.in_state(state).map(move |module| (state, module));
    let rest: Vec<_> = [ModuleHealth::Unknown, ModuleHealth::Well].into_iter().flat_map(rest).collect();
    if !rest.is_empty() {
        let titles = [MODULE, STATE, UP_SINCE, MEMORY, LAST_ERROR, LAST_RUN];
        let mut table = vec![titles.map(|title| title.get(lang).to_uppercase())];
        table.extend(rest.iter().map(|(state, module)| row(report, *state, module)));
        let _ = write!(out, "\n{}", columns(&table));
    }
    let off: Vec<_> = report.in_state(ModuleHealth::Off).map(ModuleReport::target).collect();
    if !off.is_empty() {
        let _ = writeln!(out, "\n{}: {}", ModuleHealth::Off.title().get(lang), off.join(", "));
    }
    for section in &report.sections {
        let _ = writeln!(out, "\n{}", section.title);
        for fact in &section.facts {
            let mark = if fact.needs_attention { colour.paint(ATTENTION, Tone::Bad) } else { " ".to_owned() };
            let _ = writeln!(out, "{mark} {}: {}", fact.subject, fact.text);
        }
    }
    out
}

fn failing(out: &mut String, module: &ModuleReport, lang: Lang, colour: Colour) {
    for check in module.notable() {
        let title = check.def.title.get(lang);
        let head = if check.passes { " ".to_owned() } else { colour.paint(FAILS.get(lang), Tone::Bad) };
        let _ = writeln!(out, "\n{head} {} ({}: {title})", module.target(), CHECK.get(lang));
        if let Some(reason) = &check.reason {
            let _ = writeln!(out, "  {}", sentence(&reason.text));
        }
        for remark in &check.remarks {
            let _ = writeln!(out, "  {}", sentence(remark));
        }
        for step in &check.next_steps {
            let _ = writeln!(out, "  - {step}");
        }
    }
    if let Some(row) = module.documented {
        let _ = writeln!(out, "  {} {}", DOCUMENTED.get(lang), row.troubleshooting.get(lang));
    }
    if let Some(note) = module.note {
        let _ = writeln!(out, "  {note}");
    }
}

fn row(report: &HostReport, state: ModuleHealth, module: &ModuleReport) -> [String; 6] {
    let (now, lang) = (report.look.time, report.lang);
    let since = |time: Option<f64>| time.map_or_else(|| "-".to_owned(), |time| format::since(time, now, lang));
    // While something is unknown, nothing is called well.
    let state = if state == ModuleHealth::Well && report.is_in_doubt() { "-" } else { state.title().get(lang) };
    [
        module.target(),
        state.to_owned(),
        since(module.up_since),
        memory(module, lang),
        since(module.last_error),
        module.last_run.map_or_else(|| "-".to_owned(), |run| run.text(now, lang)),
    ]
}

/// The memory of a module's largest process, of what its alert threshold allows.
fn memory(module: &ModuleReport, lang: Lang) -> String {
    const OF: Text = Text { en: "of", pt_br: "de" };
    let memory = module.memory.map_or_else(|| "-".to_owned(), |memory| format::bytes(memory, lang));
    match module.memory_alert.filter(|_| module.memory.is_some()) {
        Some(alert) => format!("{memory} {} {}", OF.get(lang), format::bytes(alert, lang)),
        None => memory,
    }
}

/// Cells padded to the width of their column, the last one as it is.
fn columns<const N: usize>(table: &[[String; N]]) -> String {
    let width = |column: usize| table.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    let mut text = String::new();
    for line in table {
        let cells = line.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}
