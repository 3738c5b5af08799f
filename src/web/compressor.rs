//! gzip (RFC 1952) of bodies, one after another.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use flate2::{Compress, Compression, FlushCompress};
use hyper::body::Bytes;

use super::body::WriteBody;
use crate::pool::{Pool, PoolError};
use crate::sync::locked;

/// Compressing a body of this size in bytes takes long enough to delay other requests, so it has its own thread.
pub(super) const COMPRESS_APART: usize = 256 * 1024;

/// The window of the compression, as a power of two: the largest. A smaller one saves 0.1 MB, but moves the tables of the
/// compression more often, which is 0.8 ms more for each scrape of a host with 110 processes.
const WINDOW_BITS: u8 = 15;

/// After how many bytes of a body the compression forgets what it has seen: a little less than two windows. With more it
/// would move its tables after each window, which took a quarter of the time of an answer; to empty them takes a tenth of
/// that, and makes the answer 3 % larger.
const PART_BYTES: usize = 60 * 1024;

/// The least room that is kept free for what comes out of the compression.
const LEAST_ROOM: usize = 4 * 1024;

/// Compresses bodies. What it needs for one, 0.4 MB, is kept for the next: to get it from the system each time would cost
/// a tenth of a scrape.
pub(super) struct Compressor {
    thread: Pool,
    spare: Arc<Mutex<Option<Encoder>>>,
}

impl Compressor {
    /// Starts its thread.
    ///
    /// # Errors
    /// When the system has none.
    pub(super) fn start() -> Result<Self, PoolError> {
        Ok(Self { thread: Pool::start("compress", 1)?, spare: Arc::default() })
    }

    /// A body, compressed; none when that is not possible.
    pub(super) async fn compress(&self, body: Arc<dyn WriteBody>) -> Option<Bytes> {
        let spare = Arc::clone(&self.spare);
        if body.size() > COMPRESS_APART {
            self.thread.run(move || compress(&*body, &spare)).await.flatten()
        } else {
            compress(&*body, &spare)
        }
    }
}

fn compress(body: &dyn WriteBody, spare: &Mutex<Option<Encoder>>) -> Option<Bytes> {
    let kept = locked(spare).take();
    let mut encoder = kept.unwrap_or_else(Encoder::new);
    // Metrics shrink to less than a tenth.
    encoder.packed = Vec::with_capacity(body.size() / 10 + LEAST_ROOM);
    body.write_to(&mut encoder).ok()?;
    let packed = encoder.finish().ok()?;
    *locked(spare) = Some(encoder);
    Some(packed.into())
}

/// Compresses what is written to it.
struct Encoder {
    deflate: Compress,
    packed: Vec<u8>,
    /// How many bytes came since the compression last forgot what it had seen.
    part: usize,
}

impl Encoder {
    fn new() -> Self {
        let deflate = Compress::new_gzip(Compression::fast(), WINDOW_BITS);
        Self { deflate, packed: Vec::new(), part: 0 }
    }

    /// The compressed bytes. The next one begins anew.
    fn finish(&mut self) -> io::Result<Vec<u8>> {
        self.deflate(&[], FlushCompress::Finish)?;
        self.deflate.reset();
        self.part = 0;
        Ok(std::mem::take(&mut self.packed))
    }

    fn deflate(&mut self, mut bytes: &[u8], flush: FlushCompress) -> io::Result<()> {
        loop {
            self.packed.reserve(LEAST_ROOM);
            let taken = self.deflate.total_in();
            self.deflate.compress_vec(bytes, &mut self.packed, flush)?;
            let taken = usize::try_from(self.deflate.total_in() - taken).map_err(io::Error::other)?;
            bytes = &bytes[taken..];
            // Where there is room left, nothing waits for it.
            if bytes.is_empty() && self.packed.len() < self.packed.capacity() {
                return Ok(());
            }
        }
    }
}

impl Write for Encoder {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.part == PART_BYTES {
            self.deflate(&[], FlushCompress::Full)?;
            self.part = 0;
        }
        let bytes = &bytes[..bytes.len().min(PART_BYTES - self.part)];
        self.deflate(bytes, FlushCompress::None)?;
        self.part += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;

    use super::*;

    /// What these bytes are once compressed, written in pieces of that size, and unpacked again.
    fn round_trip(encoder: &mut Encoder, bytes: &[u8], piece: usize) -> Vec<u8> {
        bytes.chunks(piece).for_each(|piece| encoder.write_all(piece).unwrap());
        let packed = encoder.finish().unwrap();
        let (mut decoder, mut unpacked) = (GzDecoder::new(&packed[..]), Vec::new());
        decoder.read_to_end(&mut unpacked).unwrap();
        assert!(decoder.into_inner().is_empty(), "all is in one member: not every client reads a second one");
        unpacked
    }

    #[test]
    fn bytes_in_parts_are_the_same_once_unpacked() {
        let text: Vec<u8> = (0..100_000_u32).flat_map(|number| format!("{number}\n").into_bytes()).collect();
        // Random numbers: what can't be compressed needs more room than was made for it.
        let numbers = std::iter::successors(Some(1_u32), |last| Some(last.wrapping_mul(1_664_525).wrapping_add(1)));
        let noise: Vec<u8> = numbers.map(|number| number.to_be_bytes()[0]).take(3 * PART_BYTES).collect();
        let mut encoder = Encoder::new();
        for bytes in [&text, &noise] {
            for length in [0, 1, PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, 2 * PART_BYTES, 2 * PART_BYTES + 77] {
                for piece in [100, 8 * 1024, PART_BYTES, 3 * PART_BYTES] {
                    let bytes = &bytes[..length];
                    assert!(round_trip(&mut encoder, bytes, piece) == bytes, "{length} bytes in pieces of {piece}");
                }
            }
        }
    }
}
