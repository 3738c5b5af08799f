//! Holds the code to the map in `src/lib.rs`: who may import whom, who may touch the machine, and where
//! a module's name may be typed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use campaign_exporter::catalog::modules;

/// What every source builds on may import no other source.
const KIT: &str = "src/source/kit/";

/// What touches the machine or asks for the time.
const MACHINE: &[&str] = &[
    "std::fs",
    "std::net",
    "std::process",
    "std::env",
    "File::open",
    "rustix::",
    "procfs::",
    "SystemTime::now",
    "netlink_sys::",
    "notify::",
];

/// The parts that may do so.
const MAY_TOUCH_THE_MACHINE: &[&str] = &["source", "stamp", "web", "logging", "service", "host", "main"];

/// The map in `src/lib.rs`: each part, and the parts that it may import.
fn map() -> BTreeMap<String, Vec<String>> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap();
    let names = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let rows = text.lines().filter_map(|line| line.strip_prefix("//! | ")).skip(1);
    let map = rows.map(|row| {
        let cells: Vec<&str> = row.trim_end_matches(" |").split(" | ").collect();
        assert!(names(cells[2]).is_empty() == (cells[2] == "nothing"), "{row}");
        (names(cells[0]).remove(0), names(cells[2]))
    });
    map.collect()
}

/// Whether `import` is `part`, or something in it.
fn is_in(import: &str, part: &str) -> bool {
    import.strip_prefix(part).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// A source file without its tests.
struct Source {
    path: PathBuf,
    part: String,
    code: String,
}

fn sources() -> Vec<Source> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = package.join("src");
    let mut folders = vec![root.clone(), package.join("lines/src")];
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.ends_with("tests") {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") && !path.ends_with("tests.rs") {
                let code = code_of(&fs::read_to_string(&path).unwrap());
                // The package of the lines is a part of `parse` that is built for speed.
                let (part, code) = match path.strip_prefix(&root) {
                    Ok(relative) => (relative.components().next().unwrap().as_os_str().to_str().unwrap(), code),
                    Err(_) => ("parse", code.replace("crate::", "crate::parse::")),
                };
                sources.push(Source { part: part.trim_end_matches(".rs").to_owned(), code, path });
            }
        }
    }
    assert!(sources.len() > 15, "the sources of the exporter were not found");
    sources
}

/// The code of a file: without comments, and without what is only compiled for tests (which closes every file).
fn code_of(text: &str) -> String {
    let code = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// What follows each `crate::` in the code; a group `crate::{a, b}` counts as each of its members.
fn imports(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (_, rest) in ["crate::", "campaign_exporter::"].iter().flat_map(|prefix| {
        code.match_indices(prefix).map(|(at, _)| (at, &code[at + prefix.len()..])).collect::<Vec<_>>()
    }) {
        let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
        if let Some(group) = rest.strip_prefix('{') {
            let members = group.split('}').next().unwrap_or_default().split(',');
            found.extend(members.map(|member| member.trim().to_owned()).filter(|member| !member.is_empty()));
        } else {
            found.push(rest.chars().take_while(|c| is_path(*c)).collect());
        }
    }
    found
}

#[test]
fn imports_point_one_way() {
    let map = map();
    let mut wrong = Vec::new();
    for source in sources().into_iter().filter(|source| source.part != "lib") {
        let allowed = map.get(&source.part).unwrap_or_else(|| {
            panic!("{} is in no part of the map in src/lib.rs: give it a row", source.path.display())
        });
        for import in imports(&source.code) {
            let is_allowed = is_in(&import, &source.part) || allowed.iter().any(|part| is_in(&import, part));
            if !is_allowed && import.starts_with(|c: char| c.is_lowercase()) {
                wrong.push(format!("{}: {} may not import {import}", source.path.display(), source.part));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_map_has_no_part_that_is_not_there_and_allows_nothing_that_is_not_used() {
    let sources = sources();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for (part, allowed) in map() {
        let folder = root.join(part.replace("::", "/"));
        let is_of_part =
            |source: &&Source| source.path.starts_with(&folder) || source.path == folder.with_extension("rs");
        let files: Vec<&Source> = sources.iter().filter(is_of_part).collect();
        assert!(!files.is_empty(), "src/lib.rs has a part {part:?} that is not there");
        for name in allowed {
            let is_used = files.iter().any(|file| imports(&file.code).iter().any(|import| is_in(import, &name)));
            assert!(is_used, "src/lib.rs lets {part} import {name}, which it does not");
        }
    }
}

/// Whether the code uses the module `name` beside its own, by itself or within a group.
fn uses_beside(code: &str, name: &str) -> bool {
    let uses = code.split("use super::").skip(1).filter_map(|rest| rest.split(';').next());
    let mut words = uses.flat_map(|names| names.split(|c: char| !c.is_alphanumeric() && c != '_'));
    words.any(|word| word == name)
}

#[test]
fn collectors_never_import_each_other() {
    let collectors: Vec<Source> = sources().into_iter().filter(|source| source.part == "collect").collect();
    let names: Vec<String> =
        collectors.iter().filter_map(|source| Some(source.path.file_stem()?.to_str()?.to_owned())).collect();
    for source in &collectors {
        let own = source.path.file_stem().unwrap().to_str().unwrap();
        if own == "mod" {
            continue;
        }
        for other in names.iter().filter(|name| *name != own && *name != "mod" && *name != "census") {
            for path in [format!("super::{other}::"), format!("collect::{other}")] {
                assert!(!source.code.contains(&path), "{} imports {other}", source.path.display());
            }
            assert!(!uses_beside(&source.code, other), "{} imports {other}", source.path.display());
        }
    }
}

#[test]
fn the_kit_of_the_sources_imports_none_of_them() {
    let kit: Vec<Source> = sources().into_iter().filter(|source| source.path.to_str().unwrap().contains(KIT)).collect();
    assert!(kit.len() > 3, "the kit was not found below {KIT}");
    for source in &kit {
        for import in imports(&source.code).iter().filter(|import| import.starts_with("source::")) {
            assert!(is_in(import, "source::kit"), "{} imports {import}", source.path.display());
        }
        assert!(!source.code.contains("super::super"), "{} climbs out of the kit", source.path.display());
    }
}

#[test]
fn the_catalog_imports_nothing_but_std() {
    for source in sources().into_iter().filter(|source| source.part == "catalog") {
        for line in source.code.lines().filter_map(|line| line.trim_start().strip_prefix("use ")) {
            let local = ["std::", "super::", "crate::", "self::", "define_metrics"];
            assert!(local.iter().any(|start| line.starts_with(start)), "{}: use {line}", source.path.display());
        }
    }
}

#[test]
fn only_some_parts_touch_the_machine() {
    for source in sources().into_iter().filter(|source| !MAY_TOUCH_THE_MACHINE.contains(&source.part.as_str())) {
        for word in MACHINE {
            assert!(!source.code.contains(word), "{}: {} may not use {word}", source.path.display(), source.part);
        }
    }
}

#[test]
fn no_module_name_is_typed_outside_the_catalog() {
    let names: Vec<&str> = modules::MODULES.iter().map(|module| module.name).collect();
    assert_eq!(names.len(), 11);
    // The word "web" also is a part of our own and "import" a word of Rust: only whole string literals count.
    for source in sources().into_iter().filter(|source| source.part != "catalog") {
        // Below `source`, that is the kernel's file of a process.
        let is_file = |name: &str| source.part == "source" && name == "stat";
        // The shell's keyword.
        let is_keyword = |name: &str| source.path.ends_with("parse/customer.rs") && name == "export";
        for name in names.iter().filter(|name| !is_file(name) && !is_keyword(name)) {
            // A literal of bytes holds this, too.
            let literal = format!("\"{name}\"");
            assert!(!source.code.contains(&literal), "{} types the module name {literal}", source.path.display());
        }
    }
}

#[test]
fn the_layering_test_sees_what_it_looks_for() {
    let code = code_of(
        "//! crate::web\nuse crate::{snapshot::Samples, health};\nlet x = crate::parse::conf::f();\n\n#[cfg(test)]\nmod tests { use crate::web; }",
    );
    assert_eq!(imports(&code), ["snapshot::Samples", "health", "parse::conf::f"]);
    for code in ["use super::ports;", "use super::{Outcome, ports::Ports};", "use super::ports::{a, b};"] {
        assert!(uses_beside(code, "ports"), "{code}");
    }
    assert!(!uses_beside("use super::{Ports, exports};\nlet ports = 1;", "ports"));
}
