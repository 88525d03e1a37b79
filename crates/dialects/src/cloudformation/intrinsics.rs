//! The functions that read, look up, and put texts together.
//!
//! Source: AWS CloudFormation Template Reference, "Intrinsic function reference".

use std::sync::Arc;

use keyblind_resource::{Data, HopKind, Origin, Unknown, Value};
use keyblind_syntax::Site;

use super::evaluate::{Evaluator, Scope, invalid, made_of_unknown};
use super::node::{Kind, Node};
use super::text::Text;
use crate::limits;
use crate::terraform::functions::{self, Host};
use crate::terraform::types;

/// The most blocks that `Fn::Cidr` makes.
const CIDR_BLOCKS: i64 = 256;

impl<'n> Evaluator<'n> {
    /// `!GetAtt Name.Attribute`, `Fn::GetAtt: [Name, Attribute]`
    pub(super) fn get_att(&self, argument: &'n Node, scope: &Scope, site: Site) -> Value {
        let parts = match &argument.kind {
            Kind::List(parts) => parts.iter().map(|part| self.name(part, scope)).collect::<Result<Vec<_>, _>>().map(|parts| {
                let attribute = parts.iter().skip(1).map(|part| &**part).collect::<Vec<_>>().join(".");
                (parts.first().cloned().unwrap_or_default(), attribute)
            }),
            _ => self.name(argument, scope).map(|both| match both.split_once('.') {
                Some((name, attribute)) => (name.into(), attribute.to_owned()),
                None => (both, String::new()),
            }),
        };
        match parts {
            Ok((name, attribute)) if !attribute.is_empty() => self.attribute(&name, &attribute, site),
            Ok(_) => invalid("`Fn::GetAtt` needs a logical id and an attribute").with_origin(Origin::Site(site)),
            Err(unknown) => made_of_unknown(&[unknown]).with_origin(Origin::Site(site)),
        }
    }

    /// `Fn::FindInMap: [Map, TopLevelKey, SecondLevelKey, {DefaultValue: …}]`
    pub(super) fn find_in_map(&self, argument: &'n Node, scope: &Scope, site: Site) -> Value {
        let found = self.look_up(argument, scope, site);
        if matches!(found.origin, Origin::None) { found.with_origin(Origin::Site(site)) } else { found }
    }

    fn look_up(&self, argument: &'n Node, scope: &Scope, site: Site) -> Value {
        let [map, top, second, rest @ ..] = argument.items() else {
            return invalid("`Fn::FindInMap` needs a map and two keys");
        };
        let map = self.eval(map, scope);
        let (top, second) = (self.eval(top, scope), self.eval(second, scope));
        let default = rest.first().and_then(|rest| rest.get("DefaultValue"));
        let Some(name) = map.as_str() else { return made_of_unknown(&[map]) };
        let Some(mapping) = self.mappings.get(name) else {
            return match default {
                Some(default) => self.eval(default, scope),
                None => invalid(format!("there is no mapping `{name}`")),
            };
        };
        let kind = HopKind::Mapping(name.into());
        let mut nodes = Vec::new();
        let mut is_complete = true;
        for inner in entries(mapping, &top, &mut is_complete) {
            nodes.extend(entries(inner, &second, &mut is_complete));
        }
        if !self.spend(nodes.len() as u64) {
            return self.out_of("evaluation steps");
        }
        let is_sure = !top.is_unknown() && !second.is_unknown();
        let mut found: Vec<Value> = Vec::new();
        for node in nodes {
            let value = self.carried_deep(self.eval(node, &Scope::default()), &kind, site);
            if !found.contains(&value) {
                found.push(value);
            }
            // Each is compared with all others.
            if found.len() > limits::CANDIDATES {
                return made_of_unknown(&[top, second]);
            }
        }
        if (found.is_empty() || !is_complete)
            && let Some(default) = default
        {
            found.push(self.eval(default, scope));
        }
        match found.len() {
            0 if is_sure => invalid(format!("the mapping `{name}` has no such keys")),
            0 => made_of_unknown(&[top, second]),
            1 => found.remove(0),
            _ => {
                let mut value = made_of_unknown(&[top, second]);
                if let Data::Unknown(unknown) = &mut value.data {
                    let unknown: &mut Unknown = Arc::make_mut(unknown);
                    unknown.candidates = found;
                }
                value
            }
        }
    }

    /// `Fn::Sub: text` or `Fn::Sub: [text, {Name: value}]`
    pub(super) fn sub(&self, argument: &'n Node, scope: &Scope, site: Site) -> Value {
        let (template, variables) = match &argument.kind {
            Kind::List(parts) => (parts.first(), parts.get(1)),
            _ => (Some(argument), None),
        };
        let Some(written) = template.and_then(|template| match &template.kind {
            Kind::Text(text) => Some(text.clone()),
            Kind::Number(text) => Some(text.clone()),
            Kind::Bool(value) => Some(value.to_string().into()),
            _ => None,
        }) else {
            let value = template.map_or_else(|| invalid("`Fn::Sub` needs a text"), |template| self.eval(template, scope));
            let value = if value.is_unknown() { value } else { invalid("`Fn::Sub` needs a text") };
            return value.with_origin(Origin::Site(site));
        };
        let parts = template_parts(&written);
        let value_of = |name: &str| match variables.and_then(|variables| variables.get(name)) {
            Some(node) => self.eval(node, scope).with_origin(Origin::Site(site)),
            None => match name.split_once('.') {
                Some((name, attribute)) => self.attribute(&name.into(), attribute, site),
                None => self.reference(&name.into(), scope, site),
            },
        };
        if let [Part::Value(name)] = parts[..] {
            let value = value_of(name);
            return match types::to_text(&value) {
                Some(text) => Value { data: Data::String(text), ..value },
                None if value.is_unknown() => value,
                None => invalid(format!("`${{{name}}}` is {}, which can't be put into a text", value.kind_name()))
                    .with_origin(Origin::Site(site)),
            };
        }
        let mut text = Text::default();
        for part in parts {
            let fits = match part {
                Part::Literal(literal) => text.push(literal),
                Part::Value(name) => {
                    let value = value_of(name);
                    if value.as_items().is_some() || value.as_mapping().is_some() {
                        let message = format!("`${{{name}}}` is {}, which can't be put into a text", value.kind_name());
                        return invalid(message).with_origin(Origin::Site(site));
                    }
                    text.push_value(&value) || value.is_null()
                }
            };
            if !fits || !self.spend(1) {
                return self.out_of("length of a text").with_origin(Origin::Site(site));
            }
        }
        if !self.spend(text.len() as u64 / 64) {
            return self.out_of("evaluation steps").with_origin(Origin::Site(site));
        }
        text.finish().with_origin(Origin::Site(site))
    }

    /// `Fn::Join: [delimiter, list]`
    pub(super) fn join(&self, argument: &'n Node, scope: &Scope) -> Value {
        let [delimiter, list] = argument.items() else { return invalid("`Fn::Join` needs a delimiter and a list") };
        let delimiter = self.eval(delimiter, scope);
        let list = self.eval(list, scope);
        let Some(items) = list.as_items() else {
            return if list.is_unknown() { made_of_unknown(&[list, delimiter]) } else { invalid("`Fn::Join` needs a list") };
        };
        let mut text = Text::default();
        let mut is_first = true;
        // A parameter that is a list may stand among the elements.
        for item in items.iter().flat_map(|item| item.as_items().unwrap_or(std::slice::from_ref(item))) {
            let fits = (is_first || text.push_value(&delimiter)) && text.push_value(item);
            is_first = false;
            if item.as_items().is_some() || item.as_mapping().is_some() {
                return invalid(format!("`Fn::Join` can't put {} into a text", item.kind_name()));
            }
            if !fits || !self.spend(1) {
                return self.out_of("length of a text");
            }
        }
        if self.spend(text.len() as u64 / 64) { text.finish() } else { self.out_of("evaluation steps") }
    }

    /// `Fn::Split: [delimiter, text]`
    pub(super) fn split(&self, argument: &'n Node, scope: &Scope, site: Site) -> Value {
        let [delimiter, text] = argument.items() else { return invalid("`Fn::Split` needs a delimiter and a text") };
        let (delimiter, text) = (self.eval(delimiter, scope), self.eval(text, scope));
        match (delimiter.as_str(), types::to_text(&text)) {
            (Some(""), _) => invalid("`Fn::Split` needs a delimiter"),
            (Some(delimiter), Some(whole)) => {
                let parts: Vec<Value> = whole.split(delimiter).map(|part| Value::string(part).with_origin(Origin::Site(site))).collect();
                if !self.spend(parts.len() as u64) {
                    return self.out_of("evaluation steps");
                }
                Value { sensitive: text.sensitive, ..Value::tuple(parts) }
            }
            _ if delimiter.is_unknown() || text.is_unknown() => made_of_unknown(&[delimiter, text]),
            _ => invalid("`Fn::Split` needs a delimiter and a text"),
        }
    }

    /// `Fn::Select: [index, list]`
    pub(super) fn select(&self, argument: &'n Node, scope: &Scope, site: Site) -> Value {
        let here = |value: Value| value.with_origin(Origin::Site(site));
        let [index, list] = argument.items() else { return here(invalid("`Fn::Select` needs an index and a list")) };
        let (index, list) = (self.eval(index, scope), self.eval(list, scope));
        let position = types::to_text(&index).and_then(|text| text.parse::<usize>().ok());
        match (position, list.as_items()) {
            (Some(position), Some(items)) => match items.get(position) {
                Some(item) => Value { sensitive: item.sensitive || list.sensitive, ..item.clone() },
                // An element that isn't known may be several.
                None => here(invalid(format!("`Fn::Select`: the list has no element {position}"))),
            },
            _ if index.is_unknown() || list.is_unknown() => here(made_of_unknown(&[list, index])),
            _ => here(invalid("`Fn::Select` needs an index and a list")),
        }
    }

    /// `Fn::Cidr: [block, count, bits of the hosts]`
    pub(super) fn cidr(&self, argument: &'n Node, scope: &Scope) -> Value {
        let [block, rest @ ..] = argument.items() else { return invalid("`Fn::Cidr` needs a block and a count") };
        let block = self.eval(block, scope);
        let numbers: Vec<Value> = rest.iter().map(|part| self.eval(part, scope)).collect();
        let integer = |value: &Value| types::to_text(value).and_then(|text| text.parse::<i64>().ok());
        let Some(text) = block.as_str() else { return made_of_unknown(&[block]) };
        let (is_v6, length) = (text.contains(':'), text.rsplit_once('/').and_then(|(_, length)| length.parse::<i64>().ok()));
        let count = numbers.first().map_or(Some(1), integer);
        let host_bits = match numbers.get(1) {
            Some(bits) => integer(bits),
            None => Some(if is_v6 { 64 } else { 8 }),
        };
        let (Some(length), Some(count), Some(host_bits)) = (length, count, host_bits) else {
            return if numbers.iter().any(Value::is_unknown) {
                made_of_unknown(&numbers)
            } else {
                invalid("`Fn::Cidr` needs a block, a count and the bits of the hosts")
            };
        };
        let new_bits = if is_v6 { 128 } else { 32 } - host_bits - length;
        if !(1..=CIDR_BLOCKS).contains(&count) {
            return invalid(format!("`Fn::Cidr` makes 1 to {CIDR_BLOCKS} blocks, not {count}"));
        }
        let blocks =
            (0..count).map(|number| functions::call("cidrsubnet", vec![block.clone(), Value::int(new_bits), Value::int(number)], self));
        let blocks: Vec<Value> = blocks.collect();
        match blocks.iter().find(|block| block.is_unknown()) {
            Some(refused) => refused.clone(),
            None => Value { sensitive: block.sensitive, ..Value::tuple(blocks) },
        }
    }
}

/// The values that a key of a mapping may lead to: one, or all if the key isn't known.
fn entries<'n>(mapping: &'n Node, key: &Value, is_complete: &mut bool) -> Vec<&'n Node> {
    let mut with = |key: &Value| {
        let found = types::to_text(key).and_then(|key| mapping.get(&key));
        *is_complete &= found.is_some();
        found
    };
    match key.as_unknown() {
        Some(unknown) if !unknown.candidates.is_empty() => unknown.candidates.iter().filter_map(with).collect(),
        Some(_) => {
            *is_complete = false;
            mapping.members().iter().map(|member| &member.value).collect()
        }
        None => with(key).into_iter().collect(),
    }
}

/// A part of the text that `Fn::Sub` takes.
enum Part<'t> {
    Literal(&'t str),
    Value(&'t str),
}

/// `${Name}` is a value, `${!Name}` the text `${Name}`.
fn template_parts(text: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let Some(length) = rest[at..].find('}') else { break };
        let name = &rest[at + 2..at + length];
        if at > 0 {
            parts.push(Part::Literal(&rest[..at]));
        }
        match name.strip_prefix('!') {
            Some(_) => {
                parts.push(Part::Literal("${"));
                parts.push(Part::Literal(&rest[at + 3..=at + length]));
            }
            None => parts.push(Part::Value(name.trim())),
        }
        rest = &rest[at + length + 1..];
    }
    if !rest.is_empty() {
        parts.push(Part::Literal(rest));
    }
    parts
}
