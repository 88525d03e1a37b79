//! What every dialect turns its text into, and what every rule looks at: resources with evaluated value trees.
//!
//! A [`Value`] is known, or unknown with a reason; it knows its [`Origin`]: the place in the text that it came from and
//! the chain of variables, locals and module inputs that carried it. References survive evaluation, so that links
//! between resources can be found although an id or ARN isn't known before it is applied.
//!
//! This crate reads no files.

mod graph;
mod number;
mod origin;
mod resource;
mod unknown;
mod value;

pub use graph::{Link, ResourceGraph, ResourceId, Unread};
pub use number::{Number, NumberError};
pub use origin::{Hop, HopKind, Origin};
pub use resource::{BlockKind, Dialect, Resource, Skip};
pub use unknown::{Fragment, Reason, Reference, Unknown};
pub use value::{Data, Mapping, Value};
