//! `make demo`: what the exporter is for, on a simulated Campaign host. A module is killed, the operator is notified,
//! the module is repaired, the operator is notified again. Then it stays until Ctrl-C, or ends after as many seconds as
//! its argument says.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "a demonstration")]

mod support;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use support::get;
use support::receiver::{Notified, Receiver};
use support::simulator::Simulator;
use support::stack::{Alertmanager, Exporter, Pace, Prometheus, impatient_rules};

/// The module that is killed, and its alert.
const VICTIM: &str = "mta@prod";
const ALERT: &str = "CampaignMtaDown";

/// How fast the demo goes: people watch it.
const PACE: Pace = Pace { scrape: "1s", group: "1s" };

/// How long each step may take.
const STEP_LIMIT: Duration = Duration::from_secs(180);

/// How often the demo looks for what it waits for.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What a person reads of a notification, each with its heading; in this order.
const ANNOTATIONS: [(&str, &str); 5] = [
    ("description", ""),
    ("next_steps", "Next steps"),
    ("troubleshooting", "The documentation says"),
    ("scope", "What the module does"),
    ("runbook_url", "More"),
];

/// Why the demo ends early.
enum End {
    /// Ctrl-C.
    Interrupted,
    /// A step did not happen in time.
    Missed(String),
}

fn main() -> ExitCode {
    let seconds = std::env::args().nth(1).map(|text| text.parse().expect("SECONDS is a whole number"));
    let demo = Demo { start: Instant::now(), interrupt: interrupt() };
    match demo.play(seconds.map(Duration::from_secs)) {
        Ok(()) | Err(End::Interrupted) => ExitCode::SUCCESS,
        Err(End::Missed(what)) => {
            demo.tell(&format!("no {what} within {} s: this should not happen", STEP_LIMIT.as_secs()));
            ExitCode::FAILURE
        }
    }
}

struct Demo {
    start: Instant,
    interrupt: mpsc::Receiver<()>,
}

impl Demo {
    fn play(&self, duration: Option<Duration>) -> Result<(), End> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path();
        println!(
            "Everything runs on this machine and is gone at the end. For the demo alone, the rules wait for a second \
             instead of minutes, and Prometheus scrapes every second.\n"
        );
        self.tell("starting a simulated Campaign host, the exporter, Prometheus and Alertmanager");
        let shipped = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("alerts/en/campaign.rules.yml");
        let rules = impatient_rules(path, &shipped);
        let receiver = Receiver::start();
        let simulator = Simulator::start(path, &["--instances", "prod,dev"]);
        let exporter = Exporter::watch(path, &simulator);
        let alertmanager = Alertmanager::start(path, PACE, Some(&receiver.url()));
        let prometheus = Prometheus::start(path, PACE, &exporter.address, &alertmanager.address, &rules);
        prometheus.wait_for_target();
        self.tell(&format!("the page for people   {}", exporter.url("/")));
        self.tell(&format!("Prometheus' alerts    http://{}/alerts", prometheus.address));
        self.tell(&format!("Alertmanager          http://{}/", alertmanager.address));
        let headline = |part: &'static str| {
            let exporter = &exporter;
            move || {
                get(&exporter.url("/?lang=en"), &[])
                    .ok()
                    .and_then(|page| headline(&page))
                    .filter(|line| line.contains(part))
            }
        };
        let well = self.until("page that calls the host well", headline("are well"))?;
        self.tell(&format!("the page says: {well}"));

        println!();
        self.tell(&format!("killing {VICTIM}, and keeping the watchdog from starting it again"));
        simulator.fault(&["hold"]);
        simulator.fault(&["die", VICTIM]);
        let down = self.until("page that sees it down", headline("needs attention"))?;
        self.tell(&format!("seen down: the page says: {down}"));
        let told = |status: &'static str| {
            let receiver = &receiver;
            move || receiver.notified().into_iter().find(|one| one.is(status, ALERT))
        };
        let firing = self.until("notification that it is down", told("firing"))?;
        self.tell("the operator gets this notification:");
        print(&firing);

        self.tell(&format!("repairing: the watchdog may start {VICTIM} again"));
        simulator.fault(&["unhold"]);
        let well = self.until("page that calls the host well again", headline("are well"))?;
        self.tell(&format!("repaired: the page says: {well}"));
        let resolved = self.until("notification that it is well again", told("resolved"))?;
        self.tell("resolved: the operator gets this notification:");
        print(&resolved);

        let nlserver = simulator.home().join("bin/nlserver");
        println!(
            "That was the whole chain. Try another fault:\n  {0} sim hold; {0} sim die wfserver@prod",
            nlserver.display()
        );
        println!("Ctrl-C ends the demo.\n");
        self.stay(&receiver, duration)
    }

    /// A line with the time since the start.
    fn tell(&self, text: &str) {
        println!("{:>4.1} s  {text}", self.start.elapsed().as_secs_f64());
    }

    /// Waits for what `look` finds.
    fn until<T>(&self, what: &str, look: impl Fn() -> Option<T>) -> Result<T, End> {
        let deadline = Instant::now() + STEP_LIMIT;
        loop {
            if let Some(found) = look() {
                return Ok(found);
            }
            if self.interrupt.recv_timeout(LOOK_EVERY).is_ok() {
                return Err(End::Interrupted);
            }
            if Instant::now() >= deadline {
                return Err(End::Missed(what.to_owned()));
            }
        }
    }

    /// Shows every further notification until the end.
    fn stay(&self, receiver: &Receiver, duration: Option<Duration>) -> Result<(), End> {
        let mut shown = receiver.notified().len();
        while duration.is_none_or(|duration| self.start.elapsed() < duration) {
            if self.interrupt.recv_timeout(LOOK_EVERY).is_ok() {
                return Err(End::Interrupted);
            }
            let notified = receiver.notified();
            for one in &notified[shown..] {
                self.tell("the operator gets this notification:");
                print(one);
            }
            shown = notified.len();
        }
        Ok(())
    }
}

/// The sentence on top of the page.
fn headline(page: &str) -> Option<String> {
    let (_, rest) = page.split_once("<h1")?;
    let text = rest.split_once('>')?.1.split_once("</h1>")?.0;
    Some(text.replace("&#39;", "'"))
}

/// A notification as its receiver reads it.
fn print(notified: &Notified) {
    let text = |name: &str| notified.annotations[name].as_str().unwrap_or_default().to_owned();
    let label = |name: &str| notified.labels[name].as_str().unwrap_or_default().to_owned();
    println!("          | [{}] {}", notified.status.to_uppercase(), text("summary"));
    println!("          | host {}, severity {}", label("instance"), label("severity"));
    for (name, heading) in ANNOTATIONS {
        let text = text(name);
        if text.is_empty() {
            continue;
        }
        println!("          |{}", if heading.is_empty() { String::new() } else { format!("\n          | {heading}:") });
        for line in text.lines() {
            println!("          | {line}");
        }
    }
    println!();
}

/// Tells of Ctrl-C, so that everything ends in order and leaves nothing behind.
fn interrupt() -> mpsc::Receiver<()> {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(tokio::signal::ctrl_c()).expect("the signal of Ctrl-C");
        // The demo may just have ended by itself.
        let _ = tell.send(());
    });
    told
}
