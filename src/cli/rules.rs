//! The flags of the command `rules`.

use clap::{Arg, ArgAction, ArgMatches};

use super::{flag, lang, lang_flag, one};
use crate::render::rules::DEFAULT_JOB;
use crate::render::rules::options::{self, Matcher, Options, RUNBOOKS, Runbooks};

/// The value of `--runbooks` that is no address.
const DOCUMENTATION: &str = "documentation";

pub(super) fn flags() -> Vec<Arg> {
    let one = |name: &'static str, value, help: &'static str| flag(name, help).value_name(value);
    let many = |name, value, help| one(name, value, help).action(ArgAction::Append);
    vec![
        lang_flag("The language of the rules' texts"),
        one("job", "NAME", "The job_name under which Prometheus scrapes the exporters")
            .value_parser(job)
            .default_value(DEFAULT_JOB),
        one("selector", "MATCHERS", "Matchers for every expression; several jobs: job=~\"a|b\"")
            .value_parser(options::selector),
        one("cluster-label", "LABEL", "The label that names the cluster, where there are several")
            .value_parser(options::label_name),
        many(
            "severity",
            "MATCHER=LEVEL",
            "Another severity, as in alertname=\"CampaignStatDown\"=warning; may be repeated",
        )
        .value_parser(options::severity),
        many("label", "NAME=VALUE", "A label for every alert, as in team=crm; may be repeated")
            .value_parser(options::label),
        many("threshold", "NAME=VALUE", "Another threshold, as in restarts=5; may be repeated")
            .value_parser(options::threshold),
        many("without", "GROUP|ALERT", "A group or an alert to leave out; may be repeated")
            .value_parser(options::without),
        one(
            "runbooks",
            "URL|documentation",
            "The URL of the runbook pages on your web server; \"documentation\" links to the product's own pages instead",
        )
        .default_value(RUNBOOKS),
        one("grafana-url", "URL", "The address of Grafana: each alert then links to a panel"),
        one("status-url", "URL", "The page of a host, as in http://{instance}/status: each alert then links to it"),
    ]
}

pub(super) fn options(flags: &ArgMatches) -> Options {
    let runbooks = one::<String>(flags, "runbooks").unwrap_or_default();
    Options {
        lang: lang(flags),
        job: one(flags, "job").unwrap_or_default(),
        selector: one::<Vec<Matcher>>(flags, "selector").unwrap_or_default(),
        cluster_label: one(flags, "cluster-label"),
        severities: all(flags, "severity"),
        labels: all(flags, "label").into_iter().collect(),
        thresholds: all(flags, "threshold").into_iter().collect(),
        without: all(flags, "without"),
        runbooks: if runbooks == DOCUMENTATION { Runbooks::Documentation } else { Runbooks::At(runbooks) },
        grafana_url: one(flags, "grafana-url"),
        status_url: one(flags, "status-url"),
    }
}

fn all<T: Clone + Send + Sync + 'static>(flags: &ArgMatches, id: &str) -> Vec<T> {
    flags.get_many::<T>(id).into_iter().flatten().cloned().collect()
}

fn job(text: &str) -> Result<String, String> {
    if text.is_empty() || text.chars().any(char::is_control) {
        return Err("write the job_name of the scrape configuration".into());
    }
    Ok(text.to_owned())
}
