//! The two databases, and what differs between them.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use keyblind_intent::UnixMillis;
use sqlx::any::{AnyConnectOptions, AnyPoolOptions, AnyRow};
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Any, AnyPool, AssertSqlSafe, ConnectOptions as _, Executor as _, Row as _, SqlSafeStr as _, Transaction};

use crate::StoreError;

/// How many connections a program holds at most.
const CONNECTIONS: u32 = 8;
/// How long one waits for a connection, and SQLite for its one writer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where the database is.
#[derive(Clone, PartialEq, Eq)]
pub enum Place {
    /// A file of SQLite, made where there is none.
    File(PathBuf),
    /// An address of Postgres, which may hold its password.
    Postgres(String),
}

impl FromStr for Place {
    type Err = StoreError;

    /// Takes `postgres://…` for an address, and what has no other scheme for a path.
    fn from_str(text: &str) -> Result<Self, StoreError> {
        match text.split_once("://") {
            Some(("postgres" | "postgresql", _)) => Ok(Self::Postgres(text.to_owned())),
            Some(_) => Err(StoreError::Address),
            None if text.is_empty() => Err(StoreError::Address),
            None => Ok(Self::File(text.into())),
        }
    }
}

impl std::fmt::Debug for Place {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => formatter.debug_tuple("File").field(path).finish(),
            Self::Postgres(_) => formatter.write_str("Postgres"),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Engine {
    Sqlite,
    Postgres,
}

/// The application's database.
#[derive(Clone, Debug)]
pub struct Store {
    pool: AnyPool,
    engine: Engine,
}

/// The steps of the database's form. One that was released never changes.
const STEPS: &[(i64, &str, &str)] = &[(1, "missions", include_str!("migrations/0001-missions.sql"))];

impl Store {
    /// Opens the database, makes it where there is none, and brings it to this program's form.
    ///
    /// # Errors
    /// If it can't be reached or made, or has another form.
    pub async fn open(place: &Place) -> Result<Self, StoreError> {
        sqlx::any::install_default_drivers();
        let (engine, address) = match place {
            Place::File(path) => {
                make_for_owner(path)?;
                (Engine::Sqlite, SqliteConnectOptions::new().filename(path).to_url_lossy().to_string())
            }
            Place::Postgres(address) => (Engine::Postgres, address.clone()),
        };
        let options = AnyConnectOptions::from_str(&address).map_err(|_| StoreError::Address)?.disable_statement_logging();
        let pool = AnyPoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(PATIENCE).after_connect(move |connection, _| {
            Box::pin(async move {
                if engine == Engine::Sqlite {
                    // FULL: a commit that was answered is on the disk (https://www.sqlite.org/pragma.html#pragma_synchronous).
                    connection
                        .execute(
                            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA busy_timeout = 30000",
                        )
                        .await?;
                }
                Ok(())
            })
        });
        let store = Self { pool: pool.connect_with(options).await?, engine };
        store.migrate().await?;
        Ok(store)
    }

    async fn migrate(&self) -> Result<(), StoreError> {
        let bytes = match self.engine {
            Engine::Sqlite => "BLOB",
            Engine::Postgres => "BYTEA",
        };
        let step = |(number, name, text): &(i64, &'static str, &'static str)| {
            let text = AssertSqlSafe(text.replace("{BYTES}", bytes)).into_sql_str();
            Migration::new(*number, (*name).into(), MigrationType::Simple, text, false)
        };
        Ok(Migrator::with_migrations(STEPS.iter().map(step).collect()).run(&self.pool).await?)
    }

    /// Closes all connections.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    pub(crate) fn pool(&self) -> &AnyPool {
        &self.pool
    }

    /// Begins to write. SQLite's one writer is taken at once: a transaction that reads first and writes then could be refused
    /// (<https://www.sqlite.org/isolation.html>).
    pub(crate) async fn write(&self) -> Result<Transaction<'static, Any>, StoreError> {
        Ok(match self.engine {
            Engine::Sqlite => self.pool.begin_with("BEGIN IMMEDIATE").await?,
            Engine::Postgres => self.pool.begin().await?,
        })
    }
}

/// SQLite makes files by the umask; this one is its owner's alone.
fn make_for_owner(path: &Path) -> Result<(), StoreError> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let made = std::fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
    made.map(drop).map_err(|reason| StoreError::File { path: path.to_owned(), reason })
}

/// A number as both databases hold it.
pub(crate) fn stored(number: u64) -> Result<i64, StoreError> {
    i64::try_from(number).map_err(|_| StoreError::TooLarge)
}

/// A point in time as both databases hold it.
pub(crate) fn moment(time: UnixMillis) -> Result<i64, StoreError> {
    stored(time.get())
}

/// A number of a row.
pub(crate) fn number(row: &AnyRow, column: &str) -> Result<u64, StoreError> {
    u64::try_from(row.try_get::<i64, _>(column)?).map_err(|_| StoreError::Unexpected("a negative number"))
}

/// A point in time of a row.
pub(crate) fn time(row: &AnyRow, column: &str) -> Result<UnixMillis, StoreError> {
    Ok(UnixMillis::new(number(row, column)?))
}

/// A text of a row.
pub(crate) fn text(row: &AnyRow, column: &str) -> Result<String, StoreError> {
    Ok(row.try_get(column)?)
}

/// A text of a row, or nothing.
pub(crate) fn optional_text(row: &AnyRow, column: &str) -> Result<Option<String>, StoreError> {
    Ok(row.try_get(column)?)
}
