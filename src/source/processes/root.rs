//! Which installation a process belongs to.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The folder of the installation that an executable belongs to: `X` of `X/bin/nlserver` where
/// `X/conf/serverConf.xml` is, without symbolic links. None when it belongs to none.
pub(super) fn installation_of(executable: &Path) -> Option<PathBuf> {
    let bytes = executable.as_os_str().as_bytes();
    let executable = Path::new(OsStr::from_bytes(bytes.strip_suffix(b" (deleted)").unwrap_or(bytes)));
    let folder = executable.parent().filter(|folder| folder.ends_with("bin"))?.parent()?;
    folder.join("conf/serverConf.xml").exists().then(|| folder.canonicalize().ok()).flatten()
}
