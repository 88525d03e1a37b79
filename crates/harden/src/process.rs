//! The measures that every hardened process takes.

use rustix::process::{DumpableBehavior, Pid, Signal, dumpable_behavior, getppid, set_dumpable_behavior, set_parent_process_death_signal};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set, no_new_privs, set_capabilities, set_no_new_privs,
};

use crate::limits;
use crate::report::{HardenError, Measure, Report, State};

/// Landlock binds the calling thread and those that it starts: there must be no other.
pub(crate) fn check_threads() -> Result<(), HardenError> {
    // Without /proc nobody can tell; a process that has just begun has one thread.
    let threads = std::fs::read_dir("/proc/self/task").map_or(1, Iterator::count);
    if threads > 1 { Err(HardenError::Threads(threads)) } else { Ok(()) }
}

/// Ends the process when the given one, its parent, does.
pub(crate) fn end_with(parent: u32, report: &mut Report) -> Result<(), HardenError> {
    die_with(parent)?;
    report.add(Measure::ParentDeath, State::Enforced);
    Ok(())
}

/// The same for a process that isn't otherwise hardened.
///
/// # Errors
/// If the parent is gone already, or the kernel refuses.
pub(crate) fn die_with(parent: u32) -> Result<(), HardenError> {
    let refused = |error: rustix::io::Errno| HardenError::refused(Measure::ParentDeath, error);
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(refused)?;
    // Who ended before this line sends nothing any more.
    let now = getppid().map(Pid::as_raw_pid);
    if now.and_then(|pid| u32::try_from(pid).ok()) != Some(parent) {
        return Err(HardenError::Orphan);
    }
    Ok(())
}

/// Not to be traced, dumped or read by others of the same user, no core file, no way to gain rights, no capability.
pub(crate) fn seal(report: &mut Report) -> Result<(), HardenError> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(|error| HardenError::refused(Measure::NotDumpable, error))?;
    let is_sealed = dumpable_behavior().is_ok_and(|now| now == DumpableBehavior::NotDumpable);
    report.add(Measure::NotDumpable, held(is_sealed));
    limits::forbid_core()?;
    report.add(Measure::NoCore, State::Enforced);
    set_no_new_privs(true).map_err(|error| HardenError::refused(Measure::NoNewPrivileges, error))?;
    report.add(Measure::NoNewPrivileges, held(no_new_privs().unwrap_or(false)));
    let none = CapabilitySets { effective: CapabilitySet::empty(), permitted: CapabilitySet::empty(), inheritable: CapabilitySet::empty() };
    let refused = |error| HardenError::refused(Measure::NoCapabilities, error);
    clear_ambient_capability_set().map_err(refused)?;
    set_capabilities(None, none).map_err(refused)?;
    let left = capabilities(None).map_err(refused)?;
    report.add(Measure::NoCapabilities, held(left.effective.is_empty() && left.permitted.is_empty()));
    Ok(())
}

fn held(is_held: bool) -> State {
    if is_held { State::Enforced } else { State::NotEnforced("the kernel took it and shows that it doesn't hold".to_owned()) }
}
