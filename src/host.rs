//! One Campaign host as the exporter sees it: its sources, its collectors, its health. Composes what the other parts
//! do; knows neither HTTP nor formats of files.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context as _;

use crate::catalog::Lang;
use crate::catalog::signals::exporter::EXPORTER_REJECTED_SAMPLES;
use crate::cli;
use crate::collect::engine::{Engine, Selection, SelectionError};
use crate::collect::{COLLECTORS, Context, Sources, Walk};
use crate::health::{self, Judgement};
use crate::render::status;
use crate::serve::{self, Scrape};
use crate::snapshot::{Samples, Snapshot};
use crate::source::installation::{Follower, InstallationSource};
use crate::source::processes::{ProcessSource, Sampler};
use crate::source::tailer::{Reader, Start};
use crate::web::BoxFuture;

/// How long a page or `check` waits for the collectors.
const PAGE_BUDGET: Duration = Duration::from_secs(10);

/// What one look at the host found.
#[derive(Clone, Debug)]
pub struct Findings {
    /// Every sample, the judgements' among them.
    pub snapshot: Snapshot,
    /// What each check says.
    pub judgements: Vec<Judgement>,
}

/// A host that is watched until this is dropped.
pub struct CampaignHost {
    sources: Sources,
    engine: Engine,
    rejected: AtomicU64,
    _sampler: Sampler,
    _follower: Follower,
    _reader: Reader,
}

impl CampaignHost {
    /// Starts to watch the host: reads the configuration once, takes the first sample of its processes, and goes on
    /// with both in the background.
    ///
    /// # Errors
    /// When `/proc` can't be read or a thread can't be started. An installation that is not found is no error: it is
    /// looked for again and again.
    pub fn open(options: &cli::Host) -> anyhow::Result<Self> {
        let installation = Arc::new(InstallationSource::new(options.campaign_home.clone()));
        installation.poll();
        let follower = installation.follow().context("the configuration can't be followed")?;
        let processes = Arc::new(ProcessSource::new(&options.procfs)?);
        processes.set_home(installation.current().home.as_deref());
        let sampler = Sampler::start(Arc::clone(&processes), options.sample_interval)?;
        let whereabouts = Arc::clone(&installation);
        let reader = Reader::start(
            move || whereabouts.current().home.clone(),
            if options.logs_from_beginning { Start::Beginning } else { Start::End },
            options.storage.clone(),
        )?;
        let sources = Sources { installation, processes, logs: reader.logs() };
        let enabled = COLLECTORS.iter().filter(|spec| options.collectors.contains(&spec.name));
        let collectors = enabled.map(|spec| (spec.name, (spec.build)(&sources)));
        let engine = Engine::new(collectors.collect());
        Ok(Self {
            sources,
            engine,
            rejected: AtomicU64::new(0),
            _sampler: sampler,
            _follower: follower,
            _reader: reader,
        })
    }

    /// Looks at the host once with the collectors of `selection`, within `budget`.
    pub async fn look(&self, selection: Selection, budget: Duration) -> Findings {
        let installation = self.sources.installation.current();
        let context = Context {
            processes: Walk::of(&self.sources.processes, &installation),
            installation,
            now: SystemTime::now(),
            deadline: Instant::now() + budget,
        };
        let now = context.now;
        let evidence = self.engine.collect(selection, context).await.freeze();
        let judgements = health::judge(&evidence, now);
        let snapshot = evidence.with(health::samples(&judgements));
        let rejected = self.rejected.fetch_add(snapshot.rejected(), Ordering::Relaxed) + snapshot.rejected();
        let mut own = Samples::default();
        #[expect(clippy::cast_precision_loss, reason = "a count of defects stays far below 2^53")]
        own.push(&EXPORTER_REJECTED_SAMPLES, &[], rejected as f64);
        Findings { snapshot: snapshot.with(own), judgements }
    }

    /// Looks at the host once with every enabled collector.
    pub async fn look_at_all(&self) -> Findings {
        self.look(self.engine.all(), PAGE_BUDGET).await
    }
}

impl Scrape for CampaignHost {
    fn scrape(&self, selection: serve::Selection, budget: Duration) -> BoxFuture<'_, Result<Vec<u8>, String>> {
        Box::pin(async move {
            let selection = self
                .engine
                .select(&selection.collect, &selection.exclude)
                .map_err(|error: SelectionError| error.to_string())?;
            self.look(selection, budget).await.snapshot.encode().map_err(|error| error.to_string())
        })
    }

    fn status(&self, lang: Lang) -> BoxFuture<'_, String> {
        Box::pin(async move {
            let Findings { snapshot, judgements } = self.look_at_all().await;
            status::page(&snapshot, &judgements, lang)
        })
    }
}
