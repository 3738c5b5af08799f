//! The arguments as users give them.

use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::time::Duration;

use clap::error::ErrorKind;

use super::*;
use crate::web::ListenAddress;

const COLLECTORS: &[Spec] = &[
    Spec { name: "process", help: "the processes", default_on: true, build: |_| None },
    Spec { name: "logs", help: "the logs", default_on: true, build: |_| None },
    Spec { name: "costly", help: "what costs", default_on: false, build: |_| None },
];
const BUILD: Build<'_> = Build { version: "1.2.3", revision: "abc", rustc: "1.95.0" };

fn parsed(arguments: &[&str]) -> Result<Invocation, clap::Error> {
    let arguments = [PROGRAM].iter().chain(arguments).map(OsString::from);
    parse(arguments, COLLECTORS, &BUILD)
}

fn served(arguments: &[&str]) -> (Host, Web) {
    match parsed(arguments).unwrap().command {
        Command::Serve(host, web) => (host, web),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_parser_is_sound() {
    parser(COLLECTORS, &BUILD).debug_assert();
}

#[test]
fn the_man_pages_and_the_completions_name_every_flag() {
    let generated = |arguments: &[&str]| {
        let Command::Generate(text) = parsed(&[&["generate"], arguments].concat()).unwrap().command else {
            panic!("{arguments:?}")
        };
        // A man page writes a dash as an escape.
        text.replace("\\-", "-")
    };
    for (command, flags) in flags(COLLECTORS) {
        let page = if command.is_empty() { vec!["man"] } else { vec!["man", &command] };
        for text in [&page[..], &["completion", "bash"], &["completion", "zsh"]].map(generated) {
            assert!(flags.iter().all(|flag| text.contains(&flag.name)), "{text}");
        }
    }
    // Every page that is referred to is one.
    let page = generated(&["man"]);
    let referred =
        page.split("campaign_exporter-").skip(1).filter_map(|rest| rest.split_once("(1)")).map(|(name, _)| name);
    for name in referred {
        let page = generated(&["man", name]);
        assert!(page.contains(&format!(".TH campaign_exporter-{name} 1")), "{page}");
    }
    assert!(generated(&["man", CHECK]).contains("Exit codes"));
    assert!(parsed(&["generate"]).is_err());
    assert!(parsed(&["generate", "completion"]).is_err());
}

#[test]
fn without_arguments_it_serves_with_the_documented_defaults() {
    let invocation = parsed(&[]).unwrap();
    let host = Host {
        campaign_home: None,
        procfs: "/proc".into(),
        collectors: vec!["process", "logs"],
        sample_interval: Duration::from_secs(1),
        syslogd_port: None,
        indicators_directory: None,
        config_file: None,
        logs_from_beginning: false,
        storage: "/var/lib/campaign_exporter".into(),
        storage_is_read_only: false,
    };
    let web = Web {
        listen_addresses: vec![ListenAddress::All { port: 10777 }],
        systemd_socket: false,
        config_file: None,
        telemetry_path: "/metrics".into(),
        max_requests: 40,
        timeout_offset: Duration::from_millis(250),
    };
    let expected =
        Invocation { command: Command::Serve(host, web), log_level: Some(LogLevel::Info), log_format: Format::Logfmt };
    assert_eq!(invocation, expected);
    assert_eq!(parsed(&["serve"]).unwrap(), expected);
}

#[test]
fn every_flag_of_the_server_has_its_effect_with_and_without_the_command() {
    let flags = [
        "--web.listen-address=127.0.0.1:1",
        "--web.listen-address=[::1]:2",
        "--web.telemetry-path=/m/x",
        "--web.max-requests=0",
        "--web.timeout-offset=1.5",
        "--campaign.home=/srv/nl6",
        "--path.procfs",
        "/p",
        "--collector.process.sample-interval=250ms",
        "--collector.ports.syslogd-port=16666",
        "--log.level=debug",
        "--log.format=json",
    ];
    let invocation = parsed(&flags).unwrap();
    assert_eq!((invocation.log_level, invocation.log_format), (Some(LogLevel::Debug), Format::Json));
    let (host, web) = served(&flags);
    assert_eq!(host.campaign_home, Some("/srv/nl6".into()));
    assert_eq!(host.procfs, PathBuf::from("/p"));
    assert_eq!(host.sample_interval, Duration::from_millis(250));
    assert_eq!(host.syslogd_port, Some(16666));
    let addresses: Vec<String> = web.listen_addresses.iter().map(ToString::to_string).collect();
    assert_eq!(addresses, ["127.0.0.1:1", "[::1]:2"]);
    assert_eq!((web.telemetry_path.as_str(), web.max_requests), ("/m/x", 0));
    assert_eq!(web.timeout_offset, Duration::from_millis(1500));
    assert_eq!(parsed(&[&["serve"][..], &flags].concat()).unwrap(), invocation);
}

#[test]
fn collectors_are_chosen_by_their_flags_and_the_last_word_counts() {
    for (flags, expected) in [
        (&["--no-collector.logs"][..], &["process"][..]),
        (&["--collector.costly"], &["process", "logs", "costly"]),
        (&["--collector.disable-defaults"], &[]),
        (&["--collector.disable-defaults", "--collector.logs"], &["logs"]),
        (&["--collector.logs", "--no-collector.logs"], &["process"]),
        (&["--no-collector.logs", "--collector.logs"], &["process", "logs"]),
    ] {
        assert_eq!(served(flags).0.collectors, expected, "{flags:?}");
    }
}

#[test]
fn the_other_commands_take_their_own_flags() {
    let check = parsed(&["check", "--campaign.home=/x", "--no-collector.logs", "--storage.path=/s"]).unwrap();
    assert_eq!(check.log_level, None, "check logs when asked to");
    let Command::Check(host, options) = check.command else { panic!() };
    assert_eq!((host.campaign_home, host.collectors), (Some("/x".into()), vec!["process"]));
    assert_eq!((host.storage, host.storage_is_read_only), ("/s".into(), true));
    assert_eq!(options, CheckOptions { format: CheckFormat::Text, lang: Lang::En });
    let other = parsed(&["check", "--format=json", "--lang=pt-BR", "--log.level=warn"]).unwrap();
    assert_eq!(other.log_level, Some(LogLevel::Warn));
    let Command::Check(_, options) = other.command else { panic!() };
    assert_eq!(options, CheckOptions { format: CheckFormat::Json, lang: Lang::PtBr });
    let rules = |lang, job: &str| Command::Rules(Box::new(Options { lang, job: job.into(), ..Options::default() }));
    assert_eq!(parsed(&["rules"]).unwrap().command, rules(Lang::En, "campaign"));
    assert_eq!(parsed(&["rules", "--lang=pt-BR", "--job", "acc"]).unwrap().command, rules(Lang::PtBr, "acc"));
    assert_eq!(parsed(&["reference"]).unwrap().command, Command::Reference);
}

#[test]
fn a_path_need_not_be_utf8() {
    let path = OsString::from_vec(b"--campaign.home=/srv/\xe9t\xe9".to_vec());
    let invocation = parse([PROGRAM.into(), path], COLLECTORS, &BUILD).unwrap();
    let Command::Serve(host, _) = invocation.command else { panic!() };
    assert_eq!(host.campaign_home.unwrap().as_os_str().as_bytes(), b"/srv/\xe9t\xe9");
    let flag = OsString::from_vec(b"--web.telemetry-path=/\xe9".to_vec());
    assert_eq!(parse([PROGRAM.into(), flag], COLLECTORS, &BUILD).unwrap_err().exit_code(), 2);
}

#[test]
fn what_is_wrong_is_said_and_ends_with_2() {
    for (arguments, words) in [
        (&["--web.listen-address=10777"][..], &["--web.listen-address", "no port"][..]),
        (&["--web.listen-address=:1", "--web.listen-address=:1"], &["given twice"]),
        (&["--web.telemetry-path=metrics"], &["--web.telemetry-path", "starts with /"]),
        (&["--web.telemetry-path=/"], &["page of the exporter"]),
        (&["--web.telemetry-path=/status"], &["page of the exporter"]),
        (&["--web.telemetry-path=/-/ready"], &["page of the exporter"]),
        (&["--web.telemetry-path=/a?b"], &["'?'"]),
        (&["--web.telemetry-path=/a b"], &["' '"]),
        (&["--web.max-requests=-1"], &["--web.max-requests"]),
        (&["--web.timeout-offset=NaN"], &["from 0 to 60"]),
        (&["--web.timeout-offset=-1"], &["--web.timeout-offset"]),
        (&["--web.timeout-offset=61"], &["from 0 to 60"]),
        (&["--collector.ports.syslogd-port=0"], &["syslogd-port", "1..=65535"]),
        (&["--collector.process.sample-interval=1"], &["100ms to 1m"]),
        (&["--collector.process.sample-interval=0s"], &["100ms to 1m"]),
        (&["--collector.process.sample-interval=2m"], &["100ms to 1m"]),
        (&["--collector.process.sample-interval=99999999999999999999s"], &["100ms to 1m"]),
        (&["--collector.proces"], &["--collector.process"]),
        (&["--campaign.home="], &["--campaign.home"]),
        (&["--log.level=trace"], &["debug, info, warn, error"]),
        (&["--log.format=xml"], &["logfmt, json"]),
        (&["rules", "--lang=fr"], &["en, pt-BR"]),
        (&["check", "--lang=fr"], &["en, pt-BR"]),
        (&["check", "--format=xml"], &["text, json"]),
        (&["rules", "--job="], &["--job"]),
        (&["check", "--web.max-requests=1"], &["--web.max-requests"]),
        (&["--log.level=info", "check"], &["check"]),
        (&["chek"], &["check"]),
    ] {
        let error = parsed(arguments).expect_err(&format!("{arguments:?}"));
        let text = error.to_string();
        assert_eq!(error.exit_code(), 2, "{arguments:?}");
        assert!(words.iter().all(|word| text.contains(word)), "{arguments:?}: {text}");
    }
}

#[test]
fn version_and_help_end_well() {
    let version = parsed(&["--version"]).unwrap_err();
    assert_eq!((version.kind(), version.exit_code()), (ErrorKind::DisplayVersion, 0));
    assert_eq!(version.to_string(), "campaign_exporter, version 1.2.3 (revision: abc)\n  rustc: 1.95.0\n");
    let help = parsed(&["--help"]).unwrap_err();
    assert_eq!((help.kind(), help.exit_code()), (ErrorKind::DisplayHelp, 0));
    let help = help.to_string();
    assert!(help.contains("--collector.costly") && help.contains("rules") && !help.contains("reference"), "{help}");
}

#[test]
fn every_flag_is_listed_with_its_default_and_its_help() {
    let flags: Vec<Flag> = flags(COLLECTORS).into_iter().flat_map(|(_, flags)| flags).collect();
    for (name, default) in [
        ("--web.listen-address", ":10777"),
        ("--web.telemetry-path", "/metrics"),
        ("--web.max-requests", "40"),
        ("--web.timeout-offset", "0.25"),
        ("--campaign.home", ""),
        ("--path.procfs", "/proc"),
        ("--collector.costly", ""),
        ("--no-collector.costly", ""),
        ("--collector.disable-defaults", ""),
        ("--collector.process.sample-interval", "1s"),
        ("--collector.ports.syslogd-port", ""),
        ("--log.level", "info"),
        ("--log.format", "logfmt"),
        ("--lang", "en"),
        ("--format", "text"),
        ("--job", "campaign"),
        ("--help", ""),
        ("--version", ""),
    ] {
        let flag = flags.iter().find(|flag| flag.name == name).expect(name);
        assert_eq!(flag.default, default, "{name}");
        assert!(!flag.help.is_empty(), "{name}");
    }
}
