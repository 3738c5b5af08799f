//! The integration tests: one crate, a module a theme.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failure ends the test")]

#[path = "../support/mod.rs"]
mod support;

mod agreement;
mod alertmanager;
mod chain;
mod check;
mod committed;
mod dashboard;
mod dashboard_languages;
mod dashboard_static;
mod evidence;
mod exposition;
mod fault_chain;
mod guises;
mod hostile;
mod layering;
mod limits;
mod log_chain;
mod namespaces;
mod notifications;
mod ownership;
mod pages;
mod probes;
mod project;
mod promql;
mod rules;
mod runbooks;
mod scenarios;
mod soak;
mod specification;
mod stalls;
mod victoria_metrics;
mod web;
mod web_config;
