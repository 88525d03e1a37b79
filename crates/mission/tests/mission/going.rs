//! How missions go on, and how they end.

use std::time::Duration;

use keyblind_store::{Cancelled, MissionState};
use tokio::sync::watch;

use crate::support::{Act, Script, World, on_both};

on_both! {
    async fn each_step_is_done_once_and_hands_on_what_it_knows(world) {
        let id = world.begin().await;
        let script = Script::default();
        let runner = world.runner(script.clone());
        while runner.step().await.unwrap() {}
        assert_eq!(world.row(id).await.state, MissionState::Done);
        assert_eq!(*script.done.lock().unwrap(), ["scan -", "fix \"after scan\"", "report \"after fix\""]);
        assert_eq!(
            world.told(id).await,
            ["begun", "step-begun", "said", "step-begun", "said", "step-begun", "said", "done"],
            "nothing is left out"
        );
    }

    async fn what_fails_for_now_is_tried_again_later_and_later(world) {
        let id = world.begin().await;
        let runner = world.runner(Script::of([Act::Passing, Act::Passing]));
        assert!(runner.step().await.unwrap());
        assert_eq!(world.row(id).await.state, MissionState::Waiting);
        assert!(!runner.step().await.unwrap(), "not at once");
        world.hands.forward(2);
        assert!(runner.step().await.unwrap());
        world.hands.forward(2);
        assert!(!runner.step().await.unwrap(), "the second pause is longer");
        world.hands.forward(2);
        while runner.step().await.unwrap() {}
        assert_eq!(world.row(id).await.state, MissionState::Done);
        assert_eq!(world.told(id).await.iter().filter(|kind| *kind == "retried").count(), 2);
    }

    async fn what_waits_for_days_costs_no_attempt(world) {
        let id = world.begin().await;
        let runner = world.runner(Script::of(std::iter::repeat_n(Act::Waits(86_400), 10)));
        for _ in 0..10 {
            assert!(runner.step().await.unwrap());
            assert!(!runner.step().await.unwrap());
            assert_eq!(world.row(id).await.state, MissionState::Waiting);
            world.hands.forward(86_400);
        }
        while runner.step().await.unwrap() {}
        assert_eq!(world.row(id).await.state, MissionState::Done);
    }

    async fn a_mission_is_taken_up_where_its_worker_died(world) {
        let id = world.begin().await;
        let script = Script::of([Act::Well, Act::Hangs]);
        let dying = world.runner(script.clone());
        assert!(dying.step().await.unwrap());
        // It dies within the second step: the future is dropped as a killed process drops it, without a word to the database.
        assert!(tokio::time::timeout(Duration::from_millis(300), dying.step()).await.is_err());
        let next = world.runner(script.clone());
        assert!(!next.step().await.unwrap(), "it is still held");
        world.hands.forward(31);
        while next.step().await.unwrap() {}
        assert_eq!(world.row(id).await.state, MissionState::Done);
        assert_eq!(
            *script.done.lock().unwrap(),
            ["scan -", "fix \"after scan\"", "fix \"after scan\"", "report \"after fix\""],
            "the step that was done isn't done again"
        );
    }

    async fn a_step_that_kills_its_worker_is_not_begun_for_ever(world) {
        let id = world.begin().await;
        let script = Script::of(std::iter::repeat_n(Act::Hangs, 10));
        for _ in 0..6 {
            let _ = tokio::time::timeout(Duration::from_millis(200), world.runner(script.clone()).step()).await;
            world.hands.forward(31);
        }
        assert_eq!(world.row(id).await.state, MissionState::Failed);
        assert_eq!(script.done.lock().unwrap().len(), 3);
    }

    async fn a_step_that_was_cancelled_ends_soon(world) {
        let id = world.begin().await;
        let runner = world.runner(Script::of([Act::Hangs]));
        let working = tokio::spawn(async move { runner.step().await });
        while world.row(id).await.events < 3 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let answer = world.store.cancel(&world.tenant, id, &world.owner, keyblind_mission::Clock::now(&world.hands)).await.unwrap();
        assert_eq!(answer, Cancelled::Asked);
        assert!(tokio::time::timeout(Duration::from_secs(5), working).await.expect("within five seconds").unwrap().unwrap());
        assert_eq!(world.row(id).await.state, MissionState::Cancelled);
        assert_eq!(world.told(id).await.last().map(String::as_str), Some("cancelled"));
    }

    async fn a_request_of_another_version_is_said_to_be_one(world) {
        let mission = keyblind_store::NewMission {
            tenant: &world.tenant,
            owner: &world.owner,
            kind: "scan-moon",
            request: r#"{"kind":"scan-moon"}"#,
            step: "scan",
            idempotency: None,
        };
        let id = world.store.begin(&mission, keyblind_mission::Clock::now(&world.hands)).await.unwrap().id();
        assert!(world.runner(Script::default()).step().await.unwrap());
        assert_eq!(world.row(id).await.state, MissionState::Failed);
    }

    async fn many_workers_do_many_missions_and_end_when_they_are_told_to(world) {
        let mut all = Vec::new();
        for _ in 0..40 {
            all.push(world.begin().await);
        }
        let script = Script::default();
        let (close, closing) = watch::channel(false);
        let working = tokio::spawn(world.runner(script.clone()).run(6, closing, |error| panic!("{error}")));
        for id in &all {
            while world.row(*id).await.state != MissionState::Done {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        close.send(true).unwrap();
        working.await.unwrap();
        assert_eq!(script.done.lock().unwrap().len(), 3 * all.len(), "each step once");
    }
}

#[tokio::test]
async fn what_always_fails_ends_with_the_reason() {
    for (acts, attempts) in [(vec![Act::Passing, Act::Passing, Act::Passing], 3), (vec![Act::Lasting], 1)] {
        let world = World::on_sqlite().await;
        let id = world.begin().await;
        let script = Script::of(acts);
        let runner = world.runner(script.clone());
        for _ in 0..10 {
            runner.step().await.unwrap();
            world.hands.forward(60);
        }
        let row = world.row(id).await;
        assert_eq!((row.state, row.step.as_str()), (MissionState::Failed, "scan"));
        assert_eq!(script.done.lock().unwrap().len(), attempts);
        let last = world.store.events(&world.tenant, id, row.events - 1, 1).await.unwrap().remove(0);
        let reason = if attempts == 3 { "nobody answers" } else { "there is no such folder" };
        assert_eq!(last.body, format!(r#"{{"event":"failed","reason":"{reason}"}}"#));
    }
}
