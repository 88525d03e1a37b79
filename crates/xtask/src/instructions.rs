//! Instruction counts, by callgrind: they don't depend on what else the machine does.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::process;

/// What fixes cost beside what each of them needs: to evaluate and judge the root module that it touches.
pub(crate) struct FixCost {
    /// The proven fixes.
    pub(crate) fixes: usize,
    /// Instructions of all of them.
    pub(crate) spent: u64,
    /// Instructions of evaluating the root module once and judging it by all rules.
    pub(crate) evaluation: u64,
}

impl FixCost {
    /// How many evaluations a fix costs.
    pub(crate) fn ratio(&self) -> f64 {
        self.spent as f64 / (self.fixes as f64 * self.evaluation.max(1) as f64)
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

/// What the fixes of a tree with one root module cost. What isn't fixed isn't counted.
pub(crate) fn of_fixes(program: &Path, tree: &Path) -> Result<FixCost> {
    let base = process::target().join("bench/fixes");
    let (one, two) = (copies(tree, &base.join("one"), &["a"])?, copies(tree, &base.join("two"), &["a", "b"])?);
    let fix = ["fix", &*one, "--root", &*one, "--output", "json", "--quiet"];
    // Its exit code says that there are findings.
    let output = Command::new(program).args(fix).output().context("the program can't be started")?;
    let document: Value = serde_json::from_slice(&output.stdout).context("`keyblind fix --output json` printed no JSON")?;
    let fixes = document["fixes"].as_array().context("`fixes` is no list")?;
    ensure!(!fixes.is_empty(), "nothing in {} has a fix", tree.display());
    let is_one_root = |fix: &Value| fix["proof"]["roots"].as_array().is_some_and(|roots| matches!(roots.as_slice(), [root] if root == "a"));
    ensure!(fixes.iter().all(is_one_root), "{} has more than one root module", tree.display());

    let mut arguments = fix.to_vec();
    for fix in fixes {
        arguments.extend(["--finding", fix["fingerprint"].as_str().context("a fix has no fingerprint")?]);
    }
    // Before it fixes, the program scans for what the default view shows.
    let scan = count(program, &["scan", &one, "--root", &one, "--format", "json", "--quiet", "--persona", "regular"])?;
    let spent = count(program, &arguments)?.saturating_sub(scan);
    // What a second one costs beside the first is free of what is done once: starting, reading the texts of rules.
    let judge = |tree: &str| count(program, &["scan", tree, "--root", tree, "--summary", "--quiet", "--persona", "auditor"]);
    let evaluation = judge(&two)?.saturating_sub(judge(&one)?);
    Ok(FixCost { fixes: fixes.len(), spent, evaluation })
}

/// A folder that holds a tree under each of some names.
fn copies(tree: &Path, folder: &Path, names: &[&str]) -> Result<String> {
    if folder.exists() {
        std::fs::remove_dir_all(folder).context("an old copy can't be removed")?;
    }
    std::fs::create_dir_all(folder).context("the folder for copies can't be made")?;
    for name in names {
        process::run("cp", &["-r", &text(tree), &text(&folder.join(name))])?;
    }
    Ok(text(folder))
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
