//! What the pages need of the rest of the broker: the kill switch and the list of linked accounts.

use std::pin::Pin;

use crate::approvals::policy::Identity;
use crate::clock::Timestamp;

/// A future that a trait's method gives.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// How an authority that was borrowed when everything stopped ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The provider has confirmed it.
    Revoked,
    /// It waits in the queue of revocations.
    Waiting,
    /// The provider can't revoke it; it dies then.
    DiesAt(Timestamp),
}

/// What a stop has done so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StopReport {
    /// When.
    pub since: Timestamp,
    /// The number of the stop.
    pub epoch: u64,
    /// Each authority, by a name without secrets.
    pub ends: Vec<(String, End)>,
}

/// Why the switch didn't move.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SwitchError(
    /// In words for the person at the page.
    pub String,
);

/// The kill switch.
pub trait Switch: Send + Sync + 'static {
    /// What was stopped; none while work goes on.
    fn state(&self) -> BoxFuture<'_, Result<Option<StopReport>, SwitchError>>;
    /// Stops everything. When this returns, nothing is borrowed any more on any replica.
    fn stop(&self, by: Identity) -> BoxFuture<'_, Result<(), SwitchError>>;
    /// Takes up work again.
    fn arm(&self, by: Identity) -> BoxFuture<'_, Result<(), SwitchError>>;
}

/// A linked account as the page shows it: nothing here is a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// The name in the configuration.
    pub name: String,
    /// With whom.
    pub provider: String,
    /// What it reaches: an owner, an account.
    pub reaches: Option<String>,
    /// Whether it can be used.
    pub is_sound: bool,
    /// How it is, and what to do if it isn't sound.
    pub state: String,
}

/// The linked accounts of a tenant.
pub trait Connections: Send + Sync + 'static {
    /// All of them.
    fn list<'a>(&'a self, tenant: &'a str) -> BoxFuture<'a, Vec<Connection>>;
}
