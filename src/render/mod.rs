//! Values in, text out.

pub mod landing;
pub mod rules;
