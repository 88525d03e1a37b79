//! What tests of several crates share: folders with files, the real program run in a clean environment, what
//! it imports, and independent servers for the broker to talk to.

mod counterparties;
mod folder;
mod imports;
mod keyring;
mod postgres;
mod program;

pub use counterparties::{AWS_ACCOUNT, AWS_KEY_ID, AWS_SECRET_KEY, Peer};
pub use folder::Folder;
pub use imports::imports;
pub use keyring::KeyringSession;
pub use postgres::Postgres;
pub use program::{Outcome, Program};
