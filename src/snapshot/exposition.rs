//! What a scrape answers, in the Prometheus text format 0.0.4.

use std::io::{self, Write as _};

use super::{Family, Sample};

/// The content type of an [`Exposition`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The largest whole number that is written as one: every one up to it is exact.
const LARGEST_WHOLE: f64 = 9_007_199_254_740_992.0;

/// How many bytes of the text are written at a time, mostly.
const PIECE_BYTES: usize = 8 * 1024;

/// What is kept free of them for the next line.
const LONGEST_LINE: usize = 2 * 1024;

/// What a value takes, about.
const VALUE_BYTES: usize = 12;

/// The samples of a snapshot: what a scrape answers. Their text is written once it is known whether the client wants it
/// compressed.
#[derive(Debug)]
pub struct Exposition {
    families: Vec<Family>,
    size: usize,
}

impl Exposition {
    pub(super) fn new(families: Vec<Family>) -> Self {
        let size = |family: &Family| {
            let line = |sample: &Sample| family.def.name.len() + sample.line().len() + VALUE_BYTES;
            family.header.len() + family.samples.iter().map(line).sum::<usize>()
        };
        Self { size: families.iter().map(size).sum(), families }
    }

    /// About how many bytes the text has.
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }

    /// Writes the text format 0.0.4, families ordered by name, in pieces: the whole of a large host is a megabyte that
    /// need not be held at once.
    ///
    /// # Errors
    /// Those of `to`.
    pub fn write_to(&self, to: &mut dyn io::Write) -> io::Result<()> {
        let mut piece = Vec::with_capacity(self.size.min(PIECE_BYTES));
        for family in &self.families {
            piece.extend_from_slice(family.header.as_bytes());
            for sample in &family.samples {
                piece.extend_from_slice(family.def.name.as_bytes());
                piece.extend_from_slice(sample.line());
                write_value(&mut piece, sample.value);
                piece.push(b'\n');
                if piece.len() + LONGEST_LINE > PIECE_BYTES {
                    to.write_all(&piece)?;
                    piece.clear();
                }
            }
        }
        to.write_all(&piece)
    }
}

/// Writes a value as the encoder of [`super::labels::encoded`] does.
#[expect(clippy::cast_possible_truncation, reason = "whole and within bounds")]
fn write_value(text: &mut Vec<u8>, value: f64) {
    let is_whole = value.fract() == 0.0 && value.abs() <= LARGEST_WHOLE && value.is_sign_positive();
    // Writing into memory does not fail.
    let _ = if is_whole { write!(text, "{}", value as u64) } else { write!(text, "{value}") };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Samples;
    use crate::snapshot::tests::GAUGE;

    /// What is written to it, each time.
    struct Pieces(Vec<Vec<u8>>);

    impl io::Write for Pieces {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.push(bytes.to_vec());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_long_text_is_written_in_pieces() {
        let mut samples = Samples::default();
        for number in 0..1000 {
            samples.push(&GAUGE, &["web", &format!("{number:03}")], 7.0);
        }
        let exposition = samples.freeze().into_exposition();
        let mut pieces = Pieces(Vec::new());
        exposition.write_to(&mut pieces).unwrap();
        assert!(pieces.0.len() > 2 && pieces.0.iter().all(|piece| piece.len() <= PIECE_BYTES));
        let text = String::from_utf8(pieces.0.concat()).unwrap();
        let lines = (0..1000).map(|number| format!("campaign_test{{module=\"web\",state=\"{number:03}\"}} 7\n"));
        let header = "# HELP campaign_test A test.\n# TYPE campaign_test gauge\n";
        assert_eq!(text, [header.to_owned()].into_iter().chain(lines).collect::<String>());
        assert!((text.len()..text.len() + 1000 * VALUE_BYTES).contains(&exposition.size()));
    }

    #[test]
    fn values_are_written_as_the_encoder_writes_them() {
        for value in [
            0.0,
            -0.0,
            1.0,
            -1.0,
            0.1,
            1e15,
            9_007_199_254_740_992.0,
            1e17,
            1e300,
            5e-324,
            f64::INFINITY,
            -7.5,
            1_764_106_753.123,
        ] {
            let mut text = Vec::new();
            write_value(&mut text, value);
            assert_eq!(String::from_utf8(text).unwrap(), value.to_string());
        }
    }
}
