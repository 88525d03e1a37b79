//! What functions may ask for: files beneath the trust root, templates, fuel.

use std::sync::Arc;

use keyblind_resource::{Origin, Reason, Value};
use keyblind_syntax::hcl;

use super::super::functions::{DecodedTexts, Host};
use super::Evaluator;
use super::expression::{carry_references, known_references};
use super::instance::ModuleInstance;
use super::scope::Scope;
use crate::{limits, paths};

/// Directories and files that one `fileset` may look at.
const FILE_SET_ENTRIES: usize = 20_000;

pub(super) struct FunctionHost<'h, 's, 'p> {
    pub evaluator: &'h Evaluator<'p>,
    pub scope: Scope<'s, 'p>,
}

impl FunctionHost<'_, '_, '_> {
    /// Terraform runs in the root module's directory: that is what relative paths start from.
    fn resolve(&self, path: &str) -> Result<String, Reason> {
        paths::join(&self.evaluator.root.directory, path).ok_or_else(|| Reason::FileNotReadable { path: path.into() })
    }
}

impl Host for FunctionHost<'_, '_, '_> {
    fn read_file(&self, path: &str) -> Result<Arc<[u8]>, Reason> {
        let unreadable = || Reason::FileNotReadable { path: path.into() };
        let bytes = self.evaluator.tree.read(&self.resolve(path)?).map_err(|_| unreadable())?;
        if bytes.len() > limits::FILE_BYTES { Err(Reason::Budget { limit: "size of a file" }) } else { Ok(bytes) }
    }

    fn file_exists(&self, path: &str) -> Result<bool, Reason> {
        let path = self.resolve(path)?;
        let name = paths::name(&path);
        Ok(self.evaluator.tree.list(paths::parent(&path)).iter().any(|entry| entry == name) && !self.evaluator.tree.is_directory(&path))
    }

    fn file_set(&self, directory: &str, pattern: &str) -> Result<Vec<String>, Reason> {
        let start = self.resolve(directory)?;
        let invalid = |error: globset::Error| Reason::Invalid { message: format!("the pattern `{pattern}`: {error}").into() };
        let matcher = globset::GlobBuilder::new(pattern).literal_separator(true).build().map_err(invalid)?.compile_matcher();
        let mut found = Vec::new();
        let mut seen = 0;
        let mut open = vec![String::new()];
        while let Some(relative) = open.pop() {
            let Some(absolute) = paths::join(&start, &relative) else { continue };
            for name in self.evaluator.tree.list(&absolute) {
                seen += 1;
                if seen > FILE_SET_ENTRIES || !self.spend(1) {
                    return Err(Reason::Budget { limit: "entries of a directory" });
                }
                let entry = if relative.is_empty() { name.clone() } else { format!("{relative}/{name}") };
                let Some(path) = paths::join(&absolute, &name) else { continue };
                if self.evaluator.tree.is_directory(&path) {
                    open.push(entry);
                } else if matcher.is_match(&entry) {
                    found.push(entry);
                }
            }
        }
        found.sort();
        Ok(found)
    }

    fn template(&self, name: &str, text: &str, variables: &Value) -> Value {
        let (parts, errors) = hcl::parse_template(text);
        if let Some(error) = errors.first() {
            return Value::unknown(Reason::Invalid { message: format!("template `{name}`: {}", error.message).into() });
        }
        let Some(mapping) = variables.as_mapping() else {
            return Value::unknown(Reason::Invalid { message: format!("the variables of template `{name}` must be an object").into() });
        };
        let surroundings = ModuleInstance::root(&self.evaluator.project.nothing, std::collections::HashMap::new());
        let entries: Vec<(Arc<str>, Value)> = mapping.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        // The template's own ranges count in another text: the result is placed at the call by the caller.
        let site = keyblind_syntax::Site::new(self.scope.file, keyblind_syntax::TextRange::default());
        let value =
            with_bindings(&entries, Scope::new(&surroundings, self.scope.file), &mut |scope| self.evaluator.template(&parts, scope, site));
        let references = known_references(&value);
        value.with_origin(carry_references(Origin::None, references, site))
    }

    fn decoded_texts(&self) -> Option<&DecodedTexts> {
        Some(&self.evaluator.project.decoded_texts)
    }

    fn spend(&self, units: u64) -> bool {
        self.evaluator.spend(units)
    }
}

/// Binds all entries, one link of the chain each, and evaluates inside.
fn with_bindings<'p>(entries: &[(Arc<str>, Value)], scope: Scope<'_, 'p>, evaluate: &mut dyn FnMut(Scope<'_, 'p>) -> Value) -> Value {
    match entries.split_first() {
        None => evaluate(scope),
        Some(((name, value), rest)) => {
            let binding = scope.bind(name.clone(), value.clone());
            stacker::maybe_grow(64 << 10, 1 << 20, || with_bindings(rest, scope.with(&binding), evaluate))
        }
    }
}
