//! Everything that must pass.

use anyhow::Result;

use crate::{browser, peers, process};

/// Runs all tests of the workspace, documentation tests included. Peers that a test compares with and that aren't on the
/// machine (Terraform) are replaced by checked-in goldens, which were made with them; servers that the broker talks to and
/// the browser that its pages are looked at with are installed first.
pub(crate) fn run() -> Result<()> {
    peers::install()?;
    browser::install()?;
    process::run("cargo", &["test", "--workspace", "--locked"])
}
