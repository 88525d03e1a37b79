//! Roles that are taken with an identity token: the broker keeps no key of AWS's.

use keyblind_broker::jws::SigningKey;
use keyblind_broker::leases::lease::Authority as _;
use keyblind_broker::providers::aws::{AwsError, IdentitySource as _, OwnIssuer, TakeRole, TokenFile};
use serde_json::{Value, json};

use super::stand_in::{StandIn, Trusted};
use super::*;

const ISSUER: &str = "https://keyblind.example.com/aws";
const TRUSTED: Trusted = Trusted { issuer: ISSUER, audience: "sts.amazonaws.com", subject: "keyblind-broker" };

fn issuer(audience: &str, subject: &str) -> OwnIssuer {
    let key = SigningKey::generate(Some("2026-11".to_owned())).unwrap();
    OwnIssuer::new(ISSUER, audience, subject, key, Arc::new(SystemClock::new())).unwrap()
}

fn authority(sts: Sts, issuer: OwnIssuer) -> AwsAuthority {
    AwsAuthority::new(sts, Arc::new(Base::web_identity(Arc::new(issuer))))
}

#[tokio::test]
async fn a_session_of_a_token_is_as_narrow_and_as_short_as_one_of_keys() {
    let stand_in = StandIn::start(Some(TRUSTED)).await;
    let authority = authority(stand_in.sts(), issuer(TRUSTED.audience, TRUSTED.subject));
    let scope = to_change(SessionPolicy::of_action(&block("logs-a"), None).unwrap());
    let minted = authority.mint(&scope, Duration::from_secs(4)).await.unwrap();
    let (put, bucket) = ("s3:PutBucketPublicAccessBlock", "arn:aws:s3:::logs-a");
    assert_eq!(stand_in.call(&minted.token, put, bucket).await, 200);
    assert_eq!(stand_in.call(&minted.token, put, "arn:aws:s3:::logs-b").await, 403);
    assert_eq!(stand_in.call(&minted.token, "s3:DeleteBucket", bucket).await, 403);
    wait_for(minted.dies_at).await;
    assert_eq!(stand_in.call(&minted.token, put, bucket).await, 403);
    // The request isn't signed, and what it says of itself is in the token: as parameters AWS would refuse it.
    let form = &stand_in.forms()[0];
    let names: Vec<&str> = form.keys().map(String::as_str).collect();
    assert_eq!(names, ["Action", "DurationSeconds", "Policy", "RoleArn", "RoleSessionName", "Version", "WebIdentityToken"]);
}

#[tokio::test]
async fn a_token_that_the_trust_policy_does_not_want_says_which_claim_it_is() {
    let stand_in = StandIn::start(Some(TRUSTED)).await;
    let scope = to_read(SessionPolicy::nothing());
    let refused = async |audience, subject, scope: &SessionScope| {
        let authority = authority(stand_in.sts(), issuer(audience, subject));
        authority.take(scope, Duration::from_secs(60)).await.err().unwrap()
    };
    assert_eq!(refused("somebody", TRUSTED.subject, &scope).await, AwsError::InvalidIdentity);
    assert_eq!(refused(TRUSTED.audience, "somebody", &scope).await.code(), "role-denied");
    let nameless = SessionScope { marks: scope.marks.clone().name_only(), ..scope.clone() };
    assert_eq!(refused(TRUSTED.audience, TRUSTED.subject, &nameless).await.code(), "role-denied");
}

#[tokio::test]
async fn others_can_check_our_tokens() {
    let peer = Peer::moto();
    let own = issuer("sts.amazonaws.com", "keyblind-broker");
    let marks = marks();
    let token = own.token(&marks).await.unwrap();
    let token = token.expose(|bytes| String::from_utf8(bytes.to_vec()).unwrap());
    let keys = own.published_keys().unwrap();
    let asked = json!({"token": token, "keys": keys, "issuer": ISSUER, "audience": "sts.amazonaws.com"});
    let claims = peer.ask("POST", "/verified", &asked);
    assert_eq!(claims["sub"], "keyblind-broker");
    assert_eq!(claims["https://aws.amazon.com/source_identity"], marks.source_identity().unwrap());
    let (name, value) = marks.tags().next().unwrap();
    assert_eq!(claims["https://aws.amazon.com/tags"]["principal_tags"][name], json!([value]));
    assert!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap() <= 360);
    // With another key it isn't ours.
    let other = issuer("sts.amazonaws.com", "keyblind-broker").published_keys().unwrap();
    let claims = peer.ask("POST", "/verified", &json!({"token": token, "keys": other, "issuer": ISSUER, "audience": "sts.amazonaws.com"}));
    assert_eq!(claims, Value::Null);
    let metadata = own.metadata();
    assert_eq!(metadata["issuer"], ISSUER);
    assert_eq!(metadata["jwks_uri"], "https://keyblind.example.com/aws/.well-known/jwks.json");
    assert!(keys["keys"][0].get("d").is_none() && keys["keys"][0]["kid"] == "2026-11");
}

#[tokio::test]
async fn the_printed_trust_of_an_identity_provider_lets_in_its_audience_only() {
    let world = World::empty();
    let trust = Trust::WebIdentity {
        issuer: ISSUER.parse().unwrap(),
        audience: "sts.amazonaws.com".parse().unwrap(),
        subject: "keyblind-broker".parse().unwrap(),
    };
    let setup = Setup { trust, services: Vec::new(), actions: Vec::new(), regions: Vec::new() };
    // MiniStack's CloudFormation makes no identity providers, and it doesn't tell a session's name to the trust policy of a web
    // identity: that provider is made by hand and that condition left out, and the rest is deployed as it is printed.
    let url = [("Action", "CreateOpenIDConnectProvider"), ("Url", ISSUER), ("ClientIDList.member.1", "sts.amazonaws.com")];
    let provider = text_of(&world.admin("iam", &url).await, "OpenIDConnectProviderArn").to_owned();
    let template = setup.render(Format::Cloudformation).unwrap();
    let (before, rest) = template.split_once("  IdentityProvider:\n").unwrap();
    let rest = &rest[rest.find("  ReadRole:\n").unwrap()..];
    let named = "              StringLike:\n                \"sts:RoleSessionName\": \"kb-*\"\n";
    assert!(rest.contains(named), "{rest}");
    let template = format!("{before}{}", rest.replace("!Ref IdentityProvider", &format!("\"{provider}\"")).replace(named, ""));
    world.deploy(&template).await;
    let scope = to_read(SessionPolicy::nothing());
    let (session, _) =
        authority(world.sts(), issuer("sts.amazonaws.com", "keyblind-broker")).take(&scope, Duration::from_secs(60)).await.unwrap();
    assert!(session.arn.ends_with(&format!("assumed-role/keyblind-read/{}", scope.marks.session())));
    // MiniStack drops the policy of such a session, and its answer shows it: a lease would not use this one.
    assert!(!session.is_packed);
    for (audience, subject) in [("somebody", "keyblind-broker"), ("sts.amazonaws.com", "somebody")] {
        let refused = authority(world.sts(), issuer(audience, subject)).take(&scope, Duration::from_secs(60)).await;
        assert!(refused.is_err(), "{audience} {subject}");
    }
}

#[tokio::test]
async fn motos_answers_are_read() {
    let peer = Peer::moto();
    let sts = Sts::new(egress(&peer), Arc::new(SystemClock::new()), home()).unwrap().at(Origin::parse(peer.url()).unwrap());
    let keys = keys(AWS_KEY_ID, AWS_SECRET_KEY.as_bytes(), None).unwrap();
    assert_eq!(sts.caller_identity(&keys).await.unwrap().account, AWS_ACCOUNT);
    let (role, marks, external_id) = (role("read"), marks(), ExternalId::new(EXTERNAL_ID).unwrap());
    let policy = SessionPolicy::nothing().document(Timestamp::from_unix_millis(1_900_000_000_000)).unwrap();
    let take = TakeRole { role: &role, external_id: Some(&external_id), policy: &policy, marks: &marks, seconds: 900 };
    let session = sts.take_role(&keys, take).await.unwrap();
    assert!(session.is_packed && session.arn.ends_with(marks.session()));
    let token = issuer("sts.amazonaws.com", "keyblind-broker").token(&marks).await.unwrap();
    let session = sts.take_role_with_web_identity(&token, take).await.unwrap();
    assert!(session.is_packed && session.arn.ends_with(marks.session()));
    let identity = sts.caller_identity(&session.keys).await.unwrap();
    assert_eq!(identity.account, AWS_ACCOUNT);
}

#[tokio::test]
async fn a_token_of_the_platforms_is_read_when_it_is_needed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    let source = TokenFile::new(path.clone());
    let marks = marks();
    let missing = source.token(&marks).await.err().unwrap();
    assert_eq!(missing, AwsError::NoIdentity("the file with the token isn't there"));
    for text in ["first.a.b\n", "second.a.b"] {
        std::fs::write(&path, text).unwrap();
        assert!(source.token(&marks).await.unwrap().expose(|bytes| bytes == text.trim().as_bytes()));
    }
    for text in ["", "\n", "two words", &"x".repeat(20_001)] {
        std::fs::write(&path, text).unwrap();
        assert!(matches!(source.token(&marks).await, Err(AwsError::NoIdentity(_))));
    }
}

#[test]
fn an_issuer_has_an_address_and_a_key_that_can_be_published() {
    let make = |issuer| OwnIssuer::new(issuer, "a", "b", SigningKey::generate(None).unwrap(), Arc::new(SystemClock::new())).is_ok();
    assert!(make("https://keyblind.example.com/"));
    for issuer in ["http://keyblind.example.com", "keyblind.example.com", "https://keyblind.example.com/?x", "https://a b"] {
        assert!(!make(issuer), "{issuer}");
    }
}
