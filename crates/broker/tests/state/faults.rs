//! Each fault at each step of a lease: what the provider does, what the machine does, what people do.
//!
//! A broker of its own, in a process of its own, has a change approved and makes it with a borrowed token; at one step one thing goes wrong.
//! Then the next broker takes up what is left. Tokens and effects are files, so that they outlive the process, as they do at a provider.

use std::collections::HashMap;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use keyblind_broker::approvals::policy::{Answer, Channel, Identity, Requester};
use keyblind_broker::approvals::{ApprovalError, Approvals, Material, Word, on_kill};
use keyblind_broker::clock::{Clock, TestClock, Timestamp};
use keyblind_broker::database::Database;
use keyblind_broker::leases::epoch::KillSwitch;
use keyblind_broker::leases::lease::{Authority, CallFailure, Lender, Minted, NotMinted, Patience, Purpose};
use keyblind_broker::leases::revocation::{Ending, Leases, OutstandingState, RevocationFailure, Revoked, Revoker, RevokerFuture, ToRevoke};
use keyblind_broker::ledger::{Cause, Code, Event, Ledger, TokenEnd, Who};
use keyblind_broker::secret::Secret;
use keyblind_broker::vault::Vault;
use keyblind_intent::{Change, Digest, Line, Provider};
use keyblind_ledger::Expected;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::changes::{Wanted, calm};
use crate::database::{directory, reopen};
use crate::disk::child;
use crate::ledger::{judge, key, who};

/// What becomes of the token and of the one effect. `unlent`: none was announced. `revoked`: by the provider's word, and it is dead there.
/// `expires`: it may live, and the record says until when at the latest. Then how often the effect happened.
///
/// *asking* is right before the token exists and *asked* right after it, as the broker waits; and so with *calling* and *called*, and with
/// *revoking* and *revoked*. A stop while a call is on its way may be quicker than the call or not (`?`). What is no step of the provider has no fault of the provider's.
const TABLE: &str = "
            announcing  asking     asked      calling    called     revoking   revoked    over
error       -           expires 0  expires 0  revoked 0  revoked 1  revoked 1  revoked 1  -
silence     -           expires 0  expires 0  revoked 0  revoked 1  revoked 1  revoked 1  -
kill        unlent 0    expires 0  expires 0  revoked 0  revoked 1  revoked 1  revoked 1  revoked 1
full-disk   unlent 0    expires 0  expires 0  revoked 1  revoked 1  revoked 1  revoked 1  revoked 1
forward     unlent 0    revoked 0  revoked 0  revoked 1  revoked 1  revoked 1  revoked 1  revoked 1
back        revoked 1   revoked 1  revoked 1  revoked 1  revoked 1  revoked 1  revoked 1  revoked 1
stop        unlent 0    revoked 0  revoked 0  revoked ?  revoked 1  revoked 1  revoked 1  revoked 1
nothing     revoked 1   -          -          -          -          -          -          -
";

/// Wednesday 2026-07-15, noon in Berlin: no quiet hour of the policy.
const NOON: Timestamp = Timestamp::from_unix_millis(1_784_109_600_000);
/// How long the provider may take.
const PATIENCE: Patience = Patience { mint: Duration::from_secs(1), call: Duration::from_secs(1) };
/// How long a token lives: the provider counts from when it gives it.
const LIFE: Duration = Duration::from_secs(3_600);

#[test]
fn each_fault_at_each_step_leaves_nothing_unaccounted_for_and_nothing_done_twice() {
    let mut lines = TABLE.lines().skip(1).map(|line| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect::<Vec<_>>());
    let steps = lines.next().unwrap();
    let cells: Vec<(&str, &str, &str)> = lines
        .flat_map(|line| {
            assert_eq!(line.len(), steps.len() + 1, "{line:?}");
            steps.iter().zip(&line[1..]).map(|(step, expected)| (line[0], *step, *expected)).collect::<Vec<_>>()
        })
        .filter(|(_, _, expected)| *expected != "-")
        .collect();
    assert_eq!(cells.len(), 53);
    let next = AtomicUsize::new(0);
    let wrong = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some((fault, step, expected)) = cells.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let became = try_out(fault, step);
                    let is_expected = became == *expected || expected.strip_suffix('?').is_some_and(|end| became.starts_with(end));
                    if !is_expected {
                        wrong.lock().unwrap().push(format!("{fault} at {step}: {became}, not {expected}"));
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// One broker meets the fault at that step, and the next one takes up what is left. Says what became of token and effect.
fn try_out(fault: &str, step: &str) -> String {
    let directory = directory();
    let path = directory.path().join("broker.db");
    let variables = [("KEYBLIND_TEST_DATABASE", path.to_str().unwrap()), ("KEYBLIND_TEST_FAULT", fault), ("KEYBLIND_TEST_STEP", step)];
    let output = child("faults::in_a_child", "trap '' XFSZ;", &variables);
    let is_killed = output.status.signal() == Some(9);
    assert!(if fault == "kill" { is_killed } else { output.status.success() }, "{fault} at {step}: {}", text(&output));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let world = World::new(&path, "", "", false).await;
        world.leases.recover().await.unwrap();
        world.leases.revoke_due().await.unwrap();
        world.leases.recover().await.unwrap();
        let at = format!("{fault} at {step}");
        let report = judge(&world.ledger, &Expected::default()).await;
        assert!(report.is_sound(), "{at}: {:?}", report.findings);
        let outstanding = world.leases.outstanding().await.unwrap();
        assert!(outstanding.iter().all(|lease| lease.state == OutstandingState::Unrevoked), "{at}: {outstanding:?}");
        let taken = world.approvals.take(world.change()).await.err();
        assert!(
            matches!(taken, Some(ApprovalError::UsedUp | ApprovalError::NotApproved | ApprovalError::Expired)),
            "{at}: an approval is used once: {taken:?}"
        );
        let entries = world.ledger.of_subject(&who("mia"), 0, 1_000).await.unwrap();
        let announced = entries.iter().filter(|entry| matches!(entry.event, Event::LeaseAnnounced { .. })).count();
        let ends: Vec<TokenEnd> =
            entries.iter().filter_map(|entry| if let Event::TokenEnded { end, .. } = entry.event { Some(end) } else { None }).collect();
        assert_eq!(announced, ends.len(), "{at}: each lease ends, once: {ends:?}");
        let living = world.provider.living();
        let end = match (&ends[..], &living[..]) {
            ([], []) => "unlent",
            ([TokenEnd::Revoked], []) => "revoked",
            ([TokenEnd::ExpiresAt { at: said }], _) => {
                // The life that a token has at most if it is asked for in time isn't what its life ends by: it begins later.
                assert!(living.iter().all(|dies| *dies <= said.get() && *dies > (NOON.unix_millis() + LIFE.as_millis() as u64)), "{at}");
                "expires"
            }
            other => panic!("{at}: {other:?}"),
        };
        format!("{end} {}", world.provider.effects())
    })
}

fn text(output: &std::process::Output) -> String {
    [&output.stdout[..], &output.stderr].map(String::from_utf8_lossy).concat()
}

/// What goes wrong, where, and whether it has.
struct Fate {
    fault: String,
    step: String,
    has_come: AtomicBool,
    clock: Arc<TestClock>,
    switch: KillSwitch,
}

/// What the provider does at its step.
enum Provided {
    Answer,
    Error,
}

impl Fate {
    /// The broker is at a step. What happens there begins there once.
    async fn reach(&self, step: &str) -> Provided {
        if step != self.step || self.has_come.swap(true, Ordering::SeqCst) {
            return Provided::Answer;
        }
        match self.fault.as_str() {
            "error" => return Provided::Error,
            "silence" => std::future::pending().await,
            "kill" => {
                rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL).unwrap();
                std::thread::sleep(Duration::from_secs(60));
            }
            "full-disk" => room(Some(0)),
            "forward" => self.clock.set(self.clock.now().saturating_add(Duration::from_secs(86_400))),
            "back" => self.clock.set(Timestamp::from_unix_millis(NOON.unix_millis() - 31_536_000_000)),
            "stop" => drop(self.switch.kill(Cause::Command).await.unwrap()),
            _ => {}
        }
        Provided::Answer
    }
}

/// Files that grow may do so up to this size, or as before: to SQLite that looks like a full disk.
fn room(bytes: Option<u64>) {
    let limit = getrlimit(Resource::Fsize);
    setrlimit(Resource::Fsize, Rlimit { current: bytes.or(limit.maximum), ..limit }).unwrap();
}

/// A provider whose tokens and effects are files: empty ones, which need no room. A token's name says when it dies by itself.
#[derive(Clone)]
struct Files {
    folder: PathBuf,
    fate: Arc<Fate>,
}

impl Files {
    fn names(&self, start: &str) -> Vec<String> {
        let names = std::fs::read_dir(&self.folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter_map(|name| name.strip_prefix(start).map(str::to_owned)).collect()
    }

    fn living(&self) -> Vec<u64> {
        self.names("token-").iter().map(|name| name.parse().unwrap()).collect()
    }

    fn effects(&self) -> usize {
        self.names("effect-").len()
    }
}

impl Authority for Files {
    type Scope = ();

    fn provider(&self) -> Provider {
        Provider::Github
    }

    fn ending(&self) -> Ending {
        Ending::Revoke
    }

    fn longest_life(&self, _: Duration) -> Duration {
        LIFE
    }

    async fn mint(&self, _: &(), _: Duration) -> Result<Minted<()>, NotMinted> {
        let broken = NotMinted::Unknown(Code::new("broken").unwrap());
        if let Provided::Error = self.fate.reach("asking").await {
            return Err(broken);
        }
        // As late as anybody waits, by a clock that nobody at the broker sets.
        self.fate.clock.advance(PATIENCE.mint);
        let dies = NOON.unix_millis() + (self.fate.clock.monotonic() + LIFE).as_millis() as u64;
        let name = format!("token-{dies}");
        std::fs::File::create_new(self.folder.join(&name)).unwrap();
        if let Provided::Error = self.fate.reach("asked").await {
            return Err(broken);
        }
        Ok(Minted { token: Secret::from_string(name), granted: (), dies_at: Timestamp::from_unix_millis(dies) })
    }

    fn is_within(&self, (): &(), (): &()) -> bool {
        true
    }
}

impl Revoker for Files {
    fn revoke<'a>(&'a self, _: &'a ToRevoke, token: &'a Secret) -> RevokerFuture<'a> {
        Box::pin(async move {
            let failure = || RevocationFailure { reason: Code::new("broken").unwrap(), retry_after: None };
            if let Provided::Error = self.fate.reach("revoking").await {
                return Err(failure());
            }
            let name = token.expose(|bytes| String::from_utf8(bytes.to_vec()).unwrap());
            let removed = std::fs::remove_file(self.folder.join(name));
            if let Provided::Error = self.fate.reach("revoked").await {
                return Err(failure());
            }
            Ok(if removed.is_ok() { Revoked::Confirmed } else { Revoked::WasDead })
        })
    }
}

/// A broker's parts.
struct World {
    ledger: Ledger,
    approvals: Approvals,
    leases: Leases,
    lender: Lender,
    policy: Digest,
    provider: Files,
}

impl World {
    async fn new(path: &Path, fault: &str, step: &str, is_first: bool) -> Self {
        let clock = Arc::new(TestClock::at(NOON));
        let database: Database = reopen(path);
        let shared = || clock.clone() as Arc<dyn Clock>;
        let (vault, ledger) = if is_first {
            let vault = Vault::create(database.clone(), key(), shared()).await.unwrap();
            let ledger = Ledger::create(database.clone(), &vault, shared()).await.unwrap();
            (vault, ledger)
        } else {
            let vault = Vault::open(database.clone(), key(), shared()).await.unwrap();
            let ledger = Ledger::open(database.clone(), &vault, shared()).await.unwrap();
            (vault, ledger)
        };
        let approvals = Approvals::new(database.clone(), Arc::new(ledger.clone()), shared());
        let policy = approvals.propose_policy(include_str!("../policies/team.toml")).await.unwrap();
        let switch = KillSwitch::open(database.clone(), ledger.clone(), shared(), None, vec![on_kill(shared())]).await.unwrap();
        let folder = path.with_file_name("provider");
        std::fs::create_dir_all(&folder).unwrap();
        let (fault, step, has_come) = (fault.to_owned(), step.to_owned(), AtomicBool::new(false));
        let fate = Fate { fault, step, has_come, clock: clock.clone(), switch: switch.clone() };
        let provider = Files { folder, fate: Arc::new(fate) };
        let revoker: Arc<dyn Revoker> = Arc::new(provider.clone());
        let revokers = HashMap::from([(Provider::Github, revoker)]);
        let leases = Leases::new(database, Arc::new(vault), ledger.clone(), switch.clone(), shared(), revokers);
        let lender = Lender::new(leases.clone(), switch, ledger.clone(), shared(), PATIENCE);
        Self { ledger, approvals, leases, lender, policy, provider }
    }

    fn change(&self) -> Change {
        Change::new(calm(&self.wanted()).0).unwrap()
    }

    fn wanted(&self) -> Wanted {
        Wanted {
            id: 1,
            tenant: "acme",
            requester: "mia",
            policy: self.policy,
            wanted: 1,
            may_be_requester: false,
            expires: NOON.saturating_add(Duration::from_secs(3_600)).unix_millis(),
        }
    }

    /// A change is asked for and approved.
    async fn approve(&self) {
        let identity = |name| Identity::new("https://login.example/", name);
        let mut material = Material::default();
        calm(&self.wanted()).1.into_iter().for_each(|part| material.add(part));
        let raised = self.approvals.raise(self.change(), Requester::Person(identity("mia")), None, material).await.unwrap();
        let word = Word {
            digest: raised.digest,
            identity: identity("ada"),
            tenant: Some("acme".to_owned()),
            channel: Channel::Passkey,
            answer: Answer::Approve,
            present_at: NOON,
            typed: None,
            nonce: Digest::of(b"once"),
        };
        self.approvals.decide(word).await.unwrap();
    }

    /// Borrows, makes the change, and gives back; whatever fails on the way.
    async fn live(&self) {
        let fate = &self.provider.fate;
        let approved = self.approvals.take(self.change()).await.unwrap();
        let Who { tenant, subject } = who("mia");
        let purpose = Purpose {
            who: Who { tenant, subject },
            mission: None,
            permission: Code::new("github-pull-requests-write").unwrap(),
            target: Line::new("acme/shop").unwrap(),
            lifetime: Duration::from_secs(300),
        };
        fate.reach("announcing").await;
        if let Ok(lease) = self.lender.write(approved, &self.provider, &(), purpose).await {
            let send = async |_: &Secret| {
                let code = || Code::new("broken").unwrap();
                if let Provided::Error = fate.reach("calling").await {
                    return Err(CallFailure::Failed(code()));
                }
                std::fs::File::create_new(self.provider.folder.join("effect-1")).unwrap();
                match fate.reach("called").await {
                    Provided::Error => Err(CallFailure::Unknown(code())),
                    Provided::Answer => Ok(()),
                }
            };
            // What it comes to is in the record.
            let _ = lease.apply(&self.change(), Code::new("create-pull-request").unwrap(), send).await;
        }
        self.revoke().await;
        fate.reach("over").await;
    }

    /// What the broker does by itself. A provider that is silent is left waiting: how long, the finished program's tests show.
    async fn revoke(&self) {
        let _ = self.lender.tidy().await;
        let _ = tokio::time::timeout(PATIENCE.call, self.leases.revoke_due()).await;
    }
}

#[tokio::test]
#[ignore = "the child of `each_fault_at_each_step_leaves_nothing_unaccounted_for_and_nothing_done_twice`"]
async fn in_a_child() {
    let path = PathBuf::from(std::env::var_os("KEYBLIND_TEST_DATABASE").unwrap());
    let (fault, step) = (std::env::var("KEYBLIND_TEST_FAULT").unwrap(), std::env::var("KEYBLIND_TEST_STEP").unwrap());
    let world = World::new(&path, &fault, &step, true).await;
    world.approve().await;
    world.live().await;
    // It passes, and the same broker goes on.
    room(None);
    for _ in 0..2 {
        world.provider.fate.clock.advance(Duration::from_secs(5));
        world.revoke().await;
    }
    let outstanding = world.leases.outstanding().await.unwrap();
    let is_settled = |state| matches!(state, OutstandingState::Unrevoked | OutstandingState::Announced);
    assert!(outstanding.iter().all(|lease| is_settled(lease.state)), "without a restart: {outstanding:?}");
    assert!(judge(&world.ledger, &Expected::default()).await.is_sound());
}
