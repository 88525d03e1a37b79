//! What was proven, for people.

use std::collections::BTreeSet;
use std::fmt::{self, Display, Formatter};

use crate::adversary::Attempt;
use crate::canary::Hit;
use crate::controls::Control;
use crate::places::Looked;
use crate::watch::{BROKER, LEAF, Watched};
use crate::world::Users;

/// All that came of it.
pub struct Proof {
    /// As whom the two sides ran.
    pub users: Users,
    /// Each way of searching, tried on what was left for it.
    pub controls: Vec<Control>,
    /// What was seen of blind processes.
    pub watched: Watched,
    /// What was searched on disk.
    pub files: Looked,
    /// What adversaries tried.
    pub attempts: Vec<Attempt>,
    /// What the record says.
    pub ledger: keyblind_ledger::Report,
    /// Whether a broker that broke down left a core file.
    pub left_core: bool,
    /// How many tokens the provider gave.
    pub given: usize,
    /// How many of them live.
    pub living: usize,
    /// How many canaries were looked for.
    pub canaries: usize,
}

impl Proof {
    /// What speaks against the claim; nothing, if it holds as far as it was checked.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let missed = self.controls.iter().filter(|control| !control.is_found && control.not_checked.is_none());
        faults.extend(missed.map(|control| format!("the search misses what was left for it: {}", control.place)));
        for (kind, seen) in &self.watched {
            for (place, looked) in &seen.places {
                faults.extend(looked.hits.iter().map(|hit| found(hit, &format!("{place} of {kind}"))));
            }
            faults.extend(seen.faults.iter().cloned());
        }
        faults.extend(self.files.hits.iter().map(|hit| found(hit, "files")));
        let let_through = self.attempts.iter().filter(|attempt| !attempt.is_refused);
        faults.extend(let_through.map(|attempt| format!("an adversary gets through: {} ({})", attempt.what, attempt.answer)));
        if self.left_core {
            faults.push("a broker that breaks down leaves a core file".to_owned());
        }
        for kind in ["keyblind", LEAF, "relay", BROKER] {
            if !self.watched.contains_key(kind) {
                faults.push(format!("no process of the kind `{kind}` was seen at work: nothing is known of it"));
            }
        }
        if self.watched.get(LEAF).is_some_and(|seen| seen.confined == 0) {
            faults.push("a leaf was seen at work and never confined".to_owned());
        }
        if !self.ledger.is_sound() {
            faults.push("the record doesn't verify".to_owned());
        }
        if self.ledger.writes != 1 || self.ledger.approvals != 1 {
            faults.push(format!("one change was approved and made; the record has {} and {}", self.ledger.approvals, self.ledger.writes));
        }
        if self.given == 0 || self.living > 0 {
            faults.push(format!("of {} tokens that were given {} still live", self.given, self.living));
        }
        faults
    }

    /// What this user's rights, or this machine, didn't allow to look at.
    #[must_use]
    pub fn not_checked(&self) -> BTreeSet<String> {
        let mut all: BTreeSet<String> = self.files.not_checked.clone();
        if !self.users.are_distinct() {
            all.insert("that the two sides are different users: only root can give each its own".to_owned());
        }
        let unseen = self.watched.iter().filter(|(kind, seen)| seen.looks == 0 && **kind != BROKER);
        all.extend(unseen.map(|(kind, _)| format!("the memory of {kind}: none of it could be read")));
        for (kind, seen) in &self.watched {
            all.extend(seen.places.values().flat_map(|looked| looked.not_checked.iter().map(|why| format!("{why} (of {kind})"))));
        }
        all.extend(
            self.controls.iter().filter_map(|control| Some(format!("control {}: {}", control.place, control.not_checked.as_ref()?))),
        );
        all
    }
}

fn found(hit: &Hit, place: &str) -> String {
    format!("found: {}, {}, in {place}", hit.canary, hit.form.name())
}

impl Display for Proof {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mebibytes = |bytes: u64| bytes.div_ceil(1 << 20);
        let found = self.controls.iter().filter(|control| control.is_found).count();
        writeln!(f, "controls      {found} of {} canaries that were left on purpose were found", self.controls.len())?;
        writeln!(f, "canaries      {} values, in 6 forms, also in part", self.canaries)?;
        if self.users.are_distinct() {
            writeln!(f, "users         {} for the broker, {} for everybody else", self.users.broker, self.users.blind)?;
        }
        for (kind, seen) in &self.watched {
            let memory = if *kind == BROKER { "memory when all was over, " } else { "memory, " };
            let bytes: u64 = seen.places.values().map(|looked| looked.bytes).sum();
            let hits: usize = seen.places.values().map(|looked| looked.hits.len()).sum();
            writeln!(
                f,
                "{kind:<14}{} looks, {} MiB of {memory}environment, arguments, open files: {hits} hits",
                seen.looks,
                mebibytes(bytes)
            )?;
        }
        writeln!(
            f,
            "files         {} MiB of databases, logs and captured traffic: {} hits",
            mebibytes(self.files.bytes),
            self.files.hits.len()
        )?;
        let refused = self.attempts.iter().filter(|attempt| attempt.is_refused).count();
        writeln!(f, "adversaries   {refused} of {} attempts came to nothing", self.attempts.len())?;
        writeln!(
            f,
            "record        {} entries, {} approval, {} change, {}",
            self.ledger.entries,
            self.ledger.approvals,
            self.ledger.writes,
            if self.ledger.is_sound() { "sound" } else { "NOT SOUND" }
        )?;
        writeln!(f, "tokens        {} given, {} still alive", self.given, self.living)?;
        for what in self.not_checked() {
            writeln!(f, "not checked   {what}")?;
        }
        for fault in self.faults() {
            writeln!(f, "FAULT         {fault}")?;
        }
        let verdict = match (self.faults().is_empty(), self.not_checked().is_empty()) {
            (true, true) => "The claim holds.",
            (true, false) => "The claim holds, as far as it was checked: as root more can be.",
            (false, _) => "The claim does NOT hold.",
        };
        writeln!(f, "{verdict}")
    }
}
