//! Judges an export, from its text and the public key alone.

use std::io::{BufRead, Read as _};

use keyblind_intent::{RequestId, UnixMillis};

use crate::chain::{Checkpoint, EntryHash, FORMAT, PublicKey, Statement};
use crate::entries::Entry;
use crate::export::{End, Header, LONGEST_LINE, Line, LineError};
use crate::rules::{Breach, State};

/// How many findings a report lists; more are counted.
pub const MOST_FINDINGS: usize = 100;
/// How many open leases and calls a report lists; more are counted.
const MOST_OPEN: usize = 1000;

/// What is known from elsewhere about the ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// The instance that it must be of.
    pub instance: Option<RequestId>,
    /// An entry that it must hold: its number and, if known, its hash. An older export passes every other check; this one finds it.
    pub entry: Option<(u64, Option<EntryHash>)>,
}

/// What is wrong in a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The line of the export, from 1.
    pub line: u64,
    /// The entry's number, if it is about one.
    pub sequence: Option<u64>,
    /// What.
    pub problem: Problem,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The line can't be read.
    #[error("the line can't be read: {0}")]
    Line(LineError),
    /// The line is longer than any of ours.
    #[error("the line is longer than {LONGEST_LINE} bytes")]
    TooLong,
    /// There is no header, or a second one.
    #[error("the export doesn't begin with one header")]
    Header,
    /// The ledger has a form that this program doesn't know.
    #[error("the ledger has form {0}, this program knows form {FORMAT}")]
    Format(u64),
    /// It is another key's ledger.
    #[error("the export is of another key's ledger ({0})")]
    OtherKey(PublicKey),
    /// It is another instance's ledger.
    #[error("the export is of another instance's ledger ({0})")]
    OtherInstance(RequestId),
    /// Entries are missing, repeated or in another order.
    #[error("entry {expected} should be here: entries are missing, repeated or in another order")]
    OutOfSequence {
        /// Which should be here.
        expected: u64,
    },
    /// The entry before it was changed, or it was.
    #[error("it doesn't follow from the entry before: one of the two was changed, or one between them removed")]
    Unchained,
    /// A checkpoint or the end doesn't state what is there.
    #[error("what was signed here isn't what is here")]
    OtherState,
    /// A signature isn't the key's.
    #[error("the signature isn't the key's")]
    Signature,
    /// Something follows the end.
    #[error("there is something after the end")]
    AfterEnd,
    /// The end is missing.
    #[error("the end is missing: the export was cut off")]
    NoEnd,
    /// It ends before an entry that is known to exist.
    #[error("entry {0} is known to exist and isn't here: entries were cut off, or this is an older export")]
    Truncated(u64),
    /// A known entry has another hash.
    #[error("the entry isn't the one that was noted")]
    OtherEntry,
    /// The broker did what it must never do.
    #[error("{0}")]
    Breach(Breach),
}

/// What is left open at the end of an export: not a fault, but for somebody to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Open {
    /// A lease whose end isn't recorded; its token is dead at that time at the latest.
    Lease(RequestId, UnixMillis),
    /// A call whose result isn't recorded.
    Call(RequestId),
}

/// The judgement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The instance, as the header says.
    pub instance: Option<RequestId>,
    /// How many entries.
    pub entries: u64,
    /// How many checkpoints, the end included, whose signature is the key's.
    pub checkpoints: u64,
    /// The last entry's hash, to be noted: the next export must hold it.
    pub head: Option<EntryHash>,
    /// When the first entry was made, and the last.
    pub times: Option<(UnixMillis, UnixMillis)>,
    /// How many calls that write.
    pub writes: u64,
    /// How many approvals were given.
    pub approvals: u64,
    /// What is wrong; the first [`MOST_FINDINGS`].
    pub findings: Vec<Finding>,
    /// How many findings there are in all.
    pub finding_count: u64,
    /// What is open at the end; the first thousand.
    pub open: Vec<Open>,
}

impl Report {
    /// Whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.finding_count == 0
    }
}

/// Judges an export.
///
/// Memory grows with the number of approvals, leases and calls (some 100 bytes each), never with one line.
///
/// # Errors
/// If it can't be read from its source. What is wrong with what was read is in the report.
pub fn verify(mut export: impl BufRead, key: &PublicKey, expected: &Expected) -> std::io::Result<Report> {
    let mut verifier = Verifier {
        key,
        expected,
        report: Report::default(),
        state: State::default(),
        line: 0,
        instance: None,
        head: None,
        sequence: 0,
        has_ended: false,
    };
    let mut buffer = Vec::new();
    loop {
        buffer.clear();
        let limit = u64::try_from(LONGEST_LINE + 1).unwrap_or(u64::MAX);
        if export.by_ref().take(limit).read_until(b'\n', &mut buffer)? == 0 {
            break;
        }
        verifier.line += 1;
        let is_whole = buffer.pop_if(|last| *last == b'\n').is_some();
        if !is_whole && buffer.len() > LONGEST_LINE {
            verifier.find(None, Problem::TooLong);
            // Whatever it is, it isn't ours: the rest of it is no lines of ours either.
            break;
        }
        match Line::decode(&buffer) {
            Ok(line) => verifier.take(line),
            Err(error) => verifier.find(None, Problem::Line(error)),
        }
    }
    Ok(verifier.end())
}

struct Verifier<'a> {
    key: &'a PublicKey,
    expected: &'a Expected,
    report: Report,
    state: State,
    line: u64,
    instance: Option<RequestId>,
    /// The hash that the next entry must name; `None` before the header.
    head: Option<EntryHash>,
    sequence: u64,
    has_ended: bool,
}

impl Verifier<'_> {
    fn find(&mut self, sequence: Option<u64>, problem: Problem) {
        self.report.finding_count += 1;
        if self.report.findings.len() < MOST_FINDINGS {
            self.report.findings.push(Finding { line: self.line, sequence, problem });
        }
    }

    fn take(&mut self, line: Line) {
        if self.has_ended {
            self.find(None, Problem::AfterEnd);
        }
        match line {
            Line::Ledger(header) => self.header(&header),
            Line::Entry(entry) => self.entry(&entry),
            Line::Checkpoint(checkpoint) => self.checkpoint(&checkpoint),
            Line::End(end) => self.stated_end(&end),
        }
    }

    fn header(&mut self, header: &Header) {
        if self.line != 1 || self.instance.is_some() {
            self.find(None, Problem::Header);
            return;
        }
        if header.format.get() != u64::from(FORMAT) {
            self.find(None, Problem::Format(header.format.get()));
        }
        if header.key != *self.key {
            self.find(None, Problem::OtherKey(header.key));
        }
        if self.expected.instance.is_some_and(|instance| instance != header.instance) {
            self.find(None, Problem::OtherInstance(header.instance));
        }
        self.instance = Some(header.instance);
        self.report.instance = self.instance;
        self.head = Some(EntryHash::beginning(header.instance, self.key));
    }

    fn entry(&mut self, entry: &Entry) {
        let sequence = entry.sequence.get();
        if self.head.is_none() {
            self.find(Some(sequence), Problem::Header);
        }
        let expected = self.sequence.saturating_add(1);
        if sequence != expected {
            self.find(Some(sequence), Problem::OutOfSequence { expected });
        }
        if self.head.is_some_and(|head| head != entry.previous) {
            self.find(Some(sequence), Problem::Unchained);
        }
        // Goes on from what is here, so that one change is one finding.
        self.sequence = sequence;
        match EntryHash::of(entry) {
            Ok(hash) => {
                if let Some((number, Some(noted))) = self.expected.entry
                    && number == sequence
                    && noted != hash
                {
                    self.find(Some(sequence), Problem::OtherEntry);
                }
                self.head = Some(hash);
            }
            Err(error) => self.find(Some(sequence), Problem::Line(error.into())),
        }
        self.report.entries += 1;
        let first = self.report.times.map_or(entry.time, |(first, _)| first);
        self.report.times = Some((first, entry.time));
        if let Some(breach) = self.state.take(entry) {
            self.find(Some(sequence), Problem::Breach(breach));
        }
    }

    fn checkpoint(&mut self, checkpoint: &Checkpoint) {
        let bytes = checkpoint.statement.checkpoint_bytes();
        let is_signed = bytes.is_ok_and(|bytes| self.key.verifies(&bytes, &checkpoint.signature));
        self.statement(&checkpoint.statement, is_signed);
    }

    fn stated_end(&mut self, end: &End) {
        let is_signed = end.statement.end_bytes().is_ok_and(|bytes| self.key.verifies(&bytes, &end.signature));
        self.statement(&end.statement, is_signed);
        self.has_ended = true;
    }

    fn statement(&mut self, statement: &Statement, is_signed: bool) {
        if is_signed {
            self.report.checkpoints += 1;
        } else {
            self.find(Some(self.sequence), Problem::Signature);
        }
        let is_here =
            Some(statement.instance) == self.instance && statement.sequence.get() == self.sequence && Some(statement.head) == self.head;
        if !is_here {
            self.find(Some(self.sequence), Problem::OtherState);
        }
    }

    fn end(mut self) -> Report {
        if self.instance.is_none() && self.line == 0 {
            self.find(None, Problem::Header);
        }
        if !self.has_ended {
            self.find(None, Problem::NoEnd);
        }
        if let Some((number, _)) = self.expected.entry
            && self.sequence < number
        {
            self.find(None, Problem::Truncated(number));
        }
        self.report.head = self.head;
        self.report.writes = self.state.writes;
        self.report.approvals = self.state.given;
        let leases = self.state.open_leases().map(|(lease, dies_at)| Open::Lease(lease, dies_at));
        self.report.open = leases.chain(self.state.open_calls().map(Open::Call)).take(MOST_OPEN).collect();
        self.report
    }
}
