//! The installation that is read, the state of its configuration files, and what the configuration expects to run.
//!
//! `source::installation` reads the files and follows their changes.

use std::time::UNIX_EPOCH;

use super::{CollectError, Collector, Context, ErrorKind, Losses, Outcome, float};
use crate::catalog::attributes::{
    Attribute, IN_MAIL_PERIOD, LOG_FILE_SIZE, MTA_CHILD_AGE, MTA_CHILD_MEMORY, MTA_SPARE_SERVERS,
};
use crate::catalog::modules::{self, DEFAULT_INSTANCE, IN_MAIL, MTA};
use crate::catalog::signals::exporter::{
    CONFIGURATION_BACKUP_COPY, CONFIGURATION_INVALID_VALUES, CONFIGURATION_LAST_RELOAD_SUCCESSFUL,
    CONFIGURATION_LAST_RELOAD_TIMESTAMP, CONFIGURATION_NOT_LOADED, INSTALLATION_INFO,
};
use crate::catalog::signals::logs::{IN_MAIL_POP_PERIOD, LOG_ROTATION_SIZE};
use crate::catalog::signals::modules::{MODULE_EXPECTED, MODULE_MEMORY_ALERT, MODULE_MEMORY_WARNING};
use crate::catalog::signals::spool::{MTA_CHILD_MAX_AGE, MTA_CHILDREN_MAX};
use crate::catalog::{MetricDef, Module};
use crate::label::label_of;
use crate::snapshot::Samples;
use crate::source::installation::{Failure, Installation};

/// The most backup copies that are named.
const MAX_COPIES: usize = 100;

/// The collector `configuration`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Configuration;

impl Collector for Configuration {
    /// Complete when every file as it is now is in force.
    ///
    /// # Errors
    /// When no installation is found.
    fn collect(&self, cx: &Context, out: &mut Samples) -> Result<Outcome, CollectError> {
        let installation = cx.installation.as_ref();
        let Some(home) = &installation.home else { return Err(not_found(installation)) };
        out.push(&INSTALLATION_INFO, &[&label_of(home.as_os_str().as_encoded_bytes())], 1.0);

        let mut losses = Losses::default();
        for (file, state) in &installation.files {
            out.push(&CONFIGURATION_LAST_RELOAD_SUCCESSFUL, &[file], f64::from(u8::from(state.successful)));
            if let Some(since) = state.last_success.and_then(|time| time.duration_since(UNIX_EPOCH).ok()) {
                out.push(&CONFIGURATION_LAST_RELOAD_TIMESTAMP, &[file], since.as_secs_f64());
            }
            out.push(&CONFIGURATION_INVALID_VALUES, &[file], float(state.invalid_values as u64));
            if !state.successful {
                losses.add(state.failure.map_or(ErrorKind::Parse, kind_of), 1);
            }
        }
        for file in installation.copies.keys().take(MAX_COPIES) {
            out.push(&CONFIGURATION_BACKUP_COPY, &[file], 1.0);
        }
        for instance in &installation.not_loaded {
            out.push(&CONFIGURATION_NOT_LOADED, &[instance], 1.0);
        }
        if let Some(trouble) = &installation.trouble {
            losses.add(kind_of(trouble.failure), 1);
        }
        losses.add(ErrorKind::Parse, installation.left_out as u64);

        let number = |instance, attribute| installation.settings(instance).number(attribute).map(float);
        if let Some(size) = number(DEFAULT_INSTANCE, &LOG_FILE_SIZE) {
            out.push(&LOG_ROTATION_SIZE, &[], size);
        }
        for ((instance, module), expected) in installation.expected() {
            if let Some(expected) = expected {
                out.push(&MODULE_EXPECTED, &[module, instance], f64::from(u8::from(expected)));
            }
            thresholds(module, instance, installation, out);
            for (owner, def, attribute) in PER_INSTANCE {
                if let Some(value) = number(instance, attribute).filter(|_| owner.name == module) {
                    out.push(def, &[instance], value);
                }
            }
        }
        Ok(losses.into_outcome())
    }
}

/// Settings of single modules that the alert rules go by.
static PER_INSTANCE: &[(&Module, &MetricDef, &Attribute)] = &[
    (&IN_MAIL, &IN_MAIL_POP_PERIOD, &IN_MAIL_PERIOD),
    (&MTA, &MTA_CHILD_MAX_AGE, &MTA_CHILD_AGE),
    (&MTA, &MTA_CHILDREN_MAX, &MTA_SPARE_SERVERS),
];

/// The memory thresholds of a module and of its children, which have its own unless the configuration gives them another.
fn thresholds(module: &str, instance: &str, installation: &Installation, out: &mut Samples) {
    let settings = installation.settings(instance);
    let own = settings.module(module);
    let mut push = |module, warning, alert| {
        out.push(&MODULE_MEMORY_WARNING, &[module, instance], float(warning));
        out.push(&MODULE_MEMORY_ALERT, &[module, instance], float(alert));
    };
    push(module, own.memory_warning_bytes, own.memory_alert_bytes);
    for child in modules::module(module).into_iter().flat_map(|module| module.children) {
        match settings.number(&MTA_CHILD_MEMORY).filter(|_| module == MTA.name) {
            Some(most) => push(child, most, most),
            None => push(child, own.memory_warning_bytes, own.memory_alert_bytes),
        }
    }
}

fn not_found(installation: &Installation) -> CollectError {
    match &installation.trouble {
        Some(trouble) => CollectError { kind: kind_of(trouble.failure), message: trouble.message.clone() },
        None => CollectError {
            kind: ErrorKind::Gone,
            message: "no Campaign installation has been found yet; name its folder with --campaign.home=PATH"
                .to_owned(),
        },
    }
}

fn kind_of(failure: Failure) -> ErrorKind {
    match failure {
        Failure::Permission => ErrorKind::Permission,
        Failure::Gone => ErrorKind::Gone,
        Failure::Unusable => ErrorKind::Parse,
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::parse::conf::{ServerConf, Settings};
    use crate::snapshot::Snapshot;
    use crate::source::installation::{FileState, Trouble};

    fn collected(installation: Installation) -> (Result<Outcome, CollectError>, Snapshot) {
        let deadline = Instant::now() + Duration::from_secs(10);
        let cx = Context { installation: Arc::new(installation), ..Context::for_tests(deadline) };
        let mut out = Samples::default();
        let outcome = Configuration.collect(&cx, &mut out);
        assert_eq!(out.rejected(), 0);
        (outcome, out.freeze())
    }

    fn settings(xml: &str) -> Settings {
        Settings::overlay(None, Some(Arc::new(ServerConf::parse(xml.as_bytes()).unwrap())))
    }

    fn good() -> FileState {
        FileState {
            successful: true,
            last_success: Some(UNIX_EPOCH + Duration::from_millis(1_500)),
            ..FileState::default()
        }
    }

    #[test]
    fn an_installation_is_told_with_its_files_and_expectations() {
        let mta = settings("<serverconf><mta autoStart='1' maxProcessMemoryAlertMb='2'/></serverconf>");
        let (outcome, snapshot) = collected(Installation {
            home: Some(PathBuf::from("/usr/local/neolane/nl6")),
            instances: [("default".to_owned(), Settings::default()), ("prod".to_owned(), mta)].into(),
            files: [("serverConf.xml".to_owned(), good())].into(),
            ..Installation::default()
        });
        assert_eq!(outcome.unwrap(), Outcome::Complete);
        assert_eq!(snapshot.value(&INSTALLATION_INFO, &["/usr/local/neolane/nl6"]), Some(1.0));
        assert_eq!(snapshot.value(&CONFIGURATION_LAST_RELOAD_SUCCESSFUL, &["serverConf.xml"]), Some(1.0));
        assert_eq!(snapshot.value(&CONFIGURATION_LAST_RELOAD_TIMESTAMP, &["serverConf.xml"]), Some(1.5));
        assert_eq!(snapshot.value(&MODULE_EXPECTED, &["mta", "prod"]), Some(1.0));
        assert_eq!(snapshot.value(&MODULE_EXPECTED, &["wfserver", "prod"]), Some(0.0));
        assert_eq!(snapshot.value(&MODULE_EXPECTED, &["stat", "prod"]), None, "the model file decides");
        assert_eq!(snapshot.value(&MODULE_EXPECTED, &["watchdog", "default"]), Some(1.0));
        assert_eq!(snapshot.value(&MODULE_MEMORY_ALERT, &["mta", "prod"]), Some(2_097_152.0));
        assert_eq!(snapshot.value(&MODULE_MEMORY_WARNING, &["mta", "prod"]), Some(1_677_721_600.0));
        for def in [&MODULE_MEMORY_WARNING, &MODULE_MEMORY_ALERT] {
            assert_eq!(snapshot.value(def, &["mtachild", "prod"]), Some(134_217_728.0));
        }
        assert_eq!(snapshot.value(&MODULE_MEMORY_ALERT, &["runwf", "prod"]), Some(1_887_436_800.0));
        assert_eq!(snapshot.value(&MTA_CHILD_MAX_AGE, &["prod"]), Some(600.0));
        assert_eq!(snapshot.value(&MTA_CHILDREN_MAX, &["prod"]), Some(2.0));
        assert_eq!(snapshot.value(&CONFIGURATION_INVALID_VALUES, &["serverConf.xml"]), Some(0.0));
    }

    #[test]
    fn the_period_of_the_bounce_mailbox_is_told_with_its_default() {
        let often = settings("<serverconf><inMail popMailPeriodSec='60'/></serverconf>");
        let unreadable = settings("<serverconf><inMail popMailPeriodSec='often'/></serverconf>");
        let (_, snapshot) = collected(Installation {
            home: Some(PathBuf::from("/x")),
            instances: [
                ("default".to_owned(), Settings::default()),
                ("often".to_owned(), often),
                ("silent".to_owned(), Settings::default()),
                ("unreadable".to_owned(), unreadable),
            ]
            .into(),
            ..Installation::default()
        });
        let periods: Vec<_> = snapshot.of(&IN_MAIL_POP_PERIOD).map(|one| (one.label(0), one.value)).collect();
        assert_eq!(periods, [("often", 60.0), ("silent", 300.0), ("unreadable", 300.0)]);
    }

    #[test]
    fn the_size_at_which_logs_are_moved_away_is_told_with_its_default() {
        let size = |default: Settings| {
            let host = Installation {
                home: Some(PathBuf::from("/x")),
                instances: [("default".to_owned(), default)].into(),
                ..Installation::default()
            };
            collected(host).1.value(&LOG_ROTATION_SIZE, &[])
        };
        assert_eq!(size(settings("<serverconf><syslogd maxFileSizeMb='100'/></serverconf>")), Some(104_857_600.0));
        assert_eq!(size(Settings::default()), Some(10_485_760.0));
    }

    #[test]
    fn files_that_are_not_in_force_are_counted_by_kind() {
        let failing = |failure| FileState { failure: Some(failure), ..FileState::default() };
        let trouble = Trouble { failure: Failure::Permission, place: String::new(), message: String::new() };
        let (outcome, snapshot) = collected(Installation {
            home: Some(PathBuf::from("/x")),
            files: [
                ("a".to_owned(), failing(Failure::Unusable)),
                ("b".to_owned(), FileState { last_success: good().last_success, ..failing(Failure::Permission) }),
                ("c".to_owned(), failing(Failure::Gone)),
                ("d".to_owned(), good()),
            ]
            .into(),
            trouble: Some(trouble),
            left_out: 7,
            ..Installation::default()
        });
        let mut losses = Losses::default();
        losses.add(ErrorKind::Permission, 2);
        losses.add(ErrorKind::Gone, 1);
        losses.add(ErrorKind::Parse, 8);
        assert_eq!(outcome.unwrap(), Outcome::Partial(losses));
        assert_eq!(snapshot.value(&CONFIGURATION_LAST_RELOAD_SUCCESSFUL, &["b"]), Some(0.0));
        assert_eq!(snapshot.value(&CONFIGURATION_LAST_RELOAD_TIMESTAMP, &["b"]), Some(1.5));
        assert_eq!(snapshot.value(&CONFIGURATION_LAST_RELOAD_TIMESTAMP, &["a"]), None);
    }

    #[test]
    fn a_host_without_an_installation_is_an_error_with_a_remedy() {
        let (outcome, _) = collected(Installation::default());
        let error = outcome.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Gone);
        assert!(error.message.contains("--campaign.home"), "{error}");
        let trouble = Trouble { failure: Failure::Permission, place: String::new(), message: "why".to_owned() };
        let (outcome, _) = collected(Installation { trouble: Some(trouble), ..Installation::default() });
        let error = outcome.unwrap_err();
        assert_eq!((error.kind, error.message.as_str()), (ErrorKind::Permission, "why"));
    }
}
