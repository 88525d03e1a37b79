//! The tree of an HCL file. Ranges are byte offsets into the text that was parsed.
//!
//! Source: the HCL native syntax specification (hashicorp/hcl, `hclsyntax/spec.md`).

use std::sync::Arc;

use crate::source::TextRange;

/// A parsed file.
#[derive(Clone, Debug, Default)]
pub struct File {
    /// Everything at the top level.
    pub body: Body,
    /// All comments in order, for suppression directives.
    pub comments: Vec<Comment>,
    /// What could not be read.
    pub errors: Vec<SyntaxError>,
}

/// A comment with its markers (`#`, `//` or `/* … */`), without the line end.
#[derive(Clone, Debug)]
pub struct Comment {
    /// The bytes, markers included.
    pub range: TextRange,
}

/// Part of a file that is not HCL.
#[derive(Clone, Debug)]
pub struct SyntaxError {
    /// Where.
    pub range: TextRange,
    /// What was expected or wrong, in one sentence without a full stop.
    pub message: String,
    /// What is lost by it: the range that was skipped (the whole block or attribute).
    pub lost: TextRange,
}

/// Attributes and blocks in the order of the text.
#[derive(Clone, Debug, Default)]
pub struct Body {
    /// The items.
    pub items: Vec<Item>,
    /// From the first byte inside the braces (or of the file) to the last.
    pub range: TextRange,
}

impl Body {
    /// All attributes.
    pub fn attributes(&self) -> impl Iterator<Item = &Attribute> {
        self.items.iter().filter_map(|item| if let Item::Attribute(attribute) = item { Some(attribute) } else { None })
    }

    /// All blocks.
    pub fn blocks(&self) -> impl Iterator<Item = &Block> {
        self.items.iter().filter_map(|item| if let Item::Block(block) = item { Some(block) } else { None })
    }

    /// The first attribute of that name.
    pub fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes().find(|attribute| &*attribute.name.text == name)
    }
}

/// One entry of a body.
#[derive(Clone, Debug)]
pub enum Item {
    /// `name = value`
    Attribute(Attribute),
    /// `kind "label" { … }`
    Block(Block),
}

/// `name = value`
#[derive(Clone, Debug)]
pub struct Attribute {
    /// The name.
    pub name: Ident,
    /// The `=` sign.
    pub equals: TextRange,
    /// The value.
    pub value: Expr,
    /// Name to value.
    pub range: TextRange,
}

/// `kind "label" label { … }`
#[derive(Clone, Debug)]
pub struct Block {
    /// The block's type.
    pub kind: Ident,
    /// Its labels.
    pub labels: Vec<Label>,
    /// What is inside.
    pub body: Body,
    /// The `{`.
    pub open: TextRange,
    /// The `}`; empty where it is missing.
    pub close: TextRange,
    /// Kind to closing brace.
    pub range: TextRange,
}

impl Block {
    /// Kind and labels, without the brace: what a reader calls the block's head.
    pub fn header(&self) -> TextRange {
        let last = self.labels.last().map_or(self.kind.range, |label| label.range);
        self.kind.range.cover(last)
    }
}

/// An identifier.
#[derive(Clone, Debug)]
pub struct Ident {
    /// Its text.
    pub text: Arc<str>,
    /// Its bytes.
    pub range: TextRange,
}

/// A block label.
#[derive(Clone, Debug)]
pub struct Label {
    /// Its text, unescaped.
    pub text: Arc<str>,
    /// Whether it stands in quotes.
    pub quoted: bool,
    /// Its bytes, quotes included.
    pub range: TextRange,
}

/// An expression. Trees are most of what a scan keeps in memory: rare large kinds are boxed, so that the frequent ones stay
/// small.
#[derive(Clone, Debug)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// Its bytes.
    pub range: TextRange,
}

/// The kinds of expression.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "each variant shows its form, which names its fields")]
pub enum ExprKind {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// A number as written (`12`, `1.5e3`); never negative, the sign is a [`UnaryOp`].
    Number(Arc<str>),
    /// A quoted string or heredoc without interpolation, unescaped and unindented.
    String(Arc<str>),
    /// A quoted string or heredoc with interpolations or directives.
    Template(Vec<TemplatePart>),
    /// `[a, b]`
    Tuple(Vec<Expr>),
    /// `{ key = value }`
    Object(Vec<ObjectEntry>),
    /// A bare identifier: the root of a traversal (`var`, `local`, `aws_s3_bucket`, a `for` variable …).
    Variable(Arc<str>),
    /// `base.name`
    Attribute { base: Box<Expr>, name: Ident },
    /// `base[key]`, and the old form `base.0`
    Index { base: Box<Expr>, key: Box<Expr> },
    /// `base[*].a.b` (full) or `base.*.a` (attribute-only): the steps apply to each element.
    Splat { base: Box<Expr>, steps: Vec<SplatStep>, full: bool },
    /// `name(a, b...)`; a provider function's name holds its `::` (`provider::aws::arn_parse`).
    Call { name: Ident, arguments: Vec<Expr>, expand_last: bool },
    /// `-a`, `!a`
    Unary { op: UnaryOp, operand: Box<Expr> },
    /// `a + b`
    Binary { op: BinaryOp, left: Box<Expr>, right: Box<Expr> },
    /// `condition ? then : otherwise`
    Conditional { condition: Box<Expr>, then: Box<Expr>, otherwise: Box<Expr> },
    /// `[for k, v in collection : value if condition]`
    ForTuple(Box<ForTuple>),
    /// `{for k, v in collection : key => value... if condition}`
    ForObject(Box<ForObject>),
    /// `( … )`
    Paren(Box<Expr>),
    /// What could not be read; the message is in [`File::errors`].
    Error,
}

/// `[for k, v in collection : value if condition]`
#[derive(Clone, Debug)]
pub struct ForTuple {
    /// The key (or index) variable.
    pub key: Option<Ident>,
    /// The value variable.
    pub value: Ident,
    /// What is walked.
    pub collection: Expr,
    /// What becomes of each element.
    pub body: Expr,
    /// The `if`.
    pub condition: Option<Expr>,
}

/// `{for k, v in collection : key => value... if condition}`
#[derive(Clone, Debug)]
pub struct ForObject {
    /// The key (or index) variable.
    pub key: Option<Ident>,
    /// The value variable.
    pub value: Ident,
    /// What is walked.
    pub collection: Expr,
    /// The result's key.
    pub body_key: Expr,
    /// The result's value.
    pub body: Expr,
    /// Whether values of equal keys are grouped (`...`).
    pub grouped: bool,
    /// The `if`.
    pub condition: Option<Expr>,
}

/// A part of a template.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "each variant shows its form, which names its fields")]
pub enum TemplatePart {
    /// Text as it ends up in the result: escapes, `~` and heredoc indentation are already applied.
    Literal { text: Arc<str>, range: TextRange },
    /// `${ … }`
    Interpolation { value: Expr, range: TextRange },
    /// `%{ if … }…%{ else }…%{ endif }`
    If { condition: Box<Expr>, then: Vec<TemplatePart>, otherwise: Vec<TemplatePart>, range: TextRange },
    /// `%{ for k, v in … }…%{ endfor }`
    For { key: Option<Ident>, value: Ident, collection: Box<Expr>, body: Vec<TemplatePart>, range: TextRange },
}

/// `key = value` inside an object.
#[derive(Clone, Debug)]
pub struct ObjectEntry {
    /// The key. A bare identifier is a literal key and is kept as [`ExprKind::String`]; `(expr)` stays [`ExprKind::Paren`].
    pub key: Expr,
    /// The value.
    pub value: Expr,
    /// Key to value.
    pub range: TextRange,
}

/// A step behind a splat.
#[derive(Clone, Debug)]
pub enum SplatStep {
    /// `.name`
    Attribute(Ident),
    /// `[key]` or `.0`
    Index(Expr),
    /// A splat inside a splat, as in `a[*].b[*].c`: for each element of `a`, the steps apply to each element of its `b`.
    /// Steps of the outer list that stand behind it apply to the list that it makes.
    Splat {
        /// The steps that apply to each element.
        steps: Vec<SplatStep>,
        /// Whether it is `[*]` rather than `.*`.
        full: bool,
    },
}

/// Prefix operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnaryOp {
    /// `-`
    Negate,
    /// `!`
    Not,
}

/// Infix operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it all")]
pub enum BinaryOp {
    Or,
    And,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
}
