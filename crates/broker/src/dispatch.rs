//! Who handles what: the providers plug in here, and what nobody handles says so.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use keyblind_intent::{
    Check, ConnectionSummary, Control, HandOverCode, HandOverState, Handle, Intent, LedgerForm, Missing, Outcome, Provider, Refusal,
    Report, Request, RequestId, SubjectId, TenantId,
};

use crate::socket::BulkFile;

/// Who is at the other end. The broker knows it from the connection; nothing that an asker says changes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Whose data it may touch.
    pub tenant: TenantId,
    /// Who it is.
    pub subject: SubjectId,
    /// What it is for.
    pub role: Role,
}

/// What a session is for, and so what it may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Somebody at a terminal: all intents, and connecting accounts.
    Person,
    /// The process that runs missions: all intents.
    Runner,
    /// The pages: reads lists, begins to connect, follows changes; proposes nothing by itself.
    Web,
    /// Who runs the broker: may look at its set-up, stop it and take up work again; borrows nothing.
    Operator,
}

impl Role {
    /// Whether it may ask for that. Everybody may stop the broker: that is never the dangerous direction.
    #[must_use]
    pub fn may_ask(self, request: &Request) -> bool {
        match request {
            Request::Control(Control::Kill) => true,
            Request::Control(Control::Arm | Control::EndAccess { .. }) => self == Self::Operator,
            Request::Control(Control::TakeOver { .. } | Control::EndHandle { .. }) => matches!(self, Self::Web | Self::Runner),
            Request::Control(Control::LogIn) => matches!(self, Self::Person | Self::Operator),
            // Of persons, those alone whom the broker's files are open to anyway: that is for who hands out to decide.
            Request::Control(Control::Doctor | Control::LedgerKey | Control::ExportLedger { .. }) => {
                matches!(self, Self::Operator | Self::Person)
            }
            Request::Control(Control::ListConnections | Control::FollowChange { .. }) => true,
            Request::Control(Control::Connect { .. }) => matches!(self, Self::Person | Self::Web),
            Request::Intent(Intent::ListRepositories(_)) => self != Self::Operator,
            Request::Intent(_) => matches!(self, Self::Person | Self::Runner),
        }
    }
}

/// One intent, with all that the broker knows about it.
#[derive(Debug)]
pub struct Asked {
    /// Its id.
    pub id: RequestId,
    /// Who asks.
    pub session: Session,
    /// What.
    pub intent: Intent,
    /// The bulk bytes that the intent announces, checked against its digest.
    pub attached: Option<BulkFile>,
}

/// What came of it.
#[derive(Debug)]
pub struct Reply {
    /// It.
    pub outcome: Outcome,
    /// The bulk bytes that the outcome announces.
    pub attached: Option<BulkFile>,
}

impl From<Outcome> for Reply {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, attached: None }
    }
}

/// A result that is waited for.
pub type Answering<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What handles intents of some kind.
///
/// For an intent that only reads, the future is dropped when nobody waits for its answer any more. One that changes something runs
/// to its end, whoever still listens: its effect and the record of it must not be torn apart.
pub trait Handler: Send + Sync + 'static {
    /// Does it.
    fn handle(&self, asked: Asked) -> Answering<'_, Reply>;
}

/// What knows about accounts that are or could be connected.
pub trait Connections: Send + Sync + 'static {
    /// Those of the session's tenant.
    fn list<'a>(&'a self, session: &'a Session) -> Answering<'a, Result<Vec<ConnectionSummary>, Refusal>>;

    /// Begins to connect an account: says where the user goes on.
    fn connect<'a>(&'a self, session: &'a Session, provider: Provider) -> Answering<'a, Result<Report, Outcome>>;
}

/// What knows how far changes are.
pub trait Changes: Send + Sync + 'static {
    /// How far a change of the session's tenant is.
    fn follow<'a>(&'a self, session: &'a Session, digest: keyblind_intent::Digest) -> Answering<'a, Result<Report, Refusal>>;
}

/// What stops all borrowing of authority, and lets it begin again.
pub trait KillSwitch: Send + Sync + 'static {
    /// Whether everything is stopped.
    fn is_stopped(&self) -> bool;

    /// Stops everything. It answers when nothing is borrowed any more.
    fn stop<'a>(&'a self, by: &'a SubjectId) -> Answering<'a, Result<Report, Refusal>>;

    /// Takes up work again.
    fn arm<'a>(&'a self, by: &'a SubjectId) -> Answering<'a, Result<Report, Refusal>>;
}

/// What lets people in to the broker's own pages.
pub trait Entrance: Send + Sync + 'static {
    /// Says where whoever asks logs in, once.
    fn log_in<'a>(&'a self, session: &'a Session) -> Answering<'a, Result<Report, Refusal>>;
}

/// What lets the application ask for people who logged in at the broker's own pages.
pub trait Logins: Send + Sync + 'static {
    /// Gives the application a handle for somebody whose browser brought it a code.
    fn take_over<'a>(&'a self, code: &'a HandOverCode, state: &'a HandOverState) -> Answering<'a, Result<Report, Refusal>>;

    /// For whom a handle speaks.
    fn behind<'a>(&'a self, handle: &'a Handle) -> Answering<'a, Result<(TenantId, SubjectId), Refusal>>;

    /// Makes a handle nothing.
    fn end<'a>(&'a self, handle: &'a Handle) -> Answering<'a, Result<Report, Refusal>>;
}

/// What ends the access of somebody who has left.
pub trait Departures: Send + Sync + 'static {
    /// Ends it, and says step by step how that went.
    fn end_access<'a>(&'a self, person: &'a SubjectId) -> Answering<'a, Result<Report, Outcome>>;
}

/// What hands out what is recorded.
pub trait Records: Send + Sync + 'static {
    /// The public key that it is verified with.
    ///
    /// # Errors
    /// If it can't be said.
    fn key(&self) -> Result<Report, Refusal>;

    /// All of it, of all tenants, up to now.
    fn export<'a>(&'a self, session: &'a Session, form: LedgerForm) -> Answering<'a, Result<(Report, BulkFile), Refusal>>;
}

/// What can check its own part of the set-up.
pub trait Examined: Send + Sync + 'static {
    /// Looks at each step. What is a tenant's own is looked at and named for those only who may know of it.
    fn examine<'a>(&'a self, whose: Whose<'a>) -> Answering<'a, Vec<Check>>;
}

/// Whose part of the set-up is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose<'a> {
    /// Everybody's: for who runs the broker.
    Everybodys,
    /// What is everybody's alike, and what is this tenant's.
    Of(&'a TenantId),
}

impl Whose<'_> {
    /// Whether what is that tenant's belongs to it.
    #[must_use]
    pub fn includes(self, tenant: &TenantId) -> bool {
        match self {
            Self::Everybodys => true,
            Self::Of(own) => own == tenant,
        }
    }
}

/// Gives each request to who handles it.
#[derive(Default)]
pub struct Dispatcher {
    handlers: BTreeMap<&'static str, Arc<dyn Handler>>,
    connections: Option<Arc<dyn Connections>>,
    changes: Option<Arc<dyn Changes>>,
    kill_switch: Option<Arc<dyn KillSwitch>>,
    entrance: Option<Arc<dyn Entrance>>,
    logins: Option<Arc<dyn Logins>>,
    departures: Option<Arc<dyn Departures>>,
    records: Option<Arc<dyn Records>>,
    examined: Vec<Arc<dyn Examined>>,
}

impl Dispatcher {
    /// One that handles nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets `handler` handle the intents of these names ([`Intent::name`]).
    #[must_use]
    pub fn with_handler(mut self, names: &[&'static str], handler: Arc<dyn Handler>) -> Self {
        for name in names {
            self.handlers.insert(name, Arc::clone(&handler));
        }
        self
    }

    /// Lets `connections` say what is connected.
    #[must_use]
    pub fn with_connections(mut self, connections: Arc<dyn Connections>) -> Self {
        self.connections = Some(connections);
        self
    }

    /// Lets `changes` say how far changes are.
    #[must_use]
    pub fn with_changes(mut self, changes: Arc<dyn Changes>) -> Self {
        self.changes = Some(changes);
        self
    }

    /// Asks this switch before anything is done.
    #[must_use]
    pub fn with_kill_switch(mut self, kill_switch: Arc<dyn KillSwitch>) -> Self {
        self.kill_switch = Some(kill_switch);
        self
    }

    /// Lets people in to the broker's own pages by this.
    #[must_use]
    pub fn with_entrance(mut self, entrance: Arc<dyn Entrance>) -> Self {
        self.entrance = Some(entrance);
        self
    }

    /// Lets the application ask for people by this.
    #[must_use]
    pub fn with_logins(mut self, logins: Arc<dyn Logins>) -> Self {
        self.logins = Some(logins);
        self
    }

    /// For whom a handle speaks. That the peer may show one was checked before.
    ///
    /// # Errors
    /// If it speaks for nobody any more.
    pub async fn behind(&self, handle: &Handle) -> Result<(TenantId, SubjectId), Refusal> {
        match &self.logins {
            Some(logins) => logins.behind(handle).await,
            None => Err(Refusal::NotLoggedIn),
        }
    }

    /// Ends the access of those who have left by this.
    #[must_use]
    pub fn with_departures(mut self, departures: Arc<dyn Departures>) -> Self {
        self.departures = Some(departures);
        self
    }

    /// Hands out what is recorded by this.
    #[must_use]
    pub fn with_records(mut self, records: Arc<dyn Records>) -> Self {
        self.records = Some(records);
        self
    }

    /// Adds something that can check its own set-up.
    #[must_use]
    pub fn with_examined(mut self, examined: Arc<dyn Examined>) -> Self {
        self.examined.push(examined);
        self
    }

    /// Handles an intent. That the session may ask for it was checked before.
    pub async fn handle(&self, asked: Asked) -> Reply {
        if self.kill_switch.as_ref().is_some_and(|switch| switch.is_stopped()) {
            return Outcome::Refused(Refusal::Halted).into();
        }
        match self.handlers.get(asked.intent.name()) {
            Some(handler) => handler.handle(asked).await,
            None => Outcome::NotConfigured { missing: missing_for(&asked.intent) }.into(),
        }
    }

    /// Answers a control request. That the session may ask for it was checked before.
    ///
    /// # Errors
    /// The outcome that says why there is no report.
    pub async fn control(&self, session: &Session, control: Control) -> Result<(Report, Option<BulkFile>), Outcome> {
        match (control, &self.records) {
            (Control::ExportLedger { form }, Some(records)) => {
                let (report, export) = records.export(session, form).await.map_err(Outcome::Refused)?;
                Ok((report, Some(export)))
            }
            (Control::LedgerKey, Some(records)) => records.key().map(|report| (report, None)).map_err(Outcome::Refused),
            (control, _) => self.report(session, control).await.map(|report| (report, None)),
        }
    }

    async fn report(&self, session: &Session, control: Control) -> Result<Report, Outcome> {
        let refused = Outcome::Refused;
        let lacks = |missing| Outcome::NotConfigured { missing };
        // Whoever asks what is connected, or connects, has the provider asked with an authority of ours.
        let asks_provider = matches!(control, Control::ListConnections | Control::Connect { .. });
        if asks_provider && self.kill_switch.as_ref().is_some_and(|switch| switch.is_stopped()) {
            return Err(refused(Refusal::Halted));
        }
        let no_switch = || lacks(Missing::Setting(keyblind_intent::Setting::KillSwitch));
        match control {
            Control::ListConnections => match &self.connections {
                Some(connections) => Ok(Report::Connections { connections: connections.list(session).await.map_err(refused)? }),
                None => Ok(Report::Connections { connections: Vec::new() }),
            },
            Control::Connect { provider } => match &self.connections {
                Some(connections) => connections.connect(session, provider).await,
                None => Err(lacks(Missing::Provider(provider))),
            },
            Control::LogIn => match &self.entrance {
                Some(entrance) => entrance.log_in(session).await.map_err(refused),
                None => Err(lacks(Missing::Door)),
            },
            Control::TakeOver { code, state } => match &self.logins {
                Some(logins) => logins.take_over(&code, &state).await.map_err(refused),
                None => Err(lacks(Missing::Door)),
            },
            Control::EndHandle { handle } => match &self.logins {
                Some(logins) => logins.end(&handle).await.map_err(refused),
                None => Err(lacks(Missing::Door)),
            },
            Control::FollowChange { digest } => match &self.changes {
                Some(changes) => changes.follow(session, digest).await.map_err(refused),
                None => Err(lacks(Missing::Approvals)),
            },
            Control::Doctor => {
                let whose = if session.role == Role::Operator { Whose::Everybodys } else { Whose::Of(&session.tenant) };
                let mut checks = Vec::new();
                for part in &self.examined {
                    checks.extend(part.examine(whose).await);
                }
                checks.truncate(keyblind_intent::limits::REPORTED_CHECKS);
                Ok(Report::Checks { checks })
            }
            Control::EndAccess { person } => match &self.departures {
                Some(departures) => departures.end_access(&person).await,
                None => Err(lacks(Missing::Door)),
            },
            Control::Kill => self.kill_switch.as_ref().ok_or_else(no_switch)?.stop(&session.subject).await.map_err(refused),
            Control::LedgerKey | Control::ExportLedger { .. } => Err(lacks(Missing::Setting(keyblind_intent::Setting::Ledger))),
            Control::Arm => self.kill_switch.as_ref().ok_or_else(no_switch)?.arm(&session.subject).await.map_err(refused),
        }
    }
}

/// What a configuration that offers no such intent lacks.
fn missing_for(intent: &Intent) -> Missing {
    match intent {
        Intent::ListRepositories(_)
        | Intent::ReadRepository(_)
        | Intent::ProposePullRequest(_)
        | Intent::PublishCheckRun(_)
        | Intent::Comment(_)
        | Intent::UploadSarif(_) => Missing::Provider(Provider::Github),
        Intent::ReadModule(_) => Missing::Registry,
        Intent::Notify(_) => Missing::Channel,
        Intent::Complete(_) => Missing::ModelRole,
        Intent::SnapshotAccount(_) | Intent::ApplyAction(_) => Missing::Provider(Provider::Aws),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requests() -> Vec<(Request, &'static str)> {
        let list = r#"{"intent":{"list-repositories":{"forge":"github"}}}"#;
        let comment =
            r#"{"intent":{"comment":{"repository":{"forge":"github","owner":"o","name":"n"},"pull_request":1,"marker":"m","text":""}}}"#;
        [
            (list, "person runner web"),
            (comment, "person runner"),
            (r#"{"control":"kill"}"#, "person runner web operator"),
            (r#"{"control":"arm"}"#, "operator"),
            (r#"{"control":{"end-access":{"person":"mia"}}}"#, "operator"),
            (r#"{"control":"doctor"}"#, "person operator"),
            (r#"{"control":"ledger-key"}"#, "person operator"),
            (r#"{"control":{"export-ledger":{"form":"verifiable"}}}"#, "person operator"),
            (r#"{"control":"log-in"}"#, "person operator"),
            (r#"{"control":"list-connections"}"#, "person runner web operator"),
            (r#"{"control":{"connect":{"provider":"github"}}}"#, "person web"),
        ]
        .map(|(text, who)| (keyblind_intent::decode(text.as_bytes()).unwrap(), who))
        .into()
    }

    #[test]
    fn each_role_may_ask_for_what_is_written_down() {
        for (request, who) in requests() {
            for (role, name) in [(Role::Person, "person"), (Role::Runner, "runner"), (Role::Web, "web"), (Role::Operator, "operator")] {
                assert_eq!(role.may_ask(&request), who.split(' ').any(|allowed| allowed == name), "{name} {request:?}");
            }
        }
    }

    #[tokio::test]
    async fn an_intent_without_a_provider_says_which_is_missing() {
        let session = Session { tenant: "octo".parse().unwrap(), subject: "alice".parse().unwrap(), role: Role::Person };
        for (request, _) in requests() {
            let Request::Intent(intent) = request else { continue };
            let asked = Asked { id: RequestId::from_bytes([0; 16]), session: session.clone(), intent, attached: None };
            let reply = Dispatcher::new().handle(asked).await;
            assert_eq!(reply.outcome, Outcome::NotConfigured { missing: Missing::Provider(Provider::Github) });
        }
        let stopped = Dispatcher::new().control(&session, Control::Kill).await;
        assert!(matches!(stopped, Err(Outcome::NotConfigured { .. })));
    }
}
