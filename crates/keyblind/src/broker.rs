//! The way to the broker: the relay as a child, frames on two pipes, bulk bytes in a file. This program opens no socket and sees no credential.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use keyblind_harden::{Child, Start, start};
use keyblind_intent::{
    Answer, Bulk, ConnectionState, Decoder, Frame, Kind, Missing, Outcome, Provider, Refusal, Request, RequestId, decode, encode,
};
use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;

use crate::exit::UsageError;

/// The descriptor that the relay has the file for bulk bytes under.
const ANSWERED: i32 = 3;

/// What of the environment says where the broker is.
const VARIABLES: &[&str] = &["HOME", "XDG_RUNTIME_DIR", "XDG_STATE_HOME", "KEYBLIND_BROKER_SOCKET", "KEYBLIND_BROKER_CONFIG"];

/// A connection to the broker. The relay ends when it is dropped.
pub(crate) struct Broker {
    _relay: Child,
    to: PipeWriter,
    from: PipeReader,
    decoder: Decoder,
    answered: NamedTempFile,
}

impl Broker {
    /// Starts the relay, which connects.
    ///
    /// # Errors
    /// If there is no relay, no broker, or the broker doesn't want this user.
    pub(crate) fn connect() -> anyhow::Result<Self> {
        let program = program()?;
        let answered =
            tempfile::Builder::new().prefix("keyblind-").tempfile().context("can't make a file for what the broker hands over")?;
        let (input, to) = io::pipe()?;
        let (from, output) = io::pipe()?;
        let environment: Vec<(&str, String)> = VARIABLES.iter().filter_map(|name| Some((*name, std::env::var(name).ok()?))).collect();
        let environment: Vec<(&str, &str)> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let number = ANSWERED.to_string();
        let arguments = [program.as_os_str(), OsStr::new("relay"), OsStr::new("--answered"), OsStr::new(&number)];
        let relay = start(Start {
            program: program.as_os_str(),
            arguments: &arguments,
            environment: &environment,
            descriptors: &[(input.as_fd(), 0), (output.as_fd(), 1), (answered.as_file().as_fd(), ANSWERED)],
        })
        .with_context(|| format!("can't start `{}`", program.display()))?;
        drop((input, output));
        let mut broker = Self { _relay: relay, to, from, decoder: Decoder::new(), answered };
        match broker.receive()? {
            None => Err(UsageError::new("no broker answers: start one with `keyblind-broker run`").into()),
            Some(frame) if frame.kind() == Kind::Welcome => Ok(broker),
            Some(frame) if frame.kind() == Kind::Refused => Err(refused(decode(frame.payload())?)),
            Some(_) => bail!("the broker didn't greet back"),
        }
    }

    /// Asks, and waits for the answer. The bulk bytes that it announces are checked against their digest.
    ///
    /// # Errors
    /// If the broker refuses, goes away, or hands over something else than it says.
    pub(crate) fn ask(&mut self, request: &Request) -> anyhow::Result<Answer> {
        let id = random_id()?;
        let frame = Frame::new(Kind::Request, id, encode(request)?)?;
        self.to.write_all(&frame.to_bytes()).context("the broker can't be asked any more")?;
        loop {
            let frame = self.receive()?.context("the broker went away before it answered")?;
            match frame.kind() {
                // The bytes are in the file already; how many there must be is in the answer.
                Kind::Bulk if frame.id() == id => {}
                Kind::Answer if frame.id() == id => {
                    let answer: Answer = decode(frame.payload())?;
                    if let Answer::Outcome(outcome) = &answer
                        && let Some(bulk) = outcome.attached()
                    {
                        self.check(bulk)?;
                    }
                    return Ok(answer);
                }
                Kind::Refused => return Err(refused(decode(frame.payload())?)),
                kind => bail!("the broker sent a frame out of order ({kind:?})"),
            }
        }
    }

    /// The file with the bulk bytes of the last answer.
    pub(crate) fn file(&self) -> &Path {
        self.answered.path()
    }

    fn check(&mut self, bulk: Bulk) -> anyhow::Result<()> {
        let file: &mut File = self.answered.as_file_mut();
        file.seek(SeekFrom::Start(0))?;
        let mut digest = Sha256::new();
        let bytes = io::copy(file, &mut HashWriter(&mut digest))?;
        let found: [u8; 32] = digest.finalize().into();
        anyhow::ensure!(
            bytes == bulk.bytes.get() && found == *bulk.digest.as_bytes(),
            "the broker handed over other bytes than it announced"
        );
        Ok(())
    }

    fn receive(&mut self) -> anyhow::Result<Option<Frame>> {
        let mut buffer = [0; 1 << 14];
        loop {
            if let Some(frame) = self.decoder.next_frame()? {
                return Ok(Some(frame));
            }
            match self.from.read(&mut buffer) {
                Ok(0) => return Ok(None),
                Ok(count) => self.decoder.push(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error).context("the broker's answer can't be read"),
            }
        }
    }
}

struct HashWriter<'d>(&'d mut Sha256);

impl io::Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The broker's program: beside this one, or on the path.
fn program() -> anyhow::Result<PathBuf> {
    const NAME: &str = "keyblind-broker";
    let beside = std::env::current_exe().ok().and_then(|own| Some(own.parent()?.join(NAME)));
    let path: OsString = std::env::var_os("PATH").unwrap_or_default();
    // A relative folder on the path would let a repository bring a program of this name.
    let on_path = std::env::split_paths(&path).filter(|folder| folder.is_absolute()).map(|folder| folder.join(NAME));
    beside.into_iter().chain(on_path).find(|program| program.is_file()).ok_or_else(|| {
        UsageError::new("`keyblind-broker` is neither beside this program nor on the PATH: it is what may touch credentials").into()
    })
}

fn random_id() -> anyhow::Result<RequestId> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes)).context("there are no random numbers")?;
    Ok(RequestId::from_bytes(bytes))
}

fn refused(refusal: Refusal) -> anyhow::Error {
    let what = match refusal {
        Refusal::UnknownPeer => "the broker doesn't know this user: add a [[peer]] to its configuration",
        Refusal::BadToken => "the broker wants a one-time token from this user: it was made for other programs",
        Refusal::NotAllowed => "the broker doesn't let this user ask for that",
        Refusal::Halted => "the broker is stopped: `keyblind-broker arm` takes up work again",
        Refusal::Busy => "the broker is busy: try again",
        Refusal::ShuttingDown => "the broker is stopping",
        Refusal::TimedOut => "it took the broker too long",
        Refusal::BeyondLimit => "that is more than the broker takes",
        other => return anyhow::anyhow!("the broker refused ({other:?})"),
    };
    UsageError::new(what).into()
}

/// Why an outcome isn't what was hoped for, as an error.
pub(crate) fn unwelcome(outcome: &Outcome) -> anyhow::Error {
    match outcome {
        Outcome::Refused(refusal) => refused(*refusal),
        Outcome::NotConfigured { missing } => {
            UsageError::new(format_args!("not configured: the broker has no {}", lacking(*missing))).into()
        }
        Outcome::NotReady { provider, state } => {
            let name = name(*provider);
            let what = match state {
                ConnectionState::NotConnected => format!("{name} isn't connected: `keyblind connect {}`", command_name(*provider)),
                ConnectionState::Expired => format!("{name} must be connected again: `keyblind connect {}`", command_name(*provider)),
                ConnectionState::ScopeMissing => format!("the connection with {name} lacks a permission: connect it again and grant it"),
                ConnectionState::SecondFactorRequired => format!("{name} wants a second factor: connect it again"),
                ConnectionState::RateLimited => format!("{name} asks to wait: try again later"),
                ConnectionState::OperatorError => format!("the set-up at {name} is wrong: `keyblind-broker doctor` says where"),
                ConnectionState::Connected => format!("{name} is connected, and yet it didn't work: try again"),
            };
            UsageError::new(what).into()
        }
        Outcome::Failed { failure, status, said, .. } => {
            let status = status.map(|status| format!(", status {status}")).unwrap_or_default();
            let said = said.as_ref().map(|said| format!(": {}", said.for_terminal())).unwrap_or_default();
            anyhow::anyhow!("the provider didn't do it ({failure:?}{status}){said}")
        }
        other => anyhow::anyhow!("the broker answered something else than was asked ({other:?})"),
    }
}

fn lacking(missing: Missing) -> String {
    match missing {
        Missing::Provider(provider) => format!("{} set up", name(provider)),
        Missing::Connection => "connection of that name".to_owned(),
        Missing::Channel => "channel of that name".to_owned(),
        Missing::ModelRole => "model for that".to_owned(),
        Missing::Registry => "module registry of that name".to_owned(),
        Missing::Approvals => "way to approve".to_owned(),
        Missing::Door => "pages of its own".to_owned(),
        Missing::Setting(setting) => format!("{setting:?}"),
    }
}

fn name(provider: Provider) -> &'static str {
    match provider {
        Provider::Github => "GitHub",
        Provider::Aws => "AWS",
        Provider::Slack => "Slack",
        Provider::Auth0 => "Auth0",
        Provider::Oidc => "OpenID provider",
        Provider::Model => "model",
    }
}

fn command_name(provider: Provider) -> &'static str {
    match provider {
        Provider::Github => "github",
        Provider::Aws => "aws",
        Provider::Slack => "slack",
        Provider::Auth0 => "auth0",
        Provider::Oidc => "oidc",
        Provider::Model => "model",
    }
}
