//! The chain from a line in a log to the operator's notification, with every process real: the simulated host writes
//! the line, the exporter reads it, Prometheus judges it by the shipped rules, Alertmanager notifies a receiver.

use std::collections::BTreeSet;
use std::time::Duration;

use campaign_exporter::catalog::Lang;
use campaign_exporter::catalog::alerts::logs;

use crate::chain::Chain;
use crate::specification;
use crate::support::wait_for;

/// How long it may take until a scrape has the logs.
const LIMIT: Duration = Duration::from_secs(150);

/// The modules that start when needed, each with the alert on its runs.
const UTILITIES: [(&str, &str); 3] =
    [("export", "CampaignExportFailed"), ("import", "CampaignImportFailed"), ("tracking", "CampaignTrackingFailed")];

/// The alerts on logs that the operator was told of.
fn told_of_logs(chain: &Chain) -> BTreeSet<&'static str> {
    let told = chain.receiver.notified();
    logs::ALERTS.iter().map(|alert| alert.name).filter(|name| told.iter().any(|one| one.is("firing", name))).collect()
}

/// Waits until Prometheus has a sample of `series` that is 0: an increase is seen from a first sample on.
#[track_caller]
fn has_no(chain: &Chain, series: &str) {
    wait_for(&format!("{series} of 0"), LIMIT, || match chain.prometheus.query(&format!("{series} == 0")) {
        Ok(found) if found.is_empty() => Err("no data".to_owned()),
        other => other,
    });
}

fn a_failing_run_reaches_the_operator(lang: Lang) {
    let chain = Chain::start(lang);
    for (module, alert) in UTILITIES {
        has_no(&chain, &format!("campaign_log_runs_total{{module=\"{module}\",outcome=\"failure\"}}"));
        chain.simulator.run_utility(module, "prod", true);
        // However soon a good one follows.
        chain.simulator.run_utility(module, "prod", false);
        let told = chain.notified("firing", alert);
        assert_eq!(told.labels["module"], module);
        assert_eq!(told.labels["campaign_instance"], "prod");
        assert_eq!(told.annotations["troubleshooting"], specification::troubleshooting(module, lang));
    }
    assert_eq!(told_of_logs(&chain), UTILITIES.map(|(_, alert)| alert).into(), "of nothing else that logs tell");
}

#[test]
fn a_failing_import_reaches_the_operator_with_the_documented_text_though_a_good_one_follows_in_english() {
    a_failing_run_reaches_the_operator(Lang::En);
}

#[test]
fn a_failing_import_reaches_the_operator_with_the_documented_text_though_a_good_one_follows_in_portuguese() {
    a_failing_run_reaches_the_operator(Lang::PtBr);
}

#[test]
fn session_errors_of_web_reach_the_operator_with_the_documented_text() {
    let chain = Chain::start(Lang::En);
    has_no(&chain, "campaign_log_problems_total{log=\"web\",problem=\"xtk_session\"}");
    assert_eq!(told_of_logs(&chain), BTreeSet::new());
    chain.simulator.fault(&["xtk-session", "5"]);
    let told = chain.notified("firing", "CampaignWebSessionErrors");
    assert_eq!(told.labels["module"], "web");
    assert_eq!(told.annotations["troubleshooting"], specification::troubleshooting("web", Lang::En));
}
