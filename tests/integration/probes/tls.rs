//! Certificates: whom the client trusts.

use super::*;

/// A certificate authority.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Authority {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Authority { issuer: Issuer::new(params, key), pem }
    }

    fn issue(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Issued {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        change(&mut params);
        Issued { certificate: params.signed_by(&key, &self.issuer).unwrap(), key }
    }

    fn write(&self, directory: &Path) -> PathBuf {
        let path = directory.join("ca.pem");
        std::fs::write(&path, &self.pem).unwrap();
        path
    }
}

fn self_signed(name: &str) -> Issued {
    let key = KeyPair::generate().unwrap();
    Issued { certificate: CertificateParams::new(vec![name.to_owned()]).unwrap().self_signed(&key).unwrap(), key }
}

#[tokio::test]
async fn a_custom_ca_is_trusted_for_its_names_and_dates_alone() {
    let (authority, directory) = (Authority::new(), tempfile::tempdir().unwrap());
    let trust = Trust::File(authority.write(directory.path()));

    let server = Server::with_tls(&authority.issue("127.0.0.1", |_| ())).await;
    assert_eq!(get(&https(server.address, trust.clone())).await.unwrap().body, b"<redir status='OK' />");
    let elsewhere = tempfile::tempdir().unwrap();
    let other = Trust::File(Authority::new().write(elsewhere.path()));
    assert_fails(get(&https(server.address, other)).await, Reason::Tls, "certificate");

    let server = Server::with_tls(&authority.issue("campaign.example.com", |_| ())).await;
    assert_fails(get(&https(server.address, trust.clone())).await, Reason::Tls, "certificate");
    let named =
        Target { host_header: Some("campaign.example.com".parse().unwrap()), ..https(server.address, trust.clone()) };
    assert!(get(&named).await.is_ok());

    let expired = authority.issue("127.0.0.1", |params| params.not_after = rcgen::date_time_ymd(2001, 1, 1));
    let server = Server::with_tls(&expired).await;
    assert_fails(get(&https(server.address, trust)).await, Reason::Tls, "xpired");
}

#[tokio::test]
async fn a_self_signed_certificate_is_refused_unless_anybody_is_trusted() {
    let server = Server::with_tls(&self_signed("other.example.com")).await;
    let authority = Authority::new();
    let directory = tempfile::tempdir().unwrap();
    let trust = Trust::File(authority.write(directory.path()));
    assert_fails(get(&https(server.address, trust)).await, Reason::Tls, "");
    assert!(get(&https(server.address, Trust::Anybody)).await.is_ok());
}

#[tokio::test]
async fn the_system_s_roots_do_not_trust_a_stranger() {
    let server = Server::with_tls(&self_signed("127.0.0.1")).await;
    let target = https(server.address, Trust::System);
    match Endpoint::new(&target, &client(&target)) {
        Ok(endpoint) => assert_fails(endpoint.get("/r/test", None).await, Reason::Tls, "certificate"),
        // A machine without any roots: that is reported at the start.
        Err(error) => assert!(error.to_string().contains("ca-certificates"), "{error}"),
    }
}

#[tokio::test]
async fn tls_that_is_none_fails_as_tls() {
    let garbage: [Vec<u8>; 4] = [
        OK.to_vec(),
        vec![0x16, 0x03, 0x03, 0xff, 0xff],
        vec![0xff; 100_000],
        [&[0x16, 0x03, 0x03, 0x00, 0x04][..], &[0x02, 0xff, 0xff, 0xff]].concat(),
    ];
    for answer in garbage {
        let answer = Arc::new(answer);
        let server = Server::start(move |mut peer| {
            let answer = Arc::clone(&answer);
            async move {
                // The whole greeting is taken first: what is left unread would make a reset of the close.
                let mut head = [0; 5];
                peer.stream.read_exact(&mut head).await.unwrap();
                let mut rest = vec![0; usize::from(u16::from_be_bytes([head[3], head[4]]))];
                peer.stream.read_exact(&mut rest).await.unwrap();
                peer.write(&answer).await;
                let _ = peer.stream.shutdown().await;
                let _ = peer.stream.read_to_end(&mut Vec::new()).await;
            }
        })
        .await;
        assert_fails(get(&https(server.address, Trust::Anybody)).await, Reason::Tls, "");
    }
    let server = Server::start(|peer| async move {
        let _open = peer;
        pending::<()>().await;
    })
    .await;
    let target = Target { timeout: PATIENCE, ..impatient(https(server.address, Trust::Anybody)) };
    assert_fails(get(&target).await, Reason::Timeout, "no connection");
}

#[test]
fn a_ca_file_that_can_t_be_used_says_why() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ca.pem");
    let error = |path: &Path| {
        let target = https("127.0.0.1:1".parse().unwrap(), Trust::File(path.to_owned()));
        Endpoint::new(&target, &client(&target)).unwrap_err().to_string()
    };
    assert!(error(&path).contains("No such file"), "{}", error(&path));
    std::fs::write(&path, "no certificate").unwrap();
    assert!(error(&path).contains("no certificate in it"), "{}", error(&path));
    std::fs::write(&path, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    assert!(error(&path).contains("ca.pem"), "{}", error(&path));
    assert!(error(directory.path()).contains("not a regular file"), "{}", error(directory.path()));
}
