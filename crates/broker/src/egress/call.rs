//! What is sent.

use data_encoding::BASE64;
use std::time::Duration;

use bytes::Bytes;
use hyper::header::{HeaderName, HeaderValue};
use hyper::{Method, Uri};
use zeroize::{Zeroize as _, Zeroizing};

use super::destination::{encode, is_path};
use super::{EgressError, Target, USUAL_ANSWER, USUAL_DEADLINE};
use crate::secret::Secret;

/// A credential as it goes into the `Authorization` header.
#[derive(Clone, Copy)]
pub enum Authorization<'s> {
    /// None.
    None,
    /// `Bearer` (RFC 6750).
    Bearer(&'s Secret),
    /// `DPoP` (RFC 9449).
    Dpop(&'s Secret),
    /// `Basic` (RFC 7617), both halves as they are.
    Basic(&'s str, &'s Secret),
}

/// What goes with the request.
pub enum Body {
    /// Nothing.
    Empty,
    /// A form.
    Form(FormBody),
    /// Bytes of a kind (`application/json`).
    Bytes(&'static str, Zeroizing<Vec<u8>>),
}

/// A form (`application/x-www-form-urlencoded`) whose buffer is overwritten after use.
#[derive(Default)]
pub struct FormBody {
    text: Zeroizing<Vec<u8>>,
}

/// Lets the encoder write into bytes.
struct Sink<'b>(&'b mut Vec<u8>);

impl Extend<char> for Sink<'_> {
    fn extend<I: IntoIterator<Item = char>>(&mut self, characters: I) {
        // What the encoder gives is ASCII.
        self.0.extend(characters.into_iter().map(|character| character as u8));
    }
}

impl FormBody {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a field.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.push(name, value.as_bytes());
        self
    }

    /// Adds a field, if it has a value.
    #[must_use]
    pub fn with_some(self, name: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// Adds a field that is a credential.
    #[must_use]
    pub fn with_secret(mut self, name: &str, value: &Secret) -> Self {
        value.expose(|bytes| self.push(name, bytes));
        self
    }

    fn push(&mut self, name: &str, value: &[u8]) {
        // Each byte may take three; a buffer that grows would leave a copy behind.
        let needed = self.text.len() + 3 * (name.len() + value.len()) + 2;
        if needed > self.text.capacity() {
            let mut larger = Zeroizing::new(Vec::with_capacity(needed.next_power_of_two().max(2_048)));
            larger.extend_from_slice(&self.text);
            self.text = larger;
        }
        if !self.text.is_empty() {
            self.text.push(b'&');
        }
        encode(name.as_bytes(), &mut Sink(&mut self.text));
        self.text.push(b'=');
        encode(value, &mut Sink(&mut self.text));
    }
}

/// A request to be sent.
pub struct Call<'s> {
    pub(super) method: Method,
    pub(super) target: Target,
    /// The path, where it is a credential itself; then the target has none.
    pub(super) secret_path: Option<&'s Secret>,
    pub(super) authorization: Authorization<'s>,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) kind: Option<&'static str>,
    pub(super) body: Bytes,
    pub(super) deadline: Duration,
    pub(super) most_bytes: usize,
    pub(super) redirects: u8,
}

/// What a signature of a request covers.
pub(crate) struct SignedParts<'c> {
    pub(crate) method: &'c Method,
    pub(crate) target: &'c Target,
    /// Those that were added to the call; `host` and `content-type` come from the target and the kind.
    pub(crate) headers: &'c [(HeaderName, HeaderValue)],
    pub(crate) kind: Option<&'static str>,
    pub(crate) body: &'c [u8],
}

impl<'s> Call<'s> {
    /// A request without a body.
    #[must_use]
    pub fn new(method: Method, target: Target) -> Self {
        Self {
            method,
            target,
            secret_path: None,
            authorization: Authorization::None,
            headers: Vec::new(),
            kind: None,
            body: Bytes::new(),
            deadline: USUAL_DEADLINE,
            most_bytes: USUAL_ANSWER,
            redirects: 0,
        }
    }

    /// A request that reads.
    #[must_use]
    pub fn get(target: Target) -> Self {
        Self::new(Method::GET, target)
    }

    /// A request that sends a form.
    #[must_use]
    pub fn form(target: Target, form: FormBody) -> Self {
        Self::new(Method::POST, target).body(Body::Form(form))
    }

    /// Adds a body. Its buffer is overwritten after use.
    #[must_use]
    pub fn body(mut self, body: Body) -> Self {
        let (kind, bytes) = match body {
            Body::Empty => (None, Zeroizing::default()),
            Body::Form(form) => (Some("application/x-www-form-urlencoded"), form.text),
            Body::Bytes(kind, bytes) => (Some(kind), bytes),
        };
        self.kind = kind;
        self.body = Bytes::from_owner(Wiped(bytes));
        self
    }

    /// Adds a JSON body.
    ///
    /// # Errors
    /// If the value can't be written as JSON.
    pub fn json(self, value: &impl serde::Serialize) -> Result<Self, EgressError> {
        let bytes = serde_json::to_vec(value).map_err(|_| EgressError::Target)?;
        Ok(self.body(Body::Bytes("application/json", Zeroizing::new(bytes))))
    }

    /// Adds a credential.
    #[must_use]
    pub fn authorized(mut self, authorization: Authorization<'s>) -> Self {
        self.authorization = authorization;
        self
    }

    /// Sends it to a path that is a credential itself, as that of an incoming webhook is. It takes the place of the target's, and isn't
    /// taken along to where a redirect leads.
    #[must_use]
    pub fn at_secret_path(mut self, path: &'s Secret) -> Self {
        self.secret_path = Some(path);
        self
    }

    /// Adds a header that is no credential. A value that no header can hold makes the call fail.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: &str) -> Self {
        match HeaderValue::from_str(value) {
            Ok(value) => self.headers.push((name, value)),
            Err(_) => self.target = self.target.path("\\"),
        }
        self
    }

    /// Adds a header that must not be shown, like a proof of possession.
    #[must_use]
    pub fn sensitive_header(mut self, name: HeaderName, value: &[u8]) -> Self {
        match sensitive(Zeroizing::new(value.to_vec())) {
            Ok(value) => self.headers.push((name, value)),
            Err(_) => self.target = self.target.path("\\"),
        }
        self
    }

    /// Says how long the exchange may take.
    #[must_use]
    pub fn within(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Says how many bytes the answer may have.
    #[must_use]
    pub fn at_most(mut self, bytes: usize) -> Self {
        self.most_bytes = bytes;
        self
    }

    /// Follows that many redirects, each to a listed host, without the credential where it is another one. Only for reads.
    #[must_use]
    pub fn following(mut self, redirects: u8) -> Self {
        if self.method == Method::GET {
            self.redirects = redirects;
        }
        self
    }

    /// What a signature covers.
    pub(crate) fn signed_parts(&self) -> SignedParts<'_> {
        SignedParts { method: &self.method, target: &self.target, headers: &self.headers, kind: self.kind, body: &self.body }
    }

    /// What another host must not get.
    pub(super) fn without_credentials(&mut self) {
        self.authorization = Authorization::None;
        self.headers.retain(|(_, value)| !value.is_sensitive());
    }

    /// What the request line names. Where that is a credential its buffer is overwritten when the last user lets go of it.
    pub(super) fn uri(&self) -> Result<Uri, EgressError> {
        let Some(path) = self.secret_path else { return self.target.path_and_query().parse().map_err(|_| EgressError::Target) };
        let text = path.expose(|bytes| {
            let text = std::str::from_utf8(bytes).ok().filter(|text| text.starts_with('/') && is_path(text))?;
            Some(Zeroizing::new(text.as_bytes().to_vec()))
        });
        Uri::from_maybe_shared(Bytes::from_owner(Wiped(text.ok_or(EgressError::Target)?))).map_err(|_| EgressError::Target)
    }

    /// The `Authorization` header. Its buffer is overwritten when the last user lets go of it.
    pub(super) fn authorization(&self) -> Result<Option<HeaderValue>, EgressError> {
        let text = match self.authorization {
            Authorization::None => return Ok(None),
            Authorization::Bearer(secret) => prefixed(b"Bearer ", secret),
            Authorization::Dpop(secret) => prefixed(b"DPoP ", secret),
            Authorization::Basic(user, secret) => secret.expose(|bytes| {
                let mut plain = Zeroizing::new(Vec::with_capacity(user.len() + 1 + bytes.len()));
                plain.extend_from_slice(user.as_bytes());
                plain.push(b':');
                plain.extend_from_slice(bytes);
                let mut text = Zeroizing::new(vec![0; 6 + plain.len().div_ceil(3) * 4]);
                text[..6].copy_from_slice(b"Basic ");
                BASE64.encode_mut(&plain, &mut text[6..]);
                text
            }),
        };
        sensitive(text).map(Some)
    }
}

fn prefixed(scheme: &[u8], secret: &Secret) -> Zeroizing<Vec<u8>> {
    let mut text = Zeroizing::new(Vec::with_capacity(scheme.len() + secret.len()));
    text.extend_from_slice(scheme);
    secret.expose(|bytes| text.extend_from_slice(bytes));
    text
}

fn sensitive(text: Zeroizing<Vec<u8>>) -> Result<HeaderValue, EgressError> {
    let mut value = HeaderValue::from_maybe_shared(Bytes::from_owner(Wiped(text))).map_err(|_| EgressError::Target)?;
    value.set_sensitive(true);
    Ok(value)
}

/// Bytes that are overwritten when the last user lets go of them.
struct Wiped(Zeroizing<Vec<u8>>);

impl AsRef<[u8]> for Wiped {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Wiped {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}
