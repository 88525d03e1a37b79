//! What a session may do: a policy made from an intent's typed fields, which ends by itself.
//!
//! It is the inner bound. A session may do what both its role and this policy allow, so that it is written as if the role allowed
//! everything: exactly the calls of the action, on exactly its resource, or the closed list of reads of the named services; and
//! nothing from a moment on (`DateLessThan aws:CurrentTime`), which is how a session of at least 900 seconds ends after a minute.

use std::collections::BTreeSet;

use keyblind_intent::{Action, ApplyAction, Arn, Region, Service, SnapshotAccount};
use serde::Serialize;

use super::AwsError;
use super::calls::{self, Confined};
use super::reads;
use crate::clock::Timestamp;

/// How many characters a session's policy may have.
pub const POLICY_CHARACTERS: usize = 2_048;
/// A moment that is written with as many letters as any other of these centuries.
const LONGEST_TIME: Timestamp = Timestamp::from_unix_millis(1_800_000_000_000);

/// A session's policy, before it is known when it ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionPolicy {
    statements: Vec<Allowed>,
    services: Vec<Service>,
    /// Whether a session has all that its role has: no policy of ours, and never asked for.
    is_whole_role: bool,
}

/// Calls that are allowed on one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Allowed {
    actions: BTreeSet<&'static str>,
    resource: String,
    /// For calls that name no resource: in which regions. All, if there are none.
    regions: Vec<Region>,
    /// For calls that attach or detach a managed policy: which.
    policy: Option<Arn>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Document<'a> {
    version: &'static str,
    statement: Vec<Statement<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Statement<'a> {
    effect: &'static str,
    action: Vec<&'a str>,
    resource: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    condition: Option<Condition<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Condition<'a> {
    date_less_than: CurrentTime<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    string_equals: Option<RequestedRegion<'a>>,
    /// Calls of the statement that only read have no policy to name.
    #[serde(skip_serializing_if = "Option::is_none")]
    arn_equals_if_exists: Option<NamedPolicy<'a>>,
}

#[derive(Serialize)]
struct NamedPolicy<'a> {
    #[serde(rename = "iam:PolicyARN")]
    policy: &'a str,
}

#[derive(Serialize)]
struct CurrentTime<'a> {
    #[serde(rename = "aws:CurrentTime")]
    before: &'a str,
}

#[derive(Serialize)]
struct RequestedRegion<'a> {
    #[serde(rename = "aws:RequestedRegion")]
    regions: Vec<&'a str>,
}

impl SessionPolicy {
    /// For one action, and for what would undo it: reading the resource before and after, and the one or two calls that change it.
    ///
    /// # Errors
    /// [`AwsError::OtherInverse`] if the inverse is about another resource.
    pub fn of_action(action: &ApplyAction, inverse: Option<&ApplyAction>) -> Result<Self, AwsError> {
        Self::of_calls(action, inverse, |_| true)
    }

    /// For looking at what an action would change.
    ///
    /// # Errors
    /// None that an action which was taken brings about.
    pub fn to_look(action: &ApplyAction) -> Result<Self, AwsError> {
        Self::of_calls(action, None, calls::ActionCall::only_reads)
    }

    fn of_calls(
        action: &ApplyAction,
        inverse: Option<&ApplyAction>,
        is_wanted: impl Fn(&calls::ActionCall) -> bool,
    ) -> Result<Self, AwsError> {
        let mut statements: Vec<Allowed> = Vec::new();
        for apply in [Some(action), inverse].into_iter().flatten() {
            let is_same = (apply.account(), apply.region(), apply.resource()) == (action.account(), action.region(), action.resource());
            if !is_same || apply.action().id() != action.action().id() {
                return Err(AwsError::OtherInverse);
            }
            for call in calls::of(apply).filter(|call| is_wanted(call)) {
                let (resource, regions) = match call.confined {
                    Confined::Resource | Confined::Kind(_) => (apply.resource().as_str().to_owned(), Vec::new()),
                    Confined::Region => ("*".to_owned(), vec![apply.region().clone()]),
                    Confined::Account => ("*".to_owned(), Vec::new()),
                    Confined::Role(name) => (calls::service_role(apply, name), Vec::new()),
                    Confined::Policy => match apply.action() {
                        Action::SetPolicyAttached { policy, .. } => (policy.as_str().to_owned(), Vec::new()),
                        _ => continue,
                    },
                };
                match statements.iter_mut().find(|known| known.resource == resource && known.regions == regions) {
                    Some(known) => drop(known.actions.insert(call.action)),
                    None => {
                        let policy = match (call.confined, apply.action()) {
                            (Confined::Kind(_), Action::SetPolicyAttached { policy, .. }) => Some(policy.clone()),
                            _ => None,
                        };
                        statements.push(Allowed { actions: BTreeSet::from([call.action]), resource, regions, policy });
                    }
                }
            }
        }
        Ok(Self { statements, services: Vec::new(), is_whole_role: false })
    }

    /// For the reads of a snapshot. A session's policy is short, so that many services take several sessions: each of these
    /// policies fits, and all of them together allow the reads of all services.
    ///
    /// # Errors
    /// [`AwsError::PolicyTooLarge`] if one service alone doesn't fit.
    pub fn of_snapshot(snapshot: &SnapshotAccount) -> Result<Vec<Self>, AwsError> {
        let services: BTreeSet<Service> = snapshot.services.iter().copied().collect();
        let mut policies: Vec<Self> = Vec::new();
        for service in services {
            let joined = policies.last().map(|last| last.with_service(service, &snapshot.regions));
            match joined {
                Some(joined) if joined.document(LONGEST_TIME).is_ok() => {
                    if let Some(last) = policies.last_mut() {
                        *last = joined;
                    }
                }
                _ => {
                    let alone = Self { statements: Vec::new(), services: Vec::new(), is_whole_role: false }
                        .with_service(service, &snapshot.regions);
                    alone.document(LONGEST_TIME)?;
                    policies.push(alone);
                }
            }
        }
        Ok(policies)
    }

    fn with_service(&self, service: Service, regions: &[Region]) -> Self {
        let mut policy = self.clone();
        policy.services.push(service);
        // Which regions are switched on is asked in one of them, whichever the snapshot is about.
        let actions = |regional: bool| reads::of(service).iter().filter(move |read| read.is_regional == regional).map(|read| read.action);
        for (actions, regions) in [(actions(true).collect::<BTreeSet<_>>(), regions), (actions(false).collect(), &[][..])] {
            if actions.is_empty() {
                continue;
            }
            match policy.statements.iter_mut().find(|known| known.regions == regions) {
                Some(known) => known.actions.extend(actions),
                None => policy.statements.push(Allowed { actions, resource: "*".to_owned(), regions: regions.to_vec(), policy: None }),
            }
        }
        policy
    }

    /// For a session that is good for nothing but taking one role: a step on the way to it.
    #[must_use]
    pub fn of_step(role: &super::Role) -> Self {
        let actions = BTreeSet::from(["sts:AssumeRole", "sts:SetSourceIdentity", "sts:TagSession"]);
        let allowed = Allowed { actions, resource: role.arn().as_str().to_owned(), regions: Vec::new(), policy: None };
        Self { statements: vec![allowed], services: Vec::new(), is_whole_role: false }
    }

    /// For a session that may do nothing at all: to see whether a role can be taken.
    #[must_use]
    pub fn nothing() -> Self {
        Self { statements: Vec::new(), services: Vec::new(), is_whole_role: false }
    }

    /// What a session has to which AWS gave no policy.
    pub(super) fn whole_role() -> Self {
        Self { is_whole_role: true, ..Self::nothing() }
    }

    /// The services that it allows to read.
    #[must_use]
    pub fn services(&self) -> &[Service] {
        &self.services
    }

    /// The policy as AWS takes it, useless from that moment on; whole seconds count, the rest is cut off.
    ///
    /// # Errors
    /// [`AwsError::PolicyTooLarge`] if it is too long, [`AwsError::Clock`] if there is no such moment.
    pub fn document(&self, dead_at: Timestamp) -> Result<String, AwsError> {
        let second = i64::try_from(dead_at.unix_millis() / 1_000).map_err(|_| AwsError::Clock)?;
        let time = jiff::Timestamp::from_second(second).map_err(|_| AwsError::Clock)?.to_string();
        let mut statements: Vec<Statement<'_>> = self
            .statements
            .iter()
            .map(|allowed| {
                let regions: Vec<&str> = allowed.regions.iter().map(Region::as_str).collect();
                Statement {
                    effect: "Allow",
                    action: allowed.actions.iter().copied().collect(),
                    resource: &allowed.resource,
                    condition: Some(Condition {
                        date_less_than: CurrentTime { before: &time },
                        string_equals: (!regions.is_empty()).then_some(RequestedRegion { regions }),
                        arn_equals_if_exists: allowed.policy.as_ref().map(|policy| NamedPolicy { policy: policy.as_str() }),
                    }),
                }
            })
            .collect();
        if statements.is_empty() {
            // A policy without statements is refused, and none at all would leave the whole role.
            statements.push(Statement { effect: "Deny", action: vec!["*"], resource: "*", condition: None });
        }
        let text =
            serde_json::to_string(&Document { version: "2012-10-17", statement: statements }).map_err(|_| AwsError::MalformedPolicy)?;
        let characters = text.chars().count();
        if characters > POLICY_CHARACTERS { Err(AwsError::PolicyTooLarge { characters }) } else { Ok(text) }
    }
}
