//! The simulated Campaign host of a test, driven by its own commands.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{built, ports_of_host, run, try_run};

/// An installation with its processes; shut down when dropped. Its processes also end by themselves when this one does.
pub(crate) struct Simulator {
    home: PathBuf,
}

impl Simulator {
    /// Lays out an installation in `folder`, on ports of its own; `options` as `campaign-simulator create` takes them.
    pub(crate) fn create(folder: &Path, options: &[&str]) -> Self {
        let home = folder.join("nl6");
        let owner = std::process::id().to_string();
        let mut command = Command::new(built("campaign-simulator"));
        command.arg("create").arg(&home).args(["--ports", &ports_of_host(), "--owner-pid", &owner]).args(options);
        output(&mut command);
        Self { home }
    }

    /// The same, with everything started that its configuration starts.
    pub(crate) fn start(folder: &Path, options: &[&str]) -> Self {
        let simulator = Self::create(folder, options);
        simulator.nlserver(&["start"]);
        simulator
    }

    pub(crate) fn home(&self) -> &Path {
        &self.home
    }

    /// The port that the host has chosen for `name`, as in `web.httpPort`.
    pub(crate) fn port(&self, name: &str) -> u16 {
        let path = self.home.join("var/run/ports");
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        value.unwrap_or_else(|| panic!("no {name} in {text}")).parse().expect("a port is a number")
    }

    /// Writes the session token that its web server asks for into `folder`, readable by its owner alone.
    pub(crate) fn session_token_file(&self, folder: &Path) -> PathBuf {
        let file = folder.join("token");
        fs::write(&file, "simulated-session").expect("the session token");
        fs::set_permissions(&file, Permissions::from_mode(0o600)).expect("the permissions of the session token");
        file
    }

    /// Runs `nlserver` with `arguments` and returns what it printed, without the line that every command begins with.
    pub(crate) fn nlserver(&self, arguments: &[&str]) -> String {
        let text = output(Command::new(self.home.join("bin/nlserver")).args(arguments));
        let rest = text.lines().filter(|line| !line.contains(" >   Application server for Adobe Campaign"));
        rest.map(|line| format!("{line}\n")).collect()
    }

    /// Runs a module that ends by itself, as an operator would, until it has ended: well, or with an error in its log.
    #[track_caller]
    pub(crate) fn run_utility(&self, module: &str, instance: &str, fails: bool) {
        let mut command = Command::new(self.home.join("bin/nlserver"));
        command.arg(module).arg(format!("-instance:{instance}")).env("CAMPAIGN_SIM_DURATION_MS", "50");
        if fails {
            command.env("CAMPAIGN_SIM_FAIL", "1");
        }
        let output = run(&mut command);
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert_eq!(output.status.code(), Some(i32::from(fails)), "{command:?}: {text}");
    }

    /// Makes the host misbehave: `nlserver sim FAULT …`.
    pub(crate) fn fault(&self, fault: &[&str]) -> String {
        self.nlserver(&[&["sim"], fault].concat())
    }

    /// The modules that `pdump` shows, with how many processes each has: `mta@prod`; `watchdog` alone.
    pub(crate) fn running(&self) -> BTreeMap<String, usize> {
        let dump = self.nlserver(&["pdump"]);
        let mut running = BTreeMap::new();
        for line in dump.lines().filter(|line| line.contains(" (") && line.ends_with(" MB")) {
            let name = line.split(" (").next().unwrap_or_default();
            *running.entry(name.to_owned()).or_default() += 1;
        }
        running
    }

    /// The modules that `monitor -missing` shows.
    pub(crate) fn missing(&self) -> Vec<String> {
        self.nlserver(&["monitor", "-missing"]).lines().map(str::to_owned).collect()
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        // Without this, the processes end a second after the folder is gone.
        let _ = try_run(Command::new(self.home.join("bin/nlserver")).arg("shutdown"));
    }
}

/// What a command that has to succeed printed.
#[track_caller]
fn output(command: &mut Command) -> String {
    let output = run(command);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}: {errors}", output.status);
    String::from_utf8(output.stdout).expect("the simulator prints UTF-8")
}
