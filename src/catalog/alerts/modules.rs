//! Alerts: the modules' processes.

use crate::catalog::modules::{
    IN_MAIL, LOG_FILES, MTA, OTHER_SCOPE, OTHER_TROUBLESHOOTING, STAT, SYSLOGD, TRACKINGLOGD, WATCHDOG, WEB, WFSERVER,
};
use crate::catalog::{AlertDef, Severity, Subject, Text};

/// Series of `campaign_module_check` that fail, or failed when the exporter last told anything.
///
/// When the exporter goes away its series end at once, and an alert on them would tell its receiver that a dead module
/// is well again. So the last known failure stands for up to an hour while Prometheus still has the target (`up`,
/// be it 0) but cannot tell from it whether any module runs. As soon as one such check is there again, the present alone
/// counts: a module that was taken out of the configuration meanwhile is silent, and one that lives is resolved. Checks
/// with evidence other than processes (logs, probes) say nothing of that.
///
/// Alerts that measure a living process (memory, age, …) have no need of this: without a process there is nothing to
/// measure, and `CampaignExporterDown` tells the rest.
macro_rules! failing {
    ($($matchers:literal),*) => {
        concat!(
            "campaign_module_check{", $($matchers,)* "} == 0\n",
            "or\n",
            "(\n",
            "  last_over_time(campaign_module_check{", $($matchers,)* "}[1h]) == 0\n",
            "  unless on (job, instance) campaign_module_check{check=\"running\"}\n",
            ")\n",
            "and on (job, instance) up",
        )
    };
}

/// The alert of a resident module that has a row: one each, so that each carries its own text.
///
/// Two minutes outlast the daily restart (the watchdog starts the next process within seconds) and a missed scrape.
macro_rules! down {
    ($alert:literal, $name:literal, $module:ident, $severity:ident) => {
        AlertDef {
            name: $alert,
            expr: failing!("module=\"", $name, "\",check=\"running\""),
            hold: "2m",
            severity: Severity::$severity,
            subject: Subject::Module(&$module),
            summary: Text {
                en: concat!("The Campaign module ", $name, " is down."),
                pt_br: concat!("O módulo ", $name, " do Campaign está fora do ar."),
            },
            description: Text {
                en: concat!(
                    "On {{$labels.instance}}, the module ",
                    $name,
                    " of the Campaign instance {{$labels.campaign_instance}} has not been running for 2 minutes, \
                     although its configuration starts it automatically.",
                ),
                pt_br: concat!(
                    "Em {{$labels.instance}}, o módulo ",
                    $name,
                    " da instância {{$labels.campaign_instance}} do Campaign não está em execução há 2 minutos, \
                     embora a configuração o inicie automaticamente.",
                ),
            },
        }
    };
}

/// The alerts of this theme.
///
/// Critical is what stops mails, pages or workflows, or loses tracking for good. Bounces wait in their mailbox and logs
/// are only for reading: inMail and syslogd may wait for working hours.
pub static ALERTS: &[AlertDef] = &[
    down!("CampaignInMailDown", "inMail", IN_MAIL, Warning),
    down!("CampaignMtaDown", "mta", MTA, Critical),
    down!("CampaignStatDown", "stat", STAT, Critical),
    down!("CampaignSyslogdDown", "syslogd", SYSLOGD, Warning),
    down!("CampaignTrackinglogdDown", "trackinglogd", TRACKINGLOGD, Critical),
    down!("CampaignWatchdogDown", "watchdog", WATCHDOG, Critical),
    down!("CampaignWebDown", "web", WEB, Critical),
    down!("CampaignWfserverDown", "wfserver", WFSERVER, Critical),
    AlertDef {
        // Every resident module that has no rule of its own, so that none can be down in silence.
        name: "CampaignModuleDown",
        expr: failing!("module!~\"inMail|mta|stat|syslogd|trackinglogd|watchdog|web|wfserver\",check=\"running\""),
        hold: "2m",
        severity: Severity::Critical,
        subject: Subject::Own { scope: OTHER_SCOPE, troubleshooting: OTHER_TROUBLESHOOTING, page: LOG_FILES },
        summary: Text { en: "A Campaign module is down.", pt_br: "Um módulo do Campaign está fora do ar." },
        description: Text {
            en: "On {{$labels.instance}}, the module {{$labels.module}} of the Campaign instance \
                 {{$labels.campaign_instance}} has not been running for 2 minutes, although its configuration starts \
                 it automatically.",
            pt_br: "Em {{$labels.instance}}, o módulo {{$labels.module}} da instância \
                    {{$labels.campaign_instance}} do Campaign não está em execução há 2 minutos, embora a \
                    configuração o inicie automaticamente.",
        },
    },
    AlertDef {
        name: "CampaignNoProcessStarts",
        expr: failing!("module=\"watchdog\",check=\"starts_modules\""),
        hold: "2m",
        severity: Severity::Critical,
        subject: Subject::Module(&WATCHDOG),
        summary: Text {
            en: "No Campaign process starts, although the watchdog should start some.",
            pt_br: "Nenhum processo do Campaign é iniciado, embora o watchdog deva iniciar alguns.",
        },
        description: Text {
            en: "On {{$labels.instance}}, none of the modules that the Campaign watchdog has to start has been \
                 running for 2 minutes.",
            pt_br: "Em {{$labels.instance}}, nenhum dos módulos que o watchdog do Campaign deve iniciar está em \
                    execução há 2 minutos.",
        },
    },
    AlertDef {
        // A module that dies and is started again is up at most scrapes: "down" never holds for two minutes. The daily
        // restart is one start, an administrator's restart after it a second; utilities and children start all day,
        // and have no campaign_module_up.
        name: "CampaignModuleRestarting",
        expr: "increase(campaign_module_starts_total[15m]) >= 3\nand campaign_module_up",
        hold: "",
        severity: Severity::Critical,
        subject: Subject::AnyModule,
        summary: Text {
            en: "A Campaign module restarts again and again.",
            pt_br: "Um módulo do Campaign reinicia repetidamente.",
        },
        description: Text {
            en: "On {{$labels.instance}}, the module {{$labels.module}} of the Campaign instance \
                 {{$labels.campaign_instance}} was started {{$value | printf \"%.0f\"}} times in 15 minutes.",
            pt_br: "Em {{$labels.instance}}, o módulo {{$labels.module}} da instância \
                    {{$labels.campaign_instance}} do Campaign foi iniciado {{$value | printf \"%.0f\"}} vezes em \
                    15 minutos.",
        },
    },
    AlertDef {
        // Gives way to the alert below once that one fires, not while it is still pending: between the two, nobody
        // must be told that all is well. A threshold of 0 is none.
        name: "CampaignModuleMemoryWarning",
        expr: "campaign_module_process_resident_memory_max_bytes >= (campaign_module_memory_warning_bytes > 0)\n\
               unless ignoring (check) max_over_time(campaign_module_check{check=\"memory\"}[5m]) == 0",
        hold: "10m",
        severity: Severity::Warning,
        subject: Subject::AnyModule,
        summary: Text {
            en: "A Campaign process uses more memory than its warning threshold.",
            pt_br: "Um processo do Campaign usa mais memória que o limite de aviso.",
        },
        description: Text {
            en: "On {{$labels.instance}}, the largest process of the module {{$labels.module}} of the Campaign \
                 instance {{$labels.campaign_instance}} has reached its maxProcessMemoryWarningMb: it uses \
                 {{$value | humanize1024}}B.",
            pt_br: "Em {{$labels.instance}}, o maior processo do módulo {{$labels.module}} da instância \
                    {{$labels.campaign_instance}} do Campaign atingiu o maxProcessMemoryWarningMb: usa \
                    {{$value | humanize1024}}B.",
        },
    },
    AlertDef {
        name: "CampaignModuleMemoryAlert",
        expr: "campaign_module_process_resident_memory_max_bytes\n\
               and ignoring (check) campaign_module_check{check=\"memory\"} == 0",
        hold: "5m",
        severity: Severity::Critical,
        subject: Subject::AnyModule,
        summary: Text {
            en: "A Campaign process uses more memory than its alert threshold.",
            pt_br: "Um processo do Campaign usa mais memória que o limite de alerta.",
        },
        description: Text {
            en: "On {{$labels.instance}}, the largest process of the module {{$labels.module}} of the Campaign \
                 instance {{$labels.campaign_instance}} has reached its maxProcessMemoryAlertMb: it uses \
                 {{$value | humanize1024}}B.",
            pt_br: "Em {{$labels.instance}}, o maior processo do módulo {{$labels.module}} da instância \
                    {{$labels.campaign_instance}} do Campaign atingiu o maxProcessMemoryAlertMb: usa \
                    {{$value | humanize1024}}B.",
        },
    },
    AlertDef {
        // Five minutes: a zombie is there for a moment whenever a process ends. Kept while the exporter is away, for
        // a process that hangs is as good as down.
        name: "CampaignModuleUnresponsive",
        expr: failing!("check=\"responsive\""),
        hold: "5m",
        severity: Severity::Critical,
        subject: Subject::AnyModule,
        summary: Text {
            en: "A process of a Campaign module hangs.",
            pt_br: "Um processo de um módulo do Campaign está travado.",
        },
        description: Text {
            en: "On {{$labels.instance}}, a process of the module {{$labels.module}} of the Campaign instance \
                 {{$labels.campaign_instance}} is stopped, a zombie, or waiting uninterruptibly for over a minute.",
            pt_br: "Em {{$labels.instance}}, um processo do módulo {{$labels.module}} da instância \
                    {{$labels.campaign_instance}} do Campaign está parado, é zumbi ou está há mais de um minuto em \
                    espera ininterruptível.",
        },
    },
    AlertDef {
        name: "CampaignModuleTooOld",
        expr: "time() - campaign_module_start_time_seconds\n\
               and ignoring (check) campaign_module_check{check=\"age\"} == 0",
        hold: "15m",
        severity: Severity::Warning,
        subject: Subject::AnyModule,
        summary: Text {
            en: "A Campaign module missed its daily restart.",
            pt_br: "Um módulo do Campaign não passou pela reinicialização diária.",
        },
        description: Text {
            en: "On {{$labels.instance}}, the oldest process of the module {{$labels.module}} of the Campaign \
                 instance {{$labels.campaign_instance}} has been running for {{$value | humanizeDuration}}: it was \
                 not restarted at its processRestartTime.",
            pt_br: "Em {{$labels.instance}}, o processo mais antigo do módulo {{$labels.module}} da instância \
                    {{$labels.campaign_instance}} do Campaign está em execução há {{$value | humanizeDuration}}: \
                    não foi reiniciado no processRestartTime.",
        },
    },
    AlertDef {
        name: "CampaignModuleDescriptors",
        expr: "campaign_module_open_fds_ratio\n\
               and ignoring (check) campaign_module_check{check=\"descriptors\"} == 0",
        hold: "5m",
        severity: Severity::Warning,
        subject: Subject::AnyModule,
        summary: Text {
            en: "A Campaign process is running out of file descriptors.",
            pt_br: "Um processo do Campaign está ficando sem descritores de arquivo.",
        },
        description: Text {
            en: "On {{$labels.instance}}, a process of the module {{$labels.module}} of the Campaign instance \
                 {{$labels.campaign_instance}} has opened {{$value | humanizePercentage}} of the files and \
                 connections that it may open.",
            pt_br: "Em {{$labels.instance}}, um processo do módulo {{$labels.module}} da instância \
                    {{$labels.campaign_instance}} do Campaign abriu {{$value | humanizePercentage}} dos arquivos e \
                    conexões que pode abrir.",
        },
    },
    AlertDef {
        // An hour is enough to look for a fault; raised precision that stays on overloads the logs.
        name: "CampaignModuleLogPrecisionRaised",
        expr: "campaign_module_check{check=\"log_precision\"} == 0",
        hold: "1h",
        severity: Severity::Info,
        subject: Subject::AnyModule,
        summary: Text {
            en: "The log precision of a Campaign module was raised and not put back.",
            pt_br: "A precisão do log de um módulo do Campaign foi aumentada e não foi restaurada.",
        },
        description: Text {
            en: "On {{$labels.instance}}, a process of the module {{$labels.module}} of the Campaign instance \
                 {{$labels.campaign_instance}} has been running with -verbose or -tracefilter for an hour. Put it \
                 back, or the logs overload.",
            pt_br: "Em {{$labels.instance}}, um processo do módulo {{$labels.module}} da instância \
                    {{$labels.campaign_instance}} do Campaign roda há uma hora com -verbose ou -tracefilter. \
                    Restaure a precisão original, ou os logs ficarão sobrecarregados.",
        },
    },
];
