//! `keyblind serve`: the server beside this program takes its place.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use crate::beside;
use crate::exit::Exit;

/// Starts the server in the place of this program, which itself opens no socket.
///
/// # Errors
/// If there is no server, or it can't be started.
pub(crate) fn run(config: Option<&Path>) -> anyhow::Result<Exit> {
    let program = beside::program("keyblind-server", "it serves the pages")?;
    let mut command = Command::new(&program);
    if let Some(config) = config {
        command.arg("--config").arg(config);
    }
    // It comes back only if it failed.
    let error = command.arg("serve").exec();
    Err(anyhow::Error::from(error).context(format!("`{}` can't be started", program.display())))
}
