//! `[aws]`: the broker's own authority at AWS, and the accounts that gave it roles.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

use keyblind_broker::egress::Origin;
use keyblind_broker::providers::aws::{ExternalId, LinkedAccount, Role};
use keyblind_broker::work::AwsAccount;
use keyblind_intent::{AccountId, ConnectionName, Region, TenantId};
use serde::{Deserialize, Deserializer};

use super::ConfigurationError;

/// AWS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AwsSettings {
    /// The region whose STS gives the sessions.
    pub(crate) region: Region,
    /// What the roles are taken with.
    pub(crate) base: BaseSettings,
    /// One place for everything: an emulator on this machine.
    pub(crate) endpoint: Option<Origin>,
    /// The accounts.
    pub(crate) accounts: Vec<AwsAccount>,
}

/// The broker's own authority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum BaseSettings {
    /// Keys in the sealed store (`keyblind-broker keep aws-keys`).
    Kept,
    /// A profile of AWS's own tools, in the home of whoever runs the broker.
    Profile(String),
    /// A file with an identity token, which something else renews.
    TokenFile(PathBuf),
    /// The broker's own word as an identity provider, signed with a key in the sealed store (`keyblind-broker keep aws-identity-key`).
    Issuer {
        /// Where its keys are published.
        issuer: String,
        /// For whom its tokens are.
        audience: String,
        /// Who they are about.
        subject: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct AwsFile {
    region: Region,
    profile: Option<String>,
    token_file: Option<PathBuf>,
    issuer: Option<IssuerFile>,
    #[serde(default, deserialize_with = "on_this_machine")]
    endpoint: Option<Origin>,
    #[serde(default)]
    account: Vec<AccountFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct IssuerFile {
    address: String,
    audience: String,
    #[serde(default = "usual_subject")]
    subject: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct AccountFile {
    name: ConnectionName,
    tenant: TenantId,
    account: AccountId,
    #[serde(deserialize_with = "regions")]
    regions: Vec<Region>,
    #[serde(deserialize_with = "role")]
    read_role: Role,
    #[serde(default, deserialize_with = "some_role")]
    change_role: Option<Role>,
    #[serde(default, deserialize_with = "external_id")]
    external_id: Option<ExternalId>,
    /// For roles whose trust policies allow neither tags nor a source identity.
    #[serde(default)]
    plain_sessions: bool,
}

fn usual_subject() -> String {
    "keyblind-broker".to_owned()
}

/// Where everything goes to another place than AWS, keys go there too: to this machine and nowhere else.
pub(super) fn on_this_machine<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Origin>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let origin = Origin::parse(&text).map_err(serde::de::Error::custom)?;
    if origin.address().is_some_and(|address| address.is_loopback()) {
        Ok(Some(origin))
    } else {
        Err(serde::de::Error::custom(
            "`endpoint` is for an emulator on this machine: write it like `http://127.0.0.1:4566`, or leave it out",
        ))
    }
}

fn regions<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Region>, D::Error> {
    let regions: BTreeSet<Region> = BTreeSet::deserialize(deserializer)?;
    if (1..=keyblind_intent::limits::REGIONS).contains(&regions.len()) {
        Ok(regions.into_iter().collect())
    } else {
        Err(serde::de::Error::custom("name the regions of the account that are used, at least one"))
    }
}

fn role<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Role, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}

pub(super) fn some_role<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Role>, D::Error> {
    role(deserializer).map(Some)
}

pub(super) fn external_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<ExternalId>, D::Error> {
    ExternalId::new(String::deserialize(deserializer)?).map(Some).map_err(serde::de::Error::custom)
}

impl AwsFile {
    pub(super) fn complete(self) -> Result<AwsSettings, ConfigurationError> {
        let base = match (self.profile, self.token_file, self.issuer) {
            (None, None, None) => BaseSettings::Kept,
            (Some(profile), None, None) => BaseSettings::Profile(profile),
            (None, Some(path), None) => BaseSettings::TokenFile(path),
            (None, None, Some(IssuerFile { address, audience, subject })) => BaseSettings::Issuer { issuer: address, audience, subject },
            _ => {
                return Err(ConfigurationError::Missing(
                    "the broker's own authority at AWS is one of `profile`, `token-file` and [aws.issuer], or keys that are kept: name one",
                ));
            }
        };
        let accounts: Vec<AwsAccount> = self.account.into_iter().map(AccountFile::complete).collect();
        if accounts.is_empty() {
            return Err(ConfigurationError::Missing(
                "[aws] has no accounts: add an [[aws.account]] with its `name`, `tenant`, `account`, `regions` and `read-role`",
            ));
        }
        let is_of_other = |account: &AwsAccount| {
            let linked = &account.linked;
            [Some(&linked.read_role), linked.change_role.as_ref()].into_iter().flatten().any(|role| !role.is_of(&linked.account))
        };
        if accounts.iter().any(is_of_other) {
            return Err(ConfigurationError::Missing(
                "a role under [[aws.account]] lies in another account than the one that is named there",
            ));
        }
        let mut names = BTreeSet::new();
        let mut numbers = BTreeSet::new();
        for account in &accounts {
            // With two of a kind nobody could say which is meant.
            if !names.insert((&account.tenant, &account.linked.name)) || !numbers.insert((&account.tenant, &account.linked.account)) {
                return Err(ConfigurationError::Missing("two [[aws.account]]s of one tenant have the same name or the same number"));
            }
        }
        Ok(AwsSettings { region: self.region, base, endpoint: self.endpoint, accounts })
    }
}

impl AccountFile {
    fn complete(self) -> AwsAccount {
        let linked = LinkedAccount {
            name: self.name,
            account: self.account,
            read_role: self.read_role,
            change_role: self.change_role,
            external_id: self.external_id,
            says_whose: !self.plain_sessions,
        };
        AwsAccount { linked, tenant: self.tenant, regions: self.regions }
    }
}

impl fmt::Display for AwsSettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let base = match &self.base {
            BaseSettings::Kept => "keys that are kept".to_owned(),
            BaseSettings::Profile(profile) => format!("profile {profile}"),
            BaseSettings::TokenFile(path) => format!("the identity token in {}", path.display()),
            BaseSettings::Issuer { issuer, audience, subject } => {
                format!("the broker's own word at {issuer}, for {audience}, as {subject}")
            }
        };
        writeln!(formatter, "aws      sessions from {} with {base}", self.region)?;
        if let Some(endpoint) = &self.endpoint {
            writeln!(formatter, "         everything at {endpoint}")?;
        }
        for AwsAccount { linked, tenant, regions } in &self.accounts {
            let regions = regions.iter().map(Region::as_str).collect::<Vec<_>>().join(", ");
            let said = if linked.external_id.is_some() { "with" } else { "without" };
            let marks = if linked.says_whose { "" } else { ", plain sessions" };
            let changes = linked.change_role.as_ref().map_or("nothing", |role| role.arn().as_str());
            writeln!(
                formatter,
                "         for {tenant}: {} {} ({regions}), read as {}, changed as {changes}, {said} an external id{marks}",
                linked.name,
                linked.account,
                linked.read_role.arn()
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = r#"
region = "eu-central-1"

[[account]]
name = "production"
tenant = "octo"
account = "111122223333"
regions = ["us-east-1", "eu-central-1"]
read-role = "arn:aws:iam::111122223333:role/keyblind-read"
change-role = "arn:aws:iam::111122223333:role/keyblind-change"
external-id = "5f2a9c"
"#;

    fn settings(text: &str) -> Result<AwsSettings, String> {
        let file: AwsFile = toml::from_str(text).map_err(|error| error.message().to_owned())?;
        file.complete().map_err(|error| error.to_string())
    }

    #[test]
    fn accounts_are_what_they_say() {
        let read = settings(WHOLE).unwrap();
        assert_eq!((read.accounts.len(), &read.base, &read.endpoint), (1, &BaseSettings::Kept, &None));
        assert_eq!(
            read.to_string(),
            "aws      sessions from eu-central-1 with keys that are kept\n         for octo: production 111122223333 (eu-central-1, us-east-1), \
             read as arn:aws:iam::111122223333:role/keyblind-read, changed as arn:aws:iam::111122223333:role/keyblind-change, with an external id\n"
        );
        let local = settings(&WHOLE.replacen("\n[[", "profile = \"work\"\nendpoint = \"http://127.0.0.1:4566\"\n[[", 1)).unwrap();
        assert_eq!(local.base, BaseSettings::Profile("work".to_owned()));
        assert_eq!(local.endpoint.unwrap().to_string(), "http://127.0.0.1:4566");
    }

    #[test]
    fn what_would_lend_to_somebody_else_is_refused() {
        let more = |line: &str| WHOLE.replacen("\n[[", &format!("{line}\n[["), 1);
        let two = format!("{WHOLE}{}", WHOLE.split_once("\n\n").unwrap().1);
        for (text, expected) in [
            (more("endpoint = \"https://sts.example.com\""), "an emulator on this machine"),
            (more("endpoint = \"http://localhost:4566\""), "an emulator on this machine"),
            (more("endpoint = \"http://10.0.0.1:4566\""), "an emulator on this machine"),
            (more("profile = \"a\"\ntoken-file = \"/x\""), "name one"),
            (WHOLE.replace("role/keyblind-read", "user/ada"), "this is no role"),
            (WHOLE.replace("iam::111122223333:role/keyblind-change", "iam::444455556666:role/keyblind-change"), "another account"),
            (WHOLE.replace("[\"us-east-1\", \"eu-central-1\"]", "[]"), "at least one"),
            (WHOLE.replace("external-id = \"5f2a9c\"", "external-id = \"a b\""), "external id"),
            (WHOLE.split_once("\n\n").unwrap().0.to_owned(), "no accounts"),
            (two, "same name or the same number"),
        ] {
            let error = settings(&text).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }
}
