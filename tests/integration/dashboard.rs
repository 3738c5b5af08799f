//! Runs every query of the dashboards in the real Prometheus that scraped the simulated host.

use std::time::Duration;

use campaign_exporter::catalog::Lang;

use crate::chain::Chain;
use crate::dashboard_static::{DASHBOARDS, queries};
use crate::support::wait_for;

/// How long a query may take to have data: a rate needs a second scrape.
const LIMIT: Duration = Duration::from_secs(30);

#[test]
fn every_query_of_the_dashboards_has_data_from_the_simulated_host() {
    let chain = Chain::start(Lang::En);
    let mut seen = 0;
    for dashboard in DASHBOARDS {
        for query in queries(dashboard) {
            let what = format!("data for {:?} of {dashboard}: {}", query.panel, query.expr);
            wait_for(&what, LIMIT, || match chain.prometheus.query(&query.expr) {
                Ok(series) if series.is_empty() => Err("no data".to_owned()),
                other => other,
            });
            seen += 1;
        }
    }
    assert!(seen > 10, "the dashboards have only {seen} queries");
}
