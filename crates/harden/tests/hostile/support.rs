//! Runs the hostile program.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};

use keyblind_harden::{Child, Ended, Start, null, start};
use tempfile::TempDir;

/// What became of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Became {
    /// It worked, and what was got.
    Done(String),
    /// It was refused with this error.
    Refused(i32),
    /// The process was ended for it, by this signal.
    Killed(i32),
    /// The process ended by itself without a word.
    Silent,
}

/// A run of the hostile program.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) became: Became,
    /// What its report says the kernel doesn't enforce.
    pub(crate) missing: Vec<String>,
    /// All that it said.
    pub(crate) said: String,
}

/// A folder with a tree, and a secret beside it.
pub(crate) struct Ground {
    _guard: TempDir,
    pub(crate) top: PathBuf,
}

impl Ground {
    pub(crate) fn new() -> Self {
        let guard = tempfile::tempdir().unwrap();
        let top = guard.path().canonicalize().unwrap();
        std::fs::create_dir_all(top.join("tree/modules")).unwrap();
        std::fs::write(top.join("secret"), "SECRET").unwrap();
        std::fs::write(top.join("tree/main.tf"), "main ").unwrap();
        std::fs::write(top.join("tree/modules/a.tf"), "module").unwrap();
        std::os::unix::fs::symlink(top.join("secret"), top.join("tree/link.tf")).unwrap();
        Self { _guard: guard, top }
    }

    pub(crate) fn tree(&self) -> PathBuf {
        self.top.join("tree")
    }

    pub(crate) fn secret(&self) -> String {
        self.top.join("secret").display().to_string()
    }
}

/// The hostile program, and what it is started with.
pub(crate) struct Hostile<'h> {
    pub(crate) tree: &'h Path,
    pub(crate) extra: Option<BorrowedFd<'h>>,
    pub(crate) environment: &'h [(&'h str, &'h str)],
}

impl<'h> Hostile<'h> {
    pub(crate) fn on(tree: &'h Path) -> Self {
        Self { tree, extra: None, environment: &[] }
    }

    /// Starts an attempt; what it says can be read while it runs.
    pub(crate) fn begin(&self, mode: &str, attempt: &[&str]) -> (Child, OwnedFd, File) {
        let (output, their_output) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
        let (their_input, input) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
        let (nothing, tree) = (null().unwrap(), File::open(self.tree).unwrap());
        let mut descriptors: Vec<(BorrowedFd<'_>, RawFd)> =
            vec![(their_input.as_fd(), 0), (their_output.as_fd(), 1), (nothing.as_fd(), 2), (tree.as_fd(), 3)];
        descriptors.extend(self.extra.map(|extra| (extra, 9)));
        let arguments: Vec<&OsStr> = ["keyblind-hostile", mode].into_iter().chain(attempt.iter().copied()).map(OsStr::new).collect();
        let program = OsStr::new(env!("CARGO_BIN_EXE_keyblind-hostile"));
        let child = start(Start { program, arguments: &arguments, environment: self.environment, descriptors: &descriptors }).unwrap();
        (child, input, File::from(output))
    }

    /// Runs an attempt to its end.
    pub(crate) fn run(&self, mode: &str, attempt: &[&str]) -> Run {
        let (mut child, input, mut output) = self.begin(mode, attempt);
        drop(input);
        let mut said = String::new();
        output.read_to_string(&mut said).unwrap();
        let ended = child.wait().unwrap();
        let missing = said.lines().find_map(|line| line.strip_prefix("missing ")).unwrap_or_default();
        let last = said.lines().last().unwrap_or_default();
        let became = match (ended, last.split_once(' ')) {
            (Ended::Killed(signal), _) => Became::Killed(signal),
            (Ended::Exited(0), Some(("errno", number))) => Became::Refused(number.parse().unwrap()),
            (Ended::Exited(0), Some(("done", what))) => Became::Done(what.to_owned()),
            (Ended::Exited(_), _) => Became::Silent,
        };
        Run { became, missing: missing.split_whitespace().map(str::to_owned).collect(), said }
    }
}

/// Waits for a line that begins so, and gives the rest of it.
pub(crate) fn wait_for(beginning: &str, output: &mut BufReader<File>) -> String {
    loop {
        let mut line = String::new();
        assert_ne!(output.read_line(&mut line).unwrap(), 0, "the process ended before it said `{beginning}`");
        if let Some(rest) = line.trim().strip_prefix(beginning) {
            return rest.to_owned();
        }
    }
}

/// Says aloud what couldn't be shown here: past the harness, which keeps what a passing test prints.
pub(crate) fn aloud(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "\n*** {text}\n");
}

/// Whether a denial can be expected. If the report says that the kernel doesn't enforce the measure, that is said aloud and must be so.
pub(crate) fn is_enforced(run: &Run, measure: &str, what: &str) -> bool {
    let is_enforced = !run.missing.iter().any(|missing| missing == measure);
    if !is_enforced {
        aloud(&format!("NOT ENFORCED HERE: {what}: this kernel lacks `{measure}`, and the report says so"));
    }
    is_enforced
}
