//! Test binaries run in namespaces of their own: two runs at the same time, or a host with its own Campaign, can't
//! disturb each other.

use std::{env, fs};

#[test]
fn a_test_sees_no_process_port_or_shared_memory_of_the_host() {
    let host = env::var("CAMPAIGN_HOST_NAMESPACES");
    let host = host.expect("cargo starts test binaries by .ci/namespaces: see .cargo/config.toml");
    let host: Vec<_> = host.split_whitespace().collect();
    assert_eq!(host.len(), 4, "{host:?}");
    for kind in ["pid", "ipc", "mnt", "net"] {
        let own = fs::read_link(format!("/proc/self/ns/{kind}")).unwrap();
        assert!(!host.contains(&own.to_str().unwrap()), "{kind} is the host's: {host:?}");
    }
}
