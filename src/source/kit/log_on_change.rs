//! A log line when something changes, and not at every look.
//!
//! Remembers the last message of each subject; the caller writes the log.

use std::collections::BTreeMap;
use std::sync::Mutex;

use crate::sync::locked;

/// The most subjects that are remembered; the state of what is beyond is not logged.
const MAX_SUBJECTS: usize = 10_000;

/// What was said last of each subject. Nothing is remembered of a subject without a problem.
#[derive(Debug, Default)]
pub struct LogOnChange(Mutex<BTreeMap<String, String>>);

impl LogOnChange {
    /// Whether `message` is news of `subject`, with none for a subject without a problem. Remembers it.
    pub fn is_news(&self, subject: &str, message: Option<&str>) -> bool {
        let mut said = locked(&self.0);
        if said.get(subject).map(String::as_str) == message {
            return false;
        }
        match message {
            Some(_) if said.len() >= MAX_SUBJECTS && !said.contains_key(subject) => return false,
            Some(message) => said.insert(subject.to_owned(), message.to_owned()),
            None => said.remove(subject),
        };
        true
    }

    /// Forgets the subjects that are no more.
    pub fn keep(&self, is_there: impl Fn(&str) -> bool) {
        locked(&self.0).retain(|subject, _| is_there(subject));
    }

    /// Replaces everything that is remembered by `now`, and returns what is news in it.
    pub fn replace(&self, now: BTreeMap<String, String>) -> Vec<(String, String)> {
        let mut said = locked(&self.0);
        let is_news = |(subject, message): &(&String, &String)| said.get(*subject) != Some(*message);
        let news = now.iter().filter(is_news).map(|(subject, message)| (subject.clone(), message.clone())).collect();
        *said = now;
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_news_when_it_begins_changes_and_ends() {
        let log = LogOnChange::default();
        assert!(!log.is_news("disk", None), "nothing was the matter");
        assert!(log.is_news("disk", Some("full")));
        assert!(!log.is_news("disk", Some("full")));
        assert!(log.is_news("tape", Some("full")), "another subject");
        assert!(log.is_news("disk", Some("failing")));
        assert!(log.is_news("disk", None));
        assert!(!log.is_news("disk", None));
    }

    #[test]
    fn what_is_replaced_is_news_where_it_differs() {
        let state = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(subject, message)| ((*subject).to_owned(), (*message).to_owned())).collect()
        };
        let log = LogOnChange::default();
        assert_eq!(log.replace(state(&[("a", "x"), ("b", "x")])).len(), 2);
        assert_eq!(log.replace(state(&[("a", "y"), ("b", "x")])), [("a".to_owned(), "y".to_owned())]);
        assert_eq!(log.replace(state(&[])), []);
        assert_eq!(log.replace(state(&[("b", "x")])).len(), 1, "it was well in between");
    }

    #[test]
    fn the_number_of_subjects_is_bounded() {
        let log = LogOnChange::default();
        assert_eq!((0..MAX_SUBJECTS + 5).filter(|n| log.is_news(&n.to_string(), Some("bad"))).count(), MAX_SUBJECTS);
        assert!(log.is_news("0", Some("worse")));
        assert!(log.is_news("0", None));
        assert!(log.is_news("new", Some("bad")));
    }
}
