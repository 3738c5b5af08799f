//! Alerts: the probed end points.

use super::{AlertDef, RecordingRule, Severity, Subject, USUAL, quiet, t};
use crate::catalog::modules::{MONITORING_PROCESSES, WEB};

const TARGET: &[&str] = &["target"];

const PIPELINED: Subject = Subject::Own {
    scope: t(
        "pipelined fetches the triggers of the Experience Cloud.",
        "O pipelined busca os acionadores da Experience Cloud.",
    ),
    page: MONITORING_PROCESSES,
};

const PIPELINED_ADVICE: super::Text = t(
    "Read pipelined.log for the failing message or connection; correct the JavaScript or the authentication, then restart pipelined.",
    "Procure no pipelined.log a mensagem ou a conexão que falha; corrija o JavaScript ou a autenticação e reinicie o pipelined.",
);

const PIPELINED_STEPS: super::Text = t(
    "Read the end of pipelined.log on the host of {target} (probed from {host})\nThen nlserver restart pipelined@INSTANCE",
    "Leia o final do pipelined.log no servidor de {target} (sondado a partir de {host})\nDepois nlserver restart pipelined@INSTÂNCIA",
);

const PIPELINED_IMPACT: super::Text =
    t("Triggers of the Experience Cloud are late or lost.", "Os acionadores da Experience Cloud atrasam ou se perdem.");

const MESSAGE_CENTER: Subject = Subject::Own {
    scope: t(
        "Message Center queues the events of transactional messages.",
        "O Message Center enfileira os eventos das mensagens transacionais.",
    ),
    page: MONITORING_PROCESSES,
};

const MESSAGE_CENTER_ADVICE: super::Text = t(
    "See which events are queued, and whether the workflows and the mta that process them run.",
    "Verifique quais eventos estão na fila e se os fluxos de trabalho e o mta que os processam estão em execução.",
);

const MESSAGE_CENTER_STEPS: super::Text = t(
    "On the execution instance of {target} (probed from {host}): nlserver pdump (do mta and wfserver run?)\nLook at the event queue in the console, and stop what floods it",
    "Na instância de execução de {target} (sondada a partir de {host}): nlserver pdump (o mta e o wfserver estão em execução?)\nConsulte a fila de eventos no console e interrompa o que a inunda",
);

const MESSAGE_CENTER_IMPACT: super::Text =
    t("Transactional messages are late or lost.", "As mensagens transacionais atrasam ou se perdem.");

/// Whether a probe of a target fails, unless its server is this host and the module web of this host has its own alert.
macro_rules! fails {
    ($probe:literal) => {
        concat!(
            "max without (probe) (campaign_probe_success{probe=\"", $probe, "\"}) == 0\n",
            "unless\n",
            "(\n",
            "  max without (url, this_host) (campaign_probe_target_info{this_host=\"yes\"})\n",
            "  and ignoring (target)\n",
            "  min without (module, campaign_instance, check) (campaign_module_check{module=\"web\",check=~\"running|responsive|http_port\"}) == 0\n",
            ")",
        )
    };
}

/// What must be there for anything to be known of a probe.
macro_rules! told {
    ($probe:literal) => {
        concat!("max without (probe) (campaign_probe_success{probe=\"", $probe, "\"})")
    };
}

/// The recording rules of this theme.
pub static RECORDS: &[RecordingRule] = &[quiet!("campaign_probes")];

/// The alerts of this theme.
pub static ALERTS: &[AlertDef] = &[
    AlertDef {
        name: "CampaignRedirectionDown",
        expr: fails!("redirection"),
        told: told!("redirection"),
        grace: true,
        labels: TARGET,
        hold: "3m",
        severity: Severity::Critical,
        subject: Subject::Own {
            scope: t(
                "The redirection server answers the links in emails and records opens and clicks.",
                "O servidor de redirecionamento responde aos links dos emails e registra aberturas e cliques.",
            ),
            page: MONITORING_PROCESSES,
        },
        summary: t(
            "The redirection server {target}, probed from {host}, does not answer as it should.",
            "O servidor de redirecionamento {target}, sondado a partir de {host}, não responde como deveria.",
        ),
        description: t(
            "/r/test on {target}, probed from {host}, has not answered OK for more than 3 minutes: links in emails may not work.",
            "/r/test em {target}, sondado a partir de {host}, não responde OK há mais de 3 minutos: os links dos emails podem não funcionar.",
        ),
        next_steps: t(
            "curl -i http://SERVER/r/test on the server of {target} (probed from {host}): it should answer status='OK'\nCheck the web server in front (systemctl status httpd or apache2), then nlserver pdump: web, trackinglogd\ncampaign_probe_failure_info tells what the probe saw",
            "curl -i http://SERVIDOR/r/test no servidor de {target} (sondado a partir de {host}): deve responder status='OK'\nVerifique o servidor web à frente (systemctl status httpd ou apache2) e depois nlserver pdump: web, trackinglogd\ncampaign_probe_failure_info informa o que a sonda encontrou",
        ),
        advice: t(
            "Check that the web server in front runs with the Campaign module, then the modules web and trackinglogd; campaign_probe_failure_info tells what the probe saw.",
            "Verifique se o servidor web à frente está em execução com o módulo do Campaign e, em seguida, os módulos web e trackinglogd; campaign_probe_failure_info informa o que a sonda encontrou.",
        ),
        impact: t(
            "Links in emails do not work, and opens and clicks are not recorded.",
            "Os links dos emails não funcionam, e aberturas e cliques não são registrados.",
        ),
    },
    AlertDef {
        name: "CampaignPingFailed",
        expr: fails!("ping"),
        told: told!("ping"),
        grace: true,
        labels: TARGET,
        hold: "3m",
        subject: Subject::Module(&WEB),
        summary: t(
            "The application server {target}, probed from {host}, does not answer ping.jsp as it should.",
            "O servidor de aplicativos {target}, sondado a partir de {host}, não responde ao ping.jsp como deveria.",
        ),
        description: t(
            "ping.jsp on {target}, probed from {host}, has not answered OK for more than 3 minutes: campaign_probe_failure_info tells why.",
            "O ping.jsp em {target}, sondado a partir de {host}, não responde OK há mais de 3 minutos: campaign_probe_failure_info informa o motivo.",
        ),
        next_steps: t(
            "On the server of {target} (probed from {host}): nlserver pdump (does web run?), read the end of var/default/log/web.log\nCodes ODB-, PGS-, WDB-: check the database\nThen nlserver restart web",
            "No servidor de {target} (sondado a partir de {host}): nlserver pdump (o web está em execução?), leia o final de var/default/log/web.log\nCódigos ODB-, PGS-, WDB-: verifique o banco de dados\nDepois nlserver restart web",
        ),
        ..USUAL
    },
    AlertDef {
        name: "CampaignProbeFlapping",
        expr: "changes(campaign_probe_success[1h]) >= {limit:probe_changes}",
        told: "campaign_probe_success",
        labels: &["probe", "target"],
        subject: Subject::Own {
            scope: t("The probes of Campaign's end points.", "As sondas dos pontos de acesso do Campaign."),
            page: MONITORING_PROCESSES,
        },
        summary: t(
            "The probe {probe} of {target} from {host} keeps failing and recovering.",
            "A sonda {probe} de {target}, a partir de {host}, falha e se recupera repetidamente.",
        ),
        description: t(
            "The probe {probe} of {target} from {host} changed between success and failure {value|int} times within an hour; the limit is {limit:probe_changes}.",
            "A sonda {probe} de {target}, a partir de {host}, alternou entre êxito e falha {value|int} vezes em uma hora; o limite é {limit:probe_changes}.",
        ),
        next_steps: t(
            "See campaign_probe_failures_total by reason: timeout means load, connect means restarts or a load balancer\nCompare with restarts of web on {target} (probed from {host}): var/default/log/web.log",
            "Veja campaign_probe_failures_total por motivo: timeout indica carga, connect indica reinicializações ou um balanceador de carga\nCompare com as reinicializações do web em {target} (sondado a partir de {host}): var/default/log/web.log",
        ),
        advice: t(
            "Something fails for short times: one server behind a load balancer, a module that restarts, a database that is slow at times.",
            "Algo falha por períodos curtos: um servidor atrás de um balanceador de carga, um módulo que reinicia, um banco de dados lento em certos momentos.",
        ),
        impact: t("Some requests of users fail.", "Algumas requisições dos usuários falham."),
        ..USUAL
    },
    AlertDef {
        name: "CampaignMessageCenterQueueFull",
        expr: "campaign_message_center_queue_full == 1",
        told: "campaign_message_center_queue_full",
        labels: TARGET,
        severity: Severity::Critical,
        subject: MESSAGE_CENTER,
        summary: t(
            "The Message Center queue of {target}, probed from {host}, is full.",
            "A fila do Message Center de {target}, sondada a partir de {host}, está cheia.",
        ),
        description: t(
            "{target}, probed from {host}, says that its Message Center queue is full.",
            "{target}, sondado a partir de {host}, informa que a fila do Message Center está cheia.",
        ),
        next_steps: MESSAGE_CENTER_STEPS,
        advice: MESSAGE_CENTER_ADVICE,
        impact: MESSAGE_CENTER_IMPACT,
        ..USUAL
    },
    AlertDef {
        name: "CampaignMessageCenterQueueNearlyFull",
        expr: "campaign_message_center_pending_events / campaign_message_center_queue_capacity >= {limit:queue_ratio}\n\
               unless campaign_message_center_queue_full == 1",
        told: "campaign_message_center_pending_events",
        labels: TARGET,
        hold: "5m",
        subject: MESSAGE_CENTER,
        summary: t(
            "The Message Center queue of {target}, probed from {host}, is nearly full.",
            "A fila do Message Center de {target}, sondada a partir de {host}, está quase cheia.",
        ),
        description: t(
            "The Message Center queue of {target}, probed from {host}, has been filled to {value|percent} for more than 5 minutes; the limit is {limit:queue_ratio|percent}.",
            "A fila do Message Center de {target}, sondada a partir de {host}, está com {value|percent} de ocupação há mais de 5 minutos; o limite é de {limit:queue_ratio|percent}.",
        ),
        next_steps: MESSAGE_CENTER_STEPS,
        advice: MESSAGE_CENTER_ADVICE,
        impact: MESSAGE_CENTER_IMPACT,
        ..USUAL
    },
    AlertDef {
        name: "CampaignMessageCenterPingFailed",
        expr: concat!(fails!("message_center"), "\nunless campaign_message_center_queue_full == 1"),
        told: told!("message_center"),
        grace: true,
        labels: TARGET,
        hold: "3m",
        subject: MESSAGE_CENTER,
        summary: t(
            "Message Center on {target}, probed from {host}, does not answer mcPing.jsp as it should.",
            "O Message Center em {target}, sondado a partir de {host}, não responde ao mcPing.jsp como deveria.",
        ),
        description: t(
            "mcPing.jsp on {target}, probed from {host}, has not answered OK for more than 3 minutes, and does not say that the queue is full.",
            "O mcPing.jsp em {target}, sondado a partir de {host}, não responde OK há mais de 3 minutos, e não informa que a fila está cheia.",
        ),
        next_steps: MESSAGE_CENTER_STEPS,
        advice: MESSAGE_CENTER_ADVICE,
        impact: MESSAGE_CENTER_IMPACT,
        ..USUAL
    },
    AlertDef {
        name: "CampaignPipelinedNotAnswering",
        expr: fails!("pipelined"),
        told: told!("pipelined"),
        grace: true,
        labels: TARGET,
        hold: "5m",
        subject: PIPELINED,
        summary: t(
            "The status page of pipelined on {target}, probed from {host}, does not answer as it should.",
            "A página de status do pipelined em {target}, sondada a partir de {host}, não responde como deveria.",
        ),
        description: t(
            "The status page of pipelined on {target}, probed from {host}, has not answered for more than 5 minutes.",
            "A página de status do pipelined em {target}, sondada a partir de {host}, não responde há mais de 5 minutos.",
        ),
        next_steps: PIPELINED_STEPS,
        advice: PIPELINED_ADVICE,
        impact: PIPELINED_IMPACT,
        ..USUAL
    },
    AlertDef {
        name: "CampaignPipelinedStalled",
        expr: "campaign_host_time_seconds - ignoring ({own}) group_right () campaign_pipelined_last_alive_timestamp_seconds > 600",
        told: "campaign_pipelined_last_alive_timestamp_seconds",
        labels: TARGET,
        hold: "5m",
        subject: PIPELINED,
        summary: t(
            "pipelined on {target}, probed from {host}, no longer checks its connection.",
            "O pipelined em {target}, sondado a partir de {host}, não verifica mais a sua conexão.",
        ),
        description: t(
            "pipelined on {target}, probed from {host}, last checked its connection {value|duration} ago; the limit is 10m.",
            "O pipelined em {target}, sondado a partir de {host}, verificou a sua conexão pela última vez há {value|duration}; o limite é de 10m.",
        ),
        next_steps: PIPELINED_STEPS,
        advice: PIPELINED_ADVICE,
        impact: PIPELINED_IMPACT,
        ..USUAL
    },
    AlertDef {
        name: "CampaignPipelinedTriggersLost",
        expr: "round(increase(campaign_pipelined_triggers_discarded_total[15m])) > 0",
        told: "campaign_pipelined_triggers_discarded_total",
        labels: TARGET,
        subject: PIPELINED,
        summary: t(
            "pipelined on {target}, probed from {host}, discards triggers, which should never happen.",
            "O pipelined em {target}, sondado a partir de {host}, descarta acionadores, o que nunca deveria acontecer.",
        ),
        description: t(
            "The number of triggers that pipelined on {target}, probed from {host}, discarded within 15 minutes after too many failed attempts is about {value|int}; it should stay 0.",
            "O número de acionadores que o pipelined em {target}, sondado a partir de {host}, descartou em 15 minutos após muitas tentativas sem êxito é de cerca de {value|int}; deveria ser sempre 0.",
        ),
        next_steps: PIPELINED_STEPS,
        advice: PIPELINED_ADVICE,
        impact: PIPELINED_IMPACT,
        ..USUAL
    },
    AlertDef {
        name: "CampaignPipelinedTriggersFailing",
        expr: "round(increase(campaign_pipelined_trigger_failures_total[15m])) > 0",
        told: "campaign_pipelined_trigger_failures_total",
        labels: TARGET,
        subject: PIPELINED,
        summary: t(
            "pipelined on {target}, probed from {host}, encounters errors in processing triggers.",
            "O pipelined em {target}, sondado a partir de {host}, encontra erros ao processar acionadores.",
        ),
        description: t(
            "The number of processing errors that pipelined on {target}, probed from {host}, had within 15 minutes is about {value|int}; it should stay 0.",
            "O número de erros de processamento que o pipelined em {target}, sondado a partir de {host}, teve em 15 minutos é de cerca de {value|int}; deveria ser sempre 0.",
        ),
        next_steps: PIPELINED_STEPS,
        advice: PIPELINED_ADVICE,
        impact: PIPELINED_IMPACT,
        ..USUAL
    },
];
