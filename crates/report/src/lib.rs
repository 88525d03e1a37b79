//! Reports: one module a format. They show what a scan found out and decide nothing.
//!
//! Equal input gives equal bytes: no clock, no order that depends on luck. Values that are sensitive never get here.

pub mod checkov;
pub mod comparison;
pub mod csv;
pub mod diff;
pub mod fixes;
pub mod github;
pub mod gitlab;
pub mod html;
pub mod json;
pub mod junit;
pub mod markdown;
mod masks;
mod place;
pub mod sarif;
pub mod text;
mod words;

pub use fixes::Fixes;
pub use keyblind_explain::{clean, clean_text};

/// The name of the program, as reports give it.
pub const TOOL: &str = "keyblind";
/// Its version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Where it is at home.
pub const HOME: &str = env!("CARGO_PKG_REPOSITORY");
