//! What `doctor` can say about AWS: each step of the set-up is tried at STS itself, and the setting that is wrong is named.
//!
//! The sessions that this takes are good for nothing: their policy denies everything. One question is asked to be refused: a role that
//! can be taken with any external id can be taken by the broker for anybody who knows its name.

use std::sync::Arc;
use std::time::Duration;

use keyblind_intent::{AccountId, Check, CheckState, ConnectionName, DoctorArea, Line, Provider, SubjectId, TenantId};

use super::authority::{AwsAuthority, SessionScope};
use super::base::Root;
use super::marks::{ExternalId, Marks};
use super::place::Role;
use super::policy::SessionPolicy;
use super::{AwsError, StsPermission};
use crate::ledger::new_id;

/// How far the clocks may differ before it is worth a word, in milliseconds. AWS refuses from five minutes on.
const SKEW_MILLISECONDS: u64 = 30_000;
/// For how long the sessions are asked for.
const MOMENT: Duration = Duration::from_secs(1);

/// An account, and what the broker needs to know to act in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkedAccount {
    /// What the configuration calls it.
    pub name: ConnectionName,
    /// Which it is.
    pub account: AccountId,
    /// The role that reads.
    pub read_role: Role,
    /// The role that changes things; none if nothing may be changed.
    pub change_role: Option<Role>,
    /// What both roles' trust policies want to hear.
    pub external_id: Option<ExternalId>,
    /// Whether the roles allow sessions to say in whose name they are. Those of `keyblind-broker aws setup` do.
    pub says_whose: bool,
}

impl LinkedAccount {
    /// What to ask for: a session of the role that reads, or of the one that changes things.
    #[must_use]
    pub fn scope(&self, role: &Role, policy: SessionPolicy, marks: Marks) -> SessionScope {
        let marks = if self.says_whose { marks } else { marks.name_only() };
        SessionScope { role: role.clone(), external_id: self.external_id.clone(), policy, marks }
    }
}

/// Looks at the set-up.
pub struct Examination {
    authority: Arc<AwsAuthority>,
}

impl Examination {
    /// With the broker's own authority.
    #[must_use]
    pub fn new(authority: Arc<AwsAuthority>) -> Self {
        Self { authority }
    }

    /// Looks at the broker's own keys and at the roles of these accounts.
    pub async fn checks(&self, accounts: &[&LinkedAccount]) -> Vec<Check> {
        let mut checks = self.own_keys().await;
        if checks.iter().any(|check| check.state == CheckState::Broken) {
            // Without the broker's own keys there is nobody who could be trusted.
            checks.extend(
                accounts
                    .iter()
                    .filter_map(|linked| check(&format!("AWS account {}: not looked at", linked.name), CheckState::NotChecked, None)),
            );
            return checks;
        }
        for linked in accounts {
            let roles = [("reads", Some(&linked.read_role)), ("changes things", linked.change_role.as_ref())];
            for (what, role) in roles {
                if let Some(role) = role {
                    checks.extend(self.role(linked, role, what).await);
                }
            }
        }
        checks
    }

    /// Whether the broker is somebody, and what time it is.
    async fn own_keys(&self) -> Vec<Check> {
        const WHO: &str = "AWS: the broker's own keys";
        if matches!(self.authority.base().root, Root::WebIdentity(_)) {
            return check("AWS: the broker keeps no keys, roles are taken with an identity token", CheckState::Sound, None)
                .into_iter()
                .collect();
        }
        let keys = match self.authority.base().first_keys().await {
            Ok(Some(keys)) => keys,
            Ok(None) => return check(WHO, CheckState::Broken, Some(&advice(AwsError::NoKeys))).into_iter().collect(),
            Err(error) => return check(WHO, CheckState::Broken, Some(&advice(error))).into_iter().collect(),
        };
        match self.authority.sts().caller_identity(keys.secret()).await {
            Ok(caller) => {
                let is_root = caller.arn.ends_with(":root");
                let advice =
                    is_root.then_some("use a user or a role that may do nothing but take Keyblind's roles, never the account's root");
                let state = if is_root { CheckState::Weak } else { CheckState::Sound };
                [check(WHO, state, advice), caller.ahead.and_then(clocks)].into_iter().flatten().collect()
            }
            Err(error) => check(WHO, state(error), Some(&advice(error))).into_iter().collect(),
        }
    }

    /// Whether a role can be taken as it will be, and only so.
    async fn role(&self, linked: &LinkedAccount, role: &Role, what: &str) -> Vec<Check> {
        let name = format!("AWS account {}: the role that {what}", linked.name);
        let mut checks = Vec::new();
        let mut say = |about: &str, state, advice: Option<&str>| checks.extend(check(&format!("{name} {about}"), state, advice));
        if !role.is_of(&linked.account) {
            say("is of this account", CheckState::Broken, Some("the role's ARN names another account than the configuration"));
            return checks;
        }
        // What the role can be taken with: a probe with marks that the trust policy doesn't take would be denied for these.
        let mut says_whose = linked.says_whose;
        match self.try_role(linked, role, linked.external_id.clone(), says_whose).await {
            Ok(()) => say("can be taken", CheckState::Sound, None),
            Err(AwsError::AccessDenied { .. })
                if linked.says_whose && self.try_role(linked, role, linked.external_id.clone(), false).await.is_ok() =>
            {
                // AWS names the permission only sometimes; taking the role without marks shows that it is one of these two.
                let advice = format!(
                    "the trust policy must allow {} and {} beside {}",
                    StsPermission::TagSession.as_str(),
                    StsPermission::SetSourceIdentity.as_str(),
                    StsPermission::AssumeRole.as_str(),
                );
                say("lets sessions say in whose name they are", CheckState::Broken, Some(&advice));
                says_whose = false;
            }
            Err(error) => {
                say("can be taken", state(error), Some(&advice(error)));
                return checks;
            }
        }
        if linked.external_id.is_some() && !matches!(self.authority.base().root, Root::WebIdentity(_)) {
            let other = new_id().ok().and_then(|id| ExternalId::new(id.to_string()).ok());
            let found = match other {
                Some(other) => self.try_role(linked, role, Some(other), says_whose).await,
                None => return checks,
            };
            match found {
                Err(AwsError::AccessDenied { .. }) => say("demands its external id", CheckState::Sound, None),
                Ok(()) => say(
                    "demands its external id",
                    CheckState::Broken,
                    Some("it can be taken with any external id: the trust policy must have the condition `sts:ExternalId`"),
                ),
                Err(error) => say("demands its external id", CheckState::NotChecked, Some(&advice(error))),
            }
        }
        checks
    }

    async fn try_role(
        &self,
        linked: &LinkedAccount,
        role: &Role,
        external_id: Option<ExternalId>,
        says_whose: bool,
    ) -> Result<(), AwsError> {
        let id = new_id().map_err(|_| AwsError::NoIdentity("there are no random numbers"))?;
        let words = TenantId::new("keyblind").ok().zip(SubjectId::new("doctor").ok());
        let (tenant, subject) = words.ok_or(AwsError::Invalid)?;
        let linked = LinkedAccount { external_id, says_whose, ..linked.clone() };
        let scope = linked.scope(role, SessionPolicy::nothing(), Marks::of_read(id, &tenant, &subject));
        self.authority.take(&scope, MOMENT).await.map(drop)
    }
}

fn clocks(ahead: i64) -> Option<Check> {
    let is_off = ahead.unsigned_abs() > SKEW_MILLISECONDS;
    let (state, advice) = if is_off {
        (CheckState::Weak, Some("set this machine's clock (NTP): sessions end by AWS's, requests are refused from five minutes on"))
    } else {
        (CheckState::Sound, None)
    };
    check("AWS: this machine's clock is AWS's", state, advice)
}

/// What couldn't be looked at isn't broken.
fn state(error: AwsError) -> CheckState {
    match error {
        AwsError::Egress(_) | AwsError::Throttled { .. } | AwsError::Broken { .. } => CheckState::NotChecked,
        _ => CheckState::Broken,
    }
}

fn advice(error: AwsError) -> String {
    error.to_string()
}

fn check(subject: &str, state: CheckState, advice: Option<&str>) -> Option<Check> {
    let advice = advice.and_then(|text| Line::new(text).ok());
    Some(Check { area: DoctorArea::Provider(Provider::Aws), subject: Line::new(subject).ok()?, state, advice, said: None })
}
