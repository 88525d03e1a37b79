//! A relay of the test's own beside the program: it answers with frames that the test wrote, one for each request, and keeps what it was asked.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use keyblind_intent::{Answer, Bulk, Frame, HEADER_BYTES, Kind, Request, RequestId, decode, encode};
use keyblind_testkit::Program;

/// It greets, and then reads frame after frame; which one it is, it remembers from one connection to the next. Where there is no answer for a
/// request, the last one is given again if the test wants that, and it goes away otherwise.
const SCRIPT: &str = r#"#!/bin/sh
cd "$(dirname "$0")" || exit 9
cat greeting
while :; do
  dd bs=24 count=1 iflag=fullblock of=header 2>/dev/null
  [ -s header ] || exit 0
  set -- $(od -An -tu1 -j3 -N5 header)
  length=$((($3 << 16) + ($4 << 8) + $5))
  number=$(($(cat count) + 1))
  if [ "$1" = 8 ]; then
    dd bs="$length" count=1 iflag=fullblock of="announced-$number" 2>/dev/null
    cat /proc/self/fd/4 > "attached-$number"
    continue
  fi
  echo "$number" > count
  dd bs="$length" count=1 iflag=fullblock of="asked-$number" 2>/dev/null
  answer=answer-$number
  [ -e "$answer.head" ] || answer=again
  [ -e "$answer.head" ] || exit 0
  cat "$answer.bulk" > /proc/self/fd/3
  cat "$answer.head"
  tail -c 16 header
  cat "$answer.payload"
done
"#;

/// The program, with a relay beside it.
pub(crate) struct Place {
    folder: tempfile::TempDir,
}

/// A frame of an answer, and the bytes that the relay puts into the file before it.
pub(crate) struct Said {
    pub(crate) bulk: Vec<u8>,
    pub(crate) kind: Kind,
    pub(crate) payload: Vec<u8>,
}

impl Said {
    pub(crate) fn answer(answer: &Answer) -> Self {
        Self::with(b"", answer)
    }

    pub(crate) fn with(bulk: &[u8], answer: &Answer) -> Self {
        Self { bulk: bulk.to_vec(), kind: Kind::Answer, payload: encode(answer).unwrap() }
    }
}

pub(crate) fn welcome() -> Vec<u8> {
    Frame::new(Kind::Welcome, RequestId::from_bytes([0; 16]), Vec::new()).unwrap().to_bytes()
}

impl Place {
    /// A relay that greets with `greeting` and gives these answers.
    pub(crate) fn new(greeting: &[u8], answers: &[Said]) -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap() };
        place.write("greeting", greeting);
        place.write("count", b"0");
        place.write("keyblind-broker", SCRIPT.as_bytes());
        for (index, said) in answers.iter().enumerate() {
            place.say(&format!("answer-{}", index + 1), said);
        }
        let executable = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(place.path("keyblind-broker"), executable).unwrap();
        // Beside each other, as they are installed. Another file system can't have a second name for it.
        if std::fs::hard_link(env!("CARGO_BIN_EXE_keyblind"), place.path("keyblind")).is_err() {
            std::fs::copy(env!("CARGO_BIN_EXE_keyblind"), place.path("keyblind")).unwrap();
        }
        place
    }

    pub(crate) fn answering(bulk: &[u8], answer: &Answer) -> Self {
        Self::new(&welcome(), &[Said::with(bulk, answer)])
    }

    /// Gives this answer to every further request.
    pub(crate) fn and_again(self, said: &Said) -> Self {
        self.say("again", said);
        self
    }

    fn say(&self, name: &str, said: &Said) {
        // The id between them is the request's.
        let bytes = Frame::new(said.kind, RequestId::from_bytes([0; 16]), said.payload.clone()).unwrap().to_bytes();
        self.write(&format!("{name}.bulk"), &said.bulk);
        self.write(&format!("{name}.head"), &bytes[..8]);
        self.write(&format!("{name}.payload"), &bytes[HEADER_BYTES..]);
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    /// What was asked with the request of this number, from 1.
    pub(crate) fn asked(&self, number: usize) -> Request {
        decode(&std::fs::read(self.path(&format!("asked-{number}"))).unwrap()).unwrap()
    }

    /// How much was asked.
    pub(crate) fn count(&self) -> usize {
        std::fs::read_to_string(self.path("count")).unwrap().trim().parse().unwrap()
    }

    /// The bytes that came with the request of this number, as many as were announced.
    pub(crate) fn attached(&self, number: usize) -> Vec<u8> {
        let announced = std::fs::read(self.path(&format!("announced-{number}"))).unwrap();
        let bytes = std::fs::read(self.path(&format!("attached-{number}"))).unwrap();
        assert_eq!(announced, Bulk::of(&bytes).bytes.get().to_be_bytes(), "what is announced is there");
        bytes
    }

    pub(crate) fn program(&self, within: &Path, arguments: &[&str]) -> Program {
        Program::new(self.path("keyblind")).within(within).with(arguments.iter().copied())
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> keyblind_testkit::Outcome {
        let elsewhere = tempfile::tempdir().unwrap();
        self.program(elsewhere.path(), arguments).run()
    }
}

/// An entry of an archive, as POSIX has it.
pub(crate) fn entry(path: &str, kind: u8, contents: &str) -> Vec<u8> {
    entry_with(path, kind, "0000644", contents)
}

/// One that can be run.
pub(crate) fn executable(path: &str, contents: &str) -> Vec<u8> {
    entry_with(path, b'0', "0000755", contents)
}

fn entry_with(path: &str, kind: u8, mode: &str, contents: &str) -> Vec<u8> {
    let mut block = vec![0; 512];
    block[..path.len()].copy_from_slice(path.as_bytes());
    block[100..107].copy_from_slice(mode.as_bytes());
    block[124..136].copy_from_slice(format!("{:011o}\0", contents.len()).as_bytes());
    block[148..156].fill(b' ');
    block[156] = kind;
    block[257..265].copy_from_slice(b"ustar\x0000");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block.extend_from_slice(contents.as_bytes());
    block.resize(block.len().next_multiple_of(512), 0);
    block
}

pub(crate) fn archive(entries: &[Vec<u8>]) -> Vec<u8> {
    [entries.concat(), vec![0; 1024]].concat()
}
