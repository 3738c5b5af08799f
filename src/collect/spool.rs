//! The collector `spool`: the emails that are queued in the mta's `workingPath`.
//!
//! Finds the folder that the configuration gives to each instance; `source::spool` reads it, `health` judges.
//!
//! The folders are read in the background and at a pace of their own: a scrape shows the last result, or waits a moment for
//! one where folders are known to be small.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant, UNIX_EPOCH};

use super::{CollectError, Collector, Context, ErrorKind, Losses, Outcome, float};
use crate::catalog::attributes::{MTA_WORKING_PATH, VAR_DIRECTORY};
use crate::catalog::signals::spool::{
    CHILDREN, INSTALLATION_VARIABLE, INSTANCE_VARIABLE, MTA_SPOOL_FILES, MTA_SPOOL_LAST_SCAN, MTA_SPOOL_OLDEST, OWNER,
};
use crate::health::{self, DoubtReason};
use crate::parse::variables::expand;
use crate::snapshot::Samples;
use crate::source::kit::background::Background;
use crate::source::kit::{LogOnChange, Miss};
use crate::source::spool::{MAX_ENTRIES, SpoolContent, SpoolFolder};
use crate::sync::locked;

/// How often a small folder is read.
const INTERVAL: Duration = Duration::from_secs(10);

/// The folder of each instance.
type Folders = BTreeMap<String, PathBuf>;

/// What is in the folder of each instance.
type SpoolLooks = BTreeMap<String, Result<SpoolContent, Miss>>;

/// Reports how many emails are queued.
pub struct Spool {
    looks: Background<Folders, SpoolLooks>,
    /// Folders that could be read once.
    seen: Mutex<BTreeSet<PathBuf>>,
    log: LogOnChange,
}

impl Default for Spool {
    fn default() -> Self {
        Self::new()
    }
}

impl Spool {
    /// A collector that has read nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::with(SpoolFolder::look)
    }

    fn with(look: impl Fn(&mut SpoolFolder, &Path) -> Result<SpoolContent, Miss> + Send + Sync + 'static) -> Self {
        let known: Mutex<BTreeMap<PathBuf, SpoolFolder>> = Mutex::default();
        let looks = move |folders: &Folders| {
            let mut known = locked(&known);
            let mut before = std::mem::take(&mut *known);
            let look = |(instance, folder): (&String, &PathBuf)| {
                let one = known.entry(folder.clone()).or_insert_with(|| before.remove(folder).unwrap_or_default());
                (instance.clone(), look(one, folder))
            };
            folders.iter().map(look).collect::<SpoolLooks>()
        };
        Self { looks: Background::new("spool", INTERVAL, looks), seen: Mutex::default(), log: LogOnChange::default() }
    }

    /// Forgets what is not looked at any more.
    fn keep(&self, folders: &Folders, cx: &Context) {
        locked(&self.seen).retain(|folder| folders.values().any(|kept| kept == folder));
        let subjects: BTreeSet<_> = folders.iter().map(|(instance, folder)| subject(instance, folder)).collect();
        let is_there = |name: &str| subjects.contains(name) || cx.census().member(OWNER.name, name).is_some();
        self.log.keep(is_there);
    }

    fn collect_at(&self, now: Instant, cx: &Context, out: &mut Samples) -> Result<Outcome, CollectError> {
        let folders = self.folders(cx);
        self.keep(&folders, cx);
        if folders.is_empty() {
            return Ok(Outcome::NotApplicable);
        }
        let mut losses = Losses::default();
        let stall = self.looks.refresh(folders.clone(), now, cx.deadline).err();
        if let Some(stall) = stall {
            losses.add(stall.into(), 1);
        }
        let latest = self.looks.latest();
        for (instance, folder) in &folders {
            // What was found in the former folder does not hold for the new one.
            let latest = latest.as_ref().filter(|done| done.input.get(instance) == Some(folder));
            let found = latest.and_then(|done| done.output.get(instance));
            // While a look does not end, what was found before it is no evidence any more.
            let evidence = found.filter(|_| stall.is_none());
            let is_known = match evidence {
                Some(Ok(found)) => queued(found).is_some(),
                Some(Err(miss)) => is_not_there_yet(&locked(&self.seen), folder, *miss),
                None => stall.is_none(),
            };
            if !is_known {
                let place = folder.components().as_path().display().to_string();
                out.doubt_of(OWNER.name, instance, DoubtReason::EvidenceUnreadable, place);
            }
            if let Some(Ok(found)) = evidence {
                out.judge(CHILDREN.name, OWNER.name, instance, children(instance, found, cx));
            }
            if let Some(found) = found {
                self.show(instance, folder, found, &mut losses, out);
            }
        }
        Ok(losses.into_outcome())
    }

    /// The folder of every instance whose mta has to run or does.
    fn folders(&self, cx: &Context) -> Folders {
        let instances = cx.census().instances_of(OWNER.name);
        instances.filter_map(|instance| Some((instance.to_owned(), self.folder(instance, cx)?))).collect()
    }

    /// The folder of an instance; none, and a line in the log, where it is unknown.
    fn folder(&self, instance: &str, cx: &Context) -> Option<PathBuf> {
        let template = cx.installation.settings(instance).text(&MTA_WORKING_PATH);
        let home = cx.installation.home.as_deref();
        let var = cx.installation.var_folder();
        // XTK_VAR_DIR moves all of var.
        let below_var = template.strip_prefix("$(XTK_INSTALL_DIR)/var/");
        let moved = below_var.map(|rest| format!("$({VAR_DIRECTORY})/{rest}"));
        let path = expand(moved.as_deref().unwrap_or(template), |name| match name {
            VAR_DIRECTORY => var.as_ref().map(|var| var.as_os_str().as_bytes()),
            INSTALLATION_VARIABLE => home.map(|home| home.as_os_str().as_bytes()),
            INSTANCE_VARIABLE => Some(cx.installation.name_of(instance)),
            _ => None,
        });
        let problem = match path {
            Ok(path) if path.starts_with(b"/") && !path.contains(&0) => {
                self.log.is_news(instance, None);
                return Some(PathBuf::from(OsString::from_vec(path)));
            }
            Ok(_) => "it is not an absolute path".to_owned(),
            Err(error) => error.to_string(),
        };
        // Without an installation there is another alert, and no configuration to correct.
        if home.is_some() && self.log.is_news(instance, Some(&problem)) {
            let name = MTA_WORKING_PATH.name;
            tracing::warn!(instance, "queued emails are not counted: {name} {template:?} can't be followed: {problem}");
        }
        None
    }

    fn show(
        &self,
        instance: &str,
        folder: &Path,
        found: &Result<SpoolContent, Miss>,
        losses: &mut Losses,
        out: &mut Samples,
    ) {
        let mut seen = locked(&self.seen);
        let problem = match found {
            Ok(found) => {
                seen.insert(folder.to_owned());
                out.push(&MTA_SPOOL_FILES, &[instance], float(found.files));
                if let Some(oldest) = found.oldest {
                    out.push(&MTA_SPOOL_OLDEST, &[instance], oldest);
                }
                if let Ok(at) = found.at.duration_since(UNIX_EPOCH) {
                    out.push(&MTA_SPOOL_LAST_SCAN, &[instance], at.as_secs_f64());
                }
                losses.add(ErrorKind::Permission, found.denied);
                losses.add(ErrorKind::System, found.failed);
                losses.add(ErrorKind::Timeout, found.is_cut.into());
                (found.is_cut).then(|| format!("has more than {MAX_ENTRIES} files; the others are not counted"))
            }
            Err(miss) if is_not_there_yet(&seen, folder, *miss) => Some("is not there yet".to_owned()),
            Err(miss) => {
                losses.add((*miss).into(), 1);
                Some(match miss {
                    Miss::Denied => "may not be read by the exporter's user".to_owned(),
                    Miss::Gone => "is not there any more".to_owned(),
                    Miss::NotAFile => "is not a directory".to_owned(),
                    Miss::Limit => "can't be read: the exporter has no descriptor or memory left".to_owned(),
                    Miss::Failed => "can't be read: check the disk".to_owned(),
                })
            }
        };
        drop(seen);
        if self.log.is_news(&subject(instance, folder), problem.as_deref())
            && let Some(problem) = problem
        {
            tracing::warn!(instance, ?folder, "the folder of queued emails {problem}");
        }
    }
}

/// Whether the folder was never there: an mta that has never had anything to do may not have created it.
fn is_not_there_yet(seen: &BTreeSet<PathBuf>, folder: &Path, miss: Miss) -> bool {
    miss == Miss::Gone && !seen.contains(folder)
}

/// How many files are queued; none where there may be some that were not seen.
fn queued(found: &SpoolContent) -> Option<u64> {
    let all_seen = found.denied + found.failed == 0 && !found.is_cut;
    (found.files > 0 || all_seen).then_some(found.files)
}

/// What the log calls the folder of an instance.
fn subject(instance: &str, folder: &Path) -> String {
    format!("{instance} {}", folder.display())
}

/// What the check of the mta's children says while mails wait.
fn children(instance: &str, found: &SpoolContent, cx: &Context) -> Option<bool> {
    let up = cx.census().member(OWNER.name, instance).and_then(|mta| mta.up);
    let living: u64 = OWNER
        .children
        .iter()
        .map(|child| cx.processes.group(child, instance).map_or(0, |group| group.now.live()))
        .sum();
    let all_told = OWNER.children.iter().all(|child| cx.processes.can_tell_of(child, instance));
    health::children(up, queued(found), (living > 0 || all_told).then_some(living))
}

impl Collector for Spool {
    /// Partial when a folder could not be read; not applicable where no mta has to run, or no folder is known.
    fn collect(&self, cx: &Context, out: &mut Samples) -> Result<Outcome, CollectError> {
        self.collect_at(Instant::now(), cx, out)
    }

    fn settle(&self, until: Instant) {
        self.looks.settle(until);
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{create_dir_all, remove_dir_all, write};
    use std::sync::Arc;
    use std::sync::mpsc::{Sender, channel};
    use std::time::SystemTime;

    use rustix::time::{ClockId, clock_gettime};

    use super::*;
    use crate::parse::conf::{ServerConf, Settings};
    use crate::snapshot::Snapshot;
    use crate::source::installation::Installation;
    use crate::source::kit::background::HANGS;
    use crate::source::processes::{Group, Present, ProcessTable};

    /// A host whose instance `prod` has this `workingPath`.
    fn context(home: &Path, mta: &str) -> Context {
        let conf = ServerConf::parse(format!("<serverconf><mta autoStart='true' {mta}/></serverconf>").as_bytes());
        let conf = Arc::new(conf.unwrap());
        let mut installation = Installation { home: Some(home.to_owned()), ..Installation::default() };
        installation.instances.insert("prod".into(), Settings::overlay(None, Some(conf)));
        let mut cx = Context::for_tests(Instant::now() + Duration::from_secs(60));
        cx.installation = Arc::new(installation);
        cx
    }

    fn kind(kind: ErrorKind) -> Outcome {
        let mut losses = Losses::default();
        losses.add(kind, 1);
        Outcome::Partial(losses)
    }

    /// Collects until the background has looked at the moment `now`.
    fn collect_after(spool: &Spool, cx: &Context, now: Instant) -> (Snapshot, Outcome) {
        let mut samples = Samples::default();
        spool.collect_at(now, cx, &mut samples).unwrap();
        spool.looks.settle(Instant::now() + Duration::from_secs(60));
        let mut samples = Samples::default();
        let outcome = spool.collect_at(now, cx, &mut samples).unwrap();
        (samples.freeze(), outcome)
    }

    fn collect(spool: &Spool, cx: &Context) -> (Snapshot, Outcome) {
        collect_after(spool, cx, Instant::now())
    }

    fn content(files: u64, denied: u64) -> SpoolContent {
        SpoolContent { files, oldest: None, denied, failed: 0, is_cut: false, at: SystemTime::now() }
    }

    /// One whose looks find `found`, each once it is released.
    fn waiting(found: Result<SpoolContent, Miss>) -> (Spool, Sender<()>) {
        let (release, wait) = channel();
        let wait = Mutex::new(wait);
        let spool = Spool::with(move |_, _| {
            let _ = wait.lock().unwrap().recv();
            found.clone()
        });
        (spool, release)
    }

    /// So much later that everything is due again.
    fn later() -> Instant {
        Instant::now() + Duration::from_secs(3600)
    }

    #[test]
    fn files_that_wait_are_counted_in_the_documented_folder() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("var/prod/mta/1");
        create_dir_all(&folder).unwrap();
        write(folder.join("a"), "").unwrap();
        write(folder.join("../b"), "").unwrap();
        let (snapshot, outcome) = collect(&Spool::new(), &context(home.path(), ""));
        assert_eq!(outcome, Outcome::Complete);
        assert_eq!(snapshot.value(&MTA_SPOOL_FILES, &["prod"]), Some(2.0));
        let now = std::time::SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
        for def in [&MTA_SPOOL_OLDEST, &MTA_SPOOL_LAST_SCAN] {
            let time = snapshot.value(def, &["prod"]).unwrap();
            assert!((now - time).abs() < 3600.0, "{} {time}", def.name);
        }
    }

    #[test]
    fn an_empty_folder_has_files_but_no_oldest() {
        let home = tempfile::tempdir().unwrap();
        let (snapshot, _) = collect(&Spool::new(), &context(home.path(), "workingPath='$(XTK_INSTALL_DIR)'"));
        assert_eq!(snapshot.value(&MTA_SPOOL_FILES, &["prod"]), Some(0.0));
        assert_eq!(snapshot.value(&MTA_SPOOL_OLDEST, &["prod"]), None);
    }

    #[test]
    fn a_configured_folder_wins_and_a_new_one_is_read_at_once() {
        let home = tempfile::tempdir().unwrap();
        create_dir_all(home.path().join("prod-spool")).unwrap();
        write(home.path().join("prod-spool/a"), "").unwrap();
        create_dir_all(home.path().join("other")).unwrap();
        let spool = Spool::new();
        let cx = context(home.path(), "workingPath='$(XTK_INSTALL_DIR)/$(INSTANCE_NAME)-spool'");
        assert_eq!(collect(&spool, &cx).0.value(&MTA_SPOOL_FILES, &["prod"]), Some(1.0));
        let cx = context(home.path(), &format!("workingPath='{}/other/'", home.path().display()));
        let (snapshot, _) = collect_after(&spool, &cx, later());
        assert_eq!(snapshot.value(&MTA_SPOOL_FILES, &["prod"]), Some(0.0));
    }

    #[test]
    fn a_path_that_can_not_be_told_is_not_applicable() {
        let home = tempfile::tempdir().unwrap();
        for path in ["$(HOME)/spool", "/spool/$(INSTANCE_NAME", "spool"] {
            let (snapshot, outcome) = collect(&Spool::new(), &context(home.path(), &format!("workingPath='{path}'")));
            assert_eq!(outcome, Outcome::NotApplicable, "{path}");
            assert_eq!(snapshot.of(&MTA_SPOOL_FILES).count(), 0);
        }
    }

    #[test]
    fn a_host_without_an_mta_has_no_spool() {
        let home = tempfile::tempdir().unwrap();
        let (_, outcome) = collect(&Spool::new(), &context(home.path(), "autostart='x'"));
        assert_eq!(outcome, Outcome::Complete, "it is expected");
        let nothing = Context::for_tests(Instant::now() + Duration::from_secs(60));
        assert_eq!(collect(&Spool::new(), &nothing).1, Outcome::NotApplicable);
    }

    #[test]
    fn a_folder_that_was_never_there_is_no_failure_and_one_that_vanished_is() {
        let home = tempfile::tempdir().unwrap();
        let cx = context(home.path(), "");
        let spool = Spool::new();
        let (snapshot, outcome) = collect(&spool, &cx);
        assert_eq!((snapshot.of(&MTA_SPOOL_FILES).count(), outcome), (0, Outcome::Complete));
        assert_eq!(snapshot.doubts(), []);
        create_dir_all(home.path().join("var/prod/mta")).unwrap();
        let mut now = later();
        assert_eq!(collect_after(&spool, &cx, now).1, Outcome::Complete);
        remove_dir_all(home.path().join("var")).unwrap();
        now += Duration::from_secs(3600);
        let (snapshot, outcome) = collect_after(&spool, &cx, now);
        assert_eq!((snapshot.of(&MTA_SPOOL_FILES).count(), outcome), (0, kind(ErrorKind::Gone)));
    }

    #[test]
    fn a_file_in_place_of_the_folder_is_a_loss() {
        let home = tempfile::tempdir().unwrap();
        create_dir_all(home.path().join("var/prod")).unwrap();
        write(home.path().join("var/prod/mta"), "").unwrap();
        let (snapshot, outcome) = collect(&Spool::new(), &context(home.path(), ""));
        assert_eq!((outcome, snapshot.doubts().len()), (kind(ErrorKind::Parse), 1));
    }

    #[test]
    fn a_folder_that_may_not_be_read_is_a_loss_of_permission() {
        let home = tempfile::tempdir().unwrap();
        let spool = Spool::with(|_, _| Err(Miss::Denied));
        let (snapshot, outcome) = collect(&spool, &context(home.path(), ""));
        assert_eq!(outcome, kind(ErrorKind::Permission));
        assert_eq!(snapshot.of(&MTA_SPOOL_FILES).count(), 0);
        let doubt = &snapshot.doubts()[0];
        assert!(doubt.is_of("mta", "prod") && doubt.detail.ends_with("/var/prod/mta"), "{doubt:?}");
    }

    #[test]
    fn it_is_a_doubt_where_an_empty_folder_may_have_files() {
        let home = tempfile::tempdir().unwrap();
        for (files, denied, doubts) in [(0, 0, 0), (0, 1, 1), (1, 1, 0)] {
            let spool = Spool::with(move |_, _| Ok(content(files, denied)));
            let (snapshot, _) = collect(&spool, &context(home.path(), ""));
            assert_eq!(snapshot.doubts().len(), doubts, "{files} files, {denied} folders can't be read");
        }
    }

    #[test]
    fn nothing_is_kept_of_instances_that_are_gone() {
        let home = tempfile::tempdir().unwrap();
        let spool = Spool::new();
        let mut now = Instant::now();
        for number in 0..20 {
            let folder = home.path().join(number.to_string());
            create_dir_all(&folder).unwrap();
            let cx = context(home.path(), &format!("workingPath='{}'", folder.display()));
            now += Duration::from_secs(60);
            collect_after(&spool, &cx, now);
            assert_eq!(*locked(&spool.seen), BTreeSet::from([folder]));
        }
        let mut samples = Samples::default();
        let nothing = Context::for_tests(Instant::now() + Duration::from_secs(60));
        spool.collect_at(now, &nothing, &mut samples).unwrap();
        assert!(locked(&spool.seen).is_empty());
    }

    #[test]
    fn a_folder_that_takes_for_ever_costs_no_scrape_its_deadline() {
        let home = tempfile::tempdir().unwrap();
        let (spool, release) = waiting(Err(Miss::Gone));
        let cx = context(home.path(), "");
        let now = Instant::now();
        let collect_at = |now| {
            let mut samples = Samples::default();
            let outcome = spool.collect_at(now, &cx, &mut samples).unwrap();
            (outcome, samples.freeze().doubts().len())
        };
        assert_eq!(collect_at(now), (Outcome::Complete, 0));
        assert!(now.elapsed() < Duration::from_secs(10), "{:?}", now.elapsed());
        assert_eq!(collect_at(now + HANGS), (kind(ErrorKind::Timeout), 1));
        release.send(()).unwrap();
        spool.looks.settle(Instant::now() + Duration::from_secs(60));
        assert_eq!(collect_at(now + HANGS), (Outcome::Complete, 0));
    }

    #[test]
    fn what_was_found_before_a_look_that_does_not_end_is_no_evidence() {
        let home = tempfile::tempdir().unwrap();
        let (spool, release) = waiting(Ok(content(0, 0)));
        let mut cx = context(home.path(), "");
        let now = Present { processes: 1, states: [0, 1, 0, 0, 0, 0], ..Present::default() };
        let mta = Group { module: OWNER.name.into(), instance: "prod".into(), now, ..Group::default() };
        cx.processes = ProcessTable { groups: vec![mta], ..ProcessTable::default() }.into();
        let collect_at = |now| {
            let mut samples = Samples::default();
            spool.collect_at(now, &cx, &mut samples).unwrap();
            let snapshot = samples.freeze();
            (snapshot.judgements().len(), snapshot.doubts().len(), snapshot.of(&MTA_SPOOL_FILES).count())
        };
        let begin = Instant::now();
        collect_at(begin);
        release.send(()).unwrap();
        spool.looks.settle(Instant::now() + Duration::from_secs(60));
        assert_eq!(collect_at(begin), (1, 0, 1));
        let later = later();
        assert_eq!(collect_at(later), (1, 0, 1), "the next look has only begun");
        assert_eq!(collect_at(later + HANGS), (0, 1, 1));
        drop(release);
    }

    #[test]
    fn two_hundred_thousand_files_cost_a_scrape_next_to_nothing() {
        // In memory where there is such a place: it is the number that counts.
        let home = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let folder = home.path().join("var/prod/mta");
        create_dir_all(&folder).unwrap();
        // Links to one file: as many entries, and much faster made. A file has at most 65,000 names on some systems.
        for part in 0..4 {
            let inner = folder.join(part.to_string());
            create_dir_all(&inner).unwrap();
            write(inner.join("0"), "").unwrap();
            for number in 1..50_000 {
                std::fs::hard_link(inner.join("0"), inner.join(number.to_string())).unwrap();
            }
        }
        let spool = Spool::new();
        let cx = context(home.path(), "");
        let worked = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap();
        let collect = |samples: &mut Samples| {
            let before = worked();
            spool.collect_at(Instant::now(), &cx, samples).unwrap();
            worked() - before
        };
        let first = collect(&mut Samples::default());
        spool.looks.settle(Instant::now() + Duration::from_secs(120));
        let mut samples = Samples::default();
        let next = collect(&mut samples);
        assert_eq!(samples.freeze().value(&MTA_SPOOL_FILES, &["prod"]), Some(200_000.0));
        assert!(first.max(next) < Duration::from_secs(2), "{first:?}, then {next:?}");
    }
}
