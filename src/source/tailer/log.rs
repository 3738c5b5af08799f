//! One log of a [`Tailer`](super::Tailer): how far it has been taken up, and what is different from what was stored of it.

use std::ffi::OsString;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::follow::LogFollower;
use super::kind::LogKind;
use super::{Difference, GATHER};
use crate::source::kit::Miss;

/// How long after its last growth a log counts as being written.
const HOT: Duration = Duration::from_secs(5);

/// How far a log has been taken up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// It was not looked at.
    New,
    /// Its last lines are still to be read, for the time of its last message.
    Glance,
    /// It is followed.
    Followed,
}

/// One log that is followed.
pub struct Log<K: LogKind> {
    pub(super) folder: usize,
    pub(super) name: OsString,
    pub(super) follower: LogFollower,
    pub(super) reading: K::Reading,
    pub(super) stage: Stage,
    /// Whether a file of it was there when its folder was last listed.
    pub(super) is_listed: bool,
    /// Whether it is to be looked at.
    pub(super) dirty: bool,
    /// Whether its file is a symbolic link, so that hints of the folder do not cover writes.
    pub(super) link: bool,
    pub(super) grew: Option<Instant>,
    pub(super) gone_since: Option<Instant>,
    /// The trouble that was logged last.
    pub(super) told: Option<Miss>,
    /// How different it is from what was stored.
    pub(super) unstored: Difference,
    pub(super) shown: Option<Arc<K::Shown>>,
}

impl<K: LogKind> Log<K> {
    pub(super) fn is_hot(&self, now: Instant) -> bool {
        self.grew.is_some_and(|grew| now.saturating_duration_since(grew) < HOT)
    }

    /// Whether it is being written right now: then its rotation must be seen at once, hints or not.
    pub(super) fn is_busy(&self, now: Instant) -> bool {
        self.grew.is_some_and(|grew| now.saturating_duration_since(grew) < 2 * GATHER)
    }

    pub(super) fn differs(&mut self, difference: Difference) {
        self.unstored = self.unstored.max(difference);
        self.shown = None;
    }

    /// Logs once that the log can't be read, and once that it can again.
    pub(super) fn tell_trouble(&mut self) {
        let trouble = self.follower.trouble();
        if std::mem::replace(&mut self.told, trouble) == trouble {
            return;
        }
        let path = self.follower.current().display();
        match trouble {
            Some(trouble) => tracing::warn!(%path, reason = reason(trouble), "can't follow the log; it is tried again"),
            None => tracing::info!(%path, "the log can be followed again"),
        }
    }
}

/// Why a log can't be followed, as the label `reason`.
#[must_use]
pub const fn reason(miss: Miss) -> &'static str {
    match miss {
        Miss::Denied => "permission",
        Miss::NotAFile => "not_a_file",
        Miss::Limit => "limit",
        Miss::Gone | Miss::Failed => "failure",
    }
}
