//! Values in, text out.

pub mod html;
pub mod landing;
pub mod reference;
pub mod rules;
pub mod status;
