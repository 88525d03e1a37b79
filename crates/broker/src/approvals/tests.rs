use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use keyblind_intent::{Change, ChangeFields, Digest};
use rusqlite::Transaction;

use super::changes::{self, Wanted};
use super::policy::{Answer, Channel, Identity, Refusal, Requester, Standing};
use super::*;
use crate::clock::{Clock, TestClock, Timestamp};
use crate::database::{Database, DatabaseError};

pub(crate) const TEAM: &str = include_str!("../../tests/policies/team.toml");
/// Wednesday 2026-07-15, 10:00 in Berlin.
pub(crate) const NOON: Timestamp = Timestamp::from_unix_millis(1_784_102_400_000);

/// A journal for tests: it remembers, and fails when told to.
#[derive(Default)]
pub(crate) struct Notes {
    pub(crate) entries: Mutex<Vec<Entry>>,
    pub(crate) fails: AtomicBool,
}

impl Journal for Notes {
    fn append(&self, _: &Transaction<'_>, _: Timestamp, entry: &Entry) -> Result<(), DatabaseError> {
        if self.fails.load(Ordering::SeqCst) {
            return Err(DatabaseError::Full);
        }
        self.entries.lock().unwrap().push(entry.clone());
        Ok(())
    }
}

pub(crate) struct Bench {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) database: Database,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) notes: Arc<Notes>,
    pub(crate) approvals: Approvals,
    pub(crate) policy: Digest,
}

impl Bench {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = open(folder.path());
        let clock = Arc::new(TestClock::at(NOON));
        let notes = Arc::new(Notes::default());
        let approvals = Approvals::new(database.clone(), notes.clone(), clock.clone());
        let policy = approvals.propose_policy(TEAM).await.unwrap();
        Self { folder, database, clock, notes, approvals, policy }
    }

    /// The same database after the process has ended.
    pub(crate) async fn restarted(self) -> Self {
        let Self { folder, database, clock, notes, approvals, policy } = self;
        drop(approvals);
        drop(database);
        // The file is free once the thread that owns it has ended.
        let database = loop {
            match Database::open(&folder.path().join("broker.db")) {
                Ok(database) => break database,
                Err(DatabaseError::InUse(_)) => tokio::time::sleep(Duration::from_millis(5)).await,
                Err(error) => panic!("{error}"),
            }
        };
        let approvals = Approvals::new(database.clone(), notes.clone(), clock.clone());
        Self { folder, database, clock, notes, approvals, policy }
    }

    pub(crate) fn wanted(&self, id: u8) -> Wanted {
        Wanted {
            id,
            tenant: "acme",
            requester: "mia",
            policy: self.policy,
            wanted: 1,
            may_be_requester: false,
            expires: NOON.saturating_add(Duration::from_secs(3600)).unix_millis(),
        }
    }

    pub(crate) async fn raise(&self, (fields, parts): (ChangeFields, Vec<Vec<u8>>)) -> Result<Raised, ApprovalError> {
        let mut material = Material::default();
        parts.into_iter().for_each(|part| material.add(part));
        let requester = Requester::Person(identity(fields.requester.as_str()));
        self.approvals.raise(Change::new(fields).unwrap(), requester, None, material).await
    }

    async fn say(&self, digest: Digest, who: &str, answer: Answer, nonce: &str) -> Result<Standing, ApprovalError> {
        self.approvals.decide(word(digest, who, answer, nonce)).await
    }

    fn effects(&self) -> usize {
        self.notes.entries.lock().unwrap().iter().filter(|entry| matches!(entry, Entry::Used { .. })).count()
    }
}

fn open(folder: &std::path::Path) -> Database {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700)).unwrap();
    Database::open(&folder.join("broker.db")).unwrap()
}

pub(crate) fn identity(name: &str) -> Identity {
    Identity::new("https://login.example/", name)
}

fn word(digest: Digest, who: &str, answer: Answer, nonce: &str) -> Word {
    Word {
        digest,
        identity: identity(who),
        tenant: Some("acme".to_owned()),
        channel: Channel::Passkey,
        answer,
        present_at: NOON,
        typed: None,
        nonce: Digest::of(nonce.as_bytes()),
    }
}

#[tokio::test]
async fn an_approved_change_is_applied_once() {
    let bench = Bench::new().await;
    let change = Change::new(changes::calm(&bench.wanted(1)).0).unwrap();
    let raised = bench.raise(changes::calm(&bench.wanted(1))).await.unwrap();
    assert_eq!(raised.digest, change.digest());
    assert_eq!(bench.approvals.take(change.clone()).await.unwrap_err(), ApprovalError::NotApproved);
    assert_eq!(bench.say(raised.digest, "ada", Answer::Approve, "page 1").await, Ok(Standing::Approved));
    let approved = bench.approvals.take(change.clone()).await.unwrap();
    assert_eq!(approved.change(), &change);
    assert_eq!(bench.approvals.take(change).await.unwrap_err(), ApprovalError::UsedUp);
    assert_eq!(bench.effects(), 1);
}

/// Threat 19: every field of a change, changed alone after the approval: refused, and nothing is let through.
#[tokio::test]
async fn an_approval_of_one_change_is_none_of_another() {
    let bench = Bench::new().await;
    let (fields, parts) = changes::calm(&bench.wanted(1));
    let approved = bench.raise((fields.clone(), parts)).await.unwrap();
    bench.say(approved.digest, "ada", Answer::Approve, "page 1").await.unwrap();
    let original = serde_json::to_value(&fields).unwrap();
    let mut flipped = 0;
    let mut paths = Vec::new();
    leaves(&original, &mut Vec::new(), &mut paths);
    for path in paths {
        for replacement in replacements(at(&original, &path)) {
            let mut other = original.clone();
            *at_mut(&mut other, &path) = replacement;
            // What can't be said at all is refused before there is a digest.
            let Ok(change) = Change::decode(&serde_json::to_vec(&other).unwrap()) else { continue };
            assert_ne!(change.digest(), approved.digest, "{path:?} isn't in the digest");
            assert_eq!(bench.approvals.take(change).await.unwrap_err(), ApprovalError::Unknown, "{path:?}");
            flipped += 1;
        }
    }
    assert!(flipped >= 20, "only {flipped} fields could be changed alone");
    assert_eq!(bench.effects(), 0);
    // The defence off, as it were: the unchanged fields pass.
    bench.approvals.take(Change::new(fields).unwrap()).await.unwrap();
    assert_eq!(bench.effects(), 1);
}

fn leaves(value: &serde_json::Value, path: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
    match value {
        serde_json::Value::Object(fields) => {
            for (key, value) in fields {
                path.push(key.clone());
                leaves(value, path, found);
                path.pop();
            }
        }
        serde_json::Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                path.push(index.to_string());
                leaves(value, path, found);
                path.pop();
            }
        }
        _ => found.push(path.clone()),
    }
}

fn at<'v>(value: &'v serde_json::Value, path: &[String]) -> &'v serde_json::Value {
    path.iter().fold(value, |value, key| match value {
        serde_json::Value::Array(items) => &items[key.parse::<usize>().unwrap()],
        other => &other[key.as_str()],
    })
}

fn at_mut<'v>(value: &'v mut serde_json::Value, path: &[String]) -> &'v mut serde_json::Value {
    path.iter().fold(value, |value, key| match value {
        serde_json::Value::Array(items) => &mut items[key.parse::<usize>().unwrap()],
        other => &mut other[key.as_str()],
    })
}

fn replacements(value: &serde_json::Value) -> Vec<serde_json::Value> {
    use serde_json::{Value, json};
    match value {
        Value::Bool(is_on) => vec![json!(!is_on)],
        Value::Number(number) => vec![json!(number.as_u64().unwrap_or(0) + 1)],
        Value::String(text) => {
            let mut last = text.clone();
            let changed = if last.ends_with('a') { 'b' } else { 'a' };
            last.pop();
            last.push(changed);
            vec![json!(last), json!(format!("{text}x"))]
        }
        Value::Null => vec![json!(Digest::of(b"other").to_string()), json!(Digest::of(b"x").to_string()[..40].to_owned())],
        _ => Vec::new(),
    }
}

/// Threat 22: the same word twice, after a restart, and on two instances at once: it counts once. Without the nonce (another one
/// each time) the person's second word is still refused, by the person.
#[tokio::test]
async fn a_word_that_is_sent_again_counts_once() {
    let bench = Bench::new().await;
    let critical = ChangeFields { approvals: two(&bench), ..changes::open_database(&bench.wanted(1)) };
    let raised = bench.raise((critical.clone(), Vec::new())).await.unwrap();
    let code = raised.digest.short_code().to_string();
    let typed = |who: &str, nonce: &str| Word { typed: Some(code.clone()), ..word(raised.digest, who, Answer::Approve, nonce) };
    assert_eq!(bench.approvals.decide(typed("sam", "page 1")).await, Ok(Standing::Waiting(1)));
    assert_eq!(bench.approvals.decide(typed("sam", "page 1")).await, Err(ApprovalError::Replayed));
    assert_eq!(bench.approvals.decide(typed("olga", "page 1")).await, Err(ApprovalError::Replayed), "in somebody else's name");
    assert_eq!(bench.approvals.decide(typed("sam", "page 2")).await, Err(ApprovalError::Policy(Refusal::AlreadyCounted)));
    let bench = bench.restarted().await;
    assert_eq!(bench.approvals.decide(typed("sam", "page 1")).await, Err(ApprovalError::Replayed), "after a restart");
    // Two instances of the broker's logic on one database, both handed the last word at the same time.
    let other = Approvals::new(bench.database.clone(), bench.notes.clone(), bench.clock.clone());
    let (first, second) = tokio::join!(bench.approvals.decide(typed("olga", "page 3")), other.decide(typed("olga", "page 3")));
    assert_eq!([&first, &second].iter().filter(|result| result.is_ok()).count(), 1, "{first:?} {second:?}");
    let change = Change::new(critical).unwrap();
    let takes = futures_of(&[&bench.approvals, &other], &change).await;
    assert_eq!(takes, 1);
    assert_eq!(bench.effects(), 1);
    drop(other);
    let bench = bench.restarted().await;
    assert_eq!(bench.approvals.take(change).await.unwrap_err(), ApprovalError::UsedUp, "after a restart");
}

async fn futures_of(instances: &[&Approvals], change: &Change) -> usize {
    let mut tasks = tokio::task::JoinSet::new();
    for instance in instances.iter().cycle().take(16) {
        let (instance, change) = ((*instance).clone(), change.clone());
        tasks.spawn(async move { instance.take(change).await.is_ok() });
    }
    tasks.join_all().await.into_iter().filter(|ok| *ok).count()
}

fn two(bench: &Bench) -> keyblind_intent::Approvals {
    keyblind_intent::Approvals { wanted: keyblind_intent::Count::new(2).unwrap(), policy: bench.policy, may_be_requester: false }
}

/// A second broker can't even open the file.
#[tokio::test]
async fn a_second_broker_on_the_same_file_is_refused() {
    let bench = Bench::new().await;
    assert!(matches!(Database::open(&bench.folder.path().join("broker.db")), Err(DatabaseError::InUse(_))));
}

#[tokio::test]
async fn without_the_record_nothing_happens() {
    let bench = Bench::new().await;
    let raised = bench.raise(changes::calm(&bench.wanted(1))).await.unwrap();
    bench.notes.fails.store(true, Ordering::SeqCst);
    assert_eq!(bench.raise(changes::calm(&bench.wanted(2))).await.unwrap_err(), ApprovalError::Database(DatabaseError::Full));
    assert_eq!(bench.say(raised.digest, "ada", Answer::Approve, "page 1").await, Err(ApprovalError::Database(DatabaseError::Full)));
    bench.notes.fails.store(false, Ordering::SeqCst);
    assert_eq!(bench.approvals.progress("acme", raised.digest).await.unwrap().approved, 0, "nothing counted");
    assert_eq!(bench.say(raised.digest, "ada", Answer::Approve, "page 1").await, Ok(Standing::Approved), "and the nonce isn't spent");
    bench.notes.fails.store(true, Ordering::SeqCst);
    let change = Change::new(changes::calm(&bench.wanted(1)).0).unwrap();
    assert_eq!(bench.approvals.take(change.clone()).await.unwrap_err(), ApprovalError::Database(DatabaseError::Full));
    bench.notes.fails.store(false, Ordering::SeqCst);
    bench.approvals.take(change).await.unwrap();
}

/// Threat 24: what belongs to another tenant doesn't exist.
#[tokio::test]
async fn a_request_of_another_tenant_does_not_exist() {
    let bench = Bench::new().await;
    let raised = bench.raise(changes::calm(&bench.wanted(1))).await.unwrap();
    assert_eq!(bench.approvals.request("evil", raised.digest).await.unwrap_err(), ApprovalError::Unknown);
    assert!(bench.approvals.waiting("evil").await.unwrap().is_empty());
    assert_eq!(bench.approvals.progress("evil", raised.digest).await.unwrap_err(), ApprovalError::Unknown);
    let foreign = Word { tenant: Some("evil".to_owned()), ..word(raised.digest, "eve", Answer::Approve, "page 1") };
    assert_eq!(bench.approvals.decide(foreign).await, Err(ApprovalError::Unknown));
    // Even under the right tenant's name, she isn't of it.
    assert_eq!(bench.say(raised.digest, "eve", Answer::Approve, "page 1").await, Err(ApprovalError::Policy(Refusal::OtherTenant)));
}

#[tokio::test]
async fn who_asks_cannot_choose_the_policy_or_lower_what_it_wants() {
    let bench = Bench::new().await;
    let (fields, parts) = changes::calm(&Wanted { policy: Digest::of(b"my own policy"), ..bench.wanted(1) });
    assert_eq!(bench.raise((fields, parts)).await.unwrap_err(), ApprovalError::OtherPolicy);
    let critical = changes::open_database(&bench.wanted(1));
    assert_eq!(bench.raise((critical, Vec::new())).await.unwrap_err(), ApprovalError::OtherApprovals, "one approval where two are wanted");
    let (fields, parts) = changes::calm(&Wanted { may_be_requester: true, ..bench.wanted(1) });
    assert_eq!(bench.raise((fields, parts)).await.unwrap_err(), ApprovalError::OtherApprovals);
}

#[tokio::test]
async fn bytes_that_a_change_does_not_name_are_not_shown() {
    let bench = Bench::new().await;
    let (fields, _) = changes::calm(&bench.wanted(1));
    assert_eq!(bench.raise((fields.clone(), vec![b"other contents".to_vec()])).await.unwrap_err(), ApprovalError::OtherBytes);
    let (_, mut parts) = changes::calm(&bench.wanted(1));
    parts.push(b"something that nobody named".to_vec());
    let raised = bench.raise((fields, parts)).await.unwrap();
    let request = bench.approvals.request("acme", raised.digest).await.unwrap();
    assert_eq!(request.contents(), changes::AFTER.as_bytes());
    assert!(request.material.get(&Digest::of(b"something that nobody named")).is_none());
}

#[tokio::test]
async fn a_guarded_target_and_a_flood_are_refused() {
    let bench = Bench::new().await;
    let trail = ChangeFields { approvals: two(&bench), ..changes::stop_trail(&bench.wanted(1)) };
    assert!(matches!(bench.raise((trail, Vec::new())).await.unwrap_err(), ApprovalError::Guarded(_)), "the record is guarded");
    for id in 0..10 {
        bench.raise(changes::calm(&bench.wanted(id))).await.unwrap();
    }
    assert!(matches!(bench.raise(changes::calm(&bench.wanted(10))).await.unwrap_err(), ApprovalError::Limited(_)));
}

#[tokio::test]
async fn time_ends_requests_and_approvals() {
    let bench = Bench::new().await;
    let raised = bench.raise(changes::calm(&bench.wanted(1))).await.unwrap();
    let second = bench.raise(changes::calm(&bench.wanted(2))).await.unwrap();
    bench.say(raised.digest, "ada", Answer::Approve, "page 1").await.unwrap();
    bench.clock.advance(raised.expires.saturating_duration_since(NOON));
    assert_eq!(bench.say(second.digest, "ada", Answer::Approve, "page 2").await, Err(ApprovalError::Policy(Refusal::Expired)));
    let change = Change::new(changes::calm(&bench.wanted(1)).0).unwrap();
    assert_eq!(bench.approvals.take(change).await.unwrap_err(), ApprovalError::Expired);
    assert!(bench.approvals.waiting("acme").await.unwrap().is_empty());
    assert!(bench.approvals.progress("acme", second.digest).await.unwrap().expired);
    assert_eq!(bench.approvals.expire().await, Ok(2), "the approved one as well: it wasn't used");
    assert_eq!(bench.approvals.expire().await, Ok(0));
    assert_eq!(bench.approvals.progress("acme", second.digest).await.unwrap().state, State::Expired);
}

#[tokio::test]
async fn a_stop_voids_what_waits_and_what_is_approved() {
    let bench = Bench::new().await;
    let first = bench.raise(changes::calm(&bench.wanted(1))).await.unwrap();
    let second = bench.raise(changes::calm(&bench.wanted(2))).await.unwrap();
    bench.say(first.digest, "ada", Answer::Approve, "page 1").await.unwrap();
    assert_eq!(bench.approvals.void_all().await, Ok(2));
    let change = Change::new(changes::calm(&bench.wanted(1)).0).unwrap();
    assert_eq!(bench.approvals.take(change).await.unwrap_err(), ApprovalError::NotApproved);
    assert_eq!(bench.say(second.digest, "ada", Answer::Approve, "page 2").await, Err(ApprovalError::Policy(Refusal::Decided)));
}

/// Threat 44: another policy file changes nothing by itself; two owners and a day do, and then what was asked under the old one is over.
#[tokio::test]
async fn a_policy_changes_by_two_owners_and_a_day() {
    let bench = Bench::new().await;
    let loose = TEAM.replace("approvals = 2", "approvals = 1");
    let raised = bench.raise(changes::calm(&bench.wanted(1))).await.unwrap();
    let proposed = bench.approvals.propose_policy(&loose).await.unwrap();
    assert_eq!(bench.approvals.policy().await.unwrap().0, bench.policy, "a quiet edit changes nothing");
    assert!(matches!(
        bench.approvals.agree_to_policy(proposed, identity("ada")).await,
        Err(ApprovalError::Policy(Refusal::RoleMissing(_)))
    ));
    bench.approvals.agree_to_policy(proposed, identity("olga")).await.unwrap();
    assert!(matches!(
        bench.approvals.agree_to_policy(proposed, Identity::local(1000)).await,
        Err(ApprovalError::Policy(Refusal::AlreadyCounted))
    ));
    bench.clock.advance(Duration::from_secs(48 * 3600));
    assert_eq!(bench.approvals.policy().await.unwrap().0, bench.policy, "one owner isn't two, however long it takes");
    bench.approvals.agree_to_policy(proposed, identity("omar")).await.unwrap();
    bench.clock.advance(Duration::from_secs(24 * 3600 - 1));
    assert_eq!(bench.approvals.policy().await.unwrap().0, bench.policy);
    bench.clock.advance(Duration::from_secs(1));
    assert_eq!(bench.approvals.policy().await.unwrap().0, proposed);
    assert_eq!(bench.say(raised.digest, "ada", Answer::Approve, "page 1").await, Err(ApprovalError::OtherPolicy));
    let recorded = |wanted: fn(&Entry) -> bool| bench.notes.entries.lock().unwrap().iter().filter(|entry| wanted(entry)).count();
    assert_eq!(recorded(|entry| matches!(entry, Entry::PolicyProposed { .. })), 1);
    assert_eq!(recorded(|entry| matches!(entry, Entry::PolicyAgreed { .. })), 2);
}

#[tokio::test]
async fn quiet_hours_put_a_request_off() {
    let bench = Bench::new().await;
    bench.clock.advance(Duration::from_secs(11 * 3600));
    let late = Wanted { expires: bench.clock.now().saturating_add(Duration::from_secs(24 * 3600)).unix_millis(), ..bench.wanted(1) };
    let raised = bench.raise(changes::calm(&late)).await.unwrap();
    assert_eq!(raised.shown_from.to_string(), "2026-07-16T05:30:00.000Z");
    assert_eq!(raised.expires, raised.shown_from.saturating_add(Duration::from_secs(3600)), "their time begins in the morning");
}

/// Threat 23: in the terminal, by the number that the kernel gives the user.
#[tokio::test]
async fn the_terminal_is_for_what_people_asked_where_the_policy_allows_it() {
    let bench = Bench::new().await;
    let raised = bench.raise(changes::calm(&bench.wanted(1))).await.unwrap();
    let code = raised.digest.short_code().to_string();
    let decide = |uid, code: &str, message: &str| {
        let (approvals, code, message) = (bench.approvals.clone(), code.to_owned(), message.to_owned());
        async move { terminal::decide(&approvals, "acme", uid, &code, Answer::Approve, message.as_bytes()).await }
    };
    assert_eq!(decide(1000, "KB-2222-2222", "1").await, Err(ApprovalError::Unknown));
    assert_eq!(decide(1001, &code, "2").await, Err(ApprovalError::Policy(Refusal::ApproverUnknown(Identity::local(1001)))));
    assert_eq!(decide(1000, &code.to_lowercase(), "3").await, Ok(Standing::Approved));
    let entries = bench.notes.entries.lock().unwrap().clone();
    let Some(Entry::Word { counted, .. }) = entries.iter().find(|entry| matches!(entry, Entry::Word { .. })) else { panic!("no word") };
    assert_eq!(counted.channel.assurance(), "unverified local");
    drop(entries);
    let by_agent = Change::new(changes::calm(&bench.wanted(2)).0).unwrap();
    let code = by_agent.short_code().to_string();
    let mut material = Material::default();
    changes::calm(&bench.wanted(2)).1.into_iter().for_each(|part| material.add(part));
    bench.approvals.raise(by_agent, Requester::Agent(identity("mia")), None, material).await.unwrap();
    assert_eq!(decide(1000, &code, "4").await, Err(ApprovalError::Policy(Refusal::AgentInTerminal)));
}
