//! The kit for Alertmanager: a configuration to start from, and the templates of the notifications.
//!
//! Only the form of Alertmanager's files and the limits of each receiver are here; which alert is the cause of which is
//! in the catalog.

use crate::catalog::Lang;
use crate::catalog::alerts::{INHIBITIONS, Inhibition};

const ROUTES: &str = r#"# A configuration of Alertmanager to start from, with the templates beside it.
# Generated from the catalog by `make generate`. Copy it and a template, put your addresses in the place of
# the examples, delete the receivers that you don't have, then: amtool check-config alertmanager.yml
#
# Planned work on a host: silence it before you begin, and end the silence afterwards.
#   amtool silence add 'instance=~"host1.*"' alertname=~"Campaign.*" -d 2h -c "upgrade, Maria" --alertmanager.url=http://localhost:9093
#   amtool --alertmanager.url=http://localhost:9093 silence expire $(amtool --alertmanager.url=http://localhost:9093 silence query -q 'instance=~"host1.*"')
global:
  smtp_smarthost: localhost:25
  smtp_from: alertmanager@example.com
  smtp_require_tls: false

# campaign.en.tmpl or campaign.pt-BR.tmpl: both define the same names.
templates:
  - campaign.en.tmpl

route:
  receiver: mail
  # One fault on many hosts is one notification; what follows from it on a host is left out below.
  group_by: [alertname, job, cluster, campaign_instance]
  group_wait: 30s
  group_interval: 5m
  repeat_interval: 12h
  routes:
    # A failed run is an event: each is sent once, immediately, and never "resolved".
    - matchers: ['alertname=~"Campaign(Export|Import|Tracking)Failed"']
      receiver: mail-events
      group_by: [alertname, job, cluster, instance, campaign_instance, code]
      group_wait: 5s
      group_interval: 1m
    - matchers: ['alertname=~"Campaign.+"', severity="critical"]
      receiver: page
      repeat_interval: 4h
    # Alerts of severity info are not sent; they show on the pages of Alertmanager and Prometheus.
    - matchers: ['alertname=~"Campaign.+"', severity="info"]
      receiver: nobody

receivers:
  - name: nobody
  - name: mail
    email_configs:
      - &mail
        to: campaign@example.com
        send_resolved: true
        headers: {Subject: '{{ template "campaign.title" . }}'}
        html: ''
        text: '{{ template "campaign.email" . }}'
  - name: mail-events
    email_configs:
      - <<: *mail
        send_resolved: false
  # Who is woken at night: keep the channels that you have.
  - name: page
    email_configs: [*mail]
    slack_configs:
      - api_url: https://hooks.slack.com/services/REPLACE/THIS
        send_resolved: true
        title: '{{ template "campaign.title" . }}'
        title_link: '{{ template "campaign.link" . }}'
        text: '{{ template "campaign.slack" . }}'
    telegram_configs:
      - bot_token: REPLACE
        chat_id: 1
        parse_mode: ''
        send_resolved: true
        message: '{{ template "campaign.telegram" . }}'
    pagerduty_configs:
      - routing_key: REPLACE
        description: '{{ template "campaign.title" . }}'
        details:
          next_steps: '{{ template "campaign.steps" . }}'
          documentation: '{{ template "campaign.documented" . }}'
          all: '{{ template "campaign.pagerduty" . }}'
    pushover_configs:
      - user_key: REPLACE
        token: REPLACE
        send_resolved: true
        title: '{{ template "campaign.title" . }}'
        message: '{{ template "campaign.pushover" . }}'
        url: '{{ template "campaign.link" . }}'
    # Teams, from Alertmanager 0.26 on:
    # msteams_configs:
    #   - webhook_url: https://example.webhook.office.com/REPLACE
    #     title: '{{ template "campaign.title" . }}'
    #     text: '{{ template "campaign.teams" . }}'
    # A webhook gets all labels and annotations as JSON, without a template; max_alerts keeps it small.
    # webhook_configs:
    #   - url: http://localhost:8080/
    #     max_alerts: 20

inhibit_rules:
  # A host that is down, by an alert of your own that has the same label instance (or another one that both have):
  # - source_matchers: [alertname="HostDown"]
  #   target_matchers: ['alertname=~"Campaign.+"']
  #   equal: [instance]
"#;

/// The configuration.
#[must_use]
pub fn configuration() -> String {
    let mut text = ROUTES.to_owned();
    for inhibition in INHIBITIONS {
        text.push_str(&inhibit_rule(inhibition));
    }
    text
}

fn inhibit_rule(inhibition: &Inhibition) -> String {
    let sources = inhibition.sources.join("|");
    let targets = if inhibition.targets.is_empty() {
        format!("['alertname=~\"Campaign.+\"', 'alertname!~\"{sources}\"']")
    } else {
        format!("['alertname=~\"{}\"']", inhibition.targets.join("|"))
    };
    format!(
        "  # {}\n  - source_matchers: ['alertname=~\"{sources}\"']\n    target_matchers: {targets}\n    equal: [{}, cluster]\n",
        inhibition.reason.en,
        inhibition.equal.join(", ")
    )
}

/// The words of the templates.
struct TemplateWords {
    steps: &'static str,
    documented: &'static str,
    total: &'static str,
    resolved: &'static str,
}

const fn words(lang: Lang) -> TemplateWords {
    match lang {
        Lang::En => TemplateWords {
            steps: "Next steps",
            documented: "What to do",
            total: "Alerts in total",
            resolved: "Resolved",
        },
        Lang::PtBr => TemplateWords {
            steps: "Próximos passos",
            documented: "O que fazer",
            total: "Total de alertas",
            resolved: "Resolvido",
        },
    }
}

/// A receiver's message: its name, and how many characters the first alert, and the summary of each other one, may take
/// and how many others are shown.
struct MessageLimits {
    name: &'static str,
    first: usize,
    other: usize,
    others: usize,
    is_slack: bool,
}

const fn message(name: &'static str, first: usize, other: usize, others: usize) -> MessageLimits {
    MessageLimits { name, first, other, others, is_slack: false }
}

/// Pushover takes 1,024 characters, Slack 3,000 a block, Telegram 4,096; with a hundred alerts none is larger.
const MESSAGES: &[MessageLimits] = &[
    message("email", 4000, 200, 20),
    message("teams", 4000, 200, 20),
    message("telegram", 2600, 150, 8),
    MessageLimits { is_slack: true, ..message("slack", 1800, 120, 8) },
    message("pagerduty", 700, 120, 2),
    message("pushover", 990, 0, 0),
];

/// The templates in `lang`.
#[must_use]
pub fn templates(lang: Lang) -> String {
    let TemplateWords { steps, documented, total, resolved } = words(lang);
    let tag = lang.tag();
    let mut text = format!(
        "{{{{- /* Notifications of the Campaign alerts, in {tag}. Generated from the catalog by `make generate`. */ -}}}}\n\
         {{{{ define \"campaign.title\" }}}}{{{{ $all := . }}}}{{{{ with index .Alerts 0 }}}}{{{{ printf \"%.240s\" (printf \"%s%s\" \
         (or (and (eq $all.Status \"resolved\") \"{resolved}: \") \"\") \
         (or .Annotations.summary .Labels.alertname)) }}}}{{{{ end }}}}\
         {{{{ if gt (len .Alerts) 1 }}}} (+{{{{ len (slice .Alerts 1) }}}}){{{{ end }}}}{{{{ end }}}}\n\
         {{{{ define \"campaign.link\" }}}}{{{{ with index .Alerts 0 }}}}{{{{ .Annotations.runbook_url }}}}{{{{ end }}}}{{{{ end }}}}\n\
         {{{{ define \"campaign.steps\" }}}}{{{{ with index .Alerts 0 }}}}{{{{ printf \"%.480s\" .Annotations.next_steps }}}}{{{{ end }}}}{{{{ end }}}}\n\
         {{{{ define \"campaign.documented\" }}}}{{{{ with index .Alerts 0 }}}}{{{{ printf \"%.1000s\" .Annotations.troubleshooting }}}}{{{{ end }}}}{{{{ end }}}}\n"
    );
    for message in MESSAGES {
        text.push_str(&define(message, steps, documented, total));
    }
    text
}

/// The template of one receiver: the first alert whole, the summaries of others, how many there are.
fn define(message: &MessageLimits, steps: &str, documented: &str, total: &str) -> String {
    let MessageLimits { name, first, other, others, is_slack } = message;
    // Slack reads &, < and > as its own marks.
    let plain = if *is_slack {
        " | reReplaceAll \"&\" \"&amp;\" | reReplaceAll \"<\" \"&lt;\" | reReplaceAll \">\" \"&gt;\""
    } else {
        ""
    };
    // The title of a push message is the summary: there is no room to say it twice.
    let (format, summary) = if *other == 0 {
        (format!("{steps}:\\n%s\\n\\n{documented}: %s%s"), "")
    } else {
        (format!("%s\\n\\n{steps}:\\n%s\\n\\n{documented}: %s%s\\n\\n%s\\n%s\\n%s %s"), " .Annotations.summary")
    };
    let rest = if *other == 0 {
        ""
    } else {
        " .Annotations.description .Annotations.runbook_url (or .Annotations.dashboard_url \"\") (or .Annotations.status_url \"\")"
    };
    let note = "(or (and .Annotations.note (printf \" (%s)\" .Annotations.note)) \"\")";
    let listed = if *others == 0 {
        String::new()
    } else {
        format!(
            "{{{{ range $at, $alert := .Alerts }}}}{{{{ if and (gt $at 0) (le $at {others}) }}}}\n\
             - {{{{ printf \"%.{other}s\" $alert.Annotations.summary{plain} }}}}{{{{ end }}}}{{{{ end }}}}\n"
        )
    };
    format!(
        "{{{{ define \"campaign.{name}\" }}}}{{{{ with index .Alerts 0 }}}}{{{{ printf \"%.{first}s\" (printf \"{format}\"{summary} \
         .Annotations.next_steps .Annotations.troubleshooting {note}{rest}){plain} }}}}{{{{ end }}}}\
         {{{{ if gt (len .Alerts) 1 }}}}\n{listed}{total}: {{{{ len .Alerts }}}}{{{{ end }}}}{{{{ end }}}}\n"
    )
}
