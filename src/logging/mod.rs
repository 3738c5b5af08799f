//! The exporter's own log: leveled lines on standard error, in logfmt or JSON.
//!
//! Logging never blocks: see [`queue`].

mod queue;

use std::fmt;
use std::io;
use std::panic::PanicHookInfo;
use std::str::FromStr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::subscriber::SetGlobalDefaultError;
use tracing::{Event, Level as Severity, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::registry::LookupSpan;

use queue::{LineQueue, LineWriter};

/// The least severity that is logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogLevel {
    /// Everything.
    Debug,
    /// What an operator wants to know.
    #[default]
    Info,
    /// What an operator should look at.
    Warn,
    /// What does not work.
    Error,
}

impl LogLevel {
    /// Every level, the most verbose first.
    pub const ALL: [LogLevel; 4] = [LogLevel::Debug, LogLevel::Info, LogLevel::Warn, LogLevel::Error];

    /// The name, as `--log.level` takes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            LogLevel::Debug => "debug",
            LogLevel::Info => "info",
            LogLevel::Warn => "warn",
            LogLevel::Error => "error",
        }
    }

    const fn filter(self) -> LevelFilter {
        match self {
            LogLevel::Debug => LevelFilter::DEBUG,
            LogLevel::Info => LevelFilter::INFO,
            LogLevel::Warn => LevelFilter::WARN,
            LogLevel::Error => LevelFilter::ERROR,
        }
    }
}

impl FromStr for LogLevel {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|level| level.name() == text).ok_or_else(|| format!("{text:?} is not a level"))
    }
}

/// How a line of the log is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// `ts=… level=… msg="…" key=value`.
    #[default]
    Logfmt,
    /// One JSON object a line.
    Json,
}

impl Format {
    /// Every format.
    pub const ALL: [Format; 2] = [Format::Logfmt, Format::Json];

    /// The name, as `--log.format` takes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Format::Logfmt => "logfmt",
            Format::Json => "json",
        }
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|format| format.name() == text).ok_or_else(|| format!("{text:?} is not a format"))
    }
}

/// Why the process has no log.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The system has no thread for it.
    #[error("no thread for the log can be started: {0}; raise the limit of processes of this user (ulimit -u)")]
    Thread(io::Error),
    /// It has one already.
    #[error(transparent)]
    Taken(#[from] SetGlobalDefaultError),
}

/// The log of the process: there is one standard error.
static QUEUE: OnceLock<Arc<LineQueue>> = OnceLock::new();

/// Sends the process's log, panics included, to standard error from now on, from a thread of its own.
///
/// # Errors
/// When there is no thread for it, or the process has a log already.
pub fn init(level: LogLevel, format: Format) -> Result<(), LogError> {
    let queue = Arc::clone(QUEUE.get_or_init(Arc::default));
    let writing = Arc::clone(&queue);
    let write = move || {
        writing.write_to(io::stderr(), |lines| {
            tracing::warn!(lines, "lines of this log were dropped: standard error did not take them");
        });
    };
    std::thread::Builder::new().name("log".to_owned()).spawn(write).map_err(LogError::Thread)?;
    tracing::subscriber::set_global_default(subscriber(level, format, LineWriter(queue)))?;
    std::panic::set_hook(Box::new(log_panic));
    Ok(())
}

/// Waits until what was logged has been written, for `limit` at most.
pub fn flush(limit: Duration) {
    if let Some(queue) = QUEUE.get() {
        queue.flush(limit);
    }
}

/// How many lines were dropped, because standard error did not take them.
#[must_use]
pub fn lines_dropped() -> u64 {
    QUEUE.get().map_or(0, |queue| queue.dropped())
}

/// An error's message and, after colons, the messages of its causes that it does not contain itself.
#[must_use]
pub fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = error.source();
    }
    text
}

fn log_panic(panic: &PanicHookInfo<'_>) {
    let message = panic.payload_as_str().unwrap_or("no message");
    let at = panic.location().map(ToString::to_string).unwrap_or_default();
    tracing::error!(at, "a defect, please report it: {message}");
}

/// A log that goes to `writer`.
///
/// # Format
/// Times are UTC, RFC 3339. In logfmt a value that holds a space, a quote, `=` or a control character is quoted, with
/// the escapes of a Go string, as Prometheus' own programs do. The causes of an error follow it after colons.
pub fn subscriber<W>(level: LogLevel, format: Format, writer: W) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let builder = tracing_subscriber::fmt()
        .with_max_level(level.filter())
        .with_writer(writer)
        .with_ansi(false)
        // A full disk behind standard error must not end the exporter.
        .log_internal_errors(false);
    match format {
        Format::Logfmt => Box::new(builder.event_format(Logfmt).finish()),
        Format::Json => Box::new(
            builder
                .json()
                .flatten_event(true)
                .with_current_span(false)
                .with_span_list(false)
                .with_target(false)
                .finish(),
        ),
    }
}

/// Writes events, not spans, as logfmt.
struct Logfmt;

impl<S, N> FormatEvent<S, N> for Logfmt
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        writer.write_str("ts=")?;
        SystemTime.format_time(&mut writer)?;
        let level = match *event.metadata().level() {
            Severity::ERROR => "error",
            Severity::WARN => "warn",
            Severity::INFO => "info",
            Severity::DEBUG => "debug",
            Severity::TRACE => "trace",
        };
        write!(writer, " level={level}")?;
        let mut fields = Fields::default();
        event.record(&mut fields);
        if let Some(message) = &fields.message {
            pair(&mut writer, "msg", message)?;
        }
        for (name, value) in &fields.others {
            pair(&mut writer, name, value)?;
        }
        writer.write_char('\n')
    }
}

#[derive(Default)]
struct Fields {
    message: Option<String>,
    others: Vec<(&'static str, String)>,
}

impl Fields {
    fn add(&mut self, field: &Field, value: String) {
        match field.name() {
            "message" => self.message = Some(value),
            name => self.others.push((name, value)),
        }
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value.to_owned());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.add(field, with_causes(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, format!("{value:?}"));
    }
}

fn pair(writer: &mut Writer<'_>, name: &str, value: &str) -> fmt::Result {
    write!(writer, " {name}=")?;
    let plain = |character: char| !character.is_control() && !character.is_whitespace() && !"=\"\\".contains(character);
    if !value.is_empty() && value.chars().all(plain) {
        return writer.write_str(value);
    }
    writer.write_char('"')?;
    for character in value.chars() {
        match character {
            '"' => writer.write_str("\\\"")?,
            '\\' => writer.write_str("\\\\")?,
            '\n' => writer.write_str("\\n")?,
            '\r' => writer.write_str("\\r")?,
            '\t' => writer.write_str("\\t")?,
            // Everything else that could move a cursor or end a line for some reader.
            '\u{2028}' | '\u{2029}' => write!(writer, "\\u{:04x}", u32::from(character))?,
            _ if character.is_control() => write!(writer, "\\u{:04x}", u32::from(character))?,
            _ => writer.write_char(character)?,
        }
    }
    writer.write_char('"')
}

#[cfg(test)]
pub(crate) use tests::Page;

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::sync::locked;

    /// What is written to any clone of it.
    #[derive(Clone, Default)]
    pub(crate) struct Page(Arc<Mutex<Vec<u8>>>);

    impl Page {
        /// The text since the last call.
        pub(crate) fn take(&self) -> String {
            String::from_utf8(std::mem::take(&mut *locked(&self.0))).unwrap()
        }

        /// Writes plain lines to it.
        pub(crate) fn subscriber(&self) -> impl Subscriber + Send + Sync + 'static {
            let writer = self.clone();
            subscriber(LogLevel::Debug, Format::Logfmt, move || writer.clone())
        }
    }

    impl io::Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(level: LogLevel, format: Format, log: impl FnOnce()) -> String {
        let page = Page::default();
        let writer = page.clone();
        tracing::subscriber::with_default(subscriber(level, format, move || writer.clone()), log);
        page.take()
    }

    /// The text after the timestamp, which is checked for its form.
    fn without_time(line: &str) -> &str {
        let (time, rest) = line.strip_prefix("ts=").unwrap().split_once(' ').unwrap();
        let form: String = time.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
        assert_eq!(form, "0000-00-00T00:00:00.000000Z");
        rest
    }

    #[derive(Debug, thiserror::Error)]
    #[error("no metrics")]
    struct Outer(#[source] io::Error);

    #[test]
    fn a_logfmt_line_has_time_level_message_and_fields_in_this_order() {
        let line = logged(LogLevel::Info, Format::Logfmt, || {
            tracing::info!(address = %"127.0.0.1:1", count = 3, ok = true, path = "a b", empty = "", "now \"listening\"");
        });
        assert_eq!(
            without_time(&line),
            "level=info msg=\"now \\\"listening\\\"\" address=127.0.0.1:1 count=3 ok=true path=\"a b\" empty=\"\"\n"
        );
    }

    #[test]
    fn a_value_can_neither_end_the_line_nor_forge_a_field() {
        let line = logged(LogLevel::Info, Format::Logfmt, || {
            tracing::error!(path = "x\nlevel=info\r\t\u{1b}[31m\\ \u{2028}é", "m");
        });
        assert_eq!(without_time(&line), "level=error msg=m path=\"x\\nlevel=info\\r\\t\\u001b[31m\\\\ \\u2028é\"\n");
    }

    #[test]
    fn the_causes_of_an_error_are_told() {
        let error = Outer(io::Error::other("disk on fire"));
        let error: &(dyn std::error::Error + 'static) = &error;
        let line = logged(LogLevel::Info, Format::Logfmt, || tracing::warn!(error, "failed"));
        assert_eq!(without_time(&line), "level=warn msg=failed error=\"no metrics: disk on fire\"\n");
    }

    #[test]
    fn a_cause_is_told_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot start: {0}; remedy")]
        struct Telling(#[source] io::Error);
        assert_eq!(with_causes(&Telling(io::Error::other("disk on fire"))), "cannot start: disk on fire; remedy");
        assert_eq!(with_causes(&Outer(io::Error::other("disk on fire"))), "no metrics: disk on fire");
    }

    #[test]
    fn a_json_line_is_one_flat_object() {
        let line = logged(LogLevel::Info, Format::Json, || tracing::info!(address = "a\nb", "listening"));
        let object: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(object["message"], "listening");
        assert_eq!(object["level"], "INFO");
        assert_eq!(object["address"], "a\nb");
        assert!(object["timestamp"].as_str().unwrap().ends_with('Z'));
        assert_eq!(line.lines().count(), 1);
    }

    #[test]
    fn what_is_below_the_level_is_not_logged() {
        for (level, expected) in [(LogLevel::Debug, 4), (LogLevel::Info, 3), (LogLevel::Warn, 2), (LogLevel::Error, 1)]
        {
            let lines = logged(level, Format::Logfmt, || {
                tracing::debug!("d");
                tracing::info!("i");
                tracing::warn!("w");
                tracing::error!("e");
            });
            assert_eq!(lines.lines().count(), expected, "{level:?}");
        }
    }

    #[test]
    fn names_are_understood_as_they_are_written() {
        assert!(LogLevel::ALL.iter().all(|level| level.name().parse() == Ok(*level)));
        assert!(Format::ALL.iter().all(|format| format.name().parse() == Ok(*format)));
        assert!("INFO".parse::<LogLevel>().is_err() && "xml".parse::<Format>().is_err());
    }
}
