//! The durable mission: one run from a wish to a verified outcome, which survives a kill at any point.
//!
//! A [`Request`] says what is wanted; it goes from [`Step`] to [`Step`]. A [`Runner`] takes each step from the database, does it through
//! [`Work`], and commits what came of it together with the next step. A runner that dies loses its hold on the step, and another
//! one does it again. Nothing here reads infrastructure code: [`LeafWork`] starts the scanner for that, one process a step.

mod clock;
mod events;
mod leaf;
mod leaf_work;
mod request;
mod runner;
mod work;

pub use clock::{Clock, SystemClock};
pub use events::{Event, SeverityCounts};
pub use leaf::{Leaf, LeafError, Output};
pub use leaf_work::{Admitted, LeafWork};
pub use request::{Request, Step, Wish, begin};
pub use runner::{Patience, Runner};
pub use work::{Assignment, Done, Follows, Progress, Trouble, Work};
