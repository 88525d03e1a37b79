//! From targets to texts: walks, reads side by side, and tells plans from other JSON.

use std::collections::BTreeSet;
use std::sync::Arc;

use globset::GlobSet;
use keyblind_dialects::{Tree, kubernetes, live, paths, recognise, terraform};
use keyblind_resource::Dialect;
use keyblind_syntax::Diagnostic;
use rayon::prelude::*;

use crate::kind::FileKind;
use crate::limits;
use crate::outcome::Files;
use crate::target::Target;
use crate::tree::SourceTree;

/// What was read.
#[derive(Debug, Default)]
pub(crate) struct Input {
    /// Terraform configuration: path and text, sorted by path.
    pub(crate) terraform: Vec<(Arc<str>, Arc<str>)>,
    /// The directories of the configuration that was asked for; others are only there to look things up.
    pub(crate) judged: BTreeSet<String>,
    /// Plans: path and text, sorted by path.
    pub(crate) plans: Vec<(Arc<str>, Arc<str>)>,
    /// Snapshots of accounts: path and text, sorted by path.
    pub(crate) snapshots: Vec<(Arc<str>, Arc<str>)>,
    /// Everything else that is judged, in the dialect that its content tells: dialect, path and text, sorted by path.
    pub(crate) documents: Vec<(Dialect, Arc<str>, Arc<str>)>,
    /// Kustomizations above what was asked for.
    pub(crate) above: kubernetes::Above,
    /// If files were asked for by name: only what they hold is reported.
    pub(crate) only: Option<Only>,
    /// What became of the files.
    pub(crate) files: Files,
    /// What could not be read.
    pub(crate) diagnostics: Vec<Diagnostic>,
}

/// The files and directories that were asked for, if single files are among them.
#[derive(Debug, Default)]
pub(crate) struct Only {
    files: BTreeSet<String>,
    directories: Vec<String>,
}

impl Only {
    /// Whether the file was asked for.
    pub(crate) fn includes(&self, path: &str) -> bool {
        let beneath =
            |directory: &String| directory.is_empty() || path.strip_prefix(directory.as_str()).is_some_and(|rest| rest.starts_with('/'));
        self.files.contains(path) || self.directories.iter().any(beneath)
    }
}

/// Finds and reads everything that the targets hold.
pub(crate) fn read(targets: &[Target], code: Option<&str>, tree: &SourceTree, exclude: &GlobSet) -> Input {
    let mut input = Input::default();
    let mut found = BTreeSet::new();
    let mut only = Only::default();
    input.above = above(targets, tree);
    for target in targets {
        match target {
            Target::Directory(directory) => {
                let walked = tree.walk(directory, exclude);
                found.extend(walked.files.into_iter().map(|file| (file.path, file.kind)));
                input.diagnostics.extend(walked.diagnostics);
                input.files.other += walked.other;
                for (reason, paths) in walked.skipped {
                    input.files.skipped.entry(reason).or_default().extend(paths);
                }
                only.directories.push(directory.clone());
            }
            Target::File(path) | Target::Text(path) => {
                let kind = FileKind::of(path);
                found.insert((path.clone(), kind));
                // A module is judged as a whole: its other files are read as well.
                if kind == FileKind::Terraform {
                    found.extend(configuration_of(paths::parent(path), tree));
                }
                // So are manifests: what selects an object, or what it names, stands beside it.
                if is_manifest(path, kind, tree) {
                    let beside = tree.list(paths::parent(path)).into_iter().filter_map(|name| paths::join(paths::parent(path), &name));
                    let beside = beside.map(|path| (FileKind::of(&path), path)).filter(|(kind, _)| may_be_manifest(*kind));
                    found.extend(beside.map(|(kind, path)| (path, kind)));
                }
                only.files.insert(path.clone());
            }
        }
    }
    for paths in input.files.skipped.values_mut() {
        paths.sort();
        paths.dedup();
    }
    let configuration = found.iter().filter(|(_, kind)| *kind == FileKind::Terraform);
    input.judged = configuration.map(|(path, _)| paths::parent(path).to_owned()).collect();
    if let Some(code) = code {
        found.extend(configuration_of(code, tree));
    }
    input.only = (!only.files.is_empty()).then_some(only);
    read_all(found, tree, &mut input);
    input
}

fn may_be_manifest(kind: FileKind) -> bool {
    matches!(kind, FileKind::Json | FileKind::Document("yaml" | "kustomize"))
}

fn is_manifest(path: &str, kind: FileKind, tree: &SourceTree) -> bool {
    let text = may_be_manifest(kind).then(|| tree.read(path).and_then(|bytes| text_of(&bytes)));
    matches!(text, Some(Ok(text)) if recognise(path, &text) == Some(Dialect::Kubernetes))
}

/// The kustomizations of the directories that lead to the targets.
fn above(targets: &[Target], tree: &SourceTree) -> kubernetes::Above {
    let mut directories = BTreeSet::new();
    for target in targets {
        let mut directory = match target {
            Target::Directory(directory) => directory.as_str(),
            Target::File(path) => paths::parent(path),
            Target::Text(_) => continue,
        };
        if matches!(target, Target::File(_)) {
            directories.insert(directory.to_owned());
        }
        while !directory.is_empty() {
            directory = paths::parent(directory);
            directories.insert(directory.to_owned());
        }
    }
    let files = directories.iter().filter_map(|directory| kubernetes::kustomization_in(directory, tree)).collect();
    kubernetes::Above { files, is_judged: targets.iter().any(|target| matches!(target, Target::File(_))) }
}

/// The configuration files of a directory.
fn configuration_of(folder: &str, tree: &SourceTree) -> Vec<(String, FileKind)> {
    let files = tree.list(folder).into_iter().filter_map(|name| paths::join(folder, &name));
    files.filter(|path| terraform::is_configuration(path)).map(|path| (path, FileKind::Terraform)).collect()
}

/// What reading one file came to.
enum Read {
    Terraform(Arc<str>),
    Plan(Arc<str>),
    Snapshot(Arc<str>),
    Document(Dialect, Arc<str>),
    /// Nothing that is judged; counted under this word.
    Unjudged(&'static str),
    Failed(Diagnostic),
}

fn read_all(found: BTreeSet<(String, FileKind)>, tree: &SourceTree, input: &mut Input) {
    let mut wanted = Vec::new();
    for (path, kind) in found {
        match kind {
            FileKind::Terraform | FileKind::Json | FileKind::Document(_) => wanted.push((path, kind)),
            // Modules read the values that they need.
            FileKind::TerraformVariables => {}
            FileKind::Unjudged(kind) => *input.files.unjudged.entry(kind).or_default() += 1,
            FileKind::Other => input.files.other += 1,
        }
    }
    let read: Vec<(String, Read)> = wanted
        .into_par_iter()
        .map(|(path, kind)| {
            let read = match kind {
                FileKind::Terraform => read_terraform(&path, tree),
                FileKind::Document(otherwise) => read_document(&path, tree, otherwise),
                _ => read_json(&path, tree),
            };
            (path, read)
        })
        .collect();
    for (path, read) in read {
        match read {
            Read::Terraform(text) => input.terraform.push((path.into(), text)),
            Read::Plan(text) => input.plans.push((path.into(), text)),
            Read::Snapshot(text) => input.snapshots.push((path.into(), text)),
            Read::Document(dialect, text) => input.documents.push((dialect, path.into(), text)),
            Read::Unjudged(kind) => *input.files.unjudged.entry(kind).or_default() += 1,
            Read::Failed(diagnostic) => {
                input.files.unread += 1;
                input.diagnostics.push(diagnostic);
            }
        }
    }
    input.files.read = (input.terraform.len() + input.plans.len() + input.snapshots.len() + input.documents.len()) as u64;
}

fn read_terraform(path: &str, tree: &SourceTree) -> Read {
    match tree.read(path).and_then(|bytes| text_of(&bytes)) {
        Ok(text) => Read::Terraform(text),
        Err(reason) => Read::Failed(Diagnostic::unread("unreadable-file", path, reason)),
    }
}

fn read_document(path: &str, tree: &SourceTree, otherwise: &'static str) -> Read {
    match tree.read(path).and_then(|bytes| text_of(&bytes)) {
        Ok(text) => match recognise(path, &text) {
            Some(dialect) => Read::Document(dialect, text),
            None if kubernetes::content(path, &text) == kubernetes::Content::Template => Read::Unjudged("helm"),
            None => Read::Unjudged(otherwise),
        },
        Err(reason) => Read::Failed(Diagnostic::unread("unreadable-file", path, reason)),
    }
}

/// Names of which JSON that is judged has one near its beginning: a plan's members in the order in which they come or sorted
/// by a person's tools, a template's, a manifest's.
const TELLING: &[&str] = &[
    "\"format_version\"",
    "\"planned_values\"",
    "\"applyable\"",
    "\"configuration\"",
    "\"AWSTemplateFormatVersion\"",
    "\"Resources\"",
    "\"Parameters\"",
    "\"Mappings\"",
    "\"Transform\"",
    "\"apiVersion\"",
    "\"kind\"",
    "\"calls\"",
];

/// Reads as much of a JSON file as it takes to tell that it's nothing that is judged.
fn read_json(path: &str, tree: &SourceTree) -> Read {
    let failed = |reason: String| Read::Failed(Diagnostic::unread("unreadable-file", path, reason));
    let head = match tree.read_head(path, limits::PLAN_HEAD) {
        Ok(head) => head,
        Err(reason) => return failed(reason),
    };
    let head = String::from_utf8_lossy(&head);
    if !TELLING.iter().any(|name| head.contains(name)) {
        return Read::Unjudged("json");
    }
    match tree.read_limited(path, limits::LARGEST_PLAN).and_then(|bytes| text_of(&bytes)) {
        Ok(text) if live::is_snapshot(&text) => Read::Snapshot(text),
        Ok(text) if terraform::plan::is_plan(&text) => Read::Plan(text),
        Ok(text) => recognise(path, &text).map_or(Read::Unjudged("json"), |dialect| Read::Document(dialect, text)),
        Err(reason) => failed(reason),
    }
}

fn text_of(bytes: &[u8]) -> Result<Arc<str>, String> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.into()),
        Err(error) => Err(format!("not UTF-8 behind byte {}", error.valid_up_to())),
    }
}
