//! Targets without a file, and the exporter as a whole.

use super::*;

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

/// What the exporter at `address` answers for one probe when Prometheus waits for so many seconds.
fn ask_for(address: &str, target: &str, module: &str, seconds: u8) -> String {
    let url = format!("http://{address}/probe?target={target}&module={module}");
    let mut answer = ureq::get(url).header("x-prometheus-scrape-timeout-seconds", seconds.to_string()).call().unwrap();
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
        "targets:\n  - name: slow\n    url: http://{}\n    probes: [redirection]\n    timeout: 60s\n    \
         connect_timeout: 60s\n",
        server.address
    );
    std::fs::write(&file, text).unwrap();
    let flags = [concat_os("--config.file=", &file), "--web.max-requests=1".into()];
    let exporter = Exporter::start(directory.path(), directory.path(), &flags);
    let address = exporter.address.clone();
    let first = tokio::task::spawn_blocking(move || ask_for(&address, "slow", "redirection", 2));
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
         session_token_header: x-example-token\n    timeout: 60s\n    connect_timeout: 60s\n",
        echo.address,
        source.file.display()
    );
    std::fs::write(&file, text).unwrap();
    let output = tokio::task::spawn_blocking(move || {
        let flags = [concat_os("--config.file=", &file), "--log.level=debug".into()];
        let exporter = Exporter::start(directory.path(), directory.path(), &flags);
        for module in ["ping", "message_center"] {
            let answer = ask_for(&exporter.address, "echo", module, 60);
            assert!(!answer.contains("s3cret"), "{answer}");
            assert!(answer.contains("reason=\"body\""), "{answer}");
        }
        exporter.end()
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
