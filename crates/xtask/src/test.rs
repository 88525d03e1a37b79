//! Everything that must pass.

use anyhow::Result;

use crate::{debian, peers, process};

/// Runs all tests of the workspace, documentation tests included. Peers that a test compares with and that aren't on the
/// machine (Terraform) are replaced by checked-in goldens, which were made with them; servers that the broker talks to and
/// the programs of Debian that tests drive are installed first.
pub(crate) fn run() -> Result<()> {
    peers::install()?;
    debian::install()?;
    process::run("cargo", &["test", "--workspace", "--locked"])
}
