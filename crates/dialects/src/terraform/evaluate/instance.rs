//! One instance of a module, with everything of it that has been computed so far.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use keyblind_resource::Value;
use keyblind_syntax::Site;

use super::super::module::{Module, ModuleCall};

/// A module instance. Names are computed at most once.
pub(super) struct ModuleInstance<'p> {
    pub module: &'p Module,
    /// The address up to here with a dot behind it: `module.net["a"].`; empty for the root.
    pub prefix: Arc<str>,
    /// The names of the calls that lead here, with dots between: the key of `modules.json`.
    pub call_path: Arc<str>,
    /// The `module` blocks that lead here, outermost first.
    pub calls: Arc<[Site]>,
    /// Where values for the variables come from.
    pub inputs: ModuleInputs<'p>,
    pub variables: Memo<Value>,
    pub locals: Memo<Value>,
    pub outputs: Memo<Value>,
    pub resources: Memo<Rc<Expansion<BodyInstance>>>,
    pub children: Memo<Rc<Children<'p>>>,
    /// Itself, for its children to refer to.
    this: Weak<Self>,
}

/// Where a module instance's variables get their values.
pub(super) enum ModuleInputs<'p> {
    /// The root: values from files and the command line.
    Given(HashMap<Arc<str>, Value>),
    /// The arguments of a call, evaluated in the caller when they are asked for: two modules may feed each other as
    /// long as no single value depends on itself.
    Call {
        caller: Weak<ModuleInstance<'p>>,
        call: &'p ModuleCall,
        /// `each` or `count` of this instance.
        iteration: Option<(&'static str, Value)>,
    },
}

/// The instances of a called module, or why there are none to look into.
pub(super) enum Children<'p> {
    Found(Expansion<Rc<ModuleInstance<'p>>>),
    /// The module isn't there; the value stands for each of its outputs.
    Missing(Value),
}

/// An evaluated block body with the address of its instance.
pub(super) struct BodyInstance {
    pub address: Arc<str>,
    pub body: Value,
}

/// What `count` or `for_each` make of a block.
pub(super) enum Expansion<T> {
    /// Neither is set.
    Single(T),
    /// `count`
    Counted(Vec<T>),
    /// `for_each`, sorted by key.
    Keyed(Vec<(Arc<str>, T)>),
    /// How many there are isn't known, for the reason that the value has: one instance stands for all of them.
    Unknown(T, Value),
}

impl<T> Expansion<T> {
    pub(super) fn iter(&self) -> Box<dyn Iterator<Item = &T> + '_> {
        match self {
            Self::Single(item) | Self::Unknown(item, _) => Box::new(std::iter::once(item)),
            Self::Counted(items) => Box::new(items.iter()),
            Self::Keyed(items) => Box::new(items.iter().map(|(_, item)| item)),
        }
    }
}

/// Values by name, each computed at most once.
pub(super) struct Memo<T> {
    slots: RefCell<HashMap<Arc<str>, Option<T>>>,
}

impl<T> Default for Memo<T> {
    fn default() -> Self {
        Self { slots: RefCell::default() }
    }
}

impl<T: Clone> Memo<T> {
    /// The value of a name, computed now if it isn't yet. `Err` if it is being computed: it depends on itself.
    pub(super) fn get_or_compute(&self, name: &Arc<str>, compute: impl FnOnce() -> T) -> Result<T, ()> {
        if let Some(slot) = self.slots.borrow().get(name) {
            return slot.clone().ok_or(());
        }
        self.slots.borrow_mut().insert(name.clone(), None);
        let value = compute();
        self.slots.borrow_mut().insert(name.clone(), Some(value.clone()));
        Ok(value)
    }
}

impl<'p> ModuleInstance<'p> {
    /// The root module's only instance.
    pub(super) fn root(module: &'p Module, given: HashMap<Arc<str>, Value>) -> Rc<Self> {
        Self::new(module, "".into(), "".into(), Arc::new([]), ModuleInputs::Given(given))
    }

    pub(super) fn new(module: &'p Module, prefix: Arc<str>, call_path: Arc<str>, calls: Arc<[Site]>, inputs: ModuleInputs<'p>) -> Rc<Self> {
        Rc::new_cyclic(|this| Self {
            module,
            prefix,
            call_path,
            calls,
            inputs,
            variables: Memo::default(),
            locals: Memo::default(),
            outputs: Memo::default(),
            resources: Memo::default(),
            children: Memo::default(),
            this: this.clone(),
        })
    }

    /// Whether this instance or one that it was called from is of the module in that directory.
    pub(super) fn is_inside(&self, directory: &str) -> bool {
        if &*self.module.directory == directory {
            return true;
        }
        match &self.inputs {
            ModuleInputs::Given(_) => false,
            ModuleInputs::Call { caller, .. } => caller.upgrade().is_some_and(|caller| caller.is_inside(directory)),
        }
    }

    /// A handle that doesn't keep it alive.
    pub(super) fn downgrade(&self) -> Weak<Self> {
        self.this.clone()
    }
}

/// An instance key as it stands in an address: `["a"]`.
pub(super) fn key_suffix(key: &str) -> String {
    let mut text = String::with_capacity(key.len() + 4);
    text.push_str("[\"");
    for character in key.chars() {
        if matches!(character, '"' | '\\') {
            text.push('\\');
        }
        text.push(character);
    }
    text.push_str("\"]");
    text
}
