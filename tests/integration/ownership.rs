//! Whose a process is, with real processes: of other users, of other installations, in containers. They are made as the
//! superuser makes them, each in namespaces of its own where it needs some.
//!
//! Each test runs in a process namespace of its own: it counts every process that calls itself `nlserver`, and the
//! simulated hosts of other tests would be other installations.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use campaign_exporter::source::installation::Installation;
use campaign_exporter::source::processes::{NotOurs, ProcessSource, ProcessTable};

use crate::support::{built, free_port, get, run};

const LIMIT: Duration = Duration::from_secs(120);

/// Users that no account of this machine has.
const OWNER: u32 = 65_431;
const STRANGER: u32 = 65_432;
const EXPORTER: u32 = 65_433;

/// Set in the process that runs one test alone.
const ALONE: &str = "CAMPAIGN_TEST_ALONE";

/// Goes on where the test has a process namespace of its own; else runs it in one, to the end.
macro_rules! alone {
    () => {
        if !is_alone(std::any::type_name_of_val(&|| ())) {
            return;
        }
    };
}

/// Whether this process was made for one test. If not, that test, in which `closure` is, has run in another by now.
#[track_caller]
fn is_alone(closure: &str) -> bool {
    if std::env::var_os(ALONE).is_some() {
        return true;
    }
    let path = closure.split_once("::").and_then(|(_, path)| path.strip_suffix("::{{closure}}"));
    let test = path.unwrap_or_else(|| panic!("{closure} is no closure of a test"));
    let mut command = Command::new("unshare");
    // The shell reaps what the test leaves behind.
    command.args(["--pid", "--fork", "--kill-child", "--mount-proc", "/bin/sh", "-c", "\"$@\"; exit $?", "sh"]);
    command.arg(std::env::current_exe().unwrap()).args(["--exact", test, "--nocapture"]).env(ALONE, "1");
    let output = run(&mut command);
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success() && text.contains("1 passed"), "{test}: {text}");
    false
}

/// An installation whose `nlserver` is a shell that reads its commands.
struct Install(tempfile::TempDir);

impl Install {
    fn new() -> Install {
        let install = Install(tempfile::tempdir().unwrap());
        install.make("nl6");
        fs::write(
            install.path("nl6/conf/config-prod.xml"),
            "<serverconf><mta autoStart='true'/><stat autoStart='true'/></serverconf>",
        )
        .unwrap();
        install
    }

    fn make(&self, name: &str) {
        for folder in ["bin", "conf", "var"] {
            fs::create_dir_all(self.path(name).join(folder)).unwrap();
        }
        fs::write(self.path(name).join("conf/serverConf.xml"), "<serverconf/>").unwrap();
        fs::copy("/bin/sh", self.path(name).join("bin/nlserver")).unwrap();
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn nlserver(&self) -> PathBuf {
        self.path("nl6/bin/nlserver")
    }

    /// Gives everything to `OWNER`, where every user may read it.
    fn give_away(&self) {
        let mode = Command::new("chmod").arg("-R").arg("a+rX").arg(self.0.path()).status().unwrap();
        let owner = Command::new("chown").arg("-R").arg(OWNER.to_string()).arg(self.0.path()).status().unwrap();
        assert!(mode.success() && owner.success(), "tests of other users' processes need the superuser");
    }

    /// A source for `home` that has looked once.
    fn source(&self, home: &Path) -> ProcessSource {
        let source = ProcessSource::new(Path::new("/proc")).unwrap();
        let home = Some(home.to_owned());
        source.set_installation(&Arc::new(Installation { home, ..Installation::default() }));
        let _ = source.walk();
        source
    }
}

/// A process that ends when the test does: its shell reads from here.
struct Running(Child);

impl Running {
    fn start(command: &mut Command) -> Running {
        let deadline = Instant::now() + LIMIT;
        loop {
            match command.stdin(Stdio::piped()).spawn() {
                Ok(child) => return Running(child),
                // Another test may have forked while the copy was open for writing.
                Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy && Instant::now() < deadline => {}
                Err(error) => panic!("{command:?}: {error}"),
            }
        }
    }

    /// A module of the instance `prod`, run as `nlserver` from `executable`.
    fn module(executable: &Path, module: &str) -> Running {
        Running::start(Command::new(executable).arg0("nlserver").args(["-s", module, "-instance:prod"]))
    }

    /// The same below `unshare` with `options`.
    fn unshared(options: &[&str], executable: &Path, module: &str) -> Running {
        let mut command = Command::new("unshare");
        Running::start(command.args(options).arg(executable).args(["-s", module, "-instance:prod"]))
    }

    fn tell(&mut self, command: &str) {
        let input = self.0.stdin.as_mut().unwrap();
        input.write_all(command.as_bytes()).and_then(|()| input.flush()).unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        self.0.wait().ok();
    }
}

/// Walks until `is_it` of the table holds.
#[track_caller]
fn until(source: &ProcessSource, what: &str, mut is_it: impl FnMut(&ProcessTable) -> bool) -> Arc<ProcessTable> {
    let deadline = Instant::now() + LIMIT;
    loop {
        let table = source.walk();
        if is_it(&table) {
            return table;
        }
        assert!(Instant::now() < deadline, "{what}: {:?} {:?}", table.groups, table.ignored);
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

fn live(table: &ProcessTable, module: &str) -> u64 {
    table.group(module, "prod").map_or(0, |group| group.now.live())
}

/// Waits for `ours` to be counted, and checks that `strangers` processes are not, for `reason`.
#[track_caller]
fn assert_ignored(source: &ProcessSource, reason: NotOurs, strangers: u64, ours: &str) {
    let mut expected = [0; NotOurs::ALL.len()];
    expected[reason as usize] = strangers;
    let seen = until(source, reason.label(), |table| table.ignored == expected && live(table, ours) == 1);
    assert_eq!(live(&seen, "mta"), 0, "{reason:?}");
    assert!(reason == NotOurs::Undecided || seen.can_tell_of("mta", "prod"));
}

#[test]
fn another_users_process_is_not_ours_whatever_it_executes() {
    alone!();
    let install = Install::new();
    install.give_away();
    let source = install.source(&install.path("nl6"));
    let as_user = |user: u32, module: &str| {
        let mut command = Command::new(install.nlserver());
        Running::start(command.arg0("nlserver").args(["-s", module, "-instance:prod"]).uid(user).gid(user))
    };
    let _stranger = as_user(STRANGER, "mta");
    let _watchdog = as_user(STRANGER, "watchdog");
    let _ours = as_user(OWNER, "stat");
    let _superusers = Running::module(&install.nlserver(), "wfserver");
    assert_ignored(&source, NotOurs::OtherUser, 2, "stat");
    let table = until(&source, "all", |table| live(table, "wfserver") == 1 && table.ignored == [2, 0, 0, 0]);
    assert_eq!(live(&table, "watchdog"), 0);
}

#[test]
fn a_strangers_zombie_is_not_ours() {
    alone!();
    let install = Install::new();
    install.give_away();
    let source = install.source(&install.path("nl6"));
    let mut stranger = Running::start(
        Command::new(install.nlserver()).arg0("nlserver").args(["-s", "mta"]).uid(STRANGER).gid(STRANGER),
    );
    stranger.tell("exit\n");
    let is_zombie = |table: &ProcessTable| {
        let stat = fs::read_to_string(format!("/proc/{}/stat", stranger.0.id())).unwrap();
        stat.contains(") Z ") && table.ignored[NotOurs::OtherUser as usize] == 1
    };
    let table = until(&source, "a zombie", is_zombie);
    assert!(table.processes.is_empty(), "{:?}", table.groups);
}

#[test]
fn the_user_of_the_watchdog_is_the_installations_where_all_files_are_the_superusers() {
    alone!();
    let install = Install::new();
    fs::set_permissions(install.0.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let source = install.source(&install.path("nl6"));
    let start = |module: &str, user: u32| {
        let mut command = Command::new(install.nlserver());
        Running::start(command.arg0("nlserver").args(["-s", module, "-instance:prod"]).uid(user).gid(user))
    };
    let _mta = start("mta", OWNER);
    until(&source, "of nobody yet", |table| table.ignored[NotOurs::OtherUser as usize] == 1);
    let _watchdog = start("watchdog", OWNER);
    let _stat = start("stat", OWNER);
    until(&source, "of the watchdog's user", |table| live(table, "stat") == 1);
}

#[test]
fn a_container_with_the_very_same_paths_is_not_ours() {
    alone!();
    let install = Install::new();
    let source = install.source(&install.path("nl6"));
    // As container engines do it: another root by pivot_root, so that the kernel tells the path inside.
    let script = "set -e; mount --make-rprivate /; mount -t tmpfs tmpfs /mnt; mkdir -p /mnt$0/bin /mnt/old /mnt/proc\n\
        for d in lib lib64 usr bin; do\n\
          if [ -L /$d ]; then cp -a /$d /mnt/; elif [ -d /$d ]; then mkdir /mnt/$d; mount --rbind /$d /mnt/$d; fi\n\
        done\n\
        cp $0/bin/nlserver /mnt$0/bin/; cd /mnt; pivot_root . old; exec $0/bin/nlserver -s mta -instance:prod\n";
    let mut container = Command::new("unshare");
    container.args(["--pid", "--fork", "--kill-child", "--mount", "/bin/sh", "-c", script]).arg(install.path("nl6"));
    let _container = Running::start(&mut container);
    let _ours = Running::module(&install.nlserver(), "stat");
    assert_ignored(&source, NotOurs::OtherNamespace, 1, "stat");
}

#[test]
fn another_root_directory_with_a_copy_is_not_ours() {
    alone!();
    let install = Install::new();
    let source = install.source(&install.path("nl6"));
    let script = "set -e; mount --make-rprivate /; mkdir -p $1$0/bin; cp $0/bin/nlserver $1$0/bin/\n\
        for d in lib lib64 usr bin; do [ ! -e /$d ] || { mkdir -p $1/$d; mount --rbind /$d $1/$d; }; done\n\
        exec chroot $1 $0/bin/nlserver -s mta -instance:prod\n";
    let mut chroot = Command::new("unshare");
    chroot.args(["--mount", "/bin/sh", "-c", script]).args([install.path("nl6"), install.path("root")]);
    let _chroot = Running::start(&mut chroot);
    let _ours = Running::module(&install.nlserver(), "stat");
    assert_ignored(&source, NotOurs::OtherNamespace, 1, "stat");
}

#[test]
fn namespaces_of_its_own_do_not_make_a_process_of_ours_anothers() {
    alone!();
    let install = Install::new();
    let source = install.source(&install.path("nl6"));
    // As a unit with PrivateTmp= or PrivatePIDs= has them.
    let _mount = Running::unshared(&["--mount"], &install.nlserver(), "mta");
    let _pid = Running::unshared(&["--pid", "--fork", "--kill-child"], &install.nlserver(), "stat");
    let both = ["--pid", "--fork", "--kill-child", "--mount", "--ipc", "--uts"];
    let _both = Running::unshared(&both, &install.nlserver(), "inMail");
    let all = |table: &ProcessTable| ["mta", "stat", "inMail"].iter().all(|module| live(table, module) == 1);
    until(&source, "all three", all);
}

#[test]
fn processes_of_several_installations_are_counted_apart() {
    alone!();
    let install = Install::new();
    install.make("other");
    // The same file under another name, as tools that save space leave it.
    fs::create_dir_all(install.path("linked/bin")).unwrap();
    fs::hard_link(install.nlserver(), install.path("linked/bin/nlserver")).unwrap();
    let source = install.source(&install.path("nl6"));
    let theirs = install.source(&install.path("other"));
    let _other = Running::module(&install.path("other/bin/nlserver"), "mta");
    let _linked = Running::module(&install.path("linked/bin/nlserver"), "mta");
    let _ours = Running::module(&install.nlserver(), "stat");
    assert_ignored(&source, NotOurs::OtherInstallation, 2, "stat");
    let table = until(&theirs, "theirs", |table| {
        live(table, "mta") == 1 && table.ignored[NotOurs::OtherInstallation as usize] == 2
    });
    assert_eq!(live(&table, "stat"), 0);
}

#[test]
fn an_upgrade_and_other_ways_to_the_home_leave_processes_ours() {
    alone!();
    let install = Install::new();
    symlink(install.path("nl6"), install.path("link")).unwrap();
    let source = install.source(&install.path("link"));
    let _before = Running::module(&install.nlserver(), "mta");
    let _by_link = Running::module(&install.path("link/bin/nlserver"), "inMail");
    until(&source, "before", |table| live(table, "mta") == 1 && live(table, "inMail") == 1);
    fs::copy("/bin/sh", install.path("nl6/bin/new")).unwrap();
    fs::rename(install.path("nl6/bin/new"), install.nlserver()).unwrap();
    let _after = Running::module(&install.nlserver(), "stat");
    until(&source, "after", |table| live(table, "stat") == 1);
    // An exporter that starts only now sees the old executable as deleted.
    let fresh = install.source(&install.path("link"));
    let table = until(&fresh, "deleted", |table| table.processes.len() == 3);
    assert_eq!(live(&table, "mta"), 1);
}

#[test]
fn a_process_that_executes_another_installations_program_is_no_longer_ours() {
    alone!();
    let install = Install::new();
    install.make("other");
    let source = install.source(&install.path("nl6"));
    let mut process = Running::module(&install.nlserver(), "mta");
    until(&source, "ours", |table| live(table, "mta") == 1);
    process.tell(&format!("exec {}/bin/nlserver -s mta -instance:prod\n", install.path("other").display()));
    until(&source, "theirs", |table| {
        live(table, "mta") == 0 && table.ignored[NotOurs::OtherInstallation as usize] == 1
    });
    process.tell(&format!("exec {} -s mta -instance:prod\n", install.nlserver().display()));
    until(&source, "ours again", |table| live(table, "mta") == 1);
}

#[test]
fn invented_names_go_with_their_processes() {
    alone!();
    let install = Install::new();
    let source = install.source(&install.path("nl6"));
    for number in 0..100 {
        let mut process = Running::module(&install.nlserver(), &format!("invented{number}"));
        process.tell("exit\n");
        let _ = source.walk();
    }
    let table = until(&source, "an end", |table| table.processes.is_empty());
    assert!(table.groups.len() <= 64, "{}", table.groups.len());
}

/// An exporter as a process of its own.
struct Exporter(Child, u16);

impl Exporter {
    fn start(install: &Install, mut command: Command) -> Exporter {
        let port = free_port();
        let home = install.path("nl6");
        command.arg("--campaign.home").arg(home).arg(format!("--web.listen-address=127.0.0.1:{port}"));
        Exporter(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap(), port)
    }

    /// Scrapes until `is_it` of the answer holds.
    #[track_caller]
    fn until(&self, is_it: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + LIMIT;
        loop {
            let answer = get(&format!("http://127.0.0.1:{}/metrics", self.1), &[]);
            if let Ok(text) = &answer
                && is_it(text)
            {
                return text.clone();
            }
            let told =
                answer.iter().flat_map(|text| text.lines()).filter(|line| line.starts_with("campaign_module_up{"));
            assert!(Instant::now() < deadline, "{:?}", told.collect::<Vec<_>>());
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

const MTA_UP: &str = "campaign_module_up{module=\"mta\",campaign_instance=\"prod\"} ";
const STAT_UP: &str = "campaign_module_up{module=\"stat\",campaign_instance=\"prod\"} ";

/// A copy of the exporter that every user may execute.
fn exporter_for_all(install: &Install) -> PathBuf {
    let copy = install.path("exporter");
    fs::copy(built("campaign_exporter"), &copy).unwrap();
    copy
}

#[test]
fn a_user_of_its_own_goes_by_user_and_namespace_and_says_what_it_cannot_decide() {
    alone!();
    let install = Install::new();
    let exporter = exporter_for_all(&install);
    install.give_away();
    let start = |options: &[&str], module: &str| {
        let mut command = Command::new("unshare");
        command.args(["--mount"]).args(options).args(["setpriv", "--clear-groups"]);
        command.args([format!("--reuid={OWNER}"), format!("--regid={OWNER}")]);
        Running::start(command.arg(install.nlserver()).args(["-s", module, "-instance:prod"]))
    };
    let _stat = start(&[], "stat");
    let _nested = start(&["--pid", "--fork", "--kill-child"], "mta");
    let mut command = Command::new(exporter);
    command.uid(EXPORTER).gid(EXPORTER);
    let exporter = Exporter::start(&install, command);
    let is_undecided = |text: &str| text.contains("campaign_processes_ignored{reason=\"undecided\"} 1");
    let text = exporter.until(|text| is_undecided(text) && text.contains(&format!("{STAT_UP}1")));
    assert!(!text.contains(MTA_UP), "it may be ours or a container's");
    assert!(!text.contains("campaign_module_check{module=\"mta\",campaign_instance=\"prod\",check=\"running\"}"));
    assert!(text.contains("campaign_processes_ignored{reason=\"other_user\"} 0"));
}

#[test]
fn an_exporter_alone_in_a_container_cannot_tell() {
    alone!();
    let install = Install::new();
    let _outside = Running::module(&install.nlserver(), "mta");
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--kill-child", "--mount-proc"]).arg(built("campaign_exporter"));
    let exporter = Exporter::start(&install, command);
    let text = exporter.until(|text| text.contains("campaign_processes_hidden 1"));
    assert!(!text.contains(MTA_UP) && !text.contains(STAT_UP));
    assert!(text.contains("campaign_scrape_collector_success{collector=\"process\"} 0"));
}

#[test]
fn a_proc_that_hides_processes_cannot_tell_at_once_unless_the_user_is_campaigns() {
    alone!();
    let install = Install::new();
    let exporter = exporter_for_all(&install);
    install.give_away();
    let hidden = |user: u32| {
        let mut command = Command::new("unshare");
        let script = "mount -t proc -o hidepid=2 proc /proc && exec setpriv --clear-groups \"$@\"";
        command.args(["--mount", "/bin/sh", "-c", script, "sh"]);
        command.args([format!("--reuid={user}"), format!("--regid={user}")]).arg(&exporter);
        Exporter::start(&install, command)
    };
    let another = hidden(EXPORTER);
    let text = another.until(|text| text.contains("campaign_processes_hidden"));
    assert!(text.contains("campaign_processes_hidden 1") && !text.contains(MTA_UP), "the first answer says so");
    // Campaign's own user is shown all of its processes: there are none.
    let own = hidden(OWNER);
    let text = own.until(|text| text.contains(MTA_UP));
    assert!(text.contains("campaign_processes_hidden 0") && text.contains(&format!("{MTA_UP}0")));
}

#[test]
fn an_exporter_in_a_container_with_the_hosts_processes_counts_them() {
    alone!();
    let install = Install::new();
    let _mta = Running::module(&install.nlserver(), "mta");
    // The host's files below /mnt/host, as `--volume /:/host --pid host` has them, and another root.
    let script = "set -e; mount --make-rprivate /; mount -t tmpfs tmpfs /mnt; mkdir -p /mnt/host /mnt/old\n\
        for d in lib lib64 usr bin proc; do\n\
          if [ -L /$d ]; then cp -a /$d /mnt/; elif [ -d /$d ]; then mkdir /mnt/$d; mount --rbind /$d /mnt/$d; fi\n\
        done\n\
        mount --rbind / /mnt/host; cd /mnt; pivot_root . old; umount -l /old\n\
        exec /host$0 --campaign.home=/host$1 --web.listen-address=$2\n";
    let port = free_port();
    let mut command = Command::new("unshare");
    command.args(["--mount", "/bin/sh", "-c", script]).arg(built("campaign_exporter")).arg(install.path("nl6"));
    command.arg(format!("127.0.0.1:{port}"));
    let exporter = Exporter(command.stdout(Stdio::null()).spawn().unwrap(), port);
    exporter.until(|text| text.contains(&format!("{MTA_UP}1")));
}
