//! The modules' processes: what they use, whether they live, and what the documentation asks of them.

use std::time::Duration;

use super::{Theme, define_metrics};
use crate::catalog::modules::{
    IN_MAIL, LOG_FILES, MTA, OTHER_SCOPE, OTHER_TROUBLESHOOTING, STAT, SYSLOGD, TRACKINGLOGD, WATCHDOG, WEB, WFSERVER,
};
use crate::catalog::{AlertDef, CheckDef, Severity, Subject, Text};

define_metrics! {
    MODULE_EXPECTED: Gauge "campaign_module_expected" [module, campaign_instance]
        "Resident modules: 1 when the configuration starts the module automatically, else 0. The watchdog is expected wherever anything is.";
    MODULE_UP: Gauge "campaign_module_up" [module, campaign_instance]
        "Resident modules that are expected or seen: 1 when a live process (not a zombie) exists, else 0.";
    MODULE_PROCESSES: Gauge "campaign_module_processes" [module, campaign_instance]
        "Processes of the module now, zombies included.";
    MODULE_STARTS: Counter "campaign_module_starts_total" [module, campaign_instance]
        "Process starts that the exporter saw, short-lived ones included. Processes that ran before the exporter did are not counted.";
    MODULE_START_TIME: Gauge "campaign_module_start_time_seconds" [module, campaign_instance]
        "When the module's oldest live process started, in seconds since 1970-01-01 UTC.";
    MODULE_CPU: Counter "campaign_module_cpu_seconds_total" [module, campaign_instance, mode]
        "CPU time of the module's processes by mode (user, system), in seconds. Never falls when a process ends.";
    MODULE_RESIDENT_MEMORY: Gauge "campaign_module_resident_memory_bytes" [module, campaign_instance]
        "Resident memory, summed over the module's processes, in bytes. Pages that processes share count for each.";
    MODULE_VIRTUAL_MEMORY: Gauge "campaign_module_virtual_memory_bytes" [module, campaign_instance]
        "Virtual memory, summed over the module's processes, in bytes.";
    MODULE_RESIDENT_MEMORY_MAX: Gauge "campaign_module_process_resident_memory_max_bytes" [module, campaign_instance]
        "Resident memory of the module's largest process, in bytes: what the configured thresholds are meant for.";
    MODULE_MEMORY_WARNING: Gauge "campaign_module_memory_warning_bytes" [module, campaign_instance]
        "The configured maxProcessMemoryWarningMb of the module, in bytes.";
    MODULE_MEMORY_ALERT: Gauge "campaign_module_memory_alert_bytes" [module, campaign_instance]
        "The configured maxProcessMemoryAlertMb of the module, in bytes.";
    MODULE_THREADS: Gauge "campaign_module_threads" [module, campaign_instance]
        "Threads, summed over the module's processes.";
    MODULE_OPEN_FDS: Gauge "campaign_module_open_fds" [module, campaign_instance]
        "Open file descriptors, summed over the processes whose descriptors the exporter may read.";
    MODULE_OPEN_FDS_RATIO: Gauge "campaign_module_open_fds_ratio" [module, campaign_instance]
        "Open file descriptors divided by the soft limit, of the process where that is worst (0 to 1).";
    MODULE_READ_BYTES: Counter "campaign_module_read_bytes_total" [module, campaign_instance]
        "Bytes that the module's processes had fetched from storage. Never falls when a process ends.";
    MODULE_WRITTEN_BYTES: Counter "campaign_module_written_bytes_total" [module, campaign_instance]
        "Bytes that the module's processes had sent to storage. Never falls when a process ends.";
    MODULE_STATES: Gauge "campaign_module_states" [module, campaign_instance, state]
        "Processes of the module by state: running, sleeping, waiting (uninterruptible), stopped, zombie, other.";
    MODULE_WAITING: Gauge "campaign_module_waiting_seconds" [module, campaign_instance]
        "How long the exporter has seen a process of the module wait uninterruptibly without using the CPU, in seconds; the longest of them, 0 when none waits.";
    MODULE_VERBOSE: Gauge "campaign_module_verbose" [module, campaign_instance]
        "1 when a process of the module runs with -verbose or -tracefilter beyond what its configured args ask for, else 0.";
    MODULE_CHECK: Gauge "campaign_module_check" [module, campaign_instance, check]
        "The checks that the documentation asks the operator to make: 1 passes, 0 fails, absent when there is nothing to judge by.";
    MODULE_HEALTHY: Gauge "campaign_module_healthy" [module, campaign_instance]
        "0 when one of the module's checks fails, else 1.";
}

/// How much of its descriptor limit a process may use: the alert level of the documented system indicator.
pub const MAX_OPEN_FDS_RATIO: f64 = 0.9;

/// How old a process may get: the day after which every module is restarted, and an hour for the restart to happen.
pub const MAX_AGE: Duration = Duration::from_secs(25 * 3600);

/// How long a process may wait uninterruptibly without using the CPU.
pub const MAX_WAITING: Duration = Duration::from_secs(60);

/// Configured to start => a live process.
pub static RUNNING: CheckDef = CheckDef {
    name: "running",
    passes_when: Text {
        en: "A live process of the module exists, as its configuration (autoStart) asks.",
        pt_br: "Existe um processo ativo do módulo, como a configuração (autoStart) pede.",
    },
};

/// Below `maxProcessMemoryAlertMb`.
pub static MEMORY: CheckDef = CheckDef {
    name: "memory",
    passes_when: Text {
        en: "The module's largest process uses less memory than the configured maxProcessMemoryAlertMb.",
        pt_br: "O maior processo do módulo usa menos memória que o maxProcessMemoryAlertMb configurado.",
    },
};

/// Younger than [`MAX_AGE`].
pub static AGE: CheckDef = CheckDef {
    name: "age",
    passes_when: Text {
        en: "The module's oldest process is younger than 25 hours: the daily restart took place.",
        pt_br: "O processo mais antigo do módulo tem menos de 25 horas: a reinicialização diária ocorreu.",
    },
};

/// Able to do its work.
pub static RESPONSIVE: CheckDef = CheckDef {
    name: "responsive",
    passes_when: Text {
        en: "No process of the module is stopped, a zombie, or has been waiting uninterruptibly for over a minute.",
        pt_br: "Nenhum processo do módulo está parado, é zumbi ou está há mais de um minuto em espera ininterruptível.",
    },
};

/// Below [`MAX_OPEN_FDS_RATIO`].
pub static DESCRIPTORS: CheckDef = CheckDef {
    name: "descriptors",
    passes_when: Text {
        en: "Every process of the module uses less than 90 % of the file descriptors that it may open.",
        pt_br: "Todo processo do módulo usa menos de 90 % dos descritores de arquivo que pode abrir.",
    },
};

/// Nobody left `-verbose` or `-tracefilter` on.
pub static LOG_PRECISION: CheckDef = CheckDef {
    name: "log_precision",
    passes_when: Text {
        en: "No process of the module runs with -verbose or -tracefilter beyond what its configured args ask for.",
        pt_br: "Nenhum processo do módulo roda com -verbose ou -tracefilter além do que os args configurados pedem.",
    },
};

/// The watchdog does what it is for.
pub static STARTS_MODULES: CheckDef = CheckDef {
    name: "starts_modules",
    passes_when: Text {
        en: "At least one of the modules that the watchdog has to start runs.",
        pt_br: "Pelo menos um dos módulos que o watchdog deve iniciar está em execução.",
    },
};

/// The checks of this theme.
pub static CHECKS: &[&CheckDef] =
    &[&RUNNING, &MEMORY, &AGE, &RESPONSIVE, &DESCRIPTORS, &LOG_PRECISION, &STARTS_MODULES];

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

/// This theme.
pub const THEME: Theme =
    Theme { title: "Modules", group: "campaign_modules", metrics: METRICS, checks: CHECKS, alerts: ALERTS };
