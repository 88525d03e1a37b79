//! A repository at a forge, read through the broker: what `github:owner/name` names.

use std::path::Path;

use keyblind_intent::{
    Answer, BranchName, CommitId, Count, Intent, LeftOut, LeftOutReason, Outcome, ReadRepository, Repository, Request, Revision,
};

use crate::arguments::{Global, What};
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

    /// Reads it, and hands its archive over.
    ///
    /// # Errors
    /// If the broker doesn't read it, or `then` fails.
    pub(super) fn read<T>(self, global: Global, then: impl FnOnce(&Path) -> anyhow::Result<T>) -> anyhow::Result<T> {
        let mut broker = Broker::connect()?;
        let request = ReadRepository { repository: self.repository, revision: self.revision };
        match broker.ask(&Request::Intent(Intent::ReadRepository(request)))? {
            Answer::Outcome(Outcome::RepositoryRead { repository, commit, files, left_out: left, .. }) => {
                if !global.quiet {
                    terminal::say(format_args!("note: {repository} at {commit}: {files} files"));
                    left.iter().for_each(say_left_out);
                }
                then(broker.file())
            }
            Answer::Outcome(outcome) => Err(unwelcome(&outcome)),
            Answer::Report(report) => anyhow::bail!("the broker answered something else than was asked ({report:?})"),
        }
    }
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
