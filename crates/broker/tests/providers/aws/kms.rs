//! KMS at both emulators: MiniStack checks who may, moto binds what is wrapped to its context as AWS does.

use keyblind_broker::providers::aws::{AwsError, KMS_CONTEXT, Kms, KmsError, KmsKey, Step};
use serde_json::{Value, json};

use super::*;

const STORE: &str = "00112233445566778899aabbccddeeff";

/// What an administrator does with KMS.
async fn administer(egress: &Egress, peer: &Peer, action: &str, request: &Value) -> Value {
    let target = Target::new(&Origin::parse(peer.url()).unwrap()).path("/");
    let call = Call::new(Method::POST, target)
        .header("x-amz-target".parse().unwrap(), &format!("TrentService.{action}"))
        .body(Body::Bytes("application/x-amz-json-1.1", request.to_string().into_bytes().into()));
    let root = keys(AWS_KEY_ID, AWS_SECRET_KEY.as_bytes(), None).unwrap();
    let (status, text) = send(egress, call, &root, &home(), "kms").await;
    assert_eq!(status, 200, "{action}: {text}");
    if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() }
}

async fn made(egress: &Egress, peer: &Peer) -> KmsKey {
    let made = administer(egress, peer, "CreateKey", &json!({})).await;
    KmsKey::new(Arn::new(made["KeyMetadata"]["Arn"].as_str().unwrap()).unwrap()).unwrap()
}

fn kms(egress: &Egress, peer: &Peer, key: &KmsKey, base: Base) -> Kms {
    let (at, clock) = (Origin::parse(peer.url()).unwrap(), Arc::new(SystemClock::new()));
    let sts = Sts::new(egress.clone(), clock.clone(), home()).unwrap().at(at.clone());
    Kms::new(egress.clone(), clock, sts, base, key.clone()).unwrap().at(at)
}

fn root() -> Base {
    Base::keys(keys(AWS_KEY_ID, AWS_SECRET_KEY.as_bytes(), None).unwrap())
}

fn bytes(key: &Secret) -> Vec<u8> {
    key.expose(<[u8]>::to_vec)
}

#[tokio::test]
async fn a_key_is_wrapped_for_one_store_by_one_key() {
    let peer = Peer::moto();
    let egress = egress(&peer);
    let (key, other) = (made(&egress, &peer).await, made(&egress, &peer).await);
    let kms_of = |key: &KmsKey| kms(&egress, &peer, key, root());
    let made = kms_of(&key).make(STORE).await.unwrap();
    assert_eq!(bytes(&kms_of(&key).unwrap(STORE, &made.wrapped).await.unwrap()), bytes(&made.key));
    assert_ne!(bytes(&kms_of(&key).make(STORE).await.unwrap().key), bytes(&made.key), "each is a new one");
    // For another store, by another key, changed: nothing.
    let refusal = async |key: &KmsKey, store: &str, wrapped: &[u8]| kms_of(key).unwrap(store, wrapped).await.err();
    assert_eq!(refusal(&key, "ffffffffffffffffffffffffffffffff", &made.wrapped).await, Some(KmsError::Refused));
    // AWS says that it is the wrong key (`IncorrectKeyException`); moto, that it denies it.
    assert_eq!(refusal(&other, STORE, &made.wrapped).await, Some(KmsError::Denied));
    let mut changed = made.wrapped.clone();
    *changed.last_mut().unwrap() ^= 1;
    assert_eq!(refusal(&key, STORE, &changed).await, Some(KmsError::Refused));
    // What was sent: the key and the context by name, and nothing of the key itself.
    let requests = peer.requests();
    let asked = requests.iter().filter(|request| request.to_string().contains(KMS_CONTEXT)).count();
    assert!(asked >= 6, "{requests:?}");
    let canary = data_encoding::BASE64.encode(&bytes(&made.key));
    assert!(!serde_json::to_string(&requests).unwrap().contains(&canary));
    let gone = KmsKey::new(Arn::new(format!("arn:aws:kms:eu-central-1:{AWS_ACCOUNT}:key/00000000-0000-0000-0000-000000000000")).unwrap());
    assert_eq!(refusal(&gone.unwrap(), STORE, &made.wrapped).await, Some(KmsError::NotFound));
}

#[tokio::test]
async fn what_is_turned_away_is_asked_again_and_a_lie_is_known() {
    let peer = Peer::moto();
    let egress = egress(&peer);
    let key = made(&egress, &peer).await;
    let made = kms(&egress, &peer, &key, root()).make(STORE).await.unwrap();
    let kind = "application/x-amz-json-1.1";
    let answer = |status: u16, body: &Value| json!({"path": ".*", "status": status, "body": body, "headers": {"content-type": kind}});
    peer.fail(&answer(400, &json!({"__type": "ThrottlingException", "message": "Rate exceeded"})));
    assert_eq!(bytes(&kms(&egress, &peer, &key, root()).unwrap(STORE, &made.wrapped).await.unwrap()), bytes(&made.key));
    let plain = |bytes: &[u8]| data_encoding::BASE64.encode(bytes);
    for (status, body, expected) in [
        (200, json!({"KeyId": key.arn().as_str(), "Plaintext": plain(&[1; 31])}), KmsError::Unintelligible),
        (200, json!({"KeyId": key.arn().as_str(), "Plaintext": plain(&[1; 64])}), KmsError::Unintelligible),
        (200, json!({"KeyId": "arn:aws:kms:eu-central-1:444455556666:key/x", "Plaintext": plain(&[1; 32])}), KmsError::OtherKey),
        (200, json!([]), KmsError::Unintelligible),
        (400, json!({"__type": "com.amazonaws.kms#AccessDeniedException"}), KmsError::Denied),
        (400, json!({"__type": "KMSInvalidStateException", "Message": "x"}), KmsError::Unusable),
    ] {
        peer.fail(&answer(status, &body));
        let found = kms(&egress, &peer, &key, root()).unwrap(STORE, &made.wrapped).await.err();
        assert_eq!(found, Some(expected), "{body}");
    }
}

fn taking(role: &str, keys: Secret, external_id: Option<&str>) -> Base {
    let external_id = external_id.map(|id| ExternalId::new(id).unwrap());
    Base::keys(keys).through([Step { role: format!("arn:aws:iam::{AWS_ACCOUNT}:role/{role}").parse().unwrap(), external_id }])
}

fn copy(keys: &Secret) -> Secret {
    keys.expose(|bytes| Secret::filled(bytes.len(), |target| target.copy_from_slice(bytes)))
}

#[tokio::test]
async fn a_role_is_taken_for_the_one_call() {
    let peer = Peer::moto();
    let egress = egress(&peer);
    let key = made(&egress, &peer).await;
    let base = || taking("keyblind-store", keys(AWS_KEY_ID, AWS_SECRET_KEY.as_bytes(), None).unwrap(), Some(EXTERNAL_ID));
    let made = kms(&egress, &peer, &key, base()).make(STORE).await.unwrap();
    let again = kms(&egress, &peer, &key, base()).unwrap(STORE, &made.wrapped).await.unwrap();
    assert_eq!(bytes(&again), bytes(&made.key));
    // What the sessions were narrowed to: each to its call, with this key, for this store, for a moment.
    let requests: Vec<String> = peer.requests().iter().map(Value::to_string).collect();
    let taken: Vec<&String> = requests.iter().filter(|request| request.contains("Action=AssumeRole")).collect();
    assert_eq!(taken.len(), 2, "{requests:?}");
    for (request, call) in taken.into_iter().zip(["kms%3AGenerateDataKey", "kms%3ADecrypt"]) {
        let expected = [call, "kms%3AEncryptionContext%3Akeyblind-store", STORE, "aws%3ACurrentTime", "arn%3Aaws%3Akms"];
        assert!(expected.iter().all(|part| request.contains(part)) && !request.contains("kms%3A*"), "{request}");
    }
}

#[tokio::test]
async fn who_may_not_use_the_key_gets_nothing() {
    let world = World::empty();
    let key = made(&world.egress, &world.peer).await;
    let user = world.user("keyblind-broker").await;
    let kms_as = |base: Base| kms(&world.egress, &world.peer, &key, base);
    assert_eq!(kms_as(Base::keys(copy(&user))).make(STORE).await.err(), Some(KmsError::Denied), "the user may take roles, and no more");
    let allowed = format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":["kms:GenerateDataKey","kms:Decrypt"],"Resource":"{}"}}]}}"#,
        key.arn().as_str()
    );
    let trust = format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":{{"AWS":"arn:aws:iam::{AWS_ACCOUNT}:user/keyblind-broker"}},"Action":"sts:AssumeRole","Condition":{{"StringEquals":{{"sts:ExternalId":"{EXTERNAL_ID}"}}}}}}]}}"#
    );
    world.admin("iam", &[("Action", "CreateRole"), ("RoleName", "keyblind-store"), ("AssumeRolePolicyDocument", &trust)]).await;
    let policy = [("Action", "PutRolePolicy"), ("RoleName", "keyblind-store"), ("PolicyName", "store"), ("PolicyDocument", &allowed)];
    world.admin("iam", &policy).await;
    let refused = kms_as(taking("keyblind-store", copy(&user), None)).make(STORE).await.err();
    assert!(matches!(refused, Some(KmsError::Aws(AwsError::AccessDenied { .. }))), "{refused:?}");
    // The role may; the session's own policy has a condition that MiniStack doesn't know, and denies what it doesn't know to be so.
    let narrowed = kms_as(taking("keyblind-store", copy(&user), Some(EXTERNAL_ID))).make(STORE).await.err();
    assert_eq!(narrowed, Some(KmsError::Denied));
    let policy = [("Action", "PutUserPolicy"), ("UserName", "keyblind-broker"), ("PolicyName", "store"), ("PolicyDocument", &allowed)];
    world.admin("iam", &policy).await;
    let made = kms_as(Base::keys(copy(&user))).make(STORE).await.unwrap();
    assert_eq!(bytes(&kms_as(Base::keys(user)).unwrap(STORE, &made.wrapped).await.unwrap()), bytes(&made.key));
}
