//! Tells the code what it was built from and with: `CAMPAIGN_REVISION` and `CAMPAIGN_RUSTC`. A tree without git, or a
//! compiler that does not say, is `unknown`.

use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // Changes with each commit and with each switch to another.
    if let Some(log) = output("git", &["rev-parse", "--git-path", "logs/HEAD"]) {
        println!("cargo:rerun-if-changed={log}");
    }
    let revision = output("git", &["rev-parse", "--short=12", "HEAD"]);
    println!("cargo:rustc-env=CAMPAIGN_REVISION={}", revision.as_deref().unwrap_or("unknown"));
    let compiler = std::env::var("RUSTC").ok().and_then(|rustc| output(&rustc, &["--version"]));
    let version = compiler.as_deref().and_then(|text| text.split(' ').nth(1));
    println!("cargo:rustc-env=CAMPAIGN_RUSTC={}", version.unwrap_or("unknown"));
}

/// What a command prints, when it succeeds and prints anything.
fn output(command: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(command).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}
