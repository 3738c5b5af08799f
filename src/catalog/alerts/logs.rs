//! Alerts: the modules' logs.

use crate::catalog::modules::{EXPORT, IMPORT, IN_MAIL, SYSLOGD, TRACKING, TRACKINGLOGD, WEB};
use crate::catalog::{AlertDef, Severity, Subject, Text};

/// A gauge as it was when the exporter last told it, up to ten minutes ago: a restart of the exporter resolves nothing.
/// Alerts that use it hold for longer than that, so that none begins because the exporter is away.
macro_rules! recent {
    ($selector:literal) => {
        concat!("last_over_time(", $selector, "[10m])")
    };
}

/// When the last message of a module was written, whichever of its logs it is in.
macro_rules! last_message {
    ($module:literal) => {
        concat!(
            "max without (log) (last_over_time(campaign_log_last_message_timestamp_seconds{module=\"",
            $module,
            "\"}[10m]))",
        )
    };
}

/// When the last message of any log of the host was written.
macro_rules! last_message_of_all {
    () => {
        "max by (job, instance) (last_over_time(campaign_log_last_message_timestamp_seconds[10m]))"
    };
}

/// The modules with a row, each of which writes a log when it starts.
macro_rules! with_a_row {
    () => {
        "module=~\"export|import|inMail|mta|stat|syslogd|tracking|trackinglogd|watchdog|web|wfserver\""
    };
}

/// The alert of a module that starts when needed and ends by itself, about a run that failed.
///
/// At once: a run does not fail for a moment only. The check is what counts, and what the next run puts right; while the
/// exporter does not tell it (be it away or only beginning to read the logs), the last known failure stands for an hour.
/// It ends after a week: by then it has been told often enough, and an exporter that is new on a host tells nobody of a
/// log that was forgotten there.
///
/// The second part is for a failure that no scrape could see, because another run began at once or goes on beside it: then
/// errors are counted, but the check has not failed. It is told for a quarter of an hour. The window of the check is the
/// longer one, so that a failure which the check told, and which is over, is not told again.
macro_rules! failed {
    ($alert:literal, $name:literal, $module:ident, $run_en:literal, $run_pt:literal) => {
        AlertDef {
            name: $alert,
            expr: concat!(
                "min without (check) (last_over_time(campaign_module_check{module=\"",
                $name,
                "\",check=\"last_run\"}[1h])) == 0\n",
                "and on (job, instance) up\n",
                "and on (job, instance, module, campaign_instance)\n",
                "  last_over_time(campaign_log_last_message_timestamp_seconds{module=\"",
                $name,
                "\"}[1h]) > time() - 7 * 86400\n",
                "or\n",
                "sum without (log, level) (increase(campaign_log_messages_total{module=\"",
                $name,
                "\",level=\"error\"}[15m])) > 0\n",
                "unless on (job, instance, module, campaign_instance)\n",
                "  min_over_time(campaign_module_check{module=\"",
                $name,
                "\",check=\"last_run\"}[20m]) == 0",
            ),
            hold: "",
            severity: Severity::Warning,
            subject: Subject::Module(&$module),
            summary: Text {
                en: concat!("A Campaign ", $run_en, " has failed."),
                pt_br: concat!($run_pt, " do Campaign falhou."),
            },
            description: Text {
                en: concat!(
                    "On {{$labels.instance}}, a run of the module ",
                    $name,
                    " of the Campaign instance {{$labels.campaign_instance}} wrote errors to its log, \
                     var/{{$labels.campaign_instance}}/log/",
                    $name,
                    ".log.",
                ),
                pt_br: concat!(
                    "Em {{$labels.instance}}, uma execução do módulo ",
                    $name,
                    " da instância {{$labels.campaign_instance}} do Campaign gravou erros no log, \
                     var/{{$labels.campaign_instance}}/log/",
                    $name,
                    ".log.",
                ),
            },
        }
    };
}

/// The alerts of this theme.
///
/// Times are those that messages have themselves. Counters go on where they were after a restart of the exporter, so what
/// was written meanwhile comes as a burst: alerts on a rate hold for as long as their window is, which no burst lasts.
pub static ALERTS: &[AlertDef] = &[
    failed!("CampaignExportFailed", "export", EXPORT, "export", "Uma exportação"),
    failed!("CampaignImportFailed", "import", IMPORT, "import", "Uma importação"),
    failed!("CampaignTrackingFailed", "tracking", TRACKING, "tracking job", "Uma execução do rastreamento"),
    AlertDef {
        // An hourly job, and its last message is two hours old: one run was left out and the next is late. A workflow runs
        // it: where the configuration starts no wfserver, an old log is only that. An instance that never ran it has
        // no time to go by.
        name: "CampaignTrackingLate",
        expr: concat!(
            "time() - ",
            last_message!("tracking"),
            " > 2 * 3600\n",
            "and on (job, instance, campaign_instance) ",
            recent!("campaign_module_expected{module=\"wfserver\"}"),
            " == 1",
        ),
        hold: "15m",
        severity: Severity::Warning,
        subject: Subject::Module(&TRACKING),
        summary: Text {
            en: "The hourly tracking job of Campaign is late.",
            pt_br: "A tarefa de rastreamento do Campaign, executada a cada hora, está atrasada.",
        },
        description: Text {
            en: "On {{$labels.instance}}, the tracking job of the Campaign instance {{$labels.campaign_instance}} \
                 wrote to its log {{$value | humanizeDuration}} ago for the last time, although the Tracking workflow \
                 runs it every hour.",
            pt_br: "Em {{$labels.instance}}, a tarefa de rastreamento da instância {{$labels.campaign_instance}} do \
                    Campaign gravou no log pela última vez há {{$value | humanizeDuration}}, embora o workflow de \
                    rastreamento a execute a cada hora.",
        },
    },
    AlertDef {
        // It reads the mailbox each popMailPeriodSec and says so. A process that started less than four periods ago may
        // still be at its first; one that does not run has another alert.
        name: "CampaignInMailStalled",
        expr: concat!(
            "time() - ",
            last_message!("inMail"),
            "\n",
            "  > on (job, instance, campaign_instance) group_left () 4 * (",
            recent!("campaign_inmail_pop_period_seconds"),
            " > 0)\n",
            "and on (job, instance, campaign_instance)\n",
            "  (time() - ",
            recent!("campaign_module_start_time_seconds{module=\"inMail\"}"),
            ")\n",
            "  > on (job, instance, campaign_instance) group_left () 4 * (",
            recent!("campaign_inmail_pop_period_seconds"),
            " > 0)",
        ),
        hold: "15m",
        severity: Severity::Warning,
        subject: Subject::Module(&IN_MAIL),
        summary: Text {
            en: "The Campaign module inMail runs but does not read the bounce mailbox.",
            pt_br: "O módulo inMail do Campaign está em execução, mas não lê a caixa de emails de devolução.",
        },
        description: Text {
            en: "On {{$labels.instance}}, the module inMail of the Campaign instance {{$labels.campaign_instance}} has \
                 written nothing to its log for {{$value | humanizeDuration}}: more than four times its \
                 popMailPeriodSec.",
            pt_br: "Em {{$labels.instance}}, o módulo inMail da instância {{$labels.campaign_instance}} do Campaign não \
                    grava nada no log há {{$value | humanizeDuration}}: mais de quatro vezes o seu popMailPeriodSec.",
        },
    },
    AlertDef {
        // One may be a session that expired. The errors must be of now: after the exporter was away, old ones are counted
        // now.
        name: "CampaignWebSessionErrors",
        expr: concat!(
            "sum without (log, problem) (\n",
            "  increase(campaign_log_problems_total{module=\"web\",problem=\"xtk_session\"}[10m])\n",
            ") >= 3\n",
            "and on (job, instance, module, campaign_instance)\n",
            "  time() - ",
            recent!("campaign_log_last_error_timestamp_seconds{module=\"web\"}"),
            " < 600",
        ),
        hold: "",
        severity: Severity::Critical,
        subject: Subject::Module(&WEB),
        summary: Text {
            en: "Console and web connections to Campaign raise xtk:session errors.",
            pt_br: "O console e as conexões da web com o Campaign geram erros do tipo xtk:session.",
        },
        description: Text {
            en: "On {{$labels.instance}}, the log of the Campaign module web shows {{$value | printf \"%.0f\"}} \
                 xtk:session errors in 10 minutes.",
            pt_br: "Em {{$labels.instance}}, o log do módulo web do Campaign mostra {{$value | printf \"%.0f\"}} erros \
                    do tipo xtk:session em 10 minutos.",
        },
    },
    AlertDef {
        // Six errors a minute, or hardly anything but errors: what a module that fails each time it tries looks like,
        // however rarely it tries. Holds as long as the window is: an import with one bad file is a burst.
        name: "CampaignModuleErrors",
        expr: "sum without (log, level) (increase(campaign_log_messages_total{level=\"error\"}[20m])) >= 120\n\
               or\n\
               (sum without (log, level) (increase(campaign_log_messages_total{level=\"error\"}[20m])) >= 3)\n\
               \x20 > 0.5 * sum without (log, level) (increase(campaign_log_messages_total[20m]))",
        hold: "20m",
        severity: Severity::Warning,
        subject: Subject::AnyModule,
        summary: Text {
            en: "A Campaign module keeps writing errors to its log.",
            pt_br: "Um módulo do Campaign grava erros no log continuamente.",
        },
        description: Text {
            en: "On {{$labels.instance}}, the module {{$labels.module}} of the Campaign instance \
                 {{$labels.campaign_instance}} wrote {{$value | printf \"%.0f\"}} errors to its log in 20 minutes, and \
                 about as many in the 20 minutes before: see campaign_log_error_codes_total for their codes.",
            pt_br: "Em {{$labels.instance}}, o módulo {{$labels.module}} da instância {{$labels.campaign_instance}} do \
                    Campaign gravou {{$value | printf \"%.0f\"}} erros no log em 20 minutos, e quase o mesmo nos \
                    20 minutos anteriores: veja os códigos em campaign_log_error_codes_total.",
        },
    },
    AlertDef {
        // Many logs are silent for hours, and rightly. What never is: modules start, and nothing is written in any log
        // of the host, since syslogd writes them all. Either two of the modules that run have started since the last
        // message (the daily restart, after which syslogd found its port taken), or one that runs and ends (the hourly
        // tracking job) did while all was silent for two hours. Five seconds: boot time is known to the second only.
        // A syslogd that is down has its own alert, and so have logs that the exporter can't read.
        name: "CampaignLogsMissing",
        expr: concat!(
            "(time() - ",
            last_message_of_all!(),
            ")\n",
            "  * on (job, instance) group_right () (",
            recent!("campaign_module_up{module=\"syslogd\"}"),
            " == 1)\n",
            "and on (job, instance) ",
            recent!("campaign_scrape_collector_success{collector=\"logs\"}"),
            " == 1\n",
            "and on (job, instance)\n",
            "(\n",
            "  count by (job, instance) (\n",
            "    (last_over_time(campaign_module_start_time_seconds{",
            with_a_row!(),
            "}[10m]) - 5)\n",
            "      > on (job, instance) group_left () ",
            last_message_of_all!(),
            "\n",
            "  ) >= 2\n",
            "  or\n",
            "  sum by (job, instance) (increase(campaign_module_starts_total{",
            with_a_row!(),
            "}[2h])) > 0\n",
            "  and time() - ",
            last_message_of_all!(),
            " > 2 * 3600\n",
            ")",
        ),
        hold: "15m",
        severity: Severity::Warning,
        subject: Subject::Module(&SYSLOGD),
        summary: Text {
            en: "Campaign modules run, but nothing is written to any log.",
            pt_br: "Há módulos do Campaign em execução, mas nada é gravado em nenhum log.",
        },
        description: Text {
            en: "On {{$labels.instance}}, Campaign modules have started, but syslogd has written nothing to any log \
                 file for {{$value | humanizeDuration}}.",
            pt_br: "Em {{$labels.instance}}, módulos do Campaign foram iniciados, mas o syslogd não grava nada em \
                    nenhum arquivo de log há {{$value | humanizeDuration}}.",
        },
    },
    AlertDef {
        // A log moves away at maxFileSizeMb, and one old file is kept: at that much an hour there are no two hours left to
        // look back on. Raised precision alone is CampaignModuleLogPrecisionRaised, after an hour.
        name: "CampaignLogPrecision",
        expr: concat!(
            "sum without (log) (rate(campaign_log_read_bytes_total[15m]))\n",
            "  > on (job, instance) group_left () (",
            recent!("campaign_log_rotation_size_bytes"),
            " / 3600)\n",
            "and on (job, instance, module, campaign_instance) ",
            recent!("campaign_module_verbose"),
            " == 1",
        ),
        hold: "20m",
        severity: Severity::Warning,
        subject: Subject::AnyModule,
        summary: Text {
            en: "The raised log precision of a Campaign module overloads its log.",
            pt_br: "A precisão aumentada do log de um módulo do Campaign sobrecarrega o log.",
        },
        description: Text {
            en: "On {{$labels.instance}}, the module {{$labels.module}} of the Campaign instance \
                 {{$labels.campaign_instance}} runs with -verbose or -tracefilter, and its logs grow by \
                 {{$value | humanize1024}}B a second: older messages are soon lost. Put the precision back.",
            pt_br: "Em {{$labels.instance}}, o módulo {{$labels.module}} da instância {{$labels.campaign_instance}} do \
                    Campaign roda com -verbose ou -tracefilter, e os seus logs crescem {{$value | humanize1024}}B por \
                    segundo: em breve as mensagens mais antigas serão perdidas. Restaure a precisão original.",
        },
    },
    AlertDef {
        // It may rightly be silent for long, but not from its start on: it started over an hour ago, and since then it
        // has written nothing while others have, so that logging works. Five seconds as above.
        name: "CampaignTrackinglogdSilent",
        expr: concat!(
            "time() - ",
            last_message!("trackinglogd"),
            "\n",
            "and on (job, instance)\n",
            "  ",
            last_message!("trackinglogd"),
            "\n",
            "  < (",
            recent!("campaign_module_start_time_seconds{module=\"trackinglogd\"}"),
            " - 5)\n",
            "and on (job, instance)\n",
            "  (time() - ",
            recent!("campaign_module_start_time_seconds{module=\"trackinglogd\"}"),
            ") > 3600\n",
            "and on (job, instance)\n",
            "  ",
            last_message_of_all!(),
            "\n",
            "  > on (job, instance) max by (job, instance) (\n",
            "    ",
            recent!("campaign_module_start_time_seconds{module=\"trackinglogd\"}"),
            "\n",
            "  ) + 60",
        ),
        hold: "15m",
        severity: Severity::Warning,
        subject: Subject::Module(&TRACKINGLOGD),
        summary: Text {
            en: "The Campaign module trackinglogd runs but has been silent since it started.",
            pt_br: "O módulo trackinglogd do Campaign está em execução, mas não gravou nada no log desde que iniciou.",
        },
        description: Text {
            en: "On {{$labels.instance}}, the module trackinglogd of Campaign wrote to its log \
                 {{$value | humanizeDuration}} ago for the last time: nothing since it started, over an hour ago, \
                 while other modules have written to theirs.",
            pt_br: "Em {{$labels.instance}}, o módulo trackinglogd do Campaign gravou no log pela última vez há \
                    {{$value | humanizeDuration}}: nada desde que iniciou, há mais de uma hora, enquanto outros módulos \
                    gravaram nos seus.",
        },
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::modules::MODULES;
    use crate::catalog::signals::logs::LAST_RUN;

    #[test]
    fn the_modules_with_a_row_are_all_named() {
        let names: Vec<_> = MODULES.iter().map(|module| module.name).collect();
        assert_eq!(with_a_row!(), format!("module=~\"{}\"", names.join("|")));
    }

    #[test]
    fn every_module_without_a_resident_process_has_an_alert_on_its_runs() {
        for module in MODULES.iter().filter(|module| !module.kind.is_resident()) {
            let judged = format!("module=\"{}\",check=\"{}\"", module.name, LAST_RUN.name);
            let of_module = |alert: &&AlertDef| matches!(alert.subject, Subject::Module(row) if *row == **module);
            let alerts = ALERTS.iter().filter(of_module).filter(|alert| alert.expr.contains(&judged));
            assert_eq!(alerts.count(), 1, "{}", module.name);
        }
    }
}
