//! (position, bytes from there on) -> complete lines: partial lines, lines without end, NUL bytes; and whether a file
//! is still the one that a position was taken in.
//!
//! The caller reads the files and interprets the lines. It presents the bytes at [`Position::offset`]; what
//! [`Position::feed`] did not consume, it presents again with more behind it, so that nothing of an unfinished line has
//! to be kept in memory. However the bytes are split into reads, the same lines and the same number of skipped bytes
//! come out.

use memchr::{memchr, memchr_iter};

/// The longest line, in bytes without its line feed. What a longer one has beyond is skipped and counted.
pub const MAX_LINE_BYTES: usize = 64 * 1024;

/// How many of a file's first bytes its fingerprint covers, once the file has as many.
pub const FINGERPRINT_BYTES: usize = 256;

/// How far a file has been read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// The offset of the first byte that was not consumed yet: the beginning of a line, unless `skipping`.
    pub offset: u64,
    /// Whether `offset` is within a line that was cut: the rest of it is to be skipped.
    pub skipping: bool,
    /// Whether NUL bytes right before `offset` were skipped: the line there is not whole.
    pub after_nul: bool,
}

/// A complete line, as it is in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawLine<'a> {
    /// Its bytes, without the line feed.
    pub bytes: &'a [u8],
    /// Whether bytes of it are missing: NUL bytes before it, or what is beyond the longest line.
    pub is_cut: bool,
}

impl<'a> RawLine<'a> {
    /// The line without its line end, be that LF or CRLF.
    #[must_use]
    pub fn text(self) -> &'a [u8] {
        self.bytes.strip_suffix(b"\r").unwrap_or(self.bytes)
    }
}

/// Takes the lines of a log, in their order.
pub trait Lines {
    /// The next line.
    fn line(&mut self, line: RawLine<'_>);

    /// What comes next is the beginning of a file's content. Called again while its first line is not complete.
    fn begin(&mut self) {}
}

impl<F: FnMut(RawLine<'_>)> Lines for F {
    fn line(&mut self, line: RawLine<'_>) {
        self(line);
    }
}

/// What one presentation of bytes came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// Bytes consumed, from the first on; the position moved by as many.
    pub consumed: usize,
    /// Bytes among them that no line was made of: the rest of lines that were cut, and NUL bytes before a line.
    pub skipped: u64,
}

impl Position {
    /// Gives every complete line of `bytes` to `each`.
    ///
    /// A line of more than `max_line` bytes is cut there: its beginning is given as soon as it is known to be too
    /// long. NUL bytes before a line (a file that was truncated while its writer kept its place) are skipped.
    /// With `max_line + 1` or more bytes something is always consumed.
    pub fn feed<'a>(&mut self, bytes: &'a [u8], max_line: usize, each: &mut dyn FnMut(RawLine<'a>)) -> Step {
        let mut at = 0;
        let mut skipped = 0;
        if self.skipping {
            match memchr(b'\n', bytes) {
                Some(end) => {
                    skipped += end as u64;
                    at = end + 1;
                    self.skipping = false;
                }
                None => {
                    self.offset += bytes.len() as u64;
                    return Step { consumed: bytes.len(), skipped: bytes.len() as u64 };
                }
            }
        }
        let body = &bytes[at..];
        let mut start = 0;
        for end in memchr_iter(b'\n', body) {
            let mut line = RawLine { bytes: &body[start..end], is_cut: std::mem::take(&mut self.after_nul) };
            start = end + 1;
            if line.bytes.first() == Some(&0) {
                let nul = leading_nul(line.bytes);
                skipped += nul as u64;
                line = RawLine { bytes: &line.bytes[nul..], is_cut: true };
            }
            if line.bytes.len() > max_line {
                skipped += (line.bytes.len() - max_line) as u64;
                line = RawLine { bytes: &line.bytes[..max_line], is_cut: true };
            }
            each(line);
        }
        at += start;
        let mut rest = &bytes[at..];
        let nul = leading_nul(rest);
        skipped += nul as u64;
        self.after_nul |= nul > 0;
        at += nul;
        rest = &rest[nul..];
        if rest.len() > max_line {
            skipped += (rest.len() - max_line) as u64;
            each(RawLine { bytes: &rest[..max_line], is_cut: true });
            at = bytes.len();
            self.skipping = true;
            self.after_nul = false;
        }
        self.offset += at as u64;
        Step { consumed: at, skipped }
    }

    /// Passes over so many NUL bytes from the position on, none of which was given to [`Position::feed`].
    pub const fn skip_nul(&mut self, bytes: u64) {
        self.offset += bytes;
        self.after_nul |= !self.skipping;
    }

    /// Gives what [`Position::feed`] left of a file that nothing is written to any more: a last line without an end.
    pub fn finish<'a>(&mut self, rest: &'a [u8], each: impl FnOnce(RawLine<'a>)) {
        if !rest.is_empty() {
            each(RawLine { bytes: rest, is_cut: self.after_nul });
        }
        self.offset += rest.len() as u64;
        self.skipping = false;
        self.after_nul = false;
    }
}

fn leading_nul(bytes: &[u8]) -> usize {
    bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len())
}

/// What the first bytes of a file were, so that another file under the same inode number is recognised. It holds no
/// text of the file: messages name people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// How many of the first bytes it covers, at most [`FINGERPRINT_BYTES`].
    pub length: usize,
    /// Their FNV-1a hash.
    pub hash: u64,
}

impl Fingerprint {
    /// The fingerprint of a file that begins with `beginning`.
    #[must_use]
    pub fn of(beginning: &[u8]) -> Self {
        let covered = &beginning[..beginning.len().min(FINGERPRINT_BYTES)];
        let hash = covered.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        Fingerprint { length: covered.len(), hash }
    }

    /// Whether a file that begins with `beginning` may be the file that this was taken of: it has at least as many
    /// bytes, and the same. The fingerprint of no bytes matches every file.
    #[must_use]
    pub fn matches(self, beginning: &[u8]) -> bool {
        beginning.get(..self.length).is_some_and(|same| Fingerprint::of(same) == self)
    }
}

impl Default for Fingerprint {
    fn default() -> Self {
        Fingerprint::of(&[])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reads `bytes` in reads of the given sizes, as a caller with a buffer does.
    fn read(bytes: &[u8], sizes: &[usize], max_line: usize) -> (Vec<(Vec<u8>, bool)>, u64, Position) {
        let mut position = Position::default();
        let mut lines = Vec::new();
        let mut skipped = 0;
        let mut known = 0;
        let mut sizes = sizes.iter().copied().chain(std::iter::repeat(bytes.len().max(1)));
        while known < bytes.len() {
            known = (known + sizes.next().unwrap_or(1).max(1)).min(bytes.len());
            let from = position.offset as usize;
            let step = position
                .feed(&bytes[from..known], max_line, &mut |line| lines.push((line.bytes.to_vec(), line.is_cut)));
            assert_eq!(position.offset as usize, from + step.consumed);
            assert!(known - position.offset as usize <= max_line, "an unfinished line is never kept beyond the limit");
            skipped += step.skipped;
        }
        (lines, skipped, position)
    }

    fn bytes_of_lines() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![4 => Just(b'a'), 2 => Just(b'\n'), 1 => Just(b'\r'), 1 => Just(0), 1 => any::<u8>()];
        let run = (byte, 1_usize..24).prop_map(|(byte, times)| vec![byte; times]);
        proptest::collection::vec(run, 0..40).prop_map(|runs| runs.concat())
    }

    proptest! {
        #[test]
        fn any_split_into_reads_gives_the_same_lines(
            bytes in bytes_of_lines(),
            sizes in proptest::collection::vec(1_usize..30, 0..60),
            max_line in 1_usize..40,
        ) {
            let whole = read(&bytes, &[], max_line);
            prop_assert_eq!(read(&bytes, &sizes, max_line), whole);
        }

        #[test]
        fn every_byte_is_in_a_line_or_a_line_end_or_counted_as_skipped(bytes in bytes_of_lines(), max_line in 1_usize..40) {
            let (lines, skipped, position) = read(&bytes, &[], max_line);
            let given: usize = lines.iter().map(|(line, _)| line.len()).sum();
            let ends = bytes[..position.offset as usize].iter().filter(|byte| **byte == b'\n').count();
            prop_assert_eq!(given + skipped as usize + ends, position.offset as usize);
        }
    }

    /// How many bytes are presented until a file that holds `text` has been read, with the reader's buffer.
    fn presented(text: &[u8]) -> usize {
        const BUFFER: usize = 256 * 1024;
        let (mut position, mut presented) = (Position::default(), 0);
        loop {
            let from = position.offset as usize;
            let bytes = &text[from..text.len().min(from + BUFFER)];
            presented += bytes.len();
            if position.feed(bytes, MAX_LINE_BYTES, &mut |_| {}).consumed == 0 {
                return presented;
            }
        }
    }

    #[test]
    fn hostile_content_of_twice_the_size_is_twice_the_work() {
        let long = [vec![b'x'; MAX_LINE_BYTES], b"\n".to_vec()].concat();
        let just_too_long = [vec![b'x'; MAX_LINE_BYTES + 1], b"\n".to_vec()].concat();
        for pattern in
            [b"x".to_vec(), b"\0".to_vec(), b"\n".to_vec(), b"\0\n".to_vec(), b"\0x".to_vec(), long, just_too_long]
        {
            let of = |size: usize| presented(&pattern.iter().copied().cycle().take(size).collect::<Vec<u8>>());
            let (once, twice) = (of(2 << 20), of(4 << 20));
            assert!(once <= 3 << 20, "each byte is looked at once, and the rest of a buffer again: {once}");
            assert!(twice as f64 <= 2.5 * once as f64, "{once} and {twice}");
        }
    }

    #[test]
    fn a_partial_line_waits_for_its_end() {
        let mut position = Position::default();
        let mut lines: Vec<&[u8]> = Vec::new();
        let step = position.feed(b"one\r\ntwo\nthr", 64, &mut |line| lines.push(line.text()));
        assert_eq!((step.consumed, step.skipped), (9, 0));
        position.feed(b"three\n", 64, &mut |line| lines.push(line.text()));
        assert_eq!(lines, [&b"one"[..], b"two", b"three"]);
        assert_eq!(position.offset, 15);
    }

    #[test]
    fn a_line_without_end_is_cut_and_the_rest_counted() {
        let text = [vec![b'x'; MAX_LINE_BYTES + 1000], b"\nnext\n".to_vec()].concat();
        let (lines, skipped, position) = read(&text, &[100_000, 1, 200], MAX_LINE_BYTES);
        assert_eq!(
            lines.iter().map(|(line, is_cut)| (line.len(), *is_cut)).collect::<Vec<_>>(),
            [(MAX_LINE_BYTES, true), (4, false)]
        );
        assert_eq!(skipped, 1000);
        assert_eq!(position.offset as usize, text.len());
        let (lines, skipped, _) = read(&text[..MAX_LINE_BYTES], &[], MAX_LINE_BYTES);
        assert_eq!((lines.len(), skipped), (0, 0), "a line of just that length may still end");
    }

    #[test]
    fn nul_bytes_before_a_line_are_skipped_and_within_it_kept() {
        let (lines, skipped, _) = read(b"\0\0\0one\0two\n\0\0\nwhole\n", &[2, 3], 64);
        assert_eq!(lines, [(b"one\0two".to_vec(), true), (b"".to_vec(), true), (b"whole".to_vec(), false)]);
        assert_eq!(skipped, 5);
    }

    #[test]
    fn the_last_line_of_a_finished_file_needs_no_end() {
        let mut position = Position { offset: 7, ..Position::default() };
        let mut last = None;
        position.finish(b"last\r", |line| last = Some(line));
        assert_eq!(last, Some(RawLine { bytes: b"last\r", is_cut: false }));
        assert_eq!(position.offset, 12);
        position.finish(b"", |_| panic!("there is no line"));
    }

    #[test]
    fn a_fingerprint_holds_while_the_file_grows_and_not_for_another_file() {
        let print = Fingerprint::of(b"2021-05-31");
        assert!(print.matches(b"2021-05-31T08:42"));
        assert!(!print.matches(b"2021-05-3"));
        assert!(!print.matches(b"2021-06-01T00:00"));
        assert!(Fingerprint::default().matches(b""));
        assert_eq!(Fingerprint::of(&[b'x'; 1000]).length, FINGERPRINT_BYTES);
    }
}
