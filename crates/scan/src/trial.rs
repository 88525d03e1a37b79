//! Judging what is evaluated by itself again with some texts changed: what fixes are proven by.
//!
//! A trial evaluates one root module with everything that it calls, one kustomization with its bases, the manifests of one
//! directory, or one document, and judges it by every rule. Only what a changed file can reach needs one.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;

use globset::GlobSet;
use keyblind_dialects::terraform::{self, Inputs, Project, Root};
use keyblind_dialects::{self as dialects, Evaluation, Tree, paths};
use keyblind_dialects::{cloudformation, kubernetes};
use keyblind_resource::{Dialect, ResourceGraph};
use keyblind_rules::{Judgement, RuleTable, Selection, judge};
use keyblind_syntax::{Diagnostic, FileId, SourceFile, SourceMap};

use crate::pipeline::{InputSet, Request, take_documents};
use crate::read::{self, Input};
use crate::target::Target;
use crate::tree::SourceTree;

/// Texts that take the place of files, by path relative to the trust root.
pub type Changed = BTreeMap<String, Arc<str>>;

/// What can be tried: all that a request evaluates by itself, root modules with the values that they are judged with.
#[derive(Debug)]
pub struct Trials {
    root: PathBuf,
    /// The text that was given in the place of a file.
    given: Changed,
    /// The configuration files that were asked for, by directory.
    files: BTreeMap<String, Vec<String>>,
    jobs: Vec<Job>,
    /// What was asked for.
    scope: Scope,
    /// Whether all that lies beneath the trust root was looked at.
    is_whole: bool,
}

/// The part of a request that says what is evaluated, and with which values.
#[derive(Debug)]
struct Scope {
    exclude: GlobSet,
    inputs: Inputs,
    input_sets: Vec<InputSet>,
}

#[derive(Debug)]
enum Job {
    Terraform {
        root: Root,
        inputs: Inputs,
        /// The directories whose files the root module is made of.
        directories: BTreeSet<Arc<str>>,
    },
    Kustomization {
        directory: Arc<str>,
        files: BTreeSet<Arc<str>>,
    },
    /// A template with the stacks within it.
    Template {
        path: Arc<str>,
        files: BTreeSet<Arc<str>>,
    },
    /// Documents that are evaluated together, known by one place.
    Documents {
        dialect: Dialect,
        place: Arc<str>,
        files: BTreeSet<Arc<str>>,
    },
}

impl Job {
    fn place(&self) -> &str {
        match self {
            Self::Terraform { root, .. } => &root.directory,
            Self::Kustomization { directory, .. } => directory,
            Self::Template { path: place, .. } | Self::Documents { place, .. } => place,
        }
    }

    /// What tells it from others.
    fn name(&self) -> (u8, String) {
        let kind = match self {
            Self::Terraform { .. } => 0,
            Self::Kustomization { .. } => 1,
            Self::Template { .. } => 2,
            Self::Documents { dialect, .. } => 3 + *dialect as u8,
        };
        (kind, self.place().to_owned())
    }
}

/// What is evaluated by itself, evaluated and judged by all rules.
#[derive(Debug)]
pub struct Trial {
    /// The dialect.
    pub dialect: Dialect,
    /// The files that it was made of.
    pub sources: SourceMap,
    /// Its resources.
    pub graph: ResourceGraph,
    /// A verdict for each resource and rule, sorted by resource and rule.
    pub judgements: Vec<Judgement>,
    /// What could not be read or evaluated.
    pub diagnostics: Vec<Diagnostic>,
}

impl Trials {
    /// Finds what a request is about.
    pub fn open(request: &Request) -> Self {
        let mut given = Changed::new();
        for target in &request.targets.paths {
            if let (Target::Text(path), Some(text)) = (target, request.text.as_deref())
                && let Ok(text) = std::str::from_utf8(text)
            {
                given.insert(path.clone(), text.into());
            }
        }
        let scope = Scope { exclude: request.exclude.clone(), inputs: request.inputs.clone(), input_sets: request.input_sets.clone() };
        let root = request.targets.root.clone();
        let mut trials = Self { root, given, files: BTreeMap::new(), jobs: Vec::new(), scope, is_whole: false };
        trials.look_at(&request.targets.paths);
        trials
    }

    /// Finds also what wasn't asked for, in all of the trust root: a change of what was asked for may reach it. What is known
    /// keeps its number.
    pub fn widen(&mut self) {
        if !self.is_whole {
            self.look_at(&[Target::Directory(String::new())]);
        }
    }

    fn look_at(&mut self, targets: &[Target]) {
        self.is_whole |= targets.iter().any(|target| matches!(target, Target::Directory(path) if path.is_empty()));
        let tree = overlaid(&self.root, &self.given, &Changed::new());
        let mut input = read::read(targets, None, &tree, &self.scope.exclude);
        for (path, _) in &input.terraform {
            let files = self.files.entry(paths::parent(path).to_owned()).or_default();
            if !files.iter().any(|known| **known == **path) {
                files.push(path.to_string());
            }
        }
        let mut jobs = root_modules(&self.scope, &mut input, &tree);
        jobs.extend(manifests(&mut input, &tree));
        jobs.extend(templates(&mut input, &tree));
        let mut documents: BTreeMap<(Dialect, Arc<str>), BTreeSet<Arc<str>>> = BTreeMap::new();
        for (dialect, path, _) in input.documents {
            documents.entry((dialect, dialects::group(dialect, &path).into())).or_default().insert(path);
        }
        jobs.extend(documents.into_iter().map(|((dialect, place), files)| Job::Documents { dialect, place, files }));
        let known: BTreeSet<(u8, String)> = self.jobs.iter().map(Job::name).collect();
        self.jobs.extend(jobs.into_iter().filter(|job| !known.contains(&job.name())));
    }

    /// How many there are; each is named by its number.
    pub fn len(&self) -> usize {
        self.jobs.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// Those of a place, as results name it: one for each set of values of a root module.
    pub fn of_root(&self, place: &str) -> Vec<usize> {
        (0..self.jobs.len()).filter(|&job| self.place(job) == place).collect()
    }

    /// The directory of a root module or kustomization, or the path of a document.
    pub fn place(&self, job: usize) -> &str {
        self.jobs[job].place()
    }

    /// Those that a file is a part of.
    pub fn reached_by(&self, path: &str) -> Vec<usize> {
        let is_values = terraform::is_variables_file(path);
        let reaches = |job: &Job| match job {
            Job::Terraform { root, inputs, .. } if is_values => {
                *root.directory == *paths::parent(path) || inputs.var_files.iter().any(|file| file == path)
            }
            Job::Terraform { directories, .. } => directories.contains(paths::parent(path)),
            Job::Kustomization { files, .. } | Job::Template { files, .. } | Job::Documents { files, .. } => files.contains(path),
        };
        (0..self.jobs.len()).filter(|&job| reaches(&self.jobs[job])).collect()
    }

    /// Reads a file as it is, or as it was given.
    ///
    /// # Errors
    /// Says in one sentence why it can't be read.
    pub fn read(&self, path: &str) -> Result<Arc<str>, String> {
        read_text(&overlaid(&self.root, &self.given, &Changed::new()), path)
    }

    /// Evaluates and judges one of them, with values for variables beside those that a root module has anyway. `None` if the evaluator itself is at fault.
    pub fn run(&self, table: &RuleTable, job: usize, changed: &Changed, values: &[(String, String)]) -> Option<Trial> {
        let job = self.jobs.get(job)?;
        let tree = overlaid(&self.root, &self.given, changed);
        let attempt = catch_unwind(AssertUnwindSafe(|| {
            let mut sources = SourceMap::default();
            let (dialect, mut evaluation) = match job {
                Job::Terraform { root, inputs, .. } => {
                    (Dialect::Terraform, self.evaluate_root(root, inputs, values, (&tree, changed), &mut sources))
                }
                Job::Kustomization { directory, .. } => (Dialect::Kubernetes, evaluate_kustomization(directory, &tree, &mut sources)),
                Job::Template { path, .. } => (Dialect::CloudFormation, evaluate_template(path, &tree, &mut sources)),
                Job::Documents { dialect, files, .. } => (*dialect, evaluate_documents(*dialect, files, &tree, &mut sources)),
            };
            let graph = evaluation.graph();
            let judgements = judge(table, &Selection::all(table), &graph);
            Trial { dialect, sources, graph, judgements, diagnostics: evaluation.diagnostics }
        }));
        attempt.ok()
    }

    fn evaluate_root(
        &self,
        root: &Root,
        inputs: &Inputs,
        values: &[(String, String)],
        (tree, changed): (&SourceTree, &Changed),
        sources: &mut SourceMap,
    ) -> Evaluation {
        let mut inputs = inputs.clone();
        inputs.variables.extend(values.iter().cloned());
        let folder = &*root.directory;
        let mut names: BTreeSet<&str> = self.files.get(folder).into_iter().flatten().map(String::as_str).collect();
        names.extend(changed.keys().map(String::as_str).filter(|path| paths::parent(path) == folder && terraform::is_configuration(path)));
        let mut diagnostics = Vec::new();
        let mut texts: Vec<(Arc<str>, Arc<str>)> = Vec::new();
        for path in names {
            match read_text(tree, path) {
                Ok(text) => texts.push((path.into(), text)),
                Err(reason) => diagnostics.push(Diagnostic::unread("unreadable-file", path, reason)),
            }
        }
        let mut project = Project::parse(texts, tree, sources);
        project.read_variables_files(&inputs.var_files, tree, sources);
        diagnostics.extend(project.diagnostics().iter().cloned());
        let evaluation = project.evaluate(root, &inputs, tree);
        diagnostics.extend(evaluation.diagnostics);
        Evaluation { resources: evaluation.resources, diagnostics, ..Evaluation::default() }
    }
}

/// Each root module with each set of values that it is judged with.
fn root_modules(scope: &Scope, input: &mut Input, tree: &SourceTree) -> Vec<Job> {
    let project = Project::parse(std::mem::take(&mut input.terraform), tree, &mut SourceMap::default());
    let mut jobs = Vec::new();
    for root in project.roots().iter().filter(|root| input.judged.contains(&*root.directory)) {
        let own: Vec<_> = scope.input_sets.iter().filter(|set| *set.directory == *root.directory).collect();
        let with = |set: &Inputs| Inputs {
            variables: set.variables.iter().chain(&scope.inputs.variables).cloned().collect(),
            var_files: set.var_files.iter().chain(&scope.inputs.var_files).cloned().collect(),
        };
        let job = |inputs| Job::Terraform { root: root.clone(), inputs, directories: project.directories_of(root) };
        if own.is_empty() {
            jobs.push(job(scope.inputs.clone()));
        }
        jobs.extend(own.iter().map(|set| job(with(&set.inputs))));
    }
    jobs
}

/// Kustomizations, and the manifests of each directory.
fn manifests(input: &mut Input, tree: &SourceTree) -> Vec<Job> {
    let mut sources = SourceMap::default();
    let project = kubernetes::Project::parse(take_documents(input, Dialect::Kubernetes), &input.above, tree, &mut sources);
    let job = |root: &kubernetes::Root| {
        let files = project.files_of(root, &sources);
        match root {
            kubernetes::Root::Directory { directory, .. } => {
                Job::Documents { dialect: Dialect::Kubernetes, place: directory.clone(), files }
            }
            kubernetes::Root::Kustomization { directory } => Job::Kustomization { directory: directory.clone(), files },
        }
    };
    project.roots().iter().map(job).collect()
}

/// Templates that are deployed by themselves.
fn templates(input: &mut Input, tree: &SourceTree) -> Vec<Job> {
    let given = take_documents(input, Dialect::CloudFormation);
    let project = cloudformation::Project::parse(given, tree, &mut SourceMap::default());
    project.roots().iter().map(|root| Job::Template { path: root.path.clone(), files: project.files_of(root) }).collect()
}

fn evaluate_template(path: &Arc<str>, tree: &SourceTree, sources: &mut SourceMap) -> Evaluation {
    let text = match read_text(tree, path) {
        Ok(text) => text,
        Err(reason) => {
            return Evaluation { diagnostics: vec![Diagnostic::unread("unreadable-file", &**path, reason)], ..Evaluation::default() };
        }
    };
    let project = cloudformation::Project::parse(vec![(path.clone(), text)], tree, sources);
    // Nothing else was given, so that it is the only root.
    let mut evaluation = project.roots().first().map(|root| project.evaluate(root, sources)).unwrap_or_default();
    evaluation.diagnostics.extend(project.diagnostics().iter().cloned());
    evaluation
}

fn evaluate_kustomization(directory: &str, tree: &SourceTree, sources: &mut SourceMap) -> Evaluation {
    let file = kubernetes::kustomization_in(directory, tree);
    let given = file.and_then(|path| Some((path.as_str().into(), read_text(tree, &path).ok()?)));
    let project = kubernetes::Project::parse(given.into_iter().collect(), &kubernetes::Above::default(), tree, sources);
    let mut evaluation = Evaluation { diagnostics: project.diagnostics().to_vec(), ..Evaluation::default() };
    // Nothing else was given, so that it is the only root.
    if let Some(root) = project.roots().first() {
        let found = project.evaluate(root, sources);
        evaluation.diagnostics.extend(found.diagnostics);
        (evaluation.resources, evaluation.links) = (found.resources, found.links);
    }
    evaluation
}

fn evaluate_documents(dialect: Dialect, files: &BTreeSet<Arc<str>>, tree: &SourceTree, sources: &mut SourceMap) -> Evaluation {
    let mut ids: Vec<FileId> = Vec::new();
    let mut unread = Vec::new();
    for path in files {
        match read_text(tree, path) {
            Ok(text) => ids.push(sources.add(SourceFile::new(path.clone(), text))),
            Err(reason) => unread.push(Diagnostic::unread("unreadable-file", &**path, reason)),
        }
    }
    let files: Vec<(FileId, &SourceFile)> = ids.iter().map(|&id| (id, sources.file(id))).collect();
    let mut evaluation = dialects::evaluate(dialect, &files, tree);
    evaluation.diagnostics.extend(unread);
    evaluation
}

fn read_text(tree: &SourceTree, path: &str) -> Result<Arc<str>, String> {
    let bytes = tree.read(path)?;
    std::str::from_utf8(&bytes).map(Into::into).map_err(|error| format!("not UTF-8 behind byte {}", error.valid_up_to()))
}

fn overlaid(root: &std::path::Path, given: &Changed, changed: &Changed) -> SourceTree {
    let mut tree = SourceTree::new(root.to_owned());
    for (path, text) in given.iter().chain(changed) {
        tree.overlay(path, text.as_bytes());
    }
    tree
}
