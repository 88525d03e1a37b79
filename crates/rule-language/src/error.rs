//! What is wrong with a rule file, and where.

use std::fmt;

use crate::yaml::Position;

/// One fault in one rule file. Reading goes on after it, so that one run shows all of them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RuleError {
    /// The file, relative to the folder that was read.
    pub path: String,
    /// Line, from 1; 0 if the file has no text to point at.
    pub line: u32,
    /// Column in characters, from 1; 0 if there is no line.
    pub column: u32,
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl RuleError {
    pub(crate) fn at(position: &Position, message: impl Into<String>) -> Self {
        Self { path: position.path.to_string(), line: position.line, column: position.column, message: message.into(), help: None }
    }

    pub(crate) fn about(path: &str, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line: 0, column: 0, message: message.into(), help: None }
    }

    pub(crate) fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        write!(f, ": {}", self.message)?;
        if let Some(help) = &self.help {
            write!(f, " (help: {help})")?;
        }
        Ok(())
    }
}

impl std::error::Error for RuleError {}
