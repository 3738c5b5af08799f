//! One walk of `/proc` per sample, shared by all collectors.
//!
//! Knows processes, and which Campaign module each is; what is healthy is for others.

/// What one walk of `/proc` found.
#[derive(Clone, Debug, Default)]
pub struct ProcessTable {}
