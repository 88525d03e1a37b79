//! Threat 38: what is kept while trees are judged is nobody's but theirs.
//!
//! One process judges many trees, one after the other at the same paths, as a server would: whatever it keeps from one of them (a decoded
//! text, an evaluated module) must not be used for the next. Each result is compared with that of a process that has seen nothing else.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may panic, and its child says what it found")]

use std::path::{Path, PathBuf};
use std::process::Command;

use globset::GlobSet;
use keyblind_dialects::terraform::Inputs;
use keyblind_rules::{RuleTable, Selection};
use keyblind_scan::{Keep, Request, Targets, scan};

/// How many trees are judged in a row.
const TREES: usize = 24;

fn table() -> RuleTable {
    RuleTable::embedded().unwrap()
}

/// What a scan comes to, in full, but for how long it took.
fn judged(table: &RuleTable, folder: &Path) -> String {
    let request = Request {
        targets: Targets::resolve(&[folder.to_owned()], None, None, None).unwrap(),
        snapshot: None,
        changed: keyblind_scan::Changed::new(),
        text: None,
        selection: Selection::all(table),
        severities: Default::default(),
        inputs: Inputs::default(),
        input_sets: Vec::new(),
        exclude: GlobSet::empty(),
        policy: None,
        baseline: None,
        is_baseline_covered: true,
        ignores: Vec::new(),
        floor: None,
        today: "2026-11-21".parse().unwrap(),
        keep: Keep { passed: true, unknown: true },
        diagnostics: Vec::new(),
    };
    let report = scan(table, request, &|_| {});
    let mut text = format!("{:?}\n", report.summary);
    for result in &report.results {
        let rule = &report.rules[result.rule].id;
        text.push_str(&format!(
            "{rule} {:?} {} {} {:?} {}\n",
            result.status, result.address, result.root, result.evidence, result.fingerprint
        ));
    }
    text
}

/// The `number`th tree, put in place of the one before: a module that two roots call, values in YAML and JSON that both read.
fn put(folder: &Path, number: usize) {
    let choose = |of: usize, from: &[&'static str]| from[(number / of + number * of) % from.len()];
    let network = |of| choose(of, &["0.0.0.0/0", "10.0.0.0/8", "::/0", "192.168.0.0/16"]);
    let rule = "resource \"aws_security_group\" \"a\" {\n  ingress {\n    from_port = var.port\n    to_port = var.port\n    protocol = \"tcp\"\n    cidr_blocks = var.blocks\n  }\n}\n";
    let module = format!("variable \"port\" {{ default = {} }}\nvariable \"blocks\" {{}}\n{rule}", choose(3, &["22", "3389", "8443"]));
    let root = "locals { shared = yamldecode(file(\"${path.module}/../shared.yaml\")) }\n\
                locals { own = jsondecode(file(\"${path.module}/own.json\")) }\n\
                module \"m\" {\n  source = \"../module\"\n  blocks = concat(local.shared.blocks, local.own)\n}\n";
    let write = |path: &str, text: &str| {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("module/main.tf", &module);
    write("shared.yaml", &format!("blocks: [\"{}\"]\n", network(1)));
    for name in ["one", "two"] {
        write(&format!("{name}/main.tf"), root);
        write(&format!("{name}/own.json"), &format!("[\"{}\"]", network(name.len() + 2 + usize::from(name == "two"))));
    }
}

#[test]
fn a_tree_that_is_judged_after_others_comes_to_what_it_comes_to_alone() {
    let folder = tempfile::tempdir().unwrap();
    let table = table();
    let mut results = Vec::new();
    for number in 0..TREES {
        put(folder.path(), number);
        let warm = judged(&table, folder.path());
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "in_a_process_that_has_seen_nothing_else", "--ignored", "--nocapture"])
            .env("KEYBLIND_TEST_TREE", folder.path())
            .output()
            .unwrap();
        let said = String::from_utf8(child.stdout).unwrap();
        let cold = said.split_once("<<").and_then(|(_, rest)| rest.rsplit_once(">>")).expect("the child's result").0;
        assert_eq!(warm, cold, "tree {number}");
        results.push(warm);
    }
    assert!(results[0].contains("Fail"), "{}", results[0]);
    // Had a result been used again for the next tree, it would have been wrong nearly each time.
    let differing = results.windows(2).filter(|pair| pair[0] != pair[1]).count();
    assert!(differing > TREES / 2, "only {differing} trees differ from the one before");
}

#[test]
#[ignore = "the child of `a_tree_that_is_judged_after_others_comes_to_what_it_comes_to_alone`"]
fn in_a_process_that_has_seen_nothing_else() {
    let folder = PathBuf::from(std::env::var_os("KEYBLIND_TEST_TREE").unwrap());
    println!("<<{}>>", judged(&table(), &folder));
}
