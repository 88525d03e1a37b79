//! Text: what came from outside, and what is said to people.

use std::fmt;
use std::fmt::Write as _;

use crate::limits::{FOREIGN_BYTES, LINE_BYTES, PROSE_BYTES};
use crate::names::name;

/// Whether a character doesn't show itself, or changes how its neighbours show: controls, line and paragraph separators, marks of
/// direction, joiners, selectors, tags and fillers. `Cc`, `Cf`, `Zl`, `Zp` and the default-ignorable characters of Unicode.
#[must_use]
pub fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(
            u32::from(character),
            0xAD | 0x34F | 0x61C | 0x600..=0x605 | 0x6DD | 0x70F | 0x890..=0x891 | 0x8E2 | 0x115F..=0x1160 | 0x17B4..=0x17B5
                | 0x180B..=0x180F | 0x200B..=0x200F | 0x2028..=0x202E | 0x2060..=0x206F | 0x3164 | 0xFE00..=0xFE0F | 0xFEFF | 0xFFA0
                | 0xFFF0..=0xFFFB | 0x110BD | 0x110CD | 0x13430..=0x1343F | 0x1BCA0..=0x1BCA3 | 0x1D173..=0x1D17A
                | 0xE0000..=0xE0FFF
        )
}

/// Text that somebody outside wrote: a provider's message, a branch's description, a model's word. It is at most
/// [`FOREIGN_BYTES`] long, and can only be shown through a function that escapes it for one kind of place: it has no `Display`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(transparent)]
pub struct Foreign(String);

impl Foreign {
    /// Marks a text as foreign. What is too long is cut, which shows as `…` at the end.
    #[must_use]
    pub fn new(text: &str) -> Self {
        if text.len() <= FOREIGN_BYTES {
            return Self(text.to_owned());
        }
        let kept = text.floor_char_boundary(FOREIGN_BYTES - '…'.len_utf8());
        Self(format!("{}…", &text[..kept]))
    }

    /// For a terminal, a log or a page that escapes by itself: what is hidden is spelled out.
    #[must_use]
    pub fn for_terminal(&self) -> String {
        let mut shown = String::with_capacity(self.0.len());
        for character in self.0.chars() {
            push_visible(&mut shown, character);
        }
        shown
    }

    /// For the text of an HTML element or a quoted attribute.
    #[must_use]
    pub fn for_html(&self) -> String {
        let mut shown = String::with_capacity(self.0.len());
        for character in self.0.chars() {
            match character {
                '&' => shown.push_str("&amp;"),
                '<' => shown.push_str("&lt;"),
                '>' => shown.push_str("&gt;"),
                '"' => shown.push_str("&quot;"),
                '\'' => shown.push_str("&#39;"),
                _ => push_visible(&mut shown, character),
            }
        }
        shown
    }

    /// For Markdown: a code span that the text can't end, in which a mention pings nobody and a link is none.
    #[must_use]
    pub fn for_markdown(&self) -> String {
        let text = self.for_terminal();
        let longest = text.split(|character| character != '`').map(str::len).max().unwrap_or(0);
        let fence = "`".repeat(longest + 1);
        format!("{fence} {text} {fence}")
    }

    /// Its length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing was said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn push_visible(shown: &mut String, character: char) {
    if is_hidden(character) {
        // Writing to a text can't fail.
        let _ = write!(shown, "\\u{{{:x}}}", u32::from(character));
    } else {
        shown.push(character);
    }
}

impl fmt::Debug for Foreign {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Foreign({})", self.for_terminal())
    }
}

impl<'de> serde::Deserialize<'de> for Foreign {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.len() > FOREIGN_BYTES {
            return Err(serde::de::Error::custom(format_args!("a text from outside is at most {FOREIGN_BYTES} bytes long")));
        }
        Ok(Self(text))
    }
}

name! {
    /// One line that we show to people: a title.
    Line, "line of text", "1 to 250 bytes on one line, without hidden characters",
    |text| !text.trim().is_empty() && text.len() <= LINE_BYTES && !text.chars().any(is_hidden)
}

name! {
    /// A text of several lines that we show to people: an explanation. It may quote what is foreign, so whoever shows it neutralises
    /// mentions and markup.
    #[derive(Default)]
    Prose, "text", "at most 60,000 bytes, without hidden characters but line feeds and tabs",
    |text| text.len() <= PROSE_BYTES && !text.chars().any(|character| is_hidden(character) && !matches!(character, '\n' | '\t'))
}

impl Prose {
    /// Whether nothing is said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.as_str().trim().is_empty()
    }

    /// Makes a text out of anything: what is hidden is spelled out, what is too long is cut.
    #[must_use]
    pub fn from_lossy(text: &str) -> Self {
        let mut shown = String::with_capacity(text.len());
        for character in text.chars() {
            match character {
                '\n' | '\t' => shown.push(character),
                '\r' => {}
                _ => push_visible(&mut shown, character),
            }
            if shown.len() > PROSE_BYTES {
                let kept = shown.floor_char_boundary(PROSE_BYTES - '…'.len_utf8());
                shown.truncate(kept);
                shown.push('…');
                break;
            }
        }
        Self(shown)
    }
}
