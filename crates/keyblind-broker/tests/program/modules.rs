//! From the socket to a module: a registry of ours, archives of the system's `tar`, and GitHub's `emulate` for what needs a lease.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use keyblind_broker::socket::{BulkFile, Client, ClientError};
use keyblind_intent::{
    Answer, Digest, Failure, Intent, Missing, ModuleOrigin, Outcome, ReadModule, Refusal, Repository, RepositoryPath, Request, Revision,
};
use keyblind_testkit::Peer;
use serde_json::{Value, json};

use crate::support::{Place, Running, text};

const TOKEN: &str = "a-token-that-only-the-registry-knows";

fn kept(place: &Place, arguments: &[&str], secret: &str) {
    let mut child = place.command(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(secret.as_bytes()).unwrap();
    assert!(child.wait_with_output().unwrap().status.success());
}

/// What the system's tar makes of these files, and what `sha256sum` says of them.
fn archive(folder: &Path, files: &[(&str, &str)], top: &str) -> (Vec<u8>, String) {
    let inside = folder.join(top);
    for (path, contents) in files {
        let path = inside.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, contents).unwrap();
    }
    let script = "find . -type f -printf '%P\\n' | LC_ALL=C sort | xargs sha256sum | sha256sum";
    let sums = Command::new("sh").args(["-c", script]).current_dir(&inside).output().unwrap();
    let sum = text(&sums.stdout).split_whitespace().next().unwrap().to_owned();
    let tar = Command::new("tar").args(["--create", "--gzip", "--directory"]).arg(folder).arg(top).output().unwrap();
    assert!(tar.status.success());
    (tar.stdout, sum)
}

fn base64(bytes: &[u8]) -> String {
    let mut child = Command::new("base64").arg("--wrap=0").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let bytes = bytes.to_vec();
    let writing = std::thread::spawn(move || input.write_all(&bytes).unwrap());
    let output = child.wait_with_output().unwrap();
    writing.join().unwrap();
    text(&output.stdout).to_owned()
}

fn ask(place: &Place, origin: ModuleOrigin, locked: Option<Digest>) -> (Result<Outcome, Refusal>, Option<BulkFile>) {
    let request = Request::Intent(Intent::ReadModule(ReadModule { origin, locked }));
    match Client::connect(&place.socket(), b"").unwrap().ask(&request, None) {
        Ok((Answer::Outcome(outcome), bulk)) => (Ok(outcome), bulk),
        Ok((other, _)) => panic!("{other:?}"),
        Err(ClientError::Refused(refusal)) => (Err(refusal), None),
        Err(error) => panic!("{error}"),
    }
}

fn registered(name: &str, version: &str) -> ModuleOrigin {
    ModuleOrigin::Registry {
        registry: "own".parse().unwrap(),
        namespace: "octo".parse().unwrap(),
        name: name.parse().unwrap(),
        target: "aws".parse().unwrap(),
        version: version.parse().unwrap(),
    }
}

fn git(owner: &str, name: &str, revision: Revision, folder: Option<&str>) -> ModuleOrigin {
    let repository = Repository { forge: "github".parse().unwrap(), owner: owner.parse().unwrap(), name: name.parse().unwrap() };
    ModuleOrigin::Git { repository, revision, folder: folder.map(|folder| RepositoryPath::new(folder).unwrap()) }
}

/// Ends the broker, checks its ledger, and gives it as text.
fn closed(place: &Place, broker: Running) -> String {
    let (code, said) = broker.terminate();
    assert_eq!(code, Some(0), "{said}");
    let key = text(&place.ask(&["ledger", "key"]).stdout).trim().parse().unwrap();
    let export = place.ask(&["ledger", "export"]).stdout;
    let report = keyblind_ledger::verify(&export[..], &key, &keyblind_ledger::Expected::default()).unwrap();
    assert!(report.is_sound(), "{report:?}");
    format!("{said}{}", text(&export))
}

#[test]
fn a_module_of_a_registry_is_read_locked_and_read_again() {
    let registry = Peer::registry(&json!({"token": TOKEN}));
    let archives = registry.told("archives").to_owned();
    let mut place = Place::new();
    place.more = format!(
        "[[registry]]\nname = \"own\"\nhost = {:?}\ntenants = [\"octo\"]\narchives = [{archives:?}]\ntoken = true\nprivate = true\n\
         [[registry]]\nname = \"others\"\nhost = {0:?}\ntenants = [\"labs\"]\nprivate = true\n",
        registry.url()
    );
    kept(&place, &["keep", "registry-token", "own"], TOKEN);
    let broker = place.start();
    let scratch = tempfile::tempdir().unwrap();
    let files = [("main.tf", "module \"b\" {\n  source = \"./modules/b\"\n}\n"), ("modules/b/main.tf", "# b\n")];
    let (bytes, sum) = archive(scratch.path(), &files, "vpc-5.1.2");
    registry.ask("POST", "/file", &json!({"path": "/vpc.tar.gz", "base64": base64(&bytes)}));
    let versions = json!(["4.9.0", "5.0.0", "5.1.2", "6.0.0-rc.1", "not a version"]);
    let vpc = json!({"name": "octo/vpc/aws", "versions": versions, "location": "ARCHIVES/vpc.tar.gz//*?archive=tar.gz&sig=VERSION"});
    registry.ask("POST", "/module", &vpc);
    let (outcome, bulk) = ask(&place, registered("vpc", "~> 5.0"), None);
    let Ok(Outcome::ModuleRead { commit: None, version, folder: None, locked, files, archive: announced, left_out }) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(files.get(), 2);
    assert_eq!((version.unwrap().as_str(), locked.to_string()), ("5.1.2", sum), "the newest that fits, with the digest of sha256sum");
    assert!(left_out.is_empty());
    let bulk = bulk.unwrap();
    assert_eq!(bulk.bulk(), announced);
    let unpacked = tempfile::tempdir().unwrap();
    let tar = unpacked.path().join("module.tar");
    bulk.copy_to(&mut std::fs::File::create(&tar).unwrap()).unwrap();
    assert!(
        Command::new("tar").arg("--extract").arg("--file").arg(&tar).arg("--directory").arg(unpacked.path()).status().unwrap().success()
    );
    assert_eq!(std::fs::read_to_string(unpacked.path().join("modules/b/main.tf")).unwrap(), "# b\n");
    // The token went to the registry and to nobody else; where the archive lies was asked with what the registry signed.
    let fetched = registry.ask("GET", "/fetched", &Value::Null);
    assert_eq!(fetched, json!([{"url": "/vpc.tar.gz?sig=5.1.2", "authorization": null}]));
    // What was locked is the same the next time, also where the registry packs it anew; other bytes aren't handed over.
    assert!(matches!(ask(&place, registered("vpc", "5.1.2"), Some(locked)).0, Ok(Outcome::ModuleRead { .. })));
    let other = tempfile::tempdir().unwrap();
    let (changed, _) = archive(other.path(), &[("main.tf", "resource \"evil\" \"x\" {}\n")], "vpc");
    registry.ask("POST", "/file", &json!({"path": "/vpc.tar.gz", "base64": base64(&changed)}));
    let (outcome, bulk) = ask(&place, registered("vpc", "5.1.2"), Some(locked));
    assert_eq!((outcome, bulk.is_none()), (Err(Refusal::LockMismatch), true));
    // No version that fits; no such module; another tenant's registry.
    for (origin, expected) in [(registered("vpc", ">= 7.0"), Failure::NotFound), (registered("other", "1.0.0"), Failure::NotFound)] {
        assert!(matches!(ask(&place, origin, None).0, Ok(Outcome::Failed { failure, .. }) if failure == expected));
    }
    let ModuleOrigin::Registry { namespace, name, target, version, .. } = registered("vpc", "5.1.2") else { unreachable!() };
    let others = ModuleOrigin::Registry { registry: "others".parse().unwrap(), namespace, name, target, version };
    assert_eq!(ask(&place, others, None).0, Ok(Outcome::NotConfigured { missing: Missing::Registry }));
    let written = closed(&place, broker);
    assert!(written.matches("registry-asked").count() >= 6, "{written}");
    assert!(!written.contains(TOKEN));
}

#[test]
fn a_registry_leads_to_the_listed_hosts_only() {
    let registry = Peer::registry(&json!({}));
    let elsewhere = Peer::slack();
    let archives = registry.told("archives").to_owned();
    let mut place = Place::new();
    // Another host that the broker talks to, but not for modules.
    place.more = format!(
        "[[registry]]\nname = \"own\"\nhost = {:?}\ntenants = [\"octo\"]\narchives = [{archives:?}]\nprivate = true\n\
         [[slack]]\nname = \"security\"\ntenant = \"octo\"\nhost = {:?}\nprivate = true\n",
        registry.url(),
        elsewhere.url()
    );
    let broker = place.start();
    registry.ask("POST", "/file", &json!({"path": "/away.tar.gz", "location": format!("{}/x.tar.gz", elsewhere.url())}));
    registry.ask("POST", "/file", &json!({"path": "/text.tar.gz", "base64": base64(b"no archive")}));
    for (location, expected) in [
        (format!("{}/x.tar.gz", elsewhere.url()), Failure::Forbidden),
        ("ARCHIVES/away.tar.gz".to_owned(), Failure::Forbidden),
        ("http://169.254.169.254/latest.tar.gz".to_owned(), Failure::Forbidden),
        ("git::ssh://git@github.com/octo/vpc".to_owned(), Failure::Forbidden),
        ("file:///etc/passwd.tar.gz".to_owned(), Failure::Forbidden),
        ("ARCHIVES/m.zip".to_owned(), Failure::Forbidden),
        ("ARCHIVES/none.tar.gz".to_owned(), Failure::NotFound),
        ("ARCHIVES/text.tar.gz".to_owned(), Failure::Unintelligible),
    ] {
        for in_body in [false, true] {
            registry.ask(
                "POST",
                "/module",
                &json!({"name": "octo/vpc/aws", "versions": ["1.0.0"], "location": location, "in_body": in_body}),
            );
            let outcome = ask(&place, registered("vpc", "1.0.0"), None).0;
            assert!(matches!(&outcome, Ok(Outcome::Failed { failure, said: None, .. }) if *failure == expected), "{location}: {outcome:?}");
        }
    }
    assert!(elsewhere.requests().is_empty(), "nobody else was asked");
    // The same with an archive at a listed host is read: in the folder that the address names.
    let scratch = tempfile::tempdir().unwrap();
    let (bytes, _) = archive(scratch.path(), &[("modules/b/main.tf", "# b\n")], "top");
    registry.ask("POST", "/file", &json!({"path": "/m.tgz", "base64": base64(&bytes)}));
    for (location, expected) in [("ARCHIVES/m.tgz//top/modules/b", true), ("ARCHIVES/m.tgz//top/modules/none", false)] {
        registry.ask("POST", "/module", &json!({"name": "octo/vpc/aws", "versions": ["1.0.0"], "location": location}));
        let outcome = ask(&place, registered("vpc", "1.0.0"), None).0;
        match outcome {
            Ok(Outcome::ModuleRead { folder, .. }) if expected => assert_eq!(folder.unwrap().as_str(), "top/modules/b"),
            Ok(Outcome::Failed { failure: Failure::NotFound, .. }) if !expected => {}
            other => panic!("{location}: {other:?}"),
        }
    }
    closed(&place, broker);
}

#[test]
fn a_private_repository_is_read_with_a_lease_and_a_public_one_without() {
    let github = Peer::github(&json!({
        "repositories": [{"owner": "acme", "name": "modules", "private": true}],
        "permissions": {"contents": "write", "metadata": "read"},
    }));
    let registry = Peer::registry(&json!({"modules": {
        "octo/public/aws": {"versions": ["1.0.0"], "location": "git::https://github.com/others/public.git//modules/b?ref=v1"},
        "octo/private/aws": {"versions": ["1.0.0"], "location": "git::https://github.com/acme/modules?ref=main"},
    }}));
    let public = registry.told("archives").to_owned();
    let mut place = Place::new();
    place.more = format!(
        "[github]\napp = 4242\nslug = \"keyblind\"\napi = {:?}\narchives = {:?}\nprivate = true\n\
         [modules]\npublic-archives = {public:?}\nprivate = true\n\
         [[registry]]\nname = \"own\"\nhost = {:?}\ntenants = [\"octo\"]\nprivate = true\n",
        github.url(),
        github.told("codeload"),
        registry.url()
    );
    kept(&place, &["keep", "github-app-key"], github.told("private_key"));
    let broker = place.start();
    // Where the App is installed it is a lease for that one repository; by its name, or where a registry leads.
    let named = ask(&place, git("acme", "modules", Revision::DefaultBranch, None), None).0.unwrap();
    let Outcome::ModuleRead { commit: Some(commit), version: None, locked, .. } = named else { panic!("{named:?}") };
    let led = ask(&place, registered("private", "1.0.0"), Some(locked)).0.unwrap();
    assert!(matches!(&led, Outcome::ModuleRead { commit: Some(same), version: Some(_), .. } if *same == commit), "{led:?}");
    let pinned = ask(&place, git("acme", "modules", Revision::Commit(commit), None), Some(Digest::of(b"other"))).0;
    assert_eq!(pinned, Err(Refusal::LockMismatch));
    let missing = ask(&place, git("acme", "modules", Revision::DefaultBranch, Some("modules/none")), None).0;
    assert!(matches!(missing, Ok(Outcome::Failed { failure: Failure::NotFound, .. })), "{missing:?}");
    // Where it isn't, as everybody gets it.
    let scratch = tempfile::tempdir().unwrap();
    let (bytes, sum) = archive(scratch.path(), &[("modules/b/main.tf", "# b\n"), ("main.tf", "# top\n")], "public-1");
    registry.ask("POST", "/file", &json!({"path": "/others/public/tar.gz/v1", "base64": base64(&bytes)}));
    let read = ask(&place, registered("public", "1.0.0"), None).0.unwrap();
    let Outcome::ModuleRead { commit: None, folder: Some(folder), locked, .. } = read else { panic!("{read:?}") };
    assert_eq!((folder.as_str(), locked.to_string()), ("modules/b", sum));
    let fetched = registry.ask("GET", "/fetched", &Value::Null);
    assert_eq!(fetched, json!([{"url": "/others/public/tar.gz/v1", "authorization": null}]));
    let all = github.ask("GET", "/tokens", &Value::Null);
    let minted: Vec<&Value> = all.as_array().unwrap().iter().filter(|token| !token["installation"].is_null()).collect();
    assert!(minted.len() >= 4 && minted.iter().all(|token| token["installation"]["names"] == json!(["acme/modules"])), "{minted:?}");
    assert_eq!(github.violations(), json!([]));
    let written = closed(&place, broker);
    assert!(written.contains("acme/modules") && written.contains("token-born"));
}

/// A registry names a repository at GitHub, and the forge is an enterprise's: an owner and a name there are other people's here.
#[test]
fn a_repository_is_looked_for_at_the_host_that_is_named() {
    let github =
        Peer::github(&json!({"repositories": [{"owner": "octo", "name": "vpc", "private": true}], "permissions": {"contents": "read"}}));
    let registry = Peer::registry(&json!({"modules": {
        "octo/public/aws": {"versions": ["1.0.0"], "location": "git::https://github.com/octo/vpc.git?ref=v1"},
        "octo/own/aws": {"versions": ["1.0.0"], "location": "git::https://ghe.invalid/octo/vpc.git?ref=v1"},
        "octo/elsewhere/aws": {"versions": ["1.0.0"], "location": "git::https://git.invalid/octo/vpc.git?ref=v1"},
    }}));
    let mut place = Place::new();
    place.more = format!(
        "[github]\napp = 4242\nslug = \"keyblind\"\napi = \"https://ghe.invalid/api/v3\"\n[modules]\npublic-archives = {:?}\nprivate = true\n\
         [[registry]]\nname = \"own\"\nhost = {:?}\ntenants = [\"octo\"]\nprivate = true\n",
        registry.told("archives"),
        registry.url()
    );
    kept(&place, &["keep", "github-app-key"], github.told("private_key"));
    let broker = place.start();
    let scratch = tempfile::tempdir().unwrap();
    let (bytes, _) = archive(scratch.path(), &[("main.tf", "# top\n")], "vpc-1");
    registry.ask("POST", "/file", &json!({"path": "/octo/vpc/tar.gz/v1", "base64": base64(&bytes)}));
    let read = |name: &str| ask(&place, registered(name, "1.0.0"), None).0;
    let public = read("public");
    assert!(matches!(public, Ok(Outcome::ModuleRead { commit: None, .. })), "{public:?}");
    let fetched = || registry.ask("GET", "/fetched", &Value::Null).as_array().unwrap().len();
    assert_eq!(fetched(), 1);
    // The enterprise's own isn't to be had from GitHub's archives, and a host that nobody configured from nowhere.
    let own = read("own");
    assert!(matches!(own, Ok(Outcome::Failed { .. } | Outcome::NotReady { .. })), "{own:?}");
    let elsewhere = read("elsewhere");
    assert_eq!(elsewhere, Ok(Outcome::NotConfigured { missing: Missing::Connection }));
    assert_eq!(fetched(), 1);
    closed(&place, broker);
}
