//! Values in, text out.

pub mod rules;
