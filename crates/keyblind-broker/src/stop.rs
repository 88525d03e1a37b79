//! The stop that needs nothing but the state folder: a file in it. While it is there, nothing is borrowed and nothing is done.
//!
//! It can be made by the command, or by hand (`touch`), with every other part dead. A file that takes up work again lies beside it, for
//! a moment: whoever may write the folder could exchange the database as well.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use keyblind_broker::leases::epoch::ARM_FILE;

/// The file whose presence stops everything.
const STOPPED: &str = "STOPPED";

/// Where the stop file of that state folder is.
pub(crate) fn file(state: &Path) -> PathBuf {
    state.join(STOPPED)
}

/// Stops. When it returns, a broker of that folder does nothing that is asked later, also after a restart.
///
/// # Errors
/// If the file can't be made durable.
pub(crate) fn stop(state: &Path) -> std::io::Result<()> {
    write(state, STOPPED)
}

/// A stop that one command made, which it may take back.
pub(crate) struct Made {
    file: PathBuf,
    /// Which file it is, and when it was last touched.
    mark: (u64, SystemTime),
}

/// Stops like [`stop`]. Gives what may be taken back, if nobody had stopped before.
///
/// # Errors
/// If the file can't be made durable.
pub(crate) fn stop_for_now(state: &Path) -> std::io::Result<Option<Made>> {
    let file = file(state);
    if file.symlink_metadata().is_ok() {
        return Ok(None);
    }
    stop(state)?;
    let mark = mark(&file)?;
    Ok(Some(Made { file, mark }))
}

impl Made {
    /// Takes the stop file away, unless somebody has stopped meanwhile.
    ///
    /// # Errors
    /// If it can't be taken away; then it is still stopped.
    pub(crate) fn take_back(self) -> std::io::Result<()> {
        if mark(&self.file)? == self.mark {
            std::fs::remove_file(&self.file)?;
        }
        Ok(())
    }
}

fn mark(file: &Path) -> std::io::Result<(u64, SystemTime)> {
    let metadata = file.symlink_metadata()?;
    Ok((metadata.ino(), metadata.modified()?))
}

/// Takes the stop file away, and asks for work to be taken up again.
///
/// # Errors
/// If that can't be made durable.
pub(crate) fn arm(state: &Path) -> std::io::Result<()> {
    match std::fs::remove_file(file(state)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    write(state, ARM_FILE)
}

/// Whether the broker has yet to see that it is armed.
pub(crate) fn is_arming(state: &Path) -> bool {
    state.join(ARM_FILE).symlink_metadata().is_ok()
}

fn write(state: &Path, name: &str) -> std::io::Result<()> {
    let new = state.join(format!("{name}.new"));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(b"by command\n")?;
    file.sync_all()?;
    std::fs::rename(&new, state.join(name))?;
    std::fs::File::open(state)?.sync_all()
}
