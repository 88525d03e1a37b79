//! Threat 24: one tenant makes the broker use what is another's.

use keyblind_intent::{Answer, Bulk, Intent, Missing, Outcome, Refusal, Request};
use keyblind_prove::adversary::{Back, Enemy};
use keyblind_prove::github::{CONTENTS, FILE};
use serde_json::{Value, json};

use crate::bench::{Bench, approve, follow, person, propose};

#[path = "../../../intent/tests/intent/samples.rs"]
#[allow(dead_code, reason = "outcomes aren't sent")]
mod samples;

/// An intent about the one repository that there is, whatever it was about before.
fn about_the_repository(value: &mut Value, head: &str) {
    match value {
        Value::Object(fields) if fields.contains_key("forge") && fields.contains_key("owner") => {
            *value = json!({"forge": "github", "owner": "acme", "name": "infra"});
        }
        Value::Object(fields) => {
            for (name, value) in fields {
                match name.as_str() {
                    "commit" | "base_commit" => *value = json!(head),
                    "path" => *value = json!(FILE),
                    "before" => *value = json!(keyblind_intent::Digest::of(CONTENTS.as_bytes())),
                    _ => about_the_repository(value, head),
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| about_the_repository(value, head)),
        _ => {}
    }
}

fn ask(client: &mut Enemy, intent: &Value, attached: Option<Bulk>) -> Back {
    let known: [&[u8]; 3] = [b"resource {}\n", b"{}", b"finding"];
    match attached {
        Some(bulk) => {
            let bytes = known.iter().find(|bytes| Bulk::of(bytes) == bulk).expect("the bytes of a sample");
            client.attached(bytes, &json!({"intent": intent})).unwrap()
        }
        None => client.document(&json!({"intent": intent})).unwrap(),
    }
}

/// What was answered, in one word.
fn word(back: &Back) -> &'static str {
    match back {
        Back::Refused(Refusal::OtherTenant) => "other tenant",
        Back::Answer(answer) => match &**answer {
            Answer::Outcome(Outcome::NotConfigured { missing: Missing::Connection }) => "no such connection",
            Answer::Outcome(Outcome::NotConfigured { .. }) => "not configured",
            Answer::Outcome(Outcome::RepositoriesListed { repositories, .. }) if repositories.is_empty() => "nothing listed",
            Answer::Outcome(Outcome::RepositoriesListed { .. }) => "listed",
            Answer::Outcome(Outcome::RepositoryRead { .. }) => "read",
            Answer::Outcome(Outcome::ApprovalWanted { .. }) => "people are asked",
            _ => "something else",
        },
        _ => "something else",
    }
}

/// Each intent of the vocabulary, of a tenant with people of its own who may approve, for the repository of another. The same of the tenant
/// whose it is goes through.
#[test]
fn no_intent_of_one_tenant_reaches_what_is_anothers() {
    let mut bench = Bench::new();
    // Nothing but the owner's list stands in the way.
    std::fs::write(
        bench.world.path("policy.toml"),
        "version = 1\n\
         [people.me]\nidentities = [{ issuer = \"local\", subject = \"me\" }]\nroles = [\"owner\", \"approver\"]\ntenants = [\"proof\"]\n\
         [people.mate]\nidentities = [{ issuer = \"local\", subject = \"mate\" }]\nroles = [\"approver\"]\ntenants = [\"proof\"]\n\
         [people.other]\nidentities = [{ issuer = \"broker\", subject = \"stranger\" }]\nroles = [\"owner\", \"approver\"]\ntenants = [\"stranger\"]\n\
         [people.else]\nidentities = [{ issuer = \"local\", subject = \"else\" }]\nroles = [\"approver\"]\ntenants = [\"stranger\"]\n\
         [[rules]]\nname = \"all\"\nchannels = [\"session\"]\n",
    )
    .unwrap();
    let [_, _, token] = bench.world.start().unwrap();
    let (mut stranger, refusal) = Enemy::connect(&bench.world.socket(), &token).unwrap();
    assert_eq!(refusal, None);
    let head = bench.github.head();
    let mut asked = std::collections::BTreeSet::new();
    for intent in samples::intents() {
        let name = intent.name();
        asked.insert(name);
        let mut document = serde_json::to_value(&intent).unwrap();
        about_the_repository(&mut document, &head);
        let request: Request = keyblind_intent::decode(json!({"intent": document}).to_string().as_bytes()).unwrap();
        let Request::Intent(rewritten) = request else { panic!("{name} isn't an intent any more") };
        let attached = rewritten.attached();

        let before = (bench.github.tokens().0, bench.github.writes().len());
        let refused = ask(&mut stranger, &document, attached);
        let wanted: &[&str] = match &rewritten {
            Intent::ListRepositories(_) => &["nothing listed"],
            Intent::ReadRepository(_)
            | Intent::ProposePullRequest(_)
            | Intent::PublishCheckRun(_)
            | Intent::Comment(_)
            | Intent::UploadSarif(_) => &["other tenant"],
            // What this installation has nobody for.
            _ => &["other tenant", "not configured", "no such connection"],
        };
        assert!(wanted.contains(&word(&refused)), "{name} of a stranger: {refused:?}");
        assert_eq!((bench.github.tokens().0, bench.github.writes().len()), before, "{name} of a stranger borrows something");

        let mut honest = person(&bench.world).unwrap();
        let done = ask(&mut honest, &document, attached);
        let wanted: &[&str] = match &rewritten {
            Intent::ListRepositories(_) => &["listed"],
            Intent::ReadRepository(_) => &["read"],
            Intent::ProposePullRequest(_) | Intent::PublishCheckRun(_) | Intent::Comment(_) | Intent::UploadSarif(_) => {
                &["people are asked"]
            }
            _ => continue,
        };
        assert!(wanted.contains(&word(&done)), "{name} of its own tenant: {done:?}");
        assert!(bench.github.tokens().0 > before.0, "{name} of its own tenant borrows nothing");
    }
    assert_eq!(asked.len(), 11, "each intent of the vocabulary: {asked:?}");

    // Nor does a stranger learn of a change, or what became of it.
    let change = propose(&bench.world, &bench.github, "keyblind/ours").unwrap();
    let state = stranger.document(&json!({"control": {"follow-change": {"digest": change}}})).unwrap();
    assert!(format!("{state:?}").contains("Unknown"), "{state:?}");
    assert_ne!(follow(&bench.world, change).unwrap(), keyblind_intent::ChangeState::Unknown);
    let mut own = bench.world.log_in().unwrap();
    assert!(approve(&mut own, change).is_err(), "who asked isn't who approves");
    bench.all_revoked();
    bench.record();
}
