//! What a template declares, as resources.

use std::sync::Arc;

use keyblind_resource::{BlockKind, Data, Dialect, HopKind, Mapping, Origin, Resource, Value};
use keyblind_syntax::{Diagnostic, Level, Site};

use super::evaluate::{Evaluator, Expanded, STACK_ADDED, STACK_LEFT, Scope, invalid};
use super::node::{Kind, Member, Node};
use super::serverless;
use super::{ATTRIBUTES, suppressions};
use crate::limits;
use crate::terraform::functions::Host;
use crate::terraform::types;

/// Transforms whose effect is known: they don't change what a resource is.
const KNOWN_TRANSFORMS: &[&str] = &[
    serverless::TRANSFORM,
    "AWS::LanguageExtensions",
    "AWS::CodeDeployBlueGreen",
    "AWS::SecretsManager-2020-07-23",
    "AWS::SecretsManager-2024-09-16",
];

/// Reads what a template declares, before anything of it is evaluated.
pub(super) fn declare<'n>(evaluator: &mut Evaluator<'n>, template: &'n Node) {
    let section = |name: &str| template.get(name).map(Node::members).unwrap_or_default();
    evaluator.parameters = section("Parameters").iter().map(|member| (&*member.key, member)).collect();
    evaluator.mappings = section("Mappings").iter().map(|member| (&*member.key, &member.value)).collect();
    read_transforms(evaluator, template);
    let conditions = evaluator.expand(section("Conditions"), &Scope::default());
    evaluator.conditions = conditions.into_iter().map(|Expanded { key, member, scope }| (key, (&member.value, scope))).collect();
    evaluator.declared = evaluator.expand(section("Resources"), &Scope::default());
    evaluator.resources = evaluator
        .declared
        .iter()
        .map(|declared| (declared.key.clone(), declared.member.value.get("Type").and_then(Node::text).cloned()))
        .collect();
    evaluator.outputs = evaluator.expand(section("Outputs"), &Scope::default());
    let positions = |list: &[Expanded<'n>]| list.iter().enumerate().map(|(position, declared)| (declared.key.clone(), position)).collect();
    (evaluator.positions, evaluator.positions_of_outputs) = (positions(&evaluator.declared), positions(&evaluator.outputs));
}

/// Evaluates everything that a template declares, and behind each stack within it what that one declares.
pub(super) fn evaluate<'n>(evaluator: &Evaluator<'n>, template: &'n Node) -> Vec<Resource> {
    let globals = template.get("Globals");
    let mut found = Vec::new();
    for member in template.get("Parameters").map(Node::members).unwrap_or_default() {
        found.push(evaluator.parameter_resource(member));
    }
    for declared in &evaluator.declared {
        let shared = &evaluator.shared.resources;
        shared.set(shared.get() + 1);
        if shared.get() > limits::RESOURCES_PER_ROOT {
            let site = evaluator.site(declared.member.key_range);
            evaluator.report(Diagnostic::incomplete("budget", site, "too many resources in one template: the rest was not judged"));
            break;
        }
        let Some(resource) = evaluator.resource(declared, globals) else { continue };
        let is_stack = is_stack(&resource.type_key);
        found.push(resource);
        if is_stack && let Some((nested, template)) = evaluator.nested(&declared.key) {
            found.extend(stacker::maybe_grow(STACK_LEFT, STACK_ADDED, || evaluate(&nested, template)));
        }
    }
    for output in &evaluator.outputs {
        found.extend(evaluator.output(output));
    }
    found
}

fn read_transforms<'n>(evaluator: &mut Evaluator<'n>, template: &'n Node) {
    let Some(transform) = template.get("Transform") else { return };
    let named = match &transform.kind {
        Kind::List(items) => items.iter().collect(),
        _ => vec![transform],
    };
    for node in named {
        let name = node.text().or_else(|| node.get("Name").and_then(Node::text));
        let Some(name) = name else { continue };
        if &**name == serverless::TRANSFORM {
            evaluator.adds_resources = true;
        } else if !KNOWN_TRANSFORMS.contains(&&**name) {
            evaluator.adds_resources = true;
            evaluator.report(Diagnostic {
                level: Level::Note,
                ..Diagnostic::incomplete(
                    "macro-not-run",
                    evaluator.site(node.range),
                    format!("the macro `{name}` isn't run: the template is judged as it is written"),
                )
            });
        }
    }
}

/// Whether a resource stands for a template of its own, which may hold any companion of what it is given.
fn is_stack(type_name: &str) -> bool {
    matches!(type_name, "AWS::CloudFormation::Stack" | "AWS::Serverless::Application") || type_name.ends_with("::MODULE")
}

impl<'n> Evaluator<'n> {
    fn resource(&self, declared: &Expanded<'n>, globals: Option<&'n Node>) -> Option<Resource> {
        let Expanded { key, member, scope } = declared;
        let header = self.site(member.key_range);
        let left_out = |what: String| {
            self.report(Diagnostic::incomplete("unreadable-resource", header, format!("{what}: it was not judged")));
        };
        if &**key == "Fn::Transform" || matches!(member.value.kind, Kind::Call(..)) {
            left_out(format!("what stands under `{key}` is made by a macro, which isn't run"));
            return None;
        }
        if !matches!(member.value.kind, Kind::Object(_)) {
            left_out(format!("the resource `{key}` is no mapping"));
            return None;
        }
        let type_name = match member.value.get("Type") {
            Some(node) if matches!(node.kind, Kind::Text(_)) => self.name(node, scope).ok(),
            _ => None,
        };
        let Some(type_name) = type_name else {
            left_out(format!("the resource `{key}` has no `Type` that is a text"));
            return None;
        };
        let condition = member.value.get("Condition").and_then(|condition| self.name(condition, scope).ok());
        if condition.is_some_and(|condition| self.condition(&condition).is(false)) {
            return None;
        }
        let body = match member.value.get("Properties") {
            None => Value::object([]),
            Some(node) => match self.eval(node, scope) {
                body if body.as_mapping().is_some() || body.is_unknown() => body,
                body if body.is_null() => Value::object([]),
                body => invalid(format!("the properties of `{key}` are {}", body.kind_name())),
            },
        };
        let mut body = self.with_globals(body.with_origin(Origin::Site(header)), &type_name, globals, header);
        if let Data::Object(entries) = &mut body.data {
            let entries: &mut Mapping = Arc::make_mut(entries);
            entries.insert(ATTRIBUTES, self.attributes(member, scope, header));
        }
        Some(Resource {
            address: self.stack.address(key),
            dialect: Dialect::CloudFormation,
            kind: if is_stack(&type_name) && self.nested(key).is_none() { BlockKind::UnreadModule } else { BlockKind::Managed },
            type_key: type_name,
            name: key.clone(),
            body: self.bounded(body),
            header,
            block: self.site(member.range()),
            calls: self.stack.calls.clone(),
            skips: suppressions::of(&member.value, self.file),
        })
    }

    /// What stands beside the type and the properties of a resource.
    fn attributes(&self, member: &'n Member, scope: &Scope, header: Site) -> Value {
        let beside = member.value.members().iter().filter(|member| !matches!(&*member.key, "Type" | "Properties"));
        let entries = beside.map(|member| {
            let value = self.eval(&member.value, scope);
            (member.key.clone(), if &*member.key == "DependsOn" { self.depending(value) } else { value })
        });
        Value::at(Data::Object(Arc::new(entries.filter(|(_, value)| !value.is_null()).collect())), header)
    }

    /// The logical ids in `DependsOn` lead to their resources.
    fn depending(&self, value: Value) -> Value {
        let site = value.origin.used_at();
        match (&value.data, site) {
            (Data::String(id), Some(site)) => {
                let kind = HopKind::Resource { address: self.stack.address(id), attribute: "".into() };
                value.carried(kind, site)
            }
            (Data::Tuple(items), _) => {
                let items = items.iter().filter(|item| item.as_str().is_some()).map(|item| self.depending(item.clone()));
                Value { data: Data::Tuple(Arc::new(items.collect())), ..value }
            }
            _ => value,
        }
    }

    fn parameter_resource(&self, member: &'n Member) -> Resource {
        let mut body = self.eval(&member.value, &Scope::default());
        if member.value.get("NoEcho").is_some_and(Node::is_true)
            && let Data::Object(entries) = &mut body.data
        {
            let entries: &mut Mapping = Arc::make_mut(entries);
            if let Some(mut default) = entries.remove("Default") {
                default.sensitive = true;
                entries.insert("Default", default);
            }
        }
        self.declaration("parameter", member.key.clone(), member, body)
    }

    fn output(&self, declared: &Expanded<'n>) -> Option<Resource> {
        let Expanded { key, member, scope } = declared;
        let condition = member.value.get("Condition").and_then(|condition| self.name(condition, scope).ok());
        if condition.is_some_and(|condition| self.condition(&condition).is(false)) {
            return None;
        }
        let body = self.eval(&member.value, scope);
        Some(self.declaration("output", key.clone(), member, body))
    }

    /// A declaration that makes nothing by itself. Its kind stands before its name: a resource may have the same.
    fn declaration(&self, kind: &str, name: Arc<str>, member: &'n Member, body: Value) -> Resource {
        let header = self.site(member.key_range);
        Resource {
            address: self.stack.address(&format!("{kind}.{name}")),
            dialect: Dialect::CloudFormation,
            kind: BlockKind::Data,
            type_key: kind.into(),
            name,
            body: self.bounded(body.with_origin(Origin::Site(header))),
            header,
            block: self.site(member.range()),
            calls: self.stack.calls.clone(),
            skips: Vec::new(),
        }
    }

    /// The value, or an unknown in its place if it is larger or deeper than what may be walked.
    fn bounded(&self, value: Value) -> Value {
        let origin = value.origin.clone();
        match types::size_within(&value, types::MAX_NODES) {
            Some(size) if self.spend(size as u64 / 16) => value,
            Some(_) => self.out_of("evaluation steps").with_origin(origin),
            None => self.out_of("size of a value").with_origin(origin),
        }
    }
}
