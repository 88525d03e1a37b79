//! Blind processes while they work: stopped again and again, and searched.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::canaries;
use crate::canary::{Canary, Needles};
use crate::github::{Github, TOKEN};
use crate::places::{self, Looked};
use crate::world::World;

/// How long processes work at least between two looks; they work at least as long as they stood still.
const BETWEEN: Duration = Duration::from_millis(20);
/// How often it is seen which there are: those that read hostile text are looked at as soon as they are there, because they don't live long.
const LOOK_OUT: Duration = Duration::from_millis(2);
/// How long a mission may take at most.
const LONGEST: Duration = Duration::from_secs(120);

/// What was seen of the processes of one kind.
#[derive(Debug, Default)]
pub struct Seen {
    /// How often one was stopped and its memory searched.
    pub looks: usize,
    /// How often it was confined by then.
    pub confined: usize,
    /// By place: memory, environment, arguments, descriptors.
    pub places: BTreeMap<&'static str, Looked>,
    /// What a process of this kind could do that it must not.
    pub faults: BTreeSet<String>,
}

/// What was seen while a mission ran, by kind of process.
pub type Watched = BTreeMap<&'static str, Seen>;

/// Watches a process and all that it starts until it ends.
///
/// # Errors
/// If it doesn't end, or can't be waited for.
pub fn follow(
    mut child: Child,
    world: &World,
    github: &Github,
    watched: &mut Watched,
    mut meanwhile: impl FnMut() -> Result<()>,
) -> Result<ExitStatus> {
    let end = Instant::now() + LONGEST;
    let mut known = (0, Needles::of(&canaries(world, github)?)?);
    let broker = world.process().map(|process| process.as_raw_nonzero().get().cast_unsigned());
    let (mut last, mut stood, mut confined) = (Instant::now(), Duration::ZERO, BTreeSet::new());
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if Instant::now() > end {
            child.kill()?;
            bail!("it doesn't end within {} seconds", LONGEST.as_secs());
        }
        let tokens = github.tokens().0;
        if tokens != known.0 {
            known = (tokens, Needles::of(&canaries(world, github)?)?);
        }
        let family = family(child.id());
        // A leaf is looked at until it has been seen confined: before that it has read nothing but its job.
        let is_new = family.iter().any(|(process, kind)| *kind == LEAF && !confined.contains(process));
        if is_new || last.elapsed() >= BETWEEN.max(stood) {
            let begins = Instant::now();
            let stopped: Vec<(u32, &'static str)> = family.into_iter().filter(|(process, _)| stop(*process)).collect();
            for (process, kind) in &stopped {
                if look(*process, kind, &known.1, watched.entry(kind).or_default()) {
                    confined.insert(*process);
                }
            }
            for (process, _) in &stopped {
                signal(*process, Signal::CONT);
            }
            // What it holds is its own business; what anybody finds beside it isn't. It needn't stand still for that.
            if let Some(broker) = broker {
                beside(broker, &known.1, watched.entry(BROKER).or_default());
            }
            (last, stood) = (Instant::now(), begins.elapsed());
            meanwhile()?;
        }
        std::thread::sleep(LOOK_OUT);
    }
}

/// A way of looking into a process.
type Look = fn(u32, &Needles) -> Looked;

/// Looks into the broker's own memory for what is over: tokens that nobody can use any more must not lie there either.
///
/// # Errors
/// If the canaries can't be looked for.
pub fn afterwards(world: &World, github: &Github, watched: &mut Watched) -> Result<()> {
    let Some(broker) = world.process() else { return Ok(()) };
    // What the last answer was made of is freed by then.
    std::thread::sleep(Duration::from_millis(500));
    let tokens: Vec<Canary> = github.canaries()?.into_iter().filter(|canary| canary.name.starts_with(TOKEN)).collect();
    let looked = places::memory(broker.as_raw_nonzero().get().cast_unsigned(), &Needles::of(&tokens)?);
    watched.entry(BROKER).or_default().places.entry("memory, when all was over,").or_default().add(looked);
    Ok(())
}

/// Looks at all of the broker but its memory.
fn beside(broker: u32, needles: &Needles, seen: &mut Seen) {
    let looks: [(&'static str, Look); 3] =
        [("environment", places::environment), ("arguments", places::arguments), ("descriptors", places::descriptors)];
    let before: u64 = seen.places.values().map(|looked| looked.bytes).sum();
    for (place, look) in looks {
        seen.places.entry(place).or_default().add(look(broker, needles));
    }
    let bytes: u64 = seen.places.values().map(|looked| looked.bytes).sum();
    seen.looks += usize::from(bytes > before);
}

/// Looks into a process. Says whether it is a leaf that has confined itself.
fn look(process: u32, kind: &str, needles: &Needles, seen: &mut Seen) -> bool {
    // A process that has ended, or hasn't become what it will be, says nothing.
    if kind_of(process) != Some(kind) {
        return false;
    }
    let looks: [(&'static str, Look); 4] = [
        ("memory", places::memory),
        ("environment", places::environment),
        ("arguments", places::arguments),
        ("descriptors", places::descriptors),
    ];
    for (place, look) in looks {
        let looked = look(process, needles);
        // What only was tried to be looked at isn't a look.
        seen.looks += usize::from(place == "memory" && looked.bytes > 0);
        seen.places.entry(place).or_default().add(looked);
    }
    let Some(status) = confinement(process).filter(|status| kind == LEAF && status.is_confined) else { return false };
    seen.confined += 1;
    match places::sockets(process) {
        Ok(0) => {}
        Ok(_) => drop(seen.faults.insert("a leaf has a socket".to_owned())),
        Err(error) => drop(seen.places.entry("sockets").or_default().not_checked.insert(format!("sockets: {error}"))),
    }
    seen.faults.extend(status.faults);
    true
}

/// The name of the process that credentials are for.
pub const BROKER: &str = "broker";
/// The name of the kind of process that reads hostile text.
pub const LEAF: &str = "leaf";

/// What the kernel says of a process.
struct Confinement {
    is_confined: bool,
    faults: Vec<String>,
}

fn confinement(process: u32) -> Option<Confinement> {
    let text = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim);
    let mut faults = Vec::new();
    for (name, wanted) in [("NoNewPrivs", "1"), ("CapEff", "0000000000000000"), ("CapPrm", "0000000000000000")] {
        if value(name) != Some(wanted) {
            faults.push(format!("of a confined leaf {name} is {}, not {wanted}", value(name).unwrap_or("unknown")));
        }
    }
    Some(Confinement { is_confined: value("Seccomp") == Some("2"), faults })
}

/// A process and all that it started, with their kinds.
fn family(first: u32) -> Vec<(u32, &'static str)> {
    let mut parents: BTreeMap<u32, u32> = BTreeMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(process) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let Ok(text) = fs::read_to_string(entry.path().join("stat")) else { continue };
        // The name may hold anything; what follows its last bracket doesn't.
        let parent = text.rsplit_once(')').and_then(|(_, rest)| rest.split_ascii_whitespace().nth(1)?.parse().ok());
        parents.extend(parent.map(|parent| (process, parent)));
    }
    let mut family = vec![first];
    let mut at = 0;
    while at < family.len() {
        let parent = family[at];
        family.extend(parents.iter().filter(|(_, other)| **other == parent).map(|(process, _)| *process));
        at += 1;
    }
    family.into_iter().filter_map(|process| Some((process, kind_of(process)?))).collect()
}

/// What a process is, by its arguments.
fn kind_of(process: u32) -> Option<&'static str> {
    let text = fs::read(format!("/proc/{process}/cmdline")).ok()?;
    let mut words = text.split(|byte| *byte == 0).map(String::from_utf8_lossy);
    let program = words.next()?;
    let command = words.next().unwrap_or_default();
    match (program.rsplit('/').next()?, &*command) {
        ("keyblind", "leaf") => Some(LEAF),
        ("keyblind", _) => Some("keyblind"),
        ("keyblind-broker", "relay") => Some("relay"),
        _ => None,
    }
}

fn signal(process: u32, signal: Signal) -> bool {
    let process = i32::try_from(process).ok().and_then(Pid::from_raw);
    process.is_some_and(|process| kill_process(process, signal).is_ok())
}

/// Stops a process, and waits until it stands still.
fn stop(process: u32) -> bool {
    if !signal(process, Signal::STOP) {
        return false;
    }
    for _ in 0..200 {
        let state = fs::read_to_string(format!("/proc/{process}/stat")).ok();
        let state = state.as_deref().and_then(|text| text.rsplit_once(')')).and_then(|(_, rest)| rest.trim_start().chars().next());
        match state {
            Some('T' | 't') => return true,
            None | Some('Z' | 'X') => return false,
            Some(_) => std::thread::sleep(Duration::from_micros(100)),
        }
    }
    signal(process, Signal::CONT);
    false
}
