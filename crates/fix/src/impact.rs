//! What a fix does beside mending the fault.
//!
//! The table `impact.tsv` holds facts of the providers' documentation: which arguments force a new resource, restart what
//! runs, cut somebody off, or are billed.

use std::fmt;

use keyblind_rule_language::glob_matches;
use serde::{Deserialize, Serialize};

static TABLE: &str = include_str!("impact.tsv");

/// Something that happens beside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// The resource is destroyed and made anew.
    Replaces,
    /// What runs is restarted.
    Restarts,
    /// Somebody who got in before doesn't any more.
    CutsAccess,
    /// The provider charges for it.
    Costs,
    /// What runs may do less than before.
    Confines,
}

impl Effect {
    /// All of them.
    pub const ALL: &[Self] = &[Self::Replaces, Self::Restarts, Self::CutsAccess, Self::Costs, Self::Confines];

    /// The kebab-case word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Replaces => "replaces",
            Self::Restarts => "restarts",
            Self::CutsAccess => "cuts-access",
            Self::Costs => "costs",
            Self::Confines => "confines",
        }
    }

    /// It in a sentence.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Replaces => "the provider destroys the resource and makes it anew",
            Self::Restarts => "what runs is restarted",
            Self::CutsAccess => "who relied on the access that the fault gave loses it",
            Self::Costs => "the provider charges for it",
            Self::Confines => "what runs can do less, and a program that relied on it fails",
        }
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The effect of changing a place of a resource: names with dots between.
pub(crate) fn of_change(type_key: &str, path: &str) -> Option<Effect> {
    lines().find(|(types, paths, _)| glob_matches(types, type_key, false) && fits(paths, path)).map(|(.., effect)| effect)
}

/// A pattern `a.*` is about `a` as a whole as well.
fn fits(pattern: &str, path: &str) -> bool {
    glob_matches(pattern, path, false) || pattern.strip_suffix(".*").is_some_and(|whole| whole == path)
}

fn lines() -> impl Iterator<Item = (&'static str, &'static str, Effect)> {
    TABLE.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
        let mut fields = line.split('\t');
        let (types, paths, effect) = (fields.next()?, fields.next()?, fields.next()?);
        Some((types, paths, Effect::ALL.iter().copied().find(|known| known.name() == effect)?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_table_is_read() {
        let written = TABLE.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()).count();
        assert_eq!(lines().count(), written);
    }

    #[test]
    fn the_first_line_that_fits_counts() {
        assert_eq!(of_change("aws_db_instance", "storage_encrypted"), Some(Effect::Replaces));
        assert_eq!(of_change("aws_db_instance", "publicly_accessible"), Some(Effect::CutsAccess));
        assert_eq!(of_change("aws_s3_bucket", "versioning.enabled"), Some(Effect::Costs));
        assert_eq!(of_change("aws_db_instance", "deletion_protection"), None);
    }
}
