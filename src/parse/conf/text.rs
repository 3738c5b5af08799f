//! A configuration file's bytes -> its text, by the byte order mark, the XML declaration or UTF-8.
//!
//! The parent module parses the text.

use std::borrow::Cow;

use encoding_rs::{DecoderResult, Encoding, UTF_8, UTF_16BE, UTF_16LE};

use super::{ConfError, TextPosition, excerpt};

/// The file's text, without a byte order mark.
pub(super) fn decode(bytes: &[u8]) -> Result<Cow<'_, str>, ConfError> {
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
    Err(ConfError::Encoding { at: TextPosition::at_end_of(&before), offset, encoding: encoding.name(), remedy })
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
        return Err(ConfError::UnknownEncoding { at: TextPosition::at_end_of(&text), label });
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
