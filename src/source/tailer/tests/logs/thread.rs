//! The thread of the reader: what it publishes and stores, and that it ends.

use super::*;

/// Waits until `condition` holds for what the reader publishes.
fn wait_for(reader: &TailerThread<LogsView>, what: &str, condition: impl Fn(&[Arc<LogView>], Option<bool>) -> bool) {
    let limit = Instant::now() + Duration::from_secs(120);
    loop {
        let published = reader.readings().published();
        if condition(&published.view.logs, published.stored) {
            return;
        }
        assert!(Instant::now() < limit, "{what}: {published:?}");
        std::thread::yield_now();
    }
}

fn start(host: &Host, start: Start, storage: &Path) -> TailerThread<LogsView> {
    let var = host.var();
    let make = move |wake: Arc<Wake>| {
        let kind = LogsKind::new(start, "/proc".into(), |_| false);
        Tailer::new(kind, Watch::kernel(Arc::clone(&wake)), wake)
    };
    TailerThread::start(move || Some(var.clone()), StorageAccess::ReadWrite(storage.to_owned()), make).unwrap()
}

fn total(logs: &[Arc<LogView>]) -> u64 {
    logs.iter().map(|log| log.counts.levels[0]).sum()
}

/// What is stored in `directory`, seen as by another exporter.
fn stored(directory: &Path) -> Vec<LogRecord> {
    Storage::new(directory.to_owned(), LogsKind::NAME).look().unwrap()
}

fn stored_logs(directory: &Path) -> (u64, u64) {
    let logs = stored(directory);
    let of = |record: &LogRecord| match record {
        LogRecord::Log(log) => (log.counts.levels[0], log.tally.rotations),
        LogRecord::Surveyed {} => (0, 0),
    };
    logs.iter().map(of).fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
}

#[test]
fn a_reader_goes_on_where_the_last_one_ended_and_stores_a_rotation_before_it_shows_it() {
    let host = Host::new();
    let storage = host.root.path().join("state");
    let start = || start(&host, Start::End, &storage);
    let reader = start();
    wait_for(&reader, "a first look", |_, stored| stored == Some(true));
    host.write("x.log", errors(10));
    wait_for(&reader, "ten", |logs, _| total(logs) == 10);
    for round in 1..=5 {
        host.rotate("x");
        host.write("x.log", errors(10));
        let rotations = |logs: &[Arc<LogView>]| logs.iter().map(|log| log.tally.rotations).sum::<u64>();
        wait_for(&reader, "a rotation", |logs, _| rotations(logs) == round);
        assert!(stored_logs(&storage).1 >= round, "it was shown before it was stored");
        wait_for(&reader, "ten more", |logs, _| total(logs) == 10 + 10 * round);
    }
    host.write("x.log", errors(1));
    reader.stop();
    assert!(stored_logs(&storage).0 >= 60, "everything is stored at the end");
    let reader = start();
    wait_for(&reader, "all", |logs, _| total(logs) == 61);
    assert!(reader.readings().is_alive());
}

#[test]
fn the_next_reader_has_the_storage_as_soon_as_the_last_one_has_ended() {
    let host = Host::new();
    // In memory where there is such a place: each reader makes what it stores durable.
    let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let storage = folder.path().join("state");
    let reader = start(&host, Start::End, &storage);
    wait_for(&reader, "a first look", |_, stored| stored == Some(true));
    host.write("x.log", errors(3));
    wait_for(&reader, "three", |logs, _| total(logs) == 3);
    reader.stop();
    for _ in 0..50 {
        let reader = start(&host, Start::End, &storage);
        wait_for(&reader, "the same", |logs, _| total(logs) == 3);
        reader.stop();
    }
}

#[test]
fn a_storage_that_is_removed_is_made_again() {
    let host = Host::new();
    let storage = host.root.path().join("state");
    host.write("x.log", errors(3));
    let reader = start(&host, Start::Beginning, &storage);
    wait_for(&reader, "a first state", |logs, stored| total(logs) == 3 && stored == Some(true));
    fs::remove_dir_all(&storage).unwrap();
    let limit = Instant::now() + Duration::from_secs(60);
    let mut written = 3;
    while !storage.join(STATE_FILE).exists() {
        assert!(Instant::now() < limit);
        // A rotation is stored at once.
        host.rotate("x");
        host.write("x.log", errors(1));
        written += 1;
        wait_for(&reader, "one more", |logs, _| total(logs) == written);
    }
    wait_for(&reader, "it is stored again", |_, stored| stored == Some(true));
    assert!(stored_logs(&storage).0 > 3);
}

#[test]
fn a_reader_that_may_only_look_writes_nothing() {
    let host = Host::new();
    let storage = host.root.path().join("state");
    let reader = start(&host, Start::End, &storage);
    wait_for(&reader, "a first look", |_, stored| stored == Some(true));
    host.write("x.log", errors(2));
    wait_for(&reader, "two", |logs, _| total(logs) == 2);
    reader.stop();
    let before = fs::read(storage.join(STATE_FILE)).unwrap();
    host.write("x.log", errors(1));
    let var = host.var();
    let access = StorageAccess::ReadOnly(storage.clone());
    let looks = TailerThread::start(move || Some(var.clone()), access, tailer_with).unwrap();
    wait_for(&looks, "three", |logs, stored| total(logs) == 3 && stored.is_none());
    looks.stop();
    assert_eq!(fs::read(storage.join(STATE_FILE)).unwrap(), before);
}

#[test]
fn a_storage_that_cannot_be_written_is_reported_and_done_without() {
    let host = Host::new();
    let storage = host.root.path().join("file");
    fs::write(&storage, "").unwrap();
    host.write("x.log", errors(10));
    let reader = start(&host, Start::Beginning, &storage);
    wait_for(&reader, "what is not stored", |logs, stored| total(logs) == 10 && stored == Some(false));
}

#[test]
fn a_reader_whose_disk_does_not_answer_can_be_ended() {
    let hangs = Arc::new(std::sync::Barrier::new(2));
    let theirs = Arc::clone(&hangs);
    let var = move || {
        theirs.wait();
        loop {
            std::thread::park();
        }
    };
    let reader = TailerThread::start(var, StorageAccess::None, tailer_with).unwrap();
    hangs.wait();
    let (ended, end) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        reader.stop();
        ended.send(()).unwrap();
    });
    end.recv_timeout(Duration::from_secs(60)).expect("the reader is left behind");
}

fn tailer_with(wake: Arc<Wake>) -> Tailer<LogsKind> {
    Tailer::new(LogsKind::new(Start::End, "/proc".into(), |_| false), Watch::Nobody, wake)
}

#[test]
fn a_damaged_state_is_set_aside_and_done_without() {
    let host = Host::new();
    host.write("x.log", errors(3));
    let storage = host.root.path().join("state");
    fs::create_dir_all(&storage).unwrap();
    fs::write(storage.join(STATE_FILE), "{\"format\":\"something else\"}\n{}\n").unwrap();
    let reader = start(&host, Start::Beginning, &storage);
    wait_for(&reader, "what is there", |logs, stored| total(logs) == 3 && stored == Some(true));
    assert!(storage.join("logs.json.damaged").exists());
}
