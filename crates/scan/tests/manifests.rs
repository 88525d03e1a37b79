//! Manifests and kustomizations through the whole pipeline.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should fail")]

use std::path::{Path, PathBuf};

use globset::GlobSet;
use keyblind_dialects::terraform::Inputs;
use keyblind_rules::suppressions::Policy;
use keyblind_rules::{RuleTable, Selection, read_folder};
use keyblind_scan::{Changed, Keep, Request, ScanReport, Targets, scan};

const RULES: [(&str, &str); 2] = [
    (
        "container-privileged.yaml",
        "id: container-privileged
title: Container is privileged
severity: high
confidence: high
aliases: [CKV_TEST_16]
why: It is as good as the host.
fix: Take it out.
references: ['https://example.com']
kubernetes:
  resources: [workloads]
  fail:
    some: {in: pod.containers, where: {securityContext.privileged: true}}
examples:
  kubernetes:
    bad: '{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {containers: [{name: a, securityContext: {privileged: true}}]}}'
    good: '{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {containers: [{name: a}]}}'
",
    ),
    (
        "pod-without-policy.yaml",
        "id: pod-without-policy
title: Anybody reaches the pod
severity: low
confidence: high
why: No policy says who may.
fix: Add one.
references: ['https://example.com']
kubernetes:
  resources: [Pod]
  pass: {linked: {to: [NetworkPolicy], by: spec.podSelector}}
examples:
  kubernetes:
    bad: '{apiVersion: v1, kind: Pod, metadata: {name: a}}'
    good: |
      {apiVersion: v1, kind: Pod, metadata: {name: a, labels: {a: b}}}
      ---
      {apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: a}, spec: {podSelector: {matchLabels: {a: b}}}}
",
    ),
];

const POD: &str = "apiVersion: v1
kind: Pod
metadata:
  name: web
  labels: {app: web}
spec:
  containers:
    - name: web
      image: nginx
";

const POLICY: &str = "apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web}
spec: {podSelector: {matchLabels: {app: web}}}
";

struct Folder(tempfile::TempDir);

impl Folder {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        Self(folder)
    }

    fn scan(&self, paths: &[&str]) -> ScanReport {
        self.scan_with(paths, Changed::new())
    }

    fn scan_with(&self, paths: &[&str], changed: Changed) -> ScanReport {
        let rules = tempfile::tempdir().unwrap();
        for (name, text) in RULES {
            std::fs::write(rules.path().join(name), text).unwrap();
        }
        let found = read_folder(rules.path());
        assert_eq!(found.errors, []);
        let table = RuleTable::of(&found.rules).unwrap();
        let today = "2026-11-21".parse().unwrap();
        let place = |path: &&str| if path.is_empty() { self.root().to_owned() } else { self.root().join(path) };
        let paths: Vec<PathBuf> = paths.iter().map(place).collect();
        let request = Request {
            targets: Targets::resolve(&paths, None, None, Some(self.root())).unwrap(),
            snapshot: None,
            changed,
            text: None,
            selection: Selection::all(&table),
            severities: Default::default(),
            inputs: Inputs::default(),
            input_sets: Vec::new(),
            exclude: GlobSet::empty(),
            policy: Some(Policy { today, foreign: true, blanket: false, reason_required: false }),
            baseline: None,
            is_baseline_covered: true,
            ignores: Vec::new(),
            floor: None,
            today,
            keep: Keep { passed: true, unknown: true },
            diagnostics: Vec::new(),
        };
        scan(&table, request, &|_| {})
    }

    fn root(&self) -> &Path {
        self.0.path()
    }
}

/// Each result as rule, label, verdict and the text that it points at.
fn results(report: &ScanReport) -> Vec<String> {
    let line = |result: &keyblind_scan::ScanResult| {
        let place = &report.sources.file(result.site.file).path;
        let text = report.sources.slice(result.site).lines().next().unwrap_or_default();
        format!("{} {} {} {place}: {text}", report.rules[result.rule].id, result.label, result.status.name())
    };
    let mut lines: Vec<String> = report.results.iter().map(line).collect();
    lines.sort();
    lines
}

#[test]
fn a_text_is_judged_in_the_place_of_what_a_base_holds() {
    let folder = Folder::new(&[
        ("base/pod.yaml", POD),
        ("base/kustomization.yaml", "resources: [pod.yaml]\n"),
        ("prod/kustomization.yaml", "namespace: prod\nresources: [../base]\n"),
    ]);
    let privileged =
        "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec: {containers: [{name: web, securityContext: {privileged: true}}]}\n";
    let changed = Changed::from([("base/pod.yaml".to_owned(), privileged.into())]);
    let found = results(&folder.scan_with(&[""], changed));
    assert_eq!(found[0], "container-privileged Pod.prod.web failed base/pod.yaml: true");
    assert!(results(&folder.scan(&[""])).iter().all(|line| !line.contains("container-privileged Pod.prod.web failed")));
}

#[test]
fn a_patch_that_opens_a_hole_is_where_the_finding_points() {
    let folder = Folder::new(&[
        ("base/pod.yaml", POD),
        ("base/kustomization.yaml", "resources: [pod.yaml]\n"),
        ("prod/kustomization.yaml", "namespace: prod\nresources: [../base]\npatches: [{path: patch.yaml}]\n"),
        (
            "prod/patch.yaml",
            "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec:\n  containers:\n    - name: web\n      securityContext: {privileged: true}\n",
        ),
    ]);
    let expected =
        ["container-privileged Pod.prod.web failed prod/patch.yaml: true", "pod-without-policy Pod.prod.web failed base/pod.yaml: web"];
    assert_eq!(results(&folder.scan(&[""])), expected);
    // The base alone is sound.
    assert!(results(&folder.scan(&["base"]))[0].starts_with("container-privileged Pod.default.web passed"));
    // The patch alone is nothing.
    assert_eq!(folder.scan(&["prod/patch.yaml"]).results.len(), 0);
}

#[test]
fn a_single_manifest_is_judged_with_those_beside_it_and_reported_alone() {
    let folder = Folder::new(&[("pod.yaml", POD), ("policy.yaml", POLICY), ("other/pod.yaml", POD)]);
    let report = folder.scan(&["pod.yaml"]);
    assert_eq!(
        results(&report),
        ["container-privileged Pod.default.web passed pod.yaml: web", "pod-without-policy Pod.default.web passed pod.yaml: web"]
    );
    // A policy in another directory is another set of manifests.
    assert!(results(&folder.scan(&["other"])).iter().any(|line| line.starts_with("pod-without-policy Pod.default.web failed")));
}

#[test]
fn annotations_and_comments_silence() {
    let privileged = POD.replace("image: nginx", "securityContext: {privileged: true}");
    let annotated = privileged.replace("labels:", "annotations: {checkov.io/skip1: CKV_TEST_16=the node's own agent}\n  labels:");
    let commented =
        privileged.replace("      securityContext", "      # checkov:skip=CKV_TEST_16:the node's own agent\n      securityContext");
    for text in [annotated, commented] {
        let folder = Folder::new(&[("pod.yaml", &text)]);
        let lines = results(&folder.scan(&[""]));
        assert!(lines[0].starts_with("container-privileged Pod.default.web suppressed"), "{lines:?}\n{text}");
    }
}

#[test]
fn a_chart_s_templates_are_counted_and_never_errors() {
    let folder = Folder::new(&[
        ("chart/Chart.yaml", "apiVersion: v2\nname: web\nversion: 1.0.0\n"),
        (
            "chart/templates/pod.yaml",
            "{{- if .Values.on }}\napiVersion: v1\nkind: Pod\nmetadata:\n  name: {{ .Release.Name }}\n{{- end }}\n",
        ),
        ("pod.yaml", POD),
    ]);
    let report = folder.scan(&[""]);
    assert_eq!(report.diagnostics, []);
    assert_eq!(report.summary.files.unjudged.get("helm"), Some(&2));
    assert_eq!(report.results.len(), 2);
}
