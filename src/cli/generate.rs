//! The man page and the shell completions, generated from the flags.

use clap::{ArgMatches, Command as Parser};
use clap_complete::Shell;
use clap_mangen::Man;

use super::{PROGRAM, one};

/// The man page, or the completion of a shell: what `generate` was asked for.
pub(super) fn generated(mut parser: Parser, version: &str, flags: &ArgMatches) -> String {
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
