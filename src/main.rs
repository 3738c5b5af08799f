//! Composes the parts: serve, check, rules; owns the exit code.
fn main() {}
