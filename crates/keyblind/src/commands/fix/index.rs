//! Git's index: whether a file is as it was staged, so that what is written over can be had again.
//!
//! Source: git's documentation, "index-format"; versions 2 to 4, with SHA-1 or SHA-256 names.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use sha1::Sha1;
use sha2::{Digest, Sha256};

/// The bytes of an entry before its object's name.
const STAT: usize = 40;
/// The largest index that is read.
const LARGEST: u64 = 512 * 1024 * 1024;

/// How a file stands to the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is what was staged.
    Same,
    /// It was changed since.
    Changed,
    /// Git doesn't know it.
    Untracked,
}

/// The names of staged blobs by path.
#[derive(Debug)]
pub(super) struct Index {
    blobs: BTreeMap<Vec<u8>, Vec<u8>>,
    prefix: String,
}

impl Index {
    /// The index of the repository that a directory lies in; `None` if it lies in none.
    ///
    /// # Errors
    /// Says what is wrong with an index that can't be read.
    pub(super) fn of(directory: &Path) -> Result<Option<Self>, String> {
        let Some(top) = directory.ancestors().find(|folder| folder.join(".git").exists()) else { return Ok(None) };
        let prefix = directory.strip_prefix(top).map(|path| path.to_string_lossy().into_owned()).unwrap_or_default();
        let path = git_directory(&top.join(".git"))?.join("index");
        let Ok(metadata) = fs::metadata(&path) else { return Ok(Some(Self { blobs: BTreeMap::new(), prefix })) };
        if metadata.len() > LARGEST {
            return Err(format!("`{}` is too large", path.display()));
        }
        let bytes = fs::read(&path).map_err(|error| format!("can't read `{}`: {error}", path.display()))?;
        let blobs = parse(&bytes).ok_or_else(|| format!("`{}` isn't an index that can be read", path.display()))?;
        Ok(Some(Self { blobs, prefix }))
    }

    /// How a text stands to what was staged at a path beneath the directory.
    pub(super) fn standing(&self, path: &str, text: &[u8]) -> Standing {
        let path = if self.prefix.is_empty() { path.to_owned() } else { format!("{}/{path}", self.prefix) };
        let Some(name) = self.blobs.get(path.as_bytes()) else { return Standing::Untracked };
        // With `core.autocrlf` git stages line feeds for what has carriage returns on disk.
        let unix: Vec<u8> = String::from_utf8_lossy(text).replace("\r\n", "\n").into_bytes();
        let is_same = [text, &unix].into_iter().any(|text| blob_name(text, name.len()) == *name);
        if is_same { Standing::Same } else { Standing::Changed }
    }
}

/// The directory behind `.git`, which in a worktree is a file that names it.
fn git_directory(git: &Path) -> Result<PathBuf, String> {
    if git.is_dir() {
        return Ok(git.to_owned());
    }
    let text = fs::read_to_string(git).map_err(|error| format!("can't read `{}`: {error}", git.display()))?;
    let target = text.strip_prefix("gitdir:").ok_or_else(|| format!("`{}` doesn't say where the repository is", git.display()))?.trim();
    Ok(git.parent().unwrap_or(Path::new(".")).join(target))
}

fn blob_name(text: &[u8], length: usize) -> Vec<u8> {
    let head = format!("blob {}\0", text.len());
    if length == 32 {
        Sha256::new().chain_update(head.as_bytes()).chain_update(text).finalize().to_vec()
    } else {
        Sha1::new().chain_update(head.as_bytes()).chain_update(text).finalize().to_vec()
    }
}

fn parse(bytes: &[u8]) -> Option<BTreeMap<Vec<u8>, Vec<u8>>> {
    let number = |at: usize| Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    if bytes.get(..4)? != b"DIRC" {
        return None;
    }
    let (version, count) = (number(4)?, number(8)?);
    // Which of the two hashes it is only the end of the file tells: its own digest stands there.
    [20, 32].into_iter().find_map(|length| entries(bytes, version, count, length))
}

fn entries(bytes: &[u8], version: u32, count: u32, hash: usize) -> Option<BTreeMap<Vec<u8>, Vec<u8>>> {
    let body = bytes.get(..bytes.len().checked_sub(hash)?)?;
    let own = &bytes[body.len()..];
    let digest = if hash == 32 { Sha256::digest(body).to_vec() } else { Sha1::digest(body).to_vec() };
    // Git may leave its digest out, and zeros in its place.
    if digest != own && own.iter().any(|byte| *byte != 0) {
        return None;
    }
    let mut found = BTreeMap::new();
    let (mut at, mut previous) = (12, Vec::new());
    for _ in 0..count {
        let name = body.get(at + STAT..at + STAT + hash)?.to_vec();
        let flags = u16::from_be_bytes(body.get(at + STAT + hash..at + STAT + hash + 2)?.try_into().ok()?);
        let extended = usize::from(version >= 3 && flags & 0x4000 != 0) * 2;
        let start = at + STAT + hash + 2 + extended;
        let path = if version == 4 {
            let (dropped, length) = variable(body.get(start..)?)?;
            let suffix = body.get(start + length..)?;
            let end = suffix.iter().position(|byte| *byte == 0)?;
            let mut path: Vec<u8> = previous;
            path.truncate(path.len().checked_sub(dropped)?);
            path.extend_from_slice(&suffix[..end]);
            at = start + length + end + 1;
            path
        } else {
            let end = body.get(start..)?.iter().position(|byte| *byte == 0)?;
            let path = body[start..start + end].to_vec();
            // One to eight zeros fill up to a multiple of eight.
            at += (start + end - at) / 8 * 8 + 8;
            path
        };
        // What is in conflict has stages, none of which is the file.
        if flags & 0x3000 == 0 {
            found.insert(path.clone(), name);
        }
        previous = path;
    }
    Some(found)
}

/// A number as version 4 writes it: how much of the path before is dropped.
fn variable(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut value = 0_usize;
    for (index, byte) in bytes.iter().take(8).enumerate() {
        value = value.checked_shl(7)?.checked_add(usize::from(byte & 0x7f))?;
        if byte & 0x80 == 0 {
            return Some((value, index + 1));
        }
        value = value.checked_add(1)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(path: &str, text: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; STAT];
        bytes.extend(blob_name(text, 20));
        bytes.extend((path.len() as u16).to_be_bytes());
        bytes.extend(path.as_bytes());
        let filled = bytes.len() / 8 * 8 + 8;
        bytes.resize(filled, 0);
        bytes
    }

    fn index(entries: &[(&str, &[u8])]) -> Vec<u8> {
        let mut bytes = b"DIRC".to_vec();
        bytes.extend(2_u32.to_be_bytes());
        bytes.extend((entries.len() as u32).to_be_bytes());
        entries.iter().for_each(|(path, text)| bytes.extend(entry(path, text)));
        bytes.extend(Sha1::digest(&bytes).to_vec());
        bytes
    }

    #[test]
    fn what_was_staged_is_known_by_its_bytes() {
        let blobs = parse(&index(&[("a.tf", b"a\n"), ("sub/b.tf", b"b\n")])).unwrap();
        let index = Index { blobs, prefix: "sub".to_owned() };
        assert_eq!(index.standing("b.tf", b"b\n"), Standing::Same);
        assert_eq!(index.standing("b.tf", b"b\r\n"), Standing::Same);
        assert_eq!(index.standing("b.tf", b"c\n"), Standing::Changed);
        assert_eq!(index.standing("a.tf", b"a\n"), Standing::Untracked);
    }

    #[test]
    fn a_damaged_index_is_refused() {
        let mut bytes = index(&[("a.tf", b"a\n")]);
        for at in 0..bytes.len() {
            bytes[at] ^= 0x55;
            assert!(parse(&bytes).is_none(), "{at}");
            bytes[at] ^= 0x55;
        }
        for length in 0..bytes.len() {
            assert!(parse(&bytes[..length]).is_none());
        }
    }
}
