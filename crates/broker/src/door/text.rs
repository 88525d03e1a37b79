//! Text from outside on a page: inert, and marked where it could mislead the eye.
//!
//! Escaping is the templates' business. Here a text becomes pieces, so that what doesn't show itself (controls, marks of direction,
//! joiners) is spelled out, and letters that look like others are set off.

use keyblind_intent::is_hidden;

/// Characters of one line that are shown before it is cut; how many were cut is said.
pub(super) const LINE_CHARACTERS: usize = 400;

/// A stretch of text that is shown in one way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// What is shown.
    pub(super) text: String,
    /// Why it is set off; none if it isn't.
    pub(super) note: Option<&'static str>,
}

/// A text, ready for the templates.
pub(super) type Shown = Vec<Piece>;

/// What a character may do to the eye.
fn note(character: char) -> Option<&'static str> {
    if is_hidden(character) {
        Some("hidden character")
    } else if character.is_ascii() {
        None
    } else if character.is_whitespace() {
        Some("unusual space")
    } else if character.is_alphanumeric() {
        Some("not an ASCII letter")
    } else {
        None
    }
}

/// Prepares one line (line breaks count as hidden characters).
pub(super) fn shown(text: &str) -> Shown {
    shown_up_to(text, LINE_CHARACTERS)
}

/// Prepares one line, cut after that many characters.
pub(super) fn shown_up_to(text: &str, most: usize) -> Shown {
    let mut pieces: Shown = Vec::new();
    for (index, character) in text.chars().enumerate() {
        if index == most {
            let rest = text.chars().count() - most;
            pieces.push(Piece { text: format!("… {rest} more characters"), note: Some("cut here") });
            break;
        }
        // Tabs are ordinary in code, and show as space.
        let note = if character == '\t' { None } else { note(character) };
        let text = match note {
            Some("hidden character" | "unusual space") => format!("U+{:04X}", u32::from(character)),
            _ => character.to_string(),
        };
        match pieces.last_mut() {
            Some(last) if last.note == note && note != Some("hidden character") && note != Some("unusual space") => last.text += &text,
            _ => pieces.push(Piece { text, note }),
        }
    }
    pieces
}

/// The text that is our own, as one piece.
pub(super) fn plain(text: impl Into<String>) -> Shown {
    vec![Piece { text: text.into(), note: None }]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(text: &str) -> String {
        shown(text).iter().map(|piece| if piece.note.is_some() { format!("[{}]", piece.text) } else { piece.text.clone() }).collect()
    }

    #[test]
    fn what_hides_is_spelled_out_and_what_imitates_is_set_off() {
        assert_eq!(rendered("acl = \"private\""), "acl = \"private\"");
        assert_eq!(rendered("a\u{202e}b"), "a[U+202E]b");
        assert_eq!(rendered("a\u{200b}\u{200b}b\n"), "a[U+200B][U+200B]b[U+000A]");
        assert_eq!(rendered("p\u{430}ypal"), "p[\u{430}]ypal", "a Cyrillic letter among Latin ones");
        assert_eq!(rendered("\u{1b}[31mred"), "[U+001B][31mred");
        assert_eq!(rendered("a\u{a0}b"), "a[U+00A0]b");
        assert_eq!(rendered("<script>alert(1)</script>"), "<script>alert(1)</script>", "escaping is the template's");
        assert_eq!(rendered("→ ok"), "→ ok");
    }

    #[test]
    fn a_long_line_says_how_much_was_cut() {
        let cut = rendered(&"x".repeat(LINE_CHARACTERS + 12));
        assert!(cut.ends_with("x[… 12 more characters]"), "{cut}");
        assert!(!rendered(&"x".repeat(LINE_CHARACTERS)).contains("more"));
    }
}
