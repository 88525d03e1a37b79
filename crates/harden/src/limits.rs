//! How much a process may use.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::report::{HardenError, Measure};

/// How much a process may use. What is already stricter stays as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of address space.
    pub address_space: u64,
    /// Seconds of processor time, all threads together.
    pub processor_seconds: u64,
    /// Bytes of the largest file that it may write.
    pub file_size: u64,
    /// Open descriptors.
    pub open_files: u64,
    /// Processes and threads of its user, its own included; `None` leaves that as it is. Root isn't bound by it.
    pub processes: Option<u64>,
}

impl Limits {
    /// Binds the process, and looks whether it is bound.
    pub(crate) fn apply(self) -> Result<(), HardenError> {
        let named = [
            (Resource::As, self.address_space),
            (Resource::Cpu, self.processor_seconds),
            (Resource::Fsize, self.file_size),
            (Resource::Nofile, self.open_files),
            (Resource::Msgqueue, 0),
        ];
        named.into_iter().chain(self.processes.map(|most| (Resource::Nproc, most))).try_for_each(|(resource, most)| bind(resource, most))
    }
}

/// A crash leaves no core file.
pub(crate) fn forbid_core() -> Result<(), HardenError> {
    bind(Resource::Core, 0).map_err(|error| HardenError::refused(Measure::NoCore, error))
}

/// Lowers a limit, soft and hard.
fn bind(resource: Resource, most: u64) -> Result<(), HardenError> {
    let now = getrlimit(resource);
    let stricter = |limit: Option<u64>| Some(limit.map_or(most, |limit| limit.min(most)));
    let wanted = Rlimit { current: stricter(now.current), maximum: stricter(now.maximum) };
    setrlimit(resource, wanted).map_err(|error| HardenError::refused(Measure::Limits, error))?;
    if getrlimit(resource) == wanted { Ok(()) } else { Err(HardenError::refused(Measure::Limits, "a limit doesn't hold")) }
}
