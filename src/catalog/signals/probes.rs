//! What the end points of the product answer: redirection, ping, the Message Center queue, the pipelined status.
//!
//! The end points, what they answer and how often they may be probed come from the page "Monitoring processes" of the
//! product documentation; the pipelined indicators from the page "Pipeline monitoring". `source::probes` sends the
//! requests.

use std::time::Duration;

use super::{Theme, define_metrics};
use crate::catalog::modules::WEB;
use crate::catalog::{CheckDef, MetricDef, Module, Text, alerts};

/// Something that can be probed over HTTP: a value of the label `probe`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Probe {
    /// The redirection server: `/r/test`.
    Redirection,
    /// Web server, Tomcat, application server and database in one: `/nl/jsp/ping.jsp`.
    Ping,
    /// The Message Center queue: `/nl/jsp/mcPing.jsp`.
    MessageCenter,
    /// The status page of the pipelined module.
    Pipelined,
}

impl Probe {
    /// Every probe, in the order of the documentation.
    pub const ALL: [Probe; 4] = [Probe::Redirection, Probe::Ping, Probe::MessageCenter, Probe::Pipelined];

    /// The label value, and its name in the configuration file.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Probe::Redirection => "redirection",
            Probe::Ping => "ping",
            Probe::MessageCenter => "message_center",
            Probe::Pipelined => "pipelined",
        }
    }

    /// The probe that `label` names.
    #[must_use]
    pub fn named(label: &str) -> Option<Probe> {
        Probe::ALL.into_iter().find(|probe| probe.label() == label)
    }

    /// The documented path; none where the documentation we follow names none.
    #[must_use]
    pub const fn path(self) -> Option<&'static str> {
        match self {
            Probe::Redirection => Some("/r/test"),
            Probe::Ping => Some("/nl/jsp/ping.jsp"),
            Probe::MessageCenter => Some("/nl/jsp/mcPing.jsp"),
            Probe::Pipelined => Some("/pipelined/status"),
        }
    }

    /// How often it may be probed at most, as documented; where nothing is documented, as rarely as the pages.
    #[must_use]
    pub const fn shortest_interval(self) -> Duration {
        match self {
            Probe::Redirection => Duration::from_secs(1),
            Probe::Ping | Probe::MessageCenter => Duration::from_secs(60),
            Probe::Pipelined => Duration::from_secs(10),
        }
    }

    /// How often it is probed unless the configuration says otherwise.
    #[must_use]
    pub const fn usual_interval(self) -> Duration {
        match self {
            Probe::Redirection => Duration::from_secs(15),
            Probe::Ping | Probe::MessageCenter | Probe::Pipelined => Duration::from_secs(60),
        }
    }

    /// Whether the documentation asks for a session token there: it is sent nowhere else.
    #[must_use]
    pub const fn takes_session_token(self) -> bool {
        matches!(self, Probe::Ping | Probe::MessageCenter)
    }
}

/// Why a probe failed: a value of the label `reason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// The host name has no address.
    Dns,
    /// No connection, or one that broke.
    Connect,
    /// No TLS session, or a certificate that is not to be trusted.
    Tls,
    /// It took longer than allowed.
    Timeout,
    /// An HTTP status other than 200; redirects are not followed.
    Status,
    /// An answer that is too large, not understood, or reports an error.
    Body,
    /// The session token could not be read; no request was sent.
    Token,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Reason; 7] =
        [Reason::Dns, Reason::Connect, Reason::Tls, Reason::Timeout, Reason::Status, Reason::Body, Reason::Token];

    /// The label value.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Reason::Dns => "dns",
            Reason::Connect => "connect",
            Reason::Tls => "tls",
            Reason::Timeout => "timeout",
            Reason::Status => "status",
            Reason::Body => "body",
            Reason::Token => "token",
        }
    }
}

/// The label `target` of the probe that needs no configuration: the redirection server of this host.
pub const LOCAL_TARGET: &str = "localhost";

/// The module whose status page the probe [`Probe::Pipelined`] asks for.
pub const PIPELINED_MODULE: &str = "pipelined";
/// The module that serves the end points of a host.
pub static SERVING_MODULE: &Module = &WEB;

/// The check of [`SERVING_MODULE`] that judges the port where it serves them.
pub const SERVING_PORT_CHECK: &str = "http_port";

/// The documented indicators of the pipelined status page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PipelinedIndicator {
    /// Its key in the answer.
    pub key: &'static str,
    /// The metric; its label is the target.
    pub metric: &'static MetricDef,
    /// How the values of several threads become one.
    pub merge: Merge,
    /// What it is in the answer.
    pub unit: Unit,
}

/// How the values of several threads become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merge {
    /// They add up.
    Sum,
    /// The largest counts.
    Max,
}

/// What an indicator's number is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// The metric's own unit.
    Same,
    /// Milliseconds before the answer; the metric has the time itself.
    MillisecondsAgo,
}

impl Unit {
    /// The largest number that can be meant, in the unit of the answer: beyond ten years, or a quintillion, it is an error.
    #[must_use]
    pub const fn largest(self) -> f64 {
        match self {
            Unit::Same => 1e18,
            Unit::MillisecondsAgo => 10.0 * 365.0 * 86_400_000.0,
        }
    }
}

/// The indicators, in the order of the documentation.
pub static PIPELINED_INDICATORS: &[PipelinedIndicator] = &[
    indicator("last-alive-ms-ago", &PIPELINED_LAST_ALIVE, Merge::Max, Unit::MillisecondsAgo),
    indicator("bytes-read", &PIPELINED_READ_BYTES, Merge::Sum, Unit::Same),
    indicator("current-messages", &PIPELINED_CURRENT_MESSAGES, Merge::Sum, Unit::Same),
    indicator("current-retries", &PIPELINED_CURRENT_RETRIES, Merge::Sum, Unit::Same),
    indicator("peak-messages", &PIPELINED_PEAK_MESSAGES, Merge::Max, Unit::Same),
    indicator("pointer-flushes", &PIPELINED_POINTER_FLUSHES, Merge::Sum, Unit::Same),
    indicator("trigger-discarded", &PIPELINED_TRIGGERS_DISCARDED, Merge::Sum, Unit::Same),
    indicator("trigger-failures", &PIPELINED_TRIGGER_FAILURES, Merge::Sum, Unit::Same),
    indicator("trigger-processed", &PIPELINED_TRIGGERS_PROCESSED, Merge::Sum, Unit::Same),
    indicator("trigger-received", &PIPELINED_TRIGGERS_RECEIVED, Merge::Sum, Unit::Same),
];

const fn indicator(key: &'static str, metric: &'static MetricDef, merge: Merge, unit: Unit) -> PipelinedIndicator {
    PipelinedIndicator { key, metric, merge, unit }
}

define_metrics! {
    PROBE_TARGET_INFO: Gauge "campaign_probe_target_info" [target, url, this_host]
        "Always 1: what a target of the probes is, and whether it is this host (yes, no): only those count for this host's checks.";
    PROBE_SUCCESS: Gauge "campaign_probe_success" [probe, target]
        "1 when the last probe got the documented answer that all is well, else 0. Absent before the first probe, and when the last one is too old to judge by.";
    PROBE_DURATION: Gauge "campaign_probe_duration_seconds" [probe, target]
        "How long the last probe took, in seconds.";
    PROBE_LAST_RUN: Gauge "campaign_probe_last_run_timestamp_seconds" [probe, target]
        "When the last probe started, in seconds since 1970-01-01 UTC. Probes have their own schedule; a scrape shows the last result.";
    PROBE_HTTP_STATUS: Gauge "campaign_probe_http_status_code" [probe, target]
        "The HTTP status of the last probe's answer. Absent when there was none.";
    PROBE_FAILURE_INFO: Gauge "campaign_probe_failure_info" [probe, target, reason]
        "Always 1: why the last probe failed (dns, connect, tls, timeout, status, body, token). Absent when it did not.";
    PROBE_RUNS: Counter "campaign_probe_runs_total" [probe, target]
        "Probes made, successful or not.";
    PROBE_FAILURES: Counter "campaign_probe_failures_total" [probe, target, reason]
        "Probes that failed, by reason: dns, connect, tls, timeout, status, body, token.";
    REDIRECTION_INFO: Gauge "campaign_redirection_info" [target, build, version, sha1, host, local_host]
        "Always 1: what the redirection server reports about itself; what it leaves out is empty. Absent while the probe fails.";
    MESSAGE_CENTER_PENDING_EVENTS: Gauge "campaign_message_center_pending_events" [target]
        "Events in the Message Center queue.";
    MESSAGE_CENTER_QUEUE_CAPACITY: Gauge "campaign_message_center_queue_capacity" [target]
        "Events that the Message Center queue can hold, as the server reports it.";
    MESSAGE_CENTER_QUEUE_FULL: Gauge "campaign_message_center_queue_full" [target]
        "1 when the server reports that the Message Center queue is full, 0 when it reports that all is well, absent when it reports neither.";
    PIPELINED_LAST_ALIVE: Gauge "campaign_pipelined_last_alive_timestamp_seconds" [target]
        "When pipelined last checked its connection, in seconds since 1970-01-01 UTC (last-alive-ms-ago).";
    PIPELINED_READ_BYTES: Counter "campaign_pipelined_read_bytes_total" [target]
        "Bytes read from the pipeline since the process started (bytes-read).";
    PIPELINED_CURRENT_MESSAGES: Gauge "campaign_pipelined_current_messages" [target]
        "Messages waiting to be processed; should be near 0 (current-messages).";
    PIPELINED_CURRENT_RETRIES: Gauge "campaign_pipelined_current_retries" [target]
        "Messages whose processing failed and that will be tried again (current-retries).";
    PIPELINED_PEAK_MESSAGES: Gauge "campaign_pipelined_peak_messages" [target]
        "The most messages that waited at one time since the process started (peak-messages).";
    PIPELINED_POINTER_FLUSHES: Counter "campaign_pipelined_pointer_flushes_total" [target]
        "Batches of messages processed since the process started (pointer-flushes).";
    PIPELINED_TRIGGERS_DISCARDED: Counter "campaign_pipelined_triggers_discarded_total" [target]
        "Messages given up after too many failed attempts; should stay 0 (trigger-discarded).";
    PIPELINED_TRIGGER_FAILURES: Counter "campaign_pipelined_trigger_failures_total" [target]
        "Processing errors in the JavaScript; should stay 0 (trigger-failures).";
    PIPELINED_TRIGGERS_PROCESSED: Counter "campaign_pipelined_triggers_processed_total" [target]
        "Messages processed without an error (trigger-processed).";
    PIPELINED_TRIGGERS_RECEIVED: Counter "campaign_pipelined_triggers_received_total" [target]
        "Messages received from the pipeline (trigger-received).";
}

/// The redirection server answers.
pub static REDIRECTION: CheckDef = CheckDef {
    name: "redirection",
    title: Text { en: "redirection", pt_br: "redirecionamento" },
    passes_when: Text {
        en: "/r/test on this host answers the status OK.",
        pt_br: "/r/test neste servidor responde com o status OK.",
    },
    next_steps: Text {
        en: "Try it yourself, on this host: curl -i http://localhost/r/test\nCheck that the web server (httpd or apache2) runs.\nRead the end of var/default/log/webmdl.log.",
        pt_br: "Teste você mesmo, neste servidor: curl -i http://localhost/r/test\nVerifique se o servidor web (httpd ou apache2) está em execução.\nLeia o final de var/default/log/webmdl.log.",
    },
};

/// The application server answers, with its database.
pub static PING: CheckDef = CheckDef {
    name: "ping",
    title: Text { en: "ping", pt_br: "ping" },
    passes_when: Text {
        en: "/nl/jsp/ping.jsp on this host answers OK, which takes the web server, Tomcat, the module and its database.",
        pt_br: "/nl/jsp/ping.jsp neste servidor responde OK, o que exige o servidor web, o Tomcat, o módulo e o banco de dados.",
    },
    next_steps: Text {
        en: "Check that the web server and the database answer: ping.jsp needs both.\nRead the end of {log}.\nRestart the module: {restart}",
        pt_br: "Verifique se o servidor web e o banco de dados respondem: o ping.jsp precisa de ambos.\nLeia o final de {log}.\nReinicie o módulo: {restart}",
    },
};

/// The checks of this theme.
pub static CHECKS: &[&CheckDef] = &[&REDIRECTION, &PING];

/// This theme.
pub(super) const THEME: Theme = Theme {
    title: "Probes, Message Center and pipelined",
    group: "campaign_probes",
    interval: "",
    metrics: METRICS,
    checks: CHECKS,
    alerts: alerts::probes::ALERTS,
    records: alerts::probes::RECORDS,
    panel: ("campaign-evidence", 31),
};
