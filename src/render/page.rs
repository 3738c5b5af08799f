//! The page at `/` and `/status`: the health of a host for people, as HTML. A report in, a document out; `serve`
//! delivers it.
//!
//! It has no scripts and loads nothing but its own style sheet. Names of files and programs are text, never mark-up.

use std::borrow::Cow;
use std::fmt::Write;

use super::format::{self, full_moment};
use super::report::{CheckReport, HostReport, ModuleHealth, ModuleReport, Verdict};
use crate::catalog::{Lang, Text, modules};

/// Where the style sheet is, relative to the page.
pub const STYLE_PATH: &str = "-/style.css";

/// The style sheet.
pub const STYLE: &str = include_str!("page.css");

/// After how many seconds the page is loaded again: the value of the header `Refresh`.
pub const REFRESH_SECONDS: &str = "30";

/// The options of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageOptions<'a> {
    /// Whether it loads itself again.
    pub refreshes: bool,
    /// The path of the metrics.
    pub telemetry_path: &'a str,
}

const SKIP: Text = Text { en: "Skip to the modules", pt_br: "Ir para os módulos" };
const LANGUAGE: Text = Text { en: "Language", pt_br: "Idioma" };
const HOST: Text = Text { en: "Host", pt_br: "Servidor" };
const INSTALLATION: Text = Text { en: "Installation", pt_br: "Instalação" };
const NO_INSTALLATION: Text = Text { en: "not found", pt_br: "não encontrada" };
const VERSION: Text = Text { en: "Exporter", pt_br: "Exportador" };
const TIME: Text = Text { en: "As of", pt_br: "Situação em" };
const CANNOT_TELL: Text = Text { en: "What is unknown", pt_br: "O que não é possível saber" };
const NEEDS_YOU: Text = Text { en: "What needs attention", pt_br: "O que requer atenção" };
const UNKNOWN: Text = Text { en: "Unknown", pt_br: "Desconhecidos" };
const REST: Text = Text { en: "The rest", pt_br: "Os demais" };
const DETAILS: Text = Text { en: "Details", pt_br: "Detalhes" };
const NEXT_STEPS: Text = Text { en: "Next steps", pt_br: "Próximos passos" };
const DOCUMENTED: Text = Text { en: "The documentation says", pt_br: "A documentação diz" };
const MODULE: Text = Text { en: "Module", pt_br: "Módulo" };
const EXPECTED: Text = Text { en: "Expected", pt_br: "Esperado" };
const UP_SINCE: Text = Text { en: "Up since", pt_br: "Ativo desde" };
const MEMORY: Text = Text { en: "Memory", pt_br: "Memória" };
const LAST_ERROR: Text = Text { en: "Last error in its log", pt_br: "Último erro no log" };
const LAST_RUN: Text = Text { en: "Last run", pt_br: "Última execução" };
const CHECK: Text = Text { en: "Check", pt_br: "Verificação" };
const CHECKS: Text = Text { en: "Checks", pt_br: "Verificações" };
const YES: Text = Text { en: "yes", pt_br: "sim" };
const NO: Text = Text { en: "no", pt_br: "não" };
const WHEN_NEEDED: Text = Text { en: "when needed", pt_br: "sob demanda" };
const NOT_KNOWN: Text = Text { en: "not known", pt_br: "não se sabe" };
const NOT_RUNNING: Text = Text { en: "not running", pt_br: "não está em execução" };
const WARNING_AT: Text = Text { en: "warning at", pt_br: "aviso em" };
const ALERT_AT: Text = Text { en: "alert at", pt_br: "alerta em" };
const NONE: Text = Text { en: "none seen", pt_br: "nenhum visto" };
const PASS: [Text; 2] = [Text { en: "{} passes", pt_br: "{} passa" }, Text { en: "{} pass", pt_br: "{} passam" }];
const MORE_REMARKS: Text =
    Text { en: "Remarks that are not shown, because there are too many", pt_br: "Observações omitidas por excesso" };
const REFRESHES: Text =
    Text { en: "This page refreshes itself every {} seconds.", pt_br: "Esta página se atualiza a cada {} segundos." };
const STOP: Text = Text { en: "Stop refreshing", pt_br: "Parar de atualizar" };
const STILL: Text = Text { en: "This page does not refresh itself.", pt_br: "Esta página não se atualiza sozinha." };
const RESUME: Text = Text { en: "Refresh automatically", pt_br: "Atualizar automaticamente" };
const METRICS: Text = Text { en: "Metrics, for Prometheus", pt_br: "Métricas, para o Prometheus" };
const READY: Text = Text { en: "Readiness", pt_br: "Prontidão" };
const HEALTHY: Text = Text { en: "Liveness", pt_br: "Atividade" };

/// The page, whole.
#[must_use]
pub fn page(report: &HostReport, options: PageOptions) -> String {
    let writer = Writer { report, lang: report.lang, options, out: String::with_capacity(16 * 1024) };
    writer.document()
}

struct Writer<'a> {
    report: &'a HostReport<'a>,
    lang: Lang,
    options: PageOptions<'a>,
    out: String,
}

/// Writes to the page; that can't fail.
macro_rules! put {
    ($self:ident, $($arguments:tt)*) => {
        let _ = writeln!($self.out, $($arguments)*);
    };
}

impl Writer<'_> {
    fn text(&self, text: Text) -> &'static str {
        text.get(self.lang)
    }

    fn document(mut self) -> String {
        let (tag, headline) = (self.lang.tag(), escape(&self.report.headline));
        let host = escape(self.report.look.host);
        put!(self, "<!DOCTYPE html>\n<html lang=\"{tag}\">\n<head>\n<meta charset=\"utf-8\">");
        put!(self, "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">");
        put!(self, "<meta name=\"color-scheme\" content=\"light dark\">\n<title>{headline} – {host}</title>");
        put!(
            self,
            "<link rel=\"icon\" href=\"data:,\">\n<link rel=\"stylesheet\" href=\"{STYLE_PATH}\">\n</head>\n<body>"
        );
        put!(self, "<a class=\"skip\" href=\"#modules\">{}</a>", self.text(SKIP));
        self.header();
        put!(self, "<main id=\"modules\" tabindex=\"-1\">");
        self.doubts();
        self.failing();
        self.table(UNKNOWN, ModuleHealth::Unknown);
        self.table(REST, ModuleHealth::Well);
        self.off();
        self.sections();
        put!(self, "</main>");
        self.footer();
        put!(self, "</body>\n</html>");
        self.out
    }

    fn header(&mut self) {
        let look = self.report.look;
        let class = match self.report.verdict {
            Verdict::Well => "well",
            Verdict::Failing | Verdict::NothingRuns => "failing",
            Verdict::CannotTell => "unknown",
        };
        put!(self, "<header>\n<nav aria-label=\"{}\">", self.text(LANGUAGE));
        for (lang, name) in [(Lang::En, "English"), (Lang::PtBr, "Português")] {
            let current = if lang == self.lang { " aria-current=\"true\"" } else { "" };
            let (tag, query) = (lang.tag(), self.query(lang, self.options.refreshes));
            put!(self, "<a href=\"{query}\" lang=\"{tag}\" hreflang=\"{tag}\"{current}>{name}</a>");
        }
        put!(self, "</nav>\n<h1 class=\"{class}\">{}</h1>\n<dl class=\"facts\">", escape(&self.report.headline));
        let home = self.report.home.unwrap_or_else(|| self.text(NO_INSTALLATION));
        let version = format!("campaign_exporter {}", look.version);
        let time = full_moment(look.time, self.lang);
        for (title, value) in [(HOST, look.host), (INSTALLATION, home), (VERSION, &version), (TIME, &time)] {
            self.fact(self.text(title), &escape(value));
        }
        put!(self, "</dl>\n</header>");
    }

    /// `value` is mark-up.
    fn fact(&mut self, title: &str, value: &str) {
        put!(self, "<div><dt>{title}</dt><dd>{value}</dd></div>");
    }

    /// A link to this page in `lang`.
    fn query(&self, lang: Lang, refreshes: bool) -> String {
        let refresh = if refreshes { "" } else { "&amp;refresh=off" };
        format!("?lang={}{refresh}", lang.tag())
    }

    fn doubts(&mut self) {
        if self.report.doubts.is_empty() {
            return;
        }
        put!(self, "<section class=\"doubts\">\n<h2>{}</h2>\n<ul>", self.text(CANNOT_TELL));
        for doubt in &self.report.doubts {
            put!(self, "<li><strong>{}</strong> {}</li>", escape(&sentence(&doubt.clause)), escape(doubt.remedy));
        }
        put!(self, "</ul>\n</section>");
    }

    fn failing(&mut self) {
        let report = self.report;
        let mut failing = report.in_state(ModuleHealth::Failing).peekable();
        if failing.peek().is_none() {
            return;
        }
        put!(self, "<section>\n<h2>{}</h2>", self.text(NEEDS_YOU));
        for module in failing {
            put!(self, "<article class=\"failing\">\n<h3>{}</h3>", escape(&module.target()));
            for check in module.notable() {
                self.check(check);
            }
            self.documented(module);
            put!(self, "<dl class=\"facts\">");
            for (title, cell) in self.cells(module) {
                self.fact(title, &cell.html());
            }
            put!(self, "</dl>\n</article>");
        }
        put!(self, "</section>");
    }

    fn check(&mut self, check: &CheckReport) {
        let title = escape(check.def.title.get(self.lang));
        let reason = check.reason.as_ref().map(|reason| escape(&sentence(&reason.text)).into_owned());
        put!(self, "<p class=\"reason\">{}</p>", reason.unwrap_or_default());
        put!(self, "<p class=\"check\">{}: {title}</p>", self.text(CHECK));
        for remark in &check.remarks {
            put!(self, "<p class=\"remark\">{}</p>", escape(&sentence(remark)));
        }
        if !check.next_steps.is_empty() {
            put!(self, "<h4>{}</h4>\n<ol>", self.text(NEXT_STEPS));
            for step in &check.next_steps {
                put!(self, "<li>{}</li>", escape(step));
            }
            put!(self, "</ol>");
        }
    }

    fn documented(&mut self, module: &ModuleReport) {
        let Some(row) = module.documented else { return };
        put!(
            self,
            "<h4>{}</h4>\n<blockquote>{}</blockquote>",
            self.text(DOCUMENTED),
            escape(row.troubleshooting.get(self.lang))
        );
        if let Some(note) = module.note {
            put!(self, "<p class=\"note\">{}</p>", escape(note));
        }
        for link in row.links {
            let url = modules::url(link.page, self.lang);
            put!(self, "<p><a href=\"{}\">{}</a></p>", escape(&url), escape(link.title.get(self.lang)));
        }
    }

    /// What is known of a module, title by title; for all modules in the same order.
    fn cells(&self, module: &ModuleReport) -> [(&'static str, Cell); 6] {
        let (now, lang) = (self.report.look.time, self.lang);
        let since = |time: f64| format::since(time, now, lang);
        let expected = match (module.expected, module.last_run) {
            (Some(true), _) => YES,
            (Some(false), _) => NO,
            (None, Some(_)) => WHEN_NEEDED,
            (None, None) => NOT_KNOWN,
        };
        let up_since = match (module.up, module.up_since) {
            (_, Some(time)) => since(time),
            (Some(false), None) => self.text(NOT_RUNNING).to_owned(),
            (_, None) => "–".to_owned(),
        };
        let last_error = module.last_error.map_or_else(|| self.text(NONE).to_owned(), since);
        let last_run = module.last_run.map_or_else(|| "–".to_owned(), |run| run.text(now, lang));
        [
            (self.text(EXPECTED), Cell::of(self.text(expected))),
            (self.text(UP_SINCE), Cell::of(up_since)),
            (self.text(MEMORY), memory(module, lang)),
            (self.text(LAST_ERROR), Cell::of(last_error)),
            (self.text(LAST_RUN), Cell::of(last_run)),
            (self.text(CHECKS), self.passed(module)),
        ]
    }

    /// How many checks pass, and which.
    fn passed(&self, module: &ModuleReport) -> Cell {
        let passing: Vec<_> = module.checks.iter().filter(|check| check.passes).collect();
        if passing.is_empty() {
            return Cell::of("–");
        }
        #[expect(clippy::cast_precision_loss, reason = "a count of checks")]
        let count = format::plural(passing.len() as f64, PASS[0], PASS[1], self.lang);
        let names: Vec<_> = passing.iter().map(|check| check.def.title.get(self.lang)).collect();
        Cell { folded: names.join(", "), ..Cell::of(count) }
    }

    /// The modules that neither run nor have to.
    fn off(&mut self) {
        let off: Vec<_> = self.report.in_state(ModuleHealth::Off).map(ModuleReport::target).collect();
        if !off.is_empty() {
            let title = self.text(ModuleHealth::Off.title());
            put!(self, "<p class=\"off\">{title}: {}</p>", escape(&off.join(", ")));
        }
    }

    /// The modules in `state`, a row each. Its roles are written out: on a narrow screen rows are cards.
    fn table(&mut self, title: Text, state: ModuleHealth) {
        let report = self.report;
        let modules: Vec<_> = report.in_state(state).collect();
        let Some(first) = modules.first() else { return };
        let is_well = !report.is_in_doubt() && state == ModuleHealth::Well;
        let class = if is_well { "well" } else { "quiet" };
        put!(self, "<section>\n<h2>{}</h2>\n<table role=\"table\" class=\"{class}\">", self.text(title));
        put!(
            self,
            "<thead role=\"rowgroup\"><tr role=\"row\"><th role=\"columnheader\" scope=\"col\">{}</th>",
            self.text(MODULE)
        );
        for (title, _) in self.cells(first) {
            put!(self, "<th role=\"columnheader\" scope=\"col\">{title}</th>");
        }
        put!(self, "</tr></thead>\n<tbody role=\"rowgroup\">");
        for module in modules {
            put!(self, "<tr role=\"row\"><th role=\"rowheader\" scope=\"row\">{}</th>", escape(&module.target()));
            let remarks: Vec<_> =
                module.notable().flat_map(|check| &check.remarks).map(|remark| sentence(remark)).collect();
            let cells = self.cells(module);
            let last = cells.len() - 1;
            for (at, (title, mut cell)) in cells.into_iter().enumerate() {
                if at == last {
                    cell.small = remarks.join(" ");
                }
                put!(self, "<td role=\"cell\" data-title=\"{title}\"><div>{}</div></td>", cell.html());
            }
            put!(self, "</tr>");
        }
        put!(self, "</tbody>\n</table>\n</section>");
    }

    fn sections(&mut self) {
        let report = self.report;
        if report.sections.is_empty() {
            return;
        }
        put!(self, "<section>\n<h2>{}</h2>\n<div class=\"sections\">", self.text(DETAILS));
        for section in &report.sections {
            put!(self, "<section>\n<h3>{}</h3>\n<dl class=\"rows\">", section.title);
            for fact in &section.facts {
                let class = if fact.needs_attention { " class=\"attention\"" } else { "" };
                put!(self, "<div{class}><dt>{}</dt><dd>{}</dd></div>", escape(&fact.subject), escape(&fact.text));
            }
            put!(self, "</dl>\n</section>");
        }
        put!(self, "</div>\n</section>");
        let unkept = report.look.snapshot.unkept_remarks();
        if unkept > 0 {
            put!(self, "<p>{}: {unkept}</p>", self.text(MORE_REMARKS));
        }
    }

    fn footer(&mut self) {
        let refreshes = self.options.refreshes;
        let (text, link) = if refreshes { (REFRESHES, STOP) } else { (STILL, RESUME) };
        let text = self.text(text).replace("{}", REFRESH_SECONDS);
        let query = self.query(self.lang, !refreshes);
        put!(self, "<footer>\n<p>{text} <a href=\"{query}\">{}</a></p>\n<ul>", self.text(link));
        let telemetry = self.options.telemetry_path.trim_start_matches('/');
        for (path, title) in [(telemetry, METRICS), ("-/ready", READY), ("-/healthy", HEALTHY)] {
            put!(self, "<li><a href=\"{}\">{}</a></li>", escape(path), self.text(title));
        }
        put!(self, "</ul>\n</footer>");
    }
}

/// Something that is known of a module.
#[derive(Default)]
struct Cell {
    text: String,
    /// Less important text, in small print; may be empty.
    small: String,
    /// What is shown when it is unfolded; may be empty.
    folded: String,
}

impl Cell {
    fn of(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    fn html(&self) -> String {
        let mut html = escape(&self.text).into_owned();
        if !self.folded.is_empty() {
            html = format!("<details><summary>{html}</summary>{}</details>", escape(&self.folded));
        }
        if !self.small.is_empty() {
            let _ = write!(html, " <small>{}</small>", escape(&self.small));
        }
        html
    }
}

/// The memory of a module's largest process against its thresholds.
fn memory(module: &ModuleReport, lang: Lang) -> Cell {
    let Some(memory) = module.memory else { return Cell::of("–") };
    let thresholds = [(WARNING_AT, module.memory_warning), (ALERT_AT, module.memory_alert)];
    let thresholds = thresholds
        .into_iter()
        .filter_map(|(title, threshold)| Some(format!("{} {}", title.get(lang), format::bytes(threshold?, lang))));
    Cell { small: thresholds.collect::<Vec<_>>().join(", "), ..Cell::of(format::bytes(memory, lang)) }
}

/// A clause as a sentence: with a capital and a full stop. A module's name keeps its case.
pub(super) fn sentence(clause: &str) -> String {
    let first = clause.split_whitespace().next().unwrap_or_default();
    let is_name = first.contains(['@', '/', '.', '-', '_']);
    let mut letters = clause.chars();
    let mut text = match letters.next() {
        Some(letter) if !is_name => letter.to_uppercase().chain(letters).collect(),
        _ => clause.to_owned(),
    };
    if !text.ends_with(['.', '!', '?']) {
        text.push('.');
    }
    text
}

/// Makes a text safe inside elements and quoted attributes.
fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(['&', '<', '>', '"', '\'']) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(character),
        }
    }
    Cow::Owned(escaped)
}
