//! What the makers of archives share: bytes from the wire for a thread that reads them, and a list of what was left out.

use std::collections::BTreeMap;
use std::io::{self, Read};

use bytes::Bytes;
use keyblind_intent::{Count, Foreign, LeftOut, LeftOutReason};
use tokio::sync::mpsc;

/// What isn't in an archive, and why.
#[derive(Default)]
pub(super) struct Omissions(BTreeMap<LeftOutReason, (u64, String)>);

impl Omissions {
    /// One entry more.
    pub(super) fn add(&mut self, reason: LeftOutReason, path: &str) {
        let entry = self.0.entry(reason).or_insert_with(|| (0, path.to_owned()));
        entry.0 += 1;
    }

    /// All of it.
    pub(super) fn list(self) -> Vec<LeftOut> {
        let one = |(reason, (count, path)): (_, (u64, String))| LeftOut {
            reason,
            count: Count::saturating(count),
            example: Some(Foreign::new(&path)),
        };
        self.0.into_iter().map(one).collect()
    }
}

/// What comes over the wire, for a reader on a thread of its own.
pub(super) struct Pieces {
    receiver: mpsc::Receiver<Bytes>,
    piece: Bytes,
}

impl Pieces {
    pub(super) fn new(receiver: mpsc::Receiver<Bytes>) -> Self {
        Self { receiver, piece: Bytes::new() }
    }
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.receiver.blocking_recv() {
                Some(piece) => self.piece = piece,
                None => return Ok(0),
            }
        }
        let count = self.piece.len().min(buffer.len());
        buffer[..count].copy_from_slice(&self.piece.split_to(count));
        Ok(count)
    }
}
