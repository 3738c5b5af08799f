//! Slow work in the background: begun on request, done in a thread that is reserved for it.
//!
//! Decides when work may begin; the caller supplies the work.
//!
//! A scrape requests the work and gets the latest result there is. Without requests nothing runs. However many there
//! are, work takes at most one part in [`REST`] of the time, of one CPU and one disk: a folder that takes ten seconds
//! to read is read four times an hour. Work that hangs, on a file system that has gone away, delays nothing else.
//!
//! The thread is made at the start, so that nothing depends on whether the system has room for another one later. It ends
//! when the [`Background`] is dropped, or with the process where its work hangs.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::sync::locked;

/// How many times as long as it took work rests.
const REST: u32 = 99;

/// How long [`Background::refresh`] waits for work that is known to be short, so that a scrape shows the present and not
/// the scrape before.
pub const SHORT_WORK: Duration = Duration::from_millis(50);

/// When work hangs: it runs for longer than any folder takes.
pub const HANGS: Duration = Duration::from_secs(600);

/// Work on `I` that leads to `O`.
pub struct Background<I: Send + Sync + 'static, O: Send + Sync + 'static> {
    name: &'static str,
    /// The least time between two beginnings.
    interval: Duration,
    shared: Arc<Shared<I, O>>,
}

struct Shared<I, O> {
    work: Box<dyn Fn(&I) -> O + Send + Sync>,
    progress: Mutex<WorkProgress<I, O>>,
    changed: Condvar,
}

struct WorkProgress<I, O> {
    has_thread: bool,
    is_over: bool,
    began: Option<Instant>,
    running: bool,
    took: Duration,
    /// What the work that ran last, or runs, is about.
    input: Option<Arc<I>>,
    /// What the thread has not taken yet.
    next: Option<Arc<I>>,
    has_panicked: bool,
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

/// Why there is no result of this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stall {
    /// The system has no room for the thread. It is tried again at the next scrape.
    NoThread,
    /// The work has been running for [`HANGS`].
    Hangs,
    /// The work panicked the last time.
    Panicked,
}

impl<I, O> Background<I, O>
where
    I: PartialEq + Send + Sync + 'static,
    O: Send + Sync + 'static,
{
    /// Work that is done in a thread called `name`, at most once in `interval`, or sooner when its input changes.
    pub fn new(name: &'static str, interval: Duration, work: impl Fn(&I) -> O + Send + Sync + 'static) -> Self {
        let progress = WorkProgress {
            has_thread: false,
            is_over: false,
            began: None,
            running: false,
            took: Duration::ZERO,
            input: None,
            next: None,
            has_panicked: false,
            latest: None,
        };
        let shared = Shared { work: Box::new(work), progress: Mutex::new(progress), changed: Condvar::new() };
        let background = Self { name, interval, shared: Arc::new(shared) };
        if let Err(error) = background.hold_thread(&mut locked(&background.shared.progress)) {
            tracing::warn!(name, %error, "no thread for work in the background; it is tried again at each scrape");
        }
        background
    }

    fn hold_thread(&self, progress: &mut WorkProgress<I, O>) -> io::Result<()> {
        if !progress.has_thread {
            let shared = Arc::clone(&self.shared);
            thread::Builder::new().name(self.name.to_owned()).spawn(move || while shared.run_next() {})?;
            progress.has_thread = true;
        }
        Ok(())
    }

    /// Begins the work at the moment `now` if it is due; says whether it began.
    ///
    /// # Errors
    /// When the system had no room for the thread at the start, and has none now.
    pub fn ask(&self, input: I, now: Instant) -> io::Result<bool> {
        let mut progress = locked(&self.shared.progress);
        let is_new = progress.input.as_deref() != Some(&input);
        let pause = if is_new { Duration::ZERO } else { self.interval };
        let rest = progress.took.saturating_mul(REST);
        let is_due = progress.began.is_none_or(|began| now.saturating_duration_since(began) >= pause.max(rest));
        if progress.running || !is_due {
            return Ok(false);
        }
        self.hold_thread(&mut progress)?;
        let input = Arc::new(input);
        progress.next = Some(Arc::clone(&input));
        (progress.running, progress.began, progress.input) = (true, Some(now), Some(input));
        self.shared.changed.notify_all();
        Ok(true)
    }

    /// Begins the work if it is due, and waits a moment for it, but not beyond `deadline`, where it is known to be short.
    /// [`Background::latest`] has the result.
    ///
    /// # Errors
    /// Why the latest result is, or will stay, an old one.
    pub fn refresh(&self, input: I, now: Instant, deadline: Instant) -> Result<(), Stall> {
        self.ask(input, now).map_err(|_| Stall::NoThread)?;
        if self.took() < SHORT_WORK {
            self.settle(deadline.min(Instant::now() + SHORT_WORK));
        }
        if self.running_for(now).is_some_and(|time| time >= HANGS) {
            return Err(Stall::Hangs);
        }
        if locked(&self.shared.progress).has_panicked { Err(Stall::Panicked) } else { Ok(()) }
    }

    /// Waits for the end of what runs, until `until` at most.
    pub fn settle(&self, until: Instant) {
        let mut progress = locked(&self.shared.progress);
        while progress.running {
            let now = Instant::now();
            if now >= until {
                return;
            }
            let waited = self.shared.changed.wait_timeout(progress, until - now);
            progress = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// How long the last work took; zero before the first has ended.
    #[must_use]
    pub fn took(&self) -> Duration {
        locked(&self.shared.progress).took
    }

    /// The latest result.
    #[must_use]
    pub fn latest(&self) -> Option<Arc<Done<I, O>>> {
        locked(&self.shared.progress).latest.clone()
    }

    /// How long what runs has been running at the moment `now`.
    #[must_use]
    pub fn running_for(&self, now: Instant) -> Option<Duration> {
        let progress = locked(&self.shared.progress);
        progress.began.filter(|_| progress.running).map(|began| now.saturating_duration_since(began))
    }
}

#[cfg(test)]
impl<I: Send + Sync + 'static, O: Send + Sync + 'static> Background<I, O> {
    /// As if the last work had taken no time, so that it need not rest.
    pub(crate) fn take_no_rest(&self) {
        locked(&self.shared.progress).took = Duration::ZERO;
    }
}

impl<I: Send + Sync + 'static, O: Send + Sync + 'static> Drop for Background<I, O> {
    fn drop(&mut self) {
        locked(&self.shared.progress).is_over = true;
        self.shared.changed.notify_all();
    }
}

impl<I, O> Shared<I, O> {
    /// Waits for work and does it; false when there will be none.
    fn run_next(&self) -> bool {
        let mut progress = locked(&self.progress);
        let input = loop {
            if progress.is_over {
                return false;
            }
            match progress.next.take() {
                Some(input) => break input,
                None => progress = self.changed.wait(progress).unwrap_or_else(PoisonError::into_inner),
            }
        };
        drop(progress);
        let started = Instant::now();
        // The panic has been reported where it happened; the next time may go better.
        let output = catch_unwind(AssertUnwindSafe(|| (self.work)(&input))).ok();
        let mut progress = locked(&self.progress);
        progress.took = started.elapsed();
        progress.running = false;
        progress.has_panicked = output.is_none();
        if let Some(output) = output {
            progress.latest = Some(Arc::new(Done { input, output }));
        }
        self.changed.notify_all();
        true
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
    fn long_work_rests_ninety_nine_times_as_long() {
        let work = Background::new("test", INTERVAL, |(): &()| ());
        let now = Instant::now();
        work.ask((), now).unwrap();
        work.settle(soon());
        locked(&work.shared.progress).took = Duration::from_secs(10);
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
        assert_eq!(work.refresh(true, now, soon()), Err(Stall::Panicked), "it is not due again");
        assert!(work.ask(false, now + INTERVAL + work.took() * REST).unwrap());
        work.settle(soon());
        assert!(work.latest().is_some());
        assert_eq!(work.refresh(false, now, soon()), Ok(()));
    }

    #[test]
    fn work_is_always_done_by_the_thread_that_was_there_at_the_start() {
        let work = Background::new("test", Duration::ZERO, |(): &()| thread::current().id());
        let threads: std::collections::HashSet<_> = (0..3)
            .map(|_| {
                work.take_no_rest();
                work.ask((), Instant::now()).unwrap();
                work.settle(soon());
                work.latest().unwrap().output
            })
            .collect();
        assert_eq!(threads.len(), 1);
    }

    #[test]
    fn the_thread_ends_when_the_work_is_dropped() {
        let (alive, ended) = channel::<()>();
        let alive = Mutex::new(alive);
        let work = Background::new("test", INTERVAL, move |(): &()| drop(locked(&alive)));
        drop(work);
        // The thread holds the work, and the work the sender.
        let end = ended.recv_timeout(Duration::from_secs(20));
        assert_eq!(end, Err(std::sync::mpsc::RecvTimeoutError::Disconnected));
    }
}
