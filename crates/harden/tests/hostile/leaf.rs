//! A leaf that only reads.

use std::io::BufReader;
use std::net::TcpListener;
use std::os::fd::AsFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};

use rustix::process::{PTracer, Signal, set_ptracer};

use crate::support::{Became, Ground, Hostile, aloud, is_enforced, wait_for};

const FORBIDDEN: Became = Became::Killed(Signal::SYS.as_raw());
const NOT_PERMITTED: Became = Became::Refused(libc::EPERM);
const ACCESS_DENIED: Became = Became::Refused(libc::EACCES);

/// The same attempt works without hardening.
fn works_when_free(hostile: &Hostile<'_>, attempt: &[&str]) -> bool {
    let free = hostile.run("free", attempt).became;
    let works = matches!(free, Became::Done(_));
    if !works {
        aloud(&format!("NO CONTROL HERE: {attempt:?} doesn't work on this machine without hardening either ({free:?})"));
    }
    works
}

#[test]
fn everything_that_a_scan_needs_works() {
    let ground = Ground::new();
    let tree = ground.tree();
    let hostile = Hostile::on(&tree);
    let absolute = tree.join("main.tf").display().to_string();
    for (attempt, expected) in [
        (vec!["threads"], "14"),
        (vec!["read", absolute.as_str()], "main"),
        (vec!["read-at", "modules/a.tf"], "module"),
        (vec!["list", tree.to_str().unwrap()], "3"),
    ] {
        for mode in ["free", "leaf"] {
            let run = hostile.run(mode, &attempt);
            assert_eq!(run.became, Became::Done(expected.into()), "{mode} {attempt:?}: {run:?}");
        }
    }
}

#[test]
fn the_report_names_only_what_this_kernel_lacks() {
    let ground = Ground::new();
    let run = Hostile::on(&ground.tree()).run("leaf", &["nothing"]);
    for missing in &run.missing {
        aloud(&format!("NOT ENFORCED HERE: `{missing}`"));
        assert!(["files", "network", "scope"].contains(&missing.as_str()), "every kernel that we support enforces `{missing}`");
    }
    assert_eq!(run.became, Became::Done(String::new()));
}

#[test]
fn no_socket_of_any_family() {
    let ground = Ground::new();
    let tree = ground.tree();
    let hostile = Hostile::on(&tree);
    let families = [
        ("unix", libc::AF_UNIX),
        ("inet", libc::AF_INET),
        ("inet6", libc::AF_INET6),
        ("netlink", libc::AF_NETLINK),
        ("packet", libc::AF_PACKET),
        ("vsock", libc::AF_VSOCK),
        ("alg", libc::AF_ALG),
    ];
    let mut controls = 0;
    for (name, family) in families {
        let family = family.to_string();
        controls += u32::from(works_when_free(&hostile, &["socket", &family]));
        assert_eq!(hostile.run("leaf", &["socket", &family]).became, FORBIDDEN, "{name}");
    }
    assert!(controls >= 2, "sockets of at least two families can be made on any machine");
    assert!(works_when_free(&hostile, &["socket-of-a-thread"]));
    assert_eq!(hostile.run("leaf", &["socket-of-a-thread"]).became, FORBIDDEN);
}

#[test]
fn no_connection_over_a_socket_that_was_left_open() {
    let ground = Ground::new();
    let tree = ground.tree();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let made = || {
        let number = unsafe { libc::socket(libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0) };
        assert!(number >= 0);
        unsafe { <std::os::fd::OwnedFd as std::os::fd::FromRawFd>::from_raw_fd(number) }
    };
    let (first, second) = (made(), made());
    let free = Hostile { extra: Some(first.as_fd()), ..Hostile::on(&tree) }.run("free", &["extra-kept", &port]);
    assert_eq!(free.became, Became::Done("connected".into()));
    let leaf = Hostile { extra: Some(second.as_fd()), ..Hostile::on(&tree) }.run("leaf", &["extra-kept", &port]);
    assert_eq!(leaf.became, FORBIDDEN);
}

#[test]
fn no_abstract_socket() {
    let ground = Ground::new();
    let tree = ground.tree();
    let name = format!("keyblind-leaf-{}", std::process::id());
    let _listener = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    assert_eq!(Hostile::on(&tree).run("free", &["abstract-socket", &name]).became, Became::Done("connected".into()));
    assert_eq!(Hostile::on(&tree).run("leaf", &["abstract-socket", &name]).became, FORBIDDEN);
}

#[test]
fn no_other_program_and_no_other_process() {
    let ground = Ground::new();
    let tree = ground.tree();
    let hostile = Hostile::on(&tree);
    let free = hostile.run("free", &["exec"]);
    assert_eq!((free.became, free.said.trim()), (Became::Silent, "about to exec"), "another program took its place");
    assert_eq!(hostile.run("leaf", &["exec"]).became, FORBIDDEN);
    assert!(works_when_free(&hostile, &["fork-bomb"]));
    let expected = if cfg!(target_arch = "x86_64") { FORBIDDEN } else { NOT_PERMITTED };
    assert_eq!(hostile.run("leaf", &["fork-bomb"]).became, expected);
    assert!(works_when_free(&hostile, &["vfork"]));
    assert_eq!(hostile.run("leaf", &["vfork"]).became, NOT_PERMITTED);
    works_when_free(&hostile, &["namespace"]);
    assert_eq!(hostile.run("leaf", &["namespace"]).became, NOT_PERMITTED);
}

#[test]
fn the_parent_is_out_of_reach() {
    // With Yama only who is allowed to may trace: the control needs that.
    let _ = set_ptracer(PTracer::Any);
    let ground = Ground::new();
    let tree = ground.tree();
    let hostile = Hostile::on(&tree);
    let canary = *b"CANARY-0";
    let place = (std::hint::black_box(&canary).as_ptr() as usize).to_string();
    for attempt in [vec!["trace-parent"], vec!["read-parent-memory", place.as_str()], vec!["signal-parent"]] {
        let free = hostile.run("free", &attempt).became;
        assert!(matches!(&free, Became::Done(got) if attempt.len() == 1 || got == "CANARY-0"), "{attempt:?}: {free:?}");
        assert_eq!(hostile.run("leaf", &attempt).became, FORBIDDEN, "{attempt:?}");
    }
    assert!(works_when_free(&hostile, &["signal-thread-of-parent"]));
    assert_eq!(hostile.run("leaf", &["signal-thread-of-parent"]).became, NOT_PERMITTED);
}

#[test]
fn nothing_outside_the_tree_can_be_read() {
    let _ = set_ptracer(PTracer::Any);
    let ground = Ground::new();
    let tree = ground.tree();
    let hostile = Hostile::on(&tree);
    let own = std::process::id();
    let open = std::fs::File::open(ground.secret()).unwrap();
    let number = std::os::fd::AsRawFd::as_raw_fd(&open);
    let paths = [
        ground.secret(),
        format!("{}/../secret", tree.display()),
        format!("{}/modules/../../secret", tree.display()),
        format!("{}/link.tf", tree.display()),
        format!("/proc/self/root{}", ground.secret()),
        format!("/proc/{own}/root{}", ground.secret()),
        format!("/proc/{own}/fd/{number}"),
        format!("/proc/self/cwd/../../../../../../../..{}", ground.secret()),
    ];
    for path in &paths {
        assert_eq!(hostile.run("free", &["read", path]).became, Became::Done("SECRET".into()), "{path}");
        let leaf = hostile.run("leaf", &["read", path]);
        if is_enforced(&leaf, "files", path) {
            assert_eq!(leaf.became, ACCESS_DENIED, "{path}");
        }
    }
    for path in ["../secret", "modules/../../secret", "link.tf"] {
        assert_eq!(hostile.run("free", &["read-at", path]).became, Became::Done("SECRET".into()), "{path}");
        let leaf = hostile.run("leaf", &["read-at", path]);
        if is_enforced(&leaf, "files", path) {
            assert_eq!(leaf.became, ACCESS_DENIED, "{path}");
        }
    }
    for path in ["/etc/passwd".to_owned(), format!("/proc/{own}/environ"), format!("/proc/{own}/maps"), "/proc/self/environ".to_owned()] {
        assert!(works_when_free(&hostile, &["read", &path]));
        let leaf = hostile.run("leaf", &["read", &path]);
        if is_enforced(&leaf, "files", &path) {
            assert_eq!(leaf.became, ACCESS_DENIED, "{path}");
        }
    }
    for path in ["/", "/etc", "/proc", ground.top.to_str().unwrap()] {
        assert!(works_when_free(&hostile, &["list", path]));
        let leaf = hostile.run("leaf", &["list", path]);
        if is_enforced(&leaf, "files", path) {
            assert_eq!(leaf.became, ACCESS_DENIED, "{path}");
        }
    }
    let canary = *b"CANARY-0";
    let place = (std::hint::black_box(&canary).as_ptr() as usize).to_string();
    let attempt = ["read-memory-file", &format!("/proc/{own}/mem"), &place];
    assert_eq!(hostile.run("free", &attempt).became, Became::Done("CANARY-0".into()));
    let leaf = hostile.run("leaf", &attempt);
    if is_enforced(&leaf, "files", "/proc/…/mem") {
        assert_eq!(leaf.became, ACCESS_DENIED);
    }
}

#[test]
fn nothing_anywhere_can_be_written() {
    for how in ["create", "append", "truncate", "remove", "rename", "link", "symlink", "directory", "pipe", "mode", "attribute", "unnamed"]
    {
        for inside in [true, false] {
            let place = |ground: &Ground| {
                let name = if inside { "tree/main.tf" } else { "secret" };
                let path = if how == "unnamed" { ground.top.join(name).parent().unwrap().to_owned() } else { ground.top.join(name) };
                path.display().to_string()
            };
            let ground = Ground::new();
            works_when_free(&Hostile::on(&ground.tree()), &["write", how, &place(&ground)]);
            let ground = Ground::new();
            let leaf = Hostile::on(&ground.tree()).run("leaf", &["write", how, &place(&ground)]);
            // The filter comes first; Landlock would say "access denied".
            assert_eq!(leaf.became, NOT_PERMITTED, "{how} at {}", place(&ground));
            assert_eq!(std::fs::read_to_string(ground.tree().join("main.tf")).unwrap(), "main ");
            assert_eq!(std::fs::read_dir(ground.tree()).unwrap().count(), 3, "{how}");
        }
    }
    // What is open for writing already takes nothing more.
    let ground = Ground::new();
    let tree = ground.tree();
    let file = || std::fs::File::create(ground.top.join("report")).unwrap();
    let (first, second) = (file(), file());
    let free = Hostile { extra: Some(first.as_fd()), ..Hostile::on(&tree) }.run("free", &["write-descriptor"]);
    assert_eq!(free.became, Became::Done("1 MiB".into()));
    let leaf = Hostile { extra: Some(second.as_fd()), ..Hostile::on(&tree) }.run("leaf", &["write-descriptor"]);
    assert_eq!(leaf.became, Became::Refused(libc::EBADF), "it was closed");
}

#[test]
fn no_more_than_its_share() {
    let ground = Ground::new();
    let tree = ground.tree();
    let hostile = Hostile::on(&tree);
    for attempt in ["memory-bomb", "reserve"] {
        assert!(works_when_free(&hostile, &[attempt]));
        assert_eq!(hostile.run("leaf", &[attempt]).became, Became::Refused(libc::ENOMEM), "{attempt}");
    }
    assert!(works_when_free(&hostile, &["spin"]));
    let killed = hostile.run("leaf", &["spin"]).became;
    assert!(matches!(killed, Became::Killed(signal) if [libc::SIGKILL, libc::SIGXCPU].contains(&signal)), "{killed:?}");
}

#[test]
fn no_call_that_it_has_no_use_for() {
    let ground = Ground::new();
    let tree = ground.tree();
    let hostile = Hostile::on(&tree);
    let deadly = [
        "io_uring_setup",
        "add_key",
        "keyctl",
        "request_key",
        "bpf",
        "perf_event_open",
        "userfaultfd",
        "memfd_create",
        "unshare",
        "setns",
        "mount",
        "chroot",
        "pidfd_open",
        "kcmp",
        "name_to_handle_at",
        "init_module",
        "setuid",
        "socketpair",
    ];
    for call in deadly {
        // Some of them need root, or arguments that would do something: a refusal isn't a death, so that the test can fail all the same.
        let free = hostile.run("free", &["call", call]).became;
        assert!(matches!(free, Became::Done(_) | Became::Refused(_)), "{call}: {free:?}");
        assert_eq!(hostile.run("leaf", &["call", call]).became, FORBIDDEN, "{call}");
    }
    for call in ["inotify_init1", "timerfd_create", "umask", "shmget", "mq_open"] {
        works_when_free(&hostile, &["call", call]);
        assert_eq!(hostile.run("leaf", &["call", call]).became, NOT_PERMITTED, "{call}");
    }
    assert_eq!(hostile.run("free", &["call", "a call of the future"]).became, Became::Refused(libc::ENOSYS));
    assert_eq!(hostile.run("leaf", &["call", "a call of the future"]).became, NOT_PERMITTED);
    if cfg!(target_arch = "x86_64") {
        assert_eq!(hostile.run("leaf", &["call", "the other table of calls"]).became, NOT_PERMITTED);
    }
    assert!(works_when_free(&hostile, &["code-in-memory"]));
    assert_eq!(hostile.run("leaf", &["code-in-memory"]).became, NOT_PERMITTED);
    assert_eq!(hostile.run("free", &["type-into-terminal"]).became, Became::Refused(libc::ENOTTY), "the kernel was asked");
    assert_eq!(hostile.run("leaf", &["type-into-terminal"]).became, NOT_PERMITTED);
    assert!(works_when_free(&hostile, &["dumpable-again"]));
    assert_eq!(hostile.run("leaf", &["dumpable-again"]).became, NOT_PERMITTED);
}

#[test]
fn nothing_is_inherited() {
    let ground = Ground::new();
    let tree = ground.tree();
    let secret = || std::fs::File::open(ground.secret()).unwrap();
    let (first, second) = (secret(), secret());
    let free = Hostile { extra: Some(first.as_fd()), ..Hostile::on(&tree) }.run("free", &["descriptor"]);
    assert_eq!(free.became, Became::Done("SECRET".into()));
    let leaf = Hostile { extra: Some(second.as_fd()), ..Hostile::on(&tree) }.run("leaf", &["descriptor"]);
    assert_eq!(leaf.became, Became::Refused(libc::EBADF));

    let environment = [("CANARY", "in-the-environment"), ("HTTPS_PROXY", "http://proxy.example")];
    let hostile = Hostile { environment: &environment, ..Hostile::on(&tree) };
    let Became::Done(free) = hostile.run("free", &["environment"]).became else { panic!() };
    assert_eq!(free.matches("in-the-environment").count(), 2, "{free}");
    assert_eq!(hostile.run("leaf", &["environment"]).became, Became::Done("own[] shown[]".into()));
}

#[test]
fn it_dies_with_its_parent() {
    let ground = Ground::new();
    let tree = ground.tree();
    for (mode, lives) in [("free", true), ("leaf", false)] {
        let (mut parent, _input, output) = Hostile::on(&tree).begin("free", &["start-one-that-waits", mode]);
        let mut output = BufReader::new(output);
        let waiting: i32 = wait_for("ready ", &mut output).parse().unwrap();
        parent.wait().unwrap();
        let is_there = || std::fs::read_to_string(format!("/proc/{waiting}/stat")).is_ok_and(|stat| !stat.contains(") Z "));
        let is_gone = (0..40).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(25));
            !is_there()
        });
        assert_eq!(is_gone, !lives, "{mode}");
        if lives {
            rustix::process::kill_process(rustix::process::Pid::from_raw(waiting).unwrap(), Signal::KILL).unwrap();
        }
    }
}

#[test]
fn it_is_sealed_as_seen_from_outside() {
    let ground = Ground::new();
    let tree = ground.tree();
    for (mode, is_sealed) in [("free", false), ("leaf", true)] {
        let (mut child, _input, output) = Hostile::on(&tree).begin(mode, &["wait-for-ever"]);
        let mut output = BufReader::new(output);
        wait_for("ready ", &mut output);
        let read = |name: &str| std::fs::read_to_string(format!("/proc/{}/{name}", child.id())).unwrap();
        let status = read("status");
        let is = |line: &str| status.lines().any(|found| found == line);
        assert_eq!(is("NoNewPrivs:\t1"), is_sealed, "{mode}");
        assert_eq!(is("Seccomp:\t2"), is_sealed, "{mode}");
        if is_sealed {
            assert!(is("CapEff:\t0000000000000000") && is("CapPrm:\t0000000000000000"));
            let limits = read("limits");
            let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
            assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"]);
        }
        child.kill().unwrap();
    }
}
