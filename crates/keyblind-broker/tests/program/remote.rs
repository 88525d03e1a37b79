//! Clients on other machines: each is known by its certificate or turned away, and none costs more than its share.

use std::ffi::OsStr;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::net::TcpStream;
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use keyblind_broker::socket::{Certificates, Client, ClientError, Reached};
use keyblind_intent::{Answer, Bulk, Decoder, Digest, Frame, Kind, Missing, Outcome, Provider, Refusal, Request, RequestId, decode};
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};

use crate::relaying::Relay;
use crate::support::{Place, Running, text};

/// Certificates of everybody, in files.
struct Papers {
    folder: tempfile::TempDir,
}

impl Papers {
    fn new() -> Self {
        let papers = Self { folder: tempfile::tempdir().unwrap() };
        let authority = papers.authority("authority");
        papers.issue("broker", &authority, |params| params.subject_alt_names = names(&["localhost"]));
        papers.issue("runner", &authority, |params| params.subject_alt_names = names(&["runner-1.agents.example"]));
        papers.issue("auditor", &authority, |params| {
            params.subject_alt_names = vec![SanType::URI("spiffe://agents.example/auditor".try_into().unwrap())];
        });
        papers.issue("stranger", &authority, |params| params.subject_alt_names = names(&["runner-2.agents.example"]));
        papers.issue("wildcard", &authority, |params| params.subject_alt_names = names(&["*.agents.example"]));
        papers.issue("revoked", &authority, |params| params.subject_alt_names = names(&["runner-1.agents.example"]));
        papers.issue("several", &authority, |params| {
            params.subject_alt_names = names(&["runner-1.agents.example"]);
            params.subject_alt_names.push(SanType::URI("spiffe://agents.example/auditor".try_into().unwrap()));
        });
        papers.issue("expired", &authority, |params| {
            params.subject_alt_names = names(&["runner-1.agents.example"]);
            params.not_before = rcgen::date_time_ymd(2020, 1, 1);
            params.not_after = rcgen::date_time_ymd(2021, 1, 1);
        });
        papers.issue("server-only", &authority, |params| {
            params.subject_alt_names = names(&["runner-1.agents.example"]);
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        });
        let other = papers.authority("other-authority");
        papers.issue("other", &other, |params| params.subject_alt_names = names(&["runner-1.agents.example"]));
        papers
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::write(self.path(name), text).unwrap();
        std::fs::set_permissions(self.path(name), std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn authority(&self, name: &str) -> Issuer<'static, KeyPair> {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        self.write(&format!("{name}.pem"), &params.self_signed(&key).unwrap().pem());
        Issuer::new(params, key)
    }

    fn issue(&self, name: &str, issuer: &Issuer<'static, KeyPair>, change: impl FnOnce(&mut CertificateParams)) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        change(&mut params);
        self.write(&format!("{name}.pem"), &params.signed_by(&key, issuer).unwrap().pem());
        self.write(&format!("{name}.key"), &key.serialize_pem());
    }

    fn certificates(&self, name: &str, authority: &str) -> Certificates {
        let [certificate, key] = ["pem", "key"].map(|kind| self.path(&format!("{name}.{kind}")));
        Certificates::read(&certificate, &key, &self.path(&format!("{authority}.pem"))).unwrap()
    }

    /// The digest of a certificate, as `openssl x509 -fingerprint` counts it.
    fn digest(&self, name: &str) -> Digest {
        Digest::of(&CertificateDer::from_pem_file(self.path(&format!("{name}.pem"))).unwrap())
    }
}

fn names(names: &[&str]) -> Vec<SanType> {
    names.iter().map(|name| SanType::DnsName((*name).try_into().unwrap())).collect()
}

struct World {
    papers: Papers,
    place: Place,
}

const RUNNER: &str = "[[peer]]\ncertificate = \"runner-1.agents.example\"\ntenant = \"octo\"\nsubject = \"runner-1\"\nrole = \"runner\"\n";
const AUDITOR: &str =
    "[[peer]]\ncertificate = \"spiffe://agents.example/auditor\"\ntenant = \"octo\"\nsubject = \"local:audit\"\nrole = \"operator\"\n";

impl World {
    fn new() -> Self {
        let (papers, mut place) = (Papers::new(), Place::new());
        place.more = format!("{AUDITOR}{RUNNER}{}", Self::tls(&papers));
        Self { papers, place }
    }

    fn tls(papers: &Papers) -> String {
        format!(
            "[socket.tls]\nlisten = \"127.0.0.1:0\"\ncertificate = {:?}\nkey = {:?}\nclients = {:?}\nrevoked = [\"{}\"]\n",
            papers.path("broker.pem"),
            papers.path("broker.key"),
            papers.path("authority.pem"),
            papers.digest("revoked"),
        )
    }

    fn start(&self) -> (Running, u16) {
        let broker = self.place.start();
        let (_, rest) = broker.said.split_once("clients on other machines: at 127.0.0.1:").expect("it says where");
        let port = rest.lines().next().unwrap().parse().unwrap();
        (broker, port)
    }

    fn connect(&self, port: u16, name: &str) -> Result<Client, ClientError> {
        Reached::new(&format!("localhost:{port}"), self.papers.certificates(name, "authority")).unwrap().connect(b"")
    }

    /// The configuration of a machine that has no broker.
    fn elsewhere(&self, port: u16, name: &str) -> PathBuf {
        let path = self.papers.path(&format!("{name}.toml"));
        let [certificate, key] = ["pem", "key"].map(|kind| self.papers.path(&format!("{name}.{kind}")));
        let authority = self.papers.path("authority.pem");
        std::fs::write(
            &path,
            format!(
                "state = {:?}\n[remote]\naddress = \"localhost:{port}\"\ncertificate = {certificate:?}\nkey = {key:?}\nauthority = {authority:?}\n",
                self.papers.path("state"),
            ),
        )
        .unwrap();
        path
    }

    /// TLS as a client speaks it who means harm: bytes go in as they are.
    fn raw(&self, port: u16, name: Option<&str>) -> rustls::StreamOwned<rustls::ClientConnection, TcpStream> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.papers.path("authority.pem")).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let builder = builder.with_root_certificates(roots);
        let config = match name {
            None => builder.with_no_client_auth(),
            Some(name) => {
                let chain = vec![CertificateDer::from_pem_file(self.papers.path(&format!("{name}.pem"))).unwrap()];
                let key = PrivateKeyDer::from_pem_file(self.papers.path(&format!("{name}.key"))).unwrap();
                builder.with_client_auth_cert(chain, key).unwrap()
            }
        };
        let connection = rustls::ClientConnection::new(Arc::new(config), ServerName::try_from("localhost").unwrap()).unwrap();
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        rustls::StreamOwned::new(connection, stream)
    }
}

fn list() -> Request {
    decode(br#"{"intent":{"list-repositories":{"forge":"github"}}}"#).unwrap()
}

fn upload(bulk: Bulk) -> Vec<u8> {
    let Bulk { digest, bytes } = bulk;
    format!(
        r#"{{"intent":{{"upload-sarif":{{"repository":{{"forge":"github","owner":"o","name":"n"}},"commit":"0123456789abcdef0123456789abcdef01234567","revision":"default-branch","sarif":{{"digest":"{digest}","bytes":{bytes}}}}}}}}}"#
    )
    .into_bytes()
}

fn not_configured() -> Outcome {
    Outcome::NotConfigured { missing: Missing::Provider(Provider::Github) }
}

fn works(client: &mut Client) {
    assert_eq!(client.ask(&list(), None).unwrap().0, Answer::Outcome(not_configured()));
}

fn frame(kind: Kind, id: u8, payload: &[u8]) -> Vec<u8> {
    Frame::new(kind, RequestId::from_bytes([id; 16]), payload.to_vec()).unwrap().to_bytes()
}

#[test]
fn a_client_on_another_machine_is_one_like_all_others() {
    let world = World::new();
    let (broker, port) = world.start();
    // The relay, as `keyblind` starts it, with bulk bytes of many pieces.
    let bytes = vec![b'{'; 300_000];
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&bytes).unwrap();
    let config = world.elsewhere(port, "runner");
    let way = [OsStr::new("--config"), config.as_os_str(), OsStr::new("relay"), OsStr::new("--attached"), OsStr::new("5")];
    let mut relay = Relay::with(&world.place, &way, &[(file.as_fd(), 5)]);
    assert_eq!(relay.receive().unwrap().0, Kind::Welcome);
    relay.send(Kind::Request, keyblind_intent::encode(&list()).unwrap());
    assert_eq!(relay.outcome(), not_configured());
    relay.send_as(2, Kind::Bulk, 300_000_u64.to_be_bytes().to_vec());
    relay.send_as(2, Kind::Request, upload(Bulk::of(&bytes)));
    assert_eq!(relay.outcome(), not_configured());
    // Other bytes than announced are known by their digest.
    file.seek(SeekFrom::Start(7)).unwrap();
    file.write_all(b"x").unwrap();
    relay.send_as(3, Kind::Bulk, 300_000_u64.to_be_bytes().to_vec());
    relay.send_as(3, Kind::Request, upload(Bulk::of(&bytes)));
    let (kind, payload) = relay.receive().unwrap();
    assert_eq!((kind, decode::<Refusal>(&payload).unwrap()), (Kind::Refused, Refusal::BadBulk));
    // It is what the configuration says of its name: a runner, who connects nothing.
    relay.send_as(4, Kind::Request, br#"{"control":{"connect":{"provider":"github"}}}"#.to_vec());
    let (kind, payload) = relay.receive().unwrap();
    assert_eq!((kind, decode::<Refusal>(&payload).unwrap()), (Kind::Refused, Refusal::NotAllowed));
    relay.end();
    // Somebody who checks the ledger has no other way to the machine, and needs none.
    let auditor = world.elsewhere(port, "auditor");
    let auditing = |arguments: &[&str]| {
        let mut command = std::process::Command::new(crate::support::PROGRAM);
        command.arg("--config").arg(&auditor).args(arguments).env_clear().env("HOME", world.place.folder.path()).output().unwrap()
    };
    let key = auditing(&["ledger", "key"]);
    assert!(key.status.success(), "{}", text(&key.stderr));
    let export = auditing(&["ledger", "export"]);
    assert!(export.status.success(), "{}", text(&export.stderr));
    let key = text(&key.stdout).trim().parse().unwrap();
    let report = keyblind_ledger::verify(&export.stdout[..], &key, &keyblind_ledger::Expected::default()).unwrap();
    assert!(report.is_sound() && report.entries > 0, "{report:?}");
    assert!(!world.papers.path("state").exists(), "nothing of a broker is made on a machine that only asks");
    // A stop from elsewhere.
    let stopped = auditing(&["kill"]);
    assert!(text(&stopped.stdout).starts_with("stopped (stop 1)"), "{}", text(&stopped.stderr));
    let mut client = world.connect(port, "runner").unwrap();
    assert!(matches!(
        client.ask(&list(), None),
        Err(ClientError::Refused(Refusal::Halted)) | Ok((Answer::Outcome(Outcome::Refused(_)), _))
    ));
    assert_eq!(broker.terminate().0, Some(0));
}

#[test]
fn nobody_else_is_let_in() {
    let mut world = World::new();
    let (broker, port) = world.start();
    works(&mut world.connect(port, "runner").unwrap());
    for name in ["stranger", "wildcard", "several", "revoked"] {
        let refused = world.connect(port, name).err();
        assert!(matches!(refused, Some(ClientError::Refused(Refusal::UnknownPeer))), "{name}: {refused:?}");
    }
    // The other authority calls itself as ours does, and is known by its signature.
    for (name, expected) in [("expired", "Expired"), ("other", "DecryptError"), ("server-only", "")] {
        let refused = world.connect(port, name).err();
        assert!(matches!(&refused, Some(ClientError::Cut(why)) if why.contains(expected)), "{name}: {refused:?}");
    }
    // Without a certificate.
    let mut anonymous = world.raw(port, None);
    let mut said = Vec::new();
    let ended = anonymous.write_all(&frame(Kind::Hello, 0, b"")).and_then(|()| anonymous.read_to_end(&mut said));
    assert!(ended.is_err() && said.is_empty(), "{said:?}");
    // Without TLS.
    let mut plain = TcpStream::connect(("127.0.0.1", port)).unwrap();
    plain.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    plain.write_all(&frame(Kind::Hello, 0, b"")).unwrap();
    let _ = plain.read_to_end(&mut said);
    assert!(!said.windows(2).any(|bytes| bytes == b"KB"), "{said:?}");
    // The client believes nobody else either: another authority, another name.
    let distrusting = Reached::new(&format!("localhost:{port}"), world.papers.certificates("runner", "other-authority")).unwrap();
    assert!(matches!(distrusting.connect(b"").err(), Some(ClientError::Unreachable { .. })));
    let elsewhere = Reached::new(&format!("127.0.0.1:{port}"), world.papers.certificates("runner", "authority")).unwrap();
    assert!(matches!(elsewhere.connect(b"").err(), Some(ClientError::Unreachable { .. })));
    works(&mut world.connect(port, "runner").unwrap());
    broker.terminate();
    // Taken out of the configuration, a certificate in its time is nobody's.
    world.place.more = format!("{AUDITOR}{}", World::tls(&world.papers));
    let (broker, port) = world.start();
    assert!(matches!(world.connect(port, "runner").err(), Some(ClientError::Refused(Refusal::UnknownPeer))));
    let mut auditor = world.connect(port, "auditor").unwrap();
    assert!(matches!(auditor.ask(&list(), None), Err(ClientError::Refused(Refusal::NotAllowed))));
    broker.terminate();
}

/// What the broker says until it hangs up.
fn refusals(stream: &mut impl std::io::Read) -> Vec<Refusal> {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    let mut decoder = Decoder::new();
    decoder.push(&bytes);
    let frames = std::iter::from_fn(|| decoder.next_frame().unwrap()).filter(|frame| frame.kind() == Kind::Refused);
    frames.map(|frame| decode(frame.payload()).unwrap()).collect()
}

#[test]
fn who_breaks_the_protocol_or_is_slow_is_thrown_out() {
    let world = World::new();
    let (broker, port) = world.start();
    let mut bystander = world.connect(port, "runner").unwrap();
    let announce = |bytes: u64| frame(Kind::Bulk, 1, &bytes.to_be_bytes());
    let piece = |id: u8, bytes: &[u8]| frame(Kind::Piece, id, bytes);
    let mut oversize = frame(Kind::Request, 1, b"");
    oversize[4..8].copy_from_slice(&u32::MAX.to_be_bytes());
    for (what, bytes) in [
        ("a huge frame", oversize),
        ("no frame", b"GET / HTTP/1.1\r\n\r\n".to_vec()),
        ("more bulk bytes than may come", announce((64 << 20) + 1)),
        ("a piece of nothing", piece(1, b"x")),
        ("a piece of something else", [announce(10), piece(2, b"x")].concat()),
        ("more than announced", [announce(2), piece(1, b"xyz")].concat()),
        ("fewer than announced", [announce(2), piece(1, b"x"), piece(1, b"")].concat()),
        ("something in between", [announce(2), piece(1, b"x"), frame(Kind::Request, 2, b"{}")].concat()),
        ("two announcements", [announce(2), announce(2)].concat()),
    ] {
        let mut stream = world.raw(port, Some("runner"));
        stream.write_all(&[frame(Kind::Hello, 0, b""), bytes].concat()).unwrap();
        assert_eq!(refusals(&mut stream), [Refusal::BadFrame], "{what}");
    }
    works(&mut bystander);
    // Nothing at all, a handshake and nothing more, and a request that drips: each within its time.
    let slow = |most: u64, act: &(dyn Fn() + Sync)| {
        let begun = Instant::now();
        act();
        assert!(begun.elapsed() < Duration::from_secs(most), "after {:?}", begun.elapsed());
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            slow(15, &|| {
                let mut silent = TcpStream::connect(("127.0.0.1", port)).unwrap();
                silent.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
                assert_eq!(silent.read(&mut [0]).unwrap_or(0), 0);
            });
        });
        scope.spawn(|| {
            slow(15, &|| {
                let mut silent = world.raw(port, Some("runner"));
                silent.write_all(b"").unwrap();
                assert_eq!(refusals(&mut silent), [Refusal::TimedOut]);
            });
        });
        scope.spawn(|| {
            slow(40, &|| {
                let mut dripping = world.raw(port, Some("runner"));
                dripping.write_all(&frame(Kind::Hello, 0, b"")).unwrap();
                for byte in frame(Kind::Request, 1, &[b' '; 100]) {
                    if dripping.write_all(&[byte]).and_then(|()| dripping.flush()).is_err() {
                        return;
                    }
                    std::thread::sleep(Duration::from_millis(500));
                }
                panic!("it took a request that dripped for a minute");
            });
        });
    });
    works(&mut bystander);
    // Who only knocks takes the place of those who knock from the same address, for the moment of a greeting.
    let knocking: Vec<TcpStream> = (0..16).map(|_| TcpStream::connect(("127.0.0.1", port)).unwrap()).collect();
    std::thread::sleep(Duration::from_millis(300));
    let mut one_more = TcpStream::connect(("127.0.0.1", port)).unwrap();
    one_more.set_read_timeout(Some(Duration::from_secs(3))).unwrap();
    assert_eq!(one_more.read(&mut [0]).unwrap_or(0), 0, "it is hung up on at once");
    works(&mut bystander);
    std::thread::sleep(Duration::from_secs(6));
    works(&mut world.connect(port, "runner").unwrap());
    drop(knocking);
    // Its clients are told when it ends.
    assert_eq!(broker.terminate().0, Some(0));
    assert!(bystander.ask(&list(), None).is_err());
}

#[test]
fn what_is_wrong_with_the_papers_is_said() {
    let mut world = World::new();
    let said = |place: &Place| {
        let output = place.ask(&["run"]);
        assert!(!output.status.success());
        text(&output.stderr).to_owned()
    };
    let whole = world.place.more.clone();
    let key = world.papers.path("broker.key");
    for (from, to, expected) in [
        (world.papers.path("broker.key"), world.papers.path("runner.key"), "can't be used: "),
        (world.papers.path("broker.key"), world.papers.path("broker.pem"), "it holds no private key"),
        (world.papers.path("authority.pem"), world.papers.path("broker.key"), "it holds no certificates"),
        (world.papers.path("broker.pem"), world.papers.path("nowhere"), "can't be used: "),
    ] {
        world.place.more = whole.replace(from.to_str().unwrap(), to.to_str().unwrap());
        let said = said(&world.place);
        assert!(said.contains(expected), "{to:?}: {said}");
    }
    for (from, to, expected) in [
        ("certificate = \"runner-1.agents.example\"", "certificate = \"*.agents.example\"", "without wildcards"),
        ("certificate = \"runner-1.agents.example\"", "certificate = \"a.example\"\nuser = 1", "name one"),
        ("listen = \"127.0.0.1:0\"", "listen = \"localhost\"", "invalid socket address"),
    ] {
        world.place.more = whole.replace(from, to);
        let said = said(&world.place);
        assert!(said.contains(expected), "{to}: {said}");
    }
    world.place.more = whole;
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(said(&world.place).contains("is open to others"));
}
