//! Logins that are taken over from the broker, over its socket.

use std::path::PathBuf;

use keyblind_client::{Client, ClientError};
use keyblind_intent::{Answer, Control, HandOverCode, HandOverState, HandedOver, Handle, Report, Request};
use keyblind_web::{Answering, Logins};

/// Asks the broker, over one connection a question: logins are rare.
#[derive(Clone, Debug)]
pub(crate) struct BrokerLogins {
    socket: PathBuf,
}

impl BrokerLogins {
    pub(crate) const fn new(socket: PathBuf) -> Self {
        Self { socket }
    }

    async fn ask(&self, control: Control) -> Result<Report, String> {
        let socket = self.socket.clone();
        let asked = tokio::task::spawn_blocking(move || {
            // A peer that speaks for people is known by its user.
            let (answer, _) = Client::connect(&socket, &[])?.ask(&Request::Control(control), None)?;
            Ok::<_, ClientError>(answer)
        });
        match asked.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())? {
            Answer::Report(report) => Ok(report),
            Answer::Outcome(_) => Err("the broker answered something else".to_owned()),
        }
    }
}

impl Logins for BrokerLogins {
    fn take_over(&self, code: HandOverCode, state: HandOverState) -> Answering<'_, HandedOver> {
        Box::pin(async move {
            match self.ask(Control::TakeOver { code, state }).await? {
                Report::HandedOver { person } => Ok(*person),
                _ => Err("the broker answered something else".to_owned()),
            }
        })
    }

    fn end(&self, handle: Handle) -> Answering<'_, ()> {
        Box::pin(async move { self.ask(Control::EndHandle { handle }).await.map(drop) })
    }
}
