//! Positive controls: a canary is left in each place on purpose, in each form, and each way of searching has to find it there.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use rustix::process::{Pid, Signal, kill_process};

use crate::canary::{Canary, Form, Needles};
use crate::places::{self, Looked};
use crate::random;

/// The name under which this program holds what it is given, as a control.
pub const HOLD: &str = "hold-for-a-control";

/// What one control came to.
pub struct Control {
    /// Where the canary was left, and in which form.
    pub place: String,
    /// Whether it was found.
    pub is_found: bool,
    /// Why it couldn't be looked for, if so.
    pub not_checked: Option<String>,
}

/// Holds in memory what comes on standard input, until that ends.
///
/// # Errors
/// If it can't be read.
pub fn hold() -> Result<()> {
    let mut length = [0; 8];
    let mut input = std::io::stdin().lock();
    input.read_exact(&mut length)?;
    let mut held = vec![0; usize::try_from(u64::from_be_bytes(length))?];
    input.read_exact(&mut held)?;
    let mut output = std::io::stdout().lock();
    output.write_all(b"held\n")?;
    output.flush()?;
    input.read_to_end(&mut Vec::new())?;
    // It is there until here.
    std::hint::black_box(&held);
    Ok(())
}

/// Tries every way of searching on what was left for it. `folder` is for this alone.
///
/// # Errors
/// If a control can't be set up.
pub fn run(folder: &Path) -> Result<Vec<Control>> {
    let canary = Canary { name: "control".to_owned(), bytes: format!("ghs_{}", random(27)).into_bytes() };
    let needles = Needles::of(std::slice::from_ref(&canary))?;
    let mut controls = Vec::new();
    let mut judge = |place: &str, form: Form, looked: Looked| {
        let is_found = looked.hits.iter().any(|hit| hit.form == form);
        let not_checked = looked.not_checked.into_iter().next().filter(|_| !is_found);
        controls.push(Control { place: format!("{place}, {}", form.name()), is_found, not_checked });
    };
    for form in Form::ALL {
        let text = form.of(&canary.bytes);
        let mut child = held(folder, &text, &[], None)?;
        judge("memory", form, places::memory(child.id(), &needles));
        end(&mut child)?;
        // Neither holds a zero byte.
        if form != Form::Wide {
            let word = String::from_utf8(text.clone()).context("these forms are text")?;
            let mut child = held(folder, b"nothing", &[&word], Some(&word))?;
            judge("environment", form, places::environment(child.id(), &needles));
            judge("arguments", form, places::arguments(child.id(), &needles));
            end(&mut child)?;
        }
        let files = folder.join(form.name());
        fs::create_dir_all(files.join("deeper"))?;
        // The log of a database is a file like any other: what was written is in it before it is in the database.
        fs::write(files.join("deeper/broker.db-wal"), [&[7; 4096][..], &text, &[7; 4096]].concat())?;
        judge("files", form, places::files(&files, &[], &needles));
    }
    // A file without a name, open in a process.
    let path = folder.join("without-a-name");
    let mut file = File::options().read(true).write(true).create_new(true).open(&path)?;
    file.write_all(&canary.bytes)?;
    fs::remove_file(&path)?;
    rustix::io::fcntl_setfd(&file, rustix::io::FdFlags::empty())?;
    let mut child = held(folder, b"nothing", &[&file.as_raw_fd().to_string()], None)?;
    judge("descriptors", Form::Raw, places::descriptors(child.id(), &needles));
    end(&mut child)?;
    // One that breaks down and leaves what it held behind: where the machine hands it to a program of its own, only that it did is known.
    let folder = folder.join("breaks-down");
    fs::create_dir(&folder)?;
    let mut child = held(&folder, &canary.bytes, &[], None)?;
    kill_process(Pid::from_child(&child), Signal::ABORT)?;
    let is_dumped = child.wait()?.core_dumped();
    let is_found = is_dumped && (fs::read_dir(&folder)?.next().is_none() || !places::files(&folder, &[], &needles).hits.is_empty());
    let not_checked = (!is_dumped).then(|| "this machine makes no core files".to_owned());
    controls.push(Control { place: "core file, raw".to_owned(), is_found, not_checked });
    Ok(controls)
}

/// A process of this program that holds a text in its memory.
fn held(folder: &Path, text: &[u8], arguments: &[&str], variable: Option<&str>) -> Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(HOLD).args(arguments).env_clear().current_dir(folder).stdin(Stdio::piped()).stdout(Stdio::piped());
    if let Some(value) = variable {
        command.env("CONTROL", value);
    }
    let mut child = command.spawn()?;
    let input = child.stdin.as_mut().context("standard input is a pipe")?;
    input.write_all(&(text.len() as u64).to_be_bytes())?;
    input.write_all(text)?;
    input.flush()?;
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().context("standard output is a pipe")?).read_line(&mut line)?;
    ensure!(line == "held\n", "the control doesn't hold what it was given");
    Ok(child)
}

fn end(child: &mut Child) -> Result<()> {
    drop(child.stdin.take());
    child.wait()?;
    Ok(())
}
