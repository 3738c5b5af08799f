//! The pages as a browser shows them to people: on a telephone and on a wide screen, by day and by night.

use campaign_exporter::catalog::Lang;
use serde_json::Value;

use crate::specification;
use crate::support::browser::Browser;
use crate::support::get;
use crate::support::simulator::Simulator;
use crate::support::stack::Exporter;

/// A host whose mta is down, and who looks at it.
struct Desk {
    browser: Browser,
    exporter: Exporter,
    _simulator: Simulator,
    _folder: tempfile::TempDir,
}

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let simulator = Simulator::start(folder.path(), &[]);
        simulator.fault(&["hold"]);
        simulator.fault(&["die", "mta@prod"]);
        let exporter = Exporter::watch(folder.path(), &simulator);
        let browser = Browser::start(folder.path());
        Self { browser, exporter, _simulator: simulator, _folder: folder }
    }

    /// What `script` returns, as a list of texts.
    #[track_caller]
    fn texts(&self, script: &str) -> Vec<String> {
        let value = self.browser.run(script);
        let list = value.as_array().unwrap_or_else(|| panic!("{script}: {value}"));
        list.iter().map(|text| text.as_str().unwrap_or_else(|| panic!("{script}: {value}")).to_owned()).collect()
    }

    /// What the row of the module that is down shows.
    #[track_caller]
    fn row_of_mta(&self) -> String {
        let rows = self.texts(
            "return [...document.querySelectorAll('tbody tr')]
               .filter(row => row.querySelector('th').innerText === 'mta').map(row => row.innerText)",
        );
        assert_eq!(rows.len(), 1, "{rows:?}");
        rows.into_iter().next().unwrap()
    }
}

#[test]
fn an_operator_finds_what_is_down_and_what_to_do_in_either_language() {
    let desk = Desk::new();
    desk.browser.open(&desk.exporter.url("/"));
    let links = desk.texts("return [...document.links].map(link => link.href)");
    assert!(links.contains(&desk.exporter.url("/metrics")), "{links:?}");
    for link in links {
        get(&link, &[]).unwrap();
    }

    desk.browser.follow("/status");
    for (lang, link, verdict) in [(Lang::En, "English", "running: fails"), (Lang::PtBr, "Português", "running: falha")]
    {
        desk.browser.follow(link);
        assert_eq!(desk.browser.run("return document.documentElement.lang"), lang.tag());
        let row = desk.row_of_mta();
        assert!(row.contains(verdict), "{row}");
        assert!(row.contains(&specification::troubleshooting("mta", lang)), "{row}");
    }
    assert_eq!(desk.browser.complaints(), Vec::<String>::new());
}

/// Texts whose contrast with what is behind them is below 4.5 to 1, which people need (WCAG 2.2, criterion 1.4.3).
const FAINT_TEXTS: &str = "
    const numbers = color => color.match(/[\\d.]+/g).map(Number);
    const luminance = color => {
        const [red, green, blue] = numbers(color).map(part => part / 255)
            .map(part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    };
    const behind = element => {
        for (; element; element = element.parentElement) {
            const color = getComputedStyle(element).backgroundColor;
            if (numbers(color)[3] !== 0) return color;
        }
        throw new Error('nothing paints the page');
    };
    const contrast = element => {
        const [dark, light] = [getComputedStyle(element).color, behind(element)].map(luminance).sort((a, b) => a - b);
        return (light + 0.05) / (dark + 0.05);
    };
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const texts = [];
    while (walker.nextNode()) if (walker.currentNode.data.trim()) texts.push(walker.currentNode);
    if (texts.length < 5) throw new Error('the page is empty');
    return texts.filter(text => contrast(text.parentElement) < 4.5).map(text => text.data)";

/// Elements with text that reaches beyond the right edge of the window.
const CUT_TEXTS: &str = "
    const edge = document.documentElement.clientWidth;
    const elements = [...document.body.querySelectorAll('*')].filter(element => element.innerText);
    return elements.filter(element => element.getBoundingClientRect().right > edge + 0.5)
        .map(element => element.innerText)";

#[test]
fn every_page_can_be_read_on_a_telephone_and_in_the_dark() {
    let desk = Desk::new();
    let mut papers = Vec::new();
    for path in ["/", "/status", "/status?lang=pt-BR"] {
        for (width, scheme) in [(360, "light"), (360, "dark"), (1280, "light"), (1280, "dark")] {
            desk.browser.show_as(width, scheme);
            desk.browser.open(&desk.exporter.url(path));
            assert_eq!(desk.browser.run("return innerWidth"), width);
            assert_eq!(desk.texts(CUT_TEXTS), Vec::<String>::new(), "{path} at {width}");
            assert_eq!(desk.texts(FAINT_TEXTS), Vec::<String>::new(), "{path} in {scheme}");
            papers.push((scheme, desk.browser.run("return getComputedStyle(document.body).backgroundColor")));
        }
    }
    let paper =
        |scheme: &str| papers.iter().filter(|(of, _)| *of == scheme).map(|(_, paper)| paper).collect::<Vec<&Value>>();
    assert!(paper("light").iter().all(|light| !paper("dark").contains(light)), "{papers:?}");
    assert_eq!(desk.browser.complaints(), Vec::<String>::new());
}
