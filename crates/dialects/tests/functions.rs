//! Every function of Terraform against Terraform itself.
//!
//! `functions.golden` holds expressions, each with what `jsonencode` makes of its value in Terraform 1.11, or `error` where
//! Terraform refuses it. They are evaluated in the folder `golden/`. Where the program is on the machine the table is
//! checked against it as well; `UPDATE_GOLDENS=1 cargo test --test functions` writes the results anew, so that a new
//! expression needs nothing but its own line.

#![allow(clippy::unwrap_used, reason = "a test that can't read its own files has to fail")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use keyblind_dialects::MemoryTree;
use keyblind_dialects::terraform::{Inputs, Project};
use keyblind_resource::Data;
use keyblind_syntax::SourceMap;

const ERROR: &str = "error";
const FILES: [&str; 4] = ["main.tf", "hello.txt", "hello.tftpl", "sub/greeting.txt"];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn table() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/functions.golden")
}

/// The lines of the table: comments and empty lines stay, expressions have their result.
enum Line {
    Other(String),
    Case { expression: String, result: String },
}

fn read() -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for line in std::fs::read_to_string(table()).unwrap().lines() {
        if let Some(new) = line.strip_prefix("=> ") {
            let Some(Line::Case { result, .. }) = lines.last_mut() else { panic!("a result without an expression: {line}") };
            new.clone_into(result);
        } else if line.is_empty() || line.starts_with('#') {
            lines.push(Line::Other(line.to_owned()));
        } else {
            lines.push(Line::Case { expression: line.to_owned(), result: String::new() });
        }
    }
    lines
}

fn cases(lines: &[Line]) -> Vec<(&str, &str)> {
    lines
        .iter()
        .filter_map(|line| match line {
            Line::Case { expression, result } => Some((expression.as_str(), result.as_str())),
            Line::Other(_) => None,
        })
        .collect()
}

/// What Keyblind makes of the expressions.
fn evaluate(expressions: &[&str]) -> Vec<String> {
    let mut configuration = String::new();
    for (index, expression) in expressions.iter().enumerate() {
        writeln!(configuration, "output \"e{index}\" {{\n  value = jsonencode({expression})\n}}").unwrap();
    }
    let files = FILES.map(|name| (name, std::fs::read_to_string(folder().join(name)).unwrap()));
    let tree = MemoryTree::new(files.iter().map(|(path, text)| (*path, text.as_str())));
    let mut sources = SourceMap::default();
    let main = files[0].1.clone();
    let configuration = vec![(Arc::from("main.tf"), Arc::from(main)), (Arc::from("outputs.tf"), Arc::from(configuration))];
    let project = Project::parse(configuration, &tree, &mut sources);
    assert!(project.diagnostics().is_empty(), "the table holds something that is no expression: {:?}", project.diagnostics());
    let evaluation = project.evaluate(&project.roots()[0], &Inputs::default(), &tree);
    let results: BTreeMap<&str, String> = evaluation.outputs.iter().map(|(name, value)| (&**name, shown(&value.data))).collect();
    (0..expressions.len()).map(|index| results[format!("e{index}").as_str()].clone()).collect()
}

fn shown(data: &Data) -> String {
    match data {
        Data::String(text) => text.to_string(),
        Data::Unknown(unknown) if matches!(unknown.reason.code(), "invalid-expression" | "undeclared" | "file-not-readable") => {
            ERROR.to_owned()
        }
        Data::Unknown(unknown) => format!("unknown: {}", unknown.reason),
        other => format!("not a text: {other:?}"),
    }
}

/// What Terraform makes of them; `None` where the program isn't on the machine.
fn terraform(expressions: &[&str]) -> Option<Vec<String>> {
    Command::new("terraform").arg("version").output().ok()?;
    // It writes files of its own beside the configuration.
    let copy = std::env::temp_dir().join(format!("keyblind-functions-{}", std::process::id()));
    for name in FILES {
        std::fs::create_dir_all(copy.join(name).parent()?).unwrap();
        std::fs::copy(folder().join(name), copy.join(name)).unwrap();
    }
    let initialised = command(&copy).arg("init").output().unwrap();
    assert!(initialised.status.success(), "terraform init: {}", String::from_utf8_lossy(&initialised.stderr));
    // The console reads no line of more than 64 KiB.
    let mut results = Vec::new();
    for batch in expressions.chunks(100) {
        console(&copy, batch, &mut results);
    }
    std::fs::remove_dir_all(&copy).unwrap();
    Some(results)
}

fn command(folder: &Path) -> Command {
    let mut command = Command::new("terraform");
    command.current_dir(folder).env("TF_CLI_CONFIG_FILE", "/dev/null").env("CHECKPOINT_DISABLE", "1");
    command
}

/// Asks for all at once; what Terraform finds wrong before it evaluates costs the whole answer, and is found by halves.
fn console(folder: &Path, expressions: &[&str], results: &mut Vec<String>) {
    let tried: Vec<String> = expressions.iter().map(|expression| format!("try(jsonencode({expression}), \"{ERROR}\")")).collect();
    let mut child = command(folder).arg("console").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    writeln!(child.stdin.take().unwrap(), "jsonencode([{}])", tried.join(",")).unwrap();
    let output = child.wait_with_output().unwrap();
    let answer = serde_json::from_slice::<String>(&output.stdout).ok().filter(|_| output.status.success());
    match answer {
        Some(answer) => results.extend(serde_json::from_str::<Vec<String>>(&answer).unwrap()),
        None if expressions.len() == 1 => results.push(ERROR.to_owned()),
        None => {
            let (left, right) = expressions.split_at(expressions.len() / 2);
            console(folder, left, results);
            console(folder, right, results);
        }
    }
}

#[test]
fn functions_agree_with_terraform() {
    let mut lines = read();
    let expressions: Vec<String> = cases(&lines).iter().map(|(expression, _)| (*expression).to_owned()).collect();
    let expressions: Vec<&str> = expressions.iter().map(String::as_str).collect();
    assert!(expressions.len() >= 1000, "expressions are missing");
    if let Some(theirs) = terraform(&expressions) {
        let mut theirs = theirs.into_iter();
        let update = std::env::var_os("UPDATE_GOLDENS").is_some();
        let mut written = String::new();
        for line in &mut lines {
            match line {
                Line::Other(text) => writeln!(written, "{text}").unwrap(),
                Line::Case { expression, result } => {
                    let actual = theirs.next().unwrap();
                    if update {
                        result.clone_from(&actual);
                    }
                    assert_eq!(*result, actual, "the golden of {expression} isn't what Terraform evaluates");
                    writeln!(written, "{expression}\n=> {result}").unwrap();
                }
            }
        }
        if update {
            std::fs::write(table(), written).unwrap();
        }
    }
    let own = evaluate(&expressions);
    let mut differences = String::new();
    for ((expression, expected), own) in cases(&lines).into_iter().zip(own) {
        if own != expected {
            writeln!(differences, "{expression}\n  expected {expected}\n  but got  {own}").unwrap();
        }
    }
    assert!(differences.is_empty(), "{differences}");
}

#[test]
fn the_table_calls_every_function() {
    let Ok(output) = Command::new("terraform").args(["metadata", "functions", "-json"]).output() else { return };
    let signatures: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let lines = read();
    let all = cases(&lines).iter().map(|(expression, _)| *expression).collect::<Vec<_>>().join("\n");
    // Their results depend on the clock, on chance, or on a private key, or are compressed.
    let untestable = ["bcrypt", "plantimestamp", "timestamp", "uuid", "rsadecrypt", "base64gzip"];
    for name in signatures["function_signatures"].as_object().unwrap().keys() {
        let called = all.contains(&format!("{name}("));
        assert!(called || name.starts_with("core::") || untestable.contains(&name.as_str()), "{name}() isn't in the table");
    }
}
