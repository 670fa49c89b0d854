//! Markdown that people wrote, as HTML that is safe to show to others: nothing runs, nothing is loaded from elsewhere,
//! nothing looks like a part of the page around it.

use std::{collections::HashSet, sync::LazyLock};

use ammonia::Builder;
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use super::html::Html;

/// What is left of it: text, lists, tables, code, links. Pictures would be requests to strangers; their text stays.
static CLEAN: LazyLock<Builder<'static>> = LazyLock::new(|| {
    let mut clean = Builder::default();
    clean
        .rm_tags(["img", "map", "area", "figure", "figcaption"])
        .url_schemes(HashSet::from(["https", "http", "mailto"]))
        .url_relative(ammonia::UrlRelative::Deny)
        .generic_attributes(HashSet::new())
        .link_rel(Some("noopener noreferrer nofollow"));
    clean
});

/// What is Markdown beyond its core.
const OPTIONS: Options = Options::ENABLE_TABLES.union(Options::ENABLE_STRIKETHROUGH);
/// Headings begin below those of the page.
const LEVELS_DOWN: u8 = 2;
/// How deep elements may be in one another. Cleaning looks at all that are open for each that is opened, so that a text
/// of nothing but `>` would keep a thread busy for minutes.
const DEEPEST: usize = 32;

/// Renders and cleans.
#[must_use]
pub fn html(text: &str) -> Html {
    let events = Parser::new_ext(text, OPTIONS).map(|event| match event {
        Event::Start(Tag::Heading {
            level,
            id,
            classes,
            attrs,
        }) => Event::Start(Tag::Heading {
            level: lower(level),
            id,
            classes,
            attrs,
        }),
        Event::End(TagEnd::Heading(level)) => Event::End(TagEnd::Heading(lower(level))),
        // What looks like a tag is text: people write `<topic>` and mean it.
        Event::Html(text) | Event::InlineHtml(text) => Event::Text(text),
        other => other,
    });
    let mut unclean = String::with_capacity(text.len() * 3 / 2);
    pulldown_cmark::html::push_html(&mut unclean, shallow(events));
    Html(CLEAN.clean(&unclean).to_string())
}

/// The beginning of it as plain text on one line, for cards; at most so many characters.
#[must_use]
pub fn plain(text: &str, most: usize) -> String {
    let mut plain = String::new();
    for event in Parser::new_ext(text, OPTIONS) {
        match event {
            Event::Text(text) | Event::Code(text) | Event::Html(text) | Event::InlineHtml(text) => {
                plain.push_str(&text);
            }
            // The end of a word in bold is not the end of a word.
            Event::End(TagEnd::Emphasis | TagEnd::Strong | TagEnd::Link) => {}
            Event::SoftBreak | Event::HardBreak | Event::End(_) if !plain.ends_with(' ') => {
                plain.push(' ');
            }
            _ => {}
        }
        // Whatever follows is not shown.
        if plain.len() > 4 * most {
            break;
        }
    }
    let plain = plain.trim();
    match plain.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", plain[..end].trim_end()),
        None => plain.to_owned(),
    }
}

/// Without the elements that are too deep; what they say stays. Elements are opened and closed in pairs, so that of a pair
/// both are left out.
fn shallow<'a>(events: impl Iterator<Item = Event<'a>>) -> impl Iterator<Item = Event<'a>> {
    let mut depth = 0;
    events.filter_map(move |event| match event {
        Event::Start(_) => {
            depth += 1;
            (depth <= DEEPEST).then_some(event)
        }
        Event::End(_) => {
            depth -= 1;
            // A break, so that two texts do not become one word.
            Some(if depth < DEEPEST {
                event
            } else {
                Event::SoftBreak
            })
        }
        other => Some(other),
    })
}

fn lower(level: pulldown_cmark::HeadingLevel) -> pulldown_cmark::HeadingLevel {
    use pulldown_cmark::HeadingLevel::H6;
    pulldown_cmark::HeadingLevel::try_from(usize::from(level as u8 + LEVELS_DOWN)).unwrap_or(H6)
}

#[cfg(test)]
mod tests {
    use super::{DEEPEST, html, plain};

    #[test]
    fn a_teaser_is_the_text_without_its_marks() {
        let text = "# Echo\n\nSays **back** what\nit `hears`.\n\n- one";
        assert_eq!(plain(text, 100), "Echo Says back what it hears. one");
        assert_eq!(plain(text, 6), "Echo S…");
        assert_eq!(plain("| a | b |\n|---|---|\n| 1 | 2 |", 100), "a b 1 2");
        assert_eq!(plain("", 6), "");
    }

    #[test]
    fn markdown_is_rendered_below_the_headings_of_the_page() {
        let shown = html("# A\n\nSome *text* and `code`.\n\n- one\n").to_string();
        assert!(shown.contains("<h3>A</h3>"), "{shown}");
        assert!(
            shown.contains("<em>text</em>") && shown.contains("<li>one</li>"),
            "{shown}"
        );
    }

    #[test]
    fn nothing_runs_and_nothing_is_loaded() {
        for text in [
            "<script>alert(1)</script>",
            "[x](javascript:alert(1))",
            "[x](//evil.example)",
            "![x](https://evil.example/x.png)",
            "<img src=x onerror=alert(1)>",
            "<a href=\"https://x\" style=\"position:fixed\" class=\"button\">x</a>",
            "<form action=/sign-out><button>x</button></form>",
        ] {
            let shown = html(text).to_string();
            for bad in [
                "<script",
                "<img",
                "<form",
                "<a href=\"javascript",
                "<a href=\"//",
                "<a href=\"https://x\" style",
            ] {
                assert!(!shown.contains(bad), "{text}: {shown}");
            }
        }
        let link = html("[x](https://good.example)").to_string();
        assert!(link.contains("nofollow"), "{link}");
    }

    #[test]
    fn what_is_nested_deeper_than_anybody_reads_is_shown_without_its_nesting() {
        for (nest, tag) in [
            (">", "<blockquote>"),
            ("> - ", "<blockquote>"),
            ("1. ", "<ol>"),
        ] {
            let shown = html(&format!("{}deep\n\nafter", nest.repeat(1000))).to_string();
            let depth = shown.matches(tag).count();
            assert!((5..=DEEPEST).contains(&depth), "{nest}: {depth}");
            assert!(shown.contains("deep"), "{nest}");
            assert!(shown.ends_with("<p>after</p>\n"), "{nest}");
        }
        let table = html("| a |\n|---|\n| *b* |").to_string();
        assert!(table.contains("<td><em>b</em></td>"), "{table}");
    }
}
