//! YAML as values. A text with `${{ … }}` in it is unknown in those parts.

use std::sync::Arc;

use keyblind_resource::{Data, Fragment, Origin, Reason, Unknown, Value};
use keyblind_syntax::github_expression::placeholders;
use keyblind_syntax::yaml::{Node, NodeKind};
use keyblind_syntax::{FileId, Site, TextRange};

/// A file that is being read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    pub(super) file: FileId,
    pub(super) text: &'a str,
}

impl Reader<'_> {
    pub(super) fn site(&self, range: TextRange) -> Site {
        Site::new(self.file, range)
    }

    /// A node as a value. The YAML parser bounds how deep it is.
    pub(super) fn value(&self, node: &Node) -> Value {
        let site = self.site(node.place());
        let data = match &node.kind {
            NodeKind::Null => Data::Null,
            NodeKind::Bool(flag) => Data::Bool(*flag),
            NodeKind::Number(number) => number.parse().map_or_else(|_| Data::String(number.clone()), Data::Number),
            NodeKind::String(text) => self.string(text),
            NodeKind::Sequence(items) => Data::Tuple(Arc::new(items.iter().map(|item| self.value(item)).collect())),
            NodeKind::Mapping(_) => {
                let entries = node.entries().into_iter().filter_map(|entry| Some((entry.key.as_key()?.into(), self.value(&entry.value))));
                Data::Object(Arc::new(entries.collect()))
            }
        };
        Value::at(data, site)
    }

    fn string(&self, text: &Arc<str>) -> Data {
        if !text.contains("${{") {
            return Data::String(text.clone());
        }
        let placeholders = placeholders(text);
        let Some(first) = placeholders.first() else { return Data::String(text.clone()) };
        let what = format!("the expression `{}`", shortened(&text[first.range.as_usize()]));
        let mut fragments = Vec::new();
        let mut from = 0;
        for placeholder in &placeholders {
            let (start, end) = (placeholder.range.start as usize, placeholder.range.end as usize);
            if from < start {
                fragments.push(Fragment::Literal(text[from..start].into()));
            }
            fragments.push(Fragment::Unknown);
            from = end;
        }
        if from < text.len() {
            fragments.push(Fragment::Literal(text[from..].into()));
        }
        // An expression may give nothing at all.
        let nullable = fragments.len() == 1;
        Data::Unknown(Arc::new(Unknown { fragments, nullable, ..Unknown::new(Reason::Unsupported { what: what.into() }) }))
    }

    /// A text as it stands, expressions and all.
    pub(super) fn verbatim(&self, node: &Node) -> Option<Value> {
        Some(Value::at(Data::String(node.as_key()?.into()), self.site(node.place())))
    }
}

/// An object that stands at a place.
pub(super) fn object_at(entries: Vec<(Arc<str>, Value)>, site: Site) -> Value {
    Value { origin: Origin::Site(site), ..Value::object(entries) }
}

/// The beginning of a text, for messages.
pub(super) fn shortened(text: &str) -> String {
    let mut short: String = text.chars().take(60).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}
