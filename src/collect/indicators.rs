//! Custom indicators: the values and thresholds in the files of the drop directory.
//!
//! An error in a file costs only that file, or that indicator, and is counted and logged with its name.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::time::UNIX_EPOCH;

use super::{CollectError, Collector, Context, ErrorKind, Losses, Outcome};
use crate::catalog::signals::indicators::{
    INDICATOR_ALERT_THRESHOLD, INDICATOR_FILE_MODIFIED, INDICATOR_FILE_VALID, INDICATOR_MAX, INDICATOR_VALUE,
    INDICATOR_WARNING_THRESHOLD,
};
use crate::label::label_of;
use crate::parse::reply::{Indicator, Indicators, indicators};
use crate::snapshot::Samples;
use crate::source::indicators::{DropFile, read};
use crate::source::kit::{LogOnChange, Miss};

/// The most series of values that are taken from all files together.
pub const MAX_VALUES: usize = 2_000;

/// The collector.
#[derive(Debug)]
pub struct DroppedIndicators {
    directory: Option<PathBuf>,
    log: LogOnChange,
}

impl DroppedIndicators {
    /// A collector of the files in `directory`; without one, there is nothing to collect.
    #[must_use]
    pub fn new(directory: Option<PathBuf>) -> DroppedIndicators {
        DroppedIndicators { directory, log: LogOnChange::default() }
    }
}

/// What has been taken in one collection.
#[derive(Default)]
struct TakenIndicators {
    files: HashSet<String>,
    indicators: HashSet<String>,
    values: usize,
    losses: Losses,
    problems: BTreeMap<String, String>,
}

impl Collector for DroppedIndicators {
    fn collect(&self, cx: &Context, out: &mut Samples) -> Result<Outcome, CollectError> {
        let Some(directory) = &self.directory else { return Ok(Outcome::NotApplicable) };
        let found = read(directory, cx.deadline)
            .map_err(|error| CollectError { kind: Miss::from(&error.source).into(), message: error.to_string() })?;
        let mut taken = TakenIndicators::default();
        taken.losses.add(ErrorKind::Timeout, found.left_out);
        for file in &found.files {
            taken.take(file, out);
        }
        for (file, problem) in self.log.replace(taken.problems) {
            tracing::warn!("the indicator file {file}: {problem}; correct the job that writes it");
        }
        Ok(taken.losses.into_outcome())
    }
}

impl TakenIndicators {
    fn take(&mut self, file: &DropFile, out: &mut Samples) {
        let name = label_of(file.name.as_encoded_bytes()).into_owned();
        if !self.files.insert(name.clone()) {
            self.losses.add(ErrorKind::Parse, 1);
            self.problems.insert(name, "another file's name looks the same; the first is taken".to_owned());
            return;
        }
        if let Some(modified) = file.modified {
            let time = modified.duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
            out.push(&INDICATOR_FILE_MODIFIED, &[&name], time);
        }
        let problem = match &file.content {
            Ok(bytes) => match indicators(bytes, None) {
                Ok(found) => self.take_all(found, out),
                Err(error) => {
                    self.losses.add(ErrorKind::Parse, 1);
                    Some(error.to_string())
                }
            },
            Err(error) => {
                self.losses.add(Miss::from(error).into(), 1);
                Some(error.to_string())
            }
        };
        out.push(&INDICATOR_FILE_VALID, &[&name], f64::from(u8::from(problem.is_none())));
        if let Some(problem) = problem {
            self.problems.insert(name, problem);
        }
    }

    /// Takes what can be taken; the first thing that is wrong.
    fn take_all(&mut self, found: Indicators, out: &mut Samples) -> Option<String> {
        self.losses.add(ErrorKind::Parse, found.problems);
        let mut problem = found.first_problem;
        for indicator in &found.list {
            if let Err(wrong) = self.take_one(indicator, out) {
                self.losses.add(ErrorKind::Parse, 1);
                problem.get_or_insert(wrong);
            }
        }
        problem
    }

    fn take_one(&mut self, indicator: &Indicator, out: &mut Samples) -> Result<(), String> {
        let name = label_of(indicator.name.as_bytes()).into_owned();
        let thresholds = [
            (&INDICATOR_WARNING_THRESHOLD, indicator.warning),
            (&INDICATOR_ALERT_THRESHOLD, indicator.alert),
            (&INDICATOR_MAX, indicator.max),
        ];
        let thresholds: Vec<_> = thresholds.into_iter().filter_map(|(def, value)| Some((def, value?))).collect();
        if self.values + thresholds.len() + indicator.current.len() > MAX_VALUES {
            return Err(format!("more than {MAX_VALUES} values in all files; what is beyond is left out"));
        }
        if !self.indicators.insert(name.clone()) {
            return Err(format!("the indicator {name:?} is there twice; the first is taken"));
        }
        for (def, value) in thresholds {
            out.push(def, &[&name], value);
            self.values += 1;
        }
        let mut labels = HashSet::new();
        let mut twice = None;
        for (label, value) in &indicator.current {
            let label = label_of(label.as_bytes()).into_owned();
            if labels.contains(&label) {
                twice = Some(format!("the value {label:?} of the indicator {name:?} is there twice"));
                continue;
            }
            out.push(&INDICATOR_VALUE, &[&name, &label], *value);
            self.values += 1;
            labels.insert(label);
        }
        twice.map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn collect(directory: Option<PathBuf>) -> (Result<Outcome, CollectError>, crate::snapshot::Snapshot) {
        let mut out = Samples::default();
        let cx = Context::for_tests(Instant::now() + Duration::from_secs(30));
        let result = DroppedIndicators::new(directory).collect(&cx, &mut out);
        (result, out.freeze())
    }

    #[test]
    fn without_a_directory_there_is_nothing_to_collect() {
        assert_eq!(collect(None).0.unwrap(), Outcome::NotApplicable);
    }

    #[test]
    fn a_directory_that_is_missing_is_an_error_that_says_so() {
        let directory = tempfile::tempdir().unwrap();
        let error = collect(Some(directory.path().join("none"))).0.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Gone);
    }

    #[test]
    fn the_documented_file_becomes_values_and_thresholds() {
        let directory = tempfile::tempdir().unwrap();
        let fixture = include_bytes!("../../tests/fixtures/indicators/cust_indicators.xml");
        std::fs::write(directory.path().join("cust.xml"), fixture).unwrap();
        let (result, samples) = collect(Some(directory.path().to_owned()));
        assert_eq!(result.unwrap(), Outcome::Complete);
        assert_eq!(samples.value(&INDICATOR_VALUE, &["Zombie Processes", "Current Value"]), Some(0.0));
        assert_eq!(samples.value(&INDICATOR_WARNING_THRESHOLD, &["Zombie Processes"]), Some(2.0));
        assert_eq!(samples.value(&INDICATOR_ALERT_THRESHOLD, &["Zombie Processes"]), Some(2.0));
        assert_eq!(samples.value(&INDICATOR_MAX, &["Zombie Processes"]), Some(2.0));
        assert_eq!(samples.value(&INDICATOR_VALUE, &["Fila de saída", "Oldest"]), Some(3.5));
        assert_eq!(samples.value(&INDICATOR_ALERT_THRESHOLD, &["Fila de saída"]), None);
        assert_eq!(samples.value(&INDICATOR_FILE_VALID, &["cust.xml"]), Some(1.0));
        let modified = samples.value(&INDICATOR_FILE_MODIFIED, &["cust.xml"]).unwrap();
        assert!(modified > 1_600_000_000.0, "{modified}");
        assert_eq!(samples.rejected(), 0);
    }

    #[test]
    fn a_broken_file_is_reported_and_costs_itself_alone() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
        write("a.xml", "<indicator name='a'><current label='x' value='1'/></indicator>");
        write("b.xml", "<indicator name='b'><current");
        write("c.xml", "<indicator name='a'><current label='x' value='2'/></indicator><indicator name='c'/>");
        write("d.xml", "<indicator name='d'><current value='1'/><current value='2'/><alert value='many'/></indicator>");
        write("e.xml", "<!DOCTYPE x [<!ENTITY e 'x'>]><indicator name='&e;'/>");
        let (result, samples) = collect(Some(directory.path().to_owned()));
        let Outcome::Partial(losses) = result.unwrap() else { panic!("losses were not told") };
        assert_eq!(losses.iter().collect::<Vec<_>>(), [(ErrorKind::Parse, 5)]);
        assert_eq!(samples.value(&INDICATOR_VALUE, &["a", "x"]), Some(1.0));
        assert_eq!(samples.value(&INDICATOR_VALUE, &["d", ""]), Some(1.0));
        let valid: Vec<f64> = samples.of(&INDICATOR_FILE_VALID).map(|sample| sample.value).collect();
        assert_eq!(valid, [1.0, 0.0, 0.0, 0.0, 0.0]);
        assert_eq!(samples.rejected(), 0);
    }

    #[test]
    fn two_files_whose_names_look_the_same_cost_the_second_and_no_sample_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let long = "x".repeat(200);
        for end in ["1.xml", "2.xml"] {
            let path = directory.path().join(format!("{long}{end}"));
            std::fs::write(path, format!("<indicator name='{end}'><current value='1'/></indicator>")).unwrap();
        }
        let (result, samples) = collect(Some(directory.path().to_owned()));
        assert_eq!(samples.rejected(), 0);
        let files = samples.of(&INDICATOR_FILE_VALID).count();
        assert_eq!(result.unwrap() == Outcome::Complete, files == 2, "told, unless the names stay distinct");
    }

    #[test]
    fn the_number_of_series_is_bounded() {
        let directory = tempfile::tempdir().unwrap();
        let thresholds = "<warning value='1'/><alert value='2'/><max value='3'/>";
        let values: String = (0..47).map(|number| format!("<current label='{number}' value='1'/>")).collect();
        let many = |content: &str, count: usize| -> String {
            (0..count).map(|number| format!("<indicator name='{number}'>{content}</indicator>")).collect()
        };
        for (content, series) in [(format!("{thresholds}{values}"), 50), (thresholds.to_owned(), 3)] {
            // A file has a limit of its own.
            for file in 0..20 {
                let text = many(&content, 100).replace("name='", &format!("name='{file}-"));
                std::fs::write(directory.path().join(format!("{file}.xml")), text).unwrap();
            }
            let (result, samples) = collect(Some(directory.path().to_owned()));
            assert!(matches!(result.unwrap(), Outcome::Partial(_)));
            let count = [&INDICATOR_VALUE, &INDICATOR_WARNING_THRESHOLD, &INDICATOR_ALERT_THRESHOLD, &INDICATOR_MAX]
                .map(|def| samples.of(def).count());
            assert_eq!(count.iter().sum::<usize>(), MAX_VALUES - MAX_VALUES % series);
        }
    }
}
