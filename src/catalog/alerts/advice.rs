//! What we add to the documented text of each module: what its failure means, and what the documentation pages behind
//! the specification's links say to do, in our own words.

use super::t;
use crate::catalog::modules::{
    EXPORT, IMPORT, IN_MAIL, MTA, STAT, SYSLOGD, TRACKING, TRACKINGLOGD, WATCHDOG, WEB, WFSERVER,
};
use crate::catalog::{Module, Text};

/// Our own words on a module.
#[derive(Clone, Copy, Debug)]
pub struct Advice {
    /// The module.
    pub module: &'static Module,
    /// What stops when it fails.
    pub impact: Text,
    /// What helps.
    pub remedy: Text,
    /// The note beside a documented text that misleads; empty where it does not.
    pub note: Text,
}

/// Every module with a row, in the specification's order.
pub static ADVICE: &[Advice] = &[
    Advice {
        module: &EXPORT,
        impact: t("The data of this run was not exported.", "Os dados desta execução não foram exportados."),
        remedy: t(
            "Read the errors of the run in export.log, correct their cause, and have the operator who scheduled the export start it again.",
            "Leia os erros da execução no export.log, corrija a causa e peça ao operador que agendou a exportação que a inicie novamente.",
        ),
        note: t("", ""),
    },
    Advice {
        module: &IMPORT,
        impact: t(
            "The data of this run was not imported, or only a part of it.",
            "Os dados desta execução não foram importados, ou apenas uma parte deles.",
        ),
        remedy: t(
            "Read the errors of the run in import.log and correct their cause. Look for duplicates in the database before the import is started again.",
            "Leia os erros da execução no import.log e corrija a causa. Procure duplicatas no banco de dados antes de reiniciar a importação.",
        ),
        note: t(
            "The documentation says \"export\" here; the import is meant.",
            "A documentação diz \"exportação\" neste ponto; trata-se da importação.",
        ),
    },
    Advice {
        module: &IN_MAIL,
        impact: t(
            "Bounces stay in their mailbox: invalid addresses are not quarantined.",
            "Os emails de devolução ficam na caixa de entrada: os endereços inválidos não vão para a quarentena.",
        ),
        remedy: t(
            "Start it with nlserver start inMail@<instance>. If it ends again, inMail.log names the reason, often the mailbox's password or its server.",
            "Inicie-o com nlserver start inMail@<instância>. Se ele parar de novo, o inMail.log informa o motivo, muitas vezes a senha ou o servidor da caixa de entrada.",
        ),
        note: t("", ""),
    },
    Advice {
        module: &MTA,
        impact: t("No emails are sent. They are queued.", "Nenhum email é enviado. Os emails ficam na fila."),
        remedy: t(
            "Start it with nlserver start mta@<instance>. If it ends again, the last lines of mta.log and mtachild.log name the reason. It needs the module stat.",
            "Inicie-o com nlserver start mta@<instância>. Se ele parar de novo, as últimas linhas do mta.log e do mtachild.log informam o motivo. Ele depende do módulo stat.",
        ),
        note: t("", ""),
    },
    Advice {
        module: &STAT,
        impact: t(
            "The mta asks stat before it connects: no emails are sent.",
            "O mta consulta o stat antes de se conectar: nenhum email é enviado.",
        ),
        remedy: t(
            "Start it with nlserver start stat@<instance>, and check that its port (7777/udp by default) is free.",
            "Inicie-o com nlserver start stat@<instância> e verifique se a porta dele (7777/udp por padrão) está livre.",
        ),
        note: t("", ""),
    },
    Advice {
        module: &SYSLOGD,
        impact: t(
            "Nothing is written to the log files of any module: what happens now can't be traced later.",
            "Nada é gravado nos arquivos de log de nenhum módulo: o que acontece agora não poderá ser rastreado depois.",
        ),
        remedy: t(
            "Start it with nlserver start syslogd. Port 6666/udp must be free on the local address: ss -ulpn 'sport = :6666' shows who holds it.",
            "Inicie-o com nlserver start syslogd. A porta 6666/udp precisa estar livre no endereço local: ss -ulpn 'sport = :6666' mostra quem a ocupa.",
        ),
        note: t("", ""),
    },
    Advice {
        module: &TRACKING,
        impact: t(
            "Opens and clicks are not in the database until the next good run.",
            "As aberturas e os cliques só chegam ao banco de dados na próxima execução bem-sucedida.",
        ),
        remedy: t(
            "Open the Tracking workflow and read its errors and tracking.log. Check that trackinglogd runs and whether the host's alias was changed, then start the workflow again.",
            "Abra o fluxo de trabalho de rastreamento e leia os erros dele e o tracking.log. Verifique se o trackinglogd está em execução e se o alias do servidor foi alterado e, em seguida, reinicie o fluxo de trabalho.",
        ),
        note: t("", ""),
    },
    Advice {
        module: &TRACKINGLOGD,
        impact: t(
            "Opens and clicks stay in shared memory. When that is full they are lost.",
            "As aberturas e os cliques ficam na memória compartilhada. Quando ela enche, eles se perdem.",
        ),
        remedy: t(
            "Start it with nlserver start trackinglogd. Then three checks: does the Tracking workflow report errors, does trackinglogd run, was the host's alias changed?",
            "Inicie-o com nlserver start trackinglogd. Depois, três verificações: o fluxo de trabalho de rastreamento relata erros? O trackinglogd está em execução? O alias do servidor foi alterado?",
        ),
        note: t("", ""),
    },
    Advice {
        module: &WATCHDOG,
        impact: t("Modules that end are not started again.", "Os módulos que param não são iniciados novamente."),
        remedy: t(
            "nlserver pdump prints \"No tasks\" when nothing runs. Start the watchdog with systemctl start nlserver (or nlserver watchdog -svc -noconsole); it starts the others.",
            "O nlserver pdump exibe \"No tasks\" quando nada está em execução. Inicie o watchdog com systemctl start nlserver (ou nlserver watchdog -svc -noconsole); ele inicia os demais.",
        ),
        note: t("", ""),
    },
    Advice {
        module: &WEB,
        impact: t(
            "The console, web pages and SOAP calls do not work.",
            "O console, as páginas da web e as chamadas SOAP não funcionam.",
        ),
        remedy: t(
            "Start it with nlserver start web. If it ends again, read web.log, and check that its ports (8080 and 8005 by default) are free.",
            "Inicie-o com nlserver start web. Se ele parar de novo, leia o web.log e verifique se as portas dele (8080 e 8005 por padrão) estão livres.",
        ),
        note: t(
            "The xtk:session error is a symptom of this fault: look for it in the log, do not try to cause it.",
            "O erro do tipo xtk:session é um sintoma desta falha: procure-o no log, não tente provocá-lo.",
        ),
    },
    Advice {
        module: &WFSERVER,
        impact: t(
            "Workflows do not run: deliveries, imports and tracking that they start are late.",
            "Os fluxos de trabalho não são executados: as entregas, as importações e o rastreamento que eles iniciam atrasam.",
        ),
        remedy: t(
            "If it runs, look first with nlserver pdump -who: a restart cancels the services in progress. To see more: nlserver restart wfserver@<instance> -verbose, reproduce the problem, then nlserver restart wfserver@<instance> -noconsole.",
            "Se ele estiver em execução, consulte primeiro o nlserver pdump -who: a reinicialização cancela os serviços em andamento. Para ver mais: nlserver restart wfserver@<instância> -verbose, reproduza o problema e depois nlserver restart wfserver@<instância> -noconsole.",
        ),
        note: t("", ""),
    },
];

/// What we add to the text of `module`.
#[must_use]
pub fn of(module: &str) -> Option<&'static Advice> {
    ADVICE.iter().find(|advice| advice.module.name == module)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::modules::MODULES;

    #[test]
    fn every_module_with_a_row_has_advice_in_its_order() {
        let names: Vec<_> = ADVICE.iter().map(|advice| advice.module.name).collect();
        assert_eq!(names, MODULES.iter().map(|module| module.name).collect::<Vec<_>>());
        assert!(of("sms").is_none());
    }
}
