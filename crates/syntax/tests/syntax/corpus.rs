//! Real configuration, where there is some: `KEYBLIND_CORPORA=/path cargo test -p keyblind-syntax -- --ignored corpora`.

use std::fs;
use std::panic;
use std::path::{Path, PathBuf};

use keyblind_syntax::{hcl, json};

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() {
            files(&entry.path(), found);
        } else if kind.is_file() {
            found.push(entry.path());
        }
    }
}

/// Every file that the other parser reads is read without an error and seen alike. Files with errors are listed: a file
/// that Terraform itself reads must not be among them.
#[test]
#[ignore = "needs a folder of real configuration"]
fn corpora_are_read() {
    let folder = std::env::var("KEYBLIND_CORPORA").expect("KEYBLIND_CORPORA names a folder of real configuration");
    let mut paths = Vec::new();
    files(Path::new(&folder), &mut paths);
    paths.sort();
    let (mut read, mut compared, mut broken, mut templates, mut json_read) = (0, 0, 0, 0, 0);
    let mut differences = Vec::new();
    for path in &paths {
        let name = path.to_string_lossy();
        let Ok(text) = fs::read_to_string(path) else { continue };
        if name.ends_with(".json") {
            let theirs = serde_json::from_str::<serde_json::Value>(&text);
            match (json::parse(&text), theirs) {
                (Ok(_), Ok(_)) => json_read += 1,
                (Err(error), Ok(_)) => differences.push(format!("{name}: {error:?}")),
                (Ok(_), Err(error)) => differences.push(format!("{name}: should fail with {error}")),
                (Err(_), Err(_)) => {}
            }
        }
        if [".tftpl", ".tpl", ".tmpl"].iter().any(|ending| name.ends_with(ending)) {
            templates += 1;
            let (_, errors) = hcl::parse_template(&text);
            if let Some(error) = errors.first() {
                println!("template {name}: {error:?}");
            }
        }
        if ![".tf", ".tfvars", ".hcl", ".tofu"].iter().any(|ending| name.ends_with(ending)) {
            continue;
        }
        let ours = hcl::parse(&text);
        crate::walk::check_ranges(&text, &ours.body);
        crate::walk::check_coverage(&text, &ours);
        read += 1;
        if !ours.errors.is_empty() {
            broken += 1;
            println!("{name}: {:?}", ours.errors);
        }
        let Some(theirs) = crate::oracle::read(&text) else { continue };
        compared += 1;
        if !ours.errors.is_empty() {
            differences.push(format!("{name}: {:?}", ours.errors));
        } else if let Err(panic) = panic::catch_unwind(|| crate::oracle::compare_bodies(&theirs, &ours.body)) {
            let difference = panic.downcast_ref::<String>().map_or("", |message| message.as_str());
            differences.push(format!("{name}: seen differently: {difference}"));
        }
    }
    println!("{read} files, {broken} with errors, {compared} compared; {templates} templates; {json_read} JSON files");
    assert!(read > 0, "{folder} holds no configuration");
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}
