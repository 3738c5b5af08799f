//! Finds and reads the Campaign installation, and follows its changes.
//!
//! Handles files and their state; the collectors interpret the settings.
//!
//! # Where it looks
//! In the folder that is given, else in the first of these that has `conf/serverConf.xml` or
//! `conf/config-default.xml`: `/usr/local/neolane/nl6`; `nl6` or `nl7` in the homes of the users `neolane` and `adobe`, as
//! `/etc/passwd` has them; `/usr/local/neolane` and the same homes themselves. While there is none it keeps looking.
//!
//! # How it follows changes
//! [`InstallationSource::poll`] asks for the identity, size and times of `conf/`, which is listed when they differ, and of
//! each file, by path: a file that is replaced by rename, and a `conf/` or a home that is a symbolic link to somewhere
//! else now, are changes like any other. That takes some 20 µs on a host with a few instances, so that looking again and
//! again costs less than watching would add: file notifications would have to be re-armed at each of those replacements,
//! and don't exist on network file systems. A changed file is read twice, because two writes within a tick of the file
//! system's clock look the same from outside; and a file is taken for gone only when it is missed twice, because editors
//! that replace files leave a gap.
//!
//! # What is in force
//! The last good content of each file. An instance whose file is gone is dropped; `serverConf.xml` (and
//! `config-default.xml`, once it was there) are never dropped, only missing: then everything stays as it was. An
//! instance whose file never could be read is left out: nothing is known of it.
//!
//! # What is no instance
//! A file whose name is that of another one with a backup mark (`config-prod.bak.xml`: `parse::copies`) while no
//! process of such an instance was seen, and none of its logs was written within [`FRESH`]. It is looked at again each
//! time; what was an instance once stays one. A file that is newer than the running watchdog, of an instance with
//! neither process nor log, was written and not loaded: nothing is expected of it until the watchdog starts anew or
//! something of it runs.

mod file;
mod files;
mod life;
mod listing;
mod search;
mod var;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant, SystemTime};
use std::{io, thread};

use tokio::sync::watch;
use tokio::time::timeout;

use tracing::Level;

use crate::catalog::Kind;
use crate::catalog::modules::{DEFAULT_INSTANCE, IN_INSTANCE_FILES, module, residents};
use crate::parse::conf::Settings;
use crate::source::processes::RunningModules;
use crate::sync::locked;

pub use file::MAX_FILE_BYTES;
use files::Files;
use search::Search;

/// How recently a log was written of an instance that is in use: longer than a weekend, shorter than a copy is kept.
const FRESH: Duration = Duration::from_secs(7 * 24 * 3600);

/// The most instances that are followed; a host has a handful.
pub const MAX_INSTANCES: usize = 1_000;

/// How old a look may be that a request uses: a change is to be in force within two seconds, confirmation included.
/// While there is no installation, one is looked for as often.
const INTERVAL: Duration = Duration::from_millis(1_500);

/// How often the background thread looks while there are no requests.
const UNASKED: Duration = Duration::from_secs(10);

/// How long a request waits for a look: longer than a disk takes that is not in standby.
const ASK_PATIENCE: Duration = Duration::from_millis(50);

/// When a look has hung for so long that no caller waits for it.
const HANGS: Duration = Duration::from_secs(30);

/// How soon it looks again when what it saw has to be confirmed.
const SOON: Duration = Duration::from_millis(200);

/// How long [`InstallationSource::follow`] waits for the first look.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the installation's configuration says at one moment; replaced as a whole when it changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Installation {
    /// The installation's folder (`…/nl6`); none while it has not been found.
    pub home: Option<PathBuf>,
    /// The folder that has a folder for each instance (`…/nl6/var`, or where `XTK_VAR_DIR` moves it).
    pub var: Option<PathBuf>,
    /// Where running modules have that folder that have another one, and whose logs are not read.
    pub elsewhere: Vec<PathBuf>,
    /// The settings in force by instance: `default`, and one for each `config-<instance>.xml`.
    pub instances: BTreeMap<String, Settings>,
    /// Every configuration file that is or was there, by file name, with how its last reading went; `customer.sh` only
    /// while it has to tell where `var` is, and does not.
    pub files: BTreeMap<String, FileState>,
    /// What `serverConf.xml` says for every instance that has no file of its own.
    pub shared: Settings,
    /// Why no installation is found, or its configuration files can't be listed.
    pub trouble: Option<Trouble>,
    /// How many instances' files are not followed: beyond [`MAX_INSTANCES`].
    pub left_out: usize,
    /// Files of `conf` that are taken for backup copies, each with the file that it is a copy of. Nothing is read of them.
    pub copies: BTreeMap<String, String>,
    /// Instances whose file is newer than the watchdog, which has not read it: whether they have to run is unknown.
    pub not_loaded: BTreeSet<String>,
    /// The names of the instances whose labels are not their names.
    pub names: BTreeMap<String, Vec<u8>>,
}

/// How the last reading of a configuration file went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileState {
    /// Whether the file as it is now is the one in force.
    pub successful: bool,
    /// When the content in force was read; none when it never could be.
    pub last_success: Option<SystemTime>,
    /// Why the file as it is now is not in force.
    pub failure: Option<Failure>,
    /// How many values of the content in force can't be read.
    pub invalid_values: usize,
    /// Whether one of them would tell if a module has to run.
    pub leaves_open: bool,
}

/// Why something of the installation can't be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The exporter's user may not read it.
    Permission,
    /// It is not there.
    Gone,
    /// It exists and is unusable: malformed, too large, not a regular file, on a failing disk.
    Unusable,
}

/// What keeps the exporter from the installation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Of what kind.
    pub failure: Failure,
    /// Where: a folder, or the folders that were tried.
    pub place: String,
    /// What is wrong, where, and the remedy.
    pub message: String,
}

impl Installation {
    /// The folder that has a folder for each instance; its default place, while nothing else is known.
    #[must_use]
    pub fn var_folder(&self) -> Option<PathBuf> {
        self.var.clone().or_else(|| Some(self.home.as_ref()?.join("var")))
    }

    /// The name that Campaign uses for the instance with this label.
    #[must_use]
    pub fn name_of<'a>(&'a self, instance: &'a str) -> &'a [u8] {
        self.names.get(instance).map_or(instance.as_bytes(), Vec::as_slice)
    }

    /// The settings that hold for `instance`: what `serverConf.xml` says where the instance has no file.
    #[must_use]
    pub fn settings(&self, instance: &str) -> &Settings {
        self.instances.get(instance).unwrap_or(&self.shared)
    }

    /// For each instance and resident module, in this order, whether the configuration starts it; none where no file
    /// says so and the default is not documented, or the file is not loaded yet.
    ///
    /// A shared module runs in the instance `default` alone, but for those that an instance's own file may start too; a
    /// module with a process for each instance in all others. Modules with a row in the specification are always
    /// judged, the other residents where a file mentions them. The watchdog is not configured: it is expected when any
    /// other module is.
    #[must_use]
    pub fn expected(&self) -> BTreeMap<(&str, &'static str), Option<bool>> {
        let mut expected = BTreeMap::new();
        for (instance, settings) in &self.instances {
            let is_default = instance == DEFAULT_INSTANCE;
            for (name, kind) in residents() {
                let lives_here = match kind {
                    Kind::Shared => is_default || IN_INSTANCE_FILES.contains(&name) && settings.starts_by_itself(name),
                    Kind::PerInstance => !is_default,
                    Kind::Watchdog | Kind::Utility => false,
                };
                if lives_here && (module(name).is_some() || settings.mentions(name)) {
                    let starts = settings.auto_start(name).filter(|_| !self.not_loaded.contains(instance));
                    expected.insert((instance.as_str(), name), starts);
                }
            }
        }
        if !self.instances.is_empty() {
            let anything = Some(expected.values().any(|expected| *expected == Some(true)));
            for (name, _) in residents().filter(|(_, kind)| *kind == Kind::Watchdog) {
                expected.insert((DEFAULT_INSTANCE, name), anything);
            }
        }
        expected
    }
}

/// Returns what runs.
pub type Running = Box<dyn Fn() -> RunningModules + Send + Sync>;

/// Returns the time; replaced in tests.
pub type Clock = Box<dyn Fn() -> SystemTime + Send + Sync>;

/// Reads the installation on request, and keeps what is in force for all readers.
pub struct InstallationSource {
    files: Mutex<Files>,
    current: Mutex<Arc<Installation>>,
    /// Whether a look has ended.
    looked: AtomicBool,
    clock: Clock,
    running: OnceLock<Running>,
}

impl InstallationSource {
    /// A source for the installation in `home` (`--campaign.home`), or for the one that it finds. Touches no file yet.
    #[must_use]
    pub fn new(home: Option<PathBuf>) -> InstallationSource {
        InstallationSource::with(home, Path::new("/"), Box::new(SystemTime::now))
    }

    /// The same on a machine whose root folder is `root`, and with another clock.
    #[must_use]
    pub fn with(home: Option<PathBuf>, root: &Path, clock: Clock) -> InstallationSource {
        let files = Files::new(Search { given: home, root: root.to_owned() });
        let current = Mutex::new(Arc::new(files.installation()));
        InstallationSource {
            files: Mutex::new(files),
            current,
            looked: AtomicBool::new(false),
            clock,
            running: OnceLock::new(),
        }
    }

    /// Calls `running` at each look. To be set once, before the first one.
    pub fn ask_processes(&self, running: Running) {
        let _ = self.running.set(running);
    }

    /// What is in force. Never waits for the disk.
    #[must_use]
    pub fn current(&self) -> Arc<Installation> {
        locked(&self.current).clone()
    }

    /// Whether it has been looked at.
    #[must_use]
    pub fn was_looked_at(&self) -> bool {
        self.looked.load(Ordering::Acquire)
    }

    /// Looks once for changes; whether there are any. Reports them in the log, each once. Takes as long as the disk.
    pub fn poll(&self) -> bool {
        let changed = self.look();
        self.looked.store(true, Ordering::Release);
        changed
    }

    fn look(&self) -> bool {
        let mut files = locked(&self.files);
        let running = self.running.get().map(|ask| ask()).unwrap_or_default();
        let dirty = files.look((self.clock)(), &running);
        for notice in files.notices() {
            notice.log();
        }
        if !dirty {
            return false;
        }
        let installation = Arc::new(files.installation());
        let mut current = locked(&self.current);
        let changed = *current != installation;
        *current = installation;
        changed
    }

    /// Starts the thread that polls: at once, on request, and at intervals. Does not wait for a first look that takes
    /// longer than two seconds: a disk that does not answer must not keep the exporter from reporting it.
    ///
    /// # Errors
    /// When the system has no room for another thread.
    pub fn follow(self: &Arc<Self>) -> io::Result<Follower> {
        let (asks, asked) = channel::<()>();
        let (tell, looked) = channel::<()>();
        let (ended, last_look) = watch::channel(Instant::now());
        let source = Arc::clone(self);
        thread::Builder::new().name("configuration".to_owned()).spawn(move || {
            loop {
                while asked.try_recv().is_ok() {}
                source.poll();
                ended.send_replace(Instant::now());
                // The caller may no longer wait for the first look.
                let _ = tell.send(());
                if asked.recv_timeout(source.pause()) == Err(RecvTimeoutError::Disconnected) {
                    return;
                }
            }
        })?;
        if looked.recv_timeout(PATIENCE).is_err() {
            tracing::error!(
                "the disk of the Campaign installation does not answer, and its modules are unknown until it does; check the mount"
            );
        }
        Ok(Follower { asks, last_look })
    }

    /// How long the thread that polls waits for a request.
    fn pause(&self) -> Duration {
        match locked(&self.files).must_be_confirmed() {
            true => SOON,
            false if self.current().home.is_none() => INTERVAL,
            false => UNASKED,
        }
    }
}

/// The thread that follows the installation; it ends when this is dropped.
#[derive(Debug)]
pub struct Follower {
    // Its end ends the thread. That is not joined: a disk that hangs would block the drop.
    asks: Sender<()>,
    /// When the last look ended.
    last_look: watch::Receiver<Instant>,
}

impl Follower {
    /// Makes the thread look, unless it just did, and waits a moment for it.
    pub async fn ask(&self) {
        let mut last_look = self.last_look.clone();
        let age = last_look.borrow_and_update().elapsed();
        if age >= INTERVAL && self.asks.send(()).is_ok() && age < HANGS {
            let _ = timeout(ASK_PATIENCE, last_look.changed()).await;
        }
    }
}

/// Something for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Notice {
    level: Level,
    /// The file or folder that it is about.
    path: PathBuf,
    message: String,
}

impl Notice {
    fn log(&self) {
        let Notice { level, path, message } = self;
        match *level {
            Level::ERROR => tracing::error!(path = %path.display(), "{message}"),
            Level::WARN => tracing::warn!(path = %path.display(), "{message}"),
            _ => tracing::info!(path = %path.display(), "{message}"),
        }
    }
}

#[cfg(test)]
mod tests;
