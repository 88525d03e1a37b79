//! Stands between `keyblind` and the real relay, and keeps a copy of every byte that passes, both ways.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, Result};

/// Runs the real program with the same arguments. What passes lies in `captured` beside the folder of this program afterwards.
///
/// # Errors
/// If the real one can't be started, or what passes can't be kept: then nothing passes.
pub fn run(own: &Path, arguments: impl Iterator<Item = std::ffi::OsString>) -> Result<ExitCode> {
    let folder = own.parent().context("this program is in a folder")?;
    let real: PathBuf = std::fs::read_to_string(folder.join("real")).context("the real program isn't named")?.into();
    let captured = folder.with_file_name("captured");
    let mut child = Command::new(real).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let (mut to, mut from) = (child.stdin.take().context("a pipe")?, child.stdout.take().context("a pipe")?);
    let (mut sent, mut received) = (kept(&captured, "sent")?, kept(&captured, "received")?);
    std::thread::spawn(move || copy(&mut std::io::stdin().lock(), &mut to, &mut sent));
    copy(&mut from, &mut std::io::stdout().lock(), &mut received)?;
    let status = child.wait()?;
    // Bulk bytes travelled in files of the asker's own: descriptors that both programs inherited.
    for number in 3..=4 {
        let path = format!("/proc/self/fd/{number}");
        if std::fs::metadata(&path).is_ok_and(|found| found.is_file()) {
            std::io::copy(&mut File::open(path)?, &mut kept(&captured, "bulk")?)?;
        }
    }
    Ok(ExitCode::from(u8::try_from(status.code().unwrap_or(1)).unwrap_or(1)))
}

/// A new file for what passes.
fn kept(folder: &Path, what: &str) -> std::io::Result<File> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let name = format!("{what}-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
    OpenOptions::new().write(true).create_new(true).open(folder.join(name))
}

/// Copies until the end; each piece is kept before it is passed on.
fn copy(from: &mut impl Read, to: &mut impl Write, kept: &mut File) -> std::io::Result<()> {
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        kept.write_all(&buffer[..read])?;
        to.write_all(&buffer[..read])?;
        to.flush()?;
    }
}
