//! Asks the targets on its own schedule, in the background, and keeps the last result of each probe for the scrapes.
//!
//! No probe is made more often than the product's documentation allows, whatever requests it; one that still runs is
//! not started again; few run at once. The collectors interpret the results.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Read};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;

use super::http::{Answer, Client, Endpoint, EndpointError, RequestFailure, Token, TokenError};
use super::installation::Installation;
use super::kit::files::open_regular;
use crate::catalog::attributes::{Attribute, PIPELINED_PORT};
use crate::catalog::modules::DEFAULT_INSTANCE;
use crate::catalog::signals::probes::{
    LOCAL_TARGET, PIPELINED_MODULE, Probe, Reason, SERVING_MODULE, SERVING_PORT_CHECK,
};
use crate::parse::conf::Settings;
use crate::parse::config_file::{ConfigFileError, MAX_FILE_BYTES};
use crate::parse::reply::{self, MessageCenter, Pipelined, Redirection, ReplyError};
use crate::parse::targets::{self, ProbeSettings, Target};
use crate::pool::{Pool, PoolError};
use crate::sync::locked;

/// How many probes run at once: all there are, within these bounds, so that some that hang don't keep the others from
/// being made before their results are stale.
const CONCURRENCY: RangeInclusive<usize> = 8..=64;

/// The first round is spread over this time, or over the interval when that is shorter.
const FIRST_ROUND: Duration = Duration::from_secs(5);

/// A result older than this many intervals (and the time limit) is stale.
const INTERVALS_BEFORE_STALE: u32 = 3;

/// Probes that can't be made as they are configured.
#[derive(Debug, thiserror::Error)]
pub enum ProbesError {
    /// The configuration file can't be read.
    #[error("{}: {source}; give the path of the configuration file that the exporter's user can read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The configuration file is wrong.
    #[error(transparent)]
    Targets(#[from] ConfigFileError),
    /// A target can't be probed.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// The system does not have the threads.
    #[error(transparent)]
    Threads(#[from] PoolError),
    /// A session token can't be used.
    #[error("target {target}: {source}")]
    Token {
        /// The target.
        target: String,
        /// Why.
        source: TokenError,
    },
}

/// A probe that was asked for and is not configured.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownProbe {
    /// No target has this name.
    #[error("no target of this name is configured; --config.file names them")]
    Target,
    /// The target does not have this probe.
    #[error("the target has no such probe; it has: {}", .0.join(", "))]
    Probe(Vec<&'static str>),
    /// The target does not serve it, or the answer was lost.
    #[error("there is no result")]
    NoResult,
}

/// What came back.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// `/r/test` answered OK.
    Redirection(Redirection),
    /// `ping.jsp` answered OK.
    Ping,
    /// `mcPing.jsp` answered, OK or not.
    MessageCenter(MessageCenter),
    /// The pipelined status page answered.
    Pipelined(Pipelined),
}

/// One run of a probe.
#[derive(Clone, Debug)]
pub struct ProbeRun {
    /// When it started.
    pub started: SystemTime,
    /// How long it took.
    pub duration: Duration,
    /// The HTTP status, when there was an answer.
    pub status: Option<u16>,
    /// Why it failed; none when all is well.
    pub failure: Option<Reason>,
    /// What was understood; also there when the answer reports an error with values.
    pub reply: Option<Reply>,
}

/// What is known of one probe of one target at this moment.
#[derive(Clone, Debug)]
pub struct View {
    /// The target.
    pub target: Arc<Target>,
    /// The probe.
    pub probe: Probe,
    /// The last run; none before the first.
    pub last: Option<ProbeRun>,
    /// Whether the last run is too old to judge by: the schedule is stuck.
    pub stale: bool,
    /// Runs since the exporter started.
    pub runs: u64,
    /// Failed runs since the exporter started, by reason, in the order of [`Reason::ALL`].
    pub failures: [u64; Reason::ALL.len()],
}

/// The probes of this exporter.
#[derive(Debug)]
pub struct Probes {
    places: Places,
    at_once: Arc<Semaphore>,
}

enum Places {
    /// The configuration file's.
    Configured { entries: Mutex<Vec<Arc<ScheduledProbe>>>, replaced: Notify },
    /// What there is on this host, as the function says at each moment.
    Local { find: Box<dyn Fn() -> Vec<Target> + Send + Sync>, client: Client, current: Mutex<Vec<Arc<ScheduledProbe>>> },
}

impl std::fmt::Debug for Places {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Places::Configured { entries, .. } => {
                f.debug_list().entries(locked(entries).iter().map(|entry| &entry.target.name)).finish()
            }
            Places::Local { .. } => f.write_str("Local"),
        }
    }
}

/// One probe of one target.
#[derive(Debug)]
struct ScheduledProbe {
    target: Arc<Target>,
    settings: ProbeSettings,
    /// Not named by the administrator: it may be that nothing serves this path there.
    automatic: bool,
    endpoint: Arc<Endpoint>,
    /// Reads the answers.
    reader: Arc<Pool>,
    /// Held while it runs.
    turn: Arc<tokio::sync::Mutex<()>>,
    state: Mutex<ProbeState>,
}

#[derive(Clone, Debug, Default)]
struct ProbeState {
    started: Option<Instant>,
    last: Option<ProbeRun>,
    runs: u64,
    failures: [u64; Reason::ALL.len()],
    succeeded_once: bool,
}

/// Reads the configuration file.
///
/// # Errors
/// When it can't be read or is wrong.
pub fn load(path: &Path) -> Result<Vec<Target>, ProbesError> {
    let mut bytes = Vec::new();
    open_regular(path)
        .and_then(|(file, _)| file.take(MAX_FILE_BYTES as u64 + 1).read_to_end(&mut bytes))
        .map_err(|source| ProbesError::Read { path: path.to_owned(), source })?;
    Ok(targets::read(&bytes, path)?)
}

/// `--config.check`: reads the configuration file and every file that it names, sends no request, and returns the
/// number of targets.
///
/// # Errors
/// The first thing that would keep a probe from being made.
pub fn check(path: &Path) -> Result<usize, ProbesError> {
    let targets = load(path)?;
    let client = Client::new(&[])?;
    for target in &targets {
        Endpoint::new(target, &client)?;
        if let Some(source) = &target.session_token {
            Token::read(source).map_err(|source| ProbesError::Token { target: target.name.clone(), source })?;
        }
    }
    Ok(targets.len())
}

/// What is to be probed on this host when nothing is configured: the redirection server, at the port of the module that
/// serves it, while the configuration starts that module here; and the status page of each pipelined that the
/// configuration starts, or that `runs` here.
#[must_use]
pub fn local_targets(installation: &Installation, runs: impl Fn(&str) -> bool) -> Vec<Target> {
    let redirection = serving_port(installation).map(|port| Target::local(LOCAL_TARGET, port, Probe::Redirection));
    let mut targets: Vec<Target> = redirection.into_iter().collect();
    for (instance, settings) in &installation.instances {
        if settings.auto_start(PIPELINED_MODULE) != Some(true) && !runs(instance) {
            continue;
        }
        let port = configured_port(settings, &PIPELINED_PORT);
        // Two with the same port can't both have it.
        let is_new = |port: &u16| !targets.iter().any(|target| target.base.port == *port);
        if let Some(port) = port.filter(is_new) {
            let name = format!("{PIPELINED_MODULE}@{instance}");
            targets.push(Target::local(&name, port, Probe::Pipelined));
        }
    }
    targets
}

fn serving_port(installation: &Installation) -> Option<u16> {
    let settings = installation.instances.get(DEFAULT_INSTANCE)?;
    let port = SERVING_MODULE.ports.iter().find(|port| port.check == SERVING_PORT_CHECK)?;
    if settings.auto_start(SERVING_MODULE.name) != Some(true) {
        return None;
    }
    match port.attribute {
        Some(attribute) => configured_port(settings, attribute),
        None => Some(port.number),
    }
}

/// None where the configuration says 0.
fn configured_port(settings: &Settings, attribute: &'static Attribute) -> Option<u16> {
    settings.number(attribute).and_then(|number| u16::try_from(number).ok()).filter(|number| *number != 0)
}

impl Probes {
    /// The probes of a configuration file's targets.
    ///
    /// # Errors
    /// When a target can't be probed as it is configured. A session token that can't be read is no error yet: each
    /// probe reads it anew.
    pub fn configured(targets: Vec<Target>) -> Result<Probes, ProbesError> {
        let entries = Mutex::new(entries_of(targets)?);
        Ok(Probes::new(Places::Configured { entries, replaced: Notify::new() }))
    }

    /// Puts the targets of the configuration file as it is now in the place of those in force. The counters of a probe
    /// that was there before go on. Without a file there is nothing to read.
    ///
    /// # Errors
    /// When the file can't be read or is wrong: what was in force stays in force.
    pub fn reload(&self, file: &Path) -> Result<(), ProbesError> {
        let Places::Configured { entries, replaced } = &self.places else { return Ok(()) };
        let new = entries_of(load(file)?)?;
        let mut entries = locked(entries);
        for entry in &new {
            let is_same = |old: &&Arc<ScheduledProbe>| {
                (&old.target.name, old.settings.probe) == (&entry.target.name, entry.settings.probe)
            };
            if let Some(old) = entries.iter().find(is_same) {
                *locked(&entry.state) = locked(&old.state).clone();
            }
        }
        *entries = new;
        drop(entries);
        replaced.notify_one();
        Ok(())
    }

    /// The probes that need no configuration: of the targets that `find` finds at each moment.
    ///
    /// # Errors
    /// When the system does not have the thread that reads the answers.
    pub fn local(find: impl Fn() -> Vec<Target> + Send + Sync + 'static) -> Result<Probes, ProbesError> {
        let client = Client::new(&[])?;
        Ok(Probes::new(Places::Local { find: Box::new(find), client, current: Mutex::default() }))
    }

    fn new(places: Places) -> Probes {
        let all = match &places {
            Places::Configured { entries, .. } => locked(entries).len(),
            Places::Local { .. } => 1,
        };
        Probes { places, at_once: Arc::new(Semaphore::new(all.clamp(*CONCURRENCY.start(), *CONCURRENCY.end()))) }
    }

    /// Asks for ever, each probe at its interval; ends when the future is dropped. Only one call at a time is of use.
    pub async fn run(&self) {
        match &self.places {
            Places::Configured { replaced, .. } => loop {
                let mut schedules = JoinSet::new();
                for entry in self.entries() {
                    schedules.spawn(keep_asking(entry, Arc::clone(&self.at_once)));
                }
                tokio::select! {
                    () = replaced.notified() => {}
                    Some(ended) = schedules.join_next() => {
                        tracing::error!("the schedule of a probe ended, which is a defect, please report it: {ended:?}");
                        replaced.notified().await;
                    }
                }
            },
            Places::Local { .. } => {
                let interval = Probe::Redirection.usual_interval();
                tokio::time::sleep(up_to(FIRST_ROUND.min(interval))).await;
                loop {
                    for entry in self.entries().into_iter().filter(|entry| entry.is_due()) {
                        // One that hangs delays no other.
                        let at_once = Arc::clone(&self.at_once);
                        tokio::spawn(async move { entry.refresh(&at_once).await });
                    }
                    tokio::time::sleep(interval + up_to(interval / 10)).await;
                }
            }
        }
    }

    /// Makes every probe once, but those that were made too shortly before: for a single look at the host.
    pub async fn ask_all(&self) {
        let mut asked = JoinSet::new();
        for entry in self.entries() {
            let at_once = Arc::clone(&self.at_once);
            asked.spawn(async move { entry.refresh(&at_once).await });
        }
        asked.join_all().await;
    }

    /// What is known of every probe now; sends no request.
    #[must_use]
    pub fn latest(&self) -> Vec<View> {
        self.entries().iter().filter_map(|entry| entry.view()).collect()
    }

    /// The present result of one probe: it is made, unless it was made so shortly before that it may not be made again
    /// yet. When that takes longer than `within`, it has timed out for the caller; its result counts when it comes.
    ///
    /// # Errors
    /// When it is not configured.
    pub async fn probe_once(&self, target: &str, probe: Probe, within: Duration) -> Result<View, UnknownProbe> {
        let of_target: Vec<_> = self.entries().into_iter().filter(|entry| entry.target.name == target).collect();
        if of_target.is_empty() {
            return Err(UnknownProbe::Target);
        }
        let Some(entry) = of_target.iter().find(|entry| entry.settings.probe == probe) else {
            return Err(UnknownProbe::Probe(of_target.iter().map(|entry| entry.settings.probe.label()).collect()));
        };
        let asked = SystemTime::now();
        let in_time = tokio::time::timeout(within, entry.refresh(&self.at_once)).await.is_ok();
        let mut view = entry.view().ok_or(UnknownProbe::NoResult)?;
        if !in_time {
            let failure = Some(Reason::Timeout);
            view.last = Some(ProbeRun { started: asked, duration: within, status: None, failure, reply: None });
        }
        if view.last.is_some() { Ok(view) } else { Err(UnknownProbe::NoResult) }
    }

    fn entries(&self) -> Vec<Arc<ScheduledProbe>> {
        match &self.places {
            Places::Configured { entries, .. } => locked(entries).clone(),
            Places::Local { find, client, current } => {
                let mut current = locked(current);
                let entries = find().into_iter().filter_map(|target| {
                    let known = current.iter().find(|entry| *entry.target == target).cloned();
                    known.or_else(|| ScheduledProbe::local(target, client))
                });
                *current = entries.collect();
                current.clone()
            }
        }
    }
}

fn entries_of(targets: Vec<Target>) -> Result<Vec<Arc<ScheduledProbe>>, ProbesError> {
    let client = Client::new(&targets)?;
    let mut entries = Vec::new();
    for target in targets {
        if target.session_token.is_some() && !target.base.tls && !target.base.is_loopback() {
            tracing::warn!(
                "target {}: the session token is sent in clear text to {}; use https",
                target.name,
                target.base
            );
        }
        entries.extend(ScheduledProbe::all(target, false, &client)?);
    }
    Ok(entries)
}

/// Probes at the entry's interval, spread at random so that many exporters and targets make no burst.
async fn keep_asking(entry: Arc<ScheduledProbe>, at_once: Arc<Semaphore>) {
    let interval = entry.settings.interval;
    tokio::time::sleep(up_to(FIRST_ROUND.min(interval))).await;
    loop {
        let next = tokio::time::Instant::now() + interval + up_to(interval / 10);
        entry.refresh(&at_once).await;
        tokio::time::sleep_until(next).await;
    }
}

/// Some time from nothing to `most`.
fn up_to(most: Duration) -> Duration {
    // The standard library's hash keys are random, which is chance enough for a schedule.
    let chance = RandomState::new().build_hasher().finish() % 1024;
    most.mul_f64(f64::from(u16::try_from(chance).unwrap_or(0)) / 1024.0)
}

impl ScheduledProbe {
    fn all(target: Target, automatic: bool, client: &Client) -> Result<Vec<Arc<ScheduledProbe>>, EndpointError> {
        let endpoint = Arc::new(Endpoint::new(&target, client)?);
        let target = Arc::new(target);
        let entry = |settings: &ProbeSettings| {
            Arc::new(ScheduledProbe {
                target: Arc::clone(&target),
                settings: settings.clone(),
                automatic,
                endpoint: Arc::clone(&endpoint),
                reader: Arc::clone(&client.reader),
                turn: Arc::default(),
                state: Mutex::default(),
            })
        };
        Ok(target.probes.iter().map(entry).collect())
    }

    fn local(target: Target, client: &Client) -> Option<Arc<ScheduledProbe>> {
        // Plain HTTP to an address: nothing about it can be refused.
        ScheduledProbe::all(target, true, client).ok()?.pop()
    }

    /// Whether the interval since the last start is over, or nearly.
    fn is_due(&self) -> bool {
        let interval = self.settings.interval.mul_f64(0.9);
        locked(&self.state).started.is_none_or(|started| started.elapsed() >= interval)
    }

    /// How long after a start the next one may be.
    fn shortest_interval(&self) -> Duration {
        self.settings.probe.shortest_interval().min(self.settings.interval)
    }

    /// Makes the probe, unless one was started too shortly before; waits for the one that is under way.
    async fn refresh(self: &Arc<Self>, at_once: &Arc<Semaphore>) {
        let turn = Arc::clone(&self.turn).lock_owned().await;
        if locked(&self.state).started.is_some_and(|started| started.elapsed() < self.shortest_interval()) {
            return;
        }
        let (entry, at_once) = (Arc::clone(self), Arc::clone(at_once));
        // In a task of its own: the result counts even when the caller is gone.
        let run = tokio::spawn(async move {
            let _turn = turn;
            let _place = at_once.acquire_owned().await;
            entry.run().await;
        });
        if let Err(error) = run.await {
            tracing::error!("a probe of target {} ended early, please report it: {error}", self.target.name);
        }
    }

    async fn run(&self) {
        let (started, at) = (SystemTime::now(), Instant::now());
        locked(&self.state).started = Some(at);
        let (reply, failure) = self.ask().await;
        let duration = at.elapsed();
        let status = failure.as_ref().map_or(Some(200), |failure| failure.status);
        let reason = failure.as_ref().map(|failure| failure.reason);
        let record = ProbeRun { started, duration, status, failure: reason, reply };
        let mut state = locked(&self.state);
        let before = state.last.as_ref().map(|last| last.failure);
        state.runs += 1;
        state.succeeded_once |= reason.is_none();
        if let Some(place) = Reason::ALL.iter().position(|one| Some(*one) == reason) {
            state.failures[place] += 1;
        }
        state.last = Some(record);
        let not_served = self.not_served(&state);
        drop(state);
        self.log_change(before, failure.as_ref(), not_served);
    }

    /// Once when something changes, not at every run.
    fn log_change(&self, before: Option<Option<Reason>>, failure: Option<&RequestFailure>, not_served: bool) {
        let (probe, target, base) = (self.settings.probe.label(), &self.target.name, &self.target.base);
        match failure {
            Some(failure) if before != Some(Some(failure.reason)) => {
                if not_served {
                    tracing::info!(
                        "{base} does not serve {}: name the address where this host does in --config.file",
                        self.settings.path
                    );
                } else {
                    let (reason, message) = (failure.reason.label(), &failure.message);
                    tracing::warn!("the probe {probe} of target {target} at {base} fails ({reason}): {message}");
                }
            }
            None if matches!(before, Some(Some(_))) => {
                tracing::info!("the probe {probe} of target {target} at {base} is well again");
            }
            _ => {}
        }
    }

    /// What came back, and what is wrong with it; a Message Center that reports an error has both.
    async fn ask(&self) -> (Option<Reply>, Option<RequestFailure>) {
        let token = match self.token().await {
            Ok(token) => token,
            Err(failure) => return (None, Some(failure)),
        };
        let (reply, failure) = match self.exchange(token.as_ref()).await {
            Ok(Reply::MessageCenter(queue)) if !queue.ok => {
                let failure = unwell(&format_args!("the server says {:?} instead of OK", queue.said));
                (Some(Reply::MessageCenter(queue)), Some(failure))
            }
            Ok(reply) => (Some(reply), None),
            Err(failure) => (None, Some(failure)),
        };
        // A server may repeat what it was sent.
        let kept_secret = |failure: RequestFailure| match &token {
            Some(token) if token.shows_in(&failure.message) => RequestFailure {
                message: "what the server says holds a piece of the session token".to_owned(),
                ..failure
            },
            _ => failure,
        };
        (reply, failure.map(kept_secret))
    }

    async fn exchange(&self, token: Option<&Token>) -> Result<Reply, RequestFailure> {
        let Answer { body, charset } = self.endpoint.get(&self.settings.path, token).await?;
        let probe = self.settings.probe;
        let read = move || {
            let charset = charset.as_deref();
            match probe {
                Probe::Redirection => reply::redirection(&body, charset).map(Reply::Redirection),
                Probe::Ping => reply::ping(&body, charset).map(|()| Reply::Ping),
                Probe::MessageCenter => reply::message_center(&body, charset).map(Reply::MessageCenter),
                Probe::Pipelined => reply::pipelined(&body, charset).map(Reply::Pipelined),
            }
        };
        let read = self.reader.run(read).await;
        let reply = read.ok_or_else(|| unwell(&"reading the answer panicked, which is a defect, please report it"))?;
        reply.map_err(|error: ReplyError| unwell(&error))
    }

    async fn token(&self) -> Result<Option<Token>, RequestFailure> {
        match &self.target.session_token {
            Some(source) if self.settings.probe.takes_session_token() => self.endpoint.token(source).await.map(Some),
            _ => Ok(None),
        }
    }

    /// A port that was guessed need not serve this path: with "not found" and never anything better, there is nothing
    /// to judge.
    fn not_served(&self, state: &ProbeState) -> bool {
        let not_found = state.last.as_ref().is_some_and(|last| last.status == Some(404));
        self.automatic && !state.succeeded_once && not_found
    }

    fn view(&self) -> Option<View> {
        let state = locked(&self.state);
        if self.not_served(&state) {
            return None;
        }
        let too_old = self.settings.interval * INTERVALS_BEFORE_STALE + self.target.timeout;
        Some(View {
            target: Arc::clone(&self.target),
            probe: self.settings.probe,
            last: state.last.clone(),
            stale: state.started.is_some_and(|started| started.elapsed() > too_old),
            runs: state.runs,
            failures: state.failures,
        })
    }
}

/// An answer that came, with status 200, and reports a problem.
fn unwell(why: &impl ToString) -> RequestFailure {
    RequestFailure { reason: Reason::Body, message: why.to_string(), status: Some(200) }
}
