//! What the web tier is told.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use axum::http::HeaderName;
use keyblind_intent::{SubjectId, TenantId};
use keyblind_store::Idle;

use crate::Role;

/// Where browsers find the pages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Like `https://keyblind.example`, as browsers send it.
    pub(crate) text: String,
    /// Host and port, as in the header `Host`.
    pub(crate) authority: String,
    /// Whether people come by TLS.
    pub(crate) is_secure: bool,
}

/// Why a text is no origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "an origin should be like `https://keyblind.example` or `http://127.0.0.1:8700`: a scheme, a host in lower case, perhaps a port, and no more"
)]
pub struct NoOrigin;

impl FromStr for Origin {
    type Err = NoOrigin;

    fn from_str(text: &str) -> Result<Self, NoOrigin> {
        let (scheme, authority) = text.split_once("://").ok_or(NoOrigin)?;
        let is_secure = match scheme {
            "https" => true,
            "http" => false,
            _ => return Err(NoOrigin),
        };
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (authority, None),
        };
        let is_host = |character: char| character.is_ascii_lowercase() || character.is_ascii_digit() || "-.[]:".contains(character);
        let is_port = |port: &str| port.parse::<u16>().is_ok_and(|number| number > 0 && number != if is_secure { 443 } else { 80 });
        if host.is_empty() || !host.chars().all(is_host) || (host.contains(':') && !host.starts_with('[')) || !port.is_none_or(is_port) {
            return Err(NoOrigin);
        }
        Ok(Self { text: text.to_owned(), authority: authority.to_owned(), is_secure })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

/// The header in which a proxy in front says whom it serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressHeader(pub(crate) HeaderName);

/// Why a text is no name of a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this should be a header's name, like `x-forwarded-for`")]
pub struct NoHeader;

impl FromStr for AddressHeader {
    type Err = NoHeader;

    fn from_str(text: &str) -> Result<Self, NoHeader> {
        text.parse().map(Self).map_err(|_| NoHeader)
    }
}

/// How often what may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates {
    /// Scans that one person begins in a minute.
    pub scans: u32,
    /// Requests of one address in a minute.
    pub requests: u32,
    /// Logins that one address tries in a minute.
    pub logins: u32,
}

impl Default for Rates {
    fn default() -> Self {
        Self { scans: 5, requests: 600, logins: 20 }
    }
}

/// Whom groups of the login provider stand for: the highest role of all groups counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roles {
    /// Groups with their roles.
    pub groups: Vec<(String, Role)>,
    /// What somebody is who is in none of them; nothing lets them not in.
    pub otherwise: Option<Role>,
}

impl Roles {
    /// What somebody with these groups may do; nothing if they may not come in.
    pub fn of<'g>(&self, groups: impl IntoIterator<Item = &'g str>) -> Option<Role> {
        let named = |group: &str| self.groups.iter().filter(move |(name, _)| name == group).map(|(_, role)| *role).max();
        groups.into_iter().filter_map(named).max().or(self.otherwise)
    }
}

/// What the web tier is told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where browsers find the pages.
    pub origin: Origin,
    /// The broker's own origin, where people log in, approve and stop; none where there is no broker.
    pub door: Option<String>,
    /// Who somebody is who comes with a one-time link.
    pub local: (TenantId, SubjectId),
    /// Whom groups stand for.
    pub roles: Roles,
    /// How often what may happen.
    pub rates: Rates,
    /// How long a session lives that nobody uses.
    pub idle: Duration,
    /// How long any session lives.
    pub longest: Duration,
    /// In which header a proxy in front says whom it serves; only what its last hop wrote counts. None where there is no proxy.
    pub address_header: Option<AddressHeader>,
    /// The folder with the built-in example.
    pub example: Option<PathBuf>,
    /// Beneath which folders an administrator lets paths be scanned.
    pub allowed: Vec<PathBuf>,
    /// The program `keyblind`, which tells what rules there are.
    pub scanner: PathBuf,
}

impl Settings {
    /// How long sessions live that nobody uses, for the database.
    pub(crate) const fn idle(&self) -> Idle {
        Idle { most: self.idle, grain: Duration::from_secs(60) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_what_browsers_send() {
        for text in ["http://127.0.0.1:8700", "https://keyblind.example", "http://localhost:1", "http://[::1]:8700"] {
            assert_eq!(text.parse::<Origin>().map(|origin| origin.to_string()).as_deref(), Ok(text));
        }
        for text in [
            "",
            "keyblind.example",
            "ftp://a",
            "https://",
            "https://a/",
            "https://A",
            "https://a:443",
            "http://a:80",
            "http://a:0",
            "http://u@a",
            "http://a b",
            "http://a?b",
            "http://::1",
        ] {
            assert_eq!(text.parse::<Origin>(), Err(NoOrigin), "{text}");
        }
    }

    #[test]
    fn the_highest_role_counts() {
        let roles = Roles { groups: vec![("dev".to_owned(), Role::Operator), ("ops".to_owned(), Role::Admin)], otherwise: None };
        assert_eq!(roles.of(["dev", "ops", "x"]), Some(Role::Admin));
        assert_eq!(roles.of(["x"]), None);
        assert_eq!(Roles { otherwise: Some(Role::Viewer), ..roles }.of([]), Some(Role::Viewer));
    }
}
