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

// ---- answers

#[tokio::test]
async fn a_good_answer_is_taken_with_its_charset() {
    let answer = "HTTP/1.1 200 OK\r\ncontent-type: text/xml; Charset=\"ISO-8859-1\"\r\n\r\n<redir/>";
    let server = Server::answering(answer).await;
    let answer = get(&target(server.address)).await.unwrap();
    assert_eq!(answer, Answer { body: b"<redir/>".to_vec(), charset: Some("ISO-8859-1".to_owned()) });
}

#[tokio::test]
async fn the_request_names_the_host_and_the_exporter() {
    let (sender, mut requests) = tokio::sync::mpsc::unbounded_channel();
    let server = Server::start(move |mut peer| {
        let sender = sender.clone();
        async move {
            sender.send(peer.request().await).unwrap();
            peer.write(OK).await;
        }
    })
    .await;
    let mut target = target(server.address);
    get(&target).await.unwrap();
    let request = requests.recv().await.unwrap().to_lowercase();
    assert!(request.starts_with("get /r/test http/1.1\r\n"), "{request}");
    assert!(request.contains(&format!("\r\nhost: 127.0.0.1:{}\r\n", server.address.port())), "{request}");
    assert!(request.contains("\r\nuser-agent: campaign_exporter/"), "{request}");
    target.host_header = Some("campaign.example.com".parse().unwrap());
    get(&target).await.unwrap();
    let request = requests.recv().await.unwrap().to_lowercase();
    assert!(request.contains("\r\nhost: campaign.example.com\r\n"), "{request}");
}

#[tokio::test]
async fn other_statuses_fail_and_redirects_are_not_followed() {
    let elsewhere = Server::with_body(b"<redir status='OK'/>").await;
    let redirect =
        format!("HTTP/1.1 302 Found\r\nlocation: http://{}/\r\ncontent-length: 0\r\n\r\n", elsewhere.address);
    let server = Server::answering(redirect).await;
    let failure = get(&target(server.address)).await.unwrap_err();
    assert_eq!((failure.reason, failure.status), (Reason::Status, Some(302)));
    assert_eq!(elsewhere.connections(), 0);
    for status in [204, 404, 500, 503] {
        let server = Server::answering(format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n")).await;
        let failure = get(&target(server.address)).await.unwrap_err();
        assert_eq!((failure.reason, failure.status), (Reason::Status, Some(status)));
    }
}

// ---- hostile servers

#[tokio::test]
async fn an_endless_body_is_cut_off() {
    let heads: [(&[u8], &[u8]); 4] = [
        (b"HTTP/1.1 200 OK\r\n\r\n", &[b'x'; 65536]),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n", &[b'x'; 65536]),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", b"8\r\nxxxxxxxx\r\n"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;", b"x=yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy;"),
    ];
    for (head, piece) in heads {
        let server = Server::start(move |mut peer| async move {
            peer.request().await;
            peer.write(head).await;
            peer.write_for_ever(piece).await;
        })
        .await;
        assert_fails(get(&target(server.address)).await, Reason::Body, "");
        until("the server gives up", || server.seen.open.load(Ordering::SeqCst) == 0).await;
        assert!(server.written() < SOCKET_BUFFERS, "{} bytes", server.written());
    }
}

#[tokio::test]
async fn a_body_of_just_the_limit_is_taken_and_one_more_byte_is_not() {
    let server = Server::with_body(&vec![b'x'; MAX_BODY_BYTES]).await;
    assert_eq!(get(&target(server.address)).await.unwrap().body.len(), MAX_BODY_BYTES);
    let server = Server::with_body(&vec![b'x'; MAX_BODY_BYTES + 1]).await;
    assert_fails(get(&target(server.address)).await, Reason::Body, "larger");
}

#[tokio::test]
async fn headers_without_end_are_cut_off() {
    let pieces: [(&[u8], &[u8]); 4] = [
        (b"HTTP/1.1 200 OK\r\nx: ", &[b'x'; 65536]),
        (b"HTTP/1.1 200 OK\r\n", b"x: y\r\n"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n", b"x: y\r\n"),
    ];
    for (head, piece) in pieces {
        let server = Server::start(move |mut peer| async move {
            peer.request().await;
            peer.write(head).await;
            peer.write_for_ever(piece).await;
        })
        .await;
        assert_fails(get(&target(server.address)).await, Reason::Body, "");
        until("the server gives up", || server.seen.open.load(Ordering::SeqCst) == 0).await;
        assert!(server.written() < SOCKET_BUFFERS, "{} bytes", server.written());
    }
}

#[tokio::test]
async fn a_64_mb_header_is_not_read_to_its_end() {
    let server = Server::start(|mut peer| async move {
        peer.request().await;
        peer.write(b"HTTP/1.1 200 OK\r\nx: ").await;
        for _ in 0..64 {
            if !peer.write(&vec![b'x'; 1 << 20]).await {
                return;
            }
        }
        peer.write(b"\r\n\r\n").await;
    })
    .await;
    assert_fails(get(&target(server.address)).await, Reason::Body, "");
    until("the server gives up", || server.seen.open.load(Ordering::SeqCst) == 0).await;
    assert!(server.written() < SOCKET_BUFFERS, "{} bytes", server.written());
}

#[tokio::test]
async fn silence_and_slowness_end_at_the_time_limit() {
    let stops: [&'static [u8]; 4] = [
        b"",
        b"HTTP/1.1 200 OK\r\nx",
        b"HTTP/1.1 200 OK\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx",
    ];
    for stop in stops {
        let server = Server::start(move |mut peer| async move {
            peer.request().await;
            peer.write(stop).await;
            pending::<()>().await;
        })
        .await;
        assert_fails(get(&impatient(target(server.address))).await, Reason::Timeout, "150ms");
    }
    // Slow loris: always a little more, never enough.
    for head in [&b"HTTP/1.1 200 OK\r\nx: "[..], b"HTTP/1.1 200 OK\r\n\r\n"] {
        let server = Server::start(move |mut peer| async move {
            peer.request().await;
            peer.write(head).await;
            let mut tick = tokio::time::interval(Duration::from_millis(5));
            while peer.write(b"x").await {
                tick.tick().await;
            }
        })
        .await;
        assert_fails(get(&impatient(target(server.address))).await, Reason::Timeout, "150ms");
        assert!(server.written() < 1000, "the slow server wrote {} bytes", server.written());
    }
}

#[tokio::test]
async fn what_is_no_http_fails_as_a_body() {
    let answers: [&'static [u8]; 4] =
        [b"SSH-2.0-OpenSSH_9.6\r\n", b"\0\0\0\0\0\0\0\0", b"<redir status='OK'/>", b"HTTP/9.9 200 OK\r\n\r\n"];
    for answer in answers {
        let server = Server::answering(answer).await;
        assert_fails(get(&target(server.address)).await, Reason::Body, "");
    }
    let server = Server::answering("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\ncut off").await;
    assert_fails(get(&target(server.address)).await, Reason::Body, "end of file");
}

#[tokio::test]
async fn refused_and_reset_connections_fail_as_connections() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    assert_fails(get(&target(closed)).await, Reason::Connect, "refused");
    let server = Server::start(|mut peer| async move {
        peer.request().await;
        // Closing with no time to linger sends a reset.
        socket2::SockRef::from(&peer.stream).set_linger(Some(Duration::ZERO)).unwrap();
    })
    .await;
    assert_fails(get(&target(server.address)).await, Reason::Connect, "");
}

#[tokio::test]
async fn a_name_without_an_address_fails_as_dns() {
    // An empty label: refused by the resolver itself, so that nothing leaves this host.
    let mut target = target("127.0.0.1:1".parse().unwrap());
    target.base.host = "name..invalid".to_owned();
    assert_fails(get(&target).await, Reason::Dns, "name..invalid");
}

#[tokio::test]
async fn a_name_is_looked_up() {
    let server = Server::answering(OK).await;
    let mut target = target(server.address);
    target.base.host = "localhost".to_owned();
    assert!(get(&target).await.is_ok());
}

// ---- TLS

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

/// A certificate authority.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Authority {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Authority { issuer: Issuer::new(params, key), pem }
    }

    fn issue(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Issued {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        change(&mut params);
        Issued { certificate: params.signed_by(&key, &self.issuer).unwrap(), key }
    }

    fn write(&self, directory: &Path) -> PathBuf {
        let path = directory.join("ca.pem");
        std::fs::write(&path, &self.pem).unwrap();
        path
    }
}

fn self_signed(name: &str) -> Issued {
    let key = KeyPair::generate().unwrap();
    Issued { certificate: CertificateParams::new(vec![name.to_owned()]).unwrap().self_signed(&key).unwrap(), key }
}

#[tokio::test]
async fn a_custom_ca_is_trusted_for_its_names_and_dates_alone() {
    let (authority, directory) = (Authority::new(), tempfile::tempdir().unwrap());
    let trust = Trust::File(authority.write(directory.path()));

    let server = Server::with_tls(&authority.issue("127.0.0.1", |_| ())).await;
    assert_eq!(get(&https(server.address, trust.clone())).await.unwrap().body, b"<redir status='OK' />");
    let elsewhere = tempfile::tempdir().unwrap();
    let other = Trust::File(Authority::new().write(elsewhere.path()));
    assert_fails(get(&https(server.address, other)).await, Reason::Tls, "certificate");

    let server = Server::with_tls(&authority.issue("campaign.example.com", |_| ())).await;
    assert_fails(get(&https(server.address, trust.clone())).await, Reason::Tls, "certificate");
    let named =
        Target { host_header: Some("campaign.example.com".parse().unwrap()), ..https(server.address, trust.clone()) };
    assert!(get(&named).await.is_ok());

    let expired = authority.issue("127.0.0.1", |params| params.not_after = rcgen::date_time_ymd(2001, 1, 1));
    let server = Server::with_tls(&expired).await;
    assert_fails(get(&https(server.address, trust)).await, Reason::Tls, "xpired");
}

#[tokio::test]
async fn a_self_signed_certificate_is_refused_unless_anybody_is_trusted() {
    let server = Server::with_tls(&self_signed("other.example.com")).await;
    let authority = Authority::new();
    let directory = tempfile::tempdir().unwrap();
    let trust = Trust::File(authority.write(directory.path()));
    assert_fails(get(&https(server.address, trust)).await, Reason::Tls, "");
    assert!(get(&https(server.address, Trust::Anybody)).await.is_ok());
}

#[tokio::test]
async fn the_system_s_roots_do_not_trust_a_stranger() {
    let server = Server::with_tls(&self_signed("127.0.0.1")).await;
    let target = https(server.address, Trust::System);
    match Endpoint::new(&target, &client(&target)) {
        Ok(endpoint) => assert_fails(endpoint.get("/r/test", None).await, Reason::Tls, "certificate"),
        // A machine without any roots: that is told at the start.
        Err(error) => assert!(error.to_string().contains("ca-certificates"), "{error}"),
    }
}

#[tokio::test]
async fn tls_that_is_none_fails_as_tls() {
    let garbage: [Vec<u8>; 4] = [
        OK.to_vec(),
        vec![0x16, 0x03, 0x03, 0xff, 0xff],
        vec![0xff; 100_000],
        [&[0x16, 0x03, 0x03, 0x00, 0x04][..], &[0x02, 0xff, 0xff, 0xff]].concat(),
    ];
    for answer in garbage {
        let answer = Arc::new(answer);
        let server = Server::start(move |mut peer| {
            let answer = Arc::clone(&answer);
            async move {
                // The whole greeting is taken first: what is left unread would make a reset of the close.
                let mut head = [0; 5];
                peer.stream.read_exact(&mut head).await.unwrap();
                let mut rest = vec![0; usize::from(u16::from_be_bytes([head[3], head[4]]))];
                peer.stream.read_exact(&mut rest).await.unwrap();
                peer.write(&answer).await;
                let _ = peer.stream.shutdown().await;
                let _ = peer.stream.read_to_end(&mut Vec::new()).await;
            }
        })
        .await;
        assert_fails(get(&https(server.address, Trust::Anybody)).await, Reason::Tls, "");
    }
    let server = Server::start(|peer| async move {
        let _open = peer;
        pending::<()>().await;
    })
    .await;
    assert_fails(get(&impatient(https(server.address, Trust::Anybody))).await, Reason::Timeout, "no connection");
}

#[test]
fn a_ca_file_that_can_t_be_used_says_why() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ca.pem");
    let error = |path: &Path| {
        let target = https("127.0.0.1:1".parse().unwrap(), Trust::File(path.to_owned()));
        Endpoint::new(&target, &client(&target)).unwrap_err().to_string()
    };
    assert!(error(&path).contains("No such file"), "{}", error(&path));
    std::fs::write(&path, "no certificate").unwrap();
    assert!(error(&path).contains("no certificate in it"), "{}", error(&path));
    std::fs::write(&path, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    assert!(error(&path).contains("ca.pem"), "{}", error(&path));
    assert!(error(directory.path()).contains("not a regular file"), "{}", error(directory.path()));
}

// ---- the session token

fn token(directory: &Path, content: &str, mode: u32, carrier: Carrier) -> TokenSource {
    let file = directory.join("token");
    std::fs::write(&file, content).unwrap();
    std::fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
    TokenSource { file, carrier }
}

fn in_header() -> Carrier {
    Carrier::Header("x-example-token".parse().unwrap())
}

#[tokio::test]
async fn the_session_token_goes_where_it_belongs_and_nowhere_else() {
    let directory = tempfile::tempdir().unwrap();
    let (sender, mut requests) = tokio::sync::mpsc::unbounded_channel();
    let server = Server::start(move |mut peer| {
        let sender = sender.clone();
        async move {
            sender.send(peer.request().await).unwrap();
            peer.write(&ok(b"OK\n")).await;
        }
    })
    .await;
    let cookie = Carrier::Cookie("ExampleToken".to_owned());
    let cases = [(in_header(), "\r\nx-example-token: s3cret\r\n"), (cookie, "\r\ncookie: ExampleToken=s3cret\r\n")];
    for (carrier, line) in cases {
        for probe in Probe::ALL {
            let source = token(directory.path(), "s3cret\n", 0o600, carrier.clone());
            let target = Target { session_token: Some(source), ..asking(target(server.address), probe) };
            let probes = Probes::configured(vec![target]).unwrap();
            probes.probe_once("t", probe, PATIENCE).await.unwrap();
            let request = requests.recv().await.unwrap();
            let expected = matches!(probe, Probe::Ping | Probe::MessageCenter);
            assert_eq!(request.contains(line), expected, "{probe:?}: {request}");
            assert_eq!(request.contains("s3cret"), expected, "{probe:?}: {request}");
        }
    }
}

#[test]
fn a_piece_of_the_token_is_recognised_in_what_a_server_says() {
    let directory = tempfile::tempdir().unwrap();
    let of = |content: &str, carrier| Token::read(&token(directory.path(), content, 0o600, carrier)).unwrap();
    let secret = of("s3cret-t0ken", Carrier::Cookie("SessionToken".to_owned()));
    for text in ["Invalid s3cret-t0ken", "cut off at s3cr", "S3CRET", "%3Ds3cret%2Dt0ken"] {
        assert!(secret.shows_in(text), "{text}");
    }
    for text in ["", "Invalid session", "SessionToken is wrong", "s3c"] {
        assert!(!secret.shows_in(text), "{text}");
    }
    assert!(of("xy", in_header()).shows_in("wxyz"), "a short one is looked for whole");
}

#[tokio::test]
async fn a_token_that_others_can_read_is_not_used() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::with_body(b"OK").await;
    for mode in [0o644, 0o640, 0o604, 0o620, 0o601] {
        let source = token(directory.path(), "s3cret", mode, in_header());
        let error = Token::read(&source).unwrap_err().to_string();
        assert!(error.contains("chmod 0600") && error.contains(&format!("{mode:04o}")), "{error}");
        assert!(!error.contains("s3cret"), "{error}");
        let target = Target { session_token: Some(source), ..asking(target(server.address), Probe::Ping) };
        let probes = Probes::configured(vec![target]).unwrap();
        let samples = probe_once(&probes, "t", Probe::Ping, PATIENCE).await.unwrap().freeze();
        assert_eq!(samples.value(&PROBE_SUCCESS, &["ping", "t"]), Some(0.0));
        assert_eq!(samples.value(&PROBE_FAILURE_INFO, &["ping", "t", "token"]), Some(1.0));
    }
    assert_eq!(server.connections(), 0);
}

#[test]
fn a_token_is_never_shown_and_bad_ones_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let good = Token::read(&token(directory.path(), "s3cret", 0o400, in_header()));
    // The superuser may read anything; a plain user may read its own file.
    let shown = format!("{:?}", good.unwrap());
    assert!(!shown.contains("s3cret"), "{shown}");
    let cookie = || Carrier::Cookie("c".to_owned());
    let long = "x".repeat(20_000);
    for (content, carrier) in [
        ("", in_header()),
        ("\n \n", in_header()),
        ("a\r\nevil: 1", in_header()),
        ("a\0b", in_header()),
        ("caf\u{e9}", in_header()),
        ("a; b=c", cookie()),
        ("a b", cookie()),
        (&long, in_header()),
    ] {
        std::fs::remove_file(directory.path().join("token")).unwrap();
        let error = Token::read(&token(directory.path(), content, 0o600, carrier)).unwrap_err().to_string();
        assert!(error.contains("on one line"), "{error}");
        assert!(!error.contains("evil"), "{error}");
    }
}

#[test]
fn a_fifo_is_no_token_and_makes_nobody_wait() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    rustix::fs::mkfifoat(rustix::fs::CWD, &file, rustix::fs::Mode::from_raw_mode(0o600)).unwrap();
    let error = Token::read(&TokenSource { file, carrier: in_header() }).unwrap_err().to_string();
    assert!(error.contains("not a regular file"), "{error}");
}

// ---- probes as they are shown

#[tokio::test]
async fn the_recorded_answers_are_shown() {
    let samples = probed(Probe::Redirection, include_bytes!("../fixtures/probes/r_test.xml")).await;
    assert_eq!(samples.value(&PROBE_SUCCESS, &["redirection", "t"]), Some(1.0));
    assert_eq!(samples.value(&PROBE_HTTP_STATUS, &["redirection", "t"]), Some(200.0));
    assert_eq!(samples.value(&PROBE_RUNS, &["redirection", "t"]), Some(1.0));
    assert_eq!(samples.of(&PROBE_FAILURES).map(|sample| sample.value).sum::<f64>(), 0.0);
    assert_eq!(samples.of(&PROBE_FAILURE_INFO).count(), 0);
    assert!(samples.value(&PROBE_DURATION, &["redirection", "t"]).unwrap() > 0.0);
    let labels = ["t", "9236", "8.5.1", "cc45440", "xxx.campaign.example.com", "xxx-mkt-prod1-1"];
    assert_eq!(samples.value(&REDIRECTION_INFO, &labels), Some(1.0));

    let samples = probed(Probe::Ping, include_bytes!("../fixtures/probes/ping.txt")).await;
    assert_eq!(samples.value(&PROBE_SUCCESS, &["ping", "t"]), Some(1.0));

    let samples = probed(Probe::MessageCenter, include_bytes!("../fixtures/probes/mc_ping_ok.txt")).await;
    assert_eq!(samples.value(&PROBE_SUCCESS, &["message_center", "t"]), Some(1.0));
    assert_eq!(samples.value(&MESSAGE_CENTER_PENDING_EVENTS, &["t"]), Some(7.0));
    assert_eq!(samples.value(&MESSAGE_CENTER_QUEUE_CAPACITY, &["t"]), Some(400.0));
    assert_eq!(samples.value(&MESSAGE_CENTER_QUEUE_FULL, &["t"]), Some(0.0));

    let samples = probed(Probe::MessageCenter, include_bytes!("../fixtures/probes/mc_ping_full.txt")).await;
    assert_eq!(samples.value(&PROBE_SUCCESS, &["message_center", "t"]), Some(0.0));
    assert_eq!(samples.value(&PROBE_FAILURE_INFO, &["message_center", "t", "body"]), Some(1.0));
    assert_eq!(samples.value(&MESSAGE_CENTER_PENDING_EVENTS, &["t"]), Some(7.0));
    assert_eq!(samples.value(&MESSAGE_CENTER_QUEUE_FULL, &["t"]), Some(1.0));

    let samples = probed(Probe::Pipelined, include_bytes!("../fixtures/probes/pipelined.json")).await;
    assert_eq!(samples.value(&PROBE_SUCCESS, &["pipelined", "t"]), Some(1.0));
    assert_eq!(samples.value(&PIPELINED_CURRENT_MESSAGES, &["t"]), Some(3.0));
    assert_eq!(samples.value(&PIPELINED_TRIGGER_FAILURES, &["t"]), Some(5.0));
    let (alive, asked) = (
        samples.value(&PIPELINED_LAST_ALIVE, &["t"]).unwrap(),
        samples.value(&PROBE_LAST_RUN, &["pipelined", "t"]).unwrap(),
    );
    assert!((asked - 1.3..asked + 30.0).contains(&alive), "{alive} {asked}");
}

#[tokio::test]
async fn hostile_answers_fail_with_a_bounded_reason_and_show_no_values() {
    let bomb = b"<!DOCTYPE r [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;'>]><redir status='OK' host='&b;'/>";
    let deep = "<a>".repeat(20_000);
    let nested = "[".repeat(MAX_BODY_BYTES);
    let utf16: Vec<u8> = "<redir status='ERROR'/>".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let cases: [(Probe, &[u8]); 9] = [
        (Probe::Redirection, bomb),
        (Probe::Redirection, deep.as_bytes()),
        (Probe::Redirection, &utf16),
        (Probe::Redirection, b"<redir status='KO'/>"),
        (Probe::Redirection, &[0xff; 1000]),
        (Probe::Ping, b"Error\n"),
        (Probe::MessageCenter, b"Error\nno database"),
        (Probe::Pipelined, nested.as_bytes()),
        (Probe::Pipelined, b"{}"),
    ];
    for (probe, body) in cases {
        let samples = probed(probe, body).await;
        assert_eq!(samples.value(&PROBE_SUCCESS, &[probe.label(), "t"]), Some(0.0), "{probe:?}");
        assert_eq!(samples.value(&PROBE_FAILURE_INFO, &[probe.label(), "t", "body"]), Some(1.0), "{probe:?}");
        assert_eq!(samples.value(&PROBE_FAILURES, &[probe.label(), "t", "body"]), Some(1.0), "{probe:?}");
        assert_eq!(samples.of(&REDIRECTION_INFO).count(), 0);
        assert_eq!(samples.of(&MESSAGE_CENTER_QUEUE_FULL).count(), 0);
    }
}

/// Servers that never end, each in its way; the last of them would have to speak TLS.
async fn hostile_servers() -> Vec<Server> {
    let endless = |head: &'static [u8], piece: &'static [u8]| {
        Server::start(move |mut peer| async move {
            peer.request().await;
            peer.write(head).await;
            peer.write_for_ever(piece).await;
        })
    };
    let slow = Server::start(|mut peer| async move {
        peer.request().await;
        peer.write(b"HTTP/1.1 200 OK\r\n\r\n").await;
        while peer.write(b"x").await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let bomb = "<!DOCTYPE r [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;'>]><redir status='OK' host='&b;'/>";
    vec![
        endless(b"HTTP/1.1 200 OK\r\n\r\n", &[b'x'; 65536]).await,
        endless(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", b"8\r\nxxxxxxxx\r\n").await,
        endless(b"HTTP/1.1 200 OK\r\nx: ", &[b'x'; 1 << 20]).await,
        endless(b"HTTP/1.1 200 OK\r\n", b"x: y\r\n").await,
        slow.await,
        Server::with_body(bomb.as_bytes()).await,
        Server::with_body("<a>".repeat(20_000).as_bytes()).await,
        Server::start(|mut peer| async move { peer.write_for_ever(&[0xff; 65536]).await }).await,
    ]
}

/// The most memory that a process ever had resident, in bytes.
fn peak_memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
}

#[tokio::test]
async fn hostile_answers_again_and_again_take_no_more_memory() {
    const ROUNDS: [f64; 2] = [2.0, 10.0];
    const MORE: u64 = 3 * 1024 * 1024;
    let servers = hostile_servers().await;
    let folder = tempfile::tempdir().unwrap();
    let mut targets = "targets:\n".to_owned();
    for (place, server) in servers.iter().enumerate() {
        let scheme = if place + 1 == servers.len() { "https" } else { "http" };
        targets += &format!(
            "  - name: t{place}\n    url: {scheme}://{}\n    probes: [redirection]\n    timeout: 900ms\n    \
             connect_timeout: 900ms\n    intervals: {{redirection: 1s}}\n",
            server.address
        );
    }
    let file = folder.path().join("targets.yml");
    std::fs::write(&file, targets).unwrap();
    let count = servers.len();
    let (peaks, metrics) = tokio::task::spawn_blocking(move || {
        let flags =
            [concat_os("--config.file=", &file), "--collector.disable-defaults".into(), "--collector.probes".into()];
        let exporter = Exporter::start(folder.path(), folder.path(), &flags);
        let peaks = ROUNDS.map(|rounds| {
            wait_for("runs of the probes", Duration::from_secs(90), || {
                let metrics = exporter.metrics();
                let runs = metrics.series("campaign_probe_runs_total");
                let are_done = runs.len() == count && runs.iter().all(|(_, times)| *times >= rounds);
                if are_done { Ok(()) } else { Err(metrics) }
            });
            peak_memory(exporter.process.pid())
        });
        (peaks, exporter.metrics())
    })
    .await
    .unwrap();
    assert!(peaks[1] < peaks[0] + MORE, "{peaks:?}");
    let failed = metrics.series("campaign_probe_failures_total");
    let reasons: BTreeSet<&str> = failed
        .iter()
        .filter(|(_, times)| *times > 0.0)
        .map(|(series, _)| series.split("reason=\"").nth(1).unwrap().split('"').next().unwrap())
        .collect();
    assert_eq!(reasons, BTreeSet::from(["body", "timeout", "tls"]));
}

#[tokio::test]
async fn a_wrong_encoding_is_read_as_it_is_declared() {
    let answer =
        b"HTTP/1.1 200 OK\r\ncontent-type: text/xml; charset=iso-8859-1\r\n\r\n<redir status='OK' host='\xe9'/>";
    let server = Server::answering(&answer[..]).await;
    let probes = Probes::configured(vec![target(server.address)]).unwrap();
    let samples = probe_once(&probes, "t", Probe::Redirection, PATIENCE).await.unwrap().freeze();
    assert_eq!(samples.value(&REDIRECTION_INFO, &["t", "", "", "", "é", ""]), Some(1.0));
}

#[tokio::test]
async fn the_schedule_asks_and_a_scrape_shows_the_last_result() {
    let server = Server::with_body(b"<redir status='OK'/>").await;
    let mut often = target(server.address);
    often.probes[0].interval = Duration::from_millis(10);
    let probes = Arc::new(Probes::configured(vec![often]).unwrap());
    let (outcome, samples) = collect(&probes);
    assert_eq!(outcome, Outcome::Complete);
    assert_eq!(samples.of(&PROBE_SUCCESS).count(), 0, "nothing has been asked yet");
    let url = format!("http://{}", server.address);
    assert_eq!(samples.value(&PROBE_TARGET_INFO, &["t", &url, "yes"]), Some(1.0));
    let running = Arc::clone(&probes);
    let schedule = tokio::spawn(async move { running.run().await });
    until("several probes were made", || collect(&probes).1.value(&PROBE_RUNS, &["redirection", "t"]) >= Some(5.0))
        .await;
    assert_eq!(collect(&probes).1.value(&PROBE_SUCCESS, &["redirection", "t"]), Some(1.0));
    schedule.abort();
    assert!(schedule.await.unwrap_err().is_cancelled());
    until("no probe is under way", || server.seen.open.load(Ordering::SeqCst) == 0).await;
    assert_eq!(server.seen.most_open.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_probe_that_still_runs_is_not_started_again() {
    let server = Server::start(|mut peer| async move {
        peer.request().await;
        // Until the other side gives up.
        let _ = peer.stream.read_to_end(&mut Vec::new()).await;
    })
    .await;
    let mut slow = target(server.address);
    slow.timeout = Duration::from_millis(100);
    slow.connect_timeout = slow.timeout;
    slow.probes[0].interval = Duration::from_millis(5);
    let probes = Arc::new(Probes::configured(vec![slow]).unwrap());
    let running = Arc::clone(&probes);
    let schedule = tokio::spawn(async move { running.run().await });
    until("several probes timed out", || {
        collect(&probes).1.value(&PROBE_FAILURES, &["redirection", "t", "timeout"]) >= Some(3.0)
    })
    .await;
    schedule.abort();
    assert!(server.seen.most_open.load(Ordering::SeqCst) <= 2, "at most one is asked while the server ends the last");
    assert_eq!(collect(&probes).1.value(&PROBE_SUCCESS, &["redirection", "t"]), Some(0.0));
}

#[tokio::test]
async fn nobody_can_make_it_ask_more_often_than_documented() {
    let server = Server::with_body(b"OK\n").await;
    let probes = Probes::configured(vec![asking(target(server.address), Probe::Ping)]).unwrap();
    let ask = || probes.probe_once("t", Probe::Ping, PATIENCE);
    let (a, b, c) = tokio::join!(ask(), ask(), ask());
    assert!([a, b, c].iter().all(|view| view.as_ref().unwrap().runs == 1));
    assert_eq!(ask().await.unwrap().runs, 1);
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_single_look_asks_every_probe() {
    let server = Server::with_body(b"OK\n").await;
    let mut both = asking(target(server.address), Probe::Ping);
    both.probes.extend(asking(target(server.address), Probe::MessageCenter).probes);
    let probes = Arc::new(Probes::configured(vec![both]).unwrap());
    probes.ask_all().await;
    let samples = collect(&probes).1;
    assert_eq!(samples.value(&PROBE_SUCCESS, &["ping", "t"]), Some(1.0));
    assert_eq!(samples.value(&PROBE_SUCCESS, &["message_center", "t"]), Some(1.0));
}

#[tokio::test]
async fn targets_that_hang_keep_no_other_one_from_being_asked() {
    const HANGING: usize = 40;
    let hanging = Server::start(|mut peer| async move {
        peer.request().await;
        pending::<()>().await;
    })
    .await;
    let well = Server::answering(OK).await;
    let named = |name: String, address| Target { name, ..target(address) };
    let mut targets: Vec<_> = (0..HANGING).map(|place| named(format!("hangs{place}"), hanging.address)).collect();
    targets.push(named("well".to_owned(), well.address));
    let probes = Arc::new(Probes::configured(targets).unwrap());
    let asking = Arc::clone(&probes);
    let schedule = tokio::spawn(async move { asking.ask_all().await });
    until("all hang", || hanging.seen.open.load(Ordering::SeqCst) == HANGING).await;
    until("the other one answers", || collect(&probes).1.value(&PROBE_SUCCESS, &["redirection", "well"]) == Some(1.0))
        .await;
    schedule.abort();
}

#[tokio::test]
async fn a_result_counts_when_the_one_who_asked_is_gone() {
    let gate = Arc::new(tokio::sync::Notify::new());
    let (asked, hold) = (Arc::new(tokio::sync::Notify::new()), Arc::clone(&gate));
    let arrived = Arc::clone(&asked);
    let server = Server::start(move |mut peer| {
        let (asked, hold) = (Arc::clone(&arrived), Arc::clone(&hold));
        async move {
            peer.request().await;
            asked.notify_one();
            hold.notified().await;
            peer.write(OK).await;
        }
    })
    .await;
    let probes = Arc::new(Probes::configured(vec![target(server.address)]).unwrap());
    let asker = Arc::clone(&probes);
    let request = tokio::spawn(async move { asker.probe_once("t", Probe::Redirection, PATIENCE).await.map(|_| ()) });
    asked.notified().await;
    request.abort();
    gate.notify_one();
    until("the result is there", || collect(&probes).1.value(&PROBE_SUCCESS, &["redirection", "t"]) == Some(1.0)).await;
}

#[tokio::test]
async fn only_what_is_configured_can_be_asked_for() {
    let server = Server::answering(OK).await;
    let probes = Probes::configured(vec![target(server.address)]).unwrap();
    assert_eq!(
        probes.probe_once("http://127.0.0.1", Probe::Redirection, PATIENCE).await.unwrap_err(),
        UnknownProbe::Target
    );
    let error = probes.probe_once("t", Probe::Ping, PATIENCE).await.unwrap_err();
    assert_eq!(error, UnknownProbe::Probe(vec!["redirection"]));
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_result_that_is_too_old_says_nothing_any_more() {
    let server = Server::answering(OK).await;
    let mut often = target(server.address);
    often.timeout = Duration::from_millis(100);
    often.probes[0].interval = Duration::from_millis(5);
    let probes = Arc::new(Probes::configured(vec![often]).unwrap());
    probes.ask_all().await;
    let lost = |outcome: &Outcome| match outcome {
        Outcome::Partial(losses) => losses.iter().collect::<Vec<_>>(),
        _ => Vec::new(),
    };
    // Nothing runs the schedule: it is as if it were stuck.
    until("the result is too old", || lost(&collect(&probes).0) == [(ErrorKind::Timeout, 1)]).await;
    let samples = collect(&probes).1;
    assert_eq!(samples.of(&PROBE_SUCCESS).count(), 0);
    assert_eq!(samples.of(&REDIRECTION_INFO).count(), 0);
    assert!(samples.value(&PROBE_LAST_RUN, &["redirection", "t"]).is_some());
}

// ---- without a configuration file

fn here(port: u16) -> Target {
    Target::local("localhost", port, Probe::Redirection)
}

#[tokio::test]
async fn this_host_s_redirection_server_is_asked_while_the_module_is_expected() {
    let server = Server::answering(OK).await;
    let port = Arc::new(std::sync::Mutex::new(None));
    let told = Arc::clone(&port);
    let probes = Arc::new(Probes::local(move || told.lock().unwrap().into_iter().map(here).collect()).unwrap());
    assert_eq!(collect(&probes).0, Outcome::NotApplicable);
    assert_eq!(probes.probe_once("localhost", Probe::Redirection, PATIENCE).await.unwrap_err(), UnknownProbe::Target);
    *port.lock().unwrap() = Some(server.address.port());
    probes.probe_once("localhost", Probe::Redirection, PATIENCE).await.unwrap();
    let (outcome, samples) = collect(&probes);
    assert_eq!(outcome, Outcome::Complete);
    assert_eq!(samples.value(&PROBE_SUCCESS, &["redirection", "localhost"]), Some(1.0));
    *port.lock().unwrap() = None;
    assert_eq!(collect(&probes).0, Outcome::NotApplicable);
}

#[tokio::test]
async fn a_guessed_port_that_serves_no_redirection_is_no_failure() {
    let missing = "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n";
    let server = Server::answering(missing).await;
    let port = server.address.port();
    let probes = Arc::new(Probes::local(move || vec![here(port)]).unwrap());
    let asked = probes.probe_once("localhost", Probe::Redirection, PATIENCE).await;
    assert_eq!(asked.unwrap_err(), UnknownProbe::NoResult);
    assert_eq!(server.connections(), 1);
    assert_eq!(collect(&probes).0, Outcome::NotApplicable);

    // What an administrator names is expected to be there.
    let probes = Arc::new(Probes::configured(vec![target(server.address)]).unwrap());
    probes.probe_once("t", Probe::Redirection, PATIENCE).await.unwrap();
    assert_eq!(collect(&probes).1.value(&PROBE_FAILURE_INFO, &["redirection", "t", "status"]), Some(1.0));

    // And any other trouble than "not found" is one.
    let server = Server::answering("HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n").await;
    let port = server.address.port();
    let probes = Arc::new(Probes::local(move || vec![here(port)]).unwrap());
    probes.probe_once("localhost", Probe::Redirection, PATIENCE).await.unwrap();
    assert_eq!(collect(&probes).1.value(&PROBE_SUCCESS, &["redirection", "localhost"]), Some(0.0));
}

#[test]
fn what_is_asked_here_without_a_file_is_at_the_configured_ports_of_what_is_started_here() {
    let installation = |default: &str, prod: &str| {
        let settings = |xml: &str| Settings::overlay(Some(Arc::new(ServerConf::parse(xml.as_bytes()).unwrap())), None);
        let instances = [("default".to_owned(), settings(default)), ("prod".to_owned(), settings(prod))];
        Installation { instances: instances.into(), ..Installation::default() }
    };
    let asked = |web: &str, pipelined: &str, runs: bool| {
        let of = |module: &str| format!("<serverconf>{module}</serverconf>");
        let found = local_targets(&installation(&of(web), &of(pipelined)), |instance| runs && instance == "prod");
        let shown = |target: Target| format!("{} {}{}", target.name, target.base.port, target.probes[0].path);
        found.into_iter().map(shown).collect::<Vec<_>>()
    };
    let none: Vec<String> = Vec::new();
    assert_eq!(asked("<web autoStart='true' httpPort='8081'/>", "", false), ["localhost 8081/r/test"]);
    assert_eq!(asked("<web autoStart='true'/>", "", false), ["localhost 8080/r/test"]);
    assert_eq!(asked("<web autoStart='false' httpPort='8081'/>", "", false), none);
    assert_eq!(asked("<web autoStart='true' httpPort='99999'/>", "", false), ["localhost 8080/r/test"]);
    assert_eq!(asked("", "<pipelined autoStart='true'/>", false), ["pipelined@prod 7781/pipelined/status"]);
    assert_eq!(asked("", "<pipelined monitorServerPort='7000'/>", true), ["pipelined@prod 7000/pipelined/status"]);
    assert_eq!(asked("", "<pipelined autoStart='true' monitorServerPort='0'/>", true), none);
    assert_eq!(asked("", "<pipelined/>", false), none);
    assert_eq!(local_targets(&Installation::default(), |_| true), []);
}

#[tokio::test]
async fn a_server_that_closes_without_a_word_is_as_good_as_none() {
    let server = Server::start(|peer| async move { drop(peer) }).await;
    assert_fails(get(&target(server.address)).await, Reason::Connect, "");
    assert_fails(get(&https(server.address, Trust::Anybody)).await, Reason::Connect, "");
}

// ---- the path /probe of the built exporter

/// What the exporter at `address` answers for one probe when Prometheus waits for two seconds.
fn ask_for(address: &str, target: &str, module: &str) -> String {
    let url = format!("http://{address}/probe?target={target}&module={module}");
    let mut answer = ureq::get(url).header("x-prometheus-scrape-timeout-seconds", "2").call().unwrap();
    answer.body_mut().read_to_string().unwrap()
}

#[tokio::test]
async fn a_target_that_hangs_times_out_for_prometheus_and_keeps_no_scrape_waiting() {
    let directory = tempfile::tempdir().unwrap();
    let (told, mut asked) = tokio::sync::mpsc::unbounded_channel();
    let server = Server::start(move |mut peer| {
        let told = told.clone();
        async move {
            told.send(peer.request().await).unwrap();
            pending::<()>().await;
        }
    })
    .await;
    let file = directory.path().join("targets.yml");
    let text = format!(
        "targets:\n  - name: slow\n    url: http://{}\n    probes: [redirection]\n    timeout: 60s\n",
        server.address
    );
    std::fs::write(&file, text).unwrap();
    let flags = [concat_os("--config.file=", &file), "--web.max-requests=1".into()];
    let exporter = Exporter::start(directory.path(), directory.path(), &flags);
    let address = exporter.address.clone();
    let first = tokio::task::spawn_blocking(move || ask_for(&address, "slow", "redirection"));
    asked.recv().await.unwrap();
    // The schedule or the request above is under way, and will be for a minute.
    let metrics = tokio::task::spawn_blocking(move || (exporter.metrics(), exporter)).await.unwrap();
    assert_eq!(metrics.0.value("campaign_probe_success{probe=\"redirection\",target=\"slow\"}"), None);
    let answer = Metrics(first.await.unwrap());
    assert_eq!(answer.value("campaign_probe_success{probe=\"redirection\",target=\"slow\"}"), Some(0.0));
    let reason = "campaign_probe_failure_info{probe=\"redirection\",target=\"slow\",reason=\"timeout\"}";
    assert_eq!(answer.value(reason), Some(1.0));
}

#[tokio::test]
async fn a_server_that_repeats_the_token_does_not_bring_it_into_the_log() {
    let directory = tempfile::tempdir().unwrap();
    let source = token(directory.path(), "s3cret-t0ken", 0o600, in_header());
    let echo = Server::start(|mut peer| async move {
        let request = peer.request().await;
        peer.write(&ok(format!("Error\nnot a session:\n{request}").as_bytes())).await;
    })
    .await;
    let file = directory.path().join("targets.yml");
    let text = format!(
        "targets:\n  - name: echo\n    url: http://{}\n    probes: [ping, message_center]\n    session_token_file: {}\n    \
         session_token_header: x-example-token\n",
        echo.address,
        source.file.display()
    );
    std::fs::write(&file, text).unwrap();
    let output = tokio::task::spawn_blocking(move || {
        let flags = [concat_os("--config.file=", &file), "--log.level=debug".into()];
        let exporter = Exporter::start(directory.path(), directory.path(), &flags);
        for module in ["ping", "message_center"] {
            let answer = ask_for(&exporter.address, "echo", module);
            assert!(!answer.contains("s3cret"), "{answer}");
            assert!(answer.contains("reason=\"body\""), "{answer}");
        }
        exporter.process.output()
    })
    .await
    .unwrap();
    assert_eq!(output.matches("holds a piece of the session token").count(), 2, "{output}");
    assert!(!output.contains("s3cret"), "{output}");
}

// ---- the configuration file

#[test]
fn the_documented_example_is_right() {
    let text = crate::committed::read("docs/probes.md");
    let example = text.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    let targets = campaign_exporter::parse::targets::read(example.as_bytes(), Path::new("docs/probes.md")).unwrap();
    assert_eq!(targets.len(), 2);
}

#[test]
fn checking_the_configuration_file_looks_at_every_file_that_it_names() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("targets.yml");
    let fails = |text: &str| {
        std::fs::write(&path, text).unwrap();
        check(&path).expect_err(text).to_string()
    };
    assert!(check(&path).unwrap_err().to_string().contains("targets.yml"));
    assert!(fails("targets:\n  - nam: a\n").contains("targets.yml:2:"));
    let text =
        "targets:\n  - name: a\n    url: https://localhost\n    probes: [ping]\n    ca_file: /nonexistent/ca.pem\n";
    assert!(fails(text).contains("/nonexistent/ca.pem"));
    let source = token(directory.path(), "s3cret", 0o644, in_header());
    let text = format!(
        "targets:\n  - name: a\n    url: http://localhost\n    probes: [ping]\n    session_token_file: {}\n    session_token_header: x\n",
        source.file.display()
    );
    assert!(fails(&text).contains("chmod 0600"));
    token(directory.path(), "s3cret", 0o600, in_header());
    assert_eq!(check(&path).unwrap(), 1);
}
