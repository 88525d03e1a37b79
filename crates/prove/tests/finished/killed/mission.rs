//! What the broker is busy with when it is killed, and what is asked of the next one.

use anyhow::{Result, bail, ensure};
use keyblind_intent::{ChangeState, Digest};
use keyblind_prove::github::Github;
use keyblind_prove::world::World;

use crate::bench::{Read, approve, ends, follow, propose, read, waiting};

/// The change that must be made in the end, and the one that a stop voids.
const BRANCHES: [&str; 2] = ["keyblind/first", "keyblind/second"];
/// How often the first change is asked for anew, when nobody knows what came of it.
const TRIES: usize = 4;

/// What is known of it from outside.
#[derive(Default)]
pub(crate) struct Mission {
    /// The first change, as far as it was told.
    first: Option<Digest>,
    /// Whether it was said to be made.
    is_first_applied: bool,
    /// Whether a stop was asked for, and whether it was said to have happened.
    stop: (bool, bool),
    is_arm_asked: bool,
}

impl Mission {
    /// Reads, has a change made, has another one waiting, stops everything, takes up work, and reads again.
    pub(crate) fn run(&mut self, world: &World, github: &Github) -> Result<()> {
        let mut person = world.log_in()?;
        ensure!(read(world)? == Read::Done, "reading is refused");
        let first = propose(world, github, BRANCHES[0])?;
        self.first = Some(first);
        approve(&mut person, first)?;
        let state = ends(world, first)?;
        ensure!(state == ChangeState::Applied, "the first change is {state:?}");
        self.is_first_applied = true;
        propose(world, github, BRANCHES[1])?;
        self.stop.0 = true;
        world.ask_broker(&["kill"])?;
        self.stop.1 = true;
        ensure!(read(world)? == Read::Stopped, "something is read after a stop");
        self.is_arm_asked = true;
        world.ask_broker(&["arm"])?;
        ensure!(read(world)? == Read::Done, "reading is refused after work was taken up");
        Ok(())
    }

    /// Asks the next broker for all that is missing.
    pub(crate) fn bring_to_an_end(&mut self, world: &World, github: &Github) -> Result<()> {
        match read(world)? {
            Read::Stopped => ensure!(self.stop.0, "it is stopped, and nobody asked for that"),
            Read::Done => ensure!(!self.stop.1 || self.is_arm_asked, "a stop that was said to have happened is forgotten"),
        }
        if self.stop.0 {
            // It may be armed already.
            let _ = world.ask_broker(&["arm"]);
            ensure!(read(world)? == Read::Done, "reading is refused after work was taken up");
        }
        if let Some(first) = self.first.filter(|_| self.is_first_applied) {
            let state = follow(world, first)?;
            ensure!(state == ChangeState::Applied, "what was said to be made is {state:?} now");
        }
        let mut person = world.log_in()?;
        for _ in 0..TRIES {
            if let Some(first) = self.first.filter(|_| !self.is_first_applied)
                && follow(world, first)? != ChangeState::Waiting
            {
                self.is_first_applied = ends(world, first)? == ChangeState::Applied;
            }
            // What waits is brought to its end as well, also if the answer that named it was lost.
            for waiting in waiting(&mut person)? {
                approve(&mut person, waiting)?;
                let state = ends(world, waiting)?;
                self.is_first_applied |= self.first == Some(waiting) && state == ChangeState::Applied;
            }
            if self.is_first_applied {
                return Ok(());
            }
            self.first = Some(propose(world, github, BRANCHES[0])?);
        }
        bail!("the first change isn't made after {TRIES} tries")
    }

    /// Nothing was done twice.
    pub(crate) fn judge(&self, github: &Github) -> Result<()> {
        let opened = github.proposed();
        for (branch, most) in BRANCHES.iter().zip([1..=1, 0..=1]) {
            let times = opened.iter().filter(|name| name == branch).count();
            ensure!(most.contains(&times), "a pull request of {branch} was opened {times} times");
        }
        ensure!(opened.len() <= BRANCHES.len(), "there are other pull requests: {opened:?}");
        Ok(())
    }
}
