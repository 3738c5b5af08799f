//! What can't be told of a host, and what to do about it, in words.

use super::HostLook;
use crate::catalog::signals::exporter::{DoubtReason, INSTALLATION_INFO};
use crate::catalog::{Lang, Text};
use crate::snapshot::Snapshot;

/// The clause for `reason`, and a remedy; `{}` stands for what it is about.
const fn text(reason: DoubtReason) -> Text {
    match reason {
        DoubtReason::NoInstallation => Text {
            en: "no Campaign installation is found here. Name its folder with --campaign.home.",
            pt_br: "nenhuma instalação do Campaign foi encontrada neste servidor. Informe a pasta com --campaign.home.",
        },
        DoubtReason::InstallationUnreadable => Text {
            en: "the Campaign installation can't be read. Let the exporter's user read its folder conf.",
            pt_br: "a instalação do Campaign não pode ser lida. Permita que o usuário do exportador leia a pasta conf.",
        },
        DoubtReason::ConfigurationUnreadable => Text {
            en: "the configuration file {} can't be read as it is now; its last good content stays in force. The \
                 exporter's log names the line.",
            pt_br: "o arquivo de configuração {} não pode ser lido como está agora; o último conteúdo válido continua em \
                    vigor. O log do exportador indica a linha.",
        },
        DoubtReason::ProcessesHidden => Text {
            en: "/proc hides the processes of other users (hidepid). Run the exporter as Campaign's user, or put its \
                 user into the group of the mount option gid.",
            pt_br: "o /proc oculta os processos de outros usuários (hidepid). Execute o exportador com o usuário do \
                    Campaign, ou inclua o usuário dele no grupo da opção de montagem gid.",
        },
        DoubtReason::ProcessesUnlisted => Text {
            en: "the processes of this host can't be listed. The exporter's log says why.",
            pt_br: "os processos deste servidor não podem ser listados. O log do exportador diz por quê.",
        },
        DoubtReason::ProcessesUndecided => Text {
            en: "it can't be decided whose some processes are. Run the exporter as Campaign's user.",
            pt_br: "não é possível decidir de quem são alguns processos. Execute o exportador com o usuário do Campaign.",
        },
        DoubtReason::CollectorFailed => Text {
            en: "the collector {} did not do its work. The exporter's log says why.",
            pt_br: "o coletor {} não fez o seu trabalho. O log do exportador diz por quê.",
        },
    }
}

/// The folder of the installation that is in force.
pub(super) fn home(snapshot: &Snapshot) -> Option<&str> {
    snapshot.of(&INSTALLATION_INFO).next().map(|sample| sample.label(0))
}

/// What can't be told, the most important first; each a clause that may follow a colon, and a remedy.
pub(super) fn doubts(look: &HostLook, lang: Lang) -> Vec<String> {
    let doubts = look.snapshot.doubts().iter().map(|doubt| {
        if doubt.reason.is_of_everything() && !look.trouble.is_empty() {
            look.trouble.to_owned()
        } else {
            text(doubt.reason).get(lang).replace("{}", &doubt.detail)
        }
    });
    doubts.collect()
}
