//! What can be done to a live account: each kind of action in a file of its own.
//!
//! Each says what it looks at, what hangs on it, the state that it must leave, what undoes it, and the one call that it is. Whether
//! the call is made, nobody here decides.

mod access_key;
mod ingress;
mod policy_attached;
mod public_access;
mod volume_encryption;

use keyblind_intent::{Action, ActionId, ApplyAction, Outcome, Refusal};
use serde_json::Value;

use super::failed;
use crate::providers::aws::{Api, ApiError, Asking, Form, Interface};
use crate::secret::Secret;

/// With what AWS is asked.
#[derive(Clone, Copy)]
pub(super) struct At<'a> {
    pub(super) api: &'a Api,
    pub(super) keys: &'a Secret,
}

/// What was found at a target.
#[derive(Debug)]
pub(super) struct Found {
    /// The part that the action is about, as it is.
    pub(super) state: Value,
    /// The same as it must be afterwards.
    pub(super) after: Value,
    /// What hangs on it, in words of our own: people approve with it before their eyes, and with another reach it is another change.
    pub(super) reach: Vec<String>,
    /// What undoes it.
    pub(super) inverse: Action,
}

/// Why an action isn't done, or isn't known to be.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Looking came to nothing: nothing was called.
    Look(ApiError),
    /// A call came to nothing.
    Api(ApiError),
    /// It wasn't done, and this is told.
    Told(Outcome),
    /// What is there is neither what was there before nor what was approved: it is left as it is, and this is told.
    Overtaken(Outcome),
    /// What is there now, nobody knows.
    Lost,
}

impl From<ApiError> for Trouble {
    fn from(error: ApiError) -> Self {
        Self::Api(error)
    }
}

impl Trouble {
    pub(super) fn may_have_happened(&self) -> bool {
        match self {
            Self::Api(error) => error.may_have_happened(),
            Self::Lost | Self::Overtaken(_) => true,
            Self::Look(_) | Self::Told(_) => false,
        }
    }

    /// The same where nothing but a look was meant.
    fn of_look(self) -> Self {
        if let Self::Api(error) = self { Self::Look(error) } else { self }
    }

    /// A name for the ledger.
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::Look(error) | Self::Api(error) => error.code(),
            Self::Told(Outcome::Refused(Refusal::StaleState)) => "stale-state",
            Self::Told(_) => "not-done",
            Self::Overtaken(_) => "overtaken",
            Self::Lost => "lost",
        }
    }

    pub(super) fn outcome(self) -> Outcome {
        use keyblind_intent::Failure;
        match self {
            Self::Api(error) if error.may_have_happened() => failed(Failure::Lost),
            Self::Look(error) | Self::Api(error) => failed(error.failure()),
            Self::Told(outcome) | Self::Overtaken(outcome) => outcome,
            Self::Lost => failed(Failure::Lost),
        }
    }
}

/// Whether an action is one of those that are made. The others have their policies and their roles, and no calls yet.
pub(super) fn is_offered(action: ActionId) -> bool {
    matches!(
        action,
        ActionId::SetIngressRule
            | ActionId::SetBucketPublicAccessBlock
            | ActionId::SetPolicyAttached
            | ActionId::SetAccessKeyActive
            | ActionId::SetVolumeEncryptionByDefault
    )
}

/// Looks at what an action would change, and at what hangs on it.
pub(super) async fn look(at: &At<'_>, request: &ApplyAction) -> Result<Found, Trouble> {
    let found = match request.action() {
        Action::SetIngressRule { rule, present } => ingress::look(at, request, rule, *present).await,
        Action::SetBucketPublicAccessBlock { block } => public_access::look(at, request, *block).await,
        Action::SetPolicyAttached { policy, attached } => policy_attached::look(at, request, policy, *attached).await,
        Action::SetAccessKeyActive { key, active } => access_key::look(at, request, key, *active).await,
        Action::SetVolumeEncryptionByDefault { enabled } => volume_encryption::look(at, request, *enabled).await,
        _ => Err(NOT_OFFERED),
    };
    found.map_err(Trouble::of_look)
}

/// Looks at the part that an action is about, and at nothing else.
pub(super) async fn state(at: &At<'_>, request: &ApplyAction) -> Result<Value, Trouble> {
    match request.action() {
        Action::SetIngressRule { .. } => ingress::state(at, request).await,
        Action::SetBucketPublicAccessBlock { .. } => public_access::state(at, request).await,
        Action::SetPolicyAttached { .. } => policy_attached::state(at, request).await,
        Action::SetAccessKeyActive { .. } => access_key::state(at, request).await,
        Action::SetVolumeEncryptionByDefault { .. } => volume_encryption::state(at, request).await,
        _ => Err(NOT_OFFERED),
    }
}

/// What is found after a call, beside what was there before and what was approved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// As it was approved.
    AsApproved,
    /// The action's own part is as it was before: it wasn't done, or isn't told yet.
    AsBefore,
    /// The action's own part is as it was approved, and beside it something is other than it was.
    Beside,
    /// The action's own part is a third thing.
    Other,
}

/// Compares what is there now with what was there before and with what was approved.
pub(super) fn standing(request: &ApplyAction, before: &Value, approved: &Value, now: &Value) -> Standing {
    let own = |state: &Value| match request.action() {
        Action::SetIngressRule { rule, .. } => ingress::own(request, state, rule),
        Action::SetPolicyAttached { policy, .. } => policy_attached::own(state, policy),
        Action::SetAccessKeyActive { key, .. } => access_key::own(state, key),
        // A setting that is one whole.
        _ => state.clone(),
    };
    let (was, wanted, is) = (own(before), own(approved), own(now));
    if now == approved {
        Standing::AsApproved
    } else if is == was {
        Standing::AsBefore
    } else if is == wanted {
        Standing::Beside
    } else {
        Standing::Other
    }
}

/// Makes the one call.
pub(super) async fn act(at: &At<'_>, request: &ApplyAction) -> Result<(), Trouble> {
    match request.action() {
        Action::SetIngressRule { rule, present } => ingress::act(at, request, rule, *present).await,
        Action::SetBucketPublicAccessBlock { block } => public_access::act(at, request, *block).await,
        Action::SetPolicyAttached { policy, attached } => policy_attached::act(at, request, policy, *attached).await,
        Action::SetAccessKeyActive { key, active } => access_key::act(at, request, key, *active).await,
        Action::SetVolumeEncryptionByDefault { enabled } => volume_encryption::act(at, request, *enabled).await,
        _ => Err(NOT_OFFERED),
    }
}

/// A call of EC2's about what an action is about.
fn of_ec2<'a>(request: &'a ApplyAction, name: &'static str, fields: Vec<(String, String)>) -> Asking<'a> {
    Asking { interface: Interface::Ec2, region: request.region(), account: request.account(), form: Form::Query(name, fields), lists: &[] }
}

/// Has EC2 say whether it would make a call, and makes it.
async fn tried_and_done(at: &At<'_>, request: &ApplyAction, name: &'static str, fields: Vec<(String, String)>) -> Result<(), Trouble> {
    let mut tried = fields.clone();
    tried.push(("DryRun".to_owned(), "true".to_owned()));
    // Whether it is allowed, AWS says before it is done.
    match at.api.write(at.keys, &of_ec2(request, name, tried)).await {
        Err(ApiError::WouldHave) => {}
        // It knows nothing of trying: it is done, and whoever looks next sees that.
        Ok(_) => return Ok(()),
        Err(error) => return Err(error.into()),
    }
    at.api.write(at.keys, &of_ec2(request, name, fields)).await?;
    Ok(())
}

const NOT_OFFERED: Trouble = Trouble::Told(Outcome::Refused(Refusal::NotOffered));

/// It is as it should be: there is nothing that anybody could approve.
const NOTHING_TO_DO: Trouble = Trouble::Told(Outcome::Refused(Refusal::StaleState));
