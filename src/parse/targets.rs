//! The exporter's own configuration file (`--config.file`, YAML) -> the targets of the probes.
//!
//! Strict: unknown keys, contradictions and intervals shorter than the product's documentation allows are refused, with
//! the line and the remedy. The files that it names are read by `source::http`.
//!
//! # Format
//!
//! ```yaml
//! targets:
//!   - name: front1                        # label `target`: letters, digits, . _ - ; required
//!     url: https://127.0.0.1:8443         # scheme, host, port, and a path that goes before the probes'; required
//!     probes: [redirection, ping]         # or message_center, pipelined; required
//!     this_host: true                     # counts for this host's checks; default: when the url's host is a loopback one
//!     intervals: {redirection: 5s}        # at least 1s for redirection, 1m for ping and message_center, 10s for pipelined
//!     paths: {ping: /nl/jsp/ping.jsp}     # where it is not the documented one
//!     host_header: campaign.example.com   # also the name that the certificate must be for
//!     timeout: 5s                         # for everything; default 5s
//!     connect_timeout: 2s                 # for name, connection and TLS; default 2s, or timeout if that is less
//!     ca_file: /etc/ssl/campaign.pem      # instead of the system's roots
//!     insecure_skip_verify: false
//!     session_token_file: /etc/campaign_exporter/token   # readable by the exporter's user alone
//!     session_token_header: X-Security-Token             # or session_token_cookie, session_token_argument
//! ```
//!
//! The product's documentation says that `ping.jsp` needs a session token, passed as an argument whose name it does not say;
//! elsewhere it has the cookie `__sessiontoken` and the header `X-Security-Token`. The administrator chooses. It goes with the probes `ping` and `message_center` only.

use std::collections::HashSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::header::{self, HeaderName};
use http::uri::{Authority, PathAndQuery, Scheme, Uri};
use serde::Deserialize;
use serde_saphyr::Spanned;

use super::config_file::{ConfigFileError, LineError, check_size, document};
use crate::catalog::signals::probes::Probe;

/// The most targets.
pub const MAX_TARGETS: usize = 100;

/// The longest interval of a probe: its last result is shown until the next.
pub const LONGEST_INTERVAL: Duration = Duration::from_secs(3600);

/// The limits of `timeout` and `connect_timeout`.
pub const TIMEOUT_LIMITS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(60));

const USUAL_TIMEOUT: Duration = Duration::from_secs(5);
const USUAL_CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Where probes go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The label `target`.
    pub name: String,
    /// Where it listens.
    pub base: Base,
    /// Whether it is this host, so that its probes count for this host's checks.
    pub this_host: bool,
    /// What is probed there, without duplicates.
    pub probes: Vec<ProbeSettings>,
    /// The header `Host`, and the name that a certificate must be for, where not the url's host.
    pub host_header: Option<Authority>,
    /// The limit for everything.
    pub timeout: Duration,
    /// The limit until a connection (with TLS) stands.
    pub connect_timeout: Duration,
    /// Which certificates to trust.
    pub trust: Trust,
    /// The session token for the probes that take one.
    pub session_token: Option<TokenSource>,
}

/// The base of a target's addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base {
    /// `https` rather than `http`.
    pub tls: bool,
    /// Name or address, an IPv6 address without its brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// What goes before a probe's path: empty, or a path that does not end in a slash.
    pub prefix: String,
}

impl fmt::Display for Base {
    /// The address as a URL; the scheme's own port is left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority(), self.prefix)
    }
}

impl Base {
    /// Host and port as the header `Host` has them: brackets around IPv6, without the scheme's own port.
    #[must_use]
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        let usual = if self.tls { 443 } else { 80 };
        if self.port == usual { host } else { format!("{host}:{}", self.port) }
    }

    /// Whether it can only be this host.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        match self.host.parse::<core::net::IpAddr>() {
            Ok(address) => address.is_loopback(),
            Err(_) => self.host.eq_ignore_ascii_case("localhost"),
        }
    }
}

/// One probe of a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeSettings {
    /// Which.
    pub probe: Probe,
    /// Its path, with the target's prefix.
    pub path: String,
    /// How often.
    pub interval: Duration,
}

/// Whose certificates are trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Those of the system's roots.
    System,
    /// Those of the PEM file's certificates, and no others.
    File(PathBuf),
    /// Any.
    Anybody,
}

/// Where the session token is, and how it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenSource {
    /// The file that holds it.
    pub file: PathBuf,
    /// How it is sent.
    pub carrier: Carrier,
}

/// How the session token is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// As the value of this header.
    Header(HeaderName),
    /// As the value of this cookie.
    Cookie(String),
    /// As the value of this argument of the URL.
    Argument(String),
}

impl Target {
    /// A target that needs no file: `probe` at `port` of this host.
    #[must_use]
    pub fn local(name: &str, port: u16, probe: Probe) -> Target {
        Target {
            name: name.to_owned(),
            base: Base { tls: false, host: "127.0.0.1".to_owned(), port, prefix: String::new() },
            this_host: true,
            probes: vec![ProbeSettings {
                probe,
                path: probe.path().unwrap_or("/").to_owned(),
                interval: probe.usual_interval(),
            }],
            host_header: None,
            timeout: USUAL_TIMEOUT,
            connect_timeout: USUAL_CONNECT_TIMEOUT,
            trust: Trust::System,
            session_token: None,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TargetsFile {
    targets: Spanned<Vec<TargetSection>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TargetSection {
    name: Spanned<String>,
    url: Spanned<String>,
    probes: Spanned<Vec<Spanned<String>>>,
    this_host: Option<bool>,
    #[serde(default)]
    intervals: PerProbe,
    #[serde(default)]
    paths: PerProbe,
    host_header: Option<Spanned<String>>,
    timeout: Option<Spanned<String>>,
    connect_timeout: Option<Spanned<String>>,
    ca_file: Option<Spanned<PathBuf>>,
    insecure_skip_verify: Option<Spanned<bool>>,
    session_token_file: Option<Spanned<PathBuf>>,
    session_token_header: Option<Spanned<String>>,
    session_token_cookie: Option<Spanned<String>>,
    session_token_argument: Option<Spanned<String>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct PerProbe {
    redirection: Option<Spanned<String>>,
    ping: Option<Spanned<String>>,
    message_center: Option<Spanned<String>>,
    pipelined: Option<Spanned<String>>,
}

impl PerProbe {
    fn get(&self, probe: Probe) -> Option<&Spanned<String>> {
        match probe {
            Probe::Redirection => self.redirection.as_ref(),
            Probe::Ping => self.ping.as_ref(),
            Probe::MessageCenter => self.message_center.as_ref(),
            Probe::Pipelined => self.pipelined.as_ref(),
        }
    }
}

/// Reads the configuration file. `path` is what errors call it.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn read(bytes: &[u8], path: &Path) -> Result<Vec<Target>, ConfigFileError> {
    targets(bytes).map_err(|error| error.in_file(path))
}

fn targets(bytes: &[u8]) -> Result<Vec<Target>, LineError> {
    check_size(bytes)?;
    let file: TargetsFile = document(bytes, "correct the line; docs/probes.md lists every key")?;
    let entries = &file.targets.value;
    if entries.is_empty() || entries.len() > MAX_TARGETS {
        return Err(LineError::on(
            &file.targets,
            format!("{} targets", entries.len()),
            format!(
                "name 1 to {MAX_TARGETS} targets, or leave the file out to ask this host's redirection server alone"
            ),
        ));
    }
    let mut names = HashSet::new();
    entries
        .iter()
        .map(|entry| {
            if !names.insert(entry.name.value.as_str()) {
                let problem = format!("a second target is called {:?}", entry.name.value);
                return Err(LineError::on(&entry.name, problem, "give each target a name of its own"));
            }
            target(entry)
        })
        .collect()
}

fn target(entry: &TargetSection) -> Result<Target, LineError> {
    let base = base(&entry.url)?;
    let (timeout, connect_timeout) = timeouts(entry)?;
    Ok(Target {
        name: name(&entry.name)?,
        this_host: entry.this_host.unwrap_or_else(|| base.is_loopback()),
        probes: probes(entry, &base)?,
        host_header: entry.host_header.as_ref().map(host_header).transpose()?,
        timeout,
        connect_timeout,
        trust: trust(entry, &base)?,
        session_token: session_token(entry)?,
        base,
    })
}

fn name(name: &Spanned<String>) -> Result<String, LineError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if (1..=64).contains(&name.value.len()) && name.value.bytes().all(plain) {
        return Ok(name.value.clone());
    }
    Err(LineError::on(
        name,
        format!("the target name {:?}", name.value),
        "use 1 to 64 letters, digits, dots, dashes, underscores",
    ))
}

fn base(url: &Spanned<String>) -> Result<Base, LineError> {
    const REMEDY: &str = "write http:// or https://, a host, and a port where it is not the scheme's own";
    // The text itself is not repeated: it may hold a password.
    let fault = |problem: &str| LineError::on(url, format!("the url {problem}"), REMEDY);
    let uri: Uri = url.value.parse().map_err(|_| fault("can't be read"))?;
    let tls = match uri.scheme() {
        Some(scheme) if *scheme == Scheme::HTTP => false,
        Some(scheme) if *scheme == Scheme::HTTPS => true,
        _ => return Err(fault("is neither http nor https")),
    };
    let authority = uri.authority().ok_or_else(|| fault("has no host"))?;
    if authority.as_str().contains('@') {
        return Err(fault("holds a user or password"));
    }
    if uri.query().is_some() || url.value.contains('#') {
        return Err(fault("has a query or fragment"));
    }
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let port = match authority.as_str()[authority.host().len()..].strip_prefix(':') {
        None => {
            if tls {
                443
            } else {
                80
            }
        }
        Some(port) => port
            .parse()
            .ok()
            .filter(|port| *port != 0)
            .ok_or_else(|| fault("has a port that is not a number from 1 to 65535"))?,
    };
    if host.is_empty() {
        return Err(fault("has no host"));
    }
    Ok(Base { tls, host: host.to_owned(), port, prefix: uri.path().trim_end_matches('/').to_owned() })
}

fn probes(entry: &TargetSection, base: &Base) -> Result<Vec<ProbeSettings>, LineError> {
    let mut probes: Vec<ProbeSettings> = Vec::new();
    for label in &entry.probes.value {
        let known = Probe::ALL.map(Probe::label).join(", ");
        let probe = Probe::named(&label.value).ok_or_else(|| {
            LineError::on(label, format!("no probe is called {:?}", label.value), format!("use one of: {known}"))
        })?;
        if probes.iter().any(|settings| settings.probe == probe) {
            return Err(LineError::on(label, format!("the probe {} is listed twice", probe.label()), "name it once"));
        }
        probes.push(ProbeSettings { probe, path: path(entry, base, probe, label)?, interval: interval(entry, probe)? });
    }
    if probes.is_empty() {
        return Err(LineError::on(&entry.probes, "the target has no probes", "name at least one probe"));
    }
    for probe in Probe::ALL {
        if let Some(unused) = entry.intervals.get(probe).or_else(|| entry.paths.get(probe))
            && !probes.iter().any(|settings| settings.probe == probe)
        {
            let problem = format!("a setting for the probe {}, which the target does not have", probe.label());
            return Err(LineError::on(unused, problem, "add it to probes, or leave the setting out"));
        }
    }
    Ok(probes)
}

fn path(entry: &TargetSection, base: &Base, probe: Probe, label: &Spanned<String>) -> Result<String, LineError> {
    let path = match (entry.paths.get(probe), probe.path()) {
        (Some(path), _) => {
            if !path.value.starts_with('/') || path.value.parse::<PathAndQuery>().is_err() {
                let problem = format!("the path {:?}", path.value);
                return Err(LineError::on(path, problem, "write a path that begins with a slash, without spaces"));
            }
            path.value.as_str()
        }
        (None, Some(path)) => path,
        (None, None) => {
            let problem = format!("the probe {} has no documented path", probe.label());
            return Err(LineError::on(label, problem, format!("give it: paths: {{{}: /…}}", probe.label())));
        }
    };
    Ok(format!("{}{path}", base.prefix))
}

fn interval(entry: &TargetSection, probe: Probe) -> Result<Duration, LineError> {
    let Some(text) = entry.intervals.get(probe) else { return Ok(probe.usual_interval()) };
    let shortest = probe.shortest_interval();
    match duration(&text.value) {
        Some(interval) if (shortest..=LONGEST_INTERVAL).contains(&interval) => Ok(interval),
        _ => Err(LineError::on(
            text,
            format!("the interval {:?} of the probe {} is not allowed", text.value, probe.label()),
            format!(
                "write {}s to {}s, such as 90s: the documentation allows no more frequent probes",
                shortest.as_secs(),
                LONGEST_INTERVAL.as_secs()
            ),
        )),
    }
}

fn timeouts(entry: &TargetSection) -> Result<(Duration, Duration), LineError> {
    let limited = |text: &Option<Spanned<String>>, key: &str, longest: Duration| match text {
        None => Ok(None),
        Some(text) => match duration(&text.value) {
            Some(value) if (TIMEOUT_LIMITS.0..=longest).contains(&value) => Ok(Some(value)),
            _ => Err(LineError::on(
                text,
                format!("the {key} {:?}", text.value),
                format!("write {}ms to {}ms, such as 5s or 500ms", TIMEOUT_LIMITS.0.as_millis(), longest.as_millis()),
            )),
        },
    };
    let timeout = limited(&entry.timeout, "timeout", TIMEOUT_LIMITS.1)?.unwrap_or(USUAL_TIMEOUT);
    let connect_timeout = limited(&entry.connect_timeout, "connect_timeout", timeout)?;
    Ok((timeout, connect_timeout.unwrap_or(USUAL_CONNECT_TIMEOUT.min(timeout))))
}

/// A whole number with its unit: `ms`, `s`, `m` or `h`.
fn duration(text: &str) -> Option<Duration> {
    let unit = text.find(|c: char| !c.is_ascii_digit())?;
    let number: u64 = text[..unit].parse().ok()?;
    match &text[unit..] {
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_secs(number.checked_mul(60)?)),
        "h" => Some(Duration::from_secs(number.checked_mul(3600)?)),
        _ => None,
    }
}

fn host_header(text: &Spanned<String>) -> Result<Authority, LineError> {
    match text.value.parse::<Authority>() {
        Ok(authority) if !authority.as_str().contains('@') && !authority.host().is_empty() => Ok(authority),
        _ => Err(LineError::on(
            text,
            format!("the host_header {:?}", text.value),
            "write a host name, with :port where needed",
        )),
    }
}

fn trust(entry: &TargetSection, base: &Base) -> Result<Trust, LineError> {
    let skip = entry.insecure_skip_verify.as_ref().filter(|skip| skip.value);
    let at = skip.map(|skip| skip.referenced).or_else(|| entry.ca_file.as_ref().map(|file| file.referenced));
    match (at, &entry.ca_file, skip) {
        (Some(at), _, _) if !base.tls => {
            Err(LineError::at(at, "a setting for certificates, but the url is http", "use https, or leave it out"))
        }
        (Some(at), Some(_), Some(_)) => Err(LineError::at(
            at,
            "ca_file and insecure_skip_verify are both set",
            "keep ca_file: the other verifies nothing",
        )),
        (_, Some(file), None) => Ok(Trust::File(absolute(file, "ca_file")?)),
        (_, None, Some(_)) => Ok(Trust::Anybody),
        _ => Ok(Trust::System),
    }
}

fn session_token(entry: &TargetSection) -> Result<Option<TokenSource>, LineError> {
    type Read = fn(&Spanned<String>) -> Result<Carrier, LineError>;
    let ways: [(&Option<Spanned<String>>, Read); 3] = [
        (&entry.session_token_header, token_header),
        (&entry.session_token_cookie, token_cookie),
        (&entry.session_token_argument, token_argument),
    ];
    let mut named = ways.iter().filter_map(|(name, read)| Some((name.as_ref()?, read)));
    let carrier = named.next().map(|(name, read)| Ok((name.referenced, read(name)?))).transpose()?;
    if let Some((second, _)) = named.next() {
        return Err(LineError::on(
            second,
            "more than one of session_token_header, session_token_cookie and session_token_argument",
            "keep one",
        ));
    }
    match (&entry.session_token_file, carrier) {
        (None, None) => Ok(None),
        (Some(file), Some((_, carrier))) => {
            Ok(Some(TokenSource { file: absolute(file, "session_token_file")?, carrier }))
        }
        (Some(file), None) => Err(LineError::on(
            file,
            "session_token_file is set, but not how the token is sent",
            "add session_token_header: X-Security-Token, session_token_cookie: __sessiontoken, or session_token_argument \
             with the name that your server expects",
        )),
        (None, Some((at, _))) => Err(LineError::at(
            at,
            "the way to send a session token is set, but no session_token_file",
            "add session_token_file",
        )),
    }
}

fn token_header(text: &Spanned<String>) -> Result<Carrier, LineError> {
    const TAKEN: [HeaderName; 6] = [
        header::HOST,
        header::CONNECTION,
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
        header::TE,
    ];
    match HeaderName::from_bytes(text.value.as_bytes()) {
        Ok(name) if !TAKEN.contains(&name) => Ok(Carrier::Header(name)),
        _ => Err(LineError::on(
            text,
            format!("the session_token_header {:?}", text.value),
            "write a header name that has no meaning for the connection itself",
        )),
    }
}

fn token_cookie(text: &Spanned<String>) -> Result<Carrier, LineError> {
    // The names of cookies and headers follow the same rule (RFC 6265, RFC 9110: token), but for letter case.
    match HeaderName::from_bytes(text.value.as_bytes()) {
        Ok(_) => Ok(Carrier::Cookie(text.value.clone())),
        Err(_) => Err(LineError::on(text, format!("the session_token_cookie {:?}", text.value), "write a cookie name")),
    }
}

fn token_argument(text: &Spanned<String>) -> Result<Carrier, LineError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    if !text.value.is_empty() && text.value.bytes().all(plain) {
        return Ok(Carrier::Argument(text.value.clone()));
    }
    Err(LineError::on(
        text,
        format!("the session_token_argument {:?}", text.value),
        "write an argument's name: letters, digits, dots, dashes, underscores",
    ))
}

fn absolute(path: &Spanned<PathBuf>, key: &str) -> Result<PathBuf, LineError> {
    if path.value.is_absolute() {
        return Ok(path.value.clone());
    }
    Err(LineError::on(path, format!("the {key} {:?} is not an absolute path", path.value), "begin it with a slash"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<Vec<Target>, ConfigFileError> {
        read(text.as_bytes(), Path::new("/etc/targets.yml"))
    }

    #[test]
    fn the_full_file_is_read() {
        let targets =
            read(include_bytes!("../../tests/fixtures/probes/targets.yml"), Path::new("targets.yml")).unwrap();
        assert_eq!(targets.len(), 3);
        let front = &targets[0];
        assert_eq!(front.name, "front1");
        assert_eq!(front.base.to_string(), "https://127.0.0.1:8443/campaign");
        assert!(front.this_host);
        assert_eq!(
            front.probes,
            vec![
                ProbeSettings {
                    probe: Probe::Redirection,
                    path: "/campaign/r/test".to_owned(),
                    interval: Duration::from_secs(5)
                },
                ProbeSettings {
                    probe: Probe::Ping,
                    path: "/campaign/nl/jsp/ping.jsp".to_owned(),
                    interval: Duration::from_secs(120)
                },
            ]
        );
        assert_eq!(front.host_header.as_ref().unwrap().as_str(), "campaign.example.com");
        assert_eq!((front.timeout, front.connect_timeout), (Duration::from_secs(3), Duration::from_millis(500)));
        assert_eq!(front.trust, Trust::File(PathBuf::from("/etc/ssl/campaign.pem")));
        let token = front.session_token.as_ref().unwrap();
        assert_eq!(token.carrier, Carrier::Cookie("ExampleToken".to_owned()));
        let hosted = &targets[1];
        assert!(!hosted.this_host);
        assert_eq!(hosted.base, Base { tls: true, host: "example.com".into(), port: 443, prefix: String::new() });
        assert_eq!(hosted.trust, Trust::System);
        assert_eq!((hosted.timeout, hosted.connect_timeout), (USUAL_TIMEOUT, USUAL_CONNECT_TIMEOUT));
        let pipelined = &targets[2];
        assert_eq!(pipelined.base.to_string(), "http://[::1]:7781");
        assert!(pipelined.this_host);
        assert_eq!(pipelined.probes[0].path, "/status");
    }

    /// Each mistake, the line that is named, and a piece of what is said.
    #[test]
    fn every_mistake_names_its_line_and_the_remedy() {
        let good = "targets:\n  - name: a\n    url: http://localhost\n    probes: [redirection]\n";
        assert!(parse(good).is_ok(), "{:?}", parse(good));
        let secure = good.replace("http:", "https:");
        let cases: Vec<(String, u64, &str)> = vec![
            ("targets: []\n".into(), 1, "0 targets"),
            ("".into(), 1, "end of file"),
            ("targts: []\n".into(), 1, "targts"),
            ("targets: [\n".into(), 1, ""),
            (format!("{good}    timeuot: 5s\n"), 5, "timeuot"),
            (good.replace("name: a", "name: 'a b'"), 2, "letters"),
            (format!("{good}{}", good.strip_prefix("targets:\n").unwrap()), 5, "second target"),
            (good.replace("http:", "ftp:"), 3, "neither http nor https"),
            (good.replace("localhost", "me:secret@localhost"), 3, "user or password"),
            (good.replace("localhost", "localhost/?a=1"), 3, "query"),
            (good.replace("localhost", "localhost:0"), 3, "port"),
            (good.replace("localhost", "localhost:99999"), 3, "from 1 to 65535"),
            (good.replace("http://localhost", "localhost:8080"), 3, "http"),
            (good.replace("[redirection]", "[]"), 4, "no probes"),
            (good.replace("[redirection]", "[redirect]"), 4, "message_center"),
            (good.replace("[redirection]", "[ping, ping]"), 4, "twice"),
            (format!("{good}    intervals: {{ping: 2m}}\n"), 5, "does not have"),
            (format!("{good}    intervals:\n      redirection: 500ms\n"), 6, "more frequent"),
            (format!("{good}    intervals: {{redirection: 5}}\n"), 5, "more frequent"),
            (good.replace("[redirection]", "[ping]\n    intervals: {ping: 59s}"), 5, "more frequent"),
            (format!("{good}    paths: {{redirection: r/test}}\n"), 5, "slash"),
            (format!("{good}    timeout: 5\n"), 5, "500ms"),
            (format!("{good}    timeout: 2m\n"), 5, "60000ms"),
            (format!("{good}    timeout: 1s\n    connect_timeout: 2s\n"), 6, "1000ms"),
            (format!("{good}    ca_file: /ca.pem\n"), 5, "http"),
            (format!("{secure}    ca_file: ca.pem\n"), 5, "absolute"),
            (format!("{secure}    ca_file: /ca.pem\n    insecure_skip_verify: true\n"), 6, "ca_file"),
            (format!("{secure}    insecure_skip_verify: maybe\n"), 5, ""),
            (format!("{good}    host_header: 'a b'\n"), 5, "host_header"),
            (format!("{good}    session_token_file: /token\n"), 5, "session_token_header"),
            (format!("{good}    session_token_header: X-Token\n"), 5, "add session_token_file"),
            (format!("{good}    session_token_file: /token\n    session_token_header: Host\n"), 6, "header name"),
            (format!("{good}    session_token_file: /token\n    session_token_cookie: 'a;b'\n"), 6, "cookie name"),
            (
                format!(
                    "{good}    session_token_file: /token\n    session_token_cookie: a\n    session_token_header: b\n"
                ),
                6,
                "more than one of session_token_header",
            ),
            (
                format!("{good}    session_token_file: /token\n    session_token_argument: 'a=b'\n"),
                6,
                "argument's name",
            ),
            (format!("{good}    session_token: secret\n"), 5, "session_token"),
            ("x: &a [1]\ntargets: *a\n".into(), 1, ""),
            ("# ".repeat(crate::parse::config_file::MAX_FILE_BYTES), 0, "larger"),
        ];
        for (text, line, says) in cases {
            let error = parse(&text).expect_err(&text[..text.floor_char_boundary(200)]);
            assert_eq!(error.line, line, "{error}\n{:.300}", text);
            let said = error.to_string();
            assert!(said.contains(says), "{said:?} should say {says:?}");
            assert!(said.starts_with("/etc/targets.yml:"), "{said}");
            assert!(!said.contains("secret"), "{said}");
        }
    }

    #[test]
    fn an_alias_bomb_is_refused() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let below = vec![format!("*a{}", level - 1); 9].join(", ");
            text.push_str(&format!("a{level}: &a{level} [{below}]\n"));
        }
        text.push_str("targets: []\n");
        assert!(parse(&text).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), url in "[a-z:/@\\[\\]0-9.#?% ]{0,40}") {
            let _ = read(&bytes, Path::new("x"));
            let text = format!("targets: [{{name: a, url: '{url}', probes: [ping]}}]");
            if let Ok(targets) = parse(&text) {
                prop_assert!(!targets[0].base.host.is_empty());
                prop_assert!(targets[0].base.to_string().parse::<Uri>().is_ok());
            }
        }
    }
}
