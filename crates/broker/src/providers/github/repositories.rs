//! Which repositories there are, and which commit a name means.

use keyblind_intent::{BranchName, CommitId, Owner, Repository, RepositoryName, RepositorySummary, Revision};
use serde::Deserialize;

use super::{Access, Github, GithubError, Identity};
use crate::egress::Authorization;

/// How many repositories are listed.
const MOST: usize = keyblind_intent::limits::LISTED_REPOSITORIES;
const PAGE: usize = 100;
/// How many tags of tags are followed.
const TAGS_OF_TAGS: usize = 4;

/// A list of repositories.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// They.
    pub repositories: Vec<RepositorySummary>,
    /// Whether that is all of them.
    pub is_complete: bool,
}

#[derive(Deserialize)]
struct Described {
    name: String,
    owner: Login,
    private: bool,
    #[serde(default)]
    archived: bool,
    default_branch: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Login {
    pub(super) login: String,
}

#[derive(Deserialize)]
struct OfInstallation {
    repositories: Vec<Described>,
}

#[derive(Deserialize)]
struct Reference {
    object: Object,
}

#[derive(Deserialize)]
struct Object {
    sha: String,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
pub(super) struct Commit {
    pub(super) sha: String,
    pub(super) tree: Sha,
}

#[derive(Deserialize)]
pub(super) struct Sha {
    pub(super) sha: String,
}

impl Github {
    /// The repositories that a token sees. What has a name that we don't take isn't listed, and the list then isn't complete.
    ///
    /// # Errors
    /// See [`GithubError`].
    pub async fn repositories(&self, access: &Access<'_>) -> Result<Listed, GithubError> {
        let bearer = Authorization::Bearer(access.token);
        let mut listed = Listed { repositories: Vec::new(), is_complete: true };
        for page in 1..=MOST / PAGE {
            let of_page = |path: &str| self.api.clone().path(path).query("per_page", "100").query("page", &page.to_string());
            let found = match access.identity {
                Identity::App(_) => self.get::<OfInstallation>(bearer, of_page("/installation/repositories"), 16 << 20).await?.repositories,
                Identity::Person => self.get(bearer, of_page("/user/repos"), 16 << 20).await?,
            };
            let is_last = found.len() < PAGE;
            for described in found {
                match self.summary(described) {
                    Some(summary) => listed.repositories.push(summary),
                    None => listed.is_complete = false,
                }
            }
            if is_last {
                return Ok(listed);
            }
        }
        listed.is_complete = false;
        Ok(listed)
    }

    fn summary(&self, described: Described) -> Option<RepositorySummary> {
        let (owner, name) = (Owner::new(described.owner.login).ok()?, RepositoryName::new(described.name).ok()?);
        Some(RepositorySummary {
            repository: Repository { forge: self.forge.clone(), owner, name },
            private: described.private,
            archived: described.archived,
            default_branch: described.default_branch.and_then(|branch| BranchName::new(branch).ok()),
        })
    }

    /// The commit that a revision means now.
    ///
    /// # Errors
    /// [`GithubError::NotFound`] if there is none.
    pub async fn resolve(&self, access: &Access<'_>, repository: &Repository, revision: &Revision) -> Result<CommitId, GithubError> {
        Ok(self.resolve_branch(access, repository, revision).await?.0)
    }

    /// The commit that a revision means now, and the branch whose newest commit that is: none for a commit or a pull request.
    ///
    /// # Errors
    /// [`GithubError::NotFound`] if there is none.
    pub async fn resolve_branch(
        &self,
        access: &Access<'_>,
        repository: &Repository,
        revision: &Revision,
    ) -> Result<(CommitId, Option<BranchName>), GithubError> {
        let branch = match revision {
            Revision::Commit(commit) => return Ok((commit.clone(), None)),
            Revision::DefaultBranch => {
                let described: Described = self.get(Authorization::Bearer(access.token), self.repository(repository), 1 << 20).await?;
                Some(described.default_branch.and_then(|branch| BranchName::new(branch).ok()).ok_or(GithubError::NotFound)?)
            }
            Revision::Branch(branch) => Some(branch.clone()),
            Revision::PullRequest(_) => None,
            Revision::Named(name) => {
                if let Some(commit) = self.tag(access, repository, name).await? {
                    return Ok((commit, None));
                }
                Some(name.clone())
            }
        };
        let name = match (revision, &branch) {
            (Revision::PullRequest(number), _) => format!("pull/{number}/head"),
            (_, Some(branch)) => format!("heads/{branch}"),
            (_, None) => return Err(GithubError::NotFound),
        };
        let commit = self.head(access, repository, &name).await?.ok_or(GithubError::NotFound)?;
        Ok((commit, branch))
    }

    /// The commit that a tag means, if there is such a tag: one that is annotated is an object of its own.
    async fn tag(&self, access: &Access<'_>, repository: &Repository, name: &BranchName) -> Result<Option<CommitId>, GithubError> {
        let bearer = Authorization::Bearer(access.token);
        let target = self.repository(repository).path("/git/ref/tags").segments(name.as_str());
        let Some(Reference { mut object }) = self.find(bearer, target, 1 << 20).await? else { return Ok(None) };
        for _ in 0..TAGS_OF_TAGS {
            match object.kind.as_str() {
                "commit" => return Ok(Some(commit_id(object.sha)?)),
                "tag" => {
                    let target = self.repository(repository).path("/git/tags").segment(commit_id(object.sha)?.as_str());
                    object = self.get::<Reference>(bearer, target, 1 << 20).await?.object;
                }
                _ => break,
            }
        }
        Err(GithubError::NotFound)
    }

    /// Where a reference points, if it is there.
    pub(super) async fn head(&self, access: &Access<'_>, repository: &Repository, name: &str) -> Result<Option<CommitId>, GithubError> {
        let target = self.repository(repository).path("/git/ref").segments(name);
        let Some(found) = self.find::<Reference>(Authorization::Bearer(access.token), target, 1 << 20).await? else { return Ok(None) };
        if found.object.kind != "commit" {
            return Err(GithubError::NotFound);
        }
        Ok(Some(commit_id(found.object.sha)?))
    }

    pub(super) async fn commit(&self, access: &Access<'_>, repository: &Repository, commit: &CommitId) -> Result<Commit, GithubError> {
        let target = self.repository(repository).path("/git/commits").segment(commit.as_str());
        let found: Commit = self.get(Authorization::Bearer(access.token), target, 1 << 20).await?;
        if found.sha == commit.as_str() { Ok(found) } else { Err(GithubError::NotFound) }
    }
}

/// A full hash that GitHub named.
pub(super) fn commit_id(sha: String) -> Result<CommitId, GithubError> {
    CommitId::new(sha).map_err(|_| GithubError::Egress(crate::egress::EgressError::Unintelligible))
}
