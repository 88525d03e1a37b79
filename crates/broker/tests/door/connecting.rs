//! Connecting accounts through Auth0: the way there and back, each state, and answers that aren't this browser's.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{StatusCode, header};
use keyblind_broker::approvals::policy::Identity;
use keyblind_broker::database::DatabaseError;
use keyblind_broker::dispatch::{self, Role, Session};
use keyblind_broker::door::{Accounts, Leaving, Pages, Sources, router};
use keyblind_broker::leases::epoch::KillSwitch;
use keyblind_broker::ledger::Cause;
use keyblind_broker::providers::auth0::Administrator;
use keyblind_broker::providers::oidc::{Client, ClientAuthentication};
use keyblind_broker::secret::Secret;
use keyblind_intent::{Check, ConnectionState, Outcome, Provider, Report};
use serde_json::json;

use crate::bench::Joined;
use crate::visitor::{Answered, Visitor, walked};

fn visitor(joined: &Joined, accounts: &Arc<Accounts>) -> Visitor {
    let pages = Pages::from(joined.broker.parts()).with_login(joined.login.clone()).with_accounts(Arc::clone(accounts));
    Visitor::new(router(pages), &joined.broker.origin)
}

async fn press(visitor: &mut Visitor, page: &Answered, action: &str) -> Answered {
    let after = format!("action=\"/connections/{action}\"");
    let (seal, name) = (page.field(&after, "seal"), page.field(&after, "name"));
    let id = if action == "disconnect" { page.field(&after, "id") } else { String::new() };
    visitor.post(&format!("/connections/{action}"), &[("seal", &seal), ("name", &name), ("id", &id)]).await
}

/// Presses the button; gives where the provider lets the browser go.
async fn begun(joined: &Joined, visitor: &mut Visitor) -> String {
    let page = visitor.get("/connections").await;
    let first = press(visitor, &page, "connect").await;
    assert_eq!(first.status, StatusCode::OK, "{}", first.text);
    let cookie = first.headers[header::SET_COOKIE].to_str().unwrap();
    assert!(cookie.starts_with("keyblind-connect=") && cookie.contains("HttpOnly; SameSite=Lax"), "{cookie}");
    walked(&joined.peer, &first.onward(), "ada")
}

#[tokio::test]
async fn an_account_is_connected_checked_and_disconnected() {
    let (joined, accounts) = Joined::with_accounts().await;
    let mut visitor = visitor(&joined, &accounts);
    visitor.log_in(&joined.peer, "ada").await;
    let page = visitor.get("/connections").await;
    assert!(page.text.contains("Not connected") && page.text.contains("signing in with it isn&#39;t enough"), "{}", page.text);
    assert!(page.text.contains("target=\"_blank\" rel=\"noopener\""), "the provider opens in a tab of its own");
    let back = begun(&joined, &mut visitor).await;
    // The first tab looks again by itself until the other one is done.
    assert!(visitor.get("/connections").await.text.contains("http-equiv=\"refresh\" content=\"3\""));
    let page = visitor.come_back(&back).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text);
    // Whether this is that other tab or the only one: it says so, and leads back.
    assert!(page.text.contains("is connected") && page.text.contains("you can close it") && page.text.contains("href=\"/connections\""));
    let page = visitor.get("/connections").await;
    assert!(page.text.contains(">Connected<") && !page.text.contains("http-equiv"), "{}", page.text);
    assert_eq!(visitor.come_back(&back).await.status, StatusCode::FORBIDDEN, "an answer counts once");
    // Nothing of Auth0's is in the database in the open.
    assert_eq!(press(&mut visitor, &page, "check").await.headers[header::LOCATION], "/connections");
    // A page that is looked at again and again asks for no token each time.
    let refreshed = || {
        let is_refresh = |request: &&serde_json::Value| request["body"].as_str().unwrap().contains("grant_type=refresh_token");
        joined.peer.requests().iter().filter(is_refresh).count()
    };
    let before = refreshed();
    for _ in 0..3 {
        visitor.get("/connections").await;
    }
    assert_eq!(refreshed(), before);
    // Here nobody can end its token at GitHub, and the page doesn't pretend that it ended.
    let gone = press(&mut visitor, &page, "disconnect").await;
    assert!(gone.status == StatusCode::OK && gone.text.contains("hasn’t confirmed that its token is dead"), "{}", gone.text);
    let told = joined.broker.told(&["connected", "disconnected", "lease-announced", "token-born"]).await;
    let github: Vec<&String> = told.iter().filter(|line| line.contains("my-github")).collect();
    assert!(github[0].starts_with("connected by ada") && github.last().unwrap().starts_with("disconnected by ada"), "{told:?}");
    assert!(github.last().unwrap().contains("\"is_confirmed\":false"), "{told:?}");
    assert!(told.iter().any(|line| line.starts_with("token-born by ada")), "what was borrowed to check is in the ledger: {told:?}");
    assert!(visitor.get("/connections").await.text.contains("Not connected"));
    assert_eq!(joined.peer.violations(), json!([]));
}

#[tokio::test]
async fn an_answer_that_isnt_this_browsers_connects_nothing() {
    let (joined, accounts) = Joined::with_accounts().await;
    let mut victim = visitor(&joined, &accounts);
    victim.log_in(&joined.peer, "ada").await;
    let back = begun(&joined, &mut victim).await;
    let mut attacker = visitor(&joined, &accounts);
    attacker.log_in(&joined.peer, "sam").await;
    assert_eq!(attacker.come_back(&back).await.status, StatusCode::FORBIDDEN, "without a cookie");
    let own = begun(&joined, &mut attacker).await;
    assert_eq!(attacker.come_back(&back).await.status, StatusCode::FORBIDDEN, "with another's");
    // The attacker's account in the victim's name.
    let page = victim.come_back(&own).await;
    assert!(page.status == StatusCode::FORBIDDEN && page.text.contains("isn’t the answer to a connection"), "{}", page.text);
    for address in [format!("{back}&state=x"), format!("{back}&connect_code=x"), back.replace("state=", "other=")] {
        assert_eq!(victim.come_back(&address).await.status, StatusCode::FORBIDDEN, "{address}");
    }
    // A code that was made up, in an answer that is otherwise right: Auth0 refuses it, and the way is used up.
    let mut other = victim.clone();
    let forged = back.split(['?', '&']).find(|pair| pair.starts_with("state=")).unwrap();
    let page = other.come_back(&format!("{}/connect/callback?{forged}&connect_code=made-up", joined.broker.origin)).await;
    assert!(page.status == StatusCode::FORBIDDEN && page.text.contains("Begin again"), "{}", page.text);
    assert_eq!(victim.come_back(&back).await.status, StatusCode::FORBIDDEN);
    // The provider says no; the session is over; it takes too long.
    let back = begun(&joined, &mut victim).await;
    let state = back.split(['?', '&']).find(|pair| pair.starts_with("state=")).unwrap();
    let page = victim.come_back(&format!("{}/connect/callback?{state}&error=access_denied", joined.broker.origin)).await;
    assert!(page.text.contains("said no"), "{}", page.text);
    let back = begun(&joined, &mut victim).await;
    let mut late = victim.clone();
    let seal = victim.get("/connections").await.field("/logout", "seal");
    victim.post("/logout", &[("seal", &seal)]).await;
    assert!(late.come_back(&back).await.text.contains("The session that began this is over"));
    victim.log_in(&joined.peer, "ada").await;
    let back = begun(&joined, &mut victim).await;
    joined.clock.advance(Duration::from_secs(5 * 60));
    assert_eq!(victim.come_back(&back).await.status, StatusCode::FORBIDDEN);
    assert!(!joined.broker.told(&["connected"]).await.iter().any(|line| line.contains("my-github")));
}

/// Each way in which Auth0 gives no token is a state of its own on the page, with what to do.
#[tokio::test]
async fn every_state_of_an_account_is_on_the_page_with_what_to_do() {
    let (joined, accounts) = Joined::with_accounts().await;
    let mut visitor = visitor(&joined, &accounts);
    visitor.log_in(&joined.peer, "ada").await;
    let connect = |state: &str, scope: &str| {
        joined.peer.ask("POST", "/disconnect", &json!({"account": "ada"}));
        joined.peer.ask(
            "POST",
            "/connect",
            &json!({"account": "ada", "connection": "github", "scope": scope, "token": "gho_x", "state": state}),
        );
    };
    connect("good", "repo");
    let page = visitor.get("/connections").await;
    let shown = async |visitor: &mut Visitor, state: &str, words: &str| {
        let answered = press(visitor, &page, "check").await;
        assert_eq!(answered.status, StatusCode::CONFLICT, "{state}: {}", answered.text);
        assert!(answered.text.contains(words), "{words} in {}", answered.text);
        let later = visitor.get("/connections").await;
        assert!(later.text.contains(state) && later.text.contains(words), "{state} and {words} in {}", later.text);
    };
    connect("broken", "repo");
    shown(&mut visitor, "Expired", "Connect the account again on the broker").await;
    connect("good", "read:user");
    shown(&mut visitor, "A permission is missing", "allow what the page names").await;
    connect("good", "repo");
    joined.peer.ask("POST", "/mfa", &json!({"on": true}));
    shown(&mut visitor, "A second factor is wanted", "MFA policy to Never").await;
    joined.peer.ask("POST", "/mfa", &json!({"on": false}));
    joined.peer.ask("POST", "/limit", &json!({"on": true}));
    shown(&mut visitor, "Waiting", "tried again when Auth0 allows it").await;
    joined.peer.ask("POST", "/limit", &json!({"on": false}));
    for (error, words) in [
        ("unauthorized_client", "rotation of refresh tokens must be off"),
        ("invalid_client", "current secret or key"),
        ("invalid_request", "Check the connection"),
        ("something_new", "Look up the refusal"),
    ] {
        joined.peer.fail(&json!({"path": "/oauth/token", "status": 403, "body": {"error": error, "error_description": "gho_canary"}}));
        shown(&mut visitor, "Wrongly set up", words).await;
    }
    joined.peer.fail(&json!({"path": "/oauth/token", "status": 502}));
    shown(&mut visitor, "Not known now", "can be reached").await;
    assert_eq!(press(&mut visitor, &page, "check").await.status, StatusCode::SEE_OTHER, "and it works again");
    assert!(visitor.get("/connections").await.text.contains(">Connected<"));
    // The My Account interface has states of its own.
    for (status, state, words) in
        [(403, "Wrongly set up", "My Account API"), (429, "Waiting", "asks to wait"), (401, "Login is over", "Log in again here")]
    {
        // A token that isn't taken any more is asked for once again.
        let times = if status == 401 { 2 } else { 1 };
        joined.peer.fail(&json!({"path": "/connected-accounts/accounts", "status": status, "body": {}, "times": times}));
        let page = visitor.get("/connections").await;
        assert!(page.text.contains(state) && page.text.contains(words), "{status}: {}", page.text);
    }
    // Somebody's token ends at the provider: she has to log in again.
    let ada = Identity::new(joined.peer.told("issuer"), "ada");
    joined.login.grants().end_of("acme", &ada).await.unwrap();
    let page = visitor.get("/connections").await;
    assert!(page.text.contains("Login is over") && page.text.contains("Log in again here"), "{}", page.text);
}

#[tokio::test]
async fn a_terminal_says_where_to_connect_and_what_to_compare() {
    let (joined, accounts) = Joined::with_accounts().await;
    let sources = Sources::new().with_socket(Arc::clone(&accounts) as Arc<dyn dispatch::Connections>);
    // Olga is one person: user 1000 of the broker's machine, and her login.
    let session = Session { tenant: "acme".parse().unwrap(), subject: "local:1000".parse().unwrap(), role: Role::Person };
    let connect = async |provider| dispatch::Connections::connect(&sources, &session, provider).await;
    assert!(matches!(connect(Provider::Slack).await, Err(Outcome::NotConfigured { .. })));
    let Ok(Report::ConnectAt { page, code, expires }) = connect(Provider::Github).await else { panic!("nowhere to connect") };
    assert_eq!(expires.get(), joined.broker.clock.now().unix_millis() + 600_000);
    let path = page.as_str().strip_prefix(&joined.broker.origin).unwrap().to_owned();
    let mut visitor = visitor(&joined, &accounts);
    // Not logged in yet: the login leads back here.
    assert_eq!(visitor.get(&path).await.headers[header::LOCATION].to_str().unwrap(), format!("/login?to={path}"));
    visitor.log_in(&joined.peer, "olga").await;
    let shown = visitor.get(&path).await;
    assert!(shown.text.contains(&code.to_string()) && shown.text.contains("local:1000"), "{}", shown.text);
    let first = press(&mut visitor, &shown, "connect").await;
    let back = walked(&joined.peer, &first.onward(), "olga");
    assert_eq!(visitor.come_back(&back).await.status, StatusCode::OK);
    let Ok(Report::AlreadyConnected { connection }) = connect(Provider::Github).await else { panic!("not connected") };
    assert_eq!((connection.name.as_str(), connection.state), ("my-github", ConnectionState::Connected));
    let listed = dispatch::Connections::list(&sources, &session).await.unwrap();
    assert_eq!(listed.len(), 1);
    // Another tenant's person sees no such request, and nobody does after ten minutes.
    let mut eve = Visitor::new(
        router(Pages::from(joined.broker.parts()).with_login(joined.login.clone()).with_accounts(Arc::clone(&accounts))),
        &joined.broker.origin,
    );
    eve.log_in(&joined.peer, "eve").await;
    assert_eq!(eve.get(&path).await.status, StatusCode::GONE);
    joined.clock.advance(Duration::from_secs(600));
    assert_eq!(visitor.get(&path).await.status, StatusCode::GONE);
    // What she connected is lent in her name only.
    let of = async |subject: &str| {
        let (tenant, subject) = ("acme".parse().unwrap(), subject.parse().unwrap());
        accounts.own(&tenant, &subject, Provider::Github).await
    };
    assert!(of("local:1001").await.is_none() && of("sam@nowhere").await.is_none(), "nobody whose login the policy names");
    let lent = of("local:1000").await.unwrap().borrow(BTreeSet::new(), 1, Duration::from_secs(60)).await;
    assert!(lent.is_ok());
}

#[tokio::test]
async fn of_somebody_who_left_nothing_remains_and_a_stop_ends_every_login() {
    let (joined, accounts) = Joined::with_accounts().await;
    let mut visitor = visitor(&joined, &accounts);
    visitor.log_in(&joined.peer, "ada").await;
    let back = begun(&joined, &mut visitor).await;
    visitor.come_back(&back).await;
    let leases = joined.broker.leases().await;
    let leaving = |word: &str| {
        let client = Client::new("keyblind-admin", ClientAuthentication::Post(Secret::from_string(word.to_owned())));
        let administrator = Administrator::new(joined.peer.told("issuer"), client).unwrap();
        let grants = joined.login.grants().clone().administered_by(administrator);
        Leaving::new(joined.broker.approvals.clone(), joined.broker.sessions.clone(), leases.clone())
            .with_grants(grants)
            .with_accounts(Arc::clone(&accounts))
    };
    let said = |steps: &[Check]| steps.iter().map(|step| format!("{:?} {}", step.state, step.subject)).collect::<Vec<_>>();
    // What an administrator's client can't do is said, and keeps nothing else from being done.
    let ada = "ada".parse().unwrap();
    let steps = said(&leaving("wrong").end(&ada).await.unwrap());
    assert!(steps.contains(&"Weak `my-github` is disconnected".to_owned()), "{steps:?}");
    assert!(steps.contains(&"Broken their sessions, refresh tokens and grants at the provider aren't ended".to_owned()), "{steps:?}");
    assert_eq!(visitor.get("/").await.status, StatusCode::SEE_OTHER, "nor is she logged in");
    assert_eq!(joined.peer.ask("GET", "/refresh-tokens", &json!(null)), json!([]));
    assert!(joined.broker.told(&["disconnected"]).await.iter().any(|line| line.contains("my-github")));
    joined.clock.advance(Duration::from_secs(60));
    let steps = said(&leaving(joined.peer.told("client_secret")).end(&ada).await.unwrap());
    assert!(steps.contains(&"Sound all their sessions, refresh tokens and grants at the provider are ended".to_owned()), "{steps:?}");
    assert!(steps.contains(&"Sound the provider keeps no account of theirs any more".to_owned()), "{steps:?}");
    assert!(steps.contains(&"Weak the approval policy still lists ada".to_owned()), "{steps:?}");
    assert!(joined.peer.ask("GET", "/ended-grants", &json!(null)).as_array().unwrap().contains(&json!("ada")));
    assert_eq!(joined.login.grants().unended().await.unwrap(), []);

    // A stop by whatever means: what works in the background sees it, and the page lists what isn't revoked.
    visitor.log_in(&joined.peer, "olga").await;
    let (database, clock) = (joined.broker.database.clone(), Arc::clone(&joined.broker.clock));
    let switch = KillSwitch::open(database, joined.broker.ledger.clone(), clock, None, Vec::new()).await.unwrap();
    joined.peer.fail(&json!({"path": "/oauth/revoke", "status": 500, "times": 1}));
    let work = tokio::spawn(joined.login.grants().clone().work(switch.clone()));
    switch.kill(Cause::Signal).await.unwrap();
    let seal = visitor.get("/stop").await.field("action=\"/stop\"", "seal");
    visitor.post("/stop", &[("seal", &seal)]).await;
    let until = async |what: usize| {
        for _ in 0..100 {
            if joined.login.grants().unended().await.unwrap().len() == what
                && joined.peer.requests().iter().any(|request| request["path"] == "/oauth/revoke")
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("never {what}");
    };
    until(1).await;
    assert!(visitor.get("/stop").await.text.contains("Login of olga at"), "what isn't revoked is listed");
    joined.clock.advance(Duration::from_secs(60));
    for _ in 0..100 {
        if joined.login.grants().unended().await.unwrap().is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(joined.peer.ask("GET", "/refresh-tokens", &json!(null)), json!([]));
    // Whoever logs in while it is stopped leaves nothing either.
    visitor.log_in(&joined.peer, "olga").await;
    assert_eq!(joined.peer.ask("GET", "/refresh-tokens", &json!(null)), json!([]));
    work.abort();
}

/// A provider that is slow with one person's login keeps nobody else waiting.
#[tokio::test]
async fn a_slow_provider_holds_up_one_person_only() {
    let (joined, accounts) = Joined::with_accounts().await;
    let (mut ada, mut olga) = (visitor(&joined, &accounts), visitor(&joined, &accounts));
    ada.log_in(&joined.peer, "ada").await;
    olga.log_in(&joined.peer, "olga").await;
    joined.peer.fail(&json!({"path": "/oauth/token", "matching": "grant_type=refresh_token", "hold": "before"}));
    let beside = async {
        while joined.peer.held() == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let page = tokio::time::timeout(Duration::from_secs(10), olga.get("/connections")).await;
        joined.peer.release();
        page
    };
    let (held, page) = tokio::join!(ada.get("/connections"), beside);
    assert!(page.expect("it isn't held up").text.contains("Not connected"));
    assert!(held.text.contains("Not connected"), "{}", held.text);
}

/// What isn't recorded isn't done: nothing is ended at Auth0 that the ledger doesn't say of before.
#[tokio::test]
async fn nothing_is_ended_at_auth0_that_is_not_recorded_before() {
    let (joined, accounts) = Joined::with_accounts().await;
    let mut visitor = visitor(&joined, &accounts);
    visitor.log_in(&joined.peer, "ada").await;
    let back = begun(&joined, &mut visitor).await;
    visitor.come_back(&back).await;
    let page = visitor.get("/connections").await;
    let ledger = async |sql: &'static str| {
        let done = joined.broker.database.transact(move |transaction| -> Result<(), DatabaseError> { Ok(transaction.execute_batch(sql)?) });
        done.await.unwrap();
    };
    let effects = || {
        let ends = |request: &&serde_json::Value| request["method"] == "DELETE" || request["path"] == "/oauth/revoke";
        joined.peer.requests().iter().filter(ends).count()
    };
    ledger("CREATE TRIGGER refuse BEFORE INSERT ON ledger_entries BEGIN SELECT raise(ABORT, 'full'); END").await;
    assert_ne!(press(&mut visitor, &page, "disconnect").await.status, StatusCode::OK);
    let ada = Identity::new(joined.peer.told("issuer"), "ada");
    drop(joined.login.grants().end_of("acme", &ada).await);
    assert_eq!(effects(), 0);
    ledger("DROP TRIGGER refuse").await;
    joined.clock.advance(Duration::from_secs(60));
    joined.login.grants().retry().await.unwrap();
    assert_eq!(effects(), 1);
    let told = joined.broker.told(&["disconnecting", "disconnected"]).await;
    assert!(told[0].starts_with("disconnecting by ada") && told[1].starts_with("disconnected by ada"), "{told:?}");
}
