//! What must hold between entries: each write had exactly one approval of its digest, each token's life is in order, and nothing
//! was borrowed while the kill switch stood.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use keyblind_intent::{Digest, RequestId, SubjectId, UnixMillis};

use crate::entries::{Effect, Entry, Event, LeaseKind};

/// What the broker did that it must never do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Breach {
    /// An id was used for a second thing.
    #[error("an id is used for a second time")]
    Repeated,
    /// Something is said of an approval that nobody asked for.
    #[error("nobody was asked for this approval")]
    NotAsked,
    /// An approval's digest isn't the one that was asked about.
    #[error("the approval is of another digest")]
    OtherDigest,
    /// Somebody answered after the question was closed: given, refused, expired or withdrawn.
    #[error("the approval was closed before")]
    Closed,
    /// It was too late.
    #[error("the approval had expired")]
    Expired,
    /// One human counts once.
    #[error("the same human said yes twice")]
    SameApprover,
    /// Who asks for a change doesn't approve it, unless the policy says so.
    #[error("the requester approved their own change, which the policy did not allow")]
    OwnApproval,
    /// It counts as given with fewer votes than wanted.
    #[error("the approval counts as given without enough votes")]
    TooFewVotes,
    /// Authority to write was borrowed without an approval that is given.
    #[error("authority to write without a given approval")]
    WithoutApproval,
    /// Authority was borrowed for an approval whose change is done.
    #[error("the approval was used already")]
    ApprovalUsed,
    /// Two leases lived for one approval.
    #[error("two leases live for one approval")]
    TwoLeases,
    /// Something is said of a lease that was never announced.
    #[error("the lease was never announced")]
    UnknownLease,
    /// A token came to life twice, or after its end.
    #[error("the lease isn't waiting for its token")]
    NotAnnounced,
    /// A call was made under a lease that has no living token.
    #[error("a call under a lease without a living token")]
    DeadLease,
    /// A call writes under a lease that only reads.
    #[error("a write under a lease to read")]
    WriteUnderRead,
    /// A call's change isn't the approved one.
    #[error("the write isn't the approved change")]
    OtherChange,
    /// A result of a call that wasn't made, or a second one.
    #[error("the result of a call that isn't open")]
    UnknownCall,
    /// A change counts as done without a write that succeeded under its approval.
    #[error("a change counts as done or undone without a write under its approval")]
    NothingWritten,
    /// Authority was borrowed or used while the kill switch stood.
    #[error("authority was borrowed or used while the kill switch stood")]
    WhileKilled,
    /// The kill switch's epoch doesn't rise by one as it is moved.
    #[error("the kill switch's epoch is out of order")]
    Epoch,
}

/// How far an approval is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Open,
    Given,
    Closed,
    Used,
}

struct Approval {
    change: Digest,
    wanted: u64,
    requester: SubjectId,
    may_be_requester: bool,
    expires: UnixMillis,
    voters: BTreeSet<SubjectId>,
    stage: Stage,
    /// The lease that lives for it.
    lease: Option<RequestId>,
    has_written: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Life {
    Announced,
    Alive,
}

struct Lease {
    kind: LeaseKind,
    life: Life,
    dies_at: UnixMillis,
}

/// What is known after the entries so far.
#[derive(Default)]
pub(crate) struct State {
    approvals: BTreeMap<RequestId, Approval>,
    leases: BTreeMap<RequestId, Lease>,
    calls: BTreeMap<RequestId, Effect>,
    /// Ids of what is over, so that none comes back.
    over: HashSet<RequestId>,
    epoch: Option<u64>,
    pub(crate) writes: u64,
    pub(crate) given: u64,
}

impl State {
    /// Takes the next entry; gives what it breaks, if anything.
    pub(crate) fn take(&mut self, entry: &Entry) -> Option<Breach> {
        self.check(entry).err()
    }

    /// Leases without an end, and when they are dead at the latest.
    pub(crate) fn open_leases(&self) -> impl Iterator<Item = (RequestId, UnixMillis)> {
        self.leases.iter().map(|(id, lease)| (*id, lease.dies_at))
    }

    /// Calls without a result.
    pub(crate) fn open_calls(&self) -> impl Iterator<Item = RequestId> {
        self.calls.keys().copied()
    }

    fn check(&mut self, entry: &Entry) -> Result<(), Breach> {
        match &entry.event {
            Event::ApprovalAsked { approval, change, wanted, requester, may_be_requester, expires } => {
                self.unused(*approval)?;
                self.approvals.insert(
                    *approval,
                    Approval {
                        change: *change,
                        wanted: wanted.get().max(1),
                        requester: requester.clone(),
                        may_be_requester: *may_be_requester,
                        expires: *expires,
                        voters: BTreeSet::new(),
                        stage: Stage::Open,
                        lease: None,
                        has_written: false,
                    },
                );
                Ok(())
            }
            Event::ApprovalVoted { approval, change, approver, .. } => {
                let approval = self.open_approval(*approval, change, entry.time)?;
                if *approver == approval.requester && !approval.may_be_requester {
                    return Err(Breach::OwnApproval);
                }
                if approval.voters.insert(approver.clone()) { Ok(()) } else { Err(Breach::SameApprover) }
            }
            Event::ApprovalGiven { approval, change } => {
                let approval = self.open_approval(*approval, change, entry.time)?;
                if u64::try_from(approval.voters.len()).unwrap_or(u64::MAX) < approval.wanted {
                    return Err(Breach::TooFewVotes);
                }
                approval.stage = Stage::Given;
                self.given += 1;
                Ok(())
            }
            Event::ApprovalRefused { approval, .. } | Event::ApprovalExpired { approval } | Event::ApprovalVoided { approval, .. } => {
                let approval = self.approvals.get_mut(approval).ok_or(Breach::NotAsked)?;
                if matches!(approval.stage, Stage::Closed | Stage::Used) {
                    return Err(Breach::Closed);
                }
                approval.stage = Stage::Closed;
                Ok(())
            }
            Event::LeaseAnnounced { lease, kind, dies_at, .. } => self.announce(*lease, *kind, *dies_at, entry.time),
            Event::TokenBorn { lease, dies_at } => {
                let lease = self.leases.get_mut(lease).ok_or(Breach::UnknownLease)?;
                if lease.life != Life::Announced {
                    return Err(Breach::NotAnnounced);
                }
                lease.life = Life::Alive;
                lease.dies_at = *dies_at;
                // The token is here whatever happened meanwhile: to record its birth while stopped is right, to use it isn't.
                Ok(())
            }
            Event::TokenEnded { lease, .. } => {
                let ended = self.leases.remove(lease).ok_or(Breach::UnknownLease)?;
                self.over.insert(*lease);
                if let LeaseKind::Write { approval, .. } = ended.kind
                    && let Some(approval) = self.approvals.get_mut(&approval)
                {
                    approval.lease = None;
                }
                Ok(())
            }
            Event::RevocationFailed { lease, .. } => self.leases.contains_key(lease).then_some(()).ok_or(Breach::UnknownLease),
            Event::CallStarted { call, lease, effect, .. } => self.call(*call, *lease, *effect, entry.time),
            Event::ModelAsked { call, .. } | Event::PeopleTold { call, .. } | Event::RegistryAsked { call, .. } => {
                self.unused(*call)?;
                self.calls.insert(*call, Effect::Read);
                // What the broker keeps itself is under no lease, and under the switch all the same.
                if self.is_killed() { Err(Breach::WhileKilled) } else { Ok(()) }
            }
            Event::CallEnded { call, .. } => {
                self.calls.remove(call).ok_or(Breach::UnknownCall)?;
                self.over.insert(*call);
                Ok(())
            }
            Event::ChangeApplied { change, approval } | Event::ChangeUndone { change, approval } => {
                let approval = self.approvals.get_mut(approval).ok_or(Breach::NotAsked)?;
                if approval.change != *change {
                    return Err(Breach::OtherDigest);
                }
                if !approval.has_written {
                    return Err(Breach::NothingWritten);
                }
                approval.stage = Stage::Used;
                Ok(())
            }
            Event::BrokerStarted { epoch, .. } => {
                // A restored copy may be older; the epoch never falls all the same.
                if self.epoch.is_some_and(|before| epoch.get() < before) {
                    return Err(Breach::Epoch);
                }
                self.epoch = Some(epoch.get());
                Ok(())
            }
            Event::Killed { epoch, .. } => {
                self.move_switch(epoch.get(), 1)?;
                for approval in self.approvals.values_mut().filter(|approval| matches!(approval.stage, Stage::Open | Stage::Given)) {
                    approval.stage = Stage::Closed;
                }
                Ok(())
            }
            Event::Armed { epoch, .. } => self.move_switch(epoch.get(), 0),
            _ => Ok(()),
        }
    }

    fn unused(&self, id: RequestId) -> Result<(), Breach> {
        let is_used =
            self.approvals.contains_key(&id) || self.leases.contains_key(&id) || self.calls.contains_key(&id) || self.over.contains(&id);
        if is_used { Err(Breach::Repeated) } else { Ok(()) }
    }

    fn open_approval(&mut self, id: RequestId, change: &Digest, now: UnixMillis) -> Result<&mut Approval, Breach> {
        let approval = self.approvals.get_mut(&id).ok_or(Breach::NotAsked)?;
        if approval.change != *change {
            return Err(Breach::OtherDigest);
        }
        if approval.stage != Stage::Open {
            return Err(Breach::Closed);
        }
        if now > approval.expires { Err(Breach::Expired) } else { Ok(approval) }
    }

    fn move_switch(&mut self, epoch: u64, parity: u64) -> Result<(), Breach> {
        let follows = self.epoch.is_none_or(|before| epoch > before);
        self.epoch = Some(epoch);
        if follows && epoch % 2 == parity { Ok(()) } else { Err(Breach::Epoch) }
    }

    fn is_killed(&self) -> bool {
        self.epoch.is_some_and(|epoch| epoch % 2 == 1)
    }

    fn announce(&mut self, id: RequestId, kind: LeaseKind, dies_at: UnixMillis, now: UnixMillis) -> Result<(), Breach> {
        self.unused(id)?;
        self.leases.insert(id, Lease { kind, life: Life::Announced, dies_at });
        if self.is_killed() {
            return Err(Breach::WhileKilled);
        }
        let LeaseKind::Write { change, approval } = kind else { return Ok(()) };
        let approval = self.approvals.get_mut(&approval).ok_or(Breach::WithoutApproval)?;
        if approval.change != change {
            return Err(Breach::OtherDigest);
        }
        match approval.stage {
            Stage::Given => {}
            Stage::Used => return Err(Breach::ApprovalUsed),
            Stage::Open | Stage::Closed => return Err(Breach::WithoutApproval),
        }
        if now > approval.expires {
            return Err(Breach::Expired);
        }
        match approval.lease.replace(id) {
            Some(_) => Err(Breach::TwoLeases),
            None => Ok(()),
        }
    }

    fn call(&mut self, id: RequestId, lease: RequestId, effect: Effect, now: UnixMillis) -> Result<(), Breach> {
        self.unused(id)?;
        self.calls.insert(id, effect);
        if matches!(effect, Effect::Write { .. }) {
            self.writes += 1;
        }
        let lease = self.leases.get(&lease).ok_or(Breach::UnknownLease)?;
        if lease.life != Life::Alive {
            return Err(Breach::DeadLease);
        }
        if self.is_killed() {
            return Err(Breach::WhileKilled);
        }
        let Effect::Write { change: sent } = effect else { return Ok(()) };
        let LeaseKind::Write { change, approval } = lease.kind else { return Err(Breach::WriteUnderRead) };
        if sent != change {
            return Err(Breach::OtherChange);
        }
        let approval = self.approvals.get_mut(&approval).ok_or(Breach::WithoutApproval)?;
        match approval.stage {
            // What was just done may have to be undone by the inverse that the digest holds, under the same lease.
            Stage::Given | Stage::Used => {}
            Stage::Open | Stage::Closed => return Err(Breach::WithoutApproval),
        }
        if approval.change != sent {
            return Err(Breach::OtherDigest);
        }
        if now > approval.expires && approval.stage == Stage::Given && !approval.has_written {
            return Err(Breach::Expired);
        }
        approval.has_written = true;
        Ok(())
    }
}
