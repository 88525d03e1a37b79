//! Fixes on public repositories that are full of faults on purpose: how many findings have a proven fix, and whether a
//! new scan agrees after the fixes were written.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use crate::corpora::{self, Repository};
use crate::process;

/// At least so many of the findings carry a proven fix that needs no input.
const WANTED: f64 = 0.85;
/// At least so many of the critical and high ones carry one, if need be with input.
const WANTED_OF_GRAVE: f64 = 0.95;

const HEAD: &str = "findings | fixed without input | share | with input | critical and high | with a fix | share | still there | new";

/// A repository, and the values that it is scanned with.
struct Goat {
    repository: Repository,
    /// What is scanned in it.
    path: &'static str,
    /// `NAME=VALUE` for variables of its root modules.
    variables: &'static [&'static str],
}

const GOATS: &[Goat] = &[
    Goat { repository: corpora::TERRAGOAT, path: ".", variables: &[] },
    Goat { repository: SADCLOUD, path: ".", variables: &[] },
    // As published everything is switched off; this is what it is for.
    Goat { repository: SADCLOUD, path: "sadcloud", variables: &["all_findings=true"] },
    Goat {
        repository: Repository { folder: "cfngoat", name: "bridgecrewio/cfngoat", commit: "0c09b69cfc3dbc6cb3ef01883415c35c588ced48" },
        path: ".",
        variables: &[],
    },
    Goat {
        repository: Repository {
            folder: "kustomizegoat",
            name: "bridgecrewio/kustomizegoat",
            commit: "ef912fdcddb182f292191552fb70f85b07422467",
        },
        path: ".",
        variables: &[],
    },
    Goat {
        repository: Repository {
            folder: "kubernetes-goat",
            name: "madhuakula/kubernetes-goat",
            commit: "56e60a29ed66fda476fa4794b41749e953cbd60f",
        },
        path: ".",
        variables: &[],
    },
    Goat {
        repository: Repository {
            folder: "github-actions-goat",
            name: "step-security/github-actions-goat",
            commit: "4da23c8602b4589bacdf7de77240113e02cdb884",
        },
        path: ".",
        variables: &[],
    },
];

const SADCLOUD: Repository =
    Repository { folder: "sadcloud", name: "nccgroup/sadcloud", commit: "f538652921a7f3e8e25c0afaecad2d4382f8b21e" };

/// A finding by what it is about: rule, root module, address. Lines change with fixes, and fingerprints with them.
type Finding = (String, String, String);

/// What became of the findings of one dialect.
#[derive(Default)]
struct Row {
    findings: usize,
    without_input: usize,
    with_input: usize,
    grave: usize,
    grave_fixed: usize,
    /// Findings that a fix was written for and that a new scan still shows.
    left: usize,
    /// Findings of any rule that weren't there before.
    new: usize,
}

/// What a scan says of a finding.
struct Failed {
    finding: Finding,
    fingerprint: String,
    dialect: String,
    severity: String,
    /// Whether it is in the default view.
    shown: bool,
}

/// Measures with a program that is built here, or with one that is given.
pub(crate) fn run(program: Option<&str>) -> Result<()> {
    let program = match program {
        Some(program) => PathBuf::from(program).canonicalize().with_context(|| format!("{program} can't be found"))?,
        None => {
            process::run("cargo", &["build", "--release", "--locked", "--package", "keyblind"])?;
            process::target().join("release/keyblind")
        }
    };
    let all = corpora::folder()?;
    let mut sums: BTreeMap<String, Row> = BTreeMap::new();
    println!("\n| repository | dialect | {HEAD} |\n|---|---|{}", "---|".repeat(HEAD.matches('|').count() + 1));
    for goat in GOATS {
        let Repository { folder, name, commit } = goat.repository;
        let place = all.join(folder);
        if !place.is_dir() {
            println!("| {folder} | (missing: check out {name} at {commit} in {}) |", place.display());
            continue;
        }
        for (dialect, row) in measure(&program, &place, goat)? {
            let name = format!("{folder} {}", goat.variables.join(" "));
            println!("| {} | {dialect} | {} |", name.trim(), row.cells());
            if goat.variables.is_empty() {
                sums.entry(dialect).or_default().add(&row);
            }
        }
    }
    let (mut whole, mut missed) = (Row::default(), Vec::new());
    for (dialect, row) in &sums {
        println!("| **all, as published** | {dialect} | {} |", row.cells());
        if !row.holds() {
            missed.push(dialect.as_str());
        }
        whole.add(row);
    }
    println!("| **all, as published** | | {} |", whole.cells());
    if !whole.holds() {
        missed.push("all of them together");
    }
    ensure!(missed.is_empty(), "fixes fall short of what is promised in: {}", missed.join(", "));
    Ok(())
}

impl Row {
    /// Whether there are as many fixes as promised, and each helps and does no harm.
    fn holds(&self) -> bool {
        self.share() >= WANTED && self.share_of_grave() >= WANTED_OF_GRAVE && self.left == 0 && self.new == 0
    }

    fn share(&self) -> f64 {
        ratio(self.without_input, self.findings)
    }

    fn share_of_grave(&self) -> f64 {
        ratio(self.grave_fixed, self.grave)
    }

    fn cells(&self) -> String {
        let percent = |share: f64| format!("{:.1} %", share * 100.0);
        format!(
            "{} | {} | {} | {} | {} | {} | {} | {} | {}",
            self.findings,
            self.without_input,
            percent(self.share()),
            self.with_input,
            self.grave,
            self.grave_fixed,
            percent(self.share_of_grave()),
            self.left,
            self.new
        )
    }

    fn add(&mut self, other: &Self) {
        self.findings += other.findings;
        self.without_input += other.without_input;
        self.with_input += other.with_input;
        self.grave += other.grave;
        self.grave_fixed += other.grave_fixed;
        self.left += other.left;
        self.new += other.new;
    }
}

fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 { 1.0 } else { part as f64 / whole as f64 }
}

/// Fixes a copy of a repository, scans that again and counts.
fn measure(program: &Path, place: &Path, goat: &Goat) -> Result<BTreeMap<String, Row>> {
    let copy = process::target().join("goats").join(format!("{}-{}", goat.repository.folder, goat.variables.len()));
    if copy.exists() {
        std::fs::remove_dir_all(&copy)?;
    }
    if let Some(parent) = copy.parent() {
        std::fs::create_dir_all(parent)?;
    }
    process::output("cp", &["-r", &place.to_string_lossy(), &copy.to_string_lossy()])?;
    let before = scan(program, &copy, goat)?;
    let fixes = keyblind(program, &copy, goat, &["fix", "--persona", "regular", "--write", "--all", "--force", "--output", "json"])?;
    let after = scan(program, &copy, goat)?;
    let named = |list: &str, class: Option<&str>| -> BTreeSet<String> {
        let of_class = |fix: &&Value| class.is_none_or(|class| fix["class"] == class);
        fixes[list].as_array().into_iter().flatten().filter(of_class).map(|fix| text(fix, "fingerprint")).collect()
    };
    let (with_input, refused) = (named("fixes", Some("needs-input")), named("refused", None));
    let written: BTreeSet<String> = named("fixes", None).difference(&with_input).cloned().collect();
    let failing_after: BTreeSet<&Finding> = after.iter().map(|failed| &failed.finding).collect();
    let mut rows: BTreeMap<String, Row> = BTreeMap::new();
    for failed in before.iter().filter(|failed| failed.shown) {
        let row = rows.entry(failed.dialect.clone()).or_default();
        let is_left = failing_after.contains(&failed.finding);
        let asks = with_input.contains(&failed.fingerprint);
        // What is in no list went with the fix of another finding, if the new scan agrees.
        let is_fixed = !is_left && !asks && !refused.contains(&failed.fingerprint);
        row.findings += 1;
        row.without_input += usize::from(is_fixed);
        row.with_input += usize::from(asks);
        row.left += usize::from(is_left && written.contains(&failed.fingerprint));
        if matches!(failed.severity.as_str(), "critical" | "high") {
            row.grave += 1;
            row.grave_fixed += usize::from(is_fixed || asks);
        }
    }
    let known: BTreeSet<&Finding> = before.iter().map(|failed| &failed.finding).collect();
    for failed in after.iter().filter(|failed| !known.contains(&failed.finding)) {
        rows.entry(failed.dialect.clone()).or_default().new += 1;
        println!("new in {}: {:?}", goat.repository.folder, failed.finding);
    }
    Ok(rows)
}

/// All that fails, whoever wants to see it.
fn scan(program: &Path, folder: &Path, goat: &Goat) -> Result<Vec<Failed>> {
    let report = keyblind(program, folder, goat, &["scan", "--format", "json"])?;
    let failed = report["results"].as_array().into_iter().flatten().filter(|result| result["status"] == "failed");
    let read = |result: &Value| Failed {
        finding: (text(result, "rule"), text(result, "root"), text(result, "address")),
        fingerprint: text(result, "fingerprint"),
        dialect: text(result, "dialect"),
        severity: text(result, "severity"),
        shown: result["persona"] == "regular",
    };
    Ok(failed.map(read).collect())
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_default().to_owned()
}

/// Runs the program in a folder and reads the JSON that it prints.
fn keyblind(program: &Path, folder: &Path, goat: &Goat, arguments: &[&str]) -> Result<Value> {
    let variables = goat.variables.iter().flat_map(|variable| ["--var", variable]);
    let output = Command::new(program)
        .args(arguments)
        .args(variables)
        .args(["--root", ".", goat.path])
        .current_dir(folder)
        .output()
        .with_context(|| format!("{} can't be started", program.display()))?;
    if !matches!(output.status.code(), Some(0 | 1 | 3 | 5)) {
        bail!("`keyblind {}` in {}: {}", arguments.join(" "), folder.display(), String::from_utf8_lossy(&output.stderr));
    }
    serde_json::from_slice(&output.stdout).with_context(|| format!("`keyblind {}` printed no JSON", arguments.join(" ")))
}
