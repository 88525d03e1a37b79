//! GitHub Actions: workflows, actions, and the configuration of Dependabot, which is part of what runs in a repository.
//!
//! Source: GitHub Docs, "Workflow syntax", "Metadata syntax", "Contexts reference", "Dependabot options reference". Nothing is
//! evaluated as a run would; what an expression gives is unknown, and who has a say in it is told.

mod contexts;
mod expansions;
mod permissions;
mod scalar;
mod steps;
mod uses;
mod values;
mod workflow;

use keyblind_syntax::yaml::{self, Node};
use keyblind_syntax::{Diagnostic, FileId, Level, Site, SourceFile, TextRange};

use crate::{Evaluation, limits};
use values::Reader;

/// What a text of this dialect is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Document {
    Workflow,
    Action,
    Dependabot,
}

/// Whether a file is a workflow, an action or a configuration of Dependabot: by its place and what it holds, or by what it
/// holds alone, if nothing else looks like that.
pub fn recognises(path: &str, text: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase();
    let stem = name.strip_suffix(".yml").or_else(|| name.strip_suffix(".yaml"));
    let Some(stem) = stem else { return false };
    let is_told_by_place = path.contains(".github/workflows/") || (stem == "dependabot" && path.contains(".github/")) || stem == "action";
    // Looking at the text first saves reading every other YAML file as a whole.
    let may_be_workflow = text.contains("jobs:") && text.contains("runs-on") && text.contains("steps:");
    (is_told_by_place || may_be_workflow)
        && yaml::parse(text).documents.first().is_some_and(|root| document(root, is_told_by_place).is_some())
}

fn document(root: &Node, is_told_by_place: bool) -> Option<Document> {
    let has = |key: &str| root.entry(key).is_some();
    if has("on") && has("jobs") && (is_told_by_place || has_jobs(root)) {
        return Some(Document::Workflow);
    }
    if root.get("runs").is_some_and(|runs| runs.entry("using").is_some()) {
        return Some(Document::Action);
    }
    let updates = root.get("updates").and_then(Node::as_sequence).unwrap_or_default();
    updates.iter().any(|update| update.entry("package-ecosystem").is_some()).then_some(Document::Dependabot)
}

/// Whether it has jobs as workflows have them.
fn has_jobs(root: &Node) -> bool {
    let jobs = root.get("jobs").map(Node::entries).unwrap_or_default();
    !jobs.is_empty() && jobs.iter().all(|job| job.value.entry("runs-on").is_some() || job.value.entry("uses").is_some())
}

/// Evaluates one file.
pub fn evaluate(file: FileId, source: &SourceFile) -> Evaluation {
    let mut evaluation = Evaluation::default();
    if source.text.len() > limits::WORKFLOW_BYTES {
        let message = format!("this file isn't read, because it is longer than {} KiB", limits::WORKFLOW_BYTES >> 10);
        evaluation.diagnostics.push(Diagnostic::incomplete("too-large", Site::new(file, TextRange::new(0, 0)), message));
        return evaluation;
    }
    let stream = yaml::parse(&source.text);
    for error in &stream.errors {
        evaluation.diagnostics.push(Diagnostic::incomplete("syntax-error", Site::new(file, error.range), &*error.message));
    }
    // GitHub reads the first document only.
    let Some(root) = stream.documents.first() else { return evaluation };
    let reader = Reader { file, text: &source.text };
    let read = match document(root, true) {
        Some(Document::Workflow) => workflow::workflow(&reader, root),
        Some(Document::Action) => workflow::action(&reader, root),
        Some(Document::Dependabot) => workflow::dependabot(&reader, root),
        None => return evaluation,
    };
    match read {
        Ok(resources) => evaluation.resources = resources,
        // Such a workflow never runs, so that nothing in it is a danger.
        Err((site, message)) => evaluation.diagnostics.push(Diagnostic {
            level: Level::Note,
            code: "workflow-refused",
            message,
            help: None,
            site: Some(site),
            path: None,
        }),
    }
    evaluation
}
