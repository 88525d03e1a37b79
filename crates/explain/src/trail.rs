//! The way of a value, in words.

use keyblind_resource::{HopKind, Origin};
use keyblind_syntax::Site;

/// Most steps that a report shows: a chain is as long as its evaluation budget if somebody wants it to be.
pub const MOST_STEPS: usize = 32;

/// One step of a value's way, from its use inwards.
#[derive(Clone, Debug)]
pub struct Step {
    /// A stable word for what carried the value.
    pub kind: &'static str,
    /// What happened, as a part of a sentence.
    pub words: String,
    /// Where.
    pub site: Site,
}

/// The steps from the use inwards; the last one is where the value was written. Empty for a value that was written where it
/// is used.
pub fn steps(origin: &Origin) -> Vec<Step> {
    let mut steps: Vec<Step> =
        origin.hops().take(MOST_STEPS).map(|hop| Step { kind: kind(&hop.kind), words: words(&hop.kind), site: hop.site }).collect();
    if let (false, Some(site)) = (steps.is_empty(), origin.written_at())
        && steps.last().is_some_and(|last| last.site != site)
    {
        steps.push(Step { kind: "written", words: "the value is written here".to_owned(), site });
    }
    steps
}

fn kind(kind: &HopKind) -> &'static str {
    match kind {
        HopKind::Variable(_) => "variable",
        HopKind::Default(_) => "default",
        HopKind::VariablesFile(_) => "variables-file",
        HopKind::Given(_) => "given",
        HopKind::Local(_) => "local",
        HopKind::ModuleInput { .. } => "module-input",
        HopKind::ModuleOutput { .. } => "module-output",
        HopKind::Resource { .. } => "resource",
        HopKind::Iterator(_) => "iterator",
        HopKind::Function(_) => "function",
        HopKind::Parameter(_) => "parameter",
        HopKind::Alias => "alias",
        HopKind::Patch(_) => "patch",
        HopKind::Kustomization(_) => "kustomization",
        HopKind::Mapping(_) => "mapping",
        HopKind::Global(_) => "global",
    }
}

fn words(kind: &HopKind) -> String {
    match kind {
        HopKind::Variable(name) => format!("`var.{name}` is used"),
        HopKind::Default(name) => format!("the default of variable `{name}`"),
        HopKind::VariablesFile(name) => format!("`{name}` sets it"),
        HopKind::Given(name) => format!("variable `{name}` is given on the command line or in the configuration"),
        HopKind::Local(name) => format!("`local.{name}` is used"),
        HopKind::ModuleInput { module, input } => format!("`{module}` passes `{input}`"),
        HopKind::ModuleOutput { module, output } => format!("output `{output}` of `{module}` is used"),
        HopKind::Resource { address, attribute } if attribute.is_empty() => format!("`{address}` is used"),
        HopKind::Resource { address, attribute } => format!("`{address}.{attribute}` is used"),
        HopKind::Iterator(name) => format!("`{name}` stands for an element"),
        HopKind::Function(name) => format!("`{name}()` makes it"),
        HopKind::Parameter(name) => format!("parameter `{name}` is used"),
        HopKind::Alias => "an alias stands for it".to_owned(),
        HopKind::Patch(path) => format!("the patch `{path}` sets it"),
        HopKind::Kustomization(field) => format!("`{field}` of the kustomization sets it"),
        HopKind::Mapping(name) => format!("mapping `{name}` is looked into"),
        HopKind::Global(section) => format!("`{section}` sets it for all resources of the type"),
    }
}
