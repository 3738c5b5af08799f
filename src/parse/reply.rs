//! What the product's end points answer, and the `<indicator>` XML of its monitoring page -> values.
//!
//! The formats are those that the product documentation shows (pages "Monitoring processes" and "Pipeline monitoring");
//! whatever they leave open may be missing here. The input is bytes and a charset; HTTP and files are handled
//! elsewhere.

use std::borrow::Cow;
use std::collections::BTreeMap;

use encoding_rs::{Encoding, ISO_8859_15};
use roxmltree::Node;

use super::xml;
use crate::catalog::signals::probes::{Merge, PIPELINED_INDICATORS};

/// The most bytes that a text of an answer keeps; the rest is cut off at a character's boundary.
pub const MAX_TEXT_BYTES: usize = 256;

/// The most indicators that are taken from one document.
pub const MAX_INDICATORS: usize = 500;

/// The most `<current>` values that are taken from one indicator.
pub const MAX_CURRENT_VALUES: usize = 50;

/// The most XML nodes (elements, attributes' owners, texts) that a document may have.
const MAX_XML_NODES: u32 = 50_000;

/// Why an answer gave no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    /// Nothing was answered.
    #[error("the answer is empty")]
    Empty,
    /// It should be XML and is not; document types and entities are not taken.
    #[error("the answer is not XML that can be read: {0}")]
    Xml(String),
    /// The documented element or attribute is not there.
    #[error("the answer has no {what}; it begins {begins:?}")]
    Missing {
        /// What is missing.
        what: &'static str,
        /// How the answer begins.
        begins: String,
    },
    /// It reports a problem.
    #[error("the server says {0:?} instead of OK")]
    NotOk(String),
}

/// What the redirection server says of itself; everything but the status may be missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Redirection {
    /// `version`, such as `8.5.1`.
    pub version: Option<String>,
    /// `build`, such as `9236`.
    pub build: Option<String>,
    /// `sha1` of the build.
    pub sha1: Option<String>,
    /// `instance`: the Campaign instance that answered.
    pub instance: Option<String>,
    /// `host`: the host name of the request.
    pub host: Option<String>,
    /// `localHost`: what the server calls itself.
    pub local_host: Option<String>,
}

/// The state of the Message Center queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageCenter {
    /// The server says that all is well.
    pub ok: bool,
    /// The server says that the queue is full.
    pub full: bool,
    /// Pending events and how many the queue may hold, where the answer has them.
    pub queue: Option<(u64, u64)>,
    /// The line where they should be, where it has no such numbers.
    pub unreadable: Option<String>,
    /// What the server said, for the log: its first lines, bounded.
    pub said: String,
}

/// The indicators of the pipelined status page.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pipelined {
    /// The values, by their documented key.
    pub values: BTreeMap<&'static str, f64>,
    /// The keys that have something that is no value, each with the first of it.
    pub unreadable: BTreeMap<&'static str, String>,
}

/// One custom indicator.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Indicator {
    /// `name`.
    pub name: String,
    /// The `<current>` values that are numbers, with their labels.
    pub current: Vec<(String, f64)>,
    /// `<warning value="…"/>`.
    pub warning: Option<f64>,
    /// `<alert value="…"/>`.
    pub alert: Option<f64>,
    /// `<max value="…"/>`.
    pub max: Option<f64>,
}

/// The indicators of one document.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Indicators {
    /// Those that were understood, in the document's order.
    pub list: Vec<Indicator>,
    /// What is wrong with the document, the first finding in words; `None` when nothing is.
    pub first_problem: Option<String>,
    /// How many things are wrong with it.
    pub problems: u64,
}

/// Reads the answer of `/r/test`: `<redir status='OK' …/>`.
///
/// # Errors
/// When it is not such an element, or its status is not `OK`.
pub fn redirection(body: &[u8], charset: Option<&str>) -> Result<Redirection, ReplyError> {
    let text = decode(body, charset);
    let content = from_first_tag(&text);
    if content.trim().is_empty() {
        return Err(nothing_or_missing(&text, "<redir> element"));
    }
    let document =
        xml::document(content, MAX_XML_NODES).map_err(|error| ReplyError::Xml(bounded(&error.to_string())))?;
    let root = document.root_element();
    let (true, Some(status)) = (root.has_tag_name("redir"), attribute(root, "status")) else {
        return Err(ReplyError::Missing { what: "<redir> element with a status", begins: bounded(&text) });
    };
    if !status.eq_ignore_ascii_case("ok") {
        return Err(ReplyError::NotOk(status));
    }
    Ok(Redirection {
        version: attribute(root, "version"),
        build: attribute(root, "build"),
        sha1: attribute(root, "sha1"),
        instance: attribute(root, "instance"),
        host: attribute(root, "host"),
        local_host: attribute(root, "localHost"),
    })
}

/// Reads the answer of `ping.jsp`: a line `OK`, then the database's time.
///
/// # Errors
/// When the first line is anything but `OK`, or an error follows.
pub fn ping(body: &[u8], charset: Option<&str>) -> Result<(), ReplyError> {
    let text = decode(body, charset);
    match first_word(&text)? {
        word if word.eq_ignore_ascii_case("ok") && !has_error_line(&text) => Ok(()),
        _ => Err(ReplyError::NotOk(bounded(text.trim()))),
    }
}

/// Whether a line begins with the word `Error`.
fn has_error_line(text: &str) -> bool {
    let mut first_words =
        text.lines().filter_map(|line| line.trim_start().split(|c: char| !c.is_alphanumeric()).next());
    first_words.any(|word| word.eq_ignore_ascii_case("error"))
}

/// Reads the answer of `mcPing.jsp`: `Ok`, a time, `7/400 pending events`; or `Error`, `The queue is full (7/400)`.
///
/// # Errors
/// When its first line is neither `Ok` nor `Error`.
pub fn message_center(body: &[u8], charset: Option<&str>) -> Result<MessageCenter, ReplyError> {
    let text = decode(body, charset);
    let word = first_word(&text)?;
    let said_ok = word.eq_ignore_ascii_case("ok");
    if !said_ok && !word.eq_ignore_ascii_case("error") {
        return Err(ReplyError::Missing { what: "line Ok or Error", begins: bounded(text.trim()) });
    }
    let ok = said_ok && !has_error_line(&text);
    let is_full = |line: &str| line.to_ascii_lowercase().contains("queue is full");
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).take(20).collect();
    // A time and an error's text may hold numbers of their own.
    let numbers_begin = match ok {
        true => 1 + usize::from(lines.get(1).is_some_and(|line| !line.contains("pending"))),
        false => lines.iter().position(|line| is_full(line)).unwrap_or(lines.len()),
    };
    let places = lines.get(numbers_begin..).unwrap_or_default();
    let written = places.iter().find_map(|line| Some((*line, queue_of(line)?)));
    let (queue, unreadable) = match written {
        Some((_, Ok(queue))) => (Some(queue), None),
        Some((line, Err(NotWhole))) => (None, Some(line)),
        None => (None, places.first().copied().filter(|_| ok)),
    };
    Ok(MessageCenter {
        ok,
        full: !ok && !places.is_empty(),
        queue,
        unreadable: unreadable.map(bounded),
        said: bounded(text.trim()),
    })
}

/// Something like `7/400` that is not two whole numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct NotWhole;

/// The first `number/number` of a line. Numbers that go on beside it are not taken for others: 1,007/4,000 is not 7/4.
fn queue_of(line: &str) -> Option<Result<(u64, u64), NotWhole>> {
    let is_digit = |c: char| c.is_ascii_digit();
    let mut slashes = line.match_indices('/').map(|(slash, _)| (&line[..slash], &line[slash + 1..]));
    let (before, after) = slashes.find(|(before, after)| before.ends_with(is_digit) || after.starts_with(is_digit))?;
    let (ahead, behind) = (before.trim_end_matches(is_digit), after.trim_start_matches(is_digit));
    let begins = ahead.is_empty() || ahead.ends_with(|c: char| "([{<>\":=;|".contains(c)) || {
        let text = ahead.trim_end();
        text.len() < ahead.len() && !text.ends_with(is_digit)
    };
    let ends = behind.is_empty() || behind.starts_with(|c: char| ")]}<>\";|".contains(c)) || {
        let text = behind.trim_start();
        text.len() < behind.len() && !text.starts_with(is_digit)
    };
    let numbers = before[ahead.len()..].parse().ok().zip(after[..after.len() - behind.len()].parse().ok());
    Some(numbers.filter(|_| begins && ends).ok_or(NotWhole))
}

/// Reads the status page of pipelined: the documented indicators, wherever they are; unknown keys are ignored.
///
/// The page documents totals below `stats` and the same keys again for each thread: a total is taken as it is, threads
/// are added up where there is no total; not where one of them can't be read. An answer that is nearly JSON is searched for
/// `key: number` instead.
///
/// # Errors
/// When none of the documented indicators has a value.
pub fn pipelined(body: &[u8], charset: Option<&str>) -> Result<Pipelined, ReplyError> {
    let text = decode(body, charset);
    if text.trim().is_empty() {
        return Err(ReplyError::Empty);
    }
    let mut found = Found::default();
    match serde_json::from_str::<serde_json::Value>(text.trim_start_matches('\u{feff}')) {
        Ok(value) => found.walk(&value, false),
        Err(_) => found.scan(&text),
    }
    let indicators = found.merged();
    if indicators.values.is_empty() {
        return Err(ReplyError::Missing { what: "documented indicator", begins: bounded(text.trim()) });
    }
    Ok(indicators)
}

/// Occurrences of the documented keys: within an object `stats`, and anywhere.
#[derive(Debug, Default)]
struct Found {
    values: BTreeMap<(&'static str, bool), Vec<f64>>,
    unreadable: BTreeMap<(&'static str, bool), String>,
}

impl Found {
    /// A key and what stands there, as a number where it is one.
    fn add(&mut self, key: &str, in_stats: bool, value: Option<f64>, written: impl FnOnce() -> String) {
        let Some(known) = PIPELINED_INDICATORS.iter().find(|known| known.key == key) else { return };
        match value.filter(|value| (0.0..=known.unit.largest()).contains(value)) {
            Some(value) => self.values.entry((known.key, in_stats)).or_default().push(value),
            None => {
                self.unreadable.entry((known.key, in_stats)).or_insert_with(|| bounded(&written()));
            }
        }
    }

    /// The depth is bounded by the JSON reader's own limit.
    fn walk(&mut self, value: &serde_json::Value, in_stats: bool) {
        match value {
            serde_json::Value::Object(fields) => {
                for (key, value) in fields {
                    let number = match value {
                        serde_json::Value::Object(_) | serde_json::Value::Array(_) => {
                            self.walk(value, key == "stats");
                            continue;
                        }
                        // Without a value.
                        serde_json::Value::Null => continue,
                        serde_json::Value::Number(number) => number.as_f64(),
                        serde_json::Value::String(text) => text.trim().parse().ok(),
                        serde_json::Value::Bool(_) => None,
                    };
                    self.add(key, in_stats, number, || value.to_string());
                }
            }
            serde_json::Value::Array(items) => items.iter().for_each(|item| self.walk(item, in_stats)),
            _ => {}
        }
    }

    /// `key`, quotes and spaces, `:` or `=`, quotes and spaces, a number.
    fn scan(&mut self, text: &str) {
        // An object without its end may have been cut off anywhere, in a number too.
        let is_cut = text.trim_start_matches('\u{feff}').trim_start().starts_with(['{', '[']);
        let filler = |c: char| c.is_whitespace() || c == '"' || c == '\'';
        for known in PIPELINED_INDICATORS {
            for (at, _) in text.match_indices(known.key) {
                let part_of_a_word = text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '-' || c == '_');
                let rest = text[at + known.key.len()..].trim_start_matches(filler);
                let Some(rest) = rest.strip_prefix([':', '=']) else { continue };
                let rest = rest.trim_start_matches(filler);
                // The whole word: 1e400 is not the number 1.
                let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && !"+-._".contains(c)).unwrap_or(rest.len());
                let (number, behind) = rest.split_at(end);
                if !part_of_a_word && number != "null" {
                    let value = number.parse().ok().filter(|_| is_whole(behind, is_cut));
                    self.add(known.key, false, value, || number.to_owned());
                }
            }
        }
    }

    fn merged(&self) -> Pipelined {
        let mut merged = Pipelined::default();
        for known in PIPELINED_INDICATORS {
            let of = |in_stats| (self.values.get(&(known.key, in_stats)), self.unreadable.get(&(known.key, in_stats)));
            let (values, unreadable) = match of(true) {
                (None, None) => of(false),
                total => total,
            };
            if let Some(written) = unreadable {
                merged.unreadable.insert(known.key, written.clone());
                continue;
            }
            let Some(values) = values else { continue };
            let value = match known.merge {
                Merge::Sum => values.iter().sum(),
                Merge::Max => values.iter().copied().fold(0.0, f64::max),
            };
            merged.values.insert(known.key, value);
        }
        merged
    }
}

/// Whether a number ends where `behind` begins: not where digits go on behind a comma or a blank, or a unit follows, or the
/// text `is_cut` off there.
fn is_whole(behind: &str, is_cut: bool) -> bool {
    let goes_on = |text: &str| text.starts_with(|first: char| first.is_ascii_digit());
    match behind.chars().next() {
        None => !is_cut,
        Some('\n' | '\r') => true,
        Some(',') => !goes_on(&behind[1..]),
        Some(blank) if blank.is_whitespace() => !goes_on(behind.trim_start()),
        Some(next) => ";}])\"'<".contains(next),
    }
}

/// Reads `<indicator>` elements: one or more, in a row or below another element, after a command's first line or not.
///
/// What is wrong with one indicator costs that one alone, and is counted. A value may be missing where `display` is
/// given: such a value is no number, and no problem either.
///
/// # Errors
/// When the document can't be read.
pub fn indicators(body: &[u8], charset: Option<&str>) -> Result<Indicators, ReplyError> {
    let text = decode(body, charset);
    let content = from_first_tag(&text);
    if content.trim().is_empty() {
        return Err(nothing_or_missing(&text, "<indicator> element"));
    }
    // A script prints one element after the other, which is no document before something is around them.
    let wrapped = format!("<indicators>{content}</indicators>");
    let document =
        xml::document(&wrapped, MAX_XML_NODES).map_err(|error| ReplyError::Xml(bounded(&error.to_string())))?;
    let mut found = Indicators::default();
    for node in document.descendants().filter(|node| node.has_tag_name("indicator")) {
        if found.list.len() == MAX_INDICATORS {
            found.problem(|| format!("more than {MAX_INDICATORS} indicators"));
            break;
        }
        found.read(node);
    }
    if found.list.is_empty() && found.problems == 0 {
        return Err(ReplyError::Missing { what: "<indicator> element", begins: bounded(&text) });
    }
    Ok(found)
}

impl Indicators {
    fn problem(&mut self, what: impl FnOnce() -> String) {
        self.problems += 1;
        if self.first_problem.is_none() {
            self.first_problem = Some(bounded(&what()));
        }
    }

    fn read(&mut self, node: Node) {
        let Some(name) = attribute(node, "name").filter(|name| !name.trim().is_empty()) else {
            return self.problem(|| "an indicator without a name".to_owned());
        };
        let mut indicator = Indicator { name, ..Indicator::default() };
        let mut currents = 0;
        for child in node.children().filter(Node::is_element) {
            match child.tag_name().name() {
                "current" => {
                    currents += 1;
                    if currents > MAX_CURRENT_VALUES {
                        self.problem(|| {
                            format!("more than {MAX_CURRENT_VALUES} current values in {:?}", indicator.name)
                        });
                        break;
                    }
                    if let Some(value) = self.number(child, &indicator.name) {
                        indicator.current.push((attribute(child, "label").unwrap_or_default(), value));
                    }
                }
                "warning" => indicator.warning = self.number(child, &indicator.name),
                "alert" => indicator.alert = self.number(child, &indicator.name),
                "max" => indicator.max = self.number(child, &indicator.name),
                _ => {}
            }
        }
        self.list.push(indicator);
    }

    fn number(&mut self, node: Node, indicator: &str) -> Option<f64> {
        let written = |name| node.attribute(name).map(str::trim).filter(|text: &&str| !text.is_empty());
        let Some(value) = written("value") else {
            if written("display").is_none() {
                self.problem(|| {
                    format!("<{}> of {indicator:?} has neither a value nor a display", node.tag_name().name())
                });
            }
            return None;
        };
        let number = value.parse().ok().filter(|number: &f64| number.is_finite());
        if number.is_none() {
            self.problem(|| {
                format!("<{}> of {indicator:?} has the value {value:?}, not a number", node.tag_name().name())
            });
        }
        number
    }
}

/// Bytes as text: a byte order mark, the charset that was declared for them, the XML declaration's encoding, UTF-8
/// when they are valid UTF-8, else ISO-8859-15, the environment that the product documents.
fn decode<'a>(bytes: &'a [u8], charset: Option<&str>) -> Cow<'a, str> {
    let declared = charset.map(str::as_bytes).or_else(|| xml_encoding(bytes)).and_then(Encoding::for_label);
    match (Encoding::for_bom(bytes), declared, std::str::from_utf8(bytes)) {
        (Some((encoding, _)), _, _) => encoding.decode(bytes).0,
        (None, Some(encoding), _) => encoding.decode_without_bom_handling(bytes).0,
        (None, None, Ok(text)) => Cow::Borrowed(text),
        (None, None, Err(_)) => ISO_8859_15.decode_without_bom_handling(bytes).0,
    }
}

/// The label in `<?xml … encoding="label"?>`.
fn xml_encoding(bytes: &[u8]) -> Option<&[u8]> {
    const KEY: &[u8] = b"encoding=";
    let head = bytes.get(..200).unwrap_or(bytes);
    let start = head.windows(5).position(|window| window == b"<?xml")?;
    let declaration = head[start..].split(|byte| *byte == b'>').next()?;
    let at = declaration.windows(KEY.len()).position(|window| window == KEY)? + KEY.len();
    let quote = *declaration.get(at)?;
    declaration[at + 1..].split(|byte| *byte == quote).next()
}

/// The text from its first element on: without a command's first line, and without the XML declaration, which may
/// stand nowhere but at the very beginning.
fn from_first_tag(text: &str) -> &str {
    let content = text.find('<').map_or("", |at| &text[at..]);
    match content.strip_prefix("<?xml") {
        Some(declaration) => declaration.split_once("?>").map_or("", |(_, rest)| rest),
        None => content,
    }
}

fn attribute(node: Node, name: &str) -> Option<String> {
    node.attribute(name).map(bounded)
}

fn first_word(text: &str) -> Result<&str, ReplyError> {
    text.split_whitespace().next().ok_or(ReplyError::Empty)
}

fn nothing_or_missing(text: &str, what: &'static str) -> ReplyError {
    match text.trim() {
        "" => ReplyError::Empty,
        text => ReplyError::Missing { what, begins: bounded(text) },
    }
}

fn bounded(text: &str) -> String {
    text[..text.floor_char_boundary(MAX_TEXT_BYTES)].to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const REDIR: &[u8] = include_bytes!("../../tests/fixtures/probes/r_test.xml");
    const PIPELINED: &[u8] = include_bytes!("../../tests/fixtures/probes/pipelined.json");
    const INDICATORS: &[u8] = include_bytes!("../../tests/fixtures/indicators/cust_indicators.xml");

    #[test]
    fn a_number_that_goes_on_is_refused_and_not_read_as_its_beginning() {
        for text in [
            "{\"current-messages\": 1e400}",
            "current-messages: 1e400",
            "current-messages=12abc",
            "current-messages: 1.2.3",
            "current-messages: 1 234",
            "{current-messages: 1,5}",
            "current-messages: 5%",
            "{\"stats\": {\"current-messages\": 12",
        ] {
            assert!(pipelined(text.as_bytes(), None).is_err(), "{text}");
        }
        for (text, value) in [
            ("current-messages: 12,", 12.0),
            ("current-messages=1e2}", 100.0),
            ("'current-messages' : '3'", 3.0),
            ("current-messages: 12", 12.0),
            ("{current-messages: 4 , x: 1", 4.0),
        ] {
            assert_eq!(pipelined(text.as_bytes(), None).unwrap().values["current-messages"], value, "{text}");
        }
    }

    #[test]
    fn the_recorded_redirection_answer_is_read() {
        let redirection = redirection(REDIR, None).unwrap();
        assert_eq!(redirection.version.as_deref(), Some("8.5.1"));
        assert_eq!(redirection.build.as_deref(), Some("9236"));
        assert_eq!(redirection.sha1.as_deref(), Some("cc45440"));
        assert_eq!(redirection.instance.as_deref(), Some("xxx_mkt_prod1"));
        assert_eq!(redirection.host.as_deref(), Some("xxx.campaign.example.com"));
        assert_eq!(redirection.local_host.as_deref(), Some("xxx-mkt-prod1-1"));
    }

    #[test]
    fn every_redirection_attribute_but_the_status_may_be_missing() {
        assert_eq!(redirection(b"<redir status='OK'/>", None), Ok(Redirection::default()));
        assert_eq!(
            redirection(b"\n<?xml version='1.0'?>\n<redir status=\"OK\"></redir>\n", None),
            Ok(Redirection::default())
        );
        assert!(matches!(redirection(b"<redir build='1'/>", None), Err(ReplyError::Missing { .. })));
        assert!(matches!(redirection(b"<html><body/></html>", None), Err(ReplyError::Missing { .. })));
        assert_eq!(redirection(b"<redir status='ERROR'/>", None), Err(ReplyError::NotOk("ERROR".to_owned())));
        assert_eq!(redirection(b"  \n", None), Err(ReplyError::Empty));
        assert!(matches!(redirection(b"OK", None), Err(ReplyError::Missing { .. })));
        assert!(matches!(redirection(b"<redir status='OK'", None), Err(ReplyError::Xml(_))));
    }

    #[test]
    fn ping_takes_ok_and_nothing_else() {
        assert_eq!(ping(include_bytes!("../../tests/fixtures/probes/ping.txt"), None), Ok(()));
        assert_eq!(ping(b"Ok", None), Ok(()));
        assert_eq!(ping(b"", None), Err(ReplyError::Empty));
        assert_eq!(
            ping(b"Error\nno database\n", Some("utf-8")),
            Err(ReplyError::NotOk("Error\nno database".to_owned()))
        );
        assert!(matches!(ping(b"OKAY", None), Err(ReplyError::NotOk(_))));
        assert!(matches!(ping(b"<html>OK</html>", None), Err(ReplyError::NotOk(_))));
    }

    #[test]
    fn the_message_center_queue_is_read_from_both_answers() {
        let ok = message_center(include_bytes!("../../tests/fixtures/probes/mc_ping_ok.txt"), None).unwrap();
        assert_eq!((ok.ok, ok.full, ok.queue), (true, false, Some((7, 400))));
        let full = message_center(include_bytes!("../../tests/fixtures/probes/mc_ping_full.txt"), None).unwrap();
        assert_eq!((full.ok, full.full, full.queue), (false, true, Some((7, 400))));
        let other = message_center(b"Error\nno database", None).unwrap();
        assert_eq!((other.ok, other.full, other.queue), (false, false, None));
        let bare = message_center(b"OK\n", None).unwrap();
        assert_eq!((bare.ok, bare.full, bare.queue), (true, false, None));
        assert!(matches!(message_center(b"<html/>", None), Err(ReplyError::Missing { .. })));
    }

    #[test]
    fn queue_numbers_are_taken_whole_or_not_at_all() {
        for line in
            ["7/400", "7/400 pending events", "(7/400)", "a/b: 7/400", "é 7/400 é", "events=7/400; since 11/26/2026"]
        {
            assert_eq!(queue_of(line), Some(Ok((7, 400))), "{line}");
        }
        for line in [
            "1,007/4,000 pending events",
            "7/4,000 pending events",
            "-1/400",
            "7.5/400",
            "7/400.5",
            "+7/400",
            "7/-400",
            "11/26/2026 15:48",
            "1 007/4 000",
            "1\u{a0}007/400",
            "7/4\u{202f}000",
            "1'007/4'000",
            "1e3/400",
            "\u{2212}1/400",
            "é7/400é",
            "many/400",
            "7/many",
            "99999999999999999999/400 3/4",
        ] {
            assert_eq!(queue_of(line), Some(Err(NotWhole)), "{line}");
        }
        for line in ["", "/", "a/b", "no numbers"] {
            assert_eq!(queue_of(line), None, "{line}");
        }
    }

    #[test]
    fn queue_numbers_are_looked_for_where_they_are_documented() {
        for (text, queue, unreadable, full) in [
            ("Ok\n11/26/2026 15:48\n7/400 pending events", Some((7, 400)), None, false),
            ("Ok\n11/26 15h\n7/400 pending events", Some((7, 400)), None, false),
            ("Ok\n\n2021-08-27 15:48:07.893Z\n\nthe queue:\n7/400 pending events\nmore", Some((7, 400)), None, false),
            ("Ok\n7/400 pending events", Some((7, 400)), None, false),
            ("Ok\n11/26", None, None, false),
            ("Ok\n2021-08-27 15:48:07.893Z\n", None, None, false),
            ("Ok\n2021-08-27 15:48:07.893Z\n1,007/4,000 pending", None, Some("1,007/4,000 pending"), false),
            ("Ok\n2021-08-27 15:48:07.893Z\nthe queue:\nmany/400\nmore", None, Some("many/400"), false),
            ("Ok\n2021-08-27 15:48:07.893Z\nnothing pending\nmore", None, Some("nothing pending"), false),
            ("Ok\n2021-08-27 15:48:07.893Z\n500/400 pending events", Some((500, 400)), None, false),
            ("Error\nThe queue is full (7/400)", Some((7, 400)), None, true),
            ("Error\nThe queue is full (1,007/4,000)", None, Some("The queue is full (1,007/4,000)"), true),
            ("Error\nThe queue is full", None, None, true),
            ("Error\nline 3/4 of the script", None, None, false),
            ("Error", None, None, false),
        ] {
            let read = message_center(text.as_bytes(), None).unwrap();
            assert_eq!((read.queue, read.unreadable.as_deref(), read.full), (queue, unreadable, full), "{text:?}");
        }
    }

    #[test]
    fn an_error_below_ok_is_not_ok() {
        for text in ["OK\nError", "OK\r\n  ERROR: no database", "OK\n2021-08-27 15:43:48.862Z\nError 3"] {
            assert!(matches!(ping(text.as_bytes(), None), Err(ReplyError::NotOk(_))), "{text:?}");
            let read = message_center(text.as_bytes(), None).unwrap();
            assert_eq!((read.ok, read.full, read.unreadable), (false, false, None), "{text:?}");
        }
        for text in ["OK\nFri Aug 27 15:43:48 2021", "OK\nerrors: 0"] {
            assert_eq!(ping(text.as_bytes(), None), Ok(()), "{text:?}");
        }
    }

    #[test]
    fn a_pipelined_number_that_no_process_reaches_is_unreadable() {
        for (written, expected) in [
            (r#""last-alive-ms-ago": 99999999999999999999"#, None),
            (r#""last-alive-ms-ago": 315360000001"#, None),
            (r#""last-alive-ms-ago": 315360000000"#, Some(315_360_000_000.0)),
            (r#""current-messages": 1e19"#, None),
            (r#""current-messages": 1e18"#, Some(1e18)),
        ] {
            let found = pipelined(format!("{{\"peak-messages\": 1, {written}}}").as_bytes(), None).unwrap();
            let key = written.split('"').nth(1).unwrap();
            assert_eq!(found.values.get(key).copied(), expected, "{written}");
            assert_eq!(found.unreadable.contains_key(key), expected.is_none(), "{written}");
        }
    }

    #[test]
    fn pipelined_totals_are_taken_and_threads_added_up() {
        let indicators = pipelined(PIPELINED, None).unwrap();
        let expected = [
            ("bytes-read", 52_428_800.0),
            ("current-messages", 3.0),
            ("current-retries", 1.0),
            ("last-alive-ms-ago", 1250.0),
            ("peak-messages", 40.0),
            ("pointer-flushes", 17.0),
            ("trigger-discarded", 2.0),
            ("trigger-failures", 5.0),
            ("trigger-processed", 1200.0),
            ("trigger-received", 1207.0),
        ]
        .into();
        assert_eq!(indicators, Pipelined { values: expected, unreadable: BTreeMap::new() });
    }

    #[test]
    fn pipelined_indicators_are_found_anywhere_and_as_strings() {
        let nested = br#"[{"x":[{"y":{"current-messages":"12","unknown":{"a":1}}}]}, {"bytes-read": 1e3, "current-retries": null}]"#;
        let found = |text: &[u8]| pipelined(text, None).unwrap();
        assert_eq!(found(nested).values, [("bytes-read", 1000.0), ("current-messages", 12.0)].into());
        assert!(found(nested).unreadable.is_empty());
        let nearly = b"{ current-messages: 4, 'trigger-received' : '9', xtrigger-failures: 3, bytes-read: none, }";
        assert_eq!(found(nearly).values, [("current-messages", 4.0), ("trigger-received", 9.0)].into());
        assert_eq!(found(nearly).unreadable, [("bytes-read", "none".to_owned())].into());
        assert!(matches!(pipelined(b"{\"other\": 1}", None), Err(ReplyError::Missing { .. })));
        assert!(matches!(pipelined(b"{\"bytes-read\": -1}", None), Err(ReplyError::Missing { .. })));
        assert_eq!(pipelined(b" ", None), Err(ReplyError::Empty));
    }

    #[test]
    fn an_indicator_with_something_that_is_no_value_is_absent_and_told() {
        for (text, expected) in [
            (r#"{"bytes-read": 1, "current-messages": "many"}"#, Some("\"many\"")),
            (r#"{"bytes-read": 1, "current-messages": -1}"#, Some("-1")),
            (r#"{"bytes-read": 1, "current-messages": true}"#, Some("true")),
            (r#"{"bytes-read": 1, "current-messages": null}"#, None),
            (r#"{"bytes-read": 1, "current-messages": {"a": 1}}"#, None),
            (r#"{"bytes-read": 1, "a": {"current-messages": 1}, "b": {"current-messages": "x"}}"#, Some("\"x\"")),
            (r#"{"bytes-read": 1, "stats": {"current-messages": "x"}, "b": {"current-messages": 1}}"#, Some("\"x\"")),
            ("bytes-read: 1\ncurrent-messages: 12abc", Some("12abc")),
            ("bytes-read: 1\ncurrent-messages: 1 234", Some("1")),
            ("bytes-read: 1\ncurrent-messages: null", None),
            ("bytes-read: 1\nnot-current-messages: x", None),
        ] {
            let found = pipelined(text.as_bytes(), None).unwrap();
            assert_eq!(found.values, [("bytes-read", 1.0)].into(), "{text}");
            let unreadable = expected.map(|written| ("current-messages", written.to_owned()));
            assert_eq!(found.unreadable, unreadable.into_iter().collect(), "{text}");
        }
        let well_below = r#"{"stats": {"current-messages": 3}, "a": {"current-messages": "x"}}"#;
        assert_eq!(pipelined(well_below.as_bytes(), None).unwrap().values["current-messages"], 3.0);
    }

    #[test]
    fn the_documented_indicator_is_read() {
        let found = indicators(INDICATORS, None).unwrap();
        assert_eq!(found.problems, 0, "{:?}", found.first_problem);
        assert_eq!(
            found.list,
            vec![
                Indicator {
                    name: "Zombie Processes".to_owned(),
                    current: vec![("Current Value".to_owned(), 0.0)],
                    warning: Some(2.0),
                    alert: Some(2.0),
                    max: Some(2.0),
                },
                Indicator {
                    name: "Fila de saída".to_owned(),
                    current: vec![("Waiting".to_owned(), 12.0), ("Oldest".to_owned(), 3.5)],
                    warning: Some(100.0),
                    ..Indicator::default()
                },
                Indicator { name: "License".to_owned(), ..Indicator::default() },
            ]
        );
    }

    #[test]
    fn a_broken_indicator_costs_itself_alone() {
        let text = b"<indicator><current value='1'/></indicator>\
            <indicator name='a'><current label='x' value='many'/><current label='y' value='inf'/><current/></indicator>\
            <indicator name='b'><current label='x' value='1'/></indicator>";
        let found = indicators(text, None).unwrap();
        assert_eq!(found.problems, 4);
        assert_eq!(found.first_problem.as_deref(), Some("an indicator without a name"));
        assert_eq!(found.list.len(), 2);
        assert_eq!(found.list[1].current, vec![("x".to_owned(), 1.0)]);
    }

    #[test]
    fn a_command_s_first_line_and_a_root_element_are_no_obstacle() {
        let text = b"08:02:07 >   Application server for Adobe Campaign Classic (7.X YY.R build 9236@cc45440) of 27/08/2021\n\
            <?xml version='1.0' encoding='ISO-8859-1'?>\n<monitor><x><indicator name='\xe9'><current value='1'/></indicator></x></monitor>";
        let found = indicators(text, None).unwrap();
        assert_eq!(found.list[0].name, "é");
        assert_eq!(found.list[0].current, vec![(String::new(), 1.0)]);
    }

    #[test]
    fn encodings_are_taken_from_the_mark_the_header_and_the_declaration() {
        let name = |bytes: &[u8], charset| redirection(bytes, charset).unwrap().host.unwrap();
        assert_eq!(name("<redir status='OK' host='é'/>".as_bytes(), None), "é");
        assert_eq!(name(b"<redir status='OK' host='\xe9'/>", None), "é");
        assert_eq!(name(b"<redir status='OK' host='\xa4'/>", None), "€");
        assert_eq!(name(b"<redir status='OK' host='\xe9'/>", Some("ISO-8859-1")), "é");
        assert_eq!(name(b"<redir status='OK' host='\xe9'/>", Some("no-such")), "é");
        assert_eq!(name(b"<?xml version='1.0' encoding='iso-8859-2'?><redir status='OK' host='\xb1'/>", None), "ą");
        assert_eq!(name("\u{feff}<redir status='OK' host='é'/>".as_bytes(), Some("iso-8859-1")), "é");
    }

    #[test]
    fn entity_bombs_and_deep_nesting_are_refused() {
        let bomb = b"<!DOCTYPE r [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;&a;\">]><redir status='OK' host='&b;'/>";
        assert!(matches!(redirection(bomb, None), Err(ReplyError::Xml(_))));
        let bomb = b"<!DOCTYPE r [<!ENTITY a SYSTEM \"file:///etc/passwd\">]><indicator name='&a;'/>";
        assert!(matches!(indicators(bomb, None), Err(ReplyError::Xml(_))));
        assert!(matches!(indicators("<a>".repeat(100_000).as_bytes(), None), Err(ReplyError::Xml(_))));
        let deep = format!("{}<indicator name='x'/>{}", "<a>".repeat(20_000), "</a>".repeat(20_000));
        assert_eq!(indicators(deep.as_bytes(), None).unwrap().list.len(), 1);
        assert!(matches!(indicators("<a/>".repeat(60_000).as_bytes(), None), Err(ReplyError::Xml(_))));
        let json = format!("{}{}", "[".repeat(60_000), "]".repeat(60_000));
        assert!(matches!(pipelined(json.as_bytes(), None), Err(ReplyError::Missing { .. })));
    }

    #[test]
    fn texts_and_numbers_of_values_are_bounded() {
        let long = format!("<redir status='OK' host='{}'/>", "é".repeat(5000));
        assert_eq!(redirection(long.as_bytes(), None).unwrap().host.unwrap().len(), MAX_TEXT_BYTES);
        let many = "<indicator name='x'/>".repeat(MAX_INDICATORS + 10);
        let found = indicators(many.as_bytes(), None).unwrap();
        assert_eq!((found.list.len(), found.problems), (MAX_INDICATORS, 1));
        let many = format!("<indicator name='x'>{}</indicator>", "<current value='1'/>".repeat(100));
        let found = indicators(many.as_bytes(), None).unwrap();
        assert_eq!((found.list[0].current.len(), found.problems), (MAX_CURRENT_VALUES, 1));
    }

    fn hostile() -> impl Strategy<Value = Vec<u8>> {
        let pieces = prop::sample::select(vec![
            "<redir status='OK'",
            "<indicator name='a'>",
            "</indicator>",
            "<current value='1'/>",
            "<current",
            "/>",
            ">",
            "<!--",
            "-->",
            "<?xml encoding='",
            "'?>",
            "<!DOCTYPE",
            "]]>",
            "<![CDATA[",
            "&amp;",
            "&#x0;",
            "&",
            "Ok\n",
            "Error\n",
            "1/2",
            "/",
            "é",
            "\u{feff}",
            "current-messages",
            "\"stats\":",
            "{",
            "}",
            "[",
            ":",
            "=",
            "9",
            "\"",
        ])
        .prop_map(|piece| piece.as_bytes().to_vec());
        let noise = prop::collection::vec(any::<u8>(), 0..8);
        prop::collection::vec(prop_oneof![3 => pieces, 1 => noise], 0..30).prop_map(|parts| parts.concat())
    }

    #[test]
    fn an_indicators_number_that_goes_on_is_refused() {
        for number in ["1e400", "1x", "12-3", "1_000", "inf", "nan", "1.2.3", "0x10"] {
            let text = format!("<indicator name='a'><current value='{number}'/></indicator>");
            assert_eq!(indicators(text.as_bytes(), None).unwrap().problems, 1, "{number}");
        }
    }

    #[test]
    fn a_crafted_document_is_refused_before_it_costs() {
        let attributes: String = (0..2_000).map(|number| format!(" a{number}=''")).collect();
        let nested =
            (0..200).map(|number| format!("<a xmlns:n{number}='u'>")).collect::<String>() + &"</a>".repeat(200);
        for (text, expected) in [
            (format!("<redir status='OK'{attributes}/>"), "too many attributes in one element"),
            (nested, "too many namespaces"),
        ] {
            let refused = ReplyError::Xml(expected.to_owned());
            assert_eq!(redirection(text.as_bytes(), None), Err(refused.clone()));
            assert_eq!(indicators(text.as_bytes(), None), Err(refused));
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in hostile(), charset in prop::option::of("[a-z0-9-]{0,12}|utf-16|iso-8859-1|replacement")) {
            let charset = charset.as_deref();
            let _ = redirection(&bytes, charset);
            let _ = ping(&bytes, charset);
            let _ = message_center(&bytes, charset);
            if let Ok(found) = pipelined(&bytes, charset) {
                prop_assert!(found.values.values().all(|value| value.is_finite()));
            }
            if let Ok(found) = indicators(&bytes, charset) {
                prop_assert!(found.list.len() <= MAX_INDICATORS);
            }
        }
    }
}
