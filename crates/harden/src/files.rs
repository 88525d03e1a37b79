//! Landlock: which files a process may open, no TCP, and no reach to processes outside.

use std::os::fd::BorrowedFd;

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, LandlockStatus, PathBeneath, RestrictionStatus, Ruleset,
    RulesetAttr, RulesetCreatedAttr, RulesetError, Scope,
};
use rustix::fs::{FileType, fstat};

use crate::report::{HardenError, Measure, Report, State};

/// The newest interface whose restrictions are asked for; older kernels enforce what they know of them.
const NEWEST: ABI = ABI::V7;

/// What stays reachable. Everything else is denied.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reach<'r> {
    /// Whether files are bound to the next two; else only the rest is denied.
    pub(crate) files: bool,
    /// Directories (with everything beneath) and files that may be read.
    pub(crate) readable: &'r [BorrowedFd<'r>],
    /// Directories in which regular files and directories may be made, written and removed.
    pub(crate) writable: &'r [BorrowedFd<'r>],
    /// Whether Unix sockets may be made in the writable directories.
    pub(crate) sockets: bool,
    /// Whether TCP stays possible.
    pub(crate) tcp: bool,
}

/// Denies everything else, and notes how far the kernel does so.
pub(crate) fn restrict(reach: Reach<'_>, report: &mut Report) -> Result<(), HardenError> {
    let status = build(reach).map_err(|error| HardenError::refused(Measure::Files, error))?;
    let (version, absent) = match status.landlock {
        LandlockStatus::Available { effective_abi, .. } => (effective_abi, ""),
        LandlockStatus::NotEnabled => (ABI::Unsupported, "Landlock is switched off: add `landlock` to the kernel's `lsm=` parameter"),
        LandlockStatus::NotImplemented => (ABI::Unsupported, "this kernel has no Landlock: it needs Linux 5.13 or newer"),
    };
    if reach.files {
        report.add(
            Measure::Files,
            match version {
                ABI::Unsupported => State::NotEnforced(absent.to_owned()),
                ABI::V1 | ABI::V2 => {
                    State::Partly("files may still be cut off where their permissions allow it: Linux 6.2 denies that".into())
                }
                ABI::V3 | ABI::V4 => State::Partly("devices that are open already take all commands: Linux 6.10 denies that".into()),
                _ => State::Enforced,
            },
        );
    }
    if !reach.tcp {
        report.add(
            Measure::Network,
            match version {
                ABI::Unsupported => State::NotEnforced(absent.to_owned()),
                ABI::V1 | ABI::V2 | ABI::V3 => State::NotEnforced("Landlock denies TCP from Linux 6.7 on".into()),
                _ => State::Enforced,
            },
        );
    }
    report.add(
        Measure::Scope,
        match version {
            ABI::Unsupported => State::NotEnforced(absent.to_owned()),
            ABI::V1 | ABI::V2 | ABI::V3 | ABI::V4 | ABI::V5 => {
                State::NotEnforced("Landlock holds back signals and abstract sockets from Linux 6.12 on".into())
            }
            _ => State::Enforced,
        },
    );
    Ok(())
}

fn build(reach: Reach<'_>) -> Result<RestrictionStatus, RulesetError> {
    let mut ruleset = Ruleset::default().set_compatibility(CompatLevel::BestEffort).scope(Scope::from_all(NEWEST))?;
    if reach.files {
        ruleset = ruleset.handle_access(AccessFs::from_all(NEWEST))?;
    }
    if !reach.tcp {
        ruleset = ruleset.handle_access(AccessNet::from_all(NEWEST))?;
    }
    let mut created = ruleset.create()?;
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let mut write = read | AccessFs::WriteFile | AccessFs::Truncate | AccessFs::MakeReg | AccessFs::MakeDir;
    write |= AccessFs::RemoveFile | AccessFs::RemoveDir;
    if reach.sockets {
        write |= AccessFs::MakeSock;
    }
    let rules = reach.readable.iter().map(|place| (place, read)).chain(reach.writable.iter().map(|place| (place, write)));
    for (place, access) in rules {
        created = created.add_rule(PathBeneath::new(place, fitting(*place, access)))?;
    }
    created.restrict_self()
}

/// Rights that only a directory can have are an error on a file.
fn fitting(place: BorrowedFd<'_>, access: BitFlags<AccessFs>) -> BitFlags<AccessFs> {
    let is_directory = fstat(place).is_ok_and(|status| FileType::from_raw_mode(status.st_mode) == FileType::Directory);
    if is_directory { access } else { access & AccessFs::from_file(NEWEST) }
}
