//! Everything that must pass.

use anyhow::Result;

use crate::{peers, process};

/// Runs all tests of the workspace, documentation tests included. Peers that a test compares with and that aren't on the
/// machine (Terraform) are replaced by checked-in goldens, which were made with them; servers that the broker talks to are
/// installed first.
pub(crate) fn run() -> Result<()> {
    peers::install()?;
    process::run("cargo", &["test", "--workspace", "--locked"])
}
