//! Changes of files as unified diffs, with the words that differ marked where there is colour.

use std::io::{self, Write};

use anstyle::{AnsiColor, Effects, Style};
use similar::{ChangeTag, TextDiff};

/// Lines around a change.
const CONTEXT: usize = 3;

const REMOVED: Style = AnsiColor::Red.on_default();
const ADDED: Style = AnsiColor::Green.on_default();
const PLACE: Style = AnsiColor::Cyan.on_default();
const HEAD: Style = Style::new().effects(Effects::BOLD);

/// Writes the difference between two texts of a file as `git diff` does, so that `git apply` and `patch` take it.
///
/// # Errors
/// If it can't be written.
pub fn write(path: &str, old: &str, new: &str, color: bool, out: &mut dyn Write) -> io::Result<()> {
    let diff = TextDiff::from_lines(old, new);
    let styled = |out: &mut dyn Write, style: Style, text: &str| {
        if color { write!(out, "{style}{text}{style:#}") } else { write!(out, "{text}") }
    };
    styled(out, HEAD, &format!("--- a/{path}"))?;
    writeln!(out)?;
    styled(out, HEAD, &format!("+++ b/{path}"))?;
    writeln!(out)?;
    for hunk in diff.unified_diff().context_radius(CONTEXT).iter_hunks() {
        styled(out, PLACE, &hunk.header().to_string())?;
        writeln!(out)?;
        for op in hunk.ops() {
            for change in diff.iter_inline_changes(op) {
                let (sign, style) = match change.tag() {
                    ChangeTag::Delete => ("-", REMOVED),
                    ChangeTag::Insert => ("+", ADDED),
                    ChangeTag::Equal => (" ", Style::new()),
                };
                let plain = change.tag() == ChangeTag::Equal;
                if plain {
                    write!(out, "{sign}")?
                } else {
                    styled(out, style, sign)?
                }
                for (emphasized, text) in change.iter_strings_lossy() {
                    let end = text.trim_end_matches(['\n', '\r']);
                    if plain {
                        write!(out, "{end}")?;
                    } else {
                        styled(out, if emphasized { style.effects(Effects::UNDERLINE) } else { style }, end)?;
                    }
                    write!(out, "{}", &text[end.len()..])?;
                }
                if change.missing_newline() {
                    writeln!(out, "\n\\ No newline at end of file")?;
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diff(old: &str, new: &str) -> String {
        let mut out = Vec::new();
        write("a.tf", old, new, false, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn it_is_what_patch_reads() {
        let expected = "--- a/a.tf\n+++ b/a.tf\n@@ -1,3 +1,3 @@\n a {\n-  b = 1\n+  b = 2\n }\n";
        assert_eq!(diff("a {\n  b = 1\n}\n", "a {\n  b = 2\n}\n"), expected);
        assert!(diff("a\r\nb\r\n", "a\r\nc\r\n").contains("-b\r\n+c\r\n"));
        assert!(diff("a", "b").contains("-a\n\\ No newline at end of file\n+b\n\\ No newline at end of file\n"));
    }
}
