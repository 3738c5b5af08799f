//! No answer of a server breaks the program. The first byte chooses the encoding that the server claims.
#![no_main]

use campaign_exporter_fuzz::parse::reply::{MAX_INDICATORS, indicators, message_center, ping, pipelined, redirection};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((choice, body)) = data.split_first() else { return };
    let charset =
        [None, Some("utf-8"), Some("iso-8859-15"), Some("utf-16"), Some("nonsense")][usize::from(*choice) % 5];
    let _ = redirection(body, charset);
    let _ = ping(body, charset);
    let _ = message_center(body, charset);
    if let Ok(found) = pipelined(body, charset) {
        assert!(found.values.values().all(|value| value.is_finite()));
    }
    if let Ok(found) = indicators(body, charset) {
        assert!(found.list.len() <= MAX_INDICATORS);
    }
});
