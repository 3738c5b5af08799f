//! The thread that reads, the thread that keeps the state, and what they tell the rest of the program.
//!
//! What is published has been stored: after a crash the counters go on from what was stored last, and none that
//! somebody saw has fallen back. Only when nothing can be stored, what was read is published at once.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::watch::{Wake, Watch};
use super::{Start, Tailer, View};
use crate::source::positions::{State, Storage, StorageError};
use crate::sync::locked;

/// How often it is asked where the installation is.
const HOME: Duration = Duration::from_secs(2);

/// How often the state is stored while it changes.
const STORE: Duration = Duration::from_secs(1);

/// How soon it is stored after a file was replaced by the next: the one after that deletes it, and with it what would
/// have to be read again.
const STORE_ROTATED: Duration = Duration::from_millis(50);

/// How soon it is tried again after it failed.
const STORE_AGAIN: Duration = Duration::from_secs(10);

/// How long storing may take until what is new is published without.
const STORE_PATIENCE: Duration = Duration::from_secs(10);

/// How long the reader may be silent until its numbers count as stale. It wakes up for every survey.
const READER_PATIENCE: Duration = Duration::from_secs(60);

/// Why the reader can't be started.
#[derive(Debug, thiserror::Error)]
#[error("can't start a thread for the logs: {0}")]
pub struct StartError(#[from] std::io::Error);

/// What scrapes see.
#[derive(Clone, Debug, Default)]
pub struct Published {
    /// What is known of the logs.
    pub view: Arc<View>,
    /// Whether the state could be stored the last time; none when it is not to be.
    pub stored: Option<bool>,
    sequence: u64,
}

impl Published {
    /// What a test wants published.
    #[must_use]
    pub fn new(view: Arc<View>, stored: Option<bool>) -> Self {
        Published { view, stored, sequence: 0 }
    }
}

/// The logs, as the rest of the program sees them.
#[derive(Clone, Debug)]
pub struct Logs(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    wake: Arc<Wake>,
    published: Mutex<Published>,
    /// When the reader last took a turn.
    turned: Mutex<Instant>,
    alive: AtomicBool,
}

impl Logs {
    /// What is known now.
    #[must_use]
    pub fn published(&self) -> Published {
        locked(&self.0.published).clone()
    }

    /// Whether the reader is at work: what is published is of now.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.0.alive.load(Ordering::Acquire) && locked(&self.0.turned).elapsed() < READER_PATIENCE
    }

    fn publish(&self, moment: &Moment, stored: Option<bool>) {
        let mut published = locked(&self.0.published);
        if moment.sequence >= published.sequence {
            published.view = Arc::clone(&moment.view);
            published.sequence = moment.sequence;
        }
        published.stored = stored;
    }
}

/// What was known, and what must be kept, at one moment.
struct Moment {
    view: Arc<View>,
    state: State,
    sequence: u64,
}

/// The running reader.
#[derive(Debug)]
pub struct Reader {
    logs: Logs,
    reading: Option<JoinHandle<()>>,
}

impl Reader {
    /// Starts to read the logs of the installation that is where `home` says, which is asked again and again, and keeps
    /// its state in the directory `storage`.
    ///
    /// A state that can't be read or kept is reported, and done without.
    ///
    /// # Errors
    /// The machine has no thread for it.
    pub fn start(
        home: impl Fn() -> Option<PathBuf> + Send + 'static,
        start: Start,
        storage: Option<PathBuf>,
    ) -> Result<Self, StartError> {
        raise_descriptor_limit();
        let wake = Arc::new(Wake::default());
        let shared = Shared {
            wake: Arc::clone(&wake),
            published: Mutex::new(Published { stored: storage.is_some().then_some(false), ..Published::default() }),
            turned: Mutex::new(Instant::now()),
            alive: AtomicBool::new(true),
        };
        let logs = Logs(Arc::new(shared));
        let theirs = logs.clone();
        let storage = storage.map(Storage::new);
        let reading = std::thread::Builder::new().name("logs".to_owned()).spawn(move || {
            let result = catch_unwind(AssertUnwindSafe(|| read(&theirs, home, start, storage)));
            theirs.0.alive.store(false, Ordering::Release);
            match result {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!(%error, "the logs can't be read"),
                Err(_) => tracing::error!("the logs are read no more: a defect of the exporter, please report it"),
            }
        })?;
        Ok(Reader { logs, reading: Some(reading) })
    }

    /// The logs, for whoever wants to know.
    #[must_use]
    pub fn logs(&self) -> Logs {
        self.logs.clone()
    }

    /// Stores the state and ends.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.logs.0.wake.stop();
        if let Some(reading) = self.reading.take() {
            // A panic was caught in the thread.
            let _ = reading.join();
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.end();
    }
}

/// The work of the reading thread.
fn read(
    logs: &Logs,
    home: impl Fn() -> Option<PathBuf>,
    start: Start,
    storage: Option<Storage>,
) -> Result<(), StartError> {
    let wake = Arc::clone(&logs.0.wake);
    let mut tailer = Tailer::new(start, Watch::kernel(Arc::clone(&wake)), Arc::clone(&wake));
    let mut storage = storage;
    if let Some(storage) = &mut storage {
        match storage.load() {
            Ok(Some(state)) => tailer.restore(state, Instant::now()),
            Ok(None) => {}
            Err(error) => tracing::error!(%error, "the logs' positions and counters can't be taken over"),
        }
    }
    let keeper = storage.map(|storage| Keeper::start(storage, logs.clone())).transpose()?;
    let mut sequence = 0;
    let mut at: Option<PathBuf> = None;
    let mut due: Option<Instant> = None;
    let mut last: Option<Instant> = None;
    loop {
        let now = Instant::now();
        *locked(&logs.0.turned) = now;
        let home = home();
        if at != home {
            at.clone_from(&home);
            wake.follow(home);
        }
        let mut rest = tailer.turn(now);
        let now = Instant::now();
        match tailer.take_changed() {
            (_, true) => due = earlier(due, last.map_or(now, |last| last + STORE_ROTATED)),
            (true, false) => due = earlier(due, last.map_or(now, |last| last + STORE)),
            (false, false) => {}
        }
        if due.is_none() && keeper.as_ref().is_some_and(|keeper| keeper.has_failed()) {
            due = Some(last.map_or(now, |last| last + STORE_AGAIN));
        }
        if let Some(at) = due {
            if now >= at && keeper.as_ref().is_none_or(Keeper::is_ready) {
                sequence += 1;
                let moment = Moment { view: Arc::new(tailer.view()), state: tailer.state(), sequence };
                match &keeper {
                    Some(keeper) => keeper.hand_over(moment),
                    None => logs.publish(&moment, None),
                }
                last = Some(now);
                due = None;
            } else if now >= at && keeper.as_ref().is_some_and(Keeper::is_stuck) {
                sequence += 1;
                let moment = Moment { view: Arc::new(tailer.view()), state: State::default(), sequence };
                logs.publish(&moment, Some(false));
                due = Some(now + STORE);
            }
            let until =
                due.map_or(rest.at_most, |due| due.saturating_duration_since(now).max(Duration::from_millis(5)));
            rest.at_most = rest.at_most.min(until);
        }
        rest.at_most = rest.at_most.min(HOME);
        if !wake.sleep(rest.at_least, rest.at_most) {
            break;
        }
    }
    let moment = Moment { view: Arc::new(tailer.view()), state: tailer.state(), sequence: sequence + 1 };
    match keeper {
        Some(keeper) => keeper.end(moment),
        None => logs.publish(&moment, None),
    }
    Ok(())
}

fn earlier(one: Option<Instant>, other: Instant) -> Option<Instant> {
    Some(one.map_or(other, |one| one.min(other)))
}

/// Stores states in a thread of its own: a busy disk must not keep the reader from seeing a rotation.
struct Keeper {
    desk: Arc<Desk>,
    thread: JoinHandle<()>,
}

#[derive(Default)]
struct Desk {
    tray: Mutex<Tray>,
    signal: Condvar,
}

#[derive(Default)]
struct Tray {
    next: Option<Moment>,
    busy_since: Option<Instant>,
    failed: bool,
    end: bool,
}

impl Keeper {
    fn start(storage: Storage, logs: Logs) -> Result<Self, StartError> {
        let desk = Arc::new(Desk::default());
        let theirs = Arc::clone(&desk);
        let thread =
            std::thread::Builder::new().name("logs state".to_owned()).spawn(move || keep(&theirs, storage, &logs))?;
        Ok(Keeper { desk, thread })
    }

    /// Whether it has stored what it was given.
    fn is_ready(&self) -> bool {
        let tray = locked(&self.desk.tray);
        tray.next.is_none() && tray.busy_since.is_none()
    }

    fn has_failed(&self) -> bool {
        locked(&self.desk.tray).failed
    }

    fn is_stuck(&self) -> bool {
        self.thread.is_finished()
            || locked(&self.desk.tray).busy_since.is_some_and(|since| since.elapsed() > STORE_PATIENCE)
    }

    fn hand_over(&self, moment: Moment) {
        locked(&self.desk.tray).next = Some(moment);
        self.desk.signal.notify_one();
    }

    /// Stores a last state. A disk that hangs is not waited for.
    fn end(self, moment: Moment) {
        let mut tray = locked(&self.desk.tray);
        tray.next = Some(moment);
        tray.end = true;
        drop(tray);
        self.desk.signal.notify_one();
        let limit = Instant::now() + STORE_PATIENCE;
        let mut tray = locked(&self.desk.tray);
        while (tray.next.is_some() || tray.busy_since.is_some()) && !self.thread.is_finished() {
            let Some(left) = limit.checked_duration_since(Instant::now()) else { return };
            tray = self.desk.signal.wait_timeout(tray, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

fn keep(desk: &Desk, mut storage: Storage, logs: &Logs) {
    let mut reported: Option<String> = None;
    let mut tray = locked(&desk.tray);
    loop {
        if let Some(moment) = tray.next.take() {
            let begin = Instant::now();
            tray.busy_since = Some(begin);
            drop(tray);
            let result = storage.save(&moment.state);
            tracing::debug!(sequence = moment.sequence, took = ?begin.elapsed(), "stored the logs' positions and counters");
            logs.publish(&moment, Some(result.is_ok()));
            let failed = result.is_err();
            report(result, &mut reported);
            tray = locked(&desk.tray);
            tray.failed = failed;
            tray.busy_since = None;
            desk.signal.notify_all();
        } else if tray.end {
            return;
        } else {
            tray = desk.signal.wait(tray).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Says once what is wrong, and once that it is over.
fn report(result: Result<(), StorageError>, reported: &mut Option<String>) {
    match result {
        Ok(()) => {
            if reported.take().is_some() {
                tracing::info!("the logs' positions and counters are stored again");
            }
        }
        Err(error) => {
            let text = error.to_string();
            if reported.as_ref() != Some(&text) {
                tracing::error!(%error, "the logs' positions and counters can't be stored: after a restart they start afresh");
                *reported = Some(text);
            }
        }
    }
}

/// A descriptor for each log: services get 1,024 unless they ask for more.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    const WANTED: u64 = 16_384;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < WANTED) {
        let current = Some(limit.maximum.map_or(WANTED, |maximum| maximum.min(WANTED)));
        if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current, maximum: limit.maximum }) {
            tracing::warn!(%error, "can't raise the limit of open files");
        }
    }
}
