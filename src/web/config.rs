//! The web configuration in force: read again whenever a file of it has changed, without a restart. One that breaks
//! later closes the server: no request is answered under rules that can't be read.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hyper::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use rustls::ServerConfig;
use tokio::time::Instant;

use super::auth::{AuthOutcome, Passwords};
use super::{Response, tls};
use crate::parse::config_file::{ConfigFileError, MAX_FILE_BYTES};
use crate::parse::webconfig::{self, RateLimit, WebConfig};
use crate::pool::PoolError;
use crate::stamp::ReadStamp;
use crate::sync::locked;

/// Why a web configuration can't be in force.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file can't be read.
    #[error("{}: {source}; give the path of a web configuration file that the exporter's user can read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The OS error.
        source: io::Error,
    },
    /// It is wrong.
    #[error(transparent)]
    Wrong(#[from] ConfigFileError),
    /// A certificate or key that it names can't be used.
    #[error("{}: {problem}", path.display())]
    Tls {
        /// The file.
        path: PathBuf,
        /// What is wrong, and the remedy.
        problem: String,
    },
    /// The system does not have the thread for passwords.
    #[error(transparent)]
    Threads(#[from] PoolError),
}

/// The file of `--web.config.file`, followed.
pub struct ConfigFile {
    path: PathBuf,
    latest: Mutex<Latest>,
    passwords: Passwords,
    bucket: Mutex<Option<Bucket>>,
}

/// What was read last.
struct Latest {
    /// The files that it was read from, as they were then.
    files: Stamps,
    active: Option<Arc<Active>>,
}

impl Latest {
    /// Whether nothing can have changed since.
    fn holds(&self) -> bool {
        self.all_are(ReadStamp::holds_at)
    }

    /// Whether every file looks as it did then.
    fn looks_the_same(&self) -> bool {
        self.all_are(ReadStamp::looks_the_same_at)
    }

    fn all_are(&self, as_then: impl Fn(&ReadStamp, &Path) -> bool) -> bool {
        self.files.iter().all(|(path, stamp)| {
            stamp.as_ref().map_or_else(|| ReadStamp::at(path).is_err(), |stamp| as_then(stamp, path))
        })
    }
}

/// Files, as they were before they were read; none: not there.
type Stamps = Vec<(PathBuf, Option<ReadStamp>)>;

/// The configuration is broken; that has been logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Broken;

/// A configuration that is in force.
pub(super) struct Active {
    config: WebConfig,
    tls: Option<Arc<ServerConfig>>,
}

impl Active {
    /// What TLS connections begin with; none: clear text.
    pub(super) fn tls(&self) -> Option<Arc<ServerConfig>> {
        self.tls.clone()
    }

    /// The headers that every answer gets.
    pub(super) fn headers(&self) -> &[(HeaderName, HeaderValue)] {
        &self.config.headers
    }
}

impl ConfigFile {
    /// Reads the file and all that it names, logs what is in force only in part, and follows it from now on.
    ///
    /// # Errors
    /// When anything about it is wrong.
    pub fn load(path: &Path) -> Result<ConfigFile, ConfigError> {
        let (files, active) = read(path);
        let active = active?;
        active.warn(path);
        let latest = Mutex::new(Latest { files, active: Some(Arc::new(active)) });
        Ok(ConfigFile { path: path.to_owned(), latest, passwords: Passwords::start()?, bucket: Mutex::default() })
    }

    /// Reads the file and all that it names, once; returns what is in force only in part.
    ///
    /// # Errors
    /// When anything about it is wrong.
    pub fn check(path: &Path) -> Result<Vec<String>, ConfigError> {
        Ok(read(path).1?.config.warnings)
    }

    /// Whether TLS is configured at this moment.
    pub(super) fn has_tls(&self) -> bool {
        self.current().is_ok_and(|active| active.tls.is_some())
    }

    /// The configuration as the files are now.
    pub(super) fn current(&self) -> Result<Arc<Active>, Broken> {
        let mut latest = locked(&self.latest);
        if !latest.holds() {
            let (was_broken, looks_the_same) = (latest.active.is_none(), latest.looks_the_same());
            let (files, active) = read(&self.path);
            // What was written a moment ago is read at every request. That is logged once.
            let is_told = looks_the_same && active.is_err() == was_broken;
            let active = if is_told { active.ok().map(Arc::new) } else { self.tell(active, was_broken) };
            *latest = Latest { files, active };
        }
        latest.active.clone().ok_or(Broken)
    }

    fn tell(&self, active: Result<Active, ConfigError>, was_broken: bool) -> Option<Arc<Active>> {
        match active {
            Ok(active) => {
                tracing::info!(file = %self.path.display(), was_broken, "the web configuration was read again");
                active.warn(&self.path);
                Some(Arc::new(active))
            }
            Err(error) => {
                tracing::error!("{error}. Until that is fixed, every client is refused");
                None
            }
        }
    }

    /// The answer that refuses the request; none when it is allowed.
    pub(super) async fn refusal(&self, active: &Active, headers: &HeaderMap) -> Option<Response> {
        if let Some(limit) = active.config.rate_limit
            && !self.may_pass(limit)
        {
            return Some(Response::text(429, "Too many requests: rate_limit of the web configuration allows no more."));
        }
        if active.config.users.is_empty() {
            return None;
        }
        match self.passwords.judge(&active.config.users, headers.get(AUTHORIZATION)).await {
            AuthOutcome::Known => None,
            AuthOutcome::Unknown => {
                Some(Response::text(401, "Unauthorized.").with("www-authenticate", "Basic realm=\"campaign_exporter\""))
            }
            AuthOutcome::Busy => {
                Some(Response::text(429, "Too many passwords are being checked.").with("retry-after", "5"))
            }
        }
    }

    fn may_pass(&self, limit: RateLimit) -> bool {
        let mut bucket = locked(&self.bucket);
        if bucket.as_ref().is_none_or(|bucket| bucket.limit != limit) {
            *bucket = Some(Bucket::new(limit));
        }
        bucket.as_mut().is_none_or(|bucket| bucket.take(Instant::now()))
    }
}

impl Active {
    fn warn(&self, path: &Path) {
        for warning in &self.config.warnings {
            tracing::warn!(file = %path.display(), "the web configuration: {warning}");
        }
    }
}

/// Reads everything; the files that were looked at come along whatever the result.
fn read(path: &Path) -> (Stamps, Result<Active, ConfigError>) {
    // Before what they hold: a change meanwhile is seen the next time.
    let mut files = vec![(path.to_owned(), ReadStamp::at(path).ok())];
    let active = read_into(path, &mut files);
    (files, active)
}

fn read_into(path: &Path, files: &mut Stamps) -> Result<Active, ConfigError> {
    let bytes = read_file(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
    let mut config = webconfig::read(&bytes, path)?;
    let Some(settings) = &config.tls else { return Ok(Active { config, tls: None }) };
    files.extend(tls::files(settings).map(|path| (path.to_owned(), ReadStamp::at(path).ok())));
    let (server, warning) = tls::server_config(settings, config.http2)
        .map_err(|error| ConfigError::Tls { path: path.to_owned(), problem: error.to_string() })?;
    config.warnings.extend(warning);
    Ok(Active { config, tls: Some(server) })
}

/// The bytes of a regular file of limited size.
pub(super) fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    use rustix::fs::{Mode, OFlags};
    // A FIFO is not waited for.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    if file.metadata()?.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A token bucket.
struct Bucket {
    limit: RateLimit,
    tokens: f64,
    filled: Instant,
}

impl Bucket {
    fn new(limit: RateLimit) -> Bucket {
        Bucket { limit, tokens: f64::from(limit.burst), filled: Instant::now() }
    }

    fn take(&mut self, now: Instant) -> bool {
        let since: Duration = now - self.filled;
        self.filled = now;
        let more = since.as_secs_f64() / self.limit.interval.as_secs_f64();
        self.tokens = (self.tokens + more).min(f64::from(self.limit.burst));
        let may_pass = self.tokens >= 1.0;
        if may_pass {
            self.tokens -= 1.0;
        }
        may_pass
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_its_burst_and_then_one_in_each_interval() {
        let mut bucket = Bucket::new(RateLimit { interval: Duration::from_secs(1), burst: 3 });
        let start = bucket.filled;
        let mut passed = |after: u64| (0..10).filter(|_| bucket.take(start + Duration::from_millis(after))).count();
        assert_eq!((passed(0), passed(1500), passed(61_500)), (3, 1, 3));
    }
}
