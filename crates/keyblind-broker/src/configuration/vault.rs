//! Where the sealed store's key is.

use std::fmt;
use std::path::PathBuf;

use serde::Deserialize;

use super::{ConfigurationError, own_folder};

/// Where the key is that the sealed store's records are wrapped with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum VaultKey {
    /// In a file. Not in the state folder: one of the two alone opens nothing.
    File(PathBuf),
    /// In somebody's head: derived from a passphrase, which is asked for at the terminal or stands in a file that is there for a moment.
    Passphrase(Option<PathBuf>),
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct VaultFile {
    #[serde(default)]
    key: Kind,
    key_file: Option<PathBuf>,
    passphrase_file: Option<PathBuf>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    #[default]
    File,
    Passphrase,
}

impl VaultKey {
    pub(super) fn complete(file: VaultFile) -> Result<Self, ConfigurationError> {
        match file {
            VaultFile { key: Kind::File, key_file, passphrase_file: None } => {
                let usual = || own_folder("XDG_CONFIG_HOME", ".config").map(|folder| folder.join("vault.key"));
                let path = key_file.or_else(usual).ok_or(ConfigurationError::Missing(
                    "there is no place for the sealed store's key: set `key-file` under [vault] in the configuration, or HOME",
                ))?;
                Ok(Self::File(path))
            }
            VaultFile { key: Kind::Passphrase, key_file: None, passphrase_file } => Ok(Self::Passphrase(passphrase_file)),
            VaultFile { .. } => Err(ConfigurationError::Missing(
                "[vault] says two things: `key-file` goes with `key = \"file\"`, `passphrase-file` with `key = \"passphrase\"`",
            )),
        }
    }
}

impl fmt::Display for VaultKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(formatter, "key in {}", path.display()),
            Self::Passphrase(Some(path)) => write!(formatter, "key from the passphrase in {}", path.display()),
            Self::Passphrase(None) => formatter.write_str("key from a passphrase that is asked for"),
        }
    }
}
