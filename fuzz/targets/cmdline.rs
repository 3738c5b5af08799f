//! Any arguments give a bounded, printable module and instance, or none.
#![no_main]

use campaign_exporter_fuzz::parse::cmdline::{MAX_INSTANCE_BYTES, MAX_MODULE_BYTES, instance_name, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Some(command) = parse(data) {
        assert!(command.module.len() <= MAX_MODULE_BYTES && command.instance.len() <= MAX_INSTANCE_BYTES);
        assert!(!command.module.chars().any(char::is_control) && !command.instance.chars().any(char::is_control));
        let _ = command.raised_precision("-tracefilter:nlmta");
    }
    assert!(instance_name(data).len() <= MAX_INSTANCE_BYTES);
});
