//! Policies proven: `iam-simulate` evaluates them by IAM's rules, and knows which actions and resources there are.

use std::collections::BTreeSet;

use keyblind_broker::providers::aws::{POLICY_CHARACTERS, reads_of};
use keyblind_intent::{
    AccessKeyId, BucketLogging, Count, PasswordPolicy, SecurityGroupId, SecurityGroupRule, Service, SnapshotAccount, Source,
    TransportProtocol,
};
use serde_json::{Value, json};

use super::*;

/// Every action, one way and the other, with its resource and another one of the same kind.
fn actions() -> Vec<(ApplyAction, ApplyAction, Option<String>)> {
    let policy = PasswordPolicy {
        minimum_length: 14,
        require_symbols: true,
        require_numbers: true,
        require_uppercase: true,
        require_lowercase: true,
        allow_users_to_change: true,
        expires_after_days: None,
        remembered: Some(24),
        hard_expiry: false,
    };
    let block =
        PublicAccessBlock { block_public_acls: true, ignore_public_acls: true, block_public_policy: true, restrict_public_buckets: true };
    let logging = BucketLogging { target: Arn::new("arn:aws:s3:::logs").unwrap(), prefix: None };
    let rule = SecurityGroupRule {
        protocol: TransportProtocol::All,
        from: None,
        to: None,
        source: Source::Group(SecurityGroupId::new("sg-0123456789abcdef0").unwrap()),
        description: None,
    };
    let key = AccessKeyId::new("AKIAIOSFODNN7EXAMPLE").unwrap();
    let everything = Arn::new("arn:aws:iam::aws:policy/AdministratorAccess").unwrap();
    let attach = |attached| Action::SetPolicyAttached { policy: everything.clone(), attached };
    let pairs: [(Action, Action, &str, Option<&str>); 17] = [
        (Action::SetPasswordPolicy { policy: Some(policy) }, Action::SetPasswordPolicy { policy: None }, "iam::ACCOUNT:root", None),
        (
            Action::SetAccessKeyActive { key: key.clone(), active: false },
            Action::SetAccessKeyActive { key, active: true },
            "iam::ACCOUNT:user/ada",
            Some("iam::ACCOUNT:user/bob"),
        ),
        (
            Action::SetBucketPublicAccessBlock { block: Some(block) },
            Action::SetBucketPublicAccessBlock { block: None },
            "s3:::logs-a",
            Some("s3:::logs-b"),
        ),
        (
            Action::SetBucketLogging { logging: Some(logging) },
            Action::SetBucketLogging { logging: None },
            "s3:::logs-a",
            Some("s3:::logs-b"),
        ),
        (
            Action::SetDatabasePublic { public: false },
            Action::SetDatabasePublic { public: true },
            "rds:HOME:ACCOUNT:db:shop",
            Some("rds:HOME:ACCOUNT:db:other"),
        ),
        (
            Action::SetDatabaseMinorUpgrades { automatic: true },
            Action::SetDatabaseMinorUpgrades { automatic: false },
            "rds:HOME:ACCOUNT:db:shop",
            Some("rds:HOME:ACCOUNT:db:other"),
        ),
        (
            Action::SetTrailValidation { enabled: true },
            Action::SetTrailValidation { enabled: false },
            "cloudtrail:HOME:ACCOUNT:trail/all",
            Some("cloudtrail:HOME:ACCOUNT:trail/other"),
        ),
        (
            Action::SetTrailLogging { enabled: true },
            Action::SetTrailLogging { enabled: false },
            "cloudtrail:HOME:ACCOUNT:trail/all",
            Some("cloudtrail:HOME:ACCOUNT:trail/other"),
        ),
        (
            Action::SetKeyRotation { enabled: true },
            Action::SetKeyRotation { enabled: false },
            "kms:HOME:ACCOUNT:key/11111111-2222-3333-4444-555555555555",
            Some("kms:HOME:ACCOUNT:key/99999999-2222-3333-4444-555555555555"),
        ),
        (
            Action::SetVolumeEncryptionByDefault { enabled: true },
            Action::SetVolumeEncryptionByDefault { enabled: false },
            "iam::ACCOUNT:root",
            None,
        ),
        (
            Action::SetIngressRule { rule: rule.clone(), present: false },
            Action::SetIngressRule { rule, present: true },
            "ec2:HOME:ACCOUNT:security-group/sg-0123456789abcdef0",
            Some("ec2:HOME:ACCOUNT:security-group/sg-0123456789abcdef1"),
        ),
        (Action::SetSecurityHub { enabled: true }, Action::SetSecurityHub { enabled: false }, "securityhub:HOME:ACCOUNT:hub/default", None),
        (
            Action::SetImageScanOnPush { enabled: true },
            Action::SetImageScanOnPush { enabled: false },
            "ecr:HOME:ACCOUNT:repository/shop",
            Some("ecr:HOME:ACCOUNT:repository/other"),
        ),
        (
            Action::SetTablePointInTimeRecovery { enabled: true },
            Action::SetTablePointInTimeRecovery { enabled: false },
            "dynamodb:HOME:ACCOUNT:table/orders",
            Some("dynamodb:HOME:ACCOUNT:table/other"),
        ),
        (attach(false), attach(true), "iam::ACCOUNT:role/deploy", Some("iam::ACCOUNT:role/other")),
        (attach(false), attach(true), "iam::ACCOUNT:user/ada", Some("iam::ACCOUNT:user/bob")),
        (attach(false), attach(true), "iam::ACCOUNT:group/people", Some("iam::ACCOUNT:group/others")),
    ];
    let arn = |text: &str| format!("arn:aws:{}", text.replace("ACCOUNT", AWS_ACCOUNT).replace("HOME", home().as_str()));
    let apply = |action, text: &str| ApplyAction::new(account(), home(), Arn::new(arn(text)).unwrap(), action).unwrap();
    pairs.into_iter().map(|(to, from, resource, other)| (apply(to, resource), apply(from, resource), other.map(arn))).collect()
}

fn policy_of(apply: &ApplyAction) -> Value {
    document(&SessionPolicy::of_action(apply, None).unwrap())
}

const DEAD_AT: u64 = 1_800_000_060_000;

fn document(policy: &SessionPolicy) -> Value {
    serde_json::from_str(&policy.document(Timestamp::from_unix_millis(DEAD_AT + 999)).unwrap()).unwrap()
}

/// All actions and resources that a policy's statements allow, one by one.
fn allowed(policy: &Value) -> BTreeSet<(String, String)> {
    let mut all = BTreeSet::new();
    for statement in policy["Statement"].as_array().unwrap() {
        assert_eq!(statement["Effect"], "Allow");
        assert_eq!(statement["Condition"]["DateLessThan"]["aws:CurrentTime"], "2027-01-15T08:01:00Z");
        for action in statement["Action"].as_array().unwrap() {
            all.insert((action.as_str().unwrap().to_owned(), statement["Resource"].as_str().unwrap().to_owned()));
        }
    }
    all
}

struct Iam {
    peer: Peer,
}

impl Iam {
    /// Asks for each action on a resource, under a role that allows everything.
    fn judge(&self, policy: &Value, asked: &[(String, String)], time: &str, in_region: &str) -> Vec<String> {
        self.judge_in(policy, asked, json!({"aws:CurrentTime": time, "aws:RequestedRegion": in_region}))
    }

    /// The same in time and at home, with something more to look at.
    fn judge_with(&self, policy: &Value, asked: &[(String, String)], more: Value) -> Vec<String> {
        let mut context = json!({"aws:CurrentTime": "2027-01-15T08:00:59Z", "aws:RequestedRegion": home().as_str()});
        context.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.judge_in(policy, asked, context)
    }

    fn judge_in(&self, policy: &Value, asked: &[(String, String)], context: Value) -> Vec<String> {
        let wide = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]});
        let requests: Vec<Value> = asked
            .iter()
            .map(|(action, resource)| {
                json!({
                    "principal": format!("arn:aws:sts::{AWS_ACCOUNT}:assumed-role/keyblind-change/kb-1"), "action": action, "resource": resource,
                    "account": AWS_ACCOUNT, "session": policy, "identity": wide,
                    "context": context,
                })
            })
            .collect();
        let judged = self.peer.ask("POST", "/simulate", &Value::from(requests));
        judged.as_array().unwrap().iter().map(|result| result.as_str().unwrap().to_owned()).collect()
    }
}

#[test]
fn each_action_allows_its_calls_on_its_resource_and_nothing_else() {
    let iam = Iam { peer: Peer::iam() };
    let (before, after) = ("2027-01-15T08:00:59Z", "2027-01-15T08:01:00Z");
    // Every call that any action makes: under one action's policy, those of the others must be denied.
    let every: BTreeSet<String> = actions()
        .iter()
        .flat_map(|(to, from, _)| allowed(&document(&SessionPolicy::of_action(to, Some(from)).unwrap())))
        .map(|(action, _)| action)
        .collect();
    assert!(every.len() > 20, "{every:?}");
    let catalogue = iam.peer.ask("POST", "/catalogue", &json!(every));
    let mut seen = BTreeSet::new();
    for (to, from, other) in actions() {
        seen.insert(to.action().id());
        for (apply, opposite) in [(&to, &from), (&from, &to)] {
            let policy = document(&SessionPolicy::of_action(apply, None).unwrap());
            let allowed: Vec<(String, String)> = allowed(&policy).into_iter().collect();
            if let Action::SetPolicyAttached { .. } = apply.action() {
                let writes = |(action, _): &&(String, String)| action.contains("tach") && !action.contains("List");
                let other: Vec<_> = allowed.iter().filter(writes).cloned().collect();
                let named = |policy: &str| iam.judge_with(&policy_of(apply), &other, json!({"iam:PolicyARN": policy}));
                assert_eq!(named("arn:aws:iam::aws:policy/AdministratorAccess"), ["Allowed"], "{other:?}");
                assert_eq!(named("arn:aws:iam::aws:policy/IAMFullAccess"), ["ImplicitlyDenied"], "another policy than the approved one");
            }
            let all = |verdicts: Vec<String>, wanted: &str| {
                assert!(
                    !verdicts.is_empty() && verdicts.iter().all(|verdict| verdict == wanted),
                    "{:?}: {verdicts:?} {policy}",
                    apply.action()
                );
            };
            all(iam.judge(&policy, &allowed, before, home().as_str()), "Allowed");
            all(iam.judge(&policy, &allowed, after, home().as_str()), "ImplicitlyDenied");
            let elsewhere: Vec<_> =
                allowed.iter().filter(|(action, resource)| resource == "*" && action.starts_with("ec2:")).cloned().collect();
            if !elsewhere.is_empty() {
                all(iam.judge(&policy, &elsewhere, before, "us-east-1"), "ImplicitlyDenied");
            }
            // What names a resource is allowed on no other one.
            if let Some(other) = &other {
                let on_other: Vec<_> = allowed
                    .iter()
                    .filter(|(_, on)| on == apply.resource().as_str())
                    .map(|(action, _)| (action.clone(), other.clone()))
                    .collect();
                all(iam.judge(&policy, &on_other, before, home().as_str()), "ImplicitlyDenied");
            }
            // A call that AWS can confine to a resource is confined to one.
            for (action, resource) in &allowed {
                let takes = catalogue[action]["resources"].as_array().unwrap_or_else(|| panic!("{action} isn't in the catalogue"));
                assert_eq!(resource == "*", takes.is_empty(), "{action} on {resource}: {takes:?}");
            }
            let mine: BTreeSet<&str> = allowed.iter().map(|(action, _)| action.as_str()).collect();
            let foreign: Vec<_> = every
                .iter()
                .filter(|action| !mine.contains(action.as_str()))
                .filter(|action| catalogue[*action]["resources"].as_array().unwrap().is_empty())
                .map(|action| (action.clone(), "*".to_owned()))
                .collect();
            all(iam.judge(&policy, &foreign, before, home().as_str()), "ImplicitlyDenied");
            // The way back is allowed only where it was asked for.
            let both = document(&SessionPolicy::of_action(apply, Some(opposite)).unwrap());
            assert!(self::allowed(&both).is_superset(&self::allowed(&policy)));
        }
    }
    assert_eq!(seen, ACTIONS.into_iter().collect());
}

#[test]
fn an_inverse_of_something_else_is_refused() {
    let all = actions();
    for (index, (to, _, _)) in all.iter().enumerate() {
        let (_, other, _) = &all[(index + 1) % all.len()];
        assert!(SessionPolicy::of_action(to, Some(other)).is_err(), "{to:?} {other:?}");
    }
}

#[test]
fn snapshots_read_only_and_fit_whatever_is_asked_for() {
    let iam = Iam { peer: Peer::iam() };
    let actions: BTreeSet<&str> = Service::ALL.into_iter().flat_map(reads_of).map(|read| read.action).collect();
    let catalogue = iam.peer.ask("POST", "/catalogue", &json!(actions));
    for action in &actions {
        let level = catalogue[action]["level"].as_str().unwrap_or_else(|| panic!("{action} isn't in the catalogue"));
        assert!(matches!(level, "Read" | "List"), "{action}: {level}");
    }
    // They read how things are set up, not what is kept in them.
    for kept in [
        "s3:GetObject",
        "secretsmanager:GetSecretValue",
        "lambda:GetFunction",
        "ec2:DescribeInstanceAttribute",
        "logs:GetLogEvents",
        "dynamodb:GetItem",
        "sqs:ReceiveMessage",
        "ecr:GetAuthorizationToken",
    ] {
        assert!(!actions.contains(kept), "{kept}");
    }
    let regions = |count: usize| (0..count).map(|number| region(&format!("ap-southeast-{number}"))).collect::<Vec<_>>();
    for count in [0, 1, 20, 40] {
        let snapshot = SnapshotAccount {
            account: account(),
            regions: regions(count),
            services: Service::ALL.to_vec(),
            most_calls: Count::new(1).unwrap(),
        };
        let policies = SessionPolicy::of_snapshot(&snapshot).unwrap();
        let mut all = BTreeSet::new();
        for policy in &policies {
            let text = policy.document(Timestamp::from_unix_millis(DEAD_AT)).unwrap();
            assert!(text.len() <= POLICY_CHARACTERS, "{} characters", text.len());
            all.extend(allowed(&serde_json::from_str(&text).unwrap()).into_iter().map(|(action, _)| action));
        }
        assert_eq!(all, actions.iter().map(ToString::to_string).collect(), "{count} regions");
    }
    let snapshot =
        SnapshotAccount { account: account(), regions: regions(2), services: vec![Service::Kms], most_calls: Count::new(1).unwrap() };
    let policy = document(&SessionPolicy::of_snapshot(&snapshot).unwrap()[0]);
    let keys = [("kms:ListKeys".to_owned(), "*".to_owned())];
    let judge = |time, region| iam.judge(&policy, &keys, time, region);
    assert_eq!(judge("2027-01-15T08:00:59Z", "ap-southeast-1"), ["Allowed"]);
    assert_eq!(judge("2027-01-15T08:00:59Z", "eu-central-1"), ["ImplicitlyDenied"]);
    assert_eq!(judge("2027-01-15T08:01:01Z", "ap-southeast-1"), ["ImplicitlyDenied"]);
}
