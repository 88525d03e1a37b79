//! What is wanted, and the steps that it takes.

use std::path::PathBuf;

use keyblind_intent::{SubjectId, TenantId, UnixMillis};
use keyblind_store::{Begun, NewMission, Store, StoreError};
use serde::{Deserialize, Serialize};

/// What somebody wants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// A folder of this machine is judged, and fixes are derived for what is wrong.
    ScanPath {
        /// The folder, canonical.
        path: PathBuf,
    },
}

impl Request {
    /// The word for its kind.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::ScanPath { .. } => "scan-path",
        }
    }

    /// The steps that it takes, in order.
    #[must_use]
    pub const fn steps(&self) -> &'static [Step] {
        match self {
            Self::ScanPath { .. } => &[Step::Scan, Step::Fix, Step::Report],
        }
    }

    /// The step after one of its own.
    #[must_use]
    pub fn after(&self, step: Step) -> Option<Step> {
        let steps = self.steps();
        steps.iter().position(|other| *other == step).and_then(|place| steps.get(place + 1)).copied()
    }
}

/// A part of a mission that is done at once or not at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// The tree is judged.
    Scan,
    /// Fixes are derived and proven.
    Fix,
    /// The report is written for people.
    Report,
}

impl Step {
    const ALL: [Self; 3] = [Self::Scan, Self::Fix, Self::Report];

    /// Its word, as the database has it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Scan => "scan",
            Self::Fix => "fix",
            Self::Report => "report",
        }
    }

    /// The step with a word.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|step| step.word() == word)
    }
}

/// Who wants what.
#[derive(Clone, Debug)]
pub struct Wish {
    /// Whose mission it is.
    pub tenant: TenantId,
    /// Who wants it.
    pub owner: SubjectId,
    /// What is wanted.
    pub request: Request,
    /// Who asks twice with the same key begins one mission.
    pub idempotency: Option<String>,
}

/// Begins a mission.
///
/// # Errors
/// If the database fails.
pub async fn begin(store: &Store, wish: &Wish, now: UnixMillis) -> Result<Begun, StoreError> {
    let request = serde_json::to_string(&wish.request).map_err(|_| StoreError::Unexpected("a path that isn't UTF-8"))?;
    let mission = NewMission {
        tenant: &wish.tenant,
        owner: &wish.owner,
        kind: wish.request.kind(),
        request: &request,
        step: wish.request.steps().first().copied().map_or("", Step::word),
        idempotency: wish.idempotency.as_deref(),
    };
    store.begin(&mission, now).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_follow_each_other_to_an_end() {
        let request = Request::ScanPath { path: "/srv/shop".into() };
        let mut step = request.steps().first().copied();
        let mut gone = Vec::new();
        while let Some(here) = step {
            assert_eq!(Step::of(here.word()), Some(here));
            gone.push(here);
            step = request.after(here);
        }
        assert_eq!(gone, request.steps());
    }

    #[test]
    fn a_request_is_read_as_it_was_written_and_nothing_else_is() {
        let request = Request::ScanPath { path: "/srv/shop".into() };
        let text = serde_json::to_string(&request).unwrap();
        assert_eq!(text, r#"{"kind":"scan-path","path":"/srv/shop"}"#);
        assert_eq!(serde_json::from_str::<Request>(&text).unwrap(), request);
        assert!(serde_json::from_str::<Request>(r#"{"kind":"scan-path","path":"/srv/shop","as":"root"}"#).is_err());
    }
}
