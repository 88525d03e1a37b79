//! In the leaf: hardening, the job, and everything that leaves the process.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use anyhow::{Context as _, bail};
use clap::Parser as _;
use keyblind_harden::{inherited, leaf};
use keyblind_roles::Question;
use keyblind_scan::Progress;

use super::messages::{Ask, CommandTask, Job, LARGEST, Look, ModelAnswer, Step, Task, Word};
use super::{MOST_FURTHER, READING, UNPACKING, archive, descriptor, messages};
use crate::arguments::{Cli, Command};
use crate::commands;
use crate::exit::Exit;
use crate::terminal;

/// A leaf that runs a command: where what it would print, say, write and read goes.
pub(crate) struct Inside {
    task: CommandTask,
    events: Mutex<File>,
    given: Mutex<File>,
}

static INSIDE: OnceLock<Inside> = OnceLock::new();

/// The leaf that this process is, if it is one that runs a command.
pub(crate) fn inside() -> Option<&'static Inside> {
    INSIDE.get()
}

/// Runs the job that comes on standard input.
///
/// # Errors
/// If nobody started it as a leaf, or the pipes break.
pub(crate) fn run() -> anyhow::Result<Exit> {
    let mine = "`keyblind leaf` is started by other commands, not by people";
    let tree = inherited(descriptor::TREE).context(mine)?;
    let (mut given, mut events) =
        (File::from(inherited(descriptor::GIVEN).context(mine)?), File::from(inherited(descriptor::EVENTS).context(mine)?));
    let nothing = inherited(descriptor::NOTHING).context(mine)?;
    let job = messages::read_job(&mut given).context(mine)?;
    if job.further > MOST_FURTHER {
        bail!("the job names {} further descriptors, more than {MOST_FURTHER}", job.further);
    }
    let numbers = (descriptor::FURTHER..).take(usize::try_from(job.further).unwrap_or(0));
    let further: Vec<OwnedFd> = numbers.map(inherited).collect::<Result<_, _>>().context("a descriptor of the job isn't there")?;
    let report = harden(&job, &tree, &further, &[given.as_fd(), events.as_fd(), nothing.as_fd()]);
    match report.and_then(|report| if job.is_strict { report.require().map(|()| report) } else { Ok(report) }) {
        Ok(report) => messages::write_word(&mut events, &Word::Hardened(report))?,
        Err(error) => {
            messages::write_word(&mut events, &Word::Refused(error.to_string()))?;
            return Ok(Exit::Internal);
        }
    }
    match job.task {
        Task::Unpack => {
            let mut file = File::from(further.into_iter().next().context("the job has no archive")?);
            match archive::unpack(&mut io::BufReader::with_capacity(1 << 16, &mut file), tree.as_fd()) {
                Ok(unpacked) => messages::write_word(&mut events, &Word::Unpacked(unpacked))?,
                Err(error) => messages::write_word(&mut events, &Word::Refused(error.to_string()))?,
            }
            messages::write_word(&mut events, &Word::Done(Exit::Clean as u8))?;
            Ok(Exit::Clean)
        }
        Task::Command(task) => {
            if task.is_in_tree {
                rustix::process::fchdir(&tree).context("can't go to the tree")?;
            }
            let inside = INSIDE.get_or_init(|| Inside { task, events: Mutex::new(events), given: Mutex::new(given) });
            let exit = command(inside).unwrap_or_else(|error| terminal::report_error(&error));
            inside.word(&Word::Done(exit as u8))?;
            Ok(exit)
        }
    }
}

fn harden(
    job: &Job,
    tree: &OwnedFd,
    further: &[OwnedFd],
    pipes: &[BorrowedFd<'_>],
) -> Result<keyblind_harden::Report, keyblind_harden::HardenError> {
    let tree = [tree.as_fd()];
    let further: Vec<BorrowedFd<'_>> = further.iter().map(AsFd::as_fd).collect();
    match job.task {
        Task::Command(_) => {
            let readable: Vec<BorrowedFd<'_>> = tree.into_iter().chain(further).collect();
            leaf::enter(leaf::Leaf { parent: job.parent, keep: pipes, readable: &readable, writable: &[], limits: READING })
        }
        Task::Unpack => {
            let keep: Vec<BorrowedFd<'_>> = pipes.iter().copied().chain(further).collect();
            leaf::enter(leaf::Leaf { parent: job.parent, keep: &keep, readable: &[], writable: &tree, limits: UNPACKING })
        }
    }
}

/// Runs the command of the job: only those that read.
fn command(inside: &Inside) -> anyhow::Result<Exit> {
    let arguments = std::iter::once("keyblind").chain(inside.task.arguments.iter().map(String::as_str));
    let cli = Cli::try_parse_from(arguments).context("the job's command line can't be understood")?;
    match &cli.command {
        Command::Scan(_) => {}
        Command::Fix(fix) if !fix.writes() => {}
        _ => bail!("the job's command isn't one that only reads"),
    }
    commands::run(cli)
}

impl Inside {
    fn events(&self) -> MutexGuard<'_, File> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn word(&self, word: &Word) -> io::Result<()> {
        messages::write_word(&mut *self.events(), word)
    }

    /// How many threads there may be: what says so on this machine can't be read any more.
    pub(crate) fn threads(&self) -> usize {
        self.task.threads
    }

    /// Colour and width of standard output.
    pub(crate) fn output_look(&self) -> (bool, usize) {
        let Look { color, width } = self.task.output;
        (color, width)
    }

    /// Colour and width of standard error.
    pub(crate) fn errors_look(&self) -> (bool, usize) {
        let Look { color, width } = self.task.errors;
        (color, width)
    }

    pub(crate) fn shows_progress(&self) -> bool {
        self.task.shows_progress
    }

    /// Whether the scanned files are those of an archive.
    pub(crate) fn is_in_tree(&self) -> bool {
        self.task.is_in_tree
    }

    /// Where the one who asked is.
    pub(crate) fn current(&self) -> &Path {
        Path::new(&self.task.current)
    }

    /// Says lines on standard error.
    pub(crate) fn say(&self, text: &str) {
        let mut rest = text;
        // A long text in pieces: what isn't ASCII takes more room in a message.
        while !rest.is_empty() {
            let end = rest.floor_char_boundary(LARGEST / 8);
            // If nobody listens any more the process is about to end.
            let _ = self.word(&Word::Said(rest[..end].to_owned()));
            rest = &rest[end..];
        }
    }

    /// Writes to standard output.
    pub(crate) fn print(&self, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
        let mut out = BufWriter::with_capacity(64 * 1024, Pieces { inside: self, file: None });
        write(&mut out)?;
        out.flush()
    }

    /// Fills a file that the command line named.
    pub(crate) fn save(&self, path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
        let number = self.task.files.iter().position(|file| Path::new(file) == path).and_then(|number| u8::try_from(number).ok());
        let number = number
            .ok_or_else(|| io::Error::new(io::ErrorKind::PermissionDenied, "the sandbox writes only files that the command line names"))?;
        self.fill(number, write)
    }

    /// Fills a file by its number, where the command line doesn't name it.
    pub(crate) fn fill(&self, number: u8, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
        let mut out = BufWriter::with_capacity(64 * 1024, Pieces { inside: self, file: Some(number) });
        write(&mut out)?;
        out.flush()?;
        self.word(&Word::Whole(number))
    }

    /// The text on standard input.
    pub(crate) fn standard_input(&self, most: u64) -> io::Result<Vec<u8>> {
        self.word(&Word::Ask(Ask::StandardInput(most)))?;
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = Vec::new();
        loop {
            let piece = messages::read_answer(&mut *given)?;
            if piece.is_empty() {
                return Ok(text);
            }
            text.extend_from_slice(&piece);
        }
    }

    /// Asks a model.
    pub(crate) fn question(&self, question: &Question) -> io::Result<ModelAnswer> {
        self.word(&Word::Question(question.clone()))?;
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = Vec::new();
        loop {
            let piece = messages::read_answer(&mut *given)?;
            if piece.is_empty() {
                return Ok(serde_json::from_slice(&text)?);
            }
            text.extend_from_slice(&piece);
        }
    }

    /// Says how far a scan is.
    pub(crate) fn progress(&self, progress: Progress) {
        let step = match progress {
            Progress::Walking => Step::Walking,
            Progress::Parsing { files } => Step::Parsing(files),
            Progress::Judging { done, of } => Step::Judging(done, of),
        };
        // Who doesn't listen misses nothing.
        let _ = self.word(&Word::Progress(step));
    }

    /// Says for how many findings a fix was looked for.
    pub(crate) fn fixing(&self, done: usize, of: usize) {
        let _ = self.word(&Word::Progress(Step::Fixing(done, of)));
    }
}

/// Sends what is written to it.
struct Pieces<'i> {
    inside: &'i Inside,
    file: Option<u8>,
}

impl Write for Pieces<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut events = self.inside.events();
        match self.file {
            None => messages::write_output(&mut *events, bytes)?,
            Some(number) => messages::write_piece(&mut *events, number, bytes)?,
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
