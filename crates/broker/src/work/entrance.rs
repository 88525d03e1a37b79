//! The way from the socket to the broker's own pages.

use keyblind_intent::{Line, Refusal, Report, UnixMillis};

use crate::approvals::policy::Identity;
use crate::dispatch::{self, Answering, Session};
use crate::door::{LINK_LIFE, Origin, Sessions};

/// Lets whoever has shown by the socket who it is log in at the pages.
pub struct Entrance {
    sessions: Sessions,
    origin: Origin,
}

impl Entrance {
    /// To the pages at this origin.
    pub fn new(sessions: Sessions, origin: Origin) -> Self {
        Self { sessions, origin }
    }
}

impl dispatch::Entrance for Entrance {
    fn log_in<'a>(&'a self, session: &'a Session) -> Answering<'a, Result<Report, Refusal>> {
        Box::pin(async move {
            let identity = Identity::of_subject(&session.subject);
            let link = self.sessions.issue_link(identity, session.tenant.as_str()).await.map_err(|_| Refusal::Internal)?;
            let expires = UnixMillis::new(self.sessions.now().saturating_add(LINK_LIFE).unix_millis());
            let page = Line::new(format!("{}{}", self.origin.as_str(), link.path())).map_err(|_| Refusal::Internal)?;
            Ok(Report::LogInAt { page, expires })
        })
    }
}
