//! The integration tests: one crate, a module a theme.
// Helpers of tests fail by panicking, as the tests do.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod committed;
mod dashboard_static;
mod promql;
mod rules;
mod specification;
