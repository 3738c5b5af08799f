//! What the servers say: recorded answers and hostile ones.

use super::*;

#[tokio::test]
async fn the_recorded_answers_are_shown() {
    let samples = probed(Probe::Redirection, include_bytes!("../../fixtures/probes/r_test.xml")).await;
    assert_eq!(samples.value(&PROBE_SUCCESS, &["redirection", "t"]), Some(1.0));
    assert_eq!(samples.value(&PROBE_HTTP_STATUS, &["redirection", "t"]), Some(200.0));
    assert_eq!(samples.value(&PROBE_RUNS, &["redirection", "t"]), Some(1.0));
    assert_eq!(samples.of(&PROBE_FAILURES).map(|sample| sample.value).sum::<f64>(), 0.0);
    assert_eq!(samples.of(&PROBE_FAILURE_INFO).count(), 0);
    assert!(samples.value(&PROBE_DURATION, &["redirection", "t"]).unwrap() > 0.0);
    let labels = ["t", "9236", "8.5.1", "cc45440", "xxx.campaign.example.com", "xxx-mkt-prod1-1"];
    assert_eq!(samples.value(&REDIRECTION_INFO, &labels), Some(1.0));

    let samples = probed(Probe::Ping, include_bytes!("../../fixtures/probes/ping.txt")).await;
    assert_eq!(samples.value(&PROBE_SUCCESS, &["ping", "t"]), Some(1.0));

    let samples = probed(Probe::MessageCenter, include_bytes!("../../fixtures/probes/mc_ping_ok.txt")).await;
    assert_eq!(samples.value(&PROBE_SUCCESS, &["message_center", "t"]), Some(1.0));
    assert_eq!(samples.value(&MESSAGE_CENTER_PENDING_EVENTS, &["t"]), Some(7.0));
    assert_eq!(samples.value(&MESSAGE_CENTER_QUEUE_CAPACITY, &["t"]), Some(400.0));
    assert_eq!(samples.value(&MESSAGE_CENTER_QUEUE_FULL, &["t"]), Some(0.0));

    let samples = probed(Probe::MessageCenter, include_bytes!("../../fixtures/probes/mc_ping_full.txt")).await;
    assert_eq!(samples.value(&PROBE_SUCCESS, &["message_center", "t"]), Some(0.0));
    assert_eq!(samples.value(&PROBE_FAILURE_INFO, &["message_center", "t", "body"]), Some(1.0));
    assert_eq!(samples.value(&MESSAGE_CENTER_PENDING_EVENTS, &["t"]), Some(7.0));
    assert_eq!(samples.value(&MESSAGE_CENTER_QUEUE_FULL, &["t"]), Some(1.0));

    let samples = probed(Probe::Pipelined, include_bytes!("../../fixtures/probes/pipelined.json")).await;
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
