//! The modules' processes: what they use, whether they run, and what the documentation asks of them.

use std::time::Duration;

use super::{Theme, define_metrics};
use crate::catalog::{CheckDef, Text, alerts};

define_metrics! {
    MODULE_EXPECTED: Gauge "campaign_module_expected" [module, campaign_instance]
        "Resident modules: 1 when the configuration starts the module automatically, else 0. The watchdog is expected wherever anything is.";
    MODULE_UP: Gauge "campaign_module_up" [module, campaign_instance]
        "Resident modules that are expected or seen: 1 when a live process (not a zombie) exists, else 0.";
    MODULE_PROCESSES: Gauge "campaign_module_processes" [module, campaign_instance]
        "Processes of the module now, zombies included.";
    MODULE_STARTS: Counter "campaign_module_starts_total" [module, campaign_instance]
        "Process starts that the exporter saw, short-lived ones included. Processes that ran before the exporter did are not counted.";
    MODULE_LAST_SEEN: Gauge "campaign_module_last_seen_timestamp_seconds" [module, campaign_instance]
        "Resident modules: when the exporter last saw a live process, in seconds since 1970-01-01 UTC. Absent when it never did.";
    MODULE_START_TIME: Gauge "campaign_module_start_time_seconds" [module, campaign_instance]
        "When the module's oldest live process started, in seconds since 1970-01-01 UTC.";
    MODULE_CPU: Counter "campaign_module_cpu_seconds_total" [module, campaign_instance, mode]
        "CPU time of the module's processes by mode (user, system), in seconds, counted from when the exporter first saw each. Never falls when a process ends.";
    MODULE_RESIDENT_MEMORY: Gauge "campaign_module_resident_memory_bytes" [module, campaign_instance]
        "Resident memory, summed over the module's processes, in bytes. Pages that processes share count for each.";
    MODULE_VIRTUAL_MEMORY: Gauge "campaign_module_virtual_memory_bytes" [module, campaign_instance]
        "Virtual memory, summed over the module's processes, in bytes.";
    MODULE_RESIDENT_MEMORY_MAX: Gauge "campaign_module_process_resident_memory_max_bytes" [module, campaign_instance]
        "Resident memory of the module's largest process, in bytes: what the configured thresholds apply to.";
    MODULE_MEMORY_WARNING: Gauge "campaign_module_memory_warning_bytes" [module, campaign_instance]
        "The configured maxProcessMemoryWarningMb of the module, in bytes. Of runwf that of wfserver; of mtachild the configured maxWorkingSetMb.";
    MODULE_MEMORY_ALERT: Gauge "campaign_module_memory_alert_bytes" [module, campaign_instance]
        "The configured maxProcessMemoryAlertMb of the module, in bytes. Of runwf that of wfserver; of mtachild the configured maxWorkingSetMb.";
    MODULE_THREADS: Gauge "campaign_module_threads" [module, campaign_instance]
        "Threads, summed over the module's processes.";
    MODULE_OPEN_FDS: Gauge "campaign_module_open_fds" [module, campaign_instance]
        "Open file descriptors, summed over the processes whose descriptors the exporter may read.";
    MODULE_OPEN_FDS_RATIO: Gauge "campaign_module_open_fds_ratio" [module, campaign_instance]
        "Open file descriptors divided by the soft limit, of the process where that is worst (0 to 1).";
    MODULE_READ_BYTES: Counter "campaign_module_read_bytes_total" [module, campaign_instance]
        "Bytes that the module's processes read from storage, counted from when the exporter first saw each. Never falls when a process ends.";
    MODULE_WRITTEN_BYTES: Counter "campaign_module_written_bytes_total" [module, campaign_instance]
        "Bytes that the module's processes wrote to storage, counted from when the exporter first saw each. Never falls when a process ends.";
    MODULE_STATES: Gauge "campaign_module_states" [module, campaign_instance, state]
        "Processes of the module by state: running, sleeping, waiting (uninterruptible), stopped, zombie, other.";
    MODULE_WAITING: Gauge "campaign_module_waiting_seconds" [module, campaign_instance]
        "How long the exporter has seen a process of the module wait uninterruptibly without using the CPU, in seconds; the longest of them, 0 when none waits.";
    MODULE_VERBOSE: Gauge "campaign_module_verbose" [module, campaign_instance]
        "1 when a process of the module runs with -verbose or -tracefilter beyond what its configured args ask for, else 0.";
    MODULE_CHECK: Gauge "campaign_module_check" [module, campaign_instance, check]
        "The checks that the documentation asks the operator to make: 1 passes, 0 fails, absent when there is nothing to judge by.";
    MODULE_HEALTHY: Gauge "campaign_module_healthy" [module, campaign_instance]
        "0 when one of the module's checks fails, else 1. Absent where none fails and what one of them goes by can't be read.";
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
    title: Text { en: "running", pt_br: "em execução" },
    passes_when: Text {
        en: "A live process of the module exists, as its configuration (autoStart) asks.",
        pt_br: "Existe um processo ativo do módulo, como a configuração (autoStart) pede.",
    },
    next_steps: Text {
        en: "Read the end of {log} and of var/default/log/watchdog.log: they say why it ended.\nStart it: {start}\nSee what runs: nlserver pdump",
        pt_br: "Leia o final de {log} e de var/default/log/watchdog.log: eles informam por que ele parou.\nInicie-o: {start}\nVeja o que está em execução: nlserver pdump",
    },
};

/// Below `maxProcessMemoryAlertMb`.
pub static MEMORY: CheckDef = CheckDef {
    name: "memory",
    title: Text { en: "memory", pt_br: "memória" },
    passes_when: Text {
        en: "The module's largest process uses less memory than the configured maxProcessMemoryAlertMb.",
        pt_br: "O maior processo do módulo usa menos memória que o maxProcessMemoryAlertMb configurado.",
    },
    next_steps: Text {
        en: "See the memory of each process: nlserver pdump\nRead the end of {log} for what it was doing.\nRestart it at a quiet moment: {restart}",
        pt_br: "Veja a memória de cada processo: nlserver pdump\nLeia no final de {log} o que ele estava fazendo.\nReinicie-o em um momento tranquilo: {restart}",
    },
};

/// Younger than [`MAX_AGE`].
pub static AGE: CheckDef = CheckDef {
    name: "age",
    title: Text { en: "age", pt_br: "idade" },
    passes_when: Text {
        en: "The module's oldest process is younger than 25 hours: the daily restart took place.",
        pt_br: "O processo mais antigo do módulo tem menos de 25 horas: a reinicialização diária ocorreu.",
    },
    next_steps: Text {
        en: "A query or a loop may be holding the process: see what it does with nlserver pdump -who\nRead the end of {log} and of var/default/log/watchdog.log.\nRestart it: {restart}",
        pt_br: "Uma consulta ou um loop pode estar bloqueando o processo: veja o que ele faz com nlserver pdump -who\nLeia o final de {log} e de var/default/log/watchdog.log.\nReinicie-o: {restart}",
    },
};

/// Able to do its work.
pub static RESPONSIVE: CheckDef = CheckDef {
    name: "responsive",
    title: Text { en: "responsive", pt_br: "responde" },
    passes_when: Text {
        en: "No process of the module is stopped, a zombie, or has been waiting uninterruptibly for over a minute.",
        pt_br: "Nenhum processo do módulo está parado, é zumbi ou está há mais de um minuto em espera ininterruptível.",
    },
    next_steps: Text {
        en: "See the state of its processes: ps -C nlserver -o pid,stat,wchan:20,etime,args\nRead the end of {log}.\nRestart it: {restart}",
        pt_br: "Veja o estado dos processos: ps -C nlserver -o pid,stat,wchan:20,etime,args\nLeia o final de {log}.\nReinicie-o: {restart}",
    },
};

/// Below [`MAX_OPEN_FDS_RATIO`].
pub static DESCRIPTORS: CheckDef = CheckDef {
    name: "descriptors",
    title: Text { en: "file descriptors", pt_br: "descritores de arquivo" },
    passes_when: Text {
        en: "Every process of the module uses less than 90% of the file descriptors that it may open.",
        pt_br: "Todo processo do módulo usa menos de 90% dos descritores de arquivo que pode abrir.",
    },
    next_steps: Text {
        en: "See what is open: ls -l /proc/PID/fd\nIf so many are needed, raise LimitNOFILE of the service nlserver.\nRestart it: {restart}",
        pt_br: "Veja o que está aberto: ls -l /proc/PID/fd\nSe tantos forem necessários, aumente o LimitNOFILE do serviço nlserver.\nReinicie-o: {restart}",
    },
};

/// `-verbose` or `-tracefilter` was not left on.
pub static LOG_PRECISION: CheckDef = CheckDef {
    name: "log_precision",
    title: Text { en: "log precision", pt_br: "precisão do log" },
    passes_when: Text {
        en: "No process of the module runs with -verbose or -tracefilter beyond what its configured args ask for.",
        pt_br: "Nenhum processo do módulo está em execução com -verbose ou -tracefilter além do que os args configurados pedem.",
    },
    next_steps: Text {
        en: "Ask your colleagues whether somebody is still debugging.\nPut the precision back: {restart} -noconsole",
        pt_br: "Pergunte aos colegas se alguém ainda está depurando.\nRestaure a precisão: {restart} -noconsole",
    },
};

/// The watchdog starts modules.
pub static STARTS_MODULES: CheckDef = CheckDef {
    name: "starts_modules",
    title: Text { en: "starts modules", pt_br: "inicia os módulos" },
    passes_when: Text {
        en: "At least one of the modules that the watchdog has to start runs.",
        pt_br: "Pelo menos um dos módulos que o watchdog deve iniciar está em execução.",
    },
    next_steps: Text {
        en: "See whether anything runs: nlserver pdump (\"No tasks\": nothing does)\nRead the end of {log}.\nRestart everything: systemctl restart nlserver",
        pt_br: "Veja se algo está em execução: nlserver pdump (\"No tasks\": nada está)\nLeia o final de {log}.\nReinicie tudo: systemctl restart nlserver",
    },
};

/// The checks of this theme.
pub static CHECKS: &[&CheckDef] =
    &[&RUNNING, &MEMORY, &AGE, &RESPONSIVE, &DESCRIPTORS, &LOG_PRECISION, &STARTS_MODULES];

/// This theme.
pub(super) const THEME: Theme = Theme {
    title: "Modules",
    group: "campaign_modules",
    interval: "",
    metrics: METRICS,
    checks: CHECKS,
    alerts: alerts::modules::ALERTS,
    records: alerts::modules::RECORDS,
    panel: ("campaign-overview", 8),
};
