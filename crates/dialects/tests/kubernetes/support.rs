//! Small sets of manifests as texts, and values as text to compare with.

use std::sync::Arc;

use keyblind_dialects::kubernetes::{self, Above, Project, Root};
use keyblind_dialects::{Evaluation, MemoryTree};
use keyblind_resource::{Data, Resource, ResourceGraph, Value};
use keyblind_syntax::{Diagnostic, SourceFile, SourceMap};

/// Evaluated manifests with their texts.
pub(crate) struct Evaluated {
    pub sources: Arc<SourceMap>,
    pub graph: ResourceGraph,
    pub diagnostics: Vec<String>,
}

/// Evaluates manifests of one directory.
pub(crate) fn evaluate(files: &[(&str, &str)]) -> Evaluated {
    let mut sources = SourceMap::default();
    let ids: Vec<_> = files.iter().map(|(path, text)| sources.add(SourceFile::new(*path, *text))).collect();
    let given: Vec<_> = ids.iter().map(|&id| (id, sources.file(id))).collect();
    let evaluation = kubernetes::evaluate(&given);
    Evaluated::new(Arc::new(sources), evaluation)
}

impl Evaluated {
    pub(crate) fn new(sources: Arc<SourceMap>, mut evaluation: Evaluation) -> Self {
        let diagnostics = evaluation.diagnostics.iter().map(shown).collect();
        Self { sources, graph: evaluation.graph(), diagnostics }
    }

    pub(crate) fn addresses(&self) -> Vec<&str> {
        self.graph.resources.iter().map(|resource| &*resource.address).collect()
    }

    pub(crate) fn resource(&self, address: &str) -> &Resource {
        let found = self.graph.resources.iter().find(|resource| &*resource.address == address);
        found.unwrap_or_else(|| panic!("no {address} among {:?}", self.addresses()))
    }

    /// The value at a path of names and indices.
    pub(crate) fn value(&self, address: &str, path: &str) -> &Value {
        path.split('.').fold(&self.resource(address).body, |value, step| {
            let inner = match value.as_items() {
                Some(items) => step.parse::<usize>().ok().and_then(|index| items.get(index)),
                None => value.get(step),
            };
            inner.unwrap_or_else(|| panic!("no `{step}` of `{path}` in {address}: {}", show(value)))
        })
    }

    /// All links, as `from -path-> to`.
    pub(crate) fn links(&self) -> Vec<String> {
        let address = |id: usize| &self.graph.resources[id].address;
        let all = (0..self.graph.resources.len()).flat_map(|id| self.graph.outgoing(id));
        all.map(|link| format!("{} -{}-> {}", address(link.from), link.path, address(link.to))).collect()
    }

    /// What carried a value, from its use inwards.
    pub(crate) fn way(&self, value: &Value) -> Vec<String> {
        value.origin.hops().map(|hop| format!("{:?}", hop.kind)).collect()
    }

    /// Where a value counts: file, line and text.
    pub(crate) fn place(&self, value: &Value) -> String {
        let site = value.origin.used_at().expect("the value stands somewhere");
        format!("{}:{} {}", self.sources.file(site.file).path, self.sources.start(site).line, self.sources.slice(site))
    }
}

/// One line for a value: JSON, with `?` for what is unknown.
pub(crate) fn show(value: &Value) -> String {
    match &value.data {
        Data::Null => "null".to_owned(),
        Data::Bool(value) => value.to_string(),
        Data::Number(number) => number.to_string(),
        Data::String(text) => format!("{text:?}"),
        Data::List(items) | Data::Set(items) | Data::Tuple(items) => format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(", ")),
        Data::Map(mapping) | Data::Object(mapping) => {
            format!("{{{}}}", mapping.iter().map(|(key, value)| format!("{key}: {}", show(value))).collect::<Vec<_>>().join(", "))
        }
        Data::Unknown(unknown) => format!("?({})", unknown.reason),
    }
}

/// Evaluated roots of a project.
pub(crate) struct Built {
    pub roots: Vec<String>,
    pub evaluated: Vec<Evaluated>,
    pub diagnostics: Vec<String>,
}

/// Evaluates all roots of a project of which every YAML file is given.
pub(crate) fn build(files: &[(&str, String)]) -> Built {
    let given: Vec<&str> = files.iter().map(|(path, _)| *path).filter(|path| path.ends_with(".yaml")).collect();
    build_with(files, &given, &Above::default())
}

/// Evaluates all roots of a project of which some files are asked for.
pub(crate) fn build_with(files: &[(&str, String)], given: &[&str], above: &Above) -> Built {
    let tree = MemoryTree::new(files.iter().map(|(path, text)| (*path, text.as_str())));
    let mut sources = SourceMap::default();
    let mut texts: Vec<_> =
        files.iter().filter(|(path, _)| given.contains(path)).map(|(path, text)| (Arc::from(*path), Arc::from(text.as_str()))).collect();
    texts.sort();
    let project = Project::parse(texts, above, &tree, &mut sources);
    let name = |root: &Root| match root {
        Root::Directory { directory, .. } => format!("directory {directory}"),
        Root::Kustomization { directory } => format!("kustomization {directory}"),
    };
    let sources = Arc::new(sources);
    Built {
        roots: project.roots().iter().map(name).collect(),
        evaluated: project.roots().iter().map(|root| Evaluated::new(sources.clone(), project.evaluate(root, &sources))).collect(),
        diagnostics: project.diagnostics().iter().map(shown).collect(),
    }
}

fn shown(diagnostic: &Diagnostic) -> String {
    format!("{}: {}", diagnostic.code, diagnostic.message)
}
