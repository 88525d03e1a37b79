//! From the socket to a pull request: GitHub is `emulate` (its OpenAPI description judges each request), people are at the pages.

use std::io::Write as _;
use std::net::TcpListener;
use std::process::Stdio;

use keyblind_broker::socket::{BulkFile, Client, ClientError};
use keyblind_intent::{
    Answer, AttachedFile, Bulk, ChangeState, CommitId, Control, Digest, FileMode, Intent, Outcome, ProposePullRequest, ReadRepository,
    Refusal, Report, Repository, RepositoryPath, Request, Revision,
};
use keyblind_prove::door::Visitor;
use keyblind_testkit::Peer;
use serde_json::{Value, json};

use crate::support::{Place, Running, eventually, text};

const BEFORE: &str = "resource \"aws_db_instance\" \"a\" {\n  publicly_accessible = true\n}\n";
const AFTER: &str = "resource \"aws_db_instance\" \"a\" {\n  publicly_accessible = false\n}\n";

/// A broker whose App is installed at a GitHub, and the person at its socket and its pages.
struct World {
    github: Peer,
    place: Place,
    broker: Option<Running>,
    browser: Visitor,
    base: CommitId,
}

impl World {
    fn new() -> Self {
        let github = Peer::github(&json!({
            "repositories": [{"owner": "acme", "name": "infra", "private": true}],
            "permissions": {"contents": "write", "pull_requests": "write", "metadata": "read", "workflows": "write"},
        }));
        let mut place = Place::new();
        // Nobody else takes it in the moment between.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let policy = place.folder.path().join("policy.toml");
        std::fs::write(
            &policy,
            "version = 1\nsolo = \"me\"\n[people.me]\nidentities = [{ issuer = \"local\", subject = \"alice\" }]\n\
             roles = [\"owner\", \"approver\", \"security\"]\ntenants = [\"octo\"]\n\
             [[rules]]\nname = \"all\"\nchannels = [\"session\"]\n",
        )
        .unwrap();
        place.more = format!(
            "[door]\norigin = \"http://approve.localhost:{port}\"\nlisten = \"127.0.0.1:{port}\"\n[approvals]\npolicy = {policy:?}\n\
             [github]\napp = 4242\nslug = \"keyblind\"\napi = {:?}\narchives = {:?}\nprivate = true\n",
            github.url(),
            github.told("codeload")
        );
        let mut keep = place.command(&["keep", "github-app-key"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        keep.stdin.take().unwrap().write_all(github.told("private_key").as_bytes()).unwrap();
        assert!(keep.wait_with_output().unwrap().status.success());
        let base = commit(&github, BEFORE);
        let broker = place.start();
        let mut world = Self { github, place, broker: Some(broker), browser: Visitor::at(port), base };
        world.log_in();
        world
    }

    fn log_in(&mut self) {
        let login = self.place.ask(&["login"]);
        let said = text(&login.stdout);
        let link = said.lines().next().and_then(|line| line.strip_prefix("open ")).unwrap_or_else(|| panic!("no link in {said}"));
        self.browser.log_in(link).unwrap();
    }

    fn ask(&self, request: &Request, attached: Option<&BulkFile>) -> Result<Answer, Refusal> {
        match Client::connect(&self.place.socket(), b"").unwrap().ask(request, attached) {
            Ok((answer, _)) => Ok(answer),
            Err(ClientError::Refused(refusal)) => Err(refusal),
            Err(error) => panic!("{error}"),
        }
    }

    fn propose(&self, after: &str) -> Result<Answer, Refusal> {
        let contents = BulkFile::from_bytes(after.as_bytes()).unwrap();
        let request = ProposePullRequest {
            repository: repository(),
            base: "main".parse().unwrap(),
            base_commit: self.base.clone(),
            branch: "keyblind/close-database".parse().unwrap(),
            files: vec![AttachedFile {
                path: RepositoryPath::new("live/main.tf").unwrap(),
                before: Some(Digest::of(BEFORE.as_bytes())),
                after: Bulk::of(after.as_bytes()),
                mode: FileMode::Plain,
            }],
            contents: contents.bulk(),
            title: "Close the database".parse().unwrap(),
            explanation: "Why, and how to undo it.".parse().unwrap(),
            fixes: Vec::new(),
        };
        self.ask(&Request::Intent(Intent::ProposePullRequest(request)), Some(&contents))
    }

    /// Proposes, and gives the digest that people are asked about.
    fn wanted(&self) -> Digest {
        match self.propose(AFTER) {
            Ok(Answer::Outcome(Outcome::ApprovalWanted { change, page, .. })) => {
                assert!(page.unwrap().as_str().ends_with(&format!("/change/{change}")));
                change
            }
            other => panic!("{other:?}"),
        }
    }

    fn follow(&self, digest: Digest) -> (ChangeState, Option<Outcome>) {
        match self.ask(&Request::Control(Control::FollowChange { digest }), None) {
            Ok(Answer::Report(Report::Change { state, outcome, .. })) => (state, outcome.map(|outcome| *outcome)),
            other => panic!("{other:?}"),
        }
    }

    fn ends(&self, digest: Digest) -> (ChangeState, Option<Outcome>) {
        eventually("the change's end", || !matches!(self.follow(digest).0, ChangeState::Waiting | ChangeState::Approved));
        self.follow(digest)
    }

    fn pulls(&self) -> Vec<Value> {
        let pulls = person(&self.github, "GET", "/repos/acme/infra/pulls?state=all", Value::Null);
        pulls.as_array().unwrap().clone()
    }

    /// Tokens of installations that were given out, and whether each is dead.
    fn tokens(&self) -> Vec<bool> {
        let all = self.github.ask("GET", "/tokens", &Value::Null);
        let minted = all.as_array().unwrap().iter().filter(|token| !token["installation"].is_null());
        minted.map(|token| token["dead"] == true).collect()
    }

    /// Ends the broker, and judges what it recorded.
    fn close(mut self) -> keyblind_ledger::Report {
        eventually("every token's end", || self.tokens().iter().all(|dead| *dead));
        let (code, said) = self.broker.take().unwrap().terminate();
        assert_eq!(code, Some(0), "{said}");
        let key = self.place.ask(&["ledger", "key"]);
        let export = self.place.ask(&["ledger", "export"]);
        assert!(export.status.success(), "{}", text(&export.stderr));
        let key = text(&key.stdout).trim().parse().unwrap();
        let report = keyblind_ledger::verify(&export.stdout[..], &key, &keyblind_ledger::Expected::default()).unwrap();
        assert!(report.is_sound(), "{report:?}");
        assert_eq!(self.github.violations(), json!([]));
        report
    }
}

fn repository() -> Repository {
    Repository { forge: "github".parse().unwrap(), owner: "acme".parse().unwrap(), name: "infra".parse().unwrap() }
}

/// What a person does at GitHub.
pub(crate) fn person(github: &Peer, method: &str, path: &str, body: Value) -> Value {
    let done = github.ask("POST", "/as-owner", &json!({"method": method, "path": path, "body": body}));
    assert!(done["status"].as_u64().unwrap() < 300, "{method} {path}: {done}");
    done["value"].clone()
}

/// A person's commit of the file on the main branch.
pub(crate) fn commit(github: &Peer, contents: &str) -> CommitId {
    let head = person(github, "GET", "/repos/acme/infra/git/ref/heads/main", Value::Null)["object"]["sha"].clone();
    let path = format!("/repos/acme/infra/git/commits/{}", head.as_str().unwrap());
    let tree = person(github, "GET", &path, Value::Null)["tree"]["sha"].clone();
    let entries = json!([{"path": "live/main.tf", "mode": "100644", "type": "blob", "content": contents}]);
    let tree = person(github, "POST", "/repos/acme/infra/git/trees", json!({"base_tree": tree, "tree": entries}))["sha"].clone();
    let commit = json!({"message": "By hand", "tree": tree, "parents": [head]});
    let commit = person(github, "POST", "/repos/acme/infra/git/commits", commit)["sha"].clone();
    person(github, "PATCH", "/repos/acme/infra/git/refs/heads/main", json!({"sha": commit, "force": false}));
    CommitId::new(commit.as_str().unwrap()).unwrap()
}

#[test]
fn a_repository_is_read_and_a_pull_request_opened_after_a_persons_yes() {
    let mut world = World::new();
    let said = &world.broker.as_ref().unwrap().said;
    assert!(said.contains("egress: ") && said.contains(world.github.url()), "{said}");
    let read = ReadRepository { repository: repository(), revision: Revision::DefaultBranch };
    let mut client = Client::connect(&world.place.socket(), b"").unwrap();
    let (answer, archive) = client.ask(&Request::Intent(Intent::ReadRepository(read)), None).unwrap();
    match answer {
        Answer::Outcome(Outcome::RepositoryRead { commit, files, .. }) => {
            assert_eq!((commit, files.get()), (world.base.clone(), 2));
            let archive = archive.unwrap().read(1 << 20).unwrap();
            assert!(archive.windows(BEFORE.len()).any(|part| part == BEFORE.as_bytes()));
        }
        other => panic!("{other:?}"),
    }
    let digest = world.wanted();
    assert_eq!(world.follow(digest), (ChangeState::Waiting, None));
    assert!(world.pulls().is_empty());
    let page = world.browser.get(&format!("/change/{digest}")).unwrap();
    for shown in ["live/main.tf", "Close the database", "publicly_accessible", &digest.short_code().to_string()] {
        assert!(page.text.contains(shown), "no {shown} in {}", page.text);
    }
    assert_eq!(world.browser.decide(&digest.to_string(), "approve").unwrap().status, 303);
    let (state, outcome) = world.ends(digest);
    let Some(Outcome::PullRequestProposed { number, commit, .. }) = outcome else { panic!("{state:?} {outcome:?}") };
    assert_eq!(state, ChangeState::Applied);
    let pulls = world.pulls();
    assert_eq!((pulls.len(), pulls[0]["number"].as_u64()), (1, Some(number.get())));
    let head = person(&world.github, "GET", "/repos/acme/infra/git/ref/heads/keyblind/close-database", Value::Null);
    assert_eq!(head["object"]["sha"].as_str(), Some(commit.as_str()));
    // Another tenant's client doesn't even learn that it exists; here: an unknown digest.
    assert_eq!(world.follow(Digest::of(b"other")).0, ChangeState::Unknown);
    let report = world.close();
    assert_eq!((report.writes, report.approvals), (1, 1), "{report:?}");
}

#[test]
fn what_people_refuse_or_what_changed_meanwhile_is_never_done() {
    let mut world = World::new();
    let refused = world.wanted();
    assert_eq!(world.browser.decide(&refused.to_string(), "refuse").unwrap().status, 303);
    assert_eq!(world.follow(refused), (ChangeState::Denied, None));
    let stale = world.wanted();
    commit(&world.github, "resource \"aws_db_instance\" \"b\" {}\n");
    world.browser.decide(&stale.to_string(), "approve").unwrap();
    assert_eq!(world.ends(stale), (ChangeState::Stale, Some(Outcome::Refused(Refusal::StaleState))));
    // Nothing of it is on offer any more.
    assert_eq!(world.propose(AFTER).err(), Some(Refusal::StaleState));
    assert!(world.pulls().is_empty());
    let report = world.close();
    assert_eq!((report.writes, report.approvals), (0, 1), "{report:?}");
}

#[test]
fn a_stop_voids_what_waits_and_revokes_what_lives() {
    let mut world = World::new();
    let digest = world.wanted();
    let killed = world.place.ask(&["kill"]);
    assert!(text(&killed.stdout).starts_with("stopped (stop 1)"), "{}", text(&killed.stderr));
    assert_eq!(world.follow(digest), (ChangeState::Halted, None));
    // A stop ends all sessions as well: whoever goes on shows anew who it is.
    assert_eq!(world.browser.get(&format!("/change/{digest}")).unwrap().status, 303);
    world.log_in();
    let page = world.browser.get(&format!("/change/{digest}")).unwrap();
    assert!(page.text.contains("everything was stopped"), "{}", page.text);
    eventually("every token's end", || world.tokens().iter().all(|dead| *dead));
    assert_eq!(text(&world.place.ask(&["arm"]).stdout), "armed\n");
    // What was asked before stays void; what is asked now is asked anew.
    assert_eq!(world.follow(digest), (ChangeState::Halted, None));
    world.log_in();
    let again = world.wanted();
    world.browser.decide(&again.to_string(), "approve").unwrap();
    assert_eq!(world.ends(again).0, ChangeState::Applied);
    let report = world.close();
    assert_eq!(report.writes, 1, "{report:?}");
}
