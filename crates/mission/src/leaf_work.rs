//! The steps that the scanner does.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use keyblind_intent::Digest;
use keyblind_store::Document;
use serde::Deserialize;

use crate::{Assignment, Done, Event, Follows, Leaf, LeafError, Output, Progress, Request, SeverityCounts, Step, Trouble, Work};

/// Names of what a mission makes.
mod document {
    /// What was judged, as `keyblind scan --format json` prints it; after the step `fix` with the fixes.
    pub(super) const REPORT: &str = "report.json";
    /// The report for people, one file.
    pub(super) const PAGE: &str = "report.html";
}

/// Does steps by starting the scanner.
#[derive(Clone, Debug)]
pub struct LeafWork {
    leaf: Leaf,
    /// Beneath which folders an administrator lets paths be scanned.
    allowed: Vec<PathBuf>,
}

/// A folder that may be scanned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// Its canonical path.
    pub path: PathBuf,
    /// The allowed folder that it lies beneath: nothing outside is read, wherever the repository begins.
    pub root: PathBuf,
}

impl LeafWork {
    /// Work with the scanner in `leaf`, on what lies beneath `allowed`.
    #[must_use]
    pub const fn new(leaf: Leaf, allowed: Vec<PathBuf>) -> Self {
        Self { leaf, allowed }
    }

    /// A folder that may be scanned, and what may be read for it.
    ///
    /// # Errors
    /// If it isn't there, or not beneath a folder that is allowed. Both sound alike: who may not scan a folder doesn't learn what is in it.
    pub fn admit(&self, path: &Path) -> Result<Admitted, Trouble> {
        let refused = || Trouble::Lasting(format!("`{}` isn't a folder that may be scanned here", path.display()));
        let path = path.canonicalize().map_err(|_| refused())?;
        let above = self.allowed.iter().filter_map(|folder| folder.canonicalize().ok()).filter(|folder| path.starts_with(folder));
        // Of several the outermost: modules beside the folder may be read as far as all of them allow.
        let root = above.min_by_key(|folder| folder.as_os_str().len()).filter(|_| path.is_dir()).ok_or_else(refused)?;
        Ok(Admitted { path, root })
    }

    async fn scan(&self, path: &Path, arguments: &[&str], progress: &Progress) -> Result<Output, Trouble> {
        // What was allowed when the mission began need not be any more, and a link may lead elsewhere by now.
        let Admitted { path, root } = self.admit(path)?;
        let mut all: Vec<OsString> = ["scan", ".", "--progress", "never", "--persona", "regular", "--root"].map(Into::into).to_vec();
        all.push(root.into());
        all.extend(arguments.iter().map(Into::into));
        let output = self.leaf.run(&all, &path, progress).await?;
        match output.code {
            // Findings, and a part that can't be read, are what a report is for.
            0 | 1 | 3 | 5 => Ok(output),
            2 => Err(Trouble::Lasting(output.last)),
            code => Err(Trouble::Passing(format!("the scanner ended with {code}: {}", output.last))),
        }
    }
}

impl From<LeafError> for Trouble {
    fn from(error: LeafError) -> Self {
        match error {
            LeafError::Output(_) => Self::Lasting(error.to_string()),
            error => Self::Passing(error.to_string()),
        }
    }
}

impl Work for LeafWork {
    async fn perform(&self, assignment: Assignment, progress: Progress) -> Result<Done, Trouble> {
        let Request::ScanPath { path } = &assignment.request;
        match assignment.step {
            Step::Scan => {
                let output = self.scan(path, &["--format", "json"], &progress).await?;
                let report = Report::read(&output.bytes)?;
                Ok(done(report.scanned(), document::REPORT, output.bytes))
            }
            Step::Fix => {
                let output = self.scan(path, &["--format", "json", "--fixes"], &progress).await?;
                let report = Report::read(&output.bytes)?;
                Ok(done(report.fixed(), document::REPORT, output.bytes))
            }
            Step::Report => {
                let output = self.scan(path, &["--format", "html", "--fixes"], &progress).await?;
                let bytes = u64::try_from(output.bytes.len()).unwrap_or(u64::MAX);
                Ok(done(Event::Reported { bytes }, document::PAGE, output.bytes))
            }
        }
    }
}

fn done(event: Event, name: &'static str, bytes: Vec<u8>) -> Done {
    let document = Document { name, digest: Digest::of(&bytes).to_string(), bytes };
    Done { events: vec![event], documents: vec![document], checkpoint: None, follows: Follows::Next }
}

/// What is looked at of the scanner's report (docs/report.schema.json).
#[derive(Debug, Deserialize)]
struct Report {
    summary: Summary,
    results: Vec<Judged>,
}

#[derive(Debug, Deserialize)]
struct Summary {
    failed_by_severity: SeverityCounts,
    unknown: u64,
    resources: u64,
    incomplete: bool,
}

#[derive(Debug, Deserialize)]
struct Judged {
    status: String,
    #[serde(default)]
    fix: Option<Fix>,
}

#[derive(Debug, Deserialize)]
struct Fix {
    #[serde(default)]
    class: Option<String>,
}

impl Report {
    fn read(bytes: &[u8]) -> Result<Self, Trouble> {
        serde_json::from_slice(bytes).map_err(|error| Trouble::Lasting(format!("the scanner's report can't be read: {error}")))
    }

    fn scanned(&self) -> Event {
        let Summary { failed_by_severity, unknown, resources, incomplete } = &self.summary;
        Event::Scanned { failed: *failed_by_severity, unknown: *unknown, resources: *resources, is_incomplete: *incomplete }
    }

    fn fixed(&self) -> Event {
        let failed = || self.results.iter().filter(|result| result.status == "failed");
        let of = |class: Option<&str>| {
            let count = failed().filter(|result| result.fix.as_ref().and_then(|fix| fix.class.as_deref()) == class).count();
            u64::try_from(count).unwrap_or(u64::MAX)
        };
        Event::Fixed { safe: of(Some("safe")), with_price: of(Some("unsafe")), needs_input: of(Some("needs-input")), none: of(None) }
    }
}
