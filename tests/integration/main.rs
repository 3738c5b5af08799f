//! The integration tests: one crate, a module a theme.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failure ends the test")]
mod layering;
mod probes;
