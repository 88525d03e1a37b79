//! Changes within a JSON document that stands in a heredoc.
//!
//! The text between the markers is read as JSON with everything that Terraform puts in blotted out by as many bytes, so
//! that what is found there has the same place in the file.

use keyblind_resource::Resource;
use keyblind_rule_language::Literal;
use keyblind_rules::{Change, Wanted};
use keyblind_syntax::hcl::ast::{Expr, ExprKind, TemplatePart};
use keyblind_syntax::json::{self, Member, Node, NodeKind};
use keyblind_syntax::{FileId, TextRange};

use super::{Drafting, Spot, layout};
use crate::hindrance::Hindrance;
use crate::instantiate::{self, Piece};
use crate::wishes::Wishes;

/// The deepest nesting that is followed.
const MAX_DEPTH: usize = 64;

impl<'t> Drafting<'t> {
    /// Changes what lies in the document of a heredoc.
    pub(super) fn heredoc(&mut self, spot: &Spot<'_>, expr: &Expr, wish: &Wishes, resource: &'t Resource) -> Result<(), Hindrance> {
        let text = self.text(spot.file);
        let body = heredoc_body(text, expr).ok_or(Hindrance::NeedsDecision)?;
        let blotted = blotted(text, body, expr).ok_or(Hindrance::NeedsDecision)?;
        let document = json::parse(&blotted).map_err(|_| Hindrance::NeedsDecision)?;
        self.node(spot, &document, body.start, wish, resource, 0)
    }

    fn node(
        &mut self,
        spot: &Spot<'_>,
        node: &Node,
        offset: u32,
        wish: &Wishes,
        resource: &'t Resource,
        depth: usize,
    ) -> Result<(), Hindrance> {
        if depth > MAX_DEPTH {
            return Err(Hindrance::NeedsDecision);
        }
        if let Some(change) = &wish.change {
            let wanted = self.json_text(spot, change, resource)?;
            self.splice(spot.file, shifted(node.range, offset), wanted);
            return Ok(());
        }
        match &node.kind {
            NodeKind::Object(members) if wish.indices.is_empty() => {
                let renamed = self.rename(spot, members, offset, wish, resource)?;
                let mut removed = Vec::new();
                for (name, inner) in wish.names.iter().filter(|(name, _)| !renamed.iter().any(|done| *done == ***name)) {
                    let spot = spot.inner(name);
                    match members.iter().position(|member| member.key == *name) {
                        Some(at) if inner.is_removal() => removed.push(at),
                        Some(at) => self.node(&spot, &members[at].value, offset, inner, resource, depth + 1)?,
                        None if inner.is_removal() => {}
                        None => {
                            let change = inner.change.as_ref().ok_or(Hindrance::NeedsDecision)?;
                            let value = self.json_text(&spot, change, resource)?;
                            self.add_member(spot.file, members.last().ok_or(Hindrance::NeedsDecision)?, offset, name, &value);
                        }
                    }
                }
                let whole = |member: &Member| shifted(TextRange::new(member.key_range.start, member.value.range.end), offset);
                let places: Vec<TextRange> = members.iter().map(whole).collect();
                self.remove_places(spot.file, &places, &removed)
            }
            NodeKind::Array(items) if wish.names.is_empty() => {
                let removed: Vec<usize> = wish.indices.iter().filter(|(_, inner)| inner.is_removal()).map(|(index, _)| *index).collect();
                for (index, inner) in wish.indices.iter().filter(|(_, inner)| !inner.is_removal()) {
                    let item = items.get(*index).ok_or(Hindrance::NeedsDecision)?;
                    self.node(spot, item, offset, inner, resource, depth + 1)?;
                }
                let places: Vec<TextRange> = items.iter().map(|item| shifted(item.range, offset)).collect();
                self.remove_places(spot.file, &places, &removed)
            }
            _ => Err(Hindrance::NeedsDecision),
        }
    }

    /// A member that goes where another comes is renamed in its place: `NotAction` becomes `Action`.
    fn rename(
        &mut self,
        spot: &Spot<'_>,
        members: &[Member],
        offset: u32,
        wish: &Wishes,
        resource: &'t Resource,
    ) -> Result<Vec<String>, Hindrance> {
        let mut done = Vec::new();
        for (name, inner) in wish.names.iter().filter(|(_, inner)| !inner.is_removal()) {
            let negated = format!("Not{name}");
            let Some(change) = inner.change.as_ref().filter(|_| !members.iter().any(|member| member.key == *name)) else { continue };
            let is_it = |member: &&Member| *member.key == *negated && wish.names.get(&*negated).is_some_and(Wishes::is_removal);
            let Some(member) = members.iter().find(is_it) else { continue };
            let value = self.json_text(&spot.inner(name), change, resource)?;
            self.splice(spot.file, shifted(member.key_range, offset), format!("\"{name}\""));
            self.splice(spot.file, shifted(member.value.range, offset), value);
            done.extend([name.to_string(), negated]);
        }
        Ok(done)
    }

    /// Takes elements or members out, each with what stands between it and the next that stays.
    fn remove_places(&mut self, file: FileId, places: &[TextRange], removed: &[usize]) -> Result<(), Hindrance> {
        if removed.is_empty() {
            return Ok(());
        }
        let mut last_kept = None;
        let mut start = None;
        for (index, place) in places.iter().enumerate() {
            if removed.contains(&index) {
                start = start.or(Some(place.start));
                continue;
            }
            if let Some(start) = start.take() {
                self.splice(file, TextRange::new(start, place.start), "");
            }
            last_kept = Some(place.end);
        }
        if start.is_some() {
            // Without any left the document would say something else.
            let kept = last_kept.ok_or(Hindrance::NeedsDecision)?;
            self.splice(file, TextRange::new(kept, places.last().map_or(kept, |last| last.end)), "");
        }
        Ok(())
    }

    fn add_member(&mut self, file: FileId, last: &Member, offset: u32, name: &str, value: &str) {
        let text = self.text(file);
        let (key, end) = (shifted(last.key_range, offset), shifted(last.value.range, offset).end);
        let line = layout::line_start(text, key.start);
        let stands_alone = text[line as usize..key.start as usize].trim().is_empty();
        let gap = if stands_alone { format!("\n{}", layout::indentation(text, key.start)) } else { " ".to_owned() };
        self.splice(file, TextRange::new(end, end), format!(",{gap}\"{name}\": {value}"));
    }

    /// A change as JSON with Terraform's own parts in it.
    fn json_text(&mut self, spot: &Spot<'_>, change: &Change, resource: &'t Resource) -> Result<String, Hindrance> {
        match change {
            Change::Set(Wanted::Literal(Literal::Map(_))) => Err(Hindrance::NeedsDecision),
            // Terraform's texts are escaped as JSON's, and its lists are written alike.
            Change::Set(Wanted::Literal(literal)) => Ok(instantiate::literal_text(literal)),
            Change::Set(Wanted::Trusted { own: true }) => {
                let account = self.own_account(resource)?;
                Ok(if is_principal(spot.attribute()) { format!("{{ \"AWS\": {account} }}") } else { account })
            }
            Change::Set(Wanted::Trusted { own: false }) => {
                let variable = self.asked_principals(spot, resource)?;
                let value = encoded(&variable);
                Ok(if is_principal(spot.attribute()) { format!("{{ \"AWS\": {value} }}") } else { value })
            }
            Change::Set(Wanted::Asked(sample)) => {
                let piece = Piece::Asked { kind: "list(string)", assumed: instantiate::literal_text(sample) };
                let variable = self.piece_text(spot, piece, resource)?;
                Ok(encoded(&variable))
            }
            _ => Err(Hindrance::NeedsDecision),
        }
    }

    /// Takes lines out of a heredoc.
    pub(super) fn without_lines(&mut self, file: FileId, expr: &Expr, lines: &[Box<str>]) -> Result<(), Hindrance> {
        // A script is often handed over encoded.
        if let ExprKind::Call { name, arguments, .. } = &expr.kind
            && matches!(&*name.text, "base64encode" | "base64gzip")
            && let [argument] = &arguments[..]
        {
            return self.without_lines(file, argument, lines);
        }
        let text = self.text(file);
        let body = heredoc_body(text, expr).ok_or(Hindrance::NeedsDecision)?;
        let mut missing: Vec<&str> = lines.iter().map(|line| &**line).collect();
        let mut at = body.start;
        for line in text.get(body.as_usize()).ok_or(Hindrance::NeedsDecision)?.split_inclusive('\n') {
            let end = at + line.len() as u32;
            if let Some(index) = missing.iter().position(|known| *known == line.trim()) {
                missing.swap_remove(index);
                // The last line has its line end behind the body.
                let to = if line.ends_with('\n') { end } else { end + 1 };
                self.splice(file, TextRange::new(at, to), "");
            }
            at = end;
        }
        if missing.is_empty() { Ok(()) } else { Err(Hindrance::NeedsDecision) }
    }

    /// The account that is deployed to, as a text that JSON has alike.
    pub(super) fn own_account(&mut self, resource: &'t Resource) -> Result<String, Hindrance> {
        Ok(format!("\"arn:aws:iam::${{{}.account_id}}:root\"", self.nullary("aws_caller_identity", resource)?))
    }

    /// Principals that a person names.
    pub(super) fn asked_principals(&mut self, spot: &Spot<'_>, resource: &'t Resource) -> Result<String, Hindrance> {
        let piece = Piece::Asked { kind: "list(string)", assumed: "[\"arn:aws:iam::111122223333:role/example\"]".to_owned() };
        self.piece_text(spot, piece, resource)
    }
}

/// Whether a key of a statement holds all of its principals.
pub(super) fn is_principal(key: &str) -> bool {
    key.eq_ignore_ascii_case("principal")
}

/// An expression as a part of a JSON text.
fn encoded(expression: &str) -> String {
    format!("${{jsonencode({expression})}}")
}

fn shifted(range: TextRange, offset: u32) -> TextRange {
    TextRange::new(range.start + offset, range.end + offset)
}

/// What stands between the markers.
fn heredoc_body(text: &str, expr: &Expr) -> Option<TextRange> {
    if !matches!(expr.kind, ExprKind::String(_) | ExprKind::Template(_)) {
        return None;
    }
    let whole = text.get(expr.range.as_usize())?;
    let first = whole.strip_prefix("<<").and_then(|_| whole.find('\n'))?;
    let last = whole.trim_end().rfind('\n')?;
    (first < last).then(|| TextRange::new(expr.range.start + first as u32 + 1, expr.range.start + last as u32))
}

/// The text of a heredoc, in which what Terraform puts in is a text of as many bytes.
fn blotted(text: &str, body: TextRange, expr: &Expr) -> Option<String> {
    let mut result = String::with_capacity((body.end - body.start) as usize);
    let (mut in_string, mut escaped) = (false, false);
    let mut add = |literal: &str, result: &mut String| {
        for byte in literal.bytes() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if in_string => escaped = true,
                b'"' => in_string = !in_string,
                _ => {}
            }
        }
        result.push_str(literal);
        in_string
    };
    let mut done = body.start;
    let parts: &[TemplatePart] = if let ExprKind::Template(parts) = &expr.kind { parts } else { &[] };
    for part in parts {
        let range = match part {
            TemplatePart::Literal { .. } => continue,
            TemplatePart::Interpolation { range, .. } => *range,
            // What a directive leaves of the text depends on values.
            TemplatePart::If { .. } | TemplatePart::For { .. } => return None,
        };
        let in_string = add(text.get(done as usize..range.start as usize)?, &mut result);
        let length = (range.end - range.start) as usize;
        if in_string {
            result.extend(std::iter::repeat_n('x', length));
        } else {
            result.push('"');
            result.extend(std::iter::repeat_n('x', length.checked_sub(2)?));
            result.push('"');
        }
        done = range.end;
    }
    add(text.get(done as usize..body.end as usize)?, &mut result);
    Some(result)
}

#[cfg(test)]
mod tests {
    use keyblind_syntax::hcl;
    use keyblind_syntax::hcl::ast::Item;

    use super::{blotted, heredoc_body};

    #[test]
    fn what_is_put_in_takes_as_many_bytes() {
        let text = "a = <<EOF\n{\"x\": \"${aws_x.y.arn}/*\", \"z\": ${jsonencode(1)}}\nEOF\n";
        let file = hcl::parse(text);
        let Some(Item::Attribute(attribute)) = file.body.items.first() else { panic!("an attribute") };
        let body = heredoc_body(text, &attribute.value).unwrap();
        let blotted = blotted(text, body, &attribute.value).unwrap();
        assert_eq!(blotted.len(), (body.end - body.start) as usize);
        assert_eq!(blotted, "{\"x\": \"xxxxxxxxxxxxxx/*\", \"z\": \"xxxxxxxxxxxxxx\"}");
    }
}
