//! An HTTP server between Prometheus and exporters: a target that keeps its address while its exporter restarts, is
//! silent when a test wants it, and may be one of many hosts that give the same metrics.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::get;

/// What a target answers.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// What the exporter at this address does; with another time of the host's start, where there is one.
    Of { address: String, booted: Option<u64> },
    /// This text.
    Text(Arc<str>),
    /// An error, at once.
    Nothing,
    /// Nothing until the client gives up.
    Hangs,
}

#[derive(Debug)]
struct Target {
    answer: Answer,
    /// How many scrapes are answered with an error before that.
    misses: u32,
}

type Targets = Arc<Mutex<BTreeMap<String, Target>>>;

/// Listens on the loopback interface; a target is a path.
pub(crate) struct Relay {
    port: u16,
    targets: Targets,
}

impl Relay {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port for the relay");
        let port = listener.local_addr().expect("the relay's port").port();
        let targets = Targets::default();
        let shared = Arc::clone(&targets);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let targets = Arc::clone(&shared);
                // Prometheus may close the connection when it likes.
                std::thread::spawn(move || serve(stream, &targets).ok());
            }
        });
        Self { port, targets }
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// From now on, `target` answers with `answer`.
    pub(crate) fn set(&self, target: &str, answer: Answer) {
        let target_state = Target { answer, misses: 0 };
        self.targets.lock().expect("the targets").insert(format!("/{target}"), target_state);
    }

    /// The next `count` scrapes of `target` fail.
    pub(crate) fn miss(&self, target: &str, count: u32) {
        let mut targets = self.targets.lock().expect("the targets");
        targets.get_mut(&format!("/{target}")).expect("a target that is there").misses = count;
    }
}

fn serve(mut stream: TcpStream, targets: &Targets) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    for line in lines.by_ref() {
        if line?.is_empty() {
            break;
        }
    }
    let path = request.split(' ').nth(1).unwrap_or_default();
    let answer = targets.lock().expect("the targets").get_mut(path).map_or(Answer::Nothing, |target| {
        if target.misses == 0 {
            return target.answer.clone();
        }
        target.misses -= 1;
        Answer::Nothing
    });
    let body = match answer {
        Answer::Text(text) => Some(text.to_string()),
        Answer::Of { address, booted } => {
            get(&format!("http://{address}/metrics"), &[]).ok().map(|text| with_boot_time(&text, booted))
        }
        Answer::Nothing => None,
        Answer::Hangs => {
            stream.set_read_timeout(Some(Duration::from_secs(60)))?;
            let _ = lines.next();
            return Ok(());
        }
    };
    let head = match &body {
        Some(body) => format!("200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {}", body.len()),
        None => "503 Service Unavailable\r\nContent-Length: 0".to_owned(),
    };
    write!(stream, "HTTP/1.1 {head}\r\nConnection: close\r\n\r\n{}", body.unwrap_or_default())
}

fn with_boot_time(text: &str, booted: Option<u64>) -> String {
    const METRIC: &str = "campaign_host_boot_time_seconds ";
    let Some(booted) = booted else { return text.to_owned() };
    let line = |line: &str| {
        if line.starts_with(METRIC) { format!("{METRIC}{booted}\n") } else { format!("{line}\n") }
    };
    text.lines().map(line).collect()
}
