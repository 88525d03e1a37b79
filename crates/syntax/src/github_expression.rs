//! Expressions of GitHub Actions: `${{ … }}` in a text, parsed with ranges.
//!
//! Source: GitHub Docs, "Evaluate expressions in workflows and actions" and "Contexts reference". Names are compared
//! without regard to case, as GitHub does; paths are given in lower case.

mod parser;
mod tokens;

use crate::source::TextRange;

pub use parser::parse;

/// `${{ … }}` in a text.
#[derive(Clone, Debug)]
pub struct Placeholder {
    /// All of it, brackets included.
    pub range: TextRange,
    /// What stands between the brackets, white space around it left out.
    pub inner: TextRange,
    /// The expression, or why there is none.
    pub expression: Result<Expression, ExpressionError>,
}

/// An expression and its bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct Expression {
    /// What it is.
    pub kind: ExpressionKind,
    /// Its bytes; brackets around it aren't part of them.
    pub range: TextRange,
}

/// The kinds of expression.
#[derive(Clone, Debug, PartialEq)]
pub enum ExpressionKind {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// A number as it was written.
    Number(String),
    /// `'text'`, quotes undone.
    String(String),
    /// A context, or a part of one: `github.event.issue.title`, `matrix['os']`, `fromJSON(x).name`.
    Access {
        /// What it begins with: a name, or a call.
        base: Base,
        /// The steps from there.
        steps: Vec<AccessStep>,
    },
    /// `!a`
    Not(Box<Expression>),
    /// `a && b` and the like.
    Binary {
        /// Between the two.
        operator: Operator,
        /// Left of it.
        left: Box<Expression>,
        /// Right of it.
        right: Box<Expression>,
    },
}

/// What an access begins with.
#[derive(Clone, Debug, PartialEq)]
pub enum Base {
    /// A context's name in lower case.
    Name(String),
    /// `function(argument, …)`
    Call {
        /// The function's name in lower case.
        function: String,
        /// Its arguments.
        arguments: Vec<Expression>,
    },
    /// An expression in parentheses.
    Group(Box<Expression>),
}

/// One step of an access.
#[derive(Clone, Debug, PartialEq)]
pub enum AccessStep {
    /// `.name`, `['name']`; in lower case.
    Name(String),
    /// `.*`, `[*]`
    Every,
    /// `[0]`, or an index that is computed.
    Index(Box<Expression>),
}

/// The operators with two sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `&&`
    And,
    /// `||`
    Or,
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

/// Why a text is no expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ExpressionError {
    /// Where.
    pub range: TextRange,
    /// What was wrong, in one sentence without a full stop.
    pub message: String,
}

/// All placeholders of a text in order. One that isn't closed is none.
pub fn placeholders(text: &str) -> Vec<Placeholder> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(at) = text[from..].find("${{").map(|at| from + at) {
        let start = at + "${{".len();
        let Some(length) = closing(&text[start..]) else {
            from = start;
            // Without any end behind this place there is none for a later beginning either.
            if !text[start..].contains("}}") {
                return found;
            }
            continue;
        };
        let written = &text[start..start + length];
        let inner_start = start + (written.len() - written.trim_start().len());
        let inner = TextRange::new(inner_start as u32, (inner_start + written.trim().len()) as u32);
        let end = start + length + "}}".len();
        found.push(Placeholder { range: TextRange::new(at as u32, end as u32), inner, expression: parse(written.trim(), inner.start) });
        from = end;
    }
    found
}

/// How far away the end of a placeholder is: `}}` outside of a text.
fn closing(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut is_quoted = false;
    let mut first = None;
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'\'' => is_quoted = !is_quoted,
            b'}' if bytes.get(at + 1) == Some(&b'}') => {
                if !is_quoted {
                    return Some(at);
                }
                first = first.or(Some(at));
            }
            // Another beginning: the quote was none.
            b'$' if is_quoted && text[at..].starts_with("${{") && first.is_some() => return first,
            _ => {}
        }
    }
    first
}

impl Expression {
    /// Every context that is read anywhere in it, with its range: `github.event.issue.title`, `steps.*.outputs.x`. What is
    /// found by an index is `*`.
    pub fn contexts(&self) -> Vec<(String, TextRange)> {
        let mut found = Vec::new();
        self.visit(&mut |expression| {
            if let Some(path) = expression.context() {
                found.push((path, expression.range));
            }
        });
        found
    }

    /// The contexts whose values may become part of the result: not those that only decide which part is taken.
    ///
    /// The left side of `&&`, what a comparison or `!` looks at, and the arguments of functions that say yes or no aren't
    /// among them.
    pub fn flowing_contexts(&self) -> Vec<(String, TextRange)> {
        let mut found = Vec::new();
        self.flow(&mut found);
        found
    }

    fn flow(&self, found: &mut Vec<(String, TextRange)>) {
        match &self.kind {
            ExpressionKind::Access { base, .. } => match base {
                Base::Name(_) => found.extend(self.context().map(|path| (path, self.range))),
                Base::Group(inner) => inner.flow(found),
                Base::Call { function, arguments } => match function.as_str() {
                    "contains" | "startswith" | "endswith" | "success" | "failure" | "always" | "cancelled" | "hashfiles" => {}
                    _ => arguments.iter().for_each(|argument| argument.flow(found)),
                },
            },
            ExpressionKind::Binary { operator: Operator::And, right, .. } => right.flow(found),
            ExpressionKind::Binary { operator: Operator::Or, left, right } => {
                left.flow(found);
                right.flow(found);
            }
            _ => {}
        }
    }

    /// The functions that are called anywhere in it, in lower case.
    pub fn functions(&self) -> Vec<&str> {
        let mut found = Vec::new();
        self.visit(&mut |expression| {
            if let ExpressionKind::Access { base: Base::Call { function, .. }, .. } = &expression.kind {
                found.push(function.as_str());
            }
        });
        found
    }

    /// The path, if it is a context or a part of one.
    pub fn context(&self) -> Option<String> {
        let ExpressionKind::Access { base: Base::Name(name), steps } = &self.kind else { return None };
        let mut path = name.clone();
        for step in steps {
            path.push('.');
            match step {
                AccessStep::Name(name) => path.push_str(name),
                AccessStep::Every | AccessStep::Index(_) => path.push('*'),
            }
        }
        Some(path)
    }

    /// Shows it and everything in it to `look`, the outer before the inner. The parser bounds how deep it is.
    pub fn visit<'a>(&'a self, look: &mut dyn FnMut(&'a Expression)) {
        look(self);
        match &self.kind {
            ExpressionKind::Access { base, steps } => {
                match base {
                    Base::Name(_) => {}
                    Base::Call { arguments, .. } => arguments.iter().for_each(|argument| argument.visit(look)),
                    Base::Group(inner) => inner.visit(look),
                }
                for step in steps {
                    if let AccessStep::Index(index) = step {
                        index.visit(look);
                    }
                }
            }
            ExpressionKind::Not(inner) => inner.visit(look),
            ExpressionKind::Binary { left, right, .. } => {
                left.visit(look);
                right.visit(look);
            }
            ExpressionKind::Null | ExpressionKind::Bool(_) | ExpressionKind::Number(_) | ExpressionKind::String(_) => {}
        }
    }
}
