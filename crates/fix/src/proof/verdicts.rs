//! Checks on what the text evaluates to, and on the verdicts about it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use keyblind_resource::{Data, Dialect, Resource, Unknown, Value};
use keyblind_rules::{Judge, NoSuggestions, RuleId, RuleTable, Selection, Verdict};
use keyblind_scan::Trial;
use keyblind_syntax::Level;

use super::dockerfile::{Plan, Source};
use super::{About, Check, Claim, Disproof, Pair, Stated};
use crate::demands;

/// The deepest values that are compared.
pub(super) const MAX_DEPTH: usize = 100;

/// A resource by its address; repeated declarations by their number.
type Name<'r> = (&'r str, usize);

fn by_name(trial: &Trial) -> BTreeMap<Name<'_>, usize> {
    let mut found: BTreeMap<Name<'_>, usize> = BTreeMap::new();
    let mut numbers: HashMap<&str, usize> = HashMap::new();
    for (id, resource) in trial.graph.resources.iter().enumerate() {
        let number = numbers.entry(&resource.address).or_default();
        found.insert((&resource.address, *number), id);
        *number += 1;
    }
    found
}

/// The resources of both states, one name for what is the same.
struct Names<'p> {
    before: BTreeMap<Name<'p>, usize>,
    after: BTreeMap<Name<'p>, usize>,
    /// How instructions correspond, in a Dockerfile: they are numbered, so that their addresses move.
    plan: Option<Plan>,
}

impl<'p> Names<'p> {
    fn of(pair: &'p Pair<'_>, stated: &[Stated]) -> Self {
        let before = by_name(pair.before);
        if pair.before.dialect != Dialect::Dockerfile {
            return Self { before, after: by_name(pair.after), plan: None };
        }
        let plan = Plan::of(pair.root, stated);
        let old_names: BTreeMap<usize, Name<'p>> = before.iter().map(|(name, id)| (*id, *name)).collect();
        let resources = &pair.after.graph.resources;
        let mut after = BTreeMap::new();
        let mut added = Vec::new();
        let (files, instructions): (Vec<usize>, Vec<usize>) = (0..resources.len()).partition(|&id| is_file(&resources[id]));
        let old_file = pair.before.graph.resources.iter().position(is_file);
        let old: Vec<usize> = (0..pair.before.graph.resources.len()).filter(|&id| !is_file(&pair.before.graph.resources[id])).collect();
        if let (Some(&file), Some(name)) = (files.first(), old_file.and_then(|id| old_names.get(&id))) {
            after.insert(*name, file);
        }
        for (id, source) in instructions.iter().zip(plan.sources(instructions.len())) {
            let known = if let Source::Old(number) = source { old.get(number).and_then(|id| old_names.get(id)) } else { None };
            match known {
                Some(name) => _ = after.insert(*name, *id),
                None => added.push(*id),
            }
        }
        for id in added {
            let address: &str = &resources[id].address;
            // A number that nothing has, so that it is another name than any before.
            let number = (0..).find(|number| !after.contains_key(&(address, *number)) && !before.contains_key(&(address, *number)));
            after.insert((address, number.unwrap_or_default()), id);
        }
        Self { before, after, plan: Some(plan) }
    }

    /// The number of an instruction of the old text.
    fn number(&self, pair: &Pair<'_>, id: usize) -> usize {
        pair.before.graph.resources[..id].iter().filter(|resource| !is_file(resource)).count()
    }
}

/// Whether a resource of a Dockerfile is the file as a whole.
fn is_file(resource: &Resource) -> bool {
    &*resource.type_key == "dockerfile"
}

fn declares(stated: &Stated, resource: &Resource, trial: &Trial) -> bool {
    *stated.type_key == *resource.type_key
        && *stated.name == *resource.name
        && *stated.file == *trial.sources.file(resource.header.file).path
}

/// Nothing goes, and nothing comes but what is stated.
pub(super) fn check_resources(pair: &Pair<'_>, stated: &[Stated]) -> Result<(), Disproof> {
    let names = Names::of(pair, stated);
    let is_stated = |id: &usize| names.plan.as_ref().is_some_and(|plan| plan.is_stated(names.number(pair, *id)));
    if let Some(((address, _), _)) = names.before.iter().find(|(name, id)| !names.after.contains_key(*name) && !is_stated(id)) {
        return Err(Disproof::new(Check::ResourcesKept, format!("`{address}` is gone")));
    }
    for (name, &id) in names.after.iter().filter(|(name, _)| !names.before.contains_key(*name)) {
        let resource = &pair.after.graph.resources[id];
        // What isn't stated of a Dockerfile's instructions, the check of its text has found.
        if names.plan.is_none() && !stated.iter().any(|stated| stated.path.is_empty() && declares(stated, resource, pair.after)) {
            return Err(Disproof::new(Check::ResourcesKept, format!("`{}` is new", name.0)));
        }
    }
    let incomplete = |trial: &Trial| {
        let of_level = trial.diagnostics.iter().filter(|diagnostic| diagnostic.level == Level::Incomplete);
        of_level.map(|diagnostic| (diagnostic.code, diagnostic.message.clone())).collect::<BTreeSet<_>>()
    };
    if let Some((_, message)) = incomplete(pair.after).difference(&incomplete(pair.before)).next() {
        return Err(Disproof::new(Check::Parses, message.clone()));
    }
    Ok(())
}

/// No value is different but those that are stated.
pub(super) fn check_values(pair: &Pair<'_>, stated: &[Stated]) -> Result<(), Disproof> {
    let names = Names::of(pair, stated);
    for (name, &id) in &names.before {
        let (Some(&other), old) = (names.after.get(name), &pair.before.graph.resources[id]) else { continue };
        let new = &pair.after.graph.resources[other];
        if let Some(plan) = &names.plan {
            check_instruction(&names, plan, pair, (id, old), new)?;
            continue;
        }
        if old.type_key != new.type_key {
            return Err(Disproof::new(Check::ValuesKept, format!("`{}` is of another type", name.0)));
        }
        for path in differing(&old.body, &new.body) {
            if !stated.iter().any(|stated| stated.path == path && declares(stated, new, pair.after)) {
                return Err(Disproof::new(Check::ValuesKept, format!("`{}` of `{}` is different", path, name.0)));
            }
        }
    }
    Ok(())
}

/// An instruction that isn't stated says what it said before; what follows from where it stands may be different.
fn check_instruction(
    names: &Names<'_>,
    plan: &Plan,
    pair: &Pair<'_>,
    (id, old): (usize, &Resource),
    new: &Resource,
) -> Result<(), Disproof> {
    // The file as a whole is what its instructions are.
    if is_file(old) || plan.is_stated(names.number(pair, id)) {
        return Ok(());
    }
    let resources = &pair.before.graph.resources;
    let changes_stages = (0..resources.len()).any(|id| &*resources[id].type_key == "FROM" && plan.is_stated(names.number(pair, id)));
    let follows = |path: &str| matches!(path, "is_effective" | "is_repeated" | "repeats_name") || path == "stage" && changes_stages;
    match differing(&old.body, &new.body).into_iter().find(|path| !follows(path)) {
        Some(path) => Err(Disproof::new(Check::ValuesKept, format!("`{path}` of `{}` is different", old.address))),
        None => Ok(()),
    }
}

/// No provider has anything to demand that it didn't before.
pub(super) fn check_arguments(pair: &Pair<'_>) -> Result<(), Disproof> {
    if pair.after.dialect != Dialect::Terraform {
        return Ok(());
    }
    let before = by_name(pair.before);
    for (name, id) in by_name(pair.after) {
        let new = &pair.after.graph.resources[id];
        let old = before.get(&name).map(|&id| &pair.before.graph.resources[id]);
        if old.is_some_and(|old| differing(&old.body, &new.body).is_empty()) {
            continue;
        }
        let mut known = old.map(|old| demands::unmet(&old.type_key, &old.body)).unwrap_or_default();
        for demand in demands::unmet(&new.type_key, &new.body) {
            match known.iter().position(|known| *known == demand) {
                Some(at) => drop(known.swap_remove(at)),
                None => return Err(Disproof::new(Check::ArgumentsComplete, format!("`{}`: {demand}", name.0))),
            }
        }
    }
    Ok(())
}

/// The names of a body whose values differ.
pub(crate) fn differing(old: &Value, new: &Value) -> BTreeSet<String> {
    let (Some(a), Some(b)) = (old.as_mapping(), new.as_mapping()) else {
        return if same(old, new, MAX_DEPTH) { BTreeSet::new() } else { BTreeSet::from([String::new()]) };
    };
    let null = Value::null();
    let names = a.iter().map(|(name, _)| name).chain(b.iter().map(|(name, _)| name));
    names.filter(|name| !same(a.get(name).unwrap_or(&null), b.get(name).unwrap_or(&null), MAX_DEPTH)).map(ToString::to_string).collect()
}

/// Whether two values are the same, also in what is known of what isn't known. What lies too deep counts as different.
pub(super) fn same(a: &Value, b: &Value, depth: usize) -> bool {
    let Some(depth) = depth.checked_sub(1) else { return false };
    if a.sensitive != b.sensitive {
        return false;
    }
    match (&a.data, &b.data) {
        (Data::Unknown(a), Data::Unknown(b)) => same_unknown(a, b, depth),
        (Data::Unknown(_), _) | (_, Data::Unknown(_)) => false,
        _ => match (a.as_items(), b.as_items(), a.as_mapping(), b.as_mapping()) {
            (Some(a), Some(b), ..) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b, depth)),
            (None, None, Some(a), Some(b)) => {
                a.len() == b.len() && a.iter().zip(b.iter()).all(|((name, a), (other, b))| name == other && same(a, b, depth))
            }
            (None, None, None, None) => a == b,
            _ => false,
        },
    }
}

fn same_unknown(a: &Unknown, b: &Unknown, depth: usize) -> bool {
    let all = |a: &[Value], b: &[Value]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b, depth));
    a.reason == b.reason
        && a.references == b.references
        && a.fragments == b.fragments
        && a.nullable == b.nullable
        && all(&a.candidates, &b.candidates)
        && match (&a.document, &b.document) {
            (Some(a), Some(b)) => same(a, b, depth),
            (None, None) => true,
            _ => false,
        }
}

/// The rule passes the resource wherever it is judged.
pub(super) fn check_fault(table: &RuleTable, rule: RuleId, claim: &Claim, stated: &[Stated], pairs: &[Pair<'_>]) -> Result<(), Disproof> {
    let wrong = |detail: String| Err(Disproof::new(Check::FaultGone, detail));
    if *table.meta(rule).id != *claim.rule {
        return wrong("the claim is about another rule".to_owned());
    }
    let mut failed_before = false;
    let mut origins: BTreeSet<(&str, u32)> = BTreeSet::new();
    for pair in pairs.iter().filter(|pair| pair.root == claim.root) {
        let names = Names::of(pair, stated);
        let of_claim = |trial: &Trial, names: &BTreeMap<Name<'_>, usize>| {
            let ids: Vec<usize> = names.iter().filter(|((address, _), _)| *address == claim.address).map(|(_, id)| *id).collect();
            let about = trial.judgements.iter().filter(|judgement| judgement.rule == rule);
            about.filter(|judgement| ids.contains(&judgement.resource)).cloned().collect::<Vec<_>>()
        };
        let (before, after) = (of_claim(pair.before, &names.before), of_claim(pair.after, &names.after));
        let failed = before.iter().any(|judgement| matches!(judgement.verdict, Verdict::Fail(_)));
        failed_before |= failed;
        let failing = before.iter().filter(|judgement| matches!(judgement.verdict, Verdict::Fail(_)));
        origins.extend(failing.map(|judgement| origin(pair.before, judgement.resource)));
        // An instruction that is gone, or another now, or of which something else took the place, has no fault any more; that
        // the others have none either, the check of findings tells.
        let is_settled = |verdict: &Verdict| match verdict {
            Verdict::Pass => true,
            Verdict::NotApplicable => names.plan.is_some(),
            _ => false,
        };
        let all_pass = (names.plan.is_some() || !after.is_empty()) && after.iter().all(|judgement| is_settled(&judgement.verdict));
        if failed && !all_pass {
            let detail = format!("`{}` doesn't pass `{}`", claim.address, claim.rule);
            let address =
                after.first().map_or(claim.address.clone(), |judgement| pair.after.graph.resources[judgement.resource].address.to_string());
            return Err(Disproof {
                about: Some(About { rule, root: pair.root.to_owned(), address }),
                ..Disproof::new(Check::FaultGone, detail)
            });
        }
    }
    for pair in pairs.iter().filter(|pair| pair.root != claim.root) {
        check_elsewhere(rule, claim, stated, pair, &origins)?;
    }
    if failed_before { Ok(()) } else { wrong(format!("`{}` didn't fail `{}` before", claim.address, claim.rule)) }
}

/// Where the head of a resource is written.
fn origin(trial: &Trial, resource: usize) -> (&str, u32) {
    let header = trial.graph.resources[resource].header;
    (&trial.sources.file(header.file).path, header.range.start)
}

/// What a rule says of a resource.
fn verdict(trial: &Trial, resource: usize, rule: RuleId) -> Option<&Verdict> {
    let at = trial.judgements.binary_search_by_key(&(resource, rule), |judgement| (judgement.resource, judgement.rule)).ok()?;
    Some(&trial.judgements[at].verdict)
}

/// What is written at one place several root modules or kustomizations may lead to, and each may say more about it (give the image
/// another version). It is one finding, so it is gone when it is in all of them that the change reaches.
fn check_elsewhere(
    rule: RuleId,
    claim: &Claim,
    stated: &[Stated],
    pair: &Pair<'_>,
    origins: &BTreeSet<(&str, u32)>,
) -> Result<(), Disproof> {
    let names = Names::of(pair, stated);
    let of_claim = names.before.iter().filter(|((address, _), _)| *address == claim.address);
    for (name, &id) in of_claim.filter(|(_, id)| origins.contains(&origin(pair.before, **id))) {
        let failed = matches!(verdict(pair.before, id, rule), Some(Verdict::Fail(_)));
        let now = names.after.get(name).and_then(|&id| verdict(pair.after, id, rule));
        if failed && !matches!(now, Some(Verdict::Pass)) {
            let detail = format!("`{}` doesn't pass `{}` in `{}`", claim.address, claim.rule, pair.root);
            let about = About { rule, root: pair.root.to_owned(), address: claim.address.clone() };
            return Err(Disproof { about: Some(about), ..Disproof::new(Check::FaultGone, detail) });
        }
    }
    Ok(())
}

/// What a verdict counts as, and for how many reasons.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    Fine,
    Unknown,
    Failed(usize),
}

/// No rule fails what it didn't, and no more is unknown.
pub(super) fn check_findings(table: &RuleTable, pair: &Pair<'_>, stated: &[Stated]) -> Result<(), Disproof> {
    let names = Names::of(pair, stated);
    let (before, after) = (standings(pair.before, &names.before), standings(pair.after, &names.after));
    let mut unknowns = 0_isize;
    for ((name, rule), standing) in &after {
        let old = before.get(&(*name, *rule)).copied();
        match (standing, old) {
            (Standing::Failed(count), Some(Standing::Failed(known))) if *count <= known => {}
            (Standing::Failed(_), _) => {
                let detail = format!("`{}` fails `{}`", name.0, table.meta(*rule).id);
                let address = names.after.get(name).map_or(name.0, |id| &pair.after.graph.resources[*id].address);
                let about = About { rule: *rule, root: pair.root.to_owned(), address: address.to_owned() };
                return Err(Disproof { about: Some(about), ..Disproof::new(Check::NoNewFinding, detail) });
            }
            (Standing::Unknown, Some(Standing::Fine)) => {
                let detail = format!("it can't be told any more whether `{}` passes `{}`", name.0, table.meta(*rule).id);
                return Err(Disproof::new(Check::UnknownsNotGrown, detail));
            }
            // What failed and can't be told any more is no answer either.
            (Standing::Unknown, None | Some(Standing::Failed(_))) => unknowns += 1,
            _ => {}
        }
    }
    unknowns -=
        before.iter().filter(|(key, standing)| **standing == Standing::Unknown && after.get(*key) != Some(&Standing::Unknown)).count()
            as isize;
    if unknowns > 0 {
        return Err(Disproof::new(Check::UnknownsNotGrown, format!("{unknowns} more verdicts are unknown")));
    }
    Ok(())
}

fn standings<'p>(trial: &Trial, names: &BTreeMap<Name<'p>, usize>) -> BTreeMap<(Name<'p>, RuleId), Standing> {
    let names: BTreeMap<usize, Name<'p>> = names.iter().map(|(name, id)| (*id, *name)).collect();
    let standing = |verdict: &Verdict| match verdict {
        Verdict::Pass | Verdict::NotApplicable => Standing::Fine,
        Verdict::Unknown(_) => Standing::Unknown,
        Verdict::Fail(failure) => Standing::Failed(failure.evidence.len()),
    };
    trial.judgements.iter().map(|judgement| ((names[&judgement.resource], judgement.rule), standing(&judgement.verdict))).collect()
}

/// Nothing more is wished for.
pub(super) fn check_idempotent(table: &RuleTable, rule: RuleId, claim: &Claim, stated: &[Stated], pair: &Pair<'_>) -> Result<(), Disproof> {
    let names = Names::of(pair, stated);
    let selection = Selection::all(table);
    let judge = Judge::new(table, &selection, &pair.after.graph);
    let of_claim = names.after.iter().filter(|((address, _), _)| *address == claim.address);
    for (_, &id) in of_claim {
        if judge.pair(id, rule).is_some_and(|verdict| matches!(verdict, Verdict::Fail(_)))
            || !judge.remedies(id, rule, &NoSuggestions).is_empty()
        {
            return Err(Disproof::new(Check::Idempotent, "to fix it again would change it again".to_owned()));
        }
    }
    Ok(())
}
