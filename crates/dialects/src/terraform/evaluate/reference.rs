//! Names to values: variables, locals, module outputs, resources, and the steps behind them.

use std::rc::Rc;
use std::sync::Arc;

use keyblind_resource::{Data, HopKind, Origin, Reason, Reference, Unknown, Value};
use keyblind_syntax::Site;
use keyblind_syntax::hcl::ast::{Expr, ExprKind, Ident};

use super::super::types;
use super::Evaluator;
use super::expression::{derived, invalid};
use super::instance::{BodyInstance, Children, Expansion, ModuleInstance};
use super::scope::Scope;
use crate::paths;

/// One step of a traversal, in the order of the text.
#[derive(Clone, Copy)]
enum Step<'e> {
    Attribute(&'e Ident),
    Index(&'e Expr),
}

impl<'p> Evaluator<'p> {
    /// Evaluates `root.a.b[c]…`.
    pub(super) fn traversal(&self, expr: &Expr, scope: Scope<'_, 'p>) -> Value {
        let mut steps = Vec::new();
        let mut root = expr;
        loop {
            match &root.kind {
                ExprKind::Attribute { base, name } => {
                    steps.push(Step::Attribute(name));
                    root = base;
                }
                ExprKind::Index { base, key } => {
                    steps.push(Step::Index(key));
                    root = base;
                }
                _ => break,
            }
        }
        steps.reverse();
        let site = scope.site(expr.range);
        let ExprKind::Variable(name) = &root.kind else {
            let value = self.eval(root, scope);
            return self.steps(value, &steps, scope, site);
        };
        if let Some(bound) = scope.lookup(name) {
            let value = self.steps(bound.clone(), &steps, scope, site);
            return value.carried(HopKind::Iterator(name.clone()), site);
        }
        self.named(name, &steps, scope, site)
    }

    fn steps(&self, mut value: Value, steps: &[Step<'_>], scope: Scope<'_, 'p>, site: Site) -> Value {
        for step in steps {
            value = match step {
                Step::Attribute(name) => self.attribute(&value, &name.text, site),
                Step::Index(key) => {
                    let key = self.eval(key, scope);
                    self.index(&value, &key, site)
                }
            };
        }
        value
    }

    fn named(&self, root: &Arc<str>, steps: &[Step<'_>], scope: Scope<'_, 'p>, site: Site) -> Value {
        let instance = scope.instance;
        let Some((Step::Attribute(first), rest)) = steps.split_first() else {
            return undeclared(root, site);
        };
        match &**root {
            "var" => {
                let value = self.variable(instance, &first.text).carried(HopKind::Variable(first.text.clone()), site);
                self.steps(value, rest, scope, site)
            }
            "local" => {
                let value = self.local(instance, &first.text).carried(HopKind::Local(first.text.clone()), site);
                self.steps(value, rest, scope, site)
            }
            "module" => self.module_value(instance, &first.text, rest, scope, site),
            "path" => {
                let value = match &*first.text {
                    "module" => Value::string(paths::relative(&self.root.directory, &instance.module.directory)),
                    "root" => Value::string("."),
                    _ => Value::unknown(Reason::Impure { function: format!("path.{}", first.text).into() }),
                };
                self.steps(value.with_origin(Origin::Site(site)), rest, scope, site)
            }
            "terraform" => {
                let name: Arc<str> = format!("terraform.{}", first.text).into();
                Value::unknown(Reason::NoValue { variable: name }).with_origin(Origin::Site(site))
            }
            "each" | "count" | "self" => undeclared(&format!("{root}.{}", first.text).into(), site),
            "data" | "ephemeral" => match rest.split_first() {
                Some((Step::Attribute(second), rest)) => self.resource_value(root, &first.text, &second.text, rest, scope, site),
                _ => undeclared(&format!("{root}.{}", first.text).into(), site),
            },
            "resource" => match rest.split_first() {
                Some((Step::Attribute(second), rest)) => self.resource_value("", &first.text, &second.text, rest, scope, site),
                _ => undeclared(&format!("{root}.{}", first.text).into(), site),
            },
            _ => self.resource_value("", root, &first.text, rest, scope, site),
        }
    }

    fn local(&self, instance: &ModuleInstance<'p>, name: &Arc<str>) -> Value {
        let Some(local) = instance.module.locals.get(name) else {
            return Value::unknown(Reason::Undeclared { name: format!("local.{name}").into() });
        };
        let compute = || self.bounded(self.eval(&local.value, Scope::new(instance, local.file)));
        instance.locals.get_or_compute(name, compute).unwrap_or_else(|()| cycle(format!("local.{name}")))
    }

    /// An output's value, where its expression stands.
    pub(super) fn output(&self, instance: &ModuleInstance<'p>, name: &Arc<str>) -> Value {
        let Some(output) = instance.module.outputs.get(name) else {
            return Value::unknown(Reason::Undeclared { name: format!("output.{name}").into() });
        };
        let compute = || {
            let Some((file, attribute)) = output.attribute("value") else {
                return Value::unknown(Reason::Invalid { message: format!("output `{name}` has no value").into() });
            };
            let scope = Scope::new(instance, file);
            let mut value = self.bounded(self.eval(&attribute.value, scope));
            if let Some((file, sensitive)) = output.attribute("sensitive") {
                value.sensitive |= self.eval(&sensitive.value, scope.in_file(file)).as_bool() == Some(true);
            }
            value
        };
        instance.outputs.get_or_compute(name, compute).unwrap_or_else(|()| cycle(format!("output.{name}")))
    }

    fn module_value(&self, instance: &ModuleInstance<'p>, name: &Arc<str>, steps: &[Step<'_>], scope: Scope<'_, 'p>, site: Site) -> Value {
        let call: Arc<str> = format!("module.{name}").into();
        if !instance.module.calls.contains_key(name) {
            return undeclared(&call, site);
        }
        let Some(children) = self.children(instance, name) else { return cycle(call.to_string()).with_origin(Origin::Site(site)) };
        let expansion = match &*children {
            Children::Found(expansion) => expansion,
            Children::Missing(value) => return value.clone().with_origin(Origin::Site(site)),
        };
        let output = |child: &ModuleInstance<'p>, output: &Arc<str>| {
            let kind = HopKind::ModuleOutput { module: call.clone(), output: output.clone() };
            self.output(child, output).carried(kind, site)
        };
        // The usual forms read one output; only the rest needs the module as an object of all its outputs.
        let (child, rest) = match (expansion, steps) {
            (Expansion::Single(child), rest) => (Some(&**child), rest),
            (Expansion::Unknown(child, _), [Step::Index(_), rest @ ..]) => (Some(&**child), rest),
            (Expansion::Counted(children), [Step::Index(key), rest @ ..]) => {
                let index = self.eval(key, scope);
                if index.is_unknown() {
                    return derived(&index).with_origin(Origin::Site(site));
                }
                let child = index
                    .as_number()
                    .and_then(keyblind_resource::Number::as_i64)
                    .and_then(|index| children.get(usize::try_from(index).ok()?));
                (child.map(|child| &**child), rest)
            }
            (Expansion::Keyed(children), [Step::Index(key), rest @ ..]) => {
                let key = self.eval(key, scope);
                if key.is_unknown() {
                    return derived(&key).with_origin(Origin::Site(site));
                }
                let text = types::to_text(&key);
                let child = children.iter().find(|(name, _)| Some(name) == text.as_ref());
                (child.map(|(_, child)| &**child), rest)
            }
            (expansion, rest) => {
                let object = |child: &Rc<ModuleInstance<'p>>| {
                    Value::object(child.module.outputs.keys().map(|name| (name.clone(), output(child, name))))
                };
                let whole = match expansion {
                    Expansion::Counted(children) => Value::tuple(children.iter().map(object).collect()),
                    Expansion::Keyed(children) => Value::object(children.iter().map(|(key, child)| (key.clone(), object(child)))),
                    Expansion::Single(child) => object(child),
                    Expansion::Unknown(_, cause) => derived(cause),
                };
                return self.steps(whole.with_origin(Origin::Site(site)), rest, scope, site);
            }
        };
        let Some(child) = child else { return invalid(format!("`{call}` has no instance of that key"), site) };
        match rest.split_first() {
            Some((Step::Attribute(name), rest)) => self.steps(output(child, &name.text), rest, scope, site),
            _ => {
                let object = Value::object(child.module.outputs.keys().map(|name| (name.clone(), output(child, name))));
                self.steps(object.with_origin(Origin::Site(site)), rest, scope, site)
            }
        }
    }

    fn resource_value(
        &self,
        mode: &str,
        type_name: &Arc<str>,
        name: &Arc<str>,
        steps: &[Step<'_>],
        scope: Scope<'_, 'p>,
        site: Site,
    ) -> Value {
        let address = super::resources::dotted(mode, type_name, name);
        let Some(expansion) = self.resource_instances(scope.instance, mode, type_name, name) else {
            return undeclared_resource(&format!("{}{address}", scope.instance.prefix), address.as_str(), steps)
                .with_origin(Origin::Site(site));
        };
        let expansion = match expansion {
            Ok(expansion) => expansion,
            Err(()) => return cycle(address).with_origin(Origin::Site(site)),
        };
        let whole = |instance: &BodyInstance| {
            let kind = HopKind::Resource { address: instance.address.clone(), attribute: "".into() };
            instance.body.clone().carried(kind, site)
        };
        let (value, rest) = match (&*expansion, steps) {
            (Expansion::Single(instance), rest) => (whole(instance), rest),
            (Expansion::Unknown(instance, _), [Step::Index(_), rest @ ..]) => (whole(instance), rest),
            (Expansion::Unknown(instance, cause), rest) => {
                let mut value = derived(cause);
                if let Data::Unknown(unknown) = &mut value.data {
                    let unknown = Arc::make_mut(unknown);
                    unknown.nullable = false;
                    unknown.references.push(Reference { address: instance.address.clone(), attribute: "".into() });
                }
                (value.with_origin(Origin::Site(site)), rest)
            }
            (Expansion::Counted(instances), rest) => (Value::tuple(instances.iter().map(whole).collect()), rest),
            (Expansion::Keyed(instances), rest) => {
                (Value::object(instances.iter().map(|(key, instance)| (key.clone(), whole(instance)))), rest)
            }
        };
        let value = match &value.origin {
            Origin::None => value.with_origin(Origin::Site(site)),
            _ => value,
        };
        self.steps(value, rest, scope, site)
    }

    /// `value.name`
    pub(super) fn attribute(&self, value: &Value, name: &str, site: Site) -> Value {
        let found = match &value.data {
            Data::Unknown(unknown) => return attribute_of_unknown(value, unknown, name).with_origin(Origin::Site(site)),
            Data::Map(mapping) | Data::Object(mapping) => mapping.get(name),
            Data::List(items) | Data::Tuple(items) => name.parse::<usize>().ok().and_then(|index| items.get(index)),
            _ => None,
        };
        match (found, resource_hop(value)) {
            (Some(found), None) => Value { sensitive: found.sensitive || value.sensitive, ..found.clone() },
            // What is set to null may be filled in by the provider; what is not null is what it says.
            (Some(found), Some((address, path))) if !found.is_null() => {
                let kind = HopKind::Resource { address, attribute: join(&path, name) };
                Value { sensitive: found.sensitive || value.sensitive, ..found.clone() }.carried(kind, site)
            }
            (found, Some((address, path))) if !value.is_null() => {
                let unknown = Unknown { nullable: found.is_some(), ..Unknown::attribute_of(address, join(&path, name)) };
                Value::new(Data::Unknown(Arc::new(unknown))).with_origin(Origin::Site(site))
            }
            _ => invalid(format!("{} has no attribute `{name}`", value.kind_name()), site),
        }
    }

    /// `value[key]`
    pub(super) fn index(&self, value: &Value, key: &Value, site: Site) -> Value {
        if let Data::Unknown(unknown) = &value.data {
            return match types::to_text(key) {
                Some(key) => attribute_of_unknown(value, unknown, &key).with_origin(Origin::Site(site)),
                None => derived(value).with_origin(Origin::Site(site)),
            };
        }
        if key.is_unknown() {
            return one_of_elements(value, key).with_origin(Origin::Site(site));
        }
        let found = match &value.data {
            Data::List(items) | Data::Tuple(items) => {
                let index = match &key.data {
                    Data::Number(number) => number.as_i64(),
                    Data::String(text) => text.parse().ok(),
                    _ => None,
                };
                index.and_then(|index| items.get(usize::try_from(index).ok()?))
            }
            Data::Map(_) | Data::Object(_) => match types::to_text(key) {
                Some(name) => return self.attribute(value, &name, site),
                None => None,
            },
            _ => None,
        };
        match found {
            Some(found) => {
                let found = Value { sensitive: found.sensitive || value.sensitive, ..found.clone() };
                match resource_hop(value) {
                    Some((address, path)) if resource_hop(&found).is_none() => {
                        found.carried(HopKind::Resource { address, attribute: path }, site)
                    }
                    _ => found,
                }
            }
            None => invalid(format!("{} has no element of that key", value.kind_name()), site),
        }
    }
}

/// An element whose key isn't known: unknown, but made from what the elements are made from.
fn one_of_elements(value: &Value, key: &Value) -> Value {
    let mut result = derived(key);
    let elements: Vec<&Value> = match (value.as_items(), value.as_mapping()) {
        (Some(items), _) => items.iter().collect(),
        (_, Some(mapping)) => mapping.iter().map(|(_, value)| value).collect(),
        _ => Vec::new(),
    };
    if let Data::Unknown(unknown) = &mut result.data {
        let unknown = Arc::make_mut(unknown);
        unknown.nullable = elements.iter().any(|element| element.is_null());
        unknown.references.extend(elements.iter().flat_map(|element| super::expression::known_references(element)));
        if elements.len() <= crate::limits::CANDIDATES && elements.iter().all(|element| element.is_wholly_known()) {
            unknown.candidates = elements.into_iter().cloned().collect();
        }
    }
    result
}

fn attribute_of_unknown(value: &Value, unknown: &Unknown, name: &str) -> Value {
    match &unknown.reason {
        Reason::AfterApply { address, attribute } => {
            let nested = Unknown::attribute_of(address.clone(), join(attribute, name));
            Value { sensitive: value.sensitive, ..Value::new(Data::Unknown(Arc::new(nested))) }
        }
        _ => {
            let mut result = derived(value);
            // Whether a member of an unknown object is null says nothing about whether the object is.
            if let (Data::Unknown(result), Reason::NoValue { .. }) = (&mut result.data, &unknown.reason) {
                Arc::make_mut(result).nullable = true;
            }
            result
        }
    }
}

/// The resource that this value is (a part of).
fn resource_hop(value: &Value) -> Option<(Arc<str>, Arc<str>)> {
    value.origin.hops().find_map(|hop| match &hop.kind {
        HopKind::Resource { address, attribute } => Some((address.clone(), attribute.clone())),
        _ => None,
    })
}

fn join(path: &str, name: &str) -> Arc<str> {
    if path.is_empty() { name.into() } else { format!("{path}.{name}").into() }
}

fn undeclared(name: &Arc<str>, site: Site) -> Value {
    Value::unknown(Reason::Undeclared { name: name.clone() }).with_origin(Origin::Site(site))
}

/// An attribute of a resource that nothing declares: of what type the resource is meant to be is known all the same.
fn undeclared_resource(address: &str, name: &str, steps: &[Step<'_>]) -> Value {
    let attributes = steps.iter().filter_map(|step| if let Step::Attribute(name) = step { Some(&*name.text) } else { None });
    let attribute: Vec<&str> = attributes.collect();
    let reference = Reference { address: address.into(), attribute: attribute.join(".").into() };
    let unknown = Unknown { references: vec![reference], ..Unknown::new(Reason::Undeclared { name: name.into() }) };
    Value::new(Data::Unknown(Arc::new(unknown)))
}

/// The value of something that depends on itself.
pub(super) fn cycle(name: String) -> Value {
    Value::unknown(Reason::Cycle { name: name.into() })
}
