//! Connections, TLS and HTTP/1.1: one connection an exchange, which ends with it.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming as IncomingBody;
use hyper::header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderName, LOCATION, USER_AGENT};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use zeroize::Zeroizing;

use super::{Call, EgressError, Origin, Target};

/// How long one address may take to answer before the next one is tried.
const CONNECT: Duration = Duration::from_secs(5);
/// How much memory the head of an answer may take.
const HEAD_BYTES: usize = 64 * 1024;
/// How many headers an answer may have.
const HEADERS: usize = 100;

/// TLS 1.2 and 1.3 with the public certificate authorities and the operator's own.
pub(super) fn tls(own_roots: &[u8]) -> Result<Arc<ClientConfig>, EgressError> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let mut own = 0;
    for certificate in CertificateDer::pem_slice_iter(own_roots) {
        roots.add(certificate.map_err(|_| EgressError::Roots)?).map_err(|_| EgressError::Roots)?;
        own += 1;
    }
    if own == 0 && !own_roots.trim_ascii().is_empty() {
        return Err(EgressError::Roots);
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(|_| EgressError::Tls)?;
    Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}

/// A connection to a host, checked.
pub(super) enum Stream {
    Plain(TcpStream),
    Secure(Box<TlsStream<TcpStream>>),
}

/// Connects to the first of these addresses that answers.
pub(super) async fn connect(origin: &Origin, addresses: &[SocketAddr], tls: &Arc<ClientConfig>) -> Result<Stream, EgressError> {
    let mut stream = None;
    for address in addresses {
        if let Ok(Ok(connected)) = tokio::time::timeout(CONNECT, TcpStream::connect(address)).await {
            stream = Some(connected);
            break;
        }
    }
    let stream = stream.ok_or(EgressError::Unreachable)?;
    // Requests are written in one piece; waiting for more would only cost time.
    drop(stream.set_nodelay(true));
    if !origin.is_secure() {
        return Ok(Stream::Plain(stream));
    }
    let name = ServerName::try_from(origin.host().to_owned()).map_err(|_| EgressError::Target)?;
    let stream = TlsConnector::from(Arc::clone(tls)).connect(name, stream).await.map_err(|_| EgressError::Tls)?;
    Ok(Stream::Secure(Box::new(stream)))
}

/// Sends the request and waits for the head of its answer.
pub(super) async fn exchange(stream: Stream, call: &Call<'_>, deadline: Instant) -> Result<Incoming, EgressError> {
    let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
        .max_buf_size(HEAD_BYTES)
        .max_headers(HEADERS)
        .handshake::<_, Full<Bytes>>(TokioIo::new(stream))
        .await
        .map_err(|_| EgressError::Protocol)?;
    let connection = Connection(tokio::spawn(async move { drop(connection.await) }));
    let mut request = Request::builder()
        .method(call.method.clone())
        .uri(call.uri()?)
        .header(HOST, call.target.origin().authority())
        .header(USER_AGENT, concat!("keyblind-broker/", env!("CARGO_PKG_VERSION")))
        // A compressed answer could be far larger than it looks.
        .header(ACCEPT_ENCODING, "identity");
    if let Some(kind) = call.kind {
        request = request.header(CONTENT_TYPE, kind);
    }
    if let Some(value) = call.authorization()? {
        request = request.header(AUTHORIZATION, value);
    }
    for (name, value) in &call.headers {
        request = request.header(name, value);
    }
    let request = request.body(Full::new(call.body.clone())).map_err(|_| EgressError::Target)?;
    let response = sender.send_request(request).await.map_err(|_| EgressError::Protocol)?;
    let (head, body) = response.into_parts();
    Ok(Incoming { status: head.status, headers: head.headers, body, deadline, _connection: connection })
}

/// The task that drives a connection; it ends with the exchange.
struct Connection(JoinHandle<()>);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// An answer whose body is still on its way.
pub struct Incoming {
    status: StatusCode,
    headers: HeaderMap,
    body: IncomingBody,
    deadline: Instant,
    _connection: Connection,
}

impl Incoming {
    /// The status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// A header's text, if there is one.
    #[must_use]
    pub fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The next piece of the body.
    ///
    /// # Errors
    /// If the body ends early or takes too long.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, EgressError> {
        loop {
            let frame = tokio::time::timeout_at(self.deadline, self.body.frame()).await.map_err(|_| EgressError::TimedOut)?;
            match frame {
                None => return Ok(None),
                Some(Err(_)) => return Err(EgressError::Protocol),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }

    /// Reads the rest, if it isn't larger than that.
    ///
    /// # Errors
    /// If it is, or ends early, or takes too long.
    pub async fn read(mut self, most: usize) -> Result<Answer, EgressError> {
        let announced = self.header(&CONTENT_LENGTH).and_then(|length| length.parse::<usize>().ok());
        if announced.is_some_and(|length| length > most) {
            return Err(EgressError::TooLarge);
        }
        let mut body = Zeroizing::new(Vec::with_capacity(announced.unwrap_or(16 * 1024).min(most)));
        while let Some(piece) = self.chunk().await? {
            if body.len() + piece.len() > most {
                return Err(EgressError::TooLarge);
            }
            if body.len() + piece.len() > body.capacity() {
                // Growing in place would leave a copy behind that nobody overwrites.
                let mut larger = Zeroizing::new(Vec::with_capacity((2 * body.capacity()).max(body.len() + piece.len())));
                larger.extend_from_slice(&body);
                body = larger;
            }
            body.extend_from_slice(&piece);
        }
        Ok(Answer { status: self.status, headers: self.headers, body })
    }

    /// Where a redirect leads.
    pub(super) fn location(&self, from: &Target) -> Result<Option<Target>, EgressError> {
        let Some(value) = self.headers.get(LOCATION) else { return Ok(None) };
        let text = value.to_str().map_err(|_| EgressError::Redirect)?;
        let absolute = if text.starts_with('/') && !text.starts_with("//") { format!("{}{text}", from.origin()) } else { text.to_owned() };
        Target::parse(&absolute).map(Some).map_err(|_| EgressError::Redirect)
    }
}

/// A whole answer. It has no `Debug`: what it holds may be a credential.
pub struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Zeroizing<Vec<u8>>,
}

impl Answer {
    /// The status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// A header's text, if there is one.
    #[must_use]
    pub fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The body as JSON of that form.
    ///
    /// # Errors
    /// If it isn't.
    pub fn json<'a, T: serde::Deserialize<'a>>(&'a self) -> Result<T, EgressError> {
        serde_json::from_slice(&self.body).map_err(|_| EgressError::Unintelligible)
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Secure(stream) => Pin::new(stream.as_mut()).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Secure(stream) => Pin::new(stream.as_mut()).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Secure(stream) => Pin::new(stream.as_mut()).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Secure(stream) => Pin::new(stream.as_mut()).poll_shutdown(context),
        }
    }
}
