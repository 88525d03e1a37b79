//! Workflows and actions: what rules get to see of them.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use keyblind_dialects::github_actions::recognises;
use keyblind_dialects::{Evaluation, evaluate_text};
use keyblind_resource::{Dialect, Resource, Value};

const WORKFLOW: &str = "name: release
on:
  push:
    tags: [v*]
  workflow_dispatch:
    inputs:
      target:
        type: string
      loud:
        type: boolean
env:
  STAGE: test
  BRANCH: ${{ github.head_ref }}
jobs:
  build:
    runs-on: ${{ matrix.os }}
    strategy:
      matrix:
        os: [linux, windows]
        version: ${{ fromJSON(needs.plan.outputs.versions) }}
    container: node:${{ matrix.version }}
    steps:
      - uses: actions/checkout@v4.1
        with:
          persist-credentials: ${{ inputs.loud }}
      -
      - name: Build
        if: github.actor == 'dependabot[bot]' && contains('a b', github.ref)
        run: |
          echo \"${{ github.event.issue.title }}\" ${{ env.STAGE }} ${{ env.BRANCH }}
            make ${{ matrix.os }} ${{ matrix.version }} ${{ inputs.target }} ${{ inputs.loud }}
";

fn evaluate(text: &str) -> Evaluation {
    evaluate_text(Dialect::GithubActions, text).remove(0)
}

fn find<'a>(evaluation: &'a Evaluation, address: &str) -> &'a Resource {
    let addresses: Vec<&str> = evaluation.resources.iter().map(|resource| &*resource.address).collect();
    evaluation
        .resources
        .iter()
        .find(|resource| &*resource.address == address)
        .unwrap_or_else(|| panic!("{address} isn't among {addresses:?}"))
}

fn at<'a>(resource: &'a Resource, path: &str) -> Option<&'a Value> {
    let mut value = Some(&resource.body);
    for step in path.split('.') {
        value = match step.parse::<usize>() {
            Ok(index) => value.and_then(Value::as_items).and_then(|items| items.get(index)),
            Err(_) => value.and_then(|value| value.get(step)),
        };
    }
    value
}

fn text<'a>(resource: &'a Resource, path: &str) -> &'a str {
    at(resource, path).and_then(Value::as_str).unwrap_or("-")
}

#[test]
fn resources_are_called_as_other_scanners_call_them() {
    let labels: Vec<String> = evaluate(WORKFLOW).resources.iter().map(Resource::label).collect();
    assert_eq!(
        labels,
        ["workflow", "on(release)", "on(release)", "jobs", "jobs(build)", "jobs(build).steps[1]", "jobs(build).steps[2](Build)"]
    );
}

#[test]
fn who_has_a_say_in_a_script_is_told_with_its_place() {
    let evaluation = evaluate(WORKFLOW);
    let step = find(&evaluation, "build.steps[2]");
    let expansions = at(step, "expansions").unwrap().as_items().unwrap();
    let shown: Vec<(&str, &str, bool, bool)> = expansions
        .iter()
        .map(|expansion| {
            let text = |name: &str| expansion.get(name).and_then(Value::as_str).unwrap();
            let is = |name: &str| expansion.get(name).and_then(Value::as_bool).unwrap();
            (text("context"), text("control"), is("is_static"), is("is_typed"))
        })
        .collect();
    assert_eq!(
        shown,
        [
            ("github.event.issue.title", "anybody", false, false),
            ("env.stage", "computed", true, false),
            ("env.branch", "computed", false, false),
            ("matrix.os", "computed", true, false),
            ("matrix.version", "computed", false, false),
            ("inputs.target", "caller", false, false),
            ("inputs.loud", "caller", false, true),
        ]
    );
    let places: Vec<&str> = expansions.iter().map(|expansion| &WORKFLOW[expansion.origin.used_at().unwrap().range.as_usize()]).collect();
    assert_eq!(places[0], "github.event.issue.title");
    assert_eq!(places[5], "inputs.target");
}

#[test]
fn commands_point_into_the_block_of_text() {
    let evaluation = evaluate(WORKFLOW);
    let commands = at(find(&evaluation, "build.steps[2]"), "commands").unwrap().as_items().unwrap();
    let make = &commands[1];
    assert_eq!(make.get("name").and_then(Value::as_str), Some("make"));
    assert!(WORKFLOW[make.origin.used_at().unwrap().range.as_usize()].starts_with("make ${{ matrix.os }}"));
}

#[test]
fn conditions_are_taken_apart() {
    let evaluation = evaluate(WORKFLOW);
    let step = find(&evaluation, "build.steps[2]");
    assert_eq!(text(step, "expressions.0.path"), "if");
    assert_eq!(text(step, "expressions.0.comparisons.0.context"), "github.actor");
    assert_eq!(text(step, "expressions.0.comparisons.0.value"), "dependabot[bot]");
    assert_eq!(text(step, "expressions.0.calls.0.arguments.0.value"), "a b");
    assert_eq!(text(step, "expressions.0.calls.0.arguments.1.context"), "github.ref");
    assert_eq!(at(step, "has_text_condition").and_then(Value::as_bool), Some(false));
}

#[test]
fn a_choice_that_is_never_taken_is_told() {
    for (expression, lost) in [("a && '' || 'x'", 1), ("a && 0 || 1", 1), ("a && 'x' || ''", 0), ("a || '' && 'x'", 0)] {
        let evaluation = evaluate(&format!("on: push\njobs:\n  a:\n    runs-on: x\n    env:\n      B: ${{{{ {expression} }}}}\n"));
        let values = at(find(&evaluation, "a"), "expressions.0.lost_values").and_then(Value::as_items).unwrap();
        assert_eq!(values.len(), lost, "{expression}");
    }
}

#[test]
fn a_condition_with_something_beside_the_brackets_is_a_text() {
    for (condition, is_text) in [
        ("${{ false }}", false),
        ("\"${{ false }} \"", true),
        ("|\n      ${{ false }}", true),
        (">-\n      ${{ false }}", false),
        ("${{ a }} && ${{ b }}", true),
        ("a && b", false),
    ] {
        let evaluation = evaluate(&format!("on: push\njobs:\n  a:\n    runs-on: x\n    if: {condition}\n    steps: []\n"));
        assert_eq!(at(find(&evaluation, "a"), "has_text_condition").and_then(Value::as_bool), Some(is_text), "{condition}");
    }
}

#[test]
fn what_an_expression_gives_is_unknown_and_what_stands_beside_it_is_not() {
    let evaluation = evaluate(WORKFLOW);
    assert!(at(find(&evaluation, "build"), "runs-on").unwrap().is_unknown());
    let image = at(find(&evaluation, "build"), "images.0.image").unwrap().as_unknown().unwrap();
    assert_eq!(image.fragments.len(), 2);
    assert!(at(find(&evaluation, "build.steps[1]"), "with.persist-credentials").unwrap().is_unknown());
}

#[test]
fn what_is_used_is_taken_apart() {
    for (written, kind, name, reference) in [
        ("actions/checkout@v4", "repository", "actions/checkout", "v4"),
        ("Owner/Repo/sub/path@main", "repository", "owner/repo/sub/path", "main"),
        ("./.github/actions/x", "local", "-", "-"),
        ("$/.github/actions/x", "self", "-", "-"),
        ("docker://alpine:3", "docker", "-", "-"),
    ] {
        let evaluation = evaluate(&format!("on: push\njobs:\n  a:\n    runs-on: x\n    steps:\n      - uses: {written}\n"));
        let step = find(&evaluation, "a.steps[1]");
        assert_eq!((text(step, "action.kind"), text(step, "action.name"), text(step, "action.ref")), (kind, name, reference));
    }
}

#[test]
fn permissions_of_a_job_are_its_own_or_the_workflows() {
    let evaluation = evaluate(
        "on: push\npermissions: read-all\njobs:\n  a:\n    runs-on: x\n  b:\n    runs-on: x\n    permissions: {contents: write, issues: read}\n",
    );
    assert_eq!(text(find(&evaluation, "a"), "effective_permissions.kind"), "read-all");
    assert_eq!(text(find(&evaluation, "b"), "effective_permissions.kind"), "explicit");
    assert_eq!(text(find(&evaluation, "b"), "effective_permissions.writes.0"), "contents");
    assert_eq!(text(find(&evaluate("on: push\njobs: {a: {runs-on: x}}\n"), "permissions"), "kind"), "default");
}

#[test]
fn a_workflow_that_github_refuses_is_told_and_not_judged() {
    for text in ["on: push\njobs:\n", "on: push\njobs:\n  runs-on: [x]\n", "on: push\njobs:\n  a: [1]\n"] {
        let evaluation = evaluate(text);
        assert!(evaluation.resources.is_empty());
        assert_eq!(evaluation.diagnostics[0].code, "workflow-refused", "{text}");
    }
}

#[test]
fn composite_actions_have_steps_and_dependabot_has_updates() {
    let action =
        evaluate("name: x\ninputs: {a: {}}\nruns:\n  using: composite\n  steps:\n    - run: echo ${{ inputs.a }}\n      shell: bash\n");
    assert_eq!(text(find(&action, "runs.steps[1]"), "expansions.0.control"), "caller");
    let updates = evaluate("version: 2\nupdates:\n  - package-ecosystem: npm\n    directory: /\n");
    assert_eq!(updates.resources.len(), 1);
}

#[test]
fn content_tells_workflows_from_other_yaml() {
    let jobs = "on: push\njobs:\n  a:\n    runs-on: x\n    steps: []\n";
    assert!(recognises(".github/workflows/a.yml", jobs));
    assert!(recognises("templates/a.yaml", jobs));
    assert!(!recognises("a.yaml", "on: push\njobs:\n  a:\n    stage: x\n    # runs-on steps:\n"));
    assert!(!recognises(".github/workflows/a.txt", jobs));
    assert!(!recognises("action.yml", "name: x\n"));
    assert!(recognises("a/action.yml", "runs:\n  using: node20\n  main: x.js\n"));
}
