//! The roles that Keyblind asks of an account, as its broker prints them, judged by Keyblind's own rules. A test of the broker keeps
//! these files equal to what is printed.

use keyblind_testkit::{Folder, Program};
use serde_json::Value;

use crate::support::results;

const TERRAFORM: &str = "main.tf";
const CLOUDFORMATION: &str = "template.yaml";
const FILES: [(&str, &str); 4] = [
    (TERRAFORM, include_str!("../../../../deploy/aws/external-id/main.tf")),
    (CLOUDFORMATION, include_str!("../../../../deploy/aws/external-id/template.yaml")),
    (TERRAFORM, include_str!("../../../../deploy/aws/web-identity/main.tf")),
    (CLOUDFORMATION, include_str!("../../../../deploy/aws/web-identity/template.yaml")),
];

/// The report of all rules, also of those that only auditors want.
fn report(name: &str, text: &str) -> Value {
    let folder = Folder::new([(name, text)]);
    let arguments = ["scan", "--format", "json", "--persona", "auditor"];
    let outcome = Program::new(env!("CARGO_BIN_EXE_keyblind")).within(folder.path()).with(arguments).run();
    serde_json::from_str(&outcome.output).unwrap_or_else(|error| panic!("{name}: {error}: {}", outcome.errors))
}

fn fails(report: &Value) -> Vec<String> {
    results(report).into_iter().filter(|result| result.ends_with(" failed")).collect()
}

#[test]
fn the_roles_that_the_broker_takes_pass_every_rule() {
    for (name, text) in FILES {
        let report = report(name, text);
        assert_eq!(fails(&report), [] as [String; 0], "{name}");
        let summary = &report["summary"];
        assert!(summary["passed"].as_u64().is_some_and(|passed| passed >= 20), "{name}: {summary}");
        assert_eq!((&summary["incomplete"], &summary["suppressed"]), (&Value::from(false), &Value::from(0)), "{name}: {summary}");
    }
}

#[test]
fn a_role_that_anybody_could_take_would_not_pass() {
    for (name, text) in &FILES[..2] {
        let trusted = text.lines().find(|line| line.contains("role/keyblind-broker")).expect("the trusted principal is named");
        let (_, principal) = trusted.split_once(" = ").or_else(|| trusted.split_once(": ")).expect("it stands on a line of its own");
        let open = text.replace(principal, "\"*\"");
        assert_ne!(open, *text);
        let fails = fails(&report(name, &open));
        assert!(fails.iter().any(|fail| fail.starts_with("iam-role-assumable-by-anybody ")), "{name}: {fails:?}");
    }
}
