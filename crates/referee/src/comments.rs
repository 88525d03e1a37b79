//! Comments, found by scanning text from its start, with as little grammar as that takes.

use std::collections::BTreeMap;

/// How comments are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// There are none.
    None,
    Hcl,
    Yaml,
    Dockerfile,
}

/// The comments that came and those that went, from before to after.
pub(crate) fn differences(style: Style, before: &str, after: &str) -> (Vec<String>, Vec<String>) {
    let counted = |text: &str| {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for comment in comments(style, text) {
            *counts.entry(comment.trim_end().to_owned()).or_default() += 1;
        }
        counts
    };
    let (old, new) = (counted(before), counted(after));
    let more = |a: &BTreeMap<String, usize>, b: &BTreeMap<String, usize>| {
        a.iter().filter(|(comment, count)| b.get(*comment).is_none_or(|other| other < count)).map(|(comment, _)| comment.clone()).collect()
    };
    (more(&new, &old), more(&old, &new))
}

fn comments(style: Style, text: &str) -> Vec<&str> {
    match style {
        Style::None => Vec::new(),
        Style::Hcl => in_hcl(text),
        Style::Yaml => in_yaml(text),
        Style::Dockerfile => text.lines().map(str::trim_start).filter(|line| line.starts_with('#')).collect(),
    }
}

fn line_end(text: &str, from: usize) -> usize {
    text[from..].find('\n').map_or(text.len(), |length| from + length)
}

/// Comments outside of quotes and here-documents.
fn in_hcl(text: &str) -> Vec<&str> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    // Quotes and the interpolations in them, innermost last.
    let mut open: Vec<u8> = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        let is_quoted = open.last() == Some(&b'"');
        match rest {
            [b'\\', _, ..] if is_quoted => at += 2,
            [b'$' | b'%', b'{', ..] if is_quoted => {
                // `$${` is a literal.
                if at > 0 && bytes[at - 1] == bytes[at] && at > 1 && bytes[at - 2] != bytes[at] {
                    at += 2;
                } else {
                    open.push(b'{');
                    at += 2;
                }
            }
            [b'"', ..] if is_quoted => {
                open.pop();
                at += 1;
            }
            _ if is_quoted => at += 1,
            [b'"', ..] => {
                open.push(b'"');
                at += 1;
            }
            [b'#', ..] | [b'/', b'/', ..] => {
                let end = line_end(text, at);
                found.push(&text[at..end]);
                at = end;
            }
            [b'/', b'*', ..] => {
                let end = text[at..].find("*/").map_or(text.len(), |length| at + length + 2);
                found.push(&text[at..end]);
                at = end;
            }
            [b'<', b'<', ..] => at = behind_here_document(text, at),
            [b'{', ..] if !open.is_empty() => {
                open.push(b'{');
                at += 1;
            }
            [b'}', ..] if open.last() == Some(&b'{') => {
                open.pop();
                at += 1;
            }
            _ => at += 1,
        }
    }
    found
}

/// Where a here-document that begins at `<<` ends.
fn behind_here_document(text: &str, at: usize) -> usize {
    let head_end = line_end(text, at);
    let word = text[at + 2..head_end].trim_start_matches('-').trim();
    if word.is_empty() || !word.chars().all(|character| character.is_alphanumeric() || "_-".contains(character)) {
        return at + 2;
    }
    let mut start = (head_end + 1).min(text.len());
    while start < text.len() {
        let end = line_end(text, start);
        if text[start..end].trim() == word {
            return end;
        }
        start = (end + 1).min(text.len());
    }
    text.len()
}

/// Comments outside of quotes and block scalars.
fn in_yaml(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut quote: Option<u8> = None;
    // The indentation of the line that a block scalar hangs on.
    let mut block: Option<usize> = None;
    for line in text.lines() {
        let indentation = line.len() - line.trim_start_matches(' ').len();
        if line.trim().is_empty() {
            continue;
        }
        if block.is_some_and(|parent| indentation > parent) {
            continue;
        }
        block = None;
        let bytes = line.as_bytes();
        let mut at = indentation;
        // Whether a token may begin here: only there a quote opens anything.
        let mut fresh = true;
        let mut end = line.len();
        while at < bytes.len() {
            match (quote, bytes[at]) {
                (Some(b'"'), b'\\') => at += 1,
                (Some(b'\''), b'\'') if bytes.get(at + 1) == Some(&b'\'') => at += 1,
                (Some(open), byte) if byte == open => quote = None,
                (Some(_), _) => {}
                (None, byte @ (b'"' | b'\'')) if fresh => quote = Some(byte),
                (None, b'#') if at == 0 || bytes[at - 1] == b' ' || bytes[at - 1] == b'\t' => {
                    found.push(&line[at..]);
                    end = at;
                    break;
                }
                (None, byte) => {
                    let separates = b" \t".contains(&byte) && (fresh || at > 0 && b":-,?".contains(&bytes[at - 1]));
                    // A tag or an anchor may stand before what is quoted.
                    fresh = separates || b"[{,".contains(&byte) || fresh && b"!&".contains(&byte) || in_tag(&bytes[..=at]);
                }
            }
            if quote.is_some() {
                fresh = false;
            }
            at += 1;
        }
        if quote.is_none() && opens_block(line[..end].trim_end()) {
            // `- |` and `- key: |` hang on where the item's content begins.
            let content = line[indentation..].trim_start_matches("- ");
            let nested = line.len() - indentation - content.len();
            block = Some(if content.contains(": ") || nested == 0 { indentation + nested } else { indentation });
        }
    }
    found
}

fn in_tag(so_far: &[u8]) -> bool {
    let start = so_far.iter().rposition(|byte| *byte == b' ').map_or(0, |space| space + 1);
    let word = &so_far[start..];
    let behind_tag = so_far.last() == Some(&b' ')
        && so_far[..so_far.len() - 1]
            .rsplit(|byte| *byte == b' ')
            .next()
            .is_some_and(|word| word.starts_with(b"!") || word.starts_with(b"&"));
    word.starts_with(b"!") || word.starts_with(b"&") || behind_tag
}

/// Whether a line ends with the sign of a block scalar.
fn opens_block(line: &str) -> bool {
    let head = line.trim_end_matches(|character: char| character.is_ascii_digit() || "+-".contains(character));
    let Some(before) = head.strip_suffix(['|', '>']) else { return false };
    before.is_empty()
        || before.ends_with([' ', '\t']) && before.trim_end().ends_with([':', '-', '?'].as_slice())
        || before.trim_end().rsplit(' ').next().is_some_and(|word| word.starts_with('!') || word.starts_with('&'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_of_terraform_are_told_from_quotes_and_here_documents() {
        let text =
            "a = \"# no ${f(\"// no\")} # no\" # one\nb = <<-EOT\n  # no\n  EOT\n/* two\n*/ c = 1 // three\nd = \"$${ # no\" # four\n";
        assert_eq!(comments(Style::Hcl, text), ["# one", "/* two\n*/", "// three", "# four"]);
    }

    #[test]
    fn comments_of_yaml_are_told_from_quotes_and_block_scalars() {
        let text = "# one\na: 'it''s # no' # two\nb: don't # three\nc: |\n  # no\n\n  no # no\nd: \"x\\\" # no\"\ne: a#no\nf:\n  - |\n    # no\n  - g: >- # four\n      # no\n  - !Sub \"# no\"\n  - run: x\n    # five\n";
        assert_eq!(comments(Style::Yaml, text), ["# one", "# two", "# three", "# four", "# five"]);
    }

    #[test]
    fn what_comes_and_what_goes_is_told() {
        let (new, gone) = differences(Style::Hcl, "a = 1 # x\nb = 2 # y\n", "a = 1 # x\nb = 2 # z\nc = 3 # x\n");
        assert_eq!((new, gone), (vec!["# x".to_owned(), "# z".to_owned()], vec!["# y".to_owned()]));
    }
}
