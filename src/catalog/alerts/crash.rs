//! Alerts: what crashes leave behind.

use crate::catalog::modules::{MONITORING_PROCESSES, TRACKINGLOGD};
use crate::catalog::{AlertDef, Severity, Subject, Text};

const CRASH_SCOPE: Text = Text {
    en: "Processes of Campaign that crashed, and what they left behind.",
    pt_br: "Processos do Campaign que falharam e o que deixaram para trás.",
};

/// The alerts of this theme, with the thresholds of the documented system indicators.
pub static ALERTS: &[AlertDef] = &[
    AlertDef {
        // Documented: alert at 1.
        name: "CampaignCoreFiles",
        expr: "campaign_core_files >= 1",
        hold: "",
        severity: Severity::Warning,
        subject: Subject::Own {
            scope: CRASH_SCOPE,
            troubleshooting: Text {
                en: "Find out from the core file's name and time, and from watchdog.log, which process crashed; keep the \
                     file for Adobe's support, then move it away: the alert ends with it.",
                pt_br: "Descubra pelo nome e pelo horário do arquivo core e pelo watchdog.log qual processo falhou; \
                        guarde o arquivo para o suporte da Adobe e depois mova-o para outro lugar: o alerta termina com \
                        isso.",
            },
            page: MONITORING_PROCESSES,
        },
        summary: Text { en: "A Campaign process crashed.", pt_br: "Um processo do Campaign falhou." },
        description: Text {
            en: "On {{$labels.instance}}, Campaign's processes left {{$value | printf \"%.0f\"}} core files. The \
                 exporter's log says where.",
            pt_br: "Em {{$labels.instance}}, os processos do Campaign deixaram {{$value | printf \"%.0f\"}} arquivos \
                    core. O log do exportador diz onde.",
        },
    },
    AlertDef {
        // Documented: warn at 1, alert at 2, and trackinglogd uses one. So the one of a living trackinglogd is none too
        // many: a second one is, and so is one without a trackinglogd. 15 minutes outlast a restart.
        name: "CampaignSharedMemoryLeft",
        expr: "campaign_shared_memory_segments >= 2\n\
               or\n\
               campaign_shared_memory_segments == 1\n\
               unless on (job, instance) campaign_module_up{module=\"trackinglogd\"} == 1",
        hold: "15m",
        severity: Severity::Warning,
        subject: Subject::Own {
            scope: CRASH_SCOPE,
            troubleshooting: Text {
                en: "List the segments with ipcs -m. Those of the Campaign user that no process is attached to (nattch 0) \
                     were left by a process that ended badly: remove them with ipcrm -m while trackinglogd is stopped.",
                pt_br: "Liste os segmentos com ipcs -m. Os do usuário do Campaign aos quais nenhum processo está anexado \
                        (nattch 0) foram deixados por um processo que terminou mal: remova-os com ipcrm -m enquanto o \
                        trackinglogd estiver parado.",
            },
            page: MONITORING_PROCESSES,
        },
        summary: Text {
            en: "Campaign left shared memory behind.",
            pt_br: "O Campaign deixou memória compartilhada para trás.",
        },
        description: Text {
            en: "On {{$labels.instance}}, the Campaign user has {{$value | printf \"%.0f\"}} shared memory segments: \
                 more than the one that a running trackinglogd uses.",
            pt_br: "Em {{$labels.instance}}, o usuário do Campaign tem {{$value | printf \"%.0f\"}} segmentos de \
                    memória compartilhada: mais do que o único que um trackinglogd em execução usa.",
        },
    },
    AlertDef {
        name: "CampaignTrackinglogdSharedMemory",
        expr: "campaign_module_check{module=\"trackinglogd\",check=\"shared_memory\"} == 0",
        hold: "5m",
        severity: Severity::Critical,
        subject: Subject::Module(&TRACKINGLOGD),
        summary: Text {
            en: "The Campaign module trackinglogd has no shared memory to take tracking entries from.",
            pt_br: "O módulo trackinglogd do Campaign não tem memória compartilhada de onde obter os registros de \
                    rastreamento.",
        },
        description: Text {
            en: "On {{$labels.instance}}, trackinglogd runs, but its user has had no shared memory segment for 5 \
                 minutes.",
            pt_br: "Em {{$labels.instance}}, o trackinglogd está em execução, mas o seu usuário não tem nenhum \
                    segmento de memória compartilhada há 5 minutos.",
        },
    },
    AlertDef {
        // Documented: alert at 2. A zombie is there for a moment whenever a process ends.
        name: "CampaignZombies",
        expr: "sum without (module, campaign_instance, state) (campaign_module_states{state=\"zombie\"}) >= 2",
        hold: "5m",
        severity: Severity::Warning,
        subject: Subject::Own {
            scope: CRASH_SCOPE,
            troubleshooting: Text {
                en: "See in campaign_module_states which modules they are of. Their parent does not look after them: \
                     restart the module that started them, or the watchdog.",
                pt_br: "Veja em campaign_module_states a quais módulos pertencem. O processo pai não cuida deles: reinicie \
                        o módulo que os iniciou ou o watchdog.",
            },
            page: MONITORING_PROCESSES,
        },
        summary: Text { en: "Campaign has zombie processes.", pt_br: "O Campaign tem processos zumbis." },
        description: Text {
            en: "On {{$labels.instance}}, {{$value | printf \"%.0f\"}} processes of Campaign have ended, and nobody \
                 asked how.",
            pt_br: "Em {{$labels.instance}}, {{$value | printf \"%.0f\"}} processos do Campaign terminaram sem que o \
                    processo pai perguntasse como.",
        },
    },
];
