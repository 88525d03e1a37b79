//! Expressions.

use super::ast::{BinaryOp, Expr, ExprKind, ForObject, ForTuple, Ident, ObjectEntry, SplatStep, UnaryOp};
use super::lexer::TokenKind;
use super::parser::{Delimiter, Parsed, Parser};
use crate::source::TextRange;

/// An infix operator and how tight it binds; higher binds tighter.
fn binary_operator(kind: TokenKind) -> Option<(BinaryOp, u8)> {
    Some(match kind {
        TokenKind::Or => (BinaryOp::Or, 1),
        TokenKind::And => (BinaryOp::And, 2),
        TokenKind::Equal => (BinaryOp::Equal, 3),
        TokenKind::NotEqual => (BinaryOp::NotEqual, 3),
        TokenKind::Greater => (BinaryOp::Greater, 4),
        TokenKind::GreaterOrEqual => (BinaryOp::GreaterOrEqual, 4),
        TokenKind::Less => (BinaryOp::Less, 4),
        TokenKind::LessOrEqual => (BinaryOp::LessOrEqual, 4),
        TokenKind::Plus => (BinaryOp::Add, 5),
        TokenKind::Minus => (BinaryOp::Subtract, 5),
        TokenKind::Star => (BinaryOp::Multiply, 6),
        TokenKind::Slash => (BinaryOp::Divide, 6),
        TokenKind::Percent => (BinaryOp::Modulo, 6),
        _ => return None,
    })
}

impl Parser<'_> {
    /// Reads an expression. Line ends belong to it only inside brackets.
    pub(super) fn expression(&mut self) -> Parsed<Expr> {
        self.descend()?;
        let condition = self.binary(0)?;
        let expression = if self.current.kind == TokenKind::Question { self.conditional(condition)? } else { condition };
        self.ascend();
        Ok(expression)
    }

    /// Reads on behind a condition, standing at its `?`.
    fn conditional(&mut self, condition: Expr) -> Parsed<Expr> {
        let mut height = self.height;
        self.bump();
        let then = self.expression()?;
        height = height.max(self.height);
        self.expect(TokenKind::Colon, "an operator or `:` and the value for when the condition is false")?;
        let otherwise = self.expression()?;
        height = height.max(self.height);
        let range = condition.range.cover(otherwise.range);
        self.grow(height, range)?;
        let kind = ExprKind::Conditional { condition: Box::new(condition), then: Box::new(then), otherwise: Box::new(otherwise) };
        Ok(Expr { kind, range })
    }

    /// Reads operands and infix operators that bind at least that tight.
    fn binary(&mut self, loosest: u8) -> Parsed<Expr> {
        let mut left = self.operand()?;
        while let Some((op, level)) = binary_operator(self.current.kind) {
            if level < loosest {
                break;
            }
            let height = self.height;
            self.bump();
            let right = self.binary(level + 1)?;
            let range = left.range.cover(right.range);
            self.grow(height.max(self.height), range)?;
            left = Expr { kind: ExprKind::Binary { op, left: Box::new(left), right: Box::new(right) }, range };
        }
        Ok(left)
    }

    /// Reads a term with its prefix operators and what is attached to it.
    fn operand(&mut self) -> Parsed<Expr> {
        let op = match self.current.kind {
            TokenKind::Minus => UnaryOp::Negate,
            TokenKind::Not => UnaryOp::Not,
            _ => {
                let term = self.term()?;
                return self.attachments(term);
            }
        };
        self.descend()?;
        let start = self.bump().range();
        let operand = self.operand()?;
        self.ascend();
        let range = start.cover(operand.range);
        self.grow(self.height, range)?;
        Ok(Expr { kind: ExprKind::Unary { op, operand: Box::new(operand) }, range })
    }

    /// Reads the attribute accesses, indices and splats behind a term.
    fn attachments(&mut self, mut base: Expr) -> Parsed<Expr> {
        let start = base.range.start;
        loop {
            let height = self.height;
            let (kind, end) = match self.current.kind {
                TokenKind::Dot => {
                    self.bump();
                    match self.current.kind {
                        TokenKind::Identifier => {
                            let token = self.bump();
                            let name = self.ident(token);
                            (ExprKind::Attribute { name, base: Box::new(base) }, token.end)
                        }
                        TokenKind::Number => {
                            let key = self.legacy_index()?;
                            let end = key.range.end;
                            (ExprKind::Index { base: Box::new(base), key: Box::new(key) }, end)
                        }
                        TokenKind::Star => {
                            self.bump();
                            let steps = self.attribute_splat_steps()?;
                            (ExprKind::Splat { base: Box::new(base), steps, full: false }, self.taken)
                        }
                        _ => return Err(self.expected("an attribute name behind the `.`")),
                    }
                }
                TokenKind::OpenBracket => {
                    let outer = self.enter(Delimiter::Bracket);
                    if self.current.kind == TokenKind::Star {
                        self.bump();
                        self.leave(TokenKind::CloseBracket, outer, "`]` behind the `*` of a splat")?;
                        let steps = self.full_splat_steps()?;
                        (ExprKind::Splat { base: Box::new(base), steps, full: true }, self.taken)
                    } else {
                        let key = self.expression()?;
                        let end = self.leave(TokenKind::CloseBracket, outer, "an operator or `]` behind the index")?.end;
                        (ExprKind::Index { base: Box::new(base), key: Box::new(key) }, end)
                    }
                }
                _ => return Ok(base),
            };
            let range = TextRange::new(start, end);
            self.grow(height.max(self.height), range)?;
            base = Expr { kind, range };
        }
    }

    /// Reads the `0` of the old form `a.0`.
    fn legacy_index(&mut self) -> Parsed<Expr> {
        let token = self.current;
        if self.slice(token.range()).contains(['.', 'e', 'E']) {
            let message = format!("{} behind a `.` reads as a fraction; write `[0][1]` instead of `.0.1`", self.describe(token));
            return Err(self.failure(token.range(), message));
        }
        self.bump();
        Ok(Expr { kind: ExprKind::Number(self.share(token.range())), range: token.range() })
    }

    /// Reads the steps behind `.*`: attributes and old-style indices. Sets the height that they add.
    fn attribute_splat_steps(&mut self) -> Parsed<Vec<SplatStep>> {
        let mut steps = Vec::new();
        while self.current.kind == TokenKind::Dot {
            self.bump();
            steps.push(match self.current.kind {
                TokenKind::Identifier => {
                    let token = self.bump();
                    SplatStep::Attribute(self.ident(token))
                }
                TokenKind::Number => SplatStep::Index(self.legacy_index()?),
                TokenKind::Star => {
                    let message = "a `.*` can't stand inside another `.*`; use `[*]` for the outer one";
                    return Err(self.failure(self.current.range(), message));
                }
                _ => return Err(self.expected("an attribute name behind the `.`")),
            });
        }
        self.height = steps.len() as u32;
        Ok(steps)
    }

    /// Reads the steps behind `[*]`: everything that is attached. Sets the height that they add.
    fn full_splat_steps(&mut self) -> Parsed<Vec<SplatStep>> {
        self.descend()?;
        let mut steps = Vec::new();
        let mut height = 0;
        loop {
            self.height = 0;
            match self.current.kind {
                TokenKind::Dot => {
                    self.bump();
                    steps.push(match self.current.kind {
                        TokenKind::Identifier => {
                            let token = self.bump();
                            SplatStep::Attribute(self.ident(token))
                        }
                        TokenKind::Number => SplatStep::Index(self.legacy_index()?),
                        TokenKind::Star => {
                            self.bump();
                            SplatStep::Splat { steps: self.attribute_splat_steps()?, full: false }
                        }
                        _ => return Err(self.expected("an attribute name behind the `.`")),
                    });
                }
                TokenKind::OpenBracket => {
                    let outer = self.enter(Delimiter::Bracket);
                    if self.current.kind == TokenKind::Star {
                        self.bump();
                        self.leave(TokenKind::CloseBracket, outer, "`]` behind the `*` of a splat")?;
                        steps.push(SplatStep::Splat { steps: self.full_splat_steps()?, full: true });
                    } else {
                        let key = self.expression()?;
                        self.leave(TokenKind::CloseBracket, outer, "an operator or `]` behind the index")?;
                        steps.push(SplatStep::Index(key));
                    }
                }
                _ => break,
            }
            height = height.max(self.height);
        }
        self.ascend();
        self.grow(height + steps.len() as u32, self.current.range())?;
        Ok(steps)
    }

    /// Reads a term without what is attached to it.
    fn term(&mut self) -> Parsed<Expr> {
        match self.current.kind {
            TokenKind::Identifier => self.word(),
            TokenKind::Quote => self.quoted(),
            TokenKind::Number => self.number(),
            TokenKind::OpenBracket => self.tuple(),
            TokenKind::OpenBrace => self.object(),
            TokenKind::OpenParen => self.parenthesized(),
            TokenKind::Heredoc => self.heredoc(),
            _ => Err(self.expected("a value")),
        }
    }

    /// Reads a variable, a keyword value or a function call.
    fn word(&mut self) -> Parsed<Expr> {
        let token = self.bump();
        if matches!(self.current.kind, TokenKind::OpenParen | TokenKind::DoubleColon) {
            return self.call(token.range());
        }
        self.height = 1;
        let kind = match self.slice(token.range()) {
            "true" => ExprKind::Bool(true),
            "false" => ExprKind::Bool(false),
            "null" => ExprKind::Null,
            _ => ExprKind::Variable(self.share(token.range())),
        };
        Ok(Expr { kind, range: token.range() })
    }

    fn number(&mut self) -> Parsed<Expr> {
        let token = self.current;
        let text = self.slice(token.range());
        if text.bytes().filter(|&byte| byte == b'.').count() > 1 || text.bytes().filter(u8::is_ascii_alphabetic).count() > 1 {
            return Err(self.failure(token.range(), format!("{} is no number", self.describe(token))));
        }
        self.bump();
        self.height = 1;
        Ok(Expr { kind: ExprKind::Number(self.share(token.range())), range: token.range() })
    }

    fn parenthesized(&mut self) -> Parsed<Expr> {
        let start = self.current.start;
        let outer = self.enter(Delimiter::Paren);
        let inner = self.expression()?;
        let height = self.height;
        let end = self.leave(TokenKind::CloseParen, outer, "an operator or `)`")?.end;
        let range = TextRange::new(start, end);
        self.grow(height, range)?;
        Ok(Expr { kind: ExprKind::Paren(Box::new(inner)), range })
    }

    /// Reads on behind a function's name, or the first part of a provider function's name.
    fn call(&mut self, first: TextRange) -> Parsed<Expr> {
        let mut name = Ident { text: self.share(first), range: first };
        if self.current.kind == TokenKind::DoubleColon {
            let mut text = name.text.to_string();
            while self.current.kind == TokenKind::DoubleColon {
                self.bump();
                let part = self.expect(TokenKind::Identifier, "a function name behind the `::`")?.range();
                text.push_str("::");
                text.push_str(self.slice(part));
                name.range = name.range.cover(part);
            }
            name.text = text.into();
        }
        if self.current.kind != TokenKind::OpenParen {
            return Err(self.expected("`(` behind the function's name"));
        }
        let outer = self.enter(Delimiter::Paren);
        let mut arguments = Vec::new();
        let mut expand_last = false;
        let mut height = 0;
        while self.current.kind != TokenKind::CloseParen {
            arguments.push(self.expression()?);
            height = height.max(self.height);
            match self.current.kind {
                TokenKind::Comma => drop(self.bump()),
                TokenKind::Ellipsis => {
                    self.bump();
                    expand_last = true;
                    break;
                }
                _ => break,
            }
        }
        let expected = if expand_last { "`)` behind the `...`" } else { "an operator, `,` or `)` behind the argument" };
        let end = self.leave(TokenKind::CloseParen, outer, expected)?.end;
        let range = TextRange::new(first.start, end);
        self.grow(height, range)?;
        arguments.shrink_to_fit();
        Ok(Expr { kind: ExprKind::Call { name, arguments, expand_last }, range })
    }

    fn tuple(&mut self) -> Parsed<Expr> {
        let start = self.current.start;
        let outer = self.enter(Delimiter::Bracket);
        if self.at_word("for") {
            return self.for_tuple(start, outer);
        }
        let mut elements = Vec::new();
        let mut height = 0;
        while self.current.kind != TokenKind::CloseBracket {
            elements.push(self.expression()?);
            height = height.max(self.height);
            if self.current.kind != TokenKind::Comma {
                break;
            }
            self.bump();
        }
        let end = self.leave(TokenKind::CloseBracket, outer, "an operator, `,` or `]` behind the element")?.end;
        let range = TextRange::new(start, end);
        self.grow(height, range)?;
        elements.shrink_to_fit();
        Ok(Expr { kind: ExprKind::Tuple(elements), range })
    }

    fn object(&mut self) -> Parsed<Expr> {
        let start = self.current.start;
        let outer = self.enter(Delimiter::Brace);
        if self.at_word("for") {
            return self.for_object(start, outer);
        }
        // Line ends separate entries, even if the object itself stands in brackets.
        self.skip_newlines = false;
        let mut entries = Vec::new();
        let mut height = 0;
        loop {
            while self.current.kind == TokenKind::Newline {
                self.bump();
            }
            if self.current.kind == TokenKind::CloseBrace {
                break;
            }
            let mut key = self.expression()?;
            height = height.max(self.height);
            key.kind = match key.kind {
                ExprKind::Variable(name) => ExprKind::String(name),
                ExprKind::Bool(_) | ExprKind::Null => ExprKind::String(self.share(key.range)),
                kind => kind,
            };
            if !matches!(self.current.kind, TokenKind::Assign | TokenKind::Colon) {
                return Err(self.expected("`=` behind the key (a key with dots or spaces stands in quotes)"));
            }
            self.bump();
            let value = self.expression()?;
            height = height.max(self.height);
            let range = key.range.cover(value.range);
            entries.push(ObjectEntry { key, value, range });
            match self.current.kind {
                TokenKind::Comma | TokenKind::Newline => drop(self.bump()),
                _ => break,
            }
        }
        let end = self.leave(TokenKind::CloseBrace, outer, "an operator, `,`, a line end or `}` behind the value")?.end;
        let range = TextRange::new(start, end);
        self.grow(height, range)?;
        entries.shrink_to_fit();
        Ok(Expr { kind: ExprKind::Object(entries), range })
    }

    /// Reads `k, v in` behind a `for`.
    pub(super) fn loop_variables(&mut self) -> Parsed<(Option<Ident>, Ident)> {
        let mut key = None;
        let mut value = self.identifier("a variable name behind `for` (a key named `for` stands in quotes)")?;
        if self.current.kind == TokenKind::Comma {
            self.bump();
            key = Some(value);
            value = self.identifier("the name of the value's variable")?;
        }
        if !self.at_word("in") {
            return Err(self.expected("`in` behind the variables of `for`"));
        }
        self.bump();
        Ok((key, value))
    }

    fn for_tuple(&mut self, start: u32, outer: bool) -> Parsed<Expr> {
        self.bump();
        let (key, value) = self.loop_variables()?;
        let collection = self.expression()?;
        let mut height = self.height;
        self.expect(TokenKind::Colon, "an operator or `:` behind what `for` walks")?;
        let body = self.expression()?;
        height = height.max(self.height);
        let condition = self.for_condition(&mut height)?;
        let end = self.leave(TokenKind::CloseBracket, outer, "an operator, `if` or `]` at the end of the `for`")?.end;
        let range = TextRange::new(start, end);
        self.grow(height, range)?;
        Ok(Expr { kind: ExprKind::ForTuple(Box::new(ForTuple { key, value, collection, body, condition })), range })
    }

    fn for_object(&mut self, start: u32, outer: bool) -> Parsed<Expr> {
        self.bump();
        let (key, value) = self.loop_variables()?;
        let collection = self.expression()?;
        let mut height = self.height;
        self.expect(TokenKind::Colon, "an operator or `:` behind what `for` walks")?;
        let body_key = self.expression()?;
        height = height.max(self.height);
        self.expect(TokenKind::FatArrow, "an operator or `=>` behind the key of the `for`")?;
        let body = self.expression()?;
        height = height.max(self.height);
        let grouped = self.current.kind == TokenKind::Ellipsis;
        if grouped {
            self.bump();
        }
        let condition = self.for_condition(&mut height)?;
        let end = self.leave(TokenKind::CloseBrace, outer, "an operator, `...`, `if` or `}` at the end of the `for`")?.end;
        let range = TextRange::new(start, end);
        self.grow(height, range)?;
        let walk = ForObject { key, value, collection, body_key, body, grouped, condition };
        Ok(Expr { kind: ExprKind::ForObject(Box::new(walk)), range })
    }

    fn for_condition(&mut self, height: &mut u32) -> Parsed<Option<Expr>> {
        if !self.at_word("if") {
            return Ok(None);
        }
        self.bump();
        let condition = self.expression()?;
        *height = (*height).max(self.height);
        Ok(Some(condition))
    }
}
