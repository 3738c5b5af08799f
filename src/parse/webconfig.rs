//! The web configuration file (`--web.config.file`, YAML) in the format that Prometheus' exporters share, documented at
//! <https://github.com/prometheus/exporter-toolkit/blob/master/docs/web-configuration.md> -> settings.
//!
//! Strict: unknown keys and contradictions are refused, with the line and the remedy. What the TLS library does not
//! support (TLS 1.0 and 1.1, suites with CBC, the curve P-521) is accepted with a warning, and refused only where no
//! alternative is left. The files that it names are read by `web`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::header::{HeaderName, HeaderValue};
use serde::Deserialize;
use serde_saphyr::Spanned;

use super::config_file::{ConfigFileError, LineError, check_size, document};

/// The headers that may be set, each with the values that it may have: any where none are named.
const HEADERS: [(&str, &[&str]); 5] = [
    ("Strict-Transport-Security", &[]),
    ("X-Content-Type-Options", &["nosniff"]),
    ("X-Frame-Options", &["deny", "sameorigin"]),
    ("X-XSS-Protection", &[]),
    ("Content-Security-Policy", &[]),
];

/// How the exporter is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebConfig {
    /// TLS; none: in clear text.
    pub tls: Option<TlsSettings>,
    /// The users, with the bcrypt hashes of their passwords; no authentication where there are none.
    pub users: BTreeMap<String, String>,
    /// Whether HTTP/2 is offered, over TLS.
    pub http2: bool,
    /// Headers that every answer gets.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// How many requests are answered.
    pub rate_limit: Option<RateLimit>,
    /// What is in force only in part.
    pub warnings: Vec<String>,
}

/// A token bucket: `burst` requests at once, and one more in each `interval`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// The time between two requests.
    pub interval: Duration,
    /// How many may come at once.
    pub burst: u32,
}

/// TLS, as far as the library here has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsSettings {
    /// The certificate chain.
    pub certificate: Pem,
    /// Its key.
    pub key: Pem,
    /// The authorities of clients' certificates; none: those that the system trusts.
    pub client_ca: Option<Pem>,
    /// What is required of clients.
    pub client_auth: ClientAuth,
    /// The subject alternative names of which a client's certificate must have one.
    pub allowed_sans: Option<Vec<String>>,
    /// Whether TLS 1.2 is spoken.
    pub tls12: bool,
    /// Whether TLS 1.3 is spoken.
    pub tls13: bool,
    /// The suites of TLS 1.2, in the order of preference; all when empty. TLS 1.3 always has all of its own.
    pub suites: Vec<Suite>,
    /// The groups for key exchange, in the order of preference; all when empty.
    pub curves: Vec<Curve>,
    /// Whether the server's order of suites counts, and not the client's.
    pub prefer_server_order: bool,
}

impl TlsSettings {
    /// Whether a client without a certificate is refused.
    #[must_use]
    pub fn requires_client_certificate(&self) -> bool {
        match self.client_auth {
            ClientAuth::None => false,
            // A required name needs a certificate.
            ClientAuth::Request | ClientAuth::VerifyIfGiven => self.allowed_sans.is_some(),
            ClientAuth::RequireAny | ClientAuth::RequireAndVerify => true,
        }
    }
}

/// Something in PEM.
#[derive(Clone, PartialEq, Eq)]
pub enum Pem {
    /// Written in the file itself.
    Inline(String),
    /// In a file of its own.
    File(PathBuf),
}

impl std::fmt::Debug for Pem {
    /// Without what is inline: it may be a key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Pem::Inline(_) => f.write_str("Inline"),
            Pem::File(path) => f.debug_tuple("File").field(path).finish(),
        }
    }
}

/// What is required of clients: the names are those of Go's `crypto/tls`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuth {
    /// Nothing.
    None,
    /// A certificate, if they have one; it is not verified.
    Request,
    /// A certificate, which is not verified.
    RequireAny,
    /// A certificate, if they have one; it is verified.
    VerifyIfGiven,
    /// A certificate, which is verified.
    RequireAndVerify,
}

/// A suite of TLS 1.2 that the library here has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Suite {
    EcdheEcdsaAes128Gcm,
    EcdheEcdsaAes256Gcm,
    EcdheEcdsaChacha20,
    EcdheRsaAes128Gcm,
    EcdheRsaAes256Gcm,
    EcdheRsaChacha20,
}

/// A group for key exchange that the library here has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Curve {
    P256,
    P384,
    X25519,
}

/// The suites that have a name in the format, those of TLS 1.3 and those that the library does not have among them.
const SUITES: [(&str, Known<Suite>); 13] = [
    ("TLS_AES_128_GCM_SHA256", Known::Always),
    ("TLS_AES_256_GCM_SHA384", Known::Always),
    ("TLS_CHACHA20_POLY1305_SHA256", Known::Always),
    ("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", Known::Here(Suite::EcdheEcdsaAes128Gcm)),
    ("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", Known::Here(Suite::EcdheEcdsaAes256Gcm)),
    ("TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", Known::Here(Suite::EcdheEcdsaChacha20)),
    ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", Known::Here(Suite::EcdheRsaAes128Gcm)),
    ("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", Known::Here(Suite::EcdheRsaAes256Gcm)),
    ("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", Known::Here(Suite::EcdheRsaChacha20)),
    ("TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", Known::Missing),
    ("TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA", Known::Missing),
    ("TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", Known::Missing),
    ("TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", Known::Missing),
];

const CURVES: [(&str, Known<Curve>); 4] = [
    ("CurveP256", Known::Here(Curve::P256)),
    ("CurveP384", Known::Here(Curve::P384)),
    ("CurveP521", Known::Missing),
    ("X25519", Known::Here(Curve::X25519)),
];

/// What a name of the format is to the library here.
#[derive(Clone, Copy)]
enum Known<T> {
    Here(T),
    /// There whatever is chosen.
    Always,
    Missing,
}

#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Version {
    Tls10,
    Tls11,
    Tls12,
    Tls13,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct WebConfigFile {
    tls_server_config: Option<TlsSection>,
    http_server_config: Option<HttpSection>,
    rate_limit: Option<RateSection>,
    basic_auth_users: Option<BTreeMap<String, Spanned<String>>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct TlsSection {
    cert: Option<String>,
    key: Option<String>,
    client_ca: Option<String>,
    cert_file: Option<String>,
    key_file: Option<String>,
    client_ca_file: Option<String>,
    client_auth_type: Option<Spanned<String>>,
    client_allowed_sans: Option<Vec<String>>,
    min_version: Option<Spanned<String>>,
    max_version: Option<Spanned<String>>,
    cipher_suites: Option<Vec<Spanned<String>>>,
    curve_preferences: Option<Vec<Spanned<String>>>,
    prefer_server_cipher_suites: Option<bool>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct HttpSection {
    http2: Option<bool>,
    headers: Option<BTreeMap<String, Spanned<String>>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RateSection {
    burst: Option<i64>,
    interval: Option<Spanned<String>>,
}

/// Reads the file. `path` is what errors call it, and its folder is where relative paths begin.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn read(bytes: &[u8], path: &Path) -> Result<WebConfig, ConfigFileError> {
    settings(bytes, path.parent().unwrap_or(Path::new(""))).map_err(|error| error.in_file(path))
}

fn settings(bytes: &[u8], folder: &Path) -> Result<WebConfig, LineError> {
    check_size(bytes)?;
    let remedy = "correct the YAML; docs/web-configuration.md lists every key";
    let file: WebConfigFile = if is_empty(bytes) { WebConfigFile::default() } else { document(bytes, remedy)? };
    let mut warnings = Vec::new();
    let http = file.http_server_config.unwrap_or_default();
    let http2 = http.http2.unwrap_or(true);
    let headers = headers(http.headers.unwrap_or_default())?;
    let tls = match file.tls_server_config {
        Some(section) => tls(section, folder, http2, &mut warnings)?,
        None => None,
    };
    let users = users(file.basic_auth_users.unwrap_or_default())?;
    if tls.is_none() && !users.is_empty() {
        warnings.push("passwords are sent in clear text: set tls_server_config too".to_owned());
    }
    let rate_limit = rate_limit(file.rate_limit.unwrap_or_default())?;
    Ok(WebConfig { tls, users, http2, headers, rate_limit, warnings })
}

/// Whether the file holds nothing but comments: then nothing is configured.
fn is_empty(bytes: &[u8]) -> bool {
    let mut lines = bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    lines.all(|line| line.is_empty() || line.starts_with(b"#") || line == b"---")
}

fn headers(given: BTreeMap<String, Spanned<String>>) -> Result<Vec<(HeaderName, HeaderValue)>, LineError> {
    given
        .into_iter()
        .map(|(name, value)| {
            let Some((_, allowed)) = HEADERS.iter().find(|(known, _)| *known == name) else {
                let problem = format!("the HTTP header {name:?} can not be configured");
                let remedy = "the headers that can are Strict-Transport-Security, X-Content-Type-Options, \
                              X-Frame-Options, X-XSS-Protection and Content-Security-Policy";
                return Err(LineError::on(&value, problem, remedy));
            };
            let text = &value.value;
            if !allowed.is_empty() && !allowed.contains(&text.as_str()) {
                let problem = format!("invalid value for {name}: {text:?}, and not one of {allowed:?}");
                return Err(LineError::on(&value, problem, "write one of them"));
            }
            match (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(text)) {
                (Ok(name), Ok(value)) => Ok((name, value)),
                _ => Err(LineError::on(
                    &value,
                    format!("invalid value for {name}: it can't be sent"),
                    "write it on one line, in ASCII",
                )),
            }
        })
        .filter(|header| !matches!(header, Ok((_, value)) if value.is_empty()))
        .collect()
}

fn users(given: BTreeMap<String, Spanned<String>>) -> Result<BTreeMap<String, String>, LineError> {
    for (user, hash) in &given {
        if let Some(problem) = problem_of_hash(&hash.value) {
            let problem = format!("the password of the user {user:?} is not hashed with bcrypt: {problem}");
            return Err(LineError::on(
                hash,
                problem,
                "write the hash that `htpasswd -nBC 10 USER` prints after the colon",
            ));
        }
    }
    Ok(given.into_iter().map(|(user, hash)| (user, hash.value)).collect())
}

/// What is wrong with a bcrypt hash: `$2y$10$` and 53 characters of salt and hash.
fn problem_of_hash(hash: &str) -> Option<&'static str> {
    const LENGTH: usize = 60;
    if hash.len() < LENGTH {
        return Some("it is too short");
    }
    let cost = hash.strip_prefix("$2a$").or_else(|| hash.strip_prefix("$2b$")).or_else(|| hash.strip_prefix("$2y$"));
    let Some((cost, rest)) = cost.and_then(|rest| rest.split_once('$')) else {
        return Some("it does not begin with $2a$, $2b$ or $2y$ and a cost");
    };
    if cost.len() != 2 || !cost.parse().is_ok_and(|cost: u32| (4..=31).contains(&cost)) {
        return Some("its cost is not between 04 and 31");
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"./".contains(&byte);
    (rest.len() != LENGTH - "$2y$10$".len() || !rest.bytes().all(plain)).then_some("it holds other characters")
}

fn rate_limit(section: RateSection) -> Result<Option<RateLimit>, LineError> {
    let Some(interval) = section.interval else { return Ok(None) };
    let Some(length) = duration(&interval.value) else {
        let problem = format!("the interval {:?} of rate_limit", interval.value);
        return Err(LineError::on(&interval, problem, "write a duration, such as 500ms, 1s or 1m30s; 0 for no limit"));
    };
    let burst = u32::try_from(section.burst.unwrap_or(0).max(0)).unwrap_or(u32::MAX);
    Ok((!length.is_zero()).then_some(RateLimit { interval: length, burst }))
}

/// A duration as Go writes it: decimal numbers with the units ns, us, ms, s, m, h; or a number of nanoseconds.
fn duration(text: &str) -> Option<Duration> {
    if let Ok(nanoseconds) = text.parse() {
        return Some(Duration::from_nanos(nanoseconds));
    }
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let unit = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..unit].parse().ok()?;
        rest = &rest[unit..];
        let length = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        let seconds = match &rest[..length] {
            "ns" => 1e-9,
            "us" | "µs" | "μs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        total = total.checked_add(Duration::try_from_secs_f64(number * seconds).ok()?)?;
        rest = &rest[length..];
    }
    (!text.is_empty()).then_some(total)
}

fn tls(
    section: TlsSection,
    folder: &Path,
    http2: bool,
    warnings: &mut Vec<String>,
) -> Result<Option<TlsSettings>, LineError> {
    let pem = |file: Option<String>, inline: Option<String>| match (file, inline) {
        (Some(file), _) if !file.is_empty() => Some(Pem::File(folder.join(file))),
        (_, Some(text)) if !text.is_empty() => Some(Pem::Inline(text)),
        _ => None,
    };
    let auth_type = section.client_auth_type.filter(|name| !name.value.is_empty());
    let certificate = pem(section.cert_file, section.cert);
    let key = pem(section.key_file, section.key);
    let client_ca = pem(section.client_ca_file, section.client_ca);
    let (certificate, key) = match (certificate, key) {
        (Some(certificate), Some(key)) => (certificate, key),
        (None, None) if client_ca.is_none() && auth_type.is_none() => return Ok(None),
        (None, _) => {
            return Err(LineError::new("missing one of cert or cert_file", "name the certificate's file: cert_file"));
        }
        (_, None) => return Err(LineError::new("missing one of key or key_file", "name the key's file: key_file")),
    };
    let client_auth = client_auth(auth_type.as_ref())?;
    if client_ca.is_some() && client_auth == ClientAuth::None {
        return Err(LineError::new(
            "client CAs are configured without a client_auth_type",
            "add client_auth_type: RequireAndVerifyClientCert",
        ));
    }
    if section.client_allowed_sans.is_some() && client_auth == ClientAuth::None {
        warnings.push("client_allowed_sans has no effect without a client_auth_type".to_owned());
    }
    let versions = versions(section.min_version.as_ref(), section.max_version.as_ref(), warnings)?;
    let suites = suites(&section.cipher_suites.unwrap_or_default(), versions, http2, warnings)?;
    let curves = curves(&section.curve_preferences.unwrap_or_default(), warnings)?;
    Ok(Some(TlsSettings {
        certificate,
        key,
        client_ca,
        client_auth,
        allowed_sans: section.client_allowed_sans,
        tls12: versions.tls12,
        tls13: versions.tls13,
        suites,
        curves,
        prefer_server_order: section.prefer_server_cipher_suites.unwrap_or(true),
    }))
}

fn client_auth(name: Option<&Spanned<String>>) -> Result<ClientAuth, LineError> {
    let Some(name) = name else { return Ok(ClientAuth::None) };
    match name.value.as_str() {
        "NoClientCert" => Ok(ClientAuth::None),
        "RequestClientCert" => Ok(ClientAuth::Request),
        // The second is an older name of the format for the same.
        "RequireAnyClientCert" | "RequireClientCert" => Ok(ClientAuth::RequireAny),
        "VerifyClientCertIfGiven" => Ok(ClientAuth::VerifyIfGiven),
        "RequireAndVerifyClientCert" => Ok(ClientAuth::RequireAndVerify),
        other => Err(LineError::on(
            name,
            format!("invalid client_auth_type: {other:?}"),
            "write NoClientCert, RequestClientCert, RequireAnyClientCert, VerifyClientCertIfGiven or \
             RequireAndVerifyClientCert",
        )),
    }
}

#[derive(Clone, Copy)]
struct Versions {
    tls12: bool,
    tls13: bool,
    /// Whether older ones than TLS 1.3 were asked for.
    asks_for_old: bool,
}

fn versions(
    min: Option<&Spanned<String>>,
    max: Option<&Spanned<String>>,
    warnings: &mut Vec<String>,
) -> Result<Versions, LineError> {
    let version = |name: &Spanned<String>| match name.value.as_str() {
        "TLS10" => Ok(Version::Tls10),
        "TLS11" => Ok(Version::Tls11),
        "TLS12" => Ok(Version::Tls12),
        "TLS13" => Ok(Version::Tls13),
        other => Err(LineError::on(name, format!("unknown TLS version: {other:?}"), "write TLS12 or TLS13")),
    };
    let lowest = min.map(version).transpose()?.unwrap_or(Version::Tls12);
    let highest = max.map(version).transpose()?.unwrap_or(Version::Tls13);
    let speaks = |version| (lowest..=highest).contains(&version);
    let versions = Versions {
        tls12: speaks(Version::Tls12),
        tls13: speaks(Version::Tls13),
        asks_for_old: lowest < Version::Tls13,
    };
    if !versions.tls12 && !versions.tls13 {
        let fault = "no TLS version is left between min_version and max_version: TLS 1.2 and TLS 1.3 are spoken here";
        let remedy = "leave both out";
        return Err(match max.or(min) {
            Some(at) => LineError::on(at, fault, remedy),
            None => LineError::new(fault, remedy),
        });
    }
    if lowest < Version::Tls12 {
        warnings.push("TLS 1.0 and TLS 1.1 are not spoken: TLS 1.2 is the least".to_owned());
    }
    Ok(versions)
}

fn suites(
    names: &[Spanned<String>],
    versions: Versions,
    http2: bool,
    warnings: &mut Vec<String>,
) -> Result<Vec<Suite>, LineError> {
    let Chosen { here, missing } = choose("cipher", &SUITES, names)?;
    let Some(first) = names.first() else { return Ok(Vec::new()) };
    if versions.tls12 && !versions.tls13 && here.is_empty() {
        let problem = "none of the cipher_suites is one of TLS 1.2 that is spoken here";
        return Err(LineError::on(
            first,
            problem,
            "add TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, or leave max_version out",
        ));
    }
    let required = [Suite::EcdheRsaAes128Gcm, Suite::EcdheEcdsaAes128Gcm];
    if http2 && versions.asks_for_old && !required.iter().any(|suite| here.contains(suite)) {
        let problem = "the cipher_suites lack the one that HTTP/2 requires";
        let remedy = "add TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 or TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, or set \
                      http_server_config: {http2: false}";
        return Err(LineError::on(first, problem, remedy));
    }
    if !missing.is_empty() {
        warnings.push(format!("cipher suites that are not spoken here are left out: {}", missing.join(", ")));
    }
    Ok(here)
}

fn curves(names: &[Spanned<String>], warnings: &mut Vec<String>) -> Result<Vec<Curve>, LineError> {
    let Chosen { here, missing } = choose("curve", &CURVES, names)?;
    if let (Some(first), true) = (names.first(), here.is_empty()) {
        let problem = "none of the curve_preferences is spoken here";
        return Err(LineError::on(first, problem, "add X25519, CurveP256 or CurveP384"));
    }
    if !missing.is_empty() {
        warnings.push(format!("curves that are not spoken here are left out: {}", missing.join(", ")));
    }
    Ok(here)
}

/// Names of the format: what the library here has, and the names of what it has not.
struct Chosen<T> {
    here: Vec<T>,
    missing: Vec<&'static str>,
}

fn choose<T: Copy>(
    kind: &str,
    known: &[(&'static str, Known<T>)],
    names: &[Spanned<String>],
) -> Result<Chosen<T>, LineError> {
    let mut chosen = Chosen { here: Vec::new(), missing: Vec::new() };
    for name in names {
        match known.iter().find(|(known, _)| *known == name.value) {
            Some((_, Known::Here(this))) => chosen.here.push(*this),
            Some((_, Known::Always)) => {}
            Some((label, Known::Missing)) => chosen.missing.push(label),
            None => {
                let problem = format!("unknown {kind}: {:?}", name.value);
                return Err(LineError::on(name, problem, "docs/web-configuration.md lists the names there are"));
            }
        }
    }
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<WebConfig, ConfigFileError> {
        read(text.as_bytes(), Path::new("/etc/campaign_exporter/web.yml"))
    }

    const HASH: &str = "$2y$10$2UXri9cIDdgeKjBo4Rlpx.U3ZLDV8X1IxKmsfOvhcM5oXQt/mLmXq";

    #[test]
    fn nothing_configured_is_plain_http_for_everybody() {
        for text in ["", "# nothing\n---\n", "tls_server_config: {}\n", "tls_server_config:\n"] {
            let config = parse(text).unwrap();
            assert_eq!(
                (config.tls, config.users.len(), config.http2, config.rate_limit),
                (None, 0, true, None),
                "{text}"
            );
        }
    }

    #[test]
    fn relative_paths_begin_at_the_files_folder_and_a_file_wins_over_what_is_inline() {
        let config = parse(
            "tls_server_config: {cert_file: a.crt, cert: x, key_file: /k/a.key, client_auth_type: RequireAnyClientCert, client_ca: y}",
        );
        let tls = config.unwrap().tls.unwrap();
        assert_eq!(tls.certificate, Pem::File("/etc/campaign_exporter/a.crt".into()));
        assert_eq!(tls.key, Pem::File("/k/a.key".into()));
        assert_eq!(tls.client_ca, Some(Pem::Inline("y".into())));
        assert!(!format!("{tls:?}").contains("\"y\""));
    }

    /// What is accepted, and the pieces of its warnings.
    #[test]
    fn what_the_library_lacks_is_accepted_with_a_warning_while_something_is_left() {
        let with = |more: &str| format!("tls_server_config:\n  cert_file: c\n  key_file: k\n{more}");
        for (more, says) in [
            ("", &[][..]),
            ("  min_version: TLS10\n", &["TLS 1.0"]),
            ("  curve_preferences: [CurveP521, X25519]\n", &["CurveP521"]),
            (
                "  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]\n",
                &["TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA"],
            ),
            (
                "  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA]\nhttp_server_config: {http2: false}\n",
                &["TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA"],
            ),
            ("  cipher_suites: [TLS_AES_128_GCM_SHA256]\n  min_version: TLS13\n", &[]),
            ("  client_allowed_sans: [a]\n", &["client_allowed_sans"]),
        ] {
            let config = parse(&with(more)).unwrap();
            assert_eq!(config.warnings.len(), says.len(), "{more}: {:?}", config.warnings);
            assert!(config.warnings.iter().zip(says).all(|(warning, says)| warning.contains(says)), "{more}");
        }
        let config = parse(&format!("basic_auth_users: {{a: {HASH}}}\n")).unwrap();
        assert!(config.warnings[0].contains("clear text"));
    }

    /// Each mistake, the line that is named, and a piece of what is said.
    #[test]
    fn every_mistake_names_its_line_and_the_remedy() {
        let with = |more: &str| format!("tls_server_config:\n  cert_file: c\n  key_file: k\n{more}");
        for (text, line, says) in [
            ("junk".to_owned(), 1, ""),
            ("tls_server_config:\n  cert_filse: c\n".into(), 2, "cert_filse"),
            ("tls_server_config: {cert_file: '', key_file: k}".into(), 0, "cert or cert_file"),
            ("tls_server_config: {cert: '', key_file: k}".into(), 0, "cert or cert_file"),
            ("tls_server_config: {cert_file: c, key_file: ''}".into(), 0, "key or key_file"),
            ("tls_server_config: {cert_file: c, key: ''}".into(), 0, "key or key_file"),
            ("tls_server_config: {client_auth_type: x}".into(), 0, "cert or cert_file"),
            (with("  client_ca_file: /dev/null\n"), 0, "without a client_auth_type"),
            (with("  client_auth_type: x\n"), 4, "client_auth_type"),
            (with("  min_version: TLS111\n"), 4, "unknown TLS version"),
            (with("  min_version: TLS10\n  max_version: TLS11\n"), 5, "TLS 1.2"),
            (with("  min_version: TLS13\n  max_version: TLS12\n"), 5, "no TLS version is left"),
            (with("  cipher_suites:\n  - TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA2048\n"), 5, "unknown cipher"),
            (with("  curve_preferences: [CurveP257]\n"), 4, "unknown curve"),
            (with("  curve_preferences: [CurveP521]\n"), 4, "curve_preferences"),
            (with("  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384]\n  max_version: TLS12\n"), 4, "HTTP/2"),
            (
                with(
                    "  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA]\n  max_version: TLS12\nhttp_server_config: {http2: false}\n",
                ),
                4,
                "none of the cipher",
            ),
            ("http_server_config:\n  headers:\n    Content-Type: foo\n".into(), 3, "can not be configured"),
            (
                "http_server_config:\n  headers:\n    X-Frame-Options: foo\n".into(),
                3,
                "invalid value for X-Frame-Options",
            ),
            ("http_server_config:\n  headers:\n    X-Content-Type-Options: sniff\n".into(), 3, "nosniff"),
            ("http_server_config: {http3: true}".into(), 1, "http3"),
            ("basic_auth_users:\n  john: hunter2\n".into(), 2, "too short"),
            (format!("basic_auth_users:\n  john: {}\n", HASH.replace("$10$", "$99$")), 2, "cost"),
            (format!("basic_auth_users:\n  john: {}\n", HASH.replace("$2y$", "$1y$")), 2, "$2a$"),
            ("rate_limit:\n  interval: soon\n  burst: 1\n".into(), 2, "interval"),
            ("rate_limit: {interval: 1s, bursts: 1}".into(), 1, "bursts"),
            ("a: 1\na: 2\n".into(), 0, ""),
            ("rate_limit:\n  burst: 1\n  burst: 2\n".into(), 3, "keep one of the two"),
            ("---\nrate_limit: {}\n---\nrate_limit: {}\n".into(), 4, "keep one document"),
            ("basic_auth_users: {john: }".into(), 1, "null is not allowed here"),
            ("# ".repeat(crate::parse::config_file::MAX_FILE_BYTES), 0, "larger"),
        ] {
            let error = parse(&text).expect_err(&text[..text.floor_char_boundary(200)]);
            assert!(line == 0 || error.line == line, "{error}\n{text:.300}");
            let said = error.to_string();
            assert!(
                said.contains(says) && said.starts_with("/etc/campaign_exporter/web.yml:") && !said.contains(":0:"),
                "{said} / {says}"
            );
            assert!(!said.contains("hunter2"), "{said}");
        }
    }

    #[test]
    fn headers_users_and_limits_are_read() {
        let text = format!(
            "http_server_config:\n  headers:\n    X-Frame-Options: deny\n    X-XSS-Protection: 1\n    \
             Content-Security-Policy: ''\nbasic_auth_users: {{a: {HASH}}}\nrate_limit: {{interval: 1m0.5s, burst: 3}}\n"
        );
        let config = parse(&text).unwrap();
        let headers: Vec<_> =
            config.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        assert_eq!(headers, [("x-frame-options", "deny"), ("x-xss-protection", "1")]);
        assert_eq!(config.users["a"], HASH);
        assert_eq!(config.rate_limit, Some(RateLimit { interval: Duration::from_millis(60_500), burst: 3 }));
        assert_eq!(parse("rate_limit: {interval: 0, burst: 3}").unwrap().rate_limit, None);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), text in "[0-9.a-zµ]{0,12}") {
            let _ = read(&bytes, Path::new("x"));
            let _ = duration(&text);
        }
    }
}
