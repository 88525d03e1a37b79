//! Plans, as `terraform show -json` prints them: the same resources, with Terraform's own evaluation.
//!
//! Source: Terraform documentation, "JSON Output Format" (format version 1).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use keyblind_resource::{BlockKind, Data, Dialect, Mapping, Origin, Reason, Reference, Resource, Unknown, Value};
use keyblind_syntax::json::{self, Member, Node, NodeKind};
use keyblind_syntax::{Diagnostic, FileId, Site, TextRange};

use super::evaluate::Evaluation;

/// How deep modules may nest in a plan.
const MODULE_DEPTH: usize = 64;

/// Whether a JSON text is a plan: looks at its beginning and for its members' names, without reading it all.
pub fn is_plan(text: &str) -> bool {
    let head = text.trim_start_matches('\u{feff}').trim_start();
    head.starts_with('{') && text.contains("\"format_version\"") && text.contains("\"planned_values\"")
}

/// Reads a plan. Sites are those of the plan's own text.
///
/// # Errors
/// If the text is no JSON, or no plan.
pub fn read(file: FileId, text: &str) -> Result<Evaluation, Diagnostic> {
    let broken = |range: TextRange, message: String| Diagnostic::incomplete("syntax-error", Site::new(file, range), message);
    let root = json::parse(text).map_err(|error| broken(error.range, error.message))?;
    let Some(planned) = member(&root, "planned_values").and_then(|values| member(values, "root_module")) else {
        return Err(broken(root.range, "the plan has no `planned_values.root_module`".to_owned())
            .with_help("write it with `terraform show -json PLANFILE`"));
    };
    let mut plan = Plan { file, changes: changes(&root), prior: HashMap::new(), resources: Vec::new() };
    if let Some(configuration) = member(&root, "configuration") {
        plan.read_configuration(configuration);
    }
    plan.module(planned, 0);
    if let Some(configuration) = member(&root, "configuration") {
        plan.providers(configuration);
    }
    if let Some(prior) =
        member(&root, "prior_state").and_then(|state| member(state, "values")).and_then(|values| member(values, "root_module"))
    {
        plan.data_sources(prior, 0);
    }
    Ok(Evaluation { resources: plan.resources, ..Evaluation::default() })
}

struct Plan<'n> {
    file: FileId,
    /// What is unknown until apply, by address.
    changes: HashMap<&'n str, &'n Node>,
    /// References that the configuration makes, by the block's address without instance keys: attribute → referred addresses.
    prior: HashMap<String, BTreeMap<Arc<str>, Vec<Reference>>>,
    resources: Vec<Resource>,
}

pub(crate) fn member<'n>(node: &'n Node, name: &str) -> Option<&'n Node> {
    let NodeKind::Object(members) = &node.kind else { return None };
    members.iter().find(|member| &*member.key == name).map(|member| &member.value)
}

pub(crate) fn items(node: Option<&Node>) -> &[Node] {
    match node.map(|node| &node.kind) {
        Some(NodeKind::Array(items)) => items,
        _ => &[],
    }
}

fn members(node: Option<&Node>) -> &[Member] {
    match node.map(|node| &node.kind) {
        Some(NodeKind::Object(members)) => members,
        _ => &[],
    }
}

pub(crate) fn text<'n>(node: &'n Node, name: &str) -> Option<&'n Arc<str>> {
    match &member(node, name)?.kind {
        NodeKind::String(text) => Some(text),
        _ => None,
    }
}

fn changes(root: &Node) -> HashMap<&str, &Node> {
    let entries = items(member(root, "resource_changes")).iter();
    entries.filter_map(|change| Some((&**text(change, "address")?, member(member(change, "change")?, "after_unknown")?))).collect()
}

impl<'n> Plan<'n> {
    fn module(&mut self, module: &'n Node, depth: usize) {
        for resource in items(member(module, "resources")) {
            self.resource(resource, text(resource, "mode").is_some_and(|mode| &**mode == "data"));
        }
        if depth < MODULE_DEPTH {
            for child in items(member(module, "child_modules")) {
                self.module(child, depth + 1);
            }
        }
    }

    /// Data sources that were read while planning stand in the prior state only.
    fn data_sources(&mut self, module: &'n Node, depth: usize) {
        for resource in items(member(module, "resources")) {
            if text(resource, "mode").is_some_and(|mode| &**mode == "data") {
                self.resource(resource, true);
            }
        }
        if depth < MODULE_DEPTH {
            for child in items(member(module, "child_modules")) {
                self.data_sources(child, depth + 1);
            }
        }
    }

    fn resource(&mut self, node: &'n Node, is_data: bool) {
        let (Some(address), Some(type_name)) = (text(node, "address"), text(node, "type")) else { return };
        let site = Site::new(self.file, node.range);
        let header = member(node, "address").map_or(site, |address| Site::new(self.file, address.range));
        let unknown = self.changes.get(&**address).copied();
        let sensitive = member(node, "sensitive_values");
        let mut body = member(node, "values").map_or_else(Value::null, |values| self.value(values, unknown, sensitive));
        let references = self.prior.get(&strip_keys(address));
        self.add_unknown_members(&mut body, unknown, address);
        if let Some(references) = references {
            attach_references(&mut body, references, &module_prefix(address));
        }
        self.resources.push(Resource {
            address: address.clone(),
            dialect: Dialect::TerraformPlan,
            kind: if is_data { BlockKind::Data } else { BlockKind::Managed },
            type_key: if is_data { format!("data.{type_name}").into() } else { type_name.clone() },
            name: text(node, "name").cloned().unwrap_or_default(),
            body,
            header,
            block: site,
            calls: Arc::new([]),
            skips: Vec::new(),
        });
    }

    fn value(&self, node: &Node, unknown: Option<&Node>, sensitive: Option<&Node>) -> Value {
        let origin = Origin::Site(Site::new(self.file, node.range));
        if matches!(unknown.map(|node| &node.kind), Some(NodeKind::Bool(true))) {
            return Value::unknown(Reason::PlanUnknown).with_origin(origin);
        }
        let data = match &node.kind {
            NodeKind::Null => Data::Null,
            NodeKind::Bool(value) => Data::Bool(*value),
            NodeKind::Number(number) => number.parse().map_or_else(|_| Data::String(number.clone()), Data::Number),
            NodeKind::String(text) => Data::String(text.clone()),
            NodeKind::Array(elements) => {
                let (unknown, sensitive) = (items(unknown), items(sensitive));
                let element = |(index, node): (usize, &Node)| self.value(node, unknown.get(index), sensitive.get(index));
                Data::Tuple(Arc::new(elements.iter().enumerate().map(element).collect()))
            }
            NodeKind::Object(entries) => {
                let part = |of: Option<&'_ Node>, key: &str| of.and_then(|node| member(node, key)).cloned();
                let entry = |entry: &Member| {
                    let (unknown, sensitive) = (part(unknown, &entry.key), part(sensitive, &entry.key));
                    (entry.key.clone(), self.value(&entry.value, unknown.as_ref(), sensitive.as_ref()))
                };
                Data::Object(Arc::new(entries.iter().map(entry).collect()))
            }
        };
        Value { data, origin, sensitive: matches!(sensitive.map(|node| &node.kind), Some(NodeKind::Bool(true))) }
    }

    /// Attributes that are known only after apply are missing from the values.
    fn add_unknown_members(&self, value: &mut Value, unknown: Option<&Node>, address: &Arc<str>) {
        let origin = value.origin.clone();
        match &mut value.data {
            Data::Object(mapping) => {
                let mapping: &mut Mapping = Arc::make_mut(mapping);
                for Member { key, value: node, .. } in members(unknown) {
                    match &node.kind {
                        NodeKind::Bool(true) => {
                            let unknown = Unknown::new(Reason::AfterApply { address: address.clone(), attribute: key.clone() });
                            mapping.insert(key.clone(), Value::new(Data::Unknown(Arc::new(unknown))).with_origin(origin.clone()));
                        }
                        _ => {
                            if let Some(mut inner) = mapping.remove(key) {
                                self.add_unknown_members(&mut inner, Some(node), address);
                                mapping.insert(key.clone(), inner);
                            }
                        }
                    }
                }
            }
            Data::Tuple(elements) => {
                for (element, node) in Arc::make_mut(elements).iter_mut().zip(items(unknown)) {
                    self.add_unknown_members(element, Some(node), address);
                }
            }
            _ => {}
        }
    }

    /// The configurations of providers, as far as their arguments are constants.
    fn providers(&mut self, configuration: &'n Node) {
        for provider in members(member(configuration, "provider_config")) {
            let Some(type_name) = text(&provider.value, "name") else { continue };
            let name = match text(&provider.value, "alias") {
                Some(alias) => format!("{type_name}.{alias}"),
                None => type_name.to_string(),
            };
            let module = text(&provider.value, "module_address").map(|address| format!("{address}.")).unwrap_or_default();
            let arguments = members(member(&provider.value, "expressions")).iter().map(|argument| {
                let value = match member(&argument.value, "constant_value") {
                    Some(constant) => self.value(constant, None, None),
                    None => Value::unknown(Reason::PlanUnknown).with_origin(Origin::Site(Site::new(self.file, argument.value.range))),
                };
                (argument.key.clone(), value)
            });
            let body = Value::new(Data::Object(Arc::new(arguments.collect())));
            let site = Site::new(self.file, provider.value.range);
            self.resources.push(Resource {
                address: format!("{module}provider.{name}").into(),
                dialect: Dialect::TerraformPlan,
                kind: BlockKind::Provider,
                type_key: format!("provider.{type_name}").into(),
                name: name.into(),
                body,
                header: Site::new(self.file, provider.key_range),
                block: site,
                calls: Arc::new([]),
                skips: Vec::new(),
            });
        }
    }

    /// Links don't show in planned values: they are taken from the configuration's expressions.
    fn read_configuration(&mut self, configuration: &'n Node) {
        if let Some(module) = member(configuration, "root_module") {
            let mut outer = ModuleReferences::default();
            self.configuration_module(module, "", &mut outer, 0);
        }
    }

    fn configuration_module(&mut self, module: &'n Node, prefix: &str, inputs: &mut ModuleReferences<'n>, depth: usize) {
        if depth > MODULE_DEPTH {
            return;
        }
        for resource in items(member(module, "resources")) {
            let Some(address) = text(resource, "address") else { continue };
            let mut by_attribute = BTreeMap::new();
            for attribute in members(member(resource, "expressions")) {
                let mut found = Vec::new();
                references_in(&attribute.value, &mut found, 0);
                let resolved: Vec<Reference> = found.iter().flat_map(|name| self.resolve(name, module, prefix, inputs, 0)).collect();
                if !resolved.is_empty() {
                    by_attribute.insert(attribute.key.clone(), resolved);
                }
            }
            if !by_attribute.is_empty() {
                self.prior.insert(format!("{prefix}{address}"), by_attribute);
            }
        }
        for call in members(member(module, "module_calls")) {
            let Some(child) = member(&call.value, "module") else { continue };
            let mut child_inputs = ModuleReferences::default();
            for argument in members(member(&call.value, "expressions")) {
                let mut found = Vec::new();
                references_in(&argument.value, &mut found, 0);
                let resolved = found.iter().flat_map(|name| self.resolve(name, module, prefix, inputs, 0)).collect();
                child_inputs.variables.insert(&argument.key, resolved);
            }
            self.configuration_module(child, &format!("{prefix}module.{}.", call.key), &mut child_inputs, depth + 1);
        }
    }

    /// What a name of the configuration leads to: a resource's attribute, through variables and module outputs.
    fn resolve(&self, name: &str, module: &'n Node, prefix: &str, inputs: &ModuleReferences<'n>, depth: usize) -> Vec<Reference> {
        if depth > MODULE_DEPTH {
            return Vec::new();
        }
        let plain = strip_keys(name);
        let parts: Vec<&str> = plain.split('.').collect();
        match parts.as_slice() {
            ["var", variable, ..] => inputs.variables.get(variable).cloned().unwrap_or_default(),
            ["module", call, output, ..] => {
                let Some(child) =
                    member(module, "module_calls").and_then(|calls| member(calls, call)).and_then(|call| member(call, "module"))
                else {
                    return Vec::new();
                };
                let Some(expression) = member(child, "outputs").and_then(|outputs| member(outputs, output)) else { return Vec::new() };
                let mut found = Vec::new();
                references_in(expression, &mut found, 0);
                let child_prefix = format!("{prefix}module.{call}.");
                found.iter().flat_map(|name| self.resolve(name, child, &child_prefix, &ModuleReferences::default(), depth + 1)).collect()
            }
            ["local" | "each" | "count" | "path" | "terraform" | "self" | "module", ..] => Vec::new(),
            ["data", kind, name, rest @ ..] => {
                vec![Reference { address: format!("{prefix}data.{kind}.{name}").into(), attribute: rest.join(".").into() }]
            }
            [kind, name, rest @ ..] => {
                vec![Reference { address: format!("{prefix}{kind}.{name}").into(), attribute: rest.join(".").into() }]
            }
            _ => Vec::new(),
        }
    }
}

/// What the arguments of a module call refer to.
#[derive(Default)]
struct ModuleReferences<'n> {
    variables: HashMap<&'n str, Vec<Reference>>,
}

/// All texts under `references` in an expression. Terraform lists each reference with its shorter forms behind it:
/// only the longest form of each is kept.
fn references_in(node: &Node, found: &mut Vec<Arc<str>>, depth: usize) {
    if depth > MODULE_DEPTH {
        return;
    }
    match &node.kind {
        NodeKind::Object(entries) => {
            for entry in entries {
                if &*entry.key == "references" {
                    for item in items(Some(&entry.value)) {
                        if let NodeKind::String(name) = &item.kind
                            && !found.last().is_some_and(|longer| longer.starts_with(&**name))
                        {
                            found.push(name.clone());
                        }
                    }
                } else {
                    references_in(&entry.value, found, depth + 1);
                }
            }
        }
        NodeKind::Array(elements) => elements.iter().for_each(|element| references_in(element, found, depth + 1)),
        _ => {}
    }
}

/// An address without any instance keys.
fn strip_keys(name: &str) -> String {
    let (mut result, mut depth, mut quoted, mut escaped) = (String::with_capacity(name.len()), 0_u32, false, false);
    for character in name.chars() {
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' if depth > 0 => quoted = !quoted,
            '[' if !quoted => depth += 1,
            ']' if !quoted => depth = depth.saturating_sub(1),
            _ if depth == 0 => result.push(character),
            _ => {}
        }
    }
    result
}

/// The part of an address that names its module instance, with the dot behind it.
fn module_prefix(address: &str) -> String {
    let mut end = 0;
    let mut rest = address;
    while let Some(inner) = rest.strip_prefix("module.") {
        let (mut quoted, mut escaped, mut depth, mut length) = (false, false, 0_u32, inner.len());
        for (at, character) in inner.char_indices() {
            match character {
                _ if escaped => escaped = false,
                '\\' if quoted => escaped = true,
                '"' => quoted = !quoted,
                '[' if !quoted => depth += 1,
                ']' if !quoted => depth = depth.saturating_sub(1),
                '.' if !quoted && depth == 0 => {
                    length = at;
                    break;
                }
                _ => {}
            }
        }
        end += "module.".len() + length + 1;
        rest = address.get(end..).unwrap_or("");
    }
    address.get(..end).unwrap_or("").to_owned()
}

/// Adds links to a body's attributes; within the same module the instance keys of the modules on the way are known.
fn attach_references(body: &mut Value, references: &BTreeMap<Arc<str>, Vec<Reference>>, prefix: &str) {
    let plain_prefix = strip_keys(prefix);
    let Data::Object(mapping) = &mut body.data else { return };
    let mapping: &mut Mapping = Arc::make_mut(mapping);
    for (attribute, targets) in references {
        let Some(mut value) = mapping.remove(attribute) else { continue };
        let targets = targets.iter().map(|target| match target.address.strip_prefix(plain_prefix.as_str()) {
            Some(rest) if !plain_prefix.is_empty() => {
                Reference { address: format!("{prefix}{rest}").into(), attribute: target.attribute.clone() }
            }
            _ => target.clone(),
        });
        match &mut value.data {
            Data::Unknown(unknown) => Arc::make_mut(unknown).references.extend(targets),
            _ => {
                let site = value.origin.used_at();
                for Reference { address, attribute } in targets {
                    if let Some(site) = site {
                        value = value.carried(keyblind_resource::HopKind::Resource { address, attribute }, site);
                    }
                }
            }
        }
        mapping.insert(attribute.clone(), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart_with_their_keys() {
        assert_eq!(module_prefix("module.a[\"x.y\"].module.b.aws_s3_bucket.c[0]"), "module.a[\"x.y\"].module.b.");
        assert_eq!(module_prefix("aws_s3_bucket.c"), "");
        assert_eq!(strip_keys("module.a[\"x]y\"].aws_s3_bucket.c[0]"), "module.a.aws_s3_bucket.c");
    }
}
