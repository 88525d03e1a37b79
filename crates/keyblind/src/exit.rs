//! How the program ends. The codes are the same in every format, and stable.

use std::process::ExitCode;

/// The exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// No finding at or above the level to fail on, and everything was read.
    Clean = 0,
    /// Findings at or above that level.
    Findings = 1,
    /// The command line or the configuration is wrong.
    Usage = 2,
    /// A part of the input could not be read or judged.
    Incomplete = 3,
    /// An error in the program itself or around it.
    Internal = 4,
    /// There was nothing to scan.
    NothingToScan = 5,
    /// Somebody pressed Ctrl-C.
    Interrupted = 130,
}

impl Exit {
    /// The code of a process that ended by itself.
    pub(crate) fn of(code: u8) -> Option<Self> {
        let all = [Self::Clean, Self::Findings, Self::Usage, Self::Incomplete, Self::Internal, Self::NothingToScan];
        all.into_iter().find(|exit| *exit as u8 == code)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// An error that the user can mend by asking differently.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct UsageError {
    message: String,
}

impl UsageError {
    /// Wraps a message that says what was wrong and what to do.
    pub(crate) fn new(message: impl std::fmt::Display) -> Self {
        Self { message: message.to_string() }
    }
}
