//! What takes long: a loaded broker, fuzzing, and scans of large public repositories. Figures are written to docs/evidence/ by hand.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use keyblind_rule_language::{Language, read_folder};

use crate::{corpora, process};

/// A target of `fuzz/`.
struct Target {
    name: &'static str,
    /// How many shares of the time it gets.
    shares: u64,
    /// Beside `fuzz/seeds/<name>`: folders whose files are seeds as they are, so that no text is kept twice.
    seeds: &'static [&'static str],
    /// Whether the examples of all rules are seeds: together they make every rule decide something.
    takes_examples: bool,
    /// Whether the words of the HCL dictionary mean something to it.
    has_dictionary: bool,
    longest: u32,
}

const FIXTURES: &str = "crates/syntax/tests/syntax/fixtures";
const ORACLE: &str = "crates/dialects/tests/oracle";

const TARGETS: &[Target] = &[
    Target { name: "hcl", shares: 1, seeds: &[FIXTURES, ORACLE], takes_examples: false, has_dictionary: true, longest: 4_096 },
    Target { name: "expression", shares: 1, seeds: &[], takes_examples: false, has_dictionary: true, longest: 1_024 },
    Target { name: "json", shares: 1, seeds: &[FIXTURES, ORACLE], takes_examples: false, has_dictionary: false, longest: 4_096 },
    Target { name: "dockerfile", shares: 1, seeds: &[], takes_examples: false, has_dictionary: false, longest: 4_096 },
    Target { name: "shell", shares: 1, seeds: &[], takes_examples: false, has_dictionary: false, longest: 4_096 },
    Target { name: "github_expression", shares: 1, seeds: &[], takes_examples: false, has_dictionary: false, longest: 1_024 },
    Target { name: "kubernetes", shares: 1, seeds: &[], takes_examples: false, has_dictionary: false, longest: 4_096 },
    Target { name: "cloudformation", shares: 1, seeds: &[], takes_examples: false, has_dictionary: false, longest: 4_096 },
    Target { name: "frame", shares: 1, seeds: &[], takes_examples: false, has_dictionary: false, longest: 4_096 },
    Target { name: "intent", shares: 1, seeds: &[], takes_examples: false, has_dictionary: false, longest: 4_096 },
    Target { name: "scan", shares: 3, seeds: &[ORACLE, "examples/shop"], takes_examples: true, has_dictionary: true, longest: 8_192 },
    Target { name: "fix", shares: 3, seeds: &[], takes_examples: true, has_dictionary: true, longest: 4_096 },
];

/// How long a soak takes that isn't told.
pub(crate) const USUAL: Duration = Duration::from_secs(600);

/// A duration as people write it: `90s`, `10m`, `2h`; without a unit it is minutes.
///
/// # Errors
/// Says what is expected.
pub(crate) fn duration(text: &str) -> Result<Duration> {
    let (number, seconds) = match text.char_indices().next_back() {
        Some((at, 's')) => (&text[..at], 1),
        Some((at, 'm')) => (&text[..at], 60),
        Some((at, 'h')) => (&text[..at], 3600),
        _ => (text, 60),
    };
    let number: u64 = number.parse().ok().with_context(|| format!("`{text}` is no duration: write it as 90s, 10m or 2h"))?;
    Ok(Duration::from_secs(number.saturating_mul(seconds)))
}

/// Loads the broker, fuzzes each target for its share of the time, then scans every repository beneath `KEYBLIND_CORPORA` if it is set.
pub(crate) fn run(time: Duration) -> Result<()> {
    process::run("cargo", &["install", "--locked", "--quiet", "cargo-fuzz@0.13.2"]).context("cargo-fuzz can't be installed")?;
    let examples = examples_of_rules()?;
    let shares: u64 = TARGETS.iter().map(|target| target.shares).sum();
    load_broker()?;
    let mut faulty = Vec::new();
    for target in TARGETS {
        // No target is left out because its share of a short soak would be nothing: without a limit it would never end.
        let seconds = (time.as_secs().saturating_mul(target.shares) / shares).max(1);
        if let Err(error) = fuzz(target, seconds, &examples) {
            eprintln!("{}: {error:#}", target.name);
            faulty.push(target.name);
        }
    }
    if std::env::var_os("KEYBLIND_CORPORA").is_some() {
        scan_corpora()?;
    }
    anyhow::ensure!(faulty.is_empty(), "the fuzzer found something in: {} (the inputs are in fuzz/artifacts)", faulty.join(", "));
    Ok(())
}

/// Two hundred clients of the broker at once, of whom none may lose an answer: the ordinary test with larger numbers.
fn load_broker() -> Result<()> {
    let test = ["--", "--nocapture", "--exact", "many::no_answer_is_lost_among_many_clients"];
    let arguments: Vec<&str> =
        ["test", "--release", "--locked", "--package", "keyblind-broker", "--test", "socket"].into_iter().chain(test).collect();
    process::run_with("cargo", &arguments, &[("KEYBLIND_CLIENTS", "200"), ("KEYBLIND_REQUESTS", "200")])
}

/// How many brokers are killed that isn't told.
const POINTS: &str = "200";

/// Kills the finished broker at so many random points of its work: the ordinary test with larger numbers.
pub(crate) fn kill_points(arguments: &[&str]) -> Result<()> {
    let (points, seed) = match arguments {
        [] => (POINTS, "1"),
        [points] => (*points, "1"),
        [points, seed] => (*points, *seed),
        _ => anyhow::bail!("write it as `cargo xtask soak --only kill-points [POINTS] [SEED]`"),
    };
    let test = "killed::killed_at_random_points_nothing_is_lost_and_nothing_done_twice";
    attack(&[], test, &[("KEYBLIND_KILL_POINTS", points), ("KEYBLIND_SEED", seed)])
}

/// Runs one of the tests of the finished programs, and shows what it says.
pub(crate) fn attack(profile: &[&str], test: &str, environment: &[(&str, &str)]) -> Result<()> {
    let build = ["build", "--locked", "--package", "keyblind", "--package", "keyblind-broker-program"];
    process::run("cargo", &[&build[..], profile].concat())?;
    let run = ["test", "--locked", "--package", "keyblind-prove", "--test", "finished"];
    process::run_with("cargo", &[&run[..], profile, &["--", "--nocapture", "--exact", test]].concat(), environment)
}

fn fuzz(target: &Target, seconds: u64, examples: &Path) -> Result<()> {
    let corpus = process::target().join("fuzz-corpus").join(target.name);
    std::fs::create_dir_all(&corpus).context("the corpus folder can't be made")?;
    let build = process::target().join("fuzz");
    // No sanitizer: nothing here is unsafe, and without one it is several times faster.
    let mut arguments: Vec<String> = ["fuzz", "run", "--sanitizer", "none", "--target-dir"].map(str::to_owned).to_vec();
    arguments.extend([text(&build), target.name.to_owned(), text(&corpus)]);
    let repository = process::repository();
    let own = repository.join("fuzz/seeds").join(target.name);
    arguments.extend(own.is_dir().then(|| text(&own)));
    arguments.extend(target.seeds.iter().map(|folder| text(&repository.join(folder))));
    arguments.extend(target.takes_examples.then(|| text(examples)));
    arguments.extend(["--", "-timeout=20", "-rss_limit_mb=4096", "-seed=1", "-print_final_stats=1"].map(str::to_owned));
    arguments.extend([format!("-max_total_time={seconds}"), format!("-max_len={}", target.longest)]);
    arguments.extend(target.has_dictionary.then(|| format!("-dict={}", text(&repository.join("fuzz/hcl.dict")))));
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    // The fuzzer's instrumentation needs flags that a stable compiler only takes this way.
    process::run_with("cargo", &arguments, &[("RUSTC_BOOTSTRAP", "1")])
}

/// Writes the examples of all rules as seeds.
fn examples_of_rules() -> Result<PathBuf> {
    let folder = process::target().join("fuzz-examples");
    std::fs::create_dir_all(&folder).context("the folder for examples can't be made")?;
    for rule in read_folder(&process::repository().join("rules")).rules {
        for examples in &rule.docs.examples {
            for (kind, texts) in [("bad", &examples.bad), ("good", &examples.good)] {
                for (number, example) in texts.iter().enumerate() {
                    let name = format!("{}-{}-{kind}-{number}", rule.id, examples.language.name());
                    std::fs::write(folder.join(name), format!("=== {}\n{example}", file_name(examples.language)))?;
                }
            }
        }
    }
    Ok(folder)
}

/// A name by which a scan takes a text for the language.
fn file_name(language: Language) -> &'static str {
    match language.name() {
        "dockerfile" => "Dockerfile",
        "github-actions" => ".github/workflows/ci.yml",
        "kubernetes" | "cloudformation" => "resources.yaml",
        _ => "main.tf",
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
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
