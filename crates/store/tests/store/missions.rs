//! A mission's life as rows.

use keyblind_store::{Begun, Cancelled, Document, MissionState, NewMission, Next, Page, Place, Store, StoreError};
use keyblind_testkit::{Folder, Postgres};

use crate::support::{at, begin, claim, event, on_both, postgres, sqlite, subject, tenant, turn};

fn end() -> Next {
    Next::End(MissionState::Done)
}

on_both! {
    async fn a_mission_goes_from_step_to_step_to_its_end(store) {
        let (octo, anna) = (tenant("octo"), subject("anna"));
        let id = begin(&store, "octo", "anna", 0).await;
        let job = claim(&store, 1).await.expect("it waits for a worker");
        assert_eq!((job.mission.id, job.step.as_str(), job.attempt), (id, "scan", 1));
        assert_eq!(store.mission(&octo, id).await.unwrap().unwrap().state, MissionState::Running);
        store.tell(&job.ticket, &[event("read"), event("judged")], at(2)).await.unwrap();

        let mut scanned = turn("scanned", Next::Step { step: "report", ready: at(3), attempt: 0, waits_for: None });
        scanned.checkpoint = Some(r#"{"findings":7}"#.to_owned());
        scanned.documents = vec![Document { name: "report.json", digest: "sha256:1".to_owned(), bytes: b"{\"\0\xff".to_vec() }];
        store.commit(&job.ticket, &scanned, "worker", at(3)).await.unwrap();
        assert_eq!(store.mission(&octo, id).await.unwrap().unwrap().state, MissionState::Queued);

        let job = claim(&store, 4).await.expect("the next step waits");
        assert_eq!((job.step.as_str(), job.mission.checkpoint.as_deref()), ("report", Some(r#"{"findings":7}"#)));
        store.commit(&job.ticket, &turn("reported", end()), "worker", at(5)).await.unwrap();

        let row = store.mission(&octo, id).await.unwrap().unwrap();
        assert_eq!((row.state, row.step.as_str(), row.events, row.begun, row.changed), (MissionState::Done, "report", 5, at(0), at(5)));
        let events = store.events(&octo, id, 0, 100).await.unwrap();
        let told: Vec<(u64, &str)> = events.iter().map(|event| (event.number, event.kind.as_str())).collect();
        assert_eq!(told, [(1, "begun"), (2, "read"), (3, "judged"), (4, "scanned"), (5, "reported")]);
        assert_eq!(store.events(&octo, id, 3, 1).await.unwrap(), events[3..4]);
        assert_eq!(store.document(&octo, id, "report.json").await.unwrap().unwrap(), b"{\"\0\xff");
        assert_eq!(claim(&store, 6).await.map(|job| job.step), None);
        let audit: Vec<(String, String)> = store.audit(&octo, 10).await.unwrap().into_iter().map(|row| (row.who, row.what)).collect();
        let wanted = [("worker", "reported"), ("worker", "scanned"), ("anna", "mission begun")];
        assert_eq!(audit, wanted.map(|(who, what)| (who.to_owned(), what.to_owned())));
        assert_eq!(store.cancel(&octo, id, &anna, at(7)).await.unwrap(), Cancelled::TooLate);
    }

    async fn who_asks_twice_begins_once(store) {
        let (octo, anna) = (tenant("octo"), subject("anna"));
        let mission = NewMission { tenant: &octo, owner: &anna, kind: "scan", request: "{}", step: "scan", idempotency: Some("k1") };
        let mut asked = Vec::new();
        for _ in 0..8 {
            let (store, octo, anna) = (store.clone(), octo.clone(), anna.clone());
            asked.push(tokio::spawn(async move {
                let mission = NewMission { tenant: &octo, owner: &anna, kind: "scan", request: "{}", step: "scan", idempotency: Some("k1") };
                store.begin(&mission, at(0)).await.unwrap()
            }));
        }
        let mut begun = Vec::new();
        for answer in asked {
            begun.push(answer.await.unwrap());
        }
        assert_eq!(begun.iter().filter(|begun| matches!(begun, Begun::New(_))).count(), 1);
        assert!(begun.iter().all(|other| other.id() == begun[0].id()));
        let other = NewMission { request: r#"{"path":"other"}"#, ..mission.clone() };
        assert!(matches!(store.begin(&other, at(1)).await, Err(StoreError::OtherRequest)), "a key stands for one request");
        // The key is the owner's: somebody else's mission is another one.
        let bert = subject("bert");
        let other = store.begin(&NewMission { owner: &bert, ..mission }, at(1)).await.unwrap();
        assert!(matches!(other, Begun::New(id) if id != begun[0].id()));
        assert_eq!(store.missions(&octo, Page { after: None, most: 10 }).await.unwrap().len(), 2);
    }

    async fn a_mission_is_cancelled_wherever_it_stands(store) {
        let (octo, anna) = (tenant("octo"), subject("anna"));
        let queued = begin(&store, "octo", "anna", 0).await;
        assert_eq!(store.cancel(&octo, queued, &anna, at(1)).await.unwrap(), Cancelled::Ended);
        assert_eq!(store.mission(&octo, queued).await.unwrap().unwrap().state, MissionState::Cancelled);
        assert!(claim(&store, 2).await.is_none());

        let running = begin(&store, "octo", "anna", 3).await;
        let job = claim(&store, 4).await.unwrap();
        assert_eq!(store.hold(&job.ticket, at(5), crate::support::HOLD).await.unwrap(), keyblind_store::Hold::Held);
        assert_eq!(store.cancel(&octo, running, &anna, at(6)).await.unwrap(), Cancelled::Asked);
        assert_eq!(store.cancel(&octo, running, &anna, at(6)).await.unwrap(), Cancelled::Asked);
        assert_eq!(store.hold(&job.ticket, at(7), crate::support::HOLD).await.unwrap(), keyblind_store::Hold::Cancelled);
        // A worker that didn't look in time hands the mission on; nothing follows all the same.
        let waits = Next::Step { step: "approval", ready: at(100), attempt: 0, waits_for: Some(keyblind_store::WaitsFor::Time) };
        store.commit(&job.ticket, &turn("scanned", waits), "worker", at(8)).await.unwrap();
        assert_eq!(store.mission(&octo, running).await.unwrap().unwrap().state, MissionState::Cancelled);
        assert!(claim(&store, 101).await.is_none());

        // A worker that died after it was asked: whoever asks again ends the mission.
        let abandoned = begin(&store, "octo", "anna", 110).await;
        claim(&store, 111).await.unwrap();
        assert_eq!(store.cancel(&octo, abandoned, &anna, at(112)).await.unwrap(), Cancelled::Asked);
        assert_eq!(store.cancel(&octo, abandoned, &anna, at(150)).await.unwrap(), Cancelled::Ended);

        let waiting = begin(&store, "octo", "anna", 200).await;
        let job = claim(&store, 201).await.unwrap();
        let waits = Next::Step { step: "approval", ready: at(9_000), attempt: 0, waits_for: Some(keyblind_store::WaitsFor::Time) };
        store.commit(&job.ticket, &turn("planned", waits), "worker", at(202)).await.unwrap();
        assert_eq!(store.mission(&octo, waiting).await.unwrap().unwrap().state, MissionState::Waiting);
        assert_eq!(store.cancel(&octo, waiting, &anna, at(203)).await.unwrap(), Cancelled::Ended);
    }

    async fn another_tenants_mission_does_not_exist(store) {
        let (octo, other, anna) = (tenant("octo"), tenant("other"), subject("anna"));
        let id = begin(&store, "octo", "anna", 0).await;
        let job = claim(&store, 1).await.unwrap();
        let mut made = turn("reported", end());
        made.documents = vec![Document { name: "report.json", digest: "sha256:1".to_owned(), bytes: vec![1] }];
        store.commit(&job.ticket, &made, "worker", at(2)).await.unwrap();

        assert_eq!(store.mission(&other, id).await.unwrap(), None);
        assert_eq!(store.missions(&other, Page { after: None, most: 10 }).await.unwrap(), []);
        assert_eq!(store.missions(&other, Page { after: Some(id), most: 10 }).await.unwrap(), []);
        assert_eq!(store.events(&other, id, 0, 10).await.unwrap(), []);
        assert_eq!(store.document(&other, id, "report.json").await.unwrap(), None);
        assert_eq!(store.audit(&other, 10).await.unwrap(), []);
        assert_eq!(store.rows(&other, id).await.unwrap(), []);
        assert_eq!(store.cancel(&other, id, &anna, at(3)).await.unwrap(), Cancelled::Unknown);
        // And its own tenant sees all of it.
        let rows = store.rows(&octo, id).await.unwrap();
        let tables: Vec<&str> = rows.iter().map(|row| row.table).collect();
        assert_eq!(tables, ["missions", "mission_events", "mission_events", "audit", "audit", "documents"]);
        assert!(rows[0].values.iter().any(|(column, value)| column == "request" && value == r#"{"path":"shop"}"#));
    }

    async fn pages_leave_out_nothing_and_repeat_nothing(store) {
        let octo = tenant("octo");
        let mut all = Vec::new();
        for number in 0..25 {
            // Several begin in the same moment.
            all.push(begin(&store, "octo", "anna", number / 3).await);
        }
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = store.missions(&octo, Page { after, most: 4 }).await.unwrap();
            let Some(last) = page.last() else { break };
            after = Some(last.id);
            seen.extend(page.into_iter().map(|row| row.id));
        }
        seen.sort();
        all.sort();
        assert_eq!(seen, all);
    }
}

#[tokio::test]
async fn what_was_committed_is_there_after_a_power_cut() {
    let mut server = Postgres::start();
    let store = postgres(&server).await;
    let id = begin(&store, "octo", "anna", 0).await;
    server.restart();
    // The connections of before are broken: the pool notices, and asks for new ones.
    let found = loop {
        match store.mission(&tenant("octo"), id).await {
            Ok(found) => break found,
            Err(StoreError::Database(_)) => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(found.unwrap().id, id);
}

#[tokio::test]
async fn a_file_is_its_owners_alone_and_opens_again() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = Folder::new([]);
    let id = {
        let store = sqlite(&folder).await;
        let id = begin(&store, "octo", "anna", 0).await;
        store.close().await;
        id
    };
    let mode = std::fs::metadata(folder.path().join("keyblind.db")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(sqlite(&folder).await.mission(&tenant("octo"), id).await.unwrap().is_some());
}

#[tokio::test]
async fn what_is_no_database_is_said_and_left_alone() {
    let folder = Folder::new([("notes.txt", "these are notes, and they are no database at all")]);
    let error = Store::open(&Place::File(folder.path().join("notes.txt"))).await.unwrap_err();
    assert!(error.to_string().contains("not a database"), "{error}");
    assert_eq!(folder.read("notes.txt"), "these are notes, and they are no database at all");
    for wrong in ["mysql://host/name", "", "server.db", "postgres:/u:hunter2@h/db", "host=h password=hunter2"] {
        let error = wrong.parse::<Place>().unwrap_err();
        assert!(matches!(error, StoreError::Address) && !error.to_string().contains("hunter2"), "{wrong}");
    }
    for wrong in
        ["postgres://u@db.example/x", "postgresql://u:p@10.0.0.1:5432/x?application_name=k", "postgres://u@localhost/x?host=db.example"]
    {
        assert!(matches!(wrong.parse::<Place>(), Err(StoreError::Unprotected)), "{wrong}");
    }
    for right in ["postgres://u@db.example/x?sslmode=verify-full", "postgres://u@localhost:5433/x", "postgres://u@h/x?host=/run/postgresql"]
    {
        assert!(right.parse::<Place>().is_ok(), "{right}");
    }
    let error = Store::open(&"postgres://keyblind:hunter2@localhost:notaport/x".parse().unwrap()).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
}
