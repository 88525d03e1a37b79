//! The real program, run as a user runs it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A program with its arguments. Nothing of the test's own environment reaches it.
#[derive(Debug)]
pub struct Program {
    path: PathBuf,
    folder: Option<PathBuf>,
    arguments: Vec<String>,
    variables: Vec<(String, String)>,
    input: Option<Vec<u8>>,
}

/// How a program ended, and what it said.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub output: String,
    /// Standard error.
    pub errors: String,
}

impl Program {
    /// A program by its path (`env!("CARGO_BIN_EXE_…")`).
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), folder: None, arguments: Vec::new(), variables: Vec::new(), input: None }
    }

    /// Runs it in a folder.
    #[must_use]
    pub fn within(mut self, folder: &Path) -> Self {
        self.folder = Some(folder.to_owned());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn with<'a>(mut self, arguments: impl IntoIterator<Item = &'a str>) -> Self {
        self.arguments.extend(arguments.into_iter().map(str::to_owned));
        self
    }

    /// Sets a variable of its environment.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Gives it a text on standard input.
    #[must_use]
    pub fn input(mut self, text: impl Into<Vec<u8>>) -> Self {
        self.input = Some(text.into());
        self
    }

    /// Runs it to its end.
    ///
    /// # Panics
    /// If it can't be started, or what it says isn't UTF-8.
    pub fn run(&self) -> Outcome {
        let mut command = Command::new(&self.path);
        command.args(&self.arguments).env_clear().envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        let mut child = command.spawn().expect("the program can be started");
        let mut stdin = child.stdin.take().expect("standard input is a pipe");
        let input = self.input.clone().unwrap_or_default();
        // It may end without reading all of it.
        let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
        let output = child.wait_with_output().expect("the program can be waited for");
        writer.join().expect("the input can be written");
        let text = |bytes| String::from_utf8(bytes).expect("what the program says is UTF-8");
        Outcome { code: output.status.code(), output: text(output.stdout), errors: text(output.stderr) }
    }
}
