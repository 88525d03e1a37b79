//! CloudFormation and the Serverless Application Model, in YAML and JSON, evaluated as far as the template alone decides.
//!
//! One way: text → `node` (one tree for both syntaxes) → declarations, with loops unrolled → [`Evaluation`]. A parameter
//! has its default as value; what only a deployment knows (regions, accounts, attributes of resources, exports, macros) is
//! unknown with its reason, and keeps what is known of it.
//!
//! Source: AWS CloudFormation User Guide and Template Reference.

mod conditions;
mod evaluate;
mod intrinsics;
mod node;
mod parameters;
mod project;
mod resources;
mod serverless;
mod stacks;
mod suppressions;
mod text;

use std::sync::LazyLock;

use keyblind_syntax::{Diagnostic, FileId, Site, json, yaml};
use regex::Regex;

use crate::Evaluation;
use evaluate::Evaluator;
use node::{Kind, Node};
use stacks::Stack;

pub use project::{Project, Root};

/// The entry of a resource's body under which its attributes beside the properties stand (`DeletionPolicy`, `DependsOn` …).
pub const ATTRIBUTES: &str = "@attributes";

/// The member that only a template has.
const VERSION: &str = "AWSTemplateFormatVersion";

/// Whether a text is a template: it says so, or it declares resources of types such as `AWS::S3::Bucket`. One that is broken
/// but looks like a template is one as well, so that it is said to be broken.
pub fn recognises(text: &str) -> bool {
    if !looks_like_template(text) {
        return false;
    }
    let (documents, errors) = parse(text);
    documents.iter().any(is_template) || documents.is_empty() && !errors.is_empty()
}

/// A cheap look before the real one.
fn looks_like_template(text: &str) -> bool {
    static TYPE: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r#"Type["']?\s*:\s*["']?[A-Za-z0-9]+::[A-Za-z0-9]"#).ok());
    static TOP: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r#"(?m)^[ \t]*["']?(?:AWSTemplateFormatVersion|Resources)["']?\s*:"#).ok());
    let matches = |regex: &LazyLock<Option<Regex>>| regex.as_ref().is_some_and(|regex| regex.is_match(text));
    if is_flow(text) {
        return text.contains(VERSION) || text.contains("Resources") && matches(&TYPE);
    }
    matches(&TOP) && (text.contains(VERSION) || matches(&TYPE))
}

fn is_flow(text: &str) -> bool {
    text.trim_start_matches('\u{feff}').trim_start().starts_with('{')
}

fn is_template(document: &Node) -> bool {
    if document.get("ROSTemplateFormatVersion").is_some() {
        // Another cloud's templates, which look alike.
        return false;
    }
    let has_type = |resource: &Node| resource.get("Type").and_then(Node::text).is_some_and(|name| name.contains("::"));
    document.get(VERSION).is_some()
        || document.get("Resources").is_some_and(|resources| resources.members().iter().any(|member| has_type(&member.value)))
}

/// Evaluates a template by itself. What can't be read is in the diagnostics.
pub fn evaluate(file: FileId, text: &str) -> Evaluation {
    let (documents, mut diagnostics) = parse(text);
    for diagnostic in &mut diagnostics {
        diagnostic.site = diagnostic.site.map(|site| Site::new(file, site.range));
    }
    evaluate_documents(file, &documents, diagnostics, &Stack::default())
}

/// Evaluates the documents of a template as a stack.
fn evaluate_documents<'n>(file: FileId, documents: &'n [Node], diagnostics: Vec<Diagnostic>, stack: &Stack<'n>) -> Evaluation {
    let mut evaluation = Evaluation { diagnostics, ..Evaluation::default() };
    for document in documents {
        if !matches!(document.kind, Kind::Object(_)) {
            let message = "a template must be a mapping with `Resources`: it was not judged";
            evaluation.diagnostics.push(Diagnostic::incomplete("syntax-error", Site::new(file, document.range), message));
            continue;
        }
        let mut evaluator = Evaluator::new(file, stack.clone());
        resources::declare(&mut evaluator, document);
        evaluation.resources.extend(resources::evaluate(&evaluator, document));
        evaluation.diagnostics.extend(evaluator.shared.diagnostics.take());
    }
    evaluation
}

/// The documents of a text in either syntax, and what is wrong with it; the sites are those of file 0.
fn parse(text: &str) -> (Vec<Node>, Vec<Diagnostic>) {
    let error = |range, message| Diagnostic::incomplete("syntax-error", Site::new(FileId(0), range), message);
    let strict = is_flow(text).then(|| json::parse(text));
    if let Some(Ok(root)) = strict {
        return (vec![Node::of_json(root)], Vec::new());
    }
    // Nearly all JSON is YAML, and so is JSON with comments or commas too many.
    let stream = yaml::parse(text);
    match strict {
        Some(Err(strict)) if !stream.errors.is_empty() => (Vec::new(), vec![error(strict.range, strict.message)]),
        _ => {
            let errors = stream.errors.into_iter().map(|wrong| error(wrong.range, wrong.message));
            (stream.documents.iter().map(Node::of_yaml).collect(), errors.collect())
        }
    }
}
