//! `keyblind ledger`

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;

use anyhow::Context;
use keyblind_ledger::{Expected, Finding, Open, PublicKey, Report, verify};
use keyblind_rules::suppressions::Date;

use super::plural;
use crate::arguments::{Global, KnownEntry, LedgerCommand};
use crate::exit::{Exit, UsageError};
use crate::output;

/// A key file holds 64 digits and a line feed; what is longer is none.
const KEY_FILE_BYTES: u64 = 200;

pub(super) fn run(command: &LedgerCommand, global: Global) -> anyhow::Result<Exit> {
    let LedgerCommand::Verify { export, key, instance, head } = command;
    let key = public_key(key)?;
    let known = |KnownEntry { number, hash }: &KnownEntry| (*number, *hash);
    let expected = Expected { instance: *instance, entry: head.as_ref().map(known) };
    let report = read(export, &key, &expected)?;
    if !(global.quiet && report.is_sound()) {
        output::print_with(|out| show(out, &report))?;
    }
    Ok(if report.is_sound() { Exit::Clean } else { Exit::Findings })
}

/// The key itself, or a file that holds it.
fn public_key(given: &str) -> anyhow::Result<PublicKey> {
    if let Ok(key) = given.parse() {
        return Ok(key);
    }
    let path = Path::new(given);
    if !path.is_file() {
        let message = format_args!("`{given}` is neither a ledger's key (64 hexadecimal digits in lower case) nor a file that holds one");
        return Err(UsageError::new(message).into());
    }
    let mut text = String::new();
    let file = File::open(path).with_context(|| format!("can't read `{given}`"))?;
    std::io::Read::read_to_string(&mut std::io::Read::take(file, KEY_FILE_BYTES), &mut text)
        .with_context(|| format!("can't read `{given}`"))?;
    text.trim().parse().map_err(|error| UsageError::new(format_args!("`{given}` holds no key: {error}")).into())
}

fn read(export: &Path, key: &PublicKey, expected: &Expected) -> anyhow::Result<Report> {
    let source: Box<dyn BufRead> = if export == Path::new("-") {
        Box::new(std::io::stdin().lock())
    } else {
        let file = File::open(export).map_err(|error| UsageError::new(format_args!("can't open `{}`: {error}", export.display())))?;
        Box::new(BufReader::new(file))
    };
    verify(source, key, expected).with_context(|| format!("can't read `{}` to its end", export.display()))
}

fn show(out: &mut dyn Write, report: &Report) -> std::io::Result<()> {
    let entries = report.entries;
    if report.is_sound() {
        writeln!(out, "sound: {entries} entr{}, nothing changed, removed, moved or cut off", if entries == 1 { "y" } else { "ies" })?;
    } else {
        let count = report.finding_count;
        writeln!(out, "NOT SOUND: {count} fault{} in {entries} entr{}", plural(count), if entries == 1 { "y" } else { "ies" })?;
        report.findings.iter().try_for_each(|finding| show_finding(out, finding))?;
        let left_out = count.saturating_sub(u64::try_from(report.findings.len()).unwrap_or(u64::MAX));
        if left_out > 0 {
            writeln!(out, "  and {left_out} more")?;
        }
    }
    if let Some(instance) = report.instance {
        writeln!(out, "  broker      {instance}")?;
    }
    if let Some((first, last)) = report.times {
        writeln!(out, "  from        {} to {}", time(first.get()), time(last.get()))?;
    }
    writeln!(out, "  signatures  {} by the key", report.checkpoints)?;
    let approvals = if report.is_sound() { ", each of one approved change" } else { "" };
    writeln!(out, "  writes      {}{approvals} ({} approval{} given)", report.writes, report.approvals, plural(report.approvals))?;
    if let Some(head) = report.head.filter(|_| report.is_sound() && entries > 0) {
        writeln!(out, "  last entry  {entries}:{head}")?;
        writeln!(out, "Keep the last entry where the broker can't reach it: `--head` finds an older export by it.")?;
    }
    for open in &report.open {
        match open {
            Open::Lease(lease, dies_at) => {
                writeln!(out, "open: lease {lease} has no recorded end; its token is dead by {}", time(dies_at.get()))?;
            }
            Open::Call(call) => writeln!(out, "open: call {call} has no recorded result")?,
        }
    }
    Ok(())
}

fn show_finding(out: &mut dyn Write, finding: &Finding) -> std::io::Result<()> {
    match finding.sequence {
        Some(sequence) => writeln!(out, "  line {}, entry {sequence}: {}", finding.line, finding.problem),
        None => writeln!(out, "  line {}: {}", finding.line, finding.problem),
    }
}

/// Milliseconds since the beginning of 1970 as people read them (UTC).
fn time(millis: u64) -> String {
    let seconds = millis / 1000;
    let date = Date::from_days_since_epoch(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{date}T{hour:02}:{minute:02}:{second:02}Z")
}
