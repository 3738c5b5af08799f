//! Ports for what a test starts, which no other test of this process gets.

use std::hash::{BuildHasher, RandomState};
use std::ops::Range;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// So many ports that are given to nobody else here, in a row: who asked may listen at them much later. No outgoing
/// connection gets them either.
pub(crate) fn free_ports(count: u16) -> Range<u16> {
    /// Where they begin: below the range that the system gives to outgoing connections, which begins at 32,768.
    const PORTS: Range<u16> = 10_000..32_000;
    /// Two demos have the same process id, each in a namespace of its own, and the network of the host.
    static FIRST: LazyLock<u32> = LazyLock::new(|| RandomState::new().hash_one(0) as u32 / 2);
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    let place = (*FIRST + GIVEN.fetch_add(count.into(), Ordering::Relaxed)) % u32::from(PORTS.end - PORTS.start);
    let first = PORTS.start + u16::try_from(place).expect("a port");
    first..first + count
}

/// What a simulated host chooses its ports from, as its option `--ports` takes it: it needs four, and some for each
/// instance.
pub(crate) fn ports_of_host() -> String {
    let ports = free_ports(50);
    format!("{}-{}", ports.start, ports.end)
}
