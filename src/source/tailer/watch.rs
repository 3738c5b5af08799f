//! Hints that files have changed, and the sleep that they end.
//!
//! Nothing depends on a hint: one that is late, lost, doubled or wrong costs time, not lines.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::sync::locked;
use notify::event::{EventKind, ModifyKind};
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};

/// The most paths that are remembered; beyond it everything is to be looked at.
const MAX_PATHS: usize = 20_000;

/// What was said of one path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Touch {
    /// How many events there were.
    pub events: u32,
    /// Whether a name came, went or changed its rights, and not only a file's content.
    pub name: bool,
}

/// What was hinted since the last call.
#[derive(Debug, Default)]
pub struct Hinted {
    /// Events were lost: look at everything.
    pub everything: bool,
    /// What was said, by path.
    pub touched: HashMap<PathBuf, Touch>,
    /// The reader is to end.
    pub stop: bool,
    /// Whether the reader sleeps until there is a hint: else it needs no signal.
    listens: bool,
}

/// Where hints and orders for the reader come in.
#[derive(Debug, Default)]
pub struct Wake {
    pending: Mutex<Hinted>,
    signal: Condvar,
}

impl Wake {
    fn pending(&self) -> MutexGuard<'_, Hinted> {
        locked(&self.pending)
    }

    /// What came in since the last time; an order to stop stays.
    pub fn take(&self) -> Hinted {
        let mut pending = self.pending();
        let stop = pending.stop;
        let taken = std::mem::take(&mut *pending);
        pending.stop = stop;
        taken
    }

    /// Something happened at `path`.
    pub fn touch(&self, path: &Path, name: bool) {
        let mut pending = self.pending();
        if let Some(touch) = pending.touched.get_mut(path) {
            touch.events = touch.events.saturating_add(1);
            touch.name |= name;
        } else if pending.touched.len() < MAX_PATHS {
            pending.touched.insert(path.to_owned(), Touch { events: 1, name });
        } else {
            pending.everything = true;
        }
        self.signal_if_heard(pending);
    }

    /// Anything may have happened.
    pub fn touch_everything(&self) {
        let mut pending = self.pending();
        pending.everything = true;
        self.signal_if_heard(pending);
    }

    fn signal_if_heard(&self, mut pending: MutexGuard<'_, Hinted>) {
        if std::mem::take(&mut pending.listens) {
            drop(pending);
            self.signal.notify_one();
        }
    }

    /// The reader is to end.
    pub fn stop(&self) {
        self.pending().stop = true;
        self.signal.notify_one();
    }

    /// Sleeps for `at_least`, whatever is hinted, and from then on until there is a hint, but not longer than `at_most`
    /// altogether. An order ends the sleep at once. Whether the reader is to go on.
    pub fn sleep(&self, at_least: Duration, at_most: Duration) -> bool {
        let begin = Instant::now();
        let mut pending = self.pending();
        loop {
            if pending.stop {
                return false;
            }
            let slept = begin.elapsed();
            let hinted = pending.everything || !pending.touched.is_empty();
            let until = if hinted { at_least } else { at_most.max(at_least) };
            let Some(left) = until.checked_sub(slept).filter(|left| !left.is_zero()) else { return true };
            // While it must sleep anyway, hints are left to gather.
            pending.listens = slept >= at_least;
            if !pending.listens {
                pending = self.wait(pending, (at_least - slept).min(left));
                continue;
            }
            pending = self.wait(pending, left);
            pending.listens = false;
        }
    }

    fn wait<'a>(&self, pending: MutexGuard<'a, Hinted>, limit: Duration) -> MutexGuard<'a, Hinted> {
        self.signal.wait_timeout(pending, limit).unwrap_or_else(PoisonError::into_inner).0
    }
}

/// Where hints come from.
pub enum Watch {
    /// The kernel.
    Kernel(RecommendedWatcher),
    /// Nowhere, or a test by [`Wake::touch`]: directories are polled.
    Nobody,
    /// A test, by [`Wake::touch`]: directories count as watched.
    Test,
}

impl Watch {
    /// Asks the kernel for hints. Without the means (the limit of inotify instances or of threads is reached) there are none.
    #[must_use]
    pub fn kernel(wake: Arc<Wake>) -> Self {
        // The watcher starts a thread of its own, and does not look whether there is one.
        if let Err(error) = std::thread::Builder::new().spawn(|| {}) {
            tracing::warn!(%error, "no hints of changes from the kernel: log files are polled; raise the limit of processes of this user (ulimit -u, TasksMax)");
            return Watch::Nobody;
        }
        match notify::recommended_watcher(move |event: notify::Result<Event>| heard(&wake, event)) {
            Ok(watcher) => Watch::Kernel(watcher),
            Err(error) => {
                tracing::warn!(%error, "no hints of changes from the kernel: log files are polled; raise fs.inotify.max_user_instances (sysctl)");
                Watch::Nobody
            }
        }
    }

    /// Asks for hints about what is directly below `directory`. Whether there will be any.
    pub fn add(&mut self, directory: &Path) -> bool {
        match self {
            Watch::Kernel(watcher) => watcher.watch(directory, RecursiveMode::NonRecursive).is_ok(),
            Watch::Nobody => false,
            Watch::Test => true,
        }
    }

    /// Asks for no more hints about `directory`.
    pub fn remove(&mut self, directory: &Path) {
        if let Watch::Kernel(watcher) = self {
            // It fails when the directory is gone, and the watch with it.
            let _ = watcher.unwatch(directory);
        }
    }
}

fn heard(wake: &Wake, event: notify::Result<Event>) {
    let Ok(event) = event else { return wake.touch_everything() };
    if event.need_rescan() {
        return wake.touch_everything();
    }
    let name = match event.kind {
        // Our own reads cause events, too.
        EventKind::Access(_) => return,
        EventKind::Modify(ModifyKind::Data(_)) => false,
        _ => true,
    };
    for path in &event.paths {
        wake.touch(path, name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_gather_until_they_are_taken() {
        let wake = Wake::default();
        wake.touch(Path::new("/a"), false);
        wake.touch(Path::new("/a"), true);
        wake.touch(Path::new("/a"), false);
        let pending = wake.take();
        assert_eq!(pending.touched[Path::new("/a")], Touch { events: 3, name: true });
        assert!(wake.take().touched.is_empty());
    }

    #[test]
    fn too_many_hints_mean_everything() {
        let wake = Wake::default();
        for number in 0..=MAX_PATHS {
            wake.touch(Path::new(&number.to_string()), false);
        }
        assert!(wake.take().everything);
    }

    #[test]
    fn an_order_ends_the_sleep_and_a_hint_does_after_the_least() {
        let hour = Duration::from_secs(3600);
        let wake = Wake::default();
        wake.touch(Path::new("/a"), false);
        assert!(wake.sleep(Duration::ZERO, hour));
        wake.take();
        assert!(wake.sleep(Duration::ZERO, Duration::ZERO));
        wake.stop();
        wake.take();
        assert!(!wake.sleep(hour, hour));
    }

    #[test]
    fn the_kernel_tells_of_what_changes_below_a_directory() {
        let directory = tempfile::tempdir().unwrap();
        let wake = Arc::new(Wake::default());
        let mut watch = Watch::kernel(Arc::clone(&wake));
        assert!(watch.add(directory.path()));
        let path = directory.path().join("x.log");
        std::fs::write(&path, "x").unwrap();
        let limit = Instant::now() + Duration::from_secs(20);
        let mut heard = Touch::default();
        while !(heard.name && heard.events > 1) {
            assert!(Instant::now() < limit, "{heard:?}");
            wake.sleep(Duration::ZERO, Duration::from_secs(20));
            if let Some(touch) = wake.take().touched.get(&path) {
                heard = Touch { events: heard.events + touch.events, name: heard.name | touch.name };
            }
        }
    }
}
