//! What is wanted, and the steps that it takes.

use std::path::PathBuf;

use keyblind_intent::{AccountId, BranchName, ConnectionName, Digest, Line, Repository, Revision, RuleId, SubjectId, TenantId, UnixMillis};
use keyblind_store::{Begun, NewMission, Store, StoreError};
use serde::{Deserialize, Serialize};

use crate::Remediation;

/// What somebody wants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// A folder of this machine is judged, and fixes are derived for what is wrong.
    ScanPath {
        /// The folder, canonical.
        path: PathBuf,
    },
    /// A repository that the broker reads is judged, and fixes are derived for what is wrong.
    ScanRepository {
        /// Which.
        repository: Repository,
        /// Which state of it.
        revision: Revision,
    },
    /// Fixes for a repository are proposed as pull requests, after people's yes.
    FixRepository {
        /// Which.
        repository: Repository,
        /// Which state of it is fixed.
        revision: Revision,
        /// Into which branch; that of the state if there is none.
        base: Option<BranchName>,
        /// Which fixes.
        choice: Choice,
    },
    /// A live account that the broker reads is judged.
    ScanAccount {
        /// Which.
        account: Account,
    },
    /// One call is made on a live account, after people's yes.
    Remediate {
        /// On which.
        account: Account,
        /// Which call.
        remediation: Remediation,
    },
    /// A change on a live account is taken back, after people's yes.
    Undo {
        /// The change, as it was named when it was applied.
        change: Digest,
    },
    /// One finding is looked at again.
    Reverify {
        /// Where it was found.
        origin: Origin,
        /// What it is recognised by.
        fingerprint: Line,
    },
}

/// Which fixes are proposed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Choice {
    /// Those of these rules; of all if there are none.
    pub rules: Vec<RuleId>,
    /// Those of these findings; of all if there are none.
    pub findings: Vec<Line>,
    /// Also those that replace, restart, cut off or cost.
    pub all: bool,
}

/// A live account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Account {
    /// By the name that the broker's configuration gives it.
    Named(ConnectionName),
    /// By its number.
    Numbered(AccountId),
}

impl Account {
    /// How the scanner's command line names it.
    pub(crate) fn argument(&self) -> String {
        match self {
            Self::Named(name) => format!("aws:{name}"),
            Self::Numbered(account) => format!("aws:{account}"),
        }
    }
}

/// Where a finding was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Origin {
    /// In a folder of this machine.
    Path(PathBuf),
    /// In a repository.
    Repository(Repository, Revision),
    /// In a live account.
    Account(Account),
}

impl Request {
    /// The word for its kind.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::ScanPath { .. } => "scan-path",
            Self::ScanRepository { .. } => "scan-repository",
            Self::FixRepository { .. } => "fix-repository",
            Self::ScanAccount { .. } => "scan-account",
            Self::Remediate { .. } => "remediate",
            Self::Undo { .. } => "undo",
            Self::Reverify { .. } => "reverify",
        }
    }

    /// The steps that it takes, in order.
    #[must_use]
    pub const fn steps(&self) -> &'static [Step] {
        match self {
            Self::ScanPath { .. } => &[Step::Scan, Step::Fix, Step::Report],
            Self::ScanRepository { .. } => &[Step::Fetch, Step::Scan, Step::Fix, Step::Report],
            Self::FixRepository { .. } => {
                &[Step::Fetch, Step::Scan, Step::Fix, Step::Plan, Step::Approval, Step::Apply, Step::Verify, Step::Report]
            }
            Self::ScanAccount { .. } => &[Step::Fetch, Step::Scan, Step::Report],
            Self::Remediate { .. } | Self::Undo { .. } => &[Step::Plan, Step::Approval, Step::Apply, Step::Verify],
            Self::Reverify { .. } => &[Step::Fetch, Step::Verify],
        }
    }

    /// The step after one of its own.
    #[must_use]
    pub fn after(&self, step: Step) -> Option<Step> {
        let steps = self.steps();
        steps.iter().position(|other| *other == step).and_then(|place| steps.get(place + 1)).copied()
    }

    /// Where a finding of it is looked for again; nothing for what finds nothing.
    #[must_use]
    pub fn origin(&self) -> Option<Origin> {
        match self {
            Self::ScanPath { path } => Some(Origin::Path(path.clone())),
            Self::ScanRepository { repository, revision } | Self::FixRepository { repository, revision, .. } => {
                Some(Origin::Repository(repository.clone(), revision.clone()))
            }
            Self::ScanAccount { account } | Self::Remediate { account, .. } => Some(Origin::Account(account.clone())),
            Self::Reverify { origin, .. } => Some(origin.clone()),
            Self::Undo { .. } => None,
        }
    }
}

/// A part of a mission that is done at once or not at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// The broker reads what is to be judged.
    Fetch,
    /// It is judged.
    Scan,
    /// Fixes are derived and proven.
    Fix,
    /// The broker is asked for changes.
    Plan,
    /// People decide.
    Approval,
    /// The broker makes the changes.
    Apply,
    /// What was changed is judged again.
    Verify,
    /// The report is written for people.
    Report,
}

impl Step {
    const ALL: [Self; 8] = [Self::Fetch, Self::Scan, Self::Fix, Self::Plan, Self::Approval, Self::Apply, Self::Verify, Self::Report];

    /// Its word, as the database has it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Fetch => "fetch",
            Self::Scan => "scan",
            Self::Fix => "fix",
            Self::Plan => "plan",
            Self::Approval => "approval",
            Self::Apply => "apply",
            Self::Verify => "verify",
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
    let request = written(&wish.request)?;
    let mission = NewMission {
        tenant: &wish.tenant,
        owner: &wish.owner,
        kind: wish.request.kind(),
        request: &request,
        step: first(&wish.request),
        idempotency: wish.idempotency.as_deref(),
    };
    store.begin(&mission, now).await
}

/// A request as the database has it.
pub(crate) fn written(request: &Request) -> Result<String, StoreError> {
    serde_json::to_string(request).map_err(|_| StoreError::Unexpected("a path that isn't UTF-8"))
}

/// The word of a request's first step.
pub(crate) fn first(request: &Request) -> &'static str {
    request.steps().first().copied().map_or("", Step::word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repository() -> Repository {
        Repository { forge: "github".parse().unwrap(), owner: "octo-org".parse().unwrap(), name: "shop".parse().unwrap() }
    }

    fn requests() -> Vec<Request> {
        let account = Account::Named("production".parse().unwrap());
        let remediation = Remediation::BlockBucket { region: "eu-central-1".parse().unwrap(), bucket: "logs".to_owned() };
        vec![
            Request::ScanPath { path: "/srv/shop".into() },
            Request::ScanRepository { repository: repository(), revision: Revision::DefaultBranch },
            Request::FixRepository {
                repository: repository(),
                revision: Revision::Branch("main".parse().unwrap()),
                base: None,
                choice: Choice { rules: vec!["s3-bucket-acl-public-read".parse().unwrap()], ..Choice::default() },
            },
            Request::ScanAccount { account: account.clone() },
            Request::Remediate { account, remediation },
            Request::Undo { change: Digest::of(b"x") },
            Request::Reverify { origin: Origin::Repository(repository(), Revision::DefaultBranch), fingerprint: "3f9a".parse().unwrap() },
        ]
    }

    #[test]
    fn steps_follow_each_other_to_an_end() {
        for request in requests() {
            let mut step = request.steps().first().copied();
            let mut gone = Vec::new();
            while let Some(here) = step {
                assert_eq!(Step::of(here.word()), Some(here));
                gone.push(here);
                step = request.after(here);
            }
            assert_eq!(gone, request.steps());
        }
    }

    #[test]
    fn a_request_is_read_as_it_was_written_and_nothing_else_is() {
        for request in requests() {
            let text = serde_json::to_string(&request).unwrap();
            assert!(text.starts_with(&format!(r#"{{"kind":"{}""#, request.kind())), "{text}");
            assert_eq!(serde_json::from_str::<Request>(&text).unwrap(), request);
            assert!(serde_json::from_str::<Request>(&text.replacen('{', r#"{"as":"root","#, 1)).is_err(), "{text}");
        }
    }
}
