//! What is unknown about a host, and what to do about it, in words.

use super::HostLook;
use crate::catalog::signals::exporter::{DoubtReason, INSTALLATION_INFO};
use crate::catalog::{Lang, Text};
use crate::snapshot::Snapshot;

/// Something that is unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DoubtText {
    /// What, as a clause that may follow a colon.
    pub clause: String,
    /// What to do about it: a sentence.
    pub remedy: &'static str,
}

/// What is unknown, as a clause in which `{}` stands for what it is about.
const fn clause(reason: DoubtReason) -> Text {
    match reason {
        DoubtReason::NoInstallation => Text {
            en: "no Campaign installation found ({})",
            pt_br: "nenhuma instalação do Campaign encontrada ({})",
        },
        DoubtReason::InstallationUnreadable => Text {
            en: "the Campaign installation can't be read ({})",
            pt_br: "a instalação do Campaign não pode ser lida ({})",
        },
        DoubtReason::ConfigurationUnreadable => Text {
            en: "the configuration file {}, or a value in it, can't be read as it is now; what was last read of it, \
                     if anything, stays in force",
            pt_br: "o arquivo de configuração {}, ou um valor nele, não pode ser lido como está agora; o que foi lido \
                        dele por último, se houver, continua em vigor",
        },
        DoubtReason::EnvironmentsDiffer => Text {
            en: "the XTK_VAR_DIR of running modules is not the watchdog's ({}); what they write there is not read",
            pt_br: "o XTK_VAR_DIR de módulos em execução não é o do watchdog ({}); o que gravam lá não é lido",
        },
        DoubtReason::ProcessesHidden => Text {
            en: "/proc hides the processes of other users (hidepid), or the exporter is alone in a container",
            pt_br: "o /proc oculta os processos de outros usuários (hidepid), ou o exportador está sozinho em um \
                        contêiner",
        },
        DoubtReason::ProcessesUnlisted => Text {
            en: "the processes of this host can't be listed",
            pt_br: "os processos deste servidor não podem ser listados",
        },
        DoubtReason::ProcessesUndecided => Text {
            en: "some processes called nlserver can't be attributed to an installation",
            pt_br: "não é possível determinar a que instalação pertencem alguns processos chamados nlserver",
        },
        DoubtReason::EvidenceUnreadable => {
            Text { en: "{}, or something in it, can't be read", pt_br: "{}, ou algo dentro dele, não pode ser lido" }
        }
        DoubtReason::CollectorFailed => Text { en: "the collector {} failed", pt_br: "o coletor {} falhou" },
    }
}

/// What to do about it.
const fn remedy(reason: DoubtReason) -> Text {
    match reason {
        DoubtReason::NoInstallation => Text {
            en: "Name the folder that has conf/serverConf.xml, usually called nl6, with --campaign.home=PATH.",
            pt_br: "Informe a pasta que contém conf/serverConf.xml, em geral chamada nl6, com --campaign.home=CAMINHO.",
        },
        DoubtReason::InstallationUnreadable => Text {
            en: "Let the exporter's user read the folder and its conf/, or run the exporter as Campaign's user.",
            pt_br: "Permita que o usuário do exportador leia a pasta e conf/, ou execute o exportador com o usuário \
                        do Campaign.",
        },
        DoubtReason::ConfigurationUnreadable => Text {
            en: "campaign_exporter check --log.level=warn says why and names the line, and so does the exporter's log.",
            pt_br: "campaign_exporter check --log.level=warn diz por quê e indica a linha, assim como o log do \
                        exportador.",
        },
        DoubtReason::EnvironmentsDiffer => Text {
            en: "Restart those modules with the watchdog's environment.",
            pt_br: "Reinicie esses módulos com o ambiente do watchdog.",
        },
        DoubtReason::ProcessesHidden => Text {
            en: "Run the exporter as Campaign's user, or put its user into the group of the mount option gid.",
            pt_br: "Execute o exportador com o usuário do Campaign, ou inclua o usuário dele no grupo da opção de \
                        montagem gid.",
        },
        DoubtReason::ProcessesUndecided => Text {
            en: "Run the exporter as Campaign's user.",
            pt_br: "Execute o exportador com o usuário do Campaign.",
        },
        DoubtReason::EvidenceUnreadable => Text {
            en: "The exporter's log says why. Where it is a matter of rights, run the exporter as Campaign's user.",
            pt_br: "O log do exportador diz por quê. Se faltam permissões, execute o exportador com o usuário do Campaign.",
        },
        DoubtReason::ProcessesUnlisted | DoubtReason::CollectorFailed => {
            Text { en: "The exporter's log says why.", pt_br: "O log do exportador diz por quê." }
        }
    }
}

/// The folder of the installation that is in force.
pub(super) fn home(snapshot: &Snapshot) -> Option<&str> {
    snapshot.of(&INSTALLATION_INFO).next().map(|sample| sample.label(0))
}

/// What is unknown, the most important first. Where nothing can be judged, collectors that found nothing are left out.
pub(super) fn doubts(look: &HostLook, lang: Lang) -> Vec<DoubtText> {
    let all = look.snapshot.doubts();
    let nothing_is_known = all.iter().any(|doubt| doubt.reason.is_of_everything());
    let news = all.iter().filter(|doubt| !(nothing_is_known && doubt.reason == DoubtReason::CollectorFailed));
    let worded = news.map(|doubt| {
        let clause = clause(doubt.reason).get(lang);
        let clause = match doubt.detail.as_str() {
            "" => clause.replace(" ({})", ""),
            detail => clause.replace("{}", detail),
        };
        DoubtText { clause, remedy: remedy(doubt.reason).get(lang) }
    });
    let mut texts: Vec<DoubtText> = worded.collect();
    // Doubts of several modules may have the same text.
    texts.dedup();
    texts
}
