//! An archive from elsewhere into one of ours, and the digest of its files.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write as _};

use aws_lc_rs::digest::{Context, SHA256, digest};
use bytes::Bytes;
use data_encoding::HEXLOWER;
use flate2::read::GzDecoder;
use keyblind_intent::{Digest, LeftOut, LeftOutReason, RepositoryPath};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::ModuleError;
use crate::providers::archive::{Reader, Writer};
use crate::providers::pieces::{Omissions, Pieces};

/// How much a module may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModuleLimits {
    /// Bytes of the archive as it comes.
    pub packed_bytes: u64,
    /// Bytes of all files together.
    pub bytes: u64,
    /// Bytes of one file; larger ones are left out.
    pub file_bytes: u64,
    /// Files.
    pub files: u64,
}

impl Default for ModuleLimits {
    fn default() -> Self {
        Self { packed_bytes: 128 << 20, bytes: 256 << 20, file_bytes: 8 << 20, files: 20_000 }
    }
}

/// A module's files, as they were written.
#[derive(Debug)]
pub struct Packed {
    /// Our archive.
    pub file: File,
    /// What is in it.
    pub files: Files,
    /// What isn't in it, and why.
    pub left_out: Vec<LeftOut>,
}

/// Begins to pack what is sent.
pub(super) fn packing(in_folder: bool, limits: ModuleLimits, into: File) -> (mpsc::Sender<Bytes>, JoinHandle<Result<Packed, ModuleError>>) {
    let (sender, receiver) = mpsc::channel(16);
    let packing = tokio::task::spawn_blocking(move || pack(GzDecoder::new(Pieces::new(receiver)), in_folder, limits, into));
    (sender, packing)
}

fn pack(source: impl io::Read, in_folder: bool, limits: ModuleLimits, into: File) -> Result<Packed, ModuleError> {
    // Room for what is left out, for folders and headers; a bomb ends here.
    let source = source.take(limits.bytes.saturating_mul(2).saturating_add(64 << 20));
    let mut reader = if in_folder { Reader::new(source, limits.file_bytes) } else { Reader::flat(source, limits.file_bytes) };
    let mut writer = Writer::new(io::BufWriter::new(into));
    let (mut omissions, mut digests, mut bytes) = (Omissions::default(), Files::new(), 0_u64);
    while let Some(entry) = reader.next().map_err(|_| ModuleError::Archive)? {
        let path = entry.path.as_deref().map(|path| path.strip_prefix("./").unwrap_or(path));
        let usable = path.and_then(|path| RepositoryPath::new(path).ok());
        let Some(usable) = usable else {
            omissions.add(LeftOutReason::UnusablePath, path.unwrap_or_default());
            continue;
        };
        let path = usable.as_str().to_owned();
        let Some(contents) = entry.contents else {
            omissions.add(LeftOutReason::TooLarge, &path);
            continue;
        };
        bytes = bytes.saturating_add(contents.len() as u64);
        if bytes > limits.bytes || digests.len() as u64 >= limits.files {
            return Err(ModuleError::BeyondLimit);
        }
        // A path that comes twice would be one file for one reader and another for the next.
        if digests.contains_key(&path) {
            return Err(ModuleError::Archive);
        }
        writer.file(&path, entry.executable, &contents).map_err(|_| ModuleError::Storage)?;
        digests.insert(path, sha256(&contents));
    }
    (0..reader.links()).for_each(|_| omissions.add(LeftOutReason::Link, ""));
    let mut target = writer.finish().map_err(|_| ModuleError::Storage)?;
    target.flush().map_err(|_| ModuleError::Storage)?;
    let file = target.into_inner().map_err(|_| ModuleError::Storage)?;
    if digests.is_empty() {
        return Err(ModuleError::NotFound);
    }
    Ok(Packed { file, left_out: omissions.list(), files: digests })
}

/// The files of a module and the SHA-256 of each.
pub type Files = BTreeMap<String, [u8; 32]>;

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut result = [0; 32];
    result.copy_from_slice(digest(&SHA256, bytes).as_ref());
    result
}

/// What to lock: the SHA-256 of what `sha256sum` prints for these files, sorted by their paths. It is also what Go's `dirhash.Hash1`
/// encodes.
#[must_use]
pub fn locked(files: &Files) -> Digest {
    let mut context = Context::new(&SHA256);
    for (path, digest) in files {
        context.update(HEXLOWER.encode(digest).as_bytes());
        context.update(b"  ");
        context.update(path.as_bytes());
        context.update(b"\n");
    }
    let mut bytes = [0; 32];
    bytes.copy_from_slice(context.finish().as_ref());
    Digest::from_bytes(bytes)
}

/// The files of an archive that we wrote.
///
/// # Errors
/// If it can't be read.
pub fn files_in(archive: impl io::Read) -> Result<Files, ModuleError> {
    let mut reader = Reader::flat(archive, u64::MAX);
    let mut files = Files::new();
    while let Some(entry) = reader.next().map_err(|_| ModuleError::Archive)? {
        let (Some(path), Some(contents)) = (entry.path, entry.contents) else { return Err(ModuleError::Archive) };
        files.insert(path, sha256(&contents));
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use std::io::Seek as _;
    use std::process::Command;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn packed(archive: &[u8], in_folder: bool, limits: ModuleLimits) -> Result<Packed, ModuleError> {
        pack(GzDecoder::new(archive), in_folder, limits, tempfile::tempfile().unwrap())
    }

    fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut writer = Writer::new(GzEncoder::new(Vec::new(), Compression::fast()));
        for (path, contents) in files {
            writer.file(path, false, contents).unwrap();
        }
        writer.finish().unwrap().finish().unwrap()
    }

    #[test]
    fn an_archive_of_the_systems_tar_keeps_its_files_and_has_the_digest_of_sha256sum() {
        let folder = tempfile::tempdir().unwrap();
        let long = format!("modules/{}/x.tf", "a".repeat(120));
        for path in ["main.tf", "modules/b/main.tf", "Zeta.tf", long.as_str()] {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, path.file_name().unwrap().as_encoded_bytes()).unwrap();
        }
        std::os::unix::fs::symlink("/etc/passwd", folder.path().join("link.tf")).unwrap();
        for format in ["gnu", "pax", "ustar"] {
            let tar = Command::new("tar")
                .args(["--create", "--gzip", "--format", format, "--directory"])
                .arg(folder.path())
                .arg(".")
                .output()
                .unwrap();
            if format == "ustar" && !tar.status.success() {
                // Its names are shorter.
                continue;
            }
            let mut found = packed(&tar.stdout, false, ModuleLimits::default()).unwrap();
            assert_eq!((found.files.len(), found.left_out.len()), (4, 1), "{format}");
            assert_eq!((found.left_out[0].reason, found.left_out[0].count.get()), (LeftOutReason::Link, 1));
            let script = "find . -type f -printf '%P\\n' | LC_ALL=C sort | xargs sha256sum | sha256sum";
            let summed = Command::new("sh").args(["-c", script]).current_dir(folder.path()).output().unwrap();
            let expected = String::from_utf8(summed.stdout).unwrap();
            assert_eq!(Some(locked(&found.files).to_string().as_str()), expected.split_whitespace().next(), "{format}");
            found.file.rewind().unwrap();
            assert_eq!(files_in(&found.file).unwrap(), found.files);
        }
    }

    #[test]
    fn the_folder_around_everything_does_not_count() {
        let bytes = archive(&[("top-1/main.tf", b"a"), ("top-1/modules/b/main.tf", b"b")]);
        let inside = packed(&bytes, true, ModuleLimits::default()).unwrap();
        let flat = packed(&archive(&[("main.tf", b"a"), ("modules/b/main.tf", b"b")]), false, ModuleLimits::default()).unwrap();
        assert_eq!(inside.files, flat.files);
    }

    #[test]
    fn hostile_archives_are_refused() {
        let limits = ModuleLimits { packed_bytes: 1 << 20, bytes: 1_000, file_bytes: 600, files: 3 };
        let refused = |files: &[(&str, &[u8])]| packed(&archive(files), false, limits).map(|packed| packed.files.len()).unwrap_err();
        assert_eq!(refused(&[("a", &[0; 500]), ("b", &[0; 501])]), ModuleError::BeyondLimit);
        assert_eq!(refused(&[("a", b""), ("b", b""), ("c", b""), ("d", b"")]), ModuleError::BeyondLimit);
        assert_eq!(refused(&[("a", b"one"), ("a", b"two")]), ModuleError::Archive);
        assert_eq!(refused(&[]), ModuleError::NotFound);
        for path in ["../a", "/a", "a/../../b", "a\\b", ".git/config", "a//b"] {
            let files: &[(&str, &[u8])] = &[(path, b"x"), ("main.tf", b"y")];
            let left = packed(&archive(files), false, limits).map(|packed| (packed.files.len(), packed.left_out.len()));
            assert_eq!(left.unwrap(), (1, 1), "{path}");
        }
        let large = packed(&archive(&[("a", &[0; 601]), ("b", b"x")]), false, limits).unwrap();
        assert_eq!((large.files.len(), large.left_out[0].reason), (1, LeftOutReason::TooLarge));
        assert_eq!(packed(b"no archive", false, limits).unwrap_err(), ModuleError::Archive);
        let whole = archive(&[("a", b"x")]);
        assert_eq!(packed(&whole[..whole.len() / 2], false, limits).unwrap_err(), ModuleError::Archive);
        let bomb = archive(&[("a", &vec![0; 200 << 20])]);
        assert!(bomb.len() < 2 << 20);
        assert_eq!(packed(&bomb, false, limits).unwrap_err(), ModuleError::Archive);
    }
}
