//! `campaign_exporter check` as operators and scripts run it: its exit code, its output, and what it leaves alone.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use crate::committed::read;
use crate::support::built;
use crate::support::simulator::Simulator;
use crate::support::stack::{Exporter, concat_os};

/// What one run of it gave.
struct Outcome {
    code: Option<i32>,
    text: String,
    errors: String,
}

#[track_caller]
fn check(arguments: &[OsString]) -> Outcome {
    check_with(&mut Command::new(built("campaign_exporter")), arguments)
}

/// The same where nothing can be written below `folder`.
#[track_caller]
fn check_below_read_only(folder: &Path, arguments: &[OsString]) -> Outcome {
    let script = "mount --bind \"$0\" \"$0\" && mount -o remount,bind,ro \"$0\" && ! touch \"$0/new\" 2>/dev/null && exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--mount", "/bin/sh", "-c", script]).arg(folder).arg(built("campaign_exporter"));
    check_with(&mut command, arguments)
}

#[track_caller]
fn check_with(command: &mut Command, arguments: &[OsString]) -> Outcome {
    let output = command.arg("check").args(arguments).output().unwrap();
    Outcome {
        code: output.status.code(),
        text: String::from_utf8(output.stdout).unwrap(),
        errors: String::from_utf8(output.stderr).unwrap(),
    }
}

/// The flags with which it looks at `simulator`, and does not touch the machine's own storage.
fn flags(simulator: &Simulator, folder: &Path) -> Vec<OsString> {
    vec![
        concat_os("--campaign.home=", simulator.home()),
        concat_os("--storage.path=", &folder.join("state")),
        format!("--collector.ports.syslogd-port={}", simulator.port("syslogd.port")).into(),
    ]
}

#[test]
fn a_host_that_cannot_be_told_ends_with_3_and_says_why_on_the_first_line() {
    let outcome = check(&["--campaign.home=/nonexistent".into()]);
    assert_eq!((outcome.code, outcome.errors.as_str()), (Some(3), ""));
    let first = outcome.text.lines().next().unwrap();
    assert!(first.starts_with("Can't tell: ") && first.contains("/nonexistent"), "{first}");
    assert!(!outcome.text.contains("well"), "{}", outcome.text);
}

#[test]
fn each_state_of_a_host_has_its_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let simulator = Simulator::create(folder.path(), &["--instances", "prod"]);
    let flags = flags(&simulator, folder.path());
    let nothing_runs = check(&flags);
    assert_eq!(nothing_runs.code, Some(2), "{}", nothing_runs.text);

    simulator.nlserver(&["start"]);
    let well = check(&flags);
    assert_eq!((well.code, well.errors.as_str()), (Some(0), ""), "{}", well.text);
    assert!(well.text.starts_with("All 8 modules are well\n"), "{}", well.text);

    let nothing_judged = check(&[&flags[..], &["--collector.disable-defaults".into()]].concat());
    assert_eq!(nothing_judged.code, Some(3), "{}", nothing_judged.text);

    // What modules are judged by is on a volume that is not mounted.
    for place in ["var/prod/log", "var/prod/mta", "var/prod/redir/log"] {
        let (place, away) = (simulator.home().join(place), folder.path().join("away"));
        fs::rename(&place, &away).unwrap();
        std::os::unix::fs::symlink("/nonexistent", &place).unwrap();
        let unread = check(&flags);
        assert_eq!(unread.code, Some(3), "{place:?}: {}", unread.text);
        let (headline, _) = unread.text.split_once('\n').unwrap();
        assert!(headline.starts_with("Can't tell: ") && headline.ends_with(" can't be read"), "{place:?}: {headline}");
        fs::remove_file(&place).unwrap();
        fs::rename(&away, &place).unwrap();
    }
    let well = check(&flags);
    assert_eq!(well.code, Some(0), "{}", well.text);

    simulator.fault(&["hold"]);
    simulator.fault(&["die", "mta@prod"]);
    let failing = check(&flags);
    assert_eq!((failing.code, failing.errors.as_str()), (Some(1), ""), "{}", failing.text);
    let json = check(&[&flags[..], &["--format=json".into(), "--lang=pt-BR".into()]].concat());
    let value: serde_json::Value = serde_json::from_str(&json.text).unwrap();
    assert_eq!((json.code, &value["exit_code"], &value["verdict"]), (Some(1), &1.into(), &"failing".into()));
    assert_eq!((&value["modules"][0]["module"], &value["modules"][0]["up"]), (&"mta".into(), &false.into()));
    assert!(!json.text.contains('\u{1b}') && !failing.text.contains('\u{1b}'), "colours are for terminals");
}

#[test]
fn wrong_arguments_have_told_nothing_of_the_host() {
    let outcome = check(&["--no-such-flag".into()]);
    assert_eq!((outcome.code, outcome.text.as_str()), (Some(3), ""));
    assert!(outcome.errors.contains("--no-such-flag"), "{}", outcome.errors);
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = Command::new(built("campaign_exporter")).arg("rules").stdout(writer).output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""));
}

#[test]
fn it_logs_when_asked_to_and_never_to_standard_output() {
    let outcome = check(&["--campaign.home=/nonexistent".into(), "--log.level=info".into()]);
    assert!(outcome.errors.contains("level="), "{}", outcome.errors);
    assert!(!outcome.text.contains("level="), "{}", outcome.text);
}

/// Every file below `folder` with its content.
fn contents(folder: &Path) -> BTreeMap<OsString, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries.map(|entry| (entry.file_name(), fs::read(entry.path()).unwrap())).collect()
}

#[test]
fn it_goes_by_what_an_exporter_has_stored_and_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let simulator = Simulator::start(folder.path(), &["--instances", "prod"]);
    let flags = flags(&simulator, folder.path());
    let state = folder.path().join("state");
    check(&flags);
    assert!(!state.exists(), "a storage that is not there is not made");

    let mut exporter = Exporter::watch(folder.path(), &simulator);
    simulator.run_utility("import", "prod", true);
    crate::support::wait_for("failed run", std::time::Duration::from_secs(30), || {
        let metrics = exporter.metrics();
        let failed = metrics.series("campaign_log_last_run_errors").into_iter().any(|(_, errors)| errors > 0.0);
        if failed { Ok(()) } else { Err(metrics.0) }
    });
    exporter.process.terminate();
    let before = contents(&state);
    let outcome = check(&flags);
    assert_eq!(outcome.code, Some(1), "{}", outcome.text);
    assert!(outcome.text.contains("import@prod (check: last run)"), "{}", outcome.text);
    assert_eq!(contents(&state), before);
}

/// What needs attention: numbers, times and the table below differ from one look to the next.
fn faults(text: &str) -> Vec<String> {
    let above = text.split("\nMODULE ").next().unwrap_or_default();
    above.lines().filter(|line| !line.contains("campaign_exporter 0")).map(plain).collect()
}

#[test]
fn a_storage_that_can_only_be_read_or_not_at_all_changes_neither_exit_code_nor_text() {
    let folder = tempfile::tempdir().unwrap();
    let simulator = Simulator::start(folder.path(), &["--instances", "prod"]);
    let flags = flags(&simulator, folder.path());
    let state = folder.path().join("state");
    fs::create_dir(&state).unwrap();
    let well = check_below_read_only(&state, &flags);
    assert_eq!((well.code, well.errors.as_str()), (Some(0), ""), "{}", well.text);

    let mut exporter = Exporter::watch(folder.path(), &simulator);
    exporter.metrics();
    exporter.process.terminate();
    simulator.run_utility("import", "prod", true);
    simulator.fault(&["hold"]);
    simulator.fault(&["die", "mta@prod"]);
    let usual = check(&flags);
    let before = contents(&state);
    let read_only = check_below_read_only(&state, &flags);
    assert_eq!((read_only.code, read_only.errors.as_str()), (Some(1), ""), "{}", read_only.text);
    assert_eq!(faults(&read_only.text), faults(&usual.text));
    assert!(
        usual.text.contains("import@prod (check: last run)") && !read_only.text.contains("state"),
        "{}",
        usual.text
    );
    assert_eq!(contents(&state), before);

    fs::remove_dir_all(&state).unwrap();
    symlink("gone", &state).unwrap();
    let nowhere = check_below_read_only(simulator.home(), &flags);
    assert_eq!((nowhere.code, nowhere.errors.as_str()), (Some(1), ""), "{}", nowhere.text);
    assert_eq!(faults(&nowhere.text), faults(&usual.text));
}

/// What the README shows after the command `command`, line by line; `…` stands for lines that it leaves out.
fn sample(command: &str) -> Vec<String> {
    let readme = read("README.md");
    let (_, rest) = readme.split_once(&format!("$ {command}\n")).unwrap_or_else(|| panic!("no sample of {command}"));
    let (block, _) = rest.split_once("```").unwrap();
    block.lines().filter(|line| !line.trim().is_empty() && *line != "…").map(str::to_owned).collect()
}

/// A line without what differs from host to host: numbers, how long ago, the width of columns.
fn plain(line: &str) -> String {
    let words = line.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut plain = String::new();
    let mut in_brackets = false;
    for letter in words.chars() {
        match letter {
            '(' | ')' => in_brackets = letter == '(',
            _ if in_brackets => {}
            '0'..='9' | '.' | ',' if plain.ends_with('0') => {}
            '0'..='9' => plain.push('0'),
            other => plain.push(other),
        }
    }
    plain
}

#[test]
fn the_samples_in_readme_are_what_a_person_gets() {
    let folder = tempfile::tempdir().unwrap();
    let simulator = Simulator::start(folder.path(), &["--instances", "prod"]);
    simulator.fault(&["hold"]);
    simulator.fault(&["die", "mta@prod"]);
    let text = check(&flags(&simulator, folder.path())).text;
    let got: Vec<_> = text.lines().map(plain).collect();
    let host = |line: &str| line.contains("campaign_exporter 0");
    for line in sample("campaign_exporter check").iter().filter(|line| !host(line)) {
        assert!(got.contains(&plain(line)), "README has {line:?}, and check prints\n{text}");
    }

    let exporter = Exporter::watch(folder.path(), &simulator);
    let metrics = exporter.metrics().0;
    for line in sample("curl -s localhost:10777/metrics | grep '^campaign_module_up'") {
        assert!(metrics.lines().any(|got| got == line), "README has {line:?}, and the exporter answers\n{metrics}");
    }
}
