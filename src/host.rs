//! One Campaign host as the exporter sees it: its sources, its collectors, its health. Composes the other parts; HTTP
//! and file formats are handled elsewhere.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::task::JoinHandle;

use crate::catalog::Lang;
use crate::catalog::attributes::VAR_DIRECTORY;
use crate::catalog::signals::exporter::{EXPORTER_LOG_LINES_DROPPED, EXPORTER_REJECTED_SAMPLES};
use crate::catalog::signals::probes::{PIPELINED_MODULE, Probe};
use crate::cli;
use crate::collect::census;
use crate::collect::engine::{Engine, Selection, SelectionError};
use crate::collect::exporter::VERSION;
use crate::collect::logs::tells_runs;
use crate::collect::ports::PortOverrides;
use crate::collect::{COLLECTORS, Context, LOGS, PROBES, Sources, TRACKING, Walk, probe_once};
use crate::health;
use crate::logging;
use crate::pool::PoolError;
use crate::render::page::{self, PageOptions};
use crate::render::report::{HostLook, HostReport};
use crate::serve::{Filter, Scrape, ScrapeError};
use crate::snapshot::{Samples, SeriesMemory, Snapshot};
use crate::source::installation::{Follower, InstallationSource};
use crate::source::own;
use crate::source::probes::{self, Probes, ProbesError};
use crate::source::processes::{ProcessSource, ProcessSourceError, Sampler};
use crate::source::tailer::logs::{LogsKind, LogsView, Start};
use crate::source::tailer::tracking::{TrackingKind, TrackingView};
use crate::source::tailer::watch::{Wake, Watch};
use crate::source::tailer::{Readings, StartError, StorageAccess, Tailer, TailerThread};
use crate::sync::locked;
use crate::web::{Body, BoxFuture};

/// How long a page or `check` waits for the collectors.
const PAGE_BUDGET: Duration = Duration::from_secs(10);

/// How long a single look waits for the logs, and how often it checks.
const SETTLE: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Why a host can't be monitored.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The system has no thread for the configuration.
    #[error(
        "Campaign's configuration can't be followed; raise the limit of processes of this user (ulimit -u, TasksMax)"
    )]
    Configuration(#[source] std::io::Error),
    /// The processes can't be looked at.
    #[error(transparent)]
    Processes(#[from] ProcessSourceError),
    /// The system has no thread for the logs.
    #[error(transparent)]
    Files(#[from] StartError),
    /// The system has no threads for the collectors.
    #[error(transparent)]
    Threads(#[from] PoolError),
    /// The probes can't be made as they are configured.
    #[error(transparent)]
    Probes(#[from] ProbesError),
}

/// What one look at the host found.
#[derive(Clone, Debug)]
pub struct Findings {
    /// Every sample, what each check says, and what is unknown and why.
    pub snapshot: Snapshot,
    /// The host's name.
    pub host: String,
    /// When the look was taken, in seconds since 1970-01-01 UTC.
    pub time: f64,
}

impl Findings {
    /// The findings as a report in `lang`.
    #[must_use]
    pub fn report(&self, lang: Lang) -> HostReport<'_> {
        let look = HostLook {
            snapshot: &self.snapshot,
            judgements: self.snapshot.judgements(),
            host: &self.host,
            version: VERSION,
            time: self.time,
        };
        HostReport::of(look, lang)
    }
}

/// How many samples were not taken since the exporter started.
#[derive(Debug, Default)]
struct Rejected(AtomicU64);

impl Rejected {
    /// Adds what one look found; the sum.
    #[expect(clippy::cast_precision_loss, reason = "a count of defects stays far below 2^53")]
    fn add(&self, times: u64) -> f64 {
        (self.0.fetch_add(times, Ordering::Relaxed) + times) as f64
    }
}

/// A host that is monitored until this is dropped.
///
/// Needs a Tokio runtime: the probes have their schedule there.
pub struct CampaignHost {
    sources: Sources,
    engine: Engine,
    rejected: Rejected,
    /// The series of the last look that are no collector's.
    memory: Mutex<SeriesMemory>,
    name: String,
    config_file: Option<PathBuf>,
    /// The instances whose pipelined ran at the last look.
    pipelined: RunningInstances,
    _sampler: Sampler,
    follower: Follower,
    _logs: Option<TailerThread<LogsView>>,
    _tracking: Option<TailerThread<TrackingView>>,
    _schedule: Option<AbortOnDropHandle>,
}

/// The schedule of the probes; it ends when this is dropped.
struct AbortOnDropHandle(JoinHandle<()>);

impl Drop for AbortOnDropHandle {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl CampaignHost {
    /// Starts to monitor the host: reads the configuration once, takes the first sample of its processes, and goes on
    /// with both, with the logs and with the probes in the background.
    ///
    /// # Errors
    /// When `/proc` can't be read, the file of the probes' targets is wrong, or a thread can't be started. An
    /// installation that is not found is no error: it is looked for again and again.
    pub fn open(options: &cli::Host) -> Result<Self, OpenError> {
        let installation = Arc::new(InstallationSource::new(options.campaign_home.clone()));
        let processes = Arc::new(ProcessSource::new(&options.procfs)?);
        let running = Arc::clone(&processes);
        installation.ask_processes(Box::new(move || running.running(VAR_DIRECTORY.as_bytes())));
        let follower = installation.follow().map_err(OpenError::Configuration)?;
        processes.set_installation(&installation.current());
        let sampler = Sampler::start(Arc::clone(&processes), options.sample_interval)?;
        if processes.was_sampled() && installation.was_looked_at() {
            // Now the processes are known, which show where the logs are and which instances run.
            installation.poll();
        }

        let (logs, tracking) = follow_files(options, &installation)?;
        let pipelined = Arc::new(Mutex::default());
        let probes = options.runs(PROBES).then(|| probes(options, &installation, &pipelined)).transpose()?;
        let schedule = probes.clone().map(|probes| AbortOnDropHandle(tokio::spawn(async move { probes.run().await })));

        let sources = Sources {
            installation,
            proc: Arc::clone(processes.root()),
            first_start: (!options.storage_is_read_only)
                .then(|| own::first_start(&options.storage, SystemTime::now()))
                .flatten(),
            processes,
            logs: logs.as_ref().map(TailerThread::readings),
            tracking: tracking.as_ref().map(TailerThread::readings),
            probes,
            indicators_directory: options.indicators_directory.clone(),
            ports: PortOverrides { syslogd: options.syslogd_port },
        };
        let enabled = COLLECTORS.iter().filter(|spec| options.runs(spec.name));
        let collectors = enabled.filter_map(|spec| Some((spec.name, (spec.build)(&sources)?)));
        let engine = Engine::new(collectors.collect())?;
        Ok(Self {
            name: sources.proc.host_name(),
            sources,
            engine,
            rejected: Rejected::default(),
            memory: Mutex::default(),
            config_file: options.config_file.clone(),
            pipelined,
            _sampler: sampler,
            follower,
            _logs: logs,
            _tracking: tracking,
            _schedule: schedule,
        })
    }

    /// Waits until everything in the background has been looked at once: for a single look.
    pub async fn settle(&self) {
        let are_surveyed = || {
            let logs = self.sources.logs.as_ref().is_none_or(Readings::is_known);
            logs && self.sources.tracking.as_ref().is_none_or(Readings::is_known)
        };
        let surveyed = async {
            while !are_surveyed() {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        let asked = async {
            if let Some(probes) = &self.sources.probes {
                probes.ask_all().await;
            }
        };
        let surveyed = async {
            // Without an installation there is nothing to survey.
            if self.sources.installation.current().home.is_some() {
                let _ = tokio::time::timeout(SETTLE, surveyed).await;
            }
        };
        tokio::join!(asked, surveyed);
        // The first look starts the background search for folders and holders of ports.
        self.look_at_all().await;
        self.engine.settle(Instant::now() + SETTLE);
    }

    /// Reads everything again: the installation's configuration, and the file of the probes' targets. One that is wrong is
    /// logged, and what was in force stays in force. Blocks.
    pub fn reload(&self) {
        self.sources.installation.poll();
        if let Some(logs) = &self.sources.logs {
            logs.look_again();
        }
        if let Some(tracking) = &self.sources.tracking {
            tracking.look_again();
        }
        let (Some(probes), Some(file)) = (&self.sources.probes, &self.config_file) else { return };
        match probes.reload(file) {
            Ok(()) => tracing::info!(file = %file.display(), "the targets were read again"),
            Err(error) => tracing::error!("{error}; the targets that were in force stay in force"),
        }
    }

    /// Looks at the host once with the collectors of `selection`, within `budget`.
    pub async fn look(&self, selection: Selection, budget: Duration) -> Findings {
        self.follower.ask().await;
        let installation = self.sources.installation.current();
        let (now, deadline) = (SystemTime::now(), Instant::now() + budget);
        let processes = Walk::of(&self.sources.processes, &installation);
        let mut samples = Samples::after(std::mem::take(&mut *locked(&self.memory)));
        census::doubts(&installation, &mut samples);
        let cx = Context::new(installation, processes, now, deadline);
        let census = cx.census_once_taken();
        samples = self.engine.collect(selection, cx, samples).await;
        health::conclude(&mut samples);
        *locked(&self.memory) = samples.take_memory();
        let snapshot = samples.freeze();
        if let Some(census) = census.get() {
            *locked(&self.pipelined) = census.running(PIPELINED_MODULE).map(str::to_owned).collect();
        }
        let mut own = Samples::default();
        own.push(&EXPORTER_REJECTED_SAMPLES, &[], self.rejected.add(snapshot.rejected()));
        #[expect(clippy::cast_precision_loss, reason = "a count of lines stays far below 2^53")]
        own.push(&EXPORTER_LOG_LINES_DROPPED, &[], logging::lines_dropped() as f64);
        let time = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        Findings { snapshot: snapshot.with(own), host: self.name.clone(), time }
    }

    /// Looks at the host once with every enabled collector.
    pub async fn look_at_all(&self) -> Findings {
        self.look(self.engine.all(), PAGE_BUDGET).await
    }
}

/// Follows the logs and the tracking logs, those whose collector runs.
#[expect(clippy::type_complexity, reason = "the two kinds")]
fn follow_files(
    options: &cli::Host,
    installation: &Arc<InstallationSource>,
) -> Result<(Option<TailerThread<LogsView>>, Option<TailerThread<TrackingView>>), StartError> {
    let var = || {
        let whereabouts = Arc::clone(installation);
        move || whereabouts.current().var_folder()
    };
    let access = if options.storage_is_read_only { StorageAccess::ReadOnly } else { StorageAccess::ReadWrite };
    let storage = || access(options.storage.clone());
    let start = if options.logs_from_beginning { Start::Beginning } else { Start::End };
    let procfs = options.procfs.clone();
    let follow_logs = move |wake: Arc<Wake>| {
        Tailer::new(LogsKind::new(start, procfs, tells_runs), Watch::kernel(Arc::clone(&wake)), wake)
    };
    let logs = options.runs(LOGS).then(|| TailerThread::start(var(), storage(), follow_logs)).transpose()?;
    let follow_tracking = |wake| Tailer::new(TrackingKind::default(), Watch::Nobody, wake);
    let tracking =
        options.runs(TRACKING).then(|| TailerThread::start(var(), storage(), follow_tracking)).transpose()?;
    Ok((logs, tracking))
}

/// Instances of a module.
type RunningInstances = Arc<Mutex<BTreeSet<String>>>;

/// The probes of the configured targets; without a file, of what there is on this host, where `pipelined` has the
/// instances whose pipelined runs.
fn probes(
    options: &cli::Host,
    installation: &Arc<InstallationSource>,
    pipelined: &RunningInstances,
) -> Result<Arc<Probes>, ProbesError> {
    let probes = match &options.config_file {
        Some(file) => Probes::configured(probes::load(file)?)?,
        None => {
            let (installation, pipelined) = (Arc::clone(installation), Arc::clone(pipelined));
            let runs = move |instance: &str| locked(&pipelined).contains(instance);
            Probes::local(move || probes::local_targets(&installation.current(), &runs))?
        }
    };
    Ok(Arc::new(probes))
}

impl Scrape for CampaignHost {
    fn is_ready(&self) -> bool {
        // What is written to a log from then on is counted.
        let logs = self.sources.logs.as_ref().is_none_or(Readings::is_placed);
        let placed = logs && self.sources.tracking.as_ref().is_none_or(Readings::is_placed);
        let is_known =
            !census::doubts_of(&self.sources.installation.current()).any(|(reason, _)| reason.is_of_everything());
        is_known && placed && self.sources.installation.was_looked_at() && self.sources.processes.was_sampled()
    }

    fn scrape(&self, filter: Filter, budget: Duration) -> BoxFuture<'_, Result<Body, ScrapeError>> {
        Box::pin(async move {
            let selection = self
                .engine
                .select(&filter.collect, &filter.exclude)
                .map_err(|error: SelectionError| ScrapeError::Refused(error.to_string()))?;
            let exposition = self.look(selection, budget).await.snapshot.into_exposition();
            if let Some(logs) = self.sources.logs.as_ref() {
                logs.published().view.was_seen();
            }
            Ok(Body::written_by(exposition))
        })
    }

    fn page<'a>(&'a self, lang: Lang, options: PageOptions<'a>) -> BoxFuture<'a, String> {
        Box::pin(async move { page::page(&self.look_at_all().await.report(lang), options) })
    }

    fn probe(&self, target: String, module: String, budget: Duration) -> BoxFuture<'_, Result<Body, ScrapeError>> {
        Box::pin(async move {
            let refused = |text: String| ScrapeError::Refused(text);
            let off = || refused("the collectors of probes are switched off".to_owned());
            let probes = self.sources.probes.as_ref().ok_or_else(off)?;
            let known = || Probe::ALL.map(Probe::label).join(", ");
            let probe = Probe::named(&module)
                .ok_or_else(|| refused(format!("no probe is called so; there are: {}", known())))?;
            let samples =
                probe_once(probes, &target, probe, budget).await.map_err(|error| refused(error.to_string()))?;
            Ok(Body::written_by(samples.freeze().into_exposition()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_that_were_not_taken_are_summed_up_over_all_looks() {
        let rejected = Rejected::default();
        assert_eq!([rejected.add(2), rejected.add(0), rejected.add(3)], [2.0, 2.0, 5.0]);
    }
}
