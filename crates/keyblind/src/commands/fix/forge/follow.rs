//! Follows requests until people have decided and the broker has done what they decided.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use keyblind_intent::{Answer, ChangeState, Control, Outcome, Refusal, Request, limits};

use super::request::Wanted;
use super::standing::{Ending, Open, Standing, followed};
use crate::arguments::Global;
use crate::broker::{Broker, unwelcome};
use crate::exit::Exit;
use crate::interrupt::Interrupt;
use crate::terminal;

/// The first pause between two questions, and the longest.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(5);
/// How many times in a row the broker may answer nothing at all.
const MOST_FAILURES: u32 = 5;
/// What clocks may differ by.
const LENIENCE: Duration = Duration::from_secs(60);

/// How following ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Followed {
    /// Nothing is open any more.
    Decided,
    /// Somebody had enough; what is open stays open.
    Interrupted,
}

/// Asks again and again, with growing pauses.
pub(super) fn follow(mut broker: Option<Broker>, all: &mut [(Wanted, Standing)], interrupt: &Interrupt, global: Global) -> Followed {
    let (mut pause, mut failures) = (SHORTEST, 0);
    while all.iter().any(|(_, standing)| matches!(standing, Standing::Open(_))) {
        if interrupt.within(pause) {
            return Followed::Interrupted;
        }
        pause = LONGEST.min(pause * 3 / 2);
        let (mut is_answered, mut last) = (false, None);
        for (_, standing) in all.iter_mut() {
            let Standing::Open(open) = standing else { continue };
            match ask(&mut broker, open) {
                Ok(next) => {
                    is_answered = true;
                    tell(open, &next, global);
                    *standing = next;
                }
                Err(error) => {
                    // It may have got the signal that was meant for us.
                    if interrupt.happened() {
                        return Followed::Interrupted;
                    }
                    last = Some(error);
                }
            }
        }
        failures = if is_answered { 0 } else { failures + 1 };
        if let Some(error) = last.filter(|_| failures >= MOST_FAILURES) {
            for (_, standing) in all.iter_mut() {
                if let Standing::Open(open) = standing {
                    let lost = anyhow::anyhow!("{error:#}")
                        .context(format!("the broker can't be asked any more; the request {} stands", open.code));
                    *standing = Standing::Ended(Ending::failed(&lost));
                }
            }
        }
    }
    Followed::Decided
}

fn ask(broker: &mut Option<Broker>, open: &Open) -> anyhow::Result<Standing> {
    let mut asked = match broker.take() {
        Some(broker) => broker,
        None => Broker::connect()?,
    };
    // After an error there is no knowing what comes next on this connection: it is left behind.
    let answer = asked.ask(&Request::Control(Control::FollowChange { digest: open.change }))?;
    *broker = Some(asked);
    if let Answer::Outcome(outcome @ Outcome::Refused(Refusal::Busy | Refusal::TimedOut | Refusal::ShuttingDown)) = &answer {
        return Err(unwelcome(outcome));
    }
    Ok(match followed(open, answer) {
        Standing::Open(next) if is_overdue(&next) => Standing::Ended(Ending {
            state: "expired",
            words: "the broker still says that it is open, although its time is over: look into the broker's ledger".to_owned(),
            exit: Exit::Internal,
        }),
        next => next,
    })
}

/// Whether the broker should have come to an end long ago.
fn is_overdue(open: &Open) -> bool {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let more = match open.state {
        // It was approved in time, and borrows for so long at most.
        ChangeState::Approved => LENIENCE + Duration::from_secs(limits::LEASE_SECONDS),
        _ => LENIENCE,
    };
    now > Duration::from_millis(open.expires.get()) + more
}

/// Says what is new.
fn tell(before: &Open, now: &Standing, global: Global) {
    let Standing::Open(open) = now else { return };
    if global.quiet {
        return;
    }
    if open.state == ChangeState::Approved && before.state != ChangeState::Approved {
        terminal::say(format_args!("note: {} is approved: the broker opens the pull request", open.code));
    } else if open.approved > before.approved {
        terminal::say(format_args!("note: {} of {} said yes to {}", open.approved, open.wanted, open.code));
    }
    if let Some(held_up) = open.held_up.as_ref().filter(|_| open.held_up != before.held_up) {
        terminal::say(format_args!("note: {} waits, and goes on by itself once this is seen to: {held_up}", open.code));
    }
}
