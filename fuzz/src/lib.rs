//! The parsers without the rest of the exporter, so that the fuzz targets are built in a minute and not in ten: `parse`
//! imports nothing but `catalog` and `label`, and a test holds it to that.

#[path = "../../src/catalog/mod.rs"]
pub mod catalog;
#[path = "../../src/label.rs"]
pub mod label;
#[path = "../../src/parse/mod.rs"]
pub mod parse;
