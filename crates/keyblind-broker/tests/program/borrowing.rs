//! What a person connected is borrowed for her: from the terminal to a pull request, without any App.
//!
//! The identity provider is `oidc-provider` (Token Vault and connected accounts are played in front of it), GitHub is `emulate`, the
//! browser is Chromium, and the programs are the finished ones.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use keyblind_broker::socket::Client;
use keyblind_intent::{Answer, ConnectionState, Control, Outcome, Report, Request, decode};
use keyblind_prove::door::Visitor;
use keyblind_testkit::Peer;
use serde_json::{Value, json};

use crate::changing::{commit, person};
use crate::chromium::Chromium;
use crate::support::{PROGRAM, Place, Running, eventually, text};

const BEFORE: &str = "resource \"aws_db_instance\" \"a\" {\n  engine              = \"mysql\"\n  publicly_accessible = true\n}\n";
const FIX: &[&str] = &["fix", "github:acme/infra", "--pr", "--all", "--rule", "database-publicly-accessible"];

/// A broker without an App, the providers, and Mia at her terminal. Olga approves on her phone.
struct World {
    github: Peer,
    login: Peer,
    place: Place,
    broker: Option<Running>,
    port: u16,
}

impl World {
    fn new() -> Self {
        let administrator = "[login.administrator]\nclient = \"keyblind-admin\"\n";
        Self::with(&format!("{administrator}[[login.accounts]]\nconnection = \"github\"\n"), &json!([]))
    }

    /// At a provider that exchanges tokens for that resource.
    fn exchanging() -> Self {
        let resource = "https://api.github.example/";
        Self::with(&format!("[[login.accounts]]\nresource = {resource:?}\n"), &json!([{"resource": resource}]))
    }

    fn with(accounts: &str, exchanges: &Value) -> Self {
        let github = Peer::github(&json!({
            "repositories": [{"owner": "acme", "name": "infra", "private": true}],
            "permissions": {"contents": "read"},
        }));
        // Nobody else takes it in the moment between.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let origin = format!("http://approve.localhost:{port}");
        let login = Peer::oidc(&json!({
            "details": ["keyblind_change"], "api": "https://api.keyblind.example", "federated": true, "interval": 1,
            "redirects": [format!("{origin}/login/callback"), format!("{origin}/connect/callback")],
            "exchanges": exchanges, "tokens": {"github": github.told("lent").split(' ').collect::<Vec<_>>()},
        }));
        let mut place = Place::new();
        let policy = place.folder.path().join("policy.toml");
        std::fs::write(&policy, policy_text(login.told("issuer"), "broad-authority = [\"github:acme/*\"]\n")).unwrap();
        place.more = format!(
            "[door]\norigin = \"{origin}\"\nlisten = \"127.0.0.1:{port}\"\n[approvals]\npolicy = {policy:?}\n\
             [login]\nissuer = {:?}\nclient = \"keyblind\"\ntenant = \"octo\"\nname = \"Example\"\nprivate = true\ndevices = \"plain\"\n\
             audience = \"https://api.keyblind.example\"\nasks-consent = true\n\
             {accounts}name = \"my-github\"\nprovider = \"github\"\nscopes = [\"repo\"]\n\
             [github]\napi = {:?}\narchives = {:?}\nprivate = true\n",
            login.told("issuer"),
            github.url(),
            github.told("codeload"),
        );
        keep(&place, "client-credential", login.told("client_secret"));
        if accounts.contains("administrator") {
            keep(&place, "administrator-credential", login.told("client_secret"));
        }
        commit(&github, BEFORE);
        let broker = place.start();
        Self { github, login, place, broker: Some(broker), port }
    }

    fn origin(&self) -> String {
        format!("http://approve.localhost:{}", self.port)
    }

    fn blind(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(blind_program());
        command.args(arguments).env_clear().env("HOME", self.place.folder.path());
        command.env("KEYBLIND_BROKER_CONFIG", self.place.configured()).env("KEYBLIND_BROKER_SOCKET", self.place.socket());
        command.current_dir(self.place.folder.path());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.blind(arguments).output().unwrap()
    }

    /// What the person at the terminal is told when something doesn't work.
    fn refused(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
        text(&output.stderr).to_owned()
    }

    /// Somebody logs in without a browser's own rules.
    fn visitor(&self, who: &str) -> Visitor {
        let mut visitor = Visitor::at(self.port);
        let page = visitor.post("/login/start", &[("to", "/")]).unwrap();
        let start = page.text.find("content=\"0; url=").unwrap_or_else(|| panic!("{} {}", page.status, page.text)) + 16;
        let onward = page.text[start..].split('"').next().unwrap().replace("&#38;", "&").replace("&amp;", "&");
        let back = self.login.ask("POST", "/browse", &json!({"url": onward, "account": who}));
        let back = back["location"].as_str().unwrap().strip_prefix(&self.origin()).unwrap().to_owned();
        assert_eq!(visitor.get(&back).unwrap().status, 200);
        visitor
    }

    /// Waits until Olga's phone asks, and says yes there.
    fn approve(&self, code: &str) {
        let asked = || {
            let pending = self.login.ask("GET", "/pending", &Value::Null);
            pending
                .as_array()
                .unwrap()
                .iter()
                .find(|one| one["account"] == "olga" && one["message"].as_str().unwrap().contains(code))
                .cloned()
        };
        eventually("the question on the phone", || asked().is_some());
        let asked = asked().unwrap();
        assert!(asked["details"].to_string().contains("whole-account"), "{asked}");
        self.login.ask("POST", "/approve", &json!({"account": "olga", "message": asked["message"]}));
    }

    /// How many tokens GitHub doesn't take any more.
    fn dead(&self) -> usize {
        let all = self.github.ask("GET", "/tokens", &Value::Null);
        all.as_array().unwrap().iter().filter(|token| token["dead"] == true).count()
    }

    /// Ends the broker, and judges what it recorded.
    fn close(mut self) -> keyblind_ledger::Report {
        let (code, said) = self.broker.take().unwrap().terminate();
        assert_eq!(code, Some(0), "{said}");
        let key = self.place.ask(&["ledger", "key"]);
        let export = self.place.ask(&["ledger", "export"]);
        let key = text(&key.stdout).trim().parse().unwrap();
        let report = keyblind_ledger::verify(&export.stdout[..], &key, &keyblind_ledger::Expected::default()).unwrap();
        assert!(report.is_sound(), "{report:?}");
        assert!(self.github.told("lent").split(' ').all(|token| !text(&export.stdout).contains(token)));
        assert_eq!((self.github.violations(), self.login.violations()), (json!([]), json!([])));
        report
    }
}

/// Puts a secret into the sealed store.
fn keep(place: &Place, what: &str, secret: &str) {
    let mut keep = place.command(&["keep", what]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    keep.stdin.take().unwrap().write_all(secret.as_bytes()).unwrap();
    assert!(keep.wait_with_output().unwrap().status.success());
}

/// Beside the broker: `cargo test --workspace` builds it.
fn blind_program() -> PathBuf {
    let program = Path::new(PROGRAM).with_file_name("keyblind");
    assert!(program.is_file(), "`keyblind` isn't built: run `cargo xtask test`");
    program
}

fn policy_text(issuer: &str, more: &str) -> String {
    let person = |name: &str, roles: &str| {
        format!(
            "[people.{name}]\nroles = [{roles}]\ntenants = [\"octo\"]\n[[people.{name}.identities]]\nissuer = {issuer:?}\nsubject = {name:?}\n"
        )
    };
    format!(
        "version = 1\n{more}{}[[people.mia.identities]]\nissuer = \"local\"\nsubject = \"alice\"\n{}{}\
         [[rules]]\nname = \"all\"\nchannels = [\"phone\"]\n",
        person("mia", "\"member\""),
        person("olga", "\"owner\", \"approver\""),
        person("omar", "\"owner\""),
    )
}

/// A program that goes on by itself, and what it has said so far.
struct Asking {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
    errors: std::sync::Arc<std::sync::Mutex<String>>,
    said: String,
}

impl Asking {
    fn begin(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let errors = std::sync::Arc::new(std::sync::Mutex::new(String::new()));
        let (kept, stderr) = (std::sync::Arc::clone(&errors), BufReader::new(child.stderr.take().unwrap()));
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let mut kept = kept.lock().unwrap();
                kept.push_str(&line);
                kept.push('\n');
            }
        });
        Self { child, output, errors, said: String::new() }
    }

    fn errors(&self) -> String {
        self.errors.lock().unwrap().clone()
    }

    /// Reads on until it has said what begins a line so, and gives the rest of that line.
    fn until(&mut self, start: &str) -> String {
        loop {
            if let Some(rest) = self.said.lines().find_map(|line| line.strip_prefix(start)) {
                return rest.trim().to_owned();
            }
            assert!(self.output.read_line(&mut self.said).unwrap() > 0, "no {start} in {}{}", self.said, self.errors());
        }
    }

    fn end(mut self) -> (Option<i32>, String) {
        self.output.read_to_string(&mut self.said).unwrap();
        let code = self.child.wait().unwrap().code();
        (code, self.said.clone() + &self.errors())
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Pictures of the pages on a phone and on a desk.
fn look_at(browser: &mut Chromium, name: &str) {
    let pictures = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("borrowing");
    std::fs::create_dir_all(&pictures).unwrap();
    for (width, height) in [(360, 780), (1440, 900)] {
        browser.look(width, height, false);
        let overflows = browser.evaluate("document.documentElement.scrollWidth > window.innerWidth");
        assert_eq!(overflows, json!(false), "{name} is wider than {width} pixels");
        browser.picture(&pictures.join(format!("{name}-{width}.png")));
    }
}

#[test]
fn what_somebody_connected_reads_a_repository_and_opens_a_pull_request_after_a_yes_on_a_phone() {
    let world = World::new();
    let origin = world.origin();
    // Nobody has logged in yet, and nothing is connected: the terminal says what to do.
    let said = world.refused(&["scan", "github:acme/infra"]);
    assert!(said.contains("your login at the broker is over") && said.contains("`keyblind connect github`"), "{said}");

    let connect = world.run(&["connect", "github"]);
    let shown = text(&connect.stdout);
    let line = |start: &str| shown.lines().find_map(|line| line.strip_prefix(start)).unwrap_or_else(|| panic!("{shown}")).trim();
    let (page, code) = (line("open"), line("compare"));
    world.login.ask("POST", "/person", &json!({"account": "mia"}));
    let mut browser = Chromium::start();
    browser.open(page);
    browser.press("#log-in");
    browser.wait(&format!("document.querySelector('.short-code')?.innerText === {}", json!(code)));
    look_at(&mut browser, "connect");
    // In the only tab.
    browser.press("button.connect");
    browser.wait("document.location.pathname === '/connect/callback' && document.body.innerText.includes('is connected')");
    assert_eq!(text(&world.run(&["connect", "github"]).stdout), "`my-github` is connected\n");
    // Once more in a tab of its own; the first one notices by itself.
    browser.press("#back");
    browser.wait("document.location.pathname === '/connections' && document.querySelector('.account .sound') !== null");
    look_at(&mut browser, "connected");
    browser.press("button.disconnect");
    browser.wait("document.querySelector('button.connect') !== null");
    assert_eq!(world.dead(), 1, "what was allowed is over at GitHub too");
    let said = world.refused(&["scan", "github:acme/infra"]);
    assert!(said.contains("GitHub isn't connected: `keyblind connect github`"), "{said}");
    browser.press("button.connect");
    let first = browser.go_to_new_tab();
    browser.wait("document.location.pathname === '/connect/callback' && document.body.innerText.includes('is connected')");
    browser.go_to_tab(first);
    browser.wait("document.querySelector('.account .sound') !== null");

    // A private repository.
    let scan = world.run(&["scan", "github:acme/infra"]);
    assert_eq!(scan.status.code(), Some(1), "{}", text(&scan.stderr));
    assert!(text(&scan.stdout).contains("live/main.tf"), "{}", text(&scan.stdout));

    // A pull request. What is allowed lapses while Olga thinks about it.
    let mut asking = Asking::begin(world.blind(FIX));
    let page = asking.until("approve");
    let digest = page.rsplit('/').next().unwrap().to_owned();
    browser.open(&page);
    browser.wait("document.body.textContent.includes('everything that the asker’s own connected account reaches')");
    look_at(&mut browser, "change");
    let code = browser.evaluate("document.querySelector('.short-code').innerText");
    world.login.ask("POST", "/lapse", &json!({"account": "mia"}));
    world.approve(code.as_str().unwrap());
    eventually("that it waits", || asking.errors().contains("goes on by itself once this is seen to: GitHub must be connected again"));
    let said = world.refused(&["scan", "github:acme/infra"]);
    assert!(said.contains("GitHub must be connected again: `keyblind connect github`"), "{said}");
    browser.open(&format!("{origin}/connections"));
    browser.wait("document.body.innerText.includes('Connect the account again')");
    look_at(&mut browser, "lapsed");
    browser.press("button.connect");
    let first = browser.go_to_new_tab();
    browser.wait("document.body.innerText.includes('is connected')");
    browser.go_to_tab(first);
    let (code, said) = asking.end();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("opened   acme/infra#"), "{said}");
    let pulls = person(&world.github, "GET", "/repos/acme/infra/pulls?state=all", Value::Null);
    assert_eq!(pulls.as_array().unwrap().len(), 1);
    browser.open(&format!("{origin}/change/{digest}"));
    drop(browser);

    // GitHub itself doesn't take the token any more, which the vault doesn't know.
    world.github.fail(&json!({"path": "/repos/acme/infra", "status": 401, "body": {"message": "Bad credentials"}}));
    let said = world.refused(&["scan", "github:acme/infra"]);
    assert!(said.contains("GitHub must be connected again"), "{said}");
    let report = world.close();
    assert_eq!((report.writes, report.approvals), (1, 1), "{report:?}");
}

/// Each way in which there is no token is a state of its own for whoever asks.
#[test]
fn whoever_asks_is_told_why_there_is_no_token_and_what_to_do() {
    let mut world = World::new();
    let _mia = world.visitor("mia");
    let token = world.github.told("lent").split(' ').next().unwrap().to_owned();
    let connect = |scope: &str| {
        world.login.ask("POST", "/disconnect", &json!({"account": "mia"}));
        world.login.ask("POST", "/connect", &json!({"account": "mia", "connection": "github", "scope": scope, "token": token}));
    };
    let told = |expected: &str| {
        let said = world.refused(&["scan", "github:acme/infra"]);
        assert!(said.contains(expected), "{expected} in {said}");
    };
    told("GitHub isn't connected: `keyblind connect github`");
    connect("read:user");
    told("lacks a permission: `keyblind connect github`");
    // More than she was told when she connected it.
    connect("repo,delete_repo");
    told("the provider lent more than was asked for, so nothing was done");
    connect("repo");
    world.login.ask("POST", "/mfa", &json!({"on": true}));
    told("wants a second factor for each token");
    world.login.ask("POST", "/mfa", &json!({"on": false}));
    world.login.ask("POST", "/limit", &json!({"on": true}));
    told("asks to wait");
    world.login.ask("POST", "/limit", &json!({"on": false}));
    world.login.fail(&json!({"path": "/oauth/token", "status": 403, "body": {"error": "unauthorized_client"}}));
    told("the set-up at GitHub is wrong: `keyblind-broker doctor` says where");
    assert_eq!(world.run(&["scan", "github:acme/infra"]).status.code(), Some(1), "and it works");
    // Without the policy's word a token that reaches more than the repository isn't even asked for.
    let asked = || world.login.requests().iter().filter(|request| request["path"] == "/oauth/token").count();
    let before = asked();
    told_elsewhere(&world);
    assert_eq!(asked(), before);
    drop(world.broker.take());
    world.broker = Some(world.place.start());
    world.close();
}

/// A repository that the policy doesn't list under `broad-authority`.
fn told_elsewhere(world: &World) {
    let said = world.refused(&["scan", "github:other/infra"]);
    assert!(said.contains("the approval policy accepts that under `broad-authority`"), "{said}");
}

#[test]
fn the_app_is_used_where_there_is_one_but_for_the_owners_that_are_listed() {
    let mut world = World::new();
    let again = |world: &mut World, from: &str, to: &str| {
        let (code, said) = world.broker.take().unwrap().terminate();
        assert_eq!(code, Some(0), "{said}");
        world.place.more = world.place.more.replace(from, to);
        keep(&world.place, "github-app-key", world.github.told("private_key"));
        world.broker = Some(world.place.start());
    };
    again(&mut world, "[github]\n", "[github]\napp = 4242\nslug = \"keyblind\"\n");
    // Nobody has to have logged in for it.
    let scan = world.run(&["scan", "github:acme/infra"]);
    assert_eq!(scan.status.code(), Some(1), "{}", text(&scan.stderr));
    let tokens = world.github.ask("GET", "/tokens", &Value::Null);
    assert!(tokens.as_array().unwrap().iter().any(|token| !token["installation"].is_null()), "{tokens}");
    again(&mut world, "scopes = [\"repo\"]\n", "scopes = [\"repo\"]\ninstead-of-app = [\"acme\"]\n");
    let said = world.refused(&["scan", "github:acme/infra"]);
    assert!(said.contains("your login at the broker is over"), "{said}");
    world.close();
}

/// Each setting without which nothing can be borrowed is looked at where it is set.
fn the_doctor_names_the_setting(world: &World) {
    let doctor = || {
        let checked = world.place.ask(&["doctor", "login"]);
        (checked.status.code(), text(&checked.stdout).to_owned())
    };
    let (code, said) = doctor();
    assert_eq!((code, said.matches("sound  ").count()), (Some(0), said.lines().count()), "{said}");
    assert!(said.lines().count() >= 10, "{said}");
    let wrong = |setup: Value, advice: &str| {
        world.login.ask("POST", "/setup", &setup);
        let (code, said) = doctor();
        assert!(code == Some(1) && said.contains("broken      ") && said.contains(advice), "{advice}: {said}");
        world.login.ask("POST", "/setup", &json!({}));
    };
    wrong(json!({"client": {"refresh_token": {"rotation_type": "rotating"}}}), "Refresh Token Rotation: switch it off");
    wrong(json!({"mfa": ["all-applications"]}), "set the policy to Never");
    wrong(
        json!({"client": {"grant_types": ["authorization_code", "refresh_token"]}}),
        "switch on urn:auth0:params:oauth:grant-type:token-exchange:federated-connection-access-token, urn:openid:params:grant-type:ciba",
    );
    wrong(json!({"client": {"callbacks": []}}), "Allowed Callback URLs: add http://approve.localhost:");
    wrong(json!({"active": false}), "Connected Accounts for Token Vault");
    let refused = |path: &str, error: &str, advice: &str| {
        world.login.fail(&json!({"path": path, "status": 400, "body": {"error": error}}));
        let (code, said) = doctor();
        assert!(code == Some(1) && said.contains(advice), "{advice}: {said}");
    };
    refused("/oauth/par", "invalid_request", "/login/callback as a callback address of the client, exactly so");
    refused("/oauth/par", "invalid_client", "keep client-credential");
    refused("/oauth/token", "unauthorized_client", "Switch on the Token Vault grant");
}

#[test]
fn of_somebody_who_left_nothing_lives_on_and_a_stop_ends_every_login() {
    let mut world = World::new();
    let mut mia = world.visitor("mia");
    let token = world.github.told("lent").split(' ').next().unwrap().to_owned();
    world.login.ask("POST", "/connect", &json!({"account": "mia", "connection": "github", "scope": "repo", "token": token}));
    assert_eq!(world.run(&["scan", "github:acme/infra"]).status.code(), Some(1));
    let refused = world.place.ask(&["end-access", "mia"]);
    assert_eq!(refused.status.code(), Some(4), "who asks here is no operator: {}", text(&refused.stderr));
    let (code, said) = world.broker.take().unwrap().terminate();
    assert_eq!(code, Some(0), "{said}");
    world.place.role = "operator";
    world.broker = Some(world.place.start());
    let ended = world.place.ask(&["end-access", "mia"]);
    let said = text(&ended.stdout);
    for step in [
        "sound       1 sessions on the broker's pages ended",
        "sound       `my-github` is disconnected, and its token is dead",
        "sound       1 of 1 refresh tokens that the broker kept are revoked",
        "sound       all their sessions, refresh tokens and grants at the provider are ended",
        "sound       the provider keeps no account of theirs any more",
        "weak        a token that was borrowed for them",
        "it can't be revoked, and dies at ",
        "weak        the approval policy still lists mia",
    ] {
        assert!(said.contains(step), "{step} in {said}");
    }
    assert_eq!(ended.status.code(), Some(0), "{said}");
    assert_eq!(mia.get("/").unwrap().status, 303);
    assert_eq!(world.login.ask("GET", "/refresh-tokens", &Value::Null), json!([]));
    assert_eq!(world.login.ask("GET", "/ended-grants", &Value::Null), json!(["mia", "mia"]));

    the_doctor_names_the_setting(&world);

    // A stop by a command ends every login, here and there; the provider fails first, and the page says so meanwhile.
    let mut olga = world.visitor("olga");
    assert_eq!(olga.get("/connections").unwrap().status, 200);
    world.login.fail(&json!({"path": "/revoke-access$", "status": 500, "times": 2}));
    let killed = world.place.ask(&["kill"]);
    assert!(text(&killed.stdout).starts_with("stopped (stop 1): "), "{}", text(&killed.stdout));
    assert_eq!(olga.get("/connections").unwrap().status, 303, "no session outlives a stop");
    eventually("the end of every login", || world.login.ask("GET", "/refresh-tokens", &Value::Null) == json!([]));
    eventually("the end of every grant", || {
        world.login.ask("GET", "/ended-grants", &Value::Null).as_array().unwrap().contains(&json!("olga"))
    });
    world.close();
}

#[test]
fn what_a_provider_exchanges_a_login_for_reads_a_repository() {
    let world = World::exchanging();
    let github = world.github.told("lent").split(' ').next().unwrap().to_owned();
    let link = |scope: &str| world.login.ask("POST", "/link", &json!({"account": "mia", "token": github, "scope": scope}));
    let read = || {
        let mut client = Client::connect(&world.place.socket(), b"").unwrap();
        let request =
            r#"{"intent":{"read-repository":{"repository":{"forge":"github","owner":"acme","name":"infra"},"revision":"default-branch"}}}"#;
        match client.ask(&decode::<Request>(request.as_bytes()).unwrap(), None).unwrap().0 {
            Answer::Outcome(outcome) => outcome,
            Answer::Report(report) => panic!("{report:?}"),
        }
    };
    let state = || {
        let mut client = Client::connect(&world.place.socket(), b"").unwrap();
        let request = Request::Control(Control::ListConnections);
        match client.ask(&request, None).unwrap().0 {
            Answer::Report(Report::Connections { connections }) => connections[0].state,
            other => panic!("{other:?}"),
        }
    };
    let is_refused = |outcome: Outcome| !matches!(outcome, Outcome::RepositoryRead { .. });
    // Nobody has logged in; then nothing is linked at the provider.
    assert_eq!(state(), ConnectionState::SignedOut);
    assert!(is_refused(read()));
    let _browser = world.visitor("mia");
    assert!(is_refused(read()));
    assert_eq!(state(), ConnectionState::OperatorError, "the provider knows no such target for her");
    // Linked there, with too little, with more than she was told, and as it should be.
    link("");
    assert!(is_refused(read()));
    assert_eq!(state(), ConnectionState::ScopeMissing);
    link("repo admin:org");
    assert!(is_refused(read()));
    link("repo");
    let outcome = read();
    assert!(matches!(outcome, Outcome::RepositoryRead { .. }), "{outcome:?}");
    assert_eq!(state(), ConnectionState::Connected);
    // In the protocol's own words, with a token of the login and never the one that lasts.
    let requests = world.login.requests();
    let exchanges: Vec<String> =
        requests.iter().map(Value::to_string).filter(|request| request.contains("grant-type%3Atoken-exchange")).collect();
    assert!(!exchanges.is_empty());
    for exchange in &exchanges {
        assert!(exchange.contains("subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token"), "{exchange}");
        assert!(exchange.contains("requested_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token"), "{exchange}");
        assert!(exchange.contains("resource=https%3A%2F%2Fapi.github.example%2F") && !exchange.contains("audience="), "{exchange}");
    }
    world.close();
}
