//! Bytes in, values out: the formats that the exporter reads. No I/O, no clock; every entry point is fuzzed.

pub mod cmdline;
pub mod conf;
pub mod config_file;
pub mod copies;
pub mod core_pattern;
pub mod customer;
pub mod diag;
pub mod process;
pub mod reply;
pub mod sockets;
pub mod sysvipc;
pub mod targets;
pub mod variables;
pub mod webconfig;
pub mod xml;

pub use campaign_lines::{counts, line, runs, tail};
