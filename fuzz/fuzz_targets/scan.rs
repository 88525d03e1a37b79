//! Any text as a whole project: files are separated by lines `=== path`. Nothing panics or hangs, every file is either
//! evaluated or mentioned, and a plan is either read or refused with a reason.
#![no_main]

use std::sync::{Arc, OnceLock};

use keyblind_dialects::MemoryTree;
use keyblind_dialects::terraform::{Inputs, Project, is_configuration, plan};
use keyblind_resource::ResourceGraph;
use keyblind_rules::{RuleTable, Selection, judge};
use keyblind_syntax::{FileId, SourceMap};

fn table() -> &'static RuleTable {
    static TABLE: OnceLock<RuleTable> = OnceLock::new();
    TABLE.get_or_init(|| RuleTable::embedded().expect("the table that is built in"))
}

fn files(text: &str) -> Vec<(String, String)> {
    let mut files = vec![("main.tf".to_owned(), String::new())];
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

fn judged(resources: Vec<keyblind_resource::Resource>) {
    let graph = ResourceGraph::new(resources);
    let judgements = judge(table(), &Selection::all(table()), &graph);
    assert!(judgements.iter().all(|judgement| judgement.resource < graph.resources.len()));
}

libfuzzer_sys::fuzz_target!(|text: &str| {
    let files = files(text);
    let tree = MemoryTree::new(files.iter().map(|(path, text)| (path.as_str(), text.as_str())));
    let mut sources = SourceMap::default();
    let given = files.iter().filter(|(path, _)| is_configuration(path));
    let project = Project::parse(given.map(|(path, text)| (Arc::from(path.as_str()), Arc::from(text.as_str()))).collect(), &tree, &mut sources);
    for root in project.roots() {
        judged(project.evaluate(root, &Inputs::default(), &tree).resources);
    }
    for (path, text) in &files {
        if path.ends_with(".json")
            && let Ok(evaluation) = plan::read(FileId(0), text)
        {
            judged(evaluation.resources);
        }
    }
});
