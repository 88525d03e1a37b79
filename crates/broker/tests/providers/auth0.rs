//! Auth0's own grant over `oidc-provider`'s tokens; connected accounts judged by Auth0's OpenAPI. The exchange itself is ours to
//! play, after Auth0's documentation: how the real one behaves is for a live tenant to show.

use std::sync::Arc;
use std::time::Duration;

use keyblind_broker::clock::{Clock, SystemClock, TestClock};
use keyblind_broker::egress::EgressError;
use keyblind_broker::jws::SigningKey;
use keyblind_broker::providers::auth0::{
    AccessEnd, AccountsError, Administrator, Auth0, Borrowed, ConnectCallback, ConnectRequest, OperatorFault, Subject, Trouble,
    VaultRequest,
};
use keyblind_broker::providers::oidc::{Callback, Client, ClientAuthentication, OidcError, OpenIdProvider, SignInRequest, Tokens};
use keyblind_broker::secret::Secret;
use keyblind_intent::ConnectionState;
use keyblind_testkit::Peer;
use serde_json::{Value, json};

use crate::{egress, secret};

const BACK: &str = "http://127.0.0.1/callback";
const API: &str = "https://api.keyblind.example";
const WHO: &str = "auth0|ada";

fn tenant(more: &Value) -> Peer {
    let mut options = json!({"details": ["cloud_change"], "api": API, "federated": true, "slash": true});
    options.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Peer::oidc(&options)
}

fn auth0_at(peer: &Peer, clock: Arc<dyn Clock>) -> Auth0 {
    let client = Client::new("keyblind", ClientAuthentication::Post(secret(peer.told("client_secret"))));
    Auth0::new(OpenIdProvider::new(egress(&[peer]), clock, peer.told("issuer"), client)).unwrap()
}

fn auth0(peer: &Peer) -> Auth0 {
    auth0_at(peer, Arc::new(SystemClock::new()))
}

async fn signed_in(peer: &Peer, auth0: &Auth0, audience: &str, scope: &str) -> Tokens {
    let request = SignInRequest { redirect: BACK, scope, audience: Some(audience), prompt: Some("consent"), ..SignInRequest::default() };
    let sign_in = auth0.oidc().begin(&request).await.unwrap();
    let back = came_back(peer, sign_in.url());
    let find = |name: &str| back.iter().find(|(found, _)| found == name).map(|(_, value)| value.clone());
    let (state, issuer) = (find("state").unwrap(), find("iss"));
    let callback = Callback { state: &state, code: find("code").as_deref().map(secret), error: None, issuer: issuer.as_deref() };
    auth0.oidc().complete(sign_in, callback).await.unwrap()
}

fn came_back(peer: &Peer, url: &str) -> Vec<(String, String)> {
    let walked = peer.ask("POST", "/browse", &json!({"url": url, "account": WHO}));
    let query = walked["location"].as_str().unwrap().split_once('?').unwrap().1;
    let pairs = query.split('&').map(|pair| pair.split_once('=').unwrap());
    pairs.map(|(name, value)| (name.to_owned(), value.replace("%3A", ":").replace("%2F", "/"))).collect()
}

async fn refresh_token(peer: &Peer, auth0: &Auth0) -> Secret {
    signed_in(peer, auth0, API, "openid offline_access scan:read").await.refresh.unwrap()
}

fn request<'a>(subject: Subject<'a>) -> VaultRequest<'a> {
    VaultRequest { subject, connection: "github", account: None, scopes: &["repo"] }
}

async fn trouble(auth0: &Auth0, request: &VaultRequest<'_>) -> Trouble {
    match auth0.borrow_token(request).await {
        Ok(_) => panic!("a token was borrowed"),
        Err(trouble) => trouble,
    }
}

#[tokio::test]
async fn a_connected_accounts_token_is_borrowed_in_three_ways() {
    let key = SigningKey::generate(Some("worker".to_owned())).unwrap();
    let mut jwk = serde_json::to_value(key.public_key().unwrap()).unwrap();
    jwk["kid"] = json!("worker");
    let peer = tenant(&json!({"worker_keys": {"keys": [jwk]}}));
    let auth0 = auth0(&peer);
    let tokens = signed_in(&peer, &auth0, API, "openid offline_access scan:read").await;
    peer.ask("POST", "/connect", &json!({"account": WHO, "connection": "github", "scope": "repo,read:org", "token": "gho_canary"}));
    let subjects = [
        Subject::Refresh(tokens.refresh.as_ref().unwrap()),
        Subject::Access(&tokens.access),
        Subject::Worker { key: &key, person: WHO, purpose: "scan" },
    ];
    for subject in subjects {
        let Borrowed { token, expires, beyond } = auth0.borrow_token(&request(subject)).await.unwrap();
        assert_eq!(token.len(), "gho_canary".len());
        assert_eq!(beyond, ["read:org"]);
        assert!(expires.unwrap() > SystemClock::new().now());
    }
    // A scope can't be sent, and isn't.
    let forms = peer.requests();
    let exchanges = forms.iter().filter_map(|request| request["body"].as_str()).filter(|body| body.contains("federated"));
    assert_eq!(exchanges.clone().count(), 3);
    assert!(exchanges.clone().all(|body| !body.contains("scope=")));
    let stranger = SigningKey::generate(Some("worker".to_owned())).unwrap();
    let forged = Subject::Worker { key: &stranger, person: WHO, purpose: "scan" };
    assert_eq!(trouble(&auth0, &request(forged)).await, Trouble::SignedOut);
}

/// Each refusal is a state of its own, with an advice of its own.
#[tokio::test]
async fn every_refusal_is_a_state_of_its_own() {
    let peer = tenant(&json!({}));
    let auth0 = auth0(&peer);
    let refresh = refresh_token(&peer, &auth0).await;
    let asked = request(Subject::Refresh(&refresh));
    let mut advice = std::collections::BTreeSet::new();
    let mut expect = |trouble: Trouble, expected: Trouble, state: Option<ConnectionState>| {
        assert_eq!(trouble, expected);
        assert_eq!(trouble.state(), state, "{trouble:?}");
        advice.insert(trouble.advice());
    };
    let connect = |state: &str, scope: &str| {
        peer.ask("POST", "/disconnect", &json!({"account": WHO}));
        peer.ask("POST", "/connect", &json!({"account": WHO, "connection": "github", "scope": scope, "token": "gho_x", "state": state}));
    };
    expect(trouble(&auth0, &asked).await, Trouble::NotConnected, Some(ConnectionState::NotConnected));
    connect("broken", "repo");
    expect(trouble(&auth0, &asked).await, Trouble::Expired, Some(ConnectionState::Expired));
    connect("good", "read:user, read:org");
    let missing = Trouble::ScopeMissing { missing: vec!["repo".to_owned()] };
    expect(trouble(&auth0, &asked).await, missing, Some(ConnectionState::ScopeMissing));
    peer.ask("POST", "/mfa", &json!({"on": true}));
    expect(trouble(&auth0, &asked).await, Trouble::SecondFactorRequired, Some(ConnectionState::SecondFactorRequired));
    peer.ask("POST", "/mfa", &json!({"on": false}));
    peer.ask("POST", "/limit", &json!({"on": true}));
    match trouble(&auth0, &asked).await {
        Trouble::RateLimited { wait: Some(wait) } => {
            assert!((5..=7).contains(&wait.as_secs()), "{wait:?}");
            expect(Trouble::RateLimited { wait: None }, Trouble::RateLimited { wait: None }, Some(ConnectionState::RateLimited));
        }
        other => panic!("{other:?}"),
    }
    peer.ask("POST", "/limit", &json!({"on": false}));
    let unknown = secret("unknown");
    expect(trouble(&auth0, &request(Subject::Refresh(&unknown))).await, Trouble::SignedOut, Some(ConnectionState::SignedOut));
    let operator = [
        (403, "unauthorized_client", OperatorFault::Grant),
        (403, "access_denied", OperatorFault::Grant),
        (401, "invalid_client", OperatorFault::Credentials),
        (400, "invalid_request", OperatorFault::Request),
        (401, "something_new", OperatorFault::Unknown),
    ];
    for (status, error, fault) in operator {
        peer.fail(&json!({"path": "/oauth/token", "status": status, "body": {"error": error, "error_description": "gho_canary"}}));
        let found = trouble(&auth0, &asked).await;
        assert!(!format!("{found} {found:?}").contains("canary"));
        expect(found, Trouble::Operator(fault), Some(ConnectionState::OperatorError));
    }
    peer.fail(&json!({"path": "/oauth/token", "status": 502, "body": {"error": "invalid_grant"}}));
    expect(trouble(&auth0, &asked).await, Trouble::Unavailable(OidcError::Broken { status: 502 }), None);
    peer.fail(&json!({"path": "/oauth/token", "status": 200, "body": {"access_token": "gho_x", "token_type": "Bearer"}}));
    expect(trouble(&auth0, &asked).await, Trouble::Unavailable(OidcError::OtherThanAsked), None);
    peer.fail(&json!({"path": "/oauth/token", "drop": true}));
    expect(trouble(&auth0, &asked).await, Trouble::Unavailable(OidcError::Egress(EgressError::Protocol)), None);
    assert_eq!(advice.len(), 11, "{advice:?}");
    // The grant is off for this client.
    let peer = tenant(&json!({"federated": false}));
    let auth0 = self::auth0(&peer);
    let refresh = refresh_token(&peer, &auth0).await;
    assert_eq!(trouble(&auth0, &request(Subject::Refresh(&refresh))).await, Trouble::Operator(OperatorFault::Grant));
}

#[tokio::test]
async fn an_account_is_connected_listed_and_disconnected() {
    let peer = tenant(&json!({}));
    let clock = Arc::new(TestClock::at(SystemClock::new().now()));
    let auth0 = auth0_at(&peer, Arc::clone(&clock) as Arc<dyn Clock>);
    let audience = auth0.accounts_audience();
    let scope = "openid offline_access create:me:connected_accounts read:me:connected_accounts delete:me:connected_accounts";
    let tokens = signed_in(&peer, &auth0, &audience, scope).await;
    let wanted = ConnectRequest { connection: "github", redirect: BACK, scopes: &["repo"] };
    let connect = || async {
        let connecting = auth0.begin_connecting(&tokens.access, &wanted).await.unwrap();
        let back = came_back(&peer, connecting.url());
        let find = |name: &str| back.iter().find(|(found, _)| found == name).unwrap().1.clone();
        (connecting, find("state"), find("connect_code"))
    };
    let (connecting, state, code) = connect().await;
    let account =
        auth0.complete_connecting(&tokens.access, connecting, &ConnectCallback { state: &state, code: secret(&code) }).await.unwrap();
    assert_eq!((account.connection.as_str(), account.scopes.as_slice()), ("github", &["repo".to_owned()][..]));
    assert_eq!(auth0.accounts(&tokens.access).await.unwrap(), std::slice::from_ref(&account));

    // Another browser's answer, a code that was used, an answer that comes too late.
    let (connecting, _, fresh) = connect().await;
    let foreign = ConnectCallback { state: "other", code: secret(&fresh) };
    assert_eq!(auth0.complete_connecting(&tokens.access, connecting, &foreign).await, Err(AccountsError::ForeignCallback));
    let (connecting, state, _) = connect().await;
    let used = ConnectCallback { state: &state, code: secret(&code) };
    assert_eq!(auth0.complete_connecting(&tokens.access, connecting, &used).await, Err(AccountsError::ForeignCallback));
    let (connecting, state, fresh) = connect().await;
    clock.advance(Duration::from_secs(301));
    let late = ConnectCallback { state: &state, code: secret(&fresh) };
    assert_eq!(auth0.complete_connecting(&tokens.access, connecting, &late).await, Err(AccountsError::ForeignCallback));

    auth0.disconnect(&tokens.access, &account.id).await.unwrap();
    assert_eq!(auth0.disconnect(&tokens.access, &account.id).await, Err(AccountsError::NotFound));
    assert_eq!(auth0.accounts(&tokens.access).await.unwrap(), []);
    assert_eq!(auth0.accounts(&secret("nobody")).await, Err(AccountsError::SignedOut));
    let reader = signed_in(&peer, &auth0, &audience, "openid read:me:connected_accounts").await.access;
    assert!(matches!(auth0.begin_connecting(&reader, &wanted).await, Err(AccountsError::NotAllowed)));
    assert_eq!(peer.violations(), json!([]));
}

#[tokio::test]
async fn an_administrator_ends_all_access_of_somebody_who_left() {
    let peer = tenant(&json!({}));
    let auth0 = auth0(&peer);
    let (first, second) = (refresh_token(&peer, &auth0).await, refresh_token(&peer, &auth0).await);
    peer.ask("POST", "/connect", &json!({"account": WHO, "connection": "github", "scope": "repo", "token": "gho_x"}));
    auth0.borrow_token(&request(Subject::Refresh(&first))).await.unwrap();
    let administrator = |word: &str| {
        let client = Client::new("keyblind-admin", ClientAuthentication::Post(secret(word)));
        Administrator::new(peer.told("issuer"), client).unwrap()
    };
    assert!(administrator("wrong").end(auth0.oidc(), WHO).await.is_err());
    let administrator = administrator(peer.told("client_secret"));
    assert_eq!(administrator.connected(auth0.oidc(), WHO).await.unwrap(), ["github"]);
    peer.fail(&json!({"path": "/revoke-access$", "status": 500}));
    assert_eq!(administrator.end(auth0.oidc(), WHO).await, Err(OidcError::Broken { status: 500 }));
    peer.fail(&json!({"path": "/revoke-access$", "status": 202, "body": {}}));
    assert_eq!(administrator.end(auth0.oidc(), WHO).await, Ok(AccessEnd::Accepted));
    assert_eq!(administrator.end(auth0.oidc(), WHO).await, Ok(AccessEnd::Confirmed));
    for refresh in [first, second] {
        assert_eq!(trouble(&auth0, &request(Subject::Refresh(&refresh))).await, Trouble::SignedOut);
    }
}
