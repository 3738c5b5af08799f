//! The HTTP client against servers that answer late, too much, wrongly or never.

use super::*;

#[tokio::test]
async fn a_good_answer_is_taken_with_its_charset() {
    let answer = "HTTP/1.1 200 OK\r\ncontent-type: text/xml; Charset=\"ISO-8859-1\"\r\n\r\n<redir/>";
    let server = Server::answering(answer).await;
    let answer = get(&target(server.address)).await.unwrap();
    assert_eq!(answer, Answer { body: b"<redir/>".to_vec(), charset: Some("ISO-8859-1".to_owned()) });
}

#[tokio::test]
async fn the_request_names_the_host_and_the_exporter() {
    let (sender, mut requests) = tokio::sync::mpsc::unbounded_channel();
    let server = Server::start(move |mut peer| {
        let sender = sender.clone();
        async move {
            sender.send(peer.request().await).unwrap();
            peer.write(OK).await;
        }
    })
    .await;
    let mut target = target(server.address);
    get(&target).await.unwrap();
    let request = requests.recv().await.unwrap().to_lowercase();
    assert!(request.starts_with("get /r/test http/1.1\r\n"), "{request}");
    assert!(request.contains(&format!("\r\nhost: 127.0.0.1:{}\r\n", server.address.port())), "{request}");
    assert!(request.contains("\r\nuser-agent: campaign_exporter/"), "{request}");
    target.host_header = Some("campaign.example.com".parse().unwrap());
    get(&target).await.unwrap();
    let request = requests.recv().await.unwrap().to_lowercase();
    assert!(request.contains("\r\nhost: campaign.example.com\r\n"), "{request}");
}

#[tokio::test]
async fn other_statuses_fail_and_redirects_are_not_followed() {
    let elsewhere = Server::with_body(b"<redir status='OK'/>").await;
    let redirect =
        format!("HTTP/1.1 302 Found\r\nlocation: http://{}/\r\ncontent-length: 0\r\n\r\n", elsewhere.address);
    let server = Server::answering(redirect).await;
    let failure = get(&target(server.address)).await.unwrap_err();
    assert_eq!((failure.reason, failure.status), (Reason::Status, Some(302)));
    assert_eq!(elsewhere.connections(), 0);
    for status in [204, 404, 500, 503] {
        let server = Server::answering(format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n")).await;
        let failure = get(&target(server.address)).await.unwrap_err();
        assert_eq!((failure.reason, failure.status), (Reason::Status, Some(status)));
    }
}

// ---- hostile servers

/// Asks servers that begin with a text and then write another for ever: each is given up before its answer fills memory.
async fn assert_cut_off(answers: [(&'static [u8], &'static [u8]); 4]) {
    for (head, piece) in answers {
        let server = Server::start(move |mut peer| async move {
            peer.request().await;
            peer.write(head).await;
            peer.write_for_ever(piece).await;
        })
        .await;
        assert_fails(get(&target(server.address)).await, Reason::Body, "");
        until("the server gives up", || server.seen.open.load(Ordering::SeqCst) == 0).await;
        assert!(server.written() < SOCKET_BUFFERS, "{} bytes", server.written());
    }
}

#[tokio::test]
async fn an_endless_body_is_cut_off() {
    assert_cut_off([
        (b"HTTP/1.1 200 OK\r\n\r\n", &[b'x'; 65536]),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n", &[b'x'; 65536]),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", b"8\r\nxxxxxxxx\r\n"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;", b"x=yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy;"),
    ])
    .await;
}

#[tokio::test]
async fn a_body_of_just_the_limit_is_taken_and_one_more_byte_is_not() {
    let server = Server::with_body(&vec![b'x'; MAX_BODY_BYTES]).await;
    assert_eq!(get(&target(server.address)).await.unwrap().body.len(), MAX_BODY_BYTES);
    let server = Server::with_body(&vec![b'x'; MAX_BODY_BYTES + 1]).await;
    assert_fails(get(&target(server.address)).await, Reason::Body, "larger");
}

#[tokio::test]
async fn headers_without_end_are_cut_off() {
    assert_cut_off([
        (b"HTTP/1.1 200 OK\r\nx: ", &[b'x'; 65536]),
        (b"HTTP/1.1 200 OK\r\n", b"x: y\r\n"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n", b"x: y\r\n"),
    ])
    .await;
}

#[tokio::test]
async fn a_64_mb_header_is_not_read_to_its_end() {
    let server = Server::start(|mut peer| async move {
        peer.request().await;
        peer.write(b"HTTP/1.1 200 OK\r\nx: ").await;
        for _ in 0..64 {
            if !peer.write(&vec![b'x'; 1 << 20]).await {
                return;
            }
        }
        peer.write(b"\r\n\r\n").await;
    })
    .await;
    assert_fails(get(&target(server.address)).await, Reason::Body, "");
    until("the server gives up", || server.seen.open.load(Ordering::SeqCst) == 0).await;
    assert!(server.written() < SOCKET_BUFFERS, "{} bytes", server.written());
}

#[tokio::test]
async fn silence_and_slowness_end_at_the_time_limit() {
    let stops: [&'static [u8]; 4] = [
        b"",
        b"HTTP/1.1 200 OK\r\nx",
        b"HTTP/1.1 200 OK\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx",
    ];
    for stop in stops {
        let server = Server::start(move |mut peer| async move {
            peer.request().await;
            peer.write(stop).await;
            pending::<()>().await;
        })
        .await;
        assert_fails(get(&impatient(target(server.address))).await, Reason::Timeout, "150ms");
    }
    // Slow loris: always a little more, never enough.
    for head in [&b"HTTP/1.1 200 OK\r\nx: "[..], b"HTTP/1.1 200 OK\r\n\r\n"] {
        let server = Server::start(move |mut peer| async move {
            peer.request().await;
            peer.write(head).await;
            let mut tick = tokio::time::interval(Duration::from_millis(5));
            while peer.write(b"x").await {
                tick.tick().await;
            }
        })
        .await;
        assert_fails(get(&impatient(target(server.address))).await, Reason::Timeout, "150ms");
        assert!(server.written() < 1000, "the slow server wrote {} bytes", server.written());
    }
}

#[tokio::test]
async fn what_is_no_http_fails_as_a_body() {
    let answers: [&'static [u8]; 4] =
        [b"SSH-2.0-OpenSSH_9.6\r\n", b"\0\0\0\0\0\0\0\0", b"<redir status='OK'/>", b"HTTP/9.9 200 OK\r\n\r\n"];
    for answer in answers {
        let server = Server::answering(answer).await;
        assert_fails(get(&target(server.address)).await, Reason::Body, "");
    }
    let server = Server::answering("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\ncut off").await;
    assert_fails(get(&target(server.address)).await, Reason::Body, "end of file");
}

#[tokio::test]
async fn refused_and_reset_connections_fail_as_connections() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    assert_fails(get(&target(closed)).await, Reason::Connect, "refused");
    let server = Server::start(|mut peer| async move {
        peer.request().await;
        // Closing with no time to linger sends a reset.
        socket2::SockRef::from(&peer.stream).set_linger(Some(Duration::ZERO)).unwrap();
    })
    .await;
    assert_fails(get(&target(server.address)).await, Reason::Connect, "");
}

#[tokio::test]
async fn a_name_without_an_address_fails_as_dns() {
    // An empty label: refused by the resolver itself, so that nothing leaves this host.
    let mut target = target("127.0.0.1:1".parse().unwrap());
    target.base.host = "name..invalid".to_owned();
    assert_fails(get(&target).await, Reason::Dns, "name..invalid");
}

#[tokio::test]
async fn a_name_is_looked_up() {
    let server = Server::answering(OK).await;
    let mut target = target(server.address);
    target.base.host = "localhost".to_owned();
    assert!(get(&target).await.is_ok());
}
