use super::*;
use crate::catalog::signals::exporter::{
    CONFIGURATION_INVALID_VALUES, CONFIGURATION_LAST_RELOAD_SUCCESSFUL, DoubtReason, INSTALLATION_INFO,
};
use crate::catalog::signals::logs::LOG_LAST_FAILED_RUN;
use crate::catalog::signals::modules::{AGE, MEMORY, MODULE_LAST_SEEN};
use crate::catalog::signals::ports::{PORT, PORT_BOUND};
use crate::render::json::json;
use crate::render::page::{PageOptions, page};
use crate::render::terminal::{Colour, terminal};
use crate::snapshot::Samples;

/// 2026-11-25 16:36:40 UTC
const NOW: f64 = 1_795_624_600.0;
const MIB: f64 = 1024.0 * 1024.0;

type Sample<'a> = (&'static MetricDef, &'a [&'a str], f64);

/// A host with an installation, two modules that are expected and up, and `more`.
fn host(more: &[Sample]) -> Samples {
    let mut samples = Samples::default();
    let known: [Sample; 5] = [
        (&INSTALLATION_INFO, &["/srv/nl6"], 1.0),
        (&MODULE_EXPECTED, &["mta", "prod"], 1.0),
        (&MODULE_EXPECTED, &["web", "default"], 1.0),
        (&MODULE_UP, &["web", "default"], 1.0),
        (&MODULE_PROCESSES, &["web", "default"], 1.0),
    ];
    for (def, labels, value) in known.iter().chain(more) {
        samples.push(def, labels, *value);
    }
    samples
}

fn judged(module: &str, instance: &str, check: &'static CheckDef, passes: bool) -> Judgement {
    Judgement { module: module.into(), instance: instance.into(), check: check.name, passes }
}

fn runs(mta: bool) -> Vec<Judgement> {
    vec![judged("mta", "prod", &RUNNING, mta), judged("web", "default", &RUNNING, true)]
}

/// What `test` says of a report on these findings.
fn with<T>(samples: Samples, judgements: &[Judgement], lang: Lang, test: impl FnOnce(&HostReport) -> T) -> T {
    let snapshot = samples.freeze();
    let look = HostLook { snapshot: &snapshot, judgements, host: "campaign-1", version: "0.0.0", time: NOW };
    test(&HostReport::of(look, lang))
}

fn html(report: &HostReport) -> String {
    page(report, PageOptions { refreshes: true, telemetry_path: "/metrics" })
}

const UP: Sample = (&MODULE_UP, &["mta", "prod"], 1.0);
const DOWN: Sample = (&MODULE_UP, &["mta", "prod"], 0.0);

#[test]
fn a_host_is_well_when_everything_that_is_expected_was_judged_and_passes() {
    with(host(&[UP]), &runs(true), Lang::En, |report| {
        assert_eq!((report.verdict, report.verdict.exit_code()), (Verdict::Well, 0));
        assert_eq!(report.headline, "All 2 modules are well");
        assert!(html(report).contains("<table role=\"table\" class=\"well\">"));
    });
}

#[test]
fn what_fails_comes_first_with_why_what_to_do_and_the_documented_text() {
    let seen: [Sample; 2] = [DOWN, (&LOG_LAST_MESSAGE, &["mta", "mta", "prod"], NOW - 600.0)];
    for (lang, headline, why) in [
        (
            Lang::En,
            "1 of 2 modules needs attention",
            "mta@prod is not running; last message in its log at 16:26 UTC (10 min).",
        ),
        (
            Lang::PtBr,
            "1 de 2 módulos requer atenção",
            "mta@prod não está em execução; última mensagem no log: 16:26 UTC (10 min).",
        ),
    ] {
        with(host(&seen), &runs(false), lang, |report| {
            assert_eq!((report.verdict.exit_code(), report.headline.as_str()), (1, headline));
            assert_eq!(report.modules[0].target(), "mta@prod");
            let documented = modules::module("mta").unwrap().troubleshooting.get(lang);
            let step = &report.modules[0].checks[0].next_steps[1];
            assert!(step.ends_with("nlserver start mta@prod"), "{step}");
            for text in [terminal(report, Colour(false)), html(report)] {
                let places = [headline, why, step, "web"]
                    .map(|part| text.find(part).unwrap_or_else(|| panic!("{part}: {text}")));
                assert!(places.is_sorted(), "{places:?}: {text}");
                assert!(text.contains(documented), "{text}");
            }
        });
    }
}

#[test]
fn a_module_that_the_exporter_saw_was_last_seen_then() {
    let seen: [Sample; 3] = [
        DOWN,
        (&LOG_LAST_MESSAGE, &["mta", "mta", "prod"], NOW - 600.0),
        (&MODULE_LAST_SEEN, &["mta", "prod"], NOW - 60.0),
    ];
    with(host(&seen), &runs(false), Lang::En, |report| {
        let why = report.modules[0].checks[0].reason.clone().unwrap();
        assert_eq!(why.text, "mta@prod is not running; last seen 16:35 UTC (60 s)");
    });
}

#[test]
fn a_value_stands_with_its_limit() {
    let samples: [Sample; 4] = [
        UP,
        (&MODULE_RESIDENT_MEMORY_MAX, &["mta", "prod"], 1912.0 * MIB),
        (&MODULE_PROCESSES, &["mta", "prod"], 1.0),
        (&MODULE_MEMORY_ALERT, &["mta", "prod"], 1800.0 * MIB),
    ];
    let mut judgements = runs(true);
    judgements.push(judged("mta", "prod", &MEMORY, false));
    with(host(&samples), &judgements, Lang::PtBr, |report| {
        let why = report.modules[0].checks[0].reason.clone().unwrap();
        assert_eq!(why.text, "o maior processo de mta@prod usa 1.912 MiB; o limite de alerta é 1.800 MiB");
        assert_eq!((why.value, why.limit), (Some(1912.0 * MIB), Some(1800.0 * MIB)));
        let value: serde_json::Value = serde_json::from_str(&json(report)).unwrap();
        assert_eq!(value["modules"][0]["checks"][0]["limit"], 1800.0 * MIB);
        assert_eq!((&value["verdict"], &value["exit_code"]), (&"failing".into(), &1.into()));
    });
}

#[test]
fn a_port_is_named() {
    let samples: [Sample; 3] =
        [UP, (&PORT_NUMBER, &["stat", "prod", "port"], 7777.0), (&PORT_BOUND, &["stat", "prod", "7777", "udp"], 0.0)];
    let mut judgements = runs(true);
    judgements.push(judged("stat", "prod", &PORT, false));
    with(host(&samples), &judgements, Lang::En, |report| {
        let check = &report.modules[0].checks[0];
        assert_eq!(check.reason.as_ref().unwrap().text, "nothing is listening on port 7777/udp of stat@prod");
        assert!(check.next_steps[0].ends_with("sport = :7777"), "{:?}", check.next_steps);
    });
}

#[test]
fn nothing_that_was_judged_is_no_sign_of_health() {
    let nothing = Samples::default();
    with(nothing, &[], Lang::En, |report| {
        assert_eq!(report.verdict.exit_code(), 3);
        assert!(report.headline.starts_with("Can't tell: nothing was judged"), "{}", report.headline);
    });
}

#[test]
fn a_module_that_is_expected_and_was_not_judged_is_unknown() {
    with(host(&[]), &[judged("web", "default", &RUNNING, true)], Lang::En, |report| {
        assert_eq!(report.verdict.exit_code(), 3);
        assert_eq!(report.headline, "Can't tell: it is not known whether 1 module runs");
        assert_eq!(report.modules[0].state, ModuleHealth::Unknown);
        assert!(!html(report).contains("class=\"well\""));
    });
}

#[test]
fn without_an_installation_nothing_is_judged() {
    let mut samples = Samples::default();
    samples.doubt(DoubtReason::NoInstallation, "/nonexistent");
    samples.push(&MODULE_UP, &["web", "default"], 1.0);
    let judgements = [judged("web", "default", &AGE, true), judged("web", "default", &MEMORY, false)];
    samples.doubt(DoubtReason::CollectorFailed, "configuration");
    for (lang, says, remedy) in [
        (Lang::En, "Can't tell: no Campaign installation found (/nonexistent)", "Name the folder"),
        (
            Lang::PtBr,
            "Não é possível saber: nenhuma instalação do Campaign encontrada (/nonexistent)",
            "Informe a pasta",
        ),
    ] {
        with(samples.clone(), &judgements, lang, |report| {
            assert_eq!((report.verdict.exit_code(), report.doubts.len()), (3, 1), "{:?}", report.doubts);
            let text = terminal(report, Colour(false));
            assert_eq!(text.lines().next(), Some(says));
            let html = html(report);
            assert!(text.contains(remedy) && html.contains(remedy) && html.contains(&says[12..]), "{html}");
            assert!(!html.contains("class=\"well\"") && !html.contains("class=\"failing\""), "{html}");
        });
    }
}

#[test]
fn what_cannot_be_told_is_said_before_what_fails_and_nothing_is_green_beside_it() {
    for (doubt, part) in [
        ((DoubtReason::ProcessesHidden, ""), "hidepid"),
        ((DoubtReason::CollectorFailed, "spool"), "collector spool"),
        ((DoubtReason::EvidenceUnreadable, "var/prod/log"), "var/prod/log, or something in it, can't be read"),
        ((DoubtReason::ConfigurationUnreadable, "config-prod.xml"), "config-prod.xml"),
    ] {
        for (state, passes, code) in [(UP, true, 3), (DOWN, false, 1)] {
            let mut samples = host(&[state]);
            samples.doubt(doubt.0, doubt.1);
            with(samples, &runs(passes), Lang::En, |report| {
                assert_eq!(report.verdict.exit_code(), code, "{part}");
                assert!(report.headline.starts_with("Can't tell"), "{}", report.headline);
                assert!(report.doubts[0].clause.contains(part), "{:?}", report.doubts);
                let html = html(report);
                assert!(!html.contains("class=\"well\""), "{html}");
                let failing = html.find("<article").unwrap_or(html.len());
                assert!(html.find("class=\"doubts\"").unwrap() < failing, "{html}");
                assert!(!terminal(report, Colour(false)).contains("well"));
            });
        }
    }
}

#[test]
fn a_host_on_which_nothing_runs_has_a_code_of_its_own() {
    let mut samples = Samples::default();
    let known: [Sample; 3] =
        [(&INSTALLATION_INFO, &["/srv/nl6"], 1.0), (&MODULE_EXPECTED, &["mta", "prod"], 1.0), DOWN];
    known.iter().for_each(|(def, labels, value)| samples.push(def, labels, *value));
    with(samples, &[judged("mta", "prod", &RUNNING, false)], Lang::En, |report| {
        assert_eq!((report.verdict, report.verdict.exit_code()), (Verdict::NothingRuns, 2));
    });
}

#[test]
fn no_name_of_the_machine_becomes_mark_up() {
    let evil = "<b>\"'&";
    let samples: [Sample; 3] = [
        (&MODULE_EXPECTED, &["mta", evil], 1.0),
        (&MODULE_UP, &["mta", evil], 0.0),
        (&CONFIGURATION_LAST_RELOAD_SUCCESSFUL, &[evil], 0.0),
    ];
    let mut samples = host(&samples);
    let text = Text { en: "held", pt_br: "ocupada" };
    samples.remark(Remark { module: "mta", instance: evil.into(), check: RUNNING.name, text, detail: evil.into() });
    let judgements = [judged("mta", evil, &RUNNING, false)];
    with(samples, &judgements, Lang::En, |report| {
        let html = html(report);
        assert!(!html.contains("<b>") && html.contains("&lt;b&gt;&quot;&#39;&amp;"), "{html}");
        assert!(!html.contains("<script") && !html.contains("style=") && !html.contains("http://"), "{html}");
    });
}

#[test]
fn every_row_of_the_specification_has_its_text_shown() {
    for module in modules::MODULES {
        let judgements = [judged(module.name, "i", &RUNNING, false)];
        let text = with(host(&[]), &judgements, Lang::En, |report| terminal(report, Colour(false)));
        assert!(text.contains(module.troubleshooting.en), "{}", module.name);
    }
}

#[test]
fn a_documented_text_that_misleads_has_a_right_sentence_beside_it() {
    for (lang, says) in [(Lang::En, "is a symptom"), (Lang::PtBr, "é um sintoma")] {
        with(host(&[]), &[judged("web", "default", &RUNNING, false)], lang, |report| {
            for text in [terminal(report, Colour(false)), html(report), json(report)] {
                assert!(text.contains(says), "{text}");
            }
        });
    }
}

#[test]
fn runs_that_failed_and_values_that_cannot_be_read_have_their_place() {
    let samples: [Sample; 4] = [
        UP,
        (&LOG_LAST_FAILED_RUN, &["import", "import", "prod", "SOP-330011"], NOW - 7200.0),
        (&CONFIGURATION_LAST_RELOAD_SUCCESSFUL, &["serverConf.xml"], 1.0),
        (&CONFIGURATION_INVALID_VALUES, &["serverConf.xml"], 2.0),
    ];
    for (lang, run, values) in [
        (Lang::En, "import@prod: the last one at 14:36 UTC (2 h); SOP-330011", "! conf/serverConf.xml: "),
        (Lang::PtBr, "import@prod: a última em 14:36 UTC (2 h); SOP-330011", "2 valores não podem ser lidos"),
    ] {
        let text = with(host(&samples), &runs(true), lang, |report| terminal(report, Colour(false)));
        assert!(text.contains(run) && text.contains(values), "{text}");
    }
}

#[test]
fn colours_come_only_where_they_are_wanted() {
    let text = |colour| with(host(&[DOWN]), &runs(false), Lang::En, |report| terminal(report, Colour(colour)));
    assert!(text(true).contains("\u{1b}[1;31m"));
    assert!(!text(false).contains('\u{1b}'));
}

#[test]
fn the_language_that_is_on_is_marked_and_refreshing_can_be_stopped() {
    with(host(&[UP]), &runs(true), Lang::PtBr, |report| {
        let html = html(report);
        assert!(html.contains("<html lang=\"pt-BR\">"));
        assert!(html.contains("hreflang=\"pt-BR\" aria-current=\"true\">Português</a>"), "{html}");
        assert_eq!(html.matches("aria-current").count(), 1);
        assert!(html.contains("href=\"?lang=pt-BR&amp;refresh=off\""), "{html}");
        let still = page(report, PageOptions { refreshes: false, telemetry_path: "/m" });
        assert!(still.contains("href=\"?lang=en&amp;refresh=off\"") && still.contains("href=\"m\""), "{still}");
    });
}

#[test]
fn a_check_that_has_no_sentence_of_its_own_says_what_would_hold() {
    let judgements = [runs(true), vec![judged("mta", "prod", &PORT, false)]].concat();
    for (lang, begin) in
        [(Lang::En, "the check port fails for mta@prod"), (Lang::PtBr, "a verificação porta falha para")]
    {
        with(host(&[UP]), &judgements, lang, |report| {
            let checks = report.modules.iter().flat_map(|module| &module.checks);
            let text = &checks.filter_map(|check| check.reason.as_ref()).next().unwrap().text;
            let holds = PORT.passes_when.get(lang).trim_end_matches('.');
            assert!(text.starts_with(begin) && text.ends_with(holds), "{text}");
        });
    }
}

#[test]
fn doubts_of_several_modules_that_come_to_the_same_words_are_told_once() {
    let mut samples = host(&[UP]);
    for detail in ["mta@prod", "web@default"] {
        samples.doubt(DoubtReason::ProcessesUndecided, detail);
        samples.doubt(DoubtReason::ConfigurationUnreadable, detail);
    }
    with(samples, &runs(true), Lang::En, |report| assert_eq!(report.doubts.len(), 3));
}
