//! Values in, text out.

pub mod landing;
pub mod reference;
pub mod rules;
pub mod status;
