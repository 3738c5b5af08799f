//! The flags of the command `check`.

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgMatches};

use super::{flag, lang, lang_flag, one};
use crate::catalog::Lang;

/// The exit codes of [`super::CHECK`], as its help shows them.
pub(super) const CHECK_EXIT_CODES: &str = "Exit codes: 0 all is well, 1 a check fails, 2 modules are configured to start and none \
                                runs, 3 unknown (no installation, no rights, wrong arguments).\n\
                                Standard output holds the result alone. Nothing is written, --storage.path included.";

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

pub(super) fn flags() -> Vec<Arg> {
    vec![
        flag("format", "How the result is written")
            .value_name("FORMAT")
            .value_parser(PossibleValuesParser::new(CheckFormat::ALL.map(CheckFormat::name)))
            .default_value(CheckFormat::default().name()),
        lang_flag("The language of the result"),
    ]
}

pub(super) fn options(flags: &ArgMatches) -> CheckOptions {
    let format = one::<String>(flags, "format");
    let format = CheckFormat::ALL.into_iter().find(|known| format.as_deref() == Some(known.name()));
    CheckOptions { format: format.unwrap_or_default(), lang: lang(flags) }
}
