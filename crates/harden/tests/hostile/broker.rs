//! A broker, and another process of the same user.
//!
//! Root may read any process: when the tests run as root, both sides run as a user without rights.

use std::fs::File;
use std::io::{BufReader, Read};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::support::{Became, Ground, Hostile, is_enforced, wait_for};

/// A user that no file of this machine belongs to.
const NOBODY: u32 = 65_534;

/// The hostile program where any user can run it, with a tree.
struct Stage {
    _ground: Ground,
    program: PathBuf,
}

impl Stage {
    fn new() -> Self {
        let ground = Ground::new();
        let program = ground.top.join("hostile");
        std::fs::copy(env!("CARGO_BIN_EXE_keyblind-hostile"), &program).unwrap();
        for path in [&ground.top, &program] {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        Self { _ground: ground, program }
    }

    fn command(&self, mode: &str, attempt: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .arg(mode)
            .args(attempt)
            .env_clear()
            .env("KEPT", "kept")
            .env("HTTPS_PROXY", "http://proxy.example")
            .env("CANARY", "CANARY-2");
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        if rustix::process::geteuid().is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    }

    fn run(&self, mode: &str, attempt: &[&str]) -> String {
        let output = patiently(|| self.command(mode, attempt).stdin(Stdio::null()).stderr(Stdio::inherit()).output());
        String::from_utf8(output.stdout).unwrap().lines().last().unwrap_or_default().to_owned()
    }
}

/// Starts a program that was just written: for a moment another test's new process may hold it open for writing.
fn patiently<T>(mut start: impl FnMut() -> std::io::Result<T>) -> T {
    for _ in 0..500 {
        match start() {
            Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => {
                std::thread::sleep(std::time::Duration::from_millis(10))
            }
            result => return result.unwrap(),
        }
    }
    panic!("the program stays open for writing");
}

#[test]
fn a_process_of_the_same_user_reads_nothing_of_it() {
    let stage = Stage::new();
    for (mode, is_open) in [("free", true), ("broker", false)] {
        let mut broker = patiently(|| stage.command(mode, &["secret-place"]).spawn());
        let mut said = BufReader::new(File::from(std::os::fd::OwnedFd::from(broker.stdout.take().unwrap())));
        let place = wait_for("place ", &mut said);
        let [pid, heap, locked] = place.split(' ').collect::<Vec<_>>()[..] else { panic!("{place}") };
        let memory = format!("/proc/{pid}/mem");
        let attempts = [
            ("its memory, by its file", vec!["read-memory-file", memory.as_str(), heap], "CANARY-1"),
            ("its memory, by the call", vec!["read-memory-of", pid, heap], "CANARY-1"),
            ("tracing", vec!["trace", pid], "traced"),
        ];
        for (what, attempt, expected) in attempts {
            let got = stage.run("free", &attempt);
            if is_open {
                assert_eq!(got, format!("done {expected}"), "{what}: the control");
            } else {
                assert!(got == "errno 1" || got == "errno 13", "{what}: {got}");
            }
        }
        for file in ["environ", "maps", "auxv"] {
            let got = stage.run("free", &["read", &format!("/proc/{pid}/{file}")]);
            assert_eq!(got.starts_with("done "), is_open, "{file}: {got}");
            assert_eq!(got.contains("CANARY-2"), is_open && file == "environ", "{file}");
        }
        let got = stage.run("free", &["list", &format!("/proc/{pid}/fd")]);
        assert_eq!(got.starts_with("done "), is_open, "descriptors: {got}");
        // What lies in secret memory isn't even in the way of who may read the process.
        let got = stage.run("free", &["read-memory-of", pid, locked]);
        broker.stdin.take();
        let mut rest = String::new();
        said.read_to_string(&mut rest).unwrap();
        let is_secret = rest.contains("Secret");
        if !is_secret {
            crate::support::aloud("NOT ENFORCED HERE: this kernel has no secret memory: who may trace a process reads what it has locked");
        }
        assert_eq!(got.starts_with("errno "), is_secret || !is_open, "locked memory in mode {mode}: {got}");
        broker.wait().unwrap();
    }
}

#[test]
fn it_starts_nobody() {
    let ground = Ground::new();
    let tree = ground.tree();
    let hostile = Hostile::on(&tree);
    assert_eq!(hostile.run("free", &["exec"]).became, Became::Silent, "another program took its place");
    for attempt in ["exec", "fork-bomb", "vfork", "namespace", "trace-parent", "dumpable-again"] {
        assert_eq!(hostile.run("broker", &[attempt]).became, Became::Refused(libc::EPERM), "{attempt}");
    }
    for call in ["io_uring_setup", "bpf", "perf_event_open", "userfaultfd", "unshare", "mount", "add_key", "keyctl", "pidfd_open"] {
        assert_eq!(hostile.run("broker", &["call", call]).became, Became::Refused(libc::EPERM), "{call}");
    }
    if cfg!(target_arch = "x86_64") {
        let other = ["call", "the other table of calls"];
        assert_ne!(hostile.run("free", &other).became, Became::Refused(libc::EPERM), "the control");
        assert_eq!(hostile.run("broker", &other).became, Became::Refused(libc::EPERM));
    }
    assert_eq!(hostile.run("broker", &["threads"]).became, Became::Done("14".into()));
    assert_eq!(hostile.run("broker", &["socket", &libc::AF_INET.to_string()]).became, Became::Done("a socket".into()));
}

#[test]
fn it_sees_only_the_variables_that_it_may() {
    let ground = Ground::new();
    let tree = ground.tree();
    let environment = [("KEPT", "kept"), ("CANARY", "CANARY-2"), ("HTTPS_PROXY", "http://proxy.example")];
    let hostile = Hostile { environment: &environment, ..Hostile::on(&tree) };
    let Became::Done(free) = hostile.run("free", &["environment"]).became else { panic!() };
    assert_eq!((free.matches("CANARY-2").count(), free.matches("proxy.example").count()), (2, 2), "{free}");
    let Became::Done(broker) = hostile.run("broker", &["environment"]).became else { panic!() };
    assert_eq!((broker.matches("CANARY-2").count(), broker.matches("proxy.example").count()), (0, 0), "{broker}");
    assert!(broker.contains("own[KEPT=kept]"), "{broker}");
}

#[test]
fn it_reaches_no_process_outside() {
    let ground = Ground::new();
    let tree = ground.tree();
    let name = format!("keyblind-broker-{}", std::process::id());
    let _listener = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    let hostile = Hostile::on(&tree);
    for attempt in [vec!["abstract-socket", name.as_str()], vec!["signal-parent"], vec!["signal-thread-of-parent"]] {
        assert!(matches!(hostile.run("free", &attempt).became, Became::Done(_)), "{attempt:?}: the control");
        let broker = hostile.run("broker", &attempt);
        if is_enforced(&broker, "scope", "signals to, and abstract sockets of, processes outside") {
            assert_eq!(broker.became, Became::Refused(libc::EPERM), "{attempt:?}");
        }
    }
}

#[test]
fn memory_that_can_t_be_locked_is_refused_in_words() {
    let ground = Ground::new();
    let run = Hostile::on(&ground.tree()).run("broker", &["lock-too-much"]);
    let Became::Done(said) = &run.became else { panic!("{run:?}") };
    assert!(said.contains("1048576 bytes can't be locked") && said.contains("65536 bytes"), "{said}");
}

#[test]
fn its_shared_account_is_named() {
    let ground = Ground::new();
    let run = Hostile::on(&ground.tree()).run("broker", &["nothing"]);
    assert!(run.missing.iter().any(|missing| missing == "own-account"), "{run:?}");
}

#[test]
fn it_becomes_a_user_of_its_own_for_good() {
    let ground = Ground::new();
    let run = Hostile::on(&ground.tree()).run("broker-of-its-own", &["user"]);
    if rustix::process::geteuid().is_root() {
        assert_eq!(run.became, Became::Done(format!("{NOBODY} {NOBODY} groups[] root-again[false]")), "{run:?}");
        assert!(!run.missing.iter().any(|missing| missing == "own-account"));
    } else {
        crate::support::aloud("NOT SHOWN HERE: only root can start a broker under a user of its own; that it is refused is shown");
        assert_eq!(run.became, Became::Silent);
    }
}
