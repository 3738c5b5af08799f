//! The collector `crash`: core files, and shared memory that was not removed.
//!
//! Selects the processes and the user that are Campaign's; `source::crash` reads files and kernel tables, `health`
//! judges.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, UNIX_EPOCH};

use super::{CollectError, Collector, Context, ErrorKind, Losses, Outcome, float};
use crate::catalog::modules::residents;
use crate::catalog::signals::crash::{
    CORE_FILES, CORE_LAST_SCAN, CORE_NEWEST, CORE_PIPED, SHARED_MEMORY, SHARED_MEMORY_BYTES, SHARED_MEMORY_SEGMENTS,
    SHARED_MEMORY_UNATTACHED, SHARED_MEMORY_USED, SHARED_MEMORY_USER,
};
use crate::health;
use crate::parse::sysvipc::Segments;
use crate::snapshot::Samples;
use crate::source::crash::{CorePlaces, Cores, Crashes, SharedMemory};
use crate::source::kit::background::Background;
use crate::source::kit::{LogOnChange, ProcRoot};
use crate::source::processes::ProcessState;
use crate::sync::locked;

/// How often a small installation is searched.
const INTERVAL: Duration = Duration::from_secs(60);

/// Reports what crashes left behind.
pub struct Crash {
    crashes: Crashes,
    cores: Background<CorePlaces, Cores>,
    log: LogOnChange,
    facts: Mutex<Option<ProcessFacts>>,
    mapped: Mutex<Option<MappedSegments>>,
}

/// What rarely changes: read again when the processes are others, and at intervals.
struct ProcessFacts {
    pids: Vec<u32>,
    home: Option<PathBuf>,
    since: Instant,
    /// The user that they run as.
    user: Option<u32>,
    /// Where they work.
    folders: BTreeSet<PathBuf>,
    /// Whether they are in the exporter's IPC namespace.
    share_memory: bool,
}

/// Which segments processes are attached to: read again when the processes or the kernel's table change.
struct MappedSegments {
    pids: Vec<u32>,
    table: Segments,
    segments: Option<BTreeSet<u64>>,
}

impl Crash {
    /// A collector for the machine of `proc`.
    #[must_use]
    pub fn new(proc: &Arc<ProcRoot>) -> Self {
        let crashes = Crashes::new(proc);
        let everywhere = crashes.clone();
        let cores = Background::new("crash", INTERVAL, move |places: &CorePlaces| everywhere.cores(places));
        Self { crashes, cores, log: LogOnChange::default(), facts: Mutex::default(), mapped: Mutex::default() }
    }

    fn collect_at(&self, now: Instant, cx: &Context, out: &mut Samples) -> Result<Outcome, CollectError> {
        let pids = resident_processes(cx);
        let home = cx.installation.home.as_deref();
        if home.is_none() && pids.is_empty() {
            return Ok(Outcome::NotApplicable);
        }
        let mut losses = Losses::default();
        let (user, folders, share_memory) = self.facts(now, &pids, home);
        if let Some(user) = user {
            self.shared_memory(user, share_memory.then_some(&pids), cx, &mut losses, out);
        }
        let places = CorePlaces { home: home.map(Path::to_owned), folders, user };
        if let Err(stall) = self.cores.refresh(places, now, cx.deadline) {
            losses.add(stall.into(), 1);
        }
        // While another installation is looked through for the first time, the one before no longer counts.
        if let Some(done) = self.cores.latest().filter(|done| done.input.home.as_deref() == home) {
            self.cores(&done.output, &mut losses, out);
        }
        Ok(losses.into_outcome())
    }

    fn facts(&self, now: Instant, pids: &[u32], home: Option<&Path>) -> (Option<u32>, BTreeSet<PathBuf>, bool) {
        let mut known = locked(&self.facts);
        let is_same = |facts: &ProcessFacts| {
            let is_fresh = now.saturating_duration_since(facts.since) < INTERVAL;
            is_fresh && facts.pids == pids && facts.home.as_deref() == home
        };
        if !known.as_ref().is_some_and(is_same) {
            let (user, folders) = (self.crashes.user(pids, home), self.crashes.working_folders(pids));
            let share_memory = self.crashes.share_memory(pids);
            let (pids, home) = (pids.to_vec(), home.map(Path::to_owned));
            *known = Some(ProcessFacts { pids, home, since: now, user, folders, share_memory });
        }
        known
            .as_ref()
            .map_or((None, BTreeSet::new(), true), |facts| (facts.user, facts.folders.clone(), facts.share_memory))
    }

    /// The segments that the module which works on shared memory is attached to.
    fn mapped(&self, table: &Segments, cx: &Context) -> Option<BTreeSet<u64>> {
        let pids = processes_of(cx, |module| module == SHARED_MEMORY_USER.name);
        let mut known = locked(&self.mapped);
        if let Some(mapped) = known.as_ref().filter(|mapped| mapped.pids == pids && mapped.table == *table) {
            return mapped.segments.clone();
        }
        let segments = self.crashes.attached(&pids);
        *known = Some(MappedSegments { pids, table: table.clone(), segments: segments.clone() });
        segments
    }

    /// Reports the shared memory of `user`. Without `pids`, Campaign's processes are in another IPC namespace, of which
    /// the exporter's table says nothing.
    fn shared_memory(&self, user: u32, pids: Option<&Vec<u32>>, cx: &Context, losses: &mut Losses, out: &mut Samples) {
        let problem = match (self.crashes.segments(), pids) {
            (Ok(Some(_)), None) => {
                Some("Campaign's processes are in another IPC namespace than the exporter".to_owned())
            }
            (Ok(Some(table)), Some(pids)) => {
                let mapped = self.mapped(&table, cx);
                let found = SharedMemory::of(&table, user, pids, mapped.as_ref());
                out.push(&SHARED_MEMORY_SEGMENTS, &[], float(found.segments));
                out.push(&SHARED_MEMORY_BYTES, &[], float(found.bytes));
                out.push(&SHARED_MEMORY_UNATTACHED, &[], float(found.unattached));
                if let Some(used) = found.used {
                    out.push(&SHARED_MEMORY_USED, &[], float(used));
                }
                let users = cx.census().members().filter(|(module, _, _)| *module == SHARED_MEMORY_USER.name);
                for (module, instance, member) in users {
                    let verdict = health::shared_memory(member.up, found.segments, found.used);
                    out.judge(SHARED_MEMORY.name, module, instance, verdict);
                }
                losses.add(ErrorKind::Parse, table.broken);
                None
            }
            (Ok(None), _) => None,
            (Err(error), _) => {
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
    processes_of(cx, |name| residents().any(|(resident, _)| resident == name))
}

/// The living processes of some modules.
fn processes_of(cx: &Context, is_one: impl Fn(&str) -> bool) -> Vec<u32> {
    let groups: Vec<bool> = cx.processes.groups.iter().map(|group| is_one(&group.module)).collect();
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
            let crash = Crash::new(&Arc::new(ProcRoot::open(&self.path("proc")).unwrap()));
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
        let crash = Crash::new(&Arc::new(ProcRoot::open(&host.path("proc")).unwrap()));
        let mut samples = Samples::default();
        let nothing = Context::for_tests(Instant::now() + Duration::from_secs(60));
        assert_eq!(crash.collect(&nothing, &mut samples).unwrap(), Outcome::NotApplicable);
        assert_eq!(samples.of(&CORE_FILES).count(), 0);
    }
}
