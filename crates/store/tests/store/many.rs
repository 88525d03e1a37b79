//! Ten thousand missions. `cargo test -p keyblind-store --test store ten_thousand -- --ignored --nocapture` prints how long they take.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use keyblind_store::{MissionState, Next};

use crate::support::{at, begin, claim, on_both, turn};

const MISSIONS: usize = 10_000;
const TENANTS: usize = 20;

on_both! {
    #[ignore = "it takes minutes"]
    async fn ten_thousand_drain_turn_by_turn_and_the_last_is_found_as_fast_as_the_first(store) {
        let beginning = Instant::now();
        // One tenant has half of all; each has five owners.
        for number in 0..MISSIONS {
            let tenant = if number % 2 == 0 { 0 } else { 1 + number / 2 % (TENANTS - 1) };
            begin(&store, &format!("tenant-{tenant}"), &format!("owner-{}", number % 5), 0).await;
        }
        let begun = beginning.elapsed();
        let (mut looks, mut order) = (Vec::new(), Vec::new());
        let draining = Instant::now();
        loop {
            let looking = Instant::now();
            let Some(job) = claim(&store, 1).await else { break };
            looks.push(looking.elapsed());
            order.push(job.mission.tenant.as_str().to_owned());
            store.commit(&job.ticket, &turn("done", Next::End(MissionState::Done)), "worker", at(1)).await.unwrap();
        }
        let drained = draining.elapsed();
        assert_eq!(order.len(), MISSIONS);
        // As long as every tenant has something to do, none is served twice before each was once.
        let mut served: BTreeMap<&str, usize> = BTreeMap::new();
        for tenant in &order[..TENANTS * 100] {
            *served.entry(tenant).or_default() += 1;
        }
        assert!(served.len() == TENANTS && served.values().all(|times| *times == 100), "{served:?}");
        let median = |part: &[Duration]| {
            let mut sorted = part.to_vec();
            sorted.sort();
            sorted[sorted.len() / 2]
        };
        let (first, last) = (median(&looks[..1_000]), median(&looks[MISSIONS - 1_000..]));
        #[allow(clippy::print_stdout, reason = "a measurement is for people")]
        {
            println!("begun in {begun:.1?}, drained in {drained:.1?}; a claim takes {first:.2?} with {MISSIONS} queued and {last:.2?} with none");
        }
        assert!(first < last * 8 + Duration::from_millis(20), "{first:?} {last:?}");
    }
}
