//! What a process of Keyblind may no longer do, and memory for what must not leave it.
//!
//! Two entry points: [`leaf::enter`] for the process that parses hostile text, [`broker::enter`] for the one that holds
//! credentials. Each answers with a [`Report`] that says what the kernel enforces from now on and what it can't.
//! [`start`] begins a process with an empty environment and no descriptor but the named ones, without std's own way of
//! doing so, which links socket functions. [`LockedBytes`] is memory that is neither swapped, dumped nor inherited; [`Wiping`] overwrites
//! whatever else a process gives back.
//!
//! Linux only: elsewhere the crate is empty, and who uses it says that there is no sandbox.
#![cfg(target_os = "linux")]

pub mod broker;
mod calls;
mod child;
mod files;
pub mod leaf;
mod limits;
mod memory;
mod process;
mod raw;
mod report;
mod wiping;

pub use child::{Child, Ended, Start, end_with, inherited, null, start};
pub use limits::Limits;
pub use memory::{LockedBytes, MemoryError, Protection};
pub use report::{Entry, HardenError, Measure, PtraceScope, Report, State};
pub use wiping::Wiping;
