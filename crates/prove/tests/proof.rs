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

/// A `keyblind` that does something first. It lies beside its own world: two folders up is the sealed store's key, which no process of
/// the blind side may ever have.
fn prove_leaking(first: &str) -> String {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = tempfile::tempdir().unwrap();
    let real = programs();
    std::os::unix::fs::symlink(real.join("keyblind-broker"), folder.path().join("keyblind-broker")).unwrap();
    let script =
        format!("#!/bin/bash\nworld=\"$(dirname \"$0\")/..\"\n{first}\nexec -a keyblind {} \"$@\"\n", real.join("keyblind").display());
    let leaking = folder.path().join("keyblind");
    std::fs::write(&leaking, script).unwrap();
    std::fs::set_permissions(&leaking, std::fs::Permissions::from_mode(0o755)).unwrap();
    let proof = prove(folder.path());
    let said = said(&proof);
    assert_eq!(proof.status.code(), Some(1), "{said}");
    said
}

#[test]
fn a_secret_in_a_file_is_found() {
    let said = prove_leaking("cp \"$world/vault/vault.key\" \"$world/work/copied\"");
    assert!(said.contains("found: the sealed store's key, base 64, in files"), "{said}");
}

#[test]
fn a_secret_in_the_environment_is_found() {
    let said = prove_leaking("export LEAKED=\"$(cat \"$world/vault/vault.key\")\"");
    assert!(said.contains("found: the sealed store's key, base 64, in environment of keyblind"), "{said}");
}
