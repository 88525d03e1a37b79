//! The program, and what it prints.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use anyhow::{Context as _, Result, anyhow, ensure};
use serde::{Deserialize, Serialize};

/// What `keyblind fix --output json` prints.
#[derive(Clone, Debug, Deserialize)]
pub struct Document {
    /// The version of the form.
    pub version: u32,
    /// Fixes in the order in which they were made.
    pub fixes: Vec<Fix>,
    /// Findings without one.
    pub refused: Vec<Refused>,
}

/// A fix.
#[derive(Clone, Debug, Deserialize)]
pub struct Fix {
    /// The rule's id.
    pub rule: String,
    /// The resource.
    pub address: String,
    /// The finding.
    pub fingerprint: String,
    /// `safe`, `unsafe` or `needs-input`.
    pub class: String,
    /// Whether later fixes stand on it.
    pub taken: bool,
    /// The edits, on the texts as they were before it.
    pub edits: Vec<FileEdit>,
    /// The variables that it declares.
    pub inputs: Vec<Input>,
    /// Its proof.
    pub proof: Proof,
}

/// The edits of a file.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct FileEdit {
    /// The file, beneath the trust root.
    pub path: String,
    /// The SHA-256 of the text that they are made for.
    pub digest: String,
    /// In order.
    pub edits: Vec<TextEdit>,
}

/// A range of bytes, and what takes its place.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct TextEdit {
    /// The first byte that goes.
    pub start: usize,
    /// Behind the last one.
    pub end: usize,
    /// What stands there.
    pub was: String,
    /// What comes.
    pub text: String,
}

/// A variable that only a person can give a value.
#[derive(Clone, Debug, Deserialize)]
pub struct Input {
    /// Its name.
    pub variable: String,
    /// Its type, in Terraform's words.
    pub kind: String,
    /// The value that the proof was made with: a text as it is, anything else as an expression.
    pub assumed: String,
    /// The directory of the module that declares it. None: the value that is assumed stands in the text itself, and such a
    /// fix is never written.
    pub module: Option<String>,
}

impl Input {
    /// The value as an expression in Terraform's syntax.
    pub fn value(&self) -> String {
        if self.kind != "string" {
            return self.assumed.clone();
        }
        let escaped = self.assumed.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n").replace("${", "$${");
        format!("\"{escaped}\"")
    }
}

/// The part of a proof that says what was meant.
#[derive(Clone, Debug, Deserialize)]
pub struct Proof {
    /// What it is for.
    pub claim: Claim,
    /// What it says that it changes.
    pub stated: Vec<Stated>,
}

/// What a fix is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub struct Claim {
    /// The rule's id.
    pub rule: String,
    /// The root module, kustomization or document.
    pub root: String,
    /// The resource.
    pub address: String,
}

/// Something that a fix says it changes.
#[derive(Clone, Debug, Deserialize)]
pub struct Stated {
    /// The file.
    pub file: String,
    /// The type of the declaration; `node` for a node of a document.
    pub type_key: String,
    /// Its name; for a node the number of its document.
    pub name: String,
    /// The attribute; for a node a JSON pointer.
    pub path: String,
}

/// A finding without a fix.
#[derive(Clone, Debug, Deserialize)]
pub struct Refused {
    /// The rule's id.
    pub rule: String,
    /// The resource.
    pub address: String,
    /// The finding.
    pub fingerprint: String,
    /// One of the closed list.
    pub reason: String,
}

/// What `keyblind scan --format json` prints.
#[derive(Clone, Debug, Deserialize)]
pub struct Report {
    /// Counts.
    pub summary: Summary,
    /// Verdicts.
    pub results: Vec<Outcome>,
}

/// Counts.
#[derive(Clone, Debug, Deserialize)]
pub struct Summary {
    /// Verdicts that can't be told.
    pub unknown: usize,
    /// Verdicts that a comment or the like hides.
    pub suppressed: usize,
    /// Resources.
    pub resources: usize,
    /// Root modules, documents and the like.
    pub roots: usize,
    /// Whether something couldn't be read to its end.
    pub incomplete: bool,
}

/// A verdict.
#[derive(Clone, Debug, Deserialize)]
pub struct Outcome {
    /// The rule's id.
    pub rule: String,
    /// Other tools' ids of the rule.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// `failed`, `passed`, `unknown`, `suppressed`.
    pub status: String,
    /// The dialect.
    pub dialect: String,
    /// The file.
    pub file: String,
    /// The resource.
    pub address: String,
    /// The root module, kustomization or document.
    pub root: String,
    /// What speaks against it.
    #[serde(default)]
    pub evidence: Vec<serde_json::Value>,
    /// The finding's name from run to run.
    #[serde(default)]
    pub fingerprint: String,
}

/// The program was ended because its time was up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeIsUp;

impl std::fmt::Display for TimeIsUp {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("the time for it is up")
    }
}

impl std::error::Error for TimeIsUp {}

/// The program that is judged.
#[derive(Clone, Debug)]
pub struct Program {
    path: PathBuf,
    end: Option<Instant>,
}

impl Program {
    /// A program by its path.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), end: None }
    }

    /// The same program, which is ended at a point of time; what it was asked then fails with [`TimeIsUp`].
    #[must_use]
    pub fn until(&self, end: Instant) -> Self {
        Self { end: Some(end), ..self.clone() }
    }

    /// Everything that all rules say of what lies beneath a path.
    ///
    /// # Errors
    /// If it doesn't end as it should, or what it prints can't be read.
    pub fn scan(&self, root: &Path, target: &str) -> Result<Report> {
        let output = self.run(root, target, &["scan", "--format", "json", "--persona", "auditor", "--include", "passed,unknown"])?;
        serde_json::from_str(&output).with_context(|| format!("the report on {target} can't be read"))
    }

    /// Fixes for what lies beneath a path, with further arguments.
    ///
    /// # Errors
    /// As for [`Program::scan`].
    pub fn fix(&self, root: &Path, target: &str, arguments: &[&str]) -> Result<Document> {
        let all: Vec<&str> = ["fix", "--output", "json", "--persona", "auditor"].into_iter().chain(arguments.iter().copied()).collect();
        let output = self.run(root, target, &all)?;
        if output.trim().is_empty() {
            // There was nothing to scan.
            return Ok(Document { version: 1, fixes: Vec::new(), refused: Vec::new() });
        }
        let document: Document = serde_json::from_str(&output).with_context(|| format!("the fixes for {target} can't be read"))?;
        ensure!(document.version == 1, "the document of fixes has version {}", document.version);
        Ok(document)
    }

    fn run(&self, root: &Path, target: &str, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(&self.path);
        command.args(arguments).args(["--no-config", "--quiet", "--root"]).arg(root).arg(root.join(target)).env_clear().current_dir(root);
        let output = self.output(&mut command)?;
        let errors = String::from_utf8_lossy(&output.stderr);
        let shown = arguments.first().copied().unwrap_or_default();
        // 0: nothing found, 1: findings, 3: not everything could be read, 5: nothing to scan.
        ensure!(
            matches!(output.status.code(), Some(0 | 1 | 3 | 5)),
            "`{shown}` on {target} ended with {}: {}",
            output.status,
            errors.trim()
        );
        String::from_utf8(output.stdout).with_context(|| format!("`{shown}` on {target} printed something that isn't UTF-8"))
    }

    fn output(&self, command: &mut Command) -> Result<Output> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("{} can't be started", self.path.display()))?;
        let (sender, receiver) = mpsc::channel();
        let errors = child.stderr.take().map(|stream| thread::spawn(move || read(stream)));
        let stream = child.stdout.take();
        let reader = thread::spawn(move || {
            let read = stream.map(read).unwrap_or_default();
            // Nobody listens any more if the time is up.
            let _ = sender.send(());
            read
        });
        let is_late = self.end.is_some_and(|end| {
            let left = end.saturating_duration_since(Instant::now());
            receiver.recv_timeout(left) == Err(mpsc::RecvTimeoutError::Timeout)
        });
        if is_late {
            child.kill().context("the program can't be ended")?;
        }
        let status = child.wait()?;
        let joined = |reader: thread::JoinHandle<Vec<u8>>| reader.join().map_err(|_| anyhow!("what the program says can't be read"));
        let (stdout, stderr) = (joined(reader)?, errors.map(joined).transpose()?.unwrap_or_default());
        if is_late { Err(TimeIsUp.into()) } else { Ok(Output { status, stdout, stderr }) }
    }
}

/// All that comes, as far as it can be read.
fn read(mut stream: impl Read) -> Vec<u8> {
    let mut all = Vec::new();
    // What was read before a failure says more than the failure; that something is missing shows when it is parsed.
    let _ = stream.read_to_end(&mut all);
    all
}
