//! The man pages and the shell completions, generated from the flags.

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgMatches, Command as Parser, value_parser};
use clap_complete::Shell;
use clap_mangen::Man;

use super::{CHECK, PROGRAM, RULES, SERVE, one};

const ABOUT: &str = "Prometheus exporter for Adobe Campaign Classic v7 servers";

/// What can be generated.
pub(super) fn commands() -> [Parser; 2] {
    let command = Arg::new("command").value_parser(PossibleValuesParser::new([SERVE, CHECK, RULES]));
    let shell = Arg::new("shell").value_parser(value_parser!(Shell)).required(true);
    [Parser::new("man").arg(command), Parser::new("completion").arg(shell)]
}

/// What `generate` was asked for: the man page of the exporter or of a command of it, or the completions of a shell.
pub(super) fn generated(mut parser: Parser, version: &str, flags: &ArgMatches) -> String {
    let mut text = Vec::new();
    let named = flags.subcommand().map(|(_, flags)| flags);
    let shell = named.and_then(|flags| flags.try_get_one::<Shell>("shell").ok().flatten());
    if let Some(shell) = shell {
        clap_complete::generate(*shell, &mut parser, PROGRAM, &mut text);
    } else {
        let command = named.and_then(|flags| one::<String>(flags, "command"));
        // Writing to memory does not fail.
        Man::new(page(parser, version, command.as_deref())).render(&mut text).unwrap_or_default();
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// What the man page is of.
fn page(parser: Parser, version: &str, command: Option<&str>) -> Parser {
    let mut parser = parser.display_name(PROGRAM).version(version.to_owned()).about(ABOUT);
    // Names each command as its page is called.
    parser.build();
    match command.and_then(|name| parser.find_subcommand(name)) {
        Some(command) => command.clone().version(version.to_owned()),
        None => parser,
    }
}
