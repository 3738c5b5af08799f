//! Any `customer.sh` exports something or nothing.
#![no_main]

use campaign_exporter_fuzz::parse::customer::{Sourced, exported};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = exported(data, "XTK_VAR_DIR", &mut |path| Sourced::Script(path.to_vec()));
});
