//! What the files around the code promise of it.

use crate::committed::read;

/// The value of the first line `key = "value"` of a file.
fn value(path: &str, key: &str) -> String {
    let text = read(path);
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.trim_start().strip_prefix('='));
    line.unwrap_or_else(|| panic!("{path} has no {key}")).trim().trim_matches('"').to_owned()
}

#[test]
fn the_oldest_compiler_that_is_promised_is_the_one_that_everything_is_tested_with() {
    let tested = value("rust-toolchain.toml", "channel");
    let promised = value("Cargo.toml", "rust-version");
    assert!(tested.starts_with(&format!("{promised}.")), "Cargo.toml promises {promised}, tests run with {tested}");
}

#[test]
fn the_newest_section_of_the_changelog_is_that_of_the_version() {
    let changelog = read("CHANGELOG.md");
    let newest = changelog.lines().find_map(|line| line.strip_prefix("## "));
    assert_eq!(newest, Some(value("Cargo.toml", "version").as_str()));
}
