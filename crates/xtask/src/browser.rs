//! The browser that tests of the broker's pages drive.

use anyhow::{Context as _, Result};

use crate::process;

/// Under which names it may be there already.
const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// Installs Debian's package if there is none. Without a browser the tests of the pages fail; they are never left out silently.
pub(crate) fn install() -> Result<()> {
    let is_there =
        |name: &&str| std::env::var_os("PATH").is_some_and(|paths| std::env::split_paths(&paths).any(|folder| folder.join(name).is_file()));
    if NAMES.iter().any(is_there) {
        return Ok(());
    }
    let install = ["apt-get", "install", "--yes", "--no-install-recommends", "chromium"];
    let is_administrator = process::output("id", &["--user"])?.trim() == "0";
    let installed = if is_administrator { process::run(install[0], &install[1..]) } else { process::run("sudo", &install) };
    installed.context("Chromium is needed for the tests of the broker's pages (Debian: apt-get install chromium)")
}
