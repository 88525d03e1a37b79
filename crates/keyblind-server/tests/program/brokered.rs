//! The finished server, scanner and broker together. GitHub is `emulate` (its OpenAPI description judges each request); people are at the
//! broker's pages.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use keyblind_intent::{HandOverCode, HandOverState, HandedOver, SubjectId};
use keyblind_mission::{Request, SocketBroker, SystemClock, Who, Wish, begin, log_out, take_over};
use keyblind_prove::door::Visitor;
use keyblind_store::{MissionId, MissionState, Place, Store, WaitsFor};
use keyblind_testkit::{Outcome, Peer, Program};
use serde_json::{Value, json};

use crate::{PROGRAM, Running, end, scanner};

const BEFORE: &str = "resource \"aws_db_instance\" \"a\" {\n  publicly_accessible = true\n}\n";

/// The broker's program, which `cargo test --workspace` builds beside the server.
fn broker() -> PathBuf {
    let broker = Path::new(PROGRAM).with_file_name("keyblind-broker");
    assert!(broker.is_file(), "`keyblind-broker` isn't built: run `cargo xtask test`");
    broker
}

/// A broker whose App is installed at a GitHub, a server that asks it, and a person at its pages.
struct World {
    github: Peer,
    folder: tempfile::TempDir,
    /// Whom the server takes itself for.
    own: &'static str,
    broker: Running,
    browser: Visitor,
}

impl World {
    /// `peer` is what the broker's configuration says of the server beside who it is.
    fn new(own: &'static str, peer: &str) -> Self {
        let github = Peer::github(&json!({
            "repositories": [{"owner": "acme", "name": "infra", "private": true}],
            "permissions": {"contents": "write", "pull_requests": "write", "metadata": "read", "workflows": "write"},
        }));
        let folder = tempfile::Builder::new().permissions(std::fs::Permissions::from_mode(0o700)).tempdir().unwrap();
        // Nobody else takes it in the moment between.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(
            at("policy.toml"),
            "version = 1\nsolo = \"me\"\n[people.me]\nidentities = [{ issuer = \"local\", subject = \"alice\" }]\n\
             roles = [\"owner\", \"approver\", \"security\"]\ntenants = [\"octo\"]\n\
             [[rules]]\nname = \"all\"\nchannels = [\"session\"]\n",
        )
        .unwrap();
        let user = rustix::process::geteuid().as_raw();
        let text = |role: &str, subject: &str, peer: &str| {
            format!(
                "state = {:?}\n[socket]\npath = {:?}\n[[peer]]\nuser = {user}\ntenant = \"octo\"\nsubject = {subject:?}\nrole = {role:?}\n{peer}\n\
                 [door]\norigin = \"http://approve.localhost:{port}\"\nlisten = \"127.0.0.1:{port}\"\n\
                 application = \"http://keyblind.localhost:4300\"\n[approvals]\npolicy = {:?}\n\
                 [github]\napp = 4242\nslug = \"keyblind\"\napi = {:?}\narchives = {:?}\nprivate = true\n",
                at("state"),
                at("socket/broker.sock"),
                at("policy.toml"),
                github.url(),
                github.told("codeload")
            )
        };
        std::fs::write(at("person.toml"), text("person", "local:alice", "")).unwrap();
        std::fs::write(at("broker.toml"), text("runner", own, peer)).unwrap();
        let said = format!(
            "database = {:?}\ntenant = \"octo\"\nsubject = {own:?}\n[scan]\nprogram = {:?}\nsandbox = \"available\"\n[broker]\nsocket = {:?}\n",
            at("server.db"),
            scanner(),
            at("socket/broker.sock")
        );
        std::fs::write(at("server.toml"), said).unwrap();
        let mut keep =
            command(&at("broker.toml"), &["keep", "github-app-key"]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        keep.stdin.take().unwrap().write_all(github.told("private_key").as_bytes()).unwrap();
        assert!(keep.wait().unwrap().success());
        commit(&github, BEFORE);
        // Whoever is at the pages shows on this machine who it is: by the socket, before the server has it.
        let first = start(&at("person.toml"));
        let login = command(&at("person.toml"), &["login"]).output().unwrap();
        let said = String::from_utf8(login.stdout).unwrap();
        let link = said.lines().next().and_then(|line| line.strip_prefix("open ")).unwrap_or_else(|| panic!("no link in {said}"));
        let mut browser = Visitor::at(port);
        browser.log_in(link).unwrap();
        end(first);
        let broker = start(&at("broker.toml"));
        Self { github, folder, own, broker, browser }
    }

    fn ask(&self, arguments: &[&str]) -> Outcome {
        let configuration = self.folder.path().join("server.toml").display().to_string();
        Program::new(PROGRAM).with(["--config", &configuration]).with(arguments.iter().copied()).within(self.folder.path()).run()
    }

    fn runner(&self) -> Running {
        let mut runner = Command::new(PROGRAM);
        runner.args(["runner", "--config"]).arg(self.folder.path().join("server.toml")).env_clear();
        let mut runner = runner.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut said = String::new();
        BufReader::new(runner.stderr.as_mut().unwrap()).read_line(&mut said).unwrap();
        assert_eq!(said, "keyblind-server: ready\n");
        Running(runner)
    }

    /// What a mission says once it says that.
    fn until(&self, id: &str, wanted: &str) -> String {
        let asked = Instant::now();
        loop {
            let shown = self.ask(&["mission", "show", id]).output;
            if shown.contains(wanted) {
                return shown;
            }
            assert!(asked.elapsed() < Duration::from_secs(120), "it never says `{wanted}`: {shown}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn begin(&self, arguments: &[&str]) -> String {
        let begun = self.ask(&[&["mission"], arguments].concat());
        assert_eq!(begun.code, Some(0), "{}{}", begun.output, begun.errors);
        begun.output.trim().to_owned()
    }

    fn pulls(&self) -> usize {
        person(&self.github, "GET", "/repos/acme/infra/pulls?state=all", Value::Null).as_array().unwrap().len()
    }
}

fn command(configuration: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(broker());
    command.arg("--config").arg(configuration).args(arguments).env_clear().env("HOME", configuration.parent().unwrap());
    command
}

fn start(configuration: &Path) -> Running {
    let mut child: Child = command(configuration, &["run"]).stderr(Stdio::piped()).spawn().unwrap();
    let mut errors = BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    while !said.contains("listening at") {
        let before = said.len();
        errors.read_line(&mut said).unwrap();
        assert!(said.len() > before, "it ended before it listened: {said}");
    }
    // Nobody reads on; what it says goes nowhere, and stops it nowhere.
    std::thread::spawn(move || std::io::copy(&mut errors, &mut std::io::sink()));
    Running(child)
}

/// What a person does at GitHub.
fn person(github: &Peer, method: &str, path: &str, body: Value) -> Value {
    let done = github.ask("POST", "/as-owner", &json!({"method": method, "path": path, "body": body}));
    assert!(done["status"].as_u64().unwrap() < 300, "{method} {path}: {done}");
    done["value"].clone()
}

/// A person's commit of the file on the main branch.
fn commit(github: &Peer, contents: &str) {
    let head = person(github, "GET", "/repos/acme/infra/git/ref/heads/main", Value::Null)["object"]["sha"].clone();
    let path = format!("/repos/acme/infra/git/commits/{}", head.as_str().unwrap());
    let tree = person(github, "GET", &path, Value::Null)["tree"]["sha"].clone();
    let entries = json!([{"path": "live/main.tf", "mode": "100644", "type": "blob", "content": contents}]);
    let tree = person(github, "POST", "/repos/acme/infra/git/trees", json!({"base_tree": tree, "tree": entries}))["sha"].clone();
    let commit = json!({"message": "By hand", "tree": tree, "parents": [head]});
    let commit = person(github, "POST", "/repos/acme/infra/git/commits", commit)["sha"].clone();
    person(github, "PATCH", "/repos/acme/infra/git/refs/heads/main", json!({"sha": commit, "force": false}));
}

/// The word behind another one.
fn behind<'t>(text: &'t str, word: &str) -> &'t str {
    text.split_once(word).map_or("", |(_, rest)| rest.split_whitespace().next().unwrap_or_default())
}

#[test]
fn a_repository_is_judged_fixed_after_somebodys_yes_and_judged_again() {
    let mut world = World::new("local:alice", "");
    let mut runner = world.runner();
    let scanned = world.begin(&["scan", "github:acme/infra"]);
    let shown = world.until(&scanned, "Z  done");
    assert!(shown.contains("acme/infra at ") && shown.contains("1 resources: "), "{shown}");
    let report: Value = serde_json::from_str(&world.ask(&["mission", "document", &scanned]).output).unwrap();
    let is_open = |result: &&Value| result["status"] == "failed" && result["fix"]["edits"][0]["path"].is_string();
    let public = report["results"].as_array().unwrap().iter().find(is_open);
    let (rule, fingerprint) = (public.unwrap()["rule"].as_str().unwrap(), public.unwrap()["fingerprint"].as_str().unwrap());

    let fixing = world.begin(&["fix", "github:acme/infra", "--rule", rule, "--all"]);
    let shown = world.until(&fixing, "wanted who say yes");
    let change = behind(&shown, "; change ").to_owned();
    assert_eq!(change.len(), 64, "{shown}");
    // The runner is killed while people think it over; the next one finds out what they decided.
    drop(runner);
    runner = world.runner();
    assert_eq!(world.pulls(), 0);
    assert_eq!(world.browser.decide(&change, "approve").unwrap().status, 303);
    let shown = world.until(&fixing, "Z  done");
    assert!(
        shown.contains("applied: pull request ") && shown.contains("looked at again: 1 findings are gone, 0 are still there"),
        "{shown}"
    );
    assert_eq!(world.pulls(), 1);

    let again = world.begin(&["reverify", &scanned, fingerprint]);
    let shown = world.until(&again, "Z  done");
    assert!(shown.contains("0 findings are gone, 1 are still there"), "nobody has merged it: {shown}");

    // What is done already is proposed to nobody again; what nobody wants ends with their word.
    commit(&world.github, &BEFORE.replace("\"a\"", "\"b\""));
    let refused = world.begin(&["fix", "github:acme/infra", "--rule", rule, "--all"]);
    let change = behind(&world.until(&refused, "wanted who say yes"), "; change ").to_owned();
    assert_eq!(world.browser.decide(&change, "refuse").unwrap().status, 303);
    assert!(world.until(&refused, "failed: ").contains("somebody said no"));
    assert_eq!(world.pulls(), 1);
    assert_eq!(world.github.violations(), json!([]));
    let stored = world.ask(&["mission", "inspect", &fixing]).output;
    for secret in ["ghs_", "ghp_", "BEGIN RSA", "BEGIN PRIVATE"] {
        assert!(!stored.contains(secret), "{secret}");
    }
    end(runner);
}

/// The code with which the broker's pages send the visitor's browser back.
fn hand_over(browser: &mut Visitor, state: &str) -> HandOverCode {
    let page = browser.get(&format!("/hand-over?state={state}")).unwrap();
    let to = page.location.unwrap_or_else(|| panic!("{} {}", page.status, page.text));
    let query = to.strip_prefix("http://keyblind.localhost:4300/login/return?code=").unwrap();
    HandOverCode::new(query.split('&').next().unwrap()).unwrap()
}

#[test]
fn a_mission_is_its_owners_as_long_as_they_are_logged_in() {
    let mut world = World::new("server", "speaks-for-people = true");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let runner = world.runner();
    let tenant: keyblind_intent::TenantId = "octo".parse().unwrap();
    let store = runtime.block_on(Store::open(&Place::File(world.folder.path().join("server.db")))).unwrap();
    let own = Who { tenant: tenant.clone(), subject: SubjectId::new(world.own).unwrap() };
    let clock = Arc::new(SystemClock);
    let broker = SocketBroker::new(world.folder.path().join("socket/broker.sock"), store.clone(), own, clock.clone());
    let state = "S".repeat(42) + "A";
    let log_in = |world: &mut World| -> HandedOver {
        let code = hand_over(&mut world.browser, &state);
        let state = || HandOverState::new(state.clone()).unwrap();
        let taken = |code: HandOverCode| runtime.block_on(take_over(&broker, &store, code, state(), &*clock)).unwrap();
        let person = taken(code.clone()).expect("the code is fresh");
        assert!(taken(code).is_none(), "and good once");
        person
    };
    let person = log_in(&mut world);
    assert_eq!((person.subject.as_str(), person.tenant.as_str()), ("local:alice", "octo"));
    let mission = |subject: &SubjectId| -> MissionId {
        let Ok(request) = serde_json::from_value::<Request>(
            json!({"kind": "scan-repository", "repository": {"forge": "github", "owner": "acme", "name": "infra"}, "revision": "default-branch"}),
        ) else {
            panic!("a request")
        };
        let wish = Wish { tenant: tenant.clone(), owner: subject.clone(), request, idempotency: None };
        runtime.block_on(begin(&store, &wish, keyblind_mission::Clock::now(&*clock))).unwrap().id()
    };
    let row = |id: MissionId| runtime.block_on(store.mission(&tenant, id)).unwrap().unwrap();
    let until = |id: MissionId, what: &str, is_so: &dyn Fn(&keyblind_store::MissionRow) -> bool| {
        let asked = Instant::now();
        while !is_so(&row(id)) {
            assert!(asked.elapsed() < Duration::from_secs(90), "{what} never came true: {:?}", row(id));
            std::thread::sleep(Duration::from_millis(100));
        }
    };
    let first = mission(&person.subject);
    until(first, "the scan for her", &|row| row.state == MissionState::Done);
    // She logs out of the application: what she began waits for her, and goes on when she is back.
    runtime.block_on(log_out(&broker, &store, person.handle)).unwrap();
    let second = mission(&person.subject);
    until(second, "that it waits for her", &|row| row.waits_for == Some(WaitsFor::Reconnection));
    let back = log_in(&mut world);
    until(second, "that it goes on", &|row| row.state == MissionState::Done);
    // A stop ends it for everybody.
    let killed = command(&world.folder.path().join("broker.toml"), &["kill"]).output().unwrap();
    assert!(killed.status.success());
    let third = mission(&back.subject);
    until(third, "that nothing goes on", &|row| row.waits_for == Some(WaitsFor::Reconnection) || row.state == MissionState::Failed);
    end(runner);
    end(world.broker);
    let ledger = command(&world.folder.path().join("broker.toml"), &["ledger", "export"]).output().unwrap();
    let ledger = String::from_utf8(ledger.stdout).unwrap();
    for (event, times) in [("handed-over", 2), ("handle-ended", 2)] {
        assert_eq!(ledger.matches(&format!("\"{event}\"")).count(), times, "{event}");
    }
}
