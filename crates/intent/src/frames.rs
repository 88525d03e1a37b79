//! Frames: how documents travel over a socket or a pipe.
//!
//! | bytes | |
//! |---|---|
//! | 2 | `KB` |
//! | 1 | version of the protocol: 1 |
//! | 1 | [`Kind`] |
//! | 4 | length of the payload, most significant byte first |
//! | 16 | id: an answer has its request's |
//! | … | payload |

use std::fmt;

use crate::identifiers::RequestId;
use crate::limits::DOCUMENT_BYTES;

/// Bytes before the payload.
pub const HEADER_BYTES: usize = 24;
const MAGIC: [u8; 2] = *b"KB";
const VERSION: u8 = 1;

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// Client to broker, first: a one-time token of 32 bytes, or nothing.
    Hello = 1,
    /// Broker to client: it is known now. The payload is empty.
    Welcome = 2,
    /// Broker to client: the one-time token of the next connection.
    Token = 3,
    /// Client to broker: a [`crate::Request`].
    Request = 4,
    /// Broker to client: a [`crate::Answer`].
    Answer = 5,
    /// Broker to client: the request wasn't taken; a [`crate::Refusal`]. After one with the id 0 the connection ends.
    Refused = 6,
    /// Client to broker: nobody waits for this request's answer any more. The payload is empty.
    Cancel = 7,
    /// Either way, just before a request or an answer of the same id: bulk bytes go with it, by descriptor. The payload is their number.
    Bulk = 8,
    /// Either way, where no descriptor can travel: a piece of bulk bytes. An empty piece is the last.
    Piece = 9,
    /// Client to broker, before a request of the same id (and before the bulk bytes that go with it): for whom it is. The payload is a
    /// [`crate::Handle`]. No document says who asks.
    Behalf = 10,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 10] = [
        Self::Hello,
        Self::Welcome,
        Self::Token,
        Self::Request,
        Self::Answer,
        Self::Refused,
        Self::Cancel,
        Self::Bulk,
        Self::Piece,
        Self::Behalf,
    ];

    fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == byte)
    }

    /// The largest payload of this kind.
    #[must_use]
    pub const fn largest(self) -> usize {
        match self {
            Self::Hello | Self::Token => 32,
            Self::Welcome | Self::Cancel => 0,
            Self::Request | Self::Answer => DOCUMENT_BYTES,
            Self::Refused => 8_192,
            Self::Bulk => 8,
            Self::Behalf => 43,
            Self::Piece => 1 << 16,
        }
    }
}

/// One frame.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    kind: Kind,
    id: RequestId,
    payload: Vec<u8>,
}

impl Frame {
    /// Makes a frame.
    ///
    /// # Errors
    /// If the payload is larger than the kind allows.
    pub fn new(kind: Kind, id: RequestId, payload: Vec<u8>) -> Result<Self, FrameError> {
        if payload.len() > kind.largest() {
            return Err(FrameError::TooLong { kind, length: u32::try_from(payload.len()).unwrap_or(u32::MAX) });
        }
        Ok(Self { kind, id, payload })
    }

    /// What it carries.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Whose it is.
    #[must_use]
    pub fn id(&self) -> RequestId {
        self.id
    }

    /// What it carries.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// What it carries, without a copy.
    #[must_use]
    pub fn into_payload(self) -> Vec<u8> {
        self.payload
    }

    /// The bytes that travel.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES + self.payload.len());
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&[VERSION, self.kind as u8]);
        // `new` and the decoder are the only ways to a frame, and both keep it under a limit that fits.
        bytes.extend_from_slice(&u32::try_from(self.payload.len()).unwrap_or(u32::MAX).to_be_bytes());
        bytes.extend_from_slice(self.id.as_bytes());
        bytes.extend_from_slice(&self.payload);
        bytes
    }
}

impl fmt::Debug for Frame {
    /// Payloads may hold a one-time token: only the length is shown.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?} {} ({} bytes)", self.kind, self.id, self.payload.len())
    }
}

/// Why bytes are no frame. The connection can't go on: where the next frame begins isn't known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// Whoever is there speaks something else.
    #[error("this is not the broker's protocol: a frame begins with `KB`")]
    NotAFrame,
    /// Whoever is there is older or newer.
    #[error("the other side speaks version {0} of the protocol, this one speaks version {VERSION}: use programs of the same release")]
    UnknownVersion(u8),
    /// There is no such kind.
    #[error("there is no frame of kind {0}")]
    UnknownKind(u8),
    /// The payload is larger than its kind allows.
    #[error("a frame of kind {kind:?} carries at most {} bytes, this one {length}", kind.largest())]
    TooLong {
        /// The frame's kind.
        kind: Kind,
        /// The length that it claims.
        length: u32,
    },
}

/// Puts frames together from bytes that arrive in any pieces. It never holds more than was pushed, whatever length a header claims,
/// and after an error there is only that error.
#[derive(Debug, Default)]
pub struct Decoder {
    bytes: Vec<u8>,
    start: usize,
    broken: Option<FrameError>,
}

impl Decoder {
    /// A decoder at the beginning of a connection.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes bytes as they came.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.broken.is_some() {
            return;
        }
        if self.start > 0 && self.start >= self.bytes.len() / 2 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// The next frame, if it is there as a whole.
    ///
    /// # Errors
    /// As soon as a header can't belong to a frame, before its payload arrives.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        if let Some(error) = self.broken {
            return Err(error);
        }
        let rest = self.bytes.get(self.start..).unwrap_or_default();
        match parse(rest) {
            Ok(None) => Ok(None),
            Ok(Some((frame, taken))) => {
                self.start += taken;
                Ok(Some(frame))
            }
            Err(error) => {
                self.broken = Some(error);
                self.bytes = Vec::new();
                self.start = 0;
                Err(error)
            }
        }
    }

    /// Whether bytes of a frame have arrived whose rest hasn't.
    #[must_use]
    pub fn is_midway(&self) -> bool {
        self.bytes.len() > self.start
    }
}

/// Looks at each byte of a header as soon as it is there: a stranger is known by the first.
fn parse(bytes: &[u8]) -> Result<Option<(Frame, usize)>, FrameError> {
    if bytes.iter().zip(MAGIC).any(|(found, expected)| *found != expected) {
        return Err(FrameError::NotAFrame);
    }
    if let Some(version) = bytes.get(2)
        && *version != VERSION
    {
        return Err(FrameError::UnknownVersion(*version));
    }
    let Some(kind) = bytes.get(3) else { return Ok(None) };
    let kind = Kind::from_byte(*kind).ok_or(FrameError::UnknownKind(*kind))?;
    let Some((header, rest)) = bytes.split_at_checked(HEADER_BYTES) else {
        // The length is judged before the id arrives.
        return match bytes.get(4..8) {
            Some(length) => length_of(kind, length).map(|_| None),
            None => Ok(None),
        };
    };
    let length = length_of(kind, &header[4..8])?;
    let mut id = [0; 16];
    id.copy_from_slice(&header[8..]);
    Ok(rest.get(..length).map(|payload| {
        let frame = Frame { kind, id: RequestId::from_bytes(id), payload: payload.to_vec() };
        (frame, HEADER_BYTES + length)
    }))
}

fn length_of(kind: Kind, bytes: &[u8]) -> Result<usize, FrameError> {
    let length = bytes.iter().fold(0_u32, |length, byte| length << 8 | u32::from(*byte));
    match usize::try_from(length) {
        Ok(length) if length <= kind.largest() => Ok(length),
        _ => Err(FrameError::TooLong { kind, length }),
    }
}
