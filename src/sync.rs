//! Takes locks that a panic has poisoned.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Takes the lock, also after a thread has panicked with it: what the exporter locks is replaced as a whole or read anew
/// each time, so that it is sound at every moment.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
