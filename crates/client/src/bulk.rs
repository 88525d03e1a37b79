//! Bulk bytes: files without a name, whose digest and length are known.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt as _;

use keyblind_intent::{Bulk, Count, Digest};
use rustix::fs::{FileType, MemfdFlags, SealFlags};
use sha2::{Digest as _, Sha256};

/// Why bulk bytes weren't taken or made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BulkError {
    /// The descriptor is something whose contents may change or whose reading may hang.
    #[error("bulk bytes come in memory that is sealed against writing, growing and shrinking (memfd); this is something else")]
    NotSealed,
    /// There are more or fewer bytes than announced.
    #[error("{announced} bytes were announced, and there are {found}")]
    OtherLength {
        /// How many were announced.
        announced: u64,
        /// How many there are.
        found: u64,
    },
    /// The bytes aren't those that were announced.
    #[error("the bytes have another digest than announced")]
    OtherDigest,
    /// There are more bytes than may travel.
    #[error("at most {0} bytes can travel here")]
    TooMany(u64),
    /// The system wouldn't.
    #[error("bulk bytes can't be kept: {0}")]
    System(#[from] std::io::Error),
}

/// A file without a name: bytes that nobody can change any more, with their digest.
#[derive(Debug)]
pub struct BulkFile {
    file: File,
    bulk: Bulk,
}

/// What makes memory unchangeable.
const SEALS: SealFlags = SealFlags::WRITE.union(SealFlags::GROW).union(SealFlags::SHRINK).union(SealFlags::SEAL);

impl BulkFile {
    /// Keeps bytes in sealed memory.
    ///
    /// # Errors
    /// If the system gives no memory for it.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BulkError> {
        Self::copied(&mut &bytes[..], u64::MAX)
    }

    /// Copies what can be read into sealed memory, if it isn't more than `most` bytes.
    ///
    /// # Errors
    /// If it is, if reading fails, or the system gives no memory.
    pub fn copied(source: &mut impl std::io::Read, most: u64) -> Result<Self, BulkError> {
        let descriptor = rustix::fs::memfd_create("keyblind-bulk", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).map_err(system)?;
        let mut file = File::from(descriptor);
        let copied = std::io::copy(&mut source.take(most.saturating_add(1)), &mut file)?;
        if copied > most {
            return Err(BulkError::TooMany(most));
        }
        file.flush()?;
        seal(&file)?;
        let bulk = Bulk { digest: digest_of(&file, copied)?, bytes: Count::saturating(copied) };
        Ok(Self { file, bulk })
    }

    /// Takes a descriptor that came from somebody else: sealed memory that holds what was announced. What is read later is what was
    /// checked here, whatever the sender does with its own descriptor; and reading memory never hangs.
    ///
    /// # Errors
    /// If it is anything else.
    pub fn received(descriptor: OwnedFd, announced: Bulk) -> Result<Self, BulkError> {
        let file = File::from(descriptor);
        let seals = rustix::fs::fcntl_get_seals(&file).map_err(|_| BulkError::NotSealed)?;
        let status = rustix::fs::fstat(&file).map_err(system)?;
        if !seals.contains(SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK)
            || FileType::from_raw_mode(status.st_mode) != FileType::RegularFile
        {
            return Err(BulkError::NotSealed);
        }
        Self::checked(file, announced)
    }

    /// Takes a descriptor from the broker, which may hand over a file of its own.
    ///
    /// # Errors
    /// If it doesn't hold what was announced.
    pub(crate) fn from_broker(descriptor: OwnedFd, announced: Bulk) -> Result<Self, BulkError> {
        Self::checked(File::from(descriptor), announced)
    }

    fn checked(file: File, announced: Bulk) -> Result<Self, BulkError> {
        let found = file.metadata()?.len();
        if found != announced.bytes.get() {
            return Err(BulkError::OtherLength { announced: announced.bytes.get(), found });
        }
        if digest_of(&file, found)? != announced.digest {
            return Err(BulkError::OtherDigest);
        }
        Ok(Self { file, bulk: announced })
    }

    /// Takes a file of our own that has no name any more, for what is too large for memory. The caller has stopped writing to it.
    ///
    /// # Errors
    /// If it can't be read.
    pub fn unlinked(mut file: File) -> Result<Self, BulkError> {
        let length = file.seek(SeekFrom::End(0))?;
        let bulk = Bulk { digest: digest_of(&file, length)?, bytes: Count::saturating(length) };
        Ok(Self { file, bulk })
    }

    /// Digest and length.
    #[must_use]
    pub fn bulk(&self) -> Bulk {
        self.bulk
    }

    /// All of it, for what is known to be small.
    ///
    /// # Errors
    /// If there is more than `most`, or it can't be read.
    pub fn read(&self, most: u64) -> Result<Vec<u8>, BulkError> {
        let length = self.bulk.bytes.get();
        if length > most {
            return Err(BulkError::TooMany(most));
        }
        let mut bytes = vec![0; usize::try_from(length).map_err(|_| BulkError::TooMany(most))?];
        self.file.read_exact_at(&mut bytes, 0)?;
        Ok(bytes)
    }

    /// Writes all of it somewhere.
    ///
    /// # Errors
    /// If it can't be read or written.
    pub fn copy_to(&self, target: &mut impl std::io::Write) -> Result<(), BulkError> {
        pieces(&self.file, self.bulk.bytes.get(), |piece| target.write_all(piece))
    }
}

impl AsFd for BulkFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// Makes memory of ours (a memfd) unchangeable.
///
/// # Errors
/// If the system wouldn't: it is no such memory, or is still mapped for writing.
pub fn seal(file: &File) -> std::io::Result<()> {
    Ok(rustix::fs::fcntl_add_seals(file, SEALS)?)
}

fn system(error: rustix::io::Errno) -> BulkError {
    BulkError::System(error.into())
}

/// By position: the offset of a descriptor is shared with whoever sent it.
fn pieces(file: &File, length: u64, mut take: impl FnMut(&[u8]) -> std::io::Result<()>) -> Result<(), BulkError> {
    let mut buffer = vec![0; 1 << 16];
    let mut at = 0;
    while at < length {
        let wanted = usize::try_from(length - at).unwrap_or(usize::MAX).min(buffer.len());
        file.read_exact_at(&mut buffer[..wanted], at)?;
        take(&buffer[..wanted])?;
        at += wanted as u64;
    }
    Ok(())
}

fn digest_of(file: &File, length: u64) -> Result<Digest, BulkError> {
    let mut state = Sha256::new();
    pieces(file, length, |piece| {
        state.update(piece);
        Ok(())
    })?;
    Ok(Digest::from_bytes(state.finalize().into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(file: File, bytes: &[u8]) -> Result<BulkFile, BulkError> {
        BulkFile::received(OwnedFd::from(file), Bulk::of(bytes))
    }

    #[test]
    fn sealed_memory_is_taken_and_nobody_can_change_it() {
        let ours = BulkFile::from_bytes(b"resource {}").unwrap();
        assert_eq!(ours.bulk(), Bulk::of(b"resource {}"));
        let copy = ours.file.try_clone().unwrap();
        let taken = given(copy, b"resource {}").unwrap();
        assert!(ours.file.write_at(b"X", 0).is_err());
        assert!(ours.file.set_len(0).is_err());
        assert_eq!(taken.read(100).unwrap(), b"resource {}");
        assert!(matches!(taken.read(5), Err(BulkError::TooMany(5))));
    }

    #[test]
    fn what_can_change_or_hang_is_refused() {
        let unsealed = File::from(rustix::fs::memfd_create("x", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap());
        unsealed.write_at(b"abc", 0).unwrap();
        rustix::fs::fcntl_add_seals(&unsealed, SealFlags::GROW | SealFlags::SHRINK).unwrap();
        assert!(matches!(given(unsealed, b"abc"), Err(BulkError::NotSealed)));
        let mut ordinary = tempfile::tempfile().unwrap();
        ordinary.write_all(b"abc").unwrap();
        assert!(matches!(given(ordinary, b"abc"), Err(BulkError::NotSealed)));
        assert!(matches!(given(File::open("/dev/zero").unwrap(), b""), Err(BulkError::NotSealed)));
        let (reader, _writer) = std::io::pipe().unwrap();
        assert!(matches!(BulkFile::received(OwnedFd::from(reader), Bulk::of(b"")), Err(BulkError::NotSealed)));
        assert!(matches!(given(File::open("/").unwrap(), b""), Err(BulkError::NotSealed)));
    }

    #[test]
    fn other_bytes_than_announced_are_refused() {
        let ours = BulkFile::from_bytes(b"abc").unwrap();
        assert!(matches!(given(ours.file.try_clone().unwrap(), b"abcd"), Err(BulkError::OtherLength { announced: 4, found: 3 })));
        assert!(matches!(given(ours.file.try_clone().unwrap(), b"abd"), Err(BulkError::OtherDigest)));
        assert!(matches!(BulkFile::copied(&mut std::io::repeat(7), 1_000), Err(BulkError::TooMany(1_000))));
    }
}
