//! Findings to proven fixes, one after the other.

mod proposed;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;
use std::sync::Arc;

use keyblind_resource::{Dialect, ResourceId};
use keyblind_rules::{Judge, Key, Remedy, RuleId, RuleTable, Selection, Verdict};
use keyblind_scan::{Changed, Request, Trial, Trials};
use keyblind_syntax::Site;
use serde::{Deserialize, Serialize};

use crate::demands;
use crate::dockerfile;
use crate::draft::{Draft, Level, Settings};
use crate::edit::FileEdit;
use crate::examples::Examples;
use crate::hindrance::Hindrance;
use crate::impact::{self, Effect};
use crate::instantiate::Input;
use crate::proof::{self, Check, Claim, Disproof, Pair, Proof, Texts};
use crate::terraform;
use crate::yaml;

pub use self::proposed::Surrounding;

/// The most changes that are tried for one finding.
const MOST_ATTEMPTS: usize = 24;
/// The most good examples that are taken over.
const MOST_EXAMPLES: usize = 2;
/// How often what a change brings about may itself be mended.
const MOST_ROUNDS: usize = 12;
/// How many instances of a block are tried, of those that a rule fails and nothing helps, before the others are taken to be like
/// them: `count` makes thousands of a line.
const MOST_REFUSED: usize = 8;
/// How often an address may be declared for a fix to be looked for.
const MOST_DECLARED: usize = 8;

/// What should be fixed.
#[derive(Clone, Debug)]
pub struct Subject<'s> {
    /// The rule that fails.
    pub rule: RuleId,
    /// The directory of the root module or kustomization, or the path of the document.
    pub root: &'s str,
    /// The resource's address.
    pub address: &'s str,
}

/// Values that only a person knows, as they were given: by rule and attribute.
pub type Given = BTreeMap<RuleId, BTreeMap<String, String>>;

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
    /// The variables without value that it uses; with any it needs input before it can be applied.
    pub inputs: Vec<Input>,
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
    given: Given,
    changed: Changed,
    inputs: Vec<Input>,
    states: HashMap<usize, Rc<Trial>>,
    proven: Option<Proven>,
    refused: HashMap<(RuleId, String, Site), Refused>,
    examples: HashMap<(RuleId, Dialect, Arc<str>), Rc<Examples>>,
    /// Where instructions of Dockerfiles are by now, by the file and the address that they had at first.
    moved: dockerfile::Moves,
}

/// A fix as it was written down, to be proven again.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    /// The edits, on the texts as they were before this fix.
    pub edits: Vec<FileEdit>,
    /// What was claimed and checked.
    pub proof: Proof,
    /// The variables without value that it uses.
    pub inputs: Vec<Input>,
}

/// The texts that the last proven fix makes, and the states that it was proven in: once it is accepted, they are the ground
/// that the next ones stand on, and needn't be evaluated again.
struct Proven {
    texts: Changed,
    states: Vec<(usize, Rc<Trial>)>,
}

/// Instances of a block that have no fix for a rule as long as no other fix is accepted.
struct Refused {
    instances: usize,
    /// The address of the last one: declared again, it is the same finding, and has the same answer.
    address: String,
    last: Refusal,
}

/// What is to be mended in a state of the texts.
struct Goal {
    trial: Rc<Trial>,
    resource: ResourceId,
    rule: RuleId,
    /// Whether that is another root module or kustomization than the one that was asked about.
    elsewhere: bool,
}

/// What was tried so far for one finding.
struct Search<'s> {
    subject: &'s Subject<'s>,
    /// Whether variables may be declared for values that only a person knows.
    ask: bool,
    /// Whether what an example's value stands on may be brought along.
    bring: bool,
    /// Changes that added something and left the fault as it was.
    deferred: Vec<(Ground, Goal)>,
    tried: Vec<BTreeMap<String, String>>,
    refusal: Refusal,
}

/// A change on its way, with what it does beside.
#[derive(Clone, Default)]
struct Ground {
    draft: Draft,
    effects: Vec<Effect>,
}

impl<'t> Fixer<'t> {
    /// Makes ready to fix what a request is about.
    pub fn new(table: &'t RuleTable, request: &Request, given: Given) -> Self {
        let trials = Trials::open(request);
        Self {
            table,
            trials,
            given,
            changed: Changed::new(),
            inputs: Vec::new(),
            states: HashMap::new(),
            proven: None,
            refused: HashMap::new(),
            examples: HashMap::new(),
            moved: dockerfile::Moves::default(),
        }
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
        // Another fix that was accepted since would have taken it, so that it is about these texts on this ground.
        let proven = self.proven.take().filter(|proven| proven.texts == fix.texts);
        for (path, text) in &fix.texts {
            if let Ok(before) = self.text(path) {
                self.moved.follow(path, &before, text, &fix.proof.stated);
            }
            for job in self.trials.reached_by(path) {
                self.states.remove(&job);
            }
            self.changed.insert(path.clone(), text.clone());
        }
        for input in &fix.inputs {
            if !self.inputs.contains(input) {
                self.inputs.push(input.clone());
            }
        }
        self.refused.clear();
        self.states.extend(proven.into_iter().flat_map(|proven| proven.states));
    }

    /// Whether a finding is there when its root module is judged on trial. One that isn't before any fix was accepted is about
    /// what is judged and not edited.
    pub fn is_met(&mut self, subject: &Subject<'_>) -> bool {
        self.failing(subject).is_some()
    }

    /// Looks for a fix: first for one that needs no input, then for one that declares variables for what only a person knows.
    pub fn fix(&mut self, subject: &Subject<'_>) -> Outcome {
        let address = match self.moved.now(subject.root, subject.address) {
            dockerfile::Place::Same => subject.address.to_owned(),
            dockerfile::Place::At(address) => address,
            dockerfile::Place::Gone => return Outcome::Gone,
        };
        let subject = &Subject { address: &address, ..subject.clone() };
        let Some((trial, resource)) = self.failing(subject) else { return Outcome::Gone };
        if let Some(refusal) = declared_too_often(&trial, subject) {
            return Outcome::Refused(refusal);
        }
        let block = (subject.rule, subject.root.to_owned(), trial.graph.resources[resource].header);
        let is_answered = |refused: &&Refused| refused.instances >= MOST_REFUSED || refused.address == subject.address;
        if let Some(refused) = self.refused.get(&block).filter(is_answered) {
            return Outcome::Refused(refused.last.clone());
        }
        let refusal = Refusal { hindrance: Hindrance::NeedsDecision, disproofs: Vec::new() };
        let mut search = Search { subject, ask: false, bring: true, deferred: Vec::new(), tried: Vec::new(), refusal };
        for (ask, bring) in [(false, true), (true, true), (true, false)] {
            (search.ask, search.bring) = (ask, bring);
            search.tried.clear();
            search.deferred.clear();
            let goal = Goal { trial: trial.clone(), resource, rule: subject.rule, elsewhere: false };
            if let Some(fix) = self.search(&mut search, &Ground::default(), &goal, 0) {
                return Outcome::Fixed(Box::new(fix));
            }
        }
        let last = search.refusal.clone();
        let instances = self.refused.get(&block).map_or(1, |refused| refused.instances + 1);
        self.refused.insert(block, Refused { instances, address: subject.address.to_owned(), last });
        Outcome::Refused(search.refusal)
    }

    /// Proves recorded fixes again, each on the ground of those before: whether the files are as they were before the first
    /// of them, or as they are after the last.
    ///
    /// # Errors
    /// The number of the first that isn't proven, and why.
    pub fn verify(&mut self, records: &[Record]) -> Result<(), (usize, Disproof)> {
        self.rewind(records).map_err(|disproof| (0, disproof))?;
        for (number, record) in records.iter().enumerate() {
            let claim = &record.proof.claim;
            let misfit = |detail: String| (number, Disproof::new(Check::EditsFit, detail));
            let rule = self.table.find(&claim.rule).ok_or_else(|| misfit(format!("there is no rule `{}`", claim.rule)))?;
            let mut draft = Draft { stated: record.proof.stated.clone(), inputs: record.inputs.clone(), ..Draft::default() };
            for edit in &record.edits {
                let old = self.text(&edit.path).map_err(misfit)?;
                draft.texts.insert(edit.path.clone(), edit.apply(&old).map_err(|error| misfit(error.to_string()))?);
            }
            let subject = Subject { rule, root: &claim.root, address: &claim.address };
            if record.proof.proposed {
                self.check_proposed(&subject, &draft).map_err(|disproof| (number, disproof))?;
            }
            let fix = self.prove(&subject, &Ground { draft, effects: Vec::new() }).map_err(|(disproof, _)| (number, disproof))?;
            self.accept(&fix);
        }
        Ok(())
    }

    /// Goes back to the texts that the first of some records was made for.
    fn rewind(&mut self, records: &[Record]) -> Result<(), Disproof> {
        let misfit = |detail: String| Disproof::new(Check::EditsFit, detail);
        let mut by_path: BTreeMap<&str, Vec<&FileEdit>> = BTreeMap::new();
        for edit in records.iter().flat_map(|record| &record.edits) {
            by_path.entry(&edit.path).or_default().push(edit);
        }
        for (path, edits) in by_path {
            let now = self.trials.read(path).map_err(misfit)?;
            if edits.first().is_some_and(|first| first.digest == crate::edit::digest(&now)) {
                continue;
            }
            let mut text = now.to_string();
            for edit in edits.into_iter().rev() {
                text = edit.undo(&text).map_err(|error| misfit(error.to_string()))?;
            }
            self.changed.insert(path.to_owned(), text.into());
        }
        self.states.clear();
        self.proven = None;
        Ok(())
    }

    /// The first root module in which the rule fails the resource.
    fn failing(&mut self, subject: &Subject<'_>) -> Option<(Rc<Trial>, ResourceId)> {
        for job in self.trials.of_root(subject.root) {
            let Some(trial) = self.state(job) else { continue };
            if let Some(resource) = failing(&trial, subject.rule, subject.address) {
                return Some((trial, resource));
            }
        }
        None
    }

    /// Tries what would mend a goal on the ground of what was changed already; what that brings about is mended as well.
    fn search(&mut self, search: &mut Search<'_>, ground: &Ground, goal: &Goal, round: usize) -> Option<Fix> {
        let deferred_before = search.deferred.len();
        if goal.trial.dialect == Dialect::Dockerfile {
            return self.search_dockerfile(search, ground, goal, round);
        }
        let examples = self.examples(goal.rule, goal.trial.dialect, &goal.trial.graph.resources[goal.resource].type_key);
        let selection = Selection::all(self.table);
        let remedies = Judge::new(self.table, &selection, &goal.trial.graph).remedies(goal.resource, goal.rule, &*examples);
        let ranked = ranked(remedies, &goal.trial, &examples);
        let remedies: Vec<Remedy> = ranked.into_iter().map(|remedy| demands::completed(remedy, &goal.trial, &*examples)).collect();
        let given = self.given.get(&goal.rule).cloned().unwrap_or_default();
        let shared = if search.ask { self.shared(goal) } else { Vec::new() };
        for remedy in &remedies {
            for &level in Level::ALL {
                let mut known = self.inputs.clone();
                known.extend(ground.draft.inputs.iter().cloned());
                let settings = Settings {
                    examples: &examples,
                    level,
                    given: &given,
                    ask: search.ask,
                    known: &known,
                    bring: search.bring,
                    shared: &shared,
                    elsewhere: goal.elsewhere,
                };
                let draft = match goal.trial.dialect {
                    Dialect::Terraform => terraform::draft(&goal.trial, goal.resource, remedy, &settings),
                    _ => yaml::draft(&goal.trial, remedy, &settings),
                };
                let draft = match draft {
                    Ok(draft) => draft,
                    Err(hindrance) => {
                        if search.refusal.disproofs.is_empty() {
                            search.refusal.hindrance = search.refusal.hindrance.max(hindrance);
                        }
                        continue;
                    }
                };
                let next = ground.with(draft, effects(remedy, &goal.trial));
                if let Some(fix) = self.attempt(search, &next, goal, round) {
                    return Some(fix);
                }
            }
        }
        let known = self.inputs.clone();
        let settings = Settings {
            examples: &examples,
            level: Level::Written,
            given: &given,
            ask: search.ask,
            known: &known,
            bring: search.bring,
            shared: &shared,
            elsewhere: goal.elsewhere,
        };
        if goal.trial.dialect != Dialect::Terraform {
            for (draft, effects) in yaml::taught(self.table, goal.rule, &goal.trial, goal.resource, &settings) {
                if let Some(fix) = self.attempt(search, &ground.with(draft, effects), goal, round) {
                    return Some(fix);
                }
            }
        }
        // A whole arrangement of resources only an example can show.
        for number in (0..MOST_EXAMPLES).filter(|_| round == 0 && goal.trial.dialect == Dialect::Terraform) {
            let Ok(draft) = terraform::transplant(&goal.trial, goal.resource, number, &settings) else { continue };
            let next = ground.with(draft, vec![Effect::Costs]);
            if let Some(fix) = self.attempt(search, &next, goal, round) {
                return Some(fix);
            }
        }
        for (ground, goal) in search.deferred.split_off(deferred_before.min(search.deferred.len())) {
            if let Some(fix) = self.search(search, &ground, &goal, round + 1) {
                return Some(fix);
            }
        }
        None
    }

    /// The same for an instruction of a Dockerfile: what it does is more than its values tell.
    fn search_dockerfile(&mut self, search: &mut Search<'_>, ground: &Ground, goal: &Goal, round: usize) -> Option<Fix> {
        let given = self.given.get(&goal.rule).cloned().unwrap_or_default();
        match dockerfile::drafts(self.table, goal.rule, &goal.trial, goal.resource, &given, search.ask) {
            Ok(drafts) => drafts.into_iter().find_map(|(draft, effects)| self.attempt(search, &ground.with(draft, effects), goal, round)),
            Err(hindrance) => {
                if search.refusal.disproofs.is_empty() {
                    search.refusal.hindrance = search.refusal.hindrance.max(hindrance);
                }
                None
            }
        }
    }

    /// The files of called modules that other root modules call as well.
    fn shared(&self, goal: &Goal) -> Vec<String> {
        let is_shared = |path: &&str| {
            let places: BTreeSet<&str> = self.trials.reached_by(path).into_iter().map(|job| self.trials.place(job)).collect();
            places.len() > 1
        };
        goal.trial.sources.iter().map(|(_, source)| &*source.path).filter(is_shared).map(str::to_owned).collect()
    }

    /// Proves a change; where that fails on what it brings about, mends that as well.
    fn attempt(&mut self, search: &mut Search<'_>, next: &Ground, goal: &Goal, round: usize) -> Option<Fix> {
        if search.tried.contains(&next.draft.texts) || search.tried.len() >= MOST_ATTEMPTS {
            return None;
        }
        search.tried.push(next.draft.texts.clone());
        match self.prove(search.subject, next) {
            Ok(fix) => Some(fix),
            Err((disproof, trial)) => {
                let about = disproof.about.clone();
                search.refusal.hindrance = Hindrance::NotProven;
                search.refusal.disproofs.push(disproof);
                let (Some(proof::About { rule, root, address }), Some(trial)) = (about, trial) else { return None };
                if round + 1 >= MOST_ROUNDS {
                    return None;
                }
                let resource = failing(&trial, rule, &address)?;
                let again = Goal { trial, resource, rule, elsewhere: *root != *search.subject.root };
                // What was added beside and didn't help is gone on with when nothing else helps either.
                let adds = next.draft.stated.iter().any(|stated| stated.path.is_empty());
                let is_no_better = adds && goal.is_of(&again) && again.reasons() >= goal.reasons();
                // Nor is anything mended where it wasn't asked for, unless that is the only way.
                let is_elsewhere = rule == search.subject.rule && again.elsewhere;
                if is_no_better || is_elsewhere {
                    search.deferred.push((next.clone(), again));
                    return None;
                }
                self.search(search, next, &again, round + 1)
            }
        }
    }

    /// Makes all checks. A change that fails on a verdict comes back with the state in which it does.
    fn prove(&mut self, subject: &Subject<'_>, ground: &Ground) -> Result<Fix, (Disproof, Option<Rc<Trial>>)> {
        let draft = &ground.draft;
        let unreadable = |detail: String| (Disproof::new(Check::EditsFit, detail), None);
        let mut before = BTreeMap::new();
        let mut after = Changed::new();
        let mut edits = Vec::new();
        for (path, text) in &draft.texts {
            let old = self.text(path).map_err(unreadable)?;
            edits.push(FileEdit::between(path, &old, text));
            before.insert(path.clone(), old);
            after.insert(path.clone(), text.as_str().into());
        }
        proof::check_texts(&Texts { before: &before, after: &after, edits: &edits }, &draft.stated).map_err(|disproof| (disproof, None))?;
        // What wasn't asked for may call what is changed, too.
        self.trials.widen();
        let mut jobs: Vec<usize> = after.keys().flat_map(|path| self.trials.reached_by(path)).collect();
        jobs.sort_unstable();
        jobs.dedup();
        let mut whole = self.changed.clone();
        whole.extend(after.clone());
        let failed = || unreadable("the evaluator failed".to_owned());
        let mut trials = Vec::new();
        for job in jobs {
            let old = self.state(job).ok_or_else(failed)?;
            let values = self.values(job, &draft.inputs);
            trials.push((job, old, Rc::new(self.trials.run(self.table, job, &whole, &values).ok_or_else(failed)?)));
        }
        let pairs: Vec<Pair<'_>> =
            trials.iter().map(|(job, before, after)| Pair { root: self.trials.place(*job), before, after }).collect();
        let claim = Claim {
            rule: self.table.meta(subject.rule).id.to_string(),
            root: subject.root.to_owned(),
            address: subject.address.to_owned(),
        };
        match proof::check_verdicts(self.table, subject.rule, &claim, &draft.stated, &pairs) {
            Ok(mut proof) => {
                let states = trials.iter().map(|(job, _, after)| (*job, after.clone())).collect();
                self.proven = Some(Proven { texts: after.clone(), states });
                proof.assumed = draft.inputs.iter().map(|input| (input.variable.clone(), input.assumed.clone())).collect();
                Ok(Fix { edits, texts: after, proof, effects: ground.effects.clone(), inputs: draft.inputs.clone() })
            }
            Err(disproof) => {
                let state = disproof.about.as_ref().and_then(|about| {
                    let mut of_root = trials.iter().filter(|(job, ..)| self.trials.place(*job) == about.root).map(|(_, _, after)| after);
                    of_root.find(|after| failing(after, about.rule, &about.address).is_some()).cloned()
                });
                Err((disproof, state))
            }
        }
    }

    /// The values that are assumed for what only a person knows.
    fn values(&self, job: usize, more: &[Input]) -> Vec<(String, String)> {
        let of_root = |input: &&Input| input.module.as_deref() == Some(self.trials.place(job));
        self.inputs.iter().chain(more).filter(of_root).map(|input| (input.variable.clone(), input.assumed.clone())).collect()
    }

    fn state(&mut self, job: usize) -> Option<Rc<Trial>> {
        if let Some(trial) = self.states.get(&job) {
            return Some(trial.clone());
        }
        let values = self.values(job, &[]);
        let trial = Rc::new(self.trials.run(self.table, job, &self.changed, &values)?);
        self.states.insert(job, trial.clone());
        Some(trial)
    }

    fn examples(&mut self, rule: RuleId, dialect: Dialect, type_key: &Arc<str>) -> Rc<Examples> {
        let table = self.table;
        self.examples
            .entry((rule, dialect, type_key.clone()))
            .or_insert_with(|| {
                let mut examples = Examples::of(table, rule, dialect);
                if dialect == Dialect::Terraform {
                    examples.learn_forms(table, type_key);
                }
                Rc::new(examples)
            })
            .clone()
    }
}

impl Goal {
    /// Whether another is about the same rule and resource.
    fn is_of(&self, other: &Self) -> bool {
        let address = |goal: &Self| goal.trial.graph.resources[goal.resource].address.clone();
        self.rule == other.rule && address(self) == address(other)
    }

    /// For how many reasons the rule fails the resource.
    fn reasons(&self) -> usize {
        let of_goal = |judgement: &&keyblind_rules::Judgement| judgement.rule == self.rule && judgement.resource == self.resource;
        let verdict = self.trial.judgements.iter().find(of_goal).map(|judgement| &judgement.verdict);
        if let Some(Verdict::Fail(failure)) = verdict { failure.evidence.len() } else { 0 }
    }
}

impl Ground {
    fn with(&self, draft: Draft, effects: Vec<Effect>) -> Self {
        let mut next = self.clone();
        next.effects.extend(draft.added.iter().filter_map(|type_key| impact::of_change(type_key, "")));
        next.draft.texts.extend(draft.texts);
        next.draft.stated = proof::dockerfile::joined(&next.draft.stated, &draft.stated);
        for input in draft.inputs {
            if !next.draft.inputs.contains(&input) {
                next.draft.inputs.push(input);
            }
        }
        next.effects.extend(effects);
        next.effects.sort_unstable();
        next.effects.dedup();
        next
    }
}

/// Of what has one address in many places no change of one place is a fix: the others would have to be tried with it, each with
/// an evaluation of all of them.
fn declared_too_often(trial: &Trial, subject: &Subject<'_>) -> Option<Refusal> {
    let fails = |judgement: &&keyblind_rules::Judgement| {
        judgement.rule == subject.rule
            && matches!(judgement.verdict, Verdict::Fail(_))
            && *trial.graph.resources[judgement.resource].address == *subject.address
    };
    let times = trial.judgements.iter().filter(fails).count();
    let detail = || format!("`{}` is declared {times} times, and fails each time", subject.address);
    (times > MOST_DECLARED)
        .then(|| Refusal { hindrance: Hindrance::NeedsDecision, disproofs: vec![Disproof::new(Check::FaultGone, detail())] })
}

/// The resource of an address, if the rule fails it.
fn failing(trial: &Trial, rule: RuleId, address: &str) -> Option<ResourceId> {
    let of_rule = trial.judgements.iter().filter(|judgement| judgement.rule == rule && matches!(judgement.verdict, Verdict::Fail(_)));
    of_rule.map(|judgement| judgement.resource).find(|&resource| *trial.graph.resources[resource].address == *address)
}

/// The remedies by how near they are to what the good examples show. What is much farther than the nearest would make the
/// rule pass in a way that nobody means.
fn ranked(remedies: Vec<Remedy>, trial: &Trial, examples: &Examples) -> Vec<Remedy> {
    let mut ranked: Vec<(usize, Remedy)> =
        remedies.into_iter().filter_map(|remedy| Some((examples.distance(&remedy, trial)?, remedy))).collect();
    ranked.sort_by_key(|(distance, _)| *distance);
    let nearest = ranked.first().map_or(0, |(distance, _)| *distance);
    ranked.into_iter().take_while(|(distance, _)| *distance <= nearest + 1).map(|(_, remedy)| remedy).collect()
}

/// What fulfilling the wishes of a remedy does beside.
fn effects(remedy: &Remedy, trial: &Trial) -> Vec<Effect> {
    let of_wish = |wish: &keyblind_rules::Wish| {
        let type_key = match wish.subject {
            keyblind_rules::Subject::Resource(id) => &trial.graph.resources[id].type_key,
            keyblind_rules::Subject::Companion(index) => &remedy.companions.get(index)?.type_key,
        };
        let names = wish.path.iter().filter_map(|key| if let Key::Name(name) = key { Some(&**name) } else { None });
        impact::of_change(type_key, &names.collect::<Vec<_>>().join("."))
    };
    remedy.wishes.iter().filter_map(of_wish).collect()
}
