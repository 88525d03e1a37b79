//! The configuration: a TOML file, each of whose keys is known.

mod web;

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use keyblind_intent::{SubjectId, TenantId};
use keyblind_mission::Leaf;
use keyblind_store::{Limits, Place};
use serde::Deserialize;

pub(crate) use web::WebConfiguration;

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigurationError {
    /// The file can't be read.
    #[error("the configuration `{}` can't be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file isn't what it should be.
    #[error("{}:{line}:{column}: {message}", path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
        /// What is wrong.
        message: String,
    },
    /// Something that can't be guessed is missing, or makes no sense.
    #[error("{0}")]
    Missing(String),
}

/// What the server is told.
#[derive(Debug)]
pub(crate) struct Configuration {
    /// The database.
    pub(crate) database: Place,
    /// Beneath which folders paths may be scanned.
    pub(crate) allowed: Vec<PathBuf>,
    /// How the scanner is started.
    pub(crate) leaf: Leaf,
    /// How many workers a runner has.
    pub(crate) workers: usize,
    /// How many steps may run at once.
    pub(crate) limits: Limits,
    /// Whose the missions are that are begun on this command line.
    pub(crate) tenant: TenantId,
    /// Who begins them.
    pub(crate) owner: SubjectId,
    /// The broker's socket.
    pub(crate) broker_socket: Option<PathBuf>,
    /// The web tier.
    pub(crate) web: WebConfiguration,
    /// The configuration of a broker that `serve` starts as well.
    pub(crate) broker: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    database: Option<String>,
    tenant: Option<TenantId>,
    subject: Option<SubjectId>,
    scan: ScanTable,
    runner: RunnerTable,
    broker: BrokerTable,
    web: web::WebTable,
    serve: ServeTable,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct ServeTable {
    broker: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct ScanTable {
    allowed: Vec<PathBuf>,
    program: Option<PathBuf>,
    sandbox: Sandbox,
    seconds: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Sandbox {
    #[default]
    Required,
    Available,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct RunnerTable {
    workers: Option<usize>,
    total: Option<u32>,
    tenant: Option<u32>,
    owner: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct BrokerTable {
    socket: Option<PathBuf>,
}

/// How long one scan may take where nothing else is said.
const SECONDS: u64 = 900;
/// How large a report may be.
const REPORT_BYTES: usize = 256 << 20;
/// How many workers a runner may have.
const MOST_WORKERS: usize = 64;

impl Configuration {
    /// Reads the file, or takes what stands without one.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub(crate) fn load(path: Option<&Path>) -> Result<Self, ConfigurationError> {
        let file = match path {
            Some(path) => {
                let text = std::fs::read_to_string(path);
                let text = text.map_err(|source| ConfigurationError::Unreadable { path: path.to_owned(), source })?;
                toml::from_str(&text).map_err(|error| wrong(path, &text, &error))?
            }
            None => File::default(),
        };
        let missing = ConfigurationError::Missing;
        // The environment goes before the file: addresses with passwords come by it.
        let address = std::env::var("KEYBLIND_DATABASE_URL").ok().or(file.database);
        let database = match address {
            Some(address) => address.parse().map_err(|error: keyblind_store::StoreError| missing(error.to_string()))?,
            None => Place::File(own_folder()?.join("server.db")),
        };
        let program = match file.scan.program {
            Some(program) => program,
            None => beside().ok_or_else(|| missing("where the program `keyblind` is can't be told: set scan.program".to_owned()))?,
        };
        if let Some(path) = file.scan.allowed.iter().chain([&program]).chain(&file.broker.socket).find(|path| !path.is_absolute()) {
            // A relative program would be looked up in the folder that is scanned.
            return Err(missing(format!("`{}` should be an absolute path", path.display())));
        }
        let limit = |given: Option<u32>, otherwise: u32| match given.unwrap_or(otherwise) {
            0 => Err(missing("a limit of 0 in `runner` would let no step run".to_owned())),
            limit => Ok(limit),
        };
        let workers = file.runner.workers.unwrap_or(2);
        if !(1..=MOST_WORKERS).contains(&workers) {
            return Err(missing(format!("runner.workers should be from 1 to {MOST_WORKERS}")));
        }
        let total = limit(file.runner.total, u32::MAX)?;
        let tenant = limit(file.runner.tenant, total)?;
        let own = SubjectId::new(format!("uid-{}", rustix::process::getuid().as_raw()));
        Ok(Self {
            database,
            allowed: file.scan.allowed,
            leaf: Leaf {
                program,
                sandbox: match file.scan.sandbox {
                    Sandbox::Required => "required",
                    Sandbox::Available => "available",
                },
                time: Duration::from_secs(file.scan.seconds.unwrap_or(SECONDS)),
                output: REPORT_BYTES,
            },
            workers,
            limits: Limits { total, tenant, owner: limit(file.runner.owner, tenant)? },
            tenant: match file.tenant {
                Some(tenant) => tenant,
                None => TenantId::new("local").map_err(|error| missing(error.to_string()))?,
            },
            owner: match file.subject {
                Some(subject) => subject,
                None => own.map_err(|error| missing(error.to_string()))?,
            },
            broker_socket: file.broker.socket,
            web: file.web.read().map_err(missing)?,
            broker: file.serve.broker,
        })
    }
}

impl fmt::Display for Configuration {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.database {
            Place::File(path) => writeln!(formatter, "database  {}", path.display())?,
            Place::Postgres(_) => writeln!(formatter, "database  Postgres")?,
        }
        writeln!(formatter, "tenant    {}", self.tenant.as_str())?;
        writeln!(formatter, "scanner   {} (sandbox {}, {} s)", self.leaf.program.display(), self.leaf.sandbox, self.leaf.time.as_secs())?;
        match &self.broker_socket {
            Some(socket) => writeln!(formatter, "broker    {}, as {}", socket.display(), self.owner)?,
            None => writeln!(formatter, "broker    none: no repositories, accounts and changes")?,
        }
        let Limits { total, tenant, owner } = self.limits;
        let most = |limit: u32| if limit == u32::MAX { "as many as there are workers".to_owned() } else { limit.to_string() };
        writeln!(
            formatter,
            "workers   {}; steps at once {}, of a tenant {}, of one owner {}",
            self.workers,
            most(total),
            most(tenant),
            most(owner)
        )?;
        if self.allowed.is_empty() {
            writeln!(formatter, "allowed   no path: name folders in scan.allowed")?;
        }
        for folder in &self.allowed {
            writeln!(formatter, "allowed   {}", folder.display())?;
        }
        writeln!(formatter, "web       {} on {}", self.web.origin, self.web.listen)
    }
}

/// The folder for state of the user that starts the program.
pub(crate) fn own_folder() -> Result<PathBuf, ConfigurationError> {
    use std::os::unix::fs::DirBuilderExt as _;
    let variable = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = variable("XDG_STATE_HOME").or_else(|| variable("HOME").map(|home| home.join(".local/state")));
    let state = state.ok_or_else(|| {
        ConfigurationError::Missing("neither HOME nor XDG_STATE_HOME says where the database lies: set `database`".to_owned())
    })?;
    let folder = state.join("keyblind");
    let made = std::fs::DirBuilder::new().mode(0o700).recursive(true).create(&folder);
    made.map_err(|source| ConfigurationError::Unreadable { path: folder.clone(), source })?;
    Ok(folder)
}

/// The scanner's program, which is installed beside this one.
fn beside() -> Option<PathBuf> {
    Some(std::env::current_exe().ok()?.parent()?.join("keyblind"))
}

fn wrong(path: &Path, text: &str, error: &toml::de::Error) -> ConfigurationError {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    let start = before.rfind('\n').map_or(0, |end| end + 1);
    let column = before.get(start..).map_or(0, |line| line.chars().count()) + 1;
    let line = before.matches('\n').count() + 1;
    ConfigurationError::Wrong { path: path.to_owned(), line, column, message: error.message().to_owned() }
}
