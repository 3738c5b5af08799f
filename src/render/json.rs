//! The health of a host as JSON, for scripts: what `campaign_exporter check --format=json` prints. Times are in seconds since
//! 1970-01-01 UTC, sizes in bytes; what is not known is null.

use serde_json::{Value, json};

use super::report::{CheckReport, HostReport, ModuleReport};
use crate::catalog::Lang;

/// The report as one JSON document, with a line break at its end.
#[must_use]
pub fn json(report: &HostReport) -> String {
    let (look, lang) = (report.look, report.lang);
    let sections = report.sections.iter().map(|section| {
        let facts = section
            .facts
            .iter()
            .map(|fact| json!({ "subject": fact.subject, "text": fact.text, "needs_attention": fact.needs_attention }));
        json!({ "title": section.title, "facts": facts.collect::<Vec<_>>() })
    });
    let document = json!({
        "verdict": report.verdict.label(),
        "exit_code": report.verdict.exit_code(),
        "summary": report.headline,
        "cannot_tell": report.doubts.iter().map(|doubt| json!({ "reason": doubt.clause, "remedy": doubt.remedy })).collect::<Vec<_>>(),
        "host": look.host,
        "home": report.home,
        "version": look.version,
        "time": look.time,
        "language": lang.tag(),
        "modules": report.modules.iter().map(|one| module(one, lang)).collect::<Vec<_>>(),
        "sections": sections.collect::<Vec<_>>(),
    });
    format!("{document:#}\n")
}

fn module(module: &ModuleReport, lang: Lang) -> Value {
    json!({
        "module": module.name,
        "campaign_instance": module.instance,
        "state": module.state.label(),
        "expected": module.expected,
        "up": module.up,
        "up_since": module.up_since,
        "memory": module.memory,
        "memory_warning": module.memory_warning,
        "memory_alert": module.memory_alert,
        "last_error": module.last_error,
        "last_run": module.last_run.map(|run| json!({ "time": run.time, "errors": run.errors })),
        "checks": module.checks.iter().map(|one| check(one, lang)).collect::<Vec<_>>(),
        "documentation": module.documented.map(|row| row.troubleshooting.get(lang)),
        "note": module.note,
    })
}

fn check(check: &CheckReport, lang: Lang) -> Value {
    json!({
        "check": check.def.name,
        "title": check.def.title.get(lang),
        "passes": check.passes,
        "reason": check.reason.as_ref().map(|reason| &reason.text),
        "value": check.reason.as_ref().and_then(|reason| reason.value),
        "limit": check.reason.as_ref().and_then(|reason| reason.limit),
        "remarks": check.remarks,
        "next_steps": check.next_steps,
    })
}
