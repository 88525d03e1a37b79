//! Accounts at AWS: read at once into a snapshot, changed by single calls with the yes of people.

#![allow(clippy::result_large_err, reason = "an outcome is what a request is answered with, once")]

mod actions;
mod connections;
mod snapshot;

use std::collections::BTreeSet;
use std::time::Duration;

use keyblind_intent::{
    AccountId, ActionId, ApplyAction, Change, ConnectionState, Digest, Failure, Intent, Inverse, Line, Missing, Outcome, Provider, Refusal,
    Region, TenantId,
};
use serde_json::{Value, json};

use self::actions::{At, Found, Standing, Trouble};
use super::{Effector, Looked, failed, received, told, who};
use crate::approvals::Approved;
use crate::dispatch::{self, Answering, Asked, Reply};
use crate::leases::lease::{CallFailure, LendError, Lender, Purpose, ReadLease, Used};
use crate::ledger::{Ledger, Who, new_id};
use crate::providers::aws::{Api, AwsAuthority, Examination, LinkedAccount, Marks, Role, SessionPolicy};
use crate::providers::code;
use crate::secret::Secret;

/// How long a look before a change may borrow authority.
const LOOK_LIFETIME: Duration = Duration::from_secs(120);
/// Calls of such a look that the ledger counts: one use, of a few requests.
const LOOKS: u32 = 1;
/// How often a target is read again until it is as it was approved, and the first pause; it doubles.
const VERIFYING_TRIES: u32 = 6;
const VERIFYING_PAUSE: Duration = Duration::from_millis(250);

/// An account, and who reaches it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsAccount {
    /// It, and the roles in it.
    pub linked: LinkedAccount,
    /// Whose it is.
    pub tenant: TenantId,
    /// Where it is looked at and changed; at least one.
    pub regions: Vec<Region>,
}

/// AWS by sessions of the roles that accounts give.
pub struct AwsWork {
    authority: AwsAuthority,
    api: Api,
    lender: Lender,
    ledger: Ledger,
    accounts: Vec<AwsAccount>,
    examination: Examination,
}

impl AwsWork {
    /// The intents that only read: done at once.
    pub const READS: &[&str] = &["snapshot-account"];
    /// The intents that change something: done after people said yes.
    pub const CHANGES: &[&str] = &["apply-action"];

    /// Joins the roles of these accounts with the broker's leases.
    pub fn new(authority: AwsAuthority, api: Api, lender: Lender, ledger: Ledger, accounts: Vec<AwsAccount>) -> Self {
        let examination = Examination::new(std::sync::Arc::new(authority.clone()));
        Self { authority, api, lender, ledger, accounts, examination }
    }

    /// The tenant's account of that number. What is somebody else's isn't told from what nobody configured.
    fn reached(&self, tenant: &TenantId, account: &AccountId) -> Result<&AwsAccount, Outcome> {
        let is_it = |found: &&AwsAccount| found.tenant == *tenant && found.linked.account == *account;
        self.accounts.iter().find(is_it).ok_or(Outcome::Refused(Refusal::OtherTenant))
    }

    /// The account and the role that makes an action's calls.
    fn changed(&self, tenant: &TenantId, request: &ApplyAction) -> Result<(&AwsAccount, &Role), Outcome> {
        let account = self.reached(tenant, request.account())?;
        if !actions::is_offered(request.action().id()) {
            return Err(Outcome::Refused(Refusal::NotOffered));
        }
        // IAM has no regions: an action names one to say in which of AWS's worlds it is.
        let is_of_region = request.resource().service() != "iam" || request.action().id() == ActionId::SetVolumeEncryptionByDefault;
        if is_of_region && !account.regions.contains(request.region()) {
            return Err(Outcome::NotConfigured { missing: Missing::Connection });
        }
        let role = account.linked.change_role.as_ref().ok_or(Outcome::NotConfigured { missing: Missing::Connection })?;
        // What Keyblind itself stands on is for people, whatever a policy guards.
        let own = self.accounts.iter().flat_map(|account| [Some(&account.linked.read_role), account.linked.change_role.as_ref()]);
        if own.flatten().any(|role| is_the_role(role, request)) {
            return Err(Outcome::Refused(Refusal::Guarded));
        }
        Ok((account, role))
    }

    async fn look_at(&self, who: &Who, intent: &Intent) -> Result<Looked, Outcome> {
        let Intent::ApplyAction(request) = intent else { return Err(FAULT) };
        let (account, role) = self.changed(&who.tenant, request)?;
        let policy = SessionPolicy::to_look(request).map_err(|error| refused(error.code()))?;
        let id = new_id().map_err(|_| FAULT)?;
        let (tenant, subject) = (&who.tenant, &who.subject);
        let scope = account.linked.scope(role, policy, Marks::of_read(id, tenant, subject));
        let purpose = purpose(who, "aws-look", request.resource().as_str(), LOOK_LIFETIME).ok_or(FAULT)?;
        let operations = BTreeSet::from([code("look")]);
        let lease = self.lender.read(operations, LOOKS, &self.authority, &scope, purpose).await;
        let mut lease = lease.map_err(|error| told(&error, refused))?;
        let mut trouble = None;
        let found = lease
            .call(code("look"), async |keys: &Secret| {
                actions::look(&At { api: &self.api, keys }, request).await.map_err(|error| failed_call(error, &mut trouble))
            })
            .await;
        finish(lease).await?;
        let found = found.map_err(|error| said(&error, trouble.as_ref()))?;
        looked(request, &found)
    }

    async fn make(&self, who: &Who, approved: Approved, rendered: &Change) -> Result<Outcome, Outcome> {
        let fields = rendered.fields();
        let (Intent::ApplyAction(request), Inverse::Apply(inverse)) = (&fields.intent, &fields.inverse) else { return Err(FAULT) };
        let (account, role) = self.changed(&who.tenant, request)?;
        let policy = SessionPolicy::of_action(request, Some(inverse)).map_err(|error| refused(error.code()))?;
        let lifetime = Duration::from_secs(fields.borrowed.seconds.get());
        let purpose = purpose(who, "apply-action", request.resource().as_str(), lifetime).ok_or(FAULT)?;
        let scope = account.linked.scope(role, policy, Marks::of_change(rendered));
        let lease = self.lender.write(approved, &self.authority, &scope, purpose).await.map_err(|error| told(&error, refused))?;
        let (mut trouble, mut trouble_undoing) = (None, None);
        let acted = async |keys: &Secret| {
            let at = At { api: &self.api, keys };
            self.act(&at, rendered, request, inverse).await.map_err(|error| failed_call(error, &mut trouble))
        };
        let undone = async |keys: &Secret, beside: Beside| {
            let at = At { api: &self.api, keys };
            self.undo(&at, rendered, request, inverse, beside).await.map_err(|error| failed_call(error, &mut trouble_undoing))
        };
        let result = lease.apply_or_undo(rendered, code("apply-action"), acted, code("undo-action"), undone).await;
        result.map_err(|error| said(&error, trouble.or(trouble_undoing).as_ref()))
    }

    /// The one use of a write lease: looks once more, calls, looks whether it is as approved.
    async fn act(
        &self,
        at: &At<'_>,
        rendered: &Change,
        request: &ApplyAction,
        inverse: &ApplyAction,
    ) -> Result<Used<Outcome, Beside>, Trouble> {
        let fields = rendered.fields();
        let found = actions::look(at, request).await?;
        let now = looked(request, &found).map_err(Trouble::Told)?;
        if now.state != fields.pre_state || now.after != fields.post_state {
            return Err(Trouble::Told(Outcome::Refused(Refusal::StaleState)));
        }
        let approved = now.after.ok_or(Trouble::Told(FAULT))?;
        let Found { state: before, after: wanted, .. } = &found;
        let is_ours = match actions::act(at, request).await {
            Ok(()) => true,
            // Nobody knows whether it was done: the target does. That it was this call that did it, the target doesn't know.
            Err(Trouble::Api(error)) if error.may_have_happened() => false,
            Err(trouble) => return Err(trouble),
        };
        let now = self.settled(at, request, |state| state == wanted).await?;
        let digest = state_digest(&now).map_err(Trouble::Told)?;
        match actions::standing(request, before, wanted, &now) {
            Standing::AsApproved => {
                let undo = Some(Box::new(inverse.clone()));
                Ok(Used::Done(Outcome::ActionApplied { before: fields.pre_state, after: approved, undo }))
            }
            // AWS still tells the old state, or didn't do it: nobody knows which.
            Standing::AsBefore => Err(Trouble::Lost),
            // What people approved isn't what is there, and this call's part of that can be told from what somebody else did.
            Standing::Beside if is_ours => Ok(Used::ToUndo(Beside { before: before.clone(), approved, found: digest })),
            Standing::Beside | Standing::Other => Err(overtaken(approved, digest, inverse)),
        }
    }

    /// Takes back the action's own part, and nothing that somebody else has set beside it.
    async fn undo(
        &self,
        at: &At<'_>,
        rendered: &Change,
        request: &ApplyAction,
        inverse: &ApplyAction,
        beside: Beside,
    ) -> Result<Outcome, Trouble> {
        let Beside { before, approved, found } = beside;
        let is_as_before = |state: &Value| actions::standing(request, &before, &Value::Null, state) == Standing::AsBefore;
        match actions::act(at, inverse).await {
            Ok(()) => {}
            Err(Trouble::Api(error)) if error.may_have_happened() => {}
            // It is as it was found: somebody has to look.
            Err(_) => return Err(overtaken(approved, found, inverse)),
        }
        let now = self.settled(at, request, is_as_before).await?;
        if is_as_before(&now) {
            return Ok(Outcome::ActionUndone { before: rendered.fields().pre_state, found });
        }
        Err(overtaken(approved, state_digest(&now).map_err(Trouble::Told)?, inverse))
    }

    /// Reads until the target is as it is wanted, for a while: AWS tells old states for a moment.
    async fn settled(&self, at: &At<'_>, request: &ApplyAction, is_wanted: impl Fn(&Value) -> bool) -> Result<Value, Trouble> {
        let mut pause = VERIFYING_PAUSE;
        let mut last = None;
        for attempt in 1..=VERIFYING_TRIES {
            match actions::state(at, request).await {
                Ok(state) if is_wanted(&state) => return Ok(state),
                Ok(state) => last = Some(state),
                // The call is made: that the look fails mustn't make it look undone.
                Err(_) => last = None,
            }
            if attempt < VERIFYING_TRIES {
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
        }
        last.ok_or(Trouble::Lost)
    }
}

/// What was done while something else changed beside it.
struct Beside {
    /// The target's state before.
    before: Value,
    /// The digest of the approved state.
    approved: Digest,
    /// The digest of what was found.
    found: Digest,
}

fn overtaken(approved: Digest, found: Digest, inverse: &ApplyAction) -> Trouble {
    Trouble::Overtaken(Outcome::ActionOvertaken { approved, found, undo: Box::new(inverse.clone()) })
}

/// Whether a request is about that role. IAM's calls name roles without their path, and in any case of their letters.
fn is_the_role(role: &Role, request: &ApplyAction) -> bool {
    let named = request.resource();
    let is_role = named.service() == "iam" && named.resource().starts_with("role/");
    let name = named.resource().rsplit('/').next().unwrap_or_default();
    is_role && role.is_of(request.account()) && role.name().eq_ignore_ascii_case(name)
}

/// What was found at a target, as a change has it.
fn looked(request: &ApplyAction, found: &Found) -> Result<Looked, Outcome> {
    let contents = keyblind_intent::canonical(&json!({"reach": found.reach, "state": found.state})).map_err(|_| FAULT)?;
    let (account, region, resource) = (request.account(), request.region(), request.resource());
    let inverse = ApplyAction::new(account.clone(), region.clone(), resource.clone(), found.inverse.clone()).map_err(|_| FAULT)?;
    Ok(Looked {
        state: Digest::of(&contents),
        after: Some(state_digest(&found.after)?),
        inverse: Inverse::Apply(inverse),
        contents: vec![contents],
    })
}

/// The digest of a target's own state, without what hangs on it.
fn state_digest(state: &Value) -> Result<Digest, Outcome> {
    keyblind_intent::canonical(&json!({"state": state})).map(|bytes| Digest::of(&bytes)).map_err(|_| FAULT)
}

/// Keeps what is told of a trouble, and gives what the ledger has of it.
fn failed_call(trouble: Trouble, kept: &mut Option<Outcome>) -> CallFailure {
    let reason = code(trouble.code());
    let is_unknown = trouble.may_have_happened();
    *kept = Some(trouble.outcome());
    if is_unknown { CallFailure::Unknown(reason) } else { CallFailure::Failed(reason) }
}

fn said(error: &LendError, trouble: Option<&Outcome>) -> Outcome {
    match (error, trouble) {
        (LendError::Failed(_) | LendError::Lost(_), Some(outcome)) => outcome.clone(),
        _ => told(error, refused),
    }
}

impl dispatch::Handler for AwsWork {
    fn handle(&self, asked: Asked) -> Answering<'_, Reply> {
        Box::pin(async move {
            if let Err(outcome) = received(&self.ledger, &asked.session, asked.id, &asked.intent).await {
                return outcome.into();
            }
            let who = who(&asked.session);
            let done = match asked.intent {
                Intent::SnapshotAccount(request) => self.snapshot(&who, asked.id, request).await,
                _ => Err(FAULT),
            };
            done.unwrap_or_else(Reply::from)
        })
    }
}

impl Effector for AwsWork {
    fn look<'a>(&'a self, who: &'a Who, intent: &'a Intent) -> Answering<'a, Result<Looked, Outcome>> {
        Box::pin(self.look_at(who, intent))
    }

    fn apply<'a>(&'a self, who: &'a Who, approved: Approved, rendered: &'a Change, _: &'a [u8]) -> Answering<'a, Outcome> {
        Box::pin(async move { self.make(who, approved, rendered).await.unwrap_or_else(|outcome| outcome) })
    }
}

fn purpose(who: &Who, permission: &str, target: &str, lifetime: Duration) -> Option<Purpose> {
    // A line is shorter than the longest name of a resource.
    let short: String = target.chars().take(keyblind_intent::limits::LINE_BYTES).collect();
    Some(Purpose { who: who.clone(), mission: None, permission: code(permission), target: Line::new(short).ok()?, lifetime })
}

/// A fault of ours.
const FAULT: Outcome = Outcome::Refused(Refusal::Internal);

/// Ends a read lease. If that can't be recorded, nothing that it gave is handed over.
async fn finish(lease: ReadLease) -> Result<(), Outcome> {
    lease.finish().await.map_err(|error| told(&error, refused))
}

/// What it means that AWS gave no session, for a reason in our own words.
fn refused(reason: &str) -> Outcome {
    let state = match reason {
        "role-denied" | "tags-denied" | "source-identity-denied" => ConnectionState::ScopeMissing,
        "keys-expired" | "identity-expired" => ConnectionState::Expired,
        "rate-limited" => ConnectionState::RateLimited,
        "policy-too-large" | "packed-policy-too-large" => return Outcome::Refused(Refusal::BeyondLimit),
        "keys-malformed"
        | "keys-missing"
        | "clock-not-set"
        | "clock-skew"
        | "key-unknown"
        | "secret-wrong"
        | "identity-invalid"
        | "identity-rejected"
        | "identity-missing"
        | "identity-provider-unreachable"
        | "region-disabled"
        | "parameter-refused"
        | "policy-malformed" => ConnectionState::OperatorError,
        _ => return failed(Failure::Unreachable),
    };
    Outcome::NotReady { provider: Provider::Aws, state }
}
