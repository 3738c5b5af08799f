//! Alerts: many hosts together. A module that is down on many hosts is one problem, not many.

use super::{AlertDef, RecordingRule, Severity, Subject, USUAL, t};
use crate::catalog::modules::MONITORING_PROCESSES;
use crate::catalog::signals::Theme;

const MODULE_OF_FLEET: &[&str] = &["job", "module", "campaign_instance"];

/// Modules that were down when their exporter fell silent, and still count as down: the alerts on them go on.
macro_rules! held {
    () => {
        "max by (job, instance, module, campaign_instance{cluster}) (ALERTS{alertname=~\"Campaign.+Down\",alertstate=\"firing\",module!=\"\"})\n\
         \x20 and on (job, instance{cluster}) up == 0"
    };
}

/// The recording rules of this theme. stat and mta run for each Campaign instance, watchdog and syslogd on each host:
/// the label `campaign_instance`, which is `default` for the latter, keeps both apart.
pub static RECORDS: &[RecordingRule] = &[
    RecordingRule {
        name: "module:campaign_module_hosts:count",
        labels: MODULE_OF_FLEET,
        expr: concat!(
            "count by (job, module, campaign_instance{cluster}) (\n",
            "  max by (job, instance, module, campaign_instance{cluster}) (campaign_module_check{check=\"running\"})\n  or\n  ",
            held!(),
            "\n)"
        ),
    },
    RecordingRule {
        name: "module:campaign_module_down_hosts:count",
        labels: MODULE_OF_FLEET,
        expr: concat!(
            "count by (job, module, campaign_instance{cluster}) (\n",
            "  max by (job, instance, module, campaign_instance{cluster}) (campaign_module_check{check=\"running\"} == 0)\n  or\n  ",
            held!(),
            "\n)"
        ),
    },
    RecordingRule {
        name: "module:campaign_module_down_hosts:ratio",
        labels: MODULE_OF_FLEET,
        expr: "module:campaign_module_down_hosts:count / module:campaign_module_hosts:count",
    },
];

const FLEET: Subject = Subject::Own {
    scope: t("All Campaign hosts together.", "Todos os servidores do Campaign em conjunto."),
    page: MONITORING_PROCESSES,
};

/// The alerts of this theme.
pub static ALERTS: &[AlertDef] = &[
    AlertDef {
        // Two minutes: it fires before the hosts' own alerts do, which Alertmanager leaves out then.
        name: "CampaignModuleDownOnManyHosts",
        expr: "module:campaign_module_down_hosts:count\n\
               and module:campaign_module_down_hosts:ratio >= {limit:fleet_ratio}\n\
               and module:campaign_module_down_hosts:count >= {limit:fleet_hosts}",
        labels: MODULE_OF_FLEET,
        hold: "2m",
        severity: Severity::Critical,
        subject: FLEET,
        summary: t(
            "{module}@{campaign_instance} is down on many hosts of {job}.",
            "O {module}@{campaign_instance} está fora do ar em muitos servidores de {job}.",
        ),
        description: t(
            "{module}@{campaign_instance} has not been running for more than 2 minutes on {value|int} hosts of {job}, of {query:module:campaign_module_hosts:count|int} that should run it; the limits are {limit:fleet_ratio|percent} of them and {limit:fleet_hosts} hosts.",
            "O {module}@{campaign_instance} não está em execução há mais de 2 minutos em {value|int} servidores de {job}, de {query:module:campaign_module_hosts:count|int} que deveriam executá-lo; os limites são {limit:fleet_ratio|percent} deles e {limit:fleet_hosts} servidores.",
        ),
        next_steps: t(
            "Look for what they share: a deployment, the database, a network, a file system\nThe hosts: campaign_module_check{module=\"{module}\",check=\"running\"} == 0\nOn one of them: read the end of var/{campaign_instance}/log/{module}.log",
            "Procure o que eles têm em comum: uma implantação, o banco de dados, uma rede, um sistema de arquivos\nOs servidores: campaign_module_check{module=\"{module}\",check=\"running\"} == 0\nEm um deles: leia o final de var/{campaign_instance}/log/{module}.log",
        ),
        advice: t(
            "One cause on many hosts: look for what they share before you start modules one by one.",
            "Uma causa em muitos servidores: procure o que eles têm em comum antes de iniciar os módulos um a um.",
        ),
        impact: t(
            "What the module does has stopped on a part of the fleet or everywhere.",
            "O que o módulo faz parou em parte do parque ou em todo ele.",
        ),
        ..USUAL
    },
    AlertDef {
        name: "CampaignExporterVersionsDiffer",
        expr: "count by (job{cluster}) (count by (job, version{cluster}) (campaign_exporter_build_info)) > 1",
        labels: &["job"],
        hold: "1d",
        severity: Severity::Info,
        subject: FLEET,
        summary: t(
            "The hosts of {job} run different versions of the Campaign exporter.",
            "Os servidores de {job} executam versões diferentes do exportador do Campaign.",
        ),
        description: t(
            "The hosts of {job} have run {value|int} versions of the Campaign exporter for more than a day.",
            "Os servidores de {job} executam {value|int} versões do exportador do Campaign há mais de um dia.",
        ),
        next_steps: t(
            "See campaign_exporter_build_info by host, and upgrade the others",
            "Veja campaign_exporter_build_info por servidor e atualize os demais",
        ),
        advice: t("Upgrade the hosts that were left out.", "Atualize os servidores que ficaram de fora."),
        impact: t(
            "Hosts may be judged by different rules.",
            "Os servidores podem ser avaliados por regras diferentes.",
        ),
        ..USUAL
    },
    AlertDef {
        name: "CampaignBuildsDiffer",
        expr: "count by (job{cluster}) (count by (job, build{cluster}) (campaign_redirection_info{build!=\"\"})) > 1",
        labels: &["job"],
        hold: "1d",
        severity: Severity::Info,
        subject: FLEET,
        summary: t(
            "The redirection servers of {job} have different builds of Campaign.",
            "Os servidores de redirecionamento de {job} têm builds diferentes do Campaign.",
        ),
        description: t(
            "The redirection servers of {job} have answered with {value|int} builds of Campaign for more than a day.",
            "Os servidores de redirecionamento de {job} respondem com {value|int} builds do Campaign há mais de um dia.",
        ),
        next_steps: t(
            "See campaign_redirection_info by target, and finish the upgrade",
            "Veja campaign_redirection_info por alvo e conclua a atualização",
        ),
        advice: t(
            "Finish the upgrade on the servers that were left out.",
            "Conclua a atualização nos servidores que ficaram de fora.",
        ),
        impact: t("An upgrade was not finished.", "Uma atualização não foi concluída."),
        ..USUAL
    },
];

/// This theme: it has no metrics of its own.
pub(in crate::catalog) const THEME: Theme = Theme {
    title: "Fleet",
    group: "campaign_fleet",
    interval: "",
    metrics: &[],
    checks: &[],
    alerts: ALERTS,
    records: RECORDS,
    panel: ("campaign-overview", 8),
};
