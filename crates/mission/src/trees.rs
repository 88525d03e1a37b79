//! What the broker handed over lately, so that a mission's later steps needn't have it read again. It is kept as descriptors of files without
//! a name: nothing of it is ever on a disk of ours, and it is gone with this process. Whoever doesn't find it has it read again.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use keyblind_client::BulkFile;
use keyblind_store::MissionId;

/// How many are kept.
const MOST: usize = 16;
/// Bytes that are kept in all.
const MOST_BYTES: u64 = 1 << 30;

/// What was handed over, the newest last.
#[derive(Debug, Default)]
pub(crate) struct Trees(Mutex<VecDeque<(MissionId, Arc<BulkFile>)>>);

impl Trees {
    /// Keeps what was handed over for a mission, in the place of what was before.
    pub(crate) fn keep(&self, mission: MissionId, bulk: BulkFile) -> Arc<BulkFile> {
        let bulk = Arc::new(bulk);
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|(of, _)| *of != mission);
        kept.push_back((mission, Arc::clone(&bulk)));
        let bytes = |kept: &VecDeque<(MissionId, Arc<BulkFile>)>| kept.iter().map(|(_, bulk)| bulk.bulk().bytes.get()).sum::<u64>();
        while kept.len() > MOST || (kept.len() > 1 && bytes(&kept) > MOST_BYTES) {
            kept.pop_front();
        }
        bulk
    }

    /// What was handed over for a mission, if it is still here.
    pub(crate) fn find(&self, mission: MissionId) -> Option<Arc<BulkFile>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().find(|(of, _)| *of == mission).map(|(_, bulk)| Arc::clone(bulk))
    }

    /// Lets it go.
    pub(crate) fn forget(&self, mission: MissionId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|(of, _)| *of != mission);
    }
}
