//! However bytes are split into reads, the same lines come out, and every byte is accounted for.
#![no_main]

use campaign_exporter_fuzz::parse::tail::{Fingerprint, Position};
use libfuzzer_sys::fuzz_target;

fn read(bytes: &[u8], sizes: &[u8], max_line: usize) -> (Vec<(Vec<u8>, bool)>, u64, Position) {
    let (mut position, mut lines, mut skipped, mut known) = (Position::default(), Vec::new(), 0, 0);
    let mut sizes = sizes.iter().map(|size| usize::from(*size) + 1).chain(std::iter::repeat(bytes.len().max(1)));
    while known < bytes.len() {
        known = (known + sizes.next().unwrap_or(1)).min(bytes.len());
        let from = position.offset as usize;
        let step = position.feed(&bytes[from..known], max_line, &mut |line| lines.push((line.bytes.to_vec(), line.is_cut)));
        assert_eq!(position.offset as usize, from + step.consumed);
        assert!(known - position.offset as usize <= max_line);
        skipped += step.skipped;
    }
    (lines, skipped, position)
}

fuzz_target!(|data: &[u8]| {
    let [max_line, count, rest @ ..] = data else { return };
    let (sizes, bytes) = rest.split_at(usize::from(*count).min(rest.len()));
    let max_line = usize::from(*max_line) + 1;
    let whole = read(bytes, &[], max_line);
    assert_eq!(read(bytes, sizes, max_line), whole);
    let (lines, skipped, position) = whole;
    assert!(lines.iter().all(|(line, _)| line.len() <= max_line));
    let given: usize = lines.iter().map(|(line, _)| line.len()).sum();
    let ends = bytes[..position.offset as usize].iter().filter(|byte| **byte == b'\n').count();
    assert_eq!(given + skipped as usize + ends, position.offset as usize);
    let print = Fingerprint::of(&bytes[..bytes.len() / 2]);
    assert!(print.matches(bytes));
});
