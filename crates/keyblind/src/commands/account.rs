//! An account at a provider, read through the broker: what `aws:NAME` names.

use std::fs::File;
use std::io::Read as _;
use std::path::PathBuf;

use anyhow::Context as _;
use keyblind_intent::{
    AccountId, Answer, ConnectionName, Control, Count, Intent, Outcome, Provider, Report, Request, Service, SnapshotAccount, limits,
};
use tempfile::TempDir;

use crate::arguments::{Global, What};
use crate::broker::{Broker, unwelcome};
use crate::exit::UsageError;
use crate::terminal;

/// Calls that one snapshot may cost.
const MOST_CALLS: u64 = 20_000;
/// What is judged of an account.
const SERVICES: [Service; 3] = [Service::Ec2, Service::Iam, Service::S3];

/// An account, by the name that the broker's configuration gives it or by its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Account {
    Named(ConnectionName),
    Numbered(AccountId),
}

impl Account {
    /// The account that the paths of a command line name, if they name one.
    ///
    /// # Errors
    /// If it isn't written as one, or other paths are named beside it.
    pub(super) fn named(what: &What) -> Result<Option<Self>, UsageError> {
        let accounts: Vec<&str> = what.paths.iter().filter_map(|path| path.to_str()?.strip_prefix("aws:")).collect();
        let [text] = accounts.as_slice() else {
            return if accounts.is_empty() { Ok(None) } else { Err(UsageError::new("one account at a time is read through the broker")) };
        };
        if what.paths.len() > 1 || what.root.is_some() || what.src.is_some() || what.stdin_filename.is_some() {
            return Err(UsageError::new("an account is judged as a whole: leave other paths, `--root` and `--src` out"));
        }
        text.parse().map(Some)
    }

    /// Its number, which the broker tells where it only has a name.
    ///
    /// # Errors
    /// If there is no such account.
    pub(super) fn number(&self, broker: &mut Broker) -> anyhow::Result<AccountId> {
        let name = match self {
            Self::Numbered(account) => return Ok(account.clone()),
            Self::Named(name) => name,
        };
        match broker.ask(&Request::Control(Control::ListConnections))? {
            Answer::Report(Report::Connections { connections }) => {
                let is_it = |found: &keyblind_intent::ConnectionSummary| found.provider == Provider::Aws && found.name == *name;
                let found = connections.into_iter().find(is_it).and_then(|found| found.account);
                found.ok_or_else(|| UsageError::new(format_args!("the broker has no AWS account called `{name}` for you")).into())
            }
            Answer::Report(report) => anyhow::bail!("the broker answered something else than was asked ({report:?})"),
            Answer::Outcome(outcome) => Err(unwelcome(&outcome)),
        }
    }

    /// Reads it into a file in a folder of our own. What is in it, a leaf finds out.
    ///
    /// # Errors
    /// If the broker doesn't read it.
    pub(super) fn fetch(&self, global: Global) -> anyhow::Result<TempDir> {
        let mut broker = Broker::connect()?;
        let account = self.number(&mut broker)?;
        let most_calls = Count::from(u32::try_from(MOST_CALLS).unwrap_or(u32::MAX));
        let request = SnapshotAccount { account: account.clone(), regions: Vec::new(), services: SERVICES.to_vec(), most_calls };
        match broker.ask(&Request::Intent(Intent::SnapshotAccount(request)))? {
            Answer::Outcome(Outcome::AccountSnapshotted { account: read, calls, failed, .. }) => {
                anyhow::ensure!(read == account, "the broker read another account than was asked for: {read}");
                if !global.quiet {
                    terminal::say(format_args!("note: account {account}: {calls} calls, {failed} of them without an answer"));
                }
                self.in_folder(&std::fs::read(broker.file()).context("the snapshot can't be read")?)
            }
            Answer::Outcome(outcome) => Err(unwelcome(&outcome)),
            Answer::Report(report) => anyhow::bail!("the broker answered something else than was asked ({report:?})"),
        }
    }

    /// The same for a snapshot that was handed over.
    ///
    /// # Errors
    /// If it can't be read, or is more than a snapshot may be.
    pub(super) fn handed(&self, snapshot: File) -> anyhow::Result<TempDir> {
        let mut bytes = Vec::new();
        snapshot.take(limits::SNAPSHOT_BYTES + 1).read_to_end(&mut bytes).context("the snapshot can't be read")?;
        anyhow::ensure!(bytes.len() as u64 <= limits::SNAPSHOT_BYTES, "the snapshot is larger than {} bytes", limits::SNAPSHOT_BYTES);
        self.in_folder(&bytes)
    }

    fn in_folder(&self, snapshot: &[u8]) -> anyhow::Result<TempDir> {
        let folder = tempfile::Builder::new().prefix("keyblind-").tempdir().context("can't make a folder for the snapshot")?;
        let written = std::fs::write(folder.path().join(self.file()), in_lines(snapshot));
        written.context("the snapshot can't be put into a folder of its own")?;
        Ok(folder)
    }

    /// What findings name as their place.
    fn file(&self) -> PathBuf {
        match self {
            Self::Named(name) => format!("aws-{name}.json"),
            Self::Numbered(account) => format!("aws-{account}.json"),
        }
        .into()
    }
}

/// A snapshot is one line; people who are shown a place in it want one that they can read. Only where lines end is decided here.
fn in_lines(snapshot: &[u8]) -> Vec<u8> {
    let mut lines = Vec::with_capacity(snapshot.len() + snapshot.len() / 8);
    let (mut is_text, mut is_escaped) = (false, false);
    for &byte in snapshot {
        lines.push(byte);
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_text => is_escaped = true,
            b'"' => is_text = !is_text,
            b'{' | b'[' | b',' if !is_text => lines.push(b'\n'),
            _ => {}
        }
    }
    lines
}

impl std::str::FromStr for Account {
    type Err = UsageError;

    fn from_str(text: &str) -> Result<Self, UsageError> {
        if let Ok(account) = AccountId::new(text) {
            return Ok(Self::Numbered(account));
        }
        let wrong = |error| {
            UsageError::new(format_args!(
                "`aws:{}`: {error}; write it as `aws:NAME`, with the name in the broker's configuration, or as `aws:123456789012`",
                text.escape_debug()
            ))
        };
        ConnectionName::new(text).map(Self::Named).map_err(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(paths: &[&str]) -> Result<Option<Account>, String> {
        let what = What { paths: paths.iter().map(Into::into).collect(), ..What::default() };
        Account::named(&what).map_err(|error| error.to_string())
    }

    #[test]
    fn lines_end_outside_of_texts_only() {
        let text = br#"{"a":["b,{\",","c"],"d":1}"#;
        assert_eq!(in_lines(text), b"{\n\"a\":[\n\"b,{\\\",\",\n\"c\"],\n\"d\":1}");
        assert_eq!(in_lines(b"\"\\"), b"\"\\");
    }

    #[test]
    fn an_account_is_named_or_numbered() {
        assert_eq!(named(&[".", "./aws:production"]), Ok(None), "a path is a path");
        assert_eq!(named(&["aws:production"]), Ok(Some(Account::Named("production".parse().unwrap()))));
        assert_eq!(named(&["aws:111122223333"]), Ok(Some(Account::Numbered("111122223333".parse().unwrap()))));
        for (paths, expected) in [
            (&["aws:production", "."][..], "as a whole"),
            (&["aws:a", "aws:b"], "one account at a time"),
            (&["aws:"], "write it as `aws:NAME`"),
            (&["aws:\u{1b}[2J"], "\\u{1b}"),
        ] {
            let error = named(paths).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }
}
