//! Samples: a checked sink that takes nothing but what the catalog documents; the snapshot that a scrape is made of;
//! its encoding in the Prometheus text format 0.0.4. Remarks travel with them, for people alone: they are never encoded.
//!
//! The labels of a series are encoded once, when it is first seen, and kept: a scrape that finds the same series as the
//! one before only writes their values ([`SeriesMemory`]). Series with the same labels that come one after the other
//! share them.
//!
//! Depends on the catalog, and not on where samples come from.

mod exposition;
mod labels;

use std::ops::Deref;
use std::sync::Arc;

pub use exposition::{CONTENT_TYPE, Exposition};
pub use labels::Labels;

use crate::catalog::signals::exporter::DoubtReason;
use crate::catalog::{MetricDef, Text};
use crate::label::MAX_LABEL_BYTES;
use labels::encoded;

/// The most bytes that a remark's detail may have; a longer one is cut at a character's boundary.
pub const MAX_REMARK_BYTES: usize = 512;

/// The most remarks that are kept; further ones are counted.
pub const MAX_REMARKS: usize = 100;

/// How many series of the scrape before are passed over to find one again that is not where it was.
const LOOK_AHEAD: usize = 64;

/// How many series that came just before are asked for the same labels: a collector gives all values of one thing together.
const LOOK_BACK: usize = 32;

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
    /// The module, and its Campaign instance, that can't be called well for it; none where that is no single one.
    pub of: Option<(&'static str, String)>,
}

impl Doubt {
    /// Whether it is about this module alone.
    #[must_use]
    pub fn is_of(&self, module: &str, instance: &str) -> bool {
        self.of.as_ref().is_some_and(|(name, of)| *name == module && of == instance)
    }
}

/// One series' value.
#[derive(Clone, Debug)]
pub struct Sample {
    labels: Labels,
    /// The value, in the metric's unit.
    pub value: f64,
}

impl Deref for Sample {
    type Target = Labels;

    fn deref(&self) -> &Labels {
        &self.labels
    }
}

/// What a sink was given, in the order in which it came, for the next one: mostly that gets the same.
#[derive(Debug, Default)]
pub struct SeriesMemory {
    /// Each without its samples, and how many it had.
    families: Vec<(Family, usize)>,
    /// Each with the place of its family.
    series: Vec<(usize, Labels)>,
}

/// The order in which the series of a metric came. A sink that is given the same series as the one before need not sort
/// them again.
#[derive(Clone, Debug, Default)]
enum Order {
    /// Not known.
    #[default]
    Unknown,
    /// Sorted by their labels, with no series twice.
    Sorted,
    /// The same once those at these places are taken one after the other.
    Places(Arc<[u32]>),
}

/// The samples of one metric.
#[derive(Clone, Debug)]
struct Family {
    def: &'static MetricDef,
    /// Its help and its type in the text format.
    header: Arc<str>,
    samples: Vec<Sample>,
    order: Order,
    /// Whether some are of another sink.
    is_shared: bool,
}

/// The sink that collectors write to.
#[derive(Clone, Debug, Default)]
pub struct Samples {
    families: Vec<Family>,
    /// The series of before and of now, each with the place of its family; those up to `given` are of now.
    series: Vec<(usize, Labels)>,
    given: usize,
    /// Whether the series up to `given` are not those of before.
    differs: bool,
    rejected: u64,
    remarks: Vec<Remark>,
    unkept_remarks: u64,
    judgements: Vec<Judgement>,
    doubts: Vec<Doubt>,
}

impl Samples {
    /// An empty sink that finds again what one before was given.
    #[must_use]
    pub fn after(memory: SeriesMemory) -> Self {
        let with_room = |(mut family, count): (Family, usize)| {
            family.samples.reserve_exact(count);
            family
        };
        let families = memory.families.into_iter().map(with_room).collect();
        Self { families, series: memory.series, ..Self::default() }
    }

    /// What was pushed, for the next sink.
    #[must_use]
    pub fn take_memory(&mut self) -> SeriesMemory {
        let mut series = std::mem::take(&mut self.series);
        let given = std::mem::take(&mut self.given);
        if std::mem::take(&mut self.differs) || given < series.len() {
            self.families.iter_mut().for_each(|family| family.order = family.find_order());
            series.truncate(given);
            series.shrink_to_fit();
        }
        let families = self.families.iter().map(|family| (family.without_samples(), family.samples.len())).collect();
        SeriesMemory { families, series }
    }

    /// Adds one sample. `labels` are the values in the order of `def.labels`, each cut to [`MAX_LABEL_BYTES`].
    ///
    /// A sample with another number of labels than the definition has, or a value that is not a number, is not
    /// taken but counted in [`Samples::rejected`]: one defect must not cost the whole scrape.
    pub fn push(&mut self, def: &'static MetricDef, labels: &[&str], value: f64) {
        if labels.len() != def.labels.len() || value.is_nan() {
            self.rejected += 1;
            return;
        }
        match self.series(def, labels) {
            Some((family, labels)) => {
                let family = &mut self.families[family];
                family.samples.push(Sample { labels, value });
                if family.is_shared {
                    family.order = Order::Unknown;
                }
            }
            None => self.rejected += 1,
        }
    }

    /// The labels of the next series, and the place of its family: one that is remembered, or a new one.
    fn series(&mut self, def: &'static MetricDef, values: &[&str]) -> Option<(usize, Labels)> {
        let is_it =
            |(family, labels): &(usize, Labels)| std::ptr::eq(self.families[*family].def, def) && labels.are(values);
        match self.series[self.given..].iter().take(LOOK_AHEAD).position(is_it) {
            Some(0) => {}
            Some(passed) => {
                self.differ();
                self.series.drain(self.given..self.given + passed);
            }
            None => {
                self.differ();
                let (header, labels) = encoded(def, values)?;
                let mut recent = self.series[..self.given].iter().rev().take(LOOK_BACK).map(|(_, recent)| recent);
                let labels = recent.find(|recent| **recent == labels).cloned().unwrap_or(labels);
                let family = self.family(def, header);
                self.series.insert(self.given, (family, labels));
            }
        }
        let (family, labels) = &self.series[self.given];
        self.given += 1;
        Some((*family, labels.clone()))
    }

    /// Takes note that the series are not those of before.
    fn differ(&mut self) {
        if !std::mem::replace(&mut self.differs, true) {
            self.families.iter_mut().for_each(|family| family.order = Order::Unknown);
        }
    }

    /// The place of a metric's family.
    fn family(&mut self, def: &'static MetricDef, header: impl Into<Arc<str>>) -> usize {
        self.families.iter().position(|family| family.def.name == def.name).unwrap_or_else(|| {
            self.families.push(Family::new(def, header.into(), Order::Unknown));
            self.families.len() - 1
        })
    }

    /// Adds one remark. Its detail is cut to [`MAX_REMARK_BYTES`], and control characters in it are replaced: file
    /// names must not control a terminal. The remarks after [`MAX_REMARKS`] are only counted.
    pub fn remark(&mut self, mut remark: Remark) {
        if self.remarks.len() >= MAX_REMARKS {
            self.unkept_remarks += 1;
            return;
        }
        remark.detail = printable(&remark.detail);
        self.remarks.push(remark);
    }

    /// Adds what the check called `check` says of a module; none: it is unknown, and the check is absent.
    pub fn judge(&mut self, check: &'static str, module: &str, instance: &str, verdict: Option<bool>) {
        if let Some(passes) = verdict {
            let (module, instance) = (module.to_owned(), instance.to_owned());
            self.judgements.push(Judgement { module, instance, check, passes });
        }
    }

    /// Adds a reason why something is unknown.
    pub fn doubt(&mut self, reason: DoubtReason, detail: impl Into<String>) {
        self.doubts.push(Doubt { reason, detail: printable(&detail.into()), of: None });
    }

    /// Adds a reason why it is unknown whether a module is well.
    pub fn doubt_of(&mut self, module: &'static str, instance: &str, reason: DoubtReason, detail: impl Into<String>) {
        let of = Some((module, instance.to_owned()));
        self.doubts.push(Doubt { reason, detail: printable(&detail.into()), of });
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

    /// Adds what `conclude` draws from the judgements, ordered by module, instance and check, and from the doubts.
    pub fn conclude(&mut self, conclude: impl FnOnce(&[Judgement], &[Doubt], &mut Samples)) {
        self.order_verdicts();
        let (mut judgements, mut doubts) = (std::mem::take(&mut self.judgements), std::mem::take(&mut self.doubts));
        conclude(&judgements, &doubts, self);
        judgements.append(&mut self.judgements);
        doubts.append(&mut self.doubts);
        (self.judgements, self.doubts) = (judgements, doubts);
    }

    fn order_verdicts(&mut self) {
        self.judgements.sort();
        self.doubts.sort();
        self.doubts.dedup();
    }

    /// Adds everything that `other` holds.
    pub fn append(&mut self, other: Samples) {
        self.rejected += other.rejected;
        let room = MAX_REMARKS.saturating_sub(self.remarks.len());
        self.unkept_remarks += other.unkept_remarks + other.remarks.len().saturating_sub(room) as u64;
        self.remarks.extend(other.remarks.into_iter().take(room));
        self.judgements.extend(other.judgements);
        self.doubts.extend(other.doubts);
        for family in other.families.into_iter().filter(|family| !family.samples.is_empty()) {
            let place = self.family(family.def, family.header);
            let own = &mut self.families[place];
            own.is_shared = true;
            if own.samples.is_empty() {
                (own.samples, own.order) = (family.samples, family.order);
            } else {
                own.samples.extend(family.samples);
                own.order = Order::Unknown;
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
        self.families.iter().filter(|family| family.def.name == def.name).flat_map(|family| &family.samples)
    }

    /// Freezes what was collected: sorted by labels, without the second of two samples of the same series. Remarks are
    /// sorted by module, instance and check, those of one check as they came.
    #[must_use]
    pub fn freeze(mut self) -> Snapshot {
        for family in &mut self.families {
            self.rejected += family.sort();
        }
        self.families.retain(|family| !family.samples.is_empty());
        self.families.sort_by_key(|family| family.def.name);
        (self.series, self.given) = (Vec::new(), 0);
        self.order_verdicts();
        self.remarks.sort_by(|a, b| (a.module, &a.instance, a.check).cmp(&(b.module, &b.instance, b.check)));
        Snapshot { samples: self }
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
        let family = self.samples.families.iter().find(|family| family.def.name == def.name)?;
        let order = |sample: &Sample| sample.values().cmp(labels.iter().map(|label| label.as_bytes()));
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

    /// What is unknown, and why, ordered by reason.
    #[must_use]
    pub fn doubts(&self) -> &[Doubt] {
        &self.samples.doubts
    }

    /// How many remarks there were beyond [`MAX_REMARKS`].
    #[must_use]
    pub fn unkept_remarks(&self) -> u64 {
        self.samples.unkept_remarks
    }

    /// What a scrape answers of it.
    #[must_use]
    pub fn into_exposition(self) -> Exposition {
        Exposition::new(self.samples.families)
    }
}

impl Family {
    fn new(def: &'static MetricDef, header: Arc<str>, order: Order) -> Self {
        Self { def, header, samples: Vec::new(), order, is_shared: false }
    }

    fn without_samples(&self) -> Self {
        Self::new(self.def, Arc::clone(&self.header), self.order.clone())
    }

    /// The order of the samples; unknown where a series is given twice, or where it depends on another sink.
    fn find_order(&self) -> Order {
        let values = |place: &u32| self.samples[*place as usize].values();
        let Ok(count) = u32::try_from(self.samples.len()) else { return Order::Unknown };
        let mut places: Vec<u32> = (0..count).collect();
        places.sort_by(|a, b| values(a).cmp(values(b)));
        match self.is_shared || !places.is_sorted_by(|a, b| values(a).lt(values(b))) {
            true => Order::Unknown,
            false if places.is_sorted() => Order::Sorted,
            false => Order::Places(places.into()),
        }
    }

    /// Sorts the samples by labels, and leaves the second of two of the same series out. How many those were.
    fn sort(&mut self) -> u64 {
        match std::mem::replace(&mut self.order, Order::Sorted) {
            Order::Sorted => return 0,
            Order::Places(places) if places.len() == self.samples.len() => {
                self.samples = places.iter().map(|place| self.samples[*place as usize].clone()).collect();
                return 0;
            }
            Order::Places(_) | Order::Unknown => {}
        }
        self.samples.sort_by(|a, b| a.values().cmp(b.values()));
        let before = self.samples.len();
        self.samples.dedup_by(|later, first| later.values().eq(first.values()));
        (before - self.samples.len()) as u64
    }
}

fn bounded(text: &str) -> &str {
    cut(text, MAX_LABEL_BYTES)
}

/// The text without what could control a terminal, and no longer than [`MAX_REMARK_BYTES`].
fn printable(text: &str) -> String {
    let mut printable = cut(text, MAX_REMARK_BYTES).replace(char::is_control, "\u{fffd}");
    printable.truncate(cut(&printable, MAX_REMARK_BYTES).len());
    printable
}

fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::MetricKind;

    pub(super) static GAUGE: MetricDef =
        MetricDef { name: "campaign_test", kind: MetricKind::Gauge, labels: &["module", "state"], help: "A test." };
    static COUNTER: MetricDef =
        MetricDef { name: "campaign_test_total", kind: MetricKind::Counter, labels: &[], help: "A test." };

    fn text(snapshot: &Snapshot) -> String {
        let mut text = Vec::new();
        snapshot.clone().into_exposition().write_to(&mut text).unwrap();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn samples_are_encoded_sorted_with_help_and_type() {
        let mut samples = Samples::default();
        samples.push(&COUNTER, &[], 3.0);
        samples.push(&GAUGE, &["web", "a\"b\\c\nd"], 0.5);
        samples.push(&GAUGE, &["mta", "x"], 1.0);
        let text = text(&samples.freeze());
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

    /// What a sink that remembers `memory` makes of these samples, each series with its own value, and what it remembers.
    fn text_after(memory: SeriesMemory, series: &[&str]) -> (String, SeriesMemory) {
        let mut samples = Samples::after(memory);
        for (value, state) in (0..).zip(series) {
            samples.push(&GAUGE, &["web", state], f64::from(value));
            samples.push(&COUNTER, &[], 7.0);
        }
        let memory = samples.take_memory();
        (text(&samples.freeze()), memory)
    }

    #[test]
    fn a_sink_that_remembers_says_the_same_as_one_that_does_not() {
        let scrapes: [&[&str]; 9] = [
            &["a", "b", "c"],
            &["a", "b", "c"],
            &["b", "c"],
            &["x", "b", "c"],
            &["c", "b"],
            &[],
            &["d"],
            &["d", "d"],
            &["a", "b"],
        ];
        let mut memory = SeriesMemory::default();
        for series in scrapes {
            let (text, remembered) = text_after(memory, series);
            assert_eq!(text, text_after(SeriesMemory::default(), series).0, "{series:?}");
            memory = remembered;
        }
        let many: Vec<String> = (0..1000).map(|number| format!("state{number}")).collect();
        let mut many: Vec<&str> = many.iter().map(String::as_str).collect();
        for _ in 0..3 {
            let (text, remembered) = text_after(memory, &many);
            assert_eq!(text, text_after(SeriesMemory::default(), &many).0);
            memory = remembered;
            many.drain(100..400);
        }
        assert_eq!(memory.series.len(), 2 * 400, "nothing is remembered that is gone");
    }

    /// What two sinks that remember make of these states, one of them given in between, and what they remember.
    fn text_of_two(memories: [SeriesMemory; 2], states: &[Vec<u8>; 3]) -> (String, [SeriesMemory; 2]) {
        let push = |samples: &mut Samples, states: &[u8]| {
            for state in states {
                samples.push(&GAUGE, &["web", &state.to_string()], f64::from(*state));
            }
        };
        let [mut own, mut other] = memories.map(Samples::after);
        push(&mut own, &states[0]);
        push(&mut other, &states[1]);
        let of_other = other.take_memory();
        own.append(other);
        push(&mut own, &states[2]);
        let memories = [own.take_memory(), of_other];
        (text(&own.freeze()), memories)
    }

    proptest::proptest! {
        #[test]
        fn sinks_that_remember_say_the_same_in_whatever_order_they_are_given_series(
            scrapes in proptest::collection::vec(
                proptest::array::uniform3(proptest::collection::vec(0_u8..5, 0..4)), 1..8),
        ) {
            let mut memories = <[SeriesMemory; 2]>::default();
            // Each twice: what is the same as before is where something is taken as known.
            for states in scrapes.iter().flat_map(|states| [states, states]) {
                let (text, remembered) = text_of_two(memories, states);
                proptest::prop_assert_eq!(text, text_of_two(Default::default(), states).0);
                memories = remembered;
            }
        }
    }

    #[test]
    fn a_series_that_is_there_again_is_not_made_again() {
        let (_, memory) = text_after(SeriesMemory::default(), &["a", "b", "c"]);
        let lines =
            |memory: &SeriesMemory| memory.series.iter().map(|(_, labels)| labels.line().as_ptr()).collect::<Vec<_>>();
        let before = lines(&memory);
        let (_, memory) = text_after(memory, &["a", "b", "c"]);
        assert_eq!(lines(&memory), before);
        let (_, memory) = text_after(memory, &["b", "c"]);
        assert_eq!(lines(&memory), before[2..]);
    }

    #[test]
    fn series_with_the_same_labels_share_them() {
        static OTHER: MetricDef = MetricDef { name: "campaign_other", ..GAUGE };
        static THIRD: MetricDef = MetricDef { name: "campaign_third", labels: &["module", "other"], ..GAUGE };
        let mut samples = Samples::default();
        for def in [&GAUGE, &OTHER, &THIRD] {
            samples.push(def, &["web", "a"], 1.0);
        }
        let of = |def| samples.of(def).next().unwrap().line().as_ptr();
        assert_eq!(of(&GAUGE), of(&OTHER));
        assert_ne!(of(&GAUGE), of(&THIRD), "its label has another name");
    }

    #[test]
    fn label_values_are_bounded() {
        let mut samples = Samples::default();
        samples.push(&GAUGE, &[&"x".repeat(1000), ""], 1.0);
        assert_eq!(samples.of(&GAUGE).next().unwrap().label(0).len(), MAX_LABEL_BYTES);
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
        let text = text(&snapshot);
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
