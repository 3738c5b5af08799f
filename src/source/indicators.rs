//! The drop directory of custom indicators: `*.xml` files that a scheduled job writes and renames into place.
//!
//! `parse::reply` interprets their content. Never blocks: a FIFO in place of a file is not waited for.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime};

use super::kit::files::{open_regular, read_at_most};

/// The most files that are read; the rest, in the order of their names, are counted as left out.
pub const MAX_FILES: usize = 64;

/// The most bytes that a file may have.
pub const MAX_FILE_BYTES: u64 = 256 * 1024;

/// The most directory entries that are looked at.
const MAX_ENTRIES: usize = 10_000;

/// The files of the drop directory at one moment.
#[derive(Debug, Default)]
pub struct DropDirectory {
    /// The files, by name.
    pub files: Vec<DropFile>,
    /// How many files were left out: there are too many, or the time was over.
    pub left_out: u64,
}

/// One file of the drop directory.
#[derive(Debug)]
pub struct DropFile {
    /// Its name without the directory.
    pub name: OsString,
    /// When it was last written; none when not even that is known.
    pub modified: Option<SystemTime>,
    /// Its content.
    pub content: io::Result<Vec<u8>>,
}

/// The drop directory can't be read.
#[derive(Debug, thiserror::Error)]
#[error("the indicators directory {}: {source}; create it and let the exporter's user read it", path.display())]
pub struct DropError {
    /// The directory.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}

/// Reads every `*.xml` file of `directory`, until `deadline`. Blocks.
///
/// # Errors
/// When the directory can't be read; a file that can't be read is reported in its place.
pub fn read(directory: &Path, deadline: Instant) -> Result<DropDirectory, DropError> {
    let fault = |source| DropError { path: directory.to_owned(), source };
    let mut names = Vec::new();
    let mut drop = DropDirectory::default();
    for (number, entry) in directory.read_dir().map_err(fault)?.enumerate() {
        if number >= MAX_ENTRIES {
            drop.left_out += 1;
            break;
        }
        let name = entry.map_err(fault)?.file_name();
        // A name that starts with a dot is a file that is still being written.
        let bytes = name.as_encoded_bytes();
        if bytes.ends_with(b".xml") && !bytes.starts_with(b".") {
            names.push(name);
        }
    }
    names.sort();
    for name in names {
        if drop.files.len() >= MAX_FILES || Instant::now() >= deadline {
            drop.left_out += 1;
            continue;
        }
        if let Some(file) = read_file(directory, name) {
            drop.files.push(file);
        }
    }
    Ok(drop)
}

/// None when the file went away meanwhile.
fn read_file(directory: &Path, name: OsString) -> Option<DropFile> {
    match open_regular(&directory.join(&name)) {
        Ok((file, metadata)) => {
            let content = read_at_most(file, metadata.len(), MAX_FILE_BYTES);
            Some(DropFile { name, modified: metadata.modified().ok(), content })
        }
        // A link to nothing stays.
        Err(_) if directory.join(&name).symlink_metadata().is_err() => None,
        Err(error) => Some(DropFile { name, modified: None, content: Err(error) }),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::time::Duration;

    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(30)
    }

    #[test]
    fn regular_xml_files_are_read_in_the_order_of_their_names() {
        let directory = tempfile::tempdir().unwrap();
        for (name, content) in [("b.xml", "b"), ("a.xml", "a"), ("a.xml.tmp", "x"), (".c.xml", "x"), ("readme", "x")] {
            std::fs::write(directory.path().join(name), content).unwrap();
        }
        let drop = read(directory.path(), soon()).unwrap();
        let found: Vec<_> =
            drop.files.iter().map(|file| (file.name.clone(), file.content.as_ref().unwrap().clone())).collect();
        assert_eq!(found, [("a.xml".into(), b"a".to_vec()), ("b.xml".into(), b"b".to_vec())]);
        assert!(drop.files.iter().all(|file| file.modified.is_some()));
        assert_eq!(drop.left_out, 0);
    }

    #[test]
    fn a_fifo_a_directory_and_a_huge_file_cost_themselves_alone() {
        let directory = tempfile::tempdir().unwrap();
        let fifo = directory.path().join("fifo.xml");
        rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, 0o600.into()).unwrap();
        std::fs::create_dir(directory.path().join("folder.xml")).unwrap();
        let huge = File::create(directory.path().join("huge.xml")).unwrap();
        huge.set_len(1 << 40).unwrap();
        std::os::unix::fs::symlink("/dev/zero", directory.path().join("zero.xml")).unwrap();
        std::os::unix::fs::symlink("nowhere", directory.path().join("gone.xml")).unwrap();
        std::fs::write(directory.path().join("well.xml"), "x").unwrap();
        let drop = read(directory.path(), soon()).unwrap();
        let found: Vec<_> = drop.files.iter().map(|file| (file.name.to_str().unwrap(), file.content.is_ok())).collect();
        assert_eq!(
            found,
            [
                ("fifo.xml", false),
                ("folder.xml", false),
                ("gone.xml", false),
                ("huge.xml", false),
                ("well.xml", true),
                ("zero.xml", false)
            ]
        );
    }

    #[test]
    fn too_many_files_and_a_passed_deadline_are_counted() {
        let directory = tempfile::tempdir().unwrap();
        for number in 0..MAX_FILES + 3 {
            std::fs::write(directory.path().join(format!("{number:03}.xml")), "x").unwrap();
        }
        let drop = read(directory.path(), soon()).unwrap();
        assert_eq!((drop.files.len(), drop.left_out), (MAX_FILES, 3));
        let drop = read(directory.path(), Instant::now()).unwrap();
        assert_eq!((drop.files.len(), drop.left_out), (0, MAX_FILES as u64 + 3));
    }

    #[test]
    fn a_missing_directory_says_what_to_do() {
        let directory = tempfile::tempdir().unwrap();
        let error = read(&directory.path().join("none"), soon()).unwrap_err();
        assert!(error.to_string().contains("create it"), "{error}");
    }
}
