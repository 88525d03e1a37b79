//! Where there is no sandbox: `--sandbox` and archives are refused, and no process is ever a leaf.

pub(crate) use self::inside::{Inside, inside};

pub(crate) mod inside {
    //! The inside of a leaf that can't be.

    use std::io::{self, Write};
    use std::path::Path;

    use keyblind_scan::Progress;

    use crate::exit::{Exit, UsageError};

    /// A leaf: there is none.
    pub(crate) enum Inside {}

    /// No process is one.
    pub(crate) fn inside() -> Option<&'static Inside> {
        None
    }

    /// Refuses.
    pub(crate) fn run() -> anyhow::Result<Exit> {
        Err(UsageError::new("the sandbox needs Linux").into())
    }

    #[allow(clippy::unused_self, reason = "the same as where there are leaves")]
    impl Inside {
        pub(crate) fn threads(&self) -> usize {
            match *self {}
        }

        pub(crate) fn output_look(&self) -> (bool, usize) {
            match *self {}
        }

        pub(crate) fn errors_look(&self) -> (bool, usize) {
            match *self {}
        }

        pub(crate) fn shows_progress(&self) -> bool {
            match *self {}
        }

        pub(crate) fn is_in_tree(&self) -> bool {
            match *self {}
        }

        pub(crate) fn current(&self) -> &Path {
            match *self {}
        }

        pub(crate) fn question(
            &self,
            _: &keyblind_roles::Question,
        ) -> io::Result<Result<keyblind_roles::Reply, keyblind_roles::Unanswered>> {
            match *self {}
        }

        pub(crate) fn say(&self, _: &str) {
            match *self {}
        }

        pub(crate) fn print(&self, _: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
            match *self {}
        }

        pub(crate) fn save(&self, _: &Path, _: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
            match *self {}
        }

        pub(crate) fn fill(&self, _: u8, _: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
            match *self {}
        }

        pub(crate) fn standard_input(&self, _: u64) -> io::Result<Vec<u8>> {
            match *self {}
        }

        pub(crate) fn progress(&self, _: Progress) {
            match *self {}
        }

        pub(crate) fn fixing(&self, _: usize, _: usize) {
            match *self {}
        }
    }
}

pub(crate) mod outside {
    //! Beside a leaf that can't be.

    use std::path::{Path, PathBuf};

    use crate::arguments::{Global, Sandbox};
    use crate::exit::{Exit, UsageError};
    use crate::progress::Bar;

    /// A command that is to run in a leaf.
    #[allow(dead_code, reason = "the same as where there are leaves")]
    pub(crate) struct Confined<'c> {
        pub(crate) root: &'c Path,
        pub(crate) is_in_tree: bool,
        pub(crate) further: Vec<PathBuf>,
        pub(crate) files: Vec<PathBuf>,
        pub(crate) reads_input: bool,
        pub(crate) sandbox: Sandbox,
        pub(crate) global: Global,
        pub(crate) bar: &'c Bar,
        pub(crate) models: Option<crate::models::Direct>,
    }

    /// What came of an archive.
    pub(crate) struct Unpacked {
        pub(crate) links: u64,
        pub(crate) git: u64,
    }

    /// Refuses.
    pub(crate) fn run(_: Confined<'_>) -> anyhow::Result<Exit> {
        Err(UsageError::new("the sandbox needs Linux: leave `--sandbox` out, or scan in a container").into())
    }

    /// Refuses.
    pub(crate) fn unpack(_: &std::fs::File, _: &str, _: &Path, _: Sandbox, _: Global) -> anyhow::Result<Unpacked> {
        Err(UsageError::new("archives are unpacked in a sandbox, which needs Linux: unpack it by other means").into())
    }
}
