//! Beside the leaf: starts it, gives it its job, and does for it what it can't: print, write reports, read standard input.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use keyblind_harden::{Child, Ended, Report, Start, null, start};
use keyblind_roles::Model as _;
use keyblind_scan::Progress;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::Signal;

use super::inert::{self, Inert};
pub(crate) use super::messages::Unpacked;
use super::messages::{Ask, CommandTask, Event, Job, Look, ModelAnswer, Step, Task, Word};
use super::{MOST_FURTHER, MOST_REPORTED, descriptor, messages};
use crate::arguments::{Global, Sandbox};
use crate::exit::{Exit, UsageError};
use crate::models::Direct;
use crate::output::Replacement;
use crate::progress::Bar;
use crate::terminal::{self, Stream};

/// A command that is to run in a leaf.
pub(crate) struct Confined<'c> {
    /// The directory that it may read, and everything beneath it.
    pub(crate) root: &'c Path,
    /// Whether relative paths begin there.
    pub(crate) is_in_tree: bool,
    /// Files and directories that the command line names beside it.
    pub(crate) further: Vec<PathBuf>,
    /// The files that it may fill.
    pub(crate) files: Vec<PathBuf>,
    /// Whether the command line names standard input: no leaf gets it otherwise.
    pub(crate) reads_input: bool,
    pub(crate) sandbox: Sandbox,
    pub(crate) global: Global,
    pub(crate) bar: &'c Bar,
    /// The way to models, if the command line asks for them: no leaf gets an answer otherwise.
    pub(crate) models: Option<Direct>,
}

/// Runs this process's own command line in a leaf.
///
/// # Errors
/// If the leaf can't be started, or ends without an answer.
pub(crate) fn run(confined: Confined<'_>) -> anyhow::Result<Exit> {
    let text = |text: std::ffi::OsString| {
        text.into_string().map_err(|text| UsageError::new(format_args!("the sandbox takes only UTF-8 arguments, and {text:?} is none")))
    };
    let arguments = std::env::args_os().skip(1).map(text).collect::<Result<_, _>>()?;
    let look = |stream: Stream| Look { color: terminal::use_color(confined.global.color, stream), width: terminal::width(stream) };
    let task = Task::Command(CommandTask {
        arguments,
        is_in_tree: confined.is_in_tree,
        threads: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        output: look(Stream::Output),
        errors: look(Stream::Errors),
        shows_progress: confined.bar.is_wanted(),
        current: std::env::current_dir().unwrap_or_default().to_string_lossy().into_owned(),
        files: confined.files.iter().map(|path| path.to_string_lossy().into_owned()).collect(),
    });
    let open = |path: &PathBuf| File::open(path).map_err(|error| UsageError::new(format_args!("can't open `{}`: {error}", path.display())));
    let further: Vec<File> = confined.further.iter().map(open).collect::<Result<_, _>>()?;
    // The directory that this process stands in is opened as what it is: its name may lead elsewhere by now.
    let is_here = std::env::current_dir().is_ok_and(|current| current == confined.root);
    let tree = File::open(if is_here { Path::new(".") } else { confined.root });
    let tree = tree.with_context(|| format!("can't open `{}`", confined.root.display()))?;
    let further: Vec<BorrowedFd<'_>> = further.iter().map(AsFd::as_fd).collect();
    let leaf = Leaf::start(task, confined.sandbox, tree.as_fd(), &further)?;
    let mut side = Side {
        global: confined.global,
        reads_input: confined.reads_input,
        bar: Some(confined.bar),
        files: Vec::new(),
        taken: 0,
        is_read: true,
        shown: None,
        unpacked: None,
        models: confined.models,
    };
    side.files = confined.files.iter().map(|path| (path.clone(), None)).collect();
    side.shown = io::stdout().is_terminal().then(Inert::default);
    let result = side.follow(leaf);
    confined.bar.finish();
    result
}

/// Unpacks an archive into a directory, in a leaf.
///
/// # Errors
/// What is wrong with the archive, or if the leaf can't be started.
pub(crate) fn unpack(archive: &File, name: &str, into: &Path, sandbox: Sandbox, global: Global) -> anyhow::Result<Unpacked> {
    let tree = File::open(into).with_context(|| format!("can't open `{}`", into.display()))?;
    let leaf = Leaf::start(Task::Unpack, sandbox, tree.as_fd(), &[archive.as_fd()])?;
    // What the kernel lacks is said by the leaf that scans.
    let global = Global { quiet: true, verbose: false, ..global };
    let mut side = Side {
        global,
        reads_input: false,
        bar: None,
        files: Vec::new(),
        taken: 0,
        is_read: true,
        shown: None,
        unpacked: None,
        models: None,
    };
    side.follow(leaf).with_context(|| format!("can't unpack {name}"))?;
    side.unpacked.ok_or_else(|| anyhow!("the sandboxed process said nothing about {name}"))
}

/// A leaf that has its job.
struct Leaf {
    child: Child,
    events: io::BufReader<File>,
    given: File,
}

impl Leaf {
    fn start(task: Task, sandbox: Sandbox, tree: BorrowedFd<'_>, further: &[BorrowedFd<'_>]) -> anyhow::Result<Self> {
        let count = u32::try_from(further.len()).unwrap_or(u32::MAX);
        if count > MOST_FURTHER {
            bail!(UsageError::new(format_args!("the sandbox takes at most {MOST_FURTHER} files and folders beside the scanned ones")));
        }
        let pipe = || pipe_with(PipeFlags::CLOEXEC).context("can't make a pipe");
        let ((their_given, given), (events, their_events)) = (pipe()?, pipe()?);
        let nothing: OwnedFd = null().context("can't open /dev/null")?;
        let mut descriptors: Vec<(BorrowedFd<'_>, RawFd)> = vec![
            (their_given.as_fd(), descriptor::GIVEN),
            (their_events.as_fd(), descriptor::EVENTS),
            (nothing.as_fd(), descriptor::NOTHING),
            (tree, descriptor::TREE),
        ];
        descriptors.extend(further.iter().copied().zip(descriptor::FURTHER..));
        // This very program, even if another lies at its path by now.
        let program = OsStr::new("/proc/self/exe");
        let arguments = [OsStr::new("keyblind"), OsStr::new("leaf")];
        let child = start(Start { program, arguments: &arguments, environment: &[], descriptors: &descriptors })
            .context("the sandboxed process can't be started")?;
        let mut given = File::from(given);
        let is_strict = sandbox == Sandbox::Required;
        messages::write_job(&mut given, &Job { parent: std::process::id(), is_strict, further: count, task })
            .context("the sandboxed process takes no job")?;
        Ok(Self { child, events: io::BufReader::with_capacity(1 << 16, File::from(events)), given })
    }
}

/// What is done for a leaf.
struct Side<'s> {
    global: Global,
    reads_input: bool,
    bar: Option<&'s Bar>,
    files: Vec<(PathBuf, Option<Replacement>)>,
    /// Bytes taken for reports.
    taken: u64,
    /// Whether somebody still reads standard output.
    is_read: bool,
    /// Set if standard output is a terminal.
    shown: Option<Inert>,
    unpacked: Option<Unpacked>,
    /// The way to models.
    models: Option<Direct>,
}

impl Side<'_> {
    /// Does what the leaf asks for until it is done.
    fn follow(&mut self, mut leaf: Leaf) -> anyhow::Result<Exit> {
        let mut exit = None;
        let mut is_hardened = false;
        while let Some(event) = messages::read_event(&mut leaf.events).context("the sandboxed process sent what can't be understood")? {
            match event {
                Event::Word(Word::Hardened(report)) => {
                    is_hardened = true;
                    self.tell(&report);
                }
                Event::Word(Word::Refused(reason)) => bail!("{}", inert::clean(&reason)),
                _ if !is_hardened => bail!("the sandboxed process began before it was hardened"),
                Event::Word(Word::Said(text)) => terminal::say(inert::clean(&text)),
                Event::Word(Word::Progress(step)) => self.show(step),
                Event::Word(Word::Ask(Ask::StandardInput(most))) if self.reads_input => answer(&mut leaf.given, most)?,
                Event::Word(Word::Ask(_)) => bail!("the sandboxed process asks for an input that the command line doesn't name"),
                Event::Word(Word::Question(question)) => {
                    let Some(models) = &mut self.models else {
                        bail!("the sandboxed process asks a model, which the command line doesn't")
                    };
                    let answer: ModelAnswer = models.ask(&question);
                    answer_model(&mut leaf.given, &answer)?;
                }
                Event::Word(Word::Unpacked(unpacked)) => self.unpacked = Some(unpacked),
                Event::Word(Word::Whole(number)) => {
                    let (path, file) = self.file(number)?;
                    let whole = file.take().map_or_else(|| Replacement::begin(path), Ok);
                    whole.and_then(Replacement::finish).with_context(|| format!("can't write `{}`", path.display()))?;
                }
                Event::Word(Word::Done(code)) => {
                    exit = Exit::of(code);
                    break;
                }
                Event::Output(bytes) => self.print(&bytes)?,
                Event::Piece(number, bytes) => {
                    self.take(bytes.len())?;
                    let (path, file) = self.file(number)?;
                    let written = match file {
                        Some(file) => file.write_all(&bytes),
                        None => Replacement::begin(path).and_then(|mut begun| {
                            begun.write_all(&bytes)?;
                            *file = Some(begun);
                            Ok(())
                        }),
                    };
                    written.with_context(|| format!("can't write `{}`", path.display()))?;
                }
            }
        }
        let held = self.shown.as_mut().map(Inert::finish).unwrap_or_default();
        self.write(&held)?;
        if let Some(exit) = exit {
            return Ok(exit);
        }
        let ended = leaf.child.wait().context("can't wait for the sandboxed process")?;
        Err(anyhow!("the sandboxed process ended before it was done: {}", reason(ended)))
    }

    /// Names what this kernel doesn't enforce; everything else only if somebody wants to know.
    fn tell(&self, report: &Report) {
        if self.global.verbose {
            report.entries.iter().for_each(|entry| terminal::say(format_args!("sandbox: {entry}")));
            terminal::say(format_args!("sandbox: {}", report.ptrace_scope));
        } else if !self.global.quiet {
            report.missing().for_each(|entry| terminal::say(format_args!("sandbox: {entry}")));
        }
    }

    fn show(&self, step: Step) {
        let Some(bar) = self.bar else { return };
        match step {
            Step::Walking => bar.update(Progress::Walking),
            Step::Parsing(files) => bar.update(Progress::Parsing { files }),
            Step::Judging(done, of) => bar.update(Progress::Judging { done, of }),
            Step::Fixing(done, of) => bar.fixing(done, of),
        }
    }

    fn file(&mut self, number: u8) -> anyhow::Result<(&Path, &mut Option<Replacement>)> {
        let (path, file) = self.files.get_mut(usize::from(number)).context("the sandboxed process fills a file that nobody asked for")?;
        Ok((path, file))
    }

    fn take(&mut self, bytes: usize) -> anyhow::Result<()> {
        self.taken = self.taken.saturating_add(bytes as u64);
        if self.taken > MOST_REPORTED {
            bail!("the sandboxed process reports more than {MOST_REPORTED} bytes");
        }
        Ok(())
    }

    fn print(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.take(bytes.len())?;
        match &mut self.shown {
            Some(inert) => {
                let shown = inert.clean(bytes);
                self.write(&shown)
            }
            None => self.write(bytes),
        }
    }

    /// That nobody reads on is no error: the exit code still counts.
    fn write(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        if !self.is_read {
            return Ok(());
        }
        if let Some(bar) = self.bar {
            bar.finish();
        }
        let mut out = io::stdout().lock();
        match out.write_all(bytes).and_then(|()| out.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.is_read = false;
                Ok(())
            }
            result => result.context("can't write to standard output"),
        }
    }
}

/// Gives the text on standard input, in pieces.
fn answer(given: &mut File, most: u64) -> anyhow::Result<()> {
    let mut input = io::stdin().lock().take(most);
    let mut piece = vec![0; 64 * 1024];
    loop {
        let length = input.read(&mut piece).context("can't read standard input")?;
        messages::write_answer(given, &piece[..length]).context("the sandboxed process takes no answer")?;
        if length == 0 {
            return Ok(());
        }
    }
}

/// Gives what came back from a model, in pieces.
fn answer_model(given: &mut File, answer: &ModelAnswer) -> anyhow::Result<()> {
    let text = serde_json::to_vec(answer)?;
    for piece in text.chunks(messages::LARGEST).chain([&[][..]]) {
        messages::write_answer(given, piece).context("the sandboxed process takes no answer")?;
    }
    Ok(())
}

/// Why a leaf ended, in words.
fn reason(ended: Ended) -> String {
    match ended {
        ended if ended.is_forbidden_call() => {
            "it tried a system call that it may never make, and was stopped; the scanned files may be hostile".to_owned()
        }
        Ended::Killed(signal) if signal == Signal::KILL.as_raw() || signal == Signal::XCPU.as_raw() => {
            "it was stopped, for its processor time or for want of memory".to_owned()
        }
        Ended::Killed(signal) => format!("signal {signal} ended it"),
        Ended::Exited(code) => format!("it ended by itself with code {code}"),
    }
}
