//! All Terraform files of a tree, parsed once and grouped into modules.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use keyblind_syntax::hcl::ast::Body;
use keyblind_syntax::hcl::{self, Comment};
use keyblind_syntax::{Diagnostic, FileId, Site, SourceFile, SourceMap};
use rayon::prelude::*;

use super::functions::DecodedTexts;
use super::module::{Module, ModuleFile};
use super::roots::{self, Root};
use super::{is_configuration, json_syntax};
use crate::{Tree, paths};

/// All parsed files of a tree. Evaluating it changes nothing in it that can be seen, so that roots can be evaluated side by side.
#[derive(Debug, Default)]
pub struct Project {
    pub(crate) modules: BTreeMap<Arc<str>, Module>,
    pub(crate) installed: BTreeMap<Arc<str>, InstalledModules>,
    /// A module without declarations: the surroundings of texts in which nothing can be referred to.
    pub(crate) nothing: Module,
    pub(crate) decoded_texts: DecodedTexts,
    variables_files: BTreeMap<Arc<str>, VariablesFile>,
    roots: Vec<Root>,
    comments: BTreeMap<FileId, Vec<Comment>>,
    diagnostics: Vec<Diagnostic>,
}

/// What `.terraform/modules/modules.json` of a root says: the directory of each call, by its dotted path (`vpc.subnets`).
pub(crate) type InstalledModules = BTreeMap<String, Arc<str>>;

/// A parsed `.tfvars` file.
#[derive(Debug)]
pub(crate) struct VariablesFile {
    pub id: FileId,
    pub body: Body,
}

struct ParsedFile {
    path: Arc<str>,
    text: Arc<str>,
    file: hcl::File,
}

impl Project {
    /// Parses the given files (path, text) side by side and adds them to `sources`. Then reads what they call: local
    /// modules elsewhere beneath the trust root, and modules that `terraform init` has installed.
    ///
    /// Only directories of the given files can become roots.
    pub fn parse(files: Vec<(Arc<str>, Arc<str>)>, tree: &dyn Tree, sources: &mut SourceMap) -> Self {
        let mut project = Self::default();
        let judged: BTreeSet<Arc<str>> = files.iter().map(|(path, _)| paths::parent(path).into()).collect();
        let mut batch = files;
        while !batch.is_empty() {
            let directories: BTreeSet<Arc<str>> = batch.iter().map(|(path, _)| paths::parent(path).into()).collect();
            let parsed: Vec<ParsedFile> = batch.into_par_iter().map(|(path, text)| parse_file(path, text)).collect();
            project.add(parsed, sources);
            for directory in &directories {
                project.read_manifest(directory, tree);
            }
            let missing = project.missing_directories(&directories);
            batch = missing.iter().flat_map(|directory| read_module(directory, tree, &mut project.diagnostics)).collect();
        }
        project.roots = roots::find(&project, &judged);
        for root in project.roots.clone() {
            let names = tree.list(&root.directory).into_iter().filter(|name| is_loaded_by_itself(name));
            let files: Vec<String> = names.filter_map(|name| paths::join(&root.directory, &name)).collect();
            project.read_variables_files(&files, tree, sources);
        }
        project
    }

    /// Reads files that `Inputs::var_files` will name; `terraform.tfvars` and `*.auto.tfvars` of the roots are read
    /// without being named.
    pub fn read_variables_files(&mut self, files: &[String], tree: &dyn Tree, sources: &mut SourceMap) {
        for path in files {
            match read_text(path, tree) {
                Ok(text) => {
                    let ParsedFile { path, text, file } = parse_file(path.as_str().into(), text);
                    let id = sources.add(SourceFile::new(path.clone(), text));
                    self.report_errors(id, &file);
                    self.variables_files.insert(path, VariablesFile { id, body: file.body });
                }
                Err(reason) => self.diagnostics.push(Diagnostic::unread("unreadable-file", path.as_str(), reason)),
            }
        }
    }

    /// The variable files that Terraform loads by itself in a directory, the weakest first.
    pub(crate) fn variables_files(&self, directory: &str) -> impl Iterator<Item = (&Arc<str>, &VariablesFile)> {
        let mut files: Vec<_> = self
            .variables_files
            .iter()
            .filter(|(path, _)| paths::parent(path) == directory && is_loaded_by_itself(paths::name(path)))
            .collect();
        files.sort_by_key(|(path, _)| (!paths::name(path).starts_with("terraform.tfvars"), (*path).clone()));
        files.into_iter()
    }

    /// A variable file that was named.
    pub(crate) fn variables_file(&self, path: &str) -> Option<(&Arc<str>, &VariablesFile)> {
        self.variables_files.get_key_value(path)
    }

    /// What could not be read.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    /// The directories that somebody applies, sorted.
    pub fn roots(&self) -> &[Root] {
        &self.roots
    }

    /// The directories whose files a root module is made of: its own and those of all modules that it calls, directly or
    /// not.
    pub fn directories_of(&self, root: &Root) -> BTreeSet<Arc<str>> {
        let mut found: BTreeSet<Arc<str>> = self.installed.get(&root.directory).into_iter().flat_map(BTreeMap::values).cloned().collect();
        found.insert(root.directory.clone());
        let mut open: Vec<Arc<str>> = found.iter().cloned().collect();
        while let Some(directory) = open.pop() {
            let Some(module) = self.modules.get(&directory) else { continue };
            for called in module.calls.values().filter_map(|call| Self::local_source(module, call.source.as_ref()?)) {
                let called: Arc<str> = called.into();
                if found.insert(called.clone()) {
                    open.push(called);
                }
            }
        }
        found
    }

    /// The comments of a file, in order.
    pub fn comments(&self, file: FileId) -> &[Comment] {
        self.comments.get(&file).map_or(&[], Vec::as_slice)
    }

    /// The directory that a call's local `source` means, seen from the module that holds the call.
    pub(crate) fn local_source(module: &Module, source: &str) -> Option<String> {
        let is_local = source == "." || source == ".." || source.starts_with("./") || source.starts_with("../");
        if is_local { paths::join(&module.directory, source) } else { None }
    }

    fn add(&mut self, parsed: Vec<ParsedFile>, sources: &mut SourceMap) {
        let mut by_directory: BTreeMap<Arc<str>, Vec<ModuleFile>> = BTreeMap::new();
        for ParsedFile { path, text, file } in parsed {
            let id = sources.add(SourceFile::new(path.clone(), text));
            self.report_errors(id, &file);
            self.comments.insert(id, file.comments);
            by_directory.entry(paths::parent(&path).into()).or_default().push(ModuleFile { id, path, body: file.body });
        }
        for (directory, mut files) in by_directory {
            files.sort_by(|a, b| a.path.cmp(&b.path));
            self.modules.insert(directory.clone(), Module::new(directory, files));
        }
    }

    fn report_errors(&mut self, id: FileId, file: &hcl::File) {
        for error in &file.errors {
            self.diagnostics.push(
                Diagnostic::incomplete("syntax-error", Site::new(id, error.range), error.message.clone())
                    .with_help("the block or attribute around it was not judged; mend the syntax and scan again"),
            );
        }
    }

    fn read_manifest(&mut self, directory: &Arc<str>, tree: &dyn Tree) {
        let Some(path) = paths::join(directory, ".terraform/modules/modules.json") else { return };
        let Ok(bytes) = tree.read(&path) else { return };
        let manifest: Result<Manifest, _> = serde_json::from_slice(&bytes);
        match manifest {
            Ok(manifest) => {
                let installed = manifest.modules.into_iter().filter_map(|entry| {
                    let target = paths::join(directory, &entry.dir)?;
                    (!entry.key.is_empty()).then(|| (entry.key, target.into()))
                });
                self.installed.insert(directory.clone(), installed.collect());
            }
            Err(error) => {
                self.diagnostics.push(
                    Diagnostic::unread("module-manifest", path, format!("the list of installed modules can't be read: {error}"))
                        .with_help("run `terraform init` again"),
                );
            }
        }
    }

    /// Directories that are called from the given ones and not parsed yet.
    fn missing_directories(&self, directories: &BTreeSet<Arc<str>>) -> BTreeSet<String> {
        let local = directories
            .iter()
            .filter_map(|directory| self.modules.get(directory))
            .flat_map(|module| module.calls.values().filter_map(|call| Self::local_source(module, call.source.as_ref()?)));
        let installed = directories
            .iter()
            .filter_map(|directory| self.installed.get(directory))
            .flat_map(|modules| modules.values().map(ToString::to_string));
        local.chain(installed).filter(|directory| !self.modules.contains_key(directory.as_str())).collect()
    }
}

#[derive(serde::Deserialize)]
struct Manifest {
    #[serde(rename = "Modules", default)]
    modules: Vec<ManifestEntry>,
}

#[derive(serde::Deserialize)]
struct ManifestEntry {
    #[serde(rename = "Key")]
    key: String,
    #[serde(rename = "Dir")]
    dir: String,
}

fn parse_file(path: Arc<str>, text: Arc<str>) -> ParsedFile {
    let file = if path.ends_with(".json") { json_syntax::parse(&text) } else { hcl::parse(&text) };
    ParsedFile { path, text, file }
}

/// The configuration files of a directory that was not given, as far as they can be read.
fn read_module(directory: &str, tree: &dyn Tree, diagnostics: &mut Vec<Diagnostic>) -> Vec<(Arc<str>, Arc<str>)> {
    let names = tree.list(directory);
    let mut files = Vec::new();
    for path in names.iter().filter(|name| is_configuration(name)).filter_map(|name| paths::join(directory, name)) {
        match read_text(&path, tree) {
            Ok(text) => files.push((path.into(), text)),
            Err(reason) => diagnostics.push(Diagnostic::unread("unreadable-file", path, reason)),
        }
    }
    files
}

fn read_text(path: &str, tree: &dyn Tree) -> Result<Arc<str>, String> {
    let bytes = tree.read(path)?;
    let text = std::str::from_utf8(&bytes).map_err(|error| format!("not UTF-8 behind byte {}", error.valid_up_to()))?;
    Ok(text.into())
}

/// Source: Terraform language documentation, "Variable Definitions (.tfvars) Files".
fn is_loaded_by_itself(name: &str) -> bool {
    matches!(name, "terraform.tfvars" | "terraform.tfvars.json") || name.ends_with(".auto.tfvars") || name.ends_with(".auto.tfvars.json")
}
