//! The rest of the report, one section per theme: what each row says, and whether it needs attention.

use std::collections::BTreeMap;

use super::{HostLook, reasons, target};
use crate::catalog::attributes::CUSTOMER_SCRIPT;
use crate::catalog::modules::{self, MODULES};
use crate::catalog::signals::crash::{
    CORE_FILES, CORE_NEWEST, CORE_PIPED, SHARED_MEMORY_BYTES, SHARED_MEMORY_SEGMENTS,
};
use crate::catalog::signals::exporter::{
    CONFIGURATION_BACKUP_COPY, CONFIGURATION_INVALID_VALUES, CONFIGURATION_LAST_RELOAD_SUCCESSFUL,
    CONFIGURATION_LAST_RELOAD_TIMESTAMP, CONFIGURATION_NOT_LOADED, SCRAPE_COLLECTOR_ERRORS, SCRAPE_COLLECTOR_SUCCESS,
};
use crate::catalog::signals::indicators::{
    INDICATOR_ALERT_THRESHOLD, INDICATOR_FILE_MODIFIED, INDICATOR_FILE_VALID, INDICATOR_VALUE,
    INDICATOR_WARNING_THRESHOLD,
};
use crate::catalog::signals::logs::{LOG_FILES_NOT_FOLLOWED, LOG_LAG, LOG_LAST_FAILED_RUN, STORAGE_SUCCESSFUL};
use crate::catalog::signals::modules::{MODULE_PROCESSES, MODULE_RESIDENT_MEMORY_MAX};
use crate::catalog::signals::probes::{
    MESSAGE_CENTER_PENDING_EVENTS, MESSAGE_CENTER_QUEUE_CAPACITY, PROBE_DURATION, PROBE_LAST_RUN, PROBE_SUCCESS,
};
use crate::catalog::signals::spool::{MTA_SPOOL_FILES, MTA_SPOOL_OLDEST};
use crate::catalog::signals::tracking::{
    TRACKING_LOG_BYTES, TRACKING_LOG_CORRUPT_FILES, TRACKING_LOG_FILES, TRACKING_LOG_FILES_NOT_FOLLOWED,
    TRACKING_LOG_SIZE_LIMIT,
};
use crate::catalog::{Lang, MetricDef, Text};
use crate::render::format::{bytes, count, duration, number, plural, since};

/// A theme.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// What it is about.
    pub title: &'static str,
    /// What is known: never empty.
    pub facts: Vec<Fact>,
}

impl Section {
    /// Whether one of its facts needs attention.
    #[must_use]
    pub fn needs_attention(&self) -> bool {
        self.facts.iter().any(|fact| fact.needs_attention)
    }
}

/// One line of a section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// What it is about.
    pub subject: String,
    /// What is known of it.
    pub text: String,
    /// Whether it needs attention.
    pub needs_attention: bool,
}

/// Every section that has a fact, those that need attention first.
pub(super) fn sections(look: &HostLook, lang: Lang) -> Vec<Section> {
    let finder = Finder { look, lang };
    let themes = [
        (Text { en: "Children and other processes", pt_br: "Processos filhos e outros" }, finder.children()),
        (Text { en: "Spool of the mta", pt_br: "Spool do mta" }, finder.spool()),
        (Text { en: "Core files and shared memory", pt_br: "Arquivos core e memória compartilhada" }, finder.crashes()),
        (Text { en: "Tracking logs", pt_br: "Logs de rastreamento" }, finder.tracking()),
        (Text { en: "Runs that failed", pt_br: "Execuções com falha" }, finder.failed_runs()),
        (Text { en: "Logs", pt_br: "Logs" }, finder.logs()),
        (Text { en: "Probes", pt_br: "Sondas" }, finder.probes()),
        (Text { en: "Indicators", pt_br: "Indicadores" }, finder.indicators()),
        (Text { en: "Configuration files", pt_br: "Arquivos de configuração" }, finder.configuration()),
        (Text { en: "Storage of the exporter", pt_br: "Armazenamento do exportador" }, finder.storage()),
        (Text { en: "Collectors of the exporter", pt_br: "Coletores do exportador" }, finder.collectors()),
    ];
    let found = themes.into_iter().map(|(title, facts)| Section { title: title.get(lang), facts });
    let mut sections: Vec<_> = found.filter(|section| !section.facts.is_empty()).collect();
    sections.sort_by_key(|section| !section.needs_attention());
    sections
}

struct Finder<'a> {
    look: &'a HostLook<'a>,
    lang: Lang,
}

fn fact(subject: impl Into<String>, text: impl Into<String>, needs_attention: bool) -> Fact {
    Fact { subject: subject.into(), text: text.into(), needs_attention }
}

impl Finder<'_> {
    /// The samples of a metric with one label.
    fn by_label(&self, def: &MetricDef) -> BTreeMap<&str, f64> {
        self.look.snapshot.of(def).map(|sample| (sample.label(0), sample.value)).collect()
    }

    fn value(&self, def: &MetricDef, labels: &[&str]) -> Option<f64> {
        self.look.snapshot.value(def, labels)
    }

    fn text(&self, text: Text) -> &'static str {
        text.get(self.lang)
    }

    fn since(&self, time: f64) -> String {
        since(time, self.look.time, self.lang)
    }

    fn children(&self) -> Vec<Fact> {
        const PROCESSES: [Text; 2] =
            [Text { en: "{} process", pt_br: "{} processo" }, Text { en: "{} processes", pt_br: "{} processos" }];
        const LARGEST: Text = Text { en: "the largest uses", pt_br: "o maior usa" };
        let mut running: Vec<_> = self.look.snapshot.of(&MODULE_PROCESSES).collect();
        running.retain(|sample| {
            let name = sample.label(0);
            let is_child = MODULES.iter().any(|module| module.children.contains(&name));
            let is_resident = modules::residents().any(|(resident, _)| resident == name);
            is_child || (sample.value > 0.0 && !is_resident)
        });
        let facts = running.into_iter().map(|sample| {
            let (name, instance) = (sample.label(0), sample.label(1));
            let mut text = plural(sample.value, PROCESSES[0], PROCESSES[1], self.lang);
            let memory = self.value(&MODULE_RESIDENT_MEMORY_MAX, &[name, instance]).filter(|_| sample.value > 0.0);
            if let Some(memory) = memory {
                text = format!("{text}; {} {}", self.text(LARGEST), bytes(memory, self.lang));
            }
            fact(target(name, instance), text, false)
        });
        facts.collect()
    }

    fn spool(&self) -> Vec<Fact> {
        const WAIT: [Text; 2] = [
            Text { en: "{} file is waiting", pt_br: "{} arquivo em espera" },
            Text { en: "{} files are waiting", pt_br: "{} arquivos em espera" },
        ];
        const OLDEST: Text = Text { en: "the oldest since", pt_br: "o mais antigo desde" };
        let facts = self.by_label(&MTA_SPOOL_FILES).into_iter().map(|(instance, files)| {
            let text = plural(files, WAIT[0], WAIT[1], self.lang);
            let oldest = self.value(&MTA_SPOOL_OLDEST, &[instance]);
            let text =
                oldest.map_or(text.clone(), |time| format!("{text}; {} {}", self.text(OLDEST), self.since(time)));
            fact(instance, text, false)
        });
        facts.collect()
    }

    fn crashes(&self) -> Vec<Fact> {
        const CORES: Text = Text { en: "Core files", pt_br: "Arquivos core" };
        const NEWEST: Text = Text { en: "the newest from", pt_br: "o mais recente de" };
        const PIPED: Text = Text {
            en: "kernel.core_pattern gives them to a program: a crash leaves no file to count",
            pt_br: "o kernel.core_pattern os entrega a um programa: um encerramento anormal não deixa arquivo para contar",
        };
        const SEGMENTS: Text = Text { en: "Shared memory segments", pt_br: "Segmentos de memória compartilhada" };
        let mut facts = Vec::new();
        if let Some(cores) = self.value(&CORE_FILES, &[]) {
            let newest =
                self.value(&CORE_NEWEST, &[]).map(|time| format!("; {} {}", self.text(NEWEST), self.since(time)));
            let text = format!("{}{}", count(cores, self.lang), newest.unwrap_or_default());
            facts.push(fact(self.text(CORES), text, cores > 0.0));
        }
        if self.value(&CORE_PIPED, &[]).is_some_and(|piped| piped > 0.0) {
            facts.push(fact(self.text(CORES), self.text(PIPED), false));
        }
        if let Some(segments) = self.value(&SHARED_MEMORY_SEGMENTS, &[]) {
            let size = self.value(&SHARED_MEMORY_BYTES, &[]).map(|size| format!("; {}", bytes(size, self.lang)));
            let text = format!("{}{}", count(segments, self.lang), size.unwrap_or_default());
            facts.push(fact(self.text(SEGMENTS), text, false));
        }
        facts
    }

    fn tracking(&self) -> Vec<Fact> {
        const FILES: [Text; 2] =
            [Text { en: "{} file", pt_br: "{} arquivo" }, Text { en: "{} files", pt_br: "{} arquivos" }];
        const LIMIT: Text = Text { en: "limit", pt_br: "limite" };
        const CORRUPT: [Text; 2] = [
            Text { en: "{} with a corrupt line", pt_br: "{} com linha corrompida" },
            Text { en: "{} with corrupt lines", pt_br: "{} com linhas corrompidas" },
        ];
        let facts = self.by_label(&TRACKING_LOG_FILES).into_iter().map(|(instance, files)| {
            let mut text = plural(files, FILES[0], FILES[1], self.lang);
            if let Some(size) = self.value(&TRACKING_LOG_BYTES, &[instance]) {
                text = format!("{text}; {}", bytes(size, self.lang));
            }
            if let Some(limit) = self.value(&TRACKING_LOG_SIZE_LIMIT, &[instance]) {
                text = format!("{text} ({} {})", self.text(LIMIT), bytes(limit, self.lang));
            }
            let corrupt = self.value(&TRACKING_LOG_CORRUPT_FILES, &[instance]).filter(|files| *files > 0.0);
            if let Some(corrupt) = corrupt {
                text = format!("{text}; {}", plural(corrupt, CORRUPT[0], CORRUPT[1], self.lang));
            }
            fact(instance, text, corrupt.is_some())
        });
        let mut facts: Vec<_> = facts.collect();
        facts.extend(self.not_followed(&TRACKING_LOG_FILES_NOT_FOLLOWED));
        facts
    }

    /// The last run that failed of each module that starts when needed. Whether the latest one did is a check.
    fn failed_runs(&self) -> Vec<Fact> {
        const LAST: Text = Text { en: "the last one at", pt_br: "a última em" };
        let facts = self.look.snapshot.of(&LOG_LAST_FAILED_RUN).map(|sample| {
            let (module, instance, code) = (sample.label(1), sample.label(2), sample.label(3));
            let code = if code.is_empty() { String::new() } else { format!("; {code}") };
            fact(target(module, instance), format!("{} {}{code}", self.text(LAST), self.since(sample.value)), false)
        });
        facts.collect()
    }

    fn logs(&self) -> Vec<Fact> {
        const BEHIND: Text = Text { en: "not read yet:", pt_br: "ainda não lidos:" };
        let behind = self.look.snapshot.of(&LOG_LAG).filter(|sample| sample.value >= 1024.0 * 1024.0);
        let behind = behind.map(|sample| {
            let log = format!("{}@{}", sample.label(0), sample.label(2));
            fact(log, format!("{} {}", self.text(BEHIND), bytes(sample.value, self.lang)), true)
        });
        behind.chain(self.not_followed(&LOG_FILES_NOT_FOLLOWED)).collect()
    }

    /// The files of each instance that can't be followed, by reason.
    fn not_followed(&self, def: &MetricDef) -> Vec<Fact> {
        const FILES: [Text; 2] = [
            Text { en: "{} file can't be followed", pt_br: "{} arquivo não pode ser acompanhado" },
            Text { en: "{} files can't be followed", pt_br: "{} arquivos não podem ser acompanhados" },
        ];
        let samples = self.look.snapshot.of(def).filter(|sample| sample.value > 0.0);
        let facts = samples.map(|sample| {
            let text = plural(sample.value, FILES[0], FILES[1], self.lang);
            // The folder that has those of the instances is of none.
            let of = if sample.label(0).is_empty() { "var" } else { sample.label(0) };
            fact(of, format!("{text}: {}", reasons::why(sample.label(1), self.lang)), true)
        });
        facts.collect()
    }

    fn probes(&self) -> Vec<Fact> {
        const WELL: Text = Text { en: "OK in", pt_br: "OK em" };
        const AT: Text = Text { en: "last probed at", pt_br: "última sondagem:" };
        const EVENTS: Text = Text { en: "Message Center queue", pt_br: "Fila do Message Center" };
        const OF: Text = Text { en: "of", pt_br: "de" };
        let results = self.look.snapshot.of(&PROBE_SUCCESS).map(|sample| {
            let (probe, target) = (sample.label(0), sample.label(1));
            let at = self.value(&PROBE_LAST_RUN, &[probe, target]);
            let at = at.map(|time| format!("; {} {}", self.text(AT), self.since(time))).unwrap_or_default();
            let passes = sample.value > 0.0;
            let text = if passes {
                let took = self.value(&PROBE_DURATION, &[probe, target]).unwrap_or_default();
                format!("{} {}{at}", self.text(WELL), duration(took, self.lang))
            } else {
                format!("{}{at}", reasons::probe_failure(self.look, probe, target, self.lang))
            };
            fact(format!("{probe} {target}"), text, !passes)
        });
        let mut facts: Vec<_> = results.collect();
        for (target, pending) in self.by_label(&MESSAGE_CENTER_PENDING_EVENTS) {
            let capacity = self.value(&MESSAGE_CENTER_QUEUE_CAPACITY, &[target]);
            let text = count(pending, self.lang);
            let text =
                capacity.map_or(text.clone(), |most| format!("{text} {} {}", self.text(OF), count(most, self.lang)));
            facts.push(fact(
                format!("{} {target}", self.text(EVENTS)),
                text,
                capacity.is_some_and(|most| pending >= most),
            ));
        }
        facts
    }

    fn indicators(&self) -> Vec<Fact> {
        const WARNING: Text = Text { en: "warning at", pt_br: "aviso em" };
        const ALERT: Text = Text { en: "alert at", pt_br: "alerta em" };
        const BROKEN: Text = Text {
            en: "can't be read or understood; the exporter's log says why",
            pt_br: "não pode ser lido ou compreendido; o log do exportador diz por quê",
        };
        let plain = |value: f64| number(value, if value.fract() == 0.0 { 0 } else { 2 }, self.lang);
        let values = self.look.snapshot.of(&INDICATOR_VALUE).map(|sample| {
            let (indicator, label) = (sample.label(0), sample.label(1));
            let (warning, alert) = (
                self.value(&INDICATOR_WARNING_THRESHOLD, &[indicator]),
                self.value(&INDICATOR_ALERT_THRESHOLD, &[indicator]),
            );
            // The order of the thresholds says which way is worse.
            let falls = warning.zip(alert).is_some_and(|(warning, alert)| alert < warning);
            let limit = warning.or(alert);
            let reached = limit.is_some_and(|limit| if falls { sample.value <= limit } else { sample.value >= limit });
            let mut text = plain(sample.value);
            for (title, limit) in [(WARNING, warning), (ALERT, alert)] {
                if let Some(limit) = limit {
                    text = format!("{text}; {} {}", self.text(title), plain(limit));
                }
            }
            fact(if label.is_empty() { indicator.to_owned() } else { format!("{indicator}: {label}") }, text, reached)
        });
        let broken = self.by_label(&INDICATOR_FILE_VALID).into_iter().filter(|(_, valid)| *valid == 0.0);
        let broken = broken.map(|(file, _)| {
            let modified = self.value(&INDICATOR_FILE_MODIFIED, &[file]);
            let modified = modified.map(|time| format!(" ({})", self.since(time))).unwrap_or_default();
            fact(file, format!("{}{modified}", self.text(BROKEN)), true)
        });
        values.chain(broken).collect()
    }

    fn configuration(&self) -> Vec<Fact> {
        const IN_FORCE: Text = Text { en: "in force, read at", pt_br: "em vigor, lido em" };
        const UNREADABLE: Text = Text {
            en: "can't be read as it is now; in force is the content from",
            pt_br: "não pode ser lido como está agora; em vigor está o conteúdo de",
        };
        const COPY: Text = Text {
            en: "taken for a backup copy, and not read: nothing runs or writes a log under its name",
            pt_br: "considerado uma cópia de segurança e não lido: nada é executado nem grava logs com o seu nome",
        };
        const NOT_LOADED: Text = Text {
            en: "newer than the watchdog: nothing is expected of it until the watchdog starts again",
            pt_br: "mais recente que o watchdog: nada é esperado desta instância até que o watchdog reinicie",
        };
        const NEVER: Text = Text { en: "can't be read, and never could be", pt_br: "não pode ser lido e nunca pôde" };
        const INVALID: [Text; 2] = [
            Text { en: "{} value can't be read and is not used", pt_br: "{} valor não pode ser lido e não é usado" },
            Text {
                en: "{} values can't be read and are not used",
                pt_br: "{} valores não podem ser lidos e não são usados",
            },
        ];
        let facts = self.by_label(&CONFIGURATION_LAST_RELOAD_SUCCESSFUL).into_iter().map(|(file, successful)| {
            let read = self.value(&CONFIGURATION_LAST_RELOAD_TIMESTAMP, &[file]).map(|time| self.since(time));
            let is_good = successful > 0.0;
            let text = match read {
                Some(time) => format!("{} {time}", self.text(if is_good { IN_FORCE } else { UNREADABLE })),
                None => self.text(NEVER).to_owned(),
            };
            let invalid = self.value(&CONFIGURATION_INVALID_VALUES, &[file]).filter(|values| *values > 0.0);
            let invalid = invalid.map(|values| format!("; {}", plural(values, INVALID[0], INVALID[1], self.lang)));
            let needs_attention = !is_good || invalid.is_some();
            let path = if file == CUSTOMER_SCRIPT { file.to_owned() } else { format!("conf/{file}") };
            fact(path, format!("{text}{}", invalid.unwrap_or_default()), needs_attention)
        });
        let copies = self.by_label(&CONFIGURATION_BACKUP_COPY).into_iter();
        let copies = copies.map(|(file, _)| fact(format!("conf/{file}"), self.text(COPY), false));
        let new = self.by_label(&CONFIGURATION_NOT_LOADED).into_iter();
        let new = new.map(|(instance, _)| fact(instance, self.text(NOT_LOADED), false));
        facts.chain(copies).chain(new).collect()
    }

    fn storage(&self) -> Vec<Fact> {
        const STORED: Text =
            Text { en: "positions and counters are stored", pt_br: "posições e contadores armazenados" };
        const FAILS: Text = Text {
            en: "positions and counters can't be stored: a restart would lose them",
            pt_br: "posições e contadores não podem ser armazenados: uma reinicialização os perderia",
        };
        let facts = self.by_label(&STORAGE_SUCCESSFUL).into_iter().map(|(collector, successful)| {
            let is_good = successful > 0.0;
            fact(collector, self.text(if is_good { STORED } else { FAILS }), !is_good)
        });
        facts.collect()
    }

    /// Only those that fail: the rest is of no interest to an operator.
    fn collectors(&self) -> Vec<Fact> {
        const FAILS: Text = Text { en: "could not read everything", pt_br: "não conseguiu ler tudo" };
        let failing = self.by_label(&SCRAPE_COLLECTOR_SUCCESS).into_iter().filter(|(_, success)| *success == 0.0);
        let facts = failing.map(|(collector, _)| {
            let errors = self.look.snapshot.of(&SCRAPE_COLLECTOR_ERRORS);
            let kinds = errors.filter(|sample| sample.label(0) == collector && sample.value > 0.0);
            let kinds: Vec<_> = kinds.map(|sample| reasons::why(sample.label(1), self.lang)).collect();
            fact(collector, format!("{}: {}", self.text(FAILS), kinds.join(", ")), true)
        });
        facts.collect()
    }
}
