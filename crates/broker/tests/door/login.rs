//! Logging in with an OpenID provider, and every way to have somebody logged in who shouldn't be.

use std::time::Duration;

use axum::http::{StatusCode, header};
use keyblind_broker::approvals::policy::Identity;
use keyblind_broker::door::{GrantEnd, LogIn};
use serde_json::json;

use crate::bench::Joined;
use crate::changes;
use crate::visitor::Visitor;

fn visitor(joined: &Joined) -> Visitor {
    Visitor::new(joined.router(), &joined.broker.origin)
}

async fn is_logged_in(visitor: &mut Visitor) -> bool {
    visitor.get("/").await.status == StatusCode::OK
}

#[tokio::test]
async fn a_person_logs_in_and_goes_on_where_they_wanted_to() {
    let joined = Joined::new(&json!({"slash": true})).await;
    let digest = joined.broker.raise(changes::calm(&joined.broker.wanted(1))).await;
    let mut visitor = visitor(&joined);
    let path = format!("/change/{digest}");
    // Somebody opens a link to a change; the login page remembers it.
    let first = visitor.get(&path).await;
    assert_eq!(first.headers[header::LOCATION].to_str().unwrap(), format!("/login?to={path}"));
    let page = visitor.get(&format!("/login?to={path}")).await;
    assert!(page.text.contains("Log in with Example"), "{}", page.text);
    let to = page.field("/login/start", "to");
    let page = visitor.post("/login/start", &[("to", &to)]).await;
    let cookie = page.headers[header::SET_COOKIE].to_str().unwrap();
    assert!(cookie.starts_with("keyblind-login=") && cookie.ends_with("; Path=/; Max-Age=600; HttpOnly; SameSite=Lax"), "{cookie}");
    // What the browser carries is a handle, not the request.
    let url = page.onward();
    assert!(url.starts_with(joined.peer.url()) && url.contains("request_uri=urn%3Aietf") && !url.contains("code_challenge"), "{url}");
    let back = crate::visitor::walked(&joined.peer, &url, "ada");
    let page = visitor.come_back(&back).await;
    assert_eq!((page.status, page.onward()), (StatusCode::OK, path.clone()), "{}", page.text);
    let cookies: Vec<&str> = page.headers.get_all(header::SET_COOKIE).iter().map(|value| value.to_str().unwrap()).collect();
    assert!(cookies[0].starts_with("keyblind-door=") && cookies[0].ends_with("; Path=/; HttpOnly; SameSite=Strict"), "{cookies:?}");
    assert!(cookies[1].starts_with("keyblind-login=; Path=/; Max-Age=0"), "{cookies:?}");
    let page = visitor.get(&path).await;
    assert!(page.text.contains("Make the shop’s bucket private") && page.text.contains("ada at http://127.0.0.1"), "{}", page.text);
    // They were there just now, by the provider's word: the session alone may approve.
    let (seal, nonce) = (page.field("/decide", "seal"), page.field("/decide", "nonce"));
    let answered = visitor.post(&format!("{path}/decide"), &[("seal", &seal), ("nonce", &nonce), ("answer", "approve")]).await;
    assert_eq!(answered.status, StatusCode::SEE_OTHER, "{}", answered.text);
    let seal = visitor.get("/").await.field("/logout", "seal");
    assert_eq!(visitor.post("/logout", &[("seal", &seal)]).await.status, StatusCode::SEE_OTHER);
    assert!(!is_logged_in(&mut visitor).await);
    assert_eq!(
        joined.broker.told(&["logged-in", "logged-out"]).await,
        ["logged-in by ada: {\"method\":\"oidc\"}", "logged-out by ada: {}"]
    );
}

#[tokio::test]
async fn an_answer_that_isnt_this_browsers_logs_nobody_in() {
    let joined = Joined::new(&json!({})).await;
    let mut victim = visitor(&joined);
    let back = victim.log_in_at(&joined.peer, "ada", "/", "").await;
    // Another browser opens it: one without a cookie, one that is under way itself.
    let mut stranger = visitor(&joined);
    assert_eq!(stranger.come_back(&back).await.status, StatusCode::FORBIDDEN);
    let own = stranger.log_in_at(&joined.peer, "eve", "/", "").await;
    assert_eq!(stranger.come_back(&back).await.status, StatusCode::FORBIDDEN);
    // The attacker's own answer in the victim's browser: they would work as somebody else without noticing.
    assert_eq!(victim.come_back(&own).await.status, StatusCode::FORBIDDEN);
    // A name twice, a state that is missing or another, another provider's answer, an answer without its name.
    let (path, query) = back.split_once('?').unwrap();
    let without = |name: &str| {
        let rest: Vec<&str> = query.split('&').filter(|pair| !pair.starts_with(&format!("{name}="))).collect();
        format!("{path}?{}", rest.join("&"))
    };
    for address in
        [format!("{back}&code=other"), format!("{back}&state=other"), without("state"), format!("{}&state=other", without("state"))]
    {
        let page = victim.come_back(&address).await;
        assert_eq!(page.status, StatusCode::FORBIDDEN, "{address}");
        assert!(page.text.contains("isn’t the answer to a login that this browser began"), "{address}");
    }
    assert!(joined.broker.told(&["login-failed"]).await.is_empty(), "what isn't ours fills no ledger");
    // None of that has used it up. Its owner still gets in, once.
    assert_eq!(victim.clone().come_back(&back).await.status, StatusCode::OK);
    let mut twice = victim.clone();
    assert_eq!(twice.come_back(&back).await.status, StatusCode::FORBIDDEN, "the same answer again, with the cookie that it came with");
    assert!(!is_logged_in(&mut twice).await);
}

#[tokio::test]
async fn an_answer_of_another_issuer_is_refused_before_its_code_is_used() {
    let joined = Joined::new(&json!({})).await;
    for change in ["&iss=https%3A%2F%2Fevil.example", ""] {
        let mut visitor = visitor(&joined);
        let back = visitor.log_in_at(&joined.peer, "ada", "/", "").await;
        let (path, query) = back.split_once('?').unwrap();
        let rest: Vec<&str> = query.split('&').filter(|pair| !pair.starts_with("iss=")).collect();
        joined.peer.ask("POST", "/forget", &serde_json::Value::Null);
        let page = visitor.come_back(&format!("{path}?{}{change}", rest.join("&"))).await;
        assert_eq!(page.status, StatusCode::FORBIDDEN);
        assert!(joined.peer.requests().iter().all(|request| request["path"] != "/oauth/token"), "{change}");
        assert!(!visitor.has("keyblind-door") && !visitor.has("keyblind-login"), "and the way is used up");
    }
    assert_eq!(joined.broker.told(&["login-failed"]).await.len(), 2);
}

#[tokio::test]
async fn nothing_leads_from_a_login_to_another_site() {
    let joined = Joined::new(&json!({})).await;
    for to in
        ["//evil.example", "/\\evil.example", "https://evil.example/", "javascript:alert(1)", "/change/../..//evil.example", "/logout"]
    {
        let mut visitor = visitor(&joined);
        let back = visitor.log_in_at(&joined.peer, "ada", to, "").await;
        assert_eq!(visitor.come_back(&back).await.onward(), "/", "{to}");
        let page = visitor.get(&format!("/login?to={}", to.replace('\\', "%5C"))).await;
        assert_eq!(page.field("/login/start", "to"), "/", "{to}");
    }
}

#[tokio::test]
async fn a_login_takes_ten_minutes_at_most_and_is_begun_on_our_own_page_only() {
    let joined = Joined::new(&json!({})).await;
    let mut late = visitor(&joined);
    let back = late.log_in_at(&joined.peer, "ada", "/", "").await;
    joined.clock.advance(Duration::from_secs(10 * 60));
    assert_eq!(late.come_back(&back).await.status, StatusCode::FORBIDDEN);
    let request = axum::http::Request::post("/login/start")
        .header(header::HOST, joined.broker.origin.split("//").nth(1).unwrap())
        .header(header::ORIGIN, "https://evil.example")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    let answered = tower::ServiceExt::oneshot(joined.router(), request.body(axum::body::Body::from("to=/")).unwrap()).await.unwrap();
    assert_eq!(answered.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn what_goes_wrong_at_the_provider_is_told_with_what_to_do() {
    let joined = Joined::new(&json!({})).await;
    let mut visitor = visitor(&joined);
    // At the start.
    for (fault, words) in [
        (json!({"path": "/oauth/par", "status": 401, "body": {"error": "invalid_client"}}), "its client id or its secret is wrong"),
        (
            json!({"path": "/oauth/par", "status": 400, "body": {"error": "invalid_request"}}),
            "callback address of this page isn’t registered",
        ),
        (json!({"path": "/oauth/par", "status": 400, "body": {"error": "invalid_scope"}}), "may not have the scopes"),
        (json!({"path": "/oauth/par", "status": 503}), "trouble of its own"),
        (json!({"path": "/oauth/par", "status": 429, "headers": {"retry-after": "90"}}), "Try again in 90 seconds"),
        (json!({"path": "/oauth/par", "drop": true}), "can’t be reached"),
    ] {
        joined.peer.fail(&fault);
        let page = visitor.post("/login/start", &[("to", "/")]).await;
        assert_eq!(page.status, StatusCode::BAD_GATEWAY);
        assert!(page.text.contains(words), "{words} in {}", page.text);
    }
    // On the way back: the person or the provider says no, or the code is refused. The provider's own words are never repeated.
    for (error, words) in [
        ("access_denied", "said no"),
        ("login_required", "do what it asks"),
        ("consent_required", "allow what it names"),
        ("temporarily_unavailable", "trouble of its own"),
        ("unauthorized_client", "may not log people in"),
        ("<script>", "a reason that isn’t known here"),
    ] {
        let back = visitor.log_in_at(&joined.peer, "ada", "/", "").await;
        let state = back.split(['?', '&']).find(|pair| pair.starts_with("state=")).unwrap();
        let address = format!(
            "{}/login/callback?{state}&error={error}&error_description=hostile-words&iss={}",
            joined.broker.origin,
            joined.peer.told("issuer").replace(':', "%3A").replace('/', "%2F")
        );
        let page = visitor.come_back(&address.replace('<', "%3C").replace('>', "%3E")).await;
        assert_eq!(page.status, StatusCode::FORBIDDEN);
        assert!(page.text.contains(words) && !page.text.contains("hostile-words"), "{words} in {}", page.text);
    }
    let back = visitor.log_in_at(&joined.peer, "ada", "/", "").await;
    joined.peer.fail(&json!({"path": "/oauth/token", "status": 400, "body": {"error": "invalid_grant"}}));
    assert!(visitor.come_back(&back).await.text.contains("has been used, or was too old"));
    assert!(!is_logged_in(&mut visitor).await);
    let told = joined.broker.told(&["login-failed"]).await;
    assert_eq!(told.len(), 7, "{told:?}");
    assert!(told[0].contains("access-denied") && told[6].contains("invalid-grant"), "{told:?}");
}

#[tokio::test]
async fn a_fresh_login_is_asked_for_where_it_is_needed_and_counts_only_if_it_is_one() {
    let joined = Joined::new(&json!({})).await;
    let mut visitor = visitor(&joined);
    visitor.log_in(&joined.peer, "ada").await;
    assert!(!visitor.get("/passkeys").await.text.contains("log-in-again"));
    joined.clock.advance(Duration::from_secs(6 * 60));
    let page = visitor.get("/passkeys").await;
    assert!(page.text.contains("This needs a fresh login"), "{}", page.text);
    let (to, again) = (page.field("/login/start", "to"), page.field("/login/start", "again"));
    // The provider's word is older than the question by our clock, which is six minutes ahead: it isn't fresh.
    let old = visitor.clone();
    let back = visitor.log_in_at(&joined.peer, "ada", &to, &again).await;
    let asked = joined.peer.requests().into_iter().rfind(|request| request["path"] == "/oauth/par").unwrap()["body"].to_string();
    assert!(asked.contains("prompt=login") && asked.contains("max_age=0"), "{asked}");
    let page = visitor.come_back(&back).await;
    assert!(page.text.contains("didn’t ask you to log in again"), "{}", page.text);
    // With both clocks right it counts, and takes the place of the session that asked.
    let joined = Joined::new(&json!({})).await;
    let mut visitor = Visitor::new(joined.router(), &joined.broker.origin);
    visitor.log_in(&joined.peer, "ada").await;
    let mut before = visitor.clone();
    let back = visitor.log_in_at(&joined.peer, "ada", "/passkeys", "yes").await;
    assert_eq!(visitor.come_back(&back).await.onward(), "/passkeys");
    assert!(is_logged_in(&mut visitor).await && !is_logged_in(&mut before).await);
    // Somebody else at the same browser doesn't become fresh in the first one's place.
    let back = visitor.log_in_at(&joined.peer, "sam", "/passkeys", "yes").await;
    let page = visitor.come_back(&back).await;
    assert!(page.status == StatusCode::FORBIDDEN && page.text.contains("somebody else than the session"), "{}", page.text);
    drop(old);
}

/// A provider that doesn't say when somebody logged in, or whose word is old, makes no session fresh.
#[tokio::test]
async fn when_somebody_was_there_is_the_providers_word_not_the_moment_of_the_answer() {
    let joined = Joined::new(&json!({})).await;
    let mut visitor = visitor(&joined);
    // Logged in at the provider seven minutes ago by our clock, and only passed through now.
    joined.clock.advance(Duration::from_secs(7 * 60));
    visitor.log_in(&joined.peer, "ada").await;
    assert!(is_logged_in(&mut visitor).await);
    assert!(visitor.get("/passkeys").await.text.contains("This needs a fresh login"));
}

#[tokio::test]
async fn whom_the_policy_doesnt_list_sees_that_they_can_approve_nothing() {
    let joined = Joined::new(&json!({})).await;
    let digest = joined.broker.raise(changes::calm(&joined.broker.wanted(1))).await;
    let mut visitor = visitor(&joined);
    let back = visitor.log_in_at(&joined.peer, "mallory<b>", "/", "").await;
    let page = visitor.come_back(&back).await;
    assert_eq!(page.onward(), "/");
    for path in [
        "/".to_owned(),
        format!("/change/{digest}"),
        format!("/change/{digest}/whole"),
        "/connections".into(),
        "/passkeys".into(),
        "/policy".into(),
        "/stop".into(),
    ] {
        let page = visitor.get(&path).await;
        assert_eq!(page.status, StatusCode::FORBIDDEN, "{path}");
        assert!(page.text.contains("You can approve nothing") && page.text.contains("mallory&#60;b&#62;"), "{path}: {}", page.text);
        assert!(!page.text.contains("bucket") && !page.text.contains("acme/shop"), "{path}");
    }
    let seal = visitor.get("/").await.field("/logout", "seal");
    for path in ["/stop", "/arm", "/passkeys/add", &format!("/change/{digest}/decide")] {
        assert_eq!(visitor.post(path, &[("seal", &seal)]).await.status, StatusCode::FORBIDDEN, "{path}");
    }
    assert_eq!(visitor.post("/logout", &[("seal", &seal)]).await.status, StatusCode::SEE_OTHER);
    assert!(joined.broker.told(&["logged-in"]).await[0].starts_with("logged-in by identity:"), "a name that the ledger doesn't take");
}

#[tokio::test]
async fn a_refresh_token_is_in_the_sealed_store_only_and_ends_when_it_isnt_wanted() {
    let joined = Joined::new(&json!({})).await;
    let login =
        joined.login.clone().asking_for("openid offline_access", Some("https://api.keyblind.example".to_owned())).asking_for_consent();
    let joined = Joined { login, ..joined };
    let mut visitor = visitor(&joined);
    visitor.log_in(&joined.peer, "ada").await;
    let grants = joined.login.grants();
    let ada = Identity::new(joined.peer.told("issuer"), "ada");
    let token = grants.refresh_token("acme", &ada).await.unwrap().unwrap().token;
    let text = token.expose(|bytes| String::from_utf8(bytes.to_vec()).unwrap());
    for file in std::fs::read_dir(joined.broker.folder.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(text.len()).any(|part| part == text.as_bytes()));
    }
    assert!(grants.refresh_token("evil", &ada).await.unwrap().is_none(), "another tenant has none");
    // A second login replaces it; the first one is revoked at the provider.
    visitor.log_in(&joined.peer, "ada").await;
    assert_eq!(joined.peer.ask("GET", "/refresh-tokens", &json!(null)).as_array().unwrap().len(), 2);
    let ended = grants.retry().await.unwrap();
    assert_eq!(ended.iter().map(|ended| ended.end).collect::<Vec<_>>(), [GrantEnd::Revoked]);
    assert_eq!(joined.peer.ask("GET", "/refresh-tokens", &json!(null)).as_array().unwrap().len(), 1);
    // A stop: the provider fails first, then it is confirmed; in between it is listed.
    visitor.log_in(&joined.peer, "sam").await;
    joined.peer.fail(&json!({"path": "/oauth/revoke", "status": 500, "times": 2}));
    let ended = grants.end_all().await.unwrap();
    assert_eq!(ended.iter().map(|ended| ended.end).collect::<Vec<_>>(), [GrantEnd::Waiting; 2], "{ended:?}");
    assert!(grants.refresh_token("acme", &ada).await.unwrap().is_none(), "nothing is used any more that is to end");
    assert_eq!(grants.unended().await.unwrap().len(), 2);
    assert_eq!(grants.retry().await.unwrap(), [], "not before its time");
    joined.clock.advance(Duration::from_secs(60));
    assert_eq!(grants.retry().await.unwrap().iter().map(|ended| ended.end).collect::<Vec<_>>(), [GrantEnd::Revoked; 2]);
    assert_eq!(grants.unended().await.unwrap(), []);
    assert_eq!(joined.peer.ask("GET", "/refresh-tokens", &json!(null)), json!([]));
    let told = joined.broker.told(&["connected", "disconnected"]).await;
    assert_eq!(told.iter().filter(|line| line.starts_with("connected")).count(), 3, "{told:?}");
    assert_eq!(told.iter().filter(|line| line.contains("\"is_confirmed\":true")).count(), 3, "{told:?}");
}

#[tokio::test]
async fn without_a_provider_there_are_only_links() {
    let joined = Joined::new(&json!({})).await;
    let mut visitor = Visitor::new(keyblind_broker::door::router(joined.broker.parts()), &joined.broker.origin);
    assert!(!visitor.get("/login").await.text.contains("/login/start"));
    assert_eq!(visitor.post("/login/start", &[("to", "/")]).await.status, StatusCode::NOT_FOUND);
    assert_eq!(visitor.come_back(&format!("{}/login/callback?state=x&code=y", joined.broker.origin)).await.status, StatusCode::FORBIDDEN);
    let _: LogIn = joined.login;
}
