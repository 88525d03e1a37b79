//! Starts the scanner: one process a job, with an empty environment, which is killed when its job ends, or the runner does.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::oneshot;

use crate::{Event, Progress};

/// The longest line of the scanner's messages that is passed on.
const LONGEST_LINE: usize = 2_000;
/// How many lines of messages are passed on.
const MOST_LINES: usize = 200;

/// How the scanner is started.
#[derive(Clone, Debug)]
pub struct Leaf {
    /// The program `keyblind`.
    pub program: PathBuf,
    /// What it is told about its sandbox: `required`, or `available` where the administrator says so.
    pub sandbox: &'static str,
    /// How long it may take.
    pub time: Duration,
    /// How many bytes of output it may have.
    pub output: usize,
}

/// What the scanner said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Its exit code.
    pub code: i32,
    /// Its standard output.
    pub bytes: Vec<u8>,
    /// The last of its messages.
    pub last: String,
}

/// Why the scanner gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum LeafError {
    /// It can't be started.
    #[error("`{program}` can't be started: {reason}")]
    Start {
        /// Which program.
        program: PathBuf,
        /// Why.
        reason: std::io::Error,
    },
    /// Its pipes failed.
    #[error("the scanner's output can't be read: {0}")]
    Pipe(std::io::Error),
    /// It took longer than it may.
    #[error("the scanner took longer than {} s", .0.as_secs())]
    Time(Duration),
    /// It printed more than it may.
    #[error("the scanner printed more than {0} bytes")]
    Output(usize),
    /// A signal ended it.
    #[error("the scanner was killed, perhaps for the memory that it took")]
    Killed,
}

impl Leaf {
    /// Runs a command of the scanner to its end; its messages become events. `given` is its standard input: the directory or the file that it
    /// works on, as a descriptor, so that no name is opened twice. If the future is dropped, the process is killed.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn run(&self, arguments: &[OsString], given: OwnedFd, progress: &Progress) -> Result<Output, LeafError> {
        let mut command = Command::new(&self.program);
        command.args(arguments).arg(format!("--sandbox={}", self.sandbox)).args(["--color", "never"]);
        // Should this process be killed, the scanner is as well.
        command.arg(format!("--parent={}", std::process::id()));
        command.env_clear().current_dir("/").kill_on_drop(true);
        // What is sent to the runner's group, like Ctrl-C, is the runner's to hear: it ends its steps first.
        command.process_group(0);
        command.stdin(Stdio::from(given)).stdout(Stdio::piped()).stderr(Stdio::piped());
        let start = |reason| LeafError::Start { program: self.program.clone(), reason };
        let mut child = start_from_lasting_thread(command).await.map_err(start)?;
        let (Some(output), Some(errors)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(LeafError::Pipe(std::io::ErrorKind::BrokenPipe.into()));
        };
        let work = async {
            let (bytes, last) = tokio::try_join!(read(output, self.output), listen(errors, progress))?;
            let status = child.wait().await.map_err(LeafError::Pipe)?;
            let code = status.code().ok_or(LeafError::Killed)?;
            Ok(Output { code, bytes, last })
        };
        tokio::time::timeout(self.time, work).await.unwrap_or(Err(LeafError::Time(self.time)))
    }
}

/// A process that is to be started, and who wants it.
struct Job {
    command: Command,
    runtime: tokio::runtime::Handle,
    started: oneshot::Sender<std::io::Result<Child>>,
}

/// Starts a process from a thread that lives as long as this process: the kernel ends a child that asked for it with the *thread* that
/// started it (prctl(2), `PR_SET_PDEATHSIG`), and a runtime's threads come and go.
async fn start_from_lasting_thread(command: Command) -> std::io::Result<Child> {
    static STARTER: OnceLock<Option<Sender<Job>>> = OnceLock::new();
    let starter = STARTER.get_or_init(|| {
        let (jobs, waiting) = channel::<Job>();
        let thread = std::thread::Builder::new().name("starter".to_owned()).spawn(move || {
            for mut job in waiting {
                let _runtime = job.runtime.enter();
                // Who wanted it may be gone: then it is killed with the answer.
                let _ = job.started.send(job.command.spawn());
            }
        });
        thread.ok().map(|_| jobs)
    });
    let gone = || std::io::Error::other("the thread that starts processes isn't there");
    let (started, answer) = oneshot::channel();
    let job = Job { command, runtime: tokio::runtime::Handle::current(), started };
    starter.as_ref().ok_or_else(gone)?.send(job).map_err(|_| gone())?;
    answer.await.map_err(|_| gone())?
}

async fn read(output: impl AsyncRead + Unpin, most: usize) -> Result<Vec<u8>, LeafError> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    output.take(limit).read_to_end(&mut bytes).await.map_err(LeafError::Pipe)?;
    if bytes.len() > most { Err(LeafError::Output(most)) } else { Ok(bytes) }
}

async fn listen(errors: impl AsyncRead + Unpin, progress: &Progress) -> Result<String, LeafError> {
    let mut reader = BufReader::new(errors);
    let (mut last, mut told) = (String::new(), 0_usize);
    loop {
        let mut line = Vec::new();
        let most = u64::try_from(LONGEST_LINE).unwrap_or(u64::MAX);
        // What is longer comes as several lines.
        let count = (&mut reader).take(most).read_until(b'\n', &mut line).await.map_err(LeafError::Pipe)?;
        if count == 0 {
            return Ok(last);
        }
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        if text.is_empty() {
            continue;
        }
        last.clone_from(&text);
        told += 1;
        if told <= MOST_LINES {
            progress.tell(Event::Said { line: text }).await;
        }
    }
}
