//! Composes the parts: serve, check, rules; owns the exit code.

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use campaign_exporter::cli::{self, Build, CollectorFlag, Command, Invocation};
use campaign_exporter::collect::COLLECTORS;
use campaign_exporter::collect::exporter::{REVISION, RUSTC, VERSION};
use campaign_exporter::host::{CampaignHost, Findings};
use campaign_exporter::render::landing::{Landing, Link};
use campaign_exporter::render::{reference, rules, status};
use campaign_exporter::source::probes;
use campaign_exporter::{catalog, logging, serve, web};
use sd_notify::NotifyState;
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

/// How long a thread waits for the next scrape before it ends: longer than the usual intervals, so that no scrape has
/// to start one.
const THREADS_WAIT: std::time::Duration = std::time::Duration::from_secs(90);

/// How long the end waits for collectors that still run.
const LAST_THREADS_WAIT: std::time::Duration = std::time::Duration::from_secs(1);

/// How many threads collectors can hold on to before further ones wait.
const MOST_THREADS: usize = 64;

fn main() -> ExitCode {
    share_one_heap();
    let flags: Vec<CollectorFlag> = COLLECTORS
        .iter()
        .map(|spec| CollectorFlag { name: spec.name, help: spec.help, default_on: spec.default_on })
        .collect();
    let build = Build { version: VERSION, revision: REVISION, rustc: RUSTC };
    let invocation = match cli::parse(std::env::args_os(), &flags, &build) {
        Ok(invocation) => invocation,
        Err(error) => error.exit(),
    };
    match run(invocation) {
        Ok(code) => code,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Has all threads allocate from one heap: a text as large as that of `/metrics`, which each scrape makes anew, would
/// else be kept once for every thread that ever made it. On a host with 1,100 processes that is a quarter of the memory.
#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "the C library has no safe call for it")]
fn share_one_heap() {
    // SAFETY: a documented parameter, set before there is a second thread. Where it is refused all stays as it is.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

#[cfg(not(target_env = "gnu"))]
fn share_one_heap() {}

fn run(invocation: Invocation) -> anyhow::Result<ExitCode> {
    logging::init(invocation.log_level, invocation.log_format)?;
    match invocation.command {
        Command::Serve(host, web) => block_on(serve(&host, web)),
        Command::Check(host) => block_on(check(&host)),
        Command::Rules { lang, job } => print(&rules::render(lang, &job)?),
        Command::CheckConfig(file) => {
            let targets = probes::check(&file)?;
            print(&format!("{}: {targets} targets, nothing to complain about\n", file.display()))
        }
        Command::Reference => print(&reference::render()),
        Command::Generate(text) => print(&text),
    }
}

/// One thread for HTTP; the collectors' threads come and go beside it. One that hangs does not keep the process.
fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .thread_keep_alive(THREADS_WAIT)
        .max_blocking_threads(MOST_THREADS)
        .build()
        .context("the system refuses a process of this size")?;
    let result = runtime.block_on(work);
    runtime.shutdown_timeout(LAST_THREADS_WAIT);
    result
}

async fn serve(host: &cli::Host, web: cli::Web) -> anyhow::Result<ExitCode> {
    tracing::info!(version = VERSION, revision = REVISION, "starting campaign_exporter");
    let listeners = web::bind(&web.listen_addresses)?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let host = Arc::new(CampaignHost::open(host)?);
    let options = serve::Options {
        telemetry_path: web.telemetry_path,
        max_requests: web.max_requests,
        timeout_offset: web.timeout_offset,
    };
    let answer = serve::answer(options, landing_page(), host);
    tell_service_manager(NotifyState::Ready);
    let shutdown = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("ending");
        tell_service_manager(NotifyState::Stopping);
    };
    web::serve(listeners, answer, web::Limits::default(), shutdown).await?;
    Ok(ExitCode::SUCCESS)
}

/// The health of this host in the terminal; exit code 1 when a check fails.
async fn check(host: &cli::Host) -> anyhow::Result<ExitCode> {
    let host = CampaignHost::open(host)?;
    host.settle().await;
    let Findings { snapshot, judgements } = host.look_at_all().await;
    let table = status::terminal(&snapshot, &judgements, catalog::Lang::En);
    let is_healthy = !judgements.is_empty() && judgements.iter().all(|judgement| judgement.passes);
    print(&table)?;
    Ok(if is_healthy { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print(text: &str) -> anyhow::Result<ExitCode> {
    std::io::stdout().write_all(text.as_bytes()).context("the standard output can't be written")?;
    Ok(ExitCode::SUCCESS)
}

fn landing_page() -> Landing {
    Landing {
        name: "Campaign exporter".to_owned(),
        version: format!("version {}, revision {}", VERSION, REVISION),
        description: "The health of this host's Adobe Campaign Classic modules, for Prometheus.".to_owned(),
        links: vec![Link {
            path: serve::STATUS.to_owned(),
            help: "the modules and their checks, for people".to_owned(),
        }],
    }
}

fn tell_service_manager(state: NotifyState) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "the service manager can't be told");
    }
}
