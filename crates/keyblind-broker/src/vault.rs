//! `keyblind-broker vault`: the sealed store's key, changed while no broker runs.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Subcommand};
use keyblind_broker::ledger::{Event, Ledger, LedgerError, Record};

use crate::configuration::{Configuration, VaultKey};
use crate::opened::Store;
use crate::opened::vault::change;
use crate::{print, run};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Wrap everything with a new key. The old one opens copies that were made before, and nothing else.
    Rotate {
        /// A configuration whose [vault] says where the new key is to be: another file, a passphrase, a keyring, AWS KMS. Without it the new key takes the
        /// place of the old one.
        #[arg(long, value_name = "FILE")]
        into: Option<PathBuf>,
    },
}

pub(crate) fn run(configuration: &Configuration, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let Command::Rotate { into } = &arguments.command;
    let into = match into {
        Some(path) => Configuration::load(Some(path))?.vault_key,
        None => configuration.vault_key.clone(),
    };
    if let VaultKey::Passphrase(Some(file)) = &into {
        anyhow::ensure!(
            into != configuration.vault_key,
            "the passphrase in `{}` is the one that is in use: write the new one into another file, and name with `--into` a configuration \
             whose `passphrase-file` under [vault] is that one",
            file.display()
        );
    }
    let (_lock, _hardened) = run::enter(configuration, &[])?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let store = Store::open(configuration).await?;
        // Recorded before it is done, like everything. A store that no broker has run with has no record yet.
        match Ledger::open(store.database.clone(), &store.vault, Arc::clone(&store.clock)).await {
            Ok(ledger) => {
                ledger.append(Record::of_broker(Event::VaultKeyChanged {})).await?;
                ledger.checkpoint().await?;
            }
            Err(LedgerError::NotCreated) => {}
            Err(error) => return Err(error.into()),
        }
        change(&store.vault, &configuration.vault_key, &into, &store.clock).await?;
        store.database.close().await;
        if into != configuration.vault_key {
            print("the sealed store has its new key: use the new configuration from now on\n")?;
        } else {
            print(match into {
                VaultKey::File(_) => "the sealed store has a new key, in the place of the old one: copy it to where the old one is kept\n",
                VaultKey::Passphrase(_) => "the sealed store has its new passphrase\n",
                VaultKey::Keyring(_) => "the sealed store has a new key, in the keyring: the old one is gone from there\n",
                VaultKey::Kms(_) => "the sealed store has a new key, wrapped by AWS KMS\n",
            })?;
        }
        Ok(ExitCode::SUCCESS)
    })
}
