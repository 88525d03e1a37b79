//! What the broker's outcomes mean for a mission: whether it goes on, waits or ends, and in which words.

use std::time::Duration;

use keyblind_intent::{ConnectionState, Failure, Missing, Outcome, Provider, Refusal};
use keyblind_store::WaitsFor;

use crate::Trouble;
use crate::broker::LOOK_AGAIN;

/// What an outcome that isn't the wanted one means.
pub(crate) fn unwelcome(outcome: &Outcome) -> Trouble {
    match outcome {
        Outcome::NotReady { provider, state } => not_ready(*provider, *state),
        Outcome::NotConfigured { missing } => Trouble::Lasting(format!("the broker's configuration lacks {}", lacking(*missing))),
        Outcome::Refused(refusal) => refused(*refusal),
        Outcome::Failed { failure, retry_after_seconds, said, .. } => {
            let said = said.as_ref().map(|said| format!(": {}", said.for_terminal())).unwrap_or_default();
            let words = format!("the provider {}{said}", failed(*failure));
            match (failure, retry_after_seconds) {
                (Failure::RateLimited, seconds) => Trouble::Waits {
                    waits_for: WaitsFor::Time,
                    reason: words,
                    pause: Duration::from_secs(u64::from(seconds.unwrap_or(60)).clamp(1, 3_600)),
                },
                (Failure::Unreachable | Failure::TimedOut | Failure::Broken, _) => Trouble::Passing(words),
                _ => Trouble::Lasting(words),
            }
        }
        other => Trouble::Lasting(format!("the broker answered something else than was asked ({})", kind(other))),
    }
}

fn not_ready(provider: Provider, state: ConnectionState) -> Trouble {
    let provider = format!("{provider:?}");
    let words = match state {
        ConnectionState::RateLimited => {
            return Trouble::Waits {
                waits_for: WaitsFor::Time,
                reason: format!("{provider} asks to wait"),
                pause: Duration::from_secs(60),
            };
        }
        ConnectionState::NotConnected => format!("{provider} isn't connected: connect it on the broker's pages, and the mission goes on"),
        ConnectionState::Expired => {
            format!("the consent for {provider} has lapsed: connect it again on the broker's pages, and the mission goes on")
        }
        ConnectionState::SignedOut => {
            format!("the login that {provider} was connected with is over: log in again on the broker's pages, and the mission goes on")
        }
        ConnectionState::ScopeMissing => {
            format!("{provider} was connected without a permission that this needs: connect it again on the broker's pages")
        }
        ConnectionState::SecondFactorRequired => format!("{provider} wants a second factor: log in there, then the mission goes on"),
        ConnectionState::OperatorError => {
            format!(
                "the set-up at {provider} is wrong: whoever runs the broker sees it with `keyblind-broker doctor`; then the mission goes on"
            )
        }
        ConnectionState::Connected => format!("{provider} isn't ready yet"),
    };
    Trouble::Waits { waits_for: WaitsFor::Reconnection, reason: words, pause: LOOK_AGAIN }
}

fn refused(refusal: Refusal) -> Trouble {
    let lasting = |words: &str| Trouble::Lasting(words.to_owned());
    match refusal {
        Refusal::Busy | Refusal::ShuttingDown | Refusal::TimedOut | Refusal::Cancelled => {
            Trouble::Waits { waits_for: WaitsFor::Broker, reason: "the broker is busy, or stopping".to_owned(), pause: LOOK_AGAIN }
        }
        Refusal::NotLoggedIn => Trouble::Waits {
            waits_for: WaitsFor::Reconnection,
            reason: "whoever began this mission isn't logged in any more: it goes on once they log in again".to_owned(),
            pause: LOOK_AGAIN,
        },
        Refusal::LedgerUnavailable | Refusal::Internal => Trouble::Passing("the broker failed in itself".to_owned()),
        Refusal::Halted => lasting("everything was stopped: begin it anew once work is taken up again"),
        Refusal::OtherTenant => lasting("that is somebody else's: the broker doesn't let this tenant ask for it"),
        Refusal::NotAllowed => {
            lasting("the broker doesn't let this program ask for that: its [[peer]] needs another role, or `speaks-for-people`")
        }
        Refusal::UnknownPeer | Refusal::BadToken => lasting("the broker doesn't know this program: add a [[peer]] to its configuration"),
        Refusal::StaleState => lasting("the target isn't what it was when it was read: begin it anew"),
        Refusal::NoRule => lasting("no rule of the approval policy covers such a change: its owners can add one"),
        Refusal::RequesterUnknown => lasting("the approval policy doesn't know whoever began this mission, or not for this"),
        Refusal::Guarded => lasting("the approval policy guards that target: nothing is done to it by anybody's yes"),
        Refusal::SaidNoBefore => lasting("exactly these fixes were refused before: reopen that pull request, or choose other fixes"),
        Refusal::WrittenByPeople => lasting("people have pushed to that branch, which isn't touched then: merge or delete it first"),
        Refusal::BeyondLimit => lasting("that is more than the broker or its policy takes: ask for less, or later"),
        Refusal::NotApproved => lasting("nobody approved it in time"),
        other => Trouble::Lasting(format!("the broker refused: {other:?}")),
    }
}

fn failed(failure: Failure) -> String {
    let words = match failure {
        Failure::Unreachable => "can't be reached",
        Failure::TimedOut => "didn't answer in time",
        Failure::NotFound => "has no such thing, or the connection doesn't see it",
        Failure::RateLimited => "asks to wait",
        _ => return format!("didn't do it ({failure:?})"),
    };
    words.to_owned()
}

fn lacking(missing: Missing) -> String {
    match missing {
        Missing::Provider(provider) => format!("{provider:?}"),
        Missing::Approvals => "an approval policy".to_owned(),
        Missing::Door => "its own pages".to_owned(),
        other => format!("{other:?}"),
    }
}

/// The word for an outcome.
fn kind(outcome: &Outcome) -> String {
    let text = format!("{outcome:?}");
    text.split([' ', '(', '{']).next().unwrap_or_default().to_owned()
}

/// An outcome in a line.
pub(crate) fn in_a_line(outcome: &Outcome) -> String {
    match outcome {
        Outcome::PullRequestProposed { number, commit, .. } => format!("pull request {number}, its head is {commit}"),
        Outcome::ActionApplied { undo: Some(_), .. } => "done, verified, and it can be taken back".to_owned(),
        Outcome::ActionApplied { undo: None, .. } => "done and verified".to_owned(),
        other => unwelcome(other).to_string(),
    }
}
