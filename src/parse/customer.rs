//! `customer.sh`, a script of the shell that Campaign's programs read at their start -> the variables that it exports.
//!
//! Follows assignments, `export`, quotes, comments and here-documents, and which commands are executed in any case. What a
//! condition or an expansion evaluates to is unknown, and so is what other scripts do.

/// What the script makes of a variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exported {
    /// This value.
    Value(Vec<u8>),
    /// This value, or not: that depends on a condition, or on whether a function is called.
    Conditional(Vec<u8>),
    /// A value that only the shell can tell: it expands another variable or the output of a command.
    Expanded,
}

/// What `script` exports as `name`; none where it does not. The last assignment holds.
#[must_use]
pub fn exported(script: &[u8], name: &str) -> Option<Exported> {
    let mut shell = Shell { name: name.as_bytes(), ..Shell::default() };
    let mut reader = Reader { rest: script, documents: Vec::new() };
    while let Some((words, end)) = reader.command() {
        shell.command(&words, end);
        if shell.has_ended {
            break;
        }
    }
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

/// What is known of the variable, and where in the script that is.
#[derive(Default)]
struct Shell<'a> {
    name: &'a [u8],
    value: Option<Exported>,
    is_exported: bool,
    /// Whether every assignment exports (`set -a`).
    exports_all: bool,
    /// What is open around the next command, the innermost last.
    around: Vec<Block>,
    /// What the command before ended with, and whether it would be a function's name.
    before: End,
    may_name: bool,
    /// Whether the next block is a function's.
    is_function: bool,
    /// Whether a command before may have ended the script.
    may_have_ended: bool,
    has_ended: bool,
}

impl Shell<'_> {
    fn command(&mut self, words: &[Word], end: End) {
        let is_named = self.may_name && end == End::Close && words.is_empty();
        self.may_name = end == End::Open && matches!(words, [name] if !name.bytes.contains(&b'='));
        let words = self.without_keywords(words);
        let mut reached = self.around().max(match (self.before, end) {
            (End::Pipe, _) | (_, End::Pipe | End::Background) => Reached::Elsewhere,
            (End::Condition, _) => Reached::Maybe,
            _ => Reached::Always,
        });
        if self.may_have_ended {
            reached = reached.max(Reached::Maybe);
        }
        if reached < Reached::Elsewhere {
            self.execute(words, reached);
        }
        match end {
            End::Open => self.around.push(Block { is_subshell: true, reached: Reached::Elsewhere }),
            End::Close if self.around.last().is_some_and(|block| block.is_subshell) => {
                self.around.pop();
                self.is_function |= is_named;
            }
            _ => {}
        }
        self.before = if end == End::Close { End::Line } else { end };
    }

    fn around(&self) -> Reached {
        self.around.last().map_or(Reached::Always, |block| block.reached)
    }

    fn open(&mut self, reached: Reached) {
        let reached = reached.max(self.around());
        self.around.push(Block { is_subshell: false, reached });
    }

    /// What is left of a command without the words that open and close blocks.
    fn without_keywords<'w>(&mut self, words: &'w [Word]) -> &'w [Word] {
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
                    let is_function = std::mem::take(&mut self.is_function);
                    self.open(if is_function { Reached::Maybe } else { Reached::Always });
                    1
                }
                b"fi" | b"done" | b"esac" | b"}" => {
                    self.around.pop();
                    1
                }
                b"function" => {
                    self.is_function = true;
                    2
                }
                b"then" | b"else" | b"elif" | b"do" | b"!" | b"time" => 1,
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
            b"eval" if arguments.iter().any(|word| contains(&word.bytes, self.name)) => {
                self.set(Some(Exported::Expanded), reached);
                self.is_exported = true;
            }
            b"set" => self.set_options(arguments),
            b"exit" | b"return" if reached == Reached::Always => self.has_ended = true,
            b"exit" | b"return" => self.may_have_ended = true,
            // Variables before a command are the command's alone.
            _ if words.iter().all(|word| word.bytes.contains(&b'=')) => self.assign(words, false, reached),
            _ => {}
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
struct Reader<'a> {
    rest: &'a [u8],
    /// The ends of the here-documents that begin with the next line.
    documents: Vec<Vec<u8>>,
}

impl<'a> Reader<'a> {
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

    fn value(script: &str) -> Option<String> {
        match exported(script.as_bytes(), "XTK_VAR_DIR") {
            Some(Exported::Value(value)) => Some(String::from_utf8(value).unwrap()),
            Some(Exported::Conditional(value)) => Some(format!("{}?", String::from_utf8(value).unwrap())),
            Some(Exported::Expanded) => Some("?".to_owned()),
            None => None,
        }
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

    proptest! {
        #[test]
        fn no_bytes_break_it(script in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = exported(&script, "XTK_VAR_DIR");
        }
    }
}
