//! `[github]`: GitHub, or an enterprise host of it, and whose repositories each tenant reaches.

use std::collections::{BTreeMap, BTreeSet};

use keyblind_broker::socket::Peer;
use keyblind_broker::work::Owners;
use keyblind_intent::{Owner, TenantId};
use serde::Deserialize;

use super::ConfigurationError;

/// A GitHub App.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AppSettings {
    /// Its id.
    pub(crate) id: u64,
    /// Its slug, as in `github.com/apps/SLUG`.
    pub(crate) slug: String,
}

/// GitHub, or an enterprise host of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GithubSettings {
    /// The App, if there is one.
    pub(crate) app: Option<AppSettings>,
    /// The address of the interface.
    pub(crate) api: String,
    /// The origin that archives come from, where it is another.
    pub(crate) archives: Option<String>,
    /// Whether these hosts have private addresses.
    pub(crate) is_private: bool,
    /// Whose repositories each tenant reaches.
    pub(crate) owners: BTreeMap<TenantId, Owners>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct GithubFile {
    app: Option<u64>,
    #[serde(default, deserialize_with = "slug")]
    slug: Option<String>,
    api: Option<String>,
    archives: Option<String>,
    #[serde(default)]
    private: bool,
    owners: Option<BTreeMap<TenantId, OwnersFile>>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "a list of owners, or \"*\" for each that installs the App")]
pub(super) enum OwnersFile {
    All(Star),
    These(BTreeSet<Owner>),
}

#[derive(Deserialize)]
pub(super) enum Star {
    #[serde(rename = "*")]
    Star,
}

/// Whose repositories are meant.
pub(super) fn owners(file: OwnersFile) -> Owners {
    match file {
        OwnersFile::All(Star::Star) => Owners::All,
        OwnersFile::These(owners) => Owners::These(owners),
    }
}

/// Reads it.
pub(super) fn settings(file: GithubFile, peers: &[Peer]) -> Result<GithubSettings, ConfigurationError> {
    let tenants: BTreeSet<&TenantId> = peers.iter().map(|peer| &peer.session.tenant).collect();
    let owners = match file.owners {
        Some(listed) => listed.into_iter().map(|(tenant, file)| (tenant, owners(file))).collect(),
        // With one tenant there is nobody to be kept apart.
        None if tenants.len() <= 1 => tenants.into_iter().map(|tenant| (tenant.clone(), Owners::All)).collect(),
        None => {
            return Err(ConfigurationError::Missing(
                "there are several tenants: say under [github.owners] whose repositories each of them reaches, like `octo = [\"octo-org\"]`",
            ));
        }
    };
    let api = file.api.unwrap_or_else(|| "https://api.github.com".to_owned());
    let app = match (file.app, file.slug) {
        (Some(id), Some(slug)) => Some(AppSettings { id, slug }),
        (None, None) => None,
        _ => return Err(ConfigurationError::Missing("`app` and `slug` under [github] go together: set both, or none")),
    };
    Ok(GithubSettings { app, api, archives: file.archives, is_private: file.private, owners })
}

/// It stands in addresses and names an account: nothing but what GitHub itself makes of an App's name.
fn slug<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let slug = String::deserialize(deserializer)?;
    let is_slug = (1..=100).contains(&slug.len()) && slug.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if is_slug {
        Ok(Some(slug))
    } else {
        Err(serde::de::Error::custom("this is no App's slug: it is the last part of https://github.com/apps/SLUG"))
    }
}
