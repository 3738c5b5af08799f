//! Equal requests at the same time share one answer.
//!
//! An answer that was begun less than [`FRESH`] before a request counts as current, made or not: that bounds what a client
//! costs that asks again and again. Otherwise a request that comes while an equal one is being answered waits for the
//! next answer; when that has not begun within [`PATIENCE`], because the previous one takes long, it is begun in parallel.

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::pin::pin;
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use crate::sync::locked;

/// How long a request waits for the previous one.
const PATIENCE: Duration = Duration::from_millis(100);

/// How long ago an answer may have begun that counts as current. Times of samples are milliseconds, and scrapes are
/// seconds apart.
const FRESH: Duration = Duration::from_millis(5);

/// Answers of the type `A` to questions of the type `Q`.
pub(super) struct SharedAnswers<Q, A> {
    turns: Arc<Turns<Q, A>>,
    fresh: Duration,
}

type Turns<Q, A> = Mutex<HashMap<Q, PendingAnswer<A>>>;

/// Gives an answer to all who wait for it.
type Giver<A> = Arc<watch::Sender<Option<A>>>;

struct PendingAnswer<A> {
    /// Held by the answer that is being made.
    running: Arc<Semaphore>,
    /// The answer that is being made, and when that began; of several the last. Where its making panicked it is gone.
    making: Option<(Instant, Weak<watch::Sender<Option<A>>>)>,
    /// The answer that has not begun.
    next: Option<Giver<A>>,
    /// The answer before, and when its making began.
    last: Option<(Instant, A)>,
}

impl<A> PendingAnswer<A> {
    /// Whether no answer is being made and none is kept; then `halves` references to the semaphore are left.
    fn is_over(&self, halves: usize) -> bool {
        Arc::strong_count(&self.running) == halves && self.next.is_none() && self.last.is_none()
    }

    /// Gives the answer of `give` up, unless somebody waits for it.
    fn gives_up(&mut self, give: &Giver<A>) -> bool {
        if give.is_closed() {
            self.making.take_if(|(_, making)| making.ptr_eq(&Arc::downgrade(give)));
        }
        give.is_closed()
    }
}

impl<Q, A> Default for SharedAnswers<Q, A> {
    fn default() -> Self {
        Self { turns: Arc::default(), fresh: FRESH }
    }
}

impl<Q, A> SharedAnswers<Q, A>
where
    Q: Clone + Eq + Hash + Send + 'static,
    A: Clone + Send + Sync + 'static,
{
    /// The answer to `question`, which `make` makes unless another one is about to be made. It is abandoned when no
    /// request waits for it any more. None when making it panicked.
    pub(super) async fn get<F>(&self, question: Q, make: impl FnOnce() -> F + Send + 'static) -> Option<A>
    where
        F: Future<Output = A> + Send + 'static,
    {
        let mut answer = {
            let mut turns = locked(&self.turns);
            // What is no longer fresh is not kept beside what is made next.
            turns.retain(|_, turn| {
                turn.last.take_if(|(began, _)| began.elapsed() >= self.fresh);
                !turn.is_over(1)
            });
            let turn = turns.entry(question.clone()).or_insert_with(|| PendingAnswer {
                running: Arc::new(Semaphore::new(1)),
                making: None,
                next: None,
                last: None,
            });
            if let Some((_, answer)) = &turn.last {
                return Some(answer.clone());
            }
            let just_begun = turn.making.as_ref().filter(|(began, _)| began.elapsed() < self.fresh);
            match just_begun.and_then(|(_, making)| making.upgrade()).or_else(|| turn.next.clone()) {
                Some(current) => current.subscribe(),
                None => {
                    let (give, take) = watch::channel(None);
                    let give = Arc::new(give);
                    turn.next = Some(Arc::clone(&give));
                    let running = Arc::clone(&turn.running);
                    tokio::spawn(run(Arc::clone(&self.turns), self.fresh, question, running, give, make));
                    take
                }
            }
        };
        answer.wait_for(Option::is_some).await.ok()?.clone()
    }
}

async fn run<Q, A, F>(
    turns: Arc<Turns<Q, A>>,
    fresh: Duration,
    question: Q,
    running: Arc<Semaphore>,
    give: Giver<A>,
    make: impl FnOnce() -> F,
) where
    Q: Eq + Hash,
    A: Clone,
    F: Future<Output = A>,
{
    let turn = timeout(PATIENCE, Arc::clone(&running).acquire_owned()).await;
    let began = Instant::now();
    if let Some(turn) = locked(&turns).get_mut(&question) {
        turn.next = None;
        turn.making = Some((began, Arc::downgrade(&give)));
    }
    let mut making = pin!(make());
    let answer = loop {
        tokio::select! {
            biased;
            answer = &mut making => break Some(answer),
            // Somebody may have come since, who finds it as long as the lock is free.
            () = give.closed() => if locked(&turns).get_mut(&question).is_none_or(|turn| turn.gives_up(&give)) {
                break None;
            },
        }
    };
    drop(turn);
    let mut turns = locked(&turns);
    if let Some(turn) = turns.get_mut(&question) {
        turn.making.take_if(|(_, making)| making.ptr_eq(&Arc::downgrade(&give)));
        turn.last =
            answer.clone().filter(|_| began.elapsed() < fresh).map(|answer| (began, answer)).or(turn.last.take());
        if turn.is_over(2) {
            turns.remove(&question);
        }
    }
    drop(turns);
    if answer.is_some() {
        give.send_replace(answer);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Notify;

    use super::*;

    /// Counts what it makes, each when the test lets it.
    #[derive(Clone, Default)]
    struct Maker {
        made: Arc<AtomicUsize>,
        gate: Arc<Notify>,
    }

    impl Maker {
        fn make(&self) -> impl FnOnce() -> crate::web::BoxFuture<'static, usize> + Send + 'static {
            let maker = self.clone();
            move || {
                Box::pin(async move {
                    let number = maker.made.fetch_add(1, Ordering::Relaxed) + 1;
                    maker.gate.notified().await;
                    number
                })
            }
        }
    }

    fn never_fresh() -> SharedAnswers<&'static str, usize> {
        SharedAnswers { turns: Arc::default(), fresh: Duration::ZERO }
    }

    #[tokio::test]
    async fn an_answer_that_has_just_been_made_is_given_again_and_an_older_one_is_not() {
        let hour = Duration::from_secs(3600);
        let mut shared = SharedAnswers { turns: Arc::default(), fresh: hour };
        let made = Arc::new(AtomicUsize::new(0));
        let make = || {
            let made = Arc::clone(&made);
            move || async move { made.fetch_add(1, Ordering::Relaxed) + 1 }
        };
        assert_eq!([shared.get("all", make()).await, shared.get("all", make()).await], [Some(1); 2]);
        assert_eq!(shared.get("some", make()).await, Some(2), "another question");
        shared.fresh = Duration::ZERO;
        assert_eq!(shared.get("all", make()).await, Some(3));
        until(|| locked(&shared.turns).is_empty()).await;
    }

    #[tokio::test]
    async fn who_comes_just_after_an_answer_was_begun_shares_it() {
        let hour = Duration::from_secs(3600);
        let (shared, maker) = (Arc::new(SharedAnswers { turns: Arc::default(), fresh: hour }), Maker::default());
        let ask = || {
            let (shared, make) = (Arc::clone(&shared), maker.make());
            tokio::spawn(async move { shared.get("all", make).await })
        };
        let first = ask();
        until(|| maker.made.load(Ordering::Relaxed) == 1).await;
        let second = ask();
        until(|| locked(&shared.turns)["all"].making.as_ref().unwrap().1.upgrade().unwrap().receiver_count() == 2)
            .await;
        // The others wait on, whoever goes.
        first.abort();
        assert!(first.await.unwrap_err().is_cancelled());
        maker.gate.notify_one();
        assert_eq!(second.await.unwrap(), Some(1));
        assert_eq!(maker.made.load(Ordering::Relaxed), 1);
    }

    async fn until(condition: impl Fn() -> bool) {
        while !condition() {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn who_comes_while_an_answer_is_made_shares_the_next_one() {
        let (shared, maker) = (Arc::new(never_fresh()), Maker::default());
        let ask = || {
            let (shared, make) = (Arc::clone(&shared), maker.make());
            tokio::spawn(async move { shared.get("all", make).await })
        };
        let first = ask();
        until(|| maker.made.load(Ordering::Relaxed) == 1).await;
        let others: Vec<_> = (0..5).map(|_| ask()).collect();
        tokio::task::yield_now().await;
        maker.gate.notify_one();
        assert_eq!(first.await.unwrap(), Some(1));
        maker.gate.notify_one();
        for other in others {
            assert_eq!(other.await.unwrap(), Some(2));
        }
        until(|| locked(&shared.turns).is_empty()).await;
    }

    #[tokio::test]
    async fn one_that_takes_long_is_not_waited_for() {
        let (shared, maker) = (Arc::new(never_fresh()), Maker::default());
        let ask = || {
            let (shared, make) = (Arc::clone(&shared), maker.make());
            tokio::spawn(async move { shared.get("all", make).await })
        };
        let (first, second) = (ask(), {
            tokio::task::yield_now().await;
            until(|| maker.made.load(Ordering::Relaxed) == 1).await;
            ask()
        });
        until(|| maker.made.load(Ordering::Relaxed) == 2).await;
        maker.gate.notify_waiters();
        assert_eq!((first.await.unwrap(), second.await.unwrap()), (Some(1), Some(2)));
    }

    #[tokio::test]
    async fn what_nobody_waits_for_is_given_up_and_a_panic_is_nobodys_answer() {
        let (shared, maker) = (Arc::new(never_fresh()), Maker::default());
        let asking = tokio::spawn({
            let (shared, make) = (Arc::clone(&shared), maker.make());
            async move { shared.get("all", make).await }
        });
        until(|| maker.made.load(Ordering::Relaxed) == 1).await;
        asking.abort();
        until(|| locked(&shared.turns).is_empty()).await;
        let answer: Option<usize> = shared.get("all", || async { panic!("told to") }).await;
        assert_eq!(answer, None);
        maker.gate.notify_one();
        assert_eq!(shared.get("all", maker.make()).await, Some(2));
    }
}
