//! When a target is probed, and how long its result counts.

use super::*;

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
