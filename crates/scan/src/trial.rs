//! Judging root modules again with some texts changed: what fixes are proven by.
//!
//! A trial evaluates one root module with everything that it calls, and judges it by every rule. Only the root modules
//! that a changed file can reach need one.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;

use keyblind_dialects::terraform::{self, Inputs, Project, Root};
use keyblind_dialects::{Tree, paths};
use keyblind_resource::ResourceGraph;
use keyblind_rules::{Judgement, RuleTable, Selection, judge};
use keyblind_syntax::{Diagnostic, SourceMap};

use crate::pipeline::Request;
use crate::read;
use crate::target::Target;
use crate::tree::SourceTree;

/// Texts that take the place of files, by path relative to the trust root.
pub type Changed = BTreeMap<String, Arc<str>>;

/// What can be tried: the root modules of a request, with the values that they are judged with.
#[derive(Debug)]
pub struct Trials {
    root: PathBuf,
    /// The text that was given in the place of a file.
    given: Changed,
    /// The configuration files that were asked for, by directory.
    files: BTreeMap<String, Vec<String>>,
    jobs: Vec<Job>,
}

#[derive(Debug)]
struct Job {
    root: Root,
    inputs: Inputs,
    /// The directories whose files the root module is made of.
    directories: BTreeSet<Arc<str>>,
}

/// One root module, evaluated and judged by all rules.
#[derive(Debug)]
pub struct Trial {
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
    /// Finds the root modules that a request is about.
    pub fn open(request: &Request) -> Self {
        let mut given = Changed::new();
        for target in &request.targets.paths {
            if let (Target::Text(path), Some(text)) = (target, request.text.as_deref())
                && let Ok(text) = std::str::from_utf8(text)
            {
                given.insert(path.clone(), text.into());
            }
        }
        let tree = overlaid(&request.targets.root, &given, &Changed::new());
        let mut input = read::read(&request.targets.paths, None, &tree, &request.exclude);
        let mut files: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (path, _) in &input.terraform {
            files.entry(paths::parent(path).to_owned()).or_default().push(path.to_string());
        }
        let project = Project::parse(std::mem::take(&mut input.terraform), &tree, &mut SourceMap::default());
        let mut jobs = Vec::new();
        for root in project.roots().iter().filter(|root| input.judged.contains(&*root.directory)) {
            let directories = project.directories_of(root);
            let own: Vec<_> = request.input_sets.iter().filter(|set| *set.directory == *root.directory).collect();
            let with = |set: &Inputs| Inputs {
                variables: set.variables.iter().chain(&request.inputs.variables).cloned().collect(),
                var_files: set.var_files.iter().chain(&request.inputs.var_files).cloned().collect(),
            };
            if own.is_empty() {
                jobs.push(Job { root: root.clone(), inputs: request.inputs.clone(), directories: directories.clone() });
            }
            jobs.extend(own.iter().map(|set| Job { root: root.clone(), inputs: with(&set.inputs), directories: directories.clone() }));
        }
        Self { root: request.targets.root.clone(), given, files, jobs }
    }

    /// How many root modules (with values) there are; each is named by its number.
    pub fn len(&self) -> usize {
        self.jobs.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// Those of a directory: one for each set of values.
    pub fn of_root(&self, directory: &str) -> Vec<usize> {
        (0..self.jobs.len()).filter(|&job| *self.jobs[job].root.directory == *directory).collect()
    }

    /// The directory of a root module.
    pub fn directory(&self, job: usize) -> &str {
        &self.jobs[job].root.directory
    }

    /// Those that a file is a part of.
    pub fn reached_by(&self, path: &str) -> Vec<usize> {
        let is_values = terraform::is_variables_file(path);
        let reaches = |job: &Job| {
            let folder = paths::parent(path);
            if is_values {
                *job.root.directory == *folder || job.inputs.var_files.iter().any(|file| file == path)
            } else {
                job.directories.contains(folder)
            }
        };
        (0..self.jobs.len()).filter(|&job| reaches(&self.jobs[job])).collect()
    }

    /// Reads a file as it is, or as it was given.
    ///
    /// # Errors
    /// Says in one sentence why it can't be read.
    pub fn read(&self, path: &str) -> Result<Arc<str>, String> {
        let bytes = overlaid(&self.root, &self.given, &Changed::new()).read(path)?;
        std::str::from_utf8(&bytes).map(Into::into).map_err(|error| format!("not UTF-8 behind byte {}", error.valid_up_to()))
    }

    /// Evaluates and judges one root module, with values for variables beside those that it has anyway. `None` if the evaluator itself is at fault.
    pub fn run(&self, table: &RuleTable, job: usize, changed: &Changed, values: &[(String, String)]) -> Option<Trial> {
        let job = self.jobs.get(job)?;
        let mut inputs = job.inputs.clone();
        inputs.variables.extend(values.iter().cloned());
        let tree = overlaid(&self.root, &self.given, changed);
        let attempt = catch_unwind(AssertUnwindSafe(|| {
            let folder = &*job.root.directory;
            let mut names: BTreeSet<&str> = self.files.get(folder).into_iter().flatten().map(String::as_str).collect();
            names.extend(
                changed.keys().map(String::as_str).filter(|path| paths::parent(path) == folder && terraform::is_configuration(path)),
            );
            let mut diagnostics = Vec::new();
            let mut texts: Vec<(Arc<str>, Arc<str>)> = Vec::new();
            for path in names {
                match tree.read(path).and_then(|bytes| String::from_utf8(bytes.to_vec()).map_err(|error| error.to_string())) {
                    Ok(text) => texts.push((path.into(), text.into())),
                    Err(reason) => diagnostics.push(Diagnostic::unread("unreadable-file", path, reason)),
                }
            }
            let mut sources = SourceMap::default();
            let mut project = Project::parse(texts, &tree, &mut sources);
            project.read_variables_files(&job.inputs.var_files, &tree, &mut sources);
            diagnostics.extend(project.diagnostics().iter().cloned());
            let evaluation = project.evaluate(&job.root, &inputs, &tree);
            diagnostics.extend(evaluation.diagnostics);
            let graph = ResourceGraph::new(evaluation.resources);
            let judgements = judge(table, &Selection::all(table), &graph);
            Trial { sources, graph, judgements, diagnostics }
        }));
        attempt.ok()
    }
}

fn overlaid(root: &std::path::Path, given: &Changed, changed: &Changed) -> SourceTree {
    let mut tree = SourceTree::new(root.to_owned());
    for (path, text) in given.iter().chain(changed) {
        tree.overlay(path, text.as_bytes());
    }
    tree
}
