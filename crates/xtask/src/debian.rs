//! Programs that tests drive and that come from Debian's packages.

use anyhow::{Context as _, Result};

use crate::process;

/// Installs the browser that the broker's pages are looked at with, the server of Postgres that the application's database is tested
/// on, and a session's bus and keyring that have the sealed store's key, where they aren't there yet. Without them their tests fail; they are never left out silently.
pub(crate) fn install() -> Result<()> {
    if !["chromium", "chromium-browser", "google-chrome"].iter().any(|name| is_in_path(name)) {
        install_package("chromium")?;
    }
    for (program, package) in [("dbus-daemon", "dbus-daemon"), ("gnome-keyring-daemon", "gnome-keyring")] {
        if !is_in_path(program) {
            install_package(package)?;
        }
    }
    // Debian keeps the server beside the path, in a folder for each version; the client alone makes such a folder, too.
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    if !is_in_path("postgres") && !versions.into_iter().any(|version| version.path().join("bin/postgres").is_file()) {
        install_package("postgresql")?;
    }
    Ok(())
}

fn is_in_path(name: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|paths| std::env::split_paths(&paths).any(|folder| folder.join(name).is_file()))
}

fn install_package(package: &str) -> Result<()> {
    let install = ["apt-get", "install", "--yes", "--no-install-recommends", package];
    let is_administrator = process::output("id", &["--user"])?.trim() == "0";
    let installed = if is_administrator { process::run(install[0], &install[1..]) } else { process::run("sudo", &install) };
    installed.with_context(|| format!("{package} is needed for the tests (Debian: apt-get install {package})"))
}
