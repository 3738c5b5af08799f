//! What a limit of the system does to an exporter that is running.

use std::fs;
use std::io::Read;
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::Duration;

use crate::support::stack::{Exporter, concat_os};
use crate::support::{Running, built, get, run};

const LIMIT: Duration = Duration::from_secs(60);

/// More than the exporter may hold, and fewer than wait in the queue of a listener.
const IDLE: usize = 120;

#[test]
fn a_limit_of_file_sizes_ends_it_at_no_time() {
    let folder = tempfile::tempdir().unwrap();
    // Its own log is a file, and beyond the limit from the first line on.
    let socket = UnixDatagram::bind(folder.path().join("notify")).unwrap();
    socket.set_read_timeout(Some(LIMIT)).unwrap();
    let mut command = Command::new("prlimit");
    command
        .args(["--fsize=0:0", "--"])
        .arg(built("campaign_exporter"))
        .arg("--web.listen-address=127.0.0.1:0")
        .arg(concat_os("--campaign.home=", &folder.path().join("nl6")))
        .arg(concat_os("--storage.path=", &folder.path().join("state")))
        .env("NOTIFY_SOCKET", folder.path().join("notify"));
    let mut exporter = Running::start(&mut command, &folder.path().join("exporter.log"));
    let mut told = [0; 256];
    let length = socket.recv(&mut told).unwrap();
    assert!(told[..length].starts_with(b"READY=1"), "{:?} {:?}", &told[..length], exporter.ended());
    assert!(exporter.terminate().success());
}

#[test]
fn without_descriptors_for_new_connections_the_oldest_idle_ones_make_room() {
    let folder = tempfile::tempdir().unwrap();
    let exporter = Exporter::start::<&str>(folder.path(), &folder.path().join("nl6"), &[]);
    let pid = exporter.process.pid();
    let open = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
    // The exporter opens and closes files of its own all the time.
    let limit = format!("--nofile={0}:{0}", open + 40);
    let limited = run(Command::new("prlimit").arg(format!("--pid={pid}")).arg(limit));
    assert!(limited.status.success(), "{limited:?}");

    let mut idle: Vec<_> = (0..IDLE).map(|_| TcpStream::connect(&exporter.address).unwrap()).collect();
    // The clients that wait in the queue of the listener have to be accepted before it.
    assert_eq!(get(&exporter.url("/-/healthy"), &[]).as_deref().map(str::trim_end), Ok("Healthy."));
    for connection in &mut idle[..IDLE / 2] {
        connection.set_read_timeout(Some(LIMIT)).unwrap();
        // An end, whichever way.
        let end = connection.read(&mut [0]);
        assert!(matches!(&end, Ok(0)) || end.as_ref().is_err_and(|error| error.raw_os_error() == Some(104)), "{end:?}");
    }
    exporter.wait_for_log(&["cannot accept connections"]);
}
