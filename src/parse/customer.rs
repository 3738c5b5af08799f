//! `customer.sh`, a script of the shell that Campaign's programs read at their start -> the variables that it exports.
//!
//! Understands assignments, `export`, quotes and comments; conditions and expansions are not evaluated.

/// The value that the script gives to a variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exported {
    /// This value.
    Value(Vec<u8>),
    /// A value that only the shell can compute: it expands another variable or the output of a command.
    Expanded,
}

/// A word of a command, without its quotes.
#[derive(Default)]
struct Word {
    bytes: Vec<u8>,
    is_expanded: bool,
    is_there: bool,
}

/// What `script` exports as `name`; none where it does not. The last assignment holds.
#[must_use]
pub fn exported(script: &[u8], name: &str) -> Option<Exported> {
    let mut value = None;
    let mut is_exported = false;
    for command in commands(script) {
        let words = command.iter().skip_while(|word| is_keyword(&word.bytes)).collect::<Vec<_>>();
        let Some(first) = words.first() else { continue };
        let (assigned, exports) = match first.bytes.as_slice() {
            b"export" | b"declare" | b"typeset" => (&words[1..], first.bytes == b"export" || has_option(&words, b"-x")),
            b"unset" => {
                if words[1..].iter().any(|word| word.bytes == name.as_bytes()) {
                    (value, is_exported) = (None, false);
                }
                continue;
            }
            // Variables before a command are the command's alone.
            _ if words.iter().all(|word| word.bytes.contains(&b'=')) => (&words[..], false),
            _ => continue,
        };
        for word in assigned {
            let Some(rest) = word.bytes.strip_prefix(name.as_bytes()) else { continue };
            match rest.split_first() {
                Some((b'=', _)) if word.is_expanded => value = Some(Exported::Expanded),
                Some((b'=', rest)) => value = Some(Exported::Value(rest.to_vec())),
                Some(_) => continue,
                None => {}
            }
            is_exported |= exports;
        }
    }
    value.filter(|_| is_exported)
}

fn is_keyword(word: &[u8]) -> bool {
    matches!(word, b"then" | b"else" | b"do" | b"{" | b"if" | b"!")
}

fn has_option(words: &[&Word], option: &[u8]) -> bool {
    words.iter().any(|word| word.bytes == option)
}

/// The words of each command.
fn commands(script: &[u8]) -> Vec<Vec<Word>> {
    let mut commands = Vec::new();
    let (mut command, mut word) = (Vec::new(), Word::default());
    let mut quote = None;
    let mut bytes = script.iter().copied();
    while let Some(byte) = bytes.next() {
        match (quote, byte) {
            (Some(b'\''), b'\'') | (Some(b'"'), b'"') => quote = None,
            (Some(b'\''), _) => word.bytes.push(byte),
            (_, b'\\') => match bytes.next() {
                Some(b'\n') | None => {}
                Some(next) => word.push(next),
            },
            (_, b'$' | b'`') => {
                word.is_expanded = true;
                word.push(byte);
            }
            (Some(_), _) => word.bytes.push(byte),
            (None, b'\'' | b'"') => {
                quote = Some(byte);
                word.is_there = true;
            }
            (None, b'#') if !word.is_there => {
                let _ = bytes.find(|byte| *byte == b'\n');
                end(&mut command, &mut commands);
            }
            (None, b' ' | b'\t' | b'\r') => word.end(&mut command),
            (None, b'\n' | b';' | b'&' | b'|' | b'(' | b')') => {
                word.end(&mut command);
                end(&mut command, &mut commands);
            }
            (None, _) => word.push(byte),
        }
    }
    word.end(&mut command);
    end(&mut command, &mut commands);
    commands
}

fn end(command: &mut Vec<Word>, commands: &mut Vec<Vec<Word>>) {
    if !command.is_empty() {
        commands.push(std::mem::take(command));
    }
}

impl Word {
    fn push(&mut self, byte: u8) {
        self.bytes.push(byte);
        self.is_there = true;
    }

    fn end(&mut self, command: &mut Vec<Word>) {
        if self.is_there {
            command.push(std::mem::take(self));
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
            ("if [ -d /x ]; then export XTK_VAR_DIR=/x; fi", Some("/x")),
            ("[ -d /x ] && export XTK_VAR_DIR=/x", Some("/x")),
            ("export XTK_VAR_DIR=/a\nexport XTK_VAR_DIR=/b", Some("/b")),
            ("export XTK_VAR_DIR=\\\n/x", Some("/x")),
            ("export XTK_VAR_DIR=/x\r\n", Some("/x")),
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

    proptest! {
        #[test]
        fn no_bytes_break_it(script in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = exported(&script, "XTK_VAR_DIR");
        }
    }
}
