//! How reading goes on behind an item that can't be read, so that only this item is lost.
//!
//! Everything here reads forward only: from where the item failed to where the next one can start.

use super::heredoc::next_line;
use super::lexer::{Token, TokenKind, identifier_end};
use super::parser::{Delimiter, Parser};
use super::template::{Sigil, sigil};
use crate::source::TextRange;

/// Where an item stands, which limits how far it can reach.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// How far the item's line is indented.
    pub(super) item: u32,
    /// How far the line of the enclosing block is indented.
    pub(super) block: Option<u32>,
    /// Whether the enclosing block stands on one line.
    pub(super) one_line: bool,
}

impl Limits {
    /// Whether indentation tells anything: the item is indented deeper than the block that it stands in.
    fn indentation_counts(self) -> bool {
        !self.one_line && self.block.is_none_or(|block| self.item > block)
    }
}

impl Parser<'_> {
    /// Skips the rest of an item from an offset on and stands at what follows it; gives the end of what was skipped.
    ///
    /// The item ends with its line once its brackets are closed. It ends sooner where a line looks like the head of
    /// another item and isn't indented deeper, or where a brace can only close the block around it.
    pub(super) fn skip_item(&mut self, from: u32, limits: Limits) -> u32 {
        let mut open = Open::new(std::mem::take(&mut self.open));
        self.skip_newlines = false;
        self.boundary = None;
        let mut at = self.leave_heredoc(&mut open, from);
        let mut end = at;
        loop {
            if open.list.last() == Some(&Delimiter::Quote) {
                at = self.skip_quoted(&mut open, at);
                end = at;
                continue;
            }
            let token = self.lexer.token(at, false);
            if self.ends_item(token, &open, limits) {
                self.current = token;
                self.unbalanced |= token.kind == TokenKind::End && !open.list.is_empty();
                return end;
            }
            at = token.end;
            match token.kind {
                TokenKind::Newline => {
                    open.close_quotes();
                    if open.list.is_empty() {
                        self.current = token;
                        return end;
                    }
                    continue;
                }
                TokenKind::OpenParen => open.push(Delimiter::Paren),
                TokenKind::OpenBracket => open.push(Delimiter::Bracket),
                TokenKind::OpenBrace => open.push(Delimiter::Brace),
                TokenKind::Quote => open.push(Delimiter::Quote),
                TokenKind::Heredoc => {
                    let marker = self.heredoc_marker(token);
                    at = self.behind_terminator(marker, token.end).unwrap_or(token.end);
                }
                TokenKind::CloseParen => open.close(Kind::Paren),
                TokenKind::CloseBracket => open.close(Kind::Bracket),
                TokenKind::CloseBrace | TokenKind::StripCloseBrace => open.close(Kind::Brace),
                _ => {}
            }
            end = at;
        }
    }

    /// Whether the item that is being skipped ends before a token.
    fn ends_item(&self, token: Token, open: &Open, limits: Limits) -> bool {
        match token.kind {
            TokenKind::End => true,
            TokenKind::Newline => open.list.is_empty(),
            TokenKind::CloseBrace => {
                let closes_own = open.holds(Kind::Brace);
                match self.indentation(token.start) {
                    Some(indentation) if limits.indentation_counts() => limits.block.is_some() && indentation < limits.item,
                    Some(_) => !closes_own && limits.block.is_some(),
                    None => limits.one_line && !closes_own,
                }
            }
            TokenKind::Identifier => limits.indentation_counts() && self.starts_next_item(token, limits.item),
            _ => false,
        }
    }

    /// If something failed inside a heredoc, the heredoc's end is where to go on.
    fn leave_heredoc(&mut self, open: &mut Open, from: u32) -> u32 {
        let mut at = from;
        while open.holds(Kind::Heredoc) {
            if let Some(Delimiter::Heredoc(marker)) = open.pop() {
                let line = next_line(self.text, from as usize) as u32;
                at = self.behind_terminator(marker, line).unwrap_or(from);
            }
        }
        at
    }

    /// Where the line with a heredoc's marker ends, line end not included.
    fn behind_terminator(&mut self, marker: TextRange, from: u32) -> Option<u32> {
        let marker = self.slice(marker);
        self.terminators.find(marker, from, false).map(|line| line.end)
    }

    /// Skips literal text in quotes up to the closing quote, a sequence or the line's end.
    fn skip_quoted(&self, open: &mut Open, from: u32) -> u32 {
        let bytes = self.text.as_bytes();
        let mut at = from as usize;
        loop {
            match bytes.get(at) {
                None | Some(b'\n') => {
                    open.pop();
                    return at as u32;
                }
                Some(b'"') => {
                    open.pop();
                    return at as u32 + 1;
                }
                Some(b'\\') if bytes.get(at + 1).is_some_and(|next| *next != b'\n') => at += 2,
                Some(b'$' | b'%') => match sigil(bytes, at) {
                    Sigil::Sequence => {
                        open.push(Delimiter::Sequence);
                        return at as u32 + 2;
                    }
                    Sigil::Escape => at += 3,
                    Sigil::Text => at += 1,
                },
                Some(_) => at += 1,
            }
        }
    }

    /// Whether a token begins its line, isn't indented deeper than that, and looks like the head of an item.
    pub(super) fn starts_next_item(&self, token: Token, indentation: u32) -> bool {
        token.kind == TokenKind::Identifier
            && self.indentation(token.start).is_some_and(|own| own <= indentation)
            && self.looks_like_head(token.end as usize)
    }

    /// Whether what stands behind a name on its line makes it an attribute or a block.
    fn looks_like_head(&self, behind_name: usize) -> bool {
        let bytes = self.text.as_bytes();
        let mut at = behind_name;
        let mut has_labels = false;
        loop {
            match bytes.get(at) {
                Some(b' ' | b'\t') => at += 1,
                Some(b'{') => return true,
                Some(b'=') => return !has_labels && !matches!(bytes.get(at + 1), Some(b'=' | b'>')),
                Some(b'"') => {
                    let length = bytes[at + 1..].iter().position(|byte| matches!(byte, b'"' | b'\n'));
                    match length.map(|length| at + 1 + length) {
                        Some(end) if bytes[end] == b'"' => at = end + 1,
                        _ => return false,
                    }
                    has_labels = true;
                }
                Some(_) => {
                    let end = identifier_end(self.text, at);
                    if end == at {
                        return false;
                    }
                    at = end;
                    has_labels = true;
                }
                None => return false,
            }
        }
    }

    /// How far the line of a place is indented. A tab counts as one.
    pub(super) fn line_indentation(&self, at: u32) -> u32 {
        let bytes = self.text.as_bytes();
        let first = self.text_start() as usize;
        let start = memchr::memrchr(b'\n', &bytes[first..at as usize]).map_or(first, |newline| first + newline + 1);
        bytes[start..].iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count() as u32
    }
}

/// The kinds of delimiter that recovery tells apart: whatever a `}` closes is one.
#[derive(Clone, Copy)]
enum Kind {
    Paren,
    Bracket,
    Brace,
    Quote,
    Heredoc,
}

impl Kind {
    fn of(delimiter: Delimiter) -> Self {
        match delimiter {
            Delimiter::Paren => Self::Paren,
            Delimiter::Bracket => Self::Bracket,
            Delimiter::Brace | Delimiter::Sequence => Self::Brace,
            Delimiter::Quote => Self::Quote,
            Delimiter::Heredoc(_) => Self::Heredoc,
        }
    }
}

/// What is open while an item is skipped. Counting the kinds keeps it from being searched in vain, which would take
/// quadratic time on a text with many opening brackets of one kind and many closing ones of another.
struct Open {
    list: Vec<Delimiter>,
    counts: [usize; 5],
}

impl Open {
    fn new(list: Vec<Delimiter>) -> Self {
        let mut counts = [0; 5];
        for delimiter in &list {
            counts[Kind::of(*delimiter) as usize] += 1;
        }
        Self { list, counts }
    }

    fn holds(&self, kind: Kind) -> bool {
        self.counts[kind as usize] > 0
    }

    fn push(&mut self, delimiter: Delimiter) {
        self.counts[Kind::of(delimiter) as usize] += 1;
        self.list.push(delimiter);
    }

    fn pop(&mut self) -> Option<Delimiter> {
        let delimiter = self.list.pop()?;
        self.counts[Kind::of(delimiter) as usize] -= 1;
        Some(delimiter)
    }

    /// Closes the innermost delimiter of a kind and all within it; nothing if there is none.
    fn close(&mut self, kind: Kind) {
        let left = self.counts[kind as usize].saturating_sub(1);
        while self.counts[kind as usize] > left {
            self.pop();
        }
    }

    /// At a line's end: all strings end with their line, and so does what is open within them.
    fn close_quotes(&mut self) {
        while self.holds(Kind::Quote) {
            self.pop();
        }
    }
}
