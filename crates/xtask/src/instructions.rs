//! Instruction counts, by callgrind: they don't depend on what else the machine does.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::process;

/// What fixes cost beside what they need: the evaluation of the root modules that each of them touches.
pub(crate) struct FixCost {
    /// The proven fixes.
    pub(crate) fixes: usize,
    /// Instructions of all of them.
    pub(crate) spent: u64,
    /// Instructions of evaluating and judging, once, the root modules that each of them touches.
    pub(crate) evaluations: u64,
}

impl FixCost {
    /// How many evaluations a fix costs.
    pub(crate) fn ratio(&self) -> f64 {
        self.spent as f64 / self.evaluations.max(1) as f64
    }
}

/// Prints what the start and a scan of the example take.
pub(crate) fn of_scan(program: &Path) -> Result<()> {
    let example = text(&process::repository().join("examples/shop"));
    for (what, arguments) in
        [("start (`--version`)", vec!["--version"]), ("scan examples/shop", vec!["scan", &*example, "--format", "json"])]
    {
        println!("instructions, {what}: {}", count(program, &arguments)?);
    }
    Ok(())
}

/// What the fixes of a tree cost. What isn't fixed isn't counted.
pub(crate) fn of_fixes(program: &Path, tree: &Path, empty: &Path) -> Result<FixCost> {
    let tree = text(tree);
    // Its exit code says that there are findings.
    let output =
        Command::new(program).args(["fix", &*tree, "--output", "json", "--quiet"]).output().context("the program can't be started")?;
    let document: Value = serde_json::from_slice(&output.stdout).context("`keyblind fix --output json` printed no JSON")?;
    let fixes = document["fixes"].as_array().context("`fixes` is no list")?;
    ensure!(!fixes.is_empty(), "nothing in {tree} has a fix");

    let mut arguments = vec!["fix", &*tree, "--output", "json", "--quiet"];
    for fix in fixes {
        arguments.extend(["--finding", fix["fingerprint"].as_str().context("a fix has no fingerprint")?]);
    }
    let with_fixes = count(program, &arguments)?;
    let scan = count(program, &["scan", &tree, "--format", "json", "--quiet"])?;
    let nothing = count(program, &["scan", &text(empty), "--format", "json", "--quiet"])?;

    let mut of_root: HashMap<&str, u64> = HashMap::new();
    let mut evaluations = 0;
    for root in fixes.iter().filter_map(|fix| fix["proof"]["roots"].as_array()).flatten().filter_map(Value::as_str) {
        evaluations += match of_root.get(root) {
            Some(cost) => *cost,
            None => {
                let place = text(&Path::new(&tree).join(root));
                let cost = count(program, &["scan", &place, "--root", &tree, "--format", "json", "--quiet"])?.saturating_sub(nothing);
                *of_root.entry(root).or_insert(cost)
            }
        };
    }
    Ok(FixCost { fixes: fixes.len(), spent: with_fixes.saturating_sub(scan), evaluations })
}

/// Instructions of a run of the program on one thread.
fn count(program: &Path, arguments: &[&str]) -> Result<u64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .args(arguments)
        .env("RAYON_NUM_THREADS", "1")
        .output()
        .context("valgrind is needed (Debian: apt-get install valgrind)")?;
    let said = String::from_utf8_lossy(&output.stderr);
    let count = said.lines().find_map(|line| line.split("Collected :").nth(1)).context("valgrind printed no count")?;
    count.trim().parse().context("valgrind printed no number")
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
