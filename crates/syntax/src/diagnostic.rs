//! What went wrong while reading: said once, with its place, and never instead of going on.

use crate::source::Site;

/// How much of the input a diagnostic costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Part of the input was not understood and therefore not judged: the scan is incomplete.
    Incomplete,
    /// Something the user should know; everything was still judged.
    Note,
}

/// A message about the input itself, as opposed to a finding about what it describes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Diagnostic {
    /// What it costs.
    pub level: Level,
    /// A stable kebab-case code, such as `syntax-error` or `module-not-installed`.
    pub code: &'static str,
    /// What was wrong, in one sentence without a full stop.
    pub message: String,
    /// What the user can do about it, where something can be done.
    pub help: Option<String>,
    /// Where, when a file was read at all.
    pub site: Option<Site>,
    /// The path concerned, relative to the scanned root, when there is no site.
    pub path: Option<String>,
}

impl Diagnostic {
    /// Makes a diagnostic of level [`Level::Incomplete`] at a place in a file.
    pub fn incomplete(code: &'static str, site: Site, message: impl Into<String>) -> Self {
        Self { level: Level::Incomplete, code, message: message.into(), help: None, site: Some(site), path: None }
    }

    /// Makes a diagnostic of level [`Level::Incomplete`] about a file that has no text to point at.
    pub fn unread(code: &'static str, path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { level: Level::Incomplete, code, message: message.into(), help: None, site: None, path: Some(path.into()) }
    }

    /// Adds what the user can do about it.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}
