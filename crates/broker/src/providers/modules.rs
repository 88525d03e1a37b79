//! Modules: from registries that speak the module registry protocol
//! (<https://developer.hashicorp.com/terraform/internals/module-registry-protocol>), and from archives of git over HTTPS.
//!
//! A registry says where a module lies, in the words of `go-getter`; of these only archives over HTTPS and repositories at one known
//! forge are followed, and only to hosts that the configuration lists. What arrives is hostile: it is taken apart here no further than
//! into regular files within limits, and judged by nobody but a leaf.

mod address;
mod package;
mod versions;

use std::fs::File;
use std::time::Duration;

use hyper::header::HeaderName;
use keyblind_intent::{Failure, ModuleNamespace, ModuleVersion, ModuleVersions, Outcome, Refusal};
use serde::Deserialize;

pub use self::address::{Address, NamedRepository};
pub use self::package::{Files, ModuleLimits, Packed, files_in, locked};
use crate::egress::{Answer, Authorization, Call, Egress, EgressError, Origin, Target};
use crate::ledger::Code;
use crate::providers::code;
use crate::secret::Secret;

/// Where a registry says where its module lies.
const TERRAFORM_GET: HeaderName = HeaderName::from_static("x-terraform-get");
/// Bytes of a registry's answer: a module can have thousands of versions.
const ANSWER_BYTES: usize = 16 << 20;
/// How many redirects lead to an archive.
const REDIRECTS: u8 = 4;
/// How long one archive may take.
const ARCHIVE: Duration = Duration::from_secs(300);
/// The longest silence that is believed.
const LONGEST_SILENCE: Duration = Duration::from_secs(3_600);

/// A registry, as the configuration has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registry {
    /// Its host.
    pub origin: Origin,
}

/// A module of a registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted<'w> {
    /// Who publishes it.
    pub namespace: &'w ModuleNamespace,
    /// Its name.
    pub name: &'w ModuleNamespace,
    /// The system that it is for.
    pub target: &'w ModuleNamespace,
}

/// Why there is no module. Nothing that anybody said is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ModuleError {
    /// There was no answer.
    #[error(transparent)]
    Egress(#[from] EgressError),
    /// The registry wants a token, or another one.
    #[error("the registry doesn't take the token, or wants one")]
    Unauthorized,
    /// There is no such module, or no version that fits.
    #[error("there is no such module, or no version of it that fits")]
    NotFound,
    /// It asks to wait.
    #[error("the registry asks to wait")]
    RateLimited {
        /// For how long.
        wait: Duration,
    },
    /// It failed, or refused for another reason.
    #[error("the registry failed ({status})")]
    Broken {
        /// The status of its answer.
        status: u16,
    },
    /// It lies somewhere that we don't fetch from.
    #[error("the module lies in a form or at a place that isn't fetched from")]
    Elsewhere,
    /// It is larger than is taken.
    #[error("the module is larger than is taken")]
    BeyondLimit,
    /// The archive can't be read.
    #[error("the module's archive can't be read")]
    Archive,
    /// What was fetched couldn't be kept.
    #[error("the module can't be written")]
    Storage,
}

impl ModuleError {
    /// A word for records.
    #[must_use]
    pub fn code(self) -> Code {
        match self {
            Self::Egress(error) => code(error.code()),
            Self::Unauthorized => code("unauthorized"),
            Self::NotFound => code("not-found"),
            Self::RateLimited { .. } => code("rate-limited"),
            Self::Broken { .. } => code("broken"),
            Self::Elsewhere => code("elsewhere"),
            Self::BeyondLimit => code("beyond-limit"),
            Self::Archive => code("archive"),
            Self::Storage => code("storage"),
        }
    }

    /// What whoever asked is told.
    #[must_use]
    pub fn outcome(self) -> Outcome {
        let (failure, status, wait) = match self {
            Self::BeyondLimit => return Outcome::Refused(Refusal::BeyondLimit),
            Self::Storage => return Outcome::Refused(Refusal::Internal),
            Self::Egress(EgressError::TimedOut) => (Failure::TimedOut, None, None),
            Self::Egress(EgressError::TooLarge) => (Failure::TooLarge, None, None),
            Self::Egress(EgressError::NotListed | EgressError::Redirect) | Self::Elsewhere => (Failure::Forbidden, None, None),
            Self::Egress(EgressError::Unintelligible | EgressError::Protocol) | Self::Archive => (Failure::Unintelligible, None, None),
            Self::Egress(_) => (Failure::Unreachable, None, None),
            Self::Unauthorized => (Failure::Forbidden, Some(401), None),
            Self::NotFound => (Failure::NotFound, None, None),
            Self::RateLimited { wait } => (Failure::RateLimited, Some(429), Some(wait)),
            Self::Broken { status } => (Failure::Broken, Some(status), None),
        };
        let retry_after_seconds = wait.map(|wait| u32::try_from(wait.as_secs()).unwrap_or(u32::MAX));
        Outcome::Failed { failure, status, retry_after_seconds, said: None }
    }
}

#[derive(Deserialize)]
struct Discovery {
    #[serde(rename = "modules.v1")]
    modules: String,
}

#[derive(Deserialize)]
struct Versions {
    modules: Vec<OfModule>,
}

#[derive(Deserialize)]
struct OfModule {
    versions: Vec<OneVersion>,
}

#[derive(Deserialize)]
struct OneVersion {
    version: String,
}

#[derive(Deserialize)]
struct Location {
    location: String,
}

impl Registry {
    /// Which version is meant, and where it lies.
    ///
    /// # Errors
    /// See [`ModuleError`].
    pub async fn find(
        &self,
        egress: &Egress,
        token: Option<&Secret>,
        wanted: Wanted<'_>,
        constraint: &ModuleVersions,
    ) -> Result<(ModuleVersion, Address), ModuleError> {
        let place = Target::new(&self.origin).path("/.well-known/terraform.json");
        // Anybody may ask for this one: the token isn't shown where a redirect might lead.
        let found: Discovery = ask(egress, Call::get(place).following(2)).await?.json()?;
        let base = self.base(&found.modules)?;
        let module =
            |base: &Target| base.clone().segment(wanted.namespace.as_str()).segment(wanted.name.as_str()).segment(wanted.target.as_str());
        let versions = authorized(Call::get(module(&base).path("/versions")).at_most(ANSWER_BYTES), token);
        let found: Versions = ask(egress, versions).await?.json()?;
        let all = found.modules.iter().flat_map(|of| &of.versions).filter_map(|one| ModuleVersion::new(one.version.as_str()).ok());
        let version = versions::newest(all, constraint).ok_or(ModuleError::NotFound)?;
        let download = module(&base).segment(version.as_str()).path("/download");
        let answer = ask(egress, authorized(Call::get(download.clone()), token)).await?;
        let address = match answer.header(&TERRAFORM_GET) {
            Some(address) => Address::parse(address, &download),
            None => Address::parse(&answer.json::<Location>()?.location, &download),
        };
        Ok((version, address.ok_or(ModuleError::Elsewhere)?))
    }

    /// Where the registry's modules are: a path of its own, or a whole address at the same host, for the token goes there.
    fn base(&self, text: &str) -> Result<Target, ModuleError> {
        let absolute = if text.starts_with('/') && !text.starts_with("//") { format!("{}{text}", self.origin) } else { text.to_owned() };
        let target = Target::parse(absolute.trim_end_matches('/')).map_err(|_| EgressError::Unintelligible)?;
        let is_plain = !absolute.contains(['?', '#']);
        if target.origin() == &self.origin && is_plain { Ok(target) } else { Err(ModuleError::Elsewhere) }
    }
}

fn authorized<'s>(call: Call<'s>, token: Option<&'s Secret>) -> Call<'s> {
    match token {
        Some(token) => call.authorized(Authorization::Bearer(token)),
        None => call,
    }
}

async fn ask(egress: &Egress, call: Call<'_>) -> Result<Answer, ModuleError> {
    let answer = egress.send(call).await?;
    judged(answer.status().as_u16(), answer.header(&hyper::header::RETRY_AFTER))?;
    Ok(answer)
}

fn judged(status: u16, retry_after: Option<&str>) -> Result<(), ModuleError> {
    match status {
        200..=299 => Ok(()),
        401 | 403 => Err(ModuleError::Unauthorized),
        404 | 410 => Err(ModuleError::NotFound),
        429 => {
            let wait = retry_after.and_then(|text| text.trim().parse().ok()).map_or(Duration::from_secs(60), Duration::from_secs);
            Err(ModuleError::RateLimited { wait: wait.min(LONGEST_SILENCE) })
        }
        status => Err(ModuleError::Broken { status }),
    }
}

/// Fetches an archive over HTTPS and writes its files into another one. `in_folder` says that there is a folder around everything, as
/// in git's archives.
///
/// # Errors
/// See [`ModuleError`]; what was written until then is no archive.
pub async fn fetch(egress: &Egress, target: Target, in_folder: bool, limits: ModuleLimits, into: File) -> Result<Packed, ModuleError> {
    // No token: archives lie at other hosts, by addresses that the registry signs where they are private.
    let mut incoming = egress.open(Call::get(target).following(REDIRECTS).within(ARCHIVE)).await?;
    judged(incoming.status().as_u16(), incoming.header(&hyper::header::RETRY_AFTER))?;
    let (sender, packing) = package::packing(in_folder, limits, into);
    let mut received = 0_u64;
    loop {
        match incoming.chunk().await {
            Ok(Some(piece)) => {
                received = received.saturating_add(piece.len() as u64);
                if received > limits.packed_bytes {
                    return Err(ModuleError::BeyondLimit);
                }
                if sender.send(piece).await.is_err() {
                    break;
                }
            }
            Ok(None) => break,
            Err(error) => return Err(error.into()),
        }
    }
    drop(sender);
    packing.await.map_err(|_| ModuleError::Storage)?
}
