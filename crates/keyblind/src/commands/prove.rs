//! `keyblind prove`: starts the program that tests the claim. It opens sockets and searches memory, which this one must not be able to.

use std::ffi::OsStr;

use anyhow::Context as _;
use keyblind_harden::{Ended, Start, start};

use crate::beside;
use crate::exit::Exit;

pub(super) fn run() -> anyhow::Result<Exit> {
    let program = beside::program("keyblind-prove", "it is what tests the claim")?;
    let own = std::env::current_exe().context("this program doesn't know where it is")?;
    let folder = own.parent().context("this program is in a folder")?;
    let arguments = [OsStr::new("keyblind-prove"), OsStr::new("--programs"), folder.as_os_str()];
    // Nothing of the environment: what is proven doesn't depend on it.
    let started = start(Start { program: program.as_os_str(), arguments: &arguments, environment: &[], descriptors: &[] });
    let mut child = started.with_context(|| format!("can't start `{}`", program.display()))?;
    match child.wait()? {
        Ended::Exited(code) => Ok(u8::try_from(code).ok().and_then(Exit::of).unwrap_or(Exit::Internal)),
        Ended::Killed(signal) => anyhow::bail!("`keyblind-prove` was ended by signal {signal}"),
    }
}
