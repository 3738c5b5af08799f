//! Alerts: what is seen only when the logs of all modules are looked at.
//!
//! Their expressions read every series of every log, so they have a group of their own that is evaluated once a minute:
//! each of them looks at a quarter of an hour or more. Ages compare the times that messages have with the host's own clock.

use super::modules::{PRECISION, PRECISION_STEPS};
use super::{AlertDef, OF_MODULE, RecordingRule, Severity, Subject, USUAL, quiet, t};
use crate::catalog::modules::{LOG_FILES, SYSLOGD, TRACKINGLOGD};
use crate::catalog::signals::Theme;

/// The recording rules of this theme: what several of its alerts ask for, once.
pub static RECORDS: &[RecordingRule] = &[
    RecordingRule {
        name: "module:campaign_log_errors:increase20m",
        labels: OF_MODULE,
        expr: "sum without (log, level) (increase(campaign_log_messages_total{level=\"error\"}[20m]))",
    },
    RecordingRule {
        name: "module:campaign_log_messages:increase20m",
        labels: OF_MODULE,
        expr: "sum without (log, level) (increase(campaign_log_messages_total[20m]))",
    },
    RecordingRule {
        name: "module:campaign_log_unparsed_lines:increase20m",
        labels: OF_MODULE,
        expr: "sum without (log) (increase(campaign_log_unparsed_lines_total[20m]))",
    },
    RecordingRule {
        name: "module:campaign_log_last_message_timestamp_seconds:max",
        labels: OF_MODULE,
        expr: "max without (log) (campaign_log_last_message_timestamp_seconds)",
    },
    RecordingRule {
        name: "instance:campaign_log_last_message_timestamp_seconds:max",
        labels: &[],
        expr: "max without (module, campaign_instance) (module:campaign_log_last_message_timestamp_seconds:max)",
    },
    RecordingRule {
        // Many logs are rightly silent for hours. A fault is when modules start and nothing is written in any log of
        // the host, since syslogd writes them all. Five seconds: boot time is known to the second only. A syslogd that
        // is down, hangs or lacks its port has its own alert, and so have logs that the exporter can't read.
        name: "instance:campaign_logs_missing:age",
        labels: &[],
        expr: "(campaign_host_time_seconds - instance:campaign_log_last_message_timestamp_seconds:max)\n\
               and\n\
               (\n\
               \x20 count without (module, campaign_instance) (\n\
               \x20   (campaign_module_start_time_seconds{module=~\"inMail|mta|stat|syslogd|trackinglogd|watchdog|web|wfserver\"} - 5)\n\
               \x20     > ignoring (module, campaign_instance) group_left () instance:campaign_log_last_message_timestamp_seconds:max\n\
               \x20 ) >= 2\n\
               \x20 or\n\
               \x20 sum without (module, campaign_instance) (increase(campaign_module_starts_total{module=~\"export|import|inMail|mta|stat|syslogd|tracking|trackinglogd|watchdog|web|wfserver\"}[2h])) > 0\n\
               \x20 and campaign_host_time_seconds - instance:campaign_log_last_message_timestamp_seconds:max > 7200\n\
               )\n\
               and max without (collector) (campaign_scrape_collector_success{collector=\"logs\"}) == 1\n\
               unless min without (module, campaign_instance, check) (campaign_module_check{module=\"syslogd\",check=~\"running|responsive|port\"}) == 0",
    },
    quiet!("campaign_log_files"),
];

/// The alerts of this theme.
pub static ALERTS: &[AlertDef] = &[
    AlertDef {
        // Six errors a minute, or hardly anything but errors: what a module that fails each time it tries looks like,
        // however rarely it tries. Holds as long as the window is: an import with one bad file is a burst.
        name: "CampaignModuleErrors",
        expr: "module:campaign_log_errors:increase20m >= {limit:errors}\n\
               or\n\
               (module:campaign_log_errors:increase20m >= 3) > 0.5 * module:campaign_log_messages:increase20m",
        told: "module:campaign_log_errors:increase20m",
        labels: OF_MODULE,
        hold: "20m",
        summary: t(
            "{module}@{campaign_instance} on {host} keeps writing errors to its log.",
            "O {module}@{campaign_instance} em {host} grava erros no log continuamente.",
        ),
        description: t(
            "{module}@{campaign_instance} on {host} wrote {value|int} errors to its log within 20 minutes; the limit is {limit:errors}, or over half of its messages.",
            "O {module}@{campaign_instance} em {host} gravou {value|int} erros no log em 20 minutos; o limite é {limit:errors}, ou mais da metade das suas mensagens.",
        ),
        next_steps: t(
            "Read the end of var/{campaign_instance}/log/{module}.log on {host}\nThe codes: campaign_log_error_codes_total; ODB-, PGS-, WDB- mean the database",
            "Leia o final de var/{campaign_instance}/log/{module}.log em {host}\nOs códigos: campaign_log_error_codes_total; ODB-, PGS- e WDB- indicam o banco de dados",
        ),
        advice: t(
            "See which error repeats, and whether it began with a change. One code again and again is one cause.",
            "Veja qual erro se repete e se ele começou com uma mudança. Um mesmo código repetido indica uma única causa.",
        ),
        ..USUAL
    },
    AlertDef {
        name: "CampaignLogsMissing",
        expr: "instance:campaign_logs_missing:age",
        told: "instance:campaign_log_last_message_timestamp_seconds:max",
        grace: true,
        hold: "15m",
        subject: Subject::Module(&SYSLOGD),
        summary: t(
            "Campaign modules start on {host}, but nothing is written to any log.",
            "Módulos do Campaign são iniciados em {host}, mas nada é gravado em nenhum log.",
        ),
        description: t(
            "On {host}, modules have started, but syslogd has written nothing to any log file for {value|duration}.",
            "Em {host}, módulos foram iniciados, mas o syslogd não grava nada em nenhum arquivo de log há {value|duration}.",
        ),
        next_steps: t(
            "On {host}: ss -ulpn 'sport = :6666' (syslogd must hold it, on the local address)\nCheck that the disk of var is not full: df -h\nThen nlserver restart syslogd",
            "Em {host}: ss -ulpn 'sport = :6666' (o syslogd deve ocupá-la, no endereço local)\nVerifique se o disco de var não está cheio: df -h\nDepois nlserver restart syslogd",
        ),
        ..USUAL
    },
    AlertDef {
        // A log moves away at maxFileSizeMb, and one old file is kept: at that much an hour there are no two hours left to
        // look back on.
        name: "CampaignLogPrecision",
        expr: "sum without (log) (rate(campaign_log_read_bytes_total[15m]))\n\
               \x20 > ignoring ({own}) group_left () (campaign_log_rotation_size_bytes / 3600)\n\
               and campaign_module_verbose == 1",
        told: "campaign_module_verbose",
        labels: OF_MODULE,
        hold: "20m",
        summary: t(
            "The raised log precision of {module}@{campaign_instance} on {host} overloads its log.",
            "A precisão aumentada do log do {module}@{campaign_instance} em {host} sobrecarrega o log.",
        ),
        description: t(
            "{module}@{campaign_instance} on {host} runs with -verbose or -tracefilter, and its logs have grown by {value|bytes} a second for more than 20 minutes: over one maxFileSizeMb ({query:campaign_log_rotation_size_bytes|bytes}) an hour.",
            "O {module}@{campaign_instance} em {host} está em execução com -verbose ou -tracefilter, e os seus logs crescem {value|bytes} por segundo há mais de 20 minutos: mais de um maxFileSizeMb ({query:campaign_log_rotation_size_bytes|bytes}) por hora.",
        ),
        next_steps: PRECISION_STEPS,
        advice: PRECISION,
        impact: t(
            "Older messages of the log are lost with each rotation.",
            "As mensagens mais antigas do log se perdem a cada rotação.",
        ),
        ..USUAL
    },
    AlertDef {
        name: "CampaignLogFlood",
        expr: "round(sum without (log) (increase(campaign_log_rotations_total[20m]))) >= {limit:rotations}\n\
               unless campaign_module_verbose == 1",
        told: "max without (log) (campaign_log_size_bytes)",
        labels: OF_MODULE,
        summary: t(
            "{module}@{campaign_instance} floods its log on {host}.",
            "O {module}@{campaign_instance} inunda o log em {host}.",
        ),
        description: t(
            "The logs of {module}@{campaign_instance} on {host} were rotated {value|int} times within 20 minutes; the limit is {limit:rotations}. A log is rotated at maxFileSizeMb ({query:campaign_log_rotation_size_bytes|bytes}), and one old file is kept.",
            "Os logs do {module}@{campaign_instance} em {host} foram rotacionados {value|int} vezes em 20 minutos; o limite é {limit:rotations}. Um log é rotacionado ao atingir o maxFileSizeMb ({query:campaign_log_rotation_size_bytes|bytes}), e um único arquivo antigo é mantido.",
        ),
        next_steps: t(
            "Read the end of var/{campaign_instance}/log/{module}.log on {host}: which message repeats?\nSave the log and {module}_2.log now, if the beginning of the trouble is in them",
            "Leia o final de var/{campaign_instance}/log/{module}.log em {host}: qual mensagem se repete?\nSalve agora o log e o {module}_2.log, caso o início do problema esteja neles",
        ),
        advice: t(
            "Find the message that repeats, and correct its cause: often a module that tries the same thing again without a pause.",
            "Encontre a mensagem que se repete e corrija a causa: muitas vezes é um módulo que tenta a mesma coisa sem pausa.",
        ),
        impact: t("Older messages are lost within minutes.", "As mensagens mais antigas se perdem em minutos."),
        ..USUAL
    },
    AlertDef {
        name: "CampaignLogLinesUnread",
        expr: "module:campaign_log_unparsed_lines:increase20m\n\
               \x20 / (module:campaign_log_messages:increase20m + module:campaign_log_unparsed_lines:increase20m)\n\
               \x20 > {limit:unparsed_ratio}",
        told: "max without (log) (campaign_log_size_bytes)",
        labels: OF_MODULE,
        hold: "30m",
        severity: Severity::Info,
        subject: LOG_READING,
        summary: t(
            "The exporter can't read a part of the log of {module}@{campaign_instance} on {host}.",
            "O exportador não consegue ler parte do log do {module}@{campaign_instance} em {host}.",
        ),
        description: t(
            "For more than 30 minutes, {value|percent} of the lines in the log of {module}@{campaign_instance} on {host} could not be read; the limit is {limit:unparsed_ratio|percent}.",
            "Há mais de 30 minutos, {value|percent} das linhas do log do {module}@{campaign_instance} em {host} não podem ser lidas; o limite é de {limit:unparsed_ratio|percent}.",
        ),
        next_steps: t(
            "Look at var/{campaign_instance}/log/{module}.log on {host}: does another program write to it?\nReport the form of the lines (without personal data) to the exporter's project",
            "Consulte var/{campaign_instance}/log/{module}.log em {host}: outro programa grava nele?\nInforme o formato das linhas (sem dados pessoais) ao projeto do exportador",
        ),
        advice: t(
            "Lines without the documented fields are counted but not understood: errors in them go unseen.",
            "As linhas sem os campos documentados são contadas, mas não interpretadas: os erros nelas passam despercebidos.",
        ),
        impact: UNSEEN,
        ..USUAL
    },
    AlertDef {
        name: "CampaignLogBytesLost",
        expr: "sum without (log) (increase(campaign_log_skipped_bytes_total[30m])) > 0\n\
               or\n\
               sum without (log) (increase(campaign_log_generations_missed_total[30m])) > 0",
        labels: OF_MODULE,
        severity: Severity::Info,
        subject: LOG_READING,
        summary: t(
            "The exporter missed a part of the log of {module}@{campaign_instance} on {host}.",
            "O exportador perdeu parte do log do {module}@{campaign_instance} em {host}.",
        ),
        description: t(
            "Within 30 minutes, the exporter missed lines in the log of {module}@{campaign_instance} on {host}: it was down during a rotation, the log grew faster than it could read, or lines were too long.",
            "Em 30 minutos, linhas do log do {module}@{campaign_instance} em {host} não foram lidas pelo exportador: ele estava parado durante uma rotação, o log cresceu mais rápido do que a leitura, ou havia linhas longas demais.",
        ),
        next_steps: t(
            "Read var/{campaign_instance}/log/{module}.log and {module}_2.log on {host} yourself\nKeep the exporter running: systemctl status campaign_exporter",
            "Leia você mesmo var/{campaign_instance}/log/{module}.log e {module}_2.log em {host}\nMantenha o exportador em execução: systemctl status campaign_exporter",
        ),
        advice: t("Errors in what was lost were not counted.", "Os erros no que foi perdido não foram contados."),
        impact: UNSEEN,
        ..USUAL
    },
    AlertDef {
        name: "CampaignLogFilesNotFollowed",
        expr: "campaign_log_files_not_followed > 0\nor\ncampaign_tracking_log_files_not_followed > 0",
        told: "campaign_log_files_not_followed",
        labels: &["campaign_instance", "reason"],
        hold: "15m",
        subject: LOG_READING,
        summary: t(
            "The exporter can't follow some logs of {campaign_instance} on {host}.",
            "O exportador não consegue acompanhar alguns logs de {campaign_instance} em {host}.",
        ),
        description: t(
            "On {host}, the number of log files of {campaign_instance} that have not been followed for more than 15 minutes is {value|int}. Reason: {reason}.",
            "Em {host}, o número de arquivos de log de {campaign_instance} que não são acompanhados há mais de 15 minutos é {value|int}. Motivo: {reason}.",
        ),
        next_steps: t(
            "The exporter's log on {host} names the files: journalctl -u campaign_exporter\npermission: let its user read var/{campaign_instance}/log\nlimit: raise LimitNOFILE of its unit",
            "O log do exportador em {host} indica os arquivos: journalctl -u campaign_exporter\npermission: permita que o usuário dele leia var/{campaign_instance}/log\nlimit: aumente o LimitNOFILE da unidade dele",
        ),
        advice: t(
            "Let the exporter read what its log names, then wait a minute.",
            "Permita que o exportador leia o que o log dele indica e aguarde um minuto.",
        ),
        impact: UNSEEN,
        ..USUAL
    },
    AlertDef {
        name: "CampaignLogsNotFound",
        expr: "campaign_log_files_followed == 0\nand max without (module, campaign_instance) (campaign_module_up) == 1",
        told: "campaign_log_files_followed",
        grace: true,
        hold: "15m",
        subject: LOG_READING,
        summary: t(
            "Campaign runs on {host}, but the exporter finds none of its logs.",
            "O Campaign está em execução em {host}, mas o exportador não encontra nenhum dos logs.",
        ),
        description: t(
            "On {host}, modules have been running for more than 15 minutes and the number of logs found is {value|int}.",
            "Em {host}, há módulos em execução há mais de 15 minutos e o número de logs encontrados é {value|int}.",
        ),
        next_steps: t(
            "On {host}: grep XTK_VAR_DIR customer.sh shows whether var was moved\nLet the exporter's user read var/*/log: ls -ld var/*/log\nRead the exporter's log: journalctl -u campaign_exporter",
            "Em {host}: grep XTK_VAR_DIR customer.sh mostra se var foi movido\nPermita que o usuário do exportador leia var/*/log: ls -ld var/*/log\nLeia o log do exportador: journalctl -u campaign_exporter",
        ),
        advice: t(
            "The logs are elsewhere, or the exporter may not read them. Until then no error and no failed run is seen.",
            "Os logs estão em outro lugar, ou o exportador não pode lê-los. Até lá, nenhum erro e nenhuma execução com falha são vistos.",
        ),
        impact: UNSEEN,
        ..USUAL
    },
    AlertDef {
        // It may rightly be silent for long, but not from its start on: it started over an hour ago, and since then it
        // has written nothing while others have, so that logging works.
        name: "CampaignTrackinglogdSilent",
        expr: "campaign_host_time_seconds - ignoring ({own}) group_right () module:campaign_log_last_message_timestamp_seconds:max{module=\"trackinglogd\"}\n\
               and module:campaign_log_last_message_timestamp_seconds:max{module=\"trackinglogd\"} < (campaign_module_start_time_seconds{module=\"trackinglogd\"} - 5)\n\
               and campaign_host_time_seconds - ignoring ({own}) group_right () campaign_module_start_time_seconds{module=\"trackinglogd\"} > 3600\n\
               and campaign_module_start_time_seconds{module=\"trackinglogd\"} + 60 < ignoring ({own}) group_left () instance:campaign_log_last_message_timestamp_seconds:max",
        told: "module:campaign_log_last_message_timestamp_seconds:max{module=\"trackinglogd\"}",
        labels: OF_MODULE,
        hold: "15m",
        severity: Severity::Info,
        subject: Subject::Module(&TRACKINGLOGD),
        summary: t(
            "trackinglogd@{campaign_instance} on {host} runs but has written nothing since its start.",
            "O trackinglogd@{campaign_instance} em {host} está em execução, mas não gravou nada desde que iniciou.",
        ),
        description: t(
            "trackinglogd@{campaign_instance} on {host} last wrote to its log {value|duration} ago, before it started; it has been running for more than an hour while other modules have written to theirs.",
            "O trackinglogd@{campaign_instance} em {host} gravou no log pela última vez há {value|duration}, antes de iniciar; ele está em execução há mais de uma hora enquanto outros módulos gravaram nos seus.",
        ),
        next_steps: t(
            "Read the end of var/{campaign_instance}/log/trackinglogd.log on {host}\nAre there new files in var/*/redir/log?\nIf not: nlserver restart trackinglogd",
            "Leia o final de var/{campaign_instance}/log/trackinglogd.log em {host}\nHá arquivos novos em var/*/redir/log?\nSe não houver: nlserver restart trackinglogd",
        ),
        ..USUAL
    },
];

const LOG_READING: Subject = Subject::Own {
    scope: t("The exporter's reading of the log files.", "Leitura dos arquivos de log pelo exportador."),
    page: LOG_FILES,
};

const UNSEEN: super::Text = t("Errors in these logs are not seen.", "Os erros nesses logs não são vistos.");

/// This theme: the metrics are those of the logs.
pub const THEME: Theme = Theme {
    title: "Log files",
    group: "campaign_log_files",
    interval: "1m",
    metrics: &[],
    checks: &[],
    alerts: ALERTS,
    records: RECORDS,
    panel: ("campaign-evidence", 8),
};
