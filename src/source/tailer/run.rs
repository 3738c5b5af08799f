//! The thread that reads, the thread that stores the state, and what they publish.
//!
//! # What is stored when, and why no counter falls
//! A counter that a scrape has shown must not fall, also not after `kill -9`. Counters and positions are stored
//! together, so a position that lags behind only makes the exporter read the same lines again, and come to the same
//! counts before it publishes anything. That holds as long as the bytes are still there:
//!
//! - While nothing is rotated, truncated or deleted they are. The records that changed are stored every [`STORE`], and
//!   made durable every [`SYNC`].
//! - What is *final*, because its bytes are gone or go with the next rotation, is stored and made durable at once. What
//!   would show it is published only when that is done.
//! - At the end (SIGTERM, SIGINT) everything that changed is stored and made durable.
//! - Where nothing can be stored, what was read is published at once, and the metric of the storage says so.
//!
//! After a start nothing is published until everything that was there to be read has been read.
//!
//! [`Tailer`] does the reading.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::watch::Wake;
use super::{Difference, LogKind, Scope, Tailer, TailerPhase};
use crate::source::positions::{Storage, Update};
use crate::source::storage::StorageError;
use crate::sync::locked;

/// How often the folder of the logs is looked up, while it is not known.
const VAR: Duration = Duration::from_secs(2);

/// How often it is checked whether something is published, at the start.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// How often what is new is published, at the most.
const PUBLISH: Duration = Duration::from_millis(100);

/// How often the state is stored while it changes.
const STORE: Duration = Duration::from_secs(10);

/// How soon what is final is stored after what was stored before.
const STORE_FINAL: Duration = Duration::from_millis(50);

/// How often what is stored is made durable: a machine that loses its power reads so much again.
const SYNC: Duration = Duration::from_secs(30);

/// How soon it is tried again after it failed, and at the most after it has failed again and again.
const STORE_AGAIN: Duration = Duration::from_secs(1);
const STORE_AGAIN_AT_LAST: Duration = Duration::from_secs(10);

/// How long storing may take until what is new is published without.
const STORE_PATIENCE: Duration = Duration::from_secs(10);

/// How long the end waits for the reader, which may wait for the disk: longer than it waits for the last state.
const END_PATIENCE: Duration = Duration::from_secs(12);

/// How long the reader may be silent until its numbers count as stale. It wakes up for every survey.
const READER_PATIENCE: Duration = Duration::from_secs(60);

/// Why the reader can't be started.
#[derive(Debug, thiserror::Error)]
#[error("can't start a thread to read files: {0}; raise the limit of processes of this user (ulimit -u, TasksMax)")]
pub struct StartError(#[from] std::io::Error);

/// What may be done with the directory of the state files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum StorageAccess {
    /// There is none: everything begins anew.
    #[default]
    None,
    /// What is stored there is taken over; nothing is written. It may be another exporter's.
    ReadOnly(PathBuf),
    /// The state is kept there.
    ReadWrite(PathBuf),
}

/// What scrapes see.
#[derive(Debug, Default)]
pub struct Published<V> {
    /// What is known.
    pub view: Arc<V>,
    /// How far the reader had come.
    pub phase: TailerPhase,
    /// Whether the state could be stored the last time; none when it is not to be.
    pub stored: Option<bool>,
    sequence: u64,
}

impl<V> Clone for Published<V> {
    fn clone(&self) -> Self {
        Published { view: Arc::clone(&self.view), ..*self }
    }
}

impl<V> Published<V> {
    /// What a test wants published.
    #[must_use]
    pub fn new(view: Arc<V>, stored: Option<bool>) -> Self {
        Published { view, phase: TailerPhase::CaughtUp, stored, sequence: 0 }
    }
}

/// What a reader has found, as the rest of the program sees it.
#[derive(Debug)]
pub struct Readings<V>(Arc<Common<V>>);

#[derive(Debug)]
struct Common<V> {
    wake: Arc<Wake>,
    published: Mutex<Published<V>>,
    /// When the reader last took a turn, and how far it had come.
    turned: Mutex<(Instant, TailerPhase)>,
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
        self.0.alive.load(Ordering::Acquire) && locked(&self.0.turned).0.elapsed() < READER_PATIENCE
    }

    /// Whether it is known where the logs are and where they are read on: what is written from now on is counted.
    #[must_use]
    pub fn is_placed(&self) -> bool {
        locked(&self.0.turned).1 >= TailerPhase::Placed
    }

    /// Whether something is published: what was there at the start has been read, or there is no installation.
    #[must_use]
    pub fn is_known(&self) -> bool {
        matches!(locked(&self.0.published).phase, TailerPhase::NoInstallation | TailerPhase::CaughtUp)
    }

    /// Waits until something is published, while the reader is at work, and not beyond `until`.
    pub fn wait_until_known(&self, until: Instant) {
        while !self.is_known() && self.is_alive() && Instant::now() < until {
            std::thread::sleep(LOOK_AGAIN);
        }
    }

    /// Looks at everything again, soon.
    pub fn look_again(&self) {
        self.0.wake.touch_everything();
    }

    fn publish(&self, moment: &ViewAt<V>, stored: Option<bool>) {
        let mut published = locked(&self.0.published);
        if moment.sequence >= published.sequence {
            published.view = Arc::clone(&moment.view);
            published.phase = moment.phase;
            published.sequence = moment.sequence;
        }
        published.stored = stored;
    }
}

/// What was known at one moment.
struct ViewAt<V> {
    view: Arc<V>,
    phase: TailerPhase,
    sequence: u64,
}

/// The running reader.
#[derive(Debug)]
pub struct TailerThread<V> {
    readings: Readings<V>,
    /// Closed when the thread ends.
    reading: Mutex<Receiver<()>>,
}

impl<V: Default + Send + Sync + 'static> TailerThread<V> {
    /// Starts what `make` makes, to read the logs below the folder that `var` gives, which is called again and again.
    ///
    /// A state that can't be read or kept is reported, and done without.
    ///
    /// # Errors
    /// The machine has no thread for it.
    pub fn start<K: LogKind<View = V>>(
        var: impl Fn() -> Option<PathBuf> + Send + 'static,
        storage: StorageAccess,
        make: impl FnOnce(Arc<Wake>) -> Tailer<K> + Send + 'static,
    ) -> Result<Self, StartError> {
        let wake = Arc::new(Wake::default());
        let stores = matches!(storage, StorageAccess::ReadWrite(_));
        let common = Common {
            wake: Arc::clone(&wake),
            published: Mutex::new(Published { stored: stores.then_some(false), ..Published::default() }),
            turned: Mutex::new((Instant::now(), TailerPhase::Looking)),
            alive: AtomicBool::new(true),
        };
        let readings = Readings(Arc::new(common));
        let theirs = readings.clone();
        let (ends, reading) = channel();
        std::thread::Builder::new().name(K::NAME.to_owned()).spawn(move || {
            let _ends: Sender<()> = ends;
            let result = catch_unwind(AssertUnwindSafe(|| read(make(wake), &theirs, var, storage)));
            theirs.0.alive.store(false, Ordering::Release);
            match result {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!(%error, kind = K::NAME, "nothing can be read"),
                Err(_) => {
                    tracing::error!(
                        kind = K::NAME,
                        "nothing is read any more: a defect of the exporter, please report it"
                    );
                }
            }
        })?;
        Ok(TailerThread { readings, reading: Mutex::new(reading) })
    }

    /// What it has found: a handle that can be cloned.
    #[must_use]
    pub fn readings(&self) -> Readings<V> {
        self.readings.clone()
    }
}

impl<V> TailerThread<V> {
    /// Stores the state and ends. A disk that hangs is not waited for.
    pub fn stop(self) {
        drop(self);
    }
}

impl<V> Drop for TailerThread<V> {
    fn drop(&mut self) {
        self.readings.0.wake.stop();
        // A thread that hangs ends with the process.
        if locked(&self.reading).recv_timeout(END_PATIENCE) == Err(RecvTimeoutError::Timeout) {
            tracing::error!("the files that are read do not answer; what was read last is not stored");
        }
    }
}

/// When the state is to be stored.
#[derive(Debug, Default)]
struct Schedule {
    /// When what changed is due.
    due: Option<Instant>,
    /// When what is final is due.
    final_due: Option<Instant>,
    last: Option<Instant>,
    synced: Option<Instant>,
    failures: u32,
}

impl Schedule {
    /// Takes note of what is different.
    fn note(&mut self, now: Instant, difference: Difference) {
        let after = |pause| self.last.map_or(now, |last| last + pause);
        match difference {
            Difference::None => {}
            Difference::Some => self.due = Some(self.due.unwrap_or_else(|| after(STORE))),
            Difference::Final => self.final_due = Some(self.final_due.unwrap_or_else(|| after(STORE_FINAL))),
        }
    }

    /// What is to be stored now, and whether it is to be durable.
    fn is_due(&self, now: Instant) -> Option<(Scope, bool)> {
        let is_over = |at: Option<Instant>| at.is_some_and(|at| now >= at);
        let is_final = is_over(self.final_due);
        let durable = is_final || self.synced.is_none_or(|synced| now.saturating_duration_since(synced) >= SYNC);
        if is_over(self.due) { Some((Scope::Changed, durable)) } else { is_final.then_some((Scope::Final, durable)) }
    }

    fn next(&self) -> Option<Instant> {
        self.due.into_iter().chain(self.final_due).min()
    }

    /// Storing begins now.
    fn begin(&mut self, now: Instant, scope: Scope, durable: bool) {
        self.last = Some(now);
        self.final_due = None;
        if scope != Scope::Final {
            self.due = None;
        }
        if durable {
            self.synced = Some(now);
        }
    }

    /// Storing has ended: what failed is done again.
    fn went(&mut self, now: Instant, failed: bool) {
        if !failed {
            self.failures = 0;
        } else if self.due.is_none() {
            self.failures = self.failures.saturating_add(1);
            self.due = Some(now + (STORE_AGAIN * self.failures).min(STORE_AGAIN_AT_LAST));
        }
    }
}

/// What is published next, and when.
struct Publisher<V> {
    readings: Readings<V>,
    sequence: u64,
    published: Option<Instant>,
    waits: bool,
}

impl<V: Default + Send + Sync> Publisher<V> {
    fn moment<K: LogKind<View = V>>(&mut self, tailer: &mut Tailer<K>) -> ViewAt<V> {
        self.sequence += 1;
        self.published = Some(Instant::now());
        self.waits = false;
        ViewAt { view: Arc::new(tailer.view()), phase: tailer.phase(), sequence: self.sequence }
    }

    fn is_due(&self, now: Instant) -> bool {
        self.waits && self.published.is_none_or(|last| now.saturating_duration_since(last) >= PUBLISH)
    }
}

/// The work of the reading thread.
fn read<K: LogKind>(
    mut tailer: Tailer<K>,
    readings: &Readings<K::View>,
    var: impl Fn() -> Option<PathBuf>,
    storage: StorageAccess,
) -> Result<(), StartError> {
    let wake = Arc::clone(&readings.0.wake);
    let store = match storage {
        StorageAccess::None => None,
        StorageAccess::ReadOnly(directory) => {
            match Storage::new(directory, K::NAME).look() {
                Ok(records) => tailer.restore(records, Instant::now()),
                Err(error) => tracing::debug!(%error, kind = K::NAME, "positions and counters are not known"),
            }
            None
        }
        StorageAccess::ReadWrite(directory) => {
            let mut storage = Storage::new(directory, K::NAME);
            match storage.load() {
                Ok(records) => tailer.restore(records, Instant::now()),
                Err(error) => tracing::error!(%error, kind = K::NAME, "positions and counters can't be taken over"),
            }
            Some(StoreThread::<K>::start(storage, readings.clone())?)
        }
    };
    let mut schedule = Schedule::default();
    let mut publisher = Publisher { readings: readings.clone(), sequence: 0, published: None, waits: false };
    loop {
        let begin = Instant::now();
        let var = var();
        let mut rest = tailer.turn(begin, var.as_deref());
        let now = Instant::now();
        *locked(&readings.0.turned) = (now, tailer.phase());
        let difference = tailer.take_difference();
        publisher.waits |= difference != Difference::None;
        if store.is_some() {
            schedule.note(now, difference);
        }
        advance(&mut tailer, store.as_ref(), &mut schedule, &mut publisher, now);
        let next = schedule.next().into_iter().chain(publisher.waits.then(|| now + PUBLISH));
        for at in next {
            rest.at_most = rest.at_most.min(at.saturating_duration_since(now).max(Duration::from_millis(5)));
        }
        if var.is_none() {
            rest.at_most = rest.at_most.min(VAR);
        }
        if !wake.sleep(rest.at_least, rest.at_most) {
            break;
        }
    }
    match store {
        Some(store) => {
            let update = tailer.take_update(if store.wants_all() { Scope::All } else { Scope::Changed });
            store.end(publisher.moment(&mut tailer), update);
        }
        None => readings.publish(&publisher.moment(&mut tailer), None),
    }
    Ok(())
}

/// Stores and publishes what is due.
fn advance<K: LogKind>(
    tailer: &mut Tailer<K>,
    store: Option<&StoreThread<K>>,
    schedule: &mut Schedule,
    publisher: &mut Publisher<K::View>,
    now: Instant,
) {
    if !matches!(tailer.phase(), TailerPhase::NoInstallation | TailerPhase::CaughtUp) {
        return;
    }
    let Some(store) = store else {
        if publisher.is_due(now) {
            let moment = publisher.moment(tailer);
            publisher.readings.publish(&moment, None);
        }
        return;
    };
    let queue = store.look();
    schedule.went(now, queue.failed && queue.is_idle);
    if queue.is_stuck {
        if publisher.is_due(now) {
            let moment = publisher.moment(tailer);
            publisher.readings.publish(&moment, Some(false));
        }
    } else if !queue.is_idle {
        // What it has will be published when it is stored.
    } else if let Some((scope, durable)) = schedule.is_due(now) {
        schedule.begin(now, scope, durable);
        let update = tailer.take_update(if queue.wants_all { Scope::All } else { scope });
        store.hand_over(publisher.moment(tailer), update, durable);
    } else if publisher.is_due(now) && (schedule.final_due.is_none() || queue.failed) {
        let moment = publisher.moment(tailer);
        publisher.readings.publish(&moment, Some(!queue.failed));
    }
}

/// Stores states in a thread of its own: a busy disk must not keep the reader from seeing a rotation.
struct StoreThread<K: LogKind> {
    queue: Arc<StoreQueue<K>>,
    thread: JoinHandle<()>,
}

struct StoreQueue<K: LogKind> {
    state: Mutex<QueueState<K>>,
    signal: Condvar,
}

struct QueueState<K: LogKind> {
    next: Option<Work<K>>,
    busy_since: Option<Instant>,
    failed: bool,
    wants_all: bool,
    end: bool,
    /// Whether everything is stored, and another may have the storage.
    has_ended: bool,
}

struct Work<K: LogKind> {
    moment: ViewAt<K::View>,
    update: Update<K::Record>,
    durable: bool,
}

/// The state of the queue at one moment.
struct QueueLook {
    is_idle: bool,
    is_stuck: bool,
    failed: bool,
    wants_all: bool,
}

impl<K: LogKind> StoreThread<K> {
    fn start(storage: Storage, readings: Readings<K::View>) -> Result<Self, StartError> {
        let state =
            QueueState { next: None, busy_since: None, failed: false, wants_all: true, end: false, has_ended: false };
        let queue = Arc::new(StoreQueue { state: Mutex::new(state), signal: Condvar::new() });
        let theirs = Arc::clone(&queue);
        let name = format!("{} state", K::NAME);
        let thread = std::thread::Builder::new().name(name).spawn(move || store(&theirs, storage, &readings))?;
        Ok(StoreThread { queue, thread })
    }

    fn look(&self) -> QueueLook {
        let state = locked(&self.queue.state);
        let hangs = state.busy_since.is_some_and(|since| since.elapsed() > STORE_PATIENCE);
        QueueLook {
            is_idle: state.next.is_none() && state.busy_since.is_none(),
            is_stuck: hangs || self.thread.is_finished(),
            failed: state.failed,
            wants_all: state.wants_all,
        }
    }

    fn wants_all(&self) -> bool {
        let state = locked(&self.queue.state);
        // What is on its way may fail.
        state.wants_all || state.next.is_some() || state.busy_since.is_some()
    }

    fn hand_over(&self, moment: ViewAt<K::View>, update: Update<K::Record>, durable: bool) {
        locked(&self.queue.state).next = Some(Work { moment, update, durable });
        self.queue.signal.notify_one();
    }

    /// Stores a last state and gives the storage back. A disk that hangs is not waited for.
    fn end(self, moment: ViewAt<K::View>, update: Update<K::Record>) {
        let mut state = locked(&self.queue.state);
        state.next = Some(Work { moment, update, durable: true });
        state.end = true;
        drop(state);
        self.queue.signal.notify_one();
        let limit = Instant::now() + STORE_PATIENCE;
        let mut state = locked(&self.queue.state);
        while !state.has_ended && !self.thread.is_finished() {
            let Some(left) = limit.checked_duration_since(Instant::now()) else { return };
            state = self.queue.signal.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// The work of the storing thread.
fn store<K: LogKind>(queue: &StoreQueue<K>, mut storage: Storage, readings: &Readings<K::View>) {
    let mut reported: Option<String> = None;
    let mut state = locked(&queue.state);
    loop {
        if let Some(Work { moment, update, durable }) = state.next.take() {
            let begin = Instant::now();
            state.busy_since = Some(begin);
            drop(state);
            let result = storage.save(update, durable);
            tracing::debug!(sequence = moment.sequence, took = ?begin.elapsed(), durable, kind = K::NAME, "stored positions and counters");
            readings.publish(&moment, Some(result.is_ok()));
            let failed = result.is_err();
            report(K::NAME, result, &mut reported);
            state = locked(&queue.state);
            state.failed = failed;
            state.wants_all = storage.wants_all();
            state.busy_since = None;
            queue.signal.notify_all();
        } else if state.end {
            drop(state);
            drop(storage);
            locked(&queue.state).has_ended = true;
            queue.signal.notify_all();
            return;
        } else {
            state = queue.signal.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Says once what is wrong, and once that it is over.
fn report(kind: &str, result: Result<(), StorageError>, reported: &mut Option<String>) {
    match result {
        Ok(()) => {
            if reported.take().is_some() {
                tracing::info!(kind, "positions and counters are stored again");
            }
        }
        Err(error) => {
            let text = error.to_string();
            if reported.as_ref() != Some(&text) {
                tracing::error!(%error, kind, "positions and counters can't be stored: after a restart they start afresh");
                *reported = Some(text);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn what_changes_is_stored_every_ten_seconds_and_what_is_final_at_once() {
        let begin = Instant::now();
        let mut schedule = Schedule::default();
        schedule.note(begin, Difference::Some);
        assert_eq!(schedule.is_due(begin), Some((Scope::Changed, true)));
        schedule.begin(begin, Scope::Changed, true);
        schedule.note(begin + SECOND, Difference::Some);
        assert_eq!(schedule.is_due(begin + 9 * SECOND), None);
        assert_eq!(schedule.is_due(begin + 10 * SECOND), Some((Scope::Changed, false)));
        schedule.note(begin + SECOND, Difference::Final);
        assert_eq!(schedule.is_due(begin + SECOND), Some((Scope::Final, true)), "the next rotation deletes its bytes");
        schedule.begin(begin + SECOND, Scope::Final, true);
        schedule.note(begin + SECOND, Difference::Final);
        assert_eq!(schedule.is_due(begin + SECOND), None);
        assert_eq!(schedule.is_due(begin + SECOND + STORE_FINAL), Some((Scope::Final, true)));
    }

    #[test]
    fn an_hour_of_growth_is_made_durable_a_few_times_a_minute() {
        let begin = Instant::now();
        let mut schedule = Schedule::default();
        let (mut stores, mut syncs) = (0, 0);
        for tenth in 0..36_000 {
            let now = begin + SECOND / 10 * tenth;
            schedule.note(now, Difference::Some);
            if let Some((scope, durable)) = schedule.is_due(now) {
                schedule.begin(now, scope, durable);
                (stores, syncs) = (stores + 1, syncs + u32::from(durable));
            }
        }
        assert_eq!((stores, syncs), (360, 120));
    }

    #[test]
    fn what_failed_is_tried_again_ever_more_seldom() {
        let now = Instant::now();
        let mut schedule = Schedule::default();
        for pause in [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 10] {
            schedule.went(now, true);
            assert_eq!(schedule.next(), Some(now + pause * SECOND));
            schedule.begin(now, Scope::Changed, true);
        }
        schedule.went(now, false);
        schedule.went(now, true);
        assert_eq!(schedule.next(), Some(now + SECOND));
    }
}
