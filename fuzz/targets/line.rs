//! Any bytes are some line; what is read of one line does not depend on how the reader was kept in between.
#![no_main]

use campaign_exporter_fuzz::parse::line::{Line, LineReader, tracking_line_is_good};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut reader = LineReader::default();
    for line in data.split(|byte| *byte == b'\n') {
        let mut kept = LineReader::new(reader.memory());
        let read = reader.read(line);
        assert_eq!(read, kept.read(line));
        if let Line::Message(message) = read {
            let fields = [message.pid, message.domain, message.text].concat();
            assert!(fields.len() < line.len());
            assert!(message.code().is_none_or(|code| message.text.starts_with(code.as_str().as_bytes())));
        }
        if tracking_line_is_good(line) {
            assert!(line.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~' | 0xa0..)));
        }
    }
});
