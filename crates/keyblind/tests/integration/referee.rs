//! Fixes before a referee that shares no code with the program: its own application of edits, other people's parsers, and a
//! new scan. `cargo xtask soak --only fixes` does the same with ten thousand.

use std::path::Path;

use keyblind_referee::{Formatter, Plan, Program, Random, Referee, copy_tree, examples};

const SEED: u64 = 1;
/// Examples of rules, with all that is found in them.
const EXAMPLES: usize = 60;
const BATCH: usize = 20;

#[test]
fn fixes_hold_before_a_referee() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let scratch = tempfile::tempdir().unwrap();
    let scratch = scratch.path().canonicalize().unwrap();
    let referee = Referee::new(Program::new(env!("CARGO_BIN_EXE_keyblind")), Formatter::find(), scratch.join("own"));
    let mut random = Random::new(SEED);
    let mut all = examples(&repository.join("rules")).unwrap();
    random.shuffle(&mut all);
    let shop = scratch.join("shop");
    copy_tree(&repository.join("examples/shop"), &shop).unwrap();
    let plan = Plan { name: "examples/shop", folder: &shop, target: "", findings: &[], scan_one_of: 8, write: true };
    let mut figures = referee.judge(&plan, &mut random);
    for (number, batch) in all[..EXAMPLES].chunks(BATCH).enumerate() {
        let folder = scratch.join(number.to_string());
        for (place, example) in batch.iter().enumerate() {
            let path = folder.join(place.to_string()).join(example.path());
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, &example.text).unwrap();
        }
        let plan = Plan { name: "examples", folder: &folder, target: "", findings: &[], scan_one_of: 8, write: number == 0 };
        figures.add(referee.judge(&plan, &mut random));
    }
    assert!(figures.total() >= 150, "only {} fixes: {figures:?}", figures.total());
    assert!(
        figures.fixes.iter().map(|fix| &fix.dialect).collect::<std::collections::BTreeSet<_>>().len() >= 3
            && figures.compared >= figures.total(),
        "{figures:?}"
    );
    assert_eq!(figures.faults, []);
}
