//! Starting a process that gets nothing but what is named.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};

use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, kill_process, waitpid};

use crate::raw;

/// What a process is started with.
#[derive(Clone, Copy, Debug)]
pub struct Start<'s> {
    /// The program's path.
    pub program: &'s OsStr,
    /// Its arguments, the first of which is by custom its name.
    pub arguments: &'s [&'s OsStr],
    /// Its whole environment.
    pub environment: &'s [(&'s str, &'s str)],
    /// Its descriptors, each with the number that it has there. What isn't named and is closed on execution isn't there; standard input, output
    /// and error are this process's own unless they are named.
    pub descriptors: &'s [(BorrowedFd<'s>, RawFd)],
}

/// A process that was started. It is ended when this is dropped.
#[derive(Debug)]
pub struct Child {
    pid: Pid,
    ended: Option<Ended>,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with a code.
    Exited(i32),
    /// By a signal.
    Killed(i32),
}

impl Ended {
    /// Whether the system-call filter ended it (`SIGSYS`).
    pub fn is_forbidden_call(self) -> bool {
        self == Self::Killed(Signal::SYS.as_raw())
    }
}

/// Starts a process. Its life ends with the *thread* that started it if it asked for that ([`crate::leaf::enter`]): start it from one that
/// waits for it.
///
/// # Errors
/// If the program can't be started.
pub fn start(what: Start<'_>) -> io::Result<Child> {
    let descriptors: Vec<(RawFd, RawFd)> = what.descriptors.iter().map(|(descriptor, number)| (descriptor.as_raw_fd(), *number)).collect();
    let pid = raw::spawn(what.program, what.arguments, what.environment, &descriptors)?;
    let pid = Pid::from_raw(pid).ok_or_else(|| io::Error::other("the new process has no number"))?;
    Ok(Child { pid, ended: None })
}

impl Child {
    /// Its number.
    pub fn id(&self) -> u32 {
        self.pid.as_raw_pid().cast_unsigned()
    }

    /// Waits until it has ended.
    ///
    /// # Errors
    /// If it isn't this process's child any more.
    pub fn wait(&mut self) -> io::Result<Ended> {
        loop {
            if let Some(ended) = self.ended {
                return Ok(ended);
            }
            match waitpid(Some(self.pid), WaitOptions::empty()) {
                Ok(Some((_, status))) => self.ended = ended(status),
                Ok(None) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Ends it at once. That it has ended already is no error.
    ///
    /// # Errors
    /// If it isn't this process's to end.
    pub fn kill(&mut self) -> io::Result<()> {
        if self.ended.is_some() {
            return Ok(());
        }
        match kill_process(self.pid, Signal::KILL) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Nobody is left who could be told.
        let _ = self.kill().and_then(|()| self.wait());
    }
}

fn ended(status: WaitStatus) -> Option<Ended> {
    status.exit_status().map(Ended::Exited).or_else(|| status.terminating_signal().map(Ended::Killed))
}

/// Ends this process when the one with that number does, its parent: the kernel kills it. The parent's *thread* that started it counts.
///
/// # Errors
/// If the parent is gone already, or the kernel refuses.
pub fn end_with(parent: u32) -> Result<(), crate::HardenError> {
    crate::process::die_with(parent)
}

/// Takes a descriptor over that this process was started with, once.
///
/// # Errors
/// If it isn't open, was taken before, or is beyond 63.
pub fn inherited(number: RawFd) -> io::Result<OwnedFd> {
    raw::inherited(number)
}

/// `/dev/null`, to read and write.
///
/// # Errors
/// If there is none.
pub fn null() -> io::Result<OwnedFd> {
    std::fs::OpenOptions::new().read(true).write(true).open("/dev/null").map(OwnedFd::from)
}
