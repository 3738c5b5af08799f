//! The documented ports: what listens on them.

use super::{Theme, define_metrics};
use crate::catalog::alerts::{AlertDef, OF_MODULE, RecordingRule, Subject, USUAL, quiet, t};
use crate::catalog::modules::{STAT, SYSLOGD, WEB};
use crate::catalog::{CheckDef, Text};

define_metrics! {
    PORT_NUMBER: Gauge "campaign_port_number" [module, campaign_instance, check]
        "The number, as configured, of the port that the check (port, http_port, control_port) of the module is about.";
    PORT_BOUND: Gauge "campaign_port_bound" [module, campaign_instance, port, protocol]
        "1 when some program listens on the port that the configuration gives to the module, at any address, else 0.";
    PORT_OWNED: Gauge "campaign_port_owned" [module, campaign_instance, port, protocol]
        "1 when the module itself listens on its port, 0 when only other programs do. Absent when nothing listens, or when the exporter may not read the descriptors that would tell.";
}

/// The one port of a module that has one.
pub static PORT: CheckDef = CheckDef {
    name: "port",
    title: Text { en: "port", pt_br: "porta" },
    passes_when: Text {
        en: "The module's port is bound, and by the module itself.",
        pt_br: "A porta do módulo está em uso, e pelo próprio módulo.",
    },
    next_steps: Text {
        en: "See what listens on the port: ss -lnptu sport = :{port}\nIf it is another program, stop it.\nRestart the module: {restart}",
        pt_br: "Veja o que escuta na porta: ss -lnptu sport = :{port}\nSe for outro programa, encerre-o.\nReinicie o módulo: {restart}",
    },
};

/// Where pages and SOAP are served.
pub static HTTP_PORT: CheckDef = CheckDef {
    name: "http_port",
    title: Text { en: "HTTP port", pt_br: "porta HTTP" },
    passes_when: Text {
        en: "The configured httpPort is bound, and by the module itself.",
        pt_br: "A httpPort configurada está em uso, e pelo próprio módulo.",
    },
    next_steps: Text {
        en: "See what listens on the port: ss -lnpt sport = :{port}\nIf it is another program, stop it or change httpPort.\nRestart the module: {restart}",
        pt_br: "Veja o que escuta na porta: ss -lnpt sport = :{port}\nSe for outro programa, encerre-o ou altere a httpPort.\nReinicie o módulo: {restart}",
    },
};

/// Where Tomcat takes commands.
pub static CONTROL_PORT: CheckDef = CheckDef {
    name: "control_port",
    title: Text { en: "control port", pt_br: "porta de controle" },
    passes_when: Text {
        en: "The configured controlPort is bound, and by the module itself.",
        pt_br: "A controlPort configurada está em uso, e pelo próprio módulo.",
    },
    next_steps: Text {
        en: "See what listens on the port: ss -lnpt sport = :{port}\nIf it is another program, stop it or change controlPort.\nRestart the module: {restart}",
        pt_br: "Veja o que escuta na porta: ss -lnpt sport = :{port}\nSe for outro programa, encerre-o ou altere a controlPort.\nReinicie o módulo: {restart}",
    },
};

/// What is remarked of a port that another process holds; the detail names the port and the process.
pub const HELD_BY_ANOTHER: Text =
    Text { en: "another process holds this port", pt_br: "outro processo ocupa esta porta" };

/// What is remarked of a port whose holder the exporter's user may not see; the detail names the port.
pub const HELD_BY_UNKNOWN: Text = Text {
    en: "a process that the exporter may not look at holds this port",
    pt_br: "um processo que o exportador não pode ver ocupa esta porta",
};

/// The checks of this theme.
pub static CHECKS: &[&CheckDef] = &[&PORT, &HTTP_PORT, &CONTROL_PORT];

/// The number of a module's port that the check says is not the module's.
macro_rules! lost {
    ($name:literal, $check:literal) => {
        concat!(
            "max without (check) (campaign_port_number{module=\"",
            $name,
            "\",check=\"",
            $check,
            "\"}",
            " and campaign_module_check{check=\"",
            $check,
            "\"} == 0)",
        )
    };
}

/// The alert of a module's port: one each, so that each carries its own text. The value is the port's number.
///
/// Where the module is down, the alert of that says so. Three minutes outlast the daily restart.
macro_rules! port {
    ($alert:literal, $name:literal, $module:ident, $protocol:literal, $first:literal $(, $second:literal)?) => {
        AlertDef {
            name: $alert,
            expr: concat!(
                "(", lost!($name, $first), $("\nor ", lost!($name, $second),)? ")\n",
                "unless max without (check) (campaign_module_check{module=\"", $name, "\",check=\"running\"}) == 0",
            ),
            told: concat!("max without (check) (campaign_module_check{module=\"", $name, "\",check=\"", $first, "\"})"),
            grace: true,
            labels: OF_MODULE,
            hold: "3m",
            subject: Subject::Module(&$module),
            summary: t(
                concat!($name, "@{campaign_instance} is not listening on its port on {host}."),
                concat!("O ", $name, "@{campaign_instance} não está escutando na sua porta em {host}."),
            ),
            description: t(
                concat!(
                    $name, "@{campaign_instance} on {host} has not been listening on port {value|int}/", $protocol,
                    " for more than 3 minutes: nothing is, or another program holds the port.",
                ),
                concat!(
                    "O ", $name, "@{campaign_instance} em {host} não está escutando na porta {value|int}/", $protocol,
                    " há mais de 3 minutos: nenhum programa está, ou outro programa ocupa a porta.",
                ),
            ),
            next_steps: t(
                concat!(
                    "On {host}: ss -lpn 'sport = :{value|int}' shows who holds the port\n",
                    "If another program holds it, stop that program. Then nlserver restart ", $name, "@{campaign_instance}\n",
                    "Read the end of var/{campaign_instance}/log/", $name, ".log",
                ),
                concat!(
                    "Em {host}: ss -lpn 'sport = :{value|int}' mostra quem ocupa a porta\n",
                    "Se outro programa a ocupar, encerre-o. Depois nlserver restart ", $name, "@{campaign_instance}\n",
                    "Leia o final de var/{campaign_instance}/log/", $name, ".log",
                ),
            ),
            ..USUAL
        }
    };
}

/// The recording rules of this theme.
pub static RECORDS: &[RecordingRule] = &[quiet!("campaign_ports")];

/// The alerts of this theme. web has two ports and one alert: the pages' port comes first.
pub static ALERTS: &[AlertDef] = &[
    port!("CampaignStatPort", "stat", STAT, "udp", "port"),
    port!("CampaignSyslogdPort", "syslogd", SYSLOGD, "udp", "port"),
    port!("CampaignWebPort", "web", WEB, "tcp", "http_port", "control_port"),
];

/// This theme.
pub(super) const THEME: Theme = Theme {
    title: "Ports",
    group: "campaign_ports",
    interval: "",
    metrics: METRICS,
    checks: CHECKS,
    alerts: ALERTS,
    records: RECORDS,
    panel: ("campaign-evidence", 29),
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::modules::MODULES;

    #[test]
    fn every_documented_port_has_a_check_and_an_alert() {
        for module in MODULES.iter().filter(|module| !module.ports.is_empty()) {
            for port in module.ports {
                assert!(CHECKS.iter().any(|check| check.name == port.check), "{}", port.check);
            }
            let is_about = |alert: &&AlertDef| matches!(alert.subject, Subject::Module(about) if about == *module);
            assert_eq!(ALERTS.iter().filter(is_about).count(), 1, "{}", module.name);
        }
    }
}
