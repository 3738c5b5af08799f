//! The exporter with its log in a pipe, which is read or not, as the test says.

use std::io::{BufRead, BufReader, PipeReader};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use crate::support::simulator::Simulator;
use crate::support::stack::concat_os;
use crate::support::{built, free_port, get, wait_for};

const LIMIT: Duration = Duration::from_secs(60);

/// An exporter that runs until this is dropped.
pub(super) struct Piped {
    child: Child,
    address: String,
    stalled: Arc<(Mutex<bool>, Condvar)>,
}

impl Piped {
    /// Starts it for a simulated host, and waits until it is ready.
    pub(super) fn start(folder: &Path, simulator: &Simulator) -> Piped {
        let address = format!("127.0.0.1:{}", free_port());
        let (reader, writer) = std::io::pipe().unwrap();
        let mut command = Command::new(built("campaign_exporter"));
        command
            .args(["--log.level=debug".to_owned(), format!("--web.listen-address={address}")])
            .arg(format!("--collector.ports.syslogd-port={}", simulator.port("syslogd.port")))
            .arg(concat_os("--campaign.home=", simulator.home()))
            .arg(concat_os("--storage.path=", &folder.join("state")));
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(writer).spawn().unwrap();
        let stalled = Arc::<(Mutex<bool>, Condvar)>::default();
        let of_reader = Arc::clone(&stalled);
        std::thread::spawn(move || read(reader, &of_reader));
        let piped = Piped { child, address, stalled };
        wait_for("exporter that is ready", LIMIT, || get(&piped.url("/-/ready"), &[]));
        piped
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(super) fn connect(&self) -> TcpStream {
        let connection = TcpStream::connect(&self.address).unwrap();
        connection.set_read_timeout(Some(LIMIT)).unwrap();
        connection
    }

    /// Stops reading its log, or goes on with it.
    pub(super) fn stall(&self, stalled: bool) {
        *self.stalled.0.lock().unwrap() = stalled;
        self.stalled.1.notify_all();
    }
}

impl Drop for Piped {
    fn drop(&mut self) {
        self.stall(false);
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Reads the log to its end, and shows what is wrong.
fn read(log: PipeReader, stalled: &(Mutex<bool>, Condvar)) {
    for line in BufReader::new(log).lines() {
        let line = line.unwrap();
        assert!(!line.contains("panicked"), "{line}");
        drop(stalled.1.wait_while(stalled.0.lock().unwrap(), |stalled| *stalled).unwrap());
    }
}
