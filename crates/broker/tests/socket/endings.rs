//! Clients that die, brokers that stop, requests that nobody waits for.

use std::sync::atomic::Ordering;
use std::time::Duration;

use keyblind_broker::dispatch::Role;
use keyblind_broker::socket::{BulkFile, ClientError, Limits};
use keyblind_intent::*;

use crate::support::{Broker, eventually, held, list, open_descriptors, peer, read, upload};

fn frame(kind: Kind, id: u8, payload: Vec<u8>) -> Frame {
    Frame::new(kind, RequestId::from_bytes([id; 16]), payload).unwrap()
}

#[test]
fn a_client_that_dies_while_reading_leaves_nothing_behind() {
    let broker = Broker::alone(held(), Limits::default());
    // Once, so that what is made on first use is there.
    drop(broker.client());
    let before = open_descriptors();
    for round in 1..=20 {
        let client = broker.client();
        client.send(&frame(Kind::Request, 1, encode(&read("shop")).unwrap())).unwrap_or_default();
        let client = if round % 2 == 0 { client } else { broker.client() };
        client.send(&frame(Kind::Request, u8::try_from(round).unwrap() + 1, encode(&list()).unwrap())).unwrap();
        let begun = &broker.provider.begun;
        eventually("the request begins", || begun.load(Ordering::SeqCst) >= round);
        drop(client);
    }
    let provider = &broker.provider;
    eventually("all requests are dropped", || provider.dropped.load(Ordering::SeqCst) == provider.begun.load(Ordering::SeqCst));
    eventually("all descriptors are closed", || open_descriptors() <= before);
    assert_eq!(provider.done.load(Ordering::SeqCst), 0);
    assert_eq!(broker.stop(), 0);
}

#[test]
fn a_change_that_has_begun_is_done_to_its_end_without_its_client() {
    let broker = Broker::held();
    let sarif = BulkFile::from_bytes(b"{}").unwrap();
    let client = broker.client();
    client.send_bulk(RequestId::from_bytes([9; 16]), &sarif).unwrap();
    client.send(&frame(Kind::Request, 9, encode(&upload(&sarif)).unwrap())).unwrap();
    let provider = &broker.provider;
    eventually("it begins", || provider.begun.load(Ordering::SeqCst) == 1);
    drop(client);
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(provider.dropped.load(Ordering::SeqCst), 0);
    provider.gate.as_ref().unwrap().add_permits(1);
    eventually("it is done", || provider.done.load(Ordering::SeqCst) == 1);
}

#[test]
fn a_client_that_dies_in_the_middle_of_a_frame_with_a_descriptor_leaves_nothing_behind() {
    let broker = Broker::alone(held(), Limits::default());
    drop(broker.client());
    let before = open_descriptors();
    for _ in 0..20 {
        let sarif = BulkFile::from_bytes(&[7; 100_000]).unwrap();
        let client = broker.client();
        client.send_bulk(RequestId::from_bytes([9; 16]), &sarif).unwrap();
    }
    eventually("all descriptors are closed", || open_descriptors() <= before);
}

#[test]
fn a_request_can_be_cancelled_and_is_answered_once() {
    let broker = Broker::held();
    let mut client = broker.client();
    client.send(&frame(Kind::Request, 3, encode(&read("shop")).unwrap())).unwrap();
    let provider = &broker.provider;
    eventually("it begins", || provider.begun.load(Ordering::SeqCst) == 1);
    client.send(&frame(Kind::Cancel, 3, Vec::new())).unwrap();
    let (answer, _) = client.receive().unwrap();
    assert_eq!((answer.kind(), answer.id()), (Kind::Refused, RequestId::from_bytes([3; 16])));
    assert_eq!(decode::<Refusal>(answer.payload()).unwrap(), Refusal::Cancelled);
    assert_eq!(provider.dropped.load(Ordering::SeqCst), 1);
    // Cancelling what isn't there is nothing.
    client.send(&frame(Kind::Cancel, 3, Vec::new())).unwrap();
    client.send(&frame(Kind::Cancel, 44, Vec::new())).unwrap();
    provider.gate.as_ref().unwrap().add_permits(1);
    client.ask(&list(), None).unwrap();
}

#[test]
fn a_request_that_takes_too_long_is_answered_as_such() {
    let limits = Limits { request: Duration::from_millis(100), ..Limits::default() };
    let broker = Broker::with(held(), vec![peer(Role::Person, false)], limits);
    let error = broker.client().ask(&list(), None).unwrap_err();
    assert!(matches!(error, ClientError::Refused(Refusal::TimedOut)), "{error}");
    let provider = &broker.provider;
    eventually("the work is dropped", || provider.dropped.load(Ordering::SeqCst) == 1);
}

#[test]
fn a_broker_that_stops_ends_what_it_has_begun() {
    let mut broker = Broker::held();
    let mut client = broker.client();
    client.send(&frame(Kind::Request, 1, encode(&read("shop")).unwrap())).unwrap();
    let provider = std::sync::Arc::clone(&broker.provider);
    eventually("it begins", || provider.begun.load(Ordering::SeqCst) == 1);
    broker.signal_stop();
    let socket = broker.socket.clone();
    eventually("nobody new is let in", || keyblind_broker::socket::Client::connect(&socket, b"").is_err());
    provider.gate.as_ref().unwrap().add_permits(1);
    // What was begun is answered, and then the client is told why there is no more.
    let kinds: Vec<Kind> = std::iter::from_fn(|| client.receive().ok()).map(|(frame, _)| frame.kind()).collect();
    assert_eq!(kinds, [Kind::Bulk, Kind::Answer, Kind::Refused]);
    assert_eq!(broker.stop(), 0);
}

#[test]
fn a_broker_that_stops_doesnt_wait_for_ever() {
    let limits = Limits { stopping: Duration::from_millis(200), ..Limits::default() };
    let broker = Broker::with(held(), vec![peer(Role::Person, false)], limits);
    let client = broker.client();
    client.send(&frame(Kind::Request, 1, encode(&list()).unwrap())).unwrap();
    let provider = std::sync::Arc::clone(&broker.provider);
    eventually("it begins", || provider.begun.load(Ordering::SeqCst) == 1);
    assert_eq!(broker.stop(), 1, "it says what it cut off");
}
