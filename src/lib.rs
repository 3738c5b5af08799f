//! The Campaign exporter: the health of Adobe Campaign Classic v7 servers for Prometheus.
//!
//! # The map of the house
//!
//! | part | what it is for | what it may import |
//! |---|---|---|
//! | [`catalog`] | the specification as data: modules, metrics, checks, alerts | std alone |
//! | [`label`] | names of the machine as label values | none |
//! | [`parse`] | bytes in, values out, no I/O | `catalog`, `label` |
//! | [`source`] | the only code that touches the machine | `catalog`, `label`, `parse` |
//! | [`source::kit`] | what every source needs, once | `parse`, no other source |
//! | [`snapshot`] | the checked sink for samples, and their text encoding | `catalog`, `label` |
//! | [`health`] | evidence into checks, pure functions with three answers | `catalog`, `snapshot` |
//! | [`collect`] | evidence into samples and checks, one file a collector; the engine that runs them | all of the above |
//! | [`render`] | values in, text out: rules, reference, pages | `catalog`, `snapshot`, `health` |
//! | [`web`] | HTTP; knows one function that answers a path | `parse::webconfig` alone |
//! | [`serve`] | what is answered where | `catalog`, `render`, `snapshot`, `web` |
//! | [`logging`] | the exporter's own log: levels, logfmt, JSON; never blocks | std alone |
//! | [`service`] | the service manager: readiness, watchdog, sockets | std alone |
//! | [`cli`] | arguments into a validated configuration, no I/O | types of what it configures |
//! | [`host`] | one Campaign host: sources, collectors and health together | all but `parse` |
//!
//! `sync` is a lock and `pool` a set of threads for all of them. `main` composes them. `tests/integration/layering.rs` holds the code to this table.

pub mod catalog;
pub mod cli;
pub mod collect;
pub mod health;
pub mod host;
pub mod label;
pub mod logging;
pub mod parse;
pub mod pool;
pub mod render;
pub mod serve;
pub mod service;
pub mod snapshot;
pub mod source;
mod sync;
pub mod web;
