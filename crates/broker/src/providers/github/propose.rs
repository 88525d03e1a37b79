//! A branch of ours with one commit more, and its pull request.
//!
//! The branch is made where there is none, and otherwise only moved forward: the new commit's first parent is the head that was
//! looked at, so that GitHub refuses the move if somebody pushed meanwhile. A branch with a commit that isn't ours isn't touched, and
//! a pull request that people closed isn't opened again.

use data_encoding::BASE64;
use hyper::Method;
use keyblind_intent::{AttachedFile, Bulk, CommitId, Count, FileMode, ProposalResult, ProposePullRequest, Repository};
use serde::{Deserialize, Serialize};

use super::repositories::{Sha, commit_id};
use super::{Access, Github, GithubError};
use crate::egress::Authorization;

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposed {
    /// The pull request's number.
    pub number: Count,
    /// The head of our branch.
    pub commit: CommitId,
    /// What was done for it.
    pub result: ProposalResult,
    /// Where our branch was before; `None` if it wasn't there.
    pub before: Option<CommitId>,
}

/// That nothing was proposed, or not all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotProposed {
    /// Why.
    pub error: GithubError,
    /// Whether our branch may have moved, or the pull request may be there, all the same.
    pub may_have_happened: bool,
}

/// Until the branch moves nothing has happened: what was made is in no branch.
impl From<GithubError> for NotProposed {
    fn from(error: GithubError) -> Self {
        Self { error, may_have_happened: false }
    }
}

impl NotProposed {
    fn after_the_move(error: GithubError) -> Self {
        Self { error, may_have_happened: true }
    }
}

#[derive(Serialize)]
struct NewBlob {
    content: String,
    encoding: &'static str,
}

#[derive(Serialize)]
struct NewTree<'a> {
    base_tree: &'a str,
    tree: Vec<NewNode<'a>>,
}

#[derive(Serialize)]
struct NewNode<'a> {
    path: &'a str,
    mode: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
    sha: String,
}

#[derive(Serialize)]
struct NewCommit<'a> {
    message: &'a str,
    tree: &'a str,
    parents: Vec<&'a str>,
}

#[derive(Serialize)]
struct NewReference<'a> {
    #[serde(rename = "ref")]
    name: String,
    sha: &'a str,
}

#[derive(Serialize)]
struct Move<'a> {
    sha: &'a str,
    force: bool,
}

#[derive(Serialize)]
struct NewPull<'a> {
    title: &'a str,
    head: &'a str,
    base: &'a str,
    body: &'a str,
    maintainer_can_modify: bool,
}

#[derive(Serialize)]
struct Rewritten<'a> {
    title: &'a str,
    body: &'a str,
}

/// A file with its new contents.
type Change<'a> = (&'a AttachedFile, &'a [u8]);

/// Each file's part of the contents, if they are what was announced.
fn parts<'a>(request: &'a ProposePullRequest, contents: &'a [u8]) -> Result<Vec<Change<'a>>, GithubError> {
    if Bulk::of(contents) != request.contents {
        return Err(GithubError::Contents);
    }
    let mut rest = contents;
    let mut changes = Vec::new();
    for file in &request.files {
        let length = usize::try_from(file.after.bytes.get()).map_err(|_| GithubError::Contents)?;
        let (part, after) = rest.split_at_checked(length).ok_or(GithubError::Contents)?;
        if Bulk::of(part) != file.after {
            return Err(GithubError::Contents);
        }
        changes.push((file, part));
        rest = after;
    }
    if rest.is_empty() { Ok(changes) } else { Err(GithubError::Contents) }
}

/// Makes text that others wrote harmless where GitHub reads commands out of text: mentions, references to issues (`fixes #1`
/// closes one), and words that switch off checks.
pub(super) fn inert(text: &str) -> String {
    let mut shown = String::with_capacity(text.len() + 64);
    let lower = text.to_ascii_lowercase();
    let words = ["skip ci]", "ci skip]", "no ci]", "skip actions]", "actions skip]"];
    for (at, character) in text.char_indices() {
        shown.push(character);
        let next = text[at + character.len_utf8()..].chars().next();
        let breaks = match character {
            '@' => next.is_some_and(char::is_alphanumeric),
            '#' => next.is_some_and(|next| next.is_ascii_digit()),
            '[' => words.iter().any(|word| lower[at + 1..].starts_with(word)),
            // Text that is read as HTML afterwards shows these as what they stand for.
            '&' => ["&commat;", "&num;", "&#x"].iter().any(|entity| lower[at..].starts_with(entity)),
            _ => lower[at..].starts_with("gh-") && lower[at + 3..].starts_with(|next: char| next.is_ascii_digit()),
        };
        if breaks {
            shown.push('\u{200b}');
        }
    }
    shown
}

impl Github {
    /// Opens the pull request, or brings ours up to date.
    ///
    /// # Errors
    /// See [`NotProposed`].
    pub async fn propose(&self, access: &Access<'_>, request: &ProposePullRequest, contents: &[u8]) -> Result<Proposed, NotProposed> {
        let changes = parts(request, contents)?;
        let repository = &request.repository;
        let pulls = self.pulls(access, request).await?;
        if pulls.closed {
            return Err(GithubError::SaidNo.into());
        }
        let base = self.commit(access, repository, &request.base_commit).await?;
        self.scanned(access, request, &base).await?;
        let before = self.head(access, repository, &format!("heads/{}", request.branch)).await?;
        let fork = match &before {
            Some(head) => self.check_ours(access, repository, &request.base_commit, head).await?,
            None => request.base_commit.clone(),
        };
        let tree = self.make_tree(access, repository, &base.tree.sha, &changes).await?;
        let unchanged = match &before {
            Some(head) if fork == request.base_commit => self.commit(access, repository, head).await?.tree.sha == tree,
            _ => false,
        };
        let commit = match &before {
            Some(head) if unchanged => head.clone(),
            _ => self.make_commit(access, request, &tree, before.as_ref(), &fork).await?,
        };
        if !unchanged {
            let moved = self.move_branch(access, request, before.as_ref(), &commit).await;
            moved.map_err(|error| NotProposed { error, may_have_happened: error.may_have_happened() })?;
        }
        let (title, body) = (inert(request.title.as_str()), inert(request.explanation.as_str()));
        let (number, rewritten) = match pulls.open {
            Some(open) => {
                let differs = open.title != title || open.body.as_deref().unwrap_or_default() != body;
                if differs {
                    let target = self.repository(repository).segment("pulls").segment(&open.number.to_string());
                    let bearer = Authorization::Bearer(access.token);
                    let rewritten = Rewritten { title: &title, body: &body };
                    let written = self.write::<serde::de::IgnoredAny>(Method::PATCH, bearer, target, &rewritten).await;
                    written.map_err(NotProposed::after_the_move)?;
                }
                (open.number, Some(differs))
            }
            None => (self.open_pull(access, request, &title, &body).await.map_err(NotProposed::after_the_move)?, None),
        };
        let result = match rewritten {
            None => ProposalResult::Opened,
            Some(false) if unchanged => ProposalResult::Unchanged,
            Some(_) => ProposalResult::Updated,
        };
        Ok(Proposed { number: Count::saturating(number), commit, result, before })
    }

    async fn make_tree(
        &self,
        access: &Access<'_>,
        repository: &Repository,
        base: &str,
        changes: &[Change<'_>],
    ) -> Result<String, GithubError> {
        let mut nodes = Vec::new();
        for (file, contents) in changes {
            let blob = NewBlob { content: BASE64.encode(contents), encoding: "base64" };
            let target = self.repository(repository).path("/git/blobs");
            let made: Sha = self.write(Method::POST, Authorization::Bearer(access.token), target, &blob).await?;
            if super::tree::blob_hash(contents, &made.sha) != made.sha {
                return Err(GithubError::Egress(crate::egress::EgressError::Unintelligible));
            }
            let mode = match file.mode {
                FileMode::Plain => "100644",
                FileMode::Executable => "100755",
            };
            nodes.push(NewNode { path: file.path.as_str(), mode, kind: "blob", sha: made.sha });
        }
        let target = self.repository(repository).path("/git/trees");
        let tree = NewTree { base_tree: base, tree: nodes };
        Ok(self.write::<Sha>(Method::POST, Authorization::Bearer(access.token), target, &tree).await?.sha)
    }

    async fn make_commit(
        &self,
        access: &Access<'_>,
        request: &ProposePullRequest,
        tree: &str,
        before: Option<&CommitId>,
        fork: &CommitId,
    ) -> Result<CommitId, GithubError> {
        // The head first: the branch moves forward. The base as well, if the branch began somewhere else.
        let mut parents: Vec<&str> = before.iter().map(|head| head.as_str()).collect();
        if before.is_none() || *fork != request.base_commit {
            parents.push(request.base_commit.as_str());
        }
        let commit = NewCommit { message: &inert(request.title.as_str()), tree, parents };
        let target = self.repository(&request.repository).path("/git/commits");
        let made: Sha = self.write(Method::POST, Authorization::Bearer(access.token), target, &commit).await?;
        commit_id(made.sha)
    }

    async fn move_branch(
        &self,
        access: &Access<'_>,
        request: &ProposePullRequest,
        before: Option<&CommitId>,
        commit: &CommitId,
    ) -> Result<(), GithubError> {
        let bearer = Authorization::Bearer(access.token);
        let target = self.repository(&request.repository).path("/git/refs");
        let moved = match before {
            None => {
                let reference = NewReference { name: format!("refs/heads/{}", request.branch), sha: commit.as_str() };
                self.write::<serde::de::IgnoredAny>(Method::POST, bearer, target, &reference).await
            }
            Some(_) => {
                let target = target.segment("heads").segments(request.branch.as_str());
                self.write::<serde::de::IgnoredAny>(Method::PATCH, bearer, target, &Move { sha: commit.as_str(), force: false }).await
            }
        };
        match moved {
            Ok(_) => Ok(()),
            // It is there now, or isn't where it was.
            Err(GithubError::Rejected { status: 422 }) => Err(GithubError::Conflict),
            Err(error) => Err(error),
        }
    }

    async fn open_pull(&self, access: &Access<'_>, request: &ProposePullRequest, title: &str, body: &str) -> Result<u64, GithubError> {
        #[derive(Deserialize)]
        struct Opened {
            number: u64,
        }
        let (head, base) = (request.branch.as_str(), request.base.as_str());
        let pull = NewPull { title, head, base, body, maintainer_can_modify: true };
        let target = self.repository(&request.repository).segment("pulls");
        match self.write::<Opened>(Method::POST, Authorization::Bearer(access.token), target, &pull).await {
            Ok(opened) => Ok(opened.number),
            // Somebody else opened one meanwhile.
            Err(GithubError::Rejected { status: 422 }) => Err(GithubError::Conflict),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_gives_github_no_commands() {
        let cases = [
            ("fixes #12 for @octocat", "fixes #\u{200b}12 for @\u{200b}octocat"),
            ("acme/infra#7, GH-3", "acme/infra#\u{200b}7, G\u{200b}H-3"),
            ("Close the bucket [Skip CI]", "Close the bucket [\u{200b}Skip CI]"),
            ("a@b, é@é, # heading, [link](x)", "a@\u{200b}b, é@\u{200b}é, # heading, [link](x)"),
            ("&commat;ada, &#64;ada", "&\u{200b}commat;ada, &#\u{200b}64;ada"),
            ("", ""),
        ];
        for (text, shown) in cases {
            assert_eq!(inert(text), shown, "{text}");
        }
    }
}
