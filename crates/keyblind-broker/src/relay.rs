//! The relay: frames from a pipe to the socket, or to a broker on another machine, and back, for a program that can't open one. It holds no authority, looks into no document,
//! and dies with either side.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::fd::{OwnedFd, RawFd};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use keyblind_broker::socket::{BulkFile, Client, ClientError};
use keyblind_intent::{Decoder, Frame, Kind, Refusal, RequestId, encode, limits};

use crate::configuration::{ConnectError, Way};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The inherited descriptor of an open file that gets the bulk bytes of answers.
    #[arg(long, value_name = "NUMBER")]
    answered: Option<RawFd>,
    /// The inherited descriptor of an open file that holds the bulk bytes of requests.
    #[arg(long, value_name = "NUMBER")]
    attached: Option<RawFd>,
    /// The inherited descriptor from which the one-time token is read.
    #[arg(long, value_name = "NUMBER")]
    token: Option<RawFd>,
}

pub(crate) fn run(way: &Way, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let answered = arguments.answered.map(inherited).transpose()?;
    let mut attached = arguments.attached.map(inherited).transpose()?;
    let token = match arguments.token {
        Some(number) => read_token(inherited(number)?)?,
        None => Vec::new(),
    };
    let mut client = match way.connect(&token) {
        Ok(client) => client,
        Err(ConnectError::Client(ClientError::Refused(refusal))) => {
            // Whoever started the relay reads frames, so it is told in one.
            write_frame(&Frame::new(Kind::Refused, NOBODY, encode(&refusal)?)?)?;
            return Ok(ExitCode::from(3));
        }
        Err(error) => return Err(error.into()),
    };
    write_frame(&Frame::new(Kind::Welcome, NOBODY, Vec::new())?)?;
    let sender = client.sender()?;
    std::thread::Builder::new().name("relay".to_owned()).spawn(move || {
        let ended = send(&sender, attached.as_mut());
        if let Err(error) = &ended {
            crate::say(format_args!("error: {error:#}"));
        }
        // Nobody asks any more: what the broker still does for this connection is dropped.
        let _ = sender.close();
    })?;
    receive(&mut client, answered)
}

const NOBODY: RequestId = RequestId::from_bytes([0; 16]);

fn inherited(number: RawFd) -> anyhow::Result<File> {
    let descriptor: OwnedFd = keyblind_harden::inherited(number).with_context(|| format!("there is no inherited descriptor {number}"))?;
    Ok(File::from(descriptor))
}

fn read_token(file: File) -> anyhow::Result<Vec<u8>> {
    let mut token = Vec::with_capacity(32);
    file.take(33).read_to_end(&mut token)?;
    anyhow::ensure!(token.len() == 32, "a one-time token has 32 bytes, not {}", token.len());
    Ok(token)
}

fn write_frame(frame: &Frame) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(&frame.to_bytes())?;
    out.flush()
}

/// From standard input to the socket. Bulk bytes are copied into sealed memory first: the broker takes nothing else.
fn send(client: &Client, mut attached: Option<&mut File>) -> anyhow::Result<()> {
    let (mut input, mut decoder, mut buffer) = (std::io::stdin().lock(), Decoder::new(), vec![0; 1 << 16]);
    loop {
        while let Some(frame) = decoder.next_frame()? {
            if frame.kind() == Kind::Bulk {
                let file = attached.as_mut().context("a request has bulk bytes, and no descriptor was given for them (--attached)")?;
                file.seek(SeekFrom::Start(0))?;
                let bytes =
                    frame.payload().try_into().map(u64::from_be_bytes).context("an announcement of bulk bytes holds their number")?;
                let bulk = BulkFile::copied(&mut file.take(bytes), limits::ATTACHED_BYTES)?;
                client.send_bulk(frame.id(), &bulk)?;
            } else {
                client.send(&frame)?;
            }
        }
        match input.read(&mut buffer)? {
            0 => return Ok(()),
            count => decoder.push(&buffer[..count]),
        }
    }
}

/// From the socket to standard output. Bulk bytes are in the file before the frame that announces them is passed on.
fn receive(client: &mut Client, mut answered: Option<File>) -> anyhow::Result<ExitCode> {
    loop {
        let (frame, descriptor) = match client.receive() {
            Ok(received) => received,
            Err(ClientError::Ended) => return Ok(ExitCode::SUCCESS),
            Err(ClientError::Broken(error)) if error.kind() == std::io::ErrorKind::ConnectionReset => return Ok(ExitCode::SUCCESS),
            Err(error) => return Err(error.into()),
        };
        if let Some(descriptor) = descriptor {
            let Some(target) = &mut answered else {
                write_frame(&Frame::new(Kind::Refused, frame.id(), encode(&Refusal::BadBulk)?)?)?;
                anyhow::bail!("an answer has bulk bytes, and no descriptor was given for them (--answered)");
            };
            let bytes = frame.payload().try_into().map(u64::from_be_bytes).context("an announcement of bulk bytes holds their number")?;
            target.set_len(0)?;
            target.seek(SeekFrom::Start(0))?;
            let mut source = File::from(descriptor);
            source.seek(SeekFrom::Start(0))?;
            let copied = std::io::copy(&mut source.take(bytes.min(limits::ANSWERED_BYTES)), target)?;
            anyhow::ensure!(copied == bytes, "the broker announced {bytes} bytes and handed {copied} over");
            target.seek(SeekFrom::Start(0))?;
        }
        write_frame(&frame)?;
    }
}
