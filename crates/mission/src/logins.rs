//! People who logged in at the broker's pages and came to the application's.

use keyblind_intent::{Answer, Control, HandOverCode, HandOverState, HandedOver, Handle, Outcome, Refusal, Report, Request};
use keyblind_store::Store;

use crate::{BrokerError, Clock, SocketBroker};

/// Takes a login over: from now on missions of that person ask the broker for them. None if the code is nothing (any more).
///
/// # Errors
/// If the broker doesn't answer, or doesn't let this program take logins over.
pub async fn take_over(
    broker: &SocketBroker,
    store: &Store,
    code: HandOverCode,
    state: HandOverState,
    clock: &dyn Clock,
) -> Result<Option<HandedOver>, BrokerError> {
    match broker.put(None, Request::Control(Control::TakeOver { code, state }), None).await?.0 {
        Answer::Report(Report::HandedOver { person }) => {
            store.keep_handle(&person.tenant, &person.subject, &person.handle, person.expires, clock.now()).await?;
            Ok(Some(*person))
        }
        Answer::Outcome(Outcome::Refused(Refusal::BadCode)) => Ok(None),
        other => Err(unexpected(&other)),
    }
}

/// Ends a handle, at the broker and here.
///
/// # Errors
/// If the broker doesn't answer: then it is forgotten here all the same.
pub async fn log_out(broker: &SocketBroker, store: &Store, handle: Handle) -> Result<(), BrokerError> {
    store.forget_handle(&handle).await?;
    match broker.put(None, Request::Control(Control::EndHandle { handle }), None).await?.0 {
        Answer::Report(Report::HandleEnded) => Ok(()),
        other => Err(unexpected(&other)),
    }
}

fn unexpected(answer: &Answer) -> BrokerError {
    match answer {
        Answer::Outcome(Outcome::Refused(Refusal::NotAllowed)) => BrokerError::Broken(
            "it doesn't let this program take logins over: its [[peer]] needs `speaks-for-people`, and its [door] an `application`"
                .to_owned(),
        ),
        _ => BrokerError::Broken("it answered something else than was asked".to_owned()),
    }
}
