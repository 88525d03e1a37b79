//! What tests of several crates share: folders with files, the real program run in a clean environment, and what it imports.

mod folder;
mod imports;
mod program;

pub use folder::Folder;
pub use imports::imports;
pub use program::{Outcome, Program};
