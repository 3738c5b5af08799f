//! The collectors: one file each, one table of them all, and the engine that runs them.

pub mod census;
pub mod configuration;
pub mod crash;
pub mod engine;
pub mod exporter;
pub mod indicators;
pub mod logs;
pub mod pipelined;
pub mod ports;
pub mod probes;
pub mod process;
pub mod spool;
pub mod tracking;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::ops::Deref;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use self::census::Census;
use crate::catalog::signals;
use crate::catalog::signals::logs::STORAGE_SUCCESSFUL;
use crate::catalog::signals::probes::Probe;
use crate::label::label_among;
use crate::parse::cmdline::MAX_INSTANCE_BYTES;
use crate::snapshot::Samples;
use crate::source::installation::{Installation, InstallationSource};
use crate::source::kit::background::Stall;
use crate::source::kit::{Miss, ProcRoot};
use crate::source::probes::{Probes, UnknownProbe};
use crate::source::processes::{ProcessSource, ProcessTable};
use crate::source::tailer::Published;
use crate::source::tailer::logs::Logs;
use crate::source::tailer::tracking::Tracking;
use crate::source::tailer::{Readings, TailerPhase};

/// What every collector of one scrape sees: the same moment for all.
pub struct Context {
    /// The configuration in force.
    pub installation: Arc<Installation>,
    /// The processes of this moment.
    pub processes: Walk,
    /// This moment.
    pub now: SystemTime,
    /// When the scrape's answer is due; long work gives up before it.
    pub deadline: Instant,
    census: Arc<OnceLock<Census>>,
}

impl Context {
    /// What the collectors of one scrape see.
    #[must_use]
    pub fn new(installation: Arc<Installation>, processes: Walk, now: SystemTime, deadline: Instant) -> Self {
        Self { installation, processes, now, deadline, census: Arc::default() }
    }

    /// Which modules are expected here and which run: computed on first use.
    pub fn census(&self) -> &Census {
        self.census.get_or_init(|| Census::of(&self.installation, &self.processes))
    }

    /// The cell that holds the census once a collector has used it.
    #[must_use]
    pub fn census_once_taken(&self) -> Arc<OnceLock<Census>> {
        Arc::clone(&self.census)
    }
}

/// The processes of this moment: `/proc` is read on first use, within the time of that collector.
pub struct Walk(LazyLock<Arc<ProcessTable>, WalkFn>);

type WalkFn = Box<dyn FnOnce() -> Arc<ProcessTable> + Send>;

impl Walk {
    /// A walk that `source` takes on first use.
    #[must_use]
    pub fn of(source: &Arc<ProcessSource>, installation: &Arc<Installation>) -> Self {
        let (source, installation) = (Arc::clone(source), Arc::clone(installation));
        Self(LazyLock::new(Box::new(move || {
            source.set_installation(&installation);
            source.walk()
        })))
    }
}

impl From<ProcessTable> for Walk {
    fn from(table: ProcessTable) -> Self {
        Self(LazyLock::new(Box::new(|| Arc::new(table))))
    }
}

impl Deref for Walk {
    type Target = ProcessTable;

    fn deref(&self) -> &ProcessTable {
        &self.0
    }
}

/// Where the collectors find their evidence.
pub struct Sources {
    /// The installation's configuration.
    pub installation: Arc<InstallationSource>,
    /// The machine's processes.
    pub processes: Arc<ProcessSource>,
    /// The `/proc` that everything is read from.
    pub proc: Arc<ProcRoot>,
    /// Ports given by flags, because no configuration file has them.
    pub ports: ports::PortOverrides,
    /// The reader of the logs; none when their collector is off.
    pub logs: Option<Logs>,
    /// The reader of the tracking logs; none when their collector is off.
    pub tracking: Option<Tracking>,
    /// The probes; none when their collector is off.
    pub probes: Option<Arc<Probes>>,
    /// When the storage was first used, in seconds since 1970-01-01 UTC; none without storage.
    pub first_start: Option<f64>,
    /// Where files with custom indicators are dropped.
    pub indicators_directory: Option<PathBuf>,
}

/// An available collector.
pub struct Spec {
    /// The name: `--collector.NAME`, and the label `collector`.
    pub name: &'static str,
    /// What it collects: a clause that starts in lower case, without a full stop.
    pub help: &'static str,
    /// Whether it is enabled by default.
    pub default_on: bool,
    /// Creates it; none where its source is not open.
    pub build: fn(&Sources) -> Option<Box<dyn Collector>>,
}

/// The collector of logs: the one that their reader is started for.
pub const LOGS: &str = "logs";
/// The collector of tracking logs: their reader is started for it.
pub const TRACKING: &str = signals::tracking::COLLECTOR;
/// The collector of probes' results.
pub const PROBES: &str = "probes";
/// The collector of pipelined's indicators, which come from a probe too.
pub const PIPELINED: &str = "pipelined";

/// Every collector, in the order in which a scrape runs them.
pub const COLLECTORS: &[Spec] = &[
    Spec {
        name: "configuration",
        help: "the installation, its configuration files and what they expect to run",
        default_on: true,
        build: |_| Some(Box::new(configuration::Configuration)),
    },
    Spec {
        name: "process",
        help: "the modules' processes: starts, CPU, memory, descriptors, states",
        default_on: true,
        build: |_| Some(Box::new(process::ProcessCollector::default())),
    },
    Spec {
        name: LOGS,
        help: "what the modules' logs say: messages by level, errors, documented problems",
        default_on: true,
        build: |sources| Some(Box::new(logs::LogsCollector::new(sources.logs.clone()?))),
    },
    Spec {
        name: PROBES,
        help: "whether the redirection server, ping.jsp and the Message Center answer",
        default_on: true,
        build: |sources| Some(Box::new(probes::ProbeResults::new(sources.probes.clone()?))),
    },
    Spec {
        name: PIPELINED,
        help: "the indicators of pipelined's status page",
        default_on: true,
        build: |sources| Some(Box::new(pipelined::PipelinedStatus::new(sources.probes.clone()?))),
    },
    Spec {
        name: "indicators",
        help: "custom indicators from files in a directory",
        default_on: true,
        build: |sources| Some(Box::new(indicators::DroppedIndicators::new(sources.indicators_directory.clone()))),
    },
    Spec {
        name: "ports",
        help: "the documented ports: whether they are open, and whether the module holds them",
        default_on: true,
        build: |sources| Some(Box::new(ports::Ports::new(&sources.proc, sources.ports))),
    },
    Spec {
        name: TRACKING,
        help: "the tracking logs that wait to be collected, and whether their lines can be read",
        default_on: true,
        build: |sources| Some(Box::new(tracking::TrackingLogs::new(sources.tracking.clone()?))),
    },
    Spec {
        name: "spool",
        help: "the files that wait in the mta's working folder",
        default_on: true,
        build: |_| Some(Box::new(spool::Spool::new())),
    },
    Spec {
        name: "crash",
        help: "what crashes leave behind: core files, shared memory",
        default_on: true,
        build: |sources| Some(Box::new(crash::Crash::new(&sources.proc))),
    },
    Spec {
        name: "exporter",
        help: "the exporter's own process and build, and the host's clock",
        default_on: true,
        build: |sources| Some(Box::new(exporter::Exporter::new(&sources.proc, sources.first_start))),
    },
];

#[cfg(test)]
impl Context {
    /// A host with nothing on it.
    pub(crate) fn for_tests(deadline: Instant) -> Self {
        let processes = ProcessTable::default().into();
        Self::new(Arc::default(), processes, SystemTime::UNIX_EPOCH, deadline)
    }
}

/// How a collector ended that did not fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everything was collected.
    Complete,
    /// Some could not be read: how often, by kind.
    Partial(Losses),
    /// This host has no such thing: not a failure.
    NotApplicable,
}

/// Why something could not be collected: the label `kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ErrorKind {
    /// The exporter's user may not read it.
    Permission,
    /// It existed and is gone.
    Gone,
    /// It was read and not understood.
    Parse,
    /// It took longer than the scrape allows.
    Timeout,
    /// A defect of the exporter, caught.
    Panic,
    /// An earlier run has not ended yet.
    Busy,
    /// The system failed: a bad disk, no descriptor, thread or memory left, a size limit reached.
    System,
}

impl ErrorKind {
    /// Every kind, in the order of the documentation.
    pub const ALL: [ErrorKind; 7] = [
        ErrorKind::Permission,
        ErrorKind::Gone,
        ErrorKind::Parse,
        ErrorKind::Timeout,
        ErrorKind::Panic,
        ErrorKind::Busy,
        ErrorKind::System,
    ];

    /// The label value.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            ErrorKind::Permission => "permission",
            ErrorKind::Gone => "gone",
            ErrorKind::Parse => "parse",
            ErrorKind::Timeout => "timeout",
            ErrorKind::Panic => "panic",
            ErrorKind::Busy => "busy",
            ErrorKind::System => "system",
        }
    }
}

/// What a collector could not read, counted by kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Losses(BTreeMap<ErrorKind, u64>);

impl Losses {
    /// Counts `times` more losses of `kind`.
    pub fn add(&mut self, kind: ErrorKind, times: u64) {
        if times > 0 {
            *self.0.entry(kind).or_default() += times;
        }
    }

    /// The losses, by kind.
    pub fn iter(&self) -> impl Iterator<Item = (ErrorKind, u64)> {
        self.0.iter().map(|(kind, times)| (*kind, *times))
    }

    /// Complete when nothing was lost, else partial.
    #[must_use]
    pub fn into_outcome(self) -> Outcome {
        if self.0.is_empty() { Outcome::Complete } else { Outcome::Partial(self) }
    }
}

impl From<Miss> for ErrorKind {
    fn from(miss: Miss) -> Self {
        match miss {
            Miss::Denied => ErrorKind::Permission,
            Miss::Gone => ErrorKind::Gone,
            Miss::NotAFile => ErrorKind::Parse,
            Miss::Limit | Miss::Failed => ErrorKind::System,
        }
    }
}

impl From<Stall> for ErrorKind {
    fn from(stall: Stall) -> Self {
        match stall {
            Stall::NoThread => ErrorKind::System,
            Stall::Hangs => ErrorKind::Timeout,
            Stall::Panicked => ErrorKind::Panic,
        }
    }
}

/// A collector that failed.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct CollectError {
    /// What the metric counts it as.
    pub kind: ErrorKind,
    /// What was wrong, where, and the remedy.
    pub message: String,
}

/// How long the first scrapes wait for what is being read at the start.
const FIRST_READING: Duration = Duration::from_secs(1);

/// What the reader of the `files` has published. Right after the start it is waited for, not for long and not beyond the
/// `deadline`.
///
/// # Errors
/// When the reader hangs, or has not finished its first reading yet.
fn published<V>(readings: &Readings<V>, files: &str, deadline: Instant) -> Result<Published<V>, CollectError> {
    readings.wait_until_known(deadline.min(Instant::now() + FIRST_READING));
    let error = |kind, what: &str| Err(CollectError { kind, message: format!("the reader of the {files} {what}") });
    if !readings.is_alive() {
        return error(ErrorKind::Timeout, "does not answer: its numbers are old; look at the exporter's log");
    }
    let published = readings.published();
    match published.phase {
        TailerPhase::NoInstallation | TailerPhase::CaughtUp => Ok(published),
        TailerPhase::Looking | TailerPhase::Placed => {
            error(ErrorKind::Busy, "has just begun: its numbers are not complete yet")
        }
    }
}

/// Whether what `collector` has counted was stored the last time; nothing where it is not to be.
fn show_stored(collector: &str, stored: Option<bool>, out: &mut Samples) {
    if let Some(stored) = stored {
        out.push(&STORAGE_SUCCESSFUL, &[collector], f64::from(u8::from(stored)));
    }
}

/// The label of the Campaign instance whose folder has this `name`, one of `folders`.
fn instance_label<'a>(
    name: &'a OsStr,
    installation: &'a Installation,
    folders: impl Iterator<Item = &'a OsStr>,
) -> Cow<'a, str> {
    let configured = installation.instances.keys().map(|instance| installation.name_of(instance));
    label_among(name.as_bytes(), configured.chain(folders.map(OsStr::as_bytes)), MAX_INSTANCE_BYTES)
}

/// What a doubt about the files of an instance in `folder` calls them; an instance without a name is `var` itself.
fn evidence_folder(instance: &str, folder: &str) -> String {
    if instance.is_empty() { "var".to_owned() } else { format!("var/{instance}/{folder}") }
}

/// A count or a number of bytes as a sample, which is a float: exact up to 2^53, and near enough beyond.
#[expect(clippy::cast_precision_loss, reason = "samples are floats")]
const fn float(number: u64) -> f64 {
    number as f64
}

/// Turns evidence into samples.
pub trait Collector: Send + Sync {
    /// Writes the samples of this moment to `out`.
    ///
    /// # Errors
    /// When nothing could be collected. What was written to `out` before that still counts.
    fn collect(&self, cx: &Context, out: &mut Samples) -> Result<Outcome, CollectError>;

    /// Waits for what [`Collector::collect`] has begun in the background, until `until` at most: for a single look, after
    /// which there is no next one to show it.
    fn settle(&self, _until: Instant) {}
}

/// What the path `/probe` answers: one probe of one configured target, made now unless it was made too shortly before; one
/// that takes longer than `within` has timed out.
///
/// # Errors
/// When it is not configured.
pub async fn probe_once(
    probes: &Probes,
    target: &str,
    probe: Probe,
    within: Duration,
) -> Result<Samples, UnknownProbe> {
    let view = probes.probe_once(target, probe, within).await?;
    let mut samples = Samples::default();
    probes::push(&view, &mut samples);
    pipelined::push(&view, &mut samples);
    Ok(samples)
}
