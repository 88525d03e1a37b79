//! Texts of a repository as they may be shown.

use keyblind_syntax::is_misleading;

/// A text without characters that mislead whoever reads it ([`is_misleading`]): in their place stands one that shows.
pub fn clean(text: &str) -> String {
    let mut cleaned = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\t' | '\n' | ' ' => cleaned.push(' '),
            character if is_misleading(character) => cleaned.push('\u{fffd}'),
            character => cleaned.push(character),
        }
    }
    cleaned
}

/// [`clean`], with line ends and tabs as they are.
pub fn clean_text(text: &str) -> String {
    let line = |line: &str| {
        let body = line.trim_end_matches(['\r', '\n']);
        let cleaned = body.split('\t').map(clean).collect::<Vec<_>>().join("\t");
        cleaned + &line[body.len()..]
    };
    text.split_inclusive('\n').map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_misleads_is_shown() {
        assert_eq!(clean("a\u{202e}b\u{200b}c\u{1b}[31m\td"), "a\u{fffd}b\u{fffd}c\u{fffd}[31m d");
        assert_eq!(clean_text("a\tb\r\n\u{feff}c\n\nd\u{e0041}"), "a\tb\r\n\u{fffd}c\n\nd\u{fffd}");
        // People write these.
        let plain = "ünïcödé \u{1f469}\u{200d}\u{1f680} می\u{200c}خواهم";
        assert_eq!(clean(plain), plain);
    }
}
