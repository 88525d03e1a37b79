//! Where calls go: exact hosts and ports, and paths that are built from parts.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why a text names no host that can be listed or called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this names no host: write `https://name`, or `https://name:port`, without user, path or spaces")]
pub struct OriginError;

/// A scheme, a host and a port: what the list of hosts is made of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    secure: bool,
    /// In lower case; an IPv6 address without its brackets.
    host: String,
    port: u16,
}

impl Origin {
    /// Reads `https://name[:port]` (or `http://`, for loopback).
    ///
    /// # Errors
    /// If there is anything else in it, or the host is written in a form that others may read differently (a number, octal or
    /// hexadecimal parts, a dot at its end, other alphabets).
    pub fn parse(text: &str) -> Result<Self, OriginError> {
        let (secure, rest) = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (true, rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (false, rest),
            _ => return Err(OriginError),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = if let Some(bracketed) = rest.strip_prefix('[') {
            let (host, after) = bracketed.split_once(']').ok_or(OriginError)?;
            let address: Ipv6Addr = host.parse().map_err(|_| OriginError)?;
            (
                address.to_string(),
                after.strip_prefix(':').map_or(if after.is_empty() { Ok(None) } else { Err(OriginError) }, |port| Ok(Some(port)))?,
            )
        } else {
            let (host, port) = rest.split_once(':').map_or((rest, None), |(host, port)| (host, Some(port)));
            (host_name(host)?, port)
        };
        let port = match port {
            None => {
                if secure {
                    443
                } else {
                    80
                }
            }
            Some(port) if !port.is_empty() && port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit()) => {
                port.parse().ok().filter(|port| *port != 0).ok_or(OriginError)?
            }
            Some(_) => return Err(OriginError),
        };
        Ok(Self { secure, host, port })
    }

    /// Whether it is spoken to by TLS.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// The host; an IPv6 address without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address, if the host is one.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }

    /// What the `Host` header says.
    pub(crate) fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        let usual = if self.secure { 443 } else { 80 };
        if self.port == usual { host } else { format!("{host}:{}", self.port) }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.secure { "https" } else { "http" }, self.authority())
    }
}

/// A name in the letters of host names, or an IPv4 address in its one usual form.
fn host_name(text: &str) -> Result<String, OriginError> {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if text.len() > 253 || !text.split('.').all(is_label) {
        return Err(OriginError);
    }
    // What ends in a number is an address to some readers, in octal, hexadecimal or as one number: only its usual form is taken.
    let last = text.rsplit('.').next().unwrap_or_default();
    let is_number = last.bytes().all(|byte| byte.is_ascii_digit()) || last.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("0x"));
    if is_number && text.parse::<Ipv4Addr>().is_err() {
        return Err(OriginError);
    }
    Ok(text.to_ascii_lowercase())
}

/// A host that may be talked to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedHost {
    origin: Origin,
    private: bool,
}

impl AllowedHost {
    /// A host on the public internet.
    #[must_use]
    pub fn public(origin: Origin) -> Self {
        Self { origin, private: false }
    }

    /// A host whose addresses may be private (an enterprise's forge, a model on this machine).
    #[must_use]
    pub fn private(origin: Origin) -> Self {
        Self { origin, private: true }
    }

    /// Which.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Whether its addresses may be private.
    #[must_use]
    pub fn is_private(&self) -> bool {
        self.private
    }
}

impl fmt::Display for AllowedHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin, if self.private { " (private)" } else { "" })
    }
}

/// What a call is for: a host, and a path with its query. Paths are built from parts, each of which is one segment whatever it
/// holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    origin: Origin,
    path: String,
    has_query: bool,
    sound: bool,
}

impl Target {
    /// The top of a host.
    #[must_use]
    pub fn new(origin: &Origin) -> Self {
        Self { origin: origin.clone(), path: String::new(), has_query: false, sound: true }
    }

    /// Reads an address that a provider gave us (an endpoint in its metadata, a redirect). A fragment is dropped.
    ///
    /// # Errors
    /// If it isn't one.
    pub fn parse(text: &str) -> Result<Self, OriginError> {
        let start = text.find("://").ok_or(OriginError)? + 3;
        let end = text[start..].find(['/', '?', '#']).map_or(text.len(), |at| start + at);
        let origin = Origin::parse(&text[..end])?;
        let rest = text[end..].split('#').next().unwrap_or_default();
        let path = if rest.starts_with('?') { format!("/{rest}") } else { rest.to_owned() };
        // It may go to a browser as it is, so that it is refused here and not only when it is called.
        if is_path(&path) { Ok(Self { origin, has_query: path.contains('?'), sound: true, path }) } else { Err(OriginError) }
    }

    /// Adds a fixed path of ours, like `/api/v3`.
    #[must_use]
    pub fn path(mut self, path: &str) -> Self {
        self.sound &= !self.has_query && path.starts_with('/') && is_path(path);
        self.path.push_str(path.trim_end_matches('/'));
        self
    }

    /// Adds a fixed path of ours, if there is one.
    #[must_use]
    pub(crate) fn path_if_any(self, path: &str) -> Self {
        if path.is_empty() { self } else { self.path(path) }
    }

    /// Adds one segment; whatever isn't a plain character is encoded.
    #[must_use]
    pub fn segment(mut self, segment: &str) -> Self {
        self.sound &= !self.has_query && !matches!(segment, "" | "." | "..");
        self.path.push('/');
        encode(segment.as_bytes(), &mut self.path);
        self
    }

    /// Adds segments that are divided by slashes, as in a branch's name.
    #[must_use]
    pub fn segments(self, segments: &str) -> Self {
        segments.split('/').fold(self, Self::segment)
    }

    /// Adds a parameter of the query.
    #[must_use]
    pub fn query(mut self, name: &str, value: &str) -> Self {
        if self.path.is_empty() {
            self.path.push('/');
        }
        self.path.push(if self.has_query { '&' } else { '?' });
        self.has_query = true;
        encode(name.as_bytes(), &mut self.path);
        self.path.push('=');
        encode(value.as_bytes(), &mut self.path);
        self
    }

    /// Where it goes.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The whole address, for a person's browser or a signature.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}{}", self.origin, self.path_and_query())
    }

    /// The whole address without its query.
    #[must_use]
    pub fn url_without_query(&self) -> String {
        format!("{}{}", self.origin, self.path_and_query().split('?').next().unwrap_or_default())
    }

    pub(crate) fn path_and_query(&self) -> &str {
        if self.path.is_empty() { "/" } else { &self.path }
    }

    pub(super) fn is_sound(&self) -> bool {
        self.sound
    }
}

/// Printable ASCII without what some readers take for the end of a path, and without steps upwards.
pub(super) fn is_path(path: &str) -> bool {
    let plain =
        path.len() <= 8_192 && path.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'\\' | b'"' | b'<' | b'>' | b'`'));
    let only_path = path.split('?').next().unwrap_or_default();
    plain && (path.is_empty() || path.starts_with('/')) && only_path.split('/').all(|segment| !is_dots(segment))
}

/// `.` or `..`, also where dots are encoded.
fn is_dots(segment: &str) -> bool {
    matches!(segment.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..")
}

/// Percent-encodes everything but unreserved characters (RFC 3986, 2.3).
pub(crate) fn encode(bytes: &[u8], to: &mut impl Extend<char>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            to.extend([char::from(byte)]);
        } else {
            to.extend(['%', char::from(DIGITS[usize::from(byte >> 4)]), char::from(DIGITS[usize::from(byte & 15)])]);
        }
    }
}
