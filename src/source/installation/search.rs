//! Where the installation is: the folder that was given, or the default places and the homes of Campaign's users.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::listing::{CONF, SERVER, file_name};
use super::{Failure, Trouble};
use crate::catalog::modules::DEFAULT_INSTANCE;

/// Where installations are by default, and whose homes may have one.
const DEFAULT_HOMES: [&str; 3] = ["usr/local/neolane/nl6", "usr/local/neolane/nl7", "usr/local/neolane"];
const USERS: [&str; 2] = ["neolane", "adobe"];
const FOLDER: &str = "nl6";
/// The folder's name on hosted sites.
const HOSTED_FOLDER: &str = "nl7";
const MAX_PASSWD_BYTES: u64 = 4 * 1024 * 1024;

/// Where the installation may be.
pub(super) struct Search {
    /// The folder that was given, if any: then nowhere else.
    pub(super) given: Option<PathBuf>,
    /// The root folder of the machine.
    pub(super) root: PathBuf,
}

impl Search {
    pub(super) fn find(&self) -> Result<PathBuf, Trouble> {
        let candidates = match &self.given {
            Some(home) => vec![home.clone()],
            None => self.candidates(),
        };
        let mut denied = Vec::new();
        for home in &candidates {
            match is_installation(home) {
                Ok(true) => return Ok(home.clone()),
                Ok(false) => {}
                Err(_) => denied.push(home.clone()),
            }
        }
        let list = |paths: &[PathBuf]| paths.iter().map(|path| format!("{path:?}")).collect::<Vec<_>>().join(", ");
        if !denied.is_empty() {
            let places = list(&denied);
            let message = format!(
                "no Campaign installation can be read: permission denied in {places}; add the exporter's user to the \
                 group that may enter them, or name another folder with --campaign.home=PATH"
            );
            return Err(Trouble { failure: Failure::Permission, place: places.replace('"', ""), message });
        }
        let places = list(&candidates);
        let message = format!(
            "no Campaign installation found: none of {places} has {CONF}/{SERVER}; name the folder that has it, usually \
             called {FOLDER}, with --campaign.home=PATH"
        );
        Err(Trouble { failure: Failure::Gone, place: places.replace('"', ""), message })
    }

    fn candidates(&self) -> Vec<PathBuf> {
        let [first, second, last] = DEFAULT_HOMES.map(|home| self.root.join(home));
        let homes = self.homes();
        let below = |folder| homes.iter().map(move |home| home.join(folder));
        let mut candidates: Vec<PathBuf> = Vec::new();
        let named = [first].into_iter().chain(below(FOLDER)).chain([second]).chain(below(HOSTED_FOLDER));
        for home in named.chain([last]).chain(homes.iter().cloned()) {
            if !candidates.contains(&home) {
                candidates.push(home);
            }
        }
        candidates
    }

    /// The homes of the users that Campaign runs as, in the order of their names in [`USERS`].
    fn homes(&self) -> Vec<PathBuf> {
        let mut passwd = Vec::new();
        // Without the file, or with users that come from a directory service, the default places are left.
        if let Ok(file) = File::open(self.root.join("etc/passwd")) {
            let _ = file.take(MAX_PASSWD_BYTES).read_to_end(&mut passwd);
        }
        let mut homes = BTreeMap::new();
        for line in passwd.split(|byte| *byte == b'\n') {
            let mut fields = line.split(|byte| *byte == b':');
            let name = fields.next().unwrap_or_default();
            let Some(rank) = USERS.iter().position(|user| user.as_bytes() == name) else { continue };
            let home = fields.nth(4).unwrap_or_default();
            if let Some(home) = home.strip_prefix(b"/").filter(|home| !home.is_empty()) {
                homes.entry(rank).or_insert_with(|| self.root.join(OsStr::from_bytes(home)));
            }
        }
        homes.into_values().collect()
    }
}

/// Whether `home` has the files of an installation; an error when the exporter may not look.
fn is_installation(home: &Path) -> io::Result<bool> {
    for name in [SERVER.to_owned(), file_name(DEFAULT_INSTANCE)] {
        match fs::metadata(home.join(CONF).join(name)) {
            Ok(_) => return Ok(true),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Err(error),
            Err(_) => {}
        }
    }
    Ok(false)
}
