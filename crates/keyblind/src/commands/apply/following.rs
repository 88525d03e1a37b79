//! Follows a change until people have decided and the broker has done what they decided.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use keyblind_intent::{Answer, ChangeState, Control, Digest, Outcome, Refusal, Report, Request, UnixMillis, limits};

use super::in_words;
use crate::arguments::Global;
use crate::broker::{Broker, unwelcome};
use crate::exit::{Exit, UsageError};
use crate::interrupt::Interrupt;
use crate::terminal;

/// The first pause between two questions, and the longest.
const SHORTEST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(5);
/// What clocks may differ by, and what the broker may need after the last yes.
const LENIENCE: Duration = Duration::from_secs(60 + limits::LEASE_SECONDS);

/// How a change ended.
pub(super) struct Ended {
    state: ChangeState,
    outcome: Option<Outcome>,
}

/// Asks again and again, with growing pauses; none if somebody pressed Ctrl-C.
///
/// # Errors
/// If the broker can't be asked any more; what was asked for stands.
pub(super) fn follow(
    mut broker: Broker,
    change: Digest,
    expires: UnixMillis,
    interrupt: &Interrupt,
    global: Global,
) -> anyhow::Result<Option<Ended>> {
    let (mut pause, mut is_approved) = (SHORTEST, false);
    loop {
        if interrupt.within(pause) {
            return Ok(None);
        }
        pause = LONGEST.min(pause * 3 / 2);
        let answer = match broker.ask(&Request::Control(Control::FollowChange { digest: change })) {
            Ok(answer) => answer,
            Err(_) if interrupt.happened() => return Ok(None),
            Err(error) => {
                return Err(error.context(format!("the broker can't be asked any more; the request {} stands", change.short_code())));
            }
        };
        match answer {
            Answer::Report(Report::Change { digest, state, outcome, .. }) if digest == change => match state {
                ChangeState::Waiting | ChangeState::Approved => {
                    if state == ChangeState::Approved && !is_approved && !global.quiet {
                        terminal::say(format_args!("note: {} is approved: the broker makes the call", change.short_code()));
                    }
                    is_approved |= state == ChangeState::Approved;
                    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                    anyhow::ensure!(
                        now < Duration::from_millis(expires.get()) + LENIENCE,
                        "the broker still says that it is open, although its time is over: look into the broker's ledger"
                    );
                }
                state => return Ok(Some(Ended { state, outcome: outcome.map(|outcome| *outcome) })),
            },
            // It will answer in a moment.
            Answer::Outcome(Outcome::Refused(Refusal::Busy | Refusal::TimedOut)) => {}
            Answer::Outcome(outcome) => return Err(unwelcome(&outcome)),
            Answer::Report(report) => anyhow::bail!("the broker answered something else than was asked ({report:?})"),
        }
    }
}

/// What is said of the end, and how the program ends for it.
pub(super) fn ending(change: Digest, ended: &Ended) -> (String, Exit) {
    let said = |state: &str, words: &str, exit| (format!("{state:<8} {words}\n"), exit);
    match (&ended.state, &ended.outcome) {
        (ChangeState::Applied, Some(Outcome::ActionApplied { undo, .. })) => {
            let undo = if undo.is_some() { format!("undo     keyblind apply undo {change}\n") } else { String::new() };
            (format!("applied  and looked at again: it is as it was approved\n{undo}"), Exit::Clean)
        }
        (ChangeState::Applied, _) => said("failed", "the broker says that it is done, and not what came of it", Exit::Internal),
        (ChangeState::Denied, _) => said("denied", "somebody said no: ask them why", Exit::Findings),
        (ChangeState::Expired, _) => said("expired", "too few said yes in time: run the command again to ask again", Exit::Findings),
        (ChangeState::Stale, _) => {
            said("stale", "the resource isn't what it was when it was asked for: nothing was done; run the command again", Exit::Findings)
        }
        (ChangeState::Undone, _) => said(
            "undone",
            "it was done and undone again: something else was changed beside it in the same moment; look, and ask again",
            Exit::Findings,
        ),
        (ChangeState::Failed, Some(Outcome::ActionOvertaken { undo, .. })) => {
            let (resource, action) = (undo.resource(), in_words(undo.action()));
            let words = format!(
                "overtaken it was called, and what is there now is neither what was there before nor what was approved:\n          \
                 somebody else has set it in the same moment, and nothing more was done\nby hand   look at {resource}\n          \
                 if it isn't as it should be, ask for the same again\n          \
                 keyblind apply undo {change} asks for what was there before: {action}\n"
            );
            (words, Exit::Findings)
        }
        (ChangeState::Halted, _) => {
            said("halted", "the broker was stopped, and with it every request: `keyblind-broker arm` takes up work again", Exit::Usage)
        }
        (ChangeState::Failed, Some(outcome)) => {
            let error = unwelcome(outcome);
            let exit = if error.chain().any(|cause| cause.is::<UsageError>()) { Exit::Usage } else { Exit::Internal };
            said("failed", &format!("{error:#}"), exit)
        }
        (ChangeState::Failed, None) => said(
            "failed",
            "it was approved, and whether it was done isn't known: look at the resource before you ask again",
            Exit::Internal,
        ),
        (ChangeState::Waiting | ChangeState::Approved | ChangeState::Unknown, _) => {
            said("unknown", "the broker doesn't know this request any more: look into its ledger before you ask again", Exit::Internal)
        }
    }
}
