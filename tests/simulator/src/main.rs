//! The simulated Campaign host.
fn main() {}
