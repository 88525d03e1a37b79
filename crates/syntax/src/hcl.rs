//! HCL as Terraform and OpenTofu write it: native syntax with every node's byte range.
//!
//! The parser keeps going: what it can't read costs that block or attribute and is reported in [`File::errors`].
//! It takes linear time on any text, and its recursion is bounded (see [`crate::limits`]).

pub mod ast;
mod body;
mod expression;
mod heredoc;
mod lexer;
mod parser;
mod recovery;
mod template;

pub use ast::{Comment, File, SyntaxError};
use ast::{Expr, ExprKind, TemplatePart};
use lexer::TokenKind;
use parser::{Guide, Parsed, Parser};

use crate::limits;
use crate::source::TextRange;

/// Parses a file in native syntax (`.tf`, `.tfvars`, `.hcl`).
///
/// It never fails: what can't be read is told in [`File::errors`], with the range that is lost by it, and everything
/// else is in the tree. A broken attribute stays in its body, with the value [`ExprKind::Error`]. A byte-order mark is
/// passed over, and ranges count it.
///
/// Differences from HCL, all of them on the lenient side: an attribute may be set twice, a heredoc's marker may be the
/// last thing in a file without a line end, and lone carriage returns may stand in heredocs.
pub fn parse(text: &str) -> File {
    if let Some(error) = too_long(text) {
        return File { errors: vec![error], ..File::default() };
    }
    let by_brackets = parse_guided(text, Guide::Brackets);
    if !by_brackets.unbalanced {
        return by_brackets.file;
    }
    // Somewhere a bracket is missing or one too many. By brackets alone that can swallow the rest of the file; people
    // and formatters indent by what they meant, so believe that if it explains the text at least as well.
    let by_indentation = parse_guided(text, Guide::Indentation);
    if by_indentation.file.errors.len() <= by_brackets.file.errors.len() { by_indentation.file } else { by_brackets.file }
}

struct Guided {
    file: File,
    unbalanced: bool,
}

fn parse_guided(text: &str, guide: Guide) -> Guided {
    let mut parser = Parser::new(text, guide, false);
    let body = parser.file_body();
    let unbalanced = parser.unbalanced;
    let (comments, errors) = finish(parser);
    Guided { file: File { body, comments, errors }, unbalanced }
}

/// Parses a text that is one expression, as in `terraform console` or a `.tf.json` string's interpolation.
///
/// Line ends are white space. On an error the expression is [`ExprKind::Error`].
pub fn parse_expression(text: &str) -> (Expr, Vec<SyntaxError>) {
    let whole = TextRange::new(0, u32::try_from(text.len()).unwrap_or(u32::MAX));
    let broken = Expr { kind: ExprKind::Error, range: whole };
    if let Some(error) = too_long(text) {
        return (broken, vec![error]);
    }
    let mut parser = Parser::new(text, Guide::Brackets, true);
    parser.start();
    let result = parser.expression().and_then(|expression| match parser.current.kind {
        TokenKind::End => Ok(expression),
        _ => Err(parser.expected("an operator or the end of the expression")),
    });
    settle(result, parser, broken, whole)
}

/// Parses a text that is a template without quotes, as `templatefile` reads it and as strings in `.tf.json` are.
///
/// On an error the template is one interpolation of [`ExprKind::Error`], so that its value is unknown rather than empty.
pub fn parse_template(text: &str) -> (Vec<TemplatePart>, Vec<SyntaxError>) {
    let whole = TextRange::new(0, u32::try_from(text.len()).unwrap_or(u32::MAX));
    let broken = vec![TemplatePart::Interpolation { value: Expr { kind: ExprKind::Error, range: whole }, range: whole }];
    if let Some(error) = too_long(text) {
        return (broken, vec![error]);
    }
    let mut parser = Parser::new(text, Guide::Brackets, true);
    let result = parser.bare_template();
    settle(result, parser, broken, whole)
}

/// What was read, or what stands for it if there was any error.
fn settle<T>(result: Parsed<T>, parser: Parser<'_>, broken: T, whole: TextRange) -> (T, Vec<SyntaxError>) {
    let (_, mut errors) = finish(parser);
    match result {
        Ok(value) if errors.is_empty() => return (value, errors),
        Ok(_) => {}
        Err(failure) => errors.push(SyntaxError { range: failure.range, message: failure.message, lost: whole }),
    }
    (broken, errors)
}

/// Takes the comments and errors out of a parser that is done.
fn finish(mut parser: Parser<'_>) -> (Vec<Comment>, Vec<SyntaxError>) {
    if let Some(range) = parser.lexer.unclosed_comment {
        let opening = TextRange::new(range.start, range.start + 2);
        parser.report(opening, "this comment isn't closed: its `*/` is missing", range);
    }
    (parser.lexer.comments, parser.errors)
}

fn too_long(text: &str) -> Option<SyntaxError> {
    if text.len() <= limits::HCL_BYTES {
        return None;
    }
    let whole = TextRange::new(0, u32::try_from(text.len()).unwrap_or(u32::MAX));
    let message = format!("this text isn't read, because it is longer than {} MiB", limits::HCL_BYTES >> 20);
    Some(SyntaxError { range: TextRange::new(0, 0), message, lost: whole })
}
