//! Slow work at a pace of its own: begun when somebody asks for its result, done in a thread that ends with it.
//!
//! Knows when work may begin, and nothing of what it does.
//!
//! A scrape asks, and gets the latest result there is. Nobody asks, nothing runs. However often it is asked for, work takes
//! at most one part in [`REST`] of the time, of one CPU and one disk: a folder that takes ten seconds to read is read four
//! times an hour. Work that hangs, on a file system that has gone away, holds up itself alone.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::sync::locked;

/// How many times as long as it took work rests.
const REST: u32 = 99;

/// Work on `I` that leads to `O`.
pub struct Background<I, O> {
    name: &'static str,
    /// The least time between two beginnings.
    interval: Duration,
    is_patient: bool,
    shared: Arc<Shared<I, O>>,
}

struct Shared<I, O> {
    work: Box<dyn Fn(&I) -> O + Send + Sync>,
    state: Mutex<State<I, O>>,
    ended: Condvar,
}

struct State<I, O> {
    began: Option<Instant>,
    running: bool,
    took: Duration,
    input: Option<Arc<I>>,
    latest: Option<Arc<Done<I, O>>>,
}

/// The result of work.
#[derive(Debug)]
pub struct Done<I, O> {
    /// What it was about.
    pub input: Arc<I>,
    /// What came of it.
    pub output: O,
}

impl<I, O> Background<I, O>
where
    I: PartialEq + Send + Sync + 'static,
    O: Send + Sync + 'static,
{
    /// Work that is done in a thread called `name`, at most once in `interval`, or sooner when its input changes.
    pub fn new(name: &'static str, interval: Duration, work: impl Fn(&I) -> O + Send + Sync + 'static) -> Self {
        let state = State { began: None, running: false, took: Duration::ZERO, input: None, latest: None };
        let shared = Shared { work: Box::new(work), state: Mutex::new(state), ended: Condvar::new() };
        Self { name, interval, is_patient: false, shared: Arc::new(shared) }
    }

    /// The same work, but not sooner either when its input changes.
    #[must_use]
    pub fn patient(self) -> Self {
        Self { is_patient: true, ..self }
    }

    /// Begins the work at the moment `now` if it is due; says whether it began.
    ///
    /// # Errors
    /// When the system has no room for another thread.
    pub fn ask(&self, input: I, now: Instant) -> io::Result<bool> {
        let mut state = locked(&self.shared.state);
        let is_new = state.input.as_deref() != Some(&input);
        let pause = if is_new && !self.is_patient { Duration::ZERO } else { self.interval };
        let rest = state.took.saturating_mul(REST);
        let is_due = state.began.is_none_or(|began| now.saturating_duration_since(began) >= pause.max(rest));
        if state.running || !is_due {
            return Ok(false);
        }
        let input = Arc::new(input);
        let (shared, given) = (Arc::clone(&self.shared), Arc::clone(&input));
        thread::Builder::new().name(self.name.to_owned()).spawn(move || shared.run(given))?;
        (state.running, state.began, state.input) = (true, Some(now), Some(input));
        Ok(true)
    }

    /// Waits for the end of what runs, until `until` at most; for work that is known to be short, so that a scrape shows
    /// the present and not the scrape before.
    pub fn settle(&self, until: Instant) {
        let mut state = locked(&self.shared.state);
        while state.running {
            let now = Instant::now();
            if now >= until {
                return;
            }
            let waited = self.shared.ended.wait_timeout(state, until - now);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// How long the last work took; zero before the first has ended.
    #[must_use]
    pub fn took(&self) -> Duration {
        locked(&self.shared.state).took
    }

    /// The latest result.
    #[must_use]
    pub fn latest(&self) -> Option<Arc<Done<I, O>>> {
        locked(&self.shared.state).latest.clone()
    }

    /// How long what runs has been running at the moment `now`.
    #[must_use]
    pub fn running_for(&self, now: Instant) -> Option<Duration> {
        let state = locked(&self.shared.state);
        state.began.filter(|_| state.running).map(|began| now.saturating_duration_since(began))
    }
}

impl<I, O> Shared<I, O> {
    fn run(&self, input: Arc<I>) {
        let started = Instant::now();
        // The panic has been reported where it happened; the next time may go better.
        let output = catch_unwind(AssertUnwindSafe(|| (self.work)(&input))).ok();
        let mut state = locked(&self.state);
        state.took = started.elapsed();
        state.running = false;
        if let Some(output) = output {
            state.latest = Some(Arc::new(Done { input, output }));
        }
        self.ended.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    const INTERVAL: Duration = Duration::from_secs(30);

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

    #[test]
    fn work_is_done_when_it_is_asked_for_and_due() {
        let work = Background::new("test", INTERVAL, |number: &u32| number * 2);
        let now = Instant::now();
        assert!(work.latest().is_none());
        assert!(work.ask(21, now).unwrap());
        work.settle(soon());
        let done = work.latest().unwrap();
        assert_eq!((*done.input, done.output), (21, 42));
        assert!(!work.ask(21, now + INTERVAL - Duration::from_millis(1)).unwrap());
        assert!(work.ask(21, now + INTERVAL + work.took() * REST).unwrap());
    }

    #[test]
    fn another_question_does_not_wait_for_the_interval() {
        let work = Background::new("test", INTERVAL, |number: &u32| *number);
        let now = Instant::now();
        work.ask(1, now).unwrap();
        work.settle(soon());
        assert!(work.ask(2, now + work.took() * REST).unwrap());
        work.settle(soon());
        assert_eq!(work.latest().unwrap().output, 2);
    }

    #[test]
    fn patient_work_waits_for_the_interval_whatever_is_asked() {
        let work = Background::new("test", INTERVAL, |number: &u32| *number).patient();
        let now = Instant::now();
        work.ask(1, now).unwrap();
        work.settle(soon());
        locked(&work.shared.state).took = Duration::ZERO;
        assert!(!work.ask(2, now + INTERVAL - Duration::from_millis(1)).unwrap());
        assert!(work.ask(2, now + INTERVAL).unwrap());
    }

    #[test]
    fn long_work_rests_ninety_nine_times_as_long() {
        let work = Background::new("test", INTERVAL, |(): &()| ());
        let now = Instant::now();
        work.ask((), now).unwrap();
        work.settle(soon());
        locked(&work.shared.state).took = Duration::from_secs(10);
        assert!(!work.ask((), now + Duration::from_secs(989)).unwrap());
        assert!(work.ask((), now + Duration::from_secs(990)).unwrap());
    }

    #[test]
    fn work_that_hangs_is_not_begun_twice_and_holds_nobody_up() {
        let (release, wait) = channel::<()>();
        let wait = Mutex::new(wait);
        let work = Background::new("test", INTERVAL, move |(): &()| locked(&wait).recv().is_ok());
        let now = Instant::now();
        assert!(work.ask((), now).unwrap());
        let later = now + Duration::from_secs(3600);
        assert!(!work.ask((), later).unwrap());
        work.settle(Instant::now());
        assert_eq!(work.running_for(later), Some(Duration::from_secs(3600)));
        release.send(()).unwrap();
        work.settle(soon());
        assert!(work.latest().unwrap().output);
        assert_eq!(work.running_for(later), None);
    }

    #[test]
    fn a_panic_leaves_the_last_result_and_the_next_time() {
        let work = Background::new("test", INTERVAL, |fails: &bool| assert!(!fails, "told to"));
        let now = Instant::now();
        work.ask(true, now).unwrap();
        work.settle(soon());
        assert!(work.latest().is_none());
        assert!(work.ask(false, now + INTERVAL + work.took() * REST).unwrap());
        work.settle(soon());
        assert!(work.latest().is_some());
    }
}
