//! `/proc/sysvipc/shm` -> the shared memory segments of System V.
//!
//! Knows bytes and rows; whose segments matter is for others.
//!
//! # Format
//! proc(5): a heading with the names of the columns, then a line for each segment. The columns are found by their names,
//! because later kernels added some.

use super::process::number;

/// A shared memory segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The user that owns it.
    pub uid: u32,
    /// Its size, in bytes.
    pub bytes: u64,
}

/// What the table says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Segments {
    /// Every segment that was understood.
    pub segments: Vec<Segment>,
    /// How many rows were not.
    pub broken: u64,
}

/// The table's heading names no column `uid` or `size`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line 1: the heading names no column {0:?}")]
pub struct HeadingError(pub &'static str);

/// Reads the table.
///
/// # Errors
/// When the heading lacks a column that is needed.
pub fn segments(bytes: &[u8]) -> Result<Segments, HeadingError> {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let heading = lines.next().unwrap_or_default();
    let column =
        |name: &'static str| fields(heading).position(|field| field == name.as_bytes()).ok_or(HeadingError(name));
    let (size, uid) = (column("size")?, column("uid")?);
    let mut found = Segments::default();
    for line in lines.filter(|line| !line.trim_ascii().is_empty()) {
        let segment =
            || Some(Segment { uid: number(fields(line).nth(uid)?)?, bytes: number(fields(line).nth(size)?)? });
        match segment() {
            Some(segment) => found.segments.push(segment),
            None => found.broken += 1,
        }
    }
    Ok(found)
}

/// The effective user of a process: the second number of the line `Uid:` of `/proc/PID/status`.
#[must_use]
pub fn effective_user(status: &[u8]) -> Option<u32> {
    let mut lines = status.split(|byte| *byte == b'\n');
    let ids = lines.find_map(|line| line.strip_prefix(b"Uid:"))?;
    number(ids.split(u8::is_ascii_whitespace).filter(|field| !field.is_empty()).nth(1)?)
}

fn fields(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(u8::is_ascii_whitespace).filter(|field| !field.is_empty())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEADING: &str = "       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid      atime      dtime      ctime                   rss                  swap\n";

    #[test]
    fn every_segment_has_its_owner_and_size() {
        let rows = "         0          0  1600               1048576   311   311      1   500   500     0     0 1700000000          0 1700000000               4096                     0\n\
                    -12345678          3   600                    77   312     0      0     0     0   500   500          0          0 1700000000                  0                     0\n";
        let found = segments(format!("{HEADING}{rows}").as_bytes()).unwrap();
        let expected = vec![Segment { uid: 500, bytes: 1_048_576 }, Segment { uid: 0, bytes: 77 }];
        assert_eq!(found, Segments { segments: expected, broken: 0 });
    }

    #[test]
    fn a_host_without_segments_has_only_a_heading() {
        assert_eq!(segments(HEADING.as_bytes()), Ok(Segments::default()));
    }

    #[test]
    fn a_bad_row_costs_no_other_row() {
        let found = segments(format!("{HEADING}\n1 2 3\n0 0 600 x 1 1 0 5\n0 0 600 9 1 1 0 5\n").as_bytes()).unwrap();
        assert_eq!(found, Segments { segments: vec![Segment { uid: 5, bytes: 9 }], broken: 2 });
    }

    #[test]
    fn another_heading_is_an_error() {
        assert_eq!(segments(b""), Err(HeadingError("size")));
        assert_eq!(segments(b"key shmid size"), Err(HeadingError("uid")));
    }

    #[test]
    fn the_kernels_own_table_is_understood() {
        assert_eq!(segments(&std::fs::read("/proc/sysvipc/shm").unwrap()).unwrap().broken, 0);
    }

    #[test]
    fn the_effective_user_is_the_second_number() {
        assert_eq!(effective_user(b"Name:\tnlserver\nUid:\t0\t500\t0\t500\nGid:\t1\t1\t1\t1\n"), Some(500));
        assert_eq!(effective_user(b"Name:\tnlserver\nUid:\t0\n"), None);
        let own = effective_user(&std::fs::read("/proc/self/status").unwrap()).unwrap();
        assert_eq!(own, rustix::process::geteuid().as_raw());
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(table: Vec<u8>, rows: String) {
            let _ = segments(&table);
            let _ = effective_user(&table);
            let _ = segments(format!("{HEADING}{rows}").as_bytes()).unwrap();
        }
    }
}
