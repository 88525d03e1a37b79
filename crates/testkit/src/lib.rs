//! What tests of several crates share: folders with files, and the real program run in a clean environment.

mod folder;
mod program;

pub use folder::Folder;
pub use program::{Outcome, Program};
