//! One request and its answer: from hyper's types to ours and back, HEAD, methods, compression, panics.

use std::any::Any;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;
use std::time::Duration;

use hyper::body::{Bytes, Incoming};
use hyper::header::{
    ACCEPT_ENCODING, ACCEPT_LANGUAGE, ALLOW, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap,
    HeaderName, HeaderValue, VARY, X_CONTENT_TYPE_OPTIONS,
};
use hyper::http::request::Parts;
use hyper::{Method, StatusCode, Uri};

use super::server::Server;
use super::{Handler, Request, Response};

/// The scrape timeout that Prometheus will apply to this request, in seconds.
const SCRAPE_TIMEOUT: &str = "x-prometheus-scrape-timeout-seconds";

/// The pages hold links, and load nothing but their own style sheet and an empty icon.
const PAGE_POLICY: &str =
    "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// An answer for hyper: its head, and the bytes of its body.
pub(super) struct EncodedResponse {
    pub(super) response: hyper::Response<()>,
    pub(super) body: Bytes,
}

/// Answers a request of hyper's. A body that comes with it is not read: no path takes one.
///
/// hyper itself holds the body of an answer to HEAD back.
pub(super) async fn exchange(server: &Server, request: hyper::Request<Incoming>) -> EncodedResponse {
    let (head, _) = request.into_parts();
    let Some(config) = &server.config else { return encoded(server, answered(server, &head).await, &head).await };
    let Ok(active) = config.current() else {
        let broken = Response::text(500, "The web configuration can't be used: the exporter's log says why.");
        return encoded(server, broken, &head).await;
    };
    let response = match config.refusal(&active, &head.headers).await {
        Some(refusal) => refusal,
        None => answered(server, &head).await,
    };
    let mut reply = encoded(server, response, &head).await;
    for (name, value) in active.headers() {
        reply.response.headers_mut().insert(name.clone(), value.clone());
    }
    reply
}

async fn answered(server: &Server, head: &Parts) -> Response {
    if head.method != Method::GET && head.method != Method::HEAD {
        return Response::text(405, "Method not allowed: only GET and HEAD are answered here.")
            .with(ALLOW.as_str(), "GET, HEAD");
    }
    match understand(&head.uri, &head.headers) {
        Ok(request) => guarded(&server.answer, request).await,
        Err(refusal) => Response::text(400, refusal),
    }
}

fn understand(uri: &Uri, headers: &HeaderMap) -> Result<Request, &'static str> {
    let path = percent_encoding::percent_decode_str(uri.path())
        .decode_utf8()
        .map_err(|_| "The path is not UTF-8: encode it as UTF-8 before percent-encoding it.")?
        .into_owned();
    let query = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
    let accept_language =
        headers.get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    Ok(Request { path, query, scrape_timeout: scrape_timeout(headers), accept_language })
}

fn scrape_timeout(headers: &HeaderMap) -> Option<Duration> {
    let seconds: f64 = headers.get(SCRAPE_TIMEOUT)?.to_str().ok()?.trim().parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok().filter(|timeout| !timeout.is_zero())
}

/// The answer, or 500 where making it panics.
async fn guarded(answer: &Handler, request: Request) -> Response {
    let path = request.path.clone();
    let mut future = match catch_unwind(AssertUnwindSafe(|| answer(request))) {
        Ok(future) => future,
        Err(panic) => return defect(&path, &*panic),
    };
    // After a panic neither the future nor what it borrowed is looked at again.
    poll_fn(move |cx| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(poll) => poll,
        Err(panic) => Poll::Ready(defect(&path, &*panic)),
    })
    .await
}

fn defect(path: &str, panic: &(dyn Any + Send)) -> Response {
    let message = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    tracing::error!(path, panic = message, "a defect of the exporter: answering a request panicked");
    Response::text(500, "A defect of the exporter: its log has the details.")
}

/// The answer in the encoding that the client asks for.
async fn encoded(server: &Server, response: Response, head: &Parts) -> EncodedResponse {
    let body = &response.body;
    let packed =
        if body.is_compressible() && wants_gzip(&head.headers) { body.gzip(&server.compressor).await } else { None };
    let mut reply = plain(&response);
    let headers = reply.headers_mut();
    if body.is_compressible() {
        headers.append(VARY, HeaderValue::from_static("accept-encoding"));
    }
    if packed.is_some() {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    EncodedResponse { response: reply, body: packed.unwrap_or_else(|| body.plain()) }
}

fn plain(response: &Response) -> hyper::Response<()> {
    let mut plain = hyper::Response::new(());
    *plain.status_mut() = StatusCode::from_u16(response.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = plain.headers_mut();
    for (name, value) in &response.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(*name), HeaderValue::try_from(*value)) {
            headers.append(name, value);
        }
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(response.content_type));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if response.content_type.starts_with("text/html") {
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(PAGE_POLICY));
    }
    plain
}

/// Whether `Accept-Encoding` (RFC 9110, 12.5.3) asks for gzip.
fn wants_gzip(headers: &HeaderMap) -> bool {
    let (mut gzip, mut any, mut identity) = (None, None, None);
    for value in headers.get_all(ACCEPT_ENCODING) {
        let Ok(value) = value.to_str() else { continue };
        for item in value.split(',') {
            let (coding, weight) = weighted(item);
            if coding.eq_ignore_ascii_case("gzip") || coding.eq_ignore_ascii_case("x-gzip") {
                gzip = Some(weight);
            } else if coding.eq_ignore_ascii_case("identity") {
                identity = Some(weight);
            } else if coding == "*" {
                any = Some(weight);
            }
        }
    }
    let gzip = gzip.or(any).unwrap_or(0.0);
    gzip > 0.0 && gzip >= identity.unwrap_or(0.0)
}

/// A coding and its weight; a weight that cannot be read refuses the coding.
fn weighted(item: &str) -> (&str, f32) {
    let mut parts = item.split(';');
    let coding = parts.next().unwrap_or_default().trim();
    let weight = parts
        .filter_map(|parameter| parameter.split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("q"))
        .map_or(1.0, |(_, weight)| weight.trim().parse().unwrap_or(0.0));
    (coding, weight)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, values: &[&str]) -> HeaderMap {
        values
            .iter()
            .map(|value| (HeaderName::from_static(name), HeaderValue::from_bytes(value.as_bytes()).unwrap()))
            .collect()
    }

    #[test]
    fn gzip_is_used_only_where_the_client_wants_it() {
        for (accept, expected) in [
            (&[][..], false),
            (&[""], false),
            (&["gzip"], true),
            (&["GZIP"], true),
            (&["x-gzip"], true),
            (&["deflate, gzip;q=0.5"], true),
            (&["deflate", "gzip"], true),
            (&["gzip;q=0"], false),
            (&["gzip; q=0.000"], false),
            (&["gzip ; Q = 0 , *"], false),
            (&["*"], true),
            (&["*;q=0"], false),
            (&["identity, *;q=0.5"], false),
            (&["gzip;q=0.5, identity;q=0.1"], true),
            (&["gzip;q=never"], false),
            (&["gzip;level=9;q=0"], false),
            (&["br, zstd"], false),
            (&["gzip\u{e9}"], false),
        ] {
            assert_eq!(wants_gzip(&headers("accept-encoding", accept)), expected, "{accept:?}");
        }
    }

    #[test]
    fn a_scrape_timeout_is_a_positive_number_or_none() {
        for (value, expected) in [
            ("10.000000", Some(Duration::from_secs(10))),
            (" 0.5 ", Some(Duration::from_millis(500))),
            ("0", None),
            ("-1", None),
            ("NaN", None),
            ("inf", None),
            ("1e300", None),
            ("ten", None),
            ("", None),
        ] {
            assert_eq!(scrape_timeout(&headers(SCRAPE_TIMEOUT, &[value])), expected, "{value:?}");
        }
        assert_eq!(scrape_timeout(&HeaderMap::new()), None);
    }

    #[test]
    fn paths_and_queries_are_decoded() {
        let decoded = |uri: &'static str| understand(&Uri::from_static(uri), &HeaderMap::new());
        let request = decoded("/%6detrics?collect%5B%5D=pro%63ess&collect[]=a+b&flag&bad=%ff%zz").unwrap();
        assert_eq!(request.path, "/metrics");
        let query: Vec<(&str, &str)> = request.query.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(query, [("collect[]", "process"), ("collect[]", "a b"), ("flag", ""), ("bad", "\u{fffd}%zz")]);
        assert_eq!(decoded("/a%2Fb%zz%").unwrap().path, "/a/b%zz%");
        assert!(decoded("/%ff").unwrap_err().contains("UTF-8"));
    }
}
