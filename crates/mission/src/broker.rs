//! The way to the broker, for one mission's owner at a time.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use keyblind_client::{BulkFile, Client, ClientError, Question};
use keyblind_intent::{Answer, Handle, Outcome, Refusal, SubjectId, TenantId};
use keyblind_store::{Store, StoreError};

use crate::Clock;

/// How long a mission waits before it asks again whether the broker is there, or its owner.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// For whom something is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who {
    /// Whose data it is about.
    pub tenant: TenantId,
    /// Who wants it.
    pub subject: SubjectId,
}

/// Why the broker gave no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BrokerError {
    /// It doesn't answer for now.
    #[error("the broker can't be reached: {0}")]
    Away(String),
    /// The mission's owner isn't logged in any more.
    #[error("whoever began this mission isn't logged in any more: it goes on once they log in again")]
    NotLoggedIn,
    /// What it said isn't understood.
    #[error("the broker's answer can't be used: {0}")]
    Broken(String),
    /// The server's own database fails.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What the broker answers, and the bulk bytes that come with it.
pub type Answered = (Answer, Option<BulkFile>);

/// An answer that is waited for.
pub type Answering<'a> = Pin<Box<dyn Future<Output = Result<Answered, BrokerError>> + Send + 'a>>;

/// Asks the broker.
pub trait Broker: Send + Sync + 'static {
    /// Asks for somebody. A refusal is an outcome.
    fn ask<'a>(&'a self, who: &'a Who, request: &'a keyblind_intent::Request, attached: Option<&'a [u8]>) -> Answering<'a>;
}

/// The broker at its socket. Who isn't the process's own person is asked for with their handle.
pub struct SocketBroker {
    socket: PathBuf,
    store: Store,
    own: Who,
    clock: Arc<dyn Clock>,
}

impl SocketBroker {
    /// At that socket; `own` is who the broker's configuration takes this process for.
    #[must_use]
    pub const fn new(socket: PathBuf, store: Store, own: Who, clock: Arc<dyn Clock>) -> Self {
        Self { socket, store, own, clock }
    }

    /// Asks with a handle, or as this process itself.
    ///
    /// # Errors
    /// If the broker doesn't answer.
    pub async fn put(
        &self,
        handle: Option<Handle>,
        request: keyblind_intent::Request,
        attached: Option<Vec<u8>>,
    ) -> Result<Answered, BrokerError> {
        let socket = self.socket.clone();
        // The client waits with its thread: for as long as a large repository takes.
        let asked = tokio::task::spawn_blocking(move || {
            let attached = attached.map(|bytes| BulkFile::from_bytes(&bytes)).transpose()?;
            let question = Question { request: &request, behalf: handle.as_ref(), attached: attached.as_ref() };
            Client::connect(&socket, b"")?.put(question)
        });
        match asked.await.map_err(|error| BrokerError::Broken(error.to_string()))? {
            Ok(answered) => Ok(answered),
            Err(ClientError::Refused(Refusal::NotLoggedIn)) => Err(BrokerError::NotLoggedIn),
            Err(ClientError::Refused(Refusal::Busy | Refusal::ShuttingDown | Refusal::TimedOut)) => {
                Err(BrokerError::Away("it is busy, or stopping".to_owned()))
            }
            Err(ClientError::Refused(refusal)) => Ok((Answer::Outcome(Outcome::Refused(refusal)), None)),
            Err(error @ (ClientError::NotRunning { .. } | ClientError::Broken(_) | ClientError::Ended)) => {
                Err(BrokerError::Away(error.to_string()))
            }
            Err(error) => Err(BrokerError::Broken(error.to_string())),
        }
    }
}

impl Broker for SocketBroker {
    fn ask<'a>(&'a self, who: &'a Who, request: &'a keyblind_intent::Request, attached: Option<&'a [u8]>) -> Answering<'a> {
        Box::pin(async move {
            let (request, attached) = (request.clone(), attached.map(<[u8]>::to_vec));
            if *who == self.own {
                return self.put(None, request, attached).await;
            }
            let handle = self.store.handle(&who.tenant, &who.subject, self.clock.now()).await?.ok_or(BrokerError::NotLoggedIn)?;
            let answered = self.put(Some(handle.clone()), request, attached).await;
            if matches!(answered, Err(BrokerError::NotLoggedIn)) {
                // Another one of theirs may live.
                self.store.forget_handle(&handle).await?;
            }
            answered
        })
    }
}
