//! One folder after the other: fixes are applied in their order, and each step is judged.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result};

use crate::dockerfile::{Moves, add_moved};
use crate::figures::{Fault, Figures, Judged};
use crate::output::{Claim, Document, Fix, Outcome, Program, Report, TimeIsUp};
use crate::{Formatter, Invariant, Random, edits, structure, tree, verdicts};

/// The file with values for variables that only a person can know.
const VALUES: &str = "referee.auto.tfvars";

/// Where a finding is: the root, the rule and the address.
pub type Place = (String, String, String);

/// What of a folder is judged, and how closely.
#[derive(Clone, Debug)]
pub struct Plan<'p> {
    /// The name by which faults are told.
    pub name: &'p str,
    /// The folder, whose files are changed.
    pub folder: &'p Path,
    /// What of it is fixed, beneath the folder; empty for all.
    pub target: &'p str,
    /// The findings, as root, rule and address: fingerprints of equal findings change with each fix. Empty for all.
    pub findings: &'p [Place],
    /// One of how many steps is scanned again (the last one always is).
    pub scan_one_of: usize,
    /// Whether the program is let write, too, and what it wrote compared with what it showed.
    pub write: bool,
}

/// Judges fixes.
#[derive(Clone, Debug)]
pub struct Referee {
    program: Program,
    formatter: Option<Formatter>,
    scratch: PathBuf,
}

/// A fix with the edits of its files made.
struct Step<'d> {
    fix: &'d Fix,
    texts: Vec<(String, String, String)>,
}

impl Referee {
    /// A referee with the program, Terraform's formatter if it is there, and a folder of its own.
    pub fn new(program: Program, formatter: Option<Formatter>, scratch: impl Into<PathBuf>) -> Self {
        Self { program, formatter, scratch: scratch.into() }
    }

    /// The same referee, whose program is ended at a point of time.
    #[must_use]
    pub fn until(&self, end: Instant) -> Self {
        Self { program: self.program.until(end), ..self.clone() }
    }

    /// The program.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// Judges the fixes of a folder, which has them applied afterwards. What can't be judged to its end is a fault as well,
    /// unless only the time for it was up.
    pub fn judge(&self, plan: &Plan<'_>, random: &mut Random) -> Figures {
        let mut figures = Figures::default();
        match self.judge_steps(plan, random, &mut figures) {
            Ok(()) => {}
            Err(error) if error.is::<TimeIsUp>() => {
                figures.fixes.clear();
                figures.cut_off = 1;
            }
            Err(error) => {
                let (place, claim) = (plan.name.to_owned(), plan.target.to_owned());
                let (invariant, detail) = (Invariant::Answers, format!("{error:#}"));
                figures.faults.push(Fault { invariant, place, dialect: String::new(), claim, detail });
            }
        }
        figures
    }

    fn judge_steps(&self, plan: &Plan<'_>, random: &mut Random, figures: &mut Figures) -> Result<()> {
        let first = self.program.scan(plan.folder, plan.target)?;
        let wanted = wanted(plan, &first);
        // What was asked for went with earlier fixes.
        if wanted.is_empty() && !plan.findings.is_empty() {
            return Ok(());
        }
        let selection: Vec<&str> = match plan.findings {
            [] => Vec::new(),
            _ => wanted.iter().flat_map(|finding| ["--finding", finding]).collect(),
        };
        let document = self.program.fix(plan.folder, plan.target, &selection)?;
        let known = &Known::of(plan.folder, &first);
        for refused in &document.refused {
            let dialect = known.of_finding.get(&*refused.fingerprint).copied().unwrap_or("unknown");
            *figures.refused.entry(format!("{dialect} {}", refused.reason)).or_default() += 1;
        }
        let written = if plan.write { Some(self.write(plan, &selection, figures)?) } else { None };
        let mut format = Vec::new();
        let mut before = first.clone();
        let mut open: Vec<&Claim> = Vec::new();
        let mut moves = Moves::new();
        let taken: Vec<&Fix> = document.fixes.iter().filter(|fix| fix.taken).collect();
        let mut fixed: BTreeSet<Claim> = BTreeSet::new();
        for (number, fix) in taken.iter().enumerate() {
            let Some(step) = self.apply(plan, known, fix, figures)? else { break };
            // The steps before may have moved what it is about.
            fixed.extend(verdicts::before(&figures.moves, &fix.proof.claim));
            self.check_texts((plan, known), &step, figures, &mut format, &mut moves);
            for (path, _, new) in &step.texts {
                fs::write(plan.folder.join(path), new)?;
            }
            give(plan.folder, fix)?;
            open.push(&fix.proof.claim);
            let is_scanned = random.below(plan.scan_one_of) == 0 || number + 1 == taken.len();
            figures.fixes.push(known.judged(fix, is_scanned && open.len() == 1));
            if is_scanned {
                let after = self.program.scan(plan.folder, plan.target)?;
                figures.scans += 1;
                let mut told = Vec::new();
                for claim in open.iter().filter(|claim| verdicts::is_silent(&after, claim) && !moves.contains_key(&claim.root)) {
                    if verdicts::holds(&self.program.scan(plan.folder, &claim.root)?, claim) {
                        told.push(*claim);
                    }
                }
                open.retain(|claim| !told.contains(claim));
                for (invariant, detail) in verdicts::compare(&before, &after, &open, &moves) {
                    figures.faults.push(fault(plan, known, invariant, fix, detail));
                }
                open.clear();
                moves.clear();
                before = after;
            }
        }
        if let (Some(formatter), false) = (&self.formatter, format.is_empty()) {
            let pairs: Vec<(String, String)> = format.iter().map(|(_, old, new)| (old.clone(), new.clone())).collect();
            figures.formatted += pairs.len();
            for number in formatter.made_worse(&self.scratch, &pairs)? {
                let (fix, ..) = &format[number];
                figures.faults.push(fault(plan, known, Invariant::Formatted, fix, "`terraform fmt` would change it".to_owned()));
            }
        }
        self.check_end((plan, known), [&first, &before], &document, &fixed, figures)?;
        if let Some(written) = written {
            check_written(plan, &written, figures);
        }
        Ok(())
    }

    /// Scans all of a tree once more, after fixes of parts of it: nothing fails there that didn't.
    pub fn judge_whole(&self, name: &str, folder: &Path, before: &Report, moves: &Moves) -> Figures {
        let mut figures = Figures { scans: 1, ..Figures::default() };
        let found = match self.program.scan(folder, "") {
            Ok(after) => verdicts::compare(before, &after, &[], moves),
            Err(error) if error.is::<TimeIsUp>() => {
                figures.cut_off = 1;
                Vec::new()
            }
            Err(error) => vec![(Invariant::Answers, format!("{error:#}"))],
        };
        let (place, claim) = (name.to_owned(), "all steps".to_owned());
        let fault = |(invariant, detail)| Fault { invariant, place: place.clone(), dialect: String::new(), claim: claim.clone(), detail };
        figures.faults = found.into_iter().map(fault).collect();
        figures
    }

    /// Makes the edits of a fix. Where they don't fit, what follows can't be judged.
    fn apply<'d>(&self, plan: &Plan<'_>, known: &Known<'_>, fix: &'d Fix, figures: &mut Figures) -> Result<Option<Step<'d>>> {
        let mut texts: Vec<(String, String, String)> = Vec::new();
        for file in &fix.edits {
            let is_inside = Path::new(&file.path).components().all(|part| matches!(part, Component::Normal(_)));
            let made = if is_inside && !texts.iter().any(|(path, ..)| *path == file.path) {
                let old = fs::read_to_string(plan.folder.join(&file.path)).with_context(|| format!("{} can't be read", file.path))?;
                edits::apply(&old, file).map(|new| (file.path.clone(), old, new))
            } else {
                Err("the file lies outside of the tree, or is edited twice".to_owned())
            };
            match made {
                Ok(text) => texts.push(text),
                Err(detail) => {
                    figures.faults.push(fault(plan, known, Invariant::EditsFit, fix, format!("`{}`: {detail}", file.path)));
                    return Ok(None);
                }
            }
        }
        if texts.is_empty() {
            figures.faults.push(fault(plan, known, Invariant::EditsFit, fix, "it has no edits".to_owned()));
        }
        Ok(Some(Step { fix, texts }))
    }

    fn check_texts<'d>(
        &self,
        (plan, known): (&Plan<'_>, &Known<'_>),
        step: &Step<'d>,
        figures: &mut Figures,
        format: &mut Vec<(&'d Fix, String, String)>,
        moves: &mut Moves,
    ) {
        for (path, old, new) in &step.texts {
            let comparison = structure::check(path, old, new, &step.fix.proof.stated, &step.fix.inputs);
            if comparison.read {
                figures.compared += 1;
            } else {
                *figures.not_read.entry(path.rsplit('/').next().unwrap_or(path).to_owned()).or_default() += 1;
            }
            figures.comments_gone += comparison.comments_gone;
            if let Some(moved) = comparison.moved {
                add_moved(moves, path, &moved);
                add_moved(&mut figures.moves, path, &moved);
            }
            for (invariant, detail) in comparison.faults {
                figures.faults.push(fault(plan, known, invariant, step.fix, detail));
            }
            if path.ends_with(".tf") || path.ends_with(".tfvars") {
                format.push((step.fix, old.clone(), new.clone()));
            }
        }
    }

    /// After the last step: what wasn't fixed by itself is gone as well, and fixing again changes nothing.
    fn check_end(
        &self,
        (plan, known): (&Plan<'_>, &Known<'_>),
        [first, last]: [&Report; 2],
        document: &Document,
        fixed: &BTreeSet<Claim>,
        figures: &mut Figures,
    ) -> Result<()> {
        let told: BTreeSet<&str> = document
            .fixes
            .iter()
            .map(|fix| fix.fingerprint.as_str())
            .chain(document.refused.iter().map(|refused| refused.fingerprint.as_str()))
            .collect();
        let wanted = wanted(plan, first);
        let failing: BTreeSet<(&str, &str, &str)> = last
            .results
            .iter()
            .filter(|result| result.status == "failed")
            .map(|result| (&*result.root, &*result.address, &*result.rule))
            .collect();
        for result in first.results.iter().filter(|result| wanted.contains(result.fingerprint.as_str())) {
            if told.contains(result.fingerprint.as_str()) {
                continue;
            }
            figures.mended_by_others += 1;
            if failing.contains(&(&*result.root, &*result.address, &*result.rule)) {
                figures.faults.push(Fault {
                    invariant: Invariant::FaultGone,
                    place: plan.name.to_owned(),
                    dialect: result.dialect.clone(),
                    claim: format!("{} {}", result.rule, result.address),
                    detail: "the finding is neither fixed nor refused, and is still there".to_owned(),
                });
            }
        }
        let rules: BTreeSet<&str> = fixed.iter().map(|claim| claim.rule.as_str()).collect();
        if rules.is_empty() {
            return Ok(());
        }
        let arguments: Vec<&str> = rules.iter().flat_map(|rule| ["--rule", rule]).collect();
        let again = self.program.fix(plan.folder, plan.target, &arguments)?;
        // An instruction may have the number by now that one had which is fixed.
        let is_fixed = |claim: &Claim| verdicts::before(&figures.moves, claim).is_some_and(|claim| fixed.contains(&claim));
        let twice: Vec<&Fix> = again.fixes.iter().filter(|fix| is_fixed(&fix.proof.claim)).collect();
        for fix in twice {
            figures.faults.push(fault(plan, known, Invariant::Idempotent, fix, "it is fixed a second time".to_owned()));
        }
        Ok(())
    }

    /// Lets the program write in a copy of the folder.
    fn write(&self, plan: &Plan<'_>, selection: &[&str], figures: &mut Figures) -> Result<Written> {
        let copy = self.scratch.join("written");
        if copy.exists() {
            fs::remove_dir_all(&copy)?;
        }
        tree::copy(plan.folder, &copy)?;
        let before = tree::digests(&copy)?;
        let arguments: Vec<&str> = ["--write", "--all", "--force"].into_iter().chain(selection.iter().copied()).collect();
        let document = self.program.fix(&copy, plan.target, &arguments)?;
        let mut expected = before.clone();
        let mut texts: BTreeMap<String, String> = BTreeMap::new();
        for file in document.fixes.iter().filter(|fix| fix.taken).flat_map(|fix| &fix.edits) {
            let old = match texts.get(&file.path) {
                Some(text) => text.clone(),
                None => fs::read_to_string(plan.folder.join(&file.path))?,
            };
            match edits::apply(&old, file) {
                Ok(new) => {
                    expected.insert(PathBuf::from(&file.path), edits::digest(new.as_bytes()));
                    texts.insert(file.path.clone(), new);
                }
                Err(detail) => figures.faults.push(Fault {
                    invariant: Invariant::EditsFit,
                    place: plan.name.to_owned(),
                    dialect: String::new(),
                    claim: "fixes that are written".to_owned(),
                    detail: format!("`{}`: {detail}", file.path),
                }),
            }
        }
        figures.written += 1;
        Ok(Written { expected, found: tree::digests(&copy)? })
    }
}

/// The fingerprints of what fails and is asked for.
fn wanted<'r>(plan: &Plan<'_>, report: &'r Report) -> BTreeSet<&'r str> {
    let is_it = |result: &&Outcome| {
        let is_asked = |(root, rule, address): &Place| *root == result.root && *rule == result.rule && *address == result.address;
        result.status == "failed" && (plan.findings.is_empty() || plan.findings.iter().any(is_asked))
    };
    report.results.iter().filter(is_it).map(|result| result.fingerprint.as_str()).collect()
}

/// The files of a folder that the program wrote to.
struct Written {
    expected: BTreeMap<PathBuf, String>,
    found: BTreeMap<PathBuf, String>,
}

fn check_written(plan: &Plan<'_>, written: &Written, figures: &mut Figures) {
    let paths: BTreeSet<&PathBuf> = written.expected.keys().chain(written.found.keys()).collect();
    for path in paths.into_iter().filter(|path| written.expected.get(*path) != written.found.get(*path)) {
        figures.faults.push(Fault {
            invariant: Invariant::WrittenAsShown,
            place: plan.name.to_owned(),
            dialect: String::new(),
            claim: "fixes that are written".to_owned(),
            detail: format!("`{}` isn't what the edits make", path.display()),
        });
    }
}

/// Gives the variables that a fix declares the values that it was proven with, beside those of earlier fixes.
fn give(folder: &Path, fix: &Fix) -> Result<()> {
    for input in &fix.inputs {
        // A parameter of a template is given when it is deployed.
        let Some(module) = input.module.as_ref().map(|module| folder.join(module)).filter(|module| module.is_dir()) else { continue };
        let path = module.join(VALUES);
        let known = if path.exists() { fs::read_to_string(&path)? } else { String::new() };
        let line = format!("{} = ", input.variable);
        if !known.lines().any(|known| known.starts_with(&line)) {
            fs::write(path, format!("{known}{line}{}\n", input.value()))?;
        }
    }
    Ok(())
}

/// What is known of findings before anything is fixed.
struct Known<'r> {
    of_finding: BTreeMap<&'r str, &'r str>,
    /// By root and address: the dialect.
    dialects: BTreeMap<(&'r str, &'r str), &'r str>,
    /// By root, address and rule: the file.
    files: BTreeMap<(&'r str, &'r str, &'r str), &'r str>,
    /// By file: the digest of its text.
    texts: BTreeMap<&'r str, String>,
}

impl<'r> Known<'r> {
    fn of(folder: &Path, report: &'r Report) -> Self {
        let mut known = Self { of_finding: BTreeMap::new(), dialects: BTreeMap::new(), files: BTreeMap::new(), texts: BTreeMap::new() };
        for result in &report.results {
            known.dialects.insert((&result.root, &result.address), &result.dialect);
            if result.status != "failed" {
                continue;
            }
            known.of_finding.insert(&result.fingerprint, &result.dialect);
            known.files.insert((&result.root, &result.address, &result.rule), &result.file);
            // A file that can't be read is another one than any that can.
            known
                .texts
                .entry(&result.file)
                .or_insert_with(|| fs::read(folder.join(&result.file)).map_or_else(|_| result.file.clone(), |bytes| edits::digest(&bytes)));
        }
        known
    }

    fn dialect(&self, claim: &Claim) -> &'r str {
        let known = self.dialects.get(&(&*claim.root, &*claim.address)).copied();
        // An instruction of a Dockerfile may have another number by now; all that is in one is of one dialect.
        known.or_else(|| self.dialects.iter().find(|((root, _), _)| *root == claim.root).map(|(_, dialect)| *dialect)).unwrap_or("unknown")
    }

    fn judged(&self, fix: &Fix, scanned_alone: bool) -> Judged {
        let claim = &fix.proof.claim;
        let known = self.files.get(&(&*claim.root, &*claim.address, &*claim.rule)).copied();
        let file = known.unwrap_or(&claim.root);
        Judged {
            dialect: self.dialect(claim).to_owned(),
            file: file.to_owned(),
            text: self.texts.get(file).cloned().unwrap_or_else(|| file.to_owned()),
            rule: claim.rule.clone(),
            root: claim.root.clone(),
            address: claim.address.clone(),
            class: fix.class.clone(),
            scanned_alone,
        }
    }
}

fn fault(plan: &Plan<'_>, known: &Known<'_>, invariant: Invariant, fix: &Fix, detail: String) -> Fault {
    let claim = &fix.proof.claim;
    let dialect = known.dialect(claim).to_owned();
    Fault { invariant, place: plan.name.to_owned(), dialect, claim: format!("{} {}", claim.rule, claim.address), detail }
}
