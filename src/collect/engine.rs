//! Runs the collectors of a scrape: none can hang it, kill it, or be started twice.
//!
//! Collectors run one after the other on one thread, a *lane*, which is all that a healthy host needs. When the
//! lane makes no progress for [`PATIENCE`], another takes over the collectors that still wait, so that a hanging
//! one costs the others a moment and not the scrape. What has not ended by the deadline is reported as a time-out,
//! and while it still runs, as busy.
//!
//! Knows collectors as a name and a method; what they collect is theirs.

use std::any::Any;
use std::collections::{BTreeSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::spawn_blocking;
use tokio::time::timeout_at;

use super::{CollectError, Collector, Context, ErrorKind, Losses, Outcome, float};
use crate::catalog::signals::exporter::{SCRAPE_COLLECTOR_DURATION, SCRAPE_COLLECTOR_ERRORS, SCRAPE_COLLECTOR_SUCCESS};
use crate::snapshot::Samples;
use crate::source::kit::LogOnChange;
use crate::sync::locked;

/// How long a lane may stay with one collector before another lane takes over the rest.
pub const PATIENCE: Duration = Duration::from_millis(100);

/// The enabled collectors, and what is remembered of their runs.
pub struct Engine {
    slots: Vec<Arc<Slot>>,
    log: LogOnChange,
}

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
    /// An engine for `collectors`, each with its name.
    #[must_use]
    pub fn new(collectors: Vec<(&'static str, Box<dyn Collector>)>) -> Self {
        let slots = collectors.into_iter().map(|(name, collector)| Arc::new(Slot::new(name, collector))).collect();
        Self { slots, log: LogOnChange::default() }
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

    /// Waits for what the collectors have begun in the background, until `until` at most.
    pub async fn settle(&self, until: Instant) {
        let slots = self.slots.clone();
        // A collector that panics here has settled.
        let _ = spawn_blocking(move || slots.iter().for_each(|slot| slot.collector.settle(until))).await;
    }

    /// Runs the selected collectors; answers by `cx.deadline`, whatever they do.
    pub async fn collect(&self, selection: Selection, cx: Context) -> Samples {
        let deadline = cx.deadline;
        let mut open: BTreeSet<usize> = selection.0.iter().copied().collect();
        let (sender, mut runs) = unbounded_channel();
        let lane = Lane {
            slots: self.slots.clone(),
            queue: Arc::new(Mutex::new(selection.0.into())),
            sender,
            cx: Arc::new(cx),
        };
        let mut samples = Samples::default();
        lane.open();
        while !open.is_empty() {
            match next_run(&mut runs, deadline).await {
                Some(run) => {
                    open.remove(&run.place);
                    let slot = &self.slots[run.place];
                    let trouble = slot.settle(run.result);
                    slot.report(trouble.is_none(), run.duration, &mut samples);
                    self.tell(slot, trouble);
                    samples.append(run.samples);
                }
                None if Instant::now() >= deadline => break,
                None => lane.open(),
            }
        }
        lane.close();
        for place in open {
            let slot = &self.slots[place];
            slot.count(ErrorKind::Timeout, 1);
            let late = "the collector has not ended by the scrape's deadline; its samples are missing";
            self.tell(slot, Some(Trouble { failed: true, message: late.to_owned() }));
            slot.report(false, Duration::ZERO, &mut samples);
        }
        samples
    }

    /// Logs what a collector's run was like, once when that changes.
    fn tell(&self, slot: &Slot, trouble: Option<Trouble>) {
        let collector = slot.name;
        if !self.log.is_news(collector, trouble.as_ref().map(|trouble| trouble.message.as_str())) {
            return;
        }
        match trouble {
            Some(Trouble { failed: true, message }) => tracing::error!(collector, "{message}"),
            Some(Trouble { failed: false, message }) => tracing::warn!(collector, "{message}"),
            None => tracing::info!(collector, "the collector reads everything again"),
        }
    }
}

/// Why a run was no success.
struct Trouble {
    /// It gave nothing at all, or not in time; else it left something out.
    failed: bool,
    message: String,
}

/// What was left out, by kind and not by number: how much it is may be another thing at each scrape.
fn left_out(losses: &Losses) -> String {
    let kinds: Vec<_> = losses.iter().map(|(kind, _)| kind.label()).collect();
    let mut message = format!(
        "the collector leaves out what it could not read, for: {}; campaign_scrape_collector_errors_total counts it",
        kinds.join(", ")
    );
    if losses.iter().any(|(kind, _)| kind == ErrorKind::Permission) {
        message += ". Run the exporter as the user that runs Campaign, or switch the collector off";
    }
    message
}

/// The next run to end, unless none does within [`PATIENCE`] or before the deadline.
async fn next_run(runs: &mut UnboundedReceiver<Run>, deadline: Instant) -> Option<Run> {
    let until = deadline.min(Instant::now() + PATIENCE);
    timeout_at(until.into(), runs.recv()).await.ok().flatten()
}

/// One collector, and what is remembered of its runs.
struct Slot {
    name: &'static str,
    collector: Box<dyn Collector>,
    running: Mutex<Option<Instant>>,
    ended: Condvar,
    errors: [AtomicU64; ErrorKind::ALL.len()],
}

impl Slot {
    fn new(name: &'static str, collector: Box<dyn Collector>) -> Self {
        Self { name, collector, running: Mutex::new(None), ended: Condvar::new(), errors: Default::default() }
    }

    /// Takes the collector for a run that is due by `deadline`. Another scrape's run is waited for, unless it is
    /// late by its own deadline: then the collector hangs, and waiting would cost this scrape too.
    fn begin(&self, deadline: Instant) -> bool {
        let mut running = locked(&self.running);
        while let Some(due) = *running {
            let now = Instant::now();
            if now >= due.min(deadline) {
                return false;
            }
            let (guard, _) =
                self.ended.wait_timeout(running, due.min(deadline) - now).unwrap_or_else(PoisonError::into_inner);
            running = guard;
        }
        *running = Some(deadline);
        true
    }

    fn end(&self) {
        *locked(&self.running) = None;
        self.ended.notify_all();
    }

    /// One run, with what it wrote; a panic is an error like others.
    fn run(&self, cx: &Context) -> (Result<Outcome, CollectError>, Samples) {
        if !self.begin(cx.deadline) {
            let message = "an earlier run has not ended yet".to_owned();
            return (Err(CollectError { kind: ErrorKind::Busy, message }), Samples::default());
        }
        let mut samples = Samples::default();
        let result = catch_unwind(AssertUnwindSafe(|| self.collector.collect(cx, &mut samples)));
        self.end();
        let result = result.unwrap_or_else(|panic| {
            let message = format!("a defect, please report it: {}", panic_message(&*panic));
            Err(CollectError { kind: ErrorKind::Panic, message })
        });
        (result, samples)
    }

    /// Counts what a run could not read; none when it was a success.
    fn settle(&self, result: Result<Outcome, CollectError>) -> Option<Trouble> {
        match result {
            Ok(Outcome::Complete | Outcome::NotApplicable) => None,
            Ok(Outcome::Partial(losses)) => {
                self.count_all(&losses);
                Some(Trouble { failed: false, message: left_out(&losses) })
            }
            Err(error) => {
                self.count(error.kind, 1);
                Some(Trouble { failed: true, message: format!("{error} ({})", error.kind.label()) })
            }
        }
    }

    fn count_all(&self, losses: &Losses) {
        for (kind, times) in losses.iter() {
            self.count(kind, times);
        }
    }

    fn count(&self, kind: ErrorKind, times: u64) {
        self.errors[kind as usize].fetch_add(times, Ordering::Relaxed);
    }

    fn report(&self, success: bool, duration: Duration, samples: &mut Samples) {
        samples.push(&SCRAPE_COLLECTOR_SUCCESS, &[self.name], f64::from(u8::from(success)));
        samples.push(&SCRAPE_COLLECTOR_DURATION, &[self.name], duration.as_secs_f64());
        for kind in ErrorKind::ALL {
            let times = self.errors[kind as usize].load(Ordering::Relaxed);
            samples.push(&SCRAPE_COLLECTOR_ERRORS, &[self.name, kind.label()], float(times));
        }
    }
}

/// How one run of the collector in `place` ended.
struct Run {
    place: usize,
    result: Result<Outcome, CollectError>,
    samples: Samples,
    duration: Duration,
}

/// What the threads of one scrape share.
#[derive(Clone)]
struct Lane {
    slots: Vec<Arc<Slot>>,
    queue: Arc<Mutex<VecDeque<usize>>>,
    sender: UnboundedSender<Run>,
    cx: Arc<Context>,
}

impl Lane {
    /// Starts one more thread on the collectors that still wait, if any does.
    fn open(&self) {
        if !locked(&self.queue).is_empty() {
            let lane = self.clone();
            spawn_blocking(move || while lane.run_next() {});
        }
    }

    /// Lets no further collector start.
    fn close(&self) {
        locked(&self.queue).clear();
    }

    fn run_next(&self) -> bool {
        let Some(place) = locked(&self.queue).pop_front() else { return false };
        let started = Instant::now();
        let (result, samples) = self.slots[place].run(&self.cx);
        let run = Run { place, result, samples, duration: started.elapsed() };
        // A scrape that is past its deadline takes no more runs; there is nobody left to tell.
        self.sender.send(run).is_ok()
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("a panic without a message")
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;
    use crate::catalog::signals::modules::MODULE_PROCESSES;
    use crate::logging::Page;

    /// A collector that does what the test tells it.
    struct Told<F>(F);

    impl<F: Fn(&Context, &mut Samples) -> Result<Outcome, CollectError> + Send + Sync> Collector for Told<F> {
        fn collect(&self, cx: &Context, out: &mut Samples) -> Result<Outcome, CollectError> {
            (self.0)(cx, out)
        }
    }

    fn told<F>(run: F) -> Box<dyn Collector>
    where
        F: Fn(&Context, &mut Samples) -> Result<Outcome, CollectError> + Send + Sync + 'static,
    {
        Box::new(Told(run))
    }

    fn complete() -> Box<dyn Collector> {
        told(|_, out| {
            out.push(&MODULE_PROCESSES, &["a", "b"], 7.0);
            Ok(Outcome::Complete)
        })
    }

    /// A collector that hangs until the test lets go, and tells when it was started.
    fn hanging() -> (Box<dyn Collector>, Sender<()>, Receiver<()>) {
        let (release, wait) = channel::<()>();
        let (tell, started) = channel();
        let wait = Mutex::new(wait);
        let collector = told(move |_, _| {
            tell.send(()).unwrap();
            locked(&wait).recv().unwrap();
            Ok(Outcome::Complete)
        });
        (collector, release, started)
    }

    fn due_in(limit: Duration) -> Context {
        Context::for_tests(Instant::now() + limit)
    }

    async fn scrape(engine: &Engine, limit: Duration) -> crate::snapshot::Snapshot {
        engine.collect(engine.all(), due_in(limit)).await.freeze()
    }

    const LONG: Duration = Duration::from_secs(60);
    const SHORT: Duration = Duration::from_millis(1500);

    #[tokio::test]
    async fn what_is_the_matter_is_told_when_it_begins_and_when_it_ends() {
        let page = Page::default();
        let _log = tracing::subscriber::set_default(page.subscriber());
        let runs = AtomicU64::new(0);
        let collector = told(move |_, _| {
            let mut losses = Losses::default();
            let run = runs.fetch_add(1, Ordering::Relaxed);
            match run {
                0 | 5.. => {}
                1 | 2 => losses.add(ErrorKind::Permission, run),
                _ => return Err(CollectError { kind: ErrorKind::Gone, message: "/x: it is away".to_owned() }),
            }
            Ok(losses.into_outcome())
        });
        let engine = Engine::new(vec![("x", collector)]);
        let mut lines = Vec::new();
        for _ in 0..7 {
            scrape(&engine, Duration::from_secs(20)).await;
            lines.push(page.take());
        }
        let expected = ["", "for: permission; ", "", "/x: it is away (gone)", "", "reads everything again", ""];
        for (line, expected) in lines.iter().zip(expected) {
            assert_eq!(line.is_empty(), expected.is_empty(), "{lines:?}");
            assert!(line.contains(expected), "{lines:?}");
        }
        assert!(lines[1].contains("level=warn") && lines[1].contains("Run the exporter as the user"), "{lines:?}");
        assert!(lines[3].contains("level=error") && lines[5].contains("level=info"), "{lines:?}");
    }

    #[tokio::test]
    async fn a_panic_is_counted_and_the_others_still_answer() {
        let engine = Engine::new(vec![("bad", told(|_, _| panic!("oh"))), ("good", complete())]);
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
        let engine = Engine::new(vec![("hanging", collector), ("good", complete())]);

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
        let slot = &engine.slots[0];
        drop(slot.ended.wait_while(locked(&slot.running), |running| running.is_some()).unwrap());
        let snapshot = scrape(&engine, LONG).await;
        assert_eq!(snapshot.value(&SCRAPE_COLLECTOR_SUCCESS, &["hanging"]), Some(1.0));
        assert_eq!(started.try_iter().count(), 1);
    }

    #[tokio::test]
    async fn two_scrapes_at_once_both_get_every_collector() {
        let (collector, release, started) = hanging();
        let engine = Arc::new(Engine::new(vec![("slow", collector)]));
        let first = tokio::spawn({
            let engine = engine.clone();
            async move { scrape(&engine, LONG).await }
        });
        let started = spawn_blocking(move || {
            started.recv().unwrap();
            started
        })
        .await
        .unwrap();
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
    async fn what_is_partial_or_failed_is_no_success_and_counted_by_kind() {
        let partial = told(|_, _| {
            let mut losses = Losses::default();
            losses.add(ErrorKind::Permission, 3);
            Ok(losses.into_outcome())
        });
        let absent = told(|_, _| Ok(Outcome::NotApplicable));
        let failed = told(|_, _| Err(CollectError { kind: ErrorKind::Parse, message: "line 3".into() }));
        let engine = Engine::new(vec![("partial", partial), ("absent", absent), ("failed", failed)]);
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
        let engine = Engine::new(vec![("a", complete()), ("b", complete())]);
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(engine.select(&[], &[]), Ok(Selection(vec![0, 1])));
        assert_eq!(engine.select(&names(&["b"]), &[]), Ok(Selection(vec![1])));
        assert_eq!(engine.select(&[], &names(&["b"])), Ok(Selection(vec![0])));
        assert_eq!(engine.select(&names(&["a"]), &names(&["b"])), Err(SelectionError::Both));
        let error = engine.select(&names(&["c"]), &[]).unwrap_err().to_string();
        assert_eq!(error, "no enabled collector is called \"c\"; there are: a, b");

        let only_b = engine.select(&names(&["b"]), &[]).unwrap();
        let snapshot = engine.collect(only_b, due_in(LONG)).await.freeze();
        assert_eq!(snapshot.of(&SCRAPE_COLLECTOR_SUCCESS).count(), 1);
    }
}
