//! Runs the collectors of a scrape: none can hang or crash it, or be started twice.
//!
//! One thread runs the collectors of a scrape one after the other, which is all that a healthy host needs. When that
//! makes no progress for [`PATIENCE`], another thread takes over the collectors that still wait, so that one that hangs
//! delays the others by a moment only. There are as many threads as collectors, from the start: each may hang in one,
//! and none is ever missing. Scrapes at the same time share runs: one that finds a collector running gets, with all
//! others that do, the result of the next run.
//!
//! A run is judged by its own age, and a scrape by its own deadline: what has not ended by then is reported to that scrape
//! as a time-out, and what runs for longer than [`HANGS`] as busy.
//!
//! To the engine a collector is a name and a method.

mod slot;

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::time::timeout_at;

use super::{Collector, Context, ErrorKind};
use crate::catalog::signals::exporter::DoubtReason;
use crate::pool::{Pool, PoolError};
use crate::snapshot::Samples;
use crate::source::kit::LogOnChange;
use crate::sync::locked;
use slot::{Requested, Run, RunTrouble, Slot, Ticket};

/// How long a thread may stay with one collector before another takes over the rest.
pub const PATIENCE: Duration = Duration::from_millis(100);

/// When a run is so old that no scrape waits for its end.
const HANGS: Duration = Duration::from_secs(10);

/// A younger run is not at fault: for a client that allows less time the result is missing, but that is neither counted
/// nor logged as a failure of the collector.
const JUDGED_FROM: Duration = Duration::from_secs(1);

/// The enabled collectors, and what is remembered of their runs.
pub struct Engine {
    slots: Arc<[Slot]>,
    queue: Arc<DueCollectors>,
    pool: Pool,
    log: LogOnChange,
    hangs: Duration,
}

/// The collectors that are to be run, by place.
type DueCollectors = Mutex<VecDeque<usize>>;

/// A request for collectors that the engine can't serve.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectionError {
    /// No enabled collector has this name.
    #[error("no enabled collector is called {name:?}; there are: {known}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// The names there are.
        known: String,
    },
    /// Both ways of choosing at once.
    #[error("collect[] and exclude[] can't be combined; give one of them")]
    Both,
}

/// The collectors that one scrape runs, by place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection(Vec<usize>);

impl Engine {
    /// An engine for `collectors`, each with its name, and its threads.
    ///
    /// # Errors
    /// When the system does not have the threads.
    pub fn new(collectors: Vec<(&'static str, Box<dyn Collector>)>) -> Result<Self, PoolError> {
        let slots: Arc<[Slot]> = collectors.into_iter().map(|(name, collector)| Slot::new(name, collector)).collect();
        let pool = Pool::start("collector", slots.len().max(1))?;
        Ok(Self { slots, queue: Arc::default(), pool, log: LogOnChange::default(), hangs: HANGS })
    }

    /// The names of the enabled collectors, in the order of their table.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.slots.iter().map(|slot| slot.name)
    }

    /// Every enabled collector.
    #[must_use]
    pub fn all(&self) -> Selection {
        Selection((0..self.slots.len()).collect())
    }

    /// The collectors that `collect[]` and `exclude[]` leave.
    ///
    /// # Errors
    /// An unknown name, or both lists at once.
    pub fn select(&self, collect: &[String], exclude: &[String]) -> Result<Selection, SelectionError> {
        if !collect.is_empty() && !exclude.is_empty() {
            return Err(SelectionError::Both);
        }
        if let Some(name) = collect.iter().chain(exclude).find(|name| !self.names().any(|known| known == **name)) {
            let known = self.names().collect::<Vec<_>>().join(", ");
            return Err(SelectionError::Unknown { name: name.clone(), known });
        }
        let wanted = |name: &str| match collect {
            [] => !exclude.iter().any(|other| other == name),
            _ => collect.iter().any(|other| other == name),
        };
        let places = self.slots.iter().enumerate().filter(|(_, slot)| wanted(slot.name)).map(|(place, _)| place);
        Ok(Selection(places.collect()))
    }

    /// Waits for what the collectors have begun in the background, until `until` at most. Blocks.
    pub fn settle(&self, until: Instant) {
        self.slots.iter().for_each(|slot| slot.collector.settle(until));
    }

    /// Runs the selected collectors, and adds what they find to `samples`; answers by `cx.deadline`, whatever they do.
    pub async fn collect(&self, selection: Selection, mut cx: Context, mut samples: Samples) -> Samples {
        let (began, due) = (Instant::now(), cx.deadline);
        cx.deadline = due.max(began + JUDGED_FROM);
        let open = self.request(selection, Arc::new(cx), &mut samples);
        if let Some((ticket, mut late)) = open {
            self.wait(&ticket, due).await;
            for (place, run) in ticket.take() {
                late.remove(&place);
                self.add(&self.slots[place], Arc::unwrap_or_clone(run), &mut samples);
            }
            for place in late {
                self.add_late(&self.slots[place], due - began, &mut samples);
            }
        }
        samples
    }

    /// Queues the collectors; those that hang are reported at once instead. Returns what to wait for, if anything.
    fn request(
        &self,
        selection: Selection,
        cx: Arc<Context>,
        samples: &mut Samples,
    ) -> Option<(Arc<Ticket>, BTreeSet<usize>)> {
        let is_free = |place: &usize| !self.slots[*place].hangs(self.hangs);
        let (free, hanging): (Vec<_>, Vec<_>) = selection.0.into_iter().partition(is_free);
        for place in hanging {
            self.add_busy(&self.slots[place], samples);
        }
        if free.is_empty() {
            return None;
        }
        let ticket = Ticket::new(free.len());
        let due = free.iter().copied().filter(|place| self.slots[*place].request(&cx, &ticket) == Requested::Run);
        locked(&self.queue).extend(due);
        self.add_thread();
        Some((ticket, free.into_iter().collect()))
    }

    /// Waits until all results are there, or the scrape is due.
    async fn wait(&self, ticket: &Ticket, due: Instant) {
        loop {
            let until = due.min(Instant::now() + PATIENCE);
            if timeout_at(until.into(), ticket.completed()).await.is_ok() || Instant::now() >= due {
                return;
            }
            self.add_thread();
        }
    }

    /// Assigns one more thread to the queue, unless it is empty.
    fn add_thread(&self) {
        if locked(&self.queue).is_empty() {
            return;
        }
        let (slots, queue) = (Arc::clone(&self.slots), Arc::clone(&self.queue));
        self.pool.add(move || {
            while let Some(place) = next(&queue) {
                if slots[place].run_for_all(place) {
                    locked(&queue).push_back(place);
                }
            }
        });
    }

    fn add(&self, slot: &Slot, run: Run, samples: &mut Samples) {
        slot.report(run.trouble.is_none(), run.duration, samples);
        if run.trouble.as_ref().is_some_and(|trouble| trouble.failed) {
            samples.doubt(DoubtReason::CollectorFailed, slot.name);
        }
        self.tell(slot, run.trouble);
        samples.append(run.samples);
    }

    fn add_late(&self, slot: &Slot, waited: Duration, samples: &mut Samples) {
        if waited >= JUDGED_FROM {
            slot.count(ErrorKind::Timeout, 1);
            let message = "the collector has not ended by the scrape's deadline; its samples are missing".to_owned();
            self.tell(slot, Some(RunTrouble { failed: true, message }));
        }
        slot.report(false, waited, samples);
        samples.doubt(DoubtReason::CollectorFailed, slot.name);
    }

    fn add_busy(&self, slot: &Slot, samples: &mut Samples) {
        slot.count(ErrorKind::Busy, 1);
        let message = format!("an earlier run has not ended yet ({})", ErrorKind::Busy.label());
        self.tell(slot, Some(RunTrouble { failed: true, message }));
        slot.report(false, Duration::ZERO, samples);
        samples.doubt(DoubtReason::CollectorFailed, slot.name);
    }

    /// Logs the outcome of a collector's run when it changes.
    fn tell(&self, slot: &Slot, trouble: Option<RunTrouble>) {
        let collector = slot.name;
        if !self.log.is_news(collector, trouble.as_ref().map(|trouble| trouble.message.as_str())) {
            return;
        }
        match trouble {
            Some(RunTrouble { failed: true, message }) => tracing::error!(collector, "{message}"),
            Some(RunTrouble { failed: false, message }) => tracing::warn!(collector, "{message}"),
            None => tracing::info!(collector, "the collector has recovered"),
        }
    }
}

/// The lock is not held while it runs.
fn next(queue: &DueCollectors) -> Option<usize> {
    locked(queue).pop_front()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;
    use crate::catalog::signals::exporter::{SCRAPE_COLLECTOR_ERRORS, SCRAPE_COLLECTOR_SUCCESS};
    use crate::catalog::signals::modules::MODULE_PROCESSES;
    use crate::collect::{CollectError, Losses, Outcome};
    use crate::logging::Page;

    /// A collector that does what the test says.
    struct Scripted<F>(F);

    impl<F: Fn(&Context, &mut Samples) -> Result<Outcome, CollectError> + Send + Sync> Collector for Scripted<F> {
        fn collect(&self, cx: &Context, out: &mut Samples) -> Result<Outcome, CollectError> {
            (self.0)(cx, out)
        }
    }

    fn scripted<F>(run: F) -> Box<dyn Collector>
    where
        F: Fn(&Context, &mut Samples) -> Result<Outcome, CollectError> + Send + Sync + 'static,
    {
        Box::new(Scripted(run))
    }

    fn complete() -> Box<dyn Collector> {
        scripted(|_, out| {
            out.push(&MODULE_PROCESSES, &["a", "b"], 7.0);
            Ok(Outcome::Complete)
        })
    }

    /// A collector that hangs until the test lets go, and tells when it was started.
    fn hanging() -> (Box<dyn Collector>, Sender<()>, Receiver<()>) {
        let (release, wait) = channel::<()>();
        let (report, started) = channel();
        let wait = Mutex::new(wait);
        let collector = scripted(move |_, _| {
            report.send(()).unwrap();
            locked(&wait).recv().unwrap();
            Ok(Outcome::Complete)
        });
        (collector, release, started)
    }

    /// An engine for which no run hangs.
    fn engine(collectors: Vec<(&'static str, Box<dyn Collector>)>) -> Engine {
        Engine { hangs: LONG, ..Engine::new(collectors).unwrap() }
    }

    fn due_in(limit: Duration) -> Context {
        Context::for_tests(Instant::now() + limit)
    }

    async fn scrape(engine: &Engine, limit: Duration) -> crate::snapshot::Snapshot {
        engine.collect(engine.all(), due_in(limit), Samples::default()).await.freeze()
    }

    const LONG: Duration = Duration::from_secs(60);
    const SHORT: Duration = Duration::from_secs(5);

    #[tokio::test]
    async fn what_is_the_matter_is_told_when_it_begins_and_when_it_ends() {
        let page = Page::default();
        let _log = tracing::subscriber::set_default(page.subscriber());
        let runs = AtomicU64::new(0);
        let collector = scripted(move |_, _| {
            let mut losses = Losses::default();
            let run = runs.fetch_add(1, Ordering::Relaxed);
            match run {
                0 | 5.. => {}
                1 | 2 => losses.add(ErrorKind::Permission, run),
                _ => return Err(CollectError { kind: ErrorKind::Gone, message: "/x: it is away".to_owned() }),
            }
            Ok(losses.into_outcome())
        });
        let engine = engine(vec![("x", collector)]);
        let mut lines = Vec::new();
        for _ in 0..7 {
            scrape(&engine, LONG).await;
            lines.push(page.take());
        }
        let expected = ["", "everything (permission); ", "", "/x: it is away (gone)", "", "has recovered", ""];
        for (line, expected) in lines.iter().zip(expected) {
            assert_eq!(line.is_empty(), expected.is_empty(), "{lines:?}");
            assert!(line.contains(expected), "{lines:?}");
        }
        assert!(lines[1].contains("level=warn") && lines[1].contains("Run the exporter as the user"), "{lines:?}");
        assert!(lines[3].contains("level=error") && lines[5].contains("level=info"), "{lines:?}");
    }

    #[tokio::test]
    async fn a_panic_is_counted_and_the_others_still_answer() {
        let engine = engine(vec![("bad", scripted(|_, _| panic!("oh"))), ("good", complete())]);
        let snapshot = scrape(&engine, LONG).await;
        assert_eq!(snapshot.value(&SCRAPE_COLLECTOR_SUCCESS, &["bad"]), Some(0.0));
        assert_eq!(snapshot.value(&SCRAPE_COLLECTOR_ERRORS, &["bad", "panic"]), Some(1.0));
        assert_eq!(snapshot.value(&SCRAPE_COLLECTOR_SUCCESS, &["good"]), Some(1.0));
        assert_eq!(snapshot.value(&MODULE_PROCESSES, &["a", "b"]), Some(7.0));
        let snapshot = scrape(&engine, LONG).await;
        assert_eq!(snapshot.value(&SCRAPE_COLLECTOR_ERRORS, &["bad", "panic"]), Some(2.0));
    }

    #[tokio::test]
    async fn a_hanging_collector_costs_the_others_nothing_and_is_not_started_twice() {
        let (collector, release, started) = hanging();
        let collectors = vec![("hanging", collector), ("good", complete())];
        let engine = Engine { hangs: Duration::from_secs(1), ..engine(collectors) };

        let snapshot = scrape(&engine, SHORT).await;
        assert_eq!(snapshot.value(&SCRAPE_COLLECTOR_SUCCESS, &["good"]), Some(1.0));
        assert_eq!(snapshot.value(&SCRAPE_COLLECTOR_SUCCESS, &["hanging"]), Some(0.0));
        assert_eq!(snapshot.value(&SCRAPE_COLLECTOR_ERRORS, &["hanging", "timeout"]), Some(1.0));

        // Far from its deadline: a scrape that waited for the hanging run would never end.
        let snapshot = scrape(&engine, LONG).await;
        assert_eq!(snapshot.value(&SCRAPE_COLLECTOR_ERRORS, &["hanging", "busy"]), Some(1.0));
        assert_eq!(snapshot.value(&SCRAPE_COLLECTOR_ERRORS, &["hanging", "timeout"]), Some(1.0));
        assert_eq!(started.try_iter().count(), 1);

        release.send(()).unwrap();
        release.send(()).unwrap();
        while engine.slots[0].hangs(Duration::ZERO) {
            std::thread::yield_now();
        }
        let snapshot = scrape(&engine, LONG).await;
        assert_eq!(snapshot.value(&SCRAPE_COLLECTOR_SUCCESS, &["hanging"]), Some(1.0));
        assert_eq!(started.try_iter().count(), 1);
    }

    #[tokio::test]
    async fn two_scrapes_at_once_both_get_every_collector() {
        let (collector, release, started) = hanging();
        let engine = Arc::new(engine(vec![("slow", collector)]));
        let first = tokio::spawn({
            let engine = engine.clone();
            async move { scrape(&engine, LONG).await }
        });
        while started.try_recv().is_err() {
            tokio::task::yield_now().await;
        }
        let second = tokio::spawn({
            let engine = engine.clone();
            async move { scrape(&engine, LONG).await }
        });
        release.send(()).unwrap();
        release.send(()).unwrap();
        for snapshot in [first.await.unwrap(), second.await.unwrap()] {
            assert_eq!(snapshot.value(&SCRAPE_COLLECTOR_SUCCESS, &["slow"]), Some(1.0));
        }
        assert_eq!(started.try_iter().count(), 1);
    }

    #[tokio::test]
    async fn all_scrapes_that_come_while_a_collector_runs_share_its_next_run() {
        let (collector, release, started) = hanging();
        let engine = Arc::new(engine(vec![("slow", collector)]));
        let asking = || {
            let engine = engine.clone();
            tokio::spawn(async move { scrape(&engine, LONG).await })
        };
        let first = asking();
        while started.try_recv().is_err() {
            tokio::task::yield_now().await;
        }
        let others: Vec<_> = (0..10).map(|_| asking()).collect();
        tokio::task::yield_now().await;
        release.send(()).unwrap();
        release.send(()).unwrap();
        for scrape in std::iter::once(first).chain(others) {
            assert_eq!(scrape.await.unwrap().value(&SCRAPE_COLLECTOR_SUCCESS, &["slow"]), Some(1.0));
        }
        assert_eq!(started.try_iter().count(), 1, "one run for the ten");
    }

    #[tokio::test]
    async fn a_client_without_patience_neither_spoils_other_scrapes_nor_writes_a_line() {
        let page = Page::default();
        let _log = tracing::subscriber::set_default(page.subscriber());
        let (collector, release, started) = hanging();
        let engine = Arc::new(engine(vec![("slow", collector)]));
        for _ in 0..3 {
            let snapshot = scrape(&engine, Duration::from_millis(1)).await;
            assert_eq!(snapshot.value(&SCRAPE_COLLECTOR_SUCCESS, &["slow"]), Some(0.0));
            assert_eq!(snapshot.value(&SCRAPE_COLLECTOR_ERRORS, &["slow", "timeout"]), Some(0.0));
        }
        let patient = tokio::spawn({
            let engine = engine.clone();
            async move { scrape(&engine, LONG).await }
        });
        tokio::task::yield_now().await;
        release.send(()).unwrap();
        release.send(()).unwrap();
        let snapshot = patient.await.unwrap();
        assert_eq!(snapshot.value(&SCRAPE_COLLECTOR_SUCCESS, &["slow"]), Some(1.0));
        assert_eq!(page.take(), "");
        drop(started);
    }

    #[tokio::test]
    async fn what_is_partial_or_failed_is_no_success_and_counted_by_kind() {
        let partial = scripted(|_, _| {
            let mut losses = Losses::default();
            losses.add(ErrorKind::Permission, 3);
            Ok(losses.into_outcome())
        });
        let absent = scripted(|_, _| Ok(Outcome::NotApplicable));
        let failed = scripted(|_, _| Err(CollectError { kind: ErrorKind::Parse, message: "line 3".into() }));
        let engine = engine(vec![("partial", partial), ("absent", absent), ("failed", failed)]);
        let snapshot = scrape(&engine, LONG).await;
        assert_eq!(snapshot.value(&SCRAPE_COLLECTOR_SUCCESS, &["partial"]), Some(0.0));
        assert_eq!(snapshot.value(&SCRAPE_COLLECTOR_ERRORS, &["partial", "permission"]), Some(3.0));
        assert_eq!(snapshot.value(&SCRAPE_COLLECTOR_SUCCESS, &["absent"]), Some(1.0));
        assert_eq!(snapshot.value(&SCRAPE_COLLECTOR_SUCCESS, &["failed"]), Some(0.0));
        assert_eq!(snapshot.value(&SCRAPE_COLLECTOR_ERRORS, &["failed", "parse"]), Some(1.0));
        assert_eq!(snapshot.value(&SCRAPE_COLLECTOR_ERRORS, &["failed", "gone"]), Some(0.0));
    }

    #[tokio::test]
    async fn a_selection_runs_what_it_names_and_refuses_what_it_does_not_know() {
        let engine = engine(vec![("a", complete()), ("b", complete())]);
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(engine.select(&[], &[]), Ok(Selection(vec![0, 1])));
        assert_eq!(engine.select(&names(&["b"]), &[]), Ok(Selection(vec![1])));
        assert_eq!(engine.select(&[], &names(&["b"])), Ok(Selection(vec![0])));
        assert_eq!(engine.select(&names(&["a"]), &names(&["b"])), Err(SelectionError::Both));
        let error = engine.select(&names(&["c"]), &[]).unwrap_err().to_string();
        assert_eq!(error, "no enabled collector is called \"c\"; there are: a, b");

        let only_b = engine.select(&names(&["b"]), &[]).unwrap();
        let snapshot = engine.collect(only_b, due_in(LONG), Samples::default()).await.freeze();
        assert_eq!(snapshot.of(&SCRAPE_COLLECTOR_SUCCESS).count(), 1);
    }
}
