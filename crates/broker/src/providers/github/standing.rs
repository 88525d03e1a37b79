//! What a change of a repository would be made on: looked at before people are asked, and again before it is made.

use std::collections::BTreeMap;

use keyblind_intent::{AttachedFile, CommitId, Digest, ProposePullRequest, Repository, Revision};
use serde::{Deserialize, Serialize};

use super::repositories::{Commit, Login, Sha, commit_id};
use super::{Access, Github, GithubError, Identity};
use crate::egress::Authorization;

/// How many commits our branch may be ahead: what doesn't fit in one answer isn't looked at, and so isn't ours.
const MOST_COMMITS: usize = 250;

/// What a pull request would be proposed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The digest of all that matters: our branch's head, and what git keeps of each file.
    pub state: Digest,
    /// Where our branch is; `None` if it isn't there.
    pub branch: Option<CommitId>,
    /// The contents that the files have.
    pub contents: Vec<Vec<u8>>,
}

/// The files as they were scanned.
pub(super) struct Scanned {
    nodes: BTreeMap<String, TreeNode>,
    contents: Vec<Vec<u8>>,
}

/// The pull requests of our branch.
pub(super) struct Pulls {
    /// The open one.
    pub(super) open: Option<Pull>,
    /// Whether people closed one.
    pub(super) closed: bool,
}

/// What the digest of a state is made of.
#[derive(Serialize)]
struct State<'a> {
    branch: Option<&'a CommitId>,
    files: BTreeMap<&'a str, (&'a str, &'a str)>,
}

#[derive(Deserialize)]
struct Comparison {
    total_commits: usize,
    commits: Vec<Listed>,
    merge_base_commit: Sha,
}

#[derive(Deserialize)]
struct Listed {
    author: Option<Login>,
    committer: Option<Login>,
}

#[derive(Deserialize)]
pub(super) struct Pull {
    pub(super) number: u64,
    pub(super) title: String,
    pub(super) body: Option<String>,
    merged_at: Option<String>,
    head: PullEnd,
    base: PullEnd,
    state: String,
}

#[derive(Deserialize)]
struct PullEnd {
    #[serde(rename = "ref")]
    name: String,
}

#[derive(Deserialize)]
struct TreeListing {
    tree: Vec<TreeNode>,
}

#[derive(Clone, Deserialize)]
pub(super) struct TreeNode {
    path: String,
    mode: String,
    #[serde(rename = "type")]
    kind: String,
    sha: String,
}

impl Github {
    /// Looks at what a pull request would be proposed on.
    ///
    /// # Errors
    /// [`GithubError::SaidNo`], [`GithubError::WrittenByPeople`] or [`GithubError::StaleState`] if it wouldn't be proposed; see
    /// [`GithubError`] for the others.
    pub async fn standing(&self, access: &Access<'_>, request: &ProposePullRequest) -> Result<Standing, GithubError> {
        let repository = &request.repository;
        if self.pulls(access, request).await?.closed {
            return Err(GithubError::SaidNo);
        }
        let base = self.commit(access, repository, &request.base_commit).await?;
        let scanned = self.scanned(access, request, &base).await?;
        let branch = self.head(access, repository, &format!("heads/{}", request.branch)).await?;
        if let Some(head) = &branch {
            self.check_ours(access, repository, &request.base_commit, head).await?;
        }
        let files = scanned.nodes.iter().map(|(path, node)| (path.as_str(), (node.mode.as_str(), node.sha.as_str()))).collect();
        let state = keyblind_intent::canonical(&State { branch: branch.as_ref(), files }).map_err(|_| GithubError::BeyondLimit)?;
        Ok(Standing { state: Digest::of(&state), branch, contents: scanned.contents })
    }

    /// The commit that a remark would be made at: one that is there.
    ///
    /// # Errors
    /// [`GithubError::NotFound`] if it isn't.
    pub async fn standing_commit(
        &self,
        access: &Access<'_>,
        repository: &Repository,
        revision: &Revision,
    ) -> Result<CommitId, GithubError> {
        let commit = self.resolve(access, repository, revision).await?;
        self.commit(access, repository, &commit).await?;
        Ok(commit)
    }

    /// The pull requests of our branch into that base: the open one, and whether people closed one.
    pub(super) async fn pulls(&self, access: &Access<'_>, request: &ProposePullRequest) -> Result<Pulls, GithubError> {
        let head = format!("{}:{}", request.repository.owner, request.branch);
        let target = self.repository(&request.repository).segment("pulls");
        let target = target.query("state", "all").query("head", &head).query("base", request.base.as_str()).query("per_page", "100");
        // One that can't be read is an error: it may be people's "no".
        let found: Vec<Pull> = self.get(Authorization::Bearer(access.token), target, 32 << 20).await?;
        // A filter that isn't understood is a filter that isn't there.
        let is_ours = |pull: &Pull| pull.head.name == request.branch.as_str() && pull.base.name == request.base.as_str();
        let found: Vec<Pull> = found.into_iter().filter(is_ours).collect();
        let closed = found.iter().any(|pull| pull.state == "closed" && pull.merged_at.is_none());
        let open = found.into_iter().find(|pull| pull.state == "open");
        Ok(Pulls { open, closed })
    }

    /// The files as they were scanned, if they are what the change was made for: at the commit that was scanned, and still at the base's
    /// head.
    pub(super) async fn scanned(&self, access: &Access<'_>, request: &ProposePullRequest, base: &Commit) -> Result<Scanned, GithubError> {
        let repository = &request.repository;
        let head = self.head(access, repository, &format!("heads/{}", request.base)).await?.ok_or(GithubError::NotFound)?;
        let nodes = self.nodes(access, repository, &base.tree.sha, &request.files).await?;
        let mut contents = Vec::new();
        for file in &request.files {
            match (&file.before, nodes.get(file.path.as_str())) {
                (None, None) => {}
                (Some(before), Some(node)) if node.is_file() => {
                    let found = self.blob(access, repository, &node.sha, keyblind_intent::limits::ATTACHED_BYTES).await?;
                    if Digest::of(&found) != *before {
                        return Err(GithubError::StaleState);
                    }
                    contents.push(found);
                }
                _ => return Err(GithubError::StaleState),
            }
        }
        let is_same = head == request.base_commit || {
            let tree = self.commit(access, repository, &head).await?.tree.sha;
            self.nodes(access, repository, &tree, &request.files).await? == nodes
        };
        if is_same { Ok(Scanned { nodes, contents }) } else { Err(GithubError::StaleState) }
    }

    /// The entries of these files in a tree, found folder by folder.
    async fn nodes(
        &self,
        access: &Access<'_>,
        repository: &Repository,
        tree: &str,
        files: &[AttachedFile],
    ) -> Result<BTreeMap<String, TreeNode>, GithubError> {
        let mut folders: BTreeMap<String, Vec<TreeNode>> = BTreeMap::new();
        let mut found = BTreeMap::new();
        for file in files {
            let mut sha = tree.to_owned();
            let mut parts = file.path.parts().peekable();
            while let Some(part) = parts.next() {
                if !folders.contains_key(&sha) {
                    let target = self.repository(repository).path("/git/trees").segment(&sha);
                    let listing: TreeListing = self.get(Authorization::Bearer(access.token), target, 64 << 20).await?;
                    folders.insert(sha.clone(), listing.tree);
                }
                let Some(node) = folders[&sha].iter().find(|node| node.path == part) else { break };
                if parts.peek().is_none() {
                    found.insert(file.path.to_string(), node.clone());
                } else if node.kind == "tree" {
                    sha = node.sha.clone();
                } else {
                    // A file, a link or a submodule where a folder should be.
                    return Err(GithubError::StaleState);
                }
            }
        }
        Ok(found)
    }

    /// Whether all commits of our branch are ours; gives where it left the base.
    pub(super) async fn check_ours(
        &self,
        access: &Access<'_>,
        repository: &Repository,
        base: &CommitId,
        head: &CommitId,
    ) -> Result<CommitId, GithubError> {
        let target = self.repository(repository).segment("compare").segment(&format!("{base}...{head}"));
        let comparison: Comparison = self.get(Authorization::Bearer(access.token), target, 64 << 20).await?;
        let is_whole = comparison.total_commits == comparison.commits.len() && comparison.total_commits <= MOST_COMMITS;
        let is_ours = match access.identity {
            Identity::App(slug) => {
                let bot = format!("{slug}[bot]");
                // GitHub itself is the committer of what it signs.
                let is = |login: &Option<Login>, names: &[&str]| login.as_ref().is_some_and(|login| names.contains(&login.login.as_str()));
                comparison.commits.iter().all(|commit| is(&commit.author, &[&bot]) && is(&commit.committer, &[&bot, "web-flow"]))
            }
            // A person's own commits can't be told from those that we made as her.
            Identity::Person => comparison.commits.is_empty(),
        };
        if is_whole && is_ours { commit_id(comparison.merge_base_commit.sha) } else { Err(GithubError::WrittenByPeople) }
    }
}

impl PartialEq for TreeNode {
    fn eq(&self, other: &Self) -> bool {
        (&self.mode, &self.kind, &self.sha) == (&other.mode, &other.kind, &other.sha)
    }
}

impl TreeNode {
    fn is_file(&self) -> bool {
        self.kind == "blob" && matches!(self.mode.as_str(), "100644" | "100755")
    }
}
