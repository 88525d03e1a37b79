//! The pages, from a fresh clone.

use anyhow::Result;

use crate::process;

/// Builds the programs that the pages need, and starts them.
pub(crate) fn run() -> Result<()> {
    process::run("cargo", &["build", "--release", "--locked", "--package", "keyblind", "--package", "keyblind-server"])?;
    let program = process::target().join("release/keyblind");
    process::run(&program.to_string_lossy(), &["serve"])
}
