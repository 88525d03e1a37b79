//! AWS: what the roles are taken with, and the accounts that gave them.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use keyblind_broker::clock::Clock;
use keyblind_broker::egress::{AllowedHost, Egress};
use keyblind_broker::jws::SigningKey;
use keyblind_broker::leases::lease::Lender;
use keyblind_broker::ledger::Ledger;
use keyblind_broker::providers::aws::{Api, AwsAuthority, Base, Interface, OwnIssuer, Profiles, Sts, TokenFile, endpoint};
use keyblind_broker::vault::{RecordKind, RecordName, Vault, VaultError};
use keyblind_broker::work::AwsWork;

use crate::configuration::{AwsSettings, BaseSettings};

/// The id of the key that signs the broker's own identity tokens, where they are published.
const IDENTITY_KEY: &str = "keyblind-broker";

/// The name under which the broker's own keys are kept.
pub(crate) fn kept_keys() -> Result<RecordName, VaultError> {
    RecordName::new("broker", "aws", RecordKind::AwsBase, "keys")
}

/// The name under which the key is kept that signs the broker's own identity tokens.
pub(crate) fn identity_key() -> Result<RecordName, VaultError> {
    RecordName::new("broker", "aws", RecordKind::AwsBase, "identity")
}

/// The broker as an identity provider of its own, from the key as it is kept.
pub(crate) fn own_issuer(
    settings: &AwsSettings,
    pem: &keyblind_broker::secret::Secret,
    clock: Arc<dyn Clock>,
) -> anyhow::Result<Option<OwnIssuer>> {
    let BaseSettings::Issuer { issuer, audience, subject } = &settings.base else { return Ok(None) };
    let key = SigningKey::from_pem(pem, Some(IDENTITY_KEY.to_owned())).context("the kept `aws-identity-key` is no private key")?;
    Ok(Some(OwnIssuer::new(issuer, audience, subject, key, clock).context("[aws.issuer]")?))
}

/// The places that accounts are reached at.
pub(crate) fn hosts(settings: &AwsSettings) -> anyhow::Result<Vec<AllowedHost>> {
    if let Some(endpoint) = &settings.endpoint {
        return Ok(vec![AllowedHost::private(endpoint.clone())]);
    }
    let mut origins = BTreeSet::from([endpoint("sts", &settings.region)?]);
    for account in &settings.accounts {
        for region in &account.regions {
            for interface in Interface::ALL {
                origins.insert(interface.origin(region, &account.linked.account)?);
            }
        }
    }
    Ok(origins.into_iter().map(AllowedHost::public).collect())
}

/// What the accounts are worked with; none where what the roles are taken with isn't kept.
pub(crate) async fn work(
    settings: &AwsSettings,
    vault: &Arc<Vault>,
    egress: &Egress,
    clock: &Arc<dyn Clock>,
    lender: &Lender,
    ledger: &Ledger,
) -> anyhow::Result<Option<Arc<AwsWork>>> {
    let base = match &settings.base {
        BaseSettings::Kept => match vault.get(&kept_keys()?).await {
            // They are read again for each use, so that new ones count at once.
            Ok(_) => Base::sealed(Arc::clone(vault), kept_keys()?),
            Err(VaultError::NotFound) => return Ok(None),
            Err(error) => return Err(error.into()),
        },
        BaseSettings::Profile(profile) => local_profile(profile, "`profile` under [aws]")?,
        BaseSettings::TokenFile(path) => Base::web_identity(Arc::new(TokenFile::new(path.clone()))),
        BaseSettings::Issuer { .. } => match vault.get(&identity_key()?).await {
            Ok((_, pem)) => match own_issuer(settings, &pem, Arc::clone(clock))? {
                Some(issuer) => Base::web_identity(Arc::new(issuer)),
                None => return Ok(None),
            },
            Err(VaultError::NotFound) => return Ok(None),
            Err(error) => return Err(error.into()),
        },
    };
    let mut sts = Sts::new(egress.clone(), Arc::clone(clock), settings.region.clone())?;
    if let Some(endpoint) = &settings.endpoint {
        sts = sts.at(endpoint.clone());
    }
    let api = Api::new(egress.clone(), Arc::clone(clock)).at(settings.endpoint.clone());
    let authority = AwsAuthority::new(sts, Arc::new(base));
    Ok(Some(Arc::new(AwsWork::new(authority, api, lender.clone(), ledger.clone(), settings.accounts.clone()))))
}

/// A profile of AWS's own tools, in the home of whoever runs the broker; `setting` names what it is in the configuration.
pub(super) fn local_profile(profile: &str, setting: &'static str) -> anyhow::Result<Base> {
    let home = std::env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute());
    let folder = home.with_context(|| format!("{setting} needs HOME: profiles lie in its `.aws`"))?.join(".aws");
    Ok(Base::local(Profiles::read(&folder).and_then(|profiles| profiles.resolve(profile)).context(setting)?))
}

/// What is said at the start where something isn't kept.
pub(crate) fn missing(settings: &AwsSettings) -> &'static str {
    match settings.base {
        BaseSettings::Issuer { .. } => {
            "warning: the key that signs identity tokens for AWS isn't kept: `keyblind-broker keep aws-identity-key < KEY.pem` while no broker runs"
        }
        _ => "warning: the broker's keys for AWS aren't kept: `keyblind-broker keep aws-keys < KEYS` while no broker runs",
    }
}
