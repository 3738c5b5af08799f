//! The catalog as alert rules for Prometheus, and as the reference of metrics.
