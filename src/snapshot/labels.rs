//! The labels of a series: written once, in the text format 0.0.4 and as they are.

use prometheus::TextEncoder;
use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};
use triomphe::ThinArc;

use super::bounded;
use crate::catalog::{MetricDef, MetricKind};

/// The labels of a series. There are thousands of them, so that everything of one is in one place:
///
/// | what | bytes |
/// |---|---|
/// | where its line begins, and where that ends | two numbers of two bytes |
/// | where each value begins and ends, in the order of the definition's label names | two numbers each |
/// | its line in the text format, from the end of the metric's name up to the value | |
/// | the label values that are written otherwise there | |
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labels(ThinArc<(), u8>);

impl Labels {
    /// Those of a line and label values; none where they are too long.
    fn new(line: &str, values: &[&str]) -> Option<Self> {
        let begin = (2 + 2 * values.len()) * size_of::<u16>();
        let mut numbers = vec![begin, begin + line.len()];
        let (mut text, mut searched) = (line.to_owned(), 0);
        for value in values {
            // A value comes behind its name and a quotation mark.
            let quoted = format!("=\"{value}\"");
            let found = line.get(searched..)?.find(&quoted).map(|place| searched + place + 2);
            let place = found.unwrap_or_else(|| {
                text.push_str(value);
                text.len() - value.len()
            });
            if found.is_some() {
                searched = place + value.len();
            }
            numbers.extend([begin + place, begin + place + value.len()]);
        }
        let numbers: Vec<u16> = numbers.into_iter().map(u16::try_from).collect::<Result<_, _>>().ok()?;
        let numbers = numbers.into_iter().flat_map(u16::to_le_bytes);
        let bytes: Vec<u8> = numbers.chain(text.into_bytes()).collect();
        Some(Self(ThinArc::from_header_and_slice((), &bytes)))
    }

    /// Pairs of numbers: where each part of the bytes begins, and where it ends.
    fn pairs(&self) -> impl Iterator<Item = &[u8; 4]> {
        let bytes = self.bytes();
        let begin = usize::from(u16::from_le_bytes([bytes[0], bytes[1]]));
        bytes[..begin].as_chunks().0.iter()
    }

    /// The part that a pair is about.
    fn part(&self, pair: &[u8; 4]) -> &[u8] {
        let [begin, end] = [[pair[0], pair[1]], [pair[2], pair[3]]].map(u16::from_le_bytes);
        &self.bytes()[usize::from(begin)..usize::from(end)]
    }

    fn bytes(&self) -> &[u8] {
        &self.0.slice
    }

    /// A value by its place among the definition's label names; empty where there is no such label.
    #[must_use]
    pub fn label(&self, at: usize) -> &str {
        let value = self.values().nth(at).unwrap_or_default();
        std::str::from_utf8(value).unwrap_or_default()
    }

    /// The values as bytes, which are quicker to compare: that is done for every sample of every scrape.
    pub(super) fn values(&self) -> impl Iterator<Item = &[u8]> {
        self.pairs().skip(1).map(|pair| self.part(pair))
    }

    /// Its line in the text format, from the end of the metric's name up to the value.
    pub(super) fn line(&self) -> &[u8] {
        self.pairs().next().map_or(&[], |pair| self.part(pair))
    }

    /// Whether these are the values, as [`super::Samples::push`] bounds them.
    pub(super) fn are(&self, values: &[&str]) -> bool {
        self.values().zip(values).all(|(own, other)| own == other.as_bytes() || own == bounded(other).as_bytes())
    }
}

/// A metric's help and type in the text format, and the labels of a series of it.
pub(super) fn encoded(def: &'static MetricDef, labels: &[&str]) -> Option<(String, Labels)> {
    let labels: Vec<&str> = labels.iter().map(|value| bounded(value)).collect();
    let pairs = def.labels.iter().zip(&labels).map(|(name, value)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value((*value).to_owned());
        pair
    });
    let mut metric = Metric::from_label(pairs.collect());
    let mut family = MetricFamily::default();
    family.set_name(def.name.to_owned());
    family.set_help(def.help.to_owned());
    match def.kind {
        MetricKind::Gauge => {
            family.set_field_type(MetricType::GAUGE);
            metric.set_gauge(Gauge::default());
        }
        MetricKind::Counter => {
            family.set_field_type(MetricType::COUNTER);
            metric.set_counter(Counter::default());
        }
    }
    family.set_metric(vec![metric]);
    let mut header = TextEncoder::new().encode_to_string(&[family]).ok()?;
    // The value is 0, and no line has an end in it.
    header.truncate(header.len() - "0\n".len());
    let line = header.split_off(header.rfind('\n').map_or(0, |end| end + 1));
    Some((header, Labels::new(line.strip_prefix(def.name)?, &labels)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::label::MAX_LABEL_BYTES;
    use crate::snapshot::tests::GAUGE;

    #[test]
    fn labels_know_their_values_however_they_are_written() {
        let all = ["", "a", "=\"a\"", "a\"b\\c\nd", "state", "é"];
        for module in all {
            for state in all {
                let (_, labels) = encoded(&GAUGE, &[module, state]).unwrap();
                assert_eq!([labels.label(0), labels.label(1), labels.label(2)], [module, state, ""]);
                assert!(labels.line().starts_with(b"{module=\"") && labels.line().ends_with(b"\"} "), "{labels:?}");
            }
        }
        let (_, longest) = encoded(&GAUGE, &[&"\n".repeat(1000), &"x".repeat(1000)]).unwrap();
        assert_eq!(longest.values().map(<[u8]>::len).collect::<Vec<_>>(), [MAX_LABEL_BYTES; 2]);
    }
}
