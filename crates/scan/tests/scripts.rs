//! Dockerfiles and workflows: what a scan finds in them with the rules of this repository, and what silences it.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should fail")]

use std::path::Path;

use globset::GlobSet;
use keyblind_dialects::terraform::Inputs;
use keyblind_rules::suppressions::Policy;
use keyblind_rules::{RuleTable, Selection, read_folder};
use keyblind_scan::{Keep, Request, ScanReport, Status, Targets, scan};

/// Scans a folder with these files, by the rules that have one of these aliases.
fn scanned(files: &[(&str, &str)], aliases: &[&str]) -> ScanReport {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join(".git")).unwrap();
    for (path, text) in files {
        let place = folder.path().join(path);
        std::fs::create_dir_all(place.parent().unwrap()).unwrap();
        std::fs::write(place, text).unwrap();
    }
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../rules");
    let found: Vec<_> = ["docker", "github-actions"].iter().flat_map(|name| read_folder(&rules.join(name)).rules).collect();
    let table = RuleTable::of(&found).unwrap();
    let is_wanted = |alias: &str| table.iter().any(|(_, meta)| meta.aliases.iter().any(|own| &**own == alias));
    assert!(aliases.iter().all(|alias| is_wanted(alias)), "one of {aliases:?} is no alias");
    let today = "2026-11-21".parse().unwrap();
    let request = Request {
        targets: Targets::resolve(&[folder.path().to_owned()], None, None, None).unwrap(),
        snapshot: None,
        changed: keyblind_scan::Changed::new(),
        text: None,
        selection: Selection::of(&table, |_, meta| meta.aliases.iter().any(|own| aliases.contains(&&**own))),
        severities: Default::default(),
        inputs: Inputs::default(),
        input_sets: Vec::new(),
        exclude: GlobSet::empty(),
        policy: Some(Policy { today, foreign: true, blanket: false, reason_required: false }),
        baseline: None,
        is_baseline_covered: false,
        ignores: Vec::new(),
        floor: None,
        today,
        keep: Keep::default(),
        diagnostics: Vec::new(),
    };
    scan(&table, request, &|_| {})
}

/// What was found: rule, address, and the place or what silenced it.
fn found(files: &[(&str, &str)], aliases: &[&str]) -> Vec<String> {
    let report = scanned(files, aliases);
    let show = |result: &keyblind_scan::ScanResult| {
        let start = report.sources.start(result.site);
        let place = match &result.status {
            Status::Suppressed(suppression) => suppression.by.name().to_owned(),
            _ => format!("{}:{}", start.line, start.column),
        };
        format!("{} {} {place}", report.rules[result.rule].id, result.address)
    };
    report.results.iter().map(show).collect()
}

const DOCKERFILE: &str = "FROM debian:12.8 AS build
RUN curl -k https://example.com/a
FROM debian:12.8
COPY --from=build /a /a
RUN true && \\
    # why not
    curl --insecure https://example.com/b
USER 0
";

#[test]
fn a_dockerfile_is_judged_by_what_its_commands_do() {
    assert_eq!(
        found(&[("app/api.Dockerfile", DOCKERFILE)], &["CKV2_DOCKER_2", "CKV_DOCKER_8"]),
        [
            "curl-without-certificate-check build.RUN[0] 2:5",
            "curl-without-certificate-check stage[1].RUN[0] 7:5",
            "image-runs-as-root stage[1].USER[0] 8:6"
        ]
    );
}

#[test]
fn what_is_called_a_dockerfile_and_is_none_is_not_judged() {
    let files = [("Dockerfile.md", "# FROM here on\n"), ("notes/Dockerfile", "FROM the beginning of time\n"), ("Dockerfile", DOCKERFILE)];
    let report = scanned(&files, &["CKV_DOCKER_8"]);
    assert_eq!((report.results.len(), report.summary.files.read), (1, 1));
}

#[test]
fn directives_in_a_dockerfile_reach_as_far_as_their_tools_let_them() {
    let with = |directive: &str, before: &str| {
        let text = DOCKERFILE.replace(before, &format!("{directive}\n{before}"));
        found(&[("Dockerfile", &text)], &["CKV2_DOCKER_2", "DL3002"])
            .into_iter()
            .filter(|found| found.ends_with(|last: char| !last.is_ascii_digit()))
            .count()
    };
    assert_eq!(with("# checkov:skip=CKV2_DOCKER_2: an internal host", "USER 0"), 2);
    assert_eq!(with("# hadolint ignore=DL3002", "USER 0"), 1);
    assert_eq!(with("# hadolint ignore=DL3002", "COPY"), 0);
    assert_eq!(with("# hadolint global ignore=DL3002", "COPY"), 1);
    assert_eq!(with("# keyblind:ignore[curl-without-certificate-check] reason=\"an internal host\"", "RUN curl"), 1);
}

const WORKFLOW: &str = "on:
  pull_request_target:
permissions: {}
jobs:
  greet:
    runs-on: ubuntu-24.04
    steps:
      - uses: example/checkout@v4
      - name: Greet
        run: |
          true
          echo \"${{ github.event.pull_request.title }}\"
";
const PLACE: &str = ".github/workflows/greet.yml";

#[test]
fn a_workflow_is_judged_and_points_at_the_expression() {
    assert_eq!(
        found(&[(PLACE, WORKFLOW)], &["CKV_GHA_2", "zizmor/dangerous-triggers", "zizmor/unpinned-uses"]),
        [
            "pull-request-target-trigger on 1:1",
            "action-not-pinned-by-hash greet.steps[1] 8:15",
            "untrusted-text-in-script greet.steps[2] 12:21"
        ]
    );
}

#[test]
fn directives_in_a_workflow_silence_what_stands_on_their_line() {
    let at_step = WORKFLOW.replace("run: |", "run: | # zizmor: ignore[template-injection] a test");
    assert_eq!(found(&[(PLACE, &at_step)], &["CKV_GHA_2"]), ["untrusted-text-in-script greet.steps[2] zizmor: ignore"]);
    let at_other_step = WORKFLOW.replace("@v4", "@v4 # zizmor: ignore[template-injection]");
    assert_eq!(found(&[(PLACE, &at_other_step)], &["CKV_GHA_2"]), ["untrusted-text-in-script greet.steps[2] 12:21"]);
    let at_trigger = WORKFLOW.replace("_target:", "_target: #zizmor: ignore[dangerous-triggers]");
    assert_eq!(found(&[(PLACE, &at_trigger)], &["zizmor/dangerous-triggers"]), ["pull-request-target-trigger on zizmor: ignore"]);
    // One of its audits may be several rules.
    let inherited = WORKFLOW
        .replace("github.event.pull_request.title", "github.ref_name")
        .replace("Greet", "Greet # zizmor: ignore[template-injection]");
    assert_eq!(found(&[(PLACE, &inherited)], &["zizmor/template-injection:event"]), ["event-text-in-script greet.steps[2] zizmor: ignore"]);
    let whole = format!("# checkov:skip=CKV_GHA_2:a test\n{WORKFLOW}");
    assert_eq!(found(&[(PLACE, &whole)], &["CKV_GHA_2"]), ["untrusted-text-in-script greet.steps[2] checkov:skip"]);
}

#[test]
fn a_workflow_that_github_refuses_is_noted() {
    let report = scanned(&[(".github/workflows/odd.yml", "on: push\njobs:\n  build: [a]\n")], &["CKV_GHA_2"]);
    assert_eq!(report.diagnostics[0].code, "workflow-refused");
    assert!(!report.summary.incomplete);
}
