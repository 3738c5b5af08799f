//! What the kernel tells of sockets, shared memory and core files, and paths with variables: nothing breaks the program, and
//! a socket table gives the same in pieces of any size.
#![no_main]

use campaign_exporter_fuzz::catalog::Protocol;
use campaign_exporter_fuzz::parse::core_pattern::{CorePattern, is_plain_core};
use campaign_exporter_fuzz::parse::diag::listeners;
use campaign_exporter_fuzz::parse::process;
use campaign_exporter_fuzz::parse::sockets::Table;
use campaign_exporter_fuzz::parse::sysvipc::segments;
use campaign_exporter_fuzz::parse::variables::expand;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((choice, data)) = data.split_first() else { return };
    let size = usize::from(*choice) + 1;
    let protocol = if choice % 2 == 0 { Protocol::Tcp } else { Protocol::Udp };
    let read = |size: usize| {
        let mut table = Table::new(protocol, &[8080, 6666]);
        data.chunks(size).for_each(|piece| table.feed(piece));
        table.end();
        (format!("{:?}", table.listeners()), table.broken())
    };
    assert_eq!(read(size), read(data.len().max(1)));
    let _ = listeners(data, protocol, u32::from(*choice), &[8080, 6666], &mut Vec::new());
    let _ = segments(data);
    let _ = process::credentials(data);
    let _ = (process::variable(data, b"XTK_VAR_DIR"), process::attached_segments(data).count());
    let _ = is_plain_core(data);
    let (pattern, name) = data.split_at(size.min(data.len()));
    let pattern = CorePattern::parse(pattern, choice % 3 == 0);
    if let CorePattern::Files(path) = &pattern {
        assert!(!path.names.is_empty());
        for part in &path.names {
            let _ = part.matches(name, b"nlserver");
        }
    }
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = expand(text, |name| (name.len() < 20).then_some(b"value"));
    }
});
