//! A repository's files at one commit, as an uncompressed tar of regular files.
//!
//! What git holds is read from the tree itself; the tarball is only a fast way to get the bytes. Each file that comes in it is
//! compared with the hash that the tree has, because archives aren't faithful: `.gitattributes` can leave files out of them
//! (`export-ignore`) or change them (`export-subst`), and whoever writes to the repository could hide something from a scan that
//! way. What is missing or different is fetched by its hash.

use data_encoding::{BASE64, HEXLOWER};
use std::collections::BTreeMap;
use std::io::{self, Read as _, Write};

use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY, SHA256};
use flate2::read::GzDecoder;
use hyper::Method;
use keyblind_intent::{CommitId, LeftOut, LeftOutReason, Repository, RepositoryPath};
use serde::Deserialize;
use tokio::sync::mpsc;

use super::pace::Pacing;
use super::{Access, Github, GithubError};
use crate::egress::{Authorization, EgressError};
use crate::providers::archive::{Reader, Writer};
use crate::providers::pieces::{Omissions, Pieces};

/// Repositories with fewer files are fetched file by file: a tarball costs two requests at another host.
const FEW_FILES: usize = 3;
/// How many trees are asked for where one answer doesn't hold them all.
const MOST_TREES: usize = 20_000;
/// How many files are fetched one by one beside the tarball.
const MOST_SINGLE: usize = 2_000;
/// How long a tarball may take.
const TARBALL_SECONDS: u64 = 600;
/// The largest pointer of large file storage, by its own specification.
const LONGEST_POINTER: usize = 1_024;

/// How much is fetched.
#[derive(Clone, Copy, Debug)]
pub struct TreeLimits {
    /// How many entries a tree may have.
    pub entries: usize,
    /// How many bytes all files may have together.
    pub bytes: u64,
    /// How many bytes one file may have; larger ones are left out.
    pub file_bytes: u64,
}

impl Default for TreeLimits {
    fn default() -> Self {
        Self { entries: 100_000, bytes: 1 << 30, file_bytes: 16 << 20 }
    }
}

/// What was fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// How many files are in the archive.
    pub files: u64,
    /// What isn't in it, and why.
    pub left_out: Vec<LeftOut>,
}

#[derive(Deserialize)]
struct Tree {
    tree: Vec<Node>,
    #[serde(default)]
    truncated: bool,
}

#[derive(Deserialize)]
struct Node {
    path: String,
    mode: String,
    #[serde(rename = "type")]
    kind: String,
    sha: String,
    size: Option<u64>,
}

#[derive(Deserialize)]
struct Blob {
    content: String,
    encoding: String,
}

/// A file that is wanted.
struct Wanted {
    sha: String,
    size: u64,
    executable: bool,
}

/// A blob's hash, as git makes it: SHA-1, or SHA-256 in repositories that use it.
pub(super) fn blob_hash(contents: &[u8], like: &str) -> String {
    let algorithm = if like.len() == 64 { &SHA256 } else { &SHA1_FOR_LEGACY_USE_ONLY };
    let mut context = Context::new(algorithm);
    context.update(format!("blob {}\0", contents.len()).as_bytes());
    context.update(contents);
    HEXLOWER.encode(context.finish().as_ref())
}

impl Github {
    /// Fetches a repository's files at a commit into `archive`. Links, submodules, pointers to large file storage and what is too
    /// large are left out, and said to be.
    ///
    /// # Errors
    /// See [`GithubError`]; what was written until then is no archive.
    pub async fn fetch_tree<W: Write + Send + 'static>(
        &self,
        access: &Access<'_>,
        repository: &Repository,
        commit: &CommitId,
        limits: TreeLimits,
        archive: W,
    ) -> Result<(Fetched, W), GithubError> {
        let tree = self.commit(access, repository, commit).await?.tree.sha;
        let mut omissions = Omissions::default();
        let wanted = self.list(access, repository, &tree, limits, &mut omissions).await?;
        let mut writer = Archive { writer: Writer::new(archive), wanted, omissions, files: 0 };
        if writer.wanted.len() > FEW_FILES {
            writer = self.unpack_tarball(access, repository, commit, limits, writer).await?;
        }
        let missing: Vec<(String, String)> = writer.wanted.iter().map(|(path, wanted)| (path.clone(), wanted.sha.clone())).collect();
        for (index, (path, sha)) in missing.into_iter().enumerate() {
            if index >= MOST_SINGLE {
                writer.omissions.add(LeftOutReason::NotDelivered, &path);
                continue;
            }
            let contents = self.blob(access, repository, &sha, limits.file_bytes).await?;
            if !writer.take(&path, &contents).map_err(|_| GithubError::Storage)? {
                return Err(EgressError::Unintelligible.into());
            }
        }
        let Archive { writer, omissions, files, .. } = writer;
        let archive = writer.finish().map_err(|_| GithubError::Storage)?;
        Ok((Fetched { files, left_out: omissions.list() }, archive))
    }

    /// All files of a tree. Where one answer doesn't hold them all, the trees are walked.
    async fn list(
        &self,
        access: &Access<'_>,
        repository: &Repository,
        tree: &str,
        limits: TreeLimits,
        omissions: &mut Omissions,
    ) -> Result<BTreeMap<String, Wanted>, GithubError> {
        let bearer = Authorization::Bearer(access.token);
        let place = self.repository(repository).path("/git/trees");
        let whole: Tree = self.get(bearer, place.clone().segment(tree).query("recursive", "1"), 64 << 20).await?;
        let mut listing = Listing { wanted: BTreeMap::new(), entries: 0, bytes: 0, limits };
        if !whole.truncated {
            for node in whole.tree {
                listing.add(node, "", omissions)?;
            }
            return Ok(listing.wanted);
        }
        let mut open = vec![(tree.to_owned(), String::new())];
        let mut asked = 0;
        while let Some((sha, prefix)) = open.pop() {
            asked += 1;
            if asked > MOST_TREES {
                return Err(GithubError::BeyondLimit);
            }
            let part: Tree = self.get(bearer, place.clone().segment(&sha), 64 << 20).await?;
            if part.truncated {
                return Err(GithubError::BeyondLimit);
            }
            for node in part.tree {
                if node.kind == "tree" {
                    open.push((node.sha.clone(), format!("{prefix}{}/", node.path)));
                }
                listing.add(node, &prefix, omissions)?;
            }
        }
        Ok(listing.wanted)
    }

    pub(super) async fn blob(&self, access: &Access<'_>, repository: &Repository, sha: &str, most: u64) -> Result<Vec<u8>, GithubError> {
        let target = self.repository(repository).path("/git/blobs").segment(sha);
        // Base64 with line breaks, and what stands around it.
        let room = usize::try_from(most / 3 * 4 + most / 32).unwrap_or(usize::MAX).saturating_add(64 * 1024);
        let blob: Blob = self.get(Authorization::Bearer(access.token), target, room).await?;
        let text: String = blob.content.split_ascii_whitespace().collect();
        let contents = if blob.encoding == "base64" { BASE64.decode(text.as_bytes()).ok() } else { None };
        contents.filter(|contents| blob_hash(contents, sha) == sha).ok_or_else(|| EgressError::Unintelligible.into())
    }

    /// Takes what fits out of the tarball.
    async fn unpack_tarball<W: Write + Send + 'static>(
        &self,
        access: &Access<'_>,
        repository: &Repository,
        commit: &CommitId,
        limits: TreeLimits,
        mut writer: Archive<W>,
    ) -> Result<Archive<W>, GithubError> {
        let target = self.repository(repository).path("/tarball").segment(commit.as_str());
        let turn = self.pace.turn(Pacing::Read).await?;
        let call = self.prepared(Method::GET, Authorization::Bearer(access.token), target);
        // GitHub answers with a link to another host, which must not get the token.
        let mut incoming = self.egress.open(call.following(1).within(std::time::Duration::from_secs(TARBALL_SECONDS))).await?;
        if !incoming.status().is_success() {
            let answer = incoming.read(64 * 1024).await?;
            self.pace.heed(Pacing::Read, &answer, self.clock.now());
            // The files can still be had one by one.
            return Ok(writer);
        }
        let (sender, receiver) = mpsc::channel(16);
        let unpacking = tokio::task::spawn_blocking(move || {
            let source = GzDecoder::new(Pieces::new(receiver));
            // Room for what is left out, for folders and headers; a bomb ends here.
            let most = limits.bytes.saturating_mul(4).saturating_add(1 << 30);
            let mut reader = Reader::new(source.take(most), limits.file_bytes);
            // An archive that can't be read to its end has given what it could: the rest is fetched one by one.
            while let Ok(Some(entry)) = reader.next() {
                if let (Some(path), Some(contents)) = (entry.path, entry.contents) {
                    writer.take(&path, &contents)?;
                }
            }
            io::Result::Ok(writer)
        });
        while let Ok(Some(piece)) = incoming.chunk().await {
            if sender.send(piece).await.is_err() {
                break;
            }
        }
        drop((sender, incoming, turn));
        unpacking.await.map_err(|_| GithubError::Storage)?.map_err(|_| GithubError::Storage)
    }
}

/// Files that are wanted, within limits.
struct Listing {
    wanted: BTreeMap<String, Wanted>,
    entries: usize,
    bytes: u64,
    limits: TreeLimits,
}

impl Listing {
    fn add(&mut self, node: Node, prefix: &str, omissions: &mut Omissions) -> Result<(), GithubError> {
        self.entries += 1;
        if self.entries > self.limits.entries {
            return Err(GithubError::BeyondLimit);
        }
        if node.kind == "tree" {
            return Ok(());
        }
        let (path, size) = (format!("{prefix}{}", node.path), node.size.unwrap_or_default());
        if let Some(reason) = self.unwanted(&node, &path, size) {
            omissions.add(reason, &path);
            return Ok(());
        }
        // It goes into an address.
        if !matches!(node.sha.len(), 40 | 64) || !node.sha.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(EgressError::Unintelligible.into());
        }
        self.bytes += size;
        self.wanted.insert(path, Wanted { sha: node.sha, size, executable: node.mode == "100755" });
        Ok(())
    }

    /// Why an entry isn't wanted, if it isn't.
    fn unwanted(&self, node: &Node, path: &str, size: u64) -> Option<LeftOutReason> {
        match (node.kind.as_str(), node.mode.as_str()) {
            ("commit", _) => Some(LeftOutReason::Submodule),
            (_, "120000") => Some(LeftOutReason::Link),
            _ if RepositoryPath::new(path).is_err() => Some(LeftOutReason::UnusablePath),
            _ if size > self.limits.file_bytes => Some(LeftOutReason::TooLarge),
            _ if self.bytes.saturating_add(size) > self.limits.bytes => Some(LeftOutReason::BeyondLimit),
            _ => None,
        }
    }
}

/// The archive that is made, and what is still missing from it.
struct Archive<W> {
    writer: Writer<W>,
    wanted: BTreeMap<String, Wanted>,
    omissions: Omissions,
    files: u64,
}

impl<W: Write> Archive<W> {
    /// Takes a file, if it is wanted and what git has. Says whether it was.
    fn take(&mut self, path: &str, contents: &[u8]) -> io::Result<bool> {
        let fits = |wanted: &Wanted| wanted.size == contents.len() as u64 && blob_hash(contents, &wanted.sha) == wanted.sha;
        if !self.wanted.get(path).is_some_and(fits) {
            return Ok(false);
        }
        let wanted = self.wanted.remove(path);
        if contents.len() <= LONGEST_POINTER && contents.starts_with(b"version https://git-lfs.github.com/spec/v1\n") {
            self.omissions.add(LeftOutReason::LargeFileStorage, path);
            return Ok(true);
        }
        self.writer.file(path, wanted.is_some_and(|wanted| wanted.executable), contents)?;
        self.files += 1;
        Ok(true)
    }
}
