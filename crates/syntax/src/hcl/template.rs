//! Templates: quoted strings, heredocs and bare template texts.
//!
//! Literal text is first cut into pieces exactly as HCL's own scanner cuts it, because strip markers and `<<-` work on
//! those pieces; then neighbours are joined and directives folded into a tree.

use std::borrow::Cow;
use std::mem;
use std::sync::Arc;

use memchr::memchr3;

use super::ast::{Expr, ExprKind, Ident, TemplatePart};
use super::heredoc::{self, terminator_at};
use super::lexer::{Token, TokenKind};
use super::parser::{Delimiter, Failure, Parsed, Parser};
use crate::limits;
use crate::source::TextRange;

/// A piece of a template, before directives are folded.
#[derive(Debug)]
pub(super) struct Piece<'text> {
    pub(super) kind: PieceKind<'text>,
    pub(super) range: TextRange,
}

/// What a piece is.
#[derive(Debug)]
pub(super) enum PieceKind<'text> {
    Literal(Cow<'text, str>),
    Interpolation(Expr),
    If(Expr),
    Else,
    EndIf,
    For { key: Option<Ident>, value: Ident, collection: Expr },
    EndFor,
}

/// The pieces of a template as they are found.
#[derive(Debug, Default)]
pub(super) struct Pieces<'text> {
    list: Vec<Piece<'text>>,
    /// Whether the sequence before asked to strip the white space behind it.
    strip_next: bool,
    /// How high the highest expression is.
    height: u32,
}

impl<'text> Pieces<'text> {
    /// Adds literal text; a strip marker before it reaches no further than this piece.
    fn literal(&mut self, text: Cow<'text, str>, range: TextRange) {
        let text = if mem::take(&mut self.strip_next) {
            match text {
                Cow::Borrowed(text) => Cow::Borrowed(text.trim_start()),
                Cow::Owned(text) => Cow::Owned(text.trim_start().to_owned()),
            }
        } else {
            text
        };
        self.list.push(Piece { kind: PieceKind::Literal(text), range });
    }

    /// Begins a sequence; its `~` strips the piece before it, if that is literal.
    fn begin_sequence(&mut self, strips: bool) {
        self.strip_next = false;
        if strips && let Some(Piece { kind: PieceKind::Literal(text), .. }) = self.list.last_mut() {
            match text {
                Cow::Borrowed(text) => *text = text.trim_end(),
                Cow::Owned(text) => text.truncate(text.trim_end().len()),
            }
        }
    }
}

/// What a `$` or `%` in literal text turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sigil {
    /// `${`, `${~`, `%{` or `%{~`
    Sequence,
    /// `$${` or `%%{`: the text `${` or `%{`.
    Escape,
    /// Itself.
    Text,
}

/// Judges the `$` or `%` at an offset.
pub(super) fn sigil(bytes: &[u8], at: usize) -> Sigil {
    match (bytes.get(at + 1), bytes.get(at + 2)) {
        (Some(b'{'), _) => Sigil::Sequence,
        (Some(next), Some(b'{')) if *next == bytes[at] => Sigil::Escape,
        _ => Sigil::Text,
    }
}

impl<'text> Parser<'text> {
    /// Reads a quoted string, standing at its opening quote.
    pub(super) fn quoted(&mut self) -> Parsed<Expr> {
        let quote = self.current;
        let bytes = self.text.as_bytes();
        let start = quote.end as usize;
        let plain = start + plain_length(&bytes[start..]);
        if bytes.get(plain) == Some(&b'"') {
            let kind = ExprKind::String(self.share(TextRange::new(start as u32, plain as u32)));
            self.height = 1;
            return Ok(self.finish_template(kind, quote.start, plain as u32 + 1, plain + 1));
        }
        self.descend()?;
        self.open.push(Delimiter::Quote);
        let mut pieces = Pieces::default();
        let mut at = start;
        loop {
            match bytes.get(at) {
                Some(b'"') => break,
                None | Some(b'\n' | b'\r') => {
                    let message = "this string isn't closed on its line: its `\"` is missing";
                    return Err(Box::new(Failure { range: quote.range(), message: message.to_owned(), resume: at as u32 }));
                }
                Some(b'$' | b'%') => at = self.sigil(&mut pieces, at)?,
                Some(_) => {
                    let end = at + quoted_literal_length(&bytes[at..]);
                    let range = TextRange::new(at as u32, end as u32);
                    let text = self.unescape(range)?;
                    pieces.literal(text, range);
                    at = end;
                }
            }
        }
        self.open.pop();
        self.ascend();
        let range = TextRange::new(quote.start, at as u32 + 1);
        let kind = self.fold(pieces, range)?;
        Ok(self.finish_template(kind, range.start, range.end, at + 1))
    }

    /// Reads a heredoc, standing at its `<<MARKER`.
    pub(super) fn heredoc(&mut self) -> Parsed<Expr> {
        let opening = self.current;
        let marker = self.heredoc_marker(opening);
        let marker_text = self.slice(marker);
        let nested = self.open.iter().any(|delimiter| matches!(delimiter, Delimiter::Heredoc(_)));
        if self.terminators.find(marker_text, opening.end, nested).is_none() {
            let message = format!("this heredoc isn't closed: a line with `{marker_text}` alone is missing");
            return Err(Box::new(Failure { range: opening.range(), message, resume: opening.end }));
        }
        self.descend()?;
        self.open.push(Delimiter::Heredoc(marker));
        let bytes = self.text.as_bytes();
        let mut pieces = Pieces::default();
        let mut at = opening.end as usize;
        let mut at_line_start = true;
        let terminator = loop {
            if at_line_start && let Some(terminator) = terminator_at(self.text, at, marker_text) {
                break terminator;
            }
            match bytes.get(at) {
                None => {
                    let message = format!("this heredoc isn't closed: a line with `{marker_text}` alone is missing");
                    return Err(Box::new(Failure { range: opening.range(), message, resume: at as u32 }));
                }
                Some(b'$' | b'%') => {
                    at = self.line_sigil(&mut pieces, at)?;
                    at_line_start = false;
                }
                Some(_) => {
                    let end = self.line_literal(&mut pieces, at);
                    at_line_start = bytes[end - 1] == b'\n';
                    at = end;
                }
            }
        };
        self.open.pop();
        self.ascend();
        if bytes[opening.start as usize + 2] == b'-' {
            heredoc::unindent(&mut pieces.list);
        }
        let range = TextRange::new(opening.start, terminator.end);
        let kind = self.fold(pieces, range)?;
        Ok(self.finish_template(kind, range.start, range.end, range.end as usize))
    }

    /// The marker of a heredoc's opening token.
    pub(super) fn heredoc_marker(&self, opening: Token) -> TextRange {
        let bytes = &self.text.as_bytes()[opening.range().as_usize()];
        let start = 2 + u32::from(bytes[2] == b'-');
        let end = bytes.len() as u32 - if bytes.ends_with(b"\r\n") { 2 } else { 1 };
        TextRange::new(opening.start + start, opening.start + end)
    }

    /// Reads the whole text as a template without quotes.
    pub(super) fn bare_template(&mut self) -> Parsed<Vec<TemplatePart>> {
        let bytes = self.text.as_bytes();
        let mut pieces = Pieces::default();
        let mut at = self.text_start() as usize;
        while let Some(byte) = bytes.get(at) {
            at = match byte {
                b'$' | b'%' => self.line_sigil(&mut pieces, at)?,
                _ => self.line_literal(&mut pieces, at),
            };
        }
        let range = TextRange::new(self.text_start(), self.text_end());
        self.fold_parts(pieces, range)
    }

    /// Reads literal text to the end of its line or the next `$` or `%`; at least one byte.
    fn line_literal(&mut self, pieces: &mut Pieces<'text>, at: usize) -> usize {
        let bytes = self.text.as_bytes();
        let end = match memchr3(b'$', b'%', b'\n', &bytes[at..]) {
            Some(length) if bytes[at + length] == b'\n' => at + length + 1,
            Some(length) => at + length,
            None => bytes.len(),
        };
        pieces.literal(Cow::Borrowed(&self.text[at..end]), TextRange::new(at as u32, end as u32));
        end
    }

    /// Reads what a `$` or `%` in a heredoc or a bare template begins; gives where the literal text goes on.
    ///
    /// HCL's scanner has a quirk there: a single byte between a `$` and the line's end belongs to the `$`. It shows where
    /// that byte is a blank, which no strip marker takes away then.
    fn line_sigil(&mut self, pieces: &mut Pieces<'text>, at: usize) -> Parsed<usize> {
        let bytes = self.text.as_bytes();
        let takes_next = matches!(bytes[at + 1..], [next, b'\n', ..] | [next, b'\r', b'\n', ..] if !matches!(next, b'{' | b'\n'));
        if !takes_next {
            return self.sigil(pieces, at);
        }
        pieces.literal(Cow::Borrowed(&self.text[at..at + 2]), TextRange::new(at as u32, at as u32 + 2));
        Ok(at + 2)
    }

    /// Reads what a `$` or `%` in literal text begins; gives where the literal text goes on.
    fn sigil(&mut self, pieces: &mut Pieces<'text>, at: usize) -> Parsed<usize> {
        let (text, end) = match sigil(self.text.as_bytes(), at) {
            Sigil::Sequence => return self.sequence(pieces, at),
            Sigil::Escape => (&self.text[at + 1..at + 3], at + 3),
            Sigil::Text => (&self.text[at..at + 1], at + 1),
        };
        pieces.literal(Cow::Borrowed(text), TextRange::new(at as u32, end as u32));
        Ok(end)
    }

    /// Reads `${ … }` or `%{ … }`.
    fn sequence(&mut self, pieces: &mut Pieces<'text>, at: usize) -> Parsed<usize> {
        let bytes = self.text.as_bytes();
        let strips = bytes.get(at + 2) == Some(&b'~');
        let opening = TextRange::new(at as u32, at as u32 + 2 + u32::from(strips));
        pieces.begin_sequence(strips);
        self.open.push(Delimiter::Sequence);
        let outer = mem::replace(&mut self.skip_newlines, true);
        self.go_to(opening.end);
        let (kind, expected) = if bytes[at] == b'$' {
            let value = self.expression()?;
            pieces.height = pieces.height.max(self.height);
            (PieceKind::Interpolation(value), "an operator or `}` (literal `${` is written `$${`)")
        } else {
            (self.directive(pieces)?, "`}` at the end of the directive (literal `%{` is written `%%{`)")
        };
        match self.current.kind {
            TokenKind::CloseBrace => {}
            TokenKind::StripCloseBrace => pieces.strip_next = true,
            _ => return Err(self.expected(expected)),
        }
        let end = self.current.end;
        self.open.pop();
        self.skip_newlines = outer;
        pieces.list.push(Piece { kind, range: TextRange::new(opening.start, end) });
        Ok(end as usize)
    }

    /// Reads what stands between `%{` and `}`.
    fn directive(&mut self, pieces: &mut Pieces<'text>) -> Parsed<PieceKind<'text>> {
        const EXPECTED: &str = "`if`, `else`, `endif`, `for` or `endfor` (literal `%{` is written `%%{`)";
        if self.current.kind != TokenKind::Identifier {
            return Err(self.expected(EXPECTED));
        }
        let word = self.current;
        let kind = match self.slice(word.range()) {
            "if" => {
                self.bump();
                PieceKind::If(self.expression()?)
            }
            "for" => {
                self.bump();
                let (key, value) = self.loop_variables()?;
                PieceKind::For { key, value, collection: self.expression()? }
            }
            "else" => PieceKind::Else,
            "endif" => PieceKind::EndIf,
            "endfor" => PieceKind::EndFor,
            _ => return Err(self.expected(EXPECTED)),
        };
        match kind {
            PieceKind::If(_) | PieceKind::For { .. } => pieces.height = pieces.height.max(self.height),
            _ => drop(self.bump()),
        }
        Ok(kind)
    }

    /// The text of a stretch of quoted literal text.
    fn unescape(&self, range: TextRange) -> Parsed<Cow<'text, str>> {
        let raw = self.slice(range);
        let Some(first) = raw.find('\\') else { return Ok(Cow::Borrowed(raw)) };
        let mut text = String::with_capacity(raw.len());
        text.push_str(&raw[..first]);
        let mut rest = &raw[first..];
        while let Some(escape) = rest.strip_prefix('\\') {
            let at = range.end - rest.len() as u32;
            let (character, length) = unescape(escape).ok_or_else(|| {
                let length = escape.chars().next().map_or(0, char::len_utf8) as u32;
                let range = TextRange::new(at, at + 1 + length);
                let message = format!(
                    "`{}` is no escape sequence; there are \\n, \\r, \\t, \\\", \\\\, \\uNNNN and \\UNNNNNNNN, and a backslash is written \\\\",
                    self.slice(range)
                );
                Box::new(Failure { range, message, resume: at })
            })?;
            text.push(character);
            rest = &escape[length..];
            let plain = rest.find('\\').unwrap_or(rest.len());
            text.push_str(&rest[..plain]);
            rest = &rest[plain..];
        }
        Ok(Cow::Owned(text))
    }

    /// Reads a block's label in quotes: a string in which sequences are not allowed.
    pub(super) fn quoted_label(&mut self) -> Parsed<(Arc<str>, TextRange)> {
        let opening = self.current;
        let value = self.quoted()?;
        match value.kind {
            ExprKind::String(text) => Ok((text, value.range)),
            _ => {
                let message = "a block's label can't hold `${` or `%{`; they are written `$${` and `%%{`";
                Err(Box::new(Failure { range: value.range, message: message.to_owned(), resume: opening.start }))
            }
        }
    }

    /// Goes on in code mode behind a template.
    fn finish_template(&mut self, kind: ExprKind, start: u32, end: u32, resume: usize) -> Expr {
        self.taken = end;
        self.go_to(resume as u32);
        Expr { kind, range: TextRange::new(start, end) }
    }

    /// Makes the expression of a template's pieces.
    fn fold(&mut self, mut pieces: Pieces<'text>, range: TextRange) -> Parsed<ExprKind> {
        if pieces.list.iter().all(|piece| matches!(piece.kind, PieceKind::Literal(_))) {
            self.height = 1;
            let text = match pieces.list.as_mut_slice() {
                [] => "".into(),
                [Piece { kind: PieceKind::Literal(text), .. }] => Arc::from(&**text),
                list => {
                    let mut joined = String::with_capacity(range.len() as usize);
                    for piece in list {
                        if let PieceKind::Literal(text) = &piece.kind {
                            joined.push_str(text);
                        }
                    }
                    joined.into()
                }
            };
            return Ok(ExprKind::String(text));
        }
        Ok(ExprKind::Template(self.fold_parts(pieces, range)?))
    }

    /// Joins neighbouring literals and folds directives into a tree.
    fn fold_parts(&mut self, pieces: Pieces<'text>, whole: TextRange) -> Parsed<Vec<TemplatePart>> {
        // The template's own text was read to its end, so reading goes on behind it.
        let failure = |range, message: String| Box::new(Failure { range, message, resume: whole.end });
        let mut folder = Folder { frames: Vec::new(), parts: Vec::new(), literal: String::new(), literal_range: None };
        let mut deepest = 0;
        for piece in pieces.list {
            let range = piece.range;
            folder.add(piece).map_err(|(range, message)| failure(range, message.to_owned()))?;
            deepest = deepest.max(folder.frames.len() as u32);
            if self.depth + deepest > limits::HCL_NESTING {
                return Err(failure(range, format!("this is nested deeper than {} levels; split it up", limits::HCL_NESTING)));
            }
        }
        folder.end_literal();
        if let Some(frame) = folder.frames.last() {
            let (range, message) = frame.unclosed();
            return Err(failure(range, message.to_owned()));
        }
        self.grow(pieces.height + deepest, whole)?;
        folder.parts.shrink_to_fit();
        Ok(folder.parts)
    }
}

/// An open directive.
#[derive(Debug)]
struct Frame {
    kind: FrameKind,
    range: TextRange,
    /// What stands before the directive.
    outer: Vec<TemplatePart>,
}

#[derive(Debug)]
enum FrameKind {
    If(Expr),
    /// With the parts before the `else`.
    Else(Expr, Vec<TemplatePart>),
    For {
        key: Option<Ident>,
        value: Ident,
        collection: Expr,
    },
}

impl Frame {
    fn unclosed(&self) -> (TextRange, &'static str) {
        match self.kind {
            FrameKind::If(_) | FrameKind::Else(..) => (self.range, "this `if` isn't closed: its `%{ endif }` is missing"),
            FrameKind::For { .. } => (self.range, "this `for` isn't closed: its `%{ endfor }` is missing"),
        }
    }
}

/// Folds pieces into parts.
#[derive(Debug)]
struct Folder {
    frames: Vec<Frame>,
    parts: Vec<TemplatePart>,
    literal: String,
    literal_range: Option<TextRange>,
}

impl Folder {
    fn add(&mut self, piece: Piece<'_>) -> Result<(), (TextRange, &'static str)> {
        let range = piece.range;
        if let PieceKind::Literal(text) = piece.kind {
            self.literal.push_str(&text);
            self.literal_range = Some(self.literal_range.map_or(range, |before| before.cover(range)));
            return Ok(());
        }
        self.end_literal();
        match piece.kind {
            PieceKind::Literal(_) => {}
            PieceKind::Interpolation(value) => self.parts.push(TemplatePart::Interpolation { value, range }),
            PieceKind::If(condition) => self.begin(FrameKind::If(condition), range),
            PieceKind::For { key, value, collection } => self.begin(FrameKind::For { key, value, collection }, range),
            PieceKind::Else => match self.frames.pop() {
                Some(Frame { kind: FrameKind::If(condition), range, outer }) => {
                    let then = mem::take(&mut self.parts);
                    self.frames.push(Frame { kind: FrameKind::Else(condition, then), range, outer });
                }
                _ => return Err((range, "this `else` belongs to no `if`")),
            },
            PieceKind::EndIf => match self.frames.pop() {
                Some(Frame { kind: FrameKind::If(condition), range: start, outer }) => {
                    let then = mem::replace(&mut self.parts, outer);
                    self.parts.push(TemplatePart::If {
                        condition: Box::new(condition),
                        then,
                        otherwise: Vec::new(),
                        range: start.cover(range),
                    });
                }
                Some(Frame { kind: FrameKind::Else(condition, then), range: start, outer }) => {
                    let otherwise = mem::replace(&mut self.parts, outer);
                    self.parts.push(TemplatePart::If { condition: Box::new(condition), then, otherwise, range: start.cover(range) });
                }
                _ => return Err((range, "this `endif` belongs to no `if`")),
            },
            PieceKind::EndFor => match self.frames.pop() {
                Some(Frame { kind: FrameKind::For { key, value, collection }, range: start, outer }) => {
                    let body = mem::replace(&mut self.parts, outer);
                    self.parts.push(TemplatePart::For { key, value, collection: Box::new(collection), body, range: start.cover(range) });
                }
                _ => return Err((range, "this `endfor` belongs to no `for`")),
            },
        }
        Ok(())
    }

    fn begin(&mut self, kind: FrameKind, range: TextRange) {
        self.frames.push(Frame { kind, range, outer: mem::take(&mut self.parts) });
    }

    /// Makes a part of the literal text so far. Text that strip markers have emptied still counts: it keeps a lone
    /// interpolation from being unwrapped, as in HCL.
    fn end_literal(&mut self) {
        if let Some(range) = self.literal_range.take() {
            self.parts.push(TemplatePart::Literal { text: self.literal.as_str().into(), range });
            self.literal.clear();
        }
    }
}

/// How many bytes at the start of a quoted string are neither its end nor special in any way.
fn plain_length(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| !matches!(byte, b'"' | b'\\' | b'$' | b'%' | b'\n' | b'\r')).count()
}

/// How many bytes at the start of quoted literal text are one piece: up to the closing quote, `$`, `%` or line end.
fn quoted_literal_length(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' | b'$' | b'%' | b'\n' | b'\r' => break,
            // An escaped quote doesn't end the string. A backslash before a line end is left for the error.
            b'\\' if matches!(bytes.get(at + 1), Some(next) if !matches!(next, b'\n' | b'\r')) => at += 2,
            _ => at += 1,
        }
    }
    at
}

/// The character that the text behind a backslash stands for, and how long that text is.
fn unescape(escape: &str) -> Option<(char, usize)> {
    let digits = match escape.as_bytes().first()? {
        b'n' => return Some(('\n', 1)),
        b'r' => return Some(('\r', 1)),
        b't' => return Some(('\t', 1)),
        b'"' => return Some(('"', 1)),
        b'\\' => return Some(('\\', 1)),
        b'u' => 4,
        b'U' => 8,
        _ => return None,
    };
    let hex = escape.get(1..1 + digits)?;
    if !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let character = char::from_u32(u32::from_str_radix(hex, 16).ok()?)?;
    Some((character, 1 + digits))
}
