//! The web configuration in force: read again whenever a file of it has changed, without a restart. One that breaks
//! later, or no longer requires what it did, closes the server: a half-written file lets nobody in.

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
use crate::parse::webconfig::{self, RateLimit, TlsSettings, WebConfig};
use crate::pool::PoolError;
use crate::stamp::ReadStamp;
use crate::sync::locked;

/// Why a web configuration can't be in force.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file can't be read.
    #[error("{}: {source}; the web configuration has to be a regular file that the exporter's user can read", path.display())]
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
    /// It would let in clients that were refused before.
    #[error("{}: the file no longer requires {dropped}; write that again, or restart the exporter to serve without", path.display())]
    Weaker {
        /// The file.
        path: PathBuf,
        /// What is no longer required.
        dropped: String,
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
    /// The last that was not broken.
    active: Arc<Active>,
    is_broken: bool,
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

/// Something that a configuration may require of clients.
struct Requirement {
    /// What it is, and its key.
    name: &'static str,
    is_in: fn(&WebConfig) -> bool,
}

/// None of them is dropped before a restart.
const REQUIREMENTS: [Requirement; 3] = [
    Requirement { name: "TLS (tls_server_config)", is_in: |config| config.tls.is_some() },
    Requirement {
        name: "client certificates (client_auth_type)",
        is_in: |config| config.tls.as_ref().is_some_and(TlsSettings::requires_client_certificate),
    },
    Requirement { name: "passwords (basic_auth_users)", is_in: |config| !config.users.is_empty() },
];

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
        let latest = Mutex::new(Latest { files, active: Arc::new(active), is_broken: false });
        Ok(ConfigFile { path: path.to_owned(), latest, passwords: Passwords::start()?, bucket: Mutex::default() })
    }

    /// Reads the file and all that it names, once; returns what is in force only in part.
    ///
    /// # Errors
    /// When anything about it is wrong.
    pub fn check(path: &Path) -> Result<Vec<String>, ConfigError> {
        Ok(read(path).1?.config.warnings)
    }

    /// Whether every connection needs TLS, also while the configuration is broken.
    pub(super) fn requires_tls(&self) -> bool {
        locked(&self.latest).active.tls.is_some()
    }

    /// The configuration as the files are now.
    pub(super) fn current(&self) -> Result<Arc<Active>, Broken> {
        let mut latest = locked(&self.latest);
        if !latest.holds() {
            let (was_broken, looks_the_same) = (latest.is_broken, latest.looks_the_same());
            let (files, active) = read(&self.path);
            let active = active.and_then(|active| active.instead_of(&latest.active, &self.path));
            // What was written a moment ago is read at every request. That is logged once.
            if !looks_the_same || active.is_err() != was_broken {
                self.tell(&active, was_broken);
            }
            (latest.files, latest.is_broken) = (files, active.is_err());
            if let Ok(active) = active {
                latest.active = Arc::new(active);
            }
        }
        if latest.is_broken { Err(Broken) } else { Ok(Arc::clone(&latest.active)) }
    }

    fn tell(&self, active: &Result<Active, ConfigError>, was_broken: bool) {
        match active {
            Ok(active) => {
                tracing::info!(file = %self.path.display(), was_broken, "the web configuration was read again");
                active.warn(&self.path);
            }
            Err(error) => tracing::error!("{error}. Until that is fixed, every client is refused"),
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
    /// This one, where it requires all that `former` did.
    fn instead_of(self, former: &Active, path: &Path) -> Result<Active, ConfigError> {
        let is_dropped = |what: &&Requirement| (what.is_in)(&former.config) && !(what.is_in)(&self.config);
        let dropped: Vec<_> = REQUIREMENTS.iter().filter(is_dropped).map(|what| what.name).collect();
        if dropped.is_empty() {
            return Ok(self);
        }
        Err(ConfigError::Weaker { path: path.to_owned(), dropped: dropped.join(" or ") })
    }

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
    // A pipe without a writer or /dev/null would be an empty file.
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
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
    use std::fs;

    use rustix::fs::{CWD, mkfifoat};

    use super::*;
    use crate::logging::Page;

    /// Every requirement, in a folder with the certificate and key that it names.
    fn guarded(folder: &Path) -> String {
        let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        fs::write(folder.join("server.crt"), pair.cert.pem()).unwrap();
        fs::write(folder.join("server.key"), pair.signing_key.serialize_pem()).unwrap();
        format!("{TLS}, client_auth_type: RequireAnyClientCert}}\n{USERS}")
    }

    const TLS: &str = "tls_server_config: {cert_file: server.crt, key_file: server.key";
    const USERS: &str = "basic_auth_users: {a: $2y$10$2UXri9cIDdgeKjBo4Rlpx.U3ZLDV8X1IxKmsfOvhcM5oXQt/mLmXq}\n";

    /// What the next request gets, and what the log says, once `text` is the file.
    fn after(file: &ConfigFile, text: &str) -> (bool, String) {
        let page = Page::default();
        let new = file.path.with_extension("new");
        fs::write(&new, text).unwrap();
        fs::rename(new, &file.path).unwrap();
        let is_broken = tracing::subscriber::with_default(page.subscriber(), || {
            assert_eq!(file.current().is_err(), file.current().is_err());
            file.current().is_err()
        });
        (is_broken, page.take())
    }

    #[test]
    fn what_was_required_is_required_until_the_exporter_is_restarted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("web.yml");
        let whole = guarded(folder.path());
        fs::write(&path, &whole).unwrap();
        let file = ConfigFile::load(&path).unwrap();
        let all = "TLS (tls_server_config) or client certificates (client_auth_type) or passwords (basic_auth_users); \
                   write that again, or restart the exporter to serve without. Until that is fixed, every client is refused";
        for (text, says) in [
            (String::new(), all),
            ("# nothing\n\n---\n".into(), all),
            ("{}\n".into(), all),
            ("basic_auth_users:\n".into(), all),
            ("rate_limit: {interval: 1h, burst: 2}\n".into(), all),
            (USERS.into(), "requires TLS (tls_server_config) or client certificates (client_auth_type); write"),
            (format!("{TLS}}}\n{USERS}"), "requires client certificates (client_auth_type); write"),
            (
                format!("{TLS}, client_auth_type: VerifyClientCertIfGiven}}\n{USERS}"),
                "requires client certificates (client_auth_type); write",
            ),
            (format!("{}\n", whole.lines().next().unwrap()), "requires passwords (basic_auth_users); write"),
        ] {
            let (is_broken, log) = after(&file, &text);
            assert!(is_broken && file.requires_tls(), "{text}");
            assert!(log.contains("level=error") && log.matches(says).count() == 1, "{text}: {log}");
            let (is_broken, log) = after(&file, &whole);
            assert!(!is_broken && log.contains("was read again") && !log.contains("level=error"), "{text}: {log}");
        }
        fs::write(&path, "").unwrap();
        assert!(ConfigFile::load(&path).is_ok(), "an empty file at the start requires nothing");
    }

    #[test]
    fn what_was_added_later_is_required_from_then_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("web.yml");
        let whole = guarded(folder.path());
        fs::write(&path, "").unwrap();
        let file = ConfigFile::load(&path).unwrap();
        assert!(!after(&file, "{}").0 && !file.requires_tls());
        assert!(!after(&file, &whole).0 && file.requires_tls());
        assert!(after(&file, "{}").0 && file.requires_tls());
    }

    #[test]
    fn a_web_configuration_that_is_no_regular_file_is_broken() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("web.yml");
        for text in [USERS, ""] {
            fs::write(&path, text).unwrap();
            let file = ConfigFile::load(&path).unwrap();
            let replacements: [(&str, &dyn Fn()); 2] = [
                ("a FIFO", &|| mkfifoat(CWD, &path, 0o600.into()).unwrap()),
                ("a link to a device", &|| std::os::unix::fs::symlink("/dev/null", &path).unwrap()),
            ];
            for (what, put) in replacements {
                fs::remove_file(&path).unwrap();
                put();
                let error = ConfigFile::check(&path).expect_err(what).to_string();
                assert!(error.contains("web.yml: not a regular file; the web configuration has to be"), "{error}");
                assert!(file.current().is_err(), "{what}");
            }
            fs::remove_file(&path).unwrap();
            fs::write(folder.path().join("real.yml"), text).unwrap();
            std::os::unix::fs::symlink("real.yml", &path).unwrap();
            assert!(file.current().is_ok(), "a link to a regular file");
            fs::remove_file(&path).unwrap();
        }
    }

    #[test]
    fn a_bucket_gives_its_burst_and_then_one_in_each_interval() {
        let mut bucket = Bucket::new(RateLimit { interval: Duration::from_secs(1), burst: 3 });
        let start = bucket.filled;
        let mut passed = |after: u64| (0..10).filter(|_| bucket.take(start + Duration::from_millis(after))).count();
        assert_eq!((passed(0), passed(1500), passed(61_500)), (3, 1, 3));
    }
}
