//! Which collectors run, and their own flags. They are generated from the list that is passed in.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches, value_parser};

use super::flag;
use crate::collect::Spec;

/// The bounds of `--collector.process.sample-interval`.
const SAMPLE_INTERVALS: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(60);

/// The switches of each collector, and the flags of single ones.
pub(super) fn flags(collectors: &[Spec]) -> Vec<Arg> {
    let mut flags = Vec::new();
    for Spec { name, help, default_on, .. } in collectors {
        let state = if *default_on { "enabled" } else { "disabled" };
        let (yes, no) = (format!("collector.{name}"), format!("no-collector.{name}"));
        flags.extend([
            flag(yes.clone(), format!("Collect {help} (default: {state})"))
                .action(ArgAction::SetTrue)
                .overrides_with(no.clone()),
            flag(no, format!("Disable the collector \"{name}\"")).action(ArgAction::SetTrue).overrides_with(yes),
        ]);
    }
    flags.extend([
        flag("collector.disable-defaults", "Run only the collectors that are asked for by their flags")
            .action(ArgAction::SetTrue),
        flag(
            "collector.process.sample-interval",
            "How often to look for processes between scrapes, 100ms to 1m; processes that live for less may be missed",
        )
        .value_name("DURATION")
        .value_parser(sample_interval)
        .default_value("1s"),
        flag("collector.ports.syslogd-port", "Where syslogd listens, where that is not the documented 6666")
            .value_name("PORT")
            .value_parser(value_parser!(u16).range(1..)),
        flag(
            "collector.indicators.directory",
            "A directory of *.xml files with custom indicators, as a cron job leaves them there",
        )
        .value_name("PATH")
        .value_parser(value_parser!(PathBuf)),
    ]);
    flags.into_iter().map(|flag| flag.help_heading("Collectors")).collect()
}

/// The names of the collectors that run, in the order of the list.
pub(super) fn chosen(flags: &ArgMatches, collectors: &[Spec]) -> Vec<&'static str> {
    let no_defaults = flags.get_flag("collector.disable-defaults");
    let runs = |collector: &&Spec| {
        let asked_for = flags.get_flag(&format!("collector.{}", collector.name));
        let refused = flags.get_flag(&format!("no-collector.{}", collector.name));
        asked_for || (collector.default_on && !no_defaults && !refused)
    };
    collectors.iter().filter(runs).map(|collector| collector.name).collect()
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
