//! Where the sealed store's key is.

use std::fmt;
use std::path::PathBuf;

use keyblind_broker::egress::Origin;
use keyblind_broker::providers::aws::{ExternalId, KmsKey, Role};
use keyblind_intent::Arn;
use serde::{Deserialize, Deserializer};

use super::{ConfigurationError, absolute, aws, own_folder};

/// Where the key is that the sealed store's records are wrapped with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum VaultKey {
    /// In a file. Not in the state folder: one of the two alone opens nothing.
    File(PathBuf),
    /// In somebody's head: derived from a passphrase, which is asked for at the terminal or stands in a file that is there for a moment.
    Passphrase(Option<PathBuf>),
    /// In the keyring of the session whose bus this is.
    Keyring(PathBuf),
    /// In the database, wrapped by a key of AWS KMS.
    Kms(Box<KmsSettings>),
}

/// A key of AWS KMS, and what may use it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KmsSettings {
    pub(crate) key: KmsKey,
    pub(crate) access: KmsAccess,
    /// The role that may use it, and what its trust policy wants to hear.
    pub(crate) role: Option<(Role, Option<ExternalId>)>,
    /// An emulator on this machine.
    pub(crate) endpoint: Option<Origin>,
}

/// What calls at KMS are begun with. What lies in the sealed store can't be it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum KmsAccess {
    /// A profile of AWS's own tools, in the home of whoever runs the broker.
    Profile(String),
    /// A file with an identity token, which something else renews.
    TokenFile(PathBuf),
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct VaultFile {
    #[serde(default)]
    key: Kind,
    key_file: Option<PathBuf>,
    passphrase_file: Option<PathBuf>,
    bus: Option<PathBuf>,
    aws_kms: Option<KmsFile>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    #[default]
    File,
    Passphrase,
    Keyring,
    AwsKms,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct KmsFile {
    #[serde(deserialize_with = "kms_key")]
    key: KmsKey,
    profile: Option<String>,
    token_file: Option<PathBuf>,
    #[serde(default, deserialize_with = "aws::some_role")]
    role: Option<Role>,
    #[serde(default, deserialize_with = "aws::external_id")]
    external_id: Option<ExternalId>,
    #[serde(default, deserialize_with = "aws::on_this_machine")]
    endpoint: Option<Origin>,
}

fn kms_key<'de, D: Deserializer<'de>>(deserializer: D) -> Result<KmsKey, D::Error> {
    KmsKey::new(Arn::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

impl VaultKey {
    pub(super) fn complete(file: VaultFile) -> Result<Self, ConfigurationError> {
        match file {
            VaultFile { key: Kind::File, key_file, passphrase_file: None, bus: None, aws_kms: None } => {
                let usual = || own_folder("XDG_CONFIG_HOME", ".config").map(|folder| folder.join("vault.key"));
                let path = key_file.or_else(usual).ok_or(ConfigurationError::Missing(
                    "there is no place for the sealed store's key: set `key-file` under [vault] in the configuration, or HOME",
                ))?;
                Ok(Self::File(path))
            }
            VaultFile { key: Kind::Passphrase, key_file: None, passphrase_file, bus: None, aws_kms: None } => {
                Ok(Self::Passphrase(passphrase_file))
            }
            VaultFile { key: Kind::Keyring, key_file: None, passphrase_file: None, bus, aws_kms: None } => {
                let usual = || absolute("XDG_RUNTIME_DIR").map(|folder| folder.join("bus"));
                Ok(Self::Keyring(bus.or_else(usual).ok_or(ConfigurationError::Missing(
                    "there is no session whose keyring could have the key: set `bus` under [vault] to its socket, or XDG_RUNTIME_DIR",
                ))?))
            }
            VaultFile { key: Kind::AwsKms, key_file: None, passphrase_file: None, bus: None, aws_kms: Some(file) } => file.complete(),
            VaultFile { key: Kind::AwsKms, aws_kms: None, .. } => Err(ConfigurationError::Missing(
                "`key = \"aws-kms\"` needs [vault.aws-kms] with the `key` that wraps, and a `profile` or a `token-file` with a `role`",
            )),
            VaultFile { .. } => Err(ConfigurationError::Missing(
                "[vault] says two things: `key-file` goes with `key = \"file\"`, `passphrase-file` with `key = \"passphrase\"`, `bus` with \
                 `key = \"keyring\"`, [vault.aws-kms] with `key = \"aws-kms\"`",
            )),
        }
    }
}

impl KmsFile {
    fn complete(self) -> Result<VaultKey, ConfigurationError> {
        let access = match (self.profile, self.token_file) {
            (Some(profile), None) => KmsAccess::Profile(profile),
            (None, Some(path)) if self.role.is_some() => KmsAccess::TokenFile(path),
            _ => {
                return Err(ConfigurationError::Missing(
                    "[vault.aws-kms] names either a `profile`, or a `token-file` with the `role` that is taken with it",
                ));
            }
        };
        if self.role.is_none() && self.external_id.is_some() {
            return Err(ConfigurationError::Missing("`external-id` under [vault.aws-kms] is for a `role`"));
        }
        let role = self.role.map(|role| (role, self.external_id));
        Ok(VaultKey::Kms(Box::new(KmsSettings { key: self.key, access, role, endpoint: self.endpoint })))
    }
}

impl fmt::Display for VaultKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(formatter, "key in {}", path.display()),
            Self::Passphrase(Some(path)) => write!(formatter, "key from the passphrase in {}", path.display()),
            Self::Passphrase(None) => formatter.write_str("key from a passphrase that is asked for"),
            Self::Keyring(bus) => write!(formatter, "key in the keyring at {}", bus.display()),
            Self::Kms(settings) => {
                let KmsSettings { key, access, role, endpoint } = &**settings;
                write!(formatter, "key wrapped by {}, with ", key.arn().as_str())?;
                match access {
                    KmsAccess::Profile(profile) => write!(formatter, "profile {profile}")?,
                    KmsAccess::TokenFile(path) => write!(formatter, "the identity token in {}", path.display())?,
                }
                if let Some((role, external_id)) = role {
                    let said = if external_id.is_some() { ", with an external id" } else { "" };
                    write!(formatter, " as {}{said}", role.arn().as_str())?;
                }
                endpoint.iter().try_for_each(|endpoint| write!(formatter, ", at {endpoint}"))
            }
        }
    }
}
