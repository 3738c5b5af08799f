//! `--web.config.file`: what is accepted and refused, and how what is accepted is served, asked by curl over HTTP/1.1 and
//! HTTP/2, with client certificates and passwords, and by a real Prometheus. The cases follow the areas that
//! exporter-toolkit's own tests cover.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use campaign_exporter::web::{self, ConfigFile, Limits, Response, WebError, WebSettings};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};
use tokio::sync::oneshot;

use crate::support::stack::{Exporter, concat_os};
use crate::support::{Running, built, free_port, get_json, program, run, wait_for};

const LIMIT: Duration = Duration::from_secs(60);

/// A folder with a server's certificate, those of several clients, and a web configuration.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Folder {
        let folder = Folder(tempfile::tempdir().unwrap());
        let authority = Authority::new("server's");
        folder.write("ca.pem", &authority.pem);
        folder.write_pair("server", &authority.issue(&["localhost", "127.0.0.1"]));
        let clients = Authority::new("clients'");
        folder.write("clients.pem", &clients.pem);
        folder.write_pair("client", &clients.issue(&["good.example.com"]));
        folder.write_pair("stranger", &Authority::new("stranger's").issue(&["good.example.com"]));
        let key = KeyPair::generate().unwrap();
        let certificate =
            CertificateParams::new(vec!["self.example.com".to_owned()]).unwrap().self_signed(&key).unwrap();
        folder.write_pair("self", &(certificate.pem(), key.serialize_pem()));
        folder.write("empty.pem", "");
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn write_pair(&self, name: &str, (certificate, key): &(String, String)) {
        self.write(&format!("{name}.crt"), certificate);
        self.write(&format!("{name}.key"), key);
    }

    /// Puts another configuration in place at once, as an editor does.
    fn configure(&self, yaml: &str) -> PathBuf {
        self.write("new.yml", yaml);
        fs::rename(self.path("new.yml"), self.path("web.yml")).unwrap();
        self.path("web.yml")
    }

    /// `block` indented below a key, as PEM goes inline.
    fn inline(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap().lines().map(|line| format!("    {line}\n")).collect()
    }
}

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new(name: &str) -> Authority {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Authority { issuer: Issuer::new(params, key), pem }
    }

    /// A certificate and its key.
    fn issue(&self, names: &[&str]) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.subject_alt_names.push(SanType::Rfc822Name("ops@example.com".try_into().unwrap()));
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }
}

/// A server on a thread of its own; ended when dropped.
struct Server {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<Result<(), WebError>>>,
}

impl Server {
    fn start(config: &Path) -> Server {
        let config = ConfigFile::load(config).unwrap();
        let listeners = web::bind(&["127.0.0.1:0".parse().unwrap()]).unwrap();
        let address = listeners[0].local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let answer: web::Handler = Arc::new(|_| Box::pin(async { Response::text(200, "up 1\n".repeat(2000)) }));
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let settings = WebSettings { limits: Limits::default(), config: Some(config) };
            runtime.block_on(web::serve(listeners, answer, settings, async {
                let _ = stopped.await;
            }))
        });
        Server { address, stop: Some(stop), thread: Some(thread) }
    }

    /// What curl gets: `STATUS VERSION` of HTTP, or what it says against it.
    fn curl(&self, folder: &Folder, scheme: &str, arguments: &[&str]) -> Result<String, String> {
        curl(self.address, folder, scheme, arguments)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn curl(address: SocketAddr, folder: &Folder, scheme: &str, arguments: &[&str]) -> Result<String, String> {
    let mut command = Command::new(program("curl", "curl"));
    command.current_dir(folder.0.path());
    command.args(["-sS", "--max-time", "30", "-o", "/dev/null", "-w", "%{http_code} %{http_version}"]);
    command.args(["--cacert", "ca.pem"]).args(arguments).arg(format!("{scheme}://{address}/metrics"));
    let output = run(&mut command);
    match output.status.success() {
        true => Ok(String::from_utf8(output.stdout).unwrap()),
        false => Err(String::from_utf8(output.stderr).unwrap()),
    }
}

const TLS: &str = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n";

/// Every name of Go's `crypto/tls`.
const ALL_SUITES: &str = "TLS_AES_128_GCM_SHA256, TLS_AES_256_GCM_SHA384, TLS_CHACHA20_POLY1305_SHA256, \
    TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA, TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, \
    TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA, TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, \
    TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, \
    TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, \
    TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256";

fn hash(password: &str) -> String {
    bcrypt::hash(password, 4).unwrap()
}

#[test]
fn a_file_that_is_wrong_is_refused_with_what_is_wrong() {
    let folder = Folder::new();
    for (yaml, says) in [
        ("junk".to_owned(), "not valid"),
        ("tls_server_config:\n  cert_filse: server.crt\n".into(), "cert_filse"),
        ("tls_server_config: {cert_file: '', key_file: server.key}\n".into(), "cert or cert_file"),
        ("tls_server_config: {cert_file: server.crt}\n".into(), "key or key_file"),
        ("tls_server_config: {cert_file: somefile, key_file: server.key}\n".into(), "No such file"),
        ("tls_server_config: {cert_file: server.crt, key_file: somefile}\n".into(), "No such file"),
        ("tls_server_config: {cert_file: empty.pem, key_file: server.key}\n".into(), "no certificate"),
        ("tls_server_config: {cert_file: server.crt, key_file: empty.pem}\n".into(), "no private key"),
        ("tls_server_config: {cert_file: server.crt, key_file: client.key}\n".into(), "belongs to the certificate"),
        (format!("{TLS}  client_ca_file: /dev/null\n"), "without a client_auth_type"),
        (format!("{TLS}  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: somefile\n"), "No such file"),
        (
            format!("{TLS}  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: /dev/null\n"),
            "not a regular file",
        ),
        (format!("{TLS}  client_auth_type: x\n"), "client_auth_type"),
        (format!("{TLS}  cipher_suites: [TLS_INVENTED]\n"), "unknown cipher"),
        (format!("{TLS}  curve_preferences: [CurveP257]\n"), "unknown curve"),
        (format!("{TLS}  min_version: TLS111\n"), "unknown TLS version"),
        (format!("{TLS}  min_version: TLS13\n  max_version: TLS12\n"), "no TLS version is left"),
        (format!("{TLS}  curve_preferences: [CurveP521]\n"), "none of the curve_preferences"),
        ("tls_server_config: {client_auth_type: RequireAnyClientCert}\n".into(), "cert or cert_file"),
        ("tls_server_config: {client_ca_file: clients.pem}\n".into(), "cert or cert_file"),
        (format!("basic_auth_users: {{john: {}}}\n", hash("x").replace("$04$", "$32$")), "cost"),
        ("rate_limit: {interval: soon}\n".into(), "interval"),
        (format!("{TLS}  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384]\n  max_version: TLS12\n"), "HTTP/2"),
        ("http_server_config: {headers: {Content-Type: foo}}\n".into(), "can not be configured"),
        ("http_server_config: {headers: {X-Frame-Options: foo}}\n".into(), "invalid value"),
        ("basic_auth_users: {john: doe}\n".into(), "too short"),
    ] {
        let error = ConfigFile::check(&folder.configure(&yaml)).expect_err(&yaml).to_string();
        assert!(error.contains(says) && error.contains("web.yml"), "{yaml}: {error} should say {says:?}");
    }
    let device = ConfigFile::check(Path::new("/dev/null")).unwrap_err().to_string();
    assert!(device.contains("/dev/null: not a regular file"), "{device}");
    let missing = ConfigFile::check(&folder.path("nothing.yml")).unwrap_err().to_string();
    assert!(missing.contains("nothing.yml") && missing.contains("No such file"), "{missing}");
}

#[test]
fn the_flag_that_checks_takes_the_web_configuration_too() {
    let folder = Folder::new();
    let check = |yaml: &str| {
        let file = concat_os("--web.config.file=", &folder.configure(yaml));
        run(Command::new(built("campaign_exporter")).arg("--config.check").arg(file))
    };
    let good = check(&format!("{TLS}  min_version: TLS10\n"));
    let said = String::from_utf8(good.stdout).unwrap();
    assert!(good.status.success() && said.contains("TLS 1.0") && said.ends_with(": OK\n"), "{said}");
    let bad = check("tls_server_config: {}\nhttp3: true\n");
    let said = String::from_utf8(bad.stderr).unwrap();
    assert!(bad.status.code() == Some(1) && said.contains("web.yml:2"), "{said}");
}

/// What curl gets from a server with the configuration, by its arguments; none: no answer.
#[test]
fn what_is_accepted_is_served_so() {
    let folder = Folder::new();
    let inline = format!(
        "tls_server_config:\n  cert: |\n{}  key: |\n{}",
        folder.inline("server.crt"),
        folder.inline("server.key")
    );
    let client = |more: &str| format!("{TLS}  client_auth_type: {more}\n");
    let verified = |more: &str| format!("{TLS}  client_auth_type: {more}\n  client_ca_file: clients.pem\n");
    let with = |name: &str| vec!["--cert".to_owned(), format!("{name}.crt"), "--key".to_owned(), format!("{name}.key")];
    let (none, known, stranger, itself) = (Vec::new(), with("client"), with("stranger"), with("self"));
    let args = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let suites = "  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]\n  max_version: TLS12\n";
    let cases: Vec<(String, &str, Vec<String>, Option<&str>)> = vec![
        (String::new(), "http", none.clone(), Some("200 1.1")),
        (String::new(), "https", none.clone(), None),
        (TLS.into(), "https", none.clone(), Some("200 2")),
        (TLS.into(), "https", args("--http1.1"), Some("200 1.1")),
        (TLS.into(), "https", args("--compressed"), Some("200 2")),
        (TLS.into(), "https", args("-X POST -d abc"), Some("405 2")),
        (TLS.into(), "https", args("--tls-max 1.2"), Some("200 2")),
        (TLS.into(), "http", none.clone(), Some("400 1.1")),
        (inline, "https", none.clone(), Some("200 2")),
        (format!("{TLS}http_server_config: {{http2: false}}\n"), "https", none.clone(), Some("200 1.1")),
        (TLS.into(), "https", args("--tls-max 1.1"), None),
        (format!("{TLS}  cipher_suites: [{ALL_SUITES}]\n"), "https", none.clone(), Some("200 2")),
        (
            format!("{TLS}  cipher_suites: [{ALL_SUITES}]\n  prefer_server_cipher_suites: false\n"),
            "https",
            args("--tls-max 1.2 --ciphers ECDHE-ECDSA-AES256-GCM-SHA384"),
            Some("200 2"),
        ),
        (
            format!("{TLS}  curve_preferences: [CurveP256, CurveP384, CurveP521, X25519]\n"),
            "https",
            args("--curves P-384"),
            Some("200 2"),
        ),
        (
            format!(
                "{TLS}  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]\nhttp_server_config: {{http2: false}}\n"
            ),
            "https",
            args("--tls-max 1.2"),
            Some("200 1.1"),
        ),
        ("rate_limit: {interval: 0, burst: 0}\n".into(), "http", none.clone(), Some("200 1.1")),
        ("rate_limit: {interval: 1h}\n".into(), "http", none.clone(), Some("429 1.1")),
        (format!("{TLS}  min_version: TLS13\n"), "https", args("--tls-max 1.2"), None),
        (format!("{TLS}  max_version: TLS12\n"), "https", args("--tlsv1.3"), None),
        (format!("{TLS}{suites}"), "https", none.clone(), Some("200 2")),
        (format!("{TLS}{suites}"), "https", args("--ciphers ECDHE-ECDSA-AES256-GCM-SHA384"), None),
        (format!("{TLS}  curve_preferences: [CurveP384]\n"), "https", args("--curves P-384"), Some("200 2")),
        (format!("{TLS}  curve_preferences: [CurveP384]\n"), "https", args("--curves X25519"), None),
        (client("NoClientCert"), "https", known.clone(), Some("200 2")),
        (client("RequestClientCert"), "https", none.clone(), Some("200 2")),
        (client("RequestClientCert"), "https", stranger.clone(), Some("200 2")),
        (client("RequireAnyClientCert"), "https", none.clone(), None),
        (client("RequireClientCert"), "https", stranger.clone(), Some("200 2")),
        (verified("VerifyClientCertIfGiven"), "https", none.clone(), Some("200 2")),
        (verified("VerifyClientCertIfGiven"), "https", known.clone(), Some("200 2")),
        (verified("VerifyClientCertIfGiven"), "https", stranger.clone(), None),
        (client("RequireAndVerifyClientCert"), "https", known.clone(), None),
        (verified("RequireAndVerifyClientCert"), "https", none.clone(), None),
        (verified("RequireAndVerifyClientCert"), "https", known.clone(), Some("200 2")),
        (verified("RequireAndVerifyClientCert"), "https", stranger.clone(), None),
        (client("RequireAndVerifyClientCert\n  client_ca_file: self.crt"), "https", itself, Some("200 2")),
        (client("RequireAndVerifyClientCert\n  client_ca_file: empty.pem"), "https", known.clone(), None),
        (
            verified("RequireAndVerifyClientCert\n  client_allowed_sans: [good.example.com]"),
            "https",
            known.clone(),
            Some("200 2"),
        ),
        (
            verified("RequireAndVerifyClientCert\n  client_allowed_sans: [ops@example.com]"),
            "https",
            known.clone(),
            Some("200 2"),
        ),
        (
            verified("RequireAndVerifyClientCert\n  client_allowed_sans: [bad.example.com]"),
            "https",
            known.clone(),
            None,
        ),
        (verified("RequireAndVerifyClientCert\n  client_allowed_sans: []"), "https", known, None),
    ];
    for (yaml, scheme, arguments, expected) in cases {
        let server = Server::start(&folder.configure(&yaml));
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let mut got = server.curl(&folder, scheme, &arguments);
        // Over HTTP/2 an answer may come before the request's body was sent; then curl 7.88 may miss it (RFC 9113, 8.1).
        for _ in 0..5 {
            if expected.is_some() && got.as_ref().is_err_and(|error| error.starts_with("curl: (92)")) {
                got = server.curl(&folder, scheme, &arguments);
            }
        }
        match expected {
            Some(expected) => assert_eq!(got.as_deref(), Ok(expected), "{yaml}\n{arguments:?}"),
            None => assert!(got.is_err(), "{yaml}\n{arguments:?}: {got:?}"),
        }
    }
}

#[test]
fn users_need_their_password_with_and_without_tls() {
    let folder = Folder::new();
    for (yaml, scheme, version) in [("", "http", "1.1"), (TLS, "https", "2")] {
        let users = format!("{yaml}basic_auth_users:\n  dave: {}\n  carol: {}\n", hash("123"), hash("456"));
        let server = Server::start(&folder.configure(&users));
        for (user, status) in [
            (None, 401),
            (Some("dave:123"), 200),
            (Some("carol:456"), 200),
            (Some("dave:456"), 401),
            (Some("nobody:123"), 401),
        ] {
            let arguments: Vec<_> = user.into_iter().flat_map(|user| ["-u", user]).collect();
            let got = server.curl(&folder, scheme, &arguments);
            assert_eq!(got, Ok(format!("{status} {version}")), "{scheme} {user:?}");
        }
    }
}

#[test]
fn every_answer_gets_the_headers_and_too_many_questions_get_none() {
    let folder = Folder::new();
    let yaml = "http_server_config:\n  headers:\n    X-Frame-Options: deny\n    Content-Security-Policy: default-src 'self'\n\
                rate_limit: {interval: 1h, burst: 2}\n";
    let server = Server::start(&folder.configure(yaml));
    let head = Command::new(program("curl", "curl")).args(["-sSI", &format!("http://{}/", server.address)]).output();
    let head = String::from_utf8(head.unwrap().stdout).unwrap();
    assert!(
        head.contains("x-frame-options: deny") && head.contains("content-security-policy: default-src 'self'"),
        "{head}"
    );
    assert_eq!(server.curl(&folder, "http", &[]), Ok("200 1.1".to_owned()));
    assert_eq!(server.curl(&folder, "http", &[]), Ok("429 1.1".to_owned()));
}

#[test]
fn a_change_is_in_force_at_once_and_one_that_breaks_lets_nobody_in() {
    let folder = Folder::new();
    let users = |password: &str| format!("{TLS}basic_auth_users: {{dave: {}}}\n", hash(password));
    let server = Server::start(&folder.configure(&users("old")));
    let ask = |password: &str| server.curl(&folder, "https", &["-u", &format!("dave:{password}")]);
    assert_eq!(ask("old"), Ok("200 2".to_owned()));
    folder.configure(&users("new"));
    assert_eq!((ask("old"), ask("new")), (Ok("401 2".to_owned()), Ok("200 2".to_owned())));
    folder.configure("junk");
    assert!(ask("new").is_err());
    folder.configure("basic_auth_users: {}\n");
    assert!(ask("new").is_err() && server.curl(&folder, "http", &[]).is_err(), "no way back to clear text");
    folder.configure(&users("new"));
    assert_eq!(ask("new"), Ok("200 2".to_owned()));

    let other = Authority::new("another");
    folder.write("ca.pem", &other.pem);
    assert!(ask("new").is_err(), "curl trusts another authority now");
    folder.write_pair("server", &other.issue(&["127.0.0.1"]));
    assert_eq!(ask("new"), Ok("200 2".to_owned()), "the renewed certificate is served");
    fs::remove_file(folder.path("server.key")).unwrap();
    assert!(ask("new").is_err());
}

#[test]
fn without_tls_a_file_that_breaks_is_an_error_for_all() {
    let folder = Folder::new();
    let server = Server::start(&folder.configure(&format!("basic_auth_users: {{dave: {}}}\n", hash("x"))));
    for yaml in ["junk", "", "# nothing\n---\n", "{}\n"] {
        folder.configure(yaml);
        for user in [&[][..], &["-u", "dave:x"]] {
            assert_eq!(server.curl(&folder, "http", user), Ok("500 1.1".to_owned()), "{yaml:?} {user:?}");
        }
    }
}

#[test]
fn tls_that_was_added_later_is_not_dropped_again() {
    let folder = Folder::new();
    let server = Server::start(&folder.configure(""));
    assert_eq!(server.curl(&folder, "http", &[]), Ok("200 1.1".to_owned()));
    folder.configure(TLS);
    assert_eq!(server.curl(&folder, "https", &[]), Ok("200 2".to_owned()));
    folder.configure("");
    for scheme in ["http", "https"] {
        assert!(server.curl(&folder, scheme, &[]).is_err(), "{scheme}");
    }
}

#[test]
fn a_prometheus_scrapes_with_tls_a_client_certificate_and_a_password() {
    let folder = Folder::new();
    let config = folder.configure(&format!(
        "{TLS}  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: clients.pem\n\
         basic_auth_users: {{prometheus: {}}}\n",
        hash("secret")
    ));
    let exporter = Exporter::start(folder.0.path(), &folder.path("none"), &[concat_os("--web.config.file=", &config)]);
    folder.write(
        "prometheus.yml",
        &format!(
            "scrape_configs:\n  - job_name: campaign\n    scrape_interval: 1s\n    scheme: https\n    \
             basic_auth: {{username: prometheus, password: secret}}\n    \
             tls_config: {{ca_file: ca.pem, cert_file: client.crt, key_file: client.key}}\n    \
             static_configs: [{{targets: ['{}']}}]\n",
            exporter.address
        ),
    );
    let address = format!("127.0.0.1:{}", free_port());
    let mut command = Command::new(program("prometheus", "prometheus"));
    command.arg(concat_os("--config.file=", &folder.path("prometheus.yml")));
    command.arg(concat_os("--storage.tsdb.path=", &folder.path("data"))).arg(format!("--web.listen-address={address}"));
    let _prometheus = Running::start(&mut command, &folder.path("prometheus.log"));
    wait_for("a scrape with TLS, certificate and password", LIMIT, || {
        let answer = get_json(&format!("http://{address}/api/v1/query"), &[("query", "campaign_exporter_build_info")])?;
        let found = answer["data"]["result"].as_array().is_some_and(|series| !series.is_empty());
        if found { Ok(()) } else { Err(answer.to_string()) }
    });
}
