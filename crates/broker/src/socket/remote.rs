//! Clients on other machines: TCP, TLS 1.3, certificates on both sides.
//!
//! A client is known by its certificate: the authority that the configuration names issued it, it is in its time, it isn't on the list of
//! revoked ones, and exactly one of its names is a configured peer's. Nothing is resumed: each connection shows its certificate again.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use keyblind_intent::Digest;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::vault::{KeyError, read_private_file};

/// What both sides speak inside TLS.
pub(super) const PROTOCOL: &[u8] = b"keyblind/1";
/// Bytes of the largest file of certificates or keys.
const LARGEST_FILE: usize = 1 << 20;
/// Who may be on the way to showing a certificate at once, and of them from one address.
const KNOCKING: usize = 64;
const KNOCKING_FROM_ONE: usize = 16;

/// Why clients on other machines can't be served, or this machine can't be one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RemoteError {
    /// The private key can't be read.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A file can't be read, or holds something else.
    #[error("`{}` can't be used: {reason}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Certificate and key don't fit, or the authorities aren't ones.
    #[error("the certificates for TLS can't be used: {0}")]
    Certificates(String),
    /// Nobody can listen there.
    #[error("`{address}` can't be listened at: {source}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
}

/// What one side shows, and whom it believes.
pub struct Certificates {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
    pub(super) authorities: Arc<RootCertStore>,
}

impl Certificates {
    /// Reads them: our certificate with what leads to its authority, its private key, and the authorities of the other side (PEM).
    ///
    /// # Errors
    /// If a file can't be read, others can read the key, or they hold something else.
    pub fn read(chain: &Path, key: &Path, authorities: &Path) -> Result<Self, RemoteError> {
        let failed = |path: &Path, reason: &str| RemoteError::File { path: path.to_owned(), reason: reason.to_owned() };
        let text = read_private_file(key, LARGEST_FILE)?;
        let key = PrivateKeyDer::from_pem_slice(&text).map_err(|_| failed(key, "it holds no private key in PEM"))?;
        let mut roots = RootCertStore::empty();
        for certificate in certificates(authorities)? {
            roots.add(certificate).map_err(|_| failed(authorities, "one of its certificates is no authority's"))?;
        }
        Ok(Self { chain: certificates(chain)?, key, authorities: Arc::new(roots) })
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, RemoteError> {
    let failed = |reason: String| RemoteError::File { path: path.to_owned(), reason };
    let length = std::fs::metadata(path).map_err(|error| failed(error.to_string()))?.len();
    if usize::try_from(length).is_ok_and(|length| length > LARGEST_FILE) {
        return Err(failed("it is too large".to_owned()));
    }
    let text = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(failed("it holds no certificates in PEM".to_owned())),
    }
}

/// Where clients on other machines come to.
pub struct Remote {
    listener: TcpListener,
    handshakes: Handshakes,
    knocking: Arc<Door>,
}

/// How a client shows who it is.
#[derive(Clone)]
pub(super) struct Handshakes {
    acceptor: TlsAcceptor,
    revoked: Arc<BTreeSet<Digest>>,
}

/// How many are on the way.
struct Door {
    all: Arc<Semaphore>,
    by_address: Mutex<HashMap<IpAddr, usize>>,
}

/// One who is on the way to showing a certificate, counted meanwhile.
pub(super) struct Knocking {
    door: Arc<Door>,
    address: IpAddr,
    _permit: OwnedSemaphorePermit,
}

impl Knocking {
    fn new(door: &Arc<Door>, address: IpAddr) -> Option<Self> {
        let permit = Arc::clone(&door.all).try_acquire_owned().ok()?;
        let mut by_address = door.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        let own = by_address.entry(address).or_default();
        if *own >= KNOCKING_FROM_ONE {
            return None;
        }
        *own += 1;
        Some(Self { door: Arc::clone(door), address, _permit: permit })
    }
}

impl Drop for Knocking {
    fn drop(&mut self) {
        let mut by_address = self.door.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = by_address.get_mut(&self.address) {
            *own -= 1;
            if *own == 0 {
                by_address.remove(&self.address);
            }
        }
    }
}

impl Remote {
    /// Listens. Certificates whose digests (SHA-256 of the whole certificate) are `revoked` are nobody's.
    ///
    /// # Errors
    /// If nobody can listen there, or the certificates don't fit.
    pub async fn listen(
        address: SocketAddr,
        certificates: Certificates,
        revoked: impl IntoIterator<Item = Digest>,
    ) -> Result<Self, RemoteError> {
        let Certificates { chain, key, authorities } = certificates;
        let unusable = |error: &dyn std::fmt::Display| RemoteError::Certificates(error.to_string());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(authorities, Arc::clone(&provider));
        let verifier = verifier.build().map_err(|error| unusable(&error))?;
        let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(&[&rustls::version::TLS13]);
        let builder = builder.map_err(|error| unusable(&error))?.with_client_cert_verifier(verifier);
        let mut config = builder.with_single_cert(chain, key).map_err(|error| unusable(&error))?;
        config.alpn_protocols = vec![PROTOCOL.to_vec()];
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        let listener = TcpListener::bind(address).await.map_err(|source| RemoteError::Listen { address, source })?;
        let handshakes = Handshakes { acceptor: TlsAcceptor::from(Arc::new(config)), revoked: Arc::new(revoked.into_iter().collect()) };
        let door = Door { all: Arc::new(Semaphore::new(KNOCKING)), by_address: Mutex::default() };
        Ok(Self { listener, handshakes, knocking: Arc::new(door) })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// If the system doesn't say.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The next who comes, unless too many are on the way already: then they are hung up on.
    pub(super) async fn accept(&self) -> std::io::Result<(TcpStream, Handshakes, Knocking)> {
        loop {
            let (stream, address) = self.listener.accept().await?;
            if let Some(knocking) = Knocking::new(&self.knocking, address.ip()) {
                // Frames are written whole.
                stream.set_nodelay(true)?;
                return Ok((stream, self.handshakes.clone(), knocking));
            }
        }
    }
}

impl Handshakes {
    /// Greets in TLS. Gives the name by which the client is known, if it is by exactly one.
    pub(super) async fn welcome(
        &self,
        stream: TcpStream,
        is_known: impl Fn(&str) -> bool,
    ) -> std::io::Result<(TlsStream<TcpStream>, Option<String>)> {
        let stream = self.acceptor.accept(stream).await?;
        let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let name = certificate
            .filter(|certificate| !self.revoked.contains(&Digest::of(certificate)))
            .and_then(|certificate| known_name(certificate, is_known));
        Ok((stream, name))
    }
}

/// The one name of a certificate that is known. One that has several is nobody's: it could choose who it is. A wildcard is a name like
/// others, and matches nothing but itself.
fn known_name(certificate: &CertificateDer<'_>, is_known: impl Fn(&str) -> bool) -> Option<String> {
    let certificate = webpki::EndEntityCert::try_from(certificate).ok()?;
    let names: BTreeSet<&str> = certificate.valid_dns_names().chain(certificate.valid_uri_names()).filter(|name| is_known(name)).collect();
    let mut names = names.into_iter();
    match (names.next(), names.next()) {
        (Some(name), None) => Some(name.to_owned()),
        _ => None,
    }
}
