//! What hostile code would try, one attempt a run: free, or after the very call by which a leaf or a broker hardens itself.
//!
//! `keyblind-hostile MODE ATTEMPT [ARGUMENT…]` prints `missing NAMES` (what the kernel doesn't enforce), then `done WHAT` if the attempt worked or
//! `errno NUMBER` if it was refused. That it was ended for it, its parent sees. It is no part of any release.
#![allow(unsafe_code, reason = "hostile code calls the kernel as it likes")]
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a program for tests")]
#![cfg_attr(not(target_os = "linux"), allow(unused))]

#[cfg(target_os = "linux")]
mod attempts;

#[cfg(target_os = "linux")]
fn main() {
    attempts::main();
}

#[cfg(not(target_os = "linux"))]
fn main() {}
