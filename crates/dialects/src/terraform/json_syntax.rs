//! Terraform's JSON syntax, brought to the same tree as the native one.
//!
//! Ranges are those of the JSON text; everything inside a string has the range of the whole string, since escapes
//! shift its bytes. What would be a nested block stays an attribute that holds an object or a list of objects: rules
//! see both alike.
//!
//! Source: Terraform language documentation, "JSON Configuration Syntax".

use keyblind_syntax::TextRange;
use keyblind_syntax::hcl;
use keyblind_syntax::hcl::ast::{
    Attribute, Block, Body, Expr, ExprKind, File, ForObject, ForTuple, Ident, Item, Label, ObjectEntry, SplatStep, SyntaxError,
    TemplatePart,
};
use keyblind_syntax::json::{self, Member, Node, NodeKind};

/// How many labels a top-level block has; what is not listed is no block.
const BLOCKS: &[(&str, usize)] = &[
    ("terraform", 0),
    ("locals", 0),
    ("variable", 1),
    ("output", 1),
    ("module", 1),
    ("provider", 1),
    ("resource", 2),
    ("data", 2),
    ("ephemeral", 2),
    ("check", 1),
    ("moved", 0),
    ("import", 0),
    ("removed", 0),
];

/// Reads a `.tf.json` or `.tfvars.json` text. Broken JSON costs the file, and says so.
pub(super) fn parse(text: &str) -> File {
    let root = match json::parse(text) {
        Ok(root) => root,
        Err(error) => {
            let whole = TextRange::new(0, text.len() as u32);
            return File { errors: vec![SyntaxError { range: error.range, message: error.message, lost: whole }], ..File::default() };
        }
    };
    let mut reader = Reader { errors: Vec::new() };
    let mut items = Vec::new();
    for object in objects(&root) {
        for member in object {
            match BLOCKS.iter().find(|(name, _)| *name == &*member.key) {
                Some((_, labels)) => reader.blocks(member, *labels, &mut items),
                None if &*member.key == "//" => {}
                // In a file of values for variables everything at the top is one.
                None => items.push(Item::Attribute(reader.attribute(member))),
            }
        }
    }
    File { body: Body { items, range: root.range }, comments: Vec::new(), errors: reader.errors }
}

/// The objects that a value stands for: itself, or the elements of a list.
fn objects(node: &Node) -> Vec<&[Member]> {
    match &node.kind {
        NodeKind::Object(members) => vec![members],
        NodeKind::Array(items) => {
            items.iter().filter_map(|item| if let NodeKind::Object(members) = &item.kind { Some(&members[..]) } else { None }).collect()
        }
        _ => Vec::new(),
    }
}

struct Reader {
    errors: Vec<SyntaxError>,
}

impl Reader {
    fn blocks(&mut self, member: &Member, labels: usize, items: &mut Vec<Item>) {
        let kind = Ident { text: member.key.clone(), range: member.key_range };
        self.labelled(&kind, &mut Vec::new(), labels, &member.value, items);
    }

    fn labelled(&mut self, kind: &Ident, labels: &mut Vec<Label>, missing: usize, node: &Node, items: &mut Vec<Item>) {
        if missing > 0 {
            for member in objects(node).into_iter().flatten().filter(|member| &*member.key != "//") {
                labels.push(Label { text: member.key.clone(), quoted: true, range: member.key_range });
                self.labelled(kind, labels, missing - 1, &member.value, items);
                labels.pop();
            }
            return;
        }
        for members in objects(node) {
            let body = self.body(&kind.text, members, node.range);
            let head = labels.last().map_or(kind.range, |label| label.range);
            items.push(Item::Block(Block {
                // The head is what the last label names: the kind may stand far above.
                kind: Ident { text: kind.text.clone(), range: head },
                labels: labels.iter().map(|label| Label { range: head, ..label.clone() }).collect(),
                body,
                open: TextRange::new(node.range.start, node.range.start),
                close: TextRange::new(node.range.end, node.range.end),
                range: head.cover(node.range),
            }));
        }
    }

    fn body(&mut self, kind: &str, members: &[Member], range: TextRange) -> Body {
        let mut items = Vec::new();
        for member in members.iter().filter(|member| &*member.key != "//") {
            match (kind, &*member.key) {
                (_, "dynamic") => self.blocks(member, 1, &mut items),
                ("dynamic", "content") | ("terraform", "backend" | "cloud" | "required_providers") => self.blocks(member, 0, &mut items),
                ("variable", "type") => items.push(Item::Attribute(self.type_attribute(member))),
                _ => items.push(Item::Attribute(self.attribute(member))),
            }
        }
        Body { items, range }
    }

    fn attribute(&mut self, member: &Member) -> Attribute {
        Attribute {
            name: Ident { text: member.key.clone(), range: member.key_range },
            equals: TextRange::new(member.key_range.end, member.key_range.end),
            value: self.expr(&member.value),
            range: member.key_range.cover(member.value.range),
        }
    }

    /// A type constraint is written as the text of an expression.
    fn type_attribute(&mut self, member: &Member) -> Attribute {
        let mut attribute = self.attribute(member);
        if let NodeKind::String(text) = &member.value.kind {
            let (mut expr, errors) = hcl::parse_expression(text);
            if errors.is_empty() {
                relocate(&mut expr, member.value.range);
                attribute.value = expr;
            }
        }
        attribute
    }

    fn expr(&mut self, node: &Node) -> Expr {
        let kind = match &node.kind {
            NodeKind::Null => ExprKind::Null,
            NodeKind::Bool(value) => ExprKind::Bool(*value),
            NodeKind::Number(text) => match text.strip_prefix('-') {
                Some(digits) => ExprKind::Unary {
                    op: hcl::ast::UnaryOp::Negate,
                    operand: Box::new(Expr { kind: ExprKind::Number(digits.into()), range: node.range }),
                },
                None => ExprKind::Number(text.clone()),
            },
            NodeKind::String(text) => self.text(text, node.range),
            NodeKind::Array(items) => ExprKind::Tuple(items.iter().map(|item| self.expr(item)).collect()),
            NodeKind::Object(members) => {
                let entry = |member: &Member| ObjectEntry {
                    key: Expr { kind: self.text(&member.key, member.key_range), range: member.key_range },
                    value: self.expr(&member.value),
                    range: member.key_range.cover(member.value.range),
                };
                ExprKind::Object(members.iter().filter(|member| &*member.key != "//").map(entry).collect())
            }
        };
        Expr { kind, range: node.range }
    }

    /// A text is a template.
    fn text(&mut self, text: &std::sync::Arc<str>, range: TextRange) -> ExprKind {
        if !text.contains("${") && !text.contains("%{") {
            return ExprKind::String(text.clone());
        }
        let (mut parts, errors) = hcl::parse_template(text);
        self.errors.extend(errors.into_iter().map(|error| SyntaxError { range, lost: range, message: error.message }));
        relocate_parts(&mut parts, range);
        ExprKind::Template(parts)
    }
}

fn relocate_parts(parts: &mut [TemplatePart], to: TextRange) {
    for part in parts {
        match part {
            TemplatePart::Literal { range, .. } => *range = to,
            TemplatePart::Interpolation { value, range } => {
                *range = to;
                relocate(value, to);
            }
            TemplatePart::If { condition, then, otherwise, range } => {
                *range = to;
                relocate(condition, to);
                relocate_parts(then, to);
                relocate_parts(otherwise, to);
            }
            TemplatePart::For { key, value, collection, body, range } => {
                *range = to;
                for name in key.iter_mut().chain([value]) {
                    name.range = to;
                }
                relocate(collection, to);
                relocate_parts(body, to);
            }
        }
    }
}

fn relocate_steps(steps: &mut [SplatStep], to: TextRange) {
    for step in steps {
        match step {
            SplatStep::Attribute(name) => name.range = to,
            SplatStep::Index(key) => relocate(key, to),
            SplatStep::Splat { steps, .. } => relocate_steps(steps, to),
        }
    }
}

/// Gives an expression and all in it one range. The parser's depth limit bounds the recursion.
fn relocate(expr: &mut Expr, to: TextRange) {
    expr.range = to;
    match &mut expr.kind {
        ExprKind::Null | ExprKind::Bool(_) | ExprKind::Number(_) | ExprKind::String(_) | ExprKind::Variable(_) | ExprKind::Error => {}
        ExprKind::Template(parts) => relocate_parts(parts, to),
        ExprKind::Tuple(items) => items.iter_mut().for_each(|item| relocate(item, to)),
        ExprKind::Object(entries) => {
            for entry in entries {
                entry.range = to;
                relocate(&mut entry.key, to);
                relocate(&mut entry.value, to);
            }
        }
        ExprKind::Attribute { base, name } => {
            name.range = to;
            relocate(base, to);
        }
        ExprKind::Index { base, key } => {
            relocate(base, to);
            relocate(key, to);
        }
        ExprKind::Splat { base, steps, .. } => {
            relocate(base, to);
            relocate_steps(steps, to);
        }
        ExprKind::Call { name, arguments, .. } => {
            name.range = to;
            arguments.iter_mut().for_each(|argument| relocate(argument, to));
        }
        ExprKind::Unary { operand, .. } => relocate(operand, to),
        ExprKind::Binary { left, right, .. } => {
            relocate(left, to);
            relocate(right, to);
        }
        ExprKind::Conditional { condition, then, otherwise } => {
            for part in [condition, then, otherwise] {
                relocate(part, to);
            }
        }
        ExprKind::ForTuple(walk) => {
            let ForTuple { key, value, collection, body, condition } = &mut **walk;
            for name in key.iter_mut().chain([value]) {
                name.range = to;
            }
            for part in [collection, body].into_iter().chain(condition) {
                relocate(part, to);
            }
        }
        ExprKind::ForObject(walk) => {
            let ForObject { key, value, collection, body_key, body, condition, .. } = &mut **walk;
            for name in key.iter_mut().chain([value]) {
                name.range = to;
            }
            for part in [collection, body_key, body].into_iter().chain(condition) {
                relocate(part, to);
            }
        }
        ExprKind::Paren(inner) => relocate(inner, to),
    }
}
