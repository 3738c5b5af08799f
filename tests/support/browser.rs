//! A real browser: Chromium, driven over WebDriver (W3C Recommendation "WebDriver") by its chromedriver.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Running, build_folder, free_port, program, wait_for};

/// How long the browser may take for anything.
const LIMIT: Duration = Duration::from_secs(300);

/// A browser with one window; it ends when dropped.
pub(crate) struct Browser {
    /// The address of the session.
    session: String,
    _driver: Running,
}

impl Browser {
    /// Starts one that keeps its files in `folder` and reaches nothing but this machine.
    pub(crate) fn start(folder: &Path) -> Self {
        // Of port 0 it takes one that is free for IPv6, and ends where that is in use for IPv4.
        let port = free_port();
        let mut command = Command::new(program("chromedriver", "chromium-driver"));
        command.arg(format!("--port={port}")).env("TMPDIR", folder);
        let mut driver = Running::start(&mut command, &folder.join("chromedriver.log"));
        wait_for("chromedriver that listens", LIMIT, || {
            let output = driver.output();
            assert!(driver.ended().is_none(), "chromedriver ended: {output}");
            if output.contains("started successfully") { Ok(()) } else { Err(output) }
        });
        let arguments = [
            "--headless",
            // The sandbox does not work as root, nor in every container; the pages are our own.
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        ];
        let wanted = json!({
            "goog:chromeOptions": { "binary": program("chromium", "chromium"), "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL" },
        });
        let sessions = format!("http://127.0.0.1:{port}/session");
        let session = post(&sessions, &json!({ "capabilities": { "alwaysMatch": wanted } }));
        let id = session["sessionId"].as_str().unwrap_or_else(|| panic!("no session: {session}"));
        Self { session: format!("{sessions}/{id}"), _driver: driver }
    }

    #[track_caller]
    fn command(&self, name: &str, parameters: &Value) -> Value {
        post(&format!("{}/{name}", self.session), parameters)
    }

    /// Makes the window `width` CSS pixels wide, and prefers the colours of `scheme`: `light` or `dark`.
    #[track_caller]
    pub(crate) fn show_as(&self, width: u32, scheme: &str) {
        let screen = json!({ "width": width, "height": 800, "deviceScaleFactor": 1, "mobile": false });
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        for (command, parameters) in [("setDeviceMetricsOverride", screen), ("setEmulatedMedia", media)] {
            self.command("goog/cdp/execute", &json!({ "cmd": format!("Emulation.{command}"), "params": parameters }));
        }
    }

    /// Opens `url` and waits until it is shown.
    #[track_caller]
    pub(crate) fn open(&self, url: &str) {
        self.command("url", &json!({ "url": url }));
    }

    /// Clicks the link that reads `text`, and waits until the page behind it is shown.
    #[track_caller]
    pub(crate) fn follow(&self, text: &str) {
        let element = self.command("element", &json!({ "using": "partial link text", "value": text }));
        let id = element.as_object().and_then(|element| element.values().next()).and_then(Value::as_str);
        self.command(&format!("element/{}/click", id.unwrap_or_else(|| panic!("no link {text}"))), &json!({}));
    }

    /// What the body of a function in the page's language, `script`, returns there.
    #[track_caller]
    pub(crate) fn run(&self, script: &str) -> Value {
        self.command("execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// What axe-core finds against the accessibility of the page, by its rules.
    #[track_caller]
    pub(crate) fn violations(&self) -> Vec<String> {
        let script = format!(
            "const done = arguments[arguments.length - 1];
             if (!window.axe) {{ {} }}
             axe.run(document).then(found => done(found.violations.map(one =>
                 one.id + ': ' + one.nodes.map(node => node.html + ' ' + node.failureSummary).join(' | '))))
               .catch(error => done([String(error)]));",
            axe()
        );
        let found = self.command("execute/async", &json!({ "script": script, "args": [] }));
        let found = found.as_array().unwrap_or_else(|| panic!("no answer of axe-core: {found}"));
        found.iter().map(Value::to_string).collect()
    }

    /// Keeps what the page looks like, whole, as a PNG file at `path`.
    #[track_caller]
    pub(crate) fn picture(&self, path: &Path) {
        let parameters = json!({ "format": "png", "captureBeyondViewport": true });
        let taken = self.command("goog/cdp/execute", &json!({ "cmd": "Page.captureScreenshot", "params": parameters }));
        let encoded = taken["data"].as_str().unwrap_or_else(|| panic!("no picture: {taken}"));
        let mut decoder = Command::new("base64")
            .arg("-d")
            .stdin(Stdio::piped())
            .stdout(File::create(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
            .spawn()
            .unwrap();
        decoder.stdin.take().unwrap().write_all(encoded.as_bytes()).unwrap();
        assert!(decoder.wait().unwrap().success());
    }

    /// What the browser reported of the pages since the last call: errors, violations of their policy.
    #[track_caller]
    pub(crate) fn complaints(&self) -> Vec<String> {
        let log = self.command("se/log", &json!({ "type": "browser" }));
        log.as_array().unwrap_or_else(|| panic!("no log: {log}")).iter().map(Value::to_string).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Without this the browser would outlive its driver.
        let _ = agent().delete(&self.session).call();
    }
}

/// axe-core, as a script; `.ci/axe` has fetched it.
fn axe() -> &'static str {
    static SCRIPT: OnceLock<String> = OnceLock::new();
    SCRIPT.get_or_init(|| {
        let folder = build_folder().join("axe-core");
        let versions =
            fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}; run .ci/axe", folder.display()));
        let version = versions.max_by_key(|version| version.as_ref().unwrap().metadata().unwrap().modified().unwrap());
        let script = version.unwrap().unwrap().path().join("node_modules/axe-core/axe.min.js");
        fs::read_to_string(&script).unwrap_or_else(|error| panic!("{}: {error}; run .ci/axe", script.display()))
    })
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder().timeout_global(Some(LIMIT)).http_status_as_error(false).build().into()
}

/// The `value` of the answer to a command.
#[track_caller]
fn post(url: &str, parameters: &Value) -> Value {
    let answer = agent().post(url).content_type("application/json").send(parameters.to_string());
    let mut answer = answer.unwrap_or_else(|error| panic!("{url}: {error}"));
    let text = answer.body_mut().read_to_string().unwrap_or_else(|error| panic!("{url}: {error}"));
    assert!(answer.status().is_success(), "{url} {parameters}: {text}");
    let mut value: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{url}: {error}: {text}"));
    value["value"].take()
}
