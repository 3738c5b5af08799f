//! The documented ports: who listens at them.

use super::{Theme, define_metrics};
use crate::catalog::modules::{STAT, SYSLOGD, WEB};
use crate::catalog::{AlertDef, CheckDef, Severity, Subject, Text};

define_metrics! {
    PORT_NUMBER: Gauge "campaign_port_number" [module, campaign_instance, check]
        "The number, as configured, of the port that the check (port, http_port, control_port) of the module is about.";
    PORT_BOUND: Gauge "campaign_port_bound" [module, campaign_instance, port, protocol]
        "1 when some program listens at the port that the configuration gives to the module, at any address, else 0.";
    PORT_OWNED: Gauge "campaign_port_owned" [module, campaign_instance, port, protocol]
        "1 when the module itself listens at its port, 0 when only other programs do. Absent when nobody does, or when the exporter may not read the descriptors that would tell.";
}

/// The one port of a module that has one.
pub static PORT: CheckDef = CheckDef {
    name: "port",
    passes_when: Text {
        en: "The module's port is bound, and by the module itself.",
        pt_br: "A porta do módulo está em uso, e pelo próprio módulo.",
    },
};

/// Where pages and SOAP are served.
pub static HTTP_PORT: CheckDef = CheckDef {
    name: "http_port",
    passes_when: Text {
        en: "The configured httpPort is bound, and by the module itself.",
        pt_br: "A httpPort configurada está em uso, e pelo próprio módulo.",
    },
};

/// Where Tomcat takes commands.
pub static CONTROL_PORT: CheckDef = CheckDef {
    name: "control_port",
    passes_when: Text {
        en: "The configured controlPort is bound, and by the module itself.",
        pt_br: "A controlPort configurada está em uso, e pelo próprio módulo.",
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

/// The alert of a module's ports: one each, so that each carries its own text.
///
/// Where nobody listens because the module is down, the alert of that says so; where somebody else does, that may be why it
/// is down. Two minutes outlast the daily restart.
macro_rules! port {
    ($alert:literal, $name:literal, $module:ident, $severity:ident) => {
        AlertDef {
            name: $alert,
            expr: concat!(
                "campaign_port_bound{module=\"",
                $name,
                "\"} == 0\n",
                "unless on (job, instance, module, campaign_instance) campaign_module_up == 0\n",
                "or\n",
                "campaign_port_bound{module=\"",
                $name,
                "\"} == 1\n",
                "and campaign_port_owned == 0",
            ),
            hold: "2m",
            severity: Severity::$severity,
            subject: Subject::Module(&$module),
            summary: Text {
                en: concat!("The Campaign module ", $name, " does not have its port."),
                pt_br: concat!("O módulo ", $name, " do Campaign não está com a sua porta."),
            },
            description: Text {
                en: concat!(
                    "On {{$labels.instance}}, {{if eq $value 0.0}}nobody listens{{else}}another program \
                     listens{{end}} at port {{$labels.port}}/{{$labels.protocol}} of the module ",
                    $name,
                    " of the Campaign instance {{$labels.campaign_instance}}.{{if eq $value 1.0}} The exporter's \
                     log and page /status name that program.{{end}}",
                ),
                pt_br: concat!(
                    "Em {{$labels.instance}}, {{if eq $value 0.0}}nenhum programa escuta{{else}}outro programa \
                     escuta{{end}} na porta {{$labels.port}}/{{$labels.protocol}} do módulo ",
                    $name,
                    " da instância {{$labels.campaign_instance}} do Campaign.{{if eq $value 1.0}} O log do \
                     exportador e a página /status dizem qual é esse programa.{{end}}",
                ),
            },
        }
    };
}

/// The alerts of this theme. As with "down": logs may wait for working hours, mails and pages not.
pub static ALERTS: &[AlertDef] = &[
    port!("CampaignStatPort", "stat", STAT, Critical),
    port!("CampaignSyslogdPort", "syslogd", SYSLOGD, Warning),
    port!("CampaignWebPort", "web", WEB, Critical),
];

/// This theme.
pub const THEME: Theme =
    Theme { title: "Ports", group: "campaign_ports", metrics: METRICS, checks: CHECKS, alerts: ALERTS };

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
