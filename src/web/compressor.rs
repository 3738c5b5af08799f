//! gzip (RFC 1952) of bodies, one after another.

use std::sync::{Arc, Mutex};

use flate2::write::ZlibEncoder;
use flate2::{Compress, Compression};
use hyper::body::Bytes;

use super::body::WriteBody;
use crate::pool::{Pool, PoolError};
use crate::sync::locked;

/// Compressing a body of this size in bytes takes long enough to delay other requests, so it has its own thread.
pub(super) const COMPRESS_APART: usize = 256 * 1024;

/// The window of the compression, as a power of two: the largest. A smaller one saves 0.1 MB, but moves the tables of the
/// compression more often, which is 0.8 ms more for each scrape of a host with 110 processes.
const WINDOW_BITS: u8 = 15;

type Encoder = ZlibEncoder<Vec<u8>>;

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
    // Metrics shrink to less than a tenth.
    let room = Vec::with_capacity(body.size() / 10);
    let kept = locked(spare).take();
    let mut encoder = kept.unwrap_or_else(|| {
        Encoder::new_with_compress(Vec::new(), Compress::new_gzip(Compression::fast(), WINDOW_BITS))
    });
    *encoder.get_mut() = room;
    body.write_to(&mut encoder).ok()?;
    let compressed = encoder.reset(Vec::new()).ok()?;
    *locked(spare) = Some(encoder);
    Some(compressed.into())
}
