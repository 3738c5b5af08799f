//! One test a hazard; nothing waits but the test of the thread.

use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, UNIX_EPOCH};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use tempfile::TempDir;

use super::file::Seen;
use super::*;
use crate::logging::Page;
use crate::source::as_plain_user;
use crate::source::processes::RunningWatchdog;
use crate::stamp::FileStamp;

const SERVER: &str = "<serverconf><mta args='-shared'/></serverconf>";
const PROD: &str = "<serverconf><mta autoStart='true'/></serverconf>";
const BROKEN: &str = "<serverconf>\n<mta autoStart='true'";

/// A machine's root folder with an installation in `nl6`, and the source that reads it.
struct Host {
    folder: TempDir,
    source: Arc<InstallationSource>,
    time: Arc<AtomicU64>,
    running: RunningModules,
}

impl Host {
    /// With `serverConf.xml` and `config-prod.xml`, read once.
    fn new() -> Host {
        let host = Host::empty(true);
        host.write("serverConf.xml", SERVER);
        host.write("config-prod.xml", PROD);
        assert!(host.source.poll());
        host.source.poll();
        host
    }

    fn empty(is_given: bool) -> Host {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("nl6/conf")).unwrap();
        let time = Arc::new(AtomicU64::new(1_000));
        let clock = Arc::clone(&time);
        let clock = Box::new(move || UNIX_EPOCH + Duration::from_secs(clock.load(Ordering::Relaxed)));
        let home = is_given.then(|| folder.path().join("nl6"));
        let source = Arc::new(InstallationSource::with(home, folder.path(), clock));
        Host { folder, source, time, running: RunningModules::default() }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn conf(&self, name: &str) -> PathBuf {
        self.path("nl6/conf").join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.conf(name), content).unwrap();
    }

    fn set_time(&self, seconds: u64) {
        self.time.store(seconds, Ordering::Relaxed);
    }

    /// Looks as the thread does when something has to be confirmed; what is reported, as `LEVEL text`.
    fn looks(&self) -> Vec<String> {
        let mut files = locked(&self.source.files);
        let mut reported = Vec::new();
        for _ in 0..4 {
            files.look((self.source.clock)(), &self.running);
            reported.extend(files.notices().into_iter().map(|notice| format!("{} {}", notice.level, notice.message)));
            if !files.must_be_confirmed() {
                *locked(&self.source.current) = Arc::new(files.installation());
                return reported;
            }
        }
        panic!("it never is sure");
    }

    fn state(&self, name: &str) -> FileState {
        self.source.current().files[name]
    }

    fn starts_mta(&self, instance: &str) -> bool {
        self.source.current().instances[instance].auto_start("mta") == Some(true)
    }

    fn instances(&self) -> Vec<String> {
        self.source.current().instances.keys().cloned().collect()
    }
}

fn failing(failure: Failure) -> FileState {
    let last_success = Some(UNIX_EPOCH + Duration::from_secs(1_000));
    FileState { last_success, failure: Some(failure), ..FileState::default() }
}

#[test]
fn what_is_read_is_in_force() {
    let host = Host::new();
    let installation = host.source.current();
    assert_eq!(installation.home, Some(host.path("nl6")));
    assert_eq!(host.instances(), ["default", "prod"]);
    assert!(host.starts_mta("prod") && !host.starts_mta("default"));
    assert_eq!(installation.settings("prod").module("mta").args, "-shared");
    assert_eq!(installation.settings("another").module("mta").args, "-shared");
    let read = FileState { successful: true, failure: None, ..failing(Failure::Gone) };
    assert_eq!(
        installation.files,
        BTreeMap::from([("serverConf.xml".to_owned(), read), ("config-prod.xml".to_owned(), read)])
    );
    assert_eq!(installation.trouble, None);
}

#[test]
fn nothing_new_is_no_change() {
    let host = Host::new();
    let before = host.source.current();
    host.set_time(2_000);
    assert!(!host.source.poll());
    assert!(Arc::ptr_eq(&before, &host.source.current()));
}

#[test]
fn a_changed_file_is_in_force_at_the_next_look() {
    let host = Host::new();
    host.set_time(2_000);
    host.write("config-prod.xml", "<serverconf><mta autoStart='false'/></serverconf>");
    assert!(host.source.poll());
    assert!(!host.starts_mta("prod"));
    assert_eq!(host.state("config-prod.xml").last_success, Some(UNIX_EPOCH + Duration::from_secs(2_000)));
    assert_eq!(host.state("serverConf.xml").last_success, Some(UNIX_EPOCH + Duration::from_secs(1_000)));
}

#[test]
fn a_second_write_that_looks_like_the_first_is_not_missed() {
    let host = Host::new();
    let path = host.conf("config-prod.xml");
    host.write("config-prod.xml", "<serverconf><mta args='1'/></serverconf>");
    assert!(host.source.poll());
    // As when both writes fall into one tick of the file system's clock: same inode, size and times.
    host.write("config-prod.xml", "<serverconf><mta args='2'/></serverconf>");
    let mut files = locked(&host.source.files);
    let file = files.followed.get_mut("config-prod.xml").unwrap();
    assert!(matches!(file.seen, Seen::Once(_)));
    file.seen = Seen::Once(FileStamp::at(&path).unwrap());
    drop(files);
    assert!(host.source.poll());
    assert_eq!(host.source.current().instances["prod"].module("mta").args, "2");
}

#[test]
fn a_file_replaced_by_rename_is_followed() {
    let host = Host::new();
    host.write("new", "<serverconf/>");
    fs::rename(host.conf("new"), host.conf("config-prod.xml")).unwrap();
    assert!(host.source.poll());
    assert!(!host.starts_mta("prod"));
}

#[test]
fn conf_switched_as_a_symbolic_link_is_followed() {
    let host = Host::new();
    for (name, content) in [("a", PROD), ("b", "<serverconf><mta autoStart='0'/></serverconf>")] {
        fs::create_dir(host.path(name)).unwrap();
        fs::write(host.path(name).join("serverConf.xml"), SERVER).unwrap();
        fs::write(host.path(name).join("config-prod.xml"), content).unwrap();
    }
    fs::rename(host.path("nl6/conf"), host.path("old")).unwrap();
    symlink("../a", host.path("nl6/conf")).unwrap();
    host.looks();
    assert!(host.starts_mta("prod"));
    symlink("../b", host.path("nl6/next")).unwrap();
    fs::rename(host.path("nl6/next"), host.path("nl6/conf")).unwrap();
    assert!(host.source.poll());
    assert!(!host.starts_mta("prod"));
}

#[test]
fn a_home_switched_as_a_symbolic_link_is_followed() {
    let host = Host::new();
    fs::create_dir_all(host.path("nl7/conf")).unwrap();
    fs::write(host.path("nl7/conf/serverConf.xml"), SERVER).unwrap();
    fs::write(host.path("nl7/conf/config-test.xml"), PROD).unwrap();
    fs::rename(host.path("nl6"), host.path("nl6.old")).unwrap();
    symlink("nl7", host.path("nl6")).unwrap();
    host.looks();
    assert_eq!(host.instances(), ["default", "test"]);
}

#[test]
fn a_malformed_file_leaves_the_last_good_one_in_force_and_is_told_once() {
    let host = Host::new();
    host.set_time(2_000);
    host.write("config-prod.xml", BROKEN);
    let told = host.looks();
    let message = "ERROR the configuration file can't be used, its last good content stays in force: line 2, column 22: the \
        file ends too early: correct the XML there";
    assert_eq!(told, [message]);
    assert!(host.starts_mta("prod"));
    assert_eq!(host.state("config-prod.xml"), failing(Failure::Unusable));
    for _ in 0..3 {
        assert_eq!(host.looks(), [""; 0]);
    }
    // Touched, and as broken as before: nothing new to tell.
    host.write("config-prod.xml", BROKEN);
    assert_eq!(host.looks(), [""; 0]);
    host.write("config-prod.xml", PROD);
    assert_eq!(host.looks(), ["INFO the configuration file is in force"]);
    assert!(host.state("config-prod.xml").successful);
}

#[test]
fn a_half_written_file_is_read_when_it_is_whole() {
    let host = Host::new();
    let whole = "<serverconf><mta autoStart='false'/><web/></serverconf>";
    let mut file = fs::File::create(host.conf("config-prod.xml")).unwrap();
    file.write_all(&whole.as_bytes()[..20]).unwrap();
    host.source.poll();
    assert!(host.starts_mta("prod"));
    assert!(!host.state("config-prod.xml").successful);
    file.write_all(&whole.as_bytes()[20..]).unwrap();
    host.source.poll();
    assert!(!host.starts_mta("prod"));
    assert!(host.state("config-prod.xml").successful);
}

#[test]
fn a_file_over_the_limit_is_not_read() {
    let host = Host::new();
    let padding = " ".repeat(usize::try_from(MAX_FILE_BYTES).unwrap() - "<serverconf/>".len());
    host.write("config-prod.xml", format!("<serverconf/>{padding}"));
    host.looks();
    assert!(!host.starts_mta("prod"));
    host.write("config-prod.xml", format!("<serverconf/>{padding}\n"));
    let told = host.looks();
    let message = "the file has more than 8388608 bytes: remove what doesn't belong there";
    assert!(told.len() == 1 && told[0].ends_with(message), "{told:?}");
    assert_eq!(host.state("config-prod.xml").failure, Some(Failure::Unusable));
}

#[test]
fn what_is_no_regular_file_is_refused_without_waiting() {
    let host = Host::new();
    for name in ["config-pipe.xml", "config-folder.xml", "config-device.xml", "config-prod.xml"] {
        let path = host.conf(name);
        let _ = fs::remove_file(&path);
        match name {
            "config-folder.xml" => fs::create_dir(&path).unwrap(),
            "config-device.xml" => symlink("/dev/zero", &path).unwrap(),
            _ => mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap(),
        }
    }
    let told = host.looks();
    assert_eq!(told.len(), 4);
    assert!(told.iter().all(|line| line.ends_with("not a regular file: put one in its place")), "{told:?}");
    assert!(host.starts_mta("prod"));
    assert_eq!(host.instances(), ["default", "prod"]);
    assert_eq!(host.looks(), [""; 0]);
}

#[test]
fn a_file_that_may_not_be_read_is_told_as_such() {
    let host = Host::new();
    let path = host.conf("config-prod.xml");
    fs::set_permissions(&path, Permissions::from_mode(0o000)).unwrap();
    let told = as_plain_user(|| host.looks());
    assert_eq!(host.state("config-prod.xml"), failing(Failure::Permission));
    assert!(told.len() == 1 && told[0].contains("permission denied: let the exporter's user read it"), "{told:?}");
    assert_eq!(as_plain_user(|| host.looks()), [""; 0]);
    assert!(host.starts_mta("prod"));
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    host.looks();
    assert!(host.state("config-prod.xml").successful);
}

#[test]
fn instances_appear_and_disappear_with_their_files() {
    let host = Host::new();
    host.write("config-test.xml", PROD);
    assert!(host.source.poll());
    assert_eq!(host.instances(), ["default", "prod", "test"]);
    fs::remove_file(host.conf("config-prod.xml")).unwrap();
    assert_eq!(host.looks(), ["INFO the instance \"prod\" is gone with its file"]);
    assert_eq!(host.instances(), ["default", "test"]);
    assert!(!host.source.current().files.contains_key("config-prod.xml"));
}

#[test]
fn a_folder_that_had_not_changed_for_long_is_listed_when_it_does() {
    let host = Host::new();
    // The year 2100: nothing here has changed for decades.
    host.set_time(4_102_444_800);
    host.looks();
    host.looks();
    host.write("config-test.xml", PROD);
    host.looks();
    assert_eq!(host.instances(), ["default", "prod", "test"]);
    fs::rename(host.conf("config-test.xml"), host.conf("config-other.xml")).unwrap();
    host.looks();
    assert_eq!(host.instances(), ["default", "other", "prod"]);
    let elsewhere = host.folder.path().join("elsewhere");
    fs::rename(host.conf(""), &elsewhere).unwrap();
    fs::create_dir(host.conf("")).unwrap();
    host.write("serverConf.xml", SERVER);
    host.write("config-new.xml", PROD);
    host.looks();
    assert_eq!(host.instances(), ["default", "new"]);
}

#[test]
fn the_gap_of_an_editor_that_replaces_a_file_is_not_taken_for_its_end() {
    let host = Host::new();
    for name in ["config-prod.xml", "serverConf.xml"] {
        fs::rename(host.conf(name), host.conf("aside")).unwrap();
        assert!(!host.source.poll(), "{name}");
        fs::rename(host.conf("aside"), host.conf(name)).unwrap();
        assert_eq!(host.looks(), [""; 0], "{name}");
        assert!(host.starts_mta("prod"));
    }
}

#[test]
fn a_missing_main_file_is_an_error_and_everything_stays_in_force() {
    let host = Host::new();
    host.write("config-default.xml", PROD);
    host.looks();
    for name in ["serverConf.xml", "config-prod.xml", "config-default.xml"] {
        fs::remove_file(host.conf(name)).unwrap();
    }
    let told = host.looks();
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told.iter().all(|line| line.ends_with("stays in force: the file is gone: restore it")), "{told:?}");
    assert!(host.source.current().files.values().all(|state| *state == failing(Failure::Gone)));
    assert_eq!(host.instances(), ["default", "prod"]);
    host.write("serverConf.xml", SERVER);
    host.looks();
    assert_eq!(host.instances(), ["default"]);
    assert_eq!(host.state("config-default.xml"), failing(Failure::Gone));
    assert!(host.starts_mta("default"));
}

#[test]
fn a_missing_conf_leaves_everything_in_force() {
    let host = Host::new();
    fs::rename(host.path("nl6/conf"), host.path("away")).unwrap();
    assert_eq!(host.looks().len(), 2);
    assert_eq!(host.instances(), ["default", "prod"]);
    assert_eq!(host.state("config-prod.xml"), failing(Failure::Gone));
    fs::rename(host.path("away"), host.path("nl6/conf")).unwrap();
    assert_eq!(host.looks().len(), 2);
    assert!(host.source.current().files.values().all(|state| state.successful));
}

#[test]
fn a_conf_that_is_no_folder_is_told_and_everything_stays_in_force() {
    let host = Host::new();
    fs::rename(host.path("nl6/conf"), host.path("away")).unwrap();
    fs::write(host.path("nl6/conf"), "").unwrap();
    let told = host.looks();
    assert!(told[0].starts_with("ERROR the configuration files can't be listed"), "{told:?}");
    assert_eq!(host.source.current().trouble.as_ref().unwrap().failure, Failure::Unusable);
    assert_eq!(host.instances(), ["default", "prod"]);
    assert_eq!(host.looks(), [""; 0]);
}

#[test]
fn a_file_that_never_could_be_read_claims_nothing() {
    let host = Host::empty(true);
    host.write("serverConf.xml", SERVER);
    host.write("config-prod.xml", BROKEN);
    let told = host.looks();
    assert!(told.iter().any(|line| line.contains("nothing of it is in force")), "{told:?}");
    assert_eq!(host.instances(), ["default"]);
    let state = FileState { last_success: None, ..failing(Failure::Unusable) };
    assert_eq!(host.state("config-prod.xml"), state);
}

#[test]
fn an_installation_without_its_main_file_is_read_and_told() {
    let host = Host::empty(true);
    host.write("config-default.xml", PROD);
    host.looks();
    assert_eq!(host.state("serverConf.xml"), FileState { last_success: None, ..failing(Failure::Gone) });
    assert!(host.starts_mta("default"));
}

#[test]
fn copies_that_editors_leave_are_no_instances() {
    let host = Host::new();
    for name in [
        "config-prod.xml~",
        ".config-prod.xml.swp",
        "config-prod.xml.bak",
        "#config-prod.xml#",
        "config-.xml",
        "config.xml",
    ] {
        host.write(name, PROD);
    }
    assert!(!host.source.poll());
    assert_eq!(host.instances(), ["default", "prod"]);
}

#[test]
fn instance_names_are_made_valid_and_bounded_and_stay_different() {
    let host = Host::new();
    let conf = host.path("nl6/conf");
    let names = [b"caf\xe9".as_slice(), b"caf\xe8", b"a b\n", b"a b\t", "caf\u{e9}".as_bytes()];
    for name in names {
        fs::write(conf.join(OsStr::from_bytes(&[b"config-", name, b".xml"].concat())), PROD).unwrap();
    }
    host.write(&format!("config-{}.xml", "x".repeat(200)), PROD);
    assert!(!host.looks().iter().any(|line| line.starts_with("WARN")));
    let installation = host.source.current();
    let labels: Vec<_> = installation.instances.keys().map(String::as_str).collect();
    assert_eq!(labels.len(), names.len() + 3, "{labels:?}");
    assert!(labels.contains(&"caf\u{e9}") && labels.contains(&"caf\u{e8}"), "{labels:?}");
    assert!(labels.iter().all(|label| label.len() <= 128 && !label.contains(char::is_control)), "{labels:?}");
    assert_eq!(installation.name_of("caf\u{e9}"), "caf\u{e9}".as_bytes(), "the UTF-8 one of the two");
    assert_eq!(installation.name_of("caf\u{e8}"), b"caf\xe8");
    let marked = labels.iter().find(|label| label.starts_with("caf\u{e9}\u{fffd}~")).unwrap();
    assert_eq!(installation.name_of(marked), b"caf\xe9");
    assert_eq!(installation.left_out, 0);
}

#[test]
fn a_flood_of_instances_is_bounded_and_told_once() {
    let host = Host::new();
    for number in 0..MAX_INSTANCES + 20 {
        host.write(&format!("config-i{number:04}.xml"), "<serverconf/>");
    }
    host.write("config-default.xml", "<serverconf/>");
    let told = host.looks();
    assert_eq!(host.instances().len(), MAX_INSTANCES);
    assert_eq!(host.instances()[0], "default");
    assert_eq!(told.iter().filter(|line| line.starts_with("WARN 22 configuration files")).count(), 1, "{told:?}");
    assert_eq!(host.source.current().left_out, 22);
    assert_eq!(host.looks(), [""; 0]);
}

#[test]
fn values_that_are_not_understood_are_told_with_their_line() {
    let host = Host::new();
    host.write("config-prod.xml", "<serverconf>\n<mta autoStart='maybe'/></serverconf>");
    let told = host.looks();
    assert_eq!(told[0], "INFO the configuration file is in force");
    assert!(told[1].starts_with("WARN line 2: autoStart=\"maybe\" of <mta> is not true or false"), "{told:?}");
    assert_eq!(told.len(), 2);
}

#[test]
fn an_installation_is_looked_for_until_it_is_there() {
    let host = Host::empty(false);
    fs::create_dir_all(host.path("etc")).unwrap();
    fs::write(host.path("etc/passwd"), "root:x:0:0::/root:/bin/sh\nadobe:x:5:5::/home/adobe:/bin/sh\nbroken\n")
        .unwrap();
    let told = host.looks();
    let root = host.folder.path().display().to_string();
    let places = [
        "usr/local/neolane/nl6",
        "home/adobe/nl6",
        "usr/local/neolane/nl7",
        "home/adobe/nl7",
        "usr/local/neolane",
        "home/adobe",
    ];
    let places = places.map(|place| format!("{:?}", format!("{root}/{place}"))).join(", ");
    let message = format!(
        "ERROR no Campaign installation found: none of {places} has conf/serverConf.xml; name the folder that has it, \
         usually called nl6, with --campaign.home=PATH"
    );
    assert_eq!(told, [message.as_str()]);
    let current = host.source.current();
    assert_eq!((current.home.as_ref(), current.trouble.as_ref().unwrap().failure), (None, Failure::Gone));
    assert_eq!(host.looks(), [""; 0]);
    fs::create_dir_all(host.path("home/adobe/nl6/conf")).unwrap();
    fs::write(host.path("home/adobe/nl6/conf/config-default.xml"), PROD).unwrap();
    host.looks();
    assert_eq!(host.source.current().home, Some(host.path("home/adobe/nl6")));
    assert_eq!(host.source.current().trouble, None);
}

#[test]
fn the_places_are_looked_at_in_their_order() {
    let host = Host::empty(false);
    fs::create_dir_all(host.path("etc")).unwrap();
    let passwd = "adobe:x:5:5::/home/adobe:/bin/sh\nneolane:x:6:6::/home/neolane:/bin/sh\n";
    fs::write(host.path("etc/passwd"), passwd).unwrap();
    let order = [
        "usr/local/neolane/nl6",
        "home/neolane/nl6",
        "home/adobe/nl6",
        "usr/local/neolane",
        "home/neolane",
        "home/adobe",
    ];
    for place in order.iter().rev() {
        fs::create_dir_all(host.path(place).join("conf")).unwrap();
        fs::write(host.path(place).join("conf/serverConf.xml"), SERVER).unwrap();
        let source = InstallationSource::with(None, host.folder.path(), Box::new(SystemTime::now));
        source.poll();
        assert_eq!(source.current().home, Some(host.path(place)));
    }
}

#[test]
fn an_installation_that_moved_is_found_again() {
    let host = Host::empty(false);
    for place in ["usr/local/neolane/nl6/conf", "usr/local/neolane/conf"] {
        fs::create_dir_all(host.path(place)).unwrap();
        fs::write(host.path(place).join("serverConf.xml"), SERVER).unwrap();
    }
    host.looks();
    assert_eq!(host.source.current().home, Some(host.path("usr/local/neolane/nl6")));
    fs::remove_dir_all(host.path("usr/local/neolane/nl6")).unwrap();
    host.looks();
    assert_eq!(host.source.current().home, Some(host.path("usr/local/neolane")));
}

#[test]
fn a_given_home_is_the_only_place() {
    let host = Host::empty(true);
    fs::create_dir_all(host.path("usr/local/neolane/nl6/conf")).unwrap();
    fs::write(host.path("usr/local/neolane/nl6/conf/serverConf.xml"), SERVER).unwrap();
    let told = host.looks();
    assert_eq!(host.source.current().home, None);
    assert!(told.len() == 1 && told[0].contains("--campaign.home"), "{told:?}");
}

#[test]
fn every_resident_is_expected_where_it_lives_and_is_started() {
    let host = Host::empty(true);
    host.write("serverConf.xml", "<serverconf><stat autoStart='true'/><web autoStart='true'/></serverconf>");
    host.write("config-default.xml", "<serverconf><mta autoStart='true'/></serverconf>");
    host.write(
        "config-prod.xml",
        "<serverconf><mta autoStart='true'/><sms autoStart='false'/><trackinglogd autoStart='true'/></serverconf>",
    );
    host.looks();
    let installation = host.source.current();
    let expected = [
        (("default", "syslogd"), Some(false)),
        (("default", "trackinglogd"), Some(false)),
        (("default", "watchdog"), Some(true)),
        (("default", "web"), Some(true)),
        (("prod", "inMail"), Some(false)),
        (("prod", "mta"), Some(true)),
        (("prod", "sms"), Some(false)),
        (("prod", "stat"), Some(true)),
        (("prod", "trackinglogd"), Some(true)),
        (("prod", "wfserver"), Some(false)),
    ];
    assert_eq!(installation.expected(), BTreeMap::from(expected));
    host.write("config-prod.xml", "<serverconf><web autoStart='1'/></serverconf>");
    host.write("serverConf.xml", "<serverconf><trackinglogd autoStart='1'/></serverconf>");
    host.looks();
    let installation = host.source.current();
    let expected = installation.expected();
    assert_eq!(expected[&("prod", "stat")], None, "the model file decides");
    assert_eq!(expected[&("default", "trackinglogd")], Some(true));
    assert!(!expected.contains_key(&("prod", "web")) && !expected.contains_key(&("prod", "trackinglogd")));
    host.write("serverConf.xml", "<serverconf/>");
    fs::remove_file(host.conf("config-prod.xml")).unwrap();
    host.looks();
    assert_eq!(host.source.current().expected().get(&("default", "watchdog")), Some(&Some(false)));
    assert!(Installation::default().expected().is_empty());
}

/// Waits until `condition` holds, with a limit.
#[track_caller]
fn wait_until(what: &str, condition: &dyn Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < deadline, "{what}");
        thread::park_timeout(Duration::from_millis(5));
    }
}

#[test]
fn the_thread_follows_a_change_and_ends_when_it_is_dropped() {
    let host = Host::empty(true);
    let follower = host.source.follow().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let ask = || runtime.block_on(follower.ask());
    host.write("serverConf.xml", SERVER);
    host.write("config-prod.xml", PROD);
    wait_until("found", &|| host.instances() == ["default", "prod"] && host.starts_mta("prod"));
    fs::remove_file(host.conf("config-prod.xml")).unwrap();
    wait_until("removed for who asks", &|| {
        ask();
        host.instances() == ["default"]
    });
    drop(follower);
    wait_until("ended", &|| Arc::strong_count(&host.source) == 1);
}

#[test]
fn a_disk_that_does_not_answer_keeps_nobody_waiting_and_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let (answer, answered) = channel::<()>();
    let answered = Mutex::new(answered);
    let hangs = move || {
        let _ = locked(&answered).recv();
        UNIX_EPOCH
    };
    let source = Arc::new(InstallationSource::with(None, folder.path(), Box::new(hangs)));
    let page = Page::default();
    let follower = tracing::subscriber::with_default(page.subscriber(), || source.follow().unwrap());
    assert!(!source.was_looked_at());
    assert!(page.take().contains("does not answer"));
    assert_eq!(source.current().home, None);
    drop(answer);
    wait_until("the first look", &|| source.was_looked_at());
    drop(follower);
}

#[test]
fn what_is_reported_reaches_the_log() {
    let page = Page::default();
    let host = Host::empty(true);
    host.write("serverConf.xml", BROKEN);
    tracing::subscriber::with_default(page.subscriber(), || {
        host.source.poll();
        host.source.poll();
    });
    let text = page.take();
    let errors: Vec<&str> = text.lines().filter(|line| line.contains("level=error")).collect();
    assert_eq!(errors.len(), 1, "{text}");
    assert!(errors[0].contains("nothing of it is in force: line 2, column 22: the file ends too early"), "{text}");
    assert!(errors[0].contains("nl6/conf/serverConf.xml"), "{text}");
}

/// Processes of these instances, below a watchdog that has run since `watchdog_start`.
fn running(instances: &[&str], watchdog_start: u64) -> RunningModules {
    RunningModules {
        instances: Some(instances.iter().map(|instance| Arc::from(*instance)).collect()),
        watchdog: Some(RunningWatchdog { start_ticks: watchdog_start, start: Duration::from_secs(watchdog_start) }),
        ..RunningModules::default()
    }
}

#[test]
fn a_backup_copy_is_no_instance_until_something_runs_or_writes_there() {
    let mut host = Host::new();
    host.set_time(UNIX_EPOCH.elapsed().unwrap().as_secs());
    for name in ["prod.bak", "prod-20240101", "prod (copy)", "default.old", "prod-2", "stage_old"] {
        host.write(&format!("config-{name}.xml"), PROD);
    }
    let told = host.looks();
    assert_eq!(host.instances(), ["default", "prod", "prod-2", "stage_old"]);
    assert_eq!(told.iter().filter(|line| line.starts_with("INFO taken for a backup copy of")).count(), 4, "{told:?}");
    let copies = host.source.current().copies.clone();
    assert_eq!(copies["config-default.old.xml"], "config-default.xml");
    assert!(!host.source.current().files.contains_key("config-prod.bak.xml"));
    assert_eq!(host.looks(), [""; 0], "told once");

    host.running = running(&["prod.bak"], 0);
    host.looks();
    let log = host.path("nl6/var/prod-20240101/log/mta.log");
    fs::create_dir_all(log.parent().unwrap()).unwrap();
    fs::write(&log, "").unwrap();
    let week_ago = UNIX_EPOCH.elapsed().unwrap() - FRESH - Duration::from_secs(60);
    let at = |time: Duration| File::options().write(true).open(&log).unwrap().set_modified(UNIX_EPOCH + time).unwrap();
    at(week_ago);
    host.looks();
    assert_eq!(host.instances(), ["default", "prod", "prod-2", "prod.bak", "stage_old"], "its log is old");
    at(week_ago + Duration::from_secs(120));
    host.looks();
    let alive = ["default", "prod", "prod-2", "prod-20240101", "prod.bak", "stage_old"];
    assert_eq!(host.instances(), alive);

    host.running = running(&[], 0);
    at(week_ago);
    host.looks();
    assert_eq!(host.instances(), alive, "what was an instance stays one while it is stopped");
}

#[test]
fn an_instance_that_becomes_a_copy_of_a_new_one_goes_away() {
    let host = Host::new();
    host.write("config-stage.bak.xml", PROD);
    host.looks();
    assert_eq!(host.instances(), ["default", "prod", "stage.bak"], "of nothing that is there");
    host.write("config-stage.xml", PROD);
    host.looks();
    assert_eq!(host.instances(), ["default", "prod", "stage"]);
    fs::remove_file(host.conf("config-stage.bak.xml")).unwrap();
    host.looks();
    assert!(host.source.current().copies.is_empty());
}

#[test]
fn a_folder_that_was_something_else_for_a_while_is_in_force_again_as_it_was() {
    let host = Host::new();
    host.looks();
    let (conf, aside) = (host.path("nl6/conf"), host.path("aside"));
    for _ in 0..2 {
        fs::rename(&conf, &aside).unwrap();
        fs::write(&conf, "").unwrap();
        let told = host.looks();
        assert!(told.iter().any(|line| line.contains("not a folder")), "{told:?}");
        assert!(host.source.current().files.values().all(|file| !file.successful));
        fs::remove_file(&conf).unwrap();
        fs::rename(&aside, &conf).unwrap();
        host.looks();
        assert!(host.source.current().files.values().all(|file| file.successful), "nothing looks different");
        assert_eq!(host.source.current().trouble, None);
    }
}

#[test]
fn what_was_loaded_stays_so_when_the_clock_is_set() {
    let mut host = Host::new();
    let expects = |host: &Host| host.source.current().expected()[&("prod", "mta")];
    let now = UNIX_EPOCH.elapsed().unwrap().as_secs();
    for (before, after) in [(now + 60, now - 3600), (now - 60, now + 1500)] {
        host.running = running(&[], before);
        host.looks();
        let known = expects(&host);
        assert_eq!(known, (before > now).then_some(true));
        let watchdog = host.running.watchdog.as_mut().unwrap();
        watchdog.start = Duration::from_secs(after);
        host.looks();
        assert_eq!(expects(&host), known, "it is the same watchdog");
    }
}

#[test]
fn of_what_is_laid_down_and_not_loaded_nothing_is_expected() {
    let mut host = Host::new();
    let expects = |host: &Host| host.source.current().expected()[&("prod", "mta")];
    let now = UNIX_EPOCH.elapsed().unwrap().as_secs();
    assert_eq!(expects(&host), Some(true), "no watchdog runs");
    host.running = running(&[], now - 60);
    let told = host.looks();
    assert_eq!(expects(&host), None, "{told:?}");
    assert!(told.iter().any(|line| line.contains("not loaded")), "{told:?}");
    host.running = RunningModules::default();
    host.looks();
    assert_eq!(expects(&host), None, "the processes were being looked at");
    host.running = running(&[], now + 60);
    host.looks();
    assert_eq!(expects(&host), Some(true), "the watchdog has read it");
    host.running = running(&["prod"], now - 60);
    host.looks();
    assert_eq!(expects(&host), Some(true), "something of it runs");

    let mut host = Host::new();
    host.running = running(&[], now - 60);
    fs::create_dir_all(host.path("nl6/var/prod/log")).unwrap();
    fs::write(host.path("nl6/var/prod/log/mta.log"), "").unwrap();
    host.looks();
    assert_eq!(expects(&host), Some(true), "it has run before");
}
