//! The dashboards in Portuguese: the English ones with every text translated by `dashboards/pt-BR/texts.json`, or by the
//! catalog where it has the text. They have the same identifiers and panels, so that links of alerts lead to either.

use std::collections::{BTreeMap, BTreeSet};

use campaign_exporter::catalog::signals::{alerts, checks};
use serde_json::Value;

use crate::committed::{assert_generated, read};
use crate::dashboard_static::DASHBOARDS;

/// Fields that are shown as they are.
const SHOWN: [&str; 7] = ["title", "description", "label", "noValue", "text", "displayName", "tooltip"];

/// The Portuguese of a check's title, or of what holds when it passes.
fn of_catalog(text: &str) -> Option<&'static str> {
    let texts = checks().flat_map(|check| [check.title, check.passes_when]);
    texts.into_iter().find(|known| known.en == text).map(|known| known.pt_br)
}

struct Translation {
    texts: BTreeMap<String, String>,
    used: BTreeSet<String>,
}

impl Translation {
    fn of(&mut self, text: &str) -> String {
        if text.is_empty() || alerts().any(|alert| alert.name == text) {
            return text.to_owned();
        }
        if let Some(known) = of_catalog(text) {
            return known.to_owned();
        }
        // A title with its unit, which other titles have, too.
        let unit = text.rfind(" (").map(|at| text.split_at(at));
        if let Some((words, unit)) = unit.and_then(|(words, unit)| Some((of_catalog(words)?, unit))) {
            let other = self.texts.iter().find(|(known, _)| known.ends_with(unit)).map(|(_, translated)| translated);
            let at = other.and_then(|other| Some((other, other.rfind(" (")?)));
            return at.map(|(other, at)| words.to_owned() + &other[at..]).expect(unit);
        }
        self.used.insert(text.to_owned());
        let translated = self.texts.get(text);
        translated.unwrap_or_else(|| panic!("dashboards/pt-BR/texts.json does not translate {text:?}")).clone()
    }

    /// `{{label}} {{label}} words`: only the words are translated.
    fn legend(&mut self, text: &str) -> String {
        let (labels, words) = text.rsplit_once("}} ").map_or(("", text), |(labels, words)| (labels, words));
        match (labels.is_empty(), words.contains("{{") || words.is_empty()) {
            (_, true) => text.to_owned(),
            (true, _) => self.of(words),
            (false, _) => format!("{labels}}}}} {}", self.of(words)),
        }
    }

    fn translate(&mut self, value: &mut Value) {
        match value {
            Value::Array(items) => items.iter_mut().for_each(|item| self.translate(item)),
            Value::Object(fields) => {
                for (name, field) in fields {
                    self.field(name, field);
                }
            }
            _ => {}
        }
    }

    fn field(&mut self, name: &str, field: &mut Value) {
        let translated = match (name, field.as_str()) {
            ("legendFormat", Some(text)) => self.legend(text),
            // A column is chosen by the name that it is shown with.
            ("options", Some(text)) if self.texts.contains_key(text) => self.of(text),
            (_, Some(text)) if SHOWN.contains(&name) => self.of(text),
            ("renameByName", None) => {
                let columns = field.as_object_mut().expect("columns have names");
                for (_, column) in columns {
                    *column = self.of(column.as_str().expect("a column's name is a text")).into();
                }
                return;
            }
            _ => return self.translate(field),
        };
        *field = translated.into();
    }
}

#[test]
fn the_portuguese_dashboards_are_current() {
    let texts = serde_json::from_str(&read("dashboards/pt-BR/texts.json")).unwrap();
    let mut translation = Translation { texts, used: BTreeSet::new() };
    for path in DASHBOARDS {
        let mut dashboard: Value = serde_json::from_str(&read(path)).unwrap();
        translation.translate(&mut dashboard);
        let text = serde_json::to_string_pretty(&dashboard).unwrap() + "\n";
        assert_generated(&path.replace("dashboards/", "dashboards/pt-BR/"), &text);
    }
    let known: BTreeSet<_> = translation.texts.keys().cloned().collect();
    assert_eq!(known, translation.used, "a text that is translated is shown");
}
