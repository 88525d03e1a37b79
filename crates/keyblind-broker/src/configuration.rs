//! The configuration: a TOML file, each of whose keys is known.

mod accounts;
mod aws;
mod github;
mod login;
mod remote;
mod services;
mod vault;

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use keyblind_broker::dispatch::{Role, Session};
use keyblind_broker::door::Origin;
use keyblind_broker::socket::{Identity, Limits, Peer};
use keyblind_broker::work::Owners;
use keyblind_intent::{Owner, SubjectId, TenantId};
use serde::Deserialize;

use self::aws::AwsFile;
pub(crate) use self::aws::{AwsSettings, BaseSettings};
use self::github::GithubFile;
pub(crate) use self::github::{AppSettings, GithubSettings};
use self::login::LoginFile;
pub(crate) use self::login::{Authentication, DeviceForm, LoginSettings};
pub(crate) use self::remote::{ConnectError, RemoteSettings, TlsSettings, Way};
pub(crate) use self::services::Services;
pub(crate) use self::vault::{KmsAccess, KmsSettings, VaultKey};

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
    /// Two parts don't fit together.
    #[error("{0}")]
    Unfit(String),
}

/// What the broker is told.
#[derive(Debug)]
pub(crate) struct Configuration {
    /// The folder of its database and its records.
    pub(crate) state: PathBuf,
    /// Where the key is that the sealed store's records are wrapped with.
    pub(crate) vault_key: VaultKey,
    /// The broker's own pages.
    pub(crate) door: Option<Door>,
    /// The file with the approval policy.
    pub(crate) policy: Option<PathBuf>,
    /// The OpenID provider that people log in with.
    pub(crate) login: Option<LoginSettings>,
    /// GitHub.
    pub(crate) github: Option<GithubSettings>,
    /// Chats and models.
    pub(crate) services: Services,
    /// AWS.
    pub(crate) aws: Option<AwsSettings>,
    /// Whether the user that it runs as is its own.
    pub(crate) account: Account,
    /// Where and for whom it listens.
    pub(crate) socket: Socket,
    /// Who may connect.
    pub(crate) peers: Vec<Peer>,
    /// A broker on another machine, which is asked instead of one on this.
    pub(crate) remote: Option<RemoteSettings>,
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
    /// For clients on other machines.
    pub(crate) tls: Option<TlsSettings>,
}

/// The broker's own pages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Door {
    /// Where a browser finds them.
    pub(crate) origin: Origin,
    /// Where they listen.
    pub(crate) listen: SocketAddr,
    /// Where the application's pages are, to which logins are handed over.
    pub(crate) application: Option<Origin>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    state: Option<PathBuf>,
    account: Option<Account>,
    #[serde(default)]
    vault: vault::VaultFile,
    door: Option<DoorFile>,
    #[serde(default)]
    approvals: ApprovalsFile,
    login: Option<LoginFile>,
    github: Option<GithubFile>,
    aws: Option<AwsFile>,
    #[serde(default)]
    slack: Vec<services::SlackFile>,
    #[serde(default)]
    model: Vec<services::ModelFile>,
    #[serde(default)]
    registry: Vec<services::RegistryFile>,
    #[serde(default)]
    modules: services::ModulesFile,
    #[serde(default)]
    socket: SocketFile,
    remote: Option<RemoteSettings>,
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
    tls: Option<TlsSettings>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct DoorFile {
    #[serde(deserialize_with = "origin")]
    origin: Origin,
    listen: SocketAddr,
    #[serde(default, deserialize_with = "optional_origin")]
    application: Option<Origin>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct ApprovalsFile {
    policy: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct PeerFile {
    user: Option<u32>,
    certificate: Option<String>,
    tenant: TenantId,
    subject: SubjectId,
    role: Role,
    #[serde(default)]
    one_time_token: bool,
    #[serde(default)]
    speaks_for_people: bool,
}

impl Configuration {
    /// Reads the file, or does without one.
    ///
    /// # Errors
    /// Names the line and column of what is wrong.
    pub(crate) fn load(path: Option<&Path>) -> Result<Self, ConfigurationError> {
        let file = match path {
            None => File::default(),
            Some(path) => {
                let unreadable = |source| ConfigurationError::Unreadable { path: path.to_owned(), source };
                let text = std::fs::read_to_string(path).map_err(unreadable)?;
                toml::from_str(&text).map_err(|error| wrong(path, &text, &error))?
            }
        };
        Self::complete(file)
    }

    /// The way to the broker that is asked.
    pub(crate) fn way(&self) -> Way {
        self.remote.clone().map_or_else(|| Way::Socket(self.socket.path.clone()), Way::Remote)
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
        let vault_key = VaultKey::complete(file.vault)?;
        let peers: Vec<Peer> = if file.peer.is_empty() {
            own_peer().into_iter().collect()
        } else {
            file.peer.into_iter().map(peer).collect::<Result<_, _>>()?
        };
        let may_speak = |peer: &Peer| !peer.speaks_for_people || matches!(peer.session.role, Role::Web | Role::Runner);
        if !peers.iter().all(may_speak) {
            return Err(ConfigurationError::Missing("`speaks-for-people` is for a [[peer]] of role web or runner"));
        }
        if file.socket.tls.is_none() && peers.iter().any(|peer| matches!(peer.identity, Identity::Certificate(_))) {
            return Err(ConfigurationError::Missing(
                "a [[peer]] with a `certificate` comes from another machine: say under [socket.tls] where to",
            ));
        }
        if file.login.is_some() && file.door.is_none() {
            return Err(ConfigurationError::Missing("[login] is for the broker's own pages: say where they are under [door]"));
        }
        let login = file.login.map(login::settings).transpose()?;
        let github = file.github.map(|github| github::settings(github, &peers)).transpose()?;
        let has_accounts = login.as_ref().is_some_and(|login| login.accounts.is_some());
        if has_accounts && github.is_none() {
            return Err(ConfigurationError::Missing(
                "[[login.accounts]] are for repositories at GitHub: add [github], with or without an App",
            ));
        }
        if !has_accounts && github.as_ref().is_some_and(|github| github.app.is_none()) {
            return Err(ConfigurationError::Missing(
                "[github] has no authority: set `app` and `slug` of a GitHub App, or offer accounts under [[login.accounts]]",
            ));
        }
        Ok(Self {
            state,
            vault_key,
            door: file.door.map(|door| Door { origin: door.origin, listen: door.listen, application: door.application }),
            policy: file.approvals.policy,
            login,
            github,
            aws: file.aws.map(AwsFile::complete).transpose()?,
            services: Services::complete(file.slack, file.model, file.registry, file.modules)?,
            account: file.account.unwrap_or(Account::Shared),
            socket: Socket { path, limits, tls: file.socket.tls },
            remote: file.remote,
            peers,
        })
    }
}

fn origin<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Origin, D::Error> {
    Origin::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

fn optional_origin<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Origin>, D::Error> {
    origin(deserializer).map(Some)
}

fn peer(file: PeerFile) -> Result<Peer, ConfigurationError> {
    let identity = match (file.user, file.certificate) {
        (Some(user), None) => Identity::User(user),
        (None, Some(name)) if remote::is_name(&name) => Identity::Certificate(name),
        (None, Some(_)) => {
            return Err(ConfigurationError::Missing(
                "the `certificate` of a [[peer]] is one of its names, a DNS name or an address, as it stands there and without wildcards",
            ));
        }
        _ => {
            return Err(ConfigurationError::Missing(
                "a [[peer]] is known by its `user` on this machine, or by the `certificate` that it shows from another one: name one",
            ));
        }
    };
    let session = Session { tenant: file.tenant, subject: file.subject, role: file.role };
    Ok(Peer { identity, needs_token: file.one_time_token, speaks_for_people: file.speaks_for_people, session })
}

/// Without a configuration: whoever starts the broker is its one client.
fn own_peer() -> Option<Peer> {
    let user = rustix::process::geteuid().as_raw();
    let session = Session { tenant: "local".parse().ok()?, subject: SubjectId::new(format!("local:{user}")).ok()?, role: Role::Person };
    Some(Peer { identity: Identity::User(user), needs_token: false, speaks_for_people: false, session })
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
        writeln!(formatter, "vault    {}", self.vault_key)?;
        writeln!(formatter, "socket   {}", self.socket.path.display())?;
        match &self.door {
            Some(door) => writeln!(formatter, "pages    {} at {}", door.origin.as_str(), door.listen)?,
            None => writeln!(formatter, "pages    none")?,
        }
        match &self.policy {
            Some(policy) => writeln!(formatter, "policy   {}", policy.display())?,
            None => writeln!(formatter, "policy   none: nothing is changed")?,
        }
        if let Some(login) = &self.login {
            writeln!(formatter, "login    {} as {}, tenant {}", login.issuer, login.client, login.tenant)?;
            if let Some(administrator) = &login.administrator {
                writeln!(formatter, "         and as {administrator} to end people's access")?;
            }
            if let Some(accounts) = &login.accounts {
                write!(formatter, "{accounts}")?;
            }
        }
        if let Some(github) = &self.github {
            match &github.app {
                Some(AppSettings { id, slug }) => writeln!(formatter, "github   App {slug} ({id}) at {}", github.api)?,
                None => writeln!(formatter, "github   without an App at {}", github.api)?,
            }
            for (tenant, owners) in &github.owners {
                let owners = match owners {
                    Owners::All => "every owner that installs it".to_owned(),
                    Owners::These(owners) => owners.iter().map(Owner::as_str).collect::<Vec<_>>().join(", "),
                };
                writeln!(formatter, "         for {tenant}: {owners}")?;
            }
        }
        if let Some(aws) = &self.aws {
            write!(formatter, "{aws}")?;
        }
        write!(formatter, "{}", self.services)?;
        if let Some(tls) = &self.socket.tls {
            write!(formatter, "{tls}")?;
        }
        if let Some(remote) = &self.remote {
            writeln!(formatter, "asks     the broker at {}", remote.address())?;
        }
        for Peer { identity, needs_token, speaks_for_people, session } in &self.peers {
            let token = if *needs_token { ", with a one-time token" } else { "" };
            let people = if *speaks_for_people { ", and for people who logged in" } else { "" };
            let Session { tenant, subject, role } = session;
            match identity {
                Identity::User(user) => write!(formatter, "peer     user {user}")?,
                Identity::Certificate(name) => write!(formatter, "peer     certificate {name}")?,
            }
            writeln!(formatter, "{token}: {role:?} {subject} of {tenant}{people}")?;
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

[vault]
key-file = "/etc/keyblind-broker/vault.key"

[door]
origin = "https://approve.example.com"
listen = "127.0.0.1:4200"

[approvals]
policy = "/etc/keyblind-broker/policy.toml"

[login]
issuer = "https://login.example.com/"
client = "keyblind"
authentication = "private-key"
tenant = "octo"

[github]
app = 4242
slug = "keyblind"

[github.owners]
octo = ["octo-org", "octo-labs"]
all = "*"

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
            "state    /var/lib/keyblind-broker\naccount  own\nvault    key in /etc/keyblind-broker/vault.key\n\
             socket   /run/keyblind-broker/broker.sock\npages    https://approve.example.com at 127.0.0.1:4200\n\
             policy   /etc/keyblind-broker/policy.toml\nlogin    https://login.example.com/ as keyblind, tenant octo\n\
             github   App keyblind (4242) at https://api.github.com\n\
             \x20        for all: every owner that installs it\n\x20        for octo: octo-labs, octo-org\n\
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
            ("connections = 20", "connections = 0", "broker.toml:31:15: invalid value: integer `0`"),
            ("user = 1001", "uid = 1001", "broker.toml:36:1: unknown field `uid`"),
            ("\"octo\"\nsubject", "\"Octo!\"\nsubject", "broker.toml:37:10: this is no tenant: "),
            ("role = \"person\"", "role = \"admin\"", "broker.toml:39:8: unknown variant `admin`"),
            ("[[peer]]\nuser = 1001\n", "[[peer]]\n", "a [[peer]] is known by its `user` on this machine"),
            ("state", "state state", "broker.toml:2:7: "),
            ("https://approve", "http://approve", "broker.toml:9:10: `http://approve.example.com` is served without TLS"),
            ("slug = \"keyblind\"", "slug = \"key/blind\"", "broker.toml:23:8: this is no App's slug"),
            ("\"*\"", "\"?\"", "broker.toml:27:7: a list of owners, or \"*\""),
        ] {
            let error = loaded(&WHOLE.replacen(from, to, 1)).unwrap_err();
            assert!(error.contains(expected), "{to}: {error}");
        }
    }

    const ACCOUNTS: &str = "[login.administrator]\nclient = \"keyblind-admin\"\n[[login.accounts]]\nname = \"my-github\"\n\
                            provider = \"github\"\nconnection = \"github\"\nscopes = [\"repo\"]\n\n[github]\n";

    #[test]
    fn accounts_that_people_connect_are_what_they_say() {
        let whole = WHOLE.replace("[github]\n", ACCOUNTS);
        let shown = loaded(&whole).unwrap().to_string();
        assert!(shown.contains("         and as keyblind-admin to end people's access\n"), "{shown}");
        assert!(shown.contains("accounts my-github: GitHub by `github`, allows repo, where there is no App\n"), "{shown}");
        let alone = whole.replace("app = 4242\nslug = \"keyblind\"\n", "");
        assert!(loaded(&alone).unwrap().to_string().contains("github   without an App at https://api.github.com\n"));
        let instead = whole.replace("scopes = [\"repo\"]\n", "scopes = [\"repo\"]\ninstead-of-app = [\"octo-labs\"]\n");
        assert!(loaded(&instead).unwrap().to_string().contains("allows repo, instead of the App for octo-labs\n"));
        let twice = whole.replace(
            "\n[github]\n",
            "[[login.accounts]]\nname = \"b\"\nprovider = \"github\"\nconnection = \"b\"\nscopes = [\"repo\"]\n[github]\n",
        );
        let without = WHOLE.replace("app = 4242\nslug = \"keyblind\"\n", "");
        for (text, expected) in [
            (twice, "there are several [[login.accounts]] for GitHub"),
            (whole.replace("[\"repo\"]", "[]"), "`scopes` under [[login.accounts]] are GitHub's"),
            (whole.replace("[\"repo\"]", "[\"repo,user\"]"), "`scopes` under [[login.accounts]] are GitHub's"),
            (whole.replace("connection = \"github\"", "connection = \"\""), "what Auth0 calls the connection"),
            (whole.replace("slug = \"keyblind\"\n", ""), "`app` and `slug` under [github] go together"),
            (without, "[github] has no authority"),
            (
                WHOLE.replace("tenant = \"octo\"\n\n[github]", "tenant = \"octo\"\nasks-consent = true\n\n[github]"),
                "without them nothing is asked for",
            ),
        ] {
            let error = loaded(&text).unwrap_err();
            assert!(error.contains(expected), "{expected}: {error}");
        }
    }

    #[test]
    fn without_a_file_whoever_starts_it_is_its_one_client() {
        let own = own_peer().unwrap();
        assert_eq!(own.identity, Identity::User(rustix::process::geteuid().as_raw()));
        assert_eq!(own.session.role, Role::Person);
        assert!(Configuration::load(Some(Path::new("/nowhere/broker.toml"))).unwrap_err().to_string().contains("can't be read"));
    }
}
