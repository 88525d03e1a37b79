//! Missions that ask a broker. It is scripted here; the finished programs are tried together with the server.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use keyblind_client::BulkFile;
use keyblind_intent::{
    AccountId, Answer, AttachedFile, Bulk, ChangeState, ConnectionState, Count, Digest, FileMode, Foreign, Handle, Outcome,
    ProposePullRequest, Proposed, Prose, Provider, Refusal, Report, Repository, RepositoryPath, Revision, UnixMillis,
};
use keyblind_mission::{
    Account, Answering, Broker, BrokerError, Choice, Clock as _, LeafWork, Origin, Patience, Remediation, Request, Runner, Who,
};
use keyblind_store::{MissionId, MissionState, WaitsFor};
use keyblind_testkit::Folder;

use crate::leaf::stand_in;
use crate::support::{LIMITS, World, on_both};

/// What the broker is asked, in a word, and what it then answers.
type Line = (&'static str, Box<dyn Fn() -> Result<(Answer, Option<BulkFile>), BrokerError> + Send>);

/// Answers what the test says, in order.
#[derive(Clone, Default)]
struct Scripted {
    lines: Arc<Mutex<VecDeque<Line>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Scripted {
    fn then(self, word: &'static str, answer: impl Fn() -> Result<(Answer, Option<BulkFile>), BrokerError> + Send + 'static) -> Self {
        self.lines.lock().unwrap().push_back((word, Box::new(answer)));
        self
    }

    fn outcome(self, word: &'static str, outcome: Outcome) -> Self {
        self.then(word, move || Ok((Answer::Outcome(outcome.clone()), None)))
    }

    fn tree(self, commit: char) -> Self {
        self.then("read-repository", move || {
            let archive = BulkFile::from_bytes(b"an archive").unwrap();
            let outcome = Outcome::RepositoryRead {
                repository: repository(),
                commit: commit.to_string().repeat(40).parse().unwrap(),
                branch: Some("main".parse().unwrap()),
                archive: archive.bulk(),
                files: Count::from(3),
                left_out: Vec::new(),
            };
            Ok((Answer::Outcome(outcome), Some(archive)))
        })
    }

    fn change(self, state: ChangeState, outcome: Option<Outcome>) -> Self {
        self.then("follow-change", move || {
            let (one, outcome) = (Count::from(1), outcome.clone().map(Box::new));
            Ok((Answer::Report(Report::Change { digest: change(), state, approved: one, wanted: one, outcome }), None))
        })
    }

    fn wanted(self, word: &'static str) -> Self {
        let expires = UnixMillis::new(1_900_000_000_000);
        let page = Some("http://approve.localhost:4200/change/x".parse().unwrap());
        self.outcome(word, Outcome::ApprovalWanted { change: change(), code: change().short_code(), wanted: Count::from(1), expires, page })
    }
}

impl Broker for Scripted {
    fn ask<'a>(&'a self, who: &'a Who, request: &'a keyblind_intent::Request, _: Option<&'a [u8]>) -> Answering<'a> {
        let word = match request {
            keyblind_intent::Request::Intent(intent) => intent.name().to_owned(),
            keyblind_intent::Request::Control(keyblind_intent::Control::FollowChange { .. }) => "follow-change".to_owned(),
            keyblind_intent::Request::Control(_) => "list-connections".to_owned(),
        };
        self.asked.lock().unwrap().push(format!("{word} for {} of {}", who.subject, who.tenant));
        let (expected, answer) = self.lines.lock().unwrap().pop_front().unwrap_or_else(|| panic!("nobody expects {word}"));
        assert_eq!(word, expected);
        let answer = answer();
        Box::pin(std::future::ready(answer))
    }
}

fn repository() -> Repository {
    Repository { forge: "github".parse().unwrap(), owner: "octo-org".parse().unwrap(), name: "shop".parse().unwrap() }
}

fn change() -> Digest {
    Digest::of(b"a change")
}

/// What the scanner composes of the fixes.
fn proposed(base_commit: char) -> Vec<u8> {
    let (old, new) = (b"acl = \"public-read\"\n", b"acl = \"private\"\n");
    let path = RepositoryPath::new("main.tf").unwrap();
    let files = vec![AttachedFile { path, before: Some(Digest::of(old)), after: Bulk::of(new), mode: FileMode::Plain }];
    let request = ProposePullRequest {
        repository: repository(),
        base: "main".parse().unwrap(),
        base_commit: base_commit.to_string().repeat(40).parse().unwrap(),
        branch: "keyblind/fix-x".parse().unwrap(),
        files,
        contents: Bulk::of(new),
        title: "Fix s3-bucket-acl-public-read (1 finding in 1 file)".parse().unwrap(),
        explanation: Prose::default(),
        fixes: vec!["s3-bucket-acl-public-read".parse().unwrap()],
    };
    let head = Proposed { request, fingerprints: vec!["3f9a".parse().unwrap()] }.head().unwrap();
    [&head[..], new].concat()
}

const FAILED: &str = r#"{"summary":{"failed_by_severity":{"high":1},"unknown":0,"resources":2,"incomplete":false},"results":[{"status":"failed","fingerprint":"3f9a","fix":{"class":"safe"}}]}"#;
const CLEAN: &str = r#"{"summary":{"failed_by_severity":{},"unknown":0,"resources":2,"incomplete":false},"results":[]}"#;

/// A stand-in for the scanner: what is wrong at commit a… is mended at commit b….
fn scanner(folder: &Folder, base_commit: char) -> keyblind_mission::Leaf {
    folder.write("proposed", proposed(base_commit));
    folder.write("failed.json", FAILED);
    folder.write("clean.json", CLEAN);
    let path = folder.path().display();
    let script = format!(
        r#"[ "$(cat /proc/self/fd/0)" = "an archive" ] || exit 9
case "$*" in
  *" --pr "*) cat {path}/proposed ;;
  "fix "*) echo "a patch" ;;
  *bbbbbbbb*) cat {path}/clean.json ;;
  *json*) cat {path}/failed.json ;;
  *) echo "a page" ;;
esac
exit 1"#
    );
    stand_in(folder, &script)
}

struct Scene {
    world: World,
    folder: Folder,
    broker: Scripted,
    id: MissionId,
    base_commit: char,
}

impl Scene {
    async fn of(world: World, request: Request, broker: Scripted) -> Self {
        let id = world.begin_with(request).await;
        Self { world, folder: Folder::new([]), broker, id, base_commit: 'a' }
    }

    fn runner(&self) -> Runner<LeafWork> {
        let leaf = scanner(&self.folder, self.base_commit);
        let work = LeafWork::new(leaf, Vec::new(), self.world.clock()).with_broker(Arc::new(self.broker.clone()));
        let patience = Patience { word: Duration::from_millis(20), attempts: 3, ..Patience::default() };
        Runner::new(self.world.store.clone(), work, self.world.clock(), LIMITS, patience, "runner")
    }

    /// Does what can be done now.
    async fn go(&self) {
        let runner = self.runner();
        while runner.step().await.unwrap() {}
    }

    async fn stands(&self) -> (MissionState, String, Option<WaitsFor>) {
        let row = self.world.row(self.id).await;
        (row.state, row.step, row.waits_for)
    }

    /// The kinds of its events, without what the scanner says.
    async fn told(&self) -> Vec<String> {
        let mut told = self.world.told(self.id).await;
        told.retain(|kind| kind != "said" && kind != "step-begun");
        told
    }

    async fn last(&self) -> String {
        self.world.store.events(&self.world.tenant, self.id, 0, 1_000).await.unwrap().last().unwrap().body.clone()
    }

    async fn document(&self, name: &str) -> Option<String> {
        let bytes = self.world.store.document(&self.world.tenant, self.id, name).await.unwrap()?;
        Some(String::from_utf8(bytes).unwrap())
    }
}

fn scan() -> Request {
    Request::ScanRepository { repository: repository(), revision: Revision::DefaultBranch }
}

fn fix() -> Request {
    Request::FixRepository { repository: repository(), revision: Revision::DefaultBranch, base: None, choice: Choice::default() }
}

fn account() -> AccountId {
    "111122223333".parse().unwrap()
}

fn pull_request(commit: char) -> Outcome {
    let commit = commit.to_string().repeat(40).parse().unwrap();
    Outcome::PullRequestProposed { number: Count::from(7), commit, result: keyblind_intent::ProposalResult::Opened }
}

on_both! {
    async fn a_repository_is_read_once_and_judged_from_a_descriptor(world) {
        let scene = Scene::of(world, scan(), Scripted::default().tree('a')).await;
        scene.go().await;
        assert_eq!(scene.stands().await.0, MissionState::Done, "{}", scene.last().await);
        assert_eq!(scene.told().await, ["begun", "fetched", "scanned", "fixed", "reported", "done"]);
        assert_eq!(*scene.broker.asked.lock().unwrap(), ["read-repository for anna of octo"]);
        for (name, text) in [("report.json", FAILED), ("report.html", "a page\n"), ("report.sarif", "a page\n"), ("fixes.patch", "a patch\n")] {
            assert_eq!(scene.document(name).await.as_deref(), Some(text), "{name}");
        }
    }

    async fn another_worker_has_the_same_commit_read_again(world) {
        let broker = Scripted::default().tree('a').tree('a');
        let scene = Scene::of(world, scan(), broker).await;
        let dying = scene.runner();
        assert!(dying.step().await.unwrap());
        // What it had read is gone with it.
        drop(dying);
        scene.go().await;
        assert_eq!(scene.stands().await.0, MissionState::Done, "{}", scene.last().await);
        assert_eq!(scene.told().await.iter().filter(|kind| *kind == "fetched").count(), 2);
    }

    async fn fixes_become_a_pull_request_after_somebodys_yes(world) {
        let broker = Scripted::default().tree('a').wanted("propose-pull-request").change(ChangeState::Waiting, None);
        let scene = Scene::of(world, fix(), broker).await;
        scene.go().await;
        assert_eq!(scene.stands().await, (MissionState::Waiting, "approval".to_owned(), Some(WaitsFor::Approval)));
        assert_eq!(scene.told().await, ["begun", "fetched", "scanned", "fixed", "approval-wanted", "approved"]);
        let stored: Vec<String> = scene.world.store.rows(&scene.world.tenant, scene.id).await.unwrap().iter().filter(|row| row.table == "jobs").flat_map(|row| row.values.clone()).filter(|(column, _)| column == "ticket").map(|(_, value)| value).collect();
        assert_eq!(stored, ["-"], "nobody holds it");
        // For two days nobody says anything: nothing is written down but that.
        for _ in 0..48 {
            scene.broker.clone().change(ChangeState::Waiting, None);
            scene.world.hands.forward(3_600);
            scene.go().await;
        }
        let (events, audit) = (scene.told().await.len(), scene.world.store.audit(&scene.world.tenant, 1_000).await.unwrap().len());
        assert_eq!((events, audit), (6, 6), "begun, four steps, and that it waits");
        scene.broker.clone().change(ChangeState::Approved, None).change(ChangeState::Approved, None);
        scene.world.hands.forward(3_600);
        scene.go().await;
        assert_eq!(scene.stands().await, (MissionState::Waiting, "apply".to_owned(), Some(WaitsFor::Effect)));
        // The pull request's head is read, and what it should mend is gone there; the report is about what was read first.
        scene.broker.clone().change(ChangeState::Applied, Some(pull_request('b'))).tree('b').tree('a');
        scene.world.hands.forward(5);
        scene.go().await;
        assert_eq!(scene.stands().await.0, MissionState::Done, "{}", scene.last().await);
        assert_eq!(scene.told().await[6..], ["decided", "fetched", "verified", "fetched", "reported", "done"]);
        assert!(scene.document("verified.json").await.unwrap().contains("\"results\":[]"));
    }

    async fn a_no_a_late_yes_and_a_stop_end_it_with_their_words(world) {
        for (state, word) in [(ChangeState::Denied, "somebody said no"), (ChangeState::Expired, "nobody decided in time"), (ChangeState::Halted, "everything was stopped")] {
            let broker = Scripted::default().tree('a').wanted("propose-pull-request").change(state, None);
            let id = world.begin_with(fix()).await;
            let folder = Folder::new([]);
            let work = LeafWork::new(scanner(&folder, 'a'), Vec::new(), world.clock()).with_broker(Arc::new(broker));
            let runner = Runner::new(world.store.clone(), work, world.clock(), LIMITS, Patience::default(), "runner");
            while runner.step().await.unwrap() {}
            assert_eq!(world.row(id).await.state, MissionState::Failed);
            let last = world.store.events(&world.tenant, id, 0, 100).await.unwrap().last().unwrap().body.clone();
            assert!(last.contains(word), "{last}");
        }
    }

    async fn a_finding_that_is_still_there_is_said(world) {
        let broker = Scripted::default().tree('a').wanted("propose-pull-request");
        let broker = broker.change(ChangeState::Approved, None).change(ChangeState::Applied, Some(pull_request('c'))).tree('c');
        let scene = Scene::of(world, fix(), broker).await;
        scene.go().await;
        assert_eq!(scene.stands().await.0, MissionState::Failed);
        assert!(scene.last().await.contains("1 findings are still there"), "{}", scene.last().await);
    }

    async fn consent_that_lapsed_stops_it_until_somebody_reconnects(world) {
        let lapsed = || Outcome::NotReady { provider: Provider::Github, state: ConnectionState::Expired };
        let broker = Scripted::default().outcome("read-repository", lapsed()).outcome("read-repository", lapsed());
        let scene = Scene::of(world, scan(), broker).await;
        scene.go().await;
        assert_eq!(scene.stands().await, (MissionState::Waiting, "fetch".to_owned(), Some(WaitsFor::Reconnection)));
        scene.world.hands.forward(5);
        scene.go().await;
        assert_eq!(scene.told().await, ["begun", "waits"], "said once");
        scene.broker.clone().tree('a');
        scene.world.hands.forward(5);
        scene.go().await;
        assert_eq!(scene.stands().await.0, MissionState::Done, "{}", scene.last().await);
        assert_eq!(scene.told().await[1..3], ["waits", "fetched"]);
        assert!(scene.told().await.contains(&"resumed".to_owned()));
    }

    async fn consent_that_lapsed_between_the_yes_and_the_effect_stops_it_too(world) {
        let lapsed = Outcome::NotReady { provider: Provider::Github, state: ConnectionState::SignedOut };
        let broker = Scripted::default().tree('a').wanted("propose-pull-request").change(ChangeState::Approved, Some(lapsed));
        let scene = Scene::of(world, fix(), broker).await;
        scene.go().await;
        assert_eq!(scene.stands().await, (MissionState::Waiting, "approval".to_owned(), Some(WaitsFor::Reconnection)));
        let applied = || Some(pull_request('b'));
        scene.broker.clone().change(ChangeState::Applied, applied()).tree('b').tree('a');
        scene.world.hands.forward(5);
        scene.go().await;
        assert_eq!(scene.stands().await.0, MissionState::Done, "{}", scene.last().await);
    }

    async fn a_broker_that_is_away_costs_no_attempt(world) {
        let away = || Err(BrokerError::Away("nobody answers".to_owned()));
        let scene = Scene::of(world, scan(), Scripted::default()).await;
        for _ in 0..20 {
            scene.broker.clone().then("read-repository", away);
            scene.go().await;
            assert_eq!(scene.stands().await.2, Some(WaitsFor::Broker));
            scene.world.hands.forward(60);
        }
        scene.broker.clone().tree('a');
        scene.go().await;
        assert_eq!(scene.stands().await.0, MissionState::Done);
        assert_eq!(scene.told().await.iter().filter(|kind| *kind == "waits").count(), 1);
    }

    async fn a_stop_and_a_refusal_end_it_and_say_what_to_do(world) {
        for (outcome, words) in [
            (Outcome::Refused(Refusal::Halted), "everything was stopped"),
            (Outcome::Refused(Refusal::OtherTenant), "somebody else's"),
            (Outcome::NotConfigured { missing: keyblind_intent::Missing::Provider(Provider::Github) }, "lacks Github"),
            (Outcome::Failed { failure: keyblind_intent::Failure::NotFound, status: Some(404), retry_after_seconds: None, said: Some(Foreign::new("no\u{1b}[2J")) }, "has no such thing"),
        ] {
            let broker = Scripted::default().outcome("read-repository", outcome);
            let id = world.begin_with(scan()).await;
            let folder = Folder::new([]);
            let work = LeafWork::new(scanner(&folder, 'a'), Vec::new(), world.clock()).with_broker(Arc::new(broker));
            let runner = Runner::new(world.store.clone(), work, world.clock(), LIMITS, Patience::default(), "runner");
            while runner.step().await.unwrap() {}
            assert_eq!(world.row(id).await.state, MissionState::Failed);
            let last = world.store.events(&world.tenant, id, 0, 100).await.unwrap().last().unwrap().body.clone();
            assert!(last.contains(words) && !last.contains("\\u001b"), "{last}");
        }
    }

    async fn a_leaf_that_asks_for_something_else_gets_nothing(world) {
        let scene = Scene { base_commit: 'f', ..Scene::of(world, fix(), Scripted::default().tree('a')).await };
        scene.go().await;
        assert_eq!(scene.stands().await.0, MissionState::Failed);
        assert!(scene.last().await.contains("composed a pull request for something else"), "{}", scene.last().await);
        assert_eq!(scene.broker.asked.lock().unwrap().len(), 1, "the broker was asked to read, and for nothing more");
    }

    async fn one_call_on_an_account_is_asked_for_made_and_looked_at(world) {
        let remediation = Remediation::BlockBucket { region: "eu-central-1".parse().unwrap(), bucket: "logs".to_owned() };
        let request = Request::Remediate { account: Account::Numbered(account()), remediation };
        let applied = Outcome::ActionApplied { before: Digest::of(b"1"), after: Digest::of(b"2"), undo: None };
        let broker = Scripted::default().wanted("apply-action").change(ChangeState::Approved, None).change(ChangeState::Applied, Some(applied));
        let broker = broker.then("snapshot-account", || {
            let snapshot = BulkFile::from_bytes(b"an archive").unwrap();
            let (calls, failed) = (Count::from(9), Count::from(0));
            Ok((Answer::Outcome(Outcome::AccountSnapshotted { account: account(), snapshot: snapshot.bulk(), calls, failed }), Some(snapshot)))
        });
        let scene = Scene::of(world, request, broker).await;
        scene.go().await;
        assert_eq!(scene.stands().await.0, MissionState::Done, "{}", scene.last().await);
        assert_eq!(scene.told().await, ["begun", "approval-wanted", "approved", "decided", "fetched", "scanned", "done"]);
    }

    async fn a_finding_is_looked_at_again(world) {
        let origin = Origin::Repository(repository(), Revision::DefaultBranch);
        for (commit, gone) in [('a', 0), ('b', 1)] {
            let id = world.begin_with(Request::Reverify { origin: origin.clone(), fingerprint: "3f9a".parse().unwrap() }).await;
            let folder = Folder::new([]);
            let broker = Scripted::default().tree(commit);
            let work = LeafWork::new(scanner(&folder, 'a'), Vec::new(), world.clock()).with_broker(Arc::new(broker));
            let runner = Runner::new(world.store.clone(), work, world.clock(), LIMITS, Patience::default(), "runner");
            while runner.step().await.unwrap() {}
            assert_eq!(world.row(id).await.state, MissionState::Done);
            let events = world.store.events(&world.tenant, id, 0, 100).await.unwrap();
            let verified = events.iter().find(|event| event.kind == "verified").unwrap();
            assert_eq!(verified.body, format!(r#"{{"event":"verified","gone":{gone},"left":{}}}"#, 1 - gone));
        }
    }

    async fn a_handle_is_in_no_row_of_a_mission(world) {
        let handle = Handle::new("H".repeat(42) + "A").unwrap();
        let until = UnixMillis::new(world.hands.now().get() + 1_000);
        world.store.keep_handle(&world.tenant, &world.owner, &handle, until, world.hands.now()).await.unwrap();
        assert_eq!(world.store.handle(&world.tenant, &world.owner, world.hands.now()).await.unwrap(), Some(handle.clone()));
        let broker = Scripted::default().tree('a').wanted("propose-pull-request").change(ChangeState::Waiting, None);
        let scene = Scene::of(world, fix(), broker).await;
        scene.go().await;
        let rows = scene.world.store.rows(&scene.world.tenant, scene.id).await.unwrap();
        assert!(!format!("{rows:?}").contains(handle.expose()));
        scene.world.hands.forward(2);
        let over = scene.world.store.handle(&scene.world.tenant, &scene.world.owner, scene.world.hands.now()).await.unwrap();
        assert_eq!(over, None, "it is over");
    }
}
