//! Text from a leaf on a terminal: colours, and nothing else that a terminal would obey.
//!
//! What the program writes by itself is clean already. A leaf that hostile input has taken over could write anything.

/// Lets letters, line ends, tabs and colours (`ESC [ … m`) through, piece by piece, and shows every other control character as `�`.
#[derive(Debug, Default)]
pub(super) struct Inert {
    /// What may become a colour, or a letter of several bytes.
    held: Vec<u8>,
}

/// Longest colour, from ESC to `m`.
const LONGEST: usize = 32;

impl Inert {
    /// What of a piece can be shown now.
    pub(super) fn clean(&mut self, piece: &[u8]) -> Vec<u8> {
        let mut bytes = std::mem::take(&mut self.held);
        bytes.extend_from_slice(piece);
        let mut shown = Vec::with_capacity(bytes.len());
        let mut rest = bytes.as_slice();
        while let Some(first) = rest.first() {
            let taken = match first {
                0x1b => match color(rest) {
                    Some(0) => break,
                    Some(length) => {
                        shown.extend_from_slice(&rest[..length]);
                        length
                    }
                    None => replace(&mut shown, 1),
                },
                b'\n' | b'\t' | b' '..=b'~' => {
                    shown.push(*first);
                    1
                }
                0x80.. => match letter(rest) {
                    Letter::Unfinished => break,
                    Letter::Shown(length) => {
                        shown.extend_from_slice(&rest[..length]);
                        length
                    }
                    Letter::Hidden(length) => replace(&mut shown, length),
                },
                _ => replace(&mut shown, 1),
            };
            rest = &rest[taken..];
        }
        self.held = rest.to_vec();
        shown
    }

    /// What was held back, at the end.
    pub(super) fn finish(&mut self) -> Vec<u8> {
        let mut shown = Vec::new();
        if !self.held.is_empty() {
            replace(&mut shown, self.held.len());
            self.held.clear();
        }
        shown
    }
}

/// A whole text, cleaned.
pub(super) fn clean(text: &str) -> String {
    let mut inert = Inert::default();
    let mut shown = inert.clean(text.as_bytes());
    shown.extend(inert.finish());
    String::from_utf8_lossy(&shown).into_owned()
}

fn replace(shown: &mut Vec<u8>, taken: usize) -> usize {
    shown.extend_from_slice("\u{fffd}".as_bytes());
    taken
}

/// How long the colour is that a text begins with; 0 if its end hasn't come yet.
fn color(text: &[u8]) -> Option<usize> {
    let end = text.iter().skip(1).position(|byte| !matches!(byte, b'[' | b'0'..=b'9' | b';'));
    match end {
        None if text.len() < LONGEST => Some(0),
        Some(end) if text.get(1) == Some(&b'[') && text[end + 1] == b'm' && end < LONGEST && !text[2..=end].contains(&b'[') => {
            Some(end + 2)
        }
        _ => None,
    }
}

/// What a text begins with, and how many bytes that is.
enum Letter {
    Shown(usize),
    /// A control character, or no letter at all.
    Hidden(usize),
    /// Its end hasn't come yet.
    Unfinished,
}

fn letter(text: &[u8]) -> Letter {
    let start = &text[..text.len().min(4)];
    let valid = match std::str::from_utf8(start) {
        Ok(valid) => valid,
        Err(error) if error.valid_up_to() > 0 => std::str::from_utf8(&start[..error.valid_up_to()]).unwrap_or_default(),
        Err(error) if error.error_len().is_none() => return Letter::Unfinished,
        Err(_) => return Letter::Hidden(1),
    };
    match valid.chars().next() {
        Some(first) if keyblind_syntax::is_misleading(first) => Letter::Hidden(first.len_utf8()),
        Some(first) => Letter::Shown(first.len_utf8()),
        None => Letter::Hidden(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_and_letters_pass_and_nothing_else() {
        for text in ["plain\ttext\n", "\u{1b}[1;31mrød\u{1b}[0m", "→ ünïcode 漢字 🦀", "\u{1b}[m"] {
            assert_eq!(clean(text), text);
        }
        for (hostile, shown) in [
            ("\u{1b}]0;title\u{7}", "\u{fffd}]0;title\u{fffd}"),
            ("\u{1b}[2J", "\u{fffd}[2J"),
            ("\u{1b}[6n", "\u{fffd}[6n"),
            ("\u{1b}c", "\u{fffd}c"),
            ("over\rwritten", "over\u{fffd}written"),
            ("\u{9b}2J", "\u{fffd}2J"),
            ("\u{202e}txt", "\u{fffd}txt"),
            ("\u{1b}[[m", "\u{fffd}[[m"),
            ("\u{1b}", "\u{fffd}"),
        ] {
            assert_eq!(clean(hostile), shown, "{hostile:?}");
        }
    }

    #[test]
    fn it_doesn_t_matter_where_pieces_are_cut() {
        let text = "a\u{1b}[1;31mrød\u{1b}[0m 漢\u{1b}]0;x\u{7}🦀".as_bytes();
        let whole = clean(std::str::from_utf8(text).unwrap());
        for cut in 0..text.len() {
            let mut inert = Inert::default();
            let mut shown = inert.clean(&text[..cut]);
            shown.extend(inert.clean(&text[cut..]));
            shown.extend(inert.finish());
            assert_eq!(String::from_utf8(shown).unwrap(), whole, "{cut}");
        }
    }

    #[test]
    fn what_is_no_text_is_replaced() {
        let mut inert = Inert::default();
        let shown = inert.clean(&[0xff, b'a', 0xc3]);
        assert_eq!(shown, "\u{fffd}a".as_bytes());
        assert_eq!(inert.finish(), "\u{fffd}".as_bytes());
    }
}
