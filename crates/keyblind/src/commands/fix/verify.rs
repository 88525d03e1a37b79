//! Proving recorded fixes again.

use std::path::Path;

use anyhow::Context;
use keyblind_fix::{Fixer, Record};
use serde::Deserialize;

use crate::arguments::Global;
use crate::exit::{Exit, UsageError};
use crate::terminal;

/// The part of the document that is proven again.
#[derive(Deserialize)]
struct Document {
    version: u32,
    fixes: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    taken: bool,
    #[serde(flatten)]
    record: Record,
}

pub(super) fn run(path: &Path, fixer: &mut Fixer<'_>, global: Global) -> anyhow::Result<Exit> {
    let text = std::fs::read(path).with_context(|| format!("can't read `{}`", path.display()))?;
    let document: Document = serde_json::from_slice(&text)
        .map_err(|error| UsageError::new(format_args!("`{}` isn't what `keyblind fix --output json` writes: {error}", path.display())))?;
    if document.version != 1 {
        return Err(UsageError::new(format_args!("`{}` has version {}, and only 1 is known", path.display(), document.version)).into());
    }
    let records: Vec<Record> = document.fixes.into_iter().filter(|entry| entry.taken).map(|entry| entry.record).collect();
    match fixer.verify(&records) {
        Ok(()) => {
            if !global.quiet {
                terminal::say(format_args!("{} fix{} proven", records.len(), if records.len() == 1 { "" } else { "es" }));
            }
            Ok(Exit::Clean)
        }
        Err((number, disproof)) => {
            let claim = records.get(number).map(|record| format!("{} {}", record.proof.claim.rule, record.proof.claim.address));
            terminal::say(format_args!("not proven: fix {} ({}): {}", number + 1, claim.unwrap_or_default(), disproof.detail));
            Ok(Exit::Findings)
        }
    }
}
