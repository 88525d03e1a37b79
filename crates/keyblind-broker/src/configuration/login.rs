//! `[login]`: the OpenID provider that people log in with.

use keyblind_broker::approvals::ciba::Encoding;
use keyblind_intent::TenantId;
use serde::Deserialize;

use super::ConfigurationError;
use super::accounts::{self, AccountFile, AccountSettings, AdministratorFile};

/// An OpenID provider, and what we are to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LoginSettings {
    /// Exactly as it calls itself.
    pub(crate) issuer: String,
    /// Our id there.
    pub(crate) client: String,
    /// How we prove who we are.
    pub(crate) authentication: Authentication,
    /// The tenant of those whom the policy doesn't know in one.
    pub(crate) tenant: TenantId,
    /// What the button calls it.
    pub(crate) name: Option<String>,
    /// How people are asked on their own devices through it (CIBA), if they are.
    pub(crate) devices: Option<DeviceForm>,
    /// Further origins that it answers at: where its keys lie, say.
    pub(crate) hosts: Vec<String>,
    /// Whether these hosts have private addresses.
    pub(crate) is_private: bool,
    /// Whose interface is asked for, in the way of Auth0: where the details of questions on devices are registered.
    pub(crate) audience: Option<String>,
    /// Whether consent is asked for at each login.
    pub(crate) asks_consent: bool,
    /// The accounts that people connect through it, if it is an Auth0 tenant.
    pub(crate) accounts: Option<AccountSettings>,
    /// The client that ends what somebody still has at an Auth0 tenant, by its id.
    pub(crate) administrator: Option<String>,
    /// The claim that says in which groups somebody is.
    pub(crate) groups: Option<String>,
}

/// In which form an OpenID provider takes what a question on a device is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum DeviceForm {
    /// Authorization details (RFC 9396).
    Plain,
    /// Authorization details as Auth0's Guardian shows them.
    Guardian,
    /// None: the binding message has to do.
    MessageOnly,
}

impl DeviceForm {
    /// As the library names it.
    pub(crate) fn of_details(self) -> Option<Encoding> {
        match self {
            Self::Plain => Some(Encoding::Plain),
            Self::Guardian => Some(Encoding::Guardian),
            Self::MessageOnly => None,
        }
    }
}

/// How we prove who we are to an OpenID provider.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Authentication {
    /// A shared secret in the form.
    #[default]
    SecretPost,
    /// A shared secret in the header.
    SecretBasic,
    /// A signed assertion.
    PrivateKey,
    /// Not at all: a public client.
    None,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct LoginFile {
    issuer: String,
    client: String,
    #[serde(default)]
    authentication: Authentication,
    tenant: TenantId,
    name: Option<String>,
    devices: Option<DeviceForm>,
    #[serde(default)]
    hosts: Vec<String>,
    #[serde(default)]
    private: bool,
    audience: Option<String>,
    #[serde(default)]
    asks_consent: bool,
    #[serde(default)]
    accounts: Vec<AccountFile>,
    administrator: Option<AdministratorFile>,
    groups_claim: Option<String>,
}

/// Reads it.
pub(super) fn settings(file: LoginFile) -> Result<LoginSettings, ConfigurationError> {
    let LoginFile {
        issuer,
        client,
        authentication,
        tenant,
        name,
        devices,
        hosts,
        private,
        audience,
        asks_consent,
        accounts,
        administrator,
        groups_claim,
    } = file;
    let accounts = accounts::settings(accounts)?;
    if accounts.is_none() && (asks_consent || (audience.is_some() && devices.is_none())) {
        return Err(ConfigurationError::Missing(
            "`audience` and `asks-consent` under [login] are for [[login.accounts]], and `audience` for `devices`: without them nothing is asked for",
        ));
    }
    Ok(LoginSettings {
        issuer,
        client,
        authentication,
        tenant,
        name,
        devices,
        hosts,
        is_private: private,
        audience,
        asks_consent,
        accounts,
        administrator: administrator.map(|file| file.client),
        groups: groups_claim,
    })
}
