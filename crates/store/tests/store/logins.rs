//! Sessions, links and tokens.

use std::time::Duration;

use keyblind_intent::Digest;
use keyblind_store::{Idle, MissionState, NewToken, Page, Person, Wanted};

use crate::support::{at, begin, claim, on_both, subject, tenant, turn};

const LIFE: Duration = Duration::from_secs(1_000);
const IDLE: Idle = Idle { most: Duration::from_secs(100), grain: Duration::from_secs(10) };

fn mia() -> Person {
    Person { tenant: tenant("a"), subject: subject("mia"), name: "Mia".to_owned(), role: "admin".to_owned(), handle: None }
}

fn digest(secret: &str) -> Digest {
    Digest::of(secret.as_bytes())
}

on_both! {
    async fn a_link_begins_one_session_and_no_second(store) {
        store.make_login_link(&digest("link"), &mia(), at(0), LIFE).await.unwrap();
        assert_eq!(store.use_login_link(&digest("link"), &digest("one"), at(1), LIFE).await.unwrap(), Some(mia()));
        assert_eq!(store.use_login_link(&digest("link"), &digest("two"), at(1), LIFE).await.unwrap(), None);
        assert_eq!(store.session(&digest("one"), at(2), IDLE).await.unwrap().unwrap().person, mia());
        assert_eq!(store.session(&digest("two"), at(2), IDLE).await.unwrap(), None);
        store.make_login_link(&digest("late"), &mia(), at(0), LIFE).await.unwrap();
        assert_eq!(store.use_login_link(&digest("late"), &digest("three"), at(1_000), LIFE).await.unwrap(), None);
        assert_eq!(store.session(&digest("three"), at(1_001), IDLE).await.unwrap(), None);
    }

    async fn a_session_ends_when_nobody_uses_it_and_in_any_case(store) {
        let person = Person { handle: Some("h".to_owned()), ..mia() };
        store.begin_session(&digest("s"), &person, at(0), LIFE).await.unwrap();
        for seconds in (0..1_000).step_by(90) {
            let session = store.session(&digest("s"), at(seconds), IDLE).await.unwrap().unwrap();
            assert_eq!((session.person, session.begun, session.ends), (person.clone(), at(0), at(1_000)));
        }
        assert!(store.session(&digest("s"), at(999), IDLE).await.unwrap().is_some());
        assert_eq!(store.session(&digest("s"), at(1_000), IDLE).await.unwrap(), None, "used all the time");
        store.begin_session(&digest("t"), &person, at(2_000), LIFE).await.unwrap();
        assert_eq!(store.session(&digest("t"), at(2_100), IDLE).await.unwrap(), None, "not used for long");
        store.begin_session(&digest("u"), &person, at(2_100), LIFE).await.unwrap();
        assert!(store.end_session(&digest("u"), at(2_101)).await.unwrap());
        assert!(!store.end_session(&digest("u"), at(2_101)).await.unwrap());
        assert_eq!(store.session(&digest("u"), at(2_102), IDLE).await.unwrap(), None);
        assert_eq!(store.forget_ended_logins(at(9_000), IDLE).await.unwrap(), 2);
        store.begin_session(&digest("v"), &person, at(9_000), LIFE).await.unwrap();
        assert_eq!(store.end_sessions_of(&tenant("b"), &subject("mia")).await.unwrap(), 0);
        assert_eq!(store.end_sessions_of(&tenant("a"), &subject("mia")).await.unwrap(), 1);
    }

    async fn a_token_is_its_owners_alone(store) {
        let (a, b, mia) = (tenant("a"), tenant("b"), subject("mia"));
        let token = NewToken { tenant: &a, subject: &mia, name: "build", scopes: "missions:read", life: LIFE };
        let id = store.make_token(&digest("t"), &token, at(0)).await.unwrap();
        let found = store.token(&digest("t"), at(5)).await.unwrap().unwrap();
        assert_eq!((found.tenant.as_str(), found.name.as_str(), found.used), ("a", "build", None));
        assert_eq!(store.tokens(&a, &mia).await.unwrap()[0].used, Some(at(5)));
        assert_eq!(store.token(&digest("x"), at(5)).await.unwrap(), None);
        assert_eq!(store.token(&digest("t"), at(1_000)).await.unwrap(), None);
        assert!(store.tokens(&b, &mia).await.unwrap().is_empty());
        assert!(!store.end_token(&b, &mia, &id, at(6)).await.unwrap());
        assert!(!store.end_token(&a, &subject("olga"), &id, at(6)).await.unwrap());
        assert!(store.end_token(&a, &mia, &id, at(6)).await.unwrap());
        assert_eq!(store.token(&digest("t"), at(7)).await.unwrap(), None);
        let audit: Vec<_> = store.audit(&a, 10).await.unwrap().into_iter().map(|row| row.what).collect();
        assert_eq!(audit, ["token ended", "token made"]);
    }

    async fn a_list_holds_what_is_wanted_and_nothing_of_others(store) {
        let first = begin(&store, "a", "mia", 0).await;
        let second = begin(&store, "a", "mia", 1).await;
        let theirs = begin(&store, "b", "mia", 2).await;
        store.cancel(&tenant("a"), first, &subject("mia"), at(3)).await.unwrap();
        let a = tenant("a");
        let list = async |state, kind, after| {
            let rows = store.wanted_missions(&a, Wanted { state, kind }, Page { after, most: 10 }).await.unwrap();
            rows.into_iter().map(|row| row.id).collect::<Vec<_>>()
        };
        assert_eq!(list(None, None, None).await, [second, first]);
        assert_eq!(list(None, None, Some(second)).await, [first]);
        assert_eq!(list(None, None, Some(theirs)).await, []);
        assert_eq!(list(Some(MissionState::Cancelled), None, None).await, [first]);
        assert_eq!(list(Some(MissionState::Queued), Some("scan"), None).await, [second]);
        assert_eq!(list(None, Some("other"), None).await, []);
        assert_eq!(store.missions_by_state(&a).await.unwrap(), [(MissionState::Cancelled, 1), (MissionState::Queued, 1)]);
        assert_eq!(store.all_missions_by_state().await.unwrap(), [(MissionState::Cancelled, 1), (MissionState::Queued, 2)]);
    }

    async fn what_a_mission_made_is_listed_with_its_size(store) {
        let id = begin(&store, "a", "mia", 0).await;
        let claim = claim(&store, 1).await.unwrap();
        let document = keyblind_store::Document { name: "report.json", digest: digest("{}").to_string(), bytes: b"{\"a\":1}".to_vec() };
        let turn = keyblind_store::Turn { documents: vec![document], ..turn("done", keyblind_store::Next::End(MissionState::Done)) };
        store.commit(&claim.ticket, &turn, "worker", at(2)).await.unwrap();
        let listed = store.documents(&tenant("a"), id).await.unwrap();
        assert_eq!((listed.len(), listed[0].name.as_str(), listed[0].bytes, listed[0].digest), (1, "report.json", 7, digest("{}")));
        assert!(store.documents(&tenant("b"), id).await.unwrap().is_empty());
        store.ping().await.unwrap();
    }
}
