//! Walks side by side, and real processes.

use super::*;

#[test]
fn scrapes_at_the_same_time_share_one_walk_that_began_after_they_asked() {
    let mut host = Host::new();
    host.put(10, &Fake::new("nlserver web"));
    let source = source_of(&host);
    let (reached, has_reached) = channel();
    let (go, may_go) = channel();
    let listings = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&listings);
    *source.root.before_read.lock().unwrap() = Some(Box::new(move |path| {
        if path.is_empty() && counted.fetch_add(1, Ordering::SeqCst) == 0 {
            reached.send(()).unwrap();
            may_go.recv().unwrap();
        }
        Ok(())
    }));
    let scrape = || {
        let source = Arc::clone(&source);
        std::thread::spawn(move || source.walk())
    };
    let first = scrape();
    has_reached.recv().unwrap();
    let others: Vec<_> = (0..8).map(|_| scrape()).collect();
    until(|| source.waiting.load(Ordering::SeqCst) >= 8);
    go.send(()).unwrap();
    let first = first.join().unwrap();
    let tables: Vec<_> = others.into_iter().map(|scrape| scrape.join().unwrap()).collect();
    assert_eq!(listings.load(Ordering::SeqCst), 2, "the first's, and one for all others");
    assert!(tables.iter().all(|table| Arc::ptr_eq(table, &tables[0]) && !Arc::ptr_eq(table, &first)));
    assert_eq!(told(&tables[0]), "web@default 1/0");
}

#[test]
fn a_panic_in_a_walk_neither_poisons_nor_blocks_the_next() {
    let mut host = Host::new();
    host.put(10, &Fake::new("nlserver web"));
    let source = source_of(&host);
    *source.root.before_read.lock().unwrap() = Some(Box::new(|path| {
        assert_ne!(path, "10/cmdline", "on purpose");
        Ok(())
    }));
    let walker = Arc::clone(&source);
    assert!(std::thread::spawn(move || walker.walk()).join().is_err());
    *source.root.before_read.lock().unwrap_or_else(PoisonError::into_inner) = None;
    assert_eq!(source.walk().processes.len(), 1);
}

/// Waits for a condition, with a limit.
#[track_caller]
fn until(mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "it did not come");
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

/// An installation whose `nlserver` is a shell.
struct Install(TempDir);

impl Install {
    fn new() -> Install {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("bin")).unwrap();
        fs::copy("/bin/sh", folder.path().join("bin/nlserver")).unwrap();
        Install(folder)
    }

    fn installation(&self) -> Arc<Installation> {
        Arc::new(Installation { home: Some(self.0.path().to_owned()), ..Installation::default() })
    }

    /// A source for the installation.
    fn source(&self) -> Arc<ProcessSource> {
        let source = ProcessSource::new(Path::new("/proc")).unwrap();
        source.set_installation(&self.installation());
        Arc::new(source)
    }

    fn start(&self, module: &str, instance: &str) -> Real {
        let executable = self.0.path().join("bin/nlserver");
        let arguments = ["-s", module, &format!("-instance:{instance}")];
        let start = || Command::new(&executable).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        // Another test may have forked while the copy was open for writing.
        let mut started = start();
        until(|| {
            let busy = started.as_ref().is_err_and(|error| error.kind() == std::io::ErrorKind::ExecutableFileBusy);
            if busy {
                started = start();
            }
            !busy
        });
        Real(started.unwrap())
    }
}

/// A real process named `nlserver`: a shell that reads its commands, so that it ends when the test does.
struct Real(Child);

impl Real {
    fn tell(&mut self, command: &str) {
        let input = self.0.stdin.as_mut().unwrap();
        input.write_all(command.as_bytes()).and_then(|()| input.flush()).unwrap();
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        self.0.wait().ok();
    }
}

#[test]
fn a_real_process_is_followed_from_its_start_to_its_end() {
    let install = Install::new();
    let instance = "prod".to_owned();
    let source = install.source();
    let _ = source.walk();
    let mut process = install.start("import", &instance);
    let group = || source.walk().group("import", &instance).cloned().unwrap_or_default();
    until(|| group().now.processes == 1);
    process.tell("i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done\n");
    until(|| group().totals.user_cpu > Duration::ZERO);
    let now = group().now;
    assert_eq!((now.threads, now.live()), (1, 1));
    assert!(now.resident_bytes > 100_000 && now.virtual_bytes > now.resident_bytes);
    let reference = procfs::process::Process::new(process.0.id().cast_signed()).unwrap();
    assert_eq!(now.open_descriptors, Some(reference.fd_count().unwrap() as u64));
    let limit = procfs::process::Process::limits(&reference).unwrap().max_open_files.soft_limit;
    let procfs::process::LimitValue::Value(limit) = limit else { panic!("no limit") };
    let ratio = now.descriptor_ratio.unwrap() * limit as f64;
    assert!((ratio - now.open_descriptors.unwrap() as f64).abs() < 0.001);
    let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().saturating_sub(now.oldest_start.unwrap());
    assert!(since < Duration::from_secs(60), "{since:?}");
    drop(process);
    until(|| group().now.processes == 0);
    let totals = group().totals;
    assert_eq!(totals.starts, 1);
    assert!(totals.user_cpu > Duration::ZERO && totals.io.is_some());
}

#[test]
fn a_process_of_a_moment_is_counted_by_the_sampler() {
    let install = Install::new();
    let instance = "prod".to_owned();
    let source = install.source();
    let sampler = Sampler::start(Arc::clone(&source), Duration::from_millis(20)).unwrap();
    for starts in 1..=3 {
        let process = install.start("import", &instance);
        // Nothing asks for a walk while it lives.
        until(|| {
            let tracker = locked(&source.tracker);
            tracker.starts("import", &instance) == starts
        });
        drop(process);
    }
    drop(sampler);
    let table = source.walk();
    let group = table.group("import", &instance).unwrap();
    assert_eq!((group.totals.starts, group.now.processes), (3, 0));
}

#[test]
fn a_real_zombie_and_a_stopped_process_are_told() {
    let install = Install::new();
    let instance = "prod".to_owned();
    let source = install.source();
    let mut process = install.start("mta", &instance);
    let states = || source.walk().group("mta", &instance).map(|group| group.now.states);
    until(|| states().is_some_and(|states| states[ProcessState::Sleeping as usize] == 1));
    process.tell("kill -STOP $$\n");
    until(|| states() == Some([0, 0, 0, 1, 0, 0]));
    let pid = rustix::process::Pid::from_child(&process.0);
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    // Its parent has not waited for it.
    until(|| states() == Some([0, 0, 0, 0, 1, 0]));
    process.0.wait().unwrap();
    until(|| states() == Some([0; 6]));
}

#[test]
fn without_descriptors_to_keep_everything_is_still_read() {
    let install = Install::new();
    let instance = "prod".to_owned();
    let root = ProcRoot::open(Path::new("/proc")).unwrap();
    let _process = install.start("stat", &instance);
    for abilities in [root.abilities(), Abilities::default()] {
        let mut tracker = Tracker::new(&root, abilities, 0);
        tracker.set_installation(&install.installation());
        until(|| {
            let table = tracker.walk(&root, Instant::now());
            table.group("stat", &instance).is_some_and(|group| {
                group.now.open_descriptors.is_some() && group.totals.io.is_some() && group.now.processes == 1
            })
        });
        assert_eq!(tracker.walk(&root, Instant::now()).losses.broken, 0);
    }
}

#[test]
fn what_this_kernel_can_do_is_found_out() {
    let root = ProcRoot::open(Path::new("/proc")).unwrap();
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split(['.', '-']).map(|number| number.parse::<u32>().unwrap_or(0));
    let version = (numbers.next().unwrap(), numbers.next().unwrap());
    assert!(root.abilities().keeps);
    if version >= (6, 3) {
        until(|| root.abilities().counts_descriptors);
    }
    assert_eq!(ProcRoot::open(Path::new("/")).unwrap().abilities(), Abilities::default());
}
