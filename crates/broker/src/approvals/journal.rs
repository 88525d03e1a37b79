//! What approvals write into the ledger.

use keyblind_intent::{Count, Digest, Provider, RequestId, SubjectId, TenantId, UnixMillis};
use rusqlite::Transaction;

use super::policy::{Answer, Channel, Counted, Identity, PersonId, Policy};
use crate::clock::Timestamp;
use crate::database::DatabaseError;
use crate::ledger::{ApprovalMethod, Code, Event, Ledger, LedgerError, LoginMethod, Record, Who};

/// One thing that happened, before it takes effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// Somebody asked for a change.
    Raised {
        /// The change's own id, which is its approval's.
        approval: RequestId,
        /// Its digest.
        change: Digest,
        /// Whose.
        tenant: String,
        /// The person who asked, as the policy knows them; none for the broker's own schedule.
        requester: Option<PersonId>,
        /// How many people are wanted.
        wanted: usize,
        /// Whether the requester may be one of them.
        may_be_requester: bool,
        /// When it is over.
        expires: Timestamp,
    },
    /// A person's word counts.
    Word {
        /// On which request.
        approval: RequestId,
        /// The digest that this person has seen.
        change: Digest,
        /// Whose.
        tenant: String,
        /// Who said what on which channel.
        counted: Counted,
        /// Whether requester and approver are one person, by the solo policy.
        solo: bool,
        /// Whether it was the last one that was needed.
        is_given: bool,
    },
    /// A person's word didn't count.
    WordRefused {
        /// On which request.
        approval: RequestId,
        /// Whose.
        tenant: String,
        /// Why, in a word.
        reason: &'static str,
    },
    /// An approved change is about to be applied: its approval is used up.
    Used {
        /// Which.
        approval: RequestId,
        /// Its digest.
        change: Digest,
        /// Whose.
        tenant: String,
    },
    /// Nobody answered in time, or an approval wasn't used in time.
    Expired {
        /// Which.
        approval: RequestId,
        /// Whose.
        tenant: String,
    },
    /// A stop voided it.
    Voided {
        /// Which.
        approval: RequestId,
        /// Whose.
        tenant: String,
    },
    /// A policy was proposed.
    PolicyProposed {
        /// The digest of its text.
        policy: Digest,
    },
    /// An owner agreed to a proposed policy.
    PolicyAgreed {
        /// The digest of its text.
        policy: Digest,
        /// Who.
        person: PersonId,
        /// When it takes effect, if enough have agreed.
        in_force_at: Option<Timestamp>,
    },
    /// A policy is in force.
    PolicyInForce {
        /// The digest of its text.
        policy: Digest,
    },
    /// Somebody logged in.
    LoggedIn {
        /// Where they work.
        tenant: String,
        /// Who, as the ledger names them ([`ledger_name`]).
        who: String,
        /// How.
        method: LoginMethod,
    },
    /// Somebody whom nobody knows yet could not log in.
    LoginFailed {
        /// How they tried.
        method: LoginMethod,
        /// Why, in a word.
        reason: &'static str,
    },
    /// Somebody's session ended because they said so.
    LoggedOut {
        /// Where they worked.
        tenant: String,
        /// Who, as the ledger names them.
        who: String,
    },
    /// The application's pages speak for somebody: a handle was born.
    HandedOver {
        /// Where they work.
        tenant: String,
        /// Who, as the ledger names them.
        who: String,
        /// Which handle.
        handle: RequestId,
        /// When it ends at the latest.
        expires: Timestamp,
    },
    /// A handle ended.
    HandleEnded {
        /// Where they worked.
        tenant: String,
        /// Who, as the ledger names them.
        who: String,
        /// Which handle.
        handle: RequestId,
        /// Why, in a word.
        reason: &'static str,
    },
    /// Somebody did something on the pages that changes what can be approved or borrowed.
    Act {
        /// Where they work.
        tenant: String,
        /// Who, as the ledger names them.
        who: String,
        /// What.
        act: Act,
    },
    /// Long-lived authority came into the sealed store, or to a provider that keeps it for us.
    Connected {
        /// Whose.
        tenant: String,
        /// Who, as the ledger names them.
        who: String,
        /// With whom.
        provider: Provider,
        /// What the configuration calls it.
        connection: String,
    },
    /// Long-lived authority is about to be ended at its provider.
    Disconnecting {
        /// Whose tenant, as far as one is known.
        tenant: Option<String>,
        /// Whose, as the ledger names them.
        who: String,
        /// With whom.
        provider: Provider,
        /// What the configuration calls it.
        connection: String,
    },
    /// Long-lived authority was given up.
    Disconnected {
        /// Whose.
        tenant: String,
        /// Who, as the ledger names them.
        who: String,
        /// With whom.
        provider: Provider,
        /// What the configuration calls it.
        connection: String,
        /// Whether the provider has confirmed that it is dead.
        is_confirmed: bool,
    },
}

/// Something that somebody does on the pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// A passkey is registered.
    PasskeyAdded,
    /// A passkey is removed.
    PasskeyRemoved,
    /// Everything is to stop.
    StopAsked,
    /// Work is to be taken up again.
    ArmAsked,
}

/// How the ledger names somebody: by their key in the policy, else by subject and issuer (as on the socket, where it vouches for them), else (if these don't fit) by a digest.
pub fn ledger_name(policy: Option<&Policy>, identity: &Identity) -> String {
    if let Some(person) = policy.and_then(|policy| policy.person_of(identity)) {
        return person.id().as_str().to_owned();
    }
    // As on the socket: `Identity::of_subject` reads it back.
    if let Some(name) = identity.to_subject() {
        return name.into();
    }
    let digest = Digest::of(identity.to_string().as_bytes()).to_string();
    format!("identity:{}", digest.get(..32).unwrap_or_default())
}

/// Where it is written. Called inside of the transaction that changes the state: if it fails, nothing happens.
pub trait Journal: Send + Sync + 'static {
    /// Appends an entry.
    ///
    /// # Errors
    /// If it can't be kept.
    fn append(&self, transaction: &Transaction<'_>, now: Timestamp, entry: &Entry) -> Result<(), DatabaseError>;
}

/// The ledger's own words for what happened. A used-up approval has none: the announcement of the lease that it is used up for names
/// it, in the same breath.
fn records(entry: &Entry) -> Option<Vec<Record>> {
    let subject = |name: &str| SubjectId::new(name).ok();
    let who = |tenant: &str, name: &str| Some(Who { tenant: TenantId::new(tenant).ok()?, subject: subject(name)? });
    Some(match entry {
        Entry::Raised { approval, change, tenant, requester, wanted, may_be_requester, expires } => {
            let requester = requester.as_ref().map_or(SCHEDULE, PersonId::as_str);
            let event = Event::ApprovalAsked {
                approval: *approval,
                change: *change,
                wanted: Count::new(u64::try_from(*wanted).ok()?).ok()?,
                requester: subject(requester)?,
                may_be_requester: *may_be_requester,
                expires: UnixMillis::new(expires.unix_millis()),
            };
            vec![Record::of(&who(tenant, requester)?, None, event)]
        }
        Entry::Word { approval, change, tenant, counted, is_given, .. } => {
            let (approver, by) = (subject(counted.person.as_str())?, who(tenant, counted.person.as_str())?);
            let event = match counted.answer {
                Answer::Approve => Event::ApprovalVoted { approval: *approval, change: *change, approver, method: method(counted.channel) },
                Answer::Refuse => Event::ApprovalRefused { approval: *approval, approver },
            };
            let mut records = vec![Record::of(&by, None, event)];
            if *is_given {
                records.push(Record::of(&by, None, Event::ApprovalGiven { approval: *approval, change: *change }));
            }
            records
        }
        Entry::WordRefused { approval, tenant, reason } => {
            vec![Record::of(&who(tenant, BROKER)?, None, Event::Refused { request: Some(*approval), reason: Code::new(reason)? })]
        }
        Entry::Used { .. } => Vec::new(),
        Entry::Expired { approval, tenant } => {
            vec![Record::of(&who(tenant, BROKER)?, None, Event::ApprovalExpired { approval: *approval })]
        }
        Entry::Voided { approval, tenant } => {
            let event = Event::ApprovalVoided { approval: *approval, reason: Code::new("stopped")? };
            vec![Record::of(&who(tenant, BROKER)?, None, event)]
        }
        // Who proposed it isn't known: the file was different. What counts is who agreed, and that it is in force.
        Entry::PolicyProposed { policy } => vec![Record::of_broker(Event::PolicyProposed { policy: *policy })],
        Entry::PolicyAgreed { policy, person, in_force_at } => {
            let mut records = vec![Record::of_broker(Event::PolicyAgreed { policy: *policy, owner: subject(person.as_str())? })];
            if in_force_at.is_some() {
                records.push(Record::of_broker(Event::PolicyChanged { policy: *policy }));
            }
            records
        }
        Entry::PolicyInForce { policy } => vec![Record::of_broker(Event::PolicyChanged { policy: *policy })],
        Entry::LoggedIn { tenant, who: name, method } => vec![Record::of(&who(tenant, name)?, None, Event::LoggedIn { method: *method })],
        Entry::LoginFailed { method, reason } => {
            vec![Record::of_broker(Event::LoginFailed { method: *method, reason: Code::new(reason)? })]
        }
        Entry::Act { tenant, who: name, act } => {
            let event = match act {
                Act::PasskeyAdded => Event::PasskeyAdded {},
                Act::PasskeyRemoved => Event::PasskeyRemoved {},
                Act::StopAsked => Event::StopAsked {},
                Act::ArmAsked => Event::ArmAsked {},
            };
            vec![Record::of(&who(tenant, name)?, None, event)]
        }
        Entry::LoggedOut { tenant, who: name } => vec![Record::of(&who(tenant, name)?, None, Event::LoggedOut {})],
        Entry::HandedOver { tenant, who: name, handle, expires } => {
            let event = Event::HandedOver { handle: *handle, expires: UnixMillis::new(expires.unix_millis()) };
            vec![Record::of(&who(tenant, name)?, None, event)]
        }
        Entry::HandleEnded { tenant, who: name, handle, reason } => {
            vec![Record::of(&who(tenant, name)?, None, Event::HandleEnded { handle: *handle, reason: Code::new(reason)? })]
        }
        Entry::Connected { tenant, who: name, provider, connection } => {
            let event = Event::Connected { provider: *provider, connection: Code::new(connection)? };
            vec![Record::of(&who(tenant, name)?, None, event)]
        }
        Entry::Disconnecting { tenant, who: name, provider, connection } => {
            let event = Event::Disconnecting { provider: *provider, connection: Code::new(connection)? };
            vec![match tenant {
                Some(tenant) => Record::of(&who(tenant, name)?, None, event),
                None => Record::of_broker(event),
            }]
        }
        Entry::Disconnected { tenant, who: name, provider, connection, is_confirmed } => {
            let event = Event::Disconnected { provider: *provider, connection: Code::new(connection)?, is_confirmed: *is_confirmed };
            vec![Record::of(&who(tenant, name)?, None, event)]
        }
    })
}

/// Who asks when nobody does, and who acts by itself.
const SCHEDULE: &str = "schedule";
const BROKER: &str = "broker";

fn method(channel: Channel) -> ApprovalMethod {
    match channel {
        Channel::Passkey => ApprovalMethod::Passkey,
        Channel::Phone => ApprovalMethod::Ciba,
        Channel::Session => ApprovalMethod::Session,
        Channel::Terminal => ApprovalMethod::UnverifiedLocal,
    }
}

impl Journal for Ledger {
    fn append(&self, transaction: &Transaction<'_>, _: Timestamp, entry: &Entry) -> Result<(), DatabaseError> {
        for record in records(entry).ok_or(DatabaseError::Unexpected("a name that the ledger doesn't take"))? {
            self.append_in(transaction, record).map_err(|error| match error {
                LedgerError::Database(error) => error,
                // Whoever asks must not go on; what is wrong with the ledger is found and told when it is opened.
                _ => DatabaseError::Unexpected("a ledger that can't be appended to"),
            })?;
        }
        Ok(())
    }
}
