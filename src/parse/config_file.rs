//! What the exporter's own configuration files (YAML) have in common: their bound, and errors that name file, line and remedy.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde_saphyr::{Location, Spanned};

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
    serde_saphyr::from_slice(bytes).map_err(|error| LineError {
        line: error.location().map_or(0, |location| location.line()),
        // Without the lines around it, which may hold a key or a password's hash.
        problem: format!("not valid: {}", one_line(&error.without_snippet().to_string())),
        remedy: remedy.to_owned(),
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
