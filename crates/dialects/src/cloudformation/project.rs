//! All templates of a scan: which of them are stacks of others, and which are deployed by themselves.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use keyblind_syntax::{Diagnostic, FileId, Site, SourceFile, SourceMap};
use rayon::prelude::*;

use super::node::Node;
use super::stacks::{Place, Stack, place_of};
use super::{evaluate, evaluate_documents, parse, recognises};
use crate::{Evaluation, Tree};

/// A template that is deployed by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    /// Its path.
    pub path: Arc<str>,
    file: FileId,
}

/// The templates of a scan, and those that they name.
#[derive(Debug)]
pub struct Project {
    /// Those that have stacks within them, or are such; the others are parsed when they are evaluated.
    templates: HashMap<Arc<str>, Template>,
    /// The paths of the templates that each names.
    nested: BTreeMap<Arc<str>, BTreeSet<Arc<str>>>,
    roots: Vec<Root>,
    diagnostics: Vec<Diagnostic>,
}

/// A parsed template.
#[derive(Debug)]
pub(super) struct Template {
    pub(super) file: FileId,
    pub(super) documents: Vec<Node>,
    pub(super) diagnostics: Vec<Diagnostic>,
}

impl Template {
    fn new(file: FileId, text: &str) -> Self {
        let (documents, diagnostics) = parse(text);
        let placed = |diagnostic: Diagnostic| Diagnostic { site: diagnostic.site.map(|site| Site::new(file, site.range)), ..diagnostic };
        Self { file, documents, diagnostics: diagnostics.into_iter().map(placed).collect() }
    }
}

impl Project {
    /// Reads the given templates (path and text), and those that they name elsewhere beneath the trust root.
    ///
    /// Only given ones can become roots: those that no other one names. Of templates that only name each other in a circle the
    /// first becomes a root, so that they are judged at all.
    pub fn parse(given: Vec<(Arc<str>, Arc<str>)>, tree: &dyn Tree, sources: &mut SourceMap) -> Self {
        let mut project = Self { templates: HashMap::new(), nested: BTreeMap::new(), roots: Vec::new(), diagnostics: Vec::new() };
        let given: BTreeMap<Arc<str>, FileId> =
            given.into_iter().map(|(path, text)| (path.clone(), sources.add(SourceFile::new(path, text)))).collect();
        let mut batch: Vec<(Arc<str>, FileId)> =
            given.iter().filter(|(_, id)| may_nest(&sources.file(**id).text)).map(|(path, id)| (path.clone(), *id)).collect();
        while !batch.is_empty() {
            let files = &*sources;
            let parsed: Vec<_> = batch.into_par_iter().map(|(path, id)| (path, Template::new(id, &files.file(id).text))).collect();
            let mut wanted = BTreeSet::new();
            for (path, template) in parsed {
                let places = nested_in(&template, &path);
                let local = |place: &Place| if let Place::Local(path) = place { Some(path.as_str().into()) } else { None };
                let named: BTreeSet<Arc<str>> = places.iter().filter_map(local).collect();
                // The tree of one that stands for itself is made anew when its turn comes.
                let is_nested = project.nested.values().any(|named| named.contains(&path));
                if !places.is_empty() || is_nested {
                    wanted.extend(named.iter().cloned());
                    project.nested.insert(path.clone(), named);
                    project.templates.insert(path, template);
                }
            }
            batch = Vec::new();
            for path in wanted.into_iter().filter(|path| !project.templates.contains_key(path)).collect::<Vec<_>>() {
                match given.get(&path).copied().map(Ok).or_else(|| read(&path, tree, sources)) {
                    Some(Ok(id)) => batch.push((path, id)),
                    Some(Err(diagnostic)) => project.diagnostics.push(diagnostic),
                    None => {}
                }
            }
        }
        project.roots = project.find_roots(&given);
        project
    }

    /// The templates that are deployed by themselves, sorted by path.
    pub fn roots(&self) -> &[Root] {
        &self.roots
    }

    /// What could not be read.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    /// The files that a root is made of.
    pub fn files_of(&self, root: &Root) -> BTreeSet<Arc<str>> {
        let (mut found, mut open) = (BTreeSet::new(), vec![&root.path]);
        while let Some(path) = open.pop() {
            if found.insert(path.clone()) {
                open.extend(self.nested.get(path).into_iter().flatten());
            }
        }
        found
    }

    /// Evaluates a root with all stacks within it. `sources` are those that the project was read with.
    pub fn evaluate(&self, root: &Root, sources: &SourceMap) -> Evaluation {
        match self.templates.get(&root.path) {
            Some(template) => {
                let stack = Stack::of_root(self, root.path.clone());
                evaluate_documents(template.file, &template.documents, template.diagnostics.clone(), &stack)
            }
            None => evaluate(root.file, &sources.file(root.file).text),
        }
    }

    /// A template that another one names.
    pub(super) fn template(&self, path: &str) -> Option<&Template> {
        self.templates.get(path)
    }

    fn find_roots(&self, given: &BTreeMap<Arc<str>, FileId>) -> Vec<Root> {
        let by_others = self.nested.iter().flat_map(|(by, named)| named.iter().filter(move |path| *path != by));
        let called: HashSet<&Arc<str>> = by_others.collect();
        let (mut roots, mut reached): (Vec<Root>, BTreeSet<Arc<str>>) = (Vec::new(), BTreeSet::new());
        let (in_circles, free): (Vec<_>, Vec<_>) = given.iter().partition(|(path, _)| called.contains(path));
        for (path, file) in free.into_iter().chain(in_circles) {
            if !reached.contains(path) {
                let root = Root { path: path.clone(), file: *file };
                reached.extend(self.files_of(&root));
                roots.push(root);
            }
        }
        roots.sort_by(|a, b| a.path.cmp(&b.path));
        roots
    }
}

/// A cheap look for what names another template.
fn may_nest(text: &str) -> bool {
    text.contains("AWS::CloudFormation::Stack") || text.contains("AWS::Serverless::Application")
}

/// Where the templates of the stacks within a template lie.
fn nested_in(template: &Template, path: &str) -> Vec<Place> {
    let mut found = Vec::new();
    let mut open: Vec<&Node> = template.documents.iter().filter_map(|document| document.get("Resources")).collect();
    while let Some(node) = open.pop() {
        for member in node.members() {
            if member.key.starts_with("Fn::ForEach::") {
                // The resources stand in the third element, which may hold further loops.
                open.extend(member.value.items().get(2));
            } else {
                found.extend(place_of(&member.value, path));
            }
        }
    }
    found
}

/// Reads a template that wasn't given. `None`: there is nothing at that path, which is said where it is named.
fn read(path: &Arc<str>, tree: &dyn Tree, sources: &mut SourceMap) -> Option<Result<FileId, Diagnostic>> {
    let bytes = tree.read(path).ok()?;
    let unread = |reason: String| Some(Err(Diagnostic::unread("unreadable-file", &**path, reason)));
    match std::str::from_utf8(&bytes) {
        Ok(text) if recognises(text) => Some(Ok(sources.add(SourceFile::new(path.clone(), text)))),
        Ok(_) => unread("a stack names it as its template, but it is none".to_owned()),
        Err(error) => unread(format!("not UTF-8 behind byte {}", error.valid_up_to())),
    }
}
