//! The collector `crash`: core files, and shared memory that nobody took away.
//!
//! Knows which processes and which user are Campaign's; how files and the kernel's tables are read is for
//! `source::crash`, what is healthy is for `health`.

use std::path::Path;
use std::time::{Duration, Instant, UNIX_EPOCH};

use super::{CollectError, Collector, Context, ErrorKind, Losses, Outcome, float};
use crate::catalog::modules::residents;
use crate::catalog::signals::crash::{
    CORE_FILES, CORE_LAST_SCAN, CORE_NEWEST, CORE_PIPED, SHARED_MEMORY_BYTES, SHARED_MEMORY_SEGMENTS,
};
use crate::snapshot::Samples;
use crate::source::crash::{Cores, Crashes, Places, SharedMemory};
use crate::source::kit::LogOnChange;
use crate::source::kit::background::Background;
use crate::source::processes::ProcessState;

/// How often a small installation is looked through.
const INTERVAL: Duration = Duration::from_secs(60);

/// Tells what crashes left behind.
pub struct Crash {
    crashes: Crashes,
    cores: Background<Places, Cores>,
    log: LogOnChange,
}

impl Crash {
    /// A collector for the machine whose `/proc` is at `procfs`.
    #[must_use]
    pub fn new(procfs: &Path) -> Self {
        let crashes = Crashes::new(procfs);
        let everywhere = crashes.clone();
        let cores = Background::new("crash", INTERVAL, move |places: &Places| everywhere.cores(places));
        Self { crashes, cores, log: LogOnChange::default() }
    }

    fn collect_at(&self, now: Instant, cx: &Context, out: &mut Samples) -> Result<Outcome, CollectError> {
        let pids = resident_processes(cx);
        let home = cx.installation.home.as_deref();
        if home.is_none() && pids.is_empty() {
            return Ok(Outcome::NotApplicable);
        }
        let mut losses = Losses::default();
        let user = self.crashes.user(&pids, home);
        if let Some(user) = user {
            self.shared_memory(user, &mut losses, out);
        }
        let folders = self.crashes.working_folders(&pids);
        let places = Places { home: home.map(Path::to_owned), folders, user };
        if let Err(stall) = self.cores.refresh(places, now, cx.deadline) {
            losses.add(stall.into(), 1);
        }
        // While another installation is looked through for the first time, the one before is nobody's concern.
        if let Some(done) = self.cores.latest().filter(|done| done.input.home.as_deref() == home) {
            self.cores(&done.output, &mut losses, out);
        }
        Ok(losses.into_outcome())
    }

    fn shared_memory(&self, user: u32, losses: &mut Losses, out: &mut Samples) {
        let problem = match self.crashes.shared_memory(user) {
            Ok(Some(SharedMemory { segments, bytes, broken })) => {
                out.push(&SHARED_MEMORY_SEGMENTS, &[], float(segments));
                out.push(&SHARED_MEMORY_BYTES, &[], float(bytes));
                losses.add(ErrorKind::Parse, broken);
                None
            }
            Ok(None) => None,
            Err(error) => {
                losses.add(error.miss().map_or(ErrorKind::Parse, Into::into), 1);
                Some(error.to_string())
            }
        };
        if self.log.is_news("shared memory", problem.as_deref())
            && let Some(problem) = problem
        {
            tracing::warn!("shared memory is not counted: {problem}");
        }
    }

    fn cores(&self, cores: &Cores, losses: &mut Losses, out: &mut Samples) {
        out.push(&CORE_FILES, &[], float(cores.files));
        if let Some(newest) = cores.newest {
            out.push(&CORE_NEWEST, &[], newest);
        }
        if let Ok(at) = cores.at.duration_since(UNIX_EPOCH) {
            out.push(&CORE_LAST_SCAN, &[], at.as_secs_f64());
        }
        out.push(&CORE_PIPED, &[], f64::from(u8::from(cores.program.is_some())));
        losses.add(ErrorKind::Permission, cores.denied);
        losses.add(ErrorKind::Parse, cores.failed);
        losses.add(ErrorKind::Timeout, cores.is_cut.into());
        self.tell(cores);
    }

    fn tell(&self, cores: &Cores) {
        let program = cores.program.as_deref().map(|program| program.escape_ascii().to_string());
        if self.log.is_news("pattern", program.as_deref())
            && let Some(program) = program
        {
            tracing::info!("kernel.core_pattern gives core files to {program}: a crash leaves no file to be counted");
        }
        let files = (cores.files > 0).then(|| format!("{} core files, such as {:?}", cores.files, cores.some));
        if self.log.is_news("files", files.as_deref())
            && let Some(files) = files
        {
            tracing::warn!("Campaign's processes left {files}");
        }
        let cut = cores.is_cut.then_some("the installation has more files or deeper folders than are looked through");
        if self.log.is_news("cut", cut)
            && let Some(cut) = cut
        {
            tracing::warn!("not every core file may be counted: {cut}");
        }
    }
}

impl Collector for Crash {
    /// Partial when something could not be read; not applicable where there is neither an installation nor a process of
    /// it.
    ///
    /// # Errors
    /// When the system has no room for the thread that looks for core files.
    fn collect(&self, cx: &Context, out: &mut Samples) -> Result<Outcome, CollectError> {
        self.collect_at(Instant::now(), cx, out)
    }

    fn settle(&self, until: Instant) {
        self.cores.settle(until);
    }
}

/// The living processes of resident modules: those that an administrator starts by hand may be another user's.
fn resident_processes(cx: &Context) -> Vec<u32> {
    let is_resident = |name: &str| residents().any(|(resident, _)| resident == name);
    let groups: Vec<bool> = cx.processes.groups.iter().map(|group| is_resident(&group.module)).collect();
    let alive = cx.processes.processes.iter().filter(|process| process.state != ProcessState::Zombie);
    alive.filter(|process| groups.get(process.group) == Some(&true)).map(|process| process.pid).collect()
}

#[cfg(test)]
mod tests {
    use std::fs::{create_dir_all, write};
    use std::os::unix::fs::{MetadataExt, symlink};
    use std::path::PathBuf;
    use std::sync::Arc;

    use super::*;
    use crate::snapshot::Snapshot;
    use crate::source::installation::Installation;
    use crate::source::processes::{Group, Present, Process, ProcessTable};

    struct Host(tempfile::TempDir);

    impl Host {
        fn new(pattern: &str) -> Host {
            let host = Host(tempfile::tempdir().unwrap());
            host.write("proc/sys/kernel/core_pattern", pattern);
            host.write("proc/sys/kernel/core_uses_pid", "0\n");
            let user = host.user();
            host.write(
                "proc/sysvipc/shm",
                &format!(
                    "key shmid perms size cpid lpid nattch uid\n0 1 600 4096 1 1 1 {user}\n0 2 600 9 1 1 1 {}\n",
                    user + 1
                ),
            );
            host.write("nl6/conf/serverConf.xml", "<serverconf/>");
            host
        }

        fn path(&self, path: &str) -> PathBuf {
            self.0.path().join(path)
        }

        fn write(&self, path: &str, text: &str) {
            create_dir_all(self.path(path).parent().unwrap()).unwrap();
            write(self.path(path), text).unwrap();
        }

        fn user(&self) -> u32 {
            std::fs::metadata(self.0.path()).unwrap().uid()
        }

        fn context(&self, processes: &[(&str, u32)]) -> Context {
            let mut table = ProcessTable::default();
            for (place, (module, pid)) in processes.iter().enumerate() {
                let now = Present { processes: 1, ..Present::default() };
                table.groups.push(Group {
                    module: (*module).into(),
                    instance: "default".into(),
                    now,
                    ..Group::default()
                });
                table.processes.push(Process { pid: *pid, group: place, state: ProcessState::Sleeping });
            }
            let mut cx = Context::for_tests(Instant::now() + Duration::from_secs(60));
            cx.installation = Arc::new(Installation { home: Some(self.path("nl6")), ..Installation::default() });
            cx.processes = table.into();
            cx
        }

        fn collect(&self, processes: &[(&str, u32)]) -> (Snapshot, Outcome) {
            let crash = Crash::new(&self.path("proc"));
            let cx = self.context(processes);
            let now = Instant::now();
            crash.collect_at(now, &cx, &mut Samples::default()).unwrap();
            crash.cores.settle(Instant::now() + Duration::from_secs(60));
            let mut samples = Samples::default();
            let outcome = crash.collect_at(now, &cx, &mut samples).unwrap();
            (samples.freeze(), outcome)
        }
    }

    #[test]
    fn a_healthy_host_has_no_core_files_and_one_segment() {
        let (snapshot, outcome) = Host::new("core\n").collect(&[]);
        assert_eq!(outcome, Outcome::Complete);
        assert_eq!(snapshot.value(&CORE_FILES, &[]), Some(0.0));
        assert_eq!(snapshot.value(&CORE_NEWEST, &[]), None);
        assert_eq!(snapshot.value(&CORE_PIPED, &[]), Some(0.0));
        assert!(snapshot.value(&CORE_LAST_SCAN, &[]).unwrap() > 1e9);
        assert_eq!(snapshot.value(&SHARED_MEMORY_SEGMENTS, &[]), Some(1.0));
        assert_eq!(snapshot.value(&SHARED_MEMORY_BYTES, &[]), Some(4096.0));
    }

    #[test]
    fn a_core_file_is_counted_with_its_time() {
        let host = Host::new("core\n");
        host.write("nl6/core.4711", "core");
        let (snapshot, _) = host.collect(&[]);
        assert_eq!(snapshot.value(&CORE_FILES, &[]), Some(1.0));
        assert!(snapshot.value(&CORE_NEWEST, &[]).unwrap() > 1e9);
    }

    #[test]
    fn a_pipe_pattern_is_no_failure_but_told() {
        let (snapshot, outcome) = Host::new("|/usr/share/apport/apport -p%p\n").collect(&[]);
        assert_eq!(outcome, Outcome::Complete);
        assert_eq!(snapshot.value(&CORE_PIPED, &[]), Some(1.0));
    }

    #[test]
    fn user_and_working_folders_are_those_of_resident_processes() {
        let host = Host::new("core\n");
        let user = host.user() + 1;
        host.write("proc/10/status", &format!("Uid:\t{user}\t{user}\t{user}\t{user}\n"));
        host.write("work/core", "of another user, so none of Campaign's");
        symlink(host.path("work"), host.path("proc/10/cwd")).unwrap();
        let (snapshot, _) = host.collect(&[("web", 10)]);
        assert_eq!(snapshot.value(&SHARED_MEMORY_BYTES, &[]), Some(9.0));
        assert_eq!(snapshot.value(&CORE_FILES, &[]), Some(0.0));
        let (snapshot, _) = host.collect(&[("config", 10)]);
        assert_eq!(snapshot.value(&SHARED_MEMORY_BYTES, &[]), Some(4096.0), "a command typed by hand");
        host.write("proc/10/status", &format!("Uid:\t1\t{}\t1\t1\n", host.user()));
        let (snapshot, _) = host.collect(&[("web", 10)]);
        assert_eq!(snapshot.value(&CORE_FILES, &[]), Some(1.0));
    }

    #[test]
    fn tables_and_settings_that_can_not_be_used_are_losses_and_the_rest_is_told() {
        let host = Host::new("core\n");
        host.write("proc/sysvipc/shm", "nonsense");
        std::fs::remove_file(host.path("proc/sys/kernel/core_pattern")).unwrap();
        host.write("nl6/core.1", "");
        let (snapshot, outcome) = host.collect(&[]);
        let mut losses = Losses::default();
        losses.add(ErrorKind::Parse, 2);
        assert_eq!(outcome, Outcome::Partial(losses));
        assert_eq!(snapshot.of(&SHARED_MEMORY_SEGMENTS).count(), 0);
        assert_eq!(snapshot.value(&CORE_FILES, &[]), Some(1.0));
    }

    #[test]
    fn a_kernel_without_shared_memory_of_system_v_has_none_to_tell() {
        let host = Host::new("core\n");
        std::fs::remove_file(host.path("proc/sysvipc/shm")).unwrap();
        let (snapshot, outcome) = host.collect(&[]);
        assert_eq!(outcome, Outcome::Complete);
        assert_eq!(snapshot.of(&SHARED_MEMORY_SEGMENTS).count(), 0);
    }

    #[test]
    fn a_host_without_campaign_has_nothing_to_tell() {
        let host = Host::new("core\n");
        let crash = Crash::new(&host.path("proc"));
        let mut samples = Samples::default();
        let nothing = Context::for_tests(Instant::now() + Duration::from_secs(60));
        assert_eq!(crash.collect(&nothing, &mut samples).unwrap(), Outcome::NotApplicable);
        assert_eq!(samples.of(&CORE_FILES).count(), 0);
    }
}
