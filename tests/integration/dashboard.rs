//! Runs every query of the dashboards in the real Prometheus that scraped the simulated host.

use std::fs;
use std::path::Path;
use std::time::Duration;

use campaign_exporter::catalog::Lang;

use crate::chain::Operator;
use crate::committed::project;
use crate::dashboard_static::{DASHBOARDS, queries};
use crate::support::simulator::Simulator;
use crate::support::stack::{Exporter, Pace, concat_os};
use crate::support::wait_for;

/// How long a query may take to have data: a rate needs a second scrape, and every end point its first probe.
const LIMIT: Duration = Duration::from_secs(150);

/// A host with everything that a dashboard can show, in trouble where only trouble has a series; and its exporter.
fn everything(folder: &Path) -> (Simulator, Exporter) {
    let simulator = Simulator::start(folder, &["--autostart", "mta,stat,inMail,wfserver,pipelined"]);
    simulator.run_utility("import", "prod", true);
    simulator.fault(&["spool", "prod", "3"]);
    simulator.fault(&["answer", "mcping", "full:400/400"]);
    let (web, pipelined) = (simulator.port("web.httpPort"), simulator.port("pipelined@prod.monitorServerPort"));
    let token = simulator.session_token_file(folder);
    let probes = folder.join("probes.yml");
    let text = format!(
        "targets:\n  - name: front1\n    url: http://127.0.0.1:{web}\n    probes: [redirection, ping, message_center]\n    \
         session_token_file: {}\n    session_token_header: X-Session-Token\n  \
         - name: pipeline\n    url: http://127.0.0.1:{pipelined}\n    probes: [pipelined]\n    paths: {{pipelined: /status}}\n  \
         - name: nobody\n    url: http://127.0.0.1:1\n    probes: [redirection]\n",
        token.display()
    );
    fs::write(&probes, text).unwrap();
    let flags = [
        concat_os("--config.file=", &probes),
        concat_os("--collector.indicators.directory=", &project("tests/fixtures/indicators")),
        "--log.start=beginning".into(),
    ];
    let exporter = Exporter::watch_with(folder, &simulator, &flags);
    (simulator, exporter)
}

#[test]
fn every_query_of_the_dashboards_has_data_from_the_simulated_host() {
    let folder = tempfile::tempdir().unwrap();
    let (_simulator, exporter) = everything(folder.path());
    let operator = Operator::start(folder.path(), Pace::TEST, Lang::En, &exporter.address);
    let mut seen = 0;
    for dashboard in DASHBOARDS {
        for query in queries(dashboard) {
            let what = format!("data for {:?} of {dashboard}: {}", query.panel, query.expr);
            wait_for(&what, LIMIT, || match operator.prometheus.query(&query.expr) {
                Ok(series) if series.is_empty() => Err("no data".to_owned()),
                other => other,
            });
            seen += 1;
        }
    }
    assert!(seen > 10, "the dashboards have only {seen} queries");
}
