//! Blocks to instances: `count`, `for_each`, module calls, and the list of everything that was declared.

use std::rc::Rc;
use std::sync::Arc;

use keyblind_resource::{BlockKind, Data, Dialect, Mapping, Reason, Resource, Value};
use keyblind_syntax::{Diagnostic, Level, Site};

use super::super::module::{Declaration, ModuleCall, ResourceBlock};
use super::super::project::Project;
use super::instance::{BodyInstance, Children, Expansion, ModuleInputs, ModuleInstance, key_suffix};
use super::scope::Scope;
use super::{Evaluator, expression, policy_document};
use crate::limits;

/// One turn of an expansion: the key's suffix in the address, and what `each` or `count` is.
type Turn<'t> = (&'t str, Option<(&'static str, Value)>);

impl<'p> Evaluator<'p> {
    /// Lists the instances of everything that a module instance declares, and of the modules that it calls.
    pub(super) fn collect_resources(&self, instance: &Rc<ModuleInstance<'p>>, found: &mut Vec<Resource>) {
        let module = instance.module;
        for (mode, blocks, kind) in [
            ("", &module.resources, BlockKind::Managed),
            ("data", &module.data, BlockKind::Data),
            ("ephemeral", &module.ephemeral, BlockKind::Data),
        ] {
            for block in blocks.values() {
                let Some(Ok(expansion)) = self.resource_instances(instance, mode, &block.type_name, &block.name) else { continue };
                let type_key: Arc<str> =
                    if mode.is_empty() { block.type_name.clone() } else { format!("{mode}.{}", block.type_name).into() };
                for body in expansion.iter() {
                    if found.len() >= limits::RESOURCES_PER_ROOT {
                        self.report(Diagnostic::incomplete(
                            "budget",
                            block.declaration.header(),
                            "too many resources in one root module: the rest was not judged",
                        ));
                        return;
                    }
                    found.push(resource(body, kind, type_key.clone(), block.name.clone(), &block.declaration, &instance.calls));
                }
            }
        }
        for (mode, block) in &module.repeated {
            let base = format!("{}{}", instance.prefix, dotted(mode, &block.type_name, &block.name));
            self.report(Diagnostic {
                level: Level::Note,
                ..Diagnostic::incomplete(
                    "repeated-declaration",
                    block.declaration.header(),
                    format!("`{base}` is declared twice: both blocks were judged"),
                )
            });
            let scope = Scope::new(instance, block.declaration.file());
            let kind = if mode.is_empty() { BlockKind::Managed } else { BlockKind::Data };
            let type_key: Arc<str> = if mode.is_empty() { block.type_name.clone() } else { format!("{mode}.{}", block.type_name).into() };
            let expansion = self.expand(&block.declaration, scope, &base, &mut |turn| self.resource_body(block, mode, scope, &base, turn));
            found.extend(
                expansion
                    .iter()
                    .map(|body| resource(body, kind, type_key.clone(), block.name.clone(), &block.declaration, &instance.calls)),
            );
        }
        for provider in &module.providers {
            let name =
                if provider.name.is_empty() { provider.type_name.to_string() } else { format!("{}.{}", provider.type_name, provider.name) };
            let body = BodyInstance {
                address: format!("{}provider.{name}", instance.prefix).into(),
                body: self.declared_body(&provider.declaration, Scope::new(instance, provider.declaration.file()), &["alias"]),
            };
            let type_key = format!("provider.{}", provider.type_name).into();
            found.push(resource(&body, BlockKind::Provider, type_key, name.into(), &provider.declaration, &instance.calls));
        }
        for (name, call) in &module.calls {
            let body = BodyInstance { address: format!("{}module.{name}", instance.prefix).into(), body: self.call_body(instance, call) };
            let children = self.children(instance, name);
            let kind = match children.as_deref() {
                Some(Children::Missing(_)) => BlockKind::UnreadModule,
                _ => BlockKind::Module,
            };
            found.push(resource(&body, kind, "module".into(), name.clone(), &call.declaration, &instance.calls));
            if let Some(Children::Found(expansion)) = children.as_deref() {
                for child in expansion.iter() {
                    self.collect_resources(child, found);
                }
            }
        }
    }

    /// A call's arguments as a rule sees them, with `each` and `count` unknown.
    fn call_body(&self, instance: &ModuleInstance<'p>, call: &ModuleCall) -> Value {
        let scope = Scope::new(instance, call.declaration.file());
        let each = scope.bind("each", Value::unknown(Reason::Unsupported { what: "`each` of the call as a whole".into() }));
        let scope = scope.with(&each);
        let count = scope.bind("count", Value::unknown(Reason::Unsupported { what: "`count` of the call as a whole".into() }));
        self.declared_body(&call.declaration, scope.with(&count), &["providers", "depends_on", "count", "for_each"])
    }

    /// The instances of a resource, data source or ephemeral resource; `None` if nothing declares it, `Err` for a cycle.
    #[allow(clippy::type_complexity, reason = "two ways of not being there")]
    pub(super) fn resource_instances(
        &self,
        instance: &ModuleInstance<'p>,
        mode: &str,
        type_name: &Arc<str>,
        name: &Arc<str>,
    ) -> Option<Result<Rc<Expansion<BodyInstance>>, ()>> {
        let blocks = match mode {
            "" => &instance.module.resources,
            "data" => &instance.module.data,
            _ => &instance.module.ephemeral,
        };
        let block = blocks.get(&(type_name.clone(), name.clone()))?;
        let base: Arc<str> = format!("{}{}", instance.prefix, dotted(mode, type_name, name)).into();
        let compute = || {
            let scope = Scope::new(instance, block.declaration.file());
            Rc::new(self.expand(&block.declaration, scope, &base, &mut |turn| self.resource_body(block, mode, scope, &base, turn)))
        };
        Some(instance.resources.get_or_compute(&base, compute))
    }

    fn resource_body(
        &self,
        block: &ResourceBlock,
        mode: &str,
        scope: Scope<'_, 'p>,
        base: &str,
        (suffix, iteration): Turn<'_>,
    ) -> BodyInstance {
        const META: &[&str] = &["count", "for_each", "provider", "depends_on"];
        let address: Arc<str> = format!("{base}{suffix}").into();
        let mut body = match iteration {
            Some((name, value)) => {
                let binding = scope.bind(name, value);
                self.declared_body(&block.declaration, scope.with(&binding), META)
            }
            None => self.declared_body(&block.declaration, scope, META),
        };
        if mode == "data" {
            self.compute_data(block, &address, &mut body);
        }
        BodyInstance { address, body: self.bounded(body) }
    }

    /// Fills in what a data source's result is, where it follows from its arguments.
    fn compute_data(&self, block: &ResourceBlock, address: &Arc<str>, body: &mut Value) {
        if &*block.type_name != "aws_iam_policy_document" {
            return;
        }
        let document = policy_document::document(body, address);
        let site = block.declaration.header();
        if let Data::Object(mapping) = &mut body.data {
            let mapping: &mut Mapping = Arc::make_mut(mapping);
            mapping.insert("json", policy_document::encode(&document, site, true));
            mapping.insert("minified_json", policy_document::encode(&document, site, false));
        }
    }

    /// The instances of a called module; `None` for a cycle.
    pub(super) fn children(&self, instance: &ModuleInstance<'p>, name: &Arc<str>) -> Option<Rc<Children<'p>>> {
        let call = instance.module.calls.get(name)?;
        instance.children.get_or_compute(name, || Rc::new(self.find_children(instance, name, call))).ok()
    }

    fn find_children(&self, instance: &ModuleInstance<'p>, name: &Arc<str>, call: &'p ModuleCall) -> Children<'p> {
        let declaration = &call.declaration;
        let call_path: Arc<str> =
            if instance.call_path.is_empty() { name.clone() } else { format!("{}.{name}", instance.call_path).into() };
        let source = call.source.clone().unwrap_or_else(|| "no literal source".into());
        let local = Project::local_source(instance.module, &source).map(Arc::from);
        let directory = local.or_else(|| self.project.installed.get(&self.root.directory)?.get(&*call_path).cloned());
        let Some(module) = directory.and_then(|directory| self.project.modules.get(&directory)) else {
            self.report(
                Diagnostic::incomplete(
                    "module-not-installed",
                    declaration.header(),
                    format!("module not installed: `module.{name}` ({source})"),
                )
                .with_help("run `terraform init` before scanning, so that the module's resources are judged too"),
            );
            return Children::Missing(Value::unknown(Reason::ModuleNotInstalled { module: format!("module.{name}").into(), source }));
        };
        if instance.is_inside(&module.directory) {
            self.report(
                Diagnostic::incomplete(
                    "module-calls-itself",
                    declaration.header(),
                    format!("`module.{name}` calls a module that it is part of"),
                )
                .with_help("Terraform refuses such a call; its inner instances were not judged"),
            );
            return Children::Missing(Value::unknown(Reason::Cycle { name: format!("module.{name}").into() }));
        }
        if instance.calls.len() >= limits::MODULE_DEPTH {
            self.report(Diagnostic::incomplete(
                "budget",
                declaration.header(),
                "modules are nested too deeply: what this one declares was not judged",
            ));
            return Children::Missing(self.out_of("module nesting"));
        }
        let calls: Arc<[Site]> = instance.calls.iter().copied().chain([declaration.site()]).collect();
        let scope = Scope::new(instance, declaration.file());
        let base = format!("{}module.{name}", instance.prefix);
        Children::Found(self.expand(declaration, scope, &base, &mut |(suffix, iteration)| {
            let made = self.module_instances.get() + 1;
            self.module_instances.set(made);
            if made == limits::MODULE_INSTANCES_PER_ROOT {
                self.report(Diagnostic::incomplete(
                    "budget",
                    declaration.header(),
                    "too many module instances in one root module: values are unknown from here on",
                ));
                self.fuel.set(0);
            }
            let inputs = ModuleInputs::Call { caller: instance.downgrade(), call, iteration };
            ModuleInstance::new(module, format!("{base}{suffix}.").into(), call_path.clone(), calls.clone(), inputs)
        }))
    }

    /// Makes the instances that `count` or `for_each` ask for.
    fn expand<T>(&self, declaration: &Declaration, scope: Scope<'_, 'p>, base: &str, make: &mut dyn FnMut(Turn<'_>) -> T) -> Expansion<T> {
        if let Some((file, count)) = declaration.attribute("count") {
            let value = self.eval(&count.value, scope.in_file(file));
            return self.expand_count(&value, declaration, base, make);
        }
        if let Some((file, for_each)) = declaration.attribute("for_each") {
            let value = self.eval(&for_each.value, scope.in_file(file));
            return self.expand_for_each(&value, declaration, base, make);
        }
        Expansion::Single(make(("", None)))
    }

    fn expand_count<T>(&self, value: &Value, declaration: &Declaration, base: &str, make: &mut dyn FnMut(Turn<'_>) -> T) -> Expansion<T> {
        let turn = |index: Value| Some(("count", Value::object([("index".into(), index)])));
        let number = match &value.data {
            Data::Number(number) => number.as_i64(),
            Data::String(text) => text.parse().ok(),
            Data::Bool(true) => Some(1),
            Data::Bool(false) => Some(0),
            _ => None,
        };
        match number.and_then(|number| usize::try_from(number).ok()) {
            Some(number) if number <= limits::INSTANCES_PER_BLOCK && self.spend(number as u64) => {
                Expansion::Counted((0..number).map(|index| make((&format!("[{index}]"), turn(Value::int(index as i64))))).collect())
            }
            Some(_) => self.unknown_expansion(self.out_of("instances of a block"), "count", declaration, base, make),
            None => {
                let cause = if value.is_unknown() {
                    expression::derived(value)
                } else {
                    expression::invalid("`count` must be a whole number".to_owned(), declaration.header())
                };
                self.unknown_expansion(cause, "count", declaration, base, make)
            }
        }
    }

    fn expand_for_each<T>(
        &self,
        value: &Value,
        declaration: &Declaration,
        base: &str,
        make: &mut dyn FnMut(Turn<'_>) -> T,
    ) -> Expansion<T> {
        let elements: Option<Vec<(Arc<str>, Value)>> = match &value.data {
            Data::Map(mapping) | Data::Object(mapping) => Some(mapping.iter().map(|(key, value)| (key.clone(), value.clone())).collect()),
            // Terraform wants a set; a list of texts says what is meant well enough to judge it.
            Data::Set(items) | Data::List(items) | Data::Tuple(items) => {
                items.iter().map(|item| Some((super::super::types::to_text(item)?, item.clone()))).collect()
            }
            _ => None,
        };
        match elements {
            Some(elements) if elements.len() <= limits::INSTANCES_PER_BLOCK && self.spend(elements.len() as u64) => {
                let mut made = std::collections::BTreeMap::new();
                for (key, value) in elements {
                    let each = Value::object([
                        ("key".into(), Value::string(key.clone()).with_origin(value.origin.clone())),
                        ("value".into(), value),
                    ]);
                    made.entry(key.clone()).or_insert_with(|| make((&key_suffix(&key), Some(("each", each)))));
                }
                Expansion::Keyed(made.into_iter().collect())
            }
            Some(_) => self.unknown_expansion(self.out_of("instances of a block"), "each", declaration, base, make),
            None => {
                let cause = if value.is_unknown() || value.as_items().is_some() {
                    let unknown = std::iter::once(value).chain(value.as_items().into_iter().flatten()).find(|value| value.is_unknown());
                    unknown
                        .map_or_else(|| Value::unknown(Reason::Invalid { message: "`for_each` needs texts".into() }), expression::derived)
                } else {
                    expression::invalid(
                        format!("`for_each` needs a map or a set of texts, not {}", value.kind_name()),
                        declaration.header(),
                    )
                };
                self.unknown_expansion(cause, "each", declaration, base, make)
            }
        }
    }

    /// One instance that stands for an unknown number of them: its `count.index` or `each` is unknown.
    fn unknown_expansion<T>(
        &self,
        cause: Value,
        name: &'static str,
        declaration: &Declaration,
        base: &str,
        make: &mut dyn FnMut(Turn<'_>) -> T,
    ) -> Expansion<T> {
        if let Some(Reason::Budget { limit }) = cause.as_unknown().map(|unknown| &unknown.reason) {
            self.report(Diagnostic::incomplete(
                "budget",
                declaration.header(),
                format!("the instances of `{base}` are too many to list ({limit}): one stands for all"),
            ));
        }
        let mut member = cause.clone();
        if let Data::Unknown(unknown) = &mut member.data {
            Arc::make_mut(unknown).nullable = false;
        }
        let bound = if name == "count" {
            Value::object([("index".into(), member)])
        } else {
            Value::object([("key".into(), member.clone()), ("value".into(), member)])
        };
        Expansion::Unknown(make(("", Some((name, bound)))), cause)
    }
}

/// `aws_s3_bucket.b`, `data.aws_ami.x`
pub(super) fn dotted(mode: &str, type_name: &str, name: &str) -> String {
    if mode.is_empty() { format!("{type_name}.{name}") } else { format!("{mode}.{type_name}.{name}") }
}

fn resource(
    body: &BodyInstance,
    kind: BlockKind,
    type_key: Arc<str>,
    name: Arc<str>,
    declaration: &Declaration,
    calls: &Arc<[Site]>,
) -> Resource {
    Resource {
        address: body.address.clone(),
        dialect: Dialect::Terraform,
        kind,
        type_key,
        name,
        body: body.body.clone(),
        header: declaration.header(),
        block: declaration.site(),
        calls: calls.clone(),
        skips: Vec::new(),
    }
}
