//! The paths of a simulated installation, and the settings that the product's configuration has no place for
//! (`simulator.conf`).

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::conf::Conf;
use crate::error::{Error, Result};
use crate::log::Form;
use crate::texts::Language;

/// The variable that moves all of `var` elsewhere.
pub(crate) const VAR_DIR: &str = "XTK_VAR_DIR";

/// An installation: what the product calls `nl6/`.
#[derive(Debug, Clone)]
pub(crate) struct Home {
    root: PathBuf,
    /// Holds the instances' logs, tracking logs and spools.
    var: PathBuf,
}

impl Home {
    /// The installation at `root`, made absolute.
    ///
    /// # Errors
    /// When the working directory is unknown.
    pub(crate) fn at(root: &Path) -> Result<Self> {
        Ok(Self::new(std::path::absolute(root).map_err(|source| Error::io(root, source))?))
    }

    /// The installation that this executable is in: `HOME/bin/nlserver`.
    ///
    /// # Errors
    /// When the executable is not in such a place.
    pub(crate) fn of_executable() -> Result<Self> {
        let exe = std::env::current_exe().map_err(|source| Error::io("/proc/self/exe", source))?;
        let root = exe.parent().and_then(Path::parent);
        let root = root.ok_or_else(|| Error::Usage(format!("{} is not HOME/bin/nlserver", exe.display())))?;
        Ok(Self::new(root.to_path_buf()))
    }

    /// What `XTK_VAR_DIR` says, in the environment or else in `customer.sh`, moves `var`.
    fn new(root: PathBuf) -> Self {
        let script = fs::read_to_string(root.join("customer.sh")).unwrap_or_default();
        let line = script.lines().find_map(|line| line.trim().strip_prefix("export XTK_VAR_DIR="));
        let moved = std::env::var_os(VAR_DIR).map(PathBuf::from).or_else(|| line.map(PathBuf::from));
        Self { var: moved.unwrap_or_else(|| root.join("var")), root }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }
    /// The variable and its value, where `var` is elsewhere.
    pub(crate) fn moved(&self) -> Option<(&'static str, &Path)> {
        (self.var != self.root.join("var")).then_some((VAR_DIR, &self.var))
    }
    pub(crate) fn bin(&self) -> PathBuf {
        self.root.join("bin")
    }
    pub(crate) fn nlserver(&self) -> PathBuf {
        self.bin().join("nlserver")
    }
    pub(crate) fn simulator(&self) -> PathBuf {
        self.bin().join("campaign-simulator")
    }
    pub(crate) fn conf(&self) -> PathBuf {
        self.root.join("conf")
    }
    pub(crate) fn settings_file(&self) -> PathBuf {
        self.root.join("simulator.conf")
    }
    /// The simulator's own state, which `XTK_VAR_DIR` does not move; everything ends when it is gone.
    pub(crate) fn run(&self) -> PathBuf {
        self.root.join("var/run")
    }
    pub(crate) fn ports_file(&self) -> PathBuf {
        self.run().join("ports")
    }
    /// How an HTTP end point answers at the moment.
    pub(crate) fn answer_file(&self, end_point: &str) -> PathBuf {
        self.run().join("answers").join(end_point)
    }
    pub(crate) fn instance(&self, instance: &str) -> PathBuf {
        self.var.join(instance)
    }
    pub(crate) fn logs(&self, instance: &str) -> PathBuf {
        self.instance(instance).join("log")
    }
    pub(crate) fn tracking_logs(&self, instance: &str) -> PathBuf {
        self.instance(instance).join("redir/log")
    }
    /// The mta's `workingPath` with its two documented variables expanded.
    pub(crate) fn spool(&self, conf: &Conf, instance: &str) -> PathBuf {
        let Some(path) = conf.get(instance, "mta", "workingPath").filter(|path| !path.is_empty()) else {
            return self.instance(instance).join("mta");
        };
        let home = self.root.to_string_lossy();
        PathBuf::from(path.replace("$(XTK_INSTALL_DIR)", &home).replace("$(INSTANCE_NAME)", instance))
    }

    /// Whether the simulated host still has a place to live in.
    pub(crate) fn alive(&self) -> bool {
        self.run().is_dir()
    }
}

/// `simulator.conf`: `key=value` lines. The README lists the keys.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings {
    values: BTreeMap<String, String>,
}

impl Settings {
    /// Reads the settings of `home`; a missing file means all defaults.
    ///
    /// # Errors
    /// When the file is there but cannot be read, or a line is not `key=value`.
    pub(crate) fn read(home: &Home) -> Result<Self> {
        let path = home.settings_file();
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(source) => return Err(Error::io(path, source)),
        };
        let mut values = BTreeMap::new();
        for (line, row) in (1..).zip(text.lines()) {
            let row = row.trim();
            if row.is_empty() || row.starts_with('#') {
                continue;
            }
            let Some((key, value)) = row.split_once('=') else {
                return Err(Error::Conf { path, line, message: "not key=value".to_owned() });
            };
            values.insert(key.trim().to_owned(), value.trim().to_owned());
        }
        Ok(Self { values })
    }

    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str)
    }

    pub(crate) fn number(&self, key: &str, default: u64) -> u64 {
        self.text(key).and_then(|text| text.parse().ok()).unwrap_or(default)
    }

    /// A number of milliseconds; 0 means never.
    pub(crate) fn period(&self, key: &str, default_ms: u64) -> Option<Duration> {
        Some(self.number(key, default_ms)).filter(|ms| *ms > 0).map(Duration::from_millis)
    }

    /// Where syslogd listens, local UDP.
    pub(crate) fn syslogd_port(&self) -> u16 {
        u16::try_from(self.number("syslogdPort", 6666)).unwrap_or(6666)
    }

    /// The size in bytes at which syslogd moves a log.
    pub(crate) fn max_log_bytes(&self, conf: &Conf) -> u64 {
        let megabytes = conf.number("default", "syslogd", "maxFileSizeMb", 10);
        self.number("maxFileSizeBytes", u64::try_from(megabytes).unwrap_or(10).saturating_mul(1024 * 1024))
    }

    /// The language that modules log in.
    pub(crate) fn language(&self) -> Language {
        Language::named(self.text("logLanguage").unwrap_or_default())
    }

    /// The form of the log lines.
    pub(crate) fn log_form(&self) -> Form {
        if self.text("logForm") == Some("older") { Form::Older } else { Form::Documented }
    }

    /// Whether the comma-separated list `key` names `name`.
    pub(crate) fn lists(&self, key: &str, name: &str) -> bool {
        self.text(key).is_some_and(|list| list.split(',').any(|word| word.trim() == name))
    }

    /// How long the watchdog waits before it starts what died.
    pub(crate) fn restart_delay(&self) -> Duration {
        Duration::from_millis(self.number("restartDelayMs", 500))
    }
}
