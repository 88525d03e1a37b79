//! Which directories are root modules: the ones that somebody applies.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::project::Project;

/// A root module.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Root {
    /// Its directory, relative to the trust root; `""` for the trust root itself.
    pub directory: Arc<str>,
}

/// Finds the roots among the judged directories as a person would: a directory is a root unless another one calls it as
/// a module. One that is called is a root all the same if it says where its state is kept (`backend`, `cloud`).
/// Installed modules are never roots. Directories that only call each other in a circle are reached by nobody: the
/// first of them becomes a root, so that they are judged at all.
pub(crate) fn find(project: &Project, judged: &BTreeSet<Arc<str>>) -> Vec<Root> {
    let mut calls: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for module in project.modules.values() {
        let called = module.calls.values().filter_map(|call| Project::local_source(module, call.source.as_ref()?));
        calls.entry(&module.directory).or_default().extend(called.filter(|directory| **directory != *module.directory));
    }
    let called: BTreeSet<&str> = calls.values().flatten().map(String::as_str).collect();
    let mut roots: BTreeSet<Arc<str>> = BTreeSet::new();
    let mut reached: BTreeSet<&str> = BTreeSet::new();
    for directory in judged {
        let Some(module) = project.modules.get(directory) else { continue };
        if !called.contains(&**directory) || module.has_backend {
            roots.insert(directory.clone());
            reach(&calls, directory, &mut reached);
        }
    }
    for directory in judged {
        if project.modules.contains_key(directory) && !reached.contains(&**directory) {
            roots.insert(directory.clone());
            reach(&calls, directory, &mut reached);
        }
    }
    roots.into_iter().map(|directory| Root { directory }).collect()
}

/// Adds a directory and all that it calls, directly or not.
fn reach<'c>(calls: &'c BTreeMap<&str, BTreeSet<String>>, from: &'c str, reached: &mut BTreeSet<&'c str>) {
    let mut open = vec![from];
    while let Some(directory) = open.pop() {
        if reached.insert(directory) {
            open.extend(calls.get(directory).into_iter().flatten().map(String::as_str));
        }
    }
}
