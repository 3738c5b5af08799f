//! Every alert there is, a file a theme: what is worth telling a person, and what the notification says.
//!
//! Knows the names of metrics and labels, and nothing of how rule files are written.

pub mod crash;
pub mod exporter;
pub mod indicators;
pub mod logs;
pub mod modules;
pub mod ports;
pub mod probes;
pub mod spool;
pub mod tracking;
