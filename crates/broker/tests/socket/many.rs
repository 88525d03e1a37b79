//! Many clients at once. `cargo xtask soak` runs the same with 200 clients: `KEYBLIND_CLIENTS` and `KEYBLIND_REQUESTS` set the numbers.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use keyblind_broker::socket::{BulkFile, Client, ClientError, Limits};
use keyblind_intent::*;

use crate::support::{Broker, Provider, eventually, list, open_descriptors, read, request, upload};

fn number(name: &str, usual: usize) -> usize {
    std::env::var(name).map_or(usual, |text| text.parse().unwrap())
}

/// Asks until it isn't busy any more: that is what a client does.
fn ask(client: &mut Client, busy: &AtomicUsize, request: &Request, attached: Option<&BulkFile>) -> (Answer, Option<BulkFile>) {
    loop {
        match client.ask(request, attached) {
            Ok(answered) => return answered,
            Err(ClientError::Refused(Refusal::Busy)) => {
                busy.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(2));
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// Of ten requests: four lists, three repositories with a descriptor back, two reports with a descriptor there, one that nobody handles.
/// Every eighth client hangs up after each fifth request and comes back.
#[test]
fn no_answer_is_lost_among_many_clients() {
    let (clients, requests) = (number("KEYBLIND_CLIENTS", 40), number("KEYBLIND_REQUESTS", 30));
    let limits = Limits { working: 16, waiting: 64, ..Limits::default() };
    let broker = Broker::alone(Provider::default(), limits);
    drop(broker.client());
    let before = open_descriptors();
    let (answers, busy, longest) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    let started = Instant::now();
    std::thread::scope(|scope| {
        for client_number in 0..clients {
            let (broker, answers, busy, longest) = (&broker, &answers, &busy, &longest);
            let body = move || {
                let mut client = broker.client();
                for request_number in 0..requests {
                    let asked = Instant::now();
                    match request_number % 10 {
                        0..4 => assert!(matches!(ask(&mut client, busy, &list(), None).0, Answer::Outcome(Outcome::Notified))),
                        4..7 => {
                            let name = format!("shop-{client_number}-{request_number}");
                            let (answer, attached) = ask(&mut client, busy, &read(&name), None);
                            let Answer::Outcome(Outcome::RepositoryRead { repository, .. }) = answer else { panic!("{answer:?}") };
                            // Nobody gets somebody else's answer.
                            assert_eq!(repository.name.as_str(), name);
                            assert_eq!(attached.unwrap().read(100).unwrap(), name.as_bytes());
                        }
                        7..9 => {
                            let sarif = BulkFile::from_bytes(&vec![b' '; 1 + client_number]).unwrap();
                            let (answer, _) = ask(&mut client, busy, &upload(&sarif), Some(&sarif));
                            let Answer::Outcome(Outcome::SarifUploaded { id, .. }) = answer else { panic!("{answer:?}") };
                            assert!(id.for_terminal().starts_with(&format!("{} bytes", 1 + client_number)));
                        }
                        _ => {
                            let nobody = request(
                                r#"{"intent":{"notify":{"channel":"c","event":"new-findings","repository":null,"account":null,"findings":null,"code":null}}}"#,
                            );
                            let (answer, _) = ask(&mut client, busy, &nobody, None);
                            assert!(matches!(answer, Answer::Outcome(Outcome::NotConfigured { .. })));
                        }
                    }
                    answers.fetch_add(1, Ordering::Relaxed);
                    longest.fetch_max(usize::try_from(asked.elapsed().as_micros()).unwrap(), Ordering::Relaxed);
                    if client_number % 8 == 0 && request_number % 5 == 4 {
                        client = broker.client();
                    }
                }
            };
            std::thread::Builder::new().stack_size(256 << 10).spawn_scoped(scope, body).unwrap();
        }
    });
    let took = started.elapsed();
    let answers = answers.into_inner();
    assert_eq!(answers, clients * requests);
    // Shown with `--nocapture`: how quick it was, and how often somebody had to come again.
    let rate = answers as f64 / took.as_secs_f64();
    println!(
        "{clients} clients, {answers} answers in {took:.2?}: {rate:.0} a second, the longest took {:.1} ms, {} times busy",
        longest.into_inner() as f64 / 1_000.0,
        busy.into_inner()
    );
    eventually("all descriptors are closed", || open_descriptors() <= before);
    assert_eq!(broker.stop(), 0);
}
