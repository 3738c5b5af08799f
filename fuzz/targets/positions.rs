//! No state file breaks the program.
#![no_main]

use campaign_exporter::source::positions::{State, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    // Without its checksum the header keeps nearly everything out: what is behind it is tried by itself.
    let _ = parse(data);
    let _ = serde_json::from_slice::<State>(data);
});
