//! Logging in and connecting an account in a real browser: its own rules about cookies, redirects, content policy and tabs decide.
//!
//! The OpenID provider is `oidc-provider`; Auth0's connected accounts are a stand-in of ours beside it, whose requests Auth0's own
//! description judges.

use std::path::PathBuf;
use std::sync::Arc;

use keyblind_broker::approvals::State;
use keyblind_broker::dispatch::{self, Role, Session};
use keyblind_broker::door::Pages;
use keyblind_intent::{Provider, Report};
use serde_json::json;

use crate::bench::Joined;
use crate::changes;
use crate::chromium::Chromium;
use crate::pages::look_at;

fn pictures() -> PathBuf {
    let pictures = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("door");
    std::fs::create_dir_all(&pictures).unwrap();
    pictures
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_logs_in_with_a_provider_and_comes_out_at_the_change_it_was_sent_to() {
    let joined = Joined::new(&json!({})).await;
    let origin = joined.broker.origin.clone();
    joined.broker.serve(Pages::from(joined.broker.parts()).with_login(joined.login.clone())).await;
    let digest = joined.broker.raise(changes::calm(&joined.broker.wanted(1))).await;
    let mut browser = Chromium::start();
    look_at(&mut browser, &origin, &[("login-provider", "/login".to_owned())], &pictures());
    joined.peer.ask("POST", "/person", &json!({"account": "ada"}));
    browser.open(&format!("{origin}/change/{digest}"));
    browser.press("#log-in");
    browser.wait(&format!("document.location.pathname === '/change/{digest}' && document.querySelector('.decide') !== null"));
    let cookies = browser.call("Network.getAllCookies", json!({}));
    let own: Vec<_> = cookies["cookies"].as_array().unwrap().iter().filter(|cookie| cookie["domain"] == "approve.localhost").collect();
    assert_eq!(own.len(), 1, "the way to the provider left nothing behind: {own:?}");
    assert_eq!((&own[0]["name"], &own[0]["sameSite"], &own[0]["httpOnly"]), (&json!("keyblind-door"), &json!("Strict"), &json!(true)));
    browser.press(".decide button.approve");
    browser.wait("document.body.innerText.includes('Approved. It is applied once')");
    assert_eq!(joined.broker.state(digest).await, State::Approved);
    // Somebody whom the policy doesn't list, in a browser of their own.
    let mut stranger = Chromium::start();
    joined.peer.ask("POST", "/person", &json!({"account": "mallory"}));
    stranger.open(&format!("{origin}/login"));
    stranger.press("#log-in");
    stranger.wait("document.location.pathname === '/' && document.body.innerText.includes('You can approve nothing')");
    look_at(&mut stranger, &origin, &[("stranger", "/".to_owned())], &pictures());
    // An answer that is opened once more logs nobody in.
    stranger.open(&format!("{origin}/login/callback?state=x&code=y"));
    stranger.wait("document.body.innerText.includes('isn’t the answer to a login')");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_connects_an_account_in_a_new_tab_and_in_the_only_one() {
    let (joined, accounts) = Joined::with_accounts().await;
    let origin = joined.broker.origin.clone();
    let pages = Pages::from(joined.broker.parts()).with_login(joined.login.clone()).with_accounts(Arc::clone(&accounts));
    joined.broker.serve(pages).await;
    let mut browser = Chromium::start();
    joined.peer.ask("POST", "/person", &json!({"account": "olga"}));
    browser.open(&format!("{origin}/connections"));
    browser.press("#log-in");
    browser.wait("document.location.pathname === '/connections' && document.querySelector('button.connect') !== null");
    let session = Session { tenant: "acme".parse().unwrap(), subject: "local:1000".parse().unwrap(), role: Role::Person };
    let asked = dispatch::Connections::connect(&*accounts, &session, Provider::Github).await;
    let Ok(Report::ConnectAt { page, .. }) = asked else { panic!("nowhere to connect") };
    let asked = page.as_str().strip_prefix(&origin).unwrap().to_owned();
    look_at(&mut browser, &origin, &[("accounts", "/connections".to_owned()), ("connect", asked)], &pictures());
    // In a tab of its own; the first one notices by itself.
    browser.open(&format!("{origin}/connections"));
    browser.press("button.connect");
    let first = browser.go_to_new_tab();
    browser.wait("document.location.pathname === '/connect/callback' && document.body.innerText.includes('is connected')");
    browser.go_to_tab(first);
    browser.wait("[...document.querySelectorAll('.account .sound')].some((one) => one.innerText === 'Connected')");
    browser.press("button.disconnect");
    browser.wait("document.querySelector('button.connect') !== null");
    // In the only tab, as on a phone that opens no second one.
    browser.evaluate("document.querySelector('form[target]').removeAttribute('target')");
    browser.press("button.connect");
    browser.wait("document.location.pathname === '/connect/callback' && document.body.innerText.includes('is connected')");
    browser.press("#back");
    browser.wait("document.location.pathname === '/connections' && document.querySelector('.account .sound') !== null");
    look_at(&mut browser, &origin, &[("account-connected", "/connections".to_owned())], &pictures());
    assert_eq!(joined.peer.violations(), json!([]));
}
