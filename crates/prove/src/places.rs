//! Where is looked: the memory, environment, arguments and open files of a process, and all files under a folder.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use crate::canary::{Hit, Needles};

/// What the kernel maps at least.
const PAGE: u64 = 4096;
/// How much is read at once.
const CHUNK: usize = 1 << 20;

/// What came of looking in one place.
#[derive(Clone, Debug, Default)]
pub struct Looked {
    /// How many bytes were searched.
    pub bytes: u64,
    /// What was found.
    pub hits: BTreeSet<Hit>,
    /// What could not be looked at, and why.
    pub not_checked: BTreeSet<String>,
}

impl Looked {
    /// Adds what another look gave.
    pub fn add(&mut self, other: Self) {
        self.bytes += other.bytes;
        self.hits.extend(other.hits);
        self.not_checked.extend(other.not_checked);
    }

    fn search(&mut self, needles: &Needles, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        self.hits.extend(needles.find(bytes));
    }

    fn unreadable(what: &str, error: &io::Error) -> Self {
        Self { not_checked: BTreeSet::from([format!("{what}: {error}")]), ..Self::default() }
    }
}

/// The memory of a process that stands still.
#[must_use]
pub fn memory(process: u32, needles: &Needles) -> Looked {
    let open = || Ok((fs::read_to_string(format!("/proc/{process}/maps"))?, File::open(format!("/proc/{process}/mem"))?));
    let (maps, memory): (String, File) = match open() {
        Ok(opened) => opened,
        Err(error) => return Looked::unreadable("memory", &error),
    };
    let program = fs::read_link(format!("/proc/{process}/exe")).unwrap_or_default();
    let pages = File::open(format!("/proc/{process}/pagemap")).ok();
    let mut looked = Looked::default();
    for line in maps.lines() {
        let mut words = line.split_ascii_whitespace();
        let (Some(range), Some(rights), name) = (words.next(), words.next(), words.nth(3)) else { continue };
        // The kernel's own pages hold nothing of the process; those of programs and libraries that nobody can write to are as their files
        // are, and these are older than any canary.
        let is_program = |name: &str| name.contains(".so") || Path::new(name) == program;
        let is_kernels = |name: &str| matches!(name, "[vvar]" | "[vsyscall]" | "[vvar_vclock]");
        let is_older = !rights.contains('w') && name.is_some_and(is_program);
        if !rights.starts_with('r') || is_older || name.is_some_and(is_kernels) {
            continue;
        }
        let Some((from, to)) = range.split_once('-') else { continue };
        let (Ok(from), Ok(to)) = (u64::from_str_radix(from, 16), u64::from_str_radix(to, 16)) else { continue };
        pieces(&memory, pages.as_ref(), from, to, needles, &mut looked);
    }
    if looked.bytes == 0 {
        looked.not_checked.insert("memory: nothing of it can be read".to_owned());
    }
    looked
}

/// Searches what is there of a range, piece by piece; pages that can't be read (a locked secret's, a file's end) are passed over.
fn pieces(memory: &File, pages: Option<&File>, from: u64, to: u64, needles: &Needles, looked: &mut Looked) {
    let mut buffer = vec![0; CHUNK];
    let mut at = from;
    while at < to {
        let wanted = usize::try_from(to - at).unwrap_or(usize::MAX).min(CHUNK);
        let present = present(pages, at, wanted);
        if present == 0 {
            at = (at / PAGE + 1) * PAGE;
            continue;
        }
        match memory.read_at(&mut buffer[..present], at) {
            Ok(read) if read > 0 => {
                looked.search(needles, &buffer[..read]);
                let kept = if read > needles.overlap() && at + (read as u64) < to { needles.overlap() } else { 0 };
                at += (read - kept) as u64;
            }
            _ => at = (at / PAGE + 1) * PAGE,
        }
    }
}

/// How many of these bytes are in pages that the process has touched: what it never wrote to or read holds nothing of it. All of them,
/// where the kernel doesn't say.
fn present(pages: Option<&File>, at: u64, wanted: usize) -> usize {
    let Some(pages) = pages else { return wanted };
    let count = (at + wanted as u64).div_ceil(PAGE) - at / PAGE;
    let mut entries = vec![0; usize::try_from(count).unwrap_or(0) * 8];
    let Ok(read) = pages.read_at(&mut entries, at / PAGE * 8) else { return wanted };
    // Bit 63: in memory; bit 62: swapped out (proc_pid_pagemap(5)).
    let is_there = |entry: &[u8]| entry[7] & 0xC0 != 0;
    let touched = entries[..read].chunks_exact(8).take_while(|entry| is_there(entry)).count();
    let end = (at / PAGE + touched as u64) * PAGE;
    usize::try_from(end.saturating_sub(at)).unwrap_or(wanted).min(wanted)
}

/// The environment of a process.
#[must_use]
pub fn environment(process: u32, needles: &Needles) -> Looked {
    whole("environment", Path::new(&format!("/proc/{process}/environ")), needles)
}

/// The arguments of a process.
#[must_use]
pub fn arguments(process: u32, needles: &Needles) -> Looked {
    whole("arguments", Path::new(&format!("/proc/{process}/cmdline")), needles)
}

/// What can be read through the open descriptors of a process: files, also those without a name. Reading from the beginning doesn't move
/// what it shares with the process.
#[must_use]
pub fn descriptors(process: u32, needles: &Needles) -> Looked {
    let folder = format!("/proc/{process}/fd");
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) => return Looked::unreadable("descriptors", &error),
    };
    let mut looked = Looked::default();
    for entry in entries.flatten() {
        // Opened anew: a position of its own. Pipes and sockets would be emptied by reading: what goes through them is captured.
        if fs::metadata(entry.path()).is_ok_and(|found| found.is_file()) {
            looked.add(whole("descriptors", &entry.path(), needles));
        }
    }
    looked
}

/// How many sockets a process has open.
///
/// # Errors
/// If that can't be looked at.
pub fn sockets(process: u32) -> io::Result<usize> {
    let entries = fs::read_dir(format!("/proc/{process}/fd"))?;
    let is_socket = |path: &Path| fs::read_link(path).is_ok_and(|target| target.to_string_lossy().starts_with("socket:"));
    Ok(entries.flatten().filter(|entry| is_socket(&entry.path())).count())
}

/// All regular files under a folder, but those that `leave_out` names.
#[must_use]
pub fn files(folder: &Path, leave_out: &[&Path], needles: &Needles) -> Looked {
    let mut looked = Looked::default();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) => {
                looked.add(Looked::unreadable(&folder.display().to_string(), &error));
                continue;
            }
        };
        for path in entries.flatten().map(|entry| entry.path()).filter(|path| !leave_out.contains(&path.as_path())) {
            match fs::symlink_metadata(&path) {
                Ok(found) if found.is_dir() => open.push(path),
                Ok(found) if found.is_file() => looked.add(whole("files", &path, needles)),
                Ok(_) => {}
                Err(error) => looked.add(Looked::unreadable(&path.display().to_string(), &error)),
            }
        }
    }
    looked
}

fn whole(what: &str, path: &Path, needles: &Needles) -> Looked {
    let read = || -> io::Result<Looked> {
        let mut looked = Looked::default();
        let mut file = File::open(path)?;
        let mut bytes = Vec::new();
        loop {
            let kept = bytes.len().min(needles.overlap());
            bytes.drain(..bytes.len() - kept);
            let read = io::Read::by_ref(&mut file).take(CHUNK as u64).read_to_end(&mut bytes)?;
            if read == 0 {
                return Ok(looked);
            }
            looked.search(needles, &bytes);
        }
    };
    read().unwrap_or_else(|error| Looked::unreadable(what, &error))
}
