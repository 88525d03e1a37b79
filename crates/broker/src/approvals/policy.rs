//! Who may approve what, as pure decisions: nothing here reads a clock, a database or a file.
//!
//! The questions come in the order of a request's life: does a rule cover it ([`Policy::requirement`]), may it be shown to
//! people now ([`quiet`], [`limits`]), does one person's word count ([`Policy::weigh`]), and may an approved change still be
//! applied ([`guard`], [`limits`]). Whatever no rule covers is refused.

mod config;
pub mod grouping;
pub mod guard;
pub mod limits;
pub mod quiet;
pub mod revision;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use keyblind_intent::SubjectId;
use serde::{Deserialize, Serialize};

pub use self::config::{PolicyError, in_words as words};
use self::guard::Guard;
use self::limits::Limits;
use self::quiet::{Freeze, QuietHours};
use crate::clock::Timestamp;

/// How bad the fault is that a change mends; also how careful people must be when they approve it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// A weakness without a known way to use it.
    Low,
    /// A weakness that needs another one.
    Medium,
    /// Can be used by somebody who is already close.
    High,
    /// Can be used by anybody, or loses data. Needs the short code typed.
    Critical,
}

impl Severity {
    /// From the least to the worst.
    pub const ALL: [Self; 4] = [Self::Low, Self::Medium, Self::High, Self::Critical];
}

/// What sort of effect a change has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeKind {
    /// A branch and a pull request that people still merge.
    PullRequest,
    /// A pull request that touches what runs in continuous integration: merged, it runs code with the repository's rights.
    Workflow,
    /// One reversible call on a live account.
    Live,
    /// A message or a report outside the repository: check run, comment, chat, SARIF.
    Report,
}

impl ChangeKind {
    /// All there are.
    pub const ALL: [Self; 4] = [Self::PullRequest, Self::Workflow, Self::Live, Self::Report];
}

/// The way on which a person's word reached the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Channel {
    /// A passkey that signed the digest itself.
    Passkey,
    /// The identity provider's device of that person (CIBA), asked for these very details.
    Phone,
    /// A session of the door whose owner has just proven to be there.
    Session,
    /// The command line on the broker's own machine: whoever runs as that user. Recorded as unverified.
    Terminal,
}

impl Channel {
    /// From the strongest to the weakest.
    pub const ALL: [Self; 4] = [Self::Passkey, Self::Phone, Self::Session, Self::Terminal];

    /// How the ledger speaks of it: what was proven about the person.
    pub fn assurance(self) -> &'static str {
        match self {
            Self::Passkey => "verified: passkey over the digest",
            Self::Phone => "verified: device of the identity provider",
            Self::Session => "verified: session with recent proof of presence",
            Self::Terminal => "unverified local",
        }
    }
}

/// What a person may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// May ask for changes, never approve.
    Member,
    /// May approve what rules leave to approvers.
    Approver,
    /// May approve what rules leave to the people of security.
    Security,
    /// May change this policy, with a second owner.
    Owner,
}

impl Role {
    /// From the least to the most.
    pub const ALL: [Self; 4] = [Self::Member, Self::Approver, Self::Security, Self::Owner];
}

/// Somebody as one source of identity knows them: the issuer and that issuer's own name for them. Never a display name, an
/// address or a login that its owner can change.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Identity {
    issuer: String,
    subject: String,
}

impl Identity {
    /// Joins the two.
    pub fn new(issuer: impl Into<String>, subject: impl Into<String>) -> Self {
        Self { issuer: issuer.into(), subject: subject.into() }
    }

    /// The user of this machine with that number.
    pub fn local(uid: u32) -> Self {
        Self::new("local", uid.to_string())
    }

    /// Whoever has that name on the socket: `ISSUER:SUBJECT`, where `local` issues the numbers of this machine's users, or
    /// `SUBJECT@https://…` with an identity provider as the issuer. A name without an issuer is one that the broker's configuration gives.
    pub fn of_subject(name: &SubjectId) -> Self {
        let name = name.as_str();
        // A provider's own name for somebody may be an address, with an `@` of its own: the last one counts.
        if let Some(at) = name.rfind("@https://").or_else(|| name.rfind("@http://")) {
            return Self::new(&name[at + 1..], &name[..at]);
        }
        match name.split_once(':') {
            Some((issuer, subject)) => Self::new(issuer, subject),
            None => Self::new("broker", name),
        }
    }

    /// Their name on the socket, from which [`Self::of_subject`] reads exactly them; none if there is no such name.
    pub fn to_subject(&self) -> Option<SubjectId> {
        let name = match self.issuer.as_str() {
            "broker" => self.subject.clone(),
            "local" => format!("local:{}", self.subject),
            issuer => format!("{}@{issuer}", self.subject),
        };
        SubjectId::new(name).ok().filter(|name| Self::of_subject(name) == *self)
    }

    /// Whether this broker itself vouches for them, by its socket, and no identity provider.
    pub fn is_of_this_broker(&self) -> bool {
        matches!(self.issuer.as_str(), "local" | "broker")
    }

    /// Who says so.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Who it is, in the issuer's words.
    pub fn subject(&self) -> &str {
        &self.subject
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.subject, self.issuer)
    }
}

/// The key of a person in the policy: people with several identities are one person on all channels.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PersonId(String);

impl PersonId {
    /// As the policy file writes it.
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// As the policy file writes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PersonId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A person whom the policy knows.
#[derive(Clone, Debug)]
pub struct Person {
    pub(super) id: PersonId,
    pub(super) identities: BTreeSet<Identity>,
    pub(super) roles: BTreeSet<Role>,
    pub(super) tenants: BTreeSet<String>,
}

impl Person {
    /// The person's key.
    pub fn id(&self) -> &PersonId {
        &self.id
    }

    /// Whether they have that role.
    pub fn has(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }

    /// Whether they belong to that tenant.
    pub fn belongs_to(&self, tenant: &str) -> bool {
        self.tenants.contains(tenant)
    }

    /// The tenants that they belong to.
    pub fn tenants(&self) -> impl Iterator<Item = &str> {
        self.tenants.iter().map(String::as_str)
    }

    /// How the sources of identity know them.
    pub fn identities(&self) -> impl Iterator<Item = &Identity> {
        self.identities.iter()
    }
}

/// Who set a request going.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Requester {
    /// A person at a keyboard.
    Person(Identity),
    /// An agent that acts for a person.
    Agent(Identity),
    /// The broker's own schedule: nobody's request, so that nobody approves their own.
    Schedule,
}

impl Requester {
    /// The person behind it.
    pub fn identity(&self) -> Option<&Identity> {
        match self {
            Self::Person(identity) | Self::Agent(identity) => Some(identity),
            Self::Schedule => None,
        }
    }
}

/// What is asked for, as far as deciding who may approve it goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// Whose account or repository.
    pub tenant: String,
    /// Which linked account: `github:acme/shop`, `aws:111122223333`.
    pub connection: String,
    /// What sort of effect.
    pub kind: ChangeKind,
    /// How careful to be.
    pub severity: Severity,
    /// Who asked.
    pub requester: Requester,
}

/// One line of the policy: which proposals it covers and what it wants for them.
#[derive(Clone, Debug)]
pub struct Rule {
    pub(super) name: String,
    pub(super) kinds: BTreeSet<ChangeKind>,
    pub(super) severities: BTreeSet<Severity>,
    /// None: all.
    pub(super) tenants: Option<BTreeSet<String>>,
    /// None: all. A pattern may end in `*`.
    pub(super) connections: Option<Vec<String>>,
    pub(super) roles: BTreeSet<Role>,
    pub(super) approvals: usize,
    pub(super) channels: BTreeSet<Channel>,
    pub(super) expires_after: Duration,
    pub(super) typed_confirmation: bool,
}

impl Rule {
    fn covers(&self, proposal: &Proposal) -> bool {
        self.kinds.contains(&proposal.kind)
            && self.severities.contains(&proposal.severity)
            && self.tenants.as_ref().is_none_or(|tenants| tenants.contains(&proposal.tenant))
            && self.connections.as_ref().is_none_or(|patterns| patterns.iter().any(|pattern| fits(pattern, &proposal.connection)))
    }
}

fn fits(pattern: &str, connection: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => connection.starts_with(start),
        None => pattern == connection,
    }
}

/// What has to come together for one proposal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// The name of the rule that says so.
    pub rule: String,
    /// How many different people.
    pub approvals: usize,
    /// Any of these roles.
    pub roles: BTreeSet<Role>,
    /// On any of these channels.
    pub channels: BTreeSet<Channel>,
    /// How long people have from when they were asked.
    pub expires_after: Duration,
    /// Whether each must type the short code.
    pub typed_confirmation: bool,
    /// Whether requester and approver may be the same person, because the policy says that there is only one.
    pub solo: bool,
}

/// Yes or no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// Do exactly this.
    Approve,
    /// Don't.
    Refuse,
}

/// One person's word on one proposal, after the channel has verified who speaks.
#[derive(Clone, Debug)]
pub struct Vote<'a> {
    /// Who, as the channel has verified.
    pub identity: &'a Identity,
    /// The tenant that this person is working in; on a channel that knows none, the proposal's.
    pub tenant: &'a str,
    /// How it arrived.
    pub channel: Channel,
    /// What.
    pub answer: Answer,
    /// When the person last proved to be there. A passkey over the digest and the phone prove it with the word itself.
    pub present_at: Timestamp,
    /// What was typed as confirmation, if anything.
    pub typed: Option<&'a str>,
}

/// A word that has counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// Who.
    pub person: PersonId,
    /// What.
    pub answer: Answer,
    /// How.
    pub channel: Channel,
}

/// Where a proposal stands after a word has counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// More people are needed: that many.
    Waiting(usize),
    /// Everybody needed has said yes.
    Approved,
    /// Somebody who may approve it said no. One no is enough.
    Refused,
}

/// The word that [`Policy::weigh`] let count, and what follows from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weighed {
    /// For the record.
    pub counted: Counted,
    /// What follows.
    pub standing: Standing,
    /// Set if requester and approver are the same person under the solo policy: the ledger says so.
    pub solo: bool,
}

/// Why a proposal or a word doesn't count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// No rule of the policy covers it.
    #[error(
        "no rule of the approval policy covers a {kind:?} change of severity {severity:?} on this connection: add one, or ask its owners"
    )]
    NoRule {
        /// What sort.
        kind: ChangeKind,
        /// How severe.
        severity: Severity,
    },
    /// The requester's identity belongs to nobody whom the policy knows, so that nobody can be shown to be somebody else.
    #[error("the requester ({0}) is nobody whom the approval policy lists: add this identity to a person")]
    RequesterUnknown(Identity),
    /// The requester doesn't belong to the tenant.
    #[error("the requester doesn't belong to the tenant of this connection")]
    RequesterOfOtherTenant,
    /// The approver's identity belongs to nobody whom the policy knows.
    #[error("{0} is nobody whom the approval policy lists")]
    ApproverUnknown(Identity),
    /// The approver isn't of that tenant, or isn't working in it.
    #[error("the approver doesn't belong to the tenant of this change")]
    OtherTenant,
    /// The approver's roles don't suffice.
    #[error("this change needs the word of {}", listed(.0))]
    RoleMissing(BTreeSet<Role>),
    /// Nobody approves what they asked for themselves, by whichever channel.
    #[error("who asked for a change can't approve it, on no channel")]
    OwnRequest,
    /// The channel isn't good enough for this change.
    #[error("this change can't be approved this way; use {}", listed(.0))]
    ChannelNotAllowed(BTreeSet<Channel>),
    /// What an agent asked for is never approved where the agent could type.
    #[error("a change that an agent asked for can't be approved in the terminal: use a passkey, the phone, or the broker's pages")]
    AgentInTerminal,
    /// The proof of presence is too old.
    #[error("the last proof that you are there is too old: log in again, then approve")]
    PresenceTooOld,
    /// The short code had to be typed.
    #[error("type the short code of this change to approve it")]
    ConfirmationMissing,
    /// What was typed is something else.
    #[error("what was typed isn't the short code of this change")]
    ConfirmationWrong,
    /// The time for it is over.
    #[error("the request has expired; ask for it again")]
    Expired,
    /// That person's word has counted before.
    #[error("your word on this change is already recorded")]
    AlreadyCounted,
    /// It has been decided.
    #[error("this request has been decided already")]
    Decided,
}

fn listed<T: Serialize>(items: &BTreeSet<T>) -> String {
    let names: Vec<String> = items.iter().filter_map(|item| serde_json::to_value(item).ok()?.as_str().map(ToOwned::to_owned)).collect();
    names.join(" or ")
}

/// How old a proof of presence may be when a session approves.
pub const PRESENCE: Duration = Duration::from_secs(5 * 60);

/// The whole policy of one broker.
#[derive(Clone, Debug)]
pub struct Policy {
    pub(super) solo: Option<PersonId>,
    pub(super) people: BTreeMap<PersonId, Person>,
    pub(super) rules: Vec<Rule>,
    pub(super) quiet: Option<QuietHours>,
    pub(super) freezes: Vec<Freeze>,
    pub(super) limits: Limits,
    pub(super) guard: Guard,
    /// Connections for which authority may be borrowed that reaches more than the target.
    pub(super) broad_authority: Vec<String>,
    pub(super) change_delay: Duration,
}

impl Policy {
    /// Reads the TOML form (`tests/policies/team.toml` has all of it).
    ///
    /// # Errors
    /// Says line, column, what is wrong and what would be right.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        config::parse(text)
    }

    /// Whether there is only one person, who may approve what they asked for.
    pub fn solo(&self) -> Option<&PersonId> {
        self.solo.as_ref()
    }

    /// The person with that key.
    pub fn person(&self, id: &PersonId) -> Option<&Person> {
        self.people.get(id)
    }

    /// The person behind an identity. No identity belongs to two people: the reader of the policy sees to that.
    pub fn person_of(&self, identity: &Identity) -> Option<&Person> {
        self.people.values().find(|person| person.identities.contains(identity))
    }

    /// Everybody.
    pub fn people(&self) -> impl Iterator<Item = &Person> {
        self.people.values()
    }

    /// When people aren't to be asked.
    pub fn quiet(&self) -> Option<&QuietHours> {
        self.quiet.as_ref()
    }

    /// Whether nothing may be applied at that time, and until when.
    pub fn frozen(&self, now: Timestamp) -> Option<&Freeze> {
        self.freezes.iter().find(|freeze| freeze.covers(now))
    }

    /// How much may be asked and applied.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// What may not be touched.
    pub fn guard(&self) -> &Guard {
        &self.guard
    }

    /// Whether authority that can't be narrowed to the target may be borrowed for a connection (`github:acme/shop`): what somebody's own
    /// account reaches, with a token that lives on after its use. Only what is listed is accepted.
    pub fn accepts_broad_authority(&self, connection: &str) -> bool {
        self.broad_authority.iter().any(|pattern| fits(pattern, connection))
    }

    /// Whether it is accepted for any connection whose name begins so (`github:`).
    pub fn accepts_broad_authority_at(&self, start: &str) -> bool {
        self.broad_authority.iter().any(|pattern| pattern.starts_with(start) || fits(pattern, start))
    }

    /// How long after its second yes a change of this policy takes effect.
    pub fn change_delay(&self) -> Duration {
        self.change_delay
    }

    /// What has to come together for a proposal: the first rule that covers it decides.
    ///
    /// # Errors
    /// If no rule covers it, or if nobody could tell whether an approver is somebody else than the requester.
    pub fn requirement(&self, proposal: &Proposal) -> Result<Requirement, Refusal> {
        if let Some(identity) = proposal.requester.identity() {
            let person = self.person_of(identity).ok_or_else(|| Refusal::RequesterUnknown(identity.clone()))?;
            if !person.belongs_to(&proposal.tenant) {
                return Err(Refusal::RequesterOfOtherTenant);
            }
        }
        let rule = self
            .rules
            .iter()
            .find(|rule| rule.covers(proposal))
            .ok_or(Refusal::NoRule { kind: proposal.kind, severity: proposal.severity })?;
        let mut channels = rule.channels.clone();
        if matches!(proposal.requester, Requester::Agent(_)) {
            channels.remove(&Channel::Terminal);
        }
        Ok(Requirement {
            rule: rule.name.clone(),
            approvals: rule.approvals,
            roles: rule.roles.clone(),
            channels,
            expires_after: rule.expires_after,
            typed_confirmation: rule.typed_confirmation || proposal.severity == Severity::Critical,
            solo: self.solo.is_some(),
        })
    }

    /// Whether one word counts, and what follows from it. `code` is the change's short code; `expires_at` when the time is over.
    ///
    /// A *no* is weighed by who says it, not by how: refusing needs the right to approve, but neither a typed code nor a strong
    /// channel.
    ///
    /// # Errors
    /// Why it doesn't count; nothing has changed then.
    pub fn weigh(
        &self,
        proposal: &Proposal,
        code: &str,
        expires_at: Timestamp,
        earlier: &[Counted],
        vote: &Vote<'_>,
        now: Timestamp,
    ) -> Result<Weighed, Refusal> {
        let requirement = self.requirement(proposal)?;
        if now >= expires_at {
            return Err(Refusal::Expired);
        }
        let yes = earlier.iter().filter(|counted| counted.answer == Answer::Approve).count();
        if yes >= requirement.approvals || earlier.iter().any(|counted| counted.answer == Answer::Refuse) {
            return Err(Refusal::Decided);
        }
        let person = self.person_of(vote.identity).ok_or_else(|| Refusal::ApproverUnknown(vote.identity.clone()))?;
        if !person.belongs_to(&proposal.tenant) || vote.tenant != proposal.tenant {
            return Err(Refusal::OtherTenant);
        }
        if earlier.iter().any(|counted| counted.person == person.id) {
            return Err(Refusal::AlreadyCounted);
        }
        if !requirement.roles.iter().any(|role| person.has(*role)) {
            return Err(Refusal::RoleMissing(requirement.roles));
        }
        let own = proposal.requester.identity().and_then(|identity| self.person_of(identity)).is_some_and(|asker| asker.id == person.id);
        let solo = own && self.solo.as_ref() == Some(&person.id);
        let counted = Counted { person: person.id.clone(), answer: vote.answer, channel: vote.channel };
        if vote.answer == Answer::Refuse {
            // Who asked may take it back as well.
            return Ok(Weighed { counted, standing: Standing::Refused, solo });
        }
        if own && !solo {
            return Err(Refusal::OwnRequest);
        }
        if vote.channel == Channel::Terminal && matches!(proposal.requester, Requester::Agent(_)) {
            return Err(Refusal::AgentInTerminal);
        }
        if !requirement.channels.contains(&vote.channel) {
            return Err(Refusal::ChannelNotAllowed(requirement.channels));
        }
        if vote.channel == Channel::Session && (vote.present_at > now || now.saturating_duration_since(vote.present_at) > PRESENCE) {
            return Err(Refusal::PresenceTooOld);
        }
        if requirement.typed_confirmation && vote.channel != Channel::Phone {
            // On the phone there is nothing to type: the person compares the code there instead.
            match vote.typed {
                None => return Err(Refusal::ConfirmationMissing),
                Some(typed) if !same_code(typed, code) => return Err(Refusal::ConfirmationWrong),
                Some(_) => {}
            }
        }
        let missing = requirement.approvals - yes - 1;
        let standing = if missing == 0 { Standing::Approved } else { Standing::Waiting(missing) };
        Ok(Weighed { counted, standing, solo })
    }
}

/// People type codes in lower case, and with spaces around them.
fn same_code(typed: &str, code: &str) -> bool {
    typed.trim().eq_ignore_ascii_case(code)
}

#[cfg(test)]
mod tests;
