//! Evaluates one root module with everything that it calls.
//!
//! Lazy: a value is computed when something asks for it, once; what asks for itself is a cycle and unknown. Nothing
//! fails: what Terraform would refuse is unknown with the reason, and the rest goes on.
//!
//! Source: the Terraform language documentation; the program itself is the oracle in the tests.

mod body;
mod expression;
mod host;
mod instance;
pub(crate) mod operators;
mod policy_document;
mod reference;
mod resources;
mod scope;
mod template;
mod variables;

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::sync::Arc;

use keyblind_resource::{Reason, Resource, Value};
use keyblind_syntax::Diagnostic;

use super::project::Project;
use super::roots::Root;
use super::types;
use crate::{Tree, limits};

use instance::ModuleInstance;

/// Values from outside the configuration.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    /// `--var name=value`, in order.
    pub variables: Vec<(String, String)>,
    /// `--var-file`: paths relative to the trust root, in order.
    pub var_files: Vec<String>,
}

/// What a root module declares, evaluated.
#[derive(Debug, Default)]
pub struct Evaluation {
    /// All instances of resources, data sources, provider configurations and module calls, of all modules.
    pub resources: Vec<Resource>,
    /// The root module's outputs, sorted by name.
    pub outputs: Vec<(Arc<str>, Value)>,
    /// What is incomplete: modules that aren't there, limits that were reached. Each once.
    pub diagnostics: Vec<Diagnostic>,
}

impl Project {
    /// Evaluates a root module. Values for its variables come, the later the stronger, from defaults,
    /// `terraform.tfvars`, `*.auto.tfvars`, `inputs.var_files` and `inputs.variables`.
    pub fn evaluate(&self, root: &Root, inputs: &Inputs, tree: &dyn Tree) -> Evaluation {
        let Some(module) = self.modules.get(&root.directory) else { return Evaluation::default() };
        let evaluator = Evaluator {
            project: self,
            root,
            tree,
            fuel: Cell::new(limits::FUEL_PER_ROOT),
            depth: Cell::new(0),
            module_instances: Cell::new(0),
            diagnostics: RefCell::default(),
        };
        let given = evaluator.given_variables(module, inputs);
        let instance = ModuleInstance::root(module, given);
        let mut resources = Vec::new();
        evaluator.collect_resources(&instance, &mut resources);
        let outputs = module.outputs.keys().map(|name| (name.clone(), evaluator.output(&instance, name))).collect();
        let diagnostics = evaluator.diagnostics.into_inner().into_iter().collect();
        Evaluation { resources, outputs, diagnostics }
    }
}

/// The state of evaluating one root.
struct Evaluator<'p> {
    project: &'p Project,
    root: &'p Root,
    tree: &'p dyn Tree,
    fuel: Cell<u64>,
    depth: Cell<u32>,
    module_instances: Cell<usize>,
    diagnostics: RefCell<BTreeSet<Diagnostic>>,
}

impl Evaluator<'_> {
    /// Takes fuel; false if there is none left.
    fn spend(&self, units: u64) -> bool {
        let left = self.fuel.get();
        self.fuel.set(left.saturating_sub(units));
        left > units
    }

    /// The value, or an unknown in its place if it is larger or deeper than what may be built on: values share their parts,
    /// so that a few lines could make one that nothing can walk.
    fn bounded(&self, value: Value) -> Value {
        let origin = value.origin.clone();
        match types::size_within(&value, types::MAX_NODES) {
            Some(size) if self.spend(size as u64 / 16) => value,
            Some(_) => self.out_of("evaluation steps").with_origin(origin),
            None => self.out_of("size of a value").with_origin(origin),
        }
    }

    fn out_of(&self, limit: &'static str) -> Value {
        Value::unknown(Reason::Budget { limit })
    }

    fn report(&self, diagnostic: Diagnostic) {
        self.diagnostics.borrow_mut().insert(diagnostic);
    }
}
