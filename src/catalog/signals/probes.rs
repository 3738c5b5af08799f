//! What the end points of the product answer: redirection, ping, the Message Center queue, the pipelined status.
//!
//! The end points, what they answer and how often they may be asked come from the page "Monitoring processes" of the
//! product documentation; the pipelined indicators from the page "Pipeline monitoring". How they are asked is not known here.

use std::time::Duration;

use super::{Theme, define_metrics};
use crate::catalog::modules::{MONITORING_PROCESSES, WEB};
use crate::catalog::{AlertDef, CheckDef, MetricDef, Module, Severity, Subject, Text};

/// Something that can be asked over HTTP: a value of the label `probe`.
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
            Probe::Pipelined => None,
        }
    }

    /// How often it may be asked at most, as documented; where nothing is documented, as rarely as the pages.
    #[must_use]
    pub const fn shortest_interval(self) -> Duration {
        match self {
            Probe::Redirection => Duration::from_secs(1),
            Probe::Ping | Probe::MessageCenter => Duration::from_secs(60),
            Probe::Pipelined => Duration::from_secs(10),
        }
    }

    /// How often it is asked unless the configuration says otherwise.
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
    /// An answer that is too large, not understood, or tells an error.
    Body,
    /// The session token could not be read; nothing was asked.
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
    /// Milliseconds before the answer; the metric tells the time itself.
    MillisecondsAgo,
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
        "Probes made, whatever came of them.";
    PROBE_FAILURES: Counter "campaign_probe_failures_total" [probe, target, reason]
        "Probes that failed, by reason: dns, connect, tls, timeout, status, body, token.";
    REDIRECTION_INFO: Gauge "campaign_redirection_info" [target, build, version, sha1, host, local_host]
        "Always 1: what the redirection server says of itself; what it leaves out is empty. Absent while the probe fails.";
    MESSAGE_CENTER_PENDING_EVENTS: Gauge "campaign_message_center_pending_events" [target]
        "Events that wait in the Message Center queue.";
    MESSAGE_CENTER_QUEUE_CAPACITY: Gauge "campaign_message_center_queue_capacity" [target]
        "Events that the Message Center queue may hold, as the server says.";
    MESSAGE_CENTER_QUEUE_FULL: Gauge "campaign_message_center_queue_full" [target]
        "1 when the server says that the Message Center queue is full, 0 when it says that all is well, absent when it says neither.";
    PIPELINED_LAST_ALIVE: Gauge "campaign_pipelined_last_alive_timestamp_seconds" [target]
        "When pipelined last checked its connection, in seconds since 1970-01-01 UTC (last-alive-ms-ago).";
    PIPELINED_READ_BYTES: Counter "campaign_pipelined_read_bytes_total" [target]
        "Bytes read from the pipeline since the process started (bytes-read).";
    PIPELINED_CURRENT_MESSAGES: Gauge "campaign_pipelined_current_messages" [target]
        "Messages that wait for processing; should be near 0 (current-messages).";
    PIPELINED_CURRENT_RETRIES: Gauge "campaign_pipelined_current_retries" [target]
        "Messages whose processing failed and that wait for another attempt (current-retries).";
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
    passes_when: Text {
        en: "/r/test on this host answers the status OK.",
        pt_br: "/r/test neste host responde com o status OK.",
    },
};

/// The application server answers, with its database.
pub static PING: CheckDef = CheckDef {
    name: "ping",
    passes_when: Text {
        en: "/nl/jsp/ping.jsp on this host answers OK, which takes the web server, Tomcat, the module and its database.",
        pt_br: "/nl/jsp/ping.jsp neste host responde OK, o que exige o servidor web, o Tomcat, o módulo e o banco de dados.",
    },
};

/// The checks of this theme.
pub static CHECKS: &[&CheckDef] = &[&REDIRECTION, &PING];

const PIPELINED_SUBJECT: Subject = Subject::Own {
    scope: Text {
        en: "pipelined fetches the triggers of the Experience Cloud.",
        pt_br: "O pipelined busca os acionadores da Experience Cloud.",
    },
    troubleshooting: Text {
        en: "Read pipelined.log for the failing message or connection; correct the JavaScript or the authentication, then restart pipelined.",
        pt_br: "Procure no pipelined.log a mensagem ou a conexão que falha; corrija o JavaScript ou a autenticação e reinicie o pipelined.",
    },
    page: MONITORING_PROCESSES,
};

const MESSAGE_CENTER_SUBJECT: Subject = Subject::Own {
    scope: Text {
        en: "Message Center queues the events of transactional messages.",
        pt_br: "O Message Center enfileira os eventos das mensagens transacionais.",
    },
    troubleshooting: Text {
        en: "See which events wait, and whether the workflows and the mta that process them run.",
        pt_br: "Verifique quais eventos aguardam e se os fluxos de trabalho e o mta que os processam estão em execução.",
    },
    page: MONITORING_PROCESSES,
};

/// What was told within the last hour, where nothing was told since; `unless` selects what would have told.
///
/// As with the modules: when the exporter goes away, nobody must be told that all is well.
macro_rules! last_told {
    ($selector:literal, $condition:literal, $(unless $told:literal),+) => {
        concat!(
            "(\n  last_over_time(",
            $selector,
            "[1h]) ",
            $condition,
            $("\n  unless on ", $told,)+
            "\n)\nand on (job, instance) up",
        )
    };
}

/// Probes that fail, or failed when the exporter last told anything: until a probe of the same exporter has a result
/// again.
macro_rules! failing {
    ($selector:literal, $condition:literal) => {
        concat!(
            $selector,
            " ",
            $condition,
            "\nor\n",
            last_told!($selector, $condition, unless "(job, instance) campaign_probe_success"),
        )
    };
}

/// The alerts of this theme.
pub static ALERTS: &[AlertDef] = &[
    AlertDef {
        name: "CampaignRedirectionDown",
        expr: failing!("campaign_probe_success{probe=\"redirection\"}", "== 0"),
        hold: "2m",
        severity: Severity::Critical,
        subject: Subject::Own {
            scope: Text {
                en: "The redirection server answers the links in mails and records opens and clicks.",
                pt_br: "O servidor de redirecionamento responde aos links dos emails e registra aberturas e cliques.",
            },
            troubleshooting: Text {
                en: "Open /r/test on the server. Check that the web server in front runs with the Campaign module, then the modules web and trackinglogd; campaign_probe_failure_info tells what the probe met.",
                pt_br: "Abra /r/test no servidor. Verifique se o servidor web à frente está em execução com o módulo do Campaign e, em seguida, os módulos web e trackinglogd; campaign_probe_failure_info informa o que a sonda encontrou.",
            },
            page: MONITORING_PROCESSES,
        },
        summary: Text {
            en: "The Campaign redirection server does not answer as it should.",
            pt_br: "O servidor de redirecionamento do Campaign não responde como deveria.",
        },
        description: Text {
            en: "/r/test on the target {{$labels.target}}, asked from {{$labels.instance}}, has not answered OK for 2 minutes: links in mails may not work.",
            pt_br: "/r/test no destino {{$labels.target}}, consultado a partir de {{$labels.instance}}, não responde OK há 2 minutos: os links dos emails podem não funcionar.",
        },
    },
    AlertDef {
        name: "CampaignPingFailed",
        expr: failing!("campaign_probe_success{probe=\"ping\"}", "== 0"),
        hold: "3m",
        severity: Severity::Critical,
        subject: Subject::Module(&WEB),
        summary: Text {
            en: "The Campaign application server does not answer ping.jsp as it should.",
            pt_br: "O servidor de aplicação do Campaign não responde ao ping.jsp como deveria.",
        },
        description: Text {
            en: "ping.jsp on the target {{$labels.target}}, asked from {{$labels.instance}}, has not answered OK for 3 minutes: campaign_probe_failure_info tells why.",
            pt_br: "O ping.jsp no destino {{$labels.target}}, consultado a partir de {{$labels.instance}}, não responde OK há 3 minutos: campaign_probe_failure_info informa o motivo.",
        },
    },
    AlertDef {
        name: "CampaignMessageCenterQueueFull",
        // Until the server itself says that it is not full: an answer that does not come says nothing.
        expr: concat!(
            "campaign_message_center_queue_full == 1\nor\n",
            last_told!(
                "campaign_message_center_queue_full",
                "== 1",
                unless "(job, instance, target) campaign_message_center_queue_full"
            ),
        ),
        hold: "",
        severity: Severity::Critical,
        subject: MESSAGE_CENTER_SUBJECT,
        summary: Text { en: "The Message Center queue is full.", pt_br: "A fila do Message Center está cheia." },
        description: Text {
            en: "The target {{$labels.target}}, asked from {{$labels.instance}}, says that its Message Center queue is full.",
            pt_br: "O destino {{$labels.target}}, consultado a partir de {{$labels.instance}}, informa que a fila do Message Center está cheia.",
        },
    },
    AlertDef {
        name: "CampaignMessageCenterQueueNearlyFull",
        expr: "campaign_message_center_pending_events / campaign_message_center_queue_capacity >= 0.8\n\
               unless campaign_message_center_queue_full == 1",
        hold: "5m",
        severity: Severity::Warning,
        subject: MESSAGE_CENTER_SUBJECT,
        summary: Text {
            en: "The Message Center queue is nearly full.",
            pt_br: "A fila do Message Center está quase cheia.",
        },
        description: Text {
            en: "The Message Center queue of the target {{$labels.target}}, asked from {{$labels.instance}}, has been filled to {{$value | humanizePercentage}} for 5 minutes or more.",
            pt_br: "A fila do Message Center do destino {{$labels.target}}, consultado a partir de {{$labels.instance}}, está com {{$value | humanizePercentage}} de ocupação há 5 minutos ou mais.",
        },
    },
    AlertDef {
        name: "CampaignMessageCenterPingFailed",
        expr: concat!(
            "campaign_probe_success{probe=\"message_center\"} == 0\n",
            "unless on (job, instance, target) campaign_message_center_queue_full == 1\nor\n",
            last_told!(
                "campaign_probe_success{probe=\"message_center\"}",
                "== 0",
                unless "(job, instance, target) last_over_time(campaign_message_center_queue_full[1h]) == 1",
                unless "(job, instance) campaign_probe_success"
            ),
        ),
        hold: "3m",
        severity: Severity::Critical,
        subject: MESSAGE_CENTER_SUBJECT,
        summary: Text {
            en: "Message Center does not answer mcPing.jsp as it should.",
            pt_br: "O Message Center não responde ao mcPing.jsp como deveria.",
        },
        description: Text {
            en: "mcPing.jsp on the target {{$labels.target}}, asked from {{$labels.instance}}, has not answered OK for 3 minutes, and does not say that the queue is full.",
            pt_br: "O mcPing.jsp no destino {{$labels.target}}, consultado a partir de {{$labels.instance}}, não responde OK há 3 minutos, e não informa que a fila está cheia.",
        },
    },
    AlertDef {
        name: "CampaignPipelinedNotAnswering",
        expr: failing!("campaign_probe_success{probe=\"pipelined\"}", "== 0"),
        hold: "5m",
        severity: Severity::Warning,
        subject: PIPELINED_SUBJECT,
        summary: Text {
            en: "The status page of pipelined does not answer as it should.",
            pt_br: "A página de status do pipelined não responde como deveria.",
        },
        description: Text {
            en: "The status page of pipelined on the target {{$labels.target}}, asked from {{$labels.instance}}, has not answered for 5 minutes.",
            pt_br: "A página de status do pipelined no destino {{$labels.target}}, consultado a partir de {{$labels.instance}}, não responde há 5 minutos.",
        },
    },
    AlertDef {
        name: "CampaignPipelinedTriggersLost",
        expr: "increase(campaign_pipelined_triggers_discarded_total[15m]) > 0",
        hold: "",
        severity: Severity::Warning,
        subject: PIPELINED_SUBJECT,
        summary: Text {
            en: "pipelined discards triggers, which should never happen.",
            pt_br: "O pipelined descarta acionadores, o que nunca deveria acontecer.",
        },
        description: Text {
            en: "In 15 minutes about {{$value | humanize}} triggers were discarded by pipelined on the target {{$labels.target}}, after too many failed attempts.",
            pt_br: "Em 15 minutos, cerca de {{$value | humanize}} acionadores foram descartados pelo pipelined no destino {{$labels.target}}, após muitas tentativas sem êxito.",
        },
    },
    AlertDef {
        name: "CampaignPipelinedTriggersFailing",
        expr: "increase(campaign_pipelined_trigger_failures_total[15m]) > 0",
        hold: "",
        severity: Severity::Warning,
        subject: PIPELINED_SUBJECT,
        summary: Text {
            en: "pipelined meets errors in processing triggers.",
            pt_br: "O pipelined encontra erros ao processar acionadores.",
        },
        description: Text {
            en: "In 15 minutes about {{$value | humanize}} processing errors were met by pipelined on the target {{$labels.target}}.",
            pt_br: "Em 15 minutos, o pipelined no destino {{$labels.target}} encontrou cerca de {{$value | humanize}} erros de processamento.",
        },
    },
];

/// This theme.
pub const THEME: Theme = Theme {
    title: "Probes, Message Center and pipelined",
    group: "campaign_probes",
    metrics: METRICS,
    checks: CHECKS,
    alerts: ALERTS,
};
