//! What is connected, and where to connect it, for whoever asks on the socket.

use std::sync::PoisonError;
use std::time::Duration;

use keyblind_intent::{
    ConnectionName, ConnectionState, ConnectionSummary, Digest, Line, Missing, Outcome, Provider, Refusal, Report, SubjectId, TenantId,
    UnixMillis,
};

use super::{Accounts, MOST_REMEMBERED, Offer, Standing};
use crate::clock::Timestamp;
use crate::dispatch::{self, Answering, Session};
use crate::door::sessions;

/// How long a request from a terminal waits for its person on the pages.
const WAITS: Duration = Duration::from_secs(10 * 60);

/// A request from a terminal that waits for its person.
#[derive(Clone)]
pub(in crate::door) struct Waiting {
    pub(in crate::door) tenant: TenantId,
    pub(in crate::door) asker: SubjectId,
    pub(in crate::door) name: ConnectionName,
    expires: Timestamp,
}

impl Accounts {
    pub(in crate::door) fn waiting(&self, request: &Digest) -> Option<Waiting> {
        let now = self.clock.now();
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.get(request).filter(|waiting| waiting.expires > now).cloned()
    }

    fn wait_for(&self, session: &Session, offer: &Offer) -> Option<Report> {
        let now = self.clock.now();
        let request = Digest::of(&sessions::random().ok()?);
        let expires = now.saturating_add(WAITS);
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|_, waiting| waiting.expires > now);
        if waiting.len() >= MOST_REMEMBERED
            && let Some(oldest) = waiting.iter().min_by_key(|(_, waiting)| waiting.expires).map(|(request, _)| *request)
        {
            waiting.remove(&oldest);
        }
        let (tenant, asker) = (session.tenant.clone(), session.subject.clone());
        waiting.insert(request, Waiting { tenant, asker, name: offer.name.clone(), expires });
        let page = Line::new(format!("{}/connect/{request}", self.origin.as_str())).ok()?;
        Some(Report::ConnectAt { page, code: request.short_code(), expires: UnixMillis::new(expires.unix_millis()) })
    }
}

impl dispatch::Connections for Accounts {
    fn list<'a>(&'a self, session: &'a Session) -> Answering<'a, Result<Vec<ConnectionSummary>, Refusal>> {
        Box::pin(async move {
            let Some(holder) = self.holder_of(&session.tenant, &session.subject).await else {
                let none = |offer: &Offer| ConnectionSummary {
                    name: offer.name.clone(),
                    provider: offer.provider,
                    state: ConnectionState::NotConnected,
                    owner: None,
                    account: None,
                };
                return Ok(self.offers.iter().map(none).collect());
            };
            let summary = |standing: Standing| ConnectionSummary {
                name: standing.offer.name,
                provider: standing.offer.provider,
                state: standing.state.unwrap_or(ConnectionState::OperatorError),
                owner: None,
                account: None,
            };
            Ok(self.standings(&holder).await.into_iter().map(summary).collect())
        })
    }

    fn connect<'a>(&'a self, session: &'a Session, provider: Provider) -> Answering<'a, Result<Report, Outcome>> {
        Box::pin(async move {
            let Some(offer) = self.offers.iter().find(|offer| offer.provider == provider) else {
                return Err(Outcome::NotConfigured { missing: Missing::Provider(provider) });
            };
            let summaries = dispatch::Connections::list(self, session).await.map_err(Outcome::Refused)?;
            match summaries.into_iter().find(|summary| summary.name == offer.name) {
                Some(connection) if connection.state == ConnectionState::Connected => Ok(Report::AlreadyConnected { connection }),
                _ => self.wait_for(session, offer).ok_or(Outcome::Refused(Refusal::Internal)),
            }
        })
    }
}
