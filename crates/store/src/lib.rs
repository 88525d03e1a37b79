//! The application's database: missions, their events, the jobs that move them on, who is logged in, and the audit.
//!
//! One text of each statement serves SQLite and Postgres; what differs between them is in `database`. Everything that belongs to
//! somebody is asked for with its tenant. Time is given by the caller. No credential is ever written here.

mod claims;
mod database;
mod error;
mod handles;
mod identifiers;
mod listing;
mod missions;
mod schedules;
mod sessions;
mod tokens;
mod turns;

pub use claims::{Claim, Hold, Limits, Ticket};
pub use database::{Place, Store};
pub use error::StoreError;
pub use identifiers::{MissionId, ScheduleId};
pub use listing::{DocumentRow, Wanted};
pub use missions::{AuditRow, Begun, Cancelled, EventRow, MissionRow, MissionState, NewMission, Page, StoredRow, WaitsFor};
pub use schedules::{Fired, NewSchedule, ScheduleRow};
pub use sessions::{Idle, Person, Session};
pub use tokens::{NewToken, TokenRow};
pub use turns::{Document, NewEvent, Next, Turn};
