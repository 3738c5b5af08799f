//! Which path gets which answer: connects the web server to the source of the metrics. Sockets and collectors are
//! handled elsewhere.

mod shared;

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use crate::catalog::Lang;
use crate::render::page::{PageOptions, REFRESH_SECONDS, STYLE, STYLE_PATH};
use crate::snapshot::{CONTENT_TYPE, Exposition};
use crate::web::{Body, BoxFuture, Handler, Request, Response, WriteBody};
use shared::SharedAnswers;

/// The health of the modules, for people; [`STATUS`] is the same.
pub const ROOT: &str = "/";
/// Answers 200 as long as the exporter runs.
pub const HEALTHY: &str = "/-/healthy";
/// Answers 200 once the exporter has metrics to give.
pub const READY: &str = "/-/ready";
/// The health of the modules, for people.
pub const STATUS: &str = "/status";
/// The metrics of one probe: `?target=NAME&module=NAME`, both of the configuration.
pub const PROBE: &str = "/probe";
/// Paths below this one are the exporter's own.
pub const RESERVED: &str = "/-/";

/// Prometheus' own default.
const DEFAULT_SCRAPE_TIMEOUT: Duration = Duration::from_secs(10);
const SHORTEST_BUDGET: Duration = Duration::from_millis(100);
const LONGEST_BUDGET: Duration = Duration::from_secs(120);

/// The collectors that a scrape asks for: `collect[]` and `exclude[]`, as given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Filter {
    /// Only these.
    pub collect: Vec<String>,
    /// All but these.
    pub exclude: Vec<String>,
}

/// Why there are no metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScrapeError {
    /// A bad request: status 400, and what is wrong with it.
    Refused(String),
    /// A failure of the exporter: status 500, and the reason.
    Failed(String),
}

/// Something that gathers the metrics of this moment.
pub trait Scrape: Send + Sync {
    /// Whether there are metrics to give: decides on [`READY`].
    fn is_ready(&self) -> bool;

    /// The metrics of the selected collectors in the Prometheus text format 0.0.4, within `budget`.
    ///
    /// # Errors
    /// An unknown collector, or both a choice and an exclusion; or a defect.
    fn scrape(&self, filter: Filter, budget: Duration) -> BoxFuture<'_, Result<Body, ScrapeError>>;

    /// The metrics of one probe of one configured target, within `budget`.
    ///
    /// # Errors
    /// An unknown target or module; or a defect.
    fn probe(&self, target: String, module: String, budget: Duration) -> BoxFuture<'_, Result<Body, ScrapeError>>;

    /// The page at [`ROOT`] and [`STATUS`].
    fn page<'a>(&'a self, lang: Lang, options: PageOptions<'a>) -> BoxFuture<'a, String>;
}

/// How scrapes are answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServeOptions {
    /// Where the metrics are.
    pub telemetry_path: String,
    /// How many scrapes and status pages may be under way at once, and how many probes; 0 for any number.
    pub max_requests: usize,
    /// What is left of Prometheus' scrape timeout for the way back.
    pub timeout_offset: Duration,
}

impl WriteBody for Exposition {
    fn size(&self) -> usize {
        self.size()
    }

    fn write_to(&self, to: &mut dyn io::Write) -> io::Result<()> {
        self.write_to(to)
    }
}

/// The function that answers every path.
#[must_use]
pub fn answer(options: ServeOptions, scrape: Arc<dyn Scrape>) -> Handler {
    let most = match options.max_requests {
        0 => Semaphore::MAX_PERMITS,
        most => most.min(Semaphore::MAX_PERMITS),
    };
    let (places, probe_places) = (Semaphore::new(most), Semaphore::new(most));
    let router = Arc::new(Router { options, scrape, scrapes: SharedAnswers::default(), places, probe_places });
    Arc::new(move |request| {
        let router = Arc::clone(&router);
        Box::pin(async move { router.answer(request).await })
    })
}

struct Router {
    options: ServeOptions,
    scrape: Arc<dyn Scrape>,
    /// By filter and budget, so that no answer lacks what another request had no time for.
    scrapes: SharedAnswers<(Filter, Duration), Response>,
    places: Semaphore,
    /// Probes wait for other hosts: they must not keep this one's metrics waiting.
    probe_places: Semaphore,
}

impl Router {
    async fn answer(&self, request: Request) -> Response {
        match request.path.as_str() {
            path if path == self.options.telemetry_path => self.in_place(&self.places, request).await,
            ROOT | STATUS => self.in_place(&self.places, request).await,
            PROBE => self.in_place(&self.probe_places, request).await,
            path if path.strip_prefix('/') == Some(STYLE_PATH) => Response {
                status: 200,
                content_type: "text/css; charset=utf-8",
                body: STYLE.into(),
                headers: vec![("cache-control", "max-age=3600")],
            },
            HEALTHY => Response::text(200, "Healthy."),
            READY if self.scrape.is_ready() => Response::text(200, "Ready."),
            READY => Response::text(503, "Not ready: the first look at the host is not done."),
            _ => Response::text(404, format!("Nothing is here; the metrics are at {}.", self.options.telemetry_path)),
        }
    }

    /// Bounds the number of requests that look at the host at once.
    async fn in_place(&self, places: &Semaphore, request: Request) -> Response {
        let Ok(_place) = places.try_acquire() else {
            let most = self.options.max_requests;
            return Response::text(
                503,
                format!("{most} requests of this kind are under way, and --web.max-requests allows no more: scrape less often, or raise it."),
            )
            .with("retry-after", "5");
        };
        match request.path.as_str() {
            ROOT | STATUS => self.page(request).await,
            PROBE => self.probe(request).await,
            _ => self.scrape(request).await,
        }
    }

    /// Reloading by a header needs no script; `refresh=off` is for readers who need more time.
    async fn page(&self, request: Request) -> Response {
        let lang = language(&request);
        let refreshes = !request.query.iter().any(|(name, value)| name == "refresh" && value == "off");
        let options = PageOptions { refreshes, telemetry_path: &self.options.telemetry_path };
        let response = Response::html(200, self.scrape.page(lang, options).await)
            .with("cache-control", "no-store")
            .with("content-language", lang.tag())
            .with("vary", "accept-language");
        if refreshes { response.with("refresh", REFRESH_SECONDS) } else { response }
    }

    async fn probe(&self, request: Request) -> Response {
        let asked =
            |wanted: &str| request.query.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone());
        let (Some(target), Some(module)) = (asked("target"), asked("module")) else {
            return Response::text(
                400,
                format!("Name both: {PROBE}?target=NAME&module=NAME, as the configuration does."),
            );
        };
        metrics(self.scrape.probe(target, module, self.budget(&request)).await)
    }

    async fn scrape(&self, request: Request) -> Response {
        let budget = self.budget(&request);
        let mut filter = Filter::default();
        for (name, value) in request.query {
            match name.as_str() {
                "collect[]" => filter.collect.push(value),
                "exclude[]" => filter.exclude.push(value),
                // A scrape configuration may add parameters of its own.
                _ => {}
            }
        }
        let (scrape, due) = (Arc::clone(&self.scrape), Instant::now() + budget);
        let make = {
            let filter = filter.clone();
            move || async move {
                // The first of these requests may have waited for the previous answer.
                metrics(scrape.scrape(filter, due.saturating_duration_since(Instant::now())).await)
            }
        };
        let answer = self.scrapes.get((filter, budget), make).await;
        answer.unwrap_or_else(|| Response::text(500, "A defect of the exporter: its log has the details."))
    }

    fn budget(&self, request: &Request) -> Duration {
        budget(request.scrape_timeout, self.options.timeout_offset)
    }
}

/// An answer in the text format, or why there is none.
fn metrics(result: Result<Body, ScrapeError>) -> Response {
    match result {
        Ok(body) => Response { status: 200, content_type: CONTENT_TYPE, body, headers: Vec::new() },
        Err(ScrapeError::Refused(refusal)) => Response::text(400, refusal),
        Err(ScrapeError::Failed(failure)) => Response::text(500, failure),
    }
}

/// The language that `lang=` asks for, else the one that `Accept-Language` (RFC 9110, 12.5.4) prefers.
fn language(request: &Request) -> Lang {
    let asked = |lang: &Lang| request.query.iter().any(|(name, value)| name == "lang" && value == lang.tag());
    let primary = |tag: &str| tag.split('-').next().unwrap_or_default().to_ascii_lowercase();
    let ranges = request.accept_language.split(',').map(|range| {
        let (tag, weight) = range.split_once(';').unwrap_or((range, ""));
        let weight = weight.trim().strip_prefix("q=").map_or(1.0, |weight| weight.parse().unwrap_or(0.0));
        (primary(tag.trim()), weight)
    });
    let accepted = ranges.filter_map(|(language, weight): (String, f32)| {
        let lang = Lang::ALL.into_iter().find(|lang| primary(lang.tag()) == language)?;
        (weight > 0.0).then_some((lang, weight))
    });
    // The first of equals counts.
    let best = accepted.reduce(|best, other| if other.1 > best.1 { other } else { best });
    Lang::ALL.into_iter().find(asked).or(best.map(|(lang, _)| lang)).unwrap_or(Lang::En)
}

/// How long a scrape may take.
fn budget(scrape_timeout: Option<Duration>, offset: Duration) -> Duration {
    scrape_timeout.unwrap_or(DEFAULT_SCRAPE_TIMEOUT).saturating_sub(offset).clamp(SHORTEST_BUDGET, LONGEST_BUDGET)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicBool, Ordering};

    use tokio::sync::Notify;

    use super::*;

    /// Answers with the request, when the test lets it.
    #[derive(Default)]
    struct Echo {
        ready: AtomicBool,
        hold: Option<Arc<Notify>>,
        asked: Mutex<Vec<(Filter, Duration)>>,
    }

    impl Scrape for Echo {
        fn is_ready(&self) -> bool {
            self.ready.load(Ordering::Relaxed)
        }

        fn scrape(&self, filter: Filter, budget: Duration) -> BoxFuture<'_, Result<Body, ScrapeError>> {
            Box::pin(async move {
                self.asked.lock().unwrap().push((filter.clone(), budget));
                if let Some(hold) = &self.hold {
                    hold.notified().await;
                }
                match filter.collect.first().map(String::as_str) {
                    Some("nonsense") => Err(ScrapeError::Refused("no such collector".into())),
                    Some("broken") => Err(ScrapeError::Failed("a defect".into())),
                    _ => Ok("up 1\n".into()),
                }
            })
        }

        fn probe(&self, target: String, module: String, budget: Duration) -> BoxFuture<'_, Result<Body, ScrapeError>> {
            Box::pin(async move {
                if target == "hangs" {
                    std::future::pending::<()>().await;
                }
                if target == "known" {
                    Ok(format!("{module} {budget:?}").into())
                } else {
                    Err(ScrapeError::Refused("unknown".to_owned()))
                }
            })
        }

        fn page<'a>(&'a self, lang: Lang, options: PageOptions<'a>) -> BoxFuture<'a, String> {
            Box::pin(async move { format!("{} {} {}", lang.tag(), options.refreshes, options.telemetry_path) })
        }
    }

    fn options() -> ServeOptions {
        ServeOptions { telemetry_path: "/m".into(), max_requests: 1, timeout_offset: Duration::from_millis(250) }
    }

    fn request(path: &str, query: &[(&str, &str)]) -> Request {
        let query = query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Request { path: path.into(), query, scrape_timeout: None, accept_language: String::new() }
    }

    #[tokio::test]
    async fn every_path_has_its_answer() {
        let echo = Arc::new(Echo::default());
        let answer = answer(options(), Arc::clone(&echo) as Arc<dyn Scrape>);
        let status = async |path: &str| answer(request(path, &[])).await.status;
        assert_eq!(status("/m").await, 200);
        assert_eq!(status("/-/healthy").await, 200);
        assert_eq!(status("/-/ready").await, 503);
        echo.ready.store(true, Ordering::Relaxed);
        assert_eq!(status("/-/ready").await, 200);
        for path in ["/metrics", "/m/", "/-/", "", "//", "/M"] {
            assert_eq!(status(path).await, 404, "{path}");
        }
        for path in ["/", "/status"] {
            for (query, page) in [
                (&[][..], "en true /m"),
                (&[("lang", "pt-BR")], "pt-BR true /m"),
                (&[("lang", "x"), ("refresh", "off")], "en false /m"),
            ] {
                let page_of = answer(request(path, query)).await;
                assert_eq!((page_of.status, page_of.content_type), (200, "text/html; charset=utf-8"));
                assert_eq!(&page_of.body[..], page.as_bytes());
                assert_eq!(page_of.headers.iter().any(|(name, _)| *name == "refresh"), page.contains("true"));
            }
        }
        let style = answer(request("/-/style.css", &[])).await;
        assert_eq!((style.status, style.content_type), (200, "text/css; charset=utf-8"));
        let probe = async |query: &[(&str, &str)]| {
            let response = answer(request("/probe", query)).await;
            (response.status, String::from_utf8(response.body.to_vec()).unwrap())
        };
        assert_eq!(probe(&[("target", "known"), ("module", "ping")]).await, (200, "ping 9.75s".to_owned()));
        assert_eq!(probe(&[("target", "other"), ("module", "ping")]).await, (400, "unknown\n".to_owned()));
        assert_eq!(probe(&[("target", "known")]).await.0, 400);
        let metrics = answer(request("/m", &[])).await;
        assert_eq!((metrics.content_type, &metrics.body[..]), (CONTENT_TYPE, &b"up 1\n"[..]));
    }

    #[tokio::test]
    async fn the_selection_and_the_budget_reach_the_scrape() {
        let echo = Arc::new(Echo::default());
        let answer = answer(options(), Arc::clone(&echo) as Arc<dyn Scrape>);
        let mut asking = request("/m", &[("collect[]", "a"), ("other", "x"), ("exclude[]", "c"), ("collect[]", "b")]);
        asking.scrape_timeout = Some(Duration::from_secs(2));
        answer(asking).await;
        let refused = answer(request("/m", &[("collect[]", "nonsense")])).await;
        assert_eq!((refused.status, &refused.body[..]), (400, &b"no such collector\n"[..]));
        assert_eq!(answer(request("/m", &[("collect[]", "broken")])).await.status, 500);
        let asked = echo.asked.lock().unwrap();
        let expected = Filter { collect: vec!["a".into(), "b".into()], exclude: vec!["c".into()] };
        assert_eq!(asked[0].0, expected);
        assert!((Duration::from_millis(1000)..=Duration::from_millis(1750)).contains(&asked[0].1), "{:?}", asked[0].1);
    }

    #[tokio::test]
    async fn more_scrapes_than_allowed_are_refused_with_a_remedy_and_nothing_else_is() {
        let hold = Arc::new(Notify::new());
        let echo = Arc::new(Echo { hold: Some(Arc::clone(&hold)), ..Echo::default() });
        let answer = answer(options(), Arc::clone(&echo) as Arc<dyn Scrape>);
        let mut first = answer(request("/m", &[]));
        // Polled once, it is under way.
        assert!(std::future::poll_fn(|cx| std::task::Poll::Ready(first.as_mut().poll(cx).is_pending())).await);
        let refused = answer(request("/m", &[])).await;
        assert_eq!(refused.status, 503);
        assert!(String::from_utf8_lossy(&refused.body).contains("--web.max-requests"));
        assert_eq!(answer(request("/-/healthy", &[])).await.status, 200);
        hold.notify_one();
        assert_eq!(first.await.status, 200);
        hold.notify_one();
        assert_eq!(answer(request("/m", &[])).await.status, 200, "the place is free again");
    }

    #[tokio::test]
    async fn probes_that_hang_take_the_places_of_probes_alone() {
        let answer = answer(options(), Arc::new(Echo::default()));
        let hanging = || answer(request("/probe", &[("target", "hangs"), ("module", "ping")]));
        let mut first = hanging();
        assert!(std::future::poll_fn(|cx| std::task::Poll::Ready(first.as_mut().poll(cx).is_pending())).await);
        assert_eq!(hanging().await.status, 503);
        assert_eq!(answer(request("/m", &[])).await.status, 200);
    }

    #[tokio::test]
    async fn no_limit_means_none() {
        let hold = Arc::new(Notify::new());
        let echo = Arc::new(Echo { hold: Some(hold), ..Echo::default() });
        let options = ServeOptions { max_requests: 0, ..options() };
        let answer = answer(options, Arc::clone(&echo) as Arc<dyn Scrape>);
        let mut scrapes: Vec<_> = (0..1000).map(|_| answer(request("/m", &[]))).collect();
        for scrape in &mut scrapes {
            assert!(std::future::poll_fn(|cx| std::task::Poll::Ready(scrape.as_mut().poll(cx).is_pending())).await);
        }
    }

    #[test]
    fn the_page_is_in_the_language_that_the_browser_likes_best() {
        for (accepted, expected) in [
            ("", Lang::En),
            ("pt-BR,pt;q=0.9,en-US;q=0.8", Lang::PtBr),
            ("pt", Lang::PtBr),
            ("fr, PT-pt;q=0.5", Lang::PtBr),
            ("en-US,pt-BR;q=0.9", Lang::En),
            ("en;q=0.1, pt-BR;q=0.2", Lang::PtBr),
            ("en, pt", Lang::En),
            ("pt;q=0, en;q=0.1", Lang::En),
            ("pt;q=x", Lang::En),
            ("de", Lang::En),
        ] {
            let asking = |query| Request { accept_language: accepted.into(), ..request("/", query) };
            assert_eq!(language(&asking(&[])), expected, "{accepted}");
            assert_eq!(language(&asking(&[("lang", "pt-BR")])), Lang::PtBr, "{accepted}: the switch counts more");
            assert_eq!(language(&asking(&[("lang", "en")])), Lang::En, "{accepted}: the switch counts more");
        }
    }

    #[test]
    fn the_budget_is_the_scrape_timeout_less_the_offset_within_bounds() {
        let ms = Duration::from_millis;
        for (timeout, offset, expected) in [
            (None, ms(250), ms(9750)),
            (Some(ms(5000)), ms(500), ms(4500)),
            (Some(ms(5000)), ms(0), ms(5000)),
            (Some(ms(50)), ms(0), ms(100)),
            (Some(ms(200)), ms(250), ms(100)),
            (Some(Duration::MAX), ms(250), ms(120_000)),
        ] {
            assert_eq!(budget(timeout, offset), expected, "{timeout:?} less {offset:?}");
        }
    }
}
