//! Reads kustomizations and everything that they name.
//!
//! Source: Kustomize documentation, "The Kustomization File".

use std::sync::Arc;

use keyblind_resource::{HopKind, Origin, Value};
use keyblind_syntax::{Diagnostic, FileId, Level, Site, SourceFile, SourceMap, TextRange, yaml};

use super::fields::{list, said};
use super::{Kustomization, Named, Patch, PatchForm, generators, json_patch};
use crate::kubernetes::values::{Embedded, Reader, items, text};
use crate::{Tree, limits, paths};

/// The names of a kustomization's file, the first one counts.
const NAMES: &[&str] = &["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// Whether a file is a kustomization, as far as its name tells.
pub(crate) fn has_name(path: &str) -> bool {
    NAMES.contains(&paths::name(path))
}

/// Whether a file of such a name is one: other tools have objects of that kind.
pub(crate) fn is_kustomization(body: &Value) -> bool {
    let of_another = |version: &str| !version.starts_with("kustomize.config.k8s.io/");
    body.as_mapping().is_some() && !body.get("apiVersion").and_then(Value::as_str).is_some_and(of_another)
}

/// The kustomization's file in a directory.
pub(crate) fn file_in(directory: &str, tree: &dyn Tree) -> Option<String> {
    let names = tree.list(directory);
    let name = NAMES.iter().find(|name| names.iter().any(|found| found == *name))?;
    paths::join(directory, name)
}

/// Reads files, each once, and says of each what is wrong with it.
pub(crate) struct Files<'t> {
    pub(crate) tree: &'t dyn Tree,
    pub(crate) sources: &'t mut SourceMap,
    pub(crate) known: std::collections::BTreeMap<Arc<str>, FileId>,
    pub(crate) diagnostics: Vec<Diagnostic>,
}

impl Files<'_> {
    /// Adds a file that was already read.
    pub(crate) fn add(&mut self, path: Arc<str>, text: Arc<str>) -> FileId {
        let id = self.sources.add(SourceFile::new(path.clone(), text));
        self.known.insert(path, id);
        id
    }

    /// The file of a path, read if need be.
    pub(crate) fn file(&mut self, path: &str) -> Result<FileId, String> {
        if let Some(id) = self.known.get(path) {
            return Ok(*id);
        }
        let bytes = self.tree.read(path)?;
        let text = std::str::from_utf8(&bytes).map_err(|error| format!("not UTF-8 behind byte {}", error.valid_up_to()))?;
        Ok(self.add(path.into(), text.into()))
    }
}

/// Reads the kustomization in a file. `None` if it is none; what is wrong with it is in the diagnostics.
pub(crate) fn kustomization(id: FileId, files: &mut Files<'_>) -> Option<Kustomization> {
    let (path, source) = {
        let file = files.sources.file(id);
        (file.path.clone(), file.text.clone())
    };
    let stream = yaml::parse(&source);
    for error in &stream.errors {
        files.diagnostics.push(Diagnostic::incomplete("syntax-error", Site::new(id, error.range), error.message.clone()));
    }
    let body = Reader::of(id).yaml(stream.documents.first()?);
    if !is_kustomization(&body) {
        return None;
    }
    let directory: Arc<str> = paths::parent(&path).into();
    let mut reader = KustomizationReader { id, source, directory: &directory, files, is_partial: false };
    let mut resources = Vec::new();
    for field in ["resources", "bases"] {
        resources.extend(list(&body, field).iter().filter_map(|entry| reader.named(entry, false)));
    }
    let components = list(&body, "components").iter().filter_map(|entry| reader.named(entry, true)).collect();
    let mut patches = Vec::new();
    for (field, form) in
        [("patchesStrategicMerge", PatchForm::StrategicMerge), ("patches", PatchForm::Either), ("patchesJson6902", PatchForm::Operations)]
    {
        patches.extend(list(&body, field).iter().filter_map(|entry| reader.patch(entry, form)));
    }
    let mut read_elsewhere = Vec::new();
    for field in ["replacements", "crds", "configurations", "transformers", "generators", "validators"] {
        for entry in list(&body, field) {
            let named = entry.as_str().or_else(|| entry.get("path").and_then(Value::as_str));
            read_elsewhere.extend(named.and_then(|named| paths::join(&directory, named)));
        }
    }
    for field in ["configMapGenerator", "secretGenerator"] {
        for generator in list(&body, field) {
            let named = ["files", "envs"].into_iter().flat_map(|key| listed(generator, key)).filter_map(text);
            read_elsewhere.extend(named.filter_map(|named| paths::join(&directory, named.rsplit('=').next().unwrap_or_default())));
        }
    }
    let replacements = list(&body, "replacements").iter().flat_map(|entry| reader.replacements(entry)).collect();
    let is_component = body.get("kind").and_then(Value::as_str) == Some("Component");
    reader.say_what_is_not_evaluated(&body);
    let is_partial = reader.is_partial;
    let generated = generators::generated(&body, &directory, Site::new(id, TextRange::default()), files);
    Some(Kustomization {
        id,
        path,
        directory,
        is_component,
        is_partial,
        resources,
        components,
        patches,
        generated,
        replacements,
        read_elsewhere,
        body,
    })
}

struct KustomizationReader<'a, 'f, 't> {
    id: FileId,
    source: Arc<str>,
    directory: &'a str,
    files: &'f mut Files<'t>,
    is_partial: bool,
}

impl KustomizationReader<'_, '_, '_> {
    fn site(&self, value: &Value) -> Site {
        value.origin.used_at().unwrap_or(Site::new(self.id, TextRange::default()))
    }

    fn incomplete(&mut self, code: &'static str, at: &Value, message: String, help: Option<&str>) {
        let diagnostic = Diagnostic::incomplete(code, self.site(at), message);
        self.files.diagnostics.push(match help {
            Some(help) => diagnostic.with_help(help),
            None => diagnostic,
        });
    }

    /// What an entry of `resources` names: a file, or the directory of another kustomization.
    fn named(&mut self, entry: &Value, is_component: bool) -> Option<Named> {
        let name = text(entry)?;
        let site = self.site(entry);
        if is_remote(&name) {
            self.remote(entry, if is_component { "component" } else { "base" }, &name);
            return None;
        }
        let Some(path) = paths::join(self.directory, &name) else {
            self.leads_out(entry, &name);
            return None;
        };
        if self.files.tree.is_directory(&path) {
            return Some(Named::Directory { path: path.into(), site });
        }
        match self.files.file(&path) {
            Ok(id) if !is_component => Some(Named::File { path: path.into(), id }),
            Ok(_) => {
                self.incomplete("kustomize-not-a-component", entry, format!("`{name}` is a file, and a component is a directory"), None);
                None
            }
            // What looks like a host is fetched if there is no such file.
            Err(_) if looks_like_a_host(&name) => {
                self.remote(entry, if is_component { "component" } else { "base" }, &name);
                None
            }
            Err(reason) => {
                self.is_partial = true;
                let message = format!("`{name}` can't be read, so what it declares isn't judged: {reason}");
                self.incomplete("kustomize-resource-missing", entry, message, None);
                None
            }
        }
    }

    fn leads_out(&mut self, entry: &Value, name: &str) {
        self.is_partial = true;
        let message = format!("`{name}` leads out of the scanned tree, so it isn't read");
        self.incomplete("outside-root", entry, message, Some("scan from a directory that holds both"));
    }

    fn remote(&mut self, entry: &Value, what: &str, address: &str) {
        self.is_partial = true;
        let message = format!("this {what} isn't in the tree, so what it declares isn't judged ({address})");
        self.incomplete("module-not-installed", entry, message, Some("keep a copy of it in the repository to have it judged"));
    }

    fn patch(&mut self, entry: &Value, form: PatchForm) -> Option<Patch> {
        let is_late = form == PatchForm::Operations;
        let (path, inline) = match form {
            // A path, or the patch itself.
            PatchForm::StrategicMerge => {
                let name = text(entry)?;
                if name.contains('\n') { (None, Some(entry)) } else { (Some(entry), None) }
            }
            _ => (said(entry, "path"), said(entry, "patch")),
        };
        let (file, documents) = match (path, inline) {
            (Some(path), _) => {
                let name = text(path)?;
                if is_remote(&name) {
                    self.remote(path, "patch", &name);
                    return None;
                }
                let Some(full) = paths::join(self.directory, &name) else {
                    self.leads_out(path, &name);
                    return None;
                };
                match self.files.file(&full) {
                    Ok(id) => {
                        let documents = self.patch_file(id);
                        (Some(Arc::from(full)), documents)
                    }
                    Err(reason) => {
                        let message = format!("the patch `{name}` can't be read: what it changes is judged without it: {reason}");
                        self.incomplete("kustomize-patch-missing", path, message, None);
                        return None;
                    }
                }
            }
            (None, Some(inline)) => (None, self.inline(inline)),
            (None, None) => {
                self.incomplete(
                    "kustomize-patch-missing",
                    entry,
                    "the entry names no patch: it has neither `path` nor `patch`".to_owned(),
                    None,
                );
                return None;
            }
        };
        let form = match form {
            PatchForm::Either if documents.first().is_some_and(json_patch::is_operations) => PatchForm::Operations,
            PatchForm::Either => PatchForm::StrategicMerge,
            form => form,
        };
        let option = |name: &str| entry.get("options").and_then(|options| options.get(name)).and_then(Value::as_bool) == Some(true);
        Some(Patch {
            site: self.site(entry),
            file,
            documents,
            form,
            is_late,
            target: said(entry, "target").cloned(),
            may_change_name: option("allowNameChange"),
            may_change_kind: option("allowKindChange"),
        })
    }

    fn patch_file(&mut self, id: FileId) -> Vec<Value> {
        let (path, source) = {
            let file = self.files.sources.file(id);
            (file.path.clone(), file.text.clone())
        };
        let carrier = HopKind::Patch(path);
        self.parse(&source, Reader { carrier: Some(&carrier), ..Reader::of(id) })
    }

    /// A patch in the kustomization's own file.
    fn inline(&mut self, value: &Value) -> Vec<Value> {
        let Some(text) = text(value) else { return Vec::new() };
        let embedded = Embedded::new(&text, &self.source, self.site(value).range);
        let carrier = HopKind::Patch(self.files.sources.file(self.id).path.clone());
        self.parse(&text, Reader { file: self.id, carrier: Some(&carrier), embedded: Some(&embedded) })
    }

    fn parse(&mut self, source: &str, reader: Reader<'_>) -> Vec<Value> {
        let stream = yaml::parse(source);
        for error in &stream.errors {
            self.files.diagnostics.push(Diagnostic::incomplete("syntax-error", reader.site(error.range), error.message.clone()));
        }
        stream.documents.iter().map(|node| reader.yaml(node)).collect()
    }

    /// An entry of `replacements`: itself, or those of a file that it names.
    fn replacements(&mut self, entry: &Value) -> Vec<Value> {
        let Some(path) = said(entry, "path") else { return vec![entry.clone()] };
        let Some(name) = text(path) else { return Vec::new() };
        let Some(full) = paths::join(self.directory, &name) else {
            self.leads_out(path, &name);
            return Vec::new();
        };
        match self.files.file(&full) {
            Ok(id) => {
                let source = self.files.sources.file(id).text.clone();
                let documents = self.parse(&source, Reader::of(id));
                documents
                    .iter()
                    .flat_map(|document| document.as_items().map_or_else(|| vec![document.clone()], <[Value]>::to_vec))
                    .collect()
            }
            Err(reason) => {
                let message = format!("`{name}` can't be read, so nothing is replaced: {reason}");
                self.incomplete("kustomize-replacement-missing", path, message, None);
                Vec::new()
            }
        }
    }

    /// What would have to be run to know it.
    fn say_what_is_not_evaluated(&mut self, body: &Value) {
        for field in ["helmCharts", "helmChartInflationGenerator"] {
            for chart in list(body, field) {
                let part = |key: &str| chart.get(key).and_then(text).unwrap_or_default();
                let name = if part("name").is_empty() { part("chartName") } else { part("name") };
                let source = [part("repo"), part("chartRepo"), name]
                    .iter()
                    .filter(|part| !part.is_empty())
                    .map(|part| &**part)
                    .collect::<Vec<_>>()
                    .join(" ");
                self.remote(chart, "chart", &source);
            }
        }
        for field in ["generators", "transformers"] {
            for entry in list(body, field) {
                self.is_partial = true;
                let message = format!("what `{field}` runs isn't run: what it makes or changes isn't judged");
                self.incomplete("kustomize-plugin", entry, message, None);
            }
        }
    }
}

/// The text of a file that a generator puts into an object; `None` if it is no text.
pub(crate) fn content(files: &mut Files<'_>, directory: &str, name: &str) -> Result<Option<Arc<str>>, String> {
    if is_remote(name) {
        return Err("it isn't in the tree".to_owned());
    }
    let path = paths::join(directory, name).ok_or("it leads out of the scanned tree")?;
    let bytes = files.tree.read(&path)?;
    if bytes.len() > limits::GENERATED_BYTES {
        return Err(format!("larger than {} KiB", limits::GENERATED_BYTES >> 10));
    }
    Ok(std::str::from_utf8(&bytes).ok().map(Arc::from))
}

/// Whether an entry is an address to fetch from.
fn is_remote(name: &str) -> bool {
    name.contains("://") || name.starts_with("git@") || name.starts_with("git::") || name.starts_with("//") || name.contains("?ref=")
}

/// Whether the first part of a path looks like the name of a host.
fn looks_like_a_host(name: &str) -> bool {
    let Some((host, _)) = name.split_once('/') else { return false };
    host.contains('.') && !host.starts_with('.') && !host.ends_with(".yaml") && !host.ends_with(".yml")
}

/// A level below incomplete: everything was still judged.
pub(crate) fn note(code: &'static str, site: Option<Site>, message: String) -> Diagnostic {
    Diagnostic { level: Level::Note, code, message, help: None, site, path: None }
}

/// Where something stands, for what has no place of its own.
pub(crate) fn site_of(origin: &Origin, otherwise: Site) -> Site {
    origin.used_at().unwrap_or(otherwise)
}

/// The elements of a list under a name.
pub(crate) fn listed<'v>(value: &'v Value, name: &str) -> &'v [Value] {
    items(value.get(name))
}
