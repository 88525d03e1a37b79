//! Against `oidc-provider`, a certified implementation.

use std::sync::Arc;
use std::time::Duration;

use keyblind_broker::approvals::ciba::{Asked, Backchannel, End, NotAsked, Poll, Step};
use keyblind_broker::clock::{Clock, SystemClock, TestClock};
use keyblind_broker::egress::EgressError;
use keyblind_broker::jws::SigningKey;
use keyblind_broker::providers::oidc::{
    Callback, Client, ClientAuthentication, DeviceQuestion, DeviceRequest, Exchange, IdTokenFault, OauthCode, OidcError, OpenIdProvider,
    Revocation, SignInRequest, Tokens,
};
use keyblind_intent::Digest;
use keyblind_testkit::Peer;
use serde_json::{Value, json};

use crate::{egress, secret};

const BACK: &str = "http://127.0.0.1/callback";
const API: &str = "https://api.keyblind.example";

fn peer(more: &Value) -> Peer {
    let mut options = json!({"details": ["cloud_change"], "api": API, "federated": true, "interval": 1});
    options.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Peer::oidc(&options)
}

fn client(peer: &Peer, id: &str) -> Client {
    Client::new(id, ClientAuthentication::Post(secret(peer.told("client_secret"))))
}

fn provider(peer: &Peer) -> OpenIdProvider {
    OpenIdProvider::new(egress(&[peer]), Arc::new(SystemClock::new()), peer.told("issuer"), client(peer, "keyblind"))
}

fn request() -> SignInRequest<'static> {
    SignInRequest {
        redirect: BACK,
        scope: "openid offline_access scan:read",
        audience: Some(API),
        prompt: Some("consent"),
        ..SignInRequest::default()
    }
}

/// The parameters with which the browser comes back.
fn brought_back(peer: &Peer, url: &str, who: &str) -> Vec<(String, String)> {
    let walked = peer.ask("POST", "/browse", &json!({"url": url, "account": who}));
    let location = walked["location"].as_str().unwrap();
    assert!(location.starts_with(BACK), "{location}");
    let query = location.split_once('?').unwrap().1;
    query.split('&').map(|pair| pair.split_once('=').unwrap()).map(|(name, value)| (name.to_owned(), decoded(value))).collect()
}

fn decoded(text: &str) -> String {
    text.replace("%3A", ":").replace("%2F", "/")
}

fn value<'v>(parameters: &'v [(String, String)], name: &str) -> Option<&'v str> {
    parameters.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
}

fn callback(parameters: &[(String, String)]) -> Callback<'_> {
    Callback {
        state: value(parameters, "state").unwrap_or_default(),
        code: value(parameters, "code").map(secret),
        error: value(parameters, "error"),
        issuer: value(parameters, "iss"),
    }
}

async fn signed_in(peer: &Peer, provider: &OpenIdProvider, who: &str) -> Tokens {
    let sign_in = provider.begin(&request()).await.unwrap();
    let parameters = brought_back(peer, sign_in.url(), who);
    provider.complete(sign_in, callback(&parameters)).await.unwrap()
}

fn refusal<T>(result: Result<T, OidcError>) -> OidcError {
    match result {
        Ok(_) => panic!("there was no error"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn a_person_signs_in_with_a_pushed_request_and_the_token_is_renewed_and_ended() {
    let peer = peer(&json!({"slash": true}));
    let provider = provider(&peer);
    let sign_in = provider.begin(&request()).await.unwrap();
    // What the browser carries is a handle, not the request.
    assert!(sign_in.url().contains("request_uri=urn%3Aietf") && !sign_in.url().contains("code_challenge"), "{}", sign_in.url());
    let parameters = brought_back(&peer, sign_in.url(), "auth0|ada");
    let tokens = provider.complete(sign_in, callback(&parameters)).await.unwrap();
    assert_eq!(tokens.id.as_ref().unwrap().subject, "auth0|ada");
    assert!(!tokens.is_bound && tokens.expires.is_some());
    let refresh = tokens.refresh.unwrap();

    let renewed = provider.refresh(&refresh, None, None).await.unwrap();
    assert!(renewed.access.len() > 20);
    assert_eq!(provider.revoke(&refresh, "refresh_token").await, Ok(Revocation::Confirmed));
    assert_eq!(peer.ask("GET", "/refresh-tokens", &Value::Null), json!([]));
    assert_eq!(refusal(provider.refresh(&refresh, None, None).await).code(), Some(OauthCode::InvalidGrant));
    // What is dead may be revoked once more.
    assert_eq!(provider.revoke(&refresh, "refresh_token").await, Ok(Revocation::Confirmed));
}

#[tokio::test]
async fn an_answer_to_another_sign_in_is_refused_before_its_code_is_used() {
    let peer = peer(&json!({}));
    let provider = provider(&peer);
    let changed = |parameters: &[(String, String)], name: &str, to: Option<&str>| -> Vec<(String, String)> {
        let rest = parameters.iter().filter(|(found, _)| found != name).cloned();
        rest.chain(to.map(|to| (name.to_owned(), to.to_owned()))).collect()
    };
    let attacks: [(&str, Option<&str>); 5] =
        [("state", Some("other")), ("state", None), ("iss", Some("http://127.0.0.1:1")), ("iss", None), ("code", None)];
    for (name, to) in attacks {
        let sign_in = provider.begin(&request()).await.unwrap();
        let parameters = brought_back(&peer, sign_in.url(), "ada");
        peer.ask("POST", "/forget", &Value::Null);
        let error = refusal(provider.complete(sign_in, callback(&changed(&parameters, name, to))).await);
        assert_eq!(error, OidcError::ForeignCallback, "{name} = {to:?}");
        assert!(peer.requests().iter().all(|request| request["path"] != "/oauth/token"), "{name} = {to:?}");
    }
    // A code of another sign-in of the same person: PKCE and the nonce don't fit.
    let first = provider.begin(&request()).await.unwrap();
    let second = provider.begin(&request()).await.unwrap();
    let stolen = brought_back(&peer, first.url(), "ada");
    let mixed = changed(&stolen, "state", Some(second.state()));
    assert_eq!(refusal(provider.complete(second, callback(&mixed)).await).code(), Some(OauthCode::InvalidGrant));
    // The person says no.
    let third = provider.begin(&request()).await.unwrap();
    let denied = [("state", third.state()), ("error", "access_denied"), ("iss", peer.told("issuer"))];
    let denied: Vec<_> = denied.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    assert_eq!(refusal(provider.complete(third, callback(&denied)).await).code(), Some(OauthCode::AccessDenied));
}

#[tokio::test]
async fn metadata_of_another_issuer_is_refused() {
    let peer = peer(&json!({"slash": true}));
    let without_slash = peer.told("issuer").trim_end_matches('/').to_owned();
    let provider = OpenIdProvider::new(egress(&[&peer]), Arc::new(SystemClock::new()), without_slash, client(&peer, "keyblind"));
    assert_eq!(refusal(provider.begin(&request()).await), OidcError::Metadata);
    peer.fail(&json!({"path": "well-known/openid-configuration", "status": 200, "body": {
        "issuer": peer.told("issuer"), "authorization_endpoint": "http://127.0.0.1:1/a", "token_endpoint": "http://169.254.169.254/t",
        "jwks_uri": "http://127.0.0.1:1/j"}}));
    let provider = self::provider(&peer);
    provider.metadata().await.unwrap();
    // An endpoint that metadata names is still only reached if it is in the list.
    let refused = refusal(provider.refresh(&secret("refresh"), None, None).await);
    assert_eq!(refused, OidcError::Egress(EgressError::NotListed));
}

#[tokio::test]
async fn tokens_are_bound_to_our_key_where_it_is_asked_for() {
    for nonce in [false, true] {
        let peer = peer(&json!({"nonce": nonce}));
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let new = || OpenIdProvider::new(egress(&[&peer]), Arc::clone(&clock), peer.told("issuer"), client(&peer, "keyblind-bound"));
        let bound = new().bound_to(SigningKey::generate(None).unwrap());
        let tokens = signed_in(&peer, &bound, "ada").await;
        assert!(tokens.is_bound);
        let refresh = tokens.refresh.unwrap();
        assert!(bound.refresh(&refresh, None, None).await.unwrap().is_bound);
        // Without a proof there are no tokens for this client.
        let error = refusal(new().refresh(&refresh, None, None).await);
        assert!(matches!(error.code(), Some(OauthCode::InvalidDpopProof | OauthCode::InvalidGrant)), "{error:?}");
        // A token that isn't bound although a key was shown isn't taken.
        let body = json!({"access_token": "abc", "token_type": "Bearer"});
        peer.fail(&json!({"path": "/oauth/token", "status": 200, "body": body}));
        assert_eq!(refusal(bound.refresh(&refresh, None, None).await), OidcError::OtherThanAsked);
    }
}

#[tokio::test]
async fn every_way_to_say_who_we_are() {
    let key = SigningKey::generate(Some("worker".to_owned())).unwrap();
    let mut jwk = serde_json::to_value(key.public_key().unwrap()).unwrap();
    jwk["kid"] = json!("worker");
    jwk["alg"] = json!("ES256");
    let peer = peer(&json!({"worker_keys": {"keys": [jwk]}}));
    let told = || secret(peer.told("client_secret"));
    let ways = [
        ("keyblind", ClientAuthentication::Post(told())),
        ("keyblind-basic", ClientAuthentication::Basic(told())),
        ("keyblind-jwt", ClientAuthentication::PrivateKey(key)),
    ];
    for (id, authentication) in ways {
        let client = Client::new(id, authentication);
        let provider = OpenIdProvider::new(egress(&[&peer]), Arc::new(SystemClock::new()), peer.told("issuer"), client);
        let tokens = signed_in(&peer, &provider, "ada").await;
        assert_eq!(tokens.id.unwrap().subject, "ada", "{id}");
    }
    let wrong = Client::new("keyblind", ClientAuthentication::Post(secret("wrong")));
    let provider = OpenIdProvider::new(egress(&[&peer]), Arc::new(SystemClock::new()), peer.told("issuer"), wrong);
    assert_eq!(refusal(provider.begin(&request()).await).code(), Some(OauthCode::InvalidClient));
}

#[tokio::test]
async fn a_token_is_exchanged_for_one_of_another_audience() {
    let peer = peer(&json!({}));
    let provider = provider(&peer);
    let refresh = signed_in(&peer, &provider, "ada").await.refresh.unwrap();
    let access = "urn:ietf:params:oauth:token-type:access_token";
    let exchange = Exchange {
        subject: &refresh,
        subject_kind: "urn:ietf:params:oauth:token-type:refresh_token",
        requested_kind: Some(access),
        audience: Some(API),
        resource: None,
        scope: Some("scan:read"),
    };
    let tokens = provider.exchange(&exchange).await.unwrap();
    assert_eq!(tokens.issued.as_deref(), Some(access));
    let elsewhere = Exchange { audience: Some("https://elsewhere.example"), ..exchange };
    assert_eq!(refusal(provider.exchange(&elsewhere).await).code(), Some(OauthCode::InvalidTarget));
    // What is broader than asked, or of another kind, isn't taken.
    for answer in
        [json!({"scope": "scan:read change:write"}), json!({"issued_token_type": "urn:ietf:params:oauth:token-type:refresh_token"})]
    {
        let mut body = json!({"access_token": "abc", "token_type": "Bearer", "issued_token_type": access, "scope": "scan:read"});
        body.as_object_mut().unwrap().extend(answer.as_object().unwrap().clone());
        peer.fail(&json!({"path": "/oauth/token", "status": 200, "body": body}));
        let exchange = Exchange { subject: &refresh, ..exchange_like(access) };
        assert_eq!(refusal(provider.exchange(&exchange).await), OidcError::OtherThanAsked);
    }
}

fn exchange_like(access: &'static str) -> Exchange<'static> {
    // The subject is replaced by whoever uses it.
    static NOTHING: std::sync::LazyLock<keyblind_broker::secret::Secret> = std::sync::LazyLock::new(|| secret("x"));
    Exchange {
        subject: &NOTHING,
        subject_kind: "urn:ietf:params:oauth:token-type:refresh_token",
        requested_kind: Some(access),
        audience: Some(API),
        resource: None,
        scope: Some("scan:read"),
    }
}

#[tokio::test]
async fn a_revocation_that_was_not_answered_is_not_one() {
    let peer = peer(&json!({}));
    let provider = provider(&peer);
    let refresh = signed_in(&peer, &provider, "ada").await.refresh.unwrap();
    peer.fail(&json!({"path": "/oauth/revoke", "status": 500}));
    assert_eq!(provider.revoke(&refresh, "refresh_token").await, Err(OidcError::Broken { status: 500 }));
    peer.fail(&json!({"path": "/oauth/revoke", "status": 503, "headers": {"retry-after": "7"}}));
    assert_eq!(provider.revoke(&refresh, "refresh_token").await, Err(OidcError::RateLimited { wait: Some(Duration::from_secs(7)) }));
    peer.fail(&json!({"path": "/oauth/revoke", "drop": true}));
    assert_eq!(provider.revoke(&refresh, "refresh_token").await, Err(OidcError::Egress(EgressError::Protocol)));
    // It still lives, and so it was right not to believe any of these.
    provider.refresh(&refresh, None, None).await.unwrap();
    assert_eq!(provider.revoke(&refresh, "refresh_token").await, Ok(Revocation::Confirmed));
}

/// Id tokens that somebody else made, or made for somebody else; each is put in the place of the provider's.
#[tokio::test]
async fn id_tokens_are_checked_in_every_part() {
    let (own, foreign) = (SigningKey::generate(Some("k".to_owned())).unwrap(), SigningKey::generate(Some("k".to_owned())).unwrap());
    let mut jwk = serde_json::to_value(own.public_key().unwrap()).unwrap();
    jwk["kid"] = json!("k");
    let peer = peer(&json!({}));
    peer.fail(&json!({"path": "jwks", "status": 200, "body": {"keys": [jwk]}, "times": 1}));
    let provider = provider(&peer);
    let now = i64::try_from(SystemClock::new().now().unix_millis() / 1_000).unwrap();
    let claims = json!({"iss": peer.told("issuer"), "sub": "ada", "aud": "keyblind", "exp": now + 300, "iat": now, "nonce": "n"});
    let with = |name: &str, value: Value| {
        let mut claims = claims.clone();
        claims[name] = value;
        claims
    };
    // A token comes out of the library only as a credential; the peer's side of the wire shows it.
    let cases: Vec<(Value, Option<IdTokenFault>)> = vec![
        (claims.clone(), None),
        (with("aud", json!(["keyblind"])), None),
        (with("iss", json!("https://elsewhere.example")), Some(IdTokenFault::Issuer)),
        (with("iss", json!(format!("{}/", peer.told("issuer")))), Some(IdTokenFault::Issuer)),
        (with("aud", json!("other")), Some(IdTokenFault::Audience)),
        (with("aud", json!(["keyblind", "other"])), Some(IdTokenFault::Audience)),
        (with("azp", json!("other")), Some(IdTokenFault::Audience)),
        (with("exp", json!(now - 61)), Some(IdTokenFault::Time)),
        (with("iat", json!(now + 120)), Some(IdTokenFault::Time)),
        (with("nbf", json!(now + 120)), Some(IdTokenFault::Time)),
        (with("nonce", json!("m")), Some(IdTokenFault::Nonce)),
        (with("nonce", Value::Null), Some(IdTokenFault::Nonce)),
        (with("sub", json!("")), Some(IdTokenFault::Subject)),
        (with("sub", json!("a\nb")), Some(IdTokenFault::Subject)),
    ];
    for (claims, expected) in cases {
        let token = shown(&own, &claims).await;
        let result = provider.check_id_token(&token, Some("n")).await;
        assert_eq!(result.err(), expected.map(OidcError::IdToken), "{claims}");
    }
    let forged = shown(&foreign, &claims).await;
    let error = provider.check_id_token(&forged, Some("n")).await.unwrap_err();
    assert!(matches!(error, OidcError::IdToken(IdTokenFault::Jws(_))), "{error:?}");
}

/// The text of a token: sent to a peer as a refresh token, and read from what the peer saw.
async fn shown(key: &SigningKey, claims: &Value) -> String {
    let peer = Peer::oidc(&json!({"details": []}));
    let provider = provider(&peer);
    let token = key.sign(Some("JWT"), claims).unwrap();
    drop(provider.refresh(&token, None, None).await);
    let body = peer.requests().pop().unwrap()["body"].as_str().unwrap().to_owned();
    body.split('&').find_map(|pair| pair.strip_prefix("refresh_token=")).unwrap().to_owned()
}

#[tokio::test]
async fn keys_are_asked_for_again_but_not_all_the_time() {
    let peer = peer(&json!({}));
    let clock = Arc::new(TestClock::at(SystemClock::new().now()));
    let provider =
        OpenIdProvider::new(egress(&[&peer]), Arc::clone(&clock) as Arc<dyn Clock>, peer.told("issuer"), client(&peer, "keyblind"));
    let stranger = SigningKey::generate(Some("unknown".to_owned())).unwrap();
    let token = shown(&stranger, &json!({"sub": "ada"})).await;
    let asked = || peer.requests().iter().filter(|request| request["path"] == "/.well-known/jwks.json").count();
    for _ in 0..20 {
        drop(provider.check_id_token(&token, None).await);
    }
    assert_eq!(asked(), 1);
    clock.advance(Duration::from_secs(61));
    for _ in 0..20 {
        drop(provider.check_id_token(&token, None).await);
    }
    assert_eq!(asked(), 2);
}

/// What is asked in both forms; the approvals write the real ones.
fn details(form: &str) -> Value {
    match form {
        "plain" => {
            json!([{"type": "cloud_change", "locations": ["acme/infra"], "actions": ["propose-pull-request"], "identifier": "infra"}])
        }
        _ => json!([{"type": GUARDIAN, "instruction": "Approve only what you asked for",
            "properties": {"code": {"display": true, "name": "Code", "display_order": 1, "value": "K7-QX-2M"}}}]),
    }
}

const GUARDIAN: &str = "urn:auth0:schemas:authorization-details:v1:cloud_change";

fn question(details: &Value) -> DeviceQuestion<'_> {
    DeviceQuestion { subject: "auth0|ada", message: "K7-QX-2M", details: Some(details), audience: None, seconds: 120 }
}

/// Asks, and follows the answer the way the approvals do.
async fn asked(provider: &OpenIdProvider, details: &Value) -> (DeviceRequest, Backchannel) {
    let request = provider.ask_device(&question(details)).await.unwrap();
    let now = SystemClock::new().now();
    let asked = Asked { digest: Digest::of(b"change"), subject: "auth0|ada".to_owned(), details: Some(details.clone()) };
    let ends = now.saturating_add(Duration::from_secs(120));
    let backchannel = Backchannel::begin(asked, request.expires_in, request.interval, ends, now);
    (request, backchannel)
}

async fn end(provider: &OpenIdProvider, request: &DeviceRequest, backchannel: &mut Backchannel) -> End {
    let clock = SystemClock::new();
    loop {
        match backchannel.step(clock.now()) {
            Step::Ended(end) => return end,
            Step::PollAt(next) => tokio::time::sleep(next.saturating_duration_since(clock.now())).await,
        }
        let poll = provider.poll_device(request).await;
        backchannel.answered(poll, clock.now());
    }
}

#[tokio::test]
async fn a_person_approves_on_another_device_exactly_what_was_asked() {
    for form in ["plain", "guardian"] {
        let peer = peer(&json!({"details": ["cloud_change", GUARDIAN]}));
        let provider = provider(&peer);
        let details = details(form);
        let (request, mut backchannel) = asked(&provider, &details).await;
        let pending = peer.ask("GET", "/pending", &Value::Null);
        assert_eq!((&pending[0]["account"], &pending[0]["message"]), (&json!("auth0|ada"), &json!("K7-QX-2M")));
        assert_eq!(pending[0]["details"], details);
        assert_eq!(provider.poll_device(&request).await, Poll::Pending);
        peer.ask("POST", "/slow", &json!({"times": 1}));
        assert_eq!(provider.poll_device(&request).await, Poll::SlowDown { wait: Some(Duration::from_secs(2)) });
        peer.ask("POST", "/approve", &Value::Null);
        assert_eq!(end(&provider, &request, &mut backchannel).await, End::Approved);
        // Once.
        assert_eq!(provider.poll_device(&request).await, Poll::Invalid);
    }
}

#[tokio::test]
async fn what_was_granted_is_compared_with_what_was_asked() {
    let peer = peer(&json!({}));
    let provider = provider(&peer);
    let details = details("plain");
    let mut other = details.clone();
    other[0]["locations"] = json!(["acme/production"]);
    for granted in [other.clone(), json!([details[0], other[0]]), json!([])] {
        let (request, mut backchannel) = asked(&provider, &details).await;
        peer.ask("POST", "/approve", &json!({"details": granted}));
        assert_eq!(end(&provider, &request, &mut backchannel).await, End::Mismatch, "{granted}");
    }
    let (request, mut backchannel) = asked(&provider, &details).await;
    peer.ask("POST", "/deny", &Value::Null);
    assert_eq!(end(&provider, &request, &mut backchannel).await, End::Refused);
    // No answer is no yes.
    let (request, _) = asked(&provider, &details).await;
    peer.fail(&json!({"path": "/oauth/token", "status": 500}));
    assert_eq!(provider.poll_device(&request).await, Poll::Failed);
    // A yes whose proof is missing or forged is none.
    for id_token in [Value::Null, json!("e30.e30.e30")] {
        let body = json!({"access_token": "x", "token_type": "Bearer", "id_token": id_token, "authorization_details": details});
        peer.fail(&json!({"path": "/oauth/token", "status": 200, "body": body}));
        assert_eq!(provider.poll_device(&request).await, Poll::Invalid);
    }
}

#[tokio::test]
async fn a_question_that_nobody_answers_ends_and_who_has_no_device_is_asked_elsewhere() {
    let peer = peer(&json!({"ciba_lifetime": 1, "no_device": ["auth0|bob"]}));
    let provider = provider(&peer);
    let details = details("plain");
    let (request, mut backchannel) = asked(&provider, &details).await;
    assert_eq!(end(&provider, &request, &mut backchannel).await, End::Expired);
    assert_eq!(provider.poll_device(&request).await, Poll::Expired);
    let bob = DeviceQuestion { subject: "auth0|bob", ..question(&details) };
    assert!(matches!(provider.ask_device(&bob).await, Err(NotAsked::NoDevice)));
    let odd = DeviceQuestion { message: "Approve <b>", ..question(&details) };
    assert!(matches!(provider.ask_device(&odd).await, Err(NotAsked::Unavailable)));
}

/// Forms with credentials hold exactly what was given, whatever it is made of.
#[tokio::test]
async fn forms_encode_every_character() {
    let peer = peer(&json!({}));
    let odd: String = (0x21..0x7f).map(char::from).collect();
    drop(provider(&peer).refresh(&secret(&odd), Some("a b&c=d"), None).await);
    let body = peer.requests().pop().unwrap()["body"].as_str().unwrap().to_owned();
    let field = |name: &str| body.split('&').find_map(|pair| pair.strip_prefix(name)).unwrap().to_owned();
    assert_eq!(field("scope="), "a%20b%26c%3Dd");
    let encoded = field("refresh_token=");
    let bytes: Vec<u8> = encoded.as_bytes().to_vec();
    let mut back = String::new();
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] == b'%' {
            back.push(char::from(u8::from_str_radix(&encoded[at + 1..at + 3], 16).unwrap()));
            at += 3;
        } else {
            back.push(char::from(bytes[at]));
            at += 1;
        }
    }
    assert_eq!(back, odd);
}
