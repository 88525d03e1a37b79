//! AWS as a source of authority: a session of a role, for one intent, which a policy of its own ends.

use std::sync::Arc;
use std::time::Duration;

use keyblind_intent::Provider;

use super::AwsError;
use super::base::{Base, Lent, Root, Step};
use super::marks::{ExternalId, Marks};
use super::place::Role;
use super::policy::SessionPolicy;
use super::sts::{SESSION_SECONDS, Session, Sts, TakeRole};
use crate::clock::Timestamp;
use crate::leases::lease::{Authority, Minted, NotMinted};
use crate::leases::revocation::Ending;
use crate::providers::code;
use crate::secret::Secret;

/// How long a step on the way may be used: it is used at once.
const STEP: Duration = Duration::from_secs(60);
/// The longest that authority is lent.
const LONGEST: Duration = Duration::from_secs(3_600);

/// Lends sessions of roles.
#[derive(Clone)]
pub struct AwsAuthority {
    sts: Sts,
    base: Arc<Base>,
}

/// What a session is asked for, and what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionScope {
    /// Of which role.
    pub role: Role,
    /// What its trust policy wants to hear.
    pub external_id: Option<ExternalId>,
    /// What it may do at most.
    pub policy: SessionPolicy,
    /// What it says of itself.
    pub marks: Marks,
}

impl AwsAuthority {
    /// Sessions from this authority of the broker's own.
    #[must_use]
    pub fn new(sts: Sts, base: Arc<Base>) -> Self {
        Self { sts, base }
    }

    /// The STS that it asks.
    #[must_use]
    pub fn sts(&self) -> &Sts {
        &self.sts
    }

    pub(super) fn base(&self) -> &Base {
        &self.base
    }

    /// Takes a role for so long. Its keys outlive that: what ends is what its policy allows.
    ///
    /// # Errors
    /// See [`AwsError`].
    pub async fn take(&self, scope: &SessionScope, lifetime: Duration) -> Result<(Session, Timestamp), AwsError> {
        if lifetime < Duration::from_secs(1) || lifetime > LONGEST {
            return Err(AwsError::Lifetime);
        }
        let dead_at = self.end_of(lifetime);
        let policy = scope.policy.document(dead_at)?;
        let seconds = lifetime.as_secs().clamp(*SESSION_SECONDS.start(), *SESSION_SECONDS.end());
        let take = TakeRole { role: &scope.role, external_id: scope.external_id.as_ref(), policy: &policy, marks: &scope.marks, seconds };
        let way = self.way(&scope.role, &scope.marks).await?;
        let session = self.step(&way, take).await?;
        Ok((session, dead_at))
    }

    /// What the wanted role is taken with, after every step on the way to it.
    async fn way(&self, role: &Role, marks: &Marks) -> Result<Way<'_>, AwsError> {
        let mut way = match &self.base.root {
            Root::WebIdentity(source) => Way::Token(source.token(marks).await?),
            Root::Keys(_) | Root::Sealed(..) => Way::Keys(self.base.first_keys().await?.ok_or(AwsError::NoKeys)?),
        };
        // Only the last session says in whose name it is: a source identity can't be changed once it is said, and the roles on the
        // way are of somebody's own making.
        let plain = marks.clone().name_only();
        for (index, step) in self.base.steps.iter().enumerate() {
            let next = self.base.steps.get(index + 1).map_or(role, |next| &next.role);
            let policy = SessionPolicy::of_step(next).document(self.end_of(STEP))?;
            let Step { role, external_id } = step;
            let take =
                TakeRole { role, external_id: external_id.as_ref(), policy: &policy, marks: &plain, seconds: *SESSION_SECONDS.start() };
            way = Way::Keys(Lent::Read(self.step(&way, take).await?.keys));
        }
        Ok(way)
    }

    async fn step(&self, way: &Way<'_>, take: TakeRole<'_>) -> Result<Session, AwsError> {
        match way {
            Way::Keys(keys) => self.sts.take_role(keys.secret(), take).await,
            Way::Token(token) => self.sts.take_role_with_web_identity(token, take).await,
        }
    }

    /// The whole second in which something of this lifetime ends.
    fn end_of(&self, lifetime: Duration) -> Timestamp {
        let end = self.sts.clock().now().saturating_add(lifetime).unix_millis();
        Timestamp::from_unix_millis(end - end % 1_000)
    }
}

/// What the next role is taken with.
enum Way<'k> {
    Keys(Lent<'k>),
    Token(Secret),
}

/// When a session is useless for certain, by our clock: AWS reads the policy by its own.
fn dies_at(session: &Session, dead_at: Timestamp) -> Timestamp {
    let end = dead_at.min(session.expires).unix_millis();
    // AWS tells whole seconds, cut off: it may be almost one further than it says, and we as much behind.
    let ahead = session.ahead.map_or(0, |ahead| if ahead.unsigned_abs() < 2_000 { 0 } else { ahead.max(0).unsigned_abs() });
    Timestamp::from_unix_millis(end.saturating_add(ahead))
}

impl Authority for AwsAuthority {
    type Scope = SessionScope;

    fn provider(&self) -> Provider {
        Provider::Aws
    }

    fn ending(&self) -> Ending {
        Ending::Policy
    }

    async fn mint(&self, asked: &SessionScope, lifetime: Duration) -> Result<Minted<SessionScope>, NotMinted> {
        let (session, dead_at) = self.take(asked, lifetime).await.map_err(|error| {
            let reason = code(error.code());
            if error.may_have_happened() { NotMinted::Unknown(reason) } else { NotMinted::Refused(reason) }
        })?;
        let mut granted = asked.clone();
        if !session.is_packed {
            // AWS says how much of the room for policies a session uses. One that uses none has the whole role.
            granted.policy = SessionPolicy::whole_role();
        }
        Ok(Minted { dies_at: dies_at(&session, dead_at), token: session.keys, granted })
    }

    fn is_within(&self, granted: &SessionScope, asked: &SessionScope) -> bool {
        granted == asked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_dead_when_its_policy_or_its_keys_are_by_the_later_clock() {
        let at = Timestamp::from_unix_millis;
        let session = |expires, ahead| Session {
            keys: Secret::from_string(String::new()),
            arn: String::new(),
            expires: at(expires),
            is_packed: true,
            ahead,
        };
        assert_eq!(dies_at(&session(900_000, None), at(60_000)), at(60_000));
        assert_eq!(dies_at(&session(50_000, Some(1_500)), at(60_000)), at(50_000));
        // AWS's clock is ten seconds behind ours: it believes in the policy for ten seconds longer.
        assert_eq!(dies_at(&session(900_000, Some(10_000)), at(60_000)), at(70_000));
        // It is ahead of ours: it stops earlier than we say.
        assert_eq!(dies_at(&session(900_000, Some(-10_000)), at(60_000)), at(60_000));
    }
}
