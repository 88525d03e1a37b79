//! What takes long: fuzzing, and scans of large public repositories. Figures are written to docs/evidence/ by hand.

use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::{corpora, process};

/// Targets of `fuzz/`.
const TARGETS: &[&str] = &["hcl", "json", "expression", "scan"];

/// Fuzzes each target for its share of the minutes, then scans every repository beneath `KEYBLIND_CORPORA` if it is set.
pub(crate) fn run(minutes: u64) -> Result<()> {
    process::run("cargo", &["install", "--locked", "--quiet", "cargo-fuzz@0.13.2"]).context("cargo-fuzz can't be installed")?;
    let share = Duration::from_secs(minutes * 60 / TARGETS.len() as u64).as_secs().to_string();
    for target in TARGETS {
        let seconds = format!("-max_total_time={share}");
        let corpus = process::target().join("fuzz-corpus").join(target);
        std::fs::create_dir_all(&corpus).context("the corpus folder can't be made")?;
        let seeds = process::repository().join("fuzz/seeds").join(target);
        let arguments = [
            "fuzz",
            "run",
            target,
            &*corpus.to_string_lossy(),
            &*seeds.to_string_lossy(),
            "--",
            &*seconds,
            "-timeout=20",
            "-rss_limit_mb=4096",
            "-seed=1",
        ];
        // The fuzzer's instrumentation needs flags that a stable compiler only takes this way.
        process::run_with("cargo", &arguments, &[("RUSTC_BOOTSTRAP", "1")])?;
    }
    if std::env::var_os("KEYBLIND_CORPORA").is_some() {
        scan_corpora()?;
    }
    Ok(())
}

/// Every repository must be read to its end: exit 0, 1 (findings) or 3 (incomplete, said so), nothing else.
fn scan_corpora() -> Result<()> {
    process::run("cargo", &["build", "--release", "--locked", "--package", "keyblind"])?;
    let program = process::target().join("release/keyblind");
    let mut folders: Vec<_> =
        std::fs::read_dir(corpora::folder()?)?.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    folders.sort();
    for folder in folders {
        let status = std::process::Command::new(&program)
            .args(["scan", "--format", "json", "--output"])
            .arg("json=/dev/null")
            .arg(&folder)
            .stdout(std::process::Stdio::null())
            .status()?;
        println!("{}: {status}", folder.display());
        anyhow::ensure!(matches!(status.code(), Some(0 | 1 | 3 | 5)), "{} was not scanned to its end: {status}", folder.display());
    }
    Ok(())
}
