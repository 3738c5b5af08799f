//! Alerts: the documented ports.

use super::{AlertDef, OF_MODULE, Subject, USUAL, t};
use crate::catalog::modules::{STAT, SYSLOGD, WEB};

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
                    "Stop that program, then nlserver restart ", $name, "\n",
                    "Read the end of var/{campaign_instance}/log/", $name, ".log",
                ),
                concat!(
                    "Em {host}: ss -lpn 'sport = :{value|int}' mostra quem ocupa a porta\n",
                    "Encerre esse programa e depois nlserver restart ", $name, "\n",
                    "Leia o final de var/{campaign_instance}/log/", $name, ".log",
                ),
            ),
            ..USUAL
        }
    };
}

/// The alerts of this theme. web has two ports and one alert: the pages' port comes first.
pub static ALERTS: &[AlertDef] = &[
    port!("CampaignStatPort", "stat", STAT, "udp", "port"),
    port!("CampaignSyslogdPort", "syslogd", SYSLOGD, "udp", "port"),
    port!("CampaignWebPort", "web", WEB, "tcp", "http_port", "control_port"),
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
