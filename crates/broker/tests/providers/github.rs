//! Against `emulate`, with GitHub's own OpenAPI description as judge of every request. Tarballs, the end of tokens, code scanning
//! and lists of an installation's repositories are ours to play, because `emulate` lacks them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use keyblind_broker::clock::{Clock as _, SystemClock};
use keyblind_broker::egress::{AllowedHost, Egress, Origin};
use keyblind_broker::jws::SigningKey;
use keyblind_broker::leases::lease::{Authority as _, Minted, NotMinted};
use keyblind_broker::leases::revocation::{RevocationFailure, Revoked, Revoker as _, ToRevoke};
use keyblind_broker::ledger::Who;
use keyblind_broker::providers::github::{
    Access, App, Fetched, Github, GithubError, Identity, Installations, Permissions, Proposed, Reach, Scope, TreeLimits,
};
use keyblind_broker::secret::Secret;
use keyblind_intent::{
    Annotation, AnnotationLevel, AttachedFile, BranchName, Bulk, CheckConclusion, Comment, CommitId, ConnectionName, Count, Digest,
    FileMode, Intent, LeftOutReason, Line, MarkerName, Owner, PolicyTemplate, ProposalResult, ProposePullRequest, Prose, Provider,
    PublishCheckRun, Repository, RepositoryName, RepositoryPath, RequestId, Revision, SarifState, UploadSarif,
};
use keyblind_testkit::Peer;
use serde_json::{Value, json};

use crate::secret;

struct World {
    peer: Peer,
    github: Arc<Github>,
    authority: Installations,
}

fn world() -> World {
    world_at("")
}

fn world_at(path: &str) -> World {
    let peer = Peer::github(&json!({
        "repositories": [
            {"owner": "acme", "name": "infra", "private": true},
            {"owner": "acme", "name": "other", "private": true},
        ],
        "permissions": {
            "contents": "write", "pull_requests": "write", "checks": "write", "metadata": "read", "security_events": "write",
            "issues": "write", "workflows": "write",
        },
    }));
    let hosts = [peer.url(), peer.told("codeload")].map(|url| AllowedHost::private(Origin::parse(url).unwrap()));
    let egress = Egress::new(hosts, b"").unwrap();
    let forge = ConnectionName::new("github").unwrap();
    let api = format!("{}{path}", peer.url());
    let github = Github::new(egress, Arc::new(SystemClock::new()), forge, &api).unwrap().with_pause(Duration::from_millis(1));
    let app = App::new(4242, "keyblind", SigningKey::from_pem(&secret(peer.told("private_key")), None).unwrap());
    let github = Arc::new(github);
    World { peer, authority: Installations::new(Arc::clone(&github), Arc::new(app)), github }
}

fn scope(reach: Reach, template: PolicyTemplate) -> Scope {
    Scope::new(reach, &Permissions::of(template).unwrap())
}

/// An hour: GitHub's own measure.
const LIFETIME: Duration = Duration::from_secs(3_600);

fn repository(name: &str) -> Repository {
    Repository {
        forge: ConnectionName::new("github").unwrap(),
        owner: Owner::new("acme").unwrap(),
        name: RepositoryName::new(name).unwrap(),
    }
}

impl World {
    async fn mint(&self, asked: &Scope) -> Minted<Scope> {
        match self.authority.mint(asked, LIFETIME).await {
            Ok(minted) => minted,
            Err(reason) => panic!("there is no token: {reason:?}"),
        }
    }

    async fn token(&self, template: PolicyTemplate) -> Secret {
        self.mint(&scope(Reach::Repository(repository("infra")), template)).await.token
    }

    async fn end(&self, token: &Secret) -> Result<Revoked, RevocationFailure> {
        let who = Who { tenant: "octo".parse().unwrap(), subject: "alice".parse().unwrap() };
        let lease = ToRevoke { lease: RequestId::from_bytes([1; 16]), who, provider: Provider::Github };
        self.github.revoke(&lease, token).await
    }

    /// What a person does at GitHub.
    fn person(&self, method: &str, path: &str, body: Value) -> Value {
        let done = self.peer.ask("POST", "/as-owner", &json!({"method": method, "path": path, "body": body}));
        assert!(done["status"].as_u64().unwrap() < 300, "{method} {path}: {done}");
        done["value"].clone()
    }

    fn head(&self, branch: &str) -> CommitId {
        let found = self.person("GET", &format!("/repos/acme/infra/git/ref/heads/{branch}"), Value::Null);
        CommitId::new(found["object"]["sha"].as_str().unwrap()).unwrap()
    }

    /// A commit of a person with these tree entries, on a branch.
    fn commit(&self, branch: &str, entries: Value) -> CommitId {
        let head = self.head(branch);
        let tree = self.person("GET", &format!("/repos/acme/infra/git/commits/{head}"), Value::Null)["tree"]["sha"].clone();
        let tree = self.person("POST", "/repos/acme/infra/git/trees", json!({"base_tree": tree, "tree": entries}));
        let commit = json!({"message": "By hand", "tree": tree["sha"], "parents": [head.as_str()]});
        let commit = self.person("POST", "/repos/acme/infra/git/commits", commit);
        let path = format!("/repos/acme/infra/git/refs/heads/{branch}");
        self.person("PATCH", &path, json!({"sha": commit["sha"], "force": false}));
        CommitId::new(commit["sha"].as_str().unwrap()).unwrap()
    }

    /// The tokens of installations, in the order in which they were given.
    fn minted(&self) -> Vec<Value> {
        let all = self.peer.ask("GET", "/tokens", &Value::Null);
        all.as_array().unwrap().iter().filter(|token| !token["installation"].is_null()).cloned().collect()
    }

    fn is_dead(&self, tokens: usize) -> bool {
        let minted = self.minted();
        assert_eq!(minted.len(), tokens);
        minted.iter().all(|token| token["dead"] == true)
    }

    fn sound(&self) {
        assert_eq!(self.peer.violations(), json!([]));
    }
}

fn file(path: &str, text: &str) -> Value {
    json!({"path": path, "mode": "100644", "type": "blob", "content": text})
}

fn refused<T>(result: Result<T, GithubError>) -> GithubError {
    match result {
        Ok(_) => panic!("there was no error"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn a_token_is_for_one_repository_and_one_permission_and_ends_after_its_use() {
    let world = world();
    let asked = scope(Reach::Repository(repository("infra")), PolicyTemplate::GithubContentsRead);
    let Minted { token, granted, dies_at } = world.mint(&asked).await;
    assert!(world.authority.is_within(&granted, &asked));
    let minted = world.minted();
    assert_eq!(minted[0]["installation"], json!({"names": ["acme/infra"], "permissions": {"contents": "read"}}));
    let lives = dies_at.saturating_duration_since(SystemClock::new().now());
    assert!(lives > LIFETIME / 2 && lives <= LIFETIME, "{lives:?}");
    let (infra, other) = (repository("infra"), repository("other"));
    let commit = world.github.resolve(&world.authority.access(&token), &infra, &Revision::DefaultBranch).await.unwrap();
    assert_eq!(commit, world.head("main"));
    assert_eq!(
        refused(world.github.resolve(&world.authority.access(&token), &other, &Revision::DefaultBranch).await),
        GithubError::NotFound
    );
    let change = proposal(&commit, "main.tf", None, b"x");
    assert_eq!(
        refused(world.github.propose(&world.authority.access(&token), &change, b"x").await.map_err(|not| not.error)),
        GithubError::Forbidden
    );
    assert_eq!(world.end(&token).await, Ok(Revoked::Confirmed));
    assert_eq!(
        refused(world.github.resolve(&world.authority.access(&token), &infra, &Revision::DefaultBranch).await),
        GithubError::Unauthorized
    );
    assert_eq!(world.end(&token).await, Ok(Revoked::WasDead));
    assert!(world.is_dead(1));
    world.sound();
}

#[tokio::test]
async fn a_token_that_allows_more_is_known_as_one() {
    let broader = [
        json!({"permissions": {"contents": "write"}}),
        json!({"permissions": {"contents": "read", "administration": "read"}}),
        json!({"permissions": {"contents": "admin"}}),
        json!({"repository_selection": "all"}),
        json!({"repositories": []}),
        json!({"repositories": [{"full_name": "acme/infra"}, {"full_name": "acme/other"}]}),
        json!({"repositories": [{"full_name": "acme/other"}]}),
    ];
    let world = world();
    let asked = scope(Reach::Repository(repository("infra")), PolicyTemplate::GithubContentsRead);
    for answer in broader {
        world.peer.ask("POST", "/broader", &answer);
        let minted = world.mint(&asked).await;
        assert!(!world.authority.is_within(&minted.granted, &asked), "{answer}");
    }
    // To read the metadata comes with every token.
    world.peer.ask("POST", "/broader", &json!({"permissions": {"contents": "read", "metadata": "read"}}));
    assert!(world.authority.is_within(&world.mint(&asked).await.granted, &asked));
    // What the App isn't installed for gives none.
    let nowhere = scope(Reach::Repository(repository("nowhere")), PolicyTemplate::GithubContentsRead);
    assert!(matches!(world.authority.mint(&nowhere, LIFETIME).await, Err(NotMinted::Refused(reason)) if reason.as_str() == "not-found"));
    // An answer that is lost may have made one.
    world.peer.fail(&json!({"path": "/access_tokens", "after": true, "drop": true}));
    assert!(matches!(world.authority.mint(&asked, LIFETIME).await, Err(NotMinted::Unknown(_))));
}

#[tokio::test]
async fn a_token_whose_end_was_not_confirmed_may_still_live() {
    let world = world();
    let token = world.token(PolicyTemplate::GithubContentsRead).await;
    for fault in [json!({"status": 500}), json!({"status": 403}), json!({"drop": true})] {
        let mut fault = fault;
        fault["path"] = json!("/installation/token");
        world.peer.fail(&fault);
        assert!(world.end(&token).await.is_err(), "{fault}");
        assert!(!world.is_dead(1));
    }
    // It happened, and nobody was told: the next try finds it dead.
    world.peer.fail(&json!({"path": "/installation/token", "after": true, "drop": true}));
    assert!(world.end(&token).await.is_err());
    assert!(world.is_dead(1));
    assert!(world.end(&token).await.is_ok());
}

#[tokio::test]
async fn repositories_are_listed_with_an_app_and_with_a_person_s_token() {
    let world = world();
    let installation = world.authority.all().await.unwrap()[0].clone();
    assert_eq!(installation.owner, "acme");
    let asked = scope(Reach::Installation(installation.id), PolicyTemplate::GithubMetadataRead);
    let Minted { token, granted, .. } = world.mint(&asked).await;
    assert!(world.authority.is_within(&granted, &asked));
    let own = secret(world.peer.told("owner_token"));
    for access in [world.authority.access(&token), Access { token: &own, identity: Identity::Person }] {
        let listed = world.github.repositories(&access).await.unwrap();
        let mut names: Vec<_> = listed.repositories.iter().map(|summary| summary.repository.to_string()).collect();
        names.sort();
        assert_eq!((names, listed.is_complete), (vec!["acme/infra".to_owned(), "acme/other".to_owned()], true));
        assert!(listed.repositories.iter().all(|summary| summary.private));
    }
    world.sound();
}

/// The files of an archive, read by the system's own `tar`.
fn unpacked(archive: &[u8]) -> BTreeMap<String, (String, bool)> {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = keyblind_testkit::Folder::new([]);
    folder.write("archive.tar", archive);
    let top = folder.path().join("top");
    std::fs::create_dir(&top).unwrap();
    let status = std::process::Command::new("tar")
        .args(["--extract", "--file"])
        .arg(folder.path().join("archive.tar"))
        .arg("--directory")
        .arg(&top)
        .status()
        .unwrap();
    assert!(status.success());
    let mut files = BTreeMap::new();
    let mut open = vec![top.clone()];
    while let Some(place) = open.pop() {
        for entry in std::fs::read_dir(place).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
                continue;
            }
            let executable = path.metadata().unwrap().permissions().mode() & 0o100 != 0;
            let name = path.strip_prefix(&top).unwrap().to_string_lossy().into_owned();
            files.insert(name, (std::fs::read_to_string(&path).unwrap(), executable));
        }
    }
    files
}

async fn fetched(world: &World, commit: &CommitId, limits: TreeLimits) -> (Fetched, BTreeMap<String, (String, bool)>) {
    let token = world.token(PolicyTemplate::GithubContentsRead).await;
    let (fetched, archive) =
        world.github.fetch_tree(&world.authority.access(&token), &repository("infra"), commit, limits, Vec::new()).await.unwrap();
    let files = unpacked(&archive);
    assert_eq!(fetched.files, files.len() as u64);
    (fetched, files)
}

#[tokio::test]
async fn a_tree_is_fetched_whole_whatever_the_archive_leaves_out() {
    let world = world();
    let deep = format!("{}main.tf", "folder/".repeat(30));
    let entries = json!([
        file("main.tf", "resource \"aws_s3_bucket\" \"a\" {}\n"),
        file(".gitattributes", "hidden.tf export-ignore\n"),
        file("hidden.tf", "resource \"aws_iam_user\" \"hidden\" {}\n"),
        file("changed.tf", "resource \"aws_iam_user\" \"changed\" {}\n"),
        file(&deep, "# deep\n"),
        file("model.bin", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n"),
        file("large.tf", &"x".repeat(3_000)),
        {"path": "run.sh", "mode": "100755", "type": "blob", "content": "#!/bin/sh\n"},
        {"path": "link.tf", "mode": "120000", "type": "blob", "content": "/etc/passwd"},
        {"path": "vendor", "mode": "160000", "type": "commit", "sha": "0123456789012345678901234567890123456789"},
        file("aux.tf", "# a device of Windows\n"),
    ]);
    let commit = world.commit("main", entries);
    let limits = TreeLimits { file_bytes: 2_999, ..TreeLimits::default() };
    let expected: Vec<(&str, &str, bool)> = vec![
        (".gitattributes", "hidden.tf export-ignore\n", false),
        ("README.md", "# infra\n", false),
        ("changed.tf", "resource \"aws_iam_user\" \"changed\" {}\n", false),
        (&deep, "# deep\n", false),
        ("hidden.tf", "resource \"aws_iam_user\" \"hidden\" {}\n", false),
        ("main.tf", "resource \"aws_s3_bucket\" \"a\" {}\n", false),
        ("run.sh", "#!/bin/sh\n", true),
    ];
    let expected: BTreeMap<_, _> =
        expected.into_iter().map(|(path, text, executable)| (path.to_owned(), (text.to_owned(), executable))).collect();
    let reasons = [
        LeftOutReason::Link,
        LeftOutReason::Submodule,
        LeftOutReason::LargeFileStorage,
        LeftOutReason::TooLarge,
        LeftOutReason::UnusablePath,
    ];
    // As it is; without a file in the archive, with another; in several answers; and without any archive.
    let circumstances: [(&str, Value); 4] = [
        ("/unfaithful", json!({})),
        ("/unfaithful", json!({"omit": "hidden.tf", "change": "changed.tf"})),
        ("/truncate", json!({"entries": 3})),
        ("/faults", json!({"path": "/tarball/", "status": 503, "times": 9})),
    ];
    for (path, body) in circumstances {
        world.peer.ask("POST", path, &body);
        let (fetched, files) = fetched(&world, &commit, limits).await;
        assert_eq!(files, expected, "{body}");
        let left_out: Vec<_> = fetched.left_out.iter().map(|left_out| (left_out.reason, left_out.count.get())).collect();
        assert_eq!(left_out, reasons.map(|reason| (reason, 1)), "{body}");
    }
    let limits = TreeLimits { entries: 5, ..TreeLimits::default() };
    let token = world.token(PolicyTemplate::GithubContentsRead).await;
    let result = world.github.fetch_tree(&world.authority.access(&token), &repository("infra"), &commit, limits, Vec::new()).await;
    assert_eq!(refused(result), GithubError::BeyondLimit);
    world.sound();
}

fn proposal(base: &CommitId, path: &str, before: Option<&str>, after: &[u8]) -> ProposePullRequest {
    ProposePullRequest {
        repository: repository("infra"),
        base: BranchName::new("main").unwrap(),
        base_commit: base.clone(),
        branch: BranchName::new("keyblind/close-bucket").unwrap(),
        files: vec![AttachedFile {
            path: RepositoryPath::new(path).unwrap(),
            before: before.map(|text| Digest::of(text.as_bytes())),
            after: Bulk::of(after),
            mode: FileMode::Plain,
        }],
        contents: Bulk::of(after),
        title: Line::new("Close the bucket to the public").unwrap(),
        explanation: Prose::new("Why, and how to undo it. Thanks @octocat, fixes #1.").unwrap(),
        fixes: Vec::new(),
    }
}

async fn propose(world: &World, request: &ProposePullRequest, contents: &[u8]) -> Result<Proposed, GithubError> {
    let template = Intent::ProposePullRequest(request.clone()).permission().unwrap();
    let token = world.token(template).await;
    let result = world.github.propose(&world.authority.access(&token), request, contents).await.map_err(|not| not.error);
    assert!(world.end(&token).await.is_ok());
    result
}

#[tokio::test]
async fn a_pull_request_is_opened_brought_up_to_date_and_left_alone() {
    let world = world();
    let base = world.commit("main", json!([file("live/main.tf", "public = true\n"), file("live/other.tf", "x\n")]));
    let request = proposal(&base, "live/main.tf", Some("public = true\n"), b"public = false\n");
    let opened = propose(&world, &request, b"public = false\n").await.unwrap();
    assert_eq!((opened.result, opened.before.clone()), (ProposalResult::Opened, None));
    assert_eq!(opened.commit, world.head("keyblind/close-bucket"));
    assert_eq!(world.head("main"), base);
    let pull = world.person("GET", &format!("/repos/acme/infra/pulls/{}", opened.number), Value::Null);
    assert_eq!(pull["title"], "Close the bucket to the public");
    assert_eq!(pull["body"], "Why, and how to undo it. Thanks @\u{200b}octocat, fixes #\u{200b}1.");
    let (_, files) = fetched(&world, &opened.commit, TreeLimits::default()).await;
    assert_eq!(files["live/main.tf"].0, "public = false\n");
    assert_eq!(files["live/other.tf"].0, "x\n");

    let again = propose(&world, &request, b"public = false\n").await.unwrap();
    assert_eq!((again.number, again.commit.clone(), again.result), (opened.number, opened.commit.clone(), ProposalResult::Unchanged));

    // The base moves on beside our files: the branch moves forward, and brings the base along.
    let moved = world.commit("main", json!([file("live/other.tf", "y\n")]));
    let request = proposal(&moved, "live/main.tf", Some("public = true\n"), b"public = never\n");
    let updated = propose(&world, &request, b"public = never\n").await.unwrap();
    assert_eq!((updated.number, updated.result, updated.before), (opened.number, ProposalResult::Updated, Some(opened.commit.clone())));
    let commit = world.person("GET", &format!("/repos/acme/infra/git/commits/{}", updated.commit), Value::Null);
    let parents: Vec<_> = commit["parents"].as_array().unwrap().iter().map(|parent| parent["sha"].as_str().unwrap()).collect();
    assert_eq!(parents, [opened.commit.as_str(), moved.as_str()]);
    let (_, files) = fetched(&world, &updated.commit, TreeLimits::default()).await;
    assert_eq!((files["live/main.tf"].0.as_str(), files["live/other.tf"].0.as_str()), ("public = never\n", "y\n"));
    world.sound();
}

#[tokio::test]
async fn what_people_did_is_never_undone() {
    let world = world();
    let base = world.commit("main", json!([file("main.tf", "public = true\n")]));
    let request = proposal(&base, "main.tf", Some("public = true\n"), b"public = false\n");
    let opened = propose(&world, &request, b"public = false\n").await.unwrap();
    let other = proposal(&base, "main.tf", Some("public = true\n"), b"public = never\n");
    // Somebody pushes while the branch is moved.
    world.peer.fail(
        &json!({"method": "PATCH", "path": "/git/refs/heads/keyblind", "status": 422, "body": {"message": "Update is not a fast-forward"}}),
    );
    assert_eq!(propose(&world, &other, b"public = never\n").await, Err(GithubError::Conflict));
    // Somebody commits to our branch.
    let theirs = world.commit("keyblind/close-bucket", json!([file("main.tf", "public = maybe\n")]));
    assert_eq!(propose(&world, &other, b"public = never\n").await, Err(GithubError::WrittenByPeople));
    assert_eq!(world.head("keyblind/close-bucket"), theirs);
    // Somebody closes the pull request.
    world.person("PATCH", &format!("/repos/acme/infra/pulls/{}", opened.number), json!({"state": "closed"}));
    assert_eq!(propose(&world, &other, b"public = never\n").await, Err(GithubError::SaidNo));
    assert_eq!(world.head("keyblind/close-bucket"), theirs);
    world.sound();
}

#[tokio::test]
async fn a_change_is_for_the_state_that_it_was_made_for() {
    let world = world();
    let base = world.commit(
        "main",
        json!([file("main.tf", "public = true\n"), {"path": "link.tf", "mode": "120000", "type": "blob", "content": "main.tf"}]),
    );
    let stale = [
        proposal(&base, "main.tf", Some("public = other\n"), b"x"),
        proposal(&base, "main.tf", None, b"x"),
        proposal(&base, "missing.tf", Some("public = true\n"), b"x"),
        proposal(&base, "main.tf/under.tf", None, b"x"),
        proposal(&base, "link.tf", Some("main.tf"), b"x"),
    ];
    for request in stale {
        assert_eq!(propose(&world, &request, b"x").await, Err(GithubError::StaleState), "{:?}", request.files);
    }
    let request = proposal(&base, "main.tf", Some("public = true\n"), b"public = false\n");
    assert_eq!(propose(&world, &request, b"public = FALSE\n").await, Err(GithubError::Contents));
    // The same file was changed since.
    world.commit("main", json!([file("main.tf", "public = later\n")]));
    assert_eq!(propose(&world, &request, b"public = false\n").await, Err(GithubError::StaleState));
    let wrote =
        world.peer.requests().iter().any(|request| request["path"].as_str().unwrap().contains("/git/blobs") && request["method"] == "POST");
    assert!(!wrote);
    world.sound();
}

#[tokio::test]
async fn our_comment_is_written_once_and_is_ours() {
    let world = world();
    let base = world.commit("main", json!([file("main.tf", "public = true\n")]));
    let request = proposal(&base, "main.tf", Some("public = true\n"), b"public = false\n");
    let pull = propose(&world, &request, b"public = false\n").await.unwrap().number;
    let comments = format!("/repos/acme/infra/issues/{pull}/comments");
    // Somebody else's comment with our mark.
    world.person("POST", &comments, json!({"body": "<!-- keyblind:summary -->\nAll is well."}));
    let comment = |text: &str| Comment {
        repository: repository("infra"),
        pull_request: pull,
        marker: MarkerName::new("summary").unwrap(),
        text: Prose::new(text).unwrap(),
    };
    let token = world.token(PolicyTemplate::GithubCommentsWrite).await;
    let first = world.github.comment(&world.authority.access(&token), &comment("3 findings @here")).await.unwrap();
    let second = world.github.comment(&world.authority.access(&token), &comment("2 findings")).await.unwrap();
    assert_eq!((first.updated, second.updated, first.id), (false, true, second.id));
    let found = world.person("GET", &comments, Value::Null);
    let texts: Vec<_> = found.as_array().unwrap().iter().map(|comment| comment["body"].as_str().unwrap()).collect();
    assert_eq!(texts, ["<!-- keyblind:summary -->\nAll is well.", "<!-- keyblind:summary -->\n2 findings"]);
    world.sound();
}

/// How many remarks a request holds.
fn annotations(request: &Value) -> usize {
    let body: Value = serde_json::from_str(request["body"].as_str().unwrap()).unwrap();
    body["output"]["annotations"].as_array().unwrap().len()
}

#[tokio::test]
async fn a_check_run_takes_its_remarks_fifty_at_a_time() {
    let world = world();
    let commit = world.head("main");
    let annotation = |line: u32| Annotation {
        path: RepositoryPath::new("main.tf").unwrap(),
        start_line: line,
        end_line: line,
        level: AnnotationLevel::Failure,
        title: Line::new("The bucket is public").unwrap(),
        message: Prose::new("Anybody can read it.").unwrap(),
    };
    let token = world.token(PolicyTemplate::GithubChecksWrite).await;
    for (count, requests) in [(0, 1), (50, 1), (51, 2), (120, 3)] {
        world.peer.ask("POST", "/forget", &Value::Null);
        let run = PublishCheckRun {
            repository: repository("infra"),
            commit: commit.clone(),
            marker: MarkerName::new("keyblind").unwrap(),
            conclusion: CheckConclusion::Failure,
            title: Line::new("Findings").unwrap(),
            summary: Prose::new("Some.").unwrap(),
            annotations: (1..=count).map(annotation).collect(),
        };
        let id = world.github.publish_check_run(&world.authority.access(&token), &run).await.unwrap();
        assert_eq!(world.peer.requests().len(), requests, "{count} remarks");
        let found = world.person("GET", &format!("/repos/acme/infra/check-runs/{id}"), Value::Null);
        assert_eq!((&found["status"], &found["conclusion"]), (&json!("completed"), &json!("failure")));
        // `emulate` keeps the last batch only; what was sent is what GitHub would add up.
        let sent: Vec<usize> = world.peer.requests().iter().map(annotations).collect();
        assert!(sent.iter().all(|batch| *batch <= 50));
        assert_eq!(sent.iter().sum::<usize>(), usize::try_from(count).unwrap());
        world.sound();
    }
    let own = secret(world.peer.told("owner_token"));
    let person = Access { token: &own, identity: Identity::Person };
    let run = PublishCheckRun {
        repository: repository("infra"),
        commit,
        marker: MarkerName::new("keyblind").unwrap(),
        conclusion: CheckConclusion::Success,
        title: Line::new("Findings").unwrap(),
        summary: Prose::new("None.").unwrap(),
        annotations: Vec::new(),
    };
    assert_eq!(world.github.publish_check_run(&person, &run).await, Err(GithubError::Forbidden));
}

#[tokio::test]
async fn a_report_is_handed_to_code_scanning() {
    let world = world();
    let report = json!({"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "Keyblind"}}, "results": [{"message": {"text": "x"}}]}]})
        .to_string();
    let request = |report: &str, revision| UploadSarif {
        repository: repository("infra"),
        commit: world.head("main"),
        revision,
        sarif: Bulk::of(report.as_bytes()),
    };
    let token = world.token(PolicyTemplate::GithubSecurityEventsWrite).await;
    let revisions = [Revision::Branch(BranchName::new("main").unwrap()), Revision::PullRequest(Count::from(7_u32))];
    for revision in revisions {
        let uploaded =
            world.github.upload_sarif(&world.authority.access(&token), &request(&report, revision), report.as_bytes()).await.unwrap();
        assert_eq!(uploaded.state, SarifState::Complete);
    }
    let uploads = world.peer.ask("GET", "/uploads", &Value::Null);
    assert_eq!((&uploads[0]["ref"], &uploads[1]["ref"]), (&json!("refs/heads/main"), &json!("refs/pull/7/head")));
    assert_eq!(uploads[0]["results"], 1);
    let other = request("{}", Revision::DefaultBranch);
    assert_eq!(refused(world.github.upload_sarif(&world.authority.access(&token), &other, report.as_bytes()).await), GithubError::Contents);
    world.sound();
}

#[tokio::test]
async fn github_is_asked_at_the_pace_that_it_asks_for() {
    let world = world();
    let token = world.token(PolicyTemplate::GithubContentsRead).await;
    let (infra, branch) = (repository("infra"), Revision::Branch(BranchName::new("main").unwrap()));
    let place = "/git/ref/heads/main";
    let asked = || world.peer.requests().iter().filter(|request| request["path"].as_str().unwrap().ends_with(place)).count();
    // A moment's silence is kept, and the request sent again.
    world.peer.fail(&json!({"path": place, "status": 429, "headers": {"retry-after": "1"}}));
    let start = Instant::now();
    world.github.resolve(&world.authority.access(&token), &infra, &branch).await.unwrap();
    assert!(start.elapsed() >= Duration::from_secs(1) && asked() == 2);
    // What only isn't allowed is not a matter of pace.
    world.peer.fail(&json!({"path": place, "status": 403, "body": {"message": "Resource not accessible by integration"}}));
    assert_eq!(refused(world.github.resolve(&world.authority.access(&token), &infra, &branch).await), GithubError::Forbidden);
    assert_eq!(asked(), 3);
    // A read that fails is tried again, a write whose outcome isn't known isn't.
    world.peer.fail(&json!({"path": place, "status": 502, "times": 2}));
    world.github.resolve(&world.authority.access(&token), &infra, &branch).await.unwrap();
    assert_eq!(asked(), 6);
    world.peer.fail(&json!({"path": "/installation/token", "status": 502, "times": 1}));
    assert_eq!(world.end(&token).await.unwrap_err().reason.as_str(), "broken");
    // Three times a moment is a limit, whatever the status.
    world.peer.fail(&json!({"path": place, "status": 403, "headers": {"retry-after": "0"}, "times": 3}));
    let error = refused(world.github.resolve(&world.authority.access(&token), &infra, &branch).await);
    assert!(matches!(error, GithubError::RateLimited { .. }), "{error:?}");
    assert_eq!(asked(), 9);
    // A long silence is told to whoever asked, and kept by all.
    let reset = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() + 900;
    world
        .peer
        .fail(&json!({"path": place, "status": 403, "headers": {"x-ratelimit-remaining": "0", "x-ratelimit-reset": reset.to_string()}}));
    for _ in 0..3 {
        match refused(world.github.resolve(&world.authority.access(&token), &infra, &branch).await) {
            GithubError::RateLimited { wait } => assert!((890..=900).contains(&wait.as_secs()), "{wait:?}"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(asked(), 10);
}

#[tokio::test]
async fn an_enterprise_host_has_the_same_interface_beneath_a_path() {
    let world = world_at("/api/v3");
    let token = world.token(PolicyTemplate::GithubContentsRead).await;
    world.github.resolve(&world.authority.access(&token), &repository("infra"), &Revision::DefaultBranch).await.unwrap();
    assert!(world.end(&token).await.is_ok());
    world.sound();
}

#[tokio::test]
async fn a_credential_that_is_not_taken_says_so() {
    let world = world();
    let stranger = rsa_of_somebody_else();
    let app = App::new(4242, "keyblind", SigningKey::from_pem(&secret(stranger.peer.told("private_key")), None).unwrap());
    let error = refused(Installations::new(Arc::clone(&world.github), Arc::new(app)).all().await);
    assert_eq!(error, GithubError::Unauthorized);
    let unknown = secret("ghs_unknown");
    let access = Access { token: &unknown, identity: Identity::App("keyblind") };
    let error = refused(world.github.resolve(&access, &repository("infra"), &Revision::DefaultBranch).await);
    assert_eq!(error, GithubError::Unauthorized);
}

fn rsa_of_somebody_else() -> World {
    world()
}
