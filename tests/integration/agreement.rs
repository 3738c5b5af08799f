//! Holds what the exporter says of the modules to what the simulated host itself says of them.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::support::simulator::Simulator;
use crate::support::stack::{Exporter, Metrics};

/// The residents that a step may act on; the last ones are not configured to start.
const MODULES: [&str; 15] = [
    "syslogd@default",
    "trackinglogd@default",
    "web@default",
    "mta@prod",
    "stat@prod",
    "inMail@prod",
    "wfserver@prod",
    "mta@dev",
    "stat@dev",
    "inMail@dev",
    "wfserver@dev",
    "sms@prod",
    "pipelined@prod",
    "interactiond@dev",
    "archiving@dev",
];

const INSTANCES: [&str; 3] = ["@default", "@prod", "@dev"];

const STEPS: usize = 200;

/// What a metric says of each module: `mta@prod` -> value.
fn by_module(metrics: &Metrics, metric: &str) -> BTreeMap<String, f64> {
    let series = metrics.series(metric).into_iter();
    series
        .map(|(series, value)| {
            let label = |name: &str| series.split(&format!("{name}=\"")).nth(1).unwrap().split('"').next().unwrap();
            (format!("{}@{}", label("module"), label("campaign_instance")), value)
        })
        .collect()
}

#[test]
fn two_hundred_random_starts_and_stops_are_seen_as_the_host_sees_them() {
    let folder = tempfile::tempdir().unwrap();
    let simulator = Simulator::start(folder.path(), &["--instances", "prod,dev"]);
    let exporter = Exporter::watch(folder.path(), &simulator);

    let step = (prop::sample::select(&["start", "stop", "restart"][..]), prop::sample::select(&MODULES[..]));
    // The runner is seeded: the same steps in every run.
    let steps = prop::collection::vec(step, STEPS).new_tree(&mut TestRunner::deterministic()).unwrap().current();
    assert_eq!(steps.len(), STEPS);

    for (number, (verb, module)) in steps.into_iter().enumerate() {
        simulator.nlserver(&[verb, module]);
        let metrics = exporter.metrics();
        let (expected, up) =
            (by_module(&metrics, "campaign_module_expected"), by_module(&metrics, "campaign_module_up"));
        let context = format!("after step {number}: {verb} {module}");

        let running = simulator.running();
        // Another test's process, which belongs to no installation, counts as this one's.
        let ours = |name: &str| INSTANCES.iter().any(|instance| name.ends_with(instance));
        for (name, up) in up.iter().filter(|(name, _)| ours(name)) {
            let name = name.strip_suffix("@default").filter(|name| *name == "watchdog").unwrap_or(name);
            assert_eq!(*up > 0.0, running.contains_key(name), "{name} {context}");
        }
        let residents = running.keys().filter(|name| MODULES.contains(&name.as_str()));
        for name in residents {
            assert_eq!(up.get(name), Some(&1.0), "{name} runs {context}");
        }

        let down = |name: &String| up.get(name).is_none_or(|up| *up == 0.0);
        let missing: Vec<_> = expected
            .iter()
            .filter(|(name, expected)| **expected > 0.0 && down(name))
            .map(|(name, _)| name.clone())
            .collect();
        let mut told = simulator.missing();
        told.sort();
        assert_eq!(missing, told, "{context}");
    }
}
