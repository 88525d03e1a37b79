//! Small sets of manifests as texts, and values as text to compare with.

use keyblind_dialects::{Evaluation, kubernetes};
use keyblind_resource::{Data, Resource, ResourceGraph, Value};
use keyblind_syntax::{SourceFile, SourceMap};

/// Evaluated manifests with their texts.
pub(crate) struct Evaluated {
    pub sources: SourceMap,
    pub graph: ResourceGraph,
    pub diagnostics: Vec<String>,
}

/// Evaluates manifests of one directory.
pub(crate) fn evaluate(files: &[(&str, &str)]) -> Evaluated {
    let mut sources = SourceMap::default();
    let ids: Vec<_> = files.iter().map(|(path, text)| sources.add(SourceFile::new(*path, *text))).collect();
    let given: Vec<_> = ids.iter().map(|&id| (id, sources.file(id))).collect();
    let evaluation = kubernetes::evaluate(&given);
    Evaluated::new(sources, evaluation)
}

impl Evaluated {
    pub(crate) fn new(sources: SourceMap, mut evaluation: Evaluation) -> Self {
        let diagnostics = evaluation.diagnostics.iter().map(|diagnostic| format!("{}: {}", diagnostic.code, diagnostic.message)).collect();
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
