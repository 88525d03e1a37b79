//! Checks rule files and runs their examples, without compiling anything anew:
//! `check-rules [--rules FOLDER] [PART-OF-A-PATH …]`.

#[path = "../tests/examples/harness.rs"]
mod harness;

use std::path::PathBuf;
use std::process::ExitCode;

use keyblind_rules::{RuleTable, read_folder};

#[allow(clippy::print_stdout, reason = "a program for the terminal")]
fn main() -> ExitCode {
    let mut folder = PathBuf::from("rules");
    let mut parts = Vec::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        if argument == "--rules" {
            folder = arguments.next().map(PathBuf::from).unwrap_or(folder);
        } else {
            parts.push(argument);
        }
    }
    let wanted = |path: &str| parts.is_empty() || parts.iter().any(|part| path.contains(part.as_str()));
    let found = read_folder(&folder);
    let mut faults: Vec<String> = found.errors.iter().filter(|error| wanted(&error.path)).map(ToString::to_string).collect();
    let table = match RuleTable::of(&found.rules) {
        Ok(table) => table,
        Err(error) => {
            println!("{error}");
            return ExitCode::from(2);
        }
    };
    let chosen =
        |id: &str| found.files.iter().any(|file| file.file_stem().is_some_and(|stem| stem == id) && wanted(&file.to_string_lossy()));
    let mut checked = 0;
    for (rule, _) in table.iter().filter(|(_, meta)| chosen(&meta.id)) {
        checked += 1;
        faults.extend(harness::faults(&table, rule));
    }
    for fault in &faults {
        println!("{fault}");
    }
    println!("{checked} rules checked, {} faults", faults.len());
    if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
