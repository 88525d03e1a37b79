//! The two databases, and what differs between them.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use keyblind_intent::UnixMillis;
use sqlx::any::{AnyConnectOptions, AnyPoolOptions, AnyRow};
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{
    Any, AnyConnection, AnyPool, AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, Row as _, SqlSafeStr as _, Transaction,
};

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

    /// Takes `postgres://…` for an address, and an absolute path for a file. Nothing else: it could be an address with its password
    /// that somebody mistyped, and a file's name is shown.
    fn from_str(text: &str) -> Result<Self, StoreError> {
        match text.split_once("://") {
            Some(("postgres" | "postgresql", rest)) if is_protected(rest) => Ok(Self::Postgres(text.to_owned())),
            Some(("postgres" | "postgresql", _)) => Err(StoreError::Unprotected),
            None if text.starts_with('/') => Ok(Self::File(text.into())),
            _ => Err(StoreError::Address),
        }
    }
}

/// Whether an address stays on this machine, or says how the other one is known. The driver's own default takes an unprotected
/// connection from whoever offers one.
fn is_protected(rest: &str) -> bool {
    let (place, options) = rest.split_once('?').unwrap_or((rest, ""));
    let host = place.split('/').next().unwrap_or_default().rsplit('@').next().unwrap_or_default();
    let mut options = options.split('&').filter_map(|option| option.split_once('='));
    let is_here = host.is_empty()
        || host == "localhost"
        || host.starts_with("localhost:")
        || host.starts_with("127.0.0.1")
        || host.starts_with("[::1]");
    match options.clone().find(|(name, _)| *name == "host") {
        Some((_, socket)) if socket.starts_with('/') || socket.starts_with("%2F") => true,
        Some(_) => options.any(|(name, _)| name == "sslmode"),
        None => is_here || options.any(|(name, _)| name == "sslmode"),
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
const STEPS: &[(i64, &str, &str)] = &[
    (1, "missions", include_str!("migrations/0001-missions.sql")),
    (2, "waiting and schedules", include_str!("migrations/0002-waiting-and-schedules.sql")),
    (3, "web", include_str!("migrations/0003-web.sql")),
];

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
        // By itself first: a pool would ask again and again, and say only that it waited.
        let mut first = AnyConnection::connect_with(&options).await?;
        prepare(&mut first, engine).await?;
        let steps = steps(engine);
        // Two programs that make one new file at the same time: the second finds it made.
        if let Err(MigrateError::ExecuteMigration(..)) = steps.run(&mut first).await {
            steps.run(&mut first).await?;
        }
        // What another version made is said here, too.
        steps.run(&mut first).await?;
        first.close().await?;
        let pool = AnyPoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(PATIENCE);
        let pool = pool.after_connect(move |connection, _| Box::pin(prepare(connection, engine))).connect_lazy_with(options);
        Ok(Self { pool, engine })
    }

    /// Closes all connections.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// The database's time of day: one clock for programs on several machines. A file's is this machine's.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn time(&self) -> Result<UnixMillis, StoreError> {
        let statement = match self.engine {
            Engine::Sqlite => "SELECT CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER) AS now",
            Engine::Postgres => "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT) AS now",
        };
        time(&sqlx::query(statement).fetch_one(&self.pool).await?, "now")
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

/// What each connection begins with.
async fn prepare(connection: &mut AnyConnection, engine: Engine) -> Result<(), sqlx::Error> {
    if engine == Engine::Sqlite {
        // FULL: a commit that was answered is on the disk (https://www.sqlite.org/pragma.html#pragma_synchronous).
        let settings = "PRAGMA busy_timeout = 30000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON";
        connection.execute(settings).await?;
    }
    Ok(())
}

fn steps(engine: Engine) -> Migrator {
    let bytes = match engine {
        Engine::Sqlite => "BLOB",
        Engine::Postgres => "BYTEA",
    };
    let step = |(number, name, text): &(i64, &'static str, &'static str)| {
        let text = AssertSqlSafe(text.replace("{BYTES}", bytes)).into_sql_str();
        Migration::new(*number, (*name).into(), MigrationType::Simple, text, false)
    };
    Migrator::with_migrations(STEPS.iter().map(step).collect())
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

/// A number of a row, or nothing.
pub(crate) fn optional_number(row: &AnyRow, column: &str) -> Result<Option<u64>, StoreError> {
    let number = row.try_get::<Option<i64>, _>(column)?;
    number.map(|number| u64::try_from(number).map_err(|_| StoreError::Unexpected("a negative number"))).transpose()
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
