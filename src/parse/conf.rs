//! Campaign's XML configuration -> settings, and their overlay: defaults < `serverConf.xml` < instance file.
//!
//! Parses the attributes of `catalog::attributes`; `source::installation` finds the files and follows their changes.
//!
//! # Format
//! The page *The server configuration file* of the product documentation: a root element `serverconf`, in either
//! case; below it an element for each module, with attributes and with elements of its own (`mta/child`). A value
//! that is absent or empty means the documented default (arguments that are empty are none). A value that can't be read
//! is not used, and is warned of; an `autoStart` that can't be read leaves open whether the module has to run.
//! An element that occurs twice is warned of: its attributes are taken together, and the later of two equal ones holds; two
//! `autoStart` that differ leave open whether the module has to run.
//!
//! # Limits
//! A document type is refused, so no entity can expand or load other files. Nothing is kept but the attributes that the
//! catalog has: neither secrets nor the size of a file reach the exporter's memory for longer than it takes to read it.

mod text;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use roxmltree::Node;

use super::xml::{self, XmlError};

use crate::catalog::attributes::{
    ARGS, ATTRIBUTES, AUTO_START, Attribute, AttributePlace, DISABLED, MEMORY_ALERT, MEMORY_WARNING, ValueKind,
    attribute, element,
};
use crate::catalog::modules::residents;

/// The most bytes that a value may have.
pub const MAX_VALUE_BYTES: usize = 4_096;

/// The most warnings that are kept of one file.
pub const MAX_WARNINGS: usize = 20;

/// How deep below the root the elements are that have an attribute of the catalog.
const DEPTH: usize = 2;

/// What the XML reader may build before the file is refused: it keeps a file of 8 MiB from taking hundreds.
const MAX_NODES: u32 = 200_000;

const ROOT: &str = "serverconf";

const MEBIBYTE: u64 = 1024 * 1024;

/// A place in a file, both counted from 1; the column in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextPosition {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

impl TextPosition {
    const START: TextPosition = TextPosition { line: 1, column: 1 };

    fn at_end_of(text: &str) -> TextPosition {
        let line = text.bytes().filter(|byte| *byte == b'\n').count() + 1;
        let last = text.rsplit('\n').next().unwrap_or_default();
        TextPosition { line, column: last.chars().count() + 1 }
    }

    fn in_text(text: &str, offset: usize) -> TextPosition {
        TextPosition::at_end_of(&text[..text.floor_char_boundary(offset)])
    }
}

impl fmt::Display for TextPosition {
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
        at: TextPosition,
        /// What the XML reader says.
        what: String,
    },
    /// There is no element.
    #[error("the file is empty: restore the file")]
    Empty,
    /// The bytes are not in the encoding that the file declares.
    #[error("{at}: the bytes there (offset {offset}) are not {encoding}: {remedy}")]
    Encoding {
        /// Where.
        at: TextPosition,
        /// The same in bytes from the start of the file.
        offset: usize,
        /// The encoding.
        encoding: &'static str,
        /// What to do.
        remedy: &'static str,
    },
    /// The XML declaration names an unknown encoding.
    #[error("{at}: unknown encoding {label:?}: declare ISO-8859-15, UTF-8 or another that the file is saved in")]
    UnknownEncoding {
        /// Where.
        at: TextPosition,
        /// What is declared.
        label: String,
    },
    /// Another kind of XML file.
    #[error("{at}: the root element is {found:?}: a Campaign configuration file has the root element serverconf")]
    Root {
        /// Where.
        at: TextPosition,
        /// The root element.
        found: String,
    },
    /// A document type, which could bring in other files or grow without bounds.
    #[error("{at}: a document type (<!DOCTYPE) is not accepted: remove it, Campaign's files have none")]
    Doctype {
        /// Where.
        at: TextPosition,
    },
    /// More of something than a configuration can need.
    #[error("{at}: {what}: remove what doesn't belong in a configuration file")]
    TooMuch {
        /// Where.
        at: TextPosition,
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

/// What an attribute says.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Value {
    /// Nothing: the default holds.
    Empty,
    /// Something that is none of its values.
    Unreadable,
    Flag(bool),
    /// In bytes, seconds or as it is.
    Number(u64),
    Text(Box<str>),
}

/// What one file says, as far as the exporter uses it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ServerConf {
    /// By element and attribute, both as the catalog writes them; a few dozen at most.
    values: Vec<(&'static str, &'static str, Value)>,
    elements: BTreeSet<&'static str>,
    warnings: Vec<Warning>,
    warned: usize,
    invalid: usize,
}

/// Shows no values: an argument may hold anything.
impl fmt::Debug for ServerConf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.values.iter().map(|(element, attribute, _)| (element, attribute))).finish()
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
        let text = text::decode(bytes)?;
        let document = xml::document(&text, MAX_NODES).map_err(|error| match error {
            XmlError::TooMuch { what, offset } => ConfError::TooMuch { at: TextPosition::in_text(&text, offset), what },
            XmlError::Malformed(error) => malformed(&text, &error),
        })?;
        let root = document.root_element();
        let found = root.tag_name().name();
        if !found.eq_ignore_ascii_case(ROOT) {
            let at = TextPosition::in_text(&text, root.range().start);
            return Err(ConfError::Root { at, found: excerpt(found) });
        }
        let mut reader = Reader { text: &text, conf: ServerConf::default() };
        reader.children(root, "", 1);
        Ok(reader.conf)
    }

    /// Whether the file has the element `path` (`mta/child`, from below the root); only for elements of the catalog.
    #[must_use]
    pub fn mentions(&self, path: &str) -> bool {
        self.elements.contains(path)
    }

    /// Whether the file itself makes the watchdog start `module`.
    #[must_use]
    pub fn starts(&self, module: &str) -> bool {
        self.value(module, AUTO_START.name) == Some(&Value::Flag(true))
    }

    fn value(&self, element: &str, attribute: &str) -> Option<&Value> {
        self.values.iter().find(|(path, name, _)| *path == element && *name == attribute).map(|(_, _, value)| value)
    }

    /// The later of two values holds; but which of two flags the product goes by is in no document.
    fn set(&mut self, element: &'static str, attribute: &'static str, value: Value) {
        let is_flag = |value: &Value| matches!(value, Value::Flag(_) | Value::Unreadable);
        let differs = |before: &Value| *before != value && (is_flag(before) || is_flag(&value));
        let is_open = self.value(element, attribute).is_some_and(differs);
        self.values.retain(|(path, name, _)| *path != element || *name != attribute);
        self.values.push((element, attribute, if is_open { Value::Unreadable } else { value }));
    }

    /// Whether it leaves open if a module has to run.
    #[must_use]
    pub fn leaves_open(&self) -> bool {
        self.values.iter().any(|(_, _, value)| *value == Value::Unreadable)
    }

    /// How many values could not be read (the ones below in the overlay, or the defaults, hold in their place, and nothing in
    /// that of a flag), and how many elements occur once more.
    #[must_use]
    pub fn invalid_values(&self) -> usize {
        self.invalid
    }

    /// What was not understood, at most [`MAX_WARNINGS`], in the order of the file.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// How many warnings there are beyond those.
    #[must_use]
    pub fn more_warnings(&self) -> usize {
        self.warned - self.warnings.len()
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

    /// The settings of `module`: the documented defaults where no file mentions it.
    #[must_use]
    pub fn module(&self, module: &str) -> ModuleSettings<'_> {
        let number = |general: &'static Attribute| {
            self.number_of(module, general).or_else(|| default_number(general)).unwrap_or_default()
        };
        ModuleSettings {
            auto_start: self.auto_start(module),
            args: self.text_of(module, attribute(module, ARGS.name).unwrap_or(&ARGS)),
            memory_warning_bytes: number(&MEMORY_WARNING),
            memory_alert_bytes: number(&MEMORY_ALERT),
        }
    }

    /// Whether the watchdog starts `module`; none where a file says so in a way that can't be read, or no file does and the
    /// default is not documented.
    #[must_use]
    pub fn auto_start(&self, module: &str) -> Option<bool> {
        match self.value(module, AUTO_START.name) {
            Some(Value::Flag(starts)) => Some(*starts),
            Some(Value::Unreadable) => None,
            _ => flag(attribute(module, AUTO_START.name).unwrap_or(&AUTO_START).default),
        }
    }

    /// Whether the instance's own file makes the watchdog start `module`, whatever `serverConf.xml` says.
    #[must_use]
    pub fn starts_by_itself(&self, module: &str) -> bool {
        self.instance.as_ref().is_some_and(|file| file.starts(module))
    }

    /// The value in force of a number: in bytes, in seconds or as it is; none where there is neither value nor default.
    #[must_use]
    pub fn number(&self, attribute: &'static Attribute) -> Option<u64> {
        let AttributePlace::Element(path) = attribute.place else { return None };
        self.number_of(path, attribute).or_else(|| default_number(attribute))
    }

    /// The value in force of a text, without spaces around it; the default where it is absent or empty.
    #[must_use]
    pub fn text(&self, attribute: &'static Attribute) -> &str {
        let AttributePlace::Element(path) = attribute.place else { return "" };
        Some(self.text_of(path, attribute).trim()).filter(|text| !text.is_empty()).unwrap_or(attribute.default)
    }

    /// Whether one of the files has the element `path`.
    #[must_use]
    pub fn mentions(&self, path: &str) -> bool {
        self.layers().any(|layer| layer.mentions(path))
    }

    fn layers(&self) -> impl Iterator<Item = &ServerConf> {
        [&self.instance, &self.server].into_iter().flatten().map(Arc::as_ref)
    }

    fn value(&self, path: &str, name: &str) -> Option<&Value> {
        self.layers().find_map(|layer| layer.value(path, name))
    }

    fn number_of(&self, path: &str, attribute: &Attribute) -> Option<u64> {
        match self.value(path, attribute.name) {
            Some(Value::Number(number)) => Some(*number),
            _ => None,
        }
    }

    fn text_of(&self, path: &str, attribute: &'static Attribute) -> &str {
        match self.value(path, attribute.name) {
            Some(Value::Text(text)) => text,
            _ => attribute.default,
        }
    }
}

/// What the configuration says of one module, with the documented defaults filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModuleSettings<'a> {
    /// Whether the watchdog starts it; none where that is unknown.
    pub auto_start: Option<bool>,
    /// Arguments added to its command line.
    pub args: &'a str,
    /// `maxProcessMemoryWarningMb`, in bytes.
    pub memory_warning_bytes: u64,
    /// `maxProcessMemoryAlertMb`, in bytes.
    pub memory_alert_bytes: u64,
}

/// Copies a document into a [`ServerConf`].
struct Reader<'a> {
    text: &'a str,
    conf: ServerConf,
}

impl Reader<'_> {
    /// Reads the elements directly below `parent`, whose path is `above`; they are `depth` below the root.
    fn children(&mut self, parent: Node<'_, '_>, above: &str, depth: usize) {
        for node in parent.children().filter(Node::is_element) {
            let name = node.tag_name().name();
            if depth == 1 {
                self.look_for_another_spelling(node, name);
            }
            let path = if above.is_empty() { name.to_owned() } else { format!("{above}/{name}") };
            let Some(known) = element(&path) else { continue };
            if !self.conf.elements.insert(known) {
                self.conf.invalid += 1;
                self.warn(node.range().start, || {
                    format!("a second <{known}>: where both set an attribute, this one applies; merge them")
                });
            }
            self.attributes_of(node, known);
            if depth < DEPTH {
                self.children(node, known, depth + 1);
            }
        }
    }

    /// XML names are case-sensitive, and how Campaign treats another spelling is not documented: report it, don't
    /// guess.
    fn look_for_another_spelling(&mut self, node: Node<'_, '_>, name: &str) {
        let meant = residents().map(|(known, _)| known).find(|known| known.eq_ignore_ascii_case(name));
        if let Some(meant) = meant.filter(|meant| *meant != name) {
            self.warn(node.range().start, || format!("<{name}> is ignored: the module is spelled <{meant}>"));
        }
    }

    fn attributes_of(&mut self, node: Node<'_, '_>, path: &'static str) {
        for written in node.attributes() {
            let Some(known) = attribute(path, written.name()) else {
                self.look_for_another_case(path, &written);
                continue;
            };
            let text = written.value();
            if let Some(value) = read(known.kind, text) {
                self.conf.set(path, known.name, value);
                continue;
            }
            self.conf.invalid += 1;
            let is_flag = known.kind == ValueKind::Flag;
            if is_flag {
                self.conf.set(path, known.name, Value::Unreadable);
            }
            self.warn(written.range().start, || {
                let (name, what) = (known.name, known.kind.what());
                if text.len() > MAX_VALUE_BYTES {
                    return format!("{name} of <{path}> has more than {MAX_VALUE_BYTES} bytes and is left out");
                }
                let holds = match is_flag {
                    true => "it is unknown whether the module has to run",
                    false => "the value of serverConf.xml or the default applies instead",
                };
                format!("{name}={:?} of <{path}> is not {what}; {holds}", excerpt(text))
            });
        }
        let is_disabled = node.has_attribute(DISABLED) && !node.has_attribute(AUTO_START.name);
        if is_disabled && attribute(path, AUTO_START.name).is_some() {
            self.conf.set(path, AUTO_START.name, Value::Flag(false));
        }
    }

    /// The same of an attribute.
    fn look_for_another_case(&mut self, path: &str, written: &roxmltree::Attribute<'_, '_>) {
        let name = written.name();
        let mut named = ATTRIBUTES.iter().map(|known| known.name).filter(|known| known.eq_ignore_ascii_case(name));
        if let Some(meant) = named.find(|known| attribute(path, known).is_some()) {
            self.warn(written.range().start, || {
                format!("{name} of <{path}> is ignored: the attribute is spelled {meant}")
            });
        }
    }

    fn warn(&mut self, offset: usize, message: impl FnOnce() -> String) {
        self.conf.warned += 1;
        if self.conf.warnings.len() < MAX_WARNINGS {
            let line = TextPosition::in_text(self.text, offset).line;
            self.conf.warnings.push(Warning { line, message: message() });
        }
    }
}

/// The value that `text` is; none when it is of another kind or too long.
fn read(kind: ValueKind, text: &str) -> Option<Value> {
    if text.len() > MAX_VALUE_BYTES {
        return None;
    }
    match kind {
        ValueKind::Text => Some(Value::Text(text.into())),
        _ if text.trim().is_empty() => Some(Value::Empty),
        ValueKind::Flag => flag(text).map(Value::Flag),
        _ => number(kind, text).map(Value::Number),
    }
}

fn flag(text: &str) -> Option<bool> {
    let is_one_of = |spellings: [&str; 2]| spellings.iter().any(|known| text.trim().eq_ignore_ascii_case(known));
    if is_one_of(["true", "1"]) {
        Some(true)
    } else if is_one_of(["false", "0"]) {
        Some(false)
    } else {
        None
    }
}

fn number(kind: ValueKind, text: &str) -> Option<u64> {
    let number: u64 = text.trim().parse().ok()?;
    match kind {
        ValueKind::Mebibytes => number.checked_mul(MEBIBYTE),
        ValueKind::Port => u16::try_from(number).ok().map(u64::from),
        _ => Some(number),
    }
}

fn default_number(attribute: &Attribute) -> Option<u64> {
    number(attribute.kind, attribute.default)
}

fn malformed(text: &str, error: &roxmltree::Error) -> ConfError {
    let reported = error.pos();
    let at = TextPosition { line: reported.row as usize, column: reported.col as usize };
    match error {
        roxmltree::Error::NoRootNode if text.trim().is_empty() => ConfError::Empty,
        roxmltree::Error::DtdDetected => {
            let at = text.find("<!DOCTYPE").map_or(TextPosition::START, |offset| TextPosition::in_text(text, offset));
            ConfError::Doctype { at }
        }
        roxmltree::Error::NodesLimitReached => ConfError::TooMuch { at, what: "too many elements" },
        // The XML reader has no position for these errors, which a truncated file causes.
        roxmltree::Error::UnclosedRootNode | roxmltree::Error::UnexpectedEndOfStream => {
            ConfError::Malformed { at: TextPosition::at_end_of(text), what: "the file ends too early".to_owned() }
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
    use crate::catalog::attributes::{
        IN_MAIL_PERIOD, MTA_CHILD_AGE, MTA_CHILD_ARGS, MTA_CHILD_MEMORY, MTA_SPARE_SERVERS, MTA_WORKING_PATH,
        PIPELINED_DUMP_PERIOD, STAT_PORT, WEB_HTTP_PORT,
    };

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

    fn args(conf: ServerConf) -> String {
        Settings::overlay(None, Some(Arc::new(conf))).module("mta").args.to_owned()
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
            assert_eq!(args(conf), text, "{name}");
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
        let (memory_warning_bytes, memory_alert_bytes) = (1600 * MEBIBYTE, 1800 * MEBIBYTE);
        let web = ModuleSettings { auto_start: Some(false), args: "", memory_warning_bytes, memory_alert_bytes };
        assert_eq!(settings.module("web"), web);
        assert_eq!(settings.module("mta"), ModuleSettings { args: "-tracefilter:nlmta", ..web });
        assert_eq!(Settings::default().module("web"), web);
        for attribute in ATTRIBUTES.iter().filter(|attribute| matches!(attribute.place, AttributePlace::Element(_))) {
            match attribute.kind {
                ValueKind::Text => assert_eq!(settings.text(attribute), attribute.default),
                _ => assert_eq!(settings.number(attribute), default_number(attribute), "{}", attribute.name),
            }
        }
        assert_eq!((settings.number(&STAT_PORT), settings.number(&PIPELINED_DUMP_PERIOD)), (Some(7777), None));
    }

    #[test]
    fn whether_stat_starts_is_not_known_where_no_file_says_so() {
        assert_eq!(settings("<serverconf/>", "").auto_start("stat"), None);
        assert_eq!(settings("<serverconf><stat/></serverconf>", "").auto_start("stat"), None);
        assert_eq!(settings("<serverconf><stat autoStart='false'/></serverconf>", "").auto_start("stat"), Some(false));
    }

    #[test]
    fn a_module_that_was_disabled_is_not_started_whatever_the_layer_below_says() {
        let server = "<serverconf><mta autoStart='true'/><stat autoStart='true'/><web autoStart='true'/></serverconf>";
        let instance = "<serverconf><mta _autoStart='true'/><stat _autoStart='false'/><web _autoStart='true' autoStart='1'/></serverconf>";
        let settings = settings(server, instance);
        let starts = ["mta", "stat", "web"].map(|module| settings.auto_start(module));
        assert_eq!(starts, [Some(false), Some(false), Some(true)]);
        assert!(settings.starts_by_itself("web") && !settings.starts_by_itself("mta"));
    }

    #[test]
    fn an_instance_wins_over_the_server_attribute_by_attribute() {
        let layer = |name: &str| Some(Arc::new(ServerConf::parse(&fixture(&format!("installation/{name}"))).unwrap()));
        let settings = Settings::overlay(layer("serverConf.xml"), layer("config-prod.xml"));
        let mta = settings.module("mta");
        assert_eq!(mta.auto_start, Some(true));
        assert_eq!(mta.memory_warning_bytes, 1900 * MEBIBYTE);
        assert_eq!(mta.memory_alert_bytes, 2048 * MEBIBYTE);
        assert_eq!(settings.number(&MTA_CHILD_AGE), Some(900));
        assert_eq!(settings.number(&MTA_CHILD_MEMORY), Some(128 * MEBIBYTE));
        assert_eq!(settings.number(&MTA_SPARE_SERVERS), Some(2));
        assert_eq!(
            ["inMail", "stat", "web"].map(|name| settings.auto_start(name)),
            [Some(true), Some(true), Some(false)]
        );
        let default = Settings::overlay(layer("serverConf.xml"), layer("config-default.xml"));
        assert_eq!(default.module("web").args, "-tomcat -autorepair");
        assert_eq!(default.number(&WEB_HTTP_PORT), Some(8080));
        assert!(default.mentions("trackinglogd") && !settings.mentions("trackinglogd"));
    }

    #[test]
    fn an_empty_value_means_the_default_and_hides_the_one_below() {
        let settings = settings(
            "<serverconf><mta args='-verbose' workingPath='/x' maxProcessMemoryAlertMb='9' autoStart='1'/><stat port='7000'/></serverconf>",
            "<serverconf><mta args='' workingPath=' ' maxProcessMemoryAlertMb=' ' autoStart=''/><stat port=''/></serverconf>",
        );
        let mta = settings.module("mta");
        assert_eq!((mta.args, mta.memory_alert_bytes, mta.auto_start), ("", 1800 * MEBIBYTE, Some(false)));
        assert_eq!(settings.number(&STAT_PORT), Some(7777));
        assert_eq!(settings.text(&MTA_WORKING_PATH), MTA_WORKING_PATH.default);
    }

    #[test]
    fn values_that_are_not_understood_leave_the_one_below_in_force_and_are_counted() {
        let server = "<serverconf><mta autoStart='true' maxProcessMemoryAlertMb='3'/></serverconf>";
        let instance = "<serverconf>\n<mta autoStart='maybe'\n maxProcessMemoryAlertMb='10 MB'\n maxProcessMemoryWarningMb='-1'>\n\
            <child maxAgeSec='1.5'/></mta>\n<web httpPort='65536'/><inMail popMailPeriodSec='five'/></serverconf>";
        let settings = settings(server, instance);
        let mta = settings.module("mta");
        assert_eq!((mta.auto_start, settings.auto_start("web")), (None, Some(false)));
        assert_eq!((mta.memory_alert_bytes, mta.memory_warning_bytes), (3 * MEBIBYTE, 1600 * MEBIBYTE));
        let numbers = [&MTA_CHILD_AGE, &WEB_HTTP_PORT, &IN_MAIL_PERIOD].map(|attribute| settings.number(attribute));
        assert_eq!(numbers, [Some(600), Some(8080), Some(300)]);
        let held = "; the value of serverConf.xml or the default applies instead";
        let expected = [
            "line 2: autoStart=\"maybe\" of <mta> is not true or false; it is unknown whether the module has to run"
                .into(),
            format!("line 3: maxProcessMemoryAlertMb=\"10 MB\" of <mta> is not a whole number of mebibytes{held}"),
            format!("line 4: maxProcessMemoryWarningMb=\"-1\" of <mta> is not a whole number of mebibytes{held}"),
            format!("line 5: maxAgeSec=\"1.5\" of <mta/child> is not a whole number of seconds{held}"),
            format!("line 6: httpPort=\"65536\" of <web> is not a port number{held}"),
            format!("line 6: popMailPeriodSec=\"five\" of <inMail> is not a whole number of seconds{held}"),
        ];
        let conf = parsed(instance);
        assert_eq!(warnings(&conf), expected);
        assert_eq!((conf.invalid_values(), conf.leaves_open()), (expected.len(), true));
        let huge = parsed("<serverconf><mta maxProcessMemoryAlertMb='18446744073709551615'/></serverconf>");
        assert_eq!((huge.value("mta", MEMORY_ALERT.name), huge.invalid_values()), (None, 1));
    }

    #[test]
    fn another_spelling_of_a_module_is_warned_of_and_not_taken() {
        let conf = parsed("<serverconf>\n<inmail autoStart='true'/></serverconf>");
        assert_eq!(warnings(&conf), ["line 2: <inmail> is ignored: the module is spelled <inMail>"]);
        assert_eq!((conf.starts("inMail"), conf.invalid_values()), (false, 0));
        let conf =
            parsed("<serverconf>\n<mta autostart='true'/><inMail autoStart='true' xAutoStart='1'/></serverconf>");
        assert_eq!(warnings(&conf), ["line 2: autostart of <mta> is ignored: the attribute is spelled autoStart"]);
        assert_eq!((conf.starts("mta"), conf.starts("inMail"), conf.leaves_open()), (false, true, false));
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
            assert_eq!(flag(value), read, "{value}");
        }
    }

    #[test]
    fn of_elements_that_occur_twice_the_later_attribute_holds_and_they_are_told_and_counted() {
        let xml = "<serverconf><mta args='a' autoStart='1'><child maxAgeSec='1'/></mta><web/>\n\
            <mta args='b'>\n<child extraArgs='c'/></mta><shared/><shared/></serverconf>";
        let settings = settings(xml, "");
        let mta = settings.module("mta");
        assert_eq!((mta.args, mta.auto_start), ("b", Some(true)));
        assert_eq!((settings.number(&MTA_CHILD_AGE), settings.text(&MTA_CHILD_ARGS)), (Some(1), "c"));
        let conf = parsed(xml);
        let expected = [
            "line 2: a second <mta>: where both set an attribute, this one applies; merge them",
            "line 3: a second <mta/child>: where both set an attribute, this one applies; merge them",
        ];
        assert_eq!(warnings(&conf), expected);
        assert_eq!((conf.invalid_values(), conf.leaves_open()), (2, false));
    }

    #[test]
    fn whether_a_module_runs_that_two_elements_both_start_and_do_not_start_is_open() {
        for (xml, expected) in [
            ("<mta autoStart='1'/><mta autoStart='0'/>", None),
            ("<mta autoStart='0'/><mta autoStart='1'/><mta autoStart='1'/>", None),
            ("<mta autoStart='1'/><mta _autoStart='1'/>", None),
            ("<mta autoStart='1'/><mta autoStart=''/>", None),
            ("<mta autoStart='1'/><mta autoStart='true'/>", Some(true)),
            ("<mta/><mta autoStart='true'/>", Some(true)),
        ] {
            let xml = format!("<serverconf>{xml}</serverconf>");
            assert_eq!(settings(&xml, "").auto_start("mta"), expected, "{xml}");
            assert_eq!(parsed(&xml).leaves_open(), expected.is_none(), "{xml}");
        }
    }

    #[test]
    fn only_what_the_exporter_uses_is_kept_and_no_value_is_shown() {
        let conf = ServerConf::parse(&fixture("installation/serverConf.xml")).unwrap();
        assert!(!conf.mentions("shared") && conf.mentions("mta/child"));
        let shown = format!("{conf:?}");
        assert!(shown.contains("maxAgeSec") && !shown.contains("password") && !shown.contains("tomcat"), "{shown}");
        let many: String =
            (0..9_000).map(|number| format!("<m{number} autoStart='1'/><mta x{number}='1'/>\n")).collect();
        assert!(parsed(&format!("<serverconf>\n{many}</serverconf>")).values.is_empty());
        let long = "x".repeat(MAX_VALUE_BYTES + 1);
        let conf = parsed(&format!("<serverconf><mta args='{long}' autoStart='1'/></serverconf>"));
        assert_eq!(warnings(&conf), ["line 1: args of <mta> has more than 4096 bytes and is left out"]);
        assert_eq!((conf.values.len(), conf.invalid_values()), (1, 1));
        let many = "<mta autoStart='x'/>".repeat(MAX_WARNINGS + 3);
        let conf = parsed(&format!("<serverconf>{many}</serverconf>"));
        assert_eq!(
            (conf.warnings().len(), conf.more_warnings()),
            (MAX_WARNINGS, MAX_WARNINGS + 5),
            "twice each but one"
        );
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
                prop_assert!(conf.values.len() < 30);
                let _ = Settings::overlay(Some(Arc::new(conf)), None).module("mta");
            }
        }

        #[test]
        fn what_is_written_is_read(value in "[a-zA-Z0-9 é€<>&\"'/:*-]{0,40}", number in any::<u32>()) {
            let escaped = value.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
            let settings = settings(&format!("<serverconf><mta args=\"{escaped}\"><child maxAgeSec=\"{number}\"/></mta></serverconf>"), "");
            prop_assert_eq!(settings.module("mta").args, value);
            prop_assert_eq!(settings.number(&MTA_CHILD_AGE), Some(u64::from(number)));
        }
    }
}
