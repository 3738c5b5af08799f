//! Alerts: the modules' logs.
//!
//! Ages compare the times that messages have with the host's own clock: that of Prometheus may be another.

use super::modules::{PRECISION, PRECISION_STEPS};
use super::{AlertDef, OF_MODULE, RecordingRule, Severity, Subject, USUAL, t};
use crate::catalog::modules::{EXPORT, IMPORT, IN_MAIL, LOG_FILES, SYSLOGD, TRACKING, TRACKINGLOGD, WEB};

/// The recording rules of this theme: what several of its alerts ask for, once.
pub static RECORDS: &[RecordingRule] = &[
    RecordingRule {
        group: "campaign_logs",
        name: "module:campaign_log_errors:increase20m",
        labels: OF_MODULE,
        expr: "sum without (log, level) (increase(campaign_log_messages_total{level=\"error\"}[20m]))",
    },
    RecordingRule {
        group: "campaign_logs",
        name: "module:campaign_log_messages:increase20m",
        labels: OF_MODULE,
        expr: "sum without (log, level) (increase(campaign_log_messages_total[20m]))",
    },
    RecordingRule {
        group: "campaign_logs",
        name: "module:campaign_log_unparsed_lines:increase20m",
        labels: OF_MODULE,
        expr: "sum without (log) (increase(campaign_log_unparsed_lines_total[20m]))",
    },
    RecordingRule {
        group: "campaign_logs",
        name: "module:campaign_log_last_message_timestamp_seconds:max",
        labels: OF_MODULE,
        expr: "max without (log) (campaign_log_last_message_timestamp_seconds)",
    },
    RecordingRule {
        group: "campaign_logs",
        name: "instance:campaign_log_last_message_timestamp_seconds:max",
        labels: &[],
        expr: "max without (module, campaign_instance) (module:campaign_log_last_message_timestamp_seconds:max)",
    },
];

/// The alert of a module that starts when needed and ends by itself, about a run that failed: an event of five minutes
/// for each, however soon a good run follows.
///
/// The counter tells it; after an absence of the exporter of up to an hour, it is higher than it was before. A failure
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
        // What failed before the exporter was there is told quietly, as long as no good run has followed.
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
        expr: "campaign_host_time_seconds - ignoring ({own}) group_right () module:campaign_log_last_message_timestamp_seconds:max{module=\"tracking\"} > {limit:tracking_late_seconds}\n\
               and ignoring (module) campaign_module_expected{module=\"wfserver\"} == 1",
        told: "module:campaign_log_last_message_timestamp_seconds:max{module=\"tracking\"}",
        grace: true,
        labels: OF_MODULE,
        hold: "15m",
        subject: Subject::Module(&TRACKING),
        summary: t(
            "The hourly tracking job of {campaign_instance} on {host} is late.",
            "A tarefa de rastreamento de {campaign_instance} em {host}, executada a cada hora, está atrasada.",
        ),
        description: t(
            "tracking@{campaign_instance} on {host} wrote to its log {value|duration} ago for the last time; the Tracking workflow runs it every hour, and the limit is {limit:tracking_late_seconds} seconds.",
            "O tracking@{campaign_instance} em {host} gravou no log pela última vez há {value|duration}; o fluxo de trabalho de rastreamento o executa a cada hora, e o limite é {limit:tracking_late_seconds} segundos.",
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
               and campaign_module_up == 1",
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
            "{module}@{campaign_instance} on {host} wrote {value|int} errors to its log within 20 minutes: {limit:errors} or more, or over half of its messages.",
            "O {module}@{campaign_instance} em {host} gravou {value|int} erros no log em 20 minutos: {limit:errors} ou mais, ou mais da metade das suas mensagens.",
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
        // Many logs are silent for hours, and rightly. What never is: modules start, and nothing is written in any log
        // of the host, since syslogd writes them all. Five seconds: boot time is known to the second only. A syslogd that
        // is down, hangs or lacks its port has its own alert, and so have logs that the exporter can't read.
        name: "CampaignLogsMissing",
        expr: "(campaign_host_time_seconds - instance:campaign_log_last_message_timestamp_seconds:max)\n\
               and ignoring ({own})\n\
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
            "For more than 30 minutes, {value|percent} of the lines in the log of {module}@{campaign_instance} on {host} could not be read; the limit is a share of {limit:unparsed_ratio}.",
            "Há mais de 30 minutos, {value|percent} das linhas do log do {module}@{campaign_instance} em {host} não podem ser lidas; o limite é uma fração de {limit:unparsed_ratio}.",
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
            "Within 30 minutes, lines in the log of {module}@{campaign_instance} on {host} were lost to the exporter: it was down during a rotation, the log grew faster than it could read, or lines were too long.",
            "Em 30 minutos, linhas do log do {module}@{campaign_instance} em {host} escaparam ao exportador: ele estava parado durante uma rotação, o log cresceu mais rápido do que a leitura, ou havia linhas longas demais.",
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
            "trackinglogd@{campaign_instance} on {host} wrote to its log {value|duration} ago for the last time, before it started; it has been running for more than an hour while other modules have written to theirs.",
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
