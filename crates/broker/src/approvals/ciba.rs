//! Asking a person on the identity provider's own device (OpenID CIBA, poll mode): the state of one such request.
//!
//! Pure: the wire is the provider's module, the time is given. What the device was asked is kept beside the request and compared
//! with what the provider says was granted; the token that comes with a yes is a proof and is thrown away where it arrives.

use std::time::Duration;

use keyblind_intent::{Change, Digest, PolicyTemplate, Target, canonical};
use serde_json::{Value, json};

use crate::clock::Timestamp;

/// How long to wait between polls if the provider doesn't say (CIBA core 1.0, section 7.3).
const DEFAULT_INTERVAL: Duration = Duration::from_secs(5);
/// What each `slow_down` adds (section 11).
const SLOW_DOWN: Duration = Duration::from_secs(5);
/// However slow the provider wants it: a person's yes shouldn't lie around for longer.
const LONGEST_INTERVAL: Duration = Duration::from_secs(60);
/// Polls without an understandable answer in a row before the door takes over.
const FAILURES: u32 = 5;

/// Bytes of all details, entries of one, characters of one value: Auth0's limits, the narrowest known.
const DETAILS_BYTES: usize = 5 * 1024;
const VALUE_CHARACTERS: usize = 255;

/// In which form the details are put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Plain rich authorization requests (RFC 9396), with the common fields.
    Plain,
    /// The one object that the Guardian app of Auth0 shows on its screen.
    Guardian,
}

impl Encoding {
    /// The type of our details in this form: it has to be registered at the provider under that name.
    pub(crate) fn type_name(self) -> &'static str {
        match self {
            Self::Plain => PLAIN_TYPE,
            Self::Guardian => GUARDIAN_TYPE,
        }
    }
}

/// The type of our details at a provider: it has to be registered there under that name.
pub const PLAIN_TYPE: &str = "keyblind_change";
/// The same for Guardian.
pub const GUARDIAN_TYPE: &str = "urn:auth0:schemas:authorization-details:v1:keyblind-change";

/// The `authorization_details` for a change: made of typed fields, our own words, and the digest. A name from outside is in it
/// only as the value of its own field, and is cut rather than refused.
pub fn details(change: &Change, encoding: Encoding) -> Value {
    let fields = change.fields();
    let (location, identifier) = match &fields.target {
        Target::Repository(repository) => {
            (format!("{}:{}/{}", repository.forge, repository.owner, repository.name), repository.name.as_str().to_owned())
        }
        Target::Resource { account, region, resource } => (format!("aws:{account}:{region}"), resource.as_str().to_owned()),
    };
    let digest = change.digest().to_string();
    let code = change.short_code().to_string();
    let action = fields.intent.name();
    // Whoever answers on a phone sees it too: what is borrowed reaches more than what is changed.
    let is_broad = fields.borrowed.permission == PolicyTemplate::GithubAccount;
    let mut detail = match encoding {
        Encoding::Plain => json!({
            "type": PLAIN_TYPE,
            "locations": [cut(&location)],
            "actions": [action],
            "datatypes": ["change"],
            "privileges": ["once"],
            "identifier": cut(&identifier),
            "digest": digest,
            "code": code,
        }),
        Encoding::Guardian => {
            let shown =
                |name: &str, order: u8, value: &str| json!({ "display": true, "name": name, "display_order": order, "value": value });
            json!({
                "type": GUARDIAN_TYPE,
                "instruction": "Approve only if the code is the one that you were shown.",
                "properties": {
                    "code": shown("Code", 1, &code),
                    "action": shown("Action", 2, action),
                    "where": shown("Where", 3, &cut(&location)),
                    "what": shown("What", 4, &cut(&identifier)),
                    "digest": shown("Digest", 5, &digest),
                },
            })
        }
    };
    match encoding {
        Encoding::Plain if is_broad => detail["privileges"] = json!(["once", "whole-account"]),
        Encoding::Guardian if is_broad => {
            let value = "the asker's whole account at GitHub";
            detail["properties"]["borrows"] = json!({ "display": true, "name": "Borrows", "display_order": 6, "value": value });
        }
        _ => {}
    }
    Value::Array(vec![detail])
}

fn cut(text: &str) -> String {
    if text.chars().count() <= VALUE_CHARACTERS {
        return text.to_owned();
    }
    text.chars().take(VALUE_CHARACTERS - 1).chain(['…']).collect()
}

/// What the device is asked, by whom, for whom, until when.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// The change.
    pub digest: Digest,
    /// The subject whose device it is, as the provider names it.
    pub subject: String,
    /// What was sent as `authorization_details`; none if the provider takes none: then the binding message and the code have to do.
    pub details: Option<Value>,
}

/// What the provider answered to one poll.
#[derive(Clone, Debug, PartialEq)]
pub enum Poll {
    /// `authorization_pending`.
    Pending,
    /// `slow_down`, with `Retry-After` or `interval` if it says so.
    SlowDown {
        /// How long to wait.
        wait: Option<Duration>,
    },
    /// `access_denied`.
    Denied,
    /// `expired_token`.
    Expired,
    /// `invalid_grant`: used, unknown or somebody else's.
    Invalid,
    /// Tokens. They have been checked (signature, issuer, audience, time) and dropped; this is what they said.
    Granted {
        /// `sub` of the ID token.
        subject: String,
        /// What was granted.
        details: Option<Value>,
    },
    /// No answer, or none that makes sense.
    Failed,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The person said yes to exactly this.
    Approved,
    /// The person said no.
    Refused,
    /// Nobody answered in time, by our own clock: a provider may call that a denial.
    Expired,
    /// What was granted isn't what was asked, or somebody else granted it. Nothing may follow from it.
    Mismatch,
    /// The provider can't tell any more. The door takes over.
    Lost,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Poll, but not before that time.
    PollAt(Timestamp),
    /// It is over. Polling again would be an error.
    Ended(End),
}

/// One request on a device.
#[derive(Clone, Debug)]
pub struct Backchannel {
    asked: Asked,
    interval: Duration,
    expires: Timestamp,
    next: Timestamp,
    failures: u32,
    end: Option<End>,
}

impl Backchannel {
    /// Begins to wait. `expires_in` and `interval` are what the provider answered; `request_expires` is when the request itself
    /// is over.
    pub fn begin(asked: Asked, expires_in: Duration, interval: Option<Duration>, request_expires: Timestamp, now: Timestamp) -> Self {
        let interval = interval.unwrap_or(DEFAULT_INTERVAL).clamp(Duration::from_secs(1), LONGEST_INTERVAL);
        let expires = now.saturating_add(expires_in).min(request_expires);
        Self { asked, interval, expires, next: now.saturating_add(interval), failures: 0, end: None }
    }

    /// How long it is waited between polls now.
    pub fn interval(&self) -> Duration {
        self.interval
    }

    /// What was asked.
    pub fn asked(&self) -> &Asked {
        &self.asked
    }

    /// What to do now.
    pub fn step(&mut self, now: Timestamp) -> Step {
        if let Some(end) = self.end {
            return Step::Ended(end);
        }
        if now >= self.expires {
            return self.finish(End::Expired);
        }
        Step::PollAt(self.next)
    }

    /// Takes the answer to a poll that was sent.
    pub fn answered(&mut self, poll: Poll, now: Timestamp) -> Step {
        if let Some(end) = self.end {
            return Step::Ended(end);
        }
        let is_over = now >= self.expires;
        match poll {
            // A yes that comes when we have given up is none.
            Poll::Granted { .. } if is_over => return self.finish(End::Expired),
            Poll::Granted { subject, details } => {
                let is_same = subject == self.asked.subject && same_details(self.asked.details.as_ref(), details.as_ref());
                return self.finish(if is_same { End::Approved } else { End::Mismatch });
            }
            // Auth0 says "denied" for both; who is right about the time is our own clock.
            Poll::Denied if is_over => return self.finish(End::Expired),
            Poll::Denied => return self.finish(End::Refused),
            Poll::Expired => return self.finish(End::Expired),
            Poll::Invalid => return self.finish(End::Lost),
            Poll::Pending => self.failures = 0,
            Poll::SlowDown { wait } => {
                self.failures = 0;
                self.interval = (self.interval + SLOW_DOWN).max(wait.unwrap_or_default()).min(LONGEST_INTERVAL);
            }
            Poll::Failed => {
                self.failures += 1;
                if self.failures >= FAILURES {
                    return self.finish(End::Lost);
                }
            }
        }
        self.next = now.saturating_add(self.interval);
        self.step(now)
    }

    fn finish(&mut self, end: End) -> Step {
        self.end = Some(end);
        Step::Ended(end)
    }
}

/// Whether what was granted is what was asked: the same in canonical form, nothing more, nothing less.
fn same_details(asked: Option<&Value>, granted: Option<&Value>) -> bool {
    match (asked, granted) {
        (None, None) => true,
        (Some(asked), Some(granted)) => match (canonical(asked), canonical(granted)) {
            (Ok(asked), Ok(granted)) => asked == granted,
            _ => false,
        },
        _ => false,
    }
}

/// Why the device can't be asked, so that the door has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotAsked {
    /// `invalid_request`, `unknown_user_id`: there is no device for this person.
    #[error("no device of this person can be asked: use the broker's pages")]
    NoDevice,
    /// The details don't fit into what the provider takes.
    #[error("the change is too long for the device's screen: use the broker's pages")]
    TooLong,
    /// The provider refused for another reason, or can't be reached.
    #[error("the identity provider can't ask now: use the broker's pages")]
    Unavailable,
}

/// Checks the details against the narrowest known limits before they are sent.
///
/// # Errors
/// If they don't fit.
pub fn check_size(details: &Value) -> Result<(), NotAsked> {
    let bytes = canonical(details).map_err(|_| NotAsked::TooLong)?;
    if bytes.len() <= DETAILS_BYTES { Ok(()) } else { Err(NotAsked::TooLong) }
}

#[cfg(test)]
mod tests;
