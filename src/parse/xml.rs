//! XML text -> its tree, in time that is linear in its length: all XML from outside is parsed here.
//!
//! Refuses what the XML reader is slow on; the callers interpret the elements.
//!
//! Document types are refused, and with them every entity but the five of XML. The reader compares each attribute of an
//! element with the ones before it, and copies the namespaces in force for each declaration; so both are counted first.

use roxmltree::{Document, ParsingOptions};

/// The most attributes of one element, declarations of namespaces included.
pub const MAX_ATTRIBUTES_OF_ONE_ELEMENT: usize = 1_000;

/// The most attributes of a document.
pub const MAX_ATTRIBUTES_READ: usize = 100_000;

/// The most declarations of namespaces in a document.
pub const MAX_NAMESPACES: usize = 100;

/// Why a text gave no tree.
#[derive(Debug, thiserror::Error)]
pub enum XmlError {
    /// More of something than is read.
    #[error("{what}")]
    TooMuch {
        /// What there is too much of.
        what: &'static str,
        /// Where the limit was passed, in bytes.
        offset: usize,
    },
    /// What the XML reader says.
    #[error(transparent)]
    Malformed(#[from] roxmltree::Error),
}

/// The tree of `text`, of at most `nodes` elements, texts and comments.
///
/// # Errors
/// When the text is not well-formed, has a document type, or more of anything than is read.
pub fn document(text: &str, nodes: u32) -> Result<Document<'_>, XmlError> {
    bounded(text)?;
    Ok(Document::parse_with_options(text, ParsingOptions { nodes_limit: nodes, ..ParsingOptions::default() })?)
}

fn bounded(text: &str) -> Result<(), XmlError> {
    let bytes = text.as_bytes();
    let mut attributes = 0_usize;
    let mut all_attributes = 0_usize;
    let mut namespaces = 0_usize;
    for (offset, byte) in bytes.iter().enumerate() {
        match byte {
            b'<' => attributes = 0,
            b'=' => {
                // Comments may hold rows of `=`; an attribute's is followed by a quote.
                let next = bytes[offset + 1..].iter().find(|byte| !byte.is_ascii_whitespace());
                let is_attribute = usize::from(matches!(next, Some(b'"' | b'\'')));
                attributes += is_attribute;
                all_attributes += is_attribute;
            }
            b'x' => namespaces += usize::from(bytes[offset..].starts_with(b"xmlns")),
            _ => continue,
        }
        let what = if attributes > MAX_ATTRIBUTES_OF_ONE_ELEMENT {
            "too many attributes in one element"
        } else if all_attributes > MAX_ATTRIBUTES_READ {
            "too many attributes"
        } else if namespaces > MAX_NAMESPACES {
            "too many namespaces"
        } else {
            continue;
        };
        return Err(XmlError::TooMuch { what, offset });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> Option<String> {
        document(text, 1_000).err().map(|error| error.to_string())
    }

    #[test]
    fn more_attributes_or_namespaces_than_are_read_are_refused_before_they_cost() {
        let attributes = |count: usize| (0..count).map(|number| format!(" a{number} = '1'")).collect::<String>();
        let namespaces = |count: usize| {
            let open = (0..count).map(|number| format!("<a xmlns:n{number}='u'>")).collect::<String>();
            open + &"</a>".repeat(count)
        };
        assert_eq!(refused(&format!("<a{}/>", attributes(MAX_ATTRIBUTES_OF_ONE_ELEMENT))), None);
        assert_eq!(
            refused(&format!("<a{}/>", attributes(MAX_ATTRIBUTES_OF_ONE_ELEMENT + 1))).unwrap(),
            "too many attributes in one element"
        );
        assert_eq!(refused(&namespaces(MAX_NAMESPACES)), None);
        assert_eq!(refused(&namespaces(MAX_NAMESPACES + 1)).unwrap(), "too many namespaces");
        let all = format!("<a>{}</a>", "<a b='' c=''/>".repeat(MAX_ATTRIBUTES_READ / 2 + 1));
        assert_eq!(refused(&all).unwrap(), "too many attributes");
    }

    #[test]
    fn document_types_and_more_nodes_than_are_read_are_refused() {
        assert!(refused("<!DOCTYPE a [<!ENTITY e 'x'>]><a>&e;</a>").is_some());
        assert!(refused(&format!("<a>{}</a>", "<a/>".repeat(1_000))).is_some());
        assert!(refused("<a><b></a>").is_some());
        assert_eq!(refused("<a b='=\"'>= = '='</a>"), None);
    }
}
