//! The thread that reads, the thread that keeps the state, and what they tell the rest of the program.
//!
//! Knows that there are turns to take and a state to keep; what is read is for [`Turns`].
//!
//! What is published has been stored: after a crash the counters go on from what was stored last, and none that
//! somebody saw has fallen back. Only when nothing can be stored, what was read is published at once.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Rest;
use super::watch::Wake;
use crate::source::positions::{Storage, StorageError};
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

/// How long the end waits for the reader, which may wait for the disk: longer than it waits for the last state.
const END_PATIENCE: Duration = Duration::from_secs(12);

/// How long the reader may be silent until its numbers count as stale. It wakes up for every survey.
const READER_PATIENCE: Duration = Duration::from_secs(60);

/// What a reader does, a turn at a time.
pub trait Turns: 'static {
    /// What its state is called, and its thread.
    const NAME: &'static str;

    /// What must be kept to go on after a restart.
    type State: Serialize + DeserializeOwned + Default + Send + 'static;

    /// What is known at one moment.
    type View: Default + Send + Sync + 'static;

    /// Goes on where `state` was taken. Called before the first turn.
    fn restore(&mut self, state: Self::State, now: Instant);

    /// What must be kept to go on.
    fn state(&self) -> Self::State;

    /// What is known now.
    fn view(&self) -> Self::View;

    /// Looks where something is due and reads a little. How long to rest.
    fn turn(&mut self, now: Instant) -> Rest;

    /// Whether something is different from when it was last asked; and whether a file was replaced by the next.
    fn take_changed(&mut self) -> (bool, bool);
}

/// Why the reader can't be started.
#[derive(Debug, thiserror::Error)]
#[error("can't start a thread to read files with: {0}")]
pub struct StartError(#[from] std::io::Error);

/// What scrapes see.
#[derive(Debug, Default)]
pub struct Published<V> {
    /// What is known.
    pub view: Arc<V>,
    /// Whether the state could be stored the last time; none when it is not to be.
    pub stored: Option<bool>,
    sequence: u64,
}

impl<V> Clone for Published<V> {
    fn clone(&self) -> Self {
        Published { view: Arc::clone(&self.view), stored: self.stored, sequence: self.sequence }
    }
}

impl<V> Published<V> {
    /// What a test wants published.
    #[must_use]
    pub fn new(view: Arc<V>, stored: Option<bool>) -> Self {
        Published { view, stored, sequence: 0 }
    }
}

/// What a reader has found, as the rest of the program sees it.
#[derive(Debug)]
pub struct Readings<V>(Arc<Shared<V>>);

#[derive(Debug)]
struct Shared<V> {
    wake: Arc<Wake>,
    published: Mutex<Published<V>>,
    /// When the reader last took a turn.
    turned: Mutex<Instant>,
    alive: AtomicBool,
}

impl<V> Clone for Readings<V> {
    fn clone(&self) -> Self {
        Readings(Arc::clone(&self.0))
    }
}

impl<V> Readings<V> {
    /// What is known now.
    #[must_use]
    pub fn published(&self) -> Published<V> {
        locked(&self.0.published).clone()
    }

    /// Whether the reader is at work: what is published is of now.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.0.alive.load(Ordering::Acquire) && locked(&self.0.turned).elapsed() < READER_PATIENCE
    }

    fn publish<S>(&self, moment: &Moment<V, S>, stored: Option<bool>) {
        let mut published = locked(&self.0.published);
        if moment.sequence >= published.sequence {
            published.view = Arc::clone(&moment.view);
            published.sequence = moment.sequence;
        }
        published.stored = stored;
    }
}

/// What was known, and what must be kept, at one moment.
struct Moment<V, S> {
    view: Arc<V>,
    state: S,
    sequence: u64,
}

/// The running reader.
#[derive(Debug)]
pub struct Reader<V> {
    readings: Readings<V>,
    /// Closed when the thread ends.
    reading: Mutex<Receiver<()>>,
}

impl<V: Default + Send + Sync + 'static> Reader<V> {
    /// Starts what `make` makes, to read the files of the installation that is where `home` says, which is asked again
    /// and again, and keeps its state in the directory `storage`.
    ///
    /// A state that can't be read or kept is reported, and done without.
    ///
    /// # Errors
    /// The machine has no thread for it.
    pub fn start<T: Turns<View = V>>(
        home: impl Fn() -> Option<PathBuf> + Send + 'static,
        storage: Option<PathBuf>,
        make: impl FnOnce(Arc<Wake>) -> T + Send + 'static,
    ) -> Result<Self, StartError> {
        raise_descriptor_limit();
        let wake = Arc::new(Wake::default());
        let shared = Shared {
            wake: Arc::clone(&wake),
            published: Mutex::new(Published { stored: storage.is_some().then_some(false), ..Published::default() }),
            turned: Mutex::new(Instant::now()),
            alive: AtomicBool::new(true),
        };
        let readings = Readings(Arc::new(shared));
        let theirs = readings.clone();
        let storage = storage.map(|directory| Storage::new(directory, T::NAME));
        let (ends, reading) = channel();
        std::thread::Builder::new().name(T::NAME.to_owned()).spawn(move || {
            let _ends: Sender<()> = ends;
            let result = catch_unwind(AssertUnwindSafe(|| read(make, &theirs, home, storage)));
            theirs.0.alive.store(false, Ordering::Release);
            match result {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!(%error, reader = T::NAME, "nothing can be read"),
                Err(_) => {
                    tracing::error!(
                        reader = T::NAME,
                        "nothing is read any more: a defect of the exporter, please report it"
                    );
                }
            }
        })?;
        Ok(Reader { readings, reading: Mutex::new(reading) })
    }

    /// What it has found, for whoever wants to know.
    #[must_use]
    pub fn readings(&self) -> Readings<V> {
        self.readings.clone()
    }
}

impl<V> Reader<V> {
    /// Stores the state and ends. A disk that hangs is not waited for.
    pub fn stop(self) {
        drop(self);
    }
}

impl<V> Drop for Reader<V> {
    fn drop(&mut self) {
        self.readings.0.wake.stop();
        // A thread that hangs ends with the process.
        if locked(&self.reading).recv_timeout(END_PATIENCE) == Err(RecvTimeoutError::Timeout) {
            tracing::error!("the files that are read do not answer; what was read last is not stored");
        }
    }
}

/// The work of the reading thread.
fn read<T: Turns>(
    make: impl FnOnce(Arc<Wake>) -> T,
    readings: &Readings<T::View>,
    home: impl Fn() -> Option<PathBuf>,
    storage: Option<Storage>,
) -> Result<(), StartError> {
    let wake = Arc::clone(&readings.0.wake);
    let mut tailer = make(Arc::clone(&wake));
    let mut storage = storage;
    if let Some(storage) = &mut storage {
        match storage.load() {
            Ok(Some(state)) => tailer.restore(state, Instant::now()),
            Ok(None) => {}
            Err(error) => tracing::error!(%error, reader = T::NAME, "positions and counters can't be taken over"),
        }
    }
    let keeper = storage.map(|storage| Keeper::<T>::start(storage, readings.clone())).transpose()?;
    let mut sequence = 0;
    let mut at: Option<PathBuf> = None;
    let mut due: Option<Instant> = None;
    let mut last: Option<Instant> = None;
    loop {
        let now = Instant::now();
        *locked(&readings.0.turned) = now;
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
                    None => readings.publish(&moment, None),
                }
                last = Some(now);
                due = None;
            } else if now >= at && keeper.as_ref().is_some_and(Keeper::is_stuck) {
                sequence += 1;
                let moment = Moment { view: Arc::new(tailer.view()), state: T::State::default(), sequence };
                readings.publish(&moment, Some(false));
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
        None => readings.publish(&moment, None),
    }
    Ok(())
}

fn earlier(one: Option<Instant>, other: Instant) -> Option<Instant> {
    Some(one.map_or(other, |one| one.min(other)))
}

/// Stores states in a thread of its own: a busy disk must not keep the reader from seeing a rotation.
struct Keeper<T: Turns> {
    desk: Arc<Desk<T>>,
    thread: JoinHandle<()>,
}

struct Desk<T: Turns> {
    tray: Mutex<Tray<T>>,
    signal: Condvar,
}

struct Tray<T: Turns> {
    next: Option<Moment<T::View, T::State>>,
    busy_since: Option<Instant>,
    failed: bool,
    end: bool,
}

impl<T: Turns> Keeper<T> {
    fn start(storage: Storage, readings: Readings<T::View>) -> Result<Self, StartError> {
        let tray = Tray { next: None, busy_since: None, failed: false, end: false };
        let desk = Arc::new(Desk { tray: Mutex::new(tray), signal: Condvar::new() });
        let theirs = Arc::clone(&desk);
        let name = format!("{} state", T::NAME);
        let thread = std::thread::Builder::new().name(name).spawn(move || keep(&theirs, storage, &readings))?;
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

    fn hand_over(&self, moment: Moment<T::View, T::State>) {
        locked(&self.desk.tray).next = Some(moment);
        self.desk.signal.notify_one();
    }

    /// Stores a last state. A disk that hangs is not waited for.
    fn end(self, moment: Moment<T::View, T::State>) {
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

fn keep<T: Turns>(desk: &Desk<T>, mut storage: Storage, readings: &Readings<T::View>) {
    let mut reported: Option<String> = None;
    let mut tray = locked(&desk.tray);
    loop {
        if let Some(moment) = tray.next.take() {
            let begin = Instant::now();
            tray.busy_since = Some(begin);
            drop(tray);
            let result = storage.save(&moment.state);
            tracing::debug!(sequence = moment.sequence, took = ?begin.elapsed(), reader = T::NAME, "stored positions and counters");
            readings.publish(&moment, Some(result.is_ok()));
            let failed = result.is_err();
            report(T::NAME, result, &mut reported);
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
fn report(reader: &str, result: Result<(), StorageError>, reported: &mut Option<String>) {
    match result {
        Ok(()) => {
            if reported.take().is_some() {
                tracing::info!(reader, "positions and counters are stored again");
            }
        }
        Err(error) => {
            let text = error.to_string();
            if reported.as_ref() != Some(&text) {
                tracing::error!(%error, reader, "positions and counters can't be stored: after a restart they start afresh");
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
