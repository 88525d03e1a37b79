//! Checkov and Trivy on examples before and after their fixes: what they found is gone, and they find nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use keyblind_referee::{Example, Program, Random, apply, copy_tree, examples};
use serde_json::Value;

use crate::{bench, fixes, process, tools};

const COUNT: u64 = 400;
const SEED: u64 = 20_261_122;

/// An example with its fix.
struct Sample {
    example: Example,
    /// By path: the text before and after.
    texts: BTreeMap<String, (String, String)>,
    values: String,
}

/// A verdict of a peer: its check and the resource.
type Verdict = (String, String);

/// What a peer says about each sample, by number.
#[derive(Default)]
struct Said {
    failed: BTreeMap<usize, BTreeSet<Verdict>>,
    passed: BTreeMap<usize, BTreeSet<Verdict>>,
}

impl Said {
    /// The resources of a sample that the peer knows.
    fn resources(&self, number: usize) -> BTreeSet<&str> {
        let both = [&self.failed, &self.passed].into_iter().filter_map(|verdicts| verdicts.get(&number)).flatten();
        both.map(|(_, resource)| resource.as_str()).collect()
    }
}

/// Shows fixes of a random sample of rules that carry a peer's id to that peer.
pub(crate) fn run(arguments: &[&str]) -> Result<()> {
    let number = |at: usize, default: u64| arguments.get(at).map_or(Ok(default), |text| text.parse().context("not a number"));
    let (count, seed) = (number(0, COUNT)? as usize, number(1, SEED)?);
    let program = Program::new(process::program()?);
    let scratch = process::target().join("second-judges");
    if scratch.exists() {
        fs::remove_dir_all(&scratch)?;
    }
    let mut all: Vec<Example> = examples(&process::repository().join("rules"))?;
    all.retain(|example| example.aliases.iter().any(|alias| is_checkov(alias) || is_trivy(alias)));
    Random::new(seed).shuffle(&mut all);
    let all = fixes::in_turn(all);
    let mut samples = Vec::new();
    for example in all {
        if samples.len() == count {
            break;
        }
        samples.extend(sample(&program, example, &scratch.join("one"))?);
    }
    for (number, sample) in samples.iter().enumerate() {
        for (path, (before, after)) in &sample.texts {
            write(&scratch.join("before").join(number.to_string()).join(path), before)?;
            write(&scratch.join("after").join(number.to_string()).join(path), after)?;
        }
        if !sample.values.is_empty() {
            write(&scratch.join("after").join(number.to_string()).join("values.auto.tfvars"), &sample.values)?;
        }
    }
    let mut languages: BTreeMap<&str, usize> = BTreeMap::new();
    samples.iter().for_each(|sample| *languages.entry(&sample.example.language).or_default() += 1);
    println!("seed {seed}: {} fixes, {languages:?}", samples.len());
    let checkov = tools::python_program("checkov", bench::CHECKOV)?;
    let by_checkov = |folder: &Path| checkov_says(&checkov, folder);
    compare("Checkov", &samples, is_checkov, &scratch, &by_checkov)?;
    let trivy = bench::trivy()?;
    let by_trivy = |folder: &Path| trivy_says(&trivy, folder);
    compare("Trivy", &samples, is_trivy, &scratch, &by_trivy)?;
    Ok(())
}

fn is_checkov(alias: &str) -> bool {
    alias.starts_with("CKV")
}

fn is_trivy(alias: &str) -> bool {
    alias.starts_with("AVD-")
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::create_dir_all(path.parent().unwrap_or(path))?;
    Ok(fs::write(path, text)?)
}

/// All that the example's own rule finds in it, fixed.
fn sample(program: &Program, example: Example, folder: &Path) -> Result<Option<Sample>> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    write(&folder.join(example.path()), &example.text)?;
    let document = program.fix(folder, "", &["--rule", &example.rule])?;
    if document.fixes.is_empty() || !document.refused.is_empty() {
        return Ok(None);
    }
    let mut texts: BTreeMap<String, (String, String)> = BTreeMap::new();
    let mut values = BTreeMap::new();
    for fix in &document.fixes {
        for file in &fix.edits {
            let old = fs::read_to_string(folder.join(&file.path))?;
            let entry = texts.entry(file.path.clone()).or_insert_with(|| (old.clone(), old));
            entry.1 = apply(&entry.1, file).map_err(|detail| anyhow::anyhow!("{} {}: {detail}", fix.rule, file.path))?;
        }
        values.extend(fix.inputs.iter().filter(|input| input.module.is_some()).map(|input| (input.variable.clone(), input.value())));
    }
    let values = values.iter().map(|(name, value)| format!("{name} = {value}\n")).collect();
    Ok(Some(Sample { example, texts, values }))
}

/// Asks a peer about all samples at once, and once more about each of which it says that something is left: side by side one
/// sample's objects are taken for another's of the same name.
fn compare(peer: &str, samples: &[Sample], is_own: fn(&str) -> bool, scratch: &Path, ask: &dyn Fn(&Path) -> Result<Said>) -> Result<()> {
    let (before, mut after) = (ask(&scratch.join("before"))?, ask(&scratch.join("after"))?);
    ensure!(!before.failed.is_empty() && !after.failed.is_empty(), "{peer} finds nothing");
    let is_left = |number: usize, sample: &Sample| {
        let (old, new) = (before.failed.get(&number), after.failed.get(&number));
        let is_known = |verdict: &Verdict| old.is_some_and(|old| old.contains(verdict));
        new.into_iter().flatten().any(|verdict| !is_known(verdict) || is_own(&verdict.0) && sample.example.aliases.contains(&verdict.0))
    };
    let left: Vec<usize> = (0..samples.len()).filter(|number| is_left(*number, &samples[*number])).collect();
    let alone = scratch.join("alone");
    for number in left {
        if alone.exists() {
            fs::remove_dir_all(&alone)?;
        }
        let name = number.to_string();
        copy_tree(&scratch.join("after").join(&name), &alone.join(&name))?;
        let said = ask(&alone)?;
        after.failed.insert(number, said.failed.get(&number).cloned().unwrap_or_default());
    }
    let (mut asked, mut mended, mut disagreements) = (0, 0, Vec::new());
    let none = BTreeSet::new();
    for (number, sample) in samples.iter().enumerate() {
        let (old, new) = (before.failed.get(&number).unwrap_or(&none), after.failed.get(&number).unwrap_or(&none));
        let known = before.resources(number);
        for alias in sample.example.aliases.iter().filter(|alias| is_own(alias)) {
            let failed: BTreeSet<&Verdict> = old.iter().filter(|(check, _)| check == alias).collect();
            if failed.is_empty() {
                continue;
            }
            asked += 1;
            let left: Vec<&str> = new.iter().filter(|(check, _)| check == alias).map(|(_, resource)| resource.as_str()).collect();
            if left.is_empty() {
                mended += 1;
            } else {
                disagreements.push(format!(
                    "{number} {} ({}): {alias} still fails {}",
                    sample.example.rule,
                    sample.example.language,
                    left.join(", ")
                ));
            }
        }
        for (check, resource) in new.difference(old) {
            let what = if known.contains(resource.as_str()) { "newly fails" } else { "fails what was added:" };
            if !sample.example.aliases.contains(check) {
                disagreements.push(format!("{number} {} ({}): {check} {what} {resource}", sample.example.rule, sample.example.language));
            }
        }
    }
    println!("\n{peer}: of {asked} checks that failed before, {mended} pass; {} disagreements", disagreements.len());
    disagreements.iter().for_each(|line| println!("  {line}"));
    Ok(())
}

/// The number of the sample that a path lies in, of which `skip` leads to the folder of all.
fn number(path: &str) -> Option<usize> {
    path.trim_start_matches('/').split('/').next()?.parse().ok()
}

fn checkov_says(program: &Path, folder: &Path) -> Result<Said> {
    let mut said = Said::default();
    for document in
        values(&run_peer(program, &["--output", "json", "--compact", "--quiet", "--skip-download", "--directory"], folder, &[0, 1])?)
    {
        for (key, verdicts) in [("failed_checks", &mut said.failed), ("passed_checks", &mut said.passed)] {
            for check in document["results"][key].as_array().into_iter().flatten() {
                let text = |name: &str| check[name].as_str().unwrap_or_default().to_owned();
                if let Some(number) = number(&text("file_path")) {
                    verdicts.entry(number).or_default().insert((text("check_id"), text("resource")));
                }
            }
        }
    }
    Ok(said)
}

/// A report of one kind, or a list of several.
fn values(text: &str) -> Vec<Value> {
    match serde_json::from_str(text) {
        Ok(Value::Array(documents)) => documents,
        Ok(document) => vec![document],
        Err(_) => Vec::new(),
    }
}

fn trivy_says(program: &Path, folder: &Path) -> Result<Said> {
    // Its own limit is five minutes, which are few on a busy machine.
    let arguments = ["config", "--skip-check-update", "--quiet", "--include-non-failures", "--timeout", "60m", "--format", "json"];
    let mut said = Said::default();
    for document in values(&run_peer(program, &arguments, folder, &[0])?) {
        for result in document["Results"].as_array().into_iter().flatten() {
            let Some(number) = number(result["Target"].as_str().unwrap_or_default()) else { continue };
            for finding in result["Misconfigurations"].as_array().into_iter().flatten() {
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                let id = text(&finding["AVDID"]);
                let id = if id.is_empty() { text(&finding["ID"]) } else { id };
                let verdicts = if finding["Status"] == "FAIL" { &mut said.failed } else { &mut said.passed };
                let resource = text(&finding["CauseMetadata"]["Resource"]);
                // Some are named by their lines, which a fix moves.
                let resource = resource.rsplit_once(':').map_or(&*resource, |(file, _)| file).to_owned();
                verdicts.entry(number).or_default().insert((id, resource));
            }
        }
    }
    Ok(said)
}

fn run_peer(program: &Path, arguments: &[&str], folder: &Path, codes: &[i32]) -> Result<String> {
    let program: PathBuf = program.to_owned();
    let output =
        Command::new(&program).args(arguments).arg(folder).output().with_context(|| format!("{} can't be started", program.display()))?;
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.code().is_some_and(|code| codes.contains(&code)), "{} ended with {}: {errors}", program.display(), output.status);
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
