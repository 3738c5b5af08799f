//! Why a check fails: a sentence with the value and its limit, one function a check.

use super::{Evidence, HostLook};
use crate::catalog::signals::crash::SHARED_MEMORY;
use crate::catalog::signals::logs::{LAST_RUN, LOG_LAST_MESSAGE};
use crate::catalog::signals::modules::{
    AGE, DESCRIPTORS, LOG_PRECISION, MAX_AGE, MAX_OPEN_FDS_RATIO, MAX_WAITING, MEMORY, MODULE_EXPECTED,
    MODULE_LAST_SEEN, MODULE_MEMORY_ALERT, MODULE_OPEN_FDS_RATIO, MODULE_PROCESSES, MODULE_RESIDENT_MEMORY_MAX,
    MODULE_START_TIME, MODULE_STATES, MODULE_WAITING, RESPONSIVE, RUNNING, STARTS_MODULES,
};
use crate::catalog::signals::ports::{CONTROL_PORT, HTTP_PORT, PORT, PORT_BOUND, PORT_NUMBER};
use crate::catalog::signals::probes::{
    PING, PROBE_FAILURE_INFO, PROBE_HTTP_STATUS, PROBE_SUCCESS, PROBE_TARGET_INFO, Probe, REDIRECTION,
};
use crate::catalog::signals::spool::{CHILDREN, MTA_SPOOL_FILES};
use crate::catalog::signals::tracking::{LOG_INTEGRITY, TRACKING_LOG_CORRUPT_FILES};
use crate::catalog::{CheckDef, Lang, Text, modules};
use crate::render::format::{bytes, count, duration, percent, plural};

/// Why a check fails.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FailureText {
    /// A sentence without a full stop.
    pub text: String,
    /// What was measured, in the unit of the metric behind it.
    pub value: Option<f64>,
    /// What the value may not reach, in the same unit.
    pub limit: Option<f64>,
}

impl From<String> for FailureText {
    fn from(text: String) -> Self {
        Self { text, value: None, limit: None }
    }
}

/// A check, and the function that words its failure.
type Wording = (&'static CheckDef, fn(&Evidence) -> FailureText);

/// Of the checks that have a value or a state to tell.
const REASONS: &[Wording] = &[
    (&RUNNING, running),
    (&MEMORY, memory),
    (&AGE, age),
    (&RESPONSIVE, responsive),
    (&DESCRIPTORS, descriptors),
    (&LOG_PRECISION, log_precision),
    (&STARTS_MODULES, starts_modules),
    (&PORT, |evidence| port(evidence, &PORT)),
    (&HTTP_PORT, |evidence| port(evidence, &HTTP_PORT)),
    (&CONTROL_PORT, |evidence| port(evidence, &CONTROL_PORT)),
    (&CHILDREN, children),
    (&SHARED_MEMORY, shared_memory),
    (&LOG_INTEGRITY, log_integrity),
    (&REDIRECTION, |evidence| probe(evidence, Probe::Redirection)),
    (&PING, |evidence| probe(evidence, Probe::Ping)),
    (&LAST_RUN, last_run),
];

/// Why `check` fails; for a check that has no sentence of its own, what would hold if it passed.
pub(super) fn reason(evidence: &Evidence, check: &CheckDef) -> FailureText {
    let own = REASONS.iter().find(|(def, _)| def.name == check.name).map(|(_, reason)| reason(evidence));
    own.unwrap_or_else(|| plain(evidence, check))
}

/// That `check` fails, and what would hold if it passed.
fn plain(evidence: &Evidence, check: &CheckDef) -> FailureText {
    const TEXT: Text = Text {
        en: "the check {a} fails for {m}; it passes when this holds: {b}",
        pt_br: "a verificação {a} falha para {m}; ela é aprovada quando isto vale: {b}",
    };
    let [title, passes_when] = [check.title, check.passes_when].map(|text| text.get(evidence.lang));
    filled(evidence, TEXT, [title, passes_when.trim_end_matches('.')]).into()
}

/// The text with the module's name in place of `{m}`, and further values in place of `{a}` and `{b}`.
fn filled(evidence: &Evidence, text: Text, [a, b]: [&str; 2]) -> String {
    let name = format!("{}@{}", evidence.name, evidence.instance);
    text.get(evidence.lang).replace("{m}", &name).replace("{a}", a).replace("{b}", b)
}

fn running(evidence: &Evidence) -> FailureText {
    const DOWN: Text = Text { en: "{m} is not running", pt_br: "{m} não está em execução" };
    const ZOMBIE: Text = Text {
        en: "{m} is not running: its process has exited and is a zombie",
        pt_br: "{m} não está em execução: o processo terminou e é zumbi",
    };
    const LAST_SEEN: Text = Text {
        en: "{m} is not running; last seen {a}",
        pt_br: "{m} não está em execução; visto pela última vez: {a}",
    };
    const LAST_MESSAGE: Text = Text {
        en: "{m} is not running; last message in its log at {a}",
        pt_br: "{m} não está em execução; última mensagem no log: {a}",
    };
    if evidence.holds(&MODULE_PROCESSES) == Some(true) {
        return filled(evidence, ZOMBIE, ["", ""]).into();
    }
    let told = |text, time: f64| filled(evidence, text, [&evidence.since(time), ""]).into();
    match (evidence.value(&MODULE_LAST_SEEN), evidence.newest_of_logs(&LOG_LAST_MESSAGE)) {
        (Some(seen), _) => told(LAST_SEEN, seen),
        (None, Some(message)) => told(LAST_MESSAGE, message),
        (None, None) => filled(evidence, DOWN, ["", ""]).into(),
    }
}

fn memory(evidence: &Evidence) -> FailureText {
    const TEXT: Text = Text {
        en: "the largest process of {m} uses {a}; its alert threshold is {b}",
        pt_br: "o maior processo de {m} usa {a}; o limite de alerta é {b}",
    };
    let (value, limit) = (evidence.value(&MODULE_RESIDENT_MEMORY_MAX), evidence.value(&MODULE_MEMORY_ALERT));
    let size = |value: Option<f64>| bytes(value.unwrap_or_default(), evidence.lang);
    FailureText { text: filled(evidence, TEXT, [&size(value), &size(limit)]), value, limit }
}

fn age(evidence: &Evidence) -> FailureText {
    const TEXT: Text = Text {
        en: "{m} has been running since {a}; the daily restart should have replaced it within {b}",
        pt_br: "{m} está em execução desde {a}; a reinicialização diária deveria tê-lo substituído em até {b}",
    };
    let start = evidence.value(&MODULE_START_TIME).unwrap_or(evidence.look.time);
    let limit = MAX_AGE.as_secs_f64();
    let text = filled(evidence, TEXT, [&evidence.since(start), &duration(limit, evidence.lang)]);
    FailureText { text, value: Some(evidence.look.time - start), limit: Some(limit) }
}

fn responsive(evidence: &Evidence) -> FailureText {
    const STATES: [(&str, [Text; 2]); 2] = [
        (
            "stopped",
            [
                Text { en: "{} process of {m} is stopped", pt_br: "{} processo de {m} está parado" },
                Text { en: "{} processes of {m} are stopped", pt_br: "{} processos de {m} estão parados" },
            ],
        ),
        (
            "zombie",
            [
                Text { en: "{} process of {m} is a zombie", pt_br: "{} processo de {m} é zumbi" },
                Text { en: "{} processes of {m} are zombies", pt_br: "{} processos de {m} são zumbis" },
            ],
        ),
    ];
    const WAITS: Text = Text {
        en: "a process of {m} has been in uninterruptible sleep for {a}; the limit is {b}",
        pt_br: "um processo de {m} está em espera ininterruptível há {a}; o limite é {b}",
    };
    let name = format!("{}@{}", evidence.name, evidence.instance);
    for (state, [one, many]) in STATES {
        let labels = [evidence.name, evidence.instance, state];
        if let Some(value) = evidence.look.snapshot.value(&MODULE_STATES, &labels).filter(|count| *count > 0.0) {
            let text = plural(value, one, many, evidence.lang).replace("{m}", &name);
            return FailureText { text, value: Some(value), limit: None };
        }
    }
    let (value, limit) = (evidence.value(&MODULE_WAITING), MAX_WAITING.as_secs_f64());
    let time = |seconds| duration(seconds, evidence.lang);
    FailureText {
        text: filled(evidence, WAITS, [&time(value.unwrap_or(limit)), &time(limit)]),
        value,
        limit: Some(limit),
    }
}

fn descriptors(evidence: &Evidence) -> FailureText {
    const TEXT: Text = Text {
        en: "a process of {m} has {a} of the file descriptors open that it may open; the limit is {b}",
        pt_br: "um processo de {m} tem abertos {a} dos descritores de arquivo que pode abrir; o limite é {b}",
    };
    let value = evidence.value(&MODULE_OPEN_FDS_RATIO);
    let share = |ratio| percent(ratio, evidence.lang);
    let text = filled(evidence, TEXT, [&share(value.unwrap_or_default()), &share(MAX_OPEN_FDS_RATIO)]);
    FailureText { text, value, limit: Some(MAX_OPEN_FDS_RATIO) }
}

fn log_precision(evidence: &Evidence) -> FailureText {
    const TEXT: Text = Text {
        en: "{m} runs with -verbose or -tracefilter, which its configuration does not ask for",
        pt_br: "{m} está em execução com -verbose ou -tracefilter, que a configuração não pede",
    };
    filled(evidence, TEXT, ["", ""]).into()
}

fn starts_modules(evidence: &Evidence) -> FailureText {
    const TEXT: [Text; 2] = [
        Text {
            en: "the only module that the watchdog should start is not running",
            pt_br: "o único módulo que o watchdog deve iniciar não está em execução",
        },
        Text {
            en: "none of the {} modules that the watchdog should start is running",
            pt_br: "nenhum dos {} módulos que o watchdog deve iniciar está em execução",
        },
    ];
    let expected = evidence.look.snapshot.of(&MODULE_EXPECTED);
    let others = expected.filter(|sample| sample.value > 0.0 && sample.label(0) != evidence.name).count();
    #[expect(clippy::cast_precision_loss, reason = "a count of modules")]
    let others = others as f64;
    plural(others, TEXT[0], TEXT[1], evidence.lang).into()
}

fn port(evidence: &Evidence, check: &CheckDef) -> FailureText {
    const UNBOUND: Text =
        Text { en: "nothing is listening on port {a} of {m}", pt_br: "nada está escutando na porta {a} de {m}" };
    const TAKEN: Text = Text {
        en: "another program is listening on port {a} of {m}",
        pt_br: "outro programa está escutando na porta {a} de {m}",
    };
    let snapshot = evidence.look.snapshot;
    let number = snapshot.value(&PORT_NUMBER, &[evidence.name, evidence.instance, check.name]);
    let documented =
        modules::module(evidence.name).and_then(|row| row.ports.iter().find(|port| port.check == check.name));
    let (Some(number), Some(documented)) = (number, documented) else {
        return plain(evidence, check);
    };
    let (port, protocol) = (number.to_string(), documented.protocol.label());
    let bound = snapshot.value(&PORT_BOUND, &[evidence.name, evidence.instance, &port, protocol]);
    let text = if bound == Some(0.0) { UNBOUND } else { TAKEN };
    filled(evidence, text, [&format!("{port}/{protocol}"), ""]).into()
}

fn children(evidence: &Evidence) -> FailureText {
    const TEXT: [Text; 2] = [
        Text {
            en: "{} file is waiting in the spool of {m}, and no child process is there to deliver it",
            pt_br: "{} arquivo espera no spool de {m}, e não há processo filho para entregá-lo",
        },
        Text {
            en: "{} files are waiting in the spool of {m}, and no child process is there to deliver them",
            pt_br: "{} arquivos esperam no spool de {m}, e não há processo filho para entregá-los",
        },
    ];
    let value = evidence.look.snapshot.value(&MTA_SPOOL_FILES, &[evidence.instance]);
    let name = format!("{}@{}", evidence.name, evidence.instance);
    let text = plural(value.unwrap_or_default(), TEXT[0], TEXT[1], evidence.lang).replace("{m}", &name);
    FailureText { text, value, limit: None }
}

fn shared_memory(evidence: &Evidence) -> FailureText {
    const TEXT: Text = Text {
        en: "{m} has no shared memory segment to take tracking entries from",
        pt_br: "{m} não tem segmento de memória compartilhada do qual obter os registros de rastreamento",
    };
    filled(evidence, TEXT, ["", ""]).into()
}

fn log_integrity(evidence: &Evidence) -> FailureText {
    const TEXT: [Text; 2] = [
        Text {
            en: "{} tracking log has a corrupt line, which stops the Tracking workflow",
            pt_br: "{} log de rastreamento tem uma linha corrompida, o que interrompe o fluxo de trabalho de rastreamento",
        },
        Text {
            en: "{} tracking logs have corrupt lines, which stop the Tracking workflow",
            pt_br: "{} logs de rastreamento têm linhas corrompidas, o que interrompe o fluxo de trabalho de rastreamento",
        },
    ];
    let value = evidence.look.snapshot.of(&TRACKING_LOG_CORRUPT_FILES).map(|sample| sample.value).sum();
    FailureText { text: plural(value, TEXT[0], TEXT[1], evidence.lang), value: Some(value), limit: None }
}

fn probe(evidence: &Evidence, probe: Probe) -> FailureText {
    const TEXT: Text =
        Text { en: "{a} did not answer as documented: {b}", pt_br: "{a} não respondeu como documentado: {b}" };
    let snapshot = evidence.look.snapshot;
    let here = snapshot.of(&PROBE_TARGET_INFO).filter(|sample| sample.label(2) == "yes");
    let failing = here.map(|sample| (sample.label(0), sample.label(1)));
    let mut failing =
        failing.filter(|(target, _)| snapshot.value(&PROBE_SUCCESS, &[probe.label(), target]) == Some(0.0));
    let (target, url) = failing.next().unwrap_or_default();
    let why = probe_failure(evidence.look, probe.label(), target, evidence.lang);
    filled(evidence, TEXT, [&format!("{} ({url})", probe.label()), &why]).into()
}

/// Why a probe failed, in words.
pub(super) fn probe_failure(look: &HostLook, probe: &str, target: &str, lang: Lang) -> String {
    let snapshot = look.snapshot;
    let mut infos = snapshot.of(&PROBE_FAILURE_INFO);
    let reason = infos.find(|sample| sample.label(0) == probe && sample.label(1) == target);
    let reason = reason.map_or("", |sample| sample.label(2));
    let text = why(reason, lang);
    match snapshot.value(&PROBE_HTTP_STATUS, &[probe, target]) {
        Some(status) => format!("{text} (HTTP {status})"),
        None => text.to_owned(),
    }
}

/// The labels `kind` and `reason` in words: why something could not be read or asked.
pub(super) fn why(label: &str, lang: Lang) -> &str {
    const WORDS: &[(&str, Text)] = &[
        ("permission", Text { en: "permission denied", pt_br: "permissão negada" }),
        ("gone", Text { en: "not found", pt_br: "não encontrado" }),
        ("parse", Text { en: "not understood", pt_br: "não compreendido" }),
        ("timeout", Text { en: "it took too long", pt_br: "demorou demais" }),
        ("panic", Text { en: "a defect of the exporter", pt_br: "um defeito do exportador" }),
        ("busy", Text { en: "an earlier run has not ended", pt_br: "uma execução anterior não terminou" }),
        ("system", Text { en: "an error of the system", pt_br: "um erro do sistema" }),
        ("not_a_file", Text { en: "not a file", pt_br: "não é um arquivo" }),
        ("limit", Text { en: "too many", pt_br: "são demais" }),
        ("failure", Text { en: "an error of the system", pt_br: "um erro do sistema" }),
        ("dns", Text { en: "its name can't be resolved", pt_br: "o nome não pode ser resolvido" }),
        ("connect", Text { en: "no connection could be made", pt_br: "não foi possível conectar" }),
        ("tls", Text { en: "TLS failed", pt_br: "o TLS falhou" }),
        ("status", Text { en: "an error status", pt_br: "um status de erro" }),
        (
            "body",
            Text { en: "an answer that is not the documented one", pt_br: "uma resposta diferente da documentada" },
        ),
        ("token", Text { en: "the session token can't be used", pt_br: "o token de sessão não pode ser usado" }),
    ];
    WORDS.iter().find(|(known, _)| *known == label).map_or(label, |(_, words)| words.get(lang))
}

fn last_run(evidence: &Evidence) -> FailureText {
    const TEXT: [Text; 2] = [
        Text {
            en: "the last run of {m}, which ended at {a}, wrote {} error",
            pt_br: "a última execução de {m}, encerrada em {a}, registrou {} erro",
        },
        Text {
            en: "the last run of {m}, which ended at {a}, wrote {} errors",
            pt_br: "a última execução de {m}, encerrada em {a}, registrou {} erros",
        },
    ];
    let Some(run) = evidence.last_run() else {
        return plain(evidence, &LAST_RUN);
    };
    let text = Text {
        en: if run.errors > 1.0 { TEXT[1].en } else { TEXT[0].en },
        pt_br: if run.errors > 1.0 { TEXT[1].pt_br } else { TEXT[0].pt_br },
    };
    let text = filled(evidence, text, [&evidence.since(run.time), ""]).replace("{}", &count(run.errors, evidence.lang));
    FailureText { text, value: Some(run.errors), limit: None }
}
