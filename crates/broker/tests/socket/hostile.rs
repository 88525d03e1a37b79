//! Clients that mean harm: each is told off or thrown out, none costs more than its share, and the others don't notice.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use keyblind_broker::dispatch::{Role, Session};
use keyblind_broker::socket::{BulkFile, Client, ClientError, Limits, Peer};
use keyblind_intent::*;

use crate::support::{Broker, Provider, eventually, held, list, peer, request, short, upload};

const HELLO: [u8; 24] = *b"KB\x01\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

fn raw(broker: &Broker) -> UnixStream {
    let stream = UnixStream::connect(&broker.socket).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream
}

/// What the broker says until it hangs up.
fn last_words(mut stream: UnixStream) -> Vec<(Kind, RequestId, Vec<u8>)> {
    let mut bytes = Vec::new();
    // A connection that is reset has been ended, too.
    let _ = stream.read_to_end(&mut bytes);
    let mut decoder = Decoder::new();
    decoder.push(&bytes);
    std::iter::from_fn(|| decoder.next_frame().unwrap()).map(|frame| (frame.kind(), frame.id(), frame.into_payload())).collect()
}

fn refusals(stream: UnixStream) -> Vec<Refusal> {
    let words = last_words(stream).into_iter().filter(|(kind, ..)| *kind == Kind::Refused);
    words.map(|(_, _, payload)| decode(&payload).unwrap()).collect()
}

fn still_works(broker: &Broker) {
    broker.client().ask(&list(), None).unwrap();
}

#[test]
fn garbage_is_told_off_and_thrown_out() {
    let broker = Broker::start();
    for garbage in [&b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"[..], b"\0", b"KB\x02", b"KB\x01\x63", &[0xff; 5_000]] {
        for greeting in [&b""[..], &HELLO] {
            let mut stream = raw(&broker);
            stream.write_all(greeting).unwrap();
            let _ = stream.write_all(garbage);
            assert_eq!(refusals(stream), [Refusal::BadFrame]);
        }
    }
    still_works(&broker);
}

#[test]
fn a_huge_length_is_refused_before_it_costs_memory() {
    let broker = Broker::start();
    for (kind, length) in [(4_u8, u32::MAX), (4, (1 << 20) + 1), (1, 33), (8, 9), (7, 1)] {
        let mut stream = raw(&broker);
        stream.write_all(&HELLO).unwrap();
        let mut header = *b"KB\x01\x00\0\0\0\0aaaaaaaaaaaaaaaa";
        header[3] = kind;
        header[4..8].copy_from_slice(&length.to_be_bytes());
        stream.write_all(&header).unwrap();
        assert_eq!(refusals(stream), [Refusal::BadFrame], "{kind} {length}");
    }
    still_works(&broker);
}

#[test]
fn who_doesnt_greet_in_time_is_thrown_out_however_slowly_it_drips() {
    let broker = Broker::with(Provider::default(), vec![peer(Role::Person, false)], short());
    let silent = raw(&broker);
    let started = Instant::now();
    assert_eq!(refusals(silent), [Refusal::TimedOut]);
    let mut slow = raw(&broker);
    for byte in HELLO {
        if slow.write_all(&[byte]).is_err() {
            break;
        }
        std::thread::sleep(Duration::from_millis(40));
    }
    assert_eq!(refusals(slow), [Refusal::TimedOut]);
    assert!(started.elapsed() < Duration::from_secs(5));
    still_works(&broker);
}

#[test]
fn a_frame_that_drips_is_cut_off_and_a_quiet_client_isnt() {
    let broker = Broker::with(Provider::default(), vec![peer(Role::Person, false)], short());
    let mut quiet = broker.client();
    let mut slow = raw(&broker);
    slow.write_all(&HELLO).unwrap();
    for byte in b"KB\x01\x04\0\0\0\x40aaaaaaaaaaaaaaaa{\"intent\":{\"list" {
        if slow.write_all(&[*byte]).is_err() {
            break;
        }
        std::thread::sleep(Duration::from_millis(25));
    }
    assert_eq!(refusals(slow), [Refusal::TimedOut]);
    quiet.ask(&list(), None).unwrap();
}

#[test]
fn half_a_frame_and_then_nothing_leaves_nothing() {
    let broker = Broker::start();
    for cut in [1, 10, 24] {
        let mut stream = raw(&broker);
        stream.write_all(&HELLO[..cut]).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        assert!(refusals(stream).is_empty());
    }
    still_works(&broker);
}

#[test]
fn a_request_before_the_greeting_isnt_taken() {
    let broker = Broker::start();
    let mut stream = raw(&broker);
    let frame = Frame::new(Kind::Request, RequestId::from_bytes([1; 16]), encode(&list()).unwrap()).unwrap();
    stream.write_all(&frame.to_bytes()).unwrap();
    assert_eq!(refusals(stream), [Refusal::NoGreeting]);
    assert_eq!(broker.provider.begun.load(Ordering::SeqCst), 0);
}

#[test]
fn frames_that_only_the_broker_sends_end_the_connection() {
    let broker = Broker::start();
    for kind in [Kind::Hello, Kind::Welcome, Kind::Token, Kind::Answer, Kind::Refused, Kind::Piece] {
        let mut stream = raw(&broker);
        stream.write_all(&HELLO).unwrap();
        stream.write_all(&Frame::new(kind, RequestId::from_bytes([1; 16]), Vec::new()).unwrap().to_bytes()).unwrap();
        assert_eq!(refusals(stream), [Refusal::BadFrame], "{kind:?}");
    }
}

#[test]
fn a_replayed_request_is_done_once() {
    let broker = Broker::start();
    let mut client = broker.client();
    let frame = Frame::new(Kind::Request, RequestId::from_bytes([5; 16]), encode(&list()).unwrap()).unwrap();
    let mut kinds = Vec::new();
    for _ in 0..3 {
        client.send(&frame).unwrap();
        kinds.push(client.receive().unwrap().0.kind());
    }
    // Over another connection, too.
    let mut other = broker.client();
    other.send(&frame).unwrap();
    kinds.push(other.receive().unwrap().0.kind());
    assert_eq!(kinds, [Kind::Answer, Kind::Refused, Kind::Refused, Kind::Refused]);
    assert_eq!(broker.provider.begun.load(Ordering::SeqCst), 1);
}

#[test]
fn documents_that_arent_requests_are_refused_one_by_one() {
    let broker = Broker::start();
    let mut client = broker.client();
    let deep = "[".repeat(100_000);
    let texts =
        ["", "{}", "null", "\u{0}", deep.as_str(), r#"{"intent":{"fetch":{"url":"http://169.254.169.254"}}}"#, r#"{"control":"approve"}"#];
    for (number, text) in texts.into_iter().enumerate() {
        let id = RequestId::from_bytes([u8::try_from(number).unwrap() + 1; 16]);
        client.send(&Frame::new(Kind::Request, id, text.as_bytes().to_vec()).unwrap()).unwrap();
        let (answer, _) = client.receive().unwrap();
        assert_eq!((answer.kind(), answer.id()), (Kind::Refused, id));
        assert_eq!(decode::<Refusal>(answer.payload()).unwrap(), Refusal::Malformed, "{text:.40}");
    }
    client.ask(&list(), None).unwrap();
}

#[test]
fn descriptors_that_nobody_asked_for_end_the_connection() {
    let broker = Broker::start();
    let bulk = BulkFile::from_bytes(b"x").unwrap();
    let id = RequestId::from_bytes([1; 16]);
    // Twice without the request that they belong to; for another request; for a request that takes none.
    let client = broker.client();
    client.send_bulk(id, &bulk).unwrap();
    client.send_bulk(id, &bulk).unwrap();
    assert!(ends_with(client, Refusal::BadFrame));
    let client = broker.client();
    client.send_bulk(RequestId::from_bytes([2; 16]), &bulk).unwrap();
    client.send(&Frame::new(Kind::Request, id, encode(&list()).unwrap()).unwrap()).unwrap();
    assert!(ends_with(client, Refusal::BadFrame));
    let mut client = broker.client();
    client.send_bulk(id, &bulk).unwrap();
    client.send(&Frame::new(Kind::Request, id, encode(&list()).unwrap()).unwrap()).unwrap();
    assert_eq!(decode::<Refusal>(client.receive().unwrap().0.payload()).unwrap(), Refusal::BadBulk);
    // An announcement without a descriptor.
    let client = broker.client();
    client.send(&Frame::new(Kind::Bulk, id, vec![0; 8]).unwrap()).unwrap();
    assert!(ends_with(client, Refusal::BadFrame));
    still_works(&broker);
}

fn ends_with(mut client: keyblind_broker::socket::Client, refusal: Refusal) -> bool {
    let (frame, _) = client.receive().unwrap();
    let is_said = frame.kind() == Kind::Refused && decode::<Refusal>(frame.payload()).unwrap() == refusal;
    is_said && matches!(client.receive(), Err(ClientError::Ended | ClientError::Broken(_)))
}

#[test]
fn many_requests_at_once_are_refused_as_busy_and_none_is_forgotten() {
    let limits = Limits { requests_per_connection: 4, ..Limits::default() };
    let broker = Broker::with(held(), vec![peer(Role::Person, false)], limits);
    let mut client = broker.client();
    for number in 1..=10 {
        let id = RequestId::from_bytes([number; 16]);
        client.send(&Frame::new(Kind::Request, id, encode(&list()).unwrap()).unwrap()).unwrap();
    }
    let mut busy: Vec<u8> = (0..6)
        .map(|_| client.receive().unwrap().0)
        .map(|frame| {
            assert_eq!(decode::<Refusal>(frame.payload()).unwrap(), Refusal::Busy);
            frame.id().as_bytes()[0]
        })
        .collect();
    busy.sort_unstable();
    assert_eq!(busy, [5, 6, 7, 8, 9, 10]);
    // Stopping is never refused as busy, as long as the client itself has room.
    let mut other = broker.client();
    other.ask(&Request::Control(Control::Kill), None).unwrap();
    broker.provider.gate.as_ref().unwrap().add_permits(4);
    let mut done: Vec<u8> = (0..4).map(|_| client.receive().unwrap().0.id().as_bytes()[0]).collect();
    done.sort_unstable();
    assert_eq!(done, [1, 2, 3, 4]);
}

/// Threat 41: one tenant fills every place that it can get, and another is served all the same.
#[test]
fn one_tenant_cant_take_anothers_share() {
    let of = |tenant: &str, needs_token| {
        let peer = peer(Role::Runner, needs_token);
        Peer { session: Session { tenant: tenant.parse().unwrap(), ..peer.session }, ..peer }
    };
    // The other way round: where all are one tenant's, there is no share to keep.
    for (modest, is_served) in [("acme", true), ("octo", false)] {
        let limits = Limits { working: 4, waiting: 4, requests_per_connection: 100, ..Limits::default() };
        let broker = Broker::with(held(), vec![of("octo", false), of(modest, true)], limits);
        let mut greedy = broker.client();
        for number in 1..=20 {
            let id = RequestId::from_bytes([number; 16]);
            greedy.send(&Frame::new(Kind::Request, id, encode(&list()).unwrap()).unwrap()).unwrap();
        }
        let taken = if is_served { 6 } else { 8 };
        for _ in taken..20 {
            assert_eq!(decode::<Refusal>(greedy.receive().unwrap().0.payload()).unwrap(), Refusal::Busy);
        }
        let begun = || broker.provider.begun.load(Ordering::SeqCst);
        eventually("the greedy one's requests begin", || begun() == if is_served { 3 } else { 4 });
        let token = broker.tokens.issue(1).unwrap();
        let mut other = token.expose(|token| Client::connect(&broker.socket, token)).unwrap();
        let id = RequestId::from_bytes([77; 16]);
        other.send(&Frame::new(Kind::Request, id, encode(&list()).unwrap()).unwrap()).unwrap();
        if is_served {
            eventually("the modest one's request begins", || begun() == 4);
            broker.provider.gate.as_ref().unwrap().add_permits(taken + 1);
            assert_eq!(other.receive().unwrap().0.kind(), Kind::Answer);
        } else {
            assert_eq!(decode::<Refusal>(other.receive().unwrap().0.payload()).unwrap(), Refusal::Busy);
            broker.provider.gate.as_ref().unwrap().add_permits(taken);
        }
        for _ in 0..taken {
            assert_eq!(greedy.receive().unwrap().0.kind(), Kind::Answer);
        }
    }
}

#[test]
fn one_client_cant_take_all_the_room() {
    let limits = Limits { working: 2, waiting: 2, request_kibibytes: 8, ..Limits::default() };
    let broker = Broker::with(held(), vec![peer(Role::Person, false)], limits);
    let mut client = broker.client();
    for number in 1..=5 {
        let id = RequestId::from_bytes([number; 16]);
        client.send(&Frame::new(Kind::Request, id, encode(&list()).unwrap()).unwrap()).unwrap();
    }
    let (frame, _) = client.receive().unwrap();
    assert_eq!((frame.id().as_bytes()[0], decode::<Refusal>(frame.payload()).unwrap()), (5, Refusal::Busy));
    assert_eq!(broker.provider.begun.load(Ordering::SeqCst), 2, "two work, two wait");
    broker.provider.gate.as_ref().unwrap().add_permits(4);
    for _ in 0..4 {
        assert_eq!(client.receive().unwrap().0.kind(), Kind::Answer);
    }
    // A large request beyond the room for bytes.
    let text = "x".repeat(9_000);
    let large = request(&format!(
        r#"{{"intent":{{"comment":{{"repository":{{"forge":"github","owner":"o","name":"n"}},"pull_request":1,"marker":"m","text":"{text}"}}}}}}"#
    ));
    assert!(matches!(client.ask(&large, None), Err(ClientError::Refused(Refusal::Busy))));
}

#[test]
fn too_many_connections_of_one_user_are_turned_away() {
    let limits = Limits { connections_per_user: 3, ..Limits::default() };
    let broker = Broker::with(Provider::default(), vec![peer(Role::Person, false)], limits);
    let clients: Vec<_> = (0..3).map(|_| broker.client()).collect();
    assert_eq!(refusals(raw(&broker)), [Refusal::Busy]);
    drop(clients);
    let socket = broker.socket.clone();
    eventually("there is room again", || keyblind_broker::socket::Client::connect(&socket, b"").is_ok());
}

#[test]
fn a_client_that_doesnt_take_its_answers_is_cut_off() {
    let broker = Broker::with(Provider::default(), vec![peer(Role::Person, false)], short());
    let stream = raw(&broker);
    let mut writer = stream.try_clone().unwrap();
    writer.set_write_timeout(Some(Duration::from_secs(5))).unwrap();
    writer.write_all(&HELLO).unwrap();
    let mut is_cut_off = false;
    for number in 0..200_000_u32 {
        let mut id = [1; 16];
        id[..4].copy_from_slice(&number.to_be_bytes());
        let frame = Frame::new(Kind::Request, RequestId::from_bytes(id), b"{}".to_vec()).unwrap();
        if let Err(error) = writer.write_all(&frame.to_bytes()) {
            is_cut_off = matches!(error.kind(), std::io::ErrorKind::BrokenPipe | std::io::ErrorKind::ConnectionReset);
            break;
        }
    }
    assert!(is_cut_off, "the broker queued answers without end, or stopped reading for ever");
    still_works(&broker);
}

#[test]
fn an_effect_isnt_doubled_by_sending_its_bytes_twice() {
    let broker = Broker::start();
    let sarif = BulkFile::from_bytes(b"{}").unwrap();
    let mut client = broker.client();
    let id = RequestId::from_bytes([8; 16]);
    let frame = Frame::new(Kind::Request, id, encode(&upload(&sarif)).unwrap()).unwrap();
    let mut kinds = Vec::new();
    for _ in 0..2 {
        client.send_bulk(id, &sarif).unwrap();
        client.send(&frame).unwrap();
        kinds.push(client.receive().unwrap().0.kind());
    }
    assert_eq!(kinds, [Kind::Answer, Kind::Refused]);
    assert_eq!(broker.provider.done.load(Ordering::SeqCst), 1);
}
