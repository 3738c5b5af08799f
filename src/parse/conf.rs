//! Campaign's XML configuration -> settings, and their overlay: defaults < `serverConf.xml` < instance file.
//!
//! Knows bytes and attributes; where the files are and when they change is for `source::installation`.

use std::collections::BTreeMap;

/// The settings in force for one Campaign instance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    modules: BTreeMap<String, ModuleSettings>,
}

impl Settings {
    /// The settings of `module`: the documented defaults where no file speaks of it.
    #[must_use]
    pub fn module(&self, module: &str) -> ModuleSettings {
        self.modules.get(module).cloned().unwrap_or_default()
    }
}

/// What the configuration says of one module, with the documented defaults filled in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModuleSettings {
    /// Whether the watchdog starts it.
    pub auto_start: bool,
    /// Arguments added to its command line.
    pub args: String,
    /// `maxProcessMemoryWarningMb`, in bytes.
    pub memory_warning_bytes: u64,
    /// `maxProcessMemoryAlertMb`, in bytes.
    pub memory_alert_bytes: u64,
}
