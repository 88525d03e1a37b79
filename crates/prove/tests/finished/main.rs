//! The finished programs under attack: what people and providers do to a broker that runs, and what is left of it afterwards.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may panic, and says what it measured")]

mod bench;
mod failures;
mod inside;
mod killed;
mod load;

mod outside;
mod switch;
mod tenants;
mod twice;

use std::path::{Path, PathBuf};

/// Where the programs are: beside the folder of the tests. `cargo xtask test` builds them.
fn programs() -> PathBuf {
    let folder = Path::new(env!("CARGO_BIN_EXE_keyblind-prove")).parent().unwrap().to_owned();
    for program in ["keyblind", "keyblind-broker"] {
        assert!(folder.join(program).is_file(), "`{program}` isn't built: run `cargo xtask test`");
    }
    folder
}

/// A number that whoever runs the tests can set.
fn number(name: &str, usual: u64) -> u64 {
    std::env::var(name).map_or(usual, |text| text.parse().unwrap())
}
