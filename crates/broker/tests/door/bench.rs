//! A broker with its pages: its own database, sealed store and ledger, and an OpenID provider if a test wants one.

use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use keyblind_broker::approvals::devices::{DeviceSettings, Devices};
use keyblind_broker::approvals::policy::{Identity, Requester};
use keyblind_broker::approvals::{Approvals, Material, State};
use keyblind_broker::clock::{Clock, SystemClock, TestClock};
use keyblind_broker::database::Database;
use keyblind_broker::door::{
    Accounts, BoxFuture, Connection, Connections, End, Grants, LogIn, Offer, Origin, Pages, Parts, Sessions, StopReport, Switch,
    SwitchError, router, serve,
};
use keyblind_broker::egress::{AllowedHost, Egress, Origin as Host};
use keyblind_broker::leases::epoch::KillSwitch;
use keyblind_broker::leases::lease::{Lender, Patience};
use keyblind_broker::leases::revocation::Leases;
use keyblind_broker::ledger::Ledger;
use keyblind_broker::providers::oidc::{Client, ClientAuthentication, OpenIdProvider};
use keyblind_broker::secret::Secret;
use keyblind_broker::vault::{LocalKey, Vault};
use keyblind_intent::{Change, ChangeFields, ConnectionName, Digest, Provider};
use keyblind_testkit::Peer;
use serde_json::{Value, json};

use crate::changes::Wanted;
use crate::chromium::Chromium;

/// The issuer in the policies of the tests.
pub(crate) const ISSUER: &str = "https://login.example/";

#[derive(Default)]
pub(crate) struct TestSwitch(Mutex<Option<StopReport>>);

impl Switch for TestSwitch {
    fn state(&self) -> BoxFuture<'_, Result<Option<StopReport>, SwitchError>> {
        Box::pin(async { Ok(self.0.lock().unwrap().clone()) })
    }

    fn stop(&self, _: Identity) -> BoxFuture<'_, Result<(), SwitchError>> {
        let since = SystemClock::new().now();
        let ends = vec![
            ("GitHub: branches and pull requests of acme/shop".to_owned(), End::Revoked),
            ("AWS: one call on arn:aws:s3:::shop-invoices".to_owned(), End::DiesAt(since.saturating_add(Duration::from_secs(42)))),
            ("GitHub: read acme/web".to_owned(), End::Waiting),
        ];
        *self.0.lock().unwrap() = Some(StopReport { since, epoch: 3, ends });
        Box::pin(async { Ok(()) })
    }

    fn arm(&self, _: Identity) -> BoxFuture<'_, Result<(), SwitchError>> {
        *self.0.lock().unwrap() = None;
        Box::pin(async { Ok(()) })
    }
}

struct TwoConnections;

impl Connections for TwoConnections {
    fn list<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Vec<Connection>> {
        let connection = |name: &str, provider: &str, reaches: &str, is_sound, state: &str| Connection {
            name: name.to_owned(),
            provider: provider.to_owned(),
            reaches: Some(reaches.to_owned()),
            is_sound,
            state: state.to_owned(),
        };
        let github = connection("github", "GitHub", "acme", true, "can be used");
        let aws = connection("production", "AWS", "111122223333", false, "the role refuses us: run keyblind-broker doctor");
        Box::pin(async { vec![github, aws] })
    }
}

/// A broker whose pages are at an origin of this machine.
pub(crate) struct Broker {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) database: Database,
    pub(crate) vault: Arc<Vault>,
    pub(crate) ledger: Ledger,
    pub(crate) approvals: Approvals,
    pub(crate) sessions: Sessions,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) policy: Digest,
    pub(crate) issuer: String,
    pub(crate) origin: String,
    pub(crate) address: SocketAddr,
}

impl Broker {
    /// With the clock of the machine, and people whom nobody has asked who they are.
    pub(crate) async fn new() -> Self {
        Self::of(Arc::new(SystemClock::new()), ISSUER, free()).await
    }

    /// With a policy without quiet hours, since the test runs at any time of day.
    pub(crate) async fn of(clock: Arc<dyn Clock>, issuer: &str, address: SocketAddr) -> Self {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        let database = Database::open(&folder.path().join("broker.db")).unwrap();
        let key = Arc::new(LocalKey::new(&Secret::from_bytes(vec![5; 32])).unwrap());
        let vault = Arc::new(Vault::create(database.clone(), key, Arc::clone(&clock)).await.unwrap());
        let ledger = Ledger::create(database.clone(), &vault, Arc::clone(&clock)).await.unwrap();
        let approvals = Approvals::new(database.clone(), Arc::new(ledger.clone()), Arc::clone(&clock));
        let team = include_str!("../policies/team.toml");
        let (start, end) = (team.find("[quiet-hours]").unwrap(), team.find("[limits]").unwrap());
        let policy = format!("{}{}", &team[..start], &team[end..]).replace(ISSUER, issuer);
        let policy = approvals.propose_policy(&policy).await.unwrap();
        let sessions = Sessions::new(database.clone(), Arc::clone(&clock));
        let origin = format!("http://approve.localhost:{}", address.port());
        Self { folder, database, vault, ledger, approvals, sessions, clock, policy, issuer: issuer.to_owned(), origin, address }
    }

    pub(crate) fn parts(&self) -> Parts {
        Parts {
            origin: Origin::parse(&self.origin).unwrap(),
            database: self.database.clone(),
            approvals: self.approvals.clone(),
            switch: Arc::new(TestSwitch::default()),
            connections: Arc::new(TwoConnections),
            clock: Arc::clone(&self.clock),
        }
    }

    pub(crate) async fn serve(&self, pages: impl Into<Pages>) {
        let (pages, listener) = (pages.into(), tokio::net::TcpListener::bind(self.address).await.unwrap());
        tokio::spawn(async move { serve(pages, listener, std::future::pending()).await.unwrap() });
    }

    /// What asks people on their devices.
    pub(crate) async fn devices(&self, peer: &Peer, settings: DeviceSettings) -> Devices {
        let (database, clock) = (self.database.clone(), || Arc::clone(&self.clock));
        let switch = KillSwitch::open(database.clone(), self.ledger.clone(), clock(), None, Vec::new()).await.unwrap();
        let provider = Arc::new(provider(peer, clock()));
        Devices::new(self.approvals.clone(), database, Arc::clone(&self.vault), switch, clock(), provider, settings)
    }

    /// What is borrowed here.
    pub(crate) async fn leases(&self) -> Leases {
        let (database, clock) = (self.database.clone(), || Arc::clone(&self.clock));
        let switch = KillSwitch::open(database.clone(), self.ledger.clone(), clock(), None, Vec::new()).await.unwrap();
        Leases::new(database, Arc::clone(&self.vault), self.ledger.clone(), switch, clock(), HashMap::new())
    }

    /// Accounts that people connect, with a connection to GitHub.
    pub(crate) async fn accounts(&self, grants: Grants) -> Arc<Accounts> {
        let (database, clock) = (self.database.clone(), || Arc::clone(&self.clock));
        let switch = KillSwitch::open(database.clone(), self.ledger.clone(), clock(), None, Vec::new()).await.unwrap();
        let vault = Arc::clone(&self.vault);
        let leases = Leases::new(database, vault, self.ledger.clone(), switch.clone(), clock(), HashMap::new());
        let lender = Lender::new(leases, switch, self.ledger.clone(), clock(), Patience::default());
        let offer = Offer {
            exchange: None,
            name: ConnectionName::new("my-github").unwrap(),
            provider: Provider::Github,
            connection: "github".to_owned(),
            scopes: vec!["repo".to_owned()],
        };
        let origin = Origin::parse(&self.origin).unwrap();
        Arc::new(Accounts::new(grants, lender, self.approvals.clone(), clock(), origin, vec![offer]).unwrap())
    }

    /// Refresh tokens of a provider, as that provider's client.
    pub(crate) fn grants(&self, peer: &Peer) -> Grants {
        let provider = Arc::new(provider(peer, Arc::clone(&self.clock)));
        let vault = Arc::clone(&self.vault);
        Grants::new(self.database.clone(), vault, provider, self.approvals.clone(), Arc::clone(&self.clock), Provider::Auth0)
    }

    pub(crate) async fn raise(&self, (fields, parts): (ChangeFields, Vec<Vec<u8>>)) -> Digest {
        let mut material = Material::default();
        parts.into_iter().for_each(|part| material.add(part));
        let requester = Requester::Agent(Identity::new(&self.issuer, fields.requester.as_str()));
        self.approvals.raise(Change::new(fields).unwrap(), requester, None, material).await.unwrap().digest
    }

    pub(crate) fn wanted(&self, id: u8) -> Wanted {
        let expires = self.clock.now().saturating_add(Duration::from_secs(3000)).unix_millis();
        Wanted { id, tenant: "acme", requester: "mia", policy: self.policy, wanted: 1, may_be_requester: false, expires }
    }

    pub(crate) async fn log_in(&self, browser: &mut Chromium, who: &str) {
        let link = self.sessions.issue_link(Identity::new(&self.issuer, who), "acme").await.unwrap();
        browser.open(&format!("{}{}", self.origin, link.path()));
        browser.press("main form button");
        browser.wait("document.location.pathname === '/' && document.readyState === 'complete'");
    }

    pub(crate) async fn state(&self, digest: Digest) -> State {
        self.approvals.progress("acme", digest).await.unwrap().state
    }

    /// What the ledger has of these kinds, as `kind by subject: details`.
    pub(crate) async fn told(&self, kinds: &[&str]) -> Vec<String> {
        let mut export = Vec::new();
        self.ledger.export(keyblind_broker::ledger::ExportForm::Verifiable, &mut export).await.unwrap();
        let lines = String::from_utf8(export).unwrap();
        let entries = lines.lines().filter_map(|line| {
            let value: Value = serde_json::from_str(line).unwrap();
            let entry = value.get("entry").unwrap_or(&value);
            let (kind, details) = entry.get("event")?.as_object()?.iter().next()?;
            let who = entry["who"]["subject"].as_str().unwrap_or("broker");
            kinds.contains(&kind.as_str()).then(|| format!("{kind} by {who}: {details}"))
        });
        entries.collect()
    }
}

pub(crate) fn provider(peer: &Peer, clock: Arc<dyn Clock>) -> OpenIdProvider {
    let egress = Egress::new([AllowedHost::private(Host::parse(peer.url()).unwrap())], b"").unwrap();
    let client = Client::new("keyblind", ClientAuthentication::Post(Secret::from_string(peer.told("client_secret").to_owned())));
    OpenIdProvider::new(egress, clock, peer.told("issuer"), client)
}

/// An address that nobody listens at.
pub(crate) fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// An OpenID provider that sends browsers back to the pages at that address.
pub(crate) fn peer(address: SocketAddr, more: &Value) -> Peer {
    let origin = format!("http://approve.localhost:{}", address.port());
    let redirects = json!([format!("{origin}/login/callback"), format!("{origin}/connect/callback")]);
    let mut options = json!({"details": ["keyblind_change"], "api": "https://api.keyblind.example", "federated": true, "interval": 1, "redirects": redirects});
    options.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Peer::oidc(&options)
}

/// A broker with pages where one logs in with an OpenID provider, and that provider.
pub(crate) struct Joined {
    pub(crate) broker: Broker,
    pub(crate) peer: Peer,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) login: LogIn,
}

impl Joined {
    pub(crate) async fn new(more: &Value) -> Self {
        let address = free();
        let peer = peer(address, more);
        let clock = Arc::new(TestClock::at(SystemClock::new().now()));
        let broker = Broker::of(Arc::clone(&clock) as Arc<dyn Clock>, peer.told("issuer"), address).await;
        let login = LogIn::new(broker.grants(&peer), "acme").named("Example");
        Self { broker, peer, clock, login }
    }

    /// The same with refresh tokens, and accounts that people connect.
    pub(crate) async fn with_accounts() -> (Self, Arc<Accounts>) {
        let joined = Self::new(&json!({})).await;
        let audience = Some("https://api.keyblind.example".to_owned());
        let login = joined.login.asking_for("openid offline_access", audience).asking_for_consent();
        let accounts = joined.broker.accounts(login.grants().clone()).await;
        (Self { login, ..joined }, accounts)
    }

    pub(crate) fn router(&self) -> axum::Router {
        router(Pages::from(self.broker.parts()).with_login(self.login.clone()))
    }
}
