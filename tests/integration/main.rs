//! The integration tests: one crate, a module a theme.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod web;
