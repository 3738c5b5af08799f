//! The folders that logs are in: found below `var`, watched or polled, listed; logs in them are added and dropped.
//!
//! `follow` reads the files.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::follow::Begin;
use super::kind::{ListedFile, LogKind, Names};
use super::log::{Log, Stage};
use super::watch::Hinted;
use super::{Difference, FirstSurvey, Tailer, TailerPhase, Unsure};
use crate::source::kit::Miss;
use crate::source::positions::{Name, Record};
use crate::stamp::{FileStamp, ReadStamp};

/// A folder with so many events in one turn is polled, for [`FLOOD`].
const FLOOD_EVENTS: u32 = 64;

/// How long a folder that gave too many hints is polled instead.
const FLOOD: Duration = Duration::from_secs(30);

/// How long what is stored of a log is kept when no file of it is found: as when a volume was not mounted.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

/// One in so many of the logs that may be followed may be without files; of those gone longest only what is stored is
/// kept.
pub(super) const GONE_SHARE: usize = 25;

/// The folders of an installation that has its `var` at its usual place.
const VAR: &str = "var";
const CONF: &str = "conf";

/// Whether there are hints of a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hints {
    /// They come.
    Come,
    /// They don't.
    Lack,
    /// There were too many: none until then.
    Flood(Instant),
}

/// A folder of logs.
pub(super) struct Folder {
    pub(super) instance: OsString,
    pub(super) path: PathBuf,
    /// Whether it is the folder of the instance itself, which may be left unread.
    pub(super) is_instance: bool,
    /// Device and inode, when last listed.
    pub(super) identity: Option<(u64, u64)>,
    /// How it looked when it was last listed.
    pub(super) listed: Option<ReadStamp>,
    pub(super) hints: Hints,
    /// Whether writes by another machine would go unnoticed.
    pub(super) remote: bool,
    /// Whether it is to be listed.
    pub(super) stale: bool,
    /// Where its logs are first read from.
    pub(super) begin: Begin,
    pub(super) next_sweep: Instant,
    pub(super) trouble: Option<Miss>,
    /// How many logs there are beyond the most that are followed.
    pub(super) beyond: u64,
    pub(super) logs: HashMap<OsString, usize>,
    pub(super) gone: bool,
}

impl Folder {
    pub(super) fn is_polled(&self) -> bool {
        self.remote || self.hints != Hints::Come
    }

    /// How it looks; none where it can't be looked at.
    pub(super) fn stamp(&self) -> Option<FileStamp> {
        FileStamp::at(&self.path).ok()
    }

    /// Whether names may have come or gone since it was listed, now that it looks like `stamp`.
    pub(super) fn has_changed(&self, stamp: Option<&FileStamp>) -> bool {
        !self.listed.zip(stamp).is_some_and(|(listed, stamp)| listed.holds_for(stamp))
    }
}

impl<K: LogKind> Tailer<K> {
    /// Files found again below the new `var` resume from their stored position.
    pub(super) fn move_to(&mut self, var: Option<&Path>, now: Instant) {
        let mut watched: Vec<PathBuf> = self.folders.iter().map(|folder| folder.path.clone()).collect();
        watched.extend(self.var.clone());
        watched.iter().for_each(|path| self.watch.remove(path));
        let mut kept = Vec::new();
        for log in &self.logs {
            if log.stage != Stage::New {
                let key = (self.folders[log.folder].instance.clone(), log.name.clone());
                kept.push((key, self.record(log)));
            }
        }
        self.moved |= !self.logs.is_empty();
        self.logs.clear();
        kept.into_iter().for_each(|(key, record)| self.keep(key, record, now));
        self.folders.clear();
        self.places.clear();
        self.open = 0;
        (self.watched_var, self.var_trouble) = (None, None);
        // What is stored is of the first `var`.
        if self.var.is_some() {
            self.first_survey = FirstSurvey::Due;
        }
        self.var = var.map(Path::to_owned);
        self.phase = TailerPhase::Looking;
        self.next_survey = None;
        self.differs(Difference::Some);
    }

    /// Marks what the hints are about. What else may be different by them.
    pub(super) fn hear(&mut self, hinted: Hinted, now: Instant) -> Unsure {
        let mut above = false;
        let mut events: HashMap<usize, u32> = HashMap::new();
        for (path, touch) in hinted.touched {
            let place = path.parent().and_then(|parent| self.places.get(parent));
            let Some(place) = place.copied() else {
                above |= touch.name;
                continue;
            };
            *events.entry(place).or_default() += touch.events;
            let folder = &mut self.folders[place];
            let name = path.file_name().map(OsStr::to_owned).unwrap_or_default();
            let file = ListedFile { name, is_link: false };
            let Some((name, _)) = K::group(vec![file]).pop_first() else {
                above |= touch.name && folder.is_instance;
                continue;
            };
            match folder.logs.get(&name) {
                Some(log) => {
                    self.logs[*log].dirty = true;
                    folder.stale |= touch.name;
                }
                None => folder.stale = true,
            }
        }
        for (place, events) in events {
            let folder = &mut self.folders[place];
            if events > FLOOD_EVENTS && folder.hints == Hints::Come {
                folder.hints = Hints::Flood(now + FLOOD);
                self.watch.remove(&folder.path);
            }
        }
        match (hinted.everything, above) {
            (true, _) => Unsure::Everything,
            (false, true) => Unsure::Folders,
            (false, false) => Unsure::Nothing,
        }
    }

    /// Watches `var`, and again when another folder has its name now.
    pub(super) fn watch_var(&mut self, var: &Path) {
        let identity = FileStamp::at(var).ok().map(|stamp| stamp.identity());
        if !K::HAS_HINTS || identity.is_some() && self.watched_var == identity {
            return;
        }
        // The folders in it are others, too.
        self.unsure = self.unsure.max(Unsure::Folders);
        self.watch.remove(var);
        self.watched_var = identity.filter(|_| self.watch.add(var));
    }

    /// Watches a folder that looks like `stamp`, and again when another has its name now.
    pub(super) fn renew_watch(&mut self, place: usize, stamp: Option<&FileStamp>, now: Instant) {
        if !K::HAS_HINTS {
            return;
        }
        let folder = &mut self.folders[place];
        let identity = stamp.map(FileStamp::identity);
        folder.stale |= identity != folder.identity;
        if matches!(folder.hints, Hints::Flood(until) if now < until) {
            folder.identity = identity;
            return;
        }
        if identity != folder.identity || folder.hints != Hints::Come {
            self.watch.remove(&folder.path);
            let comes = identity.is_some() && self.watch.add(&folder.path);
            folder.hints = if comes { Hints::Come } else { Hints::Lack };
            folder.identity = identity;
            folder.remote = is_remote(&folder.path);
        }
    }

    pub(super) fn first_survey_is_over(&mut self, now: Instant) {
        if self.first_survey != FirstSurvey::Done {
            self.first_survey = FirstSurvey::Done;
            self.differs(Difference::Some);
        }
        let dropped = &mut self.dropped;
        self.stored.retain(|(instance, log), (_, since)| {
            let stays = now.saturating_duration_since(*since) < KEPT;
            if !stays {
                dropped.push(key(instance, log));
            }
            stays
        });
    }

    /// The folders of an instance that are there. One that may not be looked into, or that is no folder, is taken to be there,
    /// so that reading it tells why it can't be read.
    pub(super) fn add_folders(&mut self, instance: &OsStr, place: &Path, now: Instant) {
        for folder in K::FOLDERS {
            let is_instance = folder.is_empty();
            let path = if is_instance { place.to_owned() } else { place.join(folder) };
            if is_instance || self.places.contains_key(&path) || is_there(&path) {
                self.add_folder(instance.to_owned(), path, is_instance, now);
            }
        }
    }

    /// The folders of instances beside `var`, where that is in the installation's own folder. Wherever else `var` is,
    /// what is beside it is not Campaign's.
    pub(super) fn add_beside(&mut self, var: &Path, lists_all: bool, now: Instant) {
        let Some(name) = K::BESIDE else { return };
        let home = var.parent().filter(|home| var.ends_with(VAR) && is_directory(&home.join(CONF)));
        let Some(folder) = home.map(|home| home.join(name)) else { return };
        if self.beside.look(&folder, lists_all).is_ok() {
            for instance in self.beside.found.clone() {
                let place = folder.join(&instance);
                self.add_folder(instance, place, false, now);
            }
        }
    }

    fn add_folder(&mut self, instance: OsString, path: PathBuf, is_instance: bool, now: Instant) {
        if let Some(place) = self.places.get(&path) {
            self.folders[*place].gone = false;
            return;
        }
        // What comes while we are here is new; what was here before is not.
        let begin = if self.first_survey == FirstSurvey::Due { self.kind.begin() } else { Begin::Beginning };
        self.places.insert(path.clone(), self.folders.len());
        self.folders.push(Folder {
            instance,
            path,
            is_instance,
            identity: None,
            listed: None,
            hints: Hints::Lack,
            remote: false,
            stale: true,
            begin,
            next_sweep: now,
            trouble: None,
            beyond: 0,
            logs: HashMap::new(),
            gone: false,
        });
        self.differs(Difference::Some);
    }

    /// Lists a folder, and takes up the logs that are new in it.
    pub(super) fn list(&mut self, place: usize) {
        let folder = &mut self.folders[place];
        folder.stale = false;
        folder.listed = ReadStamp::at(&folder.path).ok();
        let listing = list_files(&folder.path);
        let trouble = match &listing {
            Ok(_) => {
                folder.gone = false;
                None
            }
            Err(error) => match Miss::at(&folder.path, error) {
                Miss::Gone => {
                    folder.gone = true;
                    None
                }
                Miss::Denied | Miss::Failed | Miss::Limit if folder.is_instance => None,
                trouble => {
                    if folder.trouble != Some(trouble) {
                        let remedy = remedy(trouble);
                        tracing::warn!(path = %folder.path.display(), %error, kind = K::NAME, "can't list the log files; {remedy}");
                    }
                    Some(trouble)
                }
            },
        };
        let was_gone = folder.gone;
        let differs = folder.trouble != trouble;
        folder.trouble = trouble;
        if listing.is_ok() || was_gone {
            for log in folder.logs.values() {
                self.logs[*log].is_listed = false;
            }
        }
        if differs {
            self.differs(Difference::Some);
        }
        if let Ok(files) = listing {
            self.take_up_listed(place, files);
        }
        if K::GONE.is_none() && !was_gone && trouble.is_none() {
            self.drop_stored_of(place);
        }
    }

    fn take_up_listed(&mut self, place: usize, files: Vec<ListedFile>) {
        let begin = self.folders[place].begin;
        // What appears from now on is new.
        self.folders[place].begin = Begin::Beginning;
        let mut beyond = 0;
        for (name, names) in K::group(files) {
            if let Some(log) = self.folders[place].logs.get(&name) {
                let log = &mut self.logs[*log];
                (log.dirty, log.link, log.is_listed) = (true, names.link, true);
                K::rename(&self.folders[place].path, &names, &mut log.follower);
            } else if self.is_followed_elsewhere(place, &name) {
            } else if self.logs.len() >= self.max_logs {
                beyond += 1;
            } else {
                self.take_up(place, name, &names, begin);
            }
        }
        let folder = &mut self.folders[place];
        if beyond > 0 && folder.beyond == 0 {
            let (path, most) = (folder.path.display(), self.max_logs);
            tracing::warn!(%path, beyond, most, kind = K::NAME, "there are more log files than are followed");
        }
        let differs = std::mem::replace(&mut folder.beyond, beyond) != beyond;
        if differs {
            self.differs(Difference::Some);
        }
    }

    /// Whether another folder of the same instance has a log of that name.
    fn is_followed_elsewhere(&self, place: usize, name: &OsStr) -> bool {
        let instance = &self.folders[place].instance;
        K::FOLDERS.len() > 1
            && self
                .folders
                .iter()
                .enumerate()
                .any(|(other, folder)| other != place && folder.instance == *instance && folder.logs.contains_key(name))
    }

    fn take_up(&mut self, place: usize, name: OsString, names: &Names, begin: Begin) {
        let folder = &mut self.folders[place];
        let stored = self.stored.remove(&(folder.instance.clone(), name.clone())).map(|(record, _)| record);
        let taken_up = self.kind.take_up(&folder.path, names, stored, begin);
        let Some((follower, reading)) = taken_up else { return };
        folder.logs.insert(name.clone(), self.logs.len());
        self.logs.push(Log {
            folder: place,
            name,
            follower,
            reading,
            stage: Stage::New,
            is_listed: true,
            dirty: true,
            link: names.link,
            grew: None,
            gone_since: None,
            told: None,
            unstored: Difference::Some,
            shown: None,
        });
        self.differs(Difference::Some);
    }

    /// What was stored of logs in a folder, and is not there any more, is over.
    fn drop_stored_of(&mut self, place: usize) {
        let instance = self.folders[place].instance.clone();
        let over: Vec<_> = self.stored.keys().filter(|(of, _)| *of == instance).cloned().collect();
        for key in over {
            if let Some((record, _)) = self.stored.remove(&key) {
                let unread = record.unread();
                self.kind.is_over(&instance, record, unread);
                self.dropped.push(self::key(&key.0, &key.1));
                self.differs(Difference::Final);
            }
        }
    }

    /// Keeps what is to be stored of a log that is not followed any more. There may be as many as had files at once, as when a
    /// volume is not mounted, and a few more; beyond it, what was kept longest is dropped.
    fn keep(&mut self, key: (OsString, OsString), record: K::Record, now: Instant) {
        let most = self.max_logs.min(self.most_at_once + self.max_logs / GONE_SHARE);
        if self.stored.len() >= most
            && let Some(oldest) = self.stored.iter().min_by_key(|(_, (_, since))| *since).map(|(key, _)| key.clone())
        {
            self.stored.remove(&oldest);
            self.dropped.push(self::key(&oldest.0, &oldest.1));
        }
        self.stored.insert(key, (record, now));
    }

    /// Lets go of what has been gone for long, and of those gone longest where there are many.
    pub(super) fn forget(&mut self, now: Instant) {
        let full = self.logs.len() >= self.max_logs && self.folders.iter().any(|folder| folder.beyond > 0);
        let room = if full { 0 } else { self.max_logs / GONE_SHARE };
        let mut gone: Vec<Instant> = self.logs.iter().filter_map(|log| log.gone_since).collect();
        self.most_at_once = self.most_at_once.max(self.logs.len() - gone.len());
        gone.sort_unstable_by(|one, other| other.cmp(one));
        let too_many = gone.get(room).copied();
        let is_over = |log: &Log<K>| match (K::GONE, log.gone_since) {
            (Some(gone), Some(since)) => {
                now.saturating_duration_since(since) >= gone || too_many.is_some_and(|last| since <= last)
            }
            (None, Some(_)) => !log.is_listed,
            (_, None) => false,
        };
        if !self.logs.iter().any(is_over) && !self.folders.iter().any(|folder| folder.gone) {
            return;
        }
        let (over, stay): (Vec<_>, Vec<_>) = std::mem::take(&mut self.logs).into_iter().partition(is_over);
        let differs = !over.is_empty();
        for log in over {
            let instance = self.folders[log.folder].instance.clone();
            let record = self.record(&log);
            if K::GONE.is_none() {
                self.kind.is_over(&instance, record, 0);
                self.dropped.push(key(&instance, &log.name));
                self.differs(Difference::Final);
            } else {
                // What is stored of it holds, unless it has changed since.
                self.moved |= log.unstored != Difference::None;
                self.keep((instance, log.name), record, now);
            }
        }
        self.logs = stay;
        let used: HashSet<usize> = self.logs.iter().map(|log| log.folder).collect();
        let unused = |(place, folder): &(usize, &Folder)| folder.gone && !used.contains(place);
        if self.folders.iter().enumerate().any(|it| unused(&it)) {
            self.drop_folders(&used);
        } else if !differs {
            return;
        }
        self.index();
    }

    fn drop_folders(&mut self, used: &HashSet<usize>) {
        let mut moved = Vec::new();
        let mut kept = Vec::new();
        for (place, folder) in std::mem::take(&mut self.folders).into_iter().enumerate() {
            if folder.gone && !used.contains(&place) {
                self.watch.remove(&folder.path);
                moved.push(usize::MAX);
            } else {
                moved.push(kept.len());
                kept.push(folder);
            }
        }
        self.folders = kept;
        for log in &mut self.logs {
            log.folder = moved[log.folder];
        }
    }

    fn index(&mut self) {
        self.differs(Difference::Some);
        self.places = self.folders.iter().enumerate().map(|(place, folder)| (folder.path.clone(), place)).collect();
        for folder in &mut self.folders {
            folder.logs.clear();
        }
        for (place, log) in self.logs.iter().enumerate() {
            self.folders[log.folder].logs.insert(log.name.clone(), place);
        }
        self.open = self.logs.iter().map(|log| log.follower.open_files()).sum();
    }

    /// What can't be read, by instance: how often, and why.
    pub(super) fn troubles(&self) -> BTreeMap<(OsString, Miss), u64> {
        let mut troubles = BTreeMap::new();
        let mut note = |instance: &OsStr, trouble: Option<Miss>, times: u64| {
            if let Some(trouble) = trouble.filter(|_| times > 0) {
                *troubles.entry((instance.to_owned(), trouble)).or_default() += times;
            }
        };
        note(OsStr::new(""), self.var_trouble, 1);
        for folder in &self.folders {
            note(&folder.instance, folder.trouble, 1);
            note(&folder.instance, Some(Miss::Limit), folder.beyond);
        }
        for log in &self.logs {
            note(&self.folders[log.folder].instance, log.follower.trouble(), 1);
        }
        troubles
    }
}

fn key(instance: &OsStr, log: &OsStr) -> Vec<Name> {
    vec![Name::from(instance), Name::from(log)]
}

/// The files of a folder.
fn list_files(folder: &Path) -> io::Result<Vec<ListedFile>> {
    let entries = folder.read_dir()?.map(|entry| {
        let entry = entry?;
        Ok(ListedFile { name: entry.file_name(), is_link: entry.file_type().is_ok_and(|kind| kind.is_symlink()) })
    });
    entries.collect()
}

/// What to do where a folder can't be listed.
pub(super) const fn remedy(trouble: Miss) -> &'static str {
    match trouble {
        Miss::NotAFile => "put the folder, or a link to it, in its place",
        _ => "give the exporter's user the right to read the folder",
    }
}

/// Whether there is something, or may be: what may not be looked at counts.
fn is_there(path: &Path) -> bool {
    let error = path.symlink_metadata().err();
    !error.is_some_and(|error| matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory))
}

/// Whether it is a link to nothing, as to a volume that is not mounted. Programs use hidden ones as locks.
fn is_link_to_nothing(path: &Path, name: &OsStr) -> bool {
    !name.as_bytes().starts_with(b".") && path.is_symlink() && !path.exists()
}

/// Whether a directory exists, or may exist: one that may not be looked into counts.
fn is_directory(path: &Path) -> bool {
    match path.metadata() {
        Ok(meta) => meta.is_dir(),
        Err(error) => !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory),
    }
}

/// The folders of the instances, as they were when they were last listed.
#[derive(Default)]
pub(super) struct Instances {
    /// The folder that they are in.
    var: PathBuf,
    /// How that looked then.
    listed: Option<ReadStamp>,
    /// Their names, in order.
    pub(super) found: Vec<OsString>,
}

impl Instances {
    /// Lists every directory below `var`, and every link to nothing, where that has changed, or where `always`.
    pub(super) fn look(&mut self, var: &Path, always: bool) -> io::Result<()> {
        if !always && self.var == var && self.listed.is_some_and(|listed| listed.holds_at(var)) {
            return Ok(());
        }
        (self.var, self.listed) = (var.to_owned(), None);
        self.found.clear();
        let stamp = ReadStamp::at(var)?;
        for entry in var.read_dir()? {
            let entry = entry?;
            let (path, name) = (entry.path(), entry.file_name());
            // Some file systems have the latter at the root of every volume; only root may read it.
            if (is_directory(&path) || is_link_to_nothing(&path, &name)) && name != "lost+found" {
                self.found.push(name);
            }
        }
        self.found.sort();
        self.listed = Some(stamp);
        Ok(())
    }
}

/// Whether a directory is on a file system whose files other machines may write, or that isn't known to hint.
fn is_remote(path: &Path) -> bool {
    /// ext2 to 4, XFS, Btrfs, tmpfs, overlayfs, ZFS, F2FS, bcachefs.
    const LOCAL: [u64; 8] =
        [0xef53, 0x5846_5342, 0x9123_683e, 0x0102_1994, 0x794c_7630, 0x2fc1_2fc1, 0xf2f5_2010, 0xca45_1a4e];
    rustix::fs::statfs(path).is_ok_and(|stat| !LOCAL.contains(&u64::from_ne_bytes(stat.f_type.to_ne_bytes())))
}
