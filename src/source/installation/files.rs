//! The files of the installation: which there are, what was read of each, and what is wrong with it.
//!
//! Knows one look at the disk; when to look is for the parent.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::mem::take;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use tracing::Level;

use super::var::VarFolder;
use super::{Failure, FileState, Installation, MAX_INSTANCES, Notice, Trouble};
use crate::catalog::modules::DEFAULT_INSTANCE;
use crate::label::label_among;
use crate::parse::cmdline::MAX_INSTANCE_BYTES;
use crate::parse::conf::{ConfError, ServerConf, Settings};
use crate::source::kit::Miss;
use crate::source::kit::files::read_regular;
use crate::source::processes::Variable;

/// The most bytes that a configuration file may have.
pub const MAX_FILE_BYTES: u64 = 8 * 1024 * 1024;

/// Times of FAT are even seconds; most others are far finer.
const COARSEST_TICK_SECONDS: i64 = 2;

const CONF: &str = "conf";
const SERVER: &str = "serverConf.xml";
const PREFIX: &str = "config-";
const SUFFIX: &str = ".xml";

/// Where installations are by default, and whose homes may have one.
const DEFAULT_HOMES: [&str; 2] = ["usr/local/neolane/nl6", "usr/local/neolane"];
const USERS: [&str; 2] = ["neolane", "adobe"];
const FOLDER: &str = "nl6";
const MAX_PASSWD_BYTES: u64 = 4 * 1024 * 1024;

/// Where the installation may be.
pub(super) struct Search {
    /// The folder that was given, if any: then nowhere else.
    pub(super) given: Option<PathBuf>,
    /// The root folder of the machine.
    pub(super) root: PathBuf,
}

impl Search {
    fn find(&self) -> Result<PathBuf, Trouble> {
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
            "no Campaign installation found: none of {places} has {CONF}/{SERVER}; name the folder that has it, the one \
             called {FOLDER}, with --campaign.home=PATH"
        );
        Err(Trouble { failure: Failure::Gone, place: places.replace('"', ""), message })
    }

    fn candidates(&self) -> Vec<PathBuf> {
        let [first, last] = DEFAULT_HOMES.map(|home| self.root.join(home));
        let homes = self.homes();
        let below = homes.iter().map(|home| home.join(FOLDER));
        let mut candidates: Vec<PathBuf> = Vec::new();
        for home in [first].into_iter().chain(below).chain([last]).chain(homes.iter().cloned()) {
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

/// What is known of the installation's files.
pub(super) struct Files {
    search: Search,
    home: Option<PathBuf>,
    home_missed: bool,
    var: VarFolder,
    trouble: Option<Trouble>,
    followed: BTreeMap<String, Followed>,
    left_out: usize,
    /// The last listing, and how the folder looked before it.
    listed: Option<(Signature, Arc<Listing>)>,
    notices: Vec<Notice>,
    dirty: bool,
    unconfirmed: bool,
}

/// One file.
struct Followed {
    /// Its name as the file system has it.
    name: OsString,
    /// How it looked when it was last read; none when it has to be read again in any case.
    seen: Option<Signature>,
    /// Whether it is to be read again although it looks the same.
    confirm: bool,
    /// Whether it was missed at the last look.
    missed: bool,
    conf: Option<Arc<ServerConf>>,
    last_success: Option<SystemTime>,
    failure: Option<(Failure, String)>,
}

/// Which file it is, and what changes when it is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Signature {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Signature {
    pub(super) fn of(metadata: &Metadata) -> Signature {
        Signature {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Whether the last change was longer before `now` than the coarsest clock of a file system ticks.
    fn is_settled_at(&self, now: SystemTime) -> bool {
        let since = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs().cast_signed());
        since > self.changed.0.saturating_add(COARSEST_TICK_SECONDS)
    }
}

/// Why a file can't be put in force.
#[derive(Debug, thiserror::Error)]
enum FileError {
    #[error("the file is gone: restore it")]
    Gone,
    #[error("permission denied: let the exporter's user read it, for example as a member of the file's group")]
    Permission,
    #[error("not a regular file: put one in its place")]
    NotRegular,
    #[error("the file has more than {MAX_FILE_BYTES} bytes: remove what doesn't belong there")]
    TooLarge,
    #[error("{0}: check the file system")]
    Io(io::Error),
    #[error("{0}")]
    Conf(#[from] ConfError),
}

impl From<io::Error> for FileError {
    fn from(error: io::Error) -> Self {
        match (Miss::from(&error), error.kind()) {
            (Miss::Gone, _) => FileError::Gone,
            (Miss::Denied, _) => FileError::Permission,
            (Miss::NotAFile, _) => FileError::NotRegular,
            (_, io::ErrorKind::FileTooLarge) => FileError::TooLarge,
            _ => FileError::Io(error),
        }
    }
}

impl FileError {
    fn failure(&self) -> Failure {
        match self {
            FileError::Gone => Failure::Gone,
            FileError::Permission => Failure::Permission,
            _ => Failure::Unusable,
        }
    }

    /// Whether it may pass without the file itself looking different.
    fn is_of_the_surroundings(&self) -> bool {
        matches!(self, FileError::Gone | FileError::Permission | FileError::Io(_))
    }
}

impl Files {
    pub(super) fn new(search: Search) -> Files {
        Files {
            search,
            home: None,
            home_missed: false,
            var: VarFolder::default(),
            trouble: None,
            followed: BTreeMap::new(),
            left_out: 0,
            listed: None,
            notices: Vec::new(),
            dirty: false,
            unconfirmed: false,
        }
    }

    /// Looks once; whether anything is different. What there is to report is in [`Files::notices`] then.
    pub(super) fn look(&mut self, now: SystemTime, environment: &Variable) -> bool {
        self.unconfirmed = false;
        if let Some(home) = self.home_now() {
            self.look_into(&home.join(CONF), now);
        }
        self.dirty |= self.var.look(self.home.as_deref(), environment, &mut self.notices);
        take(&mut self.dirty)
    }

    /// Whether what the last look saw should be confirmed soon.
    pub(super) fn must_be_confirmed(&self) -> bool {
        self.unconfirmed
    }

    /// What is to be reported since this was last asked.
    pub(super) fn notices(&mut self) -> Vec<Notice> {
        take(&mut self.notices)
    }

    /// What is in force.
    pub(super) fn installation(&self) -> Installation {
        let server = self.followed.get(SERVER).and_then(|file| file.conf.clone());
        let mut installation = Installation {
            home: self.home.clone(),
            var: self.var.place().map(Path::to_owned),
            shared: Settings::overlay(server.clone(), None),
            trouble: self.trouble.clone(),
            left_out: self.left_out,
            ..Installation::default()
        };
        for (label, file) in &self.followed {
            let failure = file.failure.as_ref().map(|(failure, _)| *failure);
            let state = FileState {
                successful: failure.is_none(),
                last_success: file.last_success,
                failure,
                invalid_values: file.conf.as_ref().map_or(0, |conf| conf.invalid_values()),
            };
            installation.files.insert(label.clone(), state);
            if let (Some(instance), Some(conf)) = (instance_of(label), &file.conf) {
                let settings = Settings::overlay(server.clone(), Some(conf.clone()));
                if let Some(name) = instance_in(&file.name).filter(|name| *name != instance.as_bytes()) {
                    installation.names.insert(instance.to_owned(), name.to_owned());
                }
                installation.instances.insert(instance.to_owned(), settings);
            }
        }
        if server.is_some() && !self.followed.contains_key(&file_name(DEFAULT_INSTANCE)) {
            installation.instances.insert(DEFAULT_INSTANCE.to_owned(), installation.shared.clone());
        }
        installation
    }

    /// The installation's folder: the one there was, unless it has no configuration any more and another place has one.
    fn home_now(&mut self) -> Option<PathBuf> {
        if let Some(home) = &self.home {
            let is_missing = self.search.given.is_none() && !home.join(CONF).exists();
            let is_missing_still = is_missing && self.home_missed;
            self.home_missed = is_missing;
            self.unconfirmed |= is_missing && !is_missing_still;
            if !is_missing_still {
                return self.home.clone();
            }
        }
        match self.search.find() {
            Ok(found) if self.home.as_ref() != Some(&found) => {
                self.notice(Level::INFO, &found, "reading the Campaign installation in this folder".to_owned());
                self.followed.clear();
                self.home = Some(found);
                self.dirty = true;
            }
            Err(trouble) if self.home.is_none() => {
                let place = self.search.given.clone().unwrap_or_else(|| self.search.root.clone());
                self.report_trouble(&place, Some(trouble));
            }
            _ => {}
        }
        self.home.clone()
    }

    fn look_into(&mut self, conf: &Path, now: SystemTime) {
        let listed = match self.list(conf, now) {
            Ok(listing) => {
                self.report_trouble(conf, None);
                self.report_left_out(conf, listing.left_out);
                for (label, name) in &listing.names {
                    self.followed.entry(label.clone()).or_insert_with(|| Followed::new(name)).name.clone_from(name);
                }
                Some(listing)
            }
            Err(error) => {
                let error = FileError::from(error);
                let failure = error.failure();
                let message = format!("the configuration files can't be listed: {error}");
                // A folder that is gone shows in each of its files, once that is sure.
                let trouble = (failure != Failure::Gone).then_some(Trouble {
                    failure,
                    place: conf.display().to_string(),
                    message,
                });
                self.report_trouble(conf, trouble);
                None
            }
        };
        let server = self.followed.entry(SERVER.to_owned()).or_insert_with(|| Followed::new(OsStr::new(SERVER)));
        self.dirty |= server.check(&conf.join(SERVER), now, &mut self.notices);
        // An installation without its main file is no place to conclude from that instances were removed.
        let is_whole = !server.missed || server.conf.is_none();
        self.unconfirmed |= server.must_be_confirmed();
        self.followed.retain(|label, file| {
            let path = conf.join(&file.name);
            let instance = instance_of(label).filter(|instance| *instance != DEFAULT_INSTANCE);
            let is_unlisted = listed.as_ref().is_some_and(|listed| !listed.names.contains_key(label));
            if let Some(instance) = instance.filter(|_| is_unlisted && is_whole) {
                if file.missed {
                    let message = format!("the instance {instance:?} is gone with its file");
                    self.notices.push(Notice { level: Level::INFO, path, message });
                    self.dirty = true;
                    return false;
                }
                file.missed = true;
            } else if label != SERVER {
                self.dirty |= file.check(&path, now, &mut self.notices);
            }
            self.unconfirmed |= file.must_be_confirmed();
            true
        });
    }

    /// The files of a folder. It is not listed again while it looks the same, and did so long enough before it was listed
    /// last for a change in between to show.
    fn list(&mut self, conf: &Path, now: SystemTime) -> io::Result<Arc<Listing>> {
        let signature = Signature::of(&fs::metadata(conf)?);
        if let Some((seen, listing)) = &self.listed
            && *seen == signature
        {
            return Ok(Arc::clone(listing));
        }
        self.listed = None;
        let listing = Arc::new(list(conf)?);
        if signature.is_settled_at(now) {
            self.listed = Some((signature, Arc::clone(&listing)));
        }
        Ok(listing)
    }

    fn report_trouble(&mut self, path: &Path, trouble: Option<Trouble>) {
        if self.trouble == trouble {
            return;
        }
        if let Some(trouble) = &trouble {
            self.notice(Level::ERROR, path, trouble.message.clone());
        }
        self.trouble = trouble;
        self.dirty = true;
    }

    fn report_left_out(&mut self, conf: &Path, left_out: usize) {
        if left_out != self.left_out && left_out > 0 {
            let message = format!(
                "{left_out} configuration files are left out: at most {MAX_INSTANCES} instances are followed; remove \
                 the files that are not needed"
            );
            self.notice(Level::WARN, conf, message);
        }
        self.dirty |= left_out != self.left_out;
        self.left_out = left_out;
    }

    fn notice(&mut self, level: Level, path: &Path, message: String) {
        self.notices.push(Notice { level, path: path.to_owned(), message });
    }
}

impl Followed {
    fn new(name: &OsStr) -> Followed {
        Followed {
            name: name.to_owned(),
            seen: None,
            confirm: false,
            missed: false,
            conf: None,
            last_success: None,
            failure: None,
        }
    }

    /// Whether another look should come soon: the file is new to us, or missed for the first time.
    fn must_be_confirmed(&self) -> bool {
        let is_known_gone = matches!(self.failure, Some((Failure::Gone, _)));
        self.confirm || self.missed && !is_known_gone
    }

    /// Looks at the file and reads it when it looks different; whether anything about it is different then.
    fn check(&mut self, path: &Path, now: SystemTime, notices: &mut Vec<Notice>) -> bool {
        let signature = match fs::metadata(path) {
            Ok(metadata) => Signature::of(&metadata),
            Err(error) => {
                let error = FileError::from(error);
                let is_first_miss = matches!(error, FileError::Gone) && !self.missed && self.last_success.is_some();
                self.missed = matches!(error, FileError::Gone);
                return !is_first_miss && self.fail(&error, path, notices);
            }
        };
        self.missed = false;
        let looks_the_same = self.seen == Some(signature);
        if looks_the_same && !self.confirm {
            return false;
        }
        // What it looked like before it was read: what is written meanwhile is a difference the next time.
        self.seen = Some(signature);
        self.confirm = !looks_the_same;
        match read_regular(path, MAX_FILE_BYTES)
            .map_err(FileError::from)
            .and_then(|bytes| Ok(ServerConf::parse(&bytes)?))
        {
            Ok(conf) => self.succeed(conf, looks_the_same, now, path, notices),
            Err(error) => self.fail(&error, path, notices),
        }
    }

    fn succeed(
        &mut self,
        conf: ServerConf,
        looks_the_same: bool,
        now: SystemTime,
        path: &Path,
        notices: &mut Vec<Notice>,
    ) -> bool {
        let was_failing = self.failure.take().is_some();
        let is_different = self.conf.as_deref() != Some(&conf);
        if looks_the_same && !is_different && !was_failing {
            return false;
        }
        let mut notice = |level, message| notices.push(Notice { level, path: path.to_owned(), message });
        if is_different || was_failing {
            notice(Level::INFO, "the configuration file is in force".to_owned());
        }
        if is_different {
            for warning in conf.warnings() {
                notice(Level::WARN, warning.to_string());
            }
            if conf.more_warnings() > 0 {
                notice(Level::WARN, format!("{} more values were not understood", conf.more_warnings()));
            }
            self.conf = Some(Arc::new(conf));
        }
        self.last_success = Some(now);
        true
    }

    fn fail(&mut self, error: &FileError, path: &Path, notices: &mut Vec<Notice>) -> bool {
        if error.is_of_the_surroundings() {
            self.seen = None;
            self.confirm = false;
        }
        let failure = Some((error.failure(), error.to_string()));
        if self.failure == failure {
            return false;
        }
        let in_force =
            if self.conf.is_some() { "its last good content stays in force" } else { "nothing of it is in force" };
        let message = format!("the configuration file can't be used, {in_force}: {error}");
        notices.push(Notice { level: Level::ERROR, path: path.to_owned(), message });
        self.failure = failure;
        true
    }
}

/// The configuration files of the instances: label -> name.
struct Listing {
    names: BTreeMap<String, OsString>,
    /// How many there are besides, beyond the limit.
    left_out: usize,
}

fn list(conf: &Path) -> io::Result<Listing> {
    let mut names = BTreeMap::new();
    let mut left_out = 0;
    for entry in fs::read_dir(conf)? {
        let mut name = entry?.file_name();
        let Some(mut label) = instance_in(&name).map(|instance| label_beside(instance, &[])) else { continue };
        // Of one text in two encodings the UTF-8 one keeps the label, in whatever order they are listed.
        if let Some(other) = names.get_mut(&file_name(&label)) {
            if name.to_str().is_some() {
                std::mem::swap(other, &mut name);
            }
            label = label_beside(instance_in(&name).unwrap_or_default(), label.as_bytes());
        }
        names.insert(file_name(&label), name);
        if names.len() > MAX_INSTANCES {
            // The instance `default` is no one's to push out.
            let last = names.keys().rev().find(|label| instance_of(label) != Some(DEFAULT_INSTANCE)).cloned();
            left_out += last.and_then(|label| names.remove(&label)).map_or(0, |_| 1);
        }
    }
    Ok(Listing { names, left_out })
}

/// The name of the instance whose file is called `name`. Editors' copies (`config-prod.xml~`, `.config-prod.xml.swp`,
/// `config-prod.xml.bak`) are no instances' files.
fn instance_in(name: &OsStr) -> Option<&[u8]> {
    let instance = name.as_bytes().strip_prefix(PREFIX.as_bytes())?.strip_suffix(SUFFIX.as_bytes())?;
    (!instance.is_empty()).then_some(instance)
}

/// The label of the instance called `name` beside the one called `other`.
fn label_beside(name: &[u8], other: &[u8]) -> String {
    label_among(name, std::iter::once(other), MAX_INSTANCE_BYTES).into_owned()
}

/// The file of `instance`, by name.
fn file_name(instance: &str) -> String {
    format!("{PREFIX}{instance}{SUFFIX}")
}

/// The instance whose file is called `name`.
fn instance_of(name: &str) -> Option<&str> {
    name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Files {
        /// As if the file had looked when it was last read as it does now.
        pub(in super::super) fn take_for_seen(&mut self, label: &str, path: &Path) {
            let signature = Signature::of(&fs::metadata(path).unwrap());
            self.followed.get_mut(label).unwrap().seen = Some(signature);
        }
    }

    #[test]
    fn a_denied_file_is_told_once_and_tried_again_at_every_look() {
        let path = Path::new("config-prod.xml");
        let mut file = Followed::new(path.as_os_str());
        let mut notices = Vec::new();
        file.seen = Some(Signature { device: 1, inode: 1, size: 1, modified: (1, 1), changed: (1, 1) });
        for is_first in [true, false, false] {
            let error = FileError::from(io::Error::from(io::ErrorKind::PermissionDenied));
            assert_eq!(file.fail(&error, path, &mut notices), is_first);
            assert!(file.seen.is_none());
        }
        let message = "the configuration file can't be used, nothing of it is in force: permission denied: let the \
            exporter's user read it, for example as a member of the file's group";
        let expected = Notice { level: Level::ERROR, path: path.to_owned(), message: message.to_owned() };
        assert_eq!(notices, [expected]);
        assert_eq!(file.failure.unwrap().0, Failure::Permission);
    }
}
