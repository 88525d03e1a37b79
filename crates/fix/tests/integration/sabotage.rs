//! Changes that mend the fault and do something else as well: none is proven, and the clean fix is.

mod dockerfiles;
mod generated;
mod manifests;
mod templates;
mod terraform;
mod workflows;

use keyblind_fix::proof::Check;

use crate::bench::Bench;

/// What is done beside, what it replaces in the fixed text by what, and the check that is to catch it.
type Class = (&'static str, &'static [(&'static str, &'static str)], Check);

/// Shows the fixed text as it is, and with each of the classes, to the checks.
#[track_caller]
fn none_is_proven(bench: &Bench<'_>, classes: &[Class]) {
    let clean = bench.judge(bench.fixed()).unwrap();
    assert_eq!(clean.checks.len(), Check::ALL.len());
    assert!(classes.len() >= 20, "only {} classes", classes.len());
    for (what, replaced, check) in classes {
        let text = replaced.iter().fold(bench.fixed().to_owned(), |text, (from, to)| {
            assert!(text.contains(from), "{what}: no `{from}`");
            text.replacen(from, to, 1)
        });
        assert_ne!(text, bench.fixed(), "{what}");
        let disproof = bench.judge(&text).expect_err(what);
        assert_eq!(disproof.check, *check, "{what}: {disproof:?}");
        assert!(bench.propose(&text).is_err(), "{what}: proposed by somebody, it is proven");
    }
}
