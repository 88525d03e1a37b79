//! The table `web`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use keyblind_web::{AddressHeader, Origin, Rates, Role, Roles};
use serde::Deserialize;

/// Where the pages are if nothing else is said.
const LISTEN: &str = "127.0.0.1:8700";
/// How long a session lives that nobody uses, in minutes.
const IDLE: u64 = 60;
/// How long any session lives, in hours: a working day.
const LONGEST: u64 = 12;

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct WebTable {
    listen: Option<SocketAddr>,
    origin: Option<String>,
    door: Option<String>,
    address_header: Option<String>,
    idle_minutes: Option<u64>,
    session_hours: Option<u64>,
    scans_a_minute: Option<u32>,
    requests_a_minute: Option<u32>,
    groups: BTreeMap<String, Role>,
    everybody_else: Option<Role>,
}

/// What the web tier is told.
#[derive(Debug)]
pub(crate) struct WebConfiguration {
    /// The address that it listens on.
    pub(crate) listen: SocketAddr,
    /// Where browsers find it.
    pub(crate) origin: Origin,
    /// The broker's own origin.
    pub(crate) door: Option<Origin>,
    /// In which header a proxy says whom it serves.
    pub(crate) address_header: Option<AddressHeader>,
    /// How long a session lives that nobody uses.
    pub(crate) idle: Duration,
    /// How long any session lives.
    pub(crate) longest: Duration,
    /// How often what may happen.
    pub(crate) rates: Rates,
    /// Whom groups of the login provider stand for.
    pub(crate) roles: Roles,
}

impl WebTable {
    /// What it comes to.
    ///
    /// # Errors
    /// What is wrong, and what it should be.
    pub(super) fn read(self) -> Result<WebConfiguration, String> {
        let listen = self.listen.map_or_else(|| LISTEN.parse().map_err(|_| String::new()), Ok)?;
        let is_loopback = listen.ip().is_loopback();
        let origin = match self.origin {
            Some(origin) => origin.parse().map_err(|error| format!("web.origin: {error}"))?,
            None if is_loopback => format!("http://{listen}").parse().map_err(|error| format!("web.listen: {error}"))?,
            None => {
                return Err("web.listen opens the pages to other machines, so web.origin should say where browsers find them".to_owned());
            }
        };
        let origin: Origin = origin;
        if !is_loopback && !origin.to_string().starts_with("https://") {
            return Err(
                "web.listen opens the pages to other machines, so web.origin should be `https://…`: a proxy in front speaks TLS".to_owned()
            );
        }
        let door = self.door.map(|door| door.parse().map_err(|error| format!("web.door: {error}"))).transpose()?;
        let within = |name: &str, value: u64, most: u64| {
            if (1..=most).contains(&value) { Ok(value) } else { Err(format!("web.{name} should be from 1 to {most}")) }
        };
        let rate = |name: &str, value: Option<u32>, otherwise: u32| match value.unwrap_or(otherwise) {
            0 => Err(format!("web.{name} should be 1 at least")),
            rate => Ok(rate),
        };
        let otherwise = Rates::default();
        Ok(WebConfiguration {
            listen,
            origin,
            door,
            address_header: self
                .address_header
                .map(|name| name.parse().map_err(|error| format!("web.address-header: {error}")))
                .transpose()?,
            idle: Duration::from_secs(60 * within("idle-minutes", self.idle_minutes.unwrap_or(IDLE), 7 * 24 * 60)?),
            longest: Duration::from_secs(3_600 * within("session-hours", self.session_hours.unwrap_or(LONGEST), 31 * 24)?),
            rates: Rates {
                scans: rate("scans-a-minute", self.scans_a_minute, otherwise.scans)?,
                requests: rate("requests-a-minute", self.requests_a_minute, otherwise.requests)?,
                ..otherwise
            },
            roles: Roles { groups: self.groups.into_iter().collect(), otherwise: self.everybody_else },
        })
    }
}
