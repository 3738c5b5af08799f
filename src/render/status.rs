//! The health of a host for people: as a page, and as a table in the terminal. Values in, text out; both show the same
//! checks that the alert rules go by, with what was remarked of them.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::html::{document, escape};
use crate::catalog::signals::modules::{MODULE_PROCESSES, MODULE_RESIDENT_MEMORY};
use crate::catalog::{Lang, Text, modules, signals};
use crate::health::Judgement;
use crate::snapshot::{Remark, Snapshot};

/// One module of one instance.
#[derive(Clone, Debug, PartialEq)]
struct Row<'a> {
    module: &'a str,
    instance: &'a str,
    processes: f64,
    resident_bytes: f64,
    checks: Vec<(&'static str, bool)>,
    remarks: Vec<&'a Remark>,
}

impl Row<'_> {
    fn is_healthy(&self) -> bool {
        self.checks.iter().all(|(_, passes)| *passes)
    }

    fn memory(&self) -> String {
        format!("{:.1} MiB", self.resident_bytes / (1024.0 * 1024.0))
    }

    fn failing(&self) -> impl Iterator<Item = &'static str> {
        self.checks.iter().filter(|(_, passes)| !passes).map(|(check, _)| *check)
    }

    /// The checks that fail, and further ones that something was remarked of.
    fn notable(&self) -> Vec<&'static str> {
        let mut notable: Vec<_> = self.failing().collect();
        for remark in &self.remarks {
            if !notable.contains(&remark.check) {
                notable.push(remark.check);
            }
        }
        notable
    }

    fn remarks_of(&self, check: &str) -> impl Iterator<Item = &Remark> {
        self.remarks.iter().copied().filter(move |remark| remark.check == check)
    }
}

const TITLE: Text = Text { en: "Campaign modules", pt_br: "Módulos do Campaign" };
const MODULE: Text = Text { en: "Module", pt_br: "Módulo" };
const INSTANCE: Text = Text { en: "Instance", pt_br: "Instância" };
const PROCESSES: Text = Text { en: "Processes", pt_br: "Processos" };
const MEMORY: Text = Text { en: "Memory", pt_br: "Memória" };
const CHECKS: Text = Text { en: "Checks", pt_br: "Verificações" };
const PASSES: Text = Text { en: "ok", pt_br: "ok" };
const FAILS: Text = Text { en: "fails", pt_br: "falha" };
const NOTHING: Text = Text {
    en: "No module is configured to start, and none was seen.",
    pt_br: "Nenhum módulo está configurado para iniciar e nenhum foi visto.",
};

const MORE_REMARKS: Text =
    Text { en: "Remarks that are not shown, because there are too many", pt_br: "Observações omitidas por excesso" };

/// The modules that were judged or remarked on, in the order of their names.
fn rows<'a>(snapshot: &'a Snapshot, judgements: &'a [Judgement]) -> Vec<Row<'a>> {
    let mut rows: BTreeMap<(&str, &str), Row> = BTreeMap::new();
    let row = |module: &'a str, instance: &'a str| {
        let value = |def| snapshot.value(def, &[module, instance]).unwrap_or(0.0);
        let (processes, resident_bytes) = (value(&MODULE_PROCESSES), value(&MODULE_RESIDENT_MEMORY));
        Row { module, instance, processes, resident_bytes, checks: Vec::new(), remarks: Vec::new() }
    };
    for judgement in judgements {
        let (module, instance) = (judgement.module.as_str(), judgement.instance.as_str());
        let row = rows.entry((module, instance)).or_insert_with(|| row(module, instance));
        row.checks.push((judgement.check, judgement.passes));
    }
    for remark in snapshot.remarks() {
        let (module, instance) = (remark.module, remark.instance.as_str());
        rows.entry((module, instance)).or_insert_with(|| row(module, instance)).remarks.push(remark);
    }
    rows.into_values().collect()
}

/// A remark as a line of text.
fn line(remark: &Remark, lang: Lang) -> String {
    format!("{}: {}", remark.text.get(lang), remark.detail)
}

/// What holds when the check called `name` passes.
fn passes_when(name: &str, lang: Lang) -> &'static str {
    signals::checks().find(|check| check.name == name).map_or("", |check| check.passes_when.get(lang))
}

/// A table for a terminal; what fails or was remarked on follows, with what the documentation says to do.
#[must_use]
pub fn terminal(snapshot: &Snapshot, judgements: &[Judgement], lang: Lang) -> String {
    let rows = rows(snapshot, judgements);
    if rows.is_empty() {
        return format!("{}\n", NOTHING.get(lang));
    }
    let mut table = vec![[MODULE, INSTANCE, PROCESSES, MEMORY, CHECKS].map(|title| title.get(lang).to_uppercase())];
    for row in &rows {
        let checks: Vec<_> = row.failing().map(|check| format!("{} {check}", FAILS.get(lang))).collect();
        let checks = if checks.is_empty() { PASSES.get(lang).to_owned() } else { checks.join(", ") };
        table.push([row.module.to_owned(), row.instance.to_owned(), row.processes.to_string(), row.memory(), checks]);
    }
    let mut text = columns(&table);
    for row in rows.iter().filter(|row| !row.notable().is_empty()) {
        let _ = writeln!(text, "\n{}@{}", row.module, row.instance);
        for check in row.notable() {
            let _ = writeln!(text, "  {check}: {}", passes_when(check, lang));
            for remark in row.remarks_of(check) {
                let _ = writeln!(text, "    {}", line(remark, lang));
            }
        }
        if let Some(module) = modules::module(row.module).filter(|_| !row.is_healthy()) {
            let _ = writeln!(text, "  {}", module.troubleshooting.get(lang));
        }
    }
    if snapshot.unkept_remarks() > 0 {
        let _ = writeln!(text, "\n{}: {}", MORE_REMARKS.get(lang), snapshot.unkept_remarks());
    }
    text
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

/// The page: complete, without scripts, loading nothing.
#[must_use]
pub fn page(snapshot: &Snapshot, judgements: &[Judgement], lang: Lang) -> String {
    let rows = rows(snapshot, judgements);
    let mut body = String::new();
    if rows.is_empty() {
        let _ = write!(body, "<p>{}</p>", NOTHING.get(lang));
    } else {
        let titles = [MODULE, INSTANCE, PROCESSES, MEMORY, CHECKS];
        body.push_str("<table>\n<thead><tr>");
        for title in titles {
            let _ = write!(body, "<th>{}</th>", title.get(lang));
        }
        body.push_str("</tr></thead>\n<tbody>\n");
        for row in &rows {
            table_row(&mut body, row, lang);
        }
        body.push_str("</tbody>\n</table>");
    }
    if snapshot.unkept_remarks() > 0 {
        let _ = write!(body, "\n<p>{}: {}</p>", MORE_REMARKS.get(lang), snapshot.unkept_remarks());
    }
    let title = TITLE.get(lang);
    let languages = r#"<nav><a href="?lang=en" hreflang="en">English</a> <a href="?lang=pt-BR" hreflang="pt-BR">Português</a></nav>"#;
    document(lang, title, STYLE, &format!("{languages}\n<h1>{title}</h1>\n{body}"))
}

fn table_row(body: &mut String, row: &Row, lang: Lang) {
    let class = if row.is_healthy() { "well" } else { "ill" };
    let _ = write!(
        body,
        "<tr class=\"{class}\"><th scope=\"row\">{}</th><td>{}</td><td class=\"number\">{}</td><td class=\"number\">{}</td><td>",
        escape(row.module),
        escape(row.instance),
        row.processes,
        row.memory(),
    );
    for (check, passes) in &row.checks {
        let (class, verdict) = if *passes { ("passes", PASSES) } else { ("fails", FAILS) };
        let (hint, verdict) = (escape(passes_when(check, lang)), verdict.get(lang));
        let _ = write!(body, "<span class=\"{class}\" title=\"{hint}\">{check}: {verdict}</span> ");
    }
    for remark in &row.remarks {
        let (check, line) = (escape(remark.check), line(remark, lang));
        let _ = write!(body, "<p class=\"remark\"><b>{check}</b> {}</p>", escape(&line));
    }
    if let Some(module) = modules::module(row.module).filter(|_| !row.is_healthy()) {
        let _ = write!(body, "<p>{}</p>", escape(module.troubleshooting.get(lang)));
        for link in module.links {
            let (title, url) = (escape(link.title.get(lang)), modules::url(link.page, lang));
            let _ = write!(body, "<p><a href=\"{}\">{title}</a></p>", escape(&url));
        }
    }
    body.push_str("</td></tr>\n");
}

const STYLE: &str = "
    :root { --ink: #1c2430; --soft: #5b6675; --paper: #f5f7fa; --line: #d9dfe7; --good: #1b6e3c; --bad: #b3261e; }
    @media (prefers-color-scheme: dark) {
      :root { --ink: #e6eaf0; --soft: #9aa5b4; --paper: #12161c; --line: #303945; --good: #7bd69c; --bad: #ff8a80; }
    }
    body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
    main { max-width: 72rem; margin: 2rem auto; padding: 0 1.25rem; }
    nav { float: right; }
    a { color: inherit; }
    table { width: 100%; border-collapse: collapse; }
    th, td { padding: .4rem .8rem .4rem 0; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
    thead th { color: var(--soft); font-weight: 600; }
    .number { font-variant-numeric: tabular-nums; white-space: nowrap; }
    .ill > th { color: var(--bad); }
    .passes { color: var(--good); white-space: nowrap; margin-right: .6rem; }
    .fails { color: var(--bad); font-weight: 600; white-space: nowrap; margin-right: .6rem; }
    p { margin: .3rem 0; }
    /* On a telephone, a module's checks stand below it. */
    @media (max-width: 44rem) {
      tr { display: grid; grid-template-columns: 7fr 5fr 5fr 5fr; border-bottom: 1px solid var(--line); }
      th, td { border: 0; padding-right: .4rem; overflow-wrap: anywhere; }
      thead th:last-child { display: none; }
      td:last-child { grid-column: 1 / -1; padding-top: 0; }
      thead { font-size: .8rem; }
    }
  ";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::modules::MODULES;
    use crate::snapshot::{MAX_REMARKS, Samples};

    fn host() -> (Snapshot, Vec<Judgement>) {
        let mut samples = Samples::default();
        samples.push(&MODULE_PROCESSES, &["mta", "<prod>"], 3.0);
        samples.push(&MODULE_RESIDENT_MEMORY, &["mta", "<prod>"], 1.5 * 1024.0 * 1024.0);
        let judgement =
            |module: &str, check, passes| Judgement { module: module.into(), instance: "<prod>".into(), check, passes };
        let judgements = vec![
            judgement("mta", "running", true),
            judgement("mta", "memory", true),
            judgement("wfserver", "running", false),
        ];
        (samples.freeze(), judgements)
    }

    #[test]
    fn the_terminal_shows_every_module_and_the_documented_text_of_what_fails() {
        let (snapshot, judgements) = host();
        let text = terminal(&snapshot, &judgements, Lang::En);
        let wfserver = modules::module("wfserver").unwrap().troubleshooting.en;
        let expected = format!(
            "MODULE    INSTANCE  PROCESSES  MEMORY   CHECKS\n\
             mta       <prod>    3          1.5 MiB  ok\n\
             wfserver  <prod>    0          0.0 MiB  fails running\n\
             \n\
             wfserver@<prod>\n  running: {}\n  {wfserver}\n",
            passes_when("running", Lang::En)
        );
        assert_eq!(text, expected);
        assert!(!text.contains(modules::module("mta").unwrap().troubleshooting.en));
    }

    #[test]
    fn the_page_shows_the_same_and_lets_no_label_become_mark_up() {
        let (snapshot, judgements) = host();
        let html = page(&snapshot, &judgements, Lang::PtBr);
        let wfserver = modules::module("wfserver").unwrap();
        assert!(html.contains(&*escape(wfserver.troubleshooting.pt_br)));
        assert!(html.contains("<td>&lt;prod&gt;</td>") && !html.contains("<prod>"));
        assert_eq!(html.matches("class=\"fails\"").count(), 1);
        assert_eq!(html.matches("class=\"passes\"").count(), 2);
        assert!(html.contains("?lang=pt-BR"), "the links of the documentation are in the page's language");
    }

    fn port_held_by(detail: &str) -> Remark {
        let text = crate::catalog::signals::ports::HELD_BY_ANOTHER;
        Remark { module: "syslogd", instance: "default".into(), check: "port", text, detail: detail.into() }
    }

    #[test]
    fn a_remark_stands_with_the_check_that_it_belongs_to() {
        let (snapshot, mut judgements) = host();
        let judgement =
            |check, passes| Judgement { module: "syslogd".into(), instance: "default".into(), check, passes };
        judgements.splice(2..2, [judgement("running", true), judgement("port", false)]);
        let mut samples = Samples::default();
        samples.remark(port_held_by("6666/udp, PID 123 (<b>python3</b>)"));
        let snapshot = snapshot.with(samples);
        let text = terminal(&snapshot, &judgements, Lang::En);
        let syslogd = modules::module("syslogd").unwrap();
        let expected = format!(
            "\nsyslogd@default\n  port: {}\n    another process holds this port: 6666/udp, PID 123 (<b>python3</b>)\n  {}\n",
            passes_when("port", Lang::En),
            syslogd.troubleshooting.en,
        );
        assert!(text.contains(&expected), "{text}");
        assert!(!text.contains(MORE_REMARKS.en));

        let html = page(&snapshot, &judgements, Lang::PtBr);
        let row = html.split("<tr ").find(|row| row.contains(">syslogd</th>")).unwrap();
        let remark = "<p class=\"remark\"><b>port</b> outro processo ocupa esta porta: \
                      6666/udp, PID 123 (&lt;b&gt;python3&lt;/b&gt;)</p>";
        assert!(row.contains(remark), "{row}");
        assert_eq!(html.matches("class=\"remark\"").count(), 1);
    }

    #[test]
    fn a_remark_is_shown_even_where_nothing_was_judged_or_all_is_well() {
        let mut samples = Samples::default();
        samples.remark(port_held_by("6666/udp"));
        let snapshot = samples.freeze();
        let passes = Judgement { module: "syslogd".into(), instance: "default".into(), check: "port", passes: true };
        for judgements in [&[][..], &[passes]] {
            let text = terminal(&snapshot, judgements, Lang::En);
            assert!(text.contains("\n    another process holds this port: 6666/udp\n"), "{text}");
            assert!(!text.contains(modules::module("syslogd").unwrap().troubleshooting.en), "{text}");
            assert_eq!(page(&snapshot, judgements, Lang::En).matches("class=\"remark\"").count(), 1);
        }
    }

    #[test]
    fn remarks_that_are_left_out_are_told_in_either_language() {
        let mut samples = Samples::default();
        (0..MAX_REMARKS + 7).for_each(|number| samples.remark(port_held_by(&number.to_string())));
        let snapshot = samples.freeze();
        for lang in Lang::ALL {
            let more = format!("{}: 7", MORE_REMARKS.get(lang));
            assert!(terminal(&snapshot, &[], lang).contains(&more));
            assert!(page(&snapshot, &[], lang).contains(&more));
        }
    }

    #[test]
    fn a_host_with_nothing_says_so_in_either_language() {
        for lang in Lang::ALL {
            assert_eq!(terminal(&Snapshot::default(), &[], lang), format!("{}\n", NOTHING.get(lang)));
            assert!(page(&Snapshot::default(), &[], lang).contains(NOTHING.get(lang)));
        }
    }

    #[test]
    fn every_row_of_the_specification_has_a_text_to_show() {
        for module in MODULES {
            let judgement =
                Judgement { module: module.name.into(), instance: "i".into(), check: "running", passes: false };
            let text = terminal(&Snapshot::default(), &[judgement], Lang::En);
            assert!(text.contains(module.troubleshooting.en), "{}", module.name);
        }
    }
}
