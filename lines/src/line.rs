//! A log line -> its fields, error code and documented problems; a tracking line -> good or corrupt.
//!
//! Follows the documentation's "Log files" page: seven fields, separated by tabs: UTC time with milliseconds, pid, tid, a
//! number, level, domain, message. Older pages show six: one hexadecimal id instead of pid and tid, and a blank in the time;
//! other times end in an offset or have fewer digits. A line that doesn't start with a time continues the message before.
//!
//! Servers write in their own language: trouble is known by its codes and by `errno=`.
//!
//! Nothing is allocated per line, every line is passed over a fixed number of times, and the bytes are never taken for
//! UTF-8: logs are written in iso8859-15.

use std::sync::LazyLock;

use memchr::memmem::Finder;
use memchr::{memchr_iter, memchr3_iter};
use serde::{Deserialize, Serialize};

/// The severity of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level<'a> {
    /// `error`
    Error,
    /// `warning`
    Warning,
    /// `info`
    Info,
    /// A word that the documentation doesn't name.
    Other(&'a [u8]),
}

impl<'a> Level<'a> {
    /// The level that a word stands for; none when it is no word.
    fn read(word: &'a [u8]) -> Option<Self> {
        Some(match word {
            b"info" => Level::Info,
            b"error" => Level::Error,
            b"warning" => Level::Warning,
            other if is_word(other) => Level::Other(other),
            _ => return None,
        })
    }

    /// The documented levels, in the order of [`Level::index`].
    pub const KNOWN: [&'static str; 3] = ["error", "warning", "info"];

    /// The place of a documented level in [`Level::KNOWN`].
    #[must_use]
    pub const fn index(self) -> Option<usize> {
        match self {
            Level::Error => Some(0),
            Level::Warning => Some(1),
            Level::Info => Some(2),
            Level::Other(_) => None,
        }
    }
}

/// Trouble that the documentation describes by the text of its message: the label `problem`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// An error that mentions `xtk:session`: console and web connections do not work.
    XtkSession,
    /// `errno=18`, or "Unable to rename file" with "Invalid cross-device link": TMPDIR is on another device than var.
    CrossDeviceLink,
    /// XSV-350008, XSV-350012, XSV-350013: one user's session has expired, password is wrong or address is not allowed.
    LoginRefused,
    /// XSV-350063, or a message that starts with ODB-, PGS- or WDB-2: the database.
    Database,
}

impl Problem {
    /// Every problem, in the order of its index.
    pub const ALL: [Problem; 4] =
        [Problem::XtkSession, Problem::CrossDeviceLink, Problem::LoginRefused, Problem::Database];

    /// The label value.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Problem::XtkSession => "xtk_session",
            Problem::CrossDeviceLink => "cross_device_link",
            Problem::LoginRefused => "login_refused",
            Problem::Database => "database",
        }
    }
}

/// The problems that a line shows, each at most once a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Problems(u8);

impl Problems {
    /// Whether there is none: the ordinary case.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether `problem` is one of them.
    #[must_use]
    pub const fn has(self, problem: Problem) -> bool {
        self.0 & (1 << problem as u8) != 0
    }

    /// The others.
    #[must_use]
    pub const fn without(self, problem: Problem) -> Self {
        Problems(self.0 & !(1 << problem as u8))
    }
}

/// A documented error code: three capitals, a dash, six digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Code([u8; 10]);

/// A text that is no error code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an error code: three capitals, a dash and six digits are")]
pub struct NoCode;

impl TryFrom<String> for Code {
    type Error = NoCode;

    fn try_from(text: String) -> Result<Self, NoCode> {
        Code::at_start_of(text.as_bytes()).filter(|code| code.as_str() == text).ok_or(NoCode)
    }
}

impl From<Code> for String {
    fn from(code: Code) -> Self {
        code.as_str().to_owned()
    }
}

impl Code {
    /// The code that `text` starts with.
    #[must_use]
    pub fn at_start_of(text: &[u8]) -> Option<Code> {
        let code = text.first_chunk::<10>()?;
        let well_formed = code[..3].iter().all(u8::is_ascii_uppercase)
            && code[3] == b'-'
            && code[4..].iter().all(u8::is_ascii_digit)
            && !text.get(10).is_some_and(u8::is_ascii_alphanumeric);
        well_formed.then_some(Code(*code))
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// One message: the fields of its first line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// When it was written: milliseconds since 1970-01-01 UTC.
    pub time: i64,
    /// The process that wrote it, as written.
    pub pid: &'a [u8],
    /// Its severity.
    pub level: Level<'a>,
    /// The part of the product that speaks.
    pub domain: &'a [u8],
    /// What it says: it may hold tabs.
    pub text: &'a [u8],
    /// The documented problems that its first line shows.
    pub problems: Problems,
}

impl Message<'_> {
    /// The error code that the text starts with.
    #[must_use]
    pub fn code(&self) -> Option<Code> {
        Code::at_start_of(self.text)
    }
}

/// What a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// The first line of a message.
    Message(Message<'a>),
    /// It continues the message before, and shows these problems that the message didn't show until now.
    Continuation(Problems),
    /// It starts with a time, but has not the documented fields; or it continues nothing.
    Unreadable,
}

/// Reads the lines of one log, in their order: it remembers what a continuation line needs to be understood.
#[derive(Clone, Debug)]
pub struct LineReader {
    memory: Memory,
    /// The last time's bytes up to its minute, and what they mean: lines come many a minute.
    minute: [u8; MINUTE],
    minute_starts: Option<i64>,
}

/// What a [`LineReader`] remembers of the message that a continuation line would continue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    /// Whether there is one.
    pub begun: bool,
    /// Whether it is severe enough to be searched for problems.
    pub searched: bool,
    /// Whether it is an error.
    pub error: bool,
    /// The texts found in it, as bits.
    pub found: u8,
}

/// `2021-05-31T08:42:`
const MINUTE: usize = 17;
/// `2021-05-31T08:42:18.124Z`
const STAMP: usize = 24;

const FOUND_SESSION: u8 = 1;
const FOUND_RENAME: u8 = 2;
const FOUND_DEVICE: u8 = 4;
const FOUND_REFUSED: u8 = 8;
const FOUND_DATABASE: u8 = 16;

static RENAME: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("Unable to rename file"));
static DEVICE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("Invalid cross-device link"));

impl Default for LineReader {
    fn default() -> Self {
        LineReader::new(Memory::default())
    }
}

impl LineReader {
    /// A reader that goes on where another one's [`LineReader::memory`] was taken.
    #[must_use]
    pub const fn new(memory: Memory) -> Self {
        LineReader { memory, minute: [0; MINUTE], minute_starts: None }
    }

    /// What must be kept to go on reading another time.
    #[must_use]
    pub const fn memory(&self) -> Memory {
        self.memory
    }

    /// What `line` is, its line end taken off.
    pub fn read<'a>(&mut self, line: &'a [u8]) -> Line<'a> {
        let same_minute =
            self.minute_starts.is_some() && line.first_chunk().is_some_and(|minute| *minute == self.minute);
        if !same_minute && !starts_like_a_time(line) {
            if !self.memory.begun {
                return Line::Unreadable;
            }
            return Line::Continuation(self.search(line));
        }
        let Some(fields) = self.fields(line) else {
            // Whatever continues it is not searched.
            self.memory = Memory { begun: true, ..Memory::default() };
            return Line::Unreadable;
        };
        self.memory = Memory {
            begun: true,
            searched: fields.level != Level::Info,
            error: fields.level == Level::Error,
            found: 0,
        };
        let is_database = [&b"ODB-"[..], b"PGS-", b"WDB-2"].iter().any(|code| fields.text.starts_with(code));
        if self.memory.searched && is_database {
            self.memory.found = FOUND_DATABASE;
        }
        let mut problems = self.search(fields.text);
        if self.memory.found & FOUND_DATABASE != 0 {
            problems.0 |= 1 << Problem::Database as u8;
        }
        Line::Message(Message { problems, ..fields })
    }

    fn fields<'a>(&mut self, line: &'a [u8]) -> Option<Message<'a>> {
        let documented = line.split_first_chunk::<STAMP>().and_then(|(stamp, rest)| Some((self.time(stamp)?, rest)));
        let (time, rest) = match documented {
            Some((time, rest)) if rest.first() == Some(&b'\t') => (time, rest),
            _ => self.other_time(line)?,
        };
        let tabs = six_tabs(rest);
        let level_of = |begin: usize, end: usize| Level::read(&rest[begin + 1..end]);
        // Where the older form has its level, the other has a number.
        if let Some([_, pid_end, tid_end, number_end, level_end, domain_end]) = tabs
            && !is_word(&rest[tid_end + 1..number_end])
        {
            return Some(Message {
                time,
                pid: &rest[1..pid_end],
                level: level_of(number_end, level_end)?,
                domain: &rest[level_end + 1..domain_end],
                text: &rest[domain_end + 1..],
                problems: Problems::default(),
            });
        }
        let mut places = memchr_iter(b'\t', rest);
        let [_, id_end, number_end, level_end, domain_end] = std::array::from_fn(|_| places.next());
        let (id_end, number_end, level_end, domain_end) = (id_end?, number_end?, level_end?, domain_end?);
        Some(Message {
            time,
            pid: &rest[1..id_end],
            level: level_of(number_end, level_end)?,
            domain: &rest[level_end + 1..domain_end],
            text: &rest[domain_end + 1..],
            problems: Problems::default(),
        })
    }

    fn time(&mut self, stamp: &[u8; STAMP]) -> Option<i64> {
        let (minute, rest) = stamp.split_first_chunk::<MINUTE>()?;
        let [s1, s2, b'.', m1, m2, m3, b'Z'] = *rest else { return None };
        if ![s1, s2, m1, m2, m3].iter().all(u8::is_ascii_digit) {
            return None;
        }
        let seconds = i64::from(s1 - b'0') * 10 + i64::from(s2 - b'0');
        if seconds > 60 {
            return None;
        }
        let starts = match self.minute_starts.filter(|_| *minute == self.minute) {
            Some(starts) => starts,
            None => {
                let starts = minute_starts(minute)?;
                (self.minute, self.minute_starts) = (*minute, Some(starts));
                starts
            }
        };
        let milliseconds = i64::from(m1 - b'0') * 100 + i64::from(m2 - b'0') * 10 + i64::from(m3 - b'0');
        Some(starts + seconds * 1000 + milliseconds)
    }

    /// A time in another form than the documented one, up to the tab behind it: with a blank, an offset, without an end, or
    /// with other fractions of a second.
    fn other_time<'a>(&self, line: &'a [u8]) -> Option<(i64, &'a [u8])> {
        let (minute, rest) = line.split_first_chunk::<MINUTE>()?;
        let mut minute = *minute;
        if minute[10] == b' ' {
            minute[10] = b'T';
        }
        let (seconds, mut rest) = two_digits(rest)?;
        let mut milliseconds = 0;
        if let [b'.', fraction @ ..] = rest {
            let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
            let digit = |place: usize| fraction[..digits].get(place).map_or(0, |byte| i64::from(byte - b'0'));
            milliseconds = digit(0) * 100 + digit(1) * 10 + digit(2);
            rest = &fraction[digits..];
        }
        let mut offset = 0;
        match rest {
            [b'Z', after @ ..] => rest = after,
            [sign @ (b'+' | b'-'), after @ ..] => {
                let (hours, after) = two_digits(after)?;
                let (minutes, after) = two_digits(after.strip_prefix(b":").unwrap_or(after)).unwrap_or((0, after));
                offset = (hours * 60 + minutes) * if *sign == b'-' { -60_000 } else { 60_000 };
                rest = after;
            }
            _ => {}
        }
        let starts = minute_starts(&minute)?;
        (seconds <= 60 && rest.first() == Some(&b'\t'))
            .then_some((starts + seconds * 1000 + milliseconds - offset, rest))
    }

    /// The problems that become known with `text`.
    fn search(&mut self, text: &[u8]) -> Problems {
        if !self.memory.searched {
            return Problems::default();
        }
        let before = known_problems(self.memory.found);
        // One pass for all but the sentence: each of these has a byte that few texts have.
        for place in memchr3_iter(b':', b'=', b'X', text) {
            self.memory.found |= match text[place] {
                b':' if self.memory.error => session_at(text, place),
                b'=' => device_at(text, place),
                b'X' => login_at(&text[place..]),
                _ => 0,
            };
        }
        if RENAME.find(text).is_some() {
            self.memory.found |= FOUND_RENAME;
        }
        if self.memory.found & FOUND_RENAME != 0 && DEVICE.find(text).is_some() {
            self.memory.found |= FOUND_DEVICE;
        }
        Problems(known_problems(self.memory.found) & !before)
    }
}

const fn known_problems(found: u8) -> u8 {
    let mut problems = 0;
    // A login that is refused is one user's matter.
    if found & FOUND_SESSION != 0 && found & FOUND_REFUSED == 0 {
        problems |= 1 << Problem::XtkSession as u8;
    }
    if found & FOUND_REFUSED != 0 {
        problems |= 1 << Problem::LoginRefused as u8;
    }
    if found & FOUND_DATABASE != 0 {
        problems |= 1 << Problem::Database as u8;
    }
    if found & FOUND_DEVICE != 0 {
        problems |= 1 << Problem::CrossDeviceLink as u8;
    }
    problems
}

/// Whether a line starts with a date and a `T`, or a blank and an hour: it begins a message, be it readable or not.
fn starts_like_a_time(line: &[u8]) -> bool {
    matches!(line, [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b'T', ..]
        | [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b' ', b'0'..=b'9', b'0'..=b'9', b':', ..]
        if [y1, y2, y3, y4, m1, m2, d1, d2].iter().all(|byte| byte.is_ascii_digit()))
}

/// `xtk:session`, its colon at `place`. Not behind `xtk:persist|`: that is any write that failed.
fn session_at(text: &[u8], place: usize) -> u8 {
    let is_it = text[..place].ends_with(b"xtk") && text[place + 1..].starts_with(b"session");
    if is_it && !text[..place].ends_with(b"|xtk") { FOUND_SESSION } else { 0 }
}

/// `errno=18`, EXDEV in whatever language, its sign at `place`.
fn device_at(text: &[u8], place: usize) -> u8 {
    let is_number = |number: &[u8]| !number.first().is_some_and(u8::is_ascii_digit);
    let is_it = text[..place].ends_with(b"errno") && text[place + 1..].strip_prefix(b"18").is_some_and(is_number);
    if is_it { FOUND_DEVICE } else { 0 }
}

/// The codes of logins that were refused, and of a missing data source.
fn login_at(text: &[u8]) -> u8 {
    match text.strip_prefix(b"XSV-3500").and_then(|number| number.first_chunk()) {
        Some(b"08" | b"12" | b"13") => FOUND_REFUSED,
        Some(b"63") => FOUND_DATABASE,
        _ => 0,
    }
}

fn two_digits(text: &[u8]) -> Option<(i64, &[u8])> {
    match text {
        [tens @ b'0'..=b'9', ones @ b'0'..=b'9', rest @ ..] => {
            Some((i64::from(tens - b'0') * 10 + i64::from(ones - b'0'), rest))
        }
        _ => None,
    }
}

fn is_word(level: &[u8]) -> bool {
    level.first().is_some_and(u8::is_ascii_alphabetic)
        && level.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// The places of the first six tabs.
///
/// They stand within the first 48 bytes of all but odd lines, which are looked at eight bytes at once: this is where
/// the time goes, and a branch for each byte would take twice as long.
fn six_tabs(bytes: &[u8]) -> Option<[usize; 6]> {
    let mut tabs = [0; 6];
    if let Some(head) = bytes.first_chunk::<48>() {
        let mut mask = 0_u64;
        for (place, word) in head.as_chunks::<8>().0.iter().enumerate() {
            mask |= tab_bits(u64::from_le_bytes(*word)) << (place * 8);
        }
        for tab in &mut tabs {
            *tab = mask.trailing_zeros() as usize;
            mask &= mask.wrapping_sub(1);
        }
        if tabs[5] < 48 {
            return Some(tabs);
        }
    }
    let mut places = bytes.iter().enumerate().filter_map(|(place, byte)| (*byte == b'\t').then_some(place));
    for tab in &mut tabs {
        *tab = places.next()?;
    }
    Some(tabs)
}

/// Bit n is set when byte n of `word`, counted from the least significant, is a tab.
const fn tab_bits(word: u64) -> u64 {
    const LOW_SEVEN: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    // A byte becomes zero where a tab is; then its high bit alone is set where it is zero, without a carry between bytes.
    let zero = word ^ 0x0909_0909_0909_0909;
    let mut bits = !(((zero & LOW_SEVEN) + LOW_SEVEN) | zero | LOW_SEVEN) >> 7;
    // Gathers the eight bits in the lowest byte, in their order.
    bits |= bits >> 7;
    bits |= bits >> 14;
    bits |= bits >> 28;
    bits & 0xff
}

/// `2021-05-31T08:42:` -> milliseconds since 1970-01-01 UTC.
fn minute_starts(minute: &[u8; MINUTE]) -> Option<i64> {
    let [y1, y2, y3, y4, b'-', mo1, mo2, b'-', d1, d2, b'T', h1, h2, b':', mi1, mi2, b':'] = *minute else {
        return None;
    };
    let number = |digits: &[u8]| {
        digits
            .iter()
            .try_fold(0_i64, |number, byte| byte.is_ascii_digit().then(|| number * 10 + i64::from(byte - b'0')))
    };
    let year = number(&[y1, y2, y3, y4])?;
    let (month, day) = (number(&[mo1, mo2])?, number(&[d1, d2])?);
    let (hour, minute) = (number(&[h1, h2])?, number(&[mi1, mi2])?);
    if !(1..=12).contains(&month) || day < 1 || day > days_of_month(year, month) || hour > 23 || minute > 59 {
        return None;
    }
    Some(((days_since_epoch(year, month, day) * 24 + hour) * 60 + minute) * 60_000)
}

fn days_of_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 in the Gregorian calendar; the year is counted from March, so that the leap day is its last.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let from_march = (month + 9) % 12;
    let year = year - from_march / 10;
    let days_before_month = (from_march * 306 + 5) / 10;
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + days_before_month + (day - 1)
        - 719_468
}

/// Whether a line of `redir/log/0x….log`, its line feed taken off, is one that the hourly tracking job can read.
///
/// Exactly what the expression of the documentation's page "About message tracking" matches, as GNU sed understands it:
/// within brackets the backslash stands for itself. Printable is what is so in ISO 8859-15, which the server runs in by
/// default; letters, which only identifiers ask for, are those of ASCII.
#[must_use]
pub fn tracking_line_is_good(line: &[u8]) -> bool {
    let mut fields = line.split(|byte| *byte == b'\t');
    let mut next = |good: fn(&[u8]) -> bool| fields.next().is_some_and(good);
    let first = next(is_tracking_id)
        && next(|f| f.iter().all(|b| matches!(b, b'0'..=b'9' | b'T' | b':' | b'\\' | b'.' | b'-')));
    let numbers = first && next(is_hex) && next(is_hex) && next(is_hex);
    let names = numbers
        && next(|field| field.iter().all(u8::is_ascii_alphanumeric))
        && next(|field| field.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-'));
    if !(names && next(is_printable) && next(is_printable) && next(is_printable)) {
        return false;
    }
    match (fields.next(), fields.next(), fields.next()) {
        (Some(address), None, None) => {
            let end = address.iter().position(|byte| *byte == b',').unwrap_or(address.len());
            is_address(&address[..end]) && is_printable(&address[end..])
        }
        (Some(address), Some(more), None) => is_address(address) && is_printable(more),
        _ => false,
    }
}

fn is_tracking_id(field: &[u8]) -> bool {
    matches!(field, [a, b, b'x', rest @ ..]
        if a.is_ascii_alphanumeric() && b.is_ascii_alphanumeric() && rest.iter().all(u8::is_ascii_alphanumeric))
}

fn is_hex(field: &[u8]) -> bool {
    field.iter().all(u8::is_ascii_hexdigit)
}

fn is_printable(field: &[u8]) -> bool {
    field.iter().all(|byte| matches!(byte, b' '..=b'~' | 0xa0..))
}

fn is_address(field: &[u8]) -> bool {
    field.iter().all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b'.' | b':' | b'\\'))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::{Command, Stdio};

    use proptest::prelude::*;

    use super::*;

    const DOCUMENTED: &[u8] =
        b"2021-05-31T08:42:18.124Z\t66462\t66501\t1\terror\tlog\tListener: JWT Token is empty. (iRc=16384)";

    fn message(line: &[u8]) -> Message<'_> {
        match LineReader::default().read(line) {
            Line::Message(message) => message,
            other => panic!("{other:?}"),
        }
    }

    fn with(level: &str, text: &str) -> Vec<u8> {
        format!("2021-05-31T08:42:18.124Z\t66462\t66501\t1\t{level}\tlog\t{text}").into_bytes()
    }

    #[test]
    fn the_documented_line_is_read() {
        let message = message(DOCUMENTED);
        assert_eq!(message.time, 1_622_450_538_124);
        assert_eq!(message.pid, b"66462");
        assert_eq!(message.level, Level::Error);
        assert_eq!(message.domain, b"log");
        assert_eq!(message.text, b"Listener: JWT Token is empty. (iRc=16384)");
        assert_eq!(message.code(), None);
        assert!(message.problems.is_empty());
    }

    #[test]
    fn levels_are_known_or_kept_as_they_are() {
        assert_eq!(message(&with("warning", "x")).level, Level::Warning);
        assert_eq!(message(&with("info", "x")).level, Level::Info);
        assert_eq!(message(&with("debug", "x")).level, Level::Other(b"debug"));
        for (index, name) in Level::KNOWN.iter().enumerate() {
            assert_eq!(message(&with(name, "x")).level.index(), Some(index));
        }
    }

    #[test]
    fn a_code_is_three_capitals_a_dash_and_six_digits_at_the_start() {
        for code in ["INT-150012", "BAS-010007", "ODB-240000", "TIM-030008"] {
            assert_eq!(message(&with("error", &format!("{code} went wrong"))).code().unwrap().as_str(), code);
            assert_eq!(message(&with("error", code)).code().unwrap().as_str(), code);
        }
        for text in
            ["INT-15001", "INT-1500123", "int-150012", "IN-1500123", "See INT-150012", "INT 150012", "INT-15001x"]
        {
            assert_eq!(message(&with("error", text)).code(), None, "{text}");
        }
    }

    #[test]
    fn a_message_may_hold_tabs_and_be_empty_and_not_be_utf8() {
        assert_eq!(message(&with("info", "a\tb\t")).text, b"a\tb\t");
        assert_eq!(message(&with("info", "")).text, b"");
        let latin = [&with("info", "caf")[..], b"\xe9\0"].concat();
        assert_eq!(message(&latin).text, b"caf\xe9\0");
        let long = [&b"2021-05-31T08:42:18.124Z\t"[..], &[b'1'; 90], b"\t2\t1\tinfo\tlog\tx"].concat();
        assert_eq!(message(&long).pid.len(), 90);
    }

    #[test]
    fn a_line_that_starts_with_a_time_but_lacks_fields_is_unreadable() {
        for line in [
            &b"2021-05-31T08:42:18.124Z"[..],
            b"2021-05-31T08:42:18.124Z something else",
            b"2021-05-31T08:42:18.124Z\t66462\t66501\t1\terror\tlog",
            b"2021-05-31T08:42:18.124Zx\t66462\t66501\t1\terror\tlog\tx",
            b"2021-05-31T08:42:18.124Z\t66462\t66501\t1\t\tlog\tx",
            b"2021-05-31T08:42:18.124Z\t66462\t66501\t1\t7\tlog\tx",
            b"2021-05-31T08:42:18,124Z\t66462\t66501\t1\tinfo\tlog\tx",
            b"2021-05-31T08:42:61.124Z\t66462\t66501\t1\tinfo\tlog\tx",
            b"2021-13-31T08:42:18.124Z\t66462\t66501\t1\tinfo\tlog\tx",
            b"2021-02-29T08:42:18.124Z\t66462\t66501\t1\tinfo\tlog\tx",
            b"2021-05-31T24:42:18.124Z\t66462\t66501\t1\tinfo\tlog\tx",
            b"2021-05-31T08:60:18.124Z\t66462\t66501\t1\tinfo\tlog\tx",
            b"2021-05-31T08:42:18.124+2\t66462\t66501\t1\tinfo\tlog\tx",
            b"2013-04-09 07:48",
            b"2021-05-31T",
        ] {
            assert_eq!(LineReader::default().read(line), Line::Unreadable, "{}", line.escape_ascii());
        }
    }

    #[test]
    fn a_line_without_a_time_continues_the_message_before() {
        let mut reader = LineReader::default();
        assert_eq!(reader.read(b"of nothing"), Line::Unreadable);
        reader.read(DOCUMENTED);
        for line in [&b"  at line 3"[..], b"", b"2021-05-31 is a day", b"2021-05-31"] {
            assert_eq!(reader.read(line), Line::Continuation(Problems::default()));
        }
        assert_eq!(reader.read(&[0; 100]), Line::Continuation(Problems::default()));
        let mut later = LineReader::new(reader.memory());
        assert_eq!(later.read(&[0; 100]), Line::Continuation(Problems::default()));
        assert_eq!(later.read(b"after a restart"), Line::Continuation(Problems::default()));
    }

    #[test]
    fn documented_problems_are_recognised_once_a_message() {
        let session = message(&with("error", "SOP-330011 Error on xtk:session#Logon")).problems;
        assert!(session.has(Problem::XtkSession) && !session.has(Problem::CrossDeviceLink));
        let write = "SOP-330011 Error while executing the method 'Write' of service 'xtk:persist|xtk:session'.";
        assert!(message(&with("error", write)).problems.is_empty(), "any write that fails says so");
        assert!(message(&with("error", &format!("{write} xtk:session"))).problems.has(Problem::XtkSession));
        assert!(message(&with("info", "xtk:session#Logon by admin")).problems.is_empty());
        assert!(message(&with("warning", "xtk:session#Logon by admin")).problems.is_empty());
        let rename = "Unable to rename file '/tmp/a' to '/var/b': Invalid cross-device link";
        assert!(message(&with("error", rename)).problems.has(Problem::CrossDeviceLink));
        assert!(message(&with("warning", rename)).problems.has(Problem::CrossDeviceLink));
        assert!(message(&with("error", "Invalid cross-device link")).problems.is_empty());

        let mut reader = LineReader::default();
        reader.read(&with("error", "Unable to rename file 'a'"));
        let Line::Continuation(first) = reader.read(b"Invalid cross-device link") else { panic!() };
        let Line::Continuation(again) = reader.read(b"Invalid cross-device link, xtk:session") else { panic!() };
        assert!(first.has(Problem::CrossDeviceLink));
        assert!(again.has(Problem::XtkSession) && !again.has(Problem::CrossDeviceLink));
        reader.read(&with("info", "fine"));
        assert_eq!(reader.read(b"xtk:session"), Line::Continuation(Problems::default()));
    }

    #[test]
    fn lines_of_other_documented_forms_are_messages() {
        let older = message(b"2013-04-09 07:48:39.750Z\t00002E7A\t1\twarning\tlog\tThe document\tis in conflict.");
        assert_eq!((older.time, older.pid, older.level), (1_365_493_719_750, &b"00002E7A"[..], Level::Warning));
        assert_eq!((older.domain, older.text), (&b"log"[..], &b"The document\tis in conflict."[..]));
        let code = message(b"2025-04-09 07:57:51.804Z\tB67B28C0\t1\terror\tlog\tPGS-220000 broken (iRc=-2006)");
        assert_eq!((code.code().unwrap().as_str(), code.level), ("PGS-220000", Level::Error));
        let rest = "\t3420\t3421\t1\terror\tlog\tXTK-170024 x";
        let time = |stamp: &str| message(format!("{stamp}{rest}").as_bytes()).time - 1_744_184_919_000;
        for (stamp, milliseconds) in [
            ("2025-04-09T07:48:39.749+02", 749 - 7_200_000),
            ("2025-04-09T07:48:39.749-07", 749 + 7 * 3_600_000),
            ("2025-04-09T07:48:39.749+0530", 749 - 19_800_000),
            ("2025-04-09T07:48:39.749+05:30", 749 - 19_800_000),
            ("2025-04-09T07:48:39.74", 740),
            ("2025-04-09T07:48:39.74Z", 740),
            ("2025-04-09 07:48:39.123456Z", 123),
            ("2025-04-09T07:48:39", 0),
        ] {
            assert_eq!(time(stamp), milliseconds, "{stamp}");
        }
        let hexadecimal = message(b"2021-05-31T08:42:19.000Z\t29188\tB67B28C0\t1\tinfo\tlog\tServer started");
        assert_eq!((hexadecimal.pid, hexadecimal.level), (&b"29188"[..], Level::Info));
    }

    #[test]
    fn trouble_is_recognised_in_every_language() {
        for text in [
            "Unable to rename file '/tmp/a' to /b ;(errno=18, Lien crois\u{e9} de p\u{e9}riph\u{e9}rique invalide) (iRc=-52)",
            "Impossible de renommer le fichier '/tmp/a' ;(errno=18, Lien)",
            "Datei kann nicht umbenannt werden errno=18",
        ] {
            assert!(message(&with("error", text)).problems.has(Problem::CrossDeviceLink), "{text}");
        }
        assert!(message(&with("error", "errno=180")).problems.is_empty());
        for text in ["XSV-350008 expired", "SOP-330011 'xtk:session' XSV-350012 wrong", "XSV-350013 xtk:session"] {
            let problems = message(&with("error", text)).problems;
            assert!(problems.has(Problem::LoginRefused) && !problems.has(Problem::XtkSession), "{text}");
        }
        for text in ["XSV-350063 none", "ODB-240000 x", "PGS-220000 x", "WDB-200001 x"] {
            assert!(message(&with("error", text)).problems.has(Problem::Database), "{text}");
        }
        for text in ["WDB-100001 x", "XSV-350099 x", "see ODB-240000"] {
            assert!(message(&with("error", text)).problems.is_empty(), "{text}");
        }
        assert!(message(&with("info", "ODB-240000 x")).problems.is_empty());
    }

    #[test]
    fn times_are_read_as_utc() {
        let time = |stamp: &str| message(format!("{stamp}\t1\t1\t1\tinfo\tlog\tx").as_bytes()).time;
        assert_eq!(time("1970-01-01T00:00:00.000Z"), 0);
        assert_eq!(time("2000-02-29T12:00:00.001Z"), 951_825_600_001);
        assert_eq!(time("2100-03-01T00:00:00.000Z"), 4_107_542_400_000);
        assert_eq!(time("2016-12-31T23:59:60.000Z"), 1_483_228_800_000);
        assert_eq!(time("1969-12-31T23:59:59.999Z"), -1);
    }

    proptest! {
        #[test]
        fn any_day_is_the_one_after_the_day_before(days in 0_i64..60_000) {
            // Counted by hand from the epoch, year by year and month by month.
            let (mut year, mut month, mut left) = (1970, 1, days);
            while left >= days_of_month(year, month) {
                left -= days_of_month(year, month);
                (year, month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
            }
            prop_assert_eq!(days_since_epoch(year, month, left + 1), days);
        }

        #[test]
        fn any_bytes_are_some_line(lines in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 0..8)) {
            let mut reader = LineReader::default();
            for line in &lines {
                reader.read(line);
            }
        }

        #[test]
        fn tabs_are_found_wherever_they_are(bytes in proptest::collection::vec(prop_oneof![Just(b'\t'), Just(b'a'), Just(8), Just(0x89)], 0..150)) {
            let plain: Vec<usize> = (0..bytes.len()).filter(|place| bytes[*place] == b'\t').take(6).collect();
            prop_assert_eq!(six_tabs(&bytes).map(|tabs| tabs.to_vec()), (plain.len() == 6).then_some(plain));
        }
    }

    /// The expression as the documentation gives it.
    const TRACKING: &str = r"^[[:alnum:]]{2}x[[:alnum:]]*\t[0-9T:\.-]*\t[0-9a-fA-F]*\t[0-9a-fA-F]*\t[0-9a-fA-F]*\t[[:alnum:]]*\t[[:alnum:]-]*\t[[:print:]]*\t[[:print:]]*\t[[:print:]]*\t([0-9a-fA-F\.:]*|[0-9a-fA-F\.:]*\t[[:print:]]*|[0-9a-fA-F\.:]*,[[:print:]]*)$";

    const GOOD: &[u8] = b"00x5f3a\t2021-05-31T08:42:18.124\t1f\tABC\t0\tprod1\ta-b-1\topen\thttp://a/?b=c\tMozilla/5.0 (X11)\t192.168.0.1";

    /// Which of `lines` GNU sed prints when it deletes what doesn't match.
    fn sed(lines: &[Vec<u8>]) -> Vec<bool> {
        let script = format!("/{}/!s/.*/bad/;t;s/.*/good/", TRACKING.replace('/', r"\/"));
        let mut child = Command::new("sed")
            .args(["-E", &script])
            .env("LC_ALL", "C")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        let text: Vec<u8> = lines.iter().flat_map(|line| [&line[..], b"\n"].concat()).collect();
        let writer = std::thread::spawn(move || input.write_all(&text).unwrap());
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        assert!(output.status.success());
        let verdicts = output.stdout.split(|byte| *byte == b'\n').filter(|verdict| !verdict.is_empty());
        verdicts
            .map(|verdict| {
                if verdict == b"good" {
                    true
                } else {
                    assert_eq!(verdict, b"bad");
                    false
                }
            })
            .collect()
    }

    #[test]
    fn good_tracking_lines_are_told_from_corrupt_ones() {
        assert!(tracking_line_is_good(GOOD));
        for end in [&b"\tmore"[..], b",more", b",", b"\t", b",a,b"] {
            assert!(tracking_line_is_good(&[GOOD, end].concat()), "{}", end.escape_ascii());
        }
        for end in [&b"\tmore\tmore"[..], b",a\tb", b"x", b"\r", b"\x80", b"\0", b" "] {
            assert!(!tracking_line_is_good(&[GOOD, end].concat()), "{}", end.escape_ascii());
        }
        assert!(!tracking_line_is_good(b""));
        let latin = |byte| [b"00x\t\t\t\t\t\t\t\t\tcaf", [byte].as_slice(), b"\t"].concat();
        assert!(tracking_line_is_good(&latin(0xe9)) && tracking_line_is_good(&latin(0xa4)), "ISO 8859-15");
        assert!(!tracking_line_is_good(&latin(0x9f)) && !tracking_line_is_good(&latin(0x7f)), "no letters there");
        assert!(tracking_line_is_good(b"00x\t\t\t\t\t\t\t\t\t\t"));
    }

    #[test]
    fn tracking_lines_are_judged_as_gnu_sed_judges_them() {
        // Every byte put in every place of a good line and of both its longer forms, and every byte taken out. ASCII
        // alone: which bytes above it are printable is a matter of the locale.
        let mut lines = Vec::new();
        for good in
            [GOOD.to_vec(), [GOOD, b"\tmore"].concat(), [GOOD, b",m"].concat(), b"00x\t\t\t\t\t\t\t\t\t\t".to_vec()]
        {
            for place in 0..=good.len() {
                for byte in (0..0x80_u8).filter(|byte| *byte != b'\n') {
                    let mut line = good.clone();
                    line.insert(place, byte);
                    lines.push(line);
                }
                if place < good.len() {
                    let mut line = good.clone();
                    line.remove(place);
                    lines.push(line);
                }
            }
            lines.push(good);
        }
        let verdicts = sed(&lines);
        assert_eq!(verdicts.len(), lines.len());
        assert!(verdicts.iter().any(|good| *good) && verdicts.iter().any(|good| !good));
        for (line, good) in lines.iter().zip(verdicts) {
            assert_eq!(tracking_line_is_good(line), good, "{}", line.escape_ascii());
        }
    }
}
