//! What the broker does when it is asked.
//!
//! What only reads is done at once, with a read lease for exactly that. What changes something goes another way, the same for every
//! provider ([`Changes`]): the target is looked at, the change is written down whole, people say yes to its digest, the target is looked
//! at again, and a write lease allows the one effect. The provider's own part of it is an [`Effector`].

mod aws;
mod changes;
mod entrance;
mod github;
mod models;
mod modules;
mod notify;
mod outcomes;

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use keyblind_intent::{Digest, Failure, Intent, Outcome, Refusal, RequestId};

pub use self::aws::{AwsAccount, AwsWork};
pub use self::changes::{Changes, Effector, Looked};
pub use self::entrance::Entrance;
pub use self::github::{GithubWork, Owners};
pub use self::models::{ModelWork, OfferedModel, model_key_name};
pub use self::modules::{ModuleWork, OfferedRegistry, registry_token_name};
pub use self::notify::{SlackChannel, SlackWork, hook_name};
use crate::dispatch::{Role, Session};
use crate::leases::epoch::EpochError;
use crate::leases::kept::KeptError;
use crate::leases::lease::LendError;
use crate::leases::revocation::LeaseError;
use crate::ledger::{Event, Ledger, Origin, Record, Who, new_id};
use crate::providers::code;

/// For whom something is recorded.
fn who(session: &Session) -> Who {
    Who { tenant: session.tenant.clone(), subject: session.subject.clone() }
}

/// From where an intent of such a session comes.
fn origin(role: Role) -> Origin {
    match role {
        Role::Person | Role::Operator => Origin::Terminal,
        Role::Web => Origin::Web,
        Role::Runner => Origin::Mission,
    }
}

/// Records an intent before anything is done for it.
async fn received(ledger: &Ledger, session: &Session, request: RequestId, intent: &Intent) -> Result<(), Outcome> {
    let canonical = keyblind_intent::canonical(intent).map_err(|_| Outcome::Refused(Refusal::Malformed))?;
    let (intent, digest) = (code(intent.name()), Digest::of(&canonical));
    let event = Event::IntentReceived { request, intent, digest, origin: origin(session.role) };
    let recorded = ledger.append(Record::of(&who(session), None, event)).await;
    recorded.map(drop).map_err(|_| Outcome::Refused(Refusal::LedgerUnavailable))
}

/// A file that nobody else can open and that is gone with the broker: to write to, and to hand over, which nobody can write through.
fn unnamed_file(folder: &Path) -> std::io::Result<(File, File)> {
    let name = new_id().map_err(std::io::Error::other)?;
    let path = folder.join(format!("archive-{name}"));
    let file = File::options().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
    let read_only = File::open(&path);
    std::fs::remove_file(&path)?;
    Ok((file, read_only?))
}

/// A failure without anything more to say about it.
fn failed(failure: Failure) -> Outcome {
    Outcome::Failed { failure, status: None, retry_after_seconds: None, said: None }
}

/// What whoever asked is told when nothing was lent; `refused` tells what the provider's own words mean.
fn told(error: &LendError, refused: impl FnOnce(&str) -> Outcome) -> Outcome {
    match error {
        LendError::Lease(LeaseError::Epoch(EpochError::Stale)) => Outcome::Refused(Refusal::Busy),
        LendError::Lease(LeaseError::Epoch(EpochError::Ledger(_)) | LeaseError::Ledger(_)) => Outcome::Refused(Refusal::LedgerUnavailable),
        LendError::Lease(LeaseError::Epoch(_)) => Outcome::Refused(Refusal::Halted),
        LendError::Lease(LeaseError::Vault(_) | LeaseError::State(_)) | LendError::NotAllowed(_) => Outcome::Refused(Refusal::Internal),
        LendError::Refused(reason) | LendError::Failed(reason) => refused(reason.as_str()),
        // What is there allows too little, though it lives.
        LendError::Unknown(reason) if reason.as_str() == "scope-missing" => refused(reason.as_str()),
        LendError::Unknown(_) => failed(Failure::TimedOut),
        LendError::TooMuchAuthority => Outcome::Refused(Refusal::TooMuchAuthority),
        LendError::OtherChange | LendError::Expired => Outcome::Refused(Refusal::NotApproved),
        LendError::UsedUp => Outcome::Refused(Refusal::BeyondLimit),
        LendError::Lost(_) => failed(Failure::Lost),
    }
}

/// What whoever asked is told when something that is kept wasn't used, beyond what a provider's own answer says.
fn kept(error: &KeptError) -> Outcome {
    match error {
        KeptError::Epoch(EpochError::Stale) => Outcome::Refused(Refusal::Busy),
        KeptError::Epoch(EpochError::Ledger(_)) | KeptError::Ledger(_) => Outcome::Refused(Refusal::LedgerUnavailable),
        KeptError::Epoch(_) => Outcome::Refused(Refusal::Halted),
        KeptError::Vault(_) | KeptError::NotKept => Outcome::Refused(Refusal::Internal),
        KeptError::Failed(_) => failed(Failure::Unreachable),
        KeptError::Lost(reason) if reason.as_str() == "stopped" => Outcome::Refused(Refusal::Halted),
        KeptError::Lost(_) => failed(Failure::Lost),
    }
}
