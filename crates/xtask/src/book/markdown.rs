//! Text that becomes Markdown, and Markdown that is looked into.

use pulldown_cmark::{Event, HeadingLevel, LinkType, Options, Parser, Tag, TagEnd};

/// A sentence of a rule: spans of code stay, and nothing else in it is markup.
pub(super) fn prose(text: &str) -> String {
    let is_paired = text.matches('`').count().is_multiple_of(2);
    let mut written = String::with_capacity(text.len() + 8);
    for (number, part) in text.split('`').enumerate() {
        if number > 0 {
            written.push_str(if is_paired { "`" } else { "\\`" });
        }
        if is_paired && number % 2 == 1 {
            written.push_str(part);
        } else {
            for character in part.chars() {
                if matches!(character, '\\' | '*' | '_' | '[' | ']' | '<' | '>' | '#' | '|' | '~' | '&' | '$') {
                    written.push('\\');
                }
                written.push(character);
            }
        }
    }
    written
}

/// A sentence within a table: a bar ends the cell even within code.
pub(super) fn cell(text: &str) -> String {
    let written = prose(text);
    let mut cell = String::with_capacity(written.len());
    let mut is_escaped = false;
    for character in written.chars() {
        if character == '|' && !is_escaped {
            cell.push('\\');
        }
        is_escaped = character == '\\' && !is_escaped;
        cell.push(if character == '\n' { ' ' } else { character });
    }
    cell
}

/// A block of code, within a fence that nothing in it can close.
pub(super) fn fenced(language: &str, code: &str) -> String {
    let longest = code.split(|character| character != '`').map(str::len).max().unwrap_or_default();
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}{language}\n{}\n{fence}\n", code.trim_end())
}

/// The text of the first heading.
pub(super) fn first_heading(markdown: &str) -> Option<&str> {
    markdown.lines().find_map(|line| line.strip_prefix("# ")).map(str::trim)
}

/// A link or picture in a text.
pub(super) struct Link {
    /// Where it leads.
    pub(super) target: String,
    /// The line, from 1.
    pub(super) line: usize,
    /// The bytes of the whole link.
    pub(super) range: std::ops::Range<usize>,
}

/// What a Markdown text links to, and the anchors that others can link to.
#[derive(Default)]
pub(super) struct Outline {
    pub(super) links: Vec<Link>,
    pub(super) anchors: Vec<String>,
}

impl Outline {
    /// Reads a text.
    pub(super) fn of(markdown: &str) -> Self {
        let mut outline = Self::default();
        let mut heading: Option<String> = None;
        for (event, range) in Parser::new_ext(markdown, Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH).into_offset_iter() {
            match event {
                Event::Start(Tag::Link { link_type, dest_url, .. } | Tag::Image { link_type, dest_url, .. })
                    if link_type != LinkType::Autolink && link_type != LinkType::Email =>
                {
                    let line = markdown[..range.start].matches('\n').count() + 1;
                    outline.links.push(Link { target: dest_url.into_string(), line, range });
                }
                Event::Start(Tag::Heading { level, .. }) if level <= HeadingLevel::H6 => heading = Some(String::new()),
                Event::Text(text) | Event::Code(text) => {
                    if let Some(heading) = &mut heading {
                        heading.push_str(&text);
                    }
                }
                Event::End(TagEnd::Heading(_)) => {
                    if let Some(text) = heading.take() {
                        let anchor = anchor(&text);
                        let number = outline.anchors.iter().filter(|other| **other == anchor).count();
                        outline.anchors.push(if number == 0 { anchor } else { format!("{anchor}-{number}") });
                    }
                }
                _ => {}
            }
        }
        outline
    }
}

/// The anchor of a heading, as mdBook and GitHub make it.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().chars().filter(|character| character.is_alphanumeric() || matches!(character, '_' | '-' | ' '));
    kept.flat_map(|character| if character == ' ' { vec!['-'] } else { character.to_lowercase().collect() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_sentence_is_markup_but_code() {
        assert_eq!(prose("a `b*c` *d* <e> [f](g)"), r"a `b*c` \*d\* \<e\> \[f\](g)");
        assert_eq!(prose("one ` only"), r"one \` only");
        assert_eq!(cell("a | `b|c`"), r"a \| `b\|c`");
    }

    #[test]
    fn a_fence_is_longer_than_what_it_holds() {
        assert_eq!(fenced("yaml", "a\n"), "```yaml\na\n```\n");
        assert_eq!(fenced("sh", "```\n"), "````sh\n```\n````\n");
    }

    #[test]
    fn links_and_anchors_are_found_outside_of_code() {
        let outline = Outline::of("# A `b` c!\n\n[x](y.md#z) `[no](no.md)` <https://example.com>\n\n## A b c\n");
        assert_eq!(outline.links.iter().map(|link| (link.target.as_str(), link.line)).collect::<Vec<_>>(), [("y.md#z", 3)]);
        assert_eq!(outline.anchors, ["a-b-c", "a-b-c-1"]);
    }
}
