//! What every editor is given, and what it makes.

use std::collections::BTreeMap;

use crate::examples::Examples;
use crate::instantiate::Input;
use crate::proof::Stated;

/// Where a value that was carried is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// Where it is written.
    Written,
    /// Where it is handed to the module that the resource is in.
    Handed,
    /// In the resource itself.
    Used,
}

impl Level {
    /// In the order of preference.
    pub(crate) const ALL: &[Self] = &[Self::Written, Self::Handed, Self::Used];
}

/// Changed texts that a remedy comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Draft {
    /// The new texts by path.
    pub(crate) texts: BTreeMap<String, String>,
    /// What may be different afterwards.
    pub(crate) stated: Vec<Stated>,
    /// The values that only a person knows.
    pub(crate) inputs: Vec<Input>,
    /// The types of resources that come along with a value.
    pub(crate) added: Vec<String>,
}

/// What writing goes by beside the remedy.
pub(crate) struct Settings<'s> {
    pub(crate) examples: &'s Examples,
    pub(crate) level: Level,
    /// Values that were given, by attribute.
    pub(crate) given: &'s BTreeMap<String, String>,
    /// Whether variables may be declared for values that only a person knows.
    pub(crate) ask: bool,
    /// Variables that were declared by earlier fixes.
    pub(crate) known: &'s [Input],
    /// Whether what an example's value stands on may be brought along.
    pub(crate) bring: bool,
    /// Files of modules that are called from other root modules as well.
    pub(crate) shared: &'s [String],
    /// Whether it is another root module or kustomization than the one that was asked about.
    pub(crate) elsewhere: bool,
}
