//! Being started by a program that does jobs for others: ending with it, and working on what it hands over as a descriptor.
//!
//! A name can lead elsewhere between the moment that somebody checked it and the moment that it is opened. A descriptor can't.

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom};
use std::os::fd::AsFd as _;

use anyhow::Context as _;

use crate::arguments::Global;
use crate::exit::UsageError;
use crate::leaf;

/// Does what the starter wants before anything is read.
///
/// # Errors
/// If the starter is gone already, or standard input is no directory.
pub(super) fn settle(global: Global) -> anyhow::Result<()> {
    // A leaf has its own ways.
    if leaf::inside().is_some() {
        return Ok(());
    }
    if let Some(parent) = global.parent {
        keyblind_harden::end_with(parent)?;
    }
    if global.within {
        rustix::process::fchdir(io::stdin().as_fd())
            .map_err(|error| UsageError::new(format_args!("standard input is no directory: {error}")))?;
    }
    Ok(())
}

/// What was handed over on standard input, from its beginning.
///
/// # Errors
/// If that is no file.
pub(super) fn handed() -> anyhow::Result<File> {
    let mut file = File::from(io::stdin().as_fd().try_clone_to_owned().context("there is no standard input")?);
    // Whoever handed it over may have read it.
    file.seek(SeekFrom::Start(0))
        .map_err(|error| UsageError::new(format_args!("standard input is no file that was handed over: {error}")))?;
    Ok(file)
}
