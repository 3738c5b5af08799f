//! Any web configuration is read or refused.
#![no_main]

use std::path::Path;

use campaign_exporter_fuzz::parse::webconfig::read;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = read(data, Path::new("web.yml"));
});
