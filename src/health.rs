//! Evidence into checks: a pure function of the samples.
