//! What crashes leave behind: core files, shared memory, zombies. The system indicators of the documented instance
//! monitoring page that are Campaign's own.

use super::{Theme, define_metrics};
use crate::catalog::alerts::{AlertDef, OF_MODULE, RecordingRule, Severity, Subject, USUAL, quiet, t};
use crate::catalog::modules::{MONITORING_PROCESSES, TRACKINGLOGD};
use crate::catalog::{CheckDef, Module, Text};

define_metrics! {
    CORE_FILES: Gauge "campaign_core_files" []
        "Core files of Campaign's processes: core and core.<number> below the installation, and where kernel.core_pattern puts those of nlserver.";
    CORE_NEWEST: Gauge "campaign_core_newest_timestamp_seconds" []
        "When the newest core file was written, in seconds since 1970-01-01 UTC. Absent when there is none.";
    CORE_LAST_SCAN: Gauge "campaign_core_last_scan_timestamp_seconds" []
        "When core files were last looked for, in seconds since 1970-01-01 UTC: in the background, less often the longer a scan takes.";
    CORE_PIPED: Gauge "campaign_core_pattern_piped" []
        "1 when kernel.core_pattern gives core files to a program, so that a crash leaves no file that campaign_core_files could count; else 0.";
    SHARED_MEMORY_SEGMENTS: Gauge "campaign_shared_memory_segments" []
        "Shared memory segments (System V) of the user that Campaign runs as. trackinglogd uses one.";
    SHARED_MEMORY_USED: Gauge "campaign_shared_memory_used_segments" []
        "Shared memory segments (System V) that Campaign's processes are attached to, made, or used last, whoever owns them. Absent where that is unknown.";
    SHARED_MEMORY_UNATTACHED: Gauge "campaign_shared_memory_unattached_segments" []
        "Shared memory segments (System V) of the user that Campaign runs as to which no process is attached.";
    SHARED_MEMORY_BYTES: Gauge "campaign_shared_memory_bytes" []
        "Size of the shared memory segments (System V) of the user that Campaign runs as, in bytes.";
}

/// The module that uses a shared memory segment.
pub static SHARED_MEMORY_USER: &Module = &TRACKINGLOGD;

/// Where tracking entries wait to be written.
pub static SHARED_MEMORY: CheckDef = CheckDef {
    name: "shared_memory",
    title: Text { en: "shared memory", pt_br: "memória compartilhada" },
    passes_when: Text {
        en: "There is a shared memory segment, Campaign's own or one that it uses, from which the module takes its entries.",
        pt_br: "Há um segmento de memória compartilhada, do próprio Campaign ou usado por ele, do qual o módulo obtém os \
                registros.",
    },
    next_steps: Text {
        en: "List the segments: ipcs -m\nRead the end of {log}.\nStop the web server and nlserver; start nlserver, then the web server.",
        pt_br: "Liste os segmentos: ipcs -m\nLeia o final de {log}.\nPare o servidor web e o nlserver; inicie o nlserver e depois o servidor web.",
    },
};

/// The checks of this theme.
pub static CHECKS: &[&CheckDef] = &[&SHARED_MEMORY];

const CRASHES: Subject = Subject::Own {
    scope: t(
        "Processes of Campaign that crashed, and what they left behind.",
        "Processos do Campaign encerrados de forma anormal e o que deixaram para trás.",
    ),
    page: MONITORING_PROCESSES,
};

const CORE_ADVICE: Text = t(
    "Find out from the core file's name and time, and from watchdog.log (SRV-810xxx), which process crashed. Keep the file for Adobe's support, then move it away: the alert ends when the file is moved away.",
    "Descubra pelo nome e pelo horário do arquivo core e pelo watchdog.log (SRV-810xxx) qual processo foi encerrado de forma anormal. Guarde o arquivo para o suporte da Adobe e depois mova-o para outro lugar: o alerta se encerra quando o arquivo é movido.",
);

const CORE_STEPS: Text = t(
    "Find it on {host}: the exporter's log names the folder (journalctl -u campaign_exporter)\nfile core.PID names the process; read var/default/log/watchdog.log at the time of the file\nMove the file away for Adobe's support",
    "Encontre-o em {host}: o log do exportador indica a pasta (journalctl -u campaign_exporter)\nfile core.PID indica o processo; leia o var/default/log/watchdog.log no horário do arquivo\nMova o arquivo para outro lugar, para o suporte da Adobe",
);

/// The recording rules of this theme.
pub static RECORDS: &[RecordingRule] = &[quiet!("campaign_crashes")];

/// The alerts of this theme.
pub static ALERTS: &[AlertDef] = &[
    AlertDef {
        // Documented: alert at 1. Files from before the exporter's first start have the next alert.
        name: "CampaignCoreFiles",
        expr: "campaign_core_files >= 1\nunless campaign_core_newest_timestamp_seconds <= campaign_exporter_first_start_timestamp_seconds",
        told: "campaign_core_files",
        subject: CRASHES,
        summary: t(
            "A Campaign process crashed on {host}.",
            "Um processo do Campaign foi encerrado de forma anormal em {host}.",
        ),
        description: t(
            "The number of core files of Campaign's processes on {host} is {value|int}; the documented limit is 1.",
            "O número de arquivos core dos processos do Campaign em {host} é {value|int}; o limite documentado é 1.",
        ),
        next_steps: CORE_STEPS,
        advice: CORE_ADVICE,
        impact: t(
            "What the process was doing was cut off; the watchdog starts it again.",
            "O que o processo fazia foi interrompido; o watchdog o reinicia.",
        ),
        ..USUAL
    },
    AlertDef {
        name: "CampaignOldCoreFiles",
        expr: "campaign_core_files >= 1\nand campaign_core_newest_timestamp_seconds <= campaign_exporter_first_start_timestamp_seconds",
        told: "campaign_core_files",
        severity: Severity::Info,
        subject: CRASHES,
        summary: t(
            "There are old core files of Campaign on {host}.",
            "Há arquivos core antigos do Campaign em {host}.",
        ),
        description: t(
            "The number of core files of Campaign's processes on {host} is {value|int}; the newest is older than the exporter's first start.",
            "O número de arquivos core dos processos do Campaign em {host} é {value|int}; o mais recente é anterior ao primeiro início do exportador.",
        ),
        next_steps: CORE_STEPS,
        advice: CORE_ADVICE,
        impact: t(
            "They take up space; a new crash raises an alert of its own.",
            "Eles ocupam espaço; um novo encerramento anormal gera um alerta próprio.",
        ),
        ..USUAL
    },
    AlertDef {
        name: "CampaignCorePatternPiped",
        expr: "campaign_core_pattern_piped == 1",
        told: "campaign_core_pattern_piped",
        hold: "1h",
        severity: Severity::Info,
        subject: CRASHES,
        summary: t(
            "Core files on {host} go to a program: crashes of Campaign can't be counted.",
            "Os arquivos core em {host} são entregues a um programa: os encerramentos anormais do Campaign não podem ser contados.",
        ),
        description: t(
            "kernel.core_pattern on {host} has started with a pipe (|) for more than an hour, so that a crash leaves no file.",
            "O kernel.core_pattern em {host} começa com uma barra vertical (|) há mais de uma hora; assim, um encerramento anormal não deixa nenhum arquivo.",
        ),
        next_steps: t(
            "On {host}: sysctl kernel.core_pattern, and coredumpctl list nlserver for the crashes so far\nRead SRV-810xxx in var/default/log/watchdog.log",
            "Em {host}: sysctl kernel.core_pattern e coredumpctl list nlserver para ver os encerramentos anormais até agora\nProcure SRV-810xxx no var/default/log/watchdog.log",
        ),
        advice: t(
            "Look for crashes with coredumpctl, or set kernel.core_pattern to core.%p. If you like it as it is, leave this alert out: campaign_exporter rules --without CampaignCorePatternPiped.",
            "Procure os encerramentos anormais com coredumpctl, ou defina o kernel.core_pattern como core.%p. Se preferir manter como está, omita este alerta: campaign_exporter rules --without CampaignCorePatternPiped.",
        ),
        impact: t(
            "A crash goes unnoticed by this exporter.",
            "Um encerramento anormal passa despercebido por este exportador.",
        ),
        ..USUAL
    },
    AlertDef {
        // Documented: warn at 1, alert at 2. One is nlserver's and the web server's, and normal where any module runs;
        // what matters is a segment that no process is attached to. While nothing runs, all of them are so.
        name: "CampaignSharedMemoryLeft",
        expr: "campaign_shared_memory_unattached_segments >= {limit:unattached_segments}",
        told: "campaign_shared_memory_unattached_segments",
        grace: true,
        hold: "15m",
        subject: CRASHES,
        summary: t(
            "Campaign left shared memory behind on {host}.",
            "O Campaign deixou memória compartilhada para trás em {host}.",
        ),
        description: t(
            "The number of shared memory segments of the Campaign user on {host} that no process is attached to has been {value|int} for more than 15 minutes; the limit is {limit:unattached_segments}.",
            "O número de segmentos de memória compartilhada do usuário do Campaign em {host} aos quais nenhum processo está anexado é {value|int} há mais de 15 minutos; o limite é {limit:unattached_segments}.",
        ),
        next_steps: t(
            "On {host}: ipcs -m (nattch 0: no process uses the segment)\nStop the web server and nlserver, remove it with ipcrm -m ID\nStart nlserver, then the web server",
            "Em {host}: ipcs -m (nattch 0: nenhum processo usa o segmento)\nPare o servidor web e o nlserver e remova-o com ipcrm -m ID\nInicie o nlserver e depois o servidor web",
        ),
        advice: t(
            "Segments that no process is attached to (nattch 0) were left by a process that exited abnormally. Stop the web server and nlserver, remove them with ipcrm -m, start nlserver, then the web server.",
            "Os segmentos aos quais nenhum processo está anexado (nattch 0) foram deixados por um processo que foi encerrado incorretamente. Pare o servidor web e o nlserver, remova-os com ipcrm -m, inicie o nlserver e depois o servidor web.",
        ),
        impact: t(
            "Tracking entries may be written to a segment that nothing reads.",
            "Registros de rastreamento podem ser gravados em um segmento que ninguém lê.",
        ),
        ..USUAL
    },
    AlertDef {
        name: "CampaignTrackinglogdSharedMemory",
        expr: "max without (check) (campaign_module_check{module=\"trackinglogd\",check=\"shared_memory\"}) == 0",
        told: "max without (check) (campaign_module_check{module=\"trackinglogd\",check=\"shared_memory\"})",
        grace: true,
        labels: OF_MODULE,
        hold: "5m",
        subject: Subject::Module(&TRACKINGLOGD),
        summary: t(
            "trackinglogd@{campaign_instance} on {host} has no shared memory to take tracking entries from.",
            "O trackinglogd@{campaign_instance} em {host} não tem memória compartilhada de onde obter os registros de rastreamento.",
        ),
        description: t(
            "trackinglogd@{campaign_instance} on {host} runs, but there has been no shared memory segment of Campaign for more than 5 minutes.",
            "O trackinglogd@{campaign_instance} em {host} está em execução, mas não há nenhum segmento de memória compartilhada do Campaign há mais de 5 minutos.",
        ),
        next_steps: t(
            "On {host}: ipcs -m\nStop the web server and nlserver, start nlserver, then the web server",
            "Em {host}: ipcs -m\nPare o servidor web e o nlserver, inicie o nlserver e depois o servidor web",
        ),
        ..USUAL
    },
    AlertDef {
        // Documented: alert at 2. A zombie is there for a moment whenever a process ends.
        name: "CampaignZombies",
        expr: "sum without (module, campaign_instance, state) (campaign_module_states{state=\"zombie\"}) >= 2",
        told: "sum without (module, campaign_instance, state) (campaign_module_states{state=\"zombie\"})",
        hold: "5m",
        subject: CRASHES,
        summary: t("Campaign has zombie processes on {host}.", "O Campaign tem processos zumbis em {host}."),
        description: t(
            "On {host}, {value|int} processes of Campaign have been zombies for more than 5 minutes: they exited and their parent has not reaped them. The documented limit is 2.",
            "Em {host}, {value|int} processos do Campaign são zumbis há mais de 5 minutos: terminaram, mas o processo pai não coletou o status de saída. O limite documentado é 2.",
        ),
        next_steps: t(
            "On {host}: ps -o pid,ppid,stat,args -C nlserver shows the parent (PPID) of each Z\nRestart the module that is the parent: nlserver restart MODULE@INSTANCE",
            "Em {host}: ps -o pid,ppid,stat,args -C nlserver mostra o processo pai (PPID) de cada Z\nReinicie o módulo que é o pai: nlserver restart MÓDULO@INSTÂNCIA",
        ),
        advice: t(
            "The parent does not reap its children: restart the module that started them, or the watchdog.",
            "O processo pai não coleta o status dos filhos: reinicie o módulo que os iniciou ou o watchdog.",
        ),
        impact: t(
            "Each takes a place in the process table; the parent may hang.",
            "Cada um ocupa um lugar na tabela de processos; o processo pai pode estar travado.",
        ),
        ..USUAL
    },
];

/// This theme.
pub(super) const THEME: Theme = Theme {
    title: "Crashes",
    group: "campaign_crashes",
    interval: "",
    metrics: METRICS,
    checks: CHECKS,
    alerts: ALERTS,
    records: RECORDS,
    panel: ("campaign-evidence", 6),
};
