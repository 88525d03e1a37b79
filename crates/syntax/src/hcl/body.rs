//! Bodies: attributes and blocks.

use super::ast::{Attribute, Block, Body, Expr, ExprKind, Ident, Item, Label};
use super::lexer::{Token, TokenKind};
use super::parser::{Failure, Guide, Parser};
use super::recovery::Limits;
use crate::source::TextRange;

/// The block around a body.
#[derive(Clone, Copy, Debug)]
struct Enclosing {
    /// How far the line is indented on which the block begins.
    indentation: u32,
    open: TextRange,
}

impl Parser<'_> {
    /// Reads the whole text as a body.
    pub(super) fn file_body(&mut self) -> Body {
        let start = self.text_start();
        self.start();
        let (mut items, _) = self.items(None);
        items.shrink_to_fit();
        Body { items, range: TextRange::new(start, self.text_end()) }
    }

    /// Reads items up to the end of the text, or up to and with the closing brace. Gives the brace too; its range is
    /// empty where it is missing.
    fn items(&mut self, enclosing: Option<Enclosing>) -> (Vec<Item>, TextRange) {
        let mut items = Vec::new();
        let mut one_line = enclosing.is_some() && !matches!(self.current.kind, TokenKind::Newline | TokenKind::CloseBrace);
        loop {
            let start = self.current;
            match (start.kind, enclosing) {
                (TokenKind::Newline, _) => {
                    if one_line {
                        let message = "a block that begins on the line of its `{` must end there too";
                        self.report(start.range(), message, TextRange::new(start.start, start.start));
                        one_line = false;
                    }
                    self.bump();
                }
                (TokenKind::End, None) => return (items, TextRange::new(start.start, start.start)),
                (TokenKind::End, Some(block)) => return (items, self.unclosed(block)),
                (TokenKind::CloseBrace, None) => {
                    self.unbalanced = true;
                    self.bump();
                    self.report(start.range(), "this `}` closes nothing", start.range());
                }
                (TokenKind::CloseBrace, Some(block)) => match self.judge_brace(block, one_line) {
                    Brace::Closes => {
                        self.bump();
                        return (items, start.range());
                    }
                    Brace::ClosesOuter => return (items, self.unclosed(block)),
                    Brace::Stray => {
                        self.bump();
                        self.report(start.range(), "this `}` closes nothing, judged by its indentation", start.range());
                    }
                },
                (TokenKind::Identifier, Some(block))
                    if self.guide == Guide::Indentation && self.starts_next_item(start, block.indentation) =>
                {
                    return (items, self.unclosed(block));
                }
                (TokenKind::Identifier, _) => {
                    let is_first = items.is_empty();
                    if let Some(item) = self.item(enclosing, one_line) {
                        if one_line && (!is_first || matches!(item, Item::Block(_))) {
                            let message = "a block on one line can hold only one attribute; write each item on a line of its own";
                            self.report(item_range(&item), message, TextRange::new(start.start, start.start));
                        }
                        items.push(item);
                    }
                }
                _ => {
                    let failure = self.expected("an attribute or a block");
                    self.lose(start.start, &failure, enclosing, one_line);
                }
            }
        }
    }

    /// Tells of a block without its `}`.
    fn unclosed(&mut self, block: Enclosing) -> TextRange {
        self.unbalanced |= !self.given_up;
        let close = TextRange::new(self.taken, self.taken);
        self.report(block.open, "this block isn't closed: its `}` is missing", close);
        close
    }

    /// What a `}` closes. While indentation decides, a brace that begins its line closes the block whose first line is
    /// indented alike.
    fn judge_brace(&self, block: Enclosing, one_line: bool) -> Brace {
        match self.indentation(self.current.start) {
            Some(indentation) if self.guide == Guide::Indentation && !one_line => {
                if indentation < block.indentation {
                    Brace::ClosesOuter
                } else if indentation > block.indentation {
                    Brace::Stray
                } else {
                    Brace::Closes
                }
            }
            _ => Brace::Closes,
        }
    }

    /// Reads an attribute or a block, standing at its name.
    fn item(&mut self, enclosing: Option<Enclosing>, one_line: bool) -> Option<Item> {
        let name_token = self.bump();
        let name = self.ident(name_token);
        let next = self.current.kind;
        match next {
            TokenKind::Assign => Some(Item::Attribute(self.attribute(name, enclosing, one_line))),
            TokenKind::Quote | TokenKind::Identifier | TokenKind::OpenBrace => self.block(name, enclosing, one_line).map(Item::Block),
            TokenKind::Newline if self.brace_below().is_some() => self.block(name, enclosing, one_line).map(Item::Block),
            _ => {
                let failure = self.expected(&format!("`=` or `{{` behind `{}`", self.describe(name_token).trim_matches('`')));
                self.lose(name.range.start, &failure, enclosing, one_line);
                None
            }
        }
    }

    /// Reads on behind an attribute's name, standing at its `=`.
    fn attribute(&mut self, name: Ident, enclosing: Option<Enclosing>, one_line: bool) -> Attribute {
        let equals = self.bump().range();
        let start = name.range.start;
        let depth = self.depth;
        if self.guide == Guide::Indentation {
            self.boundary = self.indentation(start);
        }
        let value = self.expression();
        self.boundary = None;
        let value = value.and_then(|value| match self.current.kind {
            TokenKind::Newline | TokenKind::End | TokenKind::CloseBrace | TokenKind::Comma => Ok(value),
            TokenKind::NextItem => Err(self.expected("a line end behind the value")),
            _ => Err(self.expected("an operator or a line end behind the value")),
        });
        match value {
            Ok(value) => {
                let range = name.range.cover(value.range);
                self.end_attribute(one_line);
                Attribute { name, equals, value, range }
            }
            Err(failure) => {
                self.depth = depth;
                let end = self.lose(start, &failure, enclosing, one_line);
                let range = TextRange::new(start, end.max(equals.end));
                let value = Expr { kind: ExprKind::Error, range: TextRange::new(equals.end, range.end) };
                Attribute { name, equals, value, range }
            }
        }
    }

    /// Judges what stands behind an attribute on its line. The attribute is whole whatever it is.
    fn end_attribute(&mut self, one_line: bool) {
        let token = self.current;
        match token.kind {
            TokenKind::Comma => {
                self.bump();
                self.report(token.range(), "attributes are separated by line ends, not by commas", token.range());
            }
            TokenKind::CloseBrace if !one_line => {
                let message = "this `}` must stand on a line of its own";
                self.report(token.range(), message, TextRange::new(token.start, token.start));
            }
            _ => {}
        }
    }

    /// Reads on behind a block's type. A block whose head can't be read is lost.
    fn block(&mut self, kind: Ident, enclosing: Option<Enclosing>, one_line: bool) -> Option<Block> {
        let start = kind.range.start;
        let depth = self.depth;
        let result = self.block_head(&kind).and_then(|labels| {
            self.descend()?;
            Ok(labels)
        });
        let labels = match result {
            Ok(labels) => labels,
            Err(failure) => {
                self.depth = depth;
                self.lose(start, &failure, enclosing, one_line);
                return None;
            }
        };
        let indentation = self.line_indentation(start);
        let open = self.bump().range();
        let (mut items, close) = self.items(Some(Enclosing { indentation, open }));
        items.shrink_to_fit();
        self.ascend();
        let ends_line = match self.current.kind {
            TokenKind::Newline | TokenKind::End => true,
            // A block within a block on one line is told of by the outer one.
            TokenKind::CloseBrace => one_line,
            _ => false,
        };
        if !close.is_empty() && !ends_line {
            let message = format!("expected a line end behind the block, found {}", self.describe(self.current));
            let at = self.current.start;
            self.report(self.current.range(), message, TextRange::new(at, at));
        }
        // An unclosed block reaches as far as what was read in it.
        let range = TextRange::new(start, close.end.max(open.end));
        let body = Body { items, range: TextRange::new(open.end, close.start.max(open.end)) };
        Some(Block { kind, labels, body, open, close, range })
    }

    /// Reads a block's labels up to its `{`.
    fn block_head(&mut self, kind: &Ident) -> Result<Vec<Label>, Box<Failure>> {
        let mut labels = Vec::new();
        loop {
            let next = self.current.kind;
            match next {
                TokenKind::OpenBrace => {
                    labels.shrink_to_fit();
                    return Ok(labels);
                }
                TokenKind::Identifier => {
                    let label = self.bump();
                    let Ident { text, range } = self.ident(label);
                    labels.push(Label { text, quoted: false, range });
                }
                TokenKind::Quote => {
                    let (text, range) = self.quoted_label()?;
                    labels.push(Label { text, quoted: true, range });
                }
                TokenKind::Newline if let Some(brace) = self.brace_below() => {
                    let message = "the `{` of a block must stand on the line of its head";
                    self.report(brace.range(), message, TextRange::new(brace.start, brace.start));
                    self.go_to(brace.start);
                }
                _ => return Err(self.expected(&format!("a label or `{{` in the head of the `{}` block", kind.text))),
            }
        }
    }

    /// Standing at a line's end: the `{` that the next line with anything on it begins with.
    fn brace_below(&mut self) -> Option<Token> {
        let next = self.lexer.token(self.current.start, true);
        (next.kind == TokenKind::OpenBrace).then_some(next)
    }

    /// Reports a failure and goes on where the next item can start. Gives the end of what is lost.
    fn lose(&mut self, start: u32, failure: &Failure, enclosing: Option<Enclosing>, one_line: bool) -> u32 {
        let limits = Limits { item: self.line_indentation(start), block: enclosing.map(|block| block.indentation), one_line };
        let end = self.skip_item(failure.resume, limits).max(failure.range.end.min(self.current.start)).max(start);
        let lost = self.slice(TextRange::new(start, end)).trim_end_matches([' ', '\t', '\r', '\n']);
        let end = start + lost.len() as u32;
        self.taken = self.taken.max(end);
        if self.given_up {
            // The rest was given up in the middle of this item, so the item belongs to the rest.
            if let Some(rest) = self.errors.last_mut() {
                rest.lost.start = rest.lost.start.min(start);
            }
        }
        self.report(failure.range, failure.message.as_str(), TextRange::new(start, end));
        end
    }
}

/// What a `}` is.
enum Brace {
    Closes,
    ClosesOuter,
    Stray,
}

fn item_range(item: &Item) -> TextRange {
    match item {
        Item::Attribute(attribute) => attribute.range,
        Item::Block(block) => block.range,
    }
}
