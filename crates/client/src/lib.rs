//! The broker's client: how programs that may open sockets ask the broker. The command line isn't one of them; it has a relay.
//!
//! Frames and documents are those of `keyblind-intent`; bulk bytes travel as descriptors. Nothing here knows what is asked for.

mod bulk;
mod connection;
pub mod descriptors;

pub use bulk::{BulkError, BulkFile, seal};
pub use connection::{Client, ClientError, Question, announcement};
