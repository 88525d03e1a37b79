//! Handing a login over to the application's pages.

use std::time::Duration;

use keyblind_intent::{HandOverCode, HandOverState, HandedOver, Handle, PolicyRole, Refusal, Report};

use super::*;
use crate::dispatch::Logins as _;

/// What the application sends a browser with.
fn state(letter: &str) -> HandOverState {
    HandOverState::new(letter.repeat(43)).unwrap()
}

fn hand_overs(visitor: &Visitor) -> HandOvers {
    HandOvers::new(visitor.bench.database.clone(), visitor.bench.approvals.clone(), visitor.bench.clock.clone())
}

/// The code that the visitor's browser is sent back with.
async fn code(visitor: &mut Visitor, state: &HandOverState) -> HandOverCode {
    let answered = visitor.get(&format!("/hand-over?state={}", state.expose())).await;
    assert_eq!(answered.status, StatusCode::SEE_OTHER, "{}", answered.text);
    let to = answered.headers[header::LOCATION].to_str().unwrap();
    let query = to.strip_prefix("http://keyblind.localhost:4300/login/return?code=").unwrap();
    let (code, back) = query.split_once("&state=").unwrap();
    assert_eq!(back, state.expose());
    HandOverCode::new(code).unwrap()
}

async fn handed_over(visitor: &mut Visitor) -> HandedOver {
    let (hand_overs, state) = (hand_overs(visitor), state("A"));
    let code = code(visitor, &state).await;
    match hand_overs.take_over(&code, &state).await {
        Ok(Report::HandedOver { person }) => *person,
        other => panic!("{other:?}"),
    }
}

fn reasons(visitor: &Visitor) -> Vec<&'static str> {
    let entries = visitor.bench.notes.entries.lock().unwrap();
    entries.iter().filter_map(|entry| if let Entry::HandleEnded { reason, .. } = entry { Some(*reason) } else { None }).collect()
}

async fn is_nothing(visitor: &Visitor, handle: &Handle) -> bool {
    hand_overs(visitor).behind(handle).await == Err(Refusal::NotLoggedIn)
}

#[tokio::test]
async fn a_login_is_handed_over_and_the_handle_speaks_for_that_person() {
    let mut visitor = Visitor::logged_in("mia").await;
    let person = handed_over(&mut visitor).await;
    assert_eq!((person.subject.as_str(), person.tenant.as_str()), ("mia@https://login.example/", "acme"));
    assert_eq!(person.roles, [PolicyRole::Member, PolicyRole::Approver]);
    assert_eq!(Identity::of_subject(&person.subject), identity("mia"), "the broker knows them again");
    let (tenant, subject) = hand_overs(&visitor).behind(&person.handle).await.unwrap();
    assert_eq!((tenant, subject), (person.tenant, person.subject));
    let born =
        visitor.bench.notes.entries.lock().unwrap().iter().any(|entry| matches!(entry, Entry::HandedOver { who, .. } if who == "mia"));
    assert!(born);
}

#[tokio::test]
async fn a_code_is_good_once_within_a_minute_and_for_one_browser() {
    let mut visitor = Visitor::logged_in("mia").await;
    let hand_overs = hand_overs(&visitor);
    let ours = state("A");
    let used = code(&mut visitor, &ours).await;
    hand_overs.take_over(&used, &ours).await.unwrap();
    assert_eq!(hand_overs.take_over(&used, &ours).await, Err(Refusal::BadCode), "a second time");
    let stolen = code(&mut visitor, &ours).await;
    assert_eq!(hand_overs.take_over(&stolen, &state("Q")).await, Err(Refusal::BadCode), "brought by another browser");
    assert_eq!(hand_overs.take_over(&stolen, &ours).await, Err(Refusal::BadCode), "used up by the attempt");
    let old = code(&mut visitor, &ours).await;
    visitor.bench.clock.advance(Duration::from_secs(60));
    assert_eq!(hand_overs.take_over(&old, &ours).await, Err(Refusal::BadCode), "after a minute");
    let guessed = HandOverCode::new("A".repeat(43)).unwrap();
    assert_eq!(hand_overs.take_over(&guessed, &ours).await, Err(Refusal::BadCode));
    let late = code(&mut visitor, &ours).await;
    let seal = field(&visitor.get("/").await.text, "seal");
    visitor.post("/logout", &[("seal", &seal)]).await;
    assert_eq!(hand_overs.take_over(&late, &ours).await, Err(Refusal::BadCode), "the session is over");
}

#[tokio::test]
async fn only_who_has_a_place_here_is_handed_over_and_only_to_the_configured_pages() {
    let mut visitor = Visitor::at(ORIGIN).await;
    let asked = format!("/hand-over?state={}", "A".repeat(43));
    let answered = visitor.get(&asked).await;
    assert_eq!(answered.headers[header::LOCATION], format!("/login?to=/hand-over%3Fstate%3D{}", "A".repeat(43)));
    let page = visitor.get(&format!("/login?to=/hand-over%3Fstate%3D{}", "A".repeat(43))).await;
    assert_eq!(page.status, StatusCode::OK);
    visitor.log_in(identity("eve")).await;
    assert_eq!(visitor.get(&asked).await.status, StatusCode::FORBIDDEN, "nobody whom the policy lists");
    visitor.log_in(identity("mia")).await;
    for wrong in ["/hand-over", "/hand-over?state=short", "/hand-over?state=https://evil.example/"] {
        let answered = visitor.get(wrong).await;
        assert_eq!((answered.status, answered.headers.get(header::LOCATION)), (StatusCode::BAD_REQUEST, None), "{wrong}");
    }
}

#[tokio::test]
async fn a_handle_ends_with_what_it_hangs_on() {
    let mut visitor = Visitor::logged_in("mia").await;
    let first = handed_over(&mut visitor).await.handle;
    hand_overs(&visitor).end(&first).await.unwrap();
    assert!(is_nothing(&visitor, &first).await, "the application ended it");

    let second = handed_over(&mut visitor).await.handle;
    let seal = field(&visitor.get("/").await.text, "seal");
    visitor.post("/logout", &[("seal", &seal)]).await;
    assert!(is_nothing(&visitor, &second).await, "the session that it came from was ended");

    visitor.log_in(identity("mia")).await;
    let third = handed_over(&mut visitor).await.handle;
    visitor.sessions.end_of(&identity("mia")).await.unwrap();
    assert!(is_nothing(&visitor, &third).await, "they have left");

    visitor.log_in(identity("mia")).await;
    let fourth = handed_over(&mut visitor).await.handle;
    visitor.bench.clock.advance(Duration::from_secs(12 * 60 * 60));
    assert!(is_nothing(&visitor, &fourth).await, "a working day is over");
    let sessions = visitor.sessions.clone().recorded_in(visitor.bench.approvals.journal());
    assert!(sessions.tidy().await.unwrap() > 0);
    // What ended without a journal (the third) is in no record of this test; the finished program has one everywhere.
    assert_eq!(reasons(&visitor), ["logged-out", "logged-out", "expired"]);
}

#[tokio::test]
async fn a_stop_ends_every_handle_and_the_oldest_makes_room() {
    let mut visitor = Visitor::logged_in("mia").await;
    let first = handed_over(&mut visitor).await.handle;
    for _ in 0..50 {
        visitor.bench.clock.advance(Duration::from_secs(1));
        handed_over(&mut visitor).await;
    }
    assert!(is_nothing(&visitor, &first).await);
    assert_eq!(reasons(&visitor), ["too-many"]);
    let last = handed_over(&mut visitor).await.handle;
    let page = visitor.get("/stop").await.text;
    let answered = visitor.post("/stop", &[("seal", &field(&page, "seal"))]).await;
    assert!(answered.status.is_redirection(), "{} {}", answered.status, answered.text);
    assert!(is_nothing(&visitor, &last).await);
    assert_eq!(reasons(&visitor).iter().filter(|reason| **reason == "stopped").count(), 50);
}

/// A handle is the application's: it opens no page here, and so nothing that approves.
#[tokio::test]
async fn a_handle_approves_nothing() {
    let mut visitor = Visitor::logged_in("mia").await;
    let raised = visitor.bench.raise(changes::calm(&visitor.wanted(1))).await.unwrap();
    let handle = handed_over(&mut visitor).await.handle;
    let path = format!("/change/{}", raised.digest);
    let page = visitor.get(&path).await.text;
    let name = visitor.cookies.keys().next().unwrap().clone();
    visitor.cookies.insert(name, handle.expose().to_owned());
    assert_eq!(visitor.get(&path).await.status, StatusCode::SEE_OTHER, "it is no session: log in");
    let fields = [("seal", field(&page, "seal")), ("nonce", field(&page, "nonce"))];
    let fields = [("seal", fields[0].1.as_str()), ("nonce", fields[1].1.as_str()), ("answer", "approve")];
    let answered = visitor.post(&format!("{path}/decide"), &fields).await;
    assert!(answered.status.is_redirection() && answered.headers[header::LOCATION] == "/login", "{}", answered.text);
    assert_eq!(visitor.state(raised.digest).await, State::Waiting);
}
