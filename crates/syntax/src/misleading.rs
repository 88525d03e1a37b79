//! Characters that make a text look other than it is.

/// Whether a character isn't what a reader sees: one that steers terminals, turns the direction of writing, or takes no room.
/// Joiners are none of these: scripts and emoji need them.
pub fn is_misleading(character: char) -> bool {
    match character {
        '\t' | '\n' => false,
        '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => true,
        '\u{00ad}' | '\u{200b}' | '\u{2060}'..='\u{2064}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}' => true,
        character => character.is_control(),
    }
}
