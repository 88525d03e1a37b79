//! What makes no difference to the code makes none to its known findings.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should fail")]

use std::path::Path;
use std::sync::OnceLock;

use globset::GlobSet;
use keyblind_dialects::terraform::Inputs;
use keyblind_rules::baseline::Baseline;
use keyblind_rules::suppressions::Date;
use keyblind_rules::{Confidence, Control, Persona, Rule, RuleTable, Selection, Severity, read_folder};
use keyblind_scan::{Keep, Request, ScanReport, Targets, baseline_entries, scan};
use proptest::prelude::*;

const RULE: &str = "id: port-open
title: A port is open to the world
severity: high
confidence: high
why: Anybody can connect.
fix: Close it.
references: ['https://example.com']
terraform:
  resources: [aws_security_group]
  fail:
    some: {in: ingress, where: {cidr_blocks: {cidr: world}}}
examples:
  terraform:
    bad: |
      resource \"aws_security_group\" \"a\" {
        ingress {
          cidr_blocks = [\"0.0.0.0/0\"]
        }
      }
    good: |
      resource \"aws_security_group\" \"a\" {
        ingress {
          cidr_blocks = [\"10.0.0.0/8\"]
        }
      }
";

fn table() -> &'static RuleTable {
    static TABLE: OnceLock<RuleTable> = OnceLock::new();
    TABLE.get_or_init(read_table)
}

fn read_table() -> RuleTable {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("port-open.yaml"), RULE).expect("the folder can be written");
    let found = read_folder(folder.path());
    assert_eq!(found.errors, []);
    let rules: Vec<Rule> = found.rules;
    assert_eq!((rules[0].severity, rules[0].confidence, rules[0].persona), (Severity::High, Confidence::High, Persona::Regular));
    assert_eq!(rules[0].docs.controls, Vec::<Control>::new());
    RuleTable::of(&rules).expect("a table")
}

fn today() -> Date {
    "2026-11-21".parse().expect("a day")
}

fn scanned(table: &RuleTable, folder: &Path, baseline: Option<Baseline>) -> ScanReport {
    let request = Request {
        targets: Targets::resolve(&[folder.to_owned()], None, None, None).expect("the folder is there"),
        snapshot: None,
        changed: keyblind_scan::Changed::new(),
        text: None,
        selection: Selection::all(table),
        severities: Default::default(),
        inputs: Inputs::default(),
        input_sets: Vec::new(),
        exclude: GlobSet::empty(),
        policy: None,
        baseline,
        is_baseline_covered: true,
        ignores: Vec::new(),
        floor: None,
        today: today(),
        keep: Keep::default(),
        diagnostics: Vec::new(),
    };
    scan(table, request, &|_| {})
}

/// One security group with its open and closed ports.
#[derive(Clone, Debug)]
struct Group {
    ports: Vec<(u16, bool)>,
}

/// How the same groups are written another time.
#[derive(Clone, Debug)]
struct Style {
    order: Vec<usize>,
    files: usize,
    indent: usize,
    comments: bool,
    carriage_returns: bool,
    reversed_ports: bool,
    several_lines: bool,
}

impl Style {
    fn plain(groups: usize) -> Self {
        let order = (0..groups).collect();
        Self { order, files: 1, indent: 2, comments: false, carriage_returns: false, reversed_ports: false, several_lines: false }
    }

    fn write(&self, groups: &[Group], folder: &Path) {
        let mut files = vec![String::new(); self.files];
        for (place, &index) in self.order.iter().enumerate() {
            let text = &mut files[place % self.files];
            if self.comments {
                text.push_str(&format!("\n# group {index}\n\n"));
            }
            let (one, two) = (" ".repeat(self.indent), " ".repeat(2 * self.indent));
            text.push_str(&format!("resource \"aws_security_group\" \"g{index}\" {{\n"));
            let mut ports = groups[index].ports.clone();
            if self.reversed_ports {
                ports.reverse();
            }
            for (port, is_open) in ports {
                let block = if is_open { "0.0.0.0/0" } else { "10.0.0.0/8" };
                let list = if self.several_lines { format!("[\n{two}  \"{block}\", // here\n{two}]") } else { format!("[\"{block}\"]") };
                text.push_str(&format!(
                    "{one}ingress {{\n{two}from_port = {port}\n{two}to_port = {port}\n{two}cidr_blocks = {list}\n{one}}}\n"
                ));
            }
            text.push_str("}\n");
        }
        for (number, text) in files.iter().enumerate() {
            let text = if self.carriage_returns { text.replace('\n', "\r\n") } else { text.clone() };
            std::fs::write(folder.join(format!("f{number}-{}.tf", self.indent)), text).expect("the folder can be written");
        }
    }
}

fn groups() -> impl Strategy<Value = Vec<Group>> {
    let group = proptest::collection::vec((1_u16..9, any::<bool>()), 0..4).prop_map(|ports| Group { ports });
    proptest::collection::vec(group, 1..5)
}

fn styles(groups: usize) -> impl Strategy<Value = Style> {
    let order = Just((0..groups).collect::<Vec<_>>()).prop_shuffle();
    (order, 1_usize..3, 0_usize..6, any::<(bool, bool, bool, bool)>()).prop_map(|(order, files, indent, flags)| Style {
        order,
        files,
        indent,
        comments: flags.0,
        carriage_returns: flags.1,
        reversed_ports: flags.2,
        several_lines: flags.3,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn writing_the_same_code_another_way_makes_nothing_new(
        (groups, style) in groups().prop_flat_map(|groups| { let count = groups.len(); (Just(groups), styles(count)) })
    ) {
        let table = table();
        let before = tempfile::tempdir().expect("a folder");
        Style::plain(groups.len()).write(&groups, before.path());
        let first = scanned(table, before.path(), None);
        let mut baseline = Baseline::default();
        baseline_entries(&first, today()).into_iter().for_each(|entry| baseline.insert(entry));
        let read_back = Baseline::parse(&baseline.to_text()).expect("a baseline");
        let after = tempfile::tempdir().expect("a folder");
        style.write(&groups, after.path());
        let second = scanned(table, after.path(), Some(read_back.clone()));
        prop_assert_eq!(second.diagnostics.len(), 0);
        prop_assert_eq!(second.summary.verdicts.failed, 0);
        prop_assert_eq!(second.summary.verdicts.suppressed, first.summary.verdicts.failed);
        prop_assert_eq!(second.summary.baseline_gone, 0);

        // One open port more is one new finding: that of its group, or of a new one.
        let mut more = groups.clone();
        let group = style.order[0];
        more[group].ports.push((99, true));
        let third_folder = tempfile::tempdir().expect("a folder");
        style.write(&more, third_folder.path());
        let third = scanned(table, third_folder.path(), Some(read_back));
        prop_assert_eq!(third.summary.verdicts.failed, 1);
    }
}
