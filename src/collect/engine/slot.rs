//! One collector: never started twice, a panic is an error like any other, and a scrape that comes while it runs gets
//! the result of the next run.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::catalog::signals::exporter::{SCRAPE_COLLECTOR_DURATION, SCRAPE_COLLECTOR_ERRORS, SCRAPE_COLLECTOR_SUCCESS};
use crate::collect::{CollectError, Collector, Context, ErrorKind, Losses, Outcome, float};
use crate::snapshot::{Samples, SeriesMemory};
use crate::sync::locked;

/// How one run of a collector ended.
#[derive(Clone)]
pub(super) struct Run {
    pub(super) samples: Samples,
    pub(super) duration: Duration,
    pub(super) trouble: Option<RunTrouble>,
}

/// Why a run did not succeed.
#[derive(Clone)]
pub(super) struct RunTrouble {
    /// It gave nothing, or not in time; else it left something out.
    pub(super) failed: bool,
    pub(super) message: String,
}

/// What one scrape waits for.
pub(super) struct Ticket {
    results: Mutex<Results>,
    complete: Notify,
}

struct Results {
    runs: Vec<(usize, Arc<Run>)>,
    /// How many are still to come.
    open: usize,
}

impl Ticket {
    /// A ticket for the results of `open` collectors.
    pub(super) fn new(open: usize) -> Arc<Self> {
        let results = Mutex::new(Results { runs: Vec::with_capacity(open), open });
        Arc::new(Self { results, complete: Notify::new() })
    }

    /// Ends when every result is there.
    pub(super) async fn completed(&self) {
        if locked(&self.results).open > 0 {
            self.complete.notified().await;
        }
    }

    /// The results there are.
    pub(super) fn take(&self) -> Vec<(usize, Arc<Run>)> {
        std::mem::take(&mut locked(&self.results).runs)
    }

    fn give(&self, place: usize, run: Arc<Run>) {
        let mut results = locked(&self.results);
        results.runs.push((place, run));
        results.open -= 1;
        if results.open == 0 {
            // The permit is kept for a task that has checked but does not wait yet.
            self.complete.notify_one();
        }
    }
}

/// What a scrape has to do for a collector's result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Requested {
    /// Have a thread run it.
    Run,
    /// Wait: it runs, or is about to.
    Joined,
}

/// One collector, and what is remembered of its runs.
pub(super) struct Slot {
    pub(super) name: &'static str,
    pub(super) collector: Box<dyn Collector>,
    turn: Mutex<RunState>,
    /// What the last run gave.
    memory: Mutex<SeriesMemory>,
    errors: [AtomicU64; ErrorKind::ALL.len()],
}

#[derive(Default)]
struct RunState {
    /// Since when it runs.
    running: Option<Instant>,
    next: Option<Next>,
}

/// The next run, for all requests since the last one began.
struct Next {
    cx: Arc<Context>,
    wanted_by: Vec<Weak<Ticket>>,
}

impl Slot {
    pub(super) fn new(name: &'static str, collector: Box<dyn Collector>) -> Self {
        Self { name, collector, turn: Mutex::default(), memory: Mutex::default(), errors: Default::default() }
    }

    /// Whether it runs, and has for `age` or longer.
    pub(super) fn hangs(&self, age: Duration) -> bool {
        locked(&self.turn).running.is_some_and(|began| began.elapsed() >= age)
    }

    /// Requests a run that has not begun yet.
    pub(super) fn request(&self, cx: &Arc<Context>, ticket: &Arc<Ticket>) -> Requested {
        let mut turn = locked(&self.turn);
        let is_running = turn.running.is_some();
        match &mut turn.next {
            Some(next) => {
                next.wanted_by.push(Arc::downgrade(ticket));
                // The latest deadline of the waiting scrapes counts.
                if cx.deadline > next.cx.deadline {
                    next.cx = Arc::clone(cx);
                }
                Requested::Joined
            }
            none => {
                *none = Some(Next { cx: Arc::clone(cx), wanted_by: vec![Arc::downgrade(ticket)] });
                if is_running { Requested::Joined } else { Requested::Run }
            }
        }
    }

    /// Runs once, if a scrape still waits for it. Returns whether another run was requested meanwhile.
    pub(super) fn run_for_all(&self, place: usize) -> bool {
        let Some((cx, wanted_by)) = self.begin() else { return false };
        let run = Arc::new(self.run(&cx));
        let is_wanted = self.end();
        for ticket in wanted_by {
            ticket.give(place, Arc::clone(&run));
        }
        is_wanted
    }

    fn begin(&self) -> Option<(Arc<Context>, Vec<Arc<Ticket>>)> {
        let mut turn = locked(&self.turn);
        let next = turn.next.take()?;
        let wanted_by: Vec<_> = next.wanted_by.iter().filter_map(Weak::upgrade).collect();
        if wanted_by.is_empty() {
            return None;
        }
        turn.running = Some(Instant::now());
        Some((next.cx, wanted_by))
    }

    fn end(&self) -> bool {
        let mut turn = locked(&self.turn);
        turn.running = None;
        turn.next.is_some()
    }

    fn run(&self, cx: &Context) -> Run {
        let started = Instant::now();
        let mut samples = Samples::after(std::mem::take(&mut *locked(&self.memory)));
        let result = catch_unwind(AssertUnwindSafe(|| self.collector.collect(cx, &mut samples)));
        let result = result.unwrap_or_else(|panic| {
            let message = format!("a defect, please report it: {}", panic_message(&*panic));
            Err(CollectError { kind: ErrorKind::Panic, message })
        });
        *locked(&self.memory) = samples.take_memory();
        let trouble = self.count_result(result);
        Run { samples, duration: started.elapsed(), trouble }
    }

    /// Counts what a run could not read; none when it was a success.
    fn count_result(&self, result: Result<Outcome, CollectError>) -> Option<RunTrouble> {
        match result {
            Ok(Outcome::Complete | Outcome::NotApplicable) => None,
            Ok(Outcome::Partial(losses)) => {
                for (kind, times) in losses.iter() {
                    self.count(kind, times);
                }
                Some(RunTrouble { failed: false, message: left_out(&losses) })
            }
            Err(error) => {
                self.count(error.kind, 1);
                Some(RunTrouble { failed: true, message: format!("{error} ({})", error.kind.label()) })
            }
        }
    }

    pub(super) fn count(&self, kind: ErrorKind, times: u64) {
        self.errors[kind as usize].fetch_add(times, Ordering::Relaxed);
    }

    pub(super) fn report(&self, success: bool, duration: Duration, samples: &mut Samples) {
        samples.push(&SCRAPE_COLLECTOR_SUCCESS, &[self.name], f64::from(u8::from(success)));
        samples.push(&SCRAPE_COLLECTOR_DURATION, &[self.name], duration.as_secs_f64());
        for kind in ErrorKind::ALL {
            let times = self.errors[kind as usize].load(Ordering::Relaxed);
            samples.push(&SCRAPE_COLLECTOR_ERRORS, &[self.name, kind.label()], float(times));
        }
    }
}

/// What was left out, by kind; the numbers may differ at each scrape.
fn left_out(losses: &Losses) -> String {
    let kinds: Vec<_> = losses.iter().map(|(kind, _)| kind.label()).collect();
    let mut message = format!(
        "the collector could not read everything ({}); campaign_scrape_collector_errors_total counts each failure",
        kinds.join(", ")
    );
    if losses.iter().any(|(kind, _)| kind == ErrorKind::Permission) {
        message +=
            ". Run the exporter as the user that runs Campaign, or disable the collector with --no-collector.NAME";
    }
    message
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("a panic without a message")
}
