//! `/proc/sysvipc/shm` -> the shared memory segments of System V.
//!
//! The caller selects the segments that matter.
//!
//! # Format
//! proc(5): a heading with the names of the columns, then a line for each segment. The columns are found by their names,
//! because later kernels added some.

use super::process::number;

/// A shared memory segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Its number.
    pub id: u64,
    /// The user that owns it.
    pub uid: u32,
    /// Its size, in bytes.
    pub bytes: u64,
    /// The process that made it, and the last that attached or detached it.
    pub processes: [u32; 2],
    /// How many times processes are attached to it.
    pub attached: u64,
}

/// What the table says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Segments {
    /// Every segment that was understood.
    pub segments: Vec<Segment>,
    /// How many rows were not.
    pub broken: u64,
}

/// The table's heading lacks a column.
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
    let (size, uid, id) = (column("size")?, column("uid")?, column("shmid")?);
    let (made, last, attached) = (column("cpid")?, column("lpid")?, column("nattch")?);
    let mut found = Segments::default();
    for line in lines.filter(|line| !line.trim_ascii().is_empty()) {
        let values: Vec<Option<u64>> = fields(line).map(number).collect();
        let value = |column: usize| values.get(column).copied().flatten();
        let process = |column: usize| u32::try_from(value(column)?).ok();
        let segment = || {
            Some(Segment {
                id: value(id)?,
                uid: process(uid)?,
                bytes: value(size)?,
                processes: [process(made)?, process(last)?],
                attached: value(attached)?,
            })
        };
        match segment() {
            Some(segment) => found.segments.push(segment),
            None => found.broken += 1,
        }
    }
    Ok(found)
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
        let expected = vec![
            Segment { id: 0, uid: 500, bytes: 1_048_576, processes: [311, 311], attached: 1 },
            Segment { id: 3, uid: 0, bytes: 77, processes: [312, 0], attached: 0 },
        ];
        assert_eq!(found, Segments { segments: expected, broken: 0 });
    }

    #[test]
    fn a_host_without_segments_has_only_a_heading() {
        assert_eq!(segments(HEADING.as_bytes()), Ok(Segments::default()));
    }

    #[test]
    fn a_bad_row_costs_no_other_row() {
        let found = segments(format!("{HEADING}\n1 2 3\n0 0 600 x 1 1 0 5\n0 0 600 9 1 1 0 5\n").as_bytes()).unwrap();
        assert_eq!(
            found,
            Segments { segments: vec![Segment { id: 0, uid: 5, bytes: 9, processes: [1, 1], attached: 0 }], broken: 2 }
        );
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

    proptest! {
        #[test]
        fn any_bytes_are_survived(table: Vec<u8>, rows: String) {
            let _ = segments(&table);
            let _ = segments(format!("{HEADING}{rows}").as_bytes()).unwrap();
        }
    }
}
