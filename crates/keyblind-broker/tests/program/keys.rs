//! The sealed store's key: renewed, moved into a passphrase and back.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::support::{Place, text};

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
    assert!(opens(&place).unwrap_err().contains("doesn't come from a passphrase"));
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
