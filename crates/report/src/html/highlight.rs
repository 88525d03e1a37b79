//! Colours for one line of source: comments, texts, numbers and words that the language knows. A line stands for itself;
//! what began on an earlier one isn't known.

use keyblind_resource::Dialect;

/// A part of a line.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub(super) struct Token {
    /// `c` comment, `s` text, `n` number, `k` keyword, empty for the rest.
    pub(super) class: &'static str,
    pub(super) text: String,
}

/// Parts a line.
pub(super) fn line(line: &str, dialect: Dialect) -> Vec<Token> {
    let mut tokens: Vec<Token> = Vec::new();
    let mut push = |class: &'static str, text: &str| match tokens.last_mut() {
        Some(last) if last.class == class => last.text.push_str(text),
        _ => tokens.push(Token { class, text: text.to_owned() }),
    };
    let mut rest = line;
    while let Some(first) = rest.chars().next() {
        let at_word = line[..line.len() - rest.len()].chars().next_back().is_none_or(|before| !is_word(before));
        let (class, length) = match first {
            '#' if at_word => ("c", rest.len()),
            '/' if rest.starts_with("//") && dialect == Dialect::Terraform && at_word => ("c", rest.len()),
            '"' | '\'' => ("s", text_length(rest, first)),
            _ if at_word && first.is_ascii_digit() => ("n", word_length(rest)),
            _ if is_word(first) => {
                let length = word_length(rest);
                (if at_word && is_keyword(&rest[..length], &rest[length..], dialect) { "k" } else { "" }, length)
            }
            _ => ("", first.len_utf8()),
        };
        push(class, &rest[..length]);
        rest = &rest[length..];
    }
    tokens
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '_' | '-' | '.')
}

fn word_length(text: &str) -> usize {
    text.find(|character| !is_word(character)).unwrap_or(text.len())
}

/// The length of a quoted text with its quotes; to the line's end if it isn't closed.
fn text_length(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, character) in text.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            character if character == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

fn is_keyword(word: &str, behind: &str, dialect: Dialect) -> bool {
    match dialect {
        Dialect::Terraform => {
            matches!(
                word,
                "resource"
                    | "data"
                    | "variable"
                    | "output"
                    | "module"
                    | "provider"
                    | "locals"
                    | "terraform"
                    | "dynamic"
                    | "true"
                    | "false"
                    | "null"
                    | "for"
                    | "in"
                    | "if"
            )
        }
        Dialect::Dockerfile => word.len() > 1 && word.bytes().all(|byte| byte.is_ascii_uppercase()),
        _ => behind.starts_with(':') || matches!(word, "true" | "false" | "null"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_line_is_lost() {
        for (text, dialect) in [
            ("  acl = \"public-read\" # why", Dialect::Terraform),
            ("image: \"a\\\"b\" # x 'y", Dialect::Kubernetes),
            ("RUN apt-get install \"un closed", Dialect::Dockerfile),
            ("ü = 'é", Dialect::Terraform),
        ] {
            let tokens = line(text, dialect);
            assert_eq!(tokens.iter().map(|token| token.text.as_str()).collect::<String>(), text);
        }
        let classes: Vec<_> = line("acl = \"x\" # y", Dialect::Terraform).into_iter().map(|token| token.class).collect();
        assert_eq!(classes, ["", "s", "", "c"]);
    }
}
