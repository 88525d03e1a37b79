//! Terraform and OpenTofu: native and JSON syntax, evaluated as Terraform evaluates it.
//!
//! One way: text → [`Project`] (all parsed files, grouped into modules) → [`Root`]s → [`Evaluation`] (resources of one
//! root module with everything it calls). Nothing of the repository is ever run, no provider and no network is needed:
//! what only they know is unknown with its reason.

pub(crate) mod evaluate;
pub(crate) mod functions;
mod json_syntax;
mod module;
pub mod plan;
mod project;
mod roots;
pub(crate) mod types;

pub use evaluate::{Evaluation, Inputs};
pub use project::Project;
pub use roots::Root;

/// Whether a file of that name is Terraform configuration (native or JSON syntax, Terraform or OpenTofu).
pub fn is_configuration(path: &str) -> bool {
    [".tf", ".tofu", ".tf.json", ".tofu.json"].iter().any(|ending| path.ends_with(ending))
}

/// Whether a file of that name holds values for variables.
pub fn is_variables_file(path: &str) -> bool {
    path.ends_with(".tfvars") || path.ends_with(".tfvars.json")
}
