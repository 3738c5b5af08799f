//! The places for connections, and which is cut off when there are too few places, or too many unread bytes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::Notify;
use tokio::time::Instant;

use super::phase::Phase;
use crate::sync::locked;

/// The places for connections.
pub(super) struct Slots {
    most: usize,
    most_unread: usize,
    taken: Mutex<Taken>,
    /// Notified when a place is given back, or could be taken from its connection.
    freed: Arc<Notify>,
}

#[derive(Default)]
struct Taken {
    next: u64,
    /// In the order of arrival.
    phases: BTreeMap<u64, Arc<Phase>>,
}

impl Taken {
    /// Cuts off the oldest that lingers, else the oldest that has never sent a request, else the one that has been idle
    /// for longest, else the one that has read nothing of its answer for longest; false when there is none.
    fn make_room(&mut self) -> bool {
        let oldest =
            |may_go: fn(&Phase) -> bool| self.phases.iter().find(|(_, phase)| may_go(phase)).map(|(number, _)| *number);
        let found = oldest(Phase::lingers).or_else(|| oldest(Phase::has_never_asked));
        let found = found.or_else(|| self.most_idle()).or_else(|| self.slowest_reader());
        found.is_some_and(|number| self.cut(number))
    }

    fn most_idle(&self) -> Option<u64> {
        let waiting = self.phases.iter().filter(|(_, phase)| phase.is_waiting());
        waiting.min_by_key(|(_, phase)| phase.since()).map(|(number, _)| *number)
    }

    fn slowest_reader(&self) -> Option<u64> {
        let unread = self.phases.iter().filter(|(_, phase)| phase.is_unread());
        unread.min_by_key(|(_, phase)| phase.last_progress()).map(|(number, _)| *number)
    }

    fn cut(&mut self, number: u64) -> bool {
        let Some(phase) = self.phases.remove(&number) else { return false };
        phase.cut();
        true
    }

    /// Cuts off the slowest readers until no more than `most` bytes wait to be read; a single one may have more.
    fn bound_unread(&mut self, most: usize) {
        let unread = self.phases.values().filter(|phase| phase.is_unread());
        let (mut readers, mut bytes) =
            unread.fold((0_usize, 0_usize), |(readers, sum), phase| (readers + 1, sum + phase.unread_bytes()));
        while bytes > most && readers > 1 {
            let Some(slowest) = self.slowest_reader() else { return };
            bytes -= self.phases.get(&slowest).map_or(0, |phase| phase.unread_bytes());
            readers -= 1;
            self.cut(slowest);
        }
    }
}

impl Slots {
    pub(super) fn new(most: usize, most_unread: usize) -> Arc<Self> {
        Arc::new(Self { most: most.max(1), most_unread, taken: Mutex::default(), freed: Arc::default() })
    }

    /// The phase of a new connection, which reports when it may be cut off.
    pub(super) fn phase(&self) -> Arc<Phase> {
        Arc::new(Phase::new(Arc::clone(&self.freed)))
    }

    /// A place for a new connection: when all are taken, that of one that can be cut off, and where all are being
    /// answered, the first that becomes free.
    pub(super) async fn take(self: &Arc<Self>, phase: &Arc<Phase>) -> ConnectionSlot {
        loop {
            {
                let mut taken = self.taken();
                if taken.phases.len() < self.most || taken.make_room() {
                    let number = taken.next;
                    taken.next += 1;
                    taken.phases.insert(number, Arc::clone(phase));
                    return ConnectionSlot { number, slots: Arc::clone(self) };
                }
            }
            self.freed.notified().await;
        }
    }

    /// When the oldest connection that has never sent a request was opened.
    pub(super) fn first_silent(&self) -> Option<Instant> {
        self.taken().phases.values().find(|phase| phase.has_never_asked()).map(|phase| phase.opened())
    }

    /// Ends one connection where that can be done, for its descriptor; false when there is none.
    pub(super) fn make_room(&self) -> bool {
        self.taken().make_room()
    }

    /// An answer could not be written at once: bounds what all clients together leave unread.
    pub(super) fn bound_unread(&self) {
        self.taken().bound_unread(self.most_unread);
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        locked(&self.taken)
    }
}

/// A place taken; given back when dropped.
pub(super) struct ConnectionSlot {
    number: u64,
    slots: Arc<Slots>,
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        self.slots.taken().phases.remove(&self.number);
        // The permit is kept for a task that has checked but does not wait yet.
        self.slots.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    async fn is_cut(phase: &Phase) -> bool {
        tokio::time::timeout(Duration::ZERO, phase.is_cut()).await.is_ok()
    }

    /// A connection with an answer of `bytes` unread bytes.
    fn unread(phase: &Phase, bytes: usize) {
        phase.begin();
        phase.answered(bytes);
    }

    #[tokio::test]
    async fn who_is_cut_off_is_who_asks_nothing_before_who_reads_slowly_and_never_who_is_being_answered() {
        let slots = Slots::new(4, usize::MAX);
        let phases: Vec<_> = (0..5).map(|_| slots.phase()).collect();
        let mut held = Vec::new();
        for phase in &phases[..4] {
            held.push(slots.take(phase).await);
        }
        let [answering, reading, waiting, lingering, new] = &phases[..] else { unreachable!() };
        answering.begin();
        unread(reading, 10);
        lingering.linger();
        for expected in [lingering, waiting, reading] {
            slots.make_room();
            assert!(is_cut(expected).await);
        }
        slots.make_room();
        assert!(!is_cut(answering).await);
        drop(held);
        drop(slots.take(new).await);
    }

    #[tokio::test]
    async fn what_all_leave_unread_is_bounded_by_cutting_the_slowest_and_one_alone_may_have_more() {
        let slots = Slots::new(10, 100);
        let phases: Vec<_> = (0..3).map(|_| slots.phase()).collect();
        let mut held = Vec::new();
        for phase in &phases {
            held.push(slots.take(phase).await);
            unread(phase, 60);
        }
        // Times differ by at least a millisecond.
        while phases[0].last_progress().elapsed() < Duration::from_millis(5) {
            tokio::task::yield_now().await;
        }
        phases[0].progressed();
        slots.bound_unread();
        let mut cut = Vec::new();
        for phase in &phases {
            cut.push(is_cut(phase).await);
        }
        assert_eq!(cut, [false, true, true], "the first still reads");
        unread(&phases[0], 1000);
        slots.bound_unread();
        assert!(!is_cut(&phases[0]).await);
    }
}
