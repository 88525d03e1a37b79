//! Many clients of the finished broker at once, and what it costs beside the disk. `cargo xtask bench --only broker` runs the same with 200
//! clients and an optimised broker: `KEYBLIND_CLIENTS` and `KEYBLIND_REQUESTS` set the numbers.

use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use keyblind_intent::{Answer, Outcome, Refusal, Report};
use keyblind_prove::adversary::{Back, Enemy};
use serde_json::{Value, json};

use crate::bench::{Bench, person, propose, to_read};
use crate::number;

/// Asks until it isn't busy any more: that is what a client does.
fn ask(client: &mut Enemy, request: &Value, busy: &AtomicUsize) -> Back {
    loop {
        match client.document(request).unwrap() {
            Back::Refused(Refusal::Busy) => {
                busy.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(5));
            }
            back => return back,
        }
    }
}

/// A request that is recorded and then refused: the repository is nobody's whom the tenant reaches.
fn out_of_reach() -> Value {
    let repository = json!({"forge": "github", "owner": "elsewhere", "name": "infra"});
    json!({"intent": {"read-repository": {"repository": repository, "revision": "default-branch"}}})
}

/// Of ten requests: two read the repository (each borrows a token, asks the provider eight times, and hands an archive over), three ask how
/// far a change is, three are recorded and refused, one lists what is connected, and one isn't configured.
#[test]
fn no_answer_is_lost_among_many_clients_of_the_finished_broker() {
    let (clients, requests) = (number("KEYBLIND_CLIENTS", 24), number("KEYBLIND_REQUESTS", 10));
    let mut bench = Bench::started();
    let change = propose(&bench.world, &bench.github, "keyblind/waits").unwrap();
    let (answers, busy) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let started = Instant::now();
    let mut times: Vec<Duration> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..clients)
            .map(|number| {
                let (bench, answers, busy) = (&bench, &answers, &busy);
                let body = move || {
                    let mut client = person(&bench.world).unwrap();
                    let mut times = Vec::new();
                    for request in 0..requests {
                        let asked = Instant::now();
                        // Each begins elsewhere in the mix.
                        let is_right = match (number + request) % 10 {
                            0 | 5 => match ask(&mut client, &to_read(), busy) {
                                Back::Answer(answer) => matches!(*answer, Answer::Outcome(Outcome::RepositoryRead { .. })),
                                _ => false,
                            },
                            1 | 4 | 7 => match ask(&mut client, &json!({"control": {"follow-change": {"digest": change}}}), busy) {
                                Back::Answer(answer) => {
                                    matches!(*answer, Answer::Report(Report::Change { digest, .. }) if digest == change)
                                }
                                _ => false,
                            },
                            2 | 6 | 8 => matches!(ask(&mut client, &out_of_reach(), busy), Back::Refused(Refusal::OtherTenant)),
                            3 => match ask(&mut client, &json!({"control": "list-connections"}), busy) {
                                Back::Answer(answer) => matches!(*answer, Answer::Report(Report::Connections { .. })),
                                _ => false,
                            },
                            _ => {
                                let snapshot =
                                    json!({"account": "123456789012", "regions": ["eu-central-1"], "services": ["s3"], "most_calls": 5});
                                match ask(&mut client, &json!({"intent": {"snapshot-account": snapshot}}), busy) {
                                    Back::Answer(answer) => matches!(*answer, Answer::Outcome(Outcome::NotConfigured { .. })),
                                    _ => false,
                                }
                            }
                        };
                        assert!(is_right, "client {number}, request {request}");
                        answers.fetch_add(1, Ordering::Relaxed);
                        times.push(asked.elapsed());
                    }
                    times
                };
                std::thread::Builder::new().stack_size(512 << 10).spawn_scoped(scope, body).unwrap()
            })
            .collect();
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    });
    let took = started.elapsed();
    assert_eq!(answers.load(Ordering::Relaxed) as u64, clients * requests, "none is lost");
    bench.all_revoked();
    let reads = bench.github.tokens().0;
    let (report, _) = bench.record();
    times.sort_unstable();
    let at = |share: usize| times[(times.len() - 1) * share / 100].as_secs_f64() * 1_000.0;
    println!(
        "{clients} clients, {} answers in {took:.2?}: {:.0} a second; half within {:.0} ms, 99 of 100 within {:.0} ms, all within {:.0} ms; \
         {} times busy; {reads} tokens given and revoked, {} entries of the record",
        times.len(),
        times.len() as f64 / took.as_secs_f64(),
        at(50),
        at(99),
        at(100),
        busy.into_inner(),
        report.entries
    );
}

/// What a process has used of the processor's time.
fn cpu(process: rustix::process::Pid) -> Duration {
    let text = std::fs::read_to_string(format!("/proc/{}/stat", process.as_raw_nonzero())).unwrap();
    let words: Vec<&str> = text.rsplit_once(')').unwrap().1.split_ascii_whitespace().collect();
    let ticks: u64 = words[11].parse::<u64>().unwrap() + words[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 1_000 / rustix::param::clock_ticks_per_second())
}

/// One client, one request after the other, and in turn with each a block that is written and made durable by `fdatasync`, in the same folder.
#[test]
fn the_brokers_own_work_beside_the_disk() {
    let rounds = number("KEYBLIND_REQUESTS", 50);
    let mut bench = Bench::started();
    let change = propose(&bench.world, &bench.github, "keyblind/waits").unwrap();
    bench.all_revoked();
    let mut client = person(&bench.world).unwrap();
    let mut block = File::options().create_new(true).write(true).open(bench.world.path("state/block")).unwrap();
    // As long as it will be: what is measured isn't the growth of a file.
    block.write_all(&vec![1; 1 << 20]).unwrap();
    block.sync_all().unwrap();
    let (mut alone, mut recorded, mut asked) = (Vec::new(), Vec::new(), Vec::new());
    let timed = |times: &mut Vec<Duration>, work: &mut dyn FnMut()| {
        let begins = Instant::now();
        work();
        times.push(begins.elapsed());
    };
    let process = bench.world.process().unwrap();
    let before = cpu(process);
    for round in 0..rounds {
        block.seek(SeekFrom::Start(round % 256 * 4_096)).unwrap();
        timed(&mut alone, &mut || {
            block.write_all(&[7; 4_096]).unwrap();
            block.sync_data().unwrap();
        });
        timed(&mut recorded, &mut || {
            assert!(matches!(client.document(&out_of_reach()).unwrap(), Back::Refused(Refusal::OtherTenant)));
        });
        timed(&mut asked, &mut || {
            let back = client.document(&json!({"control": {"follow-change": {"digest": change}}})).unwrap();
            assert!(matches!(back, Back::Answer(_)), "{back:?}");
        });
    }
    let used = cpu(process) - before;
    std::fs::remove_file(bench.world.path("state/block")).unwrap();
    let (report, _) = bench.record();
    assert!(report.entries > rounds, "each was recorded");
    let median = |times: &mut Vec<Duration>| {
        times.sort_unstable();
        times[times.len() / 2].as_secs_f64() * 1_000.0
    };
    let (alone, recorded, asked) = (median(&mut alone), median(&mut recorded), median(&mut asked));
    println!(
        "medians of {rounds}: {recorded:.2} ms for a request with one durable entry, {asked:.2} ms for one without, {alone:.2} ms for \
         4 KiB and `fdatasync` alone; the broker's own work is {:.2} of `fdatasync`; {:.2} ms of the processor's time for both requests",
        (recorded - alone) / alone,
        used.as_secs_f64() * 1_000.0 / rounds as f64
    );
}
