//! One configuration file: read when it looks different, its last good content, and what is wrong with it.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tracing::Level;

use super::{Failure, Notice};
use crate::parse::conf::{ConfError, ServerConf};
use crate::source::kit::Miss;
use crate::source::kit::files::read_regular;
use crate::stamp::FileStamp;

/// The most bytes that a configuration file may have.
pub const MAX_FILE_BYTES: u64 = 8 * 1024 * 1024;

/// How a file looked when it was read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// It is to be read in any case.
    Unread,
    /// Like this, once: it is read again although it looks the same, because a write within the same tick of the clock
    /// doesn't show.
    Once(FileStamp),
    /// Like this, twice in a row.
    Twice(FileStamp),
}

/// One file.
pub(super) struct Followed {
    /// Its name as the file system has it.
    pub(super) name: OsString,
    pub(super) seen: Seen,
    /// Whether it was missed at the last look.
    pub(super) missed: bool,
    pub(super) conf: Option<Arc<ServerConf>>,
    pub(super) last_success: Option<SystemTime>,
    pub(super) failure: Option<(Failure, String)>,
}

impl Followed {
    pub(super) fn new(name: &OsStr) -> Followed {
        Followed {
            name: name.to_owned(),
            seen: Seen::Unread,
            missed: false,
            conf: None,
            last_success: None,
            failure: None,
        }
    }

    /// Whether another look should come soon: the file is new to us, or missed for the first time.
    pub(super) fn must_be_confirmed(&self) -> bool {
        let is_known_gone = matches!(self.failure, Some((Failure::Gone, _)));
        matches!(self.seen, Seen::Once(_)) || self.missed && !is_known_gone
    }

    /// Whether it was certainly written or put there after `time`, since 1970-01-01 UTC.
    pub(super) fn is_after(&self, time: Duration) -> bool {
        let (Seen::Once(seen) | Seen::Twice(seen)) = self.seen else { return false };
        seen.is_after(time.as_secs())
    }

    /// Looks at the file and reads it when it looks different; whether anything about it is different then.
    pub(super) fn check(&mut self, path: &Path, now: SystemTime, notices: &mut Vec<Notice>) -> bool {
        let signature = match FileStamp::at(path) {
            Ok(stamp) => stamp,
            Err(error) => {
                let error = FileError::from(error);
                let is_first_miss = matches!(error, FileError::Gone) && !self.missed && self.last_success.is_some();
                self.missed = matches!(error, FileError::Gone);
                return !is_first_miss && self.fail(&error, path, notices);
            }
        };
        self.missed = false;
        if self.seen == Seen::Twice(signature) {
            return false;
        }
        let looks_the_same = self.seen == Seen::Once(signature);
        // What it looked like before it was read: what is written meanwhile is a difference the next time.
        self.seen = if looks_the_same { Seen::Twice(signature) } else { Seen::Once(signature) };
        match read_regular(path, MAX_FILE_BYTES)
            .map_err(FileError::from)
            .and_then(|bytes| Ok(ServerConf::parse(&bytes)?))
        {
            Ok(conf) => self.succeed(conf, looks_the_same, now, path, notices),
            Err(error) => self.fail(&error, path, notices),
        }
    }

    fn succeed(
        &mut self,
        conf: ServerConf,
        looks_the_same: bool,
        now: SystemTime,
        path: &Path,
        notices: &mut Vec<Notice>,
    ) -> bool {
        let was_failing = self.failure.take().is_some();
        let is_different = self.conf.as_deref() != Some(&conf);
        if looks_the_same && !is_different && !was_failing {
            return false;
        }
        let mut notice = |level, message| notices.push(Notice { level, path: path.to_owned(), message });
        if is_different || was_failing {
            notice(Level::INFO, "the configuration file is in force".to_owned());
        }
        if is_different {
            for warning in conf.warnings() {
                notice(Level::WARN, warning.to_string());
            }
            if conf.more_warnings() > 0 {
                notice(Level::WARN, format!("{} more values were not understood", conf.more_warnings()));
            }
            self.conf = Some(Arc::new(conf));
        }
        self.last_success = Some(now);
        true
    }

    fn fail(&mut self, error: &FileError, path: &Path, notices: &mut Vec<Notice>) -> bool {
        if error.is_of_the_surroundings() {
            self.seen = Seen::Unread;
        }
        let failure = Some((error.failure(), error.to_string()));
        if self.failure == failure {
            return false;
        }
        let in_force =
            if self.conf.is_some() { "its last good content stays in force" } else { "nothing of it is in force" };
        let message = format!("the configuration file can't be used, {in_force}: {error}");
        notices.push(Notice { level: Level::ERROR, path: path.to_owned(), message });
        self.failure = failure;
        true
    }
}

/// Why a file can't be put in force.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileError {
    #[error("the file is gone: restore it")]
    Gone,
    #[error("permission denied: let the exporter's user read it, for example as a member of the file's group")]
    Permission,
    #[error("not a regular file: put one in its place")]
    NotRegular,
    #[error("the file has more than {MAX_FILE_BYTES} bytes: remove what doesn't belong there")]
    TooLarge,
    #[error("{0}: check the file system")]
    Io(io::Error),
    #[error("{0}")]
    Conf(#[from] ConfError),
}

impl From<io::Error> for FileError {
    fn from(error: io::Error) -> Self {
        match (Miss::from(&error), error.kind()) {
            (Miss::Gone, _) => FileError::Gone,
            (Miss::Denied, _) => FileError::Permission,
            (Miss::NotAFile, _) => FileError::NotRegular,
            (_, io::ErrorKind::FileTooLarge) => FileError::TooLarge,
            _ => FileError::Io(error),
        }
    }
}

impl FileError {
    pub(super) fn failure(&self) -> Failure {
        match self {
            FileError::Gone => Failure::Gone,
            FileError::Permission => Failure::Permission,
            _ => Failure::Unusable,
        }
    }

    /// Whether it may pass without the file itself looking different.
    fn is_of_the_surroundings(&self) -> bool {
        matches!(self, FileError::Gone | FileError::Permission | FileError::NotRegular | FileError::Io(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_denied_file_is_told_once_and_tried_again_at_every_look() {
        let path = Path::new("config-prod.xml");
        let mut file = Followed::new(path.as_os_str());
        let mut notices = Vec::new();
        file.seen = Seen::Twice(FileStamp::at(Path::new("/")).unwrap());
        for is_first in [true, false, false] {
            let error = FileError::from(io::Error::from(io::ErrorKind::PermissionDenied));
            assert_eq!(file.fail(&error, path, &mut notices), is_first);
            assert!(file.seen == Seen::Unread);
        }
        let message = "the configuration file can't be used, nothing of it is in force: permission denied: let the \
            exporter's user read it, for example as a member of the file's group";
        let expected = Notice { level: Level::ERROR, path: path.to_owned(), message: message.to_owned() };
        assert_eq!(notices, [expected]);
        assert_eq!(file.failure.unwrap().0, Failure::Permission);
    }
}
