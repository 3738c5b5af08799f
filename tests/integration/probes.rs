//! The probing client and the probes against servers of every kind: well, ill and hostile. Everything is on 127.0.0.1.

use std::collections::BTreeSet;
use std::fs::Permissions;
use std::future::pending;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use campaign_exporter::catalog::signals::probes::{
    MESSAGE_CENTER_PENDING_EVENTS, MESSAGE_CENTER_QUEUE_CAPACITY, MESSAGE_CENTER_QUEUE_FULL,
    PIPELINED_CURRENT_MESSAGES, PIPELINED_LAST_ALIVE, PIPELINED_TRIGGER_FAILURES, PROBE_DURATION, PROBE_FAILURE_INFO,
    PROBE_FAILURES, PROBE_HTTP_STATUS, PROBE_LAST_RUN, PROBE_RUNS, PROBE_SUCCESS, PROBE_TARGET_INFO, Probe,
    REDIRECTION_INFO, Reason,
};
use campaign_exporter::collect::pipelined::PipelinedStatus;
use campaign_exporter::collect::probes::ProbeResults;
use campaign_exporter::collect::{Collector, Context, ErrorKind, Outcome, probe_once};
use campaign_exporter::parse::conf::{ServerConf, Settings};
use campaign_exporter::parse::targets::{Base, Carrier, ProbeSettings, Target, TokenSource, Trust};
use campaign_exporter::snapshot::{Samples, Snapshot};
use campaign_exporter::source::http::{Answer, Client, Endpoint, MAX_BODY_BYTES, RequestFailure, Token};
use campaign_exporter::source::installation::Installation;
use campaign_exporter::source::probes::{Probes, UnknownProbe, check, local_targets};
use campaign_exporter::source::processes::ProcessTable;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::support::stack::{Exporter, Metrics, concat_os};
use crate::support::wait_for;

mod answers;
mod http;
mod local;
mod schedule;
mod tls;
mod tokens;

/// Long enough for a busy machine; nothing waits for it but what fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is bounded by the sockets' own buffers: more than that was read if a peer could write more.
const SOCKET_BUFFERS: usize = 24 * 1024 * 1024;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 21\r\n\r\n<redir status='OK' />";

/// A server, and what it saw.
struct Server {
    address: SocketAddr,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    connections: AtomicUsize,
    open: AtomicUsize,
    most_open: AtomicUsize,
    written: AtomicUsize,
}

/// A connection of the server, which counts what it could write.
struct Peer<S = TcpStream> {
    stream: S,
    seen: Arc<Seen>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Peer<S> {
    /// The request's head.
    async fn request(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match self.stream.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) => break,
            }
        }
        String::from_utf8(head).unwrap()
    }

    /// Whether it could be written.
    async fn write(&mut self, bytes: &[u8]) -> bool {
        let done = self.stream.write_all(bytes).await.is_ok();
        if done {
            self.seen.written.fetch_add(bytes.len(), Ordering::SeqCst);
        }
        done
    }

    /// Writes `piece` until the other side has had enough.
    async fn write_for_ever(&mut self, piece: &[u8]) {
        while self.write(piece).await {}
    }
}

impl Server {
    async fn start<F, B>(behave: F) -> Server
    where
        F: Fn(Peer) -> B + Send + Sync + 'static,
        B: Future<Output = ()> + Send,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Seen::default());
        let (behave, counted) = (Arc::new(behave), Arc::clone(&seen));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (behave, seen) = (Arc::clone(&behave), Arc::clone(&counted));
                tokio::spawn(async move {
                    seen.connections.fetch_add(1, Ordering::SeqCst);
                    let open = seen.open.fetch_add(1, Ordering::SeqCst) + 1;
                    seen.most_open.fetch_max(open, Ordering::SeqCst);
                    behave(Peer { stream, seen: Arc::clone(&seen) }).await;
                    seen.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Server { address, seen }
    }

    /// Answers every request with `answer`.
    async fn answering(answer: impl Into<Vec<u8>>) -> Server {
        let answer: Arc<Vec<u8>> = Arc::new(answer.into());
        Server::start(move |mut peer| {
            let answer = Arc::clone(&answer);
            async move {
                peer.request().await;
                peer.write(&answer).await;
            }
        })
        .await
    }

    /// Answers status 200 and `body` to every request.
    async fn with_body(body: &[u8]) -> Server {
        Server::answering(ok(body)).await
    }

    async fn with_tls(certificate: &Issued) -> Server {
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.certificate.der().clone()], certificate.private_key())
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Server::start(move |peer| {
            let acceptor = acceptor.clone();
            async move {
                let Ok(stream) = acceptor.accept(peer.stream).await else { return };
                let mut peer = Peer { stream, seen: peer.seen };
                peer.request().await;
                peer.write(OK).await;
                let _ = peer.stream.shutdown().await;
            }
        })
        .await
    }

    fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }

    fn written(&self) -> usize {
        self.seen.written.load(Ordering::SeqCst)
    }
}

fn ok(body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

fn target(address: SocketAddr) -> Target {
    let mut target = Target::local("t", address.port(), Probe::Redirection);
    target.timeout = PATIENCE;
    target.connect_timeout = PATIENCE;
    target
}

fn https(address: SocketAddr, trust: Trust) -> Target {
    let target = target(address);
    Target { base: Base { tls: true, ..target.base }, trust, ..target }
}

fn impatient(target: Target) -> Target {
    let limit = Duration::from_millis(150);
    Target { timeout: limit, connect_timeout: limit, ..target }
}

fn asking(target: Target, probe: Probe) -> Target {
    let settings =
        ProbeSettings { probe, path: probe.path().unwrap_or("/status").to_owned(), interval: probe.usual_interval() };
    Target { probes: vec![settings], ..target }
}

fn client(target: &Target) -> Client {
    Client::new(std::slice::from_ref(target)).unwrap()
}

async fn get(target: &Target) -> Result<Answer, RequestFailure> {
    Endpoint::new(target, &client(target)).unwrap().get("/r/test", None).await
}

#[track_caller]
fn assert_fails(result: Result<Answer, RequestFailure>, reason: Reason, says: &str) {
    let failure = result.expect_err("the probe should have failed");
    assert_eq!(failure.reason, reason, "{}", failure.message);
    assert!(failure.message.contains(says), "{:?} should say {says:?}", failure.message);
}

/// Waits until `condition` holds.
async fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn collect(probes: &Arc<Probes>) -> (Outcome, Snapshot) {
    let processes = ProcessTable::default().into();
    let context = Context::new(Arc::default(), processes, SystemTime::now(), Instant::now() + PATIENCE);
    let mut samples = Samples::default();
    let outcome = ProbeResults::new(Arc::clone(probes)).collect(&context, &mut samples).unwrap();
    PipelinedStatus::new(Arc::clone(probes)).collect(&context, &mut samples).unwrap();
    let snapshot = samples.freeze();
    assert_eq!(snapshot.rejected(), 0);
    (outcome, snapshot)
}

/// What one probe of a server that answers `body` is shown as.
async fn probed(probe: Probe, body: &[u8]) -> Snapshot {
    let server = Server::with_body(body).await;
    let probes = Probes::configured(vec![asking(target(server.address), probe)]).unwrap();
    probe_once(&probes, "t", probe, PATIENCE).await.unwrap().freeze()
}

fn token(directory: &Path, content: &str, mode: u32, carrier: Carrier) -> TokenSource {
    let file = directory.join("token");
    std::fs::write(&file, content).unwrap();
    std::fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
    TokenSource { file, carrier }
}

fn in_header() -> Carrier {
    Carrier::Header("x-example-token".parse().unwrap())
}

/// A certificate with its key.
struct Issued {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

impl Issued {
    fn private_key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(self.key.serialize_der().into())
    }
}
