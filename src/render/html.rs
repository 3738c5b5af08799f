//! What every page is made of: the shell of a document, and texts made safe for it. Knows no page.

use std::borrow::Cow;

use crate::catalog::Lang;

/// A complete page without scripts that loads nothing. `main` is HTML, `style` is CSS; `title` is plain text.
#[must_use]
pub fn document(lang: Lang, title: &str, style: &str, main: &str) -> String {
    let (tag, title) = (lang.tag(), escape(title));
    format!(
        r#"<!DOCTYPE html>
<html lang="{tag}">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <meta name="color-scheme" content="light dark">
  <title>{title}</title>
  <style>{style}</style>
</head>
<body>
<main>
{main}
</main>
</body>
</html>
"#
    )
}

/// Makes a text safe inside elements and quoted attributes.
#[must_use]
pub fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(['&', '<', '>', '"', '\'']) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(character),
        }
    }
    Cow::Owned(escaped)
}
