//! What crashes leave behind: core files, and shared memory that was not removed.
//!
//! Reads files and the kernel's settings and tables; the alert rules judge the numbers.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{CStr, OsStr};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use rustix::fs::{FileType, Stat};
use rustix::io::Errno;

use super::kit::{Miss, ProcRoot, files};
use crate::parse::core_pattern::{CorePath, CorePattern, NamePattern, is_plain_core};
use crate::parse::process::{attached_segments, credentials};
use crate::parse::sysvipc::{HeadingError, Segments, segments};

/// How deep below the installation core files are looked for.
pub const MAX_DEPTH: usize = 8;

/// The most files and folders that are looked at in one go.
pub const MAX_ENTRIES: u64 = 2_000_000;

/// The most core files that are counted.
const MAX_CORES: usize = 100_000;

/// The most processes whose user and working folder are read.
const MAX_PROCESSES: usize = 16;

/// The most bytes of a small file of the kernel's.
const MAX_SETTING: u64 = 64 * 1024;

/// The kernel's table of shared memory segments.
const SEGMENTS: &str = "sysvipc/shm";

/// The most bytes of the table of shared memory segments; a kernel has at most 32,768 segments.
const MAX_SEGMENTS: u64 = 16 << 20;

/// The most bytes of a process's list of mappings; a process has at most 65,530 by default.
const MAX_MAPS: u64 = 16 << 20;

/// The program whose core files count.
const PROGRAM: &[u8] = b"nlserver";

/// The folder of an installation that may be a symbolic link.
const VAR: &CStr = c"var";

/// Where to look for core files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CorePlaces {
    /// The installation.
    pub home: Option<PathBuf>,
    /// The working folders of its processes, where the kernel puts what it has no other place for.
    pub folders: BTreeSet<PathBuf>,
    /// The user that Campaign runs as: where a name does not contain the program's, only this user's files count.
    pub user: Option<u32>,
}

/// The core files there are.
#[derive(Clone, Debug, PartialEq)]
pub struct Cores {
    /// How many.
    pub files: u64,
    /// When the newest was written, in seconds since 1970-01-01 UTC.
    pub newest: Option<f64>,
    /// Some of them, for the log.
    pub some: Vec<PathBuf>,
    /// The program that the kernel gives core files to, so that there are none to be found.
    pub program: Option<Vec<u8>>,
    /// Folders that the exporter's user may not read.
    pub denied: u64,
    /// Whatever else could not be read.
    pub failed: u64,
    /// Whether there is more than [`MAX_ENTRIES`] or deeper than [`MAX_DEPTH`], which was left out.
    pub is_cut: bool,
    /// When the look ended.
    pub at: SystemTime,
}

/// What is known of Campaign's shared memory segments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SharedMemory {
    /// How many its user owns.
    pub segments: u64,
    /// Their sizes together, in bytes.
    pub bytes: u64,
    /// How many of them no process is attached to.
    pub unattached: u64,
    /// How many its processes use, whoever owns them; none where that is unknown.
    pub used: Option<u64>,
}

impl SharedMemory {
    /// Of the kernel's table: what `user` owns, and what `processes` made or used last. `mapped` is what the module that
    /// works on shared memory is attached to; none where that may not be read.
    #[must_use]
    pub fn of(table: &Segments, user: u32, processes: &[u32], mapped: Option<&BTreeSet<u64>>) -> Self {
        let mut found = Self::default();
        let mut used: BTreeSet<u64> = mapped.into_iter().flatten().copied().collect();
        let mut is_known = mapped.is_some();
        let mut has_strangers = false;
        for segment in &table.segments {
            if segment.uid == user {
                found.segments += 1;
                found.bytes = found.bytes.saturating_add(segment.bytes);
                found.unattached += u64::from(segment.attached == 0);
            }
            if segment.processes.iter().any(|pid| processes.contains(pid)) {
                used.insert(segment.id);
            }
            // It may be the web server's, and used by Campaign.
            has_strangers |= segment.uid != user && segment.attached > 0 && !used.contains(&segment.id);
        }
        is_known |= !has_strangers;
        found.used = (is_known || !used.is_empty()).then_some(used.len() as u64);
        found
    }
}

/// Why the shared memory is unknown.
#[derive(Debug, thiserror::Error)]
pub enum SharedMemoryError {
    /// The table can't be read.
    #[error("{path}: {source}")]
    Read {
        /// The table.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The table is not understood.
    #[error("{path}: {source}")]
    Heading {
        /// The table.
        path: PathBuf,
        /// What is missing.
        source: HeadingError,
    },
}

impl SharedMemoryError {
    /// Which kind of error it is; none for a table that is not understood.
    #[must_use]
    pub fn miss(&self) -> Option<Miss> {
        match self {
            SharedMemoryError::Read { source, .. } => Some(Miss::from(source)),
            SharedMemoryError::Heading { .. } => None,
        }
    }
}

/// The machine below a `/proc`.
#[derive(Clone)]
pub struct Crashes {
    root: Arc<ProcRoot>,
}

impl Crashes {
    /// What crashes left behind on the machine of the `/proc` at `root`.
    #[must_use]
    pub fn new(root: &Arc<ProcRoot>) -> Self {
        Self { root: Arc::clone(root) }
    }

    /// The kernel's table of shared memory segments; none on a kernel that has no such thing.
    ///
    /// # Errors
    /// When the table can't be read or is not understood.
    pub fn segments(&self) -> Result<Option<Segments>, SharedMemoryError> {
        let path = self.root.path().join(SEGMENTS);
        let bytes = match self.root.read_up_to(SEGMENTS, MAX_SEGMENTS) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(SharedMemoryError::Read { path, source }),
        };
        segments(&bytes).map(Some).map_err(|source| SharedMemoryError::Heading { path, source })
    }

    /// Whether the kernel's table is that of the processes `pids`, as far as their namespace may be read.
    #[must_use]
    pub fn share_memory(&self, pids: &[u32]) -> bool {
        let Ok(own) = self.root.link("self/ns/ipc") else { return true };
        // They share one: the first that can be read is enough.
        pids.iter()
            .take(MAX_PROCESSES)
            .find_map(|pid| self.root.link_of(*pid, "ns/ipc").ok())
            .is_none_or(|theirs| theirs == own)
    }

    /// The segments that the processes `pids` are attached to; none where one of them may not be read.
    #[must_use]
    pub fn attached(&self, pids: &[u32]) -> Option<BTreeSet<u64>> {
        let mut attached = BTreeSet::new();
        for pid in pids.iter().take(MAX_PROCESSES) {
            let maps = self.root.read_up_to(&format!("{pid}/maps"), MAX_MAPS).ok().filter(|maps| !maps.is_empty())?;
            attached.extend(attached_segments(&maps));
        }
        Some(attached)
    }

    /// The user that most of the processes `pids` run as, else the owner of `home`.
    #[must_use]
    pub fn user(&self, pids: &[u32], home: Option<&Path>) -> Option<u32> {
        let mut users: BTreeMap<u32, usize> = BTreeMap::new();
        for pid in pids.iter().take(MAX_PROCESSES) {
            let status = self.root.read_up_to(&format!("{pid}/status"), MAX_SETTING);
            if let Some(user) = status.ok().and_then(|status| credentials(&status)) {
                *users.entry(user.effective).or_default() += 1;
            }
        }
        let most = users.into_iter().max_by_key(|(_, times)| *times).map(|(user, _)| user);
        most.or_else(|| rustix::fs::stat(home?).ok().map(|stat| stat.st_uid))
    }

    /// The working folders of the processes `pids`, as far as they may be known.
    #[must_use]
    pub fn working_folders(&self, pids: &[u32]) -> BTreeSet<PathBuf> {
        let links = pids.iter().take(MAX_PROCESSES).filter_map(|pid| self.root.link_of(*pid, "cwd").ok());
        links.filter(|folder| folder.is_absolute()).collect()
    }

    /// Looks for core files. Takes as long as the disk: for the background.
    #[must_use]
    pub fn cores(&self, places: &CorePlaces) -> Cores {
        let mut search = CoreSearch {
            user: places.user,
            seen: BTreeSet::new(),
            newest: None,
            some: Vec::new(),
            denied: 0,
            failed: 0,
            is_cut: false,
            left: MAX_ENTRIES,
        };
        let pattern = match self.pattern() {
            Ok(pattern) => pattern,
            Err(error) => {
                search.miss_io(&error);
                CorePattern::Nowhere
            }
        };
        let mut program = None;
        let mut relative = None;
        match &pattern {
            CorePattern::Program(name) => program = Some(name.clone()),
            CorePattern::Files(path) if path.is_absolute => search.along(Path::new("/"), path, &path.names),
            CorePattern::Files(path) => {
                for folder in &places.folders {
                    search.along(folder, path, &path.names);
                }
                relative = path.names.last().filter(|_| path.tells_program());
            }
            CorePattern::Nowhere => {}
        }
        if let Some(home) = &places.home {
            match files::open(home) {
                Ok(folder) => search.below(home, &folder, relative, 0),
                Err(errno) => search.miss(errno),
            }
        }
        let CoreSearch { seen, newest, some, denied, failed, is_cut, .. } = search;
        Cores { files: seen.len() as u64, newest, some, program, denied, failed, is_cut, at: SystemTime::now() }
    }

    fn pattern(&self) -> io::Result<CorePattern> {
        let pattern = self.root.read_up_to("sys/kernel/core_pattern", MAX_SETTING)?;
        let appends_pid = self.root.read_up_to("sys/kernel/core_uses_pid", MAX_SETTING);
        let appends_pid = appends_pid.is_ok_and(|value| value.trim_ascii() != b"0");
        Ok(CorePattern::parse(&pattern, appends_pid))
    }
}

/// A search that is on.
struct CoreSearch {
    user: Option<u32>,
    /// The files found, by device and inode: more than one way may lead to one.
    seen: BTreeSet<(u64, u64)>,
    newest: Option<f64>,
    some: Vec<PathBuf>,
    denied: u64,
    failed: u64,
    is_cut: bool,
    left: u64,
}

impl CoreSearch {
    /// Looks through the installation for plain core files, and for those that are the program's by `named`.
    fn below(&mut self, path: &Path, folder: &OwnedFd, named: Option<&NamePattern>, depth: usize) {
        let mut folders = Vec::new();
        let listed = files::for_each(folder, &mut |name, told| {
            let bytes = name.to_bytes();
            let is_core = is_plain_core(bytes) || named.is_some_and(|named| named.matches(bytes, PROGRAM));
            match files::kind_in(folder, name, told) {
                Ok(FileType::Directory) => folders.push(name.to_owned()),
                Ok(FileType::Symlink) if depth == 0 && name == VAR => folders.push(name.to_owned()),
                Ok(FileType::RegularFile) if is_core => self.file(path, folder, name, false),
                Ok(_) => {}
                Err(errno) => self.miss(errno),
            }
            self.has_room()
        });
        if let Err(errno) = listed {
            self.miss(errno);
        }
        if depth >= MAX_DEPTH {
            self.is_cut |= !folders.is_empty();
            return;
        }
        for name in folders {
            let path = path.join(OsStr::from_bytes(name.to_bytes()));
            let opened = if depth == 0 && *name == *VAR { files::open(&path) } else { files::open_in(folder, &name) };
            match opened {
                Ok(inner) if self.left > 0 => self.below(&path, &inner, named, depth + 1),
                Ok(_) => {}
                Err(errno) => self.miss(errno),
            }
        }
    }

    /// Follows a path pattern, of which `names` is what is left, from `path`.
    fn along(&mut self, path: &Path, pattern: &CorePath, names: &[NamePattern]) {
        let [name, rest @ ..] = names else { return };
        if let (Some(literal), false) = (name.as_literal(), rest.is_empty()) {
            return self.along(&path.join(OsStr::from_bytes(literal)), pattern, rest);
        }
        let folder = match files::open(path) {
            Ok(folder) => folder,
            // A pattern may name a folder that does not exist: then there are no core files.
            Err(errno) => return self.miss(errno),
        };
        let mut folders = Vec::new();
        let listed = files::for_each(&folder, &mut |entry, told| {
            if name.matches(entry.to_bytes(), PROGRAM) {
                match files::kind_in(&folder, entry, told) {
                    Ok(FileType::RegularFile) if rest.is_empty() => {
                        self.file(path, &folder, entry, !pattern.tells_program());
                    }
                    Ok(FileType::Directory) if !rest.is_empty() => folders.push(entry.to_owned()),
                    Ok(_) => {}
                    Err(errno) => self.miss(errno),
                }
            }
            self.has_room()
        });
        if let Err(errno) = listed {
            self.miss(errno);
        }
        for entry in folders {
            self.along(&path.join(OsStr::from_bytes(entry.to_bytes())), pattern, rest);
        }
    }

    /// Counts one file, if it is the right user's, where that matters.
    fn file(&mut self, path: &Path, folder: &OwnedFd, name: &CStr, must_be_users: bool) {
        let stat: Stat = match files::stat_in(folder, name) {
            Ok(stat) => stat,
            Err(errno) => return self.miss(errno),
        };
        if must_be_users && self.user != Some(stat.st_uid) {
            return;
        }
        if self.seen.len() >= MAX_CORES {
            self.is_cut = true;
            return;
        }
        if self.seen.insert((stat.st_dev, stat.st_ino)) {
            let modified = files::modified(&stat);
            self.newest = Some(self.newest.map_or(modified, |newest| newest.max(modified)));
            if self.some.len() < 5 {
                self.some.push(path.join(OsStr::from_bytes(name.to_bytes())));
            }
        }
    }

    fn has_room(&mut self) -> bool {
        self.left = self.left.saturating_sub(1);
        self.is_cut |= self.left == 0;
        self.left > 0
    }

    fn miss(&mut self, errno: Errno) {
        match Miss::from(errno) {
            Miss::Denied => self.denied += 1,
            Miss::Limit | Miss::Failed => self.failed += 1,
            // It was there, or a folder, a moment ago.
            Miss::Gone | Miss::NotAFile => {}
        }
    }

    fn miss_io(&mut self, error: &io::Error) {
        match Miss::from(error) {
            Miss::Denied => self.denied += 1,
            _ => self.failed += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{File, FileTimes, create_dir_all, write};
    use std::os::unix::fs::{MetadataExt, symlink};
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    /// A machine with an installation, and a kernel that names core files by `pattern`.
    struct Machine {
        root: tempfile::TempDir,
    }

    impl Machine {
        fn new(pattern: &str) -> Machine {
            let machine = Machine { root: tempfile::tempdir().unwrap() };
            machine.write("proc/sys/kernel/core_pattern", pattern);
            machine.write("proc/sys/kernel/core_uses_pid", "0\n");
            create_dir_all(machine.path("nl6/conf")).unwrap();
            machine
        }

        fn path(&self, path: &str) -> PathBuf {
            self.root.path().join(path)
        }

        fn write(&self, path: &str, text: &str) {
            create_dir_all(self.path(path).parent().unwrap()).unwrap();
            write(self.path(path), text).unwrap();
        }

        fn core(&self, path: &str, time: u64) {
            self.write(path, "core");
            let times = FileTimes::new().set_modified(UNIX_EPOCH + Duration::from_secs(time));
            File::options().write(true).open(self.path(path)).unwrap().set_times(times).unwrap();
        }

        fn crashes(&self) -> Crashes {
            Crashes::new(&Arc::new(ProcRoot::open(&self.path("proc")).unwrap()))
        }

        fn user(&self) -> u32 {
            std::fs::metadata(self.root.path()).unwrap().uid()
        }

        fn cores(&self) -> Cores {
            let folders = [self.path("work")].into();
            self.crashes().cores(&CorePlaces { home: Some(self.path("nl6")), folders, user: Some(self.user()) })
        }
    }

    #[test]
    fn core_files_below_the_installation_are_counted() {
        let machine = Machine::new("core\n");
        machine.core("nl6/core.4711", 3000);
        machine.core("nl6/bin/core", 5000);
        machine.core("nl6/var/prod/core.1", 4000);
        machine.core("nl6/var/prod/core.js", 9000);
        machine.core("core.12", 9000);
        create_dir_all(machine.path("nl6/tomcat-8/lib/core")).unwrap();
        let cores = machine.cores();
        assert_eq!((cores.files, cores.newest), (3, Some(5000.0)));
        assert_eq!((cores.denied, cores.failed, cores.is_cut), (0, 0, false));
        assert_eq!(cores.some.len(), 3);
        assert_eq!(cores.program, None);
    }

    #[test]
    fn only_the_link_var_is_followed() {
        let machine = Machine::new("core\n");
        machine.core("data/var/prod/core.1", 1);
        symlink("../data/var", machine.path("nl6/var")).unwrap();
        symlink("..", machine.path("data/var/loop")).unwrap();
        symlink("/", machine.path("nl6/all")).unwrap();
        symlink(".", machine.path("nl6/conf/again")).unwrap();
        symlink("var/prod/core.1", machine.path("nl6/core.2")).unwrap();
        let cores = machine.cores();
        assert_eq!((cores.files, cores.failed, cores.is_cut), (1, 0, false));
    }

    #[test]
    fn folders_without_end_are_cut_and_that_is_told() {
        let machine = Machine::new("core\n");
        let deep = format!("nl6/{}", "d/".repeat(MAX_DEPTH));
        machine.core(&format!("{deep}core.1"), 1);
        assert_eq!((machine.cores().files, machine.cores().is_cut), (1, false));
        machine.core(&format!("{deep}d/core.1"), 1);
        assert_eq!((machine.cores().files, machine.cores().is_cut), (1, true));
    }

    #[test]
    fn a_pattern_that_tells_the_program_is_followed_wherever_it_leads() {
        let machine = Machine::new("");
        let folder = machine.path("crash");
        machine.write("proc/sys/kernel/core_pattern", &format!("{}/%e/core.%p\n", folder.display()));
        machine.core("crash/nlserver/core.1", 100);
        machine.core("crash/mysqld/core.2", 200);
        let cores = machine.cores();
        assert_eq!((cores.files, cores.newest), (1, Some(100.0)));
    }

    #[test]
    fn where_no_name_tells_the_program_the_owner_does() {
        let machine = Machine::new("");
        machine.write("proc/sys/kernel/core_pattern", &format!("{}/core.%p\n", machine.path("crash").display()));
        machine.core("crash/core.1", 100);
        assert_eq!(machine.cores().files, 1);
        let others = CorePlaces { user: Some(machine.user() + 1), ..CorePlaces::default() };
        assert_eq!(machine.crashes().cores(&others).files, 0);
        assert_eq!(machine.crashes().cores(&CorePlaces::default()).files, 0, "of an unknown user nothing is told");
    }

    #[test]
    fn a_relative_pattern_leads_to_the_working_folders_and_below_the_installation() {
        let machine = Machine::new("core-%e-%p\n");
        machine.core("work/core-nlserver-1", 1);
        machine.core("work/core-java-1", 1);
        machine.core("nl6/var/core-nlserver-2", 1);
        assert_eq!(machine.cores().files, 2);
    }

    #[test]
    fn a_file_that_two_ways_lead_to_counts_once() {
        let machine = Machine::new("core\n");
        machine.core("nl6/core", 1);
        let folders = [machine.path("nl6"), machine.path("nl6/conf/..")].into();
        let places = CorePlaces { home: Some(machine.path("nl6")), folders, user: Some(machine.user()) };
        assert_eq!(machine.crashes().cores(&places).files, 1);
    }

    #[test]
    fn a_pipe_pattern_is_told_and_older_files_still_count() {
        let machine = Machine::new("|/usr/lib/systemd/systemd-coredump %P %u\n");
        machine.core("nl6/core.1", 1);
        let cores = machine.cores();
        assert_eq!(cores.program.as_deref(), Some(b"/usr/lib/systemd/systemd-coredump".as_slice()));
        assert_eq!((cores.files, cores.failed), (1, 0));
    }

    #[test]
    fn an_unreadable_pattern_is_a_loss_and_the_installation_is_still_searched() {
        let machine = Machine::new("core\n");
        std::fs::remove_file(machine.path("proc/sys/kernel/core_pattern")).unwrap();
        machine.core("nl6/core.1", 1);
        assert_eq!((machine.cores().files, machine.cores().failed), (1, 1));
    }

    #[test]
    fn a_fifo_in_place_of_the_installation_holds_nobody_up() {
        let machine = Machine::new("core\n");
        let path = machine.path("fifo");
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, &path, FileType::Fifo, mode, 0).unwrap();
        let cores = machine.crashes().cores(&CorePlaces { home: Some(path), ..CorePlaces::default() });
        assert_eq!(cores.files, 0);
    }

    const SHM: &str = "key shmid perms size cpid lpid nattch uid gid\n0 0 1600 100 1 11 1 500 500\n\
        0 1 600 50 2 12 0 500 0\n0 2 600 7 3 13 1 0 0\n";

    #[test]
    fn the_segments_of_one_user_are_summed_and_those_in_use_are_told() {
        let machine = Machine::new("core");
        assert_eq!(machine.crashes().segments().unwrap(), None);
        machine.write("proc/sysvipc/shm", SHM);
        let table = machine.crashes().segments().unwrap().unwrap();
        let told = |user, processes: &[u32], mapped: Option<&[u64]>| {
            let mapped = mapped.map(|ids| ids.iter().copied().collect());
            let SharedMemory { segments, bytes, unattached, used } =
                SharedMemory::of(&table, user, processes, mapped.as_ref());
            (segments, bytes, unattached, used)
        };
        assert_eq!(told(500, &[], Some(&[])), (2, 150, 1, Some(0)));
        assert_eq!(told(500, &[11], None), (2, 150, 1, Some(1)), "it used it last");
        assert_eq!(told(500, &[2], None), (2, 150, 1, Some(1)), "it made it");
        assert_eq!(told(501, &[], Some(&[2, 2])), (0, 0, 0, Some(1)), "the web server's, and attached");
        assert_eq!(told(501, &[], None), (0, 0, 0, None), "one of those may be Campaign's");
        let nobodys = Segments { segments: vec![table.segments[1]], broken: 0 };
        assert_eq!(SharedMemory::of(&nobodys, 501, &[], None).used, Some(0), "no process uses any");
    }

    #[test]
    fn attached_segments_are_unknown_where_a_process_may_not_be_read() {
        let machine = Machine::new("core");
        machine.write("proc/7/maps", "1-2 rw-s 0 00:01 5 /SYSV00000000 (deleted)\n");
        assert_eq!(machine.crashes().attached(&[7]), Some([5].into()));
        assert_eq!(machine.crashes().attached(&[7, 8]), None);
        assert_eq!(machine.crashes().attached(&[]), Some(BTreeSet::new()));
    }

    #[test]
    fn a_table_that_can_not_be_used_is_named() {
        let machine = Machine::new("core");
        machine.write("proc/sysvipc/shm", "nonsense\n");
        let error = machine.crashes().segments().unwrap_err();
        assert!(
            error.to_string().ends_with("proc/sysvipc/shm: line 1: the heading names no column \"size\""),
            "{error}"
        );
        assert_eq!(error.miss(), None);
    }

    #[test]
    fn the_user_is_that_of_most_processes_else_of_the_installation() {
        let machine = Machine::new("core");
        for (pid, user) in [(1, 0), (2, 500), (3, 500)] {
            machine.write(
                &format!("proc/{pid}/status"),
                &format!("Name:\tnlserver\nUid:\t{user}\t{user}\t{user}\t{user}\n"),
            );
        }
        let home = machine.path("nl6");
        assert_eq!(machine.crashes().user(&[1, 2, 3], Some(&home)), Some(500));
        assert_eq!(machine.crashes().user(&[4], Some(&home)), Some(machine.user()));
        assert_eq!(machine.crashes().user(&[4], None), None);
    }

    #[test]
    fn working_folders_are_told_once() {
        let machine = Machine::new("core");
        for (pid, target) in [(1, "/opt"), (2, "/opt"), (3, "/usr/local/neolane"), (4, "(unreachable)/x")] {
            create_dir_all(machine.path(&format!("proc/{pid}"))).unwrap();
            symlink(target, machine.path(&format!("proc/{pid}/cwd"))).unwrap();
        }
        let folders = machine.crashes().working_folders(&[1, 2, 3, 4, 5]);
        assert_eq!(folders, [PathBuf::from("/opt"), PathBuf::from("/usr/local/neolane")].into());
    }
}
