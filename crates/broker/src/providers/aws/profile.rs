//! The files of AWS's own tools (`~/.aws/config`, `~/.aws/credentials`), as far as one person's broker can use them: profiles with keys,
//! and chains of roles (`role_arn`, `source_profile`, `external_id`).
//!
//! They are read once, before the process is hardened, and only when the configuration names a profile. What else a profile can say
//! would start a program (`credential_process`), open a browser or its cache (single sign-on), ask a metadata service or the
//! environment (`credential_source`), or wait for a code (`mfa_serial`): that is refused by name. Nothing is guessed and nothing falls back
//! to something else.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use keyblind_intent::Region;
use zeroize::Zeroizing;

use super::base::Step;
use super::keys::keys;
use super::marks::ExternalId;
use crate::secret::Secret;

/// How large such a file may be.
const LARGEST_FILE: u64 = 1024 * 1024;
/// How many profiles may be chained.
const LONGEST_CHAIN: usize = 5;

/// Why a profile can't be used. None of these carries what stands in the files.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProfileError {
    /// The file can't be read.
    #[error("{} can't be read ({kind})", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        kind: ErrorKind,
    },
    /// The file is too large.
    #[error("{} is larger than such a file may be (1 MiB)", .0.display())]
    TooLarge(PathBuf),
    /// Others can read the keys.
    #[error("{} holds keys and others can read it: `chmod 600` it", .0.display())]
    Open(PathBuf),
    /// A line isn't one of such a file.
    #[error("{}, line {line}: this is neither a section nor a setting", path.display())]
    Line {
        /// In which file.
        path: PathBuf,
        /// Which.
        line: usize,
    },
    /// There is no such profile.
    #[error("there is no profile `{0}`: `aws configure list-profiles` lists them")]
    Missing(String),
    /// The profile has no keys and no role.
    #[error("the profile `{0}` has neither keys (`aws_access_key_id`, `aws_secret_access_key`) nor a role (`role_arn`, `source_profile`)")]
    Empty(String),
    /// The keys of the profile are none.
    #[error("the profile `{0}` has keys that aren't keys")]
    Keys(String),
    /// A setting has a value that it can't have.
    #[error("the profile `{profile}` has a `{setting}` that isn't one")]
    Setting {
        /// Which profile.
        profile: String,
        /// Which setting.
        setting: &'static str,
    },
    /// The profile gets its keys in a way that a process without helpers, network or environment can't follow.
    #[error(
        "the profile `{profile}` uses `{setting}`, and the broker {why}: give the profile keys, or let the broker take its role with web identity"
    )]
    Refused {
        /// Which profile.
        profile: String,
        /// Which setting.
        setting: &'static str,
        /// Why not.
        why: &'static str,
    },
    /// The chain of roles is too long, or runs in a circle.
    #[error("the profile `{0}` leads through more than five others, or back to itself")]
    Chain(String),
}

/// What can't be followed, and why.
const REFUSED: &[(&str, &str)] = &[
    ("credential_process", "starts no programs"),
    ("credential_source", "reads keys neither from its environment nor from a metadata service"),
    ("sso_session", "doesn't read the cache of single sign-on"),
    ("sso_account_id", "doesn't read the cache of single sign-on"),
    ("sso_start_url", "doesn't read the cache of single sign-on"),
    ("login_session", "doesn't read the cache of a console's sign-in"),
    ("mfa_serial", "has nobody to ask for a code"),
    ("web_identity_token_file", "is told of such files in its own configuration only"),
];

/// What a profile comes to.
pub struct LocalProfile {
    /// The keys that it begins with.
    pub keys: Secret,
    /// The roles that it goes through.
    pub steps: Vec<Step>,
    /// The region, if the profile names one.
    pub region: Option<Region>,
}

/// The profiles of one person.
pub struct Profiles {
    sections: BTreeMap<String, Settings>,
}

type Settings = BTreeMap<String, Zeroizing<String>>;

impl Profiles {
    /// Reads `config` and `credentials` of a folder (`~/.aws`). A file that isn't there holds nothing.
    ///
    /// # Errors
    /// If a file can't be read, isn't such a file, or holds keys that others can read.
    pub fn read(folder: &Path) -> Result<Self, ProfileError> {
        let mut sections = BTreeMap::new();
        // What stands in `credentials` comes first, so that it is read last.
        for (name, is_credentials) in [("config", false), ("credentials", true)] {
            let path = folder.join(name);
            if let Some(text) = read_file(&path, LARGEST_FILE)? {
                let text = std::str::from_utf8(&text).map_err(|_| ProfileError::Line { path: path.clone(), line: 1 })?;
                let found = parse(text, &path, is_credentials)?;
                let has_keys = found.values().any(|settings| settings.contains_key("aws_secret_access_key"));
                if has_keys && is_open(&path)? {
                    return Err(ProfileError::Open(path));
                }
                for (profile, settings) in found {
                    sections.entry(profile).or_insert_with(Settings::new).extend(settings);
                }
            }
        }
        Ok(Self { sections })
    }

    /// Follows a profile to its keys.
    ///
    /// # Errors
    /// If it leads to none, or to some that the broker can't have.
    pub fn resolve(&self, name: &str) -> Result<LocalProfile, ProfileError> {
        let mut profile = name.to_owned();
        let mut steps = Vec::new();
        let mut region = None;
        for _ in 0..=LONGEST_CHAIN {
            let settings = self.sections.get(&profile).ok_or_else(|| ProfileError::Missing(profile.clone()))?;
            let value = |setting: &str| settings.get(setting).map(|value| value.as_str()).filter(|value| !value.is_empty());
            if let Some((setting, why)) = REFUSED.iter().find(|(setting, _)| value(setting).is_some()) {
                return Err(ProfileError::Refused { profile, setting, why });
            }
            let wrong = |setting| ProfileError::Setting { profile: profile.clone(), setting };
            if region.is_none() {
                region = value("region").map(|text| Region::new(text).map_err(|_| wrong("region"))).transpose()?;
            }
            // A profile that names itself as its source has both a role and the keys that it is taken with.
            let is_own_source = value("source_profile") == Some(profile.as_str());
            if let Some(role) = value("role_arn") {
                let external_id = value("external_id").map(|text| ExternalId::new(text).map_err(|_| wrong("external_id"))).transpose()?;
                steps.push(Step { role: role.parse().map_err(|_| wrong("role_arn"))?, external_id });
                match value("source_profile") {
                    Some(source) if !is_own_source => {
                        profile = source.to_owned();
                        continue;
                    }
                    Some(_) => {}
                    None => return Err(ProfileError::Empty(profile)),
                }
            }
            let (Some(id), Some(secret)) = (value("aws_access_key_id"), value("aws_secret_access_key")) else {
                return Err(ProfileError::Empty(profile));
            };
            let token = value("aws_session_token").map(str::as_bytes);
            let keys = keys(id, secret.as_bytes(), token).map_err(|_| ProfileError::Keys(profile.clone()))?;
            steps.reverse();
            return Ok(LocalProfile { keys, steps, region });
        }
        Err(ProfileError::Chain(name.to_owned()))
    }
}

/// The sections that are profiles. Other sections, and settings below a setting, are somebody else's.
fn parse(text: &str, path: &Path, is_credentials: bool) -> Result<BTreeMap<String, Settings>, ProfileError> {
    let mut sections: BTreeMap<String, Settings> = BTreeMap::new();
    let mut current: Option<String> = None;
    let mut is_in_section = false;
    for (index, line) in text.lines().enumerate() {
        let wrong = || ProfileError::Line { path: path.to_owned(), line: index + 1 };
        let is_indented = line.starts_with([' ', '\t']);
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(rest) = line.strip_prefix('[').filter(|_| !is_indented) {
            let (header, _) = rest.split_once(']').ok_or_else(wrong)?;
            current = profile_of(header.trim(), is_credentials);
            if let Some(profile) = &current {
                sections.entry(profile.clone()).or_default();
            }
            is_in_section = true;
            continue;
        }
        if is_indented {
            if is_in_section { continue } else { return Err(wrong()) }
        }
        let (name, value) = line.split_once('=').ok_or_else(wrong)?;
        if !is_in_section {
            return Err(wrong());
        }
        // A comment after a value begins with a space; `#` alone may be a part of a key.
        let value = value.trim();
        let end = [" #", " ;", "\t#", "\t;"].into_iter().filter_map(|mark| value.find(mark)).min().unwrap_or(value.len());
        if let Some(settings) = current.as_ref().and_then(|profile| sections.get_mut(profile)) {
            settings.insert(name.trim().to_ascii_lowercase(), Zeroizing::new(value[..end].trim().to_owned()));
        }
    }
    Ok(sections)
}

/// The profile that a section's header names. In `config` all but the default one are called `profile NAME`.
fn profile_of(header: &str, is_credentials: bool) -> Option<String> {
    let name = match header.split_once(char::is_whitespace) {
        Some(("profile", name)) if !is_credentials => name.trim(),
        None if is_credentials || header == "default" => header,
        _ => return None,
    };
    let unquoted = name.strip_prefix(['"', '\'']).and_then(|name| name.strip_suffix(['"', '\''])).unwrap_or(name);
    Some(unquoted.to_owned())
}

fn is_open(path: &Path) -> Result<bool, ProfileError> {
    let metadata = std::fs::metadata(path).map_err(|error| ProfileError::File { path: path.to_owned(), kind: error.kind() })?;
    Ok(metadata.mode() & 0o077 != 0)
}

/// Reads a file of at most that size into a buffer that is overwritten; `None` if it isn't there.
pub(super) fn read_file(path: &Path, most: u64) -> Result<Option<Zeroizing<Vec<u8>>>, ProfileError> {
    let failed = |error: std::io::Error| ProfileError::File { path: path.to_owned(), kind: error.kind() };
    // A pipe would never end, and opening one would wait for somebody to write.
    let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = match File::options().read(true).custom_flags(flags).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(ProfileError::File { path: path.to_owned(), kind: ErrorKind::InvalidInput });
    }
    if metadata.len() > most {
        return Err(ProfileError::TooLarge(path.to_owned()));
    }
    // One more than it has: should it grow meanwhile, the buffer still doesn't.
    let size = usize::try_from(metadata.len()).unwrap_or(usize::MAX);
    let mut bytes = Zeroizing::new(Vec::with_capacity(size.saturating_add(64)));
    file.take(metadata.len()).read_to_end(&mut bytes).map_err(failed)?;
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests;
