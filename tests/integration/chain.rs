//! The chain from a dead module to the operator's notification, with every process real: the simulated host, the
//! exporter, Prometheus with the shipped rules, Alertmanager and a receiver.

use std::path::Path;
use std::time::Duration;

use campaign_exporter::catalog::Lang;

use crate::committed::project;
use crate::specification;
use crate::support::receiver::Receiver;
use crate::support::simulator::Simulator;
use crate::support::stack::{Alertmanager, Exporter, Pace, Prometheus, impatient_rules};

/// How long a notification may take with the pace of tests.
const LIMIT: Duration = Duration::from_secs(150);

/// A simulated host that is watched up to a receiver's notifications.
pub(crate) struct Chain {
    pub(crate) receiver: Receiver,
    pub(crate) prometheus: Prometheus,
    _alertmanager: Alertmanager,
    _exporter: Exporter,
    pub(crate) simulator: Simulator,
    _folder: tempfile::TempDir,
}

impl Chain {
    /// Starts everything, with the shipped rules in `lang` that wait for nothing.
    pub(crate) fn start(lang: Lang) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let simulator = Simulator::start(path, &[]);
        let exporter = Exporter::watch(path, &simulator);
        let Operator { receiver, prometheus, _alertmanager } =
            Operator::start(path, Pace::TEST, lang, &exporter.address);
        Self { receiver, prometheus, _alertmanager, _exporter: exporter, simulator, _folder: folder }
    }

    /// Waits for the notification `status` of `alert`.
    #[track_caller]
    pub(crate) fn notified(&self, status: &str, alert: &str) -> crate::support::receiver::Notified {
        self.receiver.wait_for(&format!("notification: {alert} {status}"), LIMIT, |one| one.is(status, alert))
    }
}

/// The receiver of one exporter's alerts, in one language.
pub(crate) struct Operator {
    pub(crate) receiver: Receiver,
    pub(crate) prometheus: Prometheus,
    _alertmanager: Alertmanager,
}

impl Operator {
    /// Starts what is between the exporter at the address `exporter` and a receiver, with the shipped rules in `lang`
    /// that wait for nothing. The folder is for this operator's files alone, or for one operator's and a host's.
    pub(crate) fn start(folder: &Path, pace: Pace, lang: Lang, exporter: &str) -> Self {
        let rules = impatient_rules(folder, &project(&format!("alerts/{}/campaign.rules.yml", lang.tag())));
        let receiver = Receiver::start();
        let alertmanager = Alertmanager::start(folder, pace, Some(&receiver.url()));
        let prometheus = Prometheus::start(folder, pace, exporter, &alertmanager.address, &rules);
        prometheus.wait_for_target();
        Self { receiver, prometheus, _alertmanager: alertmanager }
    }
}

/// Dead modules, each with its alert.
const VICTIMS: [(&str, &str, &str); 3] = [
    ("mta", "mta@prod", "CampaignMtaDown"),
    ("syslogd", "syslogd@default", "CampaignSyslogdDown"),
    ("wfserver", "wfserver@prod", "CampaignWfserverDown"),
];

fn a_dead_module_reaches_the_operator(lang: Lang) {
    let chain = Chain::start(lang);
    chain.simulator.fault(&["hold"]);
    for (_, module, _) in VICTIMS {
        chain.simulator.fault(&["die", module]);
    }
    for (module, _, alert) in VICTIMS {
        let told = chain.notified("firing", alert);
        assert_eq!(told.labels["module"], module);
        assert_eq!(told.annotations["troubleshooting"], specification::troubleshooting(module, lang));
    }

    chain.simulator.fault(&["unhold"]);
    for (_, module, alert) in VICTIMS {
        chain.notified("resolved", alert);
        assert!(chain.simulator.running().contains_key(module), "{module} was restarted");
    }
    assert_eq!(chain.simulator.missing(), Vec::<String>::new());
}

#[test]
fn a_dead_module_reaches_the_operator_with_the_documented_text_in_english() {
    a_dead_module_reaches_the_operator(Lang::En);
}

#[test]
fn a_dead_module_reaches_the_operator_with_the_documented_text_in_portuguese() {
    a_dead_module_reaches_the_operator(Lang::PtBr);
}
