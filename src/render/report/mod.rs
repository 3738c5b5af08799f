//! The report on a host: the one model that the page, the terminal and the JSON of `check` are rendered from.
//!
//! Values and judgements in; an ordered report in one language out, without HTML or terminal codes.
//!
//! There are three answers: well, failing, can't tell. What is unknown comes first, and then no module is reported
//! to be well.

mod doubts;
mod reasons;
mod sections;

use std::collections::BTreeMap;

use super::format;
use crate::catalog::alerts::advice;
use crate::catalog::modules::{self, DEFAULT_INSTANCE, WFSERVER};
use crate::catalog::signals::logs::{LOG_LAST_ERROR, LOG_LAST_MESSAGE, LOG_LAST_RUN_ERRORS};
use crate::catalog::signals::modules::{
    MODULE_EXPECTED, MODULE_MEMORY_ALERT, MODULE_MEMORY_WARNING, MODULE_PROCESSES, MODULE_RESIDENT_MEMORY_MAX,
    MODULE_START_TIME, MODULE_UP, RUNNING,
};
use crate::catalog::signals::ports::PORT_NUMBER;
use crate::catalog::{CheckDef, Kind, Lang, MetricDef, Module, Text, signals};
use crate::health::Judgement;
use crate::snapshot::{Remark, Snapshot};

pub use doubts::DoubtText;
pub use reasons::FailureText;
pub use sections::{Fact, Section};

/// What one look at a host found, and where and when.
#[derive(Clone, Copy, Debug)]
pub struct HostLook<'a> {
    /// Every sample.
    pub snapshot: &'a Snapshot,
    /// What each check says.
    pub judgements: &'a [Judgement],
    /// The host's name.
    pub host: &'a str,
    /// The exporter's version.
    pub version: &'a str,
    /// When the look was taken, in seconds since 1970-01-01 UTC.
    pub time: f64,
}

/// The answer in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Everything was judged, and passes.
    Well,
    /// A check fails.
    Failing,
    /// Modules are expected here, and none of them runs.
    NothingRuns,
    /// Nothing fails as far as is known, and not everything is known.
    CannotTell,
}

impl Verdict {
    /// The exit code of `check`: 0, 1, 2 or 3, in the order of the variants.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Verdict::Well => 0,
            Verdict::Failing => 1,
            Verdict::NothingRuns => 2,
            Verdict::CannotTell => 3,
        }
    }

    /// What JSON calls it.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Verdict::Well => "well",
            Verdict::Failing => "failing",
            Verdict::NothingRuns => "nothing_runs",
            Verdict::CannotTell => "cannot_tell",
        }
    }
}

/// The state of one module, in the order in which they are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ModuleHealth {
    /// A check fails.
    Failing,
    /// It is unknown whether it is well.
    Unknown,
    /// It was judged, and passes.
    Well,
    /// It is not configured to start, and does not run.
    Off,
}

impl ModuleHealth {
    /// What JSON calls it.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            ModuleHealth::Failing => "failing",
            ModuleHealth::Unknown => "unknown",
            ModuleHealth::Well => "well",
            ModuleHealth::Off => "off",
        }
    }

    /// The name that is shown.
    #[must_use]
    pub const fn title(self) -> Text {
        match self {
            ModuleHealth::Failing => Text { en: "fails", pt_br: "falha" },
            ModuleHealth::Unknown => Text { en: "unknown", pt_br: "desconhecido" },
            ModuleHealth::Well => Text { en: "well", pt_br: "bem" },
            ModuleHealth::Off => Text { en: "Not configured to start", pt_br: "Não configurados para iniciar" },
        }
    }
}

/// One check of a module.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckReport {
    /// The check.
    pub def: &'static CheckDef,
    /// What it says.
    pub passes: bool,
    /// Why it fails; none where it passes.
    pub reason: Option<FailureText>,
    /// What was remarked of it, a line each.
    pub remarks: Vec<String>,
    /// What to do; nothing where it passes.
    pub next_steps: Vec<String>,
}

/// The last run of a module that starts when needed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LastRun {
    /// When it wrote its last message, in seconds since 1970-01-01 UTC.
    pub time: f64,
    /// How many errors it wrote.
    pub errors: f64,
}

impl LastRun {
    /// When it was, and how it ended, as seen at `now`.
    #[must_use]
    pub fn text(self, now: f64, lang: Lang) -> String {
        const WITHOUT: Text = Text { en: "without an error", pt_br: "sem erro" };
        const WITH: [Text; 2] =
            [Text { en: "with {} error", pt_br: "com {} erro" }, Text { en: "with {} errors", pt_br: "com {} erros" }];
        let outcome = if self.errors > 0.0 {
            format::plural(self.errors, WITH[0], WITH[1], lang)
        } else {
            WITHOUT.get(lang).to_owned()
        };
        format!("{}, {outcome}", format::since(self.time, now, lang))
    }
}

/// One module of one Campaign instance. Times are in seconds since 1970-01-01 UTC, sizes in bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct ModuleReport {
    /// Its name.
    pub name: String,
    /// Its Campaign instance.
    pub instance: String,
    /// How it is.
    pub state: ModuleHealth,
    /// Whether the configuration starts it; none where that is not known, or the module is started when needed.
    pub expected: Option<bool>,
    /// Whether it runs; none where that is unknown.
    pub up: Option<bool>,
    /// When its oldest process started.
    pub up_since: Option<f64>,
    /// The memory of its largest process.
    pub memory: Option<f64>,
    /// The threshold of memory to warn at.
    pub memory_warning: Option<f64>,
    /// The threshold of memory to raise an alert at.
    pub memory_alert: Option<f64>,
    /// When its logs had an error last.
    pub last_error: Option<f64>,
    /// The last run of a module that starts when needed.
    pub last_run: Option<LastRun>,
    /// Its checks, those that fail first.
    pub checks: Vec<CheckReport>,
    /// What the documentation says of it; none for a module without a row.
    pub documented: Option<&'static Module>,
    /// The note beside a documented text that misleads.
    pub note: Option<&'static str>,
}

impl ModuleReport {
    /// The name as Campaign's commands write it: `mta@prod`, and `web` for a module of all instances.
    #[must_use]
    pub fn target(&self) -> String {
        target(&self.name, &self.instance)
    }

    /// The checks that fail, and those that something was remarked of.
    pub fn notable(&self) -> impl Iterator<Item = &CheckReport> {
        self.checks.iter().filter(|check| !check.passes || !check.remarks.is_empty())
    }
}

/// Everything that is shown.
#[derive(Clone, Debug)]
pub struct HostReport<'a> {
    /// Where and when.
    pub look: HostLook<'a>,
    /// The language of its texts.
    pub lang: Lang,
    /// The installation's folder.
    pub home: Option<&'a str>,
    /// The answer in a word.
    pub verdict: Verdict,
    /// The answer in a sentence.
    pub headline: String,
    /// What is unknown, and what to do about it.
    pub doubts: Vec<DoubtText>,
    /// The modules, in the order in which they are shown.
    pub modules: Vec<ModuleReport>,
    /// What else there is to know, what needs attention first.
    pub sections: Vec<Section>,
}

impl<'a> HostReport<'a> {
    /// The report on `look` in `lang`.
    #[must_use]
    pub fn of(look: HostLook<'a>, lang: Lang) -> Self {
        let doubts = doubts::doubts(&look, lang);
        // The processes may belong to no known installation: nothing can be said of them.
        let judgements = if look.snapshot.doubts().iter().any(|doubt| doubt.reason.is_of_everything()) {
            &[][..]
        } else {
            look.judgements
        };
        let look = HostLook { judgements, ..look };
        let modules = all_modules(&look, lang);
        let verdict = verdict(&doubts, &modules);
        let headline = headline(verdict, &doubts, &modules, lang);
        let sections = sections::sections(&look, lang);
        let home = doubts::home(look.snapshot);
        HostReport { look, lang, home, verdict, headline, doubts, modules, sections }
    }

    /// Whether something is not known, so that nothing may be called well.
    #[must_use]
    pub fn is_in_doubt(&self) -> bool {
        !self.doubts.is_empty() || self.verdict == Verdict::CannotTell
    }

    /// The modules in the state `state`.
    pub fn in_state(&self, state: ModuleHealth) -> impl Iterator<Item = &ModuleReport> {
        self.modules.iter().filter(move |module| module.state == state)
    }
}

/// The name of a module as Campaign's commands write it.
fn target(name: &str, instance: &str) -> String {
    if instance == DEFAULT_INSTANCE { name.to_owned() } else { format!("{name}@{instance}") }
}

/// The modules that are expected, seen or judged, in the order in which they are shown.
fn all_modules(look: &HostLook, lang: Lang) -> Vec<ModuleReport> {
    let mut found: BTreeMap<(&str, &str), Vec<&Judgement>> = BTreeMap::new();
    for def in [&MODULE_EXPECTED, &MODULE_UP] {
        for sample in look.snapshot.of(def) {
            found.entry((sample.label(0), sample.label(1))).or_default();
        }
    }
    for judgement in look.judgements {
        found.entry((&judgement.module, &judgement.instance)).or_default().push(judgement);
    }
    for remark in look.snapshot.remarks() {
        found.entry((remark.module, &remark.instance)).or_default();
    }
    let mut modules: Vec<_> =
        found.into_iter().map(|((name, instance), judged)| module(look, name, instance, &judged, lang)).collect();
    modules.sort_by(|one, other| {
        let by_state = one.state.cmp(&other.state);
        by_state.then_with(|| one.instance.cmp(&other.instance)).then_with(|| one.name.cmp(&other.name))
    });
    modules
}

/// What is known of one module at one look.
struct Evidence<'a> {
    look: &'a HostLook<'a>,
    name: &'a str,
    instance: &'a str,
    lang: Lang,
}

impl Evidence<'_> {
    fn value(&self, def: &MetricDef) -> Option<f64> {
        self.look.snapshot.value(def, &[self.name, self.instance])
    }

    fn holds(&self, def: &MetricDef) -> Option<bool> {
        self.value(def).map(|value| value > 0.0)
    }

    fn target(&self) -> String {
        target(self.name, self.instance)
    }

    fn since(&self, time: f64) -> String {
        format::since(time, self.look.time, self.lang)
    }

    /// The values of `def`, a metric of logs, for this module's logs; each with the log's name.
    fn of_logs(&self, def: &MetricDef) -> impl Iterator<Item = (&str, f64)> {
        let samples = self.look.snapshot.of(def);
        let own = samples.filter(|sample| sample.label(1) == self.name && sample.label(2) == self.instance);
        own.map(|sample| (sample.label(0), sample.value))
    }

    fn newest_of_logs(&self, def: &MetricDef) -> Option<f64> {
        self.of_logs(def).map(|(_, value)| value).max_by(f64::total_cmp)
    }

    /// The last run: that of the log which was written last.
    fn last_run(&self) -> Option<LastRun> {
        let runs = self.of_logs(&LOG_LAST_RUN_ERRORS).filter_map(|(log, errors)| {
            let time = self.look.snapshot.value(&LOG_LAST_MESSAGE, &[log, self.name, self.instance])?;
            Some(LastRun { time, errors })
        });
        runs.max_by(|one, other| one.time.total_cmp(&other.time).then(one.errors.total_cmp(&other.errors)))
    }

    fn next_steps(&self, check: &CheckDef) -> Vec<String> {
        let target = self.target();
        let log = format!("var/{}/log/{}.log", self.instance, self.name);
        let is_watchdog = modules::residents().any(|(name, kind)| name == self.name && kind == Kind::Watchdog);
        let command = |verb: &str| {
            if is_watchdog { format!("systemctl {verb} nlserver") } else { format!("nlserver {verb} {target}") }
        };
        let port = self.look.snapshot.value(&PORT_NUMBER, &[self.name, self.instance, check.name]);
        let values = [
            ("{module}", self.name.to_owned()),
            ("{campaign_instance}", self.instance.to_owned()),
            ("{log}", log),
            ("{port}", port.map_or_else(String::new, |port| port.to_string())),
            ("{start}", command("start")),
            ("{restart}", command("restart")),
        ];
        let steps = check.next_steps.get(self.lang);
        let mut steps: Vec<_> = steps
            .lines()
            .map(|step| values.iter().fold(step.to_owned(), |step, (name, value)| step.replace(name, value)))
            .collect();
        if self.name == WFSERVER.name && check.next_steps.en.contains("{restart}") {
            steps.push(RESTART_CANCELS.get(self.lang).to_owned());
        }
        steps
    }
}

/// What the documentation says of the restart of the module that runs the workflows.
const RESTART_CANCELS: Text = Text {
    en: "The restart cancels the workflows in progress: nlserver pdump -who shows them first.",
    pt_br: "A reinicialização cancela os fluxos de trabalho em andamento: antes, veja-os com nlserver pdump -who.",
};

fn module(look: &HostLook, name: &str, instance: &str, judged: &[&Judgement], lang: Lang) -> ModuleReport {
    let evidence = Evidence { look, name, instance, lang };
    let is_resident = modules::residents().any(|(resident, _)| resident == name);
    let (expected, up) = (evidence.holds(&MODULE_EXPECTED), evidence.holds(&MODULE_UP));
    let checks = checks(&evidence, judged);
    let fails = checks.iter().any(|check| !check.passes);
    let must_run = expected == Some(true);
    let knows_whether_it_runs = checks.iter().any(|check| check.def.name == RUNNING.name);
    let state = match (fails, expected, up) {
        (true, ..) => ModuleHealth::Failing,
        (false, Some(false), Some(false) | None) => ModuleHealth::Off,
        _ if must_run && !knows_whether_it_runs => ModuleHealth::Unknown,
        _ if checks.is_empty() && up != Some(true) => ModuleHealth::Unknown,
        _ if look.snapshot.doubts().iter().any(|doubt| doubt.is_of(name, instance)) => ModuleHealth::Unknown,
        _ => ModuleHealth::Well,
    };
    let processes = evidence.value(&MODULE_PROCESSES).unwrap_or_default() > 0.0;
    let threshold = |def| evidence.value(def).filter(|bytes: &f64| *bytes > 0.0);
    ModuleReport {
        state,
        expected,
        up,
        up_since: evidence.value(&MODULE_START_TIME),
        memory: evidence.value(&MODULE_RESIDENT_MEMORY_MAX).filter(|_| processes),
        memory_warning: threshold(&MODULE_MEMORY_WARNING),
        memory_alert: threshold(&MODULE_MEMORY_ALERT),
        last_error: evidence.newest_of_logs(&LOG_LAST_ERROR),
        last_run: if is_resident { None } else { evidence.last_run() },
        checks,
        documented: modules::module(name),
        note: advice::of(name).map(|advice| advice.note.get(lang)).filter(|note| !note.is_empty()),
        name: name.to_owned(),
        instance: instance.to_owned(),
    }
}

/// The checks of a module, those that fail first, with what was remarked of each, also of one that was not judged.
fn checks(evidence: &Evidence, judged: &[&Judgement]) -> Vec<CheckReport> {
    let of_module = |remark: &&Remark| remark.module == evidence.name && remark.instance == evidence.instance;
    let remarks = |check: &CheckDef| -> Vec<String> {
        let remarks = evidence.look.snapshot.remarks().iter().filter(of_module);
        let of_check = remarks.filter(|remark| remark.check == check.name);
        of_check.map(|remark| format!("{}: {}", remark.text.get(evidence.lang), remark.detail)).collect()
    };
    let verdicts = judged.iter().filter_map(|judgement| {
        let def = signals::checks().find(|check| check.name == judgement.check)?;
        Some((def, judgement.passes))
    });
    let mut checks: Vec<_> = verdicts
        .map(|(def, passes)| CheckReport {
            def,
            passes,
            reason: (!passes).then(|| reasons::reason(evidence, def)),
            remarks: remarks(def),
            next_steps: if passes { Vec::new() } else { evidence.next_steps(def) },
        })
        .collect();
    checks.sort_by_key(|check| check.passes);
    checks
}

fn verdict(doubts: &[DoubtText], modules: &[ModuleReport]) -> Verdict {
    let expected = || modules.iter().filter(|module| module.expected == Some(true));
    let any = |state| modules.iter().any(|module| module.state == state);
    if expected().next().is_some() && expected().all(|module| module.up == Some(false)) {
        Verdict::NothingRuns
    } else if any(ModuleHealth::Failing) {
        Verdict::Failing
    } else if !doubts.is_empty() || any(ModuleHealth::Unknown) || !any(ModuleHealth::Well) {
        Verdict::CannotTell
    } else {
        Verdict::Well
    }
}

const CANNOT_TELL: Text = Text { en: "Can't tell", pt_br: "Não é possível saber" };
const NOTHING_JUDGED: Text = Text {
    en: "nothing was judged: no module is configured to start, or the collectors needed for that are disabled",
    pt_br: "nada foi avaliado: nenhum módulo está configurado para iniciar, ou os coletores necessários estão desativados",
};
const NOT_KNOWN_TO_RUN: [Text; 2] = [
    Text { en: "it is not known whether {} module runs", pt_br: "não se sabe se {} módulo está em execução" },
    Text { en: "it is not known whether {} modules run", pt_br: "não se sabe se {} módulos estão em execução" },
];
const NEEDS_YOU: [Text; 2] = [
    Text { en: "{} of MANY modules needs attention", pt_br: "{} de MANY módulos requer atenção" },
    Text { en: "{} of MANY modules need attention", pt_br: "{} de MANY módulos requerem atenção" },
];
const ALL_WELL: [Text; 2] = [
    Text { en: "The one module here is well", pt_br: "O único módulo deste servidor está bem" },
    Text { en: "All {} modules are well", pt_br: "Todos os {} módulos estão bem" },
];
const NOTHING_RUNS: [Text; 2] = [
    Text {
        en: "Nothing runs: the one module to start is down",
        pt_br: "Nada está em execução: o único módulo a iniciar está fora do ar",
    },
    Text {
        en: "Nothing runs: all {} modules to start are down",
        pt_br: "Nada está em execução: todos os {} módulos a iniciar estão fora do ar",
    },
];

/// The answer in a sentence; what is unknown comes first.
fn headline(verdict: Verdict, doubts: &[DoubtText], modules: &[ModuleReport], lang: Lang) -> String {
    let number = |[one, many]: [Text; 2], count: usize| {
        #[expect(clippy::cast_precision_loss, reason = "a count of modules")]
        let count = count as f64;
        format::plural(count, one, many, lang)
    };
    let in_state = |state| modules.iter().filter(|module| module.state == state).count();
    let count = modules.iter().filter(|module| module.state != ModuleHealth::Off).count();
    let told = match verdict {
        Verdict::Well => number(ALL_WELL, count),
        Verdict::Failing => {
            #[expect(clippy::cast_precision_loss, reason = "a count of modules")]
            let all = format::count(count as f64, lang);
            number(NEEDS_YOU, in_state(ModuleHealth::Failing)).replace("MANY", &all)
        }
        Verdict::NothingRuns => {
            number(NOTHING_RUNS, modules.iter().filter(|module| module.expected == Some(true)).count())
        }
        Verdict::CannotTell => String::new(),
    };
    let cannot_tell = CANNOT_TELL.get(lang);
    match (verdict, doubts.first()) {
        (Verdict::CannotTell, Some(doubt)) => format!("{cannot_tell}: {}", doubt.clause),
        (Verdict::CannotTell, None) if in_state(ModuleHealth::Unknown) > 0 => {
            format!("{cannot_tell}: {}", number(NOT_KNOWN_TO_RUN, in_state(ModuleHealth::Unknown)))
        }
        (Verdict::CannotTell, None) => format!("{cannot_tell}: {}", NOTHING_JUDGED.get(lang)),
        (_, Some(_)) => format!("{}. {told}", CANNOT_TELL_ALL.get(lang)),
        (_, None) => told,
    }
}

const CANNOT_TELL_ALL: Text = Text { en: "Can't tell everything", pt_br: "Não é possível saber tudo" };

#[cfg(test)]
mod tests;
