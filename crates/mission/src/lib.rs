//! The durable mission: one run from a wish to a verified outcome, which survives a kill at any point.
//!
//! A [`Request`] says what is wanted; it goes from [`Step`] to [`Step`]. A [`Runner`] takes each step from the database, does it through
//! [`Work`], and commits what came of it together with the next step. A runner that dies loses its hold on the step, and another
//! one does it again. Nothing here reads infrastructure code: [`LeafWork`] starts the scanner for that, one process a step, and asks the
//! [`Broker`] for whatever lies outside of this machine. A [`Scheduler`] begins missions at times.

mod broker;
mod changing;
mod checkpoint;
mod clock;
mod cron;
mod events;
mod fetching;
mod leaf;
mod leaf_work;
mod logins;
mod remediation;
mod report;
mod request;
mod runner;
mod schedules;
mod trees;
mod words;
mod work;

pub use broker::{Answered, Answering, Broker, BrokerError, SocketBroker, Who};
pub use clock::{Clock, DatabaseClock, SystemClock};
pub use cron::{Cron, CronError};
pub use events::{Event, SeverityCounts};
pub use leaf::{Leaf, LeafError, Output};
pub use leaf_work::{Admitted, LeafWork};
pub use logins::{log_out, take_over};
pub use remediation::Remediation;
pub use request::{Account, Choice, Origin, Request, Step, Wish, begin};
pub use runner::{Patience, Runner};
pub use schedules::{Plan, PlanError, Scheduler, schedule};
pub use work::{Assignment, Done, Follows, Progress, Trouble, Work};
