//! No file of `/proc` breaks the program.
#![no_main]

use campaign_exporter::parse::process::{boot_time, io, last_pid, open_files_limit, stat};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    stat(data);
    io(data);
    open_files_limit(data);
    boot_time(data);
    last_pid(data);
});
