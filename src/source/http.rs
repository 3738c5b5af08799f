//! The probing client: one GET to one configured place, within limits of time and size, without trust in the answer.
//!
//! Handles HTTP, TLS and sockets; `parse::reply` interprets the answers, `source::probes` has the schedule.

use std::error::Error as _;
use std::fmt;
use std::io::{self, Read};
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::header::{ACCEPT, CONNECTION, CONTENT_TYPE, COOKIE, HOST, HeaderName, HeaderValue, USER_AGENT};
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Body, Bytes, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::kit::files::open_regular;
use crate::catalog::signals::probes::Reason;
use crate::parse::targets::{Carrier, Target, TokenSource, Trust};
use crate::pool::{Pool, PoolError};

/// The most bytes of a body that are taken; a longer answer is a failed probe.
pub const MAX_BODY_BYTES: usize = 64 * 1024;

/// The most bytes that an answer's status line and headers may have.
pub const MAX_HEADER_BYTES: usize = 32 * 1024;

/// The most headers that an answer may have.
const MAX_HEADERS: usize = 100;

/// The most bytes that are read from a connection, TLS and what surrounds the body included.
pub const MAX_WIRE_BYTES: usize = 512 * 1024;

/// The most bytes of a CA file.
const MAX_CA_BYTES: u64 = 4 * 1024 * 1024;

/// The most bytes of a session token.
const MAX_TOKEN_BYTES: u64 = 16 * 1024;

/// A target that can't be probed as it is configured.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// The CA file can't be used.
    #[error("target {target}: the ca_file {}: {problem}; give a PEM file with the certificates to trust", path.display())]
    CaFile {
        /// The target.
        target: String,
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The system has no roots to trust.
    #[error(
        "target {target}: the system has no certificates to trust ({problem}); install ca-certificates, or set ca_file"
    )]
    NoRoots {
        /// The target.
        target: String,
        /// What went wrong.
        problem: String,
    },
    /// The host can't be a name in a certificate.
    #[error("target {target}: {host:?} can't be the name of a TLS server; correct url or host_header")]
    ServerName {
        /// The target.
        target: String,
        /// The name.
        host: String,
    },
    /// The TLS library refused the settings.
    #[error("target {target}: TLS can't be set up: {source}")]
    Tls {
        /// The target.
        target: String,
        /// Why.
        source: rustls::Error,
    },
}

/// A session token that is not used.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// It can't be read.
    #[error("the session token file {}: {source}; make it readable for the exporter's user", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others can read it.
    #[error("the session token file {} has the mode {mode:04o}: others than its owner have access; chmod 0600 it, and chown it to the exporter's user", path.display())]
    Permissions {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It is no token.
    #[error("the session token file {} {problem}; write the token alone into it, on one line", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong, without the content.
        problem: &'static str,
    },
}

/// A request that got no answer with a body to judge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestFailure {
    /// The bounded reason.
    pub reason: Reason,
    /// What happened, for the log; nothing secret.
    pub message: String,
    /// The HTTP status, when there was one.
    pub status: Option<u16>,
}

impl RequestFailure {
    fn new(reason: Reason, message: impl fmt::Display) -> RequestFailure {
        let message = message.to_string();
        let message = message[..message.floor_char_boundary(300)].to_owned();
        RequestFailure { reason, message, status: None }
    }
}

/// An answer with the status 200.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The whole body, at most [`MAX_BODY_BYTES`].
    pub body: Vec<u8>,
    /// The charset of its content type.
    pub charset: Option<String>,
}

/// A session token, which no log and no error shows.
#[derive(Clone)]
pub struct Token {
    place: TokenPlace,
    value: HeaderValue,
    /// Where in `value` the token itself begins.
    start: usize,
}

/// Where a request has the token.
#[derive(Clone, Debug)]
enum TokenPlace {
    Header(HeaderName),
    Argument(String),
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Token {
    /// Reads the token from its file, to which only its owner may have access. Blocks.
    ///
    /// # Errors
    /// When the file can't be read, others can read it, or it holds no token.
    pub fn read(source: &TokenSource) -> Result<Token, TokenError> {
        let path = || source.file.clone();
        let read = |source| TokenError::Read { path: path(), source };
        let content = |problem| TokenError::Content { path: path(), problem };
        let (file, metadata) = open_regular(&source.file).map_err(read)?;
        let mode = metadata.mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(TokenError::Permissions { path: path(), mode });
        }
        let mut bytes = Vec::new();
        file.take(MAX_TOKEN_BYTES + 1).read_to_end(&mut bytes).map_err(read)?;
        if bytes.len() as u64 > MAX_TOKEN_BYTES {
            return Err(content("is too long for a token"));
        }
        let token = bytes.trim_ascii();
        if token.is_empty() {
            return Err(content("is empty"));
        }
        let plain = |byte: &u8| byte.is_ascii_graphic();
        let (place, value) = match &source.carrier {
            Carrier::Header(name) if token.iter().all(|byte| plain(byte) || *byte == b' ') => {
                (TokenPlace::Header(name.clone()), token.to_vec())
            }
            Carrier::Argument(name) if token.iter().all(plain) => (TokenPlace::Argument(name.clone()), token.to_vec()),
            // RFC 6265, cookie-octet.
            Carrier::Cookie(name) if token.iter().all(|byte| plain(byte) && !b"\",;\\".contains(byte)) => {
                (TokenPlace::Header(COOKIE), [name.as_bytes(), b"=", token].concat())
            }
            _ => return Err(content("holds characters that can't be sent")),
        };
        let start = value.len() - token.len();
        let mut value = HeaderValue::from_bytes(&value).map_err(|_| content("holds characters that can't be sent"))?;
        value.set_sensitive(true);
        Ok(Token { place, value, start })
    }

    /// Whether `text` holds the token or a piece of it, in either case: four characters in a row.
    #[must_use]
    pub fn shows_in(&self, text: &str) -> bool {
        let token = &self.value.as_bytes()[self.start..];
        let size = token.len().min(4);
        let shows = |piece: &[u8]| text.as_bytes().windows(size).any(|part| part.eq_ignore_ascii_case(piece));
        token.windows(size).any(shows)
    }
}

/// The most calls that may block for long (lookups, token files) under way at once, for all endpoints together.
const BLOCKING_CALLS: usize = 8;

/// What all endpoints share.
#[derive(Debug)]
pub struct Client {
    /// The certificates that the system trusts, read when the first target needs them.
    roots: OnceLock<Arc<RootCertStore>>,
    blocking: Arc<Pool>,
    /// Reads what came back: it may be hostile, and HTTP is answered meanwhile.
    pub(super) reader: Arc<Pool>,
}

impl Client {
    /// A client for `targets`, with the threads that they need: none where every host is an address and no token is sent.
    ///
    /// # Errors
    /// When the system does not have the threads.
    pub fn new(targets: &[Target]) -> Result<Client, PoolError> {
        let blocks = |target: &&Target| target.session_token.is_some() || target.base.host.parse::<IpAddr>().is_err();
        let threads = targets.iter().filter(blocks).count().min(BLOCKING_CALLS);
        Ok(Client {
            roots: OnceLock::new(),
            blocking: Arc::new(Pool::start("lookup", threads)?),
            reader: Arc::new(Pool::start("reply", 1)?),
        })
    }

    fn roots(&self, target: &Target) -> Result<Arc<RootCertStore>, EndpointError> {
        if let Some(roots) = self.roots.get() {
            return Ok(Arc::clone(roots));
        }
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        let (added, _) = roots.add_parsable_certificates(found.certs);
        if added == 0 {
            let problem = found.errors.first().map_or_else(|| "none found".to_owned(), ToString::to_string);
            return Err(EndpointError::NoRoots { target: target.name.clone(), problem });
        }
        Ok(Arc::clone(self.roots.get_or_init(|| Arc::new(roots))))
    }
}

/// A target's endpoint: everything about it that can be prepared once.
pub struct Endpoint {
    host: String,
    port: u16,
    host_header: HeaderValue,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    connect_timeout: Duration,
    timeout: Duration,
    lookup: OneAtATime<io::Result<Vec<SocketAddr>>>,
    token: OneAtATime<Result<Token, TokenError>>,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("host", &self.host).field("port", &self.port).finish_non_exhaustive()
    }
}

impl Endpoint {
    /// Prepares the client for `target`: reads its CA file or the system's roots.
    ///
    /// # Errors
    /// When the certificates can't be read, or the host can't be a TLS server's name.
    pub fn new(target: &Target, client: &Client) -> Result<Endpoint, EndpointError> {
        let authority = target.host_header.as_ref().map_or_else(|| target.base.authority(), ToString::to_string);
        let named = |host: &str| EndpointError::ServerName { target: target.name.clone(), host: host.to_owned() };
        let tls = if target.base.tls {
            let host = target.host_header.as_ref().map_or(target.base.host.as_str(), http::uri::Authority::host);
            let host = host.trim_start_matches('[').trim_end_matches(']');
            let name = ServerName::try_from(host.to_owned()).map_err(|_| named(host))?;
            Some((TlsConnector::from(Arc::new(client_config(target, client)?)), name))
        } else {
            None
        };
        Ok(Endpoint {
            host: target.base.host.clone(),
            port: target.base.port,
            host_header: HeaderValue::from_str(&authority).map_err(|_| named(&authority))?,
            tls,
            connect_timeout: target.connect_timeout,
            timeout: target.timeout,
            lookup: OneAtATime::new(client),
            token: OneAtATime::new(client),
        })
    }

    /// Asks for `path`. Redirects are not followed; what is not status 200 is a failure.
    ///
    /// # Errors
    /// With the reason, at the latest when the target's time limit is over.
    pub async fn get(&self, path: &str, token: Option<&Token>) -> Result<Answer, RequestFailure> {
        match tokio::time::timeout(self.timeout, self.ask(path, token)).await {
            Ok(result) => result,
            Err(_) => {
                Err(RequestFailure::new(Reason::Timeout, format_args!("no full answer within {:?}", self.timeout)))
            }
        }
    }

    async fn ask(&self, path: &str, token: Option<&Token>) -> Result<Answer, RequestFailure> {
        let received = Arc::new(AtomicBool::new(false));
        let answer = self.ask_noting(path, token, &received).await;
        // A server that closes without an answer counts as none.
        answer.map_err(|failure| match failure.reason {
            Reason::Body | Reason::Tls if !received.load(Ordering::Relaxed) => {
                RequestFailure { reason: Reason::Connect, ..failure }
            }
            _ => failure,
        })
    }

    /// Sets `received` once anything came back.
    async fn ask_noting(
        &self,
        path: &str,
        token: Option<&Token>,
        received: &Arc<AtomicBool>,
    ) -> Result<Answer, RequestFailure> {
        let connect = async {
            let inner = self.connect().await?;
            let stream = Metered { inner, left: MAX_WIRE_BYTES, received: Arc::clone(received) };
            match &self.tls {
                None => Ok(Stream::Plain(stream)),
                Some((connector, name)) => {
                    let session = connector.connect(name.clone(), stream).await.map_err(tls_failure)?;
                    Ok(Stream::Tls(Box::new(session)))
                }
            }
        };
        let stream = match tokio::time::timeout(self.connect_timeout, connect).await {
            Ok(stream) => stream?,
            Err(_) => {
                let message = format_args!("no connection within {:?}", self.connect_timeout);
                return Err(RequestFailure::new(Reason::Timeout, message));
            }
        };
        match stream {
            Stream::Plain(stream) => self.exchange(stream, path, token).await,
            Stream::Tls(stream) => self.exchange(*stream, path, token).await,
        }
    }

    async fn connect(&self) -> Result<TcpStream, RequestFailure> {
        let addresses = match self.host.parse::<IpAddr>() {
            Ok(address) => vec![SocketAddr::new(address, self.port)],
            Err(_) => self.addresses().await?,
        };
        let mut last = RequestFailure::new(Reason::Dns, format_args!("{} has no address", self.host));
        for address in addresses {
            match TcpStream::connect(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = RequestFailure::new(Reason::Connect, format_args!("{address}: {error}")),
            }
        }
        Err(last)
    }

    async fn addresses(&self) -> Result<Vec<SocketAddr>, RequestFailure> {
        let (host, port) = (self.host.clone(), self.port);
        let lookup = move || Ok((host.as_str(), port).to_socket_addrs()?.collect());
        let failed =
            |error: &dyn fmt::Display| RequestFailure::new(Reason::Dns, format_args!("{}: {error}", self.host));
        let found: Option<io::Result<_>> = self.lookup.run(lookup).await;
        found.ok_or_else(|| failed(&"the lookup ended early"))?.map_err(|error| failed(&error))
    }

    /// Reads the session token, within the target's time limit: it may be on a file system that hangs.
    ///
    /// # Errors
    /// With the reason [`Reason::Token`].
    pub async fn token(&self, source: &TokenSource) -> Result<Token, RequestFailure> {
        let source = source.clone();
        let failed = |error: &dyn fmt::Display| RequestFailure::new(Reason::Token, error);
        let read = self.token.run(move || Token::read(&source));
        match tokio::time::timeout(self.timeout, read).await {
            Ok(Some(token)) => token.map_err(|error| failed(&error)),
            Ok(None) => Err(failed(&"reading the session token file ended early")),
            Err(_) => Err(failed(&"the session token file takes too long to read")),
        }
    }

    async fn exchange<S>(&self, stream: S, path: &str, token: Option<&Token>) -> Result<Answer, RequestFailure>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let request = self.request(path, token)?;
        let (mut sender, connection) = http1::Builder::new()
            .max_buf_size(MAX_BODY_BYTES)
            .max_header_size(MAX_HEADER_BYTES)
            .max_headers(MAX_HEADERS)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| http_failure(&error))?;
        let answer = pin!(async move {
            let response = sender.send_request(request).await.map_err(|error| http_failure(&error))?;
            let status = response.status().as_u16();
            read_answer(response).await.map_err(|failure| RequestFailure { status: Some(status), ..failure })
        });
        let connection = pin!(connection);
        // Both in one future: when the time is over, the connection ends with the request.
        match select(answer, connection).await {
            Ok(result) => result,
            Err(answer) => answer.await,
        }
    }

    fn request(&self, path: &str, token: Option<&Token>) -> Result<Request<Empty<Bytes>>, RequestFailure> {
        let mut uri = path.to_owned();
        if let Some(Token { place: TokenPlace::Argument(name), value, .. }) = token {
            let separator = if path.contains('?') { '&' } else { '?' };
            let encoded: String = form_urlencoded::byte_serialize(value.as_bytes()).collect();
            uri = format!("{path}{separator}{name}={encoded}");
        }
        let mut request = Request::get(uri)
            .header(HOST, self.host_header.clone())
            .header(USER_AGENT, concat!("campaign_exporter/", env!("CARGO_PKG_VERSION")))
            .header(ACCEPT, "*/*")
            .header(CONNECTION, "close");
        if let Some(Token { place: TokenPlace::Header(name), value, .. }) = token {
            request = request.header(name.clone(), value.clone());
        }
        request.body(Empty::new()).map_err(|_| RequestFailure::new(Reason::Body, "the request can't be made"))
    }
}

/// The answer when it comes first, else the answer's future once the connection is done.
async fn select<'a, A, C>(answer: Pin<&'a mut A>, connection: Pin<&mut C>) -> Result<A::Output, Pin<&'a mut A>>
where
    A: Future,
    C: Future,
{
    let mut answer = answer;
    tokio::select! {
        biased;
        result = answer.as_mut() => Ok(result),
        _ = connection => Err(answer),
    }
}

async fn read_answer(response: Response<Incoming>) -> Result<Answer, RequestFailure> {
    let status = response.status();
    if status.is_redirection() {
        return Err(RequestFailure::new(
            Reason::Status,
            format_args!("HTTP status {status}: redirects are not followed"),
        ));
    }
    if status != http::StatusCode::OK {
        return Err(RequestFailure::new(Reason::Status, format_args!("HTTP status {status}")));
    }
    let too_large =
        || RequestFailure::new(Reason::Body, format_args!("the body is larger than {MAX_BODY_BYTES} bytes"));
    let charset = response.headers().get(CONTENT_TYPE).and_then(|value| charset(value.as_bytes()));
    let mut incoming = response.into_body();
    if incoming.size_hint().lower() > MAX_BODY_BYTES as u64 {
        return Err(too_large());
    }
    let mut body = Vec::new();
    while let Some(frame) = incoming.frame().await {
        let frame = frame.map_err(|error| http_failure(&error))?;
        let Ok(data) = frame.into_data() else { continue };
        if body.len() + data.len() > MAX_BODY_BYTES {
            return Err(too_large());
        }
        body.extend_from_slice(&data);
    }
    Ok(Answer { body, charset })
}

/// `charset` of a content type, without its quotes.
fn charset(content_type: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(content_type).ok()?;
    let parameters = text.split(';').skip(1);
    let (_, value) = parameters
        .filter_map(|pair| pair.split_once('='))
        .find(|(key, _)| key.trim().eq_ignore_ascii_case("charset"))?;
    let value = value.trim().trim_matches('"');
    (!value.is_empty() && value.len() <= 40).then(|| value.to_owned())
}

/// A failure of the TLS handshake: the peer's connection may also just have broken.
fn tls_failure(error: io::Error) -> RequestFailure {
    let reason = if error.raw_os_error().is_some() { Reason::Connect } else { Reason::Tls };
    RequestFailure::new(reason, error)
}

/// The system's own errors are the connection's; the others were made of what the peer sent.
fn io_failure(error: &io::Error) -> RequestFailure {
    let is_tls = error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>());
    let reason = match (error.raw_os_error(), is_tls) {
        (Some(_), _) => Reason::Connect,
        (None, true) => Reason::Tls,
        (None, false) => Reason::Body,
    };
    RequestFailure::new(reason, error)
}

fn http_failure(error: &hyper::Error) -> RequestFailure {
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(error) = cause.downcast_ref::<io::Error>() {
            return io_failure(error);
        }
        source = cause.source();
    }
    if error.is_parse() || error.is_incomplete_message() {
        return RequestFailure::new(Reason::Body, format_args!("the answer is not whole, or no HTTP: {error}"));
    }
    RequestFailure::new(Reason::Connect, error)
}

/// Runs a call that may block for long and can't be interrupted, at most one at a time: one that outlives the probe
/// that made it is waited for by the next, so that a dead name server or file system never takes all threads.
struct OneAtATime<T> {
    running: tokio::sync::Mutex<Option<RunningRequest<T>>>,
    blocking: Arc<Pool>,
}

type RunningRequest<T> = Pin<Box<dyn Future<Output = Option<T>> + Send>>;

impl<T: Send + 'static> OneAtATime<T> {
    fn new(client: &Client) -> OneAtATime<T> {
        OneAtATime { running: tokio::sync::Mutex::default(), blocking: Arc::clone(&client.blocking) }
    }

    /// None when the call panicked.
    async fn run(&self, call: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let mut running = self.running.lock().await;
        let current = running.get_or_insert_with(|| {
            let blocking = Arc::clone(&self.blocking);
            Box::pin(async move { blocking.run(call).await })
        });
        let result = current.await;
        *running = None;
        result
    }
}

enum Stream {
    Plain(Metered<TcpStream>),
    Tls(Box<tokio_rustls::client::TlsStream<Metered<TcpStream>>>),
}

/// A connection that gives no more than a number of bytes, whatever the peer sends.
struct Metered<S> {
    inner: S,
    left: usize,
    received: Arc<AtomicBool>,
}

#[derive(Debug, thiserror::Error)]
#[error("the peer sent more than {MAX_WIRE_BYTES} bytes")]
struct TooMuch;

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.left == 0 {
            return Poll::Ready(Err(io::Error::other(TooMuch)));
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
        let length = buf.filled().len() - before;
        if length > 0 {
            self.received.store(true, Ordering::Relaxed);
        }
        // One read may go over the limit by what its buffer holds, which its owner bounds.
        self.left = self.left.saturating_sub(length);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

fn client_config(target: &Target, client: &Client) -> Result<ClientConfig, EndpointError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|source| EndpointError::Tls { target: target.name.clone(), source })?;
    let builder = match &target.trust {
        Trust::System => builder.with_root_certificates(client.roots(target)?),
        Trust::File(path) => builder.with_root_certificates(file_roots(target, path)?),
        Trust::Anybody => builder.dangerous().with_custom_certificate_verifier(Arc::new(TrustAnybody { provider })),
    };
    let mut config = builder.with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn file_roots(target: &Target, path: &Path) -> Result<RootCertStore, EndpointError> {
    let fault = |problem: String| EndpointError::CaFile { target: target.name.clone(), path: path.to_owned(), problem };
    let (file, _) = open_regular(path).map_err(|error| fault(error.to_string()))?;
    let mut bytes = Vec::new();
    file.take(MAX_CA_BYTES + 1).read_to_end(&mut bytes).map_err(|error| fault(error.to_string()))?;
    if bytes.len() as u64 > MAX_CA_BYTES {
        return Err(fault(format!("larger than {MAX_CA_BYTES} bytes")));
    }
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&bytes) {
        let certificate = certificate.map_err(|error| fault(error.to_string()))?;
        roots.add(certificate).map_err(|error| fault(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(fault("no certificate in it".to_owned()));
    }
    Ok(roots)
}

/// `insecure_skip_verify`: any certificate will do; the handshake's signatures are still checked.
#[derive(Debug)]
struct TrustAnybody {
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for TrustAnybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::AtomicUsize;
    use std::sync::mpsc::channel;

    use super::*;

    #[tokio::test]
    async fn a_call_that_outlives_its_probe_is_waited_for_and_not_made_again() {
        let calls = Arc::new(AtomicUsize::new(0));
        let (open, gate) = channel::<()>();
        let gate = Arc::new(Mutex::new(gate));
        let client = Client { blocking: Arc::new(Pool::start("test", 1).unwrap()), ..Client::new(&[]).unwrap() };
        let one = OneAtATime::new(&client);
        let call = || {
            let (calls, gate) = (Arc::clone(&calls), Arc::clone(&gate));
            move || {
                let number = calls.fetch_add(1, Ordering::SeqCst) + 1;
                gate.lock().unwrap().recv().unwrap();
                number
            }
        };
        for _ in 0..3 {
            let given_up = tokio::time::timeout(Duration::from_millis(5), one.run(call())).await;
            assert!(given_up.is_err());
        }
        open.send(()).unwrap();
        assert_eq!(one.run(call()).await.unwrap(), 1, "the first call's result");
        open.send(()).unwrap();
        assert_eq!(one.run(call()).await.unwrap(), 2, "and then a new call");
    }

    #[test]
    fn the_charset_is_found_among_the_parameters() {
        assert_eq!(charset(b"text/xml; charset=utf-8"), Some("utf-8".to_owned()));
        assert_eq!(charset(b"text/xml;boundary=x; CHARSET = \"ISO-8859-1\""), Some("ISO-8859-1".to_owned()));
        assert_eq!(charset(b"text/xml"), None);
        assert_eq!(charset(b"text/xml; charset="), None);
        assert_eq!(charset(b"charset=utf-8"), None);
        assert_eq!(charset(b"text/xml; charset=\xff"), None);
    }
}
