//! Checks on what the text evaluates to, and on the verdicts about it.

use std::collections::{BTreeMap, BTreeSet};

use keyblind_resource::{Data, Resource, Unknown, Value};
use keyblind_rules::{Judge, NoSuggestions, RuleId, RuleTable, Selection, Verdict};
use keyblind_scan::Trial;
use keyblind_syntax::Level;

use super::{Check, Claim, Disproof, Pair, Stated};

/// The deepest values that are compared.
const MAX_DEPTH: usize = 100;

/// A resource by its address; repeated declarations by their number.
type Name<'r> = (&'r str, usize);

fn by_name(trial: &Trial) -> BTreeMap<Name<'_>, usize> {
    let mut found: BTreeMap<Name<'_>, usize> = BTreeMap::new();
    for (id, resource) in trial.graph.resources.iter().enumerate() {
        let number = (0..).find(|number| !found.contains_key(&(&*resource.address, *number))).unwrap_or_default();
        found.insert((&resource.address, number), id);
    }
    found
}

fn declares(stated: &Stated, resource: &Resource, trial: &Trial) -> bool {
    *stated.type_key == *resource.type_key
        && *stated.name == *resource.name
        && *stated.file == *trial.sources.file(resource.header.file).path
}

/// Nothing goes, and nothing comes but what is stated.
pub(super) fn check_resources(pair: &Pair<'_>, stated: &[Stated]) -> Result<(), Disproof> {
    let (before, after) = (by_name(pair.before), by_name(pair.after));
    if let Some((address, _)) = before.keys().find(|name| !after.contains_key(*name)) {
        return Err(Disproof::new(Check::ResourcesKept, format!("`{address}` is gone")));
    }
    for (name, &id) in after.iter().filter(|(name, _)| !before.contains_key(*name)) {
        let resource = &pair.after.graph.resources[id];
        if !stated.iter().any(|stated| stated.path.is_empty() && declares(stated, resource, pair.after)) {
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
    let after = by_name(pair.after);
    for (name, id) in by_name(pair.before) {
        let (Some(&other), old) = (after.get(&name), &pair.before.graph.resources[id]) else { continue };
        let new = &pair.after.graph.resources[other];
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

/// The names of a body whose values differ.
fn differing(old: &Value, new: &Value) -> BTreeSet<String> {
    let (Some(a), Some(b)) = (old.as_mapping(), new.as_mapping()) else {
        return if same(old, new, MAX_DEPTH) { BTreeSet::new() } else { BTreeSet::from([String::new()]) };
    };
    let null = Value::null();
    let names = a.iter().map(|(name, _)| name).chain(b.iter().map(|(name, _)| name));
    names.filter(|name| !same(a.get(name).unwrap_or(&null), b.get(name).unwrap_or(&null), MAX_DEPTH)).map(ToString::to_string).collect()
}

/// Whether two values are the same, also in what is known of what isn't known. What lies too deep counts as different.
fn same(a: &Value, b: &Value, depth: usize) -> bool {
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
pub(super) fn check_fault(table: &RuleTable, rule: RuleId, claim: &Claim, pairs: &[Pair<'_>]) -> Result<(), Disproof> {
    let wrong = |detail: String| Err(Disproof::new(Check::FaultGone, detail));
    if *table.meta(rule).id != *claim.rule {
        return wrong("the claim is about another rule".to_owned());
    }
    let mut failed_before = false;
    for pair in pairs.iter().filter(|pair| pair.root == claim.root) {
        let of_claim = |trial: &Trial| {
            let about = trial.judgements.iter().filter(|judgement| judgement.rule == rule);
            about.filter(|judgement| *trial.graph.resources[judgement.resource].address == *claim.address).cloned().collect::<Vec<_>>()
        };
        let (before, after) = (of_claim(pair.before), of_claim(pair.after));
        let failed = before.iter().any(|judgement| matches!(judgement.verdict, Verdict::Fail(_)));
        failed_before |= failed;
        let all_pass = !after.is_empty() && after.iter().all(|judgement| matches!(judgement.verdict, Verdict::Pass));
        if failed && !all_pass {
            let detail = format!("`{}` doesn't pass `{}`", claim.address, claim.rule);
            return Err(Disproof { about: Some((rule, claim.address.clone())), ..Disproof::new(Check::FaultGone, detail) });
        }
    }
    if failed_before { Ok(()) } else { wrong(format!("`{}` didn't fail `{}` before", claim.address, claim.rule)) }
}

/// What a verdict counts as, and for how many reasons.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    Fine,
    Unknown,
    Failed(usize),
}

/// No rule fails what it didn't, and no more is unknown.
pub(super) fn check_findings(table: &RuleTable, pair: &Pair<'_>) -> Result<(), Disproof> {
    let (before, after) = (standings(pair.before), standings(pair.after));
    let mut unknowns = 0_isize;
    for ((name, rule), standing) in &after {
        let old = before.get(&(*name, *rule)).copied();
        match (standing, old) {
            (Standing::Failed(count), Some(Standing::Failed(known))) if *count <= known => {}
            (Standing::Failed(_), _) => {
                let detail = format!("`{}` fails `{}`", name.0, table.meta(*rule).id);
                return Err(Disproof { about: Some((*rule, name.0.to_owned())), ..Disproof::new(Check::NoNewFinding, detail) });
            }
            (Standing::Unknown, Some(Standing::Fine)) => {
                let detail = format!("it can't be told any more whether `{}` passes `{}`", name.0, table.meta(*rule).id);
                return Err(Disproof::new(Check::UnknownsNotGrown, detail));
            }
            (Standing::Unknown, None) => unknowns += 1,
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

fn standings(trial: &Trial) -> BTreeMap<(Name<'_>, RuleId), Standing> {
    let names: BTreeMap<usize, Name<'_>> = by_name(trial).into_iter().map(|(name, id)| (id, name)).collect();
    let standing = |verdict: &Verdict| match verdict {
        Verdict::Pass | Verdict::NotApplicable => Standing::Fine,
        Verdict::Unknown(_) => Standing::Unknown,
        Verdict::Fail(failure) => Standing::Failed(failure.evidence.len()),
    };
    trial.judgements.iter().map(|judgement| ((names[&judgement.resource], judgement.rule), standing(&judgement.verdict))).collect()
}

/// Nothing more is wished for.
pub(super) fn check_idempotent(table: &RuleTable, rule: RuleId, claim: &Claim, pair: &Pair<'_>) -> Result<(), Disproof> {
    let selection = Selection::all(table);
    let judge = Judge::new(table, &selection, &pair.after.graph);
    let of_claim = pair.after.graph.resources.iter().enumerate().filter(|(_, resource)| *resource.address == *claim.address);
    for (id, _) in of_claim {
        if judge.pair(id, rule).is_some_and(|verdict| matches!(verdict, Verdict::Fail(_)))
            || !judge.remedies(id, rule, &NoSuggestions).is_empty()
        {
            return Err(Disproof::new(Check::Idempotent, "to fix it again would change it again".to_owned()));
        }
    }
    Ok(())
}
