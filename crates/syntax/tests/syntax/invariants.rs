//! What holds for any text: ranges lie in it, and what they name is what was read. Shared with the fuzz targets.

use keyblind_syntax::github_expression::{self, ExpressionKind};
use keyblind_syntax::{TextRange, dockerfile, shell};

fn is_inside(range: TextRange, text: &str) {
    assert!(range.start <= range.end && text.get(range.as_usize()).is_some(), "{range:?} isn't a part of {text:?}");
}

/// Reads a text as a Dockerfile.
pub(crate) fn check_dockerfile(text: &str) {
    let parsed = dockerfile::parse(text);
    let mut end = 0;
    for instruction in &parsed.instructions {
        is_inside(instruction.range, text);
        assert!(instruction.range.start >= end, "instructions overlap in {text:?}");
        end = instruction.range.end;
        let keyword = &text[instruction.keyword_range.as_usize()];
        // A name may itself go on in the next line.
        let joined: String = keyword.chars().filter(char::is_ascii_alphabetic).collect();
        assert!(joined.to_ascii_uppercase().contains(instruction.keyword.name()) || keyword.contains('#'), "{keyword:?}");
        for flag in &instruction.flags {
            is_inside(flag.range, text);
        }
        for heredoc in &instruction.heredocs {
            is_inside(heredoc.content, text);
        }
        for word in dockerfile::words(&instruction.arguments, parsed.escape) {
            is_inside(word.range, text);
        }
        check_shell(&instruction.arguments.text);
    }
    for comment in &parsed.comments {
        is_inside(*comment, text);
        assert!(text[comment.as_usize()].starts_with('#'));
    }
    for error in &parsed.errors {
        is_inside(error.range, text);
    }
}

/// Reads a text as a shell script.
pub(crate) fn check_shell(text: &str) {
    for command in shell::parse(text).commands {
        is_inside(command.range, text);
        for word in command.words.iter().chain(command.redirections.iter().map(|redirection| &redirection.target)) {
            is_inside(word.range, text);
            assert!(command.range.contains(word.range), "{word:?} lies outside of its command in {text:?}");
        }
        let _ = command.invocation();
    }
}

/// Reads a text as one with placeholders, and as an expression.
pub(crate) fn check_github_expression(text: &str) {
    let mut end = 0;
    for placeholder in github_expression::placeholders(text) {
        is_inside(placeholder.range, text);
        assert!(placeholder.range.start >= end && placeholder.range.contains(placeholder.inner), "{placeholder:?}");
        end = placeholder.range.end;
        check_tree(text, placeholder.expression);
    }
    check_tree(text, github_expression::parse(text, 0));
}

fn check_tree(text: &str, parsed: Result<github_expression::Expression, github_expression::ExpressionError>) {
    match parsed {
        Err(error) => is_inside(error.range, text),
        Ok(expression) => {
            expression.visit(&mut |inner| {
                is_inside(inner.range, text);
                if let ExpressionKind::String(value) = &inner.kind {
                    assert_eq!(format!("'{}'", value.replace('\'', "''")), text[inner.range.as_usize()]);
                }
            });
            let all = expression.contexts();
            for context in expression.flowing_contexts() {
                assert!(all.contains(&context), "{context:?} flows without being read");
            }
        }
    }
}
