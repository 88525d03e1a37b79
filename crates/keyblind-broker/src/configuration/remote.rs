//! `[socket.tls]`: clients on other machines. `[remote]`: a broker on another machine.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use keyblind_broker::socket::{Certificates, Client, ClientError, Reached, Remote};
use keyblind_intent::Digest;
use serde::Deserialize;

/// Where clients on other machines come to.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct TlsSettings {
    listen: SocketAddr,
    /// What the broker shows.
    certificate: PathBuf,
    key: PathBuf,
    /// Who issues clients' certificates.
    clients: PathBuf,
    /// Digests of certificates that don't count any more, although they are in their time.
    #[serde(default)]
    revoked: Vec<Digest>,
}

/// A broker on another machine, instead of one at a socket of this one.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct RemoteSettings {
    address: String,
    /// What we show there.
    certificate: PathBuf,
    key: PathBuf,
    /// Who issues the broker's certificate.
    authority: PathBuf,
}

impl TlsSettings {
    pub(crate) async fn listen(&self) -> anyhow::Result<Remote> {
        let certificates = Certificates::read(&self.certificate, &self.key, &self.clients).context("[socket.tls]")?;
        Remote::listen(self.listen, certificates, self.revoked.iter().copied()).await.context("[socket.tls]")
    }
}

impl fmt::Display for TlsSettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { listen, certificate, key: _, clients, revoked } = self;
        writeln!(
            formatter,
            "remote   at {listen} as {}, for clients of {}, {} of them revoked",
            certificate.display(),
            clients.display(),
            revoked.len()
        )?;
        revoked.iter().try_for_each(|digest| writeln!(formatter, "         revoked {digest}"))
    }
}

impl RemoteSettings {
    pub(super) fn address(&self) -> &str {
        &self.address
    }
}

/// The way to a broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// A socket of this machine.
    Socket(PathBuf),
    /// Another machine.
    Remote(RemoteSettings),
}

impl Way {
    /// Connects and greets. The token is empty where none is needed.
    pub(crate) fn connect(&self, token: &[u8]) -> Result<Client, ConnectError> {
        match self {
            Self::Socket(path) => Ok(Client::connect(path, token)?),
            Self::Remote(RemoteSettings { address, certificate, key, authority }) => {
                let certificates = Certificates::read(certificate, key, authority)?;
                Ok(Reached::new(address, certificates)?.connect(token)?)
            }
        }
    }

    /// Whether the broker's files are on this machine.
    pub(crate) fn is_near(&self) -> bool {
        matches!(self, Self::Socket(_))
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    /// The broker isn't reached, or refuses.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// It can't be asked so.
    #[error("[remote]: {0}")]
    Address(#[from] keyblind_broker::socket::ReachingError),
    /// What we would show isn't there.
    #[error("[remote]: {0}")]
    Certificates(#[from] keyblind_broker::socket::RemoteError),
}

/// What a `[[peer]]`'s certificate is named: a DNS name or an address, whole.
pub(super) fn is_name(name: &str) -> bool {
    (1..=253).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_graphic())
        && !name.contains('*')
        && Path::new(name) != Path::new("/")
}
