//! Whether a process belongs to this installation.
//!
//! Uses what the kernel shows of one process, and what the installation looks like from outside. `tracker` finds and
//! follows the processes.
//!
//! # What counts
//! A process is ours when its user is the installation's (the owner of its folders; the superuser), its executable is
//! the installation's `nlserver`, and it runs where the installation is: in the process namespace of the `/proc` that
//! is watched, in the same root directory, or below our watchdog. Everything else is not ours, whatever its name.
//!
//! Only users with the right to trace a process may see its executable and its root. Others go by its user, its namespace
//! and its first argument, which can't be forged by another user. What that leaves open is undecided.
//!
//! A recorded `/proc` of plain files has no evidence but the links `exe` that were recorded with it: a process is ours
//! unless that link leads out of the installation.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::catalog::modules::WATCHDOG;
use crate::parse::cmdline;
use crate::parse::process as parse;
use crate::source::kit::{Miss, ProcRoot};

/// How often the installation is looked at again for a process that does not seem to be ours.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// The superuser.
const SUPERUSER: u32 = 0;

/// The user that the kernel shows in place of one who is not known here: of another user namespace, or of a file server.
const NOBODY: u32 = 65_534;

const STATUS_BYTES: usize = 4096;

/// Why a process that calls itself `nlserver` is not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NotOurs {
    /// It runs as a user who is not the installation's.
    OtherUser,
    /// Its executable is not this installation's `nlserver`.
    OtherInstallation,
    /// It lives in a container or another root directory.
    OtherNamespace,
    /// What the exporter may read is not enough to decide.
    Undecided,
}

impl NotOurs {
    /// Every reason, in the order of the documentation.
    pub const ALL: [NotOurs; 4] =
        [NotOurs::OtherUser, NotOurs::OtherInstallation, NotOurs::OtherNamespace, NotOurs::Undecided];

    /// The label value.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            NotOurs::OtherUser => "other_user",
            NotOurs::OtherInstallation => "other_installation",
            NotOurs::OtherNamespace => "other_namespace",
            NotOurs::Undecided => "undecided",
        }
    }
}

/// A file or directory, whatever its path: device and inode.
type FileId = (u64, u64);

fn file_id(path: &Path) -> Option<FileId> {
    path.metadata().ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

/// The installation as processes show it.
#[derive(Debug, Default)]
struct OwnHome {
    /// As given, and without symbolic links.
    paths: Vec<PathBuf>,
    /// Its directory `bin`.
    bin: Option<FileId>,
    /// Its `bin/nlserver`.
    executable: Option<FileId>,
    /// The owners of what Campaign's user writes and installs.
    users: BTreeSet<u32>,
    /// The directories that a process of the installation may have as its root, each with the installation's path as seen
    /// from there. A container with the host's file system below `/host` has two.
    roots: Vec<(FileId, PathBuf)>,
}

impl OwnHome {
    /// Looks at the installation in `home`, whose folder `var` is `var` where that was moved.
    fn at(home: &Path, var: Option<&Path>) -> OwnHome {
        let mut paths = vec![home.to_owned()];
        paths.extend(home.canonicalize().ok().filter(|canonical| canonical != home));
        let bin = home.join("bin");
        let inside = ["", "conf", "var", "bin/nlserver"].map(|name| home.join(name));
        let inside = inside.iter().map(PathBuf::as_path).chain(var);
        let users = inside.filter_map(|path| path.metadata().ok()).map(|metadata| metadata.uid()).collect();
        let ancestors = paths.iter().flat_map(|path| path.ancestors().skip(1).map(move |above| (above, path)));
        let roots = ancestors
            .filter_map(|(above, path)| Some((file_id(above)?, Path::new("/").join(path.strip_prefix(above).ok()?))));
        OwnHome { roots: roots.collect(), bin: file_id(&bin), executable: file_id(&bin.join("nlserver")), users, paths }
    }

    /// Whether `path`, as the kernel shows it for a process whose root directory is `root`, is inside the installation.
    fn holds(&self, path: &Path, root: Option<FileId>) -> bool {
        let seen_from = |(id, view): &(FileId, PathBuf)| {
            Some(*id) == root && (path.starts_with(view) || self.paths.iter().any(|home| path.starts_with(home)))
        };
        self.roots.iter().any(seen_from)
    }

    fn is_root(&self, root: Option<FileId>) -> bool {
        self.roots.iter().any(|(id, _)| Some(*id) == root)
    }
}

/// What the kernel shows of a process.
#[derive(Clone, Debug, Default)]
struct OwnerEvidence {
    credentials: parse::Credentials,
    executable: Executable,
    /// Its root directory, where it may be read.
    root: Option<FileId>,
    /// Its first argument.
    name: Vec<u8>,
    /// Whether its arguments are the watchdog's.
    is_watchdog: bool,
    /// Whether its parent is ours.
    has_our_parent: bool,
    /// Whether our watchdog is among its ancestors.
    is_below_watchdog: bool,
}

/// The program of a process.
#[derive(Clone, Debug, Default)]
enum Executable {
    /// None: a zombie, or a process that is ending.
    #[default]
    Missing,
    /// The exporter's user may not see it.
    Denied,
    /// This file.
    Seen {
        /// Where it was executed, as seen from the exporter's root or from its own.
        path: PathBuf,
        /// Whether it has been deleted, as an upgrade does.
        is_deleted: bool,
        id: FileId,
        /// Its directory, where another path may lead to the same file.
        folder: Option<FileId>,
    },
}

/// A process that calls itself Campaign's.
#[derive(Clone, Copy)]
pub(super) struct NamedProcess<'a> {
    pub(super) root: &'a ProcRoot,
    pub(super) pid: u32,
    /// Below which of its folders its program is shown: its own (`""`), or a thread's where its first thread has ended.
    pub(super) thread: &'a str,
    pub(super) line: &'a [u8],
    pub(super) has_our_parent: bool,
}

/// Decides whose a process is.
#[derive(Debug, Default)]
pub(super) struct Ownership {
    /// Whether the `/proc` is the kernel's own, and no recorded tree.
    is_kernels: bool,
    home: Option<OwnHome>,
    path: Option<PathBuf>,
    /// The folder `var`, where `XTK_VAR_DIR` moves it.
    var: Option<PathBuf>,
    /// The user of the watchdog, where the installation's files do not tell whose it is.
    watchdog_user: Option<u32>,
    looked: Option<Instant>,
}

impl Ownership {
    /// Without an installation yet.
    pub(super) fn new(is_kernels: bool) -> Ownership {
        Ownership { is_kernels, ..Ownership::default() }
    }

    /// Another installation.
    pub(super) fn set_home(&mut self, home: &Path) {
        *self = Ownership { path: Some(home.to_owned()), ..Ownership::new(self.is_kernels) };
    }

    /// The folder `var` of the installation: its owner is Campaign's user.
    pub(super) fn set_var(&mut self, var: Option<&Path>, now: Instant) {
        if self.var.as_deref() != var {
            self.var = var.map(Path::to_owned);
            if self.home.is_some() {
                self.look(now);
            }
        }
    }

    /// Where the installation is.
    pub(super) fn home(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Whether `user` is the installation's.
    pub(super) fn is_user(&mut self, user: u32, now: Instant) -> bool {
        if self.home.is_none() {
            self.look(now);
        }
        self.home.as_ref().is_some_and(|home| home.users.contains(&user)) || self.watchdog_user == Some(user)
    }

    /// Decides on a process. `is_below_watchdog` is called only where it matters.
    ///
    /// # Errors
    /// Why it is not ours; none when it has ended meanwhile.
    pub(super) fn decide(
        &mut self,
        candidate: NamedProcess<'_>,
        is_below_watchdog: impl FnOnce() -> bool,
        now: Instant,
    ) -> Result<(), Option<NotOurs>> {
        if !self.is_kernels {
            return self.decide_recorded(candidate).map_err(Some);
        }
        let evidence = match gather(candidate, is_below_watchdog) {
            Ok(evidence) => evidence,
            Err(Miss::Gone | Miss::NotAFile) => return Err(None),
            Err(_) => return Err(Some(NotOurs::Undecided)),
        };
        if self.home.is_none() {
            self.look(now);
        }
        let mut verdict = self.judge(&evidence);
        // The installation may have been given to another user, or replaced, since it was looked at.
        if verdict.is_err() && self.looked.is_some_and(|looked| now.saturating_duration_since(looked) >= LOOK_AGAIN) {
            self.look(now);
            verdict = self.judge(&evidence);
        }
        if verdict.is_ok() && evidence.is_watchdog && matches!(evidence.executable, Executable::Seen { .. }) {
            self.watchdog_user = Some(evidence.credentials.real);
        }
        verdict.map_err(Some)
    }

    fn decide_recorded(&self, candidate: NamedProcess<'_>) -> Result<(), NotOurs> {
        let (Some(home), Ok(link)) = (&self.path, candidate.root.link_of(candidate.pid, "exe")) else { return Ok(()) };
        let (path, _) = without_deleted(link);
        let real = home.canonicalize();
        let is_inside = path.starts_with(home) || real.is_ok_and(|real| path.starts_with(real));
        if is_inside { Ok(()) } else { Err(NotOurs::OtherInstallation) }
    }

    fn look(&mut self, now: Instant) {
        self.looked = Some(now);
        // One that can't be looked at now is still what it was.
        let home = self.path.as_deref().map(|path| OwnHome::at(path, self.var.as_deref()));
        let home = home.filter(|home| !home.users.is_empty());
        self.home = home.or(self.home.take());
    }

    fn judge(&self, evidence: &OwnerEvidence) -> Result<(), NotOurs> {
        let Some(home) = &self.home else { return Err(NotOurs::Undecided) };
        let users = [evidence.credentials.real, evidence.credentials.effective];
        let is_known = |user: &u32| home.users.contains(user) || self.watchdog_user == Some(*user);
        let is_nobodys = home.users.iter().all(|user| [SUPERUSER, NOBODY].contains(user));
        let may_be_the_watchdogs = evidence.is_watchdog && is_nobodys;
        if !may_be_the_watchdogs && !users.iter().all(|user| *user == SUPERUSER || is_known(user)) {
            return Err(NotOurs::OtherUser);
        }
        match &evidence.executable {
            Executable::Seen { path, is_deleted, id, folder } => {
                let is_inside = home.holds(path, evidence.root);
                let is_same = Some(*id) == home.executable && (is_inside || folder.is_none() || *folder == home.bin);
                // An upgrade has replaced it, and the paths of the host are not the exporter's.
                let was_replaced = *is_deleted && evidence.is_below_watchdog;
                if !is_same && !is_inside && !was_replaced {
                    let is_elsewhere = !home.is_root(evidence.root);
                    return Err(if is_elsewhere { NotOurs::OtherNamespace } else { NotOurs::OtherInstallation });
                }
                let is_here = !evidence.credentials.is_nested || home.is_root(evidence.root);
                if is_here || evidence.is_below_watchdog { Ok(()) } else { Err(NotOurs::OtherNamespace) }
            }
            Executable::Denied => {
                let path = Path::new(OsStr::from_bytes(&evidence.name));
                if path.is_absolute() && !home.paths.iter().any(|home| path.starts_with(home)) {
                    return Err(NotOurs::OtherInstallation);
                }
                let is_here = !evidence.credentials.is_nested || evidence.is_below_watchdog;
                if is_here && users.iter().all(is_known) { Ok(()) } else { Err(NotOurs::Undecided) }
            }
            Executable::Missing if evidence.has_our_parent => Ok(()),
            Executable::Missing => Err(NotOurs::Undecided),
        }
    }
}

/// Reads what the exporter's user may of a process.
fn gather(candidate: NamedProcess<'_>, is_below_watchdog: impl FnOnce() -> bool) -> Result<OwnerEvidence, Miss> {
    let NamedProcess { root, pid, thread, line, has_our_parent } = candidate;
    let mut buffer = [0; STATUS_BYTES];
    let credentials = parse::credentials(root.read_of(pid, "status", &mut buffer)?).ok_or(Miss::Failed)?;
    let below = Path::new(thread);
    let id_of = |path: &Path| root.stat_of(pid, path).map(|stat| (stat.st_dev, stat.st_ino));
    let executable = match root.link_of(pid, &format!("{thread}exe")) {
        Ok(link) => {
            let (path, is_deleted) = without_deleted(link);
            let file = root.stat_of(pid, &below.join("exe"))?;
            // Where a file has one name, it is the path.
            let folder = path.parent().filter(|_| file.st_nlink > 1).map(|folder| {
                let folder = folder.strip_prefix("/").unwrap_or(folder);
                id_of(&below.join("root").join(folder)).unwrap_or_default()
            });
            Executable::Seen { path, is_deleted, id: (file.st_dev, file.st_ino), folder }
        }
        Err(Miss::Denied) => Executable::Denied,
        Err(Miss::Gone) => Executable::Missing,
        Err(miss) => return Err(miss),
    };
    let is_deleted = matches!(executable, Executable::Seen { is_deleted: true, .. });
    Ok(OwnerEvidence {
        root: id_of(&below.join("root")).ok(),
        name: line.split(|byte| *byte == 0).next().unwrap_or_default().to_owned(),
        is_watchdog: cmdline::parse(line).is_some_and(|line| line.module == WATCHDOG.name),
        is_below_watchdog: (credentials.is_nested || is_deleted) && is_below_watchdog(),
        has_our_parent,
        credentials,
        executable,
    })
}

/// The path that the kernel shows for an executable, and whether the file has been deleted.
fn without_deleted(link: PathBuf) -> (PathBuf, bool) {
    match link.as_os_str().as_bytes().strip_suffix(b" (deleted)") {
        Some(path) => (PathBuf::from(OsStr::from_bytes(path)), true),
        None => (link, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: FileId = (1, 100);
    const BIN: FileId = (1, 101);
    const ROOT: FileId = (1, 2);
    const OWNER: u32 = 500;
    const STRANGER: u32 = 501;

    fn owner() -> Ownership {
        let home = OwnHome {
            paths: vec!["/usr/local/neolane/nl6".into()],
            bin: Some(BIN),
            executable: Some(OURS),
            users: [OWNER].into(),
            roots: vec![(ROOT, "/usr/local/neolane/nl6".into())],
        };
        Ownership { home: Some(home), ..Ownership::new(true) }
    }

    fn seen(path: &str, id: FileId) -> Executable {
        Executable::Seen { path: path.into(), is_deleted: false, id, folder: None }
    }

    /// A process of ours.
    fn evidence() -> OwnerEvidence {
        OwnerEvidence {
            credentials: parse::Credentials { real: OWNER, effective: OWNER, is_nested: false },
            executable: seen("/usr/local/neolane/nl6/bin/nlserver", OURS),
            root: Some(ROOT),
            name: b"nlserver".to_vec(),
            ..OwnerEvidence::default()
        }
    }

    fn of(real: u32, effective: u32) -> parse::Credentials {
        parse::Credentials { real, effective, is_nested: false }
    }

    const NESTED: parse::Credentials = parse::Credentials { real: OWNER, effective: OWNER, is_nested: true };

    #[test]
    fn both_users_of_a_process_must_be_the_installations_or_the_superuser() {
        for (real, effective, is_ours) in [
            (OWNER, OWNER, true),
            (0, 0, true),
            (STRANGER, STRANGER, false),
            (STRANGER, 0, false),
            (OWNER, STRANGER, false),
        ] {
            let verdict = owner().judge(&OwnerEvidence { credentials: of(real, effective), ..evidence() });
            assert_eq!(verdict, if is_ours { Ok(()) } else { Err(NotOurs::OtherUser) }, "{real} {effective}");
        }
        let watchdog = OwnerEvidence { is_watchdog: true, credentials: of(STRANGER, STRANGER), ..evidence() };
        assert_eq!(owner().judge(&watchdog), Err(NotOurs::OtherUser), "anybody can play the watchdog");
    }

    #[test]
    fn the_executable_must_be_the_installations() {
        let verdict = |executable| owner().judge(&OwnerEvidence { executable, ..evidence() });
        assert_eq!(verdict(seen("/elsewhere/nlserver", OURS)), Ok(()), "a bind mount leads to the same file");
        assert_eq!(verdict(seen("/usr/local/neolane/nl6/bin/nlserver", (1, 999))), Ok(()), "the one before an upgrade");
        assert_eq!(verdict(seen("/opt/nl6/bin/nlserver", (1, 200))), Err(NotOurs::OtherInstallation));
        assert_eq!(verdict(seen("/usr/local/neolane/nl60/bin/nlserver", (1, 200))), Err(NotOurs::OtherInstallation));
        let linked = |folder| Executable::Seen {
            path: "/opt/nl6/bin/nlserver".into(),
            is_deleted: false,
            id: OURS,
            folder: Some(folder),
        };
        assert_eq!(verdict(linked((1, 201))), Err(NotOurs::OtherInstallation), "a hard link in another folder");
        assert_eq!(verdict(linked(BIN)), Ok(()));
    }

    #[test]
    fn a_container_is_not_ours_unless_our_watchdog_started_it() {
        let elsewhere = OwnerEvidence { root: Some((9, 9)), ..evidence() };
        let copy = seen("/usr/local/neolane/nl6/bin/nlserver", (9, 100));
        let verdict = |evidence: OwnerEvidence| owner().judge(&evidence);
        assert_eq!(verdict(OwnerEvidence { executable: copy, ..elsewhere.clone() }), Err(NotOurs::OtherNamespace));
        assert_eq!(verdict(elsewhere.clone()), Ok(()), "our file, in our process namespace");
        let nested = OwnerEvidence { credentials: NESTED, ..elsewhere };
        assert_eq!(verdict(nested.clone()), Err(NotOurs::OtherNamespace));
        assert_eq!(verdict(OwnerEvidence { is_below_watchdog: true, ..nested }), Ok(()));
        assert_eq!(
            verdict(OwnerEvidence { credentials: NESTED, ..evidence() }),
            Ok(()),
            "the root of the installation"
        );
    }

    #[test]
    fn without_rights_user_and_namespace_decide_and_what_is_open_is_undecided() {
        let denied = OwnerEvidence { executable: Executable::Denied, root: None, ..evidence() };
        let verdict = |evidence: OwnerEvidence| owner().judge(&evidence);
        assert_eq!(verdict(denied.clone()), Ok(()));
        let named = |name: &str| OwnerEvidence { name: name.into(), ..denied.clone() };
        assert_eq!(verdict(named("/usr/local/neolane/nl6/bin/nlserver")), Ok(()));
        assert_eq!(verdict(named("/opt/nl6/bin/nlserver")), Err(NotOurs::OtherInstallation));
        assert_eq!(verdict(OwnerEvidence { credentials: of(0, 0), ..denied.clone() }), Err(NotOurs::Undecided));
        assert_eq!(
            verdict(OwnerEvidence { credentials: of(STRANGER, STRANGER), ..denied.clone() }),
            Err(NotOurs::OtherUser)
        );
        let nested = OwnerEvidence { credentials: NESTED, ..denied };
        assert_eq!(verdict(nested.clone()), Err(NotOurs::Undecided));
        assert_eq!(verdict(OwnerEvidence { is_below_watchdog: true, ..nested }), Ok(()));
    }

    #[test]
    fn where_files_do_not_tell_the_user_the_watchdog_does() {
        let mut owner = owner();
        owner.home.as_mut().unwrap().users = [SUPERUSER, NOBODY].into();
        let stranger = OwnerEvidence { credentials: of(STRANGER, STRANGER), ..evidence() };
        assert_eq!(owner.judge(&stranger), Err(NotOurs::OtherUser));
        assert_eq!(owner.judge(&OwnerEvidence { is_watchdog: true, ..stranger.clone() }), Ok(()));
        owner.watchdog_user = Some(STRANGER);
        assert_eq!(owner.judge(&stranger), Ok(()));
    }

    #[test]
    fn an_installation_that_cannot_be_looked_at_is_still_whose_it_was() {
        let mut owner = Ownership { path: Some("/nonexistent/nl6".into()), ..owner() };
        owner.look(Instant::now());
        assert_eq!(owner.judge(&evidence()), Ok(()));
    }

    #[test]
    fn the_owner_of_a_moved_var_is_campaigns_user() {
        let folder = tempfile::tempdir().unwrap();
        let (home, var) = (folder.path().join("nl6"), folder.path().join("elsewhere"));
        std::fs::create_dir(&home).unwrap();
        std::fs::create_dir(&var).unwrap();
        std::os::unix::fs::chown(&home, Some(SUPERUSER), None).unwrap();
        std::os::unix::fs::chown(&var, Some(OWNER), None).unwrap();
        let mut owner = Ownership { path: Some(home), ..Ownership::new(true) };
        let now = Instant::now();
        assert!(!owner.is_user(OWNER, now));
        owner.set_var(Some(&var), now);
        assert!(owner.is_user(OWNER, now) && !owner.is_user(STRANGER, now));
        owner.set_var(None, now);
        assert!(!owner.is_user(OWNER, now), "it was moved back");
    }

    #[test]
    fn a_zombie_is_its_parents_and_nothing_is_ours_without_an_installation() {
        let zombie = OwnerEvidence { executable: Executable::Missing, root: None, ..evidence() };
        assert_eq!(owner().judge(&zombie), Err(NotOurs::Undecided));
        assert_eq!(owner().judge(&OwnerEvidence { has_our_parent: true, ..zombie }), Ok(()));
        assert_eq!(Ownership::new(true).judge(&evidence()), Err(NotOurs::Undecided));
    }
}
