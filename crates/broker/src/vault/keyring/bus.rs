//! A connection to the bus of a session (D-Bus Specification), for calls one after the other.

use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use data_encoding::HEXLOWER;
use zeroize::Zeroizing;

use super::KeyringError;
use super::message::{Answer, LONGEST_BODY, Reader, Writer};

/// Bytes of the longest list of header fields.
const LONGEST_HEADER: usize = 16 * 1024;
/// Bytes of the longest line while it is said who we are.
const LONGEST_LINE: usize = 512;
/// How many messages to others or about others are passed over while an answer is waited for.
const MOST_OTHERS: usize = 256;

const METHOD_CALL: u8 = 1;
const METHOD_RETURN: u8 = 2;
const ERROR: u8 = 3;

// Header fields.
const PATH: u8 = 1;
const INTERFACE: u8 = 2;
const MEMBER: u8 = 3;
const ERROR_NAME: u8 = 4;
const REPLY_SERIAL: u8 = 5;
const DESTINATION: u8 = 6;
const SIGNATURE: u8 = 8;

/// What is called.
pub(super) struct Method<'m> {
    pub(super) destination: &'m str,
    pub(super) path: &'m str,
    pub(super) interface: &'m str,
    pub(super) member: &'m str,
}

pub(super) struct Bus {
    stream: UnixStream,
    serial: u32,
    patience: Duration,
}

/// The fields that matter.
#[derive(Default)]
struct Fields {
    error: Option<String>,
    answered: Option<u32>,
    signature: String,
}

impl Bus {
    pub(super) fn connect(path: &Path, patience: Duration) -> Result<Self, KeyringError> {
        let unreachable = |reason: String| KeyringError::NoBus { path: path.to_owned(), reason };
        let stream = UnixStream::connect(path).map_err(|error| unreachable(error.to_string()))?;
        let peer = rustix::net::sockopt::socket_peercred(&stream).map_err(|error| unreachable(error.to_string()))?;
        if peer.uid != rustix::process::geteuid() && !peer.uid.is_root() {
            return Err(KeyringError::OtherUser { path: path.to_owned(), user: peer.uid.as_raw() });
        }
        let mut bus = Self { stream, serial: 0, patience };
        bus.say_who(&unreachable)?;
        let bus_itself = "org.freedesktop.DBus";
        let hello = Method { destination: bus_itself, path: "/org/freedesktop/DBus", interface: bus_itself, member: "Hello" };
        bus.call(&hello, "", &Writer::new())?;
        Ok(bus)
    }

    /// The kernel's word for who we are (`EXTERNAL`).
    fn say_who(&mut self, unreachable: &dyn Fn(String) -> KeyringError) -> Result<(), KeyringError> {
        let user = HEXLOWER.encode(rustix::process::geteuid().as_raw().to_string().as_bytes());
        let end = Instant::now() + self.patience;
        self.send(format!("\0AUTH EXTERNAL {user}\r\n").as_bytes())?;
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            let mut byte = [0];
            self.receive(&mut byte, end)?;
            line.push(byte[0]);
            if line.len() > LONGEST_LINE {
                return Err(KeyringError::Unintelligible);
            }
        }
        if !line.starts_with(b"OK ") {
            return Err(unreachable("it doesn't take the kernel's word for who we are".to_owned()));
        }
        self.send(b"BEGIN\r\n")
    }

    /// Calls, and waits for the answer.
    pub(super) fn call(&mut self, method: &Method<'_>, signature: &str, body: &Writer) -> Result<Answer, KeyringError> {
        self.serial += 1;
        let serial = self.serial;
        let body = body.finished().ok_or_else(|| KeyringError::Refused("more than fits into a message".to_owned()))?;
        let mut message = Writer::new();
        for byte in [b'l', METHOD_CALL, 0, 1] {
            message.byte(byte);
        }
        message.number(u32::try_from(body.len()).unwrap_or(u32::MAX));
        message.number(serial);
        message.array(8, |message| {
            for (code, kind, text) in [
                (PATH, "o", method.path),
                (INTERFACE, "s", method.interface),
                (MEMBER, "s", method.member),
                (DESTINATION, "s", method.destination),
            ] {
                message.structure();
                message.byte(code);
                message.signature(kind);
                message.string(text);
            }
            if !signature.is_empty() {
                message.structure();
                message.byte(SIGNATURE);
                message.signature("g");
                message.signature(signature);
            }
        });
        message.align(8);
        let head = message.finished().ok_or_else(|| KeyringError::Refused("more than fits into a message".to_owned()))?;
        self.send(head)?;
        self.send(body)?;
        self.answer(serial)
    }

    fn answer(&mut self, serial: u32) -> Result<Answer, KeyringError> {
        let end = Instant::now() + self.patience;
        for _ in 0..MOST_OTHERS {
            let mut start = [0; 16];
            self.receive(&mut start, end)?;
            let mut reader = Reader::of(&start);
            let (order, kind, _, version) = (reader.byte()?, reader.byte()?, reader.byte()?, reader.byte()?);
            if order != b'l' || version != 1 {
                return Err(KeyringError::Unintelligible);
            }
            let length = bounded(reader.number()?, LONGEST_BODY)?;
            let _their_serial = reader.number()?;
            let header = bounded(reader.number()?, LONGEST_HEADER)?;
            // The body begins at a multiple of eight; so does what is before it.
            let mut fields = vec![0; header.next_multiple_of(8)];
            self.receive(&mut fields, end)?;
            let mut body = Zeroizing::new(vec![0; length]);
            self.receive(&mut body, end)?;
            let fields = read_fields(&fields[..header])?;
            if fields.answered != Some(serial) {
                continue;
            }
            return match kind {
                METHOD_RETURN => Ok(Answer { signature: fields.signature, body }),
                ERROR => Err(refusal(&fields.error.unwrap_or_default())),
                _ => Err(KeyringError::Unintelligible),
            };
        }
        Err(KeyringError::Unintelligible)
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), KeyringError> {
        self.stream.set_write_timeout(Some(self.patience)).map_err(|_| KeyringError::Silent)?;
        self.stream.write_all(bytes).map_err(|_| KeyringError::Silent)
    }

    fn receive(&mut self, buffer: &mut [u8], end: Instant) -> Result<(), KeyringError> {
        let mut filled = 0;
        while filled < buffer.len() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(KeyringError::Silent);
            }
            self.stream.set_read_timeout(Some(left)).map_err(|_| KeyringError::Silent)?;
            match self.stream.read(&mut buffer[filled..]) {
                Ok(0) => return Err(KeyringError::Silent),
                Ok(count) => filled += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Err(KeyringError::Silent),
            }
        }
        Ok(())
    }
}

fn bounded(length: u32, most: usize) -> Result<usize, KeyringError> {
    usize::try_from(length).ok().filter(|length| *length <= most).ok_or(KeyringError::Unintelligible)
}

fn read_fields(bytes: &[u8]) -> Result<Fields, KeyringError> {
    let mut reader = Reader::of(bytes);
    let mut fields = Fields::default();
    while !reader.is_at_end() {
        reader.structure()?;
        let code = reader.byte()?;
        let kind = reader.signature()?;
        match (code, kind) {
            (ERROR_NAME, "s") => fields.error = Some(reader.string()?.to_owned()),
            (REPLY_SERIAL, "u") => fields.answered = Some(reader.number()?),
            (SIGNATURE, "g") => fields.signature = reader.signature()?.to_owned(),
            (_, "s" | "o") => drop(reader.string()?),
            (_, "g") => drop(reader.signature()?),
            (_, "u") => drop(reader.number()?),
            _ => return Err(KeyringError::Unintelligible),
        }
    }
    Ok(fields)
}

fn refusal(name: &str) -> KeyringError {
    match name {
        "org.freedesktop.DBus.Error.ServiceUnknown" | "org.freedesktop.DBus.Error.NameHasNoOwner" => KeyringError::NoService,
        "org.freedesktop.Secret.Error.IsLocked" => KeyringError::Locked,
        "org.freedesktop.DBus.Error.NoReply" | "org.freedesktop.DBus.Error.Timeout" => KeyringError::Silent,
        _ if name.starts_with("org.freedesktop.DBus.Error.Spawn.") => KeyringError::NoService,
        // Names are the bus's and the keyring's own; the rest is cut off.
        _ => KeyringError::Refused(name.chars().filter(|letter| letter.is_ascii_graphic()).take(100).collect()),
    }
}
