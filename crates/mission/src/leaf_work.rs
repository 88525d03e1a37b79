//! The steps of all missions. What reads infrastructure code is the scanner's process; what touches an account or a forge is the broker.

use std::ffi::OsString;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use keyblind_client::BulkFile;
use keyblind_intent::{CommitId, Digest};
use keyblind_store::{Document, WaitsFor};
use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};

use crate::broker::{Broker, BrokerError};
use crate::checkpoint::Checkpoint;
use crate::report::Report;
use crate::trees::Trees;
use crate::{Assignment, Clock, Done, Event, Follows, Leaf, LeafError, Origin, Output, Progress, Request, Step, Trouble, Work};

/// Names of what a mission makes.
pub(crate) mod document {
    /// What was judged, as `keyblind scan --format json` prints it; after the step `fix` with the fixes.
    pub(crate) const REPORT: &str = "report.json";
    /// The report for people, one file.
    pub(crate) const PAGE: &str = "report.html";
    /// What that file holds, for the server's own pages.
    pub(crate) const PAGE_DATA: &str = "page-data.jsonl";
    /// The report for code scanning.
    pub(crate) const SARIF: &str = "report.sarif";
    /// All proven fixes as a patch, also those with a price.
    pub(crate) const PATCH: &str = "fixes.patch";
    /// What was judged after a change.
    pub(crate) const VERIFIED: &str = "verified.json";
}

/// Does steps by starting the scanner and asking the broker.
#[derive(Clone)]
pub struct LeafWork {
    pub(crate) leaf: Leaf,
    /// Beneath which folders an administrator lets paths be scanned.
    allowed: Vec<PathBuf>,
    pub(crate) broker: Option<Arc<dyn Broker>>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) trees: Arc<Trees>,
}

/// A folder that may be scanned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// Its canonical path.
    pub path: PathBuf,
    /// The allowed folder that it lies beneath: nothing outside is read, wherever the repository begins.
    pub root: PathBuf,
}

/// What the scanner judges: a descriptor, and how its command line names it.
pub(crate) struct Given {
    pub(crate) descriptor: OwnedFd,
    pub(crate) arguments: Vec<OsString>,
    /// Whether the descriptor is what the broker handed over.
    pub(crate) is_handed: bool,
    /// The commit, if it is a repository's.
    pub(crate) commit: Option<CommitId>,
}

impl LeafWork {
    /// Work with the scanner in `leaf`, on what lies beneath `allowed`.
    #[must_use]
    pub fn new(leaf: Leaf, allowed: Vec<PathBuf>, clock: Arc<dyn Clock>) -> Self {
        Self { leaf, allowed, broker: None, clock, trees: Arc::default() }
    }

    /// Reads repositories and accounts through this broker, and asks it for changes.
    #[must_use]
    pub fn with_broker(self, broker: Arc<dyn Broker>) -> Self {
        Self { broker: Some(broker), ..self }
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

    /// The allowed folder as a descriptor, and the folder's way from there. What was allowed when the mission began need not be any more;
    /// and a name that leads elsewhere by now leads nowhere from a descriptor (openat2(2), `RESOLVE_BENEATH`).
    pub(crate) fn folder(&self, path: &Path) -> Result<Given, Trouble> {
        let refused = || Trouble::Lasting(format!("`{}` isn't a folder that may be scanned here", path.display()));
        let Admitted { path: whole, root } = self.admit(path)?;
        let inside = whole.strip_prefix(&root).map_err(|_| refused())?;
        let inside = if inside.as_os_str().is_empty() { Path::new(".") } else { inside };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let descriptor = rustix::fs::open(&root, flags | OFlags::NOFOLLOW, Mode::empty()).map_err(|_| refused())?;
        let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_SYMLINKS;
        openat2(&descriptor, inside, flags, Mode::empty(), beneath).map_err(|_| refused())?;
        // A folder may be called like an option, or like a repository at a forge.
        let arguments = vec![Path::new(".").join(inside).into_os_string(), "--root".into(), ".".into(), "--within".into()];
        Ok(Given { descriptor, arguments, is_handed: false, commit: None })
    }

    /// Judges what is given, in the scanner's process.
    pub(crate) async fn scan(&self, given: &Given, arguments: &[&str], progress: &Progress) -> Result<Output, Trouble> {
        let mut all: Vec<OsString> = vec!["scan".into()];
        all.extend(given.arguments.iter().cloned());
        all.extend(given.is_handed.then(|| "--handed".into()));
        all.extend(["--progress", "never", "--persona", "regular"].map(Into::into));
        all.extend(arguments.iter().map(Into::into));
        self.run(all, given, progress).await
    }

    pub(crate) async fn run(&self, arguments: Vec<OsString>, given: &Given, progress: &Progress) -> Result<Output, Trouble> {
        let descriptor = given.descriptor.try_clone().map_err(|error| Trouble::Passing(format!("no more files can be open: {error}")))?;
        let output = self.leaf.run(&arguments, descriptor, progress).await?;
        match output.code {
            // Findings, and a part that can't be read, are what a report is for.
            0 | 1 | 3 | 5 => Ok(output),
            2 => Err(Trouble::Lasting(output.last)),
            code => Err(Trouble::Passing(format!("the scanner ended with {code}: {}", output.last))),
        }
    }

    /// What a mission without changes judges.
    async fn given(&self, assignment: &Assignment, checkpoint: &Checkpoint, progress: &Progress) -> Result<Given, Trouble> {
        match &assignment.request {
            Request::ScanPath { path } | Request::Reverify { origin: Origin::Path(path), .. } => self.folder(path),
            Request::ScanAccount { account } | Request::Reverify { origin: Origin::Account(account), .. } => {
                let snapshot = self.snapshot(assignment, checkpoint, progress).await?;
                account_given(account, &snapshot)
            }
            Request::ScanRepository { .. } | Request::FixRepository { .. } | Request::Reverify { .. } => {
                self.tree_given(assignment, checkpoint.tree()?, progress).await
            }
            Request::Remediate { .. } | Request::Undo { .. } => Err(Trouble::Lasting("this step judges nothing".to_owned())),
        }
    }

    async fn report(&self, given: &Given, has_fixes: bool, progress: &Progress) -> Result<Done, Trouble> {
        let fixes: &[&str] = if has_fixes { &["--fixes"] } else { &[] };
        let page = self.scan(given, &[&["--format", "html"], fixes].concat(), progress).await?;
        let sarif = self.scan(given, &["--format", "sarif"], progress).await?;
        let bytes = u64::try_from(page.bytes.len()).unwrap_or(u64::MAX);
        let data = self.scan(given, &[&["--format", "page-data"], fixes].concat(), progress).await?;
        let mut documents =
            vec![made(document::PAGE, page.bytes), made(document::SARIF, sarif.bytes), made(document::PAGE_DATA, data.bytes)];
        if has_fixes {
            let patch = self.patch(given, progress).await?;
            documents.push(made(document::PATCH, patch.bytes));
        }
        Ok(Done { events: vec![Event::Reported { bytes }], documents, checkpoint: None, follows: Follows::Next })
    }

    /// All proven fixes as a patch, also those with a price.
    async fn patch(&self, given: &Given, progress: &Progress) -> Result<Output, Trouble> {
        let mut all: Vec<OsString> = vec!["fix".into()];
        all.extend(given.arguments.iter().cloned());
        all.extend(given.commit.iter().map(|commit| format!("--handed={commit}").into()));
        all.extend(["--output", "patch"].map(Into::into));
        self.run(all, given, progress).await
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

impl From<BrokerError> for Trouble {
    fn from(error: BrokerError) -> Self {
        let waits = |waits_for| Self::Waits { waits_for, reason: error.to_string(), pause: crate::broker::LOOK_AGAIN };
        match &error {
            BrokerError::Away(_) => waits(WaitsFor::Broker),
            BrokerError::NotLoggedIn => waits(WaitsFor::Reconnection),
            BrokerError::Broken(_) => Self::Lasting(error.to_string()),
            BrokerError::Store(_) => Self::Passing(error.to_string()),
        }
    }
}

impl Work for LeafWork {
    async fn perform(&self, assignment: Assignment, progress: Progress) -> Result<Done, Trouble> {
        let checkpoint = Checkpoint::read(assignment.checkpoint.as_deref())?;
        match assignment.step {
            Step::Fetch => self.fetch(&assignment, checkpoint, &progress).await,
            Step::Scan => {
                let given = self.given(&assignment, &checkpoint, &progress).await?;
                let output = self.scan(&given, &["--format", "json"], &progress).await?;
                Ok(done(Report::read(&output.bytes)?.scanned(), document::REPORT, output.bytes))
            }
            Step::Fix => {
                let given = self.given(&assignment, &checkpoint, &progress).await?;
                let output = self.scan(&given, &["--format", "json", "--fixes"], &progress).await?;
                Ok(done(Report::read(&output.bytes)?.fixed(), document::REPORT, output.bytes))
            }
            Step::Report => {
                let given = self.given(&assignment, &checkpoint, &progress).await?;
                let has_fixes = !matches!(assignment.request, Request::ScanAccount { .. });
                let done = self.report(&given, has_fixes, &progress).await;
                self.trees.forget(assignment.mission);
                done
            }
            Step::Plan => self.plan(&assignment, checkpoint, &progress).await,
            Step::Approval => self.approval(&assignment, checkpoint).await,
            Step::Apply => self.apply(&assignment, checkpoint).await,
            Step::Verify => {
                if let Request::Reverify { fingerprint, .. } = &assignment.request {
                    let given = self.given(&assignment, &checkpoint, &progress).await?;
                    let output = self.scan(&given, &["--format", "json"], &progress).await?;
                    let (gone, left) = Report::read(&output.bytes)?.verified([fingerprint.as_str()])?;
                    self.trees.forget(assignment.mission);
                    return Ok(done(Event::Verified { gone, left }, document::VERIFIED, output.bytes));
                }
                self.verify(&assignment, &checkpoint, &progress).await
            }
        }
    }
}

/// An account's snapshot, as the scanner takes it.
pub(crate) fn account_given(account: &crate::Account, snapshot: &BulkFile) -> Result<Given, Trouble> {
    Ok(Given { descriptor: descriptor(snapshot)?, arguments: vec![account.argument().into()], is_handed: true, commit: None })
}

pub(crate) fn descriptor(bulk: &BulkFile) -> Result<OwnedFd, Trouble> {
    bulk.as_fd().try_clone_to_owned().map_err(|error| Trouble::Passing(format!("no more files can be open: {error}")))
}

pub(crate) fn done(event: Event, name: &'static str, bytes: Vec<u8>) -> Done {
    Done { events: vec![event], documents: vec![made(name, bytes)], checkpoint: None, follows: Follows::Next }
}

pub(crate) fn made(name: &'static str, bytes: Vec<u8>) -> Document {
    Document { name, digest: Digest::of(&bytes).to_string(), bytes }
}
