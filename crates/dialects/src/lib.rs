//! One module per dialect: source text to evaluated resources. This crate knows no rule.

pub mod cloudformation;
pub mod dockerfile;
mod document;
pub mod github_actions;
pub mod kubernetes;
mod kustomize;
pub mod limits;
pub mod live;
mod memory;
pub mod paths;
mod script;
pub mod terraform;

pub use document::{evaluate, evaluate_text, group, recognise};
pub use memory::MemoryTree;

use std::sync::Arc;

use keyblind_resource::{Link, Resource, ResourceGraph, Unread};
use keyblind_syntax::Diagnostic;

/// What documents evaluate to.
#[derive(Debug, Default)]
pub struct Evaluation {
    /// All resources, in the order of declaration.
    pub resources: Vec<Resource>,
    /// What links them beside the references in their values: names and selectors.
    pub links: Vec<Link>,
    /// What is incomplete. Each once.
    pub diagnostics: Vec<Diagnostic>,
    /// Types of resources of which there may be more than could be read.
    pub unread: Vec<Unread>,
}

impl Evaluation {
    /// The resources with everything that links them.
    pub fn graph(&mut self) -> ResourceGraph {
        let graph = ResourceGraph::with_links(std::mem::take(&mut self.resources), std::mem::take(&mut self.links));
        graph.lacking(std::mem::take(&mut self.unread))
    }
}

/// What a dialect may read. Paths are relative to the trust root, with `/` between the parts and already normalised;
/// an implementation never leaves the root, also not through a symbolic link.
pub trait Tree: Sync {
    /// The bytes of a file.
    ///
    /// # Errors
    /// Says in one sentence why the file can't be read.
    fn read(&self, path: &str) -> Result<Arc<[u8]>, String>;

    /// The names of the entries of a directory, sorted; empty if it can't be read.
    fn list(&self, directory: &str) -> Vec<String>;

    /// Whether there is a directory of that path.
    fn is_directory(&self, path: &str) -> bool;
}

/// A tree that isn't walked on disk: it knows all its files.
pub trait Listing: Tree + Send + std::fmt::Debug {
    /// The paths of all files that aren't symbolic links, sorted.
    fn files(&self) -> Vec<String>;
}
