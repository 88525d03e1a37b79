//! What the kernel enforces, and what it can't.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One thing that a process does to itself. The names are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// No other process of the same user may trace it or read its memory, environment or descriptors.
    NotDumpable,
    /// A crash leaves no core file.
    NoCore,
    /// No program that it starts could gain rights.
    NoNewPrivileges,
    /// None of the capabilities that root has.
    NoCapabilities,
    /// Every inherited descriptor is closed but the named ones.
    Descriptors,
    /// No variable of the environment is left but the named ones.
    Environment,
    /// How much memory, processor time and file space it may use.
    Limits,
    /// Which files it may open.
    Files,
    /// No TCP, whatever else lets a socket through.
    Network,
    /// No signal to, and no abstract socket of, a process outside.
    Scope,
    /// Which system calls it may make.
    SystemCalls,
    /// It ends when its parent does.
    ParentDeath,
    /// A user account that no other process has.
    OwnAccount,
}

impl Measure {
    /// The stable name.
    pub fn name(self) -> &'static str {
        match self {
            Self::NotDumpable => "not-dumpable",
            Self::NoCore => "no-core",
            Self::NoNewPrivileges => "no-new-privileges",
            Self::NoCapabilities => "no-capabilities",
            Self::Descriptors => "descriptors",
            Self::Environment => "environment",
            Self::Limits => "limits",
            Self::Files => "files",
            Self::Network => "network",
            Self::Scope => "scope",
            Self::SystemCalls => "system-calls",
            Self::ParentDeath => "parent-death",
            Self::OwnAccount => "own-account",
        }
    }

    /// What it is for, in a few words.
    pub fn purpose(self) -> &'static str {
        match self {
            Self::NotDumpable => "no other process of this user reads its memory",
            Self::NoCore => "a crash leaves no core file",
            Self::NoNewPrivileges => "nothing that it starts gains rights",
            Self::NoCapabilities => "none of root's capabilities",
            Self::Descriptors => "no inherited file is open",
            Self::Environment => "no inherited variable is readable",
            Self::Limits => "memory, processor time and file sizes are bounded",
            Self::Files => "only the named files can be opened",
            Self::Network => "no TCP",
            Self::Scope => "no signal and no abstract socket reaches another process",
            Self::SystemCalls => "only the listed system calls",
            Self::ParentDeath => "it ends with its parent",
            Self::OwnAccount => "a user account of its own",
        }
    }
}

/// How far a measure holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state", content = "why")]
pub enum State {
    /// Wholly.
    Enforced,
    /// In part, and what is missing.
    Partly(String),
    /// Not at all, and why.
    NotEnforced(String),
}

/// A measure, and how far it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// What was to be enforced.
    pub measure: Measure,
    /// How far it is.
    #[serde(flatten)]
    pub state: State,
}

/// Who may trace processes that allow it: a setting of the machine, not of the process. A process that isn't dumpable
/// doesn't depend on it; the people's other programs do.
///
/// Source: the kernel's documentation, admin-guide/LSM/Yama.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PtraceScope {
    /// Yama isn't part of this kernel: any process may trace any other of its user.
    Absent,
    /// The value of `kernel.yama.ptrace_scope`.
    Set(u8),
}

impl PtraceScope {
    /// Reads the machine's setting.
    pub fn read() -> Self {
        let text = std::fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope");
        text.ok().and_then(|text| text.trim().parse().ok()).map_or(Self::Absent, Self::Set)
    }

    /// Whether any process may trace any other of its user.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Absent | Self::Set(0))
    }
}

impl fmt::Display for PtraceScope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => formatter.write_str("this kernel has no Yama: any process may trace others of its user that don't forbid it"),
            Self::Set(0) => {
                formatter.write_str("kernel.yama.ptrace_scope is 0: any process may trace others of its user that don't forbid it")
            }
            Self::Set(scope) => write!(formatter, "kernel.yama.ptrace_scope is {scope}"),
        }
    }
}

/// What the kernel enforces on a process from now on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// All measures that were asked for, in the order in which they were taken.
    pub entries: Vec<Entry>,
    /// Who may trace other processes on this machine.
    pub ptrace_scope: PtraceScope,
}

impl Report {
    pub(crate) fn new() -> Self {
        Self { entries: Vec::new(), ptrace_scope: PtraceScope::read() }
    }

    pub(crate) fn add(&mut self, measure: Measure, state: State) {
        self.entries.push(Entry { measure, state });
    }

    /// How far a measure holds; `None` if it wasn't asked for.
    pub fn state(&self, measure: Measure) -> Option<&State> {
        self.entries.iter().find(|entry| entry.measure == measure).map(|entry| &entry.state)
    }

    /// What doesn't hold, or only in part.
    pub fn missing(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| entry.state != State::Enforced)
    }

    /// Whether everything that was asked for holds.
    pub fn is_complete(&self) -> bool {
        self.missing().next().is_none()
    }

    /// Refuses to go on where something doesn't hold.
    ///
    /// # Errors
    /// Names what is missing.
    pub fn require(&self) -> Result<(), HardenError> {
        if self.is_complete() {
            return Ok(());
        }
        let missing: Vec<String> = self.missing().map(ToString::to_string).collect();
        Err(HardenError::Incomplete(missing.join("; ")))
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, purpose) = (self.measure.name(), self.measure.purpose());
        match &self.state {
            State::Enforced => write!(formatter, "{name}: {purpose}"),
            State::Partly(why) => write!(formatter, "{name}: enforced in part ({why})"),
            State::NotEnforced(why) => write!(formatter, "{name}: not enforced ({why})"),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.entries.iter().try_for_each(|entry| writeln!(formatter, "{entry}"))
    }
}

/// Why a process can't be hardened, or must not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HardenError {
    /// Landlock binds only the calling thread: others would go free.
    #[error("the process has {0} threads already: it must be hardened before it starts any")]
    Threads(usize),
    /// The parent was gone before its end could be watched.
    #[error("the process that started this one has ended already")]
    Orphan,
    /// The kernel refused a step that every supported kernel knows.
    #[error("{}: the kernel refused it ({reason})", step.name())]
    Refused {
        /// The step.
        step: Measure,
        /// The kernel's reason.
        reason: String,
    },
    /// Something isn't enforced, and it was asked not to go on then.
    #[error("not everything can be enforced here: {0}")]
    Incomplete(String),
}

impl HardenError {
    pub(crate) fn refused(step: Measure, reason: impl fmt::Display) -> Self {
        Self::Refused { step, reason: reason.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(states: [State; 2]) -> Report {
        let [files, scope] = states;
        let entries = vec![Entry { measure: Measure::Files, state: files }, Entry { measure: Measure::Scope, state: scope }];
        Report { entries, ptrace_scope: PtraceScope::Absent }
    }

    #[test]
    fn what_is_missing_is_named_and_refused() {
        let all = report([State::Enforced, State::Enforced]);
        assert!(all.is_complete() && all.require().is_ok());
        let some = report([State::Partly("no truncation".into()), State::NotEnforced("Linux 6.12 is needed".into())]);
        let refusal = some.require().unwrap_err().to_string();
        assert!(refusal.contains("files: enforced in part (no truncation)"), "{refusal}");
        assert!(refusal.contains("scope: not enforced (Linux 6.12 is needed)"), "{refusal}");
        assert_eq!(some.state(Measure::Network), None);
    }
}
