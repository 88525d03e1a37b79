//! Threat 40: each way in which a change could lock out the broker, the people who approve, or who come to help; or blind the record.
//!
//! An account as it stands when somebody relies on it: a broker with its own authority, approvers who log in, a way in for emergencies, a
//! trail. Whoever asks, and whoever would approve, what is under `[guard]` isn't touched. Without the guard each of these is asked about.

use std::sync::Arc;

use keyblind_broker::approvals::policy::guard::Guarded;
use keyblind_broker::approvals::policy::{Identity, Requester};
use keyblind_broker::approvals::{ApprovalError, Approvals, Material};
use keyblind_broker::clock::{Clock, TestClock, Timestamp};
use keyblind_intent::*;

use crate::changes::{BEFORE, Wanted, pull_request};
use crate::database::directory;
use crate::ledger::create;

const NOON: u64 = 1_784_109_600_000;

const POLICY: &str = r#"
version = 1
[people.ada]
identities = [{ issuer = "https://login.example/", subject = "ada" }]
roles = ["owner", "approver", "security"]
tenants = ["acme"]
[people.olga]
identities = [{ issuer = "https://login.example/", subject = "olga" }]
roles = ["owner", "approver", "security"]
tenants = ["acme"]
[[rules]]
name = "all"
channels = ["passkey"]
[limits]
requests-an-hour = 1000
open-requests = 1000
"#;

const GUARD: &str = r#"
[guard]
own = [
    "arn:aws:iam::111122223333:user/keyblind",
    "arn:aws:iam::111122223333:root",
    "arn:aws:kms:eu-central-1:111122223333:key/vault",
    "arn:aws:ec2:eu-central-1:111122223333:security-group/sg-0000000000000b0cc",
    "arn:aws:s3:::acme-keyblind-backup",
    "arn:aws:dynamodb:eu-central-1:111122223333:table/keyblind-*",
    "github:acme/keyblind-configuration",
]
break-glass = ["arn:aws:iam::111122223333:user/emergency", "arn:aws:ec2:eu-central-1:111122223333:security-group/sg-0000000000000e0e0"]
approvers = ["arn:aws:rds:eu-central-1:111122223333:db:login", "arn:aws:ec2:eu-central-1:111122223333:security-group/sg-000000000000010ad"]
record = [
    "arn:aws:cloudtrail:eu-central-1:111122223333:trail/*",
    "arn:aws:s3:::acme-trail",
    "arn:aws:securityhub:eu-central-1:111122223333:hub/*",
    "arn:aws:kms:eu-central-1:111122223333:key/trail",
]
"#;

/// The guarded ground that a change would take away: what is touched, and how.
fn ways() -> Vec<(&'static str, &'static str, Action)> {
    let key = || AccessKeyId::new("AKIAIOSFODNN7EXAMPLE").unwrap();
    let ingress = |present| Action::SetIngressRule {
        rule: SecurityGroupRule {
            protocol: TransportProtocol::Tcp,
            from: Some(Port(443)),
            to: Some(Port(443)),
            source: Source::Network("10.0.0.0/8".parse().unwrap()),
            description: None,
        },
        present,
    };
    let logging =
        |target: &str| Action::SetBucketLogging { logging: Some(BucketLogging { target: target.parse().unwrap(), prefix: None }) };
    let group = |name| match name {
        "broker" => "arn:aws:ec2:eu-central-1:111122223333:security-group/sg-0000000000000b0cc",
        "emergency" => "arn:aws:ec2:eu-central-1:111122223333:security-group/sg-0000000000000e0e0",
        _ => "arn:aws:ec2:eu-central-1:111122223333:security-group/sg-000000000000010ad",
    };
    vec![
        ("own", "arn:aws:iam::111122223333:user/keyblind", Action::SetAccessKeyActive { key: key(), active: false }),
        ("own", "arn:aws:iam::111122223333:root", Action::SetPasswordPolicy { policy: None }),
        ("own", "arn:aws:kms:eu-central-1:111122223333:key/vault", Action::SetKeyRotation { enabled: true }),
        ("own", group("broker"), ingress(false)),
        ("own", "arn:aws:s3:::acme-keyblind-backup", Action::SetBucketPublicAccessBlock { block: None }),
        ("own", "arn:aws:dynamodb:eu-central-1:111122223333:table/keyblind-locks", Action::SetTablePointInTimeRecovery { enabled: false }),
        ("break glass", "arn:aws:iam::111122223333:user/emergency", Action::SetAccessKeyActive { key: key(), active: false }),
        ("break glass", group("emergency"), ingress(false)),
        ("approvers", "arn:aws:rds:eu-central-1:111122223333:db:login", Action::SetDatabasePublic { public: false }),
        ("approvers", group("login"), ingress(false)),
        ("record", "arn:aws:cloudtrail:eu-central-1:111122223333:trail/main", Action::SetTrailLogging { enabled: false }),
        ("record", "arn:aws:cloudtrail:eu-central-1:111122223333:trail/main", Action::SetTrailValidation { enabled: false }),
        ("record", "arn:aws:s3:::acme-trail", Action::SetBucketLogging { logging: None }),
        // Not the trail's bucket, but what it gets.
        ("record", "arn:aws:s3:::acme-shop", logging("arn:aws:s3:::acme-trail")),
        ("record", "arn:aws:securityhub:eu-central-1:111122223333:hub/default", Action::SetSecurityHub { enabled: false }),
        ("record", "arn:aws:kms:eu-central-1:111122223333:key/trail", Action::SetKeyRotation { enabled: false }),
    ]
}

struct Account {
    _directory: tempfile::TempDir,
    approvals: Approvals,
    clock: Arc<TestClock>,
}

impl Account {
    async fn new(policy: &str) -> Self {
        let directory = directory();
        let (database, _vault, ledger) = create(&directory.path().join("broker.db")).await;
        let clock = Arc::new(TestClock::at(Timestamp::from_unix_millis(NOON)));
        let approvals = Approvals::new(database, Arc::new(ledger), clock.clone());
        approvals.propose_policy(policy).await.unwrap();
        Self { _directory: directory, approvals, clock }
    }

    /// What comes of asking for that.
    async fn ask(&self, id: u8, intent: Intent, inverse: Inverse, parts: Vec<Vec<u8>>) -> Result<(), ApprovalError> {
        let requester = Requester::Agent(Identity::new("https://login.example/", "ada"));
        let tenant: TenantId = "acme".parse().unwrap();
        let target = intent.target().unwrap();
        let wanted = self.approvals.wanted(&tenant, &intent, &target, requester.clone(), None).await?;
        let fields = ChangeFields {
            version: Count::from(1),
            id: RequestId::from_bytes([id; 16]),
            tenant,
            requester: "ada".parse().unwrap(),
            target,
            borrowed: Borrowed { permission: intent.permission().unwrap(), seconds: Count::from(60) },
            intent,
            pre_state: Digest::of(b"before"),
            post_state: None,
            inverse,
            approvals: wanted.approvals,
            rules: Digest::of(b"rules"),
            expires: UnixMillis::new(wanted.expires.unix_millis()),
        };
        let mut material = Material::default();
        parts.into_iter().for_each(|part| material.add(part));
        self.approvals.raise(Change::new(fields).unwrap(), requester, None, material).await.map(drop)
    }

    async fn act(&self, id: u8, resource: &str, action: Action) -> Result<(), ApprovalError> {
        assert!(self.clock.now() == Timestamp::from_unix_millis(NOON));
        let apply =
            ApplyAction::new("111122223333".parse().unwrap(), "eu-central-1".parse().unwrap(), resource.parse().unwrap(), action).unwrap();
        self.ask(id, Intent::ApplyAction(apply), Inverse::None(NoInverse::Replaced), Vec::new()).await
    }
}

fn guarded_as(result: &Result<(), ApprovalError>) -> &'static str {
    match result {
        Err(ApprovalError::Guarded(Guarded::Own(_))) => "own",
        Err(ApprovalError::Guarded(Guarded::BreakGlass(_))) => "break glass",
        Err(ApprovalError::Guarded(Guarded::Approvers(_))) => "approvers",
        Err(ApprovalError::Guarded(Guarded::Record(_))) => "record",
        Ok(()) => "people are asked",
        _ => "something else",
    }
}

#[tokio::test]
async fn no_way_to_lock_oneself_out_is_even_asked_about() {
    let guarded = Account::new(&format!("{POLICY}{GUARD}")).await;
    let open = Account::new(POLICY).await;
    for (number, (expected, resource, action)) in ways().into_iter().enumerate() {
        let id = u8::try_from(number + 1).unwrap();
        let refused = guarded.act(id, resource, action.clone()).await;
        assert_eq!(guarded_as(&refused), expected, "{resource}: {refused:?}");
        let asked = open.act(id, resource, action).await;
        assert_eq!(guarded_as(&asked), "people are asked", "{resource} without a guard: {asked:?}");
    }
    // What isn't part of the ground is asked about with the guard as well.
    for (id, resource) in
        [(101, "arn:aws:kms:eu-central-1:111122223333:key/shop"), (102, "arn:aws:kms:eu-central-1:111122223333:key/vault2")]
    {
        let asked = guarded.act(id, resource, Action::SetKeyRotation { enabled: true }).await;
        assert_eq!(guarded_as(&asked), "people are asked", "{resource}: {asked:?}");
    }
    // The repository that the broker is configured from.
    let wanted = Wanted {
        id: 1,
        tenant: "acme",
        requester: "ada",
        policy: Digest::of(b"policy"),
        wanted: 1,
        may_be_requester: false,
        expires: NOON,
    };
    let (fields, parts) = pull_request(&wanted, "Open the broker", &[("broker.toml", Some(BEFORE), "account = \"shared\"\n")]);
    let Intent::ProposePullRequest(mut request) = fields.intent else { unreachable!() };
    for (name, expected) in [("keyblind-configuration", "own"), ("Keyblind-Configuration", "own"), ("shop", "people are asked")] {
        request.repository.name = name.parse().unwrap();
        let result = guarded.ask(200, Intent::ProposePullRequest(request.clone()), fields.inverse.clone(), parts.clone()).await;
        assert_eq!(guarded_as(&result), expected, "{name}: {result:?}");
    }
}
