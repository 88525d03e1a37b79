//! What is said over the pipes: frames of a kind (one byte), a length (four, most significant first) and as many bytes.

use std::io::{self, Read, Write};

use keyblind_harden::Report;
use keyblind_roles::{Question, Reply, Unanswered};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Largest payload of a frame. Longer texts come in pieces.
pub(super) const LARGEST: usize = 1 << 20;

/// What a leaf is started for.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Job {
    /// The process that started it.
    pub(super) parent: u32,
    /// Whether it must not go on where the kernel can't enforce everything.
    pub(super) is_strict: bool,
    /// How many descriptors follow that of the tree.
    pub(super) further: u32,
    pub(super) task: Task,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum Task {
    /// A command that reads: a scan, or a look for fixes.
    Command(CommandTask),
    /// Fill the tree from the archive on the descriptor behind it.
    Unpack,
}

/// A command, and what its process knows of the world that it can't see.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CommandTask {
    /// The command line without the program's name.
    pub(super) arguments: Vec<String>,
    /// Whether the tree is what is judged, and the place where relative paths begin.
    pub(super) is_in_tree: bool,
    /// Where the one who asked is.
    pub(super) current: String,
    pub(super) threads: usize,
    pub(super) output: Look,
    pub(super) errors: Look,
    pub(super) shows_progress: bool,
    /// The files that it may fill, by the number of their place in this list.
    pub(super) files: Vec<String>,
}

/// How text may look on a stream.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Look {
    pub(super) color: bool,
    pub(super) width: usize,
}

/// What a leaf sends.
#[derive(Debug)]
pub(super) enum Event {
    /// Everything that is short.
    Word(Word),
    /// A piece of what belongs on standard output.
    Output(Vec<u8>),
    /// A piece of a file, by its number.
    Piece(u8, Vec<u8>),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum Word {
    /// It is hardened; nothing hostile has been read yet.
    Hardened(Report),
    /// It is not, and ends.
    Refused(String),
    /// A line for standard error.
    Said(String),
    /// A file is complete.
    Whole(u8),
    /// How far it is.
    Progress(Step),
    /// It wants something, and waits for the answer.
    Ask(Ask),
    /// It asks a model, and waits for the answer: a [`ModelAnswer`] in pieces, an empty one last.
    Question(Question),
    /// The archive is unpacked.
    Unpacked(Unpacked),
    /// It is done, and the exit code.
    Done(u8),
}

/// How far a command is.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum Step {
    Walking,
    Parsing(usize),
    Judging(usize, usize),
    Fixing(usize, usize),
}

/// What a leaf can ask for.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum Ask {
    /// The text on standard input, at most so many bytes: in pieces, an empty one last.
    StandardInput(u64),
}

/// What comes back from a model, or why nothing does.
pub(super) type ModelAnswer = Result<Reply, Unanswered>;

/// What came of an archive.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Unpacked {
    pub(crate) files: u64,
    pub(crate) directories: u64,
    pub(crate) bytes: u64,
    /// Symbolic links that were left out: what they lead to is in the archive, or it is no business of a scan.
    pub(crate) links: u64,
    /// Entries in a folder of git's own, which a tree never has.
    pub(crate) git: u64,
}

mod kind {
    pub(super) const WORD: u8 = 0;
    pub(super) const OUTPUT: u8 = 1;
    pub(super) const PIECE: u8 = 2;
    pub(super) const JOB: u8 = 16;
    pub(super) const ANSWER: u8 = 17;
}

pub(super) fn write_job(to: &mut impl Write, job: &Job) -> io::Result<()> {
    write(to, kind::JOB, &[], &serde_json::to_vec(job)?)
}

/// Reads the job, which comes first.
pub(super) fn read_job(from: &mut impl Read) -> io::Result<Job> {
    match read(from)? {
        Some((kind::JOB, payload)) => parse(&payload),
        Some((kind, _)) => Err(unexpected(kind)),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

pub(super) fn write_answer(to: &mut impl Write, piece: &[u8]) -> io::Result<()> {
    write(to, kind::ANSWER, &[], piece)
}

/// Reads a piece of an answer.
pub(super) fn read_answer(from: &mut impl Read) -> io::Result<Vec<u8>> {
    match read(from)? {
        Some((kind::ANSWER, payload)) => Ok(payload),
        Some((kind, _)) => Err(unexpected(kind)),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

pub(super) fn write_word(to: &mut impl Write, word: &Word) -> io::Result<()> {
    write(to, kind::WORD, &[], &serde_json::to_vec(word)?)
}

pub(super) fn write_output(to: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    bytes.chunks(LARGEST).try_for_each(|piece| write(to, kind::OUTPUT, &[], piece))
}

pub(super) fn write_piece(to: &mut impl Write, file: u8, bytes: &[u8]) -> io::Result<()> {
    bytes.chunks(LARGEST - 1).try_for_each(|piece| write(to, kind::PIECE, &[file], piece))
}

/// Reads what comes from a leaf: `None` at the end.
pub(super) fn read_event(from: &mut impl Read) -> io::Result<Option<Event>> {
    let Some((kind, mut payload)) = read(from)? else { return Ok(None) };
    Ok(Some(match kind {
        kind::WORD => Event::Word(parse(&payload)?),
        kind::OUTPUT => Event::Output(payload),
        kind::PIECE if !payload.is_empty() => Event::Piece(payload.remove(0), payload),
        kind => return Err(unexpected(kind)),
    }))
}

fn write(to: &mut impl Write, kind: u8, first: &[u8], rest: &[u8]) -> io::Result<()> {
    let length = first.len() + rest.len();
    if length > LARGEST {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("a message of {length} bytes is longer than {LARGEST}")));
    }
    let mut frame = Vec::with_capacity(5 + length);
    frame.push(kind);
    // It is at most a megabyte.
    frame.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
    frame.extend_from_slice(first);
    frame.extend_from_slice(rest);
    to.write_all(&frame)
}

/// A frame, or `None` where the other side ended between two.
fn read(from: &mut impl Read) -> io::Result<Option<(u8, Vec<u8>)>> {
    let mut kind = [0];
    let mut length = [0; 4];
    loop {
        match from.read(&mut kind) {
            Ok(0) => return Ok(None),
            Ok(_) => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    from.read_exact(&mut length)?;
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length > LARGEST {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("a message claims {length} bytes, more than {LARGEST}")));
    }
    let mut payload = vec![0; length];
    from.read_exact(&mut payload)?;
    Ok(Some((kind[0], payload)))
}

fn parse<T: DeserializeOwned>(payload: &[u8]) -> io::Result<T> {
    serde_json::from_slice(payload)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, format!("a message can't be understood: {error}")))
}

fn unexpected(kind: u8) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("a message of kind {kind} is not expected here"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut pipe = Vec::new();
        write_word(&mut pipe, &Word::Said("hello".into())).unwrap();
        write_output(&mut pipe, &vec![7; LARGEST + 1]).unwrap();
        write_piece(&mut pipe, 3, b"bytes").unwrap();
        let mut pipe = pipe.as_slice();
        let mut next = || read_event(&mut pipe).unwrap();
        assert!(matches!(next(), Some(Event::Word(Word::Said(text))) if text == "hello"));
        assert!(matches!(next(), Some(Event::Output(bytes)) if bytes.len() == LARGEST));
        assert!(matches!(next(), Some(Event::Output(bytes)) if bytes == [7]));
        assert!(matches!(next(), Some(Event::Piece(3, bytes)) if bytes == b"bytes"));
        assert!(next().is_none());
    }

    #[test]
    fn what_a_hostile_leaf_may_send_is_refused_without_memory_for_it() {
        let long = [&[kind::OUTPUT][..], &u32::MAX.to_be_bytes(), b"x"].concat();
        let cut = [&[kind::OUTPUT][..], &9_u32.to_be_bytes(), b"x"].concat();
        let unknown = [&[99][..], &0_u32.to_be_bytes()].concat();
        let no_file = [&[kind::PIECE][..], &0_u32.to_be_bytes()].concat();
        let other = [&[kind::WORD][..], &13_u32.to_be_bytes(), br#"{"exec":"sh"}"#].concat();
        for bytes in [long, cut, unknown, no_file, other, vec![kind::WORD, 0]] {
            assert!(read_event(&mut bytes.as_slice()).is_err(), "{bytes:?}");
        }
    }
}
