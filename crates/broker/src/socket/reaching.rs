//! The client's side of a connection between machines.

use std::io;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use keyblind_client::{Client, ClientError};
use keyblind_intent::limits::ANSWERED_BYTES;
use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::bridge::{self, Keep, Passing};
use super::remote::{Certificates, PROTOCOL};

/// How long it may take to find the broker, to connect, and to know each other.
const PATIENCE: Duration = Duration::from_secs(20);
/// For the broker to take a frame, and for one of its frames to be there.
const FRAME: Duration = Duration::from_secs(60);

/// Why a broker on another machine can't be asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReachingError {
    /// It isn't a host and a port.
    #[error("`{0}` is no broker's address: write it like `broker.example.com:7443`")]
    Address(String),
    /// Our own certificate and key don't fit.
    #[error("the certificate for TLS can't be used: {0}")]
    Certificate(rustls::Error),
}

/// A broker on another machine.
#[derive(Clone)]
pub struct Reached {
    address: String,
    name: ServerName<'static>,
    config: Arc<ClientConfig>,
}

impl Reached {
    /// By its address (`host:port`), what we show there, and the authorities whose word about the host is taken.
    ///
    /// # Errors
    /// If it is no address, or certificate and key don't fit.
    pub fn new(address: &str, certificates: Certificates) -> Result<Self, ReachingError> {
        let wrong = || ReachingError::Address(address.to_owned());
        let (host, port) = address.rsplit_once(':').ok_or_else(wrong)?;
        port.parse::<u16>().ok().filter(|port| *port > 0).ok_or_else(wrong)?;
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let name = ServerName::try_from(host.to_owned()).map_err(|_| wrong())?;
        let Certificates { chain, key, authorities } = certificates;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[&rustls::version::TLS13]);
        let builder = builder.map_err(ReachingError::Certificate)?.with_root_certificates(authorities);
        let mut config = builder.with_client_auth_cert(chain, key).map_err(ReachingError::Certificate)?;
        config.alpn_protocols = vec![PROTOCOL.to_vec()];
        config.resumption = Resumption::disabled();
        Ok(Self { address: address.to_owned(), name, config: Arc::new(config) })
    }

    /// Connects and greets. The token is empty where none is needed.
    ///
    /// # Errors
    /// If nobody answers, either side doesn't believe the other, or the greeting is refused.
    pub fn connect(&self, token: &[u8]) -> Result<Client, ClientError> {
        let failed = |source| ClientError::Unreachable { address: self.address.clone(), source };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let stream = runtime.block_on(async {
            tokio::time::timeout(PATIENCE, self.reach()).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())).map_err(failed)
        })?;
        let (ours, theirs) = UnixStream::pair()?;
        theirs.set_nonblocking(true)?;
        let ended = Arc::new(OnceLock::new());
        let told = Arc::clone(&ended);
        std::thread::Builder::new().name("remote".to_owned()).spawn(move || {
            runtime.block_on(async {
                let Ok(theirs) = tokio::net::UnixStream::from_std(theirs) else { return };
                let passing = Passing { frame: FRAME, most: ANSWERED_BYTES, keep: Keep::Unnamed, lifetime: None, room: None };
                if let Err(error) = bridge::pass(&theirs, stream, passing).await {
                    // Told before the near side sees the end. Nobody else tells.
                    let _ = told.set(error.to_string());
                }
            });
        })?;
        Client::over(ours, token, Some(ended))
    }

    async fn reach(&self) -> io::Result<TlsStream<TcpStream>> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for address in tokio::net::lookup_host(&self.address).await? {
            match TcpStream::connect(address).await {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    return TlsConnector::from(Arc::clone(&self.config)).connect(self.name.clone(), stream).await;
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}
