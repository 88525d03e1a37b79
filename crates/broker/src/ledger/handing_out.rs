//! The record, handed out while the broker runs.

use std::fs::File;
use std::path::PathBuf;

use keyblind_intent::limits::ANSWERED_BYTES;
use keyblind_intent::{LedgerForm, Line, Refusal, Report};
use rustix::fs::{Mode, OFlags};
use tokio::sync::Semaphore;

use super::{ExportForm, Ledger, LedgerError};
use crate::dispatch::{Answering, Records, Role, Session};
use crate::socket::BulkFile;

/// Hands out a ledger to operators, and to those whom the broker's own files are open to.
pub struct HandingOut {
    ledger: Ledger,
    /// Where an export is written, in a file without a name, until it was taken.
    folder: PathBuf,
    trusted: Vec<Session>,
    /// One at a time: each needs as much of the disk as all that is recorded.
    turn: Semaphore,
}

impl HandingOut {
    /// Of that ledger, through files without names in that folder. Beside operators these sessions may have it.
    #[must_use]
    pub fn new(ledger: Ledger, folder: PathBuf, trusted: Vec<Session>) -> Self {
        Self { ledger, folder, trusted, turn: Semaphore::new(1) }
    }

    async fn file(&self, form: ExportForm) -> Result<BulkFile, LedgerError> {
        let failed = |kind: std::io::ErrorKind| LedgerError::Write(kind);
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        let opened = rustix::fs::open(&self.folder, flags, Mode::RUSR | Mode::WUSR);
        let file = File::from(opened.map_err(|error| failed(std::io::Error::from(error).kind()))?);
        let target = file.try_clone().map_err(|error| failed(error.kind()))?;
        self.ledger.export(form, AtMost { target: std::io::BufWriter::new(target), left: ANSWERED_BYTES }).await?;
        let taken = tokio::task::spawn_blocking(move || BulkFile::unlinked(file)).await;
        taken.ok().and_then(Result::ok).ok_or_else(|| failed(std::io::ErrorKind::Other))
    }
}

impl Records for HandingOut {
    fn key(&self) -> Result<Report, Refusal> {
        // 64 digits always are a line.
        Line::new(self.ledger.key().to_string()).map(|key| Report::LedgerKey { key }).map_err(|_| Refusal::Internal)
    }

    fn export<'a>(&'a self, session: &'a Session, form: LedgerForm) -> Answering<'a, Result<(Report, BulkFile), Refusal>> {
        Box::pin(async move {
            if session.role != Role::Operator && !self.trusted.contains(session) {
                return Err(Refusal::NotAllowed);
            }
            let _turn = self.turn.try_acquire().map_err(|_| Refusal::Busy)?;
            let form = match form {
                LedgerForm::Verifiable => ExportForm::Verifiable,
                LedgerForm::Ocsf => ExportForm::Ocsf,
            };
            let file = self.file(form).await.map_err(|_| Refusal::Internal)?;
            Ok((Report::Ledger { export: file.bulk() }, file))
        })
    }
}

/// Takes no more than can travel.
struct AtMost<W> {
    target: W,
    left: u64,
}

impl<W: std::io::Write> std::io::Write for AtMost<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let count = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.left = self.left.checked_sub(count).ok_or(std::io::ErrorKind::FileTooLarge)?;
        self.target.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.target.flush()
    }
}
