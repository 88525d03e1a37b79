//! Reports as pages show them: from the document that the scanner wrote for that (`page-data.jsonl`), a finding a line.
//!
//! An index of it, which is small, is kept for the reports that were looked at last; a finding's line is read when somebody opens it. So a
//! page of a report with thousands of findings costs what one with fifty does.

mod data;
mod diff;
mod wanted;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use keyblind_intent::{Digest, TenantId};
use keyblind_store::{MissionId, Store};
use tokio::sync::Semaphore;

pub(crate) use data::{Entry, Finding, Head, Parsed, Part, Summary, Token};
pub(crate) use diff::{Row, WholeLine, rows, whole};
pub(crate) use wanted::{Choice, Wanted, encoded};

use crate::failure::Failure;

/// The document's name in a mission.
pub(crate) const DOCUMENT: &str = "page-data.jsonl";
/// Indexes that are kept.
const KEPT: usize = 16;
/// Bytes of all of them together, roughly.
const KEPT_BYTES: usize = 64 << 20;
/// A document that is larger isn't shown here: the file is.
const LARGEST: u64 = 192 << 20;

/// The index of a report.
#[derive(Debug)]
pub(crate) struct Index {
    pub(crate) head: Head,
    pub(crate) entries: Vec<Entry>,
    /// How many bytes it takes, roughly.
    weight: usize,
}

/// The reports that were looked at last.
#[derive(Debug)]
pub(crate) struct Reports {
    kept: Mutex<VecDeque<(Digest, Arc<Index>)>>,
    /// Documents that are held whole at once, so that many people with large reports don't fill the memory.
    reading: Semaphore,
}

impl Default for Reports {
    fn default() -> Self {
        Self { kept: Mutex::default(), reading: Semaphore::new(2) }
    }
}

impl Reports {
    /// The index of a mission's report; nothing if it has none, or one that is too large.
    pub(crate) async fn index(&self, store: &Store, tenant: &TenantId, id: MissionId) -> Result<Option<Arc<Index>>, Failure> {
        // Asked each time with the tenant: what is kept is found by its digest, and opens nothing by itself.
        let documents = store.documents(tenant, id).await?;
        let Some(document) = documents.into_iter().find(|document| document.name == DOCUMENT && document.bytes <= LARGEST) else {
            return Ok(None);
        };
        if let Some(index) = self.kept(&document.digest) {
            return Ok(Some(index));
        }
        let _reading = self.reading.acquire().await;
        let Some(bytes) = store.document(tenant, id, DOCUMENT).await? else { return Ok(None) };
        let read = tokio::task::spawn_blocking(move || Index::read(&bytes)).await;
        let index = Arc::new(read.map_err(|error| Failure::Broken(error.to_string()))??);
        self.keep(document.digest, &index);
        Ok(Some(index))
    }

    /// What the report says of one finding, and the files that its fix changes.
    pub(crate) async fn finding(&self, store: &Store, tenant: &TenantId, id: MissionId, number: usize) -> Result<Parsed, Failure> {
        let index = self.index(store, tenant, id).await?.ok_or(Failure::Unknown)?;
        let entry = index.entries.get(number).cloned().ok_or(Failure::Unknown)?;
        let _reading = self.reading.acquire().await;
        let bytes = store.document(tenant, id, DOCUMENT).await?.ok_or(Failure::Unknown)?;
        let read = tokio::task::spawn_blocking(move || Parsed::read(&bytes, &entry)).await;
        read.map_err(|error| Failure::Broken(error.to_string()))?
    }

    fn kept(&self, digest: &Digest) -> Option<Arc<Index>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let place = kept.iter().position(|(known, _)| known == digest)?;
        let found = kept.remove(place)?;
        let index = Arc::clone(&found.1);
        kept.push_front(found);
        Some(index)
    }

    fn keep(&self, digest: Digest, index: &Arc<Index>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|(known, _)| *known != digest);
        kept.push_front((digest, Arc::clone(index)));
        let mut weight = 0;
        let fits = |(_, index): &(Digest, Arc<Index>)| {
            weight += index.weight;
            weight <= KEPT_BYTES
        };
        let fitting = kept.iter().take(KEPT).map(fits).take_while(|fits| *fits).count();
        kept.truncate(fitting);
    }
}
