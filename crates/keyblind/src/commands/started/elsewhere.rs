//! Being started by a program that does jobs for others, where there is none.

use std::fs::File;

use crate::arguments::Global;
use crate::exit::UsageError;

const LINUX: &str = "what is handed over by another program is taken on Linux only";

/// Refuses what can't be here.
///
/// # Errors
/// If a starter wants something.
pub(super) fn settle(global: Global) -> anyhow::Result<()> {
    if global.parent.is_some() || global.within { Err(UsageError::new(LINUX).into()) } else { Ok(()) }
}

/// Refuses.
///
/// # Errors
/// Always.
pub(super) fn handed() -> anyhow::Result<File> {
    Err(UsageError::new(LINUX).into())
}
