//! Alerts: the modules' logs.
//!
//! Ages compare the times that messages have with the host's own clock: that of Prometheus may be another.

use super::{AlertDef, OF_MODULE, RecordingRule, Severity, Subject, USUAL, quiet, t};
use crate::catalog::modules::{EXPORT, IMPORT, IN_MAIL, TRACKING, WEB};

/// The recording rules of this theme.
pub static RECORDS: &[RecordingRule] = &[quiet!("campaign_logs")];

/// The alert of a module that starts when needed and ends by itself, about a run that failed: an event of five minutes
/// for each, however soon a good run follows.
///
/// The counter shows it; after an absence of the exporter of up to an hour, it is higher than it was before. A failure
/// of over an hour ago is no news.
macro_rules! failed {
    ($alert:literal, $name:literal, $module:ident, $run_en:literal, $run_pt:literal, $log:literal, $again_en:literal, $again_pt:literal) => {
        AlertDef {
            name: $alert,
            expr: concat!(
                "campaign_log_last_failed_run_timestamp_seconds{module=\"", $name, "\"}\n",
                "  > ignoring ({own}) group_left () (campaign_host_time_seconds - 3600)\n",
                "and ignoring (code)\n",
                "(\n",
                "  max without (outcome) (increase(campaign_log_runs_total{module=\"", $name, "\",outcome=\"failure\"}[5m])) > 0\n",
                "  or\n",
                "  max without (outcome) (campaign_log_runs_total{module=\"", $name, "\",outcome=\"failure\"}\n",
                "    > max_over_time(campaign_log_runs_total{module=\"", $name, "\",outcome=\"failure\"}[1h] offset 5m))\n",
                ")",
            ),
            labels: &["log", "module", "campaign_instance", "code"],
            subject: Subject::Module(&$module),
            summary: t(
                concat!($run_en, " of {campaign_instance} failed on {host}."),
                concat!($run_pt, " de {campaign_instance} falhou em {host}."),
            ),
            description: t(
                concat!("The run of ", $name, "@{campaign_instance} on {host} that failed at {value|time} wrote errors to {log}.log. Its first error code: {code|or:none}."),
                concat!("A execução do ", $name, "@{campaign_instance} em {host} que falhou em {value|time} gravou erros no {log}.log. Primeiro código de erro: {code|or:nenhum}."),
            ),
            next_steps: t(
                concat!("Read the errors in var/{campaign_instance}/log/", $log, ".log on {host}\n", $again_en),
                concat!("Leia os erros em var/{campaign_instance}/log/", $log, ".log em {host}\n", $again_pt),
            ),
            ..USUAL
        }
    };
}

/// The alerts of this theme.
pub static ALERTS: &[AlertDef] = &[
    failed!(
        "CampaignExportFailed",
        "export",
        EXPORT,
        "An export",
        "Uma exportação",
        "export",
        "Have the operator who scheduled the export start it again: the delta, or the whole export",
        "Peça ao operador que agendou a exportação que a inicie novamente: o delta ou a exportação completa"
    ),
    failed!(
        "CampaignImportFailed",
        "import",
        IMPORT,
        "An import",
        "Uma importação",
        "import",
        "Look for duplicates in the database\nThen have the operator who scheduled the import start it again",
        "Procure duplicatas no banco de dados\nDepois peça ao operador que agendou a importação que a inicie novamente"
    ),
    failed!(
        "CampaignTrackingFailed",
        "tracking",
        TRACKING,
        "A run of the tracking job",
        "Uma execução do rastreamento",
        "tracking",
        "Read the errors of the Tracking workflow, and start it again\nCheck that trackinglogd runs and whether the host's alias was changed",
        "Leia os erros do fluxo de trabalho de rastreamento e reinicie-o\nVerifique se o trackinglogd está em execução e se o alias do servidor foi alterado"
    ),
    AlertDef {
        // A failure of before the exporter's start has a low severity, and is over once a good run follows.
        name: "CampaignOldFailedRun",
        expr: "campaign_log_last_failed_run_timestamp_seconds\n\
               \x20 < ignoring ({own}) group_left () campaign_exporter_first_start_timestamp_seconds\n\
               and ignoring (log, code) max without (check) (campaign_module_check{check=\"last_run\"}) == 0",
        labels: &["log", "module", "campaign_instance", "code"],
        severity: Severity::Info,
        summary: t(
            "The last run of {module}@{campaign_instance} on {host} failed before the exporter was first started.",
            "A última execução do {module}@{campaign_instance} em {host} falhou antes do primeiro início do exportador.",
        ),
        description: t(
            "{log}.log of {module}@{campaign_instance} on {host} ends with a run that failed at {value|time}. Its first error code: {code|or:none}.",
            "O {log}.log do {module}@{campaign_instance} em {host} termina com uma execução que falhou em {value|time}. Primeiro código de erro: {code|or:nenhum}.",
        ),
        next_steps: t(
            "Read var/{campaign_instance}/log/{log}.log on {host}, if nobody has yet",
            "Leia var/{campaign_instance}/log/{log}.log em {host}, se ninguém ainda o fez",
        ),
        advice: t(
            "An old failure is probably known. The alert ends with the next good run.",
            "Uma falha antiga provavelmente já é conhecida. O alerta se encerra com a próxima execução bem-sucedida.",
        ),
        ..USUAL
    },
    AlertDef {
        // An hourly job, and its last message is two hours old: one run was left out and the next is late. A workflow runs
        // it: where the configuration starts no wfserver, an old log is only that.
        name: "CampaignTrackingLate",
        expr: "campaign_host_time_seconds - ignoring ({own}) group_right () max without (log) (campaign_log_last_message_timestamp_seconds{module=\"tracking\"}) > {limit:tracking_late_seconds}\n\
               and ignoring (module) campaign_module_expected{module=\"wfserver\"} == 1",
        told: "max without (log) (campaign_log_last_message_timestamp_seconds{module=\"tracking\"})",
        grace: true,
        labels: OF_MODULE,
        hold: "15m",
        subject: Subject::Module(&TRACKING),
        summary: t(
            "The hourly tracking job of {campaign_instance} on {host} is late.",
            "A tarefa de rastreamento de {campaign_instance} em {host}, executada a cada hora, está atrasada.",
        ),
        description: t(
            "tracking@{campaign_instance} on {host} last wrote to its log {value|duration} ago; the Tracking workflow runs it every hour, and the limit is {limit:tracking_late_seconds|duration}.",
            "O tracking@{campaign_instance} em {host} gravou no log pela última vez há {value|duration}; o fluxo de trabalho de rastreamento o executa a cada hora, e o limite é de {limit:tracking_late_seconds|duration}.",
        ),
        next_steps: t(
            "Open the Tracking workflow of {campaign_instance}: does it run, does it report errors?\nCheck that wfserver@{campaign_instance} runs: nlserver pdump -who\nRead the end of var/{campaign_instance}/log/tracking.log on {host}",
            "Abra o fluxo de trabalho de rastreamento de {campaign_instance}: ele está em execução? Relata erros?\nVerifique se o wfserver@{campaign_instance} está em execução: nlserver pdump -who\nLeia o final de var/{campaign_instance}/log/tracking.log em {host}",
        ),
        ..USUAL
    },
    AlertDef {
        // How often inMail logs is in no document, so its silence alone is no fault. Where it wrote at this time both
        // yesterday and a week ago, it is one.
        name: "CampaignInMailSilent",
        expr: "sum without (log, level) (increase(campaign_log_messages_total{module=\"inMail\"}[1h])) == 0\n\
               and sum without (log, level) (increase(campaign_log_messages_total{module=\"inMail\"}[1h] offset 1d)) > 3\n\
               and sum without (log, level) (increase(campaign_log_messages_total{module=\"inMail\"}[1h] offset 7d)) > 3\n\
               and campaign_module_up{module=\"inMail\"} == 1",
        told: "campaign_module_up{module=\"inMail\"}",
        labels: OF_MODULE,
        hold: "15m",
        severity: Severity::Info,
        subject: Subject::Module(&IN_MAIL),
        summary: t(
            "inMail@{campaign_instance} on {host} runs but has written nothing to its log.",
            "O inMail@{campaign_instance} em {host} está em execução, mas não grava nada no log.",
        ),
        description: t(
            "inMail@{campaign_instance} on {host} has written nothing to its log for more than an hour; at this time of day, yesterday and a week ago, it did.",
            "O inMail@{campaign_instance} em {host} não grava nada no log há mais de uma hora; neste horário, ontem e há uma semana, ele gravava.",
        ),
        next_steps: t(
            "Read the end of var/{campaign_instance}/log/inMail.log on {host}\nLook into the bounce mailbox: do messages pile up?\nThen nlserver restart inMail@{campaign_instance}",
            "Leia o final de var/{campaign_instance}/log/inMail.log em {host}\nConsulte a caixa de emails de devolução: as mensagens se acumulam?\nDepois nlserver restart inMail@{campaign_instance}",
        ),
        ..USUAL
    },
    AlertDef {
        // One may be a session that expired. The errors must be of now: after the exporter was away, old ones are counted
        // now.
        name: "CampaignWebSessionErrors",
        expr: "round(sum without (log, problem) (increase(campaign_log_problems_total{module=\"web\",problem=\"xtk_session\"}[10m]))) >= {limit:session_errors}\n\
               and max without (log) (campaign_log_last_error_timestamp_seconds{module=\"web\"} > ignoring (log, module, campaign_instance) group_left () (campaign_host_time_seconds - 600))",
        labels: OF_MODULE,
        subject: Subject::Module(&WEB),
        summary: t(
            "Console and web connections to web@{campaign_instance} on {host} fail with xtk:session errors.",
            "As conexões do console e da web com o web@{campaign_instance} em {host} falham com erros do tipo xtk:session.",
        ),
        description: t(
            "The log of web@{campaign_instance} on {host} had {value|int} xtk:session errors within 10 minutes; the limit is {limit:session_errors}.",
            "O log do web@{campaign_instance} em {host} teve {value|int} erros do tipo xtk:session em 10 minutos; o limite é {limit:session_errors}.",
        ),
        next_steps: t(
            "Log on with the console: does it work for you?\nRead the end of var/{campaign_instance}/log/web.log on {host}; codes ODB-, PGS-, WDB- mean the database\nIf nobody can log on: nlserver restart web",
            "Conecte-se pelo console: funciona para você?\nLeia o final de var/{campaign_instance}/log/web.log em {host}; os códigos ODB-, PGS- e WDB- indicam o banco de dados\nSe ninguém consegue se conectar: nlserver restart web",
        ),
        ..USUAL
    },
    AlertDef {
        name: "CampaignCrossDeviceLink",
        expr: "round(sum without (log, problem) (increase(campaign_log_problems_total{problem=\"cross_device_link\"}[15m]))) > 0",
        labels: OF_MODULE,
        summary: t(
            "{module}@{campaign_instance} on {host} can't move its files: TMPDIR is on another device.",
            "O {module}@{campaign_instance} em {host} não consegue mover os seus arquivos: o TMPDIR está em outro dispositivo.",
        ),
        description: t(
            "{module}@{campaign_instance} on {host} failed to rename a file across devices within the last 15 minutes (count: {value|int}).",
            "O {module}@{campaign_instance} em {host} não conseguiu renomear um arquivo entre dispositivos nos últimos 15 minutos (ocorrências: {value|int}).",
        ),
        next_steps: t(
            "On {host}: df $TMPDIR and df var must name the same device\nSet TMPDIR in customer.sh to a folder on the device of var, then nlserver restart {parent}@{campaign_instance}",
            "Em {host}: df $TMPDIR e df var devem indicar o mesmo dispositivo\nDefina o TMPDIR no customer.sh como uma pasta no dispositivo de var e depois nlserver restart {parent}@{campaign_instance}",
        ),
        advice: t(
            "Files are written to TMPDIR and renamed into var; rename works within one device only. Put TMPDIR on the same device as var.",
            "Os arquivos são gravados no TMPDIR e renomeados para var; a renomeação só funciona dentro de um mesmo dispositivo. Coloque o TMPDIR no mesmo dispositivo que var.",
        ),
        ..USUAL
    },
];
