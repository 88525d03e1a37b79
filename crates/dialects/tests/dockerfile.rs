//! Dockerfiles: what rules get to see of them.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use keyblind_dialects::{Evaluation, evaluate_text};
use keyblind_resource::{Dialect, Resource, Value};

fn evaluate(text: &str) -> Evaluation {
    evaluate_text(Dialect::Dockerfile, text).remove(0)
}

fn find<'a>(evaluation: &'a Evaluation, address: &str) -> &'a Resource {
    let addresses: Vec<&str> = evaluation.resources.iter().map(|resource| &*resource.address).collect();
    evaluation
        .resources
        .iter()
        .find(|resource| &*resource.address == address)
        .unwrap_or_else(|| panic!("{address} isn't among {addresses:?}"))
}

/// A value as text: what is unknown is `?`.
fn shown(value: Option<&Value>) -> String {
    let Some(value) = value else { return "-".to_owned() };
    if let Some(items) = value.as_items() {
        return format!("[{}]", items.iter().map(|item| shown(Some(item))).collect::<Vec<_>>().join(", "));
    }
    match (value.as_str(), value.as_bool(), value.as_unknown()) {
        (Some(text), _, _) => text.to_owned(),
        (_, Some(flag), _) => flag.to_string(),
        (_, _, Some(unknown)) => format!("? {}", unknown.reason),
        _ => "…".to_owned(),
    }
}

fn at(evaluation: &Evaluation, address: &str, path: &str) -> String {
    let mut value = Some(&find(evaluation, address).body);
    for step in path.split('.') {
        value = match step.parse::<usize>() {
            Ok(index) => value.and_then(Value::as_items).and_then(|items| items.get(index)),
            Err(_) => value.and_then(|value| value.get(step)),
        };
    }
    shown(value)
}

#[test]
fn build_arguments_have_their_defaults_and_their_scopes() {
    let evaluation = evaluate(
        "ARG TAG=12.8\nARG REGISTRY\nFROM ${REGISTRY}/debian:$TAG AS base\nENV A=1 B=\"two words\"\nARG TAG\nARG MORE=x\n\
         WORKDIR /$A/${TAG}/${MORE:-y}/${NONE:-z}\nLABEL l=$A$B m='$A' n=\\$A\nFROM base\nUSER ${A:+app}\nWORKDIR $MORE\n",
    );
    assert_eq!(at(&evaluation, "base.FROM", "image"), "? variable `REGISTRY` has no value");
    assert_eq!(at(&evaluation, "base.WORKDIR[0]", "path"), "/1/12.8/x/z");
    assert_eq!(at(&evaluation, "base.LABEL[0]", "variables.0.value"), "1two words");
    assert_eq!(at(&evaluation, "base.LABEL[0]", "variables.1.value"), "$A");
    assert_eq!(at(&evaluation, "base.LABEL[0]", "variables.2.value"), "$A");
    // Variables are inherited by stages built upon this one, arguments aren't.
    assert_eq!(at(&evaluation, "stage[1].USER[0]", "user"), "app");
    assert_eq!(at(&evaluation, "stage[1].WORKDIR[0]", "path"), "? `MORE` is not declared");
}

#[test]
fn an_unknown_part_leaves_the_rest_known() {
    let evaluation = evaluate("ARG VERSION\nFROM debian:$VERSION-slim\n");
    let image = find(&evaluation, "stage[0].FROM").body.get("image").unwrap();
    assert_eq!(image.as_unknown().unwrap().fragments.len(), 3);
}

#[test]
fn the_user_of_the_image_comes_from_the_last_stage_or_those_below_it() {
    let user = |text: &str| at(&evaluate(text), "dockerfile", "user");
    assert_eq!(user("FROM a\nUSER root\nFROM b\n"), "-");
    assert_eq!(user("FROM a AS x\nUSER app:group\nFROM X\nRUN y\n"), "app");
    assert_eq!(user("FROM a\nUSER one\nUSER two\nONBUILD USER three\n"), "two");
}

#[test]
fn stages_that_nothing_of_the_image_comes_from_are_told() {
    let evaluation = evaluate(
        "FROM a AS x\nRUN r\nFROM b AS y\nRUN r\nFROM c AS z\nRUN r\nFROM d\nCOPY --from=x /a /a\nRUN --mount=type=bind,from=1 r\n",
    );
    let used: Vec<String> = ["x.RUN[0]", "y.RUN[0]", "z.RUN[0]"].iter().map(|address| at(&evaluation, address, "stage.is_used")).collect();
    assert_eq!(used, ["true", "true", "false"]);
}

#[test]
fn commands_are_found_in_every_form_of_run() {
    let names = |text: &str| {
        let evaluation = evaluate(&format!("FROM a\n{text}\n"));
        let commands = find(&evaluation, "stage[0].RUN[0]").body.get("commands").unwrap().clone();
        commands.as_items().unwrap().iter().map(|command| shown(command.get("name"))).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names("RUN apt-get update \\\n && curl -k u | sh"), "apt-get curl sh");
    assert_eq!(names("RUN [\"sh\", \"-c\", \"curl -k 'u v' && ls\"]"), "sh curl ls");
    assert_eq!(names("RUN <<E\ncurl a\nwget b\nE"), "curl wget");
    assert_eq!(names("RUN bash <<E\ncurl a\nE"), "bash curl");
    // Another interpreter's script is none of commands.
    assert_eq!(names("RUN <<E\n#!/usr/bin/env python3\nprint(1)\nE"), "");
    assert_eq!(names("RUN <<E python3\nprint(1)\nE"), "python3");
}

#[test]
fn what_is_piped_into_an_interpreter_is_told_from_what_is_only_looked_at() {
    for (script, feeds) in [
        ("curl u | sh", true),
        ("curl u | sudo -E bash -", true),
        ("curl u | tee x | bash -s -- --yes", true),
        ("curl u | python3", true),
        ("curl u | python3 -c 'import sys'", false),
        ("curl u | bash -c 'cat'", false),
        ("curl u | jq . ; sh", false),
        ("curl u | perl -ne print", false),
    ] {
        let evaluation = evaluate(&format!("FROM a\nRUN {script}\n"));
        assert_eq!(at(&evaluation, "stage[0].RUN[0]", "commands.0.feeds_interpreter"), feeds.to_string(), "{script}");
    }
}

#[test]
fn values_point_at_their_text() {
    let text = "FROM a\nRUN true && \\\n    curl --insecure u\n";
    let evaluation = evaluate(text);
    let commands = find(&evaluation, "stage[0].RUN[0]").body.get("commands").unwrap();
    let argument = &commands.as_items().unwrap()[1].get("arguments").unwrap().as_items().unwrap()[0];
    assert_eq!(&text[argument.origin.used_at().unwrap().range.as_usize()], "--insecure");
}

#[test]
fn variables_that_double_each_time_run_out_of_budget() {
    let mut text = "FROM a\nENV A0=xxxxxxxx\n".to_owned();
    for step in 1..60 {
        text.push_str(&format!("ENV A{step}=$A{0}$A{0}\n", step - 1));
    }
    let evaluation = evaluate(&text);
    assert_eq!(at(&evaluation, "stage[0].ENV[59]", "variables.0.value"), "? budget: substituted text");
}

#[test]
fn what_is_no_instruction_is_told_and_the_rest_is_read() {
    let evaluation = evaluate("FROM a\nNONSENSE x\nUSER b\n");
    assert_eq!(evaluation.diagnostics.len(), 1);
    assert_eq!(at(&evaluation, "stage[0].USER[0]", "user"), "b");
}

#[test]
fn labels_are_what_other_scanners_call_them() {
    let evaluation = evaluate("FROM a\nRUN b\nONBUILD RUN c\n");
    let labels: Vec<String> = evaluation.resources.iter().map(Resource::label).collect();
    assert_eq!(labels, ["", "FROM", "RUN", "ONBUILD"]);
}
