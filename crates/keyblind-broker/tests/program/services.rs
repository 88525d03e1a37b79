//! From the socket to a chat and to models: Slack is `emulate`'s, models are judged by their vendors' own definitions.

use std::io::Write as _;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use keyblind_broker::socket::{BulkFile, Client, ClientError};
use keyblind_intent::{
    Answer, Complete, Count, Failure, Intent, Missing, ModelRole, ModelTask, Notify, NotifyEvent, Outcome, Refusal, Repository, Request,
    SeverityCounts, Stopped,
};
use keyblind_testkit::Peer;
use serde_json::{Value, json};

use crate::support::{Place, Running, eventually, text};

fn keep(place: &Place, what: &str, name: &str, secret: &str) -> Output {
    let mut command = place.command(&["keep", what, name]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(secret.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn kept(place: &Place, what: &str, name: &str, secret: &str) {
    let output = keep(place, what, name, secret);
    assert!(output.status.success(), "{}", text(&output.stderr));
}

fn ask(place: &Place, intent: Intent, attached: Option<&BulkFile>) -> (Result<Outcome, Refusal>, Option<BulkFile>) {
    match Client::connect(&place.socket(), b"").unwrap().ask(&Request::Intent(intent), attached) {
        Ok((Answer::Outcome(outcome), bulk)) => (Ok(outcome), bulk),
        Ok((other, _)) => panic!("{other:?}"),
        Err(ClientError::Refused(refusal)) => (Err(refusal), None),
        Err(error) => panic!("{error}"),
    }
}

/// Ends the broker, checks its ledger, and gives the names of what is recorded and all of it as text.
fn closed(place: &Place, broker: Running) -> (Vec<String>, String) {
    let (code, said) = broker.terminate();
    assert_eq!(code, Some(0), "{said}");
    let key = text(&place.ask(&["ledger", "key"]).stdout).trim().parse().unwrap();
    let export = place.ask(&["ledger", "export"]).stdout;
    let report = keyblind_ledger::verify(&export[..], &key, &keyblind_ledger::Expected::default()).unwrap();
    assert!(report.is_sound(), "{report:?}");
    let mut names = Vec::new();
    for line in text(&export).lines() {
        let value: Value = serde_json::from_str(line).unwrap();
        let event = &value["entry"]["event"];
        names.extend(event.as_str().or_else(|| Some(event.as_object()?.keys().next()?.as_str())).map(str::to_owned));
    }
    (names, format!("{said}{}", text(&export)))
}

/// Every file of a broker's, with the database's log.
fn files(folder: &Path) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        match entry.file_type().unwrap() {
            kind if kind.is_dir() => all.extend(files(&entry.path())),
            kind if kind.is_file() => all.extend(std::fs::read(entry.path()).unwrap()),
            _ => {}
        }
    }
    all
}

fn holds(bytes: &[u8], sought: &str) -> bool {
    bytes.windows(sought.len()).any(|part| part == sought.as_bytes())
}

fn notice(event: NotifyEvent, name: &str) -> Intent {
    let repository = Repository { forge: "github".parse().unwrap(), owner: "octo-org".parse().unwrap(), name: name.parse().unwrap() };
    Intent::Notify(Notify {
        channel: "security".parse().unwrap(),
        event,
        repository: Some(repository),
        account: None,
        findings: Some(SeverityCounts { critical: 2, ..SeverityCounts::default() }),
        code: None,
    })
}

fn chatting(slack: &Peer, tenant: &str) -> Place {
    let mut place = Place::new();
    place.more = format!("[[slack]]\nname = \"security\"\ntenant = \"{tenant}\"\nhost = {:?}\nprivate = true\n", slack.url());
    place
}

#[test]
fn people_are_told_in_a_chat_and_the_hook_is_nowhere_else() {
    let slack = Peer::slack();
    let place = chatting(&slack, "octo");
    let hook = slack.told("hook").to_owned();
    let path = hook.trim_start_matches(slack.url()).to_owned();
    let elsewhere = keep(&place, "slack-webhook", "security", "http://127.0.0.1:1/services/T/B/XXXXXXXX");
    assert!(!elsewhere.status.success() && !text(&elsewhere.stderr).contains("XXXXXXXX"));
    kept(&place, "slack-webhook", "security", &format!("{hook}\n"));
    let broker = place.start();
    assert!(broker.said.contains(slack.url()) && !broker.said.contains(&path), "{}", broker.said);
    assert_eq!(ask(&place, notice(NotifyEvent::NewFindings, "shop.example.com"), None).0, Ok(Outcome::Notified));
    // What comes within the pause goes as one message, the same once.
    let began = Instant::now();
    std::thread::scope(|scope| {
        for index in 0..12 {
            let place = &place;
            scope.spawn(move || {
                let name = format!("shop-{}", index % 3);
                assert_eq!(ask(place, notice(NotifyEvent::ApprovalWanted, &name), None).0, Ok(Outcome::Notified));
            });
        }
    });
    assert!(began.elapsed() > Duration::from_secs(3), "the second message waited");
    let messages = slack.ask("GET", "/messages", &Value::Null);
    let messages = messages.as_array().unwrap();
    assert_eq!(messages.len(), 2, "{messages:?}");
    assert_eq!(messages[1]["blocks"][1]["text"]["text"], "There are new findings in octo-org/shop.example.com: 2 critical");
    let grouped = messages[0]["blocks"][1]["text"]["text"].as_str().unwrap();
    assert_eq!(grouped.lines().count(), 3, "{grouped}");
    assert!(grouped.lines().all(|line| line.ends_with(", 4 times")), "{grouped}");
    let (names, written) = closed(&place, broker);
    assert_eq!(names.iter().filter(|name| *name == "people-told").count(), 2, "{names:?}");
    assert_eq!(names.iter().filter(|name| *name == "call-ended").count(), 2);
    assert_eq!(names.iter().filter(|name| *name == "intent-received").count(), 13);
    let told = names.iter().position(|name| name == "people-told").unwrap();
    assert_eq!(names[told - 1..=told + 1], ["intent-received", "people-told", "call-ended"]);
    for sought in [hook.as_str(), &path, path.rsplit('/').next().unwrap()] {
        assert!(!written.contains(sought), "{sought} is in what it said or recorded");
        assert!(!holds(&files(place.folder.path()), sought), "{sought} lies in a file");
        let sent = slack.requests();
        assert!(sent.iter().all(|request| !request["body"].as_str().unwrap().contains(sought)), "{sought} is in a message");
    }
    assert!(slack.requests().iter().all(|request| request["url"] == path), "nothing else was asked of the host");
}

#[test]
fn what_a_chat_refuses_is_told_and_nobody_else_may_use_the_channel() {
    let slack = Peer::slack();
    let place = chatting(&slack, "octo");
    // Nothing is kept yet: it says so, and asks nobody.
    let broker = place.start();
    assert!(broker.said.contains("keyblind-broker keep slack-webhook security"), "{}", broker.said);
    let missing = Outcome::NotConfigured { missing: Missing::Channel };
    assert_eq!(ask(&place, notice(NotifyEvent::NewFindings, "shop"), None).0, Ok(missing.clone()));
    broker.terminate();
    kept(&place, "slack-webhook", "security", slack.told("hook"));
    let broker = place.start();
    slack.fail(&json!({"path": "/services/", "status": 429, "headers": {"retry-after": "600"}}));
    let limited = ask(&place, notice(NotifyEvent::NewFindings, "shop"), None).0.unwrap();
    let expected = Outcome::Failed { failure: Failure::RateLimited, status: Some(429), retry_after_seconds: Some(600), said: None };
    assert_eq!(limited, expected);
    // Meanwhile nobody is asked.
    let again = ask(&place, notice(NotifyEvent::NewFindings, "shop"), None).0.unwrap();
    assert!(matches!(again, Outcome::Failed { failure: Failure::RateLimited, retry_after_seconds: Some(590..=600), .. }), "{again:?}");
    assert_eq!(slack.requests().len(), 1);
    let (names, _) = closed(&place, broker);
    assert_eq!(names.iter().filter(|name| *name == "people-told").count(), 1);
    // A hook that was removed; a stop; another tenant's channel.
    slack.fail(&json!({"path": "/services/", "status": 403, "body": "invalid_token"}));
    let broker = place.start();
    let removed = ask(&place, notice(NotifyEvent::NewFindings, "shop"), None).0.unwrap();
    assert!(matches!(removed, Outcome::Failed { failure: Failure::Forbidden, said: None, .. }), "{removed:?}");
    assert!(place.ask(&["kill"]).status.success());
    assert_eq!(ask(&place, notice(NotifyEvent::NewFindings, "shop"), None).0, Err(Refusal::Halted));
    assert_eq!(slack.requests().len(), 2);
    broker.terminate();
    let other = chatting(&slack, "labs");
    kept(&other, "slack-webhook", "security", slack.told("hook"));
    let broker = other.start();
    assert_eq!(ask(&other, notice(NotifyEvent::NewFindings, "shop"), None).0, Ok(missing));
    assert_eq!(slack.requests().len(), 2);
    closed(&other, broker);
}

const KEY: &str = "a-key-that-only-the-endpoint-knows";
const MATERIAL: &str = "finding 1: resource \"aws_s3_bucket\" \"a\" is public\npassword = \"<secret-1>\"\n";

fn asking(models: &Peer, tenants: &str, more: &str) -> Place {
    let mut place = Place::new();
    place.more = format!(
        "[[model]]\nname = \"deep\"\nrole = \"analyst\"\ntenants = [{tenants}]\nendpoint = \"{0}/v1\"\nstyle = \"anthropic\"\nmodel = \"deep-1\"\n\
         private = true\n{more}\
         [[model]]\nname = \"quick\"\nrole = \"coordinator\"\ntenants = [{tenants}]\nendpoint = \"{0}/v1\"\nstyle = \"openai\"\n\
         model = \"quick-1\"\nprivate = true\n",
        models.url()
    );
    kept(&place, "model-key", "deep", &format!("{KEY}\n"));
    kept(&place, "model-key", "quick", KEY);
    place
}

fn question(role: ModelRole, task: ModelTask, material: &str, most_tokens: u64) -> (Intent, BulkFile) {
    let attached = BulkFile::from_bytes(material.as_bytes()).unwrap();
    let most_tokens = Count::saturating(most_tokens);
    (Intent::Complete(Complete { role, task, input: attached.bulk(), most_tokens }), attached)
}

fn complete(place: &Place, role: ModelRole, material: &str) -> (Result<Outcome, Refusal>, Option<BulkFile>) {
    let (intent, attached) = question(role, ModelTask::Explain, material, 500);
    ask(place, intent, Some(&attached))
}

#[test]
fn models_are_asked_in_their_own_form_and_the_record_has_digests_only() {
    let models = Peer::models(KEY);
    let place = asking(&models, "\"octo\"", "");
    let broker = place.start();
    let said = "{\"explanation\":\"Everybody reads it.\",\"attack\":[],\"doubts\":[\"<script>\"]}";
    models.ask("POST", "/say", &json!({"text": said}));
    for role in [ModelRole::Analyst, ModelRole::Coordinator] {
        for task in [ModelTask::Prioritise, ModelTask::Explain, ModelTask::ProposeFix, ModelTask::RepairAnswer] {
            let (intent, attached) = question(role, task, MATERIAL, 500);
            let (outcome, answer) = ask(&place, intent, Some(&attached));
            let Ok(Outcome::Completed { answer: announced, stopped, read_tokens, written_tokens }) = outcome else { panic!("{outcome:?}") };
            assert_eq!((stopped, read_tokens.get(), written_tokens.get()), (Stopped::Finished, 100, 12));
            let answer = answer.unwrap();
            assert_eq!(answer.bulk(), announced);
            let answer: Value = serde_json::from_slice(&answer.read(1 << 20).unwrap()).unwrap();
            assert_eq!(answer, serde_json::from_str::<Value>(said).unwrap());
        }
    }
    models.ask("POST", "/say", &json!({"text": "{\"cut", "stop": "limit"}));
    for (role, expected) in [(ModelRole::Analyst, Stopped::TokenLimit), (ModelRole::Coordinator, Stopped::TokenLimit)] {
        let (outcome, _) = complete(&place, role, MATERIAL);
        assert!(matches!(outcome, Ok(Outcome::Completed { stopped, .. }) if stopped == expected), "{outcome:?}");
    }
    models.ask("POST", "/say", &json!({"text": "I won't.", "stop": "declined"}));
    for role in [ModelRole::Analyst, ModelRole::Coordinator] {
        let (outcome, _) = complete(&place, role, MATERIAL);
        assert!(matches!(outcome, Ok(Outcome::Completed { stopped: Stopped::Declined, .. })), "{outcome:?}");
    }
    assert_eq!(models.ask("GET", "/judgement", &Value::Null), json!([]), "requests that the vendors' definitions don't know");
    let requests = models.requests();
    assert!(requests.iter().all(|request| request["body"].as_str().unwrap().contains("finding 1: resource")), "the material goes out");
    let (names, written) = closed(&place, broker);
    assert_eq!(names.iter().filter(|name| *name == "model-asked").count(), requests.len());
    for request in &requests {
        let digest = keyblind_intent::Digest::of(request["body"].as_str().unwrap().as_bytes()).to_string();
        assert!(written.contains(&digest), "the digest of exactly what was sent is in the record");
    }
    for sought in [KEY, "aws_s3_bucket", "Everybody reads it", "I won't"] {
        assert!(!written.contains(sought), "{sought} is in what it said or recorded");
        assert!(!holds(&files(place.folder.path()), sought), "{sought} lies in a file");
    }
}

/// Threat 42: what must not leave doesn't, and the same question without it does.
#[test]
fn no_secret_and_nobody_elses_code_goes_to_a_model() {
    let models = Peer::models(KEY);
    let slack_path = "services/T0000/B0000/abcdefghijklmnop";
    let mut place = asking(&models, "\"octo\"", "");
    place.more.push_str("[[slack]]\nname = \"security\"\ntenant = \"octo\"\nhost = \"http://127.0.0.1:9\"\nprivate = true\n");
    kept(&place, "slack-webhook", "security", &format!("http://127.0.0.1:9/{slack_path}"));
    let broker = place.start();
    let random: String = ('a'..='z').zip(('0'..='9').cycle()).flat_map(|(letter, digit)| [letter, digit]).take(40).collect();
    let leaking = [
        format!("{MATERIAL}AKIA{}\n", "Q7RZ2LMXNVT4KPW9"),
        format!("{MATERIAL}client_secret = \"{random}\"\n"),
        format!("{MATERIAL}-----BEGIN RSA PRIVATE KEY-----\n{}\n", "MIIE".repeat(16)),
        // What the broker itself keeps, though it looks like nothing: a model's key, a chat's hook.
        format!("{MATERIAL}the key is {KEY}.\n"),
        format!("{MATERIAL}see http://127.0.0.1:9/{slack_path} there\n"),
    ];
    for material in &leaking {
        assert_eq!(complete(&place, ModelRole::Analyst, material).0, Err(Refusal::HoldsSecret), "{material}");
    }
    assert!(models.requests().is_empty(), "nothing went out");
    assert!(matches!(complete(&place, ModelRole::Analyst, MATERIAL).0, Ok(Outcome::Completed { .. })), "the honest question does");
    assert_eq!(models.requests().len(), 1);
    // Not text; more than a question may have; other bytes than announced.
    let (intent, _) = question(ModelRole::Analyst, ModelTask::Explain, MATERIAL, 500);
    let other = BulkFile::from_bytes(b"something else").unwrap();
    assert!(ask(&place, intent, Some(&other)).0.is_err());
    assert_eq!(complete(&place, ModelRole::Analyst, &"a ".repeat(200_000)).0, Err(Refusal::BeyondLimit));
    let (intent, attached) = question(ModelRole::Analyst, ModelTask::Explain, MATERIAL, 60_000);
    assert_eq!(ask(&place, intent, Some(&attached)).0, Err(Refusal::BeyondLimit));
    let binary = BulkFile::from_bytes(&[0xff, 0xfe, 0]).unwrap();
    let intent = Intent::Complete(Complete {
        role: ModelRole::Analyst,
        task: ModelTask::Explain,
        input: binary.bulk(),
        most_tokens: Count::saturating(10),
    });
    assert_eq!(ask(&place, intent, Some(&binary)).0, Err(Refusal::Malformed));
    assert_eq!(models.requests().len(), 1);
    assert!(place.ask(&["kill"]).status.success());
    assert_eq!(complete(&place, ModelRole::Analyst, MATERIAL).0, Err(Refusal::Halted));
    let (names, written) = closed(&place, broker);
    assert_eq!(names.iter().filter(|name| *name == "refused").count(), leaking.len());
    assert!(written.contains("marked-credential") && written.contains("kept-credential"), "{written}");
    assert!(!written.contains(&random) && !written.contains(slack_path));
    // Models are switched on for others than whoever asks.
    let others = asking(&models, "\"labs\"", "");
    let broker = others.start();
    let missing = Outcome::NotConfigured { missing: Missing::ModelRole };
    assert_eq!(complete(&others, ModelRole::Analyst, MATERIAL).0, Ok(missing));
    assert_eq!(models.requests().len(), 1);
    closed(&others, broker);
}

#[test]
fn a_model_that_fails_is_asked_again_and_not_for_ever() {
    let models = Peer::models(KEY);
    let place = asking(&models, "\"octo\"", "daily-tokens = 4500\nseconds = 15\n");
    let broker = place.start();
    models.fail(&json!({"path": "/messages", "status": 529, "headers": {"retry-after": "1"}}));
    models.fail(&json!({"path": "/messages", "drop": true}));
    let answered = complete(&place, ModelRole::Analyst, MATERIAL).0;
    assert!(matches!(answered, Ok(Outcome::Completed { .. })), "{answered:?}");
    assert_eq!(models.requests().len(), 3);
    models.fail(&json!({"path": "/messages", "status": 429, "headers": {"retry-after": "300"}}));
    let limited = complete(&place, ModelRole::Analyst, MATERIAL).0.unwrap();
    assert!(matches!(limited, Outcome::Failed { failure: Failure::RateLimited, retry_after_seconds: Some(300), .. }), "{limited:?}");
    models.fail(&json!({"path": "/messages", "status": 200, "body": {"content": "no list"}}));
    let other = complete(&place, ModelRole::Analyst, MATERIAL).0.unwrap();
    assert!(matches!(other, Outcome::Failed { failure: Failure::Unintelligible, said: None, .. }), "{other:?}");
    models.fail(&json!({"path": "/messages", "hang": true}));
    let slow = complete(&place, ModelRole::Analyst, MATERIAL).0.unwrap();
    assert!(matches!(slow, Outcome::Failed { failure: Failure::TimedOut, .. }), "{slow:?}");
    assert_eq!(models.requests().len(), 6, "what may take long again isn't asked again");
    // What failed may have been counted there: the day's tokens are used up, for this model and nobody else's.
    eventually("the limit of the day", || complete(&place, ModelRole::Analyst, MATERIAL).0 == Err(Refusal::BeyondLimit));
    assert!(matches!(complete(&place, ModelRole::Coordinator, MATERIAL).0, Ok(Outcome::Completed { .. })));
    // It lasts through a restart.
    closed(&place, broker);
    let broker = place.start();
    assert_eq!(complete(&place, ModelRole::Analyst, MATERIAL).0, Err(Refusal::BeyondLimit));
    broker.terminate();
    // Another key than the endpoint's.
    kept(&place, "model-key", "quick", "another-key-altogether");
    let broker = place.start();
    let turned_away = complete(&place, ModelRole::Coordinator, MATERIAL).0.unwrap();
    assert!(matches!(turned_away, Outcome::Failed { failure: Failure::Forbidden, said: None, .. }), "{turned_away:?}");
    let (_, written) = closed(&place, broker);
    assert!(!written.contains("another-key"), "the endpoint's words are nowhere");
}
