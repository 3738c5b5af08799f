//! The collector `tracking`: the tracking logs that wait to be collected, and whether the job can read them.
//!
//! `source::tailer::tracking` reads the files, `health` judges.

use super::{
    CollectError, Collector, Context, Losses, Outcome, evidence_folder, float, instance_label, published, show_stored,
};
use crate::catalog::attributes::TRACKING_LOGS_SIZE;
use crate::catalog::modules::DEFAULT_INSTANCE;
use crate::catalog::signals::tracking::{
    COLLECTOR, CORRUPT_LINE, LOG_INTEGRITY, TRACKING_LOG_BYTES, TRACKING_LOG_CORRUPT_FILES, TRACKING_LOG_CORRUPT_LINES,
    TRACKING_LOG_FILES, TRACKING_LOG_FILES_NOT_FOLLOWED, TRACKING_LOG_LINES, TRACKING_LOG_NEWEST,
    TRACKING_LOG_SIZE_LIMIT, TRACKING_LOG_SKIPPED_BYTES, WRITER,
};
use crate::health::{self, DoubtReason};
use crate::snapshot::{Remark, Samples};
use crate::source::installation::Installation;
use crate::source::tailer::tracking::{FOLDER, InstanceTracking, Tracking, TrackingView};
use crate::source::tailer::{Published, reason};

/// Shows what the reader of the tracking logs found.
#[derive(Debug)]
pub struct TrackingLogs {
    tracking: Tracking,
}

impl TrackingLogs {
    /// Shows `tracking`.
    #[must_use]
    pub fn new(tracking: Tracking) -> Self {
        Self { tracking }
    }
}

impl Collector for TrackingLogs {
    /// Partial when something may not or can't be read; not applicable where no instance has tracking logs.
    ///
    /// # Errors
    /// When the reader of the files does not answer any more, or has not read them yet.
    fn collect(&self, cx: &Context, out: &mut Samples) -> Result<Outcome, CollectError> {
        Ok(samples(&published(&self.tracking, "tracking logs", cx.deadline)?, &cx.installation, out))
    }
}

fn samples(published: &Published<TrackingView>, installation: &Installation, out: &mut Samples) -> Outcome {
    show_stored(COLLECTOR, published.stored, out);
    let view = &published.view;
    let mut losses = Losses::default();
    let label = |instance| instance_label(instance, installation, view.instances.iter().map(|one| &*one.instance));
    for one in &view.instances {
        push(one, &label(&one.instance), installation, out);
    }
    let corrupt = view.instances.iter().map(|one| one.corrupt_files);
    out.judge(
        LOG_INTEGRITY.name,
        WRITER.name,
        DEFAULT_INSTANCE,
        health::log_integrity(corrupt, view.troubles.values().sum()),
    );
    for ((instance, trouble), times) in &view.troubles {
        let instance = label(instance);
        out.push(&TRACKING_LOG_FILES_NOT_FOLLOWED, &[&instance, reason(*trouble)], float(*times));
        let folder = evidence_folder(&instance, FOLDER);
        out.doubt_of(WRITER.name, DEFAULT_INSTANCE, DoubtReason::EvidenceUnreadable, folder);
        losses.add((*trouble).into(), *times);
    }
    match losses.into_outcome() {
        Outcome::Complete if view.instances.is_empty() => Outcome::NotApplicable,
        outcome => outcome,
    }
}

fn push(view: &InstanceTracking, instance: &str, installation: &Installation, out: &mut Samples) {
    let labels = [instance];
    // One writer for all instances, and so one configuration.
    let limit = installation.settings(DEFAULT_INSTANCE).number(&TRACKING_LOGS_SIZE).unwrap_or_default();
    out.push(&TRACKING_LOG_FILES, &labels, float(view.files));
    out.push(&TRACKING_LOG_BYTES, &labels, float(view.bytes));
    out.push(&TRACKING_LOG_SIZE_LIMIT, &labels, float(limit));
    if let Some((seconds, nanoseconds)) = view.newest {
        #[expect(clippy::cast_precision_loss, reason = "seconds of any calendar year are exact")]
        out.push(&TRACKING_LOG_NEWEST, &labels, seconds as f64 + nanoseconds as f64 / 1e9);
    }
    out.push(&TRACKING_LOG_LINES, &labels, float(view.totals.lines));
    out.push(&TRACKING_LOG_CORRUPT_LINES, &labels, float(view.totals.corrupt));
    out.push(&TRACKING_LOG_CORRUPT_FILES, &labels, float(view.corrupt_files));
    out.push(&TRACKING_LOG_SKIPPED_BYTES, &labels, float(view.totals.skipped_bytes));
    for place in &view.places {
        let file = place.file.as_encoded_bytes().escape_ascii();
        out.remark(Remark {
            module: WRITER.name,
            instance: DEFAULT_INSTANCE.to_owned(),
            check: LOG_INTEGRITY.name,
            text: CORRUPT_LINE,
            detail: format!("var/{instance}/{FOLDER}/{file}:{}", place.line),
        });
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use super::*;
    use crate::catalog::signals::logs::STORAGE_SUCCESSFUL;
    use crate::parse::conf::{ServerConf, Settings};
    use crate::snapshot::Snapshot;
    use crate::source::kit::Miss;
    use crate::source::tailer::tracking::{CorruptLine, TrackingTotals};

    fn view() -> InstanceTracking {
        InstanceTracking {
            instance: "prod".into(),
            files: 1,
            bytes: 2,
            newest: Some((3, 500_000_000)),
            totals: TrackingTotals { lines: 4, corrupt: 5, skipped_bytes: 6 },
            corrupt_files: 7,
            places: vec![CorruptLine { file: "0x\u{1b}1.log".into(), line: 8 }],
        }
    }

    fn collect(view: TrackingView, trackinglogd: &str) -> (Snapshot, Outcome) {
        let settings = |attributes: &str| {
            let conf = format!("<serverconf><trackinglogd {attributes}/></serverconf>");
            Settings::overlay(None, Some(Arc::new(ServerConf::parse(conf.as_bytes()).unwrap())))
        };
        let mut installation = Installation::default();
        installation.instances.insert(DEFAULT_INSTANCE.into(), settings(trackinglogd));
        installation.instances.insert("prod".into(), settings("maxLogsSizeOnDiskMb='7'"));
        let mut out = Samples::default();
        let outcome = samples(&Published::new(Arc::new(view), Some(true)), &installation, &mut out);
        (out.freeze(), outcome)
    }

    #[test]
    fn everything_that_was_found_is_shown() {
        let troubles = BTreeMap::from([(("prod".into(), Miss::Denied), 9)]);
        let view = TrackingView { instances: vec![view()], troubles };
        let (snapshot, outcome) = collect(view, "maxLogsSizeOnDiskMb='10'");
        assert!(
            matches!(outcome, Outcome::Partial(losses) if losses.iter().eq([(super::super::ErrorKind::Permission, 9)]))
        );
        for (def, expected) in [
            (&TRACKING_LOG_FILES, 1.0),
            (&TRACKING_LOG_BYTES, 2.0),
            (&TRACKING_LOG_NEWEST, 3.5),
            (&TRACKING_LOG_LINES, 4.0),
            (&TRACKING_LOG_CORRUPT_LINES, 5.0),
            (&TRACKING_LOG_SKIPPED_BYTES, 6.0),
            (&TRACKING_LOG_CORRUPT_FILES, 7.0),
            (&TRACKING_LOG_SIZE_LIMIT, 10_485_760.0),
        ] {
            assert_eq!(snapshot.value(def, &["prod"]), Some(expected), "{}", def.name);
        }
        assert_eq!(snapshot.value(&TRACKING_LOG_FILES_NOT_FOLLOWED, &["prod", "permission"]), Some(9.0));
        assert_eq!(snapshot.value(&STORAGE_SUCCESSFUL, &["tracking"]), Some(1.0));
        let details: Vec<&str> = snapshot.remarks().iter().map(|remark| remark.detail.as_str()).collect();
        assert_eq!(details, ["var/prod/redir/log/0x\\x1b1.log:8"], "plain characters alone");
    }

    #[test]
    fn the_documented_limit_holds_where_none_is_configured() {
        let (snapshot, _) = collect(TrackingView { instances: vec![view()], ..TrackingView::default() }, "");
        assert_eq!(snapshot.value(&TRACKING_LOG_SIZE_LIMIT, &["prod"]), Some(500.0 * 1024.0 * 1024.0));
    }

    #[test]
    fn a_host_that_is_no_redirection_server_is_no_failure() {
        assert_eq!(collect(TrackingView::default(), "").1, Outcome::NotApplicable);
        let unreadable =
            TrackingView { troubles: BTreeMap::from([(("".into(), Miss::Denied), 1)]), ..TrackingView::default() };
        let (snapshot, outcome) = collect(unreadable, "");
        assert!(matches!(outcome, Outcome::Partial(_)));
        assert_eq!(snapshot.value(&TRACKING_LOG_FILES_NOT_FOLLOWED, &["", "permission"]), Some(1.0));
        let doubts: Vec<_> = snapshot
            .doubts()
            .iter()
            .map(|doubt| (doubt.is_of(WRITER.name, DEFAULT_INSTANCE), &*doubt.detail))
            .collect();
        assert_eq!(doubts, [(true, "var")]);
    }
}
