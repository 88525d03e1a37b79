//! What hostile code tries, refused by the very calls that leaf and broker make; and each attempt once without them, where it has to work: a test
//! whose attempt fails anyway proves nothing.
//!
//! What this machine's kernel can't enforce is said on standard error, and the process's own report has to name it.
#![cfg(target_os = "linux")]
#![allow(unsafe_code, reason = "an open socket for the hostile program")]
#![allow(clippy::unwrap_used, reason = "a test that can't go on should say where")]

mod broker;
mod leaf;
mod support;
mod unpack;
