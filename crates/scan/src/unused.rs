//! Which of the things that may silence a finding do so: what silences nothing any more would silence what comes later.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use keyblind_resource::Resource;
use keyblind_syntax::{Diagnostic, Level, Site};

use crate::pipeline::Ignore;

/// What was used so far, by all threads.
pub(crate) struct Uses {
    /// One for each entry of the configuration.
    ignores: Vec<AtomicBool>,
    /// What resources say in their own data, by its place.
    skips: Mutex<BTreeMap<Site, Skip>>,
}

struct Skip {
    form: &'static str,
    ids: Vec<Arc<str>>,
    is_used: bool,
}

impl Uses {
    pub(crate) fn of(ignores: &[Ignore]) -> Self {
        Self { ignores: ignores.iter().map(|_| AtomicBool::new(false)).collect(), skips: Mutex::default() }
    }

    /// An entry of the configuration silences something.
    pub(crate) fn ignore(&self, index: usize) {
        self.ignores[index].store(true, Ordering::Relaxed);
    }

    /// A resource is judged.
    pub(crate) fn meet(&self, resource: &Resource) {
        if resource.skips.is_empty() {
            return;
        }
        let mut skips = self.skips.lock().unwrap_or_else(PoisonError::into_inner);
        for skip in resource.skips.iter() {
            skips.entry(skip.site).or_insert_with(|| Skip { form: skip.form, ids: skip.ids.to_vec(), is_used: false });
        }
    }

    /// What a resource says at this place silences something.
    pub(crate) fn skip(&self, site: Site) {
        if let Some(skip) = self.skips.lock().unwrap_or_else(PoisonError::into_inner).get_mut(&site) {
            skip.is_used = true;
        }
    }

    /// The entries of the configuration that silenced nothing.
    pub(crate) fn unused_ignores(&self) -> impl Iterator<Item = usize> {
        (0..self.ignores.len()).filter(|index| !self.ignores[*index].load(Ordering::Relaxed))
    }

    /// What resources say that silenced nothing, if all of the ids in it are known: where, and whose form it has.
    pub(crate) fn unused_skips(&self, is_known: &dyn Fn(&str) -> bool) -> Vec<(Site, &'static str)> {
        let skips = self.skips.lock().unwrap_or_else(PoisonError::into_inner);
        let unused = skips.iter().filter(|(_, skip)| !skip.is_used && !skip.ids.is_empty() && skip.ids.iter().all(|id| is_known(id)));
        unused.map(|(site, skip)| (*site, skip.form)).collect()
    }
}

/// Says that something silenced nothing. What was written for another tool may silence that one: it is no more than a remark.
pub(crate) fn note(form: &str, own: bool, site: Option<Site>, place: Option<&str>) -> Diagnostic {
    Diagnostic {
        level: Level::Note,
        code: if own { "suppression-unused" } else { "foreign-suppression-unused" },
        message: format!("`{form}` silences nothing: none of its rules finds anything in its reach"),
        help: own.then(|| "take it away, so that it doesn't silence what comes later".to_owned()),
        site,
        path: place.map(str::to_owned),
    }
}
