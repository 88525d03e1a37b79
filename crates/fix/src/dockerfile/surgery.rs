//! Words and instructions taken out of a text, with the white space, the continuation and the line that they leave empty.

use keyblind_syntax::TextRange;
use keyblind_syntax::dockerfile::{Dockerfile, Instruction};

use crate::proof::dockerfile::above;

/// The text without a word. `head` is where the name and the flags of the instruction end: what stands behind them is
/// drawn up to them. `None` where it can't be told what would be left.
pub(super) fn without_word(text: &str, range: TextRange, head: usize, escape: u8) -> Option<String> {
    let (start, end) = (range.start as usize, range.end as usize);
    let line_start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
    let line_end = text[end..].find('\n').map_or(text.len(), |newline| end + newline);
    let (before, after) = (&text[line_start..start], text[end..line_end].trim());
    let is_alone = before.trim().is_empty();
    let continues = after.len() == 1 && after.as_bytes()[0] == escape;
    let cut = |from: usize, to: usize| Some([text.get(..from)?, text.get(to..)?].concat());
    if is_alone && continues {
        return cut(line_start, (line_end + 1).min(text.len()));
    }
    if is_alone && after.is_empty() && line_start > 0 {
        // The line before went on in this one, and doesn't any more.
        let previous = text[..line_start].trim_end_matches(['\n', '\r', ' ', '\t']);
        let from = previous.strip_suffix(char::from(escape))?.trim_end_matches([' ', '\t']).len();
        let previous_line = previous.rfind('\n').map_or(0, |newline| newline + 1);
        return if previous[previous_line..].trim_start().starts_with('#') { None } else { cut(from, end) };
    }
    if is_alone {
        let spaces = text[end..].len() - text[end..].trim_start_matches([' ', '\t']).len();
        return cut(start, end + spaces);
    }
    if continues && start >= head && text.get(head..start).is_some_and(|gap| gap.trim().is_empty()) {
        let rest = &text[(line_end + 1).min(text.len())..];
        let indent = rest.len() - rest.trim_start_matches([' ', '\t']).len();
        if !rest.trim_start().starts_with('#') {
            return cut(start, (line_end + 1).min(text.len()) + indent);
        }
    }
    cut(line_start + before.trim_end_matches([' ', '\t']).len(), end)
}

/// The text without the lines of an instruction, without comments that are about nothing else, and without an empty line that
/// would follow another.
pub(super) fn without_instruction(text: &str, parsed: &Dockerfile, instruction: &Instruction) -> String {
    let range = instruction.range.as_usize();
    let mut start = text[..range.start].rfind('\n').map_or(0, |newline| newline + 1);
    let mut end = text[range.end..].find('\n').map_or(text.len(), |newline| range.end + newline + 1);
    let is_last_of_paragraph = text[end..].lines().next().is_none_or(|line| line.trim().is_empty());
    let comments = above(text, range.start);
    let has_directive = parsed.directives.iter().any(|directive| directive.range.start as usize >= comments);
    if is_last_of_paragraph && !has_directive {
        start = comments;
    }
    let is_empty_before = start == 0 || text[..start].ends_with("\n\n") || text[..start].ends_with("\n\r\n");
    if is_empty_before && is_last_of_paragraph {
        // One of two empty lines.
        match text[end..].find('\n') {
            Some(newline) => end += newline + 1,
            None => start = text[..start].trim_end_matches(['\n', '\r']).len() + newline_length(text, start),
        }
    }
    [&text[..start], &text[end..]].concat()
}

/// The bytes of the line end that follows the last content before a place.
fn newline_length(text: &str, at: usize) -> usize {
    let content = text[..at].trim_end_matches(['\n', '\r']).len();
    match &text[content..at] {
        rest if rest.starts_with("\r\n") => 2,
        rest if rest.starts_with('\n') => 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn removed(text: &str, word: &str) -> Option<String> {
        let start = text.find(word).unwrap();
        without_word(text, TextRange::new(start as u32, (start + word.len()) as u32), 3, b'\\')
    }

    #[test]
    fn a_word_goes_with_its_white_space() {
        assert_eq!(removed("RUN a -k b\n", "-k").as_deref(), Some("RUN a b\n"));
        assert_eq!(removed("RUN sudo a\n", "sudo").as_deref(), Some("RUN a\n"));
        assert_eq!(removed("RUN a \\\n    -k \\\n    b\n", "-k").as_deref(), Some("RUN a \\\n    b\n"));
        assert_eq!(removed("RUN a \\\r\n    b \\\r\n    -k\r\n", "-k").as_deref(), Some("RUN a \\\r\n    b\r\n"));
        assert_eq!(removed("RUN a \\\n    -k b\n", "-k").as_deref(), Some("RUN a \\\n    b\n"));
        assert_eq!(removed("RUN sudo \\\n    b\n", "sudo").as_deref(), Some("RUN b\n"));
        assert_eq!(removed("RUN a \\\n# why\n    -k\n", "-k"), None);
    }

    #[test]
    fn an_instruction_goes_with_what_is_only_about_it() {
        let without = |text: &str, number: usize| {
            let parsed = keyblind_syntax::dockerfile::parse(text);
            without_instruction(text, &parsed, &parsed.instructions[number])
        };
        assert_eq!(without("FROM a\nEXPOSE 22\nCMD b\n", 1), "FROM a\nCMD b\n");
        assert_eq!(without("FROM a\n\n# login\nEXPOSE 22\n\nCMD b\n", 1), "FROM a\n\nCMD b\n");
        assert_eq!(without("FROM a\n# ports\nEXPOSE 22\nEXPOSE 80\n", 1), "FROM a\n# ports\nEXPOSE 80\n");
        assert_eq!(without("FROM a\n\nEXPOSE 22\n", 1), "FROM a\n");
        assert_eq!(without("FROM a\nEXPOSE 22", 1), "FROM a\n");
    }
}
