//! Follows the tracking logs of an installation, `<home>/var/<instance>/redir/log/0x….log`, and judges their lines.
//!
//! Each file is a log of its own: none takes the place of another, and one that was collected goes away. A file that
//! was mended, by a copy without its corrupt lines or in place, is judged anew. All of them are read from their
//! beginning on, for an old corrupt line stops the tracking job as well as a new one.
//!
//! Knows files and lines; what that means for a module's health is for the collectors.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::follow::{Follower, Kept, Tally, Trouble};
use super::run::{Readings, Turns};
use super::watch::Wake;
use super::{BUFFER, LOG_TURN, Rest, TURN, instances};
use crate::catalog::signals::tracking::COLLECTOR;
use crate::parse::line::tracking_line_is_good;
use crate::parse::tail::{Lines, RawLine};
use crate::source::positions::Name;

/// How often the directories are looked at. The tracking job comes once an hour.
pub const LOOK: Duration = Duration::from_secs(5);

/// The most files that are followed.
pub const MAX_FILES: usize = 5_000;

/// The most corrupt lines whose place is told, of a file and of an instance.
pub const MAX_PLACES: usize = 5;

/// Where the files are, below `var/<instance>`.
pub const FOLDER: &str = "redir/log";

/// What was counted; kept across restarts, and when files go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Totals {
    /// Lines, corrupt ones included.
    pub lines: u64,
    /// Lines that the tracking job can't read.
    pub corrupt: u64,
    /// Bytes that are in no line that was judged whole.
    pub skipped_bytes: u64,
}

/// What is in one file, as far as it was read; kept across restarts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    lines: u64,
    corrupt: u64,
    /// The numbers of the first corrupt lines, from 1 on.
    places: Vec<u64>,
}

/// Judges the lines of one file.
#[derive(Clone, Debug, Default)]
struct Judge {
    /// Of all that was ever in it.
    totals: Totals,
    /// Of what is in it now.
    content: Content,
}

impl Lines for Judge {
    fn line(&mut self, line: RawLine<'_>) {
        self.totals.lines += 1;
        self.content.lines += 1;
        if line.is_cut || !tracking_line_is_good(line.bytes) {
            self.totals.corrupt += 1;
            self.content.corrupt += 1;
            if self.content.places.len() < MAX_PLACES {
                self.content.places.push(self.content.lines);
            }
        }
    }

    fn begin(&mut self) {
        self.content = Content::default();
    }
}

/// The place of a corrupt line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The name of the file.
    pub file: OsString,
    /// The number of the line, from 1 on.
    pub line: u64,
}

/// What is known of the tracking logs of one instance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InstanceView {
    /// The Campaign instance: the name of the directory below `var`.
    pub instance: OsString,
    /// How many files there are.
    pub files: u64,
    /// How large they are together.
    pub bytes: u64,
    /// When the newest was last written, in seconds and nanoseconds since 1970-01-01 UTC.
    pub newest: Option<(i64, i64)>,
    /// What was counted, of files that are gone too.
    pub totals: Totals,
    /// How many of the files have a corrupt line now.
    pub corrupt_files: u64,
    /// Where the first corrupt lines are, at most [`MAX_PLACES`].
    pub places: Vec<Place>,
    /// What could not be read, by reason.
    pub troubles: BTreeMap<Trouble, u64>,
}

/// What is known at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrackingView {
    /// The instances that have tracking logs.
    pub instances: Vec<InstanceView>,
    /// Why the instances can't be listed.
    pub trouble: Option<Trouble>,
    /// Whether an installation's tracking logs have been looked for, and what was there then has been read.
    pub surveyed: bool,
}

/// The tracking logs, as the rest of the program sees them.
pub type Tracking = Readings<TrackingView>;

/// Everything that goes on after a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrackingState {
    instances: Vec<InstanceState>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct InstanceState {
    instance: Name,
    /// What was counted in files that are gone.
    gone: Totals,
    files: Vec<FileState>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileState {
    file: Name,
    files: Vec<Kept>,
    tally: Tally,
    totals: Totals,
    content: Content,
}

/// A directory `var/<instance>/redir/log`.
struct Directory {
    path: PathBuf,
    present: bool,
    trouble: Option<Trouble>,
    /// How many files there are beyond the most that are followed.
    beyond: u64,
    files: BTreeMap<OsString, File>,
    /// What was counted in files that are gone.
    gone: Totals,
}

struct File {
    follower: Follower,
    judge: Judge,
    /// Whether its name was there at the last look.
    listed: bool,
    /// How many places of corrupt lines have been told.
    told: usize,
}

/// Reads the tracking logs of an installation, a turn at a time.
pub struct TrackingTailer {
    wake: Arc<Wake>,
    home: Option<PathBuf>,
    directories: BTreeMap<OsString, Directory>,
    trouble: Option<Trouble>,
    /// Instances of before a restart that have not been found yet.
    stored: BTreeMap<OsString, InstanceState>,
    looked: bool,
    surveyed: bool,
    next_look: Option<Instant>,
    /// How many files had their turn when the time was up.
    cursor: usize,
    buffer: Vec<u8>,
    changed: bool,
}

impl TrackingTailer {
    /// A tailer without an installation yet; see [`Wake::follow`].
    #[must_use]
    pub fn new(wake: Arc<Wake>) -> Self {
        TrackingTailer {
            wake,
            home: None,
            directories: BTreeMap::new(),
            trouble: None,
            stored: BTreeMap::new(),
            looked: false,
            surveyed: false,
            next_look: None,
            cursor: 0,
            buffer: vec![0; BUFFER],
            changed: false,
        }
    }

    fn set_home(&mut self, home: Option<PathBuf>) {
        if self.home == home {
            return;
        }
        // Should the same files be found below the new home, they go on.
        let state = self.state();
        self.directories.clear();
        self.restore(state, Instant::now());
        self.home = home;
        self.looked = false;
        self.surveyed = false;
        self.next_look = None;
        self.changed = true;
    }

    /// Looks at every directory and every file in it.
    fn look(&mut self, now: Instant) {
        self.next_look = Some(now + LOOK);
        let Some(home) = &self.home else { return };
        let var = home.join("var");
        let found = match instances(&var, FOLDER) {
            Ok(found) => found,
            Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
            Err(error) => {
                let trouble = Trouble::of(&error);
                if self.trouble.replace(trouble) != Some(trouble) {
                    self.changed = true;
                    tracing::warn!(path = %var.display(), %error, "can't list the instances, so new tracking logs go unseen; give the exporter's user the right to read it");
                }
                return;
            }
        };
        self.changed |= self.trouble.take().is_some() || !self.looked;
        self.looked = true;
        for (instance, _) in found.into_iter().filter(|(_, has_logs)| *has_logs) {
            let path = var.join(&instance).join(FOLDER);
            let stored = &mut self.stored;
            self.directories
                .entry(instance)
                .or_insert_with_key(|instance| Directory::new(path, stored.remove(instance)));
        }
        let mut room = MAX_FILES;
        for directory in self.directories.values_mut() {
            self.changed |= directory.look(&mut room, &mut self.buffer);
        }
    }

    /// Reads a little of each file that has more, beginning behind the one that was last.
    fn read(&mut self) {
        let begin = Instant::now();
        let mut place = 0;
        for directory in self.directories.values_mut() {
            for file in directory.files.values_mut() {
                place += 1;
                if place <= self.cursor || !file.follower.has_more() {
                    continue;
                }
                self.changed |= file.follower.read(&mut self.buffer, LOG_TURN, &mut file.judge) > 0;
                file.tell();
                if begin.elapsed() >= TURN {
                    self.cursor = place;
                    return;
                }
            }
        }
        self.cursor = 0;
    }

    fn has_more(&self) -> bool {
        self.directories.values().flat_map(|directory| directory.files.values()).any(|file| file.follower.has_more())
    }
}

impl Turns for TrackingTailer {
    const NAME: &'static str = COLLECTOR;

    type State = TrackingState;

    type View = TrackingView;

    fn restore(&mut self, state: TrackingState, _: Instant) {
        self.stored = state.instances.into_iter().map(|stored| (stored.instance.0.clone(), stored)).collect();
    }

    fn state(&self) -> TrackingState {
        let found = self.directories.iter().map(|(instance, directory)| InstanceState {
            instance: Name(instance.clone()),
            gone: directory.gone,
            files: directory.files.iter().map(|(name, file)| file.state(name)).collect(),
        });
        TrackingState { instances: found.chain(self.stored.values().cloned()).collect() }
    }

    fn view(&self) -> TrackingView {
        let present = self.directories.iter().filter(|(_, directory)| directory.present);
        TrackingView {
            instances: present.map(|(instance, directory)| directory.view(instance)).collect(),
            trouble: self.trouble,
            surveyed: self.surveyed,
        }
    }

    fn turn(&mut self, now: Instant) -> Rest {
        if let Some(home) = self.wake.take().home {
            self.set_home(home);
        }
        if self.next_look.is_none_or(|next| now >= next) {
            self.look(now);
        }
        self.read();
        if self.has_more() {
            return Rest { at_least: Duration::ZERO, at_most: Duration::ZERO };
        }
        if self.looked && !self.surveyed {
            self.surveyed = true;
            self.changed = true;
        }
        let until = self.next_look.map_or(LOOK, |next| next.saturating_duration_since(now));
        Rest { at_least: Duration::ZERO, at_most: until.max(Duration::from_millis(1)) }
    }

    fn take_changed(&mut self) -> (bool, bool) {
        (std::mem::take(&mut self.changed), false)
    }
}

impl Directory {
    fn new(path: PathBuf, stored: Option<InstanceState>) -> Self {
        let (gone, files) = stored.map_or_else(Default::default, |stored| (stored.gone, stored.files));
        let files = files.into_iter().map(|stored| (stored.file.0.clone(), File::restored(&path, stored))).collect();
        Directory { path, present: false, trouble: None, beyond: 0, files, gone }
    }

    /// Looks at the files, as far as there is `room` for new ones. Whether anything is different.
    fn look(&mut self, room: &mut usize, buffer: &mut [u8]) -> bool {
        let before = (self.present, self.trouble, self.beyond, self.files.len());
        self.list(room);
        let mut changed = before != (self.present, self.trouble, self.beyond, self.files.len());
        for file in self.files.values_mut() {
            changed |= file.look(buffer);
        }
        let gone = &mut self.gone;
        self.files.retain(|_, file| {
            let stays = file.listed || !file.follower.is_gone();
            if !stays {
                gone.add(&file.totals());
                // Files of before a restart that were never found again.
                gone.skipped_bytes += file.follower.kept().0.iter().map(Kept::unread).sum::<u64>();
            }
            changed |= !stays;
            stays
        });
        changed
    }

    fn list(&mut self, room: &mut usize) {
        let names = self.path.read_dir().and_then(|entries| {
            entries
                .map(|entry| Ok(entry?.file_name()))
                .filter(|name| name.as_ref().map_or(true, is_tracking_log))
                .collect()
        });
        let names: Vec<OsString> = match names {
            Ok(names) => names,
            Err(error) => {
                self.present = error.kind() != ErrorKind::NotFound;
                let trouble = self.present.then(|| Trouble::of(&error));
                if trouble.is_some() && trouble != self.trouble {
                    tracing::warn!(path = %self.path.display(), %error, "can't list the tracking logs; give the exporter's user the right to read the directory");
                }
                self.trouble = trouble;
                if !self.present {
                    self.files.values_mut().for_each(|file| file.listed = false);
                }
                return;
            }
        };
        self.present = true;
        self.trouble = None;
        let beyond = std::mem::take(&mut self.beyond);
        self.files.values_mut().for_each(|file| file.listed = false);
        *room = room.saturating_sub(self.files.len());
        for name in names {
            if let Some(file) = self.files.get_mut(&name) {
                file.listed = true;
            } else if *room == 0 {
                self.beyond += 1;
            } else {
                *room -= 1;
                let file = File::new(Follower::alone(self.path.join(&name)));
                self.files.insert(name, file);
            }
        }
        if beyond == 0 && self.beyond > 0 {
            let path = self.path.display();
            tracing::warn!(%path, self.beyond, most = MAX_FILES, "there are more tracking logs than are followed");
        }
    }

    fn view(&self, instance: &OsStr) -> InstanceView {
        let mut view = InstanceView { instance: instance.to_owned(), totals: self.gone, ..InstanceView::default() };
        let mut note = |trouble: Option<Trouble>, times: u64| {
            if let Some(trouble) = trouble.filter(|_| times > 0) {
                *view.troubles.entry(trouble).or_default() += times;
            }
        };
        note(self.trouble, 1);
        note(Some(Trouble::Limit), self.beyond);
        self.files.values().for_each(|file| note(file.follower.trouble(), 1));
        view.files = self.beyond;
        for (name, file) in &self.files {
            view.totals.add(&file.totals());
            if !file.listed {
                continue;
            }
            let (size, _) = file.follower.size_and_lag();
            view.files += 1;
            view.bytes += size;
            view.newest = view.newest.max(file.follower.modified());
            // Emptied, it has no line any more, corrupt or not.
            if file.judge.content.corrupt > 0 && size > 0 {
                view.corrupt_files += 1;
                let places = file.judge.content.places.iter().map(|line| Place { file: name.clone(), line: *line });
                view.places.extend(places.take(MAX_PLACES - view.places.len()));
            }
        }
        view
    }
}

impl File {
    fn new(follower: Follower) -> Self {
        File { follower, judge: Judge::default(), listed: true, told: 0 }
    }

    fn restored(directory: &Path, stored: FileState) -> Self {
        let mut follower = Follower::alone(directory.join(&stored.file.0));
        follower.restore(stored.files, Vec::new(), stored.tally);
        let told = stored.content.places.len();
        let judge = Judge { totals: stored.totals, content: stored.content };
        File { judge, told, ..File::new(follower) }
    }

    fn state(&self, name: &OsStr) -> FileState {
        let (files, _) = self.follower.kept();
        FileState {
            file: Name::from(name),
            files,
            tally: self.follower.tally,
            totals: self.judge.totals,
            content: self.judge.content.clone(),
        }
    }

    fn totals(&self) -> Totals {
        Totals { skipped_bytes: self.follower.tally.skipped_bytes, ..self.judge.totals }
    }

    /// Looks at the file. Whether anything is different.
    fn look(&mut self, buffer: &mut [u8]) -> bool {
        let seen = |file: &File| {
            let follower = &file.follower;
            (follower.tally, follower.size_and_lag(), follower.modified(), follower.trouble(), follower.is_gone())
        };
        let before = seen(self);
        self.follower.observe();
        if !self.listed {
            self.follower.settle(buffer, &mut self.judge);
            self.tell();
        }
        self.follower.tell_trouble();
        before != seen(self)
    }

    /// Says where the first corrupt lines are, once each.
    fn tell(&mut self) {
        let places = &self.judge.content.places;
        for line in places.iter().skip(self.told) {
            let path = self.follower.current().display();
            tracing::warn!(%path, line, "a tracking line is corrupt: it stops the tracking job; stop the workflow, delete the line, start it again");
        }
        self.told = places.len();
    }
}

impl Totals {
    fn add(&mut self, other: &Totals) {
        self.lines += other.lines;
        self.corrupt += other.corrupt;
        self.skipped_bytes += other.skipped_bytes;
    }
}

/// Whether a file of that name is a tracking log: `0x….log`.
fn is_tracking_log(name: &OsString) -> bool {
    name.as_bytes().starts_with(b"0x") && name.as_bytes().ends_with(b".log")
}
