//! Threat 30: a forged message of a provider. Nothing receives such messages: what the broker listens on is listed, and what it answers.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};

use aws_lc_rs::hmac;
use data_encoding::HEXLOWER;
use rustix::process::Pid;

use crate::bench::{Bench, approve, propose};

/// What a process listens on, by the kernel's word: addresses of this machine's networks, and paths.
fn listens_on(process: Pid) -> (BTreeSet<String>, BTreeSet<String>) {
    let process = process.as_raw_nonzero();
    let descriptors = std::fs::read_dir(format!("/proc/{process}/fd")).unwrap().flatten();
    let own: BTreeSet<String> = descriptors
        .filter_map(|descriptor| std::fs::read_link(descriptor.path()).ok())
        .filter_map(|target| Some(target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()))
        .collect();
    let mut network = BTreeSet::new();
    // Address, state and inode; a socket for datagrams listens as soon as it is bound.
    for (table, listening) in [("tcp", Some("0A")), ("tcp6", Some("0A")), ("udp", None), ("udp6", None), ("raw", None), ("raw6", None)] {
        let text = std::fs::read_to_string(format!("/proc/{process}/net/{table}")).unwrap_or_default();
        for line in text.lines().skip(1) {
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            if own.contains(words[9]) && listening.is_none_or(|state| words[3] == state) {
                network.insert(format!("{table} {}", words[1]));
            }
        }
    }
    let text = std::fs::read_to_string(format!("/proc/{process}/net/unix")).unwrap();
    let paths = text.lines().skip(1).filter_map(|line| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        // `__SO_ACCEPTCON`.
        let listens = u32::from_str_radix(words[3], 16).unwrap() & 0x1_0000 != 0;
        (listens && own.contains(words[6])).then(|| (*words.get(7).unwrap_or(&"without a name")).to_owned())
    });
    (network, paths.collect())
}

/// What somebody outside gets for bytes.
fn send(port: u16, head: &str, body: &str) -> u16 {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    stream.set_read_timeout(Some(std::time::Duration::from_secs(20))).unwrap();
    write!(stream, "{head}Content-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_forged_message_of_a_provider_starts_nothing() {
    let mut bench = Bench::started();
    let port = bench.world.port();
    let process = bench.world.process().unwrap();
    // Descriptors of a hardened process are root's to see.
    if rustix::process::geteuid().is_root() {
        let (network, paths) = listens_on(process);
        assert_eq!(network, BTreeSet::from([format!("tcp 0100007F:{port:04X}")]), "the pages, on loopback");
        assert_eq!(paths, BTreeSet::from([bench.world.socket().to_str().unwrap().to_owned()]), "the socket");
        // The way of looking: a listener of this test's own is seen.
        let own = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = format!("tcp 0100007F:{:04X}", own.local_addr().unwrap().port());
        assert!(listens_on(rustix::process::getpid()).0.contains(&address));
    }

    let mut person = bench.world.log_in().unwrap();
    let waiting = propose(&bench.world, &bench.github, "keyblind/waits").unwrap();
    bench.all_revoked();
    let before = (bench.github.requests(), bench.github.tokens(), bench.github.writes());
    let body =
        format!("{{\"action\":\"opened\",\"installation\":{{\"id\":1}},\"number\":7,\"digest\":\"{waiting}\",\"answer\":\"approve\"}}");
    let signature = HEXLOWER.encode(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, b"guessed"), body.as_bytes()).as_ref());
    let places = [
        "/",
        "/webhook",
        "/webhooks",
        "/webhooks/github",
        "/github",
        "/github/webhook",
        "/api/github/webhooks",
        "/api/webhook",
        "/hooks",
        "/events",
        "/callback",
        "/login/callback",
        "/connect/callback",
        "/ciba",
        "/notify",
        "/slack/events",
        "/login",
        "/login/link",
        "/stop",
        "/arm",
    ];
    let decide = format!("/change/{waiting}/decide");
    let mut attempts = 0;
    for path in places.iter().copied().chain([decide.as_str()]) {
        for (host, origin) in [("approve.localhost", ""), ("approve.localhost", "Origin: https://github.com\r\n"), ("hooks.example", "")] {
            let head = format!(
                "POST {path} HTTP/1.1\r\nHost: {host}:{port}\r\n{origin}User-Agent: GitHub-Hookshot/1234567\r\nContent-Type: application/json\r\n\
                 X-GitHub-Event: pull_request\r\nX-GitHub-Delivery: 72d3162e-cc78-11e3-81ab-4c9367dc0958\r\nX-Hub-Signature-256: sha256={signature}\r\n"
            );
            let status = send(port, &head, &body);
            assert!((400..500).contains(&status), "{path} for {host}, {origin:?}: {status}");
            attempts += 1;
        }
    }
    assert_eq!((bench.github.requests(), bench.github.tokens(), bench.github.writes()), before, "nothing was asked of the provider");
    assert_eq!(crate::bench::follow(&bench.world, waiting).unwrap(), keyblind_intent::ChangeState::Waiting);
    // The other way round: the person's own form is taken.
    approve(&mut person, waiting).unwrap();
    assert_eq!(crate::bench::ends(&bench.world, waiting).unwrap(), keyblind_intent::ChangeState::Applied);
    bench.all_revoked();
    let (report, _) = bench.record();
    assert_eq!((report.writes, attempts), (1, 63));
}
