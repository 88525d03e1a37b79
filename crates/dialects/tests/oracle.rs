//! Whole configurations against Terraform itself.
//!
//! Each folder of `tests/oracle/` is a root module that needs no provider but the built-in one. Its `expected.json` is what
//! Terraform 1.11 plans: all outputs, and the input of every `terraform_data` by address. Where the program is on the
//! machine the goldens are checked against it as well; `UPDATE_GOLDENS=1 cargo test --test oracle` writes them anew.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should fail")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use keyblind_dialects::terraform::{Inputs, Project, is_configuration};
use keyblind_dialects::{MemoryTree, paths};
use keyblind_resource::{Data, Value};
use keyblind_syntax::SourceMap;
use serde_json::{Value as Json, json};

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle");
    let mut cases: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect();
    cases.sort();
    assert!(cases.len() >= 9, "cases are missing");
    cases
}

fn files(folder: &Path, prefix: &str, found: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}/{name}") };
        if entry.file_type().unwrap().is_dir() {
            files(&entry.path(), &path, found);
        } else if name != "expected.json" {
            found.push((path, std::fs::read_to_string(entry.path()).unwrap()));
        }
    }
}

/// What Keyblind makes of a case, in the form of the goldens.
fn evaluate(case: &Path) -> Json {
    let mut found = Vec::new();
    files(case, "", &mut found);
    let tree = MemoryTree::new(found.iter().map(|(path, text)| (path.as_str(), text.as_str())));
    let mut sources = SourceMap::default();
    let configuration = found.iter().filter(|(path, _)| is_configuration(path));
    let project = Project::parse(
        configuration.map(|(path, text)| (Arc::from(path.as_str()), Arc::from(text.as_str()))).collect(),
        &tree,
        &mut sources,
    );
    assert!(project.diagnostics().is_empty(), "{}: {:?}", case.display(), project.diagnostics());
    let root = project
        .roots()
        .iter()
        .find(|root| paths::parent(&root.directory).is_empty() && root.directory.is_empty())
        .expect("the folder itself is a root");
    let evaluation = project.evaluate(root, &Inputs::default(), &tree);
    let outputs: BTreeMap<String, Json> = evaluation.outputs.iter().map(|(name, value)| (name.to_string(), plain(value))).collect();
    let inputs: BTreeMap<String, Json> = evaluation
        .resources
        .iter()
        .filter(|resource| &*resource.type_key == "terraform_data")
        .map(|resource| (resource.address.to_string(), resource.body.get("input").map_or(Json::Null, plain)))
        .collect();
    json!({ "outputs": outputs, "inputs": inputs })
}

fn plain(value: &Value) -> Json {
    match &value.data {
        Data::Null => Json::Null,
        Data::Bool(value) => json!(value),
        // Numbers as text: JSON readers would round the long ones.
        Data::Number(number) => json!(format!("number {number}")),
        Data::String(text) => json!(&**text),
        Data::Unknown(unknown) => json!(format!("unknown: {}", unknown.reason)),
        _ => match (value.as_items(), value.as_mapping()) {
            (Some(items), _) => Json::Array(items.iter().map(plain).collect()),
            (_, Some(mapping)) => Json::Object(mapping.iter().map(|(key, value)| (key.to_string(), plain(value))).collect()),
            _ => Json::Null,
        },
    }
}

/// What Terraform makes of it; `None` where the program isn't on the machine.
fn terraform(case: &Path) -> Option<Json> {
    Command::new("terraform").arg("version").output().ok()?;
    let folder = std::env::temp_dir().join(format!("keyblind-oracle-{}-{}", std::process::id(), case.file_name()?.to_string_lossy()));
    let mut found = Vec::new();
    files(case, "", &mut found);
    for (path, text) in &found {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent()?).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let run = |arguments: &[&str]| {
        let output = Command::new("terraform").args(arguments).current_dir(&folder).env("CHECKPOINT_DISABLE", "1").output().unwrap();
        assert!(output.status.success(), "{}: terraform {arguments:?}: {}", case.display(), String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    run(&["init", "-input=false", "-no-color"]);
    run(&["plan", "-input=false", "-no-color", "-out=plan"]);
    let plan: Json = serde_json::from_slice(&numbers_as_text(&run(&["show", "-json", "plan"]))).unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    let outputs: BTreeMap<String, Json> =
        plan["planned_values"]["outputs"].as_object()?.iter().map(|(name, output)| (name.clone(), output["value"].clone())).collect();
    let mut inputs = BTreeMap::new();
    planned(&plan["planned_values"]["root_module"], &mut inputs);
    Some(json!({ "outputs": outputs, "inputs": inputs }))
}

fn planned(module: &Json, inputs: &mut BTreeMap<String, Json>) {
    for resource in module["resources"].as_array().into_iter().flatten() {
        inputs.insert(resource["address"].as_str().unwrap().to_owned(), resource["values"]["input"].clone());
    }
    for child in module["child_modules"].as_array().into_iter().flatten() {
        planned(child, inputs);
    }
}

/// Rewrites every number of a JSON text to the text `"number …"`, digit by digit as Terraform wrote it.
fn numbers_as_text(json: &[u8]) -> Vec<u8> {
    let mut result = Vec::with_capacity(json.len());
    let (mut quoted, mut escaped, mut number) = (false, false, false);
    for &byte in json {
        let in_number = !quoted && (byte.is_ascii_digit() || byte == b'-' || number && matches!(byte, b'.' | b'e' | b'E' | b'+'));
        if in_number != number {
            result.extend_from_slice(if in_number { b"\"number " } else { b"\"" });
            number = in_number;
        }
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ => {}
        }
        result.push(byte);
    }
    result
}

#[test]
fn evaluation_agrees_with_terraform() {
    let mut differences = Vec::new();
    for case in cases() {
        let golden = case.join("expected.json");
        let own = evaluate(&case);
        if let Some(theirs) = terraform(&case) {
            if std::env::var_os("UPDATE_GOLDENS").is_some() {
                std::fs::write(&golden, serde_json::to_string_pretty(&theirs).unwrap() + "\n").unwrap();
            } else {
                let written: Json = serde_json::from_str(&std::fs::read_to_string(&golden).unwrap()).unwrap();
                assert_eq!(written, theirs, "{}: the golden isn't what Terraform plans", case.display());
            }
        }
        let expected: Json = serde_json::from_str(&std::fs::read_to_string(&golden).unwrap()).unwrap();
        for part in ["outputs", "inputs"] {
            let (own, expected) = (own[part].as_object().unwrap(), expected[part].as_object().unwrap());
            for name in own.keys().chain(expected.keys()).collect::<std::collections::BTreeSet<_>>() {
                if own.get(name) != expected.get(name) {
                    let shown = |value: Option<&Json>| value.map_or_else(|| "(nothing)".to_owned(), Json::to_string);
                    differences.push(format!(
                        "{} {part} {name}\n  terraform: {}\n  keyblind:  {}",
                        case.display(),
                        shown(expected.get(name)),
                        shown(own.get(name))
                    ));
                }
            }
        }
    }
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences.join("\n"));
}
