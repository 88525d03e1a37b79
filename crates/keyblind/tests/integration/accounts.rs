//! `keyblind scan aws:…` and `keyblind apply`, with a relay of the test's own: what is asked, what is judged, and what is said of the end.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use keyblind_intent::{
    Action, Answer, ApplyAction, Bulk, ChangeState, ConnectionState, ConnectionSummary, Control, Count, Digest, Intent, Outcome, Provider,
    Refusal, Report, Request, Service, UnixMillis,
};

use crate::relay::{Place, Said, welcome};

const SNAPSHOT: &str = r#"{"account":"123456789012","calls":[{"answer":{"AccessControlList":{"Grant":[{"Grantee":{"URI":"http://acs.amazonaws.com/groups/global/AllUsers"},"Permission":"READ"}]}},"bucket":"logs","call":"s3:GetBucketAcl","page":0,"region":"eu-central-1"},{"answer":{"securityGroupInfo":[{"groupDescription":"web","groupId":"sg-0123456789abcdef0","groupName":"web","ipPermissions":[{"fromPort":"22","ipProtocol":"tcp","ipRanges":[{"cidrIp":"0.0.0.0/0"}],"toPort":"22"}],"vpcId":"vpc-1"}]},"call":"ec2:DescribeSecurityGroups","page":0,"region":"eu-central-1"},{"call":"iam:GetAccountSummary","failed":"denied","region":"eu-central-1"}],"format":1,"partition":"aws","regions":["eu-central-1"],"scrubbed":0,"unread":[]}"#;

fn connections() -> Said {
    let connection = ConnectionSummary {
        name: "production".parse().unwrap(),
        provider: Provider::Aws,
        state: ConnectionState::Connected,
        owner: None,
        account: Some("123456789012".parse().unwrap()),
    };
    Said::answer(&Answer::Report(Report::Connections { connections: vec![connection] }))
}

fn read(account: &str) -> Said {
    let outcome = Outcome::AccountSnapshotted {
        account: account.parse().unwrap(),
        snapshot: Bulk::of(SNAPSHOT.as_bytes()),
        calls: Count::from(3),
        failed: Count::from(1),
    };
    Said::with(SNAPSHOT.as_bytes(), &Answer::Outcome(outcome))
}

#[test]
fn an_account_that_the_broker_reads_is_judged_by_the_rules_for_code() {
    let place = Place::new(&welcome(), &[connections(), read("123456789012")]);
    let outcome = place.run(&["scan", "aws:production", "--color", "never"]);
    // Something couldn't be read, and is said.
    assert_eq!(outcome.code, Some(3), "{}\n{}", outcome.output, outcome.errors);
    assert!(outcome.errors.contains("note: account 123456789012: 3 calls, 1 of them without an answer"), "{}", outcome.errors);
    for expected in ["security-group-open-to-world-ssh", "s3-bucket-acl-public-read", "aws-production.json:", "\"cidrIp\":\"0.0.0.0/0\""] {
        assert!(outcome.output.contains(expected), "no {expected} in {}", outcome.output);
    }
    assert!(format!("{}{}", outcome.output, outcome.errors).contains("`iam:GetAccountSummary` couldn't be read (denied)"));
    // The bucket's other settings weren't asked for: they are neither good nor bad.
    assert!(!outcome.output.contains("s3-bucket-without-versioning"), "{}", outcome.output);
    let Request::Intent(Intent::SnapshotAccount(asked)) = place.asked(2) else { panic!("{:?}", place.asked(2)) };
    assert_eq!((asked.account.as_str(), asked.services), ("123456789012", vec![Service::Ec2, Service::Iam, Service::S3]));
}

#[test]
fn another_account_than_was_asked_for_is_not_judged() {
    let place = Place::new(&welcome(), &[read("999988887777")]);
    let outcome = place.run(&["scan", "aws:123456789012"]);
    assert_eq!(outcome.code, Some(4), "{}", outcome.errors);
    assert!(outcome.errors.contains("the broker read another account"), "{}", outcome.errors);
    let unknown = Place::new(&welcome(), &[connections()]).run(&["scan", "aws:staging"]);
    assert_eq!(unknown.code, Some(2));
    assert!(unknown.errors.contains("the broker has no AWS account called `staging` for you"), "{}", unknown.errors);
}

fn change() -> Digest {
    Digest::of(b"change")
}

fn wanted() -> Said {
    Said::answer(&Answer::Outcome(Outcome::ApprovalWanted {
        change: change(),
        code: change().short_code(),
        wanted: Count::from(1),
        expires: UnixMillis::new(4_000_000_000_000),
        page: Some("http://approve.localhost:7443/change/x".parse().unwrap()),
    }))
}

fn state(state: ChangeState, outcome: Option<Outcome>) -> Said {
    let (approved, outcome) = (Count::from(1), outcome.map(Box::new));
    Said::answer(&Answer::Report(Report::Change { digest: change(), state, approved, wanted: Count::from(1), outcome }))
}

fn applied() -> (Outcome, ApplyAction) {
    let undo = Action::SetBucketPublicAccessBlock { block: None };
    let undo =
        ApplyAction::new("123456789012".parse().unwrap(), "eu-central-1".parse().unwrap(), "arn:aws:s3:::logs".parse().unwrap(), undo);
    let undo = undo.unwrap();
    (Outcome::ActionApplied { before: Digest::of(b"1"), after: Digest::of(b"2"), undo: Some(Box::new(undo.clone())) }, undo)
}

const BLOCK: &[&str] = &["apply", "block-bucket", "--account", "production", "--region", "eu-central-1", "--bucket", "logs"];

#[test]
fn an_action_is_asked_for_followed_and_undone() {
    let (done, undo) = applied();
    let answers = [connections(), wanted(), state(ChangeState::Approved, None), state(ChangeState::Applied, Some(done.clone()))];
    let place = Place::new(&welcome(), &answers);
    let outcome = place.run(BLOCK);
    assert_eq!(outcome.code, Some(0), "{}\n{}", outcome.output, outcome.errors);
    let Request::Intent(Intent::ApplyAction(asked)) = place.asked(2) else { panic!("{:?}", place.asked(2)) };
    assert_eq!((asked.resource().as_str(), asked.account().as_str()), ("arn:aws:s3:::logs", "123456789012"));
    assert_eq!(place.asked(3), Request::Control(Control::FollowChange { digest: change() }));
    for expected in ["approve  http://approve.localhost:7443/change/x", &change().short_code().to_string(), "applied  and looked at again"]
    {
        assert!(outcome.output.contains(expected), "no {expected} in {}", outcome.output);
    }
    assert!(outcome.output.ends_with(&format!("undo     keyblind apply undo {}\n", change())), "{}", outcome.output);
    let change = change().to_string();
    let place = Place::new(&welcome(), &[state(ChangeState::Applied, Some(done)), wanted()]);
    assert_eq!(place.run(&["apply", "undo", &change, "--no-wait"]).code, Some(0));
    assert_eq!(place.asked(2), Request::Intent(Intent::ApplyAction(undo.clone())));
    // What was overtaken can be put back as it was, by somebody who has looked; what is undone can't be undone again.
    let place = Place::new(&welcome(), &[state(ChangeState::Failed, Some(overtaken())), wanted()]);
    assert_eq!(place.run(&["apply", "undo", &change, "--no-wait"]).code, Some(0));
    assert_eq!(place.asked(2), Request::Intent(Intent::ApplyAction(undo)));
    let again = Place::new(&welcome(), &[state(ChangeState::Undone, Some(applied().0))]).run(&["apply", "undo", &change]);
    assert_eq!((again.code, again.errors.contains("undone already")), (Some(2), true), "{}", again.errors);
}

fn overtaken() -> Outcome {
    Outcome::ActionOvertaken { approved: Digest::of(b"2"), found: Digest::of(b"3"), undo: Box::new(applied().1) }
}

#[test]
fn each_kind_of_action_is_asked_for_as_it_is_meant() {
    let asked = |arguments: &[&str]| {
        let place = Place::new(&welcome(), &[connections(), wanted()]);
        let outcome = place.run(&[&["apply"], arguments, &["--account", "production", "--region", "eu-central-1", "--no-wait"]].concat());
        assert_eq!(outcome.code, Some(0), "{}\n{}", outcome.output, outcome.errors);
        let Request::Intent(Intent::ApplyAction(asked)) = place.asked(2) else { panic!("{:?}", place.asked(2)) };
        (asked.resource().to_string(), asked.action().clone())
    };
    let (resource, action) = asked(&["switch-off-key", "--user", "people/ada", "--key", "AKIAIOSFODNN7EXAMPLE"]);
    assert_eq!(resource, "arn:aws:iam::123456789012:user/people/ada");
    assert!(matches!(action, Action::SetAccessKeyActive { active: false, .. }));
    let (resource, action) = asked(&["encrypt-volumes"]);
    assert_eq!((resource.as_str(), action), ("arn:aws:iam::123456789012:root", Action::SetVolumeEncryptionByDefault { enabled: true }));
}

#[test]
fn what_comes_to_nothing_is_said_with_a_code_of_its_own() {
    for (end, code, expected) in [
        (state(ChangeState::Denied, None), 1, "denied   somebody said no"),
        (state(ChangeState::Stale, Some(Outcome::Refused(Refusal::StaleState))), 1, "nothing was done"),
        (state(ChangeState::Halted, None), 2, "`keyblind-broker arm`"),
        (state(ChangeState::Failed, None), 4, "isn't known"),
        (state(ChangeState::Undone, None), 1, "it was done and undone again"),
        (state(ChangeState::Failed, Some(overtaken())), 1, "by hand   look at arn:aws:s3:::logs"),
    ] {
        let outcome = Place::new(&welcome(), &[connections(), wanted(), end]).run(BLOCK);
        assert_eq!(outcome.code, Some(code), "{}\n{}", outcome.output, outcome.errors);
        assert!(outcome.output.contains(expected), "no {expected} in {}", outcome.output);
    }
    let refused = Said::answer(&Answer::Outcome(Outcome::Refused(Refusal::NotOffered)));
    let outcome = Place::new(&welcome(), &[connections(), refused]).run(BLOCK);
    assert_eq!(outcome.code, Some(2));
    assert!(outcome.errors.contains("this broker doesn't offer that"), "{}", outcome.errors);
    let place = Place::new(&welcome(), &[connections()]);
    let ports = ["apply", "close-ingress", "--account", "production", "--region", "eu-central-1", "--group", "sg-0123456789abcdef0"];
    let outcome = place.run(&[&ports[..], &["--protocol", "tcp", "--from", "0.0.0.0/0"]].concat());
    assert!(outcome.errors.contains("name them with `--ports`"), "{}", outcome.errors);
}
