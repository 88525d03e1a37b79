//! The wishes of a remedy about one body, as a tree.

use std::collections::BTreeMap;
use std::sync::Arc;

use keyblind_rules::{Change, Key, Remedy, Subject};

/// What should become of a place and of what lies in it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wishes {
    pub(crate) change: Option<Change>,
    pub(crate) names: BTreeMap<Arc<str>, Wishes>,
    pub(crate) indices: BTreeMap<usize, Wishes>,
}

impl Wishes {
    /// What a remedy wishes for one subject.
    pub(crate) fn of(remedy: &Remedy, subject: Subject) -> Self {
        let mut root = Self::default();
        for wish in remedy.wishes.iter().filter(|wish| wish.subject == subject) {
            let mut node = &mut root;
            for key in &wish.path {
                node = match key {
                    Key::Name(name) => node.names.entry(name.clone()).or_default(),
                    Key::Index(index) => node.indices.entry(*index).or_default(),
                };
            }
            node.change = Some(wish.change.clone());
        }
        root
    }

    /// Whether anything in it should go.
    pub(crate) fn holds_removal(&self) -> bool {
        self.is_removal() || self.names.values().chain(self.indices.values()).any(Self::holds_removal)
    }

    pub(crate) fn is_removal(&self) -> bool {
        matches!(self.change, Some(Change::Remove))
    }
}
