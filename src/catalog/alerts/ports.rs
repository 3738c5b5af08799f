//! Alerts: the documented ports.

use crate::catalog::modules::{STAT, SYSLOGD, WEB};
use crate::catalog::{AlertDef, Severity, Subject, Text};

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::modules::MODULES;
    use crate::catalog::signals::ports::CHECKS;

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
