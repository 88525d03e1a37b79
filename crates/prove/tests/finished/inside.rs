//! Threats 27 and 28: the broker's own memory after whole missions; its arguments, environment, open files and children beside them; and
//! core files. Only root may look.

use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use keyblind_prove::canaries;
use keyblind_prove::canary::{Form, Needles};
use keyblind_prove::github::TOKEN;
use keyblind_prove::places::{self, Looked};
use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};

use crate::bench::{Bench, Read, approve, ends, propose, read};

#[test]
fn nothing_of_a_token_is_left_in_the_broker_or_beside_it() {
    if !rustix::process::geteuid().is_root() {
        println!("not checked: only root may look into the broker");
        return;
    }
    let bench = Bench::started();
    let process = bench.world.process().unwrap().as_raw_nonzero().get().cast_unsigned();
    let is_over = AtomicBool::new(false);
    let beside = std::thread::scope(|scope| {
        let looking = scope.spawn(|| {
            let mut beside = (0, Looked::default());
            while !is_over.load(Ordering::SeqCst) {
                let needles = Needles::of(&canaries(&bench.world, &bench.github).unwrap()).unwrap();
                for look in [places::environment, places::arguments, places::descriptors] {
                    beside.1.add(look(process, &needles));
                }
                for thread in std::fs::read_dir(format!("/proc/{process}/task")).unwrap().flatten() {
                    let children = std::fs::read_to_string(thread.path().join("children")).unwrap_or_default();
                    assert_eq!(children, "", "it has started somebody");
                }
                beside.0 += 1;
                std::thread::sleep(Duration::from_millis(20));
            }
            beside
        });
        let mut person = bench.world.log_in().unwrap();
        for branch in ["keyblind/one", "keyblind/two"] {
            assert_eq!(read(&bench.world).unwrap(), Read::Done);
            let change = propose(&bench.world, &bench.github, branch).unwrap();
            approve(&mut person, change).unwrap();
            assert_eq!(ends(&bench.world, change).unwrap(), keyblind_intent::ChangeState::Applied);
        }
        is_over.store(true, Ordering::SeqCst);
        looking.join().unwrap()
    });
    bench.all_revoked();
    assert!(beside.0 > 50 && beside.1.bytes > 0, "{beside:?}");
    assert!(beside.1.hits.is_empty() && beside.1.not_checked.is_empty(), "{beside:?}");

    // What answers are made of is freed by now.
    std::thread::sleep(Duration::from_millis(500));
    let all = canaries(&bench.world, &bench.github).unwrap();
    let mut memory = places::memory(process, &Needles::of(&all).unwrap());
    println!("{} looks beside {} credentials; {} MiB of the broker's memory afterwards", beside.0, all.len(), memory.bytes >> 20);
    // A kernel without memory that nobody can look into shows root the keys themselves, as the broker holds them; copies of their texts it
    // shows nowhere.
    memory.hits.retain(|hit| hit.canary.starts_with(TOKEN) || hit.form != Form::Raw);
    assert!(memory.bytes > 1 << 20 && memory.hits.is_empty(), "{memory:?}");
}

#[test]
fn a_broker_that_breaks_down_leaves_no_core_file() {
    // As much as whoever starts it allows; the broker takes it away from itself.
    let limit = getrlimit(Resource::Core);
    setrlimit(Resource::Core, Rlimit { current: limit.maximum, ..limit }).unwrap();
    let mut bench = Bench::started();
    assert_eq!(read(&bench.world).unwrap(), Read::Done);
    let folder = bench.world.path("broker");
    let of_the_broker = bench.world.end_by(Signal::ABORT).unwrap();
    assert_eq!((of_the_broker.signal(), of_the_broker.core_dumped()), (Some(6), false));
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0, "nothing lies where it worked");
    // The other way round: a program that isn't hardened, in the same folder.
    let other = Command::new("sh").args(["-c", "kill -ABRT $$"]).current_dir(&folder).status().unwrap();
    if !other.core_dumped() {
        println!("not checked: this machine makes no core files");
    }
    bench.start();
    bench.all_revoked();
    bench.record();
}
