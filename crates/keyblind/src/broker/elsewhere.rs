//! The way to the broker, where there is none: it needs what only Linux offers.

mod words;

use std::path::Path;

use keyblind_intent::{Answer, Request};

pub(crate) use self::words::unwelcome;

use crate::exit::UsageError;

/// Never made here.
pub(crate) enum Broker {}

impl Broker {
    /// Says that there is no broker on this system.
    ///
    /// # Errors
    /// Always.
    pub(crate) fn connect() -> anyhow::Result<Self> {
        Err(UsageError::new("the broker runs on Linux only").into())
    }

    pub(crate) fn file(&self) -> &Path {
        match *self {}
    }

    pub(crate) fn ask(&mut self, _: &Request) -> anyhow::Result<Answer> {
        match *self {}
    }

    pub(crate) fn ask_with(&mut self, _: &Request, _: &[u8]) -> anyhow::Result<Answer> {
        match *self {}
    }
}
