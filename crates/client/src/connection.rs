//! One connection: its greeting, its questions and their answers.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use keyblind_intent::{
    Answer, Count, Decoder, DocumentError, Frame, FrameError, Handle, Kind, Refusal, Request, RequestId, decode, encode,
};
use zeroize::Zeroizing;

use crate::bulk::{BulkError, BulkFile};
use crate::descriptors;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// Nobody listens there.
    #[error("no broker answers at `{path}`: {source}; start one with `keyblind-broker run`")]
    NotRunning {
        /// Where.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// The connection broke.
    #[error("the connection to the broker broke: {0}")]
    Broken(#[from] io::Error),
    /// A broker on another machine isn't reached, or isn't believed.
    #[error("the broker at `{address}` isn't reached: {source}")]
    Unreachable {
        /// Where.
        address: String,
        /// What was said.
        source: io::Error,
    },
    /// The connection to another machine ended, and it was said why.
    #[error("the connection to the broker ended: {0}")]
    Cut(String),
    /// The broker went away.
    #[error("the broker ended the connection")]
    Ended,
    /// What came isn't the protocol.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// What came isn't a document of its kind.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// The broker refused.
    #[error("the broker refused: {0:?}")]
    Refused(Refusal),
    /// The bulk bytes aren't what was announced.
    #[error(transparent)]
    Bulk(#[from] BulkError),
    /// Something came that can't come now.
    #[error("the broker sent a frame out of order")]
    OutOfOrder,
}

/// A connection whose greeting was taken.
pub struct Client {
    stream: UnixStream,
    decoder: Decoder,
    descriptors: VecDeque<OwnedFd>,
    next_token: Option<Zeroizing<Vec<u8>>>,
    /// Why the connection to another machine ended.
    ended: Option<Arc<OnceLock<String>>>,
}

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The request.
    pub request: &'a Request,
    /// For whom, if it is somebody who logged in at the broker's pages.
    pub behalf: Option<&'a Handle>,
    /// The bulk bytes that the request announces.
    pub attached: Option<&'a BulkFile>,
}

impl Client {
    /// Connects and greets. The token is empty where none is needed.
    ///
    /// # Errors
    /// If nobody listens, or the greeting is refused.
    pub fn connect(path: &Path, token: &[u8]) -> Result<Self, ClientError> {
        let stream = UnixStream::connect(path).map_err(|source| ClientError::NotRunning { path: path.display().to_string(), source })?;
        Self::over(stream, token, None)
    }

    /// Greets over a connection that is there. Where it leads to another machine, `ended` is told why it ended, before it does.
    ///
    /// # Errors
    /// If the greeting is refused, or the connection ends.
    pub fn over(stream: UnixStream, token: &[u8], ended: Option<Arc<OnceLock<String>>>) -> Result<Self, ClientError> {
        let mut client = Self { stream, decoder: Decoder::new(), descriptors: VecDeque::new(), next_token: None, ended };
        // A broker that refuses may have closed already: what it said is read all the same.
        let sent = client.send(&Frame::new(Kind::Hello, RequestId::from_bytes([0; 16]), token.to_vec())?);
        loop {
            let (frame, _) = match client.receive() {
                Ok(received) => received,
                Err(error @ ClientError::Cut(_)) => return Err(error),
                Err(error) => return Err(sent.err().map_or(error, ClientError::Broken)),
            };
            match frame.kind() {
                Kind::Token => client.next_token = Some(Zeroizing::new(frame.into_payload())),
                Kind::Welcome => return Ok(client),
                Kind::Refused => return Err(ClientError::Refused(decode(frame.payload())?)),
                _ => return Err(ClientError::OutOfOrder),
            }
        }
    }

    /// The token for the next connection, if this one needed one.
    pub fn take_next_token(&mut self) -> Option<Zeroizing<Vec<u8>>> {
        self.next_token.take()
    }

    /// Sends a frame.
    ///
    /// # Errors
    /// If the connection broke.
    pub fn send(&self, frame: &Frame) -> io::Result<()> {
        send_all(&self.stream, &frame.to_bytes(), None)
    }

    /// Announces bulk bytes for the request of that id, which comes next.
    ///
    /// # Errors
    /// If the connection broke.
    pub fn send_bulk(&self, id: RequestId, bulk: &BulkFile) -> io::Result<()> {
        send_all(&self.stream, &announcement(id, bulk.bulk().bytes), Some(bulk.as_fd()))
    }

    /// Receives a frame, and the descriptor if it announces bulk bytes.
    ///
    /// # Errors
    /// If the connection broke, or what came isn't the protocol.
    pub fn receive(&mut self) -> Result<(Frame, Option<OwnedFd>), ClientError> {
        let mut buffer = vec![0; 1 << 16];
        loop {
            if let Some(frame) = self.decoder.next_frame()? {
                let descriptor = match frame.kind() {
                    Kind::Bulk => Some(self.descriptors.pop_front().ok_or(ClientError::OutOfOrder)?),
                    _ => None,
                };
                return Ok((frame, descriptor));
            }
            match descriptors::receive(&self.stream, &mut buffer, &mut self.descriptors) {
                Ok(0) => return Err(self.cut().unwrap_or(ClientError::Ended)),
                Ok(count) => self.decoder.push(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // What was still to be read by the other side makes an end look like a break.
                Err(error) => return Err(self.cut().unwrap_or_else(|| error.into())),
            }
        }
    }

    /// What was said of the end of a connection to another machine.
    fn cut(&self) -> Option<ClientError> {
        self.ended.as_ref().and_then(|ended| ended.get().cloned()).map(ClientError::Cut)
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// If the broker refuses, or the connection breaks.
    pub fn ask(&mut self, request: &Request, attached: Option<&BulkFile>) -> Result<(Answer, Option<BulkFile>), ClientError> {
        self.put(Question { request, behalf: None, attached })
    }

    /// Asks, for somebody perhaps, and waits for the answer.
    ///
    /// # Errors
    /// If the broker refuses, or the connection breaks.
    pub fn put(&mut self, question: Question<'_>) -> Result<(Answer, Option<BulkFile>), ClientError> {
        let Question { request, behalf, attached } = question;
        let id = random_id()?;
        if let Some(handle) = behalf {
            self.send(&Frame::new(Kind::Behalf, id, handle.expose().as_bytes().to_vec())?)?;
        }
        if let Some(attached) = attached {
            self.send_bulk(id, attached)?;
        }
        self.send(&Frame::new(Kind::Request, id, encode(request)?)?)?;
        let mut announced = None;
        loop {
            let (frame, descriptor) = self.receive()?;
            match frame.kind() {
                Kind::Bulk if frame.id() == id => announced = descriptor,
                Kind::Answer if frame.id() == id => {
                    let answer: Answer = decode(frame.payload())?;
                    let expected = match &answer {
                        Answer::Outcome(outcome) => outcome.attached(),
                        Answer::Report(report) => report.attached(),
                    };
                    return match (expected, announced) {
                        (Some(bulk), Some(descriptor)) => Ok((answer, Some(BulkFile::from_broker(descriptor, bulk)?))),
                        (None, None) => Ok((answer, None)),
                        _ => Err(ClientError::OutOfOrder),
                    };
                }
                Kind::Refused => return Err(ClientError::Refused(decode(frame.payload())?)),
                _ => return Err(ClientError::OutOfOrder),
            }
        }
    }

    /// A second handle on the same connection, to send while the first receives.
    ///
    /// # Errors
    /// If the system gives none.
    pub fn sender(&self) -> io::Result<Self> {
        let stream = self.stream.try_clone()?;
        Ok(Self { stream, decoder: Decoder::new(), descriptors: VecDeque::new(), next_token: None, ended: None })
    }

    /// Ends the connection for all its handles.
    ///
    /// # Errors
    /// If it has ended.
    pub fn close(&self) -> io::Result<()> {
        self.stream.shutdown(std::net::Shutdown::Both)
    }
}

/// Bytes of an announcement of bulk bytes, for whoever sends them.
#[must_use]
pub fn announcement(id: RequestId, bytes: Count) -> Vec<u8> {
    // Eight bytes are what this kind carries.
    Frame::new(Kind::Bulk, id, bytes.get().to_be_bytes().to_vec()).map(|frame| frame.to_bytes()).unwrap_or_default()
}

/// A new request's id.
fn random_id() -> io::Result<RequestId> {
    let mut bytes = [0; 16];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
    Ok(RequestId::from_bytes(bytes))
}

fn send_all(stream: &UnixStream, bytes: &[u8], descriptor: Option<BorrowedFd<'_>>) -> io::Result<()> {
    let (mut rest, mut descriptor) = (bytes, descriptor);
    while !rest.is_empty() {
        match descriptors::send(stream, rest, descriptor) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => {
                descriptor = None;
                rest = &rest[count..];
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
