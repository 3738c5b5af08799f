//! Alerts: the modules' processes.
//!
//! Critical is what stops emails, links or workflows; what is kept in memory or in a mailbox, or is only for reading,
//! may wait.

use super::{AlertDef, NOTHING_RUNS, OF_MODULE, RecordingRule, Severity, Subject, USUAL, quiet, t};
use crate::catalog::modules::{
    IN_MAIL, LOG_FILES, MTA, OTHER_SCOPE, STAT, SYSLOGD, TRACKINGLOGD, WATCHDOG, WEB, WFSERVER,
};

/// The alert of a resident module that has a row: one each, so that each carries its own text.
///
/// Three minutes outlast the daily restart (the watchdog starts the next process within seconds) at a scrape interval of
/// two minutes.
macro_rules! down {
    ($alert:literal, $name:literal, $module:ident, $severity:ident, $start:literal) => {
        down!(
            $alert,
            $name,
            $module,
            $severity,
            $start,
            ".log and of var/default/log/watchdog.log",
            ".log e de var/default/log/watchdog.log"
        )
    };
    ($alert:literal, $name:literal, $module:ident, $severity:ident, $start:literal, $logs_en:literal, $logs_pt:literal) => {
        AlertDef {
            name: $alert,
            expr: concat!("max without (check) (campaign_module_check{module=\"", $name, "\",check=\"running\"}) == 0"),
            told: concat!("max without (check) (campaign_module_check{module=\"", $name, "\",check=\"running\"})"),
            grace: true,
            labels: OF_MODULE,
            hold: "3m",
            severity: Severity::$severity,
            subject: Subject::Module(&$module),
            summary: t(
                concat!($name, "@{campaign_instance} is down on {host}."),
                concat!("O ", $name, "@{campaign_instance} está fora do ar em {host}."),
            ),
            description: t(
                concat!(
                    $name,
                    "@{campaign_instance} on {host} has not been running for more than 3 minutes, although its \
                     configuration (autoStart) starts it.",
                ),
                concat!(
                    "O ",
                    $name,
                    "@{campaign_instance} em {host} não está em execução há mais de 3 minutos, embora a configuração \
                     (autoStart) o inicie.",
                ),
            ),
            next_steps: t(
                concat!(
                    "On {host}: nlserver monitor -missing, then ",
                    $start,
                    "\nRead the end of var/{campaign_instance}/log/",
                    $name,
                    $logs_en,
                ),
                concat!(
                    "Em {host}: nlserver monitor -missing e depois ",
                    $start,
                    "\nLeia o final de var/{campaign_instance}/log/",
                    $name,
                    $logs_pt,
                ),
            ),
            ..USUAL
        }
    };
}

/// The recording rules of this theme.
pub static RECORDS: &[RecordingRule] = &[quiet!("campaign_modules")];

/// The alerts of this theme.
pub static ALERTS: &[AlertDef] = &[
    down!("CampaignInMailDown", "inMail", IN_MAIL, Warning, "nlserver start inMail@{campaign_instance}"),
    down!("CampaignMtaDown", "mta", MTA, Critical, "nlserver start mta@{campaign_instance}"),
    down!("CampaignStatDown", "stat", STAT, Critical, "nlserver start stat@{campaign_instance}"),
    down!("CampaignSyslogdDown", "syslogd", SYSLOGD, Warning, "nlserver start syslogd"),
    down!("CampaignTrackinglogdDown", "trackinglogd", TRACKINGLOGD, Warning, "nlserver start trackinglogd"),
    down!("CampaignWatchdogDown", "watchdog", WATCHDOG, Warning, "systemctl start nlserver", ".log", ".log"),
    down!("CampaignWebDown", "web", WEB, Critical, "nlserver start web"),
    down!("CampaignWfserverDown", "wfserver", WFSERVER, Critical, "nlserver start wfserver@{campaign_instance}"),
    AlertDef {
        // Every resident module that has no rule of its own, so that none can be down in silence.
        name: "CampaignModuleDown",
        expr: "max without (check) (campaign_module_check{module!~\"inMail|mta|stat|syslogd|trackinglogd|watchdog|web|wfserver\",check=\"running\"}) == 0",
        told: "max without (check) (campaign_module_check{module!~\"inMail|mta|stat|syslogd|trackinglogd|watchdog|web|wfserver\",check=\"running\"})",
        grace: true,
        labels: OF_MODULE,
        hold: "3m",
        subject: Subject::Own { scope: OTHER_SCOPE, page: LOG_FILES },
        summary: t(
            "{module}@{campaign_instance} is down on {host}.",
            "O {module}@{campaign_instance} está fora do ar em {host}.",
        ),
        description: t(
            "{module}@{campaign_instance} on {host} has not been running for more than 3 minutes, although its configuration (autoStart) starts it.",
            "O {module}@{campaign_instance} em {host} não está em execução há mais de 3 minutos, embora a configuração (autoStart) o inicie.",
        ),
        next_steps: t(
            "On {host}: nlserver monitor -missing, then nlserver start {module}@{campaign_instance}\nRead the end of var/{campaign_instance}/log/{module}.log and of var/default/log/watchdog.log",
            "Em {host}: nlserver monitor -missing e depois nlserver start {module}@{campaign_instance}\nLeia o final de var/{campaign_instance}/log/{module}.log e de var/default/log/watchdog.log",
        ),
        advice: t(
            "Start the module, and read the end of its own log file, var/<instance>/log/<module>.log, and of watchdog.log for the reason why it ended.",
            "Inicie o módulo e leia o final do arquivo de log dele, var/<instância>/log/<módulo>.log, e do watchdog.log para saber por que ele parou.",
        ),
        impact: t("What this module does for your site stops.", "O que este módulo faz no seu ambiente fica parado."),
        ..USUAL
    },
    AlertDef {
        // Nothing that should run does: the others are its consequences, and Alertmanager leaves them out.
        name: "CampaignNoProcessStarts",
        expr: NOTHING_RUNS,
        told: "max without (module, campaign_instance, check) (campaign_module_check{check=\"running\"})",
        grace: true,
        hold: "3m",
        severity: Severity::Critical,
        subject: Subject::Module(&WATCHDOG),
        summary: t("No Campaign module runs on {host}.", "Nenhum módulo do Campaign está em execução em {host}."),
        description: t(
            "On {host}, none of the modules that the configuration starts has been running for more than 3 minutes, the watchdog included.",
            "Em {host}, nenhum dos módulos que a configuração inicia está em execução há mais de 3 minutos, incluindo o watchdog.",
        ),
        next_steps: t(
            "On {host}: nlserver pdump (\"No tasks\": nothing runs), then systemctl start nlserver\nRead the end of var/default/log/watchdog.log\nPlanned work? Silence the host, where Alertmanager runs: amtool silence add instance={host} -d 2h -c \"planned work\" --alertmanager.url=http://localhost:9093",
            "Em {host}: nlserver pdump (\"No tasks\": nada em execução) e depois systemctl start nlserver\nLeia o final de var/default/log/watchdog.log\nManutenção planejada? Silencie o servidor, na máquina do Alertmanager: amtool silence add instance={host} -d 2h -c \"manutenção planejada\" --alertmanager.url=http://localhost:9093",
        ),
        impact: t("Campaign does nothing on this host.", "O Campaign está inteiramente parado neste servidor."),
        ..USUAL
    },
    AlertDef {
        // A module that dies and is started again is up at most scrapes: "down" never holds for three minutes. The daily
        // restart is one start, an administrator's restart after it a second; utilities and children start all day,
        // and have no campaign_module_up.
        name: "CampaignModuleRestarting",
        expr: "round(increase(campaign_module_starts_total[30m])) >= {limit:restarts}\nand campaign_module_up",
        told: "campaign_module_starts_total",
        labels: OF_MODULE,
        summary: t(
            "{module}@{campaign_instance} on {host} keeps exiting and being restarted.",
            "O {module}@{campaign_instance} em {host} para e é reiniciado repetidamente.",
        ),
        description: t(
            "{module}@{campaign_instance} on {host} was started {value|int} times within 30 minutes; the limit is {limit:restarts}.",
            "O {module}@{campaign_instance} em {host} foi iniciado {value|int} vezes em 30 minutos; o limite é {limit:restarts}.",
        ),
        next_steps: t(
            "Read the end of var/{campaign_instance}/log/{module}.log before each start, and var/default/log/watchdog.log\nLook for core files below the installation on {host}, and check the memory thresholds in serverConf.xml",
            "Leia o final de var/{campaign_instance}/log/{module}.log antes de cada início e o var/default/log/watchdog.log\nProcure arquivos core na instalação em {host} e confira os limites de memória no serverConf.xml",
        ),
        advice: t(
            "Find out why the process ends: a crash (SRV-810xxx in watchdog.log, a core file), a memory limit (maxMemoryMb, maxProcessMemoryAlertMb), or an error at the start. Starting it once more does not help.",
            "Descubra por que o processo para: um encerramento anormal (SRV-810xxx no watchdog.log, um arquivo core), um limite de memória (maxMemoryMb, maxProcessMemoryAlertMb) ou um erro na inicialização. Iniciá-lo mais uma vez não resolve.",
        ),
        ..USUAL
    },
    AlertDef {
        // Gives way to the alert below once that one fires, not while it is still pending. A threshold of 0 is none.
        name: "CampaignModuleMemoryWarning",
        expr: "campaign_module_process_resident_memory_max_bytes >= (campaign_module_memory_warning_bytes > 0)\n\
               unless min_over_time(campaign_module_process_resident_memory_max_bytes[5m]) >= (campaign_module_memory_alert_bytes > 0)",
        told: "campaign_module_process_resident_memory_max_bytes",
        labels: OF_MODULE,
        hold: "10m",
        summary: t(
            "{module}@{campaign_instance} on {host} has reached its memory warning threshold.",
            "O {module}@{campaign_instance} em {host} atingiu o limite de aviso de memória.",
        ),
        description: t(
            "The largest process of {module}@{campaign_instance} on {host} has been using {value|bytes} of memory for more than 10 minutes; its warning threshold is {query:campaign_module_memory_warning_bytes|bytes}.",
            "O maior processo do {module}@{campaign_instance} em {host} usa {value|bytes} de memória há mais de 10 minutos; o limite de aviso é {query:campaign_module_memory_warning_bytes|bytes}.",
        ),
        next_steps: t(
            "On {host}: nlserver pdump shows the memory of {module}@{campaign_instance}\nIf it keeps growing, plan a restart: nlserver restart {parent}@{campaign_instance} (watchdog: systemctl restart nlserver)",
            "Em {host}: o nlserver pdump mostra a memória do {module}@{campaign_instance}\nSe ela continuar crescendo, planeje uma reinicialização: nlserver restart {parent}@{campaign_instance} (watchdog: systemctl restart nlserver)",
        ),
        advice: MEMORY,
        impact: MEMORY_IMPACT,
        ..USUAL
    },
    AlertDef {
        name: "CampaignModuleMemoryAlert",
        expr: "campaign_module_process_resident_memory_max_bytes >= (campaign_module_memory_alert_bytes > 0)",
        told: "campaign_module_process_resident_memory_max_bytes",
        labels: OF_MODULE,
        hold: "5m",
        summary: t(
            "{module}@{campaign_instance} on {host} has reached its memory alert threshold.",
            "O {module}@{campaign_instance} em {host} atingiu o limite de alerta de memória.",
        ),
        description: t(
            "The largest process of {module}@{campaign_instance} on {host} has been using {value|bytes} of memory for more than 5 minutes; its alert threshold is {query:campaign_module_memory_alert_bytes|bytes}.",
            "O maior processo do {module}@{campaign_instance} em {host} usa {value|bytes} de memória há mais de 5 minutos; o limite de alerta é {query:campaign_module_memory_alert_bytes|bytes}.",
        ),
        next_steps: t(
            "On {host}: nlserver pdump shows the memory of {module}@{campaign_instance}\nRestart it when its work allows: nlserver restart {parent}@{campaign_instance} (wfserver: nlserver pdump -who first; watchdog: systemctl restart nlserver)\nRead var/{campaign_instance}/log/{module}.log for what it did",
            "Em {host}: o nlserver pdump mostra a memória do {module}@{campaign_instance}\nReinicie-o quando o trabalho dele permitir: nlserver restart {parent}@{campaign_instance} (wfserver: antes, nlserver pdump -who; watchdog: systemctl restart nlserver)\nLeia var/{campaign_instance}/log/{module}.log para saber o que ele fez",
        ),
        advice: MEMORY,
        impact: MEMORY_IMPACT,
        ..USUAL
    },
    AlertDef {
        // Five minutes: a zombie is there for a moment whenever a process ends.
        name: "CampaignModuleUnresponsive",
        expr: "max without (check) (campaign_module_check{check=\"responsive\"}) == 0",
        told: "max without (check) (campaign_module_check{check=\"responsive\"})",
        labels: OF_MODULE,
        hold: "5m",
        severity: Severity::Critical,
        summary: t(
            "{module}@{campaign_instance} hangs on {host}.",
            "O {module}@{campaign_instance} está travado em {host}.",
        ),
        description: t(
            "A process of {module}@{campaign_instance} on {host} has been stopped, a zombie, or in uninterruptible sleep for more than 5 minutes.",
            "Um processo do {module}@{campaign_instance} em {host} está parado, é zumbi ou está em espera ininterruptível há mais de 5 minutos.",
        ),
        next_steps: t(
            "On {host}: ps -o pid,ppid,stat,wchan,args -C nlserver (T: stopped, Z: zombie, D: waits for a disk or the network)\nStopped: kill -CONT PID. Else: nlserver restart {parent}@{campaign_instance} (watchdog: systemctl restart nlserver)\nD: check the disks and NFS mounts first",
            "Em {host}: ps -o pid,ppid,stat,wchan,args -C nlserver (T: parado, Z: zumbi, D: espera disco ou rede)\nParado: kill -CONT PID. Caso contrário: nlserver restart {parent}@{campaign_instance} (watchdog: systemctl restart nlserver)\nD: verifique antes os discos e as montagens NFS",
        ),
        advice: t(
            "The process exists and does nothing. One that waits for a disk or a network mount can't be restarted until that answers.",
            "O processo existe, mas não faz nada. Um processo que espera por um disco ou uma montagem de rede só pode ser reiniciado quando esse recurso responder.",
        ),
        ..USUAL
    },
    AlertDef {
        name: "CampaignModuleTooOld",
        expr: "campaign_host_time_seconds - ignoring ({own}) group_right () campaign_module_start_time_seconds\n\
               and max without (check) (campaign_module_check{check=\"age\"}) == 0",
        told: "campaign_module_start_time_seconds",
        labels: OF_MODULE,
        hold: "15m",
        summary: t(
            "{module}@{campaign_instance} on {host} missed its daily restart.",
            "O {module}@{campaign_instance} em {host} não passou pela reinicialização diária.",
        ),
        description: t(
            "The oldest process of {module}@{campaign_instance} on {host} has been running for {value|duration}; at its processRestartTime, once a day, it should have been restarted.",
            "O processo mais antigo do {module}@{campaign_instance} em {host} está em execução há {value|duration}; ele deveria ter sido reiniciado no processRestartTime, uma vez por dia.",
        ),
        next_steps: t(
            "On {host}: nlserver pdump -who shows what {module}@{campaign_instance} is doing\nLook in the database for a query that blocks it\nThen stop the process: nlserver restart {parent}@{campaign_instance}",
            "Em {host}: o nlserver pdump -who mostra o que o {module}@{campaign_instance} está fazendo\nProcure no banco de dados uma consulta que o bloqueie\nDepois encerre o processo: nlserver restart {parent}@{campaign_instance}",
        ),
        advice: t(
            "A process that outlives its daily restart is usually locked by a database query or caught in a loop. Find out which, then stop the process; the watchdog starts a new one.",
            "Um processo que sobrevive à reinicialização diária costuma estar bloqueado por uma consulta ao banco de dados ou preso em um loop. Descubra qual é o caso e encerre o processo; o watchdog inicia outro.",
        ),
        impact: t(
            "The work of the locked process makes no progress, and its memory is not freed.",
            "O trabalho do processo bloqueado não avança e a memória dele não é liberada.",
        ),
        ..USUAL
    },
    AlertDef {
        name: "CampaignModuleDescriptors",
        expr: "campaign_module_open_fds_ratio\nand max without (check) (campaign_module_check{check=\"descriptors\"}) == 0",
        told: "campaign_module_open_fds_ratio",
        labels: OF_MODULE,
        hold: "5m",
        summary: t(
            "{module}@{campaign_instance} on {host} is running out of file descriptors.",
            "O {module}@{campaign_instance} em {host} está ficando sem descritores de arquivo.",
        ),
        description: t(
            "A process of {module}@{campaign_instance} on {host} has been using {value|percent} of its limit of open files for more than 5 minutes; the limit of this alert is 90%.",
            "Um processo do {module}@{campaign_instance} em {host} usa {value|percent} do limite de arquivos abertos há mais de 5 minutos; o limite deste alerta é 90%.",
        ),
        next_steps: t(
            "On {host}: ls -l /proc/PID/fd of {module}@{campaign_instance} shows what it holds (files, sockets)\nRaise LimitNOFILE of the service nlserver, then nlserver restart {parent}@{campaign_instance} (watchdog: systemctl restart nlserver)",
            "Em {host}: ls -l /proc/PID/fd do {module}@{campaign_instance} mostra o que ele mantém aberto (arquivos, sockets)\nAumente o LimitNOFILE do serviço nlserver e depois nlserver restart {parent}@{campaign_instance} (watchdog: systemctl restart nlserver)",
        ),
        advice: t(
            "Look at what the process holds open. Many sockets in CLOSE-WAIT or the same file many times is a leak: restart the module. Else raise the limit.",
            "Veja o que o processo mantém aberto. Muitos sockets em CLOSE-WAIT ou o mesmo arquivo várias vezes indicam um vazamento: reinicie o módulo. Caso contrário, aumente o limite.",
        ),
        impact: t(
            "At 100% the process can't open any more files or connections.",
            "Em 100%, o processo não consegue mais abrir nenhum arquivo nem conexão.",
        ),
        ..USUAL
    },
    AlertDef {
        // An hour is enough to look for a fault; raised precision that stays on overloads the logs.
        name: "CampaignModuleLogPrecisionRaised",
        expr: "max without (check) (campaign_module_check{check=\"log_precision\"}) == 0",
        told: "max without (check) (campaign_module_check{check=\"log_precision\"})",
        labels: OF_MODULE,
        hold: "1h",
        severity: Severity::Info,
        summary: t(
            "The log precision of {module}@{campaign_instance} on {host} was raised and not put back.",
            "A precisão do log do {module}@{campaign_instance} em {host} foi aumentada e não foi restaurada.",
        ),
        description: t(
            "A process of {module}@{campaign_instance} on {host} has been running with -verbose or -tracefilter for more than an hour.",
            "Um processo do {module}@{campaign_instance} em {host} está em execução com -verbose ou -tracefilter há mais de uma hora.",
        ),
        next_steps: PRECISION_STEPS,
        advice: PRECISION,
        impact: t(
            "The log grows fast, and older messages are lost with each rotation.",
            "O log cresce rapidamente e as mensagens mais antigas se perdem a cada rotação.",
        ),
        ..USUAL
    },
];

const MEMORY: super::Text = t(
    "See which process it is and what it works on. Memory that keeps growing is a leak or one very large job: restart the module when its work allows. The thresholds are maxProcessMemoryWarningMb and maxProcessMemoryAlertMb in serverConf.xml (mtachild: maxWorkingSetMb).",
    "Veja qual é o processo e em que ele trabalha. Memória que não para de crescer indica um vazamento ou uma tarefa muito grande: reinicie o módulo quando o trabalho dele permitir. Os limites são maxProcessMemoryWarningMb e maxProcessMemoryAlertMb no serverConf.xml (mtachild: maxWorkingSetMb).",
);

const MEMORY_IMPACT: super::Text = t(
    "The host may run out of memory, and the kernel may kill processes.",
    "O servidor pode ficar sem memória e o kernel pode encerrar processos.",
);

/// The command that puts the precision back.
pub(super) const PRECISION_STEPS: super::Text = t(
    "When nobody looks for a fault any more, on {host}: nlserver pdump -who (a restart cancels what is in progress)\nnlserver restart {parent}@{campaign_instance} -noconsole puts the precision back",
    "Quando ninguém mais estiver investigando uma falha, em {host}: nlserver pdump -who (a reinicialização cancela o que está em andamento)\nnlserver restart {parent}@{campaign_instance} -noconsole restaura a precisão",
);

/// Why it has to be put back.
pub(super) const PRECISION: super::Text = t(
    "Put the log precision back as soon as the fault is found, or the logs overload: nlserver restart <module>@<instance> -noconsole.",
    "Restaure a precisão do log assim que a falha for encontrada, ou os logs ficarão sobrecarregados: nlserver restart <módulo>@<instância> -noconsole.",
);
