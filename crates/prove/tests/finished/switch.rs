//! Threat 43: a stop while the provider doesn't answer the revocation.

use std::sync::Arc;
use std::time::{Duration, Instant};

use keyblind_prove::github::{Fault, Interference};

use crate::bench::{Bench, Read, eventually, propose, read};

#[test]
fn a_stop_holds_while_the_provider_does_not_answer() {
    let mut bench = Bench::started();
    let silent: Interference = Arc::new(|seen| (!seen.is_done && seen.request == "DELETE installation/token").then_some(Fault::Silence));
    bench.github.interfere(Some(silent));
    assert_eq!(read(&bench.world).unwrap(), Read::Done);
    let waiting = propose(&bench.world, &bench.github, "keyblind/waits").unwrap();
    assert_eq!(bench.github.tokens(), (2, 2), "nobody has ended them");

    let begun = Instant::now();
    let said = String::from_utf8(bench.world.ask_broker(&["kill"]).unwrap()).unwrap();
    assert!(said.starts_with("stopped (stop 1): 0 revoked, 2 waiting to be revoked"), "{said}");
    assert!(begun.elapsed() < Duration::from_secs(9), "a stop waits for no provider: {:?}", begun.elapsed());
    // A stop ends every session as well.
    let mut person = bench.world.log_in().unwrap();
    let asked = bench.github.requests();
    assert_eq!(read(&bench.world).unwrap(), Read::Stopped);
    assert!(person.decide(&waiting.to_string(), "approve").is_err(), "what waited is void: its page has no form");
    assert_eq!(bench.github.requests(), asked, "nothing is asked of the provider but the end of tokens");
    let page = person.get("/stop").unwrap().text;
    assert_eq!(page.matches("lease ").count(), 2, "each that may live is named: {page}");

    // A stop doesn't keep them from their end, once the provider answers.
    bench.github.interfere(None);
    bench.all_revoked();
    assert_eq!(read(&bench.world).unwrap(), Read::Stopped);
    // The other way round: armed, the same is read.
    bench.world.ask_broker(&["arm"]).unwrap();
    eventually("work is taken up", || read(&bench.world).unwrap() == Read::Done);
    bench.all_revoked();
    bench.record();
}
