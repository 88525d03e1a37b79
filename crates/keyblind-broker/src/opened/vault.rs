//! The sealed store's key: found, made, asked for, changed.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use keyblind_broker::clock::Clock;
use keyblind_broker::database::Database;
use keyblind_broker::secret::Secret;
use keyblind_broker::vault::{
    Derivation, KeyEncryptionKey, LONGEST_PASSPHRASE, Vault, VaultError, create_key_file, derive_from_passphrase, read_key_file,
    read_passphrase_file,
};
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use zeroize::Zeroize as _;

use crate::configuration::VaultKey;
use crate::say;

/// Opens the store, or makes it where there is none.
pub(super) async fn open(wanted: &VaultKey, database: &Database, clock: &Arc<dyn Clock>) -> anyhow::Result<Vault> {
    let derivation = match Vault::derivation(database).await {
        Err(VaultError::NotCreated) => return create(wanted, database, clock).await,
        found => found?,
    };
    let open = async |key: Arc<dyn KeyEncryptionKey>| Vault::open(database.clone(), key, Arc::clone(clock)).await;
    match (wanted, derivation) {
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
        (VaultKey::Passphrase(file), Some(derivation)) => {
            let key = derived(passphrase(file.as_deref(), "passphrase of the sealed store: ").await?, derivation).await?;
            match open(key).await {
                Err(VaultError::OtherKey { .. }) => anyhow::bail!("this isn't the sealed store's passphrase"),
                opened => Ok(opened?),
            }
        }
        (VaultKey::File(_), Some(_)) => {
            anyhow::bail!("the sealed store's key comes from a passphrase: set `key = \"passphrase\"` under [vault]")
        }
        (VaultKey::Passphrase(_), None) => anyhow::bail!(
            "the sealed store's key doesn't come from a passphrase: set `key-file` under [vault] as before, then `keyblind-broker vault rotate --into`"
        ),
    }
}

async fn create(wanted: &VaultKey, database: &Database, clock: &Arc<dyn Clock>) -> anyhow::Result<Vault> {
    let key: Arc<dyn KeyEncryptionKey> = match wanted {
        VaultKey::File(path) if path.symlink_metadata().is_ok() => Arc::new(read_key_file(path)?),
        VaultKey::File(path) => {
            make_folder_of(path)?;
            Arc::new(create_key_file(path)?)
        }
        VaultKey::Passphrase(file) => derived(new_passphrase(file.as_deref()).await?, Derivation::recommended()?).await?,
    };
    Ok(Vault::create(database.clone(), key, Arc::clone(clock)).await?)
}

/// Wraps everything with a new key: all at once, or not at all. `into` says where that is; `from` where the one is that is in use.
pub(crate) async fn change(vault: &Vault, from: &VaultKey, into: &VaultKey) -> anyhow::Result<()> {
    match into {
        VaultKey::File(path) if into == from => {
            // The new key is durable before the store takes it, and in its place afterwards: at each moment one of the two files opens it.
            let next = next_file(path);
            if next.symlink_metadata().is_ok() {
                // The store was opened with the other one: this one opens nothing.
                std::fs::remove_file(&next).with_context(|| next.display().to_string())?;
            }
            vault.change_key(Arc::new(create_key_file(&next)?)).await?;
            put_in_place(&next, path)
        }
        VaultKey::File(path) => {
            make_folder_of(path)?;
            Ok(vault.change_key(Arc::new(create_key_file(path)?)).await?)
        }
        VaultKey::Passphrase(file) => {
            let key = derived(new_passphrase(file.as_deref()).await?, Derivation::recommended()?).await?;
            Ok(vault.change_key(key).await?)
        }
    }
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
