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
    assert_eq!(proof.status.code(), Some(0), "{said}");
    assert!(said.contains("The claim holds, as far as it was checked."), "{said}");
}

/// A `keyblind` that is given the sealed store's key: what no process of the blind side may ever have.
#[test]
fn a_program_that_holds_a_secret_is_found() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = tempfile::tempdir().unwrap();
    let real = programs();
    std::os::unix::fs::symlink(real.join("keyblind-broker"), folder.path().join("keyblind-broker")).unwrap();
    // It lies beside its own world: two folders up are the sealed store's key and the folder of what is searched.
    let script = format!(
        "#!/bin/sh\ncp \"$(dirname \"$0\")/../vault/vault.key\" \"$(dirname \"$0\")/../work/copied\"\nexec -a keyblind {} \"$@\"\n",
        real.join("keyblind").display()
    );
    let leaking = folder.path().join("keyblind");
    std::fs::write(&leaking, script.replace("#!/bin/sh", "#!/bin/bash")).unwrap();
    std::fs::set_permissions(&leaking, std::fs::Permissions::from_mode(0o755)).unwrap();
    let proof = prove(folder.path());
    let said = said(&proof);
    assert_eq!(proof.status.code(), Some(1), "{said}");
    assert!(said.contains("found: the sealed store's key, base 64, in files"), "{said}");
}
