//! Compiles the workspace's `rules` folder into one table that is built into the program.

use std::path::{Path, PathBuf};

fn main() {
    let folder = PathBuf::from(variable("CARGO_MANIFEST_DIR")).join("../../rules");
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed={}", folder.display());
    let found = keyblind_rule_language::read_folder(&folder);
    for file in &found.files {
        println!("cargo:rerun-if-changed={}", folder.join(file).display());
    }
    for error in &found.errors {
        println!("cargo:warning=rules/{error}");
    }
    // While one works on a rule the others must stay usable, and a test tells of the broken one; but no program is
    // shipped without one of its rules.
    assert!(!found.files.is_empty(), "there are no rules in {}", folder.display());
    let broken = found.errors.len();
    assert!(broken == 0 || variable("PROFILE") == "debug", "{broken} faults in {} rule files", found.files.len());
    let bytes = keyblind_rule_language::compile(&found.rules).expect("the rules fit in a table");
    std::fs::write(Path::new(&variable("OUT_DIR")).join("rules.bin"), bytes).expect("the output folder can be written");
}

fn variable(name: &str) -> String {
    std::env::var(name).expect("cargo sets the variables of build scripts")
}
