//! Where an expression is evaluated: which module instance, which file, which names are bound.

use std::sync::Arc;

use keyblind_resource::Value;
use keyblind_syntax::{FileId, Site, TextRange};

use super::instance::ModuleInstance;

/// The surroundings of an expression. Cheap to extend: each `for` variable or iterator is one link.
#[derive(Clone, Copy)]
pub(super) struct Scope<'s, 'p> {
    pub instance: &'s ModuleInstance<'p>,
    pub file: FileId,
    bindings: Option<&'s Binding<'s>>,
}

/// A name that is bound here: a `for` variable, `each`, `count`, a `dynamic` block's iterator, a template's variable.
pub(super) struct Binding<'s> {
    pub name: Arc<str>,
    pub value: Value,
    pub outer: Option<&'s Binding<'s>>,
}

impl<'s, 'p> Scope<'s, 'p> {
    pub(super) fn new(instance: &'s ModuleInstance<'p>, file: FileId) -> Self {
        Self { instance, file, bindings: None }
    }

    /// The same surroundings in another file of the module.
    pub(super) fn in_file(self, file: FileId) -> Self {
        Self { file, ..self }
    }

    /// A binding to put on top of what is bound here; see [`Scope::with`].
    pub(super) fn bind(&self, name: impl Into<Arc<str>>, value: Value) -> Binding<'s> {
        Binding { name: name.into(), value, outer: self.bindings }
    }

    /// The surroundings with one more binding.
    pub(super) fn with<'t>(&self, binding: &'t Binding<'t>) -> Scope<'t, 'p>
    where
        's: 't,
    {
        Scope { instance: self.instance, file: self.file, bindings: Some(binding) }
    }

    /// The innermost binding of a name.
    pub(super) fn lookup(&self, name: &str) -> Option<&'s Value> {
        let mut binding = self.bindings;
        while let Some(current) = binding {
            if &*current.name == name {
                return Some(&current.value);
            }
            binding = current.outer;
        }
        None
    }

    pub(super) fn site(&self, range: TextRange) -> Site {
        Site::new(self.file, range)
    }
}
