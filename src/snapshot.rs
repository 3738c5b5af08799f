//! Samples: a checked sink that takes nothing but what the catalog documents; the snapshot that a scrape is made of;
//! its encoding in the Prometheus text format 0.0.4. Remarks travel with them, for people alone: they are never encoded.
//!
//! Knows the catalog and nothing of where samples come from.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};
use prometheus::{Encoder, TextEncoder};

use crate::catalog::signals::exporter::DoubtReason;
use crate::catalog::{MetricDef, MetricKind, Text};

/// The content type of [`Snapshot::encode`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The most bytes that a label value may have; a longer one is cut at a character's boundary.
pub const MAX_LABEL_BYTES: usize = 256;

/// The most bytes that a remark's detail may have; a longer one is cut at a character's boundary.
pub const MAX_REMARK_BYTES: usize = 512;

/// The most remarks that are kept; further ones are counted.
pub const MAX_REMARKS: usize = 100;

/// Evidence for people, of what a check judges: it belongs in the log and on the page, and never in a label, for it
/// names programs, files and places without bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// The module that it is about.
    pub module: &'static str,
    /// Its Campaign instance.
    pub instance: String,
    /// The name of the check that it belongs to.
    pub check: &'static str,
    /// What is remarked, such as "another process holds this port".
    pub text: Text,
    /// What it is remarked of, in no language: a program, a file and a line.
    pub detail: String,
}

/// What one check says of one module.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Judgement {
    /// The module's name.
    pub module: String,
    /// Its Campaign instance.
    pub instance: String,
    /// The check's name.
    pub check: &'static str,
    /// Whether it passes.
    pub passes: bool,
}

/// Something that keeps the exporter from telling whether the modules are well.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Doubt {
    /// Of what kind.
    pub reason: DoubtReason,
    /// What it is about: a path, a file or a collector; no sentence.
    pub detail: String,
}

/// One series' value.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The label values, in the order of the definition's label names.
    pub labels: Vec<String>,
    /// The value, in the metric's unit.
    pub value: f64,
}

/// The samples of one metric.
#[derive(Clone, Debug)]
struct Family {
    def: &'static MetricDef,
    samples: Vec<Sample>,
}

/// The sink that collectors write to.
#[derive(Clone, Debug, Default)]
pub struct Samples {
    families: BTreeMap<&'static str, Family>,
    rejected: u64,
    remarks: Vec<Remark>,
    unkept_remarks: u64,
    judgements: Vec<Judgement>,
    doubts: Vec<Doubt>,
}

impl Samples {
    /// Adds one sample. `labels` are the values in the order of `def.labels`, each cut to [`MAX_LABEL_BYTES`].
    ///
    /// A sample with another number of labels than the definition has, or a value that is not a number, is not
    /// taken but counted in [`Samples::rejected`]: one defect must not cost the whole scrape.
    pub fn push(&mut self, def: &'static MetricDef, labels: &[&str], value: f64) {
        if labels.len() != def.labels.len() || value.is_nan() {
            self.rejected += 1;
            return;
        }
        let labels = labels.iter().map(|value| bounded(value).to_owned()).collect();
        self.family(def).samples.push(Sample { labels, value });
    }

    /// Adds one remark. Its detail is cut to [`MAX_REMARK_BYTES`], and control characters in it are replaced: what the
    /// machine calls its files must not change a terminal. The remarks after [`MAX_REMARKS`] are only counted.
    pub fn remark(&mut self, mut remark: Remark) {
        if self.remarks.len() >= MAX_REMARKS {
            self.unkept_remarks += 1;
            return;
        }
        remark.detail = cut(&remark.detail, MAX_REMARK_BYTES).replace(char::is_control, "\u{fffd}");
        remark.detail.truncate(cut(&remark.detail, MAX_REMARK_BYTES).len());
        self.remarks.push(remark);
    }

    /// Adds what the check called `check` says of a module; none: it can't be told, and the check is absent.
    pub fn judge(&mut self, check: &'static str, module: &str, instance: &str, verdict: Option<bool>) {
        if let Some(passes) = verdict {
            let (module, instance) = (module.to_owned(), instance.to_owned());
            self.judgements.push(Judgement { module, instance, check, passes });
        }
    }

    /// Adds a reason why something can't be told.
    pub fn doubt(&mut self, reason: DoubtReason, detail: impl Into<String>) {
        self.doubts.push(Doubt { reason, detail: detail.into() });
    }

    /// Takes every judgement back: nothing can be judged after all.
    pub fn withhold_judgements(&mut self) {
        self.judgements.clear();
    }

    /// Whether there is a doubt that leaves nothing to be judged.
    #[must_use]
    pub fn is_in_doubt_of_everything(&self) -> bool {
        self.doubts.iter().any(|doubt| doubt.reason.is_of_everything())
    }

    /// Adds everything that `other` holds.
    pub fn append(&mut self, other: Samples) {
        self.rejected += other.rejected;
        let room = MAX_REMARKS.saturating_sub(self.remarks.len());
        self.unkept_remarks += other.unkept_remarks + other.remarks.len().saturating_sub(room) as u64;
        self.remarks.extend(other.remarks.into_iter().take(room));
        self.judgements.extend(other.judgements);
        self.doubts.extend(other.doubts);
        for (name, family) in other.families {
            match self.families.entry(name) {
                Entry::Vacant(place) => {
                    place.insert(family);
                }
                Entry::Occupied(mut place) => place.get_mut().samples.extend(family.samples),
            }
        }
    }

    /// How many samples were not taken.
    #[must_use]
    pub fn rejected(&self) -> u64 {
        self.rejected
    }

    /// Every sample of `def`, in no particular order.
    pub fn of(&self, def: &MetricDef) -> impl Iterator<Item = &Sample> {
        self.families.get(def.name).into_iter().flat_map(|family| &family.samples)
    }

    /// Freezes what was collected: sorted by labels, without the second of two samples of the same series. Remarks are
    /// sorted by module, instance and check, those of one check as they came.
    #[must_use]
    pub fn freeze(mut self) -> Snapshot {
        for family in self.families.values_mut() {
            if !family.samples.is_sorted_by(|a, b| a.labels < b.labels) {
                family.samples.sort_by(|a, b| a.labels.cmp(&b.labels));
                let before = family.samples.len();
                family.samples.dedup_by(|later, first| later.labels == first.labels);
                self.rejected += (before - family.samples.len()) as u64;
            }
        }
        self.judgements.sort();
        self.doubts.sort();
        self.doubts.dedup();
        self.remarks.sort_by(|a, b| (a.module, &a.instance, a.check).cmp(&(b.module, &b.instance, b.check)));
        Snapshot { samples: self }
    }

    fn family(&mut self, def: &'static MetricDef) -> &mut Family {
        self.families.entry(def.name).or_insert_with(|| Family { def, samples: Vec::new() })
    }
}

/// What one scrape answers: sorted, without duplicates, never changed again.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    samples: Samples,
}

impl Snapshot {
    /// Every sample of `def`, ordered by label values.
    pub fn of(&self, def: &MetricDef) -> impl Iterator<Item = &Sample> {
        self.samples.of(def)
    }

    /// The value of one series.
    #[must_use]
    pub fn value(&self, def: &MetricDef, labels: &[&str]) -> Option<f64> {
        let family = self.samples.families.get(def.name)?;
        let order = |sample: &Sample| sample.labels.iter().map(String::as_str).cmp(labels.iter().copied());
        let at = family.samples.binary_search_by(order).ok()?;
        Some(family.samples[at].value)
    }

    /// This snapshot with what was concluded from it.
    #[must_use]
    pub fn with(mut self, conclusions: Samples) -> Snapshot {
        self.samples.append(conclusions);
        self.samples.freeze()
    }

    /// How many samples were not taken: wrong labels, no number, or a series given twice.
    #[must_use]
    pub fn rejected(&self) -> u64 {
        self.samples.rejected
    }

    /// What was remarked for people, ordered by module, instance and check.
    #[must_use]
    pub fn remarks(&self) -> &[Remark] {
        &self.samples.remarks
    }

    /// What the checks say, ordered by module, instance and check.
    #[must_use]
    pub fn judgements(&self) -> &[Judgement] {
        &self.samples.judgements
    }

    /// What can't be told, and why, ordered by reason.
    #[must_use]
    pub fn doubts(&self) -> &[Doubt] {
        &self.samples.doubts
    }

    /// How many remarks there were beyond [`MAX_REMARKS`].
    #[must_use]
    pub fn unkept_remarks(&self) -> u64 {
        self.samples.unkept_remarks
    }

    /// The text format 0.0.4, families ordered by name. Remarks are no part of it.
    ///
    /// # Errors
    /// Only what the encoder refuses, which the checks of [`Samples::push`] keep out.
    pub fn encode(self) -> Result<Vec<u8>, prometheus::Error> {
        let families: Vec<MetricFamily> = self
            .samples
            .families
            .into_values()
            .filter(|family| !family.samples.is_empty())
            .map(Family::into_proto)
            .collect();
        let mut text = Vec::with_capacity(64 * 1024);
        TextEncoder::new().encode(&families, &mut text)?;
        Ok(text)
    }
}

impl Family {
    fn into_proto(self) -> MetricFamily {
        let Family { def, samples } = self;
        let mut family = MetricFamily::default();
        family.set_name(def.name.to_owned());
        family.set_help(def.help.to_owned());
        family.set_field_type(match def.kind {
            MetricKind::Gauge => MetricType::GAUGE,
            MetricKind::Counter => MetricType::COUNTER,
        });
        family.set_metric(samples.into_iter().map(|sample| sample.into_proto(def)).collect());
        family
    }
}

impl Sample {
    fn into_proto(self, def: &MetricDef) -> Metric {
        let pairs = def.labels.iter().zip(self.labels).map(|(name, value)| {
            let mut pair = LabelPair::default();
            pair.set_name((*name).to_owned());
            pair.set_value(value);
            pair
        });
        let mut metric = Metric::from_label(pairs.collect());
        match def.kind {
            MetricKind::Gauge => {
                let mut gauge = Gauge::default();
                gauge.set_value(self.value);
                metric.set_gauge(gauge);
            }
            MetricKind::Counter => {
                let mut counter = Counter::default();
                counter.set_value(self.value);
                metric.set_counter(counter);
            }
        }
        metric
    }
}

/// Bytes of the machine as text for a label: valid UTF-8, and no longer than [`MAX_LABEL_BYTES`].
#[must_use]
pub fn label_text(bytes: &[u8]) -> Cow<'_, str> {
    match String::from_utf8_lossy(bytes) {
        Cow::Borrowed(text) => Cow::Borrowed(bounded(text)),
        Cow::Owned(mut text) => {
            text.truncate(bounded(&text).len());
            Cow::Owned(text)
        }
    }
}

fn bounded(text: &str) -> &str {
    cut(text, MAX_LABEL_BYTES)
}

fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

#[cfg(test)]
mod tests {
    use super::*;

    static GAUGE: MetricDef =
        MetricDef { name: "campaign_test", kind: MetricKind::Gauge, labels: &["module", "state"], help: "A test." };
    static COUNTER: MetricDef =
        MetricDef { name: "campaign_test_total", kind: MetricKind::Counter, labels: &[], help: "A test." };

    #[test]
    fn samples_are_encoded_sorted_with_help_and_type() {
        let mut samples = Samples::default();
        samples.push(&COUNTER, &[], 3.0);
        samples.push(&GAUGE, &["web", "a\"b\\c\nd"], 0.5);
        samples.push(&GAUGE, &["mta", "x"], 1.0);
        let text = String::from_utf8(samples.freeze().encode().unwrap()).unwrap();
        let expected = "# HELP campaign_test A test.\n# TYPE campaign_test gauge\n\
            campaign_test{module=\"mta\",state=\"x\"} 1\n\
            campaign_test{module=\"web\",state=\"a\\\"b\\\\c\\nd\"} 0.5\n\
            # HELP campaign_test_total A test.\n# TYPE campaign_test_total counter\ncampaign_test_total 3\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn what_the_catalog_does_not_allow_is_counted_and_left_out() {
        let mut samples = Samples::default();
        samples.push(&GAUGE, &["too few"], 1.0);
        samples.push(&GAUGE, &["a", "b"], f64::NAN);
        samples.push(&GAUGE, &["a", "b"], 1.0);
        samples.push(&GAUGE, &["a", "b"], 2.0);
        let snapshot = samples.freeze();
        assert_eq!(snapshot.rejected(), 3);
        assert_eq!(snapshot.value(&GAUGE, &["a", "b"]), Some(1.0));
        assert_eq!(snapshot.value(&GAUGE, &["a", "c"]), None);
    }

    #[test]
    fn label_values_are_valid_utf8_and_bounded() {
        assert_eq!(label_text(b"caf\xe9"), "caf\u{fffd}");
        assert_eq!(label_text("é".repeat(200).as_bytes()).len(), MAX_LABEL_BYTES);
        assert_eq!(label_text(&[0xff; 300]).chars().count(), MAX_LABEL_BYTES / 3);
        let mut samples = Samples::default();
        samples.push(&GAUGE, &[&"x".repeat(1000), ""], 1.0);
        assert_eq!(samples.of(&GAUGE).next().unwrap().labels[0].len(), MAX_LABEL_BYTES);
    }

    fn remark(module: &'static str, detail: &str) -> Remark {
        let text = Text { en: "held by", pt_br: "ocupada por" };
        Remark { module, instance: "prod".into(), check: "port", text, detail: detail.into() }
    }

    #[test]
    fn remarks_travel_with_the_samples_and_are_never_encoded() {
        let mut first = Samples::default();
        first.remark(remark("web", "b"));
        first.push(&COUNTER, &[], 3.0);
        let mut second = Samples::default();
        second.remark(remark("web", "a"));
        second.remark(remark("mta", "PID 123 (python3)"));
        first.append(second);
        let mut conclusions = Samples::default();
        conclusions.remark(remark("stat", "c"));
        let snapshot = first.freeze().with(conclusions);
        let details: Vec<_> = snapshot.remarks().iter().map(|one| (one.module, one.detail.as_str())).collect();
        assert_eq!(details, [("mta", "PID 123 (python3)"), ("stat", "c"), ("web", "b"), ("web", "a")]);
        assert_eq!((snapshot.rejected(), snapshot.unkept_remarks()), (0, 0));
        let text = String::from_utf8(snapshot.encode().unwrap()).unwrap();
        assert_eq!(
            text,
            "# HELP campaign_test_total A test.\n# TYPE campaign_test_total counter\ncampaign_test_total 3\n"
        );
    }

    #[test]
    fn a_remark_is_bounded_and_can_not_change_a_terminal() {
        let mut samples = Samples::default();
        samples.remark(remark("web", &"é".repeat(1000)));
        samples.remark(remark("web", "a\u{1b}[31mb\nc"));
        samples.remark(remark("web", &"\u{1b}".repeat(1000)));
        let snapshot = samples.freeze();
        let details: Vec<_> = snapshot.remarks().iter().map(|one| one.detail.as_str()).collect();
        assert_eq!(details[0].len(), MAX_REMARK_BYTES);
        assert_eq!(details[1], "a\u{fffd}[31mb\u{fffd}c");
        assert_eq!(details[2], "\u{fffd}".repeat(MAX_REMARK_BYTES / 3));
    }

    #[test]
    fn the_number_of_remarks_is_bounded_and_the_rest_is_counted() {
        let many = |count: usize| {
            let mut samples = Samples::default();
            (0..count).for_each(|number| samples.remark(remark("web", &number.to_string())));
            samples
        };
        let mut samples = many(MAX_REMARKS - 1);
        samples.append(many(MAX_REMARKS + 3));
        let snapshot = samples.freeze();
        assert_eq!(snapshot.remarks().len(), MAX_REMARKS);
        assert_eq!(snapshot.unkept_remarks(), (MAX_REMARKS - 1) as u64 + 3);
        assert_eq!(snapshot.with(many(1)).unkept_remarks(), (MAX_REMARKS - 1) as u64 + 4);
    }
}
