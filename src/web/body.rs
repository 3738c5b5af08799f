//! The body of an answer: made once, compressed once, held once, however many clients get it.

use std::fmt;
use std::io::{self, Write};
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use hyper::body::Bytes;
use tokio::sync::OnceCell;

use super::compressor::Compressor;
use super::phase::Phase;

/// Bodies up to this size in bytes travel in one packet or two: compressing them saves nothing.
const COMPRESS_ABOVE: usize = 1024;

/// A body that is written when its bytes are asked for, and need not be held as a whole to be compressed.
pub trait WriteBody: fmt::Debug + Send + Sync + 'static {
    /// About how many bytes it has.
    fn size(&self) -> usize;

    /// Writes its bytes, the same ones each time.
    ///
    /// # Errors
    /// Those of `to`.
    fn write_to(&self, to: &mut dyn Write) -> io::Result<()>;

    /// Its bytes, where they are held.
    fn bytes(&self) -> Option<&Bytes> {
        None
    }
}

/// The bytes of an answer. Clones share them, and their compressed form.
#[derive(Clone, Debug)]
pub struct Body(Arc<Encodings>);

#[derive(Debug)]
struct Encodings {
    source: Arc<dyn WriteBody>,
    /// What the source writes, where it does not hold its bytes.
    plain: OnceLock<Bytes>,
    gzip: OnceCell<Option<Bytes>>,
}

impl WriteBody for Bytes {
    fn size(&self) -> usize {
        self.len()
    }

    fn write_to(&self, to: &mut dyn Write) -> io::Result<()> {
        to.write_all(self)
    }

    fn bytes(&self) -> Option<&Bytes> {
        Some(self)
    }
}

impl<B: Into<Bytes>> From<B> for Body {
    fn from(plain: B) -> Self {
        Self::written_by(plain.into())
    }
}

impl Default for Body {
    fn default() -> Self {
        Bytes::new().into()
    }
}

impl Deref for Body {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.plain()
    }
}

impl PartialEq for Body {
    fn eq(&self, other: &Self) -> bool {
        self.0.plain() == other.0.plain()
    }
}

impl Eq for Body {}

impl Encodings {
    fn plain(&self) -> &Bytes {
        let write = || {
            let mut plain = Vec::with_capacity(self.source.size());
            // Writing into memory does not fail.
            let _ = self.source.write_to(&mut plain);
            plain.into()
        };
        self.source.bytes().unwrap_or_else(|| self.plain.get_or_init(write))
    }

    /// What the body is compressed from: what was written already is not written again.
    fn written(&self) -> Arc<dyn WriteBody> {
        match self.plain.get() {
            Some(plain) => Arc::new(plain.clone()),
            None => Arc::clone(&self.source),
        }
    }
}

impl Body {
    /// One that is written when it is known how the client wants it.
    #[must_use]
    pub fn written_by(source: impl WriteBody) -> Self {
        Self(Arc::new(Encodings { source: Arc::new(source), plain: OnceLock::new(), gzip: OnceCell::new() }))
    }

    /// Whether there is something to win by compressing it.
    pub(super) fn is_compressible(&self) -> bool {
        self.0.source.size() > COMPRESS_ABOVE
    }

    /// The bytes as they are.
    pub(super) fn plain(&self) -> Bytes {
        self.0.plain().clone()
    }

    /// The compressed bytes, made when they are first asked for; none when that is not possible.
    pub(super) async fn gzip(&self, compressor: &Compressor) -> Option<Bytes> {
        let compress = || compressor.compress(self.0.written());
        self.0.gzip.get_or_init(compress).await.clone()
    }
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

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::sync::atomic::AtomicUsize;
    use std::sync::atomic::Ordering::Relaxed;

    use flate2::read::GzDecoder;

    use super::super::compressor::COMPRESS_APART;
    use super::*;

    /// Numbers, a line each; and how often they were written.
    #[derive(Debug)]
    struct Numbers(usize, Arc<AtomicUsize>);

    impl WriteBody for Numbers {
        fn size(&self) -> usize {
            self.0 * 6
        }

        fn write_to(&self, to: &mut dyn Write) -> io::Result<()> {
            self.1.fetch_add(1, Relaxed);
            (0..self.0).try_for_each(|number| writeln!(to, "{number:05}"))
        }
    }

    fn unpacked(packed: &[u8]) -> Vec<u8> {
        let mut unpacked = Vec::new();
        GzDecoder::new(packed).read_to_end(&mut unpacked).unwrap();
        unpacked
    }

    #[tokio::test]
    async fn a_body_is_the_same_compressed_and_as_it_is() {
        let compressor = Compressor::start().unwrap();
        // The longest is compressed by a thread of its own; what it leaves serves the one after it.
        for lines in [0, 1, 1000, COMPRESS_APART / 6 + 1, 1000] {
            let body = Body::written_by(Numbers(lines, Arc::default()));
            let packed = body.gzip(&compressor).await.unwrap();
            assert!(lines < 1000 || packed.len() < lines * 5, "{} of {lines} lines", packed.len());
            let unpacked = unpacked(&packed);
            assert_eq!(unpacked.len(), lines * 6);
            assert!(unpacked == *body && unpacked == body.plain(), "{lines}");
            assert_eq!(body.is_compressible(), lines >= 1000);
        }
    }

    #[tokio::test]
    async fn a_body_that_was_asked_for_as_it_is_is_not_written_again_to_be_compressed() {
        let compressor = Compressor::start().unwrap();
        let written = Arc::new(AtomicUsize::new(0));
        let body = Body::written_by(Numbers(1000, Arc::clone(&written)));
        let plain = body.plain();
        assert_eq!(unpacked(&body.gzip(&compressor).await.unwrap()), plain);
        assert_eq!(body.plain(), plain);
        assert_eq!(written.load(Relaxed), 1);
    }
}
