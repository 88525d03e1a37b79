//! What becomes of a call that doesn't end as it was approved: somebody else changes the same thing between the last look and the call or
//! right after it, answers are lost, the service fails after it has done it. A front stands before the emulator that holds single requests
//! until the test has done its part, and changes what is answered.

use keyblind_broker::egress::Body;

use super::*;

/// The one call that closes the rule; `moto` is asked first whether it would do it.
const CLOSES: &str = "Action=RevokeSecurityGroupIngress(?!.*DryRun=true)";
const OPENS: &str = "Action=AuthorizeSecurityGroupIngress(?!.*DryRun=true)";
/// `MiniStack` does it when it is asked whether it would.
const CLOSES_AT_ONCE: &str = "Action=RevokeSecurityGroupIngress";
const OPENS_AT_ONCE: &str = "Action=AuthorizeSecurityGroupIngress";

/// How a change ended, and what its outcome says of it.
type Ended = (ChangeState, Option<Outcome>);

impl World {
    /// Says yes to a change, does something while the call that fits stands still, and gives how it ended.
    fn meanwhile(&mut self, change: Digest, fault: &Value, done: impl FnOnce(&Self)) -> Ended {
        self.aws.fail(fault);
        self.say_yes(change);
        eventually("the call", || self.aws.held() == 1);
        done(self);
        self.aws.release();
        self.ends(change)
    }

    fn let_in_from(&self) -> Vec<String> {
        self.let_in_now().into_iter().map(|(network, _)| network).collect()
    }

    fn no_longer(&self, port: &str, network: &str) {
        self.admin(
            "ec2",
            &[
                ("Action", "RevokeSecurityGroupIngress"),
                ("GroupId", &self.group),
                ("IpPermissions.1.IpProtocol", "tcp"),
                ("IpPermissions.1.FromPort", port),
                ("IpPermissions.1.ToPort", port),
                ("IpPermissions.1.IpRanges.1.CidrIp", network),
            ],
        );
    }

    /// How often a call that changes something was sent with the broker's sessions, since `seen` requests.
    fn sent(&self, seen: usize, call: &str) -> usize {
        let asked = self.aws.requests();
        let fits = |body: &&str| body.contains(&format!("Action={call}&")) && !body.contains("DryRun=true");
        asked.iter().skip(seen).filter_map(|request| request["body"].as_str()).filter(fits).count()
    }
}

fn is_lost((state, outcome): &Ended) -> bool {
    *state == ChangeState::Failed && matches!(outcome, Some(Outcome::Failed { failure: Failure::Lost, .. }))
}

fn is_overtaken((state, outcome): &Ended) -> bool {
    *state == ChangeState::Failed && matches!(outcome, Some(Outcome::ActionOvertaken { approved, found, .. }) if approved != found)
}

fn is_undone((state, outcome): &Ended) -> bool {
    *state == ChangeState::Undone && matches!(outcome, Some(Outcome::ActionUndone { .. }))
}

const FROM_EVERYWHERE: &str = "0.0.0.0/0";
const INSIDE: &str = "10.0.0.0/8";
const THEIRS: &str = "192.0.2.0/24";

/// Between the last look and the call somebody else lets in something: the call's own part is undone, theirs stays, and the record has
/// the undoing as a call of its own, announced before it.
fn beside(aws: Peer, closes: &str) {
    let mut world = World::new(aws);
    let digest = World::wanted(world.close_ssh());
    let ended = world.meanwhile(digest, &json!({"path": "", "matching": closes, "hold": "before"}), |world| {
        world.let_in("8080", THEIRS, "theirs");
    });
    assert!(is_undone(&ended), "{ended:?}");
    let now = world.let_in_now();
    assert_eq!(now.iter().map(|(network, _)| network.as_str()).collect::<Vec<_>>(), [FROM_EVERYWHERE, INSIDE, THEIRS]);
    assert_eq!(now[0].1, "from everywhere", "what was written beside it is there again");
    let (report, export) = world.close();
    assert_eq!((report.writes, report.approvals), (2, 1), "{report:?}");
    let at = |word: &str| export.lines().position(|line| line.contains(word));
    let (announced, undone) = (at("undo-action").unwrap(), at("change-undone").unwrap());
    assert!(announced < undone && at("change-applied").is_none(), "{export}");
}

#[test]
fn what_somebody_else_adds_in_the_same_moment_stays() {
    beside(Peer::ministack(), CLOSES_AT_ONCE);
}

#[test]
fn what_somebody_else_adds_in_the_same_moment_stays_at_moto() {
    beside(Peer::moto(), CLOSES);
}

/// The answer is lost, or an error, and the effect is there: it is seen to be, and not made twice.
fn unanswered(aws: Peer, closes: &str) {
    let mut world = World::new(aws);
    for fault in [json!({"after": true, "drop": true}), json!({"after": true, "status": 500}), json!({"after": true, "status": 503})] {
        let seen = world.aws.requests().len();
        let mut fault = fault;
        fault["path"] = "".into();
        fault["matching"] = closes.into();
        world.aws.fail(&fault);
        let digest = World::wanted(world.close_ssh());
        let undo = world.approved(digest);
        assert_eq!(world.let_in_from(), [INSIDE]);
        assert!(world.sent(seen, "RevokeSecurityGroupIngress") <= 1, "{fault}");
        // Undone by one more change with one more yes: that is on record of the first one.
        let again = world.undo(undo);
        world.approved(again);
        assert_eq!((world.follow(digest).0, world.follow(again).0), (ChangeState::Undone, ChangeState::Applied));
        assert_eq!(world.let_in_from(), [FROM_EVERYWHERE, INSIDE]);
    }
    let (report, export) = world.close();
    assert_eq!((report.writes, report.approvals), (6, 6), "{report:?}");
    assert_eq!((export.matches("change-applied").count(), export.matches("change-undone").count()), (6, 3));
}

#[test]
fn an_effect_whose_answer_is_lost_is_seen() {
    unanswered(Peer::ministack(), CLOSES_AT_ONCE);
}

#[test]
fn an_effect_whose_answer_is_lost_is_seen_at_moto() {
    unanswered(Peer::moto(), CLOSES);
}

#[test]
fn what_nobody_knows_is_called_lost_and_left_alone() {
    let mut world = World::new(Peer::ministack());
    let open = [FROM_EVERYWHERE, INSIDE];
    // It failed, and nothing is done: AWS may tell an old state, so that nobody knows.
    world.aws.fail(&json!({"path": "", "matching": CLOSES_AT_ONCE, "status": 500}));
    let digest = World::wanted(world.close_ssh());
    world.say_yes(digest);
    let ended = world.ends(digest);
    assert!(is_lost(&ended), "{ended:?}");
    assert_eq!(world.let_in_from(), open);
    // Refused for certain: nothing is done, and that is known.
    world.aws.fail(&json!({"path": "", "matching": CLOSES_AT_ONCE, "status": 403}));
    let digest = World::wanted(world.close_ssh());
    world.say_yes(digest);
    let ended = world.ends(digest);
    assert!(
        matches!(ended, (ChangeState::Failed, Some(Outcome::Failed { failure: Failure::Rejected | Failure::Forbidden, .. }))),
        "{ended:?}"
    );
    assert_eq!(world.let_in_from(), open);
    // It is done, and every look afterwards fails.
    let digest = World::wanted(world.close_ssh());
    let held = json!({"path": "", "matching": CLOSES_AT_ONCE, "hold": "after"});
    let ended = world.meanwhile(digest, &held, |world| {
        world.aws.fail(&json!({"path": "", "matching": "Action=DescribeSecurityGroupRules", "status": 403, "times": 6}));
    });
    assert!(is_lost(&ended), "{ended:?}");
    world.aws.heal();
    assert_eq!(world.let_in_from(), [INSIDE]);
    world.let_in("22", FROM_EVERYWHERE, "from everywhere");
    // The answer is lost, and beside the effect there is somebody else's: whose effect it is, nobody knows, and nothing is undone.
    let digest = World::wanted(world.close_ssh());
    let held = json!({"path": "", "matching": CLOSES_AT_ONCE, "hold": "before", "after": true, "drop": true});
    let ended = world.meanwhile(digest, &held, |world| world.let_in("8080", THEIRS, "theirs"));
    assert!(is_overtaken(&ended), "{ended:?}");
    assert_eq!(world.let_in_from(), [INSIDE, THEIRS]);
    let (report, export) = world.close();
    assert_eq!((report.writes, report.approvals), (4, 4), "{report:?}");
    assert!(!export.contains("change-applied") && !export.contains("change-undone"), "{export}");
}

#[test]
fn an_undoing_that_fails_is_told() {
    let mut world = World::new(Peer::ministack());
    let held = json!({"path": "", "matching": CLOSES_AT_ONCE, "hold": "before"});
    let digest = World::wanted(world.close_ssh());
    let ended = world.meanwhile(digest, &held, |world| {
        world.let_in("8080", THEIRS, "theirs");
        world.aws.fail(&json!({"path": "", "matching": OPENS_AT_ONCE, "status": 403}));
    });
    assert!(is_overtaken(&ended), "{ended:?}");
    assert_eq!(world.let_in_from(), [INSIDE, THEIRS]);
    // Somebody has looked, and wants back what was there: one more change.
    let (_, Some(Outcome::ActionOvertaken { undo, .. })) = ended else { panic!("{ended:?}") };
    let again = world.undo(*undo);
    world.approved(again);
    assert_eq!(world.let_in_from(), [FROM_EVERYWHERE, INSIDE, THEIRS]);
    world.no_longer("8080", THEIRS);
    // The answer to the undoing is lost, and it is done: it is seen to be.
    let digest = World::wanted(world.close_ssh());
    let ended = world.meanwhile(digest, &held, |world| {
        world.let_in("8080", THEIRS, "theirs");
        world.aws.fail(&json!({"path": "", "matching": OPENS_AT_ONCE, "after": true, "drop": true}));
    });
    assert!(is_undone(&ended), "{ended:?}");
    assert_eq!(world.let_in_from(), [FROM_EVERYWHERE, INSIDE, THEIRS]);
    let (report, export) = world.close();
    assert_eq!((report.writes, report.approvals), (5, 3), "{report:?}");
    assert_eq!(export.matches("change-undone").count(), 1);
}

/// `moto` says of a call that it would have been made: that the trying came to nothing is certain.
#[test]
fn an_undoing_is_tried_first_where_aws_offers_it() {
    let mut world = World::new(Peer::moto());
    let digest = World::wanted(world.close_ssh());
    let ended = world.meanwhile(digest, &json!({"path": "", "matching": CLOSES, "hold": "before"}), |world| {
        world.let_in("8080", THEIRS, "theirs");
        world.aws.fail(&json!({"path": "", "matching": OPENS, "status": 500, "after": true}));
    });
    assert!(is_undone(&ended), "{ended:?}");
    assert_eq!(world.let_in_from(), [FROM_EVERYWHERE, INSIDE, THEIRS]);
    world.close();
}

/// A setting that is one whole: what somebody else sets right after the call isn't taken away by an undoing.
#[test]
fn a_third_state_is_left_as_it_is() {
    let mut world = World::new(Peer::ministack());
    let all =
        PublicAccessBlock { block_public_acls: true, ignore_public_acls: true, block_public_policy: true, restrict_public_buckets: true };
    let block = Action::SetBucketPublicAccessBlock { block: Some(all) };
    let digest = World::wanted(world.apply(&format!("arn:aws:s3:::{BUCKET}"), block));
    let held = json!({"path": BUCKET, "method": "PUT", "matching": "publicAccessBlock", "hold": "after"});
    let ended = world.meanwhile(digest, &held, |world| {
        let theirs = "<PublicAccessBlockConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><BlockPublicAcls>true</BlockPublicAcls>\
                      <IgnorePublicAcls>false</IgnorePublicAcls><BlockPublicPolicy>true</BlockPublicPolicy>\
                      <RestrictPublicBuckets>false</RestrictPublicBuckets></PublicAccessBlockConfiguration>";
        let call = Call::new("PUT".parse().unwrap(), world.target().segment(BUCKET).query("publicAccessBlock", ""));
        let (status, said) = world.send("s3", call.body(Body::Bytes("application/xml", theirs.as_bytes().to_vec().into())));
        assert_eq!(status, 200, "{said}");
    });
    assert!(is_overtaken(&ended), "{ended:?}");
    let call = Call::get(world.target().segment(BUCKET).query("publicAccessBlock", ""));
    let (_, now) = world.send("s3", call);
    assert_eq!((element(&now, "BlockPublicPolicy"), element(&now, "RestrictPublicBuckets")), ("true", "false"), "theirs is still there");
    let (report, export) = world.close();
    assert_eq!((report.writes, report.approvals), (1, 1), "{report:?}");
    assert!(!export.contains("undo-action"), "{export}");
}

/// Another policy is attached in the same moment: it stays, and the detached one is attached again.
#[test]
fn another_policy_that_is_attached_in_the_same_moment_stays() {
    let mut world = World::new(Peer::ministack());
    let detach = Action::SetPolicyAttached { policy: Arn::new(ADMIN).unwrap(), attached: false };
    let digest = World::wanted(world.apply(ROLE, detach));
    let ended = world.meanwhile(digest, &json!({"path": "", "matching": "Action=DetachRolePolicy", "hold": "before"}), |world| {
        let little = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}]}"#;
        let made = world.admin("iam", &[("Action", "CreatePolicy"), ("PolicyName", "little"), ("PolicyDocument", little)]);
        world.admin("iam", &[("Action", "AttachRolePolicy"), ("RoleName", "deploy"), ("PolicyArn", element(&made, "Arn"))]);
    });
    assert!(is_undone(&ended), "{ended:?}");
    let attached = world.admin("iam", &[("Action", "ListAttachedRolePolicies"), ("RoleName", "deploy")]);
    assert!(attached.contains(ADMIN) && attached.contains("policy/little"), "{attached}");
    world.close();
}
