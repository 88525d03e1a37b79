//! From tokens to an expression.

use super::tokens::{Token, tokens};
use super::{AccessStep, Base, Expression, ExpressionError, ExpressionKind, Operator};
use crate::limits;
use crate::source::TextRange;

/// Parses an expression without brackets around it; ranges count from `offset`.
///
/// # Errors
/// If the text isn't an expression, or is nested deeper than [`limits::GITHUB_EXPRESSION_NESTING`].
pub fn parse(text: &str, offset: u32) -> Result<Expression, ExpressionError> {
    let end = TextRange::new(offset + text.len() as u32, offset + text.len() as u32);
    let mut parser = Parser { tokens: tokens(text, offset)?, at: 0, depth: 0, end };
    let expression = parser.binary(0)?;
    match parser.tokens.get(parser.at) {
        None => Ok(expression),
        Some((_, range)) => Err(ExpressionError { range: *range, message: "the expression should end here".to_owned() }),
    }
}

/// The operators from weak to strong.
const LEVELS: &[&[(&str, Operator)]] = &[
    &[("||", Operator::Or)],
    &[("&&", Operator::And)],
    &[("==", Operator::Equal), ("!=", Operator::NotEqual)],
    &[("<", Operator::Less), ("<=", Operator::LessOrEqual), (">", Operator::Greater), (">=", Operator::GreaterOrEqual)],
];

struct Parser {
    tokens: Vec<(Token, TextRange)>,
    at: usize,
    /// How deep what is being read stands, and how high trees of one operator grow.
    depth: u32,
    end: TextRange,
}

impl Parser {
    fn range(&self) -> TextRange {
        self.tokens.get(self.at).map_or(self.end, |(_, range)| *range)
    }

    fn previous(&self) -> TextRange {
        self.at.checked_sub(1).and_then(|at| self.tokens.get(at)).map_or(self.end, |(_, range)| *range)
    }

    fn is_at(&self, mark: &str) -> bool {
        matches!(self.tokens.get(self.at), Some((Token::Mark(found), _)) if *found == mark)
    }

    fn take(&mut self, mark: &str) -> bool {
        let found = self.is_at(mark);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, mark: &str) -> Result<(), ExpressionError> {
        if self.take(mark) {
            return Ok(());
        }
        Err(ExpressionError { range: self.range(), message: format!("expected `{mark}`") })
    }

    fn deeper(&mut self) -> Result<(), ExpressionError> {
        self.depth += 1;
        if self.depth <= limits::GITHUB_EXPRESSION_NESTING {
            return Ok(());
        }
        let message = format!("this is nested deeper than {} levels", limits::GITHUB_EXPRESSION_NESTING);
        Err(ExpressionError { range: self.range(), message })
    }

    fn binary(&mut self, level: usize) -> Result<Expression, ExpressionError> {
        let Some(operators) = LEVELS.get(level) else { return self.unary() };
        let depth = self.depth;
        let mut left = self.binary(level + 1)?;
        while let Some((mark, operator)) = operators.iter().find(|(mark, _)| self.is_at(mark)) {
            self.take(mark);
            self.deeper()?;
            let right = self.binary(level + 1)?;
            let range = left.range.cover(right.range);
            left = Expression { kind: ExpressionKind::Binary { operator: *operator, left: left.into(), right: right.into() }, range };
        }
        self.depth = depth;
        Ok(left)
    }

    fn unary(&mut self) -> Result<Expression, ExpressionError> {
        let start = self.range();
        if !self.take("!") {
            return self.access();
        }
        self.deeper()?;
        let inner = self.unary()?;
        self.depth -= 1;
        let range = start.cover(inner.range);
        Ok(Expression { kind: ExpressionKind::Not(inner.into()), range })
    }

    fn access(&mut self) -> Result<Expression, ExpressionError> {
        let start = self.range();
        if self.take("(") {
            self.deeper()?;
            let inner = self.binary(0)?;
            self.depth -= 1;
            self.expect(")")?;
            let steps = self.steps()?;
            // Parentheses alone mean nothing.
            if steps.is_empty() {
                return Ok(inner);
            }
            let range = start.cover(self.previous());
            return Ok(Expression { kind: ExpressionKind::Access { base: Base::Group(inner.into()), steps }, range });
        }
        let Some((token, _)) = self.tokens.get(self.at).cloned() else {
            return Err(ExpressionError { range: self.end, message: "the expression ends too early".to_owned() });
        };
        let name = match token {
            Token::Number(number) => return Ok(self.literal(ExpressionKind::Number(number))),
            Token::String(text) => return Ok(self.literal(ExpressionKind::String(text))),
            Token::Mark(_) => return Err(ExpressionError { range: start, message: "expected a value".to_owned() }),
            Token::Name(name) => name.to_ascii_lowercase(),
        };
        self.at += 1;
        let base = if self.is_at("(") {
            let arguments = self.arguments()?;
            Base::Call { function: name, arguments }
        } else {
            let kind = match name.as_str() {
                "null" => Some(ExpressionKind::Null),
                "true" => Some(ExpressionKind::Bool(true)),
                "false" => Some(ExpressionKind::Bool(false)),
                "nan" | "infinity" => Some(ExpressionKind::Number(name.clone())),
                _ => None,
            };
            if let Some(kind) = kind {
                return Ok(Expression { kind, range: start });
            }
            Base::Name(name)
        };
        let steps = self.steps()?;
        let range = start.cover(self.previous());
        Ok(Expression { kind: ExpressionKind::Access { base, steps }, range })
    }

    fn literal(&mut self, kind: ExpressionKind) -> Expression {
        let range = self.range();
        self.at += 1;
        Expression { kind, range }
    }

    fn arguments(&mut self) -> Result<Vec<Expression>, ExpressionError> {
        self.expect("(")?;
        self.deeper()?;
        let mut arguments = Vec::new();
        while !self.is_at(")") {
            arguments.push(self.binary(0)?);
            if !self.take(",") {
                break;
            }
        }
        self.depth -= 1;
        self.expect(")")?;
        Ok(arguments)
    }

    fn steps(&mut self) -> Result<Vec<AccessStep>, ExpressionError> {
        let mut steps = Vec::new();
        loop {
            if self.take(".") {
                if self.take("*") {
                    steps.push(AccessStep::Every);
                    continue;
                }
                let Some((Token::Name(name), _)) = self.tokens.get(self.at) else {
                    return Err(ExpressionError { range: self.range(), message: "expected a name behind `.`".to_owned() });
                };
                steps.push(AccessStep::Name(name.to_ascii_lowercase()));
                self.at += 1;
            } else if self.take("[") {
                if self.take("*") {
                    steps.push(AccessStep::Every);
                } else {
                    self.deeper()?;
                    let index = self.binary(0)?;
                    self.depth -= 1;
                    steps.push(match index.kind {
                        ExpressionKind::String(name) => AccessStep::Name(name.to_lowercase()),
                        _ => AccessStep::Index(index.into()),
                    });
                }
                self.expect("]")?;
            } else {
                return Ok(steps);
            }
        }
    }
}
