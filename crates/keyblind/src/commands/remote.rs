//! A repository at a forge, read through the broker: what `github:owner/name` names.

use std::fs::File;

use anyhow::ensure;
use keyblind_intent::{
    Answer, BranchName, CommitId, Count, Intent, LeftOut, LeftOutReason, Outcome, ReadRepository, Repository, Request, Revision,
};
use tempfile::TempDir;

use super::scan::{unpacked, unpacked_file};
use crate::arguments::{Global, Sandbox, What};
use crate::broker::{Broker, unwelcome};
use crate::exit::UsageError;
use crate::terminal;

/// A repository, and which state of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Remote {
    repository: Repository,
    revision: Revision,
}

const FORM: &str =
    "write it as `github:owner/name`, with `@branch`, `@commit` or `@pull/7` behind it for another state than the default branch's";

impl Remote {
    /// The repository that the command line names, if it names one.
    ///
    /// # Errors
    /// If it isn't written as one, or other paths are named beside it.
    pub(super) fn named(what: &What) -> Result<Option<Self>, UsageError> {
        let remotes: Vec<&str> = what.paths.iter().filter_map(|path| path.to_str()?.strip_prefix("github:")).collect();
        let [text] = remotes.as_slice() else {
            return if remotes.is_empty() { Ok(None) } else { Err(UsageError::new("one repository at a time is read through the broker")) };
        };
        if what.paths.len() > 1 || what.root.is_some() || what.src.is_some() || what.stdin_filename.is_some() {
            return Err(UsageError::new("a repository at a forge is judged as a whole: leave other paths, `--root` and `--src` out"));
        }
        Self::parse(text).map(Some)
    }

    fn parse(text: &str) -> Result<Self, UsageError> {
        let wrong = |reason: &dyn std::fmt::Display| UsageError::new(format_args!("`github:{}`: {reason}; {FORM}", text.escape_debug()));
        let (path, revision) = text.split_once('@').map_or((text, None), |(path, revision)| (path, Some(revision)));
        let (owner, name) = path.split_once('/').ok_or_else(|| wrong(&"there is no repository's name"))?;
        let repository = Repository {
            forge: "github".parse().map_err(|error| wrong(&error))?,
            owner: owner.parse().map_err(|error| wrong(&error))?,
            name: name.parse().map_err(|error| wrong(&error))?,
        };
        let revision = match revision {
            None => Revision::DefaultBranch,
            Some(text) => {
                let pull_request = text.strip_prefix("pull/").and_then(|number| Count::new(number.parse().ok()?).ok());
                match (pull_request, CommitId::new(text)) {
                    (Some(number), _) => Revision::PullRequest(number),
                    (None, Ok(commit)) => Revision::Commit(commit),
                    (None, Err(_)) => Revision::Branch(BranchName::new(text).map_err(|error| wrong(&error))?),
                }
            }
        };
        Ok(Self { repository, revision })
    }

    /// The same for fixes that are to be proposed: into which branch must be clear. `base` is the one that the command line names; by itself it is
    /// what is read as well.
    ///
    /// # Errors
    /// If it isn't clear.
    pub(super) fn into_branch(self, base: Option<&BranchName>) -> Result<Self, UsageError> {
        let revision = match (self.revision, base) {
            (Revision::DefaultBranch, Some(base)) => Revision::Branch(base.clone()),
            (Revision::Branch(read), Some(base)) if read != *base => {
                return Err(UsageError::new(format_args!(
                    "fixes for the branch `{read}` would bring all of it into `{base}`: name one branch, with `@` or with `--base`"
                )));
            }
            (Revision::Commit(_) | Revision::PullRequest(_) | Revision::Named(_), None) => {
                return Err(UsageError::new("a commit or a pull request doesn't say which branch the fixes are for: add `--base BRANCH`"));
            }
            (revision, _) => revision,
        };
        Ok(Self { revision, ..self })
    }

    /// Reads it, and unpacks it in a leaf.
    ///
    /// # Errors
    /// If the broker doesn't read it, or it can't be unpacked.
    pub(super) fn fetch(&self, sandbox: Sandbox, global: Global) -> anyhow::Result<Fetched> {
        let mut broker = Broker::connect()?;
        let request = ReadRepository { repository: self.repository.clone(), revision: self.revision.clone() };
        match broker.ask(&Request::Intent(Intent::ReadRepository(request)))? {
            Answer::Outcome(Outcome::RepositoryRead { repository, commit, branch, files, left_out: left, .. }) => {
                self.check(&repository, &commit, branch.as_ref())?;
                if !global.quiet {
                    terminal::say(format_args!("note: {repository} at {commit}: {files} files"));
                    left.iter().for_each(say_left_out);
                }
                Ok(Fetched { repository, commit, branch, folder: unpacked(broker.file(), sandbox, global)? })
            }
            Answer::Outcome(outcome) => Err(unwelcome(&outcome)),
            Answer::Report(report) => anyhow::bail!("the broker answered something else than was asked ({report:?})"),
        }
    }

    /// The same for an archive that was handed over, of that commit.
    ///
    /// # Errors
    /// If it can't be unpacked.
    pub(super) fn handed(&self, archive: File, commit: &CommitId, sandbox: Sandbox, global: Global) -> anyhow::Result<Fetched> {
        let folder = unpacked_file(archive, "what was handed over", sandbox, global)?;
        Ok(Fetched { repository: self.repository.clone(), commit: commit.clone(), branch: None, folder })
    }

    /// Owner and name may be others by now: the forge leads from old names to new ones.
    fn check(&self, repository: &Repository, commit: &CommitId, branch: Option<&BranchName>) -> anyhow::Result<()> {
        let is_other = match &self.revision {
            Revision::Commit(asked) => asked != commit,
            Revision::Branch(asked) => branch.is_some_and(|branch| branch != asked),
            Revision::DefaultBranch | Revision::PullRequest(_) | Revision::Named(_) => false,
        };
        ensure!(
            repository.forge == self.repository.forge && !is_other,
            "the broker read another state than was asked for: {repository} at {commit}"
        );
        Ok(())
    }
}

/// A repository's files at one commit, unpacked.
pub(super) struct Fetched {
    /// Which, as the forge names it now.
    pub(super) repository: Repository,
    pub(super) commit: CommitId,
    /// The branch whose newest commit it was.
    pub(super) branch: Option<BranchName>,
    /// Where its files lie, until this is dropped.
    pub(super) folder: TempDir,
}

/// What isn't judged because it isn't there is said, as for files that lie here.
fn say_left_out(left: &LeftOut) {
    let why = match left.reason {
        LeftOutReason::Link => "symbolic links",
        LeftOutReason::Submodule => "submodules",
        LeftOutReason::LargeFileStorage => "contents that lie in large file storage",
        LeftOutReason::TooLarge => "files that are too large",
        LeftOutReason::UnusablePath => "paths that can't be used on every system",
        LeftOutReason::BeyondLimit => "more than is read",
        LeftOutReason::NotDelivered => "not delivered",
    };
    let example = left.example.as_ref().map(|example| format!(", such as {}", example.for_terminal())).unwrap_or_default();
    terminal::say(format_args!("note: {} left out ({why}{example})", left.count));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn what(paths: &[&str]) -> What {
        What { paths: paths.iter().map(Into::into).collect(), ..What::default() }
    }

    fn revision(text: &str) -> Revision {
        Remote::named(&what(&[text])).unwrap().unwrap().revision
    }

    #[test]
    fn a_repository_is_named_with_or_without_a_state() {
        assert_eq!(Remote::named(&what(&[".", "envs"])).unwrap(), None);
        assert_eq!(Remote::named(&what(&["./github:owner/name"])).unwrap(), None, "a path is a path");
        assert_eq!(revision("github:octo-org/shop"), Revision::DefaultBranch);
        assert_eq!(revision("github:octo-org/shop@release/1.2"), Revision::Branch("release/1.2".parse().unwrap()));
        assert_eq!(revision("github:octo-org/shop@pull/7"), Revision::PullRequest(Count::from(7)));
        let commit = "0123456789abcdef0123456789abcdef01234567";
        assert_eq!(revision(&format!("github:octo-org/shop@{commit}")), Revision::Commit(commit.parse().unwrap()));
    }

    #[test]
    fn fixes_go_into_one_branch() {
        let commit = "0123456789abcdef0123456789abcdef01234567";
        let read = |text: &str, base: Option<&str>| {
            let base: Option<BranchName> = base.map(|base| base.parse().unwrap());
            let remote = Remote::named(&what(&[&format!("github:octo-org/shop{text}")])).unwrap().unwrap();
            remote.into_branch(base.as_ref()).map(|remote| remote.revision).map_err(|error| error.to_string())
        };
        let branch = |name: &str| Ok(Revision::Branch(name.parse().unwrap()));
        assert_eq!(read("", None), Ok(Revision::DefaultBranch));
        assert_eq!(read("", Some("release")), branch("release"));
        assert_eq!(read("@release", None), branch("release"));
        assert_eq!(read("@release", Some("release")), branch("release"));
        assert_eq!(read(&format!("@{commit}"), Some("main")), Ok(Revision::Commit(commit.parse().unwrap())));
        assert!(read("@release", Some("main")).unwrap_err().contains("would bring all of it into `main`"));
        assert!(read("@pull/7", None).unwrap_err().contains("add `--base BRANCH`"));
        assert!(read(&format!("@{commit}"), None).is_err());
    }

    #[test]
    fn what_isnt_one_is_refused_with_its_form() {
        for wrong in [
            "github:",
            "github:shop",
            "github:a/b/c",
            "github:a/..",
            "github:a b/c",
            "github:a/b@",
            "github:a/b@x..y",
            "github:a/b@-x",
            "github:\u{1b}[2J/x",
        ] {
            let error = Remote::named(&what(&[wrong])).unwrap_err().to_string();
            assert!(error.contains(FORM) && !error.contains('\u{1b}'), "{wrong}: {error}");
        }
        assert!(Remote::named(&what(&["github:a/b", "."])).is_err());
        assert!(Remote::named(&what(&["github:a/b", "github:c/d"])).is_err());
        assert!(Remote::named(&What { root: Some(".".into()), ..what(&["github:a/b"]) }).is_err());
    }
}
