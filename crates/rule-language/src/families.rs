//! Families: rules that differ in a parameter.

use std::collections::BTreeMap;

use crate::error::RuleError;
use crate::nearest::nearest;
use crate::yaml::{Entry, Node, NodeKind};

/// The most nodes that a member may become.
const MAX_NODES: usize = 100_000;

/// The family files of a folder, by name.
#[derive(Default)]
pub(crate) struct Families {
    pub(crate) by_name: BTreeMap<String, Node>,
}

impl Families {
    /// Fills a member's family in; a rule without family comes back as it is.
    pub(crate) fn resolve(&self, member: Node) -> Result<Node, Vec<RuleError>> {
        let NodeKind::Map(entries) = &member.kind else { return Ok(member) };
        let find = |key: &str| entries.iter().find(|entry| entry.key == key);
        let (family, with) = (find("family"), find("with"));
        let Some(family) = family else {
            return match with {
                Some(with) => Err(vec![RuleError::at(&with.key_at, "`with` goes only with `family`")]),
                None => Ok(member),
            };
        };
        let NodeKind::Scalar { text: name, .. } = &family.value.kind else {
            return Err(vec![RuleError::at(&family.value.at, "the name of a family is expected here")]);
        };
        let Some(template) = self.by_name.get(name) else {
            let error = RuleError::at(&family.value.at, format!("there is no family `{name}`"));
            let help = match nearest(name, self.by_name.keys().map(String::as_str)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("a family is the file `families/{name}.yaml`"),
            };
            return Err(vec![error.with_help(help)]);
        };
        let parameters = match with.map(|with| &with.value.kind) {
            None => &[][..],
            Some(NodeKind::Map(parameters)) => parameters,
            Some(_) => return Err(vec![RuleError::at(&family.key_at, "`with` is a mapping of parameters to values")]),
        };
        let mut filling = Filling { parameters, used: vec![false; parameters.len()], errors: Vec::new(), nodes: 0 };
        // Texts of the member may use the parameters as well.
        let own: Vec<Entry> =
            entries.iter().filter(|entry| entry.key != "with" && entry.key != "family").map(|entry| filling.entry(entry)).collect();
        let NodeKind::Map(inherited) = &template.kind else {
            return Err(vec![RuleError::at(&template.at, "a family is a mapping of a rule's keys")]);
        };
        let mut merged = Vec::new();
        for entry in inherited {
            if ["id", "family", "with"].contains(&entry.key.as_str()) {
                filling.errors.push(RuleError::at(&entry.key_at, format!("a family has no `{}` of its own", entry.key)));
            } else if !own.iter().any(|mine| mine.key == entry.key) {
                merged.push(filling.entry(entry));
            }
        }
        merged.extend(own);
        for (parameter, used) in parameters.iter().zip(&filling.used) {
            if !used {
                filling.errors.push(RuleError::at(&parameter.key_at, format!("the family `{name}` has no parameter `{}`", parameter.key)));
            }
        }
        if filling.errors.is_empty() { Ok(Node { kind: NodeKind::Map(merged), at: member.at.clone() }) } else { Err(filling.errors) }
    }
}

struct Filling<'a> {
    parameters: &'a [Entry],
    used: Vec<bool>,
    errors: Vec<RuleError>,
    nodes: usize,
}

impl Filling<'_> {
    fn entry(&mut self, entry: &Entry) -> Entry {
        let key = self.text(&entry.key, entry);
        Entry { key, key_at: entry.key_at.clone(), value: self.node(&entry.value) }
    }

    fn text(&mut self, text: &str, entry: &Entry) -> String {
        let node = Node { kind: NodeKind::Scalar { text: text.to_owned(), plain: false }, at: entry.key_at.clone() };
        match self.node(&node).kind {
            NodeKind::Scalar { text, .. } => text,
            _ => {
                self.errors.push(RuleError::at(&entry.key_at, "a key can't become a list or a mapping"));
                text.to_owned()
            }
        }
    }

    fn node(&mut self, node: &Node) -> Node {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            if self.nodes == MAX_NODES + 1 {
                self.errors.push(RuleError::at(&node.at, "the member of the family becomes too large"));
            }
            return node.clone();
        }
        let kind = match &node.kind {
            NodeKind::Scalar { text, plain } => return self.scalar(node, text, *plain),
            NodeKind::List(items) => NodeKind::List(items.iter().map(|item| self.node(item)).collect()),
            NodeKind::Map(entries) => NodeKind::Map(entries.iter().map(|entry| self.entry(entry)).collect()),
        };
        Node { kind, at: node.at.clone() }
    }

    fn scalar(&mut self, node: &Node, text: &str, plain: bool) -> Node {
        // Nothing but a parameter: its value with its type.
        if let Some(name) = text.trim().strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}")).map(str::trim)
            && is_name(name)
        {
            return match self.value_of(name, node) {
                Some(value) => Node { kind: value.kind, at: node.at.clone() },
                None => node.clone(),
            };
        }
        let (mut filled, mut rest) = (String::new(), text);
        while let Some((before, after)) = rest.split_once("{{") {
            filled.push_str(before);
            match after.split_once("}}") {
                Some((name, tail)) if is_name(name.trim()) => {
                    if let Some(value) = self.value_of(name.trim(), node) {
                        match &value.kind {
                            NodeKind::Scalar { text, .. } => filled.push_str(text),
                            _ => self
                                .errors
                                .push(RuleError::at(&node.at, format!("`{}` is no text and can't stand within one", name.trim()))),
                        }
                    }
                    rest = tail;
                }
                // Braces of another language, such as a template within an example.
                _ => {
                    filled.push_str("{{");
                    rest = after;
                }
            }
        }
        filled.push_str(rest);
        Node { kind: NodeKind::Scalar { text: filled, plain }, at: node.at.clone() }
    }

    fn value_of(&mut self, name: &str, node: &Node) -> Option<Node> {
        if let Some(index) = self.parameters.iter().position(|parameter| parameter.key == name) {
            self.used[index] = true;
            return Some(self.parameters[index].value.clone());
        }
        let error = RuleError::at(&node.at, format!("the parameter `{name}` has no value"));
        let help = match nearest(name, self.parameters.iter().map(|parameter| parameter.key.as_str())) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("add `{name}` under `with` of the member"),
        };
        self.errors.push(error.with_help(help));
        None
    }
}

fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'-')
}
