//! The sealed store's key: renewed, moved into a passphrase, a keyring, a key service, and back.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use keyblind_broker::clock::{Clock as _, SystemClock};
use keyblind_broker::egress::{AllowedHost, Body, Call, Egress, Origin, Target};
use keyblind_broker::providers::aws::{keys, sign};
use keyblind_broker::vault::{KeyError, KeyId, Keyring, KeyringError, StoreId};
use keyblind_intent::Region;
use keyblind_testkit::{AWS_KEY_ID, AWS_SECRET_KEY, KeyringSession, Peer};

use crate::support::{Place, eventually, text};

const PASSPHRASE: &str = "correct horse battery staple";

fn configured(place: &mut Place, vault: &str) {
    place.more =
        format!("[vault]\n{vault}\n[[slack]]\nname = \"security\"\ntenant = \"octo\"\nhost = \"http://127.0.0.1:9\"\nprivate = true\n");
}

fn private(path: &Path, contents: &str) {
    std::fs::write(path, contents).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// Keeps something, so that there is something to open.
fn keep(place: &Place) {
    let mut child = place.command(&["keep", "slack-webhook", "security"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"http://127.0.0.1:9/services/T0000/B0000/XXXX").unwrap();
    assert!(child.wait_with_output().unwrap().status.success());
}

/// Whether a broker opens the store, with what was kept in it.
fn opens(place: &Place) -> Result<(), String> {
    let key = place.ask(&["ledger", "key"]);
    if !key.status.success() {
        return Err(text(&key.stderr).to_owned());
    }
    let broker = place.start();
    assert!(!broker.said.contains("isn't kept"), "{}", broker.said);
    assert_eq!(broker.terminate().0, Some(0));
    Ok(())
}

fn rotated(place: &Place, more: &[&str]) -> String {
    let output = place.ask(&[&["vault", "rotate"], more].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout).to_owned()
}

fn begun() -> (Place, PathBuf) {
    let mut place = Place::new();
    let key = place.folder.path().join("keys/vault.key");
    configured(&mut place, &format!("key-file = {key:?}"));
    keep(&place);
    place.start().terminate();
    opens(&place).unwrap();
    (place, key)
}

#[test]
fn a_new_key_takes_the_place_of_the_old_one_and_a_cut_in_between_is_mended() {
    let (place, key) = begun();
    let old = std::fs::read_to_string(&key).unwrap();
    assert!(rotated(&place, &[]).contains("in the place of the old one"));
    let new = std::fs::read_to_string(&key).unwrap();
    assert_ne!(old, new);
    opens(&place).unwrap();
    let export = place.ask(&["ledger", "export"]).stdout;
    assert_eq!(text(&export).matches("vault-key-changed").count(), 1);
    // The old key opens nothing any more.
    private(&key, &old);
    assert!(opens(&place).unwrap_err().contains("the store is sealed with key"));
    // Cut off after the store took the new key and before that was in its place.
    let next = key.with_extension("key.new");
    private(&next, &new);
    opens(&place).unwrap();
    assert_eq!(std::fs::read_to_string(&key).unwrap(), new);
    assert!(!next.exists());
    // Cut off before the store took it: what lies there opens nothing, and the next change doesn't stumble over it.
    private(&next, &old);
    opens(&place).unwrap();
    assert!(next.exists());
    rotated(&place, &[]);
    opens(&place).unwrap();
    // A key that is gone is never replaced by a new one.
    std::fs::remove_file(&key).unwrap();
    assert!(opens(&place).unwrap_err().contains("can't be used"));
    assert!(!key.exists());
}

#[test]
fn a_passphrase_takes_the_place_of_the_file_and_back() {
    let (mut place, key) = begun();
    let (file, other) = (place.folder.path().join("passphrase"), place.folder.path().join("into.toml"));
    private(&file, &format!("{PASSPHRASE}\n"));
    std::fs::write(&other, format!("[vault]\nkey = \"passphrase\"\npassphrase-file = {file:?}\n")).unwrap();
    assert!(rotated(&place, &["--into", other.to_str().unwrap()]).contains("use the new configuration from now on"));
    // The file's key opens nothing any more, and says what to do.
    assert!(opens(&place).unwrap_err().contains("set `key = \"passphrase\"` under [vault]"));
    configured(&mut place, &format!("key = \"passphrase\"\npassphrase-file = {file:?}"));
    opens(&place).unwrap();
    for (contents, mode, expected) in [
        ("correct horse battery stable\n", 0o600, "this isn't the sealed store's passphrase"),
        ("short\n", 0o600, "a passphrase has at least 12 bytes"),
        ("\n", 0o600, "its first line is no passphrase"),
        (PASSPHRASE, 0o644, "is open to others"),
    ] {
        std::fs::write(&file, contents).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        let said = opens(&place).unwrap_err();
        assert!(said.contains(expected) && !said.contains("horse"), "{contents:?} {mode:o}: {said}");
    }
    // Without a file it is asked for at a terminal, and there is none.
    configured(&mut place, "key = \"passphrase\"");
    assert!(opens_without_terminal(&place).contains("there is no terminal to ask for the passphrase at"));
    private(&file, PASSPHRASE);
    configured(&mut place, &format!("key = \"passphrase\"\npassphrase-file = {file:?}"));
    let same = place.ask(&["vault", "rotate"]);
    assert!(!same.status.success() && text(&same.stderr).contains("name with `--into` a configuration"), "{}", text(&same.stderr));
    let back = place.folder.path().join("keys/other.key");
    std::fs::write(&other, format!("[vault]\nkey-file = {back:?}\n")).unwrap();
    rotated(&place, &["--into", other.to_str().unwrap()]);
    assert!(opens(&place).unwrap_err().contains("lies in a file: set `key-file`"));
    configured(&mut place, &format!("key-file = {back:?}"));
    opens(&place).unwrap();
    // The first file's key opens copies of before at most.
    configured(&mut place, &format!("key-file = {key:?}"));
    assert!(opens(&place).unwrap_err().contains("the store is sealed with key"));
}

#[test]
fn a_store_can_begin_with_a_passphrase() {
    let mut place = Place::new();
    let file = place.folder.path().join("passphrase");
    private(&file, PASSPHRASE);
    configured(&mut place, &format!("key = \"passphrase\"\npassphrase-file = {file:?}"));
    keep(&place);
    place.start().terminate();
    opens(&place).unwrap();
    private(&file, "another passphrase altogether");
    assert!(opens(&place).unwrap_err().contains("this isn't the sealed store's passphrase"));
    configured(&mut place, &format!("key-file = {file:?}\npassphrase-file = {file:?}"));
    assert!(opens(&place).unwrap_err().contains("[vault] says two things"));
}

/// In a session of its own, which has no terminal.
fn opens_without_terminal(place: &Place) -> String {
    let command = place.command(&["ledger", "key"]);
    let mut alone = std::process::Command::new("setsid");
    alone.arg("--wait").arg(command.get_program()).args(command.get_args()).env_clear().env("HOME", place.folder.path());
    let output = alone.env("PATH", "/usr/bin:/bin").stdin(Stdio::null()).output().unwrap();
    text(&output.stderr).to_owned()
}

/// Waits until there is a keyring on the bus, locked or not.
fn has_keyring(session: &KeyringSession) {
    let asked = || Keyring::at(session.bus()).key(StoreId([0; 16]), KeyId([0; 16]));
    eventually("a keyring", || !matches!(asked(), Err(KeyError::Keyring(KeyringError::NoService))));
}

#[test]
fn a_key_in_the_sessions_keyring_opens_its_store_while_that_is_unlocked() {
    let mut session = KeyringSession::start();
    has_keyring(&session);
    let mut place = Place::new();
    let in_keyring = format!("key = \"keyring\"\nbus = {:?}", session.bus());
    configured(&mut place, &in_keyring);
    keep(&place);
    place.start().terminate();
    opens(&place).unwrap();
    // No key lies in any file of the broker's.
    assert!(!place.folder.path().join(".config").exists());
    // Another store has a key of its own beside it.
    let mut other = Place::new();
    configured(&mut other, &in_keyring);
    keep(&other);
    other.start().terminate();
    opens(&other).unwrap();
    opens(&place).unwrap();
    // The old key is gone with the change: a copy of before opens no more, and says why.
    let copy = place.folder.path().join("copy.db");
    assert!(place.ask(&["backup", copy.to_str().unwrap()]).status.success());
    assert!(rotated(&place, &[]).contains("in the keyring"));
    opens(&place).unwrap();
    opens(&other).unwrap();
    let lost = Place::new();
    std::fs::create_dir(lost.state()).unwrap();
    std::fs::set_permissions(lost.state(), std::fs::Permissions::from_mode(0o700)).unwrap();
    std::fs::copy(&copy, lost.state().join("broker.db")).unwrap();
    let mut lost = lost;
    configured(&mut lost, &in_keyring);
    assert!(opens(&lost).unwrap_err().contains("the keyring has no key"));
    // Into a file and back.
    let (file, into) = (place.folder.path().join("vault.key"), place.folder.path().join("into.toml"));
    std::fs::write(&into, format!("[vault]\nkey-file = {file:?}\n")).unwrap();
    rotated(&place, &["--into", into.to_str().unwrap()]);
    assert!(opens(&place).unwrap_err().contains("lies in a file"));
    configured(&mut place, &format!("key-file = {file:?}"));
    opens(&place).unwrap();
    std::fs::write(&into, format!("[vault]\n{in_keyring}\n")).unwrap();
    rotated(&place, &["--into", into.to_str().unwrap()]);
    assert!(opens(&place).unwrap_err().contains("set `key = \"keyring\"` under [vault]"));
    configured(&mut place, &in_keyring);
    opens(&place).unwrap();
    // Locked, gone, and without a session.
    session.lock();
    has_keyring(&session);
    assert!(opens(&place).unwrap_err().contains("the keyring is locked"));
    session.unlock();
    has_keyring(&session);
    opens(&place).unwrap();
    session.end_keyring();
    assert!(opens(&place).unwrap_err().contains("no keyring answers"));
    let nowhere = place.folder.path().join("bus");
    configured(&mut place, &format!("key = \"keyring\"\nbus = {nowhere:?}"));
    assert!(opens(&place).unwrap_err().contains("can't be reached"));
    let confused = format!("key = \"keyring\"\nkey-file = {file:?}");
    configured(&mut place, &confused);
    assert!(opens(&place).unwrap_err().contains("[vault] says two things"));
}

/// Makes a key at the emulated KMS, and gives its name.
fn kms_key(aws: &Peer) -> String {
    let origin = Origin::parse(aws.url()).unwrap();
    let egress = Egress::new([AllowedHost::private(origin.clone())], b"").unwrap();
    let root = keys(AWS_KEY_ID, AWS_SECRET_KEY.as_bytes(), None).unwrap();
    let call = Call::new("POST".parse().unwrap(), Target::new(&origin).path("/"))
        .header("x-amz-target".parse().unwrap(), "TrentService.CreateKey")
        .body(Body::Bytes("application/x-amz-json-1.1", b"{}".to_vec().into()));
    let call = sign(call, &root, &Region::new("eu-central-1").unwrap(), "kms", SystemClock::new().now()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let answer = runtime.block_on(egress.send(call)).unwrap();
    let answer: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
    answer["KeyMetadata"]["Arn"].as_str().unwrap().to_owned()
}

#[test]
fn a_key_that_a_key_service_wraps_opens_its_store_while_that_unwraps_it() {
    let aws = Peer::moto();
    let mut place = Place::new();
    std::fs::create_dir(place.folder.path().join(".aws")).unwrap();
    private(
        &place.folder.path().join(".aws/credentials"),
        &format!("[store]\naws_access_key_id = {AWS_KEY_ID}\naws_secret_access_key = {AWS_SECRET_KEY}\n"),
    );
    let wrapped_by =
        |key: &str| format!("key = \"aws-kms\"\n[vault.aws-kms]\nkey = {key:?}\nprofile = \"store\"\nendpoint = {:?}", aws.url());
    let (key, other) = (kms_key(&aws), kms_key(&aws));
    configured(&mut place, &wrapped_by(&key));
    keep(&place);
    let broker = place.start();
    assert!(broker.said.lines().any(|line| line.contains("egress: ") && line.contains(aws.url())), "{}", broker.said);
    broker.terminate();
    opens(&place).unwrap();
    assert!(!place.folder.path().join(".config").exists());
    // The context names the store.
    let asked = serde_json::to_string(&aws.requests()).unwrap();
    assert!(asked.contains("TrentService.GenerateDataKey") && asked.contains("TrentService.Decrypt"), "{asked}");
    assert!(asked.contains("keyblind-store"), "{asked}");
    // A copy has its wrapped key with it, and is put back.
    let copy = place.folder.path().join("copy.db");
    let noted = text(&place.ask(&["backup", copy.to_str().unwrap()]).stdout).trim().to_owned();
    rotated(&place, &[]);
    opens(&place).unwrap();
    for file in ["broker.db", "broker.db-wal", "broker.db-shm"] {
        let _ = std::fs::remove_file(place.state().join(file));
    }
    let restored = place.ask(&["restore", copy.to_str().unwrap(), "--noted", &noted]);
    assert!(restored.status.success(), "{}", text(&restored.stderr));
    opens(&place).unwrap();
    // Another key of the same account doesn't open it; it is changed to that one in one go.
    configured(&mut place, &wrapped_by(&other));
    let refused = opens(&place).unwrap_err();
    assert!(refused.contains("AWS refuses the key"), "{refused}");
    configured(&mut place, &wrapped_by(&key));
    let into = place.folder.path().join("into.toml");
    std::fs::write(&into, format!("[vault]\n{}\n", wrapped_by(&other))).unwrap();
    rotated(&place, &["--into", into.to_str().unwrap()]);
    configured(&mut place, &wrapped_by(&other));
    opens(&place).unwrap();
    // Into a file, from there into a passphrase, and from there back.
    let file = place.folder.path().join("vault.key");
    std::fs::write(&into, format!("[vault]\nkey-file = {file:?}\n")).unwrap();
    rotated(&place, &["--into", into.to_str().unwrap()]);
    assert!(opens(&place).unwrap_err().contains("lies in a file"));
    configured(&mut place, &format!("key-file = {file:?}"));
    opens(&place).unwrap();
    let passphrase = place.folder.path().join("passphrase");
    private(&passphrase, PASSPHRASE);
    let by_passphrase = format!("key = \"passphrase\"\npassphrase-file = {passphrase:?}");
    std::fs::write(&into, format!("[vault]\n{by_passphrase}\n")).unwrap();
    rotated(&place, &["--into", into.to_str().unwrap()]);
    configured(&mut place, &by_passphrase);
    std::fs::write(&into, format!("[vault]\n{}\n", wrapped_by(&key))).unwrap();
    rotated(&place, &["--into", into.to_str().unwrap()]);
    assert!(opens(&place).unwrap_err().contains("set `key = \"aws-kms\"` under [vault]"));
    configured(&mut place, &wrapped_by(&key));
    opens(&place).unwrap();
    // Without the service, and without authority there, it stays shut.
    std::fs::remove_file(place.folder.path().join(".aws/credentials")).unwrap();
    assert!(opens(&place).unwrap_err().contains("`profile` under [vault.aws-kms]"));
    for (wrong, expected) in [
        (wrapped_by("arn:aws:kms:eu-central-1:123456789012:alias/broker"), "not an alias"),
        ("key = \"aws-kms\"".to_owned(), "needs [vault.aws-kms]"),
        (wrapped_by(&key).replace("profile = \"store\"", "token-file = \"/run/token\""), "names either a `profile`, or a `token-file`"),
    ] {
        configured(&mut place, &wrong);
        assert!(opens(&place).unwrap_err().contains(expected), "{expected}");
    }
}
