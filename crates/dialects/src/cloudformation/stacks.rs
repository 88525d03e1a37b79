//! Stacks within a stack: the template that a resource names, evaluated with what it is handed over.
//!
//! Source: AWS CloudFormation Template Reference, `AWS::CloudFormation::Stack`; AWS Command Line Interface, `cloudformation
//! package` (which paths are local); AWS Serverless Application Model, `AWS::Serverless::Application`.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use keyblind_resource::{HopKind, Origin, Reason, Value};
use keyblind_syntax::{Diagnostic, Level, Site};

use super::evaluate::{Evaluator, Expanded, invalid, made_of_unknown};
use super::node::{Kind, Node};
use super::project::{Project, Template};
use super::resources;
use crate::{limits, paths};

/// A stack that is made of a template.
#[derive(Clone)]
pub(super) struct Stack<'n> {
    /// The templates that are at hand; none where a template is evaluated by itself.
    pub(super) project: Option<&'n Project>,
    /// The paths of the templates that lead here, this one last.
    pub(super) way: Vec<Arc<str>>,
    /// What stands before every address: the logical ids of the stacks around it, each with a slash.
    prefix: Arc<str>,
    /// The resources that are the stacks around it, outermost first.
    pub(super) calls: Arc<[Site]>,
    given: Given,
}

/// What the stack around hands over.
#[derive(Clone)]
enum Given {
    /// These, by parameter.
    These(Rc<HashMap<Arc<str>, Value>>),
    /// Something that isn't known.
    Unknown(Value),
}

impl Default for Stack<'_> {
    fn default() -> Self {
        Self { project: None, way: Vec::new(), prefix: "".into(), calls: Arc::new([]), given: Given::These(Rc::default()) }
    }
}

impl<'n> Stack<'n> {
    /// The stack that nothing is around.
    pub(super) fn of_root(project: &'n Project, path: Arc<str>) -> Self {
        Self { project: Some(project), way: vec![path], ..Self::default() }
    }

    /// The full name of what is called so in this stack.
    pub(super) fn address(&self, name: &str) -> Arc<str> {
        format!("{}{name}", self.prefix).into()
    }

    /// What a parameter is handed over.
    pub(super) fn given(&self, parameter: &str) -> Option<Value> {
        match &self.given {
            Given::These(values) => values.get(parameter).cloned(),
            Given::Unknown(value) => Some(value.clone()),
        }
    }
}

/// What is known of a stack within a stack.
pub(super) enum Nested<'n> {
    /// It is being made: whoever asks for it meanwhile goes in a circle.
    Making,
    /// Its template isn't at hand.
    Unread,
    /// Its template, and the evaluator of it.
    Read(Rc<Evaluator<'n>>, &'n Node),
}

/// Where a template lies that a resource names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// At this path relative to the trust root.
    Local(String),
    /// Outside of what may be read.
    Outside,
    /// At an address.
    Remote,
}

/// Where the template of a stack lies, seen from the file that names it. An asset's path is what the Cloud Development Kit
/// writes beside the address that the template will have.
pub(super) fn place_of(resource: &Node, from: &str) -> Option<Place> {
    let properties = resource.get("Properties")?;
    let (property, may_be_asset) = match resource.get("Type").and_then(Node::text).map(|name| &**name)? {
        "AWS::CloudFormation::Stack" => (properties.get("TemplateURL"), true),
        "AWS::Serverless::Application" => (properties.get("Location"), false),
        _ => return None,
    };
    let asset = || {
        let metadata = resource.get("Metadata").filter(|_| may_be_asset)?;
        let is_template = metadata.get("aws:asset:property").and_then(Node::text).is_some_and(|property| &**property == "TemplateURL");
        metadata.get("aws:asset:path").and_then(Node::text).filter(|_| is_template)
    };
    let Some(written) = property.and_then(Node::text).filter(|text| !text.contains("${")).or_else(asset) else {
        return property.map(|_| Place::Remote);
    };
    if written.contains("://") {
        return Some(Place::Remote);
    }
    Some(paths::join(paths::parent(from), written).map_or(Place::Outside, Place::Local))
}

impl<'n> Evaluator<'n> {
    /// The stack that a resource is, if its template is at hand.
    pub(super) fn nested(&self, id: &Arc<str>) -> Option<(Rc<Self>, &'n Node)> {
        match self.nested.borrow().get(id) {
            Some(Nested::Read(evaluator, template)) => return Some((evaluator.clone(), template)),
            Some(Nested::Making | Nested::Unread) => return None,
            None => {}
        }
        self.nested.borrow_mut().insert(id.clone(), Nested::Making);
        let made = self.positions.get(id).and_then(|position| self.enter(&self.declared[*position]));
        let nested = made.as_ref().map_or(Nested::Unread, |(evaluator, template)| Nested::Read(evaluator.clone(), template));
        self.nested.borrow_mut().insert(id.clone(), nested);
        made
    }

    /// An output of a stack within this one; `None` if its template isn't at hand.
    pub(super) fn output_of_nested(&self, id: &Arc<str>, attribute: &str, site: Site) -> Option<Value> {
        let output = attribute.strip_prefix("Outputs.")?;
        let (nested, _) = self.nested(id)?;
        let Some(declared) = nested.positions_of_outputs.get(output).map(|position| &nested.outputs[*position]) else {
            let unknown = Value::unknown(Reason::Undeclared { name: attribute.into() });
            return Some(unknown.with_origin(Origin::Site(site)));
        };
        let value = match declared.member.value.get("Value") {
            Some(value) => nested.eval(value, &declared.scope),
            None => {
                invalid(format!("the output `{output}` has no value")).with_origin(Origin::Site(nested.site(declared.member.key_range)))
            }
        };
        let kind = HopKind::ModuleOutput { module: self.stack.address(id), output: output.into() };
        Some(self.carried_deep(value, &kind, site))
    }

    /// Makes the evaluator of the stack that a resource is.
    fn enter(&self, declared: &Expanded<'n>) -> Option<(Rc<Self>, &'n Node)> {
        let Expanded { key, member, scope } = declared;
        let project = self.stack.project?;
        let header = self.site(member.key_range);
        let left_out = |level: Level, message: String, help: &str| {
            let diagnostic = Diagnostic::incomplete("nested-template", header, message).with_help(help);
            self.report(Diagnostic { level, ..diagnostic });
        };
        let path = match place_of(&member.value, self.stack.way.last()?)? {
            Place::Local(path) => path,
            Place::Outside => {
                let message = format!("the template of stack `{key}` lies outside of what may be read: it was not judged");
                left_out(Level::Incomplete, message, "name the directory that holds both with `--root`");
                return None;
            }
            Place::Remote => {
                let message = format!("the template of stack `{key}` isn't in the tree: it was not judged");
                left_out(Level::Note, message, "scan it where it is kept");
                return None;
            }
        };
        let Some(template) = project.template(&path) else {
            let message = format!("there is no template at `{path}` for stack `{key}`: it was not judged");
            left_out(Level::Incomplete, message, "mend the path, or scan the tree that holds it");
            return None;
        };
        let (is_circle, is_deep) = (self.stack.way.iter().any(|way| **way == *path), self.stack.way.len() > limits::STACK_DEPTH);
        let stacks = self.shared.stacks.get();
        if is_circle || is_deep || stacks >= limits::STACKS_PER_ROOT {
            let why = match (is_circle, is_deep) {
                (true, _) => "its template leads back to itself",
                (false, true) => "stacks are nested too deep",
                (false, false) => "there are too many stacks in one template",
            };
            left_out(
                Level::Incomplete,
                format!("the stack `{key}` was not judged: {why}"),
                "take the stack out of the circle, or scan its template by itself",
            );
            return None;
        }
        let Template { file, documents, diagnostics } = template;
        let document = documents.iter().find(|document| matches!(document.kind, Kind::Object(_)))?;
        self.shared.stacks.set(stacks + 1);
        self.shared.enter(*file);
        self.shared.diagnostics.borrow_mut().extend(diagnostics.iter().cloned());
        let stack = Stack {
            project: Some(project),
            way: self.stack.way.iter().cloned().chain([path.into()]).collect(),
            prefix: format!("{}{key}/", self.stack.prefix).into(),
            calls: self.stack.calls.iter().copied().chain([self.site(member.range())]).collect(),
            given: self.handed_over(
                &self.stack.address(key),
                member.value.get("Properties").and_then(|properties| properties.get("Parameters")),
                scope,
            ),
        };
        let mut nested = Self::with(*file, stack, self.shared.clone());
        resources::declare(&mut nested, document);
        Some((Rc::new(nested), document))
    }

    /// The values of a stack's parameters, each as the stack around writes it.
    fn handed_over(&self, stack: &Arc<str>, parameters: Option<&'n Node>, scope: &super::evaluate::Scope) -> Given {
        let Some(parameters) = parameters else { return Given::These(Rc::default()) };
        let Kind::Object(members) = &parameters.kind else {
            return Given::Unknown(made_of_unknown(&[self.eval(parameters, scope)]).with_origin(Origin::Site(self.site(parameters.range))));
        };
        let values = self.expand(members, scope).into_iter().map(|Expanded { key, member, scope }| {
            let value = self.eval(&member.value, &scope);
            let kind = HopKind::ModuleInput { module: stack.clone(), input: key.clone() };
            let value = if value.is_null() { value } else { self.carried_deep(value, &kind, self.site(member.value.range)) };
            (key, value)
        });
        Given::These(Rc::new(values.collect()))
    }
}
