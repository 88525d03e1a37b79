//! Several sources of connections as one: a GitHub App's installations beside what people connect themselves, say.

use std::sync::Arc;

use keyblind_intent::{ConnectionSummary, Missing, Outcome, Provider, Refusal, Report};

use super::switch::{BoxFuture, Connection, Connections};
use crate::dispatch::{self, Answering, Session};

/// All that is connected, whatever it is connected by.
#[derive(Clone, Default)]
pub struct Sources {
    on_pages: Vec<Arc<dyn Connections>>,
    on_socket: Vec<Arc<dyn dispatch::Connections>>,
}

impl Sources {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds what the pages list for a whole tenant.
    #[must_use]
    pub fn with_pages(mut self, source: Arc<dyn Connections>) -> Self {
        self.on_pages.push(source);
        self
    }

    /// Adds what answers on the socket. To connect, the first that offers the provider and isn't connected yet answers.
    #[must_use]
    pub fn with_socket(mut self, source: Arc<dyn dispatch::Connections>) -> Self {
        self.on_socket.push(source);
        self
    }
}

impl Connections for Sources {
    fn list<'a>(&'a self, tenant: &'a str) -> BoxFuture<'a, Vec<Connection>> {
        Box::pin(async move {
            let mut all = Vec::new();
            for source in &self.on_pages {
                all.extend(source.list(tenant).await);
            }
            all
        })
    }
}

impl dispatch::Connections for Sources {
    fn list<'a>(&'a self, session: &'a Session) -> Answering<'a, Result<Vec<ConnectionSummary>, Refusal>> {
        Box::pin(async move {
            let mut all = Vec::new();
            for source in &self.on_socket {
                all.extend(source.list(session).await?);
            }
            all.truncate(keyblind_intent::limits::REPORTED_CHECKS);
            Ok(all)
        })
    }

    fn connect<'a>(&'a self, session: &'a Session, provider: Provider) -> Answering<'a, Result<Report, Outcome>> {
        Box::pin(async move {
            let mut connected = None;
            for source in &self.on_socket {
                match source.connect(session, provider).await {
                    Err(Outcome::NotConfigured { missing: Missing::Provider(_) }) => {}
                    Ok(report @ Report::AlreadyConnected { .. }) => drop(connected.get_or_insert(report)),
                    answer => return answer,
                }
            }
            connected.ok_or(Outcome::NotConfigured { missing: Missing::Provider(provider) })
        })
    }
}
