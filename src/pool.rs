//! A fixed number of threads that run jobs in turn. All are started at once: a system that runs out of threads later
//! stops no job.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::thread::{self, Thread};

use tokio::sync::oneshot;

use crate::sync::locked;

type Job = Box<dyn FnOnce() + Send>;

/// The threads, which end when this is dropped and what they do has ended.
#[derive(Debug)]
pub struct Pool {
    queue: Arc<Mutex<JobQueue>>,
}

#[derive(Default)]
struct JobQueue {
    jobs: VecDeque<Job>,
    /// The threads that have nothing to do; the last to become idle is the first to be woken, because its stack is
    /// warm.
    idle: Vec<Thread>,
    is_closed: bool,
}

impl std::fmt::Debug for JobQueue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JobQueue").field("jobs", &self.jobs.len()).field("idle", &self.idle.len()).finish()
    }
}

/// The system has no thread to give.
#[derive(Debug, thiserror::Error)]
#[error("no thread {name:?} can be started: {source}; raise the limit of processes of this user (ulimit -u, TasksMax)")]
pub struct PoolError {
    name: &'static str,
    source: io::Error,
}

impl Pool {
    /// Starts `threads` threads called `name`.
    ///
    /// # Errors
    /// When the system does not have that many.
    pub fn start(name: &'static str, threads: usize) -> Result<Pool, PoolError> {
        let pool = Pool { queue: Arc::default() };
        for _ in 0..threads {
            let queue = Arc::clone(&pool.queue);
            let run = move || while run_next(&queue) {};
            thread::Builder::new().name(name.to_owned()).spawn(run).map_err(|source| PoolError { name, source })?;
        }
        Ok(pool)
    }

    /// Queues `job` for the next free thread.
    pub fn add(&self, job: impl FnOnce() + Send + 'static) {
        let mut state = locked(&self.queue);
        state.jobs.push_back(Box::new(job));
        let woken = state.idle.pop();
        drop(state);
        if let Some(thread) = woken {
            thread.unpark();
        }
    }

    /// The result of `job`, once a free thread has run it; none when it panicked.
    pub async fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let (give, take) = oneshot::channel();
        self.add(move || {
            // The receiver may be gone.
            let _ = give.send(job());
        });
        take.await.ok()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let mut state = locked(&self.queue);
        state.is_closed = true;
        state.jobs.clear();
        for thread in state.idle.drain(..) {
            thread.unpark();
        }
    }
}

/// Does the next job; waits for one. False when there will be none.
fn run_next(queue: &Mutex<JobQueue>) -> bool {
    let Some(job) = next(queue) else { return false };
    // Reported by the panic hook; the thread goes on.
    let _ = catch_unwind(AssertUnwindSafe(job));
    true
}

fn next(queue: &Mutex<JobQueue>) -> Option<Job> {
    let this = thread::current();
    loop {
        {
            let mut state = locked(queue);
            // Also after a wake-up that was meant for no thread.
            state.idle.retain(|thread| thread.id() != this.id());
            if state.is_closed {
                return None;
            }
            if let Some(job) = state.jobs.pop_front() {
                return Some(job);
            }
            state.idle.push(this.clone());
        }
        thread::park();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn jobs_are_done_by_the_threads_there_are_also_after_a_panic() {
        let pool = Pool::start("test", 1).unwrap();
        assert_eq!(pool.run(|| 1).await, Some(1));
        assert_eq!(pool.run(|| panic!("told to")).await, None::<()>);
        assert_eq!(pool.run(|| 2).await, Some(2));
    }

    #[test]
    fn one_that_hangs_leaves_the_other_threads() {
        let pool = Pool::start("test", 2).unwrap();
        let (release, held) = channel::<()>();
        pool.add(move || assert!(held.recv().is_ok()));
        let (tell, told) = channel();
        for number in 0..100 {
            let tell = tell.clone();
            pool.add(move || tell.send(number).unwrap());
        }
        let numbers: Vec<_> = (0..100).map(|_| told.recv_timeout(LONG).unwrap()).collect();
        assert!(numbers.is_sorted());
        release.send(()).unwrap();
    }

    #[test]
    fn the_threads_end_with_the_pool() {
        let pool = Pool::start("test", 3).unwrap();
        let queue = Arc::downgrade(&pool.queue);
        drop(pool);
        let until = std::time::Instant::now() + LONG;
        while queue.strong_count() > 0 {
            assert!(std::time::Instant::now() < until);
            thread::yield_now();
        }
    }
}
