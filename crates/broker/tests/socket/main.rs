//! The socket, as its clients see it: good ones, many of them, and hostile ones.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod asking;
mod endings;
mod hostile;
mod many;
mod support;
