//! Findings to proven fixes, one after the other.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::sync::Arc;

use keyblind_rules::{Change, Judge, Key, Remedy, RuleId, RuleTable, Selection, Verdict};
use keyblind_scan::{Changed, Request, Trial, Trials};

use crate::edit::FileEdit;
use crate::examples::Examples;
use crate::hindrance::Hindrance;
use crate::impact::{self, Effect};
use crate::proof::{self, Claim, Disproof, Pair, Proof, Texts};
use crate::terraform::{self, Draft, Level};

/// The most changes that are tried for one finding.
const MOST_ATTEMPTS: usize = 10;

/// What should be fixed.
#[derive(Clone, Debug)]
pub struct Subject<'s> {
    /// The rule that fails.
    pub rule: RuleId,
    /// The directory of the root module.
    pub root: &'s str,
    /// The resource's address.
    pub address: &'s str,
}

/// A proven change.
#[derive(Clone, Debug)]
pub struct Fix {
    /// The edits, on the texts as they were before this fix.
    pub edits: Vec<FileEdit>,
    /// The whole texts afterwards, by path.
    pub texts: Changed,
    /// The checks that it passed.
    pub proof: Proof,
    /// What it does beside, each once; nothing for a safe fix.
    pub effects: Vec<Effect>,
}

/// Why there is no fix.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// What stands in the way.
    pub hindrance: Hindrance,
    /// Why each change that was tried wasn't proven.
    pub disproofs: Vec<Disproof>,
}

/// What became of a finding.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// There is a fix.
    Fixed(Box<Fix>),
    /// An earlier fix helped against it as well.
    Gone,
    /// There is none.
    Refused(Refusal),
}

/// Derives and proves fixes on the texts of a request, and on what earlier fixes made of them.
pub struct Fixer<'t> {
    table: &'t RuleTable,
    trials: Trials,
    changed: Changed,
    states: HashMap<usize, Rc<Trial>>,
    examples: HashMap<RuleId, Rc<Examples>>,
}

impl<'t> Fixer<'t> {
    /// Makes ready to fix what a request is about.
    pub fn new(table: &'t RuleTable, request: &Request) -> Self {
        let trials = Trials::open(request);
        Self { table, trials, changed: Changed::new(), states: HashMap::new(), examples: HashMap::new() }
    }

    /// The texts that accepted fixes made, by path.
    pub fn changed(&self) -> &Changed {
        &self.changed
    }

    /// The text of a file as it is with all accepted fixes.
    ///
    /// # Errors
    /// Says in one sentence why it can't be read.
    pub fn text(&self, path: &str) -> Result<Arc<str>, String> {
        self.changed.get(path).map_or_else(|| self.trials.read(path), |text| Ok(text.clone()))
    }

    /// The text of a file before any fix.
    ///
    /// # Errors
    /// Says in one sentence why it can't be read.
    pub fn original(&self, path: &str) -> Result<Arc<str>, String> {
        self.trials.read(path)
    }

    /// Makes a fix the ground that the next ones stand on.
    pub fn accept(&mut self, fix: &Fix) {
        for (path, text) in &fix.texts {
            for job in self.trials.reached_by(path) {
                self.states.remove(&job);
            }
            self.changed.insert(path.clone(), text.clone());
        }
    }

    /// Looks for a fix.
    pub fn fix(&mut self, subject: &Subject<'_>) -> Outcome {
        let mut failing = None;
        for job in self.trials.of_root(subject.root) {
            let Some(trial) = self.state(job) else { continue };
            let found = trial.judgements.iter().find(|judgement| {
                judgement.rule == subject.rule
                    && matches!(judgement.verdict, Verdict::Fail(_))
                    && *trial.graph.resources[judgement.resource].address == *subject.address
            });
            if let Some(judgement) = found {
                failing = Some((trial.clone(), judgement.resource));
                break;
            }
        }
        let Some((trial, resource)) = failing else { return Outcome::Gone };
        let examples = self.examples(subject.rule, &trial.graph.resources[resource].type_key);
        let selection = Selection::all(self.table);
        let mut remedies = Judge::new(self.table, &selection, &trial.graph).remedies(resource, subject.rule, &*examples);
        remedies.retain(|remedy| is_plausible(remedy, &trial, &examples));
        let mut refusal = Refusal { hindrance: Hindrance::NeedsDecision, disproofs: Vec::new() };
        let mut tried: Vec<Draft> = Vec::new();
        for remedy in &remedies {
            for &level in Level::ALL {
                let draft = match terraform::draft(&trial, resource, remedy, level, &examples) {
                    Ok(draft) => draft,
                    Err(hindrance) => {
                        refusal.hindrance = refusal.hindrance.max(hindrance);
                        continue;
                    }
                };
                if tried.iter().any(|known| known.texts == draft.texts) {
                    continue;
                }
                if tried.len() >= MOST_ATTEMPTS {
                    return Outcome::Refused(refusal);
                }
                match self.prove(subject, &draft, effects(remedy, &trial)) {
                    Ok(fix) => return Outcome::Fixed(Box::new(fix)),
                    Err(disproof) => {
                        refusal.hindrance = Hindrance::NotProven;
                        refusal.disproofs.push(disproof);
                    }
                }
                tried.push(draft);
            }
        }
        Outcome::Refused(refusal)
    }

    fn prove(&mut self, subject: &Subject<'_>, draft: &Draft, effects: Vec<Effect>) -> Result<Fix, Disproof> {
        let unreadable = |detail: String| Disproof { check: proof::Check::EditsFit, detail };
        let mut before = BTreeMap::new();
        let mut after = Changed::new();
        let mut edits = Vec::new();
        for (path, text) in &draft.texts {
            let old = self.text(path).map_err(unreadable)?;
            edits.push(FileEdit::between(path, &old, text));
            before.insert(path.clone(), old);
            after.insert(path.clone(), text.as_str().into());
        }
        proof::check_texts(&Texts { before: &before, after: &after, edits: &edits }, &draft.stated)?;
        let mut jobs: Vec<usize> = after.keys().flat_map(|path| self.trials.reached_by(path)).collect();
        jobs.sort_unstable();
        jobs.dedup();
        let mut whole = self.changed.clone();
        whole.extend(after.clone());
        let failed = || unreadable("the evaluator failed".to_owned());
        let mut trials = Vec::new();
        for job in jobs {
            let old = self.state(job).ok_or_else(failed)?;
            trials.push((job, old, self.trials.run(self.table, job, &whole).ok_or_else(failed)?));
        }
        let pairs: Vec<Pair<'_>> =
            trials.iter().map(|(job, before, after)| Pair { root: self.trials.directory(*job), before, after }).collect();
        let claim = Claim {
            rule: self.table.meta(subject.rule).id.to_string(),
            root: subject.root.to_owned(),
            address: subject.address.to_owned(),
        };
        let proof = proof::check_verdicts(self.table, subject.rule, &claim, &draft.stated, &pairs)?;
        Ok(Fix { edits, texts: after, proof, effects })
    }

    fn state(&mut self, job: usize) -> Option<Rc<Trial>> {
        if let Some(trial) = self.states.get(&job) {
            return Some(trial.clone());
        }
        let trial = Rc::new(self.trials.run(self.table, job, &self.changed)?);
        self.states.insert(job, trial.clone());
        Some(trial)
    }

    fn examples(&mut self, rule: RuleId, type_key: &str) -> Rc<Examples> {
        let table = self.table;
        self.examples
            .entry(rule)
            .or_insert_with(|| {
                let mut examples = Examples::of(table, rule);
                examples.learn_forms(table, type_key);
                Rc::new(examples)
            })
            .clone()
    }
}

/// Whether a remedy takes out only what a good example does without.
fn is_plausible(remedy: &Remedy, trial: &Trial, examples: &Examples) -> bool {
    remedy.wishes.iter().all(|wish| match (&wish.change, wish.subject) {
        (Change::Remove, keyblind_rules::Subject::Resource(id)) => {
            matches!(wish.path.last(), Some(Key::Index(_))) || examples.lack(&trial.graph.resources[id].type_key, &wish.path)
        }
        _ => true,
    })
}

/// What fulfilling the wishes of a remedy does beside.
fn effects(remedy: &Remedy, trial: &Trial) -> Vec<Effect> {
    let mut found: Vec<Effect> = remedy
        .wishes
        .iter()
        .filter_map(|wish| {
            let type_key = match wish.subject {
                keyblind_rules::Subject::Resource(id) => &trial.graph.resources[id].type_key,
                keyblind_rules::Subject::Companion(index) => &remedy.companions.get(index)?.type_key,
            };
            let names = wish.path.iter().filter_map(|key| if let Key::Name(name) = key { Some(&**name) } else { None });
            impact::of_change(type_key, &names.collect::<Vec<_>>().join("."))
        })
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}
