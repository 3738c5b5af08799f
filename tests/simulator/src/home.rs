//! Where things lie in a simulated installation, and the settings that the product's configuration has no place for
//! (`simulator.conf`). Knows no process.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::conf::Conf;
use crate::error::{Error, Result};

/// An installation: what the product calls `nl6/`.
#[derive(Debug, Clone)]
pub(crate) struct Home {
    root: PathBuf,
}

impl Home {
    /// The installation at `root`, made absolute.
    ///
    /// # Errors
    /// When the working directory is unknown.
    pub(crate) fn at(root: &Path) -> Result<Self> {
        Ok(Self { root: std::path::absolute(root).map_err(|source| Error::io(root, source))? })
    }

    /// The installation that this executable lies in: `HOME/bin/nlserver`.
    ///
    /// # Errors
    /// When the executable lies in no such place.
    pub(crate) fn of_executable() -> Result<Self> {
        let exe = std::env::current_exe().map_err(|source| Error::io("/proc/self/exe", source))?;
        let root = exe.parent().and_then(Path::parent);
        let root = root.ok_or_else(|| Error::Usage(format!("{} is not HOME/bin/nlserver", exe.display())))?;
        Ok(Self { root: root.to_path_buf() })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
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
    /// The simulator's own state; everything ends when it is gone.
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
        self.root.join("var").join(instance)
    }
    pub(crate) fn logs(&self, instance: &str) -> PathBuf {
        self.instance(instance).join("log")
    }
    pub(crate) fn tracking_logs(&self, instance: &str) -> PathBuf {
        self.instance(instance).join("redir/log")
    }
    /// The mta's `workingPath` with its two documented variables expanded.
    pub(crate) fn spool(&self, conf: &Conf, instance: &str) -> PathBuf {
        let path = conf.get(instance, "mta", "workingPath").filter(|path| !path.is_empty());
        let path = path.unwrap_or("$(XTK_INSTALL_DIR)/var/$(INSTANCE_NAME)/mta/");
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

    /// How long the watchdog waits before it starts what died.
    pub(crate) fn restart_delay(&self) -> Duration {
        Duration::from_millis(self.number("restartDelayMs", 500))
    }
}
