//! `/proc/sys/kernel/core_pattern` -> where the core files of a program are, and what they are called.
//!
//! `source::crash` looks for the files.
//!
//! # Format
//! core(5): a pattern that starts with `|` names a program that takes the core file, one that starts with `/` a path,
//! any other a path below the working folder of the process that ends. `%` and a letter stand for something of that process;
//! where `core_uses_pid` is set and no `%p` is there, `.PID` follows.

/// The kernel keeps 127 bytes of a pattern.
const MAX_PATTERN: usize = 4096;

/// The longest name of a file that is compared.
const MAX_NAME: usize = 255;

/// Where core files go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CorePattern {
    /// To a program: there are no files to be found.
    Program(Vec<u8>),
    /// To files.
    Files(CorePath),
    /// Nowhere: the pattern is empty, or longer than any.
    Nowhere,
}

/// A path pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorePath {
    /// Whether it starts at the root, and not at the working folder.
    pub is_absolute: bool,
    /// The names on the way, the file's own last. Never empty.
    pub names: Vec<NamePattern>,
}

/// A pattern of one name of a path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamePattern(Vec<PatternToken>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum PatternToken {
    /// These bytes.
    Literal(Vec<u8>),
    /// A number: process, thread, user, group, signal, time, limit, mode, CPU.
    Number,
    /// The program's name.
    Program,
    /// The path of the program, with `!` for each `/`.
    ProgramPath,
    /// Any text: the name of the host, which is not known here.
    Anything,
}

impl CorePattern {
    /// Reads the pattern; `appends_pid` is whether `core_uses_pid` is set.
    #[must_use]
    pub fn parse(pattern: &[u8], appends_pid: bool) -> CorePattern {
        let pattern = pattern.trim_ascii();
        if pattern.is_empty() || pattern.len() > MAX_PATTERN {
            return CorePattern::Nowhere;
        }
        if let Some(command) = pattern.strip_prefix(b"|") {
            let program = command.trim_ascii_start().split(u8::is_ascii_whitespace).next().unwrap_or_default();
            return CorePattern::Program(program.to_owned());
        }
        let parts = pattern.split(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".");
        let mut names: Vec<NamePattern> = parts.map(NamePattern::parse).collect();
        let tells_pid = pattern.windows(2).any(|pair| pair == b"%p");
        match names.last_mut() {
            Some(last) if appends_pid && !tells_pid => {
                last.literal(b".");
                last.0.push(PatternToken::Number);
            }
            Some(_) => {}
            None => return CorePattern::Nowhere,
        }
        CorePattern::Files(CorePath { is_absolute: pattern.starts_with(b"/"), names })
    }
}

impl CorePath {
    /// Whether the path contains the program's name, so that other programs' core files have other names.
    #[must_use]
    pub fn tells_program(&self) -> bool {
        let tells = |token: &PatternToken| matches!(token, PatternToken::Program | PatternToken::ProgramPath);
        self.names.iter().any(|name| name.0.iter().any(tells))
    }
}

impl NamePattern {
    fn parse(part: &[u8]) -> NamePattern {
        let mut pattern = NamePattern::default();
        let mut rest = part;
        while let Some(at) = rest.iter().position(|byte| *byte == b'%') {
            pattern.literal(&rest[..at]);
            let Some(letter) = rest.get(at + 1) else { return pattern };
            match letter {
                b'%' => pattern.literal(b"%"),
                b'p' | b'P' | b'i' | b'I' | b'u' | b'g' | b'd' | b's' | b't' | b'c' | b'C' | b'F' => {
                    pattern.0.push(PatternToken::Number);
                }
                b'e' | b'f' => pattern.0.push(PatternToken::Program),
                b'E' => pattern.0.push(PatternToken::ProgramPath),
                b'h' => pattern.0.push(PatternToken::Anything),
                // The kernel omits specifiers that it does not support.
                _ => {}
            }
            rest = &rest[at + 2..];
        }
        pattern.literal(rest);
        pattern
    }

    fn literal(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        if let Some(PatternToken::Literal(before)) = self.0.last_mut() {
            before.extend_from_slice(bytes);
        } else {
            self.0.push(PatternToken::Literal(bytes.to_owned()));
        }
    }

    /// The name itself, where nothing in it varies.
    #[must_use]
    pub fn as_literal(&self) -> Option<&[u8]> {
        match self.0.as_slice() {
            [PatternToken::Literal(name)] => Some(name),
            _ => None,
        }
    }

    /// Whether a file called `name` is what the pattern makes for `program`.
    #[must_use]
    pub fn matches(&self, name: &[u8], program: &[u8]) -> bool {
        if name.len() > MAX_NAME {
            return false;
        }
        // The places of the name that the tokens so far can have reached: no pattern takes more than tokens × length².
        let mut reached = vec![false; name.len() + 1];
        reached[0] = true;
        for token in &self.0 {
            let mut next = vec![false; name.len() + 1];
            for from in (0..=name.len()).filter(|from| reached[*from]) {
                let rest = &name[from..];
                match token {
                    PatternToken::Literal(bytes) => {
                        if rest.starts_with(bytes) {
                            next[from + bytes.len()] = true;
                        }
                    }
                    PatternToken::Program => {
                        if rest.starts_with(program) {
                            next[from + program.len()] = true;
                        }
                    }
                    PatternToken::Number => {
                        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
                        next[from + 1..=from + digits].fill(true);
                    }
                    PatternToken::ProgramPath => {
                        for length in program.len() + 1..=rest.len() {
                            let path = &rest[..length];
                            let is_it = path.strip_suffix(program).is_some_and(|folder| folder.ends_with(b"!"));
                            next[from + length] |= is_it;
                        }
                    }
                    PatternToken::Anything => next[from..].fill(true),
                }
            }
            reached = next;
        }
        reached[name.len()]
    }
}

/// Whether a file has one of the two names that a core file has where the pattern is the kernel's own: `core`, or
/// `core.` and a number, which are the names in the product's documentation.
#[must_use]
pub fn is_plain_core(name: &[u8]) -> bool {
    name.strip_prefix(b"core").is_some_and(|rest| match rest.strip_prefix(b".") {
        Some(number) => !number.is_empty() && number.iter().all(u8::is_ascii_digit),
        None => rest.is_empty(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PROGRAM: &[u8] = b"nlserver";

    fn files(pattern: &str, appends_pid: bool) -> CorePath {
        match CorePattern::parse(pattern.as_bytes(), appends_pid) {
            CorePattern::Files(path) => path,
            other => panic!("{pattern}: {other:?}"),
        }
    }

    fn matches(pattern: &str, appends_pid: bool, name: &str) -> bool {
        files(pattern, appends_pid).names.last().unwrap().matches(name.as_bytes(), PROGRAM)
    }

    #[test]
    fn a_program_takes_the_core_files_of_a_pipe_pattern() {
        let pattern = b"|/usr/share/apport/apport -p%p -s%s -c%c -d%d -P%P -u%u -g%g -F%F -- %E\n";
        assert_eq!(CorePattern::parse(pattern, false), CorePattern::Program(b"/usr/share/apport/apport".to_vec()));
        let spaced = CorePattern::parse(b"| /lib/systemd/systemd-coredump %P", true);
        assert_eq!(spaced, CorePattern::Program(b"/lib/systemd/systemd-coredump".to_vec()));
    }

    #[test]
    fn nothing_is_no_pattern() {
        for pattern in [b"".as_slice(), b"\n", b"/", b"./", b"//./"] {
            assert_eq!(CorePattern::parse(pattern, true), CorePattern::Nowhere);
        }
        assert_eq!(CorePattern::parse(&[b'a'; MAX_PATTERN + 1], false), CorePattern::Nowhere);
    }

    #[test]
    fn names_are_those_of_the_program_alone() {
        for (pattern, name, expected) in [
            ("core", "core", true),
            ("core", "core.1", false),
            ("core.%p", "core.4711", true),
            ("core.%p", "core.x", false),
            ("core.%p", "core.", false),
            ("core.%e.%p", "core.nlserver.4711", true),
            ("core.%e.%p", "core.mysqld.4711", false),
            ("core-%e-%s-%u-%g-%p-%t", "core-nlserver-11-500-500-4711-1700000000", true),
            ("core-%e-%s-%u-%g-%p-%t", "core-nlserver-11-500-500-4711", false),
            ("%h-%e.core", "app-1.example.org-nlserver.core", true),
            ("%E.%p", "!usr!local!neolane!nl6!bin!nlserver.12", true),
            ("%E.%p", "!usr!bin!python3.12", false),
            ("%E.%p", "!usr!bin!mynlserver.12", false),
            ("100%%-%p", "100%-7", true),
            ("core%q.%p%", "core.7", true),
            ("%p%p", "12", true),
            ("%p%p", "1", false),
        ] {
            assert_eq!(matches(pattern, false, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn the_process_id_is_appended_where_the_kernel_does() {
        assert!(matches("core", true, "core.4711") && !matches("core", true, "core"));
        assert!(matches("core.%p", true, "core.4711") && !matches("core.%p", true, "core.4711.4711"));
        assert!(matches("core.%P", true, "core.4711.12"), "%P is not %p");
    }

    #[test]
    fn a_path_is_split_into_its_names() {
        let path = files("/var/crash/%e/core.%p", false);
        assert!(path.is_absolute && path.tells_program());
        assert_eq!(path.names.len(), 4);
        assert_eq!(path.names[1].as_literal(), Some(b"crash".as_slice()));
        assert_eq!(path.names[2].as_literal(), None);
        let path = files("cores/core.%p", false);
        assert!(!path.is_absolute && !path.tells_program());
        assert_eq!(path.names[0].as_literal(), Some(b"cores".as_slice()));
    }

    #[test]
    fn plain_core_files_are_core_and_core_with_a_number() {
        assert!(is_plain_core(b"core") && is_plain_core(b"core.0") && is_plain_core(b"core.123456"));
        for other in [b"core.".as_slice(), b"core.1a", b"cores", b"core.js", b"Core.1", b"xcore.1", b"core.1.gz", b""] {
            assert!(!is_plain_core(other), "{other:?}");
        }
    }

    proptest! {
        #[test]
        fn any_pattern_and_any_name_are_survived(pattern: Vec<u8>, name: Vec<u8>, pid: bool) {
            if let CorePattern::Files(path) = CorePattern::parse(&pattern, pid) {
                prop_assert!(!path.names.is_empty());
                for one in &path.names {
                    let _ = one.matches(&name, PROGRAM);
                }
            }
        }

        #[test]
        fn what_the_kernel_makes_of_a_pattern_matches_it(
            parts in proptest::collection::vec(prop_oneof![
                "[a-z.%-]{0,3}".prop_map(|text| (text.replace('%', "%%"), text)),
                (0_u32..).prop_map(|number| ("%p".to_owned(), number.to_string())),
                (0_u32..).prop_map(|number| ("%t".to_owned(), number.to_string())),
                Just(("%e".to_owned(), "nlserver".to_owned())),
                "[a-z0-9.]{1,9}".prop_map(|host| ("%h".to_owned(), host)),
            ], 1..9),
        ) {
            let (pattern, name): (String, String) = parts.into_iter().unzip();
            if let CorePattern::Files(path) = CorePattern::parse(format!("/{pattern}").as_bytes(), false)
                && pattern != "."
            {
                prop_assert!(path.names[0].matches(name.as_bytes(), PROGRAM), "{pattern} {name}");
            }
        }
    }
}
