//! Every token is accounted for: what lives at the provider is held against what the record says.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use keyblind_prove::github::Github;
use keyblind_prove::world::World;
use serde_json::Value;

/// How long the provider sees no token end before nobody expects one to.
const QUIET: Duration = Duration::from_secs(3);

/// What points came to.
#[derive(Default)]
pub(crate) struct Account {
    points: usize,
    entries: usize,
    given: usize,
    revoked: usize,
    expiring: usize,
    /// Points at whose death a token lived, and those at whose death work was under way at the provider.
    with_living: usize,
    requests: usize,
    interrupted_writes: usize,
}

impl Account {
    pub(crate) fn add(&mut self, other: &Self) {
        self.points += other.points;
        self.entries += other.entries;
        self.given += other.given;
        self.revoked += other.revoked;
        self.expiring += other.expiring;
        self.with_living += other.with_living;
        self.requests += other.requests;
        self.interrupted_writes += other.interrupted_writes;
    }
}

impl Display for Account {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { points, entries, given, revoked, expiring, with_living, requests, interrupted_writes } = self;
        write!(
            f,
            "{points} held; killed with a living token {with_living} times, in the middle of a change {interrupted_writes} times; \
             {requests} requests until then; {given} tokens given, {revoked} revoked, {expiring} left to expire by the time on record; \
             {entries} entries verified"
        )
    }
}

/// Waits until no token lives, or none has ended for a while: of one whose answer was lost nobody knows.
pub(crate) fn wait_for_revocations(github: &Github) {
    let (mut living, mut since) = (github.tokens().1, Instant::now());
    while living > 0 && since.elapsed() < QUIET {
        std::thread::sleep(Duration::from_millis(50));
        let now = github.tokens().1;
        if now != living {
            (living, since) = (now, Instant::now());
        }
    }
}

/// Holds provider and record against each other. `at_death` is what there was when the first broker was killed: tokens (given, living) and
/// requests.
pub(crate) fn take(world: &World, github: &Github, programs: &Path, at_death: ((usize, usize), usize)) -> Result<Account> {
    let (export, key) = (world.path("work/ledger.jsonl"), world.path("work/broker.pub"));
    std::fs::write(&key, world.ask_broker(&["ledger", "key"])?)?;
    std::fs::write(&export, world.ask_broker(&["ledger", "export"])?)?;
    let verified = Command::new(programs.join("keyblind")).args(["ledger", "verify"]).arg(&export).arg("--key").arg(&key).output()?;
    ensure!(verified.status.success(), "the record doesn't verify: {}", String::from_utf8_lossy(&verified.stdout));

    let (mut ends, mut calls, mut entries) = (BTreeMap::<String, Option<Value>>::new(), BTreeMap::<String, bool>::new(), 0);
    for line in std::fs::read_to_string(&export)?.lines() {
        let line: Value = serde_json::from_str(line)?;
        let Some(entry) = line.get("entry") else { continue };
        entries += 1;
        let event = &entry["event"];
        let name = |field: &Value| field.as_str().context("an id is text").map(str::to_owned);
        if let Some(announced) = event.get("lease-announced") {
            ensure!(ends.insert(name(&announced["lease"])?, None).is_none(), "a lease is announced twice");
        } else if let Some(ended) = event.get("token-ended") {
            let lease = ends.get_mut(&name(&ended["lease"])?).context("a lease ends that was never announced")?;
            ensure!(lease.replace(ended["end"].clone()).is_none(), "a lease ends twice");
        } else if let Some(started) = event.get("call-started") {
            calls.insert(name(&started["call"])?, started["effect"].get("write").is_some());
        } else if let Some(ended) = event.get("call-ended") {
            calls.remove(&name(&ended["call"])?);
        }
    }
    let mut expiring = Vec::new();
    let mut revoked = 0;
    for (lease, end) in &ends {
        let end = end.as_ref().with_context(|| format!("lease {lease} has no end"))?;
        match (end.as_str(), end["expires-at"]["at"].as_u64()) {
            (Some("revoked"), _) => revoked += 1,
            (Some("unborn"), _) => {}
            (None, Some(at)) => expiring.push(at),
            _ => anyhow::bail!("lease {lease} ends as {end}"),
        }
    }
    let (given, living) = github.tokens();
    ensure!(given - living == revoked, "{} tokens are dead, and {revoked} are said to be revoked", given - living);
    // The longest life against the latest time on record, and so on: each living token is some lease's.
    let mut lives = github.lives();
    lives.sort_unstable_by(|one, other| other.cmp(one));
    expiring.sort_unstable_by(|one, other| other.cmp(one));
    ensure!(lives.len() <= expiring.len(), "{} tokens live, and {} are said to", lives.len(), expiring.len());
    for (life, said) in lives.iter().zip(&expiring) {
        ensure!(life <= said, "a token lives {} ms longer than the record says", life - said);
    }
    let ((_, living_at_death), requests) = at_death;
    Ok(Account {
        points: 1,
        entries,
        given,
        revoked,
        expiring: lives.len(),
        with_living: usize::from(living_at_death > 0),
        requests,
        interrupted_writes: calls.values().filter(|writes| **writes).count(),
    })
}
