//! The sealed store's key: found, made, asked for, changed.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use keyblind_broker::clock::Clock;
use keyblind_broker::database::Database;
use keyblind_broker::egress::{AllowedHost, Egress};
use keyblind_broker::providers::aws::{Base, Kms, Step, Sts, TokenFile, endpoint};
use keyblind_broker::secret::Secret;
use keyblind_broker::vault::{
    Derivation, KeyEncryptionKey, KeyError, KeyOrigin, Keyring, LONGEST_PASSPHRASE, LocalKey, StoreId, Vault, VaultError, WrappedKey,
    create_key_file, derive_from_passphrase, read_key_file, read_passphrase_file,
};
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use zeroize::Zeroize as _;

use super::aws::local_profile;
use crate::configuration::{KmsAccess, KmsSettings, VaultKey};
use crate::say;

/// Opens the store, or makes it where there is none.
pub(super) async fn open(wanted: &VaultKey, database: &Database, clock: &Arc<dyn Clock>) -> anyhow::Result<Vault> {
    let sealed = match Vault::sealed(database).await {
        Err(VaultError::NotCreated) => return create(wanted, database, clock).await,
        found => found?,
    };
    let open = async |key: Arc<dyn KeyEncryptionKey>| Vault::open(database.clone(), key, Arc::clone(clock)).await;
    match (wanted, sealed.origin) {
        // A store whose key is gone is never opened with a new one: it stays shut.
        (VaultKey::File(path), None) => match (read_key_file(path), next_file(path)) {
            (Ok(key), next) => match open(Arc::new(key)).await {
                Err(VaultError::OtherKey { .. }) if next.symlink_metadata().is_ok() => {
                    // A change of the key was cut off after the store took the new one.
                    let vault = open(Arc::new(read_key_file(&next)?)).await?;
                    put_in_place(&next, path)?;
                    Ok(vault)
                }
                opened => Ok(opened?),
            },
            (Err(error), _) => Err(error.into()),
        },
        (VaultKey::Passphrase(file), Some(KeyOrigin::Passphrase(derivation))) => {
            let key = derived(passphrase(file.as_deref(), "passphrase of the sealed store: ").await?, derivation).await?;
            match open(key).await {
                Err(VaultError::OtherKey { .. }) => anyhow::bail!("this isn't the sealed store's passphrase"),
                opened => Ok(opened?),
            }
        }
        (VaultKey::Keyring(bus), Some(KeyOrigin::Keyring(_))) => {
            let (store, key) = (sealed.store, sealed.key);
            Ok(open(at_keyring(bus, move |keyring| keyring.key(store, key)).await?).await?)
        }
        (VaultKey::Kms(settings), Some(KeyOrigin::Wrapped(wrapped))) => {
            let key = kms(settings, clock)?.unwrap(&sealed.store.to_string(), wrapped.bytes()).await?;
            Ok(open(Arc::new(LocalKey::from_origin(&key, KeyOrigin::Wrapped(wrapped))?)).await?)
        }
        (_, origin) => {
            let (lies, setting) = match origin {
                None => ("lies in a file", "`key-file`"),
                Some(KeyOrigin::Passphrase(_)) => ("comes from a passphrase", "`key = \"passphrase\"`"),
                Some(KeyOrigin::Keyring(_)) => ("lies in a session's keyring", "`key = \"keyring\"`"),
                Some(KeyOrigin::Wrapped(_)) => ("is wrapped by AWS KMS", "`key = \"aws-kms\"`"),
                Some(_) => anyhow::bail!("the sealed store's key lies where this broker has no way to"),
            };
            anyhow::bail!(
                "the sealed store's key {lies}: set {setting} under [vault]; it is changed with `keyblind-broker vault rotate --into`"
            )
        }
    }
}

async fn create(wanted: &VaultKey, database: &Database, clock: &Arc<dyn Clock>) -> anyhow::Result<Vault> {
    let store = StoreId::new()?;
    let key: Arc<dyn KeyEncryptionKey> = match wanted {
        VaultKey::File(path) if path.symlink_metadata().is_ok() => Arc::new(read_key_file(path)?),
        VaultKey::File(path) => {
            make_folder_of(path)?;
            Arc::new(create_key_file(path)?)
        }
        _ => made(wanted, store, clock).await?,
    };
    Ok(Vault::create_as(store, database.clone(), key, Arc::clone(clock)).await?)
}

/// A new key that isn't in a file.
async fn made(wanted: &VaultKey, store: StoreId, clock: &Arc<dyn Clock>) -> anyhow::Result<Arc<dyn KeyEncryptionKey>> {
    match wanted {
        VaultKey::File(path) => Ok(Arc::new(create_key_file(path)?)),
        VaultKey::Passphrase(file) => derived(new_passphrase(file.as_deref()).await?, Derivation::recommended()?).await,
        VaultKey::Keyring(bus) => at_keyring(bus, move |keyring| keyring.make(store)).await,
        VaultKey::Kms(settings) => {
            let made = kms(settings, clock)?.make(&store.to_string()).await?;
            Ok(Arc::new(LocalKey::from_origin(&made.key, KeyOrigin::Wrapped(WrappedKey::of_aws_kms(made.wrapped)?))?))
        }
    }
}

/// Wraps everything with a new key: all at once, or not at all. `into` says where that is; `from` where the one is that is in use.
pub(crate) async fn change(vault: &Vault, from: &VaultKey, into: &VaultKey, clock: &Arc<dyn Clock>) -> anyhow::Result<()> {
    match into {
        VaultKey::File(path) if into == from => {
            // The new key is durable before the store takes it, and in its place afterwards: at each moment one of the two files opens it.
            let next = next_file(path);
            if next.symlink_metadata().is_ok() {
                // The store was opened with the other one: this one opens nothing.
                std::fs::remove_file(&next).with_context(|| next.display().to_string())?;
            }
            vault.change_key(Arc::new(create_key_file(&next)?)).await?;
            return put_in_place(&next, path);
        }
        VaultKey::File(path) => make_folder_of(path)?,
        _ => {}
    }
    let key = made(into, vault.id(), clock).await?;
    let (store, id) = (vault.id(), key.id());
    vault.change_key(key).await?;
    if let (VaultKey::Keyring(bus), true) = (into, into == from) {
        // The old one opens nothing but copies of before.
        let keyring = Keyring::at(bus.clone());
        if let Err(error) = tokio::task::spawn_blocking(move || keyring.keep_only(store, id)).await? {
            say(format_args!("warning: the old key is still in the keyring: {error}"));
        }
    }
    Ok(())
}

/// Asks the keyring, which may take seconds.
async fn at_keyring(
    bus: &Path,
    ask: impl FnOnce(Keyring) -> Result<LocalKey, KeyError> + Send + 'static,
) -> anyhow::Result<Arc<dyn KeyEncryptionKey>> {
    let keyring = Keyring::at(bus.to_owned());
    Ok(Arc::new(tokio::task::spawn_blocking(move || ask(keyring)).await??))
}

/// The hosts that the store's key is had from.
pub(super) fn hosts(wanted: &VaultKey) -> anyhow::Result<Vec<AllowedHost>> {
    let VaultKey::Kms(settings) = wanted else { return Ok(Vec::new()) };
    Ok(match &settings.endpoint {
        Some(endpoint) => vec![AllowedHost::private(endpoint.clone())],
        None => [Kms::needs(&settings.key)?, endpoint("sts", settings.key.region())?].map(AllowedHost::public).into(),
    })
}

/// KMS, by a way out of its own: the store is opened before it is known what else may be reached.
fn kms(settings: &KmsSettings, clock: &Arc<dyn Clock>) -> anyhow::Result<Kms> {
    let egress = Egress::new(hosts(&VaultKey::Kms(Box::new(settings.clone())))?, b"")?;
    let base = match &settings.access {
        KmsAccess::Profile(profile) => local_profile(profile, "`profile` under [vault.aws-kms]")?,
        KmsAccess::TokenFile(path) => Base::web_identity(Arc::new(TokenFile::new(path.clone()))),
    };
    let role = settings.role.iter().map(|(role, external_id)| Step { role: role.clone(), external_id: external_id.clone() });
    let mut sts = Sts::new(egress.clone(), Arc::clone(clock), settings.key.region().clone())?;
    if let Some(endpoint) = &settings.endpoint {
        sts = sts.at(endpoint.clone());
    }
    let kms = Kms::new(egress, Arc::clone(clock), sts, base.through(role), settings.key.clone())?;
    Ok(match &settings.endpoint {
        Some(endpoint) => kms.at(endpoint.clone()),
        None => kms,
    })
}

/// Where a new key lies until the store has taken it.
fn next_file(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    PathBuf::from(name)
}

fn put_in_place(next: &Path, path: &Path) -> anyhow::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let placed = std::fs::rename(next, path).and_then(|()| std::fs::File::open(folder)?.sync_all());
    placed.with_context(|| format!("the new key stays in `{}`, where it is found as well", next.display()))
}

fn make_folder_of(path: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.exists()) else { return Ok(()) };
    let made = std::fs::DirBuilder::new().mode(0o700).recursive(true).create(folder);
    made.with_context(|| format!("`{}` can't be made", folder.display()))
}

async fn derived(passphrase: Secret, derivation: Derivation) -> anyhow::Result<Arc<dyn KeyEncryptionKey>> {
    let derived = tokio::task::spawn_blocking(move || derive_from_passphrase(&passphrase, derivation)).await?;
    Ok(Arc::new(derived?))
}

async fn passphrase(file: Option<&Path>, prompt: &'static str) -> anyhow::Result<Secret> {
    match file {
        Some(path) => Ok(read_passphrase_file(path)?),
        None => tokio::task::spawn_blocking(move || asked(prompt)).await?,
    }
}

/// One that is typed is typed twice: who mistypes it would never get in again.
async fn new_passphrase(file: Option<&Path>) -> anyhow::Result<Secret> {
    let first = passphrase(file, "new passphrase of the sealed store: ").await?;
    if file.is_none() {
        let second = passphrase(None, "the same once more: ").await?;
        anyhow::ensure!(first.expose(|a| second.expose(|b| a == b)), "these are two different passphrases: nothing was changed");
        say("without this passphrase nobody opens the store any more: keep it where the broker's machine isn't");
    }
    Ok(first)
}

/// Asks at the terminal, without showing what is typed.
fn asked(prompt: &str) -> anyhow::Result<Secret> {
    let mut terminal = std::fs::File::options()
        .read(true)
        .write(true)
        .open("/dev/tty")
        .context("there is no terminal to ask for the passphrase at: set `passphrase-file` under [vault]")?;
    let before = tcgetattr(&terminal)?;
    let mut silent = before.clone();
    silent.local_modes.remove(LocalModes::ECHO);
    // Before anybody is told to type: nothing of it is shown, and nothing of it is lost.
    tcsetattr(&terminal, OptionalActions::Flush, &silent)?;
    let mut result = terminal.write_all(prompt.as_bytes()).map_err(anyhow::Error::from);
    let mut typed = [0; LONGEST_PASSPHRASE];
    let mut length = 0;
    while result.is_ok() {
        let mut byte = [0];
        match terminal.read(&mut byte) {
            Ok(0) => break,
            Ok(_) if byte[0] == b'\n' => break,
            Ok(_) if length == typed.len() => result = Err(anyhow::anyhow!("a passphrase has at most {LONGEST_PASSPHRASE} bytes")),
            Ok(_) => {
                typed[length] = byte[0];
                length += 1;
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => result = Err(error.into()),
        }
    }
    let restored = tcsetattr(&terminal, OptionalActions::Drain, &before);
    let secret = Secret::filled(length, |bytes| bytes.copy_from_slice(&typed[..length]));
    typed.zeroize();
    terminal.write_all(b"\n")?;
    restored?;
    result.map(|()| secret)
}
