//! Who works on what.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use keyblind_store::{Hold, Limits, MissionState, Next, StoreError};

use crate::support::{HOLD, WIDE, at, begin, claim, event, on_both, tenant, turn};

on_both! {
    async fn a_worker_that_lets_its_time_pass_has_nothing_to_say_any_more(store) {
        let id = begin(&store, "octo", "anna", 0).await;
        let late = claim(&store, 0).await.unwrap();
        assert!(claim(&store, 30).await.is_none(), "it is held for thirty seconds");
        assert_eq!(store.hold(&late.ticket, at(20), HOLD).await.unwrap(), Hold::Held);
        assert!(claim(&store, 45).await.is_none(), "it was held on");
        let next = claim(&store, 51).await.expect("its time is over");
        assert_eq!((next.mission.id, next.attempt), (id, 2));

        assert_eq!(store.hold(&late.ticket, at(52), HOLD).await.unwrap(), Hold::Lost);
        assert!(matches!(store.tell(&late.ticket, &[event("late")], at(52)).await, Err(StoreError::Lost)));
        let end = turn("late", Next::End(MissionState::Failed));
        assert!(matches!(store.commit(&late.ticket, &end, "late", at(52)).await, Err(StoreError::Lost)));
        store.commit(&next.ticket, &turn("done", Next::End(MissionState::Done)), "next", at(53)).await.unwrap();
        assert!(matches!(store.commit(&next.ticket, &end, "next", at(54)).await, Err(StoreError::Lost)), "once is once");
        let events = store.events(&tenant("octo"), id, 0, 10).await.unwrap();
        assert_eq!(events.iter().map(|event| event.kind.as_str()).collect::<Vec<_>>(), ["begun", "done"]);
        assert_eq!(events.iter().map(|event| event.number).collect::<Vec<_>>(), [1, 2]);
    }

    async fn nobody_waits_behind_a_tenant_with_much_to_do(store) {
        for _ in 0..20 {
            begin(&store, "busy", "anna", 0).await;
        }
        let small = [begin(&store, "small", "bert", 5).await, begin(&store, "small", "bert", 6).await];
        let mut order = Vec::new();
        for second in 10..14 {
            let job = claim(&store, second).await.unwrap();
            order.push(job.mission.tenant.as_str().to_owned());
            store.commit(&job.ticket, &turn("done", Next::End(MissionState::Done)), "worker", at(second)).await.unwrap();
        }
        order.sort();
        assert_eq!(order, ["busy", "busy", "small", "small"], "turn by turn");
        for id in small {
            assert_eq!(store.mission(&tenant("small"), id).await.unwrap().unwrap().state, MissionState::Done);
        }
    }

    async fn a_tenant_with_fewer_running_steps_goes_first(store) {
        begin(&store, "busy", "anna", 0).await;
        begin(&store, "busy", "anna", 0).await;
        begin(&store, "busy", "anna", 0).await;
        let held = claim(&store, 1).await.unwrap();
        assert_eq!(held.mission.tenant, tenant("busy"));
        // The small one has its turn, so that it was served last; still it runs nothing, and the busy one runs a step.
        let small = begin(&store, "small", "bert", 2).await;
        let job = claim(&store, 3).await.unwrap();
        assert_eq!(job.mission.id, small);
        let next = Next::Step { step: "fix", ready: at(4), attempt: 0, waits_for: None };
        store.commit(&job.ticket, &turn("scanned", next), "worker", at(4)).await.unwrap();
        assert_eq!(claim(&store, 5).await.unwrap().mission.id, small);
    }

    async fn who_was_silent_for_too_long_has_nothing_to_say_even_if_nobody_else_came(store) {
        let id = begin(&store, "octo", "anna", 0).await;
        let job = claim(&store, 0).await.unwrap();
        assert_eq!(store.hold(&job.ticket, at(31), HOLD).await.unwrap(), Hold::Lost);
        assert!(matches!(store.tell(&job.ticket, &[event("late")], at(31)).await, Err(StoreError::Lost)));
        let end = turn("late", Next::End(MissionState::Done));
        assert!(matches!(store.commit(&job.ticket, &end, "worker", at(31)).await, Err(StoreError::Lost)));
        assert_eq!(claim(&store, 31).await.unwrap().mission.id, id);
    }

    async fn the_oldest_of_a_tenant_goes_first_and_what_waits_lets_others_pass(store) {
        let first = begin(&store, "octo", "anna", 0).await;
        let second = begin(&store, "octo", "anna", 1).await;
        let job = claim(&store, 2).await.unwrap();
        assert_eq!(job.mission.id, first);
        let later = Next::Step { step: "approval", ready: at(60), attempt: 0, waits_for: Some(keyblind_store::WaitsFor::Time) };
        store.commit(&job.ticket, &turn("planned", later), "worker", at(3)).await.unwrap();
        let other = claim(&store, 4).await.unwrap();
        assert_eq!(other.mission.id, second);
        assert!(claim(&store, 5).await.is_none());
        let again = Next::Step { step: "fix", ready: at(6), attempt: 0, waits_for: None };
        store.commit(&other.ticket, &turn("scanned", again), "worker", at(6)).await.unwrap();
        assert_eq!(claim(&store, 60).await.unwrap().mission.id, first, "the mission that began first");
    }

    async fn no_limit_is_passed_however_many_ask_at_once(store) {
        for number in 0..60 {
            let owner = format!("owner-{}", number % 4);
            begin(&store, if number % 3 == 0 { "octo" } else { "other" }, &owner, 0).await;
        }
        let limits = Limits { total: 6, tenant: 4, owner: 2 };
        let mut held = Vec::new();
        while let Some(job) = store.claim("worker", limits, at(0), HOLD).await.unwrap() {
            held.push(job);
        }
        assert_eq!(held.len(), 6, "as many as the limits allow");
        for job in held {
            store.commit(&job.ticket, &turn("done", Next::End(MissionState::Done)), "worker", at(0)).await.unwrap();
        }
        let (running, done) = (Arc::new(std::sync::Mutex::new(HashMap::new())), Arc::new(AtomicUsize::new(6)));
        let mut workers = Vec::new();
        for _ in 0..12 {
            let (store, running, done) = (store.clone(), Arc::clone(&running), Arc::clone(&done));
            workers.push(tokio::spawn(async move {
                while done.load(Ordering::SeqCst) < 60 {
                    let Some(job) = store.claim("worker", limits, at(1), HOLD).await.unwrap() else {
                        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
                        continue;
                    };
                    let key = (job.mission.tenant.clone(), job.mission.owner.clone());
                    {
                        let mut running = running.lock().unwrap();
                        *running.entry(key.clone()).or_insert(0_usize) += 1;
                        assert!(running[&key] <= 2, "one owner's");
                        assert!(running.iter().filter(|((tenant, _), _)| *tenant == key.0).map(|(_, count)| count).sum::<usize>() <= 4);
                        assert!(running.values().sum::<usize>() <= 6, "in all");
                    }
                    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                    // It counts as ended before the database knows: what is asserted is never too strict.
                    *running.lock().unwrap().get_mut(&key).unwrap() -= 1;
                    store.commit(&job.ticket, &turn("done", Next::End(MissionState::Done)), "worker", at(1)).await.unwrap();
                    done.fetch_add(1, Ordering::SeqCst);
                }
            }));
        }
        for worker in workers {
            worker.await.unwrap();
        }
        assert_eq!(done.load(Ordering::SeqCst), 60, "each once");
        assert!(store.claim("worker", WIDE, at(2), HOLD).await.unwrap().is_none());
    }
}
