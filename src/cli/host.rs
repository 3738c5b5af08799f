//! The flags that say what is monitored: the installation, its logs, the stored state.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgMatches, value_parser};

use super::{collectors, flag, one};
use crate::collect::Spec;

/// The value of `--log.start` that is not the default.
const FROM_BEGINNING: &str = "beginning";

/// What is monitored.
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
    /// Whether what is stored there is only read, as `check` does beside a running exporter.
    pub storage_is_read_only: bool,
}

impl Host {
    /// Whether the collector of this name runs.
    #[must_use]
    pub fn runs(&self, collector: &str) -> bool {
        self.collectors.contains(&collector)
    }
}

pub(super) fn flags() -> Vec<Arg> {
    let flags = [
        flag("campaign.home", "The Campaign installation, with its conf and var; searched for when not given")
            .value_name("PATH")
            .value_parser(value_parser!(PathBuf)),
        flag("path.procfs", "Where procfs is mounted")
            .value_name("PATH")
            .value_parser(value_parser!(PathBuf))
            .default_value("/proc"),
        flag("config.file", "The YAML file of the probes' targets; without it, this host's own /r/test is probed")
            .value_name("PATH")
            .value_parser(value_parser!(PathBuf)),
        flag("log.start", "Where the very first reading of a Campaign log begins")
            .value_name("PLACE")
            .value_parser(PossibleValuesParser::new(["end", FROM_BEGINNING]))
            .default_value("end"),
        flag("storage.path", "The directory that keeps how far the logs were read, so that a restart loses nothing")
            .value_name("PATH")
            .value_parser(value_parser!(PathBuf))
            .default_value("/var/lib/campaign_exporter"),
    ];
    flags.into_iter().map(|flag| flag.help_heading("Campaign")).collect()
}

pub(super) fn values(flags: &ArgMatches, collectors: &[Spec]) -> Host {
    Host {
        campaign_home: one(flags, "campaign.home"),
        procfs: one(flags, "path.procfs").unwrap_or_default(),
        collectors: collectors::chosen(flags, collectors),
        sample_interval: one(flags, "collector.process.sample-interval").unwrap_or_default(),
        syslogd_port: one(flags, "collector.ports.syslogd-port"),
        indicators_directory: one(flags, "collector.indicators.directory"),
        config_file: one(flags, "config.file"),
        logs_from_beginning: one::<String>(flags, "log.start").is_some_and(|start| start == FROM_BEGINNING),
        storage: one(flags, "storage.path").unwrap_or_default(),
        storage_is_read_only: false,
    }
}
