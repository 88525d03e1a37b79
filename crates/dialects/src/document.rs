//! The dialects whose files say by their content what they are: which one a text is in, which texts belong together, and
//! what they evaluate to.

use std::sync::Arc;

use keyblind_resource::Dialect;
use keyblind_syntax::{FileId, SourceFile, SourceMap};

use crate::terraform::{Inputs, Project};
use crate::{Evaluation, MemoryTree, Tree, cloudformation, dockerfile, github_actions, kubernetes, paths};

/// The dialect that a text is in, by its content; its path counts only where the language itself goes by it (a Dockerfile's
/// name, a workflow's folder). `None`: it is none that is judged.
pub fn recognise(path: &str, text: &str) -> Option<Dialect> {
    if dockerfile::recognises(path, text) {
        return Some(Dialect::Dockerfile);
    }
    if cloudformation::recognises(text) {
        return Some(Dialect::CloudFormation);
    }
    if github_actions::recognises(path, text) {
        return Some(Dialect::GithubActions);
    }
    (kubernetes::content(path, text) == kubernetes::Content::Manifests).then_some(Dialect::Kubernetes)
}

/// What is evaluated together: texts of equal groups. Manifests of one directory are applied together; any other text stands
/// for itself.
pub fn group(dialect: Dialect, path: &str) -> &str {
    match dialect {
        Dialect::Kubernetes => paths::parent(path),
        _ => path,
    }
}

/// Evaluates the texts of one group, all in one dialect. What can't be read is in the diagnostics.
pub fn evaluate(dialect: Dialect, files: &[(FileId, &SourceFile)], tree: &dyn Tree) -> Evaluation {
    let _ = tree;
    match (dialect, files) {
        (Dialect::CloudFormation, [(file, source)]) => cloudformation::evaluate(*file, &source.text),
        (Dialect::Dockerfile, [(file, source)]) => dockerfile::evaluate(*file, &source.text),
        (Dialect::GithubActions, [(file, source)]) => github_actions::evaluate(*file, source),
        (Dialect::Kubernetes, _) => kubernetes::evaluate(files),
        _ => Evaluation::default(),
    }
}

/// Evaluates a text that stands for itself, such as a rule's example: once for each root module. What Terraform's evaluation
/// finds incomplete isn't told.
pub fn evaluate_text(dialect: Dialect, text: &str) -> Vec<Evaluation> {
    let path = match dialect {
        Dialect::CloudFormation => "template.yaml",
        Dialect::Kubernetes => "manifest.yaml",
        Dialect::Dockerfile => "Dockerfile",
        Dialect::GithubActions => ".github/workflows/workflow.yml",
        _ => "main.tf",
    };
    let tree = MemoryTree::new([(path, text)]);
    let mut sources = SourceMap::default();
    if !matches!(dialect, Dialect::Terraform | Dialect::TerraformPlan) {
        let file = sources.add(SourceFile::new(path, text));
        return vec![evaluate(dialect, &[(file, sources.file(file))], &tree)];
    }
    let project = Project::parse(vec![(path.into(), Arc::from(text))], &tree, &mut sources);
    let problems = Evaluation { diagnostics: project.diagnostics().to_vec(), ..Evaluation::default() };
    let evaluate = |root| Evaluation { resources: project.evaluate(root, &Inputs::default(), &tree).resources, ..Evaluation::default() };
    std::iter::once(problems).chain(project.roots().iter().map(evaluate)).collect()
}
