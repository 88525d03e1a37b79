//! The one way out: every request that the broker sends anywhere goes through [`Egress`].
//!
//! It talks to the hosts and ports that the configuration lists and to nothing else; no intent names a host. A name is resolved
//! once a connection, every address that it has is checked, and the connection goes to *that* address, so that a name whose
//! answer changes in between leads nowhere. Nothing in the environment makes it use a proxy. It follows no redirect unless the
//! call says so, and checks each as it checked the first; a credential never travels to another host.
//!
//! Plain HTTP is for loopback only, and only where the configuration names that host as private. Credentials go out in buffers
//! that are overwritten when they were sent; what the TLS library and the kernel copy is theirs. Errors say what failed in codes
//! and never carry what was sent or received.

mod address;
mod call;
mod destination;
mod error;
mod transport;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use tokio::time::Instant;

pub use address::{AddressKind, Resolution, Resolver, SystemResolver};
pub(crate) use call::SignedParts;
pub use call::{Authorization, Body, Call, FormBody};
pub(crate) use destination::encode;
pub use destination::{AllowedHost, Origin, OriginError, Target};
pub use error::EgressError;
pub use transport::{Answer, Incoming};

/// How long a whole exchange may take unless its call says otherwise.
const USUAL_DEADLINE: Duration = Duration::from_secs(30);
/// How many bytes an answer may have unless its call says otherwise.
const USUAL_ANSWER: usize = 1024 * 1024;

/// The client. Cheap to share.
#[derive(Clone)]
pub struct Egress {
    hosts: Arc<BTreeMap<Origin, AllowedHost>>,
    resolver: Arc<dyn Resolver>,
    tls: Arc<ClientConfig>,
}

impl std::fmt::Debug for Egress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Egress").field("hosts", &self.hosts.values()).finish_non_exhaustive()
    }
}

impl Egress {
    /// A client for these hosts, which trusts the public certificate authorities and those in `own_roots` (PEM), as an
    /// enterprise has them.
    ///
    /// # Errors
    /// If `own_roots` holds something else than certificates.
    pub fn new(hosts: impl IntoIterator<Item = AllowedHost>, own_roots: &[u8]) -> Result<Self, EgressError> {
        Ok(Self {
            hosts: Arc::new(hosts.into_iter().map(|host| (host.origin().clone(), host)).collect()),
            resolver: Arc::new(SystemResolver),
            tls: transport::tls(own_roots)?,
        })
    }

    /// The same client with another way to find addresses.
    #[must_use]
    pub fn with_resolver(mut self, resolver: Arc<dyn Resolver>) -> Self {
        self.resolver = resolver;
        self
    }

    /// Every host that it may talk to, for whoever starts the broker and for the ledger.
    pub fn hosts(&self) -> impl Iterator<Item = &AllowedHost> {
        self.hosts.values()
    }

    /// Sends a call and reads the whole answer, whatever its status is.
    ///
    /// # Errors
    /// See [`EgressError`].
    pub async fn send(&self, call: Call<'_>) -> Result<Answer, EgressError> {
        let most = call.most_bytes;
        self.open(call).await?.read(most).await
    }

    /// Sends a call and hands the answer over as soon as its head is there.
    ///
    /// # Errors
    /// See [`EgressError`].
    pub async fn open(&self, call: Call<'_>) -> Result<Incoming, EgressError> {
        let deadline = Instant::now() + call.deadline;
        tokio::time::timeout_at(deadline, self.follow(call, deadline)).await.map_err(|_| EgressError::TimedOut)?
    }

    async fn follow(&self, mut call: Call<'_>, deadline: Instant) -> Result<Incoming, EgressError> {
        loop {
            let incoming = self.exchange(&call, deadline).await?;
            if call.redirects == 0 || !incoming.status().is_redirection() {
                return Ok(incoming);
            }
            let Some(next) = incoming.location(&call.target)? else { return Ok(incoming) };
            call.redirects -= 1;
            call.secret_path = None;
            if call.target.origin().is_secure() && !next.origin().is_secure() {
                return Err(EgressError::Redirect);
            }
            if next.origin() != call.target.origin() {
                call.without_credentials();
            }
            call.target = next;
        }
    }

    async fn exchange(&self, call: &Call<'_>, deadline: Instant) -> Result<Incoming, EgressError> {
        if !call.target.is_sound() {
            return Err(EgressError::Target);
        }
        let host = self.hosts.get(call.target.origin()).ok_or(EgressError::NotListed)?;
        let addresses = address::checked(host, self.resolver.as_ref()).await?;
        let stream = transport::connect(host.origin(), &addresses, &self.tls).await?;
        transport::exchange(stream, call, deadline).await
    }
}

#[cfg(test)]
mod tests;
