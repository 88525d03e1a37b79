//! An uncompressed tar archive, into an empty directory.
//!
//! Only regular files and directories are made, by descriptors from the directory down, so that no name leads out of it. Symbolic links and
//! folders of git's own are left out and counted; every other kind of entry, and every name that would lie elsewhere or twice, is an error that
//! names it: whoever made such an archive meant no tree.
//!
//! Source: POSIX.1-2017, pax, "ustar Interchange Format" and "pax Interchange Format"; GNU tar manual, "Basic Tar Format" for long names and
//! numbers in base 256.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, mkdirat, openat};
use rustix::io::Errno;

use super::UNPACKING;
use super::messages::Unpacked;

const BLOCK: usize = 512;
/// Most entries of an archive, those that are left out included.
const MOST_ENTRIES: u64 = 200_000;
/// Most bytes of all files together.
const MOST_BYTES: u64 = 2 << 30;
/// Most bytes of a name, or of a header that holds one.
const LONGEST_NAME: usize = 4_096;
const LONGEST_HEADER: u64 = 64 * 1024;
/// Deepest directory; a scan goes no deeper.
const DEEPEST: usize = keyblind_scan::limits::DEEPEST_DIRECTORY;

/// Why an archive is not unpacked.
#[derive(Debug, thiserror::Error)]
pub(super) enum ArchiveError {
    #[error("the archive is cut off")]
    CutOff,
    #[error("this is no tar archive: {0}")]
    NoTar(&'static str),
    #[error("the archive holds `{name}`, which is {what}: a tree to scan has regular files and directories only")]
    Kind { name: String, what: &'static str },
    #[error("the archive holds the name `{name}`, which {why}")]
    Name { name: String, why: &'static str },
    #[error("the archive holds {what}, more than the {limit} that are taken")]
    TooMuch { what: &'static str, limit: u64 },
    #[error("`{name}` can't be written: {reason}")]
    Write { name: String, reason: io::Error },
    #[error("the archive can't be read: {0}")]
    Read(io::Error),
}

/// Unpacks an archive.
///
/// # Errors
/// What is wrong with it, or with writing. What was unpacked until then stays.
pub(super) fn unpack(archive: &mut impl Read, into: BorrowedFd<'_>) -> Result<Unpacked, ArchiveError> {
    let mut place = Place { top: into, directory: None, made: 0 };
    let mut done = Unpacked::default();
    // What extended headers say of the next entry.
    let (mut name, mut size) = (None, None);
    let mut entries = 0;
    while let Some(header) = next_header(archive)? {
        entries += 1;
        if entries > MOST_ENTRIES {
            return Err(ArchiveError::TooMuch { what: "entries", limit: MOST_ENTRIES });
        }
        let kind = header[156];
        let stated = number(&header[124..136]).ok_or(ArchiveError::NoTar("a size is no number"))?;
        // Of the mode only that bit counts, as in git; one that is no number says nothing.
        let is_executable = number(&header[100..108]).is_some_and(|mode| mode & 0o100 != 0);
        match kind {
            b'x' => {
                let extended = Extended::parse(&text(archive, stated)?)?;
                (name, size) = (extended.path.or(name), extended.size.or(size));
                continue;
            }
            // What is said of all entries (git puts the commit there) is no name.
            b'g' => {
                text(archive, stated)?;
                continue;
            }
            b'L' => {
                let mut long = text(archive, stated)?;
                long.truncate(long.iter().position(|byte| *byte == 0).unwrap_or(long.len()));
                name = Some(long);
                continue;
            }
            // The long target of a link that is left out.
            b'K' => {
                text(archive, stated)?;
                continue;
            }
            _ => {}
        }
        let name = Name::parse(&name.take().unwrap_or_else(|| header_name(&header)))?;
        let size = size.take().unwrap_or(stated);
        match kind {
            _ if name.is_of_git() => {
                done.git += 1;
                skip(archive, if matches!(kind, b'0' | 0 | b'7') { size } else { 0 })?;
            }
            b'5' => {
                place.enter(&name.parts, &name)?;
                done.directories += 1;
            }
            b'0' | 0 | b'7' => {
                done.bytes = done.bytes.saturating_add(size);
                if done.bytes > MOST_BYTES {
                    return Err(ArchiveError::TooMuch { what: "bytes", limit: MOST_BYTES });
                }
                if size > UNPACKING.file_size {
                    return Err(ArchiveError::TooMuch { what: "bytes in one file", limit: UNPACKING.file_size });
                }
                place.file(&name, archive, size, is_executable)?;
                done.files += 1;
            }
            b'2' => done.links += 1,
            b'1' => return Err(name.kind("a hard link")),
            b'3' | b'4' => return Err(name.kind("a device")),
            b'6' => return Err(name.kind("a pipe")),
            b'S' => return Err(name.kind("a sparse file")),
            _ => return Err(name.kind("of a kind that no tree has")),
        }
    }
    Ok(done)
}

/// A header whose sum is right; `None` at the end of the archive.
fn next_header(archive: &mut impl Read) -> Result<Option<[u8; BLOCK]>, ArchiveError> {
    let mut header = [0; BLOCK];
    read(archive, &mut header)?;
    if header.iter().all(|byte| *byte == 0) {
        return Ok(None);
    }
    let sum: u64 = header.iter().enumerate().map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u64::from(*byte) }).sum();
    if number(&header[148..156]) != Some(sum) {
        return Err(ArchiveError::NoTar("the sum of a header is wrong"));
    }
    Ok(Some(header))
}

/// A number in octal digits, or in base 256 where the first bit is set.
fn number(field: &[u8]) -> Option<u64> {
    if field.first().is_some_and(|byte| byte & 0x80 != 0) {
        let digits = field.iter().enumerate().map(|(at, byte)| if at == 0 { byte & 0x7f } else { *byte });
        return digits.into_iter().try_fold(0_u64, |number, byte| Some(number.checked_mul(256)? + u64::from(byte)));
    }
    let digits = field.iter().skip_while(|byte| **byte == b' ').take_while(|byte| !matches!(**byte, b' ' | 0));
    let mut number = 0_u64;
    for digit in digits {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit < 8)?;
        number = number.checked_mul(8)? + u64::from(digit);
    }
    Some(number)
}

/// The name in a header: a beginning for long ones, and the rest.
fn header_name(header: &[u8; BLOCK]) -> Vec<u8> {
    let field = |range: std::ops::Range<usize>| {
        let field = &header[range];
        &field[..field.iter().position(|byte| *byte == 0).unwrap_or(field.len())]
    };
    let (name, prefix) = (field(0..100), field(345..500));
    if header[257..262] == *b"ustar" && header[262] == 0 && !prefix.is_empty() { [prefix, b"/", name].concat() } else { name.to_vec() }
}

/// What an extended header says.
#[derive(Default)]
struct Extended {
    path: Option<Vec<u8>>,
    size: Option<u64>,
}

impl Extended {
    /// Records of the form `length key=value\n`, where the length counts all of it.
    fn parse(text: &[u8]) -> Result<Self, ArchiveError> {
        const WRONG: ArchiveError = ArchiveError::NoTar("an extended header is malformed");
        let mut extended = Self::default();
        let mut rest = text;
        while !rest.is_empty() {
            let space = rest.iter().position(|byte| *byte == b' ').ok_or(WRONG)?;
            let length: usize = std::str::from_utf8(&rest[..space]).ok().and_then(|text| text.parse().ok()).ok_or(WRONG)?;
            let (record, after) = rest.split_at_checked(length).ok_or(WRONG)?;
            let record = record.get(space + 1..).and_then(|record| record.strip_suffix(b"\n")).ok_or(WRONG)?;
            let equals = record.iter().position(|byte| *byte == b'=').ok_or(WRONG)?;
            let (key, value) = (&record[..equals], &record[equals + 1..]);
            match key {
                b"path" => extended.path = Some(value.to_vec()),
                b"size" => extended.size = Some(std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()).ok_or(WRONG)?),
                _ if key.starts_with(b"GNU.sparse.") => return Err(ArchiveError::NoTar("it holds sparse files")),
                _ => {}
            }
            rest = after;
        }
        Ok(extended)
    }
}

/// A name, part by part.
struct Name {
    parts: Vec<Vec<u8>>,
    shown: String,
}

impl Name {
    fn parse(name: &[u8]) -> Result<Self, ArchiveError> {
        let shown: String = String::from_utf8_lossy(&name[..name.len().min(200)]).escape_debug().collect();
        let wrong = |why| Err(ArchiveError::Name { name: shown.clone(), why });
        if name.len() > LONGEST_NAME {
            return wrong("is too long");
        }
        if name.starts_with(b"/") {
            return wrong("begins at the top of the machine's files");
        }
        if name.contains(&0) {
            return wrong("holds a zero byte");
        }
        let parts: Vec<Vec<u8>> =
            name.split(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".").map(<[u8]>::to_vec).collect();
        if parts.iter().any(|part| part == b"..") {
            return wrong("leads out of the tree");
        }
        if parts.iter().any(|part| part.len() > 255) || parts.len() > DEEPEST {
            return wrong("is too long or too deep");
        }
        Ok(Self { parts, shown })
    }

    fn is_of_git(&self) -> bool {
        self.parts.iter().any(|part| part.eq_ignore_ascii_case(b".git"))
    }

    fn kind(&self, what: &'static str) -> ArchiveError {
        ArchiveError::Kind { name: self.shown.clone(), what }
    }

    fn write(&self, reason: impl Into<io::Error>) -> ArchiveError {
        ArchiveError::Write { name: self.shown.clone(), reason: reason.into() }
    }
}

/// Where files are made.
struct Place<'p> {
    top: BorrowedFd<'p>,
    /// The directory of the last file: the next one lies there as a rule.
    directory: Option<(Vec<Vec<u8>>, OwnedFd)>,
    /// Directories made so far: one name may ask for many.
    made: u64,
}

impl Place<'_> {
    /// Goes to a directory, part by part, and makes those that aren't there. No link is followed.
    fn enter(&mut self, parts: &[Vec<u8>], name: &Name) -> Result<BorrowedFd<'_>, ArchiveError> {
        let is_known = self.directory.as_ref().is_some_and(|(known, _)| known == parts);
        if !is_known && !parts.is_empty() {
            let mut current: Option<OwnedFd> = None;
            for part in parts {
                let above = current.as_ref().map_or(self.top, AsFd::as_fd);
                match mkdirat(above, part.as_slice(), Mode::RWXU) {
                    Ok(()) if self.made >= MOST_ENTRIES => {
                        return Err(ArchiveError::TooMuch { what: "directories", limit: MOST_ENTRIES });
                    }
                    Ok(()) => self.made += 1,
                    Err(Errno::EXIST) => {}
                    Err(error) => return Err(name.write(error)),
                }
                let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY;
                let next = openat(above, part.as_slice(), flags, Mode::empty());
                current = Some(next.map_err(|error| match error {
                    Errno::NOTDIR | Errno::LOOP => {
                        ArchiveError::Name { name: name.shown.clone(), why: "lies in what is a file elsewhere in the archive" }
                    }
                    error => name.write(error),
                })?);
            }
            self.directory = current.map(|directory| (parts.to_vec(), directory));
        }
        match &self.directory {
            Some((_, directory)) if !parts.is_empty() => Ok(directory.as_fd()),
            _ => Ok(self.top),
        }
    }

    /// Makes a file that isn't there yet.
    fn file(&mut self, name: &Name, archive: &mut impl Read, size: u64, is_executable: bool) -> Result<(), ArchiveError> {
        let Some((last, above)) = name.parts.split_last() else {
            return Err(ArchiveError::Name { name: name.shown.clone(), why: "names no file" });
        };
        let directory = self.enter(above, name)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = if is_executable { Mode::RWXU } else { Mode::RUSR | Mode::WUSR };
        let made = openat(directory, last.as_slice(), flags, mode);
        let mut file = File::from(made.map_err(|error| match error {
            Errno::EXIST => ArchiveError::Name { name: name.shown.clone(), why: "is there twice" },
            error => name.write(error),
        })?);
        let mut buffer = vec![0; 64 * 1024];
        let mut left = size;
        while left > 0 {
            let length = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
            read(archive, &mut buffer[..length])?;
            file.write_all(&buffer[..length]).map_err(|error| name.write(error))?;
            left -= length as u64;
        }
        pad(archive, size)
    }
}

/// The content of an entry that is itself a header.
fn text(archive: &mut impl Read, size: u64) -> Result<Vec<u8>, ArchiveError> {
    if size > LONGEST_HEADER {
        return Err(ArchiveError::TooMuch { what: "bytes in a header", limit: LONGEST_HEADER });
    }
    let mut text = vec![0; usize::try_from(size).unwrap_or(0)];
    read(archive, &mut text)?;
    pad(archive, size)?;
    Ok(text)
}

fn skip(archive: &mut impl Read, size: u64) -> Result<(), ArchiveError> {
    let skipped = io::copy(&mut archive.take(size), &mut io::sink()).map_err(ArchiveError::Read)?;
    if skipped < size { Err(ArchiveError::CutOff) } else { pad(archive, size) }
}

/// What fills the last block of an entry.
fn pad(archive: &mut impl Read, size: u64) -> Result<(), ArchiveError> {
    let left = usize::try_from(size % BLOCK as u64).unwrap_or(0);
    if left == 0 { Ok(()) } else { read(archive, &mut [0; BLOCK][left..]) }
}

fn read(archive: &mut impl Read, into: &mut [u8]) -> Result<(), ArchiveError> {
    archive.read_exact(into).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => ArchiveError::CutOff,
        _ => ArchiveError::Read(error),
    })
}

#[cfg(test)]
mod tests;
