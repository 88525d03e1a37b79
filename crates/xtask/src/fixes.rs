//! Random fixes before a referee that shares no code with the program.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use keyblind_referee::{Example, Fault, Figures, Formatter, Outcome, Plan, Program, Random, Referee, copy_tree, examples};

use crate::{corpora, process};

const PAIRS: usize = 10_000;
const SEED: u64 = 20_261_122;
/// Examples in one folder.
const BATCH: usize = 25;
/// The most findings that are taken of one repository.
const MOST_OF_ONE: usize = 400;
/// The most findings that are fixed at once in a repository.
const MOST_AT_ONCE: usize = 40;

/// Judges fixes until there are as many as asked for; half of them in repositories, as far as these have so many.
pub(crate) fn run(arguments: &[&str]) -> Result<()> {
    let number = |at: usize, default: u64| arguments.get(at).map_or(Ok(default), |text| text.parse().context("not a number"));
    let (pairs, seed) = (number(0, PAIRS as u64)? as usize, number(1, SEED)?);
    let program = process::program()?;
    let scratch = process::target().join("fixes");
    if scratch.exists() {
        std::fs::remove_dir_all(&scratch)?;
    }
    std::fs::create_dir_all(&scratch)?;
    let formatter = Formatter::find();
    if formatter.is_none() {
        println!("`terraform` isn't here: nothing is judged by its formatter");
    }
    let run = Run { referee: Referee::new(Program::new(program), formatter, &scratch), scratch, seed };
    let mut repositories = corpora::repositories();
    Random::new(seed).shuffle(&mut repositories);
    let mut of_repositories = Figures::default();
    for repository in &repositories {
        if of_repositories.total() >= pairs / 2 {
            break;
        }
        let figures = run.repository(repository)?;
        println!("{}: {} fixes, {} faults", repository.display(), figures.total(), figures.faults.len());
        of_repositories.add(figures);
    }
    let of_examples = run.examples(pairs.saturating_sub(of_repositories.total()))?;
    println!("\nseed {seed}");
    show("repositories", &of_repositories);
    show("examples of rules", &of_examples);
    let faults: Vec<Fault> = [of_repositories.faults, of_examples.faults].concat();
    let mut listed = String::new();
    for fault in &faults {
        listed.push_str(&format!("{:?} · {} · {} · {}\n", fault.invariant, fault.place, fault.claim, fault.detail));
    }
    let list = process::target().join("fixes-faults.txt");
    std::fs::write(&list, listed)?;
    ensure!(faults.is_empty(), "{} faults, listed in {}", faults.len(), list.display());
    Ok(())
}

struct Run {
    referee: Referee,
    scratch: PathBuf,
    seed: u64,
}

impl Run {
    /// A random sample of what a repository's scan finds, fixed place by place; then all of it is scanned once more.
    fn repository(&self, repository: &Path) -> Result<Figures> {
        let name = repository.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let copy = self.scratch.join("repository");
        copy_tree(&repository.canonicalize()?, &copy)?;
        let mut random = Random::new(self.seed ^ name.len() as u64);
        let before = match self.referee.program().scan(&copy, "") {
            Ok(report) => report,
            Err(error) => {
                println!("{name}: {error:#}");
                std::fs::remove_dir_all(&copy)?;
                return Ok(Figures::default());
            }
        };
        let mut findings: Vec<&Outcome> = before.results.iter().filter(|result| result.status == "failed").collect();
        random.shuffle(&mut findings);
        findings.truncate(MOST_OF_ONE);
        let mut places: BTreeMap<&str, usize> = BTreeMap::new();
        findings.iter().for_each(|finding| *places.entry(&finding.root).or_default() += 1);
        let mut figures = Figures::default();
        for (root, count) in places {
            let place = format!("{name}:{root}");
            // A finding has another number among equal ones where less is scanned, so that its place is asked again.
            let mut findings: Vec<String> = match self.referee.program().scan(&copy, root) {
                Ok(report) => {
                    report.results.into_iter().filter(|result| result.status == "failed").map(|result| result.fingerprint).collect()
                }
                Err(error) => {
                    println!("{place}: {error:#}");
                    continue;
                }
            };
            random.shuffle(&mut findings);
            findings.truncate(count.min(MOST_AT_ONCE));
            let plan = Plan { name: &place, folder: &copy, target: root, findings: &findings, scan_one_of: 8, write: false };
            figures.add(self.referee.judge(&plan, &mut random));
        }
        figures.add(self.referee.judge_whole(&name, &copy, &before));
        std::fs::remove_dir_all(&copy)?;
        Ok(figures)
    }

    /// Bad examples of rules in random order, many to a folder, with all that is found in them.
    fn examples(&self, pairs: usize) -> Result<Figures> {
        let repository = process::repository();
        let mut examples = examples(&repository.join("rules"))?;
        let mut random = Random::new(self.seed);
        random.shuffle(&mut examples);
        let shop = self.scratch.join("shop");
        copy_tree(&repository.join("examples/shop"), &shop)?;
        let plan = Plan { name: "examples/shop", folder: &shop, target: "", findings: &[], scan_one_of: 1, write: true };
        let mut figures = self.referee.judge(&plan, &mut random);
        for (number, batch) in examples.chunks(BATCH).enumerate() {
            if figures.total() >= pairs {
                break;
            }
            figures.add(self.batch(number, batch, &mut random)?);
        }
        Ok(figures)
    }

    fn batch(&self, number: usize, batch: &[Example], random: &mut Random) -> Result<Figures> {
        let folder = self.scratch.join("examples");
        for example in batch {
            let rule = folder.join(&example.rule);
            let free = (0..).map(|number| rule.join(format!("{}-{number}", example.language))).find(|place| !place.exists());
            let path = free.unwrap_or(rule).join(example.path());
            std::fs::create_dir_all(path.parent().unwrap_or(&folder))?;
            std::fs::write(path, &example.text)?;
        }
        let name = format!("examples {number}");
        let plan = Plan { name: &name, folder: &folder, target: "", findings: &[], scan_one_of: 4, write: number.is_multiple_of(4) };
        let figures = self.referee.judge(&plan, random);
        println!("{name}: {} fixes, {} faults", figures.total(), figures.faults.len());
        std::fs::remove_dir_all(&folder)?;
        Ok(figures)
    }
}

fn show(title: &str, figures: &Figures) {
    println!("\n{title}: {} fixes", figures.total());
    println!("  by dialect {:?}; by class {:?}", figures.pairs, figures.classes);
    println!("  refused {:?}; mended by others' fixes {}", figures.refused, figures.mended_by_others);
    println!(
        "  {} scans after steps; {} texts compared, {} not read by the other parser; {} formatted; {} folders written",
        figures.scans,
        figures.compared,
        figures.not_read.values().sum::<usize>(),
        figures.formatted,
        figures.written
    );
    println!("  comments that went with what they stood in: {}", figures.comments_gone);
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    for fault in &figures.faults {
        *kinds.entry(format!("{:?}", fault.invariant)).or_default() += 1;
    }
    println!("  faults: {kinds:?}");
}
