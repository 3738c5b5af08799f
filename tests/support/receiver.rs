//! A receiver of Alertmanager's notifications.

use std::convert::Infallible;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;

use super::wait_for;

/// One alert of a notification.
#[derive(Clone, Debug)]
pub(crate) struct Notified {
    pub(crate) status: String,
    pub(crate) labels: Value,
    pub(crate) annotations: Value,
}

impl Notified {
    pub(crate) fn is(&self, status: &str, alert: &str) -> bool {
        self.status == status && self.labels["alertname"] == alert
    }
}

/// Listens on the loopback interface and keeps every alert that it gets.
pub(crate) struct Receiver {
    port: u16,
    notified: Arc<Mutex<Vec<Notified>>>,
}

impl Receiver {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port for the receiver");
        let port = listener.local_addr().expect("the receiver's port").port();
        let notified = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&notified);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(receive(listener, kept));
        });
        Self { port, notified }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }

    /// Everything that it got so far.
    pub(crate) fn notified(&self) -> Vec<Notified> {
        self.notified.lock().expect("the notifications").clone()
    }

    /// Forgets what it got so far.
    pub(crate) fn forget(&self) {
        self.notified.lock().expect("the notifications").clear();
    }

    /// The first notification that `wanted` accepts.
    #[track_caller]
    pub(crate) fn wait_for(&self, what: &str, limit: Duration, wanted: impl Fn(&Notified) -> bool) -> Notified {
        wait_for(what, limit, || {
            let notified = self.notified();
            let names = |one: &Notified| format!("{} {}", one.status, one.labels["alertname"]);
            notified
                .iter()
                .find(|one| wanted(one))
                .cloned()
                .ok_or_else(|| notified.iter().map(names).collect::<Vec<_>>())
        })
    }
}

async fn receive(listener: TcpListener, kept: Arc<Mutex<Vec<Notified>>>) {
    listener.set_nonblocking(true).expect("a non-blocking listener");
    let listener = tokio::net::TcpListener::from_std(listener).expect("an asynchronous listener");
    loop {
        let (stream, _) = listener.accept().await.expect("a connection from Alertmanager");
        let kept = Arc::clone(&kept);
        tokio::spawn(async move {
            let service = service_fn(|request| answer(request, &kept));
            // Alertmanager may close the connection when it likes.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(request: Request<Incoming>, kept: &Mutex<Vec<Notified>>) -> Result<Response<Empty<Bytes>>, Infallible> {
    let body = request.into_body().collect().await.expect("a notification's body").to_bytes();
    let message: Value = serde_json::from_slice(&body).expect("a notification is JSON");
    let alerts = message["alerts"].as_array().expect("a notification has alerts");
    let alerts = alerts.iter().map(|alert| Notified {
        status: alert["status"].as_str().unwrap_or_default().to_owned(),
        labels: alert["labels"].clone(),
        annotations: alert["annotations"].clone(),
    });
    kept.lock().expect("the notifications").extend(alerts);
    Ok(Response::new(Empty::new()))
}
