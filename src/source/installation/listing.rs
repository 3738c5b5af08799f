//! The configuration files below `conf/`, and the instances that they are of.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::{fs, io};

use super::MAX_INSTANCES;
use crate::catalog::modules::DEFAULT_INSTANCE;
use crate::label::label_among;
use crate::parse::cmdline::MAX_INSTANCE_BYTES;
use crate::parse::copies::original_of;

pub(super) const CONF: &str = "conf";
pub(super) const SERVER: &str = "serverConf.xml";
const PREFIX: &str = "config-";
const SUFFIX: &str = ".xml";

/// The configuration files of the instances: label -> name.
pub(super) struct Listing {
    pub(super) names: BTreeMap<String, OsString>,
    /// Those that are called like backup copies, each with the file that it would be a copy of.
    pub(super) originals: BTreeMap<String, String>,
    /// How many there are besides, beyond the limit.
    pub(super) left_out: usize,
}

pub(super) fn list(conf: &Path) -> io::Result<Listing> {
    let mut names = BTreeMap::new();
    let mut left_out = 0;
    for entry in fs::read_dir(conf)? {
        let mut name = entry?.file_name();
        let Some(mut label) = instance_in(&name).map(|instance| label_beside(instance, &[])) else { continue };
        // Of one text in two encodings the UTF-8 one keeps the label, in whatever order they are listed.
        if let Some(other) = names.get_mut(&file_name(&label)) {
            if name.to_str().is_some() {
                std::mem::swap(other, &mut name);
            }
            label = label_beside(instance_in(&name).unwrap_or_default(), label.as_bytes());
        }
        names.insert(file_name(&label), name);
        if names.len() > MAX_INSTANCES {
            // The instance `default` must never be evicted.
            let last = names.keys().rev().find(|label| instance_of(label) != Some(DEFAULT_INSTANCE)).cloned();
            left_out += last.and_then(|label| names.remove(&label)).map_or(0, |_| 1);
        }
    }
    let instances: BTreeSet<&str> =
        names.keys().filter_map(|label| instance_of(label)).chain([DEFAULT_INSTANCE]).collect();
    let original = |label: &String| {
        let original = original_of(instance_of(label)?, |name| instances.contains(name))?;
        Some((label.clone(), file_name(original)))
    };
    let originals = names.keys().filter_map(original).collect();
    Ok(Listing { names, originals, left_out })
}

/// The name of the instance whose file is called `name`. Editors' copies (`config-prod.xml~`, `.config-prod.xml.swp`,
/// `config-prod.xml.bak`) are no instances' files.
pub(super) fn instance_in(name: &OsStr) -> Option<&[u8]> {
    let instance = name.as_bytes().strip_prefix(PREFIX.as_bytes())?.strip_suffix(SUFFIX.as_bytes())?;
    (!instance.is_empty()).then_some(instance)
}

/// The label of the instance called `name` beside the one called `other`.
fn label_beside(name: &[u8], other: &[u8]) -> String {
    label_among(name, std::iter::once(other), MAX_INSTANCE_BYTES).into_owned()
}

/// The file of `instance`, by name.
pub(super) fn file_name(instance: &str) -> String {
    format!("{PREFIX}{instance}{SUFFIX}")
}

/// The instance whose file is called `name`.
pub(super) fn instance_of(name: &str) -> Option<&str> {
    name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)
}
