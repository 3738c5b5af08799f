//! Arguments into a validated configuration; no I/O.
//!
//! Flags are named as in other exporters: dots in the names, `--flag=value`. The flags of the collectors are made from
//! the list that is passed in; this file knows none of them.

mod rules;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches, Command as Parser, value_parser};
use clap_complete::Shell;
use clap_mangen::Man;

use crate::catalog::Lang;
use crate::logging::{Format, LogLevel};
use crate::render::rules::options::Options;
use crate::serve::RESERVED;
use crate::web::ListenAddress;

const PROGRAM: &str = "campaign_exporter";

/// The command that looks once.
pub const CHECK: &str = "check";

/// What a script wants to know of [`CHECK`].
const CHECK_EXIT_CODES: &str = "Exit codes: 0 all is well, 1 a check fails, 2 modules are configured to start and none \
                                runs, 3 it can't be told (no installation, no rights, wrong arguments).\n\
                                Standard output holds the result alone. Nothing is written, --storage.path included.";

const LOG_LEVEL: &str = "log.level";

/// The bounds of `--collector.process.sample-interval`.
const SAMPLE_INTERVALS: std::ops::RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(60);

/// The value of `--log.start` that is not the default.
const FROM_BEGINNING: &str = "beginning";

/// The bounds of `--web.timeout-offset`.
const TIMEOUT_OFFSETS: std::ops::RangeInclusive<f64> = 0.0..=60.0;

/// Pages of the exporter that the telemetry path may not hide; so may nothing below [`RESERVED`].
const PAGES: [&str; 3] = [crate::serve::ROOT, crate::serve::STATUS, crate::serve::PROBE];

/// A collector, as far as flags are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CollectorFlag {
    /// Its name, as in `--collector.NAME`.
    pub name: &'static str,
    /// What it collects: a clause that starts in lower case, without a full stop.
    pub help: &'static str,
    /// Whether it runs without being asked for.
    pub default_on: bool,
}

/// What `--version` tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Build<'a> {
    /// The version.
    pub version: &'a str,
    /// The commit.
    pub revision: &'a str,
    /// The compiler.
    pub rustc: &'a str,
}

/// What is to be done, and how it is logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invocation {
    /// What is to be done.
    pub command: Command,
    /// `--log.level`; none for a command that logs only when asked to.
    pub log_level: Option<LogLevel>,
    /// `--log.format`.
    pub log_format: Format,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Serve the metrics.
    Serve(Host, Web),
    /// Show the health of this host once, in the terminal.
    Check(Host, CheckOptions),
    /// Print the alert rules.
    Rules(Box<Options>),
    /// Check the files of `--config.file` and `--web.config.file`, and end.
    CheckConfig {
        /// `--config.file`.
        targets: Option<PathBuf>,
        /// `--web.config.file`.
        web: Option<PathBuf>,
    },
    /// Print the reference of metrics.
    Reference,
    /// Print what was made of the flags themselves: the man page, or a shell's completions.
    Generate(String),
}

/// How `check` shows what it found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckOptions {
    /// `--format`.
    pub format: CheckFormat,
    /// `--lang`.
    pub lang: Lang,
}

/// The formats of `check`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CheckFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON document for scripts.
    Json,
}

impl CheckFormat {
    const ALL: [CheckFormat; 2] = [CheckFormat::Text, CheckFormat::Json];

    const fn name(self) -> &'static str {
        match self {
            CheckFormat::Text => "text",
            CheckFormat::Json => "json",
        }
    }
}

/// What is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// `--campaign.home`; `None` to look for the installation.
    pub campaign_home: Option<PathBuf>,
    /// `--path.procfs`.
    pub procfs: PathBuf,
    /// The names of the collectors that run, in the order of the list.
    pub collectors: Vec<&'static str>,
    /// `--collector.process.sample-interval`.
    pub sample_interval: Duration,
    /// `--collector.ports.syslogd-port`; `None` for the documented one.
    pub syslogd_port: Option<u16>,
    /// `--collector.indicators.directory`.
    pub indicators_directory: Option<PathBuf>,
    /// `--config.file`: the targets of the probes.
    pub config_file: Option<PathBuf>,
    /// `--log.start`: whether the first reading of a log begins at its beginning, not at its end.
    pub logs_from_beginning: bool,
    /// `--storage.path`.
    pub storage: PathBuf,
    /// Whether what is stored there is only read, as a single look does beside an exporter that runs.
    pub storage_is_read_only: bool,
}

/// How it is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Web {
    /// `--web.listen-address`: at least one, none twice.
    pub listen_addresses: Vec<ListenAddress>,
    /// `--web.systemd-socket`: the sockets come from the service manager, and not from `listen_addresses`.
    pub systemd_socket: bool,
    /// `--web.config.file`: TLS, users, headers, rate.
    pub config_file: Option<PathBuf>,
    /// `--web.telemetry-path`: an absolute path of plain characters that is no page of the exporter.
    pub telemetry_path: String,
    /// `--web.max-requests`: scrapes at once, 0 for any number.
    pub max_requests: usize,
    /// `--web.timeout-offset`.
    pub timeout_offset: Duration,
}

/// Understands the arguments, the first of which is the program's name.
///
/// # Errors
/// What is wrong with them; or `--help` or `--version`, which end the program too. [`clap::Error::exit`] prints either
/// where it belongs and ends with 2 or 0.
pub fn parse(
    arguments: impl IntoIterator<Item = OsString>,
    collectors: &[CollectorFlag],
    build: &Build<'_>,
) -> Result<Invocation, clap::Error> {
    let mut parser = parser(collectors, build);
    let matches = parser.try_get_matches_from_mut(arguments)?;
    let invalid = |parser: &mut Parser, text: String| parser.error(clap::error::ErrorKind::ValueValidation, text);
    let (command, flags) = match matches.subcommand() {
        Some((CHECK, flags)) => {
            let format = one::<String>(flags, "format");
            let format = CheckFormat::ALL.into_iter().find(|known| format.as_deref() == Some(known.name()));
            let options = CheckOptions { format: format.unwrap_or_default(), lang: lang(flags) };
            (Command::Check(Host { storage_is_read_only: true, ..host(flags, collectors) }, options), flags)
        }
        Some(("rules", flags)) => (Command::Rules(Box::new(rules::options(flags))), flags),
        Some(("reference", flags)) => (Command::Reference, flags),
        Some(("generate", flags)) => {
            (Command::Generate(generated(self::parser(collectors, build), build.version, flags)), flags)
        }
        serve => {
            let flags = serve.map_or(&matches, |(_, flags)| flags);
            let host = host(flags, collectors);
            let web = web(flags).map_err(|error| invalid(&mut parser, error))?;
            if flags.get_flag("config.check") {
                (Command::CheckConfig { targets: host.config_file, web: web.config_file }, flags)
            } else {
                (Command::Serve(host, web), flags)
            }
        }
    };
    let named = |id| flags.try_get_one::<String>(id).ok().flatten();
    Ok(Invocation {
        command,
        log_level: named("log.level").and_then(|name| name.parse().ok()),
        log_format: named("log.format").and_then(|name| name.parse().ok()).unwrap_or_default(),
    })
}

/// The man page, or the completion of a shell: what `generate` was asked for.
fn generated(mut parser: Parser, version: &str, flags: &ArgMatches) -> String {
    let mut text = Vec::new();
    match one::<Shell>(flags, "completion") {
        Some(shell) => clap_complete::generate(shell, &mut parser, PROGRAM, &mut text),
        // Writing to memory does not fail.
        None => {
            let about = "Prometheus exporter for Adobe Campaign Classic v7 servers";
            let parser = parser.display_name(PROGRAM).version(version.to_owned()).about(about);
            Man::new(parser).render(&mut text).unwrap_or_default();
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// Every flag with its default, empty where it has none, and its help text: for documents, and for tests of them.
#[must_use]
pub fn flags(collectors: &[CollectorFlag]) -> Vec<(String, String, String)> {
    let mut parser = parser(collectors, &Build { version: "", revision: "", rustc: "" });
    // Adds --help and --version.
    parser.build();
    let rules =
        parser.get_subcommands().filter(|command| command.get_name() == "rules").flat_map(Parser::get_arguments);
    let rules = rules.filter(|flag| !matches!(flag.get_id().as_str(), "help" | "version"));
    parser
        .get_arguments()
        .chain(rules)
        .filter_map(|flag| {
            // clap gives switches the value "false".
            let values = if flag.get_action().takes_values() { flag.get_default_values() } else { &[] };
            let defaults: Vec<_> = values.iter().map(|value| value.to_string_lossy()).collect();
            let help = flag.get_help().map(ToString::to_string).unwrap_or_default();
            Some((format!("--{}", flag.get_long()?), defaults.join(" "), help))
        })
        .collect()
}

fn one<T: Clone + Send + Sync + 'static>(flags: &ArgMatches, id: &str) -> Option<T> {
    flags.get_one::<T>(id).cloned()
}

fn lang(flags: &ArgMatches) -> Lang {
    let tag = one::<String>(flags, "lang");
    Lang::ALL.into_iter().find(|lang| tag.as_deref() == Some(lang.tag())).unwrap_or(Lang::En)
}

fn host(flags: &ArgMatches, collectors: &[CollectorFlag]) -> Host {
    let no_defaults = flags.get_flag("collector.disable-defaults");
    let runs = |collector: &&CollectorFlag| {
        let asked_for = flags.get_flag(&format!("collector.{}", collector.name));
        let refused = flags.get_flag(&format!("no-collector.{}", collector.name));
        asked_for || (collector.default_on && !no_defaults && !refused)
    };
    Host {
        campaign_home: one(flags, "campaign.home"),
        procfs: one(flags, "path.procfs").unwrap_or_default(),
        collectors: collectors.iter().filter(runs).map(|collector| collector.name).collect(),
        sample_interval: one(flags, "collector.process.sample-interval").unwrap_or_default(),
        syslogd_port: one(flags, "collector.ports.syslogd-port"),
        indicators_directory: one(flags, "collector.indicators.directory"),
        config_file: one(flags, "config.file"),
        logs_from_beginning: one::<String>(flags, "log.start").is_some_and(|start| start == FROM_BEGINNING),
        storage: one(flags, "storage.path").unwrap_or_default(),
        storage_is_read_only: false,
    }
}

fn web(flags: &ArgMatches) -> Result<Web, String> {
    let mut listen_addresses: Vec<ListenAddress> = Vec::new();
    for address in flags.get_many("web.listen-address").into_iter().flatten().cloned() {
        if listen_addresses.contains(&address) {
            return Err(format!("--web.listen-address={address} is given twice: leave one of them out"));
        }
        listen_addresses.push(address);
    }
    Ok(Web {
        listen_addresses,
        systemd_socket: flags.get_flag("web.systemd-socket"),
        config_file: one(flags, "web.config.file"),
        telemetry_path: one(flags, "web.telemetry-path").unwrap_or_default(),
        max_requests: one(flags, "web.max-requests").unwrap_or_default(),
        timeout_offset: one(flags, "web.timeout-offset").unwrap_or_default(),
    })
}

fn parser(collectors: &[CollectorFlag], build: &Build<'_>) -> Parser {
    let Build { version, revision, rustc } = build;
    Parser::new(PROGRAM)
        // clap prints the display name, a space and the version.
        .display_name(format!("{PROGRAM},"))
        .version(format!("version {version} (revision: {revision})\n  rustc: {rustc}"))
        .about("Prometheus exporter for Adobe Campaign Classic v7 servers.\n\nWithout a command it serves the metrics.")
        .args_conflicts_with_subcommands(true)
        .disable_help_subcommand(true)
        .args(web_flags())
        .args(host_flags(collectors))
        .args(serve_flags())
        .args(log_flags())
        .subcommand(
            Parser::new("serve")
                .about("Serve the metrics: what is done without a command")
                .args(web_flags())
                .args(host_flags(collectors))
                .args(serve_flags())
                .args(log_flags()),
        )
        .subcommand(
            Parser::new(CHECK)
                .about("Show the health of this host once: what fails and what to do, then the rest")
                .after_help(CHECK_EXIT_CODES)
                .args(check_flags())
                .args(host_flags(collectors))
                .args(log_flags().into_iter().map(|flag| match flag.get_id().as_str() {
                    LOG_LEVEL => flag.default_value(None).help("Log this severity and worse, to standard error"),
                    _ => flag,
                })),
        )
        .subcommand(Parser::new("rules").about("Print the alert rules for Prometheus").args(rules::flags()))
        .subcommand(Parser::new("reference").about("Print the reference of metrics (docs/metrics.md)").hide(true))
        .subcommand(
            Parser::new("generate")
                .about("Print the man page, or the completions of a shell, for packages")
                .hide(true)
                .arg(Arg::new("what").required(true).value_parser(PossibleValuesParser::new(["man", "completion"])))
                .arg(Arg::new("completion").value_parser(value_parser!(Shell)).required_if_eq("what", "completion")),
        )
}

fn flag(name: impl Into<String>, help: impl Into<String>) -> Arg {
    let name = name.into();
    Arg::new(name.clone()).long(name).help(help.into())
}

fn web_flags() -> Vec<Arg> {
    let flags = [
        flag(
            "web.listen-address",
            "Where to listen: :PORT for every address of the machine, HOST:PORT or [IPV6]:PORT; may be given more \
             than once",
        )
        .value_name("ADDRESS")
        .action(ArgAction::Append)
        .value_parser(str::parse::<ListenAddress>)
        .default_value(":10777"),
        flag(
            "web.systemd-socket",
            "Listen on the sockets that systemd passes on (socket activation), and not on --web.listen-address",
        )
        .action(ArgAction::SetTrue),
        flag(
            "web.config.file",
            "The YAML file with TLS, users, headers and rate limit, in the format of Prometheus' exporters; read again \
             whenever it changes",
        )
        .value_name("PATH")
        .value_parser(value_parser!(PathBuf)),
        flag("web.telemetry-path", "The path of the metrics")
            .value_name("PATH")
            .value_parser(telemetry_path)
            .default_value("/metrics"),
        flag(
            "web.max-requests",
            "How many scrapes, and how many probes, may be under way at once; more get status 503. 0 for any number",
        )
        .value_name("NUMBER")
        .value_parser(value_parser!(usize))
        .default_value("40"),
        flag(
            "web.timeout-offset",
            "How many seconds before Prometheus' scrape timeout an answer is due: the time for its way back",
        )
        .value_name("SECONDS")
        .value_parser(timeout_offset)
        .default_value("0.25"),
    ];
    flags.into_iter().map(|flag| flag.help_heading("Web")).collect()
}

fn host_flags(collectors: &[CollectorFlag]) -> Vec<Arg> {
    let mut flags = vec![
        flag("campaign.home", "The Campaign installation, with its conf and var; searched for when not given")
            .value_name("PATH")
            .value_parser(value_parser!(PathBuf))
            .help_heading("Campaign"),
        flag("path.procfs", "Where procfs is mounted")
            .value_name("PATH")
            .value_parser(value_parser!(PathBuf))
            .default_value("/proc")
            .help_heading("Campaign"),
    ];
    for CollectorFlag { name, help, default_on } in collectors {
        let state = if *default_on { "enabled" } else { "disabled" };
        let (yes, no) = (format!("collector.{name}"), format!("no-collector.{name}"));
        flags.extend([
            flag(yes.clone(), format!("Collect {help} (default: {state})"))
                .action(ArgAction::SetTrue)
                .overrides_with(no.clone())
                .help_heading("Collectors"),
            flag(no, format!("Do not run the collector {name}"))
                .action(ArgAction::SetTrue)
                .overrides_with(yes)
                .help_heading("Collectors"),
        ]);
    }
    flags.extend([
        flag("collector.disable-defaults", "Run only the collectors that are asked for by their flags")
            .action(ArgAction::SetTrue)
            .help_heading("Collectors"),
        flag(
            "collector.process.sample-interval",
            "How often to look for processes between scrapes, 100ms to 1m: what lives shorter may go unseen",
        )
        .value_name("DURATION")
        .value_parser(sample_interval)
        .default_value("1s")
        .help_heading("Collectors"),
        flag("collector.ports.syslogd-port", "Where syslogd listens, where that is not the documented 6666")
            .value_name("PORT")
            .value_parser(value_parser!(u16).range(1..))
            .help_heading("Collectors"),
        flag(
            "collector.indicators.directory",
            "A directory of *.xml files with custom indicators, as a cron job leaves them there",
        )
        .value_name("PATH")
        .value_parser(value_parser!(PathBuf))
        .help_heading("Collectors"),
        flag("config.file", "The YAML file of the probes' targets; without it, this host's own /r/test is probed")
            .value_name("PATH")
            .value_parser(value_parser!(PathBuf))
            .help_heading("Campaign"),
        flag("log.start", "Where the very first reading of a Campaign log begins")
            .value_name("PLACE")
            .value_parser(PossibleValuesParser::new(["end", FROM_BEGINNING]))
            .default_value("end")
            .help_heading("Campaign"),
        flag("storage.path", "The directory that keeps how far the logs were read, so that a restart loses nothing")
            .value_name("PATH")
            .value_parser(value_parser!(PathBuf))
            .default_value("/var/lib/campaign_exporter")
            .help_heading("Campaign"),
    ]);
    flags
}

/// What only a lasting service needs.
fn serve_flags() -> Vec<Arg> {
    vec![
        flag("config.check", "Check the files of --config.file and --web.config.file, and end")
            .action(ArgAction::SetTrue)
            .help_heading("Campaign"),
    ]
}

fn log_flags() -> Vec<Arg> {
    let flags = [
        flag(LOG_LEVEL, "The least severity that is logged")
            .value_name("LEVEL")
            .value_parser(PossibleValuesParser::new(LogLevel::ALL.map(LogLevel::name)))
            .default_value(LogLevel::default().name()),
        flag("log.format", "How the lines of the log are written")
            .value_name("FORMAT")
            .value_parser(PossibleValuesParser::new(Format::ALL.map(Format::name)))
            .default_value(Format::default().name()),
    ];
    flags.into_iter().map(|flag| flag.help_heading("Log")).collect()
}

fn lang_flag(help: &str) -> Arg {
    flag("lang", help)
        .value_name("LANGUAGE")
        .value_parser(PossibleValuesParser::new(Lang::ALL.map(Lang::tag)))
        .default_value(Lang::En.tag())
}

fn check_flags() -> Vec<Arg> {
    vec![
        flag("format", "How the result is written")
            .value_name("FORMAT")
            .value_parser(PossibleValuesParser::new(CheckFormat::ALL.map(CheckFormat::name)))
            .default_value(CheckFormat::default().name()),
        lang_flag("The language of the result"),
    ]
}

fn telemetry_path(text: &str) -> Result<String, String> {
    if !text.starts_with('/') {
        return Err("a path starts with /, as in /metrics".into());
    }
    if PAGES.contains(&text) || text.starts_with(RESERVED) {
        return Err("this path is a page of the exporter's own: choose another, as in /metrics".into());
    }
    if let Some(odd) = text.chars().find(|c| !(c.is_ascii_alphanumeric() || "/-._~".contains(*c))) {
        return Err(format!("a path of letters, digits and /-._~ is needed, and {odd:?} is none of them"));
    }
    Ok(text.to_owned())
}

fn timeout_offset(text: &str) -> Result<Duration, String> {
    text.parse()
        .ok()
        .filter(|seconds| TIMEOUT_OFFSETS.contains(seconds))
        .map(Duration::from_secs_f64)
        .ok_or_else(|| "write a number of seconds from 0 to 60, as in 0.25".to_owned())
}

fn sample_interval(text: &str) -> Result<Duration, String> {
    duration(text)
        .filter(|interval| SAMPLE_INTERVALS.contains(interval))
        .ok_or_else(|| "write a duration from 100ms to 1m, as in 500ms or 1s".to_owned())
}

/// A duration: a whole number and `ms`, `s` or `m`.
fn duration(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        _ => return None,
    };
    Some(Duration::from_millis(number.parse::<u64>().ok()?.checked_mul(milliseconds)?))
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::{OsStrExt, OsStringExt};

    use clap::error::ErrorKind;

    use super::*;

    const COLLECTORS: &[CollectorFlag] = &[
        CollectorFlag { name: "process", help: "the processes", default_on: true },
        CollectorFlag { name: "logs", help: "the logs", default_on: true },
        CollectorFlag { name: "costly", help: "what costs", default_on: false },
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
    fn the_man_page_and_the_completions_name_every_flag() {
        for arguments in
            [&["generate", "man"][..], &["generate", "completion", "bash"], &["generate", "completion", "zsh"]]
        {
            let Command::Generate(text) = parsed(arguments).unwrap().command else { panic!("{arguments:?}") };
            // A man page writes a dash as an escape.
            let text = text.replace("\\-", "-");
            for (flag, _, _) in flags(COLLECTORS) {
                let rules_alone = rules::flags().iter().any(|rule| rule.get_long() == flag.strip_prefix("--"));
                assert!(text.contains(&flag) || rules_alone, "{arguments:?}: {flag}");
            }
        }
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
        let expected = Invocation {
            command: Command::Serve(host, web),
            log_level: Some(LogLevel::Info),
            log_format: Format::Logfmt,
        };
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
        let flags = flags(COLLECTORS);
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
            ("--job", "campaign"),
            ("--help", ""),
            ("--version", ""),
        ] {
            let (_, found, help) = flags.iter().find(|flag| flag.0 == name).expect(name);
            assert_eq!(found, default, "{name}");
            assert!(!help.is_empty(), "{name}");
        }
    }
}
