//! Ledgers to verify: made as the broker makes them, event by event.

use ed25519_dalek::{Signer as _, SigningKey};
use keyblind_intent::{Count, Digest, Line as Text, Provider, RequestId, SubjectId, TenantId, UnixMillis};
use keyblind_ledger::{
    ApprovalMethod, CallResult, Checkpoint, Code, Effect, End, Entry, EntryHash, Event, Expected, FORMAT, Header, LeaseKind, Line, Origin,
    PublicKey, Report, Signature, Statement, TokenEnd, Who, verify,
};

/// A ledger in the making.
#[derive(Debug)]
pub(crate) struct Ledger {
    pub(crate) signing: SigningKey,
    pub(crate) instance: RequestId,
    pub(crate) lines: Vec<Line>,
    pub(crate) sequence: u64,
    pub(crate) head: EntryHash,
    pub(crate) now: u64,
    ids: u64,
}

pub(crate) fn code(word: &str) -> Code {
    Code::new(word).unwrap()
}

pub(crate) fn subject(name: &str) -> SubjectId {
    SubjectId::new(name).unwrap()
}

pub(crate) fn change(number: u64) -> Digest {
    Digest::of(&number.to_le_bytes())
}

impl Ledger {
    pub(crate) fn new() -> Self {
        let signing = SigningKey::from_bytes(&[7; 32]);
        let key = PublicKey::from_bytes(signing.verifying_key().as_bytes()).unwrap();
        let instance = RequestId::from_bytes([3; 16]);
        let header = Header { format: Count::saturating(u64::from(FORMAT)), instance, key };
        let head = EntryHash::beginning(instance, &key);
        Self { signing, instance, lines: vec![Line::Ledger(header)], sequence: 0, head, now: 1_800_000_000_000, ids: 0 }
    }

    pub(crate) fn key(&self) -> PublicKey {
        PublicKey::from_bytes(self.signing.verifying_key().as_bytes()).unwrap()
    }

    pub(crate) fn id(&mut self) -> RequestId {
        self.ids += 1;
        RequestId::from_bytes(u128::from(self.ids).to_be_bytes())
    }

    pub(crate) fn add(&mut self, event: Event) {
        self.sequence += 1;
        self.now += 10;
        let who = Who { tenant: TenantId::new("acme").unwrap(), subject: subject("ada@example.org") };
        let entry = Entry {
            sequence: Count::saturating(self.sequence),
            previous: self.head,
            time: UnixMillis::new(self.now),
            who: (!self.sequence.is_multiple_of(3)).then_some(who),
            mission: self.sequence.is_multiple_of(4).then(|| RequestId::from_bytes([9; 16])),
            event,
        };
        self.head = EntryHash::of(&entry).unwrap();
        self.lines.push(Line::Entry(Box::new(entry)));
    }

    fn statement(&self) -> Statement {
        let (instance, head) = (self.instance, self.head);
        Statement { instance, sequence: Count::saturating(self.sequence), head, time: UnixMillis::new(self.now) }
    }

    pub(crate) fn checkpoint(&mut self) {
        let statement = self.statement();
        let signature = Signature::from_bytes(self.signing.sign(&statement.checkpoint_bytes().unwrap()).to_bytes());
        self.lines.push(Line::Checkpoint(Checkpoint { statement, signature }));
    }

    pub(crate) fn end(&mut self) {
        let statement = self.statement();
        let signature = Signature::from_bytes(self.signing.sign(&statement.end_bytes().unwrap()).to_bytes());
        self.lines.push(Line::End(End { statement, signature }));
    }

    pub(crate) fn ask(&mut self, change: Digest, wanted: u64) -> RequestId {
        let approval = self.id();
        let (requester, expires) = (subject("ada@example.org"), UnixMillis::new(self.now + 3_600_000));
        self.add(Event::ApprovalAsked { approval, change, wanted: Count::saturating(wanted), requester, may_be_requester: false, expires });
        approval
    }

    pub(crate) fn vote(&mut self, approval: RequestId, change: Digest, approver: &str) {
        self.add(Event::ApprovalVoted { approval, change, approver: subject(approver), method: ApprovalMethod::Passkey });
    }

    pub(crate) fn approve(&mut self, change: Digest) -> RequestId {
        let approval = self.ask(change, 1);
        self.vote(approval, change, "grace@example.org");
        self.add(Event::ApprovalGiven { approval, change });
        approval
    }

    pub(crate) fn announce(&mut self, kind: LeaseKind) -> RequestId {
        let lease = self.id();
        let (permission, target) = (code("github-pull-requests-write"), Text::new("acme/shop").unwrap());
        let dies_at = UnixMillis::new(self.now + 3_600_000);
        self.add(Event::LeaseAnnounced { lease, kind, provider: Provider::Github, permission, target, dies_at });
        lease
    }

    pub(crate) fn born(&mut self, lease: RequestId) {
        self.add(Event::TokenBorn { lease, dies_at: UnixMillis::new(self.now + 3_600_000) });
    }

    pub(crate) fn call(&mut self, lease: RequestId, effect: Effect) -> RequestId {
        let call = self.id();
        self.add(Event::CallStarted { call, lease, operation: code("create-ref"), effect });
        call
    }

    pub(crate) fn succeeded(&mut self, call: RequestId) {
        self.add(Event::CallEnded { call, result: CallResult::Succeeded });
    }

    pub(crate) fn revoked(&mut self, lease: RequestId) {
        self.add(Event::TokenEnded { lease, end: TokenEnd::Revoked });
    }

    /// A read from beginning to end.
    pub(crate) fn read(&mut self) {
        let request = self.id();
        self.add(Event::IntentReceived {
            request,
            intent: code("read-repository"),
            digest: change(request.as_bytes()[15].into()),
            origin: Origin::Terminal,
        });
        let lease = self.announce(LeaseKind::Read);
        self.born(lease);
        let call = self.call(lease, Effect::Read);
        self.succeeded(call);
        self.revoked(lease);
    }

    /// A write from beginning to end, approved by as many people.
    pub(crate) fn write(&mut self, number: u64, voters: u64) {
        let change = change(number);
        let approval = self.ask(change, voters);
        for voter in 0..voters {
            self.vote(approval, change, &format!("voter{voter}@example.org"));
        }
        self.add(Event::ApprovalGiven { approval, change });
        let lease = self.announce(LeaseKind::Write { change, approval });
        self.born(lease);
        let first = self.call(lease, Effect::Write { change });
        self.succeeded(first);
        let second = self.call(lease, Effect::Write { change });
        self.succeeded(second);
        self.add(Event::ChangeApplied { change, approval });
        self.revoked(lease);
    }

    /// Some ledger: what happened is decided by the bytes.
    pub(crate) fn random(what: &[u8]) -> Self {
        let mut ledger = Self::new();
        let version = Text::new("0.1.0").unwrap();
        ledger.add(Event::BrokerStarted { version, epoch: Count::saturating(0), configuration: change(0) });
        for (number, kind) in what.iter().enumerate() {
            let number = u64::try_from(number).unwrap();
            match kind % 8 {
                0 | 1 => ledger.read(),
                2 | 3 => ledger.write(number, u64::from(kind % 3) + 1),
                4 => {
                    let approval = ledger.ask(change(number), 2);
                    ledger.vote(approval, change(number), "grace@example.org");
                    ledger.add(Event::ApprovalRefused { approval, approver: subject("bob@example.org") });
                }
                5 => ledger.add(Event::Refused { request: None, reason: code("not-connected") }),
                6 => {
                    let lease = ledger.announce(LeaseKind::Read);
                    ledger.add(Event::TokenEnded { lease, end: TokenEnd::Unborn });
                }
                _ => ledger.checkpoint(),
            }
        }
        ledger.end();
        ledger
    }

    pub(crate) fn texts(&self) -> Vec<Vec<u8>> {
        self.lines.iter().map(|line| line.encode().unwrap()).collect()
    }

    pub(crate) fn judge(&self) -> Report {
        judge(&self.texts(), &self.key(), &Expected::default())
    }
}

pub(crate) fn join(lines: &[Vec<u8>]) -> Vec<u8> {
    lines.iter().flat_map(|line| [line.as_slice(), b"\n"].concat()).collect()
}

pub(crate) fn judge(lines: &[Vec<u8>], key: &PublicKey, expected: &Expected) -> Report {
    verify(join(lines).as_slice(), key, expected).unwrap()
}
