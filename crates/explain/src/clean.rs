//! Texts of a repository as they may be shown.

/// A text without characters that steer terminals or turn the direction of writing.
pub fn clean(text: &str) -> String {
    let mut cleaned = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\t' | '\n' | ' ' => cleaned.push(' '),
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => cleaned.push('\u{fffd}'),
            character if character.is_control() => cleaned.push('\u{fffd}'),
            character => cleaned.push(character),
        }
    }
    cleaned
}
