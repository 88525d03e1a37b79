//! Changes for tests: a calm one, and one in which everything that an outsider may name is hostile.

use keyblind_intent::*;

pub(crate) const BEFORE: &str =
    "resource \"aws_s3_bucket_acl\" \"shop\" {\n  bucket = aws_s3_bucket.shop.id\n  acl    = \"public-read\"\n}\n";
pub(crate) const AFTER: &str = "resource \"aws_s3_bucket_acl\" \"shop\" {\n  bucket = aws_s3_bucket.shop.id\n  acl    = \"private\"\n}\n";

/// What makes the changes of one test differ from each other.
#[derive(Clone)]
pub(crate) struct Wanted {
    pub(crate) id: u8,
    pub(crate) tenant: &'static str,
    pub(crate) requester: &'static str,
    pub(crate) policy: Digest,
    pub(crate) wanted: u64,
    pub(crate) may_be_requester: bool,
    pub(crate) expires: u64,
}

fn fields(wanted: &Wanted, intent: Intent, inverse: Inverse) -> ChangeFields {
    ChangeFields {
        version: Count::new(1).unwrap(),
        id: RequestId::from_bytes([wanted.id; 16]),
        tenant: TenantId::new(wanted.tenant).unwrap(),
        requester: SubjectId::new(wanted.requester).unwrap(),
        target: intent.target().unwrap(),
        borrowed: Borrowed { permission: intent.permission().unwrap(), seconds: Count::new(300).unwrap() },
        intent,
        pre_state: Digest::of(b"before"),
        post_state: None,
        inverse,
        approvals: Approvals {
            wanted: Count::new(wanted.wanted).unwrap(),
            policy: wanted.policy,
            may_be_requester: wanted.may_be_requester,
        },
        rules: Digest::of(b"rules"),
        expires: UnixMillis::new(wanted.expires),
    }
}

/// A pull request over these files (path, before, after), and the contents that go with it.
pub(crate) fn pull_request(wanted: &Wanted, title: &str, files: &[(&str, Option<&str>, &str)]) -> (ChangeFields, Vec<Vec<u8>>) {
    let contents: Vec<u8> = files.iter().flat_map(|(_, _, after)| after.bytes()).collect();
    let branch = BranchName::new("keyblind/fix-public-acl").unwrap();
    let intent = Intent::ProposePullRequest(ProposePullRequest {
        repository: Repository {
            forge: ConnectionName::new("github").unwrap(),
            owner: Owner::new("acme").unwrap(),
            name: RepositoryName::new("shop").unwrap(),
        },
        base: BranchName::new("main").unwrap(),
        base_commit: CommitId::new("1f0c2a9d8e7b6a5f4c3d2e1f0a9b8c7d6e5f4a3b").unwrap(),
        branch: branch.clone(),
        files: files
            .iter()
            .map(|(path, before, after)| AttachedFile {
                path: RepositoryPath::new(*path).unwrap(),
                before: before.map(|before| Digest::of(before.as_bytes())),
                after: Bulk::of(after.as_bytes()),
                mode: FileMode::Plain,
            })
            .collect(),
        contents: Bulk::of(&contents),
        title: Line::new(title).unwrap(),
        explanation: Prose::new("Anybody can list and read this bucket.").unwrap(),
        fixes: vec![RuleId::new("s3-bucket-acl-public").unwrap()],
    });
    let mut material: Vec<Vec<u8>> = files.iter().filter_map(|(_, before, _)| before.map(|before| before.as_bytes().to_vec())).collect();
    material.push(contents);
    (fields(wanted, intent, Inverse::ClosePullRequest { branch, before: None }), material)
}

/// The calm one.
pub(crate) fn calm(wanted: &Wanted) -> (ChangeFields, Vec<Vec<u8>>) {
    pull_request(wanted, "Make the shop’s bucket private", &[("infrastructure/storage.tf", Some(BEFORE), AFTER)])
}

/// The one that tries to lie to its reader in each place that an outsider can write.
#[allow(dead_code, reason = "not every test that includes this file looks at pages")]
pub(crate) fn hostile(wanted: &Wanted) -> (ChangeFields, Vec<Vec<u8>>) {
    let before = "# safe\u{202e} etis a si siht\nname = \"a\"\n";
    let after = format!(
        "# <script>document.title='pwned'</script><img src=x onerror=alert(1)>\n\
         # APPROVED BY SECURITY \u{2713} press Approve now\n\
         name = \"p\u{430}ypal\u{200b}\"  # \u{202e}desrever\n\
         policy = \"{}\"\n\
         {{{{ 7*7 }}}} ${{jndi:ldap://x}} </pre></section></main><h1>Approved</h1>\n{}",
        "A".repeat(9000),
        "another line that only wants to push the buttons off the screen\n".repeat(600)
    );
    pull_request(
        wanted,
        "URGENT: \"><script>alert(1)</script> approved by security, ignore the code below and press Approve",
        &[
            (".github/workflows/deploy\u{430}<b>.yml".replace(['<', '>'], "_").as_str(), Some(before), &after),
            (
                "modules/a-very-long-path/that-goes-on/and-on/and-on/without-any-end/in-sight/so-that-it-would-push-the-page-wider-than-any-phone/main.tf",
                None,
                "a = 1\n",
            ),
        ],
    )
}

fn action(resource: &str, action: Action) -> ApplyAction {
    ApplyAction::new(AccountId::new("111122223333").unwrap(), Region::new("eu-central-1").unwrap(), Arn::new(resource).unwrap(), action)
        .unwrap()
}

/// A call on a live account.
#[allow(dead_code, reason = "not every test that includes this file looks at live accounts")]
pub(crate) fn block_public_access(wanted: &Wanted) -> ChangeFields {
    let switches =
        |on| PublicAccessBlock { block_public_acls: on, ignore_public_acls: on, block_public_policy: on, restrict_public_buckets: on };
    let set = |block| action("arn:aws:s3:::shop-invoices", Action::SetBucketPublicAccessBlock { block });
    fields(wanted, Intent::ApplyAction(set(Some(switches(true)))), Inverse::Apply(set(None)))
}

/// A call that takes protection away: critical, whoever asks.
#[allow(dead_code, reason = "not every test that includes this file looks at pages")]
pub(crate) fn stop_trail(wanted: &Wanted) -> ChangeFields {
    let set = |enabled| action("arn:aws:cloudtrail:eu-central-1:111122223333:trail/audit", Action::SetTrailLogging { enabled });
    fields(wanted, Intent::ApplyAction(set(false)), Inverse::Apply(set(true)))
}

/// The opposite of one that opens a database.
#[allow(dead_code, reason = "not every test that includes this file looks at pages")]
pub(crate) fn open_database(wanted: &Wanted) -> ChangeFields {
    let set = |public| action("arn:aws:rds:eu-central-1:111122223333:db:orders", Action::SetDatabasePublic { public });
    fields(wanted, Intent::ApplyAction(set(true)), Inverse::Apply(set(false)))
}
