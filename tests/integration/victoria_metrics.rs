//! The rules in VictoriaMetrics: vmagent scrapes the exporter, vmalert judges by the shipped rules, all processes real.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use campaign_exporter::catalog::Lang;
use campaign_exporter::catalog::signals::{THEMES, alerts};

use crate::committed::project;
use crate::support::receiver::Receiver;
use crate::support::simulator::Simulator;
use crate::support::stack::{Alertmanager, Exporter, Pace, await_answer, concat_os, impatient_rules};
use crate::support::{Running, free_port, get_json, program, wait_for};

/// How long a notification may take.
const LIMIT: Duration = Duration::from_secs(120);

/// A program of VictoriaMetrics, and the address where it answers.
struct Program {
    process: Running,
    address: String,
}

impl Program {
    fn start(name: &str, folder: &Path, flags: &[std::ffi::OsString]) -> Self {
        let address = format!("127.0.0.1:{}", free_port());
        let mut command = Command::new(program(name, "victoria-metrics"));
        command.arg(format!("-httpListenAddr={address}")).args(flags);
        let process = Running::start(&mut command, &folder.join(format!("{name}.log")));
        await_answer(name, &format!("http://{address}/health"), &process);
        Self { process, address }
    }
}

/// Every rule that vmalert has: its name and what went wrong with its last evaluation.
fn rules(vmalert: &Program) -> Result<Vec<(String, String)>, String> {
    let answer = get_json(&format!("http://{}/api/v1/rules", vmalert.address), &[])?;
    let groups = answer["data"]["groups"].as_array().cloned().unwrap_or_default();
    let rules = groups.iter().flat_map(|group| group["rules"].as_array().cloned().unwrap_or_default());
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let evaluated = |rule: &serde_json::Value| !text(&rule["lastEvaluation"]).starts_with("0001");
    rules
        .map(
            |rule| {
                if evaluated(&rule) {
                    Ok((text(&rule["name"]), text(&rule["lastError"])))
                } else {
                    Err(rule.to_string())
                }
            },
        )
        .collect()
}

#[test]
fn vmalert_evaluates_every_rule_and_tells_of_a_killed_module() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let simulator = Simulator::start(folder, &[]);
    let exporter = Exporter::watch(folder, &simulator);
    let receiver = Receiver::start();
    let alertmanager = Alertmanager::start(folder, Pace::TEST, Some(&receiver.url()));
    let storage = Program::start(
        "victoria-metrics",
        folder,
        &[
            concat_os("-storageDataPath=", &folder.join("data")),
            // A sample counts as soon as it is there; else it would half a minute later.
            "-search.latencyOffset=0s".into(),
        ],
    );
    let scrapes = folder.join("scrape.yml");
    let text = format!(
        "global: {{scrape_interval: 1s}}\nscrape_configs:\n  - job_name: campaign\n    static_configs: [{{targets: ['{}']}}]\n",
        exporter.address
    );
    fs::write(&scrapes, text).unwrap();
    let _agent = Program::start(
        "vmagent",
        folder,
        &[
            concat_os("-promscrape.config=", &scrapes),
            concat_os("-remoteWrite.tmpDataPath=", &folder.join("agent")),
            format!("-remoteWrite.url=http://{}/api/v1/write", storage.address).into(),
        ],
    );
    let url = format!("http://{}", storage.address);
    let shipped = impatient_rules(folder, &project(&format!("alerts/{}/campaign.rules.yml", Lang::En.tag())));
    let vmalert = Program::start(
        "vmalert",
        folder,
        &[
            concat_os("-rule=", &shipped),
            format!("-datasource.url={url}").into(),
            format!("-remoteWrite.url={url}").into(),
            format!("-remoteRead.url={url}").into(),
            format!("-notifier.url=http://{}", alertmanager.address).into(),
            "-evaluationInterval=1s".into(),
        ],
    );

    simulator.fault(&["hold", "mta@prod"]);
    simulator.fault(&["die", "mta@prod"]);
    let told = receiver.wait_for("notification of vmalert", LIMIT, |one| one.is("firing", "CampaignMtaDown"));
    let summary = told.annotations["summary"].as_str().unwrap_or_default();
    assert_eq!(summary, format!("mta@prod is down on {}.", exporter.address));
    simulator.fault(&["unhold"]);
    receiver.wait_for("notification of vmalert", LIMIT, |one| one.is("resolved", "CampaignMtaDown"));

    let evaluated = wait_for("good evaluation of every rule", LIMIT, || {
        let rules = rules(&vmalert)?;
        let failed: Vec<_> = rules.iter().filter(|(_, error)| !error.is_empty()).collect();
        if failed.is_empty() { Ok(rules) } else { Err(format!("{failed:?}")) }
    });
    let expected = alerts().count() + THEMES.iter().map(|theme| theme.records.len()).sum::<usize>();
    assert_eq!(evaluated.len(), expected, "{}", vmalert.process.output());
}
