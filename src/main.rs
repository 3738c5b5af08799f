//! Composes the parts: serve, check, rules; owns the exit code.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use campaign_exporter::cli::{self, Build, CheckFormat, CheckOptions, Command, Invocation};
use campaign_exporter::collect::COLLECTORS;
use campaign_exporter::collect::exporter::{REVISION, RUSTC, VERSION};
use campaign_exporter::host::CampaignHost;
use campaign_exporter::pool::Pool;
use campaign_exporter::render::report::Verdict;
use campaign_exporter::render::terminal::{Colour, terminal};
use campaign_exporter::render::{json, reference, rules};
use campaign_exporter::service::{self, ServiceState};
use campaign_exporter::source::limits::{self, DescriptorBudget};
use campaign_exporter::source::memory::{self, MappedFiles};
use campaign_exporter::source::probes;
use campaign_exporter::web::{self, ConfigFile};
use campaign_exporter::{logging, serve};
use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};

const PROGRAM: &str = "campaign_exporter";

/// How long the exit waits until the log is written.
const LAST_LINES: Duration = Duration::from_millis(500);

fn main() -> ExitCode {
    memory::keep_heap_small();
    let build = Build { version: VERSION, revision: REVISION, rustc: RUSTC };
    let invocation = match cli::parse(std::env::args_os(), COLLECTORS, &build) {
        Ok(invocation) => invocation,
        Err(error) => return refuse(&error),
    };
    let (serves, is_check) =
        (matches!(invocation.command, Command::Serve(..)), matches!(invocation.command, Command::Check(..)));
    if let Some(level) = invocation.log_level
        && let Err(error) = logging::init(level, invocation.log_format)
    {
        eprintln_to_person(&format!("{PROGRAM}: {error}"));
        return ExitCode::FAILURE;
    }
    let code = run(invocation).unwrap_or_else(|error| {
        let text = logging::with_causes(error.as_ref());
        if serves {
            tracing::error!("{text}");
        } else {
            eprintln_to_person(&format!("{PROGRAM}: {text}"));
        }
        if is_check { Verdict::CannotTell.exit_code().into() } else { ExitCode::FAILURE }
    });
    logging::flush(LAST_LINES);
    code
}

/// Prints help, the version, or what is wrong with the arguments. After `check` with wrong arguments nothing is known
/// of the host, which has an exit code of its own.
fn refuse(error: &clap::Error) -> ExitCode {
    // Where the terminal is gone the text is lost.
    let _ = error.print();
    let is_check = std::env::args_os().nth(1).is_some_and(|command| command == cli::CHECK);
    match u8::try_from(error.exit_code()) {
        Ok(0) => ExitCode::SUCCESS,
        _ if is_check => Verdict::CannotTell.exit_code().into(),
        code => code.unwrap_or(1).into(),
    }
}

/// A line on standard error, which is not the log.
fn eprintln_to_person(line: &str) {
    // Where the terminal is gone the text is lost.
    let _ = writeln!(std::io::stderr(), "{line}");
}

fn run(invocation: Invocation) -> anyhow::Result<ExitCode> {
    if let Err(error) = limits::raise_descriptor_limit() {
        tracing::warn!(%error, "the limit of open descriptors can't be raised");
    }
    match invocation.command {
        Command::Serve(host, web) => block_on(serve(&host, web)),
        Command::Check(host, options) => block_on(check(&host, &options)),
        Command::Rules(options) => print(&rules::render(&options)?),
        Command::CheckConfig { targets, web } => check_config(targets.as_deref(), web.as_deref()),
        Command::Reference => print(&reference::render()),
        Command::Generate(text) => print(&text),
    }
}

/// Checks the configuration files that are given, and all that they name.
fn check_config(targets: Option<&Path>, web: Option<&Path>) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(targets.is_some() || web.is_some(), "give the file to check: --config.file or --web.config.file");
    if let Some(file) = targets {
        print(&format!("{}: OK (targets: {})\n", file.display(), probes::check(file)?))?;
    }
    if let Some(file) = web {
        for warning in ConfigFile::check(file)? {
            print(&format!("{}: warning: {warning}\n", file.display()))?;
        }
        print(&format!("{}: OK\n", file.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// One thread for HTTP; whatever may block has threads of its own, from the start.
fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime =
        Builder::new_current_thread().enable_all().build().context("the system refuses a timer or an event queue to this process: raise its limit of open descriptors (ulimit -n, LimitNOFILE)")?;
    let result = runtime.block_on(work);
    runtime.shutdown_background();
    result
}

/// The signals that the exporter handles.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    /// A disk that hangs delays only the next SIGHUP.
    helper: Pool,
    /// Not to be ended by a limit of file sizes: the write fails, and that is reported.
    _file_size: Signal,
}

impl Signals {
    fn listen() -> anyhow::Result<Self> {
        Ok(Self {
            helper: Pool::start("reload", 1)?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            _file_size: signal(SignalKind::from_raw(libc::SIGXFSZ))?,
        })
    }

    /// Waits for the signal to end, and has everything read again at each SIGHUP.
    async fn until_end(mut self, host: Arc<CampaignHost>) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hangup.recv() => {
                    service::tell(ServiceState::Reloading);
                    tracing::info!("reading everything again");
                    let reloading = Arc::clone(&host);
                    self.helper.add(move || {
                        reloading.reload();
                        service::tell(ServiceState::Ready);
                    });
                }
            }
        }
    }
}

/// Tells the service manager that this thread, which answers HTTP, is alive.
async fn keep_alive(interval: Duration) {
    let mut interval = tokio::time::interval(interval);
    loop {
        interval.tick().await;
        service::tell(ServiceState::Alive);
    }
}

async fn serve(host: &cli::Host, web: cli::Web) -> anyhow::Result<ExitCode> {
    let files = MappedFiles::now();
    // The first line of the log may be beyond a limit already, and a SIGHUP may come at once.
    let signals = Signals::listen()?;
    tracing::info!(version = VERSION, revision = REVISION, "starting campaign_exporter");
    let DescriptorBudget { connections, silent, .. } = DescriptorBudget::current();
    let limits = web::Limits { connections, silent, ..web::Limits::default() };
    let config = web.config_file.as_deref().map(ConfigFile::load).transpose()?;
    let listeners = if web.systemd_socket { service::sockets()? } else { web::bind(&web.listen_addresses)? };
    let host = Arc::new(CampaignHost::open(host)?);
    let options = serve::ServeOptions {
        telemetry_path: web.telemetry_path,
        max_requests: web.max_requests,
        timeout_offset: web.timeout_offset,
    };
    let answer = serve::answer(options, Arc::clone(&host) as Arc<dyn serve::Scrape>);
    if let Some(interval) = service::watchdog_interval() {
        tokio::spawn(keep_alive(interval));
    }
    files.give_back();
    service::tell(ServiceState::Ready);
    let shutdown = async move {
        signals.until_end(host).await;
        tracing::info!("stopping");
        service::tell(ServiceState::Stopping);
    };
    web::serve(listeners, answer, web::WebSettings { limits, config }, shutdown).await?;
    Ok(ExitCode::SUCCESS)
}

/// The health of this host in the terminal; the exit code is for scripts.
async fn check(host: &cli::Host, options: &CheckOptions) -> anyhow::Result<ExitCode> {
    let host = CampaignHost::open(host)?;
    host.settle().await;
    let findings = host.look_at_all().await;
    let report = findings.report(options.lang);
    let text = match options.format {
        CheckFormat::Text => terminal(&report, colour()),
        CheckFormat::Json => json::json(&report),
    };
    print(&text)?;
    Ok(report.verdict.exit_code().into())
}

/// Colours on a terminal, unless the environment's `NO_COLOR` (no-color.org) says otherwise.
fn colour() -> Colour {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let is_plain = set("NO_COLOR").is_some() || set("TERM").is_none_or(|terminal| terminal == "dumb");
    Colour(std::io::stdout().is_terminal() && !is_plain)
}

fn print(text: &str) -> anyhow::Result<ExitCode> {
    match std::io::stdout().write_all(text.as_bytes()) {
        // Whoever reads it has seen enough, as `head` has.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {}
        written => written.context("the standard output can't be written")?,
    }
    Ok(ExitCode::SUCCESS)
}
