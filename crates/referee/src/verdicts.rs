//! What a scan says before and after.

use std::collections::{BTreeMap, BTreeSet};

use crate::Invariant;
use crate::dockerfile::{Moved, Moves};
use crate::output::{Claim, Outcome, Report};

/// How often a rule gave which verdict on a resource, and for how many reasons it fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    failed: usize,
    reasons: usize,
    passed: usize,
    unknown: usize,
    suppressed: usize,
}

type Key<'r> = (&'r str, &'r str, &'r str);

/// The verdicts of a report, each under the name that the resource had before.
fn counts<'r>(report: &'r Report, names: &Names<'r>) -> BTreeMap<Key<'r>, Count> {
    let mut counts: BTreeMap<Key<'_>, Count> = BTreeMap::new();
    for result in &report.results {
        let address = names.before(&result.root, &result.address);
        let count = counts.entry((&result.root, address, &result.rule)).or_default();
        match result.status.as_str() {
            "failed" => {
                count.failed += 1;
                count.reasons += result.evidence.len().max(1);
            }
            "passed" => count.passed += 1,
            "suppressed" => count.suppressed += 1,
            _ => count.unknown += 1,
        }
    }
    counts
}

/// Names of instructions that have a number in them, which may be another one after a step.
#[derive(Default)]
struct Names<'m> {
    /// By root and the address after: the address before.
    moved: BTreeMap<(&'m str, &'m str), &'m str>,
    /// Roots with addresses that others had before.
    roots: BTreeSet<&'m str>,
}

/// What no instruction was called before.
const NEW: &str = "(new)";

impl<'m> Names<'m> {
    fn of(moves: &'m Moves) -> Self {
        let pairs = |(path, moved): (&'m String, &'m Moved)| {
            let kept = moved.addresses.iter().filter_map(|(old, new)| Some((new.as_deref()?, old.as_str())));
            kept.map(|(new, old)| ((path.as_str(), new), old)).collect::<Vec<_>>()
        };
        Self { moved: moves.iter().flat_map(pairs).collect(), roots: moves.keys().map(String::as_str).collect() }
    }

    fn before(&self, root: &'m str, address: &'m str) -> &'m str {
        match self.moved.get(&(root, address)) {
            Some(old) => old,
            // The file as a whole is called the same always.
            None if self.roots.contains(root) && address != "dockerfile" => NEW,
            None => address,
        }
    }
}

/// The claim as it would have been made before what moved its instruction, if that was there.
pub(crate) fn before(moves: &Moves, claim: &Claim) -> Option<Claim> {
    let names = Names::of(moves);
    let address = Some(names.before(&claim.root, &claim.address)).filter(|name| *name != NEW)?;
    Some(Claim { address: address.to_owned(), ..claim.clone() })
}

/// What speaks against a step, with what it is about.
pub(crate) fn compare(before: &Report, after: &Report, claims: &[&Claim], moves: &Moves) -> Vec<(Invariant, String)> {
    let mut faults = Vec::new();
    let mut wrong = |invariant: Invariant, detail: String| faults.push((invariant, detail));
    let (old, new) = (counts(before, &Names::default()), counts(after, &Names::of(moves)));
    for claim in claims {
        let count = new.get(&(&*claim.root, &*claim.address, &*claim.rule)).copied().unwrap_or_default();
        if count == Count::default() && moves.contains_key(&claim.root) {
            // The instruction is gone, or one that the rule doesn't speak of.
            continue;
        }
        if count == Count::default() && passes_in_dockerfile(before, after, claim) {
            continue;
        }
        if count.passed == 0 || count.failed + count.unknown + count.suppressed > 0 {
            wrong(Invariant::FaultGone, format!("`{}` {}: {count:?}", claim.address, claim.rule));
        }
    }
    let (old_blocks, homes, mut shown_elsewhere) = (blocks(before), Homes::of(after), BTreeSet::new());
    for result in after.results.iter().filter(|result| result.status == "failed") {
        let is_known = |block| old_blocks.get(&block).is_some_and(|reasons| *reasons >= result.evidence.len().max(1));
        if homes.blocks(result).into_iter().any(is_known) {
            shown_elsewhere.insert((&*result.root, &*result.address, &*result.rule));
        }
    }
    for (key @ (root, address, rule), count) in &new {
        let known = old.get(key).copied().unwrap_or_default();
        let shown = || format!("`{address}` of `{root}`: {rule}");
        // A block that several roots reach is reported with one of them; without that one's finding another's is seen.
        let was_shown = known == Count::default() && shown_elsewhere.contains(key);
        if !was_shown && (count.failed > known.failed || count.reasons > known.reasons) {
            wrong(Invariant::NoNewFinding, format!("{} fails {} times rather than {}", shown(), count.reasons, known.reasons));
        }
        if count.unknown > known.unknown && known.passed > count.passed {
            wrong(Invariant::UnknownsNotGrown, format!("{} can't be told any more", shown()));
        }
        if count.suppressed > known.suppressed {
            wrong(Invariant::NotSuppressed, format!("{} is suppressed", shown()));
        }
    }
    let (unknown, known) = (after.summary.unknown, before.summary.unknown);
    if unknown > known {
        wrong(Invariant::UnknownsNotGrown, format!("{unknown} verdicts are unknown rather than {known}"));
    }
    if after.summary.suppressed > before.summary.suppressed {
        wrong(
            Invariant::NotSuppressed,
            format!("{} verdicts are suppressed rather than {}", after.summary.suppressed, before.summary.suppressed),
        );
    }
    let there: BTreeSet<(&str, &str)> = after.results.iter().map(|result| (&*result.file, &*result.address)).collect();
    for (root, address) in addresses(before).difference(&addresses(after)) {
        let mut of_address = before.results.iter().filter(|result| (&*result.root, &*result.address) == (*root, *address));
        // What passes now may be reported with another root that reaches it; how many there are is counted below.
        if !of_address.any(|result| there.contains(&(&*result.file, &*result.address))) {
            wrong(Invariant::ResourcesKept, format!("`{address}` of `{root}` is gone"));
        }
    }
    // Instructions are resources; that only stated ones go, the comparison of the texts has found.
    let fewer = moves.values().map(|moved| moved.fewer).sum::<isize>().max(0) as usize;
    if after.summary.resources + fewer < before.summary.resources || after.summary.roots < before.summary.roots {
        let detail = format!(
            "{} resources rather than {}, of which {fewer} are instructions that were taken out; {} roots rather than {}",
            after.summary.resources, before.summary.resources, after.summary.roots, before.summary.roots
        );
        wrong(Invariant::ResourcesKept, detail);
    }
    if after.summary.incomplete && !before.summary.incomplete {
        wrong(Invariant::Parses, "not everything can be read any more".to_owned());
    }
    faults
}

/// Whether a rule that failed a Dockerfile as a whole passes it now, and fails nothing in it more often: what was missing is told of the
/// instruction that came.
fn passes_in_dockerfile(before: &Report, after: &Report, claim: &Claim) -> bool {
    if claim.address != "dockerfile" {
        return false;
    }
    let count = |report: &Report, status: &str| {
        let is_it = |result: &&Outcome| result.dialect == "dockerfile" && result.root == claim.root && result.rule == claim.rule;
        report.results.iter().filter(is_it).filter(|result| result.status == status).count()
    };
    count(after, "passed") > count(before, "passed") && count(after, "failed") < count(before, "failed")
}

/// Whether a report says nothing of what a claim is about. A block that several roots reach is reported with one of them, so that
/// its root has to be scanned by itself.
pub(crate) fn is_silent(report: &Report, claim: &Claim) -> bool {
    !report.results.iter().any(|result| result.root == claim.root && result.rule == claim.rule && result.address == claim.address)
}

/// Whether a report on the root of a claim alone says that it holds.
pub(crate) fn holds(report: &Report, claim: &Claim) -> bool {
    let is_it = |result: &&Outcome| result.root == claim.root && result.rule == claim.rule && result.address == claim.address;
    let mut found = report.results.iter().filter(is_it).peekable();
    found.peek().is_some() && found.all(|result| result.status == "passed")
}

/// The files in which the resources of a report are declared, by root and address. What fails is shown where the fault is, which may be
/// a patch or a variable's value; what passes is shown at its declaration.
struct Homes<'r>(BTreeMap<(&'r str, &'r str), BTreeSet<&'r str>>);

impl<'r> Homes<'r> {
    fn of(report: &'r Report) -> Self {
        let mut homes: BTreeMap<_, BTreeSet<&str>> = BTreeMap::new();
        for result in report.results.iter().filter(|result| result.status == "passed") {
            homes.entry((&*result.root, &*result.address)).or_default().insert(&result.file);
        }
        Self(homes)
    }

    /// What a rule says about a declaration at an address: of several roots that lead there a report shows one. Objects of one address
    /// in folders of their own are several, and an object of several kustomizations is one.
    fn blocks(&self, result: &'r Outcome) -> Vec<(&'r str, &'r str, &'r str)> {
        let files = self.0.get(&(&*result.root, &*result.address)).cloned().unwrap_or_else(|| BTreeSet::from([&*result.file]));
        files.into_iter().map(|file| (file, &*result.rule, &*result.address)).collect()
    }
}

/// For the most how many reasons a rule fails a block.
fn blocks(report: &Report) -> BTreeMap<(&str, &str, &str), usize> {
    let (homes, mut blocks) = (Homes::of(report), BTreeMap::new());
    for result in report.results.iter().filter(|result| result.status == "failed") {
        for block in homes.blocks(result) {
            let most = blocks.entry(block).or_default();
            *most = result.evidence.len().max(1).max(*most);
        }
    }
    blocks
}

/// The resources that are judged. Instructions of Dockerfiles aren't among them: they are named by their number.
fn addresses(report: &Report) -> BTreeSet<(&str, &str)> {
    let named = report.results.iter().filter(|result| result.dialect != "dockerfile");
    named.map(|result| (&*result.root, &*result.address)).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails loudly")]

    use super::*;

    fn report(results: &[(&str, &str, &str, &str)], resources: usize, unknown: usize) -> Report {
        let results: Vec<serde_json::Value> = results
            .iter()
            .map(|(root, address, rule, status)| {
                serde_json::json!({
                    "rule": rule, "status": status, "dialect": "terraform", "file": "m/main.tf", "address": address, "root": root,
                })
            })
            .collect();
        let summary = serde_json::json!({
            "unknown": unknown, "suppressed": 0, "resources": resources, "roots": 1, "incomplete": false,
        });
        serde_json::from_value(serde_json::json!({"summary": summary, "results": results})).unwrap()
    }

    fn found(before: &Report, after: &Report, claims: &[&Claim]) -> Vec<Invariant> {
        compare(before, after, claims, &Moves::new()).into_iter().map(|(invariant, _)| invariant).collect()
    }

    #[test]
    fn what_one_root_no_longer_shows_another_may() {
        let a = "module.m[0].t.a";
        let before = report(&[("p", a, "r", "failed"), ("p", a, "s", "passed")], 2, 0);
        let after = report(&[("p", a, "r", "passed"), ("q", a, "r", "failed"), ("q", a, "s", "passed")], 2, 0);
        let claim = Claim { rule: "r".into(), root: "p".into(), address: a.into() };
        assert_eq!(found(&before, &after, &[&claim]), []);
        // Another block, and a rule that passed there, are new.
        let other = report(&[("p", a, "r", "passed"), ("q", "module.n.t.a", "r", "failed")], 2, 0);
        assert_eq!(found(&before, &other, &[&claim]), [Invariant::NoNewFinding]);
        let worse = report(&[("p", a, "r", "passed"), ("p", a, "s", "failed")], 2, 0);
        assert_eq!(found(&before, &worse, &[&claim]), [Invariant::NoNewFinding]);
    }

    #[test]
    fn what_was_missing_in_a_dockerfile_is_told_of_the_instruction_that_came() {
        let claim = Claim { rule: "r".into(), root: "p".into(), address: "dockerfile".into() };
        let before = report(&[("p", "dockerfile", "r", "failed"), ("p", "dockerfile", "s", "passed")], 2, 0);
        let after = |status| report(&[("p", "dockerfile", "s", "passed"), ("p", "stage[0].HEALTHCHECK[0]", "r", status)], 3, 0);
        let found = |mut before: Report, mut after: Report| {
            before.results.iter_mut().chain(&mut after.results).for_each(|result| result.dialect = "dockerfile".into());
            compare(&before, &after, &[&claim], &Moves::new()).into_iter().map(|(invariant, _)| invariant).collect::<Vec<_>>()
        };
        assert_eq!(found(before.clone(), after("passed")), []);
        assert!(found(before, after("failed")).contains(&Invariant::FaultGone));
    }

    #[test]
    fn what_a_report_is_silent_of_its_root_alone_may_tell() {
        let claim = Claim { rule: "r".into(), root: "p".into(), address: "t.a".into() };
        let of_other = report(&[("q", "t.a", "r", "failed")], 1, 0);
        assert!(is_silent(&of_other, &claim) && !is_silent(&report(&[("p", "t.a", "r", "failed")], 1, 0), &claim));
        assert!(!holds(&of_other, &claim) && !holds(&report(&[], 1, 0), &claim));
        assert!(holds(&report(&[("p", "t.a", "r", "passed")], 1, 0), &claim));
        assert!(!holds(&report(&[("q", "t.a", "r", "passed")], 1, 0), &claim), "another root beneath it says nothing of it");
    }

    #[test]
    fn what_one_kustomization_no_longer_shows_another_may() {
        let a = "Deployment.n.a";
        let rendered = |root: &str, declared_in: &str| {
            let mut report = report(&[(root, a, "r", "failed"), (root, a, "s", "passed")], 1, 0);
            report.results.iter_mut().for_each(|result| result.dialect = "kubernetes".into());
            report.results[0].file = format!("{root}/patch.yaml");
            report.results[1].file = declared_in.into();
            report
        };
        // The object is one, wherever what fails of it is written.
        assert_eq!(found(&rendered("p", "base/a.yaml"), &rendered("q", "base/a.yaml"), &[]), []);
        // Another object of that address, in a folder of its own, is another finding.
        let other = found(&rendered("p", "base/a.yaml"), &rendered("q", "other/a.yaml"), &[]);
        assert_eq!(other, [Invariant::NoNewFinding, Invariant::ResourcesKept]);
    }

    #[test]
    fn what_is_gone_or_cannot_be_told_is_a_fault() {
        let before = report(&[("p", "t.a", "r", "failed"), ("p", "t.b", "r", "passed")], 2, 0);
        let claim = Claim { rule: "r".into(), root: "p".into(), address: "t.a".into() };
        assert_eq!(found(&before, &report(&[("p", "t.a", "r", "passed"), ("p", "t.b", "r", "passed")], 2, 0), &[&claim]), []);
        let gone = report(&[("p", "t.b", "r", "passed")], 1, 0);
        assert_eq!(found(&before, &gone, &[&claim]), [Invariant::FaultGone, Invariant::ResourcesKept, Invariant::ResourcesKept]);
        let untold = report(&[("p", "t.a", "r", "passed"), ("p", "t.b", "r", "unknown")], 2, 1);
        assert_eq!(found(&before, &untold, &[&claim]), [Invariant::UnknownsNotGrown, Invariant::UnknownsNotGrown]);
    }

    #[test]
    fn a_claim_about_an_instruction_that_moved_is_one_about_where_it_was() {
        let claim = |address: &str| Claim { rule: "r".into(), root: "Dockerfile".into(), address: address.into() };
        assert_eq!(before(&Moves::new(), &claim("s.ADD[1]")), Some(claim("s.ADD[1]")));
        // The first of three became a `COPY`, so that the others have the numbers of those before them.
        let names = [("s.ADD[0]", "s.COPY[0]"), ("s.ADD[1]", "s.ADD[0]"), ("s.ADD[2]", "s.ADD[1]")];
        let addresses = names.into_iter().map(|(old, new)| (old.to_owned(), Some(new.to_owned()))).collect();
        let moves = Moves::from([("Dockerfile".to_owned(), Moved { addresses, fewer: 0 })]);
        assert_eq!(before(&moves, &claim("s.ADD[1]")), Some(claim("s.ADD[2]")));
        assert_eq!(before(&moves, &claim("s.ADD[2]")), None, "nothing was called so that is called so now");
    }

    #[test]
    fn instructions_that_are_taken_out_are_counted() {
        let before = report(&[("Dockerfile", "s.RUN[0]", "r", "failed"), ("Dockerfile", "s.RUN[1]", "r", "passed")], 3, 0);
        let after = report(&[("Dockerfile", "s.RUN[0]", "r", "passed")], 2, 0);
        let claim = Claim { rule: "r".into(), root: "Dockerfile".into(), address: "s.RUN[0]".into() };
        let addresses = BTreeMap::from([("s.RUN[0]".to_owned(), None), ("s.RUN[1]".to_owned(), Some("s.RUN[0]".to_owned()))]);
        let moves = Moves::from([("Dockerfile".to_owned(), Moved { addresses, fewer: 1 })]);
        let mut dockerfiles = [before, after];
        dockerfiles.iter_mut().flat_map(|report| &mut report.results).for_each(|result| result.dialect = "dockerfile".into());
        let [before, after] = &dockerfiles;
        assert_eq!(compare(before, after, &[&claim], &moves), []);
        assert!(compare(before, after, &[&claim], &Moves::new()).iter().any(|(invariant, _)| *invariant == Invariant::ResourcesKept));
    }
}
