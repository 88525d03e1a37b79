//! Names of commits.
//!
//! Source: gitrevisions(7). Understood are ids (whole or abbreviated), branches, tags, remote branches and `HEAD`, each with
//! any number of `~N` and `^N` behind it.

use std::collections::{HashMap, VecDeque};
use std::sync::PoisonError;

use gix_hash::{ObjectId, Prefix};
use gix_object::{FindExt, Kind};
use gix_ref::file::ReferenceExt;

use crate::{CommitId, GitError, Repository, broken};

/// Most commits that are looked at for a common ancestor.
const MOST_COMMITS: usize = 1_000_000;
/// Most generations that a name may go back.
const MOST_GENERATIONS: usize = 1_000_000;

impl Repository {
    /// The commit of a name.
    ///
    /// # Errors
    /// If there is no such commit, or it can't be read.
    pub fn commit(&self, name: &str) -> Result<CommitId, GitError> {
        let unknown = || GitError::NoCommit(name.to_owned());
        let base = name.find(['~', '^']).map_or(name, |at| &name[..at]);
        let mut id = self.named(if base == "@" { "HEAD" } else { base }).ok_or_else(unknown)?;
        let mut rest = &name[base.len()..];
        while let Some(operator) = rest.chars().next() {
            rest = &rest[1..];
            let digits = rest.len() - rest.trim_start_matches(|digit: char| digit.is_ascii_digit()).len();
            let number: usize = if digits == 0 { 1 } else { rest[..digits].parse().map_err(|_| unknown())? };
            rest = &rest[digits..];
            match operator {
                '~' if number <= MOST_GENERATIONS => {
                    for _ in 0..number {
                        id = *self.parents(id)?.first().ok_or_else(unknown)?;
                    }
                }
                '^' if number == 0 => {}
                '^' => id = *self.parents(id)?.get(number - 1).ok_or_else(unknown)?,
                _ => return Err(unknown()),
            }
        }
        // What is named may be a file.
        self.parents(id).map_err(|_| unknown())?;
        Ok(CommitId(id))
    }

    /// The last commit that two have in common: what one branch was made from the other at.
    ///
    /// # Errors
    /// If they have none, or a commit can't be read.
    pub fn merge_base(&self, one: CommitId, other: CommitId) -> Result<CommitId, GitError> {
        // Both sides are walked in turn, so that what they have in common is met near where they part.
        let mut sides: HashMap<ObjectId, u8> = HashMap::new();
        let mut open = VecDeque::from([(one.0, 1_u8), (other.0, 2)]);
        while let Some((id, side)) = open.pop_front() {
            let seen = sides.entry(id).or_default();
            if *seen & side == side {
                continue;
            }
            *seen |= side;
            if *seen == 3 {
                return Ok(CommitId(id));
            }
            if sides.len() > MOST_COMMITS {
                break;
            }
            // A shallow clone ends somewhere.
            open.extend(self.parents(id).unwrap_or_default().into_iter().map(|parent| (parent, side)));
        }
        Err(GitError::NoMergeBase(one.to_string(), other.to_string()))
    }

    /// The object of a reference or an id, tags followed.
    fn named(&self, name: &str) -> Option<ObjectId> {
        if name.is_empty() {
            return None;
        }
        let objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok(Some(mut reference)) = self.refs.try_find(name) {
            return reference.peel_to_id(&self.refs, &*objects).ok();
        }
        let prefix = Prefix::from_hex(name).ok()?;
        let mut id = objects.lookup_prefix(prefix, None).ok()??.ok()?;
        let mut buffer = Vec::new();
        // A tag names another object, mostly a commit.
        for _ in 0..16 {
            match objects.find(&id, &mut buffer).ok()?.kind {
                Kind::Tag => id = objects.find_tag(&id, &mut buffer).ok()?.target(),
                _ => return Some(id),
            }
        }
        None
    }

    fn parents(&self, id: ObjectId) -> Result<Vec<ObjectId>, GitError> {
        let mut buffer = Vec::new();
        let objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        let commit = objects.find_commit(&id, &mut buffer).map_err(|error| broken(id, &error))?;
        Ok(commit.parents().collect())
    }
}
