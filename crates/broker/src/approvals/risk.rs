//! What a change is, as far as approving it goes, read from its own typed fields.
//!
//! How careful people must be is never taken from whoever asks: a lie about it would choose the weaker rule of the policy. An
//! asker may say that it is worse than it looks, never that it is better.

use keyblind_intent::{Action, Change, Intent, Target, TenantId};

use super::policy::{ChangeKind, Proposal, Requester, Severity};

/// Reads a proposal out of what is asked. `claimed` is how severe the asker says that the fault is.
pub fn proposal(tenant: &TenantId, intent: &Intent, target: &Target, requester: Requester, claimed: Option<Severity>) -> Proposal {
    let (kind, own) = assess(intent);
    Proposal {
        tenant: tenant.to_string(),
        connection: connection(target),
        kind,
        severity: claimed.map_or(own, |claimed| claimed.max(own)),
        requester,
    }
}

/// The name of the connection in the policy: `github:acme/shop`, `aws:111122223333`.
pub fn connection(target: &Target) -> String {
    match target {
        Target::Repository(repository) => format!("{}:{}/{}", repository.forge, repository.owner, repository.name),
        Target::Resource { account, .. } => format!("aws:{account}"),
    }
}

/// What the change touches, by the names that the policy guards.
pub fn targets(change: &Change) -> Vec<String> {
    let fields = change.fields();
    let mut targets = vec![match &fields.target {
        repository @ Target::Repository(_) => connection(repository),
        Target::Resource { resource, .. } => resource.to_string(),
    }];
    if let Intent::ApplyAction(request) = &fields.intent {
        // Where logs go is touched as well: the record must not be led elsewhere.
        if let Action::SetBucketLogging { logging: Some(logging) } = request.action() {
            targets.push(logging.target.to_string());
        }
    }
    targets
}

fn assess(intent: &Intent) -> (ChangeKind, Severity) {
    match intent {
        Intent::ProposePullRequest(request) if request.files.iter().any(|file| file.path.decides_what_runs()) => {
            (ChangeKind::Workflow, Severity::High)
        }
        Intent::ProposePullRequest(_) => (ChangeKind::PullRequest, Severity::Medium),
        Intent::ApplyAction(request) if loosens(request.action()) => (ChangeKind::Live, Severity::Critical),
        Intent::ApplyAction(_) => (ChangeKind::Live, Severity::High),
        Intent::PublishCheckRun(_) | Intent::Comment(_) | Intent::UploadSarif(_) | Intent::Notify(_) => (ChangeKind::Report, Severity::Low),
        // These change nothing, so there is no change of them; should that ever be otherwise, it is the strictest.
        Intent::ListRepositories(_)
        | Intent::ReadRepository(_)
        | Intent::ReadModule(_)
        | Intent::Complete(_)
        | Intent::SnapshotAccount(_) => (ChangeKind::Live, Severity::Critical),
    }
}

/// Whether an action takes protection away. As the inverse of one of ours it may be right, but nobody should say yes to it in passing.
pub(crate) fn loosens(action: &Action) -> bool {
    match action {
        Action::SetPasswordPolicy { policy } => policy.is_none(),
        Action::SetAccessKeyActive { active, .. } => *active,
        Action::SetBucketPublicAccessBlock { block } => !block.is_some_and(|block| {
            block.block_public_acls && block.ignore_public_acls && block.block_public_policy && block.restrict_public_buckets
        }),
        Action::SetBucketLogging { logging } => logging.is_none(),
        Action::SetDatabasePublic { public } => *public,
        Action::SetIngressRule { present, .. } => *present,
        Action::SetPolicyAttached { attached, .. } => *attached,
        Action::SetDatabaseMinorUpgrades { automatic: on }
        | Action::SetTrailValidation { enabled: on }
        | Action::SetTrailLogging { enabled: on }
        | Action::SetKeyRotation { enabled: on }
        | Action::SetVolumeEncryptionByDefault { enabled: on }
        | Action::SetSecurityHub { enabled: on }
        | Action::SetImageScanOnPush { enabled: on }
        | Action::SetTablePointInTimeRecovery { enabled: on } => !on,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::approvals::changes::{self, Wanted};
    use keyblind_intent::Digest;

    fn wanted() -> Wanted {
        Wanted {
            id: 1,
            tenant: "acme",
            requester: "mia",
            policy: Digest::of(b"policy"),
            wanted: 1,
            may_be_requester: false,
            expires: 2_000_000_000_000,
        }
    }

    fn read(change: &Change, claimed: Option<Severity>) -> Proposal {
        let fields = change.fields();
        proposal(&fields.tenant, &fields.intent, &fields.target, Requester::Schedule, claimed)
    }

    #[test]
    fn how_careful_people_must_be_is_read_from_the_change_itself() {
        let of = |fields, claimed| {
            let proposal = read(&Change::new(fields).unwrap(), claimed);
            (proposal.kind, proposal.severity)
        };
        assert_eq!(of(changes::calm(&wanted()).0, None), (ChangeKind::PullRequest, Severity::Medium));
        assert_eq!(of(changes::calm(&wanted()).0, Some(Severity::Low)), (ChangeKind::PullRequest, Severity::Medium), "never better");
        assert_eq!(of(changes::calm(&wanted()).0, Some(Severity::Critical)), (ChangeKind::PullRequest, Severity::Critical), "but worse");
        assert_eq!(of(changes::hostile(&wanted()).0, None), (ChangeKind::Workflow, Severity::High));
        assert_eq!(of(changes::block_public_access(&wanted()), None), (ChangeKind::Live, Severity::High));
        assert_eq!(of(changes::stop_trail(&wanted()), Some(Severity::Low)), (ChangeKind::Live, Severity::Critical));
        assert_eq!(of(changes::open_database(&wanted()), None), (ChangeKind::Live, Severity::Critical));
    }

    #[test]
    fn connections_and_targets_are_named_as_the_policy_names_them() {
        let change = Change::new(changes::calm(&wanted()).0).unwrap();
        assert_eq!(read(&change, None).connection, "github:acme/shop");
        assert_eq!(targets(&change), ["github:acme/shop"]);
        let change = Change::new(changes::stop_trail(&wanted())).unwrap();
        assert_eq!(read(&change, None).connection, "aws:111122223333");
        assert_eq!(targets(&change), ["arn:aws:cloudtrail:eu-central-1:111122223333:trail/audit"]);
    }
}
