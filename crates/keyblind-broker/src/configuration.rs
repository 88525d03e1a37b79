//! The configuration: a TOML file, each of whose keys is known.

use std::fmt;
use std::path::{Path, PathBuf};

use keyblind_broker::dispatch::{Role, Session};
use keyblind_broker::socket::{Limits, Peer};
use keyblind_intent::{SubjectId, TenantId};
use serde::Deserialize;

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
    /// Something that can't be guessed is missing.
    #[error("{0}")]
    Missing(&'static str),
}

/// What the broker is told.
#[derive(Debug)]
pub(crate) struct Configuration {
    /// The folder of its database and its records.
    pub(crate) state: PathBuf,
    /// Whether the user that it runs as is its own.
    pub(crate) account: Account,
    /// Where and for whom it listens.
    pub(crate) socket: Socket,
    /// Who may connect.
    pub(crate) peers: Vec<Peer>,
}

/// Whose user the broker runs as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Account {
    /// Nobody else's.
    Own,
    /// Also that of other programs.
    Shared,
}

/// Where the broker listens, and how much its clients may cost.
#[derive(Debug)]
pub(crate) struct Socket {
    pub(crate) path: PathBuf,
    pub(crate) limits: Limits,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    state: Option<PathBuf>,
    account: Option<Account>,
    #[serde(default)]
    socket: SocketFile,
    #[serde(default)]
    peer: Vec<PeerFile>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct SocketFile {
    path: Option<PathBuf>,
    connections: Option<std::num::NonZeroU16>,
    requests_at_once: Option<std::num::NonZeroU16>,
    request_seconds: Option<std::num::NonZeroU16>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct PeerFile {
    user: u32,
    tenant: TenantId,
    subject: SubjectId,
    role: Role,
    #[serde(default)]
    one_time_token: bool,
}

impl Configuration {
    /// Reads the file, or does without one.
    ///
    /// # Errors
    /// Names the line and column of what is wrong.
    pub(crate) fn load(path: Option<&Path>) -> Result<Self, ConfigurationError> {
        let file = match path {
            None => File { state: None, account: None, socket: SocketFile::default(), peer: Vec::new() },
            Some(path) => {
                let unreadable = |source| ConfigurationError::Unreadable { path: path.to_owned(), source };
                let text = std::fs::read_to_string(path).map_err(unreadable)?;
                toml::from_str(&text).map_err(|error| wrong(path, &text, &error))?
            }
        };
        Self::complete(file)
    }

    fn complete(file: File) -> Result<Self, ConfigurationError> {
        let state = match file.state {
            Some(state) => state,
            None => own_folder("XDG_STATE_HOME", ".local/state").ok_or(ConfigurationError::Missing(
                "there is no folder for the broker's state: set `state` in the configuration, or HOME",
            ))?,
        };
        let path = file.socket.path.unwrap_or_else(|| match absolute("XDG_RUNTIME_DIR") {
            Some(folder) => folder.join("keyblind-broker/broker.sock"),
            None => state.join("socket/broker.sock"),
        });
        let usual = Limits::default();
        let limits = Limits {
            connections: file.socket.connections.map_or(usual.connections, |number| usize::from(number.get())),
            connections_per_user: file.socket.connections.map_or(usual.connections_per_user, |number| usize::from(number.get())),
            working: file.socket.requests_at_once.map_or(usual.working, |number| usize::from(number.get())),
            request: file.socket.request_seconds.map_or(usual.request, |seconds| std::time::Duration::from_secs(u64::from(seconds.get()))),
            ..usual
        };
        let peers = if file.peer.is_empty() { own_peer().into_iter().collect() } else { file.peer.into_iter().map(peer).collect() };
        Ok(Self { state, account: file.account.unwrap_or(Account::Shared), socket: Socket { path, limits }, peers })
    }
}

fn peer(file: PeerFile) -> Peer {
    let session = Session { tenant: file.tenant, subject: file.subject, role: file.role };
    Peer { user: file.user, needs_token: file.one_time_token, session }
}

/// Without a configuration: whoever starts the broker is its one client.
fn own_peer() -> Option<Peer> {
    let user = rustix::process::geteuid().as_raw();
    let session = Session { tenant: "local".parse().ok()?, subject: SubjectId::new(format!("local:{user}")).ok()?, role: Role::Person };
    Some(Peer { user, needs_token: false, session })
}

fn own_folder(variable: &str, beneath_home: &str) -> Option<PathBuf> {
    let base = absolute(variable).or_else(|| Some(absolute("HOME")?.join(beneath_home)))?;
    Some(base.join("keyblind-broker"))
}

fn absolute(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute())
}

fn wrong(path: &Path, text: &str, error: &toml::de::Error) -> ConfigurationError {
    let at = error.span().map_or(0, |span| span.start).min(text.len());
    let before = &text[..text.floor_char_boundary(at)];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |rest| rest.chars().count()) + 1;
    ConfigurationError::Wrong { path: path.to_owned(), line, column, message: error.message().to_owned() }
}

impl fmt::Display for Configuration {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "state    {}", self.state.display())?;
        writeln!(formatter, "account  {}", if self.account == Account::Own { "own" } else { "shared" })?;
        writeln!(formatter, "socket   {}", self.socket.path.display())?;
        for Peer { user, needs_token, session } in &self.peers {
            let token = if *needs_token { ", with a one-time token" } else { "" };
            let Session { tenant, subject, role } = session;
            writeln!(formatter, "peer     user {user}{token}: {role:?} {subject} of {tenant}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loaded(text: &str) -> Result<Configuration, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("broker.toml");
        std::fs::write(&path, text).unwrap();
        Configuration::load(Some(&path)).map_err(|error| error.to_string().replace(&*path.to_string_lossy(), "broker.toml"))
    }

    const WHOLE: &str = r#"
state = "/var/lib/keyblind-broker"
account = "own"

[socket]
path = "/run/keyblind-broker/broker.sock"
connections = 20
requests-at-once = 8
request-seconds = 60

[[peer]]
user = 1001
tenant = "octo"
subject = "local:alice"
role = "person"

[[peer]]
user = 1002
tenant = "octo"
subject = "runner"
role = "runner"
one-time-token = true
"#;

    #[test]
    fn a_whole_configuration_is_what_it_says() {
        let configuration = loaded(WHOLE).unwrap();
        assert_eq!(
            configuration.to_string(),
            "state    /var/lib/keyblind-broker\naccount  own\nsocket   /run/keyblind-broker/broker.sock\n\
             peer     user 1001: Person local:alice of octo\npeer     user 1002, with a one-time token: Runner runner of octo\n"
        );
        assert_eq!(configuration.socket.limits.connections, 20);
        assert_eq!(configuration.socket.limits.request.as_secs(), 60);
    }

    #[test]
    fn each_wrong_key_is_named_with_its_place() {
        for (from, to, expected) in [
            ("state =", "stat =", "broker.toml:2:1: unknown field `stat`"),
            ("\"own\"", "\"mine\"", "broker.toml:3:11: unknown variant `mine`"),
            ("connections = 20", "connections = 0", "broker.toml:7:15: invalid value: integer `0`"),
            ("user = 1001", "uid = 1001", "broker.toml:12:1: unknown field `uid`"),
            ("\"octo\"", "\"Octo!\"", "broker.toml:13:10: this is no tenant: "),
            ("role = \"person\"", "role = \"admin\"", "broker.toml:15:8: unknown variant `admin`"),
            ("[[peer]]\nuser = 1001\n", "[[peer]]\n", "missing field `user`"),
            ("state", "state state", "broker.toml:2:7: "),
        ] {
            let error = loaded(&WHOLE.replacen(from, to, 1)).unwrap_err();
            assert!(error.contains(expected), "{to}: {error}");
        }
    }

    #[test]
    fn without_a_file_whoever_starts_it_is_its_one_client() {
        let own = own_peer().unwrap();
        assert_eq!(own.user, rustix::process::geteuid().as_raw());
        assert_eq!(own.session.role, Role::Person);
        assert!(Configuration::load(Some(Path::new("/nowhere/broker.toml"))).unwrap_err().to_string().contains("can't be read"));
    }
}
