//! The integration tests: one crate, a module a theme.
