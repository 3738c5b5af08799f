//! The documented modules, row by row as the specification has them.
//!
//! The Portuguese texts are the specification's own, word for word, with mark-up and line breaks taken out; the English
//! ones are our rendering of the same table. `tests/integration/specification.rs` holds both to their sources.

use super::attributes::{STAT_PORT, WEB_CONTROL_PORT, WEB_HTTP_PORT};
use super::{Kind, Lang, Link, Module, Port, Protocol, Text};

/// The Campaign instance that shared modules run under, and that a command line without `-instance:` means.
pub const DEFAULT_INSTANCE: &str = "default";

/// What [`super::Link::page`] is relative to.
pub const DOCUMENTATION: &str =
    "https://experienceleague.adobe.com/docs/campaign-classic/using/monitoring-campaign-classic/";

/// The page that the specification is: the runbook of every alert.
pub const RUNBOOK: &str = "troubleshooting-toc/common-general-issues-toc/modules-and-frequent-issues.html";

/// The page about the log files that every module writes.
pub const LOG_FILES: &str = "production-procedures/log-files.html";

/// The page about watching the processes.
pub const MONITORING_PROCESSES: &str = "production-procedures/monitoring-processes.html";

/// Runs an export, and ends by itself.
pub static EXPORT: Module = Module {
    name: "export",
    page_name: "exportar",
    kind: Kind::Utility,
    scope: Text { en: "Runs an export process.", pt_br: "Execução de um processo de exportação" },
    troubleshooting: Text {
        en: "The operator who scheduled this export has to start it again: the delta, or the whole export.",
        pt_br: "O operador que agendou essa exportação precisa reiniciá-la. Delta ou relançamento completo.",
    },
    links: &[],
    logs: &["export"],
    children: &[],
    ports: &[],
};

/// Runs an import, and ends by itself.
pub static IMPORT: Module = Module {
    name: "import",
    page_name: "importar",
    kind: Kind::Utility,
    scope: Text { en: "Runs an import process.", pt_br: "Execução de um processo de importação" },
    // Both languages say "export" where the import is meant: so does the source.
    troubleshooting: Text {
        en: "The operator who scheduled this export has to start it again. Check the database for duplicates.",
        pt_br: "O operador que agendou essa exportação precisa reiniciá-la. Verifique se há duplicatas no banco de dados.",
    },
    links: &[],
    logs: &["import"],
    children: &[],
    ports: &[],
};

/// Reads the bounce mails.
pub static IN_MAIL: Module = Module {
    name: "inMail",
    page_name: "inMail",
    kind: Kind::PerInstance,
    scope: Text { en: "Reads the bounce mailbox.", pt_br: "Leitura da caixa de emails de devolução" },
    troubleshooting: Text {
        en: "Check this module when bounce mails are no longer forwarded.",
        pt_br: "Verifique esse módulo se os emails de devolução não forem mais encaminhados.",
    },
    links: &[],
    logs: &["inMail"],
    children: &[],
    ports: &[],
};

/// Delivers the mails.
pub static MTA: Module = Module {
    name: "mta",
    page_name: "mta",
    kind: Kind::PerInstance,
    scope: Text { en: "Delivers emails.", pt_br: "Entregar emails" },
    troubleshooting: Text {
        en: "Check this module when emails are no longer being sent.",
        pt_br: "Verifique esse módulo se os emails não estiverem mais sendo enviados.",
    },
    links: &[],
    logs: &["mta", "mtachild"],
    children: &["mtachild"],
    ports: &[],
};

/// Keeps the statistics that the mta queries before it connects to a server.
pub static STAT: Module = Module {
    name: "stat",
    page_name: "stat",
    kind: Kind::PerInstance,
    scope: Text { en: "Keeps the MTA connection statistics.", pt_br: "Mantém estatísticas de conexão do MTA" },
    troubleshooting: Text {
        en: "Check this module when emails are no longer being sent.",
        pt_br: "Verifique esse módulo se os emails não estiverem mais sendo enviados.",
    },
    links: &[],
    logs: &["stat"],
    children: &[],
    ports: &[Port { number: 7777, protocol: Protocol::Udp, attribute: Some(&STAT_PORT), check: "port" }],
};

/// Writes the log files of all modules.
pub static SYSLOGD: Module = Module {
    name: "syslogd",
    page_name: "syslogd",
    kind: Kind::Shared,
    scope: Text { en: "Writes the logs.", pt_br: "Gravação de log" },
    troubleshooting: Text {
        en: "When records are missing from the log files, check that the module is using port 6666. \
             See \"List of open ports\".",
        pt_br: "Se alguns registros estiverem ausentes nos arquivos de registro, verifique se o módulo está usando a \
                porta 6666. Consulte Lista de portas abertas.",
    },
    links: &[Link {
        title: Text { en: "List of open ports", pt_br: "Lista de portas abertas" },
        page: "introduction/general-architecture.html#list-of-open-ports",
    }],
    logs: &["syslogd"],
    children: &[],
    ports: &[Port { number: 6666, protocol: Protocol::Udp, attribute: None, check: "port" }],
};

/// Collects the tracking logs, and ends by itself.
pub static TRACKING: Module = Module {
    name: "tracking",
    page_name: "rastreamento",
    kind: Kind::Utility,
    scope: Text {
        en: "Consolidates and retrieves the tracking logs.",
        pt_br: "Consolidação e recuperação de logs de rastreamento",
    },
    troubleshooting: Text {
        en: "Check this module when tracking logs are no longer forwarded.",
        pt_br: "Verifique esse módulo se os logs de rastreamento não estiverem mais encaminhados.",
    },
    links: &[],
    logs: &["tracking"],
    children: &[],
    ports: &[],
};

/// Moves tracking entries from shared memory to files.
pub static TRACKINGLOGD: Module = Module {
    name: "trackinglogd",
    page_name: "trackinglogd",
    kind: Kind::Shared,
    scope: Text {
        en: "Server that writes and purges the tracking log.",
        pt_br: "Servidor de gravação e limpeza do log de rastreamento",
    },
    troubleshooting: Text {
        en: "Check this module when tracking logs are no longer forwarded and no trace of them is left in the files on \
             the server. See \"Tracking logs issues\".",
        pt_br: "Verifique esse módulo se os logs de rastreamento não forem mais encaminhados e não houver mais \
                rastreamentos de logs nos arquivos no servidor. Consulte Problemas de logs de rastreamento.",
    },
    links: &[Link {
        title: Text { en: "Tracking logs issues", pt_br: "Problemas de logs de rastreamento" },
        page: "troubleshooting-toc/working-with-log-toc/tracking-logs-issues.html",
    }],
    logs: &["trackinglogd"],
    children: &[],
    ports: &[],
};

/// Starts and restarts all others.
pub static WATCHDOG: Module = Module {
    name: "watchdog",
    page_name: "watchdog",
    kind: Kind::Watchdog,
    scope: Text { en: "Starts and monitors the instance.", pt_br: "Instância de inicialização e monitoramento" },
    troubleshooting: Text {
        en: "Check this module when no process starts.",
        pt_br: "Verifique esse módulo se nenhum processo for iniciado.",
    },
    links: &[],
    logs: &["watchdog"],
    children: &[],
    ports: &[],
};

/// Serves the console, the web pages and SOAP.
pub static WEB: Module = Module {
    name: "web",
    page_name: "web",
    kind: Kind::Shared,
    scope: Text { en: "Application server (HTTP and SOAP).", pt_br: "Servidor de aplicativos (HTTP e SOAP)" },
    troubleshooting: Text {
        en: "Check this module when the console and web connections do not work and raise an xtk:session error.",
        pt_br: "Verifique esse módulo se o console e as conexões da web não funcionarem e acione um xtk:session erro de \
                tipo",
    },
    links: &[],
    logs: &["web", "webmdl"],
    children: &[],
    ports: &[
        Port { number: 8080, protocol: Protocol::Tcp, attribute: Some(&WEB_HTTP_PORT), check: "http_port" },
        Port { number: 8005, protocol: Protocol::Tcp, attribute: Some(&WEB_CONTROL_PORT), check: "control_port" },
    ],
};

/// Runs the workflows.
pub static WFSERVER: Module = Module {
    name: "wfserver",
    page_name: "wfserver",
    kind: Kind::PerInstance,
    scope: Text {
        en: "Controls the execution of workflow instances.",
        pt_br: "Controla a execução da instância do fluxo de trabalho.",
    },
    troubleshooting: Text {
        en: "When you meet a problem, restart this module. If needed, raise the precision of its logs as described in \
             \"Log precision\".",
        pt_br: "Se você encontrar algum problema, reinicie este módulo. Se necessário, aplique o procedimento para \
                aumentar a precisão dos registros detalhados na Log de precisão seção.",
    },
    links: &[Link {
        title: Text { en: "Log precision", pt_br: "Log de precisão" },
        page: "troubleshooting-toc/working-with-log-toc/log-precision.html",
    }],
    logs: &["wfserver", "runwf"],
    children: &["runwf"],
    ports: &[],
};

/// The modules that the specification has a row for, in its order.
pub static MODULES: &[&Module] =
    &[&EXPORT, &IMPORT, &IN_MAIL, &MTA, &STAT, &SYSLOGD, &TRACKING, &TRACKINGLOGD, &WATCHDOG, &WEB, &WFSERVER];

/// Shared modules that an instance's own file may start too, as on frontal servers.
pub static IN_INSTANCE_FILES: &[&str] = &[TRACKINGLOGD.name];

/// Documented resident modules without a row in the specification: they get metrics and the general alerts.
pub static OTHER_RESIDENTS: &[(&str, Kind)] = &[
    ("sms", Kind::PerInstance),
    ("pipelined", Kind::PerInstance),
    ("interactiond", Kind::PerInstance),
    ("archiving", Kind::PerInstance),
];

/// The scope of a module without a row in the specification.
pub const OTHER_SCOPE: Text = Text {
    en: "A module of Adobe Campaign that the page \"Modules and frequent issues\" does not describe.",
    pt_br: "Um módulo do Adobe Campaign que a página \"Módulos e problemas frequentes\" não descreve.",
};

/// The troubleshooting of a module without a row in the specification.
pub const OTHER_TROUBLESHOOTING: Text = Text {
    en: "Read the end of the module's own log file, var/<instance>/log/<module>.log, and of watchdog.log.",
    pt_br: "Leia o final do arquivo de log do próprio módulo, var/<instância>/log/<módulo>.log, e do watchdog.log.",
};

/// The row of the module called `name`; case matters, as it does in Campaign's logs.
#[must_use]
pub fn module(name: &str) -> Option<&'static Module> {
    MODULES.iter().copied().find(|module| module.name == name)
}

/// Every documented resident module with its kind, those without a row included.
pub fn residents() -> impl Iterator<Item = (&'static str, Kind)> {
    let rows = MODULES.iter().filter(|module| module.kind.is_resident()).map(|module| (module.name, module.kind));
    rows.chain(OTHER_RESIDENTS.iter().copied())
}

/// The address of a page of the documentation in `lang`; `page` is relative to [`DOCUMENTATION`].
#[must_use]
pub fn url(page: &str, lang: Lang) -> String {
    let (path, anchor) = page.find('#').map_or((page, ""), |at| page.split_at(at));
    let query = match lang {
        Lang::En => "",
        Lang::PtBr => "?lang=pt-BR",
    };
    let mut path = path;
    let mut base = DOCUMENTATION.trim_end_matches('/');
    while let Some(rest) = path.strip_prefix("../") {
        path = rest;
        base = base.rsplit_once('/').map_or(base, |(parent, _)| parent);
    }
    format!("{base}/{path}{query}{anchor}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_language_stands_before_the_anchor() {
        let page = "introduction/general-architecture.html#list-of-open-ports";
        assert_eq!(url(page, Lang::En), format!("{DOCUMENTATION}{page}"));
        let expected = format!("{DOCUMENTATION}introduction/general-architecture.html?lang=pt-BR#list-of-open-ports");
        assert_eq!(url(page, Lang::PtBr), expected);
        assert_eq!(url(LOG_FILES, Lang::PtBr), format!("{DOCUMENTATION}{LOG_FILES}?lang=pt-BR"));
    }

    #[test]
    fn a_page_beside_the_folder_has_no_dots_in_its_address() {
        let parent = DOCUMENTATION.trim_end_matches('/').rsplit_once('/').unwrap().0;
        assert_eq!(url("../a/b.html", Lang::En), format!("{parent}/a/b.html"));
    }

    #[test]
    fn no_two_modules_share_a_name() {
        let others = OTHER_RESIDENTS.iter().map(|(name, _)| *name);
        let names: Vec<_> = MODULES.iter().map(|module| module.name).chain(others).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
    }

    #[test]
    fn three_rows_are_utilities_and_the_rest_stay() {
        let utilities: Vec<_> = MODULES.iter().filter(|module| !module.kind.is_resident()).map(|m| m.name).collect();
        assert_eq!(utilities, ["export", "import", "tracking"]);
        let residents: Vec<_> = residents().map(|(name, _)| name).collect();
        assert_eq!(residents.len(), MODULES.len() - utilities.len() + OTHER_RESIDENTS.len());
        assert!(residents.contains(&"watchdog") && residents.contains(&"sms") && !residents.contains(&"import"));
    }

    #[test]
    fn module_names_keep_their_case() {
        assert_eq!(module("inMail").map(|module| module.kind), Some(Kind::PerInstance));
        assert_eq!(module("inmail"), None);
        assert_eq!(module("mtachild"), None);
    }

    #[test]
    fn every_module_has_texts_in_both_languages_and_a_log_of_its_name() {
        for module in MODULES {
            for lang in Lang::ALL {
                for text in [module.scope, module.troubleshooting] {
                    let text = text.get(lang);
                    assert!(!text.is_empty(), "{} {}", module.name, lang.tag());
                    assert_eq!(text, text.split_whitespace().collect::<Vec<_>>().join(" "), "{}", module.name);
                }
            }
            assert_eq!(module.logs.first(), Some(&module.name));
            for link in module.links {
                for lang in Lang::ALL {
                    assert!(module.troubleshooting.get(lang).contains(link.title.get(lang)), "{}", module.name);
                }
            }
        }
    }
}
