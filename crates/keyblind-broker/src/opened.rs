//! All parts of a broker, opened and joined.

pub(crate) mod aws;
mod login;
mod services;
pub(crate) mod vault;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use keyblind_broker::approvals::devices::Devices;
use keyblind_broker::approvals::{self, Approvals};
use keyblind_broker::clock::{Clock, SystemClock};
use keyblind_broker::database::Database;
use keyblind_broker::dispatch::{self, Dispatcher};
use keyblind_broker::door::{self, HandOvers, Leaving, Sources};
use keyblind_broker::egress::{AllowedHost, Egress, Origin, Target};
use keyblind_broker::jws::SigningKey;
use keyblind_broker::leases::Stopping;
use keyblind_broker::leases::epoch::KillSwitch;
use keyblind_broker::leases::lease::{Lender, Patience};
use keyblind_broker::leases::revocation::{Leases, Revoker};
use keyblind_broker::ledger::{Event, Ledger, LedgerError, Record};
use keyblind_broker::providers::github::{App, Github, Installations};
use keyblind_broker::vault::{RecordKind, RecordName, Vault, VaultError};
use keyblind_broker::work::{AwsWork, Changes, Effector, Entrance, GithubWork};
use keyblind_intent::{ConnectionName, Count, Digest, Line, Provider};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use self::login::Login;
use crate::configuration::{AppSettings, Configuration, Door, GithubSettings};
use crate::{say, stop};

/// The name of the connection to GitHub.
const GITHUB: &str = "github";
/// The largest repositories take minutes.
const CALL_SECONDS: u64 = 900;
/// How often what was dropped or is overdue is closed.
const TIDY_EVERY: Duration = Duration::from_secs(1);
/// How often the ledger is signed beyond its own measure.
const SIGN_EVERY: Duration = Duration::from_secs(60);

/// The sealed store and what it lies in.
pub(crate) struct Store {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) database: Database,
    pub(crate) vault: Arc<Vault>,
}

impl Store {
    /// Opens the store, or makes it where there is none.
    pub(crate) async fn open(configuration: &Configuration) -> anyhow::Result<Self> {
        Self::open_at(configuration, &configuration.state.join("broker.db")).await
    }

    /// The same from a database that lies elsewhere.
    pub(crate) async fn open_at(configuration: &Configuration, path: &Path) -> anyhow::Result<Self> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let database = Database::open(path)?;
        let vault = vault::open(&configuration.vault_key, &database, &clock).await?;
        Ok(Self { clock, database, vault: Arc::new(vault) })
    }
}

/// The name under which an App's private key is kept.
pub(crate) fn app_key(app: u64) -> Result<RecordName, VaultError> {
    RecordName::new("broker", GITHUB, RecordKind::GithubAppKey, app.to_string())
}

/// The name under which what proves a client of ours to the OpenID provider is kept.
pub(crate) fn client_credential(client: &str) -> Result<RecordName, VaultError> {
    RecordName::new("broker", "login", RecordKind::ClientCredential, client)
}

/// A broker's parts.
pub(crate) struct Opened {
    pub(crate) store: Store,
    pub(crate) ledger: Ledger,
    pub(crate) switch: KillSwitch,
    pub(crate) leases: Leases,
    pub(crate) lender: Lender,
    pub(crate) stopping: Arc<Stopping>,
    pub(crate) approvals: Approvals,
    pub(crate) changes: Arc<Changes>,
    pub(crate) egress: Egress,
    pub(crate) github: Option<Arc<GithubWork>>,
    aws: Option<Arc<AwsWork>>,
    login: Option<Login>,
    devices: Option<Devices>,
    services: services::Services,
}

impl Opened {
    /// Opens and joins them.
    pub(crate) async fn open(configuration: &Configuration) -> anyhow::Result<Self> {
        let store = Store::open(configuration).await?;
        let Store { clock, database, vault } = &store;
        let ledger = match Ledger::open(database.clone(), vault, Arc::clone(clock)).await {
            Err(LedgerError::NotCreated) => Ledger::create(database.clone(), vault, Arc::clone(clock)).await?,
            opened => opened?,
        };
        let on_kill = vec![approvals::on_kill(Arc::clone(clock)), door::on_kill()];
        let stop_file = Some(stop::file(&configuration.state));
        let switch = KillSwitch::open(database.clone(), ledger.clone(), Arc::clone(clock), stop_file, on_kill).await?;
        let approvals = Approvals::new(database.clone(), Arc::new(ledger.clone()), Arc::clone(clock));
        if let Some(path) = &configuration.policy {
            let text = std::fs::read_to_string(path).with_context(|| format!("the approval policy `{}` can't be read", path.display()))?;
            approvals.propose_policy(&text).await.with_context(|| path.display().to_string())?;
        }
        let egress = Egress::new(allowed_hosts(configuration)?, b"")?;
        let forge = configuration.github.as_ref().map(|settings| github(settings, &egress, clock)).transpose()?;
        let app = match configuration.github.as_ref().and_then(|settings| settings.app.as_ref()) {
            Some(settings) => kept_app(settings, vault).await?,
            None => None,
        };
        let mut revokers: HashMap<Provider, Arc<dyn Revoker>> = HashMap::new();
        if let Some(github) = &forge {
            revokers.insert(Provider::Github, Arc::clone(github) as _);
        }
        let leases = Leases::new(database.clone(), Arc::clone(vault), ledger.clone(), switch.clone(), Arc::clone(clock), revokers);
        let patience = Patience { call: Duration::from_secs(CALL_SECONDS), ..Patience::default() };
        let lender = Lender::new(leases.clone(), switch.clone(), ledger.clone(), Arc::clone(clock), patience);
        let (mut login, mut devices) = (None, None);
        if let Some(settings) = &configuration.login {
            let parts = login::Parts {
                store: &store,
                egress: &egress,
                approvals: &approvals,
                switch: &switch,
                lender: &lender,
                github: forge.as_ref(),
            };
            if let Some(opened) = parts.open(settings, configuration.door.as_ref()).await? {
                (login, devices) = (Some(opened.0), opened.1);
            }
        }
        let pages = configuration.door.as_ref().map(|door| door.origin.as_str().to_owned());
        let mut changes = Changes::new(approvals.clone(), database.clone(), ledger.clone(), Arc::clone(clock), pages);
        let accounts = login.as_ref().and_then(|login| login.accounts.clone());
        let github = forge.zip(configuration.github.as_ref()).filter(|_| app.is_some() || accounts.is_some()).map(|(forge, settings)| {
            let owners = settings.owners.clone();
            let mut work = GithubWork::new(Arc::clone(&forge), lender.clone(), ledger.clone(), owners, configuration.state.clone());
            if let Some(app) = app {
                work = work.with_app(Installations::new(forge, Arc::new(app)));
            }
            if let Some((accounts, instead_of_app)) = accounts {
                work = work.with_accounts(accounts, instead_of_app, approvals.clone());
            }
            Arc::new(work)
        });
        if let Some(github) = &github {
            changes = changes.with_effector(GithubWork::CHANGES, &(Arc::clone(github) as Arc<dyn Effector>));
        }
        let services = services::Services::open(configuration, &store, &switch, &ledger, &egress, github.as_ref())?;
        let aws = match &configuration.aws {
            Some(settings) => aws::work(settings, vault, &egress, clock, &lender, &ledger).await?,
            None => None,
        };
        if let Some(aws) = &aws {
            changes = changes.with_effector(AwsWork::CHANGES, &(Arc::clone(aws) as Arc<dyn Effector>));
        }
        let stopping = Stopping::new(switch.clone(), leases.clone());
        let stopping = Arc::new(match &login {
            Some(login) => stopping.with_logins(login.grants.clone()),
            None => stopping,
        });
        Ok(Self {
            ledger,
            switch,
            leases,
            lender,
            stopping,
            approvals,
            changes: Arc::new(changes),
            egress,
            github,
            aws,
            login,
            devices,
            services,
            store,
        })
    }

    /// Takes up what an earlier broker left, and says in the ledger what this one begins with.
    pub(crate) async fn begin(&self, configuration: &Configuration) -> anyhow::Result<()> {
        let hosts: Vec<String> = self.egress.hosts().map(|host| host.origin().to_string()).collect();
        if hosts.is_empty() {
            say("egress: none, as no provider is configured");
        } else {
            say(format_args!("egress: {}", hosts.join(", ")));
        }
        if let Some(app) = configuration.github.as_ref().and_then(|github| github.app.as_ref())
            && !self.github.as_ref().is_some_and(|github| github.has_app())
        {
            say(format_args!(
                "warning: the key of App {} isn't kept: `keyblind-broker keep github-app-key < KEY.pem` while no broker runs",
                app.id
            ));
        }
        if let Some(settings) = configuration.aws.as_ref().filter(|_| self.aws.is_none()) {
            say(aws::missing(settings));
        }
        match (&configuration.login, &self.login) {
            (Some(_), None) => {
                say(
                    "warning: what proves us to the OpenID provider isn't kept: `keyblind-broker keep client-credential` while no broker runs",
                );
            }
            (Some(settings), Some(login)) if settings.administrator.is_some() && !login.has_administrator => {
                say(
                    "warning: the secret of the administrator's client isn't kept: `keyblind-broker keep administrator-credential` while no broker runs",
                );
            }
            _ => {}
        }
        self.services.warn().await;
        let event = Event::BrokerStarted {
            version: Line::new(env!("CARGO_PKG_VERSION"))?,
            epoch: Count::saturating(self.switch.epoch().await?),
            configuration: Digest::of(format!("{configuration}egress   {}\n", hosts.join(" ")).as_bytes()),
        };
        self.ledger.append(Record::of_broker(event)).await?;
        if let Err(error) = self.leases.recover().await {
            say(format_args!("warning: not every lease of an earlier broker can be ended now: {error}"));
        }
        self.changes.recover().await?;
        Ok(())
    }

    /// What a broker does by itself: until it is ended; and the changes that it applies, until `closing` changes and they are done.
    pub(crate) fn work(&mut self, closing: watch::Receiver<()>) -> (JoinSet<()>, JoinHandle<()>) {
        let mut working = JoinSet::new();
        let (leases, switch, changes) = (self.leases.clone(), self.switch.clone(), Arc::clone(&self.changes));
        working.spawn(async move { leases.work().await });
        working.spawn(async move { switch.watch_files().await });
        let applying = tokio::spawn(changes.work(closing));
        let (lender, approvals, sessions) = (self.lender.clone(), self.approvals.clone(), self.sessions());
        working.spawn(async move {
            loop {
                // What the database refuses now is done the next time.
                let _ = lender.tidy().await;
                let _ = approvals.expire().await;
                let _ = sessions.tidy().await;
                tokio::time::sleep(TIDY_EVERY).await;
            }
        });
        if let Some(login) = &self.login {
            working.spawn(login.grants.clone().work(self.switch.clone()));
        }
        if let Some(devices) = self.devices.take() {
            working.spawn(devices.work());
        }
        let ledger = self.ledger.clone();
        working.spawn(async move {
            loop {
                tokio::time::sleep(SIGN_EVERY).await;
                let _ = ledger.checkpoint().await;
            }
        });
        (working, applying)
    }

    /// The pages, and the way to them from the socket.
    pub(crate) fn door(&self, door: &Door) -> (door::Pages, Arc<dyn dispatch::Entrance>) {
        let Store { clock, database, .. } = &self.store;
        let mut connections = Sources::new();
        if let Some(github) = &self.github {
            connections = connections.with_pages(Arc::clone(github) as _);
        }
        if let Some(aws) = &self.aws {
            connections = connections.with_pages(Arc::clone(aws) as _);
        }
        let connections: Arc<dyn door::Connections> = Arc::new(connections);
        let parts = door::Parts {
            origin: door.origin.clone(),
            database: database.clone(),
            approvals: self.approvals.clone(),
            switch: Arc::clone(&self.stopping) as _,
            connections,
            clock: Arc::clone(clock),
        };
        let sessions = self.sessions();
        let mut pages = door::Pages::from(parts);
        if let Some(origin) = &door.application {
            pages = pages.with_application(origin.clone(), self.hand_overs());
        }
        if let Some(login) = &self.login {
            pages = pages.with_login(login.pages.clone());
            if let Some((accounts, _)) = &login.accounts {
                pages = pages.with_accounts(Arc::clone(accounts));
            }
        }
        (pages, Arc::new(Entrance::new(sessions, door.origin.clone())))
    }

    fn sessions(&self) -> door::Sessions {
        door::Sessions::new(self.store.database.clone(), Arc::clone(&self.store.clock)).recorded_in(self.approvals.journal())
    }

    fn hand_overs(&self) -> Arc<HandOvers> {
        Arc::new(HandOvers::new(self.store.database.clone(), self.approvals.clone(), Arc::clone(&self.store.clock)))
    }

    /// Ends in order: the ledger says so and is signed, and the database is closed.
    pub(crate) async fn end(self) {
        let ended = self.ledger.append(Record::of_broker(Event::BrokerEnded {})).await;
        if let Err(error) = ended.map(drop).and(self.ledger.checkpoint().await) {
            say(format_args!("warning: that it ends can't be recorded: {error}"));
        }
        self.store.database.close().await;
    }

    /// Which intents are done, and by what.
    pub(crate) fn dispatcher(&self, door: Option<&Door>) -> Dispatcher {
        let mut sources = Sources::new();
        let mut leaving = Leaving::new(self.approvals.clone(), self.sessions(), self.leases.clone());
        let mut dispatcher =
            Dispatcher::new().with_kill_switch(Arc::clone(&self.stopping) as _).with_changes(Arc::clone(&self.changes) as _);
        if door.is_some_and(|door| door.application.is_some()) {
            dispatcher = dispatcher.with_logins(self.hand_overs());
        }
        if let Some(github) = &self.github {
            dispatcher = dispatcher
                .with_handler(GithubWork::READS, Arc::clone(github) as _)
                .with_handler(GithubWork::CHANGES, Arc::clone(&self.changes) as _)
                .with_examined(Arc::clone(github) as _);
            sources = sources.with_socket(Arc::clone(github) as _);
        }
        if let Some(aws) = &self.aws {
            dispatcher = dispatcher
                .with_handler(AwsWork::READS, Arc::clone(aws) as _)
                .with_handler(AwsWork::CHANGES, Arc::clone(&self.changes) as _)
                .with_examined(Arc::clone(aws) as _);
            sources = sources.with_socket(Arc::clone(aws) as _);
        }
        if let Some((login, door)) = self.login.as_ref().zip(door) {
            dispatcher = dispatcher.with_examined(Arc::new(login.examined(door, &self.switch)));
            leaving = leaving.with_grants(login.grants.clone());
            if let Some((accounts, _)) = &login.accounts {
                sources = sources.with_socket(Arc::clone(accounts) as _);
                leaving = leaving.with_accounts(Arc::clone(accounts));
            }
        }
        self.services.join(dispatcher.with_connections(Arc::new(sources)).with_departures(Arc::new(leaving)))
    }
}

/// The hosts that the configuration names, and nothing else.
fn allowed_hosts(configuration: &Configuration) -> anyhow::Result<Vec<AllowedHost>> {
    let host = |origin, is_private| if is_private { AllowedHost::private(origin) } else { AllowedHost::public(origin) };
    let parsed = |text: &str, key: &str| {
        let wrong = || format!("{key} in the configuration is `{text}`: write an origin like `https://login.example.com`");
        Origin::parse(text).map_err(|_| anyhow::anyhow!(wrong()))
    };
    let mut hosts = vault::hosts(&configuration.vault_key)?;
    if let Some(github) = &configuration.github {
        let wrong = || format!("`api` under [github] in the configuration is `{}`: write it like `https://api.github.com`", github.api);
        let origins = Github::needs(&github.api).with_context(wrong)?;
        let archives = github.archives.as_deref().map(|text| parsed(text, "`archives` under [github]")).transpose()?;
        hosts.extend(origins.into_iter().chain(archives).map(|origin| host(origin, github.is_private)));
    }
    if let Some(settings) = &configuration.aws {
        hosts.extend(aws::hosts(settings)?);
    }
    if let Some(login) = &configuration.login {
        let issuer = Target::parse(login.issuer.trim_end_matches('/')).map(|target| target.origin().clone());
        let wrong = || format!("`issuer` under [login] in the configuration is `{}`: write it exactly as the provider does", login.issuer);
        hosts.push(host(issuer.map_err(|_| anyhow::anyhow!(wrong()))?, login.is_private));
        for text in &login.hosts {
            hosts.push(host(parsed(text, "`hosts` under [login]")?, login.is_private));
        }
    }
    hosts.extend(configuration.services.hosts());
    Ok(hosts)
}

fn github(settings: &GithubSettings, egress: &Egress, clock: &Arc<dyn Clock>) -> anyhow::Result<Arc<Github>> {
    Ok(Arc::new(Github::new(egress.clone(), Arc::clone(clock), ConnectionName::new(GITHUB)?, &settings.api)?))
}

/// The App with its key, if that is kept.
async fn kept_app(settings: &AppSettings, vault: &Vault) -> anyhow::Result<Option<App>> {
    match vault.get(&app_key(settings.id)?).await {
        Ok((_, pem)) => Ok(Some(App::new(settings.id, settings.slug.clone(), SigningKey::from_pem(&pem, None)?))),
        Err(VaultError::NotFound) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
