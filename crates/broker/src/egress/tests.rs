//! What leaves and what doesn't, with listeners that count who connects. Nothing here reaches past loopback.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hyper::header::{HeaderName, LOCATION};

use super::*;
use crate::secret::Secret;

/// Answers each connection with the same bytes and counts them.
struct Listener {
    port: u16,
    connections: Arc<AtomicUsize>,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Listener {
    fn at(address: &str, port: u16, answer: impl Into<Vec<u8>>) -> Self {
        let answer = answer.into();
        let listener = TcpListener::bind((address, port)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (connections, requests) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::new())));
        let (count, seen) = (Arc::clone(&connections), Arc::clone(&requests));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                count.fetch_add(1, Ordering::SeqCst);
                let mut stream = stream.unwrap();
                let request = read_request(&mut stream);
                seen.lock().unwrap().push(request);
                // The other side may have gone.
                drop(stream.write_all(&answer));
            }
        });
        Self { port, connections, requests }
    }

    fn on_loopback(answer: impl Into<Vec<u8>>) -> Self {
        Self::at("127.0.0.1", 0, answer)
    }

    fn count(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    fn requests(&self) -> String {
        self.requests.lock().unwrap().concat()
    }

    fn origin(&self) -> Origin {
        Origin::parse(&format!("http://127.0.0.1:{}", self.port)).unwrap()
    }
}

fn read_request(stream: &mut TcpStream) -> String {
    stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    while !bytes.windows(4).any(|window| window == b"\r\n\r\n") {
        match stream.read(&mut buffer) {
            Ok(count) if count > 0 => bytes.extend_from_slice(&buffer[..count]),
            _ => break,
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Gives each name the next of its answers, and counts the questions.
struct Names {
    answers: Vec<Vec<IpAddr>>,
    asked: AtomicUsize,
}

impl Names {
    fn new(answers: &[&[&str]]) -> Arc<Self> {
        let answers = answers.iter().map(|answer| answer.iter().map(|address| address.parse().unwrap()).collect()).collect();
        Arc::new(Self { answers, asked: AtomicUsize::new(0) })
    }
}

impl Resolver for Names {
    fn resolve<'a>(&'a self, _: &'a str) -> Resolution<'a> {
        let turn = self.asked.fetch_add(1, Ordering::SeqCst);
        let answer = self.answers[turn.min(self.answers.len() - 1)].clone();
        Box::pin(async move { Ok(answer) })
    }
}

async fn error(egress: &Egress, call: Call<'_>) -> EgressError {
    match egress.send(call).await {
        Ok(answer) => panic!("there was an answer: {}", answer.status()),
        Err(error) => error,
    }
}

/// Every way to write an address of this machine, of a cloud's metadata or of a private network that readers of addresses are
/// known to disagree on.
const FORMS: &[&str] = &[
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "127.000.000.001",
    "0127.0.0.1",
    "0177.0.0.1",
    "0x7f.0.0.1",
    "0x7f000001",
    "0X7F000001",
    "2130706433",
    "017700000001",
    "127.0.0.1.",
    "127.0.0.1%00",
    "127.0.0.1%2f",
    "127。0。0。1",
    "①②⑦.0.0.1",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "localhost.localdomain",
    "sub.localhost",
    "ip6-localhost",
    "0",
    "0.0.0.0",
    "00.00.00.00",
    "[::]",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b::127.0.0.1]",
    "[2002:7f00:1::]",
    "[2001:0:7f00:1::]",
    "[fe80::1%25lo]",
    "[fe80::1]",
    "[::1%25lo]",
    "[::1",
    "::1",
    "[::1]x",
    "169.254.169.254",
    "169.254.43518",
    "2852039166",
    "0xa9fea9fe",
    "0251.0376.0251.0376",
    "[::ffff:169.254.169.254]",
    "[fd00:ec2::254]",
    "169.254.170.2",
    "100.100.100.200",
    "192.0.0.192",
    "168.63.129.16",
    "metadata.google.internal",
    "metadata",
    "instance-data",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.0.1",
    "100.64.0.1",
    "[fc00::1]",
    "[fd12::1]",
    "192.168.257",
    "api.github.com@127.0.0.1",
    "127.0.0.1#api.github.com",
    "127.0.0.1?api.github.com",
    "127.0.0.1\\api.github.com",
    "127.0.0.1/api.github.com",
    "api.github.com.127.0.0.1.example",
    "api.github.com\t.example",
    "api.github.com\r\nHost: 127.0.0.1",
    "api.github.com..",
    "api.github.co\u{200b}m",
    "api.gith\u{443}b.com",
    "xn--api.github.com-",
    "-api.github.com",
    "",
    "*",
    "api.github.com:443:80",
];

#[tokio::test]
async fn no_form_of_an_address_leads_to_this_machine() {
    let listener = Listener::on_loopback(OK);
    let port = listener.port;
    let six = TcpListener::bind(("::1", port)).map(drop).ok().map(|()| Listener::at("::1", port, OK));
    assert!(FORMS.len() >= 60, "{} forms", FORMS.len());
    // Whatever the name is, somebody who controls it lets it lead here.
    let here = Names::new(&[&["127.0.0.1"]]);
    let listed = Egress::new([AllowedHost::public(Origin::parse("https://api.github.com").unwrap())], b"").unwrap();
    let listed = listed.with_resolver(here.clone());
    let mut parsed = 0;
    for form in FORMS {
        for scheme in ["http", "https", "HTTP"] {
            let url = format!("{scheme}://{form}:{port}/");
            let Ok(target) = Target::parse(&url) else { continue };
            parsed += 1;
            // Not in the list.
            assert_eq!(error(&listed, Call::get(target.clone())).await, EgressError::NotListed, "{url}");
            // In the list, as a host of the public internet.
            let own = Egress::new([AllowedHost::public(target.origin().clone())], b"").unwrap().with_resolver(here.clone());
            let refused = error(&own, Call::get(target)).await;
            assert!(matches!(refused, EgressError::Address(_)), "{url}: {refused:?}");
        }
    }
    assert!(parsed >= 60, "{parsed} of them could be called at all");
    assert_eq!(listener.count() + six.map_or(0, |listener| listener.count()), 0);
}

/// Also the configuration can't open the way to a metadata service.
#[tokio::test]
async fn special_addresses_are_refused_where_private_ones_are_allowed() {
    for address in ["169.254.169.254", "100.100.100.200", "192.0.0.192", "[fd00:ec2::254]", "[::ffff:127.0.0.1]", "0.0.0.0", "224.0.0.1"] {
        let origin = Origin::parse(&format!("https://{address}")).unwrap();
        let egress = Egress::new([AllowedHost::private(origin.clone())], b"").unwrap();
        assert_eq!(error(&egress, Call::get(Target::new(&origin))).await, EgressError::Address(AddressKind::Special), "{address}");
    }
}

/// A name that leads to a good address first and to a bad one when it is asked again.
#[tokio::test]
async fn a_name_is_resolved_once_and_what_was_checked_is_connected_to() {
    let good = Listener::on_loopback(OK);
    let bad = Listener::at("127.0.0.2", good.port, OK);
    let origin = Origin::parse(&format!("http://rebinding.example:{}", good.port)).unwrap();
    let names = Names::new(&[&["127.0.0.1"], &["127.0.0.2"]]);
    let egress = Egress::new([AllowedHost::private(origin.clone())], b"").unwrap().with_resolver(names.clone());
    egress.send(Call::get(Target::new(&origin))).await.unwrap();
    assert_eq!((good.count(), bad.count(), names.asked.load(Ordering::SeqCst)), (1, 0, 1));

    // Each connection is checked anew.
    let names = Names::new(&[&["127.0.0.1"], &["169.254.169.254"], &["10.0.0.1"]]);
    let egress = Egress::new([AllowedHost::private(origin.clone())], b"").unwrap().with_resolver(names);
    egress.send(Call::get(Target::new(&origin))).await.unwrap();
    assert_eq!(error(&egress, Call::get(Target::new(&origin))).await, EgressError::Address(AddressKind::Special));
    assert_eq!(error(&egress, Call::get(Target::new(&origin))).await, EgressError::Insecure);

    // One bad address among good ones.
    let public = Origin::parse(&format!("https://mixed.example:{}", good.port)).unwrap();
    let names = Names::new(&[&["140.82.121.6", "127.0.0.1"]]);
    let egress = Egress::new([AllowedHost::public(public.clone())], b"").unwrap().with_resolver(names);
    assert_eq!(error(&egress, Call::get(Target::new(&public))).await, EgressError::Address(AddressKind::Loopback));
    assert_eq!((good.count(), bad.count()), (2, 0));
}

#[tokio::test]
async fn redirects_lead_to_listed_hosts_only_and_never_with_a_credential() {
    let token = Secret::from_string("canary-1b7f".to_owned());
    let proof = HeaderName::from_static("dpop");
    let secret = Listener::on_loopback(OK);
    let allowed = Listener::on_loopback(OK);
    let redirect = |to: &str| format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n");
    let client =
        |listeners: &[&Listener]| Egress::new(listeners.iter().map(|listener| AllowedHost::private(listener.origin())), b"").unwrap();
    let call = |listener: &Listener| {
        Call::get(Target::new(&listener.origin())).authorized(Authorization::Bearer(&token)).sensitive_header(proof.clone(), b"canary-77ab")
    };

    // Not followed unless asked to.
    let from = Listener::on_loopback(redirect(&format!("http://127.0.0.1:{}/", allowed.port)));
    let answer = client(&[&from, &allowed]).send(call(&from)).await.unwrap();
    assert!(answer.status().is_redirection() && answer.header(&LOCATION).is_some());
    assert_eq!(allowed.count(), 0);

    // Followed to a listed host, without what only the first may see.
    let answer = client(&[&from, &allowed]).send(call(&from).following(1)).await.unwrap();
    assert_eq!(answer.body(), b"ok");
    assert!(from.requests().contains("canary-1b7f") && from.requests().contains("canary-77ab"));
    assert_eq!((allowed.count(), allowed.requests().contains("canary")), (1, false));

    // Anywhere else: nobody connects.
    let unlisted = [
        format!("http://127.0.0.1:{}/", secret.port),
        format!("http://localhost:{}/", secret.port),
        format!("//127.0.0.1:{}/", secret.port),
        format!("http://127.0.0.1:{}@127.0.0.1:{}/", from.port, secret.port),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        "file:///etc/passwd".to_owned(),
        "gopher://127.0.0.1/".to_owned(),
    ];
    for to in unlisted {
        let from = Listener::on_loopback(redirect(&to));
        let refused = error(&client(&[&from, &allowed]), call(&from).following(3)).await;
        assert!(matches!(refused, EgressError::NotListed | EgressError::Redirect), "{to}: {refused:?}");
    }
    assert_eq!((secret.count(), allowed.count()), (0, 1));

    // In circles.
    let circle = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let circle = Listener::at("127.0.0.1", circle, redirect(&format!("http://127.0.0.1:{circle}/")));
    assert!(client(&[&circle]).send(call(&circle).following(5)).await.unwrap().status().is_redirection());
    assert_eq!(circle.count(), 6);

    // What writes isn't sent twice.
    let answer = client(&[&from, &allowed]).send(Call::form(Target::new(&from.origin()), FormBody::new()).following(1)).await.unwrap();
    assert!(answer.status().is_redirection());
}

/// Run as a process of its own by the next test, with the environment that makes other clients use a proxy.
#[tokio::test]
async fn a_call_to_this_machine() {
    let listener = Listener::on_loopback(OK);
    let egress = Egress::new([AllowedHost::private(listener.origin())], b"").unwrap();
    assert_eq!(egress.send(Call::get(Target::new(&listener.origin()))).await.unwrap().body(), b"ok");
    assert_eq!(listener.count(), 1);
}

#[test]
fn no_proxy_is_taken_from_the_environment() {
    let proxy = Listener::on_loopback(OK);
    let address = format!("http://127.0.0.1:{}", proxy.port);
    let names = ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
    let status = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "egress::tests::a_call_to_this_machine"])
        .env_clear()
        .envs(names.map(|name| (name, address.as_str())))
        .output()
        .unwrap();
    assert!(status.status.success() && String::from_utf8_lossy(&status.stdout).contains("1 passed"), "{status:?}");
    assert_eq!(proxy.count(), 0);
}

#[tokio::test]
async fn answers_have_limits() {
    let body = "x".repeat(5_000);
    let lines = "X-More: and more\r\n".repeat(10_000);
    let cases = [
        (format!("HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n{body}"), EgressError::TooLarge),
        (format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1388\r\n{body}\r\n0\r\n\r\n"), EgressError::TooLarge),
        (format!("HTTP/1.1 200 OK\r\n\r\n{body}"), EgressError::TooLarge),
        ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort".to_owned(), EgressError::Protocol),
        (format!("HTTP/1.1 200 OK\r\n{lines}\r\n"), EgressError::Protocol),
        ("SSH-2.0-OpenSSH_9.2\r\n".to_owned(), EgressError::Protocol),
        (String::new(), EgressError::Protocol),
    ];
    for (answer, expected) in cases {
        let listener = Listener::on_loopback(answer.clone());
        let egress = Egress::new([AllowedHost::private(listener.origin())], b"").unwrap();
        assert_eq!(error(&egress, Call::get(Target::new(&listener.origin())).at_most(4_999)).await, expected, "{answer:.60}");
    }
}

#[tokio::test]
async fn nobody_can_make_us_wait() {
    // Accepts and says nothing; says a little, and then nothing.
    for beginning in ["", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nab"] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let origin = Origin::parse(&format!("http://127.0.0.1:{}", listener.local_addr().unwrap().port())).unwrap();
        let held = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            read_request(&mut stream);
            stream.write_all(beginning.as_bytes()).unwrap();
            // Until the client has enough.
            stream.set_read_timeout(None).unwrap();
            drop(stream.read_to_end(&mut Vec::new()));
        });
        let egress = Egress::new([AllowedHost::private(origin.clone())], b"").unwrap();
        let call = Call::get(Target::new(&origin)).within(Duration::from_millis(800));
        assert_eq!(error(&egress, call).await, EgressError::TimedOut);
        drop(egress);
        // The connection is closed by this very runtime.
        tokio::task::spawn_blocking(move || held.join()).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn paths_are_what_their_parts_say() {
    let listener = Listener::on_loopback(OK);
    let egress = Egress::new([AllowedHost::private(listener.origin())], b"").unwrap();
    let top = Target::new(&listener.origin());
    let target = top.clone().path("/api/v3").segment("repos").segment("a/../b?c#d e%é").query("ref", "a&b=c").query("n", "1");
    egress.send(Call::get(target)).await.unwrap();
    assert!(listener.requests().starts_with("GET /api/v3/repos/a%2F..%2Fb%3Fc%23d%20e%25%C3%A9?ref=a%26b%3Dc&n=1 HTTP/1.1\r\n"));
    let host = format!("host: 127.0.0.1:{}\r\n", listener.port);
    assert!(listener.requests().contains(&host), "{}", listener.requests());
    let unsound = [
        top.clone().segment(".."),
        top.clone().segment("."),
        top.clone().segment(""),
        top.clone().segments("a/../b"),
        top.clone().path("/a/../b"),
        top.clone().path("/a/%2e%2E/b"),
        top.clone().path("/a b"),
        top.clone().path("a"),
        top.clone().query("a", "b").segment("c"),
    ];
    for path in ["/a\\b", "/../b", "/a\r\nb"] {
        assert!(Target::parse(&format!("{}{path}", listener.origin())).is_err(), "{path:?}");
    }
    for target in unsound {
        assert_eq!(error(&egress, Call::get(target.clone())).await, EgressError::Target, "{target:?}");
    }
    let header = Call::get(top).header(HeaderName::from_static("accept"), "a\r\nX-Other: b");
    assert_eq!(error(&egress, header).await, EgressError::Target);
    assert_eq!(listener.count(), 1);
}

/// Failures of every kind, with a credential in every place of the request: no error shows any of it.
#[tokio::test]
async fn errors_say_nothing_of_what_was_sent_or_received() {
    let canary = "canary-9f3c77";
    let token = Secret::from_string(canary.to_owned());
    let answers = [
        format!("{canary} {canary}\r\n"),
        format!("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{canary}"),
        format!("HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\n\"{canary}"),
        format!("HTTP/1.1 302 Found\r\nLocation: http://{canary}.example/{canary}\r\nContent-Length: 0\r\n\r\n"),
    ];
    for answer in answers {
        let listener = Listener::on_loopback(answer);
        let egress = Egress::new([AllowedHost::private(listener.origin())], b"").unwrap();
        for authorization in [Authorization::Bearer(&token), Authorization::Basic(canary, &token), Authorization::Dpop(&token)] {
            let call = Call::get(Target::new(&listener.origin()).segment(canary).query(canary, canary));
            let result = egress.send(call.authorized(authorization).following(1)).await.and_then(|answer| answer.json::<u8>());
            let shown = result.map_err(|error| format!("{error} {error:?} {}", error.code())).unwrap_err();
            assert!(!shown.contains("canary"), "{shown}");
        }
    }
}

#[tokio::test]
async fn tls_takes_the_right_name_from_a_trusted_authority_only() {
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let mut authority = rcgen::CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let root = authority.self_signed(&authority_key).unwrap().pem();
    let issuer = rcgen::Issuer::new(authority, authority_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["forge.example".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let server = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap())
        .unwrap();
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(server));
    tokio::spawn(async move {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        while let Ok((stream, _)) = listener.accept().await {
            // Whoever doesn't trust us hangs up.
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            drop(stream.read(&mut [0; 4096]).await);
            drop(stream.write_all(OK.as_bytes()).await);
            drop(stream.shutdown().await);
        }
    });
    let call = |name: &str, roots: &[u8]| {
        let origin = Origin::parse(&format!("https://{name}:{port}")).unwrap();
        let egress = Egress::new([AllowedHost::private(origin.clone())], roots).unwrap().with_resolver(Names::new(&[&["127.0.0.1"]]));
        async move { egress.send(Call::get(Target::new(&origin))).await.map(|answer| answer.body().to_vec()) }
    };
    assert_eq!(call("forge.example", root.as_bytes()).await, Ok(b"ok".to_vec()));
    assert_eq!(call("forge.example", b"").await, Err(EgressError::Tls));
    assert_eq!(call("other.example", root.as_bytes()).await, Err(EgressError::Tls));
    assert!(matches!(Egress::new([], b"no certificate"), Err(EgressError::Roots)));
}

#[test]
fn what_may_be_talked_to_is_told() {
    let hosts = ["https://api.github.com", "https://codeload.github.com", "http://127.0.0.1:8080"];
    let hosts = hosts.map(|host| Origin::parse(host).unwrap());
    let [first, second, third] = hosts;
    let egress = Egress::new([AllowedHost::public(first), AllowedHost::public(second), AllowedHost::private(third)], b"").unwrap();
    let told: Vec<String> = egress.hosts().map(ToString::to_string).collect();
    assert_eq!(told, ["http://127.0.0.1:8080 (private)", "https://api.github.com", "https://codeload.github.com"]);
}
