//! Where the instructions of a file are by now: their addresses count, and fixes add and remove some.

use std::collections::BTreeMap;

use keyblind_dialects::{evaluate_text, recognise};
use keyblind_resource::Dialect;

use crate::proof::Stated;
use crate::proof::dockerfile::{Plan, Source};

/// The addresses of instructions by now, by file and by the address that they had at first; nothing for what is gone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Moves {
    by_file: BTreeMap<String, BTreeMap<String, Option<String>>>,
}

/// Where an instruction is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Where it was at first.
    Same,
    /// Under another address.
    At(String),
    /// Nowhere any more.
    Gone,
}

impl Moves {
    /// Where what had an address at first is by now.
    pub(crate) fn now(&self, path: &str, address: &str) -> Place {
        match self.by_file.get(path).and_then(|moved| moved.get(address)) {
            None => Place::Same,
            Some(Some(now)) => Place::At(now.clone()),
            Some(None) => Place::Gone,
        }
    }

    /// Follows a fix of a file.
    pub(crate) fn follow(&mut self, path: &str, before: &str, after: &str, stated: &[Stated]) {
        if recognise(path, before) != Some(Dialect::Dockerfile) {
            return;
        }
        let (old, new) = (addresses(before), addresses(after));
        let mut step: BTreeMap<&str, Option<&str>> = old.iter().map(|address| (address.as_str(), None)).collect();
        for (address, source) in new.iter().zip(Plan::of(path, stated).sources(new.len())) {
            if let Source::Old(number) = source
                && let Some(known) = old.get(number)
            {
                step.insert(known, Some(address));
            }
        }
        let moved = self.by_file.entry(path.to_owned()).or_default();
        // What was there at first is what has been followed already, or has its first address still.
        let first: Vec<(String, String)> = if moved.is_empty() {
            old.iter().map(|address| (address.clone(), address.clone())).collect()
        } else {
            moved.iter().filter_map(|(first, now)| Some((first.clone(), now.clone()?))).collect()
        };
        for (first, now) in first {
            let next = step.get(now.as_str()).copied().flatten().map(str::to_owned);
            moved.insert(first, next);
        }
    }
}

/// The addresses of a text's instructions, in order.
fn addresses(text: &str) -> Vec<String> {
    let evaluations = evaluate_text(Dialect::Dockerfile, text);
    let resources = evaluations.into_iter().flat_map(|evaluation| evaluation.resources);
    resources.filter(|resource| &*resource.type_key != "dockerfile").map(|resource| resource.address.to_string()).collect()
}
