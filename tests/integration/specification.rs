//! Holds the catalog to the specification, row by row and character by character.

use campaign_exporter::catalog::modules::{self, MODULES};
use campaign_exporter::catalog::{Lang, Module};

use crate::committed::read;

const PORTUGUESE: &str = "tests/fixtures/modules-and-frequent-issues.pt-BR.md";
const ENGLISH: &str = "tests/fixtures/modules-and-frequent-issues.en.md";

/// A row of a specification.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    page_name: String,
    scope: String,
    troubleshooting: String,
}

/// A link of a row: what it is called, the page's file name without its ending, the anchor.
type Reference = (String, String, Option<String>);

fn folded(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The page's name and its anchor, whatever folder and ending the address gives it.
fn page_and_anchor(address: &str) -> (String, Option<String>) {
    let (path, anchor) = match address.split_once('#') {
        Some((path, anchor)) => (path, Some(anchor.to_owned())),
        None => (address, None),
    };
    let file = path.rsplit('/').next().unwrap();
    (file.rsplit_once('.').unwrap().0.to_owned(), anchor)
}

/// The rows of the Portuguese page's table, with the links of each.
fn portuguese() -> Vec<(Row, Vec<Reference>)> {
    let page = read(PORTUGUESE).replace("&nbsp;", "\u{a0}");
    let start = page.find("<table>").expect("the page has a table");
    let end = page.find("</table>").expect("the table ends") + "</table>".len();
    assert_eq!(page.matches("<table").count(), 1, "the page has one table");
    let document = roxmltree::Document::parse(&page[start..end]).expect("the table is well-formed");
    let bodies = document.descendants().filter(|node| node.has_tag_name("tbody"));
    let rows = bodies.flat_map(|body| body.children().filter(|node| node.has_tag_name("tr")));
    rows.map(|row| {
        let cells: Vec<_> = row.children().filter(|node| node.has_tag_name("td")).collect();
        let text = |at: usize| {
            let pieces = cells[at].descendants().filter(|node| node.is_text()).filter_map(|node| node.text());
            folded(&pieces.collect::<String>())
        };
        assert_eq!(cells.len(), 3, "a row has three cells: {}", text(0));
        let links = row.descendants().filter(|node| node.has_tag_name("a")).map(|link| {
            let title = link.descendants().filter_map(|node| node.text()).next().unwrap();
            let (page, anchor) = page_and_anchor(link.attribute("href").expect("a link has an address"));
            (folded(title), page, anchor)
        });
        (Row { page_name: text(0), scope: text(1), troubleshooting: text(2) }, links.collect())
    })
    .collect()
}

/// The rows of the English table: the command, then the row.
fn english() -> Vec<(String, Row)> {
    let page = read(ENGLISH);
    let rows = page.lines().filter(|line| line.starts_with('|')).skip(2);
    rows.map(|line| {
        let cells: Vec<_> = line.trim_matches('|').split('|').map(folded).collect();
        assert_eq!(cells.len(), 4, "a row has four cells: {line}");
        // The mark-up of code is taken out, as all mark-up is.
        let plain = |at: usize| cells[at].replace('`', "");
        let row = Row { page_name: plain(1), scope: plain(2), troubleshooting: plain(3) };
        (plain(0), row)
    })
    .collect()
}

/// What the specification says to do when `module` fails.
pub(crate) fn troubleshooting(module: &str, lang: Lang) -> String {
    let at = MODULES.iter().position(|row| row.name == module).unwrap();
    let row = match lang {
        Lang::En => english().swap_remove(at).1,
        Lang::PtBr => portuguese().swap_remove(at).0,
    };
    row.troubleshooting
}

fn row_of(module: &Module, lang: Lang) -> Row {
    Row {
        page_name: module.page_name.to_owned(),
        scope: module.scope.get(lang).to_owned(),
        troubleshooting: module.troubleshooting.get(lang).to_owned(),
    }
}

#[test]
fn the_portuguese_texts_are_the_specification_word_for_word() {
    let expected: Vec<_> = portuguese().into_iter().map(|(row, _)| row).collect();
    assert_eq!(expected.len(), 11, "the specification has eleven rows");
    let actual: Vec<_> = MODULES.iter().map(|module| row_of(module, Lang::PtBr)).collect();
    for (actual, expected) in actual.iter().zip(&expected) {
        assert_eq!(actual, expected);
    }
    assert_eq!(actual.len(), expected.len(), "the catalog has the specification's rows and no other");
}

#[test]
fn three_names_are_translated_in_the_page_and_no_other() {
    let translated: Vec<_> = MODULES
        .iter()
        .filter(|module| module.page_name != module.name)
        .map(|module| (module.page_name, module.name))
        .collect();
    assert_eq!(translated, [("exportar", "export"), ("importar", "import"), ("rastreamento", "tracking")]);
}

#[test]
fn the_links_of_the_specification_are_kept() {
    let mut seen = 0;
    for (module, (row, expected)) in MODULES.iter().zip(portuguese()) {
        let actual: Vec<Reference> = module
            .links
            .iter()
            .map(|link| {
                let (page, anchor) = page_and_anchor(link.page);
                (link.title.pt_br.to_owned(), page, anchor)
            })
            .collect();
        assert_eq!(actual, expected, "{}", row.page_name);
        seen += expected.len();
    }
    assert_eq!(seen, 3, "the specification has three links");
}

#[test]
fn the_english_texts_are_those_of_our_rendering() {
    let expected = english();
    assert_eq!(expected.len(), 11, "the table has eleven rows");
    let actual: Vec<_> = MODULES.iter().map(|module| (module.name.to_owned(), row_of(module, Lang::En))).collect();
    for (actual, expected) in actual.iter().zip(&expected) {
        assert_eq!(actual, expected);
    }
    assert_eq!(actual.len(), expected.len(), "the catalog has the table's rows and no other");
}

#[test]
fn every_page_that_the_catalog_links_to_is_one_that_was_given() {
    let page = read(ENGLISH);
    let links = &page[page.find("Links. Base:").expect("the links are listed")..];
    let given: Vec<_> = links.split('`').skip(1).step_by(2).collect();
    assert_eq!(given.first(), Some(&modules::DOCUMENTATION));
    let own = [modules::RUNBOOK, modules::LOG_FILES, modules::MONITORING_PROCESSES];
    for page in MODULES.iter().flat_map(|module| module.links).map(|link| link.page).chain(own) {
        assert!(given.contains(&page), "{page}");
    }
}
