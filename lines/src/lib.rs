//! The lines of Campaign's logs: bytes into lines, lines into fields, fields into counts. No I/O, no clock.
//!
//! A package of its own, because this is where the time goes when logs grow: it is built for speed, the rest of the
//! exporter for size. `campaign_exporter::parse` shows its modules as its own.

pub mod counts;
pub mod line;
pub mod runs;
pub mod tail;
