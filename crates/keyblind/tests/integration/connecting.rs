//! `keyblind scan github:…` and `keyblind connect`, with a relay of the test's own: what the program does with what a broker hands over, and that
//! it believes nothing of it.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use keyblind_intent::{
    Answer, Bulk, ConnectionState, Control, Count, Digest, Foreign, Frame, HEADER_BYTES, Kind, LeftOut, LeftOutReason, Missing, Outcome,
    Provider, Refusal, Report, Repository, Request, RequestId, UnixMillis, encode,
};
use keyblind_testkit::Program;

const PUBLIC: &str = "resource \"aws_db_instance\" \"a\" {\n  engine              = \"mysql\"\n  publicly_accessible = true\n}\n";

/// The program, with a relay beside it.
struct Place {
    folder: tempfile::TempDir,
}

/// An entry of an archive, as POSIX has it.
fn entry(path: &str, kind: u8, contents: &str) -> Vec<u8> {
    let mut block = vec![0; 512];
    block[..path.len()].copy_from_slice(path.as_bytes());
    block[100..108].copy_from_slice(b"0000644\0");
    block[124..136].copy_from_slice(format!("{:011o}\0", contents.len()).as_bytes());
    block[148..156].fill(b' ');
    block[156] = kind;
    block[257..265].copy_from_slice(b"ustar\x0000");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block.extend_from_slice(contents.as_bytes());
    block.resize(block.len().next_multiple_of(512), 0);
    block
}

fn read(archive: Bulk) -> Answer {
    let left_out = vec![LeftOut { reason: LeftOutReason::Link, count: Count::from(2), example: Some(Foreign::new("evil\u{1b}[2J")) }];
    Answer::Outcome(Outcome::RepositoryRead {
        repository: Repository { forge: "github".parse().unwrap(), owner: "octo-org".parse().unwrap(), name: "shop".parse().unwrap() },
        commit: "0123456789abcdef0123456789abcdef01234567".parse().unwrap(),
        branch: None,
        archive,
        files: Count::from(1),
        left_out,
    })
}

/// A frame without the id, which is the request's.
fn split(kind: Kind, payload: Vec<u8>) -> (Vec<u8>, Vec<u8>) {
    let bytes = Frame::new(kind, RequestId::from_bytes([0; 16]), payload).unwrap().to_bytes();
    (bytes[..8].to_vec(), bytes[HEADER_BYTES..].to_vec())
}

impl Place {
    /// A relay that greets with `greeting`, puts `bulk` into the file and answers with a frame of `kind`.
    fn new(greeting: &[u8], bulk: &[u8], kind: Kind, payload: Vec<u8>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
        let (head, payload) = split(kind, payload);
        write("greeting", greeting);
        write("bulk", bulk);
        write("head", &head);
        write("payload", &payload);
        // It reads one frame, whose length is in its header, and answers under its id.
        let script = "#!/bin/sh\ncd \"$(dirname \"$0\")\" || exit 9\ncat greeting\ndd bs=1 count=24 of=request 2>/dev/null\n\
                      set -- $(od -An -tu1 -j4 -N4 request)\ndd bs=1 count=$((($2 << 16) + ($3 << 8) + $4)) of=rest 2>/dev/null\n\
                      cat bulk >&3\n{ cat head; tail -c 16 request; cat payload; }\ncat > /dev/null\n";
        write("keyblind-broker", script.as_bytes());
        let executable = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(folder.path().join("keyblind-broker"), executable).unwrap();
        let own = folder.path().join("keyblind");
        // Beside each other, as they are installed. Another file system can't have a second name for it.
        if std::fs::hard_link(env!("CARGO_BIN_EXE_keyblind"), &own).is_err() {
            std::fs::copy(env!("CARGO_BIN_EXE_keyblind"), &own).unwrap();
        }
        Self { folder }
    }

    fn answering(bulk: &[u8], answer: &Answer) -> Self {
        Self::new(&welcome(), bulk, Kind::Answer, encode(answer).unwrap())
    }

    fn run(&self, arguments: &[&str]) -> keyblind_testkit::Outcome {
        let elsewhere = tempfile::tempdir().unwrap();
        Program::new(self.folder.path().join("keyblind")).within(elsewhere.path()).with(arguments.iter().copied()).run()
    }

    fn scan(&self) -> keyblind_testkit::Outcome {
        self.run(&["scan", "github:octo-org/shop", "--color", "never"])
    }
}

fn welcome() -> Vec<u8> {
    Frame::new(Kind::Welcome, RequestId::from_bytes([0; 16]), Vec::new()).unwrap().to_bytes()
}

fn archive(entries: &[Vec<u8>]) -> Vec<u8> {
    [entries.concat(), vec![0; 1024]].concat()
}

#[test]
fn a_repository_that_the_broker_reads_is_judged() {
    let tar = archive(&[entry("envs/main.tf", b'0', PUBLIC)]);
    let outcome = Place::answering(&tar, &read(Bulk::of(&tar))).scan();
    assert_eq!(outcome.code, Some(1), "{}\n{}", outcome.output, outcome.errors);
    assert!(outcome.output.contains("envs/main.tf:3"), "{}", outcome.output);
    assert!(outcome.errors.contains("note: octo-org/shop at 0123456789abcdef0123456789abcdef01234567: 1 files"), "{}", outcome.errors);
    assert!(outcome.errors.contains("note: 2 left out (symbolic links, such as evil\\u{1b}[2J)"), "{}", outcome.errors);
}

#[test]
fn the_broker_is_asked_for_exactly_that() {
    let tar = archive(&[entry("main.tf", b'0', PUBLIC)]);
    let place = Place::answering(&tar, &read(Bulk::of(&tar)));
    place.run(&["scan", "github:octo-org/shop@pull/7"]);
    let asked = std::fs::read(place.folder.path().join("rest")).unwrap();
    let request: Request = keyblind_intent::decode(&asked).unwrap();
    let expected = r#"{"intent":{"read-repository":{"repository":{"forge":"github","owner":"octo-org","name":"shop"},"revision":{"pull-request":7}}}}"#;
    assert_eq!(request, keyblind_intent::decode(expected.as_bytes()).unwrap());
}

#[test]
fn other_bytes_than_announced_are_not_judged() {
    let tar = archive(&[entry("main.tf", b'0', PUBLIC)]);
    let outcome = Place::answering(&tar, &read(Bulk::of(b"something else"))).scan();
    assert_eq!(outcome.code, Some(4));
    assert!(outcome.errors.contains("the broker handed over other bytes than it announced"), "{}", outcome.errors);
}

#[test]
fn an_archive_that_leaves_its_folder_is_refused() {
    for hostile in [entry("../../escaped.tf", b'0', PUBLIC), entry("/tmp/keyblind-escaped.tf", b'0', PUBLIC), entry("device.tf", b'3', "")]
    {
        let tar = archive(&[hostile]);
        let place = Place::answering(&tar, &read(Bulk::of(&tar)));
        let outcome = place.scan();
        assert!(!matches!(outcome.code, Some(0 | 1)), "{outcome:?}");
        assert!(outcome.errors.contains("the archive holds"), "{}", outcome.errors);
        assert!(!Path::new("/tmp/keyblind-escaped.tf").exists());
    }
}

#[test]
fn what_the_broker_lacks_is_said() {
    for (answer, expected) in [
        (Outcome::NotConfigured { missing: Missing::Provider(Provider::Github) }, "not configured: the broker has no GitHub set up"),
        (
            Outcome::NotReady { provider: Provider::Github, state: ConnectionState::NotConnected },
            "GitHub isn't connected: `keyblind connect github`",
        ),
    ] {
        let outcome = Place::answering(b"", &Answer::Outcome(answer)).scan();
        assert_eq!(outcome.code, Some(2));
        assert!(outcome.errors.contains(expected), "{}", outcome.errors);
    }
    let refused = Frame::new(Kind::Refused, RequestId::from_bytes([0; 16]), encode(&Refusal::UnknownPeer).unwrap()).unwrap().to_bytes();
    let outcome = Place::new(&refused, b"", Kind::Answer, Vec::new()).scan();
    assert!(outcome.errors.contains("the broker doesn't know this user"), "{}", outcome.errors);
    let halted = Place::new(&welcome(), b"", Kind::Refused, encode(&Refusal::Halted).unwrap()).scan();
    assert!(halted.errors.contains("the broker is stopped: `keyblind-broker arm`"), "{}", halted.errors);
    let silent = Place::new(b"", b"", Kind::Answer, Vec::new());
    std::fs::write(silent.folder.path().join("keyblind-broker"), "#!/bin/sh\nexit 1\n").unwrap();
    assert!(silent.scan().errors.contains("no broker answers"));
}

#[test]
fn a_relay_that_speaks_something_else_is_told_apart() {
    for garbage in [&b"HTTP/1.1 200 OK\r\n"[..], b"KB\x02", b"KB\x01\x05\xff\xff\xff\xff"] {
        let outcome = Place::new(garbage, b"", Kind::Answer, Vec::new()).scan();
        assert_eq!(outcome.code, Some(4), "{outcome:?}");
    }
    let outcome = Place::new(&welcome(), b"", Kind::Answer, b"{}".to_vec()).scan();
    assert!(outcome.errors.contains("the document was refused"), "{}", outcome.errors);
}

#[test]
fn an_account_is_connected_on_the_brokers_own_pages() {
    let code = Digest::of(b"connect").short_code();
    let report =
        Report::ConnectAt { page: "http://approve.localhost:7443/connect/github".parse().unwrap(), code, expires: UnixMillis::new(1) };
    let place = Place::answering(b"", &Answer::Report(report));
    let outcome = place.run(&["connect", "github"]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.errors);
    assert!(outcome.output.contains("open     http://approve.localhost:7443/connect/github"), "{}", outcome.output);
    assert!(outcome.output.contains(&format!("compare  {code}")));
    let asked = std::fs::read(place.folder.path().join("rest")).unwrap();
    let request: Request = keyblind_intent::decode(&asked).unwrap();
    assert_eq!(request, Request::Control(Control::Connect { provider: Provider::Github }));
}

#[test]
fn without_a_broker_it_is_said_what_is_missing() {
    let place = Place::answering(b"", &Answer::Outcome(Outcome::Notified));
    std::fs::remove_file(place.folder.path().join("keyblind-broker")).unwrap();
    let outcome = place.scan();
    assert_eq!(outcome.code, Some(2));
    assert!(outcome.errors.contains("`keyblind-broker` is neither beside this program nor on the PATH"), "{}", outcome.errors);
}
