//! Exports: to be verified by anybody, or for what collects security events.

use std::io::Write;
use std::sync::Arc;

use keyblind_intent::Count;
use keyblind_ledger::{End, FORMAT, Header, Line, to_ocsf};

use super::{Ledger, LedgerError, rows};

/// How many entries are read at once: an export holds up nobody who appends for long.
const AT_ONCE: u32 = 1000;

/// In which form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportForm {
    /// One canonical JSON document a line, with checkpoints and a signed end: what `keyblind ledger verify` reads.
    Verifiable,
    /// One event of the Open Cybersecurity Schema Framework a line. It can't be verified.
    Ocsf,
}

impl Ledger {
    /// Writes all that is recorded up to now.
    ///
    /// # Errors
    /// If the database refuses, an entry can't be read, or the target can't be written.
    pub async fn export(&self, form: ExportForm, mut target: impl Write + Send) -> Result<(), LedgerError> {
        let last = self.head().await?;
        if form == ExportForm::Verifiable {
            let header = Header { format: Count::saturating(u64::from(FORMAT)), instance: self.chain.instance, key: self.chain.key };
            write_line(&mut target, &Line::Ledger(header).encode()?)?;
        }
        let mut done = 0;
        while done < last.sequence {
            let from = done;
            let batch = self
                .database
                .transact(move |transaction| {
                    let mut entries = rows::after(transaction, from, AT_ONCE)?;
                    entries.retain(|(number, ..)| *number <= last.sequence);
                    let until = entries.last().map_or(last.sequence, |(number, ..)| *number);
                    Ok::<_, LedgerError>((until, entries, rows::checkpoints(transaction, from, until)?))
                })
                .await?;
            let (until, entries, checkpoints) = batch;
            let mut checkpoints = checkpoints.into_iter().peekable();
            for (number, hash, entry, _) in entries {
                match form {
                    ExportForm::Verifiable => write_line(&mut target, &Line::Entry(Box::new(entry)).encode()?)?,
                    ExportForm::Ocsf => write_line(&mut target, to_ocsf(&entry, &hash).to_string().as_bytes())?,
                }
                while let Some(checkpoint) = checkpoints.next_if(|checkpoint| checkpoint.statement.sequence.get() <= number) {
                    if form == ExportForm::Verifiable {
                        write_line(&mut target, &Line::Checkpoint(checkpoint).encode()?)?;
                    }
                }
            }
            done = until;
        }
        if form == ExportForm::Verifiable {
            let chain = Arc::clone(&self.chain);
            let statement = chain.statement(last.sequence, last.hash);
            let signature = chain.sign(&statement.end_bytes()?)?;
            write_line(&mut target, &Line::End(End { statement, signature }).encode()?)?;
        }
        target.flush().map_err(|error| LedgerError::Write(error.kind()))
    }
}

fn write_line(target: &mut impl Write, line: &[u8]) -> Result<(), LedgerError> {
    target.write_all(line).and_then(|()| target.write_all(b"\n")).map_err(|error| LedgerError::Write(error.kind()))
}
