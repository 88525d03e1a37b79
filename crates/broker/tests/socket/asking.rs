use std::sync::atomic::Ordering;

use keyblind_broker::dispatch::Role;
use keyblind_broker::socket::{BulkFile, Client, ClientError, Identity, Limits, Peer, Question};
use keyblind_intent::{Answer, Control, Frame, Handle, Kind, Missing, Outcome, Provider, Refusal, Report, Request, RequestId, encode};

use crate::support::*;

#[test]
fn a_repository_comes_as_a_descriptor() {
    let broker = Broker::start();
    let mut client = broker.client();
    let (answer, attached) = client.ask(&read("shop"), None).unwrap();
    let Answer::Outcome(Outcome::RepositoryRead { archive, .. }) = answer else { panic!("{answer:?}") };
    let attached = attached.unwrap();
    assert_eq!(attached.bulk(), archive);
    assert_eq!(attached.read(100).unwrap(), b"shop");
    assert_eq!(broker.stop(), 0);
}

#[test]
fn a_report_goes_as_a_descriptor_and_the_broker_knows_who_asks() {
    let broker = Broker::start();
    let sarif = BulkFile::from_bytes(b"{\"runs\":[]}").unwrap();
    let (answer, _) = broker.client().ask(&upload(&sarif), Some(&sarif)).unwrap();
    let Answer::Outcome(Outcome::SarifUploaded { id, .. }) = answer else { panic!("{answer:?}") };
    assert_eq!(id.for_terminal(), "11 bytes for local:alice");
}

#[test]
fn other_bulk_bytes_than_announced_are_refused_and_nothing_is_done() {
    let broker = Broker::start();
    let (sarif, same_length) = (BulkFile::from_bytes(b"{\"runs\":[]}").unwrap(), BulkFile::from_bytes(b"{\"runs\":{}}").unwrap());
    let mut client = broker.client();
    let mut refusal = |attached| match client.ask(&upload(&sarif), attached) {
        Err(ClientError::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    };
    assert_eq!(refusal(Some(&same_length)), Refusal::BadBulk);
    assert_eq!(refusal(None), Refusal::BadBulk);
    assert_eq!(broker.provider.begun.load(Ordering::SeqCst), 0);
    // The connection goes on.
    client.ask(&upload(&sarif), Some(&sarif)).unwrap();
}

#[test]
fn what_no_provider_handles_is_answered_as_not_configured() {
    let broker = Broker::start();
    let comment = request(
        r#"{"intent":{"comment":{"repository":{"forge":"github","owner":"o","name":"n"},"pull_request":1,"marker":"m","text":""}}}"#,
    );
    let (answer, _) = broker.client().ask(&comment, None).unwrap();
    assert_eq!(answer, Answer::Outcome(Outcome::NotConfigured { missing: Missing::Provider(Provider::Github) }));
}

#[test]
fn a_role_may_only_ask_what_it_is_for() {
    let broker = Broker::with(Provider_::default(), vec![peer(Role::Web, false)], Limits::default());
    let mut client = broker.client();
    client.ask(&list(), None).unwrap();
    assert!(matches!(client.ask(&read("shop"), None), Err(ClientError::Refused(Refusal::NotAllowed))));
    assert!(matches!(client.ask(&Request::Control(Control::Arm), None), Err(ClientError::Refused(Refusal::NotAllowed))));
}

#[test]
fn after_the_kill_switch_nothing_is_done_until_an_operator_arms_it() {
    let broker = Broker::with(Provider_::default(), vec![peer(Role::Person, false), peer(Role::Operator, true)], Limits::default());
    let mut person = broker.client();
    let token = broker.tokens.issue(1).unwrap();
    let mut operator = token.expose(|token| Client::connect(&broker.socket, token)).unwrap();
    let (answer, _) = person.ask(&Request::Control(Control::Kill), None).unwrap();
    assert!(matches!(answer, Answer::Report(Report::Stopped { .. })));
    assert!(matches!(person.ask(&list(), None), Err(ClientError::Refused(Refusal::Halted))));
    assert!(matches!(person.ask(&Request::Control(Control::Arm), None), Err(ClientError::Refused(Refusal::NotAllowed))));
    operator.ask(&Request::Control(Control::Arm), None).unwrap();
    person.ask(&list(), None).unwrap();
}

#[test]
fn a_fault_in_a_provider_is_answered_and_others_go_on() {
    let broker = Broker::start();
    let mut client = broker.client();
    assert!(matches!(client.ask(&read("panic"), None), Err(ClientError::Refused(Refusal::Internal))));
    assert!(matches!(client.ask(&read("liar"), None), Err(ClientError::Refused(Refusal::Internal))), "an answer that isn't what it says");
    client.ask(&list(), None).unwrap();
}

#[test]
fn each_token_opens_once_and_the_next_one_comes_with_the_welcome() {
    let broker = Broker::with(Provider_::default(), vec![peer(Role::Runner, true)], Limits::default());
    let refusal = |token: &[u8]| match Client::connect(&broker.socket, token).map(|_| ()) {
        Err(ClientError::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    };
    assert_eq!(refusal(b""), Refusal::BadToken);
    assert_eq!(refusal(&[0; 32]), Refusal::BadToken);
    let token = broker.tokens.issue(0).unwrap();
    let mut first = token.expose(|token| Client::connect(&broker.socket, token)).unwrap();
    assert_eq!(token.expose(refusal), Refusal::BadToken, "replayed");
    let next = first.take_next_token().unwrap().to_vec();
    let mut second = Client::connect(&broker.socket, &next).unwrap();
    first.ask(&list(), None).unwrap();
    second.ask(&list(), None).unwrap();
}

#[test]
fn the_socket_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;

    let broker = Broker::start();
    assert_eq!(mode(&broker.socket), 0o600);
    assert_eq!(mode(broker.folder.path()), 0o700);
    let open = own_folder();
    std::fs::set_permissions(open.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let error = bind(&open.path().join("s")).unwrap_err();
    assert!(error.contains("must be a folder of user") && error.contains("its mode is 0755"), "{error}");
    let error = bind(&broker.socket).unwrap_err();
    assert!(error.contains("another broker listens"), "{error}");
    let occupied = own_folder();
    std::fs::write(occupied.path().join("s"), "").unwrap();
    let error = bind(&occupied.path().join("s")).unwrap_err();
    assert!(error.contains("is there and is no socket"), "{error}");
    let link = occupied.path().join("link");
    std::os::unix::fs::symlink(broker.folder.path(), &link).unwrap();
    assert!(bind(&link.join("s")).unwrap_err().contains("it is no folder"));
    assert!(bind(std::path::Path::new("relative")).unwrap_err().contains("can't be a socket"));
    let long = occupied.path().join("x".repeat(120));
    assert!(bind(&long).unwrap_err().contains("can't be a socket"));
}

fn bind(path: &std::path::Path) -> Result<(), String> {
    use std::sync::Arc;

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _inside = runtime.enter();
    let parts = (Arc::default(), Arc::default());
    keyblind_broker::socket::Server::bind(path, Vec::new(), parts.0, parts.1, Limits::default())
        .map(|_| ())
        .map_err(|error| error.to_string())
}

#[test]
fn what_a_dead_broker_left_is_taken_over() {
    let folder = own_folder();
    let path = folder.path().join("s");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    bind(&path).unwrap();
}

#[test]
fn a_user_whom_nobody_configured_isnt_let_in() {
    let mut stranger = peer(Role::Person, false);
    stranger.identity = Identity::User(own_user() + 1);
    let broker = Broker::with(Provider_::default(), vec![stranger], Limits::default());
    let error = Client::connect(&broker.socket, b"").map(|_| ()).unwrap_err();
    assert!(matches!(error, ClientError::Refused(Refusal::UnknownPeer)), "{error}");
}

/// The vocabulary has a `Provider` of its own.
use crate::support::Provider as Provider_;

#[test]
fn a_peer_that_speaks_for_people_is_who_its_handle_is_and_no_other_peer_may() {
    let speaks = |role| Peer { speaks_for_people: true, ..peer(role, false) };
    let broker = Broker::with(Provider_::default(), vec![speaks(Role::Runner)], Limits::default());
    let sarif = BulkFile::from_bytes(b"{\"runs\":[]}").unwrap();
    let upload = upload(&sarif);
    let (handle, other) = (handle(), Handle::new("A".repeat(43)).unwrap());
    let asked = |client: &mut Client, behalf: Option<&Handle>| {
        let answer = client.put(Question { request: &upload, behalf, attached: Some(&sarif) });
        match answer {
            Ok((Answer::Outcome(Outcome::SarifUploaded { id, .. }), _)) => Ok(id.for_terminal()),
            Err(ClientError::Refused(refusal)) => Err(refusal),
            other => panic!("{other:?}"),
        }
    };
    let mut client = broker.client();
    assert_eq!(asked(&mut client, Some(&handle)).unwrap(), "11 bytes for mia@https://login.example/");
    assert_eq!(asked(&mut client, None).unwrap(), "11 bytes for local:alice", "a handle is for one request");
    assert_eq!(asked(&mut client, Some(&other)), Err(Refusal::NotLoggedIn));
    let code = "A".repeat(43);
    let take_over = request(&format!(r#"{{"control":{{"take-over":{{"code":"{code}","state":"{code}"}}}}}}"#));
    let refusal = |client: &mut Client| match client.ask(&take_over, None) {
        Err(ClientError::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    };
    assert_eq!(refusal(&mut client), Refusal::BadCode, "nobody brought that code");
    drop((client, broker));
    for (one, expected) in [
        (peer(Role::Runner, false), Refusal::NotAllowed),
        (peer(Role::Person, false), Refusal::NotAllowed),
        (peer(Role::Web, false), Refusal::NotAllowed),
        (speaks(Role::Web), Refusal::BadCode),
    ] {
        let speaks = one.speaks_for_people;
        let broker = Broker::with(Provider_::default(), vec![one], Limits::default());
        let mut client = broker.client();
        assert_eq!(refusal(&mut client), expected);
        if !speaks {
            assert_eq!(asked(&mut client, Some(&handle)), Err(Refusal::NotAllowed));
        }
    }
}

#[test]
fn a_handle_for_another_request_ends_the_connection() {
    let broker = Broker::with(Provider_::default(), vec![Peer { speaks_for_people: true, ..peer(Role::Runner, false) }], Limits::default());
    let mut client = broker.client();
    let id = |byte| RequestId::from_bytes([byte; 16]);
    client.send(&Frame::new(Kind::Behalf, id(1), handle().expose().as_bytes().to_vec()).unwrap()).unwrap();
    client.send(&Frame::new(Kind::Request, id(2), encode(&list()).unwrap()).unwrap()).unwrap();
    let (frame, _) = client.receive().unwrap();
    assert_eq!((frame.kind(), frame.id()), (Kind::Refused, RequestId::from_bytes([0; 16])));
    assert!(matches!(client.receive(), Err(ClientError::Ended | ClientError::Broken(_))));
}
