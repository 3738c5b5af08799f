//! Campaign's XML configuration -> settings, and their overlay: defaults < `serverConf.xml` < instance file.
//!
//! Knows bytes and attributes; where the files are and when they change is for `source::installation`.
//!
//! # Format
//! The page *The server configuration file* of the product documentation: a root element `serverconf`, in either
//! case; below it an element for each module, with attributes and with elements of its own (`mta/child`). A value
//! that is absent or empty means the documented default. Where an element occurs twice, its attributes are taken
//! together, and the later of two equal ones holds. Sizes in "Mb" are mebibytes: 1024 × 1024 bytes, the unit that
//! the kernel's figures are compared in.
//!
//! # Limits
//! A document type is refused, so no entity can grow or reach out. Elements below [`MAX_DEPTH`], elements and
//! attributes beyond [`MAX_ELEMENTS`] and [`MAX_ATTRIBUTES`], names and values that are longer than the limits are
//! left out with a warning. Attributes that hold a secret are never kept.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use encoding_rs::{DecoderResult, Encoding, UTF_8, UTF_16BE, UTF_16LE};
use roxmltree::Node;

use super::xml::{self, XmlError};

use crate::catalog::modules::{default_args, module, residents};

/// How deep below the root an element may be; the documented ones are at most 3 deep.
pub const MAX_DEPTH: usize = 8;

/// The most modules, the direct children of the root, that are kept of one file.
pub const MAX_MODULES: usize = 1_000;

/// The most elements of different paths that are kept of one file.
pub const MAX_ELEMENTS: usize = 5_000;

/// The most attributes that are kept of one file.
pub const MAX_ATTRIBUTES: usize = 10_000;

/// The most bytes that the name of an element or an attribute may have.
pub const MAX_NAME_BYTES: usize = 256;

/// The most bytes that a value may have.
pub const MAX_VALUE_BYTES: usize = 4_096;

/// The most warnings that are kept of one file.
pub const MAX_WARNINGS: usize = 20;

/// What the XML reader may build before the file is refused: it keeps a file of 8 MiB from taking hundreds.
const MAX_NODES: u32 = 200_000;

const ROOT: &str = "serverconf";

const AUTO_START: &str = "autoStart";
const ARGS: &str = "args";
const RUN_LEVEL: &str = "runLevel";
const RESTART_TIME: &str = "processRestartTime";
const MEMORY_WARNING: &str = "maxProcessMemoryWarningMb";
const MEMORY_ALERT: &str = "maxProcessMemoryAlertMb";

const MEBIBYTE: u64 = 1024 * 1024;

/// A place in a file, both counted from 1; the column in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

impl Position {
    const START: Position = Position { line: 1, column: 1 };

    fn at_end_of(text: &str) -> Position {
        let line = text.bytes().filter(|byte| *byte == b'\n').count() + 1;
        let last = text.rsplit('\n').next().unwrap_or_default();
        Position { line, column: last.chars().count() + 1 }
    }

    fn in_text(text: &str, offset: usize) -> Position {
        Position::at_end_of(&text[..text.floor_char_boundary(offset)])
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// Why a file can't be used: where, what, and the remedy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfError {
    /// The XML is not well-formed, which a file that is still being written is not either.
    #[error("{at}: {what}: correct the XML there")]
    Malformed {
        /// Where.
        at: Position,
        /// What the XML reader says.
        what: String,
    },
    /// There is no element at all.
    #[error("the file is empty: restore the file")]
    Empty,
    /// The bytes are not in the encoding that the file is in by its own account.
    #[error("{at}: the bytes there (offset {offset}) are not {encoding}: {remedy}")]
    Encoding {
        /// Where.
        at: Position,
        /// The same in bytes from the start of the file.
        offset: usize,
        /// The encoding.
        encoding: &'static str,
        /// What to do.
        remedy: &'static str,
    },
    /// The XML declaration names an encoding that nobody knows.
    #[error("{at}: unknown encoding {label:?}: declare ISO-8859-15, UTF-8 or another that the file is saved in")]
    UnknownEncoding {
        /// Where.
        at: Position,
        /// What is declared.
        label: String,
    },
    /// Another kind of XML file.
    #[error("{at}: the root element is {found:?}: a Campaign configuration file has the root element serverconf")]
    Root {
        /// Where.
        at: Position,
        /// The root element.
        found: String,
    },
    /// A document type, which could bring in other files or grow without bounds.
    #[error("{at}: a document type (<!DOCTYPE) is not accepted: remove it, Campaign's files have none")]
    Doctype {
        /// Where.
        at: Position,
    },
    /// More of something than a configuration can need.
    #[error("{at}: {what}: remove what doesn't belong in a configuration file")]
    TooMuch {
        /// Where.
        at: Position,
        /// Of what.
        what: &'static str,
    },
}

/// A value that was not understood; the one below it in the overlay holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The line, counted from 1.
    pub line: usize,
    /// What was not understood, and what is meant to be there.
    pub message: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)
    }
}

/// What one file says.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ServerConf {
    elements: BTreeMap<Box<str>, BTreeMap<Box<str>, Box<str>>>,
    warnings: Vec<Warning>,
    more_warnings: usize,
}

/// Shows no values: configuration files hold credentials.
impl fmt::Debug for ServerConf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.elements.iter().map(|(path, attributes)| (path, attributes.keys().collect::<Vec<_>>()));
        f.debug_map().entries(names).finish()
    }
}

impl ServerConf {
    /// Reads one file's bytes. The encoding is the one of the byte order mark, else of the XML declaration, else
    /// UTF-8; ISO-8859-1 is read as windows-1252, which has more characters and none in another place.
    ///
    /// # Errors
    /// When the file can't be used as a whole, see [`ConfError`]. Single values that are not understood are no error
    /// but [`ServerConf::warnings`].
    pub fn parse(bytes: &[u8]) -> Result<ServerConf, ConfError> {
        let text = decode(bytes)?;
        let document = xml::document(&text, MAX_NODES).map_err(|error| match error {
            XmlError::TooMuch { what, offset } => ConfError::TooMuch { at: Position::in_text(&text, offset), what },
            XmlError::Malformed(error) => malformed(&text, &error),
        })?;
        let root = document.root_element();
        let found = root.tag_name().name();
        if !found.eq_ignore_ascii_case(ROOT) {
            let at = Position::in_text(&text, root.range().start);
            return Err(ConfError::Root { at, found: excerpt(found) });
        }
        let mut reader = Reader { text: &text, conf: ServerConf::default(), attributes: 0, modules: 0 };
        reader.children(root, "", 1);
        Ok(reader.conf)
    }

    /// The value of `attribute` of the element `path` (`mta/child`, from below the root), as it is written.
    #[must_use]
    pub fn value(&self, path: &str, attribute: &str) -> Option<&str> {
        self.elements.get(path)?.get(attribute).map(AsRef::as_ref)
    }

    /// Whether the file has the element `path`.
    #[must_use]
    pub fn mentions(&self, path: &str) -> bool {
        self.elements.contains_key(path)
    }

    /// What was not understood, at most [`MAX_WARNINGS`], in the order of the file.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// How many warnings there are beyond those.
    #[must_use]
    pub fn more_warnings(&self) -> usize {
        self.more_warnings
    }
}

/// The settings in force for one Campaign instance: two files, one above the other, and the documented defaults
/// below them. A clone shares the files' content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    server: Option<Arc<ServerConf>>,
    instance: Option<Arc<ServerConf>>,
}

impl Settings {
    /// `server` (`serverConf.xml`) with `instance` (`config-<instance>.xml`) above it.
    #[must_use]
    pub fn overlay(server: Option<Arc<ServerConf>>, instance: Option<Arc<ServerConf>>) -> Settings {
        Settings { server, instance }
    }

    /// The settings of `module`: the documented defaults where no file speaks of it.
    #[must_use]
    pub fn module(&self, module: &str) -> ModuleSettings {
        let defaults = ModuleSettings::default();
        let size = |attribute, default| self.typed(module, attribute, mebibytes).unwrap_or(default);
        ModuleSettings {
            auto_start: self.auto_start(module),
            args: self.value(module, ARGS).unwrap_or_else(|| default_args(module)).to_owned(),
            memory_warning_bytes: size(MEMORY_WARNING, defaults.memory_warning_bytes),
            memory_alert_bytes: size(MEMORY_ALERT, defaults.memory_alert_bytes),
            run_level: self.typed(module, RUN_LEVEL, number).unwrap_or(defaults.run_level),
            restart_time: self.typed(module, RESTART_TIME, time_of_day).unwrap_or(defaults.restart_time),
        }
    }

    /// Whether the watchdog starts `module`: [`ModuleSettings::auto_start`] alone.
    #[must_use]
    pub fn auto_start(&self, module: &str) -> bool {
        self.typed(module, AUTO_START, boolean).unwrap_or_default()
    }

    /// The value in force of `attribute` of the element `path` (`mta/child`, from below the root), as it is written;
    /// none where no file sets it.
    #[must_use]
    pub fn value(&self, path: &str, attribute: &str) -> Option<&str> {
        self.layers().find_map(|layer| layer.value(path, attribute))
    }

    /// [`Settings::value`] as a number; none also where it is empty, which means the default. A value that is no
    /// number is passed over for the one below it.
    #[must_use]
    pub fn number(&self, path: &str, attribute: &str) -> Option<u64> {
        self.typed(path, attribute, number)
    }

    /// [`Settings::number`] of mebibytes, in bytes.
    #[must_use]
    pub fn mebibytes(&self, path: &str, attribute: &str) -> Option<u64> {
        self.typed(path, attribute, mebibytes)
    }

    /// Whether one of the files has the element `path`.
    #[must_use]
    pub fn mentions(&self, path: &str) -> bool {
        self.layers().any(|layer| layer.mentions(path))
    }

    fn layers(&self) -> impl Iterator<Item = &ServerConf> {
        [&self.instance, &self.server].into_iter().flatten().map(Arc::as_ref)
    }

    fn typed<T>(&self, path: &str, attribute: &str, read: impl Fn(&str) -> Option<T>) -> Option<T> {
        for value in self.layers().filter_map(|layer| layer.value(path, attribute)) {
            if value.trim().is_empty() {
                return None;
            }
            if let Some(value) = read(value) {
                return Some(value);
            }
        }
        None
    }
}

/// What the configuration says of one module, with the documented defaults filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModuleSettings {
    /// Whether the watchdog starts it.
    pub auto_start: bool,
    /// Arguments added to its command line.
    pub args: String,
    /// `maxProcessMemoryWarningMb`, in bytes.
    pub memory_warning_bytes: u64,
    /// `maxProcessMemoryAlertMb`, in bytes.
    pub memory_alert_bytes: u64,
    /// `runLevel`: the watchdog starts modules in this order.
    pub run_level: u64,
    /// `processRestartTime`: when it is restarted each day, from midnight, in the server's time zone.
    pub restart_time: Duration,
}

/// The documented defaults of a module that has none of its own.
impl Default for ModuleSettings {
    fn default() -> Self {
        ModuleSettings {
            auto_start: false,
            args: String::new(),
            memory_warning_bytes: 1600 * MEBIBYTE,
            memory_alert_bytes: 1800 * MEBIBYTE,
            run_level: 10,
            restart_time: Duration::from_secs(6 * 60 * 60),
        }
    }
}

/// Copies a document into a [`ServerConf`], within the limits.
struct Reader<'a> {
    text: &'a str,
    conf: ServerConf,
    attributes: usize,
    modules: usize,
}

impl Reader<'_> {
    /// Reads the elements directly below `parent`, whose path is `above`; they are `depth` below the root.
    fn children(&mut self, parent: Node<'_, '_>, above: &str, depth: usize) {
        for element in parent.children().filter(Node::is_element) {
            let name = element.tag_name().name();
            let path = if above.is_empty() { name.to_owned() } else { format!("{above}/{name}") };
            if self.has_no_room_for(element, &path, depth) {
                continue;
            }
            if depth == 1 {
                self.modules += usize::from(!self.conf.mentions(&path));
                self.look_for_another_spelling(element, name);
            }
            self.conf.elements.entry(path.clone().into_boxed_str()).or_default();
            self.attributes_of(element, &path, depth);
            self.children(element, &path, depth + 1);
        }
    }

    fn has_no_room_for(&mut self, element: Node<'_, '_>, path: &str, depth: usize) -> bool {
        let name = element.tag_name().name();
        let what = if depth > MAX_DEPTH {
            "is nested too deeply"
        } else if name.len() > MAX_NAME_BYTES {
            "has too long a name"
        } else if self.conf.mentions(path) {
            return false;
        } else if depth == 1 && self.modules >= MAX_MODULES {
            "is one module too many"
        } else if self.conf.elements.len() >= MAX_ELEMENTS {
            "is one element too many"
        } else {
            return false;
        };
        self.warn(element.range().start, || format!("<{}> {what} and is left out", excerpt(name)));
        true
    }

    /// XML tells cases apart, and what Campaign makes of another one is not documented: say so instead of guessing.
    fn look_for_another_spelling(&mut self, element: Node<'_, '_>, name: &str) {
        let meant = residents().map(|(known, _)| known).find(|known| known.eq_ignore_ascii_case(name));
        if let Some(meant) = meant.filter(|meant| *meant != name) {
            self.warn(element.range().start, || format!("<{name}> is not taken for the module, which is <{meant}>"));
        }
    }

    fn attributes_of(&mut self, element: Node<'_, '_>, path: &str, depth: usize) {
        for attribute in element.attributes() {
            let (name, value) = (attribute.name(), attribute.value());
            let start = attribute.range().start;
            if holds_a_secret(name) {
                continue;
            }
            if name.len() > MAX_NAME_BYTES || value.len() > MAX_VALUE_BYTES || self.attributes >= MAX_ATTRIBUTES {
                let what = if self.attributes >= MAX_ATTRIBUTES { "one too many" } else { "too long" };
                self.warn(start, || format!("the attribute {} is {what} and is left out", excerpt(name)));
                continue;
            }
            let expected = if depth == 1 { expected_of(path, name) } else { None };
            if let Some(expected) = expected.filter(|expected| !value.trim().is_empty() && !expected.holds(value)) {
                self.warn(start, || {
                    let (value, what) = (excerpt(value), expected.what());
                    format!("{name}={value:?} of <{path}> is not {what}; the value below it or the default holds")
                });
                continue;
            }
            let Some(attributes) = self.conf.elements.get_mut(path) else { continue };
            if attributes.insert(name.into(), value.into()).is_none() {
                self.attributes += 1;
            }
        }
    }

    fn warn(&mut self, offset: usize, message: impl FnOnce() -> String) {
        if self.conf.warnings.len() < MAX_WARNINGS {
            let line = Position::in_text(self.text, offset).line;
            self.conf.warnings.push(Warning { line, message: message() });
        } else {
            self.conf.more_warnings += 1;
        }
    }
}

/// The types of the attributes that the exporter itself goes by.
#[derive(Clone, Copy)]
enum Expected {
    Boolean,
    Number,
    Mebibytes,
    TimeOfDay,
    Port,
}

impl Expected {
    fn holds(self, value: &str) -> bool {
        match self {
            Expected::Boolean => boolean(value).is_some(),
            Expected::Number => number(value).is_some(),
            Expected::Mebibytes => mebibytes(value).is_some(),
            Expected::TimeOfDay => time_of_day(value).is_some(),
            Expected::Port => number(value).is_some_and(|port| u16::try_from(port).is_ok()),
        }
    }

    fn what(self) -> &'static str {
        match self {
            Expected::Boolean => "true or false",
            Expected::Number => "a whole number",
            Expected::Mebibytes => "a whole number of mebibytes",
            Expected::TimeOfDay => "a time as HH:MM:SS",
            Expected::Port => "a port number",
        }
    }
}

fn expected_of(element: &str, attribute: &str) -> Option<Expected> {
    match attribute {
        AUTO_START => Some(Expected::Boolean),
        RUN_LEVEL => Some(Expected::Number),
        RESTART_TIME => Some(Expected::TimeOfDay),
        MEMORY_WARNING | MEMORY_ALERT => Some(Expected::Mebibytes),
        _ => {
            let ports = module(element)?.ports;
            ports.iter().any(|port| port.attribute == Some(attribute)).then_some(Expected::Port)
        }
    }
}

fn boolean(value: &str) -> Option<bool> {
    let is_one_of = |spellings: [&str; 2]| spellings.iter().any(|known| value.trim().eq_ignore_ascii_case(known));
    if is_one_of(["true", "1"]) {
        Some(true)
    } else if is_one_of(["false", "0"]) {
        Some(false)
    } else {
        None
    }
}

fn number(value: &str) -> Option<u64> {
    value.trim().parse().ok()
}

/// In bytes.
fn mebibytes(value: &str) -> Option<u64> {
    number(value)?.checked_mul(MEBIBYTE)
}

/// From midnight; the seconds may be missing.
fn time_of_day(value: &str) -> Option<Duration> {
    let mut parts = value.trim().split(':');
    let mut part = |below: u64| parts.next().map(|part| number(part).filter(|number| *number < below));
    let (hours, minutes) = (part(24)??, part(60)??);
    let seconds = part(60).unwrap_or(Some(0))?;
    parts.next().is_none().then(|| Duration::from_secs((hours * 60 + minutes) * 60 + seconds))
}

/// Passwords and the like have no business in the exporter's memory.
fn holds_a_secret(attribute: &str) -> bool {
    let attribute = attribute.to_ascii_lowercase();
    ["password", "passwd", "passphrase", "secret"].iter().any(|word| attribute.contains(word))
}

/// The file's text, without a byte order mark.
fn decode(bytes: &[u8]) -> Result<Cow<'_, str>, ConfError> {
    let (encoding, content, remedy) = match Encoding::for_bom(bytes) {
        Some((encoding, mark)) => (encoding, &bytes[mark..], "save it in the encoding of its byte order mark"),
        None => {
            let (encoding, remedy) = declared_encoding(bytes)?;
            (encoding, bytes, remedy)
        }
    };
    if let Some(text) = encoding.decode_without_bom_handling_and_without_replacement(content) {
        return Ok(text);
    }
    let (before, position) = decoded_up_to_the_error(encoding, content);
    let offset = bytes.len() - content.len() + position;
    Err(ConfError::Encoding { at: Position::at_end_of(&before), offset, encoding: encoding.name(), remedy })
}

/// The encoding of a file without byte order mark, and the remedy when the bytes turn out not to be in it.
fn declared_encoding(bytes: &[u8]) -> Result<(&'static Encoding, &'static str), ConfError> {
    // Appendix F of the XML recommendation: how `<?` looks in UTF-16.
    if bytes.starts_with(b"<\0?\0") {
        return Ok((UTF_16LE, "save it as UTF-16 throughout"));
    }
    if bytes.starts_with(b"\0<\0?") {
        return Ok((UTF_16BE, "save it as UTF-16 throughout"));
    }
    let Some((label, offset)) = declared_label(bytes) else {
        return Ok((UTF_8, "declare what it is saved in, such as <?xml version='1.0' encoding='ISO-8859-15'?>"));
    };
    let Some(encoding) = Encoding::for_label_no_replacement(label) else {
        // Everything before is ASCII, else the declaration would not have been found: bytes are characters.
        let label = excerpt(&String::from_utf8_lossy(label));
        let text = String::from_utf8_lossy(&bytes[..offset]);
        return Err(ConfError::UnknownEncoding { at: Position::at_end_of(&text), label });
    };
    // A declaration that can be read byte by byte is not in UTF-16, whatever it says.
    let encoding = if encoding == UTF_16LE || encoding == UTF_16BE { UTF_8 } else { encoding };
    Ok((encoding, "save it in the encoding that its first line declares, or declare the one it is saved in"))
}

/// The value of `encoding` in the XML declaration, and where it starts.
fn declared_label(bytes: &[u8]) -> Option<(&[u8], usize)> {
    const NAME: &[u8] = b"encoding";
    let head = &bytes[..bytes.len().min(1024)];
    if !head.starts_with(b"<?xml") {
        return None;
    }
    let head = &head[..head.windows(2).position(|pair| pair == b"?>")?];
    let mut at = head.windows(NAME.len()).position(|window| window == NAME)? + NAME.len();
    let skip_spaces = |at: usize| at + head[at..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    at = skip_spaces(at);
    if head.get(at) != Some(&b'=') {
        return None;
    }
    at = skip_spaces(at + 1);
    let quote = *head.get(at).filter(|byte| matches!(byte, b'"' | b'\''))?;
    let value = &head[at + 1..];
    let end = value.iter().position(|byte| *byte == quote)?;
    Some((&value[..end], at + 1))
}

/// What comes before the first malformed byte, and where that is.
fn decoded_up_to_the_error(encoding: &'static Encoding, content: &[u8]) -> (String, usize) {
    let mut decoder = encoding.new_decoder_without_bom_handling();
    let room = decoder.max_utf8_buffer_length_without_replacement(content.len()).unwrap_or(content.len());
    let mut before = String::with_capacity(room);
    let (result, read) = decoder.decode_to_string_without_replacement(content, &mut before, true);
    let malformed = match result {
        DecoderResult::Malformed(length, beyond) => usize::from(length) + usize::from(beyond),
        DecoderResult::InputEmpty | DecoderResult::OutputFull => 0,
    };
    (before, read.saturating_sub(malformed))
}

fn malformed(text: &str, error: &roxmltree::Error) -> ConfError {
    let reported = error.pos();
    let at = Position { line: reported.row as usize, column: reported.col as usize };
    match error {
        roxmltree::Error::NoRootNode if text.trim().is_empty() => ConfError::Empty,
        roxmltree::Error::DtdDetected => {
            let at = text.find("<!DOCTYPE").map_or(Position::START, |offset| Position::in_text(text, offset));
            ConfError::Doctype { at }
        }
        roxmltree::Error::NodesLimitReached => ConfError::TooMuch { at, what: "too many elements" },
        // The XML reader has no position for these, which is how a file looks that is cut off.
        roxmltree::Error::UnclosedRootNode | roxmltree::Error::UnexpectedEndOfStream => {
            ConfError::Malformed { at: Position::at_end_of(text), what: "the file ends too early".to_owned() }
        }
        error => {
            let message = error.to_string();
            let what = message.strip_suffix(&format!(" at {reported}")).unwrap_or(&message);
            ConfError::Malformed { at, what: excerpt(what) }
        }
    }
}

/// As much of a text as an error message needs.
fn excerpt(text: &str) -> String {
    text[..text.floor_char_boundary(120)].to_owned()
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use proptest::prelude::*;

    use super::*;

    fn fixture(path: &str) -> Vec<u8> {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/conf").join(path);
        std::fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
    }

    fn fixtures(folder: &str) -> Vec<PathBuf> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/conf").join(folder);
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
    }

    fn parsed(xml: &str) -> ServerConf {
        ServerConf::parse(xml.as_bytes()).unwrap()
    }

    fn settings(server: &str, instance: &str) -> Settings {
        let layer = |xml: &str| (!xml.is_empty()).then(|| Arc::new(parsed(xml)));
        Settings::overlay(layer(server), layer(instance))
    }

    fn warnings(conf: &ServerConf) -> Vec<String> {
        conf.warnings().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_encoding_gives_the_same_text() {
        let table = [
            ("iso-8859-1.xml", "café"),
            ("iso-8859-15.xml", "café €"),
            ("windows-1252.xml", "café €"),
            ("utf-8.xml", "café €"),
            ("utf-8-undeclared.xml", "café €"),
            ("utf-8-bom.xml", "café €"),
            ("utf-16le-bom.xml", "café €"),
            ("utf-16be-bom.xml", "café €"),
            ("utf-16le.xml", "café €"),
            ("utf-16be.xml", "café €"),
            ("double-quoted.xml", "café"),
            ("utf-16-by-mistake.xml", "café €"),
        ];
        for (name, text) in table {
            let conf = ServerConf::parse(&fixture(&format!("encodings/{name}"))).unwrap();
            assert_eq!(conf.value("mta", "comment"), Some(text), "{name}");
        }
        assert_eq!(fixtures("encodings").len(), table.len(), "a fixture is not in the table");
    }

    #[test]
    fn an_unusable_file_is_an_error_with_place_and_remedy() {
        let table = [
            (
                "undeclared-latin.xml",
                "line 2, column 11: the bytes there (offset 23) are not UTF-8: declare what it is saved in, such as <?xml version='1.0' encoding='ISO-8859-15'?>",
            ),
            (
                "declared-utf-8-but-latin.xml",
                "line 3, column 11: the bytes there (offset 62) are not UTF-8: save it in the encoding that its first line declares, or declare the one it is saved in",
            ),
            (
                "cut-utf-16.xml",
                "line 5, column 14: the bytes there (offset 248) are not UTF-16LE: save it in the encoding of its byte order mark",
            ),
            (
                "unknown-encoding.xml",
                "line 1, column 31: unknown encoding \"EBCDIC-CP-FR\": declare ISO-8859-15, UTF-8 or another that the file is saved in",
            ),
            ("empty.xml", "the file is empty: restore the file"),
            ("only-spaces.xml", "the file is empty: restore the file"),
            ("no-element.xml", "line 1, column 1: the document does not have a root node: correct the XML there"),
            (
                "other-root.xml",
                "line 3, column 1: the root element is \"netreport\": a Campaign configuration file has the root element serverconf",
            ),
            ("cut-off.xml", "line 4, column 17: the file ends too early: correct the XML there"),
            ("unclosed.xml", "line 3, column 1: the file ends too early: correct the XML there"),
            ("wrong-end-tag.xml", "line 3, column 3: expected 'mta' tag, not 'web': correct the XML there"),
            (
                "duplicated-attribute.xml",
                "line 2, column 25: attribute 'autoStart' at 2:25 is already defined: correct the XML there",
            ),
            (
                "doctype.xml",
                "line 2, column 1: a document type (<!DOCTYPE) is not accepted: remove it, Campaign's files have none",
            ),
            ("entity.xml", "line 2, column 14: unknown entity reference 'unknown': correct the XML there"),
            ("binary.xml", "line 1, column 1: unknown token: correct the XML there"),
            ("nul.xml", "line 2, column 7: a non-XML character '\\0' found: correct the XML there"),
        ];
        for (name, message) in table {
            let error = ServerConf::parse(&fixture(&format!("errors/{name}"))).unwrap_err();
            assert_eq!(error.to_string(), message, "{name}");
        }
        assert_eq!(fixtures("errors").len(), table.len(), "a fixture is not in the table");
    }

    #[test]
    fn a_file_that_is_still_being_written_is_an_error_at_every_length() {
        let whole = fixture("installation/config-prod.xml");
        let end = whole.trim_ascii_end().len();
        for length in 0..end {
            assert!(ServerConf::parse(&whole[..length]).is_err(), "{length} bytes were taken for a whole file");
        }
        assert!(ServerConf::parse(&whole[..end]).is_ok());
    }

    #[test]
    fn the_root_element_may_be_in_either_case() {
        for root in ["serverconf", "serverConf", "SERVERCONF"] {
            assert!(parsed(&format!("<{root}><mta/></{root}>")).mentions("mta"), "{root}");
        }
    }

    #[test]
    fn absent_settings_have_the_documented_defaults() {
        let settings = settings("<serverconf/>", "");
        let web = settings.module("web");
        let six = Duration::from_secs(6 * 60 * 60);
        let (warning, alert) = (1600 * 1024 * 1024, 1800 * 1024 * 1024);
        let expected = ModuleSettings {
            auto_start: false,
            args: String::new(),
            memory_warning_bytes: warning,
            memory_alert_bytes: alert,
            run_level: 10,
            restart_time: six,
        };
        assert_eq!(web, expected);
        assert_eq!(settings.module("mta"), ModuleSettings { args: "-tracefilter:nlmta".to_owned(), ..expected });
        assert_eq!(settings.number("web", "httpPort"), None);
        assert_eq!(Settings::default().module("web"), web);
    }

    #[test]
    fn an_instance_wins_over_the_server_attribute_by_attribute() {
        let layer = |name: &str| Some(Arc::new(ServerConf::parse(&fixture(&format!("installation/{name}"))).unwrap()));
        let settings = Settings::overlay(layer("serverConf.xml"), layer("config-prod.xml"));
        let mta = settings.module("mta");
        assert!(mta.auto_start);
        assert_eq!(mta.memory_warning_bytes, 1900 * MEBIBYTE);
        assert_eq!(mta.memory_alert_bytes, 2048 * MEBIBYTE);
        assert_eq!(settings.value("mta", "statServerAddress"), Some("localhost"));
        assert_eq!(settings.number("mta/child", "maxAgeSec"), Some(900));
        assert_eq!(settings.number("mta/child", "maxWorkingSetMb"), Some(128));
        assert_eq!(settings.number("mta/master", "maxSpareServers"), Some(2));
        let wfserver = settings.module("wfserver");
        assert_eq!((wfserver.run_level, wfserver.restart_time), (9, Duration::from_secs(19_800)));
        assert!(settings.auto_start("inMail") && settings.auto_start("stat"));
        assert!(!settings.auto_start("web"));
        let default = Settings::overlay(layer("serverConf.xml"), layer("config-default.xml"));
        assert_eq!(default.module("web").args, "-tomcat -autorepair");
        assert_eq!(default.number("web", "httpPort"), Some(8080));
        assert!(default.mentions("trackinglogd") && !settings.mentions("trackinglogd"));
    }

    #[test]
    fn an_empty_value_means_the_default_and_hides_the_one_below() {
        let settings = settings(
            "<serverconf><mta args='-verbose' maxProcessMemoryAlertMb='9' autoStart='1'/><stat port='7000'/></serverconf>",
            "<serverconf><mta args='' maxProcessMemoryAlertMb=' ' autoStart=''/><stat port=''/></serverconf>",
        );
        let mta = settings.module("mta");
        assert_eq!((mta.args.as_str(), mta.memory_alert_bytes, mta.auto_start), ("", 1800 * MEBIBYTE, false));
        assert_eq!(settings.number("stat", "port"), None);
    }

    #[test]
    fn values_that_are_not_understood_leave_the_one_below_in_force() {
        let server = "<serverconf><mta autoStart='true' maxProcessMemoryAlertMb='3'/></serverconf>";
        let instance = "<serverconf>\n<mta autoStart='maybe'\n maxProcessMemoryAlertMb='lots'\n maxProcessMemoryWarningMb='-1'\n \
            runLevel='1.5' processRestartTime='25:00:00'/></serverconf>";
        let mta = settings(server, instance).module("mta");
        assert!(mta.auto_start);
        assert_eq!((mta.memory_alert_bytes, mta.memory_warning_bytes), (3 * MEBIBYTE, 1600 * MEBIBYTE));
        assert_eq!((mta.run_level, mta.restart_time), (10, Duration::from_secs(21_600)));
        let held = "; the value below it or the default holds";
        let expected = [
            format!("line 2: autoStart=\"maybe\" of <mta> is not true or false{held}"),
            format!("line 3: maxProcessMemoryAlertMb=\"lots\" of <mta> is not a whole number of mebibytes{held}"),
            format!("line 4: maxProcessMemoryWarningMb=\"-1\" of <mta> is not a whole number of mebibytes{held}"),
            format!("line 5: runLevel=\"1.5\" of <mta> is not a whole number{held}"),
            format!("line 5: processRestartTime=\"25:00:00\" of <mta> is not a time as HH:MM:SS{held}"),
        ];
        assert_eq!(warnings(&parsed(instance)), expected);
        let huge = parsed("<serverconf><mta maxProcessMemoryAlertMb='18446744073709551615'/></serverconf>");
        assert_eq!((huge.value("mta", MEMORY_ALERT), huge.warnings().len()), (None, 1));
    }

    #[test]
    fn values_are_read_as_they_are_documented() {
        for (value, read) in [
            ("true", Some(true)),
            ("TRUE", Some(true)),
            ("1", Some(true)),
            (" False ", Some(false)),
            ("0", Some(false)),
            ("yes", None),
            ("", None),
        ] {
            assert_eq!(boolean(value), read, "{value}");
        }
        for (value, seconds) in [
            ("06:00:00", Some(21_600)),
            ("6:5", Some(21_900)),
            ("23:59:59", Some(86_399)),
            ("24:00:00", None),
            ("06", None),
            ("06:00:00:00", None),
            ("06:00:xx", None),
            ("", None),
        ] {
            assert_eq!(time_of_day(value), seconds.map(Duration::from_secs), "{value}");
        }
    }

    #[test]
    fn a_number_that_is_none_is_passed_over() {
        let settings = settings("<serverconf><a port='12'/></serverconf>", "<serverconf><a port='x'/></serverconf>");
        assert_eq!(settings.number("a", "port"), Some(12));
        assert_eq!(settings.value("a", "port"), Some("x"));
    }

    #[test]
    fn of_elements_that_occur_twice_the_later_attribute_holds() {
        let conf =
            parsed("<serverconf><mta a='1' b='1'><c d='1'/></mta><web/><mta b='2'><c e='2'/></mta></serverconf>");
        let values =
            [("mta", "a"), ("mta", "b"), ("mta/c", "d"), ("mta/c", "e")].map(|(path, name)| conf.value(path, name));
        assert_eq!(values, [Some("1"), Some("2"), Some("1"), Some("2")]);
    }

    #[test]
    fn secrets_are_neither_kept_nor_shown() {
        let conf = ServerConf::parse(&fixture("installation/serverConf.xml")).unwrap();
        let path = "shared/dataStore/dataSource/dbcnx";
        assert_eq!(conf.value(path, "provider"), Some("DB"));
        assert_eq!(conf.value(path, "password"), None);
        let shown = format!("{conf:?}");
        assert!(shown.contains("statServerAddress"));
        assert!(!shown.contains("localhost") && !shown.contains("c2VjcmV0"), "{shown}");
    }

    #[test]
    fn what_is_kept_of_a_file_is_bounded_and_said() {
        let many: String = (0..MAX_MODULES + 30).map(|number| format!("<m{number} a='1'/>\n")).collect();
        let conf = parsed(&format!("<serverconf>\n{many}</serverconf>"));
        assert_eq!(conf.elements.len(), MAX_MODULES);
        assert_eq!((conf.warnings().len(), conf.more_warnings()), (MAX_WARNINGS, 30 - MAX_WARNINGS));
        assert_eq!(conf.warnings()[0].to_string(), "line 1002: <m1000> is one module too many and is left out");

        let deep = format!("<serverconf>{}{}</serverconf>", "<a>".repeat(50_000), "</a>".repeat(50_000));
        let conf = parsed(&deep);
        assert_eq!(conf.elements.len(), MAX_DEPTH);
        assert_eq!(warnings(&conf), ["line 1: <a> is nested too deeply and is left out"]);

        let long = "x".repeat(MAX_VALUE_BYTES + 1);
        let conf = parsed(&format!("<serverconf><mta a='{long}' b='1'/><{long}/></serverconf>"));
        assert_eq!((conf.value("mta", "a"), conf.value("mta", "b"), conf.elements.len()), (None, Some("1"), 1));
        assert_eq!(conf.warnings().len(), 2);
    }

    #[test]
    fn a_crafted_file_is_refused_before_it_costs() {
        let attributes: String = (0..2_000).map(|number| format!(" a{number} = '1'")).collect();
        for (content, expected) in [
            (format!("\n<mta{attributes}/>"), "too many attributes in one element"),
            ("<a/>".repeat(MAX_NODES as usize), "too many elements"),
        ] {
            let error = ServerConf::parse(format!("<serverconf>{content}</serverconf>").as_bytes()).unwrap_err();
            assert!(matches!(error, ConfError::TooMuch { what, .. } if what == expected), "{expected}: {error}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_break_the_parser(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = ServerConf::parse(&bytes);
            let _ = ServerConf::parse(&[b"<?xml version='1.0' encoding='".as_slice(), &bytes].concat());
            let _ = ServerConf::parse(&[b"\xff\xfe".as_slice(), &bytes].concat());
        }

        #[test]
        fn no_damage_to_a_good_file_breaks_the_parser(at in 0_usize..1200, bytes in prop::collection::vec(any::<u8>(), 0..8)) {
            let mut file = fixture("installation/serverConf.xml");
            let at = at.min(file.len() - 8);
            file.splice(at..at + bytes.len(), bytes);
            if let Ok(conf) = ServerConf::parse(&file) {
                prop_assert!(conf.elements.len() < 30);
                let _ = Settings::overlay(Some(Arc::new(conf)), None).module("mta");
            }
        }

        #[test]
        fn what_is_written_is_read(value in "[a-zA-Z0-9 é€<>&\"'/:*-]{0,40}", number in any::<u32>()) {
            let escaped = value.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
            let settings = settings(&format!("<serverconf><mta args=\"{escaped}\" runLevel=\"{number}\"/></serverconf>"), "");
            prop_assert_eq!(settings.module("mta").args, value);
            prop_assert_eq!(settings.module("mta").run_level, u64::from(number));
        }
    }
}
