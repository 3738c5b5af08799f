//! The integration tests: one crate, a module a theme.

mod committed;
mod promql;
mod rules;
mod specification;
