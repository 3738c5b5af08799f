//! The body of an answer: made once, compressed once, held once, however many clients get it.

use std::io::Write;
use std::ops::Deref;
use std::sync::Arc;

use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::body::Bytes;
use tokio::sync::OnceCell;

use super::phase::Phase;
use crate::pool::Pool;

/// Bodies up to this size in bytes travel in one packet or two: compressing them saves nothing.
const COMPRESS_ABOVE: usize = 1024;

/// Compressing a body of this size in bytes takes long enough to delay other requests, so it has its own thread.
const COMPRESS_APART: usize = 256 * 1024;

/// The bytes of an answer. Clones share them, and their compressed form.
#[derive(Clone, Debug, Default)]
pub struct Body(Arc<Encodings>);

#[derive(Debug, Default)]
struct Encodings {
    plain: Bytes,
    gzip: OnceCell<Option<Bytes>>,
}

impl<B: Into<Bytes>> From<B> for Body {
    fn from(plain: B) -> Self {
        Self(Arc::new(Encodings { plain: plain.into(), gzip: OnceCell::new() }))
    }
}

impl Deref for Body {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0.plain
    }
}

impl PartialEq for Body {
    fn eq(&self, other: &Self) -> bool {
        self.0.plain == other.0.plain
    }
}

impl Eq for Body {}

impl Body {
    /// Whether there is something to win by compressing it.
    pub(super) fn is_compressible(&self) -> bool {
        self.0.plain.len() > COMPRESS_ABOVE
    }

    /// The bytes as they are.
    pub(super) fn plain(&self) -> Bytes {
        self.0.plain.clone()
    }

    /// The compressed bytes, made when they are first asked for; none when that is not possible.
    pub(super) async fn gzip(&self, pool: &Pool) -> Option<Bytes> {
        let plain = self.plain();
        let compress = async move {
            if plain.len() > COMPRESS_APART {
                pool.run(move || compress(&plain)).await.flatten()
            } else {
                compress(&plain)
            }
        };
        self.0.gzip.get_or_init(|| compress).await.clone()
    }
}

fn compress(body: &[u8]) -> Option<Bytes> {
    // Metrics shrink to about a tenth.
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 8), Compression::fast());
    encoder.write_all(body).ok()?;
    encoder.finish().ok().map(Bytes::from)
}

/// The bytes of an answer on a connection that carries several at a time: they tell when the last reference is gone.
pub(super) fn told_when_taken(bytes: Bytes, phase: Arc<Phase>) -> Bytes {
    Bytes::from_owner(CountedBytes { bytes, phase })
}

struct CountedBytes {
    bytes: Bytes,
    phase: Arc<Phase>,
}

impl AsRef<[u8]> for CountedBytes {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for CountedBytes {
    fn drop(&mut self) {
        self.phase.taken(self.bytes.len());
    }
}
