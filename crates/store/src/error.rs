//! Why the database refused.

use std::path::PathBuf;

/// Why the database refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The tenant has a schedule of that name.
    #[error("there is a schedule of that name: choose another, or remove it first")]
    NameTaken,
    /// The file can't be made for its owner alone.
    #[error("the database `{path}` can't be opened: {reason}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: std::io::Error,
    },
    /// The database can't be reached, or it failed. The text names no value and no password.
    #[error("the database failed: {0}")]
    Database(String),
    /// What names the database is neither a path nor an address of Postgres.
    #[error("the database's address is wrong: it should be an absolute path, or `postgres://USER@HOST/NAME`")]
    Address,
    /// Postgres on another machine would be asked without anybody knowing that it is the right one.
    #[error("the database's address names another machine, so it should say `sslmode=verify-full`, or another mode on purpose")]
    Unprotected,
    /// The database has a form that isn't this program's.
    #[error("the database was made by another version of this program: {0}")]
    Form(String),
    /// A row holds what this program never writes.
    #[error("the database holds {0}, which this program never writes")]
    Unexpected(&'static str),
    /// The job isn't the caller's any more: its time ran out and another worker has it, or the mission ended.
    #[error("the job was taken over by another worker, or its mission has ended")]
    Lost,
    /// The key was used before, with another request.
    #[error("the idempotency key was used before, for another request: take another key")]
    OtherRequest,
    /// A time or number is too large for the database.
    #[error("a number is too large for the database")]
    TooLarge,
    /// The kernel gives no random numbers.
    #[error("the kernel gives no random numbers")]
    NoRandomness,
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        // A database's own message can hold values of rows, but no password; that of an address could.
        match error {
            sqlx::Error::Configuration(_) => Self::Address,
            error => Self::Database(error.to_string()),
        }
    }
}

impl From<sqlx::migrate::MigrateError> for StoreError {
    fn from(error: sqlx::migrate::MigrateError) -> Self {
        match error {
            sqlx::migrate::MigrateError::Execute(error) | sqlx::migrate::MigrateError::ExecuteMigration(error, _) => error.into(),
            error => Self::Form(error.to_string()),
        }
    }
}
