//! The name of an instance -> the instance whose configuration a file of that name is a backup copy of.
//!
//! Recognises how administrators and their tools mark copies; `source::installation` checks whether something runs
//! under the name.
//!
//! # Format
//! The name of an instance with a backup mark behind it (`prod.bak`, `prod-20240101`, `prod (copy)`, `prod_old2`, `prod~`) or
//! before it (`Copy of prod`, `old-prod`). A number alone is no mark: `prod-2` is a name like any other.

/// Words that mark a copy, in lower case.
const MARKS: [&str; 34] = [
    "back",
    "backup",
    "bak",
    "bck",
    "bkp",
    "copia",
    "copie",
    "copy",
    "cópia",
    "deprecated",
    "disabled",
    "dist",
    "kopie",
    "obsolete",
    "old",
    "orig",
    "original",
    "prev",
    "previous",
    "rej",
    "rpmnew",
    "rpmorig",
    "rpmsave",
    "sauvegarde",
    "sav",
    "save",
    "saved",
    "swp",
    "temp",
    "tmp",
    "ucf",
    "unused",
    "antigo",
    "ancien",
];

/// Words that may stand beside a mark.
const FILLERS: [&str; 12] = ["of", "de", "do", "da", "von", "from", "before", "dpkg", "avant", "antes", "on", "v"];

/// The fewest digits that are a date: `20240101`.
const DATE_DIGITS: usize = 8;

/// The instance that `name` is marked as a copy of, among those of which `is_instance` holds; the longest such.
#[must_use]
pub fn original_of(name: &str, is_instance: impl Fn(&str) -> bool) -> Option<&str> {
    let cuts = || name.char_indices().map(|(at, _)| name.split_at(at)).filter(|(before, _)| !before.is_empty());
    let is_copy = |original: &str, mark: &str| is_instance(original) && is_mark(mark);
    let is_before =
        |(original, mark): &(&str, &str)| !mark.starts_with(char::is_alphanumeric) && is_copy(original, mark);
    let is_behind = |(mark, original): &(&str, &str)| !mark.ends_with(char::is_alphanumeric) && is_copy(original, mark);
    let before = cuts().rfind(is_before).map(|(original, _)| original);
    before.or_else(|| cuts().find(is_behind).map(|(_, original)| original))
}

/// Whether what is beside an instance's name marks a copy.
fn is_mark(text: &str) -> bool {
    let text = text.to_lowercase();
    let words: Vec<&str> = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let marks = words.iter().any(|word| is_marking(word));
    let is_day = words.windows(3).any(is_day);
    // `(2)`, as file managers name a second file.
    let is_counted = text.contains('(') && words.iter().all(|word| is_number(word));
    let is_known = |word: &&str| is_marking(word) || is_number(word) || FILLERS.contains(word);
    (marks || is_day || is_counted || text.contains('~')) && words.iter().all(is_known)
}

/// A word such as `bak`, `old2` or `20240101T1200`.
fn is_marking(word: &str) -> bool {
    let date = word.bytes().take_while(u8::is_ascii_digit).count();
    let is_date = date >= DATE_DIGITS && word.bytes().all(|byte| byte.is_ascii_digit() || b"tz".contains(&byte));
    is_date || MARKS.contains(&word.trim_end_matches(|c: char| c.is_ascii_digit()))
}

fn is_number(word: &str) -> bool {
    word.bytes().all(|byte| byte.is_ascii_digit())
}

/// Year, month and day, or the other way round.
fn is_day(words: &[&str]) -> bool {
    let lengths: Vec<usize> = words.iter().map(|word| word.len()).collect();
    words.iter().all(|word| is_number(word)) && (lengths == [4, 2, 2] || lengths == [2, 2, 4])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn original(name: &str) -> Option<&str> {
        original_of(name, |name| ["prod", "prod-eu", "default", "été"].contains(&name))
    }

    #[test]
    fn a_backup_mark_makes_a_copy() {
        for name in [
            "prod.bak",
            "prod-bak",
            "prod.bak2",
            "prod_backup",
            "prod-20240101",
            "prod.20240101-1200",
            "prod-2024-01-31",
            "prod_31.01.2024",
            "prod 20240131T120000Z",
            "prod (copy)",
            "prod (1)",
            "prod - Copy (2)",
            "prod - Copie",
            "prod - cópia",
            "prod.old",
            "prod.OLD",
            "prod-old-2",
            "prod.orig",
            "prod.save",
            "prod.dpkg-old",
            "prod.rpmsave",
            "prod~",
            "prod.~1~",
            "Copy of prod",
            "Copie de prod",
            "Cópia de prod",
            "old-prod",
            "backup_prod",
            "prod.tmp",
            "prod.backup.20240101",
            "prod.1700000000",
        ] {
            assert_eq!(original(name), Some("prod"), "{name}");
        }
        assert_eq!(original("default.bak"), Some("default"));
        assert_eq!(original("prod-eu.bak"), Some("prod-eu"), "the longest");
        assert_eq!(original("été.bak"), Some("été"));
    }

    #[test]
    fn a_name_without_a_mark_is_an_instance() {
        for name in [
            "prod-2",
            "prod2",
            "prod_02",
            "prod-us",
            "prod",
            "production",
            "prodold",
            "prod-v2",
            "prod-oldtown",
            "prod-new",
            "prod-test",
            "prod-2024",
            "prod.1",
            "prod-backupserver",
            "stage.bak",
            "stage-20240101",
            "bak",
            "(copy)",
            "prod-",
            "myprod",
            "oldprod",
            "",
        ] {
            assert_eq!(original(name), None, "{name}");
        }
    }

    proptest! {
        #[test]
        fn no_text_breaks_it(name: String) {
            if let Some(original) = original_of(&name, |_| true) {
                prop_assert!(original.len() < name.len());
            }
        }
    }
}
