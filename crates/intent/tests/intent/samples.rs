//! One of everything.

use keyblind_intent::*;

pub(crate) fn forge() -> ConnectionName {
    "github".parse().unwrap()
}

pub(crate) fn repository() -> Repository {
    Repository { forge: forge(), owner: "octo-org".parse().unwrap(), name: "shop".parse().unwrap() }
}

pub(crate) fn commit() -> CommitId {
    "0123456789abcdef0123456789abcdef01234567".parse().unwrap()
}

fn count(number: u32) -> Count {
    Count::from(number)
}

fn pull_request(path: &str) -> Intent {
    let after = b"resource {}\n";
    Intent::ProposePullRequest(ProposePullRequest {
        repository: repository(),
        base: "main".parse().unwrap(),
        base_commit: commit(),
        branch: "keyblind/bucket-acl".parse().unwrap(),
        files: vec![AttachedFile {
            path: path.parse().unwrap(),
            before: Some(Digest::of(b"resource {\n}\n")),
            after: Bulk::of(after),
            mode: FileMode::Plain,
        }],
        contents: Bulk::of(after),
        title: "Close the bucket to the public".parse().unwrap(),
        explanation: "Anybody could read it.\n\n- proof: scanned again".parse().unwrap(),
        fixes: vec!["s3-bucket-acl-public-read".parse().unwrap()],
    })
}

pub(crate) fn action(action: Action, resource: &str) -> ApplyAction {
    ApplyAction::new("123456789012".parse().unwrap(), "eu-central-1".parse().unwrap(), resource.parse().unwrap(), action).unwrap()
}

const GROUP: &str = "arn:aws:ec2:eu-central-1:123456789012:security-group/sg-0123456789abcdef0";
const BUCKET: &str = "arn:aws:s3:::octo-logs";

fn block(on: bool) -> Action {
    Action::SetBucketPublicAccessBlock {
        block: Some(PublicAccessBlock {
            block_public_acls: on,
            ignore_public_acls: on,
            block_public_policy: on,
            restrict_public_buckets: on,
        }),
    }
}

fn ingress(present: bool) -> Action {
    let rule = SecurityGroupRule {
        protocol: TransportProtocol::Tcp,
        from: Some(Port(22)),
        to: Some(Port(22)),
        source: Source::Network("0.0.0.0/0".parse().unwrap()),
        description: Some("ssh".parse().unwrap()),
    };
    Action::SetIngressRule { rule, present }
}

fn from_anothers_group() -> Action {
    let rule = SecurityGroupRule {
        protocol: TransportProtocol::All,
        from: None,
        to: None,
        source: Source::GroupOf { account: "444455556666".parse().unwrap(), group: "sg-0fedcba9876543210".parse().unwrap() },
        description: None,
    };
    Action::SetIngressRule { rule, present: false }
}

/// An intent of each kind, and the harder forms of some.
pub(crate) fn intents() -> Vec<Intent> {
    let registry = ModuleOrigin::Registry {
        registry: "terraform".parse().unwrap(),
        namespace: "terraform-aws-modules".parse().unwrap(),
        name: "vpc".parse().unwrap(),
        target: "aws".parse().unwrap(),
        version: "5.1.2".parse().unwrap(),
    };
    let git = ModuleOrigin::Git {
        repository: repository(),
        revision: Revision::Branch("release/1.2".parse().unwrap()),
        folder: Some("modules/vpc".parse().unwrap()),
    };
    let annotation = Annotation {
        path: "main.tf".parse().unwrap(),
        start_line: 3,
        end_line: 4,
        level: AnnotationLevel::Failure,
        title: "The bucket is public".parse().unwrap(),
        message: "Anybody can read it.".parse().unwrap(),
    };
    vec![
        Intent::ListRepositories(ListRepositories { forge: forge() }),
        Intent::ReadRepository(ReadRepository { repository: repository(), revision: Revision::DefaultBranch }),
        Intent::ReadRepository(ReadRepository { repository: repository(), revision: Revision::PullRequest(count(7)) }),
        Intent::ReadModule(ReadModule { origin: registry, locked: Some(Digest::of(b"module")) }),
        Intent::ReadModule(ReadModule { origin: git, locked: None }),
        pull_request("envs/prod/main.tf"),
        pull_request(".github/workflows/deploy.yml"),
        Intent::PublishCheckRun(PublishCheckRun {
            repository: repository(),
            commit: commit(),
            marker: "keyblind".parse().unwrap(),
            conclusion: CheckConclusion::Failure,
            title: "1 finding".parse().unwrap(),
            summary: Prose::default(),
            annotations: vec![annotation],
        }),
        Intent::Comment(Comment {
            repository: repository(),
            pull_request: count(7),
            marker: "summary".parse().unwrap(),
            text: "All well.".parse().unwrap(),
        }),
        Intent::UploadSarif(UploadSarif {
            repository: repository(),
            commit: commit(),
            revision: Revision::Branch("main".parse().unwrap()),
            sarif: Bulk::of(b"{}"),
        }),
        Intent::Notify(Notify {
            channel: "security".parse().unwrap(),
            event: NotifyEvent::NewFindings,
            repository: Some(repository()),
            account: None,
            findings: Some(SeverityCounts { critical: 1, ..SeverityCounts::default() }),
            code: Some(Digest::of(b"x").short_code()),
        }),
        Intent::Complete(Complete {
            role: ModelRole::Analyst,
            task: ModelTask::Explain,
            input: Bulk::of(b"finding"),
            most_tokens: count(2_000),
        }),
        Intent::SnapshotAccount(SnapshotAccount {
            account: "123456789012".parse().unwrap(),
            regions: vec!["eu-central-1".parse().unwrap()],
            services: vec![Service::S3, Service::Iam],
            most_calls: count(500),
        }),
        Intent::ApplyAction(action(block(true), BUCKET)),
        Intent::ApplyAction(action(ingress(false), GROUP)),
        Intent::ApplyAction(action(from_anothers_group(), GROUP)),
    ]
}

/// A change for each intent that changes something.
pub(crate) fn changes() -> Vec<ChangeFields> {
    intents()
        .into_iter()
        .filter(Intent::changes_something)
        .map(|intent| {
            let inverse = match &intent {
                Intent::ProposePullRequest(request) => Inverse::ClosePullRequest { branch: request.branch.clone(), before: Some(commit()) },
                Intent::ApplyAction(request) => Inverse::Apply(match request.action() {
                    Action::SetIngressRule { .. } => action(ingress(true), GROUP),
                    _ => action(block(false), BUCKET),
                }),
                _ => Inverse::None(NoInverse::Replaced),
            };
            ChangeFields {
                version: count(1),
                id: RequestId::from_bytes(*b"0123456789abcdef"),
                tenant: "octo".parse().unwrap(),
                requester: "auth0|alice".parse().unwrap(),
                target: intent.target().unwrap(),
                borrowed: Borrowed { permission: intent.permission().unwrap(), seconds: count(60) },
                intent,
                pre_state: Digest::of(b"before"),
                post_state: Some(Digest::of(b"after")),
                inverse,
                approvals: Approvals { wanted: count(1), policy: Digest::of(b"policy"), may_be_requester: false },
                rules: Digest::of(b"rules"),
                expires: UnixMillis::new(1_800_000_000_000),
            }
        })
        .collect()
}

/// An outcome of each shape.
pub(crate) fn outcomes() -> Vec<Outcome> {
    let said = Some(Foreign::new("no \u{202e}such\u{1b}[31m thing"));
    let left_out = vec![LeftOut { reason: LeftOutReason::Link, count: count(2), example: Some(Foreign::new("a -> /etc/passwd")) }];
    vec![
        Outcome::RepositoriesListed {
            repositories: vec![RepositorySummary {
                repository: repository(),
                private: true,
                archived: false,
                default_branch: Some("main".parse().unwrap()),
            }],
            complete: true,
        },
        Outcome::RepositoryRead {
            repository: repository(),
            commit: commit(),
            branch: Some("main".parse().unwrap()),
            archive: Bulk::of(b"tar"),
            files: count(3),
            left_out,
        },
        Outcome::PullRequestProposed { number: count(12), commit: commit(), result: ProposalResult::Opened },
        Outcome::SarifUploaded { id: Foreign::new("47177e22"), state: SarifState::Pending },
        Outcome::Notified,
        Outcome::ActionUndone { before: Digest::of(b"before"), found: Digest::of(b"found") },
        Outcome::ActionOvertaken {
            approved: Digest::of(b"after"),
            found: Digest::of(b"found"),
            undo: Box::new(action(block(false), BUCKET)),
        },
        Outcome::ApprovalWanted {
            change: Digest::of(b"change"),
            code: Digest::of(b"change").short_code(),
            wanted: count(1),
            expires: UnixMillis::new(1),
            page: Some("https://approve.example.com/change/sha256".parse().unwrap()),
        },
        Outcome::NotReady { provider: Provider::Github, state: ConnectionState::NotConnected },
        Outcome::NotConfigured { missing: Missing::Provider(Provider::Aws) },
        Outcome::Refused(Refusal::Halted),
        Outcome::Failed { failure: Failure::RateLimited, status: Some(429), retry_after_seconds: Some(60), said },
    ]
}
