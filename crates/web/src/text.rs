//! Text of others on a page. Escaping is the templates' business; here what doesn't show itself is spelled out.

use std::fmt::Write as _;

use keyblind_intent::is_hidden;

/// Characters of one text that are shown before it is cut.
const MOST: usize = 2_000;

/// A text in which controls, marks of direction and other hidden characters are spelled out.
pub(crate) fn visible(text: &str) -> String {
    part(text, MOST, false)
}

/// The same with its line ends and tabs.
pub(crate) fn visible_lines(text: &str) -> String {
    part(text, usize::MAX, true)
}

/// The same, cut after a number of characters.
pub(crate) fn shortened(text: &str, most: usize) -> String {
    part(text, most, false)
}

fn part(text: &str, most: usize, keeps_lines: bool) -> String {
    let mut shown = String::with_capacity(text.len().min(most.saturating_mul(4)));
    for (index, character) in text.chars().enumerate() {
        if index == most {
            shown.push('…');
            break;
        }
        if is_hidden(character) && !(character == '\t' || (keeps_lines && character == '\n')) {
            // Writing to a text can't fail.
            let _ = write!(shown, "⟨U+{:04X}⟩", u32::from(character));
        } else {
            shown.push(character);
        }
    }
    shown
}

/// A number of bytes for people.
pub(crate) fn size(bytes: u64) -> String {
    match bytes {
        0..=1_023 => format!("{bytes} bytes"),
        1_024..=1_048_575 => format!("{} KB", bytes.div_ceil(1_024)),
        _ => format!("{}.{} MB", bytes >> 20, ((bytes & 0xF_FFFF) * 10) >> 20),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_hidden_shows() {
        assert_eq!(visible("a\u{202e}b\nc\td"), "a⟨U+202E⟩b⟨U+000A⟩c\td");
        assert_eq!(visible_lines("a\nb\u{0}"), "a\nb⟨U+0000⟩");
        assert_eq!(shortened("abcdef", 3), "abc…");
        assert_eq!(size(100), "100 bytes");
        assert_eq!(size(3_000), "3 KB");
        assert_eq!(size(3 << 19), "1.5 MB");
    }
}
