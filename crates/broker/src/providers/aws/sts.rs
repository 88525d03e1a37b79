//! AWS's Security Token Service: three calls in its query form (API version 2011-06-15).

use std::sync::Arc;
use std::time::Duration;

use hyper::header::{DATE, RETRY_AFTER};
use keyblind_intent::Region;

use super::answer::Leaves;
use super::keys::keys;
use super::marks::{ExternalId, Marks};
use super::place::{Role, endpoint};
use super::{AwsError, signing};
use crate::clock::{Clock, Timestamp};
use crate::egress::{Answer, Call, Egress, FormBody, Origin, Target};
use crate::secret::Secret;

/// How many bytes an answer may have: a token of a session is its largest part.
const ANSWER: usize = 64 * 1024;
/// How often a call is made that was turned away unread.
const TRIES: u32 = 3;
/// The first pause; it doubles.
const PAUSE: Duration = Duration::from_millis(400);
/// The longest pause that is kept within a call.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// The longest that AWS may make us wait before we take its word for a mistake.
const LONGEST_WAIT: u64 = 3_600;
/// What a session lives at least and, when its role is taken with another session's keys, at most: no session is asked for longer.
pub(super) const SESSION_SECONDS: std::ops::RangeInclusive<u64> = 900..=3_600;

/// STS of one region.
#[derive(Clone)]
pub struct Sts {
    egress: Egress,
    clock: Arc<dyn Clock>,
    region: Region,
    origin: Origin,
}

/// Whose keys they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallerIdentity {
    /// The account.
    pub account: String,
    /// The user, role or session.
    pub arn: String,
    /// How far this machine's clock is ahead of AWS's, in milliseconds; AWS tells whole seconds. `None` if it doesn't say.
    pub ahead: Option<i64>,
}

/// What a role is taken with.
#[derive(Clone, Copy)]
pub struct TakeRole<'a> {
    /// It.
    pub role: &'a Role,
    /// What its trust policy wants to hear.
    pub external_id: Option<&'a ExternalId>,
    /// What the session may do at most: a policy in JSON.
    pub policy: &'a str,
    /// What it says of itself.
    pub marks: &'a Marks,
    /// For how many seconds its keys are taken; what the policy says of time comes first.
    pub seconds: u64,
}

/// The keys of a session.
pub struct Session {
    /// They.
    pub keys: Secret,
    /// Who the session is.
    pub arn: String,
    /// When the keys end, by AWS's clock.
    pub expires: Timestamp,
    /// Whether AWS says that it packed a policy or tags into the session.
    pub is_packed: bool,
    /// How far this machine's clock is ahead of AWS's, in milliseconds. `None` if it doesn't say.
    pub ahead: Option<i64>,
}

impl Sts {
    /// The regional STS. Its [`origin`](Self::origin) must be on the list of hosts.
    ///
    /// # Errors
    /// [`AwsError::Partition`] if the region is of no known partition.
    pub fn new(egress: Egress, clock: Arc<dyn Clock>, region: Region) -> Result<Self, AwsError> {
        let origin = endpoint("sts", &region)?;
        Ok(Self { egress, clock, region, origin })
    }

    /// The same at another host: an endpoint in the operator's own network, or one of the FIPS endpoints.
    #[must_use]
    pub fn at(mut self, origin: Origin) -> Self {
        self.origin = origin;
        self
    }

    /// Where it is.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The region that requests are signed for.
    #[must_use]
    pub fn region(&self) -> &Region {
        &self.region
    }

    pub(super) fn clock(&self) -> &dyn Clock {
        self.clock.as_ref()
    }

    /// Asks whose keys these are. Nobody can be denied that.
    ///
    /// # Errors
    /// See [`AwsError`].
    pub async fn caller_identity(&self, keys: &Secret) -> Result<CallerIdentity, AwsError> {
        let form = || form("GetCallerIdentity");
        let (leaves, ahead) = self.ask(Some(keys), form).await?;
        let field = |name| leaves.text("GetCallerIdentityResult", name).map(ToOwned::to_owned).ok_or(AwsError::Unintelligible);
        Ok(CallerIdentity { account: field("Account")?, arn: field("Arn")?, ahead })
    }

    /// Takes a role.
    ///
    /// # Errors
    /// See [`AwsError`]; [`AwsError::OtherThanAsked`] if the session is of another role, or longer than was asked for.
    pub async fn take_role(&self, keys: &Secret, take: TakeRole<'_>) -> Result<Session, AwsError> {
        let form = || {
            let mut form = role_form("AssumeRole", take).with_some("ExternalId", take.external_id.map(ExternalId::as_str));
            form = form.with_some("SourceIdentity", take.marks.source_identity());
            for (index, (name, value)) in take.marks.tags().enumerate() {
                let number = index + 1;
                form = form.with(&format!("Tags.member.{number}.Key"), name).with(&format!("Tags.member.{number}.Value"), value);
            }
            form
        };
        let (leaves, ahead) = self.ask(Some(keys), form).await?;
        self.session(&leaves, "AssumeRoleResult", take, ahead)
    }

    /// Takes a role with an identity provider's token. The request isn't signed; marks and whatever the trust policy asks for are
    /// claims of the token.
    ///
    /// # Errors
    /// As [`Self::take_role`].
    pub async fn take_role_with_web_identity(&self, token: &Secret, take: TakeRole<'_>) -> Result<Session, AwsError> {
        let form = || role_form("AssumeRoleWithWebIdentity", take).with_secret("WebIdentityToken", token);
        let (leaves, ahead) = self.ask(None, form).await?;
        self.session(&leaves, "AssumeRoleWithWebIdentityResult", take, ahead)
    }

    fn session(&self, leaves: &Leaves, result: &str, take: TakeRole<'_>, ahead: Option<i64>) -> Result<Session, AwsError> {
        let field = |name| leaves.bytes("Credentials", name).ok_or(AwsError::Unintelligible);
        let text = |bytes| std::str::from_utf8(bytes).map_err(|_| AwsError::Unintelligible);
        let made = keys(text(field("AccessKeyId")?)?, field("SecretAccessKey")?, Some(field("SessionToken")?));
        let made = made.map_err(|_| AwsError::Unintelligible)?;
        let expires = instant(text(field("Expiration")?)?).ok_or(AwsError::Unintelligible)?;
        let arn = leaves.text("AssumedRoleUser", "Arn").ok_or(AwsError::Unintelligible)?;
        let is_packed = leaves.text(result, "PackedPolicySize").is_some();
        // Some seconds of grace: the two clocks differ, and both ends round.
        let theirs = self.clock.now().unix_millis().saturating_add_signed(ahead.unwrap_or_default().saturating_neg());
        let latest = theirs.saturating_add((take.seconds + 30) * 1_000);
        if arn != take.role.session_arn(take.marks.session()) || expires.unix_millis() > latest {
            return Err(AwsError::OtherThanAsked);
        }
        Ok(Session { keys: made, arn: arn.to_owned(), expires, is_packed, ahead })
    }

    /// Makes a call, again if it was turned away unread.
    async fn ask(&self, keys: Option<&Secret>, form: impl Fn() -> FormBody) -> Result<(Leaves, Option<i64>), AwsError> {
        let mut pause = PAUSE;
        for attempt in 1.. {
            let call = Call::form(Target::new(&self.origin).path("/"), form()).at_most(ANSWER);
            let call = match keys {
                Some(keys) => signing::sign(call, keys, &self.region, "sts", self.clock.now())?,
                None => call,
            };
            let answer = self.egress.send(call).await?;
            let ahead = self.ahead(&answer);
            match judged(&answer) {
                Ok(leaves) => return Ok((leaves, ahead)),
                Err(error) if error.is_passing() && attempt < TRIES => {
                    let asked = if let AwsError::Throttled { wait } = error { wait } else { None };
                    if asked.is_some_and(|wait| wait > LONGEST_PAUSE) {
                        return Err(error);
                    }
                    tokio::time::sleep(asked.unwrap_or(pause)).await;
                    pause *= 2;
                }
                Err(error) => return Err(error),
            }
        }
        Err(AwsError::Throttled { wait: None })
    }

    /// How far our clock is ahead of the one that dated the answer.
    fn ahead(&self, answer: &Answer) -> Option<i64> {
        static DATES: jiff::fmt::rfc2822::DateTimeParser = jiff::fmt::rfc2822::DateTimeParser::new();
        let theirs = DATES.parse_timestamp(answer.header(&DATE)?).ok()?.as_millisecond();
        i64::try_from(self.clock.now().unix_millis()).ok()?.checked_sub(theirs)
    }
}

fn form(action: &str) -> FormBody {
    FormBody::new().with("Action", action).with("Version", "2011-06-15")
}

fn role_form(action: &str, take: TakeRole<'_>) -> FormBody {
    form(action)
        .with("RoleArn", take.role.arn().as_str())
        .with("RoleSessionName", take.marks.session())
        .with("DurationSeconds", &take.seconds.to_string())
        .with("Policy", take.policy)
}

/// The answer's leaves, or what its refusal means.
fn judged(answer: &Answer) -> Result<Leaves, AwsError> {
    let status = answer.status().as_u16();
    let leaves = Leaves::read(answer.body());
    if (200..300).contains(&status) {
        return leaves;
    }
    let wait = answer.header(&RETRY_AFTER).and_then(|wait| wait.parse().ok());
    let wait = wait.filter(|wait| *wait <= LONGEST_WAIT).map(Duration::from_secs);
    // What stands before AWS (a load balancer, say) refuses without its XML.
    let (code, message) = match &leaves {
        Ok(leaves) => (leaves.text("Error", "Code").unwrap_or_default(), leaves.text("Error", "Message").unwrap_or_default()),
        Err(_) => ("", ""),
    };
    Err(AwsError::refusal(status, code, message, wait))
}

fn instant(text: &str) -> Option<Timestamp> {
    let time: jiff::Timestamp = text.parse().ok()?;
    u64::try_from(time.as_millisecond()).ok().map(Timestamp::from_unix_millis)
}
