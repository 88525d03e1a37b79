//! `keyblind-broker backup` and `keyblind-broker restore`: a copy of the database, taken and put back while no broker runs.
//!
//! The copy is as sealed as the database: without the key file it opens nothing. Nobody can make a copy newer than it is, but anybody can offer
//! an older one: what was revoked, approved and used since would be undone. So a copy is only put back if what is there, or what was noted
//! when it was made, says that it isn't older; and the broker is stopped afterwards, until somebody has looked and takes up work again.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use keyblind_broker::ledger::{Event, Ledger, LedgerError, Record};
use keyblind_broker::vault::{RestoreError, Restored, StoreVersion, restore};
use keyblind_intent::RequestId;

use crate::configuration::Configuration;
use crate::opened::Store;
use crate::{print, run, say, stop};

#[derive(Debug, Args)]
pub(crate) struct BackUp {
    /// Where the copy is made; nothing may be there.
    file: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct PutBack {
    /// The copy.
    file: PathBuf,
    /// What `backup` said of the newest copy, where the database is lost: an older copy than that isn't taken.
    #[arg(long, value_name = "STORE:VERSION:ENTRIES")]
    noted: Option<Noted>,
}

/// Which state of which database a copy is of: to be kept where the broker can't change it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Noted(Restored);

impl fmt::Display for Noted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Restored { version, ledger_entries } = self.0;
        write!(f, "{}:{}:{ledger_entries}", RequestId::from_bytes(version.store), version.counter)
    }
}

impl FromStr for Noted {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = "write it as `keyblind-broker backup` printed it: STORE:VERSION:ENTRIES";
        let mut words = text.split(':');
        let (Some(store), Some(counter), Some(entries), None) = (words.next(), words.next(), words.next(), words.next()) else {
            return Err(wrong);
        };
        let store = *store.parse::<RequestId>().map_err(|_| wrong)?.as_bytes();
        let number = |word: &str| word.parse().map_err(|_| wrong);
        Ok(Self(Restored { version: StoreVersion { store, counter: number(counter)? }, ledger_entries: number(entries)? }))
    }
}

/// How many entries are recorded.
async fn entries(store: &Store) -> anyhow::Result<u64> {
    match Ledger::open(store.database.clone(), &store.vault, Arc::clone(&store.clock)).await {
        Ok(ledger) => Ok(ledger.head().await?.sequence),
        Err(LedgerError::NotCreated) => Ok(0),
        Err(error) => Err(error.into()),
    }
}

pub(crate) fn back_up(configuration: &Configuration, arguments: &BackUp) -> anyhow::Result<ExitCode> {
    let (_lock, _hardened) = run::enter(configuration, &[])?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let store = Store::open(configuration).await?;
        let noted = Noted(Restored { version: store.vault.version(), ledger_entries: entries(&store).await? });
        let made = store.database.back_up(arguments.file.clone()).await;
        made.with_context(|| format!("the copy `{}` can't be made", arguments.file.display()))?;
        store.database.close().await;
        print(&format!("{noted}\n"))?;
        Ok(ExitCode::SUCCESS)
    })
}

pub(crate) fn put_back(configuration: &Configuration, arguments: &PutBack) -> anyhow::Result<ExitCode> {
    let (_lock, _hardened) = run::enter(configuration, &[])?;
    // Nothing begins before somebody has looked, wherever this is cut off.
    let made = stop::stop_for_now(&configuration.state)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let prepare = |path: &Path| runtime.block_on(prepared(configuration, path)).map_err(|error| format!("{error:#}"));
    let restored = match restore(&arguments.file, &configuration.state.join("broker.db"), arguments.noted.map(|noted| noted.0), prepare) {
        Ok(restored) => restored,
        Err(error) => {
            // Where a file couldn't be exchanged, the copy may be in place.
            if !matches!(error, RestoreError::File { .. })
                && let Some(made) = made
                && let Err(reason) = made.take_back()
            {
                say(format!("the broker stays stopped until `keyblind-broker arm`: {reason}"));
            }
            return Err(error.into());
        }
    };
    print(&format!("put back: {}\nstopped: look at what was done since, then `keyblind-broker arm`\n", Noted(restored)))?;
    Ok(ExitCode::SUCCESS)
}

/// Opens what is about to be put back, all of it, and records that it is: what can't be opened, or was changed by somebody, never takes the
/// place of what is there.
async fn prepared(configuration: &Configuration, path: &Path) -> anyhow::Result<()> {
    let store = Store::open_at(configuration, path).await?;
    let looked = async {
        match Ledger::open(store.database.clone(), &store.vault, Arc::clone(&store.clock)).await {
            Ok(ledger) => {
                ledger.check().await?;
                ledger.append(Record::of_broker(Event::Restored {})).await?;
                Ok(())
            }
            Err(LedgerError::NotCreated) => Ok(()),
            Err(error) => Err(error.into()),
        }
    };
    let looked = looked.await;
    store.database.close().await;
    looked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_noted_is_read_as_it_was_written() {
        let noted = Noted(Restored { version: StoreVersion { store: [7; 16], counter: 12 }, ledger_entries: 240 });
        assert_eq!(noted.to_string().parse(), Ok(noted));
        let written = noted.to_string();
        for wrong in ["", "x:1:2", &written[1..], &format!("{written}:3"), written.rsplit_once(':').unwrap().0] {
            assert!(wrong.parse::<Noted>().is_err(), "{wrong}");
        }
    }
}
