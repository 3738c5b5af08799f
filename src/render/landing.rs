//! The page at `/`: what this is and where to go. Values in, HTML out; knows nothing of who serves it.

use std::fmt::Write;

use super::html::{document, escape};
use crate::catalog::Lang;

/// What the page shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Landing {
    /// The name of the program.
    pub name: String,
    /// Its version, and what else tells the build.
    pub version: String,
    /// A sentence about what it does.
    pub description: String,
    /// Where to go from here.
    pub links: Vec<Link>,
}

/// A place to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// A path on this server.
    pub path: String,
    /// What is found there.
    pub help: String,
}

/// The page as HTML: complete, without scripts, loading nothing.
#[must_use]
pub fn landing(page: &Landing) -> String {
    let (name, version) = (escape(&page.name), escape(&page.version));
    let mut links = String::new();
    for link in &page.links {
        let (path, help) = (escape(&link.path), escape(&link.help));
        // Writing to a String cannot fail.
        let _ = write!(links, "\n    <li><a href=\"{path}\"><code>{path}</code><span>{help}</span></a></li>");
    }
    let description = escape(&page.description);
    let main =
        format!("<h1>{name}</h1>\n<p class=\"version\">{version}</p>\n<p>{description}</p>\n<ul>{links}\n</ul>",);
    document(Lang::En, &page.name, STYLE, &main)
}

const STYLE: &str = "
    :root { color-scheme: light dark; --ink: #1c2430; --soft: #5b6675; --paper: #f5f7fa; --card: #fff; --line: #d9dfe7; --accent: #b3261e; }
    @media (prefers-color-scheme: dark) {
      :root { --ink: #e6eaf0; --soft: #9aa5b4; --paper: #12161c; --card: #1b2129; --line: #303945; --accent: #ff8a80; }
    }
    body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
    main { max-width: 40rem; margin: 10vh auto; padding: 0 1.25rem; }
    h1 { margin: 0; font-size: 1.75rem; }
    h1::after { content: ''; display: block; width: 3rem; margin-top: .5rem; border-bottom: 4px solid var(--accent); }
    .version { margin: .75rem 0 1.5rem; color: var(--soft); }
    ul { list-style: none; margin: 2rem 0 0; padding: 0; }
    li { margin-bottom: .5rem; }
    a { display: flex; flex-wrap: wrap; gap: .25rem 1rem; padding: .75rem 1rem; border: 1px solid var(--line); border-radius: .5rem;
      background: var(--card); color: inherit; text-decoration: none; }
    a:hover, a:focus-visible { border-color: var(--accent); outline: none; }
    code { min-width: 8rem; color: var(--accent); font: inherit; font-weight: 600; }
    span { color: var(--soft); }
  ";

#[cfg(test)]
mod tests {
    use super::*;

    fn page() -> Landing {
        Landing {
            name: "Campaign <exporter>".into(),
            version: "1.2.3 & \"more\"".into(),
            description: "It's fine.".into(),
            links: vec![
                Link { path: "/metrics".into(), help: "the metrics".into() },
                Link { path: "/\"><script>".into(), help: "<b>".into() },
            ],
        }
    }

    #[test]
    fn every_value_is_shown_and_none_becomes_mark_up() {
        let html = landing(&page());
        for text in [
            "<title>Campaign &lt;exporter&gt;</title>",
            "1.2.3 &amp; &quot;more&quot;",
            "It&#39;s fine.",
            "<a href=\"/metrics\"><code>/metrics</code><span>the metrics</span></a>",
            "href=\"/&quot;&gt;&lt;script&gt;\"",
            "<span>&lt;b&gt;</span>",
        ] {
            assert!(html.contains(text), "{text} is missing in {html}");
        }
        assert!(!html.contains("<script") && !html.contains("<b>"));
    }

    #[test]
    fn the_page_loads_nothing_and_suits_light_and_dark() {
        let html = landing(&page());
        for loading in ["http:", "https:", "src=", "<link", "url(", "@import"] {
            assert!(!html.contains(loading), "{loading}");
        }
        assert!(html.contains("prefers-color-scheme: dark"));
        let words = ["<html", "</html>", "<main>", "</main>", "<ul>", "</ul>", "<style>", "</style>"];
        assert!(words.iter().all(|word| html.matches(word).count() == 1));
    }
}
