//! What all parts of the parser share: the current token, how errors travel, and the bounds on depth.

use std::mem;
use std::sync::Arc;

use super::ast::{Ident, SyntaxError};
use super::heredoc::Terminators;
use super::lexer::{Lexer, Token, TokenKind};
use crate::limits;
use crate::shared_text::SharedTexts;
use crate::source::TextRange;

/// Why the item that is being read can't be read, and from where on to look for the next one.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) range: TextRange,
    pub(super) message: String,
    pub(super) resume: u32,
}

/// A result of parsing below the level of items. The failure is boxed to keep the happy way small.
pub(super) type Parsed<T> = Result<T, Box<Failure>>;

/// What is open around the current place within an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delimiter {
    Paren,
    Bracket,
    Brace,
    /// Inside a quoted string's literal text.
    Quote,
    /// Inside a heredoc's literal text; the range is its marker.
    Heredoc(TextRange),
    /// Inside `${ … }` or `%{ … }`.
    Sequence,
}

/// How item boundaries are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Guide {
    /// By brackets alone, as HCL says.
    Brackets,
    /// By indentation where it contradicts the brackets: for texts whose brackets don't balance.
    Indentation,
}

/// The parser's state.
///
/// INVARIANT: outside of literal text, `current` is the first token that no tree node has taken yet.
#[derive(Debug)]
pub(super) struct Parser<'text> {
    pub(super) text: &'text str,
    pub(super) lexer: Lexer<'text>,
    pub(super) current: Token,
    /// Where the last taken token ended, line ends aside.
    pub(super) taken: u32,
    /// Whether line ends are white space here, as they are inside brackets.
    pub(super) skip_newlines: bool,
    /// What is open within the current item.
    pub(super) open: Vec<Delimiter>,
    /// How deep blocks, brackets and operators stand around the current place.
    pub(super) depth: u32,
    /// How high the tree of the expression is that was read last.
    pub(super) height: u32,
    pub(super) errors: Vec<SyntaxError>,
    /// Whether there were so many errors that the rest was given up.
    pub(super) given_up: bool,
    pub(super) guide: Guide,
    /// Whether some bracket had no partner.
    pub(super) unbalanced: bool,
    /// While an attribute's value is read under [`Guide::Indentation`]: how far the attribute is indented.
    pub(super) boundary: Option<u32>,
    pub(super) terminators: Terminators<'text>,
    pub(super) texts: SharedTexts,
}

impl<'text> Parser<'text> {
    /// Makes a parser that has read nothing yet. The text must be short enough for 32-bit offsets.
    pub(super) fn new(text: &'text str, guide: Guide, skip_newlines: bool) -> Self {
        Self {
            text,
            lexer: Lexer::new(text),
            current: Token::new(TokenKind::End, 0, 0),
            taken: 0,
            skip_newlines,
            open: Vec::new(),
            depth: 0,
            height: 0,
            errors: Vec::new(),
            given_up: false,
            guide,
            unbalanced: false,
            boundary: None,
            terminators: Terminators::new(text),
            texts: SharedTexts::new(),
        }
    }

    /// Stands at the first token, to read in code mode.
    pub(super) fn start(&mut self) {
        self.go_to(self.text_start());
    }

    /// Where the text begins behind a byte-order mark.
    pub(super) fn text_start(&self) -> u32 {
        if self.text.starts_with('\u{feff}') { 3 } else { 0 }
    }

    pub(super) fn text_end(&self) -> u32 {
        self.text.len() as u32
    }

    pub(super) fn slice(&self, range: TextRange) -> &'text str {
        &self.text[range.as_usize()]
    }

    /// Takes the current token and reads the next one.
    pub(super) fn bump(&mut self) -> Token {
        let token = self.current;
        if token.kind != TokenKind::Newline {
            self.taken = token.end;
        }
        self.go_to(token.end);
        token
    }

    /// Reads the token at or behind an offset.
    pub(super) fn go_to(&mut self, offset: u32) {
        if self.given_up {
            self.current = Token::new(TokenKind::End, self.text.len(), self.text.len());
            return;
        }
        self.current = self.lexer.token(offset, self.skip_newlines);
        if let Some(indentation) = self.boundary
            && self.starts_next_item(self.current, indentation)
        {
            self.current = Token { kind: TokenKind::NextItem, ..self.current };
        }
    }

    /// Enters brackets of some kind, within which line ends are white space; gives what [`Parser::leave`] wants back.
    pub(super) fn enter(&mut self, delimiter: Delimiter) -> bool {
        self.open.push(delimiter);
        let outer = mem::replace(&mut self.skip_newlines, true);
        self.bump();
        outer
    }

    /// Leaves brackets by their closing token.
    pub(super) fn leave(&mut self, closer: TokenKind, outer: bool, expected: &str) -> Parsed<Token> {
        if self.current.kind != closer {
            return Err(self.expected(expected));
        }
        self.open.pop();
        self.skip_newlines = outer;
        Ok(self.bump())
    }

    /// Takes a token of a certain kind.
    pub(super) fn expect(&mut self, kind: TokenKind, expected: &str) -> Parsed<Token> {
        if self.current.kind == kind { Ok(self.bump()) } else { Err(self.expected(expected)) }
    }

    /// Takes an identifier.
    pub(super) fn identifier(&mut self, expected: &str) -> Parsed<Ident> {
        let token = self.expect(TokenKind::Identifier, expected)?;
        Ok(self.ident(token))
    }

    pub(super) fn ident(&mut self, token: Token) -> Ident {
        Ident { text: self.share(token.range()), range: token.range() }
    }

    /// The text of a range, to be kept in the tree.
    pub(super) fn share(&mut self, range: TextRange) -> Arc<str> {
        self.texts.share(&self.text[range.as_usize()])
    }

    /// Whether the current token is that word.
    pub(super) fn at_word(&self, word: &str) -> bool {
        self.current.kind == TokenKind::Identifier && self.slice(self.current.range()) == word
    }

    /// Goes one level deeper.
    pub(super) fn descend(&mut self) -> Parsed<()> {
        if self.depth >= limits::HCL_NESTING {
            let message = format!("this is nested deeper than {} levels; split it up", limits::HCL_NESTING);
            return Err(self.failure(self.current.range(), message));
        }
        self.depth += 1;
        Ok(())
    }

    /// Comes back from one level deeper.
    pub(super) fn ascend(&mut self) {
        self.depth -= 1;
    }

    /// Notes the height of a tree whose highest child is that high.
    pub(super) fn grow(&mut self, children: u32, range: TextRange) -> Parsed<()> {
        self.height = children + 1;
        if self.height > limits::HCL_HEIGHT {
            let message = format!("this expression has more than {} operators or steps in a chain; split it up", limits::HCL_HEIGHT);
            return Err(self.failure(range, message));
        }
        Ok(())
    }

    /// A failure at a range, with the current token as the place to go on from.
    pub(super) fn failure(&self, range: TextRange, message: impl Into<String>) -> Box<Failure> {
        Box::new(Failure { range, message: message.into(), resume: self.current.start })
    }

    /// A failure because something else was expected than the current token.
    pub(super) fn expected(&self, expected: &str) -> Box<Failure> {
        let hint = match self.current.kind {
            TokenKind::Unknown => self.hint(),
            _ => "",
        };
        self.failure(self.current.range(), format!("expected {expected}, found {}{hint}", self.describe(self.current)))
    }

    /// What people who write that character mostly mean.
    fn hint(&self) -> &'static str {
        match self.slice(self.current.range()) {
            "'" => " (strings stand in double quotes)",
            "`" => " (a text of several lines is a heredoc, `<<EOT`)",
            "“" | "”" | "„" => " (strings stand in straight double quotes)",
            ";" => " (items end with their line)",
            "&" => " (the operator is `&&`)",
            "|" => " (the operator is `||`)",
            _ => "",
        }
    }

    /// What a token is to a reader.
    pub(super) fn describe(&self, token: Token) -> String {
        const LONGEST: usize = 40;
        match token.kind {
            TokenKind::End => "the end of the text".to_owned(),
            TokenKind::Newline => "the end of the line".to_owned(),
            TokenKind::NextItem => "the start of the next attribute or block".to_owned(),
            TokenKind::Quote => "a string".to_owned(),
            TokenKind::Heredoc => "a heredoc".to_owned(),
            TokenKind::Unknown => {
                let text = self.slice(token.range());
                if text.chars().all(|character| character.is_ascii_graphic() || character.is_alphanumeric()) {
                    format!("`{text}`")
                } else {
                    format!("the character {}", text.escape_unicode())
                }
            }
            _ => {
                let text = self.slice(token.range());
                match text.char_indices().nth(LONGEST) {
                    Some((end, _)) => format!("`{}…`", &text[..end]),
                    None => format!("`{text}`"),
                }
            }
        }
    }

    /// Tells of an error. When there were too many, everything behind it is given up, and that is told too.
    pub(super) fn report(&mut self, range: TextRange, message: impl Into<String>, lost: TextRange) {
        if self.given_up {
            return;
        }
        self.errors.push(SyntaxError { range, message: message.into(), lost });
        if self.errors.len() >= limits::HCL_ERRORS {
            let rest = TextRange::new(lost.end.max(self.current.start).min(self.text_end()), self.text_end());
            let message = format!("the rest isn't read, because {} errors were found before it", limits::HCL_ERRORS);
            self.errors.push(SyntaxError { range: TextRange::new(rest.start, rest.start), message, lost: rest });
            self.given_up = true;
            self.go_to(rest.start);
        }
    }

    /// How far a place is indented, if nothing but white space stands before it on its line. A tab counts as one.
    pub(super) fn indentation(&self, at: u32) -> Option<u32> {
        let bytes = self.text.as_bytes();
        let first = self.text_start() as usize;
        let mut start = at as usize;
        while start > first && matches!(bytes[start - 1], b' ' | b'\t') {
            start -= 1;
        }
        (start == first || bytes[start - 1] == b'\n').then(|| at - start as u32)
    }
}
