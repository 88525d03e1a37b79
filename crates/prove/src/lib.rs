//! Lets a stranger test the claim that no credential ever exists outside of the broker.
//!
//! A canary stands in every slot of a provider's credential, and the sealed store's key is one. Whole missions run with the real programs against a GitHub of ours on loopback; the blind
//! processes are stopped again and again meanwhile, and their memory, environment, arguments and open files are searched for each canary
//! in every form in which it could have leaked; so are all files, logs and bytes that passed between the two sides. Adversaries take
//! the place of model, agent, runner and web. Each way of searching first has to find a canary that was left for it.
//!
//! Nothing here links the broker: what is tested is what anybody can start.

pub mod adversary;
pub mod canary;
pub mod controls;
pub mod door;
pub mod github;
pub mod places;
pub mod relay;
pub mod report;
pub mod watch;
pub mod world;

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use data_encoding::BASE32_NOPAD;
use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};

use crate::canary::{Canary, Needles};
use crate::github::{Github, REPOSITORY};
use crate::places::Looked;
use crate::report::Proof;
use crate::watch::Watched;
use crate::world::World;

/// Random bytes.
#[must_use]
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // Without randomness there is no canary, and nothing to be proven.
    aws_lc_rs::rand::fill(&mut bytes).unwrap_or_else(|_| panic!("the system gives no random bytes"));
    bytes
}

/// A random text of letters and digits, of at least so many bytes of randomness.
#[must_use]
pub fn random(bytes: usize) -> String {
    let mut random = vec![0; bytes];
    aws_lc_rs::rand::fill(&mut random).unwrap_or_else(|_| panic!("the system gives no random bytes"));
    BASE32_NOPAD.encode(&random)
}

/// Proves, with the programs in that folder.
///
/// # Errors
/// If the proof can't be made at all: a program is missing, or a mission doesn't do what it must.
pub fn prove(programs: &Path) -> Result<Proof> {
    // What comes to grief may leave a core file, as far as the machine allows: the broker must not.
    let limit = getrlimit(Resource::Core);
    setrlimit(Resource::Core, Rlimit { current: limit.maximum, ..limit })?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let github = runtime.block_on(Github::start())?;
    let mut world = World::set_up(programs, &github)?;
    let folder = world.path("controls");
    fs::create_dir(&folder)?;
    let controls = controls::run(&folder)?;
    fs::remove_dir_all(&folder)?;
    let users = world.users();
    let tokens = world.start()?;
    let mut person = world.log_in()?;
    let mut watched = Watched::new();

    scan(&world, &github, &mut watched)?;
    change(&world, &github, &mut watched, &mut person)?;
    let attempts = adversary::run(&world.socket(), &tokens, &github, &mut person, &world.visitor())?;
    wait_for_revocations(&github);
    watch::afterwards(&world, &github, &mut watched)?;

    // While it runs: its log isn't in its database yet.
    let mut files = searched(&world, &github)?;
    // One that breaks down, where whoever starts it would have its memory kept.
    let left_core = world.end_by(Signal::ABORT)?.core_dumped();
    files.add(searched(&world, &github)?);
    world.start()?;
    world.stop()?;
    files.add(searched(&world, &github)?);
    let ledger = ledger(&world)?;
    let (given, living) = github.tokens();
    Ok(Proof { users, controls, watched, files, attempts, ledger, given, living, left_core, canaries: canaries(&world, &github)?.len() })
}

/// A repository is read and judged.
fn scan(world: &World, github: &Github, watched: &mut Watched) -> Result<()> {
    let target = format!("github:{REPOSITORY}");
    let child = world.keyblind("scan", &["scan", &target, "--color", "never"])?;
    let status = watch::follow(child, world, github, watched, || Ok(()))?;
    ensure!(status.code() == Some(1), "the scan doesn't find the fault that is there ({status}): {}", world.said("scan"));
    Ok(())
}

/// A fix is proposed, approved by the person, and opened as a pull request.
fn change(world: &World, github: &Github, watched: &mut Watched, person: &mut door::Visitor) -> Result<()> {
    let target = format!("github:{REPOSITORY}");
    let child = world.keyblind("change", &["fix", &target, "--pr", "--all", "--color", "never"])?;
    let mut is_decided = false;
    let status = watch::follow(child, world, github, watched, || {
        if is_decided {
            return Ok(());
        }
        let home = person.get("/")?;
        if let Some(digest) = home.text.split("/change/").nth(1).and_then(|rest| rest.split('"').next()) {
            let page = person.decide(digest, "approve")?;
            ensure!(page.status == 303, "the person can't approve ({})", page.status);
            is_decided = true;
        }
        Ok(())
    })?;
    ensure!(status.success() && github.pulls() == 1, "no pull request was opened ({status}): {}", world.said("change"));
    Ok(())
}

/// Waits for the broker to end every token, as it does after each use; whether it does, the report says.
fn wait_for_revocations(github: &Github) {
    for _ in 0..200 {
        if github.tokens().1 == 0 {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// All that must be nowhere.
///
/// # Errors
/// If one of them can't be read.
pub fn canaries(world: &World, github: &Github) -> Result<Vec<Canary>> {
    let mut canaries = github.canaries()?;
    let text = fs::read_to_string(world.vault_key()).context("the sealed store has no key")?;
    let key = text.trim_end().rsplit(' ').next().unwrap_or_default();
    let bytes = data_encoding::BASE64.decode(key.as_bytes()).context("the sealed store's key can't be read")?;
    canaries.push(Canary { name: "the sealed store's key".to_owned(), bytes });
    canaries.push(Canary { name: "a variable that the broker was started with".to_owned(), bytes: world.variable().as_bytes().to_vec() });
    ensure!(canaries.iter().all(|canary| canary.bytes.len() >= 16), "a canary is too short to be looked for");
    Ok(canaries)
}

/// All files of the world but the key's own and the programs: databases with their logs, what programs said, what passed between them.
fn searched(world: &World, github: &Github) -> Result<Looked> {
    let needles = Needles::of(&canaries(world, github)?)?;
    Ok(places::files(world.folder(), &[&world.vault_key(), &world.path("programs")], &needles))
}

/// What the record says of itself.
fn ledger(world: &World) -> Result<keyblind_ledger::Report> {
    let key = String::from_utf8(world.ask_broker(&["ledger", "key"])?)?;
    let export = world.ask_broker(&["ledger", "export"])?;
    let key = key.trim().parse().map_err(|error| anyhow::anyhow!("the ledger's key is none: {error}"))?;
    Ok(keyblind_ledger::verify(&export[..], &key, &keyblind_ledger::Expected::default())?)
}
