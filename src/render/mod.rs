//! Values in, text out.

pub mod reference;
pub mod rules;
