//! Tokens of HCL's code mode: everything outside the literal text of templates.
//!
//! The parser asks for one token at a time and says from where, because only it knows whether a quote or a brace
//! leads into literal text, and whether line ends count.

use memchr::memchr;

use super::ast::Comment;
use crate::source::TextRange;

/// The kinds of token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenKind {
    Identifier,
    Number,
    /// The `"` that opens a string; its content is not a token.
    Quote,
    /// `<<MARKER` or `<<-MARKER` with its line end; its content is not a token.
    Heredoc,
    OpenBrace,
    CloseBrace,
    /// `~}`, which ends a template sequence and strips the white space behind it.
    StripCloseBrace,
    OpenBracket,
    CloseBracket,
    OpenParen,
    CloseParen,
    Dot,
    Ellipsis,
    Comma,
    Colon,
    DoubleColon,
    Question,
    Assign,
    FatArrow,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    And,
    Or,
    Not,
    Plus,
    Minus,
    Star,
    Slash,
    Percent,
    Newline,
    /// The end of the text.
    End,
    /// The start of the next item where an expression should have gone on. The lexer doesn't make it; the parser does
    /// while it lets indentation decide.
    NextItem,
    /// A character that HCL has no use for.
    Unknown,
}

/// A token: its kind and its bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    pub(super) start: u32,
    pub(super) end: u32,
}

impl Token {
    pub(super) fn new(kind: TokenKind, start: usize, end: usize) -> Self {
        Self { kind, start: start as u32, end: end as u32 }
    }

    pub(super) fn range(self) -> TextRange {
        TextRange::new(self.start, self.end)
    }
}

/// Reads tokens and keeps the comments that it passes.
#[derive(Debug)]
pub(super) struct Lexer<'text> {
    text: &'text str,
    pub(super) comments: Vec<Comment>,
    /// A `/*` without its `*/`; it reaches to the end of the text.
    pub(super) unclosed_comment: Option<TextRange>,
}

impl<'text> Lexer<'text> {
    /// Reads from a text that is short enough for 32-bit offsets.
    pub(super) fn new(text: &'text str) -> Self {
        Self { text, comments: Vec::new(), unclosed_comment: None }
    }

    /// The first token at or behind an offset. White space and comments are passed over, line ends only if asked for.
    pub(super) fn token(&mut self, from: u32, skip_newlines: bool) -> Token {
        let bytes = self.text.as_bytes();
        let mut at = from as usize;
        loop {
            let Some(&byte) = bytes.get(at) else {
                return Token::new(TokenKind::End, bytes.len(), bytes.len());
            };
            match byte {
                b' ' | b'\t' => at += bytes[at..].iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count(),
                b'\n' if skip_newlines => at += 1,
                b'\n' => return Token::new(TokenKind::Newline, at, at + 1),
                b'\r' if bytes.get(at + 1) == Some(&b'\n') => {
                    if !skip_newlines {
                        return Token::new(TokenKind::Newline, at, at + 2);
                    }
                    at += 2;
                }
                b'#' => at = self.line_comment(at),
                b'/' => match bytes.get(at + 1) {
                    Some(b'/') => at = self.line_comment(at),
                    Some(b'*') => at = self.block_comment(at),
                    _ => return Token::new(TokenKind::Slash, at, at + 1),
                },
                _ => return self.solid(at, byte),
            }
        }
    }

    /// A token that starts exactly here, with a byte that is neither white space nor part of a comment.
    fn solid(&self, at: usize, byte: u8) -> Token {
        let bytes = self.text.as_bytes();
        let next = bytes.get(at + 1).copied().unwrap_or(0);
        let one = |kind| Token::new(kind, at, at + 1);
        let two = |kind| Token::new(kind, at, at + 2);
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => Token::new(TokenKind::Identifier, at, identifier_end(self.text, at)),
            b'0'..=b'9' => Token::new(TokenKind::Number, at, number_end(bytes, at)),
            b'"' => one(TokenKind::Quote),
            b'{' => one(TokenKind::OpenBrace),
            b'}' => one(TokenKind::CloseBrace),
            b'[' => one(TokenKind::OpenBracket),
            b']' => one(TokenKind::CloseBracket),
            b'(' => one(TokenKind::OpenParen),
            b')' => one(TokenKind::CloseParen),
            b',' => one(TokenKind::Comma),
            b'.' if next == b'.' && bytes.get(at + 2) == Some(&b'.') => Token::new(TokenKind::Ellipsis, at, at + 3),
            b'.' => one(TokenKind::Dot),
            b':' if next == b':' => two(TokenKind::DoubleColon),
            b':' => one(TokenKind::Colon),
            b'?' => one(TokenKind::Question),
            b'=' if next == b'=' => two(TokenKind::Equal),
            b'=' if next == b'>' => two(TokenKind::FatArrow),
            b'=' => one(TokenKind::Assign),
            b'!' if next == b'=' => two(TokenKind::NotEqual),
            b'!' => one(TokenKind::Not),
            b'<' if next == b'=' => two(TokenKind::LessOrEqual),
            b'<' if next == b'<' => self.heredoc_opening(at).unwrap_or_else(|| one(TokenKind::Less)),
            b'<' => one(TokenKind::Less),
            b'>' if next == b'=' => two(TokenKind::GreaterOrEqual),
            b'>' => one(TokenKind::Greater),
            b'&' if next == b'&' => two(TokenKind::And),
            b'|' if next == b'|' => two(TokenKind::Or),
            b'+' => one(TokenKind::Plus),
            b'-' => one(TokenKind::Minus),
            b'*' => one(TokenKind::Star),
            b'%' => one(TokenKind::Percent),
            b'~' if next == b'}' => two(TokenKind::StripCloseBrace),
            _ => {
                let end = identifier_end(self.text, at);
                if end > at {
                    return Token::new(TokenKind::Identifier, at, end);
                }
                let width = self.text[at..].chars().next().map_or(1, char::len_utf8);
                Token::new(TokenKind::Unknown, at, at + width)
            }
        }
    }

    /// `<<MARKER` or `<<-MARKER` with nothing but a line end behind it.
    fn heredoc_opening(&self, at: usize) -> Option<Token> {
        let bytes = self.text.as_bytes();
        let marker = at + 2 + usize::from(bytes.get(at + 2) == Some(&b'-'));
        let end = identifier_end(self.text, marker);
        if end == marker {
            return None;
        }
        match (bytes.get(end), bytes.get(end + 1)) {
            (Some(b'\n'), _) => Some(Token::new(TokenKind::Heredoc, at, end + 1)),
            (Some(b'\r'), Some(b'\n')) => Some(Token::new(TokenKind::Heredoc, at, end + 2)),
            _ => None,
        }
    }

    fn line_comment(&mut self, start: usize) -> usize {
        let bytes = self.text.as_bytes();
        let end = memchr(b'\n', &bytes[start..]).map_or(bytes.len(), |length| start + length);
        let end = if end < bytes.len() && bytes[end - 1] == b'\r' { end - 1 } else { end };
        self.keep_comment(start, end);
        end
    }

    fn block_comment(&mut self, start: usize) -> usize {
        let bytes = self.text.as_bytes();
        let end = match memchr::memmem::find(&bytes[start + 2..], b"*/") {
            Some(length) => start + 2 + length + 2,
            None => {
                self.unclosed_comment = Some(TextRange::new(start as u32, bytes.len() as u32));
                bytes.len()
            }
        };
        self.keep_comment(start, end);
        end
    }

    /// Keeps a comment unless it was passed before: recovery may read a stretch twice.
    fn keep_comment(&mut self, start: usize, end: usize) {
        let range = TextRange::new(start as u32, end as u32);
        if self.comments.last().is_none_or(|last| last.range.end <= range.start) {
            self.comments.push(Comment { range });
        }
    }
}

/// Which ASCII characters may follow in an identifier.
const CONTINUES_IDENTIFIER: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        table[byte] = (byte as u8).is_ascii_alphanumeric() || byte as u8 == b'_' || byte as u8 == b'-';
        byte += 1;
    }
    table
};

/// Where the identifier that starts at an offset ends; the offset itself if none starts there.
///
/// `unicode-ident` knows the `XID` properties rather than the `ID` ones that the specification names. They differ in a
/// handful of compatibility characters only.
pub(super) fn identifier_end(text: &str, start: usize) -> usize {
    let bytes = text.as_bytes();
    let mut at = start;
    match bytes.get(at) {
        Some(b'a'..=b'z' | b'A'..=b'Z' | b'_') => at += 1,
        Some(0x80..) => match text[at..].chars().next() {
            Some(first) if unicode_ident::is_xid_start(first) => at += first.len_utf8(),
            _ => return start,
        },
        _ => return start,
    }
    loop {
        at += bytes[at..].iter().take_while(|byte| CONTINUES_IDENTIFIER[usize::from(**byte)]).count();
        match bytes.get(at) {
            Some(0x80..) => match text[at..].chars().next() {
                Some(next) if unicode_ident::is_xid_continue(next) => at += next.len_utf8(),
                _ => return at,
            },
            _ => return at,
        }
    }
}

/// Where a number ends. Dots belong to it only if a digit or an exponent follows, so that `a.0.b` works; more than one
/// dot is taken too, because HCL reads `1.2.3` as one bad number and not as three things.
fn number_end(bytes: &[u8], start: usize) -> usize {
    let mut end = start + 1;
    let mut at = end;
    loop {
        match bytes.get(at) {
            Some(b'0'..=b'9') => {
                at += 1;
                end = at;
            }
            Some(b'.') => at += 1,
            Some(b'e' | b'E') => {
                let digit = at + 1 + usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
                if !bytes.get(digit).is_some_and(u8::is_ascii_digit) {
                    return end;
                }
                at = digit + 1;
                end = at;
            }
            _ => return end,
        }
    }
}
