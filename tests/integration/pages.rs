//! The page as a browser shows it to people: in each state of a host, in both languages, on a phone and on a wide screen, in
//! light and dark. `make pictures` keeps some of what is seen here in `docs/pictures`.

use std::fs;

use campaign_exporter::catalog::Lang;

use crate::chain::Chain;
use crate::committed::project;
use crate::specification;
use crate::support::browser::Browser;
use crate::support::receiver::Notified;
use crate::support::simulator::Simulator;
use crate::support::stack::{Exporter, concat_os};
use crate::support::{get, wait_for};

/// A host in some state, and a browser that looks at its page.
struct Scene {
    browser: Browser,
    exporter: Exporter,
    simulator: Option<Simulator>,
    _folder: tempfile::TempDir,
}

impl Scene {
    /// A host on which everything runs.
    fn well() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let simulator = Simulator::start(folder.path(), &["--instances", "prod"]);
        let exporter = Exporter::watch(folder.path(), &simulator);
        Self::of(folder, exporter, Some(simulator))
    }

    /// The same with the mta dead and the port of stat lost.
    fn two_failures() -> Self {
        let scene = Self::well();
        let simulator = scene.simulator.as_ref().unwrap();
        simulator.fault(&["hold"]);
        simulator.fault(&["die", "mta@prod"]);
        simulator.fault(&["close-port", "stat@prod"]);
        scene.wait_for("<h1 class=\"failing\">2 ");
        scene
    }

    /// A host without an installation.
    fn no_installation() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let exporter = Exporter::start::<&str>(folder.path(), &folder.path().join("nowhere"), &[]);
        Self::of(folder, exporter, None)
    }

    /// A host whose `/proc` hides other users' processes from the exporter.
    fn hidden_processes() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let simulator = Simulator::create(folder.path(), &["--instances", "prod"]);
        let procfs = folder.path().join("proc");
        fs::create_dir(&procfs).unwrap();
        for entry in fs::read_dir(project("tests/fixtures/host/proc")).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if !name.starts_with(|first: char| first.is_ascii_digit()) {
                std::os::unix::fs::symlink(&path, procfs.join(name)).unwrap();
            }
        }
        let exporter = Exporter::start(folder.path(), simulator.home(), &[concat_os("--path.procfs=", &procfs)]);
        Self::of(folder, exporter, Some(simulator))
    }

    fn of(folder: tempfile::TempDir, exporter: Exporter, simulator: Option<Simulator>) -> Self {
        let scene = Self { browser: Browser::start(folder.path()), exporter, simulator, _folder: folder };
        scene.wait_for("<h1");
        scene
    }

    /// Waits until the English page holds `part`.
    #[track_caller]
    fn wait_for(&self, part: &str) {
        wait_for(part, std::time::Duration::from_secs(60), || {
            let page = get(&self.exporter.url("/?lang=en"), &[])?;
            if page.contains(part) { Ok(()) } else { Err(page) }
        });
    }

    fn open(&self, lang: Lang) {
        self.browser.open(&self.exporter.url(&format!("/?refresh=off&lang={}", lang.tag())));
        assert_eq!(self.browser.run("return document.documentElement.lang"), lang.tag());
    }

    /// What `script` returns, as a list of texts.
    #[track_caller]
    fn texts(&self, script: &str) -> Vec<String> {
        let value = self.browser.run(script);
        let list = value.as_array().unwrap_or_else(|| panic!("{script}: {value}"));
        list.iter().map(|text| text.as_str().unwrap_or_else(|| panic!("{script}: {value}")).to_owned()).collect()
    }

    /// The texts of the elements that `selector` chooses.
    #[track_caller]
    fn shown(&self, selector: &str) -> Vec<String> {
        self.texts(&format!("return [...document.querySelectorAll({selector:?})].map(element => element.innerText)"))
    }
}

#[test]
fn an_operator_finds_what_fails_and_what_to_do_in_either_language() {
    let scene = Scene::two_failures();
    scene.browser.open(&scene.exporter.url("/"));
    for link in scene.texts("return [...document.links].map(link => link.href)") {
        if link.starts_with(&scene.exporter.url("")) {
            get(&link, &[]).unwrap();
        }
    }
    for (lang, link, headline, check) in [
        (Lang::En, "English", "2 of 8 modules need attention", "mta@prod is not running"),
        (Lang::PtBr, "Português", "2 de 8 módulos requerem atenção", "mta@prod não está em execução"),
    ] {
        scene.browser.follow(link);
        assert_eq!(scene.browser.run("return document.documentElement.lang"), lang.tag());
        assert_eq!(scene.shown("h1"), [headline]);
        assert_eq!(scene.shown("nav [aria-current]"), [link]);
        let failing = scene.shown("article");
        assert_eq!(failing.len(), 2, "{failing:?}");
        assert!(failing[0].contains(check) && failing[0].contains("nlserver start mta@prod"), "{failing:?}");
        assert!(failing[0].contains(&specification::troubleshooting("mta", lang)), "{failing:?}");
        let port = scene.simulator.as_ref().unwrap().port("stat@prod.port");
        assert!(failing[1].contains(&format!("{port}/udp")), "{failing:?}");
    }
    assert_eq!(scene.browser.complaints(), Vec::<String>::new());

    // Not refreshed while axe-core looks at it.
    scene.open(Lang::En);
    assert_eq!(scene.browser.violations(), Vec::<String>::new());
    scene.browser.run("document.querySelector('main').append(document.createElement('input'))");
    let found = scene.browser.violations();
    assert!(found.iter().any(|one| one.contains("label:")), "axe-core misses an input without a label: {found:?}");
}

#[test]
fn what_cannot_be_told_is_said_first_and_nothing_is_green() {
    for (scene, reason) in [(Scene::no_installation(), "conf/serverConf.xml"), (Scene::hidden_processes(), "hidepid")] {
        for lang in Lang::ALL {
            scene.open(lang);
            let headline = scene.shown("h1").remove(0);
            assert!(
                ["Can't tell", "Não é possível saber"].iter().any(|start| headline.starts_with(start)),
                "{headline}"
            );
            assert!(scene.shown(".doubts")[0].contains(reason), "{:?}", scene.shown(".doubts"));
            assert_eq!(scene.shown(".well"), Vec::<String>::new());
            let first = scene.texts("return [document.querySelector('main').firstElementChild.className]");
            assert_eq!(first, ["doubts"]);
        }
    }
}

/// Elements with text that reaches beyond the right edge of the window. What is hidden from the eye is for screen readers.
const CUT_TEXTS: &str = "
    const edge = document.documentElement.clientWidth;
    const elements = [...document.body.querySelectorAll('*')].filter(element => element.innerText);
    return elements.filter(element => element.getBoundingClientRect().right > edge + 0.5 && !element.closest('thead'))
        .map(element => element.innerText)";

#[test]
fn every_state_of_the_page_can_be_read_by_everybody_everywhere() {
    type State = (&'static str, fn() -> Scene);
    let states: [State; 4] = [
        ("well", Scene::well),
        ("failing", Scene::two_failures),
        ("no-installation", Scene::no_installation),
        ("hidden", Scene::hidden_processes),
    ];
    for (state, scene) in states {
        let scene = scene();
        let mut papers = Vec::new();
        for (lang, width, scheme) in looks() {
            let shown = format!("{state} {} {width} {scheme}", lang.tag());
            scene.browser.show_as(width, scheme);
            scene.open(lang);
            assert_eq!(scene.browser.run("return innerWidth"), width, "{shown}");
            assert_eq!(scene.texts(CUT_TEXTS), Vec::<String>::new(), "{shown}");
            let sideways = "return document.documentElement.scrollWidth > document.documentElement.clientWidth";
            assert_eq!(scene.browser.run(sideways), false, "{shown} scrolls sideways");
            assert_eq!(scene.browser.violations(), Vec::<String>::new(), "{shown}");
            if let Some(failing) = scene.shown("main h2").first().filter(|_| state == "failing") {
                assert!(["What needs attention", "O que requer atenção"].contains(&failing.as_str()), "{failing}");
            }
            papers.push((scheme, scene.browser.run("return getComputedStyle(document.body).backgroundColor")));
            if let Some((_, name)) = PICTURES.iter().find(|(of, _)| *of == (state, lang, width, scheme)) {
                keep_picture(&scene.browser, name);
            }
        }
        let paper = |scheme: &str| papers.iter().find(|(of, _)| *of == scheme).map(|(_, paper)| paper.to_string());
        assert_ne!(paper("light"), paper("dark"));
        assert_eq!(scene.browser.complaints(), Vec::<String>::new(), "{state}");
    }
}

/// Every way to look at a page.
fn looks() -> impl Iterator<Item = (Lang, u32, &'static str)> {
    let widths = Lang::ALL.into_iter().flat_map(|lang| [1280, 390].map(|width| (lang, width)));
    widths.flat_map(|(lang, width)| ["light", "dark"].map(|scheme| (lang, width, scheme)))
}

/// A state, a language, a width and a scheme of the page.
type Look = (&'static str, Lang, u32, &'static str);

/// What `make pictures` keeps of the page, and the file's name.
const PICTURES: [(Look, &str); 3] = [
    (("failing", Lang::En, 1280, "light"), "page.png"),
    (("failing", Lang::PtBr, 390, "dark"), "page-phone.png"),
    (("no-installation", Lang::En, 1280, "light"), "page-cannot-tell.png"),
];

/// Keeps a picture of what the browser shows, where `make pictures` wants it.
fn keep_picture(browser: &Browser, name: &str) {
    if let Some(folder) = std::env::var_os("CAMPAIGN_PICTURES") {
        let folder = project(folder.to_str().unwrap());
        fs::create_dir_all(&folder).unwrap();
        browser.picture(&folder.join(name));
    }
}

/// A notification as a mail program shows it: its own texts, in the order in which a person needs them.
fn mail(told: &Notified) -> String {
    let text = |name: &str| {
        let text = told.annotations[name].as_str().unwrap_or_default();
        text.replace('&', "&amp;").replace('<', "&lt;").replace('\n', "<br>")
    };
    let part = |title: &str, name: &str| {
        if text(name).is_empty() { String::new() } else { format!("<h2>{title}</h2><p>{}</p>", text(name)) }
    };
    let label = |name: &str| told.labels[name].as_str().unwrap_or_default().to_owned();
    format!(
        "<!DOCTYPE html><html lang=en><meta charset=utf-8><title>Notification</title><style>body {{ margin: 2rem; \
         max-width: 46rem; color: #1c2430; background: #fff; font: 16px/1.5 sans-serif }} h1 {{ font-size: 1.3rem; \
         color: #a8201a }} h2 {{ margin: 1rem 0 0; font-size: 1rem }} p {{ margin: .3rem 0; overflow-wrap: anywhere }}</style>\
         <main><h1>[{}] {}</h1><p>{} on {}</p><p>{}</p>{}{}</main></html>",
        told.status.to_uppercase(),
        text("summary"),
        label("severity"),
        label("instance"),
        text("description"),
        part("Next steps", "next_steps"),
        part("The documentation says", "troubleshooting"),
    )
}

#[test]
fn a_notification_can_be_read_on_a_phone() {
    let chain = Chain::start(Lang::En);
    chain.simulator.fault(&["hold"]);
    chain.simulator.fault(&["die", "mta@prod"]);
    let told = chain.notified("firing", "CampaignMtaDown");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mail.html");
    fs::write(&file, mail(&told)).unwrap();
    let browser = Browser::start(folder.path());
    for width in [390, 800] {
        browser.show_as(width, "light");
        browser.open(&format!("file://{}", file.display()));
        let shown = browser.run("return document.body.innerText").to_string();
        assert!(shown.contains(&specification::troubleshooting("mta", Lang::En)), "{shown}");
        let sideways = "return document.documentElement.scrollWidth > document.documentElement.clientWidth";
        assert_eq!(browser.run(sideways), false, "{width}");
    }
    keep_picture(&browser, "notification.png");
}
