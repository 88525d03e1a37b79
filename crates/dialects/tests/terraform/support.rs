//! Small projects as texts, and values as text to compare with.

use std::sync::Arc;

use keyblind_dialects::MemoryTree;
use keyblind_dialects::terraform::{Evaluation, Inputs, Project, is_configuration};
use keyblind_resource::{Data, Fragment, Resource, Value};
use keyblind_syntax::SourceMap;

/// An evaluated project with its texts.
pub(crate) struct Evaluated {
    pub sources: SourceMap,
    pub roots: Vec<String>,
    pub evaluation: Evaluation,
    pub diagnostics: Vec<String>,
}

/// Evaluates the first root of a project given as paths and texts.
pub(crate) fn evaluate(files: &[(&str, &str)]) -> Evaluated {
    evaluate_with(files, &Inputs::default())
}

pub(crate) fn evaluate_with(files: &[(&str, &str)], inputs: &Inputs) -> Evaluated {
    let tree = MemoryTree::new(files.iter().copied());
    let mut sources = SourceMap::default();
    let given = files.iter().filter(|(path, _)| is_configuration(path) && !path.contains(".terraform/"));
    let given = given.map(|(path, text)| (Arc::from(*path), Arc::from(*text))).collect();
    let mut project = Project::parse(given, &tree, &mut sources);
    project.read_variables_files(&inputs.var_files, &tree, &mut sources);
    let evaluation = project.roots().first().map(|root| project.evaluate(root, inputs, &tree)).unwrap_or_default();
    let diagnostics = project.diagnostics().iter().chain(&evaluation.diagnostics).map(|diagnostic| diagnostic.message.clone()).collect();
    Evaluated { sources, roots: project.roots().iter().map(|root| root.directory.to_string()).collect(), evaluation, diagnostics }
}

impl Evaluated {
    pub(crate) fn resource(&self, address: &str) -> &Resource {
        let addresses: Vec<&str> = self.addresses();
        self.evaluation
            .resources
            .iter()
            .find(|resource| &*resource.address == address)
            .unwrap_or_else(|| panic!("no {address} among {addresses:?}"))
    }

    pub(crate) fn addresses(&self) -> Vec<&str> {
        self.evaluation.resources.iter().map(|resource| &*resource.address).collect()
    }

    pub(crate) fn output(&self, name: &str) -> String {
        let (_, value) = self.evaluation.outputs.iter().find(|(output, _)| &**output == name).expect(name);
        show(value)
    }

    /// The text that a value was written as, and where.
    pub(crate) fn written(&self, value: &Value) -> String {
        let site = value.origin.written_at().expect("the value was written somewhere");
        format!("{}:{} {}", self.sources.file(site.file).path, self.sources.start(site).line, self.sources.slice(site))
    }
}

/// One line for a value: JSON, with `?` and the reason for what is unknown.
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
        Data::Unknown(unknown) => {
            let fragments: String = unknown
                .fragments
                .iter()
                .map(|part| if let Fragment::Literal(text) = part { text.to_string() } else { "?".to_owned() })
                .collect();
            let candidates: Vec<String> = unknown.candidates.iter().map(show).collect();
            let known = match (fragments.is_empty(), candidates.is_empty()) {
                (false, _) => format!(" {fragments:?}"),
                (true, false) => format!(" one of {}", candidates.join(" | ")),
                (true, true) => String::new(),
            };
            format!("?({}{}){known}", unknown.reason, if unknown.nullable { ", or null" } else { "" })
        }
    }
}
