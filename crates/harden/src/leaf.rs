//! The process that parses hostile text: nothing but its own processor time, one tree to read and the pipes that it was given.

use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

use crate::files::Reach;
use crate::limits::Limits;
use crate::report::{HardenError, Measure, Report, State};
use crate::{calls, files, process, raw};

/// What is left to a leaf.
#[derive(Clone, Copy, Debug)]
pub struct Leaf<'l> {
    /// The process that started it, and with which it ends.
    pub parent: u32,
    /// Descriptors that stay open, beside those of the next two.
    pub keep: &'l [BorrowedFd<'l>],
    /// Directories (with everything beneath) and files that it may read.
    pub readable: &'l [BorrowedFd<'l>],
    /// Directories in which it may make regular files and directories.
    pub writable: &'l [BorrowedFd<'l>],
    /// How much it may use.
    pub limits: Limits,
}

/// Makes this process a leaf, for good. To be called before it starts a thread and before it reads anything hostile.
///
/// # Errors
/// If there are threads already, the parent is gone, or the kernel refuses what every supported kernel knows (Linux 4.14). What a kernel
/// merely doesn't know is no error but in the report: it is the caller's to go on or not ([`Report::require`]).
pub fn enter(leaf: Leaf<'_>) -> Result<Report, HardenError> {
    process::check_threads()?;
    let mut report = Report::new();
    process::end_with(leaf.parent, &mut report)?;
    let kept: Vec<RawFd> = leaf.keep.iter().chain(leaf.readable).chain(leaf.writable).map(AsRawFd::as_raw_fd).collect();
    raw::close_all_but(&kept).map_err(|error| HardenError::refused(Measure::Descriptors, error))?;
    report.add(Measure::Descriptors, State::Enforced);
    raw::forget_environment(&[]);
    report.add(Measure::Environment, State::Enforced);
    process::seal(&mut report)?;
    let reach = Reach { files: true, readable: leaf.readable, writable: leaf.writable, sockets: false, tcp: false };
    files::restrict(reach, &mut report)?;
    leaf.limits.apply()?;
    report.add(Measure::Limits, State::Enforced);
    calls::allow_leaf(!leaf.writable.is_empty(), &mut report)?;
    Ok(report)
}
