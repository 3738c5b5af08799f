//! The flags that say how the metrics are served.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches, value_parser};

use super::{flag, one};
use crate::serve::RESERVED;
use crate::web::ListenAddress;

/// The bounds of `--web.timeout-offset`.
const TIMEOUT_OFFSETS: RangeInclusive<f64> = 0.0..=60.0;

/// Pages of the exporter that the telemetry path may not hide; so may nothing below [`RESERVED`].
const PAGES: [&str; 3] = [crate::serve::ROOT, crate::serve::STATUS, crate::serve::PROBE];

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

pub(super) fn flags() -> Vec<Arg> {
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
            "How many scrapes, and how many probes, may run at once; further ones get status 503. 0: no limit",
        )
        .value_name("NUMBER")
        .value_parser(value_parser!(usize))
        .default_value("40"),
        flag(
            "web.timeout-offset",
            "Seconds to subtract from Prometheus' scrape timeout, so that the answer arrives in time",
        )
        .value_name("SECONDS")
        .value_parser(timeout_offset)
        .default_value("0.25"),
    ];
    flags.into_iter().map(|flag| flag.help_heading("Web")).collect()
}

/// The flags that only the service needs.
pub(super) fn serve_flags() -> Vec<Arg> {
    vec![
        flag("config.check", "Check the files of --config.file and --web.config.file, and exit")
            .action(ArgAction::SetTrue)
            .help_heading("Campaign"),
    ]
}

pub(super) fn values(flags: &ArgMatches) -> Result<Web, String> {
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
