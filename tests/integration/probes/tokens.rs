//! Session tokens: where they go, and that they are never shown.

use super::*;

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
