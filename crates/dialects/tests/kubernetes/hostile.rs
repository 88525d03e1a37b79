//! Hostile input: it ends soon, and everything that isn't evaluated is said.

use std::sync::Arc;
use std::time::{Duration, Instant};

use keyblind_dialects::kubernetes::{Above, Content, Project, content};
use keyblind_dialects::{MemoryTree, Tree};
use keyblind_resource::{Data, Value};
use keyblind_syntax::SourceMap;

use super::support::{build, evaluate};

const SEED: &str = include_str!("../../../../fuzz/seeds/kubernetes/overlay");

/// Far more than anything here takes, also without optimisation on a busy machine.
const SOON: Duration = Duration::from_secs(60);

fn files(text: &str) -> Vec<(String, String)> {
    let mut files = vec![("base/manifest.yaml".to_owned(), String::new())];
    for line in text.split_inclusive('\n') {
        match line.strip_prefix("=== ") {
            Some(path) => files.push((path.trim().replace("..", "_"), String::new())),
            None => files.last_mut().expect("there is always one").1.push_str(line),
        }
    }
    files.retain(|(path, _)| !path.is_empty() && !path.starts_with('/'));
    files.sort();
    files.dedup_by(|a, b| a.0 == b.0);
    files
}

/// Every value stands inside of its file.
fn check_places(value: &Value, sources: &SourceMap) {
    for site in value.origin.used_at().into_iter().chain(value.origin.written_at()) {
        assert!(sources.file(site.file).text.get(site.range.as_usize()).is_some(), "{site:?}");
    }
    match &value.data {
        Data::Object(mapping) => mapping.iter().for_each(|(_, inner)| check_places(inner, sources)),
        Data::Tuple(items) => items.iter().for_each(|inner| check_places(inner, sources)),
        _ => {}
    }
}

fn check(text: &str) -> usize {
    let files = files(text);
    let tree = MemoryTree::new(files.iter().map(|(path, text)| (path.as_str(), text.as_str())));
    assert!(files.iter().all(|(path, _)| tree.read(path).is_ok()));
    let given = files.iter().filter(|(path, text)| content(path, text) == Content::Manifests);
    let given = given.map(|(path, text)| (Arc::from(path.as_str()), Arc::from(text.as_str()))).collect();
    let mut sources = SourceMap::default();
    let project = Project::parse(given, &Above::default(), &tree, &mut sources);
    let mut resources = 0;
    for root in project.roots() {
        let graph = project.evaluate(root, &sources).graph();
        for (id, resource) in graph.resources.iter().enumerate() {
            check_places(&resource.body, &sources);
            assert!(graph.outgoing(id).all(|link| link.to < graph.resources.len()));
        }
        resources += graph.resources.len();
    }
    resources
}

#[test]
fn texts_that_are_nearly_right_are_survived() {
    assert_eq!(check(SEED), 4);
    // A linear congruential generator: the same texts each time.
    let mut state: u64 = 7;
    let mut next = move |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below.max(1)
    };
    let pieces: Vec<&str> = SEED.split_inclusive(['\n', ' ', '/', '{', ':']).collect();
    for _ in 0..600 {
        let mut changed: Vec<&str> = pieces.clone();
        for _ in 0..=next(4) {
            let (from, to) = (next(changed.len()), next(changed.len()));
            match next(4) {
                0 => drop(changed.remove(from)),
                1 => changed.insert(to, changed[from]),
                2 => changed.swap(from, to),
                _ => changed[from] = ["- ", "null\n", "$patch: delete\n", "/-", "\u{feff}", "*labels ", "é", "[", "..", "-1"][next(10)],
            }
        }
        check(&changed.concat());
    }
}

#[test]
fn aliases_that_double_end_as_a_diagnostic() {
    let mut text = String::from("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\na0: &a0 [x, x]\n");
    for level in 1..64 {
        text.push_str(&format!("a{level}: &a{level} [*a{0}, *a{0}]\n", level - 1));
    }
    let started = Instant::now();
    let evaluated = evaluate(&[("bomb.yaml", &text)]);
    assert!(started.elapsed() < SOON);
    assert!(evaluated.diagnostics.iter().any(|said| said.starts_with("syntax-error")), "{:?}", evaluated.diagnostics);
}

#[test]
fn many_selectors_and_workloads_end() {
    let mut text = String::new();
    for number in 0..800 {
        text.push_str(&format!("---\napiVersion: v1\nkind: Pod\nmetadata: {{name: p{number}, labels: {{a: b}}}}\n"));
        text.push_str(&format!(
            "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: n{number}}}\nspec: {{podSelector: {{}}}}\n"
        ));
    }
    let started = Instant::now();
    let evaluated = evaluate(&[("many.yaml", &text)]);
    assert!(started.elapsed() < SOON, "{:?}", started.elapsed());
    assert!(evaluated.diagnostics.iter().any(|said| said.starts_with("too-many-links")));
}

#[test]
fn values_that_are_nested_into_each_other_end() {
    let mut overlay = String::from("resources: [pod.yaml]\nreplacements:\n");
    for _ in 0..400 {
        overlay.push_str("  - source: {kind: Pod, fieldPath: metadata}\n    targets:\n");
        overlay.push_str("      - {select: {kind: Pod}, fieldPaths: [metadata.annotations.a.b.c.d.e.f.g.h], options: {create: true}}\n");
    }
    let deep = format!(
        "resources: [pod.yaml]\nreplacements:\n  - sourceValue: x\n    targets: [{{select: {{kind: Pod}}, fieldPaths: [{}z], options: {{create: true}}}}]\n",
        "a.".repeat(100_000)
    );
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n".to_owned();
    for overlay in [overlay, deep] {
        let built = build(&[("k/kustomization.yaml", overlay), ("k/pod.yaml", pod.clone())]);
        assert!(built.evaluated[0].diagnostics.iter().any(|said| said.starts_with("kustomize-replacement-refused")));
    }
}

#[test]
fn long_names_cost_nothing() {
    let long = "x".repeat(1 << 20);
    let mut files = vec![("l0/pod.yaml".to_owned(), "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n".to_owned())];
    files.push(("l0/kustomization.yaml".to_owned(), "resources: [pod.yaml]\n".to_owned()));
    for level in 1..30 {
        files.push((format!("l{level}/kustomization.yaml"), format!("resources: [../l{}]\nnamePrefix: {long}\n", level - 1)));
    }
    let files: Vec<_> = files.iter().map(|(path, text)| (path.as_str(), text.clone())).collect();
    assert_eq!(build(&files).evaluated[0].addresses(), ["Pod.default.a"]);
}
