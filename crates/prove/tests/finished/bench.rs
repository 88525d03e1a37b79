//! A broker that runs, a provider, and what people do with them.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use keyblind_intent::{Answer, ChangeState, Digest, Outcome, Refusal, Report};
use keyblind_prove::adversary::{Back, Enemy, proposal};
use keyblind_prove::door::Visitor;
use keyblind_prove::github::Github;
use keyblind_prove::world::World;
use serde_json::{Value, json};

use crate::programs;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A provider, and an installation that knows no other.
pub(crate) struct Bench {
    pub(crate) github: Github,
    pub(crate) world: World,
    /// What the provider lives in.
    _runtime: tokio::runtime::Runtime,
}

impl Bench {
    /// Set up, and not started.
    pub(crate) fn new() -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let github = runtime.block_on(Github::start()).unwrap();
        let world = World::set_up(&programs(), &github).unwrap();
        Self { github, world, _runtime: runtime }
    }

    /// With a broker that listens.
    pub(crate) fn started() -> Self {
        let mut bench = Self::new();
        bench.start();
        bench
    }

    pub(crate) fn start(&mut self) {
        self.world.launch(&["run"]).unwrap();
        self.world.listens().unwrap();
    }

    /// Ends the broker in order, and gives its record, which must be sound.
    pub(crate) fn record(&mut self) -> (keyblind_ledger::Report, String) {
        self.world.stop().unwrap();
        let key = String::from_utf8(self.world.ask_broker(&["ledger", "key"]).unwrap()).unwrap();
        let export = String::from_utf8(self.world.ask_broker(&["ledger", "export"]).unwrap()).unwrap();
        let expected = keyblind_ledger::Expected::default();
        let report = keyblind_ledger::verify(export.as_bytes(), &key.trim().parse().unwrap(), &expected).unwrap();
        assert!(report.is_sound(), "{report:?}");
        (report, export)
    }

    /// Waits until no token lives.
    pub(crate) fn all_revoked(&self) {
        eventually("the end of every token", || self.github.tokens().1 == 0);
    }
}

pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "{what} doesn't come");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What reading came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Read {
    Done,
    Stopped,
}

/// The person at the socket.
pub(crate) fn person(world: &World) -> Result<Enemy> {
    let (client, refusal) = Enemy::connect(&world.socket(), b"")?;
    ensure!(refusal.is_none(), "the person isn't let in: {refusal:?}");
    Ok(client)
}

/// The request for the repository's files.
pub(crate) fn to_read() -> Value {
    let repository = json!({"forge": "github", "owner": "acme", "name": "infra"});
    json!({"intent": {"read-repository": {"repository": repository, "revision": "default-branch"}}})
}

pub(crate) fn read(world: &World) -> Result<Read> {
    match person(world)?.document(&to_read())? {
        Back::Answer(answer) if matches!(*answer, Answer::Outcome(Outcome::RepositoryRead { .. })) => Ok(Read::Done),
        Back::Refused(Refusal::Halted) => Ok(Read::Stopped),
        other => bail!("reading comes to {other:?}"),
    }
}

pub(crate) fn propose(world: &World, github: &Github, branch: &str) -> Result<Digest> {
    let after = format!("# {branch}\n");
    let mut request = proposal(github, after.as_bytes());
    request["intent"]["propose-pull-request"]["branch"] = json!(branch);
    match person(world)?.attached(after.as_bytes(), &request)? {
        Back::Answer(answer) => match *answer {
            Answer::Outcome(Outcome::ApprovalWanted { change, .. }) => Ok(change),
            other => bail!("proposing comes to {other:?}"),
        },
        other => bail!("proposing comes to {other:?}"),
    }
}

pub(crate) fn follow(world: &World, digest: Digest) -> Result<ChangeState> {
    match person(world)?.document(&json!({"control": {"follow-change": {"digest": digest}}}))? {
        Back::Answer(answer) => match *answer {
            Answer::Report(Report::Change { state, .. }) => Ok(state),
            other => bail!("following comes to {other:?}"),
        },
        other => bail!("following comes to {other:?}"),
    }
}

/// How a change ends that nobody has to say anything to any more.
pub(crate) fn ends(world: &World, digest: Digest) -> Result<ChangeState> {
    let end = Instant::now() + PATIENCE;
    loop {
        match follow(world, digest)? {
            ChangeState::Waiting | ChangeState::Approved if Instant::now() < end => std::thread::sleep(Duration::from_millis(50)),
            state @ (ChangeState::Waiting | ChangeState::Approved) => bail!("a change is {state:?} and doesn't get on"),
            state => return Ok(state),
        }
    }
}

pub(crate) fn approve(person: &mut Visitor, digest: Digest) -> Result<()> {
    let status = person.decide(&digest.to_string(), "approve")?.status;
    ensure!(status == 303, "the person can't approve ({status})");
    Ok(())
}

/// The changes that wait for people.
pub(crate) fn waiting(person: &mut Visitor) -> Result<Vec<Digest>> {
    let home = person.get("/")?.text;
    let names = home.split("/change/").skip(1).filter_map(|rest| rest.split('"').next());
    let mut digests = names.map(|name| name.parse().ok().context("a link names no change")).collect::<Result<Vec<Digest>>>()?;
    digests.sort_unstable();
    digests.dedup();
    Ok(digests)
}
