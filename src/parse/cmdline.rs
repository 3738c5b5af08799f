//! A process's arguments -> module, instance, log precision.
//!
//! Parses `/proc/PID/cmdline` in the documented form `nlserver <module> [-option[:value]]…`; the callers find the
//! processes and their configuration.

use std::iter::once;

use crate::catalog::modules::{DEFAULT_INSTANCE, MODULES, OTHER_RESIDENTS};
use crate::label::bounded_label;

/// The most bytes that a module's name may have; a longer one is cut.
pub const MAX_MODULE_BYTES: usize = 64;

/// The most bytes that an instance's name may have; a longer one is cut.
pub const MAX_INSTANCE_BYTES: usize = 128;

/// The name of Campaign's executable, the last part of the first argument.
const EXECUTABLE: &[u8] = b"nlserver";

/// Options with which a command prints something and exits without starting a module.
const STARTING_NOTHING: [&[u8]; 6] = [b"-version", b"--version", b"-?", b"-h", b"--help", b"-reload"];

/// How many options that raise the log precision are kept of one process, and how long each may be.
const MAX_PRECISION_OPTIONS: usize = 16;
const MAX_OPTION_BYTES: usize = 256;

/// What the arguments of an `nlserver` process say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandLine {
    /// The command: a documented module's name as the catalog writes it, else the label of what was typed, at most
    /// [`MAX_MODULE_BYTES`] long.
    pub module: String,
    /// The label of the value of `-instance:`, [`DEFAULT_INSTANCE`] where it is absent; at most
    /// [`MAX_INSTANCE_BYTES`] long.
    pub instance: String,
    /// Whether it does something other than start the module: print the version or help, reload the settings.
    pub starts_nothing: bool,
    precision: Vec<Box<[u8]>>,
}

impl CommandLine {
    /// Whether the process logs more than `configured_args`, the module's `args` in the configuration, asks for:
    /// `-verbose` or a `-tracefilter:…` that is not among them.
    #[must_use]
    pub fn raised_precision(&self, configured_args: &str) -> bool {
        self.precision
            .iter()
            .any(|option| !configured_args.split_whitespace().any(|arg| arg.as_bytes().eq_ignore_ascii_case(option)))
    }
}

/// Reads the bytes of `/proc/PID/cmdline`: arguments that end with NUL, or one string with spaces where the process
/// has rewritten them. Copies no more than the bounded parts it keeps, however long the bytes are.
///
/// None when no argument names a command, as for a kernel thread, a zombie or `nlserver` alone. Whether the process is
/// Campaign's is not checked.
#[must_use]
pub fn parse(bytes: &[u8]) -> Option<CommandLine> {
    let mut arguments = bytes.split(|byte| *byte == 0).filter(|argument| !argument.is_empty());
    let first = arguments.next()?;
    let rewritten = first.iter().any(u8::is_ascii_whitespace)
        && (words(first).next().is_some_and(is_executable) || arguments.clone().next().is_none());
    if !rewritten {
        return read(arguments, known_commands());
    }
    // What follows the NUL of a rewritten string is what is left of the arguments it overwrote.
    let executable = words(first).position(is_executable).unwrap_or(0);
    read(words(first).skip(executable + 1), known_commands())
}

/// Whether the first argument is the name of Campaign's executable.
#[must_use]
pub fn is_campaigns(bytes: &[u8]) -> bool {
    let first = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    is_executable(first) || words(first).next().is_some_and(is_executable)
}

/// The label of an instance's name.
#[must_use]
pub fn instance_name(bytes: &[u8]) -> String {
    bounded_label(bytes, MAX_INSTANCE_BYTES).into_owned()
}

fn read<'a>(
    arguments: impl Iterator<Item = &'a [u8]>,
    known: impl Iterator<Item = &'static str>,
) -> Option<CommandLine> {
    let mut module: Option<&[u8]> = None;
    let mut instance: Option<&[u8]> = None;
    let mut precision = Vec::new();
    let mut starts_nothing = false;
    for argument in arguments {
        starts_nothing |= STARTING_NOTHING.iter().any(|option| argument.eq_ignore_ascii_case(option));
        if !argument.starts_with(b"-") {
            module = module.or(Some(argument));
        } else if let Some(name) = value_of(argument, b"-instance:") {
            instance = instance.or(Some(name).filter(|name| !name.is_empty()));
        } else if raises_precision(argument) && precision.len() < MAX_PRECISION_OPTIONS {
            precision.push(Box::from(&argument[..argument.len().min(MAX_OPTION_BYTES)]));
        }
    }
    let module = module?;
    Some(CommandLine {
        module: canonical(module, known)
            .map_or_else(|| bounded_label(module, MAX_MODULE_BYTES).into_owned(), str::to_owned),
        instance: instance.map_or_else(|| DEFAULT_INSTANCE.to_owned(), instance_name),
        starts_nothing,
        precision,
    })
}

fn words(text: &[u8]) -> impl Iterator<Item = &[u8]> + Clone {
    text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty())
}

fn is_executable(argument: &[u8]) -> bool {
    argument.rsplit(|byte| *byte == b'/').next() == Some(EXECUTABLE)
}

fn raises_precision(option: &[u8]) -> bool {
    let name = option.split(|byte| *byte == b':').next().unwrap_or_default();
    name.eq_ignore_ascii_case(b"-verbose") || name.eq_ignore_ascii_case(b"-tracefilter")
}

fn value_of<'a>(argument: &'a [u8], option: &[u8]) -> Option<&'a [u8]> {
    let (name, value) = argument.split_at_checked(option.len())?;
    name.eq_ignore_ascii_case(option).then_some(value)
}

/// Every documented command that becomes a process of its own name.
fn known_commands() -> impl Iterator<Item = &'static str> {
    let rows = MODULES.iter().flat_map(|module| once(module.name).chain(module.children.iter().copied()));
    rows.chain(OTHER_RESIDENTS.iter().map(|(name, _)| *name))
}

/// The documented spelling: Campaign's logs distinguish `inMail` from `inmail`, administrators don't.
fn canonical(name: &[u8], mut known: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    known.find(|known| known.as_bytes().eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KNOWN: [&str; 4] = ["mta", "mtachild", "inMail", "web"];

    fn parsed(bytes: &[u8]) -> (String, String) {
        let line = parse(bytes).unwrap();
        (line.module, line.instance)
    }

    fn pair(module: &str, instance: &str) -> (String, String) {
        (module.to_owned(), instance.to_owned())
    }

    #[test]
    fn the_documented_command_lines_are_read() {
        let table: [(&[u8], &str, &str); 6] = [
            (b"nlserver\0web\0-tracefile:web@default\0-instance:default\0-detach\0-tomcat\0", "web", "default"),
            (b"nlserver\0mtachild\0-tracefile:mtachild@prod\0-instance:prod\0-detach\0", "mtachild", "prod"),
            (b"/usr/local/neolane/nl6/bin/nlserver\0sms\0-noconsole\0-instance:prod\0", "sms", "prod"),
            (b"nlserver\0mta\0-instance:prod\0-tracefilter:*\0-tracefile:mta_debug@prod\0", "mta", "prod"),
            (b"nlserver\0watchdog\0-svc\0-noconsole\0", "watchdog", "default"),
            (b"nlserver\0-svc\0watchdog", "watchdog", "default"),
        ];
        for (bytes, module, instance) in table {
            assert_eq!(parsed(bytes), pair(module, instance));
        }
    }

    #[test]
    fn an_absent_instance_is_the_default_whatever_the_tracefile_says() {
        assert_eq!(parsed(b"nlserver\0mta\0-tracefile:mta@prod\0"), pair("mta", "default"));
        assert_eq!(parsed(b"nlserver\0mta\0-instance:\0"), pair("mta", "default"));
    }

    #[test]
    fn rewritten_arguments_are_read_at_their_spaces() {
        let title = b"nlserver mta -tracefile:mta@prod -instance:prod -detach";
        assert_eq!(parsed(title), pair("mta", "prod"));
        assert_eq!(parsed(&[title.as_slice(), &[0; 40]].concat()), pair("mta", "prod"));
        assert_eq!(parsed(&[title.as_slice(), b"\0ance:old\0-instance:old\0"].concat()), pair("mta", "prod"));
        assert_eq!(parsed(b"/opt/my folder/nlserver  mta -instance:a"), pair("mta", "a"));
        assert_eq!(parsed(b"/opt/my folder/nlserver\0mta\0-instance:a\0"), pair("mta", "a"));
    }

    #[test]
    fn no_command_is_no_command_line() {
        for bytes in [b"".as_slice(), b"\0\0\0", b"nlserver\0", b"nlserver", b"nlserver\0-instance:prod\0", b" "] {
            assert_eq!(parse(bytes), None);
        }
    }

    #[test]
    fn a_command_that_answers_and_ends_starts_nothing() {
        for option in ["-version", "--version", "-?", "-h", "--help", "-reload", "-Version"] {
            let line = format!("nlserver\0web\0-instance:default\0{option}\0");
            assert!(parse(line.as_bytes()).unwrap().starts_nothing, "{option}");
        }
        for option in ["-verbose", "-host:a", "-versions", "h", "-tracefile:-h", ""] {
            let line = format!("nlserver\0web\0{option}\0");
            assert!(!parse(line.as_bytes()).unwrap().starts_nothing, "{option}");
        }
    }

    #[test]
    fn the_first_argument_tells_campaigns_processes() {
        for line in ["nlserver\0web\0", "/opt/my nl6/bin/nlserver\0web\0", "nlserver web", "/nl6/bin/nlserver  web"] {
            assert!(is_campaigns(line.as_bytes()), "{line:?}");
        }
        for line in ["", "\0nlserver\0", "vi\0nlserver\0", "/bin/sh\0/opt/nlserver\0", "nlserver2\0", "-nlserver\0"] {
            assert!(!is_campaigns(line.as_bytes()), "{line:?}");
        }
    }

    #[test]
    fn a_documented_module_gets_its_documented_spelling() {
        for (typed, name) in [("inmail", "inMail"), ("MTA", "mta"), ("mtaChild", "mtachild"), ("inMails", "inMails")] {
            let line = read([typed.as_bytes()].into_iter(), KNOWN.into_iter()).unwrap();
            assert_eq!(line.module, name);
        }
    }

    #[test]
    fn names_are_bounded_valid_and_printable() {
        let (module, instance) = parsed(b"nlserver\0a\x1b[1m b\xe9\0-instance:p\xe9\n\xe2\x80\xaeq\0");
        assert!(module.starts_with("a\u{fffd}[1m b\u{e9}\u{fffd}~"), "{module:?}");
        assert!(instance.starts_with("p\u{e9}\u{fffd}\u{e2}\u{fffd}\u{ae}q\u{fffd}~"), "{instance:?}");
        let long = [b"nlserver\0".as_slice(), &vec![b'x'; 100_000], b"\0-instance:", &[0xe9; 100_000]].concat();
        let (module, instance) = parsed(&long);
        assert!(module.starts_with(&"x".repeat(40)) && module.len() == MAX_MODULE_BYTES);
        assert!(instance.len() <= MAX_INSTANCE_BYTES);
        assert_eq!(parsed("nlserver\0campaña".as_bytes()).0, "campaña");
        assert_eq!(parsed(b"nlserver\0mta\0-instance:\xe9t\xe9\0"), pair("mta", "été"));
    }

    #[test]
    fn an_instance_behind_a_hundred_kilobytes_is_found() {
        let long = [b"nlserver\0javascript\0-arg:".as_slice(), &vec![b'y'; 100_000], b"\0-instance:prod\0"].concat();
        assert_eq!(parsed(&long), pair("javascript", "prod"));
    }

    #[test]
    fn precision_beyond_the_configured_args_is_raised() {
        let table = [
            ("-tracefilter:nlmta", "-tracefilter:nlmta", false),
            ("-tracefilter:*", "-tracefilter:nlmta", true),
            ("-tracefilter:nlmta -verbose", "-tracefilter:nlmta", true),
            ("-verbose", "-tomcat -verbose", false),
            ("-tracefile:mta@prod -detach", "", false),
            ("-verbosely -tracefilters:x", "", false),
            ("", "-verbose", false),
        ];
        for (options, configured, raised) in table {
            let line = parse(format!("nlserver mta {options}").as_bytes()).unwrap();
            assert_eq!(line.raised_precision(configured), raised, "{options}, configured {configured:?}");
        }
    }

    #[test]
    fn a_flood_of_options_is_kept_in_bounds_and_still_raised() {
        let flood = format!("nlserver mta {}", format!("-tracefilter:{} ", "z".repeat(1000)).repeat(100));
        let line = parse(flood.as_bytes()).unwrap();
        assert!(line.raised_precision(""));
        assert_eq!(line.precision.len(), MAX_PRECISION_OPTIONS);
        assert!(line.precision.iter().all(|option| option.len() <= MAX_OPTION_BYTES));
    }

    proptest! {
        #[test]
        fn no_bytes_break_the_parser_or_its_bounds(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            for bytes in [bytes.clone(), [b"nlserver ".as_slice(), &bytes].concat(), [b"x\0".as_slice(), &bytes].concat()] {
                if let Some(line) = parse(&bytes) {
                    prop_assert!((1..=MAX_MODULE_BYTES).contains(&line.module.len()));
                    prop_assert!((1..=MAX_INSTANCE_BYTES).contains(&line.instance.len()));
                    prop_assert!(!line.module.chars().chain(line.instance.chars()).any(char::is_control));
                }
            }
        }
    }
}
