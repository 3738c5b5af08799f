//! The runbook pages: there is one for each alert in both languages, and none besides.

use std::collections::BTreeSet;

use campaign_exporter::catalog::signals::alerts;
use campaign_exporter::catalog::{Lang, Subject};
use campaign_exporter::render::runbooks::{index, page};

use crate::committed::{assert_generated, project};

fn path(lang: Lang, name: &str) -> String {
    format!("docs/runbooks/{}/{name}.md", lang.tag())
}

#[test]
fn the_runbook_pages_are_current() {
    for lang in Lang::ALL {
        for alert in alerts() {
            assert_generated(&path(lang, alert.name), &page(alert, lang));
        }
        assert_generated(&path(lang, "README"), &index(lang));
    }
}

#[test]
fn no_page_is_about_an_alert_that_there_is_not() {
    let mut known: BTreeSet<_> = alerts().map(|alert| format!("{}.md", alert.name)).collect();
    known.insert("README.md".to_owned());
    for lang in Lang::ALL {
        let folder = std::fs::read_dir(project(&format!("docs/runbooks/{}", lang.tag()))).unwrap();
        let there: BTreeSet<_> = folder.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        assert_eq!(there, known, "{}", lang.tag());
    }
}

#[test]
fn every_page_has_six_parts_and_the_documented_text() {
    for lang in Lang::ALL {
        for alert in alerts() {
            let page = page(alert, lang);
            let parts: Vec<_> = page.split("\n## ").skip(1).collect();
            assert_eq!(parts.len(), 6, "{}", alert.name);
            for part in &parts {
                let (heading, body) = part.split_once('\n').unwrap();
                assert!(body.trim().len() > 10, "{}: {heading} is empty in {}", alert.name, lang.tag());
            }
            if let Subject::Module(module) = alert.subject {
                assert!(page.contains(&format!("> {}\n", module.troubleshooting.get(lang))), "{}", alert.name);
            }
            assert!(!page.contains("{value") && !page.contains("{host") && !page.contains("{limit"), "{}", alert.name);
        }
    }
}
