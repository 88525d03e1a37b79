//! The OpenID provider: who people are, what their logins leave, the accounts that they connect, and questions on their devices.

use std::sync::Arc;

use keyblind_broker::approvals::Approvals;
use keyblind_broker::approvals::devices::{DeviceSettings, Devices};
use keyblind_broker::door::{Accounts, Grants, LogIn, LoginExamined};
use keyblind_broker::egress::Egress;
use keyblind_broker::jws::SigningKey;
use keyblind_broker::leases::epoch::KillSwitch;
use keyblind_broker::leases::lease::Lender;
use keyblind_broker::providers::auth0::Administrator;
use keyblind_broker::providers::github::Github;
use keyblind_broker::providers::oidc::{Client, ClientAuthentication, OpenIdProvider};
use keyblind_broker::vault::{Vault, VaultError};
use keyblind_broker::work::Owners;
use keyblind_intent::Provider;

use super::{Store, client_credential};
use crate::configuration::{Authentication, DeviceForm, Door, LoginSettings};

/// What logging in is joined with.
pub(super) struct Parts<'o> {
    pub(super) store: &'o Store,
    pub(super) egress: &'o Egress,
    pub(super) approvals: &'o Approvals,
    pub(super) switch: &'o KillSwitch,
    pub(super) lender: &'o Lender,
    pub(super) github: Option<&'o Arc<Github>>,
}

/// A provider that people log in with.
pub(super) struct Login {
    pub(super) grants: Grants,
    pub(super) pages: LogIn,
    /// The accounts that people connect, and whose repositories they are used for although there is an App.
    pub(super) accounts: Option<(Arc<Accounts>, Option<Owners>)>,
    pub(super) has_administrator: bool,
    /// In which form people are asked on their devices, if they are.
    devices: Option<DeviceForm>,
}

impl Login {
    /// What `doctor` looks at.
    pub(super) fn examined(&self, door: &Door, switch: &KillSwitch) -> LoginExamined {
        let mut examined = LoginExamined::new(self.pages.clone(), door.origin.clone(), switch.clone());
        if let Some((accounts, _)) = &self.accounts {
            examined = examined.with_accounts(Arc::clone(accounts));
        }
        match self.devices {
            Some(form) => examined.with_devices(form.of_details()),
            None => examined,
        }
    }
}

impl Parts<'_> {
    /// Opens it, if what proves us to it is kept.
    pub(super) async fn open(&self, settings: &LoginSettings, door: Option<&Door>) -> anyhow::Result<Option<(Login, Option<Devices>)>> {
        let Self { store: Store { clock, database, vault }, egress, approvals, switch, lender, github } = *self;
        let Some(client) = kept_client(settings, vault).await? else { return Ok(None) };
        let provider = Arc::new(OpenIdProvider::new(egress.clone(), Arc::clone(clock), settings.issuer.clone(), client));
        let devices = settings.devices.map(|encoding| {
            let settings =
                DeviceSettings { encoding: encoding.of_details(), audience: settings.audience.clone(), ..DeviceSettings::default() };
            let (database, vault, clock, provider) = (database.clone(), Arc::clone(vault), Arc::clone(clock), Arc::clone(&provider));
            Devices::new(approvals.clone(), database, vault, switch.clone(), clock, provider, settings)
        });
        // Only Auth0 has an administrator of this kind, and accounts.
        let is_vault = settings.accounts.as_ref().is_some_and(|accounts| accounts.offers.iter().any(|offer| offer.exchange.is_none()));
        let kind = if is_vault || settings.administrator.is_some() { Provider::Auth0 } else { Provider::Oidc };
        let mut grants = Grants::new(database.clone(), Arc::clone(vault), provider, approvals.clone(), Arc::clone(clock), kind);
        let mut has_administrator = false;
        if let Some(id) = &settings.administrator
            && let Some(secret) = kept(vault, id).await?
        {
            let client = Client::new(id.clone(), ClientAuthentication::Post(secret));
            grants = grants.administered_by(Administrator::new(&settings.issuer, client)?);
            has_administrator = true;
        }
        let mut pages = LogIn::new(grants.clone(), settings.tenant.as_str());
        if let Some(name) = &settings.name {
            pages = pages.named(name.clone());
        }
        if let Some(claim) = &settings.groups {
            pages = pages.with_groups_in(claim.clone());
        }
        let mut accounts = None;
        if let Some((wanted, door)) = settings.accounts.as_ref().zip(door) {
            // Without a refresh token nothing can be borrowed of anybody's account.
            pages = pages.asking_for("openid offline_access", settings.audience.clone());
            if settings.asks_consent {
                pages = pages.asking_for_consent();
            }
            let (offers, origin) = (wanted.offers.clone(), door.origin.clone());
            let opened = Accounts::new(grants.clone(), lender.clone(), approvals.clone(), Arc::clone(clock), origin, offers)?;
            let opened = match github {
                Some(github) => opened.ending_at(Arc::clone(github)),
                None => opened,
            };
            accounts = Some((Arc::new(opened), wanted.instead_of_app.clone()));
        }
        Ok(Some((Login { grants, pages, accounts, has_administrator, devices: settings.devices }, devices)))
    }
}

async fn kept(vault: &Vault, client: &str) -> anyhow::Result<Option<keyblind_broker::secret::Secret>> {
    match vault.get(&client_credential(client)?).await {
        Ok((_, secret)) => Ok(Some(secret)),
        Err(VaultError::NotFound) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// What we are to the provider, if what proves it is kept.
async fn kept_client(settings: &LoginSettings, vault: &Vault) -> anyhow::Result<Option<Client>> {
    let kept = match settings.authentication {
        Authentication::None => None,
        _ => match kept(vault, &settings.client).await? {
            Some(secret) => Some(secret),
            None => return Ok(None),
        },
    };
    let authentication = match (settings.authentication, kept) {
        (Authentication::SecretPost, Some(secret)) => ClientAuthentication::Post(secret),
        (Authentication::SecretBasic, Some(secret)) => ClientAuthentication::Basic(secret),
        (Authentication::PrivateKey, Some(secret)) => ClientAuthentication::PrivateKey(SigningKey::from_pem(&secret, None)?),
        (_, _) => ClientAuthentication::None,
    };
    Ok(Some(Client::new(settings.client.clone(), authentication)))
}
