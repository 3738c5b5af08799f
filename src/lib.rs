//! The Campaign exporter: the health of Adobe Campaign Classic v7 servers for Prometheus.
//!
//! # The map
//!
//! `tests/integration/layering.rs` reads this table and holds the code to it.
//!
//! | part | what it is for | what it may import, beside crates |
//! |---|---|---|
//! | [`catalog`] | the specification as data: modules, metrics, checks, alerts | nothing |
//! | `label` | names of the machine as label values | nothing |
//! | `stamp` | how a file looks, and whether it was changed since it was read | nothing |
//! | `sync` | a lock that outlives a panic | nothing |
//! | [`pool`] | a set of threads | `sync` |
//! | [`logging`] | the exporter's own log: levels, logfmt, JSON; never blocks | nothing |
//! | [`service`] | the service manager: readiness, watchdog, sockets | nothing |
//! | [`parse`] | bytes in, values out, no I/O; the lines of the logs are in the package `lines/`, built for speed | `catalog`, `label` |
//! | [`source`] | the only code that touches the machine | `catalog`, `label`, `parse`, `pool`, `stamp`, `sync` |
//! | [`source::kit`] | what all sources share; imports no other source | `parse`, `sync` |
//! | [`snapshot`] | the checked sink for samples, and their text encoding | `catalog`, `label` |
//! | [`health`] | evidence into checks, pure functions with three answers | `catalog`, `snapshot` |
//! | [`collect`] | evidence into samples and checks, one file a collector; the engine that runs them | `catalog`, `health`, `label`, `parse`, `pool`, `snapshot`, `source`, `sync` |
//! | [`render`] | values in, text out: rules, reference, pages | `catalog`, `health`, `snapshot` |
//! | [`web`] | HTTP; one function answers every path | `parse::config_file`, `parse::webconfig`, `pool`, `stamp`, `sync` |
//! | [`serve`] | which path gets which answer | `catalog`, `render`, `snapshot`, `sync`, `web` |
//! | [`cli`] | arguments into a validated configuration, no I/O | `catalog`, `collect::Spec`, `logging`, `render::rules`, `serve`, `web` |
//! | [`host`] | one Campaign host: sources, collectors and health together | `catalog`, `cli`, `collect`, `health`, `logging`, `pool`, `render`, `serve`, `snapshot`, `source`, `sync`, `web` |
//! | `main` | composes them | `cli`, `collect`, `host`, `logging`, `pool`, `render`, `serve`, `service`, `source`, `web` |

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
mod stamp;
mod sync;
pub mod web;
