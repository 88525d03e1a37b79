//! Templates as trees, whichever of the two syntaxes they are written in: calls of functions are told apart from data.

use std::sync::Arc;

use keyblind_syntax::{TextRange, json, yaml};

/// A part of a template with its place.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) range: TextRange,
    /// Where the alias stands that brings it.
    pub(super) alias: Option<TextRange>,
}

/// The kinds of part.
#[derive(Debug)]
pub(super) enum Kind {
    Null,
    Bool(bool),
    /// A number as written.
    Number(Arc<str>),
    Text(Arc<str>),
    List(Vec<Node>),
    Object(Vec<Member>),
    /// `Ref`, `Condition` or `Fn::…` and its argument; of a tag that CloudFormation doesn't know, `!Tag`.
    Call(Arc<str>, Box<Node>),
}

/// A key and its value.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) key: Arc<str>,
    pub(super) key_range: TextRange,
    pub(super) value: Node,
}

impl Member {
    /// From the key to the end of the value.
    pub(super) fn range(&self) -> TextRange {
        // What an alias brings may lie before the key.
        let end = self.value.alias.unwrap_or(self.value.range).end;
        TextRange::new(self.key_range.start, end.max(self.key_range.end))
    }
}

impl Node {
    /// The members, if it is an object.
    pub(super) fn members(&self) -> &[Member] {
        if let Kind::Object(members) = &self.kind { members } else { &[] }
    }

    /// The member of that name; of several the last, which is what counts.
    pub(super) fn member(&self, key: &str) -> Option<&Member> {
        self.members().iter().rev().find(|member| &*member.key == key)
    }

    /// The value of that name.
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        self.member(key).map(|member| &member.value)
    }

    /// The elements of a list; anything else is none.
    pub(super) fn items(&self) -> &[Node] {
        if let Kind::List(items) = &self.kind { items } else { &[] }
    }

    /// The text, if it is one.
    pub(super) fn text(&self) -> Option<&Arc<str>> {
        if let Kind::Text(text) = &self.kind { Some(text) } else { None }
    }

    /// `true`, also as the text that stands for it everywhere in CloudFormation.
    pub(super) fn is_true(&self) -> bool {
        match &self.kind {
            Kind::Bool(value) => *value,
            Kind::Text(text) => text.eq_ignore_ascii_case("true"),
            _ => false,
        }
    }

    /// Takes a tree over from JSON.
    pub(super) fn of_json(node: json::Node) -> Self {
        let kind = match node.kind {
            json::NodeKind::Null => Kind::Null,
            json::NodeKind::Bool(value) => Kind::Bool(value),
            json::NodeKind::Number(text) => Kind::Number(text),
            json::NodeKind::String(text) => Kind::Text(text),
            json::NodeKind::Array(items) => Kind::List(items.into_iter().map(Self::of_json).collect()),
            json::NodeKind::Object(members) => of_members(
                members
                    .into_iter()
                    .map(|member| Member { key: member.key, key_range: member.key_range, value: Self::of_json(member.value) })
                    .collect(),
            ),
        };
        Self { kind, range: node.range, alias: None }
    }

    /// Takes a tree over from YAML; merge keys are applied.
    pub(super) fn of_yaml(node: &yaml::Node) -> Self {
        let kind = match &node.kind {
            yaml::NodeKind::Null => Kind::Null,
            yaml::NodeKind::Bool(value) => Kind::Bool(*value),
            yaml::NodeKind::Number(text) => Kind::Number(text.clone()),
            yaml::NodeKind::String(text) => match old_boolean(text) {
                Some(value) if node.style == yaml::Style::Plain && node.tag.is_none() => Kind::Bool(value),
                _ => Kind::Text(text.clone()),
            },
            yaml::NodeKind::Sequence(items) => Kind::List(items.iter().map(Self::of_yaml).collect()),
            yaml::NodeKind::Mapping(_) => {
                let member = |entry: &yaml::Entry| {
                    // A key that is a collection names nothing that CloudFormation knows.
                    let key = entry.key.as_key().map_or_else(|| "?".into(), Arc::from);
                    Member { key, key_range: entry.key.place(), value: Self::of_yaml(&entry.value) }
                };
                of_members(node.entries().into_iter().map(member).collect())
            }
        };
        let Some(tag) = &node.tag else { return Self { kind, range: node.range, alias: node.alias } };
        let argument = Self { kind, range: node.range, alias: None };
        let range = tag.range.cover(node.range);
        Self { kind: Kind::Call(function_of(&tag.name), Box::new(argument)), range, alias: node.alias }
    }
}

/// The booleans that YAML had before version 1.2. CloudFormation reads version 1.1.
fn old_boolean(text: &str) -> Option<bool> {
    match text {
        "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Some(true),
        "no" | "No" | "NO" | "off" | "Off" | "OFF" => Some(false),
        _ => None,
    }
}

/// The full name of the function that a tag stands for.
fn function_of(tag: &Arc<str>) -> Arc<str> {
    const SHORT: &[&str] = &[
        "And",
        "Base64",
        "Cidr",
        "Equals",
        "FindInMap",
        "GetAZs",
        "GetAtt",
        "If",
        "ImportValue",
        "Join",
        "Length",
        "Not",
        "Or",
        "Select",
        "Split",
        "Sub",
        "ToJsonString",
        "Transform",
    ];
    match tag.trim_start_matches('!') {
        name @ ("Ref" | "Condition") => name.into(),
        name if SHORT.contains(&name) => format!("Fn::{name}").into(),
        _ => tag.clone(),
    }
}

/// An object, or the call that an object of one such member is.
fn of_members(mut members: Vec<Member>) -> Kind {
    // What another tool puts in before the template is a template.
    let is_directive = |key: &str| key.starts_with("Rain::");
    let is_call = |key: &str| key == "Ref" || key.starts_with("Fn::") && !key.starts_with("Fn::ForEach::") || is_directive(key);
    if members.len() == 1
        && is_call(&members[0].key)
        && let Some(member) = members.pop()
    {
        return Kind::Call(member.key, Box::new(member.value));
    }
    Kind::Object(members)
}
