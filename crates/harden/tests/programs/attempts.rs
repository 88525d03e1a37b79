//! The modes and the attempts.

mod files;
mod kernel;
mod processes;

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use keyblind_harden::{Limits, Report, broker, inherited, leaf};

/// What became of an attempt: what was got, or the number of the error.
type Attempt = Result<String, i32>;

/// The tree that a leaf may read (or fill).
const TREE: i32 = 3;
/// A descriptor that a leaf was started with by mistake, or on purpose where an attempt says so.
const EXTRA: i32 = 9;

pub(crate) fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let [_, mode, attempt, rest @ ..] = arguments.as_slice() else { panic!("MODE ATTEMPT [ARGUMENT…]") };
    let parent = rustix::process::getppid().unwrap().as_raw_pid().cast_unsigned();
    // A machine with Yama lets only ancestors trace: this permission is what a process that can be traced there would have given.
    let _ = rustix::process::set_ptracer(rustix::process::PTracer::Any);
    if let Some(report) = harden(mode, *attempt == "extra-kept", parent) {
        let missing: Vec<&str> = report.missing().map(|entry| entry.measure.name()).collect();
        println!("missing {}", missing.join(" "));
    }
    match run(attempt, rest, parent) {
        Ok(what) => println!("done {}", what.replace('\n', " ")),
        Err(number) => println!("errno {number}"),
    }
}

fn harden(mode: &str, keeps_extra: bool, parent: u32) -> Option<Report> {
    let limits = Limits { address_space: 512 << 20, processor_seconds: 1, file_size: 0, open_files: 64, processes: None };
    let (open, input, output, errors) = (inherited(TREE), inherited(0).unwrap(), inherited(1).unwrap(), inherited(2).unwrap());
    let extra = if keeps_extra { inherited(EXTRA).ok() } else { None };
    let mut keep = vec![input.as_fd(), output.as_fd(), errors.as_fd()];
    keep.extend(extra.as_ref().map(AsFd::as_fd));
    let tree: Vec<BorrowedFd<'_>> = open.iter().map(AsFd::as_fd).collect();
    let report = match mode {
        "free" => None,
        "leaf" => Some(leaf::enter(leaf::Leaf { parent, keep: &keep, readable: &tree, writable: &[], limits }).unwrap()),
        "unpack" => {
            let limits = Limits { file_size: 1 << 20, ..limits };
            Some(leaf::enter(leaf::Leaf { parent, keep: &keep, readable: &[], writable: &tree, limits }).unwrap())
        }
        "broker" | "broker-of-its-own" => {
            let own = broker::Account::Become { user: 65_534, group: 65_534 };
            let account = if mode == "broker" { broker::Account::Shared } else { own };
            let variables = &["KEPT", "HTTPS_PROXY"][..];
            Some(broker::enter(broker::Broker { account, variables, keep: None, places: None, keyring: false }).unwrap())
        }
        _ => panic!("no mode `{mode}`"),
    };
    // They stay open until the end.
    std::mem::forget((input, output, errors, extra, open));
    report
}

fn run(attempt: &str, rest: &[&str], parent: u32) -> Attempt {
    let number = |index: usize| rest[index].parse::<i64>().unwrap();
    match attempt {
        "nothing" => Ok(String::new()),
        "socket" => kernel::socket(i32::try_from(number(0)).unwrap()),
        "socket-of-a-thread" => std::thread::spawn(|| kernel::socket(libc::AF_INET)).join().unwrap(),
        "extra-kept" => kernel::connect(EXTRA, u16::try_from(number(0)).unwrap()),
        "abstract-socket" => kernel::connect_abstract(rest[0]),
        "call" => kernel::call(rest[0]),
        "code-in-memory" => kernel::code_in_memory(),
        "type-into-terminal" => kernel::type_into_terminal(),
        "dumpable-again" => kernel::dumpable_again(),
        "exec" => processes::exec(),
        "fork-bomb" => processes::fork_bomb(),
        "vfork" => processes::clone_process(libc::SIGCHLD | libc::CLONE_VFORK | libc::CLONE_VM),
        "namespace" => processes::clone_process(libc::SIGCHLD | libc::CLONE_NEWUSER),
        "trace-parent" => processes::trace(parent),
        "trace" => processes::trace(u32::try_from(number(0)).unwrap()),
        "read-memory-of" => processes::read_memory(u32::try_from(number(0)).unwrap(), usize::try_from(number(1)).unwrap()),
        "user" => processes::user(),
        "read-parent-memory" => processes::read_memory(parent, usize::try_from(number(0)).unwrap()),
        "signal-parent" => processes::signal(parent),
        "signal-thread-of-parent" => processes::signal_thread(parent),
        "memory-bomb" => processes::memory_bomb(),
        "reserve" => processes::reserve(),
        "spin" => processes::spin(),
        "threads" => processes::threads(),
        "wait-for-ever" => processes::wait_for_ever(),
        "start-one-that-waits" => processes::start_one_that_waits(rest[0]),
        "environment" => processes::environment(),
        "descriptor" => files::descriptor(EXTRA),
        "read" => files::read(rest[0]),
        "read-at" => files::read_at(TREE, rest[0]),
        "read-memory-file" => files::read_memory_file(rest[0], u64::try_from(number(1)).unwrap()),
        "list" => files::list(rest[0]),
        "write" => files::change(rest[0], rest[1]),
        "write-descriptor" => files::write_descriptor(EXTRA),
        "lock-too-much" => processes::lock_too_much(),
        "secret-place" => processes::secret_place(),
        _ => panic!("no attempt `{attempt}`"),
    }
}

/// What the kernel answered.
fn answer(value: i64) -> Attempt {
    if value < 0 { Err(io::Error::last_os_error().raw_os_error().unwrap_or_default()) } else { Ok(value.to_string()) }
}

fn outcome<T>(result: io::Result<T>) -> Result<T, i32> {
    result.map_err(|error| error.raw_os_error().unwrap_or(-1))
}
