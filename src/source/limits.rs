//! The limit of open descriptors, and how it is shared out: what the logs take must leave room to answer a scrape.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The most connections that are held at once on which a client has begun to send a request: each costs some 10 KB.
const MOST_CONNECTIONS: u64 = 2048;

/// The most connections that are held at once on which nothing has been sent: each costs 1 KB.
const MOST_SILENT: u64 = 12_288;

/// Silent connections beyond the fewest get their share of the descriptors beyond these.
const FOR_WORK: u64 = 4096;

/// For `/proc`, the store, probes, listeners, the runtime.
const OTHERS: u64 = 96;

/// The fewest connections and files, whatever the limit.
const FEWEST: u64 = 8;

/// What is assumed where the system sets no limit.
const UNLIMITED: u64 = 1 << 20;

/// Raises the soft limit of open descriptors to the hard one: services get 1,024 unless they ask for more.
///
/// # Errors
/// When the system refuses it; the limit stays as it was.
pub fn raise_descriptor_limit() -> io::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return Ok(());
    }
    Ok(setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })?)
}

/// How many descriptors each part of the exporter may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DescriptorBudget {
    /// Connections on which a client has begun to send a request.
    pub connections: usize,
    /// Connections on which a client has sent nothing yet.
    pub silent: usize,
    /// Files that are followed, and what it takes to watch them.
    pub files: usize,
    /// Files of processes below `/proc` that are kept open.
    pub processes: usize,
}

impl DescriptorBudget {
    /// The budget under the limit in force.
    #[must_use]
    pub fn current() -> Self {
        Self::under(getrlimit(Resource::Nofile).current.unwrap_or(UNLIMITED))
    }

    fn under(limit: u64) -> Self {
        let connections = (limit / 4).clamp(FEWEST, MOST_CONNECTIONS);
        let silent = (limit.saturating_sub(FOR_WORK) / 4 * 3).clamp((connections / 2).max(FEWEST), MOST_SILENT);
        let half = (limit.saturating_sub(OTHERS + connections + silent) / 2).max(FEWEST);
        let number = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
        Self { connections: number(connections), silent: number(silent), files: number(half), processes: number(half) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_leaves_descriptors_for_scrapes_and_for_what_they_read() {
        for (limit, connections, silent, half) in [
            (0, 8, 8, 8),
            (64, 16, 8, 8),
            (256, 64, 32, 32),
            (1024, 256, 128, 272),
            (4096, 1024, 512, 1232),
            (20_000, 2048, 11_928, 2964),
            (1 << 20, 2048, 12_288, 517_072),
        ] {
            let expected = DescriptorBudget { connections, silent, files: half, processes: half };
            assert_eq!(DescriptorBudget::under(limit), expected, "{limit}");
        }
    }

    #[test]
    fn the_soft_limit_is_raised_to_the_hard_one() {
        raise_descriptor_limit().unwrap();
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
    }
}
