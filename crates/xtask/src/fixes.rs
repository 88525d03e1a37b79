//! Random fixes before a referee that shares no code with the program.
//!
//! A pair is a file and a finding: what stands in the file, the rule and the address. Files that say the same are one file.
//! Pairs are taken of repositories, the small ones first: of those of about one size in rounds, a few of each first and more of
//! each later; then of the rules' examples. What a repository or a folder of examples came to is kept in the target folder by the seed, so that a run
//! that was broken off goes on where it was; where there was a fault it is judged anew. Parts of a run may be judged side by
//! side, each with a target folder and repositories of its own: what they kept, put into one folder, is one run.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use keyblind_referee::{Example, Fault, Figures, Formatter, Outcome, Place, Plan, Program, Random, Referee, copy_tree, digest, examples};
use serde::{Deserialize, Serialize};

use crate::{corpora, process};

const PAIRS: usize = 10_000;
const SEED: u64 = 20_261_122;
/// Examples in one folder.
const BATCH: usize = 25;
/// Of all pairs, how many percent are looked for in repositories first.
const OF_REPOSITORIES: usize = 60;
/// How often each repository is asked for more.
const ROUNDS: u32 = 4;
/// The most that is taken of one rule and dialect in all repositories.
const MOST_OF_RULE: usize = 250;
/// What a repository may take in one round, in seconds.
const TIME: u64 = 90;
/// The part of it that a root module or document may take.
const OF_ROOT: u32 = 3;
/// Where there are fewer verdicts, everything is scanned again after each step, else after one in [`SCAN_ONE_OF`].
const FEW: usize = 2_000;
const SCAN_ONE_OF: usize = 6;
/// How many findings of a repository are fixed in one run of the program.
const AT_ONCE: usize = 8;
/// A repository with fewer verdicts is fixed as a whole, another one root by root.
const SMALL: usize = 12_000;

/// The most that is taken of a repository in a round.
struct Caps {
    of_dialect: usize,
    of_file: usize,
    of_rule: usize,
    of_root: usize,
}

impl Caps {
    fn of_round(round: u32) -> Self {
        let times = 1 << round;
        Self { of_dialect: 24 * times, of_file: 4 * times, of_rule: 4 * times, of_root: 12 * times }
    }
}

/// What is kept of a repository's round or a folder of examples.
#[derive(Serialize, Deserialize)]
struct Part {
    /// The repository, or `examples`.
    name: String,
    /// The digest of the program that was judged.
    program: String,
    figures: Figures,
}

/// Judges fixes until there are as many different pairs as asked for.
pub(crate) fn run(arguments: &[&str]) -> Result<()> {
    let number = |at: usize, default: u64| arguments.get(at).map_or(Ok(default), |text| text.parse().context("not a number"));
    let (pairs, seed, time) = (number(0, PAIRS as u64)? as usize, number(1, SEED)?, Duration::from_secs(number(2, TIME)?));
    let program = process::program()?;
    let base = process::target().join("fixes").join(seed.to_string());
    let scratch = base.join("scratch");
    if scratch.exists() {
        fs::remove_dir_all(&scratch)?;
    }
    fs::create_dir_all(&scratch)?;
    let formatter = Formatter::find();
    if formatter.is_none() {
        println!("`terraform` isn't here: nothing is judged by its formatter");
    }
    let digest = digest(&fs::read(&program).with_context(|| format!("{} can't be read", program.display()))?);
    let referee = Referee::new(Program::new(program), formatter, &scratch);
    let (parts, seen, of_rules) = (Vec::new(), BTreeSet::new(), BTreeMap::new());
    let mut run = Run { referee, scratch, kept: base, seed, time, program: digest, parts, seen, of_rules };
    let mut repositories = by_name();
    Random::new(seed).shuffle(&mut repositories);
    // A large one takes its time to the end and gives no more than a small one.
    let mut by_size: BTreeMap<u32, Vec<(String, Vec<PathBuf>)>> = BTreeMap::new();
    for (name, places) in repositories {
        let largest = places.iter().map(|place| size(place)).max().unwrap_or_default();
        by_size.entry(largest.max(1).ilog2() / 2).or_default().push((name, places));
    }
    let rounds = by_size.values().flat_map(|repositories| (0..ROUNDS).map(move |round| (round, repositories)));
    for (round, (name, places)) in rounds.flat_map(|(round, all)| all.iter().map(move |repository| (round, repository))) {
        if run.seen.len() * 100 >= pairs * OF_REPOSITORIES {
            break;
        }
        for place in places {
            let corpus = place.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
            run.part(&format!("{round}-{corpus}-{name}"), name, |run| run.repository(name, place, round))?;
        }
    }
    run.examples(pairs)?;
    run.tell(pairs)
}

/// The repositories by their names: of some there are several checkouts, with different files of them.
fn by_name() -> Vec<(String, Vec<PathBuf>)> {
    let mut found: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for place in corpora::repositories() {
        let name = place.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        found.entry(name).or_default().push(place);
    }
    found.into_iter().collect()
}

/// How many bytes of files a folder holds, without those of git.
fn size(folder: &Path) -> u64 {
    let mut open = vec![folder.to_path_buf()];
    let mut sum = 0;
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(data) if data.is_dir() && entry.file_name() != ".git" => open.push(entry.path()),
                Ok(data) if data.is_file() => sum += data.len(),
                _ => {}
            }
        }
    }
    sum
}

struct Run {
    referee: Referee,
    scratch: PathBuf,
    kept: PathBuf,
    seed: u64,
    time: Duration,
    program: String,
    parts: Vec<Part>,
    seen: BTreeSet<(String, String, String)>,
    of_rules: BTreeMap<(String, String), usize>,
}

impl Run {
    /// What came of a part in an earlier run, if nothing spoke against it; else it is judged.
    fn part(&mut self, id: &str, name: &str, judge: impl FnOnce(&mut Self) -> Result<Figures>) -> Result<()> {
        let path = self.kept.join(format!("{id}.json"));
        let known = match fs::read(&path) {
            Ok(bytes) => {
                Some(serde_json::from_slice::<Part>(&bytes).with_context(|| format!("{} can't be read: remove it", path.display()))?)
            }
            Err(_) => None,
        };
        // What another program made, or what had faults, is judged anew.
        let part = match known.filter(|part| part.program == self.program && part.figures.faults.is_empty()) {
            Some(part) => part,
            None => {
                let part = Part { name: name.to_owned(), program: self.program.clone(), figures: judge(self)? };
                fs::write(&path, serde_json::to_vec(&part)?)?;
                part
            }
        };
        let before = self.seen.len();
        for fix in &part.figures.fixes {
            if self.seen.insert(owned(fix.pair())) && name != EXAMPLES {
                *self.of_rules.entry((fix.dialect.clone(), fix.rule.clone())).or_default() += 1;
            }
        }
        let Figures { faults, cut_off, .. } = &part.figures;
        println!("{id}: {} new pairs, {} faults, {cut_off} cut off; {} in all", self.seen.len() - before, faults.len(), self.seen.len());
        self.parts.push(part);
        Ok(())
    }

    /// A random sample of what a repository's scan finds, fixed place by place; then all of it is scanned once more.
    fn repository(&self, name: &str, repository: &Path, round: u32) -> Result<Figures> {
        let copy = self.scratch.join("repository");
        if copy.exists() {
            fs::remove_dir_all(&copy)?;
        }
        copy_tree(&repository.canonicalize()?, &copy)?;
        let end = Instant::now() + self.time;
        let referee = self.referee.until(end);
        let mut figures = Figures::default();
        let before = match referee.program().scan(&copy, "") {
            Ok(report) => report,
            Err(error) => {
                println!("{name}: {error:#}");
                figures.cut_off = 1;
                return Ok(figures);
            }
        };
        let mut random = Random::new(self.seed ^ u64::from(round) ^ number_of(name));
        let chosen = self.choose(&before.results, repository, &Caps::of_round(round), &mut random);
        let mut roots: Vec<&str> = chosen.iter().map(|finding| finding.root.as_str()).collect();
        roots.sort_unstable();
        roots.dedup();
        random.shuffle(&mut roots);
        if before.results.len() < SMALL {
            roots = vec![""];
        }
        for root in roots {
            let place = format!("{name}:{root}");
            if Instant::now() >= end {
                figures.cut_off += 1;
                continue;
            }
            let referee = if root.is_empty() { referee.clone() } else { self.referee.until(end.min(Instant::now() + self.time / OF_ROOT)) };
            let Ok(report) = referee.program().scan(&copy, root) else {
                figures.cut_off += 1;
                continue;
            };
            let scan_one_of = if report.results.len() < FEW { 1 } else { SCAN_ONE_OF };
            let wanted: BTreeSet<(&str, &str, &str)> = chosen.iter().map(|finding| place_of(finding)).collect();
            let of_root = report.results.iter().filter(|result| result.status == "failed" && (root.is_empty() || result.root == root));
            let found: BTreeSet<(&str, &str, &str)> = of_root.map(place_of).filter(|place| wanted.contains(place)).collect();
            let findings: Vec<Place> = found.into_iter().map(owned).collect();
            if findings.is_empty() {
                continue;
            }
            // What isn't judged to its end isn't counted: in small portions little is lost.
            for (number, findings) in findings.chunks(AT_ONCE).enumerate() {
                let write = root.is_empty() && round == 0 && number == 0;
                let plan = Plan { name: &place, folder: &copy, target: root, findings, scan_one_of, write };
                figures.add(referee.judge(&plan, &mut random));
            }
        }
        // By now texts may be others than they were, which makes no other file of them.
        for fix in &mut figures.fixes {
            fix.text = text_of(repository, &fix.file);
        }
        // This isn't cut short by what went before.
        let whole = self.referee.until(Instant::now() + self.time).judge_whole(name, &copy, &before, &figures.moves);
        figures.add(whole);
        fs::remove_dir_all(&copy)?;
        Ok(figures)
    }

    /// Random findings that weren't judged yet, no more of each kind than is allowed.
    fn choose<'r>(&self, results: &'r [Outcome], repository: &Path, caps: &Caps, random: &mut Random) -> Vec<&'r Outcome> {
        let mut findings: Vec<&Outcome> = results.iter().filter(|result| result.status == "failed").collect();
        random.shuffle(&mut findings);
        let mut texts: BTreeMap<&str, String> = BTreeMap::new();
        let mut pairs: BTreeSet<(String, String, String)> = BTreeSet::new();
        let mut counts: BTreeMap<(char, &str), usize> = BTreeMap::new();
        let mut chosen = Vec::new();
        for finding in findings {
            let of_rule = self.of_rules.get(&(finding.dialect.clone(), finding.rule.clone())).copied().unwrap_or_default();
            let limits = [
                (('d', finding.dialect.as_str()), caps.of_dialect),
                (('f', &finding.file), caps.of_file),
                (('r', &finding.rule), caps.of_rule),
                (('m', &finding.root), caps.of_root),
            ];
            if of_rule >= MOST_OF_RULE || limits.iter().any(|(kind, most)| counts.get(kind).is_some_and(|count| count >= most)) {
                continue;
            }
            let text = texts.entry(&finding.file).or_insert_with(|| text_of(repository, &finding.file)).clone();
            let pair = (text, finding.rule.clone(), finding.address.clone());
            if self.seen.contains(&pair) || !pairs.insert(pair) {
                continue;
            }
            limits.iter().for_each(|(kind, _)| *counts.entry(*kind).or_default() += 1);
            chosen.push(finding);
        }
        chosen
    }

    /// Bad examples of rules in random order, each language in turn, many to a folder, with all that is found in them.
    fn examples(&mut self, pairs: usize) -> Result<()> {
        let repository = process::repository();
        let mut all = examples(&repository.join("rules"))?;
        Random::new(self.seed).shuffle(&mut all);
        let all = in_turn(all);
        self.part("shop", EXAMPLES, |run| {
            let shop = run.scratch.join("shop");
            copy_tree(&repository.join("examples/shop"), &shop)?;
            let plan = Plan { name: "examples/shop", folder: &shop, target: "", findings: &[], scan_one_of: 1, write: true };
            Ok(run.referee.judge(&plan, &mut Random::new(run.seed)))
        })?;
        for (number, batch) in all.chunks(BATCH).enumerate() {
            if self.seen.len() >= pairs {
                break;
            }
            self.part(&format!("examples-{number}"), EXAMPLES, |run| run.batch(number, batch))?;
        }
        Ok(())
    }

    fn batch(&self, number: usize, batch: &[Example]) -> Result<Figures> {
        let folder = self.scratch.join("examples");
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        for example in batch {
            let rule = folder.join(&example.rule);
            let free = (0..).map(|number| rule.join(format!("{}-{number}", example.language))).find(|place| !place.exists());
            let path = free.unwrap_or(rule).join(example.path());
            fs::create_dir_all(path.parent().unwrap_or(&folder))?;
            fs::write(path, &example.text)?;
        }
        let name = format!("examples {number}");
        let plan = Plan { name: &name, folder: &folder, target: "", findings: &[], scan_one_of: 1, write: number.is_multiple_of(4) };
        Ok(self.referee.judge(&plan, &mut Random::new(self.seed ^ number as u64)))
    }

    /// Prints what was judged, and fails if there were too few pairs or faults.
    fn tell(&self, pairs: usize) -> Result<()> {
        let mut all = Figures::default();
        let mut rows: BTreeMap<(bool, &str), Row<'_>> = BTreeMap::new();
        let mut seen = BTreeSet::new();
        for part in &self.parts {
            for fix in &part.figures.fixes {
                let row = rows.entry((part.name == EXAMPLES, &fix.dialect)).or_default();
                row.repeated += 1;
                if !seen.insert(fix.pair()) {
                    continue;
                }
                row.repeated -= 1;
                row.pairs += 1;
                row.scanned_alone += usize::from(fix.scanned_alone);
                *row.classes.entry(&fix.class).or_default() += 1;
                row.rules.insert(&fix.rule);
                row.files.insert(&fix.text);
                row.repositories.insert(&part.name);
            }
            for fault in &part.figures.faults {
                rows.entry((part.name == EXAMPLES, &fault.dialect)).or_default().faults += 1;
            }
            all.add(part.figures.clone());
        }
        println!("\nseed {}, {} programs", self.seed, self.parts.iter().map(|part| &part.program).collect::<BTreeSet<_>>().len());
        println!(
            "\n| of | dialect | pairs | safe | unsafe | needs input | repositories | files | rules | scanned by themselves | faults |"
        );
        println!("|---|---|---|---|---|---|---|---|---|---|---|");
        for ((of_examples, dialect), row) in &rows {
            let class = |name: &str| row.classes.get(name).copied().unwrap_or_default();
            println!(
                "| {} | {dialect} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
                if *of_examples { "examples" } else { "repositories" },
                row.pairs,
                class("safe"),
                class("unsafe"),
                class("needs-input"),
                row.repositories.len(),
                row.files.len(),
                row.rules.len(),
                row.scanned_alone,
                row.faults
            );
        }
        println!("\n{} different pairs; {} more of the same were judged", seen.len(), rows.values().map(|row| row.repeated).sum::<usize>());
        println!("refused {:?}; mended by others' fixes {}", all.refused, all.mended_by_others);
        println!(
            "{} scans after steps; {} texts compared, {} not read by the other parser {:?}; {} formatted; {} folders written; {} cut off",
            all.scans,
            all.compared,
            all.not_read.values().sum::<usize>(),
            all.not_read,
            all.formatted,
            all.written,
            all.cut_off
        );
        println!("comments that went with what they stood in: {}", all.comments_gone);
        let listed: String = all.faults.iter().map(shown).collect();
        let list = self.kept.join("faults.txt");
        fs::write(&list, listed)?;
        ensure!(all.faults.is_empty(), "{} faults, listed in {}", all.faults.len(), list.display());
        ensure!(seen.len() >= pairs, "only {} different pairs", seen.len());
        Ok(())
    }
}

/// Each language in turn, so that one with few examples isn't lost among the others; of one language in the order given.
pub(crate) fn in_turn(all: Vec<Example>) -> Vec<Example> {
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    let mut numbered: Vec<(usize, Example)> = Vec::with_capacity(all.len());
    for example in all {
        let place = places.entry(example.language.clone()).or_default();
        *place += 1;
        numbered.push((*place, example));
    }
    numbered.sort_by_key(|(place, _)| *place);
    numbered.into_iter().map(|(_, example)| example).collect()
}

/// What the table says of a dialect.
#[derive(Default)]
struct Row<'p> {
    pairs: usize,
    repeated: usize,
    scanned_alone: usize,
    classes: BTreeMap<&'p str, usize>,
    rules: BTreeSet<&'p str>,
    files: BTreeSet<&'p str>,
    repositories: BTreeSet<&'p str>,
    faults: usize,
}

const EXAMPLES: &str = "examples";

fn place_of(result: &Outcome) -> (&str, &str, &str) {
    (&result.root, &result.rule, &result.address)
}

fn owned((text, rule, address): (&str, &str, &str)) -> (String, String, String) {
    (text.to_owned(), rule.to_owned(), address.to_owned())
}

/// The digest of a file as it was published; of one that can't be read, its path.
fn text_of(repository: &Path, file: &str) -> String {
    fs::read(repository.join(file)).map_or_else(|_| file.to_owned(), |bytes| digest(&bytes))
}

/// A number for a name (FNV-1a), so that repositories don't all draw the same.
fn number_of(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

fn shown(fault: &Fault) -> String {
    format!("{:?} · {} · {} · {}\n", fault.invariant, fault.place, fault.claim, fault.detail)
}
