//! Alerts: the probed end points.

use crate::catalog::modules::{MONITORING_PROCESSES, WEB};
use crate::catalog::{AlertDef, Severity, Subject, Text};

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
