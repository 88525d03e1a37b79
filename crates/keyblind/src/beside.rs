//! Programs that are installed beside this one.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::exit::UsageError;

/// A program of that name: beside this one, or on the path. `purpose` says what is missing without it.
///
/// # Errors
/// If it is in neither place.
pub(crate) fn program(name: &str, purpose: &str) -> anyhow::Result<PathBuf> {
    let beside = std::env::current_exe().ok().and_then(|own| Some(own.parent()?.join(name)));
    let path: OsString = std::env::var_os("PATH").unwrap_or_default();
    // A relative folder on the path would let a repository bring a program of this name.
    let on_path = std::env::split_paths(&path).filter(|folder| folder.is_absolute()).map(|folder| folder.join(name));
    beside
        .into_iter()
        .chain(on_path)
        .find(|program| program.is_file())
        .ok_or_else(|| UsageError::new(format_args!("`{name}` is neither beside this program nor on the PATH: {purpose}")).into())
}
