//! Finds and reads the Campaign installation, and follows its changes.
//!
//! Knows files and their state; what a setting means for a module's health is for the collectors.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::SystemTime;

use crate::parse::conf::Settings;

/// What the installation's configuration says at one moment; replaced as a whole when it changes.
#[derive(Clone, Debug, Default)]
pub struct Installation {
    /// The installation's folder (`…/nl6`); none while it has not been found.
    pub home: Option<PathBuf>,
    /// The settings in force by instance: `default`, and one for each `config-<instance>.xml`.
    pub instances: BTreeMap<String, Settings>,
    /// Every configuration file that is or was there, by file name, with how its last reading went.
    pub files: BTreeMap<String, FileState>,
}

/// How the last reading of a configuration file went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileState {
    /// Whether the file as it is now is the one in force.
    pub successful: bool,
    /// When the content in force was read; none when it never could be.
    pub last_success: Option<SystemTime>,
}
