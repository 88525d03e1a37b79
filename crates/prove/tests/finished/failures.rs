//! Threat 26: a provider that fails in every way that it can, and says each time what it was sent. None of it may be in anything that the
//! broker writes or answers.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::sync::{Arc, Mutex};

use keyblind_prove::adversary::proposal;
use keyblind_prove::canary::{Canary, Needles};
use keyblind_prove::github::{Fault, Interference, Seen};
use keyblind_prove::{canaries, places};
use serde_json::json;

use crate::bench::{Bench, person, to_read};

/// How a provider fails; each answer holds the credential of the request wherever there is room for one.
const FAULTS: [&str; 10] =
    ["broken", "no gateway", "unauthorized", "forbidden", "not found", "rejected", "moved", "no document", "another document", "too many"];

fn answer(fault: &str, credential: &str) -> Fault {
    let told = json!({"message": credential, "sha": credential, "token": credential, "id": credential, "errors": [credential]}).to_string();
    let headers = vec![("x-request", credential.to_owned()), ("www-authenticate", format!("Bearer {credential}"))];
    match fault {
        "broken" => Fault::Answer(500, headers, told),
        "no gateway" => Fault::Answer(502, headers, credential.to_owned()),
        "unauthorized" => Fault::Answer(401, headers, told),
        "forbidden" => Fault::Answer(403, headers, told),
        "not found" => Fault::Answer(404, headers, told),
        "rejected" => Fault::Answer(422, headers, told),
        "moved" => Fault::Answer(302, vec![("location", format!("http://elsewhere.example/{credential}?token={credential}"))], told),
        "no document" => Fault::Answer(200, headers, credential.repeat(3)),
        "another document" => Fault::Answer(200, headers, told),
        _ => Fault::Answer(429, vec![("retry-after", "0".to_owned()), ("x-request", credential.to_owned())], told),
    }
}

/// The request of a mission that fails: each time that it is sent, until the mission is over.
#[derive(Default)]
struct Plan {
    fault: Option<&'static str>,
    /// Which request it is, and how many have come.
    at: usize,
    come: usize,
    chosen: Option<String>,
    /// Whether it is the end of a token that fails, once.
    is_revocation: bool,
    failures: usize,
    credentials: BTreeSet<String>,
}

impl Plan {
    fn decide(&mut self, seen: &Seen<'_>) -> Option<Fault> {
        self.credentials.insert(seen.credential.to_owned());
        let fault = self.fault.filter(|_| !seen.is_done)?;
        let is_revocation = seen.request.starts_with("DELETE ");
        if is_revocation != self.is_revocation {
            return None;
        }
        self.come += 1;
        if self.come == self.at {
            self.chosen = Some(seen.request.to_owned());
        }
        if self.chosen.as_deref() != Some(seen.request) {
            return None;
        }
        if is_revocation {
            self.fault = None;
        }
        self.failures += 1;
        Some(answer(fault, seen.credential))
    }
}

#[test]
fn a_hundred_failures_say_nothing_of_a_credential() {
    let mut bench = Bench::started();
    let plan: Arc<Mutex<Plan>> = Arc::default();
    let deciding = Arc::clone(&plan);
    let interference: Interference = Arc::new(move |seen| deciding.lock().unwrap().decide(seen));
    bench.github.interfere(Some(interference));
    let mut answers = std::fs::File::create(bench.world.path("captured/answers")).unwrap();
    let after = b"# another text\n";
    let mut failed = 0;
    for (mission, requests) in [("read", 8), ("propose", 10)] {
        for at in 1..=requests {
            for fault in FAULTS {
                {
                    let mut plan = plan.lock().unwrap();
                    *plan = Plan { fault: Some(fault), at, credentials: std::mem::take(&mut plan.credentials), ..Plan::default() };
                }
                let mut client = person(&bench.world).unwrap();
                let back = match mission {
                    "read" => client.document(&to_read()).unwrap(),
                    _ => client.attached(after, &proposal(&bench.github, after)).unwrap(),
                };
                writeln!(answers, "{mission}, request {at}, {fault}: {back:?}").unwrap();
                failed += usize::from(plan.lock().unwrap().failures > 0);
            }
        }
    }
    for fault in FAULTS {
        {
            let mut plan = plan.lock().unwrap();
            *plan = Plan {
                fault: Some(fault),
                at: 1,
                is_revocation: true,
                credentials: std::mem::take(&mut plan.credentials),
                ..Plan::default()
            };
        }
        person(&bench.world).unwrap().document(&to_read()).unwrap();
        crate::bench::eventually("a revocation that fails", || plan.lock().unwrap().failures > 0);
        failed += 1;
    }
    bench.github.interfere(None);
    assert!(failed >= 100, "only {failed} missions met a failure");
    for asked in ["doctor", "login", "kill", "arm"] {
        // Whether it succeeds doesn't matter here.
        writeln!(answers, "{:?}", bench.world.ask_broker(&[asked])).unwrap();
    }
    // Who says that it doesn't know a token any more is believed, and one of these failures said so.
    crate::bench::eventually("the end of every token", || bench.github.tokens().1 == 1);

    let mut all = canaries(&bench.world, &bench.github).unwrap();
    // The App's own word as well, with which tokens are asked for: of each its signature.
    let seen = std::mem::take(&mut plan.lock().unwrap().credentials);
    let signed = seen.iter().filter_map(|word| word.rsplit_once('.')).map(|(_, signature)| signature.to_owned());
    all.extend(signed.map(|signature| Canary { name: "the App's word".to_owned(), bytes: signature.into_bytes() }));
    let needles = Needles::of(&all).unwrap();
    let search = |bench: &Bench| places::files(bench.world.folder(), &[&bench.world.vault_key(), &bench.world.path("programs")], &needles);
    let while_it_runs = search(&bench);
    let (report, export) = bench.record();
    std::fs::write(bench.world.path("captured/ledger.jsonl"), export).unwrap();
    let afterwards = search(&bench);
    assert!(while_it_runs.hits.is_empty() && afterwards.hits.is_empty(), "{:?} {:?}", while_it_runs.hits, afterwards.hits);
    assert!(while_it_runs.not_checked.is_empty() && afterwards.not_checked.is_empty());
    println!(
        "{failed} missions with a failure, {} credentials, {} entries of the record, {} bytes searched: 0 hits",
        all.len(),
        report.entries,
        while_it_runs.bytes + afterwards.bytes
    );
    // The same search finds what is there.
    writeln!(answers, "{}", seen.iter().next_back().unwrap()).unwrap();
    assert!(!search(&bench).hits.is_empty());
}
