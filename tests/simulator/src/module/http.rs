//! The HTTP end points (facts.md): `/r/test`, ping.jsp and mcPing.jsp of web, and the status page of pipelined.
//! How an end point answers is read, at each request, from `var/run/answers/`, so that a fault holds at once.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Behaviour, Context, Protocol};
use crate::clock::Utc;
use crate::home::Home;

/// The longest request head that is read.
const HEAD: u64 = 16 * 1024;
/// A client that sends its request slower than this is left.
const REQUEST_WITHIN: Duration = Duration::from_secs(5);

/// What a request is answered from; shared with the connections' threads.
#[derive(Debug)]
struct Site {
    home: Home,
    token: String,
    instance: String,
    started: Instant,
}

impl Site {
    fn new(cx: &Context) -> Arc<Self> {
        let token = cx.settings.text("sessionToken").unwrap_or("simulated-session").to_owned();
        let instance = cx.conf.instances().into_iter().next().unwrap_or_else(|| "default".to_owned());
        Arc::new(Self { home: cx.home.clone(), token, instance, started: Instant::now() })
    }

    fn mode(&self, end_point: &str) -> String {
        let text = fs::read_to_string(self.home.answer_file(end_point)).unwrap_or_default();
        text.trim().to_owned()
    }
}

/// The application server.
#[derive(Debug)]
pub(super) struct Web {
    site: Arc<Site>,
}

/// The pipeline's consumer.
#[derive(Debug)]
pub(super) struct Pipelined {
    site: Arc<Site>,
}

impl Web {
    pub(super) fn new(cx: &Context) -> Self {
        Self { site: Site::new(cx) }
    }
}

impl Pipelined {
    pub(super) fn new(cx: &Context) -> Self {
        Self { site: Site::new(cx) }
    }
}

impl Behaviour for Web {
    fn ports(&self, cx: &Context) -> Vec<(Protocol, u16)> {
        vec![(Protocol::Tcp, cx.port("httpPort", 8080)), (Protocol::Tcp, cx.port("controlPort", 8005))]
    }

    fn connection(&mut self, _: &Context, port: usize, stream: TcpStream) {
        // The control port takes a connection and says nothing.
        if port == 0 {
            in_background(&self.site, stream, web);
        }
    }
}

impl Behaviour for Pipelined {
    fn ports(&self, cx: &Context) -> Vec<(Protocol, u16)> {
        vec![(Protocol::Tcp, cx.port("monitorServerPort", 7781))]
    }

    fn connection(&mut self, _: &Context, _: usize, stream: TcpStream) {
        in_background(&self.site, stream, pipelined);
    }
}

fn in_background(site: &Arc<Site>, mut stream: TcpStream, handle: fn(&Site, &Request) -> Option<Reply>) {
    let site = Arc::clone(site);
    // Without a thread the connection is dropped; one that fails has lost its client.
    let work = move || {
        serve(&site, &mut stream, handle).ok();
    };
    std::thread::Builder::new().stack_size(128 * 1024).spawn(work).ok();
}

/// A request's first line and headers.
#[derive(Debug, Default)]
struct Request {
    path: String,
    query: String,
    host: String,
    headers: Vec<(String, String)>,
    peer: String,
}

/// An answer, and how it is given.
#[derive(Debug)]
struct Reply {
    end_point: &'static str,
    status: &'static str,
    content_type: &'static str,
    body: String,
}

fn serve(site: &Site, stream: &mut TcpStream, handle: fn(&Site, &Request) -> Option<Reply>) -> io::Result<()> {
    stream.set_read_timeout(Some(REQUEST_WITHIN))?;
    let mut head = Vec::new();
    let mut byte = [0; 1];
    let mut reader = io::BufReader::new(&*stream).take(HEAD);
    while !head.ends_with(b"\r\n\r\n") && !head.ends_with(b"\n\n") {
        reader.read_exact(&mut byte)?;
        head.extend_from_slice(&byte);
    }
    let mut request = parse(&String::from_utf8_lossy(&head));
    request.peer = stream.peer_addr()?.ip().to_string();
    let Some(reply) = handle(site, &request) else {
        return send(stream, "404 Not Found", "text/plain", b"Not Found\n");
    };
    let Reply { status, content_type, body, .. } = &reply;
    let mode = site.mode(reply.end_point);
    match mode.split_once(':').unwrap_or((&mode, "")) {
        ("hang", _) => {
            // Until the client has enough of it.
            stream.set_read_timeout(None)?;
            io::copy(&mut &*stream, &mut io::sink()).map(|_| ())
        }
        ("close", _) => Ok(()),
        ("slow", millis) => {
            std::thread::sleep(Duration::from_millis(millis.parse().unwrap_or(1000)));
            send(stream, status, content_type, body.as_bytes())
        }
        ("fail", _) => send(stream, "500 Internal Server Error", "text/plain", b"Internal Server Error\n"),
        ("garbage", _) => send(stream, "200 OK", content_type, b"\xff\xfe<<not what you asked for\0"),
        // The bytes of a file, without any header of ours.
        ("raw", path) => stream.write_all(&fs::read(path)?),
        _ => send(stream, status, content_type, body.as_bytes()),
    }
}

fn send(stream: &mut TcpStream, status: &str, content_type: &str, body: &[u8]) -> io::Result<()> {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(&[head.as_bytes(), body].concat())
}

fn parse(head: &str) -> Request {
    let mut lines = head.lines();
    let target = lines.next().and_then(|line| line.split(' ').nth(1)).unwrap_or("/");
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let host = headers.iter().find(|(name, _)| name == "host").map(|(_, value)| value.clone()).unwrap_or_default();
    Request { path: path.to_owned(), query: query.to_owned(), host, headers, peer: String::new() }
}

impl Request {
    /// The session token, by any of the ways that this simulator takes it: the header `X-Session-Token`, the cookie or
    /// the query parameter `__sessiontoken`.
    fn has_token(&self, token: &str) -> bool {
        let pair = format!("__sessiontoken={token}");
        self.query.split('&').any(|part| part == pair)
            || self.headers.iter().any(|(name, value)| match name.as_str() {
                "x-session-token" => value == token,
                "cookie" => value.split(';').any(|part| part.trim() == pair),
                _ => false,
            })
    }
}

fn text(end_point: &'static str, body: String) -> Reply {
    Reply { end_point, status: "200 OK", content_type: "text/plain; charset=iso-8859-15", body }
}

fn web(site: &Site, request: &Request) -> Option<Reply> {
    let denied = |end_point| Reply { status: "403 Forbidden", ..text(end_point, "Access denied\n".to_owned()) };
    let now = Utc::now().ping_stamp();
    match request.path.as_str() {
        "/r/test" => {
            let status = if site.mode("redir") == "error" { "ERROR" } else { "OK" };
            let date = now.strip_suffix('Z').unwrap_or(&now);
            let Request { host, peer, .. } = request;
            let instance = &site.instance;
            let body = format!(
                "<redir status='{status}' date='{date}+00' version='8.5.1' build='9236' sha1='cc45440' instance='{instance}' \
                 sourceIP='{peer}' host='{host}' localHost='localhost'/>"
            );
            Some(Reply { content_type: "text/xml", ..text("redir", body) })
        }
        "/nl/jsp/ping.jsp" if request.has_token(&site.token) => {
            let word = if site.mode("ping") == "error" { "Error" } else { "OK" };
            Some(text("ping", format!("{word}\n{now}\n")))
        }
        "/nl/jsp/mcPing.jsp" if request.has_token(&site.token) => {
            let mode = site.mode("mcping");
            let (word, events) = mode.split_once(':').unwrap_or((&mode, "7/400"));
            let body = match word {
                "full" | "error" => format!("Error\nThe queue is full ({events})"),
                _ => format!("Ok\n{now}\n{events} pending events"),
            };
            Some(text("mcping", body))
        }
        "/nl/jsp/ping.jsp" => Some(denied("ping")),
        "/nl/jsp/mcPing.jsp" => Some(denied("mcping")),
        _ => None,
    }
}

fn pipelined(site: &Site, _: &Request) -> Option<Reply> {
    let events = site.started.elapsed().as_secs();
    let mut indicators: Vec<(String, String)> = [
        ("current-messages", 0),
        ("current-retries", 0),
        ("trigger-discarded", 0),
        ("trigger-failures", 0),
        ("trigger-received", events),
        ("trigger-processed", events),
        ("last-alive-ms-ago", 120),
        ("bytes-read", events * 1024),
        ("peak-messages", 3),
        ("pointer-flushes", events / 60),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_string()))
    .collect();
    for row in site.mode("pipelined-values").lines() {
        if let Some((name, value)) = row.split_once('=') {
            indicators.retain(|(other, _)| other != name);
            indicators.push((name.to_owned(), value.to_owned()));
        }
    }
    let mut body = String::from("{\n");
    for (index, (name, value)) in indicators.iter().enumerate() {
        let comma = if index + 1 < indicators.len() { "," } else { "" };
        // Writing to a string cannot fail.
        writeln!(body, "  \"{name}\": {value}{comma}").ok();
    }
    body.push_str("}\n");
    Some(Reply { content_type: "application/json", ..text("pipelined", body) })
}
