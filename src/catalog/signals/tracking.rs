//! The tracking logs that a redirection server keeps until the tracking job collects them.

use super::{Theme, define_metrics};
use crate::catalog::alerts::{AlertDef, OF_INSTANCE, Subject, USUAL, t};
use crate::catalog::modules::{TRACKING, TRACKINGLOGD};
use crate::catalog::{CheckDef, Module, Text};

define_metrics! {
    TRACKING_LOG_FILES: Gauge "campaign_tracking_log_files" [campaign_instance]
        "Tracking logs (redir/log/0x*.log) on the disk. Absent on a host that is not a redirection server.";
    TRACKING_LOG_BYTES: Gauge "campaign_tracking_log_bytes" [campaign_instance]
        "Size of the tracking logs together, in bytes.";
    TRACKING_LOG_SIZE_LIMIT: Gauge "campaign_tracking_log_size_limit_bytes" [campaign_instance]
        "The configured maxLogsSizeOnDiskMb of trackinglogd, in bytes.";
    TRACKING_LOG_NEWEST: Gauge "campaign_tracking_log_newest_timestamp_seconds" [campaign_instance]
        "When the newest tracking log was last written, in seconds since 1970-01-01 UTC. Absent when there is none.";
    TRACKING_LOG_LINES: Counter "campaign_tracking_log_lines_total" [campaign_instance]
        "Lines of the tracking logs, corrupt ones included. Files that were there before the exporter count from their first line on, and a file that was replaced counts again.";
    TRACKING_LOG_CORRUPT_LINES: Counter "campaign_tracking_log_corrupt_lines_total" [campaign_instance]
        "Lines of the tracking logs that the documented pattern does not match.";
    TRACKING_LOG_CORRUPT_FILES: Gauge "campaign_tracking_log_corrupt_files" [campaign_instance]
        "Tracking logs that have a corrupt line now.";
    TRACKING_LOG_SKIPPED_BYTES: Counter "campaign_tracking_log_skipped_bytes_total" [campaign_instance]
        "Bytes of the tracking logs that were not checked: the part of a line beyond 64 KiB, NUL bytes, and what was deleted before it could be read, as far as that is known.";
    TRACKING_LOG_FILES_NOT_FOLLOWED: Gauge "campaign_tracking_log_files_not_followed" [campaign_instance, reason]
        "Tracking logs and their directories that can't be read now, by reason: permission, not_a_file (a FIFO, a directory or a link to nothing in its place), limit (more than 5,000 files, or no descriptor left), failure.";
}

/// The name of the collector, and of what it keeps across restarts: the job that needs these files.
pub const COLLECTOR: &str = TRACKING.name;

/// The module that writes the files.
pub static WRITER: &Module = &TRACKINGLOGD;

/// Every line is one that the tracking job can read.
pub static LOG_INTEGRITY: CheckDef = CheckDef {
    name: "log_integrity",
    title: Text { en: "log integrity", pt_br: "integridade dos logs" },
    passes_when: Text {
        en: "Every line of the tracking logs matches the pattern that the page \"About message tracking\" documents.",
        pt_br: "Todas as linhas dos logs de rastreamento correspondem ao padrão documentado na página \"Sobre o rastreamento de mensagens\".",
    },
    next_steps: Text {
        en: "Stop the Tracking workflow.\nDelete the corrupt line, or move its file out of redir/log and keep it: see the page about-message-tracking.\nStart the workflow again.",
        pt_br: "Pare o fluxo de trabalho de rastreamento.\nExclua a linha corrompida, ou mova o arquivo para fora de redir/log e guarde-o: veja a página about-message-tracking.\nReinicie o fluxo de trabalho.",
    },
};

/// What the page says of a corrupt line; its place follows.
pub const CORRUPT_LINE: Text =
    Text { en: "a tracking line is corrupt", pt_br: "há uma linha de rastreamento corrompida" };

/// The checks of this theme.
pub static CHECKS: &[&CheckDef] = &[&LOG_INTEGRITY];

/// The page that has the check of tracking lines.
const MESSAGE_TRACKING: &str = "../sending-messages/tracking-messages/about-message-tracking.html";

const SCOPE: Subject = Subject::Own {
    scope: t(
        "The files in which a redirection server keeps opens and clicks until the tracking job collects them.",
        "Os arquivos nos quais um servidor de redirecionamento guarda aberturas e cliques até que a tarefa de rastreamento os colete.",
    ),
    page: MESSAGE_TRACKING,
};

/// The alerts of this theme.
pub static ALERTS: &[AlertDef] = &[
    AlertDef {
        // A corrupt line stops the job until it is deleted: there is nothing to wait for.
        name: "CampaignTrackingLogsCorrupt",
        expr: "campaign_tracking_log_corrupt_files > 0",
        told: "campaign_tracking_log_corrupt_files",
        labels: OF_INSTANCE,
        subject: SCOPE,
        summary: t(
            "A corrupt tracking line stops the Tracking workflow of {campaign_instance} on {host}.",
            "Uma linha de rastreamento corrompida interrompe o fluxo de trabalho de rastreamento de {campaign_instance} em {host}.",
        ),
        description: t(
            "On {host}, the number of tracking logs of {campaign_instance} with a line that the tracking job can't read is {value|int}.",
            "Em {host}, o número de logs de rastreamento de {campaign_instance} com uma linha que a tarefa de rastreamento não consegue ler é {value|int}.",
        ),
        next_steps: t(
            "Stop the Tracking workflow of {campaign_instance}\nDelete the corrupt lines in var/{campaign_instance}/redir/log on {host}; the exporter's log names file and line\nStart the workflow again",
            "Pare o fluxo de trabalho de rastreamento de {campaign_instance}\nExclua as linhas corrompidas em var/{campaign_instance}/redir/log em {host}; o log do exportador indica o arquivo e a linha\nReinicie o fluxo de trabalho",
        ),
        advice: t(
            "Stop the Tracking workflow, delete the corrupt lines from their files below redir/log, and start the workflow again. The exporter's log and its status page name the file and the number of the first ones; the page \"About message tracking\" has the sed expression that finds all.",
            "Pare o fluxo de trabalho de rastreamento, exclua as linhas corrompidas dos arquivos em redir/log e reinicie o fluxo de trabalho. O log do exportador e a página de status dele informam o arquivo e o número das primeiras; a página \"Sobre o rastreamento de mensagens\" traz a expressão sed que encontra todas.",
        ),
        impact: t("Opens and clicks are not collected.", "As aberturas e os cliques não são coletados."),
        ..USUAL
    },
    AlertDef {
        // The number of redirections is unknown. That there should be some is taken from the day before and from
        // the same day of the week before: a Saturday is no Friday.
        name: "CampaignTrackingLogsMissing",
        expr: "increase(campaign_tracking_log_lines_total[2h] offset 7d) > {limit:tracking_lines}\n\
               and increase(campaign_tracking_log_lines_total[2h] offset 1d) > {limit:tracking_lines}\n\
               and increase(campaign_tracking_log_lines_total[2h]) == 0\n\
               unless ignoring ({own}) min without (module, campaign_instance, check) (campaign_module_check{module=~\"web|trackinglogd\",check=~\"redirection|running\"}) == 0",
        told: "campaign_tracking_log_lines_total",
        labels: OF_INSTANCE,
        hold: "15m",
        subject: Subject::Module(&TRACKINGLOGD),
        summary: t(
            "trackinglogd writes no tracking logs of {campaign_instance} on {host} any more.",
            "O trackinglogd não grava mais logs de rastreamento de {campaign_instance} em {host}.",
        ),
        description: t(
            "On {host}, no line was written to the tracking logs of {campaign_instance} within two hours; at this time a week ago it was about {value|int} lines, and yesterday more than {limit:tracking_lines}.",
            "Em {host}, nenhuma linha foi gravada nos logs de rastreamento de {campaign_instance} em duas horas; neste horário, há uma semana, foram cerca de {value|int} linhas, e ontem mais de {limit:tracking_lines}.",
        ),
        next_steps: t(
            "On {host}: nlserver pdump (does trackinglogd run?) and curl http://localhost/r/test\nRead the end of var/default/log/trackinglogd.log\nWas the host's alias changed?",
            "Em {host}: nlserver pdump (o trackinglogd está em execução?) e curl http://localhost/r/test\nLeia o final de var/default/log/trackinglogd.log\nO alias do servidor foi alterado?",
        ),
        ..USUAL
    },
    AlertDef {
        name: "CampaignTrackingLogsFull",
        expr: "campaign_tracking_log_bytes / campaign_tracking_log_size_limit_bytes > {limit:tracking_full_ratio}",
        told: "campaign_tracking_log_bytes",
        labels: OF_INSTANCE,
        hold: "15m",
        subject: SCOPE,
        summary: t(
            "The tracking logs of {campaign_instance} on {host} are about to reach their limit.",
            "Os logs de rastreamento de {campaign_instance} em {host} estão prestes a atingir o limite.",
        ),
        description: t(
            "The tracking logs of {campaign_instance} on {host} have filled {value|percent} of maxLogsSizeOnDiskMb ({query:campaign_tracking_log_size_limit_bytes|bytes}) for more than 15 minutes; the limit of this alert is {limit:tracking_full_ratio|percent}.",
            "Os logs de rastreamento de {campaign_instance} em {host} ocupam {value|percent} do maxLogsSizeOnDiskMb ({query:campaign_tracking_log_size_limit_bytes|bytes}) há mais de 15 minutos; o limite deste alerta é de {limit:tracking_full_ratio|percent}.",
        ),
        next_steps: t(
            "Does the Tracking workflow of {campaign_instance} run, and does it collect?\nRead the end of var/{campaign_instance}/log/tracking.log on {host}",
            "O fluxo de trabalho de rastreamento de {campaign_instance} está em execução e coleta os logs?\nLeia o final de var/{campaign_instance}/log/tracking.log em {host}",
        ),
        advice: t(
            "Check that the tracking job collects the logs. If it does, and the files are wanted for longer, raise maxLogsSizeOnDiskMb of trackinglogd in serverConf.xml.",
            "Verifique se a tarefa de rastreamento coleta os logs. Se ela os coleta e os arquivos são necessários por mais tempo, aumente o maxLogsSizeOnDiskMb do trackinglogd no serverConf.xml.",
        ),
        impact: t(
            "At the limit, the oldest opens and clicks are deleted, collected or not.",
            "No limite, as aberturas e os cliques mais antigos são excluídos, coletados ou não.",
        ),
        ..USUAL
    },
];

/// This theme.
pub(super) const THEME: Theme = Theme {
    title: "Tracking logs",
    group: "campaign_tracking_logs",
    interval: "",
    metrics: METRICS,
    checks: CHECKS,
    alerts: ALERTS,
    records: &[],
    panel: ("campaign-evidence", 19),
};
