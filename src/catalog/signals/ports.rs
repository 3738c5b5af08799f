//! The documented ports: who listens at them.

use super::{Theme, define_metrics};
use crate::catalog::{CheckDef, Text, alerts};

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

/// This theme.
pub const THEME: Theme = Theme {
    title: "Ports",
    group: "campaign_ports",
    metrics: METRICS,
    checks: CHECKS,
    alerts: alerts::ports::ALERTS,
    records: &[],
    panel: ("campaign-evidence", 29),
};
