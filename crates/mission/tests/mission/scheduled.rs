//! Missions that begin by themselves, with a clock that is moved by hand.

use std::sync::Arc;
use std::time::Duration;

use keyblind_intent::UnixMillis;
use keyblind_mission::{Clock as _, Plan, PlanError, Request, Scheduler, schedule};
use keyblind_store::{Fired, Page, ScheduleId, StoreError};

use crate::support::{Script, World, on_both};

/// 2026-10-25, 00:00 in Berlin: in three hours it will be two o'clock for the second time.
const NIGHT: u64 = 1_792_879_200_000;

fn plan(world: &World, name: &str, cron: &str, jitter: u64) -> Plan {
    Plan {
        tenant: world.tenant.clone(),
        owner: world.owner.clone(),
        name: name.to_owned(),
        request: Request::ScanPath { path: "/srv/shop".into() },
        cron: cron.to_owned(),
        zone: "Europe/Berlin".to_owned(),
        jitter: Duration::from_secs(jitter),
    }
}

async fn add(world: &World, cron: &str, jitter: u64) -> ScheduleId {
    schedule(&world.store, &plan(world, cron, cron, jitter), world.hands.now()).await.unwrap()
}

async fn due(world: &World) -> Option<UnixMillis> {
    world.store.schedules(&world.tenant).await.unwrap()[0].due
}

async fn missions(world: &World) -> usize {
    world.store.missions(&world.tenant, Page { after: None, most: 1_000 }).await.unwrap().len()
}

/// Does all that waits.
async fn all_end(world: &World) {
    let runner = world.runner(Script::default());
    while runner.step().await.unwrap() {}
}

on_both! {
    async fn a_run_begins_once_however_many_look(world) {
        world.hands.set(NIGHT);
        let id = add(&world, "0 4 * * *", 0).await;
        assert_eq!(due(&world).await, Some(UnixMillis::new(NIGHT + 5 * 3_600_000)), "four o'clock is five hours away in that night");
        let scheduler = Scheduler::new(world.store.clone(), world.clock());
        assert_eq!(scheduler.look().await.unwrap(), []);
        world.hands.forward(5 * 3_600);
        let looking = (0..8).map(|_| {
            let scheduler = scheduler.clone();
            tokio::spawn(async move { scheduler.look().await.unwrap() })
        });
        let mut fired = Vec::new();
        for looked in looking.collect::<Vec<_>>() {
            fired.extend(looked.await.unwrap());
        }
        assert_eq!(fired.len(), 1, "{fired:?}");
        assert!(matches!(fired[0], (of, Fired::Begun(_)) if of == id));
        assert_eq!(missions(&world).await, 1);
        let row = &world.store.missions(&world.tenant, Page { after: None, most: 1 }).await.unwrap()[0];
        assert_eq!((row.schedule, row.kind.as_str()), (Some(id), "scan-path"));
        assert_eq!(due(&world).await, Some(UnixMillis::new(NIGHT + 29 * 3_600_000)));
    }

    async fn what_was_missed_is_made_up_for_once(world) {
        world.hands.set(NIGHT);
        add(&world, "*/10 * * * *", 0).await;
        // Nothing runs for three days.
        world.hands.forward(3 * 86_400);
        let scheduler = Scheduler::new(world.store.clone(), world.clock());
        assert_eq!(scheduler.look().await.unwrap().len(), 1);
        assert_eq!(scheduler.look().await.unwrap(), []);
        assert_eq!(missions(&world).await, 1);
        assert_eq!(due(&world).await, Some(UnixMillis::new(NIGHT + 3 * 86_400_000 + 600_000)));
    }

    async fn a_run_is_left_out_while_the_one_before_goes_on(world) {
        world.hands.set(NIGHT);
        add(&world, "*/10 * * * *", 0).await;
        let scheduler = Scheduler::new(world.store.clone(), world.clock());
        world.hands.forward(600);
        let Fired::Begun(first) = scheduler.look().await.unwrap()[0].1 else { panic!("it begins") };
        world.hands.forward(600);
        assert_eq!(scheduler.look().await.unwrap()[0].1, Fired::Overlaps(first));
        assert_eq!(missions(&world).await, 1);
        let audit = world.store.audit(&world.tenant, 10).await.unwrap();
        assert!(audit.iter().any(|row| row.what.starts_with("run left out") && row.mission == Some(first)), "{audit:?}");
        all_end(&world).await;
        world.hands.forward(600);
        assert!(matches!(scheduler.look().await.unwrap()[0].1, Fired::Begun(_)));
        assert_eq!(missions(&world).await, 2);
    }

    async fn a_schedule_rests_and_is_taken_up_again_without_what_it_missed(world) {
        world.hands.set(NIGHT);
        let id = add(&world, "*/10 * * * *", 0).await;
        let scheduler = Scheduler::new(world.store.clone(), world.clock());
        assert!(world.store.pause_schedule(&world.tenant, id, &world.owner, world.hands.now()).await.unwrap());
        assert!(!world.store.pause_schedule(&world.tenant, id, &world.owner, world.hands.now()).await.unwrap());
        let other = keyblind_intent::TenantId::new("other").unwrap();
        assert!(!world.store.remove_schedule(&other, id, &world.owner, world.hands.now()).await.unwrap(), "it is octo's");
        world.hands.forward(3_600);
        assert_eq!(scheduler.look().await.unwrap(), []);
        assert!(scheduler.resume(&world.tenant, id, &world.owner).await.unwrap());
        assert_eq!(scheduler.look().await.unwrap(), []);
        world.hands.forward(600);
        assert_eq!(scheduler.look().await.unwrap().len(), 1);
        assert!(world.store.remove_schedule(&world.tenant, id, &world.owner, world.hands.now()).await.unwrap());
        world.hands.forward(600);
        assert_eq!(scheduler.look().await.unwrap(), []);
    }

    async fn runs_are_apart_by_the_schedules_own_time_which_stays_the_same(world) {
        world.hands.set(NIGHT);
        for number in 0..20 {
            schedule(&world.store, &plan(&world, &format!("s{number}"), "0 12 * * *", 600), world.hands.now()).await.unwrap();
        }
        let noon = NIGHT + 13 * 3_600_000;
        let before: Vec<u64> = world.store.schedules(&world.tenant).await.unwrap().iter().map(|row| row.due.unwrap().get()).collect();
        assert!(before.iter().all(|due| (noon..=noon + 600_000).contains(due)), "{before:?}");
        let apart: std::collections::BTreeSet<u64> = before.iter().copied().collect();
        assert!(apart.len() > 10, "{before:?}");
        world.hands.set(noon + 600_000);
        let scheduler = Scheduler::new(world.store.clone(), world.clock());
        assert_eq!(scheduler.look().await.unwrap().len(), 20);
        let after: Vec<u64> = world.store.schedules(&world.tenant).await.unwrap().iter().map(|row| row.due.unwrap().get()).collect();
        assert!(before.iter().zip(&after).all(|(before, after)| *after == before + 86_400_000), "{before:?} {after:?}");
    }

    async fn what_cant_be_kept_is_said(world) {
        let now = world.hands.now();
        let refused = |plan: Plan| {
            let store = world.store.clone();
            async move { schedule(&store, &plan, now).await.unwrap_err() }
        };
        assert!(matches!(refused(plan(&world, "a", "0 0 30 2 *", 0)).await, PlanError::Never));
        assert!(matches!(refused(plan(&world, "a", "every day", 0)).await, PlanError::Cron(_)));
        assert!(matches!(refused(plan(&world, " ", "@daily", 0)).await, PlanError::Name));
        assert!(matches!(refused(plan(&world, "a\u{202e}", "@daily", 0)).await, PlanError::Name));
        assert!(matches!(refused(plan(&world, "a", "@daily", 7_200)).await, PlanError::Jitter));
        let nowhere = Plan { zone: "Mars/Olympus".to_owned(), ..plan(&world, "a", "@daily", 0) };
        assert!(matches!(refused(nowhere).await, PlanError::Cron(_)));
        add(&world, "@daily", 0).await;
        assert!(matches!(refused(plan(&world, "@daily", "@weekly", 0)).await, PlanError::Store(StoreError::NameTaken)));
    }
}

#[tokio::test]
async fn a_night_in_which_an_hour_comes_twice_has_one_run_at_a_fixed_time() {
    let world = World::on_sqlite().await;
    world.hands.set(NIGHT);
    add(&world, "30 2 * * *", 0).await;
    let scheduler = Scheduler::new(world.store.clone(), Arc::new(world.hands.clone()));
    let mut runs = Vec::new();
    for minute in 0..(26 * 60) {
        for (_, fired) in scheduler.look().await.unwrap() {
            assert!(matches!(fired, Fired::Begun(_)));
            runs.push(minute);
        }
        all_end(&world).await;
        world.hands.forward(60);
    }
    assert_eq!(runs, [150], "02:30, in the first of the two hours");
}
