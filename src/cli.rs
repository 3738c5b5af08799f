//! Arguments into a validated configuration; no I/O.
//!
//! Flags are named as in other exporters: dots in the names, `--flag=value`. The flags of the collectors are generated
//! from the list that is passed in.

mod check;
mod collectors;
mod generate;
mod host;
mod rules;
#[cfg(test)]
mod tests;
mod web;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgMatches, Command as Parser};

pub use self::check::{CheckFormat, CheckOptions};
pub use self::host::Host;
pub use self::web::Web;
use crate::catalog::Lang;
use crate::collect::Spec;
use crate::logging::{Format, LogLevel};
use crate::render::rules::options::Options;

const PROGRAM: &str = "campaign_exporter";

/// The command that checks this host once.
pub const CHECK: &str = "check";

const SERVE: &str = "serve";

const RULES: &str = "rules";

const LOG_LEVEL: &str = "log.level";

/// What `--version` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Build<'a> {
    /// The version.
    pub version: &'a str,
    /// The commit.
    pub revision: &'a str,
    /// The compiler.
    pub rustc: &'a str,
}

/// The command, and how it logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invocation {
    /// The command.
    pub command: Command,
    /// `--log.level`; none for a command that logs only when asked to.
    pub log_level: Option<LogLevel>,
    /// `--log.format`.
    pub log_format: Format,
}

/// The command.
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
    /// Print a man page or a shell's completions.
    Generate(String),
}

/// Understands the arguments, the first of which is the program's name.
///
/// # Errors
/// What is wrong with them; or `--help` or `--version`, which end the program too. [`clap::Error::exit`] prints either
/// where it belongs and ends with 2 or 0.
pub fn parse(
    arguments: impl IntoIterator<Item = OsString>,
    collectors: &[Spec],
    build: &Build<'_>,
) -> Result<Invocation, clap::Error> {
    let mut parser = parser(collectors, build);
    let matches = parser.try_get_matches_from_mut(arguments)?;
    let invalid = |parser: &mut Parser, text: String| parser.error(clap::error::ErrorKind::ValueValidation, text);
    let (command, flags) = match matches.subcommand() {
        Some((CHECK, flags)) => {
            let host = Host { storage_is_read_only: true, ..host::values(flags, collectors) };
            (Command::Check(host, check::options(flags)), flags)
        }
        Some((RULES, flags)) => (Command::Rules(Box::new(rules::options(flags))), flags),
        Some(("reference", flags)) => (Command::Reference, flags),
        Some(("generate", flags)) => {
            (Command::Generate(generate::generated(self::parser(collectors, build), build.version, flags)), flags)
        }
        serve => {
            let flags = serve.map_or(&matches, |(_, flags)| flags);
            let host = host::values(flags, collectors);
            let web = web::values(flags).map_err(|error| invalid(&mut parser, error))?;
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

/// A flag, as documents show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flag {
    /// Its name, with the dashes.
    pub name: String,
    /// Its default; empty where it has none.
    pub default: String,
    /// Its help text.
    pub help: String,
}

/// Every command with its flags: the service, without a name, then each other one with those that the service does not
/// have. For documents, and for tests of them.
#[must_use]
pub fn flags(collectors: &[Spec]) -> Vec<(String, Vec<Flag>)> {
    let mut parser = parser(collectors, &Build { version: "", revision: "", rustc: "" });
    // Adds --help and --version.
    parser.build();
    let served: Vec<Flag> = parser.get_arguments().filter_map(documented).collect();
    let others = parser.get_subcommands().filter(|command| !command.is_hide_set() && command.get_name() != SERVE);
    let others = others.map(|command| {
        let flags = command.get_arguments().filter_map(documented);
        let own = flags.filter(|flag| served.iter().all(|known| known.name != flag.name));
        (command.get_name().to_owned(), own.collect())
    });
    let others: Vec<_> = others.collect();
    [(String::new(), served)].into_iter().chain(others).collect()
}

fn documented(flag: &Arg) -> Option<Flag> {
    // clap gives switches the value "false".
    let values = if flag.get_action().takes_values() { flag.get_default_values() } else { &[] };
    let defaults: Vec<_> = values.iter().map(|value| value.to_string_lossy()).collect();
    let help = flag.get_help().map(ToString::to_string).unwrap_or_default();
    Some(Flag { name: format!("--{}", flag.get_long()?), default: defaults.join(" "), help })
}

fn one<T: Clone + Send + Sync + 'static>(flags: &ArgMatches, id: &str) -> Option<T> {
    flags.get_one::<T>(id).cloned()
}

fn lang(flags: &ArgMatches) -> Lang {
    let tag = one::<String>(flags, "lang");
    Lang::ALL.into_iter().find(|lang| tag.as_deref() == Some(lang.tag())).unwrap_or(Lang::En)
}

fn parser(collectors: &[Spec], build: &Build<'_>) -> Parser {
    let Build { version, revision, rustc } = build;
    Parser::new(PROGRAM)
        // clap prints the display name, a space and the version.
        .display_name(format!("{PROGRAM},"))
        .version(format!("version {version} (revision: {revision})\n  rustc: {rustc}"))
        .about("Prometheus exporter for Adobe Campaign Classic v7 servers.\n\nWithout a command it serves the metrics.")
        .args_conflicts_with_subcommands(true)
        .disable_help_subcommand(true)
        .args(serve_flags(collectors))
        .subcommand(
            Parser::new(SERVE).about("Serve the metrics: what is done without a command").args(serve_flags(collectors)),
        )
        .subcommand(
            Parser::new(CHECK)
                .about("Show the health of this host once: what fails and what to do, then the rest")
                .after_help(check::CHECK_EXIT_CODES)
                .args(check::flags())
                .args(host::flags())
                .args(collectors::flags(collectors))
                .args(log_flags().into_iter().map(|flag| match flag.get_id().as_str() {
                    LOG_LEVEL => flag.default_value(None).help("Log this severity and worse, to standard error"),
                    _ => flag,
                })),
        )
        .subcommand(Parser::new(RULES).about("Print the alert rules for Prometheus").args(rules::flags()))
        .subcommand(Parser::new("reference").about("Print the reference of metrics (docs/metrics.md)").hide(true))
        .subcommand(
            Parser::new("generate")
                .about("Print a man page, or the completions of a shell, for packages")
                .hide(true)
                .subcommand_required(true)
                .subcommands(generate::commands()),
        )
}

/// The flags of the service.
fn serve_flags(collectors: &[Spec]) -> Vec<Arg> {
    [web::flags(), host::flags(), collectors::flags(collectors), web::serve_flags(), log_flags()].concat()
}

fn flag(name: impl Into<String>, help: impl Into<String>) -> Arg {
    let name = name.into();
    Arg::new(name.clone()).long(name).help(help.into())
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
