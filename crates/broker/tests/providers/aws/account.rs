//! The set-up as it is printed, and what `doctor` says of it when a setting is wrong.

use keyblind_broker::providers::aws::Examination;
use keyblind_intent::{Check, CheckState};

use super::*;

async fn checks(world: &mut World, linked: LinkedAccount) -> Vec<Check> {
    let authority = Arc::new(world.authority());
    Examination::new(authority).checks(&[&linked]).await
}

/// What isn't sound, and what to do about it.
fn faults(checks: &[Check]) -> Vec<(CheckState, String, String)> {
    let faults = checks.iter().filter(|check| check.state != CheckState::Sound);
    let advice = |check: &Check| check.advice.as_ref().map(ToString::to_string).unwrap_or_default();
    faults.map(|check| (check.state, check.subject.to_string(), advice(check))).collect()
}

/// Replaces the trust policy of the role that reads.
async fn trust(world: &World, actions: &str, condition: &str) {
    let policy = format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":{{"AWS":"arn:aws:iam::{AWS_ACCOUNT}:user/keyblind-broker"}},"Action":[{actions}],"Condition":{{{condition}}}}}]}}"#
    );
    world.admin("iam", &[("Action", "UpdateAssumeRolePolicy"), ("RoleName", "keyblind-read"), ("PolicyDocument", &policy)]).await;
}

#[tokio::test]
async fn the_printed_set_up_is_sound() {
    let mut world = World::with(&ACTIONS).await;
    let checks = checks(&mut world, linked()).await;
    assert_eq!(faults(&checks), []);
    let subjects: Vec<String> = checks.iter().map(|check| check.subject.to_string()).collect();
    assert_eq!(
        subjects,
        [
            "AWS: the broker's own keys",
            "AWS: this machine's clock is AWS's",
            "AWS account production: the role that reads can be taken",
            "AWS account production: the role that reads demands its external id",
            "AWS account production: the role that changes things can be taken",
            "AWS account production: the role that changes things demands its external id",
        ]
    );
    // What it took to see that could do nothing.
    let asked = world.peer.requests();
    let taken: Vec<&str> =
        asked.iter().filter_map(|request| request["body"].as_str()).filter(|body| body.contains("Action=AssumeRole")).collect();
    assert_eq!(taken.len(), 4);
    assert!(taken.iter().all(|body| body.contains("%22Effect%22%3A%22Deny%22%2C%22Action%22%3A%5B%22%2A%22%5D")), "{taken:?}");
}

#[tokio::test]
async fn nobody_else_can_take_the_printed_roles() {
    let world = World::with(&ACTIONS).await;
    let stranger = world.user("stranger").await;
    let authority = AwsAuthority::new(world.sts(), Arc::new(Base::keys(stranger)));
    let scope = to_read(SessionPolicy::nothing());
    let error = authority.take(&scope, Duration::from_secs(60)).await.err().unwrap();
    assert_eq!(error.code(), "role-denied");
    // Nor can the broker's own user under a name that isn't one of the broker's.
    let fields =
        [("Action", "AssumeRole"), ("RoleArn", scope.role.arn().as_str()), ("RoleSessionName", "somebody"), ("ExternalId", EXTERNAL_ID)];
    let (status, text) = world.query("sts", &home(), world.broker.as_ref().unwrap(), &fields).await;
    assert_eq!(status, 403, "{text}");
}

#[tokio::test]
async fn a_role_that_takes_any_external_id_is_named() {
    let mut world = World::with(&[]).await;
    trust(&world, r#""sts:AssumeRole","sts:TagSession","sts:SetSourceIdentity""#, "").await;
    let linked = LinkedAccount { change_role: None, ..linked() };
    let faults = faults(&checks(&mut world, linked).await);
    let subject = "AWS account production: the role that reads demands its external id";
    let advice = "it can be taken with any external id: the trust policy must have the condition `sts:ExternalId`";
    assert_eq!(faults, [(CheckState::Broken, subject.to_owned(), advice.to_owned())]);
}

#[tokio::test]
async fn a_trust_policy_that_lacks_a_permission_is_named() {
    let mut world = World::with(&[]).await;
    let id = format!(r#""StringEquals":{{"sts:ExternalId":"{EXTERNAL_ID}"}}"#);
    trust(&world, r#""sts:AssumeRole""#, &id).await;
    let linked = LinkedAccount { change_role: None, ..linked() };
    let found = faults(&checks(&mut world, linked.clone()).await);
    let subject = "AWS account production: the role that reads lets sessions say in whose name they are";
    let advice = "the trust policy must allow sts:TagSession and sts:SetSourceIdentity beside sts:AssumeRole";
    assert_eq!(found, [(CheckState::Broken, subject.to_owned(), advice.to_owned())]);
    // Where the configuration says that sessions only have a name, the same role is sound.
    world.broker = Some(world.user("second").await);
    let policy = format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":{{"AWS":"arn:aws:iam::{AWS_ACCOUNT}:user/second"}},"Action":"sts:AssumeRole","Condition":{{{id}}}}}]}}"#
    );
    world.admin("iam", &[("Action", "UpdateAssumeRolePolicy"), ("RoleName", "keyblind-read"), ("PolicyDocument", &policy)]).await;
    let plain = LinkedAccount { says_whose: false, ..linked.clone() };
    assert_eq!(faults(&checks(&mut world, plain).await), []);
}

#[tokio::test]
async fn a_wrong_external_id_and_another_account_are_named() {
    let mut world = World::with(&[]).await;
    let wrong = LinkedAccount { change_role: None, external_id: Some(ExternalId::new("other-1").unwrap()), ..linked() };
    let found = faults(&checks(&mut world, wrong).await);
    assert_eq!(found.len(), 1);
    assert!(found[0].1.ends_with("the role that reads can be taken") && found[0].2.contains("external id"), "{found:?}");
    world.broker = Some(world.user("second").await);
    let other = LinkedAccount { change_role: None, account: AccountId::new("999988887777").unwrap(), ..linked() };
    let found = faults(&checks(&mut world, other).await);
    assert_eq!(found[0].2, "the role's ARN names another account than the configuration");
}

#[tokio::test]
async fn keys_that_are_nobodys_and_those_of_the_root_are_named() {
    let mut world = World::with(&[]).await;
    world.broker = Some(keys("AKIAI44QH8DHBEXAMPLE", AWS_SECRET_KEY.as_bytes(), None).unwrap());
    let found = faults(&checks(&mut world, linked()).await);
    assert_eq!(found[0].0, CheckState::Broken);
    assert!(found[0].2.contains("doesn't know the broker's access key"), "{found:?}");
    assert_eq!((found[1].0, found[1].1.as_str()), (CheckState::NotChecked, "AWS account production: not looked at"));
    world.broker = Some(keys(AWS_KEY_ID, AWS_SECRET_KEY.as_bytes(), None).unwrap());
    let found = faults(&checks(&mut world, LinkedAccount { change_role: None, ..linked() }).await);
    assert_eq!((found[0].0, found[0].1.as_str()), (CheckState::Weak, "AWS: the broker's own keys"));
    assert!(found[0].2.contains("never the account's root"));
}
