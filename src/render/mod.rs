//! Values in, text out.

pub mod alertmanager;
pub mod format;
pub mod json;
pub mod page;
pub mod reference;
pub mod report;
pub mod rules;
pub mod runbooks;
pub mod terminal;
