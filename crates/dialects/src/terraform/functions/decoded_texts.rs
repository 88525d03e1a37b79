//! What texts were decoded to: a module that reads a large file decodes it in each of its instances, in each root module.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use keyblind_resource::Value;

/// What the kept texts may have in bytes together.
const BYTES: usize = 4 << 20;
/// What the kept values may have in nodes together.
const NODES: u64 = 100_000;

/// Texts with the values that they were decoded to, up to a bound on both: what comes later is decoded anew each time.
///
/// A value doesn't depend on where its text stands, and costs the same fuel whether it is found here or not: in which order
/// root modules are evaluated makes no difference to what they give.
#[derive(Debug, Default)]
pub(crate) struct DecodedTexts {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    values: HashMap<Box<str>, (Value, u64)>,
    bytes: usize,
    nodes: u64,
}

impl DecodedTexts {
    /// What a text was decoded to, and how many nodes that was to read.
    pub(super) fn get(&self, text: &str) -> Option<(Value, u64)> {
        // Nothing is left half done here, so that a thread that panicked elsewhere is no harm.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).values.get(text).cloned()
    }

    /// Keeps a value, if there is room for it.
    pub(super) fn keep(&self, text: &str, value: &Value, nodes: u64) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let (bytes, all) = (kept.bytes.saturating_add(text.len()), kept.nodes.saturating_add(nodes));
        if bytes <= BYTES && all <= NODES && kept.values.insert(text.into(), (value.clone(), nodes)).is_none() {
            (kept.bytes, kept.nodes) = (bytes, all);
        }
    }
}
