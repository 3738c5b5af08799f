//! No file of `/proc` breaks the program.
#![no_main]

use campaign_exporter_fuzz::parse::process::{boot_time, io, last_pid, open_files_limit, stat};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = stat(data);
    let _ = io(data);
    let _ = open_files_limit(data);
    let _ = boot_time(data);
    let _ = last_pid(data);
});
