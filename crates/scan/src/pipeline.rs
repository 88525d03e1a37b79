//! The one way: walk, read, evaluate, judge, fold suppressions and baseline in.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use globset::GlobSet;
use keyblind_dialects::terraform::{self, Inputs, Project, Root};
use keyblind_dialects::{self as dialects, Evaluation, Listing, cloudformation, kubernetes, live};
use keyblind_resource::Dialect;
use keyblind_rule_language::Severity;
use keyblind_rules::baseline::Baseline;
use keyblind_rules::suppressions::{Date, Policy, Suppressions, may_hold_directives};
use keyblind_rules::{RuleId, RuleTable, Selection};
use keyblind_syntax::{Diagnostic, FileId, Level, Site, SourceFile, SourceMap};
use rayon::prelude::*;

use crate::code::Code;
use crate::config::FloorSuppressions;
use crate::judged::{self, Judged};
use crate::merge;
use crate::outcome::{RuleCard, ScanReport, Summary, Timings};
use crate::outline;
use crate::read::{self, Input, Only};
use crate::redact;
use crate::selection::TableNames;
use crate::target::{Target, Targets};
use crate::tree::SourceTree;
use crate::trial::Changed;
use crate::unused::Uses;

/// Everything that decides what a scan finds.
#[derive(Debug)]
pub struct Request {
    /// What to judge.
    pub targets: Targets,
    /// The files, if they don't lie on disk; then the trust root only says how they are shown.
    pub snapshot: Option<Arc<dyn Listing>>,
    /// Texts that are judged in the place of what files hold.
    pub changed: Changed,
    /// The text of the target that is one ([`Target::Text`]).
    pub text: Option<Vec<u8>>,
    /// Which rules.
    pub selection: Selection,
    /// Severities that differ from the rules' own.
    pub severities: HashMap<RuleId, Severity>,
    /// Values for variables, for every root module.
    pub inputs: Inputs,
    /// Further values for single root modules: a module with several entries is judged once with each.
    pub input_sets: Vec<InputSet>,
    /// Globs over paths relative to the trust root that are not judged.
    pub exclude: GlobSet,
    /// What may silence a finding; nothing may, without it.
    pub policy: Option<Policy>,
    /// Faults that don't count.
    pub baseline: Option<Baseline>,
    /// Whether all that the baseline is about is judged, so that what isn't met is gone.
    pub is_baseline_covered: bool,
    /// What the configuration silences.
    pub ignores: Vec<Ignore>,
    /// What holds whatever the rest says.
    pub floor: Option<Floor>,
    /// The day on which the scan takes place.
    pub today: Date,
    /// Which results are kept beside failures and suppressed ones.
    pub keep: Keep,
    /// What went wrong before: unsound rules of a team.
    pub diagnostics: Vec<Diagnostic>,
}

/// Findings that the configuration silences: for formats that have no comments, and code that can't be changed.
#[derive(Clone, Debug)]
pub struct Ignore {
    /// Of these rules.
    pub rules: BTreeSet<RuleId>,
    /// In these files (globs over paths relative to the trust root); in all, if there is none.
    pub paths: Option<GlobSet>,
    /// About these addresses (`*` stands for anything); about all, if there is none.
    pub addresses: Vec<String>,
    /// Why.
    pub reason: String,
    /// The last day.
    pub until: Option<Date>,
    /// Where the configuration says so.
    pub place: String,
}

/// Rules that are judged everywhere, and by which nothing of a repository may be silent unless it is allowed here.
#[derive(Clone, Debug)]
pub struct Floor {
    /// The rules, all of which are among those of the request.
    pub rules: Selection,
    /// What of the repository may silence the floor's rules.
    pub allowed: FloorSuppressions,
    /// Findings that don't count.
    pub ignores: Vec<Ignore>,
}

impl Floor {
    /// Whether a result at a path is wanted: not one that only the repository asked for, where it excludes the path.
    pub(crate) fn wants(&self, rule: RuleId, path: &str, exclude: &GlobSet) -> bool {
        let is_kept = self.rules.contains(rule) && !self.allowed.exclude;
        let mut places = std::iter::successors(Some(path), |path| path.rsplit_once('/').map(|(above, _)| above));
        is_kept || !exclude.is_match(path) && !places.any(|place| exclude.is_match(place))
    }
}

/// One set of values for one root module.
#[derive(Clone, Debug)]
pub struct InputSet {
    /// The module's directory, relative to the trust root.
    pub directory: String,
    /// The values.
    pub inputs: Inputs,
}

/// Which results are kept beside failures and suppressed ones. All are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Keep {
    /// Passes.
    pub passed: bool,
    /// Unknown ones.
    pub unknown: bool,
}

impl Keep {
    /// What either keeps.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { passed: self.passed || other.passed, unknown: self.unknown || other.unknown }
    }
}

/// How far a scan is.
#[derive(Clone, Copy, Debug)]
pub enum Progress {
    /// Looking for files.
    Walking,
    /// Parsing so many files.
    Parsing {
        /// How many.
        files: usize,
    },
    /// Evaluating and judging.
    Judging {
        /// How many root modules are done.
        done: usize,
        /// Of so many.
        of: usize,
    },
}

/// One thing to evaluate by itself.
enum Job {
    Root { root: Root, inputs: Inputs },
    Plan { file: FileId },
    Snapshot { file: FileId },
    Documents { dialect: Dialect, place: Arc<str>, files: Vec<FileId> },
    Kubernetes { root: kubernetes::Root },
    Template { root: cloudformation::Root },
}

/// Scans. What can't be read or evaluated is in the report's diagnostics; the rest is judged all the same.
pub fn scan(table: &RuleTable, mut request: Request, progress: &(dyn Fn(Progress) + Sync)) -> ScanReport {
    let started = Instant::now();
    progress(Progress::Walking);
    let tree = tree_of(&request);
    let everything = GlobSet::empty();
    let exclude = if request.floor.is_some() { &everything } else { &request.exclude };
    let mut input = read::read(&request.targets.paths, request.targets.code.as_deref(), &tree, exclude);
    let read = started.elapsed();

    progress(Progress::Parsing { files: input.terraform.len() + input.plans.len() + input.snapshots.len() + input.documents.len() });
    let mut sources = SourceMap::default();
    let mut project = Project::parse(std::mem::take(&mut input.terraform), &tree, &mut sources);
    let named = request.input_sets.iter().flat_map(|set| &set.inputs.var_files).chain(&request.inputs.var_files);
    let named: BTreeSet<String> = named.cloned().collect();
    project.read_variables_files(&Vec::from_iter(named), &tree, &mut sources);
    let mut diagnostics = std::mem::take(&mut input.diagnostics);
    diagnostics.append(&mut request.diagnostics);
    diagnostics.extend(project.diagnostics().iter().cloned());
    let mut jobs = root_jobs(&project, &input.judged, &request, &mut diagnostics);
    let kubernetes = kubernetes::Project::parse(take_documents(&mut input, Dialect::Kubernetes), &input.above, &tree, &mut sources);
    diagnostics.extend(kubernetes.diagnostics().iter().cloned());
    jobs.extend(kubernetes.roots().iter().map(|root| Job::Kubernetes { root: root.clone() }));
    let templates = cloudformation::Project::parse(take_documents(&mut input, Dialect::CloudFormation), &tree, &mut sources);
    diagnostics.extend(templates.diagnostics().iter().cloned());
    jobs.extend(templates.roots().iter().map(|root| Job::Template { root: root.clone() }));
    jobs.extend(document_jobs(&mut input, &mut sources));
    let directives = match &request.policy {
        Some(policy) => read_directives(table, policy, &sources, &mut diagnostics),
        None => Suppressions::default(),
    };
    jobs.extend(plan_jobs(&mut input, &mut sources));
    let parse = started.elapsed() - read;

    let (done, of) = (AtomicUsize::new(0), jobs.len());
    progress(Progress::Judging { done: 0, of });
    let code = code(&project, &tree, &request);
    let spent = Spent::default();
    let evaluating = Evaluating {
        project: &project,
        kubernetes: &kubernetes,
        templates: &templates,
        tree: &tree,
        sources: &sources,
        only: input.only.as_ref(),
        code: code.as_ref(),
        spent: &spent,
    };
    let ignores = if request.policy.is_some() { request.ignores.as_slice() } else { &[] };
    let judging = judged::Judging {
        table,
        selection: &request.selection,
        directives: &directives,
        ignores,
        policy: request.policy.as_ref(),
        floor: request.floor.as_ref(),
        exclude: &request.exclude,
        sources: &sources,
        keep: request.keep,
        uses: Uses::of(ignores),
    };
    let judged: Vec<Judged> = jobs
        .into_par_iter()
        .map(|job| {
            let judged = run(&job, &evaluating, &judging);
            progress(Progress::Judging { done: done.fetch_add(1, Ordering::Relaxed) + 1, of });
            judged
        })
        .collect();
    let mut resources = BTreeSet::new();
    let mut verdicts = Vec::new();
    for judged in judged {
        verdicts.extend(judged.verdicts);
        diagnostics.extend(judged.diagnostics);
        resources.extend(judged.resources);
    }
    // Of a part, or of what wasn't read, nobody can say what the configuration's entries are for.
    let is_whole = request.targets.paths.iter().any(|target| matches!(target, Target::Directory(path) if path.is_empty()))
        && !diagnostics.iter().any(|diagnostic| diagnostic.level == Level::Incomplete);
    diagnostics.extend(judging.unused(is_whole));
    let mut summary = Summary {
        rules: request.selection.len() as u64,
        resources: resources.len() as u64,
        roots: of as u64,
        files: input.files,
        ..Summary::default()
    };
    let severity = |rule: RuleId| request.severities.get(&rule).copied().unwrap_or_else(|| table.meta(rule).severity);
    let is_selected = |name: &str| match table.named(name) {
        [] => true,
        rules => rules.iter().any(|rule| request.selection.contains(*rule)),
    };
    let folding = merge::Folding {
        table,
        sources: &sources,
        severity: &severity,
        baseline: request.baseline.as_ref(),
        may_be_known: &|rule| request.floor.as_ref().is_none_or(|floor| floor.allowed.baseline || !floor.rules.contains(rule)),
        today: request.today,
        is_judged: &|name| request.is_baseline_covered && is_selected(name),
    };
    let merged = merge::merge(verdicts, &folding, &mut summary);
    let rules = merged.rules.iter().map(|&rule| card(table, rule, severity(rule))).collect();
    let diagnostics = settle(diagnostics, &sources, &mut summary);
    let judge = started.elapsed() - read - parse;
    let threads = |spent: &AtomicU64| Duration::from_nanos(spent.load(Ordering::Relaxed));
    let timings = Timings { read, parse, judge, evaluate_threads: threads(&spent.evaluating), rules_threads: threads(&spent.rules) };
    ScanReport { sources, places: request.targets.places, rules, results: merged.results, diagnostics, summary, timings }
}

/// A rule as reports show it.
pub fn card(table: &RuleTable, rule: RuleId, severity: Severity) -> RuleCard {
    let (meta, docs) = (table.meta(rule), table.docs(rule));
    let texts = |texts: &[Box<str>]| texts.iter().map(ToString::to_string).collect();
    RuleCard {
        id: meta.id.as_ref().into(),
        title: meta.title.to_string(),
        severity,
        confidence: meta.confidence,
        persona: meta.persona,
        aliases: texts(&meta.aliases),
        related: texts(&meta.related),
        controls: docs.controls.clone(),
        why: docs.why.to_string(),
        fix: docs.fix.to_string(),
        references: texts(&docs.references),
    }
}

fn tree_of(request: &Request) -> SourceTree {
    let mut tree = match &request.snapshot {
        Some(snapshot) => SourceTree::of_snapshot(snapshot.clone()),
        None => SourceTree::new(request.targets.root.clone()),
    };
    for (path, text) in &request.changed {
        tree.overlay(path, text.as_bytes());
    }
    if let Some(text) = &request.text {
        for target in &request.targets.paths {
            if let Target::Text(path) = target {
                tree.overlay(path, text.as_slice());
            }
        }
    }
    tree
}

/// Each root module with each set of values that it is to be judged with.
fn root_jobs(project: &Project, judged: &BTreeSet<String>, request: &Request, diagnostics: &mut Vec<Diagnostic>) -> Vec<Job> {
    let mut sets: BTreeMap<&str, Vec<&InputSet>> = BTreeMap::new();
    for set in &request.input_sets {
        sets.entry(&set.directory).or_default().push(set);
    }
    let mut jobs = Vec::new();
    for root in project.roots().iter().filter(|root| judged.contains(&*root.directory)) {
        // What the command line says is stronger than what the configuration says.
        let with = |set: &Inputs| Inputs {
            variables: set.variables.iter().chain(&request.inputs.variables).cloned().collect(),
            var_files: set.var_files.iter().chain(&request.inputs.var_files).cloned().collect(),
        };
        match sets.remove(&*root.directory) {
            Some(own) => jobs.extend(own.iter().map(|set| Job::Root { root: root.clone(), inputs: with(&set.inputs) })),
            None => jobs.push(Job::Root { root: root.clone(), inputs: request.inputs.clone() }),
        }
    }
    let scanned_whole = request.targets.paths.iter().any(|target| matches!(target, Target::Directory(path) if path.is_empty()));
    for directory in sets.keys().filter(|_| scanned_whole) {
        let message = "the configuration gives values for this root module, but it is none".to_owned();
        diagnostics.push(Diagnostic {
            level: Level::Note,
            code: "unknown-root-module",
            message,
            help: Some("mend its `path` in `[[terraform.root]]`".to_owned()),
            site: None,
            path: Some((*directory).to_owned()),
        });
    }
    jobs
}

/// What others have evaluated: plans, and snapshots of accounts.
fn plan_jobs(input: &mut Input, sources: &mut SourceMap) -> Vec<Job> {
    let plans = std::mem::take(&mut input.plans);
    let snapshots = std::mem::take(&mut input.snapshots);
    let mut add = |(path, text)| sources.add(SourceFile::new(path, text));
    let plans: Vec<Job> = plans.into_iter().map(|plan| Job::Plan { file: add(plan) }).collect();
    let snapshots = snapshots.into_iter().map(|snapshot| Job::Snapshot { file: add(snapshot) });
    plans.into_iter().chain(snapshots).collect()
}

/// The documents of a dialect in which they are evaluated with those that they name: path and text.
pub(crate) fn take_documents(input: &mut Input, dialect: Dialect) -> Vec<(Arc<str>, Arc<str>)> {
    let documents = std::mem::take(&mut input.documents);
    let (taken, others) = documents.into_iter().partition::<Vec<_>, _>(|(of, ..)| *of == dialect);
    input.documents = others;
    taken.into_iter().map(|(_, path, text)| (path, text)).collect()
}

/// Each group of documents that belong together.
fn document_jobs(input: &mut Input, sources: &mut SourceMap) -> Vec<Job> {
    let mut groups: BTreeMap<(Dialect, Arc<str>), Vec<FileId>> = BTreeMap::new();
    for (dialect, path, text) in std::mem::take(&mut input.documents) {
        let group = dialects::group(dialect, &path).into();
        groups.entry((dialect, group)).or_default().push(sources.add(SourceFile::new(path, text)));
    }
    groups.into_iter().map(|((dialect, place), files)| Job::Documents { dialect, place, files }).collect()
}

fn read_directives(table: &RuleTable, policy: &Policy, sources: &SourceMap, diagnostics: &mut Vec<Diagnostic>) -> Suppressions {
    let candidates: Vec<(FileId, &SourceFile)> =
        sources.iter().filter(|(_, file)| !file.path.ends_with(".json") && may_hold_directives(&file.text)).collect();
    let outlined: Vec<_> = candidates.into_par_iter().map(|(id, file)| (id, file, outline::of(file))).collect();
    let mut suppressions = Suppressions::default();
    for (id, file, outline) in outlined {
        diagnostics.extend(suppressions.collect(id, file, &outline, &TableNames(table), policy));
    }
    suppressions
}

/// What the code that plans were made from evaluates to, if it was named.
fn code(project: &Project, tree: &SourceTree, request: &Request) -> Option<Code> {
    let root = Root { directory: request.targets.code.as_deref()?.into() };
    let evaluate = || project.evaluate(&root, &request.inputs, tree).resources;
    // Without it the findings point into the plan, where they are right as well.
    catch_unwind(AssertUnwindSafe(evaluate)).ok().map(Code::new)
}

/// What evaluating goes by.
struct Evaluating<'a> {
    project: &'a Project,
    kubernetes: &'a kubernetes::Project,
    templates: &'a cloudformation::Project,
    tree: &'a SourceTree,
    sources: &'a SourceMap,
    only: Option<&'a Only>,
    code: Option<&'a Code>,
    spent: &'a Spent,
}

/// What the jobs took so far, in nanoseconds of their threads.
#[derive(Default)]
struct Spent {
    evaluating: AtomicU64,
    rules: AtomicU64,
}

fn add_since(spent: &AtomicU64, start: Instant) {
    spent.fetch_add(u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
}

/// Evaluates and judges one job. Should the evaluator itself be at fault, that costs this job, and it is said.
fn run(job: &Job, evaluating: &Evaluating<'_>, judging: &judged::Judging<'_>) -> Judged {
    let sources = evaluating.sources;
    let place = match job {
        Job::Root { root, .. } => root.directory.clone(),
        Job::Plan { file } | Job::Snapshot { file } => sources.file(*file).path.clone(),
        Job::Documents { place, .. } => place.clone(),
        Job::Kubernetes { root } => root.directory().clone(),
        Job::Template { root } => root.path.clone(),
    };
    let attempt = catch_unwind(AssertUnwindSafe(|| {
        let start = Instant::now();
        let (mut evaluation, only) = match job {
            Job::Root { root, inputs } => {
                let evaluation = evaluating.project.evaluate(root, inputs, evaluating.tree);
                (
                    Evaluation { resources: evaluation.resources, diagnostics: evaluation.diagnostics, ..Evaluation::default() },
                    evaluating.only,
                )
            }
            Job::Documents { dialect, files, .. } => {
                let files: Vec<_> = files.iter().map(|&file| (file, sources.file(file))).collect();
                (dialects::evaluate(*dialect, &files, evaluating.tree), evaluating.only)
            }
            Job::Kubernetes { root } => (evaluating.kubernetes.evaluate(root, sources), evaluating.only),
            Job::Template { root } => (evaluating.templates.evaluate(root, sources), evaluating.only),
            Job::Plan { file } => match terraform::plan::read(*file, &sources.file(*file).text) {
                Ok(mut evaluation) => {
                    if let Some(code) = evaluating.code {
                        evaluation.resources.iter_mut().for_each(|resource| code.place(resource));
                    }
                    // A plan is asked for as a whole.
                    (Evaluation { resources: evaluation.resources, diagnostics: evaluation.diagnostics, ..Evaluation::default() }, None)
                }
                Err(diagnostic) => return Judged { diagnostics: vec![diagnostic], ..Judged::default() },
            },
            // As is a snapshot.
            Job::Snapshot { file } => match live::read(*file, &sources.file(*file).text) {
                Ok(evaluation) => (evaluation, None),
                Err(diagnostic) => return Judged { diagnostics: vec![diagnostic], ..Judged::default() },
            },
        };
        let graph = evaluation.graph();
        add_since(&evaluating.spent.evaluating, start);
        let start = Instant::now();
        let wanted = |site: Site| only.is_none_or(|only| only.includes(&sources.file(site.file).path));
        let mut judged = judging.judge(&graph, &place, &wanted);
        judged.diagnostics.extend(evaluation.diagnostics);
        add_since(&evaluating.spent.rules, start);
        judged
    }));
    attempt.unwrap_or_else(|_| {
        let diagnostic = Diagnostic::unread("internal-error", &*place, "an error in Keyblind itself: nothing in here was judged")
            .with_help("please report it, with the configuration if you can share it");
        Judged { diagnostics: vec![diagnostic], ..Judged::default() }
    })
}

/// Puts diagnostics in the order of their places, each once, and counts what they cost.
fn settle(diagnostics: Vec<Diagnostic>, sources: &SourceMap, summary: &mut Summary) -> Vec<Diagnostic> {
    let clean = |diagnostic: Diagnostic| Diagnostic { message: redact::urls(&diagnostic.message).into_owned(), ..diagnostic };
    let mut once: Vec<Diagnostic> = diagnostics.into_iter().map(clean).collect::<BTreeSet<_>>().into_iter().collect();
    once.sort_by_cached_key(|diagnostic| {
        let path =
            diagnostic.site.map_or_else(|| diagnostic.path.clone().unwrap_or_default(), |site| sources.file(site.file).path.to_string());
        (path, diagnostic.site.map_or(0, |site| site.range.start))
    });
    for diagnostic in &once {
        summary.incomplete |= diagnostic.level == Level::Incomplete;
        if diagnostic.code == "module-not-installed" {
            // The message ends with the module's source in parentheses.
            let source = diagnostic.message.rsplit_once(" (").map_or(&*diagnostic.message, |(_, source)| source.trim_end_matches(')'));
            *summary.missing_modules.entry(source.to_owned()).or_default() += 1;
        }
    }
    once
}
