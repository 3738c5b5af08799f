//! `customer.sh`, a script of the shell that Campaign's programs read at their start -> the variables that it exports.
//!
//! Follows assignments, `export`, quotes, comments, here-documents and scripts that are read with `.` or `source`, and which
//! commands are executed in any case. What a condition or an expansion evaluates to is unknown.

/// What the script makes of a variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exported {
    /// This value.
    Value(Vec<u8>),
    /// This value, or not: that depends on a condition, or on whether a function is called.
    Conditional(Vec<u8>),
    /// A value that only the shell can tell: it expands another variable or the output of a command.
    Expanded,
    /// This value, or none, or what another script sets.
    Elsewhere {
        /// The value without that script.
        value: Option<Vec<u8>>,
        /// The script as it is named, which is not followed.
        script: Vec<u8>,
    },
}

/// A script that another one reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sourced {
    /// Its content.
    Script(Vec<u8>),
    /// There is none: the shell goes on without it.
    Missing,
    /// It can't be followed.
    Unknown,
}

/// How deep scripts that read others are followed.
const MAX_DEPTH: usize = 5;

/// The most scripts that are followed.
const MAX_SCRIPTS: usize = 20;

/// What `script` exports as `name`; none where it does not. The last assignment holds. `source` is called with the absolute
/// path of each script that it reads.
#[must_use]
pub fn exported(script: &[u8], name: &str, source: &mut dyn FnMut(&[u8]) -> Sourced) -> Option<Exported> {
    let mut shell = Shell {
        name: name.as_bytes(),
        source,
        value: None,
        is_exported: false,
        exports_all: false,
        around: Vec::new(),
        returned: None,
        exited: None,
        depth: 0,
        scripts: 0,
    };
    shell.run(script);
    shell.value.filter(|_| shell.is_exported)
}

/// A word of a command, without its quotes.
#[derive(Default)]
struct Word {
    bytes: Vec<u8>,
    is_expanded: bool,
    is_quoted: bool,
    is_there: bool,
}

/// What a command ends with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum End {
    #[default]
    Line,
    /// `&&` or `||`
    Condition,
    /// `|`
    Pipe,
    /// `&`
    Background,
    /// `(`
    Open,
    /// `)`
    Close,
}

/// Whether a command is executed in this shell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Reached {
    Always,
    /// Where a condition holds, or a function is called.
    Maybe,
    /// By another process, whose variables are its own.
    Elsewhere,
}

/// Commands between a word that opens and one that closes.
struct Block {
    is_subshell: bool,
    /// Whether they are executed, with all that is around them.
    reached: Reached,
}

/// What is known of the variable, and where in the scripts that is.
struct Shell<'a> {
    name: &'a [u8],
    source: &'a mut dyn FnMut(&[u8]) -> Sourced,
    value: Option<Exported>,
    is_exported: bool,
    /// Whether every assignment exports (`set -a`).
    exports_all: bool,
    /// What is open around the next command, the innermost last.
    around: Vec<Block>,
    /// Whether a command before has ended this script, or all of them.
    returned: Option<Reached>,
    exited: Option<Reached>,
    depth: usize,
    scripts: usize,
}

/// What came before the next command of a script.
#[derive(Default)]
struct Before {
    /// What the command before ended with, and whether it would be a function's name.
    end: End,
    may_name: bool,
    /// Whether the next block is a function's.
    is_function: bool,
}

impl Shell<'_> {
    fn run(&mut self, script: &[u8]) {
        let mut reader = ScriptReader { rest: script, documents: Vec::new() };
        let mut before = Before::default();
        while let Some((words, end)) = reader.command() {
            self.command(&words, end, &mut before);
            if [self.returned, self.exited].contains(&Some(Reached::Always)) {
                break;
            }
        }
    }

    fn command(&mut self, words: &[Word], end: End, before: &mut Before) {
        let is_named = before.may_name && end == End::Close && words.is_empty();
        before.may_name = end == End::Open && matches!(words, [name] if !name.bytes.contains(&b'='));
        let words = self.without_keywords(words, before);
        let mut reached = self.around().max(match (before.end, end) {
            (End::Pipe, _) | (_, End::Pipe | End::Background) => Reached::Elsewhere,
            (End::Condition, _) => Reached::Maybe,
            _ => Reached::Always,
        });
        if self.returned.or(self.exited).is_some() {
            reached = reached.max(Reached::Maybe);
        }
        if reached < Reached::Elsewhere {
            self.execute(words, reached);
        }
        match end {
            End::Open => self.around.push(Block { is_subshell: true, reached: Reached::Elsewhere }),
            End::Close if self.around.last().is_some_and(|block| block.is_subshell) => {
                self.around.pop();
                before.is_function |= is_named;
            }
            _ => {}
        }
        before.end = if end == End::Close { End::Line } else { end };
    }

    fn around(&self) -> Reached {
        self.around.last().map_or(Reached::Always, |block| block.reached)
    }

    fn open(&mut self, reached: Reached) {
        let reached = reached.max(self.around());
        self.around.push(Block { is_subshell: false, reached });
    }

    /// What is left of a command without the words that open and close blocks.
    fn without_keywords<'w>(&mut self, words: &'w [Word], before: &mut Before) -> &'w [Word] {
        let mut words = words;
        while let Some(first) = words.first().filter(|first| !first.is_quoted) {
            let skipped = match first.bytes.as_slice() {
                b"if" | b"while" | b"until" => {
                    self.open(Reached::Maybe);
                    1
                }
                b"for" | b"case" | b"select" => {
                    self.open(Reached::Maybe);
                    words.len()
                }
                b"{" => {
                    let is_function = std::mem::take(&mut before.is_function);
                    self.open(if is_function { Reached::Maybe } else { Reached::Always });
                    1
                }
                b"fi" | b"done" | b"esac" | b"}" => {
                    self.around.pop();
                    1
                }
                b"function" => {
                    before.is_function = true;
                    2
                }
                b"then" | b"else" | b"elif" | b"do" | b"!" | b"time" | b"builtin" | b"command" => 1,
                _ => break,
            };
            words = words.get(skipped..).unwrap_or_default();
        }
        words
    }

    fn execute(&mut self, words: &[Word], reached: Reached) {
        let Some((first, arguments)) = words.split_first() else { return };
        let has =
            |option: u8| arguments.iter().any(|word| word.bytes.starts_with(b"-") && word.bytes.contains(&option));
        let is_named = arguments.iter().any(|word| word.bytes == self.name);
        match first.bytes.as_slice() {
            b"unset" if is_named => self.set(None, reached),
            b"export" if is_named && has(b'n') => self.set(None, reached),
            b"export" => self.assign(arguments, true, reached),
            b"declare" | b"typeset" | b"readonly" => self.assign(arguments, has(b'x'), reached),
            b"read" if is_named => self.set(Some(Exported::Expanded), reached),
            b"printf" if is_named && has(b'v') => self.set(Some(Exported::Expanded), reached),
            b"." | b"source" => self.read_another(arguments, reached),
            b"eval" if arguments.iter().any(|word| contains(&word.bytes, self.name)) => {
                self.set(Some(Exported::Expanded), reached);
                self.is_exported = true;
            }
            b"set" => self.set_options(arguments),
            b"exit" => self.exited = Some(reached),
            b"return" => self.returned = Some(reached),
            // Variables before a command are the command's alone.
            _ if words.iter().all(|word| word.bytes.contains(&b'=')) => self.assign(words, false, reached),
            _ => {}
        }
    }

    /// `. /path/to/script`: its commands are executed here.
    fn read_another(&mut self, arguments: &[Word], reached: Reached) {
        let Some(script) = arguments.iter().find(|word| word.bytes != b"--") else { return };
        self.scripts += 1;
        let is_plain = !script.is_expanded && !script.bytes.iter().any(|byte| b"*?[".contains(byte));
        let is_followed = is_plain && script.bytes.starts_with(b"/");
        let is_within = self.depth < MAX_DEPTH && self.scripts <= MAX_SCRIPTS;
        let content = if is_followed && is_within { (self.source)(&script.bytes) } else { Sourced::Unknown };
        match content {
            Sourced::Missing => {}
            Sourced::Script(content) => {
                let around = std::mem::replace(&mut self.around, vec![Block { is_subshell: false, reached }]);
                let returned = self.returned.take();
                self.depth += 1;
                self.run(&content);
                self.depth -= 1;
                (self.around, self.returned) = (around, returned);
            }
            Sourced::Unknown => {
                let value = match self.value.take().filter(|_| self.is_exported) {
                    Some(Exported::Value(value) | Exported::Conditional(value)) => Some(value),
                    Some(Exported::Elsewhere { value, .. }) => value,
                    Some(Exported::Expanded) | None => None,
                };
                self.value = Some(Exported::Elsewhere { value, script: script.bytes.clone() });
                self.is_exported = true;
            }
        }
    }

    /// `set -a`, `set -o allexport`, and the opposites.
    fn set_options(&mut self, arguments: &[Word]) {
        let by_name = arguments.iter().any(|word| word.bytes == b"allexport");
        let is = |sign: u8| {
            let option = |word: &Word| word.bytes.contains(&b'a') || by_name && word.bytes.contains(&b'o');
            arguments.iter().any(|word| word.bytes.first() == Some(&sign) && option(word))
        };
        self.exports_all = (self.exports_all || is(b'-')) && !is(b'+');
    }

    fn assign(&mut self, words: &[Word], exports: bool, reached: Reached) {
        for word in words {
            let Some(rest) = word.bytes.strip_prefix(self.name) else { continue };
            let (value, is_added) = match (rest.strip_prefix(b"="), rest.strip_prefix(b"+=")) {
                (Some(value), _) => (value, false),
                (None, Some(value)) => (value, true),
                (None, None) if rest.is_empty() => {
                    self.is_exported |= exports;
                    continue;
                }
                (None, None) => continue,
            };
            let value = match (&self.value, is_added) {
                _ if word.is_expanded => Exported::Expanded,
                (_, false) | (None, true) => Exported::Value(value.to_vec()),
                (Some(Exported::Value(before)), true) => Exported::Value([before, value].concat()),
                (Some(_), true) => Exported::Expanded,
            };
            self.set(Some(value), reached);
            self.is_exported |= exports || self.exports_all;
        }
    }

    fn set(&mut self, value: Option<Exported>, reached: Reached) {
        if reached == Reached::Maybe && self.value != value {
            self.value = match (value, self.value.take()) {
                (Some(Exported::Value(value)), _) | (None, Some(Exported::Value(value))) => {
                    Some(Exported::Conditional(value))
                }
                (value, before) => value.or(before),
            };
            return;
        }
        self.is_exported &= value.is_some();
        self.value = value;
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len().max(1)).any(|window| window == part)
}

/// The script, from the next byte on.
struct ScriptReader<'a> {
    rest: &'a [u8],
    /// The ends of the here-documents that begin with the next line.
    documents: Vec<Vec<u8>>,
}

impl<'a> ScriptReader<'a> {
    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn skip_if(&mut self, is_it: impl Fn(u8) -> bool) -> bool {
        let is_next = self.rest.first().is_some_and(|byte| is_it(*byte));
        if is_next {
            self.rest = &self.rest[1..];
        }
        is_next
    }

    /// The words of the next command, and what it ends with; none at the end of the script.
    fn command(&mut self) -> Option<(Vec<Word>, End)> {
        let (mut words, mut word) = (Vec::new(), Word::default());
        if self.rest.is_empty() {
            return None;
        }
        let end = loop {
            let Some(byte) = self.next() else { break End::Line };
            match byte {
                b'\\' => match self.next() {
                    Some(b'\n') | None => {}
                    Some(next) => word.push(next),
                },
                b'\'' => {
                    word.quote();
                    let quoted = self.until(|byte| byte == b'\'');
                    word.bytes.extend_from_slice(quoted);
                }
                b'"' => self.double_quoted(&mut word),
                b'$' | b'`' => self.expansion(byte, &mut word),
                b'#' if !word.is_there => {
                    let _ = self.until(|byte| byte == b'\n');
                    self.skip_documents();
                    break End::Line;
                }
                b' ' | b'\t' => word.end(&mut words),
                b'<' | b'>' => self.redirection(byte, &mut word, &mut words),
                b'\n' => {
                    self.skip_documents();
                    break End::Line;
                }
                b';' => break End::Line,
                b'&' if self.rest.first() == Some(&b'>') => {}
                b'&' | b'|' if self.skip_if(|next| next == byte) => break End::Condition,
                b'&' => break End::Background,
                b'|' => break End::Pipe,
                b'(' => break End::Open,
                b')' => break End::Close,
                _ => word.push(byte),
            }
        };
        word.end(&mut words);
        Some((words, end))
    }

    /// What comes before the next byte that `is_end`.
    fn before(&mut self, is_end: impl Fn(u8) -> bool) -> &'a [u8] {
        let length = self.rest.iter().position(|byte| is_end(*byte)).unwrap_or(self.rest.len());
        let (before, rest) = self.rest.split_at(length);
        self.rest = rest;
        before
    }

    /// The same, and skips that byte.
    fn until(&mut self, is_end: impl Fn(u8) -> bool) -> &'a [u8] {
        let before = self.before(is_end);
        self.rest = self.rest.get(1..).unwrap_or_default();
        before
    }

    fn double_quoted(&mut self, word: &mut Word) {
        word.quote();
        while let Some(byte) = self.next() {
            match byte {
                b'"' => return,
                b'\\' => match self.next() {
                    Some(b'\n') | None => {}
                    Some(next) if b"$`\"\\".contains(&next) => word.push(next),
                    Some(next) => {
                        word.push(byte);
                        word.push(next);
                    }
                },
                b'$' | b'`' => self.expansion(byte, word),
                _ => word.push(byte),
            }
        }
    }

    /// Skips what the shell puts in its place.
    fn expansion(&mut self, first: u8, word: &mut Word) {
        word.is_expanded = true;
        word.push(first);
        let mut open = match (first, self.rest.first()) {
            (b'`', _) => vec![b'`'],
            (_, Some(b'(' | b'{')) => Vec::new(),
            _ => return,
        };
        while let Some(byte) = self.next() {
            let innermost = open.last().copied();
            match byte {
                b'\\' => {
                    let _ = self.next();
                }
                _ if innermost == Some(byte) => {
                    open.pop();
                }
                _ if innermost == Some(b'\'') => {}
                b'\'' if innermost != Some(b'"') => open.push(byte),
                b'"' | b'`' => open.push(byte),
                b'(' => open.push(b')'),
                b'{' => open.push(b'}'),
                _ => {}
            }
            if open.is_empty() {
                return;
            }
        }
    }

    /// `<`, `>` and what follows: of a file nothing is kept, of a here-document its end.
    fn redirection(&mut self, first: u8, word: &mut Word, words: &mut Vec<Word>) {
        if !word.bytes.iter().all(u8::is_ascii_digit) {
            word.end(words);
        }
        *word = Word::default();
        let is_document = first == b'<' && self.skip_if(|next| next == b'<') && !self.skip_if(|next| next == b'<');
        while self.skip_if(|next| b"<>&|-".contains(&next)) {}
        while self.skip_if(|next| b" \t".contains(&next)) {}
        let target = self.before(|byte| b" \t\n;&|<>()".contains(&byte));
        if is_document {
            self.documents.push(target.iter().copied().filter(|byte| !b"'\"\\".contains(byte)).collect());
        }
    }

    fn skip_documents(&mut self) {
        for end in std::mem::take(&mut self.documents) {
            while !self.rest.is_empty() && self.until(|byte| byte == b'\n').trim_ascii() != end {}
        }
    }
}

impl Word {
    fn push(&mut self, byte: u8) {
        self.bytes.push(byte);
        self.is_there = true;
    }

    fn quote(&mut self) {
        (self.is_quoted, self.is_there) = (true, true);
    }

    fn end(&mut self, words: &mut Vec<Word>) {
        if self.is_there {
            words.push(std::mem::take(self));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// With other scripts, each with its path.
    fn value_with(script: &str, others: &[(&str, &str)]) -> Option<String> {
        let mut source = |path: &[u8]| match others.iter().find(|(other, _)| other.as_bytes() == path) {
            Some((_, "unreadable")) => Sourced::Unknown,
            Some((_, content)) => Sourced::Script(content.as_bytes().to_vec()),
            None => Sourced::Missing,
        };
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        match exported(script.as_bytes(), "XTK_VAR_DIR", &mut source) {
            Some(Exported::Value(value)) => Some(text(value)),
            Some(Exported::Conditional(value)) => Some(format!("{}?", text(value))),
            Some(Exported::Expanded) => Some("?".to_owned()),
            Some(Exported::Elsewhere { value, script }) => {
                Some(format!("{} or by {}", value.map(text).unwrap_or_default(), text(script)))
            }
            None => None,
        }
    }

    fn value(script: &str) -> Option<String> {
        value_with(script, &[])
    }

    #[test]
    fn what_the_script_exports_is_read_as_the_shell_reads_it() {
        for (script, expected) in [
            ("#!/bin/bash\nexport XTK_VAR_DIR=/app/log/AdobeCampaign\n", Some("/app/log/AdobeCampaign")),
            ("  export XTK_VAR_DIR=\"/my logs/x\" # here", Some("/my logs/x")),
            ("export XTK_VAR_DIR='/a'\"/b\"/c\\ d", Some("/a/b/c d")),
            ("XTK_VAR_DIR=/x; export XTK_VAR_DIR", Some("/x")),
            ("export XTK_VAR_DIR\nXTK_VAR_DIR=/x", Some("/x")),
            ("export A=b XTK_VAR_DIR=/x C=d", Some("/x")),
            ("declare -x XTK_VAR_DIR=/x", Some("/x")),
            ("declare -gx XTK_VAR_DIR=/x", Some("/x")),
            ("readonly XTK_VAR_DIR=/x; export XTK_VAR_DIR", Some("/x")),
            ("set -a\nXTK_VAR_DIR=/x", Some("/x")),
            ("set -a; set +a; XTK_VAR_DIR=/x", None),
            ("export XTK_VAR_DIR=/x; XTK_VAR_DIR+=/y", Some("/x/y")),
            ("export XTK_VAR_DIR=/x >/dev/null 2>&1", Some("/x")),
            ("{ export XTK_VAR_DIR=/x; }", Some("/x")),
            ("export A=\"$(sed 's/\"//' x)\" XTK_VAR_DIR=/x", Some("/x")),
            ("cd / && ls; export XTK_VAR_DIR=/x && cd -", Some("/x")),
            ("export XTK_VAR_DIR=/a\nexport XTK_VAR_DIR=/b", Some("/b")),
            ("export XTK_VAR_DIR=\\\n/x", Some("/x")),
            ("export XTK_VAR_DIR=/x\r\n", Some("/x\r")),
            ("export XTK_VAR_DIR=$HOME/var", Some("?")),
            ("export XTK_VAR_DIR=\"`pwd`/var\"", Some("?")),
            ("export XTK_VAR_DIR='$HOME'", Some("$HOME")),
            ("XTK_VAR_DIR=/x", None),
            ("#export XTK_VAR_DIR=/x", None),
            ("export A=1 # XTK_VAR_DIR=/x", None),
            ("export XTK_VAR_DIRECTORY=/x", None),
            ("XTK_VAR_DIR=/x nlserver pdump", None),
            ("export XTK_VAR_DIR=/x; unset XTK_VAR_DIR", None),
            ("echo 'export XTK_VAR_DIR=/x'", None),
            ("", None),
        ] {
            assert_eq!(value(script).as_deref(), expected, "{script:?}");
        }
    }

    #[test]
    fn what_may_not_be_executed_is_told_as_such_and_what_never_is_does_not_count() {
        for (script, expected) in [
            ("if [ -d /x ]; then export XTK_VAR_DIR=/x; fi", Some("/x?")),
            ("[ -d /x ] && export XTK_VAR_DIR=/x", Some("/x?")),
            ("case $A in b) export XTK_VAR_DIR=/x;; esac", Some("/x?")),
            ("for d in a b\ndo\n  export XTK_VAR_DIR=/x\ndone", Some("/x?")),
            ("f() {\n  export XTK_VAR_DIR=/x\n}", Some("/x?")),
            ("function f { export XTK_VAR_DIR=/x; }", Some("/x?")),
            ("export XTK_VAR_DIR=/x\nif [ $A ]; then unset XTK_VAR_DIR; fi", Some("/x?")),
            ("export XTK_VAR_DIR=/x\nif [ $A ]; then XTK_VAR_DIR=/x; fi", Some("/x")),
            ("if [ $A ]; then B=1; fi\nexport XTK_VAR_DIR=/x", Some("/x")),
            ("[ $A ] || return\nexport XTK_VAR_DIR=/x", Some("/x?")),
            ("if [ $A ]; then export XTK_VAR_DIR=/x; fi; XTK_VAR_DIR=$B", Some("?")),
            ("eval \"export XTK_VAR_DIR=/x\"", Some("?")),
            ("export XTK_VAR_DIR; read XTK_VAR_DIR", Some("?")),
            ("exit 0\nexport XTK_VAR_DIR=/x", None),
            ("(export XTK_VAR_DIR=/x)", None),
            ("export XTK_VAR_DIR=/x | cat", None),
            ("export XTK_VAR_DIR=/x &", None),
            ("sleep 1 & export XTK_VAR_DIR=/x &>/dev/null", Some("/x")),
            ("A=()\n{ export XTK_VAR_DIR=/x; }", Some("/x")),
            ("cat <<EOF\nexport XTK_VAR_DIR=/x\nEOF\n", None),
            ("cat > a <<-'EOF' # b\nexport XTK_VAR_DIR=/x\n\tEOF\nexport XTK_VAR_DIR=/y", Some("/y")),
            ("export XTK_VAR_DIR=/x\nexport -n XTK_VAR_DIR", None),
        ] {
            assert_eq!(value(script).as_deref(), expected, "{script:?}");
        }
    }

    #[test]
    fn scripts_that_it_reads_are_followed() {
        let others = [
            ("/x.sh", "export XTK_VAR_DIR=/x"),
            ("/return.sh", "export XTK_VAR_DIR=/x\nreturn\nexport XTK_VAR_DIR=/y"),
            ("/maybe.sh", "[ $A ] && return\nexport XTK_VAR_DIR=/x"),
            ("/exit.sh", "export XTK_VAR_DIR=/x; exit"),
            ("/open.sh", "if true; then export XTK_VAR_DIR=/x"),
            ("/plain.sh", "XTK_VAR_DIR=/x"),
            ("/deep.sh", ". /x.sh\nexport XTK_VAR_DIR=${XTK_VAR_DIR}/y"),
            ("/through.sh", "source '/x.sh'"),
            ("/itself.sh", ". /itself.sh"),
            ("/denied.sh", "unreadable"),
        ];
        for (script, expected) in [
            (". /x.sh", Some("/x")),
            ("source /x.sh arguments >/dev/null", Some("/x")),
            ("builtin source -- \"/x.sh\"", Some("/x")),
            ("command export XTK_VAR_DIR=/z", Some("/z")),
            (". /through.sh", Some("/x")),
            (". /x.sh\nexport XTK_VAR_DIR=/z", Some("/z")),
            ("export XTK_VAR_DIR=/z\n. /x.sh", Some("/x")),
            (". /plain.sh", None),
            ("export XTK_VAR_DIR; . /plain.sh", Some("/x")),
            (". /deep.sh", Some("?")),
            ("[ -f /x.sh ] && . /x.sh", Some("/x?")),
            ("if [ -f /x.sh ]; then . /x.sh; fi", Some("/x?")),
            ("f() {\n  . /x.sh\n}", Some("/x?")),
            ("(. /x.sh)", None),
            ("{ . /x.sh; }; A=1", Some("/x")),
            (". /return.sh; export A=1", Some("/x")),
            (". /return.sh; export XTK_VAR_DIR=/z", Some("/z")),
            (". /maybe.sh", Some("/x?")),
            (". /maybe.sh; export XTK_VAR_DIR=/z", Some("/z")),
            (". /exit.sh; export XTK_VAR_DIR=/z", Some("/x")),
            (". /open.sh; export XTK_VAR_DIR=/z", Some("/z")),
            (". /gone.sh", None),
            ("export XTK_VAR_DIR=/z; . /gone.sh", Some("/z")),
            (". /denied.sh", Some(" or by /denied.sh")),
            ("export XTK_VAR_DIR=/z; . /denied.sh; . /denied.sh", Some("/z or by /denied.sh")),
            (". /denied.sh; export XTK_VAR_DIR=/z", Some("/z")),
            (". $HOME/x.sh", Some(" or by $HOME/x.sh")),
            (". x.sh", Some(" or by x.sh")),
            (". ~/x.sh", Some(" or by ~/x.sh")),
            (". /*.sh", Some(" or by /*.sh")),
            (". /itself.sh", Some(" or by /itself.sh")),
            ("unset XTK_VAR_DIR; printf -v XTK_VAR_DIR %s /x; export XTK_VAR_DIR", Some("?")),
            ("# . /denied.sh\necho . /denied.sh", None),
        ] {
            assert_eq!(value_with(script, &others).as_deref(), expected, "{script:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_break_it(script in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = exported(&script, "XTK_VAR_DIR", &mut |path| Sourced::Script(path.to_vec()));
        }
    }
}
