//! What the exporter's own configuration files (YAML) have in common: their bound, and errors that name file, line and remedy.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde_saphyr::{Error, Location, Spanned, UserMessageFormatter};

/// The most bytes that a file may have.
pub const MAX_FILE_BYTES: usize = 1024 * 1024;

/// A configuration file that can't be in force: where, why, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{}: {problem}; {remedy}", path.display(), at(*line))]
pub struct ConfigFileError {
    /// The file.
    pub path: PathBuf,
    /// The line, from 1; 0 when no single line is at fault.
    pub line: u64,
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub remedy: String,
}

/// A line as it follows a file's name.
fn at(line: u64) -> String {
    if line == 0 { String::new() } else { format!(":{line}") }
}

/// A problem at a line, before the file's name is known to it.
pub(super) struct LineError {
    line: u64,
    problem: String,
    remedy: String,
}

impl LineError {
    /// At no single line.
    pub(super) fn new(problem: impl Into<String>, remedy: impl Into<String>) -> LineError {
        LineError { line: 0, problem: problem.into(), remedy: remedy.into() }
    }

    pub(super) fn at(location: Location, problem: impl Into<String>, remedy: impl Into<String>) -> LineError {
        LineError { line: location.line(), ..LineError::new(problem, remedy) }
    }

    pub(super) fn on<T>(what: &Spanned<T>, problem: impl Into<String>, remedy: impl Into<String>) -> LineError {
        LineError::at(what.referenced, problem, remedy)
    }

    pub(super) fn in_file(self, path: &Path) -> ConfigFileError {
        ConfigFileError { path: path.to_owned(), line: self.line, problem: self.problem, remedy: self.remedy }
    }
}

/// The file's content, before it is judged; `remedy` says where its keys are documented.
pub(super) fn document<T: DeserializeOwned>(bytes: &[u8], remedy: &str) -> Result<T, LineError> {
    serde_saphyr::from_slice(bytes).map_err(|error| {
        // Without the lines around it, which may hold a key or a password's hash.
        let bare = error.without_snippet();
        let (problem, remedy) = match bare {
            Error::MultipleDocuments { .. } => ("a second document begins".to_owned(), "keep one document in the file"),
            Error::DuplicateMappingKey { key, .. } => {
                let key = key.as_deref().unwrap_or_default();
                (format!("the key {key:?} is there twice"), "keep one of the two")
            }
            other => (other.render_with_formatter(&UserMessageFormatter), remedy),
        };
        LineError {
            line: error.location().map_or(0, |location| location.line()),
            problem: format!("not valid: {}", one_line(&problem)),
            remedy: remedy.to_owned(),
        }
    })
}

/// Refuses a file that is larger than any that is meant.
pub(super) fn check_size(bytes: &[u8]) -> Result<(), LineError> {
    if bytes.len() > MAX_FILE_BYTES {
        let problem = format!("the file is larger than {MAX_FILE_BYTES} bytes");
        return Err(LineError::new(problem, "give the file that was meant"));
    }
    Ok(())
}

fn one_line(text: &str) -> String {
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line[..line.floor_char_boundary(300)].to_owned()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn what_the_yaml_reader_finds_is_told_in_an_operators_words() {
        for (text, line, says) in [
            ("a: x\n---\nb: y\n", 3, "not valid: a second document begins; keep one document in the file"),
            ("a: x\nb: y\na: z\n", 3, "not valid: the key \"a\" is there twice; keep one of the two"),
            ("a: x\nb: ~\n", 2, "not valid: null is not allowed here at line 2, column 4; see the manual"),
            ("a: x\nb: [y]\n", 2, "see the manual"),
        ] {
            let read = document::<BTreeMap<String, String>>(text.as_bytes(), "see the manual");
            let error = read.map(drop).map_err(|error| error.in_file(Path::new("f.yml"))).unwrap_err();
            let said = error.to_string();
            assert!(error.line == line && said.contains(says), "{text:?}: {said}");
            for word in ["from_str", "Option", "deserialize", "Policy"] {
                assert!(!said.contains(word), "{said}");
            }
        }
    }
}
