//! All manifests and kustomizations of a scan: what is judged by itself, and what only through others.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use keyblind_resource::Value;
use keyblind_syntax::{Diagnostic, FileId, SourceMap};
use rayon::prelude::*;

use crate::kustomize::{self, Files, Kustomization, Library, Named};
use crate::{Evaluation, Tree, limits, paths};

/// Something that is evaluated by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Root {
    /// The plain manifests of one directory.
    Directory {
        /// The directory.
        directory: Arc<str>,
        /// The manifests.
        files: Vec<FileId>,
    },
    /// A kustomization that no other one uses.
    Kustomization {
        /// Its directory.
        directory: Arc<str>,
    },
}

impl Root {
    /// The directory.
    pub fn directory(&self) -> &Arc<str> {
        match self {
            Self::Directory { directory, .. } | Self::Kustomization { directory } => directory,
        }
    }
}

/// Kustomizations that lie above what was asked for.
#[derive(Debug, Default)]
pub struct Above {
    /// Their files. What they read beside objects is none: a patch stays a patch, whichever part of a tree is scanned.
    pub files: Vec<String>,
    /// Whether those are judged that lead to a file that was asked for.
    pub is_judged: bool,
}

/// Manifests and kustomizations, read.
#[derive(Debug)]
pub struct Project {
    kustomizations: BTreeMap<Arc<str>, Kustomization>,
    documents: HashMap<FileId, (Vec<Value>, Vec<Diagnostic>)>,
    roots: Vec<Root>,
    diagnostics: Vec<Diagnostic>,
}

impl Project {
    /// Reads kustomizations and everything that they use, and groups the other manifests by directory. `given` are paths and
    /// texts, sorted by path; what else is needed is read from the tree.
    pub fn parse(given: Vec<(Arc<str>, Arc<str>)>, above: &Above, tree: &dyn Tree, sources: &mut SourceMap) -> Self {
        let mut files = Files { tree, sources, known: BTreeMap::new(), diagnostics: Vec::new() };
        let given: Vec<(Arc<str>, FileId)> = given.into_iter().map(|(path, text)| (path.clone(), files.add(path, text))).collect();
        let mut loader = Loader { files, kustomizations: BTreeMap::new(), refused: HashSet::new() };
        let mut asked: BTreeSet<Arc<str>> =
            given.iter().filter(|(path, _)| kustomize::has_name(path)).map(|(path, _)| paths::parent(path).into()).collect();
        loader.load(asked.iter().cloned().collect());

        let mut consumed: HashSet<Arc<str>> = HashSet::new();
        // Where there are no manifests nothing can lead to one.
        for path in above.files.iter().filter(|_| !given.is_empty()) {
            let directory: Arc<str> = paths::parent(path).into();
            if loader.kustomizations.contains_key(&directory) {
                continue;
            }
            if above.is_judged {
                loader.load_if_it_leads_to(&directory, &given, &mut asked);
            }
            consumed.extend(loader.consumed_by(path));
        }
        let Loader { files, kustomizations, .. } = loader;
        for kustomization in kustomizations.values() {
            consumed.extend(kustomization.consumed().map(Arc::from));
            consumed.extend(kustomization.files().map(|(path, _)| path.clone()));
        }
        let mut roots: Vec<Root> = top(&kustomizations, &asked).into_iter().map(|directory| Root::Kustomization { directory }).collect();
        let mut plain: BTreeMap<Arc<str>, Vec<FileId>> = BTreeMap::new();
        for (path, id) in given.iter().filter(|(path, _)| !consumed.contains(path)) {
            plain.entry(paths::parent(path).into()).or_default().push(*id);
        }
        roots.extend(plain.into_iter().map(|(directory, files)| Root::Directory { directory, files }));

        let Files { sources, diagnostics, .. } = files;
        let used: BTreeSet<FileId> = kustomizations.values().flat_map(Kustomization::files).map(|(_, id)| id).collect();
        let sources = &*sources;
        let read = |id: FileId| {
            let mut diagnostics = Vec::new();
            let documents = super::documents(id, sources.file(id), &mut diagnostics);
            (id, (documents, diagnostics))
        };
        let documents = used.into_par_iter().map(read).collect();
        Self { kustomizations, documents, roots, diagnostics }
    }

    /// What is evaluated by itself.
    pub fn roots(&self) -> &[Root] {
        &self.roots
    }

    /// The files that a root is made of. `sources` are those that the project was read with.
    pub fn files_of(&self, root: &Root, sources: &SourceMap) -> BTreeSet<Arc<str>> {
        let first = match root {
            Root::Directory { files, .. } => return files.iter().map(|&id| sources.file(id).path.clone()).collect(),
            Root::Kustomization { directory } => directory,
        };
        let (mut found, mut seen, mut open) = (BTreeSet::new(), HashSet::new(), vec![first]);
        while let Some(directory) = open.pop() {
            let Some(kustomization) = self.kustomizations.get(directory).filter(|_| seen.insert(directory)) else { continue };
            found.insert(kustomization.path.clone());
            found.extend(kustomization.consumed().map(Arc::from));
            found.extend(kustomization.files().map(|(path, _)| path.clone()));
            open.extend(kustomization.used());
        }
        found
    }

    /// What was wrong with the kustomizations themselves.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    /// Evaluates one root. `sources` are those that the project was read with.
    pub fn evaluate(&self, root: &Root, sources: &SourceMap) -> Evaluation {
        match root {
            Root::Directory { files, .. } => {
                let files: Vec<_> = files.iter().map(|&id| (id, sources.file(id))).collect();
                super::evaluate(&files)
            }
            Root::Kustomization { directory } => {
                let library = Library { kustomizations: &self.kustomizations, documents: &self.documents };
                let (objects, diagnostics) = kustomize::build(&library, directory);
                super::evaluation(objects, diagnostics)
            }
        }
    }
}

/// The kustomization's file in a directory, if there is one.
pub fn kustomization_in(directory: &str, tree: &dyn Tree) -> Option<String> {
    kustomize::file_in(directory, tree)
}

struct Loader<'t> {
    files: Files<'t>,
    kustomizations: BTreeMap<Arc<str>, Kustomization>,
    /// Directories without a kustomization.
    refused: HashSet<Arc<str>>,
}

impl Loader<'_> {
    /// Reads the kustomizations of directories and all that they use.
    fn load(&mut self, directories: Vec<Arc<str>>) {
        let mut open = VecDeque::from(directories);
        while let Some(directory) = open.pop_front() {
            if self.kustomizations.contains_key(&directory) || self.refused.contains(&directory) {
                continue;
            }
            let found = match self.kustomizations.len() < limits::KUSTOMIZATIONS {
                true => self.file(&directory).and_then(|id| kustomize::kustomization(id, &mut self.files)),
                false => None,
            };
            match found {
                Some(kustomization) => {
                    open.extend(kustomization.used().cloned());
                    self.kustomizations.insert(directory, kustomization);
                }
                None => drop(self.refused.insert(directory)),
            }
        }
    }

    fn file(&mut self, directory: &str) -> Option<FileId> {
        let path = kustomize::file_in(directory, self.files.tree)?;
        match self.files.file(&path) {
            Ok(id) => Some(id),
            Err(reason) => {
                self.files.diagnostics.push(Diagnostic::unread("unreadable-file", path, reason));
                None
            }
        }
    }

    /// Reads a kustomization and all that it uses, and keeps them only if a file that was asked for is among what they read.
    fn load_if_it_leads_to(&mut self, directory: &Arc<str>, given: &[(Arc<str>, FileId)], asked: &mut BTreeSet<Arc<str>>) {
        let (known, said) = (self.kustomizations.keys().cloned().collect::<HashSet<_>>(), self.files.diagnostics.len());
        self.load(vec![directory.clone()]);
        let leads = |kustomization: &Kustomization| {
            let read: HashSet<&str> = kustomization.consumed().chain(kustomization.files().map(|(path, _)| &**path)).collect();
            given.iter().any(|(path, _)| read.contains(&**path))
        };
        let new = || self.kustomizations.iter().filter(|(directory, _)| !known.contains(*directory));
        if new().any(|(_, kustomization)| leads(kustomization)) {
            asked.insert(directory.clone());
        } else {
            self.kustomizations.retain(|directory, _| known.contains(directory));
            self.files.diagnostics.truncate(said);
        }
    }

    /// What one kustomization reads beside objects.
    fn consumed_by(&mut self, path: &str) -> Vec<Arc<str>> {
        let said = self.files.diagnostics.len();
        let found = self.files.file(path).ok().and_then(|id| kustomize::kustomization(id, &mut self.files));
        self.files.diagnostics.truncate(said);
        found.iter().flat_map(Kustomization::consumed).map(Arc::from).collect()
    }
}

/// The directories among those asked for that nobody uses. Where all of a circle are used, one of them is taken, so that
/// nothing is left out.
fn top(kustomizations: &BTreeMap<Arc<str>, Kustomization>, asked: &BTreeSet<Arc<str>>) -> Vec<Arc<str>> {
    let used: HashSet<&Arc<str>> = kustomizations.values().flat_map(Kustomization::used).collect();
    let asked = || asked.iter().filter(|directory| kustomizations.contains_key(*directory));
    let (mut top, mut reached): (Vec<Arc<str>>, HashSet<Arc<str>>) = (Vec::new(), HashSet::new());
    let free = asked().filter(|directory| !used.contains(directory));
    for directory in free.chain(asked()) {
        if reached.contains(directory) {
            continue;
        }
        top.push(directory.clone());
        let mut open = vec![directory.clone()];
        while let Some(next) = open.pop() {
            if let Some(kustomization) = kustomizations.get(&next)
                && reached.insert(next)
            {
                open.extend(kustomization.used().cloned());
            }
        }
    }
    top
}

impl Kustomization {
    /// The files of its own objects.
    fn files(&self) -> impl Iterator<Item = (&Arc<str>, FileId)> {
        self.resources.iter().filter_map(|named| match named {
            Named::File { path, id, .. } => Some((path, *id)),
            Named::Directory { .. } => None,
        })
    }
}
