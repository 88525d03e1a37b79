//! Tar archives: those of forges and registries to read, ours to write (POSIX.1-2017, pax: ustar interchange format).
//!
//! Reading gives regular files only, counts links, and keeps one file in memory at a time; whatever has another form than the archives of
//! git, Terraform and common programs is an error. Writing gives regular files only, with names of any length.

use std::io::{self, Read, Write};

const BLOCK: usize = 512;
/// The longest extended header, and so the longest name.
const LONGEST_HEADER: u64 = 64 * 1024;

/// A file of an archive.
pub(super) struct Entry {
    /// Its path; `None` if it isn't UTF-8. Without the folder that git puts around everything, where the reader is told that there is one.
    pub(super) path: Option<String>,
    /// Whether it may be executed.
    pub(super) executable: bool,
    /// What it holds; `None` if it is larger than was asked for.
    pub(super) contents: Option<Vec<u8>>,
}

/// Reads archives.
pub(super) struct Reader<R> {
    source: R,
    most_bytes: u64,
    in_folder: bool,
    links: u64,
}

fn unusable(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

impl<R: Read> Reader<R> {
    /// An archive of git, with one folder around everything. Files larger than `most_bytes` are skipped over.
    pub(super) fn new(source: R, most_bytes: u64) -> Self {
        Self { source, most_bytes, in_folder: true, links: 0 }
    }

    /// An archive whose files lie at its top.
    pub(super) fn flat(source: R, most_bytes: u64) -> Self {
        Self { in_folder: false, ..Self::new(source, most_bytes) }
    }

    /// How many links were passed over so far.
    pub(super) fn links(&self) -> u64 {
        self.links
    }

    /// The next regular file.
    pub(super) fn next(&mut self) -> io::Result<Option<Entry>> {
        let mut long_name = None;
        loop {
            let mut header = [0; BLOCK];
            self.source.read_exact(&mut header)?;
            if header.iter().all(|byte| *byte == 0) {
                return Ok(None);
            }
            check_sum(&header)?;
            let size = octal(&header[124..136]).ok_or_else(|| unusable("a size"))?;
            match header[156] {
                b'x' => long_name = extended_path(&self.contents(size, LONGEST_HEADER)?.ok_or_else(|| unusable("an extended header"))?)?,
                // GNU's own way to write a long name.
                b'L' => {
                    let name = self.contents(size, LONGEST_HEADER)?.ok_or_else(|| unusable("a long name"))?;
                    long_name = Some(text(&name).to_vec());
                }
                b'g' => drop(self.contents(size, LONGEST_HEADER)?),
                b'0' | 0 => {
                    let name = long_name.take().unwrap_or_else(|| ustar_name(&header));
                    let contents = self.contents(size, self.most_bytes)?;
                    let mut path = String::from_utf8(name).ok();
                    if self.in_folder {
                        path = path.and_then(|name| Some(name.split_once('/')?.1.to_owned()));
                    }
                    let executable = octal(&header[100..108]).is_some_and(|mode| mode & 0o111 != 0);
                    return Ok(Some(Entry { path, executable, contents }));
                }
                // Folders, links: they have no contents that we take.
                kind @ (b'1' | b'2' | b'5') => {
                    long_name = None;
                    self.links += u64::from(kind != b'5');
                    self.contents(size, 0)?;
                }
                _ => return Err(unusable("an entry")),
            }
        }
    }

    /// Reads what follows a header, or skips over it if it is too much.
    fn contents(&mut self, size: u64, most: u64) -> io::Result<Option<Vec<u8>>> {
        let padded = size.checked_next_multiple_of(BLOCK as u64).ok_or_else(|| unusable("a size"))?;
        let mut part = self.source.by_ref().take(padded);
        if size > most {
            let skipped = io::copy(&mut part, &mut io::sink())?;
            return if skipped == padded { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
        }
        let mut contents = Vec::new();
        if part.read_to_end(&mut contents)? as u64 != padded {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        contents.truncate(usize::try_from(size).unwrap_or(usize::MAX));
        Ok(Some(contents))
    }
}

fn text(field: &[u8]) -> &[u8] {
    field.split(|byte| *byte == 0).next().unwrap_or_default()
}

fn octal(field: &[u8]) -> Option<u64> {
    let digits = text(field).trim_ascii();
    if digits.is_empty() || !digits.iter().all(|byte| matches!(byte, b'0'..=b'7')) {
        return None;
    }
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok()
}

fn check_sum(header: &[u8; BLOCK]) -> io::Result<()> {
    let sum = |at: usize, byte: u8| u64::from(if (148..156).contains(&at) { b' ' } else { byte });
    let found: u64 = header.iter().enumerate().map(|(at, byte)| sum(at, *byte)).sum();
    if octal(&header[148..156]) == Some(found) { Ok(()) } else { Err(unusable("a header")) }
}

fn ustar_name(header: &[u8; BLOCK]) -> Vec<u8> {
    let (prefix, name) = (text(&header[345..500]), text(&header[..100]));
    if prefix.is_empty() || &header[257..262] != b"ustar" { name.to_vec() } else { [prefix, b"/", name].concat() }
}

/// The path in an extended header: records of `length key=value`.
fn extended_path(mut records: &[u8]) -> io::Result<Option<Vec<u8>>> {
    let mut path = None;
    while !records.is_empty() {
        let space = records.iter().position(|byte| *byte == b' ').ok_or_else(|| unusable("a record"))?;
        let length = std::str::from_utf8(&records[..space]).ok().and_then(|length| length.parse::<usize>().ok());
        let length = length.filter(|length| (space + 2..=records.len()).contains(length)).ok_or_else(|| unusable("a record"))?;
        let record = &records[space + 1..length - 1];
        if let Some(value) = record.strip_prefix(b"path=") {
            path = Some(value.to_vec());
        }
        records = &records[length..];
    }
    Ok(path)
}

/// Writes an archive of regular files.
pub(super) struct Writer<W> {
    target: W,
}

impl<W: Write> Writer<W> {
    pub(super) fn new(target: W) -> Self {
        Self { target }
    }

    /// Adds a file.
    pub(super) fn file(&mut self, path: &str, executable: bool, contents: &[u8]) -> io::Result<()> {
        if path.len() > 100 {
            let rest = format!(" path={path}\n");
            let mut length = rest.len() + 1;
            while length.to_string().len() + rest.len() != length {
                length += 1;
            }
            self.entry(b'x', "extended", 0o644, format!("{length}{rest}").as_bytes())?;
        }
        let short = &path[..path.floor_char_boundary(100)];
        self.entry(b'0', short, if executable { 0o755 } else { 0o644 }, contents)
    }

    fn entry(&mut self, kind: u8, name: &str, mode: u32, contents: &[u8]) -> io::Result<()> {
        let mut header = [0; BLOCK];
        header[..name.len()].copy_from_slice(name.as_bytes());
        header[100..107].copy_from_slice(format!("{mode:07o}").as_bytes());
        header[108..115].copy_from_slice(b"0000000");
        header[116..123].copy_from_slice(b"0000000");
        let size = format!("{:011o}", contents.len());
        // 11 digits hold 8 GiB; no file is that large.
        header[124..135].copy_from_slice(size.as_bytes().get(..11).ok_or_else(|| unusable("a size"))?);
        header[136..147].copy_from_slice(b"00000000000");
        header[148..156].fill(b' ');
        header[156] = kind;
        header[257..265].copy_from_slice(b"ustar\x0000");
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        self.target.write_all(&header)?;
        self.target.write_all(contents)?;
        let padding = contents.len().next_multiple_of(BLOCK) - contents.len();
        self.target.write_all(&[0; BLOCK][..padding])
    }

    /// Ends the archive.
    pub(super) fn finish(mut self) -> io::Result<W> {
        self.target.write_all(&[0; 2 * BLOCK])?;
        self.target.flush()?;
        Ok(self.target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A path and what lies there, each only if the archive gives it.
    type Read = (Option<String>, Option<Vec<u8>>);

    fn read(bytes: &[u8], most: u64) -> io::Result<Vec<Read>> {
        let mut reader = Reader::new(bytes, most);
        let mut entries = Vec::new();
        while let Some(entry) = reader.next()? {
            entries.push((entry.path, entry.contents));
        }
        Ok(entries)
    }

    #[test]
    fn what_was_written_is_read() {
        let long = format!("{}/é/main.tf", "folder/".repeat(40));
        let files = [("main.tf", &b"resource"[..]), ("empty", b""), (&long, b"x"), ("big", &[7; 5_000])];
        let mut writer = Writer::new(Vec::new());
        for (path, contents) in files {
            writer.file(&format!("top/{path}"), path == "empty", contents).unwrap();
        }
        let archive = writer.finish().unwrap();
        let expected: Vec<_> =
            files.iter().map(|(path, contents)| (Some((*path).to_owned()), (contents.len() <= 4_000).then(|| contents.to_vec()))).collect();
        assert_eq!(read(&archive, 4_000).unwrap(), expected);
        for end in [0, 1, 511, 512, 513, 1_500, archive.len() - 1_025] {
            assert!(read(&archive[..end], 4_000).is_err(), "cut off at {end}");
        }
    }

    #[test]
    fn nothing_makes_the_reader_panic_or_take_much() {
        let mut writer = Writer::new(Vec::new());
        writer.file(&format!("top/{}", "a".repeat(300)), false, b"contents").unwrap();
        let archive = writer.finish().unwrap();
        for at in 0..archive.len() {
            for value in [0, 0x20, 0x37, 0x39, 0x78, 0xff] {
                let mut changed = archive.clone();
                changed[at] = value;
                drop(read(&changed, 1 << 20));
                // Also with a sum that fits.
                for start in (0..changed.len()).step_by(BLOCK) {
                    if (start..start + BLOCK).contains(&at) {
                        changed[start + 148..start + 156].fill(b' ');
                        let sum: u32 = changed[start..start + BLOCK].iter().map(|byte| u32::from(*byte)).sum();
                        changed[start + 148..start + 155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
                    }
                }
                drop(read(&changed, 1 << 20));
            }
        }
    }
}
