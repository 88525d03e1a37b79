//! The whole proof, with the programs of this workspace, and what it says when one of them leaks.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Where the programs are: beside the folder of the tests. `cargo test --workspace` builds them.
fn programs() -> PathBuf {
    let folder = Path::new(env!("CARGO_BIN_EXE_keyblind-prove")).parent().unwrap().to_owned();
    for program in ["keyblind", "keyblind-broker"] {
        assert!(folder.join(program).is_file(), "`{program}` isn't built: run `cargo xtask test`");
    }
    folder
}

fn prove(programs: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_keyblind-prove")).arg("--programs").arg(programs).env_clear().output().unwrap()
}

fn said(output: &Output) -> String {
    [&output.stdout[..], &output.stderr].map(String::from_utf8_lossy).concat()
}

#[test]
fn no_canary_is_anywhere_but_in_the_broker() {
    let proof = prove(&programs());
    let said = said(&proof);
    // Only root may look into a process that lets nobody look.
    let expected =
        if rustix::process::geteuid().is_root() { (0, "The claim holds.\n") } else { (3, "The claim holds, as far as it was checked") };
    assert_eq!(proof.status.code(), Some(expected.0), "{said}");
    assert!(said.contains(expected.1), "{said}");
}

/// A program that does something first. It starts a copy beside it, because the users whom the proof gives the programs to can't enter
/// whatever folder this workspace is built in.
fn leaking(folder: &Path, name: &str, first: &str) {
    use std::os::unix::fs::PermissionsExt as _;

    let real = folder.join(format!("{name}.real"));
    std::fs::copy(programs().join(name), &real).unwrap();
    let script = format!("#!/bin/bash\n{first}\nexec -a {name} {} \"$@\"\n", real.display());
    std::fs::write(folder.join(name), script).unwrap();
    std::fs::set_permissions(folder.join(name), std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// A proof with a broker that gives its sealed store's key away, and a `keyblind` that does something with it.
fn prove_leaking(by_the_broker: &str, by_keyblind: &str) -> String {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = tempfile::Builder::new().permissions(std::fs::Permissions::from_mode(0o755)).tempdir().unwrap();
    let shared = folder.path().join("shared");
    std::fs::create_dir(&shared).unwrap();
    std::fs::set_permissions(&shared, std::fs::Permissions::from_mode(0o777)).unwrap();
    let shared = shared.display();
    let key = "world=\"$(dirname \"$KEYBLIND_BROKER_CONFIG\")\"\nkey=\"$world/vault/vault.key\"";
    leaking(folder.path(), "keyblind-broker", &format!("shared={shared}\n{key}\nif [ -r \"$key\" ]; then\n{by_the_broker}\nfi"));
    leaking(folder.path(), "keyblind", &format!("shared={shared}\n{by_keyblind}"));
    let proof = prove(folder.path());
    let said = said(&proof);
    assert_eq!(proof.status.code(), Some(1), "{said}");
    said
}

#[test]
fn a_secret_in_a_file_is_found() {
    let said = prove_leaking("cp \"$key\" \"$world/broker/copied\"", "");
    assert!(said.contains("found: the sealed store's key, base 64, in files"), "{said}");
}

#[test]
fn a_secret_in_the_environment_is_found() {
    let give = "(umask 022; cat \"$key\" > \"$shared/key.new\" && mv \"$shared/key.new\" \"$shared/key\")";
    let said = prove_leaking(give, "export LEAKED=\"$(cat \"$shared/key\")\"");
    assert!(said.contains("found: the sealed store's key, base 64, in environment of keyblind"), "{said}");
}
