//! Names from the machine, which are bytes, as label values: a name gets the same label wherever it is found, on a
//! command line, in a folder or in the configuration, so that series can be joined.
//!
//! A name that is UTF-8 stands for itself. Any other is read as ISO-8859-15, which Campaign runs in by default. What
//! can't be seen becomes U+FFFD, what is too long is cut. A label that lost something that way ends with U+FFFD, `~`
//! and a hash of the name: different names keep different labels.

use std::borrow::Cow;

use encoding_rs::ISO_8859_15;

/// The most bytes that a label value may have.
pub const MAX_LABEL_BYTES: usize = 256;

/// The length of `U+FFFD`, `~` and the hash.
const MARK_BYTES: usize = 3 + 1 + 16;

/// Ranges of characters that fonts do not show, or that change how others are shown, although they are no control
/// characters: Unicode's Default_Ignorable_Code_Point, and the empty Braille pattern.
const INVISIBLE: [(char, char); 12] = [
    ('\u{ad}', '\u{ad}'),
    ('\u{34f}', '\u{34f}'),
    ('\u{61c}', '\u{61c}'),
    ('\u{115f}', '\u{1160}'),
    ('\u{17b4}', '\u{17b5}'),
    ('\u{180b}', '\u{180f}'),
    ('\u{200b}', '\u{200f}'),
    ('\u{2800}', '\u{2800}'),
    ('\u{3164}', '\u{3164}'),
    ('\u{fe00}', '\u{fe0f}'),
    ('\u{ffa0}', '\u{ffa0}'),
    ('\u{e0000}', '\u{e0fff}'),
];

/// The label of `name`, of at most [`MAX_LABEL_BYTES`].
#[must_use]
pub fn label_of(name: &[u8]) -> Cow<'_, str> {
    bounded_label(name, MAX_LABEL_BYTES)
}

/// The label of `name`, of at most `limit` bytes.
#[must_use]
pub fn bounded_label(name: &[u8], limit: usize) -> Cow<'_, str> {
    // No more is copied than a label holds: every byte gives at least one byte of the label.
    let text = match std::str::from_utf8(name) {
        Ok(text) => Cow::Borrowed(&text[..text.floor_char_boundary(limit + 1)]),
        Err(_) => ISO_8859_15.decode_without_bom_handling(&name[..name.len().min(limit + 1)]).0,
    };
    if name.len() <= limit && text.len() <= limit && text.chars().all(is_visible) {
        return text;
    }
    marked(&text, name, limit)
}

/// The label of `name` beside others that it must differ from: where one of them is the same text in UTF-8, a name that
/// is not gets the mark.
#[must_use]
pub fn label_among<'a>(name: &'a [u8], mut others: impl Iterator<Item = &'a [u8]>, limit: usize) -> Cow<'a, str> {
    let label = bounded_label(name, limit);
    let is_taken = std::str::from_utf8(name).is_err() && others.any(|other| other == label.as_bytes());
    if is_taken { marked(&label, name, limit) } else { label }
}

/// What can be seen of `text`, and the mark of `name`.
fn marked(text: &str, name: &[u8], limit: usize) -> Cow<'static, str> {
    let mut label: String = text.chars().map(|c| if is_visible(c) { c } else { char::REPLACEMENT_CHARACTER }).collect();
    label.truncate(label.floor_char_boundary(limit.saturating_sub(MARK_BYTES)));
    Cow::Owned(format!("{label}\u{fffd}~{:016x}", hash(name)))
}

/// Whether `c` is visible, and changes nothing else. The replacement character stands for what is not.
fn is_visible(c: char) -> bool {
    match c {
        ' '..='~' => true,
        char::REPLACEMENT_CHARACTER => false,
        _ => !INVISIBLE.iter().any(|(first, last)| (*first..=*last).contains(&c)) && is_printable(c),
    }
}

fn is_printable(c: char) -> bool {
    // A mark that combines is escaped where nothing is before it.
    format!("x{c}").escape_debug().nth(1) != Some('\\')
}

/// FNV-1a.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_that_is_no_utf8_is_read_as_campaign_writes_it() {
        assert_eq!(label_of(b"\xe9t\xe9"), "été");
        assert_eq!(label_of(b"\xe8t\xe8"), "ètè");
        assert_eq!(label_of(b"\xa4\xbd\xbe"), "€œŸ", "ISO-8859-15, not -1");
        assert_eq!(label_of("été €".as_bytes()), "été €");
        assert!(matches!(label_of(b"config-prod (copy).xml"), Cow::Borrowed("config-prod (copy).xml")));
        assert_eq!(label_of("e\u{301}te\u{301} 東京 \u{1f600}".as_bytes()), "e\u{301}te\u{301} 東京 \u{1f600}");
        assert_eq!(label_of(br#"a"b\c'"#), r#"a"b\c'"#);
    }

    #[test]
    fn what_can_not_be_seen_is_replaced_and_tells_itself_from_its_likes() {
        let hidden = [
            "a\nb",
            "a\tb",
            "a\rb",
            "a\0b",
            "a\u{1b}b",
            "a\u{7f}b",
            "a\u{85}b",
            "a\u{a0}b",
            "a\u{ad}b",
            "a\u{200b}b",
            "a\u{202e}b",
            "a\u{2028}b",
            "a\u{2066}b",
            "a\u{3164}b",
            "a\u{fe0f}b",
            "a\u{feff}b",
            "a\u{fffd}b",
            "a\u{e000}b",
            "a\u{e0041}b",
            "a\u{2800}b",
            "a\u{34f}b",
            "a\u{3000}b",
            "a\u{378}b",
        ];
        let mut labels: BTreeSet<_> = hidden.iter().map(|name| label_of(name.as_bytes())).collect();
        for label in &labels {
            assert!(label.starts_with("a\u{fffd}b\u{fffd}~"), "{label:?}");
        }
        labels.extend([label_of(b"a\x81\xe9b"), label_of(b"a\x82\xe9b"), label_of(b"a\xa0b")]);
        assert_eq!(labels.len(), hidden.len() + 3);
        let label = label_of(b"a\nb").into_owned();
        assert_ne!(label_of(label.as_bytes()), label, "a name that looks like a label is another name");
    }

    #[test]
    fn what_is_cut_stays_different() {
        let long = |last: &str| label_of(format!("{}{last}", "é".repeat(200)).as_bytes()).into_owned();
        assert!(long("a").len() <= MAX_LABEL_BYTES && long("a").starts_with("éé"));
        assert_ne!(long("a"), long("b"));
        assert_eq!(label_of(&[b'x'; MAX_LABEL_BYTES]), "x".repeat(MAX_LABEL_BYTES));
        assert_eq!(bounded_label(&[0xe9; 100_000], 64).len(), 64);
    }

    #[test]
    fn two_spellings_of_one_text_differ_where_both_are_there() {
        let (old, new) = (b"\xe9t\xe9".as_slice(), "été".as_bytes());
        let among = |name| label_among(name, [old, new, b"mta"].into_iter(), 64);
        assert_eq!(among(new), "été");
        assert!(among(old).starts_with("été\u{fffd}~"));
        assert_eq!(label_among(old, [old, b"mta"].into_iter(), 64), "été");
    }

    proptest! {
        #[test]
        fn labels_are_bounded_visible_and_different(
            names in prop::collection::btree_set(prop::collection::vec(any::<u8>(), 0..60), 1..20),
            limit in 20_usize..80,
        ) {
            let others = || names.iter().map(Vec::as_slice);
            let labels: BTreeSet<_> = names.iter().map(|name| label_among(name, others(), limit)).collect();
            prop_assert_eq!(labels.len(), names.len());
            for label in labels {
                prop_assert!(label.len() <= limit, "{:?}", label);
                prop_assert!(label.chars().all(|c| is_visible(c) || c == char::REPLACEMENT_CHARACTER));
            }
        }
    }
}
