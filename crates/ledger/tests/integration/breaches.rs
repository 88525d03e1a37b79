//! What a faulty or hostile broker could record, truly signed: each breach is found.

use keyblind_intent::{Count, Digest, UnixMillis};
use keyblind_ledger::{Breach, Cause, Effect, Event, LeaseKind, Open, Problem, TokenEnd};

use crate::ledger::{Ledger, change, subject};

/// The breaches that are found in what `happen` records after a write that is in order.
fn breaches(happen: impl FnOnce(&mut Ledger)) -> Vec<Breach> {
    let mut ledger = Ledger::new();
    ledger.write(1, 2);
    happen(&mut ledger);
    ledger.end();
    let report = ledger.judge();
    let problem = |problem: &Problem| match problem {
        Problem::Breach(breach) => *breach,
        other => panic!("the ledger itself is sound, but: {other}"),
    };
    report.findings.iter().map(|finding| problem(&finding.problem)).collect()
}

fn write_lease(ledger: &mut Ledger, change: Digest) -> keyblind_intent::RequestId {
    let approval = ledger.approve(change);
    let lease = ledger.announce(LeaseKind::Write { change, approval });
    ledger.born(lease);
    lease
}

#[test]
fn what_is_in_order_passes() {
    assert_eq!(breaches(|_| {}), []);
    assert_eq!(breaches(|ledger| ledger.read()), []);
    let retried = |ledger: &mut Ledger| {
        // Killed after the token was born: the next process asks for another one, under the same approval.
        let approval = ledger.approve(change(5));
        let lost = ledger.announce(LeaseKind::Write { change: change(5), approval });
        ledger.born(lost);
        ledger.revoked(lost);
        let lease = ledger.announce(LeaseKind::Write { change: change(5), approval });
        ledger.born(lease);
        ledger.call(lease, Effect::Write { change: change(5) });
    };
    assert_eq!(breaches(retried), []);
}

#[test]
fn a_write_needs_an_approval_of_its_digest() {
    let without = |ledger: &mut Ledger| {
        let approval = ledger.id();
        let lease = ledger.announce(LeaseKind::Write { change: change(2), approval });
        ledger.born(lease);
        ledger.call(lease, Effect::Write { change: change(2) });
    };
    assert_eq!(breaches(without), [Breach::WithoutApproval, Breach::WithoutApproval]);

    let only_asked = |ledger: &mut Ledger| {
        let approval = ledger.ask(change(2), 1);
        ledger.announce(LeaseKind::Write { change: change(2), approval });
    };
    assert_eq!(breaches(only_asked), [Breach::WithoutApproval]);

    let other = |ledger: &mut Ledger| {
        let approval = ledger.approve(change(2));
        ledger.announce(LeaseKind::Write { change: change(3), approval });
    };
    assert_eq!(breaches(other), [Breach::OtherDigest]);

    let exchanged_at_the_call = |ledger: &mut Ledger| {
        let lease = write_lease(ledger, change(2));
        ledger.call(lease, Effect::Write { change: change(3) });
    };
    assert_eq!(breaches(exchanged_at_the_call), [Breach::OtherChange]);

    let under_read = |ledger: &mut Ledger| {
        let lease = ledger.announce(LeaseKind::Read);
        ledger.born(lease);
        ledger.call(lease, Effect::Write { change: change(2) });
    };
    assert_eq!(breaches(under_read), [Breach::WriteUnderRead]);
}

#[test]
fn an_approval_serves_once() {
    let twice = |ledger: &mut Ledger| {
        let approval = ledger.approve(change(2));
        for _ in 0..2 {
            let lease = ledger.announce(LeaseKind::Write { change: change(2), approval });
            ledger.born(lease);
            let call = ledger.call(lease, Effect::Write { change: change(2) });
            ledger.succeeded(call);
            ledger.add(Event::ChangeApplied { change: change(2), approval });
            ledger.revoked(lease);
        }
    };
    assert_eq!(breaches(twice), [Breach::ApprovalUsed]);

    let two_at_once = |ledger: &mut Ledger| {
        let approval = ledger.approve(change(2));
        ledger.announce(LeaseKind::Write { change: change(2), approval });
        ledger.announce(LeaseKind::Write { change: change(2), approval });
    };
    assert_eq!(breaches(two_at_once), [Breach::TwoLeases]);
}

#[test]
fn votes_count_once_each_from_those_who_may() {
    let twice = |ledger: &mut Ledger| {
        let approval = ledger.ask(change(2), 2);
        ledger.vote(approval, change(2), "grace@example.org");
        ledger.vote(approval, change(2), "grace@example.org");
        ledger.add(Event::ApprovalGiven { approval, change: change(2) });
    };
    assert_eq!(breaches(twice), [Breach::SameApprover, Breach::TooFewVotes]);

    let own = |ledger: &mut Ledger| {
        let approval = ledger.ask(change(2), 1);
        ledger.vote(approval, change(2), "ada@example.org");
    };
    assert_eq!(breaches(own), [Breach::OwnApproval]);

    let none = |ledger: &mut Ledger| {
        let approval = ledger.ask(change(2), 0);
        ledger.add(Event::ApprovalGiven { approval, change: change(2) });
    };
    assert_eq!(breaches(none), [Breach::TooFewVotes], "wanting none isn't a way round");

    let of_another_digest = |ledger: &mut Ledger| {
        let approval = ledger.ask(change(2), 1);
        ledger.vote(approval, change(3), "grace@example.org");
    };
    assert_eq!(breaches(of_another_digest), [Breach::OtherDigest]);

    let not_asked = |ledger: &mut Ledger| {
        let approval = ledger.id();
        ledger.vote(approval, change(2), "grace@example.org");
    };
    assert_eq!(breaches(not_asked), [Breach::NotAsked]);

    let after_a_no = |ledger: &mut Ledger| {
        let approval = ledger.ask(change(2), 1);
        ledger.add(Event::ApprovalRefused { approval, approver: subject("bob@example.org") });
        ledger.vote(approval, change(2), "grace@example.org");
    };
    assert_eq!(breaches(after_a_no), [Breach::Closed]);

    let too_late = |ledger: &mut Ledger| {
        let approval = ledger.ask(change(2), 1);
        ledger.now += 3_600_001;
        ledger.vote(approval, change(2), "grace@example.org");
    };
    assert_eq!(breaches(too_late), [Breach::Expired]);

    let used_too_late = |ledger: &mut Ledger| {
        let approval = ledger.approve(change(2));
        ledger.now += 3_600_001;
        ledger.announce(LeaseKind::Write { change: change(2), approval });
    };
    assert_eq!(breaches(used_too_late), [Breach::Expired]);
}

#[test]
fn a_token_lives_once_and_in_order() {
    let without = |ledger: &mut Ledger| {
        let lease = ledger.id();
        ledger.call(lease, Effect::Read);
    };
    assert_eq!(breaches(without), [Breach::UnknownLease]);

    let not_born = |ledger: &mut Ledger| {
        let lease = ledger.announce(LeaseKind::Read);
        ledger.call(lease, Effect::Read);
    };
    assert_eq!(breaches(not_born), [Breach::DeadLease]);

    let after_its_end = |ledger: &mut Ledger| {
        let lease = ledger.announce(LeaseKind::Read);
        ledger.born(lease);
        ledger.revoked(lease);
        ledger.call(lease, Effect::Read);
        ledger.revoked(lease);
        ledger.born(lease);
    };
    assert_eq!(breaches(after_its_end), [Breach::UnknownLease, Breach::UnknownLease, Breach::UnknownLease]);

    let twice = |ledger: &mut Ledger| {
        let lease = ledger.announce(LeaseKind::Read);
        ledger.born(lease);
        ledger.born(lease);
    };
    assert_eq!(breaches(twice), [Breach::NotAnnounced]);

    let result_of_nothing = |ledger: &mut Ledger| {
        let call = ledger.id();
        ledger.succeeded(call);
    };
    assert_eq!(breaches(result_of_nothing), [Breach::UnknownCall]);

    let same_id = |ledger: &mut Ledger| {
        let lease = ledger.announce(LeaseKind::Read);
        let (permission, target) = (crate::ledger::code("x"), keyblind_intent::Line::new("y").unwrap());
        let (provider, dies_at) = (keyblind_intent::Provider::Aws, UnixMillis::new(1));
        ledger.add(Event::LeaseAnnounced { lease, kind: LeaseKind::Read, provider, permission, target, dies_at });
    };
    assert_eq!(breaches(same_id), [Breach::Repeated]);

    let nothing_written = |ledger: &mut Ledger| {
        let approval = ledger.approve(change(2));
        ledger.add(Event::ChangeApplied { change: change(2), approval });
    };
    assert_eq!(breaches(nothing_written), [Breach::NothingWritten]);
}

#[test]
fn nothing_is_borrowed_or_used_while_stopped() {
    let kill = |ledger: &mut Ledger, epoch| ledger.add(Event::Killed { epoch: Count::saturating(epoch), by: Cause::Button });
    let arm = |ledger: &mut Ledger, epoch| ledger.add(Event::Armed { epoch: Count::saturating(epoch), by: Cause::Command });

    let used = |ledger: &mut Ledger| {
        let lease = ledger.announce(LeaseKind::Read);
        ledger.born(lease);
        kill(ledger, 1);
        ledger.call(lease, Effect::Read);
        ledger.announce(LeaseKind::Read);
    };
    assert_eq!(breaches(used), [Breach::WhileKilled, Breach::WhileKilled]);

    let approvals_do_not_survive = |ledger: &mut Ledger| {
        let approval = ledger.approve(change(2));
        kill(ledger, 1);
        arm(ledger, 2);
        ledger.announce(LeaseKind::Write { change: change(2), approval });
    };
    assert_eq!(breaches(approvals_do_not_survive), [Breach::WithoutApproval]);

    let after_arming = |ledger: &mut Ledger| {
        kill(ledger, 1);
        arm(ledger, 2);
        ledger.write(9, 1);
    };
    assert_eq!(breaches(after_arming), []);

    let out_of_order = |ledger: &mut Ledger| {
        kill(ledger, 3);
        arm(ledger, 2);
        kill(ledger, 4);
    };
    assert_eq!(breaches(out_of_order), [Breach::Epoch, Breach::Epoch]);
}

#[test]
fn what_is_left_open_is_listed() {
    let mut ledger = Ledger::new();
    let lease = ledger.announce(LeaseKind::Read);
    ledger.born(lease);
    let dies_at = UnixMillis::new(ledger.now - 10 + 3_600_000);
    let call = ledger.call(lease, Effect::Read);
    ledger.end();
    let report = ledger.judge();
    assert!(report.is_sound());
    assert_eq!(report.open, [Open::Lease(lease, dies_at), Open::Call(call)]);

    let mut ledger = Ledger::new();
    let lease = ledger.announce(LeaseKind::Read);
    ledger.add(Event::TokenEnded { lease, end: TokenEnd::ExpiresAt { at: UnixMillis::new(1) } });
    ledger.end();
    assert_eq!(ledger.judge().open, []);
}
