//! The way to the broker: the relay as a child, frames on two pipes, bulk bytes in a file. This program opens no socket and sees no credential.

mod words;

use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::fd::AsFd as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use keyblind_harden::{Child, Start, start};
use keyblind_intent::{Answer, Bulk, Decoder, Frame, Kind, Outcome, Request, RequestId, decode, encode};
use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;

use self::words::refused;
pub(crate) use self::words::unwelcome;
use crate::beside;
use crate::exit::UsageError;

/// The descriptors that the relay has the files for bulk bytes under: those of answers, and those of requests.
const ANSWERED: i32 = 3;
const ATTACHED: i32 = 4;

/// What of the environment says where the broker is.
const VARIABLES: &[&str] = &["HOME", "XDG_RUNTIME_DIR", "XDG_STATE_HOME", "KEYBLIND_BROKER_SOCKET", "KEYBLIND_BROKER_CONFIG"];

/// A connection to the broker. The relay ends when it is dropped.
pub(crate) struct Broker {
    _relay: Child,
    to: PipeWriter,
    from: PipeReader,
    decoder: Decoder,
    answered: NamedTempFile,
    attached: NamedTempFile,
}

impl Broker {
    /// Starts the relay, which connects.
    ///
    /// # Errors
    /// If there is no relay, no broker, or the broker doesn't want this user.
    pub(crate) fn connect() -> anyhow::Result<Self> {
        let program = beside::program("keyblind-broker", "it is what may touch credentials")?;
        let file =
            || tempfile::Builder::new().prefix("keyblind-").tempfile().context("can't make a file for what goes to the broker and back");
        let (answered, attached) = (file()?, file()?);
        let (input, to) = io::pipe()?;
        let (from, output) = io::pipe()?;
        let environment: Vec<(&str, String)> = VARIABLES.iter().filter_map(|name| Some((*name, std::env::var(name).ok()?))).collect();
        let environment: Vec<(&str, &str)> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let numbers = [ANSWERED.to_string(), ATTACHED.to_string()];
        let arguments =
            [program.as_os_str(), "relay".as_ref(), "--answered".as_ref(), numbers[0].as_ref(), "--attached".as_ref(), numbers[1].as_ref()];
        let relay = start(Start {
            program: program.as_os_str(),
            arguments: &arguments,
            environment: &environment,
            descriptors: &[
                (input.as_fd(), 0),
                (output.as_fd(), 1),
                (answered.as_file().as_fd(), ANSWERED),
                (attached.as_file().as_fd(), ATTACHED),
            ],
        })
        .with_context(|| format!("can't start `{}`", program.display()))?;
        drop((input, output));
        let mut broker = Self { _relay: relay, to, from, decoder: Decoder::new(), answered, attached };
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
        self.exchange(request, None)
    }

    /// Asks for something that bulk bytes go with.
    ///
    /// # Errors
    /// See [`Self::ask`].
    pub(crate) fn ask_with(&mut self, request: &Request, attached: &[u8]) -> anyhow::Result<Answer> {
        self.exchange(request, Some(attached))
    }

    fn exchange(&mut self, request: &Request, attached: Option<&[u8]>) -> anyhow::Result<Answer> {
        let id = random_id()?;
        let mut frames = Vec::new();
        if let Some(bytes) = attached {
            // The relay reads the file when the frame comes that announces it.
            let file: &mut File = self.attached.as_file_mut();
            let written = file.set_len(0).and_then(|()| file.seek(SeekFrom::Start(0))).and_then(|_| file.write_all(bytes));
            written.context("what goes with the request can't be written")?;
            frames.extend(Frame::new(Kind::Bulk, id, (bytes.len() as u64).to_be_bytes().to_vec())?.to_bytes());
        }
        frames.extend(Frame::new(Kind::Request, id, encode(request)?)?.to_bytes());
        self.to.write_all(&frames).context("the broker can't be asked any more")?;
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
                // One that isn't about this request ends the connection.
                Kind::Refused if frame.id() == id => return Ok(Answer::Outcome(Outcome::Refused(decode(frame.payload())?))),
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

fn random_id() -> anyhow::Result<RequestId> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes)).context("there are no random numbers")?;
    Ok(RequestId::from_bytes(bytes))
}
