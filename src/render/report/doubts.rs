//! What can't be told of a host, and what to do about it.

use super::HostLook;
use crate::catalog::signals::exporter::{
    CONFIGURATION_LAST_RELOAD_SUCCESSFUL, INSTALLATION_INFO, PROCESSES_HIDDEN, SCRAPE_COLLECTOR_SUCCESS,
};
use crate::catalog::{Lang, Text};
use crate::snapshot::Snapshot;

const NO_INSTALLATION: Text = Text {
    en: "no Campaign installation is found here. Name its folder with --campaign.home.",
    pt_br: "nenhuma instalação do Campaign foi encontrada neste servidor. Informe a pasta com --campaign.home.",
};
const HIDDEN: Text = Text {
    en: "/proc hides the processes of other users (hidepid). Run the exporter as Campaign's user, or put its user into \
         the group of the mount option gid.",
    pt_br: "o /proc oculta os processos de outros usuários (hidepid). Execute o exportador com o usuário do Campaign, \
            ou inclua o usuário dele no grupo da opção de montagem gid.",
};
const UNREADABLE_FILE: Text = Text {
    en: "the configuration file {} can't be read as it is now; its last good content stays in force. The exporter's log \
         names the line.",
    pt_br: "o arquivo de configuração {} não pode ser lido como está agora; o último conteúdo válido continua em vigor. \
            O log do exportador indica a linha.",
};
const COLLECTOR_FAILS: Text = Text {
    en: "the collector {} can't read everything. The exporter's log names what, and why.",
    pt_br: "o coletor {} não consegue ler tudo. O log do exportador indica o quê e por quê.",
};

/// The folder of the installation that is in force.
pub(super) fn home(snapshot: &Snapshot) -> Option<&str> {
    snapshot.of(&INSTALLATION_INFO).next().map(|sample| sample.labels[0].as_str())
}

/// Whether the installation is looked for and not found.
pub(super) fn lacks_installation(snapshot: &Snapshot) -> bool {
    let is_sought = snapshot.value(&SCRAPE_COLLECTOR_SUCCESS, &["configuration"]).is_some();
    is_sought && home(snapshot).is_none()
}

/// What can't be told, the most important first; each a clause that may follow a colon, and a remedy.
pub(super) fn doubts(look: &HostLook, lang: Lang) -> Vec<String> {
    let snapshot = look.snapshot;
    let mut doubts = Vec::new();
    if lacks_installation(snapshot) {
        doubts.push(if look.trouble.is_empty() {
            NO_INSTALLATION.get(lang).to_owned()
        } else {
            look.trouble.to_owned()
        });
    }
    if snapshot.value(&PROCESSES_HIDDEN, &[]).is_some_and(|hidden| hidden > 0.0) {
        doubts.push(HIDDEN.get(lang).to_owned());
    }
    for (def, text) in
        [(&CONFIGURATION_LAST_RELOAD_SUCCESSFUL, UNREADABLE_FILE), (&SCRAPE_COLLECTOR_SUCCESS, COLLECTOR_FAILS)]
    {
        let failing = snapshot.of(def).filter(|sample| sample.value == 0.0);
        doubts.extend(failing.map(|sample| text.get(lang).replace("{}", &sample.labels[0])));
    }
    doubts
}
