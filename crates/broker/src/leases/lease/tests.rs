use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use keyblind_intent::{SubjectId, TenantId};

use super::*;
use crate::approvals::changes;
use crate::approvals::policy::{Answer, Channel};
use crate::approvals::tests::{Bench, NOON, identity};
use crate::approvals::{ApprovalError, Approvals, State, Word, on_kill};
use crate::leases::revocation::{OutstandingState, RevocationFailure, Revoked, Revoker, RevokerFuture, ToRevoke};
use crate::ledger::Cause;
use crate::vault::{LocalKey, Vault};

/// How long the stand-in provider may take to give a token.
const PATIENCE: Duration = Duration::from_millis(50);

/// What the stand-in provider does when it is asked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mood {
    Gives,
    GivesSlowly,
    GivesMore,
    Refuses,
    Loses,
    NeverAnswers,
}

/// A provider in memory: it counts the tokens that live.
struct StandIn {
    mood: Mood,
    minted: AtomicUsize,
    revoked: AtomicUsize,
    revokes: AtomicBool,
}

#[derive(Clone)]
struct Source(Arc<StandIn>);

impl Authority for Source {
    type Scope = BTreeSet<&'static str>;

    fn provider(&self) -> Provider {
        Provider::Github
    }

    fn ending(&self) -> Ending {
        Ending::Revoke
    }

    async fn mint(&self, asked: &Self::Scope, lifetime: Duration) -> Result<Minted<Self::Scope>, NotMinted> {
        let mut granted = asked.clone();
        match self.0.mood {
            Mood::Refuses => return Err(NotMinted::Refused(word("forbidden"))),
            Mood::Loses => {
                self.0.minted.fetch_add(1, Ordering::SeqCst);
                return Err(NotMinted::Unknown(word("reset")));
            }
            Mood::NeverAnswers => std::future::pending().await,
            Mood::GivesMore => {
                granted.insert("administration: write");
            }
            Mood::GivesSlowly => tokio::time::sleep(Duration::from_millis(30)).await,
            Mood::Gives => {}
        }
        self.0.minted.fetch_add(1, Ordering::SeqCst);
        Ok(Minted { token: Secret::from_string("a token".to_owned()), granted, dies_at: NOON.saturating_add(lifetime) })
    }

    fn is_within(&self, granted: &Self::Scope, asked: &Self::Scope) -> bool {
        granted.is_subset(asked)
    }
}

struct Revokes(Arc<StandIn>);

impl Revoker for Revokes {
    fn revoke<'a>(&'a self, _: &'a ToRevoke, _: &'a Secret) -> RevokerFuture<'a> {
        Box::pin(async {
            if !self.0.revokes.load(Ordering::SeqCst) {
                return Err(RevocationFailure { reason: word("unavailable"), retry_after: None });
            }
            self.0.revoked.fetch_add(1, Ordering::SeqCst);
            Ok(Revoked::Confirmed)
        })
    }
}

struct Lending {
    bench: Bench,
    provider: Arc<StandIn>,
    lender: Lender,
    leases: Leases,
    switch: KillSwitch,
    ledger: Ledger,
    sent: Arc<AtomicUsize>,
}

impl Lending {
    async fn new(mood: Mood) -> Self {
        let mut bench = Bench::new().await;
        let clock: Arc<dyn Clock> = bench.clock.clone();
        let key = Arc::new(LocalKey::new(&Secret::from_bytes(vec![1; 32])).unwrap());
        let vault = Arc::new(Vault::create(bench.database.clone(), key, clock.clone()).await.unwrap());
        let ledger = Ledger::create(bench.database.clone(), &vault, clock.clone()).await.unwrap();
        // From here on approvals are recorded in the real ledger.
        bench.approvals = Approvals::new(bench.database.clone(), Arc::new(ledger.clone()), clock.clone());
        let switch =
            KillSwitch::open(bench.database.clone(), ledger.clone(), clock.clone(), None, vec![on_kill(clock.clone())]).await.unwrap();
        let provider =
            Arc::new(StandIn { mood, minted: AtomicUsize::new(0), revoked: AtomicUsize::new(0), revokes: AtomicBool::new(true) });
        let revoker: Arc<dyn Revoker> = Arc::new(Revokes(provider.clone()));
        let revokers = HashMap::from([(Provider::Github, revoker)]);
        let leases = Leases::new(bench.database.clone(), vault, ledger.clone(), switch.clone(), clock.clone(), revokers);
        let patience = Patience { mint: PATIENCE, call: Duration::from_millis(50) };
        let lender = Lender::new(leases.clone(), switch.clone(), ledger.clone(), clock, patience);
        Self { bench, provider, lender, leases, switch, ledger, sent: Arc::default() }
    }

    async fn approved(&self, id: u8) -> Approved {
        let raised = self.bench.raise(changes::calm(&self.bench.wanted(id))).await.unwrap();
        let word = Word {
            digest: raised.digest,
            identity: identity("ada"),
            tenant: Some("acme".to_owned()),
            channel: Channel::Passkey,
            answer: Answer::Approve,
            present_at: NOON,
            typed: None,
            nonce: keyblind_intent::Digest::of(&[id]),
        };
        self.bench.approvals.decide(word).await.unwrap();
        self.bench.approvals.take(self.change(id)).await.unwrap()
    }

    fn change(&self, id: u8) -> Change {
        Change::new(changes::calm(&self.bench.wanted(id)).0).unwrap()
    }

    fn purpose(&self) -> Purpose {
        Purpose {
            who: Who { tenant: TenantId::new("acme").unwrap(), subject: SubjectId::new("mia").unwrap() },
            mission: None,
            permission: word("pull-requests-write"),
            target: Line::new("acme/shop").unwrap(),
            lifetime: Duration::from_secs(300),
        }
    }

    /// What the offline verifier says of the ledger's export.
    async fn report(&self) -> keyblind_ledger::Report {
        let mut export = Vec::new();
        self.ledger.export(crate::ledger::ExportForm::Verifiable, &mut export).await.unwrap();
        keyblind_ledger::verify(export.as_slice(), &self.ledger.key(), &keyblind_ledger::Expected::default()).unwrap()
    }

    async fn lend(&self, id: u8) -> Result<WriteLease, LendError> {
        self.lender
            .write(self.approved(id).await, &Source(self.provider.clone()), &BTreeSet::from(["contents: write"]), self.purpose())
            .await
    }

    async fn apply(&self, lease: WriteLease, rendered: &Change, result: Result<(), CallFailure>) -> Result<(), LendError> {
        let sent = Arc::clone(&self.sent);
        lease
            .apply(rendered, word("create-pull-request"), async move |token: &Secret| {
                assert_eq!(token.len(), 7);
                sent.fetch_add(1, Ordering::SeqCst);
                result
            })
            .await
    }

    /// Minted, revoked, sent; and how many leases aren't known to be dead once the queue has run.
    async fn sum(&self) -> (usize, usize, usize, usize) {
        self.lender.tidy().await.unwrap();
        self.leases.revoke_due().await.unwrap();
        let outstanding = self.leases.outstanding().await.unwrap().len();
        let count = |number: &AtomicUsize| number.load(Ordering::SeqCst);
        (count(&self.provider.minted), count(&self.provider.revoked), count(&self.sent), outstanding)
    }
}

fn refused(result: Result<WriteLease, LendError>) -> LendError {
    result.err().expect("nothing is lent")
}

#[tokio::test]
async fn a_write_lease_is_used_once_and_revoked() {
    let lending = Lending::new(Mood::Gives).await;
    let lease = lending.lend(1).await.unwrap();
    assert_eq!(lease.change(), &lending.change(1));
    lending.apply(lease, &lending.change(1), Ok(())).await.unwrap();
    assert_eq!(lending.sum().await, (1, 1, 1, 0));
    assert_eq!(lending.bench.approvals.take(lending.change(1)).await.unwrap_err(), ApprovalError::UsedUp);
}

/// Threat 19, at the last moment: what is about to be sent isn't what was approved.
#[tokio::test]
async fn another_change_than_the_approved_one_is_never_sent() {
    let lending = Lending::new(Mood::Gives).await;
    let lease = lending.lend(1).await.unwrap();
    assert_eq!(lending.apply(lease, &lending.change(2), Ok(())).await, Err(LendError::OtherChange));
    assert_eq!(lending.sum().await, (1, 1, 0, 0), "and the token is revoked unused");
}

/// Threat 25.
#[tokio::test]
async fn a_provider_that_gives_more_gets_it_back_unused() {
    let lending = Lending::new(Mood::GivesMore).await;
    assert_eq!(refused(lending.lend(1).await), LendError::TooMuchAuthority);
    assert_eq!(lending.sum().await, (1, 1, 0, 0));
}

/// Every way in which a provider fails to give a token: none is unaccounted for.
#[tokio::test]
async fn a_token_that_may_exist_stays_on_record() {
    let lending = Lending::new(Mood::Refuses).await;
    assert_eq!(refused(lending.lend(1).await), LendError::Refused(word("forbidden")));
    assert_eq!(lending.sum().await, (0, 0, 0, 0), "none, for certain");
    for mood in [Mood::Loses, Mood::NeverAnswers] {
        let lending = Lending::new(mood).await;
        assert!(matches!(refused(lending.lend(1).await), LendError::Unknown(_)));
        let outstanding = lending.leases.outstanding().await.unwrap();
        assert_eq!(outstanding.len(), 1);
        assert_eq!(outstanding[0].state, OutstandingState::Announced);
        assert_eq!(outstanding[0].dies_at, NOON.saturating_add(PATIENCE + Duration::from_secs(300)), "and says until when");
        // After a crash at this point nothing is asked again: recovery only says what is known.
        lending.leases.recover().await.unwrap();
        assert_eq!(lending.sum().await.2, 0);
        assert_eq!(lending.bench.approvals.take(lending.change(1)).await.unwrap_err(), ApprovalError::UsedUp, "no effect twice");
    }
}

#[tokio::test]
async fn a_call_that_fails_or_is_lost_ends_its_lease() {
    for (result, expected) in [
        (CallFailure::Failed(word("conflict")), LendError::Failed(word("conflict"))),
        (CallFailure::Unknown(word("reset")), LendError::Lost(word("reset"))),
    ] {
        let lending = Lending::new(Mood::Gives).await;
        let lease = lending.lend(1).await.unwrap();
        assert_eq!(lending.apply(lease, &lending.change(1), Err(result)).await, Err(expected));
        assert_eq!(lending.sum().await, (1, 1, 1, 0));
    }
    let lending = Lending::new(Mood::Gives).await;
    let lease = lending.lend(1).await.unwrap();
    let change = lending.change(1);
    let never =
        lease.apply(&change, word("create-pull-request"), async |_: &Secret| std::future::pending::<Result<(), CallFailure>>().await);
    assert_eq!(never.await, Err(LendError::Lost(word("timed-out"))));
    assert_eq!(lending.sum().await, (1, 1, 0, 0));
}

#[tokio::test]
async fn a_lease_that_is_dropped_or_left_by_a_crash_is_ended() {
    let lending = Lending::new(Mood::Gives).await;
    drop(lending.lend(1).await.unwrap());
    assert_eq!(lending.sum().await, (1, 1, 0, 0), "dropped");
    // A crash forgets what was dropped: recovery finds it by its state.
    std::mem::forget(lending.lend(2).await.unwrap());
    lending.leases.recover().await.unwrap();
    assert_eq!(lending.sum().await, (2, 2, 0, 0), "crashed");
}

/// Threat 29: a provider that can't revoke now is asked again, and the record doesn't say revoked before.
#[tokio::test]
async fn a_revocation_that_fails_stays_in_the_queue() {
    let lending = Lending::new(Mood::Gives).await;
    lending.provider.revokes.store(false, Ordering::SeqCst);
    let lease = lending.lend(1).await.unwrap();
    lending.apply(lease, &lending.change(1), Ok(())).await.unwrap();
    assert_eq!(lending.sum().await, (1, 0, 1, 1));
    lending.provider.revokes.store(true, Ordering::SeqCst);
    lending.bench.clock.advance(Duration::from_secs(60));
    assert_eq!(lending.sum().await, (1, 1, 1, 0));
}

/// Threat 43: after the acknowledgement nothing is lent and nothing is sent, even with a lease in hand.
#[tokio::test]
async fn after_a_stop_nothing_is_lent_and_nothing_is_sent() {
    let lending = Lending::new(Mood::Gives).await;
    let (lease, approved) = (lending.lend(1).await.unwrap(), lending.approved(2).await);
    let waiting = lending.bench.raise(changes::calm(&lending.bench.wanted(4))).await.unwrap();
    let epoch = lending.switch.kill(Cause::Button).await.unwrap();
    assert_eq!(lending.bench.approvals.progress("acme", waiting.digest).await.unwrap().state, State::Void, "in the same transaction");
    assert!(matches!(lending.apply(lease, &lending.change(1), Ok(())).await, Err(LendError::Lease(LeaseError::Epoch(_)))));
    let source = Source(lending.provider.clone());
    let result = lending.lender.write(approved, &source, &BTreeSet::from(["contents: write"]), lending.purpose()).await;
    assert!(matches!(refused(result), LendError::Lease(LeaseError::Epoch(_))));
    assert_eq!(lending.sum().await, (1, 1, 0, 0), "what lived is revoked");
    // The defence off: armed again, work goes on.
    lending.switch.arm(epoch, Cause::Command).await.unwrap();
    let lease = lending.lend(3).await.unwrap();
    lending.apply(lease, &lending.change(3), Ok(())).await.unwrap();
    assert_eq!(lending.sum().await, (2, 2, 1, 0));
    let report = lending.report().await;
    assert!(report.is_sound(), "{:?}", report.findings);
}

#[tokio::test]
async fn a_stop_ends_a_lease_for_good() {
    let lending = Lending::new(Mood::Gives).await;
    lending.provider.revokes.store(false, Ordering::SeqCst);
    let lease = lending.lend(1).await.unwrap();
    let epoch = lending.switch.kill(Cause::Button).await.unwrap();
    lending.switch.arm(epoch, Cause::Command).await.unwrap();
    let result = lending.apply(lease, &lending.change(1), Ok(())).await;
    assert!(matches!(result, Err(LendError::Lease(LeaseError::Epoch(EpochError::Moved { .. })))), "{result:?}");
    assert_eq!(lending.sum().await.2, 0, "nothing is sent though the token lives still");
    let report = lending.report().await;
    assert!(report.is_sound(), "{:?}", report.findings);
}

#[tokio::test]
async fn what_is_given_after_the_asker_has_left_is_given_back() {
    let lending = Lending::new(Mood::GivesSlowly).await;
    let approved = lending.approved(1).await;
    let (source, scope) = (Source(lending.provider.clone()), BTreeSet::from(["contents: write"]));
    let asking = lending.lender.write(approved, &source, &scope, lending.purpose());
    drop(tokio::time::timeout(Duration::from_millis(10), asking).await);
    for _ in 0..500 {
        if lending.sum().await == (1, 1, 0, 0) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(lending.sum().await, (1, 1, 0, 0));
}

#[tokio::test]
async fn a_stop_ends_a_use_that_is_under_way() {
    let lending = Lending::new(Mood::Gives).await;
    let patience = Patience { mint: Duration::from_secs(60), call: Duration::from_secs(60) };
    let (leases, switch, clock) = (lending.leases.clone(), lending.switch.clone(), lending.bench.clock.clone());
    let lender = Lender::new(leases, switch.clone(), lending.ledger.clone(), clock, patience);
    let (approved, source) = (lending.approved(1).await, Source(lending.provider.clone()));
    let lease = lender.write(approved, &source, &BTreeSet::from(["contents: write"]), lending.purpose()).await.unwrap();
    let rendered = lending.change(1);
    let using = lease.apply(&rendered, word("create-pull-request"), async |_: &Secret| {
        switch.kill(Cause::Command).await.unwrap();
        std::future::pending::<Result<(), CallFailure>>().await
    });
    let result = tokio::time::timeout(Duration::from_secs(20), using).await.expect("it ends with the stop");
    assert_eq!(result, Err(LendError::Lost(word("stopped"))));
    assert_eq!(lending.sum().await.3, 0, "and its token is revoked");
}

#[tokio::test]
async fn an_approval_that_expires_while_its_lease_is_held_sends_nothing() {
    let lending = Lending::new(Mood::Gives).await;
    let lease = lending.lend(1).await.unwrap();
    lending.bench.clock.advance(Duration::from_secs(3600));
    assert_eq!(lending.apply(lease, &lending.change(1), Ok(())).await, Err(LendError::Expired));
    assert_eq!(lending.sum().await.2, 0);
}

#[tokio::test]
async fn an_approval_that_expired_in_hand_lends_nothing() {
    let lending = Lending::new(Mood::Gives).await;
    let approved = lending.approved(1).await;
    lending.bench.clock.advance(Duration::from_secs(3600));
    let result = lending.lender.write(approved, &Source(lending.provider.clone()), &BTreeSet::new(), lending.purpose()).await;
    assert_eq!(refused(result), LendError::Expired);
    assert_eq!(lending.sum().await, (0, 0, 0, 0));
}

#[tokio::test]
async fn a_read_lease_allows_its_list_its_calls_and_its_minutes() {
    let lending = Lending::new(Mood::Gives).await;
    let source = Source(lending.provider.clone());
    let scope = BTreeSet::from(["contents: read"]);
    let borrow = async || lending.lender.read(BTreeSet::from([word("get-tree")]), 2, &source, &scope, lending.purpose()).await.unwrap();
    let mut lease = borrow().await;
    let read = async |_: &Secret| Ok::<_, CallFailure>(1);
    assert_eq!(lease.call(word("delete-repository"), read).await, Err(LendError::NotAllowed(word("delete-repository"))));
    assert_eq!(lease.call(word("get-tree"), read).await, Ok(1));
    assert_eq!(lease.call(word("get-tree"), read).await, Ok(1));
    assert_eq!(lease.call(word("get-tree"), read).await, Err(LendError::UsedUp));
    lease.finish().await.unwrap();
    let mut lease = borrow().await;
    // Setting the time of day back makes no lease longer.
    lending.bench.clock.advance(Duration::from_secs(300));
    lending.bench.clock.set(NOON);
    assert_eq!(lease.call(word("get-tree"), read).await, Err(LendError::UsedUp));
    drop(lease);
    assert_eq!(lending.sum().await.3, 0);
    assert!(lending.ledger.head().await.unwrap().sequence > 0);
}

/// Whatever happened, the offline verifier finds each write under exactly one given approval of its digest; and it would notice a write
/// without one, because the same ledger with one more call isn't sound.
#[tokio::test]
async fn the_ledger_proves_each_write_from_its_export_alone() {
    let lending = Lending::new(Mood::Gives).await;
    let lease = lending.lend(1).await.unwrap();
    lending.apply(lease, &lending.change(1), Ok(())).await.unwrap();
    let lease = lending.lend(2).await.unwrap();
    lending.apply(lease, &lending.change(1), Ok(())).await.unwrap_err();
    drop(lending.lend(3).await.unwrap());
    assert_eq!(lending.sum().await, (3, 3, 1, 0));
    let sound = lending.report().await;
    assert!(sound.is_sound(), "{:?}", sound.findings);
    assert_eq!((sound.writes, sound.approvals, sound.open.len()), (1, 3, 0));
    let event = Event::CallStarted {
        call: new_id().unwrap(),
        lease: new_id().unwrap(),
        operation: word("create-pull-request"),
        effect: Effect::Write { change: lending.change(1).digest() },
    };
    lending.ledger.append(Record::of(&lending.purpose().who, None, event)).await.unwrap();
    assert!(!lending.report().await.is_sound(), "a write under no lease");
}
