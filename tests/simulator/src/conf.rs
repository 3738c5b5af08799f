//! The product's configuration, `conf/*.xml` (facts.md, Configuration): read, decoded and overlaid.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::error::{Error, Result};

/// One file: element (`mta`, or `mta/child` for an element below it) to its attributes.
type Document = BTreeMap<String, BTreeMap<String, String>>;

/// All files; a value in an instance's file wins over the one in serverConf.xml.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Conf {
    shared: Document,
    instances: BTreeMap<String, Document>,
}

impl Conf {
    /// Reads `conf/` below an installation.
    ///
    /// # Errors
    /// When the folder or a file cannot be read, or is not well formed.
    pub(crate) fn read(folder: &Path) -> Result<Self> {
        let mut conf = Self::default();
        for entry in fs::read_dir(folder).map_err(|source| Error::io(folder, source))? {
            let path = entry.map_err(|source| Error::io(folder, source))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if name == "serverConf.xml" {
                conf.shared = document(&path)?;
            } else if let Some(instance) = name.strip_prefix("config-").and_then(|rest| rest.strip_suffix(".xml")) {
                conf.instances.insert(instance.to_owned(), document(&path)?);
            }
        }
        Ok(conf)
    }

    /// The instances that have a file, "default" not counted.
    pub(crate) fn instances(&self) -> Vec<String> {
        self.instances.keys().filter(|name| *name != "default").cloned().collect()
    }

    /// The value in force; `None` leaves the product's default.
    pub(crate) fn get(&self, instance: &str, element: &str, attribute: &str) -> Option<&str> {
        self.own(instance, element, attribute).or_else(|| self.shared.get(element)?.get(attribute).map(String::as_str))
    }

    /// The value in the instance's own file.
    pub(crate) fn own(&self, instance: &str, element: &str, attribute: &str) -> Option<&str> {
        self.instances.get(instance)?.get(element)?.get(attribute).map(String::as_str)
    }

    /// The value in force as a number; `default` when it is absent, empty or no number.
    pub(crate) fn number(&self, instance: &str, element: &str, attribute: &str, default: i64) -> i64 {
        self.get(instance, element, attribute).and_then(|text| text.trim().parse().ok()).unwrap_or(default)
    }

    /// Puts a value into an instance's file, in memory.
    #[cfg(test)]
    pub(crate) fn set(&mut self, instance: &str, element: &str, attribute: &str, value: &str) {
        let document = self.instances.entry(instance.to_owned()).or_default();
        document.entry(element.to_owned()).or_default().insert(attribute.to_owned(), value.to_owned());
    }
}

fn document(path: &Path) -> Result<Document> {
    let bytes = fs::read(path).map_err(|source| Error::io(path, source))?;
    parse(&bytes).map_err(|(line, message)| Error::Conf { path: path.to_path_buf(), line, message })
}

/// The encoding that the declaration names; what is not UTF-8 and declares nothing is read as ISO-8859-15.
fn decode(bytes: &[u8]) -> String {
    let head = String::from_utf8_lossy(bytes.get(..200).unwrap_or(bytes)).to_ascii_lowercase();
    let declaration = head.split("?>").next().unwrap_or_default();
    let encoding = if declaration.contains("iso-8859-15") {
        encoding_rs::ISO_8859_15
    } else if declaration.contains("iso-8859-1") {
        encoding_rs::WINDOWS_1252
    } else if std::str::from_utf8(bytes).is_ok() {
        encoding_rs::UTF_8
    } else {
        encoding_rs::ISO_8859_15
    };
    encoding.decode(bytes).0.into_owned()
}

fn parse(bytes: &[u8]) -> std::result::Result<Document, (u32, String)> {
    let text = decode(bytes);
    let tree = roxmltree::Document::parse(&text).map_err(|error| (error.pos().row, error.to_string()))?;
    let root = tree.root_element();
    if !root.tag_name().name().eq_ignore_ascii_case("serverconf") {
        return Err((1, format!("the root element is {}, not serverconf", root.tag_name().name())));
    }
    let mut document = Document::new();
    for element in root.descendants().filter(|node| node.is_element() && *node != root) {
        let mut names: Vec<&str> = element
            .ancestors()
            .filter(|node| node.is_element() && *node != root)
            .map(|node| node.tag_name().name())
            .collect();
        names.reverse();
        let values = document.entry(names.join("/")).or_default();
        for attribute in element.attributes() {
            values.insert(attribute.name().to_owned(), attribute.value().to_owned());
        }
    }
    Ok(document)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_accented_comment_in_the_product_s_encoding_is_read() {
        let file = b"<?xml version='1.0' encoding='ISO-8859-15'?>\n<serverConf><!-- r\xe9glage \xa4 -->\n<mta args='\xe9'><child maxAgeSec='600'/></mta></serverConf>";
        let document = parse(file).unwrap();
        assert_eq!(document["mta"]["args"], "é");
        assert_eq!(document["mta/child"]["maxAgeSec"], "600");
    }

    #[test]
    fn a_broken_file_is_refused_with_its_line() {
        assert_eq!(parse(b"<serverconf>\n<mta\n</serverconf>").unwrap_err().0, 3);
        assert!(parse(b"<other/>").unwrap_err().1.contains("serverconf"));
    }

    #[test]
    fn an_instance_s_value_wins_over_the_shared_one() {
        let mut conf = Conf {
            shared: parse(b"<serverconf><mta runLevel='7' args='a'/></serverconf>").unwrap(),
            ..Conf::default()
        };
        conf.set("prod", "mta", "args", "b");
        assert_eq!(conf.get("prod", "mta", "args"), Some("b"));
        assert_eq!(conf.get("dev", "mta", "args"), Some("a"));
        assert_eq!(conf.number("prod", "mta", "runLevel", 10), 7);
        assert_eq!(conf.number("prod", "stat", "runLevel", 10), 10);
    }
}
