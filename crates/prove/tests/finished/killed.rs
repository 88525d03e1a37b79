//! The finished broker is killed at random moments of its work, as nothing can catch it, and started anew.
//!
//! A moment is a time, or a request that the provider gets: right before its effect or right after it. Some brokers are killed again
//! while they take up what the first one left. Afterwards every token is dead or will be by the time that the record says, nothing was
//! done twice, all that was asked for can be brought to its end, and the record verifies.
//!
//! `cargo xtask soak --only kill-points` runs the same with 200 points; `KEYBLIND_KILL_POINTS`, `KEYBLIND_SEED` and `KEYBLIND_KILL_POINT`
//! (one alone) choose them. What runs beside each other inside of the broker isn't chosen by the seed.

mod account;
mod mission;

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use keyblind_prove::github::{Fault, Github, Interference};
use keyblind_prove::world::World;
use rustix::process::{Pid, Signal, kill_process};

use self::account::Account;
use self::mission::Mission;
use crate::{number, programs};

/// How many points are worked on at once: most of the time is spent waiting for the pace that GitHub asks for.
const AT_ONCE: usize = 4;
/// How long a mission takes, about: the time of a kill falls in here.
const MISSION: Duration = Duration::from_secs(9);
/// How many requests the provider gets of a mission, about.
const REQUESTS: u64 = 56;

/// Numbers that follow from a seed (`SplitMix64`).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// When a broker is killed.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// So long after its mission began.
    After(Duration),
    /// At this request to the provider, before its effect or after it.
    At { request: usize, is_done: bool },
}

/// One broker's fate.
#[derive(Clone, Copy, Debug)]
struct Point {
    moment: Moment,
    /// How long after its new start it is killed once more.
    again: Option<Duration>,
}

impl Point {
    fn new(seed: u64, number: u64) -> Self {
        let mut random = Random(seed.wrapping_mul(1_000_003).wrapping_add(number));
        let moment = match random.below(2) {
            0 => Moment::After(Duration::from_micros(random.below(MISSION.as_micros() as u64))),
            _ => Moment::At { request: 1 + random.below(REQUESTS) as usize, is_done: random.below(2) == 0 },
        };
        let again = (random.below(4) == 0).then(|| Duration::from_micros(random.below(400_000)));
        Self { moment, again }
    }
}

/// Who kills, once.
#[derive(Clone)]
struct Killer {
    broker: Pid,
    is_done: Arc<AtomicBool>,
}

impl Killer {
    fn kill(&self) {
        if !self.is_done.swap(true, Ordering::SeqCst) {
            // It is this process's child and isn't waited for yet: nobody else has its number.
            kill_process(self.broker, Signal::KILL).unwrap();
        }
    }

    /// Kills at that moment.
    fn lie_in_wait(&self, moment: Moment, github: &Github) {
        let killer = self.clone();
        match moment {
            Moment::After(time) => drop(std::thread::spawn(move || {
                std::thread::sleep(time);
                killer.kill();
            })),
            Moment::At { request, is_done } => {
                let interference: Interference = Arc::new(move |seen| {
                    if seen.number != request || seen.is_done != is_done {
                        return None;
                    }
                    killer.kill();
                    Some(Fault::Silence)
                });
                github.interfere(Some(interference));
            }
        }
    }
}

fn run(programs: &Path, runtime: &tokio::runtime::Runtime, point: Point) -> Result<Account> {
    let github = runtime.block_on(Github::start())?;
    let mut world = World::set_up(programs, &github)?;
    world.launch(&["run"])?;
    world.listens()?;
    let killer = Killer { broker: world.process().context("a broker runs")?, is_done: Arc::default() };
    let mut mission = Mission::default();
    killer.lie_in_wait(point.moment, &github);
    let result = mission.run(&world, &github);
    let is_killed = killer.is_done.load(Ordering::SeqCst);
    // One whose moment hasn't come is killed when it has nothing to do.
    killer.kill();
    world.end_by(Signal::KILL)?;
    if let Err(error) = result {
        ensure!(is_killed, "the mission fails without a kill: {error:#}");
    }
    github.interfere(None);
    let at_death = (github.tokens(), github.requests());
    if let Some(time) = point.again {
        world.launch(&["run"])?;
        std::thread::sleep(time);
        world.end_by(Signal::KILL)?;
    }
    world.launch(&["run"])?;
    world.listens()?;
    mission.bring_to_an_end(&world, &github)?;
    account::wait_for_revocations(&github);
    world.stop()?;
    let account = account::take(&world, &github, programs, at_death)?;
    mission.judge(&github)?;
    Ok(account)
}

#[test]
fn killed_at_random_points_nothing_is_lost_and_nothing_done_twice() {
    let (points, seed) = (number("KEYBLIND_KILL_POINTS", 6), number("KEYBLIND_SEED", 1));
    let only = std::env::var("KEYBLIND_KILL_POINT").ok().map(|text| text.parse::<u64>().unwrap());
    let (programs, runtime) = (programs(), tokio::runtime::Runtime::new().unwrap());
    let next = AtomicU64::new(only.unwrap_or(0));
    let end = only.map_or(points, |only| only + 1);
    let (failed, sums) = (Mutex::new(Vec::new()), Mutex::new(Account::default()));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::SeqCst);
                    if number >= end {
                        return;
                    }
                    let point = Point::new(seed, number);
                    match run(&programs, &runtime, point) {
                        Ok(account) => sums.lock().unwrap().add(&account),
                        Err(error) => {
                            println!("seed {seed}, point {number} ({point:?}): {error:#}");
                            failed.lock().unwrap().push(number);
                        }
                    }
                }
            });
        }
    });
    let (failed, sums) = (failed.into_inner().unwrap(), sums.into_inner().unwrap());
    // Shown with `--nocapture`.
    println!("seed {seed}, {} points: {sums}", end - only.unwrap_or(0));
    assert!(failed.is_empty(), "seed {seed}, failing points: {failed:?} (one alone: KEYBLIND_SEED={seed} KEYBLIND_KILL_POINT=NUMBER)");
}
