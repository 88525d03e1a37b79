//! Evaluates the parts of a template. Nothing fails: what CloudFormation would refuse is unknown with the reason, and the
//! rest goes on.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;
use std::sync::Arc;

use keyblind_resource::{Data, HopKind, Mapping, Origin, Reason, Unknown, Value};
use keyblind_syntax::{Diagnostic, FileId, Site, TextRange};

use super::conditions::Truth;
use super::node::{Kind, Member, Node};
use super::stacks::{Nested, Stack};
use super::text::{self, Text};
use crate::limits;
use crate::terraform::functions::{self, Host, unknowns};
use crate::terraform::types;

/// Stack that must be left before a part is entered, and how much is added when it isn't.
pub(super) const STACK_LEFT: usize = 128 << 10;
pub(super) const STACK_ADDED: usize = 2 << 20;

/// What one more step in the origin of a value costs.
const CARRYING: u64 = 4;

/// What a loop binds its identifier to, around a part of a template: innermost first.
#[derive(Clone, Default)]
pub(super) struct Scope(Option<Rc<Binding>>);

struct Binding {
    name: Arc<str>,
    value: Value,
    outer: Scope,
}

impl Scope {
    pub(super) fn with(&self, name: Arc<str>, value: Value) -> Self {
        Self(Some(Rc::new(Binding { name, value, outer: self.clone() })))
    }

    fn bindings(&self) -> impl Iterator<Item = &Binding> {
        std::iter::successors(self.0.as_deref(), |binding| binding.outer.0.as_deref())
    }

    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.bindings().find(|binding| &*binding.name == name).map(|binding| &binding.value)
    }

    fn is_empty(&self) -> bool {
        self.0.is_none()
    }
}

/// One template's declarations, and the state of evaluating it: once for each stack that is made of it.
pub(super) struct Evaluator<'n> {
    pub(super) file: FileId,
    /// The stack that the template makes.
    pub(super) stack: Stack<'n>,
    pub(super) parameters: HashMap<&'n str, &'n Member>,
    pub(super) mappings: HashMap<&'n str, &'n Node>,
    pub(super) conditions: HashMap<Arc<str>, (&'n Node, Scope)>,
    /// The resources, with loops unrolled, in their order.
    pub(super) declared: Vec<Expanded<'n>>,
    /// Where each stands among them; of several of one name, the last.
    pub(super) positions: HashMap<Arc<str>, usize>,
    /// What is handed out, in its order.
    pub(super) outputs: Vec<Expanded<'n>>,
    /// Where each stands among them.
    pub(super) positions_of_outputs: HashMap<Arc<str>, usize>,
    /// The logical ids of all resources, and their types as far as they are texts.
    pub(super) resources: HashMap<Arc<str>, Option<Arc<str>>>,
    /// Whether names that nothing declares may be those of resources that a macro adds.
    pub(super) adds_resources: bool,
    pub(super) values_of_parameters: RefCell<HashMap<Arc<str>, Value>>,
    /// Conditions that were decided; `None` while one is being decided.
    pub(super) decided: RefCell<HashMap<Arc<str>, Option<Truth>>>,
    /// The stacks within this one, by logical id.
    pub(super) nested: RefCell<HashMap<Arc<str>, Nested<'n>>>,
    pub(super) shared: Rc<Shared>,
}

/// What all stacks of a root have together.
pub(super) struct Shared {
    pub(super) diagnostics: RefCell<BTreeSet<Diagnostic>>,
    fuel: Cell<u64>,
    depth: Cell<u32>,
    /// Templates that were entered: each brings its own fuel, once.
    entered: RefCell<BTreeSet<FileId>>,
    pub(super) stacks: Cell<usize>,
    pub(super) resources: Cell<usize>,
}

impl Shared {
    /// Enters a template.
    pub(super) fn enter(&self, file: FileId) {
        if self.entered.borrow_mut().insert(file) {
            self.fuel.set(self.fuel.get() + limits::FUEL_PER_TEMPLATE);
        }
    }
}

impl Host for Evaluator<'_> {
    fn read_file(&self, path: &str) -> Result<Arc<[u8]>, Reason> {
        Err(Reason::FileNotReadable { path: path.into() })
    }

    fn file_exists(&self, path: &str) -> Result<bool, Reason> {
        Err(Reason::FileNotReadable { path: path.into() })
    }

    fn file_set(&self, directory: &str, _pattern: &str) -> Result<Vec<String>, Reason> {
        Err(Reason::FileNotReadable { path: directory.into() })
    }

    fn template(&self, name: &str, _text: &str, _variables: &Value) -> Value {
        Value::unknown(Reason::Unsupported { what: format!("the template `{name}`").into() })
    }

    /// Takes fuel; false if there is none left.
    fn spend(&self, units: u64) -> bool {
        let left = self.shared.fuel.get();
        self.shared.fuel.set(left.saturating_sub(units));
        left > units
    }
}

impl<'n> Evaluator<'n> {
    /// The evaluator of a root's template.
    pub(super) fn new(file: FileId, stack: Stack<'n>) -> Self {
        let shared = Shared {
            diagnostics: RefCell::default(),
            fuel: Cell::new(0),
            depth: Cell::new(0),
            entered: RefCell::default(),
            stacks: Cell::new(1),
            resources: Cell::new(0),
        };
        shared.enter(file);
        Self::with(file, stack, Rc::new(shared))
    }

    /// The evaluator of a template within a root.
    pub(super) fn with(file: FileId, stack: Stack<'n>, shared: Rc<Shared>) -> Self {
        Self {
            file,
            stack,
            parameters: HashMap::new(),
            mappings: HashMap::new(),
            conditions: HashMap::new(),
            declared: Vec::new(),
            positions: HashMap::new(),
            outputs: Vec::new(),
            positions_of_outputs: HashMap::new(),
            resources: HashMap::new(),
            adds_resources: false,
            values_of_parameters: RefCell::default(),
            decided: RefCell::default(),
            nested: RefCell::default(),
            shared,
        }
    }

    pub(super) fn site(&self, range: TextRange) -> Site {
        Site::new(self.file, range)
    }

    pub(super) fn report(&self, diagnostic: Diagnostic) {
        self.shared.diagnostics.borrow_mut().insert(diagnostic);
    }

    /// Evaluates a part. `AWS::NoValue` is null. The result's outermost site lies within the part.
    pub(super) fn eval(&self, node: &'n Node, scope: &Scope) -> Value {
        let value = self.within_bounds(node.range, || self.eval_kind(node, scope));
        match node.alias {
            Some(alias) if !value.is_null() => value.carried(HopKind::Alias, self.site(alias)),
            _ => value,
        }
    }

    /// Goes one level deeper, if there is fuel and room for it.
    pub(super) fn within_bounds(&self, range: TextRange, evaluate: impl FnOnce() -> Value) -> Value {
        let depth = self.shared.depth.get();
        if !self.spend(1) || depth >= limits::EXPRESSION_DEPTH {
            let limit = if depth >= limits::EXPRESSION_DEPTH { "nesting" } else { "evaluation steps" };
            return Value::unknown(Reason::Budget { limit }).with_origin(Origin::Site(self.site(range)));
        }
        self.shared.depth.set(depth + 1);
        let value = stacker::maybe_grow(STACK_LEFT, STACK_ADDED, evaluate);
        self.shared.depth.set(depth);
        value
    }

    fn eval_kind(&self, node: &'n Node, scope: &Scope) -> Value {
        let site = self.site(node.range);
        match &node.kind {
            Kind::Null => Value::at(Data::Null, site),
            Kind::Bool(value) => Value::at(Data::Bool(*value), site),
            Kind::Number(written) => Value::at(number(written), site),
            Kind::Text(written) => self.text(written, scope).with_origin(Origin::Site(site)),
            Kind::List(items) => {
                let items = items.iter().map(|item| self.eval(item, scope)).filter(|item| !item.is_null()).collect();
                Value::at(Data::Tuple(Arc::new(items)), site)
            }
            Kind::Object(members) => self.object(members, scope, site),
            Kind::Call(name, argument) => self.call(name, argument, scope, site),
        }
    }

    fn object(&self, members: &'n [Member], scope: &Scope, site: Site) -> Value {
        let mut entries: Vec<(Arc<str>, Value)> = Vec::with_capacity(members.len());
        for Expanded { key, member, scope } in self.expand(members, scope) {
            if &*key == "Fn::Transform" {
                // What it adds isn't known, so that nothing of the object is.
                return self.transform(&member.value, &scope).with_origin(Origin::Site(site));
            }
            let value = self.eval(&member.value, &scope);
            if !value.is_null() {
                entries.push((key, value));
            }
        }
        Value::at(Data::Object(Arc::new(entries.into_iter().collect::<Mapping>())), site)
    }

    /// A text outside of any function: identifiers of loops stand in it for their values.
    pub(super) fn text(&self, written: &Arc<str>, scope: &Scope) -> Value {
        match self.with_identifiers(written, scope) {
            None => text::resolved(types::composed(written)),
            Some(value) => value,
        }
    }

    /// The text with the values of loops' identifiers, if one of them is in it.
    fn with_identifiers(&self, written: &str, scope: &Scope) -> Option<Value> {
        if scope.is_empty() || !(written.contains("${") || written.contains("&{")) {
            return None;
        }
        let mut text = Text::default();
        let mut rest = written;
        while let Some(at) = rest.find(['$', '&']) {
            let is_bare = rest[at..].starts_with('&');
            let inner = rest[at + 1..].strip_prefix('{').and_then(|inner| inner.split_once('}'));
            match inner.and_then(|(name, behind)| Some((scope.get(name.trim())?, behind))) {
                Some((value, behind)) => {
                    let value = if is_bare { alphanumeric(value) } else { value.clone() };
                    if !text.push(&rest[..at]) || !text.push_value(&value) || !self.spend(text.len() as u64 / 64) {
                        return Some(self.out_of("length of a text"));
                    }
                    rest = behind;
                }
                None => {
                    if !text.push(&rest[..=at]) {
                        return Some(self.out_of("length of a text"));
                    }
                    rest = &rest[at + 1..];
                }
            }
        }
        text.push(rest);
        Some(text.finish())
    }

    pub(super) fn out_of(&self, limit: &'static str) -> Value {
        Value::unknown(Reason::Budget { limit })
    }

    /// A name: a text, or a call that gives one.
    pub(super) fn name(&self, node: &'n Node, scope: &Scope) -> Result<Arc<str>, Value> {
        if let (Some(text), true) = (node.text(), scope.is_empty()) {
            return Ok(text.clone());
        }
        let value = self.eval(node, scope);
        match types::to_text(&value) {
            Some(text) => Ok(text),
            None if value.is_unknown() => Err(value),
            None => Err(invalid(format!("a name must be a text, not {}", value.kind_name()))),
        }
    }

    /// The value that a name stands for: a loop's identifier, a pseudo parameter, a parameter, a resource.
    pub(super) fn reference(&self, name: &Arc<str>, scope: &Scope, site: Site) -> Value {
        if let Some(value) = scope.get(name) {
            return value.clone().carried(HopKind::Iterator(name.clone()), site);
        }
        if &**name == "AWS::NoValue" {
            return Value::at(Data::Null, site);
        }
        if name.starts_with("AWS::") {
            let reason = Reason::AfterApply { address: name.clone(), attribute: "".into() };
            return Value::unknown(reason).with_origin(Origin::Site(site));
        }
        if self.parameters.contains_key(&**name) {
            return self.carried_deep(self.parameter(name), &HopKind::Parameter(name.clone()), site);
        }
        self.attribute(name, "Ref", site)
    }

    /// An attribute of a resource; only CloudFormation knows it.
    pub(super) fn attribute(&self, name: &Arc<str>, attribute: &str, site: Site) -> Value {
        if let Some(value) = self.output_of_nested(name, attribute, site) {
            return value;
        }
        let mut unknown = Unknown::attribute_of(self.stack.address(name), attribute);
        match self.resources.get(name) {
            // What somebody's own code answers can be anything, also what CloudFormation itself would never say.
            Some(Some(type_name)) if attribute != "Ref" && is_passed_through(type_name) => {
                unknown.reason = Reason::DeployTime { what: format!("`{name}.{attribute}`").into() };
            }
            None if !self.adds_resources => unknown = Unknown::new(Reason::Undeclared { name: name.clone() }),
            _ => {}
        }
        Value::at(Data::Unknown(Arc::new(unknown)), site)
    }

    /// A value, and what it holds directly, carried to where it is used.
    pub(super) fn carried_deep(&self, value: Value, kind: &HopKind, site: Site) -> Value {
        let data = match &value.data {
            // A template of some lines can use a long list very often.
            Data::Tuple(items) if !self.spend(CARRYING * items.len() as u64) => {
                return self.out_of("evaluation steps").with_origin(Origin::Site(site));
            }
            Data::Tuple(items) => Data::Tuple(Arc::new(items.iter().map(|item| item.clone().carried(kind.clone(), site)).collect())),
            other => other.clone(),
        };
        Value { data, ..value }.carried(kind.clone(), site)
    }

    fn call(&self, name: &Arc<str>, argument: &'n Node, scope: &Scope, site: Site) -> Value {
        let computed = match &**name {
            "Ref" => match self.name(argument, scope) {
                Ok(name) => return self.reference(&name, scope, site),
                Err(unknown) => unknown,
            },
            "Fn::GetAtt" => return self.get_att(argument, scope, site),
            "Fn::If" => return self.choose(argument, scope, site),
            "Fn::FindInMap" => return self.find_in_map(argument, scope, site),
            "Fn::Sub" => return self.sub(argument, scope, site),
            "Fn::Select" => return self.select(argument, scope, site),
            "Fn::Join" => self.join(argument, scope),
            "Fn::Split" => self.split(argument, scope, site),
            "Fn::Cidr" => self.cidr(argument, scope),
            "Fn::Base64" => self.computed("base64encode", argument, scope),
            "Fn::ToJsonString" => self.computed("jsonencode", argument, scope),
            "Fn::Length" => self.computed("length", argument, scope),
            "Fn::Equals" | "Fn::And" | "Fn::Or" | "Fn::Not" | "Condition" => self.truth_of_call(name, argument, scope).into_value(),
            "Fn::GetAZs" => deploy_time("the region's availability zones".to_owned(), &[self.eval(argument, scope)]),
            "Fn::ImportValue" => self.import(argument, scope),
            "Fn::Transform" => self.transform(argument, scope),
            _ => unsupported(format!("`{name}`"), &[self.eval(argument, scope)]),
        };
        computed.with_origin(Origin::Site(site))
    }

    fn computed(&self, function: &str, argument: &'n Node, scope: &Scope) -> Value {
        let value = self.eval(argument, scope);
        let computed = functions::call(function, vec![value.clone()], self);
        // What is encoded stays known although the code isn't.
        match &computed.data {
            Data::Unknown(unknown) if function == "base64encode" && value.is_unknown() => {
                let data = Data::Unknown(Arc::new(Unknown { document: Some(value), ..(**unknown).clone() }));
                Value { data, ..computed }
            }
            _ => computed,
        }
    }

    fn import(&self, argument: &'n Node, scope: &Scope) -> Value {
        let export = self.eval(argument, scope);
        let name = match export.as_str() {
            Some(name) => format!("the export `{name}` of another stack"),
            None => "an export of another stack".to_owned(),
        };
        deploy_time(name, &[export])
    }

    /// What a macro makes of a part of the template.
    fn transform(&self, argument: &'n Node, scope: &Scope) -> Value {
        let name = match argument.get("Name").or(Some(argument)).and_then(Node::text) {
            Some(name) => format!("the macro `{name}`"),
            None => "a macro".to_owned(),
        };
        unsupported(name, &[self.eval(argument, scope)])
    }

    /// The members of an object, with loops unrolled.
    pub(super) fn expand(&self, members: &'n [Member], scope: &Scope) -> Vec<Expanded<'n>> {
        let mut found = Vec::with_capacity(members.len());
        self.expand_into(members, scope, &mut found);
        found
    }

    fn expand_into(&self, members: &'n [Member], scope: &Scope, found: &mut Vec<Expanded<'n>>) {
        for member in members {
            if member.key.starts_with("Fn::ForEach::") {
                stacker::maybe_grow(STACK_LEFT, STACK_ADDED, || self.unroll(member, scope, found));
                continue;
            }
            let key = match self.with_identifiers(&member.key, scope) {
                Some(value) => types::to_text(&value).unwrap_or_else(|| member.key.clone()),
                None => member.key.clone(),
            };
            found.push(Expanded { key, member, scope: scope.clone() });
        }
    }

    /// `Fn::ForEach::Name: [Identifier, Collection, {OutputKey: OutputValue}]`
    fn unroll(&self, member: &'n Member, scope: &Scope, found: &mut Vec<Expanded<'n>>) {
        let [identifier, collection, output] = member.value.items() else {
            let message = format!("`{}` needs an identifier, a collection and what is to be repeated: it was left out", member.key);
            self.report(Diagnostic::incomplete("invalid-loop", self.site(member.range()), message));
            return;
        };
        let Some(identifier) = identifier.text() else {
            let message = "the identifier of a loop must be a text: the loop was left out";
            self.report(Diagnostic::incomplete("invalid-loop", self.site(identifier.range), message));
            return;
        };
        let collection_value = self.eval(collection, scope);
        match collection_value.as_items() {
            Some(items) => {
                for item in items {
                    if found.len() >= limits::INSTANCES_PER_BLOCK || !self.spend(1) {
                        let message = format!("`{}` makes too many copies: the rest was not judged", member.key);
                        self.report(Diagnostic::incomplete("budget", self.site(member.key_range), message));
                        return;
                    }
                    self.expand_into(output.members(), &scope.with(identifier.clone(), item.clone()), found);
                }
            }
            // One copy stands for all: what they have in common is judged.
            None => {
                let item = match collection_value.as_unknown() {
                    Some(unknown) => Value::unknown(unknown.reason.clone()),
                    None => invalid(format!("a loop needs a list, not {}", collection_value.kind_name())),
                };
                self.expand_into(output.members(), &scope.with(identifier.clone(), item), found);
            }
        }
    }
}

/// A member of an object behind the loops around it.
#[derive(Clone)]
pub(super) struct Expanded<'n> {
    pub(super) key: Arc<str>,
    pub(super) member: &'n Member,
    pub(super) scope: Scope,
}

/// A number as written. What would lose a leading zero stays a text: it is an account, not a quantity.
fn number(written: &Arc<str>) -> Data {
    let digits = written.trim_start_matches('-');
    let is_padded = digits.len() > 1 && digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit());
    match written.parse() {
        Ok(number) if !is_padded => Data::Number(number),
        _ => Data::String(written.clone()),
    }
}

/// Whether a resource's attributes are what a function or another template makes them.
fn is_passed_through(type_name: &str) -> bool {
    type_name.starts_with("Custom::")
        || matches!(type_name, "AWS::CloudFormation::CustomResource" | "AWS::CloudFormation::Stack" | "AWS::Serverless::Application")
}

/// A loop's value as it stands in a logical id.
fn alphanumeric(value: &Value) -> Value {
    match types::to_text(value) {
        Some(text) => {
            Value { data: Data::String(text.chars().filter(char::is_ascii_alphanumeric).collect::<String>().into()), ..value.clone() }
        }
        None => value.clone(),
    }
}

/// CloudFormation would refuse it.
pub(super) fn invalid(message: impl Into<Arc<str>>) -> Value {
    Value::unknown(Reason::Invalid { message: message.into() })
}

/// Something that isn't evaluated here; the arguments' references stay.
pub(super) fn unsupported(what: String, arguments: &[Value]) -> Value {
    Value::new(Data::Unknown(Arc::new(unknowns::because(Reason::Unsupported { what: what.into() }, arguments))))
}

fn deploy_time(what: String, arguments: &[Value]) -> Value {
    Value::new(Data::Unknown(Arc::new(unknowns::because(Reason::DeployTime { what: what.into() }, arguments))))
}

/// What is made of values of which one isn't known.
pub(super) fn made_of_unknown(arguments: &[Value]) -> Value {
    let sensitive = arguments.iter().any(|argument| argument.sensitive);
    Value { sensitive, ..Value::new(Data::Unknown(Arc::new(unknowns::merged(arguments)))) }
}
