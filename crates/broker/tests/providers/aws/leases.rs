//! Sessions as leases: with the vault that keeps the broker's own keys, the kill switch, and the ledger that says what is true.

use std::collections::{BTreeSet, HashMap};
use std::os::unix::fs::PermissionsExt as _;

use keyblind_broker::database::Database;
use keyblind_broker::leases::epoch::KillSwitch;
use keyblind_broker::leases::lease::{CallFailure, LendError, Lender, Patience, Purpose, ReadLease};
use keyblind_broker::leases::revocation::Leases;
use keyblind_broker::ledger::{Cause, Code, ExportForm, Ledger, Who};
use keyblind_broker::providers::aws::reads_of;
use keyblind_broker::vault::{LocalKey, RecordKind, RecordName, Vault};
use keyblind_intent::{Count, Line, Service, SnapshotAccount};
use serde_json::Value;

use super::stand_in::{Answer, StandIn};
use super::*;

/// A broker's state, with the keys of a user of AWS in its sealed store.
struct Broker {
    _folder: tempfile::TempDir,
    base: Arc<Base>,
    ledger: Ledger,
    lender: Lender,
    switch: KillSwitch,
}

impl Broker {
    async fn with(keys: &Secret) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        let clock = || Arc::new(SystemClock::new());
        let database = Database::open(&folder.path().join("broker.db")).unwrap();
        let key = Arc::new(LocalKey::new(&Secret::from_bytes(vec![7; 32])).unwrap());
        let vault = Arc::new(Vault::create(database.clone(), key, clock()).await.unwrap());
        let ledger = Ledger::create(database.clone(), &vault, clock()).await.unwrap();
        let switch = KillSwitch::open(database.clone(), ledger.clone(), clock(), None, Vec::new()).await.unwrap();
        let leases = Leases::new(database, Arc::clone(&vault), ledger.clone(), switch.clone(), clock(), HashMap::new());
        let lender = Lender::new(leases, switch.clone(), ledger.clone(), clock(), Patience::default());
        let name = RecordName::new("acme", "broker", RecordKind::ClientCredential, "aws").unwrap();
        vault.put(&name, keys).await.unwrap();
        Self { _folder: folder, base: Arc::new(Base::sealed(vault, name)), ledger, lender, switch }
    }

    async fn snapshot(&self, sts: Sts, services: &[Service], lifetime: Duration) -> Result<ReadLease, LendError> {
        let snapshot =
            SnapshotAccount { account: account(), regions: vec![home()], services: services.to_vec(), most_calls: Count::new(9).unwrap() };
        let policy = SessionPolicy::of_snapshot(&snapshot).unwrap().remove(0);
        let operations: BTreeSet<Code> =
            policy.services().iter().flat_map(|service| reads_of(*service)).filter_map(|read| read.code()).collect();
        let purpose = Purpose {
            who: Who { tenant: TenantId::new("acme").unwrap(), subject: SubjectId::new("auth0|ada").unwrap() },
            mission: None,
            permission: Code::new("aws-snapshot").unwrap(),
            target: Line::new(AWS_ACCOUNT).unwrap(),
            lifetime,
        };
        let authority = AwsAuthority::new(sts, Arc::clone(&self.base));
        self.lender.read(operations, 9, &authority, &to_read(policy), purpose).await
    }

    /// What the ledger says of this kind, in order.
    async fn events(&self, kind: &str) -> Vec<Value> {
        let mut export = Vec::new();
        self.ledger.export(ExportForm::Verifiable, &mut export).await.unwrap();
        let text = String::from_utf8(export).unwrap();
        assert!(!text.contains(AWS_SECRET_KEY));
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.filter_map(|line| find(&line, kind).cloned()).collect()
    }
}

/// What stands under a name, however deep.
fn find<'v>(value: &'v Value, name: &str) -> Option<&'v Value> {
    match value {
        Value::Object(fields) => fields.get(name).or_else(|| fields.values().find_map(|value| find(value, name))),
        Value::Array(items) => items.iter().find_map(|value| find(value, name)),
        _ => None,
    }
}

#[tokio::test]
async fn a_read_lease_makes_its_calls_and_is_recorded_as_dead_at_its_last_second() {
    let mut world = World::with(&[]).await;
    let broker = Broker::with(&world.broker.take().unwrap()).await;
    let began = SystemClock::new().now();
    let mut lease = broker.snapshot(world.sts(), &[Service::Ec2], Duration::from_secs(300)).await.unwrap();
    let operation = |word: &str| Code::new(word).unwrap();
    let world = &world;
    let call = async |keys: &Secret| {
        let (status, text) = world.query("ec2", &home(), keys, &[("Action", "DescribeVpcs")]).await;
        if status == 200 { Ok(text) } else { Err(CallFailure::Failed(Code::new("denied").unwrap())) }
    };
    assert!(lease.call(operation("ec2-describe-vpcs"), call).await.unwrap().contains("vpcId"));
    // What isn't on the list isn't sent; what AWS denies had no effect.
    assert_eq!(lease.call(operation("iam-list-access-keys"), call).await, Err(LendError::NotAllowed(operation("iam-list-access-keys"))));
    let denied = async |keys: &Secret| {
        let (status, text) = world.query("iam", &home(), keys, &[("Action", "ListUsers")]).await;
        if status == 200 { Ok(text) } else { Err(CallFailure::Failed(Code::new("denied").unwrap())) }
    };
    assert_eq!(lease.call(operation("ec2-describe-vpcs"), denied).await, Err(LendError::Failed(operation("denied"))));
    lease.finish().await.unwrap();
    let ended = broker.events("token-ended").await;
    assert_eq!(ended.len(), 1);
    let dead_at = find(&ended[0], "policy-dead").and_then(|end| end["at"].as_u64()).unwrap();
    // The second that stands in the policy: five minutes from when it was asked for.
    assert!((299_000..=310_000).contains(&(dead_at - began.unix_millis())), "{dead_at} {began}");
    let policy = world
        .peer
        .requests()
        .iter()
        .rev()
        .find_map(|request| request["body"].as_str().filter(|body| body.contains("Action=AssumeRole")).map(ToOwned::to_owned))
        .unwrap();
    let second = jiff::Timestamp::from_millisecond(i64::try_from(dead_at).unwrap()).unwrap().to_string().replace(':', "%3A");
    assert!(policy.contains(&second), "{second} isn't in {policy}");
}

#[tokio::test]
async fn a_session_without_its_policy_is_never_used() {
    let stand_in = StandIn::start(None).await;
    let broker = Broker::with(&keys(AWS_KEY_ID, AWS_SECRET_KEY.as_bytes(), None).unwrap()).await;
    stand_in.answer([Answer::Changed("<PackedPolicySize>12</PackedPolicySize>", "")]);
    let refused = broker.snapshot(stand_in.sts(), &[Service::Kms], Duration::from_secs(60)).await.err().unwrap();
    assert_eq!(refused, LendError::TooMuchAuthority);
    assert_eq!(broker.events("call-started").await, [] as [Value; 0]);
    // One of which nobody knows whether there is one stays on record until it would be dead.
    stand_in.answer([Answer::Refuse(500, "InternalFailure", "", None)]);
    let lost = broker.snapshot(stand_in.sts(), &[Service::Kms], Duration::from_secs(60)).await.err().unwrap();
    assert_eq!(lost, LendError::Unknown(Code::new("provider-broken").unwrap()));
    stand_in.answer([Answer::Refuse(403, "AccessDenied", "sts:AssumeRole", None)]);
    let refused = broker.snapshot(stand_in.sts(), &[Service::Kms], Duration::from_secs(60)).await.err().unwrap();
    assert_eq!(refused, LendError::Refused(Code::new("role-denied").unwrap()));
    assert_eq!(broker.events("token-born").await.len(), 1);
}

#[tokio::test]
async fn once_everything_is_stopped_nobody_is_asked_for_a_session() {
    let stand_in = StandIn::start(None).await;
    let broker = Broker::with(&keys(AWS_KEY_ID, AWS_SECRET_KEY.as_bytes(), None).unwrap()).await;
    let mut lease = broker.snapshot(stand_in.sts(), &[Service::Kms], Duration::from_secs(60)).await.unwrap();
    broker.switch.kill(Cause::Command).await.unwrap();
    assert!(broker.snapshot(stand_in.sts(), &[Service::Kms], Duration::from_secs(60)).await.is_err());
    assert_eq!(stand_in.forms().len(), 1);
    let used = lease.call(Code::new("kms-list-keys").unwrap(), async |_| -> Result<(), CallFailure> { panic!("it is used") }).await;
    assert!(matches!(used, Err(LendError::Lease(_))), "{used:?}");
}
