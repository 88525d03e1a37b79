//! Values for variables: from the call, from files, from the command line, from the default.
//!
//! Source: Terraform language documentation, "Input Variables" and "Variable Definition Precedence".

use std::collections::HashMap;
use std::sync::Arc;

use keyblind_resource::{Data, HopKind, Reason, Value};
use keyblind_syntax::hcl;

use super::super::module::{Declaration, Module};
use super::super::types::{self, Type};
use super::instance::{ModuleInputs, ModuleInstance};
use super::reference::cycle;
use super::scope::Scope;
use super::{Evaluator, Inputs};
use crate::paths;

impl<'p> Evaluator<'p> {
    /// The value of a variable, converted to its type.
    pub(super) fn variable(&self, instance: &ModuleInstance<'p>, name: &Arc<str>) -> Value {
        let Some(declaration) = instance.module.variables.get(name) else {
            return Value::unknown(Reason::Undeclared { name: format!("var.{name}").into() });
        };
        let compute = || self.bounded(self.compute_variable(instance, name, declaration));
        instance.variables.get_or_compute(name, compute).unwrap_or_else(|()| cycle(format!("var.{name}")))
    }

    fn compute_variable(&self, instance: &ModuleInstance<'p>, name: &Arc<str>, declaration: &Declaration) -> Value {
        let flag = |flag: &str| {
            let (file, attribute) = declaration.attribute(flag)?;
            self.eval(&attribute.value, Scope::new(instance, file)).as_bool()
        };
        let given = self.given(instance, name).filter(|value| !value.is_null() || flag("nullable") != Some(false));
        let value = given.or_else(|| {
            let (file, default) = declaration.attribute("default")?;
            let scope = Scope::new(instance, file);
            Some(self.eval(&default.value, scope).carried(HopKind::Default(name.clone()), scope.site(default.value.range)))
        });
        let Some(value) = value else {
            return Value::unknown(Reason::NoValue { variable: name.clone() })
                .with_origin(keyblind_resource::Origin::Site(declaration.header()));
        };
        let mut value = self.typed(instance, name, declaration, value);
        value.sensitive |= flag("sensitive") == Some(true);
        value
    }

    fn typed(&self, instance: &ModuleInstance<'p>, name: &Arc<str>, declaration: &Declaration, value: Value) -> Value {
        let Some((file, attribute)) = declaration.attribute("type") else { return value };
        let scope = Scope::new(instance, file);
        let parsed = Type::parse(&attribute.value, &mut |default| self.eval(default, scope));
        let origin = value.origin.clone();
        let sensitive = value.sensitive;
        let converted = parsed.and_then(|ty| types::convert(types::apply_defaults(value, &ty), &ty));
        match converted {
            Ok(converted) => Value { sensitive: sensitive || converted.sensitive, ..converted.with_origin(origin) },
            Err(message) => {
                let message = format!("the value of variable `{name}` doesn't fit its type: {message}");
                Value::unknown(Reason::Invalid { message: message.into() }).with_origin(origin)
            }
        }
    }

    fn given(&self, instance: &ModuleInstance<'p>, name: &Arc<str>) -> Option<Value> {
        match &instance.inputs {
            ModuleInputs::Given(values) => values.get(name).cloned(),
            ModuleInputs::Call { caller, call, iteration } => {
                let caller = caller.upgrade()?;
                let (file, attribute) = call.declaration.attribute(name)?;
                let scope = Scope::new(&caller, file);
                let value = match iteration {
                    Some((bound, value)) => {
                        let binding = scope.bind(*bound, value.clone());
                        self.eval(&attribute.value, scope.with(&binding))
                    }
                    None => self.eval(&attribute.value, scope),
                };
                let kind = HopKind::ModuleInput { module: format!("module.{}", call.name).into(), input: name.clone() };
                Some(value.carried(kind, scope.site(attribute.value.range)))
            }
        }
    }

    /// The values that files and the command line give to a root module's variables.
    pub(super) fn given_variables(&self, module: &'p Module, inputs: &Inputs) -> HashMap<Arc<str>, Value> {
        let mut values = HashMap::new();
        let files = self
            .project
            .variables_files(&self.root.directory)
            .chain(inputs.var_files.iter().filter_map(|path| self.project.variables_file(path)));
        // Nothing can be referred to in such a file.
        let surroundings = ModuleInstance::root(&self.project.nothing, HashMap::new());
        for (path, file) in files {
            for attribute in file.body.attributes() {
                let scope = Scope::new(&surroundings, file.id);
                let kind = HopKind::VariablesFile(paths::name(path).into());
                let value = self.eval(&attribute.value, scope).carried(kind, scope.site(attribute.value.range));
                values.insert(attribute.name.text.clone(), value);
            }
        }
        for (name, text) in &inputs.variables {
            let declaration = module.variables.get(name.as_str());
            values.insert(name.as_str().into(), self.command_line_value(&surroundings, declaration, text));
        }
        values
    }

    /// A text given on the command line is taken as it is for a primitive type, and read as an expression otherwise.
    fn command_line_value(&self, surroundings: &ModuleInstance<'p>, declaration: Option<&Declaration>, text: &str) -> Value {
        let plain = match declaration.and_then(|declaration| declaration.attribute("type")) {
            Some((_, attribute)) => {
                matches!(
                    Type::parse(&attribute.value, &mut |_| Value::null()),
                    Ok(Type::Any | Type::String | Type::Number | Type::Bool) | Err(_)
                )
            }
            None => true,
        };
        if plain {
            return Value::string(text);
        }
        let (expr, errors) = hcl::parse_expression(text);
        match errors.first() {
            Some(error) => Value::unknown(Reason::Invalid { message: format!("the value given can't be read: {}", error.message).into() }),
            // The ranges count in the given text, which is no file: they are taken off.
            None => without_sites(self.eval(&expr, Scope::new(surroundings, keyblind_syntax::FileId(0)))),
        }
    }
}

fn without_sites(value: Value) -> Value {
    let data = match &value.data {
        Data::List(items) => Data::List(Arc::new(items.iter().cloned().map(without_sites).collect())),
        Data::Set(items) => Data::Set(Arc::new(items.iter().cloned().map(without_sites).collect())),
        Data::Tuple(items) => Data::Tuple(Arc::new(items.iter().cloned().map(without_sites).collect())),
        Data::Map(mapping) => Data::Map(Arc::new(mapping.iter().map(|(key, value)| (key.clone(), without_sites(value.clone()))).collect())),
        Data::Object(mapping) => {
            Data::Object(Arc::new(mapping.iter().map(|(key, value)| (key.clone(), without_sites(value.clone()))).collect()))
        }
        other => other.clone(),
    };
    Value { data, sensitive: value.sensitive, origin: keyblind_resource::Origin::None }
}
