//! The web server over real sockets: what clients may ask, and what they cannot do to each other.
//!
//! Clients are blocking sockets with a time limit; nothing sleeps. Where a test waits for a limit of the server's to
//! pass, that limit is short and the test waits for what follows from it.

use std::future::Future;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use campaign_exporter::catalog::Lang;
use campaign_exporter::logging::{self, Format, LogLevel};
use campaign_exporter::render::page::PageOptions;
use campaign_exporter::serve::{self, Filter, Scrape, ScrapeError, ServeOptions};
use campaign_exporter::web::{self, Body, BoxFuture, Handler, Limits, Request, Response, WebError};
use flate2::read::GzDecoder;
use hyper::body::Bytes;
use proptest::prelude::*;
use tokio::sync::{Notify, oneshot};

/// No test waits longer for anything.
const PATIENCE: Duration = Duration::from_secs(20);

/// More than the buffers of two sockets hold.
const HUGE: usize = 50 << 20;

/// A server on a thread of its own; ended when dropped.
struct Server {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<Result<(), WebError>>>,
}

impl Server {
    fn start(limits: Limits, answer: Handler) -> Self {
        Self::start_logging(limits, answer, io::sink)
    }

    fn start_logging<W>(limits: Limits, answer: Handler, log: fn() -> W) -> Self
    where
        W: Write + 'static,
    {
        let listeners = web::bind(&["127.0.0.1:0".parse().unwrap()]).unwrap();
        let address = listeners[0].local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let _log = tracing::subscriber::set_default(logging::subscriber(LogLevel::Debug, Format::Logfmt, log));
            runtime.block_on(web::serve(listeners, answer, limits, async {
                let _ = stopped.await;
            }))
        });
        Self { address, stop: Some(stop), thread: Some(thread) }
    }

    fn client(&self) -> Client {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Client { stream, received: Vec::new() }
    }

    /// One request on a connection of its own.
    fn ask(&self, request: &str) -> Reply {
        self.client().ask(request)
    }

    fn get(&self, path: &str) -> Reply {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: here\r\n\r\n"))
    }

    fn stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
    }

    fn end(mut self) -> Result<(), WebError> {
        self.stop();
        self.thread.take().unwrap().join().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Client {
    stream: TcpStream,
    received: Vec<u8>,
}

#[derive(Debug)]
struct Reply {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Reply {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

impl Client {
    fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    fn ask(&mut self, request: &str) -> Reply {
        self.send(request);
        self.reply(request.starts_with("HEAD"))
    }

    /// The next answer on the connection.
    fn reply(&mut self, to_head: bool) -> Reply {
        let end = loop {
            match self.received.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                Some(end) => break end + 4,
                None => assert!(self.receive(), "the connection ended before an answer"),
            }
        };
        let head = String::from_utf8(self.received.drain(..end).collect()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut reply = Reply { status, head, body: Vec::new() };
        let length = reply.header("content-length").expect("a length").parse().unwrap();
        if !to_head {
            while self.received.len() < length {
                assert!(self.receive(), "the connection ended within an answer");
            }
            reply.body = self.received.drain(..length).collect();
        }
        reply
    }

    fn receive(&mut self) -> bool {
        let mut buffer = [0; 64 * 1024];
        let length = self.stream.read(&mut buffer).unwrap();
        self.received.extend_from_slice(&buffer[..length]);
        length > 0
    }

    /// How many bytes come before the server ends the connection.
    fn until_cut(&mut self) -> usize {
        let mut buffer = vec![0; 1 << 20];
        let mut total = 0;
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return total,
                Ok(length) => total += length,
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return total,
                Err(error) => panic!("still open after {total} bytes: {error}"),
            }
        }
    }
}

fn answering<F>(function: impl Fn(Request) -> F + Send + Sync + 'static) -> Handler
where
    F: Future<Output = Response> + Send + 'static,
{
    Arc::new(move |request| Box::pin(function(request)))
}

fn metrics(length: usize) -> String {
    let lines = (0..).map(|number| format!("campaign_module_up{{module=\"m{number}\"}} 1\n"));
    let mut text = String::new();
    for line in lines {
        if text.len() + line.len() > length {
            return text;
        }
        text.push_str(&line);
    }
    unreachable!()
}

/// Answers `/SIZE` with about as many bytes, and everything else with the request.
fn sizes() -> Handler {
    answering(async |request: Request| match request.path[1..].parse() {
        Ok(size) => Response { body: metrics(size).into(), ..Response::text(200, "") },
        Err(_) => Response::text(200, format!("{} {:?} {:?}", request.path, request.query, request.scrape_timeout)),
    })
}

fn within(limit: Duration) -> Limits {
    Limits { head: limit, idle: limit, write: limit, drain: limit, ..Limits::default() }
}

#[test]
fn a_request_reaches_the_answer_decoded() {
    let server = Server::start(Limits::default(), sizes());
    let reply = server.ask(
        "GET /%6detrics%2Fx?collect%5B%5D=pro%63ess&exclude[]=a+b HTTP/1.1\r\nHost: h\r\n\
         X-Prometheus-Scrape-Timeout-Seconds: 9.500\r\n\r\n",
    );
    assert_eq!(reply.status, 200);
    assert_eq!(reply.text(), "/metrics/x [(\"collect[]\", \"process\"), (\"exclude[]\", \"a b\")] Some(9.5s)\n");
    assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(server.get("/%ff").status, 400);
    assert_eq!(server.ask("GET http://elsewhere/p?q HTTP/1.1\r\nHost: h\r\n\r\n").text(), "/p [(\"q\", \"\")] None\n");
}

#[test]
fn answers_are_compressed_when_asked_for_and_worth_it() {
    let server = Server::start(Limits::default(), sizes());
    let ask = |size: usize, accept: &str| {
        server.ask(&format!("GET /{size} HTTP/1.1\r\nHost: h\r\nAccept-Encoding: {accept}\r\n\r\n"))
    };
    for size in [2_000, 100_000, 2_000_000] {
        let reply = ask(size, "deflate, gzip;q=0.9");
        assert_eq!(reply.header("content-encoding"), Some("gzip"), "{size}");
        assert_eq!(reply.header("vary"), Some("accept-encoding"));
        assert!(reply.body.len() < size / 4, "{size} became {}", reply.body.len());
        let mut text = String::new();
        GzDecoder::new(&reply.body[..]).read_to_string(&mut text).unwrap();
        assert_eq!(text, metrics(size));
    }
    for (size, accept) in [(2_000, "gzip;q=0"), (2_000, "br"), (500, "gzip")] {
        let reply = ask(size, accept);
        assert_eq!((reply.header("content-encoding"), reply.text()), (None, metrics(size).as_str()));
    }
}

#[test]
fn head_gets_the_head_of_get_alone() {
    let server = Server::start(Limits::default(), sizes());
    for accept in ["", "Accept-Encoding: gzip\r\n"] {
        let mut client = server.client();
        let head = client.ask(&format!("HEAD /5000 HTTP/1.1\r\nHost: h\r\n{accept}\r\n"));
        // A body would stand before this answer on the same connection.
        let get = client.ask(&format!("GET /5000 HTTP/1.1\r\nHost: h\r\n{accept}\r\n"));
        assert_eq!((head.status, get.status), (200, 200));
        for name in ["content-length", "content-type", "content-encoding", "vary"] {
            assert_eq!(head.header(name), get.header(name), "{name}");
        }
        assert_eq!(get.header("content-length"), Some(get.body.len().to_string().as_str()));
    }
}

#[test]
fn other_methods_are_refused_with_those_that_are_not() {
    let server = Server::start(Limits::default(), sizes());
    for request in [
        "POST /metrics HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello".to_owned(),
        "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n".to_owned(),
        "POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 99999999\r\n\r\n".to_owned(),
        "DELETE /metrics HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(),
        "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(),
        "BREW /pot HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(),
    ] {
        let reply = server.ask(&request);
        assert_eq!((reply.status, reply.header("allow")), (405, Some("GET, HEAD")), "{request}");
    }
    let mut client = server.client();
    client.ask("POST /metrics HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello");
    assert_eq!(client.ask("GET /after HTTP/1.1\r\nHost: h\r\n\r\n").text(), "/after [] None\n");
}

#[test]
fn a_get_with_a_body_is_answered_and_a_body_without_end_is_not_waited_for() {
    let server = Server::start(Limits::default(), sizes());
    let reply = server.ask("GET /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc");
    assert_eq!((reply.status, reply.text()), (200, "/a [] None\n"));
    let mut client = server.client();
    assert_eq!(client.ask("GET /b HTTP/1.1\r\nHost: h\r\nContent-Length: 300\r\n\r\nabc").status, 200);
    client.until_cut();
}

#[test]
fn a_panic_is_answered_with_500_and_the_server_lives_on() {
    let answer: Handler = Arc::new(|request| {
        assert_ne!(request.path, "/now");
        Box::pin(async move {
            tokio::task::yield_now().await;
            assert_ne!(request.path, "/later");
            Response::text(200, "fine")
        })
    });
    let server = Server::start(Limits::default(), answer);
    let mut client = server.client();
    for (path, status) in [("/now", 500), ("/later", 500), ("/", 200)] {
        assert_eq!(client.ask(&format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n")).status, status, "{path}");
    }
}

#[test]
fn a_head_that_is_too_large_is_refused() {
    let server = Server::start(Limits::default(), sizes());
    let long = "x".repeat(Limits::default().head_bytes);
    let reply = server.ask(&format!("GET / HTTP/1.1\r\nHost: h\r\nX-Long: {long}"));
    assert_eq!(reply.status, 431);
    let many: String = (0..200).map(|number| format!("X-{number}: y\r\n")).collect();
    assert_eq!(server.ask(&format!("GET / HTTP/1.1\r\nHost: h\r\n{many}\r\n")).status, 431);
    assert_eq!(server.get("/").status, 200);
}

#[test]
fn requests_share_a_connection_in_their_order() {
    let server = Server::start(Limits::default(), sizes());
    let mut client = server.client();
    client.send("GET /a HTTP/1.1\r\nHost: h\r\n\r\nGET /100000 HTTP/1.1\r\nHost: h\r\n\r\nGET /c HTTP/1.1\r\nHo");
    assert_eq!(client.reply(false).text(), "/a [] None\n");
    assert_eq!(client.reply(false).text(), metrics(100_000));
    assert_eq!(client.ask("st: h\r\n\r\n").text(), "/c [] None\n");
    let reply = client.ask("GET /d HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    assert_eq!(reply.text(), "/d [] None\n");
    assert_eq!(client.until_cut(), 0);
    let mut old = server.client();
    assert_eq!(old.ask("GET /e HTTP/1.0\r\n\r\n").text(), "/e [] None\n");
    assert_eq!(old.until_cut(), 0);
}

#[test]
fn stalled_clients_do_not_hold_others_up() {
    let server = Server::start(within(PATIENCE * 2), sizes());
    let stalled: Vec<Client> = (0..100)
        .map(|number| {
            let mut client = server.client();
            client.send(&"GET /metrics HTTP/1.1\r\nHost: h\r\nX-Lon"[..number % 36]);
            client
        })
        .collect();
    let start = Instant::now();
    assert_eq!(server.get("/1000").status, 200);
    assert!(start.elapsed() < PATIENCE, "{:?}", start.elapsed());
    drop(stalled);
}

#[test]
fn a_full_server_makes_room_by_cutting_off_who_asks_nothing() {
    let server = Server::start(Limits { connections: 8, ..within(PATIENCE * 2) }, sizes());
    let mut stalled: Vec<Client> = (0..40)
        .map(|_| {
            let mut client = server.client();
            client.send("GET / HT");
            client
        })
        .collect();
    let mut kept = server.client();
    assert_eq!(kept.ask("GET /kept HTTP/1.1\r\nHost: h\r\n\r\n").status, 200);
    assert_eq!(stalled[0].until_cut(), 0, "the first to come is the first to go");
}

#[test]
fn in_a_server_full_of_requests_under_way_the_next_waits_for_a_place() {
    let gate = Arc::new(Notify::new());
    let (arrived, arrivals) = mpsc::channel();
    let held = Arc::clone(&gate);
    let answer = answering(move |request: Request| {
        let (held, arrived) = (Arc::clone(&held), arrived.clone());
        async move {
            arrived.send(request.path.clone()).unwrap();
            held.notified().await;
            Response::text(200, request.path)
        }
    });
    let server = Server::start(Limits { connections: 1, ..within(PATIENCE * 2) }, answer);
    let mut first = server.client();
    first.send("GET /first HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(arrivals.recv_timeout(PATIENCE).unwrap(), "/first");
    let mut second = server.client();
    second.send("GET /second HTTP/1.1\r\nHost: h\r\n\r\n");
    gate.notify_one();
    assert_eq!(first.reply(false).text(), "/first\n");
    // The first connection is still open, and idle.
    assert_eq!(arrivals.recv_timeout(PATIENCE).unwrap(), "/second");
    gate.notify_one();
    assert_eq!(second.reply(false).text(), "/second\n");
}

/// A body that reports when it is dropped.
struct Watched(Vec<u8>, mpsc::Sender<()>);

impl AsRef<[u8]> for Watched {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let _ = self.1.send(());
    }
}

fn huge() -> (Handler, mpsc::Receiver<()>) {
    let (gone, is_gone) = mpsc::channel();
    let answer = answering(move |request: Request| {
        let gone = gone.clone();
        async move {
            match request.path.as_str() {
                "/huge" => {
                    let body = Bytes::from_owner(Watched(vec![b'x'; HUGE], gone)).into();
                    Response { status: 200, content_type: "text/plain", body, headers: Vec::new() }
                }
                _ => Response::text(200, "small"),
            }
        }
    });
    (answer, is_gone)
}

#[test]
fn a_client_that_reads_no_answer_is_cut_off_and_holds_nobody_up() {
    let (answer, is_gone) = huge();
    let limits = Limits { write: Duration::from_millis(300), ..within(PATIENCE * 2) };
    let server = Server::start(limits, answer);
    let mut deaf = server.client();
    deaf.send("GET /huge HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(server.get("/").text(), "small\n");
    is_gone.recv_timeout(PATIENCE).expect("the server lets go of the answer");
    assert!(deaf.until_cut() < HUGE);
    assert_eq!(server.get("/").text(), "small\n");
}

#[test]
fn a_client_that_reads_a_huge_answer_gets_it_all() {
    let (answer, _is_gone) = huge();
    let server = Server::start(within(PATIENCE), answer);
    assert_eq!(server.get("/huge").body.len(), HUGE);
}

#[test]
fn a_full_server_makes_room_by_cutting_off_who_does_not_read() {
    let (answer, is_gone) = huge();
    let server = Server::start(Limits { connections: 2, ..within(PATIENCE * 2) }, answer);
    let mut deaf: Vec<Client> = (0..2)
        .map(|_| {
            let mut client = server.client();
            client.send("GET /huge HTTP/1.1\r\nHost: h\r\n\r\n");
            client
        })
        .collect();
    assert_eq!(server.get("/").text(), "small\n");
    is_gone.recv_timeout(PATIENCE).expect("one of the answers is let go");
    deaf.clear();
}

#[test]
fn bodies_that_nobody_reads_are_bounded_by_cutting_off_the_slowest_reader() {
    let (answer, is_gone) = huge();
    let server = Server::start(Limits { unread_bytes: HUGE, ..within(PATIENCE * 2) }, answer);
    let mut deaf: Vec<Client> = (0..3)
        .map(|_| {
            let mut client = server.client();
            client.send("GET /huge HTTP/1.1\r\nHost: h\r\n\r\n");
            client
        })
        .collect();
    for _ in 0..2 {
        is_gone.recv_timeout(PATIENCE).expect("all but one are let go");
    }
    assert_eq!(server.get("/").text(), "small\n");
    deaf.clear();
}

#[test]
fn a_body_that_is_sent_slowly_is_answered_at_once_and_never_costs_a_newer_client_its_place() {
    let server = Server::start(Limits { connections: 4, ..within(PATIENCE * 2) }, sizes());
    let slow: Vec<Client> = (0..40)
        .map(|_| {
            let mut client = server.client();
            let reply = client.ask("POST /metrics HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\na");
            assert_eq!(reply.status, 405, "answered before the body has come");
            client
        })
        .collect();
    assert_eq!(server.get("/1000").status, 200);
    drop(slow);
}

#[test]
fn http_2_without_agreement_is_refused_in_words_of_http_1() {
    let server = Server::start(Limits::default(), sizes());
    for preface in ["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "PRI * HTTP/2.0\r\n\r\n"] {
        assert_eq!(server.ask(preface).status, 400, "{preface:?}");
    }
}

/// A log that a test reads.
struct Log(&'static Mutex<Vec<u8>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn nothing_that_a_client_sends_is_logged_as_a_warning() {
    static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());
    let server =
        Server::start_logging(Limits { connections: 4, ..within(Duration::from_millis(200)) }, sizes(), || Log(&LOG));
    for request in [
        "",
        "G",
        "\0\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "GET / HTTP/9\r\n\r\n",
        "\u{16}\u{3}\u{1}\0",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n",
        "GET /%ff HTTP/1.1\r\nHost: h\r\n\r\n",
    ] {
        let mut client = server.client();
        client.send(request);
        client.until_cut();
    }
    server.end().unwrap();
    let log = String::from_utf8(LOG.lock().unwrap().clone()).unwrap();
    assert!(!log.contains("level=warn") && !log.contains("level=error"), "{log}");
}

#[test]
fn a_request_that_does_not_arrive_in_time_is_given_up() {
    let server = Server::start(Limits { head: Duration::from_secs(2), ..within(PATIENCE * 2) }, sizes());
    for start in ["", "GET / HTTP/1.1\r\nHost: h\r\n"] {
        let mut client = server.client();
        client.send(start);
        assert_eq!(client.until_cut(), 0, "{start:?}");
    }
    let mut kept = server.client();
    assert_eq!(kept.ask("GET /a HTTP/1.1\r\nHost: h\r\n\r\n").status, 200);
    kept.send("GET /b HT");
    assert_eq!(kept.until_cut(), 0, "also on a connection that was used before");
}

#[test]
fn a_request_that_drips_in_gains_no_time_by_it() {
    let server = Server::start(Limits { head: Duration::from_millis(300), ..within(PATIENCE * 2) }, sizes());
    let mut client = server.client();
    client.stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    client.send("GET / HTTP/1.1\r\nX: ");
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        // The time limit of the read is what paces the drops.
        if client.stream.write_all(b"x").is_err() {
            return;
        }
        match client.stream.read(&mut [0]) {
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
            Ok(0) | Err(_) => return,
            Ok(_) => panic!("an answer without a request"),
        }
    }
    panic!("still connected");
}

#[test]
fn a_connection_may_be_idle_longer_than_a_request_may_take_but_not_for_ever() {
    let limits = Limits { head: Duration::from_secs(2), idle: Duration::from_secs(3), ..within(PATIENCE) };
    let server = Server::start(limits, sizes());
    let mut client = server.client();
    let start = Instant::now();
    assert_eq!(client.ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n").status, 200);
    assert_eq!(client.until_cut(), 0);
    let kept = start.elapsed();
    assert!(kept > Duration::from_millis(2_500), "{kept:?}");
}

/// Ends only after the returned gate was opened; reports each request.
fn held() -> (Handler, Arc<Notify>, mpsc::Receiver<()>) {
    let gate = Arc::new(Notify::new());
    let opened = Arc::clone(&gate);
    let (arrived, arrivals) = mpsc::channel();
    let answer = answering(move |request: Request| {
        let (opened, arrived) = (Arc::clone(&opened), arrived.clone());
        async move {
            if request.path == "/held" {
                arrived.send(()).unwrap();
                opened.notified().await;
            }
            Response { body: metrics(100_000).into(), ..Response::text(200, "") }
        }
    });
    (answer, gate, arrivals)
}

#[test]
fn the_end_answers_what_is_under_way_and_takes_nothing_new() {
    let (answer, gate, arrivals) = held();
    let mut server = Server::start(within(PATIENCE), answer);
    let mut idle = server.client();
    assert_eq!(idle.ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n").status, 200);
    let mut half = server.client();
    half.send("GET / HT");
    let mut under_way = server.client();
    under_way.send("GET /held HTTP/1.1\r\nHost: h\r\n\r\n");
    arrivals.recv_timeout(PATIENCE).unwrap();
    server.stop();
    assert_eq!((idle.until_cut(), half.until_cut()), (0, 0), "who asks nothing is sent away at once");
    let deadline = Instant::now() + PATIENCE;
    while TcpStream::connect(server.address).is_ok() {
        assert!(Instant::now() < deadline, "new connections are still taken");
        std::thread::yield_now();
    }
    gate.notify_one();
    let reply = under_way.reply(false);
    assert_eq!((reply.status, reply.text()), (200, metrics(100_000).as_str()));
    assert_eq!(reply.header("connection"), Some("close"));
    assert_eq!(under_way.until_cut(), 0);
    server.end().unwrap();
}

#[test]
fn the_end_does_not_wait_for_ever() {
    let (answer, _gate, arrivals) = held();
    let server = Server::start(Limits { drain: Duration::from_millis(100), ..within(PATIENCE * 2) }, answer);
    let mut client = server.client();
    client.send("GET /held HTTP/1.1\r\nHost: h\r\n\r\n");
    arrivals.recv_timeout(PATIENCE).unwrap();
    let start = Instant::now();
    server.end().unwrap();
    assert!(start.elapsed() < PATIENCE);
    assert_eq!(client.until_cut(), 0);
}

#[test]
fn the_real_address_is_logged() {
    static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());
    let server = Server::start_logging(Limits::default(), sizes(), || Log(&LOG));
    let address = server.address;
    assert_eq!(server.get("/").status, 200);
    server.end().unwrap();
    let log = String::from_utf8(LOG.lock().unwrap().clone()).unwrap();
    assert!(log.contains(&format!("level=info msg=listening address={address}\n")), "{log}");
}

/// Stands for the collectors: refuses those it does not know, and waits at the gate.
struct Gauges {
    gate: Option<Arc<Notify>>,
    arrived: mpsc::Sender<Duration>,
}

impl Scrape for Gauges {
    fn scrape(&self, filter: Filter, budget: Duration) -> BoxFuture<'_, Result<Body, ScrapeError>> {
        Box::pin(async move {
            self.arrived.send(budget).unwrap();
            if let Some(gate) = &self.gate {
                gate.notified().await;
            }
            match filter.collect.is_empty() {
                true => Ok(metrics(500).into()),
                false => Err(ScrapeError::Refused("unknown collector".into())),
            }
        })
    }

    fn is_ready(&self) -> bool {
        true
    }

    fn probe(&self, target: String, _: String, _: Duration) -> BoxFuture<'_, Result<Body, ScrapeError>> {
        Box::pin(async move { Err(ScrapeError::Refused(target)) })
    }

    fn page<'a>(&'a self, lang: Lang, options: PageOptions<'a>) -> BoxFuture<'a, String> {
        Box::pin(async move { format!("{} {}", lang.tag(), options.telemetry_path) })
    }
}

fn exporter(gate: Option<Arc<Notify>>, max_requests: usize) -> (Handler, mpsc::Receiver<Duration>) {
    let (arrived, arrivals) = mpsc::channel();
    let options =
        ServeOptions { telemetry_path: "/metrics".into(), max_requests, timeout_offset: Duration::from_millis(250) };
    (serve::answer(options, Arc::new(Gauges { gate, arrived })), arrivals)
}

#[test]
fn an_exporter_has_metrics_a_page_and_health() {
    let (answer, arrivals) = exporter(None, 0);
    let server = Server::start(Limits::default(), answer);
    let reply = server.ask("GET /metrics HTTP/1.1\r\nHost: h\r\nX-Prometheus-Scrape-Timeout-Seconds: 5\r\n\r\n");
    assert_eq!((reply.status, reply.text()), (200, metrics(500).as_str()));
    assert_eq!(reply.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let budget = arrivals.recv_timeout(PATIENCE).unwrap();
    assert!((Duration::from_secs(4)..=Duration::from_millis(4750)).contains(&budget), "{budget:?}");
    assert_eq!(server.get("/metrics?collect[]=nonsense").status, 400);
    assert_eq!(server.get("/-/healthy").status, 200);
    assert_eq!(server.get("/-/ready").status, 200);
    assert_eq!(server.get("/nothing").status, 404);
    let page = server.ask("GET / HTTP/1.1\r\nHost: h\r\nAccept-Language: pt-BR, en;q=0.5\r\n\r\n");
    assert_eq!((page.status, page.text()), (200, "pt-BR /metrics"));
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(page.header("refresh"), Some("30"));
    assert_eq!(server.get("/?refresh=off").header("refresh"), None);
}

#[test]
fn more_scrapes_at_once_than_allowed_get_503() {
    let gate = Arc::new(Notify::new());
    let (answer, arrivals) = exporter(Some(Arc::clone(&gate)), 2);
    let server = Server::start(Limits::default(), answer);
    // With different timeouts, so that none of them shares the answer of another.
    let mut under_way: Vec<Client> = (40..42)
        .map(|timeout| {
            let mut client = server.client();
            client.send(format!(
                "GET /metrics HTTP/1.1\r\nHost: h\r\nX-Prometheus-Scrape-Timeout-Seconds: {timeout}\r\n\r\n"
            ));
            arrivals.recv_timeout(PATIENCE).unwrap();
            client
        })
        .collect();
    let refused = server.get("/metrics");
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("5")));
    assert!(refused.text().contains("--web.max-requests"));
    assert_eq!(server.get("/-/healthy").status, 200);
    gate.notify_one();
    gate.notify_waiters();
    assert!(under_way.iter_mut().all(|client| client.reply(false).status == 200));
}

#[test]
fn a_client_that_goes_away_gives_its_scrape_back() {
    let gate = Arc::new(Notify::new());
    let (answer, arrivals) = exporter(Some(Arc::clone(&gate)), 1);
    let server = Server::start(Limits::default(), answer);
    let mut client = server.client();
    client.send("GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n");
    arrivals.recv_timeout(PATIENCE).unwrap();
    drop(client);
    // Refused until the server has seen it go.
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut next = server.client();
        next.send("HEAD /metrics HTTP/1.1\r\nHost: h\r\n\r\n");
        if arrivals.recv_timeout(Duration::from_millis(100)).is_ok() {
            gate.notify_one();
            assert_eq!(next.reply(true).status, 200);
            return;
        }
        assert!(Instant::now() < deadline, "the place is never given back");
    }
}

/// Requests gone wrong: pieces of good ones and of nonsense, in any order.
fn nonsense() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"GET ".to_vec()),
        Just(b"/metrics?collect[]=%".to_vec()),
        Just(b" HTTP/1.1\r\n".to_vec()),
        Just(b" HTTP/1.0\r\n".to_vec()),
        Just(b"Host: h\r\n".to_vec()),
        Just(b"Content-Length: 18446744073709551616\r\n".to_vec()),
        Just(b"Transfer-Encoding: chunked\r\n".to_vec()),
        Just(b"Accept-Encoding: gzip;q=;;=,\r\n".to_vec()),
        Just(b"X-Prometheus-Scrape-Timeout-Seconds: 1e400\r\n".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"ffffffffffffffff\r\n".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..64),
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

#[test]
fn no_bytes_end_the_server() {
    let server = Server::start(Limits::default(), sizes());
    let config = ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(bytes in nonsense())| {
        let mut client = server.client();
        // The server may end the connection at any moment.
        let _ = client.stream.write_all(&bytes).and_then(|()| client.stream.shutdown(Shutdown::Write));
        client.until_cut();
        prop_assert_eq!(server.get("/").status, 200);
    });
}
