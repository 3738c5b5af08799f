//! Files that are written from the catalog and committed: a test fails when one is stale.

use std::path::{Path, PathBuf};

use campaign_exporter::cli;
use campaign_exporter::collect::COLLECTORS;

/// A path of the project.
pub(crate) fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The text of a file of the project.
pub(crate) fn read(path: &str) -> String {
    std::fs::read_to_string(project(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Fails unless the file at `path` is `expected`, which is rendered from the catalog; `make generate` rewrites it.
pub(crate) fn assert_generated(path: &str, expected: &str) {
    assert_committed(path, expected, "CAMPAIGN_GENERATE", "make generate");
}

/// Fails unless the file at `path` is `expected`, which a run gave; `make golden` rewrites it.
pub(crate) fn assert_golden(path: &str, expected: &str) {
    assert_committed(path, expected, "CAMPAIGN_GOLDEN", "make golden");
}

/// The file is written first where the environment's `variable=1` asks for that.
fn assert_committed(path: &str, expected: &str, variable: &str, remedy: &str) {
    if std::env::var_os(variable).is_some_and(|value| value == "1") {
        let file = project(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, expected).unwrap();
    }
    let committed = std::fs::read_to_string(project(path)).unwrap_or_default();
    if let Some((number, (have, want))) =
        committed.lines().zip(expected.lines()).enumerate().find(|(_, (have, want))| have != want)
    {
        panic!("{path} is stale: run `{remedy}`.\nline {}:\n  committed: {have}\n  now:       {want}", number + 1);
    }
    assert!(committed == expected, "{path} is stale: run `{remedy}` (one is longer than the other)");
}

#[test]
fn the_metrics_reference_is_current() {
    assert_generated("docs/metrics.md", &campaign_exporter::render::reference::render());
}

#[test]
fn the_reference_of_flags_is_current() {
    let mut table = "| flag | default | what |\n|---|---|---|\n".to_owned();
    for (name, default, help) in cli::flags(COLLECTORS) {
        let default = if default.is_empty() { String::new() } else { format!("`{default}`") };
        table.push_str(&format!("| `{name}` | {default} | {help} |\n"));
    }
    let head = "# Flags\n\nWritten by `make generate`; a change made here is lost.\n\n";
    assert_generated("docs/flags.md", &format!("{head}{table}"));
}
